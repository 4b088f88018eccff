/* The sampler: schedule, frames, recovery, churn, budget, clocks. */
#include "sample/budget.h"
#include "sample/timekeep.h"
#include "sampler_lab.h"

#include <malloc.h>

/* ---- a well-behaved collector: one group each tick, one once a second ---- */

#define METRIC(n, s)                                                                               \
	{                                                                                          \
		.name = n, .unit = "count", .mul = 1, .div = 1, .source = "test", .help = "",      \
		.sem = s                                                                           \
	}

static const struct metric steady_metrics[] = {METRIC("steady.passes", SEM_COUNTER),
					       METRIC("steady.level", SEM_INSTANT)};
static const struct metric slow_metrics[] = {METRIC("steady.slow", SEM_COUNTER)};
static const char *const steady_attrs[] = {"note", NULL};
static const struct group steady_groups[] = {
	{.name = "steady",
	 .indom = "thing",
	 .metrics = steady_metrics,
	 .n_metrics = 2,
	 .max_instances = 8,
	 .attrs = steady_attrs},
	{.name = "steady.slow",
	 .metrics = slow_metrics,
	 .n_metrics = 1,
	 .period_ms = 1000,
	 .max_instances = 1},
};
static int64_t passes, slow_passes;

static int steady_open(void *state, const struct host *h, struct collector_report *r)
{
	(void)state, (void)h, (void)r;
	return 0;
}

static void steady_close(void *state)
{
	(void)state;
}

static int steady_sample(void *state, unsigned g, struct batch *b, struct collector_report *r)
{
	(void)state, (void)r;
	if (g == 1) {
		batch_row(b)[0] = ++slow_passes;
		return 0;
	}
	passes++;
	for (int i = 0; i < 3; i++) {
		char name[16];
		int64_t *row;

		snprintf(name, sizeof(name), "t%d", i);
		row = batch_row_named(b, name, strlen(name));
		row[0] = passes * (i + 1);
		row[1] = i == 2 && passes % 2 ? VALUE_ABSENT : i;
		batch_attr(b, (uint32_t)((row - b->rows) / b->n_metrics), 0, i ? "odd" : "even",
			   i ? 3 : 4);
	}
	return 0;
}

static const struct collector steady = {.name = "steady",
					.groups = steady_groups,
					.n_groups = 2,
					.open = steady_open,
					.sample = steady_sample,
					.close = steady_close};
static const struct collector *const only_steady[] = {&steady};

static struct mirror_instance *instance(struct mirror_group *g, const char *name)
{
	for (uint32_t s = 0; s < g->n_slots; s++)
		if (g->inst[s].live && !strcmp(g->inst[s].name, name))
			return &g->inst[s];
	ck_abort_msg("no instance %s", name);
	return NULL;
}

START_TEST(frames_of_300_ticks)
{
	struct lab lab = {0};
	LAB_VIEW(v);
	struct mirror_instance *in;

	lab_open(&lab, only_steady, 1, NULL);
	lab_ticks(&lab, 300);
	lab_view(&v, lab.log);
	ck_assert_uint_eq(v.n_frames[FRAME_TICK], 300);
	ck_assert_uint_eq(v.n_frames[FRAME_KEY],
			  1 + 300 / FRAME_KEY_TICKS); /* the segment's first */
	ck_assert_uint_eq(v.n_frames[FRAME_CATALOG], 1);
	ck_assert_uint_eq(v.n_frames[FRAME_ATTR], 3);
	ck_assert_uint_eq(v.n_tick_jumps, 0);
	ck_assert_uint_eq(v.n_group_reads[0], 300);
	ck_assert_uint_eq(v.n_group_reads[1], 31); /* the first tick, then once in ten */
	ck_assert_uint_eq(v.m.groups[0].period_ms, 100);
	ck_assert_uint_eq(v.m.groups[1].period_ms, 1000);
	in = instance(&v.m.groups[0], "t2");
	ck_assert_str_eq(in->attrs[0], "odd");
	ck_assert_int_eq(v.m.groups[0].rows[2 * (in - v.m.groups[0].inst)], 900);
	ck_assert_int_eq(v.m.groups[1].rows[0], slow_passes);
	ck_assert_uint_eq(lab_events(&v, EVENT_AGENT_START, "started at 10 Hz"), 1);
	ck_assert_uint_eq(STAT_GET(ticks), 300);
	ck_assert_uint_eq(STAT_GET(samples), 300 * 6 + 31);
	ck_assert_uint_eq(STAT_GET(series), 7);
	sampler_finish(lab.s);
	lab_view(&v, lab.log);
	ck_assert_uint_eq(v.m.events[v.m.n_events - 1].kind, EVENT_AGENT_STOP);
	ck_assert_uint_eq(v.m.events[v.m.n_events - 1].seq, log_newest(lab.log));
	lab_close(&lab);
}
END_TEST

