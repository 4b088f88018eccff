#include "store/column.h"

#include "store/column_internal.h"

#include <string.h>

enum { SCALE_CHANGES = 4, RUNS_CHANGES = 8 };

struct column column_of(const int64_t *values, uint32_t len, uint16_t *at, int64_t *to)
{
	struct column c = {.len = len, .first = values[0], .at = at, .to = to};

	for (uint32_t i = 1; i < len; i++)
		if (values[i] != values[i - 1]) {
			at[c.n] = (uint16_t)i;
			to[c.n++] = values[i];
		}
	return c;
}

static unsigned bits_of(uint64_t v)
{
	return v ? 64 - (unsigned)__builtin_clzll(v) : 0;
}

static unsigned varint_size(uint64_t v)
{
	return v < 0x80 ? 1 : (bits_of(v) + 6) / 7;
}

/* ---- changes: gap and code of each ---- */

struct changes {
	uint32_t n;
	bool is_unsigned;
	uint64_t scale;
	const uint32_t *gap;
	const uint64_t *code;
};

static size_t changes_cost(const struct changes *c, unsigned low)
{
	uint32_t mask = (1u << (7 - low)) - 1;
	size_t cost = c->n;

	for (uint32_t i = 0; i < c->n; i++) {
		unsigned bits = bits_of(c->code[i]);

		cost += bits > low ? (bits - low + 6) / 7 : 0;
		cost += c->gap[i] >= mask ? varint_size(c->gap[i] - mask) : 0;
	}
	return cost;
}

static unsigned best_low(const struct changes *c, size_t *ret_cost)
{
	unsigned best = 0;

	*ret_cost = SIZE_MAX;
	for (unsigned low = 0; low <= CHANGES_LOW_MAX; low++) {
		size_t cost = changes_cost(c, low);

		if (cost < *ret_cost) {
			*ret_cost = cost;
			best = low;
		}
	}
	return best;
}

static uint8_t *put_changes(uint8_t *p, const struct changes *c, unsigned low)
{
	uint32_t mask = (1u << (7 - low)) - 1;

	*p++ = (uint8_t)(low | (c->is_unsigned ? CHANGES_UNSIGNED : 0) |
			 (c->scale > 1 ? CHANGES_SCALE : 0));
	if (c->scale > 1)
		p = varint_put(p, c->scale);
	for (uint32_t i = 0; i < c->n; i++) {
		uint64_t more = c->code[i] >> low;
		uint32_t gap = c->gap[i] < mask ? c->gap[i] : mask;

		*p++ = (uint8_t)((c->code[i] & ((1u << low) - 1)) | gap << low | (more ? 128 : 0));
		if (gap == mask)
			p = varint_put(p, c->gap[i] - mask);
		if (more)
			p = varint_put(p, more);
	}
	return p;
}

static uint64_t magnitude(int64_t v)
{
	return v < 0 ? 0 - (uint64_t)v : (uint64_t)v;
}

static uint64_t gcd(uint64_t a, uint64_t b)
{
	while (b) {
		uint64_t t = a % b;

		a = b;
		b = t;
	}
	return a;
}

/* Steps of the changes; a step to an absent value is 0. */
struct steps {
	int64_t step[COLUMN_MAX];
	uint64_t scale;
	bool absences, rising;
};

static void take_steps(const struct column *c, struct steps *s)
{
	int64_t v = c->first;

	s->scale = 0;
	s->absences = v == VALUE_ABSENT;
	s->rising = true;
	for (uint32_t i = 0; i < c->n; i++) {
		int64_t step = 0;

		if (c->to[i] == VALUE_ABSENT)
			s->absences = true;
		else
			step = (int64_t)((uint64_t)c->to[i] -
					 (v == VALUE_ABSENT ? 0 : (uint64_t)v));
		s->step[i] = step;
		s->rising &= step >= 0;
		if (s->scale != 1)
			s->scale = gcd(magnitude(step), s->scale);
		v = c->to[i];
	}
	if (c->n < SCALE_CHANGES || !s->scale || s->scale > INT64_MAX)
		s->scale = 1;
	for (uint32_t i = 0; s->scale > 1 && i < c->n; i++)
		s->step[i] /= (int64_t)s->scale;
}

