/* The events of the profiler: which may be opened, and one of each kind on every CPU that is online. */
#include "base/cleanup.h"
#include "profile/profiler_private.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/syscall.h>
#include <unistd.h>

void profiler_attr_base(struct perf_event_attr *a)
{
	*a = (struct perf_event_attr){
		.size = sizeof(*a),
		.sample_type = record_sample_type(),
		.sample_id_all = 1,
		.use_clockid = 1,
		.clockid = CLOCK_MONOTONIC,
		.disabled = 1,
	};
}

void profiler_attr_side(struct perf_event_attr *ret)
{
	profiler_attr_base(ret);
	ret->type = PERF_TYPE_SOFTWARE;
	ret->config = PERF_COUNT_SW_DUMMY;
	ret->sample_period = 1;
	ret->read_format = PERF_FORMAT_TOTAL_TIME_ENABLED;
	ret->exclude_kernel = 1; /* it has no samples; without this it needs more rights */
	ret->exclude_hv = 1;
	ret->mmap = ret->mmap2 = ret->comm = ret->comm_exec = ret->task = ret->ksymbol = 1;
}

static void attr_off(const struct profiler *p, struct perf_event_attr *ret)
{
	profiler_attr_base(ret);
	ret->type = PERF_TYPE_SOFTWARE;
	ret->sample_period = 1;
	ret->sample_type |= PERF_SAMPLE_CALLCHAIN;
	ret->sample_max_stack = PROFILER_STACK_MAX;
	if (p->off_dump && unwind_regs_mask()) {
		ret->sample_type |= PERF_SAMPLE_REGS_USER | PERF_SAMPLE_STACK_USER;
		ret->sample_regs_user = unwind_regs_mask();
		ret->sample_stack_user = PROFILER_OFF_DUMP_BYTES;
	}
}

void profiler_attr_switch(const struct profiler *p, struct perf_event_attr *ret)
{
	attr_off(p, ret);
	ret->config = PERF_COUNT_SW_CONTEXT_SWITCHES;
	ret->context_switch = 1;
	ret->exclude_kernel = p->exclude_kernel;
}

void profiler_attr_wait(const struct profiler *p, struct perf_event_attr *ret)
{
	attr_off(p, ret);
	ret->config = PERF_COUNT_SW_BPF_OUTPUT;
	ret->sample_type |= PERF_SAMPLE_RAW;
}

int profiler_perf_open(const struct perf_event_attr *attr, int32_t pid, uint32_t cpu)
{
	long fd = syscall(SYS_perf_event_open, attr, pid, (int)cpu, -1, PERF_FLAG_FD_CLOEXEC);

	return fd < 0 ? -errno : (int)fd;
}

int profiler_event_open(struct profiler *p, struct perf_event_attr *attr, int32_t pid, uint32_t cpu,
			int into, enum profiler_event_kind kind)
{
	struct profiler_id id = {.kind = (uint8_t)kind, .hz = p->hz};
	_cleanup_close_ int fd = profiler_perf_open(attr, pid, cpu);

	if (fd == -EINVAL && attr->ksymbol) { /* before Linux 5.1 */
		attr->ksymbol = 0;
		fd = profiler_perf_open(attr, pid, cpu);
	}
	if (fd < 0)
		return fd;
	if (into >= 0 && ioctl(fd, PERF_EVENT_IOC_SET_OUTPUT, into) < 0)
		return -errno;
	if (ioctl(fd, PERF_EVENT_IOC_ID, &id.id) < 0)
		return -errno;
	id.dump = attr->sample_type & PERF_SAMPLE_STACK_USER;
	if (profiler_ids_add(&p->ids, &id) < 0)
		return -ENOMEM;
	return TAKE_FD(fd);
}

/* ---- what is permitted ---- */

static int read_number(const struct host *host, const char *path, int *ret)
{
	_cleanup_close_ int fd = host_file(host, ROOT_PROC, path);
	char buf[32];
	ssize_t n = fd < 0 ? -1 : read(fd, buf, sizeof(buf) - 1);

	if (n <= 0)
		return -ENOENT;
	buf[n] = 0;
	*ret = atoi(buf);
	return 0;
}

