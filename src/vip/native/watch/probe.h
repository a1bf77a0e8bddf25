/*
 * Probes: does anybody serve an address, and who? And the answer to the same question of the other
 * vipd.
 */
#ifndef WATCH_PROBE_H
#define WATCH_PROBE_H

#include <stdint.h>

#include "base/clock.h"
#include "watch/heard.h"

#define PROBE_ID_BYTES_MAX 32

void probe(const char *id, unsigned index, const uint8_t *mac, us_t window, us_t now);
void probe_hear(unsigned index, const struct heard *heard, us_t now);
void probes_due(us_t now, hear_function *hear);
us_t probes_next(void);

#endif
