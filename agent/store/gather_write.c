/* Turns what was gathered into the groups, instances and cells of a block. */
#include "store/gather.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

static int by_slot(const void *a, const void *b)
{
	const struct gather_instance *x = *(struct gather_instance *const *)a,
				     *y = *(struct gather_instance *const *)b;

	if (x->slot != y->slot)
		return x->slot < y->slot ? -1 : 1;
	if (x->gen != y->gen)
		return x->gen < y->gen ? -1 : 1;
	return x->number < y->number ? -1 : 1;
}

static int sort_instances(struct gather_scratch *sc, const struct gather_group *g)
{
	struct gather_instance **order =
		gather_grow(sc->order, &sc->cap_order, g->n_instances, sizeof(*order));

	if (!order)
		return -ENOMEM;
	sc->order = order;
	for (uint32_t i = 0; i < g->n_instances; i++)
		order[i] = &g->instances[i];
	qsort(order, g->n_instances, sizeof(*order), by_slot);
	return 0;
}

/* The events by instance, in the order they came. */
static int sort_events(struct gather_scratch *sc, struct gather_group *g)
{
	struct gather_event *sorted =
		gather_grow(sc->sorted, &sc->cap_sorted, g->n_events, sizeof(*sorted));
	uint32_t at = 0;

	if (!sorted)
		return -ENOMEM;
	sc->sorted = sorted;
	for (uint32_t i = 0; i < g->n_instances; i++)
		g->instances[i].n_events = 0;
	for (uint32_t i = 0; i < g->n_events; i++)
		g->instances[g->events[i].instance].n_events++;
	for (uint32_t i = 0; i < g->n_instances; i++) {
		g->instances[i].events = at;
		at += g->instances[i].n_events;
		g->instances[i].n_events = 0;
	}
	for (uint32_t i = 0; i < g->n_events; i++) {
		struct gather_instance *in = &g->instances[g->events[i].instance];

		sorted[in->events + in->n_events++] = g->events[i];
	}
	return 0;
}

/* The value becomes v at `at`, in a column with room for that. */
static void add_change(struct column *c, uint16_t *at, int64_t *to, uint32_t place, int64_t v)
{
	if (!place) {
		c->first = v;
		return;
	}
	if (c->n && at[c->n - 1] == place) /* said twice of one read: the last counts */
		c->n--;
	if (v == (c->n ? to[c->n - 1] : c->first))
		return;
	at[c->n] = (uint16_t)place;
	to[c->n++] = v;
}

/* Makes room for the changes of each cell and points the cells to it. */
static int place_cells(struct gather_scratch *sc, const struct gather_event *events,
		       uint32_t n_events, uint32_t n_metrics)
{
	struct column *cells = gather_grow(sc->cells, &sc->cap_cells, n_metrics, sizeof(*cells));
	uint16_t *at = gather_grow(sc->at, &sc->cap_at, n_events, sizeof(*at));
	int64_t *to = gather_grow(sc->to, &sc->cap_to, n_events, sizeof(*to));

	sc->cells = cells ? cells : sc->cells;
	sc->at = at ? at : sc->at;
	sc->to = to ? to : sc->to;
	if (!cells || !at || !to)
		return -ENOMEM;
	memset(cells, 0, n_metrics * sizeof(*cells));
	for (uint32_t i = 0; i < n_events; i++)
		cells[events[i].metric].n++;
	for (uint32_t m = 0; m < n_metrics; m++) {
		cells[m].at = at;
		cells[m].to = to;
		at += cells[m].n;
		to += cells[m].n;
		cells[m].n = 0;
	}
	return 0;
}

static int write_cells(struct gather_scratch *sc, const struct gather_group *g,
		       const struct gather_instance *in, uint32_t n_cells, bool has_base,
		       struct block_writer *w)
{
	const struct gather_event *events = sc->sorted + in->events;
	const int64_t *base = has_base ? g->bases + (size_t)in->base * n_cells : NULL;
	uint32_t len = in->n + has_base;
	int r = place_cells(sc, events, in->n_events, n_cells);

