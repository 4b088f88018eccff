/*
 * tool_day DIR HOURS: a ring in DIR that holds so many hours of a made-up host, up to a minute ago, for
 * the benchmarks of an agent that has a past: every group of the collectors, eight instances each, at
 * 10 Hz; a tenth of the series changes in a tick.
 */
#include "../feeder.h"

#include "base/clock.h"
#include "collectors/collector.h"
#include "store/keeper.h"

#include <string.h>

enum { INSTANCES = 8, TICK_US = 100000, TICKS_A_ROUND = 2000, RING_BYTES = 1 << 30 };

/* The groups of this build, so that an agent knows the metrics; processes left out. */
static size_t take_groups(struct group *to)
{
	size_t n = 0;

	for (size_t c = 0; c < n_collectors; c++)
		for (size_t g = 0; g < collectors[c]->n_groups && n < FEEDER_GROUPS_MAX; g++)
			if (!collectors[c]->groups[g].managed)
				to[n++] = collectors[c]->groups[g];
	return n;
}

static void fill(struct feeder *f, size_t g, uint64_t *random)
{
	struct batch *b = feeder_batch(f, g);
	const struct group *group = f->groups[g];

	for (int i = 0; i < (group->indom ? INSTANCES : 1); i++) {
		char name[16];
		int len = snprintf(name, sizeof(name), "cpu%d", i);
		int64_t *row = group->indom ? batch_row_named(b, name, (size_t)len) : batch_row(b);

		if (!row) /* the group has fewer */
			break;
		for (uint32_t m = (uint32_t)(f->tick + g) % 10; m < group->n_metrics; m += 10)
			row[m] += group->metrics[m].sem == SEM_COUNTER
					  ? (int64_t)(feeder_random(random) % 1000)
					  : (int64_t)(feeder_random(random) % 200) - 100;
	}
	feeder_group(f, g, 0, -1);
}

static void tick(struct feeder *f, uint64_t *random, uint64_t mono_us)
{
	feeder_tick(f, mono_us);
	for (size_t g = 0; g < f->n; g++)
		fill(f, g, random);
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
	static struct group groups[FEEDER_GROUPS_MAX];
	size_t n_groups = take_groups(groups);

	FEEDER_CHECK(log_open(&log, &lc, &state, err, sizeof(err)) == 0);
	feeder_open(&f, log, groups, n_groups);
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
