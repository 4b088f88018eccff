/* The buckets of one group, while a rollup is made. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "store/rate.h"
#include "store/rollup_internal.h"

/* ---- rows ---- */

static int new_instance(struct rollup_group *rg, const struct block_instance *in, uint32_t first,
			uint32_t *ret)
{
	struct gather_group *g = &rg->g;
	struct gather_instance *to;
	uint32_t number = g->n_instances;

	if (rg->n_free) {
		number = rg->free[--rg->n_free];
	} else {
		to = gather_grow(g->instances, &g->cap_instances, number + 1, sizeof(*to));
		if (!to)
			return -ENOMEM;
		g->instances = to;
		g->n_instances++;
	}
	to = &g->instances[number];
	*to = (struct gather_instance){.slot = in->slot,
				       .gen = in->gen,
				       .id = in->id,
				       .number = number,
				       .first = first,
				       .started = first > 0};
	memcpy(to->name, in->name, strlen(in->name) + 1);
	*ret = number;
	return 0;
}

static struct rollup_row *free_row(struct rollup_group *rg)
{
	struct rollup_row *rows;
	uint32_t i = 0;

	while (i < rg->n_rows && rg->rows[i].used)
		i++;
	if (i == rg->n_rows) {
		rows = gather_grow(rg->rows, &rg->cap_rows, i + 1, sizeof(*rows));
		if (!rows)
			return NULL;
		rg->rows = rows;
		rows[rg->n_rows++] = (struct rollup_row){0};
	}
	return &rg->rows[i];
}

static struct rollup_row *row_at(const struct rollup_group *rg, uint32_t slot)
{
	uint32_t i = slot < rg->g.n_slots ? rg->g.by_slot[slot] : 0;

	return i ? &rg->rows[i - 1] : NULL;
}

static int need_slot(struct gather_group *g, uint32_t slot)
{
	uint32_t *by_slot;

	if (slot >= MIRROR_SLOTS_MAX)
		return -EBADMSG;
	by_slot = gather_grow(g->by_slot, &g->cap_slots, slot + 1, sizeof(*by_slot));
	if (!by_slot)
		return -ENOMEM;
	g->by_slot = by_slot;
	while (g->n_slots <= slot)
		by_slot[g->n_slots++] = 0;
	return 0;
}

static int new_row(struct rollup_group *rg, const struct block_instance *in, uint32_t bucket,
		   uint64_t first_us, struct rollup_row **ret)
{
	struct rollup_row *row = free_row(rg);
	int r = row ? need_slot(&rg->g, in->slot) : -ENOMEM;

	if (r < 0)
		return r;
	if (!row->cells)
		row->cells = malloc(rg->n_metrics * sizeof(*row->cells));
	if (!row->cells || new_instance(rg, in, bucket, &row->instance) < 0)
		return -ENOMEM;
	memset(row->cells, 0, rg->n_metrics * sizeof(*row->cells));
	row->attrs.len = 0;
	row->gen = in->gen;
	row->open = bucket;
	row->n_values = row->n_rates = 0;
	memset(row->told, 0, sizeof(row->told));
	row->first_us = first_us;
	row->started = in->started;
	row->ended = false;
	row->used = true;
	rg->g.by_slot[in->slot] = (uint32_t)(row - rg->rows) + 1;
	*ret = row;
	return 0;
}

/* It came and went so soon that it is left out. */
static bool is_brief(const struct rollup_row *row)
{
	return row->started && row->ended && row->last_us - row->first_us < ROLLUP_BRIEF_US;
}

static void leave_out(struct rollup_group *rg, const struct rollup_row *row)
{
	struct gather_instance *in = &rg->g.instances[row->instance];
	uint32_t *list;

	in->left_out = true;
	if (in->n_events)
		return;
	list = gather_grow(rg->free, &rg->cap_free, rg->n_free + 1, sizeof(*list));
	if (!list)
		return;
	rg->free = list;
	list[rg->n_free++] = row->instance;
}

/* Closes the row's bucket, and the row when its instance has ended. */
static int close_row(struct rollup *r, struct rollup_group *rg, struct rollup_row *row)
{
	struct gather_instance *in = &rg->g.instances[row->instance];
	int e;

	if (is_brief(row)) {
		leave_out(rg, row);
		row->used = false;
		return 0;
	}
	e = rollup_tell(r, rg, row);
	if (e < 0 || !row->ended)
		return e;
	in->ended = true;
	in->n = row->open - in->first + 1;
	in->attrs = rg->g.attrs.len;
	in->attrs_len = row->attrs.len;
	out_bytes(&rg->g.attrs, row->attrs.p, row->attrs.len);
	row->used = false;
	return 0;
}

static void end_row(struct rollup_group *rg, struct rollup_row *row)
{
	uint32_t slot = rg->g.instances[row->instance].slot;

	row->ended = true;
	if (row_at(rg, slot) == row)
		rg->g.by_slot[slot] = 0;
}

