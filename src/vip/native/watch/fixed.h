/*
 * The routers' own addresses: which of them this host has, and who else does.
 */
#ifndef WATCH_FIXED_H
#define WATCH_FIXED_H

#include <stdbool.h>

#include "base/tables.h"
#include "watch/heard.h"

void fixed_event(const struct inet *address, const struct place *where, bool usable, bool there);
void fixed_list(void);
void fixed_listed(const struct places *list);
bool fixed_speaks(const struct iface *iface, int family);
bool fixed_mute(void);
void fixed_look(us_t now);
void fixed_tell(us_t now);
us_t fixed_next(void);
bool fixed_ask(unsigned index);
void fixed_hear(const struct iface *iface, const struct heard *heard);

#endif
