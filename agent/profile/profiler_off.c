/*
 * Waiting: switches by pairs. A stack is unwound only if the wait is long enough to be kept, or lasts beyond the
 * round, while its copy still lies in the ring; and not at all where the thread stands as the last time.
 */
#include "profile/profiler_private.h"

#include <stdlib.h>
#include <string.h>

#if defined(__x86_64__)
enum { REG_SP = 7, REG_IP = 8, REG_ARG2 = 4, REG_ARG3 = 3 };
#else
enum { REG_SP = 31, REG_IP = 32, REG_ARG2 = 1, REG_ARG3 = 2 };
#endif

static const uint32_t NOBODY = UINT32_MAX;

static uint64_t reg(const struct task_off *off, unsigned number)
{
	uint64_t below = unwind_regs_mask() & (((uint64_t)1 << number) - 1);

	return off->regs[__builtin_popcountll(below)];
}

/* While the thread is in the kernel its registers hold the arguments of its call. */
static void look_at_futex(struct task_off *off)
{
	off->lock = !off->regs || offcpu_futex_is_lock((uint32_t)reg(off, REG_ARG2),
						       (uint32_t)reg(off, REG_ARG3));
}

static uint64_t word(const uint8_t *at)
{
	uint64_t v;

	memcpy(&v, at, sizeof(v));
	return v;
}

/* Every return address is where it was. */
static bool as_before(const struct task_off *off, uint64_t ip, uint64_t sp)
{
	const struct task_user *u = &off->user;

	if (!u->n || u->ip != ip || u->sp != sp)
		return false;
	for (size_t i = 1; i < u->n; i++)
		if (u->at[i] + sizeof(uint64_t) > off->stack_len ||
		    word(off->stack + u->at[i]) != u->ips[i])
			return false;
	return true;
}

static int user_reserve(struct task_user *u, size_t n)
{
	uint64_t *ips;
	uint32_t *at;

	if (n <= u->cap)
		return 0;
	ips = realloc(u->ips, n * sizeof(*ips));
	if (ips)
		u->ips = ips;
	at = realloc(u->at, n * sizeof(*at));
	if (at)
		u->at = at;
	if (!ips || !at)
		return -1;
	u->cap = (uint16_t)n;
	return 0;
}

/* Remembers the stack, and where it found its return addresses. Of one that is not to be found (kept in a register)
 * nothing is remembered. */
static void user_keep(struct task_off *off, const uint64_t *ips, size_t n, enum unwind_end end)
{
	struct task_user *u = &off->user;
	size_t at = 0;

	u->n = 0;
	if (user_reserve(u, n) < 0)
		return;
	memcpy(u->ips, ips, n * sizeof(*ips));
	u->n = (uint16_t)n;
	u->end = (uint8_t)end;
	u->now = true;
	u->ip = reg(off, REG_IP);
	u->sp = reg(off, REG_SP);
	for (size_t i = 1; i < n; i++, at += sizeof(uint64_t)) {
		while (at + sizeof(uint64_t) <= off->stack_len && word(off->stack + at) != ips[i])
			at += sizeof(uint64_t);
		if (at + sizeof(uint64_t) > off->stack_len)
			u->ip = 0; /* not to be compared with */
		u->at[i] = (uint32_t)at;
	}
}

static void unwind(struct profiler *p, struct task *t)
{
	struct task_off *off = &t->off;
	struct unwind_state state = {.regs = off->regs,
				     .n_regs = (size_t)__builtin_popcountll(unwind_regs_mask()),
				     .stack = off->stack,
				     .stack_len = off->stack_len};
	uint64_t ips[PROFILER_STACK_MAX];
	enum unwind_end end = UNWIND_NO_TABLE;
	struct space *space;
	size_t n = 0;

	if (!off->regs)
		return;
	off->user.now = as_before(off, reg(off, REG_IP), reg(off, REG_SP));
	if (!off->user.now && (p->ebpf || p->n_off_unwinds < PROFILER_OFF_UNWINDS_MAX)) {
		p->n_off_unwinds++;
		space = spaces_get(p->spaces, t->pid);
		if (space)
			n = unwind_user(space, &state, ips, PROFILER_STACK_MAX, &end);
		if (n)
			user_keep(off, ips, n, end);
	}
	off->regs = NULL;
}

void profiler_off_settle(struct profiler *p)
{
	for (size_t i = 0; i < p->n_pending; i++)
		unwind(p, p->pending[i]);
	p->n_pending = p->n_off_unwinds = 0;
}

