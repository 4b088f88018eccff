/* The profiler on this host, against a program whose shares, times and waits are known.
 * run.sh: alone */
#include "profiler_lab.h"

#include "profile/profiler_private.h"

#include <signal.h>
#include <sys/mman.h>

START_TEST(shares_are_right)
{
	static const struct {
		const char *name;
		double share;
	} want[] = {{"spin_hot", 0.6}, {"spin_warm", 0.3}, {"spin_cool", 0.1}};
	struct lab l;
	struct spin spin;
	uint32_t n = 0, by[3] = {0};

	ck_assert_int_eq(lab_open(&l, 499, false), 0);
	spin_start(&spin, "shares", "2", NULL);
	spin_wait(&spin);
	lab_sleep(0.1);
	lab_stop(&l);
	struct stacks *s = lab_stacks(&l);

	for (uint32_t i = 0; i < s->n_samples; i++) {
		if (!spin_task(s, &s->samples[i], spin.pid))
			continue;
		n++;
		if (getenv("VERBOSE"))
			spin_print(s, &s->samples[i]);
		for (int k = 0; k < 3; k++)
			by[k] += spin_in(s, s->samples[i].node, &spin, want[k].name);
	}
	ck_assert_msg(n > 0.6 * 499 * spin.cpu_s, "%u samples of %.2f s at 499 Hz", n, spin.cpu_s);
	for (int k = 0; k < 3; k++) {
		double mean = n * want[k].share, sigma = sqrt(mean * (1 - want[k].share));

		ck_assert_msg(fabs(by[k] - mean) < 4 * sigma + 0.01 * n,
			      "%s: %u of %u, want %.0f +- %.1f", want[k].name, by[k], n, mean,
			      sigma);
	}
	stacks_free(s);
	lab_close(&l);
}
END_TEST

/* 80 ms every 900 ms: all samples lie in those, and each has its number. */
/* Of a function: is the address in it? */
static bool spin_within(const struct spin *spin, const char *name, uint64_t addr)
{
	uint64_t start = spin_addr(spin, name), end = start + 96;

	for (size_t i = 0; i < spin->n_functions; i++)
		if (spin->functions[i].addr > start && spin->functions[i].addr < end)
			end = spin->functions[i].addr;
	return addr >= start && addr < end;
}

START_TEST(functions_know_where_they_were_sampled)
{
	struct lab l;
	struct spin spin;
	unsigned n_hot = 0, n_calls = 0;

	ck_assert_int_eq(lab_open(&l, 499, false), 0);
	spin_warm_up(&l);
	spin_start(&spin, "shares", "1", NULL);
	spin_wait(&spin);
	lab_sleep(0.1);
	lab_stop(&l);
	struct stacks *s = lab_stacks(&l);
	uint64_t hot = spin_addr(&spin, "spin_hot");

	for (uint32_t i = 1; i < s->n_nodes; i++) {
		const struct stacks_frame *f = &s->frames[s->nodes[i].frame],
					  *above = &s->frames[s->nodes[s->nodes[i].parent].frame];

		if (strcmp(stacks_frame_module(s, s->nodes[i].frame), "tool_spin") != 0 ||
		    f->addr != hot)
			continue;
		/* In its loop, which is not where it begins. */
		ck_assert_uint_gt(f->self.votes, 20);
		ck_assert_uint_gt(f->self.off, 0);
		ck_assert(spin_within(&spin, "spin_hot", hot + f->self.off));
		n_hot++;
		if (above->type == STACKS_USER && above->call.votes) {
			ck_assert_uint_gt(above->call.off, 0);
			n_calls++;
		}
	}
	ck_assert_uint_gt(n_hot, 0);
	ck_assert_uint_gt(n_calls, 0);
	for (uint32_t i = 0; i < s->n_frames; i++)
		if (s->frames[i].type == STACKS_KERNEL || s->frames[i].type == STACKS_JIT)
			ck_assert_uint_eq(s->frames[i].self.votes + s->frames[i].call.votes, 0);
	stacks_free(s);
	lab_close(&l);
}
END_TEST

