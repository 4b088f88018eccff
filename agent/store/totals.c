#include "store/totals.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "store/rollup.h"
#include "store/sweep.h"

enum stretch { NOW, BEFORE, N_STRETCHES };

struct one {
	bool there[N_STRETCHES], started, ended;
	int64_t total[N_STRETCHES][TOTALS_METRICS_MAX];
	struct totals_row *row; /* once it is chosen */
};

struct totals {
	const struct totals_request *rq;
	struct sweep *w;
	uint32_t group; /* of the newest catalog */
	uint32_t metrics[TOTALS_METRICS_MAX];
	bool is_counter[TOTALS_METRICS_MAX];
	enum stretch stretch;
	int64_t from_us, to_us;
	uint32_t n_reads, resolution_us;
	struct sweep_names names;
	struct one *ones;
	uint32_t cap;
	int64_t values[BLOCK_READS];
	struct block_mini buckets[BLOCK_READS];
};

/* ---- reading ---- */

static struct one *need_one(struct totals *t, int64_t i)
{
	if (i >= t->cap) {
		uint32_t cap = t->cap ? 2 * t->cap : 256;
		struct one *ones = realloc(t->ones, cap * sizeof(*ones));

		if (!ones)
			return NULL;
		memset(ones + t->cap, 0, (cap - t->cap) * sizeof(*ones));
		for (uint32_t k = t->cap; k < cap; k++)
			for (size_t m = 0; m < t->rq->n_metrics; m++)
				for (int s = 0; s < N_STRETCHES; s++)
					ones[k].total[s][m] = t->is_counter[m] ? 0 : VALUE_ABSENT;
		t->ones = ones;
		t->cap = cap;
	}
	return i < 0 ? NULL : &t->ones[i];
}

/* Adds what reads [lo, hi) of the group say of one metric. */
static void add_values(const struct totals *t, const struct block_group *g,
		       const struct block_instance *in, int64_t base, bool counter, uint32_t lo,
		       uint32_t hi, int64_t *total)
{
	uint32_t from = lo > in->first ? lo : in->first, to = in->first + in->n;

	to = to < hi ? to : hi;
	for (uint32_t j = from; j < to; j++) {
		int64_t v = t->values[j - in->first], before;

		if (v == VALUE_ABSENT)
			continue;
		if (!counter) {
			*total = v > *total ? v : *total;
			continue;
		}
		before = j > in->first ? t->values[j - in->first - 1] : base;
		if (before == VALUE_ABSENT || v < before || (j == lo && !g->dt_us[j]))
			continue;
		if (__builtin_add_overflow(*total, (int64_t)((uint64_t)v - (uint64_t)before),
					   total))
			*total = INT64_MAX;
	}
}

/* Adds what buckets [lo, hi) say. */
static int add_buckets(struct totals *t, const struct history_block *b, const struct block_group *g,
		       uint32_t i, size_t m, uint32_t lo, uint32_t hi, int64_t *total)
{
	const struct block_instance *in = &g->instances[i];
	uint32_t from = lo > in->first ? lo : in->first, to = in->first + in->n;
	uint64_t most = 1; /* reads in a bucket: from them follows how long one took */
	double rise = 0;
	int r = rollup_buckets(b->block, g, i, t->metrics[m], t->is_counter[m], t->buckets);

	for (uint32_t j = 0; j < g->n_reads; j++)
		most = g->dt_us[j] > most ? g->dt_us[j] : most;
	to = to < hi ? to : hi;
	for (uint32_t j = from; r == 0 && j < to; j++) {
		const struct block_mini *k = &t->buckets[j - in->first];

		if (k->n && t->is_counter[m])
			rise += k->sum / 1000 * (ROLLUP_BUCKET_US / 1e6) / (double)most;
		else if (k->n)
			*total = k->max > *total ? k->max : *total;
	}
	if (rise >= 9e18 || __builtin_add_overflow(*total, (int64_t)(rise + 0.5), total))
		*total = INT64_MAX;
	return r;
}

static uint32_t first_at(const struct block_group *g, int64_t shift_us, int64_t at_us)
{
	uint32_t i = 0;

	while (i < g->n_reads && (int64_t)g->at_us[i] + shift_us < at_us)
		i++;
	return i;
}

/* The group of this block, when it is the one asked for. 1; 0; -errno. */
static int find_group(struct totals *t, const struct history_block *b,
		      const struct block_group **ret)
{
	uint32_t to;

	for (uint32_t g = 0; g < b->catalog->n_groups; g++) {
		int r;

		if (!sweep_group(t->w, b, g, &to) || to != t->group)
			continue;
		r = block_group(b->block, g, ret);
		if (r < 0 || !*ret || (*ret)->n_reads > BLOCK_READS)
			return r;
		return !b->rollup || rollup_n_metrics(*ret) == b->catalog->groups[g].n_metrics;
	}
	return 0;
}

