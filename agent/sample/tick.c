/* One tick: every source that is due, then the frames. */
#include "sample/sampler_private.h"

#include "base/clock.h"

#include <stdio.h>
#include <string.h>

#define LEAD_LEAST_NS 2000000ull
#define HELD_UP_NS 5000000ull /* beyond eight times what a group takes */
#define TICK_AGAIN (1ull << 63)

enum { MEASURE_ONE_IN = 16, GAP_EVENT_TICKS = 2, RECOVERED_US = 60000000, OVERDUE_US = 1000000 };

static uint32_t period_ms(const struct sampler *s, const struct source_group *g)
{
	return g->period_ticks * 1000 / s->config.rate_hz;
}

/* ---- reading ---- */

static void watch_oom(struct sampler *s, const struct source_group *g)
{
	const struct batch *b = &g->batch;

	if ((int)g->index != s->oom_group || g->fresh || !b->n_live)
		return;
	int64_t now = b->rows[s->oom_metric], before = b->prev[s->oom_metric];

	if (before != VALUE_ABSENT && now != VALUE_ABSENT && now > before)
		notice_add(&s->notices, s->writer.mono_us, EVENT_OOM_KILL, SEVERITY_CRITICAL,
			   "kernel", "out of memory: %lld process%s killed",
			   (long long)(now - before), now - before == 1 ? "" : "es");
}

/* Puts a group that was read into the frame. */
static void put_group(struct sampler *s, struct source_group *g, uint64_t began_us)
{
	struct key_source *key = &s->writer.keys[g->index];
	uint32_t told = key->period_ms, now = period_ms(s, g);

	if (g->tells && !g->fresh)
		notice_instances(&s->notices, s->writer.mono_us, &g->batch);
	watch_oom(s, g);
	frame_tick_group(&s->writer.frame, g->index, &g->batch,
			 (int64_t)(began_us - s->writer.mono_us), told == now ? -1 : (int32_t)now);
	key->period_ms = now;
	g->fresh = false;
	g->series = (uint64_t)g->batch.n_live * g->batch.n_metrics;
	s->due[s->n_due++] = (struct due){.group = g, .acquired_us = began_us};
	STAT_ADD(samples, g->series);
}

static void count_cost(struct source *src, struct source_group *g, uint64_t ns)
{
	g->cost_ns = average(g->cost_ns, ns, g->period_ticks);
	src->wall_ns += g->cost_ns;
}

/* Reads one group and puts it into the frame. Who was held up meanwhile (a stop, a busy hypervisor) knows the moment of
 * what he read to no better than that: he reads again, in what counts as another tick for files that serve several
 * groups, else all that was counted meanwhile would seem to have happened in an instant. 0, > 0 failed sources, or
 * -errno. */
static int read_group(struct sampler *s, struct source *src, unsigned i, uint64_t *tick)
{
	struct source_group *g = &src->groups[i];
	uint64_t began_us = s->mark_ns / 1000;
	int r = source_fill(src, i, &g->batch, *tick, &src->report);
	uint64_t ns = mark(s);

	if (r >= 0 && ns > HELD_UP_NS + 8 * g->cost_ns) {
		began_us = s->mark_ns / 1000;
		*tick |= TICK_AGAIN;
		r = source_fill(src, i, &g->batch, *tick, &src->report);
		ns = mark(s);
	}
	if (r >= 0)
		put_group(s, g, began_us);
	count_cost(src, g, ns + mark(s));
	return r;
}

/* Asked once a tick. */
static bool is_due(struct source_group *g, uint64_t index)
{
	uint64_t p = g->period_ticks;

	if (index < g->next_due)
		return false;
	g->next_due = index - (index + p - g->phase_ticks % p) % p + p;
	return true;
}

/* ---- what becomes of a source ---- */

static void give_up(struct sampler *s, struct source *src, int r, const char *why, bool absent)
{
	bool was_running = src->proven;

	source_failed(src, s->mark_ns / 1000, r, why, absent);
	src->proven = false;
	if (absent && !was_running && !src->told_failed)
		return;
	if (!src->told_failed)
		notice_add(&s->notices, s->writer.mono_us, EVENT_COLLECTOR_FAILED, SEVERITY_WARN,
			   src->collector->name, "%s; next try in %u s", src->stat->reason,
			   src->backoff_s ? src->backoff_s : SOURCE_PROBE_AGAIN_S);
	src->told_failed = true;
}

static void prove(struct sampler *s, struct source *src)
{
	src->proven = true;
	src->proven_us = s->mark_ns / 1000;
	if (src->told_failed)
		notice_add(&s->notices, s->writer.mono_us, EVENT_COLLECTOR_OK, SEVERITY_INFO,
			   src->collector->name, "it works again");
	src->told_failed = false;
}

