/*
 * A witness for the tests: `wire watch IFACE PORT` prints address removals and UDP datagrams to PORT in the order in
 * which the kernel saw them; `wire send IFACE HEX [COUNT]` puts a frame on the wire, COUNT times, 5,000 a second at
 * most; `wire noise SOURCE TARGET PORT COUNT` sends datagrams that
 * no peer would, from PORT of a forged SOURCE; `wire notify PATH -` prints what a service
 * manager's socket gets. Test only, run in the test's namespaces.
 *
 * Order: a removal's event is queued before the removal is acknowledged. On a datagram all queued events are printed
 * first, so a removal printed after it was confirmed after it was sent.
 */
#include <arpa/inet.h>
#include <linux/if_ether.h>
#include <linux/if_packet.h>
#include <linux/rtnetlink.h>
#include <net/if.h>
#include <poll.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

static long long now_us(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (long long)ts.tv_sec * 1000000 + ts.tv_nsec / 1000;
}

static void drain(int events)
{
	_Alignas(struct nlmsghdr) static char buffer[65536];
	ssize_t n;

	while ((n = recv(events, buffer, sizeof(buffer), MSG_DONTWAIT)) > 0) {
		size_t left = (size_t)n;

		for (struct nlmsghdr *h = (struct nlmsghdr *)buffer; NLMSG_OK(h, left); h = NLMSG_NEXT(h, left)) {
			struct ifaddrmsg *body = NLMSG_DATA(h);
			size_t size = IFA_PAYLOAD(h);
			char text[64] = "?";

			if (h->nlmsg_type != RTM_DELADDR && h->nlmsg_type != RTM_NEWADDR)
				continue;
			for (struct rtattr *a = IFA_RTA(body); RTA_OK(a, size); a = RTA_NEXT(a, size))
				if (a->rta_type == IFA_ADDRESS)
					inet_ntop(body->ifa_family, RTA_DATA(a), text, sizeof(text));
			printf("%lld %s %s\n", now_us(), h->nlmsg_type == RTM_DELADDR ? "gone" : "set", text);
		}
	}
}

static void packet(int fd, unsigned port)
{
	static uint8_t frame[2048];
	ssize_t n = recv(fd, frame, sizeof(frame), MSG_DONTWAIT);

	if (n < 42 || frame[12] != 8 || frame[13] != 0 || frame[23] != 17)
		return;
	size_t head = (size_t)(frame[14] & 15) * 4 + 14;
	unsigned to = (unsigned)frame[head + 2] << 8 | frame[head + 3];
	unsigned size = (unsigned)frame[head + 4] << 8 | frame[head + 5];

	if (to != port || (size_t)n < head + size)
		return;
	printf("%lld udp from=%u ttl=%u %u.%u.%u.%u ", now_us(), (unsigned)frame[head] << 8 | frame[head + 1], frame[22],
	       frame[30], frame[31], frame[32], frame[33]);
	for (size_t i = head + 8; i < head + size; i++)
		printf("%02x", frame[i]);
	printf("\n");
}

static int notify(const char *path)
{
	struct sockaddr_un self = { .sun_family = AF_UNIX };
	int fd = socket(AF_UNIX, SOCK_DGRAM, 0);
	char text[1024];
	ssize_t n;

	snprintf(self.sun_path, sizeof(self.sun_path), "%s", path);
	if (fd < 0 || bind(fd, (struct sockaddr *)&self, sizeof(self)) < 0)
		return 71;
	printf("%lld ready\n", now_us());
	while ((n = recv(fd, text, sizeof(text), 0)) >= 0)
		printf("%.*s\n", (int)n, text);
	return 0;
}

/* Empty, too long, cut off, forged, then random ones; from the peer's own port, which its pulse has. */
static int noise(const char *source, const char *target, unsigned port, long count)
{
	struct sockaddr_in to = { .sin_family = AF_INET };
	int fd = socket(AF_INET, SOCK_RAW, IPPROTO_RAW);

	if (fd < 0 || inet_pton(AF_INET, target, &to.sin_addr) != 1)
		return 71;
	for (long i = 0; i < count; i++) {
		static const size_t made[] = { 0, 1400, 10, 120 };
		uint8_t packet[20 + 8 + 1400] = { 0x45, [8] = 1, [9] = 17 };
		size_t n = i < 4 ? made[i] : (size_t)(rand() % 300);
		uint8_t *udp = packet + 20;

		inet_pton(AF_INET, source, packet + 12);
		inet_pton(AF_INET, target, packet + 16);
		udp[0] = udp[2] = (uint8_t)(port >> 8);
		udp[1] = udp[3] = (uint8_t)port;
		udp[4] = (uint8_t)((n + 8) >> 8);
		udp[5] = (uint8_t)(n + 8);
		for (size_t k = 0; k < n; k++)
			udp[8 + k] = i < 4 ? 0x54 : (uint8_t)rand();
		if (i == 3)
			memcpy(udp + 8, "TNDM\1", 5);
		if (sendto(fd, packet, 28 + n, 0, (struct sockaddr *)&to, sizeof(to)) < 0)
			return 71;
		usleep(100);
	}
	return 0;
}

int main(int argc, char **argv)
{
	struct sockaddr_nl groups = { .nl_family = AF_NETLINK, .nl_groups = RTMGRP_IPV4_IFADDR | RTMGRP_IPV6_IFADDR };
	struct sockaddr_ll device = { .sll_family = AF_PACKET, .sll_protocol = htons(ETH_P_ALL) };

	if (argc < 4)
		return 64;
	setvbuf(stdout, NULL, _IOLBF, 0);
	if (strcmp(argv[1], "notify") == 0)
		return notify(argv[2]);
	if (strcmp(argv[1], "noise") == 0 && argc == 6)
		return noise(argv[2], argv[3], (unsigned)atoi(argv[4]), atol(argv[5]));
	device.sll_ifindex = (int)if_nametoindex(argv[2]);
	int fd = socket(AF_PACKET, SOCK_RAW, htons(ETH_P_ALL));

	if (fd < 0 || bind(fd, (struct sockaddr *)&device, sizeof(device)) < 0)
		return 71;
	if (strcmp(argv[1], "send") == 0) {
		uint8_t frame[1514];
		size_t n = 0;

		for (const char *hex = argv[3]; hex[0] && hex[1] && n < sizeof(frame); hex += 2) {
			unsigned byte;

			if (sscanf(hex, "%2x", &byte) != 1)
				return 65;
			frame[n++] = (uint8_t)byte;
		}
		for (long left = argc > 4 ? atol(argv[4]) : 1; left > 0; left--) {
			if (send(fd, frame, n, 0) != (ssize_t)n)
				return 71;
			if (left > 1)
				usleep(200);
		}
		return 0;
	}
	int events = socket(AF_NETLINK, SOCK_RAW, NETLINK_ROUTE);
	struct pollfd set[] = { { .fd = events, .events = POLLIN }, { .fd = fd, .events = POLLIN }, { .events = POLLIN } };

	if (events < 0 || bind(events, (struct sockaddr *)&groups, sizeof(groups)) < 0)
		return 71;
	printf("%lld ready\n", now_us());
	while (poll(set, 3, -1) > 0 && !set[2].revents) {
		drain(events);
		if (set[1].revents)
			packet(fd, (unsigned)atoi(argv[3]));
	}
	return 0;
}
