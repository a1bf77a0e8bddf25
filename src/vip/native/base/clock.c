/*
 * The clock, and token buckets that run by it.
 */
#include "base/clock.h"

#include <time.h>

us_t clock_now(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (us_t)ts.tv_sec * US_PER_S + ts.tv_nsec / 1000;
}

/*
 * Time in which we did not run is nobody's silence: what was heard before it counts as heard later,
 * but not in time to come.
 */
us_t clock_put_off(us_t at, us_t by, us_t now)
{
	return at + by < now ? at + by : now;
}

bool bucket_take(struct bucket *bucket, us_t now)
{
	us_t each = US_PER_S / bucket->per_second;
	us_t oldest = now - each * bucket->burst;

	if (bucket->spent_until < oldest)
		bucket->spent_until = oldest;
	if (bucket->spent_until + each > now)
		return false;
	bucket->spent_until += each;
	return true;
}
