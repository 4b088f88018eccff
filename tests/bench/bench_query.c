/*
 * Queries over a recorded host (argv[1]), sealed: an hour and a day of it, and what changed among all
 * of its series. Laps of the recording follow each other as boots would, so that one lap need be
 * sealed only.
 */
#include "recording.h"

#include "store/query.h"
#include "store/rank.h"
#include "store/rollup.h"

#include <unistd.h>

enum {
	BLOCKS_MAX = 256,
	HOUR_SERIES = 10,
	POINTS = 2000,
	RUNS = 15,
	DAY_LAPS = 140,
	HOUR_LAPS = 6,
	RANK_LAPS = 12
};

struct lap {
	struct sealed plain[BLOCKS_MAX], small[BLOCKS_MAX], rollup[BLOCKS_MAX];
	uint8_t *catalog;
	size_t n, n_rollups;
	uint64_t span_us; /* of a boot that has the lap */
	struct sealer *sealer;
};

static const int64_t day_us = 86400ll * 1000000;
static struct recording b;
static struct lap lap;

static int keep(void *arg, struct sealed *s)
{
	struct sealed *to = &lap.plain[lap.n], *small = &lap.small[lap.n];

	(void)arg;
	FEEDER_CHECK(lap.n++ < BLOCKS_MAX);
	if (!lap.catalog) {
		lap.catalog = malloc(s->catalog_len);
		FEEDER_CHECK(lap.catalog);
		memcpy(lap.catalog, s->catalog, s->catalog_len);
	}
	*to = *s;
	to->catalog = lap.catalog;
	*small = *to;
	FEEDER_CHECK(block_compress(s->data, s->len, &small->data, &small->len) == 0);
	return 0;
}

static void follow(void *arg)
{
	int r;

	(void)arg;
	while ((r = sealer_step(lap.sealer)) == 1)
		;
	FEEDER_CHECK(r == 0);
}

static int keep_rollup(void *arg, struct sealed *s)
{
	struct sealed *to = &lap.rollup[lap.n_rollups];
	uint8_t *plain = s->data;

	(void)arg;
	FEEDER_CHECK(lap.n_rollups++ < BLOCKS_MAX);
	*to = *s;
	FEEDER_CHECK(block_compress(plain, s->len, &to->data, &to->len) == 0);
	free(plain);
	s->data = NULL;
	return 0;
}

/* Rollups of the lap's blocks; those of a real day would be six times as long. */
static void roll_up(void)
{
	struct rollup_config c = {.sink = keep_rollup};
	struct frame f = {.data = lap.catalog, .len = lap.plain[0].catalog_len};
	struct mirror catalog;
	struct rollup *r;

	mirror_init(&catalog);
	FEEDER_CHECK(mirror_apply(&catalog, &f) == 0);
	FEEDER_CHECK(rollup_open(&r, &c) == 0);
	for (size_t i = 0; i < lap.n; i++) {
		struct block *block;

		FEEDER_CHECK(block_open(&block, lap.plain[i].data, lap.plain[i].len) == 0);
		FEEDER_CHECK(rollup_add(r, block, &catalog) == 0);
		block_close(block);
	}
	FEEDER_CHECK(rollup_flush(r) == 0);
	rollup_close(r);
	mirror_done(&catalog);
}

static void add_copies(struct history *h, const struct sealed *blocks, size_t n, unsigned ago)
{
	for (size_t k = 0; k < n; k++) {
		struct sealed s = blocks[k];

		snprintf(s.head.boot_id, sizeof(s.head.boot_id), "%u", ago);
		s.head.log_id[0] = (uint8_t)ago; /* a log of its own */
		s.head.real_off_us -= (int64_t)(ago * lap.span_us);
		s.data = malloc(s.len);
		FEEDER_CHECK(s.data);
		memcpy(s.data, blocks[k].data, s.len);
		FEEDER_CHECK(history_add(h, &s, false) == 0);
	}
}

/* So many laps, one after the other: the newest is the boot of now. */
static struct history *open_laps(unsigned n, const struct sealed *blocks)
{
	struct history_config c = {.boot_id = "0", .memory_bytes = UINT64_MAX};
	struct history *h;

	FEEDER_CHECK(history_open(&h, &c) == 0);
	for (unsigned i = n; i > 0; i--) {
		add_copies(h, blocks, lap.n, i - 1);
		add_copies(h, lap.rollup, lap.n_rollups, i - 1);
	}
	return h;
}

static int by_value(const void *x, const void *y)
{
	const double *p = x, *q = y;

	return *p < *q ? -1 : *p > *q;
}

static void print(const char *name, double *cost, double budget)
{
	double ms;

	qsort(cost, RUNS, sizeof(*cost), by_value);
	ms = cost[RUNS / 2];
	printf("bench %s %.4g ms budget %.4g %s\n", name, ms, budget,
	       ms <= budget ? "pass" : "fail");
}

