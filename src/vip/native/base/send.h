/*
 * Sends frames on the packet sockets that watch/packet.c keeps open.
 */
#ifndef BASE_SEND_H
#define BASE_SEND_H

#include <stddef.h>
#include <stdint.h>

#include "base/tables.h"

void frame_send(const struct iface *iface, enum packet_socket which, const uint8_t *frame, size_t size);
void frame_ask(const struct iface *iface, const uint8_t *mac, const struct inet *from, const struct inet *address);

#endif
