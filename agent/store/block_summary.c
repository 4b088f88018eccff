#include "store/block_summary.h"

#include <string.h>

#include "store/rate.h"

static void add(struct block_mini *m, int64_t v)
{
	if (!m->n) {
		*m = (struct block_mini){.first = v, .min = v, .max = v};
	} else {
		m->min = v < m->min ? v : m->min;
		m->max = v > m->max ? v : m->max;
	}
	m->last = v;
	m->sum += (double)v;
	m->n++;
}

void summary_of(const struct summary_place *at, int64_t base, const int64_t *values, bool of_rates,
		struct block_mini minis[BLOCK_MINIS_MAX])
{
	memset(minis, 0, BLOCK_MINIS_MAX * sizeof(*minis));
	for (uint32_t i = 0; i < at->n; i++) {
		struct block_mini *m = &minis[(at->first + i) / BLOCK_MINI];
		uint64_t dt_us = at->dt_us[at->first + i];
		int64_t v = values[i], before = base;

		base = v;
		if (v == VALUE_ABSENT)
			continue;
		if (!of_rates)
			add(m, v);
		else if (before != VALUE_ABSENT && dt_us && v >= before)
			add(m, v == before ? 0 : rate_of((uint64_t)v - (uint64_t)before, dt_us));
	}
}

static void add_times(struct block_mini *m, int64_t v, uint32_t n)
{
	if (!n)
		return;
	add(m, v);
	m->sum += (double)v * (n - 1);
	m->n += n - 1;
}

/* Reads [from, to) of the group had the value v, or a rate of 0 where they have one. */
static void add_run(const struct summary_place *at, int64_t v, uint32_t from, uint32_t to,
		    bool of_rates, struct block_mini *minis)
{
	while (from < to) {
		uint32_t k = from / BLOCK_MINI, end = (k + 1) * BLOCK_MINI;

		end = end < to ? end : to;
		if (of_rates)
			add_times(&minis[k], 0, (uint32_t)(at->n_steps[end] - at->n_steps[from]));
		else
			add_times(&minis[k], v, end - from);
		from = end;
	}
}

void summary_of_changes(const struct summary_place *at, const struct column *c, bool of_rates,
			struct block_mini minis[BLOCK_MINIS_MAX])
{
	uint32_t off = at->first - at->has_base; /* the read of value i is off + i */
	int64_t before = VALUE_ABSENT;

	memset(minis, 0, BLOCK_MINIS_MAX * sizeof(*minis));
	for (uint32_t k = 0; k <= c->n; k++) {
		uint32_t from = k ? c->at[k - 1] : 0, to = k < c->n ? c->at[k] : c->len;
		int64_t v = k ? c->to[k - 1] : c->first;

		if (v != VALUE_ABSENT && !of_rates) {
			if (!k)
				from += at->has_base;
			add_run(at, v, off + from, off + to, false, minis);
		} else if (v != VALUE_ABSENT) {
			uint64_t dt_us = k ? at->dt_us[off + from] : 0;

			if (dt_us && before != VALUE_ABSENT && v >= before)
				add(&minis[(off + from) / BLOCK_MINI],
				    rate_of((uint64_t)v - (uint64_t)before, dt_us));
			add_run(at, 0, off + from + 1, off + to, true, minis);
		}
		before = v;
	}
}

/* ---- writing ---- */

/* The reads among 128 k.. that the instance has: numbers [*from, *to) of its own. */
static bool part_of(const struct summary_place *at, uint32_t k, uint32_t *from, uint32_t *to)
{
	uint32_t begin = k * BLOCK_MINI, end = begin + BLOCK_MINI, last = at->first + at->n;

	if (begin >= last || end <= at->first)
		return false;
	*from = begin > at->first ? begin - at->first : 0;
	*to = (end < last ? end : last) - at->first;
	return true;
}

static bool add_checked(int64_t *sum, int64_t v)
{
	return !__builtin_add_overflow(*sum, v, sum);
}

/* values: the first of them is the base when there is one. */
static uint8_t *put_values(uint8_t *p, const int64_t *values, uint32_t n, int64_t *before)
{
	int64_t first = values[0], min = first, max = first, sum = 0, off;

	for (uint32_t i = 0; i < n; i++) {
		min = values[i] < min ? values[i] : min;
		max = values[i] > max ? values[i] : max;
		if (__builtin_sub_overflow(values[i], first, &off) || !add_checked(&sum, off))
			return NULL;
	}
	p = varint_put_signed(p, (int64_t)((uint64_t)first - (uint64_t)*before));
	p = varint_put(p, (uint64_t)first - (uint64_t)min);
	p = varint_put(p, (uint64_t)max - (uint64_t)first);
	p = varint_put_signed(p, (int64_t)((uint64_t)values[n - 1] - (uint64_t)first));
	*before = values[n - 1];
	return varint_put_signed(p, sum);
}

