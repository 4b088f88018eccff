/*
 * Rank, totals and captures of what only rollups still hold: a keeper with little memory, hours, and two things
 * that happened in the first of them.
 */
#include "capture_file.h"
#include "query_reference.h"
#include "support.h"

#include "store/capture_blocks.h"
#include "store/keeper.h"
#include "store/rank.h"
#include "store/rollup.h"
#include "store/totals.h"

#include <math.h>

enum { DEVICES = 8, TICK_US = 100000, HOUR = 3600, LITTLE = 2 << 20 };

static const struct metric dev_metrics[] = {
	{"d.bytes", "byte", 1, 1, "x", "Counter.", SEM_COUNTER, 0, NULL},
	{"d.queue", "1", 1, 1, "x", "Noise.", SEM_INSTANT, 0, NULL},
	{"d.state", "1", 1, 1, "x", "Steady.", SEM_DISCRETE, 0, NULL},
};
static const char *const proc_attrs[] = {"comm", NULL};
static const struct metric proc_metrics[] = {
	{"p.cpu", "nanosec", 1, 1, "x", "Counter.", SEM_COUNTER, 0, NULL},
	{"p.rss", "byte", 1, 1, "x", "Level.", SEM_INSTANT, 0, NULL},
};
static const struct group rolled_groups[] = {
	{"dev", "dev", dev_metrics, 3, 0, 64, false, NULL},
	{"proc", "proc", proc_metrics, 2, 0, 64, true, proc_attrs},
};

struct lab {
	struct log *log;
	struct history *history;
	struct keeper *keeper;
	struct feeder f;
	uint64_t rnd;
	int64_t at, bytes[DEVICES], cpu[3], more;
	unsigned live, busy; /* processes, a bit each */
};

static void dev_tick(struct lab *x)
{
	feeder_batch(&x->f, 0);
	for (int i = 0; i < DEVICES; i++) {
		char name[16];
		size_t len = (size_t)snprintf(name, sizeof(name), "d%d", i);
		int64_t *row;

		x->bytes[i] +=
			50000 + (int64_t)(feeder_random(&x->rnd) % 60000) + (i == 7 ? x->more : 0);
		row = batch_row_named(&x->f.batch[0], name, len);
		row[0] = x->bytes[i];
		row[1] = (int64_t)(feeder_random(&x->rnd) % 1000);
		row[2] = 1;
	}
	feeder_group(&x->f, 0, 50, -1);
}

static void proc_tick(struct lab *x)
{
	struct batch *b = feeder_batch(&x->f, 1);

	for (unsigned i = 0; i < 3; i++) {
		int32_t slot = batch_find_id(b, i + 1);
		int64_t *row;
		char name[16];

		snprintf(name, sizeof(name), "%u", 100 + i);
		if (!(x->live >> i & 1)) {
			if (slot >= 0)
				batch_end(b, (uint32_t)slot);
			continue;
		}
		if (slot < 0) {
			slot = batch_start(b, i + 1, name, strlen(name));
			batch_attr(b, (uint32_t)slot, 0, i == 2 ? "hog" : "idle", i == 2 ? 3 : 4);
		}
		x->cpu[i] += x->busy >> i & 1 ? 80000000 : 1000;
		row = batch_row_slot(b, (uint32_t)slot);
		row[0] = x->cpu[i];
		row[1] = x->busy >> i & 1 ? 5 << 20 : 1 << 20;
	}
	feeder_group(&x->f, 1, 90, -1);
}

static void run(struct lab *x, unsigned seconds)
{
	for (unsigned i = 0; i < seconds * (SECOND / TICK_US); i++) {
		x->at += TICK_US;
		feeder_tick(&x->f, (uint64_t)x->at);
		dev_tick(x);
		proc_tick(x);
		feeder_end(&x->f);
		if (i % 500 == 499)
			ck_assert_int_eq(keeper_step(x->keeper), 0);
	}
}

/* When what happened began; it took five minutes. */
static int64_t lab_open(struct lab *x, uint64_t memory_bytes)
{
	struct history_config hc = {.boot_id = "test", .memory_bytes = memory_bytes};
	struct keeper_config kc = {.boot_id = "test", .round_ms = 1};
	int64_t at;

	*x = (struct lab){.log = open_log(2), .at = 1000ll * SECOND, .rnd = 5, .live = 3};
	hc.log = kc.log = x->log;
	ck_assert_int_eq(history_open(&x->history, &hc), 0);
	kc.history = x->history;
	ck_assert_int_eq(keeper_open(&x->keeper, &kc), 0);
	feeder_open(&x->f, x->log, rolled_groups, 2);
	run(x, HOUR);
	at = x->at;
	x->live = 7;
	x->busy = 4;
	x->more = 400000;
	run(x, 300);
	x->live = 3;
	x->more = 0;
	run(x, 5 * HOUR);
	return at;
}

