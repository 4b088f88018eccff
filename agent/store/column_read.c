#include <endian.h>
#include <errno.h>
#include <string.h>

#include "store/column_internal.h"

/* ---- changes ---- */

struct changes_reader {
	const uint8_t *p, *end;
	unsigned low;
	uint32_t mask;
	bool is_unsigned;
	uint64_t scale;
};

static bool changes_open(struct changes_reader *r, const uint8_t *p, const uint8_t *end)
{
	uint8_t head;

	*r = (struct changes_reader){.end = end, .scale = 1};
	if (p == end)
		return false;
	head = *p++;
	r->low = head & CHANGES_LOW;
	r->is_unsigned = head & CHANGES_UNSIGNED;
	if (r->low > CHANGES_LOW_MAX || head >= 2 * CHANGES_SCALE ||
	    (head & CHANGES_SCALE && !varint_get(&p, end, &r->scale)))
		return false;
	r->mask = (1u << (7 - r->low)) - 1;
	r->p = p;
	return true;
}

/* The next change; false: damaged. `at` moves to it. */
static inline bool changes_next(struct changes_reader *r, uint32_t len, uint32_t *at,
				uint64_t *ret_code)
{
	uint8_t b = *r->p++;
	uint64_t code = b & ((1u << r->low) - 1), gap = (uint32_t)(b & 127) >> r->low, more;

	if (gap == r->mask) {
		if (!varint_get(&r->p, r->end, &more) || more >= len)
			return false;
		gap += more;
	}
	if (b & 128) {
		if (!varint_get(&r->p, r->end, &more) || (more << r->low) >> r->low != more)
			return false;
		code |= more << r->low;
	}
	if (gap >= len - *at)
		return false;
	*at += (uint32_t)gap;
	*ret_code = code;
	return true;
}

static inline void fill(int64_t *to, uint32_t n, int64_t v)
{
	for (uint32_t i = 0; i < n; i++)
		to[i] = v;
}

static inline uint64_t change_of(const struct changes_reader *r, uint64_t code)
{
	return (r->is_unsigned ? code : (uint64_t)zigzag_decode(code)) * r->scale;
}

static int64_t apply_absence(const struct changes_reader *r, int64_t v, uint64_t code)
{
	if (!code)
		return v == VALUE_ABSENT ? 0 : VALUE_ABSENT;
	return (int64_t)((v == VALUE_ABSENT ? 0 : (uint64_t)v) + change_of(r, code));
}

static int get_changes(const uint8_t *p, const uint8_t *end, int64_t v, uint32_t len,
		       int64_t *values, bool absences)
{
	struct changes_reader r;
	uint32_t from = 0, at = 1;
	uint64_t code;

	if (!changes_open(&r, p, end))
		return -EBADMSG;
	while (r.p < end) {
		if (!changes_next(&r, len, &at, &code))
			return -EBADMSG;
		fill(values + from, at - from, v);
		from = at++;
		if (absences)
			v = apply_absence(&r, v, code);
		else
			v = (int64_t)((uint64_t)v + change_of(&r, code + 1));
	}
	fill(values + from, len - from, v);
	return 0;
}

int column_changes(enum column_codec codec, const uint8_t *p, const uint8_t *end, int64_t first,
		   uint32_t len, uint16_t *at, int64_t *to, uint32_t max, struct column *ret)
{
	struct changes_reader r;
	uint32_t i = 1, n = 0;
	uint64_t code;
	int64_t v = first;

	if (codec != CODEC_CHANGES && codec != CODEC_ABSENCES)
		return 1;
	if (!changes_open(&r, p, end))
		return -EBADMSG;
	for (; r.p < end; i++) {
		if (!changes_next(&r, len, &i, &code))
			return -EBADMSG;
		if (n == max)
			return 1;
		if (codec == CODEC_ABSENCES)
			v = apply_absence(&r, v, code);
		else
			v = (int64_t)((uint64_t)v + change_of(&r, code + 1));
		at[n] = (uint16_t)i;
		to[n++] = v;
	}
	*ret = (struct column){.len = len, .n = n, .first = first, .at = at, .to = to};
	return 0;
}

/* ---- runs of one width ---- */

static inline uint64_t load(const uint8_t *p)
{
	uint64_t v;

	memcpy(&v, p, sizeof(v));
	return le64toh(v);
}

