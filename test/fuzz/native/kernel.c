/*
 * The fake kernel under vipd: descriptors, a clock that only the script moves, a state file in
 * memory, and behind its sockets the network of network.c. What a call does not know it refuses;
 * nothing of the machine is touched.
 *
 * The script: records of a kind, a length and that many bytes; each is what one wait of the daemon
 * (ppoll) brings. After the last one its stdin ends, and from then on every wait lasts as long as
 * it asked for.
 */
#include "harness.h"
#include "network.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/if_packet.h>
#include <linux/netlink.h>
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
#define WAITS_MAX 4000
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
	memset(fds, 0, sizeof(fds));
	network_reset();
	clock_us = 1000 * US_PER_S;
	script = script_end = given = NULL;
	given_bytes = state_bytes = new_bytes = line_bytes = 0;
	commanded_at = clock_us;
	waits = 0;
	given_to = -1;
	events_error = 0;
	deaf = state_there = new_there = false;
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

/* No socket is bound to an interface. */
int fake_getsockopt(int fd, int level, int name, void *value, socklen_t *size)
{
	(void)level, (void)name;
	memset(value, 0, *size);
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

/* --- the network: network.c answers --- */

int fake_ioctl(int fd, unsigned long what, struct ifreq *request)
{
	INSIST(kind_of(fd) != FREE, "ioctl of nothing");
	int error = network_ioctl(what, request);

	return error ? refused(error) : 0;
}

unsigned fake_if_nametoindex(const char *name)
{
	return strcmp(name, "lo") == 0 ? 1 : 0;
}

ssize_t fake_send(int fd, const void *bytes, size_t size, int flags)
{
	const char *what = NULL;

	(void)flags;
	INSIST(kind_of(fd) != FREE, "send to nothing");
	if (kind_of(fd) == PACKET)
		what = network_hear(bytes, size);
	if (kind_of(fd) == NETLINK)
		what = network_request(bytes, size);
	if (what)
		trace(what, NULL, 0);
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
	size_t size = network_reply(into, room);

	return size ? (ssize_t)size : refused(EAGAIN);
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
		network_change(bytes, size);
		events_error = ENOBUFS;
		return ready(polled(set, n, EVENTS, 0), bytes, 0);
	case 6:
		network_refuse(size > 0 ? bytes[0] & 15 : 0, size > 1 ? 1 + bytes[1] % 110 : ENOBUFS);
		return 0;
	case 7:
		deaf = size > 0 && bytes[0] & 1;
		return 0;
	case 9:
		proc_file = bytes;
		proc_bytes = size;
		return 0;
	default: /* somebody takes the addresses away */
		network_lose(bytes, size);
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
	INSIST(!lease_idle() || !kernel_gate_open() || state.mode == MODE_ALONE, "idle, and the packet lease is open");
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
