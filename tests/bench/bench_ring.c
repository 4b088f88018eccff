/*
 * The disk ring at 1 GiB: how long it takes to open when nothing of it is in memory, and what a record
 * and a frame cost. The file is made in $TMPDIR (/tmp).
 */
#include "../ring_lab.h"

#include "base/clock.h"

#include <fcntl.h>
#include <sys/resource.h>
#include <unistd.h>

enum { APPENDS = 200, FRAMES = 20000, FRAME_BYTES = 600, OPENS = 5 };

static char dir[128];

static void say(const char *name, double value, const char *unit, double budget)
{
	if (budget > 0)
		printf("bench %s %.4g %s budget %.4g %s\n", name, value, unit, budget,
		       value <= budget ? "pass" : "fail");
	else
		printf("bench %s %.4g %s budget - info\n", name, value, unit);
}

static struct ring *open_ring(void)
{
	struct ring_config c = {.dir = dir, .size_bytes = 1 << 30};
	struct ring *r = NULL;
	char err[300];

	if (ring_open(&r, &c, err, sizeof(err)) < 0) {
		fprintf(stderr, "bench_ring: %s\n", err);
		exit(1);
	}
	return r;
}

/* More than a lap, with records as large as a minute of 5,000 series takes. */
static double fill(void)
{
	struct lab l = {.r = open_ring(), .rnd = 1, .log_no = 1, .catalog_no = 1};
	uint8_t *data = malloc(400 << 10);
	uint64_t payload = 0, n = 0;
	struct ring_stats st;

	FEEDER_CHECK(data);
	lab_fill(data, 400 << 10, 3);
	FEEDER_CHECK(lab_catalog(l.r, 1) == 0);
	l.r->unordered = true; /* the disk's own speed is not the question here */
	for (ring_stats(l.r, &st); st.laps < 1 || l.r->head < 100 << 20; ring_stats(l.r, &st)) {
		struct block_head h = lab_head(&l, l.sealed + 512);
		size_t len = (20 << 10) + feeder_random(&l.rnd) % (160 << 10);

		FEEDER_CHECK(ring_append_head(l.r, RING_BLOCK, &h, data, len) == 0);
		l.sealed += 512;
		payload += len;
		n++;
	}
	l.r->unordered = false;
	for (unsigned i = 0; i < 2000; i++)
		FEEDER_CHECK(lab_journal(&l) == 0);
	ring_stats(l.r, &st);
	free(data);
	say("ring_records", (double)st.n_blocks, "records", 0);
	payload = payload * st.n_blocks / n;
	ring_close(l.r);
	return (double)st.used_bytes / (double)payload;
}

static void forget_pages(void)
{
	char path[160];
	int fd;

	snprintf(path, sizeof(path), "%s/history.strobe", dir);
	fd = open(path, O_RDONLY);
	FEEDER_CHECK(fd >= 0 && fsync(fd) == 0);
	posix_fadvise(fd, 0, 0, POSIX_FADV_DONTNEED);
	close(fd);
}

static double open_ms(bool cold)
{
	double best = 1e9;

	for (unsigned i = 0; i < OPENS; i++) {
		uint64_t t;
		struct ring *r;

		if (cold)
			forget_pages();
		t = clock_ns(CLOCK_MONOTONIC);
		r = open_ring();
		t = clock_ns(CLOCK_MONOTONIC) - t;
		FEEDER_CHECK(r->stats.damaged == 0 && r->n_slots > 1000);
		ring_close(r);
		best = (double)t / 1e6 < best ? (double)t / 1e6 : best;
	}
	return best;
}

static double thread_us(void)
{
	return (double)clock_ns(CLOCK_THREAD_CPUTIME_ID) / 1e3;
}

static void cost(void)
{
	struct lab l = {.r = open_ring(), .log_no = 2, .catalog_no = 1, .len_max = 180 << 10};
	uint8_t *data = malloc(100 << 10), frame[FRAME_BYTES], id[LOG_ID_LEN];
	struct frame f = {.data = frame, .len = sizeof(frame)};
	uint64_t wall = clock_mono_us();
	double cpu = thread_us();

	FEEDER_CHECK(data);
	lab_fill(data, 100 << 10, 3);
	lab_fill(frame, sizeof(frame), 4);
	lab_log_id(2, id);
	for (unsigned i = 0; i < APPENDS; i++) {
		struct block_head h = lab_head(&l, l.sealed + 512);

		FEEDER_CHECK(ring_append_head(l.r, RING_BLOCK, &h, data, 100 << 10) == 0);
		l.sealed += 512;
	}
	say("ring_append_us", (thread_us() - cpu) / APPENDS, "us", 1000);
	say("ring_append_wall_us", (double)(clock_mono_us() - wall) / APPENDS, "us", 0);
	cpu = thread_us();
	for (unsigned i = 0; i < FRAMES; i++) {
		int r;

		f.seq = i + 1;
		frame[0] = i % 1000 ? FRAME_TICK : FRAME_CATALOG;
		r = ring_journal(l.r, id, &f);
		if (r == -ENOSPC) {
			struct block_head h = lab_head(&l, l.sealed = i);

			FEEDER_CHECK(ring_append_head(l.r, RING_BLOCK, &h, data, 9999) == 0);
			r = ring_journal(l.r, id, &f);
		}
		FEEDER_CHECK(r == 0);
	}
	say("ring_journal_us", (thread_us() - cpu) / FRAMES, "us", 20);
	free(data);
	ring_close(l.r);
}

int main(void)
{
	const char *tmp = getenv("TMPDIR");
	double overhead;
	char cmd[160];

	snprintf(dir, sizeof(dir), "%s/strobe-bench-XXXXXX",
		 tmp && strlen(tmp) < 90 ? tmp : "/tmp");
	FEEDER_CHECK(mkdtemp(dir));
	overhead = fill();
	say("ring_recovery_1gib_ms", open_ms(true), "ms", 1000);
	say("ring_recovery_1gib_cached_ms", open_ms(false), "ms", 0);
	say("ring_overhead_percent", (overhead - 1) * 100, "%", 5);
	cost();
	snprintf(cmd, sizeof(cmd), "rm -rf '%s'", dir);
	return system(cmd) != 0;
}
