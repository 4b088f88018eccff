/*
 * The disk ring: one preallocated file that holds sealed blocks, catalogs and rollups as records,
 * the oldest overwritten by the newest, and a journal of the newest log frames that are in no block
 * yet.
 *
 * Invariants
 *  - A record is 4 KiB-aligned, self-contained, with a crc of its header and one per 16 KiB page.
 *    It is returned whole and right, or not at all.
 *  - Death of the process at any instruction loses no record that ring_append() returned 0 for, and
 *    no frame that ring_journal() returned 0 for. Loss of power loses at most what was written
 *    since the last ring_sync().
 *  - A file of a newer format, or one that is no ring, is refused and left as it is.
 *  - One process at a time has it open for writing.
 *
 * File, integers little endian: superblock A at 0, B at 4096, the journal at 8192 (an eighth of the
 * file, at most 8 MiB), then the records' area; all begin at multiples of 4 KiB. Every crc is a
 * crc32c seeded with the file's random id, so that what another file left on the disk never
 * validates.
 *
 *  Superblock, 512 B: {magic "strobehr", u32 version, u32 crc of the 512 bytes with crc 0, u64
 *  generation, 16 B id, u64 size of the file, offset and size of the journal, offset and size of
 *  the records' area, u64 next_seq, oldest_seq, journal_tail, journal_head, laps, pid}. magic,
 *  version and crc stay where they are in every version. The valid one with the higher generation
 *  counts; they are written in turn, after what they speak of was made durable. What follows the
 *  sizes is a hint: it may be late, and tells damage from what never was.
 *
 *  Record: header of 192 B (struct ring_record), u32 crc of each 16 KiB page of the payload, the
 *  payload, up to the next 4 KiB. The header's crc covers it and is seeded with its place, a page's
 *  with the record's seq and the page's number. seq rises by one a record and never repeats. One
 *  that does not fit before the end of the area goes to its start; a lap begins there always.
 *  Written in this order: the header as RING_PENDING (which says that all before oldest_seq is gone
 *  now), pages, header. Nothing is overwritten before the record before it is durable: loss of
 *  power can spoil only the newest. Recovery walks the area from header to header, by 4 KiB where
 *  there is none, leaves out what is older than the newest header's oldest_seq, and takes the rest
 *  in order of seq.
 *
 *  Journal: frames, each {u32 len, u32 crc, u64 at, u64 seq, 16 B log_id, payload, padded to 8}.
 *  `at` rises forever; the frame stands at `at` modulo the journal's size, and never goes round its
 *  end. What stands before journal_tail (the newest record's or superblock's, whichever is higher)
 *  is forgotten. Space is written again only when the tail that freed it is durable.
 */
#ifndef STROBE_STORE_RING_H
#define STROBE_STORE_RING_H

#include "store/block.h"

enum ring_type { RING_BLOCK = 1, RING_CATALOG, RING_ROLLUP, RING_PROFILE };

struct ring;
struct ring_config {
	const char *dir; /* the file is DIR/history.strobe; the directory is made (0700) */
	uint64_t
		size_bytes; /* of the whole file, at least RING_SIZE_MIN; an existing one of another
			      * size is copied over as far as it fits */
	bool read_only;	    /* opens what is there; nothing is written, no lock is taken */
};
enum { RING_SIZE_MIN = 16 << 20, RING_START_MAX = 16384 };

/* One record held, oldest first in ring_list(). */
struct ring_entry {
	uint64_t seq; /* of the record: rises by one */
	uint64_t at;  /* offset of its payload in the file */
	uint32_t len; /* of the payload */
	enum ring_type type;
	union {
		struct block_head block; /* RING_BLOCK and RING_ROLLUP */
		uint32_t catalog_crc;	 /* RING_CATALOG */
		struct {
			int64_t from_us, to_us;
		} profile; /* RING_PROFILE */
	};
};

/* 0; -EBUSY, -ENOSPC, -EINVAL, -EROFS, -EACCES, -EPROTONOSUPPORT, -EBADMSG (no ring), -errno.
 * err[err_len] gets a sentence that says what to do; with 0 it is "" or says what was found
 * damaged and left out. */
int ring_open(struct ring **ret, const struct ring_config *, char *err, size_t err_len);
void ring_close(struct ring *); /* syncs; NULL is fine */

/* Writer. Appends a record, evicting the oldest. Of a RING_PROFILE the ring knows but its first 16
 * bytes, i64 from_us and to_us (-EBADMSG: it is shorter). For a block or rollup its catalog must
 * be held: when it is not (never written, or evicted), -ENOENT: append the RING_CATALOG first. 0;
 * -ENOSPC (larger than a quarter of the ring), -EIO and other -errno: the record is not there,
 * what was evicted for it is gone. A catalog that blocks held still name is written again by
 * itself before it would go. */
int ring_append(struct ring *, enum ring_type, const void *data, size_t len);
/* Writer. Adds log frames that are not in a block yet (in order; CATALOG and KEY as the log has
 * them; after a restart again from the CATALOG before the newest block on), so that they survive
 * loss of the host's memory. What later RING_BLOCKs of the same log
 * hold is forgotten, by whole stretches that each begin with a CATALOG: so the frames that are left
 * can be read on their own. -ENOSPC: the journal is full (seal first). */
int ring_journal(struct ring *, const uint8_t log_id[LOG_ID_LEN], const struct frame *);
/* Makes everything before it survive loss of power. 0 or -errno. */
int ring_sync(struct ring *);

/* What is held, a copy to free(); *n of them. NULL: no memory. Any thread. */
struct ring_entry *ring_list(struct ring *, size_t *n);
/* Reads a record's payload into `to` (entry->len bytes) and verifies it. 0; -ESTALE: overwritten
 * since; -EBADMSG: damaged; -errno. Any thread. */
int ring_read(struct ring *, const struct ring_entry *, void *to);
/* The same for its first len bytes, which are at most RING_START_MAX and entry->len. */
int ring_read_start(struct ring *, const struct ring_entry *, void *to, size_t len);
/* Writer. The journal as recovery found it, in order, from a CATALOG on: frames after the newest
 * block of their log, and some before it; each once, though an agent that went on with its log may
 * have written some again. A damaged one is missing: the seq tells. Stops at the first result that
 * is not 0. */
int ring_journal_each(struct ring *,
		      int (*each)(void *arg, const uint8_t log_id[LOG_ID_LEN],
				  const struct frame *),
		      void *arg);
/* Writer. Forgets all frames of that log (they are held elsewhere, or of no use). 0 or -errno. */
int ring_journal_forget(struct ring *, const uint8_t log_id[LOG_ID_LEN]);

struct ring_stats {
	uint64_t size_bytes, used_bytes; /* of the records' area */
	uint64_t journal_bytes, journal_size_bytes;
	uint64_t n_blocks, laps, damaged;  /* records and frames left out as damaged, by now */
	uint64_t bytes_written, synced_us; /* CLOCK_MONOTONIC of the last sync */
	int error; /* -errno of the last write or sync; -ENOENT: the file was deleted; 0: fine */
};
void ring_stats(struct ring *, struct ring_stats *ret); /* any thread */

#endif
