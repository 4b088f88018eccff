/* A round: the records of all rings, merged by time, each to where it belongs. */
#include "base/clock.h"
#include "profile/profiler_private.h"

#include <sys/mman.h>
#include <sys/sysmacros.h>

static const uint64_t FUTURE_NS = 1000000000; /* from now: clocks of CPUs agree better than that */

/* ---- merging: a heap of rings, that with the oldest record on top ---- */

static void sift(struct profiler_ring **heap, size_t n, size_t i)
{
	struct profiler_ring *c = heap[i];

	for (size_t child; (child = 2 * i + 1) < n; i = child) {
		if (child + 1 < n && heap[child + 1]->next_ns < heap[child]->next_ns)
			child++;
		if (heap[child]->next_ns >= c->next_ns)
			break;
		heap[i] = heap[child];
	}
	heap[i] = c;
}

/* To the next record. What says that it comes from the future is damaged: it must not stop the ring until then. */
static void advance(const struct profiler *p, struct profiler_ring *c)
{
	do {
		c->next = perf_ring_next(&c->ring, &c->next_len);
		c->next_ns = c->next ? record_time_ns(c->next, c->next_len) : UINT64_MAX;
		c->ring.broken += c->next && c->next_ns > p->future_ns;
	} while (c->next && c->next_ns > p->future_ns);
}

static void heap_enter(struct profiler *p, struct profiler_ring *c)
{
	if (!c->ring.page)
		return;
	perf_ring_begin(&c->ring);
	advance(p, c);
	if (c->next)
		p->heap[p->n_heap++] = c;
}

static void heap_fill(struct profiler *p)
{
	p->n_heap = 0;
	p->future_ns = clock_ns(CLOCK_MONOTONIC) + FUTURE_NS;
	for (size_t i = 0; i < p->n_cpus; i++) {
		heap_enter(p, &p->cpus[i].ring);
		heap_enter(p, &p->cpus[i].switches);
	}
	for (size_t i = p->n_heap; i--;)
		sift(p->heap, p->n_heap, i);
}

static void heap_advance(struct profiler *p)
{
	advance(p, p->heap[0]);
	if (!p->heap[0]->next)
		p->heap[0] = p->heap[--p->n_heap];
	if (p->n_heap)
		sift(p->heap, p->n_heap, 0);
}

/* What was looked at and not taken comes first in the next round. */
static void hand_back(struct profiler_ring *c)
{
	if (!c->ring.page)
		return;
	if (c->next)
		c->ring.pos -= c->next_len;
	c->next = NULL;
	perf_ring_end(&c->ring);
}

/* ---- what a record does ---- */

static void note(struct profiler *p, const struct record *r, enum stacks_note_kind kind, uint64_t n)
{
	struct stacks_note note = {.at_us = (int64_t)(r->time_ns / 1000),
				   .n = n,
				   .cpu = (uint16_t)r->cpu,
				   .kind = (uint8_t)kind};

	stacks_note(p->stacks, &note);
}

static const struct profiler_id *event_of(const struct profiler *p,
					  const struct profiler_ring *ring, const struct record *r)
{
	return ring->only.id ? &ring->only : profiler_ids_find(&p->ids, r->id);
}

/* Among what was lost may have been who called exec, and what was mapped. */
void profiler_doubt(struct profiler *p)
{
	spaces_doubt(p->spaces);
	tasks_doubt(p->tasks);
}

static void take_lost(struct profiler *p, const struct profiler_ring *ring, const struct record *r)
{
	const struct profiler_id *id = event_of(p, ring, r);
	bool waits = id && id->kind == EVENT_WAIT, switches = id && id->kind == EVENT_SWITCH;

	if (switches || p->tier == TIER_OWN)
		tasks_forget_off(p->tasks);
	if (switches || waits) {
		p->state.switches_lost += r->lost;
		return;
	}
	p->state.lost += r->lost;
	note(p, r, STACKS_LOST, r->lost);
	if (!p->doubted)
		profiler_doubt(p);
	p->doubted = true;
}

static void take_mmap(struct profiler *p, const struct record_mmap *m)
{
	struct space_mmap map = {.start = m->addr,
				 .len = m->len,
				 .file_off = m->file_off,
				 .dev = makedev(m->major, m->minor),
				 .ino = m->ino,
				 .generation = m->generation,
				 .path = m->path,
				 .executable = m->prot & PROT_EXEC};

	spaces_mmap(p->spaces, m->pid, &map);
}

static void take_comm(struct profiler *p, const struct record *r)
{
	bool exec = r->misc & PERF_RECORD_MISC_COMM_EXEC;

	if (exec)
		spaces_exec(p->spaces, r->comm.pid);
	tasks_comm(p->tasks, r->comm.pid, r->comm.tid, r->comm.comm, exec);
}

static void take_fork(struct profiler *p, const struct record *r)
{
	if (r->task.pid != r->task.ppid) {
		spaces_fork(p->spaces, r->task.pid, r->task.ppid);
		if (p->tier == TIER_OWN)
			profiler_own_fork(p, r->task.pid, r->task.ppid);
	}
	tasks_fork(p->tasks, r->task.pid, r->task.tid, r->task.ppid, r->task.ptid);
}