int profiler_events_probe(struct profiler *p, char *err, size_t err_len)
{
	static const struct {
		enum profiler_tier tier;
		bool exclude_kernel;
		const char *name;
	} tiers[] = {
		{TIER_ALL, false, "every CPU"},
		{TIER_ALL_USER, true, "user stacks of every CPU"},
		{TIER_OWN, false, "own processes"},
		{TIER_OWN, true, "own processes"},
	};
	int r = -ENOSYS, first = 0, rate = 0;

	if (read_number(p->config.host, "sys/kernel/perf_event_max_sample_rate", &rate) == 0 &&
	    rate > 0)
		p->hz_max = (uint32_t)rate < PROFILER_BURST_HZ_MAX ? (uint32_t)rate
								   : PROFILER_BURST_HZ_MAX;
	for (size_t i = 0; i < sizeof(tiers) / sizeof(*tiers) && r < 0; i++) {
		p->tier = tiers[i].tier;
		p->exclude_kernel = tiers[i].exclude_kernel;
		p->state.tier = tiers[i].name;
		r = profiler_tick_choose(p);
		if (i == 0)
			first = r;
		if (r == -ENOSYS)
			break;
	}
	if (r < 0) {
		profiler_explain(p->config.host, true, r, "profiling", err, err_len);
		return r == -EPERM ? -EACCES : r;
	}
	snprintf(p->state.event, sizeof(p->state.event), "%s",
		 p->event_type == PERF_TYPE_HARDWARE ? "ref-cycles" : "cpu-clock");
	if (p->tier == TIER_OWN) {
		char why[sizeof(p->state.reason)];

		profiler_explain(p->config.host, false, first,
				 "other users' processes and the kernel", why, sizeof(why));
		profiler_say(p, why);
	} else if (p->tier == TIER_ALL_USER) {
		profiler_say(p, "kernel stacks: need CAP_PERFMON");
	}
	return 0;
}

/* ---- one CPU ---- */

static void close_fd(int *fd)
{
	if (*fd >= 0)
		close(*fd);
	*fd = -1;
}

static void enable(int fd)
{
	if (fd >= 0)
		ioctl(fd, PERF_EVENT_IOC_ENABLE, 0);
}

static void cpu_close(const struct profiler *p, struct profiler_cpu *c)
{
	close_fd(&c->tick);
	if (p->ebpf)
		offcpu_ebpf_remove(p->ebpf, c->cpu);
	perf_ring_close(&c->switches.ring);
	close_fd(&c->off);
	perf_ring_close(&c->ring.ring);
	close_fd(&c->side);
	c->hung_up = false;
}

static int open_tick(struct profiler *p, struct profiler_cpu *c)
{
	struct perf_event_attr attr;

	if (p->tier == TIER_OWN)
		return 0;
	profiler_attr_tick(p, &attr);
	c->tick = profiler_event_open(p, &attr, -1, c->cpu, c->side, EVENT_TICK);
	enable(c->tick);
	return c->tick < 0 ? c->tick : 0;
}

static size_t off_ring_bytes(const struct profiler *p)
{
	size_t share = PROFILER_OFF_RINGS_BYTES / p->config.host->n_cpus;

	if (share > PROFILER_OFF_RING_BYTES)
		return PROFILER_OFF_RING_BYTES;
	return share > PROFILER_RING_BYTES ? share : PROFILER_RING_BYTES;
}

