/*
 * The packet lease: frames on `lo` that the rules of src/firewall/gate.ts turn into the life of one set element. While it
 * lives, packets, ARP and neighbour solicitations for the addresses get in; when nobody sends these frames any more, the
 * kernel's own clock ends it. The frames are the rules' language: kinds and destination are the same there.
 *
 * A grant counts only while the `ask` before it is fresh (some milliseconds): between the two we look at the lease. So a
 * process that was stopped after it had looked opens nothing when it wakes up. A grant that took effect is let through to
 * us; one that does not come back is repeated. Anything else that comes back met no rules at all.
 */
#include "vipd.h"

#include <arpa/inet.h>
#include <errno.h>
#include <linux/if_ether.h>
#include <linux/if_packet.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#define ETH_P_GATE 0x88b5 /* IEEE 802: local experimental */
#define FRAME_BYTES 60
#define READS_MAX 32
#define PAIR_US (4 * US_PER_MS) /* an `ask` is surely fresh for so long */
#define TRIES_MAX 3
#define AGAIN_US (5 * US_PER_MS) /* a grant comes back within microseconds, or was lost: a flooded CPU drops even here */
#define PATIENCE_US (100 * US_PER_MS)
#define TELL_AGAIN_US US_PER_S
#define STEPS 16
#define MARKS 1024 /* at 100 renewals a second, none comes again before the kernel has collected it */

enum kind { ASK = 1, GRANT = 2, ALONE = 3, CLOSE = 4, TEST = 5 };
enum { LIVE = 0x44, TRIAL = 0x54 }; /* which table listens */

static int fd = -1;
static uint8_t table = LIVE;
static bool wanted; /* the table should be there: its absence is told */
static us_t granted_at = NEVER, again_at = NEVER; /* the first grant that has not come back; when to renew again */
static unsigned seen;				   /* kinds that came back, as bits */
static us_t told_at;

static bool transmit(enum kind kind, unsigned step)
{
	const uint8_t to[6] = { 0x02, 0x54, 0x4e, table, (uint8_t)kind, (uint8_t)step };
	uint8_t frame[FRAME_BYTES] = { 0 };

	memcpy(frame, to, sizeof(to));
	frame[12] = ETH_P_GATE >> 8;
	frame[13] = ETH_P_GATE & 0xff;
	return send(fd, frame, sizeof(frame), MSG_DONTWAIT | MSG_NOSIGNAL) == sizeof(frame);
}

/*
 * Each ask has a mark of its own, which is its key in the set. With one key for all, each ask would leave one more element that
 * has run out in the same chain of the kernel's hash table; beyond 16 of them an insert wants the table rehashed first, and
 * fails until a kernel thread of normal priority has done so. Seen: renewals every 10 ms, gate shut for up to half a second.
 */
static void next_mark(void)
{
	static unsigned number;
	unsigned mark = ++number % MARKS;

	(void)setsockopt(fd, SOL_SOCKET, SO_MARK, &mark, sizeof(mark));
}

