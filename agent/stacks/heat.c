/* Heat maps of samples: a column a stretch of time; rows are offsets in it, CPUs, or who ran. */
#include "stacks/fold.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "stacks/heat_internal.h"

enum { COLUMNS_MAX = 4096, ROWS_MOST = 512 };

/* ---- opening ---- */

static bool request_right(const struct heat_request *q)
{
	return q->n_columns && q->n_columns <= COLUMNS_MAX && q->n_rows && q->n_rows <= ROWS_MOST &&
	       q->by <= HEAT_CGROUP && q->filter.kind < STACKS_KINDS && q->column_us >= q->n_rows &&
	       q->column_us <= INT64_MAX / 8 / COLUMNS_MAX && q->from_us >= INT64_MIN / 4 &&
	       q->from_us <= INT64_MAX / 4;
}

static int open_cells(struct heater *h)
{
	size_t n = (size_t)h->request.n_columns * h->request.n_rows;

	h->lost = calloc(h->request.n_columns, sizeof(*h->lost));
	h->covered_us = calloc(h->request.n_columns, sizeof(*h->covered_us));
	if (!h->lost || !h->covered_us)
		return -ENOMEM;
	if (h->request.by != HEAT_OFFSET)
		return rows_open(&h->rows, h->request.n_columns, h->request.n_rows,
				 h->request.pattern != NULL);
	for (unsigned k = 0; k < (h->request.pattern ? 2u : 1u); k++) {
		h->cells[k] = calloc(n, sizeof(**h->cells));
		h->steps[k] = calloc(n + 1, sizeof(**h->steps));
		if (!h->cells[k] || !h->steps[k])
			return -ENOMEM;
	}
	return 0;
}

int heat_begin(struct heater **ret, const struct heat_request *q, char *err, size_t err_len)
{
	struct heater *h;
	int r = 0;

	if (!request_right(q))
		return -EINVAL;
	h = calloc(1, sizeof(*h));
	if (!h)
		return -ENOMEM;
	h->request = *q;
	h->range.from_us = q->from_us;
	h->range.to_us = q->from_us + (int64_t)(q->column_us * q->n_columns);
	r = filter_copy(&h->request.filter, &q->filter);
	if (r >= 0 && q->pattern)
		r = matcher_open(&h->matcher, q->pattern, q->ignore_case, err, err_len);
	if (r >= 0)
		r = open_cells(h);
	if (r < 0) {
		heat_abort(h);
		return r;
	}
	*ret = h;
	return 0;
}

void heat_abort(struct heater *h)
{
	if (!h)
		return;
	filter_done(&h->request.filter);
	matcher_close(&h->matcher);
	rows_close(&h->rows);
	for (unsigned k = 0; k < 2; k++) {
		free(h->cells[k]);
		free(h->steps[k]);
	}
	free(h->lost);
	free(h->covered_us);
	free(h);
}

/* ---- offsets ---- */

/* Cells are numbered on through the columns; where the i-th begins, from the map's start. */
static uint64_t cell_start(const struct heater *h, uint64_t i)
{
	const struct heat_request *q = &h->request;

	return i / q->n_rows * q->column_us +
	       (i % q->n_rows * q->column_us + q->n_rows - 1) / q->n_rows;
}

static uint64_t cell_at(const struct heater *h, uint64_t us)
{
	const struct heat_request *q = &h->request;

	return us / q->column_us * q->n_rows + us % q->column_us * q->n_rows / q->column_us;
}

static void spread(struct heater *h, unsigned k, uint64_t from_us, uint64_t to_us)
{
	uint64_t first = cell_at(h, from_us), last = cell_at(h, to_us - 1);

	if (first == last) {
		add_saturated(&h->cells[k][first], to_us - from_us);
		return;
	}
	add_saturated(&h->cells[k][first], cell_start(h, first + 1) - from_us);
	add_saturated(&h->cells[k][last], to_us - cell_start(h, last));
	h->steps[k][first + 1]++;
	h->steps[k][last]--;
	h->stepped = true;
}

static void add_offset(struct heater *h, const struct stacks_sample *s, uint32_t weight_us,
		       bool matched)
{
	uint64_t at = (uint64_t)(s->at_us - h->range.from_us);

	for (unsigned k = 0; k < (matched ? 2u : 1u); k++) {
		if (s->kind == STACKS_OFF) {
			uint64_t to = s->at_us < h->range.to_us
					      ? at
					      : (uint64_t)(h->range.to_us - h->range.from_us);

			spread(h, k, to - weight_us, to);
		} else {
			add_saturated(&h->cells[k][cell_at(h, at)], weight_us);
		}
	}
}

