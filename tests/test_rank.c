/*
 * Rank over noise: what was changed is found, what was not is not; states, counters, families, drift.
 * The stretch is sealed for one half of the tests and still in the log for the other.
 */
#include "query_reference.h"
#include "support.h"

#include "store/rank.h"
#include "store/totals.h"

#include <math.h>

static const char *const rank_words[] = {"off", "on", "failed", NULL};
static const struct metric host_metrics[] = {
	{"h.load", "1", 1, 100, "x", "Noise.", SEM_INSTANT, 0, NULL},
	{"h.level", "1", 1, 1, "x", "Constant.", SEM_INSTANT, 0, NULL},
	{"h.uptime", "s", 1, 1, "x", "Rises.", SEM_INSTANT, 0, NULL},
	{"h.work", "millisec", 1, 1, "x", "Steps of 10.", SEM_COUNTER, 10, NULL},
	{"h.stamp", "1", 1, 1, "x", "Rises.", SEM_DISCRETE, 0, NULL},
	{"h.state", "1", 1, 1, "x", "A word.", SEM_DISCRETE, 0, rank_words},
	{"h.burst", "byte", 1, 1, "x", "Every other tick.", SEM_COUNTER, 0, NULL},
};
static const struct metric dev_metrics[] = {
	{"d.bytes", "byte", 1, 1, "x", "Counter.", SEM_COUNTER, 0, NULL},
	{"d.queue", "count", 1, 1, "x", "Noise.", SEM_INSTANT, 0, NULL},
	{"d.temp", "1", 1, 1, "x", "Constant.", SEM_INSTANT, 0, NULL},
};
static const char *const proc_attrs[] = {"comm", NULL};
static const struct metric proc_metrics[] = {
	{"p.cpu", "nanosec", 1, 1, "x", "Counter.", SEM_COUNTER, 0, NULL},
	{"p.rss", "byte", 1, 1, "x", "Level.", SEM_INSTANT, 0, NULL},
};
static const struct group rank_groups[] = {
	{"host", NULL, host_metrics, 7, 0, 1, false, NULL},
	{"dev", "dev", dev_metrics, 3, 0, 64, false, NULL},
	{"proc", "proc", proc_metrics, 2, 0, 64, true, proc_attrs},
};
enum { HOST, DEV, PROC, N_RANK_GROUPS, DEVICES = 20 };

struct lab {
	struct log *log;
	struct history *history;
	struct feeder f;
	struct sealer *sealer;
	uint64_t at, rnd, n;
	int64_t host[7];
	int64_t dev[DEVICES][3];
	int64_t cpu[8];
	/* what is changed */
	int64_t load_more, level_more, work_more, state, dev_more[DEVICES], temp_more;
	int64_t idle_ns; /* that a process takes a tick while it is not busy */
};

static int to_history(void *arg, struct sealed *s)
{
	return history_add(arg, s, false);
}

static void lab_open(struct lab *x, uint64_t seed, bool sealed)
{
	struct history_config c = {.boot_id = "test", .memory_bytes = 1 << 30};
	struct sealer_config sc = {.boot_id = "test", .sink = to_history};

	*x = (struct lab){
		.log = open_log(24), .at = 1000ull * SECOND, .rnd = seed, .idle_ns = 1000};
	c.log = sc.log = x->log;
	ck_assert_int_eq(history_open(&x->history, &c), 0);
	sc.arg = x->history;
	if (sealed)
		ck_assert_int_eq(sealer_open(&x->sealer, &sc), 0);
	feeder_open(&x->f, x->log, rank_groups, N_RANK_GROUPS);
}

static void lab_close(struct lab *x)
{
	sealer_close(x->sealer);
	history_close(x->history);
	feeder_close(&x->f);
	log_close(x->log);
}

/* About 0 with a spread of some 2 * size / 3. */
static int64_t noise(struct lab *x, int64_t size)
{
	int64_t sum = 0;

	for (int i = 0; i < 4; i++)
		sum += (int64_t)(feeder_random(&x->rnd) % (uint64_t)(2 * size + 1)) - size;
	return sum / 4;
}

