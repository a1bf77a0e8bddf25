/*
 * rtnetlink(7): addresses added, removed and listed, and what the kernel tells of changes.
 */
#ifndef HOLD_NETLINK_H
#define HOLD_NETLINK_H

#include <stdbool.h>
#include <stdint.h>

#include "base/tables.h"

struct netlink {
	int fd;
	uint32_t seq;
};

/*
 * LINK and ADDRESS have news; DONE: nothing more for now; LOST: the kernel had to drop events, look
 * at everything anew.
 */
enum event_kind { EVENT_LINK, EVENT_ADDRESS, EVENTS_DONE, EVENTS_LOST };

struct event {
	/* LINK */
	int link;	  /* its index */
	const char *name; /* until the next events_next() */
	bool running;	  /* it has a carrier */

	/* ADDRESS */
	struct inet address;
	struct place where;
	bool there, usable;
	unsigned vip; /* which of ours it is, at the place where we put it; VIP_MAX: none */
};

bool netlink_open(struct netlink *nl);
int netlink_ensure(struct netlink *nl, unsigned index, uint32_t valid_s, bool *created); /* 0 or errno */
int netlink_remove(struct netlink *nl, unsigned index);				       /* 0: confirmed gone */
int netlink_find(struct netlink *nl, uint64_t *present, uint64_t *foreign, struct places *into);
int netlink_gateway_link(const struct inet *from, const struct inet *to, int bound);
int events_open(void);
enum event_kind events_next(int fd, struct event *event);
void places_note(struct places *places, const struct place *where, bool there);

#endif
