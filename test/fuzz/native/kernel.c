/*
 * The fake kernel under vipd: a clock that only the script moves, addresses with rtnetlink, two
 * interfaces, packet sockets, a state file in memory. What a call does not know it refuses; nothing
 * of the machine is touched.
 *
 * The script: records of a kind, a length and that many bytes; each is what one wait of the daemon
 * (ppoll) brings. After the last one its stdin ends, and from then on every wait lasts as long as
 * it asked for.
 */
#include "harness.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/if_packet.h>
#include <linux/rtnetlink.h>
#include <net/if_arp.h>
#include <poll.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <time.h>

#include "base/output.h"
#include "base/tables.h"
#include "hold/lease.h"
#include "hold/state.h"

#define FD_FIRST 1000
#define FD_MAX 512
#define ADDRESS_MAX 256
#define WAITS_MAX 4000
#define NIC_MAX 2
#define FILE_BYTES_MAX 20000
/* The longest lease, and how long addresses may be kept after it: command.c. */
#define TERM_US_MAX ((60000 + 600000) * US_PER_MS)

enum kind { FREE, NETLINK, EVENTS, PACKET, DATAGRAM, WAKER, STATE_IN, STATE_OUT, OTHER };

static enum kind fds[FD_MAX];
static int64_t clock_us;
static const uint8_t *script, *script_end;
static unsigned waits;
static int64_t commanded_at; /* when pulse last said anything */

/* What the record under way brings, and to which descriptor. */
static const uint8_t *given;
static size_t given_bytes;
static int given_to;
static int events_error;

static struct address {
	bool used;
	uint8_t family, prefix;
	uint32_t index;
	uint8_t bytes[16];
} addresses[ADDRESS_MAX];

static struct nic {
	const char *name;
	int index;
	short flags;
	uint8_t mac[6];
} nics[NIC_MAX];

static uint8_t reply[NLMSG_SPACE(sizeof(struct nlmsgerr))];
static size_t reply_bytes;
static const uint8_t *dump;
static size_t dump_bytes;
static bool gate_open_now; /* the packet lease: its last word was a grant */
static uint8_t refuse_count, refuse_errno;
static bool deaf; /* nobody reads stdout */
static size_t line_bytes;

static uint8_t state_file[FILE_BYTES_MAX], new_file[FILE_BYTES_MAX];
static size_t state_bytes, new_bytes, read_at;
static bool state_there, new_there;

/* What every file below /proc and /sys holds, and how far it has been read. */
static const uint8_t *proc_file;
static size_t proc_bytes, proc_at;
static const char NET_DEV[] = "Inter-|   Receive\n face |bytes\n    c0:  90000    1000    0\n    s0:  90000    1000    0\n";

static void *(*thread)(void *);
static jmp_buf asleep;
static uint64_t woken;

void kernel_reset(void)
{
	static const struct nic initial[NIC_MAX] = {
		{ "c0", 2, IFF_UP | IFF_RUNNING, { 2, 0, 0, 0, 0, 1 } },
		{ "s0", 3, IFF_UP | IFF_RUNNING, { 2, 0, 0, 0, 0, 2 } },
	};

	memset(fds, 0, sizeof(fds));
	memset(addresses, 0, sizeof(addresses));
	memcpy(nics, initial, sizeof(nics));
	clock_us = 1000 * US_PER_S;
	script = script_end = dump = given = NULL;
	dump_bytes = given_bytes = reply_bytes = state_bytes = new_bytes = line_bytes = 0;
	commanded_at = clock_us;
	waits = refuse_count = refuse_errno = 0;
	given_to = -1;
	events_error = 0;
	deaf = state_there = new_there = false;
	gate_open_now = false;
	thread = NULL;
	woken = 0;
	proc_file = (const uint8_t *)NET_DEV;
	proc_bytes = sizeof(NET_DEV) - 1;
}

void kernel_script(const uint8_t *bytes, size_t size)
{
	script = bytes;
	script_end = bytes + size;
}

void kernel_state_file(const uint8_t *bytes, size_t size)
{
	state_there = true;
	state_bytes = size < sizeof(state_file) ? size : sizeof(state_file);
	memcpy(state_file, bytes, state_bytes);
}

