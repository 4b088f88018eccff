#include "store/gather.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "store/rate.h"

void *gather_grow(void *array, uint32_t *cap, uint32_t need, size_t size)
{
	uint32_t n = *cap ? *cap : 16;

	while (n < need)
		n *= 2;
	if (array && n == *cap)
		return array;
	array = realloc(array, n * size);
	if (array)
		*cap = n;
	return array;
}

void gather_group_done(struct gather_group *g)
{
	free(g->instances);
	free(g->events);
	free(g->bases);
	free(g->by_slot);
	free(g->of_rates);
	out_done(&g->attrs);
	*g = (struct gather_group){0};
}

static void free_groups(struct gather *ga)
{
	for (uint32_t i = 0; i < ga->n_groups; i++)
		gather_group_done(&ga->groups[i]);
	free(ga->groups);
	ga->groups = NULL;
	ga->n_groups = 0;
}

int gather_groups(struct gather *ga, struct mirror *m)
{
	free_groups(ga);
	gather_reset(ga);
	ga->m = m;
	ga->groups = calloc(m->n_groups + 1, sizeof(*ga->groups));
	if (!ga->groups)
		return -ENOMEM;
	ga->n_groups = m->n_groups;
	for (uint32_t i = 0; i < m->n_groups; i++) {
		bool *of_rates = calloc(m->groups[i].n_metrics, sizeof(*of_rates));

		if (!of_rates)
			return -ENOMEM;
		for (uint32_t k = 0; k < m->groups[i].n_metrics; k++)
			of_rates[k] = m->groups[i].metrics[k].sem == SEM_COUNTER;
		ga->groups[i].of_rates = of_rates;
	}
	return 0;
}

void gather_done(struct gather *ga)
{
	free_groups(ga);
	gather_scratch_done(&ga->scratch);
	*ga = (struct gather){0};
}

void gather_reset(struct gather *ga)
{
	ga->begun = false;
	ga->n_ticks = ga->n_most = 0;
	ga->n_events = ga->n_instances = 0;
	ga->from_us = ga->to_us = 0;
}

void gather_key(struct gather *ga)
{
	for (uint32_t i = 0; i < ga->n_groups; i++)
		ga->groups[i].resting = !ga->m->groups[i].period_ms;
}

bool gather_is_full(const struct gather *ga)
{
	return ga->n_ticks >= BLOCK_READS || ga->n_most >= BLOCK_READS ||
	       ga->n_events >= GATHER_CHANGES_MAX || ga->n_instances >= GATHER_INSTANCES_MAX;
}

/* ---- instances ---- */

void gather_put_attrs(struct out *o, const char *const *attrs, uint32_t n)
{
	unsigned bits = 0;

	for (uint32_t k = 0; attrs && k < n; k++)
		if (attrs[k])
			bits |= 1u << k;
	if (!bits)
		return;
	out_u8(o, (uint8_t)bits);
	for (uint32_t k = 0; k < n; k++)
		if (attrs[k])
			out_string(o, attrs[k]);
}

static struct gather_instance *instance_at(const struct gather_group *g, uint32_t slot)
{
	uint32_t i = slot < g->n_slots ? g->by_slot[slot] : 0;

	return i ? &g->instances[i - 1] : NULL;
}

static int add_instance(struct gather *ga, struct gather_group *g, uint32_t slot,
			const struct mirror_instance *from)
{
	struct gather_instance *in =
		gather_grow(g->instances, &g->cap_instances, g->n_instances + 1, sizeof(*in));
	uint32_t *by_slot;

	if (!in)
		return -ENOMEM;
	g->instances = in;
	by_slot = gather_grow(g->by_slot, &g->cap_slots, slot + 1, sizeof(*by_slot));
	if (!by_slot)
		return -ENOMEM;
	g->by_slot = by_slot;
	while (g->n_slots <= slot)
		by_slot[g->n_slots++] = 0;
	in = &g->instances[g->n_instances];
	*in = (struct gather_instance){
		.slot = slot, .gen = from->gen, .id = from->id, .number = g->n_instances};
	memcpy(in->name, from->name, sizeof(in->name));
	by_slot[slot] = ++g->n_instances;
	ga->n_instances++;
	return 0;
}

