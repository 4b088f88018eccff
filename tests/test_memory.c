#include "base/keyed.h"
#include "support.h"

extern const struct collector collector_memory;

#define MEMINFO                                                                                    \
	"MemTotal:       1000 kB\nMemFree:         600 kB\nMemAvailable:    800 kB\n"              \
	"Active:           70 kB\nActive(anon):     30 kB\nDirty:             4 kB\n"              \
	"HugePages_Total:   5\nNewKind:  1 kB\n"
#define VMSTAT                                                                                     \
	"nr_free_pages 9\nallocstall_dma 1\nallocstall_normal 20\nallocstall_movable 300\n"        \
	"pgfault 12345\npgmajfault 67\noom_kill 2\nnr_dirty_threshold 88\npgfaultx 1\n"

static char dir[64];
static struct rig rig;

static void start(void)
{
	support_dir(dir);
	support_put(dir, "proc/meminfo", MEMINFO);
	support_put(dir, "proc/vmstat", VMSTAT);
	ck_assert_int_eq(rig_open_dir(&rig, &collector_memory, dir), 0);
	ck_assert_int_eq(rig_sample(&rig), 0);
}

static void stop(void)
{
	rig_close(&rig);
	support_rm(dir);
}

START_TEST(reads_a_real_host)
{
	support_host(&rig.host, "host-a");
	ck_assert_int_eq(rig_open(&rig, &collector_memory), 0);
	ck_assert_int_eq(rig_sample(&rig), 0);
	ck_assert_int_eq(rig_value(&rig, "mem.physmem", ""), 24684084);
	for (unsigned g = 0; g < rig.c->n_groups; g++)
		for (uint32_t m = 0; m < rig.c->groups[g].n_metrics; m++) {
			const char *name = rig.c->groups[g].metrics[m].name;

			if (strcmp(name, "mem.util.corrupthardware") != 0)
				ck_assert_msg(rig.batches[g].rows[m] >= 0, "%s", name);
		}
	rig_close(&rig);
}
END_TEST

START_TEST(every_key_lands_in_its_metric)
{
	start();
	for (int pass = 0; pass < 3; pass++) {
		ck_assert_int_eq(rig_value(&rig, "mem.physmem", ""), 1000);
		ck_assert_int_eq(rig_value(&rig, "mem.util.free", ""), 600);
		ck_assert_int_eq(rig_value(&rig, "mem.util.available", ""), 800);
		ck_assert_int_eq(rig_value(&rig, "mem.util.active", ""), 70);
		ck_assert_int_eq(rig_value(&rig, "mem.util.active_anon", ""), 30);
		ck_assert_int_eq(rig_value(&rig, "mem.util.dirty", ""), 4);
		ck_assert_int_eq(rig_value(&rig, "mem.util.hugepagesTotal", ""), 5);
		ck_assert_int_eq(rig_value(&rig, "mem.vmstat.pgfault", ""), 12345);
		ck_assert_int_eq(rig_value(&rig, "mem.vmstat.pgmajfault", ""), 67);
		ck_assert_int_eq(rig_value(&rig, "mem.vmstat.oom_kill", ""), 2);
		ck_assert_int_eq(rig_value(&rig, "mem.vmstat.nr_dirty_threshold", ""), 88);
		ck_assert_int_eq(rig_sample(&rig), 0);
	}
	stop();
}
END_TEST

START_TEST(stalls_of_all_zones_are_added_up_each_pass)
{
	start();
	ck_assert_int_eq(rig_value(&rig, "mem.vmstat.allocstall", ""), 321);
	rig_sample(&rig);
	ck_assert_int_eq(rig_value(&rig, "mem.vmstat.allocstall", ""), 321);
	stop();
}
END_TEST

START_TEST(missing_keys_are_absent)
{
	start();
	ck_assert_int_eq(rig_value(&rig, "mem.util.swapFree", ""), VALUE_ABSENT);
	ck_assert_int_eq(rig_value(&rig, "mem.vmstat.pswpin", ""), VALUE_ABSENT);
	stop();
}
END_TEST

