// Joins network interfaces of this kernel with those of another one by a byte stream: what a User
// Mode Linux without a network driver and its host talk through. Frames go with the kernel's own
// header for checksums and segments that are not made yet.
//   wire LINE IFACE…                  in the guest, LINE: its serial line
//   wire --start IFACE… -- COMMAND…   on the host: COMMAND has the other end as descriptor 3
// The n-th interface here is joined with the n-th there. On the stream: interface (1 byte), length
// (4, big endian), header and frame; from the guest also GRANT and a number of bytes that it takes.
// A line that is given more than its terminal holds (4 KiB) is never read again (seen on 6.1: the
// interrupt is lost), so the host sends no byte that was not asked for.
#include <arpa/inet.h>
#include <err.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/if_packet.h>
#include <linux/virtio_net.h>
#include <net/ethernet.h>
#include <net/if.h>
#include <poll.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <sysexits.h>
#include <termios.h>
#include <unistd.h>

enum { LINKS_MAX = 8, HEAD = 5, GRANT = 255, WINDOW = 2048, GRANT_MIN = 512, FRAME_MAX = sizeof(struct virtio_net_hdr) + 66000 };

static int links[LINKS_MAX];
static int count;

static void open_link(const char *name)
{
	struct sockaddr_ll at = { .sll_family = AF_PACKET, .sll_protocol = htons(ETH_P_ALL) };
	int yes = 1, fd = socket(AF_PACKET, SOCK_RAW | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);

	if (count == LINKS_MAX)
		errx(EX_USAGE, "more than %d interfaces", LINKS_MAX);
	at.sll_ifindex = (int)if_nametoindex(name);
	if (at.sll_ifindex == 0)
		err(EX_NOINPUT, "interface %s", name);
	if (fd < 0 || setsockopt(fd, SOL_PACKET, PACKET_IGNORE_OUTGOING, &yes, sizeof(yes)) ||
	    setsockopt(fd, SOL_PACKET, PACKET_VNET_HDR, &yes, sizeof(yes)) ||
	    bind(fd, (struct sockaddr *)&at, sizeof(at)))
		err(EX_OSERR, "packet socket on %s", name);
	links[count++] = fd;
}

static int open_line(const char *path)
{
	struct termios raw;
	int fd = open(path, O_RDWR | O_NOCTTY | O_CLOEXEC);

	if (fd < 0 || tcgetattr(fd, &raw))
		err(EX_NOINPUT, "%s", path);
	cfmakeraw(&raw);
	if (tcsetattr(fd, TCSANOW, &raw))
		err(EX_OSERR, "%s", path);
	return fd;
}

static int start(char **command)
{
	int ends[2];
	pid_t parent = getpid();

	if (socketpair(AF_UNIX, SOCK_STREAM, 0, ends))
		err(EX_OSERR, "socketpair");
	switch (fork()) {
	case -1:
		err(EX_OSERR, "fork");
	case 0:
		// It dies with us, even by SIGKILL.
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		if (getppid() != parent)
			_exit(EX_TEMPFAIL);
		if (dup2(ends[1], 3) < 0)
			err(EX_OSERR, "dup2");
		execvp(command[0], command);
		err(EX_UNAVAILABLE, "%s", command[0]);
	}
	close(ends[1]);
	fcntl(ends[0], F_SETFD, FD_CLOEXEC);
	return ends[0];
}

// Neither direction waits for the other: both ends could wait for ever.
struct direction {
	unsigned char bytes[HEAD + FRAME_MAX];
	size_t done;
	size_t length;
};
static struct direction in, out;

// On the host: bytes that the guest takes, of which it has told before it took any. In the guest:
// bytes that it has taken and not told.
static size_t credit;
static bool is_host, is_awake;

static bool again(void)
{
	return errno == EAGAIN || errno == EINTR;
}

static void begin(unsigned char first, size_t number, size_t length)
{
	uint32_t told = htonl((uint32_t)number);

	out.bytes[0] = first;
	memcpy(out.bytes + 1, &told, sizeof(told));
	out.done = 0;
	out.length = length;
}

