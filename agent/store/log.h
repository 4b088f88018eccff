/*
 * The log: an append-only ring of frames in 1 MiB segments of one MAP_SHARED file on tmpfs (or a
 * memfd). One writer (the sampler), any number of cursors in other threads; nobody waits for
 * anybody.
 *
 * Invariants
 *  - seq rises by one a frame and never repeats within a log_id. Only where recovery met damaged
 *    memory does it skip ahead; cursors report what is missing there as lost.
 *  - A segment begins with CATALOG, CLOCK, the live ATTRs and KEY: a reader may start at any
 *    segment. One may begin before any frame, so a tick's ATTRs are appended before its TICK, and
 *    its rows are committed right after it: KEY is always the state of the TICKs that stand before
 *    it.
 *  - A committed frame survives the death of the process at any instruction; a frame torn by it is
 *    not returned by recovery.
 *  - A cursor that is overrun gets -ESTALE once, with the range it lost, never a torn frame.
 *
 * File: a page with the file header {magic, version, log_id, boot_id, segment size, segments, crc}
 * and the newest committed seq, which outlives the frame when memory is damaged; then each segment:
 * header 64 B {magic, epoch, first_seq, first_mono_us, crc32c}, frames {u32 len, u32 crc32c, u64
 * seq, payload, padded to 8}. crc32c covers seq and payload and is seeded with the epoch, so that a
 * frame of an earlier lap cannot validate. len 0: not committed; len ~0: end of segment. Epochs
 * only rise; 0 is a segment without frames.
 *
 * Commit: the next frame's len = 0, payload, seq, then {len, crc} in one release store. Reuse:
 * epoch = 0, release fence, header and first len = 0, epoch release-stored, and only then the
 * segment before it gets its end mark. Reader: epoch and len acquired, the frame copied word by
 * word (relaxed) into the cursor's own buffer, acquire fence, epoch again; a copy under another
 * epoch is dropped.
 */
#ifndef STROBE_STORE_LOG_H
#define STROBE_STORE_LOG_H

#include "store/frame.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum {
	LOG_SEGMENT_SIZE = 1 << 20,
	LOG_ID_LEN = 16,
	LOG_FRAME_MAX = LOG_SEGMENT_SIZE - 64 - 16 - 8
};

struct log; /* the writer's and all readers' shared object; the functions below say who may call */

struct log_config {
	const char *dir;       /* directory for the file "log"; NULL: a memfd, no crash recovery */
	uint64_t size_bytes;   /* of all segments together; rounded down, at least 4 segments */
	const char *boot_id;   /* a log of another boot is not continued */
	bool create_fresh;     /* never continue what is there */
	const uint8_t *log_id; /* LOG_ID_LEN bytes, of one that is new; NULL: random */
};

enum log_state { LOG_NEW, LOG_CONTINUED };

/* Opens, locks and preallocates; recovers what an earlier process committed. *ret_state says
 * whether there is something to continue (read it with a cursor from log_oldest() before the first
 * append). Either way the first log_append says -EAGAIN: writing goes on in a new segment. 0;
 * -EBUSY: another agent has it (reason in words in err); -ENOSPC: the tmpfs is full; other -errno.
 * err[err_len] gets a sentence that says what to do; with 0 it is "" or says why what was there was
 * not continued. */
int log_open(struct log **ret, const struct log_config *, enum log_state *ret_state, char *err,
	     size_t err_len);
void log_close(struct log *); /* keeps the file, but not the memory of segments never written; NULL
				 is fine */
/* Forgets all frames and takes a new log_id (catalog changed). Writer only, before any cursor. */
int log_reset(struct log *);

/* Writer. Appends one frame; its seq, or -EMSGSIZE (empty, or more than LOG_FRAME_MAX). When the
 * segment has no room for len bytes more, -EAGAIN: call log_next_segment, then append what begins a
 * segment, then this frame again. */
int64_t log_append(struct log *, const void *payload, size_t len);
/* Writer. Seals the segment and takes the oldest one. first_mono_us: time of its first tick. */
void log_next_segment(struct log *, uint64_t first_mono_us);
/* Writer, before log_next_segment. Frames are missing here: leaves a seq out, so that cursors say
 * they are lost. */
void log_skip(struct log *);
/* Wakes who watches: once for all frames of a tick, since each wake-up costs more than a frame. */
void log_wake(struct log *);
bool log_segment_empty(const struct log *);  /* also true before the first segment */
size_t log_segment_room(const struct log *); /* bytes of payload that still fit, as one frame */

/* Any thread. */
const uint8_t *log_id(const struct log *); /* LOG_ID_LEN bytes */
uint64_t log_oldest(const struct log *);   /* seq of the oldest held frame; 0: empty */
uint64_t log_newest(const struct log *);   /* seq of the newest committed frame; 0: none */
uint64_t log_bytes_held(const struct log *);
uint64_t log_bytes_total(const struct log *);
/* CLOCK_MONOTONIC us of the oldest segment's first tick; 0: empty. */
uint64_t log_oldest_us(const struct log *);
uint64_t log_capacity(const struct log *);
bool log_is_persistent(const struct log *); /* false: memfd */
/* An eventfd that becomes readable with each log_wake() while log_watch(true) is in force. */
int log_eventfd(const struct log *);
void log_watch(struct log *, bool on);

enum { CURSOR_HEAD = 16 };

struct cursor {
	struct log *log;
	uint64_t next_seq; /* the frame cursor_next() will return */
	uint32_t segment;  /* private from here */
	uint64_t epoch;
	size_t offset;
	uint8_t *buf;
	size_t cap;
};

/* Places a cursor at the start of the newest segment whose first frame has seq <= `seq` (so that
 * CATALOG and KEY come first), or at the oldest held one. 0, -ENOMEM, -ENOENT: the log is empty. */
int cursor_open_seq(struct cursor *, struct log *, uint64_t seq);
/* The same for the newest segment whose first tick is at or before mono_us. */
int cursor_open_time(struct cursor *, struct log *, uint64_t mono_us);
/* Exactly at seq (or -ESTALE when it is gone, -EINVAL when it is not written yet and not next). */
int cursor_open_exact(struct cursor *, struct log *, uint64_t seq);
/* 1: *ret is the next frame, valid until the next call; 0: no more yet; -ESTALE: frames
 * [*lost_from, *lost_to] are gone and the cursor stands at the start of the oldest held segment (or
 * of the one after the damage); -ENOMEM. */
int cursor_next(struct cursor *, struct frame *ret, uint64_t *lost_from, uint64_t *lost_to);
/* Looks at the frame that cursor_next() would return: 1 and its first bytes (as many as there are
 * of CURSOR_HEAD, zeros after them); 0: there is none in this segment (yet). */
int cursor_peek(const struct cursor *, uint8_t head[CURSOR_HEAD]);
/* After cursor_peek() said 1: moves past that frame without reading it. */
void cursor_skip(struct cursor *);
void cursor_close(struct cursor *); /* zeroed is fine */

#endif