void kernel_dump(const uint8_t *bytes, size_t size)
{
	dump = size > 0 ? bytes : NULL;
	dump_bytes = size;
}

bool kernel_gate_open(void)
{
	return gate_open_now;
}

unsigned kernel_addresses(void)
{
	unsigned count = 0;

	for (size_t i = 0; i < ADDRESS_MAX; i++)
		count += addresses[i].used;
	return count;
}

/* FUZZ_TRACE=1 shows what happens when an input is replayed. */
static void trace(const char *what, const uint8_t *bytes, size_t size)
{
	static int wanted = -1;

	if (wanted < 0)
		wanted = getenv("FUZZ_TRACE") != NULL;
	if (wanted)
		fprintf(stderr, "%10.3f ms  %s %.*s%s", (double)(clock_us - 1000 * US_PER_S) / 1000, what, (int)size,
			(const char *)bytes, size > 0 && bytes[size - 1] == '\n' ? "" : "\n");
}

static int refused(int error)
{
	errno = error;
	return -1;
}

/* Whatever else vipd may call: the build points all unknown functions here. */
long fake_refused(void)
{
	return refused(ENOSYS);
}

/* --- descriptors --- */

static int fd_new(enum kind kind)
{
	for (int i = 0; i < FD_MAX; i++) {
		if (fds[i] == FREE) {
			fds[i] = kind;
			return FD_FIRST + i;
		}
	}
	finding("descriptors leak");
}

static enum kind kind_of(int fd)
{
	return fd >= FD_FIRST && fd < FD_FIRST + FD_MAX ? fds[fd - FD_FIRST] : FREE;
}

int fake_close(int fd)
{
	INSIST(kind_of(fd) != FREE, "a descriptor is closed that is not open");
	fds[fd - FD_FIRST] = FREE;
	return 0;
}

int fake_socket(int family, int type, int protocol)
{
	(void)type;
	if (family == AF_NETLINK)
		return protocol == NETLINK_ROUTE ? fd_new(NETLINK) : refused(EPROTONOSUPPORT);
	return fd_new(family == AF_PACKET ? PACKET : DATAGRAM);
}

int fake_bind(int fd, const struct sockaddr *address, socklen_t size)
{
	INSIST(kind_of(fd) != FREE, "bind of nothing");
	if (kind_of(fd) == NETLINK && size >= sizeof(struct sockaddr_nl) &&
	    ((const struct sockaddr_nl *)(const void *)address)->nl_groups)
		fds[fd - FD_FIRST] = EVENTS;
	return 0;
}

/* There is a way everywhere. */
int fake_connect(int fd, const struct sockaddr *address, socklen_t size)
{
	(void)address, (void)size;
	return kind_of(fd) == FREE ? refused(EBADF) : 0;
}

int fake_setsockopt(int fd, int level, int name, const void *value, socklen_t size)
{
	(void)level, (void)name, (void)value, (void)size;
	return kind_of(fd) == FREE ? refused(EBADF) : 0;
}

int fake_fcntl(int fd, int command, ...)
{
	(void)fd, (void)command;
	return 0;
}

int fake_prctl(int option, ...)
{
	(void)option;
	return 0;
}

int fake_mlockall(int flags)
{
	(void)flags;
	return 0;
}

/* --- the clock and the thread --- */

int fake_clock_gettime(clockid_t id, struct timespec *ts)
{
	(void)id;
	*ts = (struct timespec){ .tv_sec = clock_us / US_PER_S, .tv_nsec = clock_us % US_PER_S * 1000 };
	return 0;
}

int fake_usleep(unsigned us)
{
	clock_us += us;
	return 0;
}

int fake_pthread_create(pthread_t *id, const pthread_attr_t *attributes, void *(*start)(void *), void *argument)
{
	(void)id, (void)attributes, (void)argument;
	thread = start;
	return 0;
}

int fake_pthread_mutex_lock(pthread_mutex_t *mutex)
{
	(void)mutex;
	return 0;
}

int fake_pthread_mutex_unlock(pthread_mutex_t *mutex)
{
	(void)mutex;
	return 0;
}

int fake_pthread_cond_signal(pthread_cond_t *cond)
{
	(void)cond;
	return 0;
}

