/*
 * Packet sockets, four for each interface (ARP, IPv4, IPv6, helpers): announcements, probes and what is heard. A filter in the
 * kernel passes only frames that speak for one of our addresses, so floods of anything else cost next to nothing.
 */
#include "vipd.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/filter.h>
#include <linux/if_ether.h>
#include <linux/if_packet.h>
#include <arpa/inet.h>
#include <net/if_arp.h>
#include <stdio.h>
#include <string.h>
#include <sys/random.h>
#include <sys/socket.h>
#include <unistd.h>

#define READS_MAX 32 /* frames taken from one socket before the loop looks at the lease again */
#define REST_US (5 * US_PER_MS)
#define RECEIVE_BYTES (64 * 1024)
#define FILTER_MAX (VIP_MAX + TARGET_MAX + FIXED_MAX + 20)
#define PROBE_MAX (8 * VIP_MAX) /* rounds that pulse may still take an answer of (LATE_ROUNDS), of every address */
#define PROBE_LIFE_US (2 * US_PER_S)
#define ANSWERS_MAX 4 /* of each kind for one probe: enough to see that two machines answer */
#define CONFLICT_AGAIN_US US_PER_S
#define ID_BYTES_MAX 32

static const unsigned protocols[PACKET_SOCKETS] = { ETH_P_ARP, ETH_P_IP, ETH_P_IPV6, ETH_P_HELPER };
static const uint8_t broadcast[6] = { 0xff, 0xff, 0xff, 0xff, 0xff, 0xff };

static struct probe {
	char id[ID_BYTES_MAX + 1]; /* empty: unused */
	unsigned index;
	bool resolve; /* no MAC was given: the echo goes to whoever answers */
	uint8_t mac[6];
	unsigned arp_answers, echo_answers, words;
	uint64_t nonce;
	us_t at;
	us_t due; /* when silence is told; NEVER once answered or told */
} probes[PROBE_MAX];
static unsigned probe_next;
static struct bucket conflicts = { .per_second = 10, .burst = 20 };

struct filter {
	struct sock_filter code[FILTER_MAX];
	unsigned short count;
};

static void op(struct filter *filter, unsigned code, unsigned jump_true, unsigned jump_false, uint32_t k)
{
	filter->code[filter->count++] = (struct sock_filter){ .code = (uint16_t)code,
							       .jt = (uint8_t)jump_true,
							       .jf = (uint8_t)jump_false,
							       .k = k };
}

/* Jumps ahead over `skip` instructions and the address list when the loaded value is not `value`: to "drop". */
static void expect(struct filter *filter, uint32_t value, unsigned skip, unsigned listed)
{
	op(filter, BPF_JMP | BPF_JEQ | BPF_K, 0, skip + listed, value);
}

static uint32_t last_bits(const struct inet *address)
{
	const uint8_t *b = address->bytes + (address->family == AF_INET6 ? 12 : 0);

	return (uint32_t)b[0] << 24 | (uint32_t)b[1] << 16 | (uint32_t)b[2] << 8 | b[3];
}

/*
 * The last 32 bits of every address of this family on the interface: VIPs, then targets and the
 * peer's own.
 */
static unsigned list_addresses(uint32_t *list, const struct iface *iface, int family, unsigned *vips_listed)
{
	unsigned count = 0;

	for (unsigned i = 0; i < vip_count; i++)
		if (vips[i].iface == iface && vips[i].address.family == family)
			list[count++] = last_bits(&vips[i].address);
	*vips_listed = count;
	for (unsigned i = 0; i < target_count; i++)
		if (targets[i].iface == iface && targets[i].address.family == family)
			list[count++] = last_bits(&targets[i].address);
	for (unsigned i = 0; i < FIXED_MAX; i++) {
		const struct inet *address = fixed_peer(i, iface);

		if (address && address->family == family)
			list[count++] = last_bits(address);
	}
	return count;
}

/*
 * The last 32 bits of the address a frame speaks for must be those of one of ours, of a target or of the peer. ARP: sender;
 * of those two only replies, as a gateway may ask much. IPv4: source of an echo reply without options (Linux sends none). IPv6: target
 * of an advertisement, source of an echo reply. Helpers: the address that is asked for.
 */
