/*
 * Interfaces as the kernel has them now.
 */
#ifndef WATCH_IFACE_H
#define WATCH_IFACE_H

#include <stdbool.h>

#include "base/tables.h"

struct link_change {
	bool replaced; /* gone, new, or another one by that name */
	bool reopen;   /* its sockets are another one's, or of another kind */
	bool news;     /* for pulse: it, its carrier or its MAC */
};

void iface_read(struct iface *iface);
struct link_change iface_reread(struct iface *iface);
void links_tell(const struct iface *iface);

#endif
