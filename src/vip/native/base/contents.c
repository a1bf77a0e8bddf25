/*
 * Reads files of /proc: short ones, whole.
 */
#include "base/contents.h"

#include <fcntl.h>
#include <stddef.h>
#include <unistd.h>

#define BYTES_MAX 65536

const char *contents(const char *path)
{
	static char text[BYTES_MAX];
	size_t used = 0;
	int fd = open(path, O_RDONLY | O_CLOEXEC);

	while (fd >= 0 && used < sizeof(text) - 1) {
		ssize_t n = read(fd, text + used, sizeof(text) - 1 - used);

		if (n <= 0)
			break;
		used += (size_t)n;
	}
	if (fd >= 0)
		close(fd);
	text[used] = '\0';
	return text;
}
