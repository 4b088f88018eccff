/*
 * Everything that is held, as one timeline: the log (the newest), sealed blocks in memory, blocks on
 * disk, rollups. Shared by the sealing thread, which adds, and the query thread, which reads; a mutex
 * is held for moments only. The sampler has no part in it.
 *
 * Time: a point of the timeline is an int64 of microseconds on the axis of CLOCK_MONOTONIC of the boot
 * that the running log belongs to. What an earlier boot recorded is moved there by the wall clock
 * (the last offset known of each), so it lies before 0 or at any rate before what came after it: the
 * order of boots is kept whatever the wall clock did.
 *
 * Invariants
 *  - Blocks in memory take at most memory_bytes; the oldest goes first. Cold ones are compressed.
 *  - A block that is looked at stays until history_release().
 */
#ifndef STROBE_STORE_HISTORY_H
#define STROBE_STORE_HISTORY_H

#include "store/mirror.h"
#include "store/ring.h"
#include "store/seal.h"

struct history;
struct history_config {
	struct log *log;	/* the running one; NULL: none (a capture) */
	const char *boot_id;	/* of the running log, or of the newest block of a capture */
	uint64_t memory_bytes;	/* for blocks held in memory */
};

int history_open(struct history **ret, const struct history_config *);
void history_close(struct history *); /* NULL is fine */
/* Blocks of `ring` become part of it; new ones are written there by the caller. The ring outlives it. */
int history_attach(struct history *, struct ring *);
/* Takes the block over (s->data); a sealer's sink. on_disk: the ring has it, memory need not. */
int history_add(struct history *, struct sealed *s, bool on_disk);

/* One block of the timeline, opened. */
struct history_block {
	struct block *block;
	struct mirror *catalog; /* parsed from the CATALOG it names; shared, read only */
	int64_t shift_us;	/* timeline = its monotonic time + shift_us */
	uint32_t log_number;	/* tells logs apart: rises along the timeline */
	uint32_t boot_number;
	bool rollup;
	void *owner; /* private */
};
/* The n-th block that overlaps [from_us, to_us) of the timeline, oldest first: 1 with *ret filled;
 * 0: there are not that many; -errno (-EBADMSG: damaged, go on with the next). */
int history_get(struct history *, int64_t from_us, int64_t to_us, size_t n,
		struct history_block *ret);
void history_release(struct history *, struct history_block *);

/* Frames of the running log up to this one are in blocks; what follows is read from the log. */
uint64_t history_sealed_seq(struct history *);
int64_t history_oldest_us(struct history *); /* INT64_MAX: nothing is held */

/* Stretches in which one agent recorded, oldest first: for the strip of everything held. */
struct history_span {
	int64_t from_us, to_us;
	char boot_id[40];
	uint8_t log_id[LOG_ID_LEN];
	bool rollup; /* only held as 10 s rollups */
};
struct history_span *history_spans(struct history *, size_t *n); /* to free(); NULL: no memory */

struct history_stats {
	uint64_t blocks_memory, blocks_disk, bytes_memory, bytes_disk;
	uint64_t samples, sample_bytes; /* of blocks in memory and on disk: bytes a sample */
	int64_t oldest_us, oldest_full_us; /* of anything; at full resolution */
};
void history_stats(struct history *, struct history_stats *ret);

#endif
