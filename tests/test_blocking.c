/* Collectors that may wait for others: their passes run on a thread of their own and cost no
 * tick. */
#include "sampler_lab.h"

#include <errno.h>
#include <malloc.h>
#include <pthread.h>
#include <semaphore.h>

#define METRIC(n)                                                                                  \
	{                                                                                          \
		.name = n, .unit = "count", .mul = 1, .div = 1, .source = "test", .help = "",      \
		.sem = SEM_COUNTER                                                                 \
	}

/* ---- one that never waits ---- */

static const struct metric fast_metrics[] = {METRIC("fast.passes")};
static const struct group fast_group = {
	.name = "fast", .metrics = fast_metrics, .n_metrics = 1, .max_instances = 1};
static int64_t fast_passes;

static int open_nothing(void *state, const struct host *h, struct collector_report *r)
{
	(void)state, (void)h, (void)r;
	return 0;
}

static void close_nothing(void *state)
{
	(void)state;
}

static int fast_sample(void *state, unsigned g, struct batch *b, struct collector_report *r)
{
	(void)state, (void)g, (void)r;
	batch_row(b)[0] = ++fast_passes;
	return 0;
}

static const struct collector fast = {.name = "fast",
				      .groups = &fast_group,
				      .n_groups = 1,
				      .open = open_nothing,
				      .sample = fast_sample,
				      .close = close_nothing};

/* ---- one that waits at a gate; its instances come and go ---- */

static const struct metric gated_metrics[] = {METRIC("gated.passes"), METRIC("gated.id")};
static const struct metric total_metrics[] = {METRIC("gated.total")};
static const char *const gated_attrs[] = {"comm", NULL};
static const struct group gated_groups[] = {
	{.name = "gated",
	 .indom = "process",
	 .metrics = gated_metrics,
	 .n_metrics = 2,
	 .max_instances = 512,
	 .managed = true,
	 .attrs = gated_attrs},
	{.name = "gated.total", .metrics = total_metrics, .n_metrics = 1, .max_instances = 1},
};
enum { LASTING = 5 };
static sem_t gate, arrived;
static _Atomic bool shut;
static _Atomic int fail_with;
static _Atomic int64_t gated_passes;
static uint64_t next_life = 1000;
static unsigned brief; /* lives a pass; they end in the next */
static uint64_t entered_us;

static void one(struct batch *b, uint64_t id)
{
	int32_t slot = batch_find_id(b, id);
	char name[24];
	int len = snprintf(name, sizeof(name), "%llu", (unsigned long long)id);
	int64_t *row;

	if (slot < 0) {
		slot = batch_start(b, id, name, (size_t)len);
		batch_attr(b, (uint32_t)slot, 0, name, (size_t)len);
	}
	row = batch_row_slot(b, (uint32_t)slot);
	row[0] = gated_passes;
	row[1] = (int64_t)id;
}

static int gated_sample(void *state, unsigned g, struct batch *b, struct collector_report *r)
{
	(void)state;
	if (g == 1) {
		batch_row(b)[0] = gated_passes;
		return 0;
	}
	if (shut) {
		entered_us = lab_ns / 1000;
		sem_post(&arrived);
		sem_wait(&gate);
	}
	if (fail_with) {
		snprintf(r->reason, sizeof(r->reason), "the gate is broken");
		return -fail_with;
	}
	gated_passes++;
	for (uint32_t s = 0; s < b->n_slots; s++)
		if (b->inst[s].live && b->inst[s].id >= 1000)
			batch_end(b, s);
	for (uint64_t id = 1; id <= LASTING; id++)
		one(b, id);
	for (unsigned i = 0; i < brief; i++)
		one(b, next_life++);
	return 0;
}

static const struct collector gated = {.name = "gated",
				       .groups = gated_groups,
				       .n_groups = 2,
				       .blocking = true,
				       .open = open_nothing,
				       .sample = gated_sample,
				       .close = close_nothing};
static const struct collector *const both[] = {&fast, &gated};

/* ---- the thread ---- */

static pthread_t passing;

static void *pass(void *arg)
{
	while (sampler_worker_step(arg, 0) >= 0)
		;
	return NULL;
}

static void begin(struct lab *lab, const char *dir)
{
	sem_init(&gate, 0, 0);
	sem_init(&arrived, 0, 0);
	lab_open(lab, both, 2, dir);
	ck_assert_uint_eq(sampler_n_workers(lab->s), 1);
	ck_assert_int_eq(pthread_create(&passing, NULL, pass, lab->s), 0);
}

static void end(struct lab *lab)
{
	shut = false;
	sem_post(&gate);
	sampler_stop(lab->s);
	pthread_join(passing, NULL);
	lab_close(lab);
}

static struct mirror_instance *instance(struct mirror_group *g, const char *name)
{
	for (uint32_t s = 0; s < g->n_slots; s++)
		if (g->inst[s].live && !strcmp(g->inst[s].name, name))
			return &g->inst[s];
	ck_abort_msg("no instance %s", name);
	return NULL;
}

/* Ticks until the log holds a pass that began in one of them; at most 100 (late ones come
 * later). */
static void ticks_until(struct lab *lab, struct lab_view *v, int64_t passes)
{
	for (int i = 0; i < 100; i++) {
		lab_ticks(lab, 1);
		lab_view(v, lab->log);
		if (v->m.groups[2].n_live && v->m.groups[2].rows[0] >= passes)
			return;
	}
	ck_abort_msg("no pass %lld came", (long long)passes);
}

/* ---- tests ---- */

