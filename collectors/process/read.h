/*
 * Reading one process: its files, kept open while there is room, and its CPU clock.
 *
 * Nothing here may wait for the target. schedstat and status take none of its sleeping locks. stat
 * (on kernels of 2025) and io take the one of execve, and a child of vfork that executes a program
 * holds it while it waits for the memory map that it shares with its parent, for as long as
 * somebody holds that: read_would_wait() knows such a child by its status.
 */
#ifndef STROBE_COLLECTORS_PROCESS_READ_H
#define STROBE_COLLECTORS_PROCESS_READ_H

#include "collectors/process/procfs.h"

/* Reads a file through *fd (opened if -1, kept if `keep` and there is room) into s->buf, NUL-ended.
 * The length, -ESRCH when the process is gone, or another -errno. procfs_drop closes it. */
int procfs_read(struct procfs *, int *fd, bool keep, const char *path);
void procfs_drop(struct procfs *, int *fd);

/* Closes what is kept of an entry and its threads. */
void read_drop_files(struct procfs *, struct proc *);

/* What all threads of the process have run, ns; -1: there is no such process. */
int64_t read_clock(int32_t pid);
/* The same of a thread of this process, ns; -1: there is none. */
int64_t read_thread_clock(int32_t tid);

/* Is the process, young and with memory like its parent's, asleep where stat and io would wait with
 * it? Reads its status through *status_fd. To be asked before read_stat of a `guarded` or new
 * process. */
bool read_would_wait(struct procfs *, int32_t pid, int *status_fd);

/* stat of entry i. 0; -ESRCH: gone, also when the pid is another process's now; or another
 * -errno. */
int read_stat(struct procfs *, uint32_t i, struct proc_stat *ret);

/* Does stat itself show that the process did something since it was last read? */
bool read_stat_moved(const struct procfs *, const struct proc *, const struct proc_stat *);

/* Reads all files of entry i but stat, which is at hand, and updates it; of threads those that ran,
 * and status, where the main thread's switches stand, if that one ran or memory changed. clock_ns:
 * read_clock() just before, or -1 without the clock. due: it is its turn, so everything is read,
 * also what was refused before. */
void read_all(struct procfs *, uint32_t i, const struct proc_stat *, int64_t clock_ns, bool due);

/* Of a newborn among many only what identifies it; the rest follows in the next pass if it
 * lives. */
void read_some(struct procfs *, uint32_t i, const struct proc_stat *, int64_t clock_ns);

/* Of a kernel thread that ran a little: its runs. False: it must be read whole. */
bool read_runs(struct procfs *, uint32_t i, int64_t clock_ns);

/* Of a process whose clock stood still: stat, and status if its memory changed (nothing else of it
 * can change while it does not run). */
void read_idle(struct procfs *, uint32_t i, const struct proc_stat *);

/* threads.c: brings v[V_RUN_DELAY], v[V_PCOUNT] and, without the clock, v[V_CPU] of entry i up to
 * date; `n` threads as stat has it, clock_ns as for read_all(), due: every thread is read. 0;
 * -EAGAIN: not walked in this pass; or another -errno. */
int threads_update(struct procfs *, uint32_t i, uint32_t n, int64_t clock_ns, bool due, int64_t *v);

#endif