/* Says of each group in the log that it is not read any more, once. */
static void fall_silent(struct sampler *s, const struct source *src)
{
	for (size_t i = 0; i < src->collector->n_groups; i++) {
		struct key_source *key = &s->writer.keys[src->groups[i].index];

		if (key->period_ms)
			frame_tick_period(&s->writer.frame, src->groups[i].index, 0);
		key->period_ms = 0;
	}
}

static void disable(struct sampler *s, struct source *src, int r, const char *why)
{
	give_up(s, src, r, why, false);
	sampler_ask(s, src, SOURCE_WANT_CLOSE);
}

/* After groups of the source were read. */
static void account(struct sampler *s, struct source *src, bool changed)
{
	uint64_t series = 0;

	for (unsigned i = 0; i < src->collector->n_groups; i++)
		series += src->groups[i].series;
	changed |= !src->proven;
	if (!src->proven)
		prove(s, src);
	if (src->backoff_s && s->mark_ns / 1000 - src->proven_us > RECOVERED_US)
		src->backoff_s = 0;
	atomic_store_explicit(&src->stat->last_ns, average(STAT_OF(src, last_ns), src->wall_ns, 1),
			      memory_order_relaxed);
	atomic_store_explicit(&src->stat->series, (uint32_t)series, memory_order_relaxed);
	if (changed)
		source_publish(src, s->config.rate_hz, s->config.budget_ppm);
}

static void read_source(struct sampler *s, struct source *src)
{
	bool measure = s->random % MEASURE_ONE_IN == 0, changed = false, any = false;
	uint64_t tick = s->number;
	uint64_t cpu = measure ? s->config.cpu_ns() : 0;

	src->wall_ns = 0;
	for (unsigned i = 0; i < src->collector->n_groups; i++) {
		if (!is_due(&src->groups[i], s->index))
			continue;
		int r = read_group(s, src, i, &tick);

		if (r < 0) {
			disable(s, src, r, src->report.reason);
			return;
		}
		changed |= source_judge(src, i, r);
		any = true;
	}
	if (!any)
		return;
	if (measure)
		atomic_fetch_add_explicit(&src->stat->cost_ns,
					  (s->config.cpu_ns() - cpu) * MEASURE_ONE_IN,
					  memory_order_relaxed);
	account(s, src, changed);
}

/* ---- blocking collectors: asked first or ahead, answered last, or in a later tick ---- */

static int pass_phase(const struct source *src)
{
	return atomic_load_explicit(&src->pass.phase, memory_order_acquire);
}

static bool any_due(struct source *src, uint64_t index)
{
	bool any = false;

	for (unsigned i = 0; i < src->collector->n_groups; i++) {
		src->groups[i].asked = is_due(&src->groups[i], index);
		any |= src->groups[i].asked;
	}
	return any;
}

static void ask_pass(struct sampler *s, struct source *src)
{
	if (pass_phase(src) != PASS_IDLE || !any_due(src, s->index))
		return;
	src->pass.tick = s->number;
	src->pass.asked_us = s->writer.mono_us;
	src->pass.start_ns = src->pass.next_ns = 0;
	atomic_store(&src->pass.phase, PASS_WANTED);
	sem_post(&src->pass.wanted);
}

/* Early enough for what passes usually take, and twice that; seldom another figure, for then the
 * thread must be woken to hear of it. */
static uint64_t lead_ns(const struct sampler *s, const struct source_pass *p)
{
	uint64_t need = 2 * p->usual_ns, lead = p->lead_ns ? p->lead_ns : LEAD_LEAST_NS;

	while (lead < need)
		lead *= 2;
	while (lead / 4 > need && lead > LEAD_LEAST_NS)
		lead /= 2;
	return lead < s->period_ns / 4 ? lead : s->period_ns / 4;
}

/* For the next tick, if that is a tick of the source. */
static void ask_ahead(struct sampler *s, struct source *src)
{
	struct source_pass *p = &src->pass;

	if (source_phase(src) != SOURCE_RUNNING || pass_phase(src) != PASS_IDLE ||
	    !any_due(src, s->index + 1))
		return;
	p->lead_ns = lead_ns(s, p);
	p->tick = s->number + 1;
	p->start_ns = (s->index + 1) * s->period_ns - p->lead_ns;
	p->next_ns = p->start_ns + source_period_ticks(src) * s->period_ns;
	p->asked_us = p->start_ns / 1000;
	atomic_store(&p->phase, PASS_WANTED);
	if (atomic_load(&p->awake_ns) != p->start_ns)
		sem_post(&p->wanted);
}

/* Says that a pass does not come back, once. */
static void mind_pass(struct sampler *s, struct source *src)
{
	if (src->pass.overdue || s->writer.mono_us - src->pass.asked_us < OVERDUE_US)
		return;
	src->pass.overdue = true;
	snprintf(src->stat->reason, sizeof(src->stat->reason),
		 "no answer for a second: a read waits for a lock that somebody else holds");
	atomic_store_explicit(&src->stat->state, COLLECTOR_PARTIAL, memory_order_relaxed);
}

