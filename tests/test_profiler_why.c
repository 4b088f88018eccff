/* What is said where profiling is not permitted: each of the reasons, by what /proc and /sys say of this process. And for
 * how many CPUs there is room, and how a tick is set by cycles. */
#include "support.h"

#include "profile/profiler_private.h"

#include <errno.h>

static char dir[64];
static char said[256];

static void put(const char *caps, int seccomp, const char *uid_map, const char *lockdown,
		int paranoid)
{
	char text[256];

	snprintf(text, sizeof(text), "Name:\tstrobe\nCapEff:\t%s\nSeccomp:\t%d\n", caps, seccomp);
	support_put(dir, "proc/self/status", text);
	support_put(dir, "proc/self/uid_map", uid_map);
	support_put(dir, "sys/kernel/security/lockdown", lockdown);
	snprintf(text, sizeof(text), "%d\n", paranoid);
	support_put(dir, "proc/sys/kernel/perf_event_paranoid", text);
}

static const char *why(int err, bool own)
{
	char proc[80], sys[80];
	struct host host;

	snprintf(proc, sizeof(proc), "%s/proc", dir);
	snprintf(sys, sizeof(sys), "%s/sys", dir);
	ck_assert_int_eq(host_open(&host, proc, sys, NULL), 0);
	profiler_explain(&host, own, err, "profiling", said, sizeof(said));
	host_close(&host);
	ck_assert_uint_lt(strlen(said), sizeof(said) - 1);
	return said;
}

#define SAYS(err, own, words) ck_assert_msg(strstr(why(err, own), words), "%s", said)

static const char none[] = "0000000000000000", all[] = "000001ffffffffff",
		  host_ids[] = "0 0 4294967295\n",
		  free_lock[] = "[none] integrity confidentiality\n";

START_TEST(a_user_is_told_the_capability_and_the_setting)
{
	put(none, 0, host_ids, free_lock, 4); /* no perf_event_open at all for users */
	SAYS(-EACCES, false, "needs CAP_PERFMON, or sysctl kernel.perf_event_paranoid=0 (it is 4)");
	SAYS(-EACCES, true, "kernel.perf_event_paranoid=2 (it is 4)");
	SAYS(-EPERM, true, "kernel.perf_event_paranoid=2 (it is 4)");
	put(none, 0, host_ids, free_lock, 2);
	SAYS(-EACCES, false, "kernel.perf_event_paranoid=0 (it is 2)");
}
END_TEST

START_TEST(a_filter_of_a_container_is_told)
{
	put(none, 2, host_ids, free_lock, 2); /* docker */
	SAYS(-EPERM, false, "--cap-add PERFMON");
	SAYS(-EPERM, false, "SystemCallFilter=perf_event_open");
	SAYS(-ENOSYS, false, "seccomp");		     /* others answer so */
	SAYS(-EACCES, false, "kernel.perf_event_paranoid="); /* the kernel itself said that */
	put(none, 0, host_ids, free_lock, 2);
	SAYS(-ENOSYS, false, "CONFIG_PERF_EVENTS");
	ck_assert_ptr_null(strstr(said, "seccomp"));
}
END_TEST

START_TEST(lockdown_is_told)
{
	put(all, 0, host_ids, "none integrity [confidentiality]\n", 1);
	SAYS(-EPERM, false, "lockdown=integrity");
	put(all, 0, host_ids, "none [integrity] confidentiality\n", 1);
	why(-EPERM, false);
	ck_assert_ptr_null(strstr(said, "lockdown"));
}
END_TEST

START_TEST(a_capability_that_does_not_count_is_told)
{
	put(all, 0, "0 100000 65536\n", free_lock, 3);
	SAYS(-EACCES, false, "user namespace");
	SAYS(-EACCES, false, "kernel.perf_event_paranoid=0 there (it is 3)");
	put(all, 0, host_ids, free_lock, 1);
	SAYS(-EACCES, false, "security module");
	put("0000004000000000", 0, host_ids, free_lock, 1); /* CAP_PERFMON alone */
	SAYS(-EACCES, false, "although CAP_PERFMON is there");
}
END_TEST

