/* The rows of a heat map by CPU, process, thread or cgroup: found by key, the small ones
 * forgotten. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "stacks/heat_internal.h"

enum { ROWS_MAX = 100000, CELL_BYTES_MAX = 48 << 20 };

int rows_open(struct rows *r, uint32_t n_columns, uint32_t keep, bool matched)
{
	*r = (struct rows){.n_columns = n_columns, .keep = keep, .matched = matched};
	r->mask = 255;
	r->slots = calloc(r->mask + 1, sizeof(*r->slots));
	r->labels = stacks_new();
	if (r->slots && r->labels)
		return 0;
	rows_close(r);
	return -ENOMEM;
}

void rows_close(struct rows *r)
{
	for (uint32_t i = 0; i < r->n; i++)
		free(r->v[i].cells);
	free(r->v);
	free(r->slots);
	stacks_free(r->labels);
	*r = (struct rows){0};
}

static uint32_t hash_row(const struct row *row)
{
	uint64_t h = (row->key ^ (uint64_t)row->label << 40) * 0x9e3779b97f4a7c15u;

	return (uint32_t)(h >> 32);
}

static void put_slot(struct rows *r, uint32_t i)
{
	uint32_t at = hash_row(&r->v[i]) & r->mask;

	while (r->slots[at])
		at = (at + 1) & r->mask;
	r->slots[at] = i + 1;
}

static int by_total(const void *a, const void *b)
{
	const struct row *x = a, *y = b;

	if (x->total_us != y->total_us)
		return x->total_us > y->total_us ? -1 : 1;
	if (x->key != y->key)
		return x->key < y->key ? -1 : 1;
	return x->label < y->label ? -1 : x->label > y->label;
}

static void keep_largest(struct rows *r, uint32_t keep)
{
	if (r->n)
		qsort(r->v, r->n, sizeof(*r->v), by_total);
	for (; r->n > keep; r->n--) {
		struct row *row = &r->v[r->n - 1];

		if (row->cells)
			r->cell_bytes -= (uint64_t)r->n_columns * (r->matched ? 8 : 4);
		free(row->cells);
	}
	memset(r->slots, 0, ((size_t)r->mask + 1) * sizeof(*r->slots));
	for (uint32_t i = 0; i < r->n; i++)
		put_slot(r, i);
}

static int grow(struct rows *r)
{
	if (r->n == r->cap) {
		uint32_t cap = r->cap ? r->cap * 2 : 64;
		struct row *v = realloc(r->v, cap * sizeof(*v));

		if (!v)
			return -ENOMEM;
		r->v = v;
		r->cap = cap;
	}
	if (r->n >= r->mask / 2) {
		uint32_t mask = r->mask * 2 + 1, *slots = calloc((size_t)mask + 1, sizeof(*slots));

		if (!slots)
			return -ENOMEM;
		free(r->slots);
		r->slots = slots;
		r->mask = mask;
		for (uint32_t i = 0; i < r->n; i++)
			put_slot(r, i);
	}
	return 0;
}

uint32_t rows_get(struct rows *r, uint64_t key, const char *label)
{
	struct row want = {.key = key};
	uint32_t at, i;

	want.label = stacks_string(r->labels, label, strlen(label));
	at = hash_row(&want) & r->mask;
	for (; (i = r->slots[at]); at = (at + 1) & r->mask)
		if (r->v[i - 1].key == key && r->v[i - 1].label == want.label)
			return i - 1;
	if (r->n >= ROWS_MAX || r->cell_bytes >= CELL_BYTES_MAX)
		keep_largest(r, r->n / 2 > r->keep ? r->n / 2 : r->keep);
	if (stacks_failed(r->labels) || grow(r) < 0)
		return UINT32_MAX;
	r->v[r->n] = want;
	put_slot(r, r->n);
	return r->n++;
}

int rows_spread_out(struct rows *r, struct row *row)
{
	row->cells = calloc(r->n_columns, r->matched ? 8 : 4);
	if (!row->cells)
		return -ENOMEM;
	r->cell_bytes += (uint64_t)r->n_columns * (r->matched ? 8 : 4);
	for (uint32_t i = 0; i < row->n_few; i++) {
		row->cells[row->few[i].column] = row->few[i].weight_us;
		if (r->matched)
			row->cells[r->n_columns + row->few[i].column] = row->few[i].matched_us;
	}
	return 0;
}

int rows_add(struct rows *r, uint32_t index, uint32_t column, uint32_t weight_us,
	     uint32_t matched_us)
{
	struct row *row = &r->v[index];
	uint32_t i = 0;

	row->total_us += weight_us;
	while (!row->cells && i < row->n_few && row->few[i].column != column)
		i++;
	if (!row->cells && i == ROW_FEW && rows_spread_out(r, row) < 0)
		return -ENOMEM;
	if (row->cells) {
		add_saturated(&row->cells[column], weight_us);
		if (r->matched)
			add_saturated(&row->cells[r->n_columns + column], matched_us);
		return 0;
	}
	if (i == row->n_few) {
		row->few[i].column = column;
		row->few[i].weight_us = row->few[i].matched_us = 0;
		row->n_few++;
	}
	add_saturated(&row->few[i].weight_us, weight_us);
	add_saturated(&row->few[i].matched_us, matched_us);
	return 0;
}

void rows_finish(struct rows *r)
{
	keep_largest(r, r->keep);
}