START_TEST(lines_that_move_come_or_go_are_found_again)
{
	start();
	support_put(dir, "proc/vmstat",
		    "pgmajfault 68\nbrand_new 7\npswpin 3\npgfault 12346\noom_kill 2\n");
	rig_sample(&rig);
	ck_assert_int_eq(rig_value(&rig, "mem.vmstat.pgfault", ""), 12346);
	ck_assert_int_eq(rig_value(&rig, "mem.vmstat.pgmajfault", ""), 68);
	ck_assert_int_eq(rig_value(&rig, "mem.vmstat.pswpin", ""), 3);
	ck_assert_int_eq(rig_value(&rig, "mem.vmstat.allocstall", ""), VALUE_ABSENT);
	support_put(dir, "proc/vmstat", VMSTAT);
	rig_sample(&rig);
	ck_assert_int_eq(rig_value(&rig, "mem.vmstat.pgfault", ""), 12345);
	ck_assert_int_eq(rig_value(&rig, "mem.vmstat.allocstall", ""), 321);
	ck_assert_int_eq(rig_value(&rig, "mem.vmstat.pswpin", ""), VALUE_ABSENT);
	stop();
}
END_TEST

START_TEST(a_cut_number_is_absent_and_heals)
{
	start();
	support_put(dir, "proc/vmstat", "nr_free_pages 9\nallocstall_dma 1\npgfault 123");
	rig_sample(&rig);
	ck_assert_int_eq(rig_value(&rig, "mem.vmstat.pgfault", ""), VALUE_ABSENT);
	ck_assert_int_eq(rig_value(&rig, "mem.vmstat.allocstall", ""), 1);
	support_put(dir, "proc/vmstat", VMSTAT);
	rig_sample(&rig);
	ck_assert_int_eq(rig_value(&rig, "mem.vmstat.pgfault", ""), 12345);
	ck_assert_int_eq(rig_value(&rig, "mem.vmstat.oom_kill", ""), 2);
	stop();
}
END_TEST

START_TEST(survives_truncation_and_garbage)
{
	static char huge[8192];

	start();
	rig_torture(&rig, dir, "proc/meminfo", MEMINFO, 1000);
	rig_torture(&rig, dir, "proc/vmstat", VMSTAT, 1000);
	memset(huge, '\n', 4000);
	support_write(dir, "proc/vmstat", huge, 4000);
	ck_assert_int_eq(rig_sample(&rig), -EBADMSG);
	ck_assert_ptr_nonnull(strstr(rig.report.reason, "vmstat"));
	memset(huge, 'x', sizeof(huge));
	support_write(dir, "proc/vmstat", huge, sizeof(huge));
	ck_assert_int_eq(rig_sample(&rig), -EFBIG);
	stop();
}
END_TEST

START_TEST(keyed_skips_more_lines_than_it_can_count)
{
	static const struct keyed_field field[] = {{"a ", 0}, {"b ", 1}};
	struct keyed k;
	int64_t row[2] = {0};
	size_t len = 200000;
	char *text = malloc(len + 16);

	memset(text, '\n', len);
	strcpy(text + len, "b 5\n");
	memcpy(text, "a 4\n", 4);
	keyed_init(&k, field, 2, 2);
	for (int pass = 0; pass < 2; pass++) {
		ck_assert_uint_eq(keyed_parse(&k, text, len + 4, row), 1);
		ck_assert_int_eq(row[0], 4);
		ck_assert_int_eq(row[1], VALUE_ABSENT);
	}
	free(text);
}
END_TEST

int main(void)
{
	const TTest *const tests[] = {
		reads_a_real_host,
		every_key_lands_in_its_metric,
		stalls_of_all_zones_are_added_up_each_pass,
		missing_keys_are_absent,
		lines_that_move_come_or_go_are_found_again,
		a_cut_number_is_absent_and_heals,
		survives_truncation_and_garbage,
		keyed_skips_more_lines_than_it_can_count,
	};

	return support_run("memory", tests, sizeof(tests) / sizeof(tests[0]));
}
