/* The process collector on this host: CPU to the nanosecond, churn, threads, targets that hang. */
#include "base/clock.h"
#include "support.h"

#include <dirent.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/wait.h>

extern const struct collector collector_process;

#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
enum { SANITIZED = 1 };
#else
enum { SANITIZED = 0 };
#endif
enum { WORKERS = 2, BRIEF = 200, LASTING = 20 };

static struct rig rig;
static atomic_bool stop_workers;
static pthread_t workers[WORKERS];

static void *worker(void *arg)
{
	unsigned n = (unsigned)(uintptr_t)arg;

	while (!atomic_load(&stop_workers) && collector_process.work(rig.state, n, &rig.host) == 0)
		;
	return NULL;
}

static void start(const char *proc)
{
	memset(&rig, 0, sizeof(rig));
	ck_assert_int_eq(host_open(&rig.host, proc, NULL, NULL), 0);
	ck_assert_int_eq(rig_open(&rig, &collector_process), 0);
	atomic_store(&stop_workers, false);
	for (uintptr_t i = 0; i < WORKERS; i++)
		ck_assert_int_eq(pthread_create(&workers[i], NULL, worker, (void *)i), 0);
}

static void finish(void)
{
	atomic_store(&stop_workers, true);
	collector_process.wake(rig.state);
	for (int i = 0; i < WORKERS; i++)
		pthread_join(workers[i], NULL);
	rig_close(&rig);
}

static bool shown(pid_t pid)
{
	const struct batch *b = &rig.batches[0];

	for (uint32_t s = 0; s < b->n_slots; s++)
		if (b->inst[s].live && atoi(b->inst[s].name) == pid)
			return true;
	return false;
}

static int64_t value(const char *metric, pid_t pid)
{
	char name[16];

	snprintf(name, sizeof(name), "%d", pid);
	return rig_value(&rig, metric, name);
}

static const char *attr(pid_t pid, unsigned key)
{
	const struct batch *b = &rig.batches[0];

	for (uint32_t s = 0; s < b->n_slots; s++)
		if (b->inst[s].live && atoi(b->inst[s].name) == pid)
			return b->attrs[s * b->n_attrs + key];
	return "";
}

static void burn_ms(clockid_t id, unsigned ms)
{
	uint64_t end = clock_ns(id) + ms * 1000000ull;

	while (clock_ns(id) < end)
		;
}

/* A child that waits for a byte on `go` between its steps and answers each with a byte on
 * `done`. */
struct child {
	pid_t pid;
	int go, done;
};

static struct child spawn(void (*steps)(int go, int done))
{
	struct child c;
	int go[2], done[2];

	ck_assert_int_eq(pipe(go), 0);
	ck_assert_int_eq(pipe(done), 0);
	c.pid = fork();
	ck_assert_int_ge(c.pid, 0);
	if (c.pid == 0) {
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		close(go[1]);
		close(done[0]);
		steps(go[0], done[1]);
		_exit(0);
	}
	close(go[0]);
	close(done[1]);
	c.go = go[1];
	c.done = done[0];
	return c;
}

static void say(int fd)
{
	if (write(fd, "x", 1) != 1)
		_exit(1);
}

static void hear(int fd)
{
	char c;

	if (read(fd, &c, 1) != 1)
		_exit(1);
}

static void reap(struct child *c)
{
	close(c->go);
	close(c->done);
	kill(c->pid, SIGKILL);
	waitpid(c->pid, NULL, 0);
}

static void burner(int go, int done)
{
	static char block[4096];
	int null = open("/dev/null", O_WRONLY);

	say(done);
	hear(go);
	burn_ms(CLOCK_PROCESS_CPUTIME_ID, 300);
	for (int i = 0; i < 10; i++)
		if (write(null, block, sizeof(block)) < 0)
			_exit(1);
	uint64_t used = clock_ns(CLOCK_PROCESS_CPUTIME_ID);

	if (write(done, &used, sizeof(used)) != sizeof(used))
		_exit(1);
	hear(go);
}

START_TEST(cpu_of_a_child)
{
	uint64_t used;

	start(NULL);
	struct child c = spawn(burner);

	hear(c.done);
	rig_sample(&rig);
	ck_assert(shown(c.pid)); /* born since the last tick: found at once */
	int64_t cpu = value("proc.schedstat.cpu_time", c.pid),
		wchar = value("proc.io.wchar", c.pid);
	int64_t utime = value("proc.psinfo.utime", c.pid) + value("proc.psinfo.stime", c.pid);

	say(c.go);
	ck_assert_int_eq(read(c.done, &used, sizeof(used)), sizeof(used));
	rig_sample(&rig);
	int64_t all = value("proc.schedstat.cpu_time", c.pid);

	/* How much more it was is the machine's business: the child's own clock tells. */
	ck_assert_int_ge(all - cpu, 285000000);
	ck_assert_int_le(llabs(all - (int64_t)used), 5000000);
	ck_assert_int_ge(
		value("proc.psinfo.utime", c.pid) + value("proc.psinfo.stime", c.pid) - utime, 28);
	ck_assert_int_ge(value("proc.schedstat.run_delay", c.pid), 0);
	ck_assert_int_ge(value("proc.schedstat.pcount", c.pid), 1);
	ck_assert_int_ge(value("proc.io.wchar", c.pid) - wchar, 40960);
	ck_assert_int_gt(value("proc.psinfo.rss", c.pid), 0);
	ck_assert_int_eq(value("proc.psinfo.threads", c.pid), 1);
	ck_assert_int_eq(value("proc.psinfo.ppid", c.pid), getpid());
	int64_t exits = rig_value(&rig, "proc.exits", "");

	reap(&c);
	rig_sample(&rig);
	ck_assert(!shown(c.pid)); /* dead since the last tick: gone at once */
	ck_assert_int_ge(rig_value(&rig, "proc.exits", "") - exits, 1);
	finish();
}
END_TEST

