/*
 * The client of scripts/bench failover, in the client's namespace: each millisecond one echo request to the VIP the way any program's
 * packets go (through the kernel's neighbour table), and one straight to each router's MAC, so that who serves is known on the packet
 * path. Beside it every announcement of the VIP on the LAN and every change of it in the routers' kernels. All times CLOCK_MONOTONIC
 * in microseconds; arrivals are stamped by the kernel. Nothing is written before the end: a full pipe must not delay a probe.
 *
 *   failover-probe watch IFACE VIP OWN MAC1 MAC2 NETNS1 NETNS2 SECONDS_MAX   prints "ready", ends with its stdin, then tells all:
 *       p SENT ANSWER ANSWER ANSWER    a probe: by the kernel's way, to MAC1, to MAC2; ANSWER is "-" or ROUND_TRIP:BY (1, 2, 0 other)
 *       g AT BY request|reply          an announcement of the VIP
 *       a AT 1|2 set|gone              the VIP in a router's kernel
 *       m COUNT LATE_MAX               probes that were never sent because this program was late; its greatest lateness
 *   failover-probe burn                a busy loop, for load
 *   failover-probe disk FILE           writes and syncs FILE (64 MiB) for ever, for load
 *
 * Test only.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
/* Before every linux/ header: those step back for it, not the other way round. */
#include <net/if.h>
#include <linux/icmp.h>
#include <linux/if_ether.h>
#include <linux/if_packet.h>
#include <linux/rtnetlink.h>
#include <poll.h>
#include <sched.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/timerfd.h>
#include <sysexits.h>
#include <time.h>
#include <unistd.h>

enum { WAYS = 3, EVENTS_MAX = 65536, SECONDS_MAX = 7200, TICK_US = 1000, DRAIN_MS = 50, FRAME = 14 + 20 + 8 + 8 };

/* linux/icmp.h has it, netinet/raw.h is gone: level and option of the filter that keeps replies out of the sending socket. */
#ifndef SOL_RAW
#define SOL_RAW 255
#endif

struct answer {
	int32_t rtt_us; /* 0: none */
	int32_t by;
};

struct probe {
	int64_t sent_us;
	struct answer answers[WAYS];
};

struct event {
	int64_t at_us;
	char kind;
	uint8_t by;
	const char *what;
};

static struct {
	uint8_t macs[2][6];
	uint8_t own_mac[6];
	struct sockaddr_in vip;
	uint32_t own;
	int ifindex;
	int kernel_way;
	int raw;
	int netlink[2];
	struct probe *probes;
	uint32_t probes_max;
	uint32_t probes_count;
	struct event events[EVENTS_MAX];
	uint32_t events_count;
	uint64_t missed;
	int64_t late_us_max;
} self;

static int64_t clock_us(clockid_t clock)
{
	struct timespec ts;

	clock_gettime(clock, &ts);
	return (int64_t)ts.tv_sec * 1000000 + ts.tv_nsec / 1000;
}

static void note(int64_t at_us, char kind, uint8_t by, const char *what)
{
	if (self.events_count < EVENTS_MAX)
		self.events[self.events_count++] = (struct event){ at_us, kind, by, what };
}

static uint16_t checksum(const void *data, size_t size)
{
	const uint8_t *bytes = data;
	uint32_t sum = 0;

	for (size_t i = 0; i + 1 < size; i += 2)
		sum += (uint32_t)(bytes[i] << 8 | bytes[i + 1]);
	while (sum >> 16)
		sum = (sum & 0xffff) + (sum >> 16);
	return htons((uint16_t)~sum);
}

/* The identifier tells the way, the payload the number of the probe and of this process. */
static void put_icmp(uint8_t *at, uint32_t number, unsigned way)
{
	struct icmphdr head = { .type = ICMP_ECHO, .un.echo = { htons((uint16_t)(0x7e10 + way)), htons((uint16_t)number) } };
	uint32_t body[2] = { number, (uint32_t)getpid() };

	memcpy(at, &head, sizeof(head));
	memcpy(at + sizeof(head), body, sizeof(body));
	head.checksum = checksum(at, sizeof(head) + sizeof(body));
	memcpy(at, &head, sizeof(head));
}

