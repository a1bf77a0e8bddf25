/*
 * Small values and their text: numbers, epochs, addresses, MACs, modes, masks, hex.
 */
#ifndef BASE_TEXT_H
#define BASE_TEXT_H

#include <netinet/in.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/socket.h>

#define EPOCH_COUNTER_MAX (UINT64_C(1) << 47) /* pulse takes no larger one: the heartbeat has 48 bits */

/* Formats a MAC for say(). */
#define MAC_TEXT "%02x:%02x:%02x:%02x:%02x:%02x"
#define MAC_ARGS(m) (m)[0], (m)[1], (m)[2], (m)[3], (m)[4], (m)[5]

struct epoch {
	uint64_t counter;
	uint32_t node;
};

struct inet {
	int family; /* AF_INET, AF_INET6; AF_UNSPEC: none */
	uint8_t bytes[16];
};

/*
 * Armed: the addresses go when the lease ends. Alone: they stay for a while, as no peer can take
 * them.
 */
enum mode { MODE_NONE, MODE_ARMED, MODE_ALONE };

/* False: not exactly such a value; what was written to is undefined then. */
bool parse_u64(const char *text, uint64_t max, uint64_t *value);
bool parse_epoch(const char *text, struct epoch *epoch);
bool parse_inet(const char *text, struct inet *inet);
bool parse_mac(const char *text, uint8_t mac[6]);
bool parse_hex(const char *text, uint8_t *bytes, size_t max, size_t *count);
bool parse_mode(const char *text, enum mode *mode);
bool parse_mask(const char *text, uint64_t *mask);

void format_inet(const struct inet *inet, char text[INET6_ADDRSTRLEN]);
const char *format_mode(enum mode mode);

int epoch_compare(const struct epoch *a, const struct epoch *b);
size_t inet_bytes(const struct inet *inet);
bool inet_equal(const struct inet *a, const struct inet *b);
bool inet_link_local(const struct inet *inet);
socklen_t inet_socket(const struct inet *inet, uint16_t port, struct sockaddr_storage *out);

#endif
