/*
 * The keeper with a real log, sealer and history on a ring whose device loses power or fails: what it
 * said is safe comes back with its values, once, and of its boot. RING_LONG=1: more lives.
 */
#define LAB_REAL_BLOCKS
#include "ring_test.h"

#include "base/stats.h"
#include "store/keeper.h"
#include "store/query.h"

enum { RING_BYTES = 6 << 20, METRICS = 3, TICK_US = 100000 };
#define LIFE_US 1000000000u

static const struct metric metrics[METRICS] = {
	{"t.count", "count", 1, 1, "a", "A.", SEM_COUNTER, 0, NULL},
	{"t.level", "byte", 1, 1, "b", "B.", SEM_INSTANT, 0, NULL},
	{"t.still", "byte", 1, 1, "c", "C.", SEM_INSTANT, 0, NULL},
};
static const struct group groups[] = {{"one", NULL, metrics, METRICS, 0, 1, false, NULL}};

/* One run of the agent on a host that boots for it. */
struct life {
	uint64_t number, tick;
	char boot_id[40];
	struct log *log;
	struct feeder f;
	struct ring *ring;
	struct history *history;
	struct keeper *keeper;
};

static int64_t value_of(uint64_t life, uint64_t tick, unsigned metric)
{
	uint64_t state = life * 7919 + tick;

	if (metric == 0)
		return (int64_t)(life * 100000 + tick * 3);
	return metric == 1 ? (int64_t)(feeder_random(&state) >> 20) : (int64_t)life;
}

static void open_log(struct life *l, uint64_t number)
{
	struct log_config c = {.size_bytes = 4 << 20, .boot_id = l->boot_id};
	enum log_state state;
	char err[200];

	*l = (struct life){.number = number};
	snprintf(l->boot_id, sizeof(l->boot_id), "boot-%zu", (size_t)number);
	ck_assert_int_eq(log_open(&l->log, &c, &state, err, sizeof(err)), 0);
	feeder_open(&l->f, l->log, groups, 1);
}

static int open_keeper(struct life *l, struct lab_device *d)
{
	struct history_config hc = {.log = l->log, .boot_id = l->boot_id, .memory_bytes = 1 << 20};
	struct keeper_config kc = {.log = l->log, .boot_id = l->boot_id, .round_ms = 1};

	l->ring = kc.ring = lab_open(d, false);
	ck_assert_int_eq(history_open(&l->history, &hc), 0);
	ck_assert_int_eq(history_attach(l->history, l->ring), 0);
	kc.history = l->history;
	return keeper_open(&l->keeper, &kc);
}

static void ticks(struct life *l, unsigned n)
{
	while (n--) {
		int64_t *row;

		l->tick++;
		feeder_tick(&l->f, l->number * LIFE_US + l->tick * TICK_US);
		row = batch_row(feeder_batch(&l->f, 0));
		for (unsigned m = 0; m < METRICS; m++)
			row[m] = value_of(l->number, l->tick, m);
		feeder_group(&l->f, 0, 0, -1);
		feeder_end(&l->f);
	}
}

/* The process is gone, and nothing is written for it any more. */
static void die(struct life *l)
{
	keeper_close(l->keeper);
	history_close(l->history);
	l->ring->read_only = true;
	ring_close(l->ring);
	l->keeper = NULL;
}

static void close_log(struct life *l)
{
	feeder_close(&l->f);
	log_close(l->log);
}

/* ---- what the ring holds of a life ---- */

struct seen {
	uint64_t last, n; /* ticks */
	uint64_t whole;	  /* from the first to this one none is missing */
};

static void see_block(struct life *l, const struct ring_entry *e, const uint8_t *data,
		      struct seen *s)
{
	const struct block_group *g;
	struct block *b;
	int64_t values[METRICS][BLOCK_READS], base;