START_TEST(catalog_of_what_is_off)
{
	struct lab lab = {.config.off = (bool[]){true}};
	LAB_VIEW(v);

	lab_open(&lab, only_steady, 1, NULL);
	lab_ticks(&lab, 5);
	lab_view(&v, lab.log);
	ck_assert_uint_eq(v.m.n_groups, 2);
	ck_assert_uint_eq(v.m.groups[0].period_ms, 0);
	ck_assert_int_eq(passes, 0);
	ck_assert_uint_eq(atomic_load(&stats.collectors[0].state), COLLECTOR_OFF);
	lab_close(&lab);
}
END_TEST

START_TEST(a_period_the_user_sets)
{
	struct lab lab = {.config.period_ms = (uint32_t[]){300}};
	LAB_VIEW(v);

	lab_open(&lab, only_steady, 1, NULL);
	lab_ticks(&lab, 31);
	lab_view(&v, lab.log);
	ck_assert_int_ge(passes, 11);
	ck_assert_int_le(passes, 12);
	ck_assert_uint_eq(v.m.groups[0].period_ms, 300);
	lab_close(&lab);
}
END_TEST

START_TEST(late_and_missed_ticks)
{
	struct lab lab = {0};
	LAB_VIEW(v);

	lab_open(&lab, only_steady, 1, NULL);
	lab_ticks(&lab, 3);
	lab_ns += TICK_NS;
	sampler_tick(lab.s, lab_ns + 9000000); /* 9 ms: not late */
	ck_assert_uint_eq(STAT_GET(late_ticks), 0);
	sampler_tick(lab.s, lab_ns + 50000000); /* the same multiple again: nothing */
	ck_assert_uint_eq(STAT_GET(ticks), 4);
	lab_ns += TICK_NS;
	sampler_tick(lab.s, lab_ns + 11000000);
	ck_assert_uint_eq(STAT_GET(late_ticks), 1);
	ck_assert_uint_eq(STAT_GET(lateness_us), 11000);
	lab_ns += 3 * TICK_NS; /* two missed: counted */
	sampler_tick(lab.s, lab_ns);
	ck_assert_uint_eq(STAT_GET(missed_ticks), 2);
	lab_ns += 4 * TICK_NS; /* three missed: an event besides */
	sampler_tick(lab.s, lab_ns);
	ck_assert_uint_eq(STAT_GET(missed_ticks), 5);
	lab_view(&v, lab.log);
	ck_assert_uint_eq(lab_events(&v, EVENT_GAP, "3 ticks missed"), 1);
	ck_assert_uint_eq(v.last_tick - v.first_tick + 1, v.n_frames[FRAME_TICK] + 5);
	ck_assert_uint_eq(v.n_tick_jumps, 2);
	lab_close(&lab);
}
END_TEST

/* ---- held up while reading ---- */

static const struct metric held_metrics[] = {METRIC("held.ns", SEM_COUNTER)};
static const struct group held_groups[] = {
	{.name = "held.first", .metrics = held_metrics, .n_metrics = 1, .max_instances = 1},
	{.name = "held.second", .metrics = held_metrics, .n_metrics = 1, .max_instances = 1},
	{.name = "held.third", .metrics = held_metrics, .n_metrics = 1, .max_instances = 1},
};
static uint64_t held_tick, held_up_ns;
static int64_t held_value;
static unsigned held_at, held_reads;
static bool held_before;

/* All groups are served by one file, which counts nanoseconds; who reads it is held up at a group, before or after the
 * read. */
