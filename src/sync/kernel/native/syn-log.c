/*
 * Tells of each SYN that nftables logs to a group, one line each, for as long as it runs: "MARK SERVER CLIENT
 * PORT VIP PORT". The first two are the rule's prefix, verbatim; of a tunnelled packet the inner one is told. The
 * kernel keeps what is not read yet in the socket's buffer; what did not fit there is told as "lost".
 * Sources: linux/netfilter/nfnetlink_log.h, net/netfilter/nfnetlink_log.c.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <linux/netfilter/nfnetlink.h>
#include <linux/netfilter/nfnetlink_log.h>
#include <linux/netlink.h>
#include <netinet/in.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sysexits.h>
#include <unistd.h>

enum {
	BUFFER_BYTES = 4 * 1024 * 1024,
	/* Outer and inner IPv6 header and TCP's. */
	COPY_BYTES = 128,
	PREFIX_BYTES = 128,
	/* The kernel waits for so many packets, or so many hundredths of a second. */
	BATCH_PACKETS = 32,
	BATCH_CENTISECONDS = 1,
	IPV4_BYTES = 20,
	IPV6_BYTES = 40,
	TCP_BYTES = 20,
	PROTOCOL_IPIP = 4,
	PROTOCOL_TCP = 6,
	PROTOCOL_IPV6 = 41,
	TCP_FIN = 0x01,
	TCP_SYN = 0x02,
	TCP_RST = 0x04,
};

/* linux/netlink.h mixes signs in NLA_HDRLEN and NLA_ALIGN. */
#define ATTRIBUTE_HEAD sizeof(struct nlattr)

static size_t aligned(size_t length)
{
	return (length + 3u) & ~(size_t)3;
}

struct packet {
	const uint8_t *bytes;
	size_t length;
};

static uint16_t read16(const uint8_t *at)
{
	return (uint16_t)(at[0] << 8 | at[1]);
}

static void add_attribute(struct nlmsghdr *header, uint16_t type, const void *value, uint16_t length)
{
	struct nlattr attribute = { .nla_len = (uint16_t)(ATTRIBUTE_HEAD + length), .nla_type = type };
	uint8_t *end = (uint8_t *)header + NLMSG_ALIGN(header->nlmsg_len);

	memcpy(end, &attribute, sizeof(attribute));
	memcpy(end + ATTRIBUTE_HEAD, value, length);
	header->nlmsg_len = NLMSG_ALIGN(header->nlmsg_len) + (uint32_t)aligned(attribute.nla_len);
}

/* Binds to the group, and says how packets are to be told. Returns 0 or an errno. */
static int subscribe(int socket_fd, uint16_t group)
{
	union {
		struct nlmsghdr header;
		uint8_t bytes[256];
	} request = { .header = { .nlmsg_len = NLMSG_LENGTH(sizeof(struct nfgenmsg)),
				  .nlmsg_type = NFNL_SUBSYS_ULOG << 8 | NFULNL_MSG_CONFIG,
				  .nlmsg_flags = NLM_F_REQUEST | NLM_F_ACK } };
	struct nfgenmsg about = { .nfgen_family = AF_UNSPEC, .version = NFNETLINK_V0, .res_id = htons(group) };
	struct nfulnl_msg_config_cmd bind_command = { .command = NFULNL_CFG_CMD_BIND };
	struct nfulnl_msg_config_mode mode = { .copy_range = htonl(COPY_BYTES), .copy_mode = NFULNL_COPY_PACKET };
	uint32_t packets = htonl(BATCH_PACKETS);
	uint32_t wait = htonl(BATCH_CENTISECONDS);
	struct {
		struct nlmsghdr header;
		struct nlmsgerr error;
	} answer;
	ssize_t length;

	memcpy(NLMSG_DATA(&request.header), &about, sizeof(about));
	add_attribute(&request.header, NFULA_CFG_CMD, &bind_command, sizeof(bind_command));
	add_attribute(&request.header, NFULA_CFG_MODE, &mode, sizeof(mode));
	add_attribute(&request.header, NFULA_CFG_QTHRESH, &packets, sizeof(packets));
	add_attribute(&request.header, NFULA_CFG_TIMEOUT, &wait, sizeof(wait));
	if (send(socket_fd, &request, request.header.nlmsg_len, 0) < 0)
		return errno;
	do
		length = recv(socket_fd, &answer, sizeof(answer), 0);
	while (length < 0 && errno == EINTR);
	if (length < 0)
		return errno;
	if ((size_t)length < sizeof(answer) || answer.header.nlmsg_type != NLMSG_ERROR)
		return EPROTO;
	return -answer.error.error;
}

/* The packet inside a tunnel's header, or the packet itself. */
static struct packet without_tunnel(struct packet packet)
{
	size_t skip = 0;

	if (packet.length < IPV4_BYTES)
		return packet;
	if (packet.bytes[0] >> 4 == 4 && packet.bytes[9] == PROTOCOL_IPIP)
		skip = 4u * (packet.bytes[0] & 0xfu);
	else if (packet.bytes[0] >> 4 == 6 && packet.bytes[6] == PROTOCOL_IPV6)
		skip = IPV6_BYTES;
	if (skip > packet.length)
		return (struct packet){ 0 };
	return (struct packet){ packet.bytes + skip, packet.length - skip };
}