// One frame of those that wait on a link: the others' have their turn.
static void take_frame(int link)
{
	ssize_t got = recv(links[link], out.bytes + HEAD, FRAME_MAX, 0);

	// A link that is down says so once with each change. To a guest that is not up yet nothing
	// gets, as on any wire.
	if (got <= 0 || (is_host && !is_awake))
		return;
	begin((unsigned char)link, (size_t)got, HEAD + (size_t)got);
}

static size_t writable(void)
{
	size_t left = out.length - out.done;

	return is_host && left > credit ? credit : left;
}

static void write_line(int line)
{
	ssize_t put = write(line, out.bytes + out.done, writable());

	if (put < 0 && !again())
		err(EX_IOERR, "write to the line");
	if (put <= 0)
		return;
	out.done += (size_t)put;
	if (is_host)
		credit -= (size_t)put;
}

static size_t length_of(const unsigned char *head)
{
	uint32_t length;

	memcpy(&length, head + 1, sizeof(length));
	length = ntohl(length);
	if (is_host && head[0] == GRANT && length <= WINDOW) {
		is_awake = true;
		credit += length;
		return 0;
	}
	if (head[0] >= count || length > FRAME_MAX)
		errx(EX_PROTOCOL, "%u bytes for interface %u: the stream is out of step", length, head[0]);
	return length;
}

// False at the end of the stream.
static bool read_line(int line)
{
	size_t wanted = in.done < HEAD ? HEAD : in.length;
	ssize_t got = read(line, in.bytes + in.done, wanted - in.done);

	if (got == 0)
		return false;
	if (got < 0 && !again())
		err(EX_IOERR, "read from the line");
	if (got < 0)
		return true;
	in.done += (size_t)got;
	if (!is_host)
		credit += (size_t)got;
	if (in.done == HEAD)
		in.length = HEAD + length_of(in.bytes);
	if (in.done < HEAD || in.done < in.length)
		return true;
	// Refused when the link is down, or a buffer is full: lost, as on any wire.
	if (in.length > HEAD)
		(void)!send(links[in.bytes[0]], in.bytes + HEAD, in.length - HEAD, MSG_DONTWAIT);
	in.done = 0;
	return true;
}

static void carry(int line)
{
	struct pollfd polled[LINKS_MAX + 1];

	fcntl(line, F_SETFL, O_NONBLOCK);
	for (int i = 0; i < count; i++)
		polled[i] = (struct pollfd){ .fd = links[i], .events = POLLIN };
	if (!is_host)
		credit = WINDOW;
	for (;;) {
		bool writing = out.done < out.length;
		short also = writing && writable() > 0 ? POLLOUT : 0;

		if (!writing && !is_host && credit >= GRANT_MIN) {
			begin(GRANT, credit, HEAD);
			credit = 0;
			write_line(line);
			continue;
		}
		polled[count] = (struct pollfd){ .fd = line, .events = (short)(POLLIN | also) };
		// Frames wait in their sockets while one is being written.
		if (poll(polled + (writing ? count : 0), writing ? 1 : (nfds_t)count + 1, -1) < 0 && errno != EINTR)
			err(EX_OSERR, "poll");
		if (polled[count].revents & (POLLIN | POLLHUP | POLLERR) && !read_line(line))
			return;
		for (int i = 0; i < count && !(out.done < out.length); i++)
			if (polled[i].revents & (POLLIN | POLLERR))
				take_frame(i);
		if (out.done < out.length && writable() > 0)
			write_line(line);
	}
}

int main(int argc, char **argv)
{
	int status, next = 2;

	is_host = argc > 1 && strcmp(argv[1], "--start") == 0;
	if (argc < 3)
		errx(EX_USAGE, "usage: wire LINE IFACE…, or wire --start IFACE… -- COMMAND…");
	for (; next < argc && strcmp(argv[next], "--") != 0; next++)
		open_link(argv[next]);
	if (is_host && next + 1 >= argc)
		errx(EX_USAGE, "--start wants a command behind --");
	carry(is_host ? start(argv + next + 1) : open_line(argv[1]));
	if (!is_host || wait(&status) < 0)
		return EX_IOERR;
	return WIFEXITED(status) ? WEXITSTATUS(status) : EX_UNAVAILABLE;
}