START_TEST(pulses_are_at_their_times)
{
	enum { HZ = 99, SLACK_US = 40000 };
	struct lab l;
	struct spin spin;
	uint32_t by[SPIN_PULSES] = {0}, n = 0, astray = 0;

	ck_assert_int_eq(lab_open(&l, HZ, false), 0);
	spin_start(&spin, "pulse", "3.5", NULL);
	spin_wait(&spin);
	lab_sleep(0.1);
	lab_stop(&l);
	struct stacks *s = lab_stacks(&l);

	ck_assert_uint_eq(spin.n_pulses, 4);
	for (uint32_t i = 0; i < s->n_samples; i++) {
		const struct stacks_sample *a = &s->samples[i];
		bool in = false;

		if (!spin_task(s, a, spin.pid) || !spin_in(s, a->node, &spin, "spin_hot"))
			continue;
		n++;
		ck_assert_uint_eq(a->weight_us, 1000000 / HZ);
		for (size_t k = 0; k < 4; k++)
			if (a->at_us >= spin.pulses_us[k] - 1000 &&
			    a->at_us < spin.pulses_us[k] + 80000 + SLACK_US) {
				by[k]++;
				in = true;
			}
		astray += !in;
	}
	ck_assert_msg(astray == 0, "%u of %u samples are outside the pulses", astray, n);
	/* 7.9 of 80 ms at 99 Hz; fewer where somebody else had the CPU. */
	for (size_t k = 0; k < 4; k++) {
		double mean = HZ * 1e-6 * (double)spin.pulses_cpu_us[k];

		ck_assert_msg(fabs(by[k] - mean) <= 1.5 + 2 * sqrt(fabs(8 - mean)),
			      "pulse %zu has %u samples, not %.1f", k, by[k], mean);
	}
	stacks_free(s);
	lab_close(&l);
}
END_TEST

static int cmp_u32(const void *a, const void *b)
{
	uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;

	return x < y ? -1 : x > y;
}

/* The median wait with that function in its stack. */
static uint32_t median_wait(const struct stacks *s, const struct spin *spin, const char *name,
			    enum stacks_class class)
{
	uint32_t waits[4096], n = 0, misfits = 0;

	for (uint32_t i = 0; i < s->n_samples && n < 4096; i++) {
		const struct stacks_sample *a = &s->samples[i];

		if (a->kind != STACKS_OFF || !spin_task(s, a, spin->pid) ||
		    !spin_in(s, a->node, spin, name))
			continue;
		if (a->flags >> 4 == STACKS_RUNQ)
			continue;
		misfits += a->flags >> 4 != class;
		waits[n++] = a->weight_us;
	}
	ck_assert_msg(n >= 2, "%s: only %u waits", name, n);
	ck_assert_msg(misfits == 0, "%s: %u of %u waits are of another class than %d", name,
		      misfits, n, class);
	qsort(waits, n, sizeof(*waits), cmp_u32);
	return waits[n / 2];
}

/* Two of each kind at least. */
static bool saw_waits(struct lab *l, const struct spin *spin)
{
	static const char *const names[] = {"spin_nap", "spin_lock", "spin_pipe"};
	struct stacks *s = lab_stacks(l);
	uint32_t n[3] = {0};

	for (uint32_t i = 0; i < s->n_samples; i++)
		for (size_t k = 0; k < 3 && s->samples[i].kind == STACKS_OFF; k++)
			n[k] += spin_task(s, &s->samples[i], spin->pid) &&
				s->samples[i].flags >> 4 != STACKS_RUNQ &&
				spin_in(s, s->samples[i].node, spin, names[k]);
	stacks_free(s);
	return n[0] >= 2 && n[1] >= 2 && n[2] >= 2;
}

