/*
 * What processes cost: a tick of the collector (read, select, diff into a frame) against the floor,
 * in one run, in turns, with the agent's 100 ms of sleep before each. 200 children of which 20
 * run in every tick, besides what the host runs where it may not have a pid namespace of its own.
 * The floor is pread of stat, io and status of every process through kept files. The workers' CPU
 * is in the figure.
 */
#include "base/clock.h"
#include "collectors/collector.h"
#include "collectors/process/procfs.h"
#include "collectors/process/procs.h"
#include "store/frame.h"

#include <dirent.h>
#include <fcntl.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

enum { CHILDREN = 200, RUNNING = 20, ROUNDS = 12, BLOCK = 10, SKIP = 2 };
enum { FLOOR_MAX = 4096, TICK_US = 100000 };

extern const struct collector collector_process;

static struct host host;
static struct batch batches[3];
static void *state;
static struct collector_report report;
static atomic_bool stop;
static int floor_fd[FLOOR_MAX][3];
static int n_floor;

static uint64_t own_ns(void)
{
	return clock_ns(CLOCK_THREAD_CPUTIME_ID);
}

static int by_value(const void *a, const void *b)
{
	double x = *(const double *)a, y = *(const double *)b;

	return (x > y) - (x < y);
}

static double median(double *v, size_t n)
{
	qsort(v, n, sizeof(*v), by_value);
	return v[n / 2];
}

/* Bursts of 0.5 ms every 20 ms. */
static _Noreturn void run_bursts(void)
{
	for (;;) {
		uint64_t end = own_ns() + 500000;

		while (own_ns() < end)
			;
		usleep(20000);
	}
}

static void spawn(pid_t *pids)
{
	for (int i = 0; i < CHILDREN; i++) {
		pids[i] = fork();
		if (pids[i])
			continue;
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		usleep((useconds_t)i * 997);
		if (i < RUNNING)
			run_bursts();
		for (;;)
			pause();
	}
}

static void floor_open(void)
{
	static const char *const names[3] = {"stat", "io", "status"};
	DIR *d = opendir("/proc");
	char path[300];

	for (struct dirent *e; d && (e = readdir(d)) && n_floor < FLOOR_MAX;) {
		if (e->d_name[0] < '0' || e->d_name[0] > '9')
			continue;
		for (int k = 0; k < 3; k++) {
			snprintf(path, sizeof(path), "/proc/%s/%s", e->d_name, names[k]);
			floor_fd[n_floor][k] = open(path, O_RDONLY | O_CLOEXEC);
		}
		n_floor++;
	}
	if (d)
		closedir(d);
}

static uint64_t floor_tick(void)
{
	static char buf[8192];
	uint64_t t = own_ns();

	for (int i = 0; i < n_floor; i++)
		for (int k = 0; k < 3; k++)
			if (pread(floor_fd[i][k], buf, sizeof(buf), 0) < 0)
				continue;
	return own_ns() - t;
}

static uint64_t collector_tick(uint64_t tick, int *ret_len)
{
	static uint8_t frame[1 << 20];
	struct frame_writer w;
	uint64_t t = own_ns();

	for (unsigned g = 0; g < 3; g++) {
		batch_begin(&batches[g], tick);
		if (collector_process.sample(state, g, &batches[g], &report) < 0)
			exit(1);
		batch_finish(&batches[g]);
	}
	frame_tick_begin(&w, frame, sizeof(frame), 0, tick);
	for (unsigned g = 0; g < 3; g++)
		frame_tick_group(&w, g, &batches[g], 0, -1);
	*ret_len = frame_tick_end(&w);
	for (unsigned g = 0; g < 3; g++)
		batch_commit(&batches[g]);
	return own_ns() - t;
}

static void *worker(void *arg)
{
	unsigned n = *(const unsigned *)arg;

	while (!atomic_load(&stop) && collector_process.work(state, n, &host) == 0)
		;
	return NULL;
}

static uint64_t thread_ns(pthread_t t)
{
	clockid_t id;

	return pthread_getcpuclockid(t, &id) == 0 ? clock_ns(id) : 0;
}

static void result(const char *name, double v, const char *unit, double budget)
{
	printf("bench %s %.3g %s budget %g %s\n", name, v, unit, budget,
	       v <= budget ? "pass" : "fail");
}

/* The lowest way of reading, stat of everyone at each tick: passes alone, without rows. */
static struct procfs lowest;
static struct procs lowest_table;