static void lab_close(struct lab *x)
{
	keeper_close(x->keeper);
	history_close(x->history);
	feeder_close(&x->f);
	log_close(x->log);
	free(x);
}

static struct rank_result *rank(struct lab *x, int64_t from_us, unsigned seconds)
{
	struct rank_request rq = {
		.from_us = from_us, .to_us = from_us + seconds * 1000000ll, .limit = 20};
	struct rank_result *res;

	ck_assert_int_eq(rank_run(x->history, &rq, &res, NULL), 0);
	return res;
}

static void expect_none(struct lab *x, int64_t from_us, unsigned seconds, uint32_t resolution_us)
{
	struct rank_result *res = rank(x, from_us, seconds);

	ck_assert_uint_eq(res->resolution_us, resolution_us);
	ck_assert_uint_ge(res->n_scored, 3 * DEVICES);
	for (size_t i = 0; i < res->n_rows; i++)
		ck_abort_msg("%s[%s] moved by %.1f in %u s", res->rows[i].metric,
			     res->rows[i].instance, res->rows[i].score, seconds);
	rank_free(res);
}

START_TEST(what_changed_hours_ago_is_found)
{
	static const unsigned lengths[] = {4, 10, 60, 300};
	struct lab *x = calloc(1, sizeof(*x));
	int64_t at = lab_open(x, LITTLE), full_us = history_full_us(x->history);
	struct rank_result *res;

	ck_assert_int_gt(full_us, at + 2 * HOUR * 1000000ll); /* else nothing is tested */
	ck_assert_int_lt(full_us, x->at - HOUR / 2 * 1000000ll);
	for (unsigned i = 0; i < 4; i++) {
		const struct rank_row *r;

		res = rank(x, at + 1000, lengths[i]);
		ck_assert_uint_eq(res->resolution_us, ROLLUP_BUCKET_US);
		ck_assert_uint_eq(res->n_rows, 1); /* the process was not there before */
		r = &res->rows[0];
		ck_assert_str_eq(r->metric, "d.bytes");
		ck_assert_str_eq(r->instance, "d7");
		ck_assert(r->rate && r->others == 0 && r->n >= 90);
		ck_assert_double_eq_tol((double)r->before, 800e6, 30e6);
		ck_assert_double_eq_tol((double)r->now, 4800e6, 100e6);
		ck_assert_int_ge(res->base_to_us - res->base_from_us, 320000000);
		rank_free(res);
	}
	/* Before and after it nothing has changed, nor where the full blocks begin. */
	expect_none(x, at - 900000000, 60, ROLLUP_BUCKET_US);
	expect_none(x, at + 3600000000ll, 10, ROLLUP_BUCKET_US);
	expect_none(x, at + 4800000000ll, 600, ROLLUP_BUCKET_US);
	expect_none(x, full_us - 90000000, 60, ROLLUP_BUCKET_US);
	expect_none(x, full_us - 100000000, 120, ROLLUP_BUCKET_US);
	expect_none(x, full_us + 20000000, 60, ROLLUP_BUCKET_US);
	expect_none(x, full_us + 900000000, 20, 0);
	res = rank(x, full_us + 60000000, 20); /* the baseline is what there is in full */
	ck_assert_uint_eq(res->resolution_us, 0);
	ck_assert_int_ge(res->base_from_us, full_us);
	rank_free(res);
	expect_none(x, x->at - 20000000, 20, 0);
	lab_close(x);
}
END_TEST

