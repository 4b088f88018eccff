/* Lines of perf script text; see import_perf.c. */
#ifndef STROBE_PROFILE_IMPORT_PERF_H
#define STROBE_PROFILE_IMPORT_PERF_H

#include "profile/import_internal.h"

struct perf_line {
	const char *comm, *event, *rest; /* event NULL: none */
	size_t comm_len, event_len;
	uint32_t pid, tid;
	int32_t cpu; /* -1: not said */
	bool has_time;
	int64_t at_us;
	uint64_t period; /* 0: not said */
};
/* NUL-ended. False: it is no sample's line. */
bool import_perf_line(const char *line, struct perf_line *ret);

struct perf_frame {
	const char *name, *module; /* module NULL: not said */
	size_t name_len, module_len;
	uint64_t addr;
	bool has_addr;
};
/* line[len] is NUL. False: it is no frame's line. */
bool import_perf_frame(const char *line, size_t len, struct perf_frame *ret);

/* Events that tick with the time, whose period is in ns. */
bool import_perf_is_clock(const char *event);
/* Stretches off the CPU, whose period is their length in ns. */
bool import_perf_is_off_cpu(const char *event);
/* "sched:sched_switch", and not "cycles:ppp": each one counts. */
bool import_perf_is_tracepoint(const char *event);
/* Of the rates that people ask for the one near what was measured; else that. */
uint32_t import_perf_known_hz(double hz);

#endif
