/*
 * A growing byte buffer and the protobuf encodings that are written by hand into it.
 *
 * Invariants
 *  - After an allocation failed, or `max` bytes did not suffice, `failed` is set and every later write is dropped; look once, at the
 *    end.
 *  - Zeroed is empty and valid. Capacity only grows until buf_done or buf_trim.
 */
#ifndef STROBE_SERVE_BUF_H
#define STROBE_SERVE_BUF_H

#include "base/varint.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

struct buf {
	uint8_t *p;
	size_t len, cap;
	size_t max; /* of cap; 0: no limit */
	bool failed;
};

enum pb_type { PB_VARINT = 0, PB_FIXED64 = 1, PB_BYTES = 2 };

static inline void buf_done(struct buf *b)
{
	free(b->p);
	*b = (struct buf){0};
}

static inline void buf_clear(struct buf *b)
{
	b->len = 0;
	b->failed = false;
}

/* Gives the memory back when more than `keep` bytes are reserved. */
static inline void buf_trim(struct buf *b, size_t keep)
{
	if (b->cap > keep)
		buf_done(b);
	else
		buf_clear(b);
}

/* Room for n more bytes at the returned place, or NULL with `failed` set. */
static inline uint8_t *buf_room(struct buf *b, size_t n)
{
	if (b->failed)
		return NULL;
	if (b->cap - b->len < n) {
		size_t cap = b->cap ? b->cap : 256;

		while (cap - b->len < n)
			cap *= 2;
		if (b->max && cap > b->max)
			cap = b->max;
		uint8_t *p = cap >= b->len && cap - b->len >= n ? realloc(b->p, cap) : NULL;

		if (!p) {
			b->failed = true;
			return NULL;
		}
		b->p = p;
		b->cap = cap;
	}
	return b->p + b->len;
}

static inline void buf_put(struct buf *b, const void *p, size_t n)
{
	uint8_t *q = n ? buf_room(b, n) : NULL;

	if (q) {
		memcpy(q, p, n);
		b->len += n;
	}
}

static inline void buf_text(struct buf *b, const char *s)
{
	buf_put(b, s, strlen(s));
}

static inline void buf_varint(struct buf *b, uint64_t v)
{
	uint8_t *q = buf_room(b, VARINT_MAX);

	if (q)
		b->len += (size_t)(varint_put(q, v) - q);
}

static inline size_t varint_size(uint64_t v)
{
	return (size_t)(70 - __builtin_clzll(v | 1)) / 7;
}

static inline void pb_tag(struct buf *b, uint32_t field, enum pb_type type)
{
	buf_varint(b, (uint64_t)field << 3 | type);
}

/* A field of proto3: zero is not written. */
static inline void pb_uint(struct buf *b, uint32_t field, uint64_t v)
{
	if (v) {
		pb_tag(b, field, PB_VARINT);
		buf_varint(b, v);
	}
}

/* An int64, which may be negative. */
static inline void pb_int(struct buf *b, uint32_t field, int64_t v)
{
	pb_uint(b, field, (uint64_t)v);
}

static inline void pb_sint(struct buf *b, uint32_t field, int64_t v)
{
	pb_uint(b, field, zigzag_encode(v));
}

static inline void pb_double(struct buf *b, uint32_t field, double v)
{
	pb_tag(b, field, PB_FIXED64);
	buf_put(b, &v, sizeof(v)); /* little endian, as both our targets are */
}

static inline void pb_bytes(struct buf *b, uint32_t field, const void *p, size_t len)
{
	if (len) {
		pb_tag(b, field, PB_BYTES);
		buf_varint(b, len);
		buf_put(b, p, len);
	}
}

static inline void pb_string(struct buf *b, uint32_t field, const char *s)
{
	pb_bytes(b, field, s, s ? strlen(s) : 0);
}

/* A field whose length is known only afterwards: open it, write the body, close it. */
static inline size_t pb_open(struct buf *b, uint32_t field)
{
	pb_tag(b, field, PB_BYTES);
	return b->len;
}

static inline void pb_close(struct buf *b, size_t at)
{
	if (b->failed)
		return;
	size_t body = b->len - at, n = varint_size(body);

	if (!buf_room(b, n))
		return;
	memmove(b->p + at + n, b->p + at, body);
	varint_put(b->p + at, body);
	b->len += n;
}

#endif