static void filter_for(struct filter *filter, const struct iface *iface, unsigned protocol)
{
	int family = protocol == ETH_P_IPV6 ? AF_INET6 : AF_INET;

	if (protocol == ETH_P_HELPER) {
		/* The rest is few and cheap to look at. */
		filter->count = 0;
		op(filter, BPF_LD | BPF_W | BPF_ABS, 0, 0, 14);
		op(filter, BPF_JMP | BPF_JEQ | BPF_K, 1, 0, 0x544e4450);
		op(filter, BPF_RET | BPF_K, 0, 0, 0);
		op(filter, BPF_RET | BPF_K, 0, 0, FRAME_BYTES_MAX);
		return;
	}
	uint32_t list[VIP_MAX + TARGET_MAX + FIXED_MAX];
	unsigned ours, listed = list_addresses(list, iface, family, &ours);

	filter->count = 0;
	if (protocol == ETH_P_ARP) {
		/* Jumps are counted to the end: the list, and two instructions between VIPs and targets. */
		op(filter, BPF_LD | BPF_W | BPF_ABS, 0, 0, 28);
		for (unsigned i = 0; i < ours; i++)
			op(filter, BPF_JMP | BPF_JEQ | BPF_K, listed - i + 3, 0, list[i]);
		op(filter, BPF_LD | BPF_H | BPF_ABS, 0, 0, 20);
		expect(filter, ARPOP_REPLY, 1, listed - ours);
		op(filter, BPF_LD | BPF_W | BPF_ABS, 0, 0, 28);
		memmove(list, list + ours, (listed - ours) * sizeof(list[0]));
		listed -= ours;
	} else if (protocol == ETH_P_IP) {
		op(filter, BPF_LD | BPF_B | BPF_ABS, 0, 0, 23);
		expect(filter, IPPROTO_ICMP, 3, listed);
		op(filter, BPF_LD | BPF_H | BPF_ABS, 0, 0, 34);
		expect(filter, 0, 1, listed);
		op(filter, BPF_LD | BPF_W | BPF_ABS, 0, 0, 26);
	} else {
		op(filter, BPF_LD | BPF_B | BPF_ABS, 0, 0, 20);
		expect(filter, IPPROTO_ICMPV6, 6, listed);
		op(filter, BPF_LD | BPF_B | BPF_ABS, 0, 0, 54);
		op(filter, BPF_JMP | BPF_JEQ | BPF_K, 0, 2, 136);
		op(filter, BPF_LD | BPF_W | BPF_ABS, 0, 0, 74);
		op(filter, BPF_JMP | BPF_JA, 0, 0, 2);
		expect(filter, 129, 1, listed);
		op(filter, BPF_LD | BPF_W | BPF_ABS, 0, 0, 34);
	}
	for (unsigned i = 0; i < listed; i++)
		op(filter, BPF_JMP | BPF_JEQ | BPF_K, listed - i, 0, list[i]);
	op(filter, BPF_RET | BPF_K, 0, 0, 0);
	op(filter, BPF_RET | BPF_K, 0, 0, FRAME_BYTES_MAX);
}

static bool uses(const struct iface *iface, unsigned protocol)
{
	for (unsigned i = 0; i < vip_count; i++)
		if (vips[i].iface == iface &&
		    (protocol == ETH_P_HELPER || (vips[i].address.family == AF_INET6) == (protocol == ETH_P_IPV6)))
			return true;
	for (unsigned i = 0; i < target_count; i++)
		if (targets[i].iface == iface &&
		    protocol == (targets[i].address.family == AF_INET6 ? ETH_P_IPV6 : ETH_P_ARP))
			return true;
	return false;
}

