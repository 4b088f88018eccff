/*
 * Seals a recorded host (argv[1]) as it is written: bytes a sample of the blocks, plain and compressed,
 * the cost of making and of reading them, and of an hour of one series.
 */
#include "recording.h"

#include "store/rollup.h"

#include <unistd.h>

enum { BLOCKS_MAX = 4096, RUNS = 5, LAPS_MAX = 8 };

static struct {
	uint8_t *data[BLOCKS_MAX], *small[BLOCKS_MAX];
	size_t len[BLOCKS_MAX], small_len[BLOCKS_MAX], n;
	uint64_t bytes, small_bytes, n_samples, seal_ns, step_ns; /* step_ns: the longest */
	struct sealer *sealer;
} held;

static int keep(void *arg, struct sealed *s)
{
	size_t n = held.n++;

	(void)arg;
	FEEDER_CHECK(n < BLOCKS_MAX);
	held.data[n] = s->data;
	held.len[n] = s->len;
	held.bytes += s->len;
	held.n_samples += s->head.n_samples;
	return 0;
}

static struct {
	struct rollup *rollup;
	struct mirror catalog;
	uint64_t n, bytes, small_bytes, n_samples, ns, n_buckets;
} rolled;

/* Buckets of the series that are not the same in all of the rollup. */
static uint64_t count_buckets(struct block *b, const struct block_group *g)
{
	const struct mirror_metric *metrics = rolled.catalog.groups[g->group].metrics;
	struct block_mini buckets[BLOCK_READS];
	uint64_t n = 0;

	for (uint32_t i = 0; i < g->n_instances; i++)
		for (uint32_t m = 0; m < rollup_n_metrics(g); m++) {
			bool same = true;

			FEEDER_CHECK(rollup_buckets(b, g, i, m, metrics[m].sem == SEM_COUNTER,
						    buckets) == 0);
			for (uint32_t k = 0; k < g->instances[i].n; k++)
				same &= !buckets[k].n || (buckets[k].min == buckets[0].min &&
							  buckets[k].max == buckets[0].min);
			n += same ? 0 : g->instances[i].n;
		}
	return n;
}

static int take_rollup(void *arg, struct sealed *s)
{
	const struct block_group *g;
	struct block *b;
	uint8_t *small;
	size_t len;

	(void)arg;
	FEEDER_CHECK(block_open(&b, s->data, s->len) == 0);
	for (uint32_t i = 0; i < FEEDER_GROUPS_MAX; i++) {
		FEEDER_CHECK(block_group(b, i, &g) == 0);
		rolled.n_buckets += g ? count_buckets(b, g) : 0;
	}
	block_close(b);
	FEEDER_CHECK(block_compress(s->data, s->len, &small, &len) == 0);
	rolled.n++;
	rolled.bytes += s->len;
	rolled.small_bytes += len;
	free(small);
	free(s->data);
	return 0;
}

/* Of the hour's blocks only the rollups are kept. */
static int roll(void *arg, struct sealed *s)
{
	struct frame catalog = {.data = s->catalog, .len = s->catalog_len};
	struct block *b;
	uint64_t t;

	(void)arg;
	FEEDER_CHECK(mirror_apply(&rolled.catalog, &catalog) == 0);
	t = clock_ns(CLOCK_THREAD_CPUTIME_ID);
	FEEDER_CHECK(block_open(&b, s->data, s->len) == 0);
	FEEDER_CHECK(rollup_add(rolled.rollup, b, &rolled.catalog) == 0);
	block_close(b);
	rolled.ns += clock_ns(CLOCK_THREAD_CPUTIME_ID) - t;
	rolled.n_samples += s->head.n_samples;
	free(s->data);
	return 0;
}

static void follow(void *arg)
{
	int r = 1;

	(void)arg;
	while (r == 1) {
		uint64_t t = clock_ns(CLOCK_THREAD_CPUTIME_ID);

		r = sealer_step(held.sealer);
		t = clock_ns(CLOCK_THREAD_CPUTIME_ID) - t;
		held.seal_ns += t;
		held.step_ns = t > held.step_ns ? t : held.step_ns;
	}
	FEEDER_CHECK(r == 0);
}

static void compress(void)
{
	uint64_t t = clock_ns(CLOCK_THREAD_CPUTIME_ID);

	for (size_t i = 0; i < held.n; i++) {
		FEEDER_CHECK(block_compress(held.data[i], held.len[i], &held.small[i],
					    &held.small_len[i]) == 0);
		held.small_bytes += held.small_len[i];
	}
	fprintf(stderr, "compress: %.2f ns a sample\n",
		(double)(clock_ns(CLOCK_THREAD_CPUTIME_ID) - t) / (double)held.n_samples);
}

/* Every value of a block; how many. */
static uint64_t read_all(const uint8_t *data, size_t len)
{
	int64_t values[BLOCK_READS], base;
	const struct block_group *g;
	struct block *b;
	uint64_t n = 0;

	FEEDER_CHECK(block_open(&b, data, len) == 0);
	for (uint32_t k = 0; k < FEEDER_GROUPS_MAX; k++) {
		FEEDER_CHECK(block_group(b, k, &g) == 0);
		for (uint32_t i = 0; g && i < g->n_instances; i++)
			for (uint32_t m = 0; m < g->n_metrics; m++) {
				FEEDER_CHECK(block_values(b, g, i, m, &base, values) == 0);
				n += g->instances[i].n;
			}
	}
	block_close(b);
	return n;
}