/* The thread has nothing to do: back to the daemon. */
int fake_pthread_cond_wait(pthread_cond_t *cond, pthread_mutex_t *mutex)
{
	(void)cond, (void)mutex;
	longjmp(asleep, 1);
}

static void run_thread(void)
{
	if (thread && setjmp(asleep) == 0)
		thread(NULL);
}

int fake_eventfd(unsigned initial, int flags)
{
	(void)initial, (void)flags;
	return fd_new(WAKER);
}

/* --- interfaces --- */

static struct nic *nic_of(const struct ifreq *request, unsigned long what)
{
	for (int i = 0; i < NIC_MAX; i++)
		if (nics[i].index != 0 && (what == SIOCGIFNAME ? nics[i].index == request->ifr_ifindex
							       : strcmp(nics[i].name, request->ifr_name) == 0))
			return &nics[i];
	return NULL;
}

int fake_ioctl(int fd, unsigned long what, struct ifreq *request)
{
	struct nic *nic = nic_of(request, what);

	INSIST(kind_of(fd) != FREE, "ioctl of nothing");
	if (!nic)
		return refused(ENODEV);
	if (what == SIOCGIFNAME) {
		snprintf(request->ifr_name, sizeof(request->ifr_name), "%s", nic->name);
	} else if (what == SIOCGIFINDEX) {
		request->ifr_ifindex = nic->index;
	} else if (what == SIOCGIFFLAGS) {
		request->ifr_flags = nic->flags;
	} else if (what == SIOCGIFHWADDR) {
		request->ifr_hwaddr.sa_family = ARPHRD_ETHER;
		memcpy(request->ifr_hwaddr.sa_data, nic->mac, 6);
	} else {
		return refused(EINVAL);
	}
	return 0;
}

unsigned fake_if_nametoindex(const char *name)
{
	return strcmp(name, "lo") == 0 ? 1 : 0;
}

/*
 * An interface changes: carrier, MAC, or it goes and comes back; what is gone takes its addresses
 * along.
 */
static void nic_change(const uint8_t *bytes, size_t size)
{
	if (size < 2)
		return;
	struct nic *nic = &nics[bytes[0] % NIC_MAX];
	int before = nic->index;

	nic->flags = bytes[1] & 1 ? IFF_UP | IFF_RUNNING : IFF_UP;
	nic->index = bytes[1] & 2 ? 0 : bytes[1] & 4 ? 10 + bytes[0] % NIC_MAX : 2 + bytes[0] % NIC_MAX;
	nic->mac[5] = bytes[1] & 8 ? 9 : 1;
	for (size_t i = 0; i < ADDRESS_MAX && nic->index != before; i++)
		if ((int)addresses[i].index == before)
			addresses[i].used = false;
}

/* --- rtnetlink --- */

static bool nic_there(uint32_t index)
{
	for (int i = 0; i < NIC_MAX; i++)
		if (index != 0 && nics[i].index == (int)index)
			return true;
	return false;
}

static int change_address(const struct nlmsghdr *header, const struct ifaddrmsg *body, const uint8_t *bytes)
{
	size_t size = body->ifa_family == AF_INET6 ? 16 : 4;
	struct address *found = NULL, *unused = NULL;

	for (size_t i = 0; i < ADDRESS_MAX; i++) {
		struct address *a = &addresses[i];

		if (!a->used)
			unused = unused ? unused : a;
		else if (a->family == body->ifa_family && a->index == body->ifa_index &&
			 a->prefix == body->ifa_prefixlen && memcmp(a->bytes, bytes, size) == 0)
			found = a;
	}
	if (!nic_there(body->ifa_index))
		return ENODEV;
	if (header->nlmsg_type == RTM_DELADDR) {
		if (!found)
			return EADDRNOTAVAIL;
		found->used = false;
		return 0;
	}
	if (found)
		return header->nlmsg_flags & NLM_F_EXCL ? EEXIST : 0;
	INSIST(unused != NULL, "more addresses than can be");
	*unused = (struct address){ true, body->ifa_family, body->ifa_prefixlen, body->ifa_index, { 0 } };
	memcpy(unused->bytes, bytes, size);
	return 0;
}

