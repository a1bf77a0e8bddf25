/*
 * The last will: sent to the peer once every address is gone.
 */
#ifndef HOLD_WILL_H
#define HOLD_WILL_H

#include "base/clock.h"

void will_open(void);
void will_begin(us_t now);
void will_run(us_t now);
us_t will_next(void); /* NEVER: nothing is being sent */

#endif
