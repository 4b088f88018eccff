/*
 * The codecs of one cell: any payload gives -EBADMSG or what the slow decoder reads in it, and any
 * values come back from their encoding. Input: codec, two bytes of length, payload.
 */
#include "fuzz.h"

#include "block_slow_cells.h"
#include "store/column.h"

enum { MATRIX_CELLS = 5 };

static void fuzz_seeds(void)
{
	static const int64_t rough[] = {5, 5, 6, INT64_MIN, INT64_MIN, 0, -70000, INT64_MAX, 9};
	uint8_t buf[3 + COLUMN_BYTES], all[3 + MATRIX_BYTES];
	int64_t values[COLUMN_MAX], to[COLUMN_MAX];
	uint16_t at[COLUMN_MAX];
	enum column_codec codec;
	struct column c, cells[MATRIX_CELLS];
	char name[32];
	size_t len;

	for (unsigned kind = 0; kind < 6; kind++) {
		uint32_t n = kind < 2 ? 9 : 300;

		for (uint32_t i = 0; i < n; i++)
			values[i] = kind < 2	? rough[i]
				    : kind == 2 ? (int64_t)(i * i * 3)
				    : kind == 3 ? (int64_t)(i * 1000 + i * 7919 % 13)
				    : kind == 4 ? (int64_t)(i * 7919 % 100)
						: (int64_t)(i / 90);
		if (kind == 1) /* without absences */
			values[3] = values[4] = 7;
		c = column_of(values, n, at, to);
		len = column_encode(&c, buf + 3, &codec);
		buf[0] = (uint8_t)codec;
		buf[1] = (uint8_t)n;
		buf[2] = (uint8_t)(n >> 8);
		snprintf(name, sizeof(name), "column-%u", kind);
		fuzz_seed(name, buf, len + 3);
	}
	c = column_of(rough, 9, at, to);
	for (unsigned i = 0; i < MATRIX_CELLS; i++)
		cells[i] = c;
	len = matrix_encode(cells, MATRIX_CELLS, all + 3);
	all[0] = CODEC_MATRIX;
	all[1] = 9;
	all[2] = 0;
	fuzz_seed("matrix", all, len + 3);
}

static void check_matrix(const uint8_t *p, size_t size, uint32_t len)
{
	int64_t want[MATRIX_CELLS][COLUMN_MAX], have[COLUMN_MAX], *rows[MATRIX_CELLS];
	struct slow_in in = {.p = p, .n = size};

	for (unsigned i = 0; i < MATRIX_CELLS; i++)
		rows[i] = want[i];
	slow_matrix(&in, MATRIX_CELLS, len, rows);
	for (uint32_t i = 0; i < MATRIX_CELLS; i++) {
		int r = matrix_decode(p, p + size, MATRIX_CELLS, i, len, have);

		FUZZ_CHECK(r == 0 || (r == -EBADMSG && in.bad));
		FUZZ_CHECK(in.bad || memcmp(have, want[i], len * 8) == 0);
	}
}

static void check_payload(const uint8_t *p, size_t size, unsigned codec, uint32_t len)
{
	int64_t want[COLUMN_MAX] = {42}, have[COLUMN_MAX];
	struct slow_in in = {.p = p, .n = size};
	int r = column_decode((enum column_codec)codec, p, p + size, 42, len, have);

	if (codec < CODEC_MATRIX)
		slow_changes(&in, codec == CODEC_ABSENCES, want, len);
	else
		slow_runs(&in, codec, want, len);
	FUZZ_CHECK(r == (in.bad ? -EBADMSG : 0));
	FUZZ_CHECK(in.bad || memcmp(have, want, len * 8) == 0);
}

/* The input as values of a few bytes each. */
static void check_encoding(const uint8_t *p, size_t size, unsigned width, bool sum)
{
	uint8_t buf[COLUMN_BYTES], *exact;
	int64_t values[COLUMN_MAX], have[COLUMN_MAX], to[COLUMN_MAX];
	uint16_t at[COLUMN_MAX];
	enum column_codec codec;
	struct column c;
	uint32_t n = 0;
	size_t len;

	for (; n < COLUMN_MAX && size >= width; p += width, size -= width) {
		uint64_t v = 0;

		for (unsigned i = 0; i < width; i++)
			v |= (uint64_t)p[i] << 8 * (width == 8 ? i : 7 - i);
		values[n] = (int64_t)(v + (sum && n ? (uint64_t)values[n - 1] : 0));
		n++;
	}
	if (!n)
		return;
	c = column_of(values, n, at, to);
	if (!c.n)
		return;
	len = column_encode(&c, buf, &codec);
	FUZZ_CHECK(len && len <= sizeof(buf));
	exact = malloc(len);
	memcpy(exact, buf, len);
	FUZZ_CHECK(column_decode(codec, exact, exact + len, c.first, n, have) == 0);
	FUZZ_CHECK(memcmp(have, values, n * 8) == 0);
	free(exact);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	uint32_t len;
	uint8_t *copy;

	if (size < 3)
		return 0;
	len = (data[1] | (uint32_t)data[2] << 8) % (COLUMN_MAX + 1);
	if (!len)
		return 0;
	copy = malloc(size - 2);
	memcpy(copy, data + 3, size - 3);
	if (data[0] % 6 == CODEC_MATRIX)
		check_matrix(copy, size - 3, len);
	else
		check_payload(copy, size - 3, data[0] % 6, len);
	for (unsigned width = 1; width <= 8; width *= 2) {
		check_encoding(copy, size - 3, width, false);
		check_encoding(copy, size - 3, width, true);
	}
	free(copy);
	return 0;
}
