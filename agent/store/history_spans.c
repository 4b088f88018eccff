/* What is held, in words and figures: stretches, clocks, bytes. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "store/history_internal.h"

static const int64_t span_gap_us = 10000000; /* a longer one is a gap, not a slow rate */
static const int64_t clock_step_us = 1000;   /* what a clock may be off before it is said again */

/* ---- stretches ---- */

struct spans {
	struct history_span *v;
	size_t n, cap;
	bool failed;
};

static void add_span(struct spans *s, const struct history_span *add)
{
	struct history_span *last = s->n ? &s->v[s->n - 1] : NULL;

	if (last && last->rollup == add->rollup && add->from_us - last->to_us <= span_gap_us &&
	    memcmp(last->log_id, add->log_id, LOG_ID_LEN) == 0) {
		last->from_us = add->from_us < last->from_us ? add->from_us : last->from_us;
		last->to_us = add->to_us > last->to_us ? add->to_us : last->to_us;
		return;
	}
	if (s->n == s->cap) {
		size_t cap = s->cap ? 2 * s->cap : 16;
		struct history_span *v = realloc(s->v, cap * sizeof(*v));

		if (!v) {
			s->failed = true;
			return;
		}
		s->v = v;
		s->cap = cap;
	}
	s->v[s->n++] = *add;
}

static void add_held(struct spans *s, const struct history *h, const struct held *b)
{
	struct history_span span = {.from_us = b->from_us, .to_us = b->to_us, .rollup = b->rollup};

	if (b->rollup && h->full.n) {
		if (b->from_us >= h->full.v[0]->since_us)
			return;
		if (b->to_us > h->full.v[0]->since_us)
			span.to_us = h->full.v[0]->since_us;
	}
	memcpy(span.boot_id, b->head.boot_id, sizeof(span.boot_id) - 1);
	memcpy(span.log_id, b->head.log_id, LOG_ID_LEN);
	add_span(s, &span);
}

/* The ticks of the log after frame after_seq. */
static void add_log(struct spans *s, const struct history *h, uint64_t after_seq)
{
	struct log *l = h->config.log;
	struct history_span span = {0};
	uint64_t mono_us, from, to;
	uint8_t head[CURSOR_HEAD];
	struct cursor c;
	struct frame f;

	if (cursor_open_seq(&c, l, after_seq) < 0)
		return;
	memcpy(span.boot_id, h->boot_id, sizeof(span.boot_id));
	memcpy(span.log_id, log_id(l), LOG_ID_LEN);
	for (;;) {
		const uint8_t *p = head + 1;
		int r = 0;

		if (cursor_peek(&c, head) != 1) { /* the end of a segment, or of all */
			r = cursor_next(&c, &f, &from, &to);
			if (r != 1 && r != -ESTALE)
				break;
			continue; /* what begins a segment is no tick */
		}
		if (head[0] == FRAME_TICK && c.next_seq > after_seq) {
			frame_get_u64(&p, head + sizeof(head), &mono_us);
			span.from_us = span.to_us = (int64_t)mono_us;
			add_span(s, &span);
		}
		cursor_skip(&c);
	}
	cursor_close(&c);
}

struct history_span *history_spans(struct history *h, size_t *n)
{
	struct spans s = {0};
	uint64_t after_seq;

	pthread_mutex_lock(&h->lock);
	history_list(h);
	for (size_t i = 0; i < h->rollups.n; i++)
		add_held(&s, h, h->rollups.v[i]);
	for (size_t i = 0; i < h->full.n; i++)
		add_held(&s, h, h->full.v[i]);
	after_seq = h->sealed_seq;
	pthread_mutex_unlock(&h->lock);
	if (h->config.log)
		add_log(&s, h, after_seq);
	if (!s.v)
		s.v = calloc(1, sizeof(*s.v));
	if (s.failed) {
		free(s.v);
		return NULL;
	}
	*n = s.n;
	return s.v;
}

/* ---- clocks ---- */