/* Another program that counts switches: the kernel gives its ids to our samples. How many fds. */
static size_t count_switches(int *fds, size_t max)
{
	struct perf_event_attr attr = {.size = sizeof(attr),
				       .type = PERF_TYPE_SOFTWARE,
				       .config = PERF_COUNT_SW_CONTEXT_SWITCHES,
				       .sample_type = PERF_SAMPLE_IDENTIFIER | PERF_SAMPLE_TIME,
				       .sample_period = 1};
	size_t n = 0;

	for (uint32_t cpu = 0; cpu < max; cpu++) {
		int fd = profiler_perf_open(&attr, -1, cpu);

		if (fd >= 0)
			fds[n++] = fd;
	}
	return n;
}

START_TEST(waits_last_as_long_as_they_do)
{
	static const struct {
		const char *name;
		enum stacks_class class;
		double us;
	} want[] = {{"spin_nap", STACKS_SLEEP, 20000},
		    {"spin_lock", STACKS_LOCK, 30000},
		    {"spin_pipe", STACKS_OTHER, 40000}};
	struct lab l;
	struct spin spin;
	uint32_t runq = 0;
	bool seen = false;
	int others[64];
	size_t n_others;

	lab_off_by = _i ? PROFILER_OFF_BY_EVENTS : PROFILER_OFF_BY_ANY;
	ck_assert_int_eq(lab_open(&l, 99, true), 0);
	spin_warm_up(&l);
	n_others = count_switches(others, 64);
	/* With more switches than are recorded they are left out for a second at a time. */
	for (int i = 0; i < 6 && !seen; i++) {
		spin_start(&spin, "wait", "2.5", NULL);
		spin_wait(&spin);
		lab_sleep(0.1);
		seen = saw_waits(&l, &spin);
	}
	lab_stop(&l);
	struct stacks *s = lab_stacks(&l);

	for (uint32_t i = 0; i < s->n_samples; i++) {
		const struct stacks_sample *a = &s->samples[i];

		runq += a->kind == STACKS_OFF && a->flags >> 4 == STACKS_RUNQ;
		if (getenv("VERBOSE") && a->kind == STACKS_OFF && spin_task(s, a, spin.pid))
			spin_print(s, a);
		if (a->kind == STACKS_OFF)
			ck_assert_uint_ge(a->weight_us, 1000);
	}
	struct profiler_state st;

	while (n_others--)
		close(others[n_others]);
	profiler_state(l.p, &st);
	ck_assert(st.off_cpu);
	ck_assert_uint_gt(st.switches, 100);
	if (st.switches_lost || st.throttled)
		printf("switches: %llu, lost %llu, %s\n", (unsigned long long)st.switches,
		       (unsigned long long)st.switches_lost, st.reason);
	for (size_t k = 0; k < 3; k++) {
		double us = median_wait(s, &spin, want[k].name, want[k].class);

		/* One that comes late to the lock or the pipe waits shorter; nothing makes a nap shorter. */
		ck_assert_msg(us > want[k].us * (k ? 0.6 : 0.97) && us < want[k].us * 1.5,
			      "%s: %.0f us", want[k].name, us);
	}
	stacks_free(s);
	lab_close(&l);
}
END_TEST

