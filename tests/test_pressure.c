#include "support.h"

extern const struct collector collector_pressure;

#define CPU                                                                                        \
	"some avg10=1.50 avg60=0.25 avg300=100.00 total=123456789012\n"                            \
	"full avg10=0.00 avg60=0.00 avg300=0.00 total=0\n"
#define IO                                                                                         \
	"some avg10=2.00 avg60=0.10 avg300=0.01 total=55\nfull avg10=1.00 avg60=0.00 avg300=0.00 " \
	"total=44\n"
#define IRQ "full avg10=0.07 avg60=0.00 avg300=0.00 total=77\n"

static char dir[64];
static struct rig rig;

static void start(void)
{
	support_dir(dir);
	support_put(dir, "proc/pressure/cpu", CPU);
	support_put(dir, "proc/pressure/memory",
		    "some avg10=0.00 avg60=0.00 avg300=0.00 total=9\n");
	support_put(dir, "proc/pressure/io", IO);
	support_put(dir, "proc/pressure/irq", IRQ);
	ck_assert_int_eq(rig_open_dir(&rig, &collector_pressure, dir), 0);
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
	ck_assert_int_eq(rig_open(&rig, &collector_pressure), 0);
	ck_assert_int_eq(rig_sample(&rig), 0);
	ck_assert_int_gt(rig_value(&rig, "kernel.all.pressure.io.full.total", ""), 0);
	ck_assert_int_eq(rig_value(&rig, "kernel.all.pressure.irq.full.total", ""), VALUE_ABSENT);
	ck_assert_uint_eq(rig.batches[1].n_live, 3);
	rig_close(&rig);
}
END_TEST

START_TEST(every_value_lands_in_its_metric)
{
	start();
	ck_assert_int_eq(rig_value(&rig, "kernel.all.pressure.cpu.some.total", ""), 123456789012);
	ck_assert_int_eq(rig_value(&rig, "kernel.all.pressure.cpu.full.total", ""), 0);
	ck_assert_int_eq(rig_value(&rig, "kernel.all.pressure.memory.some.total", ""), 9);
	ck_assert_int_eq(rig_value(&rig, "kernel.all.pressure.memory.full.total", ""),
			 VALUE_ABSENT);
	ck_assert_int_eq(rig_value(&rig, "kernel.all.pressure.io.some.total", ""), 55);
	ck_assert_int_eq(rig_value(&rig, "kernel.all.pressure.io.full.total", ""), 44);
	ck_assert_int_eq(rig_value(&rig, "kernel.all.pressure.irq.full.total", ""), 77);
	ck_assert_int_eq(rig_value(&rig, "kernel.all.pressure.cpu.some.avg", "10 second"), 150);
	ck_assert_int_eq(rig_value(&rig, "kernel.all.pressure.cpu.some.avg", "1 minute"), 25);
	ck_assert_int_eq(rig_value(&rig, "kernel.all.pressure.cpu.some.avg", "5 minute"), 10000);
	ck_assert_int_eq(rig_value(&rig, "kernel.all.pressure.io.full.avg", "10 second"), 100);
	ck_assert_int_eq(rig_value(&rig, "kernel.all.pressure.irq.full.avg", "10 second"), 7);
	stop();
}
END_TEST

START_TEST(one_bad_source_leaves_the_rest)
{
	start();
	support_put(dir, "proc/pressure/io", "rubbish\n");
	ck_assert_int_eq(rig_sample(&rig), 1);
	ck_assert_ptr_nonnull(strstr(rig.report.reason, "pressure/io"));
	ck_assert_int_eq(rig_value(&rig, "kernel.all.pressure.io.some.total", ""), VALUE_ABSENT);
	ck_assert_int_eq(rig_value(&rig, "kernel.all.pressure.irq.full.total", ""), 77);
	stop();
}
END_TEST

START_TEST(survives_truncation_and_garbage)
{
	static char huge[1 << 16];

	start();
	rig_torture(&rig, dir, "proc/pressure/cpu", CPU, 1000);
	rig_torture(&rig, dir, "proc/pressure/io", IO, 1000);
	rig_torture(&rig, dir, "proc/pressure/irq", IRQ, 1000);
	memset(huge, '9', sizeof(huge));
	support_write(dir, "proc/pressure/cpu", huge, sizeof(huge));
	ck_assert_int_eq(rig_sample(&rig), 1);
	stop();
}
END_TEST

START_TEST(says_how_to_switch_it_on)
{
	support_dir(dir);
	ck_assert_int_eq(rig_open_dir(&rig, &collector_pressure, dir), -ENOENT);
	ck_assert_ptr_nonnull(strstr(rig.report.reason, "psi=1"));
	stop();
}
END_TEST

int main(void)
{
	const TTest *const tests[] = {
		reads_a_real_host,
		every_value_lands_in_its_metric,
		one_bad_source_leaves_the_rest,
		survives_truncation_and_garbage,
		says_how_to_switch_it_on,
	};

	return support_run("pressure", tests, sizeof(tests) / sizeof(tests[0]));
}
