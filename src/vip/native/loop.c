/*
 * The poll loop: waits, and sees to it that the lease is looked at before anything that was queued
 * meanwhile. What happens is passed on from here to those whom it concerns, so that they need not
 * know each other.
 */
#include "loop.h"

#include <errno.h>
#include <poll.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "base/output.h"
#include "base/tables.h"
#include "hold/announce.h"
#include "hold/lease.h"
#include "hold/lifetimes.h"
#include "hold/netlink.h"
#include "hold/packet-lease.h"
#include "hold/will.h"
#include "pipe/command.h"
#include "watch/fixed.h"
#include "watch/hear.h"
#include "watch/iface.h"
#include "watch/packet.h"
#include "watch/place.h"
#include "watch/probe.h"
#include "watch/targets.h"

/* What is waited for; the packet sockets of all interfaces follow. */
enum { POLL_COMMANDS, POLL_OUTPUT, POLL_EVENTS, POLL_LIFETIMES, POLL_PACKET_LEASE, POLL_PACKETS };
#define POLL_MAX (POLL_PACKETS + IFACE_MAX * PACKET_SOCKETS)

static int events_fd = -1;
static bool pipe_open = true;

/* --- what the kernel tells --- */

static void link_changed(struct iface *iface)
{
	struct link_change change = iface_reread(iface);

	if (change.reopen)
		packet_open(iface);
	if (change.replaced && atomic_load(&iface->index) != 0)
		packet_lease_interface(iface->name);
	if (!change.news)
		return;
	links_tell(iface);
	traffic_link(iface);
	for (unsigned i = 0; i < vip_count; i++) {
		if (vips[i].iface != iface || !serving(i))
			continue;
		if (iface->up)
			announce_start(&vips[i], clock_now());
		if (change.replaced)
			lease_lost(i);
	}
}

static void link_event(const struct event *event)
{
	places_changed();
	for (unsigned i = 0; i < iface_count; i++) {
		int index = atomic_load(&ifaces[i].index);

		/*
		 * Another one may have got the name. An event does not tell alternative names: one
		 * that is missing is looked for at each.
		 */
		if (index != 0 && index != event->link && strcmp(ifaces[i].name, event->name) != 0)
			continue;
		link_changed(&ifaces[i]);
		/* Down and up again before we looked: what went meanwhile went with the carrier. */
		if (!event->running && event->link == atomic_load(&ifaces[i].index))
			ifaces[i].up_since = clock_now();
	}
}

static void address_event(const struct event *event)
{
	places_changed();
	fixed_event(&event->address, &event->where, event->usable, event->there);
	if (event->vip == VIP_MAX)
		return;
	if (event->there)
		lease_served(event->vip);
	else
		lease_lost(event->vip);
}

/* Events were lost: look at all links, and have the keeper of lifetimes look at all addresses. */
static void look_anew(void)
{
	for (unsigned i = 0; i < iface_count; i++)
		link_changed(&ifaces[i]);
	lifetimes_ensure(wanted_vips());
	fixed_list();
	places_changed();
}

void loop_events(void)
{
	struct event event;

	for (;;) {
		switch (events_next(events_fd, &event)) {
		case EVENT_LINK:
			link_event(&event);
			break;
		case EVENT_ADDRESS:
			address_event(&event);
			break;
		case EVENTS_LOST:
			look_anew();
			return;
		case EVENTS_DONE:
			return;
		}
	}
}

/* --- time --- */

static void tell_silence(us_t now)
{
	probes_due(now, hear);
}

static void take_sample(us_t now)
{
	if (sample_due(now, hear))
		fixed_look(now);
}

/* No event tells of an alternative name that is given to an interface which is not up. */
static void look_at_places(us_t now)
{
	if (now < places_next())
		return;
	for (unsigned i = 0; i < iface_count; i++)
		link_changed(&ifaces[i]);
	places_tell(now);
}

static void renew_packet_lease(us_t now)
{
	if (packet_lease_due(now))
		serve_packet_lease();
}

/* In this order, all of them each time round. */
static const struct timer {
	us_t (*next)(void);
	void (*due)(us_t now);
} timers[] = {
	{ lease_next, lease_due },    { announce_next, announce_due }, { fixed_next, fixed_tell },
	{ places_next, look_at_places }, { probes_next, tell_silence },   { sample_next, take_sample },
	{ packet_lease_next, renew_packet_lease }, { will_next, will_run },
};
#define TIMERS (sizeof(timers) / sizeof(timers[0]))

