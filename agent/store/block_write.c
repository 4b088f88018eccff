#include "store/block_write.h"

#include <errno.h>

#include "store/block_format.h"
#include "store/block_summary.h"

/* A cell as it will be written. */
struct block_item {
	uint8_t kind, codec, flags;
	int64_t value; /* of a constant */
	size_t at;     /* in scratch, of a coded one */
	uint32_t len;
};

void block_writer_begin(struct block_writer *w, uint64_t first_seq)
{
	struct out *outs[] = {&w->ticks,  &w->groups, &w->attrs, &w->frames, &w->directory,
			      &w->values, &w->pages,  &w->page,	 &w->scratch};

	for (size_t i = 0; i < sizeof(outs) / sizeof(*outs); i++) {
		outs[i]->len = 0;
		outs[i]->failed = false;
	}
	w->n_ticks = w->n_groups = w->n_values = w->page_cells = 0;
	w->n_samples = 0;
	w->frame_seq = first_seq;
	w->last_group = UINT32_MAX;
	w->run_at = SIZE_MAX;
	w->in_group = w->failed = false;
}

void block_writer_done(struct block_writer *w)
{
	out_done(&w->ticks);
	out_done(&w->groups);
	out_done(&w->attrs);
	out_done(&w->frames);
	out_done(&w->directory);
	out_done(&w->values);
	out_done(&w->pages);
	out_done(&w->page);
	out_done(&w->scratch);
	free(w->items);
	*w = (struct block_writer){0};
}

/* ---- items ---- */

/* Encodes a cell, with a summary of its rates or values when it is one of `at`. */
static void encode(struct block_writer *w, const struct column *c, const struct summary_place *at,
		   bool of_rates, struct block_item *it)
{
	uint8_t *p = out_room(&w->scratch, COLUMN_BYTES + SUMMARY_BYTES + 2 * VARINT_MAX),
		*from = p;
	uint8_t summary[SUMMARY_BYTES];
	enum column_codec codec;
	size_t len;

	if (!p)
		return;
	p = varint_put(p, column_word(c->first));
	len = at ? summary_put(at, c, of_rates, summary) : 0;
	if (len) {
		it->flags = of_rates ? ITEM_OF_RATES : ITEM_OF_VALUES;
		p = varint_put(p, len);
		memcpy(p, summary, len);
		p += len;
	}
	p += column_encode(c, p, &codec);
	it->kind = ITEM_CODED;
	it->codec = (uint8_t)codec;
	it->at = w->scratch.len;
	it->len = (uint32_t)(p - from);
	w->scratch.len += it->len;
}

static struct block_item make_item(struct block_writer *w, const struct column *c,
				   const struct summary_place *at, bool of_rates)
{
	struct block_item it = {.kind = ITEM_CONST, .value = c->first};

	if (c->n)
		encode(w, c, at, of_rates, &it);
	else if (!c->first)
		it.kind = ITEM_ZERO;
	else if (c->first == VALUE_ABSENT)
		it.kind = ITEM_ABSENT;
	return it;
}

static void put_coded(struct out *o, const struct block_writer *w, const struct block_item *it)
{
	out_u8(o, (uint8_t)(ITEM_CODED | it->codec << 2 | it->flags << 5));
	out_varint(o, it->len);
	out_bytes(o, w->scratch.p + it->at, it->len);
}

static void page_end(struct block_writer *w)
{
	struct block_page page = {.stored = (uint32_t)w->page.len, .n_cells = w->page_cells};

	if (!w->page.len)
		return;
	out_bytes(&w->pages, &page, sizeof(page));
	out_bytes(&w->values, w->page.p, w->page.len);
	w->page.len = 0;
	w->page_cells = 0;
	w->n_values++;
	w->run_at = SIZE_MAX;
}

/* Makes the page one that has room for len bytes. */
static void page_need(struct block_writer *w, size_t len)
{
	if (w->page.len + len > BLOCK_PAGE)
		page_end(w);
}

/* Adds a constant cell to the run, or begins one. */
static void put_constant(struct block_writer *w, const struct block_item *it)
{
	uint8_t *head;

	page_need(w, 1 + VARINT_MAX);
	if (w->page.failed)
		return;
	head = w->run_at != SIZE_MAX ? w->page.p + w->run_at : NULL;
	if (head && (*head & 3) == it->kind && *head >> 2 < ITEM_RUN_MAX - 1) {
		*head = (uint8_t)(*head + 4);
	} else {
		w->run_at = w->page.len;
		out_u8(&w->page, it->kind);
	}
	if (it->kind == ITEM_CONST)
		out_varint(&w->page, column_word(it->value));
	w->page_cells++;
}

static void put_item(struct block_writer *w, const struct block_item *it, uint32_t n_cells)
{
	if (it->kind != ITEM_CODED) {
		put_constant(w, it);
		return;
	}
	page_need(w, 1 + VARINT_MAX + it->len);
	put_coded(&w->page, w, it);
	w->page_cells += n_cells;
	w->run_at = SIZE_MAX;
}

