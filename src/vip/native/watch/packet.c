/*
 * Packet sockets, four for each interface (ARP, IPv4, IPv6, helpers), each with its filter. They
 * are read by hear.c.
 */
#include "watch/packet.h"

#include <arpa/inet.h>
#include <errno.h>
#include <linux/filter.h>
#include <linux/if_ether.h>
#include <linux/if_packet.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/frame.h"
#include "base/output.h"
#include "watch/filter.h"

#define RECEIVE_BYTES (64 * 1024)

static const uint16_t protocols[PACKET_SOCKETS] = {
	[SOCKET_ARP] = ETH_P_ARP, [SOCKET_IP4] = ETH_P_IP, [SOCKET_IP6] = ETH_P_IPV6, [SOCKET_HELPER] = ETH_P_HELPER
};

static bool uses(const struct iface *iface, enum packet_socket which)
{
	for (unsigned i = 0; i < vip_count; i++)
		if (vips[i].iface == iface &&
		    (which == SOCKET_HELPER || (vips[i].address.family == AF_INET6) == (which == SOCKET_IP6)))
			return true;
	/* A copy of this router may have no other cable than that of a heartbeat link. */
	for (unsigned i = 0; i < fixed_count; i++)
		if (fixed[i].iface == iface && !fixed[i].peers && which == SOCKET_HELPER)
			return true;
	for (unsigned i = 0; i < target_count; i++)
		if (targets[i].iface == iface &&
		    which == (targets[i].address.family == AF_INET6 ? SOCKET_IP6 : SOCKET_ARP))
			return true;
	return false;
}

static int attach_filter(int fd, const struct iface *iface, enum packet_socket which)
{
	struct filter filter;
	struct sock_fprog program = { .filter = filter.code };

	filter_for(&filter, iface, which);
	program.len = filter.count;
	return setsockopt(fd, SOL_SOCKET, SO_ATTACH_FILTER, &program, sizeof(program));
}

/* One that cannot be put in leaves the one before. */
void packet_filter(const struct iface *iface, enum packet_socket which)
{
	if (iface->fd[which] >= 0)
		(void)attach_filter(iface->fd[which], iface, which);
}

/* The filter is in before the socket is bound, so nothing unfiltered ever gets in. */
static int packet_socket(const struct iface *iface, enum packet_socket which)
{
	struct sockaddr_ll address = { .sll_family = AF_PACKET,
				       .sll_protocol = htons(protocols[which]),
				       .sll_ifindex = atomic_load(&iface->index) };
	int bytes = RECEIVE_BYTES;
	int fd = socket(AF_PACKET, SOCK_RAW | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);

	if (fd < 0)
		return -1;
	setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &bytes, sizeof(bytes));
	if (attach_filter(fd, iface, which) < 0 ||
	    bind(fd, (struct sockaddr *)&address, sizeof(address)) < 0) {
		int error = errno;

		close(fd);
		errno = error;
		return -1;
	}
	return fd;
}

static void packet_close(struct iface *iface)
{
	for (int i = 0; i < PACKET_SOCKETS; i++) {
		if (iface->fd[i] >= 0)
			close(iface->fd[i]);
		iface->fd[i] = -1;
	}
}

void packet_open(struct iface *iface)
{
	packet_close(iface);
	if (atomic_load(&iface->index) == 0 || !iface->ethernet)
		return;
	for (enum packet_socket i = 0; i < PACKET_SOCKETS; i++) {
		if (!uses(iface, i))
			continue;
		iface->fd[i] = packet_socket(iface, i);
		if (iface->fd[i] < 0)
			say_error("cannot open a packet socket on %s: %s; announcements and probes fail there",
				  iface->name, strerror(errno));
	}
}
