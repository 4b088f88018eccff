#include "collectors/process/scan.h"

#include "base/cleanup.h"
#include "base/clock.h"
#include "base/metric.h"
#include "base/parse.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/magic.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/vfs.h>
#include <unistd.h>

enum {
	READDIR_MS = 1000,
	PROBE_CLOCK_MAX = 4096, /* new pids to try one by one: 0.15 us each */
	PROBE_OPEN_MAX = 16,	/* the same by open(): 3 us each */
	WHOLE_BIRTHS_MAX = 64,	/* births in a pass of which all files are read at once */
	RESERVED_PIDS = 300,	/* where the kernel goes on after pid_max */
	VFORK_TICKS_MAX = 2
};

static const char *const file_names[N_FILES] = {"stat", "schedstat", "io", "status"};

/* ---- files ---- */

void scan_drop(struct scan *s, int *fd)
{
	if (*fd < 0)
		return;
	close(*fd);
	*fd = -1;
	s->n_fds--;
}

int scan_text(struct scan *s, int *fd, bool keep, const char *path)
{
	int f = *fd;

	if (f < 0) {
		f = openat(s->host->fd[ROOT_PROC], path, O_RDONLY | O_CLOEXEC | O_NOCTTY);
		if (f < 0)
			return errno == ENOENT ? -ESRCH : -errno;
	}
	ssize_t n = pread(f, s->buf, SCAN_BUF, 0);
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

static int read_file(struct scan *s, uint32_t i, enum proc_file which)
{
	struct proc *p = &s->table->proc[i];
	char path[32] = "";

	if (p->fd[which] < 0)
		snprintf(path, sizeof(path), "%d/%s", s->table->hot[i].pid, file_names[which]);
	return scan_text(s, &p->fd[which], true, path);
}

static void drop_files(struct scan *s, struct proc *p)
{
	for (int k = 0; k < N_FILES; k++)
		scan_drop(s, &p->fd[k]);
	for (uint32_t at = p->threads; at; at = s->table->thread[at - 1].next)
		scan_drop(s, &s->table->thread[at - 1].fd);
}

static void forget(struct scan *s, uint32_t i)
{
	drop_files(s, &s->table->proc[i]);
	s->n_io_denied -= s->table->proc[i].io_denied;
	table_remove(s->table, i);
}

/* ---- one process ---- */

/* What all threads of the process have run, ns; -1: there is no such process. */
static int64_t cpu_clock(int32_t pid)
{
	/* As clock_getcpuclockid() makes it, without its system call: scheduler clock of a process.
	 */
	clockid_t id = (clockid_t)(~(uint32_t)pid << 3 | 2);
	struct timespec ts;

	if (clock_gettime(id, &ts))
		return -1;
	return (int64_t)ts.tv_sec * 1000000000 + ts.tv_nsec;
}

/* -ESRCH: gone, also when the pid is another process's now. */
static int read_stat(struct scan *s, uint32_t i, struct proc_stat *st)
{
	int r = read_file(s, i, FILE_STAT);

	if (r < 0)
		return r;
	r = parse_proc_stat(s->buf, (size_t)r, st);
	if (r == 0 && (uint64_t)st->start != s->table->proc[i].start)
		return -ESRCH;
	return r;
}

static int64_t to_ticks(const struct scan *s, int64_t v) /* of 10 ms, whatever USER_HZ is */
{
	return s->host->user_hz == 100 ? v : v * 100 / s->host->user_hz;
}

static void take_stat(const struct scan *s, struct proc *p, const struct proc_stat *st, int64_t *v)
{
	v[V_UTIME] = to_ticks(s, st->utime);
	v[V_STIME] = to_ticks(s, st->stime);
	v[V_MINFLT] = st->minflt;
	v[V_MAJFLT] = st->majflt;
	v[V_RSS] = st->rss * s->host->page_size / 1024;
	v[V_VSIZE] = (int64_t)((uint64_t)st->vsize / 1024);
	v[V_THREADS] = st->threads;
	v[V_STATE] = st->state == STATE_NONE ? VALUE_ABSENT : st->state;
	v[V_PRIORITY] = st->priority;
	v[V_NICE] = st->nice;
	v[V_PROCESSOR] = st->processor;
	v[V_PPID] = st->ppid;
	v[V_START_TIME] = to_ticks(s, st->start) * 10;
	if (p->exec_mark != st->exec_mark || p->comm_len != st->comm_len ||
	    memcmp(p->comm, st->comm, st->comm_len) != 0) {
		memcpy(p->comm, st->comm, st->comm_len);
		p->comm_len = st->comm_len;
		p->exec_mark = st->exec_mark;
		p->comm_changed = true;
	}
	p->flags = st->flags;
}

/*
 * Reading io waits while the process is in the middle of an execve, and that waits for the lock of
 * the old memory map, which a child of vfork shares with its parent: somebody else may hold it for
 * long. Such a child sleeps uninterruptibly, has its parent's memory and name, and has hardly run.
 */
static bool may_hang_in_exec(const struct scan *s, const struct proc *p, const struct proc_stat *st)
{
	uint32_t parent;

	if (st->state != 2 || st->threads != 1 || st->utime + st->stime > VFORK_TICKS_MAX)
		return false;
	parent = table_find(s->table, (int32_t)st->ppid);
	if (parent == NO_ENTRY)
		return false;
	const struct proc *q = &s->table->proc[parent];

	return q->v[V_VSIZE] == (int64_t)((uint64_t)st->vsize / 1024) &&
	       q->comm_len == p->comm_len && memcmp(q->comm, p->comm, p->comm_len) == 0;
}

static void read_io(struct scan *s, uint32_t i, bool due, int64_t *v)
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

static void read_status(struct scan *s, uint32_t i, int64_t *v)
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

/* Everything but stat, which is at hand. `clock_ns` < 0 without the clock. */
static void read_rest(struct scan *s, uint32_t i, const struct proc_stat *st, int64_t clock_ns,
		      bool due)
{
	struct proc *p = &s->table->proc[i];
	struct hot *h = &s->table->hot[i];
	int64_t v[N_VALUES];
	int r;

	memcpy(v, p->v, sizeof(v));
	take_stat(s, p, st, v);
	h->again = false;
	if (clock_ns >= 0)
		v[V_CPU] = clock_ns;
	r = threads_update(s, i, (uint32_t)st->threads, v);
	if (r == -EAGAIN)
		h->again = true;
	else if (r < 0 && clock_ns < 0) /* a kernel without schedstat */
		v[V_CPU] = (st->utime + st->stime) * (1000000000 / s->host->user_hz);
	if (!may_hang_in_exec(s, p, st))
		read_io(s, i, due, v);
	read_status(s, i, v);
	h->clock_ns = clock_ns;
	table_update(s->table, i, v);
}

/* Of a newborn among many only what identifies it; the rest follows in the next pass if it lives.
 */
static void read_stat_only(struct scan *s, uint32_t i, const struct proc_stat *st, int64_t clock_ns)
{
	struct proc *p = &s->table->proc[i];
	int64_t v[N_VALUES];

	memcpy(v, p->v, sizeof(v));
	take_stat(s, p, st, v);
	if (clock_ns >= 0)
		v[V_CPU] = clock_ns;
	table_update(s->table, i, v);
}

/* Does stat itself show that the process did something since it was last read? */
static bool stat_moved(const struct scan *s, const struct proc *p, const struct proc_stat *st)
{
	const int64_t *v = p->v;

	return st->state == 0 || v[V_UTIME] != to_ticks(s, st->utime) ||
	       v[V_STIME] != to_ticks(s, st->stime) || v[V_MINFLT] != st->minflt ||
	       v[V_MAJFLT] != st->majflt || v[V_STATE] != st->state ||
	       v[V_THREADS] != st->threads || v[V_RSS] != st->rss * s->host->page_size / 1024 ||
	       v[V_VSIZE] != (int64_t)((uint64_t)st->vsize / 1024) || v[V_NICE] != st->nice ||
	       v[V_PRIORITY] != st->priority || v[V_PROCESSOR] != st->processor ||
	       v[V_PPID] != st->ppid || p->comm_len != st->comm_len ||
	       memcmp(p->comm, st->comm, st->comm_len) != 0;
}

/* ---- births ---- */

/* Takes pid up if it is a process that is not followed yet. */
static void note_birth(struct scan *s, int32_t pid, uint32_t *n_born)
{
	struct table *t = s->table;
	struct proc_stat st;
	char path[32];
	int fd = -1, r;

	snprintf(path, sizeof(path), "%d/stat", pid);
	r = scan_text(s, &fd, true, path);
	if (r >= 0)
		r = parse_proc_stat(s->buf, (size_t)r, &st);
	uint32_t i = r == 0 && st.exit_signal != -1
			     ? table_add(t, pid, (uint64_t)st.start, s->started)
			     : NO_ENTRY;

	if (i == NO_ENTRY) {
		scan_drop(s, &fd);
		return;
	}
	t->proc[i].fd[FILE_STAT] = fd;
	int64_t ns = s->clocked ? cpu_clock(pid) : -1;

	if (++*n_born <= WHOLE_BIRTHS_MAX || !s->started)
		read_rest(s, i, &st, ns, true);
	else
		read_stat_only(s, i, &st, ns);
}

/* Reads the whole folder. Without the clock, what it does not list is gone. */
static int read_folder(struct scan *s, uint32_t *n_born)
{
	_Alignas(struct dirent64) char buf[16384];
	struct table *t = s->table;
	long n;

	s->readdir_ms = t->now_ms;
	if (lseek(s->dir_fd, 0, SEEK_SET) < 0)
		return -errno;
	while ((n = syscall(SYS_getdents64, s->dir_fd, buf, sizeof(buf))) > 0)
		for (long at = 0; at < n;) {
			const struct dirent64 *d = (const void *)(buf + at);
			const char *q = d->d_name;
			int64_t pid;

			at += d->d_reclen;
			if (!parse_is_digit(*q) || !parse_i64(&q, &pid) || *q || pid <= 0 ||
			    pid > INT32_MAX)
				continue;
			uint32_t i = table_find(t, (int32_t)pid);

			if (i == NO_ENTRY) {
				note_birth(s, (int32_t)pid, n_born);
				i = table_find(t, (int32_t)pid);
			}
			if (i != NO_ENTRY)
				t->proc[i].listed_tick = t->tick;
		}
	if (n < 0)
		return -errno;
	for (uint32_t i = 0; !s->clocked && i < t->high; i++)
		if (t->hot[i].pid && t->proc[i].listed_tick != t->tick)
			forget(s, i);
	return 0;
}

static int find_births(struct scan *s)
{
	struct table *t = s->table;
	int64_t tasks, last, from = s->last_pid + 1;
	uint32_t n_born = 0;
	int r = kept_read(&s->loadavg, t->tick);

	if (r == 0)
		r = parse_loadavg(s->loadavg.data, &tasks, &last);
	if (r < 0)
		return r;
	int64_t passed = last - s->last_pid;

	if (s->last_pid < 0)
		passed = 0;
	else if (passed < 0)
		passed += s->pid_max - RESERVED_PIDS;
	s->task_births += passed > 0 ? passed : 0;
	if (s->last_pid < 0)
		s->first_tasks = tasks;
	int64_t exits = s->task_births - (tasks - s->first_tasks);

	if (exits > s->task_exits)
		s->task_exits = exits;
	s->last_pid = last;
	int64_t probe_max = s->clocked ? PROBE_CLOCK_MAX : PROBE_OPEN_MAX;

	if (!s->started || s->foreign || last < from - 1 || last - from >= probe_max ||
	    t->now_ms - s->readdir_ms >= READDIR_MS)
		return read_folder(s, &n_born);
	for (int64_t pid = from; pid <= last; pid++)
		if (table_find(t, (int32_t)pid) == NO_ENTRY &&
		    (!s->clocked || cpu_clock((int32_t)pid) >= 0))
			note_birth(s, (int32_t)pid, &n_born);
	return 0;
}

/* ---- the pass ---- */

static void look(struct scan *s, uint32_t i, bool due)
{
	struct table *t = s->table;
	struct hot *h = &t->hot[i];
	struct proc *p = &t->proc[i];
	int32_t pid = h->pid;
	struct proc_stat st;
	int64_t ns = -1;
	bool moved;
	int r;

	if (s->clocked) {
		ns = cpu_clock(pid);
		moved = ns != h->clock_ns || h->again;
		if (ns >= 0 && !moved && !due)
			return;
		r = ns < 0 ? -ESRCH : read_stat(s, i, &st);
	} else {
		r = read_stat(s, i, &st);
		moved = r == 0 && (h->again || stat_moved(s, p, &st));
	}
	if (r == -ESRCH) {
		uint32_t n_born = 0;

		forget(s, i);
		if (!s->clocked || ns >= 0) /* the pid may be somebody else's already */
			note_birth(s, pid, &n_born);
		return;
	}
	if (r < 0 || (!moved && !due))
		return;
	read_rest(s, i, &st, ns, due);
	if (!moved && p->slot < 0 && s->n_fds > s->max_fds / 8 * 7)
		drop_files(s, p); /* room for those that move */
}

int scan_pass(struct scan *s, uint64_t now_ms)
{
	struct table *t = s->table;
	uint64_t gone_ms = now_ms - s->last_ms;

	table_begin(t, now_ms);
	s->last_ms = now_ms;
	s->n_reads = 0;
	uint32_t n = t->high, span;

	span = gone_ms >= SCAN_ROTATION_MS ? n : (uint32_t)(n * gone_ms / SCAN_ROTATION_MS) + 1;
	if (s->cursor >= n)
		s->cursor = 0;
	for (uint32_t i = 0; i < n; i++) {
		uint32_t ahead = i >= s->cursor ? i - s->cursor : i + n - s->cursor;

		if (t->hot[i].pid)
			look(s, i, ahead < span);
	}
	s->cursor = n ? (s->cursor + span) % n : 0;
	int r = find_births(s);

	if (r == 0)
		s->started = true;
	return r;
}

/* ---- opening ---- */

/* Is this /proc that of our own pid namespace? Then NSpid names us, once. */
static bool own_namespace(const struct host *h)
{
	_cleanup_close_ int fd = host_file(h, ROOT_PROC, "self/status");
	char buf[8192];
	ssize_t n = fd < 0 ? -1 : read(fd, buf, sizeof(buf) - 1);
	const char *p;
	int64_t pid;

	if (n <= 0)
		return false;
	buf[n] = 0;
	p = strstr(buf, "\nNSpid:");
	if (!p)
		return false;
	p += strlen("\nNSpid:");
	return parse_i64(&p, &pid) && pid == getpid() && *parse_blank(p) == '\n';
}

static uint32_t raise_fd_limit(void)
{
	struct rlimit lim;

	if (getrlimit(RLIMIT_NOFILE, &lim))
		return 0;
	if (lim.rlim_cur < lim.rlim_max) {
		struct rlimit high = {lim.rlim_max, lim.rlim_max};

		if (setrlimit(RLIMIT_NOFILE, &high) == 0)
			lim = high;
	}
	if (lim.rlim_cur / 2 > N_FILES * PROCS_MAX)
		return N_FILES * PROCS_MAX;
	return (uint32_t)(lim.rlim_cur / 2);
}

static int64_t read_pid_max(const struct host *h)
{
	_cleanup_close_ int fd = host_file(h, ROOT_PROC, "sys/kernel/pid_max");
	char buf[32];
	ssize_t n = fd < 0 ? -1 : read(fd, buf, sizeof(buf) - 1);
	const char *p = buf;
	int64_t v;

	buf[n > 0 ? n : 0] = 0;
	return parse_i64(&p, &v) && v > RESERVED_PIDS ? v : 32768;
}

int scan_open(struct scan *s, struct table *t, const struct host *h, bool use_clock)
{
	struct statfs fs;
	int r;

	s->host = h;
	s->table = t;
	s->last_pid = -1;
	s->dir_fd = openat(h->fd[ROOT_PROC], ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (s->dir_fd < 0)
		return -errno;
	bool real = fstatfs(s->dir_fd, &fs) == 0 && fs.f_type == PROC_SUPER_MAGIC;
	bool own = real && own_namespace(h);

	s->foreign = real && !own;
	s->clocked = use_clock && own && cpu_clock(getpid()) >= 0;
	s->max_fds = raise_fd_limit();
	s->pid_max = read_pid_max(h);
	r = kept_open(&s->loadavg, h, ROOT_PROC, "loadavg");
	if (r < 0)
		return r;
	return scan_pass(s, clock_ns(CLOCK_MONOTONIC) / 1000000);
}

void scan_close(struct scan *s)
{
	if (!s->table)
		return;
	for (uint32_t i = 0; i < s->table->high; i++)
		if (s->table->hot[i].pid)
			drop_files(s, &s->table->proc[i]);
	kept_close(&s->loadavg);
	if (s->dir_fd >= 0)
		close(s->dir_fd);
	*s = (struct scan){.dir_fd = -1};
}
