/*
 * A client that looks hard: `vip-watch IFACE OWN VIP MAC1 MAC2` asks for the VIP as any host would (ICMP echo through the kernel's
 * neighbour table), asks each of the two MACs directly (so that a second router that serves is seen although no client would reach it),
 * and asks by ARP who has it. Each answer is one line, "REALTIME_US KIND MAC": KIND path, one, two or arp, MAC the sender's, the time
 * the kernel's own at reception. "REALTIME_US stall MS": one of the processors did not let it run for so long, whatever its class (a
 * hypervisor stops them one by one). Test only; ends with its stdin.
 */
#include <arpa/inet.h>
#include <linux/if_ether.h>
#include <linux/if_packet.h>
#include <net/if.h>
#include <netinet/ip_icmp.h>
#include <poll.h>
#include <pthread.h>
#include <sched.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/timerfd.h>
#include <time.h>
#include <unistd.h>

#define PERIOD_NS 10000000L /* of every kind of echo */
#define ARP_EVERY 5	    /* periods */
#define STALL_NS (3 * PERIOD_NS) /* worth telling */
#define ID_PATH 0x5401
#define ID_ONE 0x5402
#define ID_TWO 0x5403

static uint8_t own_mac[6], one_mac[6], two_mac[6];
static struct in_addr own, vip;
static int frames, echoes;

static uint16_t checksum(const void *data, size_t count)
{
	const uint8_t *bytes = data;
	uint32_t sum = 0;

	for (size_t i = 0; i + 1 < count; i += 2)
		sum += (uint32_t)bytes[i] << 8 | bytes[i + 1];
	while (sum >> 16)
		sum = (sum & 0xffff) + (sum >> 16);
	return htons((uint16_t)~sum);
}

static void echo_of(struct icmphdr *echo, unsigned id, unsigned seq)
{
	memset(echo, 0, sizeof(*echo));
	echo->type = ICMP_ECHO;
	echo->un.echo.id = htons((uint16_t)id);
	echo->un.echo.sequence = htons((uint16_t)seq);
	echo->checksum = checksum(echo, sizeof(*echo));
}

/* What any client does: the kernel finds the MAC. No route or no answer to its ARP is what is being watched for, not an error. */
static void ask_by_path(unsigned seq)
{
	struct sockaddr_in to = { .sin_family = AF_INET, .sin_addr = vip };
	struct icmphdr echo;

	echo_of(&echo, ID_PATH, seq);
	if (sendto(echoes, &echo, sizeof(echo), MSG_DONTWAIT, (struct sockaddr *)&to, sizeof(to)) < 0)
		return;
}

static void transmit(const void *frame, size_t count)
{
	if (send(frames, frame, count, MSG_DONTWAIT) < 0)
		return; /* the interface is down for a moment */
}

static void ask_mac(const uint8_t *mac, unsigned id, unsigned seq)
{
	uint8_t frame[ETH_HLEN + sizeof(struct iphdr) + sizeof(struct icmphdr)] = { 0 };
	struct iphdr ip = { .version = 4, .ihl = 5, .ttl = 1, .protocol = IPPROTO_ICMP };
	struct icmphdr echo;

	ip.tot_len = htons(sizeof(ip) + sizeof(echo));
	ip.saddr = own.s_addr;
	ip.daddr = vip.s_addr;
	ip.check = checksum(&ip, sizeof(ip));
	echo_of(&echo, id, seq);
	memcpy(frame, mac, 6);
	memcpy(frame + 6, own_mac, 6);
	frame[12] = 8;
	memcpy(frame + ETH_HLEN, &ip, sizeof(ip));
	memcpy(frame + ETH_HLEN + sizeof(ip), &echo, sizeof(echo));
	transmit(frame, sizeof(frame));
}

static void ask_arp(void)
{
	uint8_t frame[42] = { 255, 255, 255, 255, 255, 255 };
	static const uint8_t head[] = { 8, 6, 0, 1, 8, 0, 6, 4, 0, 1 };

	memcpy(frame + 6, own_mac, 6);
	memcpy(frame + 12, head, sizeof(head));
	memcpy(frame + 22, own_mac, 6);
	memcpy(frame + 28, &own, 4);
	memcpy(frame + 38, &vip, 4);
	transmit(frame, sizeof(frame));
}

static void tell(const struct timespec *at, const char *kind, const uint8_t *mac)
{
	printf("%lld %s %02x:%02x:%02x:%02x:%02x:%02x\n", (long long)at->tv_sec * 1000000 + at->tv_nsec / 1000, kind, mac[0],
	       mac[1], mac[2], mac[3], mac[4], mac[5]);
}

static long long since(const struct timespec *from, const struct timespec *to)
{
	return (to->tv_sec - from->tv_sec) * 1000000000LL + to->tv_nsec - from->tv_nsec;
}

/* Wants to run every period on one processor. */
static void *watch_cpu(void *arg)
{
	const cpu_set_t *only = arg;
	struct timespec period = { 0, PERIOD_NS }, last, now;

	if (pthread_setaffinity_np(pthread_self(), sizeof(*only), only) != 0)
		return NULL;
	clock_gettime(CLOCK_MONOTONIC, &last);
	for (;; last = now) {
		struct timespec wall;

		clock_nanosleep(CLOCK_MONOTONIC, 0, &period, NULL);
		clock_gettime(CLOCK_MONOTONIC, &now);
		if (since(&last, &now) <= STALL_NS)
			continue;
		clock_gettime(CLOCK_REALTIME, &wall);
		printf("%lld stall %lld\n", (long long)wall.tv_sec * 1000000 + wall.tv_nsec / 1000, since(&last, &now) / 1000000);
	}
}

