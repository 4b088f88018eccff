/*
 * A program that is known: hot functions in known shares, bursts of work at known times, and a thread that waits for
 * known times. For the tests of the profiler.
 *
 *	tool_spin shares SECONDS	60 / 30 / 10 % in spin_hot, spin_warm, spin_cool
 *	tool_spin pulse SECONDS		80 ms of spin_hot every 900 ms; prints when each began, CLOCK_MONOTONIC us, and its CPU us
 *	tool_spin wait SECONDS		a thread that sleeps 20 ms (spin_nap), waits 30 ms for a lock (spin_lock), 40 ms for a pipe
 *	tool_spin naps N US		N sleeps of US (spin_doze); prints how often it stopped for them, and for how long by the clock
 *	tool_spin pong SECONDS		two threads on one CPU hand a byte to and fro; prints how often it came back
 *	tool_spin storm N		N processes one after another, each runs spin_hot for a moment
 *	tool_spin deep SECONDS DEPTH	recursion without frame pointers
 *
 * Prints "function NAME ADDR" first: ADDR in the file, hexadecimal.
 */
#include <pthread.h>
#include <sched.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define HOT __attribute__((noinline, noclone, optimize("no-omit-frame-pointer")))
#define BARE                                                                                       \
	__attribute__((noinline, noclone,                                                          \
		       optimize("omit-frame-pointer", "no-optimize-sibling-calls")))

static volatile uint64_t sink;

static int64_t now_us(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (int64_t)t.tv_sec * 1000000 + t.tv_nsec / 1000;
}

static int64_t cpu_ns(void)
{
	struct timespec t;

	clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t);
	return (int64_t)t.tv_sec * 1000000000 + t.tv_nsec;
}

/* Work that costs the same in each of the three, and is long against asking for the time. */
#define SPIN_BODY(seed)                                                                            \
	uint64_t x = seed;                                                                         \
	for (uint64_t i = 0; i < n; i++)                                                           \
		x = x * 6364136223846793005u + 1442695040888963407u;                               \
	sink += x

HOT void spin_hot(uint64_t n);
HOT void spin_warm(uint64_t n);
HOT void spin_cool(uint64_t n);
BARE uint64_t spin_deep(unsigned depth, uint64_t n);
HOT void spin_nap(void);
HOT void spin_doze(useconds_t us);
HOT void spin_lock(void);
HOT void spin_pipe(void);

void spin_hot(uint64_t n)
{
	SPIN_BODY(1);
}

void spin_warm(uint64_t n)
{
	SPIN_BODY(2);
}

void spin_cool(uint64_t n)
{
	SPIN_BODY(3);
}

uint64_t spin_deep(unsigned depth, uint64_t n)
{
	uint64_t x = depth;

	if (depth)
		return spin_deep(depth - 1, n) + sink;
	for (uint64_t i = 0; i < n; i++)
		x = x * 6364136223846793005u + 1;
	sink += x;
	return x;
}

HOT static void shares(double seconds)
{
	int64_t end_ns = cpu_ns() + (int64_t)(seconds * 1e9);

	while (cpu_ns() < end_ns) {
		spin_hot(60000);
		spin_warm(30000);
		spin_cool(10000);
	}
}

HOT static void pulse(double seconds)
{
	int64_t start_us = now_us(), end_us = start_us + (int64_t)(seconds * 1e6);

	for (int64_t at = start_us; at < end_us; at += 900000) {
		int64_t wait_us = at - now_us();

		if (wait_us > 0)
			usleep((useconds_t)wait_us);
		long long began_us = now_us();
		int64_t began_ns = cpu_ns();

		while (now_us() < at + 80000)
			spin_hot(20000);
		printf("pulse %lld %lld\n", began_us, (long long)(cpu_ns() - began_ns) / 1000);
		fflush(stdout);
	}
}

/* ---- waiting ---- */

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_barrier_t both;
static int pipe_fds[2];
static volatile int64_t end_waits_us;

void spin_nap(void)
{
	usleep(20000);
	sink++;
}

void spin_doze(useconds_t us)
{
	usleep(us);
	sink++;
}

void spin_lock(void)
{
	pthread_mutex_lock(&lock);
	pthread_mutex_unlock(&lock);
	sink++;
}

void spin_pipe(void)
{
	char c;

	if (read(pipe_fds[0], &c, 1) < 0)
		abort();
	sink++;
}

static void *waiter(void *arg)
{
	(void)arg;
	while (now_us() < end_waits_us) {
		spin_nap();
		pthread_barrier_wait(&both); /* the other has the lock now */
		spin_lock();
		spin_pipe();
		pthread_barrier_wait(&both);
	}
	return NULL;
}

