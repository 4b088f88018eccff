#include "serve/levels_private.h"

#include <stdlib.h>

static int by_index(const void *a, const void *b)
{
	const struct level_value *x = a, *y = b;

	return x->index < y->index ? -1 : x->index > y->index;
}

enum list { LIST_ABSENT, LIST_GAP, LIST_DELTA, LIST_LO, LIST_HI, LIST_SUM };

static bool listed(const struct level_value *v, enum list what)
{
	if (what == LIST_ABSENT)
		return v->flags & CUR_ABSENT && !(v->flags & BASE_ABSENT);
	if (v->flags & CUR_ABSENT)
		return false;
	return v->cur != v->base || v->flags & BASE_ABSENT || (v->flags & SEEN && v->lo != v->hi);
}

static void put_list(struct buf *b, const struct level_group *g, uint32_t field, enum list what)
{
	uint64_t last = UINT64_MAX;
	size_t at = pb_open(b, field);

	for (uint32_t i = 0; i < g->n_values; i++) {
		const struct level_value *v = &g->values[i];
		bool seen = v->flags & SEEN;

		if (!listed(v, what))
			continue;
		switch (what) {
		case LIST_ABSENT:
		case LIST_GAP:
			buf_varint(b, v->index - last - 1);
			break;
		case LIST_DELTA:
			buf_varint(b,
				   zigzag_encode((int64_t)((uint64_t)v->cur - (uint64_t)v->base)));
			break;
		case LIST_LO:
			buf_varint(b, zigzag_encode(seen ? v->lo : 0));
			break;
		case LIST_HI:
			buf_varint(b, zigzag_encode(seen ? v->hi : -1));
			break;
		case LIST_SUM:
			buf_varint(b, zigzag_encode((int64_t)v->sum));
			break;
		}
		last = v->index;
	}
	if (b->len == at && !b->failed)
		b->len = at - 1; /* nothing: take the tag back */
	else
		pb_close(b, at);
}

/* Values of instances that are gone are of no interest to anybody. */
static void drop_ended(struct level_group *g)
{
	for (uint32_t i = 0; i < g->n_slots; i++) {
		if (g->slots[i].started)
			continue;
		for (uint32_t m = 0; m < g->n_metrics; m++) {
			struct level_value *v =
				level_find_value(g, g->slots[i].slot * g->n_metrics + m);

			if (v)
				v->flags = CUR_ABSENT | BASE_ABSENT;
		}
	}
}

static void put_instances(struct buf *b, const struct level_group *g, const struct mirror_group *mg)
{
	size_t at = pb_open(b, 5);

	for (uint32_t i = 0; i < g->n_slots; i++)
		if (g->slots[i].ended)
			buf_varint(b, g->slots[i].slot);
	if (b->len == at && !b->failed)
		b->len = at - 1;
	else
		pb_close(b, at);
	for (uint32_t i = 0; i < g->n_slots; i++) {
		const struct level_slot *s = &g->slots[i];

		if (!s->started)
			continue;
		bool known = s->slot < mg->n_slots && mg->inst[s->slot].gen == s->gen;

		wire_put_instance(b, 6, s->slot, s->gen, s->name, s->name_len,
				  known ? mg->inst[s->slot].attrs : NULL, mg->n_attrs);
	}
}

static void put_group(struct level *l, uint32_t group, const struct mirror_group *mg, struct buf *b)
{
	struct level_group *g = &l->groups[group];
	size_t at = pb_open(b, 3);

	drop_ended(g);
	for (uint32_t i = 0; i < g->n_values; i++)
		level_settle(g, &g->values[i],
			     mg->metrics[g->values[i].index % g->n_metrics].sem == SEM_COUNTER,
			     g->n_reads);
	if (g->n_values)
		if (g->n_values)
			qsort(g->values, g->n_values, sizeof(*g->values), by_index);

	pb_uint(b, 1, group);
	pb_sint(b, 2, g->n_reads ? (int64_t)(g->last_us - l->mono_us) : 0);
	if (g->period_set) {
		pb_tag(b, 4, PB_VARINT);
		buf_varint(b, g->period_ms);
	}
	put_instances(b, g, mg);
	put_list(b, g, 7, LIST_ABSENT);
	put_list(b, g, 8, LIST_GAP);
	put_list(b, g, 9, LIST_DELTA);
	put_list(b, g, 10, LIST_LO);
	put_list(b, g, 11, LIST_HI);
	put_list(b, g, 12, LIST_SUM);
	pb_uint(b, 13, g->n_reads);
	if (g->before_us && g->n_reads)
		pb_uint(b, 14, g->last_us - g->before_us);
	pb_close(b, at);
}

void level_take(struct level *l, const struct mirror *m, struct buf *out, struct wire_blob *blobs,
		struct wire_entry *ret)
{
	uint32_t n = 0;

	*ret = (struct wire_entry){.seq = l->seq,
				   .mono_us = l->mono_us,
				   .tick = l->tick,
				   .start_tick = l->start_tick,
				   .level = wire_level_of(l->ticks)};
	for (uint32_t i = 0; i < l->n_groups && i < m->n_groups; i++) {
		struct level_group *g = &l->groups[i];

		if (!g->n_reads && !g->period_set)
			continue;
		size_t begin = out->len;

		put_group(l, i, &m->groups[i], out);
		blobs[n++] = (struct wire_blob){i, (uint32_t)begin, (uint32_t)(out->len - begin)};
		level_clear_group(g);
	}
	ret->n_blobs = n;
	ret->blobs = blobs;
	ret->data = out->p;
	ret->len = out->len;
	l->tick = 0;
	l->whole = true; /* the next one will be seen from its start */
}
