/*
 * Profiles once they are sampled: bytes a sample as they are stored, an hour of 8 busy CPUs, and
 * how long a range takes to become a tree or a heat map. Times are of the thread's CPU, medians.
 *
 * The loads are made up (stacks_lab.h). Typical: six programs, with as many new nodes a sample as a
 * recording of python3 and node that work on JSON (1.5 a sample at 9,000 of them). Hard: twenty
 * programs in processes of 500 samples, with as many as a recording of compilers (6 at 10,000).
 */
#include "../stacks_lab.h"

#include "profile/profiles.h"
#include "stacks/epoch.h"
#include "stacks/fold.h"

#include <time.h>

enum { HZ = 99, CPUS = 8, EPOCH = HZ * CPUS * 600, RANGE = 400000, RUNS = 9 };

static const struct stacks_lab typical = {.rnd = 1,
					  .n_cpus = CPUS,
					  .hz = HZ,
					  .n_programs = 6,
					  .n_functions = 700,
					  .depth = 18,
					  .spread = 30,
					  .mixed = 100,
					  .named = true};
static const struct stacks_lab hard = {.rnd = 1,
				       .n_cpus = CPUS,
				       .hz = HZ,
				       .n_programs = 20,
				       .n_functions = 2000,
				       .depth = 20,
				       .spread = 100,
				       .mixed = 100,
				       .life = 500,
				       .named = true};

static double now_s(void)
{
	struct timespec t;

	clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t);
	return (double)t.tv_sec + (double)t.tv_nsec * 1e-9;
}

static void say(const char *name, double value, const char *unit, double budget)
{
	if (budget > 0)
		printf("bench %s %.4g %s budget %.4g %s\n", name, value, unit, budget,
		       value <= budget ? "pass" : "fail");
	else
		printf("bench %s %.4g %s budget - info\n", name, value, unit);
}

static int by_value(const void *a, const void *b)
{
	double x = *(const double *)a, y = *(const double *)b;

	return x < y ? -1 : x > y;
}

static double median(double *v, unsigned n)
{
	qsort(v, n, sizeof(*v), by_value);
	return v[n / 2];
}

static struct stacks *make(const struct stacks_lab *load, struct stacks_lab *l, uint32_t n)
{
	struct stacks *s = stacks_new();

	LAB_CHECK(s);
	if (!l->n_cpus)
		*l = *load;
	lab_begin(l, s);
	lab_fill(l, s, n);
	lab_end(l);
	return s;
}

/* ---- stored ---- */

static void bench_epochs(const char *name, const struct stacks_lab *load, uint32_t n, double budget)
{
	struct stacks_lab l = {0};
	double encode_s = 0, decode_s = 0, bytes = 0, samples = 0;
	char label[64];

	while (samples < EPOCH * 6) { /* an hour */
		struct stacks *s = make(load, &l, n), *back;
		double from_s = now_s(), mid_s;
		uint8_t *data;
		size_t len;

		memset(l.running, 0, sizeof(l.running)); /* tasks are told anew in each */
		LAB_CHECK(epoch_encode(s, &data, &len) == 0);
		mid_s = now_s();
		LAB_CHECK(epoch_decode(data, len, &back) == 0);
		decode_s += now_s() - mid_s;
		encode_s += mid_s - from_s;
		bytes += (double)len;
		samples += n;
		free(data);
		stacks_free(back);
		stacks_free(s);
	}
	bytes *= EPOCH * 6 / samples;
	snprintf(label, sizeof(label), "profile_bytes_per_sample%s", name);
	say(label, bytes / (EPOCH * 6), "bytes", 0);
	snprintf(label, sizeof(label), "profile_hour_8cpu%s_mb", name);
	say(label, bytes / 1e6, "MB", budget);
	snprintf(label, sizeof(label), "epoch_encode%s_ns", name);
	say(label, encode_s / samples * 1e9, "ns/sample", 0);
	snprintf(label, sizeof(label), "epoch_decode%s_ns", name);
	say(label, decode_s / samples * 1e9, "ns/sample", 0);
}

/* ---- looked at ---- */