static us_t next_due(us_t now)
{
	us_t next = hear_next(now);

	for (size_t i = 0; i < TIMERS; i++) {
		us_t at = timers[i].next();

		next = at < next ? at : next;
	}
	return next;
}

/* --- what is waited for --- */

/* One read each time round: whoever writes without end must not keep us from the lease. */
static void read_commands(void)
{
	char bytes[4096];
	ssize_t n = read(STDIN_FILENO, bytes, sizeof(bytes));

	if (n > 0)
		command_bytes(bytes, (size_t)n);
	else if (n == 0 || (errno != EINTR && errno != EAGAIN))
		pipe_open = false;
	if (!pipe_open)
		lease_pipe_closed(fixed_mute(), clock_now());
}

static nfds_t poll_set(struct pollfd set[POLL_MAX], us_t now)
{
	nfds_t n = POLL_PACKETS;

	/* A negative descriptor is skipped by poll(2). */
	set[POLL_COMMANDS] = (struct pollfd){ .fd = pipe_open ? STDIN_FILENO : -1, .events = POLLIN };
	set[POLL_OUTPUT] = (struct pollfd){ .fd = output_pending() ? STDOUT_FILENO : -1, .events = POLLOUT };
	set[POLL_EVENTS] = (struct pollfd){ .fd = events_fd, .events = POLLIN };
	set[POLL_LIFETIMES] = (struct pollfd){ .fd = lifetimes_fd(), .events = POLLIN };
	set[POLL_PACKET_LEASE] = (struct pollfd){ .fd = packet_lease_fd(), .events = POLLIN };
	for (unsigned i = 0; i < iface_count; i++)
		for (int j = 0; j < PACKET_SOCKETS; j++)
			set[n++] = (struct pollfd){ .fd = now < ifaces[i].rest_until[j] ? -1 : ifaces[i].fd[j],
						    .events = POLLIN };
	return n;
}

static int wait_until(us_t at, struct pollfd *set, nfds_t n)
{
	us_t left = at == NEVER ? NEVER : at - clock_now();
	struct timespec timeout = { .tv_sec = left / US_PER_S, .tv_nsec = left % US_PER_S * 1000 };

	if (left < 0)
		timeout = (struct timespec){ 0 };
	return ppoll(set, n, left == NEVER ? NULL : &timeout, NULL);
}

static void lifetimes_told(void)
{
	lease_results(clock_now());
	const struct places *list = lifetimes_listed();

	if (list)
		fixed_listed(list);
}

static void serve_ready(const struct pollfd set[POLL_MAX])
{
	if (set[POLL_COMMANDS].revents)
		read_commands();
	if (set[POLL_OUTPUT].revents)
		output_flush();
	if (set[POLL_LIFETIMES].revents)
		lifetimes_told();
	if (set[POLL_PACKET_LEASE].revents)
		packet_lease_read(clock_now());
	for (unsigned i = 0; i < iface_count; i++)
		for (enum packet_socket j = 0; j < PACKET_SOCKETS; j++)
			if (set[POLL_PACKETS + i * PACKET_SOCKETS + j].revents)
				hear(&ifaces[i], j, clock_now());
	if (set[POLL_EVENTS].revents)
		loop_events();
}

/* The pipe is closed and nothing is left to remove or to send. */
static bool finished(void)
{
	return !pipe_open && lease_idle() && will_next() == NEVER;
}

void loop_open(int fd)
{
	events_fd = fd;
}

void loop_run(void)
{
	struct pollfd set[POLL_MAX];

	while (!finished()) {
		lease_check(clock_now());
		us_t now = clock_now();

		for (size_t i = 0; i < TIMERS; i++)
			timers[i].due(now);
		if (finished())
			break;
		now = clock_now();
		us_t next = next_due(now);
		nfds_t n = poll_set(set, now);
		int ready = wait_until(next, set, n);

		/* We may have been stopped for long: first the lease, then what was queued. */
		lease_check(clock_now());
		if (ready > 0)
			serve_ready(set);
	}
	output_flush();
}
