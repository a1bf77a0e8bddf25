/*
 * The packet lease: frames on `lo` that the rules of src/firewall/packet-lease-rules.ts turn into the life of one
 * set element. While it lives, packets, ARP and neighbour solicitations for the addresses get in;
 * when nobody sends these frames any more, the kernel's own clock ends it. The frames themselves:
 * gate-frame.c.
 *
 * A grant counts only while the `ask` before it is fresh (some milliseconds): between the two we
 * look at the lease. So a process that was stopped after it had looked opens nothing when it wakes
 * up. A grant that took effect is let through to us; one that does not come back is repeated.
 * Anything else that comes back met no rules at all.
 */
#include "hold/packet-lease.h"

#include <errno.h>
#include <string.h>
#include <sys/socket.h>

#include "base/output.h"
#include "hold/gate-frame.h"

#define READS_MAX 32
#define PAIR_US (4 * US_PER_MS) /* an `ask` is surely fresh for so long */
#define TRIES_MAX 3
#define AGAIN_US (5 * US_PER_MS) /* a grant comes back within microseconds, or was lost: a flooded CPU drops even here */
#define PATIENCE_US (100 * US_PER_MS)
#define TELL_AGAIN_US US_PER_S
#define MARKS 1024 /* at 100 renewals a second, none comes again before the kernel has collected it */

static int fd = -1;
static bool wanted; /* the table should be there: its absence is told */
static us_t granted_at = NEVER, again_at = NEVER; /* the first grant that has not come back; when to renew again */
static us_t told_at;

/*
 * Each ask has a mark of its own, which is its key in the set. With one key for all, each ask would
 * leave one more element that has run out in the same chain of the kernel's hash table; beyond 16
 * of them an insert wants the table rehashed first, and fails until a kernel thread of normal
 * priority has done so. Seen: renewals every 10 ms, gate shut for up to half a second.
 */
static void next_mark(void)
{
	static unsigned number;
	unsigned mark = ++number % MARKS;

	(void)setsockopt(fd, SOL_SOCKET, SO_MARK, &mark, sizeof(mark));
}

/*
 * Frames are sent in any case: a table that an earlier pulse left behind and nobody could remove
 * must not shut out the addresses that we hold. Only with `installed` is a missing one told.
 */
void packet_lease_open(bool installed)
{
	wanted = installed;
	fd = gate_socket();
	if (fd < 0 && wanted)
		say_error("cannot open a packet socket on lo: %s; the packet lease cannot be renewed", strerror(errno));
}

int packet_lease_fd(void)
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
void packet_lease_interface(const char *name)
{
	if (wanted)
		say("gate lost %s", name);
}

/*
 * What is left of the lease in sixteenths, rounded down, but for the moment that every request
 * takes to get here.
 */
static unsigned steps_left(us_t left, us_t whole)
{
	us_t spare = whole / GATE_STEPS < 2 * US_PER_MS ? whole / GATE_STEPS : 2 * US_PER_MS;
	us_t steps = (left + spare) * GATE_STEPS / whole;

	return steps > GATE_STEPS ? GATE_STEPS : (unsigned)steps;
}

/*
 * Renews the packet lease to the end of the lease, never beyond. To be called with the addresses in
 * the kernel.
 */
void packet_lease_renew(const struct terms *terms)
{
	us_t whole = terms->lease_ms * US_PER_MS;

	for (int tries = 0; tries < TRIES_MAX && fd >= 0; tries++) {
		next_mark();
		us_t asked_at = clock_now();
		bool sent = gate_send(fd, GATE_LIVE, GATE_ASK, 0);
		us_t now = clock_now(), left = terms->deadline - now;
		unsigned steps = left > 0 ? steps_left(left, whole) : 0;

		if (now >= terms_end(terms) || (terms->mode != MODE_ALONE && steps == 0)) {
			granted_at = NEVER; /* nothing is left to grant, nor to wait for */
			return;
		}
		sent = (terms->mode == MODE_ALONE ? gate_send(fd, GATE_LIVE, GATE_ALONE, 0)
						  : gate_send(fd, GATE_LIVE, GATE_GRANT, steps)) &&
		       sent;
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
void packet_lease_close(void)
{
	granted_at = NEVER;
	if (fd >= 0)
		(void)gate_send(fd, GATE_LIVE, GATE_CLOSE, 0);
}

/* Frames of ours that got through. */
void packet_lease_read(us_t now)
{
	enum gate_kind kind;

	for (int reads = 0; reads < READS_MAX && gate_receive(fd, GATE_LIVE, &kind); reads++) {
		if (kind == GATE_GRANT || kind == GATE_ALONE)
			granted_at = NEVER;
		else if (kind != GATE_NONE && kind != GATE_TEST)
			tell_lost("table", now);
	}
}

/*
 * True: the grant did not come back, renew again. After many of them the gate is shut although we
 * hold the addresses.
 */
bool packet_lease_due(us_t now)
{
	if (fd < 0 || granted_at == NEVER || now < again_at)
		return false;
	packet_lease_read(now); /* our own lateness is not its silence */
	if (granted_at == NEVER)
		return false;
	if (now - granted_at < PATIENCE_US)
		return true;
	granted_at = NEVER;
	tell_lost("shut", now);
	return false;
}

us_t packet_lease_next(void)
{
	return granted_at == NEVER ? NEVER : again_at;
}
