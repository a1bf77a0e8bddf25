/*
 * vipd, the only code that touches virtual addresses: types and the interfaces between its files.
 *
 * vipd.c is the poll loop and the start, lease.c decides (claim, lease, removal, repair), command.c reads pulse's lines,
 * keeper.c refreshes kernel lifetimes from a thread of its own, netlink.c speaks rtnetlink, packet.c and frame.c speak
 * ARP, ND and ICMP, gate.c renews the packet lease, targets.c samples reachability, fixed.c watches the routers' own addresses,
 * place.c whether the kernel would take the virtual ones,
 * will.c sends the last will, state.c keeps the state file. The protocol is in docs/internals/vipd.md.
 */
#ifndef VIPD_H
#define VIPD_H

#include <net/if.h>
#include <netinet/in.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#ifndef VIPD_VERSION
#define VIPD_VERSION "0.0.0"
#endif

#define VIP_MAX 64 /* bits of a uint64_t: sets of addresses are masks */
#define IFACE_MAX 32
#define LINK_MAX 8
#define TARGET_MAX 16
#define FIXED_MAX 64
#define PLACES_MAX 8
#define LINE_BYTES_MAX 1024
#define WILL_BYTES_MAX 508 /* as hex it must fit into one line */
#define FRAME_BYTES_MAX 256
#define PORT_BYTES (2 * IF_NAMESIZE)
#define PACKET_SOCKETS 4 /* ARP, IPv4, IPv6, helpers */
#define ETH_P_HELPER 0x88b6 /* IEEE 802: local experimental 2; what one vipd asks the other, below every filter of IP */

/* CLOCK_MONOTONIC, microseconds. */
typedef int64_t us_t;
#define US_PER_MS ((us_t)1000)
#define US_PER_S ((us_t)1000000)
#define NEVER INT64_MAX

#define EPOCH_COUNTER_MAX (UINT64_C(1) << 47) /* pulse takes no larger one: the heartbeat has 48 bits */

struct epoch {
	uint64_t counter;
	uint32_t node;
};

struct inet {
	int family; /* AF_INET, AF_INET6; AF_UNSPEC: none */
	uint8_t bytes[16];
};

struct iface {
	char name[IF_NAMESIZE]; /* as we were told; may be an alternative name */
	char real[IF_NAMESIZE]; /* the kernel's own name of it now */
	_Atomic int index; /* 0: no such interface now; the keeper reads it */
	bool up, ethernet;
	us_t up_since;	/* long ago at the start */
	bool sampled; /* addresses or targets are there: its traffic is told */
	uint8_t mac[6];
	int fd[PACKET_SOCKETS]; /* -1: not open */
	us_t rest_until[PACKET_SOCKETS]; /* flooded: not read before */
	uint64_t packets; /* received, as last counted */
	bool counted;
	us_t traffic_at; /* when that last grew */
	int told;	 /* targets.c */
};

/* A host whose answer shows that a LAN works. */
struct target {
	struct inet address;
	struct inet own; /* our fixed address on the same LAN */
	struct iface *iface;
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
	unsigned announce_step;
	us_t announce_at;
	bool awaited; /* IPv6: added, but the kernel does not serve it yet */
	uint8_t rival[6]; /* whose claim was told last, when, and whether we held the address */
	us_t rival_at;
	bool rival_held;
};

/* Where an address is: it may be on several interfaces, and with several prefixes on one. */
struct place {
	unsigned iface, prefix;
};

struct places {
	unsigned count;
	struct place at[PLACES_MAX];
};

struct link {
	struct inet local, remote;
	uint16_t port;
	int fd; /* -1: not bound yet */
};

enum mode { MODE_NONE, MODE_ARMED, MODE_ALONE };

/* The lease as granted: when it ends and what then. */
struct terms {
	enum mode mode;
	us_t at, deadline;
	uint32_t lease_ms, keep_ms;
};

/* What survives vipd: see state.c. */
struct state {
	struct epoch epoch; /* the highest ever claimed */
	enum mode mode;
	bool closed; /* the will for this epoch went out: never again */
	uint8_t will[WILL_BYTES_MAX];
	size_t will_bytes;
};

struct bucket {
	unsigned per_second, burst;
	us_t spent_until; /* virtual time up to which tokens are used */
};

