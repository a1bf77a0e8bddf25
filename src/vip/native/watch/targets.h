/*
 * Reachability: whether targets answer, and whether frames come in at all.
 */
#ifndef WATCH_TARGETS_H
#define WATCH_TARGETS_H

#include <stdbool.h>
#include <stdint.h>

#include "base/tables.h"
#include "watch/heard.h"

void sample(us_t every, us_t window, us_t now);
bool sample_due(us_t now, hear_function *hear);
us_t sample_next(void);
void targets_hear(const struct iface *iface, const struct heard *heard, us_t now);
bool targets_have(const struct iface *iface, const uint8_t mac[6]);
void traffic_link(struct iface *iface);

#endif
