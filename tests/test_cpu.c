#include "support.h"

extern const struct collector collector_cpu;

#define STAT                                                                                       \
	"cpu  100 2 30 4000 50 6 7 8 9 1\n"                                                        \
	"cpu0 60 1 20 2000 30 3 4 4 5 1\n"                                                         \
	"cpu3 40 1 10 2000 20 3 3 4 4 0\n"                                                         \
	"intr 12345 0 1 2 3\n"                                                                     \
	"ctxt 67890\nbtime 1\nprocesses 777\nprocs_running 3\nprocs_blocked 2\nsoftirq 1 2 3\n"

static char dir[64];
static struct rig rig;

static void put(const char *text)
{
	support_put(dir, "proc/stat", text);
}

static int open_on(const char *text)
{
	support_dir(dir);
	put(text);
	return rig_open_dir(&rig, &collector_cpu, dir);
}

static void close_rig(void)
{
	rig_close(&rig);
	support_rm(dir);
}

START_TEST(reads_a_real_host)
{
	support_host(&rig.host, "host-a");
	ck_assert_int_eq(rig_open(&rig, &collector_cpu), 0);
	ck_assert_int_eq(rig_sample(&rig), 0);
	ck_assert_uint_eq(rig.batches[1].n_live, 2);
	ck_assert_int_eq(rig_value(&rig, "hinv.ncpu", ""), 2);
	ck_assert_int_gt(rig_value(&rig, "kernel.percpu.cpu.idle", "cpu1"), 0);
	ck_assert_int_gt(rig_value(&rig, "kernel.all.pswitch", ""), 0);
	rig_close(&rig);
}
END_TEST

START_TEST(every_field_lands_in_its_metric)
{
	ck_assert_int_eq(open_on(STAT), 0);
	ck_assert_int_eq(rig_sample(&rig), 0);
	ck_assert_int_eq(rig_value(&rig, "kernel.all.cpu.user", ""), 100);
	ck_assert_int_eq(rig_value(&rig, "kernel.all.cpu.nice", ""), 2);
	ck_assert_int_eq(rig_value(&rig, "kernel.all.cpu.sys", ""), 30);
	ck_assert_int_eq(rig_value(&rig, "kernel.all.cpu.idle", ""), 4000);
	ck_assert_int_eq(rig_value(&rig, "kernel.all.cpu.wait.total", ""), 50);
	ck_assert_int_eq(rig_value(&rig, "kernel.all.cpu.irq.hard", ""), 6);
	ck_assert_int_eq(rig_value(&rig, "kernel.all.cpu.irq.soft", ""), 7);
	ck_assert_int_eq(rig_value(&rig, "kernel.all.cpu.steal", ""), 8);
	ck_assert_int_eq(rig_value(&rig, "kernel.all.cpu.guest", ""), 9);
	ck_assert_int_eq(rig_value(&rig, "kernel.all.cpu.guest_nice", ""), 1);
	ck_assert_int_eq(rig_value(&rig, "kernel.percpu.cpu.user", "cpu3"), 40);
	ck_assert_int_eq(rig_value(&rig, "kernel.all.intr", ""), 12345);
	ck_assert_int_eq(rig_value(&rig, "kernel.all.pswitch", ""), 67890);
	ck_assert_int_eq(rig_value(&rig, "kernel.all.sysfork", ""), 777);
	ck_assert_int_eq(rig_value(&rig, "kernel.all.running", ""), 3);
	ck_assert_int_eq(rig_value(&rig, "kernel.all.blocked", ""), 2);
	ck_assert_int_eq(rig_value(&rig, "hinv.ncpu", ""), 2);
	close_rig();
}
END_TEST

START_TEST(missing_fields_are_absent)
{
	ck_assert_int_eq(open_on("cpu  1 2 3 4\ncpu0 1 2 3 4\nctxt 5\n"), 0);
	ck_assert_int_eq(rig_sample(&rig), 0);
	ck_assert_int_eq(rig_value(&rig, "kernel.all.cpu.idle", ""), 4);
	ck_assert_int_eq(rig_value(&rig, "kernel.all.cpu.steal", ""), VALUE_ABSENT);
	ck_assert_int_eq(rig_value(&rig, "kernel.percpu.cpu.wait.total", "cpu0"), VALUE_ABSENT);
	ck_assert_int_eq(rig_value(&rig, "kernel.all.pswitch", ""), 5);
	ck_assert_int_eq(rig_value(&rig, "kernel.all.intr", ""), VALUE_ABSENT);
	close_rig();
}
END_TEST

