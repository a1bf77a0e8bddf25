/*
 * Feeds vipd's frame reader with frames it built itself, cut short, mutated and random, each in a buffer of exactly its
 * size, so that AddressSanitizer sees any read past the end. Seeded; prints what was understood.
 */
#include "../../src/vip/native/vipd.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static uint64_t seed = 88172645463325252u;

static uint32_t next(void)
{
	seed ^= seed << 13;
	seed ^= seed >> 7;
	seed ^= seed << 17;
	return (uint32_t)(seed >> 16);
}

static bool feed(const uint8_t *bytes, size_t size)
{
	struct heard heard;
	uint8_t *exact = malloc(size ? size : 1);

	if (size)
		memcpy(exact, bytes, size);
	bool understood = frame_read(exact, size, &heard);

	free(exact);
	return understood;
}

int main(int argc, char **argv)
{
	static const uint8_t mac[6] = { 2, 0, 0, 0, 0, 1 };
	struct inet a4 = { AF_INET, { 192, 0, 2, 1 } }, b4 = { AF_INET, { 192, 0, 2, 2 } };
	struct inet a6 = { AF_INET6, { 0x20, 1, 0xd, 0xb8, [15] = 1 } }, b6 = { AF_INET6, { 0x20, 1, 0xd, 0xb8, [15] = 2 } };
	long rounds = argc > 1 ? atol(argv[1]) : 100000, whole = 0, mutated = 0, cut = 0;

	for (long i = 0; i < rounds; i++) {
		uint8_t frame[FRAME_BYTES_MAX];
		size_t size = 0;

		switch (next() % 5) {
		case 0: size = frame_arp(frame, 2, mac, a4.bytes, mac, a4.bytes); break;
		case 1: size = frame_advertisement(frame, mac, &a6, true); break;
		case 2: size = frame_echo(frame, mac, mac, &a4, &b4, next()); frame[34] = 0; break;
		case 3: size = frame_echo(frame, mac, mac, &a6, &b6, next()); frame[54] = 129; break;
		default: size = next() % FRAME_BYTES_MAX; for (size_t j = 0; j < size; j++) frame[j] = (uint8_t)next();
			 if (size > 24) { frame[12] = 0x86; frame[13] = 0xdd; frame[14] = 0x60; frame[20] = 58; }
		}
		whole += feed(frame, size);
		cut += feed(frame, next() % (size + 1));
		for (unsigned j = next() % 8; j > 0 && size > 0; j--)
			frame[next() % size] = (uint8_t)next();
		mutated += feed(frame, size);
	}
	printf("%ld whole, %ld cut, %ld mutated understood of %ld\n", whole, cut, mutated, rounds);
	return whole > rounds / 2 && cut < whole ? 0 : 1;
}
