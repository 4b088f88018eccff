/*
 * Queries over sealed blocks give what the log gives: the same random log, asked from the log alone
 * and with a part of it sealed, at many zooms; and across agents and boots.
 */
#include "sealed_log.h"
#include "support.h"

#include "store/rollup.h"

#include <stdatomic.h>

static bool has_samples(const struct query_series *s, uint32_t points)
{
	for (uint32_t p = 0; p < points; p++)
		if (s->points[p].n)
			return true;
	return false;
}

static void assert_equal(const struct query_point *have, const struct query_point *want)
{
	double off = have->sum - want->sum, size = want->sum < 0 ? -want->sum : want->sum;
	double reach =
		(double)want->n * 1e-9 * (double)(want->max > -want->min ? want->max : -want->min);

	MUST(have->n == want->n);
	if (!want->n)
		return;
	MUST(have->first == want->first);
	MUST(have->min == want->min);
	MUST(have->max == want->max);
	MUST(have->last == want->last);
	MUST(have->last_us >= want->last_us); /* a summary says when it ends */
	size = size * 1e-9 > reach ? size * 1e-9 : reach;
	MUST(off <= size + 1e-9 && off >= -size - 1e-9);
}

/* Series without a sample in the range may be in one answer and not in the other: between two reads
 * nobody knows. Returns how many had samples. */
static size_t assert_same(const struct query_result *have, const struct query_result *want,
			  uint32_t points)
{
	size_t i = 0, k = 0, n = 0;

	MUST(have->step_us == want->step_us);
	MUST(have->truncated == want->truncated);
	for (;; i++, k++, n++) {
		while (i < have->n_series && !has_samples(&have->series[i], points))
			i++;
		while (k < want->n_series && !has_samples(&want->series[k], points))
			k++;
		MUST((i < have->n_series) == (k < want->n_series));
		if (i == have->n_series)
			return n;
		const struct query_series *a = &have->series[i], *b = &want->series[k];

		MUST(a->group == b->group && a->metric == b->metric);
		MUST(a->slot == b->slot && a->gen == b->gen);
		MUST(strcmp(a->instance, b->instance) == 0);
		for (uint32_t p = 0; p < points; p++)
			assert_equal(&a->points[p], &b->points[p]);
	}
}

static const struct query_selector all[] = {{"cpu.user", NULL},	   {"cpu.load", NULL},
					    {"disk.bytes", "sdb"}, {"disk.bytes", NULL},
					    {"disk.queue", NULL},  {"disk.mode", NULL}};

static size_t ask_both(struct history *sealed, struct history *plain, int64_t from, int64_t to,
		       uint32_t points, bool raw)
{
	struct query_request rq = {all, 6, from, to, points, raw, false, 0};
	struct query_result *have, *want;
	size_t n;

	ck_assert_int_eq(query_run(sealed, &rq, &have, NULL), 0);
	ck_assert_int_eq(query_run(plain, &rq, &want, NULL), 0);
	n = assert_same(have, want, points);
	query_free(have);
	query_free(want);
	return n;
}

static void ask_random(struct history *sealed, struct history *plain, const struct sealed_log *x,
		       unsigned times, uint64_t *rnd)
{
	int64_t first = x->past.reads[0].at_us, last = x->past.reads[x->past.n - 1].at_us;
	size_t n = 0;

	for (unsigned i = 0; i < times; i++) {
		int64_t span = (last - first) >> feeder_random(rnd) % 12;
		int64_t from =
			first - SECOND +
			(int64_t)(feeder_random(rnd) % (uint64_t)(last - first + 2 * SECOND));
		uint32_t points = 1 + (uint32_t)(feeder_random(rnd) % (i % 3 ? 10 : 400));

		n += ask_both(sealed, plain, from, from + span + 1, points, i % 5 == 0);
	}
	ck_assert_uint_gt(n, times);
}

