/*
 * Fuzzing vipd: its sources are linked whole, with every call to the kernel replaced by a fake
 * (build redefines the symbols) and all its variables in two sections that are put back before each
 * input. One file a target, each with target_run().
 */
#ifndef HARNESS_H
#define HARNESS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Provided by each target. */
void target_run(const uint8_t *bytes, size_t size);

/* Ends the process with a finding unless `condition` holds. */
#define INSIST(condition, what) do { if (!(condition)) finding(what); } while (0)
_Noreturn void finding(const char *what);

/* vipd's main(), renamed. */
int vipd_main(int argc, char **argv);

/* kernel.c and network.c: the fake kernel. The script is what happens to the daemon, record by record. */
void kernel_reset(void);
void kernel_script(const uint8_t *bytes, size_t size);
void kernel_state_file(const uint8_t *bytes, size_t size); /* what open() of the state file finds */
void kernel_dump(const uint8_t *bytes, size_t size);	   /* the answer to a request for all addresses */
bool kernel_gate_open(void);				   /* the last frame for the packet lease was a grant */
unsigned kernel_addresses(void);			   /* how many addresses are in the fake kernel */

#define STATE_FILE "S"

#endif