	ck_assert_str_eq(e->block.boot_id, l->boot_id);
	ck_assert_int_eq(block_open(&b, data, e->len), 0);
	ck_assert_int_eq(block_group(b, 0, &g), 0);
	for (unsigned m = 0; g && m < METRICS; m++)
		ck_assert_int_eq(block_values(b, g, 0, m, &base, values[m]), 0);
	for (uint32_t i = 0; g && i < g->instances[0].n; i++) {
		uint64_t at = g->at_us[g->instances[0].first + i] - l->number * LIFE_US;

		ck_assert_uint_eq(at % TICK_US, 0);
		ck_assert_uint_gt(at / TICK_US, s->last); /* never twice */
		s->last = at / TICK_US;
		s->whole += s->last == s->whole + 1;
		s->n++;
		for (unsigned m = 0; m < METRICS; m++)
			ck_assert_int_eq(values[m][i], value_of(l->number, s->last, m));
	}
	block_close(b);
}

static struct seen see(struct life *l, struct ring *r)
{
	struct seen s = {0};
	size_t n = 0;
	struct ring_entry *list = ring_list(r, &n);

	for (size_t i = 0; i < n; i++) {
		uint8_t *data = malloc(list[i].len);

		if (list[i].type == RING_BLOCK && ring_read(r, &list[i], data) == 0 &&
		    memcmp(list[i].block.log_id, log_id(l->log), LOG_ID_LEN) == 0)
			see_block(l, &list[i], data, &s);
		free(data);
	}
	free(list);
	return s;
}

/* ---- loss of power ---- */

START_TEST(what_was_safe_comes_back_after_loss_of_power)
{
	unsigned lives = lab_long_form() ? 2000 : 120;
	uint64_t rnd = 5, lost = 0, most = 0, n = 0;
	struct life l, next;
	struct lab_device d;

	lab_device_open(&d, RING_BYTES, true);
	open_log(&next, 1);
	ck_assert_int_eq(open_keeper(&next, &d), 0);
	for (unsigned i = 1; i < lives; i++) {
		uint64_t rounds = feeder_random(&rnd) % (i % 8 ? 40 : 200), safe;
		struct seen s;

		l = next;
		STAT_SET(history_safe_us, 0);
		d.ops_left = UINT64_MAX;
		while (rounds--) {
			ticks(&l, 1 + (unsigned)(feeder_random(&rnd) % 20));
			if (!rounds) /* in the midst of one */
				d.ops_left = feeder_random(&rnd) % 30;
			keeper_step(l.keeper);
		}
		safe = STAT_GET(history_safe_us);
		safe = safe ? (safe - l.number * LIFE_US) / TICK_US : 0;
		die(&l);
		lab_device_crash(&d, &rnd);
		open_log(&next, i + 1);
		ck_assert_int_eq(open_keeper(&next, &d), 0);
		s = see(&l, next.ring);
		ck_assert_uint_ge(s.whole, safe);
		lost = l.tick - s.whole;
		most = lost > most ? lost : most;
		n += s.n;
		close_log(&l);
	}
	die(&next);
	close_log(&next);
	fprintf(stderr, "%u lives, %zu ticks kept, at most %zu lost\n", lives, (size_t)n,
		(size_t)most);
	ck_assert_uint_le(most, 2 * 20);
	lab_device_free(&d);
}
END_TEST

START_TEST(replay_that_the_ring_refuses_is_done_again)
{
	struct life l, next;
	struct lab_device d;
	uint64_t rnd = 1;
	struct seen s;

	lab_device_open(&d, RING_BYTES, true);
	open_log(&l, 1);
	ck_assert_int_eq(open_keeper(&l, &d), 0);
	for (unsigned i = 0; i < 10; i++) {
		ticks(&l, 7);
		keeper_step(l.keeper);
	}
	die(&l);
	lab_device_crash(&d, &rnd);
	for (unsigned ops = 0; ops < 45; ops++) { /* the disk fails while the agent starts */
		open_log(&next, 2 + ops);
		next.ring = lab_open(&d, false);
		die(&next);
		d.ops_left = ops / 5;
		d.fails = ops % 5; /* then it works again */
		d.error = -ENOSPC;
		struct ring_io io = lab_io(&d);
		char err[200];

		if (ring_open_io(&next.ring, &io, false, err, sizeof(err)) == 0) {
			struct history_config hc = {
				.log = next.log, .boot_id = next.boot_id, .memory_bytes = 1 << 20};
			struct keeper_config kc = {.log = next.log,
						   .boot_id = next.boot_id,
						   .ring = next.ring,
						   .round_ms = 1};

			ck_assert_int_eq(history_open(&kc.history, &hc), 0);
			ck_assert_int_eq(history_attach(kc.history, next.ring), 0);
			next.history = kc.history;
			ck_assert_int_eq(keeper_open(&next.keeper, &kc), 0);
			die(&next);
		}
		d.ops_left = UINT64_MAX;
		d.fails = 0;
		close_log(&next);
	}
	open_log(&next, 50);
	ck_assert_int_eq(open_keeper(&next, &d), 0);
	s = see(&l, next.ring);
	ck_assert_uint_eq(s.last, 70);
	ck_assert_uint_eq(s.n, 70);
	die(&next);
	close_log(&next);
	close_log(&l);
	lab_device_free(&d);
}
END_TEST