static int answer(const uint8_t *message, size_t size)
{
	struct nlmsghdr header;
	struct ifaddrmsg body;

	INSIST(size >= NLMSG_LENGTH(sizeof(body)), "a request too short for the kernel");
	memcpy(&header, message, sizeof(header));
	memcpy(&body, message + NLMSG_LENGTH(0), sizeof(body));
	INSIST(header.nlmsg_len == size, "a request with a wrong length");
	if (header.nlmsg_type == RTM_GETADDR)
		return -1;
	trace(header.nlmsg_type == RTM_DELADDR ? "delete" : "add", NULL, 0);
	if (refuse_count > 0) {
		refuse_count--;
		return refuse_errno;
	}
	return change_address(&header, &body, message + NLMSG_LENGTH(sizeof(body)) + RTA_LENGTH(0));
}

/* The packet lease's frames: hold/gate-frame.c has their form. */
static void hear_gate(const uint8_t *frame, size_t size)
{
	enum { GRANT = 2, ALONE, CLOSE };

	if (size < 14 || frame[12] != 0x88 || frame[13] != 0xb5)
		return;
	if (frame[4] == GRANT || frame[4] == ALONE)
		gate_open_now = true;
	else if (frame[4] == CLOSE)
		gate_open_now = false;
	trace(frame[4] == GRANT ? "gate: grant" : frame[4] == ALONE ? "gate: alone" : frame[4] == CLOSE ? "gate: close" : "gate", NULL, 0);
}

ssize_t fake_send(int fd, const void *bytes, size_t size, int flags)
{
	(void)flags;
	INSIST(kind_of(fd) != FREE, "send to nothing");
	if (kind_of(fd) == PACKET)
		hear_gate(bytes, size);
	if (kind_of(fd) != NETLINK)
		return (ssize_t)size;
	int error = answer(bytes, size);
	struct nlmsghdr *header = (struct nlmsghdr *)(void *)reply;
	struct nlmsgerr acknowledgement = { .error = -error };

	memset(reply, 0, sizeof(reply));
	memcpy(header, bytes, sizeof(*header));
	reply_bytes = error < 0 ? NLMSG_LENGTH(0) : NLMSG_LENGTH(sizeof(acknowledgement));
	header->nlmsg_len = (uint32_t)reply_bytes;
	header->nlmsg_type = error < 0 ? NLMSG_DONE : NLMSG_ERROR;
	if (error >= 0)
		memcpy(NLMSG_DATA(header), &acknowledgement, sizeof(acknowledgement));
	return (ssize_t)size;
}

ssize_t fake_sendto(int fd, const void *bytes, size_t size, int flags, const struct sockaddr *to, socklen_t to_size)
{
	(void)to, (void)to_size;
	return fake_send(fd, bytes, size, flags);
}

static ssize_t give(int fd, void *into, size_t room)
{
	if (fd != given_to)
		return refused(EAGAIN);
	given_to = -1;
	size_t size = given_bytes < room ? given_bytes : room;

	memcpy(into, given, size);
	return (ssize_t)size;
}

ssize_t fake_recv(int fd, void *into, size_t room, int flags)
{
	(void)flags;
	INSIST(kind_of(fd) != FREE, "recv from nothing");
	if (kind_of(fd) != NETLINK)
		return give(fd, into, room);
	/* A hostile dump comes first, its end after it. */
	const uint8_t *from = dump ? dump : reply;
	size_t size = dump ? dump_bytes : reply_bytes;

	if (!dump)
		reply_bytes = 0;
	dump = NULL;
	if (size == 0)
		return refused(EAGAIN);
	memcpy(into, from, size < room ? size : room);
	return (ssize_t)(size < room ? size : room);
}

ssize_t fake_recvfrom(int fd, void *into, size_t room, int flags, struct sockaddr *from, socklen_t *from_size)
{
	(void)from, (void)from_size;
	if (kind_of(fd) == EVENTS && events_error) {
		int error = events_error;

		events_error = 0;
		return refused(error);
	}
	return fake_recv(fd, into, room, flags);
}

/* --- files and pipes --- */

int fake_open(const char *path, int flags, ...)
{
	if (strcmp(path, STATE_FILE ".tmp") == 0 && (flags & O_CREAT)) {
		new_there = true;
		new_bytes = 0;
		return fd_new(STATE_OUT);
	}
	if (strncmp(path, "/proc/", 6) == 0 || strncmp(path, "/sys/", 5) == 0) {
		proc_at = 0;
		return fd_new(OTHER);
	}
	if (strcmp(path, STATE_FILE) != 0 || !state_there)
		return refused(ENOENT);
	read_at = 0;
	return fd_new(STATE_IN);
}

