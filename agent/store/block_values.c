/* The cells of a block. */
#include <errno.h>
#include <string.h>

#include "store/block_internal.h"
#include "store/column.h"
#include "store/rate.h"

/* ---- items ---- */

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
				ret->value = zigzag_decode(word - 1);
		}
		return true;
	case ITEM_CODED:
		break;
	}
	ret->codec = head >> 2 & 7;
	ret->n_cells = ret->codec == CODEC_MATRIX ? n_metrics : 1;
	if (head >= ITEM_SUMMARY || !varint_get_u32(p, end, &len) || len > (size_t)(end - *p))
		return false;
	ret->p = *p;
	ret->end = *p += len;
	return true;
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
		return column_decode((enum column_codec)c.codec, c.p, c.end, n, to);
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
static int read_cell(struct block *b, const struct opened_group *g, uint32_t i, uint32_t metric,
		     uint32_t len, int64_t *to)
{
	struct block_cell c;
	int r = find_cell(b, g->first_cell + g->row[i] * g->pub.n_metrics + metric, &c);

	if (r < 0)
		return r;
	if (c.kind != ITEM_CODED)
		fill(to, len, c.value);
	else if (c.codec == CODEC_MATRIX)
		return matrix_decode(c.p, c.end, c.n_cells, metric, len, to);
	else
		return column_decode((enum column_codec)c.codec, c.p, c.end, len, to);
	return 0;
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
	int r;

	*base = VALUE_ABSENT;
	if (!in->n)
		return 0;
	if (!has_base(b, in))
		return read_cell(b, g, i, metric, in->n, values);
	r = read_cell(b, g, i, metric, in->n + 1, all);
	if (r < 0)
		return r;
	*base = all[0];
	memcpy(values, all + 1, in->n * sizeof(*values));
	return 0;
}

/* ---- summaries ---- */

static void add(struct block_mini *m, int64_t v)
{
	if (!m->n) {
		*m = (struct block_mini){.first = v, .min = v, .max = v};
	} else {
		m->min = v < m->min ? v : m->min;
		m->max = v > m->max ? v : m->max;
	}
	m->last = v;
	m->sum += (double)v;
	m->n++;
}

int block_minis(struct block *b, const struct block_group *group, uint32_t i, uint32_t metric,
		bool of_rates, struct block_mini minis[BLOCK_MINIS_MAX])
{
	const struct block_instance *in = &group->instances[i];
	int64_t values[BLOCK_READS], base;
	int r = block_values(b, group, i, metric, &base, values);

	if (r < 0)
		return r;
	memset(minis, 0, BLOCK_MINIS_MAX * sizeof(*minis));
	for (uint32_t k = 0; k < in->n; k++) {
		struct block_mini *m = &minis[(in->first + k) / BLOCK_MINI];
		uint64_t dt_us = group->dt_us[in->first + k];
		int64_t v = values[k], before = base;

		base = v;
		if (v == VALUE_ABSENT)
			continue;
		if (!of_rates)
			add(m, v);
		else if (before != VALUE_ABSENT && dt_us && v >= before)
			add(m, rate_of((uint64_t)v - (uint64_t)before, dt_us));
	}
	return 0;
}
