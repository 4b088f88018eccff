#include "profile/offcpu_ebpf.h"

#include "base/cleanup.h"
#include "profile/profiler_private.h"

#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <errno.h>
#include <linux/perf_event.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <unistd.h>

/* Threads that are known: room for four times as many as there are at the start, between these. */
enum { THREADS_MIN = 16384, THREADS_MAX = 262144, LINKS = 2 };

extern const unsigned char offcpu_bpf[]; /* made by agent/profile/bpf/embed.sh */
extern const size_t offcpu_bpf_len;	 /* 0: it could not be made */

/* What a record in it does is to raise an interrupt; nobody reads it. */
struct kick {
	bool on; /* the CPU has an event */
	int fd;	 /* -1: none */
	void *ring;
};

struct offcpu_ebpf {
	struct bpf_object *object;
	struct bpf_link *links[LINKS];
	int kicks, waits; /* maps */
	struct offcpu_cpu *cpus;
	size_t cpus_bytes;
	uint32_t n_cpus;
	bool interrupt;
	unsigned long long min_ns;
	struct kick *kick;
};

/* ---- why not ---- */

static int say_nothing(enum libbpf_print_level level, const char *format, va_list args)
{
	(void)level;
	(void)format;
	(void)args;
	return 0;
}

static bool has_capability(const struct host *host, unsigned number)
{
	_cleanup_close_ int fd = host_file(host, ROOT_PROC, "self/status");
	char buf[4096];
	ssize_t n = fd < 0 ? 0 : read(fd, buf, sizeof(buf) - 1);
	const char *line;

	buf[n > 0 ? n : 0] = 0;
	line = strstr(buf, "\nCapEff:\t");
	return !line || strtoull(line + 9, NULL, 16) >> number & 1;
}

static int explain(const struct host *host, int r, char *err, size_t err_len)
{
	enum { CAP_SYS_ADMIN_ = 21, CAP_PERFMON_ = 38, CAP_BPF_ = 39 };
	bool admin = has_capability(host, CAP_SYS_ADMIN_);

	if (!offcpu_bpf_len)
		snprintf(err, err_len, "this strobe was built without eBPF");
	else if (access("/sys/kernel/btf/vmlinux", R_OK) < 0)
		snprintf(err, err_len,
			 "eBPF needs /sys/kernel/btf/vmlinux (CONFIG_DEBUG_INFO_BTF)");
	else if (!admin && !has_capability(host, CAP_BPF_))
		snprintf(err, err_len, "eBPF needs CAP_BPF (AmbientCapabilities= of a service)");
	else if (!admin && !has_capability(host, CAP_PERFMON_))
		snprintf(err, err_len,
			 "eBPF needs CAP_PERFMON (AmbientCapabilities= of a service)");
	else if (r == -EPERM || r == -EACCES)
		snprintf(err, err_len, "the kernel forbids eBPF (seccomp, lockdown or an LSM)");
	else if (r == -ESRCH || r == -ENOENT)
		snprintf(err, err_len,
			 "this kernel has neither tracepoint that eBPF needs: sched_exit_tp, "
			 "irq_work_entry");
	else
		snprintf(err, err_len, "eBPF does not load: %s", strerrordesc_np(-r));
	return r;
}

/* ---- life ---- */

static uint32_t room_for_threads(const struct host *host)
{
	_cleanup_close_ int fd = host_file(host, ROOT_PROC, "loadavg");
	unsigned long long threads = 0, room;
	char buf[128];
	ssize_t n = fd < 0 ? 0 : read(fd, buf, sizeof(buf) - 1);
	const char *slash;

	buf[n > 0 ? n : 0] = 0;
	slash = strchr(buf, '/');
	if (slash)
		threads = strtoull(slash + 1, NULL, 10);
	room = threads * 4;
	return room < THREADS_MIN ? THREADS_MIN : room > THREADS_MAX ? THREADS_MAX : (uint32_t)room;
}

static int size_map(struct bpf_object *o, const char *name, uint32_t entries)
{
	struct bpf_map *map = bpf_object__find_map_by_name(o, name);

	return map ? bpf_map__set_max_entries(map, entries) : -ENOENT;
}

static int map_fd(const struct bpf_object *o, const char *name)
{
	return bpf_object__find_map_fd_by_name(o, name);
}