static void *burn_thread(void *arg)
{
	burn_ms(CLOCK_THREAD_CPUTIME_ID, (unsigned)(uintptr_t)arg);
	return NULL;
}

static void threaded(int go, int done)
{
	for (;;) {
		pthread_t t[4];

		say(done);
		hear(go);
		for (int i = 0; i < 4; i++)
			pthread_create(&t[i], NULL, burn_thread, (void *)(uintptr_t)30);
		for (int i = 0; i < 4; i++)
			pthread_join(t[i], NULL);
	}
}

/* Threads come and go: what they used stays counted and nothing ever falls. */
START_TEST(threads_are_summed)
{
	static const char *const metrics[] = {"proc.schedstat.cpu_time", "proc.schedstat.run_delay",
					      "proc.schedstat.pcount"};
	int64_t was[3] = {0};

	struct child c = spawn(threaded); /* before our own threads: it makes some itself */

	start(NULL);
	struct pollfd p = {.fd = c.done, .events = POLLIN};

	for (int round = 0; round < 5; round++) {
		hear(c.done);
		say(c.go);
		do { /* samples while the threads run */
			rig_sample(&rig);
			for (int k = 0; k < 3; k++) {
				int64_t now = value(metrics[k], c.pid);

				ck_assert_int_ge(now, was[k]);
				was[k] = now;
			}
		} while (poll(&p, 1, 7) == 0);
	}
	rig_sample(&rig);
	ck_assert_int_ge(value(metrics[0], c.pid), 5 * 4 * 30 * 1000000ll - 5000000);
	ck_assert_int_ge(value(metrics[2], c.pid), 5 * 4 / 2); /* most were seen while they lived */
	reap(&c);
	finish();
}
END_TEST

/* Descriptors that are no files of processes; and of those that are, how many belong to no live
 * one. */
static unsigned count_fds(unsigned *ret_of_dead)
{
	DIR *d = opendir("/proc/self/fd");
	unsigned n = 0;

	*ret_of_dead = 0;
	for (struct dirent *e; (e = readdir(d));) {
		char path[64], to[128];
		int pid;

		snprintf(path, sizeof(path), "/proc/self/fd/%.20s", e->d_name);
		ssize_t len = readlink(path, to, sizeof(to) - 1);

		if (len < 0)
			continue;
		to[len] = 0;
		if (sscanf(to, "/proc/%d/", &pid) != 1)
			n++;
		else if (kill(pid, 0) && errno == ESRCH)
			++*ret_of_dead;
	}
	closedir(d);
	return n;
}

static long rss_kb(void)
{
	FILE *f = fopen("/proc/self/statm", "r");
	long size, rss = 0;

	ck_assert_int_eq(fscanf(f, "%ld %ld", &size, &rss), 2);
	fclose(f);
	return rss * sysconf(_SC_PAGESIZE) / 1024;
}

static __attribute__((noinline)) void live_briefly(void)
{
	pid_t pid = vfork();

	if (pid == 0)
		_exit(0);
	waitpid(pid, NULL, 0);
}

static pid_t live_on(void)
{
	pid_t pid = fork();

	ck_assert_int_ge(pid, 0);
	if (pid)
		return pid;
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	for (;;)
		pause();
}

/* A tick in which 200 lives begin and end, and 20 more last until the next one. */
static void churn(pid_t *lasting, unsigned *births_seen)
{
	for (int i = 0; i < BRIEF; i++)
		live_briefly();
	for (int i = 0; i < LASTING; i++) {
		kill(lasting[i], SIGKILL);
		waitpid(lasting[i], NULL, 0);
		lasting[i] = live_on();
	}
	rig_sample(&rig);
	for (int i = 0; i < LASTING; i++)
		*births_seen += shown(lasting[i]);
}

static void settle(unsigned *ret_fds)
{
	unsigned dead = 1;

	for (int i = 0; i < 50 && dead; i++) { /* others' processes may end in between */
		rig_sample(&rig);
		*ret_fds = count_fds(&dead);
	}
	ck_assert_uint_eq(dead, 0);
}

