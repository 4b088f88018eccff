/*
 * What the profiler costs: CPU of its two threads plus what the kernel spends on its samples, as a share of the CPUs that
 * are busy (the load is a compiler in a loop and a program with deep stacks on every CPU).
 *
 * Medians of several stretches: tables to unwind by are made once for each program, and on a host where others start
 * theirs all the time that is in some of them.
 *
 * The kernel's part is measured by itself: how much less a thread gets done per CPU second at 5, 10 and 20 kHz than at
 * 0, with the event that the profiler opens. By regression, for at 99 Hz it is lost in the noise.
 */

#include "base/clock.h"
#include "profile/profiler_private.h"

#include <errno.h>
#include <math.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

enum {
	ROUNDS = 7,
	RATES = 4,
	WINDOWS = 5,
	WINDOW_S = 2,
	DEPTH = 24,
	RING = 512 << 10,
	WARM_MAX_S = 10
};

static volatile uint64_t sink;

static void say(const char *name, double value, const char *unit, double budget)
{
	if (budget > 0)
		printf("bench %s %.4g %s budget %.4g %s\n", name, value, unit, budget,
		       value <= budget ? "pass" : "fail");
	else
		printf("bench %s %.4g %s budget - info\n", name, value, unit);
	fflush(stdout);
}

__attribute__((noreturn)) static void die(const char *what)
{
	fprintf(stderr, "bench_profiler: %s\n", what);
	exit(1);
}

static int compare(const void *a, const void *b)
{
	double x = *(const double *)a, y = *(const double *)b;

	return x < y ? -1 : x > y;
}

static double median(double *v, size_t n)
{
	qsort(v, n, sizeof(*v), compare);
	return v[n / 2];
}

/* ---- the kernel's part ---- */

/* Loops done in 150 ms of this thread's CPU time, DEPTH frames down with 8 KiB of stack in use above. */
__attribute__((noinline, noclone, optimize("no-omit-frame-pointer"))) static double work(int depth)
{
	volatile uint8_t pad[512];
	uint64_t end_ns, n = 0, x = 1;
	double r;

	pad[0] = (uint8_t)depth;
	if (depth) {
		r = work(depth - 1);
		sink += pad[0];
		return r;
	}
	end_ns = clock_ns(CLOCK_THREAD_CPUTIME_ID) + 150000000;
	do {
		for (int i = 0; i < 20000; i++)
			x = x * 6364136223846793005u + 1;
		n++;
	} while (clock_ns(CLOCK_THREAD_CPUTIME_ID) < end_ns);
	sink += x + pad[0];
	return (double)n;
}

/* How much of the CPU the samples of that rate take: 1 - loops with / loops without. */
static double taken(uint32_t hz, double plain)
{
	struct profiler p = {.event_type = PERF_TYPE_SOFTWARE,
			     .event_config = PERF_COUNT_SW_CPU_CLOCK,
			     .hz = hz,
			     .dump = true};
	struct perf_event_attr attr;
	double n;
	void *ring;
	int fd;

	profiler_attr_tick(&p, &attr);
	fd = (int)syscall(SYS_perf_event_open, &attr, 0, -1, -1, PERF_FLAG_FD_CLOEXEC);
	if (fd < 0)
		die("cannot open the event");
	/* Not writable: the kernel goes round and round without a reader. */
	ring = mmap(NULL, RING + 4096, PROT_READ, MAP_SHARED, fd, 0);
	if (ring == MAP_FAILED)
		die("cannot map the ring");
	ioctl(fd, PERF_EVENT_IOC_ENABLE, 0);
	n = work(DEPTH);
	munmap(ring, RING + 4096);
	close(fd);
	return 1 - n / plain;
}

static double kernel_us(void)
{
	static const uint32_t rates[RATES] = {5000, 10000, 15000, 20000};
	double sum_xy = 0, sum_xx = 0;

	for (int k = 0; k < RATES; k++) {
		double v[ROUNDS];

		for (int i = 0; i < ROUNDS; i++)
			v[i] = taken(rates[k], work(DEPTH));
		sum_xy += rates[k] * median(v, ROUNDS);
		sum_xx += (double)rates[k] * rates[k];
	}
	return sum_xy / sum_xx * 1e6;
}

/* ---- the agent's part ---- */

static void *capture(void *arg)
{
	while (profiler_step(arg) == 0)
		;
	return NULL;
}

static void *background(void *arg)
{
	while (profiler_background_step(arg) == 0)
		;
	return NULL;
}

static pid_t start(const char *const *argv)
{
	pid_t pid = fork();

	if (pid == 0) {
		setpgid(0, 0);
		if (!freopen("/dev/null", "w", stdout))
			_exit(126);
		execvp(argv[0], (char *const *)(uintptr_t)argv);
		_exit(127);
	}
	return pid;
}

/* CPUs' worth of time that was not idle, in seconds. */
static double busy_s(void)
{
	unsigned long long user, nice, sys, idle, wait, irq, soft;
	FILE *f = fopen("/proc/stat", "r");

	if (!f || fscanf(f, "cpu %llu %llu %llu %llu %llu %llu %llu", &user, &nice, &sys, &idle,
			 &wait, &irq, &soft) != 7)
		die("cannot read /proc/stat");
	fclose(f);
	return (double)(user + nice + sys + irq + soft) / (double)sysconf(_SC_CLK_TCK);
}

