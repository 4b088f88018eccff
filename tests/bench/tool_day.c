/*
 * tool_day DIR HOURS: a ring in DIR that holds so many hours of a made-up host, up to a minute ago, for
 * the benchmarks of an agent that has a past: 40 CPUs' worth of counters and levels, 1,000 series at
 * 10 Hz, of which every tenth changes in a tick.
 */
#include "../feeder.h"

#include "base/clock.h"
#include "store/keeper.h"

#include <string.h>

enum { METRICS = 25, INSTANCES = 40, TICK_US = 100000, TICKS_A_ROUND = 2000, RING_BYTES = 1 << 30 };

static struct metric metrics[METRICS];
static struct group group = {.name = "made.up",
			     .indom = "thing",
			     .metrics = metrics,
			     .n_metrics = METRICS,
			     .max_instances = INSTANCES};

static void make_metrics(void)
{
	for (int i = 0; i < METRICS; i++) {
		char name[40];

		snprintf(name, sizeof(name), "made.up.m%02d", i);
		metrics[i] = (struct metric){.name = strdup(name),
					     .unit = "count",
					     .mul = 1,
					     .div = 1,
					     .source = "made up",
					     .help = "A series of a made-up host.",
					     .sem = i % 2 ? SEM_INSTANT : SEM_COUNTER};
	}
}

static void tick(struct feeder *f, uint64_t *random, uint64_t mono_us)
{
	struct batch *b;

	feeder_tick(f, mono_us);
	b = feeder_batch(f, 0);
	for (int i = 0; i < INSTANCES; i++) {
		char name[16];
		int len = snprintf(name, sizeof(name), "thing%d", i);
		int64_t *row = batch_row_named(b, name, (size_t)len);

		for (int m = (int)(f->tick % 10); m < METRICS; m += 10)
			row[m] += m % 2 ? (int64_t)(feeder_random(random) % 200) - 100
					: (int64_t)(feeder_random(random) % 1000);
	}
	feeder_group(f, 0, 0, -1);
	feeder_end(f);
}

int main(int argc, char **argv)
{
	uint64_t n = argc > 2 ? strtoull(argv[2], NULL, 10) * 36000 : 0, random = 1;
	struct log_config lc = {.size_bytes = 16 << 20, .boot_id = "made-up-boot"};
	struct ring_config rc = {.dir = argv[1], .size_bytes = RING_BYTES};
	struct history_config hc = {.boot_id = lc.boot_id, .memory_bytes = 4 << 20};
	struct keeper_config kc = {.boot_id = lc.boot_id, .round_ms = 1};
	static struct feeder f;
	enum log_state state;
	struct log *log;
	char err[512];

	if (!n)
		return 2;
	make_metrics();
	FEEDER_CHECK(log_open(&log, &lc, &state, err, sizeof(err)) == 0);
	feeder_open(&f, log, &group, 1);
	f.real_off_us =
		(int64_t)(clock_ns(CLOCK_REALTIME) / 1000) - 60000000 - (int64_t)(n * TICK_US);
	hc.log = kc.log = log;
	if (ring_open(&kc.ring, &rc, err, sizeof(err)) < 0) {
		fprintf(stderr, "%s\n", err);
		return 1;
	}
	FEEDER_CHECK(history_open(&kc.history, &hc) == 0);
	FEEDER_CHECK(history_attach(kc.history, kc.ring) == 0);
	struct keeper *k;

	FEEDER_CHECK(keeper_open(&k, &kc) == 0);
	for (uint64_t i = 1; i <= n; i++) {
		tick(&f, &random, i * TICK_US);
		if (i % TICKS_A_ROUND == 0)
			FEEDER_CHECK(keeper_step(k) == 0);
	}
	keeper_finish(k);
	keeper_close(k);
	history_close(kc.history);
	ring_close(kc.ring);
	log_close(log);
	return 0;
}
