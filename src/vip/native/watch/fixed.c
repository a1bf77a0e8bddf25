/*
 * The fixed addresses of the two routers: which of them this host has. A router whose own addresses
 * are gone can neither speak to its peer nor answer a client, whatever its cables say; one that has
 * its peer's is a copy of the wrong machine. Who answers for the peer's on the wire, and which
 * other vipd has our own as its own, is told when pulse asks. Facts only; what they mean is pulse's
 * to decide.
 *
 * An address from which the kernel has no way to the peer's on the same LAN serves for no more than
 * one that is gone: a route that somebody took away, a rule that prohibits, another prefix length.
 * A way by another interface's gateway, such as the default route, is none: a heartbeat does not
 * get past a gateway (its TTL is 1), and answers to clients go astray. Nor is there one where
 * somebody has switched ARP off (for IPv6 that goes for neighbour discovery, too): the kernel sends
 * to its own MAC then. Routes change too often on some routers to follow their events: the way is
 * looked up at each sample.
 *
 * Every change is an event, so the list is kept by events. After lost events the keeper lists all
 * addresses anew, as a list may wait for the kernel's lock of link changes.
 */
#include "watch/fixed.h"

#include <errno.h>
#include <string.h>
#include <sys/random.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/frame.h"
#include "base/output.h"
#include "base/send.h"
#include "hold/lifetimes.h"
#include "hold/netlink.h"
#include "watch/targets.h"

/*
 * An address that goes within this time of its carrier went with it; one that is not back so long
 * after is gone by itself.
 */
#define WITH_CARRIER_US US_PER_S
#define ANSWERS_MAX 4 /* to one question: enough to see that two machines answer */
#define DISCARD_PORT 9 /* nothing is ever sent there */

enum told { NOTHING, HERE, UNROUTED, GONE, DOWN };

static const char *const words[] = { [HERE] = "here", [UNROUTED] = "unrouted", [GONE] = "gone", [DOWN] = "down" };

static unsigned changes; /* events so far: a list that was begun before the newest is old */
static unsigned listed_at;

/* The kernel's word of an address: it came, changed or went. */
void fixed_event(const struct inet *address, const struct place *where, bool usable, bool there)
{
	for (unsigned i = 0; i < fixed_count; i++) {
		if (!inet_equal(&fixed[i].address, address))
			continue;
		places_note(&fixed[i].places, where, there && usable);
		if (!there)
			fixed[i].unrouted = false; /* as far as is known of the next one */
		changes++;
	}
}

void fixed_listed(const struct places *list)
{
	if (listed_at != changes) {
		fixed_list();
		return;
	}
	for (unsigned i = 0; i < fixed_count; i++)
		fixed[i].places = list[i];
}

/* Events were lost. */
void fixed_list(void)
{
	if (fixed_count == 0)
		return;
	listed_at = changes;
	lifetimes_list();
}

static bool present(const struct fixed *one)
{
	for (unsigned i = 0; i < one->places.count; i++)
		if (!one->iface || one->places.at[i].iface == (unsigned)atomic_load(&one->iface->index))
			return true;
	return false;
}

static bool speaks(const struct fixed *one)
{
	return present(one) && !one->unrouted;
}

/*
 * Whether this host can speak from an own address of that family on the interface, if it should
 * have one there.
 */
bool fixed_speaks(const struct iface *iface, int family)
{
	bool meant = false;

	for (unsigned i = 0; i < fixed_count; i++) {
		if (fixed[i].iface != iface || fixed[i].address.family != family)
			continue;
		if (speaks(&fixed[i]))
			return true;
		meant = true;
	}
	return !meant;
}

/* This host can speak from none of the router's own addresses. */
bool fixed_mute(void)
{
	bool meant = false;

	for (unsigned i = 0; i < fixed_count; i++) {
		if (!fixed[i].iface)
			continue;
		if (speaks(&fixed[i]))
			return false;
		meant = true;
	}
	return meant;
}

static bool lately_down(const struct iface *iface, us_t now)
{
	return iface && (!iface->up || now - iface->up_since < WITH_CARRIER_US);
}

/*
 * The kernel's own word that nothing can be sent; whatever else goes wrong says nothing of the way.
 */
static bool no_way(int error)
{
	return error == ENETUNREACH || error == EHOSTUNREACH || error == EACCES || error == EINVAL;
}

/* What the socket of such a datagram is bound to, as `ip vrf exec` does; 0: nothing. */
static int bound_link(int fd)
{
	int link = 0;
	socklen_t size = sizeof(link);

	return getsockopt(fd, SOL_SOCKET, SO_BINDTOIFINDEX, &link, &size) == 0 ? link : 0;
}

/*
 * Connecting a datagram socket looks the route up and sends nothing. Who cannot bind an address
 * that is there, as that of an interface in a VRF, can send nothing from it.
 */
