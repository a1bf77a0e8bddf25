/*
 * The lease: who may hold the addresses and until when. Claim, renewal, release; the end of the
 * lease and of the pipe; removal, confirmed by the kernel address by address, and only then the
 * last will; repair of what others take away. Rules: R1, R2, R6, R7, R9 (docs/invariants.md).
 */
#include "hold/lease.h"

#include <errno.h>
#include <string.h>

#include "base/output.h"
#include "base/tables.h"
#include "hold/announce.h"
#include "hold/lifetimes.h"
#include "hold/packet-lease.h"
#include "hold/state.h"
#include "hold/will.h"

#define REFRESH_US (500 * US_PER_MS)
#define REMOVAL_RETRY_US (20 * US_PER_MS)
#define REPAIR_WAIT_US (50 * US_PER_MS)	   /* out of tokens */
#define REPAIR_RETRY_US (200 * US_PER_MS) /* the kernel refused */

enum phase { IDLE, HOLDING, REMOVING };
enum ending { RELEASED, EXPIRED, CLOSED, REFUSED_KERNEL, REFUSED_LATE };

static enum phase phase;
static struct terms terms;
static us_t refresh_at = NEVER, repair_at = NEVER, removal_at = NEVER;
static uint64_t wanted;			 /* HOLDING: the addresses that pulse asked for */
static uint64_t coming;			 /* asked for in the middle of the term, not in yet */
static uint64_t missing, asked, failing; /* repair: known gone, with the keeper, refused by the kernel */
static struct bucket repairs = { .per_second = 20, .burst = 20 };
static enum ending ending;
static uint64_t ending_seq, left; /* REMOVING: addresses not yet confirmed gone */
static bool ending_will;
static struct epoch ending_epoch;
static uint64_t found_at_start;
static const char *state_path;
static struct netlink *nl;
static void (*take_events)(void);

void lease_start(const char *path, struct netlink *netlink, uint64_t found, void (*events)(void))
{
	state_path = path;
	nl = netlink;
	take_events = events;
	found_at_start = found;
}

/* This address is one of those that are held now. */
bool serving(unsigned index)
{
	return phase == HOLDING && (wanted & UINT64_C(1) << index);
}

uint64_t wanted_vips(void)
{
	return phase == HOLDING ? wanted : 0;
}

bool lease_idle(void)
{
	return phase == IDLE;
}

/* --- removal --- */

static void removal_done(us_t now)
{
	phase = IDLE;
	removal_at = NEVER;
	found_at_start = 0;
	/*
	 * The events of our own removals must not look like somebody else's after the next claim.
	 */
	take_events();
	state.mode = MODE_NONE;
	bool will = ending_will && state.will_bytes > 0;

	state.closed = state.closed || will;
	state_save(state_path); /* before the will: its epoch must never be claimed again, whatever happens to us */
	if (will)
		will_begin(now);
	if (ending == RELEASED)
		say("released %llu %llu.%u", (unsigned long long)ending_seq, (unsigned long long)ending_epoch.counter,
		    ending_epoch.node);
	else if (ending == EXPIRED)
		say("expired %llu.%u", (unsigned long long)state.epoch.counter, state.epoch.node);
	else if (ending != CLOSED)
		say("refused %llu %s", (unsigned long long)ending_seq, ending == REFUSED_LATE ? "late" : "kernel");
}

static void removal_try(us_t now)
{
	for (unsigned i = 0; i < vip_count; i++) {
		uint64_t bit = UINT64_C(1) << i;
		int error = left & bit ? netlink_remove(nl, i) : 0;

		if (error)
			say_error("cannot remove address %u: %s; trying again, the kernel's lifetime ends it too", i,
				  strerror(error));
		else
			left &= ~bit;
	}
	if (left == 0)
		removal_done(now);
	else
		removal_at = now + REMOVAL_RETRY_US;
}

