/*
 * Without the right to watch CPUs: the processes of the own user, one by one.
 *
 * Each thread of a process that is there already gets an event on every CPU (only such events may share a ring
 * per CPU and be inherited); threads and processes that it makes later inherit them. That they did is known from the
 * kernel's FORK records, so that nothing is counted twice. Each task has a clock of its own here: one that lives shorter
 * than a tick is never seen.
 */
#include "base/cleanup.h"
#include "base/clock.h"
#include "profile/profiler_private.h"

#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

enum { OWN_MAX = 16384, EVENTS_MAX = 32768 };

/* A process that was opened. */
struct root {
	uint32_t pid;
	bool alive;
	int *fds;
	uint64_t *ids;
	size_t n, cap;
};

/* A process that is watched: opened, or a descendant of one. root_pid 0: seen once, to be opened if it is still there
 * and no FORK record has told whose child it is. */
struct known {
	uint32_t pid, root_pid;
	bool seen;
};

struct profiler_own {
	struct known *known; /* sorted by pid */
	size_t n_known;
	struct root *roots;
	size_t n_roots, cap_roots;
	size_t n_fds, max_fds;
	bool started;
};

int profiler_own_open(struct profiler *p)
{
	struct profiler_own *own = calloc(1, sizeof(*own));
	struct rlimit limit;

	if (!own)
		return -ENOMEM;
	p->own = own;
	own->known = calloc(OWN_MAX, sizeof(*own->known));
	own->max_fds = EVENTS_MAX;
	if (getrlimit(RLIMIT_NOFILE, &limit) == 0 && limit.rlim_cur / 2 < own->max_fds)
		own->max_fds = limit.rlim_cur / 2;
	return own->known ? 0 : -ENOMEM;
}

/* ---- the sorted list ---- */

static size_t place(const struct profiler_own *own, uint32_t pid)
{
	size_t lo = 0, hi = own->n_known;

	while (lo < hi) {
		size_t mid = lo + (hi - lo) / 2;

		if (own->known[mid].pid < pid)
			lo = mid + 1;
		else
			hi = mid;
	}
	return lo;
}

static struct known *find(const struct profiler_own *own, uint32_t pid)
{
	size_t i = place(own, pid);

	return i < own->n_known && own->known[i].pid == pid ? &own->known[i] : NULL;
}

static struct known *add(struct profiler_own *own, uint32_t pid)
{
	size_t i = place(own, pid);

	if (i < own->n_known && own->known[i].pid == pid)
		return &own->known[i];
	if (own->n_known == OWN_MAX)
		return NULL;
	memmove(&own->known[i + 1], &own->known[i], (own->n_known - i) * sizeof(*own->known));
	own->n_known++;
	own->known[i] = (struct known){.pid = pid};
	return &own->known[i];
}

void profiler_own_fork(struct profiler *p, uint32_t pid, uint32_t ppid)
{
	const struct known *parent = find(p->own, ppid);
	uint32_t root_pid = parent ? parent->root_pid : 0;
	struct known *k = root_pid ? add(p->own, pid) : NULL;

	if (k)
		*k = (struct known){.pid = pid, .root_pid = root_pid, .seen = true};
}

/* ---- events ---- */

static void root_close(struct profiler *p, struct root *root)
{
	for (size_t i = 0; i < root->n; i++) {
		close(root->fds[i]);
		profiler_ids_close_one(&p->ids, root->ids[i]);
	}
	p->own->n_fds -= root->n;
	free(root->fds);
	free(root->ids);
	*root = (struct root){0};
}

static int root_keep(struct root *root, int fd)
{
	uint64_t id = 0;

	if (root->n == root->cap) {
		size_t cap = root->cap ? root->cap * 2 : 16;
		int *fds = realloc(root->fds, cap * sizeof(*fds));
		uint64_t *ids;

		if (!fds)
			return -ENOMEM;
		root->fds = fds;
		ids = realloc(root->ids, cap * sizeof(*ids));
		if (!ids)
			return -ENOMEM;
		root->ids = ids;
		root->cap = cap;
	}
	ioctl(fd, PERF_EVENT_IOC_ID, &id);
	root->fds[root->n] = fd;
	root->ids[root->n++] = id;
	return 0;
}

static int open_one(struct profiler *p, struct root *root, struct perf_event_attr *attr,
		    uint32_t tid, const struct profiler_cpu *c, enum profiler_event_kind kind)
{
	_cleanup_close_ int fd = -1;

	if (p->own->n_fds >= p->own->max_fds)
		return -EMFILE;
	fd = profiler_event_open(p, attr, (int32_t)tid, c->cpu, c->side, kind);
	if (fd < 0)
		return fd;
	if (root_keep(root, fd) < 0)
		return -ENOMEM;
	p->own->n_fds++;
	ioctl(fd, PERF_EVENT_IOC_ENABLE, 0);
	TAKE_FD(fd);
	return 0;
}

