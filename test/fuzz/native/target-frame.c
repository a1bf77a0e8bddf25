/*
 * Frames as they come from the wire, in a buffer of exactly their size; and frames that vipd makes
 * of the same bytes, read.
 */
#include "harness.h"

#include <stdlib.h>
#include <string.h>

#include "base/frame.h"
#include "watch/heard.h"

static void make_and_read(const uint8_t b[64])
{
	struct inet from = { .family = b[0] & 1 ? AF_INET6 : AF_INET }, to = from;
	uint8_t frame[FRAME_BYTES_MAX];
	struct heard heard;

	memcpy(from.bytes, b + 1, 16);
	memcpy(to.bytes, b + 17, 16);
	INSIST(frame_read(frame, frame_arp(frame, 2, b + 33, from.bytes, b + 39, to.bytes), &heard) &&
	       heard.kind == HEARD_ARP && heard.answer && memcmp(heard.sender.bytes, from.bytes, 4) == 0,
	       "an announcement is not understood");
	INSIST(!frame_read(frame, frame_echo(frame, b + 33, b + 39, &from, &to, b[45]), &heard), "a request is an answer");
	from.family = to.family = AF_INET6;
	INSIST(!frame_read(frame, frame_solicitation(frame, b + 33, b[46] & 1 ? b + 39 : NULL, &from, &to), &heard), "a question is an answer");
	INSIST(frame_read(frame, frame_advertisement(frame, b + 33, &from, b[0] & 2), &heard) &&
	       heard.kind == HEARD_NA && inet_equal(&heard.sender, &from), "an advertisement is not understood");
}

void target_run(const uint8_t *bytes, size_t size)
{
	struct heard heard;
	uint8_t *exact = malloc(size ? size : 1);

	memcpy(exact, bytes, size);
	if (frame_read(exact, size, &heard)) {
		INSIST(heard.sender.family == AF_INET || heard.sender.family == AF_INET6, "a sender of no family");
		INSIST(heard.kind != HEARD_ECHO || heard.answer, "an echo that is no answer");
	}
	free(exact);
	if (size >= 64)
		make_and_read(bytes);
}