/* The filter is in before the socket is bound, so nothing unfiltered ever gets in. */
static int packet_socket(const struct iface *iface, unsigned protocol)
{
	struct filter filter;
	struct sock_fprog program = { .filter = filter.code };
	struct sockaddr_ll address = { .sll_family = AF_PACKET,
				       .sll_protocol = htons((uint16_t)protocol),
				       .sll_ifindex = atomic_load(&iface->index) };
	int bytes = RECEIVE_BYTES;
	int fd = socket(AF_PACKET, SOCK_RAW | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);

	if (fd < 0)
		return -1;
	filter_for(&filter, iface, protocol);
	program.len = filter.count;
	setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &bytes, sizeof(bytes));
	if (setsockopt(fd, SOL_SOCKET, SO_ATTACH_FILTER, &program, sizeof(program)) < 0 ||
	    bind(fd, (struct sockaddr *)&address, sizeof(address)) < 0) {
		int error = errno;

		close(fd);
		errno = error;
		return -1;
	}
	return fd;
}

void packet_close(struct iface *iface)
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
	for (int i = 0; i < PACKET_SOCKETS; i++) {
		if (!uses(iface, protocols[i]))
			continue;
		iface->fd[i] = packet_socket(iface, protocols[i]);
		if (iface->fd[i] < 0)
			say_error("cannot open a packet socket on %s: %s; announcements and probes fail there",
				  iface->name, strerror(errno));
	}
}

/* A frame that does not go out (no carrier, full queue) is not missed: announcements and probes are repeated. */
void packet_send(const struct iface *iface, unsigned protocol, const uint8_t *frame, size_t size)
{
	int fd = -1;

	for (unsigned i = 0; i < PACKET_SOCKETS; i++)
		if (protocols[i] == protocol)
			fd = iface->fd[i];
	if (fd >= 0)
		(void)send(fd, frame, size, MSG_DONTWAIT | MSG_NOSIGNAL);
}

/* An advertisement without the router flag would take a gateway out of its hosts' router lists: say what the kernel says. */
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
 * Gratuitous ARP in both forms. Linux takes a reply as gratuitous only with our own MAC as its target too (arp_is_garp in
 * net/ipv4/arp.c); other systems want the request.
 */
void packet_announce(struct vip *vip)
{
	const struct iface *iface = vip->iface;
	const uint8_t *address = vip->address.bytes;
	uint8_t frame[FRAME_BYTES_MAX];

	if (!iface->ethernet)
		return;
	if (vip->address.family == AF_INET6) {
		packet_send(iface, ETH_P_IPV6, frame, frame_advertisement(frame, iface->mac, &vip->address, forwards(iface)));
		return;
	}
	packet_send(iface, ETH_P_ARP, frame, frame_arp(frame, ARPOP_REQUEST, iface->mac, address, broadcast, address));
	packet_send(iface, ETH_P_ARP, frame, frame_arp(frame, ARPOP_REPLY, iface->mac, address, iface->mac, address));
}

/*
 * Asks who has an address: at `mac`, or (NULL) everybody. Without an address of our own there:
 * a probe (RFC 5227), which is answered too.
 */
void packet_ask(const struct iface *iface, const uint8_t *mac, const struct inet *from, const struct inet *address)
{
	static const uint8_t nobody[6];
	uint8_t frame[FRAME_BYTES_MAX];

	if (address->family == AF_INET6) {
		packet_send(iface, ETH_P_IPV6, frame, frame_solicitation(frame, iface->mac, mac, from, address));
		return;
	}
	size_t size = frame_arp(frame, ARPOP_REQUEST, iface->mac, from->bytes, nobody, address->bytes);

	memcpy(frame, mac ? mac : broadcast, 6);
	packet_send(iface, ETH_P_ARP, frame, size);
}

static void send_echo(const struct vip *vip, const uint8_t mac[6], uint64_t nonce)
{
	uint8_t frame[FRAME_BYTES_MAX];
	unsigned protocol = vip->address.family == AF_INET6 ? ETH_P_IPV6 : ETH_P_IP;

	if (vip->own.family != AF_UNSPEC)
		packet_send(vip->iface, protocol, frame,
			 frame_echo(frame, vip->iface->mac, mac, &vip->own, &vip->address, nonce));
}

/*
 * Sends the echo (to `mac`, or later to whoever answers), the question to the other vipd, which no filter of IP stops, and the
 * ARP probe. The oldest probe makes room. With neither an echo nor the other's word within `window` the silence is told: here and not in pulse, for only we know when the probe went out and that nothing
 * unread is left.
 */