static int prepare(struct offcpu_ebpf *e, const struct host *host, const char *tracepoint)
{
	LIBBPF_OPTS(bpf_object_open_opts, opts, .object_name = "strobe");
	struct bpf_program *back;
	int r;

	errno = EINVAL;
	e->object = bpf_object__open_mem(offcpu_bpf, offcpu_bpf_len, &opts);
	if (!e->object)
		return -errno;
	back = bpf_object__find_program_by_name(e->object, "offcpu_back");
	r = back ? bpf_program__set_attach_target(back, 0, tracepoint) : -ENOENT;
	if (r == 0)
		r = size_map(e->object, "cpus", e->n_cpus);
	if (r == 0)
		r = size_map(e->object, "kicks", e->n_cpus);
	if (r == 0)
		r = size_map(e->object, "waits", e->n_cpus);
	return r == 0 ? size_map(e->object, "threads", room_for_threads(host)) : r;
}

static int load(struct offcpu_ebpf *e, const struct host *host)
{
	const char *tracepoint = e->interrupt ? "irq_work_entry" : "sched_exit_tp";
	int r = prepare(e, host, tracepoint);

	if (r == 0)
		r = bpf_object__load(e->object);
	if ((r == -ESRCH || r == -ENOENT) && !e->interrupt) {
		bpf_object__close(e->object);
		e->object = NULL;
		e->interrupt = true;
		return load(e, host);
	}
	if (r < 0)
		return r;
	e->kicks = map_fd(e->object, "kicks");
	e->waits = map_fd(e->object, "waits");
	return 0;
}

static int map_counters(struct offcpu_ebpf *e)
{
	size_t page = (size_t)sysconf(_SC_PAGESIZE);
	void *p;

	e->cpus_bytes = (e->n_cpus * sizeof(*e->cpus) + page - 1) / page * page;
	p = mmap(NULL, e->cpus_bytes, PROT_READ | PROT_WRITE, MAP_SHARED, map_fd(e->object, "cpus"),
		 0);
	if (p == MAP_FAILED)
		return -errno;
	e->cpus = p;
	return 0;
}

static int attach(struct offcpu_ebpf *e)
{
	static const char *const names[LINKS] = {"offcpu_back", "offcpu_switch"};

	for (size_t i = 0; i < LINKS; i++) {
		struct bpf_program *program = bpf_object__find_program_by_name(e->object, names[i]);

		errno = ENOENT;
		e->links[i] = program ? bpf_program__attach(program) : NULL;
		if (!e->links[i])
			return -errno;
	}
	return 0;
}

static int start(struct offcpu_ebpf *e, const struct host *host)
{
	int r;

	e->kick = calloc(e->n_cpus, sizeof(*e->kick));
	if (!e->kick)
		return -ENOMEM;
	for (uint32_t i = 0; i < e->n_cpus; i++)
		e->kick[i].fd = -1;
	if (!offcpu_bpf_len)
		return -ENOSYS;
	libbpf_set_print(say_nothing);
	r = load(e, host);
	if (r == 0)
		r = map_counters(e);
	return r;
}

int offcpu_ebpf_open(struct offcpu_ebpf **ret, const struct host *host, uint32_t min_us,
		     bool interrupt, char *err, size_t err_len)
{
	struct offcpu_ebpf *e = calloc(1, sizeof(*e));
	int r;

	if (!e)
		return -ENOMEM;
	e->interrupt = interrupt;
	e->n_cpus = host->n_cpus < PROFILER_CPUS_MAX ? host->n_cpus : PROFILER_CPUS_MAX;
	r = start(e, host);
	if (r == 0) {
		offcpu_ebpf_set_min(e, min_us);
		r = attach(e);
	}
	if (r < 0) {
		explain(host, r, err, err_len);
		offcpu_ebpf_close(e);
		return r;
	}
	*ret = e;
	return 0;
}

static void kick_close(struct kick *k)
{
	if (k->ring)
		munmap(k->ring, 2 * (size_t)sysconf(_SC_PAGESIZE));
	if (k->fd >= 0)
		close(k->fd);
	*k = (struct kick){.fd = -1};
}

