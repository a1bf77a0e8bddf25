/*
 * The packet sockets of an interface.
 */
#ifndef WATCH_PACKET_H
#define WATCH_PACKET_H

#include "base/tables.h"

void packet_open(struct iface *iface); /* anew, as far as addresses and targets there need them */
void packet_filter(const struct iface *iface, enum packet_socket which); /* after a change of who concerns us */

#endif
