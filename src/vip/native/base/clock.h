/*
 * Time: CLOCK_MONOTONIC in microseconds, and a token bucket for what may be said or done only so
 * often.
 */
#ifndef BASE_CLOCK_H
#define BASE_CLOCK_H

#include <stdbool.h>
#include <stdint.h>

/* CLOCK_MONOTONIC, microseconds. */
typedef int64_t us_t;
#define US_PER_MS ((us_t)1000)
#define US_PER_S ((us_t)1000000)
#define NEVER INT64_MAX

struct bucket {
	unsigned per_second, burst;
	us_t spent_until; /* virtual time up to which tokens are used */
};

us_t clock_now(void);
us_t clock_put_off(us_t at, us_t by, us_t now);
bool bucket_take(struct bucket *bucket, us_t now);

#endif
