/* Waiting by each of the ways it is seen, against a program that knows how long it waited; and at any rate of switches. */
#include "profiler_lab.h"

#include "profile/profiler_private.h"

#include <linux/capability.h>
#include <sys/syscall.h>

enum { NAPS = 40, SHORT_NAPS = 800 };

static const struct {
	enum profiler_off_by by;
	const char *tier;
} ways[] = {{PROFILER_OFF_BY_EBPF, "eBPF"},
	    {PROFILER_OFF_BY_INTERRUPT, "eBPF"},
	    {PROFILER_OFF_BY_EVENTS, "context-switch events"}};
enum { WAYS = sizeof(ways) / sizeof(*ways), EBPF_WAYS = 2 };

struct seen {
	unsigned sleeps, queued, others;
	double us;
};

/* What was seen of the program in that function. */
static struct seen look(struct lab *l, const struct spin *spin, const char *function)
{
	struct stacks *s = lab_stacks(l);
	struct seen seen = {0};

	for (uint32_t i = 0; i < s->n_samples; i++) {
		const struct stacks_sample *a = &s->samples[i];

		if (a->kind != STACKS_OFF || !spin_task(s, a, spin->pid))
			continue;
		if (getenv("VERBOSE"))
			spin_print(s, a);
		if (!spin_in(s, a->node, spin, function))
			continue;
		seen.sleeps += a->flags >> 4 == STACKS_SLEEP;
		seen.queued += a->flags >> 4 == STACKS_RUNQ;
		seen.others += a->flags >> 4 != STACKS_SLEEP && a->flags >> 4 != STACKS_RUNQ;
		seen.us += a->weight_us;
	}
	stacks_free(s);
	return seen;
}

/* Until stacks of the program go all the way. */
static void warm_up(struct lab *l)
{
	unsigned seen = 0;

	for (int i = 0; i < 100 && !seen; i++) {
		struct spin spin;

		spin_start(&spin, "naps", "3", "5000");
		spin_wait(&spin);
		lab_sleep(0.1);
		seen = look(l, &spin, "spin_doze").sleeps;
	}
	ck_assert_msg(seen, "no table was made of %s, or of libc", spin_path());
}

static void open_way(struct lab *l, int i)
{
	struct profiler_state st;

	lab_off_by = ways[i].by;
	ck_assert_int_eq(lab_open(l, 99, true), 0);
	profiler_state(l->p, &st);
	ck_assert_msg(st.off_cpu, "%s", st.reason);
	ck_assert_str_eq(st.off_tier, ways[i].tier);
	ck_assert_uint_eq(st.off_min_us, lab_off_min_us);
	warm_up(l);
}

START_TEST(waits_are_as_many_and_as_long_as_they_are)
{
	struct profiler_state st;
	struct lab l;
	struct spin spin;
	struct seen seen;
	double want_us;

	open_way(&l, _i);
	spin_start(&spin, "naps", "40", "25000");
	spin_wait(&spin);
	lab_sleep(0.1);
	lab_stop(&l);
	profiler_state(l.p, &st);
	seen = look(&l, &spin, "spin_doze");
	if (st.throttled)
		printf("%s: paused, the host is too busy\n", ways[_i].tier);
	else
		ck_assert_msg(seen.sleeps + st.switches_lost >= spin.n_naps,
			      "%s: %u of %u, %llu lost", ways[_i].tier, seen.sleeps, spin.n_naps,
			      (unsigned long long)st.switches_lost);
	ck_assert_uint_le(seen.sleeps, spin.n_naps);
	ck_assert_uint_eq(seen.others, 0);
	want_us = (double)spin.naps_us * seen.sleeps / spin.n_naps;
	if (st.throttled || st.off_min_us != lab_off_min_us ||
	    (ways[_i].by == PROFILER_OFF_BY_EVENTS && st.switches_lost))
		printf("%s: the host is too busy to compare: %.0f us, by the clock %.0f\n",
		       ways[_i].tier, seen.us, want_us);
	else
		ck_assert_msg(fabs(seen.us - want_us) < 0.05 * want_us,
			      "%s: %.0f us, by the clock %.0f", ways[_i].tier, seen.us, want_us);
	lab_close(&l);
}
END_TEST

