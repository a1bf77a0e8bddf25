/*
 * Whether the kernel would take each virtual address.
 */
#ifndef WATCH_PLACE_H
#define WATCH_PLACE_H

#include "base/clock.h"

void places_tell(us_t now);
void places_changed(void);
us_t places_next(void);

#endif