static bool open_socket(void)
{
	struct sockaddr_ll lo = { .sll_family = AF_PACKET, .sll_protocol = htons(ETH_P_GATE) };

	fd = socket(AF_PACKET, SOCK_RAW | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	lo.sll_ifindex = (int)if_nametoindex("lo");
	if (fd >= 0 && lo.sll_ifindex > 0 && bind(fd, (struct sockaddr *)&lo, sizeof(lo)) == 0)
		return true;
	int error = errno;

	if (fd >= 0)
		close(fd);
	fd = -1;
	errno = error;
	return false;
}

/*
 * Frames are sent in any case: a table that an earlier pulse left behind and nobody could remove must not shut out the
 * addresses that we hold. Only with `installed` is a missing one told.
 */
void gate_open(bool installed)
{
	wanted = installed;
	if (!open_socket() && wanted)
		say_error("cannot open a packet socket on lo: %s; the packet lease cannot be renewed", strerror(errno));
}

int gate_fd(void)
{
	return fd;
}

static void tell_lost(const char *what, us_t now)
{
	if (!wanted || (told_at != 0 && now - told_at < TELL_AGAIN_US))
		return;
	told_at = now;
	say("gate lost %s", what);
}

/* An interface came (back): its chain went with the old one, on kernels before 6.16. */
void gate_interface(const char *name)
{
	if (wanted)
		say("gate lost %s", name);
}

/* What is left of the lease in sixteenths, rounded down, but for the moment that every request takes to get here. */
static unsigned steps_left(us_t left, us_t whole)
{
	us_t spare = whole / STEPS < 2 * US_PER_MS ? whole / STEPS : 2 * US_PER_MS;
	us_t steps = (left + spare) * STEPS / whole;

	return steps > STEPS ? STEPS : (unsigned)steps;
}

/* Renews the packet lease to the end of the lease, never beyond. To be called with the addresses in the kernel. */
void gate_renew(const struct terms *terms)
{
	us_t whole = terms->lease_ms * US_PER_MS;

	for (int tries = 0; tries < TRIES_MAX && fd >= 0; tries++) {
		next_mark();
		us_t asked_at = clock_now();
		bool sent = transmit(ASK, 0);
		us_t now = clock_now(), left = terms->deadline - now;
		unsigned steps = left > 0 ? steps_left(left, whole) : 0;

		if (now >= terms_end(terms) || (terms->mode != MODE_ALONE && steps == 0)) {
			granted_at = NEVER; /* nothing is left to grant, nor to wait for */
			return;
		}
		sent = transmit(terms->mode == MODE_ALONE ? ALONE : GRANT, terms->mode == MODE_ALONE ? 0 : steps) && sent;
		if (!sent)
			tell_lost("lo", now);
		if (clock_now() - asked_at >= PAIR_US)
			continue; /* we were held up: the ask may have been stale */
		granted_at = granted_at == NEVER ? now : granted_at;
		again_at = now + AGAIN_US;
		return;
	}
}

/* Before anything is removed: what is about to go is not served any more. */
void gate_close(void)
{
	granted_at = NEVER;
	if (fd >= 0)
		(void)transmit(CLOSE, 0);
}

/* Frames of ours that got through. */
void gate_read(us_t now)
{
	uint8_t frame[FRAME_BYTES];

	for (int reads = 0; reads < READS_MAX; reads++) {
		ssize_t n = recv(fd, frame, sizeof(frame), MSG_DONTWAIT);

		if (n < 0)
			return;
		if (n < ETH_HLEN || frame[0] != 0x02 || frame[1] != 0x54 || frame[2] != 0x4e || frame[3] != table)
			continue;
		seen |= 1u << (frame[4] & 7);
		if (frame[4] == GRANT || frame[4] == ALONE)
			granted_at = NEVER;
		else if (frame[4] != TEST)
			tell_lost("table", now);
	}
}

/* True: the grant did not come back, renew again. After many of them the gate is shut although we hold the addresses. */
bool gate_due(us_t now)
{
	if (fd < 0 || granted_at == NEVER || now < again_at)
		return false;
	gate_read(now); /* our own lateness is not its silence */
	if (granted_at == NEVER)
		return false;
	if (now - granted_at < PATIENCE_US)
		return true;
	granted_at = NEVER;
	tell_lost("shut", now);
	return false;
}

us_t gate_next(void)
{
	return granted_at == NEVER ? NEVER : again_at;
}

/* --- the trial: does this kernel do what the rules ask for? --- */

static bool passes(void)
{
	us_t end = clock_now() + 5 * US_PER_MS;

	if (!transmit(TEST, 0))
		return false;
	do {
		gate_read(clock_now());
		if (seen & 1u << TEST)
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
		(void)transmit(ASK, 0);
	usleep(pause_us);
	(void)transmit(GRANT, STEPS);
	bool opened = passes();

	return opened && (seen & 1u << GRANT);
}

/* NULL, or what the kernel does not do. The trial's table must be in, its lease and its ask at most `life_ms` long. */
const char *gate_trial(unsigned life_ms)
{
	useconds_t life_us = life_ms * 1000 + 12000; /* and a jiffy at 100 Hz */

	table = TRIAL;
	if (!open_socket())
		return errno == EPERM || errno == EACCES ? "not permitted to open a packet socket on lo"
							   : "cannot open a packet socket on lo";
	if (!transmit(CLOSE, 0))
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
	(void)transmit(CLOSE, 0);
	seen = 0;
	return passes() ? "closing does not close" : NULL;
}