START_TEST(a_blocked_pass_costs_no_tick)
{
	struct lab lab = {0};
	unsigned slow = 0;
	LAB_VIEW(v);

	begin(&lab, NULL);
	ticks_until(&lab, &v, 3);
	shut = true;
	while (sem_trywait(&arrived) < 0)
		lab_ticks(&lab, 1);
	lab_view(&v, lab.log);
	int64_t fast_before = fast_passes, gated_before = gated_passes;
	uint32_t reads = v.n_group_reads[1];
	uint64_t entered = entered_us;

	for (int i = 0; i < 30; i++) {
		uint64_t t = clock_ns(CLOCK_MONOTONIC);

		lab_ticks(&lab, 1);
		t = clock_ns(CLOCK_MONOTONIC) - t;
		slow += t > TICK_NS;
	}
	ck_assert_uint_le(slow, 5); /* it waits for a quarter of the period; the host may be busy */
	ck_assert_int_eq(fast_passes, fast_before + 30);
	ck_assert_uint_eq(STAT_GET(missed_ticks), 0);
	lab_view(&v, lab.log);
	ck_assert_uint_eq(v.n_tick_jumps, 0);
	ck_assert_uint_le(v.n_group_reads[1], reads + 1);
	ck_assert_int_eq(gated_passes, gated_before);
	ck_assert_uint_eq(atomic_load(&stats.collectors[1].state), COLLECTOR_PARTIAL);
	ck_assert_ptr_nonnull(strstr(stats.collectors[1].reason, "no answer for a second"));

	shut = false;
	sem_post(&gate);
	while (gated_passes == gated_before)
		sched_yield();
	uint64_t late = 0;

	for (int i = 0; i < 100 && v.m.groups[2].rows[0] <= gated_before; i++) {
		lab_ticks(&lab, 1);
		lab_view(&v, lab.log);
		late = v.m.groups[1].acquired_us;
	}
	ck_assert_uint_eq(late, entered); /* it comes under the time at which it was read */
	ticks_until(&lab, &v, gated_before + 4);
	ck_assert_uint_gt(v.m.groups[1].acquired_us, entered);
	ck_assert_str_eq(instance(&v.m.groups[1], "3")->attrs[0], "3");
	ck_assert_uint_eq(atomic_load(&stats.collectors[1].state), COLLECTOR_OK);
	ck_assert_str_eq(stats.collectors[1].reason, "");
	end(&lab);
}
END_TEST

/* Segments begin while a pass is under way: readers see what was published, whole. */
START_TEST(churn_through_many_segments)
{
	struct lab lab = {0};
	LAB_VIEW(v);

	begin(&lab, NULL);
	brief = 200;
	ticks_until(&lab, &v, 2);
	lab_ticks(&lab, 300);
	size_t heap = mallinfo2().uordblks;

	lab_ticks(&lab, 600);
	ck_assert_uint_eq(mallinfo2().uordblks, heap); /* allocates nothing */
	brief = 0;
	ticks_until(&lab, &v, gated_passes + 3);
	ck_assert_uint_gt(v.n_frames[FRAME_CATALOG], 1);
	ck_assert_uint_eq(v.m.groups[1].n_live, LASTING);
	ck_assert_uint_le(v.m.groups[1].n_slots, LASTING + 2 * 200);
	for (uint32_t s = 0; s < v.m.groups[1].n_slots; s++)
		if (v.m.groups[1].inst[s].live)
			ck_assert_uint_eq((uint64_t)v.m.groups[1].rows[2 * s + 1],
					  v.m.groups[1].inst[s].id);
	end(&lab);
}
END_TEST

START_TEST(goes_on_after_a_kill)
{
	struct lab lab = {0}, again = {0};
	LAB_VIEW(v);
	LAB_VIEW(w);
	char dir[64];

	support_dir(dir);
	begin(&lab, dir);
	brief = 20;
	ticks_until(&lab, &v, 20);
	end(&lab);
	lab_ns += 1000000000;
	begin(&again, dir);
	ck_assert_uint_eq(sampler_recovered(again.s)->instances, 1 + LASTING + 20 + 1);
	ticks_until(&again, &w, gated_passes + 2);
	ck_assert_uint_eq(w.m.groups[1].n_live, LASTING + 20);
	for (uint64_t id = 1; id <= LASTING; id++) {
		char name[8];

		snprintf(name, sizeof(name), "%d", (int)id);
		ck_assert_uint_eq(instance(&w.m.groups[1], name)->gen,
				  instance(&v.m.groups[1], name)->gen);
		ck_assert_str_eq(instance(&w.m.groups[1], name)->attrs[0], name);
	}
	end(&again);
	support_rm(dir);
}
END_TEST

START_TEST(a_failing_pass_disables_it)
{
	struct lab lab = {0};
	LAB_VIEW(v);

	begin(&lab, NULL);
	ticks_until(&lab, &v, 3);
	fail_with = EIO;
	for (int i = 0; i < 100 && atomic_load(&stats.collectors[1].state) != COLLECTOR_FAILED; i++)
		lab_ticks(&lab, 1);
	ck_assert_str_eq(stats.collectors[1].reason, "the gate is broken");
	fail_with = 0;
	ticks_until(&lab, &v, gated_passes + 3);
	ck_assert_uint_eq(atomic_load(&stats.collectors[1].state), COLLECTOR_OK);
	ck_assert_uint_eq(lab_events(&v, EVENT_COLLECTOR_OK, ""), 1);
	end(&lab);
}
END_TEST

int main(void)
{
	const TTest *tests[] = {a_blocked_pass_costs_no_tick, churn_through_many_segments,
				goes_on_after_a_kill, a_failing_pass_disables_it};

	return support_run("blocking", tests, sizeof(tests) / sizeof(tests[0]));
}
