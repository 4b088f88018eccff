#include "collectors/process/procfs.h"

#include "base/cleanup.h"
#include "base/clock.h"
#include "base/metric.h"
#include "base/parse.h"
#include "collectors/process/read.h"

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
	READDIR_SELDOM_MS = 4000, /* where every new pid is asked for by its clock */
	KTHREAD_ROUNDS = 8,	  /* in one of so many it is the turn of an idle one */
	PROBE_CLOCK_MAX = 4096,	  /* new pids to try one by one: 0.15 us each */
	PROBE_OPEN_MAX = 16,	  /* the same by open(): 3 us each */
	WHOLE_BIRTHS_MAX = 64,	  /* births in a pass of which all files are read at once */
	FDS_MAX = 65536,	  /* half of them are for the files of 8,000 processes */
	FDS_OTHERS = 192,	  /* left for the rest of the agent */
	RESERVED_PIDS = 300	  /* where the kernel goes on after pid_max */
};

static void forget(struct procfs *s, uint32_t i)
{
	read_drop_files(s, &s->table->proc[i]);
	s->n_io_denied -= s->table->proc[i].io_denied;
	procs_remove(s->table, i);
}

/* ---- births ---- */

/* Takes pid up if it is a process that is not followed yet. One that cannot be read without waiting
 * is left to the next reading of the folder, which is soon then. */
static void note_birth(struct procfs *s, int32_t pid, uint32_t *n_born)
{
	struct procs *t = s->table;
	struct proc_stat st;
	char path[32];
	int fd = -1, status_fd = -1, r = -EAGAIN;

	if (!read_would_wait(s, pid, &status_fd)) {
		snprintf(path, sizeof(path), "%d/stat", pid);
		r = procfs_read(s, &fd, true, path);
	}
	s->left |= r == -EAGAIN;
	if (r >= 0)
		r = parse_proc_stat(s->buf, (size_t)r, &st);
	uint32_t i = r == 0 && st.exit_signal != -1
			     ? procs_add(t, pid, (uint64_t)st.start, s->started)
			     : NO_ENTRY;

	if (i == NO_ENTRY) {
		procfs_drop(s, &fd);
		procfs_drop(s, &status_fd);
		return;
	}
	t->proc[i].fd[FILE_STAT] = fd;
	t->proc[i].fd[FILE_STATUS] = status_fd;
	int64_t ns = s->clocked ? read_clock(pid) : -1;

	if (++*n_born <= WHOLE_BIRTHS_MAX || !s->started)
		read_all(s, i, &st, ns, true);
	else
		read_some(s, i, &st, ns);
}

