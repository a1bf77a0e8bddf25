/*
 * The packet lease's frames and the socket for them. What comes back has got through the rules.
 */
#include "hold/gate-frame.h"

#include <arpa/inet.h>
#include <errno.h>
#include <linux/if_ether.h>
#include <linux/if_packet.h>
#include <net/if.h>
#include <stdint.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#define ETH_P_GATE 0x88b5 /* IEEE 802: local experimental */

/* The destination, a MAC of local meaning, is the message. */
enum { AT_PREFIX = 0, AT_TABLE = 3, AT_KIND = 4, AT_STEP = 5, AT_TYPE = 12, FRAME_BYTES = 60 };

static const uint8_t prefix[3] = { 0x02, 0x54, 0x4e };

int gate_socket(void)
{
	struct sockaddr_ll lo = { .sll_family = AF_PACKET, .sll_protocol = htons(ETH_P_GATE) };
	int fd = socket(AF_PACKET, SOCK_RAW | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);

	lo.sll_ifindex = (int)if_nametoindex("lo");
	if (fd >= 0 && lo.sll_ifindex > 0 && bind(fd, (struct sockaddr *)&lo, sizeof(lo)) == 0)
		return fd;
	int error = errno;

	if (fd >= 0)
		close(fd);
	errno = error;
	return -1;
}

bool gate_send(int fd, enum gate_table table, enum gate_kind kind, unsigned step)
{
	uint8_t frame[FRAME_BYTES] = { 0 };

	memcpy(frame + AT_PREFIX, prefix, sizeof(prefix));
	frame[AT_TABLE] = (uint8_t)table;
	frame[AT_KIND] = (uint8_t)kind;
	frame[AT_STEP] = (uint8_t)step;
	frame[AT_TYPE] = ETH_P_GATE >> 8;
	frame[AT_TYPE + 1] = ETH_P_GATE & 0xff;
	return send(fd, frame, sizeof(frame), MSG_DONTWAIT | MSG_NOSIGNAL) == sizeof(frame);
}

/* Reads one frame; false: there is none. GATE_NONE: one that is not for this table. */
bool gate_receive(int fd, enum gate_table table, enum gate_kind *kind)
{
	uint8_t frame[FRAME_BYTES];
	ssize_t n = recv(fd, frame, sizeof(frame), MSG_DONTWAIT);

	if (n < 0)
		return false;
	bool ours = n >= ETH_HLEN && memcmp(frame + AT_PREFIX, prefix, sizeof(prefix)) == 0 && frame[AT_TABLE] == table;

	*kind = ours ? (enum gate_kind)frame[AT_KIND] : GATE_NONE;
	return true;
}
