/*
 * The filters: they pass only frames that speak for one of our addresses, of a target, of the peer
 * or of a neighbour, so floods of anything else cost next to nothing. Pure.
 */
#include "watch/filter.h"

#include <net/if_arp.h>
#include <netinet/in.h>
#include <string.h>

#include "base/frame.h"

#define DROP 0

/*
 * Where a frame has what is looked at. Of an IPv6 address only the last 32 bits are compared, and
 * an IPv4 header has no options.
 */
enum {
	LAST_BITS = 12,
	HELPER_MAGIC_AT = ETH_BYTES,
	ARP_OPERATION_AT = ETH_BYTES + ARP_AT_OPERATION,
	ARP_SENDER_AT = ETH_BYTES + ARP_AT_SENDER,
	IP4_PROTOCOL_AT = ETH_BYTES + IP4_AT_PROTOCOL,
	IP4_SOURCE_AT = ETH_BYTES + IP4_AT_SOURCE,
	ECHO4_AT = ETH_BYTES + IP4_BYTES + ICMP_AT_TYPE, /* type and code */
	IP6_NEXT_AT = ETH_BYTES + IP6_AT_NEXT,
	IP6_SOURCE_AT = ETH_BYTES + IP6_AT_SOURCE + LAST_BITS,
	ICMP6_TYPE_AT = ETH_BYTES + IP6_BYTES + ICMP_AT_TYPE,
	ND_TARGET_AT = ETH_BYTES + IP6_BYTES + ND_AT_TARGET + LAST_BITS
};

static void op(struct filter *filter, unsigned code, unsigned jump_true, unsigned jump_false, uint32_t k)
{
	filter->code[filter->count++] = (struct sock_filter){ .code = (uint16_t)code,
							       .jt = (uint8_t)jump_true,
							       .jf = (uint8_t)jump_false,
							       .k = k };
}

static void load(struct filter *filter, unsigned size, uint32_t offset)
{
	op(filter, BPF_LD | size | BPF_ABS, 0, 0, offset);
}

/*
 * Jumps ahead over `skip` instructions and the address list when the loaded value is not `value`:
 * to "drop".
 */
static void expect(struct filter *filter, uint32_t value, unsigned skip, unsigned listed)
{
	op(filter, BPF_JMP | BPF_JEQ | BPF_K, 0, skip + listed, value);
}

static uint32_t last_bits(const struct inet *address)
{
	const uint8_t *b = address->bytes + (address->family == AF_INET6 ? LAST_BITS : 0);

	return (uint32_t)b[0] << 24 | (uint32_t)b[1] << 16 | (uint32_t)b[2] << 8 | b[3];
}

/*
 * The last 32 bits of every address of this family on the interface: VIPs, then targets, the peer's
 * own and neighbours.
 */
static unsigned list_addresses(uint32_t *list, const struct iface *iface, int family, unsigned *vips_listed)
{
	unsigned count = 0;

	for (unsigned i = 0; i < vip_count; i++)
		if (vips[i].iface == iface && vips[i].address.family == family)
			list[count++] = last_bits(&vips[i].address);
	*vips_listed = count;
	for (unsigned i = 0; i < target_count; i++)
		if (targets[i].iface == iface && targets[i].address.family == family)
			list[count++] = last_bits(&targets[i].address);
	for (unsigned i = 0; i < fixed_count; i++)
		if (fixed[i].peers == iface && fixed[i].address.family == family)
			list[count++] = last_bits(&fixed[i].address);
	for (unsigned i = 0; i < NEIGHBOURS_MAX; i++)
		if (iface->neighbours[i].address.family == family)
			list[count++] = last_bits(&iface->neighbours[i].address);
	return count;
}

/*
 * The last 32 bits of the address a frame speaks for must be those of one of ours, of a target, of
 * the peer or of a neighbour. ARP: sender; of all but ours only replies, as a gateway may ask much.
 * IPv4: source of an echo reply without options (Linux sends none). IPv6: target of an
 * advertisement, source of an echo reply. Helpers: the address that is asked for.
 */
void filter_for(struct filter *filter, const struct iface *iface, enum packet_socket which)
{
	int family = which == SOCKET_IP6 ? AF_INET6 : AF_INET;

	if (which == SOCKET_HELPER) {
		/* The rest is few and cheap to look at. */
		filter->count = 0;
		load(filter, BPF_W, HELPER_MAGIC_AT);
		op(filter, BPF_JMP | BPF_JEQ | BPF_K, 1, 0, HELPER_MAGIC);
		op(filter, BPF_RET | BPF_K, 0, 0, DROP);
		op(filter, BPF_RET | BPF_K, 0, 0, FRAME_BYTES_MAX);
		return;
	}
	uint32_t list[VIP_MAX + TARGET_MAX + FIXED_MAX + NEIGHBOURS_MAX];
	unsigned ours, listed = list_addresses(list, iface, family, &ours);

	filter->count = 0;
	if (which == SOCKET_ARP) {
		/*
		 * Jumps are counted to the end: the list, and two instructions between VIPs and
		 * targets.
		 */
		load(filter, BPF_W, ARP_SENDER_AT);
		for (unsigned i = 0; i < ours; i++)
			op(filter, BPF_JMP | BPF_JEQ | BPF_K, listed - i + 3, 0, list[i]);
		load(filter, BPF_H, ARP_OPERATION_AT);
		expect(filter, ARPOP_REPLY, 1, listed - ours);
		load(filter, BPF_W, ARP_SENDER_AT);
		memmove(list, list + ours, (listed - ours) * sizeof(list[0]));
		listed -= ours;
	} else if (which == SOCKET_IP4) {
		load(filter, BPF_B, IP4_PROTOCOL_AT);
		expect(filter, IPPROTO_ICMP, 3, listed);
		load(filter, BPF_H, ECHO4_AT);
		expect(filter, ECHO4_REPLY << 8, 1, listed);
		load(filter, BPF_W, IP4_SOURCE_AT);
	} else {
		load(filter, BPF_B, IP6_NEXT_AT);
		expect(filter, IPPROTO_ICMPV6, 6, listed);
		load(filter, BPF_B, ICMP6_TYPE_AT);
		op(filter, BPF_JMP | BPF_JEQ | BPF_K, 0, 2, ND_ADVERTISEMENT);
		load(filter, BPF_W, ND_TARGET_AT);
		op(filter, BPF_JMP | BPF_JA, 0, 0, 2);
		expect(filter, ECHO6_REPLY, 1, listed);
		load(filter, BPF_W, IP6_SOURCE_AT);
	}
	for (unsigned i = 0; i < listed; i++)
		op(filter, BPF_JMP | BPF_JEQ | BPF_K, listed - i, 0, list[i]);
	op(filter, BPF_RET | BPF_K, 0, 0, DROP);
	op(filter, BPF_RET | BPF_K, 0, 0, FRAME_BYTES_MAX);
}
