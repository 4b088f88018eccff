/* The supervisor: what fails, comes back, is missing; and the events that it makes. */
#include "sampler_lab.h"

#define METRIC(n, s)                                                                               \
	{                                                                                          \
		.name = n, .unit = "count", .mul = 1, .div = 1, .source = "test", .help = "",      \
		.sem = s                                                                           \
	}

/* ---- a collector that does as it is told ---- */

static struct {
	_Atomic int probe, open, sample; /* what they return */
	_Atomic int n_probes, n_opens, n_closes, n_samples;
	const char *reason;
	int64_t value;
} told;

static const struct metric odd_metrics[] = {METRIC("odd.value", SEM_COUNTER)};
static const struct group odd_groups[] = {
	{.name = "odd", .metrics = odd_metrics, .n_metrics = 1, .max_instances = 1}};

static void say(struct collector_report *r)
{
	if (told.reason)
		snprintf(r->reason, sizeof(r->reason), "%s", told.reason);
}

static int odd_probe(const struct host *h, struct collector_report *r)
{
	(void)h;
	told.n_probes++;
	if (told.probe)
		say(r);
	return told.probe;
}

static int odd_open(void *state, const struct host *h, struct collector_report *r)
{
	(void)h;
	ck_assert_int_eq(*(int *)state, 0); /* zeroed each time */
	*(int *)state = 1;
	told.n_opens++;
	r->tier = "straight";
	if (told.open)
		say(r);
	return told.open;
}

static int odd_sample(void *state, unsigned g, struct batch *b, struct collector_report *r)
{
	(void)g;
	ck_assert_int_eq(*(int *)state, 1);
	told.n_samples++;
	batch_row(b)[0] = ++told.value;
	if (told.sample)
		say(r);
	return told.sample;
}

static void odd_close(void *state)
{
	*(int *)state = 2;
	told.n_closes++;
}

static const struct collector odd = {.name = "odd",
				     .groups = odd_groups,
				     .n_groups = 1,
				     .state_size = sizeof(int),
				     .probe = odd_probe,
				     .open = odd_open,
				     .sample = odd_sample,
				     .close = odd_close};

static const struct metric calm_metrics[] = {METRIC("calm.passes", SEM_COUNTER)};
static const struct group calm_groups[] = {
	{.name = "calm", .metrics = calm_metrics, .n_metrics = 1, .max_instances = 1}};
static _Atomic int64_t calm_passes;

static int calm_open(void *state, const struct host *h, struct collector_report *r)
{
	(void)state, (void)h, (void)r;
	return 0;
}

static int calm_sample(void *state, unsigned g, struct batch *b, struct collector_report *r)
{
	(void)state, (void)g, (void)r;
	batch_row(b)[0] = ++calm_passes;
	return 0;
}

static void calm_close(void *state)
{
	(void)state;
}

static const struct collector calm = {.name = "calm",
				      .groups = calm_groups,
				      .n_groups = 1,
				      .open = calm_open,
				      .sample = calm_sample,
				      .close = calm_close};
static const struct collector *const odd_and_calm[] = {&odd, &calm};

#define STATE() atomic_load(&stats.collectors[0].state)