START_TEST(other_errors_and_missing_files_are_told)
{
	put(none, 0, host_ids, free_lock, 2);
	SAYS(-ENOENT, false, "profiling: perf_event_open: No such file");
	SAYS(-EMFILE, false, "Too many open files");
	support_rm(dir);
	support_dir(dir);
	support_put(dir, "proc/x", "");
	support_put(dir, "sys/x", "");
	SAYS(-EACCES, false, "needs CAP_PERFMON");
}
END_TEST

START_TEST(cpus_that_may_come_have_room)
{
	static const struct {
		const char *possible;
		uint32_t configured, want;
	} hosts[] = {{"0-1\n", 2, 2},	   {"0-239\n", 4, 240},
		     {"0\n", 1, 1},	   {"0-8191\n", 2, PROFILER_CPUS_MAX},
		     {"nonsense\n", 3, 3}, {"0-1\n", 4, 4}};
	char proc[80], sys[80];
	struct host host;

	snprintf(proc, sizeof(proc), "%s/proc", dir);
	snprintf(sys, sizeof(sys), "%s/sys", dir);
	support_put(dir, "proc/x", "");
	for (size_t i = 0; i < sizeof(hosts) / sizeof(*hosts); i++) {
		support_put(dir, "sys/devices/system/cpu/possible", hosts[i].possible);
		ck_assert_int_eq(host_open(&host, proc, sys, NULL), 0);
		host.n_cpus = hosts[i].configured;
		ck_assert_uint_eq(profiler_cpus_possible(&host), hosts[i].want);
		host_close(&host);
	}
}
END_TEST

static void setup(void)
{
	support_dir(dir);
}

static void teardown(void)
{
	support_rm(dir);
}

START_TEST(a_tick_is_so_many_reference_cycles)
{
	static struct perf_event_mmap_page page = {
		.cap_user_time = 1, .time_mult = 0x10000000 / 3, .time_shift = 28};
	static struct profiler p = {.event_type = PERF_TYPE_HARDWARE,
				    .event_config = PERF_COUNT_HW_REF_CPU_CYCLES,
				    .hz = 99};
	struct perf_event_attr attr;

	p.cycles_hz = profiler_tick_cycles_hz(&page); /* three a nanosecond */
	ck_assert_uint_ge(p.cycles_hz, 2999999999);
	ck_assert_uint_le(p.cycles_hz, 3000000100);
	profiler_attr_tick(&p, &attr);
	ck_assert_uint_eq(attr.freq,
			  0); /* the kernel must not make a sample less time than it is */
	ck_assert_uint_eq(attr.sample_period, p.cycles_hz / 99);
	p.event_type = PERF_TYPE_SOFTWARE;
	profiler_attr_tick(&p, &attr);
	ck_assert_uint_eq(attr.sample_period, 1000000000 / 99);
	page.cap_user_time = 0;
	ck_assert_uint_eq(profiler_tick_cycles_hz(&page), 0);
	page = (struct perf_event_mmap_page){.cap_user_time = 1, .time_shift = 40, .time_mult = 1};
	ck_assert_uint_eq(profiler_tick_cycles_hz(&page), 0);
}
END_TEST

int main(void)
{
	TCase *t = tcase_create("why");

	tcase_set_timeout(t, 60);
	tcase_add_checked_fixture(t, setup, teardown);
	tcase_add_test(t, a_user_is_told_the_capability_and_the_setting);
	tcase_add_test(t, a_filter_of_a_container_is_told);
	tcase_add_test(t, lockdown_is_told);
	tcase_add_test(t, a_capability_that_does_not_count_is_told);
	tcase_add_test(t, other_errors_and_missing_files_are_told);
	tcase_add_test(t, cpus_that_may_come_have_room);
	tcase_add_test(t, a_tick_is_so_many_reference_cycles);
	return support_run_case("profiler_why", t);
}
