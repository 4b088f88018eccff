/* The profiler where it has few rights, or none. */
#include "profiler_lab.h"

#include "profile/profiler_private.h"

#include <linux/filter.h>
#include <linux/seccomp.h>
#include <stddef.h>
#include <sys/prctl.h>
#include <sys/syscall.h>

/* Not the one of another run of this: that user's processes would be seen. */
static void become_nobody(void)
{
	uid_t id = 60000 + (uid_t)getpid() % 5000;

	if (geteuid() == 0) {
		ck_assert_int_eq(syscall(SYS_setgroups, 0, NULL), 0);
		ck_assert_int_eq(setresgid(id, id, id), 0);
		ck_assert_int_eq(setresuid(id, id, id), 0);
		prctl(PR_SET_DUMPABLE, 1);
	}
}

static int paranoid(void)
{
	FILE *f = fopen("/proc/sys/kernel/perf_event_paranoid", "r");
	int level = 4;

	if (f) {
		if (fscanf(f, "%d", &level) != 1)
			level = 4;
		fclose(f);
	}
	return level;
}

static void check_count(const char *whose, uint32_t n, double want)
{
	ck_assert_msg(n > 0.8 * want - 10 && n < 1.1 * want + 10, "%s: %u samples, not %.0f", whose,
		      n, want);
}

START_TEST(own_processes_without_rights)
{
	struct lab l;
	struct spin spin, older, storm;
	struct profiler_state st;
	uint32_t n = 0, n_older = 0, n_storm = 0, others = 0;
	double before_s;

	become_nobody();
	if (paranoid() < 1 || paranoid() > 2)
		return; /* other tiers */
	spin_start(&older, "shares", "1.5", NULL);
	ck_assert_int_eq(lab_open(&l, 499, false), 0);
	before_s = spin_cpu_s(&older);
	profiler_state(l.p, &st);
	ck_assert_str_eq(st.tier, "own processes");
	ck_assert_ptr_nonnull(strstr(st.reason, "CAP_PERFMON"));
	ck_assert_ptr_nonnull(strstr(st.reason, "perf_event_paranoid"));
	spin_start(&spin, "shares", "0.5", NULL);
	spin_wait(&spin);
	spin_start(&storm, "storm", "100", NULL);
	spin_wait(&storm);
	spin_wait(&older);
	lab_sleep(0.1);
	lab_stop(&l);
	struct stacks *s = lab_stacks(&l);

	for (uint32_t i = 0; i < s->n_samples; i++) {
		const struct stacks_sample *a = &s->samples[i];
		const struct stacks_task *t = &s->tasks[a->task];

		if (spin_task(s, a, spin.pid))
			n++;
		else if (spin_task(s, a, older.pid))
			n_older++;
		else if (spin_in(s, a->node, &storm, "spin_hot"))
			n_storm++;
		/* Before a child of this program has become another one it is this one. */
		others += strcmp(stacks_text(s, t->process), "tool_spin") != 0 &&
			  t->pid != (uint32_t)getpid() && t->pid != (uint32_t)storm.pid &&
			  !spin_task(s, a, spin.pid) && !spin_task(s, a, older.pid);
	}
	/* Nothing is missed and nothing is counted twice. */
	check_count("a child", n, 499 * spin.cpu_s);
	check_count("one that was there before", n_older, 499 * (older.cpu_s - before_s));
	ck_assert_msg(n_storm > 0.3 * 499 * storm.cpu_s,
		      "children of a child: %u samples of %.2f s", n_storm, storm.cpu_s);
	ck_assert_msg(others == 0, "%u samples of others", others);
	stacks_free(s);
	lab_close(&l);
}
END_TEST

/* perf_event_open answers so from now on. */
static void forbid(int err)
{
	struct sock_filter code[] = {
		BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_perf_event_open, 0, 1),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | (unsigned)err),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
	};
	struct sock_fprog prog = {.len = 4, .filter = code};

	ck_assert_int_eq(prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0), 0);
	ck_assert_int_eq(prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &prog), 0);
}

START_TEST(what_forbids_it_is_said)
{
	struct lab l;

	forbid(EPERM);
	ck_assert_int_eq(lab_open(&l, 99, false), -EACCES);
	ck_assert_msg(strstr(l.err, "seccomp"), "%s", l.err);
	forbid(EACCES); /* the filter added last is asked first */
	ck_assert_int_eq(lab_open(&l, 99, false), -EACCES);
	ck_assert_msg(strstr(l.err, "CAP_PERFMON"), "%s", l.err);
}
END_TEST

START_TEST(a_kernel_without_it_is_said)
{
	struct lab l;

	forbid(ENOSYS);
	ck_assert_int_eq(lab_open(&l, 99, false), -ENOSYS);
	ck_assert_msg(strstr(l.err, "CONFIG_PERF_EVENTS"), "%s", l.err);
}
END_TEST

int main(void)
{
	Suite *s = suite_create("profiler_rights");
	TCase *t = tcase_create("host");
	SRunner *r = srunner_create(s);
	struct lab l;
	int failed;

	if (lab_open(&l, 99, false) < 0) {
		printf("%s\n", l.err);
		srunner_free(r);
		return 77;
	}
	lab_stop(&l);
	lab_close(&l);
	tcase_set_timeout(t, 60);
	tcase_add_test(t, own_processes_without_rights);
	tcase_add_test(t, what_forbids_it_is_said);
	tcase_add_test(t, a_kernel_without_it_is_said);
	suite_add_tcase(s, t);
	srunner_run_all(r, CK_ENV);
	failed = srunner_ntests_failed(r);
	srunner_free(r);
	return failed ? 1 : 0;
}