static int held_sample(void *state, unsigned g, struct batch *b, struct collector_report *r)
{
	(void)state, (void)r;
	if (g == held_at && held_before)
		lab_ns += held_up_ns;
	if (held_tick != b->tick + 1) {
		held_value = (int64_t)lab_ns;
		held_reads++;
	}
	held_tick = b->tick + 1;
	if (g == held_at && !held_before)
		lab_ns += held_up_ns;
	if (g == held_at)
		held_up_ns = 0;
	batch_row(b)[0] = held_value;
	return 0;
}

static const struct collector held = {.name = "held",
				      .groups = held_groups,
				      .n_groups = 3,
				      .open = steady_open,
				      .sample = held_sample,
				      .close = steady_close};
static const struct collector *const only_held[] = {&held};

/* Whatever the moment at which a process is stopped: what was counted until then is said to be of then. */
START_TEST(who_is_held_up_while_reading_reads_again)
{
	for (unsigned k = 0; k < 6; k++) {
		struct lab lab = {0};
		LAB_VIEW(v);

		held_at = k / 2;
		held_before = k % 2;
		lab_open(&lab, only_held, 1, NULL);
		lab_ticks(&lab, 3);
		held_reads = 0;
		held_up_ns = 3000000000;
		lab_ticks(&lab, 1);
		lab_view(&v, lab.log);
		ck_assert_uint_eq(held_reads, 2);
		for (unsigned g = 0; g < 3; g++) {
			const struct mirror_group *is = &v.m.groups[g];
			ck_assert_msg(
				is->rows[0] / 1000 == (int64_t)is->acquired_us,
				"held up at group %u: group %u of %lld us is said to be of %llu us",
				held_at, g, (long long)is->rows[0] / 1000,
				(unsigned long long)is->acquired_us);
		}
		lab_ticks(&lab, 3);
		ck_assert_uint_eq(held_reads, 5);
		lab_close(&lab);
	}
}
END_TEST

/* ---- many short lives ---- */

static const struct metric life_metrics[] = {METRIC("life.age", SEM_COUNTER)};
static const char *const life_attrs[] = {"comm", NULL};
static const struct group life_group = {.name = "life",
					.indom = "process",
					.metrics = life_metrics,
					.n_metrics = 1,
					.max_instances = 512,
					.managed = true,
					.attrs = life_attrs};
enum { LIVES_A_TICK = 200 };
static uint64_t next_life = 1;
static bool no_more_lives;

/* Ends the lives of the tick before, begins new ones; some end in the pass that began them. */
static int life_sample(void *state, unsigned g, struct batch *b, struct collector_report *r)
{
	(void)state, (void)g, (void)r;
	for (uint32_t s = 0; s < b->n_slots; s++)
		if (b->inst[s].live)
			batch_end(b, s);
	for (int i = 0; i < LIVES_A_TICK && !no_more_lives; i++) {
		char name[24];
		int len = snprintf(name, sizeof(name), "%llu", (unsigned long long)next_life);
		int32_t slot = batch_start(b, next_life++, name, (size_t)len);

		ck_assert_int_ge(slot, 0);
		batch_row_slot(b, (uint32_t)slot)[0] = i;
		batch_attr(b, (uint32_t)slot, 0, name, (size_t)len);
		if (i % 10 == 0)
			batch_end(b, (uint32_t)slot);
	}
	return 0;
}

static const struct collector life = {.name = "life",
				      .groups = &life_group,
				      .n_groups = 1,
				      .open = steady_open,
				      .sample = life_sample,
				      .close = steady_close};

/* Pages of our own: those of the program's file come in bunches, whenever a new one is touched. */
static long anon_pages(void)
{
	FILE *f = fopen("/proc/self/statm", "re");
	long size, rss, shared;

	ck_assert_int_eq(fscanf(f, "%ld %ld %ld", &size, &rss, &shared), 3);
	fclose(f);
	return rss - shared;
}

static int count_fds(void)
{
	int n = 0;

	for (int fd = 0; fd < 256; fd++)
		n += fcntl(fd, F_GETFD) >= 0;
	return n;
}

