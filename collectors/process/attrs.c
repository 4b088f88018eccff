#include "collectors/process/attrs.h"

#include "base/cgroup.h"
#include "base/cleanup.h"
#include "base/clock.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <unistd.h>

enum { WAIT_MS = 60000, GATHER_MS = 1000, QUEUE_BYTES = PROCS_MAX * sizeof(uint32_t) };

static uint64_t now_ms(void)
{
	return clock_ns(CLOCK_MONOTONIC) / 1000000;
}

int attrs_open(struct attrs *a)
{
	int r = 0;

	for (int w = 0; w < ATTRS_WORKERS; w++)
		a->worker[w].event_fd = -1;
	a->queue = mmap(NULL, QUEUE_BYTES, PROT_READ | PROT_WRITE,
			MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	if (a->queue == MAP_FAILED) {
		a->queue = NULL;
		return -ENOMEM;
	}
	for (int w = 0; w < ATTRS_WORKERS && r == 0; w++) {
		a->worker[w].event_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
		if (a->worker[w].event_fd < 0)
			r = -errno;
	}
	return r;
}

void attrs_close(struct attrs *a)
{
	if (!a->queue)
		return;
	munmap(a->queue, QUEUE_BYTES);
	a->queue = NULL;
	for (int w = 0; w < ATTRS_WORKERS; w++)
		if (a->worker[w].event_fd >= 0)
			close(a->worker[w].event_fd);
}

/* ---- the worker's side ---- */

/* -1 when it cannot be read; it may have taken long. */
static ssize_t read_path(const struct host *h, int32_t pid, const char *name, char *buf,
			 size_t size)
{
	char path[48];

	snprintf(path, sizeof(path), "%d/%s", pid, name);
	_cleanup_close_ int fd = host_file(h, ROOT_PROC, path);

	return fd < 0 ? -1 : read(fd, buf, size);
}

static void answer(struct attr_worker *w, const struct attr_request *q, struct attr_answer *a,
		   const struct host *h)
{
	char path[48];
	ssize_t n;

	*a = (struct attr_answer){.of = *q};
	n = read_path(h, q->pid, "cgroup", w->text, sizeof(w->text) - 1);
	w->text[n > 0 ? n : 0] = 0;
	char whole[sizeof(w->text)];

	cgroup_parse(w->text, whole, sizeof(whole));
	parse_unit(whole, a->unit, sizeof(a->unit));
	a->cgroup_len = (uint32_t)strnlen(whole, sizeof(a->cgroup));
	memcpy(a->cgroup, whole, a->cgroup_len);
	snprintf(path, sizeof(path), "%d/exe", q->pid);
	n = readlinkat(h->fd[ROOT_PROC], path, a->exe, sizeof(a->exe));
	a->exe_len = n > 0 ? (uint32_t)n : 0;
	n = read_path(h, q->pid, "cmdline", a->cmdline, sizeof(a->cmdline));
	while (n > 0 && !a->cmdline[n - 1])
		n--;
	a->cmdline_len = n > 0 ? (uint32_t)n : 0;
	for (uint32_t i = 0; i < a->cmdline_len; i++)
		if (!a->cmdline[i])
			a->cmdline[i] = ' ';
}

int attrs_work(struct attrs *a, unsigned worker, const struct host *h)
{
	struct attr_worker *w = &a->worker[worker];
	uint32_t at = atomic_load_explicit(&w->answered, memory_order_relaxed);

	if (at == atomic_load_explicit(&w->asked, memory_order_acquire)) {
		struct pollfd p = {.fd = w->event_fd, .events = POLLIN};
		uint64_t count;

		if (poll(&p, 1, WAIT_MS) > 0 && read(w->event_fd, &count, sizeof(count)) < 0 &&
		    errno != EAGAIN)
			return -errno;
		return 0;
	}
	atomic_store_explicit(&w->busy_ms, now_ms(), memory_order_relaxed);
	answer(w, &w->requests[at % ATTRS_RING], &w->answers[at % ATTRS_RING], h);
	atomic_store_explicit(&w->busy_ms, 0, memory_order_relaxed);
	atomic_store_explicit(&w->answered, at + 1, memory_order_release);
	return 0;
}

/* ---- the sampler's side ---- */

void attrs_want(struct attrs *a, struct procs *t, uint32_t i)
{
	struct proc *p = &t->proc[i];

	if (p->attr_state != ATTR_IDLE)
		return;
	if (a->tail - a->head ==
	    PROCS_MAX) /* full of processes that ended: the oldest is dropped */
		t->proc[a->queue[a->head++ % PROCS_MAX]].attr_state = ATTR_IDLE;
	a->urgent |= !p->attr_ms;
	p->attr_state = ATTR_QUEUED;
	p->attr_ms = t->now_ms;
	p->ran = false;
	a->queue[a->tail++ % PROCS_MAX] = i;
}

void attrs_set_own(struct procs *t, struct batch *b, uint32_t i)
{
	const struct proc *p = &t->proc[i];
	uint32_t slot = (uint32_t)p->slot;
	char uid[24];

	batch_attr(b, slot, ATTR_COMM, p->comm, p->comm_len);
	if (p->uid >= 0)
		batch_attr(b, slot, ATTR_USER, uid,
			   (size_t)snprintf(uid, sizeof(uid), "%lld", (long long)p->uid));
	if (p->flags & PROC_KTHREAD)
		batch_attr(b, slot, ATTR_UNIT, "kernel", strlen("kernel"));
}

static void apply(struct procs *t, struct batch *b, const struct attr_answer *a)
{
	struct proc *p = &t->proc[a->of.index];

	if (!t->hot[a->of.index].pid || p->gen != a->of.gen)
		return;
	p->attr_state = ATTR_IDLE;
	if (p->slot < 0)
		return;
	batch_attr(b, (uint32_t)p->slot, ATTR_CMDLINE, a->cmdline, a->cmdline_len);
	batch_attr(b, (uint32_t)p->slot, ATTR_EXE, a->exe, a->exe_len);
	batch_attr(b, (uint32_t)p->slot, ATTR_CGROUP, a->cgroup, a->cgroup_len);
	batch_attr(b, (uint32_t)p->slot, ATTR_UNIT, a->unit, strlen(a->unit));
}

/* What waits behind the request that w is stuck at is asked anew. */
static void requeue(struct attrs *a, struct procs *t, const struct attr_worker *w, uint32_t from)
{
	uint32_t asked = atomic_load_explicit(&w->asked, memory_order_relaxed);

	for (uint32_t at = from + 1; at != asked; at++) {
		const struct attr_request *q = &w->requests[at % ATTRS_RING];
		struct proc *p = &t->proc[q->index];

		if (t->hot[q->index].pid && p->gen == q->gen && p->attr_state == ATTR_SENT) {
			p->attr_state = ATTR_IDLE;
			attrs_want(a, t, q->index);
		}
	}
}

static void watch(struct attrs *a, struct procs *t, struct attr_worker *w)
{
	uint64_t busy = atomic_load_explicit(&w->busy_ms, memory_order_relaxed);
	uint32_t at = atomic_load_explicit(&w->answered, memory_order_acquire);
	bool was = w->stuck;

	w->stuck = busy && busy + ATTRS_STUCK_MS < now_ms() &&
		   at != atomic_load_explicit(&w->asked, memory_order_relaxed);
	if (!w->stuck)
		return;
	if (!was)
		requeue(a, t, w, at);
	a->stuck_pids[a->n_stuck++] = w->requests[at % ATTRS_RING].pid;
}

static void wake(const struct attr_worker *w)
{
	uint64_t one = 1;
	ssize_t n = write(w->event_fd, &one, sizeof(one));

	(void)n; /* full: it is awake already */
}

void attrs_wake(struct attrs *a)
{
	for (int i = 0; i < ATTRS_WORKERS; i++)
		wake(&a->worker[i]);
}

/* Is there something queued that can wait no longer? */
static bool is_time(const struct attrs *a, const struct procs *t)
{
	if (a->head == a->tail)
		return false;
	return a->urgent || t->now_ms - t->proc[a->queue[a->head % PROCS_MAX]].attr_ms >= GATHER_MS;
}

static void hand_out(struct attrs *a, struct procs *t, struct attr_worker *w)
{
	uint32_t asked = atomic_load_explicit(&w->asked, memory_order_relaxed), had = asked;

	while (!w->stuck && a->head != a->tail && asked - w->applied < ATTRS_RING) {
		uint32_t i = a->queue[a->head++ % PROCS_MAX];
		struct proc *p = &t->proc[i];

		if (!t->hot[i].pid || p->attr_state != ATTR_QUEUED)
			continue;
		p->attr_state = ATTR_SENT;
		w->requests[asked++ % ATTRS_RING] =
			(struct attr_request){.gen = p->gen, .index = i, .pid = t->hot[i].pid};
	}
	if (asked == had)
		return;
	atomic_store_explicit(&w->asked, asked, memory_order_release);
	wake(w);
}

void attrs_pass(struct attrs *a, struct procs *t, struct batch *b)
{
	a->n_stuck = 0;
	for (unsigned k = 0; k < ATTRS_WORKERS; k++) {
		struct attr_worker *w = &a->worker[k];
		uint32_t done = atomic_load_explicit(&w->answered, memory_order_acquire);

		for (; w->applied != done; w->applied++)
			apply(t, b, &w->answers[w->applied % ATTRS_RING]);
		watch(a, t, w);
	}
	if (!is_time(a, t))
		return;
	for (unsigned k = 0; k < ATTRS_WORKERS; k++)
		hand_out(a, t, &a->worker[(a->next_worker + k) % ATTRS_WORKERS]);
	a->next_worker++;
	a->urgent &= a->head != a->tail;
}