START_TEST(sealed_or_not_the_answers_are_the_same)
{
	struct sealed_log *x = calloc(1, sizeof(*x));
	struct history *plain, *h;
	uint64_t rnd = 100 + (uint64_t)_i;

	open_sealed(x, rnd, "test", 50 * SECOND, 1700000000000000);
	x->compress = _i % 2;
	write_sealed(x, 24);
	ck_assert_uint_gt(x->n, 10);
	plain = open_with(x->log, "test", 1 << 30);
	for (size_t n = 0; n <= x->n; n++) {
		h = open_with(x->log, "test", 1 << 30);
		add_blocks(h, x, n);
		ck_assert_uint_eq(history_sealed_seq(h), n ? x->blocks[n - 1].head.last_seq : 0);
		ask_random(h, plain, x, 12, &rnd);
		history_close(h);
	}
	history_close(plain);
	close_sealed(x);
	free(x);
}
END_TEST

/* What the log has lost is still in blocks: the naive reading of everything is the judge. */
START_TEST(blocks_alone_are_the_whole_history)
{
	struct sealed_log *x = calloc(1, sizeof(*x));
	struct history *h;
	uint64_t rnd = 5;

	open_sealed(x, rnd, "test", 50 * SECOND, 1700000000000000);
	write_sealed(x, 20);
	seal(x, true);
	h = open_with(NULL, "test", 1 << 30);
	add_blocks(h, x, x->n);
	for (unsigned i = 0; i < 60; i++) {
		int64_t first = x->past.reads[0].at_us;
		int64_t last = x->past.reads[x->past.n - 1].at_us;
		int64_t from = first + (int64_t)(feeder_random(&rnd) % (uint64_t)(last - first));
		struct query_request rq = {
			&all[i % 6], 1,		 from,	from + (last - first) / (1 + i),
			1 + i,	     i % 4 == 0, false, 0};
		struct query_point *want = calloc(rq.points, sizeof(*want));
		struct query_result *res;

		ck_assert_int_eq(query_run(h, &rq, &res, NULL), 0);
		for (size_t k = 0; k < res->n_series; k++) {
			memset(want, 0, rq.points * sizeof(*want));
			expect(&x->past, &rq, res->step_us, &res->series[k], want);
			for (uint32_t p = 0; p < rq.points; p++) {
				res->series[k].points[p].last_us = want[p].last_us;
				assert_point(&res->series[k].points[p], &want[p]);
			}
		}
		query_free(res);
		free(want);
	}
	history_close(h);
	close_sealed(x);
	free(x);
}
END_TEST

/* One series per name over two agents of one boot and one of the boot before. */
START_TEST(series_go_on_across_agents_and_boots)
{
	static const int64_t off_old = 1700000000000000;
	struct sealed_log *a = calloc(1, sizeof(*a)), *b = calloc(1, sizeof(*b)),
			  *c = calloc(1, sizeof(*c));
	const int64_t apart = 2000ll * SECOND;
	struct query_selector sel[] = {{"cpu.load", NULL}, {"cpu.user", NULL}};
	struct query_result *res, *parts[3];
	struct history *h, *one;

	open_sealed(a, 1, "old", 50 * SECOND, off_old);
	write_sealed(a, 5);
	seal(a, true);
	open_sealed(b, 2, "old", a->at + 20 * SECOND, off_old);
	write_sealed(b, 5);
	seal(b, true);
	open_sealed(c, 3, "new", 10 * SECOND, off_old + apart); /* booted so much later */
	write_sealed(c, 5);
	h = open_with(c->log, "new", 1 << 30);
	add_blocks(h, a, a->n);
	add_blocks(h, b, b->n);
	add_blocks(h, c, c->n / 2);

	struct query_request rq = {
		sel,   2, a->past.reads[0].at_us - apart, (int64_t)c->at + SECOND, 3, false,
		false, 0};

	ck_assert_int_eq(query_run(h, &rq, &res, NULL), 0);
	ck_assert_uint_eq(res->n_series, 2);
	ck_assert_int_eq(res->oldest_us, (int64_t)a->blocks[0].head.from_us - apart);
	ck_assert_int_eq(history_oldest_us(h), res->oldest_us);
	/* Each agent's log, asked alone and at its own time. */
	struct sealed_log *logs[] = {a, b, c};
	uint32_t n[2] = {0};

	for (int i = 0; i < 3; i++) {
		struct query_request own = {sel, 2,	0,     (int64_t)logs[i]->at + SECOND,
					    1,	 false, false, 0};

		one = open_with(logs[i]->log, "x", 1 << 30);
		ck_assert_int_eq(query_run(one, &own, &parts[i], NULL), 0);
		history_close(one);
		for (int k = 0; k < 2; k++)
			n[k] += parts[i]->series[k].points[0].n;
		query_free(parts[i]);
	}
	for (int k = 0; k < 2; k++) {
		uint32_t have = 0;

		for (uint32_t p = 0; p < 3; p++)
			have += res->series[k].points[p].n;
		ck_assert_uint_eq(have, n[k]);
	}
	/* Wall time is what each boot's clock said. */
	ck_assert_int_eq(query_wall_us(res, a->past.reads[0].at_us - apart),
			 a->past.reads[0].at_us + off_old);
	ck_assert_int_eq(query_wall_us(res, (int64_t)c->at), (int64_t)c->at + off_old + apart);
	query_free(res);
	history_close(h);
	close_sealed(a);
	close_sealed(b);
	close_sealed(c);
	free(a);
	free(b);
	free(c);
}
END_TEST