/* Quarters of a byte, near enough. */
static size_t item_cost(const struct block_item *it)
{
	uint8_t v[VARINT_MAX];

	if (it->kind == ITEM_CODED)
		return 4 * ((size_t)it->len + (it->len < 128 ? 2 : 3));
	return it->kind == ITEM_CONST ? 1 + 4 * (size_t)(varint_put_signed(v, it->value) - v) : 1;
}

/* All cells as one matrix, when that is shorter. */
static bool put_matrix(struct block_writer *w, const struct column *cells, size_t cost)
{
	struct block_item it = {.kind = ITEM_CODED, .codec = CODEC_MATRIX};
	uint8_t *p;

	if ((uint64_t)cells->len * w->group.n_metrics > MATRIX_MAX)
		return false;
	p = out_room(&w->scratch, MATRIX_BYTES);
	if (!p)
		return false;
	it.at = w->scratch.len;
	it.len = (uint32_t)matrix_encode(cells, w->group.n_metrics, p);
	if (!it.len || it.len > BLOCK_PAGE - 1 - VARINT_MAX || item_cost(&it) >= cost)
		return false;
	w->scratch.len += it.len;
	put_item(w, &it, w->group.n_metrics);
	return true;
}

void block_writer_cells(struct block_writer *w, const struct column *cells)
{
	const struct summary_place place = {.first = w->instance.first,
					    .n = w->instance.n,
					    .has_base = cells->len > w->instance.n,
					    .dt_us = w->dt_us};
	const bool *of_rates = w->group.of_rates;
	uint32_t n = w->group.n_metrics;
	size_t cost = 0;

	if (n > w->cap_items) {
		struct block_item *items = realloc(w->items, n * sizeof(*items));

		if (!items) {
			w->failed = true;
			return;
		}
		w->items = items;
		w->cap_items = n;
	}
	w->scratch.len = 0;
	for (uint32_t i = 0; i < n; i++) {
		w->items[i] =
			make_item(w, &cells[i], of_rates ? &place : NULL, of_rates && of_rates[i]);
		cost += item_cost(&w->items[i]);
	}
	if (put_matrix(w, cells, cost))
		return;
	for (uint32_t i = 0; i < n; i++)
		put_item(w, &w->items[i], 1);
}

/* ---- what stands in META ---- */

static void put_column(struct block_writer *w, struct out *o, const int64_t *values, uint32_t n)
{
	uint16_t at[BLOCK_READS];
	int64_t to[BLOCK_READS];
	struct column c = column_of(values, n, at, to);
	struct block_item it;

	w->scratch.len = 0;
	it = make_item(w, &c, NULL, false);
	if (it.kind == ITEM_CODED) {
		put_coded(o, w, &it);
		return;
	}
	out_u8(o, it.kind);
	if (it.kind == ITEM_CONST)
		out_varint(o, column_word(it.value));
}

static int by_value(const void *a, const void *b)
{
	const int64_t *x = a, *y = b;

	return *x < *y ? -1 : *x > *y;
}

/* The step most ticks are near: the one in the middle. */
static uint64_t usual_step(const uint64_t *at_us, uint32_t n)
{
	int64_t step[BLOCK_READS];

	if (n < 2)
		return 0;
	for (uint32_t i = 1; i < n; i++)
		step[i - 1] = (int64_t)(at_us[i] - at_us[i - 1]);
	qsort(step, n - 1, sizeof(*step), by_value);
	return (uint64_t)step[(n - 1) / 2];
}

void block_writer_ticks(struct block_writer *w, const uint64_t *at_us, uint32_t n)
{
	int64_t values[BLOCK_READS];
	uint64_t step = usual_step(at_us, n);

	w->tick_us = at_us;
	w->n_ticks = n;
	if (!n)
		return;
	for (uint32_t i = 0; i < n; i++)
		values[i] = (int64_t)(at_us[i] - at_us[0] - i * step);
	out_varint(&w->ticks, at_us[0]);
	out_varint(&w->ticks, step);
	put_column(w, &w->ticks, values, n);
}

static void group_end(struct block_writer *w)
{
	const struct block_write_group *g = &w->group;
	struct out *d = &w->directory;

	if (!w->in_group)
		return;
	out_varint(d, g->group - w->last_group - 1);
	out_varint(d, g->n_metrics);
	out_varint(d, g->n_attrs);
	out_varint(d, g->period_ms);
	out_varint(d, g->n_reads);
	out_varint(d, w->n_instances);
	out_varint(d, w->n_rows);
	out_varint(d, w->groups.len - w->group_from);
	out_varint(d, w->attrs.len - w->attrs_from);
	w->last_group = g->group;
	w->n_groups++;
	w->in_group = false;
}

/* The time of each read since the one before, as a reader will have it. */
static void take_steps(struct block_writer *w, const struct block_write_group *g)
{
	w->dt_us[0] = g->first_dt_us;
	for (uint32_t i = 1; i < g->n_reads && !g->counts; i++)
		w->dt_us[i] = g->at_us[i] - g->at_us[i - 1];
	for (uint32_t i = 0; i < g->n_holes; i++)
		w->dt_us[g->holes[i]] = 0;
}