static void send_direct(uint32_t number, unsigned router)
{
	uint8_t frame[FRAME] = { 0 };
	struct sockaddr_ll to = { .sll_family = AF_PACKET, .sll_ifindex = self.ifindex, .sll_halen = 6 };
	uint8_t *ip = frame + 14;
	uint16_t sum;

	memcpy(frame, self.macs[router], 6);
	memcpy(frame + 6, self.own_mac, 6);
	memcpy(to.sll_addr, frame, 6);
	frame[12] = 8;
	memcpy(ip, (const uint8_t[]){ 0x45, 0, 0, FRAME - 14, 0, 0, 0x40, 0, 64, IPPROTO_ICMP }, 10);
	memcpy(ip + 12, &self.own, 4);
	memcpy(ip + 16, &self.vip.sin_addr, 4);
	sum = checksum(ip, 20);
	memcpy(ip + 10, &sum, 2);
	put_icmp(ip + 20, number, router + 1);
	(void)!sendto(self.raw, frame, sizeof(frame), MSG_DONTWAIT, (struct sockaddr *)&to, sizeof(to));
}

static void tick(int timer, int64_t *due_us)
{
	uint64_t expirations = 0;
	uint8_t packet[16];
	uint32_t number = self.probes_count;
	int64_t now;

	if (read(timer, &expirations, sizeof(expirations)) != sizeof(expirations) || number >= self.probes_max)
		return;
	now = clock_us(CLOCK_MONOTONIC);
	if (now - *due_us > self.late_us_max)
		self.late_us_max = now - *due_us;
	*due_us += (int64_t)expirations * TICK_US;
	self.missed += expirations - 1;
	self.probes[number].sent_us = now;
	self.probes_count = number + 1;
	put_icmp(packet, number, 0);
	/* A VIP without a neighbour is an unanswered probe, nothing else. */
	(void)!sendto(self.kernel_way, packet, sizeof(packet), MSG_DONTWAIT, (struct sockaddr *)&self.vip, sizeof(self.vip));
	send_direct(number, 0);
	send_direct(number, 1);
}

static uint8_t who(const uint8_t *mac)
{
	for (uint8_t i = 0; i < 2; i++)
		if (memcmp(mac, self.macs[i], 6) == 0)
			return (uint8_t)(i + 1);
	return 0;
}

static void hear_echo(const uint8_t *frame, size_t size, int64_t at_us)
{
	const uint8_t *ip = frame + 14;
	size_t head = (size_t)(ip[0] & 15) * 4;
	struct icmphdr icmp;
	uint32_t body[2];
	struct answer *answer;
	unsigned way;

	if (size < FRAME || head != 20 || ip[9] != IPPROTO_ICMP || memcmp(ip + 12, &self.vip.sin_addr, 4) != 0)
		return;
	memcpy(&icmp, ip + head, sizeof(icmp));
	memcpy(body, ip + head + sizeof(icmp), sizeof(body));
	way = (unsigned)ntohs(icmp.un.echo.id) - 0x7e10u;
	if (icmp.type != ICMP_ECHOREPLY || way >= WAYS || body[1] != (uint32_t)getpid() || body[0] >= self.probes_count)
		return;
	answer = &self.probes[body[0]].answers[way];
	if (answer->rtt_us != 0)
		return;
	answer->rtt_us = (int32_t)(at_us - self.probes[body[0]].sent_us);
	if (answer->rtt_us < 1)
		answer->rtt_us = 1;
	answer->by = who(frame + 6);
}

static void hear_frame(const uint8_t *frame, size_t size, int64_t at_us)
{
	if (size >= 42 && frame[12] == 8 && frame[13] == 6) {
		const uint8_t *arp = frame + 14;

		/* Announced: sender and target are the VIP. */
		if (memcmp(arp + 14, &self.vip.sin_addr, 4) == 0 && memcmp(arp + 24, &self.vip.sin_addr, 4) == 0)
			note(at_us, 'g', who(arp + 8), arp[7] == 1 ? "request" : "reply");
	} else if (size >= 34 && frame[12] == 8 && frame[13] == 0) {
		hear_echo(frame, size, at_us);
	}
}

static void drain_frames(void)
{
	int64_t skew = clock_us(CLOCK_REALTIME) - clock_us(CLOCK_MONOTONIC);
	static uint8_t frame[2048];

	for (int i = 0; i < 4096; i++) {
		_Alignas(struct cmsghdr) char control[128];
		struct iovec part = { frame, sizeof(frame) };
		struct msghdr message = { .msg_iov = &part, .msg_iovlen = 1, .msg_control = control,
					  .msg_controllen = sizeof(control) };
		ssize_t n = recvmsg(self.raw, &message, MSG_DONTWAIT);
		int64_t at_us = clock_us(CLOCK_MONOTONIC);

		if (n < 0)
			return;
		for (struct cmsghdr *c = CMSG_FIRSTHDR(&message); c; c = CMSG_NXTHDR(&message, c))
			if (c->cmsg_level == SOL_SOCKET && c->cmsg_type == SCM_TIMESTAMPNS) {
				struct timespec ts;

				memcpy(&ts, CMSG_DATA(c), sizeof(ts));
				at_us = (int64_t)ts.tv_sec * 1000000 + ts.tv_nsec / 1000 - skew;
			}
		hear_frame(frame, (size_t)n, at_us);
	}
}

