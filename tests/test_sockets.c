#include "own_proc.h"

extern const struct collector collector_sockets;

static int open_dir(struct rig *r)
{
	return rig_open_own(r, &collector_sockets);
}

START_TEST(values_of_a_real_host)
{
	struct rig r = {0};

	support_host(&r.host, "host-a");
	ck_assert_int_eq(rig_open(&r, &collector_sockets), 0);
	ck_assert_int_eq(rig_sample(&r), 0);
	ck_assert_int_eq(rig_value(&r, "network.sockstat.total", ""), 16);
	ck_assert_int_eq(rig_value(&r, "network.sockstat.tcp.inuse", ""), 1);
	ck_assert_int_eq(rig_value(&r, "network.sockstat.tcp.mem", ""), 442);
	for (unsigned g = 0; g < r.c->n_groups; g++)
		for (uint32_t m = 0; m < r.c->groups[g].n_metrics; m++)
			ck_assert_msg(r.batches[g].rows[m] != VALUE_ABSENT, "%s is absent",
				      r.c->groups[g].metrics[m].name);
	rig_close(&r);
}
END_TEST

START_TEST(the_same_word_in_another_section_is_another_figure)
{
	struct rig r;

	put("net/sockstat", "sockets: used 300\nTCP: inuse 27 orphan 1 tw 14 alloc 28 mem 9\n"
			    "UDP: inuse 8 mem 5\nRAW: inuse 3\n");
	ck_assert_int_eq(open_dir(&r), 0);
	ck_assert_int_eq(rig_sample(&r), 0);
	ck_assert_int_eq(rig_value(&r, "network.sockstat.tcp.inuse", ""), 27);
	ck_assert_int_eq(rig_value(&r, "network.sockstat.udp.inuse", ""), 8);
	ck_assert_int_eq(rig_value(&r, "network.sockstat.raw.inuse", ""), 3);
	ck_assert_int_eq(rig_value(&r, "network.sockstat.udp.mem", ""), 5);
	ck_assert_int_eq(rig_value(&r, "network.sockstat.frag.memory", ""), VALUE_ABSENT);
	ck_assert_int_eq(rig_value(&r, "network.sockstat.tcp6.inuse", ""),
			 VALUE_ABSENT); /* no IPv6 */
	put("net/sockstat", "sockets: used 299\nTCP: inuse 7 orphan 0 tw 2140 alloc 8 mem 1\n"
			    "UDP: inuse 1000 mem 5\nRAW: inuse 3\n");
	ck_assert_int_eq(rig_sample(&r), 0);
	ck_assert_int_eq(rig_value(&r, "network.sockstat.tcp.tw", ""), 2140);
	ck_assert_int_eq(rig_value(&r, "network.sockstat.udp.inuse", ""), 1000);
	rig_close(&r);
}
END_TEST

START_TEST(a_truncated_file_leaves_the_rest_absent)
{
	struct rig r;

	put("net/sockstat", "sockets: used 300\nTCP: inuse 27 orph");
	ck_assert_int_eq(open_dir(&r), 0);
	ck_assert_int_eq(rig_sample(&r), 0);
	ck_assert_int_eq(rig_value(&r, "network.sockstat.tcp.inuse", ""), 27);
	ck_assert_int_eq(rig_value(&r, "network.sockstat.tcp.orphan", ""), VALUE_ABSENT);
	rig_close(&r);
}
END_TEST

START_TEST(garbage_and_oversize_are_errors)
{
	static char big[64 * 1024];
	static const char *const texts[] = {
		"", "\n", "TCP:", "used 5\n", "TCP inuse x\n", "\xff 5\n", "5 5 5\n"};

	for (size_t i = 0; i < sizeof(texts) / sizeof(*texts); i++) {
		struct rig r;

		put("net/sockstat", texts[i]);
		ck_assert_int_eq(open_dir(&r), 0);
		ck_assert_int_eq(rig_sample(&r), -EBADMSG);
		ck_assert_ptr_nonnull(strstr(r.report.reason, "sockstat"));
		memset(big, '1', sizeof(big) - 1);
		put("net/sockstat", big);
		ck_assert_int_eq(rig_sample(&r), -EFBIG);
		rig_close(&r);
	}
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
	TCase *t = tcase_create("sockets");

	tcase_add_checked_fixture(t, make_dir, remove_dir);
	tcase_add_test(t, values_of_a_real_host);
	tcase_add_test(t, the_same_word_in_another_section_is_another_figure);
	tcase_add_test(t, a_truncated_file_leaves_the_rest_absent);
	tcase_add_test(t, garbage_and_oversize_are_errors);
	tcase_add_test(t, no_file_no_source);
	return support_run_case("sockets", t);
}
