/* The blocks of a range, as they are when a reader begins. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "store/history_internal.h"

/* Before it all blocks of the list end before at_us. */
static size_t find_from(const struct held_list *l, int64_t at_us)
{
	size_t lo = 0, hi = l->n;

	while (lo < hi) {
		size_t mid = lo + (hi - lo) / 2;

		if (l->v[mid]->reach_us < at_us)
			lo = mid + 1;
		else
			hi = mid;
	}
	return lo;
}

/* The oldest block of the running log from which on they follow each other up to the newest; n: none. */
static size_t first_of_log(const struct history *h)
{
	const struct held_list *l = &h->full;
	size_t i = l->n;

	while (h->config.log && i > 0 &&
	       memcmp(l->v[i - 1]->head.log_id, log_id(h->config.log), LOG_ID_LEN) == 0)
		i--;
	return i;
}

/* Does the log still have what lies before its oldest block, and is it asked for? Then it answers
 * for all of its time. */
static bool log_knows_more(const struct history *h, size_t first, int64_t from_us)
{
	const struct held_list *l = &h->full;

	if (first == l->n)
		return true;
	return from_us < l->v[first]->from_us && log_oldest(h->config.log) &&
	       log_oldest(h->config.log) < l->v[first]->head.first_seq;
}

static void walk_add(struct history_walk *w, struct held *b)
{
	struct held **v = w->held;

	if (w->n && v[w->n - 1] == b)
		return;
	b->refs++;
	v[w->n++] = b;
}

/* The rollup that stands for a block; *at moves on with the blocks. */
static struct held *find_rollup(const struct history *h, size_t *at, const struct held *b)
{
	const struct held_list *l = &h->rollups;

	while (*at < l->n && l->v[*at]->to_us < b->from_us)
		(*at)++;
	if (*at == l->n || l->v[*at]->head.first_seq > b->head.first_seq ||
	    l->v[*at]->head.last_seq < b->head.last_seq ||
	    memcmp(l->v[*at]->head.log_id, b->head.log_id, LOG_ID_LEN) != 0)
		return NULL;
	return l->v[*at];
}

static bool overlaps(const struct held *b, int64_t from_us, int64_t to_us)
{
	return b->to_us >= from_us && b->from_us < to_us;
}

/* The lists' blocks that overlap the range, up to full block `end`. */
static void walk_fill(const struct history *h, int64_t from_us, int64_t to_us, size_t end,
		      struct history_walk *w)
{
	size_t at = find_from(&h->rollups, from_us);

	for (size_t i = at; i < h->rollups.n && h->rollups.v[i]->since_us < to_us; i++) {
		struct held *b = h->rollups.v[i];

		if (overlaps(b, from_us, to_us) && b->from_us < history_full_from(h))
			walk_add(w, b);
	}
	for (size_t i = find_from(&h->full, from_us); i < end && h->full.v[i]->since_us < to_us;
	     i++) {
		struct held *b = h->full.v[i], *rollup;

		if (!overlaps(b, from_us, to_us))
			continue;
		rollup = w->coarse ? find_rollup(h, &at, b) : NULL;
		walk_add(w, rollup ? rollup : b);
	}
}

static int walk_begin(struct history *h, int64_t from_us, int64_t to_us, bool coarse,
		      struct history_walk *ret)
{
	struct history_walk w = {.after_us = INT64_MIN, .log_number = UINT32_MAX, .coarse = coarse};
	size_t first, end;

	pthread_mutex_lock(&h->lock);
	history_list(h);
	first = first_of_log(h);
	end = h->full.n;
	if (log_knows_more(h, first, from_us)) {
		end = first;
	} else {
		w.after_seq = h->sealed_seq;
		w.after_us = h->sealed_us;
		w.log_number = h->full.v[first]->log_number;
	}
	w.held = calloc(h->full.n + h->rollups.n + 1, sizeof(struct held *));
	if (w.held)
		walk_fill(h, from_us, to_us, end, &w);
	pthread_mutex_unlock(&h->lock);
	if (!w.held)
		return -ENOMEM;
	*ret = w;
	return 0;
}

int history_walk_begin(struct history *h, int64_t from_us, int64_t to_us, struct history_walk *ret)
{
	return walk_begin(h, from_us, to_us, false, ret);
}

int history_walk_begin_coarse(struct history *h, int64_t from_us, int64_t to_us,
			      struct history_walk *ret)
{
	return walk_begin(h, from_us, to_us, true, ret);
}

/* Of a rollup all buckets count, unless the log answers for the time of some. */
static bool is_whole(const struct history *h, const struct history_walk *w, const struct held *b)
{
	const struct log *l = h->config.log;

	return w->coarse &&
	       (w->after_seq || !l || memcmp(b->head.log_id, log_id(l), LOG_ID_LEN) != 0);
}

int history_walk_next(struct history *h, struct history_walk *w, struct history_block *ret)
{
	struct held **v = w->held;
	int r = -ESTALE;

	while (r == -ESTALE && w->next < w->n) {
		struct held *b = v[w->next++];

		r = history_load(h, b, is_whole(h, w, b), ret);
	}
	return r == -ESTALE ? 0 : r;
}

void history_walk_thin(struct history *h, struct history_walk *w, int64_t from_us, int64_t to_us,
		       size_t most)
{
	struct held **v = w->held;
	size_t n = 0, k = 0, kept = 0;

	pthread_mutex_lock(&h->lock);
	for (size_t i = 0; i < w->n; i++)
		n += v[i]->from_us >= from_us && v[i]->to_us < to_us;
	for (size_t i = 0; i < w->n; i++) {
		bool in = v[i]->from_us >= from_us && v[i]->to_us < to_us;

		bool keep = !in || n <= most || k * most / n != (k + 1) * most / n;

		k += in;
		if (keep)
			v[kept++] = v[i];
		else
			history_unref(h, v[i]);
	}
	w->n = kept;
	pthread_mutex_unlock(&h->lock);
}

void history_walk_end(struct history *h, struct history_walk *w)
{
	struct held **v = w->held;

	if (!v)
		return;
	pthread_mutex_lock(&h->lock);
	for (size_t i = 0; i < w->n; i++)
		history_unref(h, v[i]);
	pthread_mutex_unlock(&h->lock);
	free(v);
	*w = (struct history_walk){0};
}

int history_get(struct history *h, int64_t from_us, int64_t to_us, size_t n,
		struct history_block *ret)
{
	struct history_walk w;
	int r = history_walk_begin(h, from_us, to_us, &w);

	if (r < 0)
		return r;
	w.next = n < w.n ? n : w.n;
	r = history_walk_next(h, &w, ret);
	history_walk_end(h, &w);
	return r;
}
