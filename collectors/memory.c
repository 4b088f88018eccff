/*
 * /proc/meminfo and the counters of /proc/vmstat that tell how memory is short: faults, reclaim,
 * swap, compaction, huge pages, dirty pages. Files that are kept open, lines that are read where
 * the last pass found them.
 */
#include "base/keyed.h"
#include "collectors/collector.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

/* The lists below are X(metric, [key, quantum in Kbyte,] help). The kernel counts in pages, 4 Kbyte
 * on most machines. */
/* clang-format off */
#define MEMINFO_KBYTES(X) \
	X(free, "MemFree", 4, "Memory that nothing uses.") \
	X(available, "MemAvailable", 4, \
	  "Memory that programs can get without swapping, by the kernel's estimate.") \
	X(bufmem, "Buffers", 4, "Page cache of block devices themselves.") \
	X(cached, "Cached", 4, "Page cache of files, shared memory included.") \
	X(swapCached, "SwapCached", 4, "Memory that is also in swap, unchanged since.") \
	X(active, "Active", 4, "Memory used lately, reclaimed last.") \
	X(inactive, "Inactive", 4, "Memory not used lately, reclaimed first.") \
	X(active_anon, "Active(anon)", 4, "Anonymous memory used lately.") \
	X(inactive_anon, "Inactive(anon)", 4, "Anonymous memory not used lately.") \
	X(active_file, "Active(file)", 4, "Page cache used lately.") \
	X(inactive_file, "Inactive(file)", 4, "Page cache not used lately.") \
	X(unevictable, "Unevictable", 4, "Memory that cannot be reclaimed.") \
	X(mlocked, "Mlocked", 4, "Memory locked by mlock.") \
	X(swapTotal, "SwapTotal", 0, "Swap space configured.") \
	X(swapFree, "SwapFree", 4, "Swap space not used.") \
	X(zswap, "Zswap", 4, "Memory that the compressed swap cache takes.") \
	X(zswapped, "Zswapped", 4, \
	  "Memory stored in the compressed swap cache, before compression.") \
	X(dirty, "Dirty", 4, "Page cache waiting to be written.") \
	X(writeback, "Writeback", 4, "Page cache being written.") \
	X(anonpages, "AnonPages", 4, "Anonymous memory mapped by programs.") \
	X(mapped, "Mapped", 4, "Files mapped by programs.") \
	X(shmem, "Shmem", 4, "Shared memory and tmpfs.") \
	X(slab, "Slab", 4, "Caches of kernel objects.") \
	X(slabReclaimable, "SReclaimable", 4, "Caches of kernel objects that can be reclaimed.") \
	X(slabUnreclaimable, "SUnreclaim", 4, \
	  "Caches of kernel objects that cannot be reclaimed.") \
	X(kernelStack, "KernelStack", 4, "Kernel stacks of all tasks.") \
	X(pageTables, "PageTables", 4, "Page tables.") \
	X(percpu, "Percpu", 4, "The kernel's per-CPU allocations.") \
	X(vmallocUsed, "VmallocUsed", 4, "The kernel's vmalloc allocations.") \
	X(commitLimit, "CommitLimit", 0, "What may be allocated when overcommit is strict.") \
	X(committed_AS, "Committed_AS", 4, "Address space promised to programs.") \
	X(corrupthardware, "HardwareCorrupted", 4, "Memory taken out of use for hardware errors.") \
	X(anonhugepages, "AnonHugePages", 4, "Anonymous memory in transparent huge pages.") \
	X(shmemhugepages, "ShmemHugePages", 4, "Shared memory in huge pages.") \
	X(filehugepages, "FileHugePages", 4, "Page cache in huge pages.")