static void resolve_steps(struct heater *h, unsigned k)
{
	uint64_t n = (uint64_t)h->request.n_columns * h->request.n_rows;
	int64_t open = 0;

	for (uint64_t i = 0; h->stepped && i < n; i++) {
		open += h->steps[k][i];
		if (open > 0)
			add_saturated(&h->cells[k][i],
				      (uint64_t)open * (cell_start(h, i + 1) - cell_start(h, i)));
	}
}

/* ---- rows ---- */

static uint32_t find_row(struct heater *h, const struct stacks *s,
			 const struct stacks_sample *sample)
{
	const struct stacks_task *t = &s->tasks[sample->task];
	const char *comm = stacks_text(s, t->comm);
	char label[32];

	switch (h->request.by) {
	case HEAT_CPU:
		snprintf(label, sizeof(label), "CPU %u", sample->cpu);
		return rows_get(&h->rows, sample->cpu, label);
	case HEAT_PROCESS:
		return rows_get(&h->rows, t->pid, t->process ? stacks_text(s, t->process) : comm);
	case HEAT_THREAD:
		return rows_get(&h->rows, (uint64_t)t->pid << 32 | t->tid, comm);
	default:
		return rows_get(&h->rows, 0, stacks_text(s, t->cgroup));
	}
}

static int add_to_row(struct heater *h, const struct stacks *s, const struct stacks_sample *sample,
		      uint32_t weight_us, bool matched)
{
	uint64_t column_us = h->request.column_us;
	uint32_t row = find_row(h, s, sample);
	uint64_t at, end;
	int r = 0;

	if (row == UINT32_MAX)
		return -ENOMEM;
	if (sample->kind != STACKS_OFF) {
		at = (uint64_t)(sample->at_us - h->range.from_us);
		return rows_add(&h->rows, row, (uint32_t)(at / column_us), weight_us,
				matched ? weight_us : 0);
	}
	end = (uint64_t)((sample->at_us < h->range.to_us ? sample->at_us : h->range.to_us) -
			 h->range.from_us);
	for (at = end - weight_us; r >= 0 && at < end;) {
		uint64_t next = (at / column_us + 1) * column_us;
		uint32_t n = (uint32_t)((next < end ? next : end) - at);

		r = rows_add(&h->rows, row, (uint32_t)(at / column_us), n, matched ? n : 0);
		at += n;
	}
	return r;
}

/* ---- adding ---- */

static void cover(struct heater *h, int64_t from_us, int64_t to_us, int sign)
{
	uint64_t at, end, column_us = h->request.column_us;

	if (from_us < h->range.from_us)
		from_us = h->range.from_us;
	if (to_us > h->range.to_us)
		to_us = h->range.to_us;
	if (from_us >= to_us)
		return;
	end = (uint64_t)(to_us - h->range.from_us);
	for (at = (uint64_t)(from_us - h->range.from_us); at < end;) {
		uint64_t next = (at / column_us + 1) * column_us;
		uint64_t n = (next < end ? next : end) - at, *to = &h->covered_us[at / column_us];

		*to = sign > 0 ? *to + n : *to > n ? *to - n : 0;
		at += n;
	}
}

static void add_notes(struct heater *h, const struct stacks *s)
{
	cover(h, s->from_us, s->to_us, 1);
	for (uint32_t i = 0; i < s->n_notes; i++) {
		const struct stacks_note *n = &s->notes[i];
		uint64_t column;

		if (n->kind == STACKS_GAP && n->n < INT64_MAX / 4)
			cover(h,
			      n->at_us - (int64_t)n->n > s->from_us ? n->at_us - (int64_t)n->n
								    : s->from_us,
			      n->at_us < s->to_us ? n->at_us : s->to_us, -1);
		if (n->kind != STACKS_LOST || n->at_us < h->range.from_us ||
		    n->at_us >= h->range.to_us)
			continue;
		if (h->request.filter.cpu >= 0 && n->cpu != h->request.filter.cpu)
			continue;
		column = (uint64_t)(n->at_us - h->range.from_us) / h->request.column_us;
		add_saturated(&h->lost[column], n->n);
	}
}

