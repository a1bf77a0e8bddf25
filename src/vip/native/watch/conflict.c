/*
 * Claims by others, told as evidence. What to do about one is pulse's to decide.
 */
#include "watch/conflict.h"

#include <string.h>

#include "base/output.h"
#include "hold/lease.h"

#define CONFLICT_AGAIN_US US_PER_S

static struct bucket conflicts = { .per_second = 10, .burst = 20 };

/*
 * Somebody else speaks for an address: a conflict if we hold it, else a sign that somebody serves.
 * Told once a second for each rival, however often it shouts. What answers our own question is no
 * claim: a switch may answer for the dead. Of a conflict pulse is told where it was heard, too: the
 * interface and who sent the frame there, by which a bridge knows its port.
 */
void conflict_hear(unsigned index, const struct heard *heard, us_t now)
{
	struct vip *vip = &vips[index];
	bool held = serving(index);
	bool same = memcmp(vip->rival, heard->mac, 6) == 0 && vip->rival_held == held;
	bool asked = memcmp(heard->eth_to, vip->iface->mac, 6) == 0 ||
		     (vip->address.family == AF_INET6 && vip->own.family == AF_UNSPEC);

	if ((!held && asked) || (same && vip->rival_at != 0 && now - vip->rival_at < CONFLICT_AGAIN_US) ||
	    !bucket_take(&conflicts, now))
		return;
	memcpy(vip->rival, heard->mac, 6);
	vip->rival_at = now;
	vip->rival_held = held;
	if (!held) {
		say("claimed %u " MAC_TEXT, index, MAC_ARGS(heard->mac));
		return;
	}
	say("conflict %u " MAC_TEXT " %s " MAC_TEXT, index, MAC_ARGS(heard->mac), vip->iface->real, MAC_ARGS(heard->eth_from));
}