START_TEST(totals_of_hours_ago_are_those_of_then)
{
	static const char *const metrics[] = {"p.cpu", "p.rss"}, *const bytes[] = {"d.bytes"};
	struct lab *x = calloc(1, sizeof(*x));
	int64_t at = lab_open(x, LITTLE);
	struct totals_request rq = {
		.group = "proc", .metrics = metrics, .n_metrics = 2, .limit = 5};
	struct totals_result *res;
	const struct totals_row *r;

	rq.from_us = at - 60000000;
	rq.to_us = at + 400000000;
	rq.base_from_us = at - 1000000000;
	rq.base_to_us = rq.from_us;
	ck_assert_int_eq(totals_run(x->history, &rq, &res, NULL), 0);
	ck_assert_uint_eq(res->resolution_us, ROLLUP_BUCKET_US);
	ck_assert_uint_eq(res->n_instances, 3);
	r = &res->rows[0];
	ck_assert_str_eq(r->instance, "102");
	ck_assert_double_eq_tol((double)r->deltas[0], 2999 * 8e7, 0.01 * 2999 * 8e7);
	ck_assert_int_eq(r->deltas[1], 5 << 20);
	ck_assert(r->started && r->ended && r->before[0] < 0);
	ck_assert_str_eq(r->attrs[0], "hog");
	r = &res->rows[1];
	ck_assert(!r->started && !r->ended);
	ck_assert_double_eq_tol((double)r->deltas[0], 460 * 10 * 1000, 100000);
	ck_assert_double_eq_tol(r->before[0], 10000, 200);
	ck_assert_str_eq(r->attrs[0], "idle");
	totals_free(res);

	rq = (struct totals_request){.group = "dev", .metrics = bytes, .n_metrics = 1, .limit = 1};
	rq.from_us = at;
	rq.to_us = at + 300000000;
	ck_assert_int_eq(totals_run(x->history, &rq, &res, NULL), 0);
	ck_assert_str_eq(res->rows[0].instance, "d7");
	ck_assert_double_eq_tol((double)res->rows[0].deltas[0], 3000 * 480000.,
				3000 * 480000. / 20);
	totals_free(res);

	/* Across the edge: some of it by buckets, the rest exactly, and nothing twice. */
	rq.from_us = history_full_us(x->history) - 400000000;
	rq.to_us = rq.from_us + 800000000;
	ck_assert_int_eq(totals_run(x->history, &rq, &res, NULL), 0);
	ck_assert_uint_eq(res->resolution_us, ROLLUP_BUCKET_US);
	ck_assert_double_eq_tol((double)res->rows[0].deltas[0], 8000 * 80000., 8000 * 80000. / 25);
	totals_free(res);
	rq.from_us = x->at - 30000000;
	rq.to_us = x->at;
	ck_assert_int_eq(totals_run(x->history, &rq, &res, NULL), 0);
	ck_assert_uint_eq(res->resolution_us, 0);
	totals_free(res);
	lab_close(x);
}
END_TEST

/* What `strobe open` makes of the blocks of a capture. */
static struct history *open_captured(const struct memory *m, unsigned *n_rollups,
				     unsigned *n_blocks)
{
	struct history_config hc = {.boot_id = "test", .memory_bytes = UINT64_MAX};
	struct capture_reader *c;
	enum capture_type type;
	const uint8_t *data;
	struct memory in;
	uint8_t *catalog = NULL;
	struct history *h;
	size_t n, catalog_len = 0;

	*n_rollups = *n_blocks = 0;
	ck_assert_int_eq(history_open(&h, &hc), 0);
	ck_assert_int_eq(open_mem(&c, m->p, m->len, &in), 0);
	while (capture_next(c, &type, &data, &n) == 1) {
		struct sealed s = {.len = n};

		if (type == CAPTURE_CATALOG) {
			catalog = realloc(catalog, n);
			memcpy(catalog, data, n);
			catalog_len = n;
		}
		if (type != CAPTURE_BLOCK)
			continue;
		ck_assert_int_eq(block_head_read(data, n, &s.head), 0);
		if (s.head.bucket_us)
			ck_assert_uint_eq(*n_blocks, 0); /* they come first */
		*(s.head.bucket_us ? n_rollups : n_blocks) += 1;
		s.data = malloc(n);
		memcpy(s.data, data, n);
		s.catalog = catalog;
		s.catalog_len = catalog_len;
		ck_assert_int_eq(history_add(h, &s, false), 0);
	}
	capture_close(c);
	free(catalog);
	return h;
}

