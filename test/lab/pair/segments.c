// `segments FROM TO SOURCE-PORT PORT syn|ack|syn-ack COUNT` sends bare TCP segments through a raw socket, as fast as
// it goes, and prints the nanoseconds that one took. On a veth that is the whole way through the receiver's kernel, too.
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>

// Sum of big-endian words, of which `bytes` is an even number.
static uint32_t sum(const void *data, size_t bytes) {
  const uint8_t *at = data;
  uint32_t total = 0;
  for (size_t i = 0; i + 1 < bytes; i += 2) total += (uint32_t)(at[i] << 8 | at[i + 1]);
  return total;
}

int main(int argc, char **argv) {
  if (argc != 7) return 64;
  struct sockaddr_in from = {.sin_family = AF_INET}, to = {.sin_family = AF_INET};
  if (inet_pton(AF_INET, argv[1], &from.sin_addr) != 1 || inet_pton(AF_INET, argv[2], &to.sin_addr) != 1) return 64;
  struct tcphdr segment = {.source = htons((uint16_t)atoi(argv[3])), .dest = htons((uint16_t)atoi(argv[4]))};
  segment.doff = sizeof segment / 4;
  segment.window = htons(1024);
  segment.seq = htonl(1);
  segment.syn = strcmp(argv[5], "syn") == 0 || strcmp(argv[5], "syn-ack") == 0;
  segment.ack = strcmp(argv[5], "ack") == 0 || strcmp(argv[5], "syn-ack") == 0;
  if (!segment.syn && !segment.ack) return 64;
  uint32_t total = sum(&from.sin_addr, 4) + sum(&to.sin_addr, 4) + IPPROTO_TCP + sizeof segment + sum(&segment, sizeof segment);
  while (total >> 16) total = (total & 0xffff) + (total >> 16);
  segment.check = htons((uint16_t)~total);
  int fd = socket(AF_INET, SOCK_RAW, IPPROTO_TCP);
  if (fd < 0 || bind(fd, (struct sockaddr *)&from, sizeof from) < 0 || connect(fd, (struct sockaddr *)&to, sizeof to) < 0) {
    perror("segments");
    return 70;
  }
  long count = atol(argv[6]);
  struct timespec began, ended;
  clock_gettime(CLOCK_MONOTONIC, &began);
  for (long i = 0; i < count; i++) {
    if (send(fd, &segment, sizeof segment, 0) < 0 && errno != ENOBUFS && errno != EPERM) {
      perror("segments");
      return 70;
    }
  }
  clock_gettime(CLOCK_MONOTONIC, &ended);
  double ns = (double)(ended.tv_sec - began.tv_sec) * 1e9 + (double)(ended.tv_nsec - began.tv_nsec);
  printf("%.1f\n", ns / (double)count);
  return 0;
}
