/*
 * Rollups: ten seconds of a series as one bucket {n, first, min, max, last, sum}, of a counter's rates
 * (rate.h; a rate belongs to the bucket that holds its second read), for a past that is too long to keep
 * whole. Made from sealed blocks as they come; a rollup is a block itself (block.h: bucket_us).
 *
 * Invariants
 *  - A rollup stands for whole blocks: its head has their frames and times. Buckets lie at multiples of
 *    bucket_us on CLOCK_MONOTONIC, so the last of one rollup and the first of the next may be parts of
 *    the same ten seconds: they add up.
 *  - It ends after ROLLUP_BUCKETS, at some 256 KiB, when the log or the catalog is another one, or
 *    when rollup_flush() asks for it.
 *  - An instance that came and went within bucket_us is left out, as are its attributes; EVENT and
 *    CLOCK frames are not kept.
 */
#ifndef STROBE_STORE_ROLLUP_H
#define STROBE_STORE_ROLLUP_H

#include "store/mirror.h"
#include "store/seal.h"

enum {
	ROLLUP_BUCKET_US = 10000000,
	ROLLUP_BUCKETS = 384 /* 64 minutes */
};

struct rollup;
struct rollup_config {
	/* As a sealer's: takes s->data over; s->catalog is NULL. */
	int (*sink)(void *arg, struct sealed *s);
	void *arg;
};

int rollup_open(struct rollup **ret, const struct rollup_config *); /* 0 or -ENOMEM */
void rollup_close(struct rollup *);				    /* NULL is fine */
/* Adds a block, which must follow the one before; `catalog` is the one it names. 0; -EAGAIN: the sink
 * did not take a rollup that has to go first, call again; -ENOMEM, -EBADMSG: not all of the block may
 * be in, go on with the next. */
int rollup_add(struct rollup *, struct block *, const struct mirror *catalog);
/* Hands over what was added so far, if anything. 0 or -errno, then call again. */
int rollup_flush(struct rollup *);

/* The buckets of one metric (of the catalog: metric < group->n_metrics / 6) of instance i of a
 * rollup's group: instances[i].n of them, bucket k being group->at_us[instances[i].first + k] and
 * bucket_us long. 0, -EBADMSG, -ENOMEM. */
int rollup_buckets(struct block *, const struct block_group *, uint32_t i, uint32_t metric,
		   struct block_mini *buckets);

#endif