START_TEST(short_waits_are_counted)
{
	struct profiler_state before, after;
	struct lab l;
	struct spin spin;
	struct seen seen;
	uint64_t n_short;

	open_way(&l, _i);
	profiler_state(l.p, &before);
	spin_start(&spin, "naps", "800", "200");
	spin_wait(&spin);
	lab_sleep(0.3);
	lab_stop(&l);
	profiler_state(l.p, &after);
	seen = look(&l, &spin, "spin_doze");
	n_short = after.off_short - before.off_short;
	if (!after.throttled && !after.switches_lost)
		ck_assert_msg(n_short + seen.sleeps + seen.queued >= SHORT_NAPS,
			      "%s: %llu short ones, %u long ones, of %d", ways[_i].tier,
			      (unsigned long long)n_short, seen.sleeps, SHORT_NAPS);
	ck_assert_msg(seen.sleeps < SHORT_NAPS / 2, "%u are kept", seen.sleeps);
	/* Each is 200 us at least; others wait, too. */
	if (!after.throttled && !after.switches_lost)
		ck_assert_uint_ge(after.off_short_us - before.off_short_us,
				  200 * (uint64_t)(SHORT_NAPS - seen.sleeps - seen.queued));
	lab_close(&l);
}
END_TEST

START_TEST(nothing_pauses_at_any_rate)
{
	struct profiler_state st;
	struct lab l;
	struct spin pong, naps;
	struct seen seen;

	open_way(&l, _i);
	spin_start(&pong, "pong", "2", NULL);
	spin_start(&naps, "naps", "40", "40000");
	spin_wait(&naps);
	spin_wait(&pong);
	lab_sleep(0.1);
	lab_stop(&l);
	profiler_state(l.p, &st);
	seen = look(&l, &naps, "spin_doze");
	ck_assert_msg(pong.trips > 20000, "%lld trips are no rate", pong.trips);
	ck_assert_uint_ge(st.switches, 2 * (uint64_t)pong.trips);
	ck_assert_uint_ge(st.off_short, 19 * (uint64_t)pong.trips / 10);
	ck_assert_uint_eq(st.throttled, 0);
	ck_assert_uint_le(st.off_min_us, 32000); /* other programs may wait very often */
	ck_assert_uint_ge(seen.sleeps + st.switches_lost, naps.n_naps);
	ck_assert_uint_le(seen.sleeps, naps.n_naps);
	ck_assert_msg(seen.sleeps > NAPS * 3 / 4, "%u of %d naps", seen.sleeps, NAPS);
	lab_close(&l);
}
END_TEST

/* All waits are long enough to be kept, then: until they are too many. */
START_TEST(too_many_waits_must_be_longer)
{
	struct profiler_state st;
	struct lab l;
	struct spin pong;
	uint64_t n_short = 0, switches = 0;

	lab_off_min_us = 1;
	open_way(&l, _i);
	spin_start(&pong, "pong", "60", NULL);
	/* Most of them are not kept. */
	for (int i = 0; i < 200 && (n_short < 1000 || n_short < switches * 9 / 10); i++) {
		profiler_state(l.p, &st);
		n_short = st.off_short;
		switches = st.switches;
		lab_sleep(0.2);
		profiler_state(l.p, &st);
		n_short = st.off_short - n_short;
		switches = st.switches - switches;
	}
	ck_assert_uint_gt(st.off_min_us, lab_off_min_us);
	ck_assert_msg(n_short > switches * 9 / 10, "%llu of %llu at %u us",
		      (unsigned long long)n_short, (unsigned long long)switches, st.off_min_us);
	kill(pong.pid, SIGKILL);
	waitpid(pong.pid, NULL, 0);
	fclose(pong.out);
	lab_stop(&l);
	lab_close(&l);
}
END_TEST