static int watch_cpus(void)
{
	static cpu_set_t all, only[CPU_SETSIZE];

	if (sched_getaffinity(0, sizeof(all), &all) != 0)
		return 0;
	for (int cpu = 0; cpu < CPU_SETSIZE; cpu++) {
		pthread_t thread;

		if (!CPU_ISSET(cpu, &all))
			continue;
		CPU_SET(cpu, &only[cpu]);
		if (pthread_create(&thread, NULL, watch_cpu, &only[cpu]) != 0)
			return 0;
	}
	return 1;
}

static const char *kind_of(const uint8_t *frame, size_t count)
{
	if (count >= 42 && frame[12] == 8 && frame[13] == 6)
		return frame[21] == 2 && memcmp(frame + 28, &vip, 4) == 0 && memcmp(frame + 38, &own, 4) == 0 ? "arp" : NULL;
	if (count < 42 || frame[12] != 8 || frame[13] != 0 || (frame[14] & 15) != 5 || frame[23] != IPPROTO_ICMP)
		return NULL;
	if (memcmp(frame + 26, &vip, 4) != 0 || frame[34] != ICMP_ECHOREPLY)
		return NULL;
	switch ((unsigned)frame[38] << 8 | frame[39]) {
	case ID_PATH:
		return "path";
	case ID_ONE:
		return "one";
	case ID_TWO:
		return "two";
	default:
		return NULL;
	}
}

static void listen_all(void)
{
	static uint8_t frame[2048];
	union {
		char bytes[CMSG_SPACE(sizeof(struct timespec))];
		struct cmsghdr align;
	} control;

	for (;;) {
		struct iovec piece = { frame, sizeof(frame) };
		struct msghdr message = { .msg_iov = &piece, .msg_iovlen = 1, .msg_control = control.bytes,
					  .msg_controllen = sizeof(control.bytes) };
		ssize_t n = recvmsg(frames, &message, MSG_DONTWAIT);
		const struct cmsghdr *stamp = n > 0 ? CMSG_FIRSTHDR(&message) : NULL;
		const char *kind = n > 0 ? kind_of(frame, (size_t)n) : NULL;
		struct timespec at;

		if (n <= 0)
			return;
		if (!kind || !stamp)
			continue;
		memcpy(&at, CMSG_DATA(stamp), sizeof(at));
		tell(&at, kind, frame + 6);
	}
}

static int mac_of(const char *text, uint8_t *mac)
{
	return sscanf(text, "%hhx:%hhx:%hhx:%hhx:%hhx:%hhx", mac, mac + 1, mac + 2, mac + 3, mac + 4, mac + 5) == 6;
}

static int open_all(const char *interface)
{
	struct sockaddr_ll device = { .sll_family = AF_PACKET, .sll_protocol = htons(ETH_P_ALL) };
	struct ifreq request = { 0 };
	int on = 1;

	frames = socket(AF_PACKET, SOCK_RAW, htons(ETH_P_ALL));
	echoes = socket(AF_INET, SOCK_RAW, IPPROTO_ICMP);
	strncpy(request.ifr_name, interface, sizeof(request.ifr_name) - 1);
	if (frames < 0 || echoes < 0 || ioctl(frames, SIOCGIFHWADDR, &request) < 0)
		return 0;
	memcpy(own_mac, request.ifr_hwaddr.sa_data, 6);
	device.sll_ifindex = (int)if_nametoindex(interface);
	return bind(frames, (struct sockaddr *)&device, sizeof(device)) == 0 &&
	       setsockopt(frames, SOL_SOCKET, SO_TIMESTAMPNS, &on, sizeof(on)) == 0;
}

int main(int argc, char **argv)
{
	struct itimerspec period = { { 0, PERIOD_NS }, { 0, PERIOD_NS } };
	int timer = timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC | TFD_NONBLOCK);
	char discarded[512];

	if (argc != 6 || !inet_aton(argv[2], &own) || !inet_aton(argv[3], &vip) || !mac_of(argv[4], one_mac) ||
	    !mac_of(argv[5], two_mac))
		return 64;
	if (timer < 0 || timerfd_settime(timer, 0, &period, NULL) < 0 || !open_all(argv[1]))
		return 71;
	setvbuf(stdout, NULL, _IOLBF, 0);
	if (!watch_cpus())
		return 71;
	struct pollfd set[] = { { .fd = timer, .events = POLLIN }, { .fd = frames, .events = POLLIN },
				{ .fd = echoes, .events = POLLIN }, { .fd = 0, .events = POLLIN } };

	for (unsigned seq = 0; poll(set, 4, -1) >= 0 && !set[3].revents;) {
		uint64_t ticks;

		if (set[2].revents && recv(echoes, discarded, sizeof(discarded), MSG_DONTWAIT) < 0)
			continue; /* what the kernel delivers here is seen on `frames` with its MAC */
		listen_all();
		if (read(timer, &ticks, sizeof(ticks)) != sizeof(ticks))
			continue;
		seq++;
		ask_by_path(seq);
		ask_mac(one_mac, ID_ONE, seq);
		ask_mac(two_mac, ID_TWO, seq);
		if (seq % ARP_EVERY == 0)
			ask_arp();
	}
	return 0;
}