static void removal_begin(enum ending why, uint64_t seq, bool will, us_t now)
{
	lifetimes_stop();
	phase = REMOVING;
	refresh_at = repair_at = NEVER;
	wanted = coming = missing = asked = failing = 0;
	announce_stop();
	packet_lease_close();
	left = all_vips();
	ending = why;
	ending_seq = seq;
	ending_will = will;
	removal_try(now);
}

/*
 * Must be called after every wait and before every command: a lease that is over ends before
 * anything else happens.
 */
void lease_check(us_t now)
{
	if (phase == HOLDING && now >= terms_end(&terms))
		removal_begin(EXPIRED, 0, true, now);
}

/* `mute`: this host can speak from none of the router's own addresses. */
void lease_pipe_closed(bool mute, us_t now)
{
	/* Without an address of its own this router can tell nobody that it keeps them. */
	if (phase == HOLDING && terms.mode == MODE_ALONE && !mute) {
		/* The kernel alone keeps the addresses now, while pulse restarts. */
		struct terms last = { .mode = MODE_ALONE, .deadline = now, .keep_ms = terms.keep_ms };
		bool created;

		lifetimes_stop();
		packet_lease_renew(&last);
		for (unsigned i = 0; i < vip_count; i++)
			if (serving(i))
				netlink_ensure(nl, i, terms_valid_s(&last, now), &created);
		announce_stop();
		phase = IDLE;
		refresh_at = repair_at = NEVER;
	} else if (phase == HOLDING || (phase == IDLE && state.mode == MODE_ARMED && found_at_start)) {
		removal_begin(CLOSED, 0, true, now);
	}
}

/* --- what pulse asks for --- */

static void refuse(uint64_t seq, const char *reason)
{
	say("refused %llu %s", (unsigned long long)seq, reason);
}

static void held(uint64_t seq, const struct epoch *epoch)
{
	say("held %llu %llu.%u", (unsigned long long)seq, (unsigned long long)epoch->counter, epoch->node);
}

/* Of a claim: how long after its request the first announcement went out, if one did. */
static void claim_held(uint64_t seq, const struct epoch *epoch, us_t asked_at, bool announced)
{
	if (!announced) {
		held(seq, epoch);
		return;
	}
	us_t after = clock_now() - asked_at;

	say("held %llu %llu.%u %lld", (unsigned long long)seq, (unsigned long long)epoch->counter, epoch->node,
	    (long long)after);
}

/*
 * The lease is in force in every thread. A change of mode changes the kernel's lifetimes at once.
 */
static void grant(const struct epoch *epoch, const struct terms *granted)
{
	bool mode_changed = state.mode != granted->mode;
	struct terms before = terms;

	terms = *granted;
	/* An older request that comes late does not shorten what a newer one got. */
	if (before.at > terms.at) {
		terms.at = before.at;
		terms.deadline = before.deadline > terms.deadline ? before.deadline : terms.deadline;
	}
	packet_lease_renew(&terms);
	lifetimes_terms(&terms);
	state.epoch = *epoch;
	state.mode = granted->mode;
	state_save(state_path);
	if (mode_changed)
		lifetimes_ensure(wanted);
}

/*
 * Another set of addresses within the term: what is new comes in by the keeper, and what is not
 * wanted any more goes by it, so that neither delays the renewal that brings it.
 */
static void want(uint64_t mask)
{
	uint64_t added = mask & ~wanted, dropped = wanted & ~mask;

	wanted = mask;
	coming = (coming & mask) | added;
	missing &= mask;
	failing &= mask;
	asked &= mask;
	for (unsigned i = 0; i < vip_count; i++)
		if (dropped & UINT64_C(1) << i)
			vips[i].announce_at = NEVER;
	if (dropped)
		lifetimes_drop(dropped);
	if (added)
		lifetimes_ensure(added);
}

