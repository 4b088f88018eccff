/* The part of a query that sealed blocks answer. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "store/query_internal.h"
#include "store/rate.h"
#include "store/rollup.h"

/* A series that was met in a block: where it is looked for in the next. */
struct met {
	uint32_t slot, gen, metric, watch;
};
struct met_list {
	struct met *v;
	uint32_t n, cap;
};

/* One group of the block in hand. */
struct part {
	const struct history_block *b;
	const struct block_group *g;
	struct met_list met, before; /* now, and in the block before */
	uint32_t lo, hi;	     /* reads in the range */
	bool partial;		     /* some of them lie in no whole summary */
	bool whole[BLOCK_MINIS_MAX]; /* summaries of which one point has all */
	uint32_t point[BLOCK_READS];
	int64_t values[BLOCK_READS];
	struct block_mini buckets[BLOCK_READS];
};

struct blocks {
	struct scan *s;
	const struct mirror *catalog; /* what `selected` is by */
	uint32_t *selected;	      /* per selector: group + 1, 0: not in it; then the metric */
	struct met_list *met;	      /* of each group, in the block before; n_groups */
	uint32_t n_groups;
	uint64_t next_seq; /* where the next block begins when none is missing */
	uint32_t log_number;
	struct part part;
};

/* ---- which series ---- */

static bool same_metric(const struct mirror_metric *a, const struct mirror_metric *b)
{
	return strcmp(a->name, b->name) == 0 && a->sem == b->sem && a->mul == b->mul &&
	       a->div == b->div;
}

/* Finds a metric of the newest catalog in the block's. */
static bool find_metric(struct mirror *in, uint32_t group, uint32_t metric,
			const struct mirror_metric *like, uint32_t *ret_group, uint32_t *ret_metric)
{
	if (group < in->n_groups && metric < in->groups[group].n_metrics &&
	    same_metric(&in->groups[group].metrics[metric], like)) {
		*ret_group = group;
		*ret_metric = metric;
		return true;
	}
	return mirror_find_metric(in, like->name, ret_group, ret_metric) &&
	       same_metric(&in->groups[*ret_group].metrics[*ret_metric], like);
}

static void forget_met(struct blocks *x)
{
	for (uint32_t g = 0; g < x->n_groups; g++)
		x->met[g].n = 0;
}

/* The catalog may be another one than that of the block before. */
static int resolve(struct blocks *x, struct mirror *catalog)
{
	const struct scan *s = x->s;
	uint32_t group, metric;

	if (catalog == x->catalog)
		return 0;
	x->catalog = catalog;
	for (size_t i = 0; i < s->rq->n_selectors; i++) {
		uint32_t to = s->selected[2 * i], to_metric = s->selected[2 * i + 1];

		x->selected[2 * i] = 0;
		if (!to || !find_metric(catalog, to - 1, to_metric,
					&s->m->groups[to - 1].metrics[to_metric], &group, &metric))
			continue;
		x->selected[2 * i] = group + 1;
		x->selected[2 * i + 1] = metric;
	}
	for (uint32_t g = 0; g < x->n_groups; g++)
		free(x->met[g].v);
	free(x->met);
	x->n_groups = 0;
	x->met = calloc(catalog->n_groups + 1, sizeof(*x->met));
	if (!x->met)
		return -ENOMEM;
	x->n_groups = catalog->n_groups;
	return 0;
}

static int note(struct met_list *l, const struct block_instance *in, uint32_t metric,
		uint32_t watch)
{
	if (l->n == l->cap) {
		uint32_t cap = l->cap ? 2 * l->cap : 16;
		struct met *v = realloc(l->v, cap * sizeof(*v));

		if (!v)
			return -ENOMEM;
		l->v = v;
		l->cap = cap;
	}
	l->v[l->n++] = (struct met){in->slot, in->gen, metric, watch};
	return 0;
}

/* ---- samples ---- */

