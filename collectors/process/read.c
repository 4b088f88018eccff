#include "collectors/process/read.h"

#include "base/metric.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

enum { RUNNING = 0, VFORK_CPU_NS = 20000000, VFORK_MS = 10000, LITTLE_NS = 1000000 };

static const char *const file_names[N_FILES] = {"stat", "schedstat", "io", "status"};

/* ---- files ---- */

void procfs_drop(struct procfs *s, int *fd)
{
	if (*fd < 0)
		return;
	close(*fd);
	*fd = -1;
	s->n_fds--;
}

int procfs_read(struct procfs *s, int *fd, bool keep, const char *path)
{
	int f = *fd;

	if (f < 0) {
		f = openat(s->host->fd[ROOT_PROC], path, O_RDONLY | O_CLOEXEC | O_NOCTTY);
		if (f < 0)
			return errno == ENOENT ? -ESRCH : -errno;
	}
	ssize_t n = pread(f, s->buf, PROCFS_BUF, 0);
	int r = n < 0 ? -errno : (int)n;

	s->n_reads++;
	s->buf[n > 0 ? n : 0] = 0;
	if (*fd >= 0)
		return r;
	if (r >= 0 && keep && s->n_fds < s->max_fds) {
		*fd = f;
		s->n_fds++;
	} else {
		close(f);
	}
	return r;
}

static int read_file(struct procfs *s, uint32_t i, enum proc_file which)
{
	struct proc *p = &s->table->proc[i];
	char path[32] = "";

	if (p->fd[which] < 0)
		snprintf(path, sizeof(path), "%d/%s", s->table->hot[i].pid, file_names[which]);
	return procfs_read(s, &p->fd[which], true, path);
}

void read_drop_files(struct procfs *s, struct proc *p)
{
	for (int k = 0; k < N_FILES; k++)
		procfs_drop(s, &p->fd[k]);
	for (uint32_t at = p->threads; at; at = s->table->thread[at - 1].next)
		procfs_drop(s, &s->table->thread[at - 1].fd);
}

/* ---- one process ---- */

/* As clock_getcpuclockid() makes them, without its system call: scheduler clocks. */
enum { CLOCK_OF_PROCESS = 2, CLOCK_OF_THREAD = 6 };

static int64_t cpu_clock(int32_t id, uint32_t kind)
{
	struct timespec ts;

	if (clock_gettime((clockid_t)(~(uint32_t)id << 3 | kind), &ts))
		return -1;
	return (int64_t)ts.tv_sec * 1000000000 + ts.tv_nsec;
}

int64_t read_clock(int32_t pid)
{
	return cpu_clock(pid, CLOCK_OF_PROCESS);
}

int64_t read_thread_clock(int32_t tid)
{
	return cpu_clock(tid, CLOCK_OF_THREAD);
}

static bool about(int64_t a, int64_t b)
{
	return a >= 0 && b >= 0 && a - b < b / 8 && b - a < b / 8; /* negative: not known */
}

/* Memory of about the size of its parent's: perhaps the parent's own. */
static bool like_parent(const struct procs *t, int64_t ppid, int64_t vsize_kb)
{
	uint32_t parent = procs_find(t, (int32_t)ppid);

	return parent != NO_ENTRY && about(vsize_kb, t->proc[parent].v[V_VSIZE]);
}

bool read_would_wait(struct procfs *s, int32_t pid, int *status_fd)
{
	struct proc_peek peek;
	char path[32];

	snprintf(path, sizeof(path), "%d/status", pid);
	if (procfs_read(s, status_fd, true, path) < 0 || parse_proc_peek(s->buf, &peek))
		return false;
	return peek.state == 'D' && peek.threads == 1 &&
	       (!s->clocked || read_clock(pid) < VFORK_CPU_NS) &&
	       like_parent(s->table, peek.ppid, peek.vsize_kb);
}

