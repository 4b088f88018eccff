#include "profile/task.h"

#include "base/cgroup.h"
#include "base/cleanup.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { CGROUP_KEEP_US = 5000000, CGROUP_TEXT_MAX = 4096, ANCESTORS_MAX = 4 };

struct tasks {
	const struct host *host;
	struct task *pool, *unused;
	struct task **buckets;
	struct task newest; /* of a ring: newest.older is the one seen last */
	size_t max, n, mask;
};

int tasks_open(struct tasks **ret, const struct host *host, size_t max)
{
	struct tasks *ts = calloc(1, sizeof(*ts));
	size_t n_buckets = 64;

	while (n_buckets < max)
		n_buckets *= 2;
	if (!ts)
		return -ENOMEM;
	ts->host = host;
	ts->max = max;
	ts->mask = n_buckets - 1;
	ts->pool = calloc(max, sizeof(*ts->pool));
	ts->buckets = calloc(n_buckets, sizeof(struct task *));
	if (!ts->pool || !ts->buckets) {
		tasks_close(ts);
		return -ENOMEM;
	}
	for (size_t i = max; i--;) {
		ts->pool[i].next = ts->unused;
		ts->unused = &ts->pool[i];
	}
	ts->newest.older = ts->newest.newer = &ts->newest;
	*ret = ts;
	return 0;
}

void tasks_close(struct tasks *ts)
{
	if (!ts)
		return;
	for (size_t i = 0; ts->pool && i < ts->max; i++) {
		free(ts->pool[i].cgroup);
		free(ts->pool[i].off.ips);
		free(ts->pool[i].off.user.ips);
		free(ts->pool[i].off.user.at);
	}
	free(ts->pool);
	free(ts->buckets);
	free(ts);
}

size_t tasks_count(const struct tasks *ts)
{
	return ts->n;
}

/* ---- the list by use, and the table by tid ---- */

static struct task **bucket(struct tasks *ts, uint32_t tid)
{
	return &ts->buckets[(tid * 2654435761u >> 8) & ts->mask];
}

static void leave(struct task *t)
{
	t->newer->older = t->older;
	t->older->newer = t->newer;
}

static void enter(struct task *after, struct task *t)
{
	t->newer = after;
	t->older = after->older;
	after->older->newer = t;
	after->older = t;
}

static void forget(struct tasks *ts, struct task *t)
{
	struct task **at = bucket(ts, t->tid);
	const struct task_user *user = &t->off.user;
	struct task_off off = {.ips = t->off.ips,
			       .cap_ips = t->off.cap_ips,
			       .user = {.ips = user->ips, .at = user->at, .cap = user->cap}};

	while (*at != t)
		at = &(*at)->next;
	*at = t->next;
	leave(t);
	free(t->cgroup);
	*t = (struct task){.next = ts->unused, .off = off};
	ts->unused = t;
	ts->n--;
}

struct task *tasks_find(struct tasks *ts, uint32_t tid)
{
	struct task *t = *bucket(ts, tid);

	while (t && t->tid != tid)
		t = t->next;
	return t;
}

struct task *tasks_get(struct tasks *ts, uint32_t pid, uint32_t tid)
{
	struct task *t = tasks_find(ts, tid);
	struct task **at = bucket(ts, tid);

	if (t) {
		leave(t);
		if (t->pid !=
		    pid) { /* exec by a thread that was not the main one, or a tid used again */
			t->pid = pid;
			t->epoch = 0;
			t->named = false;
			t->comm[0] = 0;
		}
		enter(&ts->newest, t);
		return t;
	}
	if (!ts->unused)
		forget(ts, ts->newest.newer);
	t = ts->unused;
	ts->unused = t->next;
	t->pid = pid;
	t->tid = tid;
	t->next = *at;
	*at = t;
	ts->n++;
	enter(&ts->newest, t);
	return t;
}

/* ---- what they are called ---- */

static ssize_t read_proc(const struct host *host, const char *path, char *buf, size_t size)
{
	_cleanup_close_ int fd = host_file(host, ROOT_PROC, path);
	ssize_t n = fd < 0 ? fd : read(fd, buf, size - 1);

	buf[n > 0 ? n : 0] = 0;
	return n;
}

static void set_comm(struct task *t, const char *comm)
{
	size_t len = strnlen(comm, TASK_COMM_LEN - 1);

	memcpy(t->comm, comm, len);
	t->comm[len] = 0;
	t->named = true;
	t->serial++;
	t->epoch = 0;
}

static void read_comm(struct tasks *ts, struct task *t)
{
	char path[64], comm[64];

	snprintf(path, sizeof(path), "%u/task/%u/comm", t->pid, t->tid);
	if (read_proc(ts->host, path, comm, sizeof(comm)) < 0 && t->ppid) {
		/* It is gone, and was not given a name of its own: a fork without exec. */
		snprintf(path, sizeof(path), "%u/comm", t->ppid);
		read_proc(ts->host, path, comm, sizeof(comm));
	}
	comm[strcspn(comm, "\n")] = 0;
	if (comm[0] || !t->comm[0])
		set_comm(t, comm);
	t->named = true;
}

