/*
 * The history of a running agent with its ring on disk and its thread: what `strobe run` adds to the
 * log. Messages go to stderr.
 *
 * Life cycle: keep_open after the sampler is; keep_start; keep_stop; threads_join; keep_finish;
 * keep_close.
 */
#ifndef STROBE_CMD_KEEP_H
#define STROBE_CMD_KEEP_H

#include "cmd/threads.h"
#include "store/keeper.h"

struct keep {
	struct history *history;
	struct ring *ring;    /* NULL: memory only */
	struct ring *rollups; /* beside it, for what lies further back */
	struct keeper *keeper;
};

struct keep_config {
	struct log *log;
	const char *boot_id;
	uint64_t memory_bytes; /* of the whole agent */
	const char *dir;       /* of the ring; NULL: none */
	uint64_t size_bytes;   /* of the ring */
};

/* 0; -EBUSY: another agent writes that ring; -EPROTONOSUPPORT, -EBADMSG: the file there is not ours to
 * write; other -errno. Where the ring cannot be made or written, history stays in memory, said so. */
int keep_open(struct keep *ret, const struct keep_config *);
int keep_start(struct keep *, struct threads *);
void keep_stop(struct keep *);
/* After the sampler and the keeper's thread have ended: what they left is kept as well. */
void keep_finish(struct keep *);
void keep_close(struct keep *); /* zeroed is fine */

/* Of the agent's memory: what the log may take, stacks, and tables for unwinding and names. */
uint64_t keep_log_bytes(uint64_t memory_bytes);
uint64_t keep_profile_bytes(uint64_t memory_bytes);
uint64_t keep_table_bytes(uint64_t memory_bytes);

/* One ring in DIR/name, "" for DIR itself. 0, also where it cannot be had (*ret NULL, said so); or as keep_open(). */
int keep_open_ring(const char *dir, const char *name, uint64_t size_bytes, struct ring **ret);
/* Of the size of all rings: that of the one for stacks. */
uint64_t keep_profile_ring_bytes(uint64_t size_bytes);

#endif
