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

/* ---- windows ---- */

enum {
	BRIEF_PART = 8,	   /* the least part of a range that is looked for */
	BRIEF_SAMPLES = 5, /* and the fewest samples */
	BRIEF_STATE = 8,   /* of a state, which is often another one for a moment */
	WINDOWS_MIN = 4,   /* of the baseline, so that it is known what is usual */
	WINDOW_MIN = 8,	   /* samples; for fewer the samples themselves say it */
	SPREADS = 2	   /* a unit is no less than so much of how far apart windows are */
};

/* How far values reach, one way: sign 1 up, -1 down (the values are negated). */
struct reach {
	double now;  /* so many of the range's samples are not below */
	double most; /* the most in windows of the baseline as long as the range, but for `skip` */
	double typical; /* the same share of the whole baseline */
};

static double nth(const struct rank_column *c, uint32_t from, uint32_t n, uint32_t k, double sign,
		  double *scratch)
{
	if (!c->v)
		return sign * c->first;
	for (uint32_t i = 0; i < n; i++)
		scratch[i] = sign * c->v[from + i];
	return select_kth(scratch, n, n - k);
}

enum { SKIP_MAX = 3 };

/* `skip`: so many of the windows that have the most do not count. */
static struct reach reach_of(const struct rank_column *now, const struct rank_column *before,
			     uint32_t k, unsigned skip, double sign, double *scratch)
{
	uint64_t share = (uint64_t)k * before->n / now->n;
	struct reach r = {.now = nth(now, 0, now->n, k, sign, scratch)};
	double most[SKIP_MAX + 1];
	unsigned n = 0;

	r.most = r.typical = nth(before, 0, before->n, (uint32_t)share, sign, scratch);
	if (!before->v || r.now <= r.typical) /* then some window has as much */
		return r;
	for (uint32_t at = 0; at + now->n <= before->n; at += (now->n + 1) / 2) {
		double v = nth(before, at, now->n, k, sign, scratch);
		unsigned i = n <= skip ? n++ : skip + 1;

		for (; i > 0 && v > most[i - 1]; i--)
			if (i <= skip)
				most[i] = most[i - 1];
		if (i <= skip)
			most[i] = v;
	}
	if (n > skip && most[skip] > r.most)
		r.most = most[skip];
	return r;
}

static bool has_windows(const struct rank_column *now, const struct rank_column *before)
{
	return now->n >= WINDOW_MIN && before->n / now->n >= WINDOWS_MIN;
}

/* ---- a part of the range ---- */

/* The state that was another one for long enough, of a series that had one only. */
static struct rank_moved brief_state(const struct rank_column *now,
				     const struct rank_column *before)
{
	uint32_t need = now->n / BRIEF_PART > BRIEF_STATE ? now->n / BRIEF_PART : BRIEF_STATE;
	struct rank_moved moved = {.before = before->first, .now = before->first};

	for (uint32_t i = 0, run = 0; now->v && !before->v && i < now->n; i++) {
		run = i && now->v[i] == now->v[i - 1] ? run + 1 : 1;
		if (run < need || now->v[i] == before->first)
			continue;
		moved = (struct rank_moved){RANK_SCORE_STATE, now->v[i], before->first, true};
		break;
	}
	return moved;
}

/* How many samples make a part; 0: it is not looked for. */
static uint32_t brief_part(const struct rank_column *now, const struct rank_column *before)
{
	uint32_t k = now->n / BRIEF_PART > BRIEF_SAMPLES ? now->n / BRIEF_PART : BRIEF_SAMPLES;

	return 2 * k < now->n && has_windows(now, before) && (now->v || before->v) ? k : 0;
}