#define MEMINFO_PAGES(X) \
	X(hugepagesTotal, "HugePages_Total", 0, "Huge pages in the pool.") \
	X(hugepagesFree, "HugePages_Free", 0, "Huge pages in the pool that are free.") \
	X(hugepagesRsvd, "HugePages_Rsvd", 0, "Huge pages promised but not yet allocated.") \
	X(hugepagesSurp, "HugePages_Surp", 0, "Huge pages above the pool's configured size.")

#define VMSTAT_EVENTS(X) \
	X(pgfault, "Page faults.") \
	X(pgmajfault, "Page faults that had to read from a device.") \
	X(pgpgin, "Kbytes read from block devices.") \
	X(pgpgout, "Kbytes written to block devices.") \
	X(pswpin, "Pages read from swap.") \
	X(pswpout, "Pages written to swap.") \
	X(swap_ra, "Pages read ahead from swap.") \
	X(swap_ra_hit, "Pages read ahead from swap that were then used.") \
	X(zswpin, "Pages taken from the compressed swap cache.") \
	X(zswpout, "Pages put into the compressed swap cache.") \
	X(pgfree, "Pages freed.") \
	X(pgactivate, "Pages moved to the active lists.") \
	X(pgdeactivate, "Pages moved to the inactive lists.") \
	X(pglazyfreed, "Pages freed that a program had marked as disposable.") \
	X(allocstall, "Allocations that had to reclaim memory themselves, all zones.") \
	X(pgscan_kswapd, "Pages that background reclaim looked at.") \
	X(pgscan_direct, "Pages that allocating tasks looked at to reclaim.") \
	X(pgscan_khugepaged, "Pages that the huge page daemon looked at to reclaim.") \
	X(pgsteal_kswapd, "Pages that background reclaim freed.") \
	X(pgsteal_direct, "Pages that allocating tasks reclaimed.") \
	X(pgsteal_khugepaged, "Pages that the huge page daemon reclaimed.") \
	X(pgscan_anon, "Anonymous pages that reclaim looked at.") \
	X(pgscan_file, "Page cache pages that reclaim looked at.") \
	X(pgsteal_anon, "Anonymous pages reclaimed.") \
	X(pgsteal_file, "Page cache pages reclaimed.") \
	X(pgscan_direct_throttle, "Times an allocating task was made to wait for reclaim.") \
	X(pgrefill, "Active pages that reclaim looked at.") \
	X(slabs_scanned, "Kernel objects that reclaim looked at.") \
	X(pginodesteal, "Page cache pages freed with their inode by an allocating task.") \
	X(kswapd_inodesteal, "Page cache pages freed with their inode by background reclaim.") \
	X(kswapd_low_wmark_hit_quickly, \
	  "Times background reclaim was needed again below the low mark at once.") \
	X(kswapd_high_wmark_hit_quickly, \
	  "Times background reclaim was needed again below the high mark at once.") \
	X(pageoutrun, "Runs of background reclaim.") \
	X(drop_pagecache, "Times the page cache was dropped by hand.") \
	X(drop_slab, "Times the kernel's object caches were dropped by hand.") \
	X(oom_kill, "Processes killed for want of memory.") \
	X(workingset_refault_anon, \
	  "Anonymous pages that had to come back soon after their reclaim.") \
	X(workingset_refault_file, \
	  "Page cache pages that had to come back soon after their reclaim.") \
	X(workingset_activate_anon, "Anonymous pages that came back straight to the active list.") \
	X(workingset_activate_file, \
	  "Page cache pages that came back straight to the active list.") \
	X(workingset_restore_anon, "Anonymous pages that came back and had been active before.") \
	X(workingset_restore_file, "Page cache pages that came back and had been active before.") \
	X(workingset_nodereclaim, "Records of reclaimed pages that were themselves reclaimed.") \
	X(nr_dirtied, "Pages made dirty.") \
	X(nr_written, "Pages written back.") \
	X(nr_vmscan_write, "Pages that reclaim had to write.") \
	X(nr_vmscan_immediate_reclaim, "Pages freed as soon as their write ended.") \
	X(nr_throttled_written, "Pages written while reclaim was held back.") \
	X(compact_stall, "Allocations that had to compact memory themselves.") \
	X(compact_fail, "Compactions by an allocating task that did not help.") \
	X(compact_success, "Compactions by an allocating task that helped.") \
	X(compact_migrate_scanned, "Pages that compaction looked at to move.") \
	X(compact_free_scanned, "Pages that compaction looked at as places to move to.") \
	X(compact_isolated, "Pages that compaction set aside.") \
	X(compact_daemon_wake, "Runs of background compaction.") \
	X(pgmigrate_success, "Pages moved.") \
	X(pgmigrate_fail, "Pages that could not be moved.") \
	X(thp_fault_alloc, "Huge pages given at a page fault.") \
	X(thp_fault_fallback, "Page faults that got small pages for want of a huge one.") \
	X(thp_collapse_alloc, "Huge pages made by the daemon from small ones.") \
	X(thp_collapse_alloc_failed, "Times the daemon found no huge page to use.") \
	X(thp_split_page, "Huge pages split.") \
	X(thp_deferred_split_page, "Huge pages queued to be split.") \
	X(thp_swpout, "Huge pages written to swap whole.") \
	X(thp_swpout_fallback, "Huge pages split on their way to swap.") \
	X(numa_hit, "Pages allocated on the node that was wanted.") \
	X(numa_miss, "Pages allocated on another node than was wanted.") \
	X(numa_foreign, "Pages wanted on a node and allocated on another.") \
	X(numa_pte_updates, "Page table entries marked to find out where memory is used.") \
	X(numa_hint_faults, "Page faults taken to find out where memory is used.") \
	X(numa_hint_faults_local, "Such faults that found the page on the faulting node.") \
	X(numa_pages_migrated, "Pages moved to the node that uses them.") \
	X(pgpromote_success, "Pages moved to faster memory.") \
	X(pgdemote_kswapd, "Pages moved to slower memory by background reclaim.") \
	X(pgdemote_direct, "Pages moved to slower memory by allocating tasks.") \
	X(balloon_inflate, "Pages given back to the hypervisor.") \
	X(balloon_deflate, "Pages got back from the hypervisor.")

