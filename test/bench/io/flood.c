/*
 * Sends COUNT small UDP datagrams to an address as fast as it goes, and prints how many nanoseconds each took. Through a
 * veth the receiving side's kernel works in the sender's time, so that its cost is in the figure. Bench only, run in
 * namespaces that the bench made: `flood ADDRESS PORT COUNT`; `flood sink PORT` opens the port and never reads from it.
 */
#include <arpa/inet.h>
#include <netdb.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#define BATCH 64
#define COUNT_MAX 100000000

static int sink(const char *port)
{
	struct sockaddr_in any = { .sin_family = AF_INET, .sin_port = htons((uint16_t)atoi(port)) };
	int fd = socket(AF_INET, SOCK_DGRAM, 0), bytes = 2048;

	if (fd < 0 || setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &bytes, sizeof(bytes)) < 0 ||
	    bind(fd, (struct sockaddr *)&any, sizeof(any)) < 0) {
		perror("flood");
		return 71;
	}
	for (;;)
		pause();
}

int main(int argc, char **argv)
{
	struct addrinfo hints = { .ai_socktype = SOCK_DGRAM, .ai_flags = AI_NUMERICHOST | AI_NUMERICSERV }, *to;
	struct timespec begin, end;
	struct mmsghdr messages[BATCH];
	char payload[18] = "";
	struct iovec part = { payload, sizeof(payload) };
	long count = argc == 4 ? atol(argv[3]) : 0, sent = 0;

	if (argc == 3 && strcmp(argv[1], "sink") == 0)
		return sink(argv[2]);
	if (count <= 0 || count > COUNT_MAX || getaddrinfo(argv[1], argv[2], &hints, &to) != 0) {
		fputs("usage: flood ADDRESS PORT COUNT\n", stderr);
		return 64;
	}
	int fd = socket(to->ai_family, SOCK_DGRAM, 0);

	if (fd < 0 || connect(fd, to->ai_addr, to->ai_addrlen) < 0) {
		perror("flood");
		return 71;
	}
	memset(messages, 0, sizeof(messages));
	for (int i = 0; i < BATCH; i++)
		messages[i].msg_hdr = (struct msghdr){ .msg_iov = &part, .msg_iovlen = 1 };
	clock_gettime(CLOCK_MONOTONIC, &begin);
	while (sent < count) {
		int n = sendmmsg(fd, messages, BATCH, 0);

		if (n < 0) {
			perror("flood");
			return 71;
		}
		sent += n;
	}
	clock_gettime(CLOCK_MONOTONIC, &end);
	printf("%.1f\n", ((double)(end.tv_sec - begin.tv_sec) * 1e9 + (double)(end.tv_nsec - begin.tv_nsec)) / (double)sent);
	freeaddrinfo(to);
	close(fd);
	return 0;
}
