/* The life of a source: opening, failing, coming back; and what the stats say of it. */
#include "sample/source.h"

#include "base/clock.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

/* Who is woken when there is something to do waits long. */
#define PASS_IDLE_NS 60000000000ull

/* ---- opener ---- */

static void answer(struct source *s, enum source_phase phase)
{
	atomic_store_explicit(&s->phase, (int)phase, memory_order_release);
}

static void serve_open(struct source *s, const struct host *host)
{
	const struct collector *c = s->collector;
	int r = 0;

	s->opening = (struct collector_report){0};
	s->absent = false;
	if (c->probe && (r = c->probe(host, &s->opening)) < 0)
		s->absent = true;
	if (!r) {
		s->opening = (struct collector_report){0};
		memset(s->state, 0, c->state_size);
		r = c->open(s->state, host, &s->opening);
		if (r < 0)
			c->close(s->state);
	}
	s->outcome = r < 0 ? r : 0;
	if (r >= 0)
		atomic_store(&s->usable, ++s->n_openings);
	answer(s, r < 0 ? SOURCE_REFUSED : SOURCE_OPENED);
}

/* False: a worker is still inside, try again later. */
static bool serve_close(struct source *s)
{
	atomic_store(&s->usable, 0);
	if (atomic_load(&s->busy)) {
		if (s->collector->wake)
			s->collector->wake(s->state);
		answer(s, SOURCE_WANT_CLOSE);
		return false;
	}
	s->collector->close(s->state);
	answer(s, SOURCE_CLOSED);
	return true;
}

static bool take(struct source *s, int want, int become)
{
	return atomic_compare_exchange_strong(&s->phase, &want, become);
}

bool source_serve(struct source *s, const struct host *host)
{
	if (take(s, SOURCE_WANT_OPEN, SOURCE_OPENING)) {
		serve_open(s, host);
		return true;
	}
	if (take(s, SOURCE_WANT_CLOSE, SOURCE_CLOSING))
		return serve_close(s);
	return false;
}

/* ---- workers ---- */

bool source_work(struct source *s, unsigned worker, const struct host *host, uint32_t *ended)
{
	bool worked = false;

	atomic_fetch_add(&s->busy,
			 1); /* before `usable` is read: serve_close() does it the other way */
	uint32_t opening = atomic_load(&s->usable);

	if (opening && opening != *ended) {
		worked = true;
		if (s->collector->work(s->state, worker, host) < 0)
			*ended = opening;
	}
	atomic_fetch_sub(&s->busy, 1);
	return worked;
}

void source_wake(struct source *s)
{
	atomic_fetch_add(&s->busy, 1); /* it is not closed meanwhile */
	if (s->collector->wake && atomic_load(&s->usable))
		s->collector->wake(s->state);
	atomic_fetch_sub(&s->busy, 1);
}

/* ---- reading ---- */

/* A managed group's collector may have forgotten what it had before it was opened anew: what its
 * first pass does not read is over. */
static void end_unread(struct batch *b)
{
	for (uint32_t i = 0; i < b->n_slots; i++)
		if (b->inst[i].live && b->inst[i].seen != b->pass)
			batch_end(b, i);
}

int source_fill(const struct source *s, unsigned g, struct batch *b, uint64_t tick,
		struct collector_report *report)
{
	int r;

	batch_begin(b, tick);
	report->reason[0] = 0;
	r = s->collector->sample(s->state, g, b, report);
	if (r < 0)
		return r;
	if (s->groups[g].fresh)
		end_unread(b);
	batch_finish(b);
	return r;
}

static bool pass_is_wanted(const struct source *s)
{
	return atomic_load(&s->pass.phase) == PASS_WANTED;
}

void source_pass_wait(struct source *s, uint64_t (*now_ns)(void))
{
	struct source_pass *p = &s->pass;
	uint64_t now = now_ns(), until = atomic_load(&p->awake_ns);

	if (pass_is_wanted(s))
		until = p->start_ns;
	else if (until <= now)
		until = 0; /* nobody wanted one when it was time */
	/* Before `phase` is looked at: who asks ahead does it the other way. */
	atomic_store(&p->awake_ns, until);
	if (pass_is_wanted(s) && p->start_ns != until)
		return;
	if (pass_is_wanted(s) && until <= now)
		return;
	uint64_t ns = until ? until - now : PASS_IDLE_NS;
	struct timespec at = clock_after(ns);

	sem_clockwait(&p->wanted, CLOCK_MONOTONIC, &at);
}

void source_pass(struct source *s, uint64_t (*now_ns)(void), uint64_t (*cpu_ns)(void))
{
	uint64_t cpu, began;
	int r = 0;

	if (!pass_is_wanted(s) || (began = now_ns()) < s->pass.start_ns)
		return;
	cpu = cpu_ns();
	for (unsigned i = 0; i < s->collector->n_groups && r >= 0; i++) {
		struct source_group *g = &s->groups[i];

		if (!g->asked)
			continue;
		uint64_t spent = cpu_ns();

		g->began_ns = now_ns();
		r = g->outcome = source_fill(s, i, &g->own, s->pass.tick, &g->report);
		g->took_ns = cpu_ns() - spent; /* waiting costs nothing */
	}
	s->pass.cpu_ns = cpu_ns() - cpu;
	s->pass.wall_ns = now_ns() - began;
	atomic_store(&s->pass.awake_ns, s->pass.next_ns);
	atomic_store_explicit(&s->pass.phase, PASS_DONE, memory_order_release);
	sem_post(&s->pass.done);
}