static double time_tree(const struct stacks *s, bool by_process, uint32_t *ret_nodes)
{
	struct fold_request q = {.n_ranges = 1, .by_process = by_process, .filter = {.cpu = -1}};
	double took[RUNS];

	q.ranges[0] = (struct stacks_range){s->from_us, s->to_us};
	for (unsigned i = 0; i < RUNS; i++) {
		double from_s = now_s();
		struct fold_tree *t;
		struct fold *f;

		LAB_CHECK(fold_begin(&f, &q) == 0);
		LAB_CHECK(fold_add(f, s) == 0);
		LAB_CHECK(fold_finish(f, &t) == 0);
		took[i] = (now_s() - from_s) * 1e3;
		*ret_nodes = t->n_nodes;
		fold_tree_free(t);
	}
	return median(took, RUNS);
}

static double time_heat(const struct stacks *s, const char *pattern, enum heat_rows by)
{
	struct heat_request q = {.from_us = s->from_us,
				 .column_us = 1000000,
				 .n_columns = 600,
				 .by = by,
				 .n_rows = 50,
				 .filter = {.cpu = -1},
				 .pattern = pattern};
	double took[RUNS];

	for (unsigned i = 0; i < RUNS; i++) {
		double from_s = now_s();
		struct heater *h;
		struct heat *heat;
		char err[100];

		LAB_CHECK(heat_begin(&h, &q, err, sizeof(err)) == 0);
		LAB_CHECK(heat_add(h, s) == 0);
		LAB_CHECK(heat_finish(h, &heat) == 0);
		took[i] = (now_s() - from_s) * 1e3;
		heat_free(heat);
	}
	return median(took, RUNS);
}

/* What a reader gets: an epoch as it was stored. */
static struct stacks *stored(const struct stacks_lab *load, uint32_t n)
{
	struct stacks_lab l = {0};
	struct stacks *s = make(load, &l, n), *back;
	uint8_t *data;
	size_t len;

	LAB_CHECK(epoch_encode(s, &data, &len) == 0);
	LAB_CHECK(epoch_decode(data, len, &back) == 0);
	free(data);
	stacks_free(s);
	return back;
}

static void bench_reading(const char *name, const struct stacks_lab *load, double budget)
{
	struct stacks *s = stored(load, RANGE);
	uint32_t n_nodes;
	char label[64];

	snprintf(label, sizeof(label), "range_to_tree%s_ms", name);
	say(label, time_tree(s, false, &n_nodes), "ms", budget);
	snprintf(label, sizeof(label), "range_to_tree_by_process%s_ms", name);
	say(label, time_tree(s, true, &n_nodes), "ms", 0);
	snprintf(label, sizeof(label), "range_nodes%s", name);
	say(label, s->n_nodes, "nodes", 0);
	stacks_free(s);
}

static void bench_heat(void)
{
	struct stacks *s = stored(&typical, EPOCH);

	say("heat_hour_8cpu_ms", 6 * time_heat(s, NULL, HEAT_OFFSET), "ms", 0);
	say("heat_hour_8cpu_matched_ms", 6 * time_heat(s, "step_.*f[0-9]", HEAT_OFFSET), "ms", 0);
	say("heat_hour_8cpu_by_process_ms", 6 * time_heat(s, NULL, HEAT_PROCESS), "ms", 0);
	stacks_free(s);
}

/* ---- interned ---- */

static void bench_interning(void)
{
	struct stacks *s = stored(&typical, RANGE);
	double took[RUNS];

	for (unsigned i = 0; i < RUNS; i++) {
		double from_s = now_s();

		for (uint32_t k = 1; k < s->n_nodes; k++)
			LAB_CHECK(stacks_node(s, s->nodes[k].parent, s->nodes[k].frame) == k);
		took[i] = (now_s() - from_s) / s->n_nodes * 1e9;
	}
	say("stacks_node_ns", median(took, RUNS), "ns", 100);
	stacks_free(s);
}

int main(void)
{
	bench_epochs("", &typical, EPOCH, 25);
	bench_epochs("_short_epochs", &typical, EPOCH / 8, 0); /* as with 16 MiB for all of it */
	bench_epochs("_hard", &hard, EPOCH, 0);
	bench_reading("", &typical, 10);
	bench_reading("_hard", &hard, 0);
	bench_heat();
	bench_interning();
	return 0;
}