static void add_mini(struct query_point *p, const struct block_mini *m, int64_t last_us)
{
	if (!m->n)
		return;
	if (!p->n)
		p->first = m->first;
	p->min = p->n && p->min < m->min ? p->min : m->min;
	p->max = p->n && p->max > m->max ? p->max : m->max;
	p->last = m->last;
	p->sum += m->sum;
	p->n += m->n;
	p->last_us = last_us;
}

static void add_summary(struct part *x, const struct watch *w, const struct block_mini *m,
			uint32_t k)
{
	uint32_t last = (k + 1) * BLOCK_MINI - 1;

	last = last < x->g->n_reads ? last : x->g->n_reads - 1;
	add_mini(&w->series.points[x->point[last]], m, (int64_t)x->g->at_us[last] + x->b->shift_us);
}

/* The end of the reads, from j on and before `to`, that are in one point. */
static uint32_t point_end(const struct part *x, uint32_t j, uint32_t to)
{
	uint32_t point = x->point[j];

	while (j < to && x->point[j] == point)
		j++;
	return j;
}

/* The rates of reads [j, end) into one point. */
static void add_rates(const struct part *x, struct query_point *to, const int64_t *values,
		      int64_t before, uint32_t j, uint32_t end)
{
	const uint64_t *dt_us = x->g->dt_us;
	struct query_point p = *to;

	for (; j < end; j++) {
		int64_t v = *values++, was = before;

		before = v;
		if (v == VALUE_ABSENT || was == VALUE_ABSENT || !dt_us[j] || v < was)
			continue;
		query_add(&p, v == was ? 0 : rate_of((uint64_t)v - (uint64_t)was, dt_us[j]),
			  (int64_t)x->g->at_us[j] + x->b->shift_us);
	}
	*to = p;
}

/* Reads [from, to) of the group, those that the instance was there for. */
static void add_values(struct part *x, const struct watch *w, const struct block_instance *in,
		       int64_t base, uint32_t from, uint32_t to)
{
	from = from > in->first ? from : in->first;
	to = to < in->first + in->n ? to : in->first + in->n;
	for (uint32_t j = from, end; j < to; j = end) {
		struct query_point *at = &w->series.points[x->point[j]], p = *at;
		const int64_t *v = &x->values[j - in->first];

		end = point_end(x, j, to);
		if (w->rate) {
			add_rates(x, at, v, j > in->first ? v[-1] : base, j, end);
			continue;
		}
		for (uint32_t k = j; k < end; k++, v++)
			if (*v != VALUE_ABSENT)
				query_add(&p, *v, (int64_t)x->g->at_us[k] + x->b->shift_us);
		*at = p;
	}
}

/* Of a rollup: buckets instead of reads. */
static int add_buckets(struct part *x, const struct watch *w, uint32_t i, uint32_t metric,
		       bool counter)
{
	const struct block_instance *in = &x->g->instances[i];
	uint32_t from = x->lo > in->first ? x->lo : in->first, to = in->first + in->n;
	int r = rollup_buckets(x->b->block, x->g, i, metric, counter, x->buckets);

	to = to < x->hi ? to : x->hi;
	for (uint32_t j = from; r == 0 && j < to; j++)
		add_mini(&w->series.points[x->point[j]], &x->buckets[j - in->first],
			 (int64_t)x->g->at_us[j] + x->b->shift_us);
	return r == -EBADMSG ? 0 : r;
}