static int open_switches(struct profiler *p, struct profiler_cpu *c)
{
	enum profiler_event_kind kind = p->ebpf ? EVENT_WAIT : EVENT_SWITCH;
	struct perf_event_attr attr;
	int r;

	if (p->tier == TIER_OWN || !p->state.off_cpu)
		return 0;
	if (p->ebpf)
		profiler_attr_wait(p, &attr);
	else
		profiler_attr_switch(p, &attr);
	c->off = profiler_event_open(p, &attr, -1, c->cpu, -1, kind);
	if (c->off < 0)
		return c->off;
	c->switches.only = (struct profiler_id){
		.id = 1, .kind = (uint8_t)kind, .dump = attr.sample_type & PERF_SAMPLE_STACK_USER};
	r = perf_ring_open(&c->switches.ring, c->off, off_ring_bytes(p), PROFILER_RING_MIN_BYTES);
	if (r == 0 && !p->off_paused)
		enable(c->off);
	if (r == 0 && p->ebpf)
		r = offcpu_ebpf_add(p->ebpf, c->cpu, c->off);
	return r;
}

/* The ring belongs to an event without samples: it stays while the others come and go. Where only own processes are
 * watched it is an event of the profiler's own thread. */
static int cpu_open(struct profiler *p, struct profiler_cpu *c)
{
	struct perf_event_attr attr;
	int r;

	profiler_attr_side(&attr);
	if (p->tier == TIER_OWN)
		attr.mmap = attr.mmap2 = attr.comm = attr.comm_exec = attr.task = attr.ksymbol = 0;
	c->side =
		profiler_event_open(p, &attr, p->tier == TIER_OWN ? 0 : -1, c->cpu, -1, EVENT_SIDE);
	if (c->side < 0)
		return c->side;
	r = perf_ring_open(&c->ring.ring, c->side, PROFILER_RING_BYTES, PROFILER_RING_MIN_BYTES);
	if (r == 0) {
		enable(c->side);
		r = open_tick(p, c);
	}
	if (r == 0)
		r = open_switches(p, c);
	if (r < 0)
		cpu_close(p, c);
	return r;
}

/* ---- all of them ---- */

bool profiler_cpu_listed(const char *list, uint32_t n)
{
	while (*list) {
		char *end;
		unsigned long first = strtoul(list, &end, 10), last = first;

		if (end == list)
			return false;
		if (*end == '-')
			last = strtoul(end + 1, &end, 10);
		if (n >= first && n <= last)
			return true;
		list = *end == ',' ? end + 1 : "";
	}
	return false;
}

uint32_t profiler_cpus_possible(const struct host *host)
{
	_cleanup_close_ int fd = host_file(host, ROOT_SYS, "devices/system/cpu/possible");
	char buf[256];
	ssize_t len = fd < 0 ? 0 : read(fd, buf, sizeof(buf) - 1);
	uint32_t n = host->n_cpus;

	buf[len > 0 ? len : 0] = 0;
	while (n < PROFILER_CPUS_MAX && profiler_cpu_listed(buf, n))
		n++;
	return n < PROFILER_CPUS_MAX ? n : PROFILER_CPUS_MAX;
}

/* Without /sys, all that are configured: those offline fail to open. */
static void read_online(const struct profiler *p, char *buf, size_t size)
{
	_cleanup_close_ int fd = host_file(p->config.host, ROOT_SYS, "devices/system/cpu/online");
	ssize_t n = fd < 0 ? 0 : read(fd, buf, size - 1);

	if (n > 0) {
		buf[n] = 0;
		buf[strcspn(buf, "\n")] = 0;
	} else {
		snprintf(buf, size, "0-%zu", p->n_cpus - 1);
	}
}

/* 0, or why the first of those that failed did. */
static int open_online(struct profiler *p)
{
	int r = 0;

	p->state.n_cpus = 0;
	for (size_t i = 0; i < p->n_cpus; i++) {
		struct profiler_cpu *c = &p->cpus[i];
		bool online = profiler_cpu_listed(p->online, c->cpu);

		if (!online)
			cpu_close(p, c);
		else if (!c->ring.ring.page) {
			int err = cpu_open(p, c);

			r = r ? r : err;
		}
		p->state.n_cpus += c->ring.ring.page != NULL;
	}
	return p->state.n_cpus ? 0 : r ? r : -ENODEV;
}

