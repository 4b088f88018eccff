/*
 * Range queries over everything that is held: for each asked series, per point, how many samples
 * and their first, min, max, last and sum. One scan serves all series of a request. Nothing is
 * interpolated: a point without a sample has n 0. Times are those of the timeline (history.h).
 *
 * Values are raw stored units for SEM_INSTANT and SEM_DISCRETE. For SEM_COUNTER they are rates in
 * thousandths of a stored unit per second, each over the measured time between two successive reads
 * of the group (never across an absent value, a new generation, a reset, or a hole longer than 2.5
 * of the group's periods), unless `raw` asks for the counter itself. A rate belongs to the point
 * that holds its second read. Beyond what is held in full a point has what the rollups say: a
 * bucket of theirs belongs to the point that holds its beginning, and there is no `raw`. A `chart` has
 * it everywhere when its points are so long that nobody sees it: a day in a ninth of the time.
 *
 * Series go on from block to block by (slot, generation), from one log to the next by the name and
 * the id of the instance. What an earlier catalog measured in another unit is left out; what only an
 * earlier one knew is answered from what is held of its time.
 */
#ifndef STROBE_STORE_QUERY_H
#define STROBE_STORE_QUERY_H

#include "store/history.h"

enum { QUERY_POINTS_MAX = 10000, QUERY_SERIES_MAX = 4096 };
#define QUERY_SAMPLES_MAX (1ull << 28) /* looked at for one request */

struct query_selector {
	const char *metric;
	const char *instance; /* NULL: every instance, those that ended in the range included */
};
struct query_request {
	const struct query_selector *selectors;
	size_t n_selectors;
	int64_t from_us, to_us; /* from < to */
	uint32_t
		points; /* 1..QUERY_POINTS_MAX; point i covers [from + i*step, from + (i+1)*step) */
	bool raw;	/* counters as they are, not as rates */
	bool chart; /* points of 40 s and more, 100 of them at least, may be made of rollups: rates
			 * to 0.4 %. Not of groups whose instances have attributes (processes), for
			 * those that are brief are in no rollup */
	uint32_t cells_max; /* points of all series together: beyond it the result is truncated;
			     * 0: 2^20, which is the most */
};
struct query_point {
	uint32_t n;
	int64_t first, min, max, last;
	double sum;
	int64_t last_us; /* time of the last sample in the point, or of the read that ends a summary */
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
				 * of the asked groups only, and no values. Groups of older catalogs
				 * come last, if they were asked for */
	int64_t oldest_us;	/* of all that is held */
	struct history_clock *clocks; /* n_clocks; with those of the catalog they give wall time */
	size_t n_clocks;
};

/* 0; -ENOENT: no catalog that is held has any of the metrics (or nothing is held); -EINVAL; -ENOMEM; -ECANCELED; -E2BIG:
 * more than QUERY_SAMPLES_MAX. *ret is set with 0 only; query_free() it. An unknown metric beside known ones has no series. Blocks
 * for the scan: call it on the query thread. *cancel (may be NULL) is polled. */
int query_run(struct history *, const struct query_request *, struct query_result **ret,
	      const _Atomic bool *cancel);
void query_free(struct query_result *);
/* Wall-clock us of a time in the range. */
int64_t query_wall_us(const struct query_result *, int64_t at_us);

#endif