static void take_exit(struct profiler *p, const struct record *r)
{
	tasks_exit(p->tasks, r->task.tid);
	if (r->task.pid != r->task.tid)
		return;
	spaces_exit(p->spaces, r->task.pid);
	profiler_jits_exit(p->jits, r->task.pid);
}

static void take_sample(struct profiler *p, const struct profiler_ring *ring,
			const struct record *r)
{
	const struct profiler_id *id = event_of(p, ring, r);

	if (id && id->kind == EVENT_TICK)
		profiler_add_tick(p, r, id);
	else if (id && id->kind == EVENT_SWITCH)
		profiler_off_stack(p, r, id);
	else if (id && id->kind == EVENT_WAIT)
		profiler_off_wait(p, r, id);
}

static void take(struct profiler *p, const struct profiler_ring *ring, const struct record *r)
{
	switch (r->type) {
	case PERF_RECORD_SAMPLE:
		take_sample(p, ring, r);
		break;
	case PERF_RECORD_SWITCH:
	case PERF_RECORD_SWITCH_CPU_WIDE:
		profiler_off_switch(p, r);
		break;
	case PERF_RECORD_MMAP2:
		take_mmap(p, &r->mmap);
		break;
	case PERF_RECORD_COMM:
		take_comm(p, r);
		break;
	case PERF_RECORD_FORK:
		take_fork(p, r);
		break;
	case PERF_RECORD_EXIT:
		take_exit(p, r);
		break;
	case PERF_RECORD_KSYMBOL:
		profiler_ksyms_add(p, r);
		break;
	case PERF_RECORD_LOST:
	case PERF_RECORD_LOST_SAMPLES:
		take_lost(p, ring, r);
		break;
	case PERF_RECORD_THROTTLE:
		p->state.throttled++;
		note(p, r, STACKS_THROTTLED, 1);
		break;
	default:
		break;
	}
}

static unsigned fullest(const struct profiler *p, bool switches)
{
	unsigned most = 0;

	for (size_t i = 0; i < p->n_cpus; i++) {
		const struct perf_ring *ring =
			switches ? &p->cpus[i].switches.ring : &p->cpus[i].ring.ring;
		unsigned percent = ring->page ? perf_ring_percent(ring) : 0;

		most = percent > most ? percent : most;
	}
	return most;
}

/* How soon the next round has to come, by how full the fullest ring was, and in what time. */
static void set_pace(struct profiler *p, unsigned percent, int64_t took_us)
{
	int64_t rate = took_us < PROFILER_BURST_POLL_US
			       ? percent
			       : percent * (int64_t)PROFILER_CALM_POLL_US / took_us;

	p->hurry = percent > PROFILER_HURRY_PERCENT || rate > PROFILER_FAST_PERCENT;
	p->calm = rate < PROFILER_CALM_PERCENT;
}

/* Copies of stacks are given up before samples are, for a few seconds: when they come so fast that a ring would be full in
 * two short rounds. (That it was full after a stall says nothing.) Before the rings are handed back: what of them is full
 * is known only until then. */
static void shed_dumps(struct profiler *p, bool *ret_off)
{
	unsigned ticks = fullest(p, false), switches = fullest(p, true);
	int64_t now_us = (int64_t)clock_mono_us(), took_us = now_us - p->read_us;
	enum { FAST_US = 2 * PROFILER_BURST_POLL_US };

	set_pace(p, ticks > switches ? ticks : switches, took_us);
	p->read_us = now_us;
	if (took_us > FAST_US) {
		ticks = (unsigned)(ticks * FAST_US / took_us);
		switches = (unsigned)(switches * FAST_US / took_us);
	}
	if (ticks > PROFILER_DUMP_PERCENT && p->dump && p->hz > PROFILER_DUMP_HZ_MAX) {
		p->dump = false;
		p->shed_us = now_us;
		profiler_events_retick(p);
	}
	*ret_off = switches > PROFILER_DUMP_PERCENT && p->off_dump;
	if (*ret_off) {
		p->off_dump = false;
		p->off_shed_us = now_us;
	}
}

void profiler_read(struct profiler *p, int64_t until_ns)
{
	struct record r;
	bool reswitch;

	heap_fill(p);
	while (p->n_heap && p->heap[0]->next_ns < (uint64_t)until_ns) {
		if (record_read(p->heap[0]->next, p->heap[0]->next_len, &r) == 0)
			take(p, p->heap[0], &r);
		heap_advance(p);
	}
	profiler_off_settle(p);
	shed_dumps(p, &reswitch);
	for (size_t i = 0; i < p->n_cpus; i++) {
		hand_back(&p->cpus[i].ring);
		hand_back(&p->cpus[i].switches);
	}
	if (reswitch)
		profiler_events_reswitch(p);
	profiler_ids_age(&p->ids);
}
