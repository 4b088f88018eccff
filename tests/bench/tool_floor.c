/*
 * The floor: does again, at the same rate, exactly the reads that a trace of the agent shows, with
 * the same files, sizes and offsets through kept fds, and parses nothing.
 *
 *	tool_floor PLAN SECONDS HZ
 *
 * PLAN: a line "T" begins a tick, "R SIZE OFFSET PATH" is a pread in it; the ticks are repeated in
 * a circle. Prints "floor US_PER_TICK PERCENT_OF_A_CORE TICKS".
 */
#include "base/clock.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/timerfd.h>
#include <unistd.h>

enum { MAX_READS = 65536, MAX_FILES = 16384 };

struct planned_read {
	int fd; /* -1: a tick begins */
	size_t size;
	off_t offset;
};

static struct planned_read plan[MAX_READS];
static size_t n_plan, n_files;
static char *path_of[MAX_FILES];
static int fd_of[MAX_FILES];
static char buf[1 << 22];

static int file_for(const char *path)
{
	for (size_t i = 0; i < n_files; i++)
		if (strcmp(path_of[i], path) == 0)
			return fd_of[i];
	if (n_files == MAX_FILES)
		return -1;
	path_of[n_files] = strdup(path);
	fd_of[n_files] = open(path, O_RDONLY | O_CLOEXEC);
	return fd_of[n_files++];
}

static int load(const char *file)
{
	FILE *f = fopen(file, "re");
	char line[4200], path[4096];
	unsigned long long size;
	long long offset;

	if (!f)
		return -1;
	while (n_plan < MAX_READS && fgets(line, sizeof(line), f)) {
		if (line[0] == 'T')
			plan[n_plan++] = (struct planned_read){.fd = -1};
		else if (sscanf(line, "R %llu %lld %4095[^\n]", &size, &offset, path) == 3 &&
			 size <= sizeof(buf)) {
			int fd = file_for(path);

			if (fd >= 0)
				plan[n_plan++] =
					(struct planned_read){fd, (size_t)size, (off_t)offset};
		}
	}
	fclose(f);
	return n_plan && plan[0].fd < 0 ? 0 : -1;
}

/* One tick's reads from plan[at]; the index of the next tick. */
static size_t sweep(size_t at)
{
	for (at++; at < n_plan && plan[at].fd >= 0; at++)
		if (pread(plan[at].fd, buf, plan[at].size, plan[at].offset) < 0)
			continue; /* a process that is gone: the agent's read failed as well */
	return at < n_plan ? at : 0;
}

int main(int argc, char **argv)
{
	if (argc != 4 || load(argv[1])) {
		fprintf(stderr, "usage: tool_floor PLAN SECONDS HZ\n");
		return 2;
	}
	long ticks = atol(argv[2]) * atol(argv[3]);
	uint64_t period = 1000000000u / (uint64_t)atol(argv[3]), n;
	int timer = timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC);
	uint64_t first = (clock_ns(CLOCK_MONOTONIC) / period + 2) * period + period / 2;
	struct itimerspec when = {
		.it_interval = {(time_t)(period / 1000000000u), (long)(period % 1000000000u)},
		.it_value = {(time_t)(first / 1000000000u), (long)(first % 1000000000u)},
	};
	size_t at = 0;

	prctl(PR_SET_TIMERSLACK, 1UL);
	at = sweep(at);
	timerfd_settime(timer, TFD_TIMER_ABSTIME, &when, NULL);
	uint64_t cpu = clock_ns(CLOCK_PROCESS_CPUTIME_ID), wall = clock_ns(CLOCK_MONOTONIC);

	for (long i = 0; i < ticks; i++) {
		if (read(timer, &n, sizeof(n)) != sizeof(n))
			return 1;
		at = sweep(at);
	}
	cpu = clock_ns(CLOCK_PROCESS_CPUTIME_ID) - cpu;
	wall = clock_ns(CLOCK_MONOTONIC) - wall;
	printf("floor %.1f %.4f %ld\n", (double)cpu / 1000.0 / (double)ticks,
	       100.0 * (double)cpu / (double)wall, ticks);
	return 0;
}