START_TEST(a_cpu_goes_offline_and_comes_back)
{
	ck_assert_int_eq(open_on(STAT), 0);
	rig_sample(&rig);
	put("cpu  100 2 30 4000 50 6 7 8 9 1\ncpu0 60 1 20 2000 30 3 4 4 5 1\nctxt 9\n");
	ck_assert_int_eq(rig_sample(&rig), 0);
	ck_assert_uint_eq(rig.batches[1].n_live, 1);
	ck_assert_int_eq(rig_value(&rig, "hinv.ncpu", ""), 1);
	put(STAT);
	ck_assert_int_eq(rig_sample(&rig), 0);
	ck_assert_uint_eq(rig.batches[1].n_live, 2);
	ck_assert_uint_eq(rig.batches[1].inst[1].gen, 2);
	close_rig();
}
END_TEST

START_TEST(a_small_fall_of_idle_is_held_a_reset_is_not)
{
	ck_assert_int_eq(
		open_on("cpu  1 0 0 4000 50 0 0 0 0 0\ncpu0 1 0 0 4000 50 0 0 0 0 0\nctxt 1\n"), 0);
	rig_sample(&rig);
	put("cpu  1 0 0 3998 49 0 0 0 0 0\ncpu0 1 0 0 3 49 0 0 0 0 0\nctxt 1\n");
	rig_sample(&rig);
	ck_assert_int_eq(rig_value(&rig, "kernel.all.cpu.idle", ""), 4000);
	ck_assert_int_eq(rig_value(&rig, "kernel.all.cpu.wait.total", ""), 50);
	ck_assert_int_eq(rig_value(&rig, "kernel.percpu.cpu.idle", "cpu0"), 3);
	close_rig();
}
END_TEST

START_TEST(survives_truncation_and_garbage)
{
	ck_assert_int_eq(open_on(STAT), 0);
	rig_torture(&rig, dir, "proc/stat", STAT, 2000);
	put("");
	ck_assert_int_eq(rig_sample(&rig), -EBADMSG);
	ck_assert_str_ne(rig.report.reason, "");
	put("cpu  -1 99999999999999999999999999 x\ncpu1\ncpu2 a b\n");
	ck_assert_int_eq(rig_sample(&rig), -EBADMSG);
	close_rig();
}
END_TEST

START_TEST(a_cut_line_gives_no_value)
{
	ck_assert_int_eq(open_on(STAT), 0);
	rig_sample(&rig);
	put("cpu  100 2 30 4000 50 6 7 8 9 1\ncpu0 60 1 20 2000 30 3 4 4 5 1\ncpu3 9");
	ck_assert_int_eq(rig_sample(&rig), -EBADMSG);
	ck_assert_int_eq(rig_value(&rig, "kernel.percpu.cpu.user", "cpu3"), 40);
	put("cpu  100 2 30 4000 50 6 7 8 9 1\ncpu0 60 1 20 2000 30 3 4 4 5 1\nctxt 5\nprocesses 9");
	ck_assert_int_eq(rig_sample(&rig), 0);
	ck_assert_int_eq(rig_value(&rig, "kernel.all.pswitch", ""), 5);
	ck_assert_int_eq(rig_value(&rig, "kernel.all.sysfork", ""), VALUE_ABSENT);
	close_rig();
}
END_TEST

START_TEST(outgrown_buffer_is_an_error)
{
	static char big[64 << 10];

	ck_assert_int_eq(open_on(STAT), 0);
	memset(big, '7', sizeof(big) - 1);
	put(big);
	ck_assert_int_eq(rig_sample(&rig), -EFBIG);
	close_rig();
}
END_TEST

START_TEST(no_such_file)
{
	support_dir(dir);
	ck_assert_int_eq(rig_open_dir(&rig, &collector_cpu, dir), -ENOENT);
	ck_assert_ptr_nonnull(strstr(rig.report.reason, "stat"));
	close_rig();
}
END_TEST

int main(void)
{
	const TTest *const tests[] = {
		reads_a_real_host,
		every_field_lands_in_its_metric,
		missing_fields_are_absent,
		a_cpu_goes_offline_and_comes_back,
		a_small_fall_of_idle_is_held_a_reset_is_not,
		survives_truncation_and_garbage,
		a_cut_line_gives_no_value,
		outgrown_buffer_is_an_error,
		no_such_file,
	};

	return support_run("cpu", tests, sizeof(tests) / sizeof(tests[0]));
}
