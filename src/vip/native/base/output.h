/*
 * Lines to pulse, never waiting for it.
 */
#ifndef BASE_OUTPUT_H
#define BASE_OUTPUT_H

#include <stdbool.h>

#define LINE_BYTES_MAX 1024 /* in either direction */

void say(const char *format, ...) __attribute__((format(printf, 1, 2)));
void say_error(const char *format, ...) __attribute__((format(printf, 1, 2))); /* at most so many a second */
void output_flush(void);
bool output_pending(void);

#endif
