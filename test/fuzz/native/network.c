/* The fake kernel's network: see network.h. */
#include "network.h"

#include "harness.h"

#include <errno.h>
#include <linux/rtnetlink.h>
#include <net/if_arp.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>

#define ADDRESS_MAX 256
#define NIC_MAX 2

static struct address {
	bool used;
	uint8_t family, prefix;
	uint32_t index;
	uint8_t bytes[16];
} addresses[ADDRESS_MAX];

static struct nic {
	const char *name;
	int index;
	short flags;
	uint8_t mac[6];
} nics[NIC_MAX];

static uint8_t reply[NLMSG_SPACE(sizeof(struct nlmsgerr))];
static size_t reply_bytes;
static const uint8_t *dump;
static size_t dump_bytes;
static bool gate_open_now; /* the packet lease: its last word was a grant */
static uint8_t refuse_count, refuse_errno;

void network_reset(void)
{
	static const struct nic initial[NIC_MAX] = {
		{ "c0", 2, IFF_UP | IFF_RUNNING, { 2, 0, 0, 0, 0, 1 } },
		{ "s0", 3, IFF_UP | IFF_RUNNING, { 2, 0, 0, 0, 0, 2 } },
	};

	memset(addresses, 0, sizeof(addresses));
	memcpy(nics, initial, sizeof(nics));
	dump = NULL;
	dump_bytes = reply_bytes = 0;
	refuse_count = refuse_errno = 0;
	gate_open_now = false;
}

void kernel_dump(const uint8_t *bytes, size_t size)
{
	dump = size > 0 ? bytes : NULL;
	dump_bytes = size;
}

bool kernel_gate_open(void)
{
	return gate_open_now;
}

unsigned kernel_addresses(void)
{
	unsigned count = 0;

	for (size_t i = 0; i < ADDRESS_MAX; i++)
		count += addresses[i].used;
	return count;
}

static struct nic *nic_of(const struct ifreq *request, unsigned long what)
{
	for (int i = 0; i < NIC_MAX; i++)
		if (nics[i].index != 0 && (what == SIOCGIFNAME ? nics[i].index == request->ifr_ifindex
							       : strcmp(nics[i].name, request->ifr_name) == 0))
			return &nics[i];
	return NULL;
}

int network_ioctl(unsigned long what, struct ifreq *request)
{
	struct nic *nic = nic_of(request, what);

	if (!nic)
		return ENODEV;
	if (what == SIOCGIFNAME) {
		snprintf(request->ifr_name, sizeof(request->ifr_name), "%s", nic->name);
	} else if (what == SIOCGIFINDEX) {
		request->ifr_ifindex = nic->index;
	} else if (what == SIOCGIFFLAGS) {
		request->ifr_flags = nic->flags;
	} else if (what == SIOCGIFHWADDR) {
		request->ifr_hwaddr.sa_family = ARPHRD_ETHER;
		memcpy(request->ifr_hwaddr.sa_data, nic->mac, 6);
	} else {
		return EINVAL;
	}
	return 0;
}

/* What is gone takes its addresses along. */
void network_change(const uint8_t *bytes, size_t size)
{
	if (size < 2)
		return;
	struct nic *nic = &nics[bytes[0] % NIC_MAX];
	int before = nic->index;

	nic->flags = bytes[1] & 1 ? IFF_UP | IFF_RUNNING : IFF_UP;
	nic->index = bytes[1] & 2 ? 0 : bytes[1] & 4 ? 10 + bytes[0] % NIC_MAX : 2 + bytes[0] % NIC_MAX;
	nic->mac[5] = bytes[1] & 8 ? 9 : 1;
	for (size_t i = 0; i < ADDRESS_MAX && nic->index != before; i++)
		if ((int)addresses[i].index == before)
			addresses[i].used = false;
}

static bool nic_there(uint32_t index)
{
	for (int i = 0; i < NIC_MAX; i++)
		if (index != 0 && nics[i].index == (int)index)
			return true;
	return false;
}