void probe(const char *id, unsigned index, const uint8_t *mac, us_t window, us_t now)
{
	static const struct inet unspecified;
	const struct vip *vip = &vips[index];
	struct probe *probe = &probes[probe_next++ % PROBE_MAX];
	uint8_t frame[FRAME_BYTES_MAX];

	*probe = (struct probe){ .index = index, .resolve = !mac, .at = now, .due = now + window };
	snprintf(probe->id, sizeof(probe->id), "%s", id);
	if (getrandom(&probe->nonce, sizeof(probe->nonce), GRND_NONBLOCK) != sizeof(probe->nonce)) {
		probe->id[0] = '\0';
		say_error("no randomness for probe %s yet", id);
		return;
	}
	if (mac) {
		memcpy(probe->mac, mac, 6);
		send_echo(vip, mac, probe->nonce);
	}
	packet_send(vip->iface, ETH_P_HELPER, frame,
		    frame_helper(frame, false, vip->iface->mac, mac ? mac : broadcast, &vip->address, probe->nonce));
	packet_ask(vip->iface, NULL, vip->address.family == AF_INET6 ? &vip->own : &unspecified, &vip->address);
}

static bool alive(const struct probe *probe, unsigned index, us_t now)
{
	return probe->id[0] && probe->index == index && now - probe->at < PROBE_LIFE_US;
}

static void heard_echo(unsigned index, const struct heard *heard, us_t now)
{
	for (unsigned i = 0; i < PROBE_MAX; i++) {
		struct probe *p = &probes[i];

		if (!alive(p, index, now) || p->nonce != heard->nonce || p->echo_answers == ANSWERS_MAX ||
		    !inet_equal(&heard->to, &vips[index].own))
			continue;
		p->echo_answers++;
		/* A third machine's answer is told, but it does not break the silence of the one that was asked. */
		if (p->resolve || memcmp(p->mac, heard->mac, 6) == 0)
			p->due = NEVER;
		say("reply %s %u echo " MAC_TEXT, p->id, index, MAC_ARGS(heard->mac));
	}
}

/* The other vipd says that it serves the address: only it could know the nonce, and it answers while its lease runs. */
static void heard_word(unsigned index, const struct heard *heard, us_t now)
{
	for (unsigned i = 0; i < PROBE_MAX; i++) {
		struct probe *p = &probes[i];

		if (!alive(p, index, now) || p->nonce != heard->nonce || p->words == ANSWERS_MAX)
			continue;
		p->words++;
		if (p->resolve || memcmp(p->mac, heard->mac, 6) == 0)
			p->due = NEVER;
		say("reply %s %u word " MAC_TEXT, p->id, index, MAC_ARGS(heard->mac));
	}
}

static void answer_ask(unsigned index, const struct heard *heard)
{
	const struct vip *vip = &vips[index];
	uint8_t frame[FRAME_BYTES_MAX];

	if (serving(index) && fixed_speaks(vip->iface, vip->address.family))
		packet_send(vip->iface, ETH_P_HELPER, frame,
			    frame_helper(frame, true, vip->iface->mac, heard->mac, &vip->address, heard->nonce));
}

static void heard_resolution(unsigned index, const struct heard *heard, us_t now)
{
	const struct vip *vip = &vips[index];
	bool to_us = memcmp(heard->eth_to, vip->iface->mac, 6) == 0;

	/* Asked from the unspecified address, IPv6 hosts answer to all nodes. */
	if (vip->address.family == AF_INET6 && vip->own.family == AF_UNSPEC)
		to_us = true;
	else if (!heard->answer)
		return;
	if (!to_us)
		return;
	for (unsigned i = 0; i < PROBE_MAX; i++) {
		struct probe *p = &probes[i];

		if (!alive(p, index, now) || p->arp_answers == ANSWERS_MAX)
			continue;
		p->arp_answers++;
		say("reply %s %u arp " MAC_TEXT, p->id, index, MAC_ARGS(heard->mac));
		if (p->resolve)
			send_echo(vip, heard->mac, p->nonce);
	}
}