static struct rank_moved brief_score(const struct rank_column *now,
				     const struct rank_column *before, const struct rank_scale *s,
				     double unit, double *scratch)
{
	uint32_t k = brief_part(now, before);
	struct rank_moved best = {0};

	if (s->state)
		return brief_state(now, before);
	for (double sign = 1; k && sign >= -1; sign -= 2) {
		struct reach r = reach_of(now, before, k, 0, sign, scratch);
		double spread = SPREADS * (r.most - r.typical), score;

		score = (r.now - r.most) / (spread > unit ? spread : unit);
		if (score > best.score)
			best = (struct rank_moved){score, sign * r.now, sign * r.typical, true};
	}
	return best;
}

/* ---- the score ---- */

static double unit_of(const struct rank_scale *s, double was, double deviation)
{
	double unit = deviation > s->quantum ? deviation : s->quantum;

	unit = unit > s->least ? unit : s->least;
	return unit > fabs(was) * s->share ? unit : fabs(was) * s->share;
}

/* All of the range against all of the baseline, and against windows of it where it has some. */
static double whole_score(const struct rank_column *now, const struct rank_column *before,
			  const struct rank_scale *s, const struct rank_moved *all, double unit,
			  double *scratch)
{
	double trend = trend_at(before, s->ahead, scratch), moved = fabs(all->now - all->before);
	double spread;
	unsigned skip;
	struct reach r;

	moved = moved < fabs(all->now - trend) ? moved : fabs(all->now - trend);
	if (!has_windows(now, before) || !before->v)
		return moved / unit;
	/* What happened once before, for as long, is seen in up to three of its windows. */
	skip = 2 * (before->n / now->n) - 1 >= 6 * SKIP_MAX ? SKIP_MAX : 1;
	r = reach_of(now, before, (now->n + 1) / 2, skip, all->now > all->before ? 1 : -1, scratch);
	spread = SPREADS * (r.most - r.typical);
	return r.now <= r.most ? 0 : moved / (unit > spread ? unit : spread);
}

/* The samples of a column in any order. */
struct pile {
	const struct rank_column *c;
	double *v;
};

static struct pile pile_of(const struct rank_column *c, double *scratch)
{
	if (c->v)
		memcpy(scratch, c->v, c->n * sizeof(*scratch));
	return (struct pile){c, scratch};
}

static double kth(const struct pile *p, uint32_t k)
{
	return p->c->v ? select_kth(p->v, p->c->n, k) : p->c->first;
}

/* Does an eighth of the range reach beyond as much of the baseline? */
static bool may_be_brief(const struct pile *now, const struct pile *before, bool state)
{
	uint32_t k = brief_part(now->c, before->c), share;

	if (!k || state)
		return k && now->c->v && !before->c->v;
	share = (uint32_t)((uint64_t)k * before->c->n / now->c->n);
	return kth(now, now->c->n - k) > kth(before, before->c->n - share) ||
	       kth(now, k - 1) < kth(before, share - 1);
}

struct rank_moved rank_score(const struct rank_column *now, const struct rank_column *before,
			     const struct rank_scale *s, double *scratch)
{
	struct pile n = pile_of(now, scratch), b = pile_of(before, scratch + now->n);
	uint32_t skip = beyond(now->n, before->n);
	struct rank_moved all = {.now = kth(&n, now->n / 2), .before = kth(&b, before->n / 2)},
			  brief;
	double low = kth(&b, skip), high = kth(&b, before->n - 1 - skip), unit, spread;
	bool outside = all.now < low || all.now > high;

	if (!outside && !may_be_brief(&n, &b, s->state))
		return all;
	spread = deviation(before, all.before, scratch);
	unit = unit_of(s, all.before, spread);
	if (unit <= 0)
		return all;
	brief = brief_score(now, before, s, unit, scratch);
	spread = now->n < WINDOW_MIN ? SPREADS * spread : 0; /* few samples stray farther */
	outside = all.now < low - spread || all.now > high + spread;
	if (outside && !s->state)
		all.score = whole_score(now, before, s, &all, unit, scratch);
	else if (outside && low == high)
		all.score = RANK_SCORE_STATE;
	return all.score >= RANK_SCORE_MIN || brief.score < RANK_SCORE_MIN ? all : brief;
}