/* Blocks end where a clock is set: what was read before that and published late still lies before it. */
static void add_clock(struct history_clock *v, size_t *n, const struct held *b,
		      const struct held *before)
{
	struct history_clock c = {b->from_us, b->head.real_off_us - b->shift_us};
	int64_t off = *n ? c.real_off_us - v[*n - 1].real_off_us : 0;

	if (before && before->reach_us >= c.from_us)
		c.from_us = before->reach_us + 1;
	if (!*n || off > clock_step_us || off < -clock_step_us)
		v[(*n)++] = c;
}

/* CLOCK records of the log after frame after_seq, behind those of blocks. False: no memory. */
static bool add_log_clocks(struct history_clock **v, size_t *n, struct log *l, uint64_t after_seq)
{
	uint8_t head[CURSOR_HEAD];
	struct clock_frame clock;
	uint64_t from, to;
	struct cursor c;
	struct frame f;
	bool ok = true;

	if (cursor_open_seq(&c, l, after_seq) < 0)
		return true;
	while (ok) {
		struct history_clock *more;
		int r;

		if (cursor_peek(&c, head) == 1 &&
		    (head[0] != FRAME_CLOCK || c.next_seq <= after_seq)) {
			cursor_skip(&c);
			continue;
		}
		r = cursor_next(&c, &f, &from, &to);
		if (r == -ESTALE)
			continue;
		if (r != 1)
			break;
		if (frame_type(&f) != FRAME_CLOCK || f.seq <= after_seq ||
		    frame_read_clock(&f, &clock) < 0 ||
		    (*n && (*v)[*n - 1].real_off_us == clock.real_off_us))
			continue;
		more = realloc(*v, (*n + 1) * sizeof(*more));
		ok = more != NULL;
		if (!ok)
			break;
		*v = more;
		more[(*n)++] = (struct history_clock){(int64_t)clock.mono_us, clock.real_off_us};
	}
	cursor_close(&c);
	return ok;
}

struct history_clock *history_clocks(struct history *h, size_t *n)
{
	struct history_clock *v;
	uint64_t after_seq;
	int64_t full_us;

	pthread_mutex_lock(&h->lock);
	history_list(h);
	after_seq = h->sealed_seq;
	full_us = h->full.n ? h->full.v[0]->since_us : INT64_MAX;
	v = calloc(h->full.n + h->rollups.n + 1, sizeof(*v));
	*n = 0;
	for (size_t i = 0; v && i < h->rollups.n; i++)
		if (h->rollups.v[i]->from_us < full_us)
			add_clock(v, n, h->rollups.v[i], i ? h->rollups.v[i - 1] : NULL);
	for (size_t i = 0; v && i < h->full.n; i++)
		add_clock(v, n, h->full.v[i], i ? h->full.v[i - 1] : NULL);
	pthread_mutex_unlock(&h->lock);
	if (v && h->config.log && !add_log_clocks(&v, n, h->config.log, after_seq)) {
		free(v);
		return NULL;
	}
	return v;
}

/* The clocks of blocks, and from its first record on those of a mirror. */
struct clocks {
	const struct history_clock *v;
	const struct mirror *m;
	size_t n_before, n;
};

static struct clocks join_clocks(const struct history_clock *v, size_t n, const struct mirror *m)
{
	struct clocks c = {v, m, n, n};

	if (!m || !m->n_clocks)
		return c;
	while (c.n_before && v[c.n_before - 1].from_us >= (int64_t)m->clocks[0].mono_us)
		c.n_before--;
	c.n = c.n_before + m->n_clocks;
	return c;
}

static struct history_clock clock_at(const struct clocks *c, size_t i)
{
	const struct mirror_clock *m;

	if (i < c->n_before)
		return c->v[i];
	m = &c->m->clocks[i - c->n_before];
	return (struct history_clock){(int64_t)m->mono_us, m->real_off_us};
}

int64_t history_wall_us(const struct history_clock *v, size_t n, const struct mirror *m,
			int64_t at_us)
{
	struct clocks c = join_clocks(v, n, m);
	size_t i = c.n;

	if (!i)
		return at_us;
	while (i > 1 && clock_at(&c, i - 1).from_us > at_us)
		i--;
	return (int64_t)((uint64_t)at_us + (uint64_t)clock_at(&c, i - 1).real_off_us);
}