START_TEST(a_hundred_thousand_short_lives)
{
	static const struct collector *const c[] = {&life};
	struct lab lab = {0};
	LAB_VIEW(v);
	long before_rss;
	int before_fds;
	size_t before_heap;

	lab_open(&lab, c, 1, NULL);
	lab_ticks(&lab, 600); /* a few times around the log */
	before_rss = anon_pages();
	before_fds = count_fds();
	before_heap = mallinfo2().uordblks;
	while (next_life < 100000 + 600 * LIVES_A_TICK)
		lab_ticks(&lab, 1);
	ck_assert_uint_eq(mallinfo2().uordblks, before_heap); /* allocates nothing */
	ck_assert_int_eq(count_fds(), before_fds);
#if !defined(__SANITIZE_THREAD__) && !defined(__SANITIZE_ADDRESS__) /* those keep shadows */
	ck_assert_int_le(anon_pages(), before_rss + 4);
#else
	(void)before_rss;
#endif
	no_more_lives = true;
	lab_ticks(&lab, 2);
	lab_view(&v, lab.log);
	ck_assert_uint_eq(v.m.groups[0].n_live, 0);
	ck_assert_uint_le(v.m.groups[0].n_slots, 2 * LIVES_A_TICK);
	ck_assert_uint_gt(v.n_frames[FRAME_CATALOG], 1); /* several segments, readable from each */
	ck_assert_uint_eq(STAT_GET(series), 0);
	lab_close(&lab);
}
END_TEST

/* A reader may begin at any segment: all of them show the same end. */
START_TEST(every_segment_stands_alone)
{
	static const struct collector *const c[] = {&life, &steady};
	struct lab lab = {0};
	uint64_t seq;
	unsigned n = 0;

	lab_open(&lab, c, 2, NULL);
	lab_ticks(&lab, 900);
	for (seq = log_oldest(lab.log); seq <= log_newest(lab.log); n++) {
		struct cursor cur = {0};
		struct mirror m;
		struct frame f;
		uint64_t from, to;

		mirror_init(&m);
		ck_assert_int_eq(cursor_open_seq(&cur, lab.log, seq), 0);
		seq = log_newest(lab.log) + 1;
		while (cursor_next(&cur, &f, &from, &to) > 0) {
			ck_assert_int_eq(mirror_apply(&m, &f), 0);
			if (frame_type(&f) == FRAME_CATALOG && m.keyed && seq > f.seq)
				seq = f.seq;
		}
		ck_assert_int_eq(m.groups[1].rows[0], passes);
		ck_assert_uint_eq(m.groups[0].n_live, LIVES_A_TICK * 9 / 10);
		cursor_close(&cur);
		mirror_done(&m);
	}
	ck_assert_uint_ge(n, 2);
	lab_close(&lab);
}
END_TEST

/* ---- recovery ---- */

START_TEST(goes_on_after_a_kill)
{
	static const struct collector *const c[] = {&life, &steady};
	struct lab lab = {0}, again = {0};
	uint8_t id[LOG_ID_LEN];
	LAB_VIEW(v);
	LAB_VIEW(w);
	char dir[64];

	support_dir(dir);
	lab_open(&lab, c, 2, dir);
	lab_ticks(&lab, 150);
	memcpy(id, log_id(lab.log), sizeof(id));
	lab_view(&v, lab.log);
	lab_close(&lab); /* without sampler_finish(), as a kill leaves it */

	lab_ns += 2500000000;
	lab_open(&again, c, 2, dir);
	ck_assert_int_eq(memcmp(id, log_id(again.log), sizeof(id)), 0);
	ck_assert_uint_eq(sampler_recovered(again.s)->instances, LIVES_A_TICK * 9 / 10 + 3 + 1);
	lab_view(&w, again.log); /* before the first tick: the KEY shows what was */
	for (uint32_t s = 0; s < v.m.groups[1].n_slots; s++) {
		ck_assert_str_eq(w.m.groups[1].inst[s].name, v.m.groups[1].inst[s].name);
		ck_assert_uint_eq(w.m.groups[1].inst[s].gen, v.m.groups[1].inst[s].gen);
		ck_assert_str_eq(w.m.groups[1].inst[s].attrs[0], v.m.groups[1].inst[s].attrs[0]);
		ck_assert_int_eq(w.m.groups[1].rows[2 * s], v.m.groups[1].rows[2 * s]);
	}
	for (uint32_t s = 0; s < v.m.groups[0].n_slots; s++)
		ck_assert_uint_eq(w.m.groups[0].inst[s].gen, v.m.groups[0].inst[s].gen);
	ck_assert_uint_eq(lab_events(&w, EVENT_GAP, "2.5"), 1);
	lab_ticks(&again, 3);
	lab_view(&w, again.log);
	ck_assert_uint_eq(w.m.groups[1].inst[0].gen, 1); /* the same instance still */
	ck_assert_uint_eq(w.last_tick - v.last_tick, 25 + 3);
	ck_assert_uint_eq(w.m.groups[0].n_live, LIVES_A_TICK * 9 / 10);
	lab_close(&again);
	support_rm(dir);
}
END_TEST

