#include "mirror_groups.h"
#include "support.h"

static uint8_t buf[1 << 20];

static int apply(struct mirror *m, int len)
{
	uint8_t *copy =
		malloc((size_t)len + 1); /* of exactly the frame's size but for the empty one */
	struct frame f = {7, copy, (size_t)len};
	int r;

	MUST(copy && len >= 0);
	memcpy(copy, buf, (size_t)len);
	r = mirror_apply(m, &f);
	free(copy);
	return r;
}

static int put_catalog(uint32_t version)
{
	const struct group *list[] = {&groups[0], &groups[1], &groups[2]};

	return frame_catalog(buf, sizeof(buf), version, list, 3);
}

/* Two live disks, one that is gone, and a process with attributes. */
static void prepare(struct batch *b, struct key_source *key)
{
	int32_t slot;

	for (unsigned g = 0; g < N_GROUPS; g++) {
		ck_assert_int_eq(batch_init(&b[g], &groups[g], 0), 0);
		key[g] = (struct key_source){&b[g], 100, 900};
		batch_begin(&b[g], 1);
	}
	batch_row(&b[0])[1] = 77;
	batch_row(&b[0])[0] = VALUE_ABSENT;
	batch_row_named(&b[1], "sda", 3)[0] = INT64_MAX;
	batch_row_named(&b[1], "sdb", 3)[1] = -5;
	batch_row_named(&b[1], "sdc", 3)[1] = 1;
	slot = batch_start(&b[2], 99, "99", 2);
	batch_attr(&b[2], (uint32_t)slot, 0, "cc1", 3);
	for (unsigned g = 0; g < N_GROUPS; g++)
		batch_commit(&b[g]);
	batch_begin(&b[1], 2);
	batch_row_named(&b[1], "sda", 3);
	batch_row_named(&b[1], "sdb", 3);
	batch_finish(&b[1]);
	batch_commit(&b[1]);
}

static void done(struct batch *b)
{
	for (unsigned g = 0; g < N_GROUPS; g++)
		batch_done(&b[g]);
}

START_TEST(catalog_tells_all_of_the_tables)
{
	struct mirror m;
	struct mirror_group *g;
	uint32_t group, metric;

	mirror_init(&m);
	ck_assert_int_eq(apply(&m, put_catalog(3)), 0);
	ck_assert_uint_eq(m.version, 3);
	ck_assert_uint_eq(m.n_groups, 3);
	ck_assert_ptr_null(m.groups[0].indom);
	ck_assert_uint_eq(m.groups[0].max_instances, 1);
	ck_assert_str_eq(m.groups[1].indom, "disk");
	ck_assert_uint_eq(m.groups[1].period_ms, 1000);
	ck_assert_uint_eq(m.groups[2].n_attrs, 2);
	ck_assert_str_eq(m.groups[2].attr_keys[1], "cgroup");
	g = mirror_find_metric(&m, "mem.state", &group, &metric);
	ck_assert_ptr_eq(g, &m.groups[0]);
	ck_assert_uint_eq(metric, 2);
	ck_assert_uint_eq(g->metrics[2].n_names, 2);
	ck_assert_str_eq(g->metrics[2].names[1], "on");
	ck_assert_int_eq(g->metrics[2].sem, SEM_DISCRETE);
	ck_assert_uint_eq(g->metrics[0].mul, 1024);
	ck_assert_str_eq(g->metrics[0].source, "meminfo");
	ck_assert_str_eq(g->metrics[1].help, "Faults.");
	ck_assert_int_eq(g->metrics[1].quantum, 3);
	ck_assert_ptr_null(mirror_find_metric(&m, "mem.stat", &group, &metric));
	mirror_done(&m);
}
END_TEST

/* Larger than 4 KiB: deflated, and as large as the real one. */
START_TEST(large_catalog_is_deflated_and_comes_back)
{
	static struct metric many[200];
	static char names[200][32];
	struct group g = {"many", NULL, many, 200, 0, 1, false, NULL};
	const struct group *list[] = {&g, &g};
	struct mirror m;
	int len;

	for (unsigned i = 0; i < 200; i++) {
		snprintf(names[i], sizeof(names[i]), "some.metric.with.number.%u", i);
		many[i] = (struct metric){
			names[i],    "count", 1,   1, "/proc/some/file", "A sentence about it.",
			SEM_COUNTER, 0,	      NULL};
	}
	len = frame_catalog(buf, sizeof(buf), 1, list, 2);
	ck_assert_int_gt(len, 0);
	ck_assert_int_lt(len, 6000); /* of 30,000 */
	mirror_init(&m);
	ck_assert_int_eq(apply(&m, len), 0);
	ck_assert_uint_eq(m.groups[1].n_metrics, 200);
	ck_assert_str_eq(m.groups[1].metrics[199].name, "some.metric.with.number.199");
	for (int n = 0; n < len; n++) { /* another version, so that it is read */
		struct mirror other;

		mirror_init(&other);
		MUST(apply(&other, n) == -EBADMSG);
		MUST(other.n_groups == 0);
		mirror_done(&other);
	}
	ck_assert_int_eq(frame_catalog(buf, 100, 1, list, 2), -EMSGSIZE);
	mirror_done(&m);
}
END_TEST