static bool routed(const struct inet *own, const struct inet *peers, int index)
{
	struct sockaddr_storage from, to;
	socklen_t size = inet_socket(own, 0, &from);
	int fd = socket(own->family, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	bool way;

	if (fd < 0)
		return true;
	inet_socket(peers, DISCARD_PORT, &to);
	if (bind(fd, (struct sockaddr *)&from, size) < 0) {
		way = errno != EADDRNOTAVAIL;
	} else if (connect(fd, (struct sockaddr *)&to, size) < 0) {
		way = !no_way(errno);
	} else {
		int link = netlink_gateway_link(own, peers, bound_link(fd));

		way = link == 0 || link == index;
	}
	close(fd);
	return way;
}

/*
 * Whether there is a way to any address of the peer's on the same LAN; with none there, nothing is
 * known.
 */
static bool any_way(const struct fixed *one)
{
	bool asked = false;

	if (inet_link_local(&one->address))
		return true;
	for (unsigned i = 0; i < fixed_count; i++) {
		if (fixed[i].peers != one->iface || fixed[i].address.family != one->address.family)
			continue;
		if (routed(&one->address, &fixed[i].address, atomic_load(&one->iface->index)))
			return true;
		asked = true;
	}
	return !asked;
}

/*
 * Without its carrier an interface may have no routes, and gets them back with it: the cable tells
 * that.
 */
void fixed_look(us_t now)
{
	for (unsigned i = 0; i < fixed_count; i++) {
		struct fixed *one = &fixed[i];

		if (!one->iface || !present(one) || !one->iface->up)
			one->unrouted = false;
		else if (!lately_down(one->iface, now))
			one->unrouted = one->iface->arp_off || !any_way(one);
	}
}

static enum told word_of(const struct fixed *one, us_t now)
{
	if (present(one))
		return one->unrouted ? UNROUTED : HERE;
	return one->told != (int)GONE && lately_down(one->iface, now) ? DOWN : GONE;
}

/*
 * Tells what has changed. An address that went while its carrier was there stays gone, whatever the
 * carrier does.
 */
void fixed_tell(us_t now)
{
	for (unsigned i = 0; i < fixed_count; i++) {
		struct fixed *one = &fixed[i];
		enum told word = word_of(one, now);

		if ((int)word == one->told)
			continue;
		one->told = (int)word;
		say("fixed %u %s", i, words[word]);
	}
}

/* When one that went with its carrier counts as gone, since that has come back without it. */
us_t fixed_next(void)
{
	us_t next = NEVER;

	for (unsigned i = 0; i < fixed_count; i++) {
		const struct fixed *one = &fixed[i];

		if (one->told == (int)DOWN && one->iface->up && one->iface->up_since + WITH_CARRIER_US < next)
			next = one->iface->up_since + WITH_CARRIER_US;
	}
	return next;
}

/*
 * A copy of this router has a vipd, too, with the same own addresses; printers and proxies have
 * none.
 */
static void ask_copies(struct fixed *one)
{
	uint8_t frame[FRAME_BYTES_MAX];

	if (getrandom(&one->nonce, sizeof(one->nonce), GRND_NONBLOCK) != sizeof(one->nonce))
		return;
	frame_send(one->iface, SOCKET_HELPER, frame,
		    frame_helper(frame, false, one->iface->mac, mac_broadcast, &one->address, one->nonce));
}

/* Asks who has an address of the peer's, or which other vipd has our own; false: it is neither. */
bool fixed_ask(unsigned index)
{
	if (index >= fixed_count || (!fixed[index].peers && !fixed[index].iface))
		return false;
	struct fixed *one = &fixed[index];

	one->answers = ANSWERS_MAX;
	if (!one->peers) {
		ask_copies(one);
		return true;
	}
	frame_ask(one->peers, NULL, own_on(one->peers, one->address.family), &one->address);
	return true;
}

/* The question of a machine that has an own address of ours as its own, or the answer of one. */
static void hear_copy(const struct iface *iface, const struct heard *heard)
{
	uint8_t frame[FRAME_BYTES_MAX];

	for (unsigned i = 0; i < fixed_count; i++) {
		struct fixed *one = &fixed[i];

		if (one->peers || one->iface != iface || !inet_equal(&one->address, &heard->sender))
			continue;
		if (heard->kind == HEARD_ASK && present(one)) {
			frame_send(iface, SOCKET_HELPER, frame,
				    frame_helper(frame, true, iface->mac, heard->mac, &one->address, heard->nonce));
		} else if (heard->kind == HEARD_WORD && one->answers > 0 && heard->nonce == one->nonce) {
			one->answers--;
			say("copy %u " MAC_TEXT, i, MAC_ARGS(heard->mac));
		}
	}
}

/*
 * Whoever answers for an address of the peer's is told: whether it is the peer, and the only one,
 * is pulse's to say.
 */
void fixed_hear(const struct iface *iface, const struct heard *heard)
{
	if (heard->kind == HEARD_ASK || heard->kind == HEARD_WORD)
		hear_copy(iface, heard);
	if (heard->kind != HEARD_ARP && heard->kind != HEARD_NA)
		return;
	for (unsigned i = 0; i < fixed_count; i++) {
		struct fixed *one = &fixed[i];
		bool to_us = heard->answer && memcmp(heard->eth_to, iface->mac, 6) == 0;

		if (one->peers != iface || one->answers == 0 || !inet_equal(&one->address, &heard->sender))
			continue;
		/* Asked from the unspecified address, IPv6 hosts answer to all nodes. */
		if (!to_us && !(heard->kind == HEARD_NA && own_on(iface, AF_INET6)->family == AF_UNSPEC))
			continue;
		one->answers--;
		say("peer %u " MAC_TEXT "%s", i, MAC_ARGS(heard->mac), targets_have(iface, heard->mac) ? " target" : "");
	}
}
