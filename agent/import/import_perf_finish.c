/* At the end of perf script text: which event counts, and what a sample of it weighs. */
#include "import/import_perf.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { DELTAS_MAX = 1 << 16, CPUS_MAX = 4096 };

/* "cycles" is "cycles:ppp", too. */
static bool is_event(const char *name, const char *wanted)
{
	size_t n = strlen(wanted);

	return strncmp(name, wanted, n) == 0 && (!name[n] || name[n] == ':');
}

static int find_event(const struct perf_read *x, uint32_t *ret)
{
	const char *names[EVENTS_MAX];

	for (uint32_t i = 0; i < x->n_events; i++) {
		names[i] = x->events[i].name;
		if (is_event(names[i], x->m->event)) {
			*ret = i;
			return 0;
		}
	}
	return import_no_event(x->m, "event", names, x->n_events);
}

static uint32_t choose_event(const struct perf_read *x)
{
	uint32_t best = 0;

	for (uint32_t i = 1; i < x->n_events; i++)
		if (import_perf_is_off_cpu(x->events[best].name) ||
		    (x->events[i].n > x->events[best].n &&
		     !import_perf_is_off_cpu(x->events[i].name)))
			best = i;
	return best;
}

static int by_time(const void *a, const void *b)
{
	const struct pending *p = a, *q = b;

	if (p->sample.at_us != q->sample.at_us)
		return p->sample.at_us < q->sample.at_us ? -1 : 1;
	return p->order < q->order ? -1 : p->order > q->order;
}

static int by_value(const void *a, const void *b)
{
	uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;

	return x < y ? -1 : x > y;
}

/* From how far samples of one CPU are apart, which idle time makes further at most. 0: not to be told. */
static uint32_t measure_hz(const struct perf_read *x, uint32_t event)
{
	int64_t *last = calloc(CPUS_MAX, sizeof(*last));
	uint32_t *deltas = malloc(DELTAS_MAX * sizeof(*deltas));
	size_t n = 0;
	uint32_t hz = 0;

	for (size_t i = 0; last && deltas && i < x->n_samples && n < DELTAS_MAX; i++) {
		const struct stacks_sample *s = &x->samples[i].sample;
		int64_t *was = &last[s->cpu % CPUS_MAX];

		if (x->samples[i].event != event)
			continue;
		if (*was && s->at_us > *was && s->at_us - *was < 10000000)
			deltas[n++] = (uint32_t)(s->at_us - *was);
		*was = s->at_us;
	}
	if (n) {
		qsort(deltas, n, sizeof(*deltas), by_value);
		hz = import_perf_known_hz(1e6 / deltas[n / 2]);
	}
	free(last);
	free(deltas);
	return hz;
}

struct weighing {
	uint32_t event, weight_us; /* weight_us 0: the period in ns */
};

static struct weighing weigh(struct perf_read *x, uint32_t chosen)
{
	struct weighing w = {.event = chosen};
	const char *event = x->events[w.event].name;
	struct import_result *res = x->m->res;
	uint64_t period = 0;

	for (size_t i = 0; i < x->n_samples && !period; i++)
		period = x->samples[i].event == w.event ? x->samples[i].period : 0;
	snprintf(res->event, sizeof(res->event), "%s", event);
	if (import_perf_is_off_cpu(event))
		return w;
	if (import_perf_is_clock(event) && period >= 1000 && period <= 1000000000) {
		x->s->hz = import_perf_known_hz(1e9 / (double)period);
		return w;
	}
	if (!import_perf_is_tracepoint(event) && !x->no_time)
		x->s->hz = measure_hz(x, w.event);
	w.weight_us = x->s->hz ? (1000000 + x->s->hz / 2) / x->s->hz : 1;
	if (!x->s->hz)
		strcpy(res->unit, "samples");
	return w;
}

static int add_tasks(struct perf_read *x)
{
	for (size_t i = 0; i < x->n_tasks; i++) {
		const struct task *t = &x->tasks[i];
		const uint32_t *main = idmap_get(&x->mains, t->pid);
		struct stacks_task made = {
			.pid = t->pid, .tid = t->tid, .comm = t->comm, .process = *main};
		uint32_t id = stacks_task(x->s, &made);

		if (stacks_failed(x->s))
			return -ENOMEM;
		x->tasks[i].comm = id; /* from here on its number there */
	}
	return 0;
}

static int add_sample(struct perf_read *x, struct pending *p, const struct weighing *w)
{
	bool off = import_perf_is_off_cpu(x->events[p->event].name);
	uint64_t us = p->period / 1000;

	if (p->event != w->event && (!off || x->m->event)) {
		x->m->res->others++;
		return 0;
	}
	p->sample.kind = off ? STACKS_OFF : STACKS_CPU;
	p->sample.weight_us =
		off || !w->weight_us ? us > UINT32_MAX ? UINT32_MAX : (uint32_t)us : w->weight_us;
	if (!p->sample.weight_us)
		p->sample.weight_us = 1;
	p->sample.task = x->tasks[p->sample.task].comm;
	return stacks_add(x->s, &p->sample);
}

/* A file of stretches off the CPU begins with the first of them, not where that ended. */
static void set_range(struct perf_read *x, const struct weighing *w)
{
	struct stacks *s = x->s;
	bool off = import_perf_is_off_cpu(x->events[w->event].name);

	s->from_us = x->samples[0].sample.at_us;
	s->to_us = x->samples[x->n_samples - 1].sample.at_us + 1;
	for (uint32_t i = 0; off && i < s->n_samples; i++) {
		int64_t began_us = s->samples[i].at_us - s->samples[i].weight_us;

		if (s->samples[i].kind == STACKS_OFF && began_us < s->from_us)
			s->from_us = began_us;
	}
}

int perf_read_finish(struct perf_read *x)
{
	struct stacks *s = x->s;
	struct weighing w;
	uint16_t cpus = 0;
	uint32_t event = 0;
	int r = 0;

	if (!x->n_samples)
		return 0;
	event = choose_event(x);
	if (x->m->event)
		r = find_event(x, &event);
	if (r < 0)
		return r;
	qsort(x->samples, x->n_samples, sizeof(*x->samples), by_time);
	s->has_time = !x->no_time;
	s->has_cpu = !x->no_cpu;
	w = weigh(x, event);
	r = add_tasks(x);
	for (size_t i = 0; i < x->n_samples && r == 0; i++) {
		r = add_sample(x, &x->samples[i], &w);
		if (x->samples[i].sample.cpu >= cpus)
			cpus = (uint16_t)(x->samples[i].sample.cpu + 1);
	}
	s->n_cpus = s->has_cpu ? cpus : 0;
	set_range(x, &w);
	return r;
}
