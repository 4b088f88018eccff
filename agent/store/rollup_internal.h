/* What rollup.c and rollup_group.c share. Nobody else includes this. */
#ifndef STROBE_STORE_ROLLUP_INTERNAL_H
#define STROBE_STORE_ROLLUP_INTERNAL_H

#include "store/gather.h"
#include "store/rollup.h"

enum rollup_field {
	FIELD_MISSING,
	FIELD_FIRST,
	FIELD_BELOW,
	FIELD_ABOVE,
	FIELD_LAST,
	FIELD_SUM,
	ROLLUP_FIELDS
};
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

int rollup_group_add(struct rollup *, struct rollup_group *, struct block *,
		     const struct block_group *, const struct mirror_group *);
/* Closes what is open and numbers the buckets. 0 or -ENOMEM. */
int rollup_group_finish(struct rollup *, struct rollup_group *);
void rollup_group_reset(struct rollup_group *);
void rollup_group_done(struct rollup_group *);

#endif
