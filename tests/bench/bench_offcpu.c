/*
 * What seeing every switch costs the host: two threads on one CPU hand a byte to and fro through pipes; their CPU time per
 * switch with the program in the kernel, and with an event at every switch, less that without. No wait is long
 * enough to be kept, as it is at such rates; and then all are. Medians of rounds that take turns.
 */
#include "base/clock.h"
#include "profile/profiler_private.h"

#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <unistd.h>

enum { ROUNDS = 25, TRIPS = 10000, RING = 512 << 10 };
enum mode { PLAIN, EBPF, KEPT, INTERRUPT, EVENTS, MODES };

static int there[2], back[2];

__attribute__((noreturn)) static void die(const char *what)
{
	fprintf(stderr, "bench_offcpu: %s\n", what);
	exit(1);
}

static void pin(unsigned cpu)
{
	cpu_set_t set;

	CPU_ZERO(&set);
	CPU_SET(cpu, &set);
	if (sched_setaffinity(0, sizeof(set), &set) < 0)
		die("cannot stay on one CPU");
}

static void *echo(void *arg)
{
	char c;

	pin(*(const unsigned *)arg);
	while (read(there[0], &c, 1) == 1 && c)
		if (write(back[1], &c, 1) != 1)
			break;
	return NULL;
}

/* CPU ns of both threads per switch. */
static double trips(unsigned n, double *ret_per_s)
{
	uint64_t cpu_ns = clock_ns(CLOCK_PROCESS_CPUTIME_ID), ns = clock_ns(CLOCK_MONOTONIC);
	char c = 1;

	for (unsigned i = 0; i < n; i++)
		if (write(there[1], &c, 1) != 1 || read(back[0], &c, 1) != 1)
			die("the pipe is closed");
	cpu_ns = clock_ns(CLOCK_PROCESS_CPUTIME_ID) - cpu_ns;
	ns = clock_ns(CLOCK_MONOTONIC) - ns;
	*ret_per_s = 2e9 * n / (double)ns;
	return (double)cpu_ns / (2.0 * n);
}

/* An event on that CPU that the kernel writes without a reader. */
static int open_event(const struct perf_event_attr *attr, unsigned cpu, void **ret_ring)
{
	int fd = profiler_perf_open(attr, -1, cpu);

	if (fd < 0)
		die("cannot open the event: it takes CAP_PERFMON");
	*ret_ring = mmap(NULL, RING + 4096, PROT_READ, MAP_SHARED, fd, 0);
	if (*ret_ring == MAP_FAILED)
		die("cannot map the ring");
	ioctl(fd, PERF_EVENT_IOC_ENABLE, 0);
	return fd;
}

static void see(const struct offcpu_ebpf *e, bool kept)
{
	struct offcpu_ebpf_counts c;

	offcpu_ebpf_counts(e, &c);
	if ((kept ? c.kept : c.n_short) < TRIPS)
		fprintf(stderr, "bench_offcpu: %llu switches, %llu kept, %llu short\n",
			(unsigned long long)c.switches, (unsigned long long)c.kept,
			(unsigned long long)c.n_short);
}

static double with(enum mode mode, const struct host *host, unsigned cpu, double *ret_per_s)
{
	struct profiler p = {.off_dump = true};
	struct perf_event_attr attr;
	struct offcpu_ebpf *e = NULL;
	char err[160];
	void *ring;
	double r;
	int fd;

	if (mode == PLAIN)
		return trips(TRIPS, ret_per_s);
	if (mode == EVENTS)
		profiler_attr_switch(&p, &attr);
	else
		profiler_attr_wait(&p, &attr);
	fd = open_event(&attr, cpu, &ring);
	if (mode != EVENTS && offcpu_ebpf_open(&e, host, mode == EBPF ? 1000 : 0, mode == INTERRUPT,
					       err, sizeof(err)) < 0)
		die(err);
	if (e && offcpu_ebpf_add(e, cpu, fd) < 0)
		die("cannot give the program its event");
	trips(TRIPS / 10, ret_per_s);
	r = trips(TRIPS, ret_per_s);
	if (e)
		see(e, mode != EBPF);
	offcpu_ebpf_close(e);
	munmap(ring, RING + 4096);
	close(fd);
	return r;
}

static int compare(const void *a, const void *b)
{
	double x = *(const double *)a, y = *(const double *)b;

	return x < y ? -1 : x > y;
}

/* Of what a mode takes more than none, each in its round. */
static double median(double (*ns)[ROUNDS], enum mode m)
{
	double v[ROUNDS];

	for (int i = 0; i < ROUNDS; i++)
		v[i] = ns[m][i] - (m == PLAIN ? 0 : ns[PLAIN][i]);
	qsort(v, ROUNDS, sizeof(*v), compare);
	return v[ROUNDS / 2];
}

int main(void)
{
	unsigned cpu = (unsigned)sysconf(_SC_NPROCESSORS_ONLN) - 1;
	double ns[MODES][ROUNDS], per_s[MODES][ROUNDS], ebpf;
	struct host host;
	pthread_t thread;
	char end = 0;

	if (host_open(&host, NULL, NULL, NULL) < 0)
		die("no /proc");
	if (pipe(there) < 0 || pipe(back) < 0 || pthread_create(&thread, NULL, echo, &cpu) != 0)
		die("cannot start");
	pin(cpu);
	for (int i = 0; i < ROUNDS; i++)
		for (enum mode m = PLAIN; m < MODES; m++)
			ns[m][i] = with(m, &host, cpu, &per_s[m][i]);
	if (write(there[1], &end, 1) == 1)
		pthread_join(thread, NULL);
	qsort(per_s[EBPF], ROUNDS, sizeof(double), compare);
	ebpf = median(ns, EBPF);
	printf("bench off_cpu_switch_ns %.0f ns budget 500 %s\n", ebpf,
	       ebpf <= 500 ? "pass" : "fail");
	printf("bench off_cpu_switch_kept_ns %.0f ns budget - info\n", median(ns, KEPT));
	printf("bench off_cpu_switch_kept_interrupt_ns %.0f ns budget - info\n",
	       median(ns, INTERRUPT));
	printf("bench off_cpu_switch_events_ns %.0f ns budget - info\n", median(ns, EVENTS));
	printf("bench off_cpu_switch_plain_ns %.0f ns budget - info\n", median(ns, PLAIN));
	printf("bench off_cpu_switches_per_s %.0f 1/s budget - info\n", per_s[EBPF][ROUNDS / 2]);
	host_close(&host);
	return 0;
}
