/* How frames are written, for frame.c and frame_records.c. Nobody else includes this. What does not
 * fit sets `overflow`, and from then on nothing is written. */
#ifndef STROBE_STORE_FRAME_PUT_H
#define STROBE_STORE_FRAME_PUT_H

#include "store/frame.h"

#include <endian.h>
#include <errno.h>
#include <string.h>

static inline void put_u8(struct frame_writer *w, uint8_t v)
{
	if (w->overflow || w->cap == w->len)
		w->overflow = true;
	else
		w->buf[w->len++] = v;
}

static inline void put_u64(struct frame_writer *w, uint64_t v)
{
	v = htole64(v);
	if (w->overflow || w->cap - w->len < sizeof(v)) {
		w->overflow = true;
		return;
	}
	memcpy(w->buf + w->len, &v, sizeof(v));
	w->len += sizeof(v);
}

static inline void put(struct frame_writer *w, uint64_t v)
{
	if (w->overflow || w->cap - w->len < VARINT_MAX)
		w->overflow = true;
	else
		w->len = (size_t)(varint_put(w->buf + w->len, v) - w->buf);
}

static inline void put_signed(struct frame_writer *w, int64_t v)
{
	put(w, zigzag_encode(v));
}

static inline void put_raw(struct frame_writer *w, const void *data, size_t len)
{
	if (w->overflow || w->cap - w->len < len) {
		w->overflow = true;
		return;
	}
	memcpy(w->buf + w->len, data, len);
	w->len += len;
}

static inline void put_bytes(struct frame_writer *w, const char *s, size_t len)
{
	put(w, len);
	put_raw(w, s, len);
}

/* NULL is "". */
static inline void put_string(struct frame_writer *w, const char *s)
{
	put_bytes(w, s ? s : "", s ? strlen(s) : 0);
}

/* NULL is ""; longer texts are cut before the character that would pass `max` bytes. */
static inline void put_text(struct frame_writer *w, const char *s, size_t max)
{
	size_t len = s ? strnlen(s, max + 1) : 0;

	if (len > max)
		for (len = max; len > 0 && ((uint8_t)s[len] & 0xc0) == 0x80;)
			len--;
	put_bytes(w, s ? s : "", len);
}

/* A number that is known only after what follows it: one byte is left free, more are made room for
 * when it is set. */
static inline size_t hole_open(struct frame_writer *w)
{
	put_u8(w, 0);
	return w->len - 1;
}

static inline void hole_close(struct frame_writer *w, size_t at, uint64_t v)
{
	uint8_t bytes[VARINT_MAX];
	size_t n = (size_t)(varint_put(bytes, v) - bytes);

	if (w->overflow || w->cap - w->len < n - 1) {
		w->overflow = true;
		return;
	}
	if (n > 1)
		memmove(w->buf + at + n, w->buf + at + 1, w->len - at - 1);
	memcpy(w->buf + at, bytes, n);
	w->len += n - 1;
}

static inline struct frame_writer frame_writer_of(uint8_t *buf, size_t cap, enum frame_type type)
{
	struct frame_writer w = {.buf = buf, .cap = cap};

	put_u8(&w, (uint8_t)type);
	return w;
}

static inline int finished(const struct frame_writer *w)
{
	return w->overflow || w->len > INT32_MAX ? -EMSGSIZE : (int)w->len;
}

#endif
