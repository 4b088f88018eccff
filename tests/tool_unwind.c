/*
 * How far stacks go. Samples are unwound by strobe's tables, from a perf.data file that `perf record --call-graph
 * dwarf` wrote, or from a ring of its own around a command:
 *
 *   tool_unwind file PERF.DATA          one line a sample: TID TIME_NS DEPTH END LAST_IP
 *   tool_unwind run DUMP HZ COMMAND...  sums: samples, how they ended, mean depths
 *   tool_unwind table FILE...           rows, bytes and milliseconds of each file's table
 */
#include "base/clock.h"
#include "unwind/module_private.h"
#include "unwind/unwind.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/perf_event.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/sysmacros.h>
#include <sys/wait.h>
#include <unistd.h>

static const char *const end_names[] = {"whole", "short", "no-table", "no-rule", "full"};
enum { IPS_MAX = 512, CPUS_MAX = 64, RING_BYTES = 512 << 10, PIDS_MAX = 1 << 16 };

static struct tool {
	struct host host;
	struct modules *modules;
	struct spaces *spaces;
	struct perf_event_attr attr;
	bool verbose, wait_for_tables, dump_stacks;
	uint8_t ours[1 << 22]; /* pids that count */
	uint64_t n, n_end[5], depth, depth_frame, depth_best, shallow, shallow_frame, whole_best,
		ns;
	uint64_t dump_bytes, lost, early;
} t;

/* ---- a sample ---- */

struct sample {
	uint32_t pid, tid;
	uint64_t time, ip, abi;
	const uint64_t *chain, *regs;
	uint64_t n_chain, stack_len;
	const uint8_t *stack;
};

static bool parse_sample(const struct perf_event_header *h, struct sample *s)
{
	const uint64_t *p = (const uint64_t *)(h + 1);
	uint64_t type = t.attr.sample_type, mask = t.attr.sample_regs_user, size;

	*s = (struct sample){0};
	p += !!(type & PERF_SAMPLE_IDENTIFIER);
	if (type & PERF_SAMPLE_IP)
		s->ip = *p++;
	if (type & PERF_SAMPLE_TID) {
		s->pid = (uint32_t)*p;
		s->tid = (uint32_t)(*p++ >> 32);
	}
	if (type & PERF_SAMPLE_TIME)
		s->time = *p++;
	for (uint64_t bit = PERF_SAMPLE_ADDR; bit <= PERF_SAMPLE_PERIOD; bit <<= 1)
		if (bit & type &
		    (PERF_SAMPLE_ADDR | PERF_SAMPLE_ID | PERF_SAMPLE_STREAM_ID | PERF_SAMPLE_CPU |
		     PERF_SAMPLE_PERIOD))
			p++;
	if (type & PERF_SAMPLE_CALLCHAIN) {
		s->n_chain = *p++;
		s->chain = p;
		p += s->n_chain;
	}
	if (type & PERF_SAMPLE_REGS_USER) {
		s->abi = *p++;
		s->regs = p;
		if (s->abi)
			p += __builtin_popcountll(mask);
	}
	if (type & PERF_SAMPLE_STACK_USER) {
		size = *p++;
		s->stack = (const uint8_t *)p;
		if (size) {
			p = (const uint64_t *)(s->stack + size);
			s->stack_len = *p++;
		}
	}
	return s->abi == PERF_SAMPLE_REGS_ABI_64;
}

/* Those of the mask that unwind_user() wants, out of those of the sample. */
static void pick_regs(const struct sample *s, uint64_t *to)
{
	uint64_t want = unwind_regs_mask(), have = t.attr.sample_regs_user;
	size_t n = 0, from = 0;

	for (unsigned i = 0; i < 64; i++) {
		if (want >> i & 1)
			to[n++] = have >> i & 1 ? s->regs[from] : 0;
		from += have >> i & 1;
	}
}

/* Depth of the kernel's own walk, by frame pointers. */
static size_t frame_depth(const struct sample *s)
{
	bool user = false;
	size_t n = 0;

	for (uint64_t i = 0; i < s->n_chain; i++) {
		if (s->chain[i] >= PERF_CONTEXT_MAX)
			user = s->chain[i] == (uint64_t)PERF_CONTEXT_USER;
		else
			n += user;
	}
	return n;
}

