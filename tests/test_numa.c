#include "own_proc.h"

extern const struct collector collector_numa;

#define NODE "sys/devices/system/node/"

static int open_dir(struct rig *r)
{
	char sys[128];

	put("sys/keep", "");
	snprintf(sys, sizeof(sys), "%s/sys", dir);
	*r = (struct rig){0};
	ck_assert_int_eq(host_open(&r->host, dir, sys, NULL), 0);
	return rig_open(r, &collector_numa);
}

START_TEST(values_of_a_real_host)
{
	struct rig r = {0};

	support_host(&r.host, "host-a");
	ck_assert_int_eq(rig_open(&r, &collector_numa), 0);
	ck_assert_int_eq(rig_sample(&r), 0);
	ck_assert_int_eq(rig_value(&r, "mem.numa.util.total", "node0"), 5073100);
	ck_assert_int_eq(rig_value(&r, "mem.numa.util.inactive_file", "node0"), 689844);
	ck_assert_int_eq(rig_value(&r, "mem.numa.alloc.hit", "node0"), 4969655);
	ck_assert_int_eq(rig_value(&r, "mem.numa.alloc.interleave_hit", "node0"), 1125);
	for (uint32_t m = 0; m < r.batches[0].n_metrics; m++)
		ck_assert_msg(r.batches[0].rows[m] != VALUE_ABSENT, "%s is absent",
			      r.c->groups[0].metrics[m].name);
	rig_close(&r);
}
END_TEST

START_TEST(each_node_is_an_instance_also_where_numbers_are_missing)
{
	struct rig r = {0};

	support_host(&r.host, "host-b");
	ck_assert_int_eq(rig_open(&r, &collector_numa), 0);
	ck_assert_int_eq(rig_sample(&r), 0);
	ck_assert_uint_eq(r.batches[0].n_live, 2);
	ck_assert_int_eq(rig_value(&r, "mem.numa.alloc.miss", "node0"), 500);
	ck_assert_int_eq(rig_value(&r, "mem.numa.alloc.miss", "node2"), 502);
	ck_assert_int_eq(rig_value(&r, "mem.numa.util.total", "node2"), 5073100 * 15 + 8);
	rig_close(&r);
}
END_TEST

START_TEST(a_node_with_garbage_leaves_the_others_good)
{
	struct rig r;

	put(NODE "online", "0-1\n");
	put(NODE "node0/meminfo", "Node 0 MemTotal:       100 kB\nNode 0 MemFr");
	put(NODE "node0/numastat", "numa_hit 5\n");
	put(NODE "node1/meminfo", "\xff\x01 Node\n\n5");
	put(NODE "node1/numastat", "");
	ck_assert_int_eq(open_dir(&r), 0);
	ck_assert_int_eq(rig_sample(&r), 1);
	ck_assert_ptr_nonnull(strstr(r.report.reason, "node1"));
	ck_assert_int_eq(rig_value(&r, "mem.numa.util.total", "node0"), 100);
	ck_assert_int_eq(rig_value(&r, "mem.numa.util.free", "node0"), VALUE_ABSENT);
	ck_assert_int_eq(rig_value(&r, "mem.numa.alloc.hit", "node0"), 5);
	ck_assert_int_eq(rig_value(&r, "mem.numa.alloc.miss", "node0"), VALUE_ABSENT);
	rig_close(&r);
}
END_TEST

START_TEST(another_list_of_nodes_asks_for_a_new_open)
{
	struct rig r;

	put(NODE "online", "0\n");
	put(NODE "node0/meminfo", "Node 0 MemTotal:       100 kB\n");
	put(NODE "node0/numastat", "numa_hit 5\n");
	ck_assert_int_eq(open_dir(&r), 0);
	ck_assert_int_eq(rig_sample(&r), 0);
	put(NODE "online", "0-1\n");
	ck_assert_int_eq(rig_sample(&r), -ESTALE);
	rig_close(&r);
}
END_TEST

START_TEST(an_oversized_file_is_refused_not_cut)
{
	static char big[64 * 1024];
	struct rig r;

	put(NODE "online", "0\n");
	put(NODE "node0/meminfo", "Node 0 MemTotal:       100 kB\n");
	put(NODE "node0/numastat", "numa_hit 5\n");
	ck_assert_int_eq(open_dir(&r), 0);
	memset(big, '7', sizeof(big) - 1);
	put(NODE "node0/meminfo", big);
	ck_assert_int_eq(rig_sample(&r), 1);
	ck_assert_uint_eq(r.batches[0].n_live, 0);
	rig_close(&r);
}
END_TEST

START_TEST(a_list_that_is_none_is_an_error)
{
	static const char *const lists[] = {"",	    "x\n", "-1\n", "3-1\n", "0-99999999\n",
					    "0-\n", "9\n"};

	for (size_t i = 0; i < sizeof(lists) / sizeof(*lists); i++) {
		struct rig r;

		put(NODE "online", lists[i]);
		ck_assert_int_lt(open_dir(&r), 0);
		ck_assert_str_ne(r.report.reason, "");
		rig_close(&r);
	}
}
END_TEST

START_TEST(a_host_without_nodes_has_no_such_source)
{
	struct rig r;

	ck_assert_int_eq(open_dir(&r), -ENOENT);
	ck_assert_ptr_nonnull(strstr(r.report.reason, "node/online"));
	rig_close(&r);
}
END_TEST

int main(void)
{
	TCase *t = tcase_create("numa");

	tcase_add_checked_fixture(t, make_dir, remove_dir);
	tcase_add_test(t, values_of_a_real_host);
	tcase_add_test(t, each_node_is_an_instance_also_where_numbers_are_missing);
	tcase_add_test(t, a_node_with_garbage_leaves_the_others_good);
	tcase_add_test(t, another_list_of_nodes_asks_for_a_new_open);
	tcase_add_test(t, an_oversized_file_is_refused_not_cut);
	tcase_add_test(t, a_list_that_is_none_is_an_error);
	tcase_add_test(t, a_host_without_nodes_has_no_such_source);
	return support_run_case("numa", t);
}
