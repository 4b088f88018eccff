/* The samples of all series that rank compares. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "store/rank_internal.h"
#include "store/rate.h"
#include "store/rollup.h"

enum {
	SAMPLES_MAX =
		2048, /* of a series in both stretches; beyond it means of several are taken */
	BRIEF_MINI = BLOCK_MINI / 4 /* reads: a last summary of fewer says little */
};

/* ---- the reads of a group ---- */

struct reads {
	uint32_t lo[N_STRETCHES], hi[N_STRETCHES];
};

static uint32_t first_at(const struct block_group *g, int64_t shift_us, int64_t at_us)
{
	uint32_t lo = 0, hi = g->n_reads;

	while (lo < hi) {
		uint32_t mid = lo + (hi - lo) / 2;

		if ((int64_t)g->at_us[mid] + shift_us < at_us)
			lo = mid + 1;
		else
			hi = mid;
	}
	return lo;
}

static struct reads find_reads(const struct rank *k, const struct history_block *b,
			       const struct block_group *g)
{
	struct reads r;

	for (int i = 0; i < N_STRETCHES; i++) {
		int64_t from_us = k->from_us[i], to_us = k->to_us[i];

		if (b->rollup) { /* a bucket that is partly in the range is of it alone */
			from_us -= i == NOW ? ROLLUP_BUCKET_US - 1 : 0;
			to_us -= i == NOW ? 0 : ROLLUP_BUCKET_US - 1;
			from_us = from_us > b->from_us ? from_us : b->from_us;
			to_us = to_us < b->to_us ? to_us : b->to_us;
		}
		r.lo[i] = first_at(g, b->shift_us, from_us);
		r.hi[i] = first_at(g, b->shift_us, to_us);
		r.hi[i] = r.hi[i] > r.lo[i] ? r.hi[i] : r.lo[i];
	}
	return r;
}

/* Of reads [lo, hi) those of which whole summaries tell, of n_reads in the block: [*lo, *hi) become the
 * numbers of those summaries. Among buckets the last, shorter one counts, too. */
static void whole_minis(const struct rank *k, uint32_t n_reads, uint32_t *lo, uint32_t *hi)
{
	uint32_t rest = n_reads % BLOCK_MINI;
	bool last = k->coarse && *hi == n_reads && (rest >= BRIEF_MINI || n_reads < BLOCK_MINI);

	*lo = (*lo + BLOCK_MINI - 1) / BLOCK_MINI;
	*hi = *hi / BLOCK_MINI + (rest && last);
}

static uint32_t overlap(const struct block_instance *in, uint32_t lo, uint32_t hi)
{
	uint32_t from = lo > in->first ? lo : in->first, to = in->first + in->n;

	to = to < hi ? to : hi;
	return to > from ? to - from : 0;
}

/* Which groups of a block's catalog are which of the newest. */
static int map_groups(struct rank *k, const struct history_block *b)
{
	uint32_t *map, group;

	if (k->mapped == b->catalog)
		return 0;
	map = calloc(b->catalog->n_groups + 1, sizeof(*map));
	if (!map)
		return -ENOMEM;
	for (uint32_t g = 0; g < b->catalog->n_groups; g++)
		if (sweep_group(k->w, b, g, &group) && group < k->n_parts)
			map[g] = group + 1;
	free(k->map);
	k->map = map;
	k->n_map = b->catalog->n_groups;
	k->mapped = b->catalog;
	return 0;
}

/* Reads [lo, hi) of a group, and how many of them an instance has, as what is ranked. */
static uint32_t samples_in(const struct rank *k, const struct history_block *b, uint32_t n_reads,
			   uint32_t lo, uint32_t hi)
{
	if (k->coarse && !b->rollup)
		whole_minis(k, n_reads, &lo, &hi);
	return hi > lo ? hi - lo : 0;
}

static uint32_t samples_of(const struct rank *k, const struct history_block *b,
			   const struct block_group *g, const struct block_instance *in,
			   uint32_t lo, uint32_t hi)
{
	uint32_t from, to;

	if (!k->coarse || b->rollup)
		return overlap(in, lo, hi);
	whole_minis(k, g->n_reads, &lo, &hi);
	from = in->first / BLOCK_MINI;
	to = (in->first + in->n + BLOCK_MINI - 1) / BLOCK_MINI;
	from = from > lo ? from : lo;
	to = to < hi ? to : hi;
	return to > from && in->n ? to - from : 0;
}

