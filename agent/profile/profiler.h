/*
 * The profiler: samples every CPU all the time and adds what it saw to `profiles`. Two threads: one that reads the
 * kernel's rings (50 to 100 ms apart, sooner if one is half full, 10 ms above 499 Hz; nice -10 where it may), unwinds and
 * interns; one in the background (nice 10) that makes unwind tables, names frames and seals epochs.
 *
 * Tiers, the best that is permitted: every CPU with kernel and user stacks (root, CAP_PERFMON, or paranoid <= 0); every CPU, user part
 * only; the user's own processes (paranoid <= 2), which are opened one by one as they appear. What is not permitted is said
 * in words, with what to set.
 *
 * Life cycle: profiler_open; profiler_step in a loop on one thread, profiler_background_step on another; profiler_stop from
 * any thread; both joined; profiler_close.
 */
#ifndef STROBE_PROFILE_PROFILER_H
#define STROBE_PROFILE_PROFILER_H

#include "base/host.h"
#include "profile/profiles.h"

struct profiler;
/* How waiting is seen: by a program in the kernel where that may be, else by an event at every switch; or one of them
 * alone (with INTERRUPT: the program, in the way it works before Linux 6.16). */
enum profiler_off_by {
	PROFILER_OFF_BY_ANY,
	PROFILER_OFF_BY_EBPF,
	PROFILER_OFF_BY_INTERRUPT,
	PROFILER_OFF_BY_EVENTS
};
struct profiler_config {
	const struct host *host;
	struct profiles *
		profiles; /* opened by the caller with profiler_name as its `name`: see profiler_open */
	uint32_t hz;	  /* 1 to 999 */
	bool off_cpu;	  /* record blocking, too */
	uint32_t off_cpu_min_us; /* of those shorter only totals are kept */
	enum profiler_off_by off_cpu_by;
	uint64_t memory_bytes; /* for unwind tables and symbols */
};

/* 0; -ENOSYS: no perf_event_open here; -EACCES: not permitted; -errno: with a sentence that says what to set in err. */
int profiler_open(struct profiler **ret, const struct profiler_config *, char *err, size_t err_len);
void profiler_close(struct profiler *); /* NULL is fine */

/* One round: waits up to a poll's time, then reads all rings. 0; -ECANCELED: stopped. */
int profiler_step(struct profiler *);
int profiler_background_step(struct profiler *); /* the same, of the other thread */
void profiler_stop(struct profiler *);		 /* any thread */

/* Any thread: samples at `hz` (up to 4,999) for `seconds` (up to 600), then as before. 0; -EINVAL; -EBUSY. */
int profiler_burst(struct profiler *, uint32_t hz, uint32_t seconds);

struct profiler_state {
	const char *tier; /* "every CPU", "user stacks of every CPU", "own processes" */
	char event[24];	  /* "ref-cycles", "cpu-clock" */
	char reason[256]; /* "", or what is missing and what to set */
	uint32_t hz;	  /* now */
	uint32_t base_hz;
	int64_t burst_until_us;						/* 0: none */
	uint64_t samples, lost, throttled, shallow, unwound, truncated; /* so far */
	uint64_t cpu_ns;						/* of both threads */
	uint32_t n_cpus, n_modules, n_tables, n_spaces;
	uint64_t table_bytes;
	bool off_cpu;
	const char *off_tier; /* "eBPF", "context-switch events"; "": no off_cpu */
	uint32_t
		off_min_us; /* shorter waits are not kept: more than was asked for while there are very many */
	uint64_t switches, switches_lost; /* so far; lost: of those kept, without a stack */
	uint64_t off_short,
		off_short_us; /* waits that were not kept for that, and how long they took together */
};
void profiler_state(struct profiler *, struct profiler_state *ret); /* any thread */

/* For profiles_config.name, with the profiler as its arg: set it before the first profiles_step(). */
void profiler_name(void *profiler, struct stacks *, bool all);
struct namer *profiler_namer(struct profiler *);

#endif
