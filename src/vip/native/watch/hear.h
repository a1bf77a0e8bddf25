/*
 * Reads what came in on packet sockets, and passes it to those whom it concerns.
 */
#ifndef WATCH_HEAR_H
#define WATCH_HEAR_H

#include "watch/heard.h"

hear_function hear;
us_t hear_next(us_t now);

#endif