static void show(const struct sample *s, size_t n, enum unwind_end end, const uint64_t *ips)
{
	printf("%u %llu %zu %s %llx\n", s->tid, (unsigned long long)s->time, n, end_names[end],
	       (unsigned long long)ips[n - 1]);
	for (size_t i = 0; t.dump_stacks && i < n; i++) {
		const struct mapping *m = space_find(spaces_get(t.spaces, s->pid), ips[i]);
		uint64_t v = m && m->module
				     ? module_vaddr(m->module, ips[i] - m->start + m->file_off)
				     : 0;

		printf("    %16llx %s+%llx (%llx)\n", (unsigned long long)ips[i],
		       m && m->module ? module_path(m->module) : "?", (unsigned long long)v,
		       m && m->module ? (unsigned long long)module_function(m->module, v) : 0);
	}
}

/* Its table is being built: nothing can be said about such a sample. */
static bool is_early(const struct space *space, uint64_t ip)
{
	const struct mapping *m = space_find(space, ip);

	return m && m->module && !m->module->table && !module_is_hopeless(m->module);
}

/* Builds what was asked for. Was there anything? */
static bool build_tables(void)
{
	struct modules_stats before, after;

	modules_stats(t.modules, &before);
	while (modules_step(t.modules, 0) > 0)
		;
	modules_stats(t.modules, &after);
	return after.built != before.built;
}

static void on_sample(const struct sample *s)
{
	uint64_t regs[UNWIND_REGS_MAX], ips[IPS_MAX];
	struct unwind_state u = {.regs = regs, .stack = s->stack, .stack_len = s->stack_len};
	struct space *space = spaces_get(t.spaces, s->pid);
	enum unwind_end end;
	size_t n, frames = frame_depth(s);

	if (!space)
		return;
	pick_regs(s, regs);
	u.n_regs = (size_t)__builtin_popcountll(unwind_regs_mask());
	uint64_t from = clock_ns(CLOCK_MONOTONIC);

	n = unwind_user(space, &u, ips, IPS_MAX, &end);
	while (t.wait_for_tables && build_tables())
		n = unwind_user(space, &u, ips, IPS_MAX, &end);
	if (end == UNWIND_NO_TABLE && is_early(space, ips[n - 1])) {
		t.early++;
		return;
	}
	t.ns += clock_ns(CLOCK_MONOTONIC) - from;
	t.n++;
	t.n_end[end]++;
	t.depth += n;
	t.depth_frame += frames;
	t.depth_best += frames > n ? frames : n;
	t.shallow += n <= 2;
	t.shallow_frame += frames <= 2;
	t.dump_bytes += s->stack_len;
	if (t.verbose)
		show(s, n, end, ips);
}

/* ---- the other records ---- */

static void on_mmap2(const struct perf_event_header *h)
{
	const struct {
		struct perf_event_header h;
		uint32_t pid, tid;
		uint64_t addr, len, pgoff;
		uint32_t maj, min;
		uint64_t ino, generation;
		uint32_t prot, flags;
		char path[];
	} *e = (const void *)h;
	struct space_mmap m = {.start = e->addr,
			       .len = e->len,
			       .file_off = e->pgoff,
			       .path = e->path,
			       .executable = e->prot & PROT_EXEC};

	if (!(h->misc & PERF_RECORD_MISC_MMAP_BUILD_ID)) {
		m.dev = makedev(e->maj, e->min);
		m.ino = e->ino;
		m.generation = e->generation;
	}
	spaces_mmap(t.spaces, e->pid, &m);
}

static void on_record(const struct perf_event_header *h, bool all)
{
	const uint32_t *p = (const uint32_t *)(h + 1);
	struct sample s;

	switch (h->type) {
	case PERF_RECORD_SAMPLE:
		if (parse_sample(h, &s) && (all || (s.pid < sizeof(t.ours) && t.ours[s.pid])))
			on_sample(&s);
		break;
	case PERF_RECORD_MMAP2:
		on_mmap2(h);
		break;
	case PERF_RECORD_COMM:
		if (h->misc & PERF_RECORD_MISC_COMM_EXEC)
			spaces_exec(t.spaces, p[0]);
		break;
	case PERF_RECORD_FORK: /* pid, ppid */
		if (p[0] == p[1])
			break;
		spaces_fork(t.spaces, p[0], p[1]);
		if (p[1] < sizeof(t.ours) && t.ours[p[1]] && p[0] < sizeof(t.ours))
			t.ours[p[0]] = 1;
		break;
	case PERF_RECORD_EXIT:
		if (p[0] == p[2]) /* the process's main thread */
			spaces_exit(t.spaces, p[0]);
		break;
	case PERF_RECORD_LOST:
		t.lost += ((const uint64_t *)(h + 1))[1];
		break;
	default:
		break;
	}
}

/* ---- perf.data ---- */

struct entry {
	uint64_t time;
	size_t order;
	const struct perf_event_header *h;
};

