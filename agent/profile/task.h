/*
 * The threads that were seen running: what they are called, whose they are, and since when they have not run.
 * Kept up by the kernel's side-band records; what is not known yet is read from /proc. Profiler's thread only.
 *
 * Invariants
 *  - At most `max` threads; the one seen longest ago goes first, those that have exited before any other.
 *  - A task is found until the next tasks_get() or tasks_fork().
 */
#ifndef STROBE_PROFILE_TASK_H
#define STROBE_PROFILE_TASK_H

#include "base/host.h"
#include "stacks/stacks.h"

enum { TASK_COMM_LEN = 16, TASK_CGROUP_MAX = 256 };

/* The user part of a stack by unwinding, with the places of the return addresses above the stack pointer: a
 * thread that stops where it stopped before has them in the same places. */
struct task_user {
	uint64_t ip, sp;
	uint64_t *ips; /* innermost first */
	uint32_t *at;  /* offset from sp of ips[i]; of the first, nothing */
	uint16_t n, cap;
	uint8_t end; /* enum unwind_end */
	bool now;    /* it is that of the wait at hand */
};

/* Where a thread stands that does not run (offcpu.h). */
struct task_off {
	int64_t since_ns; /* 0: it runs, or that is not known */
	uint64_t *ips;	  /* its stack then, as the kernel gave it */
	uint16_t n_ips, cap_ips;
	bool preempted;
	const uint64_t *regs; /* in a ring, as long as the round lasts; NULL: none, or done */
	const uint8_t *stack;
	uint32_t stack_len;
	bool lock; /* what it waits for in futex(2), if it does, is a lock */
	struct task_user user;
};

struct task {
	uint32_t pid, tid, ppid; /* ppid: of a main thread whose birth was seen; else 0 */
	char comm[TASK_COMM_LEN];
	bool named; /* comm is known */
	bool exited;
	char *cgroup; /* of a main thread; NULL: not looked up, "": unknown */
	int64_t cgroup_at_us;
	struct task_off off;
	uint32_t epoch, index,
		process_serial; /* the entry made of it in stacks, and for which comm of its process */
	uint32_t serial;	/* changes with comm and cgroup */
	struct task *next, *newer, *older;
};

struct tasks;
int tasks_open(struct tasks **ret, const struct host *, size_t max);
void tasks_close(struct tasks *); /* NULL is fine */
size_t tasks_count(const struct tasks *);

/* The task, made if it is not known. NULL: no memory. */
struct task *tasks_get(struct tasks *, uint32_t pid, uint32_t tid);
struct task *tasks_find(struct tasks *, uint32_t tid); /* or NULL */
/* Its entry in `s`, by comm, process and cgroup; 0: unknown. `epoch` names `s`: whenever that is another, so is this. */
uint32_t tasks_index(struct tasks *, struct task *, struct stacks *s, uint32_t epoch,
		     int64_t now_us);

/* Side-band. */
void tasks_comm(struct tasks *, uint32_t pid, uint32_t tid, const char *comm, bool exec);
void tasks_fork(struct tasks *, uint32_t pid, uint32_t tid, uint32_t ppid, uint32_t ptid);
void tasks_exit(struct tasks *, uint32_t tid);

/* Side-band records were lost: names are read again where they can be. */
void tasks_doubt(struct tasks *);
/* Nobody is known to wait: after switches were missed. */
void tasks_forget_off(struct tasks *);

#endif
