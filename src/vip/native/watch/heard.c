/*
 * Reads frames. Pure: bytes in, values out. Reads never go past `size`.
 */
#include "watch/heard.h"

#include <linux/if_ether.h>
#include <net/if_arp.h>
#include <string.h>

#include "base/frame.h"

#define IP4_FRAGMENTED 0x3fff /* more fragments follow, or it is not the first */

static uint64_t get64(const uint8_t *in)
{
	uint64_t value = 0;

	for (int i = 0; i < 8; i++)
		value = value << 8 | in[i];
	return value;
}

static bool read_helper(const uint8_t *body, size_t size, struct heard *heard)
{
	if (size < HELPER_BYTES || get16(body) != HELPER_MAGIC >> 16 || get16(body + 2) != (HELPER_MAGIC & 0xffff) ||
	    (body[HELPER_AT_WORD] != HELPER_ASKS && body[HELPER_AT_WORD] != HELPER_ANSWERS) ||
	    (body[HELPER_AT_FAMILY] != 4 && body[HELPER_AT_FAMILY] != 6))
		return false;
	bool v6 = body[HELPER_AT_FAMILY] == 6;

	heard->answer = body[HELPER_AT_WORD] == HELPER_ANSWERS;
	heard->kind = heard->answer ? HEARD_WORD : HEARD_ASK;
	heard->sender.family = v6 ? AF_INET6 : AF_INET;
	memcpy(heard->sender.bytes, body + HELPER_AT_ADDRESS, v6 ? 16 : 4);
	heard->nonce = get64(body + HELPER_AT_NONCE);
	return true;
}

static bool read_arp(const uint8_t *arp, size_t size, struct heard *heard)
{
	if (size < ARP_BYTES || get16(arp + ARP_AT_HARDWARE) != ARPHRD_ETHER || get16(arp + ARP_AT_PROTOCOL) != ETH_P_IP ||
	    arp[ARP_AT_SIZES] != 6 || arp[ARP_AT_SIZES + 1] != 4)
		return false;
	heard->kind = HEARD_ARP;
	heard->answer = get16(arp + ARP_AT_OPERATION) == ARPOP_REPLY;
	heard->sender.family = AF_INET;
	memcpy(heard->mac, arp + ARP_AT_SENDER_MAC, 6);
	memcpy(heard->sender.bytes, arp + ARP_AT_SENDER, 4);
	return true;
}

static bool read_echo(const uint8_t *message, size_t size, uint8_t type, struct heard *heard)
{
	if (size < ECHO_BYTES_MIN || message[ICMP_AT_TYPE] != type || message[ICMP_AT_CODE] != 0 ||
	    get16(message + ECHO_AT_ID) != ECHO_ID)
		return false;
	heard->kind = HEARD_ECHO;
	heard->answer = true;
	heard->nonce = get64(message + ECHO_AT_NONCE);
	return true;
}

static bool read_ip4(const uint8_t *ip, size_t size, struct heard *heard)
{
	size_t head = size < IP4_BYTES ? 0 : (size_t)(ip[IP4_AT_VERSION] & 15) * 4;

	if (head < IP4_BYTES || size < head || ip[IP4_AT_VERSION] >> 4 != 4 || ip[IP4_AT_PROTOCOL] != IPPROTO_ICMP ||
	    (get16(ip + IP4_AT_FRAGMENT) & IP4_FRAGMENTED) != 0)
		return false;
	heard->sender.family = heard->to.family = AF_INET;
	memcpy(heard->sender.bytes, ip + IP4_AT_SOURCE, 4);
	memcpy(heard->to.bytes, ip + IP4_AT_DESTINATION, 4);
	return read_echo(ip + head, size - head, ECHO4_REPLY, heard);
}

/*
 * RFC 4861, 7.1.2: what a valid advertisement must be. The link-layer option names the claimant if
 * there is one.
 */
static bool read_advertisement(const uint8_t *ip, const uint8_t *message, size_t size, struct heard *heard)
{
	if (size < ND_AT_OPTIONS || ip[IP6_AT_HOPS] != HOPS_ON_LINK || message[ICMP_AT_CODE] != 0)
		return false;
	heard->kind = HEARD_NA;
	heard->answer = (message[ND_AT_FLAGS] & ND_SOLICITED) != 0;
	memcpy(heard->sender.bytes, message + ND_AT_TARGET, 16);
	for (size_t at = ND_AT_OPTIONS; at + ND_OPTION_BYTES <= size && message[at + 1] > 0;
	     at += (size_t)message[at + 1] * ND_OPTION_BYTES)
		if (message[at] == ND_OPTION_TARGET && message[at + 1] == 1)
			memcpy(heard->mac, message + at + 2, 6);
	return true;
}

static bool read_ip6(const uint8_t *ip, size_t size, struct heard *heard)
{
	if (size < IP6_BYTES + 8 || ip[IP6_AT_VERSION] >> 4 != 6 || ip[IP6_AT_NEXT] != IPPROTO_ICMPV6)
		return false;
	size_t payload = get16(ip + IP6_AT_LENGTH), captured = size - IP6_BYTES;
	const uint8_t *message = ip + IP6_BYTES;

	heard->sender.family = heard->to.family = AF_INET6;
	memcpy(heard->sender.bytes, ip + IP6_AT_SOURCE, 16);
	memcpy(heard->to.bytes, ip + IP6_AT_DESTINATION, 16);
	if (payload > captured)
		payload = captured;
	if (message[ICMP_AT_TYPE] == ND_ADVERTISEMENT)
		return read_advertisement(ip, message, payload, heard);
	return read_echo(message, payload, ECHO6_REPLY, heard);
}

/* False: not one of the frames that concern us, or malformed. */
bool frame_read(const uint8_t *frame, size_t size, struct heard *heard)
{
	memset(heard, 0, sizeof(*heard));
	if (size < ETH_BYTES)
		return false;
	memcpy(heard->eth_to, frame + ETH_AT_TO, 6);
	memcpy(heard->eth_from, frame + ETH_AT_FROM, 6);
	memcpy(heard->mac, frame + ETH_AT_FROM, 6);
	switch (get16(frame + ETH_AT_TYPE)) {
	case ETH_P_ARP:
		return read_arp(frame + ETH_BYTES, size - ETH_BYTES, heard);
	case ETH_P_IP:
		return read_ip4(frame + ETH_BYTES, size - ETH_BYTES, heard);
	case ETH_P_IPV6:
		return read_ip6(frame + ETH_BYTES, size - ETH_BYTES, heard);
	case ETH_P_HELPER:
		return read_helper(frame + ETH_BYTES, size - ETH_BYTES, heard);
	default:
		return false;
	}
}