void block_writer_group(struct block_writer *w, const struct block_write_group *g)
{
	int64_t values[BLOCK_READS];
	uint32_t before = 0;

	group_end(w);
	w->group = *g;
	w->in_group = true;
	w->n_instances = w->n_rows = w->last_slot = 0;
	w->last_attrs = UINT32_MAX;
	w->group_from = w->groups.len;
	w->attrs_from = w->attrs.len;
	out_varint(&w->groups, g->first_dt_us);
	for (uint32_t i = 0; i < g->n_reads; i++)
		values[i] = g->tick[i] - (i ? g->tick[i - 1] : 0);
	take_steps(w, g);
	put_column(w, &w->groups, values, g->n_reads);
	for (uint32_t i = 0; i < g->n_reads; i++)
		values[i] =
			g->counts ? g->counts[i] : (int64_t)(g->at_us[i] - w->tick_us[g->tick[i]]);
	put_column(w, &w->groups, values, g->n_reads);
	out_varint(&w->groups, g->n_holes);
	for (uint32_t i = 0; i < g->n_holes; i++) {
		out_varint(&w->groups, g->holes[i] - before - 1u);
		before = g->holes[i];
	}
}

void block_writer_instance(struct block_writer *w, const struct block_write_instance *in)
{
	unsigned flags = (in->started ? INSTANCE_STARTED : 0u) | (in->ended ? INSTANCE_ENDED : 0u) |
			 (in->id ? INSTANCE_ID : 0u);
	struct out *o = &w->groups;

	out_varint(o, (uint64_t)(in->slot - w->last_slot) << 3 | flags);
	out_varint(o, in->gen);
	if (in->id)
		out_varint(o, in->id);
	if (in->started)
		out_varint(o, in->first);
	if (in->ended)
		out_varint(o, in->n);
	out_string(o, in->name);
	if (in->attrs) {
		out_varint(&w->attrs, w->n_instances - w->last_attrs - 1);
		out_bytes(&w->attrs, in->attrs, in->attrs_len);
		w->last_attrs = w->n_instances;
	}
	w->instance = *in;
	w->last_slot = in->slot;
	w->n_instances++;
	w->n_rows += in->n != 0;
	w->n_samples += (uint64_t)in->n * w->group.n_metrics;
}

void block_writer_frame(struct block_writer *w, const struct frame *f)
{
	out_varint(&w->frames, f->seq - w->frame_seq);
	out_varint(&w->frames, f->len);
	out_bytes(&w->frames, f->data, f->len);
	w->frame_seq = f->seq;
}

/* ---- the end ---- */

static bool is_failed(const struct block_writer *w)
{
	return w->failed || w->ticks.failed || w->groups.failed || w->attrs.failed ||
	       w->frames.failed || w->directory.failed || w->values.failed || w->pages.failed ||
	       w->page.failed || w->scratch.failed;
}

/* All pages, META first, into scratch; the rows of META into `meta`. */
static uint32_t list_pages(struct block_writer *w, struct out *meta)
{
	size_t at = 0;
	uint32_t n = 0;

	meta->len = 0;
	out_bytes(meta, w->ticks.p, w->ticks.len);
	out_bytes(meta, w->groups.p, w->groups.len);
	out_bytes(meta, w->attrs.p, w->attrs.len);
	out_bytes(meta, w->frames.p, w->frames.len);
	w->scratch.len = 0;
	for (size_t i = 0; i < meta->len; i += BLOCK_PAGE, n++) {
		size_t len = meta->len - i < BLOCK_PAGE ? meta->len - i : BLOCK_PAGE;
		struct block_page page = {.data = meta->p + i, .stored = (uint32_t)len};

		out_bytes(&w->scratch, &page, sizeof(page));
	}
	for (uint32_t i = 0; i < w->n_values; i++) {
		struct block_page page;

		memcpy(&page, w->pages.p + i * sizeof(page), sizeof(page));
		page.data = w->values.p + at;
		at += page.stored;
		out_bytes(&w->scratch, &page, sizeof(page));
	}
	return n;
}

int block_writer_end(struct block_writer *w, struct block_head *head, uint8_t **ret,
		     size_t *ret_len)
{
	struct block_parts parts = {0};

	group_end(w);
	page_end(w);
	if (is_failed(w))
		return -ENOMEM;
	out_varint(&w->directory, w->n_ticks);
	out_varint(&w->directory, w->ticks.len);
	out_varint(&w->directory, w->frames.len);
	parts.n_meta = list_pages(w, &w->page);
	if (is_failed(w))
		return -ENOMEM;
	head->n_groups = w->n_groups;
	head->n_samples = w->n_samples;
	parts.head = *head;
	parts.groups = w->directory.p;
	parts.groups_len = w->directory.len;
	parts.pages = (const void *)w->scratch.p;
	parts.n_values = w->n_values;
	return block_assemble(&parts, ret, ret_len);
}