/*
 * Somebody else speaks for an address: a conflict if we hold it, else a sign that somebody serves.
 * Told once a second for each rival, however often it shouts. What answers our own question is no
 * claim: a switch may answer for the dead.
 */
static void heard_claim(unsigned index, const struct heard *heard, us_t now)
{
	struct vip *vip = &vips[index];
	bool held = serving(index);
	bool same = memcmp(vip->rival, heard->mac, 6) == 0 && vip->rival_held == held;
	bool asked = memcmp(heard->eth_to, vip->iface->mac, 6) == 0 ||
		     (vip->address.family == AF_INET6 && vip->own.family == AF_UNSPEC);
	char port[PORT_BYTES];

	if ((!held && asked) || (same && vip->rival_at != 0 && now - vip->rival_at < CONFLICT_AGAIN_US) ||
	    !bucket_take(&conflicts, now))
		return;
	memcpy(vip->rival, heard->mac, 6);
	vip->rival_at = now;
	vip->rival_held = held;
	if (!held) {
		say("claimed %u " MAC_TEXT, index, MAC_ARGS(heard->mac));
		return;
	}
	port_of(vip->iface, heard->eth_from, port);
	say("conflict %u " MAC_TEXT " %s", index, MAC_ARGS(heard->mac), port);
}

static void heard_frame(struct iface *iface, const struct heard *heard, us_t now)
{
	/* Our own frames come back from hubs and bridges; a claim with our MAC is no rival. */
	if (memcmp(heard->mac, iface->mac, 6) == 0)
		return;
	for (unsigned i = 0; i < vip_count; i++) {
		if (vips[i].iface != iface || !inet_equal(&vips[i].address, &heard->sender))
			continue;
		if (heard->kind == HEARD_ECHO) {
			heard_echo(i, heard, now);
		} else if (heard->kind == HEARD_ASK) {
			answer_ask(i, heard);
		} else if (heard->kind == HEARD_WORD) {
			heard_word(i, heard, now);
		} else {
			heard_resolution(i, heard, now);
			heard_claim(i, heard, now);
		}
	}
	targets_hear(iface, heard, now);
	fixed_hear(iface, heard);
}

/* A flood that gets through the filter fills the socket's buffer and is dropped there while we rest. */
void packet_read(struct iface *iface, unsigned which, us_t now)
{
	uint8_t frame[FRAME_BYTES_MAX];
	struct heard heard;

	if (iface->fd[which] < 0)
		return;
	for (int reads = 0; reads < READS_MAX; reads++) {
		ssize_t n = recv(iface->fd[which], frame, sizeof(frame), MSG_DONTWAIT);

		/* ENETDOWN is told once when the interface goes down; link events tell it better. */
		if (n < 0)
			return;
		if (frame_read(frame, (size_t)n, &heard))
			heard_frame(iface, &heard, now);
	}
	iface->rest_until[which] = now + REST_US;
}

/* Tells the silence of probes whose time is up, after reading what came in while we may have slept. */
void probes_due(us_t now)
{
	for (unsigned i = 0; i < PROBE_MAX; i++) {
		struct probe *p = &probes[i];

		if (!p->id[0] || p->due > now)
			continue;
		for (unsigned j = 0; j < PACKET_SOCKETS; j++)
			packet_read(vips[p->index].iface, j, now);
		if (p->due != NEVER)
			say("silent %s %u", p->id, p->index);
		p->due = NEVER;
	}
}

us_t probes_next(void)
{
	us_t next = NEVER;

	for (unsigned i = 0; i < PROBE_MAX; i++)
		if (probes[i].id[0] && probes[i].due < next)
			next = probes[i].due;
	return next;
}

/* When the next resting socket is to be read again; NEVER when none rests. */
us_t packet_rest(us_t now)
{
	us_t next = NEVER;

	for (unsigned i = 0; i < iface_count; i++)
		for (unsigned j = 0; j < PACKET_SOCKETS; j++)
			if (ifaces[i].rest_until[j] > now && ifaces[i].rest_until[j] < next)
				next = ifaces[i].rest_until[j];
	return next;
}
