#include "store/log_internal.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

enum { CURSOR_BUFFER = 16 << 10 };

/* A segment's header as one consistent copy. */
struct place {
	uint32_t segment;
	uint64_t epoch, first_seq, first_us;
};

static bool still(const struct log *l, uint32_t segment, uint64_t epoch)
{
	FENCE(memory_order_acquire);
	return log_load(log_header(l, segment, WORD_EPOCH)) == epoch;
}

/* False: the segment holds nothing now. */
static bool read_place(const struct log *l, uint32_t segment, struct place *ret)
{
	*ret = (struct place){.segment = segment};
	ret->epoch = atomic_load_explicit(log_header(l, segment, WORD_EPOCH), memory_order_acquire);
	ret->first_seq = log_load(log_header(l, segment, WORD_FIRST_SEQ));
	ret->first_us = log_load(log_header(l, segment, WORD_FIRST_US));
	return ret->epoch && still(l, segment, ret->epoch);
}

/* The held segment with the lowest epoch above `epoch`. */
static bool find_after(const struct log *l, uint64_t epoch, struct place *ret)
{
	struct place p;

	*ret = (struct place){0};
	for (uint32_t s = 0; s < l->n_segments; s++)
		if (read_place(l, s, &p) && p.epoch > epoch &&
		    (!ret->epoch || p.epoch < ret->epoch))
			*ret = p;
	return ret->epoch;
}

/* The held segment with the highest epoch that begins at or before `at` (a seq or a time), else the
 * oldest. */
static bool find_place(const struct log *l, uint64_t at, bool by_time, struct place *ret)
{
	bool begun = false;
	struct place p;

	*ret = (struct place){0};
	for (uint32_t s = 0; s < l->n_segments; s++) {
		if (!read_place(l, s, &p))
			continue;
		bool before = (by_time ? p.first_us : p.first_seq) <= at;

		if (!ret->epoch || (before && (!begun || p.epoch > ret->epoch)) ||
		    (!before && !begun && p.epoch < ret->epoch))
			*ret = p;
		begun |= before;
	}
	return ret->epoch;
}

static void stand_at(struct cursor *c, const struct place *p)
{
	c->segment = p->segment;
	c->epoch = p->epoch;
	c->offset = SEGMENT_HEADER_SIZE;
	c->next_seq = p->first_seq;
}

static int cursor_open_at(struct cursor *c, struct log *l, uint64_t at, bool by_time)
{
	struct place p;

	*c = (struct cursor){.log = l};
	if (!log_newest(l) || !find_place(l, at, by_time, &p))
		return -ENOENT;
	c->buf = malloc(CURSOR_BUFFER);
	if (!c->buf)
		return -ENOMEM;
	c->cap = CURSOR_BUFFER;
	stand_at(c, &p);
	return 0;
}

int cursor_open_seq(struct cursor *c, struct log *l, uint64_t seq)
{
	return cursor_open_at(c, l, seq, false);
}

int cursor_open_time(struct cursor *c, struct log *l, uint64_t mono_us)
{
	return cursor_open_at(c, l, mono_us, true);
}

void cursor_close(struct cursor *c)
{
	free(c->buf);
	*c = (struct cursor){0};
}

/* To the segment after this one. 1; 0: there is none yet; -ESTALE. */
static int advance(struct cursor *c, uint64_t *lost_from, uint64_t *lost_to)
{
	uint64_t expected = c->next_seq;
	struct place p;

	if (!find_after(c->log, c->epoch, &p))
		return 0;
	stand_at(c, &p);
	if (p.first_seq <= expected)
		return 1;
	*lost_from = expected;
	*lost_to = p.first_seq - 1;
	return -ESTALE;
}

/* Looks at the frame under the cursor. 1: *ret_len bytes; 0: not committed yet; -EAGAIN: nothing
 * more in this segment for this cursor. */
static int peek(const struct cursor *c, uint32_t *ret_len)
{
	const struct log *l = c->log;
	uint64_t head;

	if (atomic_load_explicit(log_header(l, c->segment, WORD_EPOCH), memory_order_acquire) !=
	    c->epoch)
		return -EAGAIN;
	head = atomic_load_explicit(log_word(l, c->segment, c->offset), memory_order_acquire);
	*ret_len = (uint32_t)head;
	if (!still(l, c->segment, c->epoch))
		return -EAGAIN;
	if (!*ret_len)
		return 0;
	if (!log_frame_fits(c->offset, *ret_len) ||
	    log_load(log_word(l, c->segment, c->offset + 8)) != c->next_seq)
		return -EAGAIN;
	return 1;
}

static int grow(struct cursor *c, size_t len)
{
	size_t cap = c->cap;
	uint8_t *buf;

	while (cap < len)
		cap *= 2;
	if (cap == c->cap)
		return 0;
	buf = realloc(c->buf, cap);
	if (!buf)
		return -ENOMEM;
	c->buf = buf;
	c->cap = cap;
	return 0;
}

int cursor_next(struct cursor *c, struct frame *ret, uint64_t *lost_from, uint64_t *lost_to)
{
	for (;;) {
		uint32_t len;
		int r = peek(c, &len);

		if (r == 1 && grow(c, log_frame_size(len)) < 0)
			return -ENOMEM;
		if (r == 1) {
			const _Atomic uint64_t *from =
				log_word(c->log, c->segment, c->offset + FRAME_HEADER_SIZE);
			size_t n = (len + 7) / 8;

			for (size_t i = 0; i < n; i++) {
				uint64_t v = log_load(&from[i]);

				memcpy(c->buf + 8 * i, &v, 8);
			}
			if (still(c->log, c->segment, c->epoch)) {
				*ret = (struct frame){
					.seq = c->next_seq++, .data = c->buf, .len = len};
				c->offset += log_frame_size(len);
				return 1;
			}
			r = -EAGAIN;
		}
		if (r == -EAGAIN)
			r = advance(c, lost_from, lost_to);
		if (r != 1)
			return r;
	}
}

int cursor_peek(const struct cursor *c, uint8_t head[CURSOR_HEAD])
{
	uint64_t words[CURSOR_HEAD / 8];
	uint32_t len;

	if (peek(c, &len) != 1)
		return 0;
	for (size_t i = 0; i < CURSOR_HEAD / 8; i++)
		words[i] = 8 * i < len ? log_load(log_word(c->log, c->segment,
							   c->offset + FRAME_HEADER_SIZE + 8 * i))
				       : 0;
	memcpy(head, words, CURSOR_HEAD);
	return still(c->log, c->segment, c->epoch);
}

void cursor_skip(struct cursor *c)
{
	uint32_t len;

	if (peek(c, &len) != 1)
		return;
	c->next_seq++;
	c->offset += log_frame_size(len);
}

int cursor_open_exact(struct cursor *c, struct log *l, uint64_t seq)
{
	uint64_t lost;
	uint32_t len;
	int r;

	*c = (struct cursor){.log = l};
	if (!seq || seq > log_newest(l) + 1)
		return -EINVAL;
	r = cursor_open_seq(c, l, seq);
	if (r < 0)
		return r;
	while (r == 0 && c->next_seq < seq) {
		int e = peek(c, &len);

		if (e == 1) {
			c->next_seq++;
			c->offset += log_frame_size(len);
		} else if (e == 0 || advance(c, &lost, &lost) != 1) {
			r = -ESTALE;
		}
	}
	if (r == 0 && c->next_seq != seq)
		r = -ESTALE;
	if (r < 0)
		cursor_close(c);
	return r;
}