static int open_thread(struct profiler *p, struct root *root, uint32_t tid)
{
	struct perf_event_attr tick, off;
	int r = 0;

	profiler_attr_tick(p, &tick);
	tick.inherit = 1;
	tick.mmap = tick.mmap2 = tick.comm = tick.comm_exec = tick.task = 1;
	profiler_attr_switch(p, &off);
	off.inherit = 1;
	for (size_t i = 0; i < p->n_cpus && r == 0; i++) {
		const struct profiler_cpu *c = &p->cpus[i];

		if (!c->ring.ring.page)
			continue;
		r = open_one(p, root, &tick, tid, c, EVENT_TICK);
		if (r == 0 && p->state.off_cpu)
			r = open_one(p, root, &off, tid, c, EVENT_SWITCH);
	}
	return r;
}

static DIR *open_folder(const struct profiler *p, const char *path)
{
	_cleanup_close_ int fd = host_file(p->config.host, ROOT_PROC, path);
	DIR *d = fd < 0 ? NULL : fdopendir(fd);

	if (d)
		TAKE_FD(fd);
	return d;
}

static void root_open(struct profiler *p, uint32_t pid)
{
	struct profiler_own *own = p->own;
	struct root root = {.pid = pid, .alive = true};
	const struct dirent *e;
	char path[32];
	DIR *d;
	int r = 0;

	if (own->n_roots == own->cap_roots) {
		size_t cap = own->cap_roots ? own->cap_roots * 2 : 64;
		struct root *roots = realloc(own->roots, cap * sizeof(*roots));

		if (!roots)
			return;
		own->roots = roots;
		own->cap_roots = cap;
	}
	snprintf(path, sizeof(path), "%u/task", pid);
	d = open_folder(p, path);
	while (d && r != -EMFILE && (e = readdir(d))) {
		uint32_t tid = (uint32_t)strtoul(e->d_name, NULL, 10);

		if (tid)
			r = open_thread(p, &root, tid);
	}
	if (d)
		closedir(d);
	if (r == -EMFILE)
		profiler_say(p, "some processes are left out: raise the limit of open files");
	own->roots[own->n_roots++] = root;
}

/* ---- once a second ---- */

static void look_at(struct profiler *p, uint32_t pid)
{
	struct profiler_own *own = p->own;
	struct known *k = find(own, pid);

	if (!k) {
		k = add(own, pid);
		if (k)
			k->seen = true;
		if (own->started)
			return; /* whose child it is may stand in a record that is still to be read */
	}
	if (!k)
		return;
	k->seen = true;
	if (k->root_pid)
		return;
	k->root_pid = pid;
	root_open(p, pid);
}

static void sweep(struct profiler *p)
{
	struct profiler_own *own = p->own;
	size_t n = 0;

	for (size_t i = 0; i < own->n_roots; i++)
		own->roots[i].alive = false;
	for (size_t i = 0; i < own->n_known; i++)
		if (own->known[i].seen)
			own->known[n++] = own->known[i];
	own->n_known = n;
	for (size_t i = 0; i < own->n_roots; i++)
		for (size_t k = 0; k < n && !own->roots[i].alive; k++)
			own->roots[i].alive = own->known[k].root_pid == own->roots[i].pid;
	n = 0;
	for (size_t i = 0; i < own->n_roots; i++) {
		if (own->roots[i].alive)
			own->roots[n++] = own->roots[i];
		else
			root_close(p, &own->roots[i]);
	}
	own->n_roots = n;
}

void profiler_own_scan(struct profiler *p)
{
	struct profiler_own *own = p->own;
	DIR *d = open_folder(p, ".");
	const struct dirent *e;
	struct stat st;

	for (size_t i = 0; i < own->n_known; i++)
		own->known[i].seen = false;
	while (d && (e = readdir(d))) {
		uint32_t pid = (uint32_t)strtoul(e->d_name, NULL, 10);

		if (pid && fstatat(dirfd(d), e->d_name, &st, 0) == 0 && st.st_uid == geteuid())
			look_at(p, pid);
	}
	if (!d)
		return;
	closedir(d);
	own->started = true;
	sweep(p);
}

static void close_all(struct profiler *p)
{
	struct profiler_own *own = p->own;

	for (size_t i = 0; i < own->n_roots; i++)
		root_close(p, &own->roots[i]);
	own->n_roots = own->n_known = 0;
	own->started = false;
}

void profiler_own_reopen(struct profiler *p)
{
	close_all(p);
	profiler_own_scan(p);
}

void profiler_own_close(struct profiler *p)
{
	if (!p->own)
		return;
	close_all(p);
	free(p->own->known);
	free(p->own->roots);
	free(p->own);
	p->own = NULL;
}