int fake_fstat(int fd, struct stat *info)
{
	memset(info, 0, sizeof(*info));
	info->st_mode = S_IFREG;
	return kind_of(fd) == FREE ? refused(EBADF) : 0;
}

ssize_t fake_read(int fd, void *into, size_t room)
{
	if (fd == 0 && script == script_end && given_to != 0)
		return 0;
	if (kind_of(fd) == WAKER) {
		if (!woken)
			return refused(EAGAIN);
		memcpy(into, &woken, sizeof(woken));
		woken = 0;
		return sizeof(woken);
	}
	if (kind_of(fd) == OTHER) {
		size_t some = proc_bytes - proc_at < room ? proc_bytes - proc_at : room;

		memcpy(into, proc_file + proc_at, some);
		proc_at += some;
		return (ssize_t)some;
	}
	if (kind_of(fd) != STATE_IN)
		return give(fd, into, room);
	size_t size = state_bytes - read_at < room ? state_bytes - read_at : room;

	memcpy(into, state_file + read_at, size);
	read_at += size;
	return (ssize_t)size;
}

/* pulse's side of the pipe: lines of printable ASCII, none longer than pulse reads. */
static void check_lines(const uint8_t *bytes, size_t size)
{
	for (size_t i = 0; i < size; i++) {
		if (bytes[i] == '\n') {
			line_bytes = 0;
			continue;
		}
		INSIST(bytes[i] >= ' ' && bytes[i] <= '~', "a line to pulse is not printable");
		INSIST(++line_bytes < LINE_BYTES_MAX, "a line to pulse is too long");
	}
}

ssize_t fake_write(int fd, const void *bytes, size_t size)
{
	if (fd == 1) {
		if (deaf)
			return refused(EAGAIN);
		trace("vipd says:", bytes, size);
		check_lines(bytes, size);
		return (ssize_t)size;
	}
	if (kind_of(fd) == WAKER)
		woken++;
	if (kind_of(fd) == STATE_OUT) {
		INSIST(new_bytes + size <= sizeof(new_file), "the state file is too large to be read");
		memcpy(new_file + new_bytes, bytes, size);
		new_bytes += size;
	}
	return (ssize_t)size;
}

int fake_unlink(const char *path)
{
	if (strcmp(path, STATE_FILE ".tmp") == 0)
		new_there = false;
	return 0;
}

int fake_rename(const char *from, const char *to)
{
	(void)from, (void)to;
	if (!new_there)
		return refused(ENOENT);
	kernel_state_file(new_file, new_bytes);
	new_there = false;
	return 0;
}

/* What it says to people is formed, so that the sanitizers see it, and not shown. */
int fake_fprintf(FILE *file, const char *format, ...)
{
	char text[8192];
	va_list arguments;

	(void)file;
	va_start(arguments, format);
	vsnprintf(text, sizeof(text), format, arguments);
	va_end(arguments);
	trace("to people:", (const uint8_t *)text, strlen(text));
	return 0;
}

int fake_fputs(const char *text, FILE *file)
{
	return fake_fprintf(file, "%s", text);
}

int fake_puts(const char *text)
{
	return fake_fprintf(stdout, "%s", text);
}

size_t fake_fwrite(const void *bytes, size_t size, size_t count, FILE *file)
{
	(void)bytes, (void)size, (void)file;
	return count;
}

/* --- what happens --- */

static struct pollfd *polled(struct pollfd *set, nfds_t n, enum kind kind, unsigned which)
{
	struct pollfd *last = NULL;

	for (nfds_t i = 0; i < n; i++)
		if (set[i].fd >= 0 && (kind == FREE ? set[i].fd == 0 : kind_of(set[i].fd) == kind)) {
			last = &set[i];
			if (which-- == 0)
				break;
		}
	return last;
}

static int ready(struct pollfd *entry, const uint8_t *bytes, size_t size)
{
	if (!entry)
		return 0;
	entry->revents = POLLIN;
	given = bytes;
	given_bytes = size;
	given_to = entry->fd;
	return 1;
}