static void deny(unsigned index, int error)
{
	say("denied %u the kernel refuses it on %s: %s (errno %d)", index, vips[index].iface->name, strerror(error), error);
}

/* Tries each, so that pulse hears of all that cannot be had. */
static bool add_all(us_t now)
{
	bool whole = true;

	for (unsigned i = 0; i < vip_count; i++) {
		if (!serving(i))
			continue;
		bool created;
		int error = netlink_ensure(nl, i, terms_valid_s(&terms, now), &created);

		if (error) {
			deny(i, error);
			whole = false;
		}
		vips[i].awaited = created && vips[i].address.family == AF_INET6;
	}
	return whole;
}

static void claim_anew(uint64_t seq, const struct epoch *epoch, const struct terms *granted, uint64_t mask, us_t now)
{
	/*
	 * Of an earlier life, of this term with other addresses, or of one whose removal is under
	 * way.
	 */
	uint64_t others = (found_at_start | wanted_vips() | (phase == REMOVING ? left : 0)) & ~mask;

	if (phase == REMOVING && ending == RELEASED)
		refuse(ending_seq, "kernel"); /* overtaken: it never was confirmed */
	lifetimes_stop();
	removal_at = NEVER;
	coming = missing = asked = failing = 0;
	/*
	 * Known on disk before it is in the kernel; the keeper is not told of the terms before all
	 * addresses are in.
	 */
	terms = *granted;
	state.epoch = *epoch;
	state.mode = granted->mode;
	state.closed = false;
	state_save(state_path);
	take_events();
	phase = HOLDING;
	wanted = mask;
	if (!add_all(now)) {
		removal_begin(REFUSED_KERNEL, seq, false, now);
		return;
	}
	now = clock_now();
	if (now >= terms_end(&terms)) {
		removal_begin(REFUSED_LATE, seq, false, now);
		return;
	}
	/* Only now: what the gate lets in is answered, and what is announced gets in. */
	packet_lease_renew(&terms);
	lifetimes_terms(&terms);
	found_at_start = 0;
	if (others)
		lifetimes_drop(others);
	refresh_at = now + REFRESH_US;
	claim_held(seq, epoch, granted->at, announce_all(wanted, now));
}

void serve_announce(void)
{
	if (phase == HOLDING)
		(void)announce_all(wanted, clock_now());
}

/*
 * The packet lease's table was put in anew, or a grant has not come back: nothing gets in before
 * this.
 */
void serve_packet_lease(void)
{
	if (phase == HOLDING)
		packet_lease_renew(&terms);
}

/*
 * False when the lease would be over already. A clock that runs ahead of ours cannot stretch a
 * lease.
 */
static bool in_time(struct terms *asked_terms, us_t now)
{
	if (asked_terms->at > now)
		asked_terms->at = now;
	asked_terms->deadline = asked_terms->at + asked_terms->lease_ms * US_PER_MS;
	return asked_terms->deadline > now;
}

void serve_claim(uint64_t seq, const struct epoch *epoch, struct terms granted, uint64_t mask)
{
	us_t now = clock_now();
	int order = epoch_compare(epoch, &state.epoch);

	/* An epoch whose will went out is over for the peer, so it must be over for us. */
	if (order < 0 || (order == 0 && state.closed)) {
		refuse(seq, "stale-epoch");
	} else if (!in_time(&granted, now)) {
		refuse(seq, "late");
	} else if (phase == HOLDING && !((missing | failing | coming) & mask)) {
		want(mask);
		grant(epoch, &granted);
		claim_held(seq, epoch, granted.at, announce_all(wanted, now));
	} else {
		claim_anew(seq, epoch, &granted, mask, now);
	}
}

