/*
 * Probes of virtual addresses: an echo, a question to the other vipd and one by ARP or neighbour
 * solicitation, each with what comes back, or that nothing did.
 */
#include "watch/probe.h"

#include <stdio.h>
#include <string.h>
#include <sys/random.h>

#include "base/frame.h"
#include "base/output.h"
#include "base/send.h"
#include "hold/lease.h"
#include "watch/fixed.h"

#define PROBE_MAX (8 * VIP_MAX) /* rounds that pulse may still take an answer of (LATE_ROUNDS), of every address */
#define PROBE_LIFE_US (2 * US_PER_S)
#define ANSWERS_MAX 4 /* of each kind for one probe: enough to see that two machines answer */

static struct probe {
	char id[PROBE_ID_BYTES_MAX + 1]; /* empty: unused */
	unsigned index;
	bool resolve; /* no MAC was given: the echo goes to whoever answers */
	uint8_t mac[6];
	unsigned arp_answers, echo_answers, words;
	uint64_t nonce;
	us_t at;
	us_t due; /* when silence is told; NEVER once answered or told */
} probes[PROBE_MAX];
static unsigned probe_next;

static void send_echo(const struct vip *vip, const uint8_t mac[6], uint64_t nonce)
{
	uint8_t frame[FRAME_BYTES_MAX];
	enum packet_socket which = vip->address.family == AF_INET6 ? SOCKET_IP6 : SOCKET_IP4;

	if (vip->own.family != AF_UNSPEC)
		frame_send(vip->iface, which, frame,
			   frame_echo(frame, vip->iface->mac, mac, &vip->own, &vip->address, nonce));
}

/*
 * Sends the echo (to `mac`, or later to whoever answers), the question to the other vipd, which no
 * filter of IP stops, and the ARP probe. The oldest probe makes room. With neither an echo nor the
 * other's word within `window` the silence is told: here and not in pulse, for only we know when
 * the probe went out and that nothing unread is left.
 */
void probe(const char *id, unsigned index, const uint8_t *mac, us_t window, us_t now)
{
	static const struct inet unspecified;
	const struct vip *vip = &vips[index];
	struct probe *probe = &probes[probe_next++ % PROBE_MAX];
	uint8_t frame[FRAME_BYTES_MAX];

	*probe = (struct probe){ .index = index, .resolve = !mac, .at = now, .due = now + window };
	snprintf(probe->id, sizeof(probe->id), "%s", id);
	if (getrandom(&probe->nonce, sizeof(probe->nonce), GRND_NONBLOCK) != sizeof(probe->nonce)) {
		probe->id[0] = '\0';
		say_error("no randomness for probe %s yet", id);
		return;
	}
	if (mac) {
		memcpy(probe->mac, mac, 6);
		send_echo(vip, mac, probe->nonce);
	}
	frame_send(vip->iface, SOCKET_HELPER, frame,
		   frame_helper(frame, false, vip->iface->mac, mac ? mac : mac_broadcast, &vip->address, probe->nonce));
	frame_ask(vip->iface, NULL, vip->address.family == AF_INET6 ? &vip->own : &unspecified, &vip->address);
}

static bool alive(const struct probe *probe, unsigned index, us_t now)
{
	return probe->id[0] && probe->index == index && now - probe->at < PROBE_LIFE_US;
}

static void heard_echo(unsigned index, const struct heard *heard, us_t now)
{
	for (unsigned i = 0; i < PROBE_MAX; i++) {
		struct probe *p = &probes[i];

		if (!alive(p, index, now) || p->nonce != heard->nonce || p->echo_answers == ANSWERS_MAX ||
		    !inet_equal(&heard->to, &vips[index].own))
			continue;
		p->echo_answers++;
		/*
		 * A third machine's answer is told, but it does not break the silence of the one
		 * that was asked.
		 */
		if (p->resolve || memcmp(p->mac, heard->mac, 6) == 0)
			p->due = NEVER;
		say("reply %s %u echo " MAC_TEXT, p->id, index, MAC_ARGS(heard->mac));
	}
}

/*
 * The other vipd says that it serves the address: only it could know the nonce, and it answers
 * while its lease runs.
 */
static void heard_word(unsigned index, const struct heard *heard, us_t now)
{
	for (unsigned i = 0; i < PROBE_MAX; i++) {
		struct probe *p = &probes[i];

		if (!alive(p, index, now) || p->nonce != heard->nonce || p->words == ANSWERS_MAX)
			continue;
		p->words++;
		if (p->resolve || memcmp(p->mac, heard->mac, 6) == 0)
			p->due = NEVER;
		say("reply %s %u word " MAC_TEXT, p->id, index, MAC_ARGS(heard->mac));
	}
}

static void answer_ask(unsigned index, const struct heard *heard)
{
	const struct vip *vip = &vips[index];
	uint8_t frame[FRAME_BYTES_MAX];

	if (serving(index) && fixed_speaks(vip->iface, vip->address.family))
		frame_send(vip->iface, SOCKET_HELPER, frame,
			   frame_helper(frame, true, vip->iface->mac, heard->mac, &vip->address, heard->nonce));
}

static void heard_resolution(unsigned index, const struct heard *heard, us_t now)
{
	const struct vip *vip = &vips[index];
	bool to_us = memcmp(heard->eth_to, vip->iface->mac, 6) == 0;

	/* Asked from the unspecified address, IPv6 hosts answer to all nodes. */
	if (vip->address.family == AF_INET6 && vip->own.family == AF_UNSPEC)
		to_us = true;
	else if (!heard->answer)
		return;
	if (!to_us)
		return;
	for (unsigned i = 0; i < PROBE_MAX; i++) {
		struct probe *p = &probes[i];

		if (!alive(p, index, now) || p->arp_answers == ANSWERS_MAX)
			continue;
		p->arp_answers++;
		say("reply %s %u arp " MAC_TEXT, p->id, index, MAC_ARGS(heard->mac));
		if (p->resolve)
			send_echo(vip, heard->mac, p->nonce);
	}
}

/* A frame for address number `index` came in. */
void probe_hear(unsigned index, const struct heard *heard, us_t now)
{
	switch (heard->kind) {
	case HEARD_ECHO:
		heard_echo(index, heard, now);
		break;
	case HEARD_ASK:
		answer_ask(index, heard);
		break;
	case HEARD_WORD:
		heard_word(index, heard, now);
		break;
	case HEARD_ARP:
	case HEARD_NA:
		heard_resolution(index, heard, now);
		break;
	}
}

/*
 * Tells the silence of probes whose time is up, after reading what came in while we may have slept.
 */
void probes_due(us_t now, hear_function *hear)
{
	for (unsigned i = 0; i < PROBE_MAX; i++) {
		struct probe *p = &probes[i];

		if (!p->id[0] || p->due > now)
			continue;
		for (enum packet_socket j = 0; j < PACKET_SOCKETS; j++)
			hear(vips[p->index].iface, j, now);
		if (p->due != NEVER)
			say("silent %s %u", p->id, p->index);
		p->due = NEVER;
	}
}

us_t probes_next(void)
{
	us_t next = NEVER;

	for (unsigned i = 0; i < PROBE_MAX; i++)
		if (probes[i].id[0] && probes[i].due < next)
			next = probes[i].due;
	return next;
}
