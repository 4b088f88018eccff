/* What the files of the heat map share. Nobody else includes this. */
#ifndef STROBE_STACKS_HEAT_INTERNAL_H
#define STROBE_STACKS_HEAT_INTERNAL_H

#include "stacks/fold_internal.h"

#include <regex.h>

/* ---- heat_match.c ---- */

/* Which frames a pattern matches; names are looked at once each. */
struct matcher {
	regex_t regex;
	bool is_open;
	struct stacks *names; /* every name that was looked at, as a string */
	uint8_t *known;	      /* by string: 0 not looked at, 1 no, 2 yes */
	uint32_t cap;
	uint64_t spent_ns; /* matching */
	uint8_t *nodes;	   /* of the set being read: whether it or one above it matches */
};
int matcher_open(struct matcher *, const char *pattern, bool ignore_case, char *err,
		 size_t err_len);
void matcher_close(struct matcher *);
/* Fills `nodes`. 0; -ENOMEM; -ETIME: the pattern takes too long. */
int matcher_begin(struct matcher *, const struct stacks *);

/* ---- heat_rows.c ---- */

enum { ROW_FEW = 4 };

/* Weights of one CPU, process, thread or cgroup: a few cells, or all columns. */
struct row {
	uint64_t key;
	uint32_t label; /* string of rows->labels */
	uint32_t n_few;
	uint64_t total_us;
	struct {
		uint32_t column, weight_us, matched_us;
	} few[ROW_FEW];
	uint32_t *cells; /* weights, then matched ones; NULL: few */
};

struct rows {
	struct row *v;
	uint32_t n, cap, n_columns, keep;
	uint64_t cell_bytes;
	uint32_t *slots, mask; /* open addressing: index + 1 */
	struct stacks *labels;
	bool matched;
};
int rows_open(struct rows *, uint32_t n_columns, uint32_t keep, bool matched);
void rows_close(struct rows *);
/* Its index until the next call; UINT32_MAX: no memory. Small rows may go for it. */
uint32_t rows_get(struct rows *, uint64_t key, const char *label);
int rows_add(struct rows *, uint32_t row, uint32_t column, uint32_t weight_us, uint32_t matched_us);
int rows_spread_out(struct rows *, struct row *); /* makes `cells`. 0 or -ENOMEM */
/* The largest `keep` of them first; the others are gone. */
void rows_finish(struct rows *);

static inline void add_saturated(uint32_t *to, uint64_t v)
{
	*to = v > UINT32_MAX - *to ? UINT32_MAX : *to + (uint32_t)v;
}

struct heater {
	struct heat_request request;
	struct stacks_range range;
	struct matcher matcher;
	struct rows rows; /* not of HEAT_OFFSET */
	/* Of HEAT_OFFSET by cell, [0] all and [1] matched: weights, and where stretches that cover
	 * whole cells begin (+) and end (-). */
	uint32_t *cells[2];
	int32_t *steps[2];
	uint32_t *lost;
	uint64_t *covered_us;
	uint64_t n_samples, n_matched;
	bool stepped;
};

#endif
