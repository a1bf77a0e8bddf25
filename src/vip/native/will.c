/*
 * The last will: a datagram that pulse signed beforehand, sent to the peer on every link, three times. Only vipd.c calls
 * it, after the kernel confirmed every removal. TTL 1: it is for the neighbour, not for the world.
 */
#include "vipd.h"

#include <arpa/inet.h>
#include <errno.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

static const us_t copies_after[] = { 0, 5 * US_PER_MS, 20 * US_PER_MS };
#define COPIES (sizeof(copies_after) / sizeof(copies_after[0]))

/* A copy: pulse may set the next term's will while this one is still being repeated. */
static uint8_t datagram[WILL_BYTES_MAX];
static size_t datagram_bytes;
static us_t begun_at;
static size_t sent = COPIES;

static socklen_t socket_address(const struct inet *inet, uint16_t port, struct sockaddr_storage *out)
{
	memset(out, 0, sizeof(*out));
	if (inet->family == AF_INET6) {
		struct sockaddr_in6 *in6 = (struct sockaddr_in6 *)out;

		in6->sin6_family = AF_INET6;
		in6->sin6_port = htons(port);
		memcpy(&in6->sin6_addr, inet->bytes, 16);
		return sizeof(*in6);
	}
	struct sockaddr_in *in = (struct sockaddr_in *)out;

	in->sin_family = AF_INET;
	in->sin_port = htons(port);
	memcpy(&in->sin_addr, inet->bytes, 4);
	return sizeof(*in);
}

/* The local address may not be there yet (an interface that comes up late): tried again when the will goes out. */
static void open_link(struct link *link)
{
	struct sockaddr_storage local;
	socklen_t size = socket_address(&link->local, 0, &local);
	int one = 1;
	int fd = socket(link->local.family, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);

	if (fd < 0)
		return;
	int limited = link->local.family == AF_INET6
			      ? setsockopt(fd, IPPROTO_IPV6, IPV6_UNICAST_HOPS, &one, sizeof(one))
			      : setsockopt(fd, IPPROTO_IP, IP_TTL, &one, sizeof(one));

	if (limited < 0 || bind(fd, (struct sockaddr *)&local, size) < 0)
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

static void send_copies(void)
{
	for (unsigned i = 0; i < link_count; i++) {
		struct sockaddr_storage remote;
		socklen_t size = socket_address(&links[i].remote, links[i].port, &remote);
		char name[INET6_ADDRSTRLEN];

		if (links[i].fd >= 0 && sendto(links[i].fd, datagram, datagram_bytes, MSG_DONTWAIT | MSG_NOSIGNAL,
					       (struct sockaddr *)&remote, size) >= 0)
			continue;
		inet_text(&links[i].remote, name);
		say_error("cannot send the last will to %s: %s", name,
			  links[i].fd < 0 ? "its local address is missing" : strerror(errno));
	}
}

/* Sends the first copy at once. */
void will_begin(us_t now)
{
	memcpy(datagram, state.will, state.will_bytes);
	datagram_bytes = state.will_bytes;
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