static void host_tick(struct lab *x)
{
	int64_t *v = x->host;

	v[0] = 400 + noise(x, 60) + x->load_more;
	v[1] = 5000 + x->level_more;
	v[2] = (int64_t)(x->n / 10);
	v[3] += (feeder_random(&x->rnd) % 10 < 3 ? 10 : 0) + x->work_more;
	v[4] = (int64_t)x->n;
	v[5] = x->state;
	v[6] += feeder_random(&x->rnd) % 100 < 47 ? 5000 : 0;
	memcpy(batch_row(feeder_batch(&x->f, HOST)), v, sizeof(x->host));
	feeder_group(&x->f, HOST, 0, -1);
}

static void dev_tick(struct lab *x)
{
	feeder_batch(&x->f, DEV);
	for (int i = 0; i < DEVICES; i++) {
		int64_t *v = x->dev[i], *row;
		char name[16];

		snprintf(name, sizeof(name), "d%d", i);
		v[0] += 10000 + noise(x, 3000) + x->dev_more[i];
		v[1] = 8 + noise(x, 6);
		v[2] = 40 + (i == 3 ? x->temp_more : 0);
		row = batch_row_named(&x->f.batch[DEV], name, strlen(name));
		memcpy(row, v, sizeof(x->dev[i]));
	}
	feeder_group(&x->f, DEV, 50, -1);
}

/* Processes 1..: `live` has a bit for each. */
static void proc_tick(struct lab *x, unsigned live, unsigned busy)
{
	struct batch *b = feeder_batch(&x->f, PROC);

	for (unsigned i = 0; i < 8; i++) {
		int32_t slot = batch_find_id(b, i + 1);
		char name[16], comm[16];
		int64_t *row;

		snprintf(name, sizeof(name), "%u", 100 + i);
		snprintf(comm, sizeof(comm), "prog%u", i);
		if (!(live >> i & 1)) {
			if (slot >= 0)
				batch_end(b, (uint32_t)slot);
			continue;
		}
		if (slot < 0) {
			slot = batch_start(b, i + 1, name, strlen(name));
			batch_attr(b, (uint32_t)slot, 0, comm, strlen(comm));
		}
		x->cpu[i] += busy >> i & 1 ? 100000000 : x->idle_ns;
		row = batch_row_slot(b, (uint32_t)slot);
		row[0] = x->cpu[i];
		row[1] = 1000 * (i + 1);
	}
	feeder_group(&x->f, PROC, 90, -1);
}

static void lab_run_procs(struct lab *x, unsigned ticks, unsigned live, unsigned busy)
{
	for (unsigned i = 0; i < ticks; i++) {
		x->at += 100000;
		x->n++;
		feeder_tick(&x->f, x->at);
		host_tick(x);
		dev_tick(x);
		proc_tick(x, live, busy);
		feeder_end(&x->f);
		if (x->sealer)
			ck_assert_int_ge(sealer_step(x->sealer), 0);
	}
}

static void lab_run(struct lab *x, unsigned ticks)
{
	lab_run_procs(x, ticks, 3, 0);
}

/* What changed in the last so many ticks. */
static struct rank_result *lab_rank(struct lab *x, unsigned ticks)
{
	struct rank_request rq = {.to_us = (int64_t)x->at + 1000, .limit = 50};
	struct rank_result *res;

	rq.from_us = rq.to_us - (int64_t)ticks * 100000;
	ck_assert_int_eq(rank_run(x->history, &rq, &res, NULL), 0);
	for (size_t i = 1; i < res->n_rows; i++)
		ck_assert_double_ge(res->rows[i - 1].score, res->rows[i].score);
	return res;
}

static const struct rank_row *find_row(const struct rank_result *res, const char *metric,
				       size_t top)
{
	for (size_t i = 0; i < res->n_rows && i < top; i++)
		if (strcmp(res->rows[i].metric, metric) == 0)
			return &res->rows[i];
	return NULL;
}

