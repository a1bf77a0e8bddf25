/*
 * Whether the kernel would take each virtual address: its interface is there, and IPv6 is not
 * switched off on it. The switch has no event of its own, but IPv6 addresses go or come with it, so
 * every change of an address or a link asks for a look; without any there is one a second. By
 * /proc, which does not wait for the kernel's lock of link changes.
 */
#include "watch/place.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <unistd.h>

#include "base/output.h"
#include "base/tables.h"

#define LOOK_EVERY_US US_PER_S
#define LOOK_AGAIN_US (20 * US_PER_MS) /* however many events there are */
#define PATH_BYTES 96

enum place_word { UNTOLD, HERE, NO_INTERFACE, NO_IPV6 };

static const char *const words[] = { [HERE] = "here", [NO_INTERFACE] = "no-interface", [NO_IPV6] = "no-ipv6" };
static enum place_word told[VIP_MAX];
static us_t looked_at, look_at;

/* What cannot be read for another reason than that it is not there tells nothing. */
static bool inet6_off(const struct iface *iface)
{
	char path[PATH_BYTES], text[2] = "0";

	snprintf(path, sizeof(path), "/proc/sys/net/ipv6/conf/%s/disable_ipv6", iface->real);
	int fd = open(path, O_RDONLY | O_CLOEXEC);

	if (fd < 0)
		return errno == ENOENT && access("/proc/sys/net/ipv4", F_OK) == 0;
	ssize_t n = read(fd, text, 1);

	close(fd);
	return n == 1 && text[0] >= '1' && text[0] <= '9';
}

static enum place_word place_of(const struct vip *vip)
{
	if (atomic_load(&vip->iface->index) == 0)
		return NO_INTERFACE;
	return vip->address.family == AF_INET6 && inet6_off(vip->iface) ? NO_IPV6 : HERE;
}

/* Looks, and tells what has changed. */
void places_tell(us_t now)
{
	looked_at = now;
	look_at = now + LOOK_EVERY_US;
	for (unsigned i = 0; i < vip_count; i++) {
		enum place_word word = place_of(&vips[i]);

		if (word == told[i])
			continue;
		told[i] = word;
		say("place %u %s", i, words[word]);
	}
}

/* An address or a link has changed. */
void places_changed(void)
{
	if (look_at > looked_at + LOOK_AGAIN_US)
		look_at = looked_at + LOOK_AGAIN_US;
}

us_t places_next(void)
{
	return look_at;
}
