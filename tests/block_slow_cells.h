/* How the slow decoder of sealed blocks (block_slow.h) reads numbers, items and codecs. */
#ifndef STROBE_TESTS_BLOCK_SLOW_CELLS_H
#define STROBE_TESTS_BLOCK_SLOW_CELLS_H

#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#define SLOW_ABSENT INT64_MIN

struct slow_summary {
	int kind; /* 0 none, 1 of values, 2 of rates */
	uint8_t *p;
	uint64_t len;
	int64_t first;
};
/* Bytes to be read one after the other; past the end everything is 0 and `bad`. */
struct slow_in {
	const uint8_t *p;
	uint64_t n, at;
	bool bad;
};

static inline uint64_t slow_u8(struct slow_in *in)
{
	if (in->at >= in->n) {
		in->bad = true;
		return 0;
	}
	return in->p[in->at++];
}

static inline uint64_t slow_uint(struct slow_in *in, unsigned bytes)
{
	uint64_t v = 0;

	for (unsigned i = 0; i < bytes; i++)
		v |= slow_u8(in) << (8 * i);
	return v;
}

static inline uint64_t slow_v(struct slow_in *in)
{
	uint64_t v = 0, b;

	for (unsigned i = 0; i < 10; i++) {
		b = slow_u8(in);
		if (i == 9 && b > 1)
			in->bad = true;
		v |= (b % 128) << (7 * i);
		if (b < 128)
			return v;
	}
	in->bad = true;
	return 0;
}

static inline int64_t slow_zigzag(uint64_t v)
{
	return v % 2 ? (int64_t) ~(v / 2) : (int64_t)(v / 2);
}

static inline int64_t slow_w(struct slow_in *in)
{
	return slow_zigzag(slow_v(in) - 1);
}

static inline void *slow_alloc(uint64_t n, size_t size)
{
	void *p = calloc(n + 1, size);

	if (!p)
		abort();
	return p;
}

static inline uint32_t slow_crc(const uint8_t *p, uint64_t n)
{
	static uint32_t of_byte[256];
	uint32_t c = UINT32_MAX;

	for (uint32_t i = 0; i < 256 && !of_byte[255]; i++) {
		of_byte[i] = i;
		for (int k = 0; k < 8; k++)
			of_byte[i] = of_byte[i] / 2 ^ (of_byte[i] % 2 ? 0x82f63b78u : 0);
	}
	while (n--)
		c = c / 256 ^ of_byte[(c ^ *p++) % 256];
	return ~c;
}

/* ---- changes ---- */

/* One change: how many values it passes over and its code. */
static inline uint64_t slow_change(struct slow_in *in, unsigned b, uint64_t *code)
{
	uint64_t byte = slow_u8(in), gap = byte % 128 >> b, high;

	*code = byte % (1u << b);
	if (gap == (128u >> b) - 1) {
		uint64_t more = slow_v(in);

		gap = more > 1 << 20 ? UINT32_MAX : gap + more;
	}
	if (byte >= 128) {
		high = slow_v(in);
		if (b && high >> (64 - b))
			in->bad = true;
		*code |= high << b;
	}
	return gap;
}

static inline int64_t slow_absence(int64_t v, uint64_t code, bool is_unsigned, uint64_t scale)
{
	uint64_t base = v == SLOW_ABSENT ? 0 : (uint64_t)v;

	if (code == 0)
		return v == SLOW_ABSENT ? 0 : SLOW_ABSENT;
	return (int64_t)(base + scale * (is_unsigned ? code : (uint64_t)slow_zigzag(code)));
}

static inline void slow_changes(struct slow_in *in, bool absences, int64_t *v, uint64_t len)
{
	uint64_t head = slow_u8(in), scale = 1, at = 0, code;
	unsigned b = head % 8;
	bool is_unsigned = head / 8 % 2;

	if (b > 6 || head > 31)
		in->bad = true;
	if (head / 16 % 2)
		scale = slow_v(in);
	while (!in->bad && in->at < in->n) {
		uint64_t gap = slow_change(in, b, &code);

		if (gap >= len - 1 - at)
			in->bad = true;
		for (; !in->bad && gap; gap--, at++)
			v[at + 1] = v[at];
		if (in->bad)
			return;
		if (absences)
			v[at + 1] = slow_absence(v[at], code, is_unsigned, scale);
		else if (is_unsigned)
			v[at + 1] = (int64_t)((uint64_t)v[at] + scale * (code + 1));
		else
			v[at + 1] = (int64_t)((uint64_t)v[at] +
					      scale * (uint64_t)slow_zigzag(code + 1));
		at++;
	}
	for (; at + 1 < len; at++)
		v[at + 1] = v[at];
}

