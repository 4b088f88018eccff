/*
 * Rank over noise as hosts make it: interrupts by chance, bursts, heavy tails, walks, saw teeth, timers,
 * whose memory is short against the ranges.
 * While nothing changes nothing is told; a second and a half of something new in six seconds is.
 */
#include "query_reference.h"
#include "support.h"

#include "store/rank.h"

#include <math.h>

enum { SELDOM, OFTEN, MANY, BURSTS, FLUSHES, WALK, SWING, SAW, TIMER, JOB, N_KINDS, OF_EACH = 8 };

static const struct metric noise_metrics[] = {
	[SELDOM] = {"n.seldom", "count", 1, 1, "x", "One in 20 ticks.", SEM_COUNTER, 0, NULL},
	[OFTEN] = {"n.often", "count", 1, 1, "x", "Every other tick.", SEM_COUNTER, 0, NULL},
	[MANY] = {"n.many", "count", 1, 1, "x", "Some 200 a tick.", SEM_COUNTER, 0, NULL},
	[BURSTS] = {"n.bursts", "nanosec", 1, 1, "x", "A process of fits.", SEM_COUNTER, 0, NULL},
	[FLUSHES] = {"n.flushes", "byte", 1, 1, "x", "Writes of any size.", SEM_COUNTER, 0, NULL},
	[WALK] = {"n.walk", "Kbyte", 1, 1, "x", "Drifts about.", SEM_INSTANT, 0, NULL},
	[SWING] = {"n.swing", "1", 1, 100, "x", "Comes back.", SEM_INSTANT, 0, NULL},
	[SAW] = {"n.saw", "byte", 1, 1, "x", "A heap and its collector.", SEM_INSTANT, 0, NULL},
	[TIMER] = {"n.timer", "count", 1, 1, "x", "Once a second.", SEM_COUNTER, 0, NULL},
	[JOB] = {"n.job", "millisec", 10, 1, "x", "Half a second in five.", SEM_COUNTER, 1, NULL},
};
static const struct group noise_groups[] = {
	{"noise", "noise", noise_metrics, N_KINDS, 0, OF_EACH, false, NULL}};

struct noisy {
	struct log *log;
	struct history *history;
	struct feeder f;
	uint64_t at, rnd, n;
	int64_t v[OF_EACH][N_KINDS];
	double swing[OF_EACH];
	bool busy[OF_EACH];
	bool struck; /* instance 3 has something new */
};

static double chance(struct noisy *x)
{
	return (double)(feeder_random(&x->rnd) >> 11) / (double)(1ull << 53);
}

/* Of the normal distribution. */
static double normal(struct noisy *x)
{
	return sqrt(-2 * log(1 - chance(x))) * cos(6.283185307 * chance(x));
}

static void noisy_open(struct noisy *x, uint64_t seed)
{
	*x = (struct noisy){.log = open_log(8), .at = 1000ull * SECOND, .rnd = seed * 7919 + 1};
	x->history = open_history(x->log);
	feeder_open(&x->f, x->log, noise_groups, 1);
	for (int i = 0; i < OF_EACH; i++)
		x->v[i][WALK] = 4000000;
}

static void noisy_close(struct noisy *x)
{
	history_close(x->history);
	feeder_close(&x->f);
	log_close(x->log);
}

static void move(struct noisy *x, int i)
{
	uint64_t n = x->n + (uint64_t)i * 13;
	int64_t *v = x->v[i];

	v[SELDOM] += chance(x) < 0.05;
	v[OFTEN] += chance(x) < 0.5 ? 1 + (int64_t)(chance(x) * 3) : 0;
	v[MANY] += 200 + (int64_t)(30 * normal(x));
	x->busy[i] = chance(x) < (x->busy[i] ? 0.75 : 0.15);
	v[BURSTS] += x->busy[i] ? (int64_t)(1e8 * chance(x)) : 40000;
	v[FLUSHES] += chance(x) < 0.4 ? (int64_t)(20000 * exp(0.8 * normal(x))) : 0;
	v[WALK] += (int64_t)(100 * normal(x));
	x->swing[i] = 0.8 * x->swing[i] + normal(x);
	v[SWING] = 300 + (int64_t)(40 * x->swing[i]);
	v[SAW] = (int64_t)(n % 37 * 1000000 + 50000000);
	v[TIMER] += n % 10 == 0 ? 50 + (int64_t)(chance(x) * 20) : 0;
	v[JOB] += n % 50 < 5 ? 9 + (chance(x) < 0.5) : 0;
}

