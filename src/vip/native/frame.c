/*
 * Ethernet frames that vipd sends and understands: ARP (RFC 826, 5227), neighbour discovery (RFC 4861), ICMP echo
 * (RFC 792, 4443), and what one vipd asks the other. Pure: bytes in, values out. Reads never go past `size`.
 */
#include "vipd.h"

#include <string.h>

#define ETH_BYTES 14
#define IP4_BYTES 20
#define IP6_BYTES 40
#define FRAME_BYTES_MIN 60
#define ECHO_BYTES 24 /* header, nonce, and room that looks like any ping */
#define ECHO_ID 0x7470
#define ND_ADVERTISEMENT 136
#define ND_SOLICITATION 135
#define ND_FLAGS(router, override) ((uint8_t)(((router) ? 0x80 : 0) | ((override) ? 0x20 : 0)))

#define HELPER_BYTES 30

static const uint8_t helper_magic[4] = { 'T', 'N', 'D', 'P' };
static const uint8_t everyone[6] = { 0xff, 0xff, 0xff, 0xff, 0xff, 0xff };

static void put16(uint8_t *out, unsigned value)
{
	out[0] = (uint8_t)(value >> 8);
	out[1] = (uint8_t)value;
}

static unsigned get16(const uint8_t *in)
{
	return (unsigned)in[0] << 8 | in[1];
}

static uint64_t get64(const uint8_t *in)
{
	uint64_t value = 0;

	for (int i = 0; i < 8; i++)
		value = value << 8 | in[i];
	return value;
}

static uint32_t sum16(const uint8_t *in, size_t size, uint32_t sum)
{
	for (size_t i = 0; i + 1 < size; i += 2)
		sum += get16(in + i);
	return size % 2 ? sum + ((uint32_t)in[size - 1] << 8) : sum;
}

/* The Internet checksum, RFC 1071. */
static unsigned checksum(const uint8_t *in, size_t size, uint32_t start)
{
	uint32_t sum = sum16(in, size, start);

	while (sum >> 16)
		sum = (sum & 0xffff) + (sum >> 16);
	return ~sum & 0xffff;
}

static void ethernet(uint8_t *out, const uint8_t to[6], const uint8_t from[6], unsigned protocol)
{
	memset(out, 0, FRAME_BYTES_MAX);
	memcpy(out, to, 6);
	memcpy(out + 6, from, 6);
	put16(out + 12, protocol);
}

static size_t padded(size_t size)
{
	return size < FRAME_BYTES_MIN ? FRAME_BYTES_MIN : size;
}

/* Always broadcast. */
size_t frame_arp(uint8_t *out, uint16_t op, const uint8_t own[6], const uint8_t sender[4], const uint8_t target_mac[6],
		 const uint8_t target[4])
{
	static const uint8_t head[6] = { 0, 1, 8, 0, 6, 4 }; /* Ethernet, IPv4 */
	uint8_t *arp = out + ETH_BYTES;

	ethernet(out, everyone, own, 0x0806);
	memcpy(arp, head, sizeof(head));
	put16(arp + 6, op);
	memcpy(arp + 8, own, 6);
	memcpy(arp + 14, sender, 4);
	memcpy(arp + 18, target_mac, 6);
	memcpy(arp + 24, target, 4);
	return FRAME_BYTES_MIN;
}

/* Fills in the IPv6 header and the checksum of an ICMPv6 message that stands at its place in `out`. */
static size_t icmp6(uint8_t *out, const uint8_t from[16], const uint8_t to[16], uint8_t hops, size_t size)
{
	uint8_t *ip = out + ETH_BYTES, *message = ip + IP6_BYTES;

	ip[0] = 0x60;
	put16(ip + 4, (unsigned)size);
	ip[6] = IPPROTO_ICMPV6;
	ip[7] = hops;
	memcpy(ip + 8, from, 16);
	memcpy(ip + 24, to, 16);
	uint32_t pseudo = sum16(ip + 8, 32, (uint32_t)size + IPPROTO_ICMPV6);

	put16(message + 2, checksum(message, size, pseudo));
	return padded(ETH_BYTES + IP6_BYTES + size);
}