/* ---- sampler ---- */

void source_ask(struct source *s, enum source_phase want)
{
	answer(s, want);
}

void source_started(struct source *s)
{
	s->report = (struct collector_report){.tier = s->opening.tier};
	s->fault[0] = 0;
	s->proven = false;
	s->stat->tier = s->opening.tier;
	for (size_t i = 0; i < s->collector->n_groups; i++) {
		s->groups[i].fresh = true;
		s->groups[i].next_due = 0;
		s->groups[i].failing = 0;
		s->groups[i].report = s->report;
	}
	answer(s, SOURCE_RUNNING);
}

void source_failed(struct source *s, uint64_t now_us, int r, const char *why, bool absent)
{
	uint32_t wait_s = SOURCE_PROBE_AGAIN_S;

	if (!absent) {
		s->backoff_s = !s->backoff_s ? 1 : s->backoff_s * 2;
		if (s->backoff_s > SOURCE_BACKOFF_MAX_S)
			s->backoff_s = SOURCE_BACKOFF_MAX_S;
		wait_s = s->backoff_s;
		atomic_fetch_add_explicit(&s->stat->n_errors, 1, memory_order_relaxed);
	}
	s->retry_at_us = now_us + wait_s * 1000000ull;
	if (why[0])
		snprintf(s->stat->reason, sizeof(s->stat->reason), "%s", why);
	else
		snprintf(s->stat->reason, sizeof(s->stat->reason), "%s", strerrordesc_np(-r));
	s->stat->tier = NULL;
	atomic_store_explicit(&s->stat->state, absent ? COLLECTOR_ABSENT : COLLECTOR_FAILED,
			      memory_order_relaxed);
	atomic_store_explicit(&s->stat->retry_at_us, s->retry_at_us, memory_order_relaxed);
	atomic_store_explicit(&s->stat->series, 0, memory_order_relaxed);
	atomic_store_explicit(&s->stat->period_ms, 0, memory_order_relaxed);
	for (size_t i = 0; i < s->collector->n_groups; i++)
		s->groups[i].series = 0;
}

bool source_judge(struct source *s, unsigned g, int r)
{
	bool changed = !s->groups[g].failing != !r || s->stat->tier != s->report.tier;

	s->groups[g].failing = r;
	if (s->report.reason[0]) {
		changed |= strcmp(s->fault, s->report.reason) != 0;
		memcpy(s->fault, s->report.reason, sizeof(s->fault));
		s->fault_group = g;
	} else if (s->fault[0] && s->fault_group == g) {
		s->fault[0] = 0;
		changed = true;
	}
	return changed;
}

void source_stretch(struct source *s, uint32_t stretch, uint32_t longest_ticks)
{
	s->stretch = stretch;
	for (size_t i = 0; i < s->collector->n_groups; i++) {
		struct source_group *g = &s->groups[i];
		uint32_t ticks = g->base_ticks * stretch;

		if (ticks > longest_ticks)
			ticks = g->base_ticks > longest_ticks ? g->base_ticks : longest_ticks;
		if (ticks < g->period_ticks)
			g->next_due = 0;
		g->period_ticks = ticks;
	}
}

uint32_t source_period_ticks(const struct source *s)
{
	uint32_t fastest = UINT32_MAX;

	for (size_t i = 0; i < s->collector->n_groups; i++)
		if (s->groups[i].period_ticks < fastest)
			fastest = s->groups[i].period_ticks;
	return fastest;
}

static void give_reason(struct source *s, uint32_t rate_hz, uint32_t budget_ppm)
{
	const char *why = s->fault[0] ? s->fault : s->opening.reason;

	if (s->stretch > 1)
		snprintf(s->stat->reason, sizeof(s->stat->reason),
			 "%s at %.3g Hz, budget of %.3g %% of a core reached%s%.100s",
			 s->collector->name, (double)rate_hz / source_period_ticks(s),
			 budget_ppm / 1e4, *why ? "; " : "", why);
	else
		memmove(s->stat->reason, why, sizeof(s->stat->reason));
}

void source_publish(struct source *s, uint32_t rate_hz, uint32_t budget_ppm)
{
	uint64_t series = 0;
	bool partial = false;

	for (size_t i = 0; i < s->collector->n_groups; i++) {
		const struct source_group *g = &s->groups[i];

		partial |= g->failing > 0;
		series += g->series;
	}
	give_reason(s, rate_hz, budget_ppm);
	s->stat->tier = s->report.tier;
	atomic_store_explicit(&s->stat->state,
			      s->stretch > 1 ? COLLECTOR_REDUCED
			      : partial	     ? COLLECTOR_PARTIAL
					     : COLLECTOR_OK,
			      memory_order_relaxed);
	atomic_store_explicit(&s->stat->period_ms, source_period_ticks(s) * 1000 / rate_hz,
			      memory_order_relaxed);
	atomic_store_explicit(&s->stat->series, (uint32_t)series, memory_order_relaxed);
	atomic_store_explicit(&s->stat->retry_at_us, 0, memory_order_relaxed);
}
