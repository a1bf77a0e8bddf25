/*
 * The command line of vipd.
 */
#ifndef PIPE_OPTIONS_H
#define PIPE_OPTIONS_H

#include <stdbool.h>

struct options {
	const char *state_path;
	bool cleanup;
	bool packet_lease; /* its table is installed */
};

int options_read(int argc, char **argv, struct options *options); /* -1: go on, else exit code */

#endif