struct cost {
	double percent, user_us, per_s, busy;
	struct profiler_state end;
};

/* Until no table has been made for 3 s: they are made once. */
static void warm_up(struct profiler *p, struct profiler_state *ret)
{
	int quiet = 0;

	profiler_state(p, ret);
	for (int i = 0; i < WARM_MAX_S && quiet < 3; i++) {
		uint64_t bytes = ret->table_bytes;

		sleep(1);
		profiler_state(p, ret);
		quiet = ret->table_bytes && ret->table_bytes == bytes ? quiet + 1 : 0;
	}
}

static struct cost window(struct profiler *p, double in_kernel_us)
{
	struct profiler_state a, b;
	struct cost cost;
	int64_t at_us;
	double busy, seconds, agent_us;

	profiler_state(p, &a);
	at_us = (int64_t)clock_mono_us();
	busy = busy_s();
	sleep(WINDOW_S);
	profiler_state(p, &b);
	seconds = (double)((int64_t)clock_mono_us() - at_us) / 1e6;
	agent_us = (double)(b.cpu_ns - a.cpu_ns) / 1e3;
	cost = (struct cost){.per_s = (double)(b.samples - a.samples) / seconds,
			     .user_us = agent_us / (double)(b.samples - a.samples + 1),
			     .busy = (busy_s() - busy) / seconds,
			     .end = b};
	cost.percent = 100 * (agent_us / seconds + cost.per_s * in_kernel_us) / 1e6 / cost.busy;
	return cost;
}

static struct cost measure(const struct host *host, uint32_t hz, bool off_cpu, double in_kernel_us)
{
	struct profiles_config pc = {.memory_bytes = 64 << 20, .boot_id = "", .n_cpus = 2};
	struct profiler_config c = {.host = host,
				    .hz = hz,
				    .off_cpu = off_cpu,
				    .off_cpu_min_us = 1000,
				    .memory_bytes = 24 << 20};
	double percent[WINDOWS], user_us[WINDOWS];
	struct profiler_state st;
	struct profiler *p;
	pthread_t threads[2];
	struct cost cost = {0};
	char err[256];

	if (profiles_open(&c.profiles, &pc) < 0 || profiler_open(&p, &c, err, sizeof(err)) < 0)
		die("cannot open the profiler");
	pthread_create(&threads[0], NULL, capture, p);
	pthread_create(&threads[1], NULL, background, p);
	warm_up(p, &st);
	for (int i = 0; i < WINDOWS; i++) {
		cost = window(p, in_kernel_us);
		percent[i] = cost.percent;
		user_us[i] = cost.user_us;
	}
	profiler_stop(p);
	pthread_join(threads[0], NULL);
	pthread_join(threads[1], NULL);
	profiler_close(p);
	profiles_close(c.profiles);
	cost.percent = median(percent, WINDOWS);
	cost.user_us = median(user_us, WINDOWS);
	return cost;
}

int main(void)
{
	const char *const compile[] = {
		"sh", "-c",
		"while :; do gcc -std=c17 -D_GNU_SOURCE -Iagent -I. -O2 -S -o /dev/null "
		"agent/stacks/stacks.c; done",
		NULL};
	char tool[512];
	const char *spin[] = {tool, "deep", "200", "24", NULL};
	struct host host;
	struct cost base, fast, off;
	double in_kernel_us;
	pid_t load[2];

	snprintf(tool, sizeof(tool), "%s/tests/tool_spin", getenv("B") ? getenv("B") : "build");
	if (access(tool, X_OK) < 0)
		die("build/tests/tool_spin is not built: make build/tests/tool_spin");
	if (host_open(&host, NULL, NULL, NULL) < 0)
		die("no /proc");
	in_kernel_us = kernel_us();
	load[0] = start(compile);
	load[1] = start(spin);
	base = measure(&host, 99, false, in_kernel_us);
	fast = measure(&host, 999, false, in_kernel_us);
	off = measure(&host, 99, true, in_kernel_us);
	for (int i = 0; i < 2; i++) {
		kill(-load[i], SIGKILL);
		waitpid(load[i], NULL, 0);
	}
	say("profiler_kernel_us_per_sample", in_kernel_us, "us", 0);
	say("profiler_cpu_percent", base.percent, "%", 0.5);
	say("profiler_cpu_percent_999", fast.percent, "%", 0);
	say("profiler_cpu_percent_off_cpu", off.percent, "%", 0);
	say("profiler_us_per_sample", fast.user_us, "us", 20);
	say("profiler_us_per_sample_99", base.user_us, "us", 0);
	say("profiler_shallow_percent", 100.0 * (double)fast.end.shallow / (double)fast.end.samples,
	    "%", 0);
	say("profiler_lost", (double)(base.end.lost + fast.end.lost), "samples", 0);
	say("profiler_busy_cpus", base.busy, "CPUs", 0);
	say("profiler_samples_per_s", base.per_s, "1/s", 0);
	say("profiler_switches", (double)off.end.switches, "count", 0);
	host_close(&host);
	return 0;
}
