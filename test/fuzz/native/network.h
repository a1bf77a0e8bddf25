/*
 * What the fake kernel has around it: two interfaces, addresses, rtnetlink's answers, and the last
 * word to the packet lease. It knows no descriptors and no script; kernel.c does.
 */
#ifndef NETWORK_H
#define NETWORK_H

#include <net/if.h>
#include <stddef.h>
#include <stdint.h>

void network_reset(void);

/* The answer of ioctl(): 0 or an errno. */
int network_ioctl(unsigned long what, struct ifreq *request);

/*
 * A request to rtnetlink. Its answer waits for network_reply(). For the trace: what it asked for,
 * or NULL.
 */
const char *network_request(const uint8_t *message, size_t size);
/* The bytes of the next answer, 0 when there is none. */
size_t network_reply(void *into, size_t room);

/* A frame goes out. For the trace: what it says to the packet lease, or NULL. */
const char *network_hear(const uint8_t *frame, size_t size);

/*
 * What the script may do: an interface changes (carrier, MAC, or it goes and comes back); the next
 * requests are refused; addresses are taken away, all of them if there are no bytes.
 */
void network_change(const uint8_t *bytes, size_t size);
void network_refuse(uint8_t count, uint8_t error);
void network_lose(const uint8_t *bytes, size_t size);

#endif
