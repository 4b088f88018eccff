/*
 * The processes that are followed: who they are, their newest values, and the account of those that
 * are not instances. Where the numbers come from (procfs.c: /proc) and which processes are shown
 * (select.c) are kept apart by this table: a source adds, updates and removes; the selection reads
 * what was touched in the tick.
 *
 * Invariants
 *  - A process is (pid, start time); an entry's index is given away again after procs_remove, its
 *    `gen` tells the two apart. Entries live in [0, high); low indexes are given away first.
 *  - `v` is in the order of the group's metrics; the first N_COUNTERS are counters.
 *  - What a process that is no instance (slot < 0) adds to a counter is added to `others`, whose
 *    counters therefore never fall and never step when the membership changes.
 *  - procs_open reserves everything as virtual memory; nothing else allocates.
 */
#ifndef STROBE_COLLECTORS_PROCESS_PROCS_H
#define STROBE_COLLECTORS_PROCESS_PROCS_H

#include "collectors/process/parse.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum {
	PROCS_MAX = 32768,	  /* processes followed at once; more are counted as untracked */
	THREADS_MAX = 65536,	  /* threads of multi-threaded processes followed at once */
	PROC_KTHREAD = 0x00200000 /* in flags: a kernel thread */
};
#define NO_ENTRY UINT32_MAX
#define UNHEARD_UNKNOWN INT64_MIN

enum proc_value {
	V_CPU,
	V_RUN_DELAY,
	V_PCOUNT,
	V_UTIME,
	V_STIME,
	V_MINFLT,
	V_MAJFLT,
	V_RCHAR,
	V_WCHAR,
	V_SYSCR,
	V_SYSCW,
	V_READ_BYTES,
	V_WRITE_BYTES,
	V_CANCELLED,
	V_VCTXSW,
	V_NVCTXSW,
	N_COUNTERS,
	V_RSS = N_COUNTERS,
	V_VSIZE,
	V_SWAP,
	V_THREADS,
	V_STATE,
	V_PRIORITY,
	V_NICE,
	V_PROCESSOR,
	V_PPID,
	V_START_TIME,
	N_VALUES
};

enum proc_file { FILE_STAT, FILE_SCHEDSTAT, FILE_IO, FILE_STATUS, N_FILES };

enum attr_state { ATTR_IDLE, ATTR_QUEUED, ATTR_SENT };

/* What every tick looks at for every process: kept small and dense. */
struct hot {
	int64_t clock_ns; /* CPU clock at the last read */
	int32_t pid;	  /* 0: the entry is free */
	bool again;	  /* read it in the next tick whether it moved or not */
};

struct thread {
	int64_t last[3]; /* cpu ns, delay ns, count */
	int32_t tid;	 /* 0: free */
	int fd;		 /* schedstat, or -1 */
	uint32_t next;	 /* index + 1 */
	uint32_t seen;
	uint32_t ran; /* pass in which it was last found to have run */
};

struct proc {
	int64_t v[N_VALUES];
	uint64_t start; /* clock ticks since boot */
	uint64_t gen;
	uint64_t read_tick, listed_tick; /* passes of the last update and listing */
	uint64_t score_ms, attr_ms, member_ms, added_ms;
	double score; /* recent activity, ns of CPU: halves every 4 s */
	int64_t exec_mark, uid, flags;
	int64_t leader[3], retired[3]; /* schedstat of the main thread; of threads that ended */
	int64_t unheard;  /* CPU clock - what leader, retired and threads say; or UNHEARD_UNKNOWN */
	int64_t whole_ns; /* CPU clock when all files were read */
	uint64_t walk_ms; /* threads are read again from then on */
	uint32_t threads, n_threads; /* list of the threads but the first: index + 1 of its head */
	uint32_t based;		     /* counters that had a value once, as bits */
	int32_t slot;		     /* row in the batch; -1: counted in others */
	int fd[N_FILES];
	uint32_t comm_len;
	bool born;	   /* began while watched: its counters began at 0 */
	bool ran;	   /* since its attributes were asked for */
	bool behind;	   /* ran since all files were read */
	bool guarded;	   /* may be a child of vfork yet: read_would_wait() is asked first */
	bool io_denied;	   /* its io may not be read */
	bool comm_changed; /* or executed another program, or its user changed */
	uint8_t attr_state;
	char comm[COMM_MAX];
};

struct others {
	int64_t v[N_COUNTERS];
	int64_t rss_kb, count;
};

struct procs {
	struct hot *hot;
	struct proc *proc;
	struct thread *thread;
	uint32_t *hash;	 /* by pid: index + 1 */
	uint32_t *read;	 /* entries updated in this tick, each once */
	uint32_t *ended; /* slots whose process ended in this tick */
	uint64_t *used;	 /* bit per entry */
	uint32_t n_read, n_ended, high, n, hint, thread_hint;
	uint64_t tick, now_ms, gen;
	struct others others;
	uint64_t births, exits, n_untracked;
	void *map;
	size_t map_len;
};

/* 0 or -ENOMEM. procs_close takes a zeroed one too; fds in entries are not its business. */
int procs_open(struct procs *);
void procs_close(struct procs *);

/* Before a pass: clears the lists. */
void procs_begin(struct procs *, uint64_t now_ms);

/* The entry of pid, or NO_ENTRY. */
uint32_t procs_find(const struct procs *, int32_t pid);

/* A new process, with all values VALUE_ABSENT and no files; `born`: it began while watched.
 * NO_ENTRY: the table is full (counted in n_untracked). */
uint32_t procs_add(struct procs *, int32_t pid, uint64_t start, bool born);

/* New values of an entry, N_VALUES of them, taken in this tick. */
void procs_update(struct procs *, uint32_t i, const int64_t *v);

/* The process is gone. */
void procs_remove(struct procs *, uint32_t i);

/* Recent activity as of now. */
double procs_score(const struct procs *, const struct proc *);

/* Makes the entry an instance (slot >= 0) or one of the others (-1). */
void procs_set_slot(struct procs *, uint32_t i, int32_t slot);

/* A free thread entry for tid (index + 1), or 0 when there is none; and back. */
uint32_t procs_thread_new(struct procs *, int32_t tid);
void procs_thread_free(struct procs *, uint32_t at);

/* Identifies (pid, start time) in the log. */
static inline uint64_t proc_id(int32_t pid, uint64_t start)
{
	return start << 22 | (uint32_t)pid;
}

#endif
