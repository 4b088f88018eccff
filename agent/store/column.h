/*
 * The codecs of one cell of a sealed block (block.h): a row of at most COLUMN_MAX values. Encoders
 * get a cell as its changes, since most cells have few; the smallest coding is taken.
 *
 * Decoders take any bytes: -EBADMSG for what the format does not allow, and nothing outside of
 * [p, end) is read.
 */
#ifndef STROBE_STORE_COLUMN_H
#define STROBE_STORE_COLUMN_H

#include "store/block.h"

enum column_codec {
	CODEC_CHANGES,
	CODEC_ABSENCES,
	CODEC_MATRIX,
	CODEC_RAW,
	CODEC_DELTA,
	CODEC_DELTA2
};

enum {
	COLUMN_MAX = BLOCK_READS + 1, /* the base, then the reads */
	COLUMN_BYTES = 8 << 10,	      /* an encoded column is never longer */
	MATRIX_MAX = 2048,	      /* values of a matrix */
	MATRIX_BYTES = 28 << 10,      /* an encoded matrix is never longer */
	COLUMN_RUN = 128	      /* residuals of one width */
};

struct column {
	uint32_t len;	    /* values: 1..COLUMN_MAX */
	uint32_t n;	    /* changes */
	int64_t first;	    /* the first value */
	const uint16_t *at; /* n, rising, 1..len - 1: what changes */
	const int64_t *to;  /* n: the value from there on; never that before */
};

/* Makes changes out of `len` values; at[] and to[] have room for len - 1. */
struct column column_of(const int64_t *values, uint32_t len, uint16_t *at, int64_t *to);

/* Writes what a codec says of a column that has changes, but for its first value, to `to`
 * (COLUMN_BYTES); the length. */
size_t column_encode(const struct column *, uint8_t *to, enum column_codec *ret_codec);
/* The same of all cells of an instance, MATRIX_MAX values at most, into MATRIX_BYTES. 0: it cannot
 * be told this way. */
size_t matrix_encode(const struct column *cells, uint32_t n, uint8_t *to);

/* The `len` values of a column. 0 or -EBADMSG. */
int column_decode(enum column_codec, const uint8_t *p, const uint8_t *end, int64_t first,
		  uint32_t len, int64_t *values);

/* The changes of a column into at[] and to[], of which there is room for `max`. 0; 1: its codec does
 * not tell changes, or there are more; -EBADMSG. */
int column_changes(enum column_codec, const uint8_t *p, const uint8_t *end, int64_t first,
		   uint32_t len, uint16_t *at, int64_t *to, uint32_t max, struct column *ret);

/* The word a value is written as: VALUE_ABSENT is 0. */
static inline uint64_t column_word(int64_t v)
{
	return zigzag_encode(v) + 1;
}
static inline int64_t column_of_word(uint64_t w)
{
	return zigzag_decode(w - 1);
}
/* Cell `cell` of a matrix of n cells of `len` values. */
int matrix_decode(const uint8_t *p, const uint8_t *end, uint32_t n, uint32_t cell, uint32_t len,
		  int64_t *values);

#endif
