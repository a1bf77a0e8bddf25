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
