#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "store/query_internal.h"

static void *grown(void *a, uint32_t *cap, uint32_t need, size_t size)
{
	uint32_t n = *cap ? *cap : 16;

	while (n < need)
		n *= 2;
	if (n == *cap)
		return a;
	a = realloc(a, n * size);
	if (a)
		*cap = n;
	return a;
}

/* ---- selection ---- */

void query_forget_groups(struct scan *s)
{
	for (uint32_t g = 0; g < s->n_groups; g++) {
		free(s->follow[g].active);
		free(s->follow[g].cell);
		free(s->follow[g].by_slot);
	}
	free(s->follow);
	free(s->wanted);
	s->follow = NULL;
	s->wanted = NULL;
	s->n_groups = 0;
	s->m->only = NULL;
}

int query_resolve(struct scan *s)
{
	uint32_t group, metric, n = s->m->n_groups;

	query_forget_groups(s);
	s->follow = calloc(n ? n : 1, sizeof(*s->follow));
	s->wanted = calloc(n ? n : 1, sizeof(*s->wanted));
	if (!s->follow || !s->wanted)
		return -ENOMEM;
	s->n_groups = n;
	for (size_t i = 0; i < s->rq->n_selectors; i++) {
		s->selected[2 * i] = 0;
		if (!mirror_find_metric(s->m, s->rq->selectors[i].metric, &group, &metric))
			continue;
		s->selected[2 * i] = group + 1;
		s->selected[2 * i + 1] = metric;
		s->follow[group].wanted = s->wanted[group] = true;
		s->resolved = true;
	}
	s->m->only = s->wanted;
	return 0;
}

static struct watch *find_watch(struct scan *s, const struct follow *f, uint32_t slot,
				uint32_t metric)
{
	for (uint32_t i = slot < f->n_slots ? f->by_slot[slot] : 0; i; i = s->watch[i - 1].next)
		if (s->watch[i - 1].series.metric == metric)
			return &s->watch[i - 1];
	return NULL;
}

static int need_slots(struct follow *f, uint32_t n)
{
	uint32_t cap = f->n_slots, *a;

	if (n <= cap)
		return 0;
	a = grown(f->by_slot, &cap, n, sizeof(*a));
	if (!a)
		return -ENOMEM;
	memset(a + f->n_slots, 0, (cap - f->n_slots) * sizeof(*a));
	f->by_slot = a;
	f->n_slots = cap;
	return 0;
}

/* The first active watch of a group whose cell is not before `cell`. */
static uint32_t find_active(const struct follow *f, uint32_t cell)
{
	uint32_t lo = 0, hi = f->n_active;

	while (lo < hi) {
		uint32_t mid = lo + (hi - lo) / 2;

		if (f->cell[mid] < cell)
			lo = mid + 1;
		else
			hi = mid;
	}
	return lo;
}

static int activate(struct follow *f, uint32_t watch, uint32_t cell)
{
	uint32_t at = find_active(f, cell), n = f->n_active - at;
	uint32_t *active = grown(f->active, &f->cap_active, f->n_active + 1, sizeof(*active)),
		 *cells;

	if (!active)
		return -ENOMEM;
	f->active = active;
	cells = grown(f->cell, &f->cap_cell, f->n_active + 1, sizeof(*cells));
	if (!cells)
		return -ENOMEM;
	f->cell = cells;
	memmove(f->active + at + 1, f->active + at, n * sizeof(*f->active));
	memmove(f->cell + at + 1, f->cell + at, n * sizeof(*f->cell));
	f->active[at] = watch;
	f->cell[at] = cell;
	f->n_active++;
	return 0;
}

static void deactivate(struct follow *f, uint32_t cell)
{
	uint32_t at = find_active(f, cell), n = --f->n_active - at;

	memmove(f->active + at, f->active + at + 1, n * sizeof(*f->active));
	memmove(f->cell + at, f->cell + at + 1, n * sizeof(*f->cell));
}

static int add_watch(struct scan *s, uint32_t group, uint32_t slot, uint32_t metric,
		     size_t selector)
{
	const struct mirror_group *g = &s->m->groups[group];
	struct follow *f = &s->follow[group];
	struct watch *w = grown(s->watch, &s->cap_watch, s->n_watch + 1, sizeof(*w));

	if (!w)
		return -ENOMEM;
	s->watch = w;
	w = &s->watch[s->n_watch];
	*w = (struct watch){.selector = selector, .next = f->by_slot[slot]};
	w->cell = slot * g->n_metrics + metric;
	w->rate = g->metrics[metric].sem == SEM_COUNTER && !s->rq->raw;
	w->series = (struct query_series){
		.group = group, .metric = metric, .slot = slot, .gen = g->inst[slot].gen};
	memcpy(w->series.instance, g->inst[slot].name, INSTANCE_NAME_MAX);
	if (activate(f, s->n_watch, w->cell) < 0)
		return -ENOMEM;
	f->by_slot[slot] = ++s->n_watch;
	s->n_kept++;
	return 0;
}

int query_watch_slot(struct scan *s, uint32_t group, uint32_t slot)
{
	const char *name = s->m->groups[group].inst[slot].name;

	if (need_slots(&s->follow[group], slot + 1) < 0)
		return -ENOMEM;
	for (size_t i = 0; i < s->rq->n_selectors; i++) {
		const char *want = s->rq->selectors[i].instance;
		int r;

		if (s->selected[2 * i] != group + 1 || (want && strcmp(want, name) != 0) ||
		    find_watch(s, &s->follow[group], slot, s->selected[2 * i + 1]))
			continue;
		if (s->n_kept == QUERY_SERIES_MAX) {
			s->res->truncated = true;
			return 0;
		}
		r = add_watch(s, group, slot, s->selected[2 * i + 1], i);
		if (r < 0)
			return r;
	}
	return 0;
}

