#include "query_reference.h"
#include "support.h"

#include <pthread.h>
#include <stdatomic.h>

START_TEST(answers_equal_a_naive_reading_of_everything)
{
	struct log *l = open_log(12);
	struct past h = {0};
	struct feeder f;
	uint64_t rnd = 7, first, last, mono = 50 * SECOND;
	const char *const metrics[] = {"cpu.user", "cpu.load", "disk.bytes", "disk.queue",
				       "disk.mode"};

	feeder_open(&f, l, groups, N_GROUPS);
	random_history(&f, &h, 1500, &rnd, &mono);
	first = (uint64_t)h.reads[0].at_us;
	last = (uint64_t)h.reads[h.n - 1].at_us;
	for (unsigned i = 0; i < 60; i++) {
		uint64_t a = first + feeder_random(&rnd) % (last - first);
		uint64_t b = first + feeder_random(&rnd) % (last - first + 5 * SECOND);
		uint32_t points = 1 + (uint32_t)(feeder_random(&rnd) % 300);
		const char *m = metrics[i % 5];

		if (a == b)
			continue;
		compare(l, &h, m, i % 3 == 0 && m[0] == 'd' ? "sdb" : NULL, a < b ? a : b,
			a < b ? b : a, points, i % 7 == 0);
	}
	compare(l, &h, "disk.bytes", NULL, first - SECOND, last + SECOND, 1, false);
	free(h.reads);
	feeder_close(&f);
	log_close(l);
}
END_TEST

/* ---- one thing at a time ---- */

/* A tick of the group "cpu": counter and level. */
static void cpu_tick(struct feeder *f, uint64_t mono_us, int64_t user, int64_t load)
{
	int64_t *row;

	feeder_tick(f, mono_us);
	row = batch_row(feeder_batch(f, 0));
	row[0] = user;
	row[1] = load;
	feeder_group(f, 0, 0, -1);
	feeder_end(f);
}

/* 1,000,000 us a second, sampled with ticks that are late by 0..180 ms now and then: every rate at
 * every zoom is what it is. */
START_TEST(late_tick_makes_no_peak_at_any_zoom)
{
	struct log *l = open_log(4);
	struct feeder f;
	uint64_t start = 100 * SECOND;

	feeder_open(&f, l, groups, N_GROUPS);
	for (uint64_t i = 0; i < 600; i++) {
		uint64_t late = i % 50 == 25 ? 180000 : i % 50 == 10 ? 140000 : i % 7 * 100;

		if (i % 50 == 26 ||
		    i % 50 == 11) /* missed: the one before was late beyond its time */
			continue;
		cpu_tick(&f, start + i * 100000 + late, (int64_t)(i * 100000 + late), 5);
	}
	for (uint32_t points = 1; points <= 6000; points = points * 3 / 2 + 1) {
		struct query_result *res =
			ask(l, "cpu.user", NULL, start, start + 60 * SECOND, points, false);
		uint32_t n = 0;

		ck_assert_uint_eq(res->n_series, 1);
		for (uint32_t p = 0; p < points; p++) {
			const struct query_point *q = &res->series[0].points[p];

			n += q->n;
			if (!q->n)
				continue;
			ck_assert_int_eq(q->min, 1000 * 1000 * 1000);
			ck_assert_int_eq(q->max, 1000 * 1000 * 1000);
		}
		ck_assert_uint_eq(n, 600 - 24 - 1 - 12); /* 280 ms after the last read is a hole */
		query_free(res);
	}
	feeder_close(&f);
	log_close(l);
}
END_TEST