/* Before the value at `from` stands another one. */
static uint8_t *put_rates(uint8_t *p, const int64_t *values, const uint64_t *dt_us, uint32_t from,
			  uint32_t to, uint32_t number)
{
	uint64_t first = 0, last = 0, min_step = 0, max_step = 0;
	int64_t min = 0, max = 0, sum = 0;
	uint32_t n = 0, min_at = 0, max_at = 0;

	for (uint32_t i = from; i < to; i++) {
		const int64_t *v = values + i;
		uint64_t step;
		int64_t rate;

		if (!dt_us[i])
			continue;
		step = (uint64_t)v[0] - (uint64_t)v[-1];
		if (v[0] < v[-1])
			return NULL;
		rate = step ? rate_of(step, dt_us[i]) : 0;
		if (!add_checked(&sum, rate))
			return NULL;
		if (!n)
			first = step;
		last = step;
		if (!n || rate < min) {
			min = rate;
			min_step = step;
			min_at = number + i - from;
		}
		if (!n++ || rate > max) {
			max = rate;
			max_step = step;
			max_at = number + i - from;
		}
	}
	if (!n)
		return p;
	p = varint_put(varint_put(p, first), last);
	*p++ = (uint8_t)min_at;
	p = varint_put(p, min_step);
	*p++ = (uint8_t)max_at;
	p = varint_put(p, max_step);
	return varint_put(p, (uint64_t)sum);
}

static bool expand(const struct column *c, int64_t *values)
{
	int64_t v = c->first;
	uint32_t k = 0;

	for (uint32_t i = 0; i < c->len; i++) {
		if (k < c->n && c->at[k] == i)
			v = c->to[k++];
		if (v == VALUE_ABSENT)
			return false;
		values[i] = v;
	}
	return true;
}

size_t summary_put(const struct summary_place *at, const struct column *c, bool of_rates,
		   uint8_t *to)
{
	int64_t all[COLUMN_MAX], *values = all + at->has_base, before = c->first;
	uint8_t *p = to;

	if (c->n < SUMMARY_CHANGES || !expand(c, all))
		return 0;
	for (uint32_t k = 0; p && k < BLOCK_MINIS_MAX; k++) {
		uint32_t from, end, number;

		if (!part_of(at, k, &from, &end))
			continue;
		number = (at->first + from) % BLOCK_MINI;
		if (!of_rates) {
			p = put_values(p, values + from, end - from, &before);
			continue;
		}
		if (!from && !at->has_base) { /* a first value tells no rate */
			from++;
			number++;
		}
		p = put_rates(p, values, at->dt_us + at->first, from, end, number);
	}
	return p ? (size_t)(p - to) : 0;
}

/* ---- reading ---- */

static bool get_values(const uint8_t **p, const uint8_t *end, uint32_t n, int64_t *before,
		       struct block_mini *m)
{
	uint64_t below, above;
	int64_t first, last, sum;

	if (!varint_get_signed(p, end, &first) || !varint_get(p, end, &below) ||
	    !varint_get(p, end, &above) || !varint_get_signed(p, end, &last) ||
	    !varint_get_signed(p, end, &sum))
		return false;
	first = (int64_t)((uint64_t)*before + (uint64_t)first);
	*m = (struct block_mini){.n = n,
				 .first = first,
				 .min = (int64_t)((uint64_t)first - below),
				 .max = (int64_t)((uint64_t)first + above),
				 .last = (int64_t)((uint64_t)first + (uint64_t)last)};
	m->sum = (double)first * n + (double)sum;
	*before = m->last;
	return m->min <= m->first && m->first <= m->max && m->min <= m->last && m->last <= m->max;
}

static bool get_rates(const uint8_t **p, const uint8_t *end, const uint64_t *dt_us, uint32_t from,
		      uint32_t to, uint32_t number, struct block_mini *m)
{
	uint64_t first, last, min, max, sum;
	uint32_t first_at = from, last_at = to, min_at, max_at;

	*m = (struct block_mini){0};
	for (uint32_t i = from; i < to; i++) {
		if (!dt_us[i])
			continue;
		if (!m->n++)
			first_at = i;
		last_at = i;
	}
	if (!m->n)
		return true;
	if (!varint_get(p, end, &first) || !varint_get(p, end, &last) || *p == end)
		return false;
	min_at = *(*p)++;
	if (!varint_get(p, end, &min) || *p == end)
		return false;
	max_at = *(*p)++;
	if (!varint_get(p, end, &max) || !varint_get(p, end, &sum) || sum > INT64_MAX)
		return false;
	if (min_at < number || max_at < number || min_at - number >= to - from ||
	    max_at - number >= to - from || !dt_us[from + min_at - number] ||
	    !dt_us[from + max_at - number])
		return false;
	m->first = rate_of(first, dt_us[first_at]);
	m->last = rate_of(last, dt_us[last_at]);
	m->min = rate_of(min, dt_us[from + min_at - number]);
	m->max = rate_of(max, dt_us[from + max_at - number]);
	m->sum = (double)sum;
	return m->min <= m->first && m->first <= m->max && m->min <= m->last && m->last <= m->max;
}

bool summary_get(const struct summary_place *at, const uint8_t *p, const uint8_t *end,
		 bool of_rates, int64_t first, struct block_mini minis[BLOCK_MINIS_MAX])
{
	int64_t before = first;
	bool ok = true;

	memset(minis, 0, BLOCK_MINIS_MAX * sizeof(*minis));
	for (uint32_t k = 0; ok && k < BLOCK_MINIS_MAX; k++) {
		uint32_t from, to, number;

		if (!part_of(at, k, &from, &to))
			continue;
		number = (at->first + from) % BLOCK_MINI;
		if (!of_rates) {
			ok = get_values(&p, end, to - from, &before, &minis[k]);
			continue;
		}
		if (!from && !at->has_base) {
			from++;
			number++;
		}
		ok = get_rates(&p, end, at->dt_us + at->first, from, to, number, &minis[k]);
	}
	return ok && p == end;
}