static void pause_stacks(struct profiler *p, int64_t at_ns)
{
	struct stacks_note note = {.at_us = at_ns / 1000, .n = 1, .kind = STACKS_THROTTLED};

	profiler_events_switches(p, false);
	tasks_forget_off(p->tasks);
	stacks_note(p->stacks, &note);
	p->state.throttled++;
	profiler_say(p, "blocking is left out while there are over 20,000 switches a second");
}

void profiler_off_stack(struct profiler *p, const struct record *r, const struct profiler_id *id)
{
	struct record_format format = {.callchain = true,
				       .regs_user = id->dump,
				       .stack_user = id->dump,
				       .n_regs = (uint8_t)__builtin_popcountll(unwind_regs_mask())};
	int64_t at_ns = (int64_t)r->time_ns;
	struct record_sample s;
	struct task *t;

	p->state.switches++;
	if (r->pid == 0 || r->pid == NOBODY || p->off_paused)
		return;
	if (offcpu_guard_count(&p->guard, at_ns)) {
		pause_stacks(p, at_ns);
		return;
	}
	if (record_read_sample(r, &format, &s) < 0)
		return;
	t = tasks_get(p->tasks, r->pid, r->tid);
	if (t->exited)
		return;
	offcpu_stack(t, at_ns, s.ips, s.n_ips);
	t->off.regs = s.stack_len ? s.regs : NULL;
	look_at_futex(&t->off);
	if (!t->off.regs)
		return;
	t->off.stack = s.stack;
	t->off.stack_len = (uint32_t)s.stack_len;
	if (p->n_pending < PROFILER_OFF_PENDING_MAX)
		p->pending[p->n_pending++] = t;
	else
		unwind(p, t);
}

/* As offcpu_class(), from the frames that are known already. */
static enum stacks_class class_by_frames(struct profiler *p, const struct profiler_chain *c)
{
	for (size_t i = 0; i < c->n_kernel; i++) {
		enum stacks_class class = profiler_kernel_frame(p, p->ips[i] - (i > 0))->class;

		if (class != STACKS_CLASSES)
			return class;
	}
	return offcpu_class(p->kernel, p->ips, c->n_kernel);
}

static enum stacks_class class_of(struct profiler *p, const struct profiler_chain *c,
				  const struct task_off *off)
{
	enum stacks_class class = class_by_frames(p, c);

	return class == STACKS_CONDITION && off->lock ? STACKS_LOCK : class;
}

/* A stretch of `ns` that ended at end_ns, with the stack of `c`. */
static void add_stretch(struct profiler *p, const struct record *r, struct task *t,
			const struct profiler_chain *c, enum stacks_class class, int64_t end_ns,
			int64_t ns)
{
	int64_t us = ns / 1000;
	struct profiler_chain blocked = *c;
	struct stacks_sample sample = {.at_us = end_ns / 1000,
				       .weight_us = us < UINT32_MAX ? (uint32_t)us : UINT32_MAX,
				       .cpu = (uint16_t)r->cpu,
				       .kind = STACKS_OFF,
				       .flags = (uint8_t)((unsigned)class << 4)};

	blocked.blocked = true;
	sample.node = profiler_chain_node(p, t->pid, &blocked, &sample.flags);
	sample.task = tasks_index(p->tasks, t, p->stacks, p->epoch, sample.at_us);
	stacks_add(p->stacks, &sample);
}

static void add_user(struct profiler *p, struct task *t, struct profiler_chain *c)
{
	const struct task_user *user = &t->off.user;

	unwind(p, t);
	if (user->now)
		profiler_chain_user(p, c, user->ips, user->n, user->end);
}

static void add_wait(struct profiler *p, const struct record *r, struct task *t, int64_t off_ns)
{
	struct profiler_chain c = profiler_chain_split(p, t->off.ips, t->off.n_ips);
	enum stacks_class class = t->off.preempted ? STACKS_RUNQ : class_of(p, &c, &t->off);

	add_user(p, t, &c);
	add_stretch(p, r, t, &c, class, (int64_t)r->time_ns, off_ns);
}

static void count_short(struct profiler *p, int64_t off_ns)
{
	p->state.off_short++;
	p->off_short_ns += (uint64_t)off_ns;
	p->state.off_short_us = p->off_short_ns / 1000;
}

void profiler_off_switch(struct profiler *p, const struct record *r)
{
	int64_t at_ns = (int64_t)r->time_ns, off_ns;
	struct task *t;

	if (r->pid == 0 || r->pid == NOBODY || p->off_paused)
		return;
	t = tasks_get(p->tasks, r->pid, r->tid);
	if (r->misc & PERF_RECORD_MISC_SWITCH_OUT) {
		if (!t->exited)
			offcpu_out(t, at_ns, r->misc & PERF_RECORD_MISC_SWITCH_OUT_PREEMPT);
		return;
	}
	off_ns = offcpu_in(t, at_ns);
	if (off_ns >= (int64_t)p->config.off_cpu_min_us * 1000 && off_ns > 0)
		add_wait(p, r, t, off_ns);
	else if (off_ns >= 0)
		count_short(p, off_ns);
	t->off.regs = NULL;
}

