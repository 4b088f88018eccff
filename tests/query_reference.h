/*
 * The reference for the tests of queries: everything that was read, kept as it was, and answers
 * made from it in the plainest way.
 */
#ifndef STROBE_TESTS_QUERY_REFERENCE_H
#define STROBE_TESTS_QUERY_REFERENCE_H

#include "feeder.h"
#include "store/query.h"

#include <check.h>
#include <string.h>

static const struct metric cpu_metrics[] = {
	{"cpu.user", "millisec", 1, 1, "stat", "User.", SEM_COUNTER, 10, NULL},
	{"cpu.load", "1", 1, 100, "loadavg", "Load.", SEM_INSTANT, 0, NULL},
};
static const struct metric disk_metrics[] = {
	{"disk.bytes", "byte", 1, 1, "diskstats", "Bytes.", SEM_COUNTER, 0, NULL},
	{"disk.queue", "count", 1, 1, "diskstats", "Queue.", SEM_INSTANT, 0, NULL},
	{"disk.mode", "1", 1, 1, "x", "Mode.", SEM_DISCRETE, 0, NULL},
};
static const struct group groups[] = {
	{"cpu", NULL, cpu_metrics, 2, 0, 1, false, NULL},
	{"disk", "disk", disk_metrics, 3, 0, 64, false, NULL},
	{"other", NULL, cpu_metrics, 1, 1000, 1, false, NULL},
};
enum { N_GROUPS = 3, SECOND = 1000000 };

