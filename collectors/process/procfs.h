/*
 * Processes from /proc: births, deaths and values, through files that are kept open.
 *
 * Every process is looked at in every pass by a detector; those that moved are read (stat,
 * schedstat, io, status, and schedstat of each thread of a multi-threaded one), and all others in
 * rotation, so that each is read at least once a second.
 *
 * Detectors, and why what they call unmoved may be inferred unchanged
 *  - "cpu-clock": the process's CPU clock (clock_gettime), 0.2 us, unprivileged. It is the sum of
 *    what all its threads, ended ones too, have run, in ns. Equal twice: none has run in between
 *    (but for less than one scheduler tick of a slice that still lasts and is seen in the next
 *    pass). Of a kernel thread that ran for less than a millisecond only that and how often it ran
 *    and waited is read at once (stat, io and status when it is one, or in rotation); of one that
 *    did not run at all only its priority could change, so its turn comes every eighth time. A
 *    process that did not run made no fault, no I/O, no system call, no thread and no
 *    context switch. Not seen until the rotation: what others do to it (pages reclaimed or swapped
 *    out, renice, a changed parent), and that it was woken but still waits for a CPU.
 *  - "stat": stat of each process, 2.6 us, where the clock cannot be asked (the /proc of another
 *    pid namespace, a captured tree). Moved means: other times, faults, threads, state, memory,
 *    priority or CPU, or running. Not seen until the rotation, besides: having run for less than a
 *    clock tick (10 ms) without a fault.
 */
#ifndef STROBE_COLLECTORS_PROCESS_PROCFS_H
#define STROBE_COLLECTORS_PROCESS_PROCFS_H

#include "base/host.h"
#include "collectors/process/procs.h"

enum {
	PROCFS_BUF = 16384, /* a longer status (thousands of groups) loses its last lines */
	PROCFS_ROTATION_MS = 800
};

struct procfs {
	const struct host *host;
	struct procs *table;
	struct kept_file loadavg;
	bool clocked;	 /* the CPU clocks of these processes can be asked */
	int32_t own_pid; /* of which the clock of each thread can be asked; 0: unclocked */
	bool foreign;	 /* loadavg's last pid is not of this /proc's pid namespace */
	int dir_fd;	 /* the proc root, for reading it */
	uint32_t n_fds, max_fds;
	uint32_t n_reads;	/* files read in the newest pass */
	uint32_t cursor, round; /* of the rotation */
	uint32_t n_io_denied;	/* processes whose io may not be read */
	uint64_t last_ms, readdir_ms;
	int64_t last_pid; /* newest pid seen; -1: none yet */
	int64_t pid_max;
	int64_t task_births, task_exits, first_tasks;
	int64_t probed_pid; /* from where on the last pass looked for new ones */
	bool left;	    /* somebody in the folder could not be taken up yet */
	bool started;	    /* the first pass is over: what appears now was born */
	char buf[PROCFS_BUF + 1];
};

/* Chooses the detector (`use_clock` false: "stat" in any case) and opens what each pass reads. The
 * table must be open. 0 or -errno; procfs_close follows either way. */
int procfs_open(struct procfs *, struct procs *, const struct host *, bool use_clock);
void procfs_close(struct procfs *);

/* One pass at `now_ms` (a monotonic clock). 0 or -errno: loadavg or the folder cannot be read. */
int procfs_pass(struct procfs *, uint64_t now_ms);

#endif
