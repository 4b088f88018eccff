#include "store/log_internal.h"

#include <stdlib.h>
#include <string.h>

/* What the scan of one segment found. */
struct found {
	uint64_t n_frames, last_seq;
	size_t end; /* offset after the last good frame */
};

static struct found scan_segment(const struct log *l, uint32_t s, uint64_t epoch)
{
	uint64_t seq = log_load(log_header(l, s, WORD_FIRST_SEQ));
	struct found f = {.end = SEGMENT_HEADER_SIZE};

	for (;; seq++) {
		uint64_t head = log_load(log_word(l, s, f.end));
		uint32_t len = (uint32_t)head;
		const void *payload = l->map + log_at(s, f.end + FRAME_HEADER_SIZE);

		if (!len || !log_frame_fits(f.end, len) ||
		    log_load(log_word(l, s, f.end + 8)) != seq ||
		    head >> 32 != log_frame_crc(epoch, seq, payload, len))
			return f;
		f.n_frames++;
		f.last_seq = seq;
		f.end += log_frame_size(len);
	}
}

static void free_segment(struct log *l, uint32_t s)
{
	log_store(log_header(l, s, WORD_EPOCH), 0);
	l->epochs[s] = 0;
	l->used[s] = 0;
}

/* Fills l->epochs with what valid headers say. */
static void read_headers(struct log *l)
{
	for (uint32_t s = 0; s < l->n_segments; s++) {
		uint64_t epoch = log_load(log_header(l, s, WORD_EPOCH));
		uint64_t first_seq = log_load(log_header(l, s, WORD_FIRST_SEQ));
		uint64_t first_us = log_load(log_header(l, s, WORD_FIRST_US));

		if (!epoch || !first_seq ||
		    log_load(log_header(l, s, WORD_MAGIC)) != SEGMENT_MAGIC ||
		    log_load(log_header(l, s, WORD_CRC)) !=
			    log_segment_crc(epoch, first_seq, first_us)) {
			free_segment(l, s);
			continue;
		}
		l->epochs[s] = epoch;
		if (epoch > l->epoch)
			l->epoch = epoch;
	}
}

/* The segment with the lowest epoch above `epoch`, or NO_SEGMENT. */
static uint32_t next_by_epoch(const struct log *l, uint64_t epoch)
{
	uint32_t best = NO_SEGMENT;

	for (uint32_t s = 0; s < l->n_segments; s++)
		if (l->epochs[s] > epoch && (best == NO_SEGMENT || l->epochs[s] < l->epochs[best]))
			best = s;
	return best;
}

/* Death tears no frame, as one store commits it; damaged memory may take frames that readers have
 * seen. Their numbers are not given out again. */
static uint64_t number_after(const struct log *l, uint64_t last_seq)
{
	uint64_t most = (uint64_t)l->n_segments * (LOG_SEGMENT_SIZE / FRAME_HEADER_SIZE);
	uint64_t told = log_load(log_newest_word(l));

	if (told <= last_seq)
		return last_seq + 1;
	return told - last_seq <= most ? told + 1 : last_seq + most + 1;
}

uint64_t log_recover(struct log *l)
{
	uint64_t n_frames = 0, last_seq = 0, held = 0;

	read_headers(l);
	for (uint32_t s = next_by_epoch(l, 0); s != NO_SEGMENT;) {
		uint64_t epoch = l->epochs[s];
		struct found f = scan_segment(l, s, epoch);

		if (f.n_frames && log_load(log_header(l, s, WORD_FIRST_SEQ)) > last_seq) {
			log_store(log_word(l, s, f.end), SEGMENT_END);
			l->used[s] = f.end - SEGMENT_HEADER_SIZE;
			held += l->used[s];
			n_frames += f.n_frames;
			last_seq = f.last_seq;
		} else {
			free_segment(l, s);
		}
		s = next_by_epoch(l, epoch);
	}
	l->next_seq = number_after(l, last_seq);
	l->current = NO_SEGMENT;
	atomic_store(&l->newest, last_seq);
	atomic_store(&l->bytes_held, held);
	log_publish_oldest(l, NO_SEGMENT);
	return n_frames;
}