START_TEST(reset_and_hole_have_no_rate)
{
	struct log *l = open_log(4);
	struct feeder f;
	struct query_result *res;
	const uint64_t t = 100 * SECOND;

	feeder_open(&f, l, groups, N_GROUPS);
	cpu_tick(&f, t, 1000, 7);
	cpu_tick(&f, t + 100000, 1100, 7);
	cpu_tick(&f, t + 200000, 50, 7); /* reset */
	cpu_tick(&f, t + 300000, 150, 7);
	cpu_tick(&f, t + 550000, 400, 7);  /* 2.5 periods: no hole yet */
	cpu_tick(&f, t + 800001, 9000, 7); /* a hole */
	cpu_tick(&f, t + 900001, 9100, 7);
	res = ask(l, "cpu.user", "", t, t + SECOND, 10, false);
	ck_assert_uint_eq(res->n_series, 1);
	static const int64_t want[10] = {-1, 1000, -1, 1000, -1, 1000, -1, -1, -1, 1000};
	for (unsigned i = 0; i < 10; i++) {
		ck_assert_uint_eq(res->series[0].points[i].n, want[i] >= 0);
		if (want[i] >= 0)
			ck_assert_int_eq(res->series[0].points[i].max, want[i] * 1000);
	}
	query_free(res);
	res = ask(l, "cpu.load", NULL, t, t + SECOND, 1, false);
	ck_assert_uint_eq(res->series[0].points[0].n, 7); /* unchanged reads are samples */
	ck_assert_double_eq(res->series[0].points[0].sum, 49);
	query_free(res);
	res = ask(l, "cpu.user", NULL, t, t + SECOND, 1, true);
	ck_assert_int_eq(res->series[0].points[0].min, 50);
	ck_assert_int_eq(res->series[0].points[0].max, 9100);
	ck_assert_uint_eq(res->series[0].points[0].last_us, t + 900001);
	query_free(res);
	feeder_close(&f);
	log_close(l);
}
END_TEST

static void disk_tick(struct feeder *f, uint64_t mono_us, const char *a, const char *b, int64_t v,
		      int32_t period)
{
	int64_t *row;

	feeder_tick(f, mono_us);
	feeder_batch(f, 1);
	for (unsigned i = 0; i < 2; i++) {
		const char *name = i ? b : a;

		if (!name)
			continue;
		row = batch_row_named(&f->batch[1], name, strlen(name));
		row[0] = v;
		row[1] = v / 2;
	}
	feeder_group(f, 1, 0, period);
	feeder_end(f);
}

START_TEST(ended_instances_are_found_and_generations_kept_apart)
{
	struct log *l = open_log(4);
	struct feeder f;
	struct query_result *res;
	const uint64_t t = 100 * SECOND;

	feeder_open(&f, l, groups, N_GROUPS);
	disk_tick(&f, t, "sda", "sdb", 100, -1);
	disk_tick(&f, t + 100000, "sda", "sdb", 200, -1);
	disk_tick(&f, t + 200000, "sda", NULL, 300, -1);
	disk_tick(&f, t + 300000, "sda", "sdb", 400, -1); /* gone and back: another generation */
	disk_tick(&f, t + 400000, "sda", "sdb", 500, -1);
	for (unsigned i = 5; i < 30; i++)
		disk_tick(&f, t + i * 100000, "sda", "sdc", 600, -1);
	res = ask(l, "disk.bytes", "sdb", t, t + 3 * SECOND, 30, false);
	ck_assert_uint_eq(res->n_series, 2);
	for (unsigned k = 0; k < 2; k++) {
		uint32_t n = 0;

		ck_assert_str_eq(res->series[k].instance, "sdb");
		for (unsigned i = 0; i < 30; i++)
			n += res->series[k].points[i].n;
		ck_assert_uint_eq(n, 1); /* one pair of reads each, none across */
		ck_assert_int_eq(res->series[k].points[k ? 4 : 1].max, 1000 * 1000);
	}
	query_free(res);
	res = ask(l, "disk.queue", NULL, t, t + 3 * SECOND, 30, false);
	ck_assert_uint_eq(res->n_series, 4);
	query_free(res);
	res = ask(l, "disk.queue", NULL, t + SECOND, t + 3 * SECOND, 10, false);
	ck_assert_uint_eq(res->n_series, 2); /* sdb ended before */
	ck_assert_str_eq(res->series[0].instance, "sda");
	ck_assert_str_eq(res->series[1].instance, "sdc");
	query_free(res);
	feeder_close(&f);
	log_close(l);
}
END_TEST

