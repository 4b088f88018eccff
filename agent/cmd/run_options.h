/* The options of `strobe run`. */
#ifndef STROBE_CMD_RUN_OPTIONS_H
#define STROBE_CMD_RUN_OPTIONS_H

#include "cmd/options.h"
#include "profile/profiler.h"

struct run_options {
	const char *listen, *runtime_dir, *proc, *sys, *cgroup;
	uint32_t rate_hz, budget_ppm;
	uint64_t memory;       /* bytes; 0: the default */
	const char *history;   /* folder of the ring on disk; NULL: none */
	uint64_t history_size; /* bytes of it */
	uint32_t profile_hz;   /* 0: no profiler */
	bool off_cpu, no_profile;
	uint32_t off_cpu_min_us; /* 0: the default */
	enum profiler_off_by off_cpu_by;
	bool off[STATS_COLLECTORS_MAX];
	uint32_t period_ms[STATS_COLLECTORS_MAX];
};

/* Reads the command line into *ret, defaults included; the strings stay argv's. < 0: go on; else
 * the exit status (0 after --help, 2 after an error; either was printed). */
int run_options_parse(struct run_options *ret, int argc, char **argv);

#endif
