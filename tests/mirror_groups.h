/* The tables for the tests of the mirror. */
#ifndef STROBE_TESTS_MIRROR_GROUPS_H
#define STROBE_TESTS_MIRROR_GROUPS_H

#include "feeder.h"
#include "store/mirror.h"

#include <check.h>
#include <string.h>

static const char *const proc_attrs[] = {"comm", "cgroup", NULL};
static const char *const state_names[] = {"off", "on", NULL};
static const struct metric singular_metrics[] = {
	{"mem.used", "byte", 1024, 1, "meminfo", "Memory in use.", SEM_INSTANT, 0, NULL},
	{"mem.faults", "count", 1, 1, "vmstat", "Faults.", SEM_COUNTER, 3, NULL},
	{"mem.state", "1", 1, 1, "x", "State.", SEM_DISCRETE, 0, state_names},
};
static const struct metric disk_metrics[] = {
	{"disk.reads", "count", 1, 1, "diskstats", "Reads.", SEM_COUNTER, 0, NULL},
	{"disk.bytes", "byte", 512, 1, "diskstats", "Bytes.", SEM_COUNTER, 0, NULL},
};
static const struct metric proc_metrics[] = {
	{"proc.utime", "millisec", 10, 1, "stat", "User time.", SEM_COUNTER, 10, NULL},
	{"proc.rss", "byte", 4096, 1, "stat", "RSS.", SEM_INSTANT, 0, NULL},
	{"proc.io", "byte", 1, 1, "io", "I/O.", SEM_COUNTER, 0, NULL},
};
static const struct group groups[] = {
	{"mem", NULL, singular_metrics, 3, 0, 1, false, NULL},
	{"disk", "disk", disk_metrics, 2, 1000, 40, false, NULL},
	{"proc", "process", proc_metrics, 3, 0, 300, true, proc_attrs},
};
enum { N_GROUPS = 3 };

/* For loops that run often: a check that costs nothing while it holds. */
#define MUST(x)                                                                                    \
	do {                                                                                       \
		if (!(x))                                                                          \
			ck_abort_msg("%s", #x);                                                    \
	} while (0)

#endif