START_TEST(a_failing_collector_is_tried_again)
{
	struct lab lab = {0};
	LAB_VIEW(v);

	lab_open(&lab, odd_and_calm, 2, NULL);
	lab_ticks(&lab, 10);
	ck_assert_uint_eq(STATE(), COLLECTOR_OK);
	ck_assert_str_eq(stats.collectors[0].tier, "straight");
	told.sample = -EIO;
	told.reason = "/proc/odd: it burns; remove it";
	lab_ticks(&lab, 2);
	ck_assert_uint_eq(STATE(), COLLECTOR_FAILED);
	ck_assert_str_eq(stats.collectors[0].reason, told.reason);
	ck_assert_uint_eq(atomic_load(&stats.collectors[0].retry_at_us),
			  (lab_ns - TICK_NS) / 1000 + 1000000);
	ck_assert_int_eq(told.n_closes, 1);
	ck_assert_int_eq(told.n_samples, 11);
	lab_view(&v, lab.log);
	ck_assert_uint_eq(v.m.groups[0].period_ms, 0);
	ck_assert_int_eq(v.m.groups[0].rows[0], 10); /* what the failed pass wrote is not shown */
	ck_assert_uint_eq(lab_events(&v, EVENT_COLLECTOR_FAILED, "it burns"), 1);

	lab_ticks(&lab, 7 * 10); /* tries after 1 and 3 s, the next a little past 7 */
	ck_assert_int_eq(told.n_opens, 1 + 2);
	lab_ticks(&lab, 10 * 10);
	ck_assert_int_eq(told.n_opens, 1 + 4); /* and after 15 s */
	lab_ticks(&lab, 600 * 10);
	int opens = told.n_opens;

	lab_ticks(&lab, 600 * 10); /* at most a minute apart */
	ck_assert_int_ge(told.n_opens - opens, 9);
	ck_assert_int_le(told.n_opens - opens, 10);
	ck_assert_int_eq(told.n_opens, told.n_closes);
	ck_assert_uint_eq(atomic_load(&stats.collectors[0].n_errors), (unsigned)told.n_opens);
	told.sample = 0;
	told.reason = NULL;
	lab_ticks(&lab, 61 * 10);
	ck_assert_uint_eq(STATE(), COLLECTOR_OK);
	ck_assert_str_eq(stats.collectors[0].reason, "");
	ck_assert_uint_eq(atomic_load(&stats.collectors[0].retry_at_us), 0);
	lab_view(&v, lab.log);
	ck_assert_uint_eq(v.m.groups[0].period_ms, 100);
	ck_assert_int_eq(v.m.groups[0].rows[0], told.value);
	ck_assert_uint_eq(lab_events(&v, EVENT_COLLECTOR_FAILED, ""),
			  1); /* told once, not each time */
	ck_assert_uint_eq(lab_events(&v, EVENT_COLLECTOR_OK, ""), 1);
	ck_assert_uint_eq(v.n_group_silenced[0], 1);
	ck_assert_int_eq(v.m.groups[1].rows[0], calm_passes);
	ck_assert_uint_eq(v.n_group_reads[1], v.n_frames[FRAME_TICK]); /* the other never paused */
	lab_close(&lab);
	ck_assert_int_eq(told.n_opens, told.n_closes);
}
END_TEST

START_TEST(a_failing_open_is_closed)
{
	struct lab lab = {0};

	told.open = -EACCES;
	lab_open(&lab, odd_and_calm, 2, NULL);
	lab_ticks(&lab, 5);
	ck_assert_uint_eq(STATE(), COLLECTOR_FAILED);
	ck_assert_str_eq(stats.collectors[0].reason, "Permission denied");
	ck_assert_int_eq(told.n_closes, 1);
	ck_assert_int_eq(told.n_samples, 0);
	lab_close(&lab);
	ck_assert_int_eq(told.n_closes, 1);
}
END_TEST

START_TEST(an_absent_source_is_probed_each_minute)
{
	struct lab lab = {0};
	LAB_VIEW(v);

	told.probe = -ENOENT;
	told.reason = "/proc/odd: no such file; CONFIG_ODD supplies it";
	lab_open(&lab, odd_and_calm, 2, NULL);
	lab_ticks(&lab, 590);
	ck_assert_uint_eq(STATE(), COLLECTOR_ABSENT);
	ck_assert_str_eq(stats.collectors[0].reason, told.reason);
	ck_assert_int_eq(told.n_probes, 1);
	ck_assert_int_eq(told.n_opens, 0);
	lab_ticks(&lab, 600);
	ck_assert_int_eq(told.n_probes, 2);
	told.probe = 0;
	lab_ticks(&lab, 602);
	ck_assert_uint_eq(STATE(), COLLECTOR_OK);
	lab_view(&v, lab.log);
	ck_assert_uint_eq(v.m.groups[0].period_ms, 100);
	ck_assert_uint_eq(lab_events(&v, EVENT_COLLECTOR_FAILED, ""), 0);
	lab_close(&lab);
}
END_TEST

