/*
 * When each address is announced: several times at first (a switch may lose one, a host may be
 * busy), then at a low rate for as long as it is held.
 */
#include "hold/announce.h"

#include <fcntl.h>
#include <net/if_arp.h>
#include <stdio.h>
#include <unistd.h>

#include "base/frame.h"
#include "base/send.h"

static const us_t announce_after[] = { 0,		 20 * US_PER_MS,   100 * US_PER_MS, 500 * US_PER_MS,
				       1000 * US_PER_MS, 2000 * US_PER_MS, 5000 * US_PER_MS };
#define STEPS (sizeof(announce_after) / sizeof(announce_after[0]))
#define EVERY_US (30 * US_PER_S)
#define SERVED_WAIT_US (20 * US_PER_MS)

/*
 * An advertisement without the router flag would take a gateway out of its hosts' router lists: say
 * what the kernel says.
 */
static bool forwards(const struct iface *iface)
{
	char path[80], value = '0';
	int fd;

	snprintf(path, sizeof(path), "/proc/sys/net/ipv6/conf/%s/forwarding", iface->real);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return false;
	if (read(fd, &value, 1) != 1)
		value = '0';
	close(fd);
	return value != '0';
}

/*
 * Gratuitous ARP in both forms. Linux takes a reply as gratuitous only with our own MAC as its
 * target too (arp_is_garp in net/ipv4/arp.c); other systems want the request.
 */
static void announce(const struct vip *vip)
{
	const struct iface *iface = vip->iface;
	const uint8_t *address = vip->address.bytes;
	uint8_t frame[FRAME_BYTES_MAX];

	if (!iface->ethernet)
		return;
	if (vip->address.family == AF_INET6) {
		frame_send(iface, SOCKET_IP6, frame, frame_advertisement(frame, iface->mac, &vip->address, forwards(iface)));
		return;
	}
	frame_send(iface, SOCKET_ARP, frame, frame_arp(frame, ARPOP_REQUEST, iface->mac, address, mac_broadcast, address));
	frame_send(iface, SOCKET_ARP, frame, frame_arp(frame, ARPOP_REPLY, iface->mac, address, iface->mac, address));
}

/*
 * Starts the schedule of one address anew, with an announcement at the next announce_due(). An IPv6
 * address is served only some milliseconds after the kernel confirmed it (its DAD worker installs
 * the route even with NODAD; seen: 2 to 15 ms): announced before that, it would draw packets that
 * nobody takes. lease_served() starts it again then.
 */
void announce_start(struct vip *vip, us_t now)
{
	vip->announce_step = 0;
	vip->announce_at = now + (vip->awaited ? SERVED_WAIT_US : 0);
}

/* False when nothing was announced yet: all wait for the kernel. */
bool announce_all(uint64_t mask, us_t now)
{
	bool announced = false;

	for (unsigned i = 0; i < vip_count; i++) {
		if (!(mask & UINT64_C(1) << i))
			continue;
		announce_start(&vips[i], now);
		announced = announced || vips[i].announce_at <= now;
	}
	announce_due(now);
	return announced;
}

void announce_stop(void)
{
	for (unsigned i = 0; i < vip_count; i++)
		vips[i].announce_at = NEVER;
}

us_t announce_next(void)
{
	us_t next = NEVER;

	for (unsigned i = 0; i < vip_count; i++)
		next = vips[i].announce_at < next ? vips[i].announce_at : next;
	return next;
}

void announce_due(us_t now)
{
	for (unsigned i = 0; i < vip_count; i++) {
		struct vip *vip = &vips[i];

		if (now < vip->announce_at)
			continue;
		announce(vip);
		vip->announce_step++;
		/*
		 * From now, not from when it was due: after a stop of the process, missed ones are
		 * not made up for.
		 */
		vip->announce_at = now + (vip->announce_step < STEPS ? announce_after[vip->announce_step] -
									       announce_after[vip->announce_step - 1]
								     : EVERY_US);
	}
}
