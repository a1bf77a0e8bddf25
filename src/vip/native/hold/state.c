/*
 * The state file: what a respawned vipd and --cleanup go by. Lines of "key value", written as a
 * whole beside the file and renamed into place, mode 0600, and only when something in it changed.
 * It lives in the run directory (tmpfs) and is not synced: it has to outlast a process, not the
 * machine, and a claim never waits for a disk.
 */
#include "hold/state.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/output.h"
#include "base/tables.h"

#define STATE_BYTES_MAX 16384
#define HEADING "vipd-state 1"

struct state state;

static char last_saved[STATE_BYTES_MAX];

static bool read_field(const char *key, const char *value, struct state *into, bool with_addresses)
{
	if (strcmp(key, "epoch") == 0)
		return parse_epoch(value, &into->epoch);
	if (strcmp(key, "mode") == 0)
		return parse_mode(value, &into->mode);
	if (strcmp(key, "closed") == 0) {
		into->closed = strcmp(value, "yes") == 0;
		return into->closed || strcmp(value, "no") == 0;
	}
	if (strcmp(key, "will") == 0)
		return strcmp(value, "-") == 0 ||
		       parse_hex(value, into->will, sizeof(into->will), &into->will_bytes);
	/* The command line wins: an address or link named there already is not added twice. */
	if (strcmp(key, "address") == 0)
		return !with_addresses || vip_add(value) || vip_count > 0;
	if (strcmp(key, "link") == 0)
		return !with_addresses || link_add(value) || link_count > 0;
	return false;
}

/*
 * `text` ends with a NUL and is cut up. True when every line was understood, the last one included
 * ("end").
 */
static bool parse(char *text, struct state *into, bool with_addresses)
{
	char *rest = text, *line = strsep(&rest, "\n");

	if (strcmp(line, HEADING) != 0)
		return false;
	while ((line = strsep(&rest, "\n")) != NULL) {
		if (strcmp(line, "end") == 0)
			return rest && *rest == '\0';
		char *value = strchr(line, ' ');

		if (!value)
			return false;
		*value++ = '\0';
		if (!read_field(line, value, into, with_addresses))
			return false;
	}
	return false;
}

/* False when the file is damaged; a file that is not there is an empty state. */
bool state_load(const char *path, bool with_addresses)
{
	static char text[STATE_BYTES_MAX];
	struct state loaded = { .mode = MODE_NONE };
	struct stat info;
	int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);

	if (fd < 0)
		return errno == ENOENT;
	ssize_t n = fstat(fd, &info) == 0 && S_ISREG(info.st_mode) ? read(fd, text, sizeof(text) - 1) : -1;

	close(fd);
	if (n < 0 || (size_t)n == sizeof(text) - 1 || memchr(text, 0, (size_t)n))
		return false;
	text[n] = '\0';
	if (!parse(text, &loaded, with_addresses))
		return false;
	state = loaded;
	return true;
}

static void render(char *text, size_t size)
{
	size_t at = (size_t)snprintf(text, size, HEADING "\nepoch %llu.%u\nmode %s\nclosed %s\nwill ",
				     (unsigned long long)state.epoch.counter, state.epoch.node,
				     format_mode(state.mode), state.closed ? "yes" : "no");

	for (size_t i = 0; i < state.will_bytes; i++)
		at += (size_t)snprintf(text + at, size - at, "%02x", state.will[i]);
	at += (size_t)snprintf(text + at, size - at, "%s\n", state.will_bytes ? "" : "-");
	for (unsigned i = 0; i < vip_count; i++) {
		char address[INET6_ADDRSTRLEN], own[INET6_ADDRSTRLEN];

		format_inet(&vips[i].address, address);
		format_inet(&vips[i].own, own);
		at += (size_t)snprintf(text + at, size - at, "address %s,%s,%s\n", address, vips[i].iface->name, own);
	}
	for (unsigned i = 0; i < link_count; i++) {
		char local[INET6_ADDRSTRLEN], remote[INET6_ADDRSTRLEN];

		format_inet(&links[i].local, local);
		format_inet(&links[i].remote, remote);
		at += (size_t)snprintf(text + at, size - at, "link %s,%s,%u\n", local, remote, links[i].port);
	}
	snprintf(text + at, size - at, "end\n");
}

static bool write_whole(const char *path, const char *text)
{
	size_t size = strlen(text);
	int fd;

	unlink(path); /* a leftover of a crash */
	fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
	if (fd < 0)
		return false;
	bool whole = write(fd, text, size) == (ssize_t)size;

	return close(fd) == 0 && whole;
}

/* A state that cannot be written is told and lived with: the address matters more. */
void state_save(const char *path)
{
	static char text[STATE_BYTES_MAX];
	char beside[4096 + 8];

	render(text, sizeof(text));
	if (strcmp(text, last_saved) == 0)
		return;
	snprintf(beside, sizeof(beside), "%s.tmp", path);
	if (!write_whole(beside, text) || rename(beside, path) < 0) {
		say_error("cannot write %s: %s; a respawned vipd would not know the epoch", path, strerror(errno));
		unlink(beside);
		return;
	}
	memcpy(last_saved, text, sizeof(text));
}
