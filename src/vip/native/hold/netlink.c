/*
 * rtnetlink(7): addresses added with a kernel lifetime and removed, each confirmed by the kernel's
 * acknowledgement; changes of addresses and links by others; which way a packet would go. Every
 * call is bounded in time and in what it reads.
 *
 * Lengths that NLMSG_NEXT() and RTA_NEXT() count down are rounded up first, as these do: the last
 * message may lack its padding, and an unsigned rest would then run below zero and the loop out of
 * the buffer.
 */
#include "hold/netlink.h"

#include <errno.h>
#include <linux/if_addr.h>
#include <linux/rtnetlink.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <unistd.h>

#define EVENT_RECEIVE_BYTES (1 << 20)
#define READS_MAX 64 /* messages taken from one socket before the loop looks at the lease again */
#define DUMP_READS_MAX 4096

struct request {
	struct nlmsghdr header;
	union {
		struct ifaddrmsg body;
		struct rtmsg route;
	};
	char room[128]; /* attributes begin where the body ends */
};

static int netlink_socket(uint32_t groups)
{
	struct sockaddr_nl self = { .nl_family = AF_NETLINK, .nl_groups = groups };
	int fd = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_ROUTE);

	if (fd >= 0 && bind(fd, (struct sockaddr *)&self, sizeof(self)) < 0) {
		close(fd);
		return -1;
	}
	return fd;
}

bool netlink_open(struct netlink *nl)
{
	struct timeval patience = { .tv_sec = 1 };
	int on = 1;

	nl->fd = netlink_socket(0);
	if (nl->fd < 0)
		return false;
	setsockopt(nl->fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof(patience));
	setsockopt(nl->fd, SOL_NETLINK, NETLINK_CAP_ACK, &on, sizeof(on));
	return true;
}

static void attribute(struct request *request, unsigned short type, const void *data, size_t size)
{
	size_t at = NLMSG_ALIGN(request->header.nlmsg_len);
	struct rtattr head = { .rta_len = (unsigned short)RTA_LENGTH(size), .rta_type = type };

	if (at + RTA_SPACE(size) > sizeof(*request))
		return; /* cannot happen: the attributes are ours and fixed */
	memcpy((char *)request + at, &head, sizeof(head));
	memcpy((char *)request + at + RTA_LENGTH(0), data, size);
	request->header.nlmsg_len = (uint32_t)(at + RTA_SPACE(size));
}

/*
 * Reads until the acknowledgement of `seq`; 0 or an errno. Answers to earlier requests that timed
 * out are skipped.
 */
static int acknowledgement(struct netlink *nl, uint32_t seq)
{
	_Alignas(struct nlmsghdr) char buffer[4096];

	for (int reads = 0; reads < READS_MAX; reads++) {
		ssize_t n = recv(nl->fd, buffer, sizeof(buffer), 0);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return errno == EAGAIN ? ETIMEDOUT : errno;
		size_t left = NLMSG_ALIGN((size_t)n);

		for (struct nlmsghdr *h = (struct nlmsghdr *)buffer; NLMSG_OK(h, left); h = NLMSG_NEXT(h, left)) {
			struct nlmsgerr error;

			if (h->nlmsg_seq != seq || h->nlmsg_type != NLMSG_ERROR ||
			    h->nlmsg_len < NLMSG_LENGTH(sizeof(error)))
				continue;
			memcpy(&error, NLMSG_DATA(h), sizeof(error));
			return -error.error;
		}
	}
	return ETIMEDOUT;
}

static int talk(struct netlink *nl, struct request *request)
{
	request->header.nlmsg_seq = ++nl->seq;
	if (send(nl->fd, request, request->header.nlmsg_len, 0) < 0)
		return errno;
	return acknowledgement(nl, nl->seq);
}

static struct request address_request(unsigned short type, unsigned short flags, const struct vip *vip, int link)
{
	struct request request = {
		.header = { .nlmsg_len = NLMSG_LENGTH(sizeof(struct ifaddrmsg)),
			    .nlmsg_type = type,
			    .nlmsg_flags = (unsigned short)(NLM_F_REQUEST | NLM_F_ACK | flags) },
		.body = { .ifa_family = (unsigned char)vip->address.family,
			  .ifa_prefixlen = vip->address.family == AF_INET6 ? 128 : 32,
			  .ifa_scope = RT_SCOPE_UNIVERSE,
			  .ifa_index = (unsigned)link },
	};

	attribute(&request, IFA_LOCAL, vip->address.bytes, inet_bytes(&vip->address));
	attribute(&request, IFA_ADDRESS, vip->address.bytes, inet_bytes(&vip->address));
	return request;
}