static void drain_addresses(uint8_t router)
{
	_Alignas(struct nlmsghdr) static char buffer[65536];
	ssize_t n;

	while ((n = recv(self.netlink[router], buffer, sizeof(buffer), MSG_DONTWAIT)) > 0) {
		size_t left = (size_t)n;

		for (struct nlmsghdr *h = (struct nlmsghdr *)buffer; NLMSG_OK(h, left); h = NLMSG_NEXT(h, left)) {
			struct ifaddrmsg *body = NLMSG_DATA(h);
			size_t size = IFA_PAYLOAD(h);

			if (h->nlmsg_type != RTM_DELADDR && h->nlmsg_type != RTM_NEWADDR)
				continue;
			for (struct rtattr *a = IFA_RTA(body); RTA_OK(a, size); a = RTA_NEXT(a, size))
				if (a->rta_type == IFA_LOCAL && memcmp(RTA_DATA(a), &self.vip.sin_addr, 4) == 0)
					note(clock_us(CLOCK_MONOTONIC), 'a', (uint8_t)(router + 1),
					     h->nlmsg_type == RTM_NEWADDR ? "set" : "gone");
		}
	}
}

static int open_netlink(const char *netns)
{
	struct sockaddr_nl groups = { .nl_family = AF_NETLINK, .nl_groups = RTMGRP_IPV4_IFADDR };
	struct {
		struct nlmsghdr head;
		struct ifaddrmsg body;
	} dump = { .head = { .nlmsg_len = sizeof(dump), .nlmsg_type = RTM_GETADDR, .nlmsg_flags = NLM_F_REQUEST | NLM_F_DUMP },
		   .body = { .ifa_family = AF_INET } };
	int home = open("/proc/self/ns/net", O_RDONLY | O_CLOEXEC);
	int there = open(netns, O_RDONLY | O_CLOEXEC);
	int fd = -1;

	if (home >= 0 && there >= 0 && setns(there, CLONE_NEWNET) == 0) {
		fd = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_ROUTE);
		if (setns(home, CLONE_NEWNET) < 0)
			fd = -1;
	}
	if (fd >= 0 && (bind(fd, (struct sockaddr *)&groups, sizeof(groups)) < 0 || send(fd, &dump, sizeof(dump), 0) < 0))
		fd = -1;
	if (home >= 0)
		close(home);
	if (there >= 0)
		close(there);
	return fd;
}

static int open_sockets(const char *iface, char **netns)
{
	struct icmp_filter none = { .data = 0xffffffff };
	struct sockaddr_ll device = { .sll_family = AF_PACKET, .sll_protocol = htons(ETH_P_ALL) };
	struct ifreq request = { 0 };
	int on = 1, bytes = 8 << 20;

	self.ifindex = device.sll_ifindex = (int)if_nametoindex(iface);
	self.kernel_way = socket(AF_INET, SOCK_RAW | SOCK_CLOEXEC, IPPROTO_ICMP);
	self.raw = socket(AF_PACKET, SOCK_RAW | SOCK_CLOEXEC, 0);
	if (self.ifindex == 0 || self.kernel_way < 0 || self.raw < 0)
		return -1;
	snprintf(request.ifr_name, sizeof(request.ifr_name), "%s", iface);
	if (ioctl(self.kernel_way, SIOCGIFHWADDR, &request) < 0)
		return -1;
	memcpy(self.own_mac, request.ifr_hwaddr.sa_data, 6);
	if (setsockopt(self.kernel_way, SOL_RAW, ICMP_FILTER, &none, sizeof(none)) < 0 ||
	    setsockopt(self.raw, SOL_SOCKET, SO_TIMESTAMPNS, &on, sizeof(on)) < 0 ||
	    setsockopt(self.raw, SOL_PACKET, PACKET_IGNORE_OUTGOING, &on, sizeof(on)) < 0 ||
	    setsockopt(self.raw, SOL_SOCKET, SO_RCVBUFFORCE, &bytes, sizeof(bytes)) < 0 ||
	    bind(self.raw, (struct sockaddr *)&device, sizeof(device)) < 0)
		return -1;
	for (unsigned i = 0; i < 2; i++) {
		self.netlink[i] = open_netlink(netns[i]);
		if (self.netlink[i] < 0)
			return -1;
	}
	return 0;
}