int read_stat(struct procfs *s, uint32_t i, struct proc_stat *st)
{
	int r = read_file(s, i, FILE_STAT);

	if (r < 0)
		return r;
	r = parse_proc_stat(s->buf, (size_t)r, st);
	if (r == 0 && (uint64_t)st->start != s->table->proc[i].start)
		return -ESRCH;
	return r;
}

static int64_t to_ticks(const struct procfs *s, int64_t v) /* of 10 ms, whatever USER_HZ is */
{
	return s->host->user_hz == 100 ? v
				       : (int64_t)((uint64_t)v * 100 / (uint64_t)s->host->user_hz);
}

static int64_t rss_kb(const struct procfs *s, const struct proc_stat *st)
{
	return (int64_t)((uint64_t)st->rss * (uint64_t)s->host->page_size / 1024);
}

static void take_stat(const struct procfs *s, struct proc *p, const struct proc_stat *st,
		      int64_t *v)
{
	v[V_UTIME] = to_ticks(s, st->utime);
	v[V_STIME] = to_ticks(s, st->stime);
	v[V_MINFLT] = st->minflt;
	v[V_MAJFLT] = st->majflt;
	v[V_RSS] = rss_kb(s, st);
	v[V_VSIZE] = (int64_t)((uint64_t)st->vsize / 1024);
	v[V_THREADS] = st->threads;
	v[V_STATE] = st->state == STATE_NONE ? VALUE_ABSENT : st->state;
	v[V_PRIORITY] = st->priority;
	v[V_NICE] = st->nice;
	v[V_PROCESSOR] = st->processor;
	v[V_PPID] = st->ppid;
	v[V_START_TIME] = (int64_t)((uint64_t)to_ticks(s, st->start) * 10);
	if (p->exec_mark != st->exec_mark || p->comm_len != st->comm_len ||
	    memcmp(p->comm, st->comm, st->comm_len) != 0) {
		memcpy(p->comm, st->comm, st->comm_len);
		p->comm_len = st->comm_len;
		p->exec_mark = st->exec_mark;
		p->comm_changed = true;
	}
	p->flags = st->flags;
	/* Read without waiting at this age: it is no child of vfork on its way to execve. */
	p->guarded = s->table->now_ms - p->added_ms < VFORK_MS && st->threads == 1 &&
		     v[V_CPU] < VFORK_CPU_NS && like_parent(s->table, st->ppid, v[V_VSIZE]);
}

static void read_io(struct procfs *s, uint32_t i, bool due, int64_t *v)
{
	struct proc *p = &s->table->proc[i];
	struct proc_io io;

	if (p->io_denied && !due)
		return;
	int r = read_file(s, i, FILE_IO);

	if (r >= 0)
		r = parse_proc_io(s->buf, &io);
	bool denied = r == -EACCES || r == -EPERM;

	s->n_io_denied += (uint32_t)denied - (uint32_t)p->io_denied;
	p->io_denied = denied;
	if (r < 0)
		io = (struct proc_io){VALUE_ABSENT, VALUE_ABSENT, VALUE_ABSENT, VALUE_ABSENT,
				      VALUE_ABSENT, VALUE_ABSENT, VALUE_ABSENT};
	v[V_RCHAR] = io.rchar;
	v[V_WCHAR] = io.wchar;
	v[V_SYSCR] = io.syscr;
	v[V_SYSCW] = io.syscw;
	v[V_READ_BYTES] = io.read_bytes;
	v[V_WRITE_BYTES] = io.write_bytes;
	v[V_CANCELLED] = io.cancelled_write_bytes;
}

static void read_status(struct procfs *s, uint32_t i, int64_t *v)
{
	struct proc *p = &s->table->proc[i];
	struct proc_status st;

	if (read_file(s, i, FILE_STATUS) < 0 || parse_proc_status(s->buf, &st))
		st = (struct proc_status){VALUE_ABSENT, VALUE_ABSENT, VALUE_ABSENT, VALUE_ABSENT};
	v[V_SWAP] = st.swap_kb;
	v[V_VCTXSW] = st.vctxsw;
	v[V_NVCTXSW] = st.nvctxsw;
	if (st.uid != VALUE_ABSENT && st.uid != p->uid) {
		p->uid = st.uid;
		p->comm_changed = true;
	}
}

