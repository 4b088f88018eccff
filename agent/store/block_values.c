/* The cells of a block. */
#include <errno.h>
#include <string.h>

#include "store/block_internal.h"
#include "store/block_summary.h"

/* ---- items ---- */

/* The first value and the summary of a coded cell. */
static bool coded_begin(struct block_cell *c)
{
	uint64_t word, len;

	if (!varint_get(&c->p, c->end, &word) || c->flags > ITEM_OF_RATES)
		return false;
	c->value = column_of_word(word);
	if (!c->flags)
		return true;
	if (!varint_get(&c->p, c->end, &len) || len > (uint64_t)(c->end - c->p))
		return false;
	c->summary = c->p;
	c->p += len;
	return true;
}

bool block_item_read(const uint8_t **p, const uint8_t *end, uint32_t number, uint32_t n_metrics,
		     struct block_cell *ret)
{
	uint64_t word = 0;
	uint32_t len;
	uint8_t head;

	if (*p == end)
		return false;
	head = *(*p)++;
	*ret = (struct block_cell){.kind = head & 3, .number = number, .n_cells = (head >> 2) + 1u};
	switch ((enum item_kind)ret->kind) {
	case ITEM_ZERO:
		return true;
	case ITEM_ABSENT:
		ret->value = VALUE_ABSENT;
		return true;
	case ITEM_CONST:
		for (uint32_t i = 0; i < ret->n_cells; i++) {
			if (!varint_get(p, end, &word))
				return false;
			if (i == number)
				ret->value = column_of_word(word);
		}
		return true;
	case ITEM_CODED:
		break;
	}
	ret->codec = head >> 2 & 7;
	ret->flags = head >> 5;
	ret->n_cells = ret->codec == CODEC_MATRIX ? n_metrics : 1;
	if (!varint_get_u32(p, end, &len) || len > (size_t)(end - *p))
		return false;
	ret->p = *p;
	ret->end = *p += len;
	return ret->codec == CODEC_MATRIX ? !ret->flags : coded_begin(ret);
}

static inline void fill(int64_t *to, uint32_t n, int64_t v)
{
	for (uint32_t i = 0; i < n; i++)
		to[i] = v;
}

int block_column(const uint8_t **p, const uint8_t *end, uint32_t n, int64_t *to)
{
	struct block_cell c;

	if (!block_item_read(p, end, 0, 0, &c) || c.n_cells != 1)
		return -EBADMSG;
	if (c.kind == ITEM_CODED)
		return column_decode((enum column_codec)c.codec, c.p, c.end, c.value, n, to);
	fill(to, n, c.value);
	return 0;
}

/* ---- looking for a cell ---- */

static uint32_t find_page(const struct block *b, uint32_t cell)
{
	uint32_t lo = b->n_meta, hi = b->n_meta + b->n_values;

	while (hi - lo > 1) {
		uint32_t mid = lo + (hi - lo) / 2;

		if (b->pages[mid].first_cell <= cell)
			lo = mid;
		else
			hi = mid;
	}
	return lo;
}

/* The group that holds a cell. */
static const struct opened_group *group_of(const struct block *b, uint32_t cell)
{
	uint32_t lo = 0, hi = b->head.n_groups;

	while (hi - lo > 1) {
		uint32_t mid = lo + (hi - lo) / 2;

		if (b->groups[mid].first_cell <= cell)
			lo = mid;
		else
			hi = mid;
	}
	return &b->groups[lo];
}

/* Walks a page from its first cell, or from the one looked at last. 0, -EBADMSG, -ENOMEM. */
static int find_cell(struct block *b, uint32_t cell, struct block_cell *ret)
{
	uint32_t page = find_page(b, cell), at = b->pages[page].first_cell;
	const struct opened_group *g;
	const uint8_t *p, *end;
	int r = block_page(b, page, &p);

	if (r < 0)
		return r;
	end = p + b->pages[page].len;
	if (b->place.page == page && b->place.cell <= cell) {
		at = b->place.cell;
		p = b->place.p;
	}
	for (g = group_of(b, at);; at += ret->n_cells) {
		const uint8_t *from = p;

		while (at >= g->first_cell + g->n_rows * g->pub.n_metrics)
			g++;
		if (!block_item_read(&p, end, cell - at, g->pub.n_metrics, ret))
			return -EBADMSG;
		if (ret->codec == CODEC_MATRIX && (at - g->first_cell) % g->pub.n_metrics)
			return -EBADMSG;
		if (cell - at < ret->n_cells) {
			b->place.page = page;
			b->place.cell = at;
			b->place.p = from;
			return 0;
		}
	}
}

