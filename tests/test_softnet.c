#include "base/counter.h"
#include "own_proc.h"

extern const struct collector collector_softnet;

#define SOFTNET "proc/net/softnet_stat"
#define TAIL " 0 0 0 0 0 0 "

static int open_dir(struct rig *r)
{
	char proc[128], sys[128];

	put("sys/keep", "");
	put("proc/keep", "");
	snprintf(proc, sizeof(proc), "%s/proc", dir);
	snprintf(sys, sizeof(sys), "%s/sys", dir);
	*r = (struct rig){0};
	ck_assert_int_eq(host_open(&r->host, proc, sys, NULL), 0);
	return rig_open(r, &collector_softnet);
}

static bool has_cpu(const struct rig *r, const char *name)
{
	const struct batch *b = &r->batches[0];

	for (uint32_t s = 0; s < b->n_slots; s++)
		if (b->inst[s].live && strcmp(b->inst[s].name, name) == 0)
			return true;
	return false;
}

START_TEST(values_of_a_real_host)
{
	struct rig r = {0};

	support_host(&r.host, "host-a");
	ck_assert_int_eq(rig_open(&r, &collector_softnet), 0);
	ck_assert_int_eq(rig_sample(&r), 0);
	ck_assert_uint_eq(r.batches[0].n_live, 2);
	ck_assert_int_eq(rig_value(&r, "network.softnet.percpu.processed", "cpu0"), 0x00000014);
	ck_assert_int_eq(rig_value(&r, "network.softnet.percpu.processed", "cpu1"), 0x00004356);
	ck_assert_int_eq(rig_value(&r, "network.softnet.processed", ""), 0x00000014 + 0x00004356);
	ck_assert_int_eq(rig_value(&r, "network.softnet.percpu.backlog_len", "cpu1"), 0);
	rig_close(&r);
}
END_TEST

START_TEST(the_row_names_its_cpu_where_one_is_offline)
{
	struct rig r = {0};

	support_host(&r.host, "host-b");
	ck_assert_int_eq(rig_open(&r, &collector_softnet), 0);
	ck_assert_int_eq(rig_sample(&r), 0);
	ck_assert_uint_eq(r.batches[0].n_live, 31);
	ck_assert(!has_cpu(&r, "cpu13"));
	ck_assert_int_eq(rig_value(&r, "network.softnet.percpu.processed", "cpu14"), 14007);
	ck_assert_int_eq(rig_value(&r, "network.softnet.percpu.dropped", "cpu31"), 31);
	ck_assert_int_eq(rig_value(&r, "network.softnet.percpu.time_squeeze", "cpu12"), 24);
	ck_assert_int_eq(rig_value(&r, "network.softnet.percpu.received_rps", "cpu12"), 36);
	ck_assert_int_eq(rig_value(&r, "network.softnet.percpu.flow_limit_count", "cpu14"), 56);
	ck_assert_int_eq(rig_value(&r, "network.softnet.percpu.backlog_len", "cpu14"), 4);
	rig_close(&r);
}
END_TEST

START_TEST(older_rows_are_matched_with_the_cpus_online)
{
	struct rig r;

	put("sys/devices/system/cpu/online", "0,2-3,7\n");
	put(SOFTNET, "a 0 0" TAIL "0 0\nb 0 0" TAIL "0 0\nc 0 0" TAIL "0 0\nd 0 0" TAIL "0 0\n");
	ck_assert_int_eq(open_dir(&r), 0);
	ck_assert_int_eq(rig_sample(&r), 0);
	ck_assert_uint_eq(r.batches[0].n_live, 4);
	ck_assert_int_eq(rig_value(&r, "network.softnet.percpu.processed", "cpu2"), 0xb);
	ck_assert_int_eq(rig_value(&r, "network.softnet.percpu.processed", "cpu7"), 0xd);
	ck_assert_int_eq(rig_value(&r, "network.softnet.percpu.backlog_len", "cpu7"), VALUE_ABSENT);
	rig_close(&r);
}
END_TEST

START_TEST(a_cpu_that_goes_and_returns_makes_no_spike)
{
	struct rig r;

	put(SOFTNET, "a 0 0" TAIL "0 0 0 0\nff 1 0" TAIL "0 0 0 1\n");
	ck_assert_int_eq(open_dir(&r), 0);
	ck_assert_int_eq(rig_sample(&r), 0);
	ck_assert_int_eq(rig_value(&r, "network.softnet.processed", ""), 0x109);
	put(SOFTNET, "b 0 0" TAIL "0 0 0 0\n");
	ck_assert_int_eq(rig_sample(&r), 0);
	ck_assert(!has_cpu(&r, "cpu1"));
	ck_assert_int_eq(rig_value(&r, "network.softnet.processed", ""), 0x10a);
	/* cpu1 is back with 2 more; cpu5, never seen yet, has a past of its own */
	put(SOFTNET, "b 0 0" TAIL "0 0 0 0\n101 1 0" TAIL "0 0 0 1\nffff 9 0" TAIL "0 0 0 5\n");
	ck_assert_int_eq(rig_sample(&r), 0);
	ck_assert_int_eq(rig_value(&r, "network.softnet.processed", ""), 0x10c);
	ck_assert_int_eq(rig_value(&r, "network.softnet.dropped", ""), 1);
	ck_assert_int_eq(rig_value(&r, "network.softnet.percpu.processed", "cpu1"), 0x101);
	ck_assert_int_eq(rig_value(&r, "network.softnet.percpu.processed", "cpu5"), 0xffff);
	rig_close(&r);
}
END_TEST

