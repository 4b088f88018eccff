#include "export/samples_internal.h"

#include "store/rate.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

int samples_open(struct samples **ret, const struct samples_config *c)
{
	struct samples *s = calloc(1, sizeof(*s));

	if (!s)
		return -ENOMEM;
	s->c = *c;
	capture_walk_init(&s->walk);
	*ret = s;
	return 0;
}

void samples_close(struct samples *s)
{
	if (!s)
		return;
	for (struct read *r = s->first, *next; r; r = next) {
		next = r->next;
		free(r);
	}
	samples_forget_want(s->before, s->n_groups);
	samples_forget_blocks(s);
	capture_walk_done(&s->walk);
	free(s);
}

/* ---- in order ---- */

void samples_insert(struct samples *s, struct read *r)
{
	struct read **at = &s->first;

	if (s->last && s->last->at_us <= r->at_us)
		at = &s->last->next;
	else if (s->inserted && s->inserted->at_us <= r->at_us)
		at = &s->inserted->next;
	while (*at && (*at)->at_us <= r->at_us)
		at = &(*at)->next;
	r->next = *at;
	*at = r;
	s->inserted = r;
	if (!r->next)
		s->last = r;
}

struct read *samples_read_new(const struct mirror_group *g, int64_t at_us, size_t n_max,
			      size_t names_max)
{
	struct read *r = malloc(sizeof(*r) + n_max * sizeof(struct item) + names_max);

	if (!r)
		return NULL;
	*r = (struct read){.at_us = at_us, .group = g};
	r->names = (char *)(r->items + n_max);
	return r;
}

static int give(struct samples *s, const struct read *r)
{
	struct sample out = {.at_us = r->at_us};
	int e = 0;

	out.wall_us = r->of_block ? samples_plus(r->at_us, r->real_off_us)
				  : mirror_wall_us(&s->walk.mirror, (uint64_t)r->at_us);
	for (size_t i = 0; e == 0 && i < r->n; i++) {
		out.metric = &r->group->metrics[r->items[i].metric];
		out.instance = r->names + r->items[i].name;
		out.value = r->items[i].value;
		out.rate = r->items[i].rate;
		e = s->c.each(s->c.arg, &out);
	}
	return e;
}

int samples_give_until(struct samples *s, int64_t us)
{
	int e = 0;

	while (e == 0 && s->first && s->first->at_us <= us) {
		struct read *r = s->first;

		e = give(s, r);
		s->first = r->next;
		s->last = s->first ? s->last : NULL;
		s->inserted = s->inserted == r ? NULL : s->inserted;
		free(r);
	}
	return e;
}

int samples_flush(struct samples *s)
{
	return samples_give_until(s, INT64_MAX);
}

/* ---- the groups ---- */

struct before *samples_want(const struct samples *s, const struct mirror *m)
{
	struct before *before = calloc(m->n_groups + 1, sizeof(*before));

	for (uint32_t i = 0; before && i < m->n_groups; i++) {
		struct before *b = &before[i];

		b->wanted = calloc(m->groups[i].n_metrics, sizeof(*b->wanted));
		if (!b->wanted) {
			samples_forget_want(before, m->n_groups);
			return NULL;
		}
		for (uint32_t k = 0; k < m->groups[i].n_metrics; k++) {
			b->wanted[k] = s->c.wanted(s->c.arg, m->groups[i].metrics[k].name);
			b->any |= b->wanted[k];
		}
	}
	return before;
}

void samples_forget_want(struct before *before, uint32_t n_groups)
{
	for (uint32_t i = 0; before && i < n_groups; i++) {
		free(before[i].wanted);
		free(before[i].gens);
		free(before[i].rows);
	}
	free(before);
}

static int take_catalog(struct samples *s)
{
	s->before = samples_want(s, &s->walk.mirror);
	if (!s->before)
		return -ENOMEM;
	s->n_groups = s->walk.mirror.n_groups;
	return 0;
}

static int remember(struct before *b, const struct mirror_group *g)
{
	if (g->n_slots > b->cap_slots) {
		uint32_t cap = g->n_slots + g->n_slots / 2 + 1;
		uint32_t *gens = realloc(b->gens, cap * sizeof(*gens));
		int64_t *rows;

		if (!gens)
			return -ENOMEM;
		b->gens = gens;
		rows = realloc(b->rows, (size_t)cap * g->n_metrics * sizeof(*rows));
		if (!rows)
			return -ENOMEM;
		b->rows = rows;
		b->cap_slots = cap;
	}
	b->acquired_us = g->acquired_us;
	b->period_ms = g->period_ms;
	b->n_slots = g->n_slots;
	for (uint32_t i = 0; i < g->n_slots; i++)
		b->gens[i] = g->inst[i].live ? g->inst[i].gen : 0;
	if (g->n_slots)
		memcpy(b->rows, g->rows, (size_t)g->n_slots * g->n_metrics * sizeof(*b->rows));
	return 0;
}

