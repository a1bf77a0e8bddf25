/*
 * A LAN without targets has neighbours all the same: gateways that routes name, and whoever the
 * kernel has in its ARP table there. Those that answer are asked as targets are: one while it
 * answers, else all. Where one has answered lately and nobody does any more, this router is cut off
 * there; where nobody ever has, nothing is known.
 *
 * The peer is no neighbour, at none of its addresses: its silence is what is to be explained.
 *
 * The files are read without waiting for the kernel's lock of link changes (arp_seq_ops,
 * fib_route_seq_ops and ipv6_route_seq_ops take the tables' own). Of IPv6 there are gateways only:
 * no file has the neighbours.
 */
#include "watch/neighbours.h"

#include <net/if_arp.h>
#include <net/route.h>
#include <stdio.h>
#include <string.h>

#include "base/contents.h"
#include "base/output.h"
#include "base/send.h"
#include "watch/packet.h"

#define ROUND_US US_PER_S
#define KEPT_WINDOWS 64 /* without an answer, before another one is looked for */
#define FIELDS_BYTES_MAX 256 /* a line of such a file */

enum told { NOTHING, ANSWER, SILENT, NONE };

static const char *const words[] = { [ANSWER] = "answer", [SILENT] = "silent", [NONE] = "none" };

/* What a line of one of the files says of a host on an interface; false: nothing. */
typedef bool read_line(const char *line, const struct iface *iface, struct neighbour *host);

/* "ADDRESS TYPE FLAGS MAC MASK DEVICE" */
static bool read_arp_entry(const char *line, const struct iface *iface, struct neighbour *host)
{
	char address[INET6_ADDRSTRLEN], mac[18], device[IF_NAMESIZE];
	unsigned type, flags;

	return sscanf(line, "%45s 0x%x 0x%x %17s %*s %15s", address, &type, &flags, mac, device) == 5 &&
	       type == ARPHRD_ETHER && (flags & ATF_COM) != 0 && strcmp(device, iface->real) == 0 &&
	       parse_inet(address, &host->address) && parse_mac(mac, host->mac);
}

/* "DEVICE DESTINATION GATEWAY FLAGS …", addresses as the machine has 32 bits. */
static bool read_route4(const char *line, const struct iface *iface, struct neighbour *host)
{
	char device[IF_NAMESIZE];
	unsigned gateway, flags;

	if (sscanf(line, "%15s %*x %x %x", device, &gateway, &flags) != 3 || (flags & RTF_GATEWAY) == 0 ||
	    strcmp(device, iface->real) != 0)
		return false;
	host->address.family = AF_INET;
	memcpy(host->address.bytes, &gateway, 4);
	return true;
}

/* "DESTINATION LENGTH SOURCE LENGTH GATEWAY METRIC REFERENCES USE FLAGS DEVICE" */
static bool read_route6(const char *line, const struct iface *iface, struct neighbour *host)
{
	char gateway[33], device[IF_NAMESIZE];
	unsigned flags;
	size_t count;

	host->address.family = AF_INET6;
	return sscanf(line, "%*s %*s %*s %*s %32s %*s %*s %*s %x %15s", gateway, &flags, device) == 3 &&
	       (flags & RTF_GATEWAY) != 0 && strcmp(device, iface->real) == 0 &&
	       parse_hex(gateway, host->address.bytes, 16, &count) && count == 16;
}

/* The next line of `*text` that says something of this interface. */
static bool next_host(const char **text, read_line *read, const struct iface *iface, struct neighbour *host)
{
	char line[FIELDS_BYTES_MAX];

	while (**text) {
		size_t length = strcspn(*text, "\n");

		snprintf(line, sizeof(line), "%.*s", (int)length, *text);
		*text += length + ((*text)[length] == '\n');
		memset(host, 0, sizeof(*host));
		if (read(line, iface, host))
			return true;
	}
	return false;
}

/* An address of a router's own, or one that moves between the two. */
static bool of_the_pair(const struct inet *address)
{
	for (unsigned i = 0; i < fixed_count; i++)
		if (inet_equal(&fixed[i].address, address))
			return true;
	for (unsigned i = 0; i < vip_count; i++)
		if (inet_equal(&vips[i].address, address))
			return true;
	return false;
}

static struct neighbour *find(struct iface *iface, const struct inet *address)
{
	for (unsigned i = 0; i < NEIGHBOURS_MAX; i++)
		if (inet_equal(&iface->neighbours[i].address, address))
			return &iface->neighbours[i];
	return NULL;
}

static struct neighbour *free_place(struct iface *iface)
{
	static const struct inet nobody;

	return find(iface, &nobody);
}

/* True: it is one more. */
static bool take(struct iface *iface, const struct neighbour *host)
{
	struct neighbour *place = free_place(iface);

	if (!place || of_the_pair(&host->address) || find(iface, &host->address))
		return false;
	*place = *host;
	return true;
}

static bool take_gateways(struct iface *iface, const char *routes, read_line *read)
{
	struct neighbour host;
	bool taken = false;

	while (next_host(&routes, read, iface, &host))
		taken |= take(iface, &host);
	return taken;
}

/* The peer's MAC, by an address of its own; false: the kernel does not know it. */
static bool peers_mac(const char *table, const struct iface *iface, uint8_t mac[6])
{
	struct neighbour host;

	while (next_host(&table, read_arp_entry, iface, &host)) {
		for (unsigned i = 0; i < fixed_count; i++) {
			if (fixed[i].peers != iface || !inet_equal(&fixed[i].address, &host.address))
				continue;
			memcpy(mac, host.mac, 6);
			return true;
		}
	}
	return false;
}