/* ---- a block ---- */

/* Keeps the list of all buckets in order. */
static int note_bucket(struct rollup *r, uint64_t at_us)
{
	uint32_t i = r->n_buckets;

	while (i > 0 && r->bucket_us[i - 1] > at_us)
		i--;
	if (i > 0 && r->bucket_us[i - 1] == at_us)
		return 0;
	if (r->n_buckets == BLOCK_READS)
		return -EBADMSG;
	memmove(&r->bucket_us[i + 1], &r->bucket_us[i],
		(r->n_buckets++ - i) * sizeof(*r->bucket_us));
	r->bucket_us[i] = at_us;
	return 0;
}

/* Where the buckets' bounds lie among the reads of the group. */
static int find_ranges(struct rollup *r, struct rollup_group *rg, const struct block_group *bg,
		       struct rollup_range *ranges, uint32_t *ret_n)
{
	struct gather_group *g = &rg->g;
	uint32_t n = 0;

	for (uint32_t i = 0; i < bg->n_reads; i++) {
		uint64_t at_us = bg->at_us[i] - bg->at_us[i] % ROLLUP_BUCKET_US;
		uint32_t bucket;

		if (!g->n_reads || at_us > g->at_us[g->n_reads - 1]) {
			if (note_bucket(r, at_us) < 0)
				return -EBADMSG;
			rg->counts[g->n_reads] = 0;
			g->at_us[g->n_reads++] = at_us;
		}
		bucket = g->n_reads - 1;
		rg->counts[bucket]++;
		if (!n || ranges[n - 1].bucket != bucket)
			ranges[n++] = (struct rollup_range){.bucket = bucket, .from = i};
		ranges[n - 1].to = i + 1;
	}
	*ret_n = n;
	return 0;
}

static void add_value(struct rollup_cell *c, int64_t v)
{
	if (!c->n++) {
		c->first = c->min = c->max = v;
		c->sum = 0;
	}
	c->min = v < c->min ? v : c->min;
	c->max = v > c->max ? v : c->max;
	c->last = v;
	if (__builtin_add_overflow(c->sum, v, &c->sum) || c->sum == INT64_MIN)
		c->sum = v < 0 ? -INT64_MAX : INT64_MAX;
}

/* Values [from, to) of those the instance has in the block, all of one bucket. */
static void add_values(struct rollup_cell *c, const int64_t *v, uint32_t from, uint32_t to)
{
	for (uint32_t i = from; i < to; i++)
		if (v[i] != VALUE_ABSENT)
			add_value(c, v[i]);
}

/* Before the values stands the base. */
static void add_rates(struct rollup_cell *c, const int64_t *v, const uint64_t *dt_us, uint32_t from,
		      uint32_t to)
{
	for (uint32_t i = from; i < to; i++) {
		int64_t before = v[i], now = v[i + 1];

		if (now == VALUE_ABSENT || before == VALUE_ABSENT || now < before || !dt_us[i])
			continue;
		add_value(c,
			  now == before ? 0 : rate_of((uint64_t)now - (uint64_t)before, dt_us[i]));
	}
}

struct taking {
	struct rollup *r;
	struct rollup_group *rg;
	struct block *b;
	const struct block_group *bg;
	const struct rollup_range *ranges;
	uint32_t n_ranges;
	int64_t *values; /* of all metrics of an instance: the base, then BLOCK_READS */
};

static int read_values(const struct taking *t, uint32_t i)
{
	for (uint32_t m = 0; m < t->rg->n_metrics; m++) {
		int64_t *to = t->values + (size_t)m * (BLOCK_READS + 1);
		int e = block_values(t->b, t->bg, i, m, to, to + 1);

		if (e < 0)
			return e;
	}
	return 0;
}

/* Reads [from, to) of those the instance has in the block, all of the row's bucket. */
static void take_reads(const struct taking *t, struct rollup_row *row,
		       const struct block_instance *in, uint32_t from, uint32_t to)
{
	const uint64_t *dt_us = t->bg->dt_us + in->first;

	row->n_values += to - from;
	for (uint32_t k = from; k < to; k++)
		row->n_rates += dt_us[k] && (k || !in->started);
	for (uint32_t m = 0; m < t->rg->n_metrics; m++) {
		const int64_t *v = t->values + (size_t)m * (BLOCK_READS + 1);

		if (t->rg->of_rates[m])
			add_rates(&row->cells[m], v, dt_us, from, to);
		else
			add_values(&row->cells[m], v + 1, from, to);
	}
}

