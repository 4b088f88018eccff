/*
 * What parsing costs: each collector's sample() of its fast groups, batch included, against the
 * bare pread of the files that it keeps open, alternately in one run, medians of 1,000 passes on
 * the live host. Prints a line per collector; collectors that keep no file of /proc open are left
 * out.
 */
#include "base/batch.h"
#include "collectors/collector.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

enum { PASSES = 1000, FDS_MAX = 1024, FILES_MAX = 64 };

/* Not read in a fast pass. */
static const char *const slow_files[] = {"/proc/partitions", NULL};

struct file {
	int fd;
	size_t size; /* of the buffer to offer */
};

static int64_t now_ns(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return t.tv_sec * 1000000000LL + t.tv_nsec;
}

static int by_value(const void *a, const void *b)
{
	int64_t x = *(const int64_t *)a, y = *(const int64_t *)b;

	return (x > y) - (x < y);
}

static double median_us(int64_t *v)
{
	qsort(v, PASSES, sizeof(*v), by_value);
	return (double)v[PASSES / 2] / 1000;
}

/* The files of /proc among the descriptors from `first` on, that the collector has opened. */
static unsigned find_files(int first, struct file file[FILES_MAX])
{
	unsigned n = 0;

	for (int i = first; i < FDS_MAX && n < FILES_MAX; i++) {
		char link[64], path[256];
		bool slow = false;

		snprintf(link, sizeof(link), "/proc/self/fd/%d", i);
		ssize_t len = readlink(link, path, sizeof(path) - 1);

		if (len <= 0)
			continue;
		path[len] = 0;
		for (size_t s = 0; slow_files[s]; s++)
			slow |= strcmp(path, slow_files[s]) == 0;
		if (strncmp(path, "/proc/", 6) == 0 && !slow)
			file[n++] =
				(struct file){i, strncmp(path, "/proc/sys/", 10) ? 1 << 16 : 4095};
	}
	return n;
}

/* As kept_read() does: to the end of the file, /proc/sys with a small buffer. */
static void read_bare(const struct file *file, unsigned n)
{
	static char buf[1 << 16];

	for (unsigned i = 0; i < n; i++) {
		off_t at = 0;

		for (ssize_t got; (got = pread(file[i].fd, buf, file[i].size, at)) > 0;)
			at += got;
	}
}

static void sample_once(const struct collector *c, void *state, struct batch *b, uint64_t tick)
{
	struct collector_report rep = {0};

	for (unsigned g = 0; g < c->n_groups; g++) {
		if (c->groups[g].period_ms)
			continue;
		batch_begin(&b[g], tick);
		if (c->sample(state, g, &b[g], &rep) >= 0)
			batch_finish(&b[g]);
		batch_commit(&b[g]);
	}
}

/* Adds the medians to the totals. */
static void measure(const struct collector *c, const struct host *h, double total[2])
{
	static int64_t own[PASSES], bare[PASSES];
	struct collector_report rep = {0};
	struct batch *b = calloc(c->n_groups, sizeof(*b));
	void *state = calloc(1, c->state_size + 1);
	struct file file[FILES_MAX];
	int first = dup(0);
	unsigned n = 0;

	close(first);
	for (size_t g = 0; g < c->n_groups; g++)
		batch_init(&b[g], &c->groups[g], 0);
	bool ok = !(c->probe && c->probe(h, &rep));

	if (ok && c->open(state, h, &rep) == 0)
		n = find_files(first, file);
	for (int i = 0; i < PASSES && n; i++) {
		int64_t t0 = now_ns();

		sample_once(c, state, b, (uint64_t)i + 1);
		int64_t t1 = now_ns();

		read_bare(file, n);
		own[i] = t1 - t0;
		bare[i] = now_ns() - t1;
	}
	if (n) {
		double o = median_us(own), f = median_us(bare);

		printf("bench parse_%s %.3f ratio budget 1.3 %s (%.1f us, bare pread of %u files "
		       "%.1f us)\n",
		       c->name, o / f, o / f <= 1.3 ? "pass" : "fail", o, n, f);
		total[0] += o;
		total[1] += f;
	}
	if (ok)
		c->close(state);
	for (size_t g = 0; g < c->n_groups; g++)
		batch_done(&b[g]);
	free(b);
	free(state);
}

int main(void)
{
	double total[2] = {0};
	struct host h;

	if (host_open(&h, NULL, NULL, NULL))
		return 1;
	for (size_t i = 0; i < n_collectors; i++)
		if (strcmp(collectors[i]->name, "process") != 0 &&
		    strcmp(collectors[i]->name, "strobe") != 0)
			measure(collectors[i], &h, total);
	printf("bench parse_all %.3f ratio budget 1.3 %s (%.1f us against %.1f us)\n",
	       total[0] / total[1], total[0] / total[1] <= 1.3 ? "pass" : "fail", total[0],
	       total[1]);
	host_close(&h);
	return 0;
}