#define VMSTAT_LEVELS(X) \
	X(nr_isolated_anon, "Anonymous pages that reclaim holds at the moment.") \
	X(nr_isolated_file, "Page cache pages that reclaim holds at the moment.") \
	X(nr_dirty_threshold, "Dirty pages at which writers are made to wait.") \
	X(nr_dirty_background_threshold, "Dirty pages at which writing back begins.")
/* clang-format on */

/* PCP says "count" for pgpgin and pgpgout too, though the kernel counts Kbytes there. */
#define ID(id, ...) M_##id,
#define KBYTES(id, key, quantum, text)                                                             \
	{"mem.util." #id, "Kbyte", 1, 1, "/proc/meminfo " key, text, SEM_INSTANT, quantum, NULL},
#define PAGES(id, key, quantum, text)                                                              \
	{"mem.util." #id, "count", 1, 1, "/proc/meminfo " key, text, SEM_INSTANT, quantum, NULL},
#define EVENT(id, text)                                                                            \
	{"mem.vmstat." #id, "count", 1, 1, "/proc/vmstat " #id, text, SEM_COUNTER, 0, NULL},
#define LEVEL(id, text)                                                                            \
	{"mem.vmstat." #id, "count", 1, 1, "/proc/vmstat " #id, text, SEM_INSTANT, 0, NULL},
#define UTIL_KEY(id, key, quantum, text) {key ":", M_##id},
#define VMSTAT_KEY(id, text) {#id " ", M_##id},

enum { M_physmem, MEMINFO_KBYTES(ID) MEMINFO_PAGES(ID) N_UTIL };
enum { VMSTAT_EVENTS(ID) VMSTAT_LEVELS(ID) N_VMSTAT };

static const struct metric util_metrics[N_UTIL] = {
	{"mem.physmem", "Kbyte", 1, 1, "/proc/meminfo MemTotal", "Memory the kernel manages.",
	 SEM_DISCRETE, 0, NULL},
	MEMINFO_KBYTES(KBYTES) MEMINFO_PAGES(PAGES)};
static const struct metric vmstat_metrics[N_VMSTAT] = {VMSTAT_EVENTS(EVENT) VMSTAT_LEVELS(LEVEL)};

static const struct keyed_field util_fields[] = {{"MemTotal:", M_physmem},
						 MEMINFO_KBYTES(UTIL_KEY) MEMINFO_PAGES(UTIL_KEY)};
/* allocstall is counted by zone since Linux 4.10. */
static const struct keyed_field vmstat_fields[] = {
	VMSTAT_EVENTS(VMSTAT_KEY) VMSTAT_LEVELS(VMSTAT_KEY){"allocstall_dma ", M_allocstall},
	{"allocstall_dma32 ", M_allocstall},
	{"allocstall_normal ", M_allocstall},
	{"allocstall_high ", M_allocstall},
	{"allocstall_movable ", M_allocstall},
	{"allocstall_device ", M_allocstall},
};

#define COUNT(a) (sizeof(a) / sizeof((a)[0]))

enum { G_UTIL, G_VMSTAT, N_GROUPS };

static const struct group groups[N_GROUPS] = {
	[G_UTIL] = {"memory.util", NULL, util_metrics, N_UTIL, 0, 1, false, NULL},
	[G_VMSTAT] = {"memory.vmstat", NULL, vmstat_metrics, N_VMSTAT, 0, 1, false, NULL},
};
static const char *const path[N_GROUPS] = {[G_UTIL] = "meminfo", [G_VMSTAT] = "vmstat"};

struct memory_state {
	const struct host *host;
	struct kept_file file[N_GROUPS];
	struct keyed keyed[N_GROUPS];
};

static int memory_probe(const struct host *h, struct collector_report *rep)
{
	return host_probe(h, ROOT_PROC, "meminfo", rep->reason, sizeof(rep->reason));
}

static int memory_open(void *state, const struct host *h, struct collector_report *rep)
{
	struct memory_state *s = state;

	s->host = h;
	keyed_init(&s->keyed[G_UTIL], util_fields, COUNT(util_fields), N_UTIL);
	keyed_init(&s->keyed[G_VMSTAT], vmstat_fields, COUNT(vmstat_fields), N_VMSTAT);
	for (unsigned g = 0; g < N_GROUPS; g++) {
		int r = kept_open(&s->file[g], h, ROOT_PROC, path[g]);

		if (r)
			return host_explain(h, ROOT_PROC, path[g], r, rep->reason,
					    sizeof(rep->reason));
	}
	return 0;
}

static void memory_close(void *state)
{
	struct memory_state *s = state;

	for (unsigned g = 0; g < N_GROUPS; g++)
		kept_close(&s->file[g]);
}

static int memory_sample(void *state, unsigned g, struct batch *b, struct collector_report *rep)
{
	struct memory_state *s = state;
	int r = kept_read(&s->file[g], b->tick);

	if (!r && !keyed_parse(&s->keyed[g], s->file[g].data, s->file[g].len, batch_row(b)))
		r = -EBADMSG;
	return r ? host_explain(s->host, ROOT_PROC, path[g], r, rep->reason, sizeof(rep->reason))
		 : 0;
}

const struct collector collector_memory = {
	.name = "memory",
	.help = "memory in use, page faults, reclaim, swap, compaction, huge pages",
	.groups = groups,
	.n_groups = N_GROUPS,
	.state_size = sizeof(struct memory_state),
	.probe = memory_probe,
	.open = memory_open,
	.sample = memory_sample,
	.close = memory_close,
};