/* Keeps the attributes of an instance that is about to go. */
static int keep_attrs(struct gather_group *g, const struct mirror_group *mg, uint32_t slot)
{
	struct gather_instance *in = instance_at(g, slot);

	if (!in || in->has_attrs || slot >= mg->n_slots || mg->inst[slot].gen != in->gen)
		return 0;
	in->attrs = g->attrs.len;
	gather_put_attrs(&g->attrs, (const char *const *)mg->inst[slot].attrs, mg->n_attrs);
	in->attrs_len = g->attrs.len - in->attrs;
	in->has_attrs = true;
	return g->attrs.failed ? -ENOMEM : 0;
}

static void end_instance(struct gather_group *g, uint32_t slot)
{
	struct gather_instance *in = instance_at(g, slot);

	if (!in)
		return;
	in->ended = true;
	in->n = g->n_reads - in->first;
	g->by_slot[slot] = 0;
}

int gather_attr(struct gather *ga, const struct attr_frame *a)
{
	if (!ga->begun || a->group >= ga->n_groups || a->slot >= ga->m->groups[a->group].n_slots ||
	    a->gen <= ga->m->groups[a->group].inst[a->slot].gen)
		return 0;
	return keep_attrs(&ga->groups[a->group], &ga->m->groups[a->group], a->slot);
}

static int begin_group(struct gather *ga, struct gather_group *g, const struct mirror_group *mg)
{
	size_t row = mg->n_metrics * sizeof(*g->bases);

	g->n_reads = g->n_holes = g->n_instances = g->n_events = g->n_bases = g->n_slots = 0;
	g->attrs.len = 0;
	g->attrs.failed = false;
	if (mg->n_live) {
		int64_t *bases = gather_grow(g->bases, &g->cap_bases, mg->n_live * mg->n_metrics,
					     sizeof(*bases));

		if (!bases)
			return -ENOMEM;
		g->bases = bases;
	}
	for (uint32_t s = 0; s < mg->n_slots; s++) {
		if (!mg->inst[s].live)
			continue;
		if (add_instance(ga, g, s, &mg->inst[s]) < 0)
			return -ENOMEM;
		g->instances[g->n_instances - 1].base = g->n_bases;
		memcpy(g->bases + (size_t)g->n_bases++ * mg->n_metrics,
		       mg->rows + (size_t)s * mg->n_metrics, row);
	}
	return 0;
}

int gather_begin(struct gather *ga)
{
	gather_reset(ga);
	for (uint32_t i = 0; i < ga->n_groups; i++)
		if (begin_group(ga, &ga->groups[i], &ga->m->groups[i]) < 0)
			return -ENOMEM;
	ga->n_instances = 0; /* those there before do not make a block full */
	ga->begun = true;
	return 0;
}

/* ---- a group of a TICK ---- */

/* Moves the mirror's rows on and, with `read` not NULL, keeps the changes. */
static int take_changes(struct gather *ga, struct gather_group *g, struct mirror_group *mg,
			const struct tick_group *t, const uint32_t *read)
{
	uint32_t n = t->n_absent + t->n_changes, index = FRAME_NO_INDEX;
	const uint8_t *p = t->absent;

	if (read) {
		struct gather_event *events =
			gather_grow(g->events, &g->cap_events, g->n_events + n, sizeof(*events));

		if (!events)
			return -ENOMEM;
		g->events = events;
	}
	for (uint32_t i = 0; i < n; i++) {
		uint64_t base, delta = 0;
		uint32_t slot;
		int64_t *v;

		if (i == t->n_absent) {
			index = FRAME_NO_INDEX;
			p = t->changes;
		}
		if (i < t->n_absent)
			frame_walk_absent(&p, &index);
		else
			delta = (uint64_t)frame_walk_change(&p, &index);
		slot = index / mg->n_metrics;
		if (slot >= mg->n_slots || !mg->inst[slot].live)
			return -EBADMSG;
		v = &mg->rows[index];
		base = *v == VALUE_ABSENT ? 0 : (uint64_t)*v;
		*v = i < t->n_absent ? VALUE_ABSENT : (int64_t)(base + delta);
		if (!read || slot >= g->n_slots || !g->by_slot[slot])
			continue;
		g->events[g->n_events++] =
			(struct gather_event){.to = *v,
					      .instance = g->by_slot[slot] - 1,
					      .metric = (uint16_t)(index - slot * mg->n_metrics),
					      .read = (uint16_t)*read};
		ga->n_events++;
	}
	return 0;
}

