/*
 * The last will: a datagram that pulse signed beforehand, sent to the peer on every link, three
 * times. It is begun only after the kernel confirmed every removal. TTL 1: it is for the neighbour,
 * not for the world.
 *
 * It comes from the heartbeat's own port, since the peer's socket is connected to that and hears no
 * other. pulse may still have the port (stopped, or late), so it is a raw socket that makes its own
 * UDP header (udp(7), raw(7)).
 */
#include "hold/will.h"

#include <arpa/inet.h>
#include <errno.h>
#include <linux/filter.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/output.h"
#include "base/tables.h"
#include "hold/state.h"

static const us_t copies_after[] = { 0, 5 * US_PER_MS, 20 * US_PER_MS };
#define COPIES (sizeof(copies_after) / sizeof(copies_after[0]))

/* Offsets in the UDP header. */
enum { UDP_AT_SOURCE = 0, UDP_AT_DESTINATION = 2, UDP_AT_LENGTH = 4, UDP_AT_CHECKSUM = 6, UDP_HEADER = 8 };

/*
 * A copy: pulse may set the next term's will while this one is still being repeated. The UDP header
 * comes first.
 */
static uint8_t datagram[UDP_HEADER + WILL_BYTES_MAX];
static size_t datagram_bytes;
static us_t begun_at;
static size_t sent = COPIES;

/*
 * The local address may not be there yet (an interface that comes up late): tried again when the
 * will goes out.
 */
static void open_link(struct link *link)
{
	struct sockaddr_storage local;
	socklen_t size = inet_socket(&link->local, 0, &local);
	/* A raw socket hears all UDP of the router: this program lets none of it in. */
	struct sock_filter nothing = BPF_STMT(BPF_RET | BPF_K, 0);
	struct sock_fprog deaf = { .len = 1, .filter = &nothing };
	int one = 1, checksum_at = UDP_AT_CHECKSUM;
	int fd = socket(link->local.family, SOCK_RAW | SOCK_CLOEXEC | SOCK_NONBLOCK, IPPROTO_UDP);

	if (fd < 0)
		return;
	/*
	 * IPv6 wants a checksum (the kernel makes it); IPv4 takes 0 for none, and the will has a
	 * better one of its own.
	 */
	bool six = link->local.family == AF_INET6;
	bool set = setsockopt(fd, SOL_SOCKET, SO_ATTACH_FILTER, &deaf, sizeof(deaf)) == 0 &&
		   (six ? setsockopt(fd, IPPROTO_IPV6, IPV6_UNICAST_HOPS, &one, sizeof(one)) == 0 &&
				  setsockopt(fd, IPPROTO_IPV6, IPV6_CHECKSUM, &checksum_at, sizeof(checksum_at)) == 0
			: setsockopt(fd, IPPROTO_IP, IP_TTL, &one, sizeof(one)) == 0);

	if (!set || bind(fd, (struct sockaddr *)&local, size) < 0)
		close(fd);
	else
		link->fd = fd;
}

void will_open(void)
{
	for (unsigned i = 0; i < link_count; i++)
		if (links[i].fd < 0)
			open_link(&links[i]);
}

/* From the heartbeat's port of a link to the same at the peer. */
static void address_to(uint16_t port)
{
	uint16_t field = htons(port);

	memcpy(datagram + UDP_AT_SOURCE, &field, sizeof(field));
	memcpy(datagram + UDP_AT_DESTINATION, &field, sizeof(field));
}

static void send_copies(void)
{
	for (unsigned i = 0; i < link_count; i++) {
		struct sockaddr_storage remote;
		socklen_t size = inet_socket(&links[i].remote, 0, &remote);
		char name[INET6_ADDRSTRLEN];

		address_to(links[i].port);
		if (links[i].fd >= 0 && sendto(links[i].fd, datagram, datagram_bytes, MSG_DONTWAIT | MSG_NOSIGNAL,
					       (struct sockaddr *)&remote, size) >= 0)
			continue;
		format_inet(&links[i].remote, name);
		say_error("cannot send the last will to %s: %s", name,
			  links[i].fd < 0 ? "its local address is missing" : strerror(errno));
	}
}

/* Sends the first copy at once. */
void will_begin(us_t now)
{
	uint16_t length = htons((uint16_t)(UDP_HEADER + state.will_bytes));

	memset(datagram, 0, UDP_HEADER);
	memcpy(datagram + UDP_AT_LENGTH, &length, sizeof(length));
	memcpy(datagram + UDP_HEADER, state.will, state.will_bytes);
	datagram_bytes = UDP_HEADER + state.will_bytes;
	begun_at = now;
	sent = 0;
	will_open();
	will_run(now);
}

us_t will_next(void)
{
	return sent < COPIES ? begun_at + copies_after[sent] : NEVER;
}

void will_run(us_t now)
{
	while (sent < COPIES && now >= begun_at + copies_after[sent]) {
		sent++;
		send_copies();
	}
}