START_TEST(every_truncation_of_catalog_and_key_is_refused)
{
	struct key_source key[N_GROUPS];
	struct batch b[N_GROUPS];
	struct mirror m;
	int len;

	prepare(b, key);
	mirror_init(&m);
	len = put_catalog(1);
	for (int n = 0; n < len; n++)
		MUST(apply(&m, n) == -EBADMSG && m.n_groups == 0);
	ck_assert_int_eq(apply(&m, len), 0);
	len = frame_key(buf, sizeof(buf), 1000, 5, key, N_GROUPS);
	for (int n = 0; n < len; n++)
		MUST(apply(&m, n) == -EBADMSG);
	buf[len] = 0;
	ck_assert_int_eq(apply(&m, len + 1), -EBADMSG);
	ck_assert_int_eq(apply(&m, len), 0);
	ck_assert_uint_eq(m.groups[1].n_live, 2);
	ck_assert_uint_eq(m.groups[1].inst[2].gen, 1); /* dead, its generation known */
	ck_assert(!m.groups[1].inst[2].live);
	ck_assert_int_eq(m.groups[1].rows[0], INT64_MAX);
	ck_assert(m.groups[0].rows[0] == VALUE_ABSENT);
	ck_assert_int_eq(m.groups[0].rows[1], 77);
	ck_assert_uint_eq(m.groups[0].acquired_us, 900);
	mirror_done(&m);
	done(b);
}
END_TEST

START_TEST(mutated_frames_neither_crash_nor_grow_without_bound)
{
	struct key_source key[N_GROUPS];
	struct batch b[N_GROUPS];
	static uint8_t sound[4][4096];
	int len[4];
	struct frame_writer w;
	struct mirror m;
	uint64_t rnd = 9;
	unsigned refused = 0;

	prepare(b, key);
	len[0] = put_catalog(2);
	memcpy(sound[0], buf, (size_t)len[0]);
	len[1] = frame_key(sound[1], sizeof(sound[1]), 1000, 5, key, N_GROUPS);
	frame_tick_begin(&w, sound[2], sizeof(sound[2]), 2000, 6);
	batch_begin(&b[2], 6);
	batch_end(&b[2], 0);
	batch_start(&b[2], 7, "7", 1);
	frame_tick_group(&w, 2, &b[2], 5, 500);
	len[2] = frame_tick_end(&w);
	len[3] = frame_attr(sound[3], sizeof(sound[3]), 2, 0, 1, 1, "a value");
	mirror_init(&m);
	for (unsigned i = 0; i < 100000; i++) {
		unsigned k = (unsigned)(feeder_random(&rnd) % 4);

		memcpy(buf, sound[k], (size_t)len[k]);
		for (unsigned n = (unsigned)(feeder_random(&rnd) % 3); n; n--)
			buf[1 + feeder_random(&rnd) % (uint64_t)(len[k] - 1)] =
				(uint8_t)feeder_random(&rnd);
		refused += apply(&m, len[k]) < 0;
		MUST(m.n_slots <= MIRROR_SLOTS_MAX);
		if (i % 1000 == 0) {
			mirror_done(&m);
			mirror_init(&m);
		}
	}
	ck_assert_uint_gt(refused, 5000);
	mirror_done(&m);
	done(b);
}
END_TEST

START_TEST(slots_beyond_the_groups_cap_are_refused)
{
	struct mirror m;

	mirror_init(&m);
	ck_assert_int_eq(apply(&m, frame_attr(buf, sizeof(buf), 2, 0, 1, 0, "x")),
			 -EBADMSG); /* no catalog */
	ck_assert_int_eq(apply(&m, put_catalog(1)), 0);
	ck_assert_int_eq(apply(&m, frame_attr(buf, sizeof(buf), 2, 299, 1, 0, "x")), 0);
	ck_assert_int_eq(apply(&m, frame_attr(buf, sizeof(buf), 2, 300, 1, 0, "x")), -EBADMSG);
	ck_assert_int_eq(apply(&m, frame_attr(buf, sizeof(buf), 2, 5, 1, 2, "x")),
			 -EBADMSG); /* key */
	ck_assert_int_eq(apply(&m, frame_attr(buf, sizeof(buf), 3, 5, 1, 0, "x")),
			 -EBADMSG); /* group */
	buf[0] = 77;
	ck_assert_int_eq(apply(&m, 1), -EBADMSG);
	ck_assert_int_eq(apply(&m, 0), -EBADMSG);
	mirror_done(&m);
}
END_TEST