/* ---- without rights ---- */

static void drop(unsigned first, unsigned second)
{
	struct __user_cap_header_struct h = {.version = _LINUX_CAPABILITY_VERSION_3};
	struct __user_cap_data_struct d[2];

	ck_assert_int_eq(syscall(SYS_capget, &h, d), 0);
	d[first / 32].effective &= ~(1u << first % 32);
	d[second / 32].effective &= ~(1u << second % 32);
	ck_assert_int_eq(syscall(SYS_capset, &h, d), 0);
}

START_TEST(without_rights_events_are_taken)
{
	struct profiler_state st;
	struct lab l;

	drop(CAP_BPF, CAP_SYS_ADMIN);
	ck_assert_int_eq(lab_open(&l, 99, true), 0);
	profiler_state(l.p, &st);
	ck_assert_str_eq(st.tier, "every CPU");
	ck_assert(st.off_cpu);
	ck_assert_str_eq(st.off_tier, "context-switch events");
	ck_assert_msg(strstr(st.reason, "off-CPU by context-switch events") &&
			      strstr(st.reason, "CAP_BPF"),
		      "%s", st.reason);
	lab_stop(&l);
	lab_close(&l);
}
END_TEST

START_TEST(without_rights_no_other_is_taken)
{
	struct profiler_state st;
	struct lab l;

	drop(CAP_BPF, CAP_SYS_ADMIN);
	lab_off_by = PROFILER_OFF_BY_EBPF;
	ck_assert_int_eq(lab_open(&l, 99, true), 0);
	profiler_state(l.p, &st);
	ck_assert(!st.off_cpu);
	ck_assert_msg(strstr(st.reason, "no off-CPU") && strstr(st.reason, "CAP_BPF"), "%s",
		      st.reason);
	lab_stop(&l);
	lab_close(&l);
}
END_TEST

/* 0: no waits are seen here, 1: events only, 2: all ways. */
static int permitted(void)
{
	struct profiler_state st;
	struct lab l;

	if (lab_open(&l, 99, true) < 0) {
		printf("%s\n", l.err);
		return 0;
	}
	profiler_state(l.p, &st);
	lab_stop(&l);
	lab_close(&l);
	printf("off-CPU by %s; %s\n", st.off_tier, st.reason);
	if (!st.off_cpu || strcmp(st.tier, "every CPU") != 0)
		return 0;
	return strcmp(st.off_tier, "eBPF") == 0 ? 2 : 1;
}

int main(void)
{
	Suite *s = suite_create("offcpu");
	TCase *t = tcase_create("host");
	SRunner *r = srunner_create(s);
	int failed, first, can = permitted();

	if (!can) {
		srunner_free(r);
		return 77;
	}
	first = can == 2 ? 0 : EBPF_WAYS;
	tcase_set_timeout(t, 60);
	tcase_add_loop_test(t, waits_are_as_many_and_as_long_as_they_are, first, WAYS);
	tcase_add_loop_test(t, short_waits_are_counted, first, WAYS);
	tcase_add_loop_test(t, nothing_pauses_at_any_rate, 0, can == 2 ? EBPF_WAYS : 0);
	tcase_add_loop_test(t, too_many_waits_must_be_longer, 0, can == 2 ? EBPF_WAYS : 0);
	if (can == 2) {
		tcase_add_test(t, without_rights_events_are_taken);
		tcase_add_test(t, without_rights_no_other_is_taken);
	}
	suite_add_tcase(s, t);
	srunner_run_all(r, CK_ENV);
	failed = srunner_ntests_failed(r);
	srunner_free(r);
	return failed ? 1 : 0;
}