static void tell(const char *prefix, struct packet logged)
{
	struct packet packet = without_tunnel(logged);
	char source[INET6_ADDRSTRLEN], destination[INET6_ADDRSTRLEN];
	const uint8_t *tcp;
	size_t head;
	int family;

	if (packet.length < IPV4_BYTES)
		return;
	if (packet.bytes[0] >> 4 == 4) {
		family = AF_INET;
		head = 4u * (packet.bytes[0] & 0xfu);
		if (packet.bytes[9] != PROTOCOL_TCP || head < IPV4_BYTES)
			return;
	} else if (packet.bytes[0] >> 4 == 6) {
		family = AF_INET6;
		head = IPV6_BYTES;
		if (packet.length < head || packet.bytes[6] != PROTOCOL_TCP)
			return;
	} else {
		return;
	}
	if (packet.length < head + TCP_BYTES)
		return;
	tcp = packet.bytes + head;
	if ((tcp[13] & (TCP_FIN | TCP_SYN | TCP_RST)) != TCP_SYN)
		return;
	inet_ntop(family, packet.bytes + (family == AF_INET ? 12 : 8), source, sizeof(source));
	inet_ntop(family, packet.bytes + (family == AF_INET ? 16 : 24), destination, sizeof(destination));
	printf("%s %s %u %s %u\n", prefix, source, read16(tcp), destination, read16(tcp + 2));
}

/* The attributes of one logged packet. */
static void take(const uint8_t *at, size_t length)
{
	char prefix[PREFIX_BYTES] = "";
	struct packet packet = { 0 };

	while (length >= ATTRIBUTE_HEAD) {
		struct nlattr attribute;
		size_t bytes, step;

		memcpy(&attribute, at, sizeof(attribute));
		if (attribute.nla_len < ATTRIBUTE_HEAD || attribute.nla_len > length)
			return;
		bytes = attribute.nla_len - ATTRIBUTE_HEAD;
		if ((attribute.nla_type & NLA_TYPE_MASK) == NFULA_PAYLOAD)
			packet = (struct packet){ at + ATTRIBUTE_HEAD, bytes };
		else if ((attribute.nla_type & NLA_TYPE_MASK) == NFULA_PREFIX)
			snprintf(prefix, sizeof(prefix), "%.*s", (int)(bytes < PREFIX_BYTES ? bytes : PREFIX_BYTES - 1),
				 (const char *)at + ATTRIBUTE_HEAD);
		step = aligned(attribute.nla_len);
		if (step > length)
			break;
		at += step;
		length -= step;
	}
	if (packet.bytes != NULL && strpbrk(prefix, "\r\n") == NULL)
		tell(prefix, packet);
}

static void take_messages(const uint8_t *at, size_t length)
{
	while (length >= NLMSG_HDRLEN) {
		struct nlmsghdr header;
		size_t step;

		memcpy(&header, at, sizeof(header));
		if (header.nlmsg_len < NLMSG_HDRLEN || header.nlmsg_len > length)
			return;
		if (header.nlmsg_type == (NFNL_SUBSYS_ULOG << 8 | NFULNL_MSG_PACKET) &&
		    header.nlmsg_len >= NLMSG_LENGTH(sizeof(struct nfgenmsg)))
			take(at + NLMSG_LENGTH(sizeof(struct nfgenmsg)),
			     header.nlmsg_len - NLMSG_LENGTH(sizeof(struct nfgenmsg)));
		step = NLMSG_ALIGN(header.nlmsg_len);
		if (step > length)
			return;
		at += step;
		length -= step;
	}
}

static int follow(int socket_fd)
{
	static uint8_t buffer[128 * 1024];

	for (;;) {
		ssize_t length = recv(socket_fd, buffer, sizeof(buffer), 0);

		if (length < 0 && errno == EINTR)
			continue;
		if (length < 0 && errno == ENOBUFS)
			puts("lost");
		else if (length < 0)
			return EX_OSERR;
		else
			take_messages(buffer, (size_t)length);
		/* Nobody reads any more. */
		if (fflush(stdout) != 0)
			return EX_OK;
	}
}

int main(int argc, char **argv)
{
	const struct sockaddr_nl here = { .nl_family = AF_NETLINK };
	char *end = NULL;
	unsigned long group;
	int socket_fd, size = BUFFER_BYTES, failed;

	group = argc == 2 ? strtoul(argv[1], &end, 10) : 0;
	if (argc != 2 || end == argv[1] || *end != '\0' || group > UINT16_MAX) {
		fputs("usage: syn-log GROUP (0 to 65535): tells of the SYNs that nftables logs to this group\n", stderr);
		return EX_USAGE;
	}
	socket_fd = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_NETFILTER);
	if (socket_fd < 0 || bind(socket_fd, (const struct sockaddr *)&here, sizeof(here)) < 0) {
		perror("syn-log: no netlink socket");
		return EX_OSERR;
	}
	/* Without the right to it as much as anybody may have. */
	if (setsockopt(socket_fd, SOL_SOCKET, SO_RCVBUFFORCE, &size, sizeof(size)) < 0)
		setsockopt(socket_fd, SOL_SOCKET, SO_RCVBUF, &size, sizeof(size));
	failed = subscribe(socket_fd, (uint16_t)group);
	if (failed != 0) {
		fprintf(stderr, "syn-log: the kernel does not log to group %lu: %s%s\n", group, strerror(failed),
			failed == EPERM ? "; another program has this group, or this one is not root's" : "; modprobe nfnetlink_log");
		return EX_UNAVAILABLE;
	}
	return follow(socket_fd);
}
