/*
 * LEB128 varints and zigzag. Writers go to a pointer with room for VARINT_MAX bytes; readers take
 * any bytes and fail at `end`.
 */
#ifndef STROBE_BASE_VARINT_H
#define STROBE_BASE_VARINT_H

#include <stdbool.h>
#include <stdint.h>

enum { VARINT_MAX = 10 };

static inline uint64_t zigzag_encode(int64_t v)
{
	return ((uint64_t)v << 1) ^ (v < 0 ? UINT64_MAX : 0);
}

static inline int64_t zigzag_decode(uint64_t v)
{
	return (int64_t)((v >> 1) ^ (0 - (v & 1)));
}

/* Writes v at p; the first byte after it. */
static inline uint8_t *varint_put(uint8_t *p, uint64_t v)
{
	while (v >= 0x80) {
		*p++ = (uint8_t)(v | 0x80);
		v >>= 7;
	}
	*p++ = (uint8_t)v;
	return p;
}

static inline uint8_t *varint_put_signed(uint8_t *p, int64_t v)
{
	return varint_put(p, zigzag_encode(v));
}

/* Reads one varint from *p and moves *p past it. False, *p unchanged: cut off, or over 64 bits. */
static inline bool varint_get(const uint8_t **p, const uint8_t *end, uint64_t *ret)
{
	const uint8_t *q = *p;
	uint64_t v = 0;

	for (unsigned shift = 0; shift < 64; shift += 7) {
		if (q == end)
			return false;
		uint8_t b = *q++;
		if (shift == 63 && b > 1)
			return false;
		v |= (uint64_t)(b & 0x7f) << shift;
		if (b < 0x80) {
			*p = q;
			*ret = v;
			return true;
		}
	}
	return false;
}

static inline bool varint_get_signed(const uint8_t **p, const uint8_t *end, int64_t *ret)
{
	uint64_t v;

	if (!varint_get(p, end, &v))
		return false;
	*ret = zigzag_decode(v);
	return true;
}

/* The same into 32 bits; larger values are refused. */
static inline bool varint_get_u32(const uint8_t **p, const uint8_t *end, uint32_t *ret)
{
	const uint8_t *q = *p;
	uint64_t v;

	if (!varint_get(&q, end, &v) || v > UINT32_MAX)
		return false;
	*p = q;
	*ret = (uint32_t)v;
	return true;
}

#endif
