#include "store/query.h"

#include <errno.h>
#include <stdlib.h>

#include "store/query_internal.h"
#include "store/rate.h"
#include "store/rollup.h"

enum {
	LEAD_US = 1000000, /* scanned before the range: reads that were late, and the first base */
	LAG_US = 2000000,  /* scanned after it: what a worker read in time and published late */
	CANCEL_EVERY = 1024, /* frames between two looks at *cancel */
	CHART_POINTS = 100,
	CHART_BUCKETS = 4
};

/* What started and what ended in this read of a group. */
static int scan_instances(struct scan *s, const struct tick_head *h, const struct tick_group *t)
{
	struct follow *f = &s->follow[t->group];
	const uint8_t *ends = t->ends, *starts = t->starts;
	uint64_t at_us = h->mono_us + (uint64_t)t->off_us;

	for (uint32_t i = 0; i < t->n_ends; i++)
		query_unwatch_slot(s, f, frame_walk_end(&ends), at_us);
	for (uint32_t i = 0; i < t->n_starts; i++) {
		struct tick_start start;

		frame_walk_start(&starts, &start);
		query_unwatch_slot(s, f, start.slot, at_us);
		if ((int64_t)at_us < s->rq->to_us && query_watch_slot(s, t->group, start.slot) < 0)
			return -ENOMEM;
	}
	return 0;
}

static int scan_group(struct scan *s, const struct tick_head *h, const struct tick_group *t)
{
	struct mirror_group *g = &s->m->groups[t->group];
	struct follow *f = &s->follow[t->group];
	uint64_t period_ms = g->period_ms, before_us = g->acquired_us, dt_us;
	struct tick_group instances = *t;
	int r;

	instances.n_absent = instances.n_changes = 0; /* of values the watches know what matters */
	r = mirror_apply_group(s->m, h, &instances);
	if (r == 0)
		r = scan_instances(s, h, t);
	if (r == 0)
		r = query_apply(s, t);
	if (r < 0)
		return r;
	if (!tick_group_was_read(t)) {
		f->resting = true;
		return 0;
	}
	if (g->period_ms > period_ms)
		period_ms = g->period_ms;
	dt_us = f->resting ? 0 : rate_step_us(before_us, g->acquired_us, period_ms);
	f->resting = false;
	query_take(s, t->group, g->acquired_us, dt_us);
	return 0;
}

/* 1: nothing of the range can follow; 0; -errno. */
static int scan_tick(struct scan *s, const struct frame *f)
{
	struct frame_reader r;
	struct tick_head h;
	struct tick_group t;
	int e = frame_read_tick(f, &h, &r);

	if (e < 0 || !s->m->keyed)
		return e;
	if ((int64_t)h.mono_us > s->rq->to_us && (int64_t)h.mono_us - s->rq->to_us > LAG_US)
		return 1;
	s->quiet = f->seq <= s->after_seq;
	mirror_apply_head(s->m, f, &h);
	while ((e = frame_seek_group(&r, s->wanted, s->n_groups)) == 1) {
		e = frame_next_group_unread(&r, &t);
		if (e == 1)
			e = scan_group(s, &h, &t);
		if (e < 0)
			return e;
	}
	return e;
}

static int scan_frame(struct scan *s, const struct frame *f)
{
	uint32_t version = s->m->version;
	int r;

	switch (frame_type(f)) {
	case FRAME_TICK:
		return scan_tick(s, f);
	case FRAME_CLOCK:
		return mirror_apply(s->m, f);
	case FRAME_CATALOG:
		r = mirror_apply(s->m, f);
		s->need_key = true;
		return r == 0 && s->m->version != version ? query_resolve(s) : r;
	case FRAME_KEY:
		if (!s->need_key)
			return 0;
		r = mirror_apply(s->m, f);
		if (r < 0)
			return r;
		s->need_key = false;
		return query_sync(s);
	default:
		return 0;
	}
}

/* The frame of the last KEY of the cursor's segment that is not after at_us, or not after frame
 * after_seq; 0: none. */