static int by_time(const void *a, const void *b)
{
	const struct entry *x = a, *y = b;

	if (x->time != y->time)
		return x->time < y->time ? -1 : 1;
	return (x->order > y->order) - (x->order < y->order);
}

/* Of the trailer that records other than samples have. */
static uint64_t record_time(const struct perf_event_header *h)
{
	uint64_t type = t.attr.sample_type;
	const uint8_t *end = (const uint8_t *)h + h->size;
	struct sample s;
	unsigned words = 0;

	if (h->type == PERF_RECORD_SAMPLE) {
		parse_sample(h, &s);
		return s.time;
	}
	if (type & PERF_SAMPLE_TIME)
		words = 1 + !!(type & PERF_SAMPLE_ID) + !!(type & PERF_SAMPLE_STREAM_ID) +
			!!(type & PERF_SAMPLE_CPU) + !!(type & PERF_SAMPLE_IDENTIFIER);
	return words ? ((const uint64_t *)end)[-(int)words] : 0;
}

static int read_perf_data(const char *path)
{
	struct {
		char magic[8];
		uint64_t size, attr_size, attrs_off, attrs_len, data_off, data_len;
	} head;
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	struct stat st;
	struct entry *entries = NULL;
	size_t n = 0, cap = 0;

	if (fd < 0 || fstat(fd, &st) != 0)
		return 1;
	const uint8_t *p = mmap(NULL, (size_t)st.st_size, PROT_READ, MAP_PRIVATE, fd, 0);

	memcpy(&head, p, sizeof(head));
	memcpy(&t.attr, p + head.attrs_off,
	       head.attr_size - 16 < sizeof(t.attr) ? head.attr_size - 16 : sizeof(t.attr));
	for (uint64_t at = head.data_off; at < head.data_off + head.data_len;) {
		const struct perf_event_header *h = (const void *)(p + at);

		if (h->size < sizeof(*h))
			break;
		if (n == cap) {
			cap = cap ? cap * 2 : 4096;
			entries = reallocarray(entries, cap, sizeof(*entries));
		}
		if (h->type < 64) { /* the kernel's */
			entries[n] = (struct entry){.time = record_time(h), .order = n, .h = h};
			n++;
		}
		at += h->size;
	}
	qsort(entries, n, sizeof(*entries), by_time);
	t.wait_for_tables = t.verbose = true;
	for (size_t i = 0; i < n; i++)
		on_record(entries[i].h, true);
	free(entries);
	close(fd);
	return 0;
}

/* ---- a ring of our own ---- */

struct ring {
	int fd;
	struct perf_event_mmap_page *page;
};

static int open_ring(struct ring *r, int cpu)
{
	r->fd = (int)syscall(SYS_perf_event_open, &t.attr, -1, cpu, -1, PERF_FLAG_FD_CLOEXEC);
	if (r->fd < 0)
		return -errno;
	r->page = mmap(NULL, 4096 + RING_BYTES, PROT_READ | PROT_WRITE, MAP_SHARED, r->fd, 0);
	return r->page == MAP_FAILED ? -errno : 0;
}

static void read_ring(struct ring *r)
{
	static _Alignas(8) uint8_t copy[1 << 16];
	const uint8_t *data = (const uint8_t *)r->page + 4096;
	uint64_t head = __atomic_load_n(&r->page->data_head, __ATOMIC_ACQUIRE),
		 tail = r->page->data_tail;

	while (tail < head) {
		struct perf_event_header h;

		memcpy(&h, data + tail % RING_BYTES, sizeof(h));
		for (size_t i = 0; i < h.size; i += 8)
			memcpy(copy + i, data + (tail + i) % RING_BYTES, 8);
		on_record((const void *)copy, false);
		tail += h.size;
		__atomic_store_n(&r->page->data_tail, tail, __ATOMIC_RELEASE);
	}
}

static _Atomic bool stop;

static void *background(void *arg)
{
	(void)arg;
	while (!stop)
		modules_step(t.modules, 100);
	return NULL;
}

static void print_sums(uint64_t dump)
{
	double n = t.n ? (double)t.n : 1;
	struct modules_stats ms;

	modules_stats(t.modules, &ms);
	printf("dump %llu samples %llu early %llu lost %llu", (unsigned long long)dump,
	       (unsigned long long)t.n, (unsigned long long)t.early, (unsigned long long)t.lost);
	for (unsigned i = 0; i < 5; i++)
		printf(" %s %.1f%%", end_names[i], 100 * (double)t.n_end[i] / n);
	printf(" depth %.1f fp-depth %.1f best %.1f shallow %.1f%% fp-shallow %.1f%% copied %.0f "
	       "us %.2f "
	       "modules %llu tables %llu bytes %llu\n",
	       (double)t.depth / n, (double)t.depth_frame / n, (double)t.depth_best / n,
	       100 * (double)t.shallow / n, 100 * (double)t.shallow_frame / n,
	       (double)t.dump_bytes / n, (double)t.ns / n / 1000, (unsigned long long)ms.n_modules,
	       (unsigned long long)ms.n_tables, (unsigned long long)ms.table_bytes);
}