/* Hundreds of processes that are gone before anybody looks at them. */
START_TEST(exited_processes_have_names)
{
	struct lab l;
	struct spin spin;
	struct profiler_state st;
	uint32_t n = 0, named = 0, placed = 0;

	ck_assert_int_eq(lab_open(&l, 499, false), 0);
	spin_start(&spin, "storm", "150", NULL);
	spin_wait(&spin);
	lab_sleep(0.1);
	lab_stop(&l);
	struct stacks *s = lab_stacks(&l);

	for (uint32_t i = 0; i < s->n_samples; i++) {
		const struct stacks_sample *a = &s->samples[i];
		const struct stacks_task *t = &s->tasks[a->task];

		if (t->pid == (uint32_t)spin.pid || !spin_in(s, a->node, &spin, "spin_hot"))
			continue;
		n++;
		named += strcmp(stacks_text(s, t->comm), "tool_spin") == 0 &&
			 strcmp(stacks_text(s, t->process), "tool_spin") == 0;
		placed += t->cgroup != 0;
	}
	ck_assert_msg(n > 0.4 * 499 * spin.cpu_s, "%u samples of children that ran %.2f s", n,
		      spin.cpu_s);
	ck_assert_uint_eq(named, n);
	ck_assert_uint_eq(placed, n);
	profiler_state(l.p, &st);
	ck_assert_msg(st.lost * 10 < st.samples, "%llu lost, %llu taken",
		      (unsigned long long)st.lost, (unsigned long long)st.samples);
	stacks_free(s);
	lab_close(&l);
}
END_TEST

/* Code that was made at run time, run for ever. Its address. */
static uint64_t run_made_code(void)
{
#ifdef __x86_64__
	static const uint8_t code[] = {0xb9, 0, 0, 0x10, 0, 0xff, 0xc9, 0x75, 0xfc, 0xeb, 0xf5};
#else
	static const uint8_t code[] = {0, 0, 0, 0x14}; /* b . */
#endif
	void *at = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	void (*run)(void);

	if (at == MAP_FAILED)
		abort();
	memcpy(at, code, sizeof(code));
	mprotect(at, 4096, PROT_READ | PROT_EXEC);
	__builtin___clear_cache(at, (char *)at + sizeof(code));
	if (write(1, &at, sizeof(at)) != sizeof(at))
		abort();
	memcpy(&run, &at, sizeof(run));
	run();
	return 0;
}

/* Samples of that process in code made at run time, and how many of them have a name. */
static void count_made(struct lab *l, pid_t pid, const char *name, uint32_t *n, uint32_t *named)
{
	struct stacks *s = lab_stacks(l);

	*n = *named = 0;
	for (uint32_t i = 0; i < s->n_samples; i++) {
		const struct stacks_frame *f = &s->frames[s->nodes[s->samples[i].node].frame];

		if (!spin_task(s, &s->samples[i], pid) || f->type != STACKS_JIT)
			continue;
		(*n)++;
		*named += strcmp(stacks_text(s, f->name), name) == 0;
	}
	stacks_free(s);
}

/* All that was seen before it came, too, and soon. */
START_TEST(a_perf_map_that_comes_late_names_what_was_seen)
{
	struct lab l;
	char path[64];
	uint64_t addr, from_us;
	uint32_t n = 0, named = 0, before;
	int fds[2];
	pid_t pid;

	ck_assert_int_eq(lab_open(&l, 99, false), 0);
	ck_assert_int_eq(pipe(fds), 0);
	pid = fork();
	if (pid == 0) {
		dup2(fds[1], 1);
		run_made_code();
		_exit(1);
	}
	ck_assert_int_eq(read(fds[0], &addr, sizeof(addr)), sizeof(addr));
	for (int i = 0; i < 400 && n < 20; i++) {
		lab_sleep(0.05);
		count_made(&l, pid, "late", &n, &named);
	}
	before = n;
	snprintf(path, sizeof(path), "/tmp/perf-%d.map", pid);
	FILE *f = fopen(path, "w");

	ck_assert(n >= 20 && !named && f);
	fprintf(f, "%llx 10 late\n", (unsigned long long)addr);
	fclose(f);
	from_us = clock_mono_us();
	while (named < before && clock_mono_us() - from_us < 10000000) {
		lab_sleep(0.05);
		count_made(&l, pid, "late", &n, &named);
	}
	from_us = clock_mono_us() - from_us;
	kill(pid, SIGKILL);
	waitpid(pid, NULL, 0);
	unlink(path);
	lab_stop(&l);
	lab_close(&l);
	printf("a late perf map: %u samples named after %llu ms\n", named,
	       (unsigned long long)from_us / 1000);
	ck_assert_msg(named >= before, "%u of %u have its name after %llu us", named, n,
		      (unsigned long long)from_us);
	ck_assert_uint_lt(from_us, 3000000);
}
END_TEST

