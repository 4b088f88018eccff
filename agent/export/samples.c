#include "export/samples.h"

#include "store/rate.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

static const uint64_t lag_us = 2000000; /* how late a worker may publish */

struct item {
	uint32_t metric, name; /* name: offset in the read's names */
	int64_t value;
	bool rate;
};

/* One read of a group, until its time has come. */
struct read {
	struct read *next;
	uint64_t at_us;
	uint32_t group;
	size_t n;
	char *names;
	struct item items[];
};

/* A group as it was before the tick at hand. */
struct before {
	bool any; /* some metric of it is wanted */
	bool *wanted;
	bool resting;
	uint64_t acquired_us;
	uint32_t period_ms, n_slots, cap_slots;
	uint32_t *gens; /* 0: not live */
	int64_t *rows;
};

struct samples {
	struct samples_config c;
	struct capture_walk walk;
	struct before *before; /* n_groups of the walk's mirror, once it has a catalog */
	uint32_t n_groups;
	struct read *first, *last;
};

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
	for (uint32_t i = 0; i < s->n_groups; i++) {
		free(s->before[i].wanted);
		free(s->before[i].gens);
		free(s->before[i].rows);
	}
	free(s->before);
	capture_walk_done(&s->walk);
	free(s);
}

/* ---- in order ---- */

static void insert(struct samples *s, struct read *r)
{
	struct read **at = &s->first;

	if (s->last && s->last->at_us <= r->at_us)
		at = &s->last->next;
	while (*at && (*at)->at_us <= r->at_us)
		at = &(*at)->next;
	r->next = *at;
	*at = r;
	if (!r->next)
		s->last = r;
}

static int give(struct samples *s, const struct read *r)
{
	const struct mirror_group *g = &s->walk.mirror.groups[r->group];
	struct sample out = {.at_us = r->at_us,
			     .wall_us = mirror_wall_us(&s->walk.mirror, r->at_us)};
	int e = 0;

	for (size_t i = 0; e == 0 && i < r->n; i++) {
		out.metric = &g->metrics[r->items[i].metric];
		out.instance = r->names + r->items[i].name;
		out.value = r->items[i].value;
		out.rate = r->items[i].rate;
		e = s->c.each(s->c.arg, &out);
	}
	return e;
}

static int give_until(struct samples *s, uint64_t us)
{
	int e = 0;

	while (e == 0 && s->first && s->first->at_us <= us) {
		struct read *r = s->first;

		e = give(s, r);
		s->first = r->next;
		s->last = s->first ? s->last : NULL;
		free(r);
	}
	return e;
}

int samples_flush(struct samples *s)
{
	return give_until(s, UINT64_MAX);
}

/* ---- the groups ---- */

static int take_catalog(struct samples *s)
{
	const struct mirror *m = &s->walk.mirror;

	s->before = calloc(m->n_groups + 1, sizeof(*s->before));
	if (!s->before)
		return -ENOMEM;
	s->n_groups = m->n_groups;
	for (uint32_t i = 0; i < m->n_groups; i++) {
		struct before *b = &s->before[i];

		b->wanted = calloc(m->groups[i].n_metrics, sizeof(*b->wanted));
		if (!b->wanted)
			return -ENOMEM;
		for (uint32_t k = 0; k < m->groups[i].n_metrics; k++) {
			b->wanted[k] = s->c.wanted(s->c.arg, m->groups[i].metrics[k].name);
			b->any |= b->wanted[k];
		}
	}
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

/* What a value becomes; false: it is not told. */
static bool tell(const struct samples *s, const struct before *b, const struct mirror_group *g,
		 uint32_t slot, uint32_t metric, uint64_t dt_us, struct item *ret)
{
	size_t cell = (size_t)slot * g->n_metrics + metric;
	int64_t v = g->rows[cell], base;

	if (!b->wanted[metric] || v == VALUE_ABSENT)
		return false;
	*ret = (struct item){.metric = metric, .value = v};
	if (!s->c.rates || g->metrics[metric].sem != SEM_COUNTER)
		return true;
	if (!dt_us || slot >= b->n_slots || b->gens[slot] != g->inst[slot].gen)
		return false;
	base = b->rows[cell];
	if (base == VALUE_ABSENT || v < base)
		return false;
	ret->value = v == base ? 0 : rate_of((uint64_t)v - (uint64_t)base, dt_us);
	ret->rate = true;
	return true;
}

static int take_read(struct samples *s, uint32_t group)
{
	const struct mirror_group *g = &s->walk.mirror.groups[group];
	const struct before *b = &s->before[group];
	uint32_t period_ms = g->period_ms > b->period_ms ? g->period_ms : b->period_ms;
	uint64_t dt_us = rate_step_us(b->resting ? 0 : b->acquired_us, g->acquired_us, period_ms);
	size_t n_max = (size_t)g->n_live * g->n_metrics;
	struct read *r = malloc(sizeof(*r) + n_max * sizeof(struct item) +
				(size_t)g->n_live * INSTANCE_NAME_MAX);
	char *name;

	if (!r)
		return -ENOMEM;
	*r = (struct read){.at_us = g->acquired_us, .group = group};
	r->names = name = (char *)(r->items + n_max);
	for (uint32_t slot = 0; slot < g->n_slots; slot++) {
		if (!g->inst[slot].live)
			continue;
		for (uint32_t k = 0; k < g->n_metrics; k++)
			if (tell(s, b, g, slot, k, dt_us, &r->items[r->n]))
				r->items[r->n++].name = (uint32_t)(name - r->names);
		name = stpcpy(name, g->inst[slot].name) + 1;
	}
	if (r->n)
		insert(s, r);
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
		if (was_read && g->acquired_us >= s->c.from_us && g->acquired_us < s->c.to_us)
			e = take_read(s, i);
		b->resting = was_read ? false : b->resting || !g->period_ms;
	}
	if (e == 0 && m->mono_us > lag_us)
		e = give_until(s, m->mono_us - lag_us);
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
