/*
 * vipd: start and clean-up. In between the loop runs (loop.c), and what is decided is decided in
 * hold/lease.c.
 */
#include "vipd.h"

#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sysexits.h>
#include <unistd.h>

#include "base/output.h"
#include "base/tables.h"
#include "hold/lease.h"
#include "hold/lifetimes.h"
#include "hold/netlink.h"
#include "hold/packet-lease.h"
#include "hold/state.h"
#include "hold/will.h"
#include "loop.h"
#include "pipe/options.h"
#include "watch/fixed.h"
#include "watch/iface.h"
#include "watch/packet.h"
#include "watch/place.h"

#define CLEANUP_TRIES 50
#define CLEANUP_WAIT_US 20000

static struct netlink requests;
static struct places found_places[FIXED_MAX];

static int failed(const char *what)
{
	int code = errno == EPERM || errno == EACCES ? EX_NOPERM : EX_OSERR;

	fprintf(stderr, "vipd: %s: %s%s\n", what, strerror(errno),
		code == EX_NOPERM ? "; it needs CAP_NET_ADMIN and CAP_NET_RAW" : "");
	return code;
}

/* Says at the start what would otherwise fail in the middle of a takeover. */
static int check_permitted(void)
{
	int bytes = 65536;
	int packet = socket(AF_PACKET, SOCK_RAW | SOCK_CLOEXEC, 0);

	if (packet < 0)
		return failed("cannot open a packet socket");
	if (setsockopt(packet, SOL_SOCKET, SO_RCVBUFFORCE, &bytes, sizeof(bytes)) < 0) {
		int code = failed("not allowed to change addresses");

		close(packet);
		return code;
	}
	close(packet);
	return EX_OK;
}

/*
 * One above pulse, where that is in a real-time class: V8's helper threads share pulse's priority,
 * and a renewal must not wait for their turn. Nice to have, too.
 */
static void go_first(void)
{
	struct sched_param param;
	int policy = sched_getscheduler(0);

	if ((policy != SCHED_RR && policy != SCHED_FIFO) || sched_getparam(0, &param) < 0)
		return;
	param.sched_priority++;
	if (sched_setscheduler(0, policy, &param) < 0)
		errno = 0;
}

static void prepare_process(void)
{
	static const int ignored[] = { SIGTERM, SIGINT, SIGHUP, SIGPIPE, SIGUSR1, SIGUSR2 };

	/*
	 * Only the pipe ends us: a service manager's signal to the whole group must not drop the
	 * addresses unconfirmed.
	 */
	for (size_t i = 0; i < sizeof(ignored) / sizeof(ignored[0]); i++)
		signal(ignored[i], SIG_IGN);
	prctl(PR_SET_TIMERSLACK, 1);
	go_first();
	fcntl(STDOUT_FILENO, F_SETFL, fcntl(STDOUT_FILENO, F_GETFL) | O_NONBLOCK);
}

/*
 * Nice to have; without the permission it goes on. The sanitizer's shadow memory is too big to
 * lock.
 */
static void lock_memory(void)
{
#ifndef __SANITIZE_ADDRESS__
	if (mlockall(MCL_CURRENT) < 0)
		errno = 0;
#endif
}

static void greet(uint64_t found, uint64_t foreign, bool state_ok, const char *state_path)
{
	say("hello " VIPD_VERSION " %llu.%u %s %d", (unsigned long long)state.epoch.counter, state.epoch.node,
	    format_mode(state.mode), __builtin_popcountll(found));
	if (!state_ok)
		say_error("the state file %s is damaged: epoch and last will are lost, started without", state_path);
	for (unsigned i = 0; i < vip_count; i++)
		if (foreign & UINT64_C(1) << i)
			say_error("address %u is also configured outside Tandem, on another interface or with another "
				  "prefix: remove it there, it would answer on both routers", i);
	for (unsigned i = 0; i < iface_count; i++)
		links_tell(&ifaces[i]);
	places_tell(clock_now());
	fixed_listed(found_places);
	fixed_look(clock_now());
	fixed_tell(clock_now());
}

static int serve_mode(const struct options *options)
{
	uint64_t found, foreign;
	bool state_ok = state_load(options->state_path, false);
	int code = check_permitted();

	if (code != EX_OK)
		return code;
	prepare_process();
	int events_fd = events_open();

	if (events_fd < 0 || !netlink_open(&requests))
		return failed("cannot open rtnetlink");
	for (unsigned i = 0; i < iface_count; i++) {
		iface_read(&ifaces[i]);
		ifaces[i].up_since = 0; /* long ago, as far as we know */
	}
	errno = netlink_find(&requests, &found, &foreign, found_places);
	if (errno)
		return failed("cannot list addresses");
	if (!lifetimes_start())
		return failed("cannot start the keeper thread");
	will_open();
	loop_open(events_fd);
	lease_start(options->state_path, &requests, found, loop_events);
	greet(found, foreign, state_ok, options->state_path);
	if (!state_ok)
		state_save(options->state_path); /* told once, not at every start */
	packet_lease_open(options->packet_lease);
	for (unsigned i = 0; i < iface_count; i++)
		packet_open(&ifaces[i]);
	lock_memory();
	loop_run();
	return EX_OK;
}

static bool remove_all(void)
{
	bool gone = false;

	for (int tries = 0; tries < CLEANUP_TRIES && !gone; tries++) {
		if (tries > 0)
			usleep(CLEANUP_WAIT_US);
		gone = true;
		for (unsigned i = 0; i < vip_count; i++) {
			errno = netlink_remove(&requests, i);
			gone = gone && errno == 0;
		}
	}
	return gone;
}

/*
 * Everything was killed. Alone: the kernel keeps the addresses until its lifetimes end. Else they
 * go, then the will.
 */
static int cleanup_mode(const struct options *options)
{
	if (!state_load(options->state_path, true))
		fprintf(stderr, "vipd: the state file %s is damaged; removing addresses without a last will\n",
			options->state_path);
	if (state.mode == MODE_ALONE)
		return EX_OK;
	if (!netlink_open(&requests))
		return failed("cannot open rtnetlink");
	for (unsigned i = 0; i < iface_count; i++)
		iface_read(&ifaces[i]);
	packet_lease_open(false);
	packet_lease_close();
	if (!remove_all())
		return failed("cannot remove all addresses, no last will sent");
	if (state.mode != MODE_ARMED)
		return EX_OK;
	state.mode = MODE_NONE;
	state.closed = state.closed || state.will_bytes > 0;
	state_save(options->state_path);
	if (state.will_bytes > 0)
		will_begin(clock_now());
	while (will_next() != NEVER) {
		usleep(1000);
		will_run(clock_now());
	}
	return EX_OK;
}

int main(int argc, char **argv)
{
	struct options options = { 0 };
	int code = options_read(argc, argv, &options);

	if (code >= 0)
		return code;
	if (options.cleanup)
		return cleanup_mode(&options);
	if (fcntl(STDIN_FILENO, F_GETFD) < 0 || fcntl(STDOUT_FILENO, F_GETFD) < 0) {
		fputs("vipd: stdin and stdout must be open: pulse talks over them; see vipd --help\n", stderr);
		return EX_USAGE;
	}
	return serve_mode(&options);
}
