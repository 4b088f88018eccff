#include "serve/levels_private.h"

#include <errno.h>

void level_init(struct level *l, uint32_t ticks)
{
	*l = (struct level){.ticks = ticks};
}

void level_clear_group(struct level_group *g)
{
	g->n_reads = g->n_values = g->n_slots = 0;
	g->before_us = 0;
	g->period_set = false;
}

void level_reset(struct level *l)
{
	for (uint32_t i = 0; i < l->n_groups; i++)
		level_clear_group(&l->groups[i]);
	l->whole = false;
	l->tick = 0;
}

void level_done(struct level *l)
{
	for (uint32_t i = 0; i < l->n_groups; i++) {
		free(l->groups[i].values);
		free(l->groups[i].where);
		free(l->groups[i].slots);
	}
	free(l->groups);
	*l = (struct level){0};
}

int level_begin(struct level *l, uint64_t previous, uint64_t tick)
{
	uint64_t start = tick ? (tick - 1) / l->ticks * l->ticks : 0;

	if (l->tick && start != l->start_tick)
		return 1; /* its last tick was missed */
	if (l->tick)
		return 0;
	/* Whole if this is its first tick, or the one before is known to lie in an earlier one. */
	l->whole = l->whole || tick == start + 1 || (previous && previous <= start);
	l->start_tick = start;
	return 0;
}

static int grow(void *array, uint32_t *cap, uint32_t need, size_t size)
{
	if (need <= *cap)
		return 0;
	uint32_t n = *cap ? *cap : 16;

	while (n < need)
		n *= 2;
	void **p = array;
	void *q = realloc(*p, n * size);

	if (!q)
		return -ENOMEM;
	memset((char *)q + *cap * size, 0, (n - *cap) * size);
	*p = q;
	*cap = n;
	return 0;
}

static struct level_slot *find_slot(struct level_group *g, uint32_t slot)
{
	for (uint32_t i = g->n_slots; i-- > 0;)
		if (g->slots[i].slot == slot)
			return &g->slots[i];
	return NULL;
}

static struct level_slot *touch_slot(struct level_group *g, uint32_t slot)
{
	struct level_slot *s = find_slot(g, slot);

	if (s)
		return s;
	if (grow(&g->slots, &g->cap_slots, g->n_slots + 1, sizeof(*g->slots)) < 0)
		return NULL;
	s = &g->slots[g->n_slots++];
	*s = (struct level_slot){.slot = slot};
	return s;
}

struct level_value *level_find_value(struct level_group *g, uint32_t index)
{
	if (index >= g->cap_where)
		return NULL;
	uint32_t at = g->where[index];

	return at < g->n_values && g->values[at].index == index ? &g->values[at] : NULL;
}

/* The first read of a value that counts: the read that starts a counter has no rate. */
static uint32_t first_read(const struct mirror_group *mg, uint32_t index, uint32_t start)
{
	return start + (mg->metrics[index % mg->n_metrics].sem == SEM_COUNTER);
}

static struct level_value *touch_value(struct level_group *g, const struct mirror_group *mg,
				       uint32_t index)
{
	struct level_value *v = level_find_value(g, index);

	if (v)
		return v;
	if (grow(&g->where, &g->cap_where, index + 1, sizeof(*g->where)) < 0 ||
	    grow(&g->values, &g->cap_values, g->n_values + 1, sizeof(*g->values)) < 0)
		return NULL;
	g->where[index] = g->n_values;
	v = &g->values[g->n_values++];
	*v = (struct level_value){.index = index};

	uint32_t slot = index / mg->n_metrics;
	const struct level_slot *s = find_slot(g, slot);

	if (s && s->started) {
		v->from = first_read(mg, index, s->from);
	} else if (slot < mg->n_slots) {
		v->base = v->cur = mg->rows[index];
		if (v->cur == VALUE_ABSENT) {
			v->base = v->cur = 0;
			v->flags = BASE_ABSENT | CUR_ABSENT;
		}
	}
	return v;
}

static void see(struct level_value *v, int64_t x)
{
	if (!(v->flags & SEEN) || x < v->lo)
		v->lo = x;
	if (!(v->flags & SEEN) || x > v->hi)
		v->hi = x;
	v->flags |= SEEN;
}

void level_settle(const struct level_group *g, struct level_value *v, bool counter, uint32_t k)
{
	if (k <= v->from || v->flags & CUR_ABSENT)
		return;
	if (counter) {
		if (g->rates[k] != g->rates[v->from]) /* some of them had a rate: 0 */
			see(v, 0);
	} else {
		see(v, v->cur);
		v->sum += (uint64_t)v->cur * (k - v->from);
	}
	v->from = k;
}

static void slot_restart(struct level_group *g, const struct mirror_group *mg, uint32_t slot)
{
	for (uint32_t m = 0; m < g->n_metrics; m++) {
		uint32_t index = slot * g->n_metrics + m;
		struct level_value *v = level_find_value(g, index);

		if (v)
			*v = (struct level_value){.index = index,
						  .from = first_read(mg, index, g->n_reads)};
	}
}

