/*
 * Where a MAC was heard: the interface, or the port of it when it is a Linux bridge. From the bridge's forwarding table in
 * /sys/class/net (bridge.h, struct __fdb_entry), which is read without the kernel's lock of link changes.
 */
#include "vipd.h"

#include <dirent.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define ENTRIES_MAX 4096
#define PORTS_MAX 256
#define PATH_BYTES 128

struct fdb_entry {
	uint8_t mac[6];
	uint8_t port_low, is_local;
	uint32_t ageing;
	uint8_t port_high, pad;
	uint16_t unused;
};

/* The number of the port behind which the bridge knows `mac`; 0: none. */
static unsigned port_number(const char *bridge, const uint8_t mac[6])
{
	struct fdb_entry entries[64];
	char path[PATH_BYTES];
	unsigned found = 0;
	ssize_t n;

	snprintf(path, sizeof(path), "/sys/class/net/%s/brforward", bridge);
	int fd = open(path, O_RDONLY | O_CLOEXEC);

	if (fd < 0)
		return 0;
	for (size_t seen = 0; seen < ENTRIES_MAX && !found; seen += (size_t)n / sizeof(entries[0])) {
		n = read(fd, entries, sizeof(entries));
		if (n < (ssize_t)sizeof(entries[0]))
			break;
		for (size_t i = 0; i < (size_t)n / sizeof(entries[0]); i++)
			if (memcmp(entries[i].mac, mac, 6) == 0)
				found = (unsigned)entries[i].port_high << 8 | entries[i].port_low;
	}
	close(fd);
	return found;
}

static unsigned number_of(const char *bridge, const char *port)
{
	char path[PATH_BYTES], text[16] = "";

	snprintf(path, sizeof(path), "/sys/class/net/%s/brif/%.15s/port_no", bridge, port);
	int fd = open(path, O_RDONLY | O_CLOEXEC);

	if (fd < 0)
		return 0;
	ssize_t n = read(fd, text, sizeof(text) - 1);

	close(fd);
	return n > 0 ? (unsigned)strtoul(text, NULL, 0) : 0;
}

/* "IFACE", or "BRIDGE/PORT". */
void port_of(const struct iface *iface, const uint8_t mac[6], char out[PORT_BYTES])
{
	unsigned number = port_number(iface->real, mac);
	char path[PATH_BYTES];
	const struct dirent *entry;

	snprintf(out, PORT_BYTES, "%s", iface->real);
	if (number == 0)
		return;
	snprintf(path, sizeof(path), "/sys/class/net/%s/brif", iface->real);
	DIR *ports = opendir(path);

	if (!ports)
		return;
	for (unsigned i = 0; i < PORTS_MAX && (entry = readdir(ports)) != NULL; i++) {
		if (entry->d_name[0] == '.' || number_of(iface->real, entry->d_name) != number)
			continue;
		snprintf(out, PORT_BYTES, "%s/%.15s", iface->real, entry->d_name);
		break;
	}
	closedir(ports);
}
