/*
 * The command line: arguments separated by newlines.
 */
#include "harness.h"

#include <stdlib.h>
#include <string.h>

#include "base/tables.h"
#include "pipe/options.h"

#define ARGUMENTS_MAX 100

void target_run(const uint8_t *bytes, size_t size)
{
	char *text = malloc(size + 1), *rest = text, *argv[ARGUMENTS_MAX + 2] = { "vipd" };
	struct options options = { 0 };
	int argc = 1;

	memcpy(text, bytes, size);
	text[size] = '\0';
	while (rest && argc <= ARGUMENTS_MAX)
		argv[argc++] = strsep(&rest, "\n");
	int code = options_read(argc, argv, &options);

	INSIST(code >= 0 || (options.state_path && (vip_count > 0 || options.cleanup)), "a start without what it needs");
	INSIST(vip_count <= VIP_MAX && link_count <= LINK_MAX && iface_count <= IFACE_MAX, "more than there is room for");
	free(text);
}