struct options {
	const char *state_path;
	bool cleanup;
	bool gate;	     /* the packet lease's table is installed */
	unsigned trial_ms; /* of the packet lease; 0: none asked for */
};

extern struct vip vips[VIP_MAX];
extern unsigned vip_count;
extern struct iface ifaces[IFACE_MAX];
extern unsigned iface_count;
extern struct link links[LINK_MAX];
extern unsigned link_count;
extern struct target targets[TARGET_MAX];
extern unsigned target_count;
extern struct state state;

/* options.c */
int options_read(int argc, char **argv, struct options *options); /* -1: go on, else exit code */
bool vip_add(const char *spec);
bool link_add(const char *spec);
bool target_add(const char *spec);
struct iface *iface_named(const char *name);

/* output.c: lines to pulse, never waiting for it */
void say(const char *format, ...) __attribute__((format(printf, 1, 2)));
void say_error(const char *format, ...) __attribute__((format(printf, 1, 2)));
void output_flush(void);
bool output_pending(void);
bool bucket_take(struct bucket *bucket, us_t now);
us_t clock_now(void);

/* text.c: reading and writing small values */
bool text_u64(const char *text, uint64_t max, uint64_t *value);
bool text_epoch(const char *text, struct epoch *epoch);
bool text_inet(const char *text, struct inet *inet);
bool text_mac(const char *text, uint8_t mac[6]);
bool text_hex(const char *text, uint8_t *bytes, size_t max, size_t *count);
void inet_text(const struct inet *inet, char text[INET6_ADDRSTRLEN]);
size_t inet_bytes(const struct inet *inet);
bool inet_equal(const struct inet *a, const struct inet *b);
socklen_t inet_socket(const struct inet *inet, uint16_t port, struct sockaddr_storage *out);
bool inet_link_local(const struct inet *inet);
int epoch_compare(const struct epoch *a, const struct epoch *b);
const char *mode_text(enum mode mode);
bool text_mode(const char *text, enum mode *mode);
bool text_mask(const char *text, uint64_t *mask);

/* Formats a MAC into a caller's buffer, for say(). */
#define MAC_TEXT "%02x:%02x:%02x:%02x:%02x:%02x"
#define MAC_ARGS(m) (m)[0], (m)[1], (m)[2], (m)[3], (m)[4], (m)[5]

/* netlink.c */
struct netlink {
	int fd;
	uint32_t seq;
};
bool netlink_open(struct netlink *nl);
int netlink_ensure(struct netlink *nl, unsigned index, uint32_t valid_s, bool *created); /* 0 or errno */
int netlink_remove(struct netlink *nl, unsigned index);				       /* 0: confirmed gone */
int netlink_find(struct netlink *nl, uint64_t *present, uint64_t *foreign, struct places *into);
int events_open(void);
bool events_read(int fd); /* false: events were lost, look at everything anew */

/* iface.c */
void iface_read(struct iface *iface);
void iface_changed(struct iface *iface);
void links_tell(const struct iface *iface);
void look_anew(void);

/* announce.c */
void announce_start(struct vip *vip, us_t now);
bool announce_all(us_t now);
void announce_due(us_t now);
void announce_stop(void);
us_t announce_next(void);

/* keeper.c */
bool keeper_start(void);
int keeper_fd(void);
void keeper_terms(const struct terms *terms);
void keeper_stop(void);
void keeper_ensure(uint64_t mask);
void keeper_drop(uint64_t mask);
void keeper_list(void);
const struct places *keeper_listed(void);
void keeper_results(uint64_t *done, uint64_t *created, uint64_t *failed, int errors[VIP_MAX]);
us_t terms_end(const struct terms *terms);
uint32_t terms_valid_s(const struct terms *terms, us_t now);

/* packet.c */
void packet_open(struct iface *iface);
void packet_close(struct iface *iface);
void packet_read(struct iface *iface, unsigned which, us_t now);
us_t packet_rest(us_t now);
void packet_announce(struct vip *vip);
void packet_ask(const struct iface *iface, const uint8_t *mac, const struct inet *from, const struct inet *address);
void probe(const char *id, unsigned index, const uint8_t *mac, us_t window, us_t now);
void probes_due(us_t now);
us_t probes_next(void);
void packet_send(const struct iface *iface, unsigned protocol, const uint8_t *frame, size_t size);