START_TEST(another_catalog_begins_anew)
{
	static const struct collector *const two[] = {&life, &steady};
	struct lab lab = {0}, again = {0};
	uint8_t id[LOG_ID_LEN];
	LAB_VIEW(v);
	char dir[64];

	support_dir(dir);
	lab_open(&lab, only_steady, 1, dir);
	lab_ticks(&lab, 20);
	memcpy(id, log_id(lab.log), sizeof(id));
	lab_close(&lab);
	lab_open(&again, two, 2, dir);
	ck_assert_int_ne(memcmp(id, log_id(again.log), sizeof(id)), 0);
	ck_assert_uint_eq(sampler_recovered(again.s)->frames, 0);
	lab_ticks(&again, 2);
	lab_view(&v, again.log);
	ck_assert_uint_eq(v.n_frames[FRAME_TICK], 2);
	ck_assert_uint_eq(lab_events(&v, EVENT_GAP, ""), 0);
	lab_close(&again);
	support_rm(dir);
}
END_TEST

/* ---- budget ---- */

START_TEST(budget_stretches_the_dearest)
{
	struct budget_group g[] = {
		{.cost_ns = 100000, .period_ticks = 1, .base_ticks = 1},
		{.cost_ns = 900000, .period_ticks = 1, .base_ticks = 1, .fixed = true},
		{.cost_ns = 500000, .period_ticks = 1, .base_ticks = 1},
		{.cost_ns = 9000000, .period_ticks = 1, .base_ticks = 1, .idle = true},
		{.cost_ns = 1000, .period_ticks = 1, .base_ticks = 1},
	};
	struct budget b = {.limit_ppm = 13000};

	/* 15010 ppm at full rate; the read ones cost 1000, 9000, 5000, -, 10 */
	ck_assert(!budget_judge(&b, 13000, g, 5, 10));
	ck_assert(budget_judge(&b, 15010, g, 5, 10));
	ck_assert_uint_eq(g[2].period_ticks, 2);
	ck_assert_uint_eq(g[0].period_ticks, 1);
	b.limit_ppm =
		10000; /* 12510 now: 2500 -> 1250 -> 625, the dearer 1000 -> 500, 625 -> 312 */
	ck_assert(budget_judge(&b, 12510, g, 5, 10));
	ck_assert_uint_eq(g[2].period_ticks, 16);
	ck_assert_uint_eq(g[0].period_ticks, 2);
	b.limit_ppm = 100; /* cannot be reached: each goes as far as it is worth it */
	ck_assert(budget_judge(&b, 9822, g, 5, 10));
	ck_assert_uint_eq(g[2].period_ticks, 64); /* 10 s at most */
	ck_assert_uint_eq(g[0].period_ticks, 64);
	ck_assert_uint_eq(g[1].period_ticks, 1);
	ck_assert_uint_eq(g[3].period_ticks, 1);
	b.limit_ppm = 0;
	ck_assert(!budget_judge(&b, 1000000, g, 5, 10));
}
END_TEST

