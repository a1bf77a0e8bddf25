/*
 * Claims: somebody else speaks for a virtual address.
 */
#ifndef WATCH_CONFLICT_H
#define WATCH_CONFLICT_H

#include "base/clock.h"
#include "watch/heard.h"

void conflict_hear(unsigned index, const struct heard *heard, us_t now);

#endif