static int add(struct netlink *nl, const struct vip *vip, uint32_t valid_s, unsigned short how)
{
	struct request request = address_request(RTM_NEWADDR, (unsigned short)(NLM_F_CREATE | how), vip, vip->put_on);
	/*
	 * A preferred lifetime of 0 keeps an IPv6 VIP from being chosen as a source address; NODAD
	 * lets it serve at once.
	 */
	struct ifa_cacheinfo lifetime = { .ifa_prefered = vip->address.family == AF_INET6 ? 0 : valid_s,
					  .ifa_valid = valid_s };

	attribute(&request, IFA_CACHEINFO, &lifetime, sizeof(lifetime));
	if (vip->address.family == AF_INET6) {
		uint32_t flags = IFA_F_NODAD | IFA_F_NOPREFIXROUTE;

		request.body.ifa_flags = IFA_F_NODAD;
		attribute(&request, IFA_FLAGS, &flags, sizeof(flags));
	}
	return talk(nl, &request);
}

/* An interface that is gone took its addresses along. */
static int remove_from(struct netlink *nl, const struct vip *vip, int link)
{
	if (link == 0)
		return 0;
	struct request request = address_request(RTM_DELADDR, 0, vip, link);
	int error = talk(nl, &request);

	return error == EADDRNOTAVAIL || error == ENODEV || error == ENXIO ? 0 : error;
}

/*
 * The address is there with this lifetime. Creating and refreshing are two requests, so that an
 * address that somebody took away is noticed even when the event of it was lost. Where another
 * interface has the name now, it goes from the old one first.
 */
int netlink_ensure(struct netlink *nl, unsigned index, uint32_t valid_s, bool *created)
{
	struct vip *vip = &vips[index];
	int link = atomic_load(&vip->iface->index);
	int error = vip->put_on == link ? 0 : remove_from(nl, vip, vip->put_on);

	*created = false;
	if (error)
		return error;
	vip->put_on = link;
	if (link == 0)
		return ENODEV;
	error = add(nl, vip, valid_s, NLM_F_EXCL);
	if (error == EEXIST)
		return add(nl, vip, valid_s, NLM_F_REPLACE);
	*created = error == 0;
	return error;
}

/* 0: the kernel says that the address is not there (any more). */
int netlink_remove(struct netlink *nl, unsigned index)
{
	const struct vip *vip = &vips[index];
	int link = atomic_load(&vip->iface->index);
	int error = vip->put_on == link ? 0 : remove_from(nl, vip, vip->put_on);
	int last = remove_from(nl, vip, link);

	return error ? error : last;
}

/* What an address message is about, whatever its interface; false: it makes no sense. */
static bool address_of(const struct nlmsghdr *h, struct ifaddrmsg *body, struct inet *address, uint32_t *flags)
{
	size_t left;

	*address = (struct inet){ .family = AF_UNSPEC };
	if (h->nlmsg_len < NLMSG_LENGTH(sizeof(*body)))
		return false;
	memcpy(body, NLMSG_DATA(h), sizeof(*body));
	*flags = body->ifa_flags;
	left = RTA_ALIGN(h->nlmsg_len - NLMSG_LENGTH(sizeof(*body)));
	for (const struct rtattr *a = IFA_RTA(NLMSG_DATA(h)); RTA_OK(a, left); a = RTA_NEXT(a, left)) {
		if (a->rta_type == IFA_FLAGS && RTA_PAYLOAD(a) == sizeof(*flags))
			memcpy(flags, RTA_DATA(a), sizeof(*flags));
		/*
		 * IPv4 has the address in IFA_LOCAL (IFA_ADDRESS may be a peer's), IPv6 in
		 * IFA_ADDRESS.
		 */
		if (a->rta_type != (body->ifa_family == AF_INET ? IFA_LOCAL : IFA_ADDRESS))
			continue;
		address->family = body->ifa_family;
		if (RTA_PAYLOAD(a) != inet_bytes(address))
			return false;
		memcpy(address->bytes, RTA_DATA(a), inet_bytes(address));
	}
	return address->family == AF_INET || address->family == AF_INET6;
}

/* An address that is not proven unique yet, or proven not to be, serves for nothing. */
static bool usable(uint32_t flags)
{
	return !(flags & IFA_F_DADFAILED) && (!(flags & IFA_F_TENTATIVE) || (flags & IFA_F_OPTIMISTIC));
}

void places_note(struct places *places, const struct place *where, bool there)
{
	unsigned i = 0;

	while (i < places->count && memcmp(&places->at[i], where, sizeof(*where)) != 0)
		i++;
	if (there && i == places->count && i < PLACES_MAX)
		places->at[places->count++] = *where;
	else if (!there && i < places->count)
		places->at[i] = places->at[--places->count];
}