static void wait_for_hz(struct lab *l, uint32_t hz, struct profiler_state *ret)
{
	for (int i = 0; i < 3000; i++) {
		profiler_state(l->p, ret);
		if (ret->hz == hz)
			return;
		lab_sleep(0.005);
	}
	ck_abort_msg("at %u Hz, never at %u", ret->hz, hz);
}

START_TEST(bursts_come_and_go)
{
	struct lab l;
	struct spin spin;
	struct profiler_state st;
	uint32_t fast = 0, slow = 0, rates[8], n_rates = 0;
	double burst_s;

	ck_assert_int_eq(lab_open(&l, 49, false), 0);
	ck_assert_int_eq(profiler_burst(l.p, 0, 1), -EINVAL);
	ck_assert_int_eq(profiler_burst(l.p, 5000, 1), -EINVAL);
	ck_assert_int_eq(profiler_burst(l.p, 999, 601), -EINVAL);
	spin_start(&spin, "shares", "2.2", NULL);
	ck_assert_int_eq(profiler_burst(l.p, 997, 1), 0);
	ck_assert_int_eq(profiler_burst(l.p, 997, 1), -EBUSY);
	wait_for_hz(&l, 997, &st);
	burst_s = spin_cpu_s(&spin);
	ck_assert_uint_eq(st.base_hz, 49);
	ck_assert_int_gt(st.burst_until_us, 0);
	wait_for_hz(&l, 49, &st);
	burst_s = spin_cpu_s(&spin) - burst_s;
	ck_assert_int_eq(st.burst_until_us, 0);
	spin_wait(&spin);
	lab_stop(&l);
	struct stacks *s = lab_stacks(&l);

	for (uint32_t i = 0; i < s->n_samples; i++) {
		if (!spin_task(s, &s->samples[i], spin.pid))
			continue;
		fast += s->samples[i].weight_us == 1000000 / 997;
		slow += s->samples[i].weight_us == 1000000 / 49;
	}
	for (uint32_t i = 0; i < s->n_notes && n_rates < 8; i++)
		if (s->notes[i].kind == STACKS_HZ)
			rates[n_rates++] = (uint32_t)s->notes[i].n;
	double seconds = fast * 1003e-6 + slow * 20408e-6;

	double lost = st.lost * 20408e-6, doubt = 0.2 + 4 * sqrt(slow) * 20408e-6;

	/* As much of the burst as it ran in it: on a busy host that is little. */
	ck_assert_msg(fast > 0.6 * 997 * (burst_s - 0.05), "%u samples at 997 Hz, of %.2f s", fast,
		      burst_s);
	ck_assert_msg(slow > 10, "%u at 49 Hz", slow);
	ck_assert_msg(seconds < spin.cpu_s + doubt && seconds > spin.cpu_s - doubt - lost,
		      "%u at 997 Hz and %u at 49 Hz are %.2f s, not %.2f", fast, slow, seconds,
		      spin.cpu_s);
	ck_assert_uint_eq(n_rates, 2);
	ck_assert_uint_eq(rates[0], 997);
	ck_assert_uint_eq(rates[1], 49);
	stacks_free(s);
	lab_close(&l);
}
END_TEST

struct ends {
	uint32_t n_epochs, n, outside;
};

static int look_at_ends(void *arg, const struct stacks *s)
{
	struct ends *e = arg;

	e->n_epochs++;
	for (uint32_t i = 0; i < s->n_samples; i++) {
		e->n++;
		e->outside += s->samples[i].at_us < s->from_us || s->samples[i].at_us >= s->to_us;
	}
	return 0;
}

