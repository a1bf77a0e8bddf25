/*
 * What vipd was started with, and what is known of it: virtual addresses, interfaces, links,
 * targets, fixed addresses. Commands and answers name an entry by its position. A field belongs to
 * the file that is named beside it; the rest is set once, at the start.
 */
#ifndef BASE_TABLES_H
#define BASE_TABLES_H

#include <net/if.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "base/clock.h"
#include "base/text.h"

#define VIP_MAX 64 /* bits of a uint64_t: sets of addresses are masks */
#define IFACE_MAX 32
#define LINK_MAX 8
#define TARGET_MAX 16
#define FIXED_MAX 64
#define PLACES_MAX 8
#define NEIGHBOURS_MAX 4 /* of an interface */

/* The packet sockets of an interface; HELPER: what one vipd asks the other. */
enum packet_socket { SOCKET_ARP, SOCKET_IP4, SOCKET_IP6, SOCKET_HELPER, PACKET_SOCKETS };

/* Somebody else on a LAN without targets. */
struct neighbour {
	struct inet address; /* AF_UNSPEC: nobody */

	/* watch/neighbours.c */
	uint8_t mac[6];	  /* as it last answered */
	us_t answered_at; /* 0: never */
};

struct iface {
	char name[IF_NAMESIZE]; /* as we were told; may be an alternative name */
	bool sampled;		/* addresses or targets are there: its traffic is told */

	/* watch/iface.c */
	char real[IF_NAMESIZE]; /* the kernel's own name of it now */
	_Atomic int index;	/* 0: no such interface now; the thread of hold/lifetimes.c reads it */
	bool up, ethernet;
	bool had_arp, arp_off; /* switched off while we run; some kinds never have ARP */
	us_t up_since; /* long ago at the start */
	uint8_t mac[6];

	int fd[PACKET_SOCKETS];		 /* watch/packet.c; -1: not open */
	us_t rest_until[PACKET_SOCKETS]; /* watch/hear.c; flooded: not read before */

	/* watch/targets.c */
	uint64_t packets; /* received, as last counted */
	bool counted;
	us_t traffic_at; /* when that last grew */
	int told;

	/* watch/neighbours.c */
	struct neighbour neighbours[NEIGHBOURS_MAX];
	us_t asked_at;	   /* one of them, or all */
	us_t round_at;	   /* when others were looked for last */
	unsigned arp_from; /* entries of the ARP table that were looked at already */
	int neighbours_told;
};

/* A host whose answer shows that a LAN works. */
struct target {
	struct inet address;
	struct inet own; /* our fixed address on the same LAN */
	struct iface *iface;

	/* watch/targets.c */
	uint8_t mac[6]; /* as it last answered */
	bool known;
	bool answered; /* since it was asked last */
	unsigned asked;
	us_t heard_at;
	int told;
};

struct vip {
	struct inet address;
	struct inet own; /* our fixed address on the same LAN, to probe from */
	struct iface *iface;
	int put_on; /* hold/netlink.c: the index of the interface that it was put on last; 0: none */

	/* hold/announce.c and hold/lease.c */
	unsigned announce_step;
	us_t announce_at;
	bool awaited; /* IPv6: added, but the kernel does not serve it yet */

	/* watch/conflict.c: whose claim was told last, when, and whether we held the address */
	uint8_t rival[6];
	us_t rival_at;
	bool rival_held;
};

struct link {
	struct inet local, remote;
	uint16_t port;
	int fd; /* hold/will.c; -1: not bound yet */
};

/* Where an address is: it may be on several interfaces, and with several prefixes on one. */
struct place {
	unsigned iface, prefix;
};

struct places {
	unsigned count;
	struct place at[PLACES_MAX];
};

/* An address that the config gives to one of the routers. */
struct fixed {
	struct inet address;
	struct iface *iface; /* NULL: any interface counts */
	struct iface *peers; /* the peer's: where it is asked for; else NULL */

	/* watch/fixed.c */
	unsigned answers; /* that are still told */
	uint64_t nonce;	  /* of the question about our own */
	struct places places;
	bool unrouted; /* as last looked up */
	int told;
};

extern struct vip vips[VIP_MAX];
extern unsigned vip_count;
extern struct iface ifaces[IFACE_MAX];
extern unsigned iface_count;
extern struct link links[LINK_MAX];
extern unsigned link_count;
extern struct target targets[TARGET_MAX];
extern unsigned target_count;
extern struct fixed fixed[FIXED_MAX];
extern unsigned fixed_count;

/* Each reads one value of the command line; false: it is none, or there is no room. */
bool vip_add(const char *spec);
bool link_add(const char *spec);
bool target_add(const char *spec);
bool fixed_add(const char *spec);

/* All virtual addresses, one bit each. */
uint64_t all_vips(void);
const struct inet *own_on(const struct iface *iface, int family);

#endif