static int need_one(struct rank *k, int64_t i)
{
	struct one *ones;
	uint32_t cap = k->cap_ones ? k->cap_ones * 2 : 256;

	if (i < 0 || i < k->cap_ones)
		return i < 0 ? (int)i : 0;
	ones = realloc(k->ones, cap * sizeof(*ones));
	if (!ones)
		return -ENOMEM;
	memset(ones + k->cap_ones, 0, (cap - k->cap_ones) * sizeof(*ones));
	k->ones = ones;
	k->cap_ones = cap;
	return 0;
}

/* ---- first: who was there ---- */

static int count_group(struct rank *k, const struct history_block *b, const struct block_group *g)
{
	uint32_t group = k->map[g->group] - 1;
	struct reads r = find_reads(k, b, g);

	k->parts[group].period_ms = g->period_ms;
	for (int s = 0; s < N_STRETCHES; s++)
		k->parts[group].n[s] += samples_in(k, b, g->n_reads, r.lo[s], r.hi[s]);
	for (uint32_t i = 0; i < g->n_instances; i++) {
		const struct block_instance *in = &g->instances[i];
		uint32_t n[N_STRETCHES];
		int64_t one;
		int e;

		for (int s = 0; s < N_STRETCHES; s++)
			n[s] = samples_of(k, b, g, in, r.lo[s], r.hi[s]);
		if (!n[NOW] && !n[BEFORE])
			continue;
		one = sweep_find(&k->names, group, b, in);
		e = need_one(k, one);
		if (e < 0)
			return e;
		for (int s = 0; s < N_STRETCHES; s++)
			k->ones[one].n[s] += n[s];
	}
	return 0;
}

static uint32_t n_metrics_of(const struct history_block *b, const struct block_group *g)
{
	return b->rollup ? rollup_n_metrics(g) : g->n_metrics;
}

static int each_group(struct rank *k, const struct history_block *b,
		      int (*visit)(struct rank *, const struct history_block *,
				   const struct block_group *))
{
	const struct block_group *g;
	int r;

	if (b->rollup && !k->coarse)
		return 0;
	r = map_groups(k, b);
	for (uint32_t i = 0; i < k->n_map && r == 0; i++) {
		if (!k->map[i])
			continue;
		r = block_group(b->block, i, &g);
		if (r == 0 && g && g->n_reads <= BLOCK_READS &&
		    n_metrics_of(b, g) == b->catalog->groups[i].n_metrics)
			r = visit(k, b, g);
		if (r == -EBADMSG)
			r = 0;
	}
	return r;
}

int rank_count(void *arg, const struct history_block *b)
{
	return each_group(arg, b, count_group);
}

void rank_decide(struct rank *k)
{
	for (uint32_t g = 0; g < k->n_parts; g++) {
		struct part *p = &k->parts[g];
		uint32_t all = p->n[NOW] + p->n[BEFORE], most = p->n[NOW] / RANK_MIN_SAMPLES;

		p->mean_of = 1;
		if (all <= SAMPLES_MAX || most < 2)
			continue;
		p->mean_of = (all - 1) / SAMPLES_MAX + 1;
		if (!k->coarse && most >= BLOCK_MINI && all / BLOCK_MINI >= 4 * RANK_MIN_SAMPLES)
			p->mean_of = BLOCK_MINI; /* which the blocks have at hand */
		else if (p->mean_of > most)
			p->mean_of = most;
	}
	for (uint32_t i = 0; i < k->names.n; i++) {
		struct one *o = &k->ones[i];
		uint32_t need = (k->parts[k->names.v[i].group].n[NOW] + 1) / 2;

		need = need < RANK_MIN_SAMPLES ? need : RANK_MIN_SAMPLES;
		o->left_out = o->n[BEFORE] < RANK_MIN_SAMPLES || !o->n[NOW] || o->n[NOW] < need;
	}
}

/* ---- then: their samples ---- */

static uint32_t expected(const struct part *p, enum stretch s)
{
	return p->n[s] / p->mean_of + 2;
}

static void widen(struct series *x, int64_t min, int64_t max)
{
	if (!x->n[NOW]) {
		x->min = min;
		x->max = max;
	}
	x->min = min < x->min ? min : x->min;
	x->max = max > x->max ? max : x->max;
}

