/*
 * Sealed blocks on their way into a capture: what of a range is older than what the log holds. The
 * log goes on with the frame after capture_blocks_seq(). Rollups, whole ones, are among them for what is
 * not held in full. Belongs to one thread at a time, which may wait for the disk.
 */
#ifndef STROBE_STORE_CAPTURE_BLOCKS_H
#define STROBE_STORE_CAPTURE_BLOCKS_H

#include "store/capture.h"
#include "store/history.h"

struct capture_blocks;
/* [from_us, to_us] of the timeline. 0, -ENOMEM. */
int capture_blocks_open(struct capture_blocks **ret, struct history *, int64_t from_us,
			int64_t to_us);
/* Writes the next block, its CATALOG before it where it is another one. 1: there may be more; 0: that
 * is all; -errno. A block that is damaged is passed over. */
int capture_blocks_step(struct capture_blocks *, struct capture_writer *);
uint64_t capture_blocks_seq(const struct capture_blocks *); /* of the running log; 0: none of it */
void capture_blocks_close(struct capture_blocks *);	    /* NULL is fine */

#endif