static void strike(int64_t *v)
{
	v[SELDOM] += 40;
	v[OFTEN] += 60;
	v[MANY] += 900;
	v[BURSTS] += 900000000;
	v[FLUSHES] += 30 << 20;
	v[SWING] += 3000;
	v[SAW] += 900 << 20;
	v[TIMER] += 700;
	v[JOB] += 90;
}

static void noisy_run(struct noisy *x, unsigned ticks)
{
	for (unsigned t = 0; t < ticks; t++) {
		x->at += 100000;
		x->n++;
		feeder_tick(&x->f, x->at);
		feeder_batch(&x->f, 0);
		for (int i = 0; i < OF_EACH; i++) {
			char name[16];
			size_t len = (size_t)snprintf(name, sizeof(name), "i%d", i);
			int64_t *row;

			move(x, i);
			if (i == 3 && x->struck)
				strike(x->v[i]);
			row = batch_row_named(&x->f.batch[0], name, len);
			memcpy(row, x->v[i], sizeof(x->v[i]));
			if (i == 3 && x->struck)
				row[WALK] += 900000;
		}
		feeder_group(&x->f, 0, 50, -1);
		feeder_end(&x->f);
	}
}

static struct rank_result *noisy_rank(struct noisy *x, unsigned ticks)
{
	struct rank_request rq = {.to_us = (int64_t)x->at + 1000, .limit = 50};
	struct rank_result *res;

	rq.from_us = rq.to_us - (int64_t)ticks * 100000;
	ck_assert_int_eq(rank_run(x->history, &rq, &res, NULL), 0);
	return res;
}

START_TEST(noise_that_goes_on_yields_none)
{
	static const unsigned ticks[] = {30, 60, 100};
	const char *more = getenv("RANK_SEEDS");
	uint64_t seeds = more ? strtoull(more, NULL, 10) : 15;
	unsigned n_ranked = 0, n_told = 0;

	for (uint64_t seed = (uint64_t)_i * seeds; seed < (uint64_t)(_i + 1) * seeds; seed++) {
		struct noisy *x = calloc(1, sizeof(*x));

		noisy_open(x, seed + 1);
		noisy_run(x, 1200);
		for (unsigned round = 0; round < 6; round++) {
			struct rank_result *res = noisy_rank(x, ticks[round % 3]);

			ck_assert_uint_eq(res->n_scored, N_KINDS * OF_EACH);
			for (size_t i = 0; i < res->n_rows; i++)
				fprintf(stderr,
					"seed %llu round %u: %s[%s] by %.1f%s: %lld, now %lld\n",
					(unsigned long long)seed, round, res->rows[i].metric,
					res->rows[i].instance, res->rows[i].score,
					res->rows[i].brief ? " briefly" : "",
					(long long)res->rows[i].before,
					(long long)res->rows[i].now);
			n_told += res->n_rows != 0;
			n_ranked++;
			rank_free(res);
			noisy_run(x, 40);
		}
		noisy_close(x);
		free(x);
	}
	ck_assert_msg(!n_told, "%u of %u ranges had a change", n_told, n_ranked);
}
END_TEST

/* 1.5 s of 6 s, at their beginning, in their middle, at their end. */
START_TEST(a_short_spike_in_a_longer_range_is_found)
{
	static const unsigned before[] = {0, 10, 25, 45};
	struct noisy *x = calloc(1, sizeof(*x));
	unsigned lead = before[_i % 4], found[N_KINDS] = {0};
	struct rank_result *res;

	noisy_open(x, 1000 + (uint64_t)_i);
	noisy_run(x, 700 + lead);
	x->struck = true;
	noisy_run(x, 15);
	x->struck = false;
	noisy_run(x, 45 - lead);
	res = noisy_rank(x, 60);
	for (size_t i = 0; i < res->n_rows; i++) {
		const struct rank_row *r = &res->rows[i];

		ck_assert_str_eq(r->instance, "i3");
		ck_assert(r->brief && r->now > r->before && r->max >= r->now);
		found[r->metric_index]++;
	}
	for (int i = 0; i < N_KINDS; i++)
		if (found[i] != 1)
			ck_abort_msg("%s was not found", noise_metrics[i].name);
	rank_free(res);
	noisy_close(x);
	free(x);
}
END_TEST

int main(void)
{
	TCase *t = tcase_create("rank_noise");

	tcase_set_timeout(t, 600);
	tcase_add_loop_test(t, noise_that_goes_on_yields_none, 0, 4);
	tcase_add_loop_test(t, a_short_spike_in_a_longer_range_is_found, 0, 12);
	return support_run_case("rank_noise", t);
}