int64_t history_at_us(const struct history_clock *v, size_t n, const struct mirror *m,
		      int64_t end_us, int64_t wall_us)
{
	struct clocks c = join_clocks(v, n, m);
	struct history_clock clock, next = {INT64_MAX, 0};
	int64_t to_come_us = wall_us, skipped_us = INT64_MIN;

	for (size_t i = c.n; i > 0; i--, next = clock) {
		bool newest = i == c.n;
		int64_t at_us;

		clock = clock_at(&c, i - 1);
		at_us = (int64_t)((uint64_t)wall_us - (uint64_t)clock.real_off_us);
		if (newest)
			to_come_us = at_us;
		if (at_us < clock.from_us && i > 1)
			continue;
		if (newest ? at_us <= end_us : at_us < next.from_us)
			return at_us;
		if (!newest && skipped_us == INT64_MIN && wall_us - next.from_us < next.real_off_us)
			skipped_us = next.from_us;
	}
	return skipped_us != INT64_MIN ? skipped_us : to_come_us;
}

/* ---- figures ---- */

static void add_stats(const struct held_list *l, struct history_stats *s)
{
	for (size_t i = 0; i < l->n; i++) {
		const struct held *b = l->v[i];
		uint64_t len = b->on_disk ? b->entry.len : b->len;

		if (b->data) {
			s->blocks_memory++;
			s->bytes_memory += b->len;
		}
		if (b->on_disk) {
			s->blocks_disk++;
			s->bytes_disk += b->entry.len;
		}
		if (!b->rollup) {
			s->samples += b->head.n_samples;
			s->sample_bytes += len;
		}
	}
}

/* Of the log; INT64_MAX: it is empty, or there is none. */
static int64_t log_from_us(const struct history *h)
{
	uint64_t us = h->config.log ? log_oldest_us(h->config.log) : 0;

	return us ? (int64_t)us : INT64_MAX;
}

int64_t history_full_from(const struct history *h)
{
	int64_t us = log_from_us(h);

	return h->full.n && h->full.v[0]->since_us < us ? h->full.v[0]->since_us : us;
}

void history_stats(struct history *h, struct history_stats *ret)
{
	struct history_stats s = {0};

	pthread_mutex_lock(&h->lock);
	history_list(h);
	add_stats(&h->rollups, &s);
	add_stats(&h->full, &s);
	s.oldest_full_us = history_full_from(h);
	s.oldest_us = s.oldest_full_us;
	if (h->rollups.n && h->rollups.v[0]->from_us < s.oldest_us)
		s.oldest_us = h->rollups.v[0]->from_us;
	pthread_mutex_unlock(&h->lock);
	for (size_t i = 0; i < h->n_rings; i++) {
		struct ring_stats r;

		h->ring_stats(h->rings[i].ring, &r);
		s.disk_size_bytes += r.size_bytes;
		s.disk_used_bytes += r.used_bytes;
	}
	*ret = s;
}

int64_t history_oldest_us(struct history *h)
{
	int64_t oldest_us;

	pthread_mutex_lock(&h->lock);
	history_list(h);
	oldest_us = history_full_from(h);
	if (h->rollups.n && h->rollups.v[0]->from_us < oldest_us)
		oldest_us = h->rollups.v[0]->from_us;
	pthread_mutex_unlock(&h->lock);
	return oldest_us;
}

int64_t history_full_us(struct history *h)
{
	int64_t oldest_us;

	pthread_mutex_lock(&h->lock);
	history_list(h);
	oldest_us = history_full_from(h);
	pthread_mutex_unlock(&h->lock);
	return oldest_us;
}

int64_t history_rolled_us(struct history *h)
{
	int64_t us;

	pthread_mutex_lock(&h->lock);
	history_list(h);
	us = h->rollups.n ? h->rollups.v[h->rollups.n - 1]->to_us : INT64_MIN;
	pthread_mutex_unlock(&h->lock);
	return us;
}