/* So many equal samples in a row. */
static int add_samples(const struct part *p, uint32_t mean_of, struct series *x, enum stretch s,
		       double v, uint32_t times)
{
	int r = 0;

	if (mean_of == 1)
		return rank_column_add(&x->column[s], v, times, expected(p, s));
	while (times && r == 0) {
		uint32_t n = mean_of - x->n_sum[s];

		n = n < times ? n : times;
		x->sum[s] += v * n;
		x->n_sum[s] += n;
		times -= n;
		if (x->n_sum[s] < mean_of)
			break;
		r = rank_column_add(&x->column[s], x->sum[s] / mean_of, 1, expected(p, s));
		x->sum[s] = 0;
		x->n_sum[s] = 0;
	}
	return r;
}

static int add_run(const struct part *p, struct series *x, enum stretch s, int64_t v,
		   uint32_t times)
{
	if (s == NOW)
		widen(x, v, v);
	x->n[s] += times;
	return add_samples(p, p->mean_of, x, s, (double)v, times);
}

static int add_values(struct rank *k, const struct part *p, struct series *x, enum stretch s,
		      const struct block_group *g, const struct block_instance *in, bool rate,
		      int64_t base, uint32_t lo, uint32_t hi)
{
	const int64_t *values = k->values;
	uint32_t from = lo > in->first ? lo : in->first, to = in->first + in->n, run = 0;
	int64_t last = 0;
	int r = 0;

	to = to < hi ? to : hi;
	for (uint32_t j = from; j < to && r == 0; j++) {
		int64_t v = values[j - in->first], before;

		if (v == VALUE_ABSENT)
			continue;
		if (rate) {
			before = j > in->first ? values[j - in->first - 1] : base;
			if (before == VALUE_ABSENT || !g->dt_us[j] || v < before)
				continue;
			v = v == before ? 0 : rate_of((uint64_t)v - (uint64_t)before, g->dt_us[j]);
		}
		if (run && v == last) {
			run++;
			continue;
		}
		if (run)
			r = add_run(p, x, s, last, run);
		last = v;
		run = 1;
	}
	return run && r == 0 ? add_run(p, x, s, last, run) : r;
}

/* The same of a cell that tells its changes. */
static int add_changes(struct rank *k, const struct part *p, struct series *x, enum stretch s,
		       const struct block_group *g, const struct block_instance *in, bool rate,
		       uint32_t lo, uint32_t hi)
{
	const struct block_changes *c = &k->changes;
	uint32_t off = in->first - c->has_base, end = in->first + in->n;
	int64_t before = VALUE_ABSENT;
	int r = 0;

	for (uint32_t i = 0; i <= c->n && r == 0; i++) {
		uint32_t from = off + (i ? c->at[i - 1] : c->has_base);
		uint32_t to = i < c->n ? off + c->at[i] : end;
		int64_t v = i ? c->to[i - 1] : c->first;

		if (v != VALUE_ABSENT && rate && i) {
			if (from >= lo && from < hi && g->dt_us[from] && before != VALUE_ABSENT &&
			    v >= before)
				r = add_run(p, x, s,
					    rate_of((uint64_t)v - (uint64_t)before, g->dt_us[from]),
					    1);
			from++;
		} else if (rate && !c->has_base) {
			from++; /* of a first value there is no rate */
		}
		before = v;
		from = from > lo ? from : lo;
		to = to < hi ? to : hi;
		if (v == VALUE_ABSENT || from >= to || r < 0)
			continue;
		if (!rate)
			r = add_run(p, x, s, v, to - from);
		else if (k->n_steps[to] != k->n_steps[from])
			r = add_run(p, x, s, 0, (uint32_t)(k->n_steps[to] - k->n_steps[from]));
	}
	return r;
}

/* Summaries, or buckets; mean_of: a sample is that of so many. */
static int add_minis(const struct part *p, uint32_t mean_of, struct series *x, enum stretch s,
		     const struct block_mini *minis, uint32_t n)
{
	uint32_t times = 0;
	double last = 0;
	int r = 0;

	for (uint32_t i = 0; i < n; i++) {
		const struct block_mini *m = &minis[i];
		double v;

		if (!m->n)
			continue;
		if (s == NOW)
			widen(x, m->min, m->max);
		x->n[s] += m->n;
		v = m->min == m->max ? (double)m->min : m->sum / m->n;
		if (times && v != last) {
			r = add_samples(p, mean_of, x, s, last, times);
			times = 0;
		}
		if (r < 0)
			return r;
		last = v;
		times++;
	}
	return times ? add_samples(p, mean_of, x, s, last, times) : 0;
}