/* Summaries and values meet in one point; counters that fall, holes and absences are in the data. */
START_TEST(wide_points_are_made_of_summaries)
{
	struct sealed_log *x = calloc(1, sizeof(*x));
	struct history *plain, *h;

	open_sealed(x, 77, "test", 50 * SECOND, 1700000000000000);
	random_history(&x->f, &x->past, 3000, &x->rnd, &x->at); /* whole blocks */
	seal(x, true);
	plain = open_with(x->log, "test", 1 << 30);
	h = open_with(x->log, "test", 1 << 30);
	add_blocks(h, x, x->n);
	for (uint32_t points = 1; points < 60; points++)
		ck_assert_uint_gt(ask_both(h, plain, x->past.reads[0].at_us + points * 77777,
					   (int64_t)x->at - points * 33333, points,
					   points % 4 == 0),
				  10);
	history_close(h);
	history_close(plain);
	close_sealed(x);
	free(x);
}
END_TEST

static int keep_rollup(void *arg, struct sealed *s)
{
	return history_add(arg, s, false);
}

static bool is_near(double a, double b)
{
	double off = a - b, size = b < 0 ? -b : b;

	return off <= size * 0.005 + 1 && off >= -size * 0.005 - 1;
}

/* Rollups stand for what is not held in full, and for nothing twice. */
START_TEST(beyond_the_full_blocks_rollups_answer)
{
	struct sealed_log *x = calloc(1, sizeof(*x));
	struct history *whole, *h;
	struct rollup *rollup;
	struct query_result *have, *want;
	size_t compared = 0, n_full;
	int64_t full_us;

	open_sealed(x, 31, "test", 50 * SECOND, 1700000000000000);
	write_sealed(x, 40);
	seal(x, true);
	n_full = x->n / 2;
	whole = open_with(NULL, "test", 1 << 30);
	add_blocks(whole, x, x->n);
	h = open_with(NULL, "test", 1 << 30);
	for (size_t i = n_full; i < x->n; i++) {
		struct sealed s = x->blocks[i];

		s.data = malloc(s.len);
		memcpy(s.data, x->blocks[i].data, s.len);
		ck_assert_int_eq(history_add(h, &s, false), 0);
	}
	ck_assert_int_eq(rollup_open(&rollup, &(struct rollup_config){keep_rollup, h}), 0);
	for (size_t i = 0; i < x->n; i++) {
		struct history_block b;

		ck_assert_int_eq(history_get(whole, INT64_MIN, INT64_MAX, i, &b), 1);
		ck_assert_int_eq(rollup_add(rollup, b.block, b.catalog), 0);
		history_release(whole, &b);
		if (i == n_full / 2 || i + 1 == x->n)
			ck_assert_int_eq(rollup_flush(rollup), 0);
	}
	rollup_close(rollup);
	full_us = (int64_t)x->blocks[n_full].head.from_us;
	ck_assert_int_lt(history_oldest_us(h), full_us);

	struct query_request rq = {
		.selectors = all, .n_selectors = 6, .from_us = 50 * SECOND, .to_us = 50 * SECOND};

	rq.points = (uint32_t)((int64_t)x->at - rq.from_us) / (20 * SECOND) + 1;
	rq.to_us += (int64_t)rq.points * 20 * SECOND;
	ck_assert_int_eq(query_run(h, &rq, &have, NULL), 0);
	ck_assert_int_eq(query_run(whole, &rq, &want, NULL), 0);
	for (size_t i = 0; i < have->n_series; i++) {
		const struct query_series *a = &have->series[i], *b = NULL;
		bool rates = groups[a->group].metrics[a->metric].sem == SEM_COUNTER;

		for (size_t k = 0; k < want->n_series && !b; k++)
			if (want->series[k].group == a->group && want->series[k].slot == a->slot &&
			    want->series[k].metric == a->metric && want->series[k].gen == a->gen)
				b = &want->series[k];
		MUST(b);
		for (uint32_t p = 0; p < rq.points; p++) {
			const struct query_point *m = &a->points[p], *n = &b->points[p];
			int64_t from = rq.from_us + (int64_t)p * 20 * SECOND;

			if (from >= full_us) {
				assert_equal(m, n);
			} else if (from + 40 * SECOND < full_us && m->n) {
				MUST(m->n == n->n);
				MUST(is_near((double)m->min, (double)n->min));
				MUST(is_near((double)m->max, (double)n->max));
				MUST(is_near((double)m->first, (double)n->first));
				MUST(is_near((double)m->last, (double)n->last));
				MUST(rates || (m->min == n->min && m->max == n->max));
				compared++;
			} else { /* where they meet some seconds may be missing */
				MUST(m->n <= n->n);
			}
		}
	}
	ck_assert_uint_gt(compared, 20);
	query_free(have);
	query_free(want);
	history_close(h);
	history_close(whole);
	close_sealed(x);
	free(x);
}
END_TEST