/* Reads the whole folder. Without the clock, what it does not list is gone. */
static int read_folder(struct procfs *s, uint32_t *n_born)
{
	_Alignas(struct dirent64) char buf[16384];
	struct procs *t = s->table;
	long n;

	s->readdir_ms = t->now_ms;
	s->left = false;
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
			uint32_t i = procs_find(t, (int32_t)pid);

			if (i == NO_ENTRY) {
				note_birth(s, (int32_t)pid, n_born);
				i = procs_find(t, (int32_t)pid);
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

static int find_births(struct procfs *s)
{
	struct procs *t = s->table;
	int64_t tasks, last, from = s->clocked ? s->probed_pid : s->last_pid + 1;
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
	/* What is being forked has its number already, and is not there yet: it is asked for twice. */
	s->probed_pid = s->last_pid < 0 ? last + 1 : s->last_pid + 1;
	s->last_pid = last;
	uint32_t readdir_ms = s->clocked && !s->left ? READDIR_SELDOM_MS : READDIR_MS;
	int64_t probe_max = s->clocked ? PROBE_CLOCK_MAX : PROBE_OPEN_MAX;

	if (!s->started || s->foreign || last < from - 1 || last - from >= probe_max ||
	    t->now_ms - s->readdir_ms >= readdir_ms)
		return read_folder(s, &n_born);
	for (int64_t pid = from; pid <= last; pid++)
		if (procs_find(t, (int32_t)pid) == NO_ENTRY &&
		    (!s->clocked || read_clock((int32_t)pid) >= 0))
			note_birth(s, (int32_t)pid, &n_born);
	return 0;
}

/* ---- the pass ---- */

/* Is entry i a kernel thread of which there is no more to read in this pass? */
static bool kthread_can_wait(struct procfs *s, uint32_t i, int64_t ns, bool due)
{
	const struct proc *p = &s->table->proc[i];
	const struct hot *h = &s->table->hot[i];

	if (!s->clocked || !(p->flags & PROC_KTHREAD) || h->again)
		return false;
	if (!due)
		return read_runs(s, i, ns);
	return ns == h->clock_ns && !p->behind && (s->round + i) % KTHREAD_ROUNDS;
}

static void look(struct procfs *s, uint32_t i, bool due)
{
	struct procs *t = s->table;
	struct hot *h = &t->hot[i];
	struct proc *p = &t->proc[i];
	int32_t pid = h->pid;
	struct proc_stat st;
	int64_t ns = s->clocked ? read_clock(pid) : -1;
	bool moved = ns != h->clock_ns || h->again;
	int r = s->clocked && ns < 0 ? -ESRCH : 0;

	if (s->clocked && r == 0 && !moved && !due)
		return;
	if (r == 0 && kthread_can_wait(s, i, ns, due))
		return;
	if (r == 0 && p->guarded && (moved || !s->clocked) &&
	    read_would_wait(s, pid, &p->fd[FILE_STATUS])) {
		h->again = true;
		return;
	}
	if (r == 0)
		r = read_stat(s, i, &st);
	if (!s->clocked)
		moved = r == 0 && (h->again || read_stat_moved(s, p, &st));
	if (r == -ESRCH) {
		uint32_t n_born = 0;

		forget(s, i);
		if (!s->clocked || ns >= 0) /* the pid may be somebody else's already */
			note_birth(s, pid, &n_born);
		return;
	}
	if (r < 0 || (!moved && !due))
		return;
	if (moved || p->behind || !s->clocked)
		read_all(s, i, &st, ns, due);
	else
		read_idle(s, i, &st);
	if (!moved && p->slot < 0 && s->n_fds > s->max_fds / 8 * 7)
		read_drop_files(s, p); /* room for those that move */
}

int procfs_pass(struct procfs *s, uint64_t now_ms)
{
	struct procs *t = s->table;
	uint64_t gone_ms = now_ms - s->last_ms;

	procs_begin(t, now_ms);
	s->last_ms = now_ms;
	s->n_reads = 0;
	uint32_t n = t->high, span;

	span = gone_ms >= PROCFS_ROTATION_MS ? n : (uint32_t)(n * gone_ms / PROCFS_ROTATION_MS) + 1;
	if (s->cursor >= n)
		s->cursor = 0;
	for (uint32_t i = 0; i < n; i++) {
		uint32_t ahead = i >= s->cursor ? i - s->cursor : i + n - s->cursor;

		if (t->hot[i].pid)
			look(s, i, ahead < span);
	}
	s->cursor += span;
	if (s->cursor >= n) {
		s->cursor = n ? s->cursor % n : 0;
		s->round++;
	}
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

/* Half of what this process may open, or less where little is left for others then; after raising
 * that to what is of use here: who sizes tables by the limit should not pay for more. */
static uint32_t raise_fd_limit(void)
{
	struct rlimit lim;

	if (getrlimit(RLIMIT_NOFILE, &lim))
		return 0;
	rlim_t want = lim.rlim_max < FDS_MAX ? lim.rlim_max : FDS_MAX;

	if (lim.rlim_cur < want) {
		struct rlimit high = {want, lim.rlim_max};

		if (setrlimit(RLIMIT_NOFILE, &high) == 0)
			lim = high;
	}
	uint32_t most = (uint32_t)(lim.rlim_cur < FDS_MAX ? lim.rlim_cur : FDS_MAX);
	uint32_t spare = most > FDS_OTHERS ? most - FDS_OTHERS : 0;

	return spare < most / 2 ? spare : most / 2;
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

int procfs_open(struct procfs *s, struct procs *t, const struct host *h, bool use_clock)
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
	s->clocked = use_clock && own && read_clock(getpid()) >= 0;
	s->own_pid = s->clocked ? getpid() : 0;
	s->max_fds = raise_fd_limit();
	s->pid_max = read_pid_max(h);
	r = kept_open(&s->loadavg, h, ROOT_PROC, "loadavg");
	if (r < 0)
		return r;
	return procfs_pass(s, clock_ns(CLOCK_MONOTONIC) / 1000000);
}

void procfs_close(struct procfs *s)
{
	if (!s->table)
		return;
	for (uint32_t i = 0; i < s->table->high; i++)
		if (s->table->hot[i].pid)
			read_drop_files(s, &s->table->proc[i]);
	kept_close(&s->loadavg);
	if (s->dir_fd >= 0)
		close(s->dir_fd);
	*s = (struct procfs){.dir_fd = -1};
}