void offcpu_ebpf_close(struct offcpu_ebpf *e)
{
	if (!e)
		return;
	for (size_t i = 0; i < LINKS; i++)
		bpf_link__destroy(e->links[i]);
	for (uint32_t i = 0; e->kick && i < e->n_cpus; i++)
		kick_close(&e->kick[i]);
	if (e->cpus)
		munmap(e->cpus, e->cpus_bytes);
	bpf_object__close(e->object);
	free(e->kick);
	free(e);
}

/* ---- CPUs ---- */

/* One page that is not writable from here: the kernel writes it over and over. */
static int kick_open(struct kick *k, uint32_t cpu)
{
	struct perf_event_attr attr = {.size = sizeof(attr),
				       .type = PERF_TYPE_SOFTWARE,
				       .config = PERF_COUNT_SW_BPF_OUTPUT,
				       .sample_type = PERF_SAMPLE_RAW,
				       .sample_period = 1,
				       .wakeup_events = 1};
	void *p;

	k->fd = profiler_perf_open(&attr, -1, cpu);
	if (k->fd < 0) {
		int r = k->fd;

		k->fd = -1;
		return r;
	}
	p = mmap(NULL, 2 * (size_t)sysconf(_SC_PAGESIZE), PROT_READ, MAP_SHARED, k->fd, 0);
	if (p == MAP_FAILED) {
		int r = -errno;

		kick_close(k);
		return r;
	}
	k->ring = p;
	return 0;
}

static void set_min(struct offcpu_ebpf *e, uint32_t cpu, unsigned long long min_ns)
{
	__atomic_store_n(&e->cpus[cpu].min_ns, min_ns, __ATOMIC_RELAXED);
}

void offcpu_ebpf_set_min(struct offcpu_ebpf *e, uint32_t min_us)
{
	e->min_ns = min_us ? (unsigned long long)min_us * 1000 : 1;
	for (uint32_t i = 0; i < e->n_cpus; i++)
		if (e->kick[i].on)
			set_min(e, i, e->min_ns);
}

int offcpu_ebpf_add(struct offcpu_ebpf *e, uint32_t cpu, int event)
{
	int r;

	if (cpu >= e->n_cpus)
		return -EINVAL;
	r = bpf_map_update_elem(e->waits, &cpu, &event, BPF_ANY);
	if (r == 0 && e->interrupt)
		r = kick_open(&e->kick[cpu], cpu);
	if (r == 0 && e->interrupt)
		r = bpf_map_update_elem(e->kicks, &cpu, &e->kick[cpu].fd, BPF_ANY);
	if (r < 0) {
		offcpu_ebpf_remove(e, cpu);
		return r;
	}
	e->cpus[cpu].kick = e->interrupt;
	e->kick[cpu].on = true;
	set_min(e, cpu, e->min_ns);
	return 0;
}

void offcpu_ebpf_remove(struct offcpu_ebpf *e, uint32_t cpu)
{
	if (cpu >= e->n_cpus)
		return;
	set_min(e, cpu, 0);
	bpf_map_delete_elem(e->kicks, &cpu);
	bpf_map_delete_elem(e->waits, &cpu);
	kick_close(&e->kick[cpu]);
}

static uint64_t get(const unsigned long long *counter)
{
	return __atomic_load_n(counter, __ATOMIC_RELAXED);
}

void offcpu_ebpf_counts(const struct offcpu_ebpf *e, struct offcpu_ebpf_counts *ret)
{
	*ret = (struct offcpu_ebpf_counts){0};
	for (uint32_t i = 0; i < e->n_cpus; i++) {
		const struct offcpu_cpu *c = &e->cpus[i];

		ret->switches += get(&c->switches);
		ret->n_short += get(&c->n_short);
		ret->short_ns += get(&c->short_ns);
		ret->kept += get(&c->kept);
		ret->missed += get(&c->missed);
		ret->dropped += get(&c->dropped);
		ret->unknown += get(&c->unknown);
	}
}

int offcpu_ebpf_read(const void *raw, size_t len, struct offcpu_wait *ret)
{
	struct offcpu_wait w;

	if (len < sizeof(w))
		return -EBADMSG;
	memcpy(&w, raw, sizeof(w));
	if (w.until_ns < w.since_ns)
		return -EBADMSG;
	if (w.preempted || w.queued_ns > w.until_ns - w.since_ns)
		w.queued_ns = w.preempted ? w.until_ns - w.since_ns : 0;
	*ret = w;
	return 0;
}
