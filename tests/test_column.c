#include "block_slow_cells.h"
#include "feeder.h"
#include "store/column.h"
#include "support.h"

#define MUST(x)                                                                                    \
	do {                                                                                       \
		if (!(x))                                                                          \
			ck_abort_msg("%s", #x);                                                    \
	} while (0)

static uint64_t state = 1;

static uint64_t rnd(uint64_t n)
{
	return feeder_random(&state) % n;
}

static int64_t extreme(void)
{
	static const int64_t all[] = {INT64_MIN, INT64_MIN + 1,	  INT64_MAX, INT64_MAX - 1, 0, -1,
				      1,	 INT64_C(1) << 62};

	return all[rnd(sizeof(all) / sizeof(*all))];
}

/* A column of one of the shapes that the codecs are for, and of some they are not for. */
static void make(unsigned shape, uint32_t n, int64_t *v)
{
	uint64_t step = 1 + rnd(100000), scale = 1 + rnd(5000), x = feeder_random(&state);

	for (uint32_t i = 0; i < n; i++) {
		uint64_t before = i ? (uint64_t)v[i - 1] : x;

		switch (shape) {
		case 0: /* moves seldom */
			x = before + (rnd(40) ? 0 : rnd(100));
			break;
		case 1: /* wavers around a rate */
			x = before + step + rnd(step / 8 + 1);
			break;
		case 2: /* multiples */
			x = before + (rnd(8) - 4) * scale;
			break;
		case 3: /* wraps around */
			x = before + (UINT64_C(1) << 61) + rnd(1000);
			break;
		case 4: /* extremes */
			x = (uint64_t)(rnd(3) ? (int64_t)before : extreme());
			break;
		case 5: /* there and not there */
			x = rnd(4) ? rnd(10) : (uint64_t)VALUE_ABSENT;
			break;
		case 6: /* a parabola */
			x = i * (uint64_t)i * step + i;
			break;
		case 7: /* noise of some width, with spikes beyond it */
			x = rnd(30) ? rnd(UINT64_C(1) << (step % 57)) : feeder_random(&state);
			break;
		case 8: /* absent, then multiples */
			x = i < n / 2 ? (uint64_t)VALUE_ABSENT : scale * rnd(3);
			break;
		default: /* all bits */
			x = feeder_random(&state);
			break;
		}
		v[i] = (int64_t)x;
	}
}

static void check(const int64_t *v, uint32_t n, unsigned *seen)
{
	int64_t have[COLUMN_MAX], slow[COLUMN_MAX], to[COLUMN_MAX];
	uint8_t buf[COLUMN_BYTES], *exact;
	uint16_t at[COLUMN_MAX];
	struct column c = column_of(v, n, at, to);
	enum column_codec codec;
	struct slow_in in;
	size_t len;

	if (!c.n)
		return;
	len = column_encode(&c, buf, &codec);
	MUST(len && len <= sizeof(buf));
	*seen |= 1u << codec;
	exact = malloc(len);
	memcpy(exact, buf, len);
	MUST(column_decode(codec, exact, exact + len, c.first, n, have) == 0);
	MUST(memcmp(have, v, n * sizeof(*v)) == 0);
	in = (struct slow_in){.p = exact, .n = len};
	slow[0] = c.first;
	if (codec < CODEC_MATRIX)
		slow_changes(&in, codec == CODEC_ABSENCES, slow, n);
	else
		slow_runs(&in, codec, slow, n);
	MUST(!in.bad && memcmp(slow, v, n * sizeof(*v)) == 0);
	for (size_t cut = 0; cut < len; cut += 1 + len / 9) /* it may say less, but not read on */
		column_decode(codec, exact + cut, exact + len, c.first, n, have);
	free(exact);
}

/* Columns of any shape and length come back, by both decoders, and every codec is of use. */
START_TEST(columns_come_back)
{
	int64_t v[COLUMN_MAX];
	unsigned seen = 0;

	for (unsigned i = 0; i < 6000; i++) {
		uint32_t n = 2 + (uint32_t)rnd(i % 3 ? 40 : COLUMN_MAX - 1);

		make(i % 10, n, v);
		check(v, n, &seen);
	}
	ck_assert_uint_eq(seen, 1u << CODEC_CHANGES | 1u << CODEC_ABSENCES | 1u << CODEC_RAW |
					1u << CODEC_DELTA | 1u << CODEC_DELTA2);
}
END_TEST

/* Matrices of short instances come back cell by cell. */
START_TEST(matrices_come_back)
{
	enum { CELLS = 12, LEN = 30 };
	static int64_t v[CELLS][LEN], to[CELLS][LEN], slow[CELLS][LEN];
	int64_t have[LEN], *rows[CELLS];
	static uint8_t buf[MATRIX_BYTES];
	uint16_t at[CELLS][LEN];
	struct column cells[CELLS];

	for (unsigned i = 0; i < 2000; i++) {
		uint32_t n = 1 + (uint32_t)rnd(CELLS), len = 1 + (uint32_t)rnd(LEN);
		struct slow_in in = {.p = buf};

		for (uint32_t k = 0; k < n; k++) {
			make((unsigned)rnd(10), len, v[k]);
			if (rnd(3) == 0)
				memset(v[k], 0, sizeof(v[k]));
			cells[k] = column_of(v[k], len, at[k], to[k]);
			rows[k] = slow[k];
		}
		in.n = matrix_encode(cells, n, buf);
		MUST(in.n);
		slow_matrix(&in, n, len, rows);
		MUST(!in.bad);
		for (uint32_t k = 0; k < n; k++) {
			MUST(matrix_decode(buf, buf + in.n, n, k, len, have) == 0);
			MUST(memcmp(have, v[k], len * sizeof(**v)) == 0);
			MUST(memcmp(slow[k], v[k], len * sizeof(**v)) == 0);
		}
	}
	ck_assert_uint_eq(matrix_encode(cells, MATRIX_MAX + 1, buf), 0);
}
END_TEST

/* What is coded takes about as much as it should: a codec that is never chosen would show here. */
START_TEST(codings_are_small)
{
	static const struct {
		unsigned shape, bytes;
	} most[] = {{0, 60}, {2, 260}, {5, 490}, {6, 40}, {9, 4900}};
	int64_t v[COLUMN_MAX], to[COLUMN_MAX];
	uint8_t buf[COLUMN_BYTES];
	uint16_t at[COLUMN_MAX];
	enum column_codec codec;

	for (unsigned i = 0; i < sizeof(most) / sizeof(*most); i++) {
		struct column c;
		size_t len;

		make(most[i].shape, 512, v);
		c = column_of(v, 512, at, to);
		len = column_encode(&c, buf, &codec);
		ck_assert_msg(len <= most[i].bytes, "shape %u: %zu bytes", most[i].shape, len);
	}
}
END_TEST

int main(void)
{
	const TTest *const tests[] = {columns_come_back, matrices_come_back, codings_are_small};

	return support_run("column", tests, sizeof(tests) / sizeof(*tests));
}