static int take_instance(struct totals *t, const struct history_block *b,
			 const struct block_group *g, uint32_t i, uint32_t lo, uint32_t hi)
{
	const struct block_instance *in = &g->instances[i];
	uint32_t end = in->first + in->n;
	struct one *o = need_one(t, sweep_find(&t->names, t->group, b, in));
	int64_t base;

	if (!o)
		return -ENOMEM;
	o->there[t->stretch] = true;
	if (t->stretch == NOW) { /* with the first read of an agent nothing starts */
		o->started |= in->started && in->first >= lo && in->first < hi &&
			      (in->first || g->dt_us[0]);
		o->ended |= in->ended && end >= lo && (end < hi || hi == g->n_reads);
	}
	for (size_t m = 0; m < t->rq->n_metrics; m++) {
		int64_t *total = &o->total[t->stretch][m];
		int r = b->rollup ? add_buckets(t, b, g, i, m, lo, hi, total)
				  : block_values(b->block, g, i, t->metrics[m], &base, t->values);

		if (r < 0)
			return r;
		if (!b->rollup)
			add_values(t, g, in, base, t->is_counter[m], lo, hi, total);
	}
	return 0;
}

static void find_reads(const struct totals *t, const struct history_block *b,
		       const struct block_group *g, uint32_t *lo, uint32_t *hi)
{
	int64_t from_us = t->from_us, to_us = t->to_us;

	if (b->rollup) { /* a bucket that is partly in the range is of it alone */
		from_us -= t->stretch == NOW ? ROLLUP_BUCKET_US - 1 : 0;
		to_us -= t->stretch == NOW ? 0 : ROLLUP_BUCKET_US - 1;
		from_us = from_us > b->from_us ? from_us : b->from_us;
		to_us = to_us < b->to_us ? to_us : b->to_us;
	}
	*lo = first_at(g, b->shift_us, from_us);
	*hi = first_at(g, b->shift_us, to_us);
	*hi = *hi > *lo ? *hi : *lo;
}

static int take_block(void *arg, const struct history_block *b)
{
	struct totals *t = arg;
	const struct block_group *g;
	uint32_t lo, hi;
	int r = find_group(t, b, &g);

	if (r <= 0)
		return r == -EBADMSG ? 0 : r;
	find_reads(t, b, g, &lo, &hi);
	if (b->rollup && hi > lo)
		t->resolution_us = ROLLUP_BUCKET_US;
	t->n_reads += hi - lo;
	for (uint32_t i = 0; i < g->n_instances; i++) {
		const struct block_instance *in = &g->instances[i];

		if (in->first >= hi || in->first + in->n <= lo)
			continue;
		r = take_instance(t, b, g, i, lo, hi);
		if (r < 0 && r != -EBADMSG)
			return r;
	}
	return 0;
}

/* Attributes of the rows. */
static int take_attrs(void *arg, const struct history_block *b)
{
	struct totals *t = arg;
	const struct block_group *g;
	int r = find_group(t, b, &g);

	if (r > 0)
		r = block_attrs(b->block, g);
	else if (r == 0)
		return 0;
	for (uint32_t i = 0; r == 0 && i < g->n_instances; i++) {
		const struct block_instance *in = &g->instances[i];
		int64_t n = in->attrs ? sweep_find(&t->names, t->group, b, in) : -1;
		struct totals_row *row = n >= 0 && n < t->cap ? t->ones[n].row : NULL;

		for (uint32_t k = 0; row && k < g->n_attrs && k < ATTRS_MAX; k++) {
			if (!in->attrs[k])
				continue;
			free(row->attrs[k]);
			row->attrs[k] = strdup(in->attrs[k]);
		}
	}
	return r == -EBADMSG ? 0 : r;
}

/* ---- rows ---- */

struct choice {
	uint32_t one;
	int64_t by;
};

static int by_total(const void *a, const void *b)
{
	const struct choice *x = a, *y = b;

	if (x->by != y->by)
		return x->by > y->by ? -1 : 1;
	return x->one < y->one ? -1 : x->one > y->one;
}

static void fill_row(const struct totals *t, uint32_t i, struct totals_row *row)
{
	const struct one *o = &t->ones[i];
	double seconds = (double)(t->rq->base_to_us - t->rq->base_from_us) / 1e6;

	memcpy(row->instance, t->names.v[i].name, sizeof(row->instance));
	row->started = o->started;
	row->ended = o->ended;
	for (size_t m = 0; m < t->rq->n_metrics; m++) {
		int64_t before = o->total[BEFORE][m];

		row->deltas[m] = o->total[NOW][m];
		row->before[m] = !o->there[BEFORE] || before == VALUE_ABSENT ? -1
				 : t->is_counter[m] ? (double)before / seconds
						    : (double)before;
	}
}

