/*
 * How fast files of other tools are read and flame graphs written: perf script text of 200,000 samples
 * of 20 frames from 3,000 stacks, made here, and what came of it as a page, as pprof and back.
 */
#include "export/profile.h"
#include "import/import.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

enum { SAMPLES = 200000, STACKS = 3000, DEPTH = 20, RUNS = 5, ROOM = DEPTH * 160 + 128 };

static double now_s(void)
{
	struct timespec t;

	clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t);
	return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

static int by_value(const void *a, const void *b)
{
	double x = *(const double *)a, y = *(const double *)b;

	return x < y ? -1 : x > y;
}

static void fail(const char *what)
{
	fprintf(stderr, "%s\n", what);
	exit(1);
}

/* Stacks that share their roots, addresses and offsets as in a real recording. */
static size_t put_stack(char *to, unsigned stack, unsigned n)
{
	static const char *const modules[] = {
		"[kernel.kallsyms]", "/usr/lib/x86_64-linux-gnu/libc.so.6", "/usr/bin/node"};
	size_t len = 0;

	for (unsigned i = 0; i < DEPTH; i++) {
		unsigned shared = i < DEPTH / 2 ? stack : stack >> (i - DEPTH / 2);
		const char *module = modules[i < 4 ? 0 : 1 + i % 2];

		len += (size_t)sprintf(to + len, "\t%16llx function_of_%u_at_%u+0x%x (%s)\n",
				       (i < 4 ? 0xffffffff81000000ull : 0x7f0012345000ull) +
					       shared * 4096ull + (n * 7 + i) % 64,
				       shared, i, (n * 7 + i) % 64, module);
	}
	return len;
}

static char *make(size_t *ret)
{
	char *text = malloc((size_t)SAMPLES * ROOM);
	unsigned random = 1;
	size_t n = 0;

	if (!text)
		fail("no memory");
	for (unsigned i = 0; i < SAMPLES; i++) {
		random = random * 1103515245 + 12345;
		n += (size_t)sprintf(
			text + n, "node %u/%u [%03u] %u.%06u:   10101010 cpu-clock:pppH: \n", 1000,
			1000 + random % 8, i % 8, 5000 + i / 792, i % 792 * 1262 % 1000000);
		n += put_stack(text + n, (random >> 8) % STACKS, i);
		text[n++] = '\n';
	}
	*ret = n;
	return text;
}

static int drop(void *arg, const void *data, size_t len)
{
	(void)data;
	*(size_t *)arg += len;
	return 0;
}

static struct stacks *read_text(const char *text, size_t len, double *ret_mb_s)
{
	struct import_result r = {0};
	double cost[RUNS];
	char err[256];

	for (int i = 0; i < RUNS; i++) {
		double from = now_s();

		stacks_free(r.stacks);
		if (import_bytes(&r, text, len, IMPORT_ANY, err, sizeof(err)) < 0)
			fail(err);
		cost[i] = now_s() - from;
	}
	qsort(cost, RUNS, sizeof(*cost), by_value);
	*ret_mb_s = (double)len / 1e6 / cost[RUNS / 2];
	if (r.stacks->n_samples != SAMPLES)
		fail("samples are missing");
	return r.stacks;
}

static double write_tree(enum profile_format f, const struct stacks *s)
{
	const struct fold_request q = {
		.ranges = {{s->from_us, s->to_us}}, .n_ranges = 1, .filter = {.cpu = -1}};
	const struct profile_about about = {.title = "bench"};
	size_t bytes = 0;
	const struct profile_out out = {.write = drop, .arg = &bytes};
	struct fold_tree *t;
	struct fold *fold;
	double from;

	if (fold_begin(&fold, &q) < 0 || fold_add(fold, s) < 0 || fold_finish(fold, &t) < 0)
		fail("no tree");
	from = now_s();
	if (export_tree(f, t, &about, &out) < 0)
		fail("no export");
	from = now_s() - from;
	fprintf(stderr, "%s: %u frames, %zu bytes\n", profile_format_name(f), t->n_nodes, bytes);
	fold_tree_free(t);
	return from * 1e3;
}

int main(void)
{
	static const struct {
		const char *name;
		enum profile_format format;
		double budget_ms;
	} trees[] = {{"export_html_ms", PROFILE_HTML, 100},
		     {"export_pprof_ms", PROFILE_PPROF, 100}};
	struct stacks *s;
	double mb_s;
	size_t len;
	char *text = make(&len);

	s = read_text(text, len, &mb_s);
	printf("bench import_perf_script_mb_s %.0f MB/s budget 100 %s\n", mb_s,
	       mb_s >= 100 ? "pass" : "fail");
	for (size_t i = 0; i < sizeof(trees) / sizeof(*trees); i++) {
		double ms = write_tree(trees[i].format, s);

		printf("bench %s %.3g ms budget %.3g %s\n", trees[i].name, ms, trees[i].budget_ms,
		       ms <= trees[i].budget_ms ? "pass" : "fail");
	}
	stacks_free(s);
	free(text);
	return 0;
}
