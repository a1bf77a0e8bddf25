/*
 * What every target shares: vipd's variables put back before each input, and the entry that
 * libFuzzer and driver.c call.
 */
#include "harness.h"

#include <stdio.h>
#include <stdlib.h>

/* The linker's names for the ends of the sections that build moves vipd's variables into. */
extern char __start_vipd_data[], __stop_vipd_data[];
extern char __start_vipd_bss[], __stop_vipd_bss[];

static char *saved_data, *saved_bss;

_Noreturn void finding(const char *what)
{
	fprintf(stderr, "finding: %s\n", what);
	abort();
}

/* Red zones between variables are copied too: that is no access that the sanitizer should see. */
__attribute__((no_sanitize("address"))) static void copy(char *to, const char *from, size_t size)
{
	for (size_t i = 0; i < size / 8; i++)
		((volatile uint64_t *)to)[i] = ((const volatile uint64_t *)from)[i];
	for (size_t i = size / 8 * 8; i < size; i++)
		((volatile char *)to)[i] = from[i];
}

static char *save(const char *from, const char *end)
{
	char *into = malloc((size_t)(end - from) + 1);

	copy(into, from, (size_t)(end - from));
	return into;
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size)
{
	if (!saved_data) {
		saved_data = save(__start_vipd_data, __stop_vipd_data);
		saved_bss = save(__start_vipd_bss, __stop_vipd_bss);
	}
	copy(__start_vipd_data, saved_data, (size_t)(__stop_vipd_data - __start_vipd_data));
	copy(__start_vipd_bss, saved_bss, (size_t)(__stop_vipd_bss - __start_vipd_bss));
	kernel_reset();
	target_run(bytes, size);
	return 0;
}
