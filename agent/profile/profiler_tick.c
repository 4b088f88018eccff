/*
 * The event that ticks. Reference cycles of the processor where they can be had: they pass at one speed and only while it
 * runs, so that a fixed number of them is a fixed piece of CPU time, and their interrupt is seen where others are
 * switched off. Plain cycles pass faster or slower with the clock, and the kernel's own hold on their rate (attr.freq)
 * takes the idle time of a CPU for slow cycles: a sample of them would be no certain time. Else the CPU's clock.
 */
#include "base/cleanup.h"
#include "base/fence.h"
#include "profile/profiler_private.h"

#include <errno.h>
#include <sys/mman.h>
#include <unistd.h>

void profiler_attr_tick(const struct profiler *p, struct perf_event_attr *ret)
{
	profiler_attr_base(ret);
	ret->type = p->event_type;
	ret->config = p->event_config;
	ret->sample_period =
		(p->event_type == PERF_TYPE_HARDWARE ? p->cycles_hz : 1000000000u) / p->hz;
	ret->sample_type |= PERF_SAMPLE_CALLCHAIN;
	ret->sample_max_stack = PROFILER_STACK_MAX;
	ret->exclude_idle = 1;
	ret->exclude_hv = 1;
	ret->exclude_kernel = p->exclude_kernel;
	ret->exclude_callchain_kernel = p->exclude_kernel;
	if (p->dump && unwind_regs_mask()) {
		ret->sample_type |= PERF_SAMPLE_REGS_USER | PERF_SAMPLE_STACK_USER;
		ret->sample_regs_user = unwind_regs_mask();
		ret->sample_stack_user = PROFILER_DUMP_BYTES;
	}
}

uint64_t profiler_tick_cycles_hz(const struct perf_event_mmap_page *page)
{
	if (!page->cap_user_time || !page->time_mult || page->time_shift > 32)
		return 0;
	return (UINT64_C(1000000000) << page->time_shift) / page->time_mult;
}

/* The kernel writes it under a lock that readers see as a number that changes. */
static uint64_t read_cycles_hz(int fd)
{
	size_t len = (size_t)sysconf(_SC_PAGESIZE);
	struct perf_event_mmap_page *page = mmap(NULL, len, PROT_READ, MAP_SHARED, fd, 0);
	uint64_t hz = 0;
	uint32_t lock;

	if (page == MAP_FAILED)
		return 0;
	for (int i = 0; i < 1000; i++) {
		lock = __atomic_load_n(&page->lock, __ATOMIC_ACQUIRE);
		hz = profiler_tick_cycles_hz(page);
		FENCE(memory_order_acquire);
		if (!(lock & 1) && lock == __atomic_load_n(&page->lock, __ATOMIC_RELAXED))
			break;
		hz = 0;
	}
	munmap(page, len);
	return hz;
}

/* Opens a tick of this tier on a CPU that is online. An fd or -errno. */
static int open_one(const struct profiler *p)
{
	struct perf_event_attr attr;
	int32_t pid = p->tier == TIER_OWN ? 0 : -1;

	profiler_attr_tick(p, &attr);
	for (uint32_t cpu = 0; cpu < p->n_cpus; cpu++) {
		int fd = profiler_perf_open(&attr, pid, cpu);

		if (fd == -ENODEV || fd == -ENXIO || (fd == -EINVAL && cpu + 1 < p->n_cpus))
			continue; /* not online */
		return fd;
	}
	return -ENODEV;
}

/* That there is a counter is not enough: how long a cycle takes must be known, too. */
static int try_cycles(struct profiler *p)
{
	p->event_type = PERF_TYPE_HARDWARE;
	p->event_config = PERF_COUNT_HW_REF_CPU_CYCLES;
	p->cycles_hz = 1000000000; /* until it is known */
	_cleanup_close_ int fd = open_one(p);

	if (fd < 0)
		return fd;
	p->cycles_hz = read_cycles_hz(fd);
	return p->cycles_hz < 1000000 ? -ENODATA : 0;
}

static int try_clock(struct profiler *p)
{
	_cleanup_close_ int fd = -1;

	p->event_type = PERF_TYPE_SOFTWARE;
	p->event_config = PERF_COUNT_SW_CPU_CLOCK;
	fd = open_one(p);
	return fd < 0 ? fd : 0;
}

int profiler_tick_choose(struct profiler *p)
{
	int r;

	if (try_cycles(p) == 0)
		return 0;
	r = try_clock(p);
	if (r != -EINVAL || !p->dump)
		return r;
	p->dump = false; /* an architecture whose registers the kernel does not give */
	return try_clock(p);
}
