#include "store/rank.h"

#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "store/rank_internal.h"
#include "store/rollup.h"

enum {
	BASE_TIMES = 10,
	BLOCKS_NOW = 96, /* of more than so many in a stretch some stand for all */
	BLOCKS_BEFORE = 48
};

static const int64_t range_max_us = 10 * 86400 * 1000000ll;
static const int64_t base_least_us = (RANK_MIN_SAMPLES + 2) * 1000000ll;
static const int64_t apart_us = 300 * 1000000ll; /* stretches further apart are swept one by one */

/* ---- scores ---- */

static int64_t whole(double v)
{
	return v >= 9.2e18 ? INT64_MAX : v <= -9.2e18 ? INT64_MIN : (int64_t)llround(v);
}

/* What matters, in the metric's unit: of its rate a second, and of it as a level. */
static const struct {
	const char *unit;
	double rate, level;
} least[] = {
	{"nanosec", 1e9 / 300, 0},    {"microsec", 1e6 / 300, 0}, {"millisec", 1e3 / 300, 0},
	{"byte", 16 << 10, 64 << 10}, {"Kbyte", 16, 64},	  {"count", 1, 0},
};

/* In stored units, of rates in thousandths a second. */
static double least_of(const struct mirror_metric *m)
{
	bool rate = m->sem == SEM_COUNTER;

	for (size_t i = 0; i < sizeof(least) / sizeof(*least); i++)
		if (strcmp(least[i].unit, m->unit) == 0)
			return (rate ? 1000 * least[i].rate : least[i].level) * m->div / m->mul;
	return 0;
}

static struct rank_scale scale_of(const struct rank *k, uint32_t group,
				  const struct mirror_metric *m)
{
	const struct part *p = &k->parts[group];
	double quantum = m->quantum > 1 ? (double)m->quantum : 1;
	int64_t span_us = k->to_us[BEFORE] - k->from_us[BEFORE];
	int64_t middle_us = k->from_us[NOW] + (k->to_us[NOW] - k->from_us[NOW]) / 2;

	uint32_t read_ms = p->period_ms ? p->period_ms : 100;

	if (k->coarse)
		read_ms = ROLLUP_BUCKET_US / 1000;
	if (m->sem == SEM_COUNTER) /* a step in one read, as thousandths a second */
		quantum *= 1e6 / read_ms;
	return (struct rank_scale){
		.quantum = quantum / p->mean_of,
		.least = least_of(m),
		.share = k->coarse ? 1.0 / 64 : 1.0 / 1024, /* rollups round rates */
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
		struct rank_moved v;

		if (!x)
			continue;
		x += metric;
		if (!x->column[NOW].n || x->column[BEFORE].n < RANK_MIN_SAMPLES)
			continue;
		res->n_scored++;
		v = rank_score(&x->column[NOW], &x->column[BEFORE], &scale, scratch);
		if (!(v.score >= RANK_SCORE_MIN))
			continue;
		moved++;
		if (v.score <= row->score)
			continue;
		row->score = v.score;
		row->brief = v.brief;
		row->now = whole(v.now);
		row->before = whole(v.before);
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

/* The most samples of one series in both stretches. */
static size_t most_samples(const struct rank *k)
{
	size_t most = 1;

	for (uint32_t i = 0; i < k->names.n && i < k->cap_ones; i++) {
		const struct one *o = &k->ones[i];

		for (uint32_t m = 0; o->series && m < o->n_metrics; m++) {
			const struct rank_column *c = o->series[m].column;
			size_t n = (size_t)c[NOW].n + c[BEFORE].n;

			most = n > most ? n : most;
		}
	}
	return most;
}

static int score_all(struct rank *k, struct rank_result *res)
{
	uint32_t *begin = calloc(k->n_parts + 2, sizeof(*begin)), *members = NULL;
	double *scratch = NULL;
	size_t n_metrics = 0, n = 0;

	for (uint32_t g = 0; g < k->n_parts; g++)
		n_metrics += res->catalog->groups[g].n_metrics;
	if (begin)
		members = by_group(k, begin);
	scratch = malloc(most_samples(k) * sizeof(*scratch));
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

/* Is the range, or all but too little of the baseline, older than what is held in full? */
static bool is_coarse(const struct rank *k, struct history *h)
{
	int64_t full_us = history_full_us(h), from_us = k->from_us[BEFORE];

	if (history_oldest_us(h) >= full_us)
		return false;
	if (k->from_us[NOW] + (k->to_us[NOW] - k->from_us[NOW]) / 2 < full_us)
		return true;
	return from_us < full_us && k->to_us[BEFORE] - full_us < base_least_us;
}

/* Ten times the range, and long enough to know what is usual, also of what is read once a second; of
 * buckets it takes as many. */
static void choose_base(struct rank *k, struct history *h)
{
	int64_t us = (k->to_us[NOW] - k->from_us[NOW]) * BASE_TIMES, least_us = base_least_us;
	int64_t full_us = history_full_us(h);

	if (k->to_us[BEFORE] <= k->from_us[BEFORE]) {
		k->to_us[BEFORE] = k->from_us[NOW];
		k->from_us[BEFORE] = k->from_us[NOW] - (us > least_us ? us : least_us);
	}
	k->coarse = is_coarse(k, h);
	if (!k->coarse && k->from_us[BEFORE] < full_us && k->to_us[BEFORE] > full_us)
		k->from_us[BEFORE] = full_us; /* no more of it is held in full */
	least_us *= ROLLUP_BUCKET_US / 1000000;
	if (k->coarse && k->to_us[BEFORE] - k->from_us[BEFORE] < least_us)
		k->from_us[BEFORE] = k->to_us[BEFORE] - least_us;
}

static int prepare(struct rank *k, struct sweep *w)
{
	if (!k->parts) {
		k->n_parts = w->catalog->n_groups;
		k->parts = calloc(k->n_parts + 1, sizeof(*k->parts));
		k->values = malloc(BLOCK_READS * sizeof(*k->values));
		k->buckets = malloc(BLOCK_READS * sizeof(*k->buckets));
	}
	return k->parts && k->values && k->buckets ? 0 : -ENOMEM;
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
	uint32_t had[N_STRETCHES] = {0};
	int r, n;

	choose_base(k, h);
	n = open_sweeps(k, h, sweeps, cancel);
	if (n == -ENOENT)
		return -ENODATA;
	r = n < 0 ? n : prepare(k, &sweeps[0]);
	if (r == 0)
		r = run_sweeps(k, sweeps, n, rank_count);
	if (r < 0)
		return r;
	for (uint32_t g = 0; g < k->n_parts; g++)
		for (int s = 0; s < N_STRETCHES; s++)
			had[s] += k->parts[g].n[s];
	if (!had[NOW] || !had[BEFORE])
		return -ENODATA;
	rank_decide(k);
	r = run_sweeps(k, sweeps, n, rank_take);
	if (r < 0)
		return r;
	res->base_from_us = k->from_us[BEFORE];
	res->base_to_us = k->to_us[BEFORE];
	res->resolution_us = k->coarse ? ROLLUP_BUCKET_US : 0;
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
	free(k->buckets);
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
