/*
 * The profiler of a running agent with the stacks it keeps, its ring on disk and its threads: what `strobe
 * run` and `strobe record` add to the sampler. Messages go to stderr. Where it cannot run the agent goes on without,
 * with the reason at hand.
 *
 * Life cycle: profiling_open; profiling_start; profiling_stop; threads_join; profiling_finish; profiling_close.
 */
#ifndef STROBE_CMD_PROFILING_H
#define STROBE_CMD_PROFILING_H

#include "cmd/threads.h"
#include "profile/profiler.h"

struct profiling {
	struct profiles *profiles;
	struct ring *ring;	   /* NULL: memory only */
	struct profiler *profiler; /* NULL: none runs */
	char reason[256];	   /* why, and what to do */
};

struct profiling_config {
	const struct host *host;
	struct history *history; /* whose timeline it is; NULL: none */
	uint64_t memory_bytes;	 /* of the whole agent */
	const char *place;	 /* for what must outlive a crash, on a tmpfs; NULL or "": none */
	const char *dir;	 /* of the rings; NULL: none */
	uint64_t size_bytes;	 /* of all of them */
	uint32_t hz;		 /* 0: off */
	bool off_cpu;
	uint32_t off_cpu_min_us; /* 0: the default */
	enum profiler_off_by off_cpu_by;
};

/* Zeroes *ret. 0; -EBUSY, -EPROTONOSUPPORT, -EBADMSG as keep_open(); other -errno. */
int profiling_open(struct profiling *ret, const struct profiling_config *);
int profiling_start(struct profiling *, struct threads *);
void profiling_stop(struct profiling *);
/* After its threads have ended: what they left is kept as well. */
void profiling_finish(struct profiling *);
void profiling_close(struct profiling *); /* zeroed is fine */

#endif