START_TEST(budget_gives_back_when_there_is_room)
{
	struct budget_group g[] = {
		{.cost_ns = 100000, .period_ticks = 4, .base_ticks = 1},
		{.cost_ns = 800000, .period_ticks = 16, .base_ticks = 1},
	};
	struct budget b = {.limit_ppm = 5000};
	unsigned n = 0;

	/* 250 + 500 ppm: the first to 1 Hz (1000), the second to 4 (2000), 8 would be 4000 +
	 * 1000 */
	for (int i = 1; i < BUDGET_CALM_WINDOWS; i++)
		ck_assert(!budget_judge(&b, 750, g, 2, 10));
	ck_assert(budget_judge(&b, 750, g, 2, 10));
	ck_assert_uint_eq(g[0].period_ticks, 1);
	ck_assert_uint_eq(g[1].period_ticks, 4);
	for (int i = 0; i < 2 * BUDGET_CALM_WINDOWS; i++) /* no room for more */
		ck_assert(!budget_judge(&b, 3000, g, 2, 10));
	ck_assert(budget_judge(&b, 9000, g, 2, 10)); /* it did not last: twice the patience */
	while (n++ < 100 && !budget_judge(&b, 500, g, 2, 10))
		;
	ck_assert_uint_eq(n, 2 * BUDGET_CALM_WINDOWS);
}
END_TEST

/* steady, but each pass takes 2 ms of the test's clock and of CPU */
static bool cheap;
static int dear_sample(void *state, unsigned g, struct batch *b, struct collector_report *r)
{
	if (g == 0 && !cheap) {
		lab_ns += 2000000;
		lab_cpu_ns += 2000000;
	}
	return steady_sample(state, g, b, r);
}

static void dear_ticks(struct lab *lab, unsigned n)
{
	while (n--) {
		lab_ns = (lab_ns / TICK_NS + 1) * TICK_NS;
		sampler_tick(lab->s, lab_ns);
	}
}

START_TEST(budget_is_kept_visibly)
{
	struct collector dear = steady;
	const struct collector *c[] = {&dear};
	struct lab lab = {.config.budget_ppm = 8000}; /* 2 ms of 100 ms are 20000 */
	const struct collector_stat *st = &stats.collectors[0];
	LAB_VIEW(v);

	dear.sample = dear_sample;
	lab_open(&lab, c, 1, NULL);
	dear_ticks(&lab, 2);
	ck_assert_uint_eq(atomic_load(&st->state), COLLECTOR_OK);
	dear_ticks(&lab, 200);
	ck_assert_uint_eq(atomic_load(&st->state), COLLECTOR_REDUCED);
	ck_assert_ptr_nonnull(strstr(st->reason, "steady at 2.5 Hz, budget of 0.8 %"));
	ck_assert_uint_eq(atomic_load(&st->period_ms), 400);
	lab_view(&v, lab.log);
	ck_assert_uint_eq(v.m.groups[0].period_ms, 400);
	ck_assert_uint_eq(lab_events(&v, EVENT_REDUCED, "every 400 ms: the CPU budget"),
			  1); /* at once */
	ck_assert_uint_eq(lab_events(&v, EVENT_REDUCED, ""), 1);
	cheap = true;
	dear_ticks(&lab, 2000);
	ck_assert_uint_eq(atomic_load(&st->state), COLLECTOR_OK);
	ck_assert_str_eq(st->reason, "");
	lab_close(&lab);
}
END_TEST

START_TEST(budget_leaves_the_users_period)
{
	struct collector dear = steady;
	const struct collector *c[] = {&dear};
	struct lab lab = {.config.budget_ppm = 1000, .config.period_ms = (uint32_t[]){100}};

	dear.sample = dear_sample;
	lab_open(&lab, c, 1, NULL);
	dear_ticks(&lab, 300);
	ck_assert_uint_eq(atomic_load(&stats.collectors[0].state), COLLECTOR_OK);
	ck_assert_int_eq(passes, 300);
	lab_close(&lab);
}
END_TEST

/* ---- clocks ---- */

START_TEST(clock_record)
{
	struct timekeep t = {0};
	struct clock_change c;
	struct clock_reading r = {.mono_us = 1000000, .real_off_us = 500, .boot_off_us = 7};

	ck_assert(timekeep_judge(&t, &r, &c));
	ck_assert_int_eq(c.reason, CLOCK_START);
	r.mono_us += 100000;
	r.real_off_us += 999;
	ck_assert(!timekeep_judge(&t, &r, &c));
	r.mono_us += 60000000;
	ck_assert(timekeep_judge(&t, &r, &c));
	ck_assert_int_eq(c.reason, CLOCK_PERIODIC);
	r.real_off_us -= 3600000000;
	ck_assert(timekeep_judge(&t, &r, &c));
	ck_assert_int_eq(c.reason, CLOCK_STEP);
	ck_assert_int_eq(c.step_us, -3600000000);
	r.real_off_us += 90000000; /* asleep: the wall goes on */
	r.boot_off_us += 90000000;
	ck_assert(timekeep_judge(&t, &r, &c));
	ck_assert_int_eq(c.reason, CLOCK_SUSPEND);
	ck_assert_int_eq(c.suspend_us, 90000000);
	ck_assert(!timekeep_judge(&t, &r, &c));
	ck_assert(timekeep_read(&r));
}
END_TEST