START_TEST(a_capture_of_hours_ago_has_what_is_held)
{
	struct lab *x = calloc(1, sizeof(*x));
	int64_t at = lab_open(x, LITTLE);
	struct query_selector sel = {"d.bytes", "d7"};
	struct query_request rq = {.selectors = &sel, .n_selectors = 1, .points = 30};
	struct query_result *res[2];
	struct capture_blocks *blocks;
	struct rank_result *ranked;
	struct history *opened;
	struct memory m;
	struct capture_writer w = writer_to(&m);
	unsigned n_rollups, n_blocks;
	int r;

	/* From then into what is held in full: the edge is in it. */
	rq.from_us = at;
	rq.to_us = (int64_t)log_oldest_us(x->log);
	ck_assert_int_eq(capture_blocks_open(&blocks, x->history, at - 400000000, rq.to_us), 0);
	while ((r = capture_blocks_step(blocks, &w)) == 1)
		;
	ck_assert_int_eq(r, 0);
	capture_blocks_close(blocks);
	ck_assert_int_eq(capture_end(&w), 0);
	opened = open_captured(&m, &n_rollups, &n_blocks);
	ck_assert_uint_ge(n_rollups, 2);
	ck_assert_uint_ge(n_blocks, 1);
	ck_assert_int_eq(query_run(x->history, &rq, &res[0], NULL), 0);
	ck_assert_int_eq(query_run(opened, &rq, &res[1], NULL), 0);
	for (uint32_t i = 0; i + 1 < rq.points; i++) {
		const struct query_point *a = &res[0]->series[0].points[i],
					 *b = &res[1]->series[0].points[i];

		ck_assert_uint_gt(a->n, 0);
		ck_assert(a->n == b->n && a->min == b->min && a->max == b->max);
	}
	query_free(res[0]);
	query_free(res[1]);
	ck_assert_int_eq(
		rank_run(opened,
			 &(struct rank_request){.from_us = at, .to_us = at + 300000000, .limit = 5},
			 &ranked, NULL),
		0);
	ck_assert(ranked->n_rows == 1 && ranked->resolution_us == ROLLUP_BUCKET_US);
	ck_assert_str_eq(ranked->rows[0].instance, "d7");
	rank_free(ranked);
	history_close(opened);
	free(m.p);
	lab_close(x);
}
END_TEST

/* Where all is held in full, a chart of hours is of rollups and says the same. */
START_TEST(a_chart_of_hours_is_made_of_rollups)
{
	struct lab *x = calloc(1, sizeof(*x));
	int64_t at = lab_open(x, 64 << 20), from = at - HOUR * 900000ll;
	struct query_selector sel[] = {{"d.bytes", "d7"}, {"d.queue", "d1"}, {"p.cpu", "102"}};
	struct query_request rq = {.selectors = sel, .n_selectors = 2, .points = 400};
	struct query_result *exact, *chart;
	struct history_walk all, few;
	uint64_t n[2][2] = {{0}};

	rq.from_us = from;
	rq.to_us = from + 400 * 50000000ll; /* points are whole buckets */
	ck_assert_int_lt(rq.to_us, x->at);
	ck_assert_int_eq(history_walk_begin(x->history, from, rq.to_us, &all), 0);
	ck_assert_int_eq(history_walk_begin_coarse(x->history, from, rq.to_us, &few), 0);
	ck_assert_uint_gt(all.n, 300);
	ck_assert_uint_lt(few.n, 80); /* of the last hour, which no rollup has yet, blocks */
	history_walk_end(x->history, &all);
	history_walk_end(x->history, &few);
	ck_assert_int_eq(query_run(x->history, &rq, &exact, NULL), 0);
	rq.chart = true;
	ck_assert_int_eq(query_run(x->history, &rq, &chart, NULL), 0);
	ck_assert_uint_eq(chart->n_series, 2);
	for (size_t i = 0; i < 2; i++)
		for (uint32_t p = 0; p < rq.points; p++) {
			const struct query_point *a = &exact->series[i].points[p],
						 *b = &chart->series[i].points[p];
			double near = i ? 1e-9 : 0.004;

			n[i][0] += a->n;
			n[i][1] += b->n;
			MUST(a->n > 490 && b->n == a->n);
			MUST(fabs((double)(b->max - a->max)) <= near * (double)a->max);
			MUST(fabs((double)(b->min - a->min)) <= near * (double)a->min);
			MUST(fabs(b->sum - a->sum) <= near * fabs(a->sum));
		}
	ck_assert_uint_eq(n[0][0], n[0][1]);
	query_free(exact);
	query_free(chart);

	/* Of processes, which come and go, it is made of every sample; of few points, too. */
	rq.selectors = sel + 2;
	rq.n_selectors = 1;
	ck_assert_int_eq(query_run(x->history, &rq, &chart, NULL), 0);
	ck_assert_uint_eq(chart->n_series, 1);
	rq.chart = false;
	ck_assert_int_eq(query_run(x->history, &rq, &exact, NULL), 0);
	ck_assert_mem_eq(chart->series[0].points, exact->series[0].points,
			 rq.points * sizeof(struct query_point));
	query_free(exact);
	query_free(chart);
	lab_close(x);
}
END_TEST

int main(void)
{
	TCase *t = tcase_create("rank_rolled");

	tcase_set_timeout(t, 120);
	tcase_add_test(t, what_changed_hours_ago_is_found);
	tcase_add_test(t, totals_of_hours_ago_are_those_of_then);
	tcase_add_test(t, a_capture_of_hours_ago_has_what_is_held);
	tcase_add_test(t, a_chart_of_hours_is_made_of_rollups);
	return support_run_case("rank_rolled", t);
}