static void run(int timer)
{
	struct pollfd set[] = { { .fd = timer, .events = POLLIN }, { .fd = self.raw, .events = POLLIN },
				{ .fd = self.netlink[0], .events = POLLIN }, { .fd = self.netlink[1], .events = POLLIN },
				{ .fd = STDIN_FILENO, .events = POLLIN } };
	int64_t due_us = clock_us(CLOCK_MONOTONIC) + TICK_US;
	struct itimerspec every = { { 0, TICK_US * 1000 }, { due_us / 1000000, due_us % 1000000 * 1000 } };

	timerfd_settime(timer, TFD_TIMER_ABSTIME, &every, NULL);
	printf("ready\n");
	fflush(stdout);
	while (poll(set, 5, -1) > 0 && !set[4].revents) {
		if (set[0].revents)
			tick(timer, &due_us);
		if (set[1].revents)
			drain_frames();
		for (uint8_t i = 0; i < 2; i++)
			if (set[2 + i].revents)
				drain_addresses(i);
	}
	poll(NULL, 0, DRAIN_MS);
	drain_frames();
}

static void tell(void)
{
	for (uint32_t i = 0; i < self.probes_count; i++) {
		printf("p %lld", (long long)self.probes[i].sent_us);
		for (unsigned way = 0; way < WAYS; way++) {
			struct answer *answer = &self.probes[i].answers[way];

			if (answer->rtt_us)
				printf(" %d:%d", answer->rtt_us, answer->by);
			else
				printf(" -");
		}
		printf("\n");
	}
	for (uint32_t i = 0; i < self.events_count; i++)
		printf("%c %lld %d %s\n", self.events[i].kind, (long long)self.events[i].at_us, self.events[i].by,
		       self.events[i].what);
	printf("m %llu %lld\n", (unsigned long long)self.missed, (long long)self.late_us_max);
}

static int watch(char **args)
{
	long seconds = strtol(args[7], NULL, 10);
	int timer = timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC);

	self.vip.sin_family = AF_INET;
	if (inet_pton(AF_INET, args[1], &self.vip.sin_addr) != 1 || inet_pton(AF_INET, args[2], &self.own) != 1)
		return EX_USAGE;
	for (unsigned i = 0; i < 2; i++) {
		uint8_t *m = self.macs[i];

		if (sscanf(args[3 + i], "%hhx:%hhx:%hhx:%hhx:%hhx:%hhx", m, m + 1, m + 2, m + 3, m + 4, m + 5) != 6)
			return EX_USAGE;
	}
	if (seconds < 1 || seconds > SECONDS_MAX || timer < 0)
		return EX_USAGE;
	self.probes_max = (uint32_t)seconds * (1000000 / TICK_US);
	self.probes = calloc(self.probes_max, sizeof(*self.probes));
	if (!self.probes || mlockall(MCL_CURRENT | MCL_FUTURE) < 0 || open_sockets(args[0], args + 5) < 0) {
		perror("failover-probe");
		return EX_OSERR;
	}
	run(timer);
	tell();
	return ferror(stdout) ? EX_IOERR : EX_OK;
}

static int busy_disk(const char *path)
{
	static char block[1 << 20];
	int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);

	memset(block, 'x', sizeof(block));
	for (uint64_t i = 0; fd >= 0; i++)
		if (pwrite(fd, block, sizeof(block), (off_t)(i % 64 * sizeof(block))) < 0 || fsync(fd) < 0)
			break;
	perror(path);
	return EX_IOERR;
}

int main(int argc, char **argv)
{
	if (argc == 10 && strcmp(argv[1], "watch") == 0)
		return watch(argv + 2);
	if (argc == 3 && strcmp(argv[1], "disk") == 0)
		return busy_disk(argv[2]);
	if (argc == 2 && strcmp(argv[1], "burn") == 0)
		for (volatile uint64_t i = 0;; i++)
			;
	fprintf(stderr, "usage: failover-probe watch IFACE VIP OWN MAC1 MAC2 NETNS1 NETNS2 SECONDS_MAX | burn | disk FILE\n");
	return EX_USAGE;
}
