#include "support.h"

extern const struct collector collector_disk;

#define REST " 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17\n"
#define ZERO " 0 0 0 0 0 0 0 0 0 0 0 0 0 0 0 0 0\n"
#define VDA "   8       0 vda" REST
#define VDA1 "   8       1 vda1" REST

static char dir[64];
static struct rig rig;

static void put_stats(const char *text)
{
	support_put(dir, "proc/diskstats", text);
}

/* Sizes in Kbyte: "vda 1000 loop0 5", as /proc/partitions has them. */
static void put_sizes(const char *list)
{
	char text[512] = "major minor  #blocks  name\n\n", name[32];
	long kbytes;
	int n;

	for (; sscanf(list, "%31s %ld%n", name, &kbytes, &n) == 2; list += n)
		snprintf(text + strlen(text), sizeof(text) - strlen(text),
			 "   8        0 %10ld %s\n", kbytes, name);
	support_put(dir, "proc/partitions", text);
}

static void put_block(const char *name)
{
	char path[128];

	snprintf(path, sizeof(path), "sys/block/%s/size", name);
	support_put(dir, path, "0\n");
}

static void start(const char *stats, const char *sizes)
{
	support_dir(dir);
	put_stats(stats);
	put_sizes(sizes);
	put_block("vda");
	put_block("loop0");
	put_block("loop1");
	put_block("cciss!c0d0");
	ck_assert_int_eq(rig_open_dir(&rig, &collector_disk, dir), 0);
	ck_assert_int_eq(rig_sample(&rig), 0);
}

static void stop(void)
{
	rig_close(&rig);
	support_rm(dir);
}

static unsigned live(void)
{
	return rig.batches[0].n_live;
}

START_TEST(reads_a_real_host)
{
	support_host(&rig.host, "host-a");
	ck_assert_int_eq(rig_open(&rig, &collector_disk), 0);
	ck_assert_int_eq(rig_sample(&rig), 0);
	ck_assert_uint_eq(live(), 1);
	ck_assert_int_gt(rig_value(&rig, "disk.dev.read_bytes", "vda"), 0);
	ck_assert_int_eq(rig_value(&rig, "disk.dev.capacity", "vda"), 268435456);
	rig_close(&rig);
}
END_TEST

START_TEST(every_field_lands_in_its_metric)
{
	static const char *const name[] = {"read",
					   "read_merge",
					   "read_bytes",
					   "read_rawactive",
					   "write",
					   "write_merge",
					   "write_bytes",
					   "write_rawactive",
					   "inflight",
					   "avactive",
					   "aveq",
					   "discard",
					   "discard_merge",
					   "discard_bytes",
					   "discard_rawactive",
					   "flush",
					   "flush_rawactive"};
	char metric[64];

	start(VDA, "vda 1000");
	for (int i = 0; i < 17; i++) {
		snprintf(metric, sizeof(metric), "disk.dev.%s", name[i]);
		ck_assert_int_eq(rig_value(&rig, metric, "vda"), i + 1);
	}
	ck_assert_int_eq(rig_value(&rig, "disk.dev.capacity", "vda"), 1000);
	stop();
}
END_TEST

START_TEST(fields_of_later_kernels_are_absent)
{
	start("   8       0 vda 1 2 3 4 5 6 7 8 9 10 11\n", "vda 1000");
	ck_assert_int_eq(rig_value(&rig, "disk.dev.aveq", "vda"), 11);
	ck_assert_int_eq(rig_value(&rig, "disk.dev.discard", "vda"), VALUE_ABSENT);
	ck_assert_int_eq(rig_value(&rig, "disk.dev.flush", "vda"), VALUE_ABSENT);
	stop();
}
END_TEST

START_TEST(partitions_and_ram_disks_are_no_instances)
{
	start("   1       0 ram0" REST VDA VDA1 " 104       0 cciss/c0d0" REST,
	      "ram0 64 vda 1000 vda1 900 cciss/c0d0 7");
	ck_assert_uint_eq(live(), 2);
	ck_assert_int_eq(rig_value(&rig, "disk.dev.read", "cciss/c0d0"), 1);
	stop();
}
END_TEST

START_TEST(partitions_are_known_by_name_without_sysfs)
{
	support_dir(dir);
	put_stats(VDA VDA1 " 259 0 nvme0n1" REST " 259 1 nvme0n1p2" REST " 9 0 md0" REST);
	put_sizes("vda 10 vda1 10 nvme0n1 10 nvme0n1p2 10 md0 10");
	char proc[128];

	snprintf(proc, sizeof(proc), "%s/proc", dir);
	rig = (struct rig){0};
	ck_assert_int_eq(host_open(&rig.host, proc, dir, NULL), 0);
	close(rig.host.fd[ROOT_SYS]);
	rig.host.fd[ROOT_SYS] = -1;
	ck_assert_int_eq(rig_open(&rig, &collector_disk), 0);
	ck_assert_int_eq(rig_sample(&rig), 0);
	ck_assert_uint_eq(live(), 3);
	ck_assert_int_eq(rig_value(&rig, "disk.dev.read", "nvme0n1"), 1);
	ck_assert_int_eq(rig_value(&rig, "disk.dev.read", "md0"), 1);
	stop();
}
END_TEST

