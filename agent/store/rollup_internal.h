/* What rollup.c and rollup_group.c share. Nobody else includes this. */
#ifndef STROBE_STORE_ROLLUP_INTERNAL_H
#define STROBE_STORE_ROLLUP_INTERNAL_H

#include "store/gather.h"
#include "store/rollup.h"

enum rollup_field {
	FIELD_MISSING,
	FIELD_FIRST,
	FIELD_MIN,
	FIELD_MAX,
	FIELD_LAST,
	FIELD_SUM,
	ROLLUP_FIELDS
};
/* Cells of an instance that stand before those of its metrics. */
enum { ROLLUP_NO_VALUE, ROLLUP_NO_RATE, ROLLUP_LEAD };
/* A rollup with more is full: some 256 KiB. */
enum { ROLLUP_EVENTS_MAX = 160 << 10 };

/* One series in the bucket that is open, and what was told of it last. */
struct rollup_cell {
	uint32_t n;
	int64_t first, min, max, last, sum;
	int64_t told[ROLLUP_FIELDS];
};
/* An instance that is there, or was in the bucket that is open. */
struct rollup_row {
	struct rollup_cell *cells;
	struct out attrs;
	uint32_t gen, instance, open; /* instance: its number; open: its bucket of the group */
	uint32_t n_values, n_rates;   /* reads in that bucket which may give a value, or a rate */
	int64_t told[ROLLUP_LEAD];
	uint64_t first_us, last_us;
	uint64_t seen; /* the block it was in last */
	bool used, started, ended;
};
/* The reads of a group in one block that lie in one bucket. */
struct rollup_range {
	uint32_t bucket, from, to;
};
struct rollup_group {
	struct gather_group g; /* its reads are buckets; by_slot: rows, + 1 */
	uint32_t n_metrics, n_attrs, period_ms;
	bool of_rates[GROUP_METRICS_MAX];
	uint32_t counts[BLOCK_READS];
	struct rollup_row *rows;
	uint32_t n_rows, cap_rows, cap_free, n_free;
	uint32_t *free; /* instances that nothing was told of */
};
struct rollup {
	struct rollup_config config;
	struct block_head head; /* of what was added */
	struct rollup_group *groups;
	uint32_t n_groups, n_buckets;
	uint64_t bucket_us[BLOCK_READS]; /* their beginnings */
	uint64_t n_blocks, n_events;
	struct gather_scratch scratch;
	struct block_writer writer;
	struct sealed pending;
};

/* Rates are kept to a number of bits: the exponent and the bits after the first one. */
enum { RATE_BITS = 8, MEAN_BITS = 10 };
enum { MEAN_NEAR = 3 }; /* codes of a mean that are taken for one */

static inline uint64_t rollup_code(uint64_t v, unsigned bits)
{
	unsigned e = 0;

	while (v >> e >> bits > 1)
		e++;
	return ((uint64_t)e << bits) + (v >> e);
}

/* In the middle of what has that code. */
static inline uint64_t rollup_decode(uint64_t code, unsigned bits)
{
	uint64_t e = code >> bits;

	if (e < 2)
		return code;
	e = e - 1 > 62 - bits ? 62 - bits : e - 1;
	return ((code - (e << bits)) << e) + (UINT64_C(1) << (e - 1));
}

/* The code of the mean of n rates that but for one, the largest, are 0. */
static inline uint64_t rollup_mean_of(uint64_t max_code, uint32_t n)
{
	return rollup_code(rollup_decode(max_code, RATE_BITS) / n, MEAN_BITS);
}

/* Keeps all of the row's bucket, which is over. 0 or -ENOMEM. */
int rollup_tell(struct rollup *, struct rollup_group *, struct rollup_row *);
/* Forgets what was told of instances that are left out. */
void rollup_group_compact(struct rollup *, struct rollup_group *);
int rollup_group_add(struct rollup *, struct rollup_group *, struct block *,
		     const struct block_group *, const struct mirror_group *);
/* Closes what is open and numbers the buckets. 0 or -ENOMEM. */
int rollup_group_finish(struct rollup *, struct rollup_group *);
void rollup_group_reset(struct rollup_group *);
void rollup_group_done(struct rollup_group *);

#endif
