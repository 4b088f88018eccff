/* A growing row of bytes. What finds no memory sets `failed`, and from then on nothing is added. */
#ifndef STROBE_STORE_OUT_H
#define STROBE_STORE_OUT_H

#include "base/varint.h"

#include <endian.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

struct out {
	uint8_t *p;
	size_t len, cap;
	bool failed;
};

/* Room for n bytes at the end, which the caller fills and adds to len; NULL: no memory. */
static inline uint8_t *out_room(struct out *o, size_t n)
{
	if (o->failed)
		return NULL;
	if (o->cap - o->len < n) {
		size_t cap = o->cap ? o->cap : 256;
		uint8_t *p;

		while (cap - o->len < n)
			cap *= 2;
		p = realloc(o->p, cap);
		if (!p) {
			o->failed = true;
			return NULL;
		}
		o->p = p;
		o->cap = cap;
	}
	return o->p + o->len;
}

static inline void out_bytes(struct out *o, const void *data, size_t len)
{
	uint8_t *p = len ? out_room(o, len) : NULL;

	if (!p)
		return;
	memcpy(p, data, len);
	o->len += len;
}

static inline void out_u8(struct out *o, uint8_t v)
{
	out_bytes(o, &v, 1);
}

static inline void out_u16(struct out *o, uint16_t v)
{
	v = htole16(v);
	out_bytes(o, &v, sizeof(v));
}

static inline void out_u32(struct out *o, uint32_t v)
{
	v = htole32(v);
	out_bytes(o, &v, sizeof(v));
}

static inline void out_u64(struct out *o, uint64_t v)
{
	v = htole64(v);
	out_bytes(o, &v, sizeof(v));
}

static inline void out_varint(struct out *o, uint64_t v)
{
	uint8_t *p = out_room(o, VARINT_MAX);

	if (p)
		o->len = (size_t)(varint_put(p, v) - o->p);
}

static inline void out_string(struct out *o, const char *s)
{
	out_bytes(o, s, strlen(s) + 1);
}

static inline void out_done(struct out *o)
{
	free(o->p);
	*o = (struct out){0};
}

#endif
