/* Run delay and runs of processes of many threads on this host: found where they are, and cheaply. */
#include "base/clock.h"
#include "base/parse.h"
#include "collectors/process/procfs.h"
#include "collectors/process/procs.h"
#include "collectors/process/read.h"
#include "support.h"

#include <dirent.h>
#include <pthread.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/wait.h>

enum { THREADS = 24 };

struct truth {
	int64_t v[3]; /* sums over the threads: CPU ns, run delay ns, runs */
};

static struct procs table;
static struct procfs scan;
static struct host host;
static uint64_t now_ms;
static int wake[THREADS][2], done[2];

static void start(void)
{
	memset(&scan, 0, sizeof(scan));
	ck_assert_int_eq(host_open(&host, NULL, NULL, NULL), 0);
	ck_assert_int_eq(procs_open(&table), 0);
	ck_assert_int_eq(procfs_open(&scan, &table, &host, true), 0);
	now_ms = clock_ns(CLOCK_MONOTONIC) / 1000000;
}

static void finish(void)
{
	procfs_close(&scan);
	procs_close(&table);
	host_close(&host);
}

/* Without the rotation unless ms is long. */
static void pass(unsigned ms)
{
	now_ms += ms;
	ck_assert_int_eq(procfs_pass(&scan, now_ms), 0);
}

static void *runner(void *arg)
{
	int *mine = arg;
	char c;

	while (read(mine[0], &c, 1) == 1)
		if (write(done[1], &c, 1) != 1)
			break;
	return NULL;
}

/* A child of THREADS threads besides the main one, each of which runs when it is poked. */
static pid_t spawn(void)
{
	ck_assert_int_eq(pipe(done), 0);
	for (int i = 0; i < THREADS; i++)
		ck_assert_int_eq(pipe(wake[i]), 0);
	pid_t pid = fork();

	if (pid == 0) {
		pthread_t t;

		prctl(PR_SET_PDEATHSIG, SIGKILL);
		for (int i = 0; i < THREADS; i++)
			pthread_create(&t, NULL, runner, wake[i]);
		for (;;)
			pause();
	}
	return pid;
}

static void reap(pid_t pid)
{
	kill(pid, SIGKILL);
	waitpid(pid, NULL, 0);
	close(done[0]);
	close(done[1]);
	for (int i = 0; i < THREADS; i++) {
		close(wake[i][0]);
		close(wake[i][1]);
	}
}

static void poke(int i)
{
	char c = 'x';

	ck_assert_int_eq(write(wake[i][1], &c, 1), 1);
	ck_assert_int_eq(read(done[0], &c, 1), 1);
}

/* What the files say. */
static struct truth read_truth(pid_t pid)
{
	struct truth sum = {0};
	char path[300], text[128];

	snprintf(path, sizeof(path), "/proc/%d/task", pid);
	DIR *d = opendir(path);

	ck_assert_ptr_nonnull(d);
	for (struct dirent *e; (e = readdir(d));) {
		if (!parse_is_digit(e->d_name[0]))
			continue;
		snprintf(path, sizeof(path), "/proc/%d/task/%.20s/schedstat", pid, e->d_name);
		int fd = open(path, O_RDONLY | O_CLOEXEC);
		ssize_t n = fd < 0 ? -1 : read(fd, text, sizeof(text) - 1);
		const char *p = text;

		ck_assert_int_gt(n, 0);
		text[n] = 0;
		for (int k = 0; k < 3; k++) {
			int64_t v;

			ck_assert(parse_i64(&p, &v));
			sum.v[k] += v;
		}
		close(fd);
	}
	closedir(d);
	return sum;
}

static void expect(pid_t pid, const struct truth *want)
{
	uint32_t i = procs_find(&table, pid);

	ck_assert_uint_ne(i, NO_ENTRY);
	ck_assert_int_eq(table.proc[i].v[V_CPU], want->v[0]);
	ck_assert_int_eq(table.proc[i].v[V_RUN_DELAY], want->v[1]);
	ck_assert_int_eq(table.proc[i].v[V_PCOUNT], want->v[2]);
}

/* A pass in which nothing of the child moved, and what it must have seen. */
static struct truth quiet_pass(pid_t pid)
{
	struct truth before, after;

	do {
		before = read_truth(pid);
		pass(0);
		after = read_truth(pid);
	} while (memcmp(&before, &after, sizeof(before)) != 0);
	return after;
}

START_TEST(whichever_thread_ran_is_found)
{
	pid_t pid = spawn();

	for (int i = 0; i < THREADS; i++)
		poke(i);
	start();
	for (unsigned round = 0; round < 400; round++) {
		/* Some run often, others seldom, sometimes several, sometimes none. */
		for (unsigned k = 0; k < round % 3; k++)
			poke((int)(round % 7 < 5 ? round % 4 : round * 2654435769u >> 16) %
			     THREADS);
		struct truth want = quiet_pass(pid);

		expect(pid, &want);
	}
	reap(pid);
	finish();
}
END_TEST

