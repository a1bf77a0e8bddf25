/*
 * What survives vipd: the state file.
 */
#ifndef HOLD_STATE_H
#define HOLD_STATE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/text.h"

#define WILL_BYTES_MAX 508 /* as hex it must fit into one line */

struct state {
	struct epoch epoch; /* the highest ever claimed */
	enum mode mode;
	bool closed; /* the will for this epoch went out: never again */
	uint8_t will[WILL_BYTES_MAX];
	size_t will_bytes;
};

extern struct state state;

bool state_load(const char *path, bool with_addresses);
void state_save(const char *path);

#endif