static int run(uint32_t dump, uint32_t hz, char **command)
{
	static struct ring rings[CPUS_MAX];
	int n_cpus = (int)sysconf(_SC_NPROCESSORS_ONLN), status, go[2];
	pthread_t thread;

	t.attr = (struct perf_event_attr){.type = PERF_TYPE_SOFTWARE,
					  .size = sizeof(t.attr),
					  .config = PERF_COUNT_SW_CPU_CLOCK,
					  .sample_freq = hz,
					  .freq = 1,
					  .sample_type = PERF_SAMPLE_IP | PERF_SAMPLE_TID |
							 PERF_SAMPLE_TIME | PERF_SAMPLE_CALLCHAIN |
							 PERF_SAMPLE_REGS_USER |
							 PERF_SAMPLE_STACK_USER,
					  .sample_regs_user = unwind_regs_mask(),
					  .sample_stack_user = dump,
					  .exclude_idle = 1,
					  .mmap = 1,
					  .mmap2 = 1,
					  .comm = 1,
					  .comm_exec = 1,
					  .task = 1,
					  .sample_id_all = 1,
					  .use_clockid = 1,
					  .clockid = CLOCK_MONOTONIC};
	for (int i = 0; i < n_cpus && i < CPUS_MAX; i++) {
		int r = open_ring(&rings[i], i);

		if (r < 0) {
			fprintf(stderr, "perf_event_open: %s\n", strerror(-r));
			return r == -EACCES || r == -EPERM || r == -ENOSYS ? 77 : 1;
		}
	}
	if (pipe(go) != 0)
		return 1;
	pid_t pid = fork();

	if (pid == 0) {
		char c;

		close(go[1]);
		if (read(go[0], &c, 1) == 0)
			execvp(command[0], command);
		_exit(127);
	}
	t.ours[pid] = 1;
	pthread_create(&thread, NULL, background, NULL);
	close(go[1]);
	for (bool over = false; !over;) {
		over = waitpid(pid, &status, WNOHANG) != 0;
		if (!over)
			poll(NULL, 0, 20);
		for (int i = 0; i < n_cpus; i++)
			read_ring(&rings[i]);
	}
	stop = true;
	modules_wake(t.modules);
	pthread_join(thread, NULL);
	print_sums(dump);
	return 0;
}

/* ---- tables ---- */

static int tables(char **files)
{
	for (; *files; files++) {
		int fd = open(*files, O_RDONLY | O_CLOEXEC);
		struct unwind_table *table = NULL;
		uint64_t from = clock_ns(CLOCK_MONOTONIC);
		int r = fd < 0 ? -errno : unwind_table_read(&table, fd);

		if (r < 0)
			printf("%s: %s\n", *files, strerror(-r));
		else
			printf("%s: %u rows, %u rules, %zu bytes, %.1f ms\n", *files, table->n_rows,
			       table->n_rules, table->bytes,
			       (double)(clock_ns(CLOCK_MONOTONIC) - from) / 1e6);
		free(table);
		if (fd >= 0)
			close(fd);
	}
	return 0;
}

int main(int argc, char **argv)
{
	struct modules_config c = {.host = &t.host, .memory_bytes = 64 << 20};
	int r = 2;

	if (argc < 3) {
		fprintf(stderr, "usage: tool_unwind file PERF.DATA | run DUMP HZ COMMAND... | "
				"table FILE...\n");
		return 2;
	}
	t.dump_stacks = getenv("STACKS") != NULL;
	if (host_open(&t.host, NULL, NULL, NULL) < 0 || modules_open(&t.modules, &c) < 0 ||
	    spaces_open(&t.spaces, &t.host, t.modules) < 0)
		return 1;
	t.modules->build_us_per_s = 1000000;
	if (strcmp(argv[1], "file") == 0)
		r = read_perf_data(argv[2]);
	else if (strcmp(argv[1], "run") == 0 && argc > 4)
		r = run((uint32_t)atoi(argv[2]), (uint32_t)atoi(argv[3]), argv + 4);
	else if (strcmp(argv[1], "table") == 0)
		r = tables(argv + 2);
	spaces_close(t.spaces);
	modules_close(t.modules);
	host_close(&t.host);
	return r;
}