/* All samples of one series in the block. */
static int take_series(struct scan *s, struct part *x, uint32_t i, uint32_t metric, uint32_t watch)
{
	const struct block_instance *in = &x->g->instances[i];
	struct watch *w = &s->watch[watch];
	struct block_mini minis[BLOCK_MINIS_MAX];
	bool summaries = false;
	bool counter;
	int64_t base;
	int r = 0;

	if (in->first >= x->hi || in->first + in->n <= x->lo || !query_need_points(s, w))
		return 0; /* it was there, but no read of it is in the range */
	s->n_samples += in->n;
	if (x->b->rollup) { /* which has rates only of counters */
		counter =
			s->m->groups[w->series.group].metrics[w->series.metric].sem == SEM_COUNTER;
		return w->rate || !counter ? add_buckets(x, w, i, metric, counter) : 0;
	}
	for (uint32_t k = 0; k * BLOCK_MINI < x->g->n_reads; k++)
		summaries |= x->whole[k];
	if (x->partial)
		r = block_values(x->b->block, x->g, i, metric, &base, x->values);
	if (r == 0 && summaries)
		r = block_minis(x->b->block, x->g, i, metric, w->rate, minis);
	if (r < 0)
		return r == -EBADMSG ? 0 : r;
	if (!summaries)
		add_values(x, w, in, base, x->lo, x->hi);
	for (uint32_t k = 0; summaries && k * BLOCK_MINI < x->hi; k++) {
		uint32_t from = k * BLOCK_MINI, to = from + BLOCK_MINI;

		if (x->whole[k])
			add_summary(x, w, &minis[k], k);
		else if (to > x->lo)
			add_values(x, w, in, base, from > x->lo ? from : x->lo,
				   to < x->hi ? to : x->hi);
	}
	return 0;
}

/* ---- one group ---- */

/* Which reads are in the range, in which point, and what summaries stand for. False: none of it is. */
static void place_reads(const struct scan *s, struct part *x)
{
	const struct block_group *g = x->g;
	int64_t from_us = s->rq->from_us, to_us = s->rq->to_us, shift_us = x->b->shift_us;
	uint64_t step_us = s->res->step_us, begin_us = (uint64_t)from_us;
	uint64_t end_us = 0; /* of the point in hand, since begin_us */
	uint32_t point = 0, n = g->n_reads;

	from_us = from_us > x->b->from_us ? from_us : x->b->from_us;
	to_us = to_us < x->b->to_us ? to_us : x->b->to_us;
	for (x->lo = 0; x->lo < n && (int64_t)g->at_us[x->lo] + shift_us < from_us;)
		x->lo++;
	for (x->hi = x->lo; x->hi < n && (int64_t)g->at_us[x->hi] + shift_us < to_us; x->hi++) {
		uint64_t at = g->at_us[x->hi] + (uint64_t)shift_us - begin_us;

		if (at >= end_us) {
			point = (uint32_t)(at / step_us);
			end_us = (uint64_t)(point + 1) * step_us;
		}
		x->point[x->hi] = point;
	}
	x->partial = false;
	for (uint32_t k = 0; k * BLOCK_MINI < n; k++) {
		uint32_t a = k * BLOCK_MINI, b = a + BLOCK_MINI < n ? a + BLOCK_MINI : n;

		x->whole[k] =
			!x->b->rollup && a >= x->lo && b <= x->hi && x->point[a] == x->point[b - 1];
		x->partial |= !x->whole[k] && a < x->hi && b > x->lo;
	}
}

/* Was the instance there at some moment of the range? */
static bool was_there(const struct part *x, const struct block_instance *in)
{
	uint32_t end = in->first + in->n;

	if (in->started && in->first >= x->hi)
		return false;
	return !in->ended || (end < x->g->n_reads ? end >= x->lo : x->lo < x->g->n_reads);
}

/* An instance that is looked at for the first time: which selectors mean it? */
static int meet(struct blocks *y, struct part *x, uint32_t i)
{
	const struct block_instance *in = &x->g->instances[i];
	struct scan *s = y->s;
	struct query_series series = {.slot = in->slot, .gen = in->gen};
	uint32_t n_metrics = x->b->rollup ? rollup_n_metrics(x->g) : x->g->n_metrics;
	bool named = false;

	for (size_t k = 0; k < s->rq->n_selectors; k++) {
		const char *want = s->rq->selectors[k].instance;
		uint32_t metric = y->selected[2 * k + 1];
		int64_t watch;
		int r;

		if (y->selected[2 * k] != x->g->group + 1 || metric >= n_metrics ||
		    (want && (*want != *in->name || strcmp(want, in->name) != 0)))
			continue;
		if (!named)
			strncpy(series.instance, in->name, INSTANCE_NAME_MAX - 1);
		named = true;
		series.group = s->selected[2 * k] - 1;
		series.metric = s->selected[2 * k + 1];
		for (uint32_t q = x->met.n;
		     q > 0 && x->met.v[q - 1].slot == in->slot && x->met.v[q - 1].gen == in->gen;
		     q--)
			if (x->met.v[q - 1].metric == metric)
				goto next; /* another selector has it */
		watch = query_find(s, k, &series, in->id);
		if (watch == UINT32_MAX)
			return 0;
		if (watch < 0 || note(&x->met, in, metric, (uint32_t)watch) < 0)
			return -ENOMEM;
		r = take_series(s, x, i, metric, (uint32_t)watch);
		if (r < 0)
			return r;
	next:;
	}
	return 0;
}

