/*
 * Neighbours: whether anybody else answers on a LAN that has no targets.
 */
#ifndef WATCH_NEIGHBOURS_H
#define WATCH_NEIGHBOURS_H

#include "base/tables.h"
#include "watch/heard.h"

void neighbours_sample(us_t window, us_t now, us_t late, hear_function *hear);
void neighbours_tell_anew(void);
void neighbours_hear(struct iface *iface, const struct heard *heard, us_t now);

#endif