/* From where it ended before: hosts that have left stay in the table, and must not hide others. */
static bool take_arp_entries(struct iface *iface, const char *table)
{
	struct neighbour host;
	uint8_t peer[6];
	unsigned nth = 0;
	bool taken = false;

	/* Without its MAC, the peer's further addresses could not be told from neighbours. */
	if (!peers_mac(table, iface, peer))
		return false;
	while (free_place(iface)) {
		if (!next_host(&table, read_arp_entry, iface, &host)) {
			iface->arp_from = 0;
			break;
		}
		if (nth++ < iface->arp_from)
			continue;
		iface->arp_from = nth;
		if (memcmp(host.mac, peer, 6) != 0)
			taken |= take(iface, &host);
	}
	return taken;
}

static void look_for_more(struct iface *iface)
{
	if (!free_place(iface))
		return;
	bool taken = take_gateways(iface, contents("/proc/net/route"), read_route4);

	taken |= take_gateways(iface, contents("/proc/net/ipv6_route"), read_route6);
	taken |= take_arp_entries(iface, contents("/proc/net/arp"));
	if (taken) {
		packet_filter(iface, SOCKET_ARP);
		packet_filter(iface, SOCKET_IP6);
	}
}

/* Those that have never answered, or not for long, are forgotten; others may answer. */
static void forget_silent(struct iface *iface, us_t window, us_t now)
{
	for (unsigned i = 0; i < NEIGHBOURS_MAX; i++) {
		struct neighbour *n = &iface->neighbours[i];

		if (!n->answered_at || now - n->answered_at >= KEPT_WINDOWS * window)
			memset(n, 0, sizeof(*n));
	}
}

/* mac: where it last answered; NULL: everybody is asked for it. */
static void ask(const struct iface *iface, const struct neighbour *host, const uint8_t *mac)
{
	if (host->address.family != AF_UNSPEC)
		frame_ask(iface, mac, own_on(iface, host->address.family), &host->address);
}

/* It has answered the last question at the latest. */
static bool answers(const struct iface *iface, const struct neighbour *host)
{
	return host->answered_at && host->answered_at >= iface->asked_at;
}

/* The one that has answered last; NULL: nobody has. */
static const struct neighbour *latest(const struct iface *iface)
{
	const struct neighbour *found = NULL;

	for (unsigned i = 0; i < NEIGHBOURS_MAX; i++) {
		const struct neighbour *n = &iface->neighbours[i];

		if (n->answered_at && (!found || n->answered_at > found->answered_at))
			found = n;
	}
	return found;
}

static void tell(struct iface *iface, enum told word)
{
	if (iface->neighbours_told == (int)word)
		return;
	iface->neighbours_told = (int)word;
	say("neighbours %s %s", iface->name, words[word]);
}

static bool has_targets(const struct iface *iface)
{
	for (unsigned i = 0; i < target_count; i++)
		if (targets[i].iface == iface)
			return true;
	return false;
}

static void sample_on(struct iface *iface, us_t window, us_t now)
{
	const struct neighbour *best = latest(iface);

	tell(iface, !best ? NONE : now - best->answered_at < window ? ANSWER : SILENT);
	if (now - iface->round_at >= ROUND_US) {
		iface->round_at = now;
		forget_silent(iface, window, now);
		look_for_more(iface);
		/* New ones, and those that may have another MAC by now. */
		for (unsigned i = 0; i < NEIGHBOURS_MAX; i++) {
			const struct neighbour *n = &iface->neighbours[i];

			ask(iface, n, answers(iface, n) ? n->mac : NULL);
		}
	} else if (best && answers(iface, best)) {
		ask(iface, best, best->mac);
	} else {
		for (unsigned i = 0; i < NEIGHBOURS_MAX; i++)
			if (iface->neighbours[i].answered_at)
				ask(iface, &iface->neighbours[i], iface->neighbours[i].mac);
	}
	iface->asked_at = now;
}

/* late: for how long we did not run; that is nobody's silence. */
void neighbours_sample(us_t window, us_t now, us_t late, hear_function *hear)
{
	for (unsigned i = 0; i < iface_count; i++) {
		struct iface *iface = &ifaces[i];

		if (!iface->sampled || has_targets(iface))
			continue;
		for (unsigned j = 0; j < NEIGHBOURS_MAX; j++)
			if (iface->neighbours[j].answered_at)
				iface->neighbours[j].answered_at = clock_put_off(iface->neighbours[j].answered_at, late, now);
		hear(iface, SOCKET_ARP, now);
		hear(iface, SOCKET_IP6, now);
		sample_on(iface, window, now);
	}
}

void neighbours_tell_anew(void)
{
	for (unsigned i = 0; i < iface_count; i++)
		ifaces[i].neighbours_told = NOTHING;
}

/* An answer to us. Asked from the unspecified address, IPv6 hosts answer to all nodes. */
void neighbours_hear(struct iface *iface, const struct heard *heard, us_t now)
{
	bool to_us = heard->answer && memcmp(heard->eth_to, iface->mac, 6) == 0;

	if (heard->kind != HEARD_NA && (heard->kind != HEARD_ARP || !to_us))
		return;
	struct neighbour *host = find(iface, &heard->sender);

	if (!host || (!to_us && own_on(iface, AF_INET6)->family == AF_INET6))
		return;
	memcpy(host->mac, heard->mac, 6);
	host->answered_at = now;
}