static bool is_before(const struct met *m, const struct block_instance *in)
{
	return m->slot != in->slot ? m->slot < in->slot : m->gen < in->gen;
}

static int take_instances(struct blocks *y, struct part *x, bool fresh)
{
	const struct met *m = x->before.v, *end = m ? m + x->before.n : m;
	int r = 0;

	for (uint32_t i = 0; r == 0 && i < x->g->n_instances; i++) {
		const struct block_instance *in = &x->g->instances[i];

		if (!was_there(x, in))
			continue;
		if (fresh || in->started) {
			r = meet(y, x, i);
			continue;
		}
		while (m < end && is_before(m, in))
			m++;
		for (; r == 0 && m < end && m->slot == in->slot && m->gen == in->gen; m++) {
			r = note(&x->met, in, m->metric, m->watch);
			if (r == 0)
				r = take_series(y->s, x, i, m->metric, m->watch);
		}
	}
	return r;
}

static int take_group(struct blocks *y, const struct history_block *b, uint32_t group, bool fresh)
{
	struct part *x = &y->part;
	int r = block_group(b->block, group, &x->g);

	if (r < 0 || !x->g || x->g->n_reads > BLOCK_READS) {
		y->met[group].n = 0;
		return r == -ENOMEM ? r : 0;
	}
	x->b = b;
	x->before = y->met[group];
	x->met.n = 0;
	place_reads(y->s, x);
	r = take_instances(y, x, fresh || !x->before.n);
	y->met[group] = x->met;
	x->met = x->before; /* its memory is used again */
	return r;
}

static int take_block(struct blocks *y, const struct history_block *b)
{
	const struct block_head *head = block_head(b->block);
	struct scan *s = y->s;
	bool fresh = b->log_number != y->log_number || head->first_seq != y->next_seq || b->rollup;
	int r = resolve(y, b->catalog);

	if (fresh && r == 0)
		forget_met(y);
	y->log_number = s->log_number = b->log_number;
	y->next_seq = head->last_seq + 1;
	for (size_t i = 0; r == 0 && i < s->rq->n_selectors; i++) {
		uint32_t group = y->selected[2 * i];
		size_t k = 0;

		while (k < i && y->selected[2 * k] != group)
			k++;
		if (group && k == i)
			r = take_group(y, b, group - 1, fresh);
	}
	return r;
}

int query_blocks(struct scan *s, struct history_walk *w)
{
	struct blocks *y = calloc(1, sizeof(*y));
	struct history_block b;
	int r = y ? 1 : -ENOMEM;

	if (y)
		y->selected = calloc(s->rq->n_selectors, 2 * sizeof(*y->selected));
	if (!y || !y->selected)
		r = -ENOMEM;
	else
		*y = (struct blocks){.s = s, .log_number = UINT32_MAX, .selected = y->selected};
	while (r > 0) {
		r = s->cancel && *s->cancel ? -ECANCELED : history_walk_next(s->h, w, &b);
		if (r == -EBADMSG || r == -EIO || r == -EPROTONOSUPPORT)
			r = 1; /* what it held is missing */
		else if (r == 1) {
			r = take_block(y, &b);
			history_release(s->h, &b);
			if (r == 0)
				r = s->n_samples > QUERY_SAMPLES_MAX ? -E2BIG : 1;
		}
	}
	for (uint32_t g = 0; y && g < y->n_groups; g++)
		free(y->met[g].v);
	if (y) {
		free(y->part.met.v);
		free(y->met);
		free(y->selected);
	}
	free(y);
	return r;
}