START_TEST(counters_go_on_across_the_wrap_of_32_bits)
{
	struct rig r;

	put(SOFTNET, "fffffff0 0 0" TAIL "0 0 0 0\n");
	ck_assert_int_eq(open_dir(&r), 0);
	ck_assert_int_eq(rig_sample(&r), 0);
	put(SOFTNET, "00000010 0 0" TAIL "0 0 0 0\n");
	ck_assert_int_eq(rig_sample(&r), 0);
	ck_assert_int_eq(rig_value(&r, "network.softnet.percpu.processed", "cpu0"), 0x100000010);
	ck_assert_int_eq(rig_value(&r, "network.softnet.processed", ""), 0x100000010);
	ck_assert_uint_eq(counter_step32(100, 40), 0); /* a reset */
	rig_close(&r);
}
END_TEST

START_TEST(a_row_cut_off_is_left_out)
{
	struct rig r;

	put(SOFTNET, "a 0 0" TAIL "0 0 0 0\nff 1 0" TAIL "0 0 0 1\n7 1 0 0");
	ck_assert_int_eq(open_dir(&r), 0);
	ck_assert_int_eq(rig_sample(&r), 0);
	ck_assert_uint_eq(r.batches[0].n_live, 2);
	rig_close(&r);
}
END_TEST

START_TEST(garbage_and_oversize_are_errors)
{
	static char big[64 * 1024];
	static const char *const texts[] = {"",	     "\n",	   "zz zz zz\n",
					    "1 2\n", "-1 -2 -3\n", "\xff\x80\n"};

	for (size_t i = 0; i < sizeof(texts) / sizeof(*texts); i++) {
		struct rig r;

		put(SOFTNET, texts[i]);
		put("sys/devices/system/cpu/online", "99999999999999999999-5,,--\n");
		ck_assert_int_eq(open_dir(&r), 0);
		ck_assert_int_eq(rig_sample(&r), -EBADMSG);
		ck_assert_str_ne(r.report.reason, "");
		put(SOFTNET, "1 2 3\n4 5 6\n");
		ck_assert_int_eq(rig_sample(&r), 0);
		memset(big, '1', sizeof(big) - 1);
		put(SOFTNET, big);
		ck_assert_int_eq(rig_sample(&r), -EFBIG);
		rig_close(&r);
	}
}
END_TEST

START_TEST(a_cpu_number_beyond_all_limits_is_left_out)
{
	struct rig r;

	put(SOFTNET, "a 0 0" TAIL "0 0 0 ffffffff\nb 0 0" TAIL "0 0 0 0\nc 0 0" TAIL "0 0 0 0\n");
	ck_assert_int_eq(open_dir(&r), 0);
	ck_assert_int_eq(rig_sample(&r), 0);
	ck_assert_uint_eq(r.batches[0].n_live, 1);
	ck_assert_int_eq(rig_value(&r, "network.softnet.percpu.processed", "cpu0"), 0xb);
	rig_close(&r);
}
END_TEST

START_TEST(no_file_no_source)
{
	struct rig r;

	ck_assert_int_eq(open_dir(&r), -ENOENT);
	rig_close(&r);
}
END_TEST

int main(void)
{
	TCase *t = tcase_create("softnet");

	tcase_add_checked_fixture(t, make_dir, remove_dir);
	tcase_add_test(t, values_of_a_real_host);
	tcase_add_test(t, the_row_names_its_cpu_where_one_is_offline);
	tcase_add_test(t, older_rows_are_matched_with_the_cpus_online);
	tcase_add_test(t, a_cpu_that_goes_and_returns_makes_no_spike);
	tcase_add_test(t, counters_go_on_across_the_wrap_of_32_bits);
	tcase_add_test(t, a_row_cut_off_is_left_out);
	tcase_add_test(t, garbage_and_oversize_are_errors);
	tcase_add_test(t, a_cpu_number_beyond_all_limits_is_left_out);
	tcase_add_test(t, no_file_no_source);
	return support_run_case("softnet", t);
}
