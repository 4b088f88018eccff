/* What block_read.c, block_values.c and block_assemble.c share: an opened block. Nobody else
 * includes this. */
#ifndef STROBE_STORE_BLOCK_INTERNAL_H
#define STROBE_STORE_BLOCK_INTERNAL_H

#include "store/block_format.h"

struct page {
	size_t at; /* in the block */
	uint32_t stored, len, crc;
	bool is_compressed;
	uint32_t first_cell, n_cells; /* of VALUE pages */
	const uint8_t *plain;	      /* NULL: not looked at yet */
	uint8_t *own;		      /* what plain stands in, when it was compressed */
};

struct opened_group {
	struct block_group pub;
	uint32_t n_rows, first_cell;
	size_t group_at, group_len, attrs_at, attrs_len; /* in META */
	void *memory; /* what pub points to; NULL: not looked at yet */
	struct block_instance *instances;
	uint32_t *row;	   /* of each instance: its number among those with cells */
	uint16_t *n_steps; /* n_reads + 1: how many reads before have a dt_us */
	const char **attrs;
};

struct block {
	const uint8_t *data;
	size_t len;
	struct block_head head;
	const uint8_t *directory; /* plain */
	size_t directory_len, groups_len;
	uint8_t *own_directory;
	struct opened_group *groups; /* head.n_groups, by number */
	struct page *pages;	     /* META first */
	uint32_t n_meta, n_values, n_ticks, n_cells;
	size_t meta_len, ticks_len, frames_at, frames_len;
	void *zstd;		   /* a ZSTD_DCtx, once a page was compressed */
	_Atomic uint64_t *checked; /* as in block_tools */
	struct block_tools *tools; /* it goes back there; NULL: it is this block's own */
	uint8_t *own_meta;	   /* META as one row, when its pages are compressed */
	uint64_t *tick_us;	   /* NULL: not looked at yet */
	struct {
		uint32_t page,
			cell; /* the item that holds the cell looked at last begins with cell */
		const uint8_t *p;
	} place;
};

/* The plain bytes of page i, its crc verified. 0, -EBADMSG, -ENOMEM. */
int block_page(struct block *, uint32_t i, const uint8_t **ret);
/* Bytes [at, at + len) of META. 0, -EBADMSG, -ENOMEM. */
int block_meta(struct block *, size_t at, size_t len, const uint8_t **ret);

struct block_cell {
	uint8_t kind, codec, flags;
	uint32_t number, n_cells;	  /* the number of the cell looked for in the item */
	int64_t value;			  /* of a constant; the first of a coded one */
	const uint8_t *summary, *p, *end; /* of a coded one: what the codec says */
};
/* Reads the item at *p, of which the cell `number` is looked for. False: damaged. */
bool block_item_read(const uint8_t **p, const uint8_t *end, uint32_t number, uint32_t n_metrics,
		     struct block_cell *ret);
/* One ITEM of one cell of n numbers, at *p. 0 or -EBADMSG. */
int block_column(const uint8_t **p, const uint8_t *end, uint32_t n, int64_t *to);

#endif