/* By what the block has of several reads at once. */
static int take_minis(struct rank *k, const struct history_block *b, const struct block_group *g,
		      const struct reads *r, uint32_t i, uint32_t metric, bool rate,
		      struct series *x)
{
	const struct part *p = &k->parts[k->map[g->group] - 1];
	const struct block_instance *in = &g->instances[i];
	int e = b->rollup ? rollup_buckets(b->block, g, i, metric, rate, k->buckets)
			  : block_minis(b->block, g, i, metric, rate, k->buckets);

	for (enum stretch s = NOW; e == 0 && s < N_STRETCHES; s++) {
		uint32_t lo = r->lo[s], hi = r->hi[s];

		if (b->rollup) { /* buckets are those of the instance */
			uint32_t end = in->first + in->n;

			lo = lo > in->first ? lo : in->first;
			hi = hi < end ? hi : end;
			lo = lo - in->first;
			hi = hi > in->first ? hi - in->first : 0;
		} else {
			whole_minis(k, g->n_reads, &lo, &hi);
		}
		if (hi > lo)
			e = add_minis(p, k->coarse ? p->mean_of : 1, x, s, k->buckets + lo,
				      hi - lo);
	}
	return e;
}

static int take_series(struct rank *k, const struct history_block *b, const struct block_group *g,
		       const struct reads *r, uint32_t i, uint32_t metric, struct series *x)
{
	const struct part *p = &k->parts[k->map[g->group] - 1];
	bool rate = b->catalog->groups[g->group].metrics[metric].sem == SEM_COUNTER;
	bool by_changes;
	int64_t base;
	int e;

	if (k->coarse || p->mean_of == BLOCK_MINI)
		return take_minis(k, b, g, r, i, metric, rate, x);
	e = block_changes(b->block, g, i, metric, &k->changes);
	by_changes = e == 0;
	if (e == 1)
		e = block_values(b->block, g, i, metric, &base, k->values);
	for (enum stretch s = NOW; e == 0 && s < N_STRETCHES; s++) {
		if (r->lo[s] == r->hi[s])
			continue;
		if (by_changes)
			e = add_changes(k, p, x, s, g, &g->instances[i], rate, r->lo[s], r->hi[s]);
		else
			e = add_values(k, p, x, s, g, &g->instances[i], rate, base, r->lo[s],
				       r->hi[s]);
	}
	return e;
}

static int take_group(struct rank *k, const struct history_block *b, const struct block_group *g)
{
	uint32_t group = k->map[g->group] - 1;
	struct reads r = find_reads(k, b, g);
	uint32_t n_metrics = n_metrics_of(b, g);
	int e = 0;

	for (uint32_t i = 0; i < g->n_reads; i++)
		k->n_steps[i + 1] = (uint16_t)(k->n_steps[i] + (g->dt_us[i] != 0));
	for (uint32_t i = 0; i < g->n_instances && e >= 0; i++) {
		const struct block_instance *in = &g->instances[i];
		struct one *o;
		int64_t one;

		if (!overlap(in, r.lo[NOW], r.hi[NOW]) && !overlap(in, r.lo[BEFORE], r.hi[BEFORE]))
			continue;
		one = sweep_find(&k->names, group, b, in);
		if (one < 0)
			return (int)one;
		o = one < k->cap_ones ? &k->ones[one] : NULL;
		if (!o || o->left_out)
			continue;
		if (!o->series)
			o->series = calloc(n_metrics, sizeof(*o->series));
		if (!o->series)
			return -ENOMEM;
		o->n_metrics = n_metrics;
		for (uint32_t m = 0; m < n_metrics && e != -ENOMEM; m++)
			e = take_series(k, b, g, &r, i, m, &o->series[m]);
		if (e == -EBADMSG)
			e = 0;
	}
	return e;
}

int rank_take(void *arg, const struct history_block *b)
{
	return each_group(arg, b, take_group);
}