static uint64_t find_key(struct cursor c, int64_t at_us, uint64_t after_seq)
{
	uint8_t head[CURSOR_HEAD];
	uint64_t seq = 0, mono_us;

	for (; cursor_peek(&c, head) == 1; cursor_skip(&c)) {
		const uint8_t *p = head + 1;

		if (head[0] != FRAME_TICK && head[0] != FRAME_KEY)
			continue;
		frame_get_u64(&p, head + sizeof(head), &mono_us);
		if ((int64_t)mono_us > at_us && c.next_seq > after_seq)
			break;
		if (head[0] == FRAME_KEY)
			seq = c.next_seq;
	}
	return seq;
}

/* Moves over what stands before KEY `key`, but for catalog and clocks. */
static void skip_to(struct cursor *c, uint64_t key)
{
	uint8_t head[CURSOR_HEAD];

	while (c->next_seq < key && cursor_peek(c, head) == 1 && head[0] != FRAME_CATALOG &&
	       head[0] != FRAME_CLOCK)
		cursor_skip(c);
}

static int scan_log(struct scan *s, struct cursor *c, int64_t start_us)
{
	uint64_t key = find_key(*c, start_us, s->after_seq), lost_from, lost_to;
	struct frame f;

	for (unsigned n = 0;; n++) {
		int r;

		skip_to(c, key);
		r = cursor_next(c, &f, &lost_from, &lost_to);
		if (r == 0)
			return 0;
		if (s->cancel && n % CANCEL_EVERY == 0 && *s->cancel)
			return -ECANCELED;
		if (r == 1)
			r = scan_frame(s, &f);
		if (r == 1)
			return 0;
		if (r == -ESTALE ||
		    r == -EBADMSG) { /* what is known is old: on with the next KEY */
			s->m->keyed = false;
			s->need_key = true;
			for (uint32_t i = 0; i < s->n_watch; i++)
				s->watch[i].has_base = false;
		} else if (r < 0) {
			return r;
		}
	}
}

/* ---- the result ---- */

static int by_selector(const void *a, const void *b)
{
	const struct watch *x = a, *y = b;

	if (x->selector != y->selector)
		return x->selector < y->selector ? -1 : 1;
	if (x->series.slot != y->series.slot)
		return x->series.slot < y->series.slot ? -1 : 1;
	return x->series.gen < y->series.gen ? -1 : x->series.gen > y->series.gen;
}

/* Hands the watched series over; each gets its points, also when it has no sample. */
static int collect(struct scan *s)
{
	struct query_result *res = s->res;

	res->series = calloc(s->n_watch ? s->n_watch : 1, sizeof(*res->series));
	if (!res->series)
		return -ENOMEM;
	if (s->n_watch)
		qsort(s->watch, s->n_watch, sizeof(*s->watch), by_selector);
	for (uint32_t i = 0; i < s->n_watch; i++) {
		struct watch *w = &s->watch[i];

		if (w->dropped || !query_need_points(s, w))
			continue;
		res->series[res->n_series++] = w->series;
		w->series.points = NULL;
	}
	return 0;
}

/* Where the log's part begins: at start_us, or with what is in no block. */
static int open_cursor(struct cursor *c, struct log *l, int64_t start_us, uint64_t after_seq)
{
	struct cursor after;
	int r = cursor_open_time(c, l, start_us < 0 ? 0 : (uint64_t)start_us);

	if (r < 0 || !after_seq)
		return r;
	r = cursor_open_seq(&after, l, after_seq);
	if (r == 0 && after.next_seq > c->next_seq) {
		cursor_close(c);
		*c = after;
	} else if (r == 0) {
		cursor_close(&after);
	} else {
		cursor_close(c);
	}
	return r;
}

static int take_log(struct scan *s, struct log *l, const struct history_walk *w)
{
	int64_t from_us = s->rq->from_us, start_us = from_us < LEAD_US ? 0 : from_us - LEAD_US;
	struct cursor c;
	int r;

	if (!l || s->rq->to_us < 0 || (w->after_seq && w->after_us - LAG_US > s->rq->to_us))
		return 0;
	r = open_cursor(&c, l, start_us, w->after_seq);
	if (r < 0)
		return r == -ENOENT && s->joins ? 0 : r;
	s->need_key = true;
	s->m->n_clocks = 0; /* they come again, in order */
	s->after_seq = w->after_seq;
	s->log_number = w->log_number;
	r = scan_log(s, &c, start_us);
	cursor_close(&c);
	return r;
}

