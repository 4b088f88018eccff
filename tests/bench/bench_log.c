/*
 * Replays a recorded host (argv[1], zstd; its layout is described beside it) through batch, encoder
 * and log: bytes a sample, cost of a tick, and a query over an hour of it.
 */
#include "recording.h"

#include "store/query.h"

#include <unistd.h>

enum { LAPS_MAX = 8, QUERY_SERIES = 10, QUERY_RUNS = 15 };
static int by_value(const void *a, const void *b)
{
	const uint32_t *x = a, *y = b;

	return *x < *y ? -1 : *x > *y;
}

static void print(const char *name, double value, const char *unit, double budget)
{
	printf("bench %s %.4g %s budget %.4g %s\n", name, value, unit, budget,
	       value <= budget ? "pass" : "fail");
}

static double query_ms(struct recording *b, struct log *l)
{
	struct history *h;
	struct query_selector sel[QUERY_SERIES];
	struct query_request rq = {.selectors = sel,
				   .n_selectors = QUERY_SERIES,
				   .points = 2000,
				   .from_us = (int64_t)log_oldest_us(l)};
	uint32_t cost[QUERY_RUNS];
	uint64_t n = 0;

	for (size_t i = 0, g = 0; i < QUERY_SERIES; i++, g = (g + 1) % b->n_groups) {
		const struct batch *batch = &b->f.batch[g];
		uint32_t s = 0;

		while (s + 1 < batch->n_slots && !batch->inst[s].live)
			s++;
		sel[i] = (struct query_selector){b->groups[g].metrics[i % batch->n_metrics].name,
						 batch->inst[s].name};
	}
	sel[QUERY_SERIES - 1].metric =
		b->groups[b->n_groups - 1].metrics[3].name; /* the busiest group too */
	sel[QUERY_SERIES - 1].instance = b->f.batch[b->n_groups - 1].inst[0].name;
	FEEDER_CHECK(history_open(&h, &(struct history_config){.log = l}) == 0);
	rq.to_us = (int64_t)b->f.mono_us + 1;
	for (unsigned i = 0; i < QUERY_RUNS; i++) {
		struct query_result *res;
		uint64_t t = clock_ns(CLOCK_THREAD_CPUTIME_ID);

		FEEDER_CHECK(query_run(h, &rq, &res, NULL) == 0);
		cost[i] = (uint32_t)((clock_ns(CLOCK_THREAD_CPUTIME_ID) - t) / 1000);
		FEEDER_CHECK(res->n_series >= QUERY_SERIES);
		for (size_t k = 0; k < res->n_series && i == 0; k++)
			for (uint32_t p = 0; p < rq.points; p++)
				n += res->series[k].points[p].n;
		query_free(res);
	}
	fprintf(stderr, "query: %.0f s, %llu samples\n", (double)(rq.to_us - rq.from_us) / 1e6,
		(unsigned long long)n);
	history_close(h);
	qsort(cost, QUERY_RUNS, sizeof(*cost), by_value);
	return cost[QUERY_RUNS / 2] / 1000.0;
}

static void report(struct recording *b, struct log *l)
{
	uint64_t sum = 0;

	for (uint64_t i = 0; i < b->n_ticks; i++)
		sum += b->cost_ns[i];
	qsort(b->cost_ns, b->n_ticks, sizeof(*b->cost_ns), by_value);
	fprintf(stderr,
		"%llu ticks, %.0f series a tick, %llu samples left out, %.1f MB of log, encode "
		"mean %.2f us, p99 %.2f us\n",
		(unsigned long long)b->n_ticks, (double)b->n_samples / (double)b->n_ticks,
		(unsigned long long)b->n_skipped, (double)log_bytes_total(l) / 1e6,
		(double)sum / (double)b->n_ticks / 1e3, b->cost_ns[b->n_ticks * 99 / 100] / 1e3);
	print("log_bytes_per_sample", (double)log_bytes_total(l) / (double)b->n_samples, "By",
	      0.13);
	print("log_encode_us_per_tick", b->cost_ns[b->n_ticks / 2] / 1e3, "us", 15);
	print("query_1h_10_series_ms", query_ms(b, l), "ms", 50);
}

int main(int argc, char **argv)
{
	static struct recording b;
	struct log_config c = {.size_bytes = 64u << 20, .boot_id = ""};
	enum log_state state;
	struct log *l;
	char err[200];

	if (argc < 2 || access(argv[1], R_OK) != 0) {
		printf("bench log_bytes_per_sample skip\n");
		return 0;
	}
	FEEDER_CHECK(log_open(&l, &c, &state, err, sizeof(err)) == 0);
	recording_open(&b, argv[1], l);
	for (unsigned i = 0; i < LAPS_MAX && b.n_ticks < TICKS_PER_HOUR; i++)
		recording_lap(&b, argv[1], false);
	report(&b, l);
	log_close(l);
	return 0;
}