void serve_renew(uint64_t seq, const struct epoch *epoch, struct terms granted, uint64_t mask)
{
	us_t now = clock_now();

	if (phase != HOLDING) {
		refuse(seq, "not-held");
	} else if (epoch_compare(epoch, &state.epoch) != 0 && epoch->counter <= state.epoch.counter) {
		refuse(seq, "stale-epoch");
	} else if (!in_time(&granted, now)) {
		refuse(seq, "late");
	} else {
		want(mask);
		grant(epoch, &granted);
		held(seq, epoch);
	}
}

void serve_release(uint64_t seq, const struct epoch *epoch, bool will)
{
	if (epoch_compare(epoch, &state.epoch) < 0) {
		refuse(seq, "stale-epoch");
		return;
	}
	if (phase == REMOVING && ending == RELEASED)
		refuse(ending_seq, "kernel"); /* asked again before it was confirmed */
	ending_epoch = *epoch;
	removal_begin(RELEASED, seq, will, clock_now());
}

void serve_will(const uint8_t *bytes, size_t count)
{
	memcpy(state.will, bytes, count);
	state.will_bytes = count;
	state_save(state_path);
}

/* --- repair --- */

static void repair(us_t now)
{
	repair_at = NEVER;
	for (unsigned i = 0; i < vip_count; i++) {
		uint64_t bit = UINT64_C(1) << i;

		if (!(missing & ~asked & bit))
			continue;
		if (!bucket_take(&repairs, now)) {
			repair_at = now + REPAIR_WAIT_US;
			return;
		}
		asked |= bit;
		lifetimes_ensure(bit);
	}
}

/* Events say so: somebody, or the kernel's lifetime, took the address away. */
void lease_lost(unsigned index)
{
	if (!serving(index))
		return;
	missing |= UINT64_C(1) << index;
	if (repair_at == NEVER)
		repair(clock_now());
}

/* The kernel answers for the address from now on. */
void lease_served(unsigned index)
{
	if (!serving(index) || !vips[index].awaited)
		return;
	vips[index].awaited = false;
	announce_start(&vips[index], clock_now());
}

static void tell_results(uint64_t done, uint64_t created, us_t now)
{
	for (unsigned i = 0; i < vip_count; i++) {
		uint64_t bit = UINT64_C(1) << i;
		bool new = coming & done & bit;

		if (!new && !(created & bit))
			continue;
		say(new ? "added %u" : "repaired %u", i);
		vips[i].awaited = false;
		announce_start(&vips[i], now);
	}
	coming &= ~done;
}

/* The keeper did something. */
void lease_results(us_t now)
{
	uint64_t done, created, failed;
	int errors[VIP_MAX];

	lifetimes_results(&done, &created, &failed, errors);
	if (phase != HOLDING)
		return;
	/* What was not wanted any more while the keeper was at it. */
	done &= wanted;
	created &= wanted;
	failed &= wanted;
	tell_results(done, created, now);
	for (unsigned i = 0; i < vip_count; i++) {
		if (!(failed & ~failing & UINT64_C(1) << i))
			continue;
		/*
		 * Too busy to answer is no refusal: what was there stays until its lifetime ends.
		 */
		if (errors[i] == ETIMEDOUT)
			say_error("the kernel does not answer for address %u; trying again", i);
		else
			deny(i, errors[i]);
	}
	missing = (missing & ~(done & asked)) | failed;
	failing = (failing & ~done) | failed;
	asked &= ~(done | failed);
	if (failed)
		repair_at = now + REPAIR_RETRY_US;
}

/* --- time --- */

void lease_due(us_t now)
{
	if (phase == REMOVING && now >= removal_at)
		removal_try(now);
	if (now >= refresh_at) {
		refresh_at = now + REFRESH_US;
		lifetimes_ensure(wanted);
	}
	if (now >= repair_at)
		repair(now);
}

static us_t earlier(us_t a, us_t b)
{
	return a < b ? a : b;
}

us_t lease_next(void)
{
	us_t next = earlier(removal_at, earlier(refresh_at, repair_at));

	return phase == HOLDING ? earlier(next, terms_end(&terms)) : next;
}
