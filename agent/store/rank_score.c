#include "store/rank_score.h"

#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "store/rank.h"

int rank_column_add(struct rank_column *c, double value, uint32_t times, uint32_t expected)
{
	if (!c->n)
		c->first = value;
	if (c->v || value != c->first) {
		if (c->n + times > c->cap) {
			uint32_t cap = c->cap ? c->cap * 2 : 64;
			double *v;

			cap = cap < expected ? expected : cap;
			cap = cap < c->n + times ? c->n + times : cap;
			v = realloc(c->v, cap * sizeof(*v));
			if (!v)
				return -ENOMEM;
			for (uint32_t i = 0; !c->v && i < c->n; i++)
				v[i] = c->first;
			c->v = v;
			c->cap = cap;
		}
		for (uint32_t i = 0; i < times; i++)
			c->v[c->n + i] = value;
	}
	c->n += times;
	return 0;
}

void rank_column_done(struct rank_column *c)
{
	free(c->v);
	*c = (struct rank_column){0};
}

/* The k-th smallest of v[0..n), which is reordered around it. */
static double select_kth(double *v, uint32_t n, uint32_t k)
{
	uint32_t lo = 0, hi = n - 1;

	while (lo < hi) {
		double a = v[lo], b = v[lo + (hi - lo) / 2], c = v[hi];
		double pivot = a < b ? (b < c ? b : a < c ? c : a) : a < c ? a : b < c ? c : b;
		uint32_t i = lo, j = hi;

		for (;;) {
			while (v[i] < pivot)
				i++;
			while (v[j] > pivot)
				j--;
			if (i >= j)
				break;
			double t = v[i];

			v[i++] = v[j];
			v[j--] = t;
		}
		/* Equal values stop both: j or the place before i ends the lower part. */
		if (i == j && v[i] <= pivot)
			j = i;
		if (k <= j)
			hi = j;
		else
			lo = j + 1;
	}
	return v[k];
}

static double kth(struct rank_column *c, uint32_t k)
{
	return c->v ? select_kth(c->v, c->n, k) : c->first;
}

static double part_median(const struct rank_column *c, uint32_t from, uint32_t n, double *scratch)
{
	if (!c->v)
		return c->first;
	memcpy(scratch, c->v + from, n * sizeof(*scratch));
	return select_kth(scratch, n, n / 2);
}

/* Where the baseline's trend leads: the line through the medians of its first and last third. */
static double trend_at(const struct rank_column *c, double ahead, double *scratch)
{
	uint32_t n = c->n / 3;
	double first, last;

	if (!c->v || !n)
		return c->first;
	first = part_median(c, 0, n, scratch);
	last = part_median(c, c->n - n, n, scratch);
	return first + (last - first) * (ahead - 1.0 / 6) * 1.5;
}

static double deviation(const struct rank_column *c, double median, double *scratch)
{
	if (!c->v)
		return 0;
	for (uint32_t i = 0; i < c->n; i++)
		scratch[i] = fabs(c->v[i] - median);
	return select_kth(scratch, c->n, c->n / 2);
}

/* So many of the baseline's samples on either side may be beyond the range's median. */
static uint32_t beyond(uint32_t n_now, uint32_t n_before)
{
	return n_now >= 30 ? n_before / 10 : n_now >= 10 ? n_before / 32 : 0;
}

double rank_score(struct rank_column *now, struct rank_column *before, const struct rank_scale *s,
		  double *scratch, double *ret_now, double *ret_before)
{
	uint32_t skip = beyond(now->n, before->n);
	double trend = trend_at(before, s->ahead, scratch), m, was, low, high, unit, moved;

	m = *ret_now = kth(now, now->n / 2);
	was = *ret_before = kth(before, before->n / 2);
	low = kth(before, skip);
	high = kth(before, before->n - 1 - skip);
	if (m >= low && m <= high)
		return 0;
	if (s->state)
		return low == high ? RANK_SCORE_STATE : 0;
	unit = deviation(before, was, scratch);
	unit = unit > s->quantum ? unit : s->quantum;
	unit = unit > fabs(was) / 1024 ? unit : fabs(was) / 1024;
	moved = fabs(m - was) < fabs(m - trend) ? fabs(m - was) : fabs(m - trend);
	return unit > 0 ? moved / unit : 0;
}
