/*
 * Sending, and the question that several files ask: who has this address?
 */
#include "base/send.h"

#include <net/if_arp.h>
#include <string.h>
#include <sys/socket.h>

#include "base/frame.h"

/*
 * A frame that does not go out (no carrier, full queue) is not missed: announcements and probes are
 * repeated.
 */
void frame_send(const struct iface *iface, enum packet_socket which, const uint8_t *frame, size_t size)
{
	if (iface->fd[which] >= 0)
		(void)send(iface->fd[which], frame, size, MSG_DONTWAIT | MSG_NOSIGNAL);
}

/*
 * Asks who has an address: at `mac`, or (NULL) everybody. Without an address of our own there:
 * a probe (RFC 5227), which is answered too.
 */
void frame_ask(const struct iface *iface, const uint8_t *mac, const struct inet *from, const struct inet *address)
{
	static const uint8_t nobody[6];
	uint8_t frame[FRAME_BYTES_MAX];

	if (address->family == AF_INET6) {
		frame_send(iface, SOCKET_IP6, frame, frame_solicitation(frame, iface->mac, mac, from, address));
		return;
	}
	size_t size = frame_arp(frame, ARPOP_REQUEST, iface->mac, from->bytes, nobody, address->bytes);

	memcpy(frame + ETH_AT_TO, mac ? mac : mac_broadcast, 6);
	frame_send(iface, SOCKET_ARP, frame, size);
}
