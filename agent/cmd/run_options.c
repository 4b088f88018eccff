#include "cmd/run_options.h"

#include "base/runtime.h"
#include "cmd/agent.h"
#include "store/ring.h"

#include <errno.h>
#include <getopt.h>
#include <stdio.h>
#include <string.h>

enum { MEMORY_MIN = 8 << 20, HISTORY_DEFAULT = 256 << 20 };

static void usage(void)
{
	puts("usage: strobe run [OPTION...]\n\n"
	     "Samples this host and serves its dashboard; prints the URL to open.\n\n"
	     "  --listen ADDR:PORT     loopback address, port 0 = any free one; or unix:/path\n"
	     "                         (default 127.0.0.1:9820)\n"
	     "  --rate HZ              ticks a second, 1 to 100 (default 10)\n"
	     "  --collectors LIST      cpu,disk: only these; -process: all but this\n"
	     "  --period NAME=MS       read a collector at this period, never slower (repeatable)\n"
	     "  --memory SIZE          of the whole agent, most of it history\n"
	     "                         (default 0.5 % of RAM, 64M to 512M); results of queries "
	     "take\n"
	     "                         as much again at most while they last, never more than 64M\n"
	     "  --history DIR          keep history on disk too, in a ring of fixed size in DIR:\n"
	     "                         it outlives the agent, a crash and a reboot\n"
	     "  --history-size SIZE    of that ring (default 256M)\n"
	     "  --cpu-budget PERCENT   of one core for sampling; above it the dearest collectors "
	     "are\n"
	     "                         read less often, visibly (default 2, more above 10 Hz)\n"
	     "  --profile-hz HZ        stacks sampled a second on each CPU, 1 to 999 (default 99)\n"
	     "  --no-profile           sample no stacks\n"
	     "  --no-off-cpu           do not record what threads wait for\n"
	     "  --off-cpu-min-us US    shorter waits are only counted (default 1000)\n"
	     "  --off-cpu-by HOW       ebpf or events: how waits are seen (default: eBPF where it "
	     "may be\n"
	     "                         loaded, else an event at every switch)\n"
	     "  --runtime-dir DIR      where the log and agent.json live (default: the first tmpfs "
	     "of\n"
	     "                         $RUNTIME_DIRECTORY, /run/strobe, $XDG_RUNTIME_DIR, "
	     "/dev/shm)\n"
	     "  --proc DIR, --sys DIR, --cgroup DIR\n"
	     "                         watch the host that is mounted there\n\n"
	     "STROBE_TOKEN sets the access token (16 to 128 characters of A-Z a-z 0-9 _ -).");
}

static const struct option long_options[] = {
	{"listen", required_argument, NULL, 'l'},
	{"rate", required_argument, NULL, 'r'},
	{"collectors", required_argument, NULL, 'c'},
	{"period", required_argument, NULL, 'p'},
	{"memory", required_argument, NULL, 'm'},
	{"history", required_argument, NULL, 'H'},
	{"history-size", required_argument, NULL, 'z'},
	{"cpu-budget", required_argument, NULL, 'b'},
	{"runtime-dir", required_argument, NULL, 'd'},
	{"profile-hz", required_argument, NULL, 'f'},
	{"no-profile", no_argument, NULL, 'F'},
	{"no-off-cpu", no_argument, NULL, 'O'},
	{"off-cpu-min-us", required_argument, NULL, 'w'},
	{"off-cpu-by", required_argument, NULL, 'y'},
	{"proc", required_argument, NULL, 'P'},
	{"sys", required_argument, NULL, 'S'},
	{"cgroup", required_argument, NULL, 'C'},
	{"help", no_argument, NULL, 'h'},
	{0},
};