static int happen(struct pollfd *set, nfds_t n, const uint8_t *bytes, size_t size, uint8_t kind, int64_t patience)
{
	static const char *const words[] = { "stdin:", "time", "stop", "frame", "event", "interface", "refuse", "deaf", "taken", "proc" };
	int64_t ms = size >= 2 ? bytes[0] << 8 | bytes[1] : size == 1 ? bytes[0] : 0;

	trace(words[kind % 10], bytes, size);
	switch (kind % 10) {
	case 0:
		commanded_at = clock_us;
		return size > 0 ? ready(polled(set, n, FREE, 0), bytes, size) : 0;
	case 1: /* time passes, as the daemon asked */
		clock_us += ms * US_PER_MS < patience ? ms * US_PER_MS : patience;
		return 0;
	case 2: /* it was stopped for longer */
		clock_us += ms * US_PER_MS;
		return 0;
	case 3:
		return size > 1 ? ready(polled(set, n, PACKET, bytes[0]), bytes + 1, size - 1) : 0;
	case 4:
		return ready(polled(set, n, EVENTS, 0), bytes, size);
	case 5:
		nic_change(bytes, size);
		events_error = ENOBUFS;
		return ready(polled(set, n, EVENTS, 0), bytes, 0);
	case 6:
		refuse_count = size > 0 ? bytes[0] & 15 : 0;
		refuse_errno = size > 1 ? 1 + bytes[1] % 110 : ENOBUFS;
		/* These would be lies: the address would still be there. */
		if (refuse_errno == ENODEV || refuse_errno == ENXIO || refuse_errno == EADDRNOTAVAIL)
			refuse_errno = ENOBUFS;
		return 0;
	case 7:
		deaf = size > 0 && bytes[0] & 1;
		return 0;
	case 9:
		proc_file = bytes;
		proc_bytes = size;
		return 0;
	default: /* somebody takes the addresses away */
		for (size_t i = 0; i < ADDRESS_MAX; i++)
			addresses[i].used = addresses[i].used && (size == 0 || bytes[0] % 3 != i % 3);
		return 0;
	}
}

int fake_ppoll(struct pollfd *set, nfds_t n, const struct timespec *timeout, const void *mask)
{
	int64_t patience = timeout ? timeout->tv_sec * US_PER_S + timeout->tv_nsec / 1000 : 60 * US_PER_S;
	struct pollfd *waker;
	int count = 0;

	(void)mask;
	INSIST(++waits < WAITS_MAX, "vipd does not come to an end");
	INSIST(!lease_idle() || kernel_addresses() == 0 || state.mode == MODE_ALONE, "idle, and an address is left");
	INSIST(!lease_idle() || !gate_open_now || state.mode == MODE_ALONE, "idle, and the packet lease is open");
	/*
	 * Looked at by the daemon since it last woke: what it still holds now, it holds without a
	 * lease.
	 */
	INSIST(kernel_addresses() == 0 || clock_us - commanded_at <= TERM_US_MAX + US_PER_S || wanted_vips() == 0,
	       "an address outlives every lease");
	for (nfds_t i = 0; i < n; i++)
		set[i].revents = 0;
	run_thread();
	waker = polled(set, n, WAKER, 0);
	if (waker && woken) {
		waker->revents = POLLIN;
		return 1;
	}
	if (script_end - script >= 2) {
		uint8_t kind = script[0];
		size_t left = (size_t)(script_end - script) - 2, size = script[1] < left ? script[1] : left;
		const uint8_t *bytes = script + 2;

		script = bytes + size;
		count = happen(set, n, bytes, size, kind, patience);
		/* A microsecond for the system call itself. */
		clock_us += 1;
		return count;
	}
	script = script_end;
	deaf = false;
	struct pollfd *input = polled(set, n, FREE, 0);

	if (input)
		input->revents = POLLHUP;
	else
		clock_us += patience;
	return input ? 1 : 0;
}

ssize_t fake_getrandom(void *into, size_t size, unsigned flags)
{
	(void)flags;
	memset(into, 'N', size);
	return (ssize_t)size;
}

char *fake_getenv(const char *name)
{
	static char path[] = "/notify";

	return strcmp(name, "NOTIFY_SOCKET") == 0 ? path : NULL;
}