static double decode_ns(uint8_t *const *data, const size_t *len)
{
	double best = 1e9;

	for (unsigned run = 0; run < RUNS; run++) {
		uint64_t t = clock_ns(CLOCK_THREAD_CPUTIME_ID), n = 0;

		for (size_t i = 0; i < held.n; i++)
			n += read_all(data[i], len[i]);
		FEEDER_CHECK(n == held.n_samples);
		double ns = (double)(clock_ns(CLOCK_THREAD_CPUTIME_ID) - t) / (double)n;

		best = ns < best ? ns : best;
	}
	return best;
}

/* One series of all blocks, scaled to an hour at 10 Hz. */
static double series_us(uint8_t *const *data, const size_t *len, uint32_t group, uint32_t metric,
			bool of_minis)
{
	double best = 1e9;

	for (unsigned run = 0; run < RUNS; run++) {
		uint64_t t = clock_ns(CLOCK_THREAD_CPUTIME_ID), n = 0;

		for (size_t i = 0; i < held.n; i++) {
			struct block_mini minis[BLOCK_MINIS_MAX];
			int64_t values[BLOCK_READS], base;
			const struct block_group *g;
			struct block *b;

			FEEDER_CHECK(block_open(&b, data[i], len[i]) == 0 &&
				     block_group(b, group, &g) == 0 && g);
			if (of_minis)
				FEEDER_CHECK(block_minis(b, g, 0, metric, true, minis) == 0);
			else
				FEEDER_CHECK(block_values(b, g, 0, metric, &base, values) == 0);
			n += g->instances[0].n;
			block_close(b);
		}
		double us = (double)(clock_ns(CLOCK_THREAD_CPUTIME_ID) - t) / 1e3 * TICKS_PER_HOUR /
			    (double)n;

		best = us < best ? us : best;
	}
	return best;
}

static void print(const char *name, double value, const char *unit, double budget)
{
	printf("bench %s %.4g %s budget %.4g %s\n", name, value, unit, budget,
	       value <= budget ? "pass" : "fail");
}

/* Rolls an hour up. */
static void bench_rollup(struct recording *b, struct log *l, const char *path)
{
	struct sealer_config sc = {
		.log = l, .boot_id = "bench", .sink = roll, .after_seq = sealer_seq(held.sealer)};
	struct rollup_config rc = {.sink = take_rollup};

	sealer_close(held.sealer);
	FEEDER_CHECK(rollup_open(&rolled.rollup, &rc) == 0);
	FEEDER_CHECK(sealer_open(&held.sealer, &sc) == 0);
	for (unsigned i = 0; i < LAPS_MAX && b->n_ticks < TICKS_PER_HOUR; i++)
		recording_lap(b, path, false);
	FEEDER_CHECK(sealer_flush(held.sealer) == 0 && rollup_flush(rolled.rollup) == 0);
	fprintf(stderr, "%llu rollups, %.2f MB, %.2f MB compressed\n", (unsigned long long)rolled.n,
		(double)rolled.bytes / 1e6, (double)rolled.small_bytes / 1e6);
	print("rollup_bytes_per_sample", (double)rolled.bytes / (double)rolled.n_samples, "By",
	      0.010);
	print("rollup_zstd_bytes_per_sample", (double)rolled.small_bytes / (double)rolled.n_samples,
	      "By", 0.008);
	print("rollup_bytes_per_bucket", (double)rolled.bytes / (double)rolled.n_buckets, "By",
	      3.5);
	print("rollup_ns_per_sample", (double)rolled.ns / (double)rolled.n_samples, "ns", 8);
	rollup_close(rolled.rollup);
	mirror_done(&rolled.catalog);
}

int main(int argc, char **argv)
{
	static struct recording b;
	struct log_config c = {.size_bytes = 64u << 20, .boot_id = ""};
	struct sealer_config sc = {.boot_id = "bench", .sink = keep};
	enum log_state state;
	struct log *l;
	char err[200];

	if (argc < 2 || access(argv[1], R_OK) != 0) {
		printf("bench sealed_bytes_per_sample skip\n");
		return 0;
	}
	FEEDER_CHECK(log_open(&l, &c, &state, err, sizeof(err)) == 0);
	sc.log = l;
	FEEDER_CHECK(sealer_open(&held.sealer, &sc) == 0);
	recording_open(&b, argv[1], l);
	b.after_tick = follow;
	recording_lap(&b, argv[1], false);
	FEEDER_CHECK(sealer_flush(held.sealer) == 0);
	FEEDER_CHECK(held.n_samples == b.n_samples);
	compress();
	fprintf(stderr, "%zu blocks, %.1f MB, %llu samples\n", held.n, (double)held.bytes / 1e6,
		(unsigned long long)held.n_samples);
	print("sealed_bytes_per_sample", (double)held.bytes / (double)held.n_samples, "By", 0.095);
	print("sealed_zstd_bytes_per_sample", (double)held.small_bytes / (double)held.n_samples,
	      "By", 0.075);
	print("seal_encode_ns_per_sample", (double)held.seal_ns / (double)held.n_samples, "ns", 8);
	fprintf(stderr, "the longest step of the sealer: %.1f ms of CPU\n",
		(double)held.step_ns / 1e6);
	print("seal_decode_ns_per_sample", decode_ns(held.data, held.len), "ns", 2);
	print("seal_decode_zstd_ns_per_sample", decode_ns(held.small, held.small_len), "ns", 4);
	print("seal_series_hour_us", series_us(held.data, held.len, 0, 0, false), "us", 500);
	print("seal_series_hour_minis_us", series_us(held.data, held.len, 0, 0, true), "us", 500);
	print("seal_series_hour_zstd_us", series_us(held.small, held.small_len, 0, 0, false), "us",
	      5000);
	bench_rollup(&b, l, argv[1]);
	for (size_t i = 0; i < held.n; i++) {
		free(held.data[i]);
		free(held.small[i]);
	}
	sealer_close(held.sealer);
	feeder_close(&b.f);
	log_close(l);
	return 0;
}