static void take_pass(struct sampler *s, struct source *src)
{
	bool changed = src->pass.overdue;

	src->pass.overdue = false;

	src->wall_ns = 0;
	while (sem_trywait(&src->pass.done) == 0)
		; /* of passes that were not waited for */
	src->pass.usual_ns = average(src->pass.usual_ns, src->pass.wall_ns, 1);
	s->pass_cpu_ns += src->pass.cpu_ns;
	atomic_fetch_add_explicit(&src->stat->cost_ns, src->pass.cpu_ns, memory_order_relaxed);
	atomic_store_explicit(&src->pass.phase, PASS_IDLE, memory_order_relaxed);
	for (unsigned i = 0; i < src->collector->n_groups; i++) {
		struct source_group *g = &src->groups[i];

		if (!g->asked)
			continue;
		if (g->outcome < 0) {
			disable(s, src, g->outcome, g->report.reason);
			return;
		}
		batch_publish(&g->batch, &g->own);
		put_group(s, g, g->began_ns / 1000);
		count_cost(src, g, g->took_ns);
		src->report = g->report;
		changed |= source_judge(src, i, g->outcome);
	}
	account(s, src, changed);
}

/* What is not done after a quarter of the period comes with a later tick, under its own time. */
static void take_passes(struct sampler *s)
{
	struct timespec until = {0};

	for (size_t i = 0; i < s->config.n_collectors; i++) {
		struct source *src = &s->sources[i];

		if (!src->collector->blocking || source_phase(src) != SOURCE_RUNNING ||
		    pass_phase(src) == PASS_IDLE)
			continue;
		if (!until.tv_sec)
			until = clock_after(s->period_ns / 4);
		while (pass_phase(src) != PASS_DONE &&
		       sem_clockwait(&src->pass.done, CLOCK_MONOTONIC, &until) == 0)
			;
		mark(s);
		if (pass_phase(src) == PASS_DONE)
			take_pass(s, src);
		else
			mind_pass(s, src);
	}
}

static void attend(struct sampler *s, struct source *src)
{
	switch (source_phase(src)) {
	case SOURCE_OPENED:
		source_started(src);
		__attribute__((fallthrough));
	case SOURCE_RUNNING:
		if (src->collector->blocking)
			ask_pass(s, src);
		else
			read_source(s, src);
		return;
	case SOURCE_REFUSED:
		give_up(s, src, src->outcome, src->opening.reason, src->absent);
		source_ask(src, SOURCE_IDLE);
		break;
	case SOURCE_CLOSED:
		source_ask(src, SOURCE_IDLE);
		break;
	case SOURCE_IDLE:
		if (s->mark_ns / 1000 >= src->retry_at_us)
			sampler_ask(s, src, SOURCE_WANT_OPEN);
		break;
	default:
		break;
	}
	fall_silent(s, src);
}

/* ---- budget ---- */

/* Puts the judged period in force and says so. */
static void apply(struct sampler *s, struct source *src, const struct budget_group *judged)
{
	uint32_t stretch = judged->period_ticks / judged->base_ticks;
	bool longer = stretch > src->stretch;

	if (stretch == src->stretch)
		return;
	source_stretch(src, stretch, BUDGET_LONGEST_MS * s->config.rate_hz / 1000);
	source_publish(src, s->config.rate_hz, s->config.budget_ppm);
	notice_add(&s->notices, s->writer.mono_us, EVENT_REDUCED,
		   longer ? SEVERITY_WARN : SEVERITY_INFO, src->collector->name,
		   "%s is read every %u ms%s", src->collector->name,
		   source_period_ticks(src) * 1000 / s->config.rate_hz,
		   longer ? ": the CPU budget is used up" : " again");
}

/* A collector as the budget sees it: what all its groups cost in one period of the fastest. */
static struct budget_group to_budget(const struct source *src)
{
	struct budget_group b = {.base_ticks = UINT32_MAX,
				 .fixed = src->groups[0].pinned,
				 .idle = source_phase(src) != SOURCE_RUNNING};
	double cost = 0;

	for (size_t i = 0; i < src->collector->n_groups; i++) {
		const struct source_group *g = &src->groups[i];

		b.base_ticks = g->base_ticks < b.base_ticks ? g->base_ticks : b.base_ticks;
		cost += (double)g->cost_ns / g->base_ticks;
	}
	b.period_ticks = b.base_ticks * src->stretch;
	b.cost_ns = (uint64_t)(cost * b.base_ticks);
	return b;
}