/* To all nodes, unsolicited, with override. */
size_t frame_advertisement(uint8_t *out, const uint8_t own[6], const struct inet *address, bool router)
{
	static const uint8_t all_nodes[16] = { 0xff, 0x02, [15] = 1 };
	static const uint8_t all_nodes_mac[6] = { 0x33, 0x33, 0, 0, 0, 1 };
	uint8_t *message = out + ETH_BYTES + IP6_BYTES;

	ethernet(out, all_nodes_mac, own, 0x86dd);
	message[0] = ND_ADVERTISEMENT;
	message[4] = ND_FLAGS(router, true);
	memcpy(message + 8, address->bytes, 16);
	message[24] = 2; /* target link-layer address, 8 bytes */
	message[25] = 1;
	memcpy(message + 26, own, 6);
	return icmp6(out, address->bytes, all_nodes, 255, 32);
}

/*
 * `from` of family AF_UNSPEC: from the unspecified address, as duplicate address detection asks. With `to_mac` straight to
 * the target (RFC 4861, 7.2.5: neighbour unreachability detection), else to its group.
 */
size_t frame_solicitation(uint8_t *out, const uint8_t own[6], const uint8_t *to_mac, const struct inet *from,
			  const struct inet *target)
{
	uint8_t group[16] = { 0xff, 0x02, [11] = 1, [12] = 0xff };
	uint8_t mac[6] = { 0x33, 0x33, 0xff };
	uint8_t *message = out + ETH_BYTES + IP6_BYTES;
	bool named = from->family == AF_INET6;

	memcpy(group + 13, target->bytes + 13, 3);
	memcpy(mac + 3, target->bytes + 13, 3);
	ethernet(out, to_mac ? to_mac : mac, own, 0x86dd);
	message[0] = ND_SOLICITATION;
	memcpy(message + 8, target->bytes, 16);
	if (named) {
		message[24] = 1; /* source link-layer address */
		message[25] = 1;
		memcpy(message + 26, own, 6);
	}
	return icmp6(out, from->bytes, to_mac ? target->bytes : group, 255, named ? 32 : 24);
}

/*
 * An echo request with a nonce. TTL 1: a router that does not hold the address must not forward it to one that does and
 * so seem to answer.
 */
size_t frame_echo(uint8_t *out, const uint8_t own[6], const uint8_t to_mac[6], const struct inet *from,
		  const struct inet *to, uint64_t nonce)
{
	bool v6 = to->family == AF_INET6;
	uint8_t *ip = out + ETH_BYTES, *message = ip + (v6 ? IP6_BYTES : IP4_BYTES);

	ethernet(out, to_mac, own, v6 ? 0x86dd : 0x0800);
	message[0] = v6 ? 128 : 8;
	put16(message + 4, ECHO_ID);
	for (int i = 0; i < 8; i++)
		message[8 + i] = (uint8_t)(nonce >> (56 - 8 * i));
	if (v6)
		return icmp6(out, from->bytes, to->bytes, 1, ECHO_BYTES);
	put16(message + 2, checksum(message, ECHO_BYTES, 0));
	ip[0] = 0x45;
	put16(ip + 2, IP4_BYTES + ECHO_BYTES);
	ip[8] = 1;
	ip[9] = IPPROTO_ICMP;
	memcpy(ip + 12, from->bytes, 4);
	memcpy(ip + 16, to->bytes, 4);
	put16(ip + 10, checksum(ip, IP4_BYTES, 0));
	return padded(ETH_BYTES + IP4_BYTES + ECHO_BYTES);
}

/*
 * Do you serve this address? And the other vipd's word that it does, with the nonce of the question. "TNDP", 1 or 2, family 4 or
 * 6, address in 16 bytes, nonce.
 */
size_t frame_helper(uint8_t *out, bool word, const uint8_t own[6], const uint8_t to_mac[6], const struct inet *address,
		    uint64_t nonce)
{
	uint8_t *body = out + ETH_BYTES;
	bool v6 = address->family == AF_INET6;

	ethernet(out, to_mac, own, ETH_P_HELPER);
	memcpy(body, helper_magic, sizeof(helper_magic));
	body[4] = word ? 2 : 1;
	body[5] = v6 ? 6 : 4;
	memcpy(body + 6, address->bytes, v6 ? 16 : 4);
	for (int i = 0; i < 8; i++)
		body[22 + i] = (uint8_t)(nonce >> (56 - 8 * i));
	return padded(ETH_BYTES + HELPER_BYTES);
}