/* The build before this one read a group that this one does not know. */
START_TEST(what_only_an_older_catalog_knew_is_answered)
{
	static const struct metric old_metrics[] = {
		{"old.level", "byte", 1, 1, "x", "Gone.", SEM_INSTANT, 0, NULL},
		{"old.count", "count", 1, 1, "x", "Gone.", SEM_COUNTER, 0, NULL}};
	static const struct group old_groups[] = {{"old", NULL, old_metrics, 2, 0, 1, false, NULL}};
	struct sealed_log *x = calloc(2, sizeof(*x));
	struct query_selector sel[] = {
		{"cpu.load", NULL}, {"old.level", NULL}, {"old.count", NULL}};
	struct query_request rq = {sel, 3, INT64_MIN, INT64_MAX, 1, false, false, 0};
	struct query_result *res;
	struct history *h;

	open_sealed(&x[0], 1, "one", 50 * SECOND, 1700000000000000 - 1000ll * SECOND);
	feeder_close(&x[0].f);
	feeder_open(&x[0].f, x[0].log, old_groups, 1);
	x[0].f.real_off_us = 1700000000000000 - 1000ll * SECOND;
	for (int64_t i = 0; i < 100; i++) {
		int64_t *row;

		x[0].at += 100000;
		feeder_tick(&x[0].f, x[0].at);
		row = batch_row(feeder_batch(&x[0].f, 0));
		row[0] = i;
		row[1] = 50 * i;
		feeder_group(&x[0].f, 0, 0, -1);
		feeder_end(&x[0].f);
	}
	seal(&x[0], true);
	open_sealed(&x[1], 2, "now", 50 * SECOND, 1700000000000000);
	write_sealed(&x[1], 4);
	h = open_with(x[1].log, "now", 1 << 30);
	add_blocks(h, &x[0], x[0].n);
	add_blocks(h, &x[1], _i ? x[1].n : 1); /* the log has the rest */
	ck_assert_int_eq(query_run(h, &rq, &res, NULL), 0);
	ck_assert_uint_eq(res->n_series, 3);
	for (size_t i = 0; i < 3; i++) {
		const struct query_series *q = &res->series[i];

		ck_assert_str_eq(res->catalog->groups[q->group].metrics[q->metric].name,
				 sel[i].metric);
		ck_assert_uint_gt(q->points[0].n, 90);
	}
	ck_assert_int_eq(res->series[1].points[0].n, 100);
	ck_assert_int_eq(res->series[1].points[0].max, 99);
	ck_assert_int_eq(res->series[2].points[0].max, 500000); /* 50 in 100 ms, by thousandths */
	query_free(res);
	rq.selectors = sel + 1;
	rq.n_selectors = 1;
	ck_assert_int_eq(query_run(h, &rq, &res, NULL), 0);
	ck_assert_uint_eq(res->n_series, 1);
	query_free(res);
	rq.from_us = (int64_t)x[1].at - 1000000; /* it is known, and was not there */
	ck_assert_int_eq(query_run(h, &rq, &res, NULL), 0);
	ck_assert_uint_eq(res->n_series, 0);
	query_free(res);
	sel[1].metric = "never.was";
	ck_assert_int_eq(query_run(h, &rq, &res, NULL), -ENOENT);
	history_close(h);
	close_sealed(&x[0]);
	close_sealed(&x[1]);
	free(x);
}
END_TEST