static void mind_budget(struct sampler *s, uint64_t began_ns)
{
	uint64_t wall = s->mark_ns - s->window_ns, cpu, used;
	bool overrun = s->mark_ns - began_ns > s->period_ns;

	if (wall < (overrun ? BUDGET_URGENT_MS : BUDGET_WINDOW_MS) * 1000000ull)
		return;
	cpu = s->config.cpu_ns() + s->pass_cpu_ns;
	used = (cpu - s->window_cpu_ns) * 1000000 / wall;
	s->window_ns = s->mark_ns;
	s->window_cpu_ns = cpu;
	for (size_t i = 0; i < s->config.n_collectors; i++)
		s->budget_groups[i] = to_budget(&s->sources[i]);
	if (!budget_judge(&s->budget, (uint32_t)used, s->budget_groups, s->config.n_collectors,
			  s->config.rate_hz))
		return;
	for (size_t i = 0; i < s->config.n_collectors; i++)
		apply(s, &s->sources[i], &s->budget_groups[i]);
}

/* ---- the tick ---- */

static void commit(struct sampler *s)
{
	for (size_t i = 0; i < s->n_due; i++) {
		struct source_group *g = s->due[i].group;

		s->due[i].n_attrs = g->batch.n_attr_dirty;
		s->writer.keys[g->index].acquired_us = s->due[i].acquired_us;
		batch_commit(&g->batch);
	}
	writer_committed(&s->writer, s->mark_ns / 1000);
}

/* batch_commit() has emptied the list of changed attributes; what stood in it is still there. */
static void write_attrs(struct sampler *s)
{
	for (size_t i = 0; i < s->n_due; i++) {
		const struct source_group *g = s->due[i].group;
		const struct batch *b = &g->batch;

		for (uint32_t k = 0; k < s->due[i].n_attrs; k++)
			writer_attr(&s->writer, g->index, b, b->attr_dirty[k] / b->n_attrs,
				    b->attr_dirty[k] % b->n_attrs);
	}
}

static void count_time(struct sampler *s, uint64_t now_ns, uint64_t index)
{
	uint64_t late_ns = now_ns - index * s->period_ns;
	uint64_t missed = s->index ? index - s->index - 1 : 0;

	STAT_ADD(ticks, 1);
	STAT_SET(lateness_us, late_ns / 1000);
	if (late_ns > s->period_ns / 10)
		STAT_ADD(late_ticks, 1);
	if (missed)
		STAT_ADD(missed_ticks, missed);
	if (missed > GAP_EVENT_TICKS)
		notice_add(&s->notices, now_ns / 1000, EVENT_GAP, SEVERITY_WARN, "sampler",
			   "%llu ticks missed: nothing was recorded for %.3f s",
			   (unsigned long long)missed,
			   (double)(missed + 1) * (double)s->period_ns / 1e9);
	s->number += missed + 1;
	s->index = index;
}

static void count_log(const struct sampler *s)
{
	const struct log *log = s->config.log;
	uint64_t series = 0, oldest = log_oldest_us(log);

	for (size_t i = 0; i < s->n_groups; i++)
		series += s->groups[i].series;
	STAT_SET(series, series);
	STAT_SET(log_bytes, log_bytes_total(log));
	STAT_SET(log_frames, log_newest(log));
	STAT_SET(log_bytes_held, log_bytes_held(log));
	STAT_SET(log_capacity_bytes, log_capacity(log));
	STAT_SET(retention_us,
		 oldest && s->writer.mono_us > oldest ? s->writer.mono_us - oldest : 0);
}

void sampler_tick(struct sampler *s, uint64_t now_ns)
{
	uint64_t index = now_ns / s->period_ns;

	if (index <= s->index)
		return;
	count_time(s, now_ns, index);
	s->mark_ns = now_ns;
	s->n_due = 0;
	s->random ^= s->random << 13;
	s->random ^= s->random >> 17;
	s->random ^= s->random << 5;
	writer_tick_begin(&s->writer, now_ns / 1000, s->number);
	for (size_t i = 0; i < s->config.n_collectors; i++)
		if (s->sources[i].collector->blocking)
			attend(s, &s->sources[i]);
	for (size_t i = 0; i < s->config.n_collectors; i++)
		if (!s->sources[i].collector->blocking)
			attend(s, &s->sources[i]);
	take_passes(s);
	writer_tick_end(&s->writer);
	commit(s);
	write_attrs(s);
	mind_budget(s, now_ns);
	writer_rest(&s->writer, &s->notices);
	log_wake(s->config.log);
	count_log(s);
	for (size_t i = 0; s->ahead && i < s->config.n_collectors; i++)
		if (s->sources[i].collector->blocking)
			ask_ahead(s, &s->sources[i]);
	if (atomic_load_explicit(&s->notices.written, memory_order_relaxed) !=
	    atomic_load_explicit(&s->notices.printed, memory_order_relaxed))
		sem_post(&s->wanted);
}
