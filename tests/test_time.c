/*
 * Properties of time through the whole history: whatever ticks, clocks, counters, agents and boots do,
 * what is answered at any zoom is what was read, where it was read. RING_LONG=1: more seeds.
 * TIME_SEED=N: that one.
 */
#include "time_world.h"

#include "export/samples.h"

/* ---- what a point must say ---- */

static double rate_in(const struct fact *f)
{
	long double delta = (long double)((uint64_t)f->value - (uint64_t)f->before);
	long double rate = delta * 1e9L / (long double)f->dt_us;

	return rate < 9.2e18L ? (double)rate : 9.223372036854775807e18;
}

struct want {
	uint32_t n;
	double first, min, max, last, sum, size;
};

static void want_add(struct want *p, double v)
{
	if (!p->n++)
		p->first = p->min = p->max = v;
	p->min = v < p->min ? v : p->min;
	p->max = v > p->max ? v : p->max;
	p->last = v;
	p->sum += v;
	p->size += v < 0 ? -v : v;
}

static void want_points(const struct world *w, const struct axis *x, unsigned s, bool rates,
			const struct query_request *rq, uint64_t step_us, struct want *to)
{
	const struct facts *l = &w->facts[s];

	for (size_t i = 0; i < l->n; i++) {
		const struct fact *f = &l->v[i];
		int64_t at_us = f->at_us + x->shift_us[f->boot];

		if (at_us < rq->from_us || at_us >= rq->to_us || (rates && !f->dt_us))
			continue;
		want_add(&to[(uint64_t)(at_us - rq->from_us) / step_us],
			 rates ? rate_in(f) : (double)f->value);
	}
}

static bool is_equal(double a, double b)
{
	double off = a < b ? b - a : a - b, size = b < 0 ? -b : b;

	return off <= 1 + size * 1e-12;
}