/* A range that ends where an epoch does is read from that one alone. */
START_TEST(samples_lie_within_their_epochs)
{
	struct lab l;
	struct spin spin[2];
	struct ends e = {0};

	ck_assert_int_eq(lab_open_within(&l, 999, false, 1 << 18), 0);
	for (unsigned i = 0; i < 2; i++)
		spin_start(&spin[i], "shares", "4", NULL);
	for (unsigned i = 0; i < 2; i++)
		spin_wait(&spin[i]);
	ck_assert_int_eq(profiles_each(l.profiles, INT64_MIN, INT64_MAX, look_at_ends, &e), 0);
	ck_assert_uint_gt(e.n_epochs, 2);
	ck_assert_uint_gt(e.n, 500);
	ck_assert_uint_eq(e.outside, 0);
	lab_stop(&l);
	lab_close(&l);
}
END_TEST

/* Names of that program that are known, of those that were told of; *gone: of how many that they went. */
static unsigned count_programs(const struct lab *l, const char *name, unsigned *gone)
{
	unsigned n = 0;

	*gone = 0;
	for (size_t i = 0; i < l->p->n_ksyms; i++) {
		const struct profiler_ksym *k = &l->p->ksyms[i];

		*gone += k->end && !k->name[0];
		n += strstr(k->name, name) && profiler_ksyms_find(l->p, k->start + 1) == k;
	}
	return n;
}

/* An eBPF program that is loaded later is called by its own name, and by none once it is gone. */
START_TEST(programs_in_the_kernel_come_and_go)
{
	for (int unload = 0; unload < 2; unload++) {
		struct offcpu_ebpf *e;
		char err[128];
		unsigned gone;
		struct lab l;

		ck_assert_int_eq(lab_open(&l, 49, false), 0);
		int r = offcpu_ebpf_open(&e, &l.host, 1000, false, err, sizeof(err));

		lab_sleep(0.2);
		if (r == 0 && unload) {
			offcpu_ebpf_close(e);
			lab_sleep(1); /* the kernel frees it a little later */
		}
		lab_stop(&l);
		if (r == 0) {
			ck_assert_uint_eq(count_programs(&l, "offcpu_switch", &gone), !unload);
			ck_assert_uint_ge(gone, unload ? 2 : 0);
		}
		if (r == 0 && !unload)
			offcpu_ebpf_close(e);
		lab_close(&l);
	}
}
END_TEST

static int permitted(void)
{
	struct lab l;
	struct profiler_state st;

	if (lab_open(&l, 99, false) < 0) {
		printf("%s\n", l.err);
		return 0;
	}
	profiler_state(l.p, &st);
	lab_stop(&l);
	lab_close(&l);
	printf("%s by %s; %s\n", st.tier, st.event, st.reason);
	return strcmp(st.tier, "every CPU") == 0 ? 2 : 1;
}

int main(void)
{
	Suite *s = suite_create("profiler");
	TCase *t = tcase_create("host");
	SRunner *r = srunner_create(s);
	int failed, all = permitted();

	if (all < 2) {
		srunner_free(r);
		return 77;
	}
	tcase_set_timeout(t, 180); /* CPU seconds are long on a busy host */
	tcase_add_test(t, shares_are_right);
	tcase_add_test(t, functions_know_where_they_were_sampled);
	tcase_add_test(t, pulses_are_at_their_times);
	tcase_add_loop_test(t, waits_last_as_long_as_they_do, 0, 2);
	tcase_add_test(t, exited_processes_have_names);
	tcase_add_test(t, bursts_come_and_go);
	tcase_add_test(t, samples_lie_within_their_epochs);
	tcase_add_test(t, programs_in_the_kernel_come_and_go);
	tcase_add_test(t, a_perf_map_that_comes_late_names_what_was_seen);
	suite_add_tcase(s, t);
	srunner_run_all(r, CK_ENV);
	failed = srunner_ntests_failed(r);
	srunner_free(r);
	return failed ? 1 : 0;
}