static void unpack(const uint8_t *p, unsigned width, uint32_t n, uint64_t ref, uint64_t *r)
{
	uint64_t mask = (UINT64_C(1) << width) - 1;
	uint32_t bit = 0;

	for (uint32_t i = 0; i < n; i++, bit += width)
		r[i] = ref + ((load(p + bit / 8) >> bit % 8) & mask);
}

struct high {
	uint8_t at;
	uint64_t bits;
};

/* One run of n residuals. */
static bool get_run(const uint8_t **from, const uint8_t *end, uint32_t n, uint64_t *r)
{
	uint8_t copy[COLUMN_RUN * RUN_WIDTH_MAX / 8 + 8];
	struct high high[UINT8_MAX];
	const uint8_t *p = *from;
	unsigned width, n_high;
	int64_t ref;
	size_t len;

	if (!varint_get_signed(&p, end, &ref) || end - p < 2)
		return false;
	width = *p++;
	n_high = *p++;
	if (width > RUN_WIDTH_MAX)
		return false;
	for (unsigned i = 0; i < n_high; i++) {
		if (p == end || *p >= n)
			return false;
		high[i].at = *p++;
		if (!varint_get(&p, end, &high[i].bits))
			return false;
	}
	len = ((size_t)n * width + 7) / 8;
	if ((size_t)(end - p) < len)
		return false;
	*from = p + len;
	if ((size_t)(end - p) < len + 8) {
		memcpy(copy, p, len);
		memset(copy + len, 0, 8);
		p = copy;
	}
	unpack(p, width, n, (uint64_t)ref, r);
	for (unsigned i = 0; i < n_high; i++)
		r[high[i].at] += high[i].bits << width;
	return true;
}

static int get_runs(enum column_codec codec, const uint8_t *p, const uint8_t *end, int64_t v,
		    uint32_t len, int64_t *values)
{
	uint64_t first = (uint64_t)v, scale, x = 0, d = 0, r[COLUMN_RUN];

	if (!varint_get(&p, end, &scale))
		return -EBADMSG;
	values[0] = v;
	for (uint32_t at = 1; at < len; at += COLUMN_RUN) {
		uint32_t n = len - at < COLUMN_RUN ? len - at : COLUMN_RUN;
		int64_t *to = values + at;

		if (!get_run(&p, end, n, r))
			return -EBADMSG;
		if (codec == CODEC_RAW)
			for (uint32_t i = 0; i < n; i++)
				to[i] = (int64_t)(first + scale * r[i]);
		else if (codec == CODEC_DELTA)
			for (uint32_t i = 0; i < n; i++)
				to[i] = (int64_t)(first + scale * (x += r[i]));
		else
			for (uint32_t i = 0; i < n; i++)
				to[i] = (int64_t)(first + scale * (x += d += r[i]));
	}
	return p == end ? 0 : -EBADMSG;
}

int column_decode(enum column_codec codec, const uint8_t *p, const uint8_t *end, int64_t first,
		  uint32_t len, int64_t *values)
{
	switch (codec) {
	case CODEC_CHANGES:
	case CODEC_ABSENCES:
		return get_changes(p, end, first, len, values, codec == CODEC_ABSENCES);
	case CODEC_RAW:
	case CODEC_DELTA:
	case CODEC_DELTA2:
		return get_runs(codec, p, end, first, len, values);
	case CODEC_MATRIX:
		break;
	}
	return -EBADMSG;
}

int matrix_decode(const uint8_t *p, const uint8_t *end, uint32_t n, uint32_t cell, uint32_t len,
		  int64_t *values)
{
	uint32_t from = cell * len, to = from + len, at = 0, row = 0, done = 0;
	struct changes_reader r;
	uint64_t code;
	int64_t v = 0;

	if ((uint64_t)n * len > MATRIX_MAX || !changes_open(&r, p, end) || r.scale != 1 ||
	    r.is_unsigned)
		return -EBADMSG;
	while (r.p < end) {
		if (!changes_next(&r, n * len, &at, &code))
			return -EBADMSG;
		if (at >= to)
			break;
		if (at >= row + len) { /* another cell: it begins at 0 */
			row = at / len * len;
			v = 0;
		}
		v = apply_absence(&r, v, code);
		if (row == from) {
			if (!done && at > from)
				fill(values, at - from, 0);
			else if (at > from)
				fill(values + done, at - from - done, values[done - 1]);
			values[at - from] = v;
			done = at - from + 1;
		}
		at++;
	}
	fill(values + done, len - done, done ? values[done - 1] : 0);
	return 0;
}