START_TEST(attributes_belong_to_a_generation)
{
	struct key_source key[N_GROUPS];
	struct batch b[N_GROUPS];
	struct mirror m;
	struct mirror_instance *in;

	prepare(b, key);
	mirror_init(&m);
	apply(&m, put_catalog(1));
	ck_assert_int_eq(apply(&m, frame_attr(buf, sizeof(buf), 2, 0, 1, 0, "cc1")),
			 0); /* before its KEY */
	ck_assert_int_eq(apply(&m, frame_key(buf, sizeof(buf), 1000, 5, key, N_GROUPS)), 0);
	in = &m.groups[2].inst[0];
	ck_assert(in->live);
	ck_assert_str_eq(in->attrs[0], "cc1");
	ck_assert_ptr_null(in->attrs[1]);
	ck_assert_int_eq(apply(&m, frame_attr(buf, sizeof(buf), 2, 0, 2, 0, "next")), 0);
	ck_assert_str_eq(in->attrs[0], "next");
	ck_assert(!in->live);
	ck_assert_int_eq(apply(&m, frame_attr(buf, sizeof(buf), 2, 0, 1, 0, "late")), 0);
	ck_assert_str_eq(in->attrs[0], "next");
	mirror_done(&m);
	done(b);
}
END_TEST

START_TEST(only_followed_groups_are_kept)
{
	struct key_source key[N_GROUPS];
	struct batch b[N_GROUPS];
	const bool only[N_GROUPS] = {false, true, false};
	struct mirror m;

	prepare(b, key);
	mirror_init(&m);
	apply(&m, put_catalog(1));
	m.only = only;
	ck_assert_int_eq(apply(&m, frame_key(buf, sizeof(buf), 1000, 5, key, N_GROUPS)), 0);
	ck_assert_uint_eq(m.groups[0].n_slots, 0);
	ck_assert_uint_eq(m.groups[1].n_live, 2);
	ck_assert_uint_eq(m.groups[2].n_slots, 0);
	mirror_done(&m);
	done(b);
}
END_TEST

START_TEST(wall_time_follows_the_clock_records)
{
	struct mirror m;

	mirror_init(&m);
	ck_assert_int_eq(mirror_wall_us(&m, 5), 5);
	ck_assert_int_eq(apply(&m, frame_clock(buf, sizeof(buf), 1000, 1000000, 0, CLOCK_START)),
			 0);
	ck_assert_int_eq(apply(&m, frame_clock(buf, sizeof(buf), 2000, 5000000, 9, CLOCK_STEP)), 0);
	ck_assert_int_eq(mirror_wall_us(&m, 500), 1000500); /* before the first: by the first */
	ck_assert_int_eq(mirror_wall_us(&m, 1999), 1001999);
	ck_assert_int_eq(mirror_wall_us(&m, 2000), 5002000);
	ck_assert_uint_eq(mirror_mono_us(&m, 1001500), 1500);
	ck_assert_uint_eq(mirror_mono_us(&m, 5003000), 3000);
	ck_assert_uint_eq(mirror_mono_us(&m, 0), 0); /* before the boot */
	for (unsigned i = 0; i < MIRROR_CLOCKS_MAX + 10; i++)
		MUST(apply(&m, frame_clock(buf, sizeof(buf), 3000 + i, (int64_t)i, 0,
					   CLOCK_PERIODIC)) == 0);
	ck_assert_uint_eq(m.n_clocks, MIRROR_CLOCKS_MAX);
	ck_assert_int_eq(m.clocks[MIRROR_CLOCKS_MAX - 1].real_off_us, MIRROR_CLOCKS_MAX + 9);
	mirror_done(&m);
}
END_TEST

START_TEST(newest_events_are_kept)
{
	struct mirror m;
	char text[32];

	mirror_init(&m);
	for (unsigned i = 0; i < MIRROR_EVENTS_MAX + 5; i++) {
		snprintf(text, sizeof(text), "event %u", i);
		MUST(apply(&m, frame_event(buf, sizeof(buf), i, EVENT_GAP, SEVERITY_WARN, "cpu",
					   text)) == 0);
	}
	ck_assert_uint_eq(m.n_events, MIRROR_EVENTS_MAX);
	ck_assert_str_eq(m.events[0].text, "event 5");
	ck_assert_str_eq(m.events[MIRROR_EVENTS_MAX - 1].source, "cpu");
	ck_assert_uint_eq(m.events[MIRROR_EVENTS_MAX - 1].mono_us, MIRROR_EVENTS_MAX + 4);
	mirror_done(&m);
}
END_TEST

int main(void)
{
	TCase *t = tcase_create("mirror_frames");

	tcase_set_timeout(t, 120);
	tcase_add_test(t, catalog_tells_all_of_the_tables);
	tcase_add_test(t, large_catalog_is_deflated_and_comes_back);
	tcase_add_test(t, every_truncation_of_catalog_and_key_is_refused);
	tcase_add_test(t, mutated_frames_neither_crash_nor_grow_without_bound);
	tcase_add_test(t, slots_beyond_the_groups_cap_are_refused);
	tcase_add_test(t, attributes_belong_to_a_generation);
	tcase_add_test(t, only_followed_groups_are_kept);
	tcase_add_test(t, wall_time_follows_the_clock_records);
	tcase_add_test(t, newest_events_are_kept);
	return support_run_case("mirror_frames", t);
}
