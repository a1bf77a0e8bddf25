/*
 * When each held address is announced, and the frames for that.
 */
#ifndef HOLD_ANNOUNCE_H
#define HOLD_ANNOUNCE_H

#include <stdbool.h>
#include <stdint.h>

#include "base/tables.h"

void announce_start(struct vip *vip, us_t now);
bool announce_all(uint64_t mask, us_t now);
void announce_due(us_t now);
void announce_stop(void);
us_t announce_next(void);

#endif
