/*
 * The lease: who may hold the addresses and until when. What pulse asks for, what the kernel says,
 * what time does.
 */
#ifndef HOLD_LEASE_H
#define HOLD_LEASE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/clock.h"
#include "base/text.h"
#include "hold/netlink.h"
#include "hold/terms.h"

/*
 * `take_events`: acts on what the kernel has told so far, as the loop does; called where older
 * events must not be mistaken for news.
 */
void lease_start(const char *state_path, struct netlink *nl, uint64_t found, void (*take_events)(void));

/* What pulse asks for. */
void serve_claim(uint64_t seq, const struct epoch *epoch, struct terms terms, uint64_t mask);
void serve_renew(uint64_t seq, const struct epoch *epoch, struct terms terms, uint64_t mask);
void serve_release(uint64_t seq, const struct epoch *epoch, bool will);
void serve_will(const uint8_t *bytes, size_t count);
void serve_announce(void);
void serve_packet_lease(void);

/* What happens. */
void lease_check(us_t now);
void lease_pipe_closed(bool mute, us_t now);
void lease_results(us_t now);
void lease_lost(unsigned index);
void lease_served(unsigned index);
void lease_due(us_t now);
us_t lease_next(void);

/* How it is. */
bool lease_idle(void);
bool serving(unsigned index);
uint64_t wanted_vips(void);

#endif