	if (r < 0)
		return r;
	for (uint32_t m = 0; m < n_cells; m++) {
		sc->cells[m].len = len;
		sc->cells[m].first = base ? base[m] : 0;
	}
	for (uint32_t i = 0; i < in->n_events; i++) {
		uint32_t place = events[i].read - in->first + has_base;
		struct column *c = &sc->cells[events[i].metric];

		if (place < len)
			add_change(c, sc->at + (c->at - sc->at), sc->to + (c->to - sc->to), place,
				   events[i].to);
	}
	block_writer_cells(w, sc->cells);
	return 0;
}

static int write_instance(struct gather_scratch *sc, struct gather_group *g,
			  const struct gather_instance *in, uint32_t n_cells, bool has_base,
			  struct block_writer *w)
{
	struct block_write_instance out = {.slot = in->slot,
					   .gen = in->gen,
					   .first = in->first,
					   .n = in->n,
					   .id = in->id,
					   .name = in->name,
					   .started = in->started,
					   .ended = in->ended};

	if (in->attrs_len) {
		out.attrs = g->attrs.p + in->attrs;
		out.attrs_len = in->attrs_len;
	}
	block_writer_instance(w, &out);
	return in->n ? write_cells(sc, g, in, n_cells, has_base && !in->started, w) : 0;
}

int gather_write_group(struct gather_scratch *sc, struct gather_group *g,
		       const struct block_write_group *out, uint32_t n_cells, bool has_base,
		       struct block_writer *w)
{
	int r = sort_instances(sc, g);

	if (r == 0)
		r = sort_events(sc, g);
	if (r < 0 || g->attrs.failed)
		return -ENOMEM;
	block_writer_group(w, out);
	for (uint32_t i = 0; r == 0 && i < g->n_instances; i++)
		if (!sc->order[i]->left_out)
			r = write_instance(sc, g, sc->order[i], n_cells, has_base, w);
	return r;
}

/* The ends and attributes of the instances that are still there. */
static void finish_instances(struct gather_group *g, const struct mirror_group *mg)
{
	for (uint32_t i = 0; i < g->n_instances; i++) {
		struct gather_instance *in = &g->instances[i];

		if (!in->ended)
			in->n = g->n_reads - in->first;
		if (in->has_attrs || in->slot >= mg->n_slots || mg->inst[in->slot].gen != in->gen)
			continue;
		in->attrs = g->attrs.len;
		gather_put_attrs(&g->attrs, (const char *const *)mg->inst[in->slot].attrs,
				 mg->n_attrs);
		in->attrs_len = g->attrs.len - in->attrs;
		in->has_attrs = true;
	}
}

static int write_group(struct gather *ga, uint32_t number, struct block_writer *w)
{
	struct gather_group *g = &ga->groups[number];
	const struct mirror_group *mg = &ga->m->groups[number];
	const struct block_write_group out = {.group = number,
					      .n_metrics = mg->n_metrics,
					      .n_attrs = mg->n_attrs,
					      .period_ms = mg->period_ms,
					      .n_reads = g->n_reads,
					      .tick = g->tick,
					      .at_us = g->at_us,
					      .first_dt_us = g->first_dt_us,
					      .holes = g->holes,
					      .n_holes = g->n_holes,
					      .of_rates = g->of_rates};

	finish_instances(g, mg);
	return gather_write_group(&ga->scratch, g, &out, mg->n_metrics, true, w);
}

int gather_write(struct gather *ga, struct block_writer *w)
{
	block_writer_ticks(w, ga->tick_us, ga->n_ticks);
	for (uint32_t i = 0; i < ga->n_groups && ga->begun; i++)
		if (ga->groups[i].n_reads) {
			int r = write_group(ga, i, w);

			if (r < 0)
				return r;
		}
	return 0;
}

void gather_scratch_done(struct gather_scratch *sc)
{
	free(sc->sorted);
	free(sc->order);
	free(sc->cells);
	free(sc->at);
	free(sc->to);
	*sc = (struct gather_scratch){0};
}
