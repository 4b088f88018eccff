/*
 * Range queries over the log: for each asked series, per point, how many samples and their first,
 * min, max, last and sum. One scan of the log serves all series of a request. Nothing is
 * interpolated: a point without a sample has n 0.
 *
 * Values are raw stored units for SEM_INSTANT and SEM_DISCRETE. For SEM_COUNTER they are rates in
 * thousandths of a stored unit per second, each over the measured time between two successive reads
 * of the group (never across an absent value, a new generation, a reset, or a hole longer than 2.5
 * of the group's periods), unless `raw` asks for the counter itself. A rate belongs to the point
 * that holds its second read.
 */
#ifndef STROBE_STORE_QUERY_H
#define STROBE_STORE_QUERY_H

#include "store/log.h"
#include "store/mirror.h"

enum { QUERY_POINTS_MAX = 10000, QUERY_SERIES_MAX = 4096 };

struct query_selector {
	const char *metric;
	const char *instance; /* NULL: every instance, those that ended in the range included */
};
struct query_request {
	const struct query_selector *selectors;
	size_t n_selectors;
	uint64_t from_us, to_us; /* CLOCK_MONOTONIC; from < to */
	uint32_t
		points; /* 1..QUERY_POINTS_MAX; point i covers [from + i*step, from + (i+1)*step) */
	bool raw;	/* counters as they are, not as rates */
	uint32_t cells_max; /* points of all series together: beyond it the result is truncated;
			     * 0: 2^20, which is the most */
};
struct query_point {
	uint32_t n;
	int64_t first, min, max, last;
	double sum;
	uint64_t last_us; /* time of the last sample in the point */
};
struct query_series {
	uint32_t group, metric, slot, gen;
	char instance[INSTANCE_NAME_MAX];
	struct query_point *points; /* request->points */
};
struct query_result {
	struct query_series *series; /* in the selectors' order, then by slot and generation */
	size_t n_series;
	bool truncated;	  /* QUERY_SERIES_MAX or 2^20 points in all reached: the busiest is not
			     promised */
	uint64_t step_us; /* (to - from) / points, rounded up: the points cover the whole range */
	struct mirror *catalog; /* at the end of the scan: units, semantics, names, clock; instances
				 * of the asked groups only, and no values */
	uint64_t oldest_us;	/* what the log held at the time of the scan */
};

/* 0; -ENOENT: none of the metrics exists (or the log is empty); -EINVAL; -ENOMEM; -ECANCELED. *ret
 * is set with 0 only; query_free() it. An unknown metric beside known ones has no series. Blocks
 * for the scan: call it on the query thread. *cancel (may be NULL) is polled. */
int query_run(struct log *, const struct query_request *, struct query_result **ret,
	      const _Atomic bool *cancel);
void query_free(struct query_result *);

#endif
