/*
 * Run delay and number of runs of a whole process: /proc/PID/schedstat counts the main thread only,
 * so the others' files are read too, and what a thread had when it was last read stays counted
 * after it ended. A process of many threads is walked less often than every pass (3 ms apart per
 * thread, at least once a second), so that none costs more than about 3 reads per 10 ms.
 *
 * Of the threads only those that ran are read, where that can be known: the process's clock is the
 * sum of its threads' times and of what ended threads had used, so once those that run often are
 * read and the sum has caught up with the clock, to the nanosecond, none of the others has run. What
 * the clock holds besides (threads that ended unread) is learnt from a walk over all in which the
 * clock stood still. Of the agent's own threads, one of which runs while this is asked, each has a
 * clock.
 */
#include "collectors/process/read.h"

#include "base/cleanup.h"
#include "base/metric.h"
#include "base/parse.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

enum { EACH_MS = 3, SLOWEST_MS = 900, ALWAYS = 32 };

/* Threads by the number of passes since they ran. */
enum { HOT_PASSES = 3, WARM_PASSES = 24, N_AGES = 3 };

static unsigned age_of(const struct procs *t, const struct thread *th)
{
	uint32_t passes = (uint32_t)t->tick - th->ran;

	return passes <= HOT_PASSES ? 0 : passes <= WARM_PASSES ? 1 : 2;
}

/* now[] replaces last[]. A fall (a thread that executed a program takes over the main one's place)
 * keeps the sum. */
static void take(struct proc *p, int64_t *last, const struct proc_schedstat *s)
{
	const int64_t now[3] = {s->cpu_ns, s->delay_ns, s->count};

	for (int k = 0; k < 3; k++) {
		if (now[k] < last[k])
			p->retired[k] += last[k] - now[k];
		last[k] = now[k];
	}
}

static int read_one(struct procfs *s, int *fd, bool keep, const char *path, struct proc *p,
		    int64_t *last)
{
	struct proc_schedstat ss;
	int r = procfs_read(s, fd, keep, path);

	if (r < 0)
		return r;
	r = parse_proc_schedstat(s->buf, &ss);
	if (r == 0)
		take(p, last, &ss);
	return r;
}

static void end_thread(struct procfs *s, struct proc *p, uint32_t *link)
{
	struct procs *t = s->table;
	uint32_t at = *link;
	struct thread *th = &t->thread[at - 1];

	for (int k = 0; k < 3; k++)
		p->retired[k] += th->last[k];
	procfs_drop(s, &th->fd);
	*link = th->next;
	p->n_threads--;
	procs_thread_free(t, at);
}

static int read_thread(struct procfs *s, int32_t pid, struct proc *p, struct thread *th)
{
	bool keep = s->n_fds < s->max_fds / 4 * 3;
	int64_t was = th->last[0];
	char path[64] = "";

	if (pid == s->own_pid && th->fd >= 0 && read_thread_clock(th->tid) == was)
		return 0;
	if (th->fd < 0)
		snprintf(path, sizeof(path), "%d/task/%d/schedstat", pid, th->tid);
	int r = read_one(s, &th->fd, keep, path, p, th->last);

	if (th->last[0] != was)
		th->ran = (uint32_t)s->table->tick;
	return r;
}

/* Marks tid as there, adding it at *end when it is new. `from` is where the list is expected to go
 * on: the folder has the order of the list. */
static void note_thread(struct procfs *s, int32_t pid, struct proc *p, int32_t tid, uint32_t seen,
			uint32_t **from)
{
	struct procs *t = s->table;
	uint32_t *link;

	for (int pass = 0; pass < 2; pass++) {
		link = pass ? &p->threads : *from;
		for (; *link; link = &t->thread[*link - 1].next)
			if (t->thread[*link - 1].tid == tid)
				break;
		if (*link)
			break;
	}
	if (!*link) {
		*link = procs_thread_new(t, tid);
		if (!*link)
			return;
		p->n_threads++;
		if (read_thread(s, pid, p, &t->thread[*link - 1]) == -ESRCH) {
			end_thread(s, p, link);
			return;
		}
	}
	t->thread[*link - 1].seen = seen;
	*from = &t->thread[*link - 1].next;
}