static int change_address(const struct nlmsghdr *header, const struct ifaddrmsg *body, const uint8_t *bytes)
{
	size_t size = body->ifa_family == AF_INET6 ? 16 : 4;
	struct address *found = NULL, *unused = NULL;

	for (size_t i = 0; i < ADDRESS_MAX; i++) {
		struct address *a = &addresses[i];

		if (!a->used)
			unused = unused ? unused : a;
		else if (a->family == body->ifa_family && a->index == body->ifa_index &&
			 a->prefix == body->ifa_prefixlen && memcmp(a->bytes, bytes, size) == 0)
			found = a;
	}
	if (!nic_there(body->ifa_index))
		return ENODEV;
	if (header->nlmsg_type == RTM_DELADDR) {
		if (!found)
			return EADDRNOTAVAIL;
		found->used = false;
		return 0;
	}
	if (found)
		return header->nlmsg_flags & NLM_F_EXCL ? EEXIST : 0;
	INSIST(unused != NULL, "more addresses than can be");
	*unused = (struct address){ true, body->ifa_family, body->ifa_prefixlen, body->ifa_index, { 0 } };
	memcpy(unused->bytes, bytes, size);
	return 0;
}

static int answer(const uint8_t *message, size_t size)
{
	struct nlmsghdr header;
	struct ifaddrmsg body;

	INSIST(size >= NLMSG_LENGTH(sizeof(body)), "a request too short for the kernel");
	memcpy(&header, message, sizeof(header));
	memcpy(&body, message + NLMSG_LENGTH(0), sizeof(body));
	INSIST(header.nlmsg_len == size, "a request with a wrong length");
	if (header.nlmsg_type == RTM_GETADDR)
		return -1;
	if (header.nlmsg_type == RTM_GETROUTE)
		return ENETUNREACH;
	if (refuse_count > 0) {
		refuse_count--;
		return refuse_errno;
	}
	return change_address(&header, &body, message + NLMSG_LENGTH(sizeof(body)) + RTA_LENGTH(0));
}

const char *network_request(const uint8_t *message, size_t size)
{
	int error = answer(message, size);
	struct nlmsghdr *header = (struct nlmsghdr *)(void *)reply;
	struct nlmsgerr acknowledgement = { .error = -error };

	memset(reply, 0, sizeof(reply));
	memcpy(header, message, sizeof(*header));
	const char *asked = header->nlmsg_type == RTM_GETROUTE ? "route?"
			  : header->nlmsg_type == RTM_DELADDR	? "delete"
								: "add";

	reply_bytes = error < 0 ? NLMSG_LENGTH(0) : NLMSG_LENGTH(sizeof(acknowledgement));
	header->nlmsg_len = (uint32_t)reply_bytes;
	header->nlmsg_type = error < 0 ? NLMSG_DONE : NLMSG_ERROR;
	if (error < 0)
		return NULL;
	memcpy(NLMSG_DATA(header), &acknowledgement, sizeof(acknowledgement));
	return asked;
}

/* A hostile dump comes first, its end after it. */
size_t network_reply(void *into, size_t room)
{
	const uint8_t *from = dump ? dump : reply;
	size_t size = dump ? dump_bytes : reply_bytes;

	if (!dump)
		reply_bytes = 0;
	dump = NULL;
	if (size > room)
		size = room;
	memcpy(into, from, size);
	return size;
}

/* hold/gate-frame.c has the form of these frames. */
const char *network_hear(const uint8_t *frame, size_t size)
{
	enum { GRANT = 2, ALONE, CLOSE };

	if (size < 14 || frame[12] != 0x88 || frame[13] != 0xb5)
		return NULL;
	if (frame[4] == GRANT || frame[4] == ALONE)
		gate_open_now = true;
	else if (frame[4] == CLOSE)
		gate_open_now = false;
	switch (frame[4]) {
	case GRANT:
		return "gate: grant";
	case ALONE:
		return "gate: alone";
	case CLOSE:
		return "gate: close";
	default:
		return "gate";
	}
}

void network_refuse(uint8_t count, uint8_t error)
{
	refuse_count = count;
	/* These would be lies: the address would still be there. */
	refuse_errno = error == ENODEV || error == ENXIO || error == EADDRNOTAVAIL ? ENOBUFS : error;
}

void network_lose(const uint8_t *bytes, size_t size)
{
	for (size_t i = 0; i < ADDRESS_MAX; i++)
		addresses[i].used = addresses[i].used && (size == 0 || bytes[0] % 3 != i % 3);
}
