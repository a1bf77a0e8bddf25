/*
 * The frames that vipd sends. Pure: values in, bytes out.
 */
#include "base/frame.h"

#include <linux/if_ether.h>
#include <net/if_arp.h>
#include <string.h>

#define FRAME_BYTES_MIN 60
#define ECHO_BYTES 24 /* header, nonce, and room that looks like any ping */

const uint8_t mac_broadcast[6] = { 0xff, 0xff, 0xff, 0xff, 0xff, 0xff };

static void put16(uint8_t *out, unsigned value)
{
	out[0] = (uint8_t)(value >> 8);
	out[1] = (uint8_t)value;
}

static void put64(uint8_t *out, uint64_t value)
{
	for (int i = 0; i < 8; i++)
		out[i] = (uint8_t)(value >> (56 - 8 * i));
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
	memcpy(out + ETH_AT_TO, to, 6);
	memcpy(out + ETH_AT_FROM, from, 6);
	put16(out + ETH_AT_TYPE, protocol);
}

static size_t padded(size_t size)
{
	return size < FRAME_BYTES_MIN ? FRAME_BYTES_MIN : size;
}

/* Always broadcast. */
size_t frame_arp(uint8_t *out, uint16_t op, const uint8_t own[6], const uint8_t sender[4], const uint8_t target_mac[6],
		 const uint8_t target[4])
{
	uint8_t *arp = out + ETH_BYTES;

	ethernet(out, mac_broadcast, own, ETH_P_ARP);
	put16(arp + ARP_AT_HARDWARE, ARPHRD_ETHER);
	put16(arp + ARP_AT_PROTOCOL, ETH_P_IP);
	put16(arp + ARP_AT_SIZES, 6 << 8 | 4);
	put16(arp + ARP_AT_OPERATION, op);
	memcpy(arp + ARP_AT_SENDER_MAC, own, 6);
	memcpy(arp + ARP_AT_SENDER, sender, 4);
	memcpy(arp + ARP_AT_TARGET_MAC, target_mac, 6);
	memcpy(arp + ARP_AT_TARGET, target, 4);
	return FRAME_BYTES_MIN;
}

/*
 * Fills in the IPv6 header and the checksum of an ICMPv6 message that stands at its place in `out`.
 */
static size_t icmp6(uint8_t *out, const uint8_t from[16], const uint8_t to[16], uint8_t hops, size_t size)
{
	uint8_t *ip = out + ETH_BYTES, *message = ip + IP6_BYTES;

	ip[IP6_AT_VERSION] = 6 << 4;
	put16(ip + IP6_AT_LENGTH, (unsigned)size);
	ip[IP6_AT_NEXT] = IPPROTO_ICMPV6;
	ip[IP6_AT_HOPS] = hops;
	memcpy(ip + IP6_AT_SOURCE, from, 16);
	memcpy(ip + IP6_AT_DESTINATION, to, 16);
	uint32_t pseudo = sum16(ip + IP6_AT_SOURCE, 32, (uint32_t)size + IPPROTO_ICMPV6);

	put16(message + ICMP_AT_CHECKSUM, checksum(message, size, pseudo));
	return padded(ETH_BYTES + IP6_BYTES + size);
}

/* RFC 4861, 4.6.1: our MAC, in one unit of eight bytes. */
static void link_layer_option(uint8_t *option, uint8_t type, const uint8_t own[6])
{
	option[0] = type;
	option[1] = ND_OPTION_BYTES / 8;
	memcpy(option + 2, own, 6);
}

/* To all nodes, unsolicited, with override. */
size_t frame_advertisement(uint8_t *out, const uint8_t own[6], const struct inet *address, bool router)
{
	static const uint8_t all_nodes[16] = { 0xff, 0x02, [15] = 1 };
	static const uint8_t all_nodes_mac[6] = { 0x33, 0x33, 0, 0, 0, 1 };
	uint8_t *message = out + ETH_BYTES + IP6_BYTES;

	ethernet(out, all_nodes_mac, own, ETH_P_IPV6);
	message[ICMP_AT_TYPE] = ND_ADVERTISEMENT;
	message[ND_AT_FLAGS] = (uint8_t)((router ? ND_ROUTER : 0) | ND_OVERRIDE);
	memcpy(message + ND_AT_TARGET, address->bytes, 16);
	link_layer_option(message + ND_AT_OPTIONS, ND_OPTION_TARGET, own);
	return icmp6(out, address->bytes, all_nodes, HOPS_ON_LINK, ND_AT_OPTIONS + ND_OPTION_BYTES);
}