static uint64_t lowest_tick(void)
{
	uint64_t t = own_ns();

	procfs_pass(&lowest, clock_ns(CLOCK_MONOTONIC) / 1000000);
	return own_ns() - t;
}

enum who { OURS, FLOOR, LOWEST, N_WHO };

static double one_tick(enum who who, double *ret_log)
{
	static uint64_t tick;
	int len;

	usleep(TICK_US);
	switch (who) {
	case OURS: {
		uint64_t ns = collector_tick(++tick, &len);

		*ret_log += len;
		return (double)ns / 1e3;
	}
	case FLOOR:
		return (double)floor_tick() / 1e3;
	default:
		return (double)lowest_tick() / 1e3;
	}
}

static void report_all(double us[N_WHO][ROUNDS * BLOCK], double workers_us, double log_bytes)
{
	enum { N = ROUNDS * BLOCK };
	double floor_us = median(us[FLOOR], N), ours_us = median(us[OURS], N) + workers_us;

	printf("# %u processes, floor %.0f us, workers %.1f us, %.0f B of log a tick, tier %s\n",
	       batches[0].n_live, floor_us, workers_us, log_bytes / (ROUNDS * (BLOCK + SKIP)),
	       report.tier);
	result("processes_floor_ratio", ours_us / floor_us, "ratio", 0.7);
	printf("bench process_us_per_tick %.4g us budget - info\n", ours_us);
	result("processes_stat_tier_ratio", median(us[LOWEST], N) / floor_us, "ratio", 0.7);
}

/* In turns, in blocks of a second: the first ticks of a block, which make up for the pause, are
 * left out. */
static void measure(void)
{
	static double us[N_WHO][ROUNDS * BLOCK];
	static unsigned number[2] = {0, 1};
	pthread_t workers[2];
	uint64_t workers_ns = 0;
	double log_bytes = 0;

	for (int k = 0; k < 2; k++)
		pthread_create(&workers[k], NULL, worker, &number[k]);
	for (int r = -1; r < ROUNDS; r++) { /* the first round warms up */
		if (r == 0) {
			workers_ns = thread_ns(workers[0]) + thread_ns(workers[1]);
			log_bytes = 0;
		}
		for (int who = 0; who < N_WHO; who++)
			for (int i = -SKIP; i < BLOCK; i++) {
				double v = one_tick((enum who)who, &log_bytes);

				if (r >= 0 && i >= 0)
					us[who][r * BLOCK + i] = v;
			}
	}
	/* Names are asked for again by the clock, so per tick of any kind. */
	double workers_us = (double)(thread_ns(workers[0]) + thread_ns(workers[1]) - workers_ns) /
			    1e3 / (N_WHO * ROUNDS * (BLOCK + SKIP));
	atomic_store(&stop, true);
	collector_process.wake(state);
	for (int k = 0; k < 2; k++)
		pthread_join(workers[k], NULL);
	report_all(us, workers_us, log_bytes);
}

static int bench(void)
{
	pid_t pids[CHILDREN];
	int r;

	spawn(pids);
	usleep(500000);
	r = host_open(&host, NULL, NULL, NULL);
	state = calloc(1, collector_process.state_size);
	for (unsigned g = 0; r == 0 && g < 3; g++)
		r = batch_init(&batches[g], &collector_process.groups[g], 0);
	if (r == 0)
		r = collector_process.open(state, &host, &report);
	if (r == 0)
		r = procs_open(&lowest_table);
	if (r == 0)
		r = procfs_open(&lowest, &lowest_table, &host, false);
	floor_open();
	if (r == 0)
		measure();
	else
		fprintf(stderr, "%s\n", strerror(-r));
	collector_process.close(state);
	free(state);
	procfs_close(&lowest);
	procs_close(&lowest_table);
	for (int i = 0; i < CHILDREN; i++)
		kill(pids[i], SIGKILL);
	for (int i = 0; i < CHILDREN; i++)
		waitpid(pids[i], NULL, 0);
	return r != 0;
}

/* In a pid namespace of our own, where that is allowed: nobody else's processes are counted. */
int main(void)
{
	int status = 1;

	if (unshare(CLONE_NEWPID | CLONE_NEWNS))
		return bench();
	pid_t pid = fork();

	if (pid == 0) {
		if (mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) ||
		    mount("proc", "/proc", "proc", 0, NULL))
			_exit(1);
		int r = bench();

		fflush(stdout);
		_exit(r);
	}
	waitpid(pid, &status, 0);
	return !WIFEXITED(status) || WEXITSTATUS(status);
}