/* A thread that runs is read, its idle fellows are not. */
START_TEST(idle_threads_are_not_read)
{
	uint32_t least = UINT32_MAX;
	pid_t pid = spawn();

	for (int i = 0; i < THREADS; i++)
		poke(i);
	start();
	for (int round = 0; round < 40; round++) /* all but one cool down */
		pass(0);
	for (int round = 0; round < 200; round++) {
		poke(3);
		pass(0);
		least = scan.n_reads < least ? scan.n_reads : least;
	}
	/* Others of this host are read besides: the least shows what the child needs. */
	ck_assert_uint_lt(least, THREADS);
	reap(pid);
	finish();
}
END_TEST

static void *brief(void *arg)
{
	return arg;
}

/* Threads of this process itself: some sleep, some come and go. */
START_TEST(own_threads_are_summed)
{
	pthread_t t[4], b;

	ck_assert_int_eq(pipe(done), 0);
	for (int i = 0; i < THREADS; i++)
		ck_assert_int_eq(pipe(wake[i]), 0);
	for (int i = 0; i < 4; i++)
		ck_assert_int_eq(pthread_create(&t[i], NULL, runner, wake[i]), 0);
	start();
	uint32_t me = procs_find(&table, getpid());
	int64_t runs = 0, was = table.proc[me].v[V_PCOUNT];

	for (int round = 0; round < 100; round++) {
		poke(round % 4);
		runs++;
		if (round % 10 == 0) {
			ck_assert_int_eq(pthread_create(&b, NULL, brief, NULL), 0);
			pthread_join(b, NULL);
		}
		pass(0);
		ck_assert_int_ge(table.proc[me].v[V_PCOUNT], was);
	}
	/* Each poke put a thread on a CPU; the newest may not be back to sleep. */
	ck_assert_int_ge(table.proc[me].v[V_PCOUNT] - was, runs - 4);
	for (int i = 0; i < THREADS; i++)
		close(wake[i][1]);
	for (int i = 0; i < 4; i++)
		pthread_join(t[i], NULL);
	for (int i = 0; i < THREADS; i++)
		close(wake[i][0]);
	finish();
}
END_TEST

static int64_t switches(pid_t pid)
{
	char path[64], text[4096];

	snprintf(path, sizeof(path), "/proc/%d/status", pid);
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	ssize_t n = fd < 0 ? 0 : read(fd, text, sizeof(text) - 1);

	if (fd >= 0)
		close(fd);
	text[n > 0 ? n : 0] = 0;
	const char *p = strstr(text, "\nvoluntary_ctxt_switches:");
	int64_t v = -1;

	if (p && (p = strchr(p, ':')))
		p++;
	return p && parse_i64(&p, &v) ? v : -1;
}

/* What runs for some microseconds at a time is read in two steps: the runs at once, the rest within
 * a rotation. */
START_TEST(kernel_threads_are_followed)
{
	unsigned n_moved = 0;

	start();
	for (int round = 0; round < 30; round++) {
		usleep(20000);
		pass(round % 10 == 9 ? PROCFS_ROTATION_MS : 20);
		for (uint32_t i = 0; i < table.high; i++) {
			const struct proc *p = &table.proc[i];
			int32_t pid = table.hot[i].pid;

			if (!pid || !(p->flags & PROC_KTHREAD) || p->v[V_CPU] != read_clock(pid))
				continue; /* it runs */
			int64_t runs = p->v[V_PCOUNT], now = switches(pid);
			struct truth is = read_truth(pid);

			if (p->v[V_CPU] != read_clock(pid) || is.v[0] != p->v[V_CPU])
				continue;
			/* It may have been put on a CPU just now. */
			ck_assert_int_le(is.v[2] - runs, 1);
			ck_assert_int_ge(is.v[2], runs);
			n_moved += p->behind;
			if (round % 10 == 9)
				ck_assert_int_le(now - p->v[V_VCTXSW], 1);
		}
	}
	/* A container has none. */
	ck_assert(n_moved || procs_find(&table, 2) == NO_ENTRY ||
		  !(table.proc[procs_find(&table, 2)].flags & PROC_KTHREAD));
	finish();
}
END_TEST

int main(void)
{
	TCase *t = tcase_create("process_threads");

	tcase_set_timeout(t, 60);
	tcase_add_test(t, whichever_thread_ran_is_found);
	tcase_add_test(t, idle_threads_are_not_read);
	tcase_add_test(t, kernel_threads_are_followed);
	tcase_add_test(t, own_threads_are_summed);
	return support_run_case("process_threads", t);
}
