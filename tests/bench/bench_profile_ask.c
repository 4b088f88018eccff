/*
 * What questions about stacks cost, of a synthetic hour: 8 busy CPUs at 99 Hz, stacks that differ at their inner ends, a few
 * much more often than most, as programs have them. Sealed as on disk; questions begin with sealed epochs, but for
 * range_to_tree_ms.
 */
#include "base/clock.h"
#include "profile/kept.h"
#include "stacks/epoch.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum {
	CPUS = 8,
	HZ = 99,
	EPOCHS = 6,
	EPOCH_S = 600,
	FUNCTIONS = 4000,
	LEAVES = 6000,
	TASKS = 200,
	TREE_SAMPLES = 400000
};

static uint64_t seed = 1;

static uint32_t draw(uint32_t below)
{
	seed = seed * 6364136223846793005u + 1442695040888963407u;
	return (uint32_t)((seed >> 33) % below);
}

/* Small ones often. */
static uint32_t skewed(uint32_t below)
{
	uint32_t a = draw(below), b = draw(a + 1);

	return draw(b + 1);
}

static void say(const char *name, double value, const char *unit, double budget)
{
	if (budget > 0)
		printf("bench %s %.4g %s budget %.4g %s\n", name, value, unit, budget,
		       value <= budget ? "pass" : "fail");
	else
		printf("bench %s %.4g %s budget - info\n", name, value, unit);
	fflush(stdout);
}

__attribute__((noreturn)) static void die(const char *what)
{
	fprintf(stderr, "bench_profile_ask: %s\n", what);
	exit(1);
}

static double ms_since(uint64_t ns)
{
	return (double)(clock_ns(CLOCK_THREAD_CPUTIME_ID) - ns) / 1e6;
}

static void add_frames(struct stacks *s)
{
	uint32_t modules[40];

	for (int i = 0; i < 40; i++) {
		char path[64], id[41];

		snprintf(path, sizeof(path), "/usr/lib/x86_64-linux-gnu/lib%d.so.1", i);
		snprintf(id, sizeof(id), "%040x", i * 7919);
		modules[i] = stacks_module(s, path, id);
	}
	for (int i = 0; i < FUNCTIONS; i++) {
		struct stacks_frame f = {.addr = 0x1000 + (uint64_t)i * 160,
					 .module = modules[i % 40],
					 .type = i % 40 ? STACKS_LIBRARY : STACKS_USER};
		char name[64];

		snprintf(name, sizeof(name), "module_%d_function_of_%d", i % 40, i);
		f.name = stacks_string(s, name, strlen(name));
		stacks_frame(s, &f);
	}
}

/* A trie whose nodes hang below earlier ones, mostly late ones: 15 to 40 deep. */
static uint32_t *add_nodes(struct stacks *s)
{
	uint32_t *leaves = calloc(LEAVES, sizeof(*leaves));

	if (!leaves)
		die("no memory");
	for (int i = 0; i < LEAVES; i++) {
		uint32_t node = 0, depth = 15 + draw(25), program = skewed(40);

		for (uint32_t d = 0; d < depth; d++) {
			uint32_t choice = d < depth - 5 ? skewed(1 + d / 4) : skewed(12);

			node = stacks_node(s, node,
					   1 + (program * 331 + d * 17 + choice) % FUNCTIONS);
		}
		leaves[i] = node;
	}
	return leaves;
}

static struct stacks *make_epoch(int number)
{
	struct stacks *s = stacks_new();
	uint32_t *leaves, tasks[TASKS];

	if (!s)
		die("no memory");
	seed = 1;
	s->from_us = (int64_t)number * EPOCH_S * 1000000;
	s->to_us = s->from_us + (int64_t)EPOCH_S * 1000000;
	s->hz = HZ;
	s->n_cpus = CPUS;
	add_frames(s);
	leaves = add_nodes(s);
	for (uint32_t i = 0; i < TASKS; i++) {
		struct stacks_task t = {.pid = 1000 + i / 4 * 4, .tid = 1000 + i};
		char comm[16];

		snprintf(comm, sizeof(comm), "worker-%u", i / 4);
		t.comm = t.process = stacks_string(s, comm, strlen(comm));
		tasks[i] = stacks_task(s, &t);
	}
	seed = (uint64_t)number + 2;
	for (uint32_t i = 0; i < EPOCH_S * HZ * CPUS; i++) {
		uint32_t cpu = i % CPUS, task = skewed(TASKS);
		struct stacks_sample a = {.at_us = s->from_us + (int64_t)(i / CPUS) * 1000000 / HZ +
						   cpu * 900 + draw(40),
					  .weight_us = 1000000 / HZ,
					  .cpu = (uint16_t)cpu,
					  .node = leaves[(task * 97 + skewed(LEAVES / 8)) % LEAVES],
					  .task = tasks[task]};

		stacks_add(s, &a);
	}
	free(leaves);
	return s;
}

