/*
 * The keeper: what makes history of the log. On a thread of its own, once a second, it has the sealer
 * make blocks, hands them to the history and to the ring on disk, makes rollups of them, and writes the
 * frames that are in no block yet to the ring's journal.
 *
 * Invariants
 *  - The sampler never waits for it; where the keeper falls behind a lap of the log, that is a gap.
 *  - What the ring said it has is in the history; a block that the ring refused stays in memory.
 *  - With a ring, a kill loses nothing and a loss of power at most about two seconds.
 */
#ifndef STROBE_STORE_KEEPER_H
#define STROBE_STORE_KEEPER_H

#include "store/history.h"

struct keeper;
struct keeper_config {
	struct log *log;
	const char *boot_id;
	struct history *history; /* both outlive the keeper */
	struct ring *ring;	 /* NULL: memory only. Attached to the history already */
	struct ring *rollups;	 /* the same for rollups; NULL: they stay in memory */
	int round_ms;		 /* how long keeper_step() waits; 0: a second */
};

/* Takes up what the ring holds: goes on after its newest block of this log, and makes a block of the
 * journal's frames where the log that they came from is gone. 0 or -errno. */
int keeper_open(struct keeper **ret, const struct keeper_config *);
void keeper_close(struct keeper *); /* NULL is fine */

/* One round of the thread: waits up to a second, then does what is due. 0; -ECANCELED: stopped. A
 * ring that cannot be written is counted and tried again, not an error here. */
int keeper_step(struct keeper *);
void keeper_stop(struct keeper *); /* any thread */
/* After the last keeper_step() and the log's last frame: seals what is left and makes it durable. */
void keeper_finish(struct keeper *);

/* The last error of the ring in words, "" when all is well; changes seldom. Keeper's thread. */
const char *keeper_trouble(const struct keeper *);

#endif
