/*
 * Lines to pulse on stdout. A pulse that does not read must never stop the lease: what does not fit
 * into the buffer is dropped whole lines at a time, counted, and told once there is room again.
 */
#include "base/output.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"

static char buffer[32768];
static size_t used;
static uint64_t dropped;
static bool closed;
static struct bucket errors = { .per_second = 20, .burst = 40 };
static uint64_t errors_held_back;

void output_flush(void)
{
	while (used > 0 && !closed) {
		ssize_t n = write(STDOUT_FILENO, buffer, used);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0 && (errno == EAGAIN || errno == EWOULDBLOCK))
			return;
		if (n < 0) {
			closed = true; /* nobody reads any more; stdin will say so too */
			break;
		}
		used -= (size_t)n;
		memmove(buffer, buffer + n, used);
	}
	if (closed)
		used = 0;
}

bool output_pending(void)
{
	return used > 0;
}

static void append(const char *line, size_t length)
{
	if (dropped > 0 && used < sizeof(buffer) / 2) {
		int n = snprintf(buffer + used, sizeof(buffer) - used,
				 "error %llu lines dropped: pulse did not read them\n", (unsigned long long)dropped);

		used += (size_t)n;
		dropped = 0;
	}
	if (closed || dropped > 0 || used + length + 1 > sizeof(buffer)) {
		dropped++;
		return;
	}
	memcpy(buffer + used, line, length);
	buffer[used + length] = '\n';
	used += length + 1;
	output_flush();
}

static void append_format(const char *prefix, const char *format, va_list args)
{
	char line[512];
	size_t start = strlen(prefix);

	memcpy(line, prefix, start);
	int n = vsnprintf(line + start, sizeof(line) - start, format, args);
	size_t length = n < 0 ? start : start + (size_t)n;

	append(line, length < sizeof(line) ? length : sizeof(line) - 1);
}

void say(const char *format, ...)
{
	va_list args;

	va_start(args, format);
	append_format("", format, args);
	va_end(args);
}

void say_error(const char *format, ...)
{
	va_list args;

	if (!bucket_take(&errors, clock_now())) {
		errors_held_back++;
		return;
	}
	if (errors_held_back > 0) {
		say("error %llu more errors were held back", (unsigned long long)errors_held_back);
		errors_held_back = 0;
	}
	va_start(args, format);
	append_format("error ", format, args);
	va_end(args);
}