/* For loops that run often: a check that costs nothing while it holds. */
#define MUST(x)                                                                                    \
	do {                                                                                       \
		if (!(x))                                                                          \
			ck_abort_msg("%s", #x);                                                    \
	} while (0)

static inline struct log *open_log(unsigned segments)
{
	struct log_config c = {.size_bytes = (uint64_t)segments << 20, .boot_id = "test"};
	enum log_state state;
	struct log *l;
	char err[200];

	ck_assert_int_eq(log_open(&l, &c, &state, err, sizeof(err)), 0);
	return l;
}

/* A history of nothing but a log. */
static inline struct history *open_history(struct log *l)
{
	struct history *h;

	ck_assert_int_eq(history_open(&h, &(struct history_config){.log = l, .boot_id = "test"}),
			 0);
	return h;
}

static inline int query_log(struct log *l, const struct query_request *rq,
			    struct query_result **ret, const _Atomic bool *cancel)
{
	struct history *h = open_history(l);
	int r = query_run(h, rq, ret, cancel);

	history_close(h);
	return r;
}

static inline struct query_result *ask(struct log *l, const char *metric, const char *instance,
				       int64_t from, int64_t to, uint32_t points, bool raw)
{
	struct query_selector sel = {metric, instance};
	struct query_request rq = {&sel, 1, from, to, points, raw, false, 0};
	struct query_result *res;

	ck_assert_int_eq(query_log(l, &rq, &res, NULL), 0);
	return res;
}

struct read {
	int64_t at_us;
	uint32_t group;
	bool joined; /* no hole before it */
	uint32_t n_slots;
	uint32_t gen[64]; /* 0: not live */
	char name[64][8];
	int64_t rows[64 * 3];
};

struct past {
	struct read *reads;
	size_t n, cap;
	uint64_t period_ms[N_GROUPS], last_us[N_GROUPS];
};

static inline void remember(struct past *h, const struct feeder *f, uint32_t g, uint64_t at_us,
			    int32_t period_ms)
{
	const struct batch *b = &f->batch[g];
	struct read *r;
	uint64_t limit = h->period_ms[g];

	if (h->n == h->cap) {
		h->cap = h->cap ? h->cap * 2 : 1024;
		h->reads = realloc(h->reads, h->cap * sizeof(*h->reads));
		ck_assert_ptr_nonnull(h->reads);
	}
	if (period_ms > 0) {
		limit = limit > (uint64_t)period_ms ? limit : (uint64_t)period_ms;
		h->period_ms[g] = (uint64_t)period_ms;
	}
	r = &h->reads[h->n++];
	*r = (struct read){.at_us = (int64_t)at_us, .group = g, .n_slots = b->n_slots};
	r->joined = h->last_us[g] && (double)(at_us - h->last_us[g]) <= 2.5e3 * (double)limit;
	h->last_us[g] = at_us;
	for (uint32_t s = 0; s < b->n_slots; s++) {
		r->gen[s] = b->inst[s].live ? b->inst[s].gen : 0;
		snprintf(r->name[s], sizeof(r->name[s]), "%.7s", b->inst[s].name);
	}
	memcpy(r->rows, b->rows, (size_t)b->n_slots * b->n_metrics * sizeof(int64_t));
}

/* ---- random ticks, `at` is when the last one was ---- */

static inline void random_row(int64_t *row, uint32_t n, uint64_t *rnd)
{
	for (uint32_t m = 0; m < n; m++) {
		uint64_t r = feeder_random(rnd);

		if (row[m] == VALUE_ABSENT && r % 3)
			continue;
		if (r % 97 == 0)
			row[m] = VALUE_ABSENT;
		else if (r % 89 == 0)
			row[m] = (int64_t)(r >> 50); /* a reset, often */
		else if (r % 83 == 0)
			row[m] = row[m] == VALUE_ABSENT ? 0 : row[m] / 2 + INT64_MAX / 2;
		else if (r % 3 == 0)
			row[m] = row[m] == VALUE_ABSENT ? 5 : row[m] / 2 * 2 + (int64_t)(r >> 48);
	}
}

static inline void random_history(struct feeder *f, struct past *h, unsigned ticks, uint64_t *rnd,
				  uint64_t *at)
{
	uint64_t mono = *at;

	for (uint32_t g = 0; g < N_GROUPS && !h->n; g++)
		h->period_ms[g] = f->source[g].period_ms;
	for (unsigned i = 0; i < ticks; i++) {
		uint64_t r = feeder_random(rnd);

		if (i % 190 == 189)
			feeder_segment(f);
		mono += 60000 + r % 80000 + (r % 50 == 0 ? 400000 : 0);
		feeder_tick(f, mono);
		for (uint32_t g = 0; g < 2; g++) {
			struct batch *b;
			uint64_t q = feeder_random(rnd);
			int64_t off = (int64_t)(q % 20000) - 2000;
			int32_t period = q % 301 == 0 ? 100 + (int32_t)(q >> 60) * 40 : -1;

			if (q % 23 == 0)
				continue;
			b = feeder_batch(f, g);
			if (g == 0)
				random_row(batch_row(b), 2, rnd);
			for (unsigned k = 0; g == 1 && k < 5; k++)
				if (feeder_random(rnd) % 40)
					random_row(batch_row_named(b,
								   (const char *[]){"sda", "sdb",
										    "sdc", "sdd",
										    "sde"}[k],
								   3),
						   3, rnd);
			feeder_group(f, g, off, period);
			remember(h, f, g, mono + (uint64_t)off, period);
		}
		feeder_end(f);
	}
	*at = mono;
}

static inline void add(struct query_point *p, int64_t v, int64_t at_us)
{
	if (!p->n++)
		p->first = p->min = p->max = v;
	p->min = v < p->min ? v : p->min;
	p->max = v > p->max ? v : p->max;
	p->last = v;
	p->sum += (double)v;
	p->last_us = at_us;
}

static inline void expect(const struct past *h, const struct query_request *rq, uint64_t step,
			  const struct query_series *s, struct query_point *out)
{
	const struct group *g = &groups[s->group];
	const struct read *before = NULL;

	for (size_t i = 0; i < h->n; i++) {
		const struct read *r = &h->reads[i];
		const struct read *prev = before;

		if (r->group != s->group)
			continue;
		before = r;
		if (s->slot >= r->n_slots || r->gen[s->slot] != s->gen)
			continue;
		int64_t v = r->rows[s->slot * g->n_metrics + s->metric];

		if (v == VALUE_ABSENT || r->at_us < rq->from_us || r->at_us >= rq->to_us)
			continue;
		if (g->metrics[s->metric].sem == SEM_COUNTER && !rq->raw) {
			if (!prev || !r->joined || s->slot >= prev->n_slots ||
			    prev->gen[s->slot] != s->gen)
				continue;
			int64_t b = prev->rows[s->slot * g->n_metrics + s->metric];

			if (b == VALUE_ABSENT || v < b)
				continue;
			long double rate = (long double)((uint64_t)v - (uint64_t)b) * 1e9L /
					   (long double)(r->at_us - prev->at_us);

			v = rate < 9.2e18L ? (int64_t)(rate + 0.5L) : INT64_MAX;
		}
		add(&out[(uint64_t)(r->at_us - rq->from_us) / step], v, r->at_us);
	}
}

/* Was (slot, gen) under that name there in the range? */
static inline bool existed(const struct past *h, const struct query_request *rq, uint32_t group,
			   uint32_t slot, uint32_t gen)
{
	bool live = false, ever = false;

	for (size_t i = 0; i < h->n; i++) {
		const struct read *r = &h->reads[i];

		if (r->group != group)
			continue;
		bool now = slot < r->n_slots && r->gen[slot] == gen;

		if ((now && r->at_us >= rq->from_us && r->at_us < rq->to_us) ||
		    (live && !now && r->at_us >= rq->from_us && ever))
			return true;
		if (now && r->at_us >= rq->to_us)
			return live; /* it lived across the whole range */
		ever |= now;
		live = now;
	}
	return live && ever;
}

/* Rates of deltas beyond 2^33 go through doubles. */
static inline void assert_near(int64_t have, int64_t want)
{
	double off = (double)have - (double)want, size = (double)(want < 0 ? -want : want);

	if (size < 1e15)
		MUST(have == want);
	else
		MUST(off <= size * 1e-12 && off >= -size * 1e-12);
}

static inline void assert_point(const struct query_point *have, const struct query_point *want)
{
	MUST(have->n == want->n);
	if (!want->n)
		return;
	assert_near(have->first, want->first);
	assert_near(have->min, want->min);
	assert_near(have->max, want->max);
	assert_near(have->last, want->last);
	MUST(have->last_us == want->last_us);
	MUST(have->sum >= want->sum - 1 - want->sum * 1e-12 &&
	     have->sum <= want->sum + 1 + want->sum * 1e-12);
}

static inline void compare(struct log *l, const struct past *h, const char *metric,
			   const char *instance, int64_t from, int64_t to, uint32_t points,
			   bool raw)
{
	struct query_request rq = {.from_us = from, .to_us = to, .points = points, .raw = raw};
	struct query_result *res = ask(l, metric, instance, from, to, points, raw);
	struct query_point *want = calloc(points, sizeof(*want));
	uint32_t group = metric[0] == 'c' ? 0 : 1, newest[64] = {0};
	size_t n = 0;

	MUST(want);
	for (size_t i = 0; i < h->n; i++)
		for (uint32_t k = 0; k < h->reads[i].n_slots; k++)
			if (h->reads[i].group == group && h->reads[i].gen[k] > newest[k])
				newest[k] = h->reads[i].gen[k];
	for (uint32_t slot = 0; slot < 64; slot++)
		for (uint32_t gen = 1; gen <= newest[slot]; gen++) {
			if (!existed(h, &rq, group, slot, gen))
				continue;
			const char *name = NULL;

			for (size_t i = 0; i < h->n && !name; i++)
				if (h->reads[i].group == group && slot < h->reads[i].n_slots &&
				    h->reads[i].gen[slot] == gen)
					name = h->reads[i].name[slot];
			if (instance && (!name || strcmp(name, instance) != 0))
				continue;
			MUST(n < res->n_series);
			MUST(res->series[n].slot == slot);
			MUST(res->series[n].gen == gen);
			memset(want, 0, points * sizeof(*want));
			expect(h, &rq, res->step_us, &res->series[n], want);
			for (uint32_t p = 0; p < points; p++)
				assert_point(&res->series[n].points[p], &want[p]);
			n++;
		}
	MUST(n == res->n_series);
	free(want);
	query_free(res);
}

#endif