int profiler_events_open(struct profiler *p)
{
	p->cpus = calloc(p->n_cpus, sizeof(*p->cpus));
	p->heap = calloc(p->n_cpus * 2, sizeof(struct profiler_ring *));
	p->waits = calloc(p->n_cpus * 2 + 1, sizeof(*p->waits));
	if (!p->cpus || !p->heap || !p->waits)
		return -ENOMEM;
	for (uint32_t i = 0; i < p->n_cpus; i++)
		p->cpus[i] = (struct profiler_cpu){.cpu = i, .side = -1, .tick = -1, .off = -1};
	read_online(p, p->online, sizeof(p->online));
	return open_online(p);
}

void profiler_events_close(struct profiler *p)
{
	for (size_t i = 0; p->cpus && i < p->n_cpus; i++)
		cpu_close(p, &p->cpus[i]);
	free(p->cpus);
	free(p->heap);
	free(p->waits);
	p->waits = NULL;
	p->cpus = NULL;
	p->heap = NULL;
}

void profiler_events_retick(struct profiler *p)
{
	profiler_ids_close(&p->ids, EVENT_TICK);
	if (p->tier == TIER_OWN) {
		profiler_own_reopen(p);
		return;
	}
	for (size_t i = 0; i < p->n_cpus; i++) {
		if (!p->cpus[i].ring.ring.page)
			continue;
		close_fd(&p->cpus[i].tick);
		open_tick(p, &p->cpus[i]);
	}
}

void profiler_events_reswitch(struct profiler *p)
{
	if (p->tier == TIER_OWN)
		return;
	profiler_ids_close(&p->ids, p->ebpf ? EVENT_WAIT : EVENT_SWITCH);
	tasks_forget_off(p->tasks);
	for (size_t i = 0; i < p->n_cpus; i++) {
		if (!p->cpus[i].ring.ring.page)
			continue;
		if (p->ebpf)
			offcpu_ebpf_remove(p->ebpf, p->cpus[i].cpu);
		perf_ring_close(&p->cpus[i].switches.ring);
		close_fd(&p->cpus[i].off);
		open_switches(p, &p->cpus[i]);
	}
}

void profiler_events_switches(struct profiler *p, bool on)
{
	for (size_t i = 0; i < p->n_cpus; i++)
		if (p->cpus[i].off >= 0)
			ioctl(p->cpus[i].off, on ? PERF_EVENT_IOC_ENABLE : PERF_EVENT_IOC_DISABLE,
			      0);
	p->off_paused = !on;
}

/* A CPU that went and came back between two looks has lost its events without a word: the list reads the same, and its
 * rings stay silent. Then the clock of an event stands still; to read it costs that CPU an interrupt. */
static bool is_deaf(struct profiler_cpu *c)
{
	uint64_t heard = c->ring.ring.head + c->switches.ring.head, value[2], was = c->enabled_ns;
	enum { LOOKS = 3 };

	if (heard != c->heard) {
		c->heard = heard;
		c->silent = 0;
		c->enabled_ns = 0;
	}
	if (c->hung_up)
		return true;
	if (!c->silent++ || c->silent % LOOKS || read(c->side, value, sizeof(value)) < 0)
		return false;
	c->enabled_ns = value[1];
	return was && was == value[1];
}

void profiler_events_hotplug(struct profiler *p)
{
	char online[sizeof(p->online)];
	bool deaf = false;

	read_online(p, online, sizeof(online));
	for (size_t i = 0; i < p->n_cpus && p->tier != TIER_OWN; i++) {
		struct profiler_cpu *c = &p->cpus[i];

		if (c->ring.ring.page && is_deaf(c)) {
			cpu_close(p, c);
			c->enabled_ns = 0;
			deaf = true;
		} else if (!c->ring.ring.page) { /* failed to open the last time */
			deaf = deaf || profiler_cpu_listed(p->online, c->cpu);
		}
	}
	if (!deaf && strcmp(online, p->online) == 0)
		return;
	memcpy(p->online, online, sizeof(online));
	open_online(p);
	if (p->tier == TIER_OWN)
		profiler_events_retick(p);
}