/* gate.c: the packet lease */
void gate_open(bool installed);
int gate_fd(void);
void gate_renew(const struct terms *terms);
void gate_close(void);
void gate_read(us_t now);
bool gate_due(us_t now);
us_t gate_next(void);
void gate_interface(const char *name);
const char *gate_trial(unsigned life_ms);

/* frame.c: pure */
enum heard_kind { HEARD_ARP, HEARD_NA, HEARD_ECHO, HEARD_ASK, HEARD_WORD };
struct heard {
	enum heard_kind kind;
	struct inet sender;  /* the address that is claimed or answered for */
	struct inet to;	     /* ECHO: whom the answer is for */
	uint8_t mac[6];	     /* who says so */
	uint8_t eth_to[6], eth_from[6];
	bool answer;	     /* an ARP reply, a solicited advertisement */
	uint64_t nonce;	     /* ECHO, ASK, WORD */
};
bool frame_read(const uint8_t *frame, size_t size, struct heard *heard);
size_t frame_arp(uint8_t *out, uint16_t op, const uint8_t own[6], const uint8_t sender[4], const uint8_t target_mac[6],
		 const uint8_t target[4]);
size_t frame_advertisement(uint8_t *out, const uint8_t own[6], const struct inet *address, bool router);
size_t frame_solicitation(uint8_t *out, const uint8_t own[6], const uint8_t *to_mac, const struct inet *from,
			  const struct inet *target);
size_t frame_echo(uint8_t *out, const uint8_t own[6], const uint8_t to_mac[6], const struct inet *from,
		  const struct inet *to, uint64_t nonce);

size_t frame_helper(uint8_t *out, bool word, const uint8_t own[6], const uint8_t to_mac[6], const struct inet *address,
		    uint64_t nonce);

/* targets.c: reachability */
void sample(us_t every, us_t window, us_t now);
void sample_due(us_t now);
us_t sample_next(void);
void targets_hear(const struct iface *iface, const struct heard *heard, us_t now);
bool targets_have(const struct iface *iface, const uint8_t mac[6]);
void traffic_link(struct iface *iface);

/* fixed.c: the routers' own addresses */
bool fixed_add(const char *spec);
void fixed_note(struct places *into, const struct inet *address, const struct place *where, uint32_t flags, bool there);
void fixed_event(const struct inet *address, const struct place *where, uint32_t flags, bool there);
void fixed_list(void);
void fixed_listed(const struct places *list);
bool fixed_speaks(const struct iface *iface, int family);
bool fixed_mute(void);
void fixed_look(us_t now);
void fixed_tell(us_t now);
const struct inet *fixed_peer(unsigned index, const struct iface *iface);
bool fixed_ask(unsigned index);
void fixed_hear(const struct iface *iface, const struct heard *heard);
us_t fixed_next(void);

/* place.c: whether the kernel would take the addresses */
void places_tell(us_t now);
void places_changed(void);
void places_due(us_t now);
us_t places_next(void);

/* port.c */
void port_of(const struct iface *iface, const uint8_t mac[6], char out[PORT_BYTES]);

/* state.c */
bool state_load(const char *path, bool with_addresses);
void state_save(const char *path);

/* will.c */
void will_open(void);
void will_begin(us_t now);
us_t will_next(void);
void will_run(us_t now);

/* command.c */
void command_bytes(const char *bytes, size_t count);

/* lease.c: what commands and events do */
void lease_start(const char *state_path, struct netlink *nl, int events, uint64_t found);
void lease_check(us_t now);
void lease_timers(us_t now);
us_t lease_next(void);
void lease_pipe_closed(us_t now);
bool lease_idle(void);
bool holding(void);
bool serving(unsigned index);
uint64_t all_vips(void);
uint64_t wanted_vips(void);
void keeper_told(us_t now);
void vip_lost(unsigned index);
void vip_served(unsigned index);
void serve_claim(uint64_t seq, const struct epoch *epoch, struct terms terms, uint64_t mask);
void serve_renew(uint64_t seq, const struct epoch *epoch, struct terms terms, uint64_t mask);
void serve_release(uint64_t seq, const struct epoch *epoch, bool will);
void serve_will(const uint8_t *bytes, size_t count);
void serve_announce(void);
void serve_gate(void);

#endif