#define HOLDS(x)                                                                                   \
	do {                                                                                       \
		if (!(x))                                                                          \
			ck_abort_msg("%s %s %s point %u of %u [%lld, %lld), %u of %u values: %s",  \
				     name, instance, rq->raw ? "raw" : "rates", p, rq->points,     \
				     (long long)rq->from_us, (long long)rq->to_us, have.n,         \
				     want[p].n, #x);                                               \
	} while (0)

/* An instance that went and came again is several series: together they are what was read. */
static void check_points(const char *name, const struct query_request *rq,
			 const struct query_result *res, const char *instance,
			 const struct want *want)
{
	for (uint32_t p = 0; p < rq->points; p++) {
		struct want have = {0};
		unsigned parts = 0;

		for (size_t i = 0; i < res->n_series; i++) {
			const struct query_point *q = &res->series[i].points[p];

			if (!q->n || strcmp(res->series[i].instance, instance) != 0)
				continue;
			have.min = parts && have.min < (double)q->min ? have.min : (double)q->min;
			have.max = parts && have.max > (double)q->max ? have.max : (double)q->max;
			have.n += q->n;
			have.sum += q->sum;
			have.first = (double)q->first;
			have.last = (double)q->last;
			parts++;
		}
		HOLDS(have.n == want[p].n);
		if (!have.n)
			continue;
		HOLDS(is_equal(have.min, want[p].min));
		HOLDS(is_equal(have.max, want[p].max));
		HOLDS(parts > 1 || is_equal(have.first, want[p].first));
		HOLDS(parts > 1 || is_equal(have.last, want[p].last));
		HOLDS(have.sum - want[p].sum <= want[p].n + want[p].size * 1e-9 &&
		      want[p].sum - have.sum <= want[p].n + want[p].size * 1e-9);
	}
}

/* ---- asking ---- */

static void ask(struct world *w, const struct axis *x, int64_t from_us, int64_t to_us,
		uint32_t points, bool raw)
{
	struct want *want = calloc(points, sizeof(*want));

	ck_assert_ptr_nonnull(want);
	for (unsigned g = 0; g < N_GROUPS; g++)
		for (unsigned m = 0; m < groups[g].n_metrics; m++) {
			const char *metric = groups[g].metrics[m].name;
			struct query_selector sel = {.metric = metric};
			struct query_request rq = {.selectors = &sel,
						   .n_selectors = 1,
						   .from_us = from_us,
						   .to_us = to_us,
						   .points = points,
						   .raw = raw};
			struct query_result *res;
			bool rates = groups[g].metrics[m].sem == SEM_COUNTER && !raw;

			ck_assert_int_eq(query_run(w->history, &rq, &res, NULL), 0);
			for (unsigned i = 0; i < (g == 1 ? 4 : 1); i++) {
				unsigned s = series_base[g] + i * groups[g].n_metrics + m;

				memset(want, 0, points * sizeof(*want));
				want_points(w, x, s, rates, &rq, res->step_us, want);
				check_points(metric, &rq, res, g == 1 ? disks[i] : "", want);
			}
			query_free(res);
		}
	free(want);
}

static const struct fact *any_fact(struct world *w)
{
	const struct facts *l;

	do
		l = &w->facts[chance(w, N_SERIES)];
	while (!l->n);
	return &l->v[chance(w, l->n)];
}

static void ask_at_all_zooms(struct world *w, const struct axis *x, unsigned times)
{
	for (unsigned i = 0; i < times; i++) {
		const struct fact *a = any_fact(w), *b = any_fact(w);
		int64_t from = a->at_us + x->shift_us[a->boot] - (int64_t)chance(w, 2);
		int64_t to = b->at_us + x->shift_us[b->boot] + (int64_t)chance(w, 2);
		uint32_t points = 1 + (uint32_t)chance(w, i % 3 == 0 ? 1 : i % 3 == 1 ? 12 : 900);

		if (i % 4 == 1)
			to = from + (int64_t)(1 + chance(w, 20 * SECOND));
		if (from > to) {
			int64_t swap = from;

			from = to;
			to = swap;
		}
		ask(w, x, from, to + (from == to), points, i % 5 == 0);
	}
}

/* ---- the wall clock ---- */

static void check_walls(struct world *w, const struct axis *x, unsigned times)
{
	for (unsigned i = 0; i < times; i++) {
		const struct fact *f = any_fact(w);
		int64_t at_us = f->at_us + x->shift_us[f->boot], wall_us;
		struct query_selector sel = {.metric = "t.level"};
		struct query_request rq = {.selectors = &sel,
					   .n_selectors = 1,
					   .from_us = at_us - (int64_t)chance(w, 100 * SECOND),
					   .to_us = at_us + 1,
					   .points = 1,
					   .raw = true};
		struct query_result *res;

		ck_assert_int_eq(query_run(w->history, &rq, &res, NULL), 0);
		wall_us = query_wall_us(res, at_us);
		ck_assert_msg(is_wall_of(w, f, wall_us),
			      "boot %u of %u at %lld: the wall clock was off by %lld, not %lld us",
			      f->boot, w->boot, (long long)f->at_us,
			      (long long)off_at(w, f->boot, f->at_us),
			      (long long)(wall_us - f->at_us));
		query_free(res);
	}
}

/* As the API maps a wall time: to a moment at which the clock showed it, if there was one; what was
 * never shown is where the clock was set over it. */
static void check_moments(struct world *w, const struct axis *x, unsigned times)
{
	struct history_clock *clocks;
	struct mirror m;
	size_t n;
	int64_t before_wall = 0, before_at = 0;

	mirror_init(&m);
	clocks = history_clocks(w->history, &n);
	ck_assert_ptr_nonnull(clocks);
	ck_assert_int_eq(history_catalog(w->history, &m), 0);
	for (unsigned i = 0; i < times; i++) {
		const struct fact *f = any_fact(w);
		int64_t at_us = f->at_us + x->shift_us[f->boot];
		int64_t wall_us = history_wall_us(clocks, n, &m, at_us), found_us;

		ck_assert(is_wall_of(w, f, wall_us));
		found_us = history_at_us(clocks, n, &m, (int64_t)w->mono_us + SECOND, wall_us);
		ck_assert_int_le(llabs(history_wall_us(clocks, n, &m, found_us) - wall_us), 1000);
		if (!w->forward_only || w->boot)
			continue; /* between boots nobody knows what was shown */
		wall_us += (int64_t)chance(w, 100 * SECOND); /* perhaps never shown */
		found_us = history_at_us(clocks, n, &m, (int64_t)w->mono_us + SECOND, wall_us);
		if (i && wall_us >= before_wall)
			ck_assert_int_ge(found_us, before_at);
		else if (i)
			ck_assert_int_le(found_us, before_at);
		before_wall = wall_us;
		before_at = found_us;
	}
	free(clocks);
	mirror_done(&m);
}

/* Boots lie where the wall clock said, if that kept their order. */
static void check_boots(const struct world *w, const struct axis *x)
{
	for (uint32_t boot = 0; w->forward_only && boot < w->boot; boot++) {
		int64_t off_us = off_at(w, boot, INT64_MAX), now_us = 0;

		for (size_t i = 0; i < w->n_records; i++)
			if (w->records[i].boot == w->boot && !now_us)
				now_us = w->records[i].real_off_us;
		/* the running boot's clock may have been set since they were placed */
		ck_assert_int_le(x->shift_us[boot], off_us - now_us + 1000);
	}
}

/* ---- what a block counts ---- */

static bool any_metric(void *arg, const char *metric)
{
	(void)arg;
	(void)metric;
	return true;
}

static int count_sample(void *arg, const struct sample *s)
{
	(void)s;
	++*(uint64_t *)arg;
	return 0;
}

static uint64_t count_absent(const struct history_block *b)
{
	int64_t base, values[BLOCK_READS];
	const struct block_group *g;
	uint64_t n = 0;

	for (uint32_t i = 0; i < N_GROUPS; i++) {
		ck_assert_int_eq(block_group(b->block, i, &g), 0);
		for (uint32_t k = 0; g && k < g->n_instances; k++)
			for (uint32_t m = 0; m < g->n_metrics; m++) {
				ck_assert_int_eq(block_values(b->block, g, k, m, &base, values), 0);
				for (uint32_t at = 0; at < g->instances[k].n; at++)
					n += values[at] == VALUE_ABSENT;
			}
	}
	return n;
}

/* An export of all that is held has a row for each sample but those that are absent. */
static void check_counts(struct world *w)
{
	uint64_t n_rows = 0, n_absent = 0, n_samples = 0;
	struct samples_config c = {false, INT64_MIN, INT64_MAX, any_metric, count_sample, &n_rows};
	struct history_block b;
	struct samples *s;

	ck_assert_int_eq(samples_open(&s, &c), 0);
	for (size_t i = 0;
	     history_get(w->history, INT64_MIN, (int64_t)w->first_us[w->boot], i, &b) == 1; i++) {
		uint8_t *catalog;
		const uint8_t *data;
		size_t len;

		n_samples += block_head(b.block)->n_samples;
		n_absent += count_absent(&b);
		ck_assert_int_eq(history_catalog_bytes(w->history, &b, &catalog, &len), 0);
		ck_assert_int_eq(samples_catalog(s, catalog, len), 0);
		free(catalog);
		data = history_bytes(&b, &len);
		ck_assert_int_eq(samples_block(s, data, len, b.shift_us), 0);
		history_release(w->history, &b);
	}
	ck_assert_int_eq(samples_flush(s), 0);
	ck_assert_uint_eq(n_rows + n_absent, n_samples);
	samples_close(s);
}

/* ---- the properties ---- */

static unsigned n_seeds(unsigned few, unsigned many)
{
	return getenv("TIME_SEED") ? 1 : lab_long_form() ? many : few;
}

static uint64_t seed_of(unsigned i)
{
	const char *one = getenv("TIME_SEED");

	return one ? strtoull(one, NULL, 10) : i;
}

START_TEST(every_answer_is_what_was_read)
{
	size_t n_facts = 0, n_boots = 0;

	for (unsigned i = 0; i < n_seeds(24, 1500); i++) {
		struct world *w = malloc(sizeof(*w));
		struct axis x;
		uint64_t seed = seed_of(i);

		ck_assert_ptr_nonnull(w);
		fprintf(stderr, "\rseed %llu ", (unsigned long long)seed);
		world_open(w, seed, true, (64 << 10) << seed % 5);
		for (unsigned part = 0; part < 4; part++) {
			world_run(w, 200 + (unsigned)chance(w, 800));
			find_axis(w, &x);
			check_boots(w, &x);
			ask_at_all_zooms(w, &x, 12);
			check_walls(w, &x, 30);
			check_moments(w, &x, 60);
		}
		check_counts(w);
		for (unsigned s = 0; s < N_SERIES; s++)
			n_facts += w->facts[s].n;
		n_boots += w->boot + 1;
		world_close(w);
		free(w);
	}
	fprintf(stderr, "\r%zu values in %zu boots\n", n_facts, n_boots);
}
END_TEST

#define BOUNDED(x)                                                                                 \
	do {                                                                                       \
		if (!(x))                                                                          \
			ck_abort_msg("%s %s point %u of %u [%lld, %lld), n %u of %u, %g..%g in "   \
				     "%g..%g: %s",                                                 \
				     name, instance, p, rq->points, (long long)rq->from_us,        \
				     (long long)rq->to_us, q->n, around.n, (double)q->min,         \
				     (double)q->max, around.min, around.max, #x);                  \
	} while (0)

/* A point of rollups has the buckets that begin in it: what lies ten seconds around bounds it, and
 * what lies well within it is there. */
static void check_bounds(struct world *w, const struct axis *x, unsigned s, const char *name,
			 const struct query_request *rq, uint64_t step_us,
			 const struct query_point *q, uint32_t p, const char *instance)
{
	/* counters: two of `one`, the first of each two of `many`, the first of `slow` */
	bool rates = s < 2 || (s > 2 && s % 2);
	int64_t from_us = rq->from_us + (int64_t)(p * step_us), to_us = from_us + (int64_t)step_us;
	struct query_request wide = *rq, inner = *rq;
	struct want around = {0}, within = {0};
	double slack = rates ? 0.005 : 0;

	wide.from_us = from_us - 10 * SECOND;
	wide.to_us = to_us + 10 * SECOND;
	inner.from_us = from_us + 10 * SECOND;
	inner.to_us = to_us - 10 * SECOND;
	want_points(w, x, s, rates, &wide, UINT64_MAX, &around);
	want_points(w, x, s, rates, &inner, UINT64_MAX, &within);
	BOUNDED(q->n <= around.n);
	BOUNDED(*instance || q->n >= within.n); /* of others brief ones are left out */
	if (!q->n)
		return;
	BOUNDED((double)q->min >= around.min - 1 - slack * around.min);
	BOUNDED((double)q->max <= around.max + 1 + slack * around.max);
	BOUNDED(q->min <= q->first && q->first <= q->max);
	BOUNDED(q->min <= q->last && q->last <= q->max);
	BOUNDED(q->sum >= (double)q->min * q->n * (1 - slack) - q->n);
	BOUNDED(q->sum <= (double)q->max * q->n * (1 + slack) + q->n);
}

static size_t ask_bounds(struct world *w, const struct axis *x, int64_t from_us, int64_t to_us,
			 uint32_t points)
{
	size_t n = 0;

	for (unsigned g = 0; g < N_GROUPS; g++)
		for (unsigned m = 0; m < groups[g].n_metrics; m++) {
			struct query_selector sel = {.metric = groups[g].metrics[m].name};
			struct query_request rq = {.selectors = &sel,
						   .n_selectors = 1,
						   .from_us = from_us,
						   .to_us = to_us,
						   .points = points};
			struct query_result *res;

			ck_assert_int_eq(query_run(w->history, &rq, &res, NULL), 0);
			for (size_t i = 0; i < res->n_series; i++) {
				const char *name = res->series[i].instance;
				unsigned s = series_base[g] + m;

				while (g == 1 && strcmp(disks[(s - 3) / 2], name) != 0)
					s += groups[g].n_metrics;
				for (uint32_t p = 0; p < points; p++, n++)
					check_bounds(w, x, s, sel.metric, &rq, res->step_us,
						     &res->series[i].points[p], p, name);
			}
			query_free(res);
		}
	return n;
}

START_TEST(rollups_stay_within_what_was_read)
{
	size_t n_seen = 0;

	for (unsigned i = 0; i < n_seeds(2, 60); i++) {
		struct world *w = malloc(sizeof(*w));
		struct history_stats h;
		struct axis x;

		ck_assert_ptr_nonnull(w);
		world_open(w, seed_of(i), false, 256 << 10);
		world_run(w, 45000); /* more than a rollup stands for */
		ck_assert_int_eq(keeper_step(w->keeper), 0);
		find_axis(w, &x);
		history_stats(w->history, &h);
		ck_assert_int_gt(h.oldest_full_us, h.oldest_us + 600ll * SECOND);
		for (unsigned k = 0; k < 20; k++) {
			int64_t from = h.oldest_us + 20 * SECOND;
			int64_t held_us = h.oldest_full_us - 20 * SECOND - from;

			from += (int64_t)chance(w, (uint64_t)held_us);
			held_us = h.oldest_full_us - 20 * SECOND - from;
			n_seen += ask_bounds(w, &x, from,
					     from + 1 + (int64_t)chance(w, (uint64_t)held_us),
					     1 + (uint32_t)chance(w, 40));
		}
		world_close(w);
		free(w);
	}
	ck_assert_uint_gt(n_seen, 1000);
}
END_TEST

int main(void)
{
	const TTest *const tests[] = {
		every_answer_is_what_was_read,
		rollups_stay_within_what_was_read,
	};

	return lab_run("time", tests, sizeof(tests) / sizeof(*tests));
}