START_TEST(an_unchanged_range_yields_none)
{
	static const unsigned ticks[] = {3, 10, 50, 200};
	struct lab *x = calloc(1, sizeof(*x));

	lab_open(x, 17 + (uint64_t)_i, _i % 2);
	lab_run(x, 700);
	for (unsigned round = 0; round < 12; round++) {
		struct rank_result *res = lab_rank(x, ticks[round % 4]);

		for (size_t i = 0; i < res->n_rows; i++)
			ck_abort_msg("%s[%s] moved by %.1f", res->rows[i].metric,
				     res->rows[i].instance, res->rows[i].score);
		ck_assert_uint_gt(res->n_scored, 60);
		rank_free(res);
		lab_run(x, 40);
	}
	lab_close(x);
	free(x);
}
END_TEST

START_TEST(five_changes_are_found_and_nothing_else)
{
	struct lab *x = calloc(1, sizeof(*x));
	struct rank_result *res;
	const struct rank_row *r;

	lab_open(x, 3 + (uint64_t)_i, _i % 2);
	lab_run(x, 600);
	x->load_more = 300;
	x->level_more = 70;
	x->work_more = 100; /* a CPU that is busy */
	x->state = 2;
	x->dev_more[7] = 90000;
	x->dev_more[9] = 30000;
	lab_run(x, 50);
	res = lab_rank(x, 50);
	ck_assert_uint_eq(res->n_rows, 5);
	r = find_row(res, "h.load", 10);
	ck_assert(r && r->now > r->before + 250 && !r->rate && r->max >= r->now);
	r = find_row(res, "h.level", 10);
	ck_assert(r && r->before == 5000 && r->now == 5070 && r->min == 5070);
	r = find_row(res, "h.work", 10);
	ck_assert(r && r->rate && r->now >= 1000000 && r->before < 300000);
	r = find_row(res, "h.state", 10);
	ck_assert(r && r->before == 0 && r->now == 2 && r->score == RANK_SCORE_STATE);
	r = find_row(res, "d.bytes", 10);
	ck_assert_ptr_nonnull(r);
	ck_assert_str_eq(r->instance, "d7"); /* the worst of the family */
	ck_assert_uint_eq(r->others, 1);
	ck_assert_uint_ge(r->n, 49);
	ck_assert_uint_ge(r->n_before, 498);
	ck_assert_int_eq(res->base_to_us - res->base_from_us, 500 * 100000);
	rank_free(res);
	lab_close(x);
	free(x);
}
END_TEST

/* A tick or three are enough when they are beyond all that was before. */
START_TEST(a_short_spike_is_found)
{
	struct lab *x = calloc(1, sizeof(*x));
	struct rank_result *res;

	lab_open(x, 8, _i % 2);
	lab_run(x, 500);
	x->dev_more[2] = 200000;
	x->temp_more = 30;
	lab_run(x, 3);
	res = lab_rank(x, 3);
	ck_assert_uint_eq(res->n_rows, 2);
	ck_assert_ptr_nonnull(find_row(res, "d.bytes", 2));
	ck_assert_ptr_nonnull(find_row(res, "d.temp", 2));
	ck_assert_uint_eq(find_row(res, "d.temp", 2)->others, 0);
	ck_assert_int_ge(res->base_to_us - res->base_from_us, RANK_MIN_SAMPLES * SECOND);
	rank_free(res);
	lab_close(x);
	free(x);
}
END_TEST

/* However still it was before. */
START_TEST(what_is_too_little_to_matter_is_not_told)
{
	struct lab *x = calloc(1, sizeof(*x));
	struct rank_result *res;

	lab_open(x, 21, _i % 2);
	x->idle_ns = 0;
	lab_run(x, 500);
	x->idle_ns = 900000; /* 0.9 % of a CPU */
	lab_run(x, 50);
	res = lab_rank(x, 50);
	ck_assert_uint_eq(res->n_rows, 0);
	rank_free(res);
	x->idle_ns = 0;
	lab_run(x, 500);
	x->idle_ns = 5000000;
	x->dev_more[4] = 5000000;
	lab_run(x, 50);
	res = lab_rank(x, 50);
	ck_assert_uint_eq(res->n_rows, 2);
	ck_assert_str_eq(res->rows[0].metric, "d.bytes"); /* 50 MB/s before 5 % of a CPU */
	ck_assert_str_eq(res->rows[1].metric, "p.cpu");
	ck_assert_double_eq_tol(res->rows[1].score, 15, 0.1);
	rank_free(res);
	lab_close(x);
	free(x);
}
END_TEST

