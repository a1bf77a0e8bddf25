/*
 * packet-lease-trial: does this kernel do what the rules of the packet lease ask for? A program of
 * its own, which pulse runs before it starts vipd: it sends frames to a table of the trial's own,
 * so the live one and a lease that runs there are not touched.
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sysexits.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/text.h"
#include "hold/gate-frame.h"
#include "vipd.h"

#define LIFE_MS_MAX 1000
#define READS_MAX 32

static const char usage[] =
	"Usage: packet-lease-trial MS\n"
	"\n"
	"Finds out whether this kernel can do the packet lease. The trial's table (netdev tandem_gate_trial) must be in, with a\n"
	"lease of MS milliseconds, 1 to 1000. Run by `tandem pulse`, not by hand.\n"
	"\n"
	"  --help     this text\n"
	"  --version  the version\n"
	"\n"
	"Exit: 0 it can, 64 usage, 69 it cannot: why is on stderr.\n";

static int fd = -1;
static unsigned seen; /* kinds that came back, as bits */

static bool transmit(enum gate_kind kind, unsigned step)
{
	return gate_send(fd, GATE_TRIAL, kind, step);
}

static void read_back(void)
{
	enum gate_kind kind;

	for (int reads = 0; reads < READS_MAX && gate_receive(fd, GATE_TRIAL, &kind); reads++)
		if (kind != GATE_NONE)
			seen |= 1u << ((unsigned)kind & 7);
}

static bool passes(void)
{
	us_t end = clock_now() + 5 * US_PER_MS;

	if (!transmit(GATE_TEST, 0))
		return false;
	do {
		read_back();
		if (seen & 1u << GATE_TEST)
			return true;
		usleep(200);
	} while (clock_now() < end);
	return false;
}

/* A grant that takes effect comes back, and then the test does. */
static bool grant_passes(bool ask, useconds_t pause_us)
{
	seen = 0;
	if (ask)
		(void)transmit(GATE_ASK, 0);
	usleep(pause_us);
	(void)transmit(GATE_GRANT, GATE_STEPS);
	bool opened = passes();

	return opened && (seen & 1u << GATE_GRANT);
}

/*
 * NULL, or what the kernel does not do. The trial's table must be in, its lease and its ask at most
 * `life_ms` long.
 */
static const char *trial(unsigned life_ms)
{
	useconds_t life_us = life_ms * 1000 + 12000; /* and a jiffy at 100 Hz */

	fd = gate_socket();
	if (fd < 0)
		return errno == EPERM || errno == EACCES ? "not permitted to open a packet socket on lo"
							   : "cannot open a packet socket on lo";
	if (!transmit(GATE_CLOSE, 0))
		return "cannot send on lo (is it up?)";
	seen = 0;
	if (passes())
		return "frames on lo do not meet the rules";
	if (grant_passes(false, 0))
		return "a grant without an ask opens the gate";
	if (grant_passes(true, life_us))
		return "an ask does not run out";
	if (!grant_passes(true, 0))
		return "a grant does not open the gate: the set is not updated from the packet path";
	usleep(life_us);
	seen = 0;
	if (passes())
		return "the lease does not run out";
	if (!grant_passes(true, 0))
		return "the gate opens only once";
	(void)transmit(GATE_CLOSE, 0);
	seen = 0;
	return passes() ? "closing does not close" : NULL;
}

int main(int argc, char **argv)
{
	uint64_t life_ms;

	if (argc == 2 && strcmp(argv[1], "--help") == 0) {
		fputs(usage, stdout);
		return EX_OK;
	}
	if (argc == 2 && strcmp(argv[1], "--version") == 0) {
		puts("packet-lease-trial " VIPD_VERSION);
		return EX_OK;
	}
	if (argc != 2 || !parse_u64(argv[1], LIFE_MS_MAX, &life_ms) || life_ms == 0) {
		fputs("packet-lease-trial: give one argument, milliseconds, 1 to 1000; see packet-lease-trial --help\n", stderr);
		return EX_USAGE;
	}
	const char *problem = trial((unsigned)life_ms);

	if (!problem)
		return EX_OK;
	fprintf(stderr, "packet-lease-trial: the packet lease does not work here: %s\n", problem);
	return EX_UNAVAILABLE;
}
