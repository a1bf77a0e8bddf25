/*
 * The tables, and the values of the command line that fill them. The state file names addresses and
 * links in the same words.
 */
#include "base/tables.h"

#include <stdio.h>
#include <string.h>

#define SPEC_BYTES_MAX 160

struct vip vips[VIP_MAX];
unsigned vip_count;
struct iface ifaces[IFACE_MAX];
unsigned iface_count;
struct link links[LINK_MAX];
unsigned link_count;
struct target targets[TARGET_MAX];
unsigned target_count;
struct fixed fixed[FIXED_MAX];
unsigned fixed_count;

uint64_t all_vips(void)
{
	return vip_count == 64 ? UINT64_MAX : (UINT64_C(1) << vip_count) - 1;
}

/* An address of our own there, to ask from; of no family: none. */
const struct inet *own_on(const struct iface *iface, int family)
{
	static const struct inet none;

	for (unsigned i = 0; i < vip_count; i++)
		if (vips[i].iface == iface && vips[i].own.family == family)
			return &vips[i].own;
	return &none;
}

static struct iface *iface_named(const char *name)
{
	for (unsigned i = 0; i < iface_count; i++)
		if (strcmp(ifaces[i].name, name) == 0)
			return &ifaces[i];
	if (iface_count == IFACE_MAX || strlen(name) == 0 || strlen(name) >= IF_NAMESIZE)
		return NULL;
	struct iface *iface = &ifaces[iface_count++];

	snprintf(iface->name, sizeof(iface->name), "%s", name);
	for (int i = 0; i < PACKET_SOCKETS; i++)
		iface->fd[i] = -1;
	return iface;
}

/* "ADDR,IFACE,OWN": the interface is what lies between the first and the last comma. */
static bool parse_place(const char *spec, struct inet *address, char iface[IF_NAMESIZE], struct inet *own)
{
	char copy[SPEC_BYTES_MAX];

	if (strlen(spec) >= sizeof(copy))
		return false;
	snprintf(copy, sizeof(copy), "%s", spec);
	char *first = strchr(copy, ','), *last = strrchr(copy, ',');

	if (!first || first == last)
		return false;
	*first = *last = '\0';
	size_t length = strlen(first + 1);

	if (!parse_inet(copy, address) || length == 0 || length >= IF_NAMESIZE)
		return false;
	snprintf(iface, IF_NAMESIZE, "%s", first + 1);
	return strcmp(last + 1, "-") == 0 || (parse_inet(last + 1, own) && own->family == address->family);
}

bool vip_add(const char *spec)
{
	char name[IF_NAMESIZE];
	struct vip vip = { .announce_at = NEVER };

	if (vip_count == VIP_MAX || !parse_place(spec, &vip.address, name, &vip.own))
		return false;
	for (unsigned i = 0; i < vip_count; i++)
		if (inet_equal(&vips[i].address, &vip.address))
			return false;
	vip.iface = iface_named(name);
	if (!vip.iface)
		return false;
	vip.iface->sampled = true;
	vips[vip_count++] = vip;
	return true;
}

bool target_add(const char *spec)
{
	char name[IF_NAMESIZE];
	struct target target = { 0 };

	if (target_count == TARGET_MAX || !parse_place(spec, &target.address, name, &target.own))
		return false;
	target.iface = iface_named(name);
	if (!target.iface)
		return false;
	target.iface->sampled = true;
	targets[target_count++] = target;
	return true;
}

bool link_add(const char *spec)
{
	char copy[SPEC_BYTES_MAX];
	struct link link = { .fd = -1 };
	uint64_t port;

	if (link_count == LINK_MAX || strlen(spec) >= sizeof(copy))
		return false;
	snprintf(copy, sizeof(copy), "%s", spec);
	char *first = strchr(copy, ','), *last = strrchr(copy, ',');

	if (!first || first == last)
		return false;
	*first = *last = '\0';
	if (!parse_inet(copy, &link.local) || !parse_inet(first + 1, &link.remote) ||
	    link.local.family != link.remote.family || !parse_u64(last + 1, 65535, &port) || port == 0)
		return false;
	link.port = (uint16_t)port;
	links[link_count++] = link;
	return true;
}

/* "ADDR,IFACE", or "ADDR,-": wherever it is; "ADDR,-,IFACE": the peer's, which is on that LAN. */
bool fixed_add(const char *spec)
{
	char copy[SPEC_BYTES_MAX];
	struct fixed one = { 0 };
	char *comma, *second;

	if (fixed_count == FIXED_MAX || strlen(spec) >= sizeof(copy))
		return false;
	snprintf(copy, sizeof(copy), "%s", spec);
	comma = strchr(copy, ',');
	if (!comma)
		return false;
	*comma = '\0';
	second = strchr(comma + 1, ',');
	if (second)
		*second = '\0';
	if (!parse_inet(copy, &one.address))
		return false;
	bool anywhere = strcmp(comma + 1, "-") == 0;

	if (!anywhere && (second || !(one.iface = iface_named(comma + 1))))
		return false;
	if (second && !(one.peers = iface_named(second + 1)))
		return false;
	fixed[fixed_count++] = one;
	return true;
}
