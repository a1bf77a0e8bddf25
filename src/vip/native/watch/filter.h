/*
 * Which frames the kernel lets through to a packet socket: a program for it, made from the tables.
 */
#ifndef WATCH_FILTER_H
#define WATCH_FILTER_H

#include <linux/filter.h>

#include "base/tables.h"

#define FILTER_MAX (VIP_MAX + TARGET_MAX + FIXED_MAX + NEIGHBOURS_MAX + 20)

struct filter {
	struct sock_filter code[FILTER_MAX];
	unsigned short count;
};

void filter_for(struct filter *filter, const struct iface *iface, enum packet_socket which);

#endif