/* As the page asks; `keep`: with what is kept of sealed epochs. */
static double flame_ms(struct profiles *p, int64_t from_us, int64_t to_us, bool keep)
{
	const struct fold_request rq = {
		.ranges = {{from_us, to_us}}, .n_ranges = 1, .filter.cpu = -1};
	struct kept_fold f = {.request = &rq};
	uint64_t ns = clock_ns(CLOCK_THREAD_CPUTIME_ID);
	struct fold_tree *t;

	if (fold_begin(&f.fold, &rq) < 0 ||
	    (keep ? profiles_each_memo(p, from_us, to_us, &kept_sums, kept_fold_add, &f)
		  : profiles_each(p, from_us, to_us, kept_fold_add, &f)) < 0 ||
	    fold_finish(f.fold, &t) < 0)
		die("no tree");
	fold_tree_free(t);
	return ms_since(ns);
}

static double heat_ms(struct profiles *p, int64_t from_us, uint32_t n_columns, bool keep)
{
	const struct heat_request rq = {.from_us = from_us,
					.column_us = 1000000,
					.n_columns = n_columns,
					.n_rows = 50,
					.filter.cpu = -1};
	int64_t to_us = from_us + n_columns * 1000000ll;
	uint64_t ns = clock_ns(CLOCK_THREAD_CPUTIME_ID);
	char err[160], *key = heat_part_key(&rq);
	struct profiles_memo memo;
	struct heater *h;
	struct heat *map;

	if (!key)
		die("no memory");
	memo = kept_heat_parts(key);
	if (heat_begin(&h, &rq, err, sizeof(err)) < 0 ||
	    (keep ? profiles_each_memo(p, from_us, to_us, &memo, kept_heat_add, h)
		  : profiles_each(p, from_us, to_us, kept_heat_add, h)) < 0 ||
	    heat_finish(h, &map) < 0)
		die("no map");
	heat_free(map);
	free(key);
	return ms_since(ns);
}

/* The best of a few: the host may be busy. */
static void range_to_tree(const struct stacks *s)
{
	struct fold_request rq = {.ranges = {{s->from_us, s->samples[TREE_SAMPLES].at_us}},
				  .n_ranges = 1};
	double best = 1e9;

	rq.filter.cpu = -1;
	for (int i = 0; i < 7; i++) {
		uint64_t ns = clock_ns(CLOCK_THREAD_CPUTIME_ID);
		struct fold_tree *t;
		struct fold *f;
		double ms;

		if (fold_begin(&f, &rq) < 0 || fold_add(f, s) < 0 || fold_finish(f, &t) < 0)
			die("no tree");
		ms = ms_since(ns);
		fold_tree_free(t);
		best = ms < best ? ms : best;
	}
	say("range_to_tree_ms", best, "ms", 10);
}

int main(void)
{
	struct profiles_config pc = {.memory_bytes = 128 << 20, .boot_id = "", .n_cpus = CPUS};
	const int64_t hour_us = (int64_t)EPOCHS * EPOCH_S * 1000000;
	struct profiles *p;
	uint64_t bytes = 0, samples = 0;
	double seal_ms = 0;

	if (profiles_open(&p, &pc) < 0)
		die("no memory");
	for (int i = 0; i < EPOCHS; i++) {
		struct stacks *s = make_epoch(i);
		uint64_t ns = clock_ns(CLOCK_THREAD_CPUTIME_ID);
		uint8_t *data;
		size_t len;

		if (epoch_encode(s, &data, &len) < 0)
			die("cannot seal");
		seal_ms += ms_since(ns);
		bytes += len;
		samples += s->n_samples;
		if (i == 0)
			range_to_tree(s);
		stacks_free(s);
		if (profiles_take(p, data, len) < 0)
			die("cannot take it");
	}
	say("profile_bytes_per_sample", (double)bytes / (double)samples, "By", 0);
	say("profile_hour_8cpu_mb", (double)bytes / 1e6, "MB", 25);
	say("profile_seal_epoch_ms", seal_ms / EPOCHS, "ms", 0);
	say("profile_heat_hour_cold_ms", heat_ms(p, 0, 3600, false), "ms", 0);
	say("profile_heat_hour_ms", heat_ms(p, 0, 3600, false), "ms", 0);
	say("profile_heat_newest_ms", heat_ms(p, hour_us - 2000000, 2, false), "ms", 0);
	say("profile_flame_hour_ms", flame_ms(p, 0, hour_us, false), "ms", 0);
	say("profile_heat_hour_first_ms", heat_ms(p, -1000000, 3602, true), "ms", 0);
	say("profile_heat_hour_again_ms", heat_ms(p, -1000000, 3602, true), "ms", 10);
	say("profile_flame_hour_first_ms", flame_ms(p, -1000000, hour_us + 1000000, true), "ms", 0);
	say("profile_flame_hour_again_ms", flame_ms(p, -1000000, hour_us + 1000000, true), "ms",
	    80);
	say("profile_flame_5min_ms", flame_ms(p, hour_us - 500000000, hour_us - 200000000, false),
	    "ms", 0);
	say("profile_flame_6s_ms", flame_ms(p, hour_us - 9000000, hour_us - 3000000, false), "ms",
	    0);
	profiles_close(p);
	return 0;
}