static int take_ranges(const struct taking *t, struct rollup_row *row,
		       const struct block_instance *in)
{
	uint32_t last = in->first + in->n;

	for (uint32_t k = 0; k < t->n_ranges; k++) {
		const struct rollup_range *x = &t->ranges[k];
		uint32_t from = x->from > in->first ? x->from - in->first : 0,
			 to = (x->to < last ? x->to : last) - in->first;

		if (x->from >= last || x->to <= in->first)
			continue;
		if (x->bucket != row->open && rollup_tell(t->r, t->rg, row) < 0)
			return -ENOMEM;
		row->open = x->bucket;
		take_reads(t, row, in, from, to);
	}
	return 0;
}

static uint32_t first_bucket(const struct taking *t, const struct block_instance *in)
{
	uint32_t k = 0;

	while (k + 1 < t->n_ranges && t->ranges[k].to <= in->first)
		k++;
	return t->ranges[k].bucket;
}

static int take_instance(const struct taking *t, uint32_t i)
{
	const struct block_instance *in = &t->bg->instances[i];
	struct rollup_row *row = row_at(t->rg, in->slot);
	int e = 0;

	if (row && row->gen != in->gen) {
		end_row(t->rg, row);
		row = NULL;
	}
	if (!row && !in->n)
		return 0;
	if (!row)
		e = new_row(t->rg, in, first_bucket(t, in), t->bg->at_us[in->first], &row);
	if (e < 0)
		return e;
	if (in->n)
		row->last_us = t->bg->at_us[in->first + in->n - 1];
	if (in->n)
		e = read_values(t, i);
	if (e == 0 && in->n)
		e = take_ranges(t, row, in);
	if (e < 0)
		return e;
	if (in->attrs) {
		row->attrs.len = 0;
		gather_put_attrs(&row->attrs, in->attrs, t->rg->n_attrs);
	}
	row->seen = t->r->n_blocks;
	if (in->ended)
		end_row(t->rg, row);
	return row->attrs.failed ? -ENOMEM : 0;
}

int rollup_group_add(struct rollup *r, struct rollup_group *rg, struct block *b,
		     const struct block_group *bg, const struct mirror_group *mg)
{
	struct rollup_range ranges[BLOCK_READS];
	struct taking t = {.r = r, .rg = rg, .b = b, .bg = bg, .ranges = ranges};
	int e = block_attrs(b, bg);

	t.values = malloc((size_t)bg->n_metrics * (BLOCK_READS + 1) * sizeof(*t.values));
	if (!t.values)
		return -ENOMEM;
	rg->n_metrics = bg->n_metrics;
	rg->n_attrs = bg->n_attrs;
	rg->period_ms = bg->period_ms;
	for (uint32_t m = 0; m < bg->n_metrics; m++)
		rg->of_rates[m] = mg->metrics[m].sem == SEM_COUNTER;
	if (e == 0)
		e = find_ranges(r, rg, bg, ranges, &t.n_ranges);
	for (uint32_t i = 0; e == 0 && i < bg->n_instances; i++)
		e = take_instance(&t, i);
	for (uint32_t i = 0; e == 0 && i < rg->n_rows; i++) {
		struct rollup_row *row = &rg->rows[i];

		if (!row->used)
			continue;
		if (!row->ended && row->seen != r->n_blocks) /* it went where nothing was read */
			end_row(rg, row);
		if (row->open + 1 < rg->g.n_reads && row->ended)
			e = close_row(r, rg, row);
	}
	free(t.values);
	return e;
}

/* ---- the end ---- */

int rollup_group_finish(struct rollup *r, struct rollup_group *rg)
{
	struct gather_group *g = &rg->g;
	int e = 0;

	for (uint32_t i = 0; e == 0 && i < rg->n_rows; i++) {
		struct rollup_row *row = &rg->rows[i];
		struct gather_instance *in;

		if (!row->used)
			continue;
		in = &g->instances[row->instance];
		e = close_row(r, rg, row);
		if (e < 0 || !row->used)
			continue;
		in->n = g->n_reads - in->first;
		in->attrs = g->attrs.len;
		in->attrs_len = row->attrs.len;
		out_bytes(&g->attrs, row->attrs.p, row->attrs.len);
	}
	for (uint32_t i = 0, k = 0; i < g->n_reads; i++) {
		while (r->bucket_us[k] < g->at_us[i])
			k++;
		g->tick[i] = (uint16_t)k;
	}
	return e;
}

void rollup_group_reset(struct rollup_group *rg)
{
	struct gather_group *g = &rg->g;

	g->n_reads = g->n_instances = g->n_events = g->n_slots = 0;
	g->attrs.len = 0;
	g->attrs.failed = false;
	for (uint32_t i = 0; i < rg->n_rows; i++)
		rg->rows[i].used = false;
	rg->n_free = 0;
}

void rollup_group_done(struct rollup_group *rg)
{
	gather_group_done(&rg->g);
	for (uint32_t i = 0; i < rg->cap_rows && i < rg->n_rows; i++) {
		free(rg->rows[i].cells);
		out_done(&rg->rows[i].attrs);
	}
	free(rg->rows);
	free(rg->free);
	*rg = (struct rollup_group){0};
}
