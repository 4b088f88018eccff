#include "serve/levels.h"

#include <errno.h>

enum value_flags {
	BASE_ABSENT = 1, /* the client holds no value */
	CUR_ABSENT = 2,	 /* no value now */
	SEEN = 4	 /* lo and hi hold something */
};

struct level_value {
	uint32_t index;
	uint32_t from; /* reads before this one are accounted for */
	uint8_t flags;
	int64_t base, cur, lo, hi;
	uint64_t sum;
};

struct level_slot { /* a slot whose instance came or went in the interval */
	uint32_t slot, gen;
	bool ended;    /* the instance of the base is gone */
	bool started;  /* another one is there */
	uint32_t from; /* the read that started it */
	uint8_t name_len;
	char name[INSTANCE_NAME_MAX];
};

struct level_group {
	uint32_t n_reads, n_metrics;
	uint64_t before_us, last_us; /* reads: before the interval, newest in it */
	uint64_t rate_us; /* of the current read: time since the one before; 0: no rate */
	bool period_set;
	uint32_t period_ms;
	uint8_t rates[WIRE_LEVEL_MAX_TICKS + 2]; /* reads with a known rate among the first n */
	struct level_value *values;
	uint32_t n_values, cap_values;
	uint32_t *where, cap_where; /* index -> place in values, if that agrees */
	struct level_slot *slots;
	uint32_t n_slots, cap_slots;
};

void level_init(struct level *l, uint32_t ticks)
{
	*l = (struct level){.ticks = ticks};
}

static void group_clear(struct level_group *g)
{
	g->n_reads = g->n_values = g->n_slots = 0;
	g->before_us = 0;
	g->period_set = false;
}

void level_reset(struct level *l)
{
	for (uint32_t i = 0; i < l->n_groups; i++)
		group_clear(&l->groups[i]);
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

static struct level_value *find_value(struct level_group *g, uint32_t index)
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
	struct level_value *v = find_value(g, index);

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

/* Accounts for the reads [from, k) in which the value did not move. */
static void settle(const struct level_group *g, struct level_value *v, bool counter, uint32_t k)
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
		struct level_value *v = find_value(g, index);

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

	settle(g, v, counter, k);
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
		settle(g, v, mg->metrics[index % mg->n_metrics].sem == SEM_COUNTER, g->n_reads);
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
			struct level_value *v = find_value(g, g->slots[i].slot * g->n_metrics + m);

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
		settle(g, &g->values[i],
		       mg->metrics[g->values[i].index % g->n_metrics].sem == SEM_COUNTER,
		       g->n_reads);
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
		group_clear(g);
	}
	ret->n_blobs = n;
	ret->blobs = blobs;
	ret->data = out->p;
	ret->len = out->len;
	l->tick = 0;
	l->whole = true; /* the next one will be seen from its start */
}
