/*
 * pulse's commands: lines of at most 1024 bytes with fields separated by one blank. What is not
 * understood is counted and told, never fatal. The table names each command with the number of its
 * fields.
 */
#include "pipe/command.h"

#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "base/output.h"
#include "base/tables.h"
#include "hold/lease.h"
#include "hold/state.h"
#include "watch/fixed.h"
#include "watch/probe.h"
#include "watch/targets.h"

#define FIELDS_MAX 8
#define LEASE_MS_MAX 60000
#define KEEP_MS_MAX 600000
#define PROBE_WINDOW_MS_MAX 1000
#define SAMPLE_MS_MAX 60000

static char line[LINE_BYTES_MAX + 1];
static size_t line_bytes;
static bool overlong;
static uint64_t bad_commands;

/* SEQ EPOCH AT LEASE_MS MODE KEEP_MS MASK */
static bool lease_fields(char **f, uint64_t *seq, struct epoch *epoch, struct terms *terms, uint64_t *mask)
{
	uint64_t at, lease_ms, keep_ms;

	if (!parse_u64(f[1], UINT64_MAX, seq) || !parse_epoch(f[2], epoch) || !parse_u64(f[3], INT64_MAX / 2, &at) ||
	    !parse_u64(f[4], LEASE_MS_MAX, &lease_ms) || lease_ms == 0 || !parse_mode(f[5], &terms->mode) ||
	    terms->mode == MODE_NONE || !parse_u64(f[6], KEEP_MS_MAX, &keep_ms) || !parse_mask(f[7], mask) ||
	    *mask == 0 || (*mask & ~all_vips()))
		return false;
	terms->at = (us_t)at;
	terms->lease_ms = (uint32_t)lease_ms;
	terms->keep_ms = (uint32_t)keep_ms;
	return true;
}

static bool do_claim(char **f)
{
	uint64_t seq, mask;
	struct epoch epoch;
	struct terms terms = { 0 };

	if (!lease_fields(f, &seq, &epoch, &terms, &mask))
		return false;
	serve_claim(seq, &epoch, terms, mask);
	return true;
}

static bool do_renew(char **f)
{
	uint64_t seq, mask;
	struct epoch epoch;
	struct terms terms = { 0 };

	if (!lease_fields(f, &seq, &epoch, &terms, &mask))
		return false;
	serve_renew(seq, &epoch, terms, mask);
	return true;
}

static bool do_release(char **f)
{
	uint64_t seq;
	struct epoch epoch;
	bool will = strcmp(f[3], "will") == 0;

	if (!parse_u64(f[1], UINT64_MAX, &seq) || !parse_epoch(f[2], &epoch) || (!will && strcmp(f[3], "quiet") != 0))
		return false;
	serve_release(seq, &epoch, will);
	return true;
}

static bool do_will(char **f)
{
	uint8_t bytes[WILL_BYTES_MAX];
	size_t count = 0;

	if (strcmp(f[1], "-") != 0 && !parse_hex(f[1], bytes, sizeof(bytes), &count))
		return false;
	serve_will(bytes, count);
	return true;
}

static bool do_announce(char **f)
{
	(void)f;
	serve_announce();
	return true;
}

static bool do_probe(char **f)
{
	uint8_t mac[6];
	uint64_t index, window;
	bool given = strcmp(f[3], "-") != 0;

	if (strlen(f[1]) == 0 || strlen(f[1]) > PROBE_ID_BYTES_MAX || !parse_u64(f[2], UINT32_MAX, &index) ||
	    index >= vip_count || (given && !parse_mac(f[3], mac)) ||
	    !parse_u64(f[4], PROBE_WINDOW_MS_MAX, &window) || window == 0)
		return false;
	probe(f[1], (unsigned)index, given ? mac : NULL, (us_t)window * US_PER_MS, clock_now());
	return true;
}

/*
 * sd_notify(3). pulse has no datagram socket of that kind, so vipd sends for it (NotifyAccess=all).
 */