static void waits(double seconds)
{
	pthread_t t;

	end_waits_us = now_us() + (int64_t)(seconds * 1e6);
	pthread_barrier_init(&both, NULL, 2);
	if (pipe(pipe_fds) < 0 || pthread_create(&t, NULL, waiter, NULL))
		abort();
	while (now_us() < end_waits_us) {
		pthread_mutex_lock(&lock);
		pthread_barrier_wait(&both);
		usleep(30000);
		pthread_mutex_unlock(&lock);
		usleep(40000);
		if (write(pipe_fds[1], "", 1) < 0)
			abort();
		pthread_barrier_wait(&both);
	}
	pthread_cancel(t); /* it may wait for a round that is not to come */
	pthread_join(t, NULL);
}

/* Times that this thread stopped of its own accord: a sleep that is late enough does not stop at all. */
static long stops(void)
{
	struct rusage u;

	getrusage(RUSAGE_THREAD, &u);
	return u.ru_nvcsw;
}

static void naps(unsigned n, useconds_t us)
{
	int64_t total_us = 0;
	long before = stops();

	for (unsigned i = 0; i < n; i++) {
		int64_t at_us = now_us();

		spin_doze(us);
		total_us += now_us() - at_us;
	}
	printf("naps %ld %lld\n", stops() - before, (long long)total_us);
}

static int there[2], back[2];

static void *echo(void *arg)
{
	char c;

	(void)arg;
	while (read(there[0], &c, 1) == 1 && c)
		if (write(back[1], &c, 1) != 1)
			abort();
	return NULL;
}

static void pong(double seconds)
{
	int64_t end_us = now_us() + (int64_t)(seconds * 1e6);
	long long n = 0;
	cpu_set_t set;
	pthread_t t;
	char c = 1;

	CPU_ZERO(&set);
	CPU_SET(sched_getcpu(), &set);
	if (sched_setaffinity(0, sizeof(set), &set) < 0 || pipe(there) < 0 || pipe(back) < 0 ||
	    pthread_create(&t, NULL, echo, NULL))
		abort();
	for (; now_us() < end_us; n++)
		if (write(there[1], &c, 1) != 1 || read(back[0], &c, 1) != 1)
			abort();
	c = 0;
	if (write(there[1], &c, 1) != 1)
		abort();
	pthread_join(t, NULL);
	printf("trips %lld\n", n);
}

static void storm(unsigned n)
{
	for (unsigned i = 0; i < n; i++) {
		pid_t pid = fork();

		if (pid < 0)
			abort();
		if (pid == 0) {
			spin_hot(3000000);
			_exit(0);
		}
		waitpid(pid, NULL, 0);
	}
}

static void print_function(const char *name, uintptr_t at)
{
	extern const char __executable_start;

	printf("function %s %llx\n", name,
	       (unsigned long long)(at - (uintptr_t)&__executable_start));
}

int main(int argc, char **argv)
{
	const char *what = argc > 2 ? argv[1] : "";
	double n = argc > 2 ? atof(argv[2]) : 0;

	print_function("spin_hot", (uintptr_t)spin_hot);
	print_function("spin_warm", (uintptr_t)spin_warm);
	print_function("spin_cool", (uintptr_t)spin_cool);
	print_function("spin_deep", (uintptr_t)spin_deep);
	print_function("spin_nap", (uintptr_t)spin_nap);
	print_function("spin_doze", (uintptr_t)spin_doze);
	print_function("spin_lock", (uintptr_t)spin_lock);
	print_function("spin_pipe", (uintptr_t)spin_pipe);
	fflush(stdout);
	if (strcmp(what, "shares") == 0)
		shares(n);
	else if (strcmp(what, "pulse") == 0)
		pulse(n);
	else if (strcmp(what, "wait") == 0)
		waits(n);
	else if (strcmp(what, "naps") == 0 && argc > 3)
		naps((unsigned)n, (useconds_t)atoi(argv[3]));
	else if (strcmp(what, "pong") == 0)
		pong(n);
	else if (strcmp(what, "storm") == 0)
		storm((unsigned)n);
	else if (strcmp(what, "deep") == 0)
		for (int64_t end_ns = cpu_ns() + (int64_t)(n * 1e9); cpu_ns() < end_ns;)
			spin_deep(argc > 3 ? (unsigned)atoi(argv[3]) : 20, 1000000);
	else
		return 2;
	return 0;
}
