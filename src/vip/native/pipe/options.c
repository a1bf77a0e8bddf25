/*
 * The command line: addresses, links, state file. Nothing else is configured; pulse has read the
 * config.
 */
#include "pipe/options.h"

#include <stdio.h>
#include <string.h>
#include <sysexits.h>

#include "base/tables.h"
#include "vipd.h"

static const char usage[] =
	"Usage: vipd --state FILE --address ADDR,IFACE,OWN|- ... [--link LOCAL,REMOTE,PORT ...]\n"
	"            [--target ADDR,IFACE,OWN|- ...] [--fixed ADDR,IFACE|-[,IFACE] ...] [--gate]\n"
	"       vipd --cleanup --state FILE [--address ADDR,IFACE,OWN|- ...] [--link LOCAL,REMOTE,PORT ...]\n"
	"\n"
	"Holds virtual IP addresses on a lease that pulse renews over stdin; removes them by itself when the lease runs\n"
	"out or the pipe closes, and then sends the last will. Started by `tandem pulse`, not by hand.\n"
	"\n"
	"  --state FILE     epoch, mode, addresses and last will, for a respawned vipd and for --cleanup (mode 0600)\n"
	"  --address SPEC   a virtual address, its interface, and the router's own address there to probe from (- none);\n"
	"                   repeat it, at most 64; commands name addresses by their position, from 0\n"
	"  --link SPEC      a heartbeat link, the way of the last will; repeat it, at most 8\n"
	"  --target SPEC    a host whose answers show that a LAN works, like --address; repeat it, at most 16\n"
	"  --fixed SPEC     an address that the config gives to one of the routers: tell whether it is on this interface\n"
	"                   (- any; ADDR,-,IFACE: the peer's, to be asked for there); repeat it, at most 64\n"
	"  --cleanup        after everything was killed: remove the addresses and send the will if the state file says\n"
	"                   armed, keep them if it says alone; without --address and --link the state file's are used\n"
	"  --gate           the packet lease's table is installed: say so when it is gone\n"
	"  --help           this text\n"
	"  --version        the version\n"
	"\n"
	"Exit: 0 done, 64 usage, 71 the kernel refused, 77 not permitted (needs CAP_NET_ADMIN and CAP_NET_RAW).\n";

static int bad(const char *what, const char *value, const char *remedy)
{
	fprintf(stderr, "vipd: %s \"%s\": %s; see vipd --help\n", what, value, remedy);
	return EX_USAGE;
}

/* A list option takes one value, and every further argument that is not an option. */
static int read_value(const char *option, const char *value, struct options *options)
{
	if (strcmp(option, "--state") == 0) {
		if (strlen(value) == 0 || strlen(value) > 4000)
			return bad(option, value, "write a path");
		options->state_path = value;
		return -1;
	}
	if (strcmp(option, "--address") == 0)
		return vip_add(value) ? -1 : bad(option, value, "write ADDR,IFACE,OWN (or - for OWN), each once, at most 64 on 32 interfaces");
	if (strcmp(option, "--target") == 0)
		return target_add(value) ? -1 : bad(option, value, "write ADDR,IFACE,OWN (or - for OWN), at most 16");
	if (strcmp(option, "--fixed") == 0)
		return fixed_add(value) ? -1 : bad(option, value, "write ADDR,IFACE (or - for any interface, ADDR,-,IFACE for the peer's), at most 64");
	if (strcmp(option, "--link") == 0)
		return link_add(value) ? -1 : bad(option, value, "write LOCAL,REMOTE,PORT of one family, at most 8");
	return bad("unknown argument", value, "options begin with --");
}

static bool takes_value(const char *option)
{
	static const char *const known[] = { "--state", "--address", "--link", "--target", "--fixed" };

	for (size_t i = 0; i < sizeof(known) / sizeof(known[0]); i++)
		if (strcmp(option, known[i]) == 0)
			return true;
	return false;
}

int options_read(int argc, char **argv, struct options *options)
{
	const char *option = "";
	bool expected = false;

	for (int i = 1; i < argc; i++) {
		if (strcmp(argv[i], "--help") == 0) {
			fputs(usage, stdout);
			return EX_OK;
		}
		if (strcmp(argv[i], "--version") == 0) {
			puts("vipd " VIPD_VERSION);
			return EX_OK;
		}
		if (strcmp(argv[i], "--cleanup") == 0) {
			options->cleanup = true;
			option = "";
		} else if (strcmp(argv[i], "--gate") == 0) {
			options->packet_lease = true;
			option = "";
		} else if (takes_value(argv[i])) {
			option = argv[i];
			expected = true;
			continue;
		} else if (strncmp(argv[i], "--", 2) == 0) {
			return bad("unknown option", argv[i], "it is not one of vipd's");
		} else {
			int code = read_value(option, argv[i], options);

			if (code >= 0)
				return code;
		}
		expected = false;
	}
	if (expected)
		return bad("no value for", option, "give one");
	if (!options->state_path)
		return bad("missing option", "--state", "name the state file");
	if (vip_count == 0 && !options->cleanup)
		return bad("missing option", "--address", "give at least one address");
	return -1;
}