/* The cell's values, base first when it has one, into `to`. */
static int read_cell(const struct block_cell *c, uint32_t metric, uint32_t len, int64_t *to)
{
	if (c->kind != ITEM_CODED)
		fill(to, len, c->value);
	else if (c->codec == CODEC_MATRIX)
		return matrix_decode(c->p, c->end, c->n_cells, metric, len, to);
	else
		return column_decode((enum column_codec)c->codec, c->p, c->end, c->value, len, to);
	return 0;
}

static uint32_t cell_of(const struct opened_group *g, uint32_t i, uint32_t metric)
{
	return g->first_cell + g->row[i] * g->pub.n_metrics + metric;
}

static bool has_base(const struct block *b, const struct block_instance *in)
{
	return !in->started && !b->head.bucket_us;
}

int block_values(struct block *b, const struct block_group *group, uint32_t i, uint32_t metric,
		 int64_t *base, int64_t *values)
{
	const struct opened_group *g = (const void *)group;
	const struct block_instance *in = &group->instances[i];
	int64_t all[COLUMN_MAX];
	struct block_cell c;
	int r;

	*base = VALUE_ABSENT;
	if (!in->n)
		return 0;
	r = find_cell(b, cell_of(g, i, metric), &c);
	if (r < 0 || !has_base(b, in))
		return r < 0 ? r : read_cell(&c, metric, in->n, values);
	r = read_cell(&c, metric, in->n + 1, all);
	if (r < 0)
		return r;
	*base = all[0];
	memcpy(values, all + 1, in->n * sizeof(*values));
	return 0;
}

/* A cell that was found, by its changes. 0; 1: it has too many; -EBADMSG. */
static int cell_changes(const struct block_cell *c, uint32_t len, struct block_changes *ret,
			struct column *column)
{
	*column = (struct column){.len = len, .first = c->value};
	if (c->kind != ITEM_CODED)
		return 0;
	return column_changes((enum column_codec)c->codec, c->p, c->end, c->value, len, ret->at,
			      ret->to, BLOCK_CHANGES_MAX, column);
}

int block_changes(struct block *b, const struct block_group *group, uint32_t i, uint32_t metric,
		  struct block_changes *ret)
{
	const struct opened_group *g = (const void *)group;
	const struct block_instance *in = &group->instances[i];
	struct column column;
	struct block_cell c;
	int r = in->n ? find_cell(b, cell_of(g, i, metric), &c) : 1;

	if (r != 0)
		return r;
	ret->has_base = has_base(b, in);
	r = cell_changes(&c, in->n + ret->has_base, ret, &column);
	ret->first = c.value;
	ret->n = r == 0 ? column.n : 0;
	return r;
}

int block_minis(struct block *b, const struct block_group *group, uint32_t i, uint32_t metric,
		bool of_rates, struct block_mini minis[BLOCK_MINIS_MAX])
{
	const struct opened_group *g = (const void *)group;
	const struct block_instance *in = &group->instances[i];
	const struct summary_place place = {.first = in->first,
					    .n = in->n,
					    .has_base = has_base(b, in),
					    .dt_us = group->dt_us,
					    .n_steps = g->n_steps};
	struct block_changes changes;
	int64_t all[COLUMN_MAX];
	struct column column;
	struct block_cell c;
	int r = in->n ? find_cell(b, cell_of(g, i, metric), &c) : 0;

	if (r < 0)
		return r;
	if (!in->n) {
		memset(minis, 0, BLOCK_MINIS_MAX * sizeof(*minis));
		return 0;
	}
	if (c.flags == (of_rates ? ITEM_OF_RATES : ITEM_OF_VALUES))
		return summary_get(&place, c.summary, c.p, of_rates, c.value, minis) ? 0 : -EBADMSG;
	r = cell_changes(&c, in->n + place.has_base, &changes, &column);
	if (r == 0)
		summary_of_changes(&place, &column, of_rates, minis);
	if (r <= 0)
		return r;
	r = read_cell(&c, metric, in->n + place.has_base, all);
	if (r == 0)
		summary_of(&place, place.has_base ? all[0] : VALUE_ABSENT, all + place.has_base,
			   of_rates, minis);
	return r;
}