/* Over long stretches means are compared, and the blocks' summaries serve. */
START_TEST(long_stretches_are_told_by_means)
{
	struct lab *x = calloc(1, sizeof(*x));
	struct rank_result *res;
	const struct rank_row *r;

	lab_open(x, 11, true);
	lab_run(x, 30000);
	x->load_more = 30; /* less than one sample's noise */
	lab_run(x, 5000);
	res = lab_rank(x, 5000);
	r = find_row(res, "h.load", 10);
	ck_assert_uint_eq(res->n_rows, 1);
	ck_assert(r && r->now > r->before + 25 && r->now < r->before + 35);
	ck_assert_uint_gt(r->n, 4000);
	rank_free(res);
	lab_close(x);
	free(x);
}
END_TEST

START_TEST(who_was_not_there_is_left_out)
{
	struct lab *x = calloc(1, sizeof(*x));
	struct rank_result *res;

	lab_open(x, 5, _i % 2);
	lab_run_procs(x, 300, 0x07, 0);
	lab_run_procs(x, 30, 0x0d, 0x08); /* 1 has ended, 3 is new and busy */
	res = lab_rank(x, 30);
	ck_assert_uint_eq(res->n_rows, 0);
	ck_assert_uint_eq(res->n_scored, 7 + 3 * DEVICES + 2 * 2);
	rank_free(res);
	lab_run_procs(x, 300, 0x0d, 0);
	lab_run_procs(x, 20, 0x0d, 0x04);
	res = lab_rank(x, 20);
	ck_assert_uint_eq(res->n_rows, 1);
	ck_assert_str_eq(res->rows[0].metric, "p.cpu");
	ck_assert_str_eq(res->rows[0].instance, "102");
	ck_assert_int_eq(res->rows[0].now,
			 1000000000000); /* a second a second, in ns, by thousands */
	rank_free(res);
	lab_close(x);
	free(x);
}
END_TEST

START_TEST(totals_of_those_that_came_and_went)
{
	static const char *const metrics[] = {"p.cpu", "p.rss"}, *const wrong[] = {"no.such"};
	struct lab *x = calloc(1, sizeof(*x));
	struct totals_request rq = {
		.group = "proc", .metrics = metrics, .n_metrics = 2, .limit = 10};
	struct totals_result *res = NULL;
	int64_t begin;

	lab_open(x, 5, _i % 2);
	lab_run_procs(x, 100, 0x03, 0);
	rq.base_from_us = 1000ll * SECOND;
	begin = rq.base_to_us = rq.from_us = (int64_t)x->at + 1000;
	lab_run_procs(x, 20, 0x07, 0x04); /* 2 comes and is busy */
	lab_run_procs(x, 20, 0x02, 0x02); /* 0 and 2 go */
	rq.to_us = (int64_t)x->at + 1000;
	ck_assert_int_eq(totals_run(x->history, &rq, &res, NULL), 0);
	ck_assert_uint_eq(res->n_instances, 3);
	ck_assert_uint_eq(res->n_rows, 3);
	ck_assert_uint_eq(res->n_attrs, 1);
	ck_assert_str_eq(res->rows[0].instance, "101");
	ck_assert_int_eq(res->rows[0].deltas[0], 20 * 1000 + 20 * 100000000ll);
	ck_assert_int_eq(res->rows[0].deltas[1], 2000);
	ck_assert(!res->rows[0].started && !res->rows[0].ended);
	ck_assert_double_eq_tol(res->rows[0].before[0], 10000, 200);
	ck_assert_str_eq(res->rows[0].attrs[0], "prog1");
	ck_assert_str_eq(res->rows[1].instance, "102");
	ck_assert_int_eq(res->rows[1].deltas[0], 19 * 100000000ll); /* its first value is no step */
	ck_assert(res->rows[1].started && res->rows[1].ended);
	ck_assert(res->rows[1].before[0] < 0);
	ck_assert_str_eq(res->rows[2].instance, "100");
	ck_assert(!res->rows[2].started && res->rows[2].ended);
	totals_free(res);
	rq.base_from_us = rq.base_to_us = 0;
	rq.limit = 1;
	ck_assert_int_eq(totals_run(x->history, &rq, &res, NULL), 0);
	ck_assert(res->n_rows == 1 && res->n_instances == 3 && res->rows[0].before[0] < 0);
	totals_free(res);
	rq.metrics = wrong;
	rq.n_metrics = 1;
	ck_assert_int_eq(totals_run(x->history, &rq, &res, NULL), -ENOENT);
	rq.group = "nobody";
	ck_assert_int_eq(totals_run(x->history, &rq, &res, NULL), -ENOENT);
	rq = (struct totals_request){
		"proc", metrics, 2, begin + 1000ll * SECOND, begin + 1001ll * SECOND, 0, 0, 5};
	ck_assert_int_eq(totals_run(x->history, &rq, &res, NULL), -ENODATA);
	rq.limit = 0;
	ck_assert_int_eq(totals_run(x->history, &rq, &res, NULL), -EINVAL);
	lab_close(x);
	free(x);
}
END_TEST

