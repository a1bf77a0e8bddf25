/*
 * What the kernel tells: the list of addresses at the start, then events, from the same bytes.
 */
#include "harness.h"

#include <string.h>

#define FIRST_BYTES 2

void target_run(const uint8_t *bytes, size_t size)
{
	char *argv[] = { "vipd", "--state", STATE_FILE, "--address", "192.0.2.100,c0,192.0.2.2", "2001:db8::100,s0,-", NULL };
	static uint8_t script[70000];
	static const char claim[] = "claim 1 5.1 99999999999999 60000 armed 1000\n";
	size_t at = 0;

	if (size < FIRST_BYTES)
		return;
	size_t first = bytes[0] < size - FIRST_BYTES ? bytes[0] : size - FIRST_BYTES;

	kernel_dump(bytes + FIRST_BYTES, first);
	script[at++] = 0;
	script[at++] = sizeof(claim) - 1;
	memcpy(script + at, claim, sizeof(claim) - 1);
	at += sizeof(claim) - 1;
	for (size_t from = FIRST_BYTES + first; from < size && at < 60000;) {
		size_t piece = size - from < 255 ? size - from : 255;

		script[at++] = 4;
		script[at++] = (uint8_t)piece;
		memcpy(script + at, bytes + from, piece);
		at += piece;
		from += piece;
	}
	kernel_script(script, at);
	vipd_main(6, argv);
}
