/*
 * The kernel's symbols, read at the start and again when its modules have changed. perf tells of eBPF programs that come
 * and go (profiler_ksym.c), of modules it does not: the background looks at their list now and then, soon after code was
 * sampled that nobody knows, and reads all symbols anew when the list is another one. The capture thread takes them at the
 * start of a round and hands the old ones back.
 */
#include "base/cleanup.h"
#include "base/clock.h"
#include "profile/profiler_private.h"

#include <string.h>
#include <unistd.h>

enum {
	LOOK_US =
		2000000, /* what lies right behind another module would have that one's names so long */
	SOON_US = 500000, /* after code that nobody knows */
	READ_US = 5000000 /* it takes some 50 ms of a CPU, and may find modules loaded in a row */
};

/* Of names, sizes, states and addresses of all modules; how often one is used, and by whom, says nothing. 0: no list. */
static uint64_t list_modules(const struct host *h)
{
	_cleanup_close_ int fd = host_file(h, ROOT_PROC, "modules");
	enum { USES = 2, USERS = 3 };
	uint64_t sum = 0xcbf29ce484222325;
	unsigned word = 0;
	char buf[4096];
	ssize_t n;

	if (fd < 0)
		return 0;
	while ((n = read(fd, buf, sizeof(buf))) > 0)
		for (ssize_t i = 0; i < n; i++) {
			if (word != USES && word != USERS)
				sum = (sum ^ (uint8_t)buf[i]) * 0x100000001b3;
			word = buf[i] == '\n' ? 0 : word + (buf[i] == ' ');
		}
	return n < 0 ? 0 : sum;
}

int profiler_kernel_open(struct profiler *p, char *err, size_t err_len)
{
	struct profiler_kernel *k = &p->kernel_modules;
	int64_t now_us = (int64_t)clock_mono_us();

	k->listed = list_modules(p->config.host);
	k->look_us = now_us + LOOK_US;
	k->read_us = now_us;
	return kernel_symbols_open(&p->kernel, p->config.host, err, err_len);
}

void profiler_kernel_close(struct profiler *p)
{
	kernel_symbols_close(p->kernel);
	kernel_symbols_close(atomic_load(&p->kernel_modules.next));
	kernel_symbols_close(atomic_load(&p->kernel_modules.old));
}

void profiler_kernel_adopt(struct profiler *p)
{
	struct profiler_kernel *k = &p->kernel_modules;
	struct kernel_symbols *next = atomic_exchange(&k->next, NULL);

	if (!next)
		return;
	profiler_ksyms_settle(p, atomic_load(&k->next_ns));
	atomic_store(&k->old, p->kernel);
	p->kernel = next;
}

/* The namer has the new ones first: it gives no names by those that are handed back. */
static void read_again(struct profiler *p, int64_t now_us)
{
	struct profiler_kernel *k = &p->kernel_modules;
	struct kernel_symbols *next = NULL;
	uint64_t at_ns = clock_ns(CLOCK_MONOTONIC);
	char err[160];

	k->read_us = now_us;
	if (kernel_symbols_open(&next, p->config.host, err, sizeof(err)) < 0)
		return; /* what there is stands */
	namer_set_kernel(p->namer, next);
	atomic_store(&k->next_ns, at_ns);
	atomic_store(&k->next, next);
}

void profiler_kernel_step(struct profiler *p, int64_t now_us)
{
	struct profiler_kernel *k = &p->kernel_modules;
	uint64_t listed;

	/* Handed over, and not taken yet. */
	if (!p->namer || !k->listed || atomic_load(&k->next))
		return;
	kernel_symbols_close(atomic_exchange(&k->old, NULL));
	if (now_us < k->look_us - (atomic_load(&k->unknown) ? LOOK_US - SOON_US : 0))
		return;
	atomic_store(&k->unknown, false); /* what is sampled from now on asks for another look */
	listed = list_modules(p->config.host);
	k->look_us = now_us + LOOK_US;
	if (!listed || listed == k->listed)
		return;
	if (now_us - k->read_us < READ_US) {
		atomic_store(&k->unknown, true);
		return;
	}
	k->listed = listed;
	read_again(p, now_us);
}