/* VIP_MAX: none of ours. */
static unsigned vip_of(const struct inet *address)
{
	for (unsigned i = 0; i < vip_count; i++)
		if (inet_equal(&vips[i].address, address))
			return i;
	return VIP_MAX;
}

static bool is_own(const struct ifaddrmsg *body, unsigned index)
{
	return body->ifa_index == (unsigned)atomic_load(&vips[index].iface->index) &&
	       body->ifa_prefixlen == (vips[index].address.family == AF_INET6 ? 128 : 32);
}

/* `into`: a place for each of the fixed addresses. */
static void note_fixed(struct places *into, const struct inet *address, const struct place *where, bool there)
{
	for (unsigned i = 0; i < fixed_count; i++)
		if (inet_equal(&fixed[i].address, address))
			places_note(&into[i], where, there);
}

/*
 * Which addresses the kernel has now. `foreign`: VIPs on another interface or with another prefix,
 * so not put by us; `into`: where the routers' fixed addresses are.
 */
int netlink_find(struct netlink *nl, uint64_t *present, uint64_t *foreign, struct places *into)
{
	_Alignas(struct nlmsghdr) static char buffer[32768];
	struct {
		struct nlmsghdr header;
		struct ifaddrmsg body;
	} request = { .header = { .nlmsg_len = sizeof(request),
				  .nlmsg_type = RTM_GETADDR,
				  .nlmsg_flags = NLM_F_REQUEST | NLM_F_DUMP,
				  .nlmsg_seq = ++nl->seq } };

	*present = *foreign = 0;
	memset(into, 0, FIXED_MAX * sizeof(*into));
	if (send(nl->fd, &request, sizeof(request), 0) < 0)
		return errno;
	for (int reads = 0; reads < DUMP_READS_MAX; reads++) {
		ssize_t n = recv(nl->fd, buffer, sizeof(buffer), 0);

		if (n < 0)
			return errno;
		size_t left = NLMSG_ALIGN((size_t)n);

		for (struct nlmsghdr *h = (struct nlmsghdr *)buffer; NLMSG_OK(h, left); h = NLMSG_NEXT(h, left)) {
			struct ifaddrmsg body;
			struct inet address;
			uint32_t flags;

			if (h->nlmsg_type == NLMSG_DONE)
				return 0;
			if (h->nlmsg_type != RTM_NEWADDR || !address_of(h, &body, &address, &flags))
				continue;
			note_fixed(into, &address, &(struct place){ body.ifa_index, body.ifa_prefixlen }, usable(flags));
			unsigned i = vip_of(&address);

			if (i == VIP_MAX)
				continue;
			*(is_own(&body, i) ? present : foreign) |= UINT64_C(1) << i;
		}
	}
	return EMSGSIZE;
}

/* The interface of a route that leads to a gateway; 0: to none, or it is no route. */
static int read_gateway(const struct nlmsghdr *h)
{
	bool gateway = false;
	int link = 0;

	if (h->nlmsg_type != RTM_NEWROUTE || h->nlmsg_len < NLMSG_LENGTH(sizeof(struct rtmsg)))
		return 0;
	size_t left = RTA_ALIGN(h->nlmsg_len - NLMSG_LENGTH(sizeof(struct rtmsg)));

	for (const struct rtattr *a = RTM_RTA(NLMSG_DATA(h)); RTA_OK(a, left); a = RTA_NEXT(a, left)) {
		if (a->rta_type == RTA_OIF && RTA_PAYLOAD(a) == sizeof(link))
			memcpy(&link, RTA_DATA(a), sizeof(link));
		gateway = gateway || a->rta_type == RTA_GATEWAY || a->rta_type == RTA_VIA;
	}
	return gateway ? link : 0;
}

/*
 * The interface by whose gateway the kernel would send between the two; 0: by none, or unknown.
 * `bound`: the interface that sockets are bound to; 0: none. The kernel looks it up without its
 * lock of link changes, and its answer is there when send(2) returns.
 */
