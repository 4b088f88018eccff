/*
 * What it takes to know what functions are called: node's symbol table, the kernel's, a large perf map.
 */
#include "symbols/symbols.h"

#include "base/clock.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum { ROUNDS = 7, LOOKUPS = 16000, MAP_LINES = 100000 };

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

	return (x > y) - (x < y);
}

static double median(double *v, size_t n)
{
	qsort(v, n, sizeof(*v), by_value);
	return v[n / 2];
}

/* CPU time: the files are in memory, and the machine may have more to do. */
static double now_ms(void)
{
	return (double)clock_ns(CLOCK_THREAD_CPUTIME_ID) / 1e6;
}

static uint64_t rnd;

static uint64_t next_random(void)
{
	rnd = rnd * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
	return rnd >> 16;
}

/* The node that is found first in $PATH, or "". */
static void find_node(char *path, size_t size)
{
	FILE *f = popen("readlink -f \"$(command -v node)\" 2>/dev/null", "r");

	path[0] = 0;
	if (f && fgets(path, (int)size, f))
		path[strcspn(path, "\n")] = 0;
	if (f)
		pclose(f);
}

static void bench_node(void)
{
	char path[512], name[1024];
	double ms[ROUNDS];
	struct symtab *t = NULL;
	size_t found = 0;

	find_node(path, sizeof(path));
	int fd = path[0] ? open(path, O_RDONLY | O_CLOEXEC) : -1;

	if (fd < 0) {
		printf("# no node here\n");
		return;
	}
	for (int i = 0; i < ROUNDS; i++) {
		symtab_close(t);
		double from = now_ms();

		if (symtab_open(&t, fd, "") < 0)
			exit(1);
		ms[i] = now_ms() - from;
	}
	close(fd);
	say("symtab_load_node_ms", median(ms, ROUNDS), "ms", 25);
	say("symtab_node_functions", (double)symtab_count(t), "functions", 0);
	say("symtab_node_kib", (double)symtab_bytes(t) / 1024, "KiB", 2400);

	/* Function starts, as frames have them; among all of node's code few addresses are none's. */
	double from = now_ms();

	for (int i = 0; i < LOOKUPS; i++)
		found += symtab_find(t, 0xb72000 + next_random() % 0x1a00000, name, sizeof(name),
				     NULL) == 0;
	say("symbols_lookup_us", (now_ms() - from) * 1000 / LOOKUPS, "us", 10);
	say("symbols_lookup_found", 100.0 * (double)found / LOOKUPS, "%", 0);
	symtab_close(t);
}

static void bench_kernel(void)
{
	struct kernel_symbols *k = NULL;
	struct host host;
	char err[200];
	double ms[ROUNDS];
	size_t found = 0;

	if (host_open(&host, NULL, NULL, NULL) < 0)
		exit(1);
	for (int i = 0; i < ROUNDS; i++) {
		kernel_symbols_close(k);
		double from = now_ms();

		k = NULL;
		if (kernel_symbols_open(&k, &host, err, sizeof(err)) < 0) {
			printf("# %s\n", err);
			host_close(&host);
			return;
		}
		ms[i] = now_ms() - from;
	}
	say("kallsyms_load_ms", median(ms, ROUNDS), "ms", 44);
	say("kallsyms_kib", (double)kernel_symbols_bytes(k) / 1024, "KiB", 2400);
	double from = now_ms();

	for (int i = 0; i < LOOKUPS; i++)
		found += kernel_name(k, 0xffffffff81000000 + next_random() % 0x1000000, NULL) !=
			 NULL;
	say("kernel_name_us", (now_ms() - from) * 1000 / LOOKUPS, "us", 1);
	if (!found)
		printf("# the kernel lies elsewhere\n");
	kernel_symbols_close(k);
	host_close(&host);
}

/* A map such as node --perf-basic-prof writes, of this process. */
static void bench_map(void)
{
	struct perf_map *m = NULL;
	struct host host;
	char path[64];

	snprintf(path, sizeof(path), "/tmp/perf-%d.map", getpid());
	FILE *f = fopen(path, "w");

	if (!f || host_open(&host, NULL, NULL, NULL) < 0)
		exit(1);
	for (unsigned i = 0; i < MAP_LINES; i++)
		fprintf(f, "%llx %x LazyCompile:*someFunction%u /srv/app/lib/module%u.js:%u:17\n",
			0x7f0000000000ull + next_random() % (MAP_LINES * 512ull), 400, i, i % 300,
			i % 1000);
	fflush(f);
	double from = now_ms();

	if (perf_map_open(&m, &host, (uint32_t)getpid()) < 0)
		exit(1);
	say("perf_map_load_100k_ms", now_ms() - from, "ms", 250);
	say("perf_map_kib", (double)perf_map_bytes(m) / 1024, "KiB", 0);
	fprintf(f, "7f0000000000 40 one more\n");
	fclose(f);
	from = now_ms();
	if (perf_map_refresh(m) != 1)
		exit(1);
	say("perf_map_refresh_ms", now_ms() - from, "ms", 10);
	unlink(path);
	perf_map_close(m);
	host_close(&host);
}

int main(void)
{
	bench_node();
	bench_kernel();
	bench_map();
	return 0;
}