/* The agent is killed and goes on with its log, time and again, before the host loses power. */
START_TEST(log_that_was_continued_is_replayed_once)
{
	struct life l, next;
	struct lab_device d;
	uint64_t rnd = 3;
	struct seen s;

	lab_device_open(&d, RING_BYTES, true);
	open_log(&l, 1);
	for (unsigned i = 0; i < 12; i++) {
		ck_assert_int_eq(open_keeper(&l, &d), 0);
		for (unsigned k = 0; k < i % 5; k++) {
			ticks(&l, 9);
			keeper_step(l.keeper);
		}
		ck_assert_int_eq(ring_sync(l.ring), 0);
		die(&l);
	}
	lab_device_crash(&d, &rnd);
	open_log(&next, 2);
	ck_assert_int_eq(open_keeper(&next, &d), 0);
	s = see(&l, next.ring);
	ck_assert_uint_eq(s.last, l.tick);
	ck_assert_uint_eq(s.n, l.tick);
	die(&next);
	close_log(&next);
	close_log(&l);
	lab_device_free(&d);
}
END_TEST

/* With what came after it on disk, its frames would be forgotten. */
START_TEST(block_that_the_disk_refused_for_a_moment_is_not_passed_over)
{
	uint64_t rnd = 17, n_errors = STAT_GET(history_errors);
	struct life l, next;
	struct lab_device d;

	for (unsigned run = 0; run < 12; run++) {
		uint64_t safe;
		struct seen s;

		lab_device_open(&d, RING_BYTES, true);
		d.error = run % 2 ? -ENOSPC : -EIO;
		open_log(&l, 1);
		ck_assert_int_eq(open_keeper(&l, &d), 0);
		for (unsigned i = 0; i < 100; i++) {
			if (feeder_random(&rnd) % 2) {
				d.ops_left = feeder_random(&rnd) % 80;
				d.fails = 1 + feeder_random(&rnd) % 12;
			}
			ticks(&l, 60);
			keeper_step(l.keeper);
		}
		safe = (STAT_GET(history_safe_us) - l.number * LIFE_US) / TICK_US;
		ck_assert_uint_gt(safe, 3000);
		d.ops_left = UINT64_MAX;
		d.fails = 0;
		die(&l);
		lab_device_crash(&d, &rnd);
		open_log(&next, 2);
		ck_assert_int_eq(open_keeper(&next, &d), 0);
		s = see(&l, next.ring);
		ck_assert_uint_ge(s.whole, safe);
		die(&next);
		close_log(&next);
		close_log(&l);
		lab_device_free(&d);
	}
	ck_assert_uint_gt(STAT_GET(history_errors) - n_errors, 50);
}
END_TEST

