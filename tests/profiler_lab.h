/*
 * For the tests of the profiler: one that runs on two threads of its own, the program that is known (tool_spin), and
 * what was seen of it.
 */
#ifndef STROBE_TESTS_PROFILER_LAB_H
#define STROBE_TESTS_PROFILER_LAB_H

#include "support.h"

#include "base/clock.h"
#include "profile/profiler.h"

#include <math.h>
#include <pthread.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <time.h>

/* Of the next lab_open(). */
static enum profiler_off_by lab_off_by;
static uint32_t lab_off_min_us = 1000;

struct lab {
	struct host host;
	struct profiles *profiles;
	struct profiler *p;
	pthread_t threads[2];
	char err[256];
};

static void *lab_capture(void *arg)
{
	while (profiler_step(arg) == 0)
		;
	return NULL;
}

static void *lab_background(void *arg)
{
	while (profiler_background_step(arg) == 0)
		;
	return NULL;
}

/* 0, or what profiler_open said. */
static int lab_open_within(struct lab *l, uint32_t hz, bool off_cpu, uint64_t profiles_bytes)
{
	struct profiles_config pc = {
		.memory_bytes = profiles_bytes, .boot_id = "", .n_cpus = 2, .name = NULL};
	int r;

	*l = (struct lab){0};
	if (host_open(&l->host, NULL, NULL, NULL) < 0 || profiles_open(&l->profiles, &pc) < 0)
		abort();
	struct profiler_config c = {.host = &l->host,
				    .profiles = l->profiles,
				    .hz = hz,
				    .off_cpu = off_cpu,
				    .off_cpu_min_us = lab_off_min_us,
				    .off_cpu_by = lab_off_by,
				    .memory_bytes = 24 << 20};
	r = profiler_open(&l->p, &c, l->err, sizeof(l->err));
	if (r < 0) {
		profiles_close(l->profiles);
		host_close(&l->host);
		return r;
	}
	profiles_set_name(l->profiles, profiler_name, l->p);
	pthread_create(&l->threads[0], NULL, lab_capture, l->p);
	pthread_create(&l->threads[1], NULL, lab_background, l->p);
	return 0;
}

static inline int lab_open(struct lab *l, uint32_t hz, bool off_cpu)
{
	return lab_open_within(l, hz, off_cpu, 64 << 20);
}

static void lab_stop(struct lab *l)
{
	profiler_stop(l->p);
	pthread_join(l->threads[0], NULL);
	pthread_join(l->threads[1], NULL);
}

static void lab_close(struct lab *l)
{
	profiler_close(l->p);
	profiles_close(l->profiles);
	host_close(&l->host);
}

static int lab_add(void *arg, const struct stacks *s)
{
	return stacks_merge(arg, s);
}

/* Everything that was seen. */
static struct stacks *lab_stacks(struct lab *l)
{
	struct stacks *s = stacks_new();

	ck_assert_int_eq(profiles_each(l->profiles, INT64_MIN, INT64_MAX, lab_add, s), 0);
	return s;
}

static void lab_sleep(double seconds)
{
	struct timespec t = {.tv_sec = (time_t)seconds,
			     .tv_nsec = (long)((seconds - (time_t)seconds) * 1e9)};

	nanosleep(&t, NULL);
}

/* ---- the known program ---- */

enum { SPIN_FUNCTIONS = 16, SPIN_PULSES = 64 };
struct spin {
	pid_t pid;
	FILE *out;
	struct {
		char name[32];
		uint64_t addr;
	} functions[SPIN_FUNCTIONS];
	size_t n_functions, n_pulses;
	double cpu_s; /* that it got, and its children: a busy host gives less than was wanted */
	int64_t pulses_us[SPIN_PULSES], pulses_cpu_us[SPIN_PULSES];
	unsigned n_naps;
	long long naps_us, trips;
};

static const char *spin_path(void)
{
	static char path[512];

	snprintf(path, sizeof(path), "%s/tests/tool_spin", getenv("B") ? getenv("B") : "build");
	return path;
}

static void spin_start(struct spin *s, const char *what, const char *n, const char *more)
{
	int fds[2];

	*s = (struct spin){0};
	ck_assert_int_eq(pipe(fds), 0);
	s->pid = fork();
	ck_assert_int_ge(s->pid, 0);
	if (s->pid == 0) {
		dup2(fds[1], 1);
		close(fds[0]);
		close(fds[1]);
		execl(spin_path(), "tool_spin", what, n, more, NULL);
		_exit(127);
	}
	close(fds[1]);
	s->out = fdopen(fds[0], "r");
}