static int add_samples(struct heater *h, const struct stacks *s, const struct filter *filter)
{
	uint32_t i, end;
	int r = 0;

	samples_find(s, filter->f->kind, h->range.from_us, h->range.to_us, &i, &end);
	if (i < end && h->matcher.is_open)
		r = matcher_begin(&h->matcher, s);
	for (; r >= 0 && i < end; i++) {
		const struct stacks_sample *sample = &s->samples[i];
		uint32_t weight_us;
		bool in, matched;

		if (!filter_has(filter, sample))
			continue;
		weight_us = sample_weight(&h->range, sample, &in);
		if (!in)
			continue;
		matched = h->matcher.is_open && h->matcher.nodes[sample->node];
		h->n_samples++;
		h->n_matched += matched;
		if (h->request.by == HEAT_OFFSET)
			add_offset(h, sample, weight_us, matched);
		else
			r = add_to_row(h, s, sample, weight_us, matched);
	}
	return r;
}

int heat_add(struct heater *h, const struct stacks *s)
{
	struct filter filter;
	int r;

	if (!s->has_time)
		return 0;
	add_notes(h, s);
	r = filter_open(&filter, &h->request.filter, s);
	if (r >= 0) {
		r = add_samples(h, s, &filter);
		filter_close(&filter);
	}
	return r;
}

/* ---- finishing ---- */

/* CPUs stand in their own order, everything else by weight. */
static int by_key(const void *a, const void *b)
{
	const struct row *x = a, *y = b;

	return x->key < y->key ? -1 : x->key > y->key;
}

static int write_rows(struct heater *h, struct heat *to)
{
	struct rows *rows = &h->rows;

	rows_finish(rows);
	if (h->request.by == HEAT_CPU && rows->n)
		qsort(rows->v, rows->n, sizeof(*rows->v), by_key);
	to->n_rows = rows->n;
	to->rows = calloc(rows->n + 1, sizeof(*to->rows));
	to->weight_us = calloc((size_t)rows->n * to->n_columns + 1, sizeof(uint32_t));
	if (rows->matched)
		to->matched_us = calloc((size_t)rows->n * to->n_columns + 1, sizeof(uint32_t));
	if (!to->rows || !to->weight_us || (rows->matched && !to->matched_us))
		return -ENOMEM;
	for (uint32_t i = 0; i < rows->n; i++) {
		struct row *row = &rows->v[i];
		struct heat_row *out = &to->rows[i];

		if (!row->cells && rows_spread_out(rows, row) < 0)
			return -ENOMEM;
		for (uint32_t c = 0; c < to->n_columns; c++) {
			to->weight_us[(size_t)c * rows->n + i] = row->cells[c];
			if (rows->matched)
				to->matched_us[(size_t)c * rows->n + i] =
					row->cells[to->n_columns + c];
		}
		out->cpu = h->request.by == HEAT_CPU ? (int32_t)row->key : -1;
		if (h->request.by == HEAT_PROCESS)
			out->pid = (uint32_t)row->key;
		if (h->request.by == HEAT_THREAD) {
			out->pid = (uint32_t)(row->key >> 32);
			out->tid = (uint32_t)row->key;
		}
		out->total_us = row->total_us;
		out->label = strdup(stacks_text(rows->labels, row->label));
		if (!out->label)
			return -ENOMEM;
	}
	return 0;
}

static void write_offsets(struct heater *h, struct heat *to)
{
	to->n_rows = h->request.n_rows;
	for (unsigned k = 0; k < 2 && h->cells[k]; k++)
		resolve_steps(h, k);
	to->weight_us = h->cells[0];
	to->matched_us = h->cells[1];
	h->cells[0] = h->cells[1] = NULL;
}

int heat_finish(struct heater *h, struct heat **ret)
{
	struct heat *to = calloc(1, sizeof(*to));
	int r = 0;

	if (to) {
		to->n_columns = h->request.n_columns;
		to->n_samples = h->n_samples;
		to->n_matched = h->n_matched;
		to->covered = calloc(to->n_columns, 1);
		to->lost = h->lost;
		h->lost = NULL;
	}
	if (!to || !to->covered)
		r = -ENOMEM;
	for (uint32_t c = 0; r >= 0 && c < to->n_columns; c++) {
		uint64_t us = h->covered_us[c], column_us = h->request.column_us;

		to->covered[c] = (uint8_t)(us >= column_us ? 255 : us * 254 / column_us + (us > 0));
	}
	if (r >= 0 && h->request.by == HEAT_OFFSET)
		write_offsets(h, to);
	else if (r >= 0)
		r = write_rows(h, to);
	heat_abort(h);
	if (r < 0)
		heat_free(to);
	else
		*ret = to;
	return r;
}

void heat_free(struct heat *h)
{
	if (!h)
		return;
	for (uint32_t i = 0; h->rows && i < h->n_rows; i++)
		free(h->rows[i].label);
	free(h->rows);
	free(h->weight_us);
	free(h->matched_us);
	free(h->lost);
	free(h->covered);
	free(h);
}