START_TEST(what_cannot_be_ranked_is_said)
{
	struct lab *x = calloc(1, sizeof(*x));
	struct rank_request rq = {.from_us = 5, .to_us = 6, .limit = 5};
	struct rank_result *res = NULL;
	_Atomic bool cancel = true;

	lab_open(x, 5, _i % 2);
	ck_assert_int_eq(rank_run(x->history, &rq, &res, NULL), -ENODATA); /* nothing at all */
	lab_run(x, 100);
	ck_assert_int_eq(rank_run(x->history, &rq, &res, NULL), -ENODATA);
	rq.to_us = (int64_t)x->at;
	rq.from_us = rq.to_us - 1 * SECOND;
	ck_assert_int_eq(rank_run(x->history, &rq, &res, &cancel), -ECANCELED);
	rq.base_from_us = 10;
	rq.base_to_us = 20;
	ck_assert_int_eq(rank_run(x->history, &rq, &res, NULL), -ENODATA);
	rq.base_to_us = 10;
	ck_assert_int_eq(rank_run(x->history, &rq, &res, NULL), -EINVAL);
	rq.base_from_us = rq.base_to_us = 0;
	rq.from_us = INT64_MIN;
	rq.to_us = INT64_MAX;
	ck_assert_int_eq(rank_run(x->history, &rq, &res, NULL), -EINVAL);
	rq.from_us = 5;
	rq.to_us = 6;
	rq.limit = RANK_ROWS_MAX + 1;
	ck_assert_int_eq(rank_run(x->history, &rq, &res, NULL), -EINVAL);
	ck_assert_ptr_null(res);
	lab_close(x);
	free(x);
}
END_TEST

int main(void)
{
	TCase *t = tcase_create("rank");

	tcase_set_timeout(t, 120);
	tcase_add_loop_test(t, an_unchanged_range_yields_none, 0, 4);
	tcase_add_loop_test(t, five_changes_are_found_and_nothing_else, 0, 4);
	tcase_add_loop_test(t, a_short_spike_is_found, 0, 2);
	tcase_add_loop_test(t, what_is_too_little_to_matter_is_not_told, 0, 2);
	tcase_add_test(t, long_stretches_are_told_by_means);
	tcase_add_loop_test(t, who_was_not_there_is_left_out, 0, 2);
	tcase_add_loop_test(t, totals_of_those_that_came_and_went, 0, 2);
	tcase_add_loop_test(t, what_cannot_be_ranked_is_said, 0, 2);
	return support_run_case("rank", t);
}