static int take_blocks(struct scan *s, struct history_walk *w)
{
	int r = history_catalog(s->h, s->m);

	s->joins = true;
	if (r == 0)
		r = query_resolve(s);
	return r < 0 ? r : query_blocks(s, w);
}

/* Is it a chart of points that are long enough, of groups that rollups have all of? */
static bool may_be_coarse(const struct scan *s)
{
	const struct query_request *rq = s->rq;
	struct mirror m;
	uint32_t group, metric;
	bool coarse;

	if (!rq->chart || rq->raw || rq->points < CHART_POINTS ||
	    s->res->step_us < CHART_BUCKETS * ROLLUP_BUCKET_US)
		return false;
	mirror_init(&m);
	coarse = history_catalog(s->h, &m) == 0;
	for (size_t i = 0; i < rq->n_selectors && coarse; i++)
		coarse = mirror_find_metric(&m, rq->selectors[i].metric, &group, &metric) &&
			 !m.groups[group].n_attrs;
	mirror_done(&m);
	return coarse;
}

static int run(struct scan *s)
{
	const struct query_request *rq = s->rq;
	struct history_walk w;
	int r = may_be_coarse(s) ? history_walk_begin_coarse(s->h, rq->from_us, rq->to_us, &w)
				 : history_walk_begin(s->h, rq->from_us, rq->to_us, &w);

	if (r < 0)
		return r;
	s->res->oldest_us = history_oldest_us(s->h);
	s->res->clocks = history_clocks(s->h, &s->res->n_clocks);
	if (!s->res->clocks)
		r = -ENOMEM;
	/* Without the log's part the blocks' catalog is all there is. */
	if (r == 0 && (w.n || w.after_seq || !history_log(s->h) || rq->to_us < 0))
		r = take_blocks(s, &w);
	if (r == 0)
		r = take_log(s, history_log(s->h), &w);
	history_walk_end(s->h, &w);
	if (r < 0)
		return r;
	return s->resolved ? collect(s) : -ENOENT;
}

int query_run(struct history *h, const struct query_request *rq, struct query_result **ret,
	      const _Atomic bool *cancel)
{
	struct scan s = {.rq = rq, .h = h, .cancel = cancel};
	int r = -ENOMEM;

	if (!rq->n_selectors || rq->n_selectors > QUERY_SERIES_MAX || rq->from_us >= rq->to_us ||
	    !rq->points || rq->points > QUERY_POINTS_MAX)
		return -EINVAL;
	s.res = calloc(1, sizeof(*s.res));
	s.m = calloc(1, sizeof(*s.m));
	s.selected = calloc(rq->n_selectors, 2 * sizeof(*s.selected));
	if (s.res && s.m && s.selected) {
		s.res->catalog = s.m;
		s.res->step_us = ((uint64_t)rq->to_us - (uint64_t)rq->from_us - 1) / rq->points + 1;
		r = run(&s);
	}
	if (s.m)
		query_forget_groups(&s);
	for (uint32_t i = 0; i < s.n_watch; i++)
		free(s.watch[i].series.points);
	free(s.watch);
	free(s.found);
	free(s.selected);
	if (r < 0) {
		if (!s.res || !s.res->catalog)
			free(s.m);
		query_free(s.res);
		return r;
	}
	*ret = s.res;
	return 0;
}

void query_free(struct query_result *res)
{
	if (!res)
		return;
	for (size_t i = 0; i < res->n_series; i++)
		free(res->series[i].points);
	free(res->series);
	free(res->clocks);
	if (res->catalog)
		mirror_done(res->catalog);
	free(res->catalog);
	free(res);
}

int64_t query_wall_us(const struct query_result *res, int64_t at_us)
{
	return history_wall_us(res->clocks, res->n_clocks, res->catalog, at_us);
}
