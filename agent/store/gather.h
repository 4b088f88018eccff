/*
 * What the log said since the last block, kept as changes until the block is written. Follows a
 * mirror, which it moves on itself; its memory is used again for the next block.
 *
 * Life cycle: zeroed; gather_groups after each new catalog; then per block gather_begin (the mirror
 * is keyed) and gather_tick for each TICK; gather_write. gather_skip moves on what lies before the
 * first block. At last gather_done.
 */
#ifndef STROBE_STORE_GATHER_H
#define STROBE_STORE_GATHER_H

#include "store/block_write.h"
#include "store/mirror.h"

enum {
	GATHER_CHANGES_MAX = 1 << 19, /* a block with more is full */
	GATHER_INSTANCES_MAX = 1 << 16
};

struct gather_instance {
	uint32_t slot, gen, first, n, number;
	uint64_t id;
	bool started, ended, has_attrs, left_out;
	uint32_t base;		   /* its row in bases, when it was there before */
	size_t attrs, attrs_len;   /* in the group's attrs, once it has ended */
	uint32_t events, n_events; /* while the block is written: in the sorted events */
	char name[INSTANCE_NAME_MAX];
};
struct gather_event {
	int64_t to;
	uint32_t instance;
	uint16_t metric, read;
};
struct gather_group {
	uint32_t n_reads, n_holes, n_instances, n_events, n_bases, n_slots;
	bool resting; /* it was said not to be read: no rate across that */
	uint64_t first_dt_us;
	uint64_t at_us[BLOCK_READS];
	uint16_t tick[BLOCK_READS], holes[BLOCK_READS];
	struct gather_instance *instances;
	struct gather_event *events;
	int64_t *bases;	   /* rows of the read before the first */
	uint32_t *by_slot; /* n_slots: the instance that is there, + 1 */
	struct out attrs;
	bool *of_rates; /* of each metric: a counter */
	uint32_t cap_instances, cap_events, cap_bases, cap_slots;
};
/* What gather_write_group() sorts in; zeroed at first. */
struct gather_scratch {
	struct gather_event *sorted;
	struct gather_instance **order;
	struct column *cells;
	uint16_t *at;
	int64_t *to;
	uint32_t cap_sorted, cap_order, cap_cells, cap_at, cap_to;
};
struct gather {
	struct mirror *m;
	struct gather_group *groups;
	uint32_t n_groups;
	bool begun;
	uint32_t n_ticks, n_most; /* n_most: reads of the most often read group */
	uint64_t n_events, n_instances;
	uint64_t tick_us[BLOCK_READS], from_us, to_us;
	struct gather_scratch scratch;
};

/* All return 0, -EBADMSG (what the frame says cannot be; groups before the damaged one are in) or
 * -ENOMEM. */
int gather_groups(struct gather *, struct mirror *);
void gather_done(struct gather *);
int gather_begin(struct gather *);
int gather_tick(struct gather *, const struct frame *);
/* Moves the mirror on without keeping anything. */
int gather_skip(struct gather *, const struct frame *);
/* After a KEY that began everything anew. */
void gather_key(struct gather *);
/* Before an ATTR is applied: keeps what it is about to replace. */
int gather_attr(struct gather *, const struct attr_frame *);
bool gather_is_full(const struct gather *);
/* Forgets the block. */
void gather_reset(struct gather *);

/* gather_write.c: puts ticks, groups, instances and cells into the writer. 0 or -ENOMEM. */
int gather_write(struct gather *, struct block_writer *);

/* A group whose instances all know their n, with n_cells cells each; has_base: those that did not start
 * have a row in `bases`, else cells begin with 0. 0 or -ENOMEM. */
int gather_write_group(struct gather_scratch *, struct gather_group *,
		       const struct block_write_group *, uint32_t n_cells, bool has_base,
		       struct block_writer *);
void gather_scratch_done(struct gather_scratch *);
void gather_group_done(struct gather_group *);

/* An array that holds at least `need` elements; NULL: no memory, the old one stays. */
void *gather_grow(void *array, uint32_t *cap, uint32_t need, size_t size);
/* Attributes as a block has them, n of them, NULL where unset; nothing when all are. */
void gather_put_attrs(struct out *, const char *const *attrs, uint32_t n);

#endif
