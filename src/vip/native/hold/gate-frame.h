/*
 * Frames on `lo` that the rules of the packet lease understand (src/firewall/packet-lease-rules.ts): kinds,
 * destination and ether type are the same there. Two tables listen: the live one, and the one that
 * lives while it is tried out.
 */
#ifndef HOLD_GATE_FRAME_H
#define HOLD_GATE_FRAME_H

#include <stdbool.h>

#define GATE_STEPS 16 /* a grant is for so many parts of the lease */

enum gate_kind { GATE_NONE = -1, GATE_ASK = 1, GATE_GRANT = 2, GATE_ALONE = 3, GATE_CLOSE = 4, GATE_TEST = 5 };
enum gate_table { GATE_LIVE = 0x44, GATE_TRIAL = 0x54 };

int gate_socket(void); /* -1: see errno */
bool gate_send(int fd, enum gate_table table, enum gate_kind kind, unsigned step);
bool gate_receive(int fd, enum gate_table table, enum gate_kind *kind);

#endif