START_TEST(partly_failing)
{
	struct lab lab = {0};

	lab_open(&lab, odd_and_calm, 2, NULL);
	told.sample = 2;
	told.reason = "two of three files";
	lab_ticks(&lab, 3);
	ck_assert_uint_eq(STATE(), COLLECTOR_PARTIAL);
	ck_assert_str_eq(stats.collectors[0].reason, told.reason);
	ck_assert_int_eq(told.n_samples, 3); /* goes on */
	told.sample = 0;
	lab_ticks(&lab, 1);
	ck_assert_uint_eq(STATE(), COLLECTOR_OK);
	ck_assert_str_eq(stats.collectors[0].reason, "");
	lab_close(&lab);
}
END_TEST

/* ---- events from what is read ---- */

static const struct metric vm_metrics[] = {METRIC("mem.vmstat.oom_kill", SEM_COUNTER)};
static const struct metric dev_metrics[] = {METRIC("dev.x", SEM_COUNTER)};
static const struct group watched_groups[] = {
	{.name = "vm", .metrics = vm_metrics, .n_metrics = 1, .max_instances = 1},
	{.name = "dev",
	 .indom = "disk",
	 .metrics = dev_metrics,
	 .n_metrics = 1,
	 .max_instances = 300},
	{.name = "dev2",
	 .indom = "disk",
	 .metrics = dev_metrics,
	 .n_metrics = 1,
	 .max_instances = 300},
};
static int64_t oom_kills = 5;
static int n_devices = 1;

static int watched_sample(void *state, unsigned g, struct batch *b, struct collector_report *r)
{
	(void)state, (void)r;
	if (g == 0)
		batch_row(b)[0] = oom_kills;
	for (int i = 0; g && i < n_devices; i++) {
		char name[16];

		snprintf(name, sizeof(name), "d%d", i);
		batch_row_named(b, name, strlen(name))[0] = 1;
	}
	return 0;
}

static const struct collector watched = {.name = "watched",
					 .groups = watched_groups,
					 .n_groups = 3,
					 .open = calm_open,
					 .sample = watched_sample,
					 .close = calm_close};

START_TEST(oom_kills_and_devices_are_events)
{
	static const struct collector *const c[] = {&watched};
	struct lab lab = {0};
	LAB_VIEW(v);

	lab_open(&lab, c, 1, NULL);
	lab_ticks(&lab, 2);
	oom_kills += 2;
	n_devices = 2;
	lab_ticks(&lab, 1);
	n_devices = 1;
	lab_ticks(&lab, 1);
	lab_view(&v, lab.log);
	ck_assert_uint_eq(lab_events(&v, EVENT_OOM_KILL, "2 processes killed"), 1);
	ck_assert_uint_eq(lab_events(&v, EVENT_OOM_KILL, ""),
			  1); /* not for those before the start */
	ck_assert_uint_eq(lab_events(&v, EVENT_INSTANCE, "d1 has appeared"), 1); /* of one group */
	ck_assert_uint_eq(lab_events(&v, EVENT_INSTANCE, "d1 is gone"), 1);
	ck_assert_uint_eq(lab_events(&v, EVENT_INSTANCE, ""), 2);
	n_devices = 300; /* a storm is cut */
	lab_ticks(&lab, 3);
	lab_view(&v, lab.log);
	ck_assert_uint_le(lab_events(&v, EVENT_INSTANCE, ""), 64);
	lab_close(&lab);
}
END_TEST

int main(void)
{
	const TTest *tests[] = {a_failing_collector_is_tried_again, a_failing_open_is_closed,
				an_absent_source_is_probed_each_minute, partly_failing,
				oom_kills_and_devices_are_events};

	return support_run("supervise", tests, sizeof(tests) / sizeof(tests[0]));
}
