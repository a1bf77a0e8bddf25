/*
 * The state file: read as a respawned vipd does, written again and read again; then all of
 * --cleanup with it.
 */
#include "harness.h"

#include <string.h>

#include "hold/state.h"

void target_run(const uint8_t *bytes, size_t size)
{
	char *argv[] = { "vipd", "--cleanup", "--state", STATE_FILE, NULL };
	struct state first;

	kernel_state_file(bytes, size);
	if (state_load(STATE_FILE, false)) {
		first = state;
		state_save(STATE_FILE);
		INSIST(state_load(STATE_FILE, false), "what was written is not read");
		INSIST(epoch_compare(&first.epoch, &state.epoch) == 0 && first.mode == state.mode &&
		       first.closed == state.closed && first.will_bytes == state.will_bytes &&
		       memcmp(first.will, state.will, first.will_bytes) == 0, "another state is read");
		INSIST(state.epoch.counter <= EPOCH_COUNTER_MAX, "an epoch that no heartbeat can carry");
		kernel_state_file(bytes, size);
	}
	memset(&state, 0, sizeof(state));
	vipd_main(4, argv);
}