static int64_t lab_real_us = 5000000000, lab_boot_us = 7;

static bool lab_clocks(struct clock_reading *r)
{
	*r = (struct clock_reading){lab_ns / 1000, lab_real_us, lab_boot_us};
	return true;
}

/* What the wall clock says when the monotonic one says lab_ns, as a reader of the log has it. */
static int64_t wall_now(struct lab_view *v, struct log *log)
{
	lab_view(v, log);
	return mirror_wall_us(&v->m, lab_ns / 1000);
}

START_TEST(suspend_and_step_are_recorded)
{
	struct lab lab = {.config.read_clocks = lab_clocks};
	const struct mirror_clock *c;
	int64_t before;
	LAB_VIEW(v);

	lab_open(&lab, only_steady, 1, NULL);
	lab_ticks(&lab, 10);
	before = wall_now(&v, lab.log);
	ck_assert_int_eq(before, (int64_t)(lab_ns / 1000) + 5000000000);
	ck_assert_uint_eq(v.n_frames[FRAME_CLOCK], 1);

	lab_boot_us += 90000000; /* asleep for 90 s: no tick is missed, the wall went on */
	lab_real_us += 90000000;
	lab_ticks(&lab, 10);
	ck_assert_int_eq(wall_now(&v, lab.log) - before, 90000000 + 1000000);
	ck_assert_uint_eq(lab_events(&v, EVENT_SUSPEND, "the host was suspended for 90.000 s"), 1);
	ck_assert_uint_eq(v.n_frames[FRAME_CLOCK], 2);
	c = &v.m.clocks[v.m.n_clocks - 1];
	ck_assert_uint_eq(c->reason, CLOCK_SUSPEND);
	ck_assert_uint_eq(c->mono_us, lab_ns / 1000 - 900000); /* the first tick after it */
	ck_assert_uint_eq(v.n_tick_jumps, 0);
	ck_assert_uint_eq(STAT_GET(missed_ticks), 0);

	lab_real_us -= 3600000000; /* set back by an hour */
	lab_ticks(&lab, 10);
	ck_assert_int_eq(wall_now(&v, lab.log) - before, 90000000 - 3600000000 + 2000000);
	ck_assert_uint_eq(lab_events(&v, EVENT_CLOCK_STEP, "set back by 3600.000 s"), 1);
	lab_real_us += 800; /* within what is tolerated, then beyond */
	lab_ticks(&lab, 1);
	lab_real_us += 300;
	lab_ticks(&lab, 1);
	lab_view(&v, lab.log);
	ck_assert_uint_eq(lab_events(&v, EVENT_CLOCK_STEP, "set forward by 0.001 s"), 1);
	ck_assert_uint_eq(v.n_frames[FRAME_CLOCK], 4);
	lab_ticks(&lab, 601); /* one a minute besides */
	lab_view(&v, lab.log);
	ck_assert_uint_eq(v.n_frames[FRAME_CLOCK], 5);
	ck_assert_uint_eq(v.m.clocks[v.m.n_clocks - 1].reason, CLOCK_PERIODIC);
	lab_close(&lab);
}
END_TEST

int main(void)
{
	const TTest *tests[] = {frames_of_300_ticks,
				catalog_of_what_is_off,
				a_period_the_user_sets,
				late_and_missed_ticks,
				who_is_held_up_while_reading_reads_again,
				a_hundred_thousand_short_lives,
				every_segment_stands_alone,
				goes_on_after_a_kill,
				another_catalog_begins_anew,
				budget_stretches_the_dearest,
				budget_gives_back_when_there_is_room,
				budget_is_kept_visibly,
				budget_leaves_the_users_period,
				clock_record,
				suspend_and_step_are_recorded};

	return support_run("sampler", tests, sizeof(tests) / sizeof(tests[0]));
}
