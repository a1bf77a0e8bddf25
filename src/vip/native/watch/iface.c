/*
 * Interfaces: index, carrier and MAC, told to pulse when they change.
 */
#include "watch/iface.h"

#include <net/if_arp.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/output.h"

/*
 * Which interface is meant: the one that has the name now, as its own or as an alternative one.
 * Nobody: the one that had it, which was renamed and keeps our addresses. 0: that is gone, too.
 */
static int find(int fd, const struct iface *iface, struct ifreq *request)
{
	int last = atomic_load(&iface->index);

	memcpy(request->ifr_name, iface->name, sizeof(request->ifr_name));
	if (fd < 0)
		return 0;
	if (ioctl(fd, SIOCGIFINDEX, request) < 0)
		request->ifr_ifindex = last;
	/* The kernel's own name of it, which /proc and /sys know. */
	int index = request->ifr_ifindex;

	return index != 0 && ioctl(fd, SIOCGIFNAME, request) == 0 ? index : 0;
}

/*
 * Index, carrier and MAC as they are now. By ioctl, which does not wait for the kernel's lock of
 * all link changes: the loop that guards the lease calls this.
 */
void iface_read(struct iface *iface)
{
	struct ifreq request = { 0 };
	int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	int index = find(fd, iface, &request);

	bool same = index == atomic_load(&iface->index);
	bool was_up = iface->up && same;

	iface->up = iface->ethernet = iface->arp_off = false;
	iface->had_arp = iface->had_arp && same;
	memcpy(iface->real, request.ifr_name, sizeof(iface->real));
	atomic_store(&iface->index, index);
	if (index != 0 && ioctl(fd, SIOCGIFFLAGS, &request) == 0) {
		iface->up = (request.ifr_flags & IFF_UP) && (request.ifr_flags & IFF_RUNNING);
		iface->arp_off = iface->had_arp && (request.ifr_flags & IFF_NOARP);
		iface->had_arp = iface->had_arp || !(request.ifr_flags & IFF_NOARP);
	}
	if (iface->up && !was_up)
		iface->up_since = clock_now();
	if (index != 0 && ioctl(fd, SIOCGIFHWADDR, &request) == 0) {
		iface->ethernet = request.ifr_hwaddr.sa_family == ARPHRD_ETHER;
		memcpy(iface->mac, request.ifr_hwaddr.sa_data, sizeof(iface->mac));
	}
	if (fd >= 0)
		close(fd);
}

void links_tell(const struct iface *iface)
{
	for (unsigned i = 0; i < vip_count; i++)
		if (vips[i].iface == iface)
			say("link %u %s " MAC_TEXT, i, iface->up ? "up" : "down", MAC_ARGS(iface->mac));
}

/*
 * An event names this interface. What counts is how it is now, not what an event said that may be
 * old.
 */
struct link_change iface_reread(struct iface *iface)
{
	int index = atomic_load(&iface->index);
	bool up = iface->up, ethernet = iface->ethernet;
	uint8_t mac[6];

	memcpy(mac, iface->mac, sizeof(mac));
	iface_read(iface);
	bool replaced = atomic_load(&iface->index) != index;

	return (struct link_change){
		.replaced = replaced,
		.reopen = replaced || iface->ethernet != ethernet,
		.news = replaced || iface->up != up || memcmp(iface->mac, mac, sizeof(mac)) != 0,
	};
}
