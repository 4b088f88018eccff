/*
 * The sealer: a cursor that follows the log and turns what it reads into blocks. It belongs to one
 * thread, which is not the sampler's.
 *
 * Invariants
 *  - Blocks follow each other without overlap: each frame of the log is in one block, or was lost
 *    to a lap of the log before it was read (then the next block begins after the gap and says no
 *    rate across it).
 *  - A block ends after BLOCK_READS ticks (so no group has more reads), after 60 s, at a new catalog,
 *    when the wall clock is set by 1 ms (in its first ten seconds: by 100 ms), when half a million changes are gathered, which bounds the memory, or when sealer_flush() asks
 *    for it.
 */
#ifndef STROBE_STORE_SEAL_H
#define STROBE_STORE_SEAL_H

#include "store/block.h"

struct sealed {
	uint8_t *data; /* malloc'ed: whoever takes it frees it */
	size_t len;
	struct block_head head;
	const uint8_t *catalog; /* payload of the CATALOG frame in force; the sealer's */
	size_t catalog_len;
};

struct sealer;
struct sealer_config {
	struct log *log;       /* NULL: frames come by sealer_feed() */
	const uint8_t *log_id; /* of the frames that are fed; LOG_ID_LEN bytes */
	const char *boot_id;
	uint64_t after_seq; /* frames up to this one are sealed already; 0: none */
	/* Takes s->data over. 0; -errno: the block is kept and offered again with the next step. */
	int (*sink)(void *arg, struct sealed *s);
	void *arg;
};

int sealer_open(struct sealer **ret, const struct sealer_config *); /* 0 or -errno */
void sealer_close(struct sealer *);				    /* NULL is fine */
/* Reads what the log has by now, at most some 20 ms of work, or makes one block and hands it to the
 * sink, which takes as long as that. 1: there is more to read; 0; -errno of the sink or -ENOMEM (nothing is lost: call again). */
int sealer_step(struct sealer *);
/* Without a log: takes one frame. A seq that does not follow the one before is a loss: on with the next
 * KEY. As sealer_step; after an error the frame was not taken. */
int sealer_feed(struct sealer *, const struct frame *);
/* Seals what was read so far, if anything. As sealer_step. */
int sealer_flush(struct sealer *);
/* The newest frame that is in a block the sink has taken; 0: none. Any thread. */
uint64_t sealer_seq(const struct sealer *);

#endif
