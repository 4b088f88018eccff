/*
 * Coalescing: what one interval of 2, 5, 10 or 50 ticks did to each group, with the smallest, the
 * largest and the sum on the way, so that spikes survive a coarser level.
 *
 * Invariants
 *  - Interval k of level n is the ticks (k*n, (k+1)*n].
 *  - A base is the client's state after the interval before; deltas are relative to it, so that a
 *    client may change between levels at any common boundary.
 *  - Cost follows changes, not series. Memory grows to what one interval touched.
 *
 * Life cycle: level_init; per TICK frame and before mirror_apply: level_begin (true: the interval
 * before this tick is complete and must be taken with level_take first), level_group for each
 * group; after mirror_apply: level_end (true: complete, take it now). level_done.
 */
#ifndef STROBE_SERVE_LEVELS_H
#define STROBE_SERVE_LEVELS_H

#include "serve/wire.h"

struct level_group;

struct level {
	uint32_t ticks;		     /* of an interval */
	bool whole;		     /* the interval is known from its first tick on */
	uint64_t start_tick;	     /* of the interval being gathered */
	uint64_t seq, mono_us, tick; /* of the newest tick in it; tick 0: none yet */
	struct level_group *groups;
	uint32_t n_groups;
};

void level_init(struct level *, uint32_t ticks);
void level_done(struct level *);
/* Forgets the interval (the mirror was rebuilt). */
void level_reset(struct level *);

/* The tick before this one was `previous` (0: unknown). 1: take the interval gathered so far, then
 * call again; 0. */
int level_begin(struct level *, uint64_t previous, uint64_t tick);
/* One group of the tick; m is the state before it. 0 or -ENOMEM. */
int level_group(struct level *, const struct mirror *m, uint64_t mono_us,
		const struct tick_group *);
/* After the groups of the tick. True: the interval is complete. */
bool level_end(struct level *, uint64_t seq, uint64_t mono_us, uint64_t tick);
/* Appends a blob per group that was read to `out`, fills blobs (room for n_groups) and *ret, and
 * begins the next interval. m is the state after the interval. */
void level_take(struct level *, const struct mirror *m, struct buf *out, struct wire_blob *blobs,
		struct wire_entry *ret);

#endif
