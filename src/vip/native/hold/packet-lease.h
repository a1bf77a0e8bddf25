/*
 * The packet lease: while it is renewed, packets for the addresses get in; the kernel's own clock
 * ends it.
 */
#ifndef HOLD_PACKET_LEASE_H
#define HOLD_PACKET_LEASE_H

#include <stdbool.h>

#include "base/clock.h"
#include "hold/terms.h"

void packet_lease_open(bool installed);
int packet_lease_fd(void);
void packet_lease_renew(const struct terms *terms);
void packet_lease_close(void);
void packet_lease_read(us_t now);
bool packet_lease_due(us_t now);
us_t packet_lease_next(void);
void packet_lease_interface(const char *name);

#endif
