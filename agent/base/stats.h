/*
 * What the agent knows of itself: counters that any room may set and the collector "strobe" reads.
 * One global object, atomics with relaxed order; `reason`, `tier` and `name` of a collector_stat
 * are written and read on the sampler thread only.
 */
#ifndef STROBE_BASE_STATS_H
#define STROBE_BASE_STATS_H

#include <stdatomic.h>
#include <stdint.h>

enum { STATS_COLLECTORS_MAX = 64 };

/* The words are in collectors/strobe.c. */
enum collector_state {
	COLLECTOR_OK,
	COLLECTOR_REDUCED, /* its period is stretched by the budget */
	COLLECTOR_PARTIAL, /* some sources fail, the rest is good */
	COLLECTOR_FAILED,  /* disabled, tried again with back-off */
	COLLECTOR_ABSENT,  /* no such source on this host; probed again once a minute */
	COLLECTOR_OFF	   /* left out by --collectors */
};

struct collector_stat {
	const char *name; /* NULL: end of the table */
	const char *tier;
	char reason[160];
	_Atomic uint32_t state;	    /* enum collector_state */
	_Atomic uint32_t period_ms; /* in force, of its fastest group */
	_Atomic uint32_t series;    /* live instances x metrics, all groups */
	_Atomic uint64_t
		cost_ns; /* CPU of all its samples so far (scaled from the measured ticks) */
	_Atomic uint64_t last_ns; /* moving average of one sample, wall clock */
	_Atomic uint64_t n_errors;
	_Atomic uint64_t retry_at_us; /* CLOCK_MONOTONIC; 0: no retry pending */
};

struct stats {
	_Atomic uint64_t ticks, late_ticks,
		missed_ticks;	      /* late: began > 10 % of the period after its time */
	_Atomic uint64_t lateness_us; /* of the newest tick */
	_Atomic uint64_t samples;     /* values read so far */
	_Atomic uint64_t series;      /* values in the newest full tick */
	_Atomic uint64_t log_bytes, log_frames, log_bytes_held, log_capacity_bytes, retention_us;
	_Atomic uint64_t history_memory_bytes, history_disk_bytes, history_disk_size_bytes,
		history_blocks, history_samples, history_sample_bytes, history_retention_us,
		history_safe_us; /* CLOCK_MONOTONIC of the newest tick that a loss of power would
				    spare; 0: there is no ring */
	_Atomic uint64_t history_errors; /* writes to the ring that failed */
	_Atomic uint64_t profiler_hz, profiler_samples, profiler_lost, profiler_shallow,
		profiler_cpu_ns, profiler_memory_bytes, profiler_disk_bytes,
		profiler_sealed_samples, profiler_sealed_bytes;
	_Atomic int64_t profiler_oldest_us; /* of the stacks held; 0: none */
	_Atomic uint64_t clients, bytes_sent, batches_sent, gaps_sent, slow_clients, http_requests,
		refused_requests;
	_Atomic uint64_t queries, query_us;
	/* The sampler's priority; of its thread only, NULL before it runs. */
	const char *sampler_tier, *sampler_reason;
	struct collector_stat collectors[STATS_COLLECTORS_MAX];
};

extern struct stats stats;

#define STAT_ADD(field, n) atomic_fetch_add_explicit(&stats.field, (n), memory_order_relaxed)
#define STAT_SET(field, n) atomic_store_explicit(&stats.field, (n), memory_order_relaxed)
#define STAT_GET(field) atomic_load_explicit(&stats.field, memory_order_relaxed)

#endif