/* ---- a read ---- */

bool samples_rate(int64_t base, uint64_t dt_us, struct item *item)
{
	int64_t v = item->value;

	if (!dt_us || base == VALUE_ABSENT || v < base)
		return false;
	item->value = v == base ? 0 : rate_of((uint64_t)v - (uint64_t)base, dt_us);
	item->rate = true;
	return true;
}

/* What a value becomes; false: it is not told. */
static bool tell(const struct samples *s, const struct before *b, const struct mirror_group *g,
		 uint32_t slot, uint32_t metric, uint64_t dt_us, struct item *ret)
{
	size_t cell = (size_t)slot * g->n_metrics + metric;

	if (!b->wanted[metric] || g->rows[cell] == VALUE_ABSENT)
		return false;
	*ret = (struct item){.metric = metric, .value = g->rows[cell]};
	if (!s->c.rates || g->metrics[metric].sem != SEM_COUNTER)
		return true;
	return slot < b->n_slots && b->gens[slot] == g->inst[slot].gen &&
	       samples_rate(b->rows[cell], dt_us, ret);
}

static int take_read(struct samples *s, uint32_t group)
{
	const struct mirror_group *g = &s->walk.mirror.groups[group];
	const struct before *b = &s->before[group];
	uint32_t period_ms = g->period_ms > b->period_ms ? g->period_ms : b->period_ms;
	uint64_t dt_us = rate_step_us(b->resting ? 0 : b->acquired_us, g->acquired_us, period_ms);
	struct read *r =
		samples_read_new(g, (int64_t)g->acquired_us, (size_t)g->n_live * g->n_metrics,
				 (size_t)g->n_live * INSTANCE_NAME_MAX);
	char *name;

	if (!r)
		return -ENOMEM;
	name = r->names;
	for (uint32_t slot = 0; slot < g->n_slots; slot++) {
		if (!g->inst[slot].live)
			continue;
		for (uint32_t k = 0; k < g->n_metrics; k++)
			if (tell(s, b, g, slot, k, dt_us, &r->items[r->n]))
				r->items[r->n++].name = (uint32_t)(name - r->names);
		name = stpcpy(name, g->inst[slot].name) + 1;
	}
	if (r->n)
		samples_insert(s, r);
	else
		free(r);
	return 0;
}

static int take_tick(struct samples *s, const struct frame *f)
{
	const struct mirror *m = &s->walk.mirror;
	int e = 0;

	for (uint32_t i = 0; e == 0 && i < s->n_groups; i++)
		if (s->before[i].any)
			e = remember(&s->before[i], &m->groups[i]);
	if (e == 0)
		e = capture_walk_apply(&s->walk, f);
	for (uint32_t i = 0; e == 0 && i < s->n_groups; i++) {
		const struct mirror_group *g = &m->groups[i];
		struct before *b = &s->before[i];
		bool was_read = g->acquired_tick == m->tick && g->acquired_us != b->acquired_us;

		if (!b->any)
			continue;
		if (was_read && (int64_t)g->acquired_us >= s->c.from_us &&
		    (int64_t)g->acquired_us < s->c.to_us)
			e = take_read(s, i);
		b->resting = was_read ? false : b->resting || !g->period_ms;
	}
	if (e == 0)
		e = samples_give_until(s, samples_settled_us((int64_t)m->mono_us));
	return e;
}

int samples_frame(struct samples *s, const struct frame *f)
{
	int take = capture_walk_judge(&s->walk, f), e;

	if (take <= TAKE_NOTHING)
		return take;
	if (frame_type(f) == FRAME_TICK)
		return take_tick(s, f);
	e = capture_walk_apply(&s->walk, f);
	if (e == 0 && frame_type(f) == FRAME_CATALOG && !s->before)
		e = take_catalog(s);
	for (uint32_t i = 0; e == 0 && take == TAKE_STATE && i < s->n_groups; i++)
		s->before[i].resting = !s->walk.mirror.groups[i].period_ms;
	return e;
}