/* Reads the folder of threads and brings the list in line with it. */
static int list_threads(struct procfs *s, int32_t pid, struct proc *p)
{
	uint32_t seen = (uint32_t)s->table->tick, *from = &p->threads;
	_Alignas(struct dirent64) char buf[8192];
	char path[32];

	snprintf(path, sizeof(path), "%d/task", pid);
	_cleanup_close_ int fd =
		openat(s->host->fd[ROOT_PROC], path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (fd < 0)
		return -errno;
	for (;;) {
		long n = syscall(SYS_getdents64, fd, buf, sizeof(buf));

		if (n <= 0)
			break;
		for (long at = 0; at < n;) {
			const struct dirent64 *d = (const void *)(buf + at);
			const char *q = d->d_name;
			int64_t tid;

			if (parse_i64(&q, &tid) && tid > 0 && tid != pid)
				note_thread(s, pid, p, (int32_t)tid, seen, &from);
			at += d->d_reclen;
		}
	}
	for (uint32_t *link = &p->threads; *link;) {
		struct thread *th = &s->table->thread[*link - 1];

		if (th->seen != seen)
			end_thread(s, p, link);
		else
			link = &th->next;
	}
	return 0;
}

static int64_t sum(const struct procfs *s, const struct proc *p, int k)
{
	int64_t v = p->retired[k] + p->leader[k];

	for (uint32_t at = p->threads; at; at = s->table->thread[at - 1].next)
		v += s->table->thread[at - 1].last[k];
	return v;
}

/* Is all that the process ran accounted for by what was read? */
static bool is_accounted(const struct procfs *s, const struct proc *p, int32_t pid)
{
	return p->unheard != UNHEARD_UNKNOWN && read_clock(pid) - sum(s, p, 0) == p->unheard;
}

/* Reads the threads of one age. True: some of them have ended. */
static bool walk_age(struct procfs *s, int32_t pid, struct proc *p, unsigned age)
{
	bool ended = false;

	for (uint32_t *link = &p->threads; *link;) {
		struct thread *th = &s->table->thread[*link - 1];

		if (age_of(s->table, th) == age && read_thread(s, pid, p, th) == -ESRCH) {
			end_thread(s, p, link);
			ended = true;
		} else {
			link = &th->next;
		}
	}
	return ended;
}

/* From the hottest on, as far as needed. */
static int walk(struct procfs *s, uint32_t i, uint32_t n, int64_t clock_ns, bool due)
{
	struct proc *p = &s->table->proc[i];
	int32_t pid = s->table->hot[i].pid;
	bool ended = false;

	if (due || p->n_threads + 1 != n)
		p->unheard = UNHEARD_UNKNOWN;
	for (unsigned age = 0; age < N_AGES; age++) {
		if (!ended && is_accounted(s, p, pid))
			return 0;
		ended |= walk_age(s, pid, p, age);
	}
	if (ended || p->n_threads + 1 != n)
		return list_threads(s, pid, p);
	/* All were read, and nobody ran meanwhile. */
	p->unheard = clock_ns >= 0 && read_clock(pid) == clock_ns ? clock_ns - sum(s, p, 0)
								  : UNHEARD_UNKNOWN;
	return 0;
}

int threads_update(struct procfs *s, uint32_t i, uint32_t n, int64_t clock_ns, bool due, int64_t *v)
{
	struct proc *p = &s->table->proc[i];
	int32_t pid = s->table->hot[i].pid;
	char path[32] = "";
	int r;

	if (n > ALWAYS && s->table->now_ms < p->walk_ms)
		return -EAGAIN;
	uint64_t wait = (uint64_t)n * EACH_MS;

	p->walk_ms = s->table->now_ms + (wait < SLOWEST_MS ? wait : SLOWEST_MS);
	if (p->fd[FILE_SCHEDSTAT] < 0)
		snprintf(path, sizeof(path), "%d/schedstat", pid);
	r = read_one(s, &p->fd[FILE_SCHEDSTAT], true, path, p, p->leader);
	if (r < 0)
		return r;
	if (n > 1 || p->threads)
		walk(s, i, n, clock_ns, due);
	if (!s->clocked)
		v[V_CPU] = sum(s, p, 0);
	v[V_RUN_DELAY] = sum(s, p, 1);
	v[V_PCOUNT] = sum(s, p, 2);
	return 0;
}