static void take_codes(const struct column *c, const struct steps *s, uint32_t *gap, uint64_t *code)
{
	uint32_t before = 0;

	for (uint32_t i = 0; i < c->n; i++) {
		uint64_t v = s->rising ? (uint64_t)s->step[i] : zigzag_encode(s->step[i]);

		gap[i] = c->at[i] - before - 1u;
		before = c->at[i];
		code[i] = s->absences ? v : v - 1;
	}
}

/* ---- runs of one width ---- */

struct run {
	int64_t ref;
	unsigned width;
	size_t cost;
};

/* The width that is cheapest above a reference; what lies below it costs most. */
static struct run plan_width(const int64_t *r, uint32_t n, int64_t ref)
{
	struct run best = {.ref = ref, .cost = SIZE_MAX};
	uint8_t count[65] = {0};
	unsigned most = 0;
	size_t head;

	for (uint32_t i = 0; i < n; i++) {
		unsigned bits = bits_of((uint64_t)r[i] - (uint64_t)ref);

		count[bits]++;
		most = bits > most ? bits : most;
	}
	head = varint_size(zigzag_encode(ref)) + 2;
	for (unsigned w = 0; w <= most && w <= RUN_WIDTH_MAX; w++) {
		size_t cost = head + (n * w + 7) / 8;

		for (unsigned k = w + 1; k <= most; k++)
			cost += count[k] * (1u + (k - w + 6) / 7);
		if (cost < best.cost) {
			best.cost = cost;
			best.width = w;
		}
	}
	return best;
}

static struct run plan_run(const int64_t *r, uint32_t n)
{
	int64_t min = r[0], next = INT64_MAX, max = r[0];
	struct run plan, other;

	for (uint32_t i = 1; i < n; i++) {
		if (r[i] < min) {
			next = min;
			min = r[i];
		} else if (r[i] < next && r[i] > min) {
			next = r[i];
		}
		max = r[i] > max ? r[i] : max;
	}
	plan = plan_width(r, n, min);
	if (n < 3 || next > max || (uint64_t)next - (uint64_t)min <= (uint64_t)max - (uint64_t)next)
		return plan;
	other = plan_width(r, n, next); /* the smallest stands far from the others */
	return other.cost < plan.cost ? other : plan;
}

static size_t runs_cost(const int64_t *r, uint32_t n, size_t limit)
{
	size_t cost = 0;

	for (uint32_t i = 0; i < n && cost < limit; i += COLUMN_RUN)
		cost += plan_run(r + i, n - i < COLUMN_RUN ? n - i : COLUMN_RUN).cost;
	return cost;
}

static uint8_t *put_bits(uint8_t *p, const int64_t *r, uint32_t n, const struct run *run)
{
	uint64_t mask = (UINT64_C(1) << run->width) - 1, word = 0;
	unsigned have = 0;

	for (uint32_t i = 0; i < n; i++) {
		word |= (((uint64_t)r[i] - (uint64_t)run->ref) & mask) << have;
		for (have += run->width; have >= 8; have -= 8) {
			*p++ = (uint8_t)word;
			word >>= 8;
		}
	}
	if (have)
		*p++ = (uint8_t)word;
	return p;
}

static uint8_t *put_run(uint8_t *p, const int64_t *r, uint32_t n)
{
	struct run run = plan_run(r, n);
	uint8_t *n_high;

	p = varint_put_signed(p, run.ref);
	*p++ = (uint8_t)run.width;
	n_high = p++;
	*n_high = 0;
	for (uint32_t i = 0; i < n; i++) {
		uint64_t high = ((uint64_t)r[i] - (uint64_t)run.ref) >> run.width;

		if (!high)
			continue;
		++*n_high;
		*p++ = (uint8_t)i;
		p = varint_put(p, high);
	}
	return put_bits(p, r, n, &run);
}

