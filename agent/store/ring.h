/*
 * The disk ring: one preallocated file that holds sealed blocks, catalogs and rollups as records,
 * the oldest overwritten by the newest, and a journal of the newest log frames that are in no block
 * yet.
 *
 * (The format is described here: superblocks A/B, journal, records.)
 *
 * Invariants
 *  - A record is 4 KiB-aligned, self-contained, with a crc of its header and one per 16 KiB page. It is
 *    returned whole and right, or not at all.
 *  - Death of the process at any instruction loses no record that ring_append() returned 0 for, and
 *    no frame that ring_journal() returned 0 for. Loss of power loses at most what was written since
 *    the last ring_sync().
 *  - A file of a newer format, or one that is no ring, is refused and left as it is.
 *  - One process at a time has it open for writing.
 */
#ifndef STROBE_STORE_RING_H
#define STROBE_STORE_RING_H

#include "store/block.h"

enum ring_type { RING_BLOCK = 1, RING_CATALOG, RING_ROLLUP };

struct ring;
struct ring_config {
	const char *dir;     /* the file is DIR/history.strobe; the directory is made (0700) */
	uint64_t size_bytes; /* of the whole file, at least RING_SIZE_MIN; an existing one of another
			      * size is copied over as far as it fits */
	bool read_only;	     /* opens what is there; nothing is written, no lock is taken */
};
enum { RING_SIZE_MIN = 16 << 20 };

/* One record held, oldest first in ring_list(). */
struct ring_entry {
	uint64_t seq; /* of the record: rises by one */
	uint64_t at;  /* offset of its payload in the file */
	uint32_t len; /* of the payload */
	enum ring_type type;
	union {
		struct block_head block; /* RING_BLOCK and RING_ROLLUP */
		uint32_t catalog_crc;	 /* RING_CATALOG */
	};
};

/* 0; -EBUSY, -ENOSPC, -EROFS, -EACCES, -EPROTONOSUPPORT, -EBADMSG (no ring), -errno. err[err_len] gets
 * a sentence that says what to do; with 0 it is "" or says what was found damaged and left out. */
int ring_open(struct ring **ret, const struct ring_config *, char *err, size_t err_len);
void ring_close(struct ring *); /* syncs; NULL is fine */

/* Writer. Appends a record, evicting the oldest. For a block or rollup its catalog must be held: when
 * it is not (never written, or evicted), -ENOENT: append the RING_CATALOG first. 0; -ENOSPC (larger
 * than a quarter of the ring), -EIO and other -errno: the ring is as before. */
int ring_append(struct ring *, enum ring_type, const void *data, size_t len);
/* Writer. Adds log frames that are not in a block yet (in order; CATALOG and KEY as the log has
 * them), so that they survive loss of the host's memory. What a later RING_BLOCK of the same log
 * holds is forgotten. -ENOSPC: the journal is full (seal first). */
int ring_journal(struct ring *, const uint8_t log_id[LOG_ID_LEN], const struct frame *);
/* Makes everything before it survive loss of power. 0 or -errno. */
int ring_sync(struct ring *);

/* What is held, a copy to free(); *n of them. NULL: no memory. Any thread. */
struct ring_entry *ring_list(struct ring *, size_t *n);
/* Reads a record's payload into `to` (entry->len bytes) and verifies it. 0; -ESTALE: overwritten since;
 * -EBADMSG: damaged; -errno. Any thread. */
int ring_read(struct ring *, const struct ring_entry *, void *to);
/* The journal as recovery found it, in order: frames after the newest block. Stops at the first result
 * that is not 0. */
int ring_journal_each(struct ring *, int (*each)(void *arg, const uint8_t log_id[LOG_ID_LEN],
						 const struct frame *),
		      void *arg);

struct ring_stats {
	uint64_t size_bytes, used_bytes; /* of the records' area */
	uint64_t journal_bytes, journal_size_bytes;
	uint64_t n_blocks, laps, damaged; /* records left out as damaged since it was opened */
	uint64_t bytes_written, synced_us; /* CLOCK_MONOTONIC of the last sync */
	int error;			   /* of the last write; 0: fine */
};
void ring_stats(struct ring *, struct ring_stats *ret); /* any thread */

#endif
