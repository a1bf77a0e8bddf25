/*
 * What a frame that came in says, if it concerns us.
 */
#ifndef WATCH_HEARD_H
#define WATCH_HEARD_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/tables.h"

enum heard_kind { HEARD_ARP, HEARD_NA, HEARD_ECHO, HEARD_ASK, HEARD_WORD };

struct heard {
	enum heard_kind kind;
	struct inet sender; /* the address that is claimed or answered for */
	struct inet to;	    /* ECHO: whom the answer is for */
	uint8_t mac[6];	    /* who says so */
	uint8_t eth_to[6], eth_from[6];
	bool answer;	/* an ARP reply, a solicited advertisement */
	uint64_t nonce; /* ECHO, ASK, WORD */
};

/*
 * Reads what is queued on a socket and acts on it: hear(). Given to those who judge silence, and
 * must hear first.
 */
typedef void hear_function(struct iface *iface, enum packet_socket which, us_t now);

bool frame_read(const uint8_t *frame, size_t size, struct heard *heard);

#endif
