/*
 * What log.c, log_recover.c and cursor.c share: the object and the layout of its memory. Nobody
 * else includes this.
 */
#ifndef STROBE_STORE_LOG_INTERNAL_H
#define STROBE_STORE_LOG_INTERNAL_H

#include "store/log.h"

#include "base/crc32c.h"
#include "base/fence.h"

#include <stdatomic.h>

enum {
	FILE_HEADER_SIZE = 4096,
	FILE_NEWEST = 512, /* offset in it of the newest committed seq, for recovery */
	SEGMENT_HEADER_SIZE = 64,
	FRAME_HEADER_SIZE = 16,
	SEGMENT_END_SIZE = 8 /* room for the end mark is always kept */
};

#define SEGMENT_MAGIC 0x31676573656f7274u
#define SEGMENT_END UINT32_MAX
#define NO_SEGMENT UINT32_MAX

/* Words of a segment's header, at offset 8 * word. */
enum segment_word { WORD_MAGIC, WORD_EPOCH, WORD_FIRST_SEQ, WORD_FIRST_US, WORD_CRC };

struct log {
	int fd, event_fd;
	uint8_t *map;
	size_t map_len;
	uint32_t n_segments;
	bool persistent;
	uint8_t id[LOG_ID_LEN];
	const uint8_t *fixed_id; /* while it is opened */
	char boot_id[40];

	/* the writer's own */
	uint64_t *epochs; /* of each segment as published; 0: free */
	size_t *used;	  /* bytes of frames in each */
	uint64_t epoch;	  /* the last one given away */
	uint32_t current; /* NO_SEGMENT: none yet */
	size_t offset;	  /* where its next frame goes */
	uint64_t next_seq;

	/* for any thread */
	_Atomic uint64_t oldest, oldest_us, newest, bytes_held, bytes_total;
	_Atomic bool watched;
};

static inline size_t log_at(uint32_t segment, size_t offset)
{
	return FILE_HEADER_SIZE + (size_t)segment * LOG_SEGMENT_SIZE + offset;
}

static inline _Atomic uint64_t *log_word(const struct log *l, uint32_t segment, size_t offset)
{
	void *p = l->map + log_at(segment, offset);

	return p;
}

static inline _Atomic uint64_t *log_header(const struct log *l, uint32_t segment,
					   enum segment_word word)
{
	return log_word(l, segment, 8 * (size_t)word);
}

static inline _Atomic uint64_t *log_newest_word(const struct log *l)
{
	void *p = l->map + FILE_NEWEST;

	return p;
}

static inline uint64_t log_load(const _Atomic uint64_t *w)
{
	return atomic_load_explicit(w, memory_order_relaxed);
}

static inline void log_store(_Atomic uint64_t *w, uint64_t v)
{
	atomic_store_explicit(w, v, memory_order_relaxed);
}

/* Bytes a frame takes in its segment. */
static inline size_t log_frame_size(size_t len)
{
	return FRAME_HEADER_SIZE + ((len + 7) & ~(size_t)7);
}

static inline bool log_frame_fits(size_t offset, uint64_t len)
{
	return len <= LOG_FRAME_MAX &&
	       offset + log_frame_size((size_t)len) + SEGMENT_END_SIZE <= LOG_SEGMENT_SIZE;
}

static inline uint32_t log_frame_crc(uint64_t epoch, uint64_t seq, const void *payload, size_t len)
{
	const uint64_t lead[2] = {epoch, seq};

	return crc32c(crc32c(0, lead, sizeof(lead)), payload, len);
}

static inline uint32_t log_segment_crc(uint64_t epoch, uint64_t first_seq, uint64_t first_us)
{
	const uint64_t words[3] = {epoch, first_seq, first_us};

	return crc32c(SEGMENT_MAGIC & UINT32_MAX, words, sizeof(words));
}

/* Before any reader and the first append: takes over every frame that validates, in order of epoch,
 * ends each segment after its last one and frees the rest. Fills the writer's fields and the
 * published ones. The number of frames. */
uint64_t log_recover(struct log *);

/* Publishes what the oldest held segment says; `next` is about to be reused (or NO_SEGMENT). */
void log_publish_oldest(struct log *, uint32_t next);

#endif