static int apply_instances(struct level_group *g, const struct mirror_group *mg,
			   const struct tick_group *t)
{
	const uint8_t *p = t->ends;

	for (uint32_t i = 0; i < t->n_ends; i++) {
		uint64_t slot = 0;

		varint_get(&p, t->end, &slot);
		struct level_slot *s = touch_slot(g, (uint32_t)slot);

		if (!s)
			return -ENOMEM;
		s->ended = s->ended || !s->started;
		s->started = false;
	}
	p = t->starts;
	for (uint32_t i = 0; i < t->n_starts; i++) {
		uint64_t slot = 0, gen = 0, id = 0;

		varint_get(&p, t->end, &slot);
		varint_get(&p, t->end, &gen);
		varint_get(&p, t->end, &id);
		struct text name = frame_text(&p, t->end);
		struct level_slot *s = touch_slot(g, (uint32_t)slot);

		if (!s)
			return -ENOMEM;
		s->started = true;
		s->gen = (uint32_t)gen;
		s->from = g->n_reads;
		s->name_len =
			(uint8_t)(name.len < INSTANCE_NAME_MAX ? name.len : INSTANCE_NAME_MAX - 1);
		memcpy(s->name, name.s, s->name_len);
		slot_restart(g, mg, (uint32_t)slot);
	}
	return 0;
}

static void apply_change(struct level_group *g, const struct mirror_group *mg,
			 struct level_value *v, int64_t delta)
{
	bool counter = mg->metrics[v->index % mg->n_metrics].sem == SEM_COUNTER,
	     was = !(v->flags & CUR_ABSENT);
	uint32_t k = g->n_reads;

	level_settle(g, v, counter, k);
	v->cur = (int64_t)((uint64_t)v->cur + (uint64_t)delta);
	v->flags &= (uint8_t)~CUR_ABSENT;
	v->from = k;
	if (!counter)
		return;
	const struct level_slot *s = find_slot(g, v->index / g->n_metrics);
	bool first = s && s->started && s->from == k;

	if (was && !first && g->rate_us && delta >= 0) {
		double rate = (double)delta * 1e9 / (double)g->rate_us + 0.5;

		see(v, rate < 9.2e18 ? (int64_t)rate : INT64_MAX);
	}
	v->from = k + 1;
}

static int apply_values(struct level_group *g, const struct mirror_group *mg,
			const struct tick_group *t)
{
	const uint8_t *p = t->absent;
	uint64_t index = UINT64_MAX, limit = (uint64_t)mg->max_instances * mg->n_metrics;

	for (uint32_t i = 0; i < t->n_absent; i++) {
		uint64_t gap = 0;

		varint_get(&p, t->end, &gap);
		index += gap + 1;
		if (index >= limit)
			return -EBADMSG;
		struct level_value *v = touch_value(g, mg, (uint32_t)index);

		if (!v)
			return -ENOMEM;
		level_settle(g, v, mg->metrics[index % mg->n_metrics].sem == SEM_COUNTER,
			     g->n_reads);
		v->flags |= CUR_ABSENT;
		v->cur = 0;
	}
	uint32_t at = FRAME_NO_INDEX;

	p = t->changes;
	for (uint32_t i = 0; i < t->n_changes; i++) {
		int64_t delta = frame_walk_change(&p, &at);

		index = at;
		if (index >= limit)
			return -EBADMSG;
		struct level_value *v = touch_value(g, mg, (uint32_t)index);

		if (!v)
			return -ENOMEM;
		apply_change(g, mg, v, delta);
	}
	return 0;
}

int level_group(struct level *l, const struct mirror *m, uint64_t mono_us,
		const struct tick_group *t)
{
	if (t->group >= m->n_groups)
		return -EBADMSG;
	if (grow(&l->groups, &l->n_groups, m->n_groups, sizeof(*l->groups)) < 0)
		return -ENOMEM;
	struct level_group *g = &l->groups[t->group];
	const struct mirror_group *mg = &m->groups[t->group];
	uint32_t period_ms = mg->period_ms;

	g->n_metrics = mg->n_metrics;
	if (t->flags & GROUP_PERIOD) {
		g->period_set = true;
		g->period_ms = period_ms = t->period_ms;
		if (!period_ms)
			return 0; /* no read */
	}
	if (g->n_reads > WIRE_LEVEL_MAX_TICKS)
		return -EBADMSG; /* more reads than ticks */

	uint64_t at_us = mono_us + (uint64_t)t->off_us, before_us = mg->acquired_us;

	if (!g->n_reads)
		g->before_us = before_us;
	g->last_us = at_us;
	g->rate_us = before_us && at_us > before_us ? at_us - before_us : 0;
	if (period_ms && g->rate_us > 2000ull * period_ms)
		g->rate_us = 0;
	g->rates[0] = 0;
	g->rates[g->n_reads + 1] = (uint8_t)(g->rates[g->n_reads] + (g->rate_us != 0));

	int r = apply_instances(g, mg, t);

	if (r == 0)
		r = apply_values(g, mg, t);
	g->n_reads++;
	return r;
}

bool level_end(struct level *l, uint64_t seq, uint64_t mono_us, uint64_t tick)
{
	l->seq = seq;
	l->mono_us = mono_us;
	l->tick = tick;
	return tick == l->start_tick + l->ticks;
}