static inline void slow_matrix(struct slow_in *in, uint64_t n_cells, uint64_t len, int64_t **v)
{
	uint64_t b = slow_u8(in), all = n_cells * len, at = 0, code = 0;

	if (b > 6 || all > 2048) {
		in->bad = true;
		return;
	}
	while (!in->bad && at < all) {
		bool more = in->at < in->n;
		uint64_t gap = more ? slow_change(in, (unsigned)b, &code) : all - at;

		if (more && gap >= all - at) /* a change behind the last value */
			in->bad = true;
		for (; !in->bad && gap; gap--, at++)
			v[at / len][at % len] = at % len ? v[at / len][at % len - 1] : 0;
		if (in->bad || at == all)
			break;
		v[at / len][at % len] =
			slow_absence(at % len ? v[at / len][at % len - 1] : 0, code, false, 1);
		at++;
	}
	if (in->at < in->n)
		in->bad = true;
}

/* ---- runs ---- */

static inline uint64_t slow_bits(const uint8_t *p, uint64_t from, uint64_t width)
{
	uint64_t v = 0;

	for (uint64_t i = 0; i < width; i++)
		v |= (uint64_t)(p[(from + i) / 8] >> (from + i) % 8 & 1) << i;
	return v;
}

static inline void slow_run(struct slow_in *in, uint64_t n, uint64_t *r)
{
	uint64_t ref = (uint64_t)slow_zigzag(slow_v(in)), width = slow_u8(in), n_high = slow_u8(in);
	uint64_t at[256], high[256], bytes;

	if (width > 56)
		in->bad = true;
	for (uint64_t i = 0; i < n_high; i++) {
		at[i] = slow_u8(in);
		high[i] = slow_v(in);
		if (at[i] >= n)
			in->bad = true;
	}
	bytes = (n * width + 7) / 8;
	if (in->bad || bytes > in->n - in->at) {
		in->bad = true;
		return;
	}
	for (uint64_t i = 0; i < n; i++)
		r[i] = ref + slow_bits(in->p + in->at, i * width, width);
	for (uint64_t i = 0; i < n_high; i++)
		r[at[i]] += high[i] << width;
	in->at += bytes;
}

static inline void slow_runs(struct slow_in *in, uint64_t codec, int64_t *v, uint64_t len)
{
	uint64_t scale = slow_v(in), r[512], x = 0, d = 0, first = (uint64_t)v[0];

	for (uint64_t at = 1; at < len && !in->bad; at += 128)
		slow_run(in, len - at < 128 ? len - at : 128, r + at - 1);
	if (in->at != in->n)
		in->bad = true;
	for (uint64_t i = 1; i < len && !in->bad; i++) {
		d = codec == 5 ? d + r[i - 1] : r[i - 1];
		x = codec == 3 ? r[i - 1] : x + d;
		v[i] = (int64_t)(first + scale * x);
	}
}

/* ---- items ---- */

/* The next item: values of the cells it stands for, each of len[i] values; how many cells. */
static inline uint64_t slow_item(struct slow_in *in, int64_t **cells, const uint64_t *len,
				 uint64_t n_cells, uint64_t n_metrics, struct slow_summary **sum)
{
	uint64_t head = slow_u8(in), kind = head % 4, count = head / 4 + 1, codec = head / 4 % 8;
	struct slow_in c;

	if (kind < 3) {
		for (uint64_t i = 0; i < count && !in->bad; i++) {
			int64_t v = kind == 1 ? slow_w(in) : kind == 0 ? 0 : SLOW_ABSENT;

			if (i >= n_cells)
				in->bad = true;
			for (uint64_t k = 0; !in->bad && k < len[i]; k++)
				cells[i][k] = v;
		}
		return count;
	}
	c = (struct slow_in){.p = in->p, .at = in->at, .n = in->n};
	c.n = slow_v(&c);
	if (c.at > in->n || c.n > in->n - c.at || (c.n += c.at, c.bad) || !n_cells) {
		in->bad = true;
		return 1;
	}
	in->at = c.n;
	if (codec == 2) {
		if (n_cells < n_metrics || !n_metrics || head / 32)
			c.bad = true;
		else
			slow_matrix(&c, n_metrics, len[0], cells);
		in->bad |= c.bad;
		return n_metrics;
	}
	cells[0][0] = slow_w(&c);
	if (head / 32 > 2 || codec > 5)
		c.bad = true;
	if (head / 32 && !c.bad) {
		uint64_t bytes = slow_v(&c);

		if (c.bad || bytes > c.n - c.at) {
			in->bad = true;
			return 1;
		}
		if (sum) {
			*sum[0] = (struct slow_summary){.kind = (int)(head / 32), .len = bytes};
			sum[0]->first = cells[0][0];
			sum[0]->p = slow_alloc(bytes, 1);
			memcpy(sum[0]->p, c.p + c.at, bytes);
		}
		c.at += bytes;
	}
	if (codec < 2)
		slow_changes(&c, codec == 1, cells[0], len[0]);
	else
		slow_runs(&c, codec, cells[0], len[0]);
	in->bad |= c.bad;
	return 1;
}

static inline void slow_column(struct slow_in *in, int64_t *v, uint64_t n)
{
	if (slow_item(in, &v, &n, 1, 0, NULL) != 1)
		in->bad = true;
}

#endif