static bool do_notify(char **f)
{
	static int fd = -1;
	const char *path = getenv("NOTIFY_SOCKET");
	struct sockaddr_un to = { .sun_family = AF_UNIX };
	size_t length = path ? strlen(path) : 0;

	if (length < 2 || length >= sizeof(to.sun_path) || (path[0] != '/' && path[0] != '@'))
		return true;
	if (fd < 0)
		fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	memcpy(to.sun_path, path, length);
	if (path[0] == '@')
		to.sun_path[0] = '\0';
	if (fd < 0 || sendto(fd, f[1], strlen(f[1]), MSG_DONTWAIT | MSG_NOSIGNAL, (struct sockaddr *)&to,
			     (socklen_t)(offsetof(struct sockaddr_un, sun_path) + length)) < 0)
		say_error("cannot reach NOTIFY_SOCKET");
	return true;
}

static bool do_gate(char **f)
{
	(void)f;
	serve_packet_lease();
	return true;
}

static bool do_sample(char **f)
{
	uint64_t every, window;

	if (!parse_u64(f[1], SAMPLE_MS_MAX, &every) || !parse_u64(f[2], SAMPLE_MS_MAX, &window) ||
	    (every == 0) != (window == 0))
		return false;
	sample((us_t)every * US_PER_MS, (us_t)window * US_PER_MS, clock_now());
	return true;
}

static bool do_resolve(char **f)
{
	uint64_t index;

	return parse_u64(f[1], FIXED_MAX - 1, &index) && fixed_ask((unsigned)index);
}

static const struct command {
	const char *name;
	unsigned fields; /* with the name */
	bool rest;	 /* the last field is the rest of the line */
	bool (*act)(char **fields);
} commands[] = {
	{ "claim", 8, false, do_claim },       { "renew", 8, false, do_renew }, { "release", 4, false, do_release },
	{ "will", 2, false, do_will },	       { "probe", 5, false, do_probe }, { "notify", 2, true, do_notify },
	{ "announce", 1, false, do_announce }, { "gate", 1, false, do_gate },
	{ "sample", 3, false, do_sample },     { "resolve", 2, false, do_resolve },
};

static void bad(const char *why)
{
	char shown[49];
	size_t i = 0;

	for (; i < sizeof(shown) - 1 && i < line_bytes; i++)
		shown[i] = line[i] >= ' ' && line[i] <= '~' && line[i] != '"' ? line[i] : '?';
	shown[i] = '\0';
	bad_commands++;
	say_error("bad command %llu: %s: \"%s\"", (unsigned long long)bad_commands, why, shown);
}

static bool run(const struct command *command, char *text)
{
	char *fields[FIELDS_MAX];
	unsigned count = 0;
	char *rest = text;

	while (rest && count < FIELDS_MAX) {
		bool last = command->rest && count + 1 == command->fields;

		fields[count++] = last ? rest : strsep(&rest, " ");
		if (last)
			rest = NULL;
	}
	return !rest && count == command->fields && command->act(fields);
}

static void complete_line(void)
{
	char copy[LINE_BYTES_MAX + 1];

	/*
	 * Time passes while earlier commands are served: no command may act on a lease that is
	 * over.
	 */
	lease_check(clock_now());
	memcpy(copy, line, line_bytes);
	copy[line_bytes] = '\0';
	for (size_t i = 0; i < line_bytes; i++) {
		if (line[i] < ' ' || line[i] > '~') {
			bad("not printable ASCII");
			return;
		}
	}
	for (size_t i = 0; i < sizeof(commands) / sizeof(commands[0]); i++) {
		size_t length = strlen(commands[i].name);

		if (strncmp(copy, commands[i].name, length) != 0 || (copy[length] != ' ' && copy[length] != '\0'))
			continue;
		if (!run(&commands[i], copy))
			bad("wrong fields");
		return;
	}
	bad("unknown");
}

/* Bytes as they come from the pipe, in any pieces. */
void command_bytes(const char *bytes, size_t count)
{
	for (size_t i = 0; i < count; i++) {
		if (bytes[i] == '\n') {
			if (overlong)
				bad("longer than 1024 bytes");
			else
				complete_line();
			line_bytes = 0;
			overlong = false;
		} else if (line_bytes < LINE_BYTES_MAX - 1) {
			line[line_bytes++] = bytes[i];
		} else {
			overlong = true;
		}
	}
}
