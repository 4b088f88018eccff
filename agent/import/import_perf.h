/* Lines of perf script text; see import_perf.c. */
#ifndef STROBE_IMPORT_IMPORT_PERF_H
#define STROBE_IMPORT_IMPORT_PERF_H

#include "import/import_internal.h"

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

/* Of a mapping, a new name, a switch (--show-...-events): no sample. */
bool import_perf_is_record(const struct perf_line *);

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

/* ---- what is read ---- */

enum { EVENTS_MAX = 64 };

struct pending {
	struct stacks_sample sample; /* task: of perf_read.tasks */
	uint64_t period;
	uint64_t order;
	uint8_t event;
};

struct task {
	uint32_t pid, tid, comm;
};

/* A frame's text met before: most are, and reading one is the bulk of the work. */
struct cached {
	uint64_t hash;
	uint32_t frames[2], n; /* n 0: empty; 2: JIT code with an inlined call in its name */
};

struct perf_read {
	struct import *m;
	struct stacks *s;
	struct {
		char name[64];
		uint64_t n;
	} events[EVENTS_MAX];
	uint32_t n_events;
	struct pending *samples;
	size_t n_samples, cap_samples;
	struct task *tasks;
	size_t n_tasks, cap_tasks;
	struct idmap task_ids, mains; /* (pid, tid, comm) -> task; pid -> comm of its main thread */
	struct cached *cache;
	/* the sample that is being read */
	bool open, ended; /* ended: its frame stood on its line */
	bool bare;	  /* its line may have been any text: it counts if frames follow */
	struct pending now;
	uint32_t path[IMPORT_DEPTH_MAX]; /* innermost first */
	uint32_t depth;
	bool no_time, no_cpu;
};

/* Into the stacks. 0; -EINVAL: there is no such event, said; -ENOMEM. */
int perf_read_finish(struct perf_read *);

#endif