static int set_off_cpu_by(struct run_options *o, const char *arg, char *err, size_t err_len)
{
	static const struct {
		const char *name;
		enum profiler_off_by by;
	} ways[] = {{"auto", PROFILER_OFF_BY_ANY},
		    {"ebpf", PROFILER_OFF_BY_EBPF},
		    {"ebpf-interrupt", PROFILER_OFF_BY_INTERRUPT},
		    {"events", PROFILER_OFF_BY_EVENTS}};

	for (size_t i = 0; i < sizeof(ways) / sizeof(*ways); i++)
		if (strcmp(arg, ways[i].name) == 0) {
			o->off_cpu_by = ways[i].by;
			return 0;
		}
	snprintf(err, err_len, "--off-cpu-by takes ebpf, events or auto, not '%s'", arg);
	return -EINVAL;
}

static int set_option(struct run_options *o, int c, const char *arg, char *err, size_t err_len)
{
	switch (c) {
	case 'l':
		o->listen = arg;
		return 0;
	case 'r':
		return option_number("--rate", arg, 1, SAMPLER_RATE_MAX, &o->rate_hz, err, err_len);
	case 'c':
		return option_collectors(arg, o->off, err, err_len);
	case 'p':
		return option_periods(arg, o->period_ms, err, err_len);
	case 'm':
		return option_size(arg, &o->memory, err, err_len);
	case 'H':
		o->history = arg;
		return 0;
	case 'z':
		return option_size(arg, &o->history_size, err, err_len);
	case 'b':
		return option_percent(arg, &o->budget_ppm, err, err_len);
	case 'd':
		o->runtime_dir = arg;
		return 0;
	case 'f':
		return option_number("--profile-hz", arg, 1, 999, &o->profile_hz, err, err_len);
	case 'F':
		o->no_profile = true;
		return 0;
	case 'O':
		o->off_cpu = false;
		return 0;
	case 'w':
		return option_number("--off-cpu-min-us", arg, 1, 1000000, &o->off_cpu_min_us, err,
				     err_len);
	case 'y':
		return set_off_cpu_by(o, arg, err, err_len);
	case 'P':
		o->proc = arg;
		return 0;
	case 'S':
		o->sys = arg;
		return 0;
	default:
		o->cgroup = arg;
		return 0;
	}
}

int run_options_parse(struct run_options *o, int argc, char **argv)
{
	char err[OPTIONS_ERROR_MAX], place[64];
	int c;

	*o = (struct run_options){
		.listen = "127.0.0.1:9820", .rate_hz = 10, .profile_hz = 99, .off_cpu = true};
	opterr = 0;
	while ((c = getopt_long(argc, argv, ":h", long_options, NULL)) != -1) {
		if (c == 'h') {
			usage();
			return 0;
		}
		if (c == '?' || c == ':')
			return option_wrong("run", c, argv);
		if (set_option(o, c, optarg, err, sizeof(err)) < 0) {
			fprintf(stderr, "strobe: %s\n", err);
			return 2;
		}
	}
	if (optind < argc) {
		fprintf(stderr,
			"strobe: 'run' takes no argument '%s'; 'strobe run --help' lists the "
			"options\n",
			argv[optind]);
		return 2;
	}
	if (runtime_place(o->listen, 0, place, sizeof(place)) < 0) {
		fprintf(stderr,
			"strobe: --listen '%s': write ADDRESS:PORT, as in 127.0.0.1:9820, or "
			"unix:/path\n",
			o->listen);
		return 2;
	}
	if (o->memory && o->memory < MEMORY_MIN) {
		fprintf(stderr, "strobe: --memory must be at least 8M\n");
		return 2;
	}
	if (o->history_size && !o->history) {
		fprintf(stderr,
			"strobe: --history-size needs --history DIR, the folder of the ring\n");
		return 2;
	}
	if (o->history_size && o->history_size < RING_SIZE_MIN) {
		fprintf(stderr, "strobe: --history-size must be at least %dM\n",
			RING_SIZE_MIN >> 20);
		return 2;
	}
	if (o->no_profile)
		o->profile_hz = 0;
	if (!o->history_size)
		o->history_size = HISTORY_DEFAULT;
	if (!o->budget_ppm)
		o->budget_ppm = agent_budget_ppm(o->rate_hz);
	return -1;
}