START_TEST(stretched_period_is_no_hole_and_a_rest_is_one)
{
	struct log *l = open_log(4);
	struct feeder f;
	struct query_result *res;
	const uint64_t t = 100 * SECOND;

	feeder_open(&f, l, groups, N_GROUPS);
	disk_tick(&f, t, "sda", NULL, 0, -1);
	disk_tick(&f, t + 100000, "sda", NULL, 100, 1000); /* from here once a second */
	disk_tick(&f, t + 1100000, "sda", NULL, 1100, -1);
	disk_tick(&f, t + 2100000, "sda", NULL, 2100, 100);
	disk_tick(&f, t + 2200000, "sda", NULL, 2200, -1);
	feeder_tick(&f, t + 2300000);
	frame_tick_period(&f.w, 1, 0);
	feeder_end(&f);
	disk_tick(&f, t + 2400000, "sda", NULL, 9900, 100);
	disk_tick(&f, t + 2500000, "sda", NULL, 10000, -1);
	res = ask(l, "disk.bytes", "sda", t, t + 3 * SECOND, 30, false);
	ck_assert_uint_eq(res->n_series, 1);
	for (unsigned i = 0; i < 30; i++) {
		bool want = i == 1 || i == 11 || i == 21 || i == 22 || i == 25;

		ck_assert_uint_eq(res->series[0].points[i].n, want);
		if (want)
			ck_assert_int_eq(res->series[0].points[i].max, 1000 * 1000);
	}
	query_free(res);
	feeder_close(&f);
	log_close(l);
}
END_TEST

START_TEST(several_series_in_one_scan_come_in_the_order_asked)
{
	struct log *l = open_log(4);
	struct feeder f;
	const uint64_t t = 100 * SECOND;
	struct query_selector sel[] = {{"disk.queue", "sdb"}, {"cpu.load", NULL},
				       {"disk.queue", NULL},  {"disk.bytes", "sda"},
				       {"no.such", NULL},     {"disk.bytes", "sdx"}};
	struct query_request rq = {sel, 6, t, t + SECOND, 10, false, false, 0};
	struct query_result *res;

	feeder_open(&f, l, groups, N_GROUPS);
	for (unsigned i = 0; i < 10; i++) {
		disk_tick(&f, t + i * 100000, "sda", "sdb", (int64_t)i * 100, -1);
		cpu_tick(&f, t + i * 100000 + 10, 1, (int64_t)i);
	}
	ck_assert_int_eq(query_log(l, &rq, &res, NULL), 0);
	ck_assert_uint_eq(res->n_series, 4); /* what two selectors ask comes once */
	ck_assert_str_eq(res->series[0].instance, "sdb");
	ck_assert_str_eq(res->series[1].instance, "");
	ck_assert_str_eq(res->series[2].instance, "sda");
	ck_assert_uint_eq(res->series[2].metric, 1);
	ck_assert_uint_eq(res->series[3].metric, 0);
	ck_assert_uint_eq(res->step_us, 100000);
	ck_assert_uint_eq(res->oldest_us, t);
	for (unsigned i = 0; i < 10; i++) {
		ck_assert_int_eq(res->series[0].points[i].first, (int64_t)i * 50);
		ck_assert_int_eq(res->series[1].points[i].first, (int64_t)i);
		ck_assert_uint_eq(res->series[3].points[i].n, i > 0);
	}
	ck_assert_str_eq(res->catalog->groups[1].metrics[0].name, "disk.bytes");
	query_free(res);
	sel[0] = (struct query_selector){"disk.queue", NULL};
	rq = (struct query_request){sel, 1, t, t + SECOND, QUERY_POINTS_MAX, false, false, 0};
	for (unsigned i = 0; i < 60; i++) {
		char name[2][8];

		snprintf(name[0], sizeof(name[0]), "a%u", i);
		snprintf(name[1], sizeof(name[1]), "b%u", i);
		disk_tick(&f, t + 1000 + i * 10, name[0], name[1], 1, -1);
	}
	ck_assert_int_eq(query_log(l, &rq, &res, NULL), 0);
	ck_assert(res->truncated);
	ck_assert_uint_eq(res->n_series, (1 << 20) / QUERY_POINTS_MAX);
	query_free(res);
	feeder_close(&f);
	log_close(l);
}
END_TEST

enum { TICKS_WRITTEN = 200000 };

/* A counter that rises by exactly 1,000,000 a second, in a log that is written over while it is
 * read. */
struct asker {
	pthread_t thread;
	struct log *log;
	_Atomic bool *done;
	_Atomic uint64_t n_rates;
	bool wrong;
};

