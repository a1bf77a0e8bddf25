/*
 * What the terms of a lease mean in time. Pure.
 */
#include "hold/terms.h"

#define REFRESH_SPARE_MS 500 /* the refresh period: a lifetime must outlast the wait for the next one */

/* When the addresses must be gone at the latest. */
us_t terms_end(const struct terms *terms)
{
	return terms->deadline + (terms->mode == MODE_ALONE ? terms->keep_ms * US_PER_MS : 0);
}

/*
 * The kernel lifetime for a refresh at `now`: whole seconds, rounded up, so that it never ends
 * before the lease.
 */
uint32_t terms_valid_s(const struct terms *terms, us_t now)
{
	us_t left = terms->mode == MODE_ALONE ? terms_end(terms) - now
					      : ((us_t)terms->lease_ms + REFRESH_SPARE_MS) * US_PER_MS;
	us_t seconds = (left + US_PER_S - 1) / US_PER_S;

	return seconds < 1 ? 1 : (uint32_t)seconds;
}
