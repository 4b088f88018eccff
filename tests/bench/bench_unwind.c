/*
 * What a walk costs, of a stack of some 80 calls through this program and the C library with 16 KiB of it copied, warm; and
 * after 2 MiB of other memory were read, as it is when the profiler wakes up. What tables cost: time and memory for
 * the C library, Node.js and the C++ compiler, where they are.
 */
#include "base/clock.h"
#include "unwind/module_private.h"
#include "unwind/unwind.h"

#include <dlfcn.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <ucontext.h>
#include <unistd.h>

enum { DEPTH = 24, DUMP = 16384, ROUNDS = 2001, IPS = 256 };

static struct host host;
static struct modules *modules;
static struct spaces *spaces;
static struct {
	uint64_t regs[UNWIND_REGS_MAX];
	uint8_t stack[DUMP];
	size_t stack_len;
} sample;

static void print(const char *name, double value, const char *unit, double budget)
{
	if (budget > 0)
		printf("bench %s %.2f %s budget %.0f %s\n", name, value, unit, budget,
		       value <= budget ? "pass" : "fail");
	else
		printf("bench %s %.2f %s budget - info\n", name, value, unit);
}

static void capture(void)
{
#ifdef __x86_64__
	static const int order[] = {REG_RAX, REG_RBX, REG_RCX, REG_RDX, REG_RSI, REG_RDI,
				    REG_RBP, REG_RSP, REG_RIP, REG_R8,	REG_R9,	 REG_R10,
				    REG_R11, REG_R12, REG_R13, REG_R14, REG_R15};
	ucontext_t u;

	getcontext(&u);
	for (size_t i = 0; i < 17; i++)
		sample.regs[i] = (uint64_t)u.uc_mcontext.gregs[order[i]];
	/* No further than what is surely there. */
	sample.stack_len = (size_t)((uintptr_t)environ - (uint64_t)u.uc_mcontext.gregs[REG_RSP]);
	if (sample.stack_len > DUMP)
		sample.stack_len = DUMP;
	memcpy(sample.stack, (const void *)u.uc_mcontext.gregs[REG_RSP], sample.stack_len);
#endif
}

/* qsort() calls it once per level, so that each level is several frames of two modules. */
static int level(const void *a, const void *b);
static int depth;

static void sorts(void)
{
	int v[2] = {2, 1};

	qsort(v, 2, sizeof(v[0]), level);
}

static int level(const void *a, const void *b)
{
	if (depth++ < DEPTH)
		sorts();
	else if (depth == DEPTH + 1)
		capture();
	return *(const int *)a - *(const int *)b;
}

static int by_value(const void *a, const void *b)
{
	uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;

	return (x > y) - (x < y);
}

static double median_us(struct space *x, bool cold, size_t *ret_depth)
{
	static uint64_t ns[ROUNDS];
	static volatile uint8_t other[2 << 20];
	struct unwind_state s = {.regs = sample.regs,
				 .n_regs = (size_t)__builtin_popcountll(unwind_regs_mask()),
				 .stack = sample.stack,
				 .stack_len = sample.stack_len};
	uint64_t ips[IPS];
	enum unwind_end end;

	for (unsigned i = 0; i < ROUNDS; i++) {
		for (size_t k = 0; cold && k < sizeof(other); k += 64)
			other[k]++;
		uint64_t from = clock_ns(CLOCK_MONOTONIC);

		*ret_depth = unwind_user(x, &s, ips, IPS, &end);
		ns[i] = clock_ns(CLOCK_MONOTONIC) - from;
	}
	if (end != UNWIND_WHOLE)
		fprintf(stderr, "the stack was not walked to its end: %d\n", end);
	qsort(ns, ROUNDS, sizeof(ns[0]), by_value);
	return (double)ns[ROUNDS / 2] / 1000;
}

static void bench_table(const char *name, const char *path, double bytes_max)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	struct unwind_table *t;
	char line[80];
	double best = 1e9;
	size_t bytes = 0;

	if (fd < 0)
		return;
	for (unsigned i = 0; i < 3; i++) {
		uint64_t from = clock_ns(CLOCK_THREAD_CPUTIME_ID);

		if (unwind_table_read(&t, fd) != 0)
			break;
		double ms = (double)(clock_ns(CLOCK_THREAD_CPUTIME_ID) - from) / 1e6;

		best = ms < best ? ms : best;
		bytes = t->bytes;
		free(t);
	}
	close(fd);
	snprintf(line, sizeof(line), "unwind_table_%s_ms", name);
	print(line, best, "ms", 0);
	snprintf(line, sizeof(line), "unwind_table_%s_bytes", name);
	print(line, (double)bytes, "By", bytes_max);
}

static void which(const char *cmd, char *path, size_t size)
{
	FILE *f = popen(cmd, "r");

	if (!f || !fgets(path, (int)size, f))
		path[0] = 0;
	path[strcspn(path, "\n")] = 0;
	if (f)
		pclose(f);
}

int main(void)
{
	struct modules_config c = {.host = &host, .memory_bytes = 64 << 20};
	struct space *x;
	size_t n;
	char path[512];
	Dl_info info;

	if (host_open(&host, NULL, NULL, NULL) < 0 || modules_open(&modules, &c) < 0 ||
	    spaces_open(&spaces, &host, modules) < 0)
		return 1;
	x = spaces_get(spaces, (uint32_t)getpid());
	while (modules_step(modules, 0) > 0)
		;
	sorts();
	if (sample.stack_len) {
		double warm = median_us(x, false, &n), cold = median_us(x, true, &n);

		fprintf(stderr, "%zu frames\n", n);
		print("unwind_us", cold, "us", 12);
		print("unwind_warm_us", warm, "us", 12);
	}
	if (dladdr((void *)(uintptr_t)qsort, &info))
		bench_table("libc", info.dli_fname, 200e3);
	which("readlink -f \"$(command -v node)\"", path, sizeof(path));
	bench_table("node", path, 3.8e6);
	which("gcc -print-prog-name=cc1plus", path, sizeof(path));
	bench_table("cc1plus", path, 3.8e6);
	spaces_close(spaces);
	modules_close(modules);
	host_close(&host);
	return 0;
}