void query_unwatch_slot(struct scan *s, struct follow *f, uint32_t slot, uint64_t at_us)
{
	if (slot >= f->n_slots || !f->by_slot[slot])
		return;
	for (uint32_t i = f->by_slot[slot]; i; i = s->watch[i - 1].next) {
		struct watch *w = &s->watch[i - 1];

		if (!w->series.points && at_us < s->rq->from_us) {
			w->dropped = true;
			s->n_kept--;
		}
		deactivate(f, w->cell);
	}
	f->by_slot[slot] = 0;
}

/* Makes the watches of a group those of the instances that live now, their bases the values now. */
static int sync_group(struct scan *s, uint32_t group)
{
	const struct mirror_group *g = &s->m->groups[group];
	struct follow *f = &s->follow[group];

	for (uint32_t slot = 0; slot < f->n_slots; slot++)
		if (f->by_slot[slot] &&
		    (slot >= g->n_slots || !g->inst[slot].live ||
		     s->watch[f->by_slot[slot] - 1].series.gen != g->inst[slot].gen))
			query_unwatch_slot(s, f, slot, s->m->mono_us);
	for (uint32_t slot = 0; slot < g->n_slots && s->m->mono_us < s->rq->to_us; slot++)
		if (g->inst[slot].live && query_watch_slot(s, group, slot) < 0)
			return -ENOMEM;
	for (uint32_t i = 0; i < f->n_active; i++) {
		struct watch *w = &s->watch[f->active[i]];

		w->base = w->value = g->rows[w->cell];
		w->has_base = w->base != VALUE_ABSENT && g->acquired_us;
	}
	f->resting = !g->period_ms;
	return 0;
}

int query_sync(struct scan *s)
{
	for (uint32_t g = 0; g < s->n_groups; g++)
		if (s->follow[g].wanted && sync_group(s, g) < 0)
			return -ENOMEM;
	return 0;
}

/* ---- samples ---- */

int query_apply(struct scan *s, const struct tick_group *t)
{
	const struct follow *f = &s->follow[t->group];
	const uint32_t *cell = f->cell, *last = cell ? cell + f->n_active : NULL;
	const uint8_t *p = t->absent;
	uint32_t index = FRAME_NO_INDEX;

	for (uint32_t i = 0; i < t->n_absent; i++) {
		frame_walk_absent(&p, &index);
		while (cell < last && *cell < index)
			cell++;
		if (cell < last && *cell == index)
			s->watch[f->active[cell - f->cell]].value = VALUE_ABSENT;
	}
	cell = f->cell;
	index = FRAME_NO_INDEX;
	p = t->changes;
	while (p < t->end && cell < last) { /* no one asks for what follows the last cell */
		const uint8_t *before = p;
		struct watch *w;
		int64_t delta;

		if (!frame_pass_change(&p, t->end, &index))
			return -EBADMSG;
		while (cell < last && *cell < index)
			cell++;
		if (cell == last || *cell != index)
			continue;
		w = &s->watch[f->active[cell - f->cell]];
		frame_get_change(&before, t->end, &(uint32_t){0}, &delta);
		w->value = (int64_t)((w->value == VALUE_ABSENT ? 0 : (uint64_t)w->value) +
				     (uint64_t)delta);
	}
	return 0;
}

/* Thousandths a second. */
static int64_t rate_of(uint64_t delta, uint64_t dt_us)
{
	double r;

	if (delta <= INT64_MAX / 1000000000)
		return (int64_t)((delta * 1000000000 + dt_us / 2) / dt_us);
	r = (double)delta * 1e9 / (double)dt_us;
	return r < 9.2e18 ? (int64_t)r : INT64_MAX;
}

static void add_sample(struct query_point *p, int64_t v, uint64_t at_us)
{
	if (!p->n) {
		p->first = p->min = p->max = v;
	} else {
		p->min = v < p->min ? v : p->min;
		p->max = v > p->max ? v : p->max;
	}
	p->last = v;
	p->sum += (double)v;
	p->last_us = at_us;
	p->n++;
}

bool query_need_points(struct scan *s, struct watch *w)
{
	if (w->series.points)
		return true;
	uint32_t max = s->rq->cells_max;

	if (s->n_cells + s->rq->points > (max && max < CELLS_MAX ? max : CELLS_MAX)) {
		s->res->truncated = true;
		return false;
	}
	w->series.points = calloc(s->rq->points, sizeof(*w->series.points));
	s->n_cells += s->rq->points;
	return w->series.points;
}

void query_take(struct scan *s, uint32_t group, uint64_t at_us, uint64_t dt_us)
{
	struct follow *f = &s->follow[group];
	bool in_range = at_us >= s->rq->from_us && at_us < s->rq->to_us;
	size_t point = in_range ? (at_us - s->rq->from_us) / s->res->step_us : 0;

	for (uint32_t i = 0; i < f->n_active; i++) {
		struct watch *w = &s->watch[f->active[i]];
		int64_t v = w->value, base = w->base;
		bool had_base = w->has_base;

		w->base = v;
		w->has_base = v != VALUE_ABSENT;
		if (!in_range || !w->has_base)
			continue;
		if (w->rate) {
			if (!had_base || !dt_us || v < base)
				continue;
			v = v == base ? 0 : rate_of((uint64_t)v - (uint64_t)base, dt_us);
		}
		if (query_need_points(s, w))
			add_sample(&w->series.points[point], v, at_us);
	}
}
