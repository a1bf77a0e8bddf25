/*
 * Reachability, sampled all the time: do the targets (gateway, real servers) answer, do frames come
 * in at all? So that a router can tell a dead LAN of its own from a dead peer. Evidence only; what
 * it means is pulse's to decide.
 *
 * A target is asked every EVERY by ARP or neighbour solicitation, and silent when nothing came back
 * for WINDOW. Only an answer to us counts: a host that is heard, but does not hear us, is not
 * reached. Time in which we did not run is nobody's silence: it is taken off.
 */
#include "watch/targets.h"

#include <stdlib.h>
#include <string.h>

#include "base/contents.h"
#include "base/output.h"
#include "base/send.h"
#include "watch/neighbours.h"

#define BROADCAST_EVERY 8 /* asked at its last MAC; each so many times at everybody's, as that may have changed */
#define LATE_US (2 * US_PER_MS)

static us_t every, window;
static us_t due_at = NEVER;

enum told { NOTHING, YES, NO };

static void tell_target(unsigned index, enum told word)
{
	if (targets[index].told == (int)word)
		return;
	targets[index].told = (int)word;
	say("target %u %s", index, word == YES ? "up" : "down");
}

static void tell_traffic(struct iface *iface, enum told word)
{
	if (iface->told == (int)word)
		return;
	iface->told = (int)word;
	say("traffic %s %s", iface->name, word == YES ? "alive" : "silent");
}

static void ask(struct target *target)
{
	/* One that does not answer at its last MAC may have another one by now. */
	bool directly = target->known && target->answered && target->asked % BROADCAST_EVERY != 0;

	target->asked++;
	target->answered = false;
	frame_ask(target->iface, directly ? target->mac : NULL, &target->own, &target->address);
}

/* A target on this interface has last answered from that MAC. */
bool targets_have(const struct iface *iface, const uint8_t mac[6])
{
	for (unsigned i = 0; i < target_count; i++)
		if (targets[i].iface == iface && targets[i].known && memcmp(targets[i].mac, mac, 6) == 0)
			return true;
	return false;
}

/* A frame that speaks for a target. */
void targets_hear(const struct iface *iface, const struct heard *heard, us_t now)
{
	if (due_at == NEVER || (heard->kind != HEARD_ARP && heard->kind != HEARD_NA))
		return;
	for (unsigned i = 0; i < target_count; i++) {
		struct target *t = &targets[i];
		bool to_us = heard->answer && memcmp(heard->eth_to, iface->mac, 6) == 0;

		if (t->iface != iface || !inet_equal(&t->address, &heard->sender))
			continue;
		/* Asked from the unspecified address, IPv6 hosts answer to all nodes. */
		if (!to_us && !(heard->kind == HEARD_NA && t->own.family == AF_UNSPEC))
			continue;
		memcpy(t->mac, heard->mac, 6);
		t->known = t->answered = true;
		t->heard_at = now;
		tell_target(i, YES);
	}
}

/* "  NAME: BYTES PACKETS …": the packets received; false when the interface is not there. */
static bool packets_in(const char *text, const char *name, uint64_t *packets)
{
	size_t length = strlen(name);

	for (const char *line = text; line; line = strchr(line, '\n'), line = line ? line + 1 : NULL) {
		while (*line == ' ')
			line++;
		if (strncmp(line, name, length) != 0 || line[length] != ':')
			continue;
		char *end;

		(void)strtoull(line + length + 1, &end, 10);
		*packets = strtoull(end, NULL, 10);
		return true;
	}
	return false;
}

/*
 * /proc/net/dev is the one way that neither waits for the kernel's lock of link changes nor depends
 * on what /sys shows.
 */
static void look_at_traffic(us_t now)
{
	const char *text = contents("/proc/net/dev");

	for (unsigned i = 0; i < iface_count; i++) {
		struct iface *iface = &ifaces[i];
		uint64_t packets;

		if (!iface->sampled)
			continue;
		if (iface->up && packets_in(text, iface->real, &packets) && packets != iface->packets) {
			/* The first look only learns the number. */
			if (iface->counted) {
				iface->traffic_at = now;
				tell_traffic(iface, YES);
			}
			iface->packets = packets;
			iface->counted = true;
		}
		if (!iface->up || now - iface->traffic_at >= window)
			tell_traffic(iface, NO);
	}
}

/* The carrier changed: that an interface is dead need not wait for the next sample. */
void traffic_link(struct iface *iface)
{
	if (due_at != NEVER && iface->sampled && !iface->up)
		tell_traffic(iface, NO);
}

/* From now on; all is told anew. Zero ends it. */
void sample(us_t new_every, us_t new_window, us_t now)
{
	bool running = due_at != NEVER;

	every = new_every;
	window = new_window;
	due_at = every > 0 && window > 0 ? now : NEVER;
	neighbours_tell_anew();
	for (unsigned i = 0; i < target_count; i++) {
		targets[i].told = NOTHING;
		if (!running)
			targets[i].heard_at = now;
		else if (targets[i].known && now - targets[i].heard_at < window)
			tell_target(i, YES);
	}
	for (unsigned i = 0; i < iface_count; i++) {
		ifaces[i].told = NOTHING;
		if (!running) {
			ifaces[i].traffic_at = now;
			ifaces[i].counted = false;
		} else if (ifaces[i].sampled && ifaces[i].up && ifaces[i].counted && now - ifaces[i].traffic_at < window) {
			tell_traffic(&ifaces[i], YES);
		}
	}
}

/*
 * What came in while we may have slept is read first; then the silence is judged, then asked anew.
 * True: it was time for that.
 */
bool sample_due(us_t now, hear_function *hear)
{
	if (now < due_at)
		return false;
	us_t late = now - due_at > LATE_US ? now - due_at : 0;

	for (unsigned i = 0; i < target_count; i++) {
		targets[i].heard_at = clock_put_off(targets[i].heard_at, late, now);
		hear(targets[i].iface, targets[i].address.family == AF_INET6 ? SOCKET_IP6 : SOCKET_ARP, now);
	}
	for (unsigned i = 0; i < iface_count; i++)
		ifaces[i].traffic_at = clock_put_off(ifaces[i].traffic_at, late, now);
	for (unsigned i = 0; i < target_count; i++) {
		if (now - targets[i].heard_at >= window)
			tell_target(i, NO);
		ask(&targets[i]);
	}
	look_at_traffic(now);
	neighbours_sample(window, now, late, hear);
	due_at = now + every;
	return true;
}

us_t sample_next(void)
{
	return due_at;
}