START_TEST(damage_is_a_gap)
{
	struct sealed_log *x = calloc(1, sizeof(*x));
	struct query_request rq = {all, 6, 0, INT64_MAX, 1, false, false, 0};
	struct query_result *res;
	struct history *h;
	uint32_t before = UINT32_MAX;

	open_sealed(x, 9, "test", 50 * SECOND, 1700000000000000);
	write_sealed(x, 12);
	seal(x, true);
	for (unsigned round = 0; round < 40; round++) {
		h = open_with(NULL, "test", 1 << 30);
		if (round)
			x->blocks[x->n / 2]
				.data[feeder_random(&x->rnd) % x->blocks[x->n / 2].len] ^=
				(uint8_t)(1u << feeder_random(&x->rnd) % 8);
		add_blocks(h, x, x->n);
		ck_assert_int_eq(query_run(h, &rq, &res, NULL), 0);
		ck_assert_uint_ge(res->n_series, 5);
		ck_assert_uint_le(res->series[0].points[0].n, before);
		before = res->series[0].points[0].n;
		query_free(res);
		history_close(h);
	}
	close_sealed(x);
	free(x);
}
END_TEST

START_TEST(a_scan_can_be_given_up)
{
	struct sealed_log *x = calloc(1, sizeof(*x));
	struct query_request rq = {all, 6, INT64_MIN, INT64_MAX, QUERY_POINTS_MAX, false, false, 0};
	struct query_result *res = NULL;
	_Atomic bool cancel = true;
	struct history *h;

	open_sealed(x, 9, "test", 50 * SECOND, 1700000000000000);
	write_sealed(x, 3);
	seal(x, true);
	h = open_with(x->log, "test", 1 << 30);
	add_blocks(h, x, x->n);
	ck_assert_int_eq(query_run(h, &rq, &res, &cancel), -ECANCELED);
	ck_assert_ptr_null(res);
	atomic_store(&cancel, false);
	ck_assert_int_eq(query_run(h, &rq, &res, &cancel), 0); /* whole of time is no overflow */
	query_free(res);
	history_close(h);
	close_sealed(x);
	free(x);
}
END_TEST

int main(void)
{
	TCase *t = tcase_create("query_blocks");

	tcase_set_timeout(t, 120);
	tcase_add_loop_test(t, sealed_or_not_the_answers_are_the_same, 0, 4);
	tcase_add_test(t, blocks_alone_are_the_whole_history);
	tcase_add_test(t, wide_points_are_made_of_summaries);
	tcase_add_test(t, series_go_on_across_agents_and_boots);
	tcase_add_test(t, beyond_the_full_blocks_rollups_answer);
	tcase_add_loop_test(t, what_only_an_older_catalog_knew_is_answered, 0, 2);
	tcase_add_test(t, damage_is_a_gap);
	tcase_add_test(t, a_scan_can_be_given_up);
	return support_run_case("query_blocks", t);
}
