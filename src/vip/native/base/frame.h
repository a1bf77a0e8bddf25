/*
 * Ethernet frames: where their fields are, and those that vipd sends. ARP (RFC 826, 5227),
 * neighbour discovery (RFC 4861), ICMP echo (RFC 792, 4443), and what one vipd asks the other. What
 * a frame that came in says: watch/heard.c.
 */
#ifndef BASE_FRAME_H
#define BASE_FRAME_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/text.h"

#define FRAME_BYTES_MAX 256
#define ETH_P_HELPER 0x88b6 /* IEEE 802: local experimental 2; what one vipd asks the other, below every filter of IP */
#define HELPER_MAGIC 0x544e4450u /* "TNDP" */
#define ECHO_ID 0x7470 /* of every echo of ours */

/* Offsets and sizes, in bytes, each from the beginning of its own header. */
enum { ETH_AT_TO = 0, ETH_AT_FROM = 6, ETH_AT_TYPE = 12, ETH_BYTES = 14 };
enum {
	ARP_AT_HARDWARE = 0,
	ARP_AT_PROTOCOL = 2,
	ARP_AT_SIZES = 4, /* of a MAC and of an address */
	ARP_AT_OPERATION = 6,
	ARP_AT_SENDER_MAC = 8,
	ARP_AT_SENDER = 14,
	ARP_AT_TARGET_MAC = 18,
	ARP_AT_TARGET = 24,
	ARP_BYTES = 28
};
enum {
	IP4_AT_VERSION = 0, /* and the header's length in words */
	IP4_AT_LENGTH = 2,
	IP4_AT_FRAGMENT = 6,
	IP4_AT_TTL = 8,
	IP4_AT_PROTOCOL = 9,
	IP4_AT_CHECKSUM = 10,
	IP4_AT_SOURCE = 12,
	IP4_AT_DESTINATION = 16,
	IP4_BYTES = 20 /* without options */
};
enum {
	IP6_AT_VERSION = 0,
	IP6_AT_LENGTH = 4,
	IP6_AT_NEXT = 6,
	IP6_AT_HOPS = 7,
	IP6_AT_SOURCE = 8,
	IP6_AT_DESTINATION = 24,
	IP6_BYTES = 40
};
/* ICMP and ICMPv6. */
enum { ICMP_AT_TYPE = 0, ICMP_AT_CODE = 1, ICMP_AT_CHECKSUM = 2, ECHO_AT_ID = 4, ECHO_AT_NONCE = 8, ECHO_BYTES_MIN = 16 };
enum { ND_AT_FLAGS = 4, ND_AT_TARGET = 8, ND_AT_OPTIONS = 24, ND_OPTION_BYTES = 8 /* with a MAC */ };
enum { HELPER_AT_WORD = 4, HELPER_AT_FAMILY = 5, HELPER_AT_ADDRESS = 6, HELPER_AT_NONCE = 22, HELPER_BYTES = 30 };

/* What stands there. */
enum { ECHO4_REPLY = 0, ECHO4_REQUEST = 8, ECHO6_REQUEST = 128, ECHO6_REPLY = 129, ND_SOLICITATION = 135, ND_ADVERTISEMENT = 136 };
enum { ND_ROUTER = 0x80, ND_SOLICITED = 0x40, ND_OVERRIDE = 0x20 };
enum { ND_OPTION_SOURCE = 1, ND_OPTION_TARGET = 2 };
enum { HOPS_ON_LINK = 255 }; /* RFC 4861: what has passed a router is not believed */
enum { HELPER_ASKS = 1, HELPER_ANSWERS = 2 };

extern const uint8_t mac_broadcast[6];

static inline unsigned get16(const uint8_t *in)
{
	return (unsigned)in[0] << 8 | in[1];
}

/* Each writes a whole frame into FRAME_BYTES_MAX bytes and returns its size. */
size_t frame_arp(uint8_t *out, uint16_t op, const uint8_t own[6], const uint8_t sender[4], const uint8_t target_mac[6],
		 const uint8_t target[4]);
size_t frame_advertisement(uint8_t *out, const uint8_t own[6], const struct inet *address, bool router);
size_t frame_solicitation(uint8_t *out, const uint8_t own[6], const uint8_t *to_mac, const struct inet *from,
			  const struct inet *target);
size_t frame_echo(uint8_t *out, const uint8_t own[6], const uint8_t to_mac[6], const struct inet *from,
		  const struct inet *to, uint64_t nonce);
size_t frame_helper(uint8_t *out, bool word, const uint8_t own[6], const uint8_t to_mac[6], const struct inet *address,
		    uint64_t nonce);

#endif