static void choose(struct query_selector *sel, size_t n)
{
	for (size_t i = 0, g = 0; i < n; i++, g = (g + 1) % b.n_groups) {
		const struct batch *batch = &b.f.batch[g];
		uint32_t s = 0;

		while (s + 1 < batch->n_slots && !batch->inst[s].live)
			s++;
		sel[i] = (struct query_selector){b.groups[g].metrics[i % batch->n_metrics].name,
						 batch->inst[s].name};
	}
}

static void bench_query(const char *name, struct history *h, size_t n_series, int64_t span_us,
			bool chart, double budget)
{
	struct query_selector sel[HOUR_SERIES];
	struct query_request rq = {
		.selectors = sel, .n_selectors = n_series, .points = POINTS, .chart = chart};
	double cost[RUNS];
	uint64_t n = 0;

	choose(sel, n_series);
	rq.to_us = (int64_t)lap.span_us;
	rq.from_us = rq.to_us - span_us;
	for (unsigned i = 0; i < RUNS; i++) {
		struct query_result *res;
		uint64_t t = clock_ns(CLOCK_THREAD_CPUTIME_ID);

		FEEDER_CHECK(query_run(h, &rq, &res, NULL) == 0);
		cost[i] = (double)(clock_ns(CLOCK_THREAD_CPUTIME_ID) - t) / 1e6;
		FEEDER_CHECK(res->n_series >= n_series);
		for (size_t k = 0; k < res->n_series && i == 0; k++)
			for (uint32_t p = 0; p < rq.points; p++)
				n += res->series[k].points[p].n;
		query_free(res);
	}
	fprintf(stderr, "%s: %llu samples\n", name, (unsigned long long)n);
	print(name, cost, budget);
}

static void bench_rank(const char *name, struct history *h, int64_t span_us)
{
	struct rank_request rq = {.limit = 20};
	double cost[RUNS];

	rq.to_us = (int64_t)lap.span_us - 20000000;
	rq.from_us = rq.to_us - span_us;
	for (unsigned i = 0; i < RUNS; i++) {
		struct rank_result *res;
		uint64_t t = clock_ns(CLOCK_THREAD_CPUTIME_ID);
		int r = rank_run(h, &rq, &res, NULL);

		FEEDER_CHECK(r == 0);
		cost[i] = (double)(clock_ns(CLOCK_THREAD_CPUTIME_ID) - t) / 1e6;
		if (i == 0) {
			fprintf(stderr, "%s: %u series, %u scored, %zu rows\n", name, res->n_series,
				res->n_scored, res->n_rows);
			for (size_t k = 0; k < res->n_rows && k < 8; k++)
				fprintf(stderr,
					"  %-40s %-16s score %.1f before %lld now %lld (%u)\n",
					res->rows[k].metric, res->rows[k].instance,
					res->rows[k].score, (long long)res->rows[k].before,
					(long long)res->rows[k].now, res->rows[k].others);
		}
		rank_free(res);
	}
	print(name, cost, 100);
}

int main(int argc, char **argv)
{
	struct log_config c = {.size_bytes = 64u << 20, .boot_id = ""};
	struct sealer_config sc = {.boot_id = "0", .sink = keep};
	enum log_state state;
	struct history *h;
	struct log *l;
	char err[200];

	if (argc < 2 || access(argv[1], R_OK) != 0) {
		printf("bench query_1h_ms skip\n");
		return 0;
	}
	FEEDER_CHECK(log_open(&l, &c, &state, err, sizeof(err)) == 0);
	sc.log = l;
	FEEDER_CHECK(sealer_open(&lap.sealer, &sc) == 0);
	recording_open(&b, argv[1], l);
	b.shift_us = 1000000 - b.first_us; /* the boot was a second before */
	b.after_tick = follow;
	recording_lap(&b, argv[1], false);
	FEEDER_CHECK(sealer_flush(lap.sealer) == 0);
	lap.span_us = lap.plain[lap.n - 1].head.to_us + 100000;

	roll_up();
	h = open_laps(HOUR_LAPS, lap.plain);
	bench_query("query_1h_ms", h, HOUR_SERIES, 3600000000, false, 5);
	history_close(h);
	h = open_laps(RANK_LAPS, lap.plain);
	bench_rank("rank_5000_ms", h, 5000000);
	bench_rank("rank_5000_10min_ms", h, 600000000);
	history_close(h);
	FEEDER_CHECK(history_open(&h, &(struct history_config){.log = l, .boot_id = "0"}) == 0);
	bench_rank("rank_5000_unsealed_ms", h, 5000000); /* a minute that is in no block yet */
	history_close(h);
	h = open_laps(DAY_LAPS, lap.plain);
	bench_query("query_24h_1_series_ms", h, 1, day_us, false, 20);
	history_close(h);
	h = open_laps(DAY_LAPS, lap.small);
	bench_query("query_24h_1_series_zstd_ms", h, 1, day_us, false, 100);
	bench_query("query_24h_chart_ms", h, 1, day_us, true, 20);
	bench_query("query_24h_chart_10_series_ms", h, HOUR_SERIES, day_us, true, 40);
	history_close(h);

	sealer_close(lap.sealer);
	feeder_close(&b.f);
	log_close(l);
	return 0;
}
