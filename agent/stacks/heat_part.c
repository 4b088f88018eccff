/* What one set of stacks adds to a heat map, kept. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "stacks/heat_internal.h"

struct heat_part {
	int64_t from_us; /* where its first column begins */
	uint32_t n_columns, n_rows;
	uint64_t n_samples, n_matched;
	uint32_t *cells[2], *lost; /* as in struct heater */
	uint64_t *covered_us;
};

char *heat_part_key(const struct heat_request *q)
{
	const struct stacks_filter *f = &q->filter;
	int64_t column_us = (int64_t)q->column_us;
	char *key;

	if (q->by != HEAT_OFFSET || f->kind != STACKS_CPU)
		return NULL;
	if (asprintf(&key, "heat %lld %lld %u %d %u %u\1%s\1%s\1%d%s", (long long)column_us,
		     (long long)((q->from_us % column_us + column_us) % column_us), q->n_rows,
		     f->cpu, f->pid, f->tid, f->cgroup ? f->cgroup : "\1",
		     f->process ? f->process : "\1", q->ignore_case,
		     q->pattern ? q->pattern : "\1") < 0)
		return NULL;
	return key;
}

bool heat_part_fits(const struct heater *h, int64_t from_us, int64_t to_us)
{
	return from_us - STACKS_LATE_US >= h->range.from_us &&
	       to_us + STACKS_LATE_US <= h->range.to_us;
}

/* Columns of the map that the set may have samples in: first, how many. */
static uint32_t find_columns(const struct heater *h, const struct stacks *s, uint32_t *n)
{
	uint64_t column_us = h->request.column_us;
	uint64_t from = (uint64_t)(s->from_us - STACKS_LATE_US - h->range.from_us) / column_us;
	uint64_t to = (uint64_t)(s->to_us + STACKS_LATE_US - 1 - h->range.from_us) / column_us + 1;

	if (to > h->request.n_columns)
		to = h->request.n_columns;
	*n = (uint32_t)(to - from);
	return (uint32_t)from;
}

static struct heat_part *part_new(uint32_t n_columns, uint32_t n_rows, bool matched)
{
	size_t cells = (size_t)n_columns * n_rows * (matched ? 2 : 1);
	struct heat_part *p = calloc(1, sizeof(*p) + n_columns * sizeof(uint64_t) +
						(cells + n_columns) * sizeof(uint32_t));

	if (!p)
		return NULL;
	p->n_columns = n_columns;
	p->n_rows = n_rows;
	p->covered_us = (uint64_t *)(p + 1);
	p->lost = (uint32_t *)(p->covered_us + n_columns);
	p->cells[0] = p->lost + n_columns;
	p->cells[1] = matched ? p->cells[0] + (size_t)n_columns * n_rows : NULL;
	return p;
}

int heat_part_make(struct heater *h, const struct stacks *s, struct heat_part **ret)
{
	struct heater own = *h; /* the map, of those columns alone */
	uint32_t n, first = find_columns(h, s, &n);
	struct heat_part *p = part_new(n, h->request.n_rows, h->request.pattern);
	int r;

	if (!p)
		return -ENOMEM;
	own.range.from_us += (int64_t)(first * h->request.column_us);
	own.range.to_us = own.range.from_us + (int64_t)(n * h->request.column_us);
	own.request.n_columns = n;
	own.n_samples = own.n_matched = 0;
	own.cells[0] = p->cells[0];
	own.cells[1] = p->cells[1];
	own.lost = p->lost;
	own.covered_us = p->covered_us;
	r = heat_add(&own, s);
	h->matcher = own.matcher;
	p->from_us = own.range.from_us;
	p->n_samples = own.n_samples;
	p->n_matched = own.n_matched;
	if (r < 0)
		free(p);
	else
		*ret = p;
	return r;
}

size_t heat_part_bytes(const struct heat_part *p)
{
	return sizeof(*p) + p->n_columns * (sizeof(uint64_t) + sizeof(uint32_t)) +
	       (size_t)p->n_columns * p->n_rows * sizeof(uint32_t) * (p->cells[1] ? 2 : 1);
}

void heat_part_add(struct heater *h, const struct heat_part *p)
{
	int64_t first = (p->from_us - h->range.from_us) / (int64_t)h->request.column_us;

	h->n_samples += p->n_samples;
	h->n_matched += p->n_matched;
	for (uint32_t i = 0; i < p->n_columns; i++) {
		int64_t c = first + i;

		if (c < 0 || c >= h->request.n_columns)
			continue;
		add_saturated(&h->lost[c], p->lost[i]);
		h->covered_us[c] += p->covered_us[i];
		for (unsigned k = 0; k < 2 && p->cells[k]; k++)
			for (uint32_t row = 0; row < p->n_rows; row++)
				add_saturated(&h->cells[k][(uint64_t)c * p->n_rows + row],
					      p->cells[k][(size_t)i * p->n_rows + row]);
	}
}

void heat_part_free(struct heat_part *p)
{
	free(p);
}