static int choose(struct totals *t, struct totals_result *res)
{
	struct choice *c = malloc((t->names.n + 1) * sizeof(*c));
	size_t n = 0;

	if (!c)
		return -ENOMEM;
	for (uint32_t i = 0; i < t->names.n && i < t->cap; i++)
		if (t->ones[i].there[NOW])
			c[n++] = (struct choice){i, t->ones[i].total[NOW][0]};
	if (n)
		qsort(c, n, sizeof(*c), by_total);
	res->n_instances = (uint32_t)n;
	n = n < t->rq->limit ? n : t->rq->limit;
	res->rows = calloc(n + 1, sizeof(*res->rows));
	for (size_t i = 0; res->rows && i < n; i++) {
		fill_row(t, c[i].one, &res->rows[i]);
		t->ones[c[i].one].row = &res->rows[i];
	}
	free(c);
	if (!res->rows)
		return -ENOMEM;
	res->n_rows = n;
	return 0;
}

/* ---- the whole ---- */

static int resolve(struct totals *t, const struct mirror *m)
{
	uint32_t g = 0;

	while (g < m->n_groups && strcmp(m->groups[g].name, t->rq->group) != 0)
		g++;
	if (g == m->n_groups)
		return -ENOENT;
	t->group = g;
	for (size_t i = 0; i < t->rq->n_metrics; i++) {
		uint32_t k = 0;

		while (k < m->groups[g].n_metrics &&
		       strcmp(m->groups[g].metrics[k].name, t->rq->metrics[i]) != 0)
			k++;
		if (k == m->groups[g].n_metrics)
			return -ENOENT;
		t->metrics[i] = k;
		t->is_counter[i] = m->groups[g].metrics[k].sem == SEM_COUNTER;
	}
	return 0;
}

/* One stretch; with `res` its rows are made. */
static int run_stretch(struct totals *t, struct history *h, enum stretch stretch, int64_t from_us,
		       int64_t to_us, struct totals_result *res, const _Atomic bool *cancel)
{
	struct sweep w;
	int r = sweep_begin(&w, h, from_us, to_us, cancel);

	t->w = &w;
	t->stretch = stretch;
	t->from_us = from_us;
	t->to_us = to_us;
	t->n_reads = 0;
	if (r == 0)
		r = resolve(t, w.catalog);
	if (r == 0)
		r = sweep_each(&w, take_block, t);
	if (r == 0 && res) {
		res->resolution_us = t->resolution_us;
		res->n_attrs = w.catalog->groups[t->group].n_attrs;
		r = t->n_reads ? choose(t, res) : -ENODATA;
		if (r == 0 && res->n_attrs)
			r = sweep_each(&w, take_attrs, t);
	}
	sweep_end(&w);
	return r;
}

static bool is_sane(int64_t from_us, int64_t to_us)
{
	static const int64_t far_us = 1ll << 60;

	return from_us > -far_us && to_us < far_us && from_us < to_us;
}

int totals_run(struct history *h, const struct totals_request *rq, struct totals_result **ret,
	       const _Atomic bool *cancel)
{
	bool has_base = rq->base_from_us || rq->base_to_us;
	struct totals *t;
	struct totals_result *res;
	int r = 0;

	if (!rq->n_metrics || rq->n_metrics > TOTALS_METRICS_MAX || !rq->limit ||
	    rq->limit > TOTALS_ROWS_MAX || !is_sane(rq->from_us, rq->to_us) ||
	    (has_base && !is_sane(rq->base_from_us, rq->base_to_us)))
		return -EINVAL;
	t = calloc(1, sizeof(*t));
	res = calloc(1, sizeof(*res));
	if (!t || !res)
		r = -ENOMEM;
	else
		t->rq = rq;
	if (r == 0 && has_base)
		r = run_stretch(t, h, BEFORE, rq->base_from_us, rq->base_to_us, NULL, cancel);
	if (r == 0)
		r = run_stretch(t, h, NOW, rq->from_us, rq->to_us, res, cancel);
	if (t) {
		sweep_names_done(&t->names);
		free(t->ones);
	}
	free(t);
	if (r < 0) {
		totals_free(res);
		return r;
	}
	*ret = res;
	return 0;
}

void totals_free(struct totals_result *res)
{
	if (!res)
		return;
	for (size_t i = 0; i < res->n_rows; i++)
		for (size_t k = 0; k < ATTRS_MAX; k++)
			free(res->rows[i].attrs[k]);
	free(res->rows);
	free(res);
}