START_TEST(failing_disk_is_told_and_memory_goes_on)
{
	struct lab_device d;
	struct life l;
	struct history_stats h;

	lab_device_open(&d, RING_BYTES, false);
	open_log(&l, 1);
	ck_assert_int_eq(open_keeper(&l, &d), 0);
	ticks(&l, 20);
	keeper_step(l.keeper);
	ck_assert_str_eq(keeper_trouble(l.keeper), "");
	d.ops_left = 0;
	d.error = -ENOSPC;
	for (unsigned i = 0; i < 60; i++) {
		ticks(&l, 20);
		keeper_step(l.keeper);
	}
	ck_assert_ptr_nonnull(strstr(keeper_trouble(l.keeper), "No space"));
	history_stats(l.history, &h);
	ck_assert_uint_gt(h.blocks_memory, 0);
	d.ops_left = UINT64_MAX;
	for (unsigned i = 0; i < 40; i++) { /* to the end of a block */
		ticks(&l, 20);
		keeper_step(l.keeper);
	}
	ck_assert_str_eq(keeper_trouble(l.keeper), "");
	ck_assert_uint_eq(STAT_GET(history_safe_us), l.number * LIFE_US + l.tick * TICK_US);
	die(&l);
	close_log(&l);
	lab_device_free(&d);
}
END_TEST

/* Of the ticks in [from, to) of life 1: how many, and the ends of t.level. */
static void expect(const struct query_point *p, uint64_t from_us, uint64_t to_us, uint64_t n_ticks)
{
	int64_t min = INT64_MAX, max = INT64_MIN;
	uint32_t n = 0;

	for (uint64_t tick = 1; tick <= n_ticks; tick++) {
		uint64_t at_us = LIFE_US + tick * TICK_US;
		int64_t v = value_of(1, tick, 1);

		if (at_us < from_us || at_us >= to_us)
			continue;
		n++;
		min = v < min ? v : min;
		max = v > max ? v : max;
	}
	ck_assert_uint_eq(p->n, n);
	if (n) {
		ck_assert_int_eq(p->min, min);
		ck_assert_int_eq(p->max, max);
	}
}

START_TEST(what_memory_cannot_keep_in_full_is_rolled_up)
{
	struct history_config hc = {.memory_bytes = 768 << 10};
	struct keeper_config kc = {.round_ms = 1};
	struct query_selector sel = {.metric = "t.level"};
	struct query_request rq = {.selectors = &sel, .n_selectors = 1, .points = 20};
	struct query_result *res;
	struct history_stats h;
	struct life l;

	open_log(&l, 1);
	hc.log = kc.log = l.log;
	hc.boot_id = kc.boot_id = l.boot_id;
	ck_assert_int_eq(history_open(&l.history, &hc), 0);
	kc.history = l.history;
	ck_assert_int_eq(keeper_open(&l.keeper, &kc), 0);
	for (unsigned i = 0; i < 800; i++) {
		ticks(&l, 500);
		ck_assert_int_eq(keeper_step(l.keeper), 0);
	}
	keeper_finish(l.keeper);
	history_stats(l.history, &h);
	ck_assert_int_lt(h.oldest_us, (int64_t)LIFE_US + 20000000);   /* all of it is held ... */
	ck_assert_int_gt(h.oldest_full_us, h.oldest_us + 2000000000); /* ... but not in full */
	ck_assert_uint_le(h.bytes_memory, hc.memory_bytes);

	/* Points of ten buckets each, from a bucket's beginning on: all before the full blocks. */
	rq.from_us = ((int64_t)LIFE_US / 10000000 + 2) * 10000000;
	rq.to_us = rq.from_us + 20 * 100000000ll;
	ck_assert_int_lt(rq.to_us, h.oldest_full_us);
	ck_assert_int_eq(query_run(l.history, &rq, &res, NULL), 0);
	ck_assert_uint_eq(res->n_series, 1);
	for (unsigned i = 0; i < rq.points; i++)
		expect(&res->series[0].points[i], (uint64_t)rq.from_us + i * 100000000ull,
		       (uint64_t)rq.from_us + (i + 1) * 100000000ull, l.tick);
	query_free(res);
	keeper_close(l.keeper);
	history_close(l.history);
	close_log(&l);
}
END_TEST

int main(void)
{
	const TTest *const tests[] = {
		what_was_safe_comes_back_after_loss_of_power,
		replay_that_the_ring_refuses_is_done_again,
		log_that_was_continued_is_replayed_once,
		block_that_the_disk_refused_for_a_moment_is_not_passed_over,
		failing_disk_is_told_and_memory_goes_on,
		what_memory_cannot_keep_in_full_is_rolled_up,
	};

	return lab_run("keeper", tests, sizeof(tests) / sizeof(*tests));
}
