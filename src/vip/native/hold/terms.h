/*
 * The lease as granted: when it ends and what then.
 */
#ifndef HOLD_TERMS_H
#define HOLD_TERMS_H

#include <stdint.h>

#include "base/clock.h"
#include "base/text.h"

struct terms {
	enum mode mode;
	us_t at, deadline;
	uint32_t lease_ms, keep_ms;
};

us_t terms_end(const struct terms *terms);
uint32_t terms_valid_s(const struct terms *terms, us_t now);

#endif