/* ---- the program in the kernel ---- */

/* The stack was taken in an interrupt: what of it is not the thread's own, goes. */
static void cut_interrupt(struct profiler *p, struct profiler_chain *c)
{
	size_t n = 0, total = c->n_kernel + c->n_user;

	while (n < c->n_kernel && !profiler_kernel_frame(p, p->ips[n] - (n > 0))->schedule)
		n++;
	if (n == c->n_kernel)
		return; /* no names */
	memmove(p->ips, p->ips + n, (total - n) * sizeof(*p->ips));
	c->n_kernel -= n;
}

/* A wait is what it waited for, and then the queue for a CPU: two stretches, one after the other, if both are long enough
 * to be kept by themselves. */
static void add_parts(struct profiler *p, const struct record *r, struct task *t,
		      const struct profiler_chain *c, const struct offcpu_wait *w)
{
	const int64_t min_ns = (int64_t)p->config.off_cpu_min_us * 1000,
		      late_ns = (int64_t)STACKS_OFF_LATE_US * 1000;
	int64_t total_ns = (int64_t)(w->until_ns - w->since_ns), queued_ns = (int64_t)w->queued_ns;
	int64_t end_ns = (int64_t)r->time_ns, blocked_ns = total_ns - queued_ns;

	/* One that ended so long ago may not come now: it gets a part of the queue, or the queue gets it. */
	if (queued_ns > late_ns)
		queued_ns = queued_ns < blocked_ns ? late_ns : total_ns;
	if (queued_ns < min_ns)
		queued_ns = 0;
	else if (total_ns - queued_ns < min_ns)
		queued_ns = total_ns;
	blocked_ns = total_ns - queued_ns;
	if (blocked_ns)
		add_stretch(p, r, t, c, class_of(p, c, &t->off), end_ns - queued_ns, blocked_ns);
	if (queued_ns)
		add_stretch(p, r, t, c, STACKS_RUNQ, end_ns, queued_ns);
}

void profiler_off_wait(struct profiler *p, const struct record *r, const struct profiler_id *id)
{
	struct record_format format = {.callchain = true,
				       .raw = true,
				       .regs_user = id->dump,
				       .stack_user = id->dump,
				       .n_regs = (uint8_t)__builtin_popcountll(unwind_regs_mask())};
	struct record_sample s;
	struct profiler_chain c;
	struct offcpu_wait w;
	struct task *t;

	if (r->pid == 0 || r->pid == NOBODY || record_read_sample(r, &format, &s) < 0 ||
	    offcpu_ebpf_read(s.raw, s.raw_len, &w) < 0)
		return;
	t = tasks_get(p->tasks, r->pid, r->tid);
	if (t->exited)
		return;
	c = profiler_chain_split(p, s.ips, s.n_ips);
	cut_interrupt(p, &c);
	t->off.user.now = false;
	t->off.regs = s.stack_len ? s.regs : NULL;
	t->off.stack = s.stack;
	t->off.stack_len = (uint32_t)s.stack_len;
	look_at_futex(&t->off);
	add_user(p, t, &c);
	add_parts(p, r, t, &c, &w);
}

/* At once when there are too many; back when a whole second had few. */
static void adapt(struct profiler *p, uint64_t kept, int64_t now_us)
{
	uint64_t n = kept - p->off_kept;
	bool second = now_us - p->off_kept_us >= 1000000;
	uint32_t min_us =
		offcpu_min_us(p->state.off_min_us, p->config.off_cpu_min_us, n, p->state.n_cpus);

	if (min_us <= p->state.off_min_us && !second)
		return;
	p->off_kept = kept;
	p->off_kept_us = now_us;
	if (min_us == p->state.off_min_us)
		return;
	p->state.off_min_us = min_us;
	offcpu_ebpf_set_min(p->ebpf, min_us);
}

void profiler_off_counts(struct profiler *p, int64_t now_us)
{
	struct offcpu_ebpf_counts c;

	if (!p->ebpf)
		return;
	offcpu_ebpf_counts(p->ebpf, &c);
	p->state.switches = c.switches;
	p->state.switches_lost = c.missed + c.dropped + c.unknown;
	p->state.off_short = c.n_short;
	p->state.off_short_us = c.short_ns / 1000;
	adapt(p, c.kept + c.dropped, now_us);
}