void read_all(struct procfs *s, uint32_t i, const struct proc_stat *st, int64_t clock_ns, bool due)
{
	struct proc *p = &s->table->proc[i];
	struct hot *h = &s->table->hot[i];
	int64_t v[N_VALUES], leader[3];
	int r;

	memcpy(v, p->v, sizeof(v));
	memcpy(leader, p->leader, sizeof(leader));
	take_stat(s, p, st, v);
	h->again = false;
	if (clock_ns >= 0)
		v[V_CPU] = clock_ns;
	r = threads_update(s, i, (uint32_t)st->threads, clock_ns, due, v);
	if (r == -EAGAIN)
		h->again = true;
	else if (r < 0 && clock_ns < 0) /* a kernel without schedstat */
		v[V_CPU] = (int64_t)(((uint64_t)v[V_UTIME] + (uint64_t)v[V_STIME]) * 10000000);
	read_io(s, i, due, v);
	/* Its switches are the main thread's, and its user changes with that one too. */
	if (due || r < 0 || memcmp(leader, p->leader, sizeof(leader)) != 0 ||
	    v[V_RSS] != p->v[V_RSS] || v[V_VCTXSW] == VALUE_ABSENT)
		read_status(s, i, v);
	h->clock_ns = p->whole_ns = clock_ns;
	p->behind = false;
	procs_update(s->table, i, v);
}

bool read_runs(struct procfs *s, uint32_t i, int64_t clock_ns)
{
	struct proc *p = &s->table->proc[i];
	struct hot *h = &s->table->hot[i];
	int64_t v[N_VALUES];

	if (clock_ns < h->clock_ns || clock_ns - p->whole_ns >= LITTLE_NS)
		return false;
	memcpy(v, p->v, sizeof(v));
	v[V_CPU] = clock_ns;
	if (threads_update(s, i, 1, clock_ns, false, v))
		return false;
	h->clock_ns = clock_ns;
	p->behind = true;
	procs_update(s->table, i, v);
	return true;
}

void read_idle(struct procfs *s, uint32_t i, const struct proc_stat *st)
{
	struct proc *p = &s->table->proc[i];
	int64_t v[N_VALUES];

	memcpy(v, p->v, sizeof(v));
	take_stat(s, p, st, v);
	if (v[V_RSS] != p->v[V_RSS])
		read_status(s, i, v);
	procs_update(s->table, i, v);
}

void read_some(struct procfs *s, uint32_t i, const struct proc_stat *st, int64_t clock_ns)
{
	struct proc *p = &s->table->proc[i];
	int64_t v[N_VALUES];

	memcpy(v, p->v, sizeof(v));
	take_stat(s, p, st, v);
	if (clock_ns >= 0)
		v[V_CPU] = clock_ns;
	procs_update(s->table, i, v);
}

bool read_stat_moved(const struct procfs *s, const struct proc *p, const struct proc_stat *st)
{
	const int64_t *v = p->v;

	return st->state == RUNNING || v[V_UTIME] != to_ticks(s, st->utime) ||
	       v[V_STIME] != to_ticks(s, st->stime) || v[V_MINFLT] != st->minflt ||
	       v[V_MAJFLT] != st->majflt || v[V_STATE] != st->state ||
	       v[V_THREADS] != st->threads || v[V_RSS] != rss_kb(s, st) ||
	       v[V_VSIZE] != (int64_t)((uint64_t)st->vsize / 1024) || v[V_NICE] != st->nice ||
	       v[V_PRIORITY] != st->priority || v[V_PROCESSOR] != st->processor ||
	       v[V_PPID] != st->ppid || p->comm_len != st->comm_len ||
	       memcmp(p->comm, st->comm, st->comm_len) != 0;
}