/*
 * `from` of family AF_UNSPEC: from the unspecified address, as duplicate address detection asks.
 * With `to_mac` straight to the target (RFC 4861, 7.2.5: neighbour unreachability detection), else
 * to its group.
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
	ethernet(out, to_mac ? to_mac : mac, own, ETH_P_IPV6);
	message[ICMP_AT_TYPE] = ND_SOLICITATION;
	memcpy(message + ND_AT_TARGET, target->bytes, 16);
	if (named)
		link_layer_option(message + ND_AT_OPTIONS, ND_OPTION_SOURCE, own);
	return icmp6(out, from->bytes, to_mac ? target->bytes : group, HOPS_ON_LINK,
		     named ? ND_AT_OPTIONS + ND_OPTION_BYTES : ND_AT_OPTIONS);
}

/*
 * An echo request with a nonce. TTL 1: a router that does not hold the address must not forward it
 * to one that does and so seem to answer.
 */
size_t frame_echo(uint8_t *out, const uint8_t own[6], const uint8_t to_mac[6], const struct inet *from,
		  const struct inet *to, uint64_t nonce)
{
	bool v6 = to->family == AF_INET6;
	uint8_t *ip = out + ETH_BYTES, *message = ip + (v6 ? IP6_BYTES : IP4_BYTES);

	ethernet(out, to_mac, own, v6 ? ETH_P_IPV6 : ETH_P_IP);
	message[ICMP_AT_TYPE] = v6 ? ECHO6_REQUEST : ECHO4_REQUEST;
	put16(message + ECHO_AT_ID, ECHO_ID);
	put64(message + ECHO_AT_NONCE, nonce);
	if (v6)
		return icmp6(out, from->bytes, to->bytes, 1, ECHO_BYTES);
	put16(message + ICMP_AT_CHECKSUM, checksum(message, ECHO_BYTES, 0));
	ip[IP4_AT_VERSION] = 4 << 4 | IP4_BYTES / 4;
	put16(ip + IP4_AT_LENGTH, IP4_BYTES + ECHO_BYTES);
	ip[IP4_AT_TTL] = 1;
	ip[IP4_AT_PROTOCOL] = IPPROTO_ICMP;
	memcpy(ip + IP4_AT_SOURCE, from->bytes, 4);
	memcpy(ip + IP4_AT_DESTINATION, to->bytes, 4);
	put16(ip + IP4_AT_CHECKSUM, checksum(ip, IP4_BYTES, 0));
	return padded(ETH_BYTES + IP4_BYTES + ECHO_BYTES);
}

/*
 * Do you serve this address? And the other vipd's word that it does, with the nonce of the
 * question. "TNDP", 1 or 2, family 4 or 6, address in 16 bytes, nonce.
 */
size_t frame_helper(uint8_t *out, bool word, const uint8_t own[6], const uint8_t to_mac[6], const struct inet *address,
		    uint64_t nonce)
{
	uint8_t *body = out + ETH_BYTES;
	bool v6 = address->family == AF_INET6;

	ethernet(out, to_mac, own, ETH_P_HELPER);
	put16(body, HELPER_MAGIC >> 16);
	put16(body + 2, HELPER_MAGIC & 0xffff);
	body[HELPER_AT_WORD] = word ? HELPER_ANSWERS : HELPER_ASKS;
	body[HELPER_AT_FAMILY] = v6 ? 6 : 4;
	memcpy(body + HELPER_AT_ADDRESS, address->bytes, v6 ? 16 : 4);
	put64(body + HELPER_AT_NONCE, nonce);
	return padded(ETH_BYTES + HELPER_BYTES);
}
