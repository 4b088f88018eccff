/*
 * Puts frames into the log in the order the format wants. Belongs to the sampler thread; after
 * writer_open() nothing here allocates.
 *
 * Invariants
 *  - A segment begins with CATALOG, CLOCK, the live ATTRs and KEY, all of the newest committed
 *    state. A TICK that finds no room opens a segment and stands in it after the KEY of the tick
 *    before: so batches are committed after writer_tick_end() only.
 *  - keys[g].period_ms is what the log says of group g; 0: not read.
 */
#ifndef STROBE_SAMPLE_WRITER_H
#define STROBE_SAMPLE_WRITER_H

#include "sample/notice.h"
#include "sample/timekeep.h"
#include "store/frame.h"
#include "store/log.h"

struct writer {
	struct log *log;
	size_t n_groups;
	struct key_source *keys; /* in catalog order */
	struct timekeep clock;
	struct clock_reading now; /* the newest good reading of the other clocks */
	bool (*read_clocks)(
		struct clock_reading *); /* timekeep_read() unless set after writer_open() */
	struct frame_writer frame;	 /* the tick at hand */
	uint8_t *catalog, *tick, *scratch;
	size_t catalog_len, size; /* of tick and scratch */
	uint64_t mono_us, number; /* of the tick at hand */
	uint64_t state_us,
		state_number; /* of the newest commit: not before any acquisition in it */
	uint32_t since_key;
	uint64_t n_lost; /* frames that fit nowhere */
	bool lost_tick;	 /* the tick at hand is one */
};

/* batches[n]: one a catalog group, in order. 0, -ENOMEM, -EMSGSIZE (the catalog is larger than a
 * segment). */
int writer_open(struct writer *, struct log *, const struct batch *const *batches, size_t n);
void writer_close(struct writer *); /* zeroed is fine */

/* Begins a segment: to be called once before the first tick. `number`: of the newest tick so
 * far. */
void writer_begin(struct writer *, uint64_t mono_us, uint64_t number);

/* One tick: tick_begin; frame_tick_group(&w->frame, ...) and frame_tick_period; tick_end, which
 * appends it; then the caller commits the batches and calls writer_committed with the time at which
 * the last group had been read. */
void writer_tick_begin(struct writer *, uint64_t mono_us, uint64_t number);
void writer_tick_end(struct writer *);
void writer_committed(struct writer *, uint64_t end_us);
/* After writer_committed: a changed attribute. */
void writer_attr(struct writer *, uint32_t group, const struct batch *, uint32_t slot,
		 uint32_t key);
/* After writer_committed: pending events, clock record and key frame, whichever is due. */
void writer_rest(struct writer *, struct notices *);
/* The events alone (the last thing before the end). */
void writer_notices(struct writer *, struct notices *);

#endif
