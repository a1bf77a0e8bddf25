/*
 * Addresses in the kernel and their lifetimes, kept by a thread of their own. What it has done is
 * read when its descriptor is ready.
 */
#ifndef HOLD_LIFETIMES_H
#define HOLD_LIFETIMES_H

#include <stdbool.h>
#include <stdint.h>

#include "base/tables.h"
#include "hold/terms.h"

bool lifetimes_start(void);
int lifetimes_fd(void);
void lifetimes_terms(const struct terms *terms);
void lifetimes_stop(void);
void lifetimes_ensure(uint64_t mask);
void lifetimes_drop(uint64_t mask);
void lifetimes_results(uint64_t *done, uint64_t *created, uint64_t *failed, int errors[VIP_MAX]);

/* Where the fixed addresses are. */
void lifetimes_list(void);
const struct places *lifetimes_listed(void);

#endif
