#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "store/query_internal.h"
#include "store/rate.h"

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

/* What a catalog before the newest one knew becomes a group of it. */
static int adopt_older(struct scan *s)
{
	uint32_t group, metric;

	for (size_t i = 0; i < s->rq->n_selectors; i++) {
		const char *name = s->rq->selectors[i].metric;
		struct mirror older;
		int r;

		if (mirror_find_metric(s->m, name, &group, &metric))
			continue;
		mirror_init(&older);
		r = history_catalog_with(s->h, name, &older);
		if (r == 0 && mirror_find_metric(&older, name, &group, &metric))
			r = mirror_adopt(s->m, &older, group);
		mirror_done(&older);
		if (r == -ENOMEM)
			return r;
	}
	return 0;
}

int query_resolve(struct scan *s)
{
	uint32_t group, metric, n;

	query_forget_groups(s);
	if (adopt_older(s) < 0)
		return -ENOMEM;
	n = s->m->n_groups;
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

/* A new watch, of nothing yet: its number, or -ENOMEM. */
static int64_t add_watch(struct scan *s, size_t selector, const struct query_series *series)
{
	const struct mirror_metric *m = &s->m->groups[series->group].metrics[series->metric];
	struct watch *w = grown(s->watch, &s->cap_watch, s->n_watch + 1, sizeof(*w));

	if (!w)
		return -ENOMEM;
	s->watch = w;
	w = &s->watch[s->n_watch];
	*w = (struct watch){.selector = selector, .series = *series};
	w->rate = m->sem == SEM_COUNTER && !s->rq->raw;
	s->n_kept++;
	return s->n_watch++;
}

/* The instance in a slot is watched from here on. */
static int attach_watch(struct scan *s, struct follow *f, uint32_t watch, uint32_t n_metrics)
{
	struct watch *w = &s->watch[watch];
	uint32_t slot = w->series.slot;

	w->cell = slot * n_metrics + w->series.metric;
	w->has_base = false;
	if (activate(f, watch, w->cell) < 0)
		return -ENOMEM;
	w->next = f->by_slot[slot];
	f->by_slot[slot] = watch + 1;
	return 0;
}

int query_watch_slot(struct scan *s, uint32_t group, uint32_t slot)
{
	const struct mirror_group *g = &s->m->groups[group];
	struct query_series series = {.group = group, .slot = slot, .gen = g->inst[slot].gen};

	memcpy(series.instance, g->inst[slot].name, INSTANCE_NAME_MAX);
	if (need_slots(&s->follow[group], slot + 1) < 0)
		return -ENOMEM;
	for (size_t i = 0; i < s->rq->n_selectors; i++) {
		const char *want = s->rq->selectors[i].instance;
		int64_t watch;

		series.metric = s->selected[2 * i + 1];
		if (s->selected[2 * i] != group + 1 ||
		    (want && strcmp(want, series.instance) != 0) ||
		    find_watch(s, &s->follow[group], slot, series.metric))
			continue;
		if (s->joins)
			watch = query_find(s, i, &series, g->inst[slot].id);
		else if (s->n_kept < QUERY_SERIES_MAX)
			watch = add_watch(s, i, &series);
		else
			watch = UINT32_MAX;
		if (watch == UINT32_MAX) {
			s->res->truncated = true;
			return 0;
		}
		if (watch < 0 ||
		    attach_watch(s, &s->follow[group], (uint32_t)watch, g->n_metrics) < 0)
			return -ENOMEM;
	}
	return 0;
}

/* ---- series of blocks ---- */

static uint32_t hash_of(const struct query_series *q)
{
	uint32_t h = q->group * 31 + q->metric;

	for (const char *p = q->instance; *p; p++)
		h = (h ^ (uint8_t)*p) * 16777619;
	return h ^ h >> 15;
}

static bool same_series(const struct query_series *a, const struct query_series *b)
{
	return a->metric == b->metric && a->group == b->group &&
	       strcmp(a->instance, b->instance) == 0;
}

static int grow_found(struct scan *s)
{
	uint32_t n = s->n_found ? 2 * s->n_found : 64, *found = calloc(n, sizeof(*found));

	if (!found)
		return -ENOMEM;
	free(s->found);
	s->found = found;
	s->n_found = n;
	for (uint32_t i = 0; i < s->n_watch; i++) {
		uint32_t *at = &found[hash_of(&s->watch[i].series) & (n - 1)];

		s->watch[i].chain = *at;
		*at = i + 1;
	}
	return 0;
}

int64_t query_find(struct scan *s, size_t selector, const struct query_series *series, uint64_t id)
{
	uint32_t hash = hash_of(series), newest = 0;
	int64_t watch;

	if (s->n_watch >= s->n_found && grow_found(s) < 0)
		return -ENOMEM;
	for (uint32_t i = s->found[hash & (s->n_found - 1)]; i; i = s->watch[i - 1].chain) {
		const struct watch *w = &s->watch[i - 1];

		if (!same_series(&w->series, series))
			continue;
		newest = newest ? newest : i;
		if (w->log_number == s->log_number && w->series.slot == series->slot &&
		    w->series.gen == series->gen)
			return i - 1;
	}
	if (newest && s->watch[newest - 1].log_number != s->log_number &&
	    s->watch[newest - 1].id == id) { /* the same thing, in the log before */
		struct watch *w = &s->watch[newest - 1];

		w->log_number = s->log_number;
		w->series.slot = series->slot;
		w->series.gen = series->gen;
		return newest - 1;
	}
	if (s->n_kept >= QUERY_SERIES_MAX) {
		s->res->truncated = true;
		return UINT32_MAX;
	}
	watch = add_watch(s, selector, series);
	if (watch >= 0) {
		uint32_t *at = &s->found[hash & (s->n_found - 1)];
		struct watch *w = &s->watch[watch];

		w->log_number = s->log_number;
		w->id = id;
		w->chain = *at;
		*at = (uint32_t)watch + 1;
	}
	return watch;
}

void query_unwatch_slot(struct scan *s, struct follow *f, uint32_t slot, uint64_t at_us)
{
	if (slot >= f->n_slots || !f->by_slot[slot])
		return;
	for (uint32_t i = f->by_slot[slot]; i; i = s->watch[i - 1].next) {
		struct watch *w = &s->watch[i - 1];

		if (!w->series.points && (int64_t)at_us < s->rq->from_us) {
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
	/* A read in the range may yet come, when a worker publishes it late. */
	bool in_range = (int64_t)s->m->mono_us < s->rq->to_us ||
			(g->acquired_us && (int64_t)g->acquired_us < s->rq->to_us);

	for (uint32_t slot = 0; slot < f->n_slots; slot++)
		if (f->by_slot[slot] &&
		    (slot >= g->n_slots || !g->inst[slot].live ||
		     s->watch[f->by_slot[slot] - 1].series.gen != g->inst[slot].gen))
			query_unwatch_slot(s, f, slot, s->m->mono_us);
	for (uint32_t slot = 0; in_range && slot < g->n_slots; slot++)
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
	int64_t at = (int64_t)at_us;
	bool in_range = !s->quiet && at >= s->rq->from_us && at < s->rq->to_us;
	size_t point = in_range ? (at_us - (uint64_t)s->rq->from_us) / s->res->step_us : 0;

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
			query_add(&w->series.points[point], v, at);
	}
}
