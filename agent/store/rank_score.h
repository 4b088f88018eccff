/* The statistics of rank: samples gathered column by column, and how far they moved. */
#ifndef STROBE_STORE_RANK_SCORE_H
#define STROBE_STORE_RANK_SCORE_H

#include "base/metric.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Samples of one series in one stretch, in order. As long as all are equal only that is kept. */
struct rank_column {
	double first; /* v NULL: all of them */
	double *v;
	uint32_t n, cap;
};
/* `expected`: so many there will be at most, as far as is known. 0 or -ENOMEM. */
int rank_column_add(struct rank_column *, double value, uint32_t times, uint32_t expected);
void rank_column_done(struct rank_column *);

struct rank_scale {
	double quantum; /* the smallest step a sample can show */
	double least;	/* what is less than a few of these matters to nobody */
	double share;	/* of the median before that is told apart from nothing */
	bool state;
	double ahead; /* where the middle of the range lies: 0 the beginning of the baseline, 1 its
			 end */
};
struct rank_moved {
	double score; /* 0: it has not */
	double now, before;
	bool brief; /* a part of the range: now and before are what it reached, not medians */
};
/* Needs at least one sample in each. Scratch has room for the samples of both. */
struct rank_moved rank_score(const struct rank_column *now, const struct rank_column *before,
			     const struct rank_scale *, double *scratch);

#endif
