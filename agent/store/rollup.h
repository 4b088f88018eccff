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
 *  - Of values all is exact (but a sum beyond 63 bits), of rates n: the others, and the mean
 *    for the sum, are kept to some nine significant bits (0.4 %).
 *  - An instance that came and went within ROLLUP_BRIEF_US is left out: such processes would take most
 *    of the room. EVENT and CLOCK frames are not kept.
 */
#ifndef STROBE_STORE_ROLLUP_H
#define STROBE_STORE_ROLLUP_H

#include "store/mirror.h"
#include "store/seal.h"

enum {
	ROLLUP_BUCKET_US = 10000000,
	ROLLUP_BRIEF_US = 60000000,
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
/* CLOCK_MONOTONIC of the first read that was added and not handed over; UINT64_MAX: there is none. */
uint64_t rollup_since_us(const struct rollup *);

/* The buckets of one metric (of the catalog: metric < rollup_n_metrics(group)) of instance i of
 * a rollup's group, of_rates when it is a counter: instances[i].n of them, bucket k being group->at_us[instances[i].first + k] and
 * bucket_us long. 0, -EBADMSG, -ENOMEM. */
int rollup_buckets(struct block *, const struct block_group *, uint32_t i, uint32_t metric,
		   bool of_rates, struct block_mini *buckets);
static inline uint32_t rollup_n_metrics(const struct block_group *g)
{
	return (g->n_metrics - 2) / 6;
}

#endif
