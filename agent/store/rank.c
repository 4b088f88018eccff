#include "store/rank.h"

#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "store/rank_score.h"
#include "store/rate.h"
#include "store/sweep.h"

enum {
	SAMPLES_MAX =
		2048, /* of a series in both stretches; beyond it means of several are taken */
	BASE_TIMES = 10,
	BLOCKS_NOW = 96, /* of more than so many in a stretch some stand for all */
	BLOCKS_BEFORE = 48
};

static const int64_t range_max_us = 10 * 86400 * 1000000ll;
static const int64_t apart_us = 300 * 1000000ll; /* stretches further apart are swept one by one */

enum stretch { NOW, BEFORE, N_STRETCHES };

/* One series. */
struct series {
	struct rank_column column[N_STRETCHES];
	double sum[N_STRETCHES]; /* of the mean in the making, and how many it has */
	uint32_t n_sum[N_STRETCHES];
	uint32_t n[N_STRETCHES]; /* samples taken */
	int64_t min, max;	 /* NOW */
};
struct one { /* instance */
	uint32_t n[N_STRETCHES];
	bool left_out;
	uint32_t n_metrics;
	struct series *series; /* one a metric; NULL until it is looked at */
};
struct part { /* group */
	uint32_t n[N_STRETCHES];
	uint32_t mean_of; /* reads a sample is the mean of */
	uint32_t period_ms;
};