/* What goes and comes with this read, before and after the mirror has moved on. */
static int keep_before(struct gather_group *g, const struct mirror_group *mg,
		       const struct tick_group *t)
{
	const uint8_t *p = t->ends;
	struct tick_start s;
	int r = 0;

	for (uint32_t i = 0; r == 0 && i < t->n_ends; i++)
		r = keep_attrs(g, mg, frame_walk_end(&p));
	p = t->starts;
	for (uint32_t i = 0; r == 0 && i < t->n_starts; i++) {
		frame_walk_start(&p, &s);
		r = keep_attrs(g, mg, s.slot);
	}
	return r;
}

static int take_instances(struct gather *ga, struct gather_group *g, const struct mirror_group *mg,
			  const struct tick_group *t)
{
	const uint8_t *p = t->ends;
	struct tick_start s;

	for (uint32_t i = 0; i < t->n_ends; i++)
		end_instance(g, frame_walk_end(&p));
	p = t->starts;
	for (uint32_t i = 0; i < t->n_starts; i++) {
		struct gather_instance *in;

		frame_walk_start(&p, &s);
		end_instance(g, s.slot);
		if (add_instance(ga, g, s.slot, &mg->inst[s.slot]) < 0)
			return -ENOMEM;
		in = instance_at(g, s.slot);
		in->started = true;
		in->first = g->n_reads;
	}
	return 0;
}

static void take_read(struct gather *ga, struct gather_group *g, uint64_t before_us, uint64_t at_us,
		      uint64_t period_ms)
{
	uint32_t i = g->n_reads;
	uint64_t dt_us;

	if (i)
		before_us = g->at_us[i - 1];
	if (i && at_us < before_us)
		at_us = before_us;
	dt_us = rate_step_us(g->resting ? 0 : before_us, at_us, period_ms);
	if (!i)
		g->first_dt_us = dt_us;
	else if (!dt_us && at_us > before_us)
		g->holes[g->n_holes++] = (uint16_t)i;
	g->at_us[i] = at_us;
	g->tick[i] = (uint16_t)ga->n_ticks;
	g->n_reads++;
	if (g->n_reads > ga->n_most)
		ga->n_most = g->n_reads;
	if (!ga->from_us || at_us < ga->from_us)
		ga->from_us = at_us;
	if (at_us > ga->to_us)
		ga->to_us = at_us;
}

static int take_group(struct gather *ga, const struct tick_head *h, const struct tick_group *t,
		      bool keep)
{
	struct mirror_group *mg;
	struct gather_group *g;
	struct tick_group instances = *t;
	uint64_t before_us, period_ms;
	uint32_t read;
	int r;

	if (t->group >= ga->n_groups)
		return -EBADMSG;
	g = &ga->groups[t->group];
	mg = &ga->m->groups[t->group];
	before_us = mg->acquired_us;
	period_ms = mg->period_ms;
	read = g->n_reads;
	if (keep && read == BLOCK_READS && tick_group_was_read(t))
		return -EBADMSG; /* one group over and over in one tick */
	instances.n_absent = instances.n_changes = 0;
	r = keep ? keep_before(g, mg, t) : 0;
	if (r == 0)
		r = mirror_apply_group(ga->m, h, &instances);
	if (r == 0 && keep)
		r = take_instances(ga, g, mg, t);
	if (r == 0)
		r = take_changes(ga, g, mg, t, keep ? &read : NULL);
	if (r < 0)
		return r;
	if (!tick_group_was_read(t)) {
		g->resting = true;
		return 0;
	}
	if (mg->period_ms > period_ms)
		period_ms = mg->period_ms;
	if (keep)
		take_read(ga, g, before_us, h->mono_us + (uint64_t)t->off_us, period_ms);
	g->resting = false;
	return 0;
}

static int take_tick(struct gather *ga, const struct frame *f, bool keep)
{
	struct frame_reader r;
	struct tick_head h;
	struct tick_group t;
	uint32_t n_reads = 0;
	int e = frame_read_tick(f, &h, &r);

	if (e < 0)
		return e;
	mirror_apply_head(ga->m, f, &h);
	while ((e = frame_next_group(&r, &t)) == 1) {
		e = take_group(ga, &h, &t, keep);
		if (e < 0)
			break;
		n_reads += tick_group_was_read(&t);
	}
	if (keep && n_reads)
		ga->tick_us[ga->n_ticks++] = h.mono_us;
	return e;
}

int gather_tick(struct gather *ga, const struct frame *f)
{
	return take_tick(ga, f, true);
}

int gather_skip(struct gather *ga, const struct frame *f)
{
	return take_tick(ga, f, false);
}