/* Waits for its end. */
static void spin_wait(struct spin *s)
{
	char line[128];
	struct rusage usage;
	int status;

	while (fgets(line, sizeof(line), s->out)) {
		unsigned long long addr;
		long long at, cpu;

		if (s->n_functions < SPIN_FUNCTIONS &&
		    sscanf(line, "function %31s %llx", s->functions[s->n_functions].name, &addr) ==
			    2)
			s->functions[s->n_functions++].addr = addr;
		else if (sscanf(line, "naps %u %lld", &s->n_naps, &s->naps_us) == 2 ||
			 sscanf(line, "trips %lld", &s->trips) == 1)
			continue;
		else if (s->n_pulses < SPIN_PULSES &&
			 sscanf(line, "pulse %lld %lld", &at, &cpu) == 2) {
			s->pulses_us[s->n_pulses] = at;
			s->pulses_cpu_us[s->n_pulses++] = cpu;
		}
	}
	fclose(s->out);
	ck_assert_int_eq(wait4(s->pid, &status, 0, &usage), s->pid);
	s->cpu_s = (double)(usage.ru_utime.tv_sec + usage.ru_stime.tv_sec) +
		   1e-6 * (double)(usage.ru_utime.tv_usec + usage.ru_stime.tv_usec);
	ck_assert_msg(WIFEXITED(status) && WEXITSTATUS(status) == 0,
		      "%s: status %#x (make builds it)", spin_path(), (unsigned)status);
}

/* The CPU time that it has had so far, seconds. */
static inline double spin_cpu_s(const struct spin *s)
{
	struct timespec t = {0};
	clockid_t clock;

	if (clock_getcpuclockid(s->pid, &clock) == 0)
		clock_gettime(clock, &t);
	return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

static uint64_t spin_addr(const struct spin *s, const char *name)
{
	for (size_t i = 0; i < s->n_functions; i++)
		if (strcmp(s->functions[i].name, name) == 0)
			return s->functions[i].addr;
	ck_abort_msg("tool_spin has no %s", name);
	return 0;
}

/* Has the stack a frame of that function of tool_spin? (By the function's start, or by an address in it before there
 * is a table.) */
static bool spin_in(const struct stacks *s, uint32_t node, const struct spin *spin,
		    const char *name)
{
	uint64_t addr = spin_addr(spin, name), end = addr + 96;

	for (size_t i = 0; i < spin->n_functions; i++)
		if (spin->functions[i].addr > addr && spin->functions[i].addr < end)
			end = spin->functions[i].addr;
	for (; node; node = s->nodes[node].parent) {
		const struct stacks_frame *f = &s->frames[s->nodes[node].frame];

		if (f->type == STACKS_USER && f->addr >= addr && f->addr < end &&
		    strcmp(stacks_frame_module(s, s->nodes[node].frame), "tool_spin") == 0)
			return true;
	}
	return false;
}

static bool spin_task(const struct stacks *s, const struct stacks_sample *sample, pid_t pid)
{
	return s->tasks[sample->task].pid == (uint32_t)pid;
}

/* Lets the program be seen until its stacks go all the way: tables are made in the order in which they were asked for. */
static inline void spin_warm_up(struct lab *l)
{
	bool whole = false;

	for (int i = 0; i < 100 && !whole; i++) {
		struct spin spin;
		struct stacks *s;

		spin_start(&spin, "shares", "0.1", NULL);
		spin_wait(&spin);
		lab_sleep(0.1);
		s = lab_stacks(l);
		for (uint32_t k = 0; k < s->n_samples && !whole; k++) {
			size_t depth = 0;

			for (uint32_t n = s->samples[k].node; n; n = s->nodes[n].parent)
				depth++;
			whole = depth >= 5 && spin_task(s, &s->samples[k], spin.pid) &&
				spin_in(s, s->samples[k].node, &spin, "spin_hot");
		}
		stacks_free(s);
	}
	ck_assert_msg(whole, "no table was made of %s", spin_path());
}

static inline void spin_print(const struct stacks *s, const struct stacks_sample *sample)
{
	const struct stacks_task *t = &s->tasks[sample->task];
	char buf[256];

	fprintf(stderr, "%lld pid %u tid %u %s/%s %s cpu %u kind %u flags %#x weight %u:",
		(long long)sample->at_us, t->pid, t->tid, stacks_text(s, t->process),
		stacks_text(s, t->comm), stacks_text(s, t->cgroup), sample->cpu, sample->kind,
		sample->flags, sample->weight_us);
	for (uint32_t n = sample->node; n; n = s->nodes[n].parent)
		fprintf(stderr, " < %s", stacks_frame_name(s, s->nodes[n].frame, buf, sizeof(buf)));
	fprintf(stderr, "\n");
}

#endif
