/*
 * What changed in a range against a baseline: every series scored by how far its median moved, in
 * units of how much it moved before: |median - median before| / max(MAD before, quantum, what
 * matters). Where the median stayed a part of the range may have moved: what the top (or the bottom)
 * eighth of its samples, 5 at least, reached beyond what any equally long window of the baseline did.
 * Counters by their rates. Families (one metric of all instances) are collapsed to their worst
 * instance; series that were not there in both stretches long enough are left out. Above some
 * thousands of samples a series is taken by means of equal stretches, and of a long baseline (more
 * than some 40 minutes) so many blocks as it takes, evenly spread; of a range of more than an hour,
 * too.
 *
 * Of a range that is not held in full any more, or one before which too little is, the buckets of rollups
 * are compared (and the summaries of blocks, of some ten seconds each, where full blocks begin): those
 * that overlap the range, with a baseline of 32 at least, which is made longer when it has fewer.
 *
 * What keeps false alarms out:
 *  - the smallest unit is the quantum of the source (one stored unit where it has none; of a counter
 *    as a rate over one read), and a thousandth of the median before;
 *  - what is too little to matter to a person, however still it was before: a unit is at least a third
 *    of a hundredth of a CPU (or of any time), 16 KiB/s, 64 KiB, 1 a second;
 *  - the median has to leave what the baseline did: nine tenths of its samples, all of them where the
 *    range has few, and by two MADs more where it has fewer than 8;
 *  - of what wavers slowly the baseline is cut into windows as long as the range, half of each over the
 *    next: a unit is at least twice as much as they differ. (Of the median the three that are farthest
 *    out do not count: the same may have happened once before.)
 *  - what only goes on as it went (uptime, a slow leak) has not changed: the distance is that to the
 *    baseline's median or to where its trend leads, whichever is less;
 *  - a state counts as one change, however far apart the numbers of its words are, and only where it
 *    was steady before (of a part of the range: 8 samples in a row at least).
 */
#ifndef STROBE_STORE_RANK_H
#define STROBE_STORE_RANK_H

#include "store/query.h"

enum { RANK_MIN_SAMPLES = 30, RANK_ROWS_MAX = 200 };

struct rank_request {
	int64_t from_us, to_us;
	int64_t base_from_us, base_to_us; /* both 0: ten times the range before it, at least
					     RANK_MIN_SAMPLES seconds long */
	uint32_t limit;			  /* rows wanted, 1..RANK_ROWS_MAX */
};
struct rank_row {
	char metric[128], instance[INSTANCE_NAME_MAX];
	uint32_t group, metric_index, others; /* others: instances of the family that also moved */
	double score;
	bool rate;		       /* the values are rates: thousandths a second */
	bool brief;		       /* only a part of the range moved */
	int64_t before, now, min, max; /* medians, or what the part reached and was usual for one
					  as long; smallest and largest in the range */
	uint32_t n, n_before;
};
struct rank_result {
	struct rank_row *rows; /* highest score first; only what moved (score >= RANK_SCORE_MIN) */
	size_t n_rows;
	uint32_t n_series, n_scored;
	int64_t base_from_us, base_to_us; /* as it was used */
	uint32_t resolution_us;		  /* 0: every sample; else means of so long, from rollups */
	struct mirror *catalog;
};
#define RANK_SCORE_MIN 3.0
#define RANK_SCORE_STATE 5.0 /* of a state that is another one now */

/* 0; -EINVAL, -ENODATA (nothing is held of the range or of the baseline), -ENOMEM, -E2BIG (more than
 * some days at once), -ECANCELED. */
int rank_run(struct history *, const struct rank_request *, struct rank_result **ret,
	     const _Atomic bool *cancel);
void rank_free(struct rank_result *);

#endif
