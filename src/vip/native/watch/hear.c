/*
 * The one place where bytes from the network are received. A socket that is flooded rests for a
 * moment, so that the loop gets to the lease.
 */
#include "watch/hear.h"

#include <string.h>
#include <sys/socket.h>

#include "base/frame.h"
#include "watch/conflict.h"
#include "watch/fixed.h"
#include "watch/neighbours.h"
#include "watch/probe.h"
#include "watch/targets.h"

#define READS_MAX 32 /* frames taken from one socket before the loop looks at the lease again */
#define REST_US (5 * US_PER_MS)

static void dispatch(struct iface *iface, const struct heard *heard, us_t now)
{
	/* Our own frames come back from hubs and bridges; a claim with our MAC is no rival. */
	if (memcmp(heard->mac, iface->mac, 6) == 0)
		return;
	for (unsigned i = 0; i < vip_count; i++) {
		if (vips[i].iface != iface || !inet_equal(&vips[i].address, &heard->sender))
			continue;
		probe_hear(i, heard, now);
		if (heard->kind == HEARD_ARP || heard->kind == HEARD_NA)
			conflict_hear(i, heard, now);
	}
	targets_hear(iface, heard, now);
	neighbours_hear(iface, heard, now);
	fixed_hear(iface, heard);
}

/*
 * A flood that gets through the filter fills the socket's buffer and is dropped there while we
 * rest.
 */
void hear(struct iface *iface, enum packet_socket which, us_t now)
{
	uint8_t frame[FRAME_BYTES_MAX];
	struct heard heard;

	if (iface->fd[which] < 0)
		return;
	for (int reads = 0; reads < READS_MAX; reads++) {
		ssize_t n = recv(iface->fd[which], frame, sizeof(frame), MSG_DONTWAIT);

		/*
		 * ENETDOWN is told once when the interface goes down; link events tell it better.
		 */
		if (n < 0)
			return;
		if (frame_read(frame, (size_t)n, &heard))
			dispatch(iface, &heard, now);
	}
	iface->rest_until[which] = now + REST_US;
}

/* When the next resting socket is to be read again; NEVER when none rests. */
us_t hear_next(us_t now)
{
	us_t next = NEVER;

	for (unsigned i = 0; i < iface_count; i++)
		for (unsigned j = 0; j < PACKET_SOCKETS; j++)
			if (ifaces[i].rest_until[j] > now && ifaces[i].rest_until[j] < next)
				next = ifaces[i].rest_until[j];
	return next;
}