int netlink_gateway_link(const struct inet *from, const struct inet *to, int bound)
{
	unsigned char bits = from->family == AF_INET6 ? 128 : 32;
	struct request request = {
		.header = { .nlmsg_len = NLMSG_LENGTH(sizeof(struct rtmsg)),
			    .nlmsg_type = RTM_GETROUTE,
			    .nlmsg_flags = NLM_F_REQUEST },
		.route = { .rtm_family = (unsigned char)from->family, .rtm_dst_len = bits, .rtm_src_len = bits },
	};
	_Alignas(struct nlmsghdr) char reply[4096];
	const struct nlmsghdr *h = (const struct nlmsghdr *)reply;
	int fd = netlink_socket(0);

	if (fd < 0)
		return 0;
	attribute(&request, RTA_DST, to->bytes, inet_bytes(to));
	attribute(&request, RTA_SRC, from->bytes, inet_bytes(from));
	if (bound != 0)
		attribute(&request, RTA_OIF, &bound, sizeof(bound));
	ssize_t n = send(fd, &request, request.header.nlmsg_len, 0) < 0 ? 0 : recv(fd, reply, sizeof(reply), MSG_DONTWAIT);

	close(fd);
	return n > 0 && NLMSG_OK(h, (size_t)n) ? read_gateway(h) : 0;
}

int events_open(void)
{
	int bytes = EVENT_RECEIVE_BYTES;
	int fd = netlink_socket(RTMGRP_LINK | RTMGRP_IPV4_IFADDR | RTMGRP_IPV6_IFADDR);

	if (fd >= 0 && setsockopt(fd, SOL_SOCKET, SO_RCVBUFFORCE, &bytes, sizeof(bytes)) < 0)
		setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &bytes, sizeof(bytes));
	return fd;
}

static bool read_link(const struct nlmsghdr *h, struct event *event)
{
	struct ifinfomsg body;
	size_t left;

	if (h->nlmsg_len < NLMSG_LENGTH(sizeof(body)))
		return false;
	memcpy(&body, NLMSG_DATA(h), sizeof(body));
	event->link = body.ifi_index;
	event->running = (body.ifi_flags & IFF_RUNNING) != 0;
	event->name = "";
	left = RTA_ALIGN(h->nlmsg_len - NLMSG_LENGTH(sizeof(body)));
	for (const struct rtattr *a = IFLA_RTA(NLMSG_DATA(h)); RTA_OK(a, left); a = RTA_NEXT(a, left))
		if (a->rta_type == IFLA_IFNAME && memchr(RTA_DATA(a), 0, RTA_PAYLOAD(a)))
			event->name = RTA_DATA(a);
	return true;
}

static bool read_address(const struct nlmsghdr *h, struct event *event)
{
	struct ifaddrmsg body;
	uint32_t flags;

	if (!address_of(h, &body, &event->address, &flags))
		return false;
	event->where = (struct place){ body.ifa_index, body.ifa_prefixlen };
	event->there = h->nlmsg_type == RTM_NEWADDR;
	event->usable = usable(flags);
	unsigned i = vip_of(&event->address);

	event->vip = i < VIP_MAX && is_own(&body, i) ? i : VIP_MAX;
	return true;
}

/* EVENTS_DONE: a message that says nothing to us. */
static enum event_kind read_event(const struct nlmsghdr *h, struct event *event)
{
	switch (h->nlmsg_type) {
	case RTM_NEWLINK:
	case RTM_DELLINK:
		return read_link(h, event) ? EVENT_LINK : EVENTS_DONE;
	case RTM_NEWADDR:
	case RTM_DELADDR:
		return read_address(h, event) ? EVENT_ADDRESS : EVENTS_DONE;
	default:
		return EVENTS_DONE;
	}
}

/*
 * The next of what is queued; to be called until there is none, which comes after READS_MAX
 * messages at the latest.
 */
enum event_kind events_next(int fd, struct event *event)
{
	_Alignas(struct nlmsghdr) static char buffer[32768];
	static const struct nlmsghdr *at; /* what is left of the message that was read last */
	static size_t left;
	static int reads;

	for (;;) {
		while (at && NLMSG_OK(at, left)) {
			const struct nlmsghdr *h = at;

			at = NLMSG_NEXT(at, left);
			enum event_kind kind = read_event(h, event);

			if (kind != EVENTS_DONE)
				return kind;
		}
		at = NULL;
		if (reads++ == READS_MAX)
			break;
		struct sockaddr_nl from = { 0 };
		socklen_t from_size = sizeof(from);
		ssize_t n = recvfrom(fd, buffer, sizeof(buffer), MSG_DONTWAIT, (struct sockaddr *)&from, &from_size);

		if (n < 0) {
			reads = 0;
			return errno == ENOBUFS ? EVENTS_LOST : EVENTS_DONE;
		}
		if (from.nl_pid != 0)
			continue; /* not from the kernel */
		left = NLMSG_ALIGN((size_t)n);
		at = (const struct nlmsghdr *)buffer;
	}
	reads = 0;
	return EVENTS_DONE;
}
