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
 *  - What is kept in memory takes at most memory_bytes: blocks that are nowhere else, the oldest of
 *    them goes first, and those of the disk that were looked at last.
 *  - A block that is looked at stays until history_release().
 */
#ifndef STROBE_STORE_HISTORY_H
#define STROBE_STORE_HISTORY_H

#include "store/mirror.h"
#include "store/ring.h"
#include "store/seal.h"

struct history;
struct history_config {
	struct log *log;       /* the running one; NULL: none (a capture) */
	const char *boot_id;   /* of the running log, or of the newest block of a capture */
	uint64_t memory_bytes; /* for blocks held in memory */
};

int history_open(struct history **ret, const struct history_config *);
void history_close(struct history *); /* NULL is fine */
/* Blocks of `ring` become part of it; new ones are written there by the caller, which says so to
 * history_add(). Before the first of these; one ring of blocks, then one of rollups. The rings outlive
 * it. 0; -EBUSY: there are two already; -ENOMEM. */
int history_attach(struct history *, struct ring *);
/* Takes the block over (s->data); a sealer's sink. on_disk: the ring has it, memory need not. 0;
 * -ENOMEM: s->data stays the caller's. */
int history_add(struct history *, struct sealed *s, bool on_disk);
struct log *history_log(struct history *); /* of the config */

/* Compresses a block that only memory has and that is behind the newest HISTORY_WARM, if there is one:
 * those are read most. For the thread that adds, once in a while. */
enum { HISTORY_WARM = 72 /* more than an hour */ };
void history_cool(struct history *);

/* One block of the timeline, opened. */
struct history_block {
	struct block *block;
	struct mirror *catalog; /* parsed from the CATALOG it names; shared, read only */
	int64_t shift_us;	/* timeline = its monotonic time + shift_us */
	int64_t from_us, to_us; /* of its reads those in [from_us, to_us) count: a rollup only
				 * stands for what is not held in full */
	uint32_t log_number;	/* tells logs apart: rises along the timeline */
	uint32_t boot_number;
	bool rollup;
	void *owner, *tools; /* private */
};
/* The n-th block that overlaps [from_us, to_us) of the timeline, oldest first: 1 with *ret filled;
 * 0: there are not that many; -errno (-EBADMSG: damaged, go on with the next). Blocks that come and
 * go between two calls move the count: a reader of several walks. */
int history_get(struct history *, int64_t from_us, int64_t to_us, size_t n,
		struct history_block *ret);
void history_release(struct history *, struct history_block *);
/* timeline = that boot's monotonic time + *ret. False: nothing of it is held. Any thread. */
bool history_boot_shift(struct history *, const char *boot_id, int64_t *ret);

/* The bytes of a block, as they were sealed, until its release; and a copy, to free(), of the CATALOG
 * payload it names: 0, -EBADMSG, -ENOMEM, -errno. */
const uint8_t *history_bytes(const struct history_block *, size_t *len);
int history_catalog_bytes(struct history *, const struct history_block *, uint8_t **ret,
			  size_t *len);

/* The blocks that overlap a range, as they were when the walk began. */
struct history_walk {
	/* What of the running log no block stands for: frames after this one; 0: all of it. The
	 * blocks go up to after_us of the timeline. */
	uint64_t after_seq;
	int64_t after_us;
	uint32_t log_number; /* of the running log; UINT32_MAX: none of the blocks is of it */
	size_t n, next;	     /* blocks, and how many of them were handed out */
	bool coarse;	     /* rollups stand for blocks that are held */
	void *held;	     /* private */
};
int history_walk_begin(struct history *, int64_t from_us, int64_t to_us,
		       struct history_walk *ret); /* 0 or -ENOMEM */
/* The same with rollups in place of the blocks that they stand for, as far as there are any. */
int history_walk_begin_coarse(struct history *, int64_t from_us, int64_t to_us,
			      struct history_walk *ret);
/* As history_get(), for the next block; what is gone by now is passed over. */
int history_walk_next(struct history *, struct history_walk *, struct history_block *ret);
/* Of the blocks that lie in [from_us, to_us) keeps `most`, evenly spread. Before the first step. */
void history_walk_thin(struct history *, struct history_walk *, int64_t from_us, int64_t to_us,
		       size_t most);
void history_walk_end(struct history *, struct history_walk *); /* zeroed is fine */

/* Makes `to`, which is initialised, show the newest catalog, without instances, and the clock
 * records of what is in no block. 0; -ENOENT: nothing is held yet; -ENOMEM; -EBADMSG. */
int history_catalog(struct history *, struct mirror *to);

/* The same of the newest catalog before it that has this metric. -ENOENT: none has. */
int history_catalog_with(struct history *, const char *metric, struct mirror *to);

/* Frames of the running log up to this one are in blocks; what follows is read from the log. */
uint64_t history_sealed_seq(struct history *);
int64_t history_oldest_us(struct history *); /* INT64_MAX: nothing is held */
int64_t history_full_us(struct history *); /* the same of what is held in full, the log included */
int64_t history_rolled_us(struct history *); /* up to where there are rollups; INT64_MIN: none */

/* Wall clock = timeline + real_off_us, in force from from_us on; oldest first, one at least for each
 * boot: of blocks, as precise as a tick, then the records of the running log that are in no block. */
struct history_clock {
	int64_t from_us, real_off_us;
};
struct history_clock *history_clocks(struct history *, size_t *n); /* to free(); NULL: no memory */
/* By these clocks and those of a mirror of the running log (NULL: none), which count from their first
 * record on. A wall time that was shown more than once is the newest moment up to end_us (now); one that
 * a step of the clock left out is the moment of the step. */
int64_t history_wall_us(const struct history_clock *, size_t n, const struct mirror *,
			int64_t at_us);
int64_t history_at_us(const struct history_clock *, size_t n, const struct mirror *, int64_t end_us,
		      int64_t wall_us);

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
	uint64_t samples, sample_bytes;	   /* of blocks in memory and on disk: bytes a sample */
	int64_t oldest_us, oldest_full_us; /* of anything; at full resolution; INT64_MAX: nothing */
	uint64_t disk_size_bytes, disk_used_bytes; /* of the ring; 0: there is none */
};
void history_stats(struct history *, struct history_stats *ret);

#endif
