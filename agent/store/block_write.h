/*
 * Writes a sealed block (block.h). What is put in is kept in buffers that are used again for the
 * next block; a lack of memory shows at the end.
 *
 * Life cycle: zeroed; then per block: block_writer_begin, _ticks, and per group _group, then _instance
 * of each of its instances with _cells after those that have reads; _frame in between as they
 * come; _end. At last block_writer_done.
 */
#ifndef STROBE_STORE_BLOCK_WRITE_H
#define STROBE_STORE_BLOCK_WRITE_H

#include "store/block.h"
#include "store/column.h"
#include "store/out.h"

struct block_write_group {
	uint32_t group, n_metrics, n_attrs, period_ms, n_reads;
	const uint16_t *tick;  /* n_reads: the tick each belongs to */
	const uint64_t *at_us; /* n_reads, never falling */
	uint64_t first_dt_us;  /* of the first read; 0: no rate can be told */
	const uint16_t *holes; /* reads but the first across which no rate can be told, rising */
	uint32_t n_holes;
	const uint32_t *counts; /* of a rollup: reads in each bucket; first_dt_us and holes are 0 */
	const bool *of_rates; /* n_metrics: summaries of rates, not of values; NULL: none at all */
};
struct block_write_instance {
	uint32_t slot, gen, first, n;
	uint64_t id;
	const char *name;
	bool started, ended;
	const uint8_t *attrs; /* as ATTRS has them, bits and strings; NULL: none */
	size_t attrs_len;
};

struct block_item; /* private */
struct block_writer {
	struct out ticks, groups, attrs, frames; /* sections of META */
	struct out directory, values, pages;	 /* pages: struct block_page with offsets */
	struct out page, scratch;		 /* the VALUE page being filled; encoded cells */
	const uint64_t *tick_us;
	uint32_t n_ticks, n_groups, n_values, page_cells;
	uint64_t n_samples, frame_seq;
	/* of the group being written */
	struct block_write_group group;
	struct block_write_instance instance;
	uint64_t dt_us[BLOCK_READS];
	uint32_t n_instances, n_rows, last_group, last_slot, last_attrs;
	size_t group_from, attrs_from;
	/* of the run being written: where its head stands in the page; SIZE_MAX: none */
	size_t run_at;
	struct block_item *items;
	uint32_t cap_items;
	bool in_group, failed;
};

void block_writer_begin(struct block_writer *, uint64_t first_seq);
void block_writer_done(struct block_writer *);

/* At most BLOCK_READS; kept by the caller until block_writer_end(). */
void block_writer_ticks(struct block_writer *, const uint64_t *at_us, uint32_t n);
/* By number. */
void block_writer_group(struct block_writer *, const struct block_write_group *);
/* By slot, then by generation. */
void block_writer_instance(struct block_writer *, const struct block_write_instance *);
/* The n_metrics cells of the instance before, when its n is not 0. */
void block_writer_cells(struct block_writer *, const struct column *cells);
/* An EVENT or CLOCK frame. */
void block_writer_frame(struct block_writer *, const struct frame *);
/* 0 with *ret malloc'ed, or -ENOMEM. Sets head->n_groups and n_samples; the rest is the caller's. */
int block_writer_end(struct block_writer *, struct block_head *head, uint8_t **ret,
		     size_t *ret_len);

#endif
