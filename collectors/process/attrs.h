/*
 * What can only be read on the target's own locks (cmdline, exe) or is dear (cgroup): asked of
 * workers, applied to the instances when the answer comes. The sampler never waits for them.
 *
 * Invariants
 *  - To each worker one ring of requests and one of answers, single producer and consumer, atomics
 *    only. No more requests are under way than answers fit, so a worker never waits for room.
 *  - A worker that is at one request for more than a second is stuck: it gets no more, what waited
 *    behind that request is asked of another, and its target is named in the report.
 *  - An answer is applied to the same process only (index and gen), and after the pass that found
 *    the process alive: the pid was its own when the worker read.
 */
#ifndef STROBE_COLLECTORS_PROCESS_ATTRS_H
#define STROBE_COLLECTORS_PROCESS_ATTRS_H

#include "base/batch.h"
#include "base/host.h"
#include "collectors/process/procs.h"

#include <stdatomic.h>

enum { ATTRS_WORKERS = 2, ATTRS_RING = 32, ATTRS_STUCK_MS = 1000, ATTRS_AGAIN_MS = 10000 };

enum attr_key { ATTR_COMM, ATTR_CMDLINE, ATTR_EXE, ATTR_UNIT, ATTR_CGROUP, ATTR_USER, N_ATTRS };

struct attr_request {
	uint64_t gen;
	uint32_t index;
	int32_t pid;
};

struct attr_answer {
	struct attr_request of;
	uint32_t cmdline_len, exe_len, cgroup_len;
	char cmdline[ATTR_VALUE_MAX], exe[ATTR_VALUE_MAX], cgroup[ATTR_VALUE_MAX], unit[64];
};

struct attr_worker {
	struct attr_request requests[ATTRS_RING];
	struct attr_answer answers[ATTRS_RING];
	_Atomic uint32_t asked;	   /* by the sampler: requests put in */
	_Atomic uint32_t answered; /* by the worker: requests done, answers put in */
	_Atomic uint64_t busy_ms;  /* since when it is at requests[answered]; 0: idle */
	uint32_t applied;	   /* by the sampler: answers taken out */
	bool stuck;
	int event_fd;
	char text[4096]; /* the worker's own */
};

struct attrs {
	struct attr_worker worker[ATTRS_WORKERS];
	uint32_t *queue; /* entries to ask about: a ring of PROCS_MAX */
	uint32_t head, tail, next_worker;
	bool urgent;			   /* something is queued that was never asked for */
	int32_t stuck_pids[ATTRS_WORKERS]; /* of requests that do not come back */
	uint32_t n_stuck;
};

/* 0 or -errno; attrs_close follows either way, after the workers have ended. */
int attrs_open(struct attrs *);
void attrs_close(struct attrs *);

/* Queues an entry unless it is under way already. */
void attrs_want(struct attrs *, struct procs *, uint32_t i);

/* After a pass: applies answers, hands out requests, finds stuck workers. What is asked again can
 * wait for others of its kind, so that a worker is woken once for them. */
void attrs_pass(struct attrs *, struct procs *, struct batch *);

/* comm, user and, of a kernel thread, the unit: what needs no worker. */
void attrs_set_own(struct procs *, struct batch *, uint32_t i);

/* One step of a worker, at most a minute of waiting. 0 or -errno. attrs_wake ends the waiting. */
int attrs_work(struct attrs *, unsigned worker, const struct host *);
void attrs_wake(struct attrs *);

#endif
