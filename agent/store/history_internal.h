/* What the files of history share. Nobody else includes this. */
#ifndef STROBE_STORE_HISTORY_INTERNAL_H
#define STROBE_STORE_HISTORY_INTERNAL_H

#include "store/history.h"

#include <pthread.h>

/* One block, wherever it lies. */
struct held {
	struct block_head head;
	int64_t from_us, to_us, shift_us; /* on the timeline: first and last read */
	int64_t reach_us, since_us;	  /* the last read up to this block of its list, and the
					   * first one from it on: these rise along the list */
	uint32_t log_number, boot_number;
	uint32_t refs;		    /* the list and walks */
	uint32_t pins;		    /* readers of `data` */
	bool rollup, on_disk, cold; /* cold: compressed */
	struct ring *ring;	    /* on_disk: which */
	struct ring_entry entry;    /* and where in it */
	uint8_t *data;		    /* NULL: it has to be read from the disk, or is gone */
	size_t len;
	_Atomic uint64_t checked; /* pages of `data` that are known to be sound */
	uint64_t used;		  /* the larger the later */
};
struct held_list {
	/* By boot, by log, by frame: what a worker published late overlaps with the block before. */
	struct held **v;
	size_t n, cap;
};
struct held_catalog {
	uint32_t crc;
	uint8_t *payload; /* NULL: on the disk */
	size_t len;
	struct ring *ring;
	struct ring_entry entry;
	struct mirror *mirror; /* NULL: not asked for yet */
};
struct held_boot {
	char id[sizeof(((struct block_head *)0)->boot_id)];
	int64_t real_off_us; /* the last one known */
	int64_t shift_us;
	uint64_t first_us, last_us; /* of all that was listed of it */
};

struct held_ring {
	struct ring *ring;
	bool stale;	     /* it has more than was listed */
	uint64_t listed_seq; /* of its newest record that is listed */
};

enum { HISTORY_TOOLS = 4, HISTORY_RINGS = 2 };

struct history {
	struct history_config config;
	char boot_id[sizeof(((struct block_head *)0)->boot_id)];
	pthread_mutex_t lock; /* of all that follows */
	struct held_list full, rollups;
	struct held_catalog **catalogs;
	size_t n_catalogs;
	struct held_boot *boots; /* in order of time */
	size_t n_boots;
	uint8_t (*logs)[LOG_ID_LEN]; /* in order of time */
	size_t n_logs;
	struct held_ring rings[HISTORY_RINGS];
	size_t n_rings;
	struct block_tools *spare[HISTORY_TOOLS]; /* of blocks that were read, for the next ones */
	size_t n_spare;
	uint64_t bytes, uses, sealed_seq;
	int64_t sealed_us;
	/* The ring's functions, so that what has no ring does not need them. */
	struct ring_entry *(*ring_list)(struct ring *, size_t *n);
	int (*ring_read)(struct ring *, const struct ring_entry *, void *to);
	void (*ring_stats)(struct ring *, struct ring_stats *ret);
};

/* ---- history.c; the lock is held ---- */

/* Puts a block into its list. 0 or -ENOMEM. */
int history_insert(struct history *, struct held *);
/* After blocks have moved: says anew how far they reach. */
void history_reach(struct held_list *);
/* Takes it out of its list; it is freed when no walk has it. */
void history_remove(struct history *, struct held *);
void history_unref(struct history *, struct held *);
/* Lists what the rings have got since the last time. */
void history_list(struct history *);

/* ---- history_spans.c; the lock is held ---- */

/* From when on everything is held in full; INT64_MAX: nothing is. Rollups stand for what is before. */
int64_t history_full_from(const struct history *);

/* ---- history_boots.c; the lock is held ---- */

/* Puts each boot where the wall clock says that it was, and before the one that came after it. */
void history_place_boots(struct history *);
/* Moves a block to where its boot lies. */
void history_shift(const struct history *, struct held *);
/* The number of a boot, its newest offset noted, and that of a log: they rise with time. 0 or -ENOMEM. */
int history_number_boot(struct history *, const struct block_head *, uint32_t *ret);
int history_number_log(struct history *, const uint8_t *id, uint32_t *ret);

/* ---- history_load.c ---- */

/* Remembers a catalog, its payload copied, or where it lies on the disk. 0 or -ENOMEM. Lock held. */
int history_keep_catalog(struct history *, uint32_t crc, const uint8_t *payload, size_t len,
			 struct ring *, const struct ring_entry *);
/* Opens a block for a reader; whole: of a rollup all buckets count, also of what is held in full. As
 * history_get(); -ESTALE: it is gone. Lock not held. */
int history_load(struct history *, struct held *, bool whole, struct history_block *ret);
/* Gives memory back until what is left fits. Lock held. */
void history_trim(struct history *);

#endif