/* The steps of all values but the first, then what the codec makes of them. */
static void expand(const struct column *c, const struct steps *s, int64_t *step)
{
	memset(step, 0, (c->len - 1) * sizeof(*step));
	for (uint32_t i = 0; i < c->n; i++)
		step[c->at[i] - 1] = s->step[i];
}

static void sum_up(const int64_t *step, uint32_t n, int64_t *raw)
{
	uint64_t x = 0;

	for (uint32_t i = 0; i < n; i++)
		raw[i] = (int64_t)(x += (uint64_t)step[i]);
}

static void differ(const int64_t *step, uint32_t n, int64_t *delta2)
{
	delta2[0] = step[0];
	for (uint32_t i = 1; i < n; i++)
		delta2[i] = (int64_t)((uint64_t)step[i] - (uint64_t)step[i - 1]);
}

static size_t put_runs(uint8_t *to, const int64_t *r, uint32_t n, uint64_t scale)
{
	uint8_t *p = varint_put(to, scale);

	for (uint32_t i = 0; i < n; i += COLUMN_RUN)
		p = put_run(p, r + i, n - i < COLUMN_RUN ? n - i : COLUMN_RUN);
	return (size_t)(p - to);
}

/* ---- the choice ---- */

size_t column_encode(const struct column *c, uint8_t *to, enum column_codec *ret_codec)
{
	int64_t r[3][COLUMN_MAX];
	uint64_t code[COLUMN_MAX];
	uint32_t gap[COLUMN_MAX];
	struct changes changes = {.n = c->n, .gap = gap, .code = code};
	struct steps s;
	size_t cost;
	unsigned low;

	take_steps(c, &s);
	take_codes(c, &s, gap, code);
	changes.is_unsigned = s.rising;
	changes.scale = s.scale;
	low = best_low(&changes, &cost);
	*ret_codec = s.absences ? CODEC_ABSENCES : CODEC_CHANGES;
	if (!s.absences && c->n >= c->len / RUNS_CHANGES) {
		int best = -1;

		expand(c, &s, r[1]);
		sum_up(r[1], c->len - 1, r[0]);
		differ(r[1], c->len - 1, r[2]);
		for (int i = 0; i < 3; i++) {
			size_t k = runs_cost(r[i], c->len - 1, cost);

			if (k < cost) {
				cost = k;
				best = i;
			}
		}
		if (best >= 0) {
			*ret_codec = (enum column_codec)(CODEC_RAW + best);
			return put_runs(to, r[best], c->len - 1, s.scale);
		}
	}
	return (size_t)(put_changes(to, &changes, low) - to);
}

/* ---- matrices ---- */

struct matrix {
	uint32_t n, last; /* last: the place of the change before, + 1 */
	uint32_t gap[MATRIX_MAX];
	uint64_t code[MATRIX_MAX];
};

static void matrix_add(struct matrix *m, uint32_t at, int64_t before, int64_t v)
{
	uint64_t base = before == VALUE_ABSENT ? 0 : (uint64_t)before;

	if (v == before)
		return;
	m->gap[m->n] = at - m->last;
	m->code[m->n++] = v == VALUE_ABSENT ? 0 : zigzag_encode((int64_t)((uint64_t)v - base));
	m->last = at + 1;
}

size_t matrix_encode(const struct column *cells, uint32_t n, uint8_t *to)
{
	struct matrix m = {0};
	struct changes changes = {.gap = m.gap, .code = m.code};
	size_t cost;
	unsigned low;

	if ((uint64_t)n * cells->len > MATRIX_MAX)
		return 0;
	for (uint32_t i = 0; i < n; i++) {
		const struct column *c = &cells[i];
		int64_t v = c->first;

		matrix_add(&m, i * c->len, 0, v);
		for (uint32_t k = 0; k < c->n; k++) {
			matrix_add(&m, i * c->len + c->at[k], v, c->to[k]);
			v = c->to[k];
		}
	}
	changes.n = m.n;
	low = best_low(&changes, &cost);
	return (size_t)(put_changes(to, &changes, low) - to);
}
