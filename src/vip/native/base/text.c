/*
 * Small values as text: numbers, epochs, addresses, MACs, hex. Strict: no blanks, no signs, no
 * leftovers. Pure.
 */
#include "base/text.h"

#include <arpa/inet.h>
#include <string.h>

static bool digits(const char *text, size_t length, uint64_t max, uint64_t *value)
{
	uint64_t sum = 0;

	if (length == 0 || length > 20)
		return false;
	for (size_t i = 0; i < length; i++) {
		if (text[i] < '0' || text[i] > '9')
			return false;
		uint64_t digit = (uint64_t)(text[i] - '0');

		if (sum > (max - digit) / 10)
			return false;
		sum = sum * 10 + digit;
	}
	*value = sum;
	return sum <= max;
}

bool parse_u64(const char *text, uint64_t max, uint64_t *value)
{
	return max >= 9 && digits(text, strlen(text), max, value);
}

/* A set of addresses, one bit each: at most 16 hexadecimal digits, lower case. */
bool parse_mask(const char *text, uint64_t *mask)
{
	size_t length = strlen(text);

	*mask = 0;
	if (length == 0 || length > 16)
		return false;
	for (size_t i = 0; i < length; i++) {
		const char *known = "0123456789abcdef", *digit = strchr(known, text[i]);

		if (!digit)
			return false;
		*mask = *mask << 4 | (uint64_t)(digit - known);
	}
	return true;
}

bool parse_epoch(const char *text, struct epoch *epoch)
{
	const char *dot = strchr(text, '.');
	uint64_t node;

	if (!dot || !digits(text, (size_t)(dot - text), EPOCH_COUNTER_MAX, &epoch->counter) ||
	    !parse_u64(dot + 1, UINT32_MAX, &node))
		return false;
	epoch->node = (uint32_t)node;
	return true;
}

int epoch_compare(const struct epoch *a, const struct epoch *b)
{
	if (a->counter != b->counter)
		return a->counter < b->counter ? -1 : 1;
	if (a->node != b->node)
		return a->node < b->node ? -1 : 1;
	return 0;
}

bool parse_inet(const char *text, struct inet *inet)
{
	memset(inet, 0, sizeof(*inet));
	inet->family = strchr(text, ':') ? AF_INET6 : AF_INET;
	return inet_pton(inet->family, text, inet->bytes) == 1;
}

void format_inet(const struct inet *inet, char text[INET6_ADDRSTRLEN])
{
	if (!inet_ntop(inet->family, inet->bytes, text, INET6_ADDRSTRLEN))
		memcpy(text, "-", 2);
}

size_t inet_bytes(const struct inet *inet)
{
	return inet->family == AF_INET6 ? 16 : 4;
}

bool inet_equal(const struct inet *a, const struct inet *b)
{
	return a->family == b->family && memcmp(a->bytes, b->bytes, inet_bytes(a)) == 0;
}

/* For the socket calls; port 0: none. */
socklen_t inet_socket(const struct inet *inet, uint16_t port, struct sockaddr_storage *out)
{
	memset(out, 0, sizeof(*out));
	if (inet->family == AF_INET6) {
		struct sockaddr_in6 *in6 = (struct sockaddr_in6 *)out;

		in6->sin6_family = AF_INET6;
		in6->sin6_port = htons(port);
		memcpy(&in6->sin6_addr, inet->bytes, 16);
		return sizeof(*in6);
	}
	struct sockaddr_in *in = (struct sockaddr_in *)out;

	in->sin_family = AF_INET;
	in->sin_port = htons(port);
	memcpy(&in->sin_addr, inet->bytes, 4);
	return sizeof(*in);
}

/* fe80::/10, which says nothing without its interface. */
bool inet_link_local(const struct inet *inet)
{
	return inet->family == AF_INET6 && inet->bytes[0] == 0xfe && (inet->bytes[1] & 0xc0) == 0x80;
}

static int nibble(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	if (c >= 'a' && c <= 'f')
		return c - 'a' + 10;
	if (c >= 'A' && c <= 'F')
		return c - 'A' + 10;
	return -1;
}

bool parse_hex(const char *text, uint8_t *bytes, size_t max, size_t *count)
{
	size_t length = strlen(text);

	if (length == 0 || length % 2 != 0 || length / 2 > max)
		return false;
	for (size_t i = 0; i < length / 2; i++) {
		int high = nibble(text[2 * i]), low = nibble(text[2 * i + 1]);

		if (high < 0 || low < 0)
			return false;
		bytes[i] = (uint8_t)(high * 16 + low);
	}
	*count = length / 2;
	return true;
}

bool parse_mac(const char *text, uint8_t mac[6])
{
	if (strlen(text) != 17)
		return false;
	for (size_t i = 0; i < 6; i++) {
		int high = nibble(text[3 * i]), low = nibble(text[3 * i + 1]);

		if (high < 0 || low < 0 || (i < 5 && text[3 * i + 2] != ':'))
			return false;
		mac[i] = (uint8_t)(high * 16 + low);
	}
	return true;
}

const char *format_mode(enum mode mode)
{
	return mode == MODE_ARMED ? "armed" : mode == MODE_ALONE ? "alone" : "none";
}

bool parse_mode(const char *text, enum mode *mode)
{
	for (enum mode m = MODE_NONE; m <= MODE_ALONE; m++) {
		if (strcmp(text, format_mode(m)) == 0) {
			*mode = m;
			return true;
		}
	}
	return false;
}