struct rank {
	const struct rank_request *rq;
	int64_t from_us[N_STRETCHES], to_us[N_STRETCHES];
	struct sweep *w;
	const struct mirror *mapped; /* what `map` is of */
	uint32_t *map;		     /* group of a block to that of the newest catalog, + 1 */
	uint32_t n_map;
	struct part *parts;
	uint32_t n_parts;
	struct sweep_names names;
	struct one *ones;
	uint32_t cap_ones;
	int64_t *values;
	struct block_changes changes;
	uint16_t n_steps[BLOCK_READS + 1]; /* of the group: how many reads before have a dt_us */
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
		r.lo[i] = first_at(g, b->shift_us, k->from_us[i]);
		r.hi[i] = first_at(g, b->shift_us, k->to_us[i]);
	}
	return r;
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
		k->parts[group].n[s] += r.hi[s] - r.lo[s];
	for (uint32_t i = 0; i < g->n_instances; i++) {
		const struct block_instance *in = &g->instances[i];
		uint32_t n[N_STRETCHES];
		int64_t one;
		int e;

		for (int s = 0; s < N_STRETCHES; s++)
			n[s] = overlap(in, r.lo[s], r.hi[s]);
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

static int each_group(struct rank *k, const struct history_block *b,
		      int (*visit)(struct rank *, const struct history_block *,
				   const struct block_group *))
{
	const struct block_group *g;
	int r = b->rollup ? 0 : map_groups(k, b);

	for (uint32_t i = 0; !b->rollup && i < k->n_map && r == 0; i++) {
		if (!k->map[i])
			continue;
		r = block_group(b->block, i, &g);
		if (r == 0 && g && g->n_reads <= BLOCK_READS)
			r = visit(k, b, g);
		if (r == -EBADMSG)
			r = 0;
	}
	return r;
}

static int count_block(void *arg, const struct history_block *b)
{
	return each_group(arg, b, count_group);
}

/* How samples are made, and who is left out. */
static void decide(struct rank *k)
{
	for (uint32_t g = 0; g < k->n_parts; g++) {
		struct part *p = &k->parts[g];
		uint32_t all = p->n[NOW] + p->n[BEFORE], most = p->n[NOW] / RANK_MIN_SAMPLES;

		p->mean_of = 1;
		if (all <= SAMPLES_MAX || most < 2)
			continue;
		p->mean_of = (all - 1) / SAMPLES_MAX + 1;
		if (most >= BLOCK_MINI && all / BLOCK_MINI >= 4 * RANK_MIN_SAMPLES)
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
static int add_run(const struct part *p, struct series *x, enum stretch s, int64_t v,
		   uint32_t times)
{
	int r = 0;

	if (s == NOW)
		widen(x, v, v);
	x->n[s] += times;
	if (p->mean_of == 1)
		return rank_column_add(&x->column[s], (double)v, times, expected(p, s));
	while (times && r == 0) {
		uint32_t n = p->mean_of - x->n_sum[s];

		n = n < times ? n : times;
		x->sum[s] += (double)v * n;
		x->n_sum[s] += n;
		times -= n;
		if (x->n_sum[s] < p->mean_of)
			break;
		r = rank_column_add(&x->column[s], x->sum[s] / p->mean_of, 1, expected(p, s));
		x->sum[s] = 0;
		x->n_sum[s] = 0;
	}
	return r;
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

static int add_minis(const struct part *p, struct series *x, enum stretch s,
		     const struct block_mini *minis, uint32_t lo, uint32_t hi)
{
	uint32_t times = 0;
	double last = 0;
	int r = 0;

	for (uint32_t i = (lo + BLOCK_MINI - 1) / BLOCK_MINI; (i + 1) * BLOCK_MINI <= hi; i++) {
		const struct block_mini *m = &minis[i];
		double v;

		if (!m->n)
			continue;
		if (s == NOW)
			widen(x, m->min, m->max);
		x->n[s] += m->n;
		v = m->min == m->max ? (double)m->min : m->sum / m->n;
		if (times && v != last) {
			r = rank_column_add(&x->column[s], last, times, expected(p, s));
			times = 0;
		}
		if (r < 0)
			return r;
		last = v;
		times++;
	}
	return times ? rank_column_add(&x->column[s], last, times, expected(p, s)) : 0;
}

static int take_series(struct rank *k, const struct history_block *b, const struct block_group *g,
		       const struct reads *r, uint32_t i, uint32_t metric, struct series *x)
{
	const struct part *p = &k->parts[k->map[g->group] - 1];
	bool rate = b->catalog->groups[g->group].metrics[metric].sem == SEM_COUNTER;
	struct block_mini minis[BLOCK_MINIS_MAX];
	bool by_changes;
	int64_t base;
	int e;

	if (p->mean_of == BLOCK_MINI)
		e = block_minis(b->block, g, i, metric, rate, minis);
	else
		e = block_changes(b->block, g, i, metric, &k->changes);
	by_changes = e == 0;
	if (e == 1)
		e = block_values(b->block, g, i, metric, &base, k->values);
	for (enum stretch s = NOW; e == 0 && s < N_STRETCHES; s++) {
		if (r->lo[s] == r->hi[s])
			continue;
		if (p->mean_of == BLOCK_MINI)
			e = add_minis(p, x, s, minis, r->lo[s], r->hi[s]);
		else if (by_changes)
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
			o->series = calloc(g->n_metrics, sizeof(*o->series));
		if (!o->series)
			return -ENOMEM;
		o->n_metrics = g->n_metrics;
		for (uint32_t m = 0; m < g->n_metrics && e != -ENOMEM; m++)
			e = take_series(k, b, g, &r, i, m, &o->series[m]);
		if (e == -EBADMSG)
			e = 0;
	}
	return e;
}

static int take_block(void *arg, const struct history_block *b)
{
	return each_group(arg, b, take_group);
}

/* ---- scores ---- */

static int64_t whole(double v)
{
	return v >= 9.2e18 ? INT64_MAX : v <= -9.2e18 ? INT64_MIN : (int64_t)llround(v);
}

static struct rank_scale scale_of(const struct rank *k, uint32_t group,
				  const struct mirror_metric *m)
{
	const struct part *p = &k->parts[group];
	double quantum = m->quantum > 1 ? (double)m->quantum : 1;
	int64_t span_us = k->to_us[BEFORE] - k->from_us[BEFORE];
	int64_t middle_us = k->from_us[NOW] + (k->to_us[NOW] - k->from_us[NOW]) / 2;

	if (m->sem == SEM_COUNTER) /* a step in one read, as thousandths a second */
		quantum *= 1e6 / (p->period_ms ? p->period_ms : 100);
	return (struct rank_scale){
		.quantum = quantum / p->mean_of,
		.state = m->sem == SEM_DISCRETE || m->n_names,
		.ahead = (double)(middle_us - k->from_us[BEFORE]) / (double)span_us,
	};
}

/* The family of one metric: its row, if any of it moved. */
static bool score_family(struct rank *k, const uint32_t *members, uint32_t n, uint32_t metric,
			 struct rank_result *res, double *scratch, struct rank_row *row)
{
	uint32_t group = k->names.v[members[0]].group, moved = 0;
	const struct mirror_metric *m = &res->catalog->groups[group].metrics[metric];
	struct rank_scale scale = scale_of(k, group, m);

	for (uint32_t i = 0; i < n; i++) {
		struct series *x = k->ones[members[i]].series;
		double score, now, before;

		if (!x)
			continue;
		x += metric;
		if (!x->column[NOW].n || x->column[BEFORE].n < RANK_MIN_SAMPLES)
			continue;
		res->n_scored++;
		score = rank_score(&x->column[NOW], &x->column[BEFORE], &scale, scratch, &now,
				   &before);
		if (!(score >= RANK_SCORE_MIN))
			continue;
		moved++;
		if (score <= row->score)
			continue;
		row->score = score;
		row->now = whole(now);
		row->before = whole(before);
		row->min = x->min;
		row->max = x->max;
		row->n = x->n[NOW];
		row->n_before = x->n[BEFORE];
		memcpy(row->instance, k->names.v[members[i]].name, sizeof(row->instance));
	}
	if (!moved)
		return false;
	strncpy(row->metric, m->name, sizeof(row->metric) - 1);
	row->group = group;
	row->metric_index = metric;
	row->others = moved - 1;
	row->rate = m->sem == SEM_COUNTER;
	return true;
}

static int by_score(const void *a, const void *b)
{
	const struct rank_row *x = a, *y = b;

	if (x->score != y->score)
		return x->score > y->score ? -1 : 1;
	if (x->group != y->group)
		return x->group < y->group ? -1 : 1;
	return x->metric_index < y->metric_index ? -1 : x->metric_index > y->metric_index;
}

/* The instances of each group, group by group: those of g are members[begin[g]..begin[g + 1]). */
static uint32_t *by_group(const struct rank *k, uint32_t *begin)
{
	uint32_t *members = malloc((k->names.n + 1) * sizeof(*members));

	for (uint32_t i = 0; i < k->names.n; i++)
		begin[k->names.v[i].group + 2]++;
	for (uint32_t g = 0; g < k->n_parts; g++)
		begin[g + 2] += begin[g + 1];
	for (uint32_t i = 0; members && i < k->names.n; i++) /* makes begin[g + 1] the end of g */
		members[begin[k->names.v[i].group + 1]++] = i;
	return members;
}

static int score_all(struct rank *k, struct rank_result *res)
{
	uint32_t *begin = calloc(k->n_parts + 2, sizeof(*begin)), *members = NULL;
	double *scratch = NULL;
	size_t n_metrics = 0, n = 0;
	uint32_t most = 1;

	for (uint32_t g = 0; g < k->n_parts; g++)
		n_metrics += res->catalog->groups[g].n_metrics;
	for (uint32_t g = 0; g < k->n_parts; g++)
		for (int s = 0; s < N_STRETCHES; s++)
			most = k->parts[g].n[s] > most ? k->parts[g].n[s] : most;
	if (begin)
		members = by_group(k, begin);
	scratch = malloc((size_t)(most + 1) * sizeof(*scratch));
	res->rows = calloc(n_metrics + 1, sizeof(*res->rows));
	for (uint32_t g = 0; begin && members && scratch && res->rows && g < k->n_parts; g++) {
		uint32_t n_members = begin[g + 1] - begin[g];

		res->n_series += n_members * res->catalog->groups[g].n_metrics;
		for (uint32_t m = 0; n_members && m < res->catalog->groups[g].n_metrics; m++)
			n += score_family(k, members + begin[g], n_members, m, res, scratch,
					  &res->rows[n]);
	}
	free(scratch);
	free(begin);
	if (!members || !res->rows)
		return -ENOMEM;
	free(members);
	if (n)
		qsort(res->rows, n, sizeof(*res->rows), by_score);
	res->n_rows = n < k->rq->limit ? n : k->rq->limit;
	return 0;
}

/* ---- the whole ---- */

/* Ten times the range, and long enough for what is read once a second. */
static void choose_base(struct rank *k)
{
	const struct mirror *m = k->w->catalog;
	int64_t period_ms = 100, us = (k->to_us[NOW] - k->from_us[NOW]) * BASE_TIMES;

	if (k->to_us[BEFORE] > k->from_us[BEFORE])
		return;
	for (uint32_t g = 0; g < m->n_groups; g++)
		if (m->groups[g].period_ms > period_ms && m->groups[g].period_ms <= 1000)
			period_ms = m->groups[g].period_ms;
	if (us < (RANK_MIN_SAMPLES + 2) * period_ms * 1000)
		us = (RANK_MIN_SAMPLES + 2) * period_ms * 1000;
	k->to_us[BEFORE] = k->from_us[NOW];
	k->from_us[BEFORE] = k->from_us[NOW] - us;
}

static int prepare(struct rank *k, struct sweep *w)
{
	if (!k->parts) {
		k->n_parts = w->catalog->n_groups;
		k->parts = calloc(k->n_parts + 1, sizeof(*k->parts));
		k->values = malloc(BLOCK_READS * sizeof(*k->values));
	}
	return k->parts && k->values ? 0 : -ENOMEM;
}

static int run_sweeps(struct rank *k, struct sweep *sweeps, int n,
		      int (*each)(void *arg, const struct history_block *))
{
	int r = 0;

	for (int i = 0; i < n && r == 0; i++) {
		k->w = &sweeps[i];
		k->mapped = NULL;
		r = sweep_each(&sweeps[i], each, k);
	}
	return r;
}

/* Opens what is to be swept: one stretch that holds both, or two. Their number or -errno. */
static int open_sweeps(struct rank *k, struct history *h, struct sweep sweeps[2],
		       const _Atomic bool *cancel)
{
	enum stretch first = k->from_us[BEFORE] < k->from_us[NOW] ? BEFORE : NOW,
		     last = first == NOW ? BEFORE : NOW;
	int64_t end = k->to_us[first] > k->to_us[last] ? k->to_us[first] : k->to_us[last];
	int r, n = k->from_us[last] - k->to_us[first] > apart_us ? 2 : 1;

	r = sweep_begin(&sweeps[0], h, k->from_us[first], n == 1 ? end : k->to_us[first], cancel);
	if (r == 0 && n == 2)
		r = sweep_begin(&sweeps[1], h, k->from_us[last], k->to_us[last], cancel);
	for (int i = 0; r == 0 && i < n; i++) {
		history_walk_thin(h, &sweeps[i].walk, k->from_us[BEFORE], k->to_us[BEFORE],
				  BLOCKS_BEFORE);
		history_walk_thin(h, &sweeps[i].walk, k->from_us[NOW], k->to_us[NOW], BLOCKS_NOW);
	}
	return r < 0 ? r : n;
}

static int run(struct rank *k, struct history *h, struct sweep sweeps[2], struct rank_result *res,
	       const _Atomic bool *cancel)
{
	struct sweep probe = {.catalog = calloc(1, sizeof(*probe.catalog))};
	uint32_t had[N_STRETCHES] = {0};
	int r = probe.catalog ? history_catalog(h, probe.catalog) : -ENOMEM, n;

	k->w = &probe;
	if (r == 0)
		choose_base(k);
	sweep_end(&probe);
	if (r < 0)
		return r == -ENOENT ? -ENODATA : r;
	n = open_sweeps(k, h, sweeps, cancel);
	r = n < 0 ? n : prepare(k, &sweeps[0]);
	if (r == 0)
		r = run_sweeps(k, sweeps, n, count_block);
	if (r < 0)
		return r;
	for (uint32_t g = 0; g < k->n_parts; g++)
		for (int s = 0; s < N_STRETCHES; s++)
			had[s] += k->parts[g].n[s];
	if (!had[NOW] || !had[BEFORE])
		return -ENODATA;
	decide(k);
	r = run_sweeps(k, sweeps, n, take_block);
	if (r < 0)
		return r;
	res->base_from_us = k->from_us[BEFORE];
	res->base_to_us = k->to_us[BEFORE];
	res->catalog = sweeps[0].catalog;
	sweeps[0].catalog = NULL;
	return score_all(k, res);
}

static void done(struct rank *k)
{
	for (uint32_t i = 0; i < k->cap_ones; i++) {
		struct one *o = &k->ones[i];

		for (uint32_t m = 0; o->series && m < o->n_metrics; m++)
			for (int s = 0; s < N_STRETCHES; s++)
				rank_column_done(&o->series[m].column[s]);
		free(o->series);
	}
	free(k->ones);
	free(k->parts);
	free(k->map);
	free(k->values);
	sweep_names_done(&k->names);
}

/* Sums of times stay far from where they would wrap. */
static bool is_sane(int64_t from_us, int64_t to_us, int64_t max_us)
{
	static const int64_t far_us = 1ll << 60;

	return from_us > -far_us && to_us < far_us && from_us < to_us && to_us - from_us <= max_us;
}

int rank_run(struct history *h, const struct rank_request *rq, struct rank_result **ret,
	     const _Atomic bool *cancel)
{
	struct rank k = {.rq = rq,
			 .from_us = {rq->from_us, rq->base_from_us},
			 .to_us = {rq->to_us, rq->base_to_us}};
	bool given = rq->base_from_us || rq->base_to_us;
	struct sweep sweeps[2] = {0};
	struct rank_result *res;
	int r;

	if (!rq->limit || rq->limit > RANK_ROWS_MAX ||
	    !is_sane(rq->from_us, rq->to_us, range_max_us) ||
	    (given && !is_sane(rq->base_from_us, rq->base_to_us, BASE_TIMES * range_max_us)))
		return -EINVAL;
	res = calloc(1, sizeof(*res));
	r = res ? run(&k, h, sweeps, res, cancel) : -ENOMEM;
	sweep_end(&sweeps[0]);
	sweep_end(&sweeps[1]);
	done(&k);
	if (r < 0) {
		rank_free(res);
		return r;
	}
	*ret = res;
	return 0;
}

void rank_free(struct rank_result *res)
{
	if (!res)
		return;
	free(res->rows);
	if (res->catalog)
		mirror_done(res->catalog);
	free(res->catalog);
	free(res);
}
