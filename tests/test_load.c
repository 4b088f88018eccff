/* The collectors load and files: one short line each. */
#include "support.h"

extern const struct collector collector_load, collector_files;

static char dir[64];
static struct rig rig;

static void stop(void)
{
	rig_close(&rig);
	support_rm(dir);
}

START_TEST(load_reads_every_field)
{
	support_dir(dir);
	support_put(dir, "proc/loadavg", "0.24 10.07 123.99 2/104 7897\n");
	ck_assert_int_eq(rig_open_dir(&rig, &collector_load, dir), 0);
	ck_assert_int_eq(rig_sample(&rig), 0);
	ck_assert_int_eq(rig_value(&rig, "kernel.all.load", "1 minute"), 24);
	ck_assert_int_eq(rig_value(&rig, "kernel.all.load", "5 minute"), 1007);
	ck_assert_int_eq(rig_value(&rig, "kernel.all.load", "15 minute"), 12399);
	ck_assert_int_eq(rig_value(&rig, "kernel.all.runnable", ""), 2);
	ck_assert_int_eq(rig_value(&rig, "kernel.all.nprocs", ""), 104);
	ck_assert_int_eq(rig_value(&rig, "kernel.all.lastpid", ""), 7897);
	stop();
}
END_TEST

START_TEST(load_survives_truncation_and_garbage)
{
	const char *text = "0.24 10.07 123.99 2/104 7897\n";
	static char huge[1 << 15];

	support_dir(dir);
	support_put(dir, "proc/loadavg", text);
	ck_assert_int_eq(rig_open_dir(&rig, &collector_load, dir), 0);
	rig_torture(&rig, dir, "proc/loadavg", text, 2000);
	support_put(dir, "proc/loadavg", "0.24 10.07 123.99 2/104 78");
	ck_assert_int_eq(rig_sample(&rig), -EBADMSG);
	memset(huge, '1', sizeof(huge));
	support_write(dir, "proc/loadavg", huge, sizeof(huge));
	ck_assert_int_eq(rig_sample(&rig), -EFBIG);
	stop();
}
END_TEST

static void start_files(void)
{
	support_dir(dir);
	support_put(dir, "proc/sys/fs/file-nr", "1248\t3\t9223372036854775807\n");
	support_put(dir, "proc/sys/fs/inode-nr", "53662\t12\n");
	ck_assert_int_eq(rig_open_dir(&rig, &collector_files, dir), 0);
	ck_assert_int_eq(rig_sample(&rig), 0);
}

START_TEST(files_reads_every_field)
{
	start_files();
	ck_assert_int_eq(rig_value(&rig, "vfs.files.count", ""), 1248);
	ck_assert_int_eq(rig_value(&rig, "vfs.files.free", ""), 3);
	ck_assert_int_eq(rig_value(&rig, "vfs.files.max", ""), INT64_MAX);
	ck_assert_int_eq(rig_value(&rig, "vfs.inodes.count", ""), 53662);
	ck_assert_int_eq(rig_value(&rig, "vfs.inodes.free", ""), 12);
	stop();
}
END_TEST

START_TEST(files_survives_truncation_and_garbage)
{
	start_files();
	rig_torture(&rig, dir, "proc/sys/fs/file-nr", "1248\t3\t9223372036854775807\n", 1000);
	support_put(dir, "proc/sys/fs/file-nr", "12");
	ck_assert_int_eq(rig_sample(&rig), 1);
	ck_assert_ptr_nonnull(strstr(rig.report.reason, "file-nr"));
	ck_assert_int_eq(rig_value(&rig, "vfs.files.count", ""), VALUE_ABSENT);
	ck_assert_int_eq(rig_value(&rig, "vfs.inodes.count", ""), 53662);
	support_put(dir, "proc/sys/fs/inode-nr", "x\n");
	ck_assert_int_eq(rig_sample(&rig), -EBADMSG);
	stop();
}
END_TEST

START_TEST(both_read_a_real_host)
{
	const struct collector *const c[] = {&collector_load, &collector_files};

	for (int i = 0; i < 2; i++) {
		rig = (struct rig){0};
		support_host(&rig.host, "host-a");
		ck_assert_int_eq(rig_open(&rig, c[i]), 0);
		ck_assert_int_eq(rig_sample(&rig), 0);
		rig_close(&rig);
	}
}
END_TEST

int main(void)
{
	const TTest *const tests[] = {
		load_reads_every_field,	 load_survives_truncation_and_garbage,
		files_reads_every_field, files_survives_truncation_and_garbage,
		both_read_a_real_host,
	};

	return support_run("load, files", tests, sizeof(tests) / sizeof(tests[0]));
}