START_TEST(a_loop_device_is_an_instance_while_it_is_set_up)
{
	start("   7       0 loop0" ZERO "   7       1 loop1" REST VDA, "vda 1000");
	ck_assert_uint_eq(live(), 1);
	put_sizes("loop0 64 vda 1000");
	put_stats("   7       0 loop0 1 0 8 0 0 0 0 0 0 0 0 0 0 0 0 0 0\n   7       1 loop1" REST
			  VDA);
	batch_begin(&rig.batches[0], ++rig.tick); /* the slow group is not due in this tick */
	ck_assert_int_eq(rig.c->sample(rig.state, 0, &rig.batches[0], &rig.report), 0);
	batch_finish(&rig.batches[0]);
	batch_commit(&rig.batches[0]);
	ck_assert_uint_eq(live(), 2);
	ck_assert_int_eq(rig_value(&rig, "disk.dev.read_bytes", "loop0"), 8);
	put_sizes("vda 1000"); /* taken down: its counters stay as they were */
	rig_sample(&rig);
	rig_sample(&rig);
	ck_assert_uint_eq(live(), 1);
	ck_assert_uint_eq(rig.batches[1].n_live, 1);
	stop();
}
END_TEST

START_TEST(disks_come_and_go)
{
	start(VDA VDA1, "vda 1000 vda1 900");
	put_block("sda");
	put_stats("   8       0 sda 9 0 0 0 0 0 0 0 0 0 0 0 0 0 0 0 0\n" VDA VDA1);
	put_sizes("sda 50 vda 1000 vda1 900");
	rig_sample(&rig);
	ck_assert_uint_eq(live(), 2);
	ck_assert_int_eq(rig_value(&rig, "disk.dev.read", "sda"), 9);
	ck_assert_int_eq(rig_value(&rig, "disk.dev.read", "vda"), 1);
	ck_assert_int_eq(rig_value(&rig, "disk.dev.capacity", "sda"), 50);
	put_stats(VDA VDA1);
	put_sizes("vda 1000 vda1 900");
	rig_sample(&rig);
	ck_assert_uint_eq(live(), 1);
	put_stats("");
	ck_assert_int_eq(rig_sample(&rig), 0);
	ck_assert_uint_eq(live(), 0);
	stop();
}
END_TEST

START_TEST(attributes_are_read_when_a_disk_appears)
{
	support_dir(dir);
	put_stats(VDA);
	put_sizes("vda 1000");
	put_block("vda");
	support_put(dir, "sys/block/vda/device/model", "Fast Disk 9000  \n");
	support_put(dir, "sys/block/vda/queue/rotational", "0\n");
	ck_assert_int_eq(rig_open_dir(&rig, &collector_disk, dir), 0);
	rig_sample(&rig);
	ck_assert_str_eq(rig.batches[1].attrs[0], "Fast Disk 9000");
	ck_assert_str_eq(rig.batches[1].attrs[1], "");
	ck_assert_str_eq(rig.batches[1].attrs[2], "0");
	stop();
}
END_TEST

START_TEST(no_sizes_hides_only_what_never_moved)
{
	support_dir(dir);
	put_stats("   7       0 loop0" ZERO VDA);
	put_block("vda");
	put_block("loop0");
	ck_assert_int_eq(rig_open_dir(&rig, &collector_disk, dir), 0);
	ck_assert_int_eq(rig_sample(&rig), 0);
	ck_assert_uint_eq(live(), 1);
	ck_assert_int_eq(rig_value(&rig, "disk.dev.capacity", "vda"), VALUE_ABSENT);
	stop();
}
END_TEST

START_TEST(survives_truncation_and_garbage)
{
	static char many[256 << 10];
	size_t len = 0;

	start("   7       0 loop0" ZERO VDA VDA1, "vda 1000");
	rig_torture(&rig, dir, "proc/diskstats", "   7       0 loop0" ZERO VDA VDA1, 1000);
	rig_torture(&rig, dir, "proc/partitions", "major minor  #blocks  name\n\n 8 0 1000 vda\n",
		    1000);
	stop();
	for (int i = 0; len < sizeof(many) - 64; i++)
		len += (size_t)sprintf(many + len, "8 0 vda%d 1 2 3 4 5 6 7 8 9 10 11\n", i);
	start(many, "vda 1000"); /* more devices than there are entries */
	rig_sample(&rig);
	memset(many, 'x', sizeof(many));
	support_write(dir, "proc/diskstats", many, sizeof(many));
	ck_assert_int_eq(rig_sample(&rig), -EBADMSG);
	support_write(dir, "proc/diskstats", "8 0 vda 1 2 3 4 5 6 7 8 9 10 1", 31);
	ck_assert_int_eq(rig_sample(&rig), -EBADMSG);
	stop();
}
END_TEST

int main(void)
{
	const TTest *const tests[] = {
		reads_a_real_host,
		every_field_lands_in_its_metric,
		fields_of_later_kernels_are_absent,
		partitions_and_ram_disks_are_no_instances,
		partitions_are_known_by_name_without_sysfs,
		a_loop_device_is_an_instance_while_it_is_set_up,
		disks_come_and_go,
		attributes_are_read_when_a_disk_appears,
		no_sizes_hides_only_what_never_moved,
		survives_truncation_and_garbage,
	};

	return support_run("disk", tests, sizeof(tests) / sizeof(tests[0]));
}
