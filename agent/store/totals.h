/*
 * By how much the counters of each instance of a group rose in a range, and how fast they did in a
 * baseline: the processes of an incident, those that ended in it included.
 *
 * A step counts when its second read is in the range, and its first is too or is the read right
 * before it. What a counter had risen to before it was first read is not known.
 *
 * Of what is not held in full any more rollups tell: buckets that overlap the range (or lie in the
 * baseline), their mean rates times the time that was read, to some 0.4 %. Who came and went within a
 * minute is not in them (rollup.h).
 */
#ifndef STROBE_STORE_TOTALS_H
#define STROBE_STORE_TOTALS_H

#include "store/history.h"

enum { TOTALS_METRICS_MAX = 16, TOTALS_ROWS_MAX = 500 };

struct totals_request {
	const char *group;
	const char *const *metrics; /* of it, 1..TOTALS_METRICS_MAX */
	size_t n_metrics;
	int64_t from_us, to_us;
	int64_t base_from_us, base_to_us; /* both 0: no baseline */
	uint32_t limit;			  /* rows, 1..TOTALS_ROWS_MAX */
};
struct totals_row {
	char instance[INSTANCE_NAME_MAX];
	char *attrs[ATTRS_MAX];		    /* the last known in the range; NULL: unset */
	int64_t deltas[TOTALS_METRICS_MAX]; /* stored units; of what is no counter the largest
						 value, VALUE_ABSENT: it had none */
	double before[TOTALS_METRICS_MAX];  /* the same a second in the baseline; negative: it was
						 not there (or there is none) */
	bool started, ended;		    /* in the range */
};
struct totals_result {
	struct totals_row *rows; /* the largest of the first metric first */
	size_t n_rows;
	uint32_t n_instances, n_attrs; /* that were there in the range; attributes of the group */
	uint32_t resolution_us;	       /* 0: every sample; else some of it is of buckets so long */
};

/* 0; -EINVAL; -ENOENT: no such group or metric; -ENODATA: nothing is held of the range; -ENOMEM, -E2BIG,
 * -ECANCELED. */
int totals_run(struct history *, const struct totals_request *, struct totals_result **ret,
	       const _Atomic bool *cancel);
void totals_free(struct totals_result *);

#endif