START_TEST(short_lives_leak_nothing)
{
	const char *want = getenv("STROBE_TEST_LIVES");
	long lives = want ? atol(want) : SANITIZED ? 1000 : 20000;
	unsigned seen = 0, fds, rounds = 0;
	pid_t lasting[LASTING];
	const struct batch *b = &rig.batches[0];

	start(NULL);
	b = &rig.batches[0];
	for (int i = 0; i < LASTING; i++)
		lasting[i] = live_on();
	for (int i = 0; i < 10; i++)
		churn(lasting, &seen);
	settle(&fds);
	uint32_t live = b->n_live, slots = b->n_slots;
	long rss = rss_kb();
	int64_t births = rig_value(&rig, "proc.births", ""),
		tasks = rig_value(&rig, "proc.task.births", "");

	seen = 0;
	for (long n = 0; n < lives; n += BRIEF + LASTING, rounds++)
		churn(lasting, &seen);
	unsigned fds_after;

	settle(&fds_after);
	/* Where the host starts many more of its own in a tick, some wait for the full look. */
	ck_assert_uint_ge(seen, rounds * LASTING * 9 / 10);
	ck_assert_int_ge(rig_value(&rig, "proc.births", "") - births, rounds * LASTING);
	ck_assert_int_ge(rig_value(&rig, "proc.task.births", "") - tasks,
			 rounds * (BRIEF + LASTING));
	/* Other processes of the host come and go; ours would be 20,000. */
	ck_assert_uint_le(b->n_live, live + 60);
	ck_assert_uint_le(b->n_slots, slots + 100);
	ck_assert_uint_eq(fds_after, fds);
	if (!SANITIZED)
		ck_assert_int_le(rss_kb() - rss, 1024);
	for (int i = 0; i < LASTING; i++) {
		kill(lasting[i], SIGKILL);
		waitpid(lasting[i], NULL, 0);
	}
	finish();
}
END_TEST

/* A tree in which reading one cmdline never comes back: a FIFO that nobody writes. */
START_TEST(a_hanging_name_stops_nobody)
{
	static const int pids[] = {100, 101, 102, 103};
	char dir[64], path[100];
	bool named = false;

	support_dir(dir);
	support_write(dir, "loadavg", "0.00 0.00 0.00 1/4 103\n", 23);
	for (int i = 0; i < 4; i++) {
		char text[256];
		int n = snprintf(text, sizeof(text),
				 "%d (p%d) S 1 1 1 0 -1 0 1 0 0 0 1 0 0 0 20 0 1 0 %d 8192000 5 1 "
				 "5 6 7 0 0 0 0 0 0 "
				 "0 0 0 17 0 0 0 0\n",
				 pids[i], pids[i], pids[i]);

		snprintf(path, sizeof(path), "%d/stat", pids[i]);
		support_write(dir, path, text, (size_t)n);
		snprintf(path, sizeof(path), "%d/cmdline", pids[i]);
		support_write(dir, path, "fine", 5);
	}
	snprintf(path, sizeof(path), "%s/101/cmdline", dir);
	ck_assert_int_eq(unlink(path), 0);
	ck_assert_int_eq(mkfifo(path, 0600), 0);
	start(dir);
	uint64_t worst = 0, end = clock_ns(CLOCK_MONOTONIC) + 10000000000ull;

	while (clock_ns(CLOCK_MONOTONIC) < end) {
		uint64_t t = clock_ns(CLOCK_MONOTONIC);
		int r = rig_sample(&rig);

		t = clock_ns(CLOCK_MONOTONIC) - t;
		worst = t > worst ? t : worst;
		named = r == 1 && strstr(rig.report.reason, "/proc/101/cmdline");
		if (named && !strcmp(attr(100, 1), "fine") && !strcmp(attr(102, 1), "fine") &&
		    !strcmp(attr(103, 1), "fine"))
			break;
		usleep(20000); /* the pace of ticks */
	}
	ck_assert_msg(named, "reason: %s", rig.report.reason);
	ck_assert_str_eq(attr(103, 1), "fine"); /* the others' names came all the same */
	ck_assert_uint_lt(worst, 50000000);
	int fd = open(path, O_WRONLY); /* it answers at last */

	ck_assert_int_ge(fd, 0);
	ck_assert_int_eq(write(fd, "late", 4), 4);
	close(fd);
	for (int i = 0; i < 200 && strcmp(attr(101, 1), "late"); i++) {
		usleep(20000);
		rig_sample(&rig);
	}
	ck_assert_str_eq(attr(101, 1), "late");
	ck_assert_int_eq(rig_sample(&rig), 0);
	finish();
	support_rm(dir);
}
END_TEST

int main(void)
{
	TCase *t = tcase_create("process_host");

	tcase_set_timeout(t, 120);
	tcase_add_test(t, cpu_of_a_child);
	tcase_add_test(t, threads_are_summed);
	tcase_add_test(t, short_lives_leak_nothing);
	tcase_add_test(t, a_hanging_name_stops_nobody);
	return support_run_case("process_host", t);
}
