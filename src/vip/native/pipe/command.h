/*
 * pulse's commands, as they come down the pipe.
 */
#ifndef PIPE_COMMAND_H
#define PIPE_COMMAND_H

#include <stddef.h>

void command_bytes(const char *bytes, size_t count);

#endif
