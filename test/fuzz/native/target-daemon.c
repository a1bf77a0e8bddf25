/*
 * All of vipd: commands in any pieces, time, frames, rtnetlink events, interfaces that change, a
 * kernel that refuses. When it has ended, no address is left, unless it was told to keep them.
 */
#include "harness.h"

#include <sysexits.h>

#include "hold/state.h"

void target_run(const uint8_t *bytes, size_t size)
{
	char *argv[] = { "vipd", "--state", STATE_FILE,
			 "--address", "192.0.2.100,c0,192.0.2.2", "2001:db8::100,c0,2001:db8::2", "198.51.100.1,s0,-",
			 "--target", "192.0.2.1,c0,192.0.2.2", "2001:db8::1,c0,2001:db8::2", "198.51.100.11,s0,-", "--gate",
			 "--link", "192.0.2.2,192.0.2.3,1694", "2001:db8::2,2001:db8::3,1694", NULL };

	kernel_script(bytes, size);
	int code = vipd_main(sizeof(argv) / sizeof(argv[0]) - 1, argv);

	INSIST(code == EX_OK || code == EX_OSERR, "an exit code that nobody knows");
	INSIST(code != EX_OK || !kernel_gate_open() || state.mode == MODE_ALONE, "vipd has ended, packets get in");
	INSIST(code != EX_OK || kernel_addresses() == 0 || state.mode == MODE_ALONE, "vipd has ended, an address is left");
}