static bool read_cgroup(struct tasks *ts, uint32_t pid, char ret[TASK_CGROUP_MAX])
{
	char path[32], text[CGROUP_TEXT_MAX];

	ret[0] = 0;
	snprintf(path, sizeof(path), "%u/cgroup", pid);
	if (read_proc(ts->host, path, text, sizeof(text)) > 0)
		cgroup_parse(text, ret, TASK_CGROUP_MAX);
	return ret[0];
}

static void set_cgroup(struct task *main, const char *cgroup)
{
	char *held;

	if (main->cgroup && strcmp(main->cgroup, cgroup) == 0)
		return;
	held = strdup(cgroup);
	if (!held)
		return;
	free(main->cgroup);
	main->cgroup = held;
	main->serial++;
	main->epoch = 0;
}

/* Of a process that is gone: where its parent is, or its. */
static void inherit_cgroup(struct tasks *ts, struct task *main, int64_t now_us)
{
	const struct task *up = main;
	char cgroup[TASK_CGROUP_MAX] = "";

	main->cgroup_at_us = now_us;
	for (int i = 0; i < ANCESTORS_MAX && up && up->ppid && !main->cgroup && !cgroup[0]; i++) {
		uint32_t ppid = up->ppid;

		up = tasks_find(ts, ppid);
		if (up && up->cgroup)
			snprintf(cgroup, sizeof(cgroup), "%s", up->cgroup);
		else
			read_cgroup(ts, ppid, cgroup);
	}
	if (!main->cgroup)
		set_cgroup(main, cgroup);
}

static void look_up_cgroup(struct tasks *ts, struct task *main, int64_t now_us)
{
	char cgroup[TASK_CGROUP_MAX];

	main->cgroup_at_us = now_us;
	if (read_cgroup(ts, main->pid, cgroup))
		set_cgroup(main, cgroup);
	else
		inherit_cgroup(ts, main, now_us);
}

uint32_t tasks_index(struct tasks *ts, struct task *t, struct stacks *s, uint32_t epoch,
		     int64_t now_us)
{
	struct task *main = t->pid == t->tid ? t : tasks_get(ts, t->pid, t->pid);
	struct stacks_task st;

	if (!t->named)
		read_comm(ts, t);
	if (!main->named)
		read_comm(ts, main);
	if (!main->cgroup || now_us - main->cgroup_at_us > CGROUP_KEEP_US)
		look_up_cgroup(ts, main, now_us);
	if (t->epoch == epoch && t->process_serial == main->serial)
		return t->index;
	st = (struct stacks_task){
		.pid = t->pid,
		.tid = t->tid,
		.comm = stacks_string(s, t->comm, strlen(t->comm)),
		.process = stacks_string(s, main->comm, strlen(main->comm)),
	};
	if (main->cgroup && main->cgroup[0])
		st.cgroup = stacks_string(s, main->cgroup, strlen(main->cgroup));
	t->index = stacks_task(s, &st);
	t->epoch = epoch;
	t->process_serial = main->serial;
	return t->index;
}

/* ---- side-band ---- */

void tasks_comm(struct tasks *ts, uint32_t pid, uint32_t tid, const char *comm, bool exec)
{
	struct task *t = tasks_get(ts, pid, tid);

	set_comm(t, comm);
	if (!exec)
		return;
	t->cgroup_at_us = INT64_MIN / 2; /* whoever starts services moves them before */
	t->exited = false; /* where another thread called it, the main one ended first */
}

void tasks_fork(struct tasks *ts, uint32_t pid, uint32_t tid, uint32_t ppid, uint32_t ptid)
{
	struct task *t = tasks_find(ts, tid), *parent = tasks_find(ts, ptid);
	const struct task *family = tasks_find(ts, ppid);

	if (t)
		forget(ts, t);
	t = tasks_get(ts, pid, tid);
	if (pid == tid)
		t->ppid = ppid;
	if (t == parent || t == family)
		return; /* the table is that small */
	if (parent && parent->named)
		set_comm(t, parent->comm);
	if (pid == tid && family && family->cgroup) {
		t->cgroup = strdup(family->cgroup);
		t->cgroup_at_us = family->cgroup_at_us;
	}
}

void tasks_exit(struct tasks *ts, uint32_t tid)
{
	struct task *t = tasks_find(ts, tid);

	if (!t)
		return;
	t->exited = true;
	t->off.since_ns = 0;
	t->off.regs = NULL;
	leave(t);
	enter(ts->newest.newer, t); /* the first to go */
}

void tasks_doubt(struct tasks *ts)
{
	for (struct task *t = ts->newest.older; t != &ts->newest; t = t->older) {
		t->named = false;
		t->cgroup_at_us = INT64_MIN / 2;
	}
}

void tasks_forget_off(struct tasks *ts)
{
	for (struct task *t = ts->newest.older; t != &ts->newest; t = t->older) {
		t->off.since_ns = 0;
		t->off.regs = NULL;
	}
}