static bool read_helper(const uint8_t *body, size_t size, struct heard *heard)
{
	if (size < HELPER_BYTES || memcmp(body, helper_magic, sizeof(helper_magic)) != 0 ||
	    (body[4] != 1 && body[4] != 2) || (body[5] != 4 && body[5] != 6))
		return false;
	heard->kind = body[4] == 1 ? HEARD_ASK : HEARD_WORD;
	heard->answer = body[4] == 2;
	heard->sender.family = body[5] == 6 ? AF_INET6 : AF_INET;
	memcpy(heard->sender.bytes, body + 6, body[5] == 6 ? 16 : 4);
	heard->nonce = get64(body + 22);
	return true;
}

static bool read_arp(const uint8_t *arp, size_t size, struct heard *heard)
{
	if (size < 28 || get16(arp) != 1 || get16(arp + 2) != 0x0800 || arp[4] != 6 || arp[5] != 4)
		return false;
	heard->kind = HEARD_ARP;
	heard->answer = get16(arp + 6) == 2;
	heard->sender.family = AF_INET;
	memcpy(heard->mac, arp + 8, 6);
	memcpy(heard->sender.bytes, arp + 14, 4);
	return true;
}

static bool read_echo(const uint8_t *message, size_t size, uint8_t type, struct heard *heard)
{
	if (size < 16 || message[0] != type || message[1] != 0 || get16(message + 4) != ECHO_ID)
		return false;
	heard->kind = HEARD_ECHO;
	heard->answer = true;
	heard->nonce = get64(message + 8);
	return true;
}

static bool read_ip4(const uint8_t *ip, size_t size, struct heard *heard)
{
	size_t head = size < IP4_BYTES ? 0 : (size_t)(ip[0] & 15) * 4;

	if (head < IP4_BYTES || size < head || ip[0] >> 4 != 4 || ip[9] != IPPROTO_ICMP || (get16(ip + 6) & 0x3fff) != 0)
		return false;
	heard->sender.family = heard->to.family = AF_INET;
	memcpy(heard->sender.bytes, ip + 12, 4);
	memcpy(heard->to.bytes, ip + 16, 4);
	return read_echo(ip + head, size - head, 0, heard);
}

/* RFC 4861, 7.1.2: what a valid advertisement must be. The link-layer option names the claimant if there is one. */
static bool read_advertisement(const uint8_t *ip, const uint8_t *message, size_t size, struct heard *heard)
{
	if (size < 24 || ip[7] != 255 || message[1] != 0)
		return false;
	heard->kind = HEARD_NA;
	heard->answer = (message[4] & 0x40) != 0;
	memcpy(heard->sender.bytes, message + 8, 16);
	for (size_t at = 24; at + 8 <= size && message[at + 1] > 0; at += (size_t)message[at + 1] * 8)
		if (message[at] == 2 && message[at + 1] == 1)
			memcpy(heard->mac, message + at + 2, 6);
	return true;
}

static bool read_ip6(const uint8_t *ip, size_t size, struct heard *heard)
{
	if (size < IP6_BYTES + 8 || ip[0] >> 4 != 6 || ip[6] != IPPROTO_ICMPV6)
		return false;
	size_t payload = get16(ip + 4), captured = size - IP6_BYTES;
	const uint8_t *message = ip + IP6_BYTES;

	heard->sender.family = heard->to.family = AF_INET6;
	memcpy(heard->sender.bytes, ip + 8, 16);
	memcpy(heard->to.bytes, ip + 24, 16);
	if (payload > captured)
		payload = captured;
	if (message[0] == ND_ADVERTISEMENT)
		return read_advertisement(ip, message, payload, heard);
	return read_echo(message, payload, 129, heard);
}

/* False: not one of the frames that concern us, or malformed. */
bool frame_read(const uint8_t *frame, size_t size, struct heard *heard)
{
	memset(heard, 0, sizeof(*heard));
	if (size < ETH_BYTES)
		return false;
	memcpy(heard->eth_to, frame, 6);
	memcpy(heard->eth_from, frame + 6, 6);
	memcpy(heard->mac, frame + 6, 6);
	switch (get16(frame + 12)) {
	case 0x0806:
		return read_arp(frame + ETH_BYTES, size - ETH_BYTES, heard);
	case 0x0800:
		return read_ip4(frame + ETH_BYTES, size - ETH_BYTES, heard);
	case 0x86dd:
		return read_ip6(frame + ETH_BYTES, size - ETH_BYTES, heard);
	case ETH_P_HELPER:
		return read_helper(frame + ETH_BYTES, size - ETH_BYTES, heard);
	default:
		return false;
	}
}