static void *keep_asking(void *arg)
{
	struct asker *a = arg;
	struct query_selector sel[] = {{"cpu.user", NULL}, {"cpu.load", NULL}};
	struct query_request rq = {sel, 2, 0, 0, 50, false, false, 0};
	struct query_result *res;

	while (!atomic_load(a->done)) {
		rq.from_us = (int64_t)log_oldest_us(a->log);
		rq.to_us = rq.from_us + 1000000ll * SECOND;
		if (!rq.from_us || query_log(a->log, &rq, &res, NULL) < 0)
			continue;
		for (uint32_t i = 0; res->n_series == 2 && i < rq.points; i++) {
			const struct query_point *user = &res->series[0].points[i];
			const struct query_point *load = &res->series[1].points[i];

			a->wrong |= user->n && (user->min != 1000000000 || user->max != 1000000000);
			a->wrong |= load->n && load->last != (int64_t)(load->last_us % 977);
			a->n_rates += user->n;
		}
		query_free(res);
	}
	return NULL;
}

START_TEST(answers_stay_right_while_the_log_goes_round)
{
	struct log *l = open_log(4);
	struct feeder f;
	_Atomic bool done = false;
	struct asker a[2] = {{.log = l, .done = &done}, {.log = l, .done = &done}};
	uint64_t rnd = 3, at = SECOND;

	feeder_open(&f, l, groups, N_GROUPS);
	for (unsigned i = 0; i < 2; i++)
		ck_assert_int_eq(pthread_create(&a[i].thread, NULL, keep_asking, &a[i]), 0);
	for (unsigned i = 0; i < TICKS_WRITTEN || !a[0].n_rates || !a[1].n_rates; i++) {
		at += 90000 + feeder_random(&rnd) % 20000;
		cpu_tick(&f, at, (int64_t)at, (int64_t)(at % 977));
		if (i % 500 == 0) /* or it would take long to go round */
			feeder_segment(&f);
	}
	atomic_store(&done, true);
	for (unsigned i = 0; i < 2; i++) {
		pthread_join(a[i].thread, NULL);
		ck_assert(!a[i].wrong);
	}
	feeder_close(&f);
	log_close(l);
}
END_TEST

START_TEST(wrong_questions_are_refused)
{
	struct log *l = open_log(4);
	struct query_selector sel = {"no.such", NULL};
	struct query_request rq = {&sel, 1, 1, 2, 1, false, false, 0};
	struct query_result *res = NULL;
	_Atomic bool cancel = true;
	struct feeder f;

	ck_assert_int_eq(query_log(l, &rq, &res, NULL), -ENOENT); /* an empty log */
	feeder_open(&f, l, groups, N_GROUPS);
	cpu_tick(&f, SECOND, 1, 1);
	ck_assert_int_eq(query_log(l, &rq, &res, NULL), -ENOENT);
	sel.metric = "cpu.user";
	ck_assert_int_eq(query_log(l, &rq, &res, &cancel), -ECANCELED);
	rq.points = 0;
	ck_assert_int_eq(query_log(l, &rq, &res, NULL), -EINVAL);
	rq.points = QUERY_POINTS_MAX + 1;
	ck_assert_int_eq(query_log(l, &rq, &res, NULL), -EINVAL);
	rq.points = 1;
	rq.to_us = rq.from_us;
	ck_assert_int_eq(query_log(l, &rq, &res, NULL), -EINVAL);
	ck_assert_ptr_null(res);
	feeder_close(&f);
	log_close(l);
}
END_TEST

int main(void)
{
	TCase *t = tcase_create("query");

	tcase_set_timeout(t, 120);
	tcase_add_test(t, answers_equal_a_naive_reading_of_everything);
	tcase_add_test(t, late_tick_makes_no_peak_at_any_zoom);
	tcase_add_test(t, reset_and_hole_have_no_rate);
	tcase_add_test(t, ended_instances_are_found_and_generations_kept_apart);
	tcase_add_test(t, stretched_period_is_no_hole_and_a_rest_is_one);
	tcase_add_test(t, several_series_in_one_scan_come_in_the_order_asked);
	tcase_add_test(t, answers_stay_right_while_the_log_goes_round);
	tcase_add_test(t, wrong_questions_are_refused);
	return support_run_case("query", t);
}
