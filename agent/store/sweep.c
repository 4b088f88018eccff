#include "store/sweep.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

static const int64_t lag_us = 2000000; /* what a worker read in time and published late */

struct sweep_tail {
	struct sealed sealed;
	struct mirror *catalog;
};

/* ---- the rest of the log ---- */

/* The frame before the first TICK that is not before at_us. */
static uint64_t seq_before(struct log *l, int64_t at_us)
{
	uint8_t head[CURSOR_HEAD];
	uint64_t seq = 0, mono_us;
	struct cursor c;

	if (at_us <= 0 || cursor_open_time(&c, l, (uint64_t)at_us) < 0)
		return 0;
	for (; cursor_peek(&c, head) == 1; cursor_skip(&c)) {
		const uint8_t *p = head + 1;

		frame_get_u64(&p, head + sizeof(head), &mono_us);
		if (head[0] == FRAME_TICK && (int64_t)mono_us >= at_us)
			break;
		seq = c.next_seq;
	}
	cursor_close(&c);
	return seq;
}

/* A sealer's sink: -EDOM ends it, there is nothing of the range any more. */
static int take_tail(void *arg, struct sealed *s)
{
	struct sweep *w = arg;
	struct sweep_tail *t;

	if ((int64_t)s->head.from_us >= w->to_us)
		return -EDOM;
	if (w->n_tail >= SWEEP_BLOCKS_MAX)
		return -E2BIG;
	t = realloc(w->tail, (w->n_tail + 1) * sizeof(*t));
	if (!t)
		return -ENOMEM;
	w->tail = t;
	t += w->n_tail;
	*t = (struct sweep_tail){.sealed = *s};
	if (w->n_tail && t[-1].sealed.head.catalog_crc == s->head.catalog_crc)
		t->catalog = t[-1].catalog;
	else
		t->catalog = calloc(1, sizeof(*t->catalog));
	if (!t->catalog)
		return -ENOMEM;
	if (!t->catalog->version) {
		struct frame f = {.data = s->catalog, .len = s->catalog_len};
		int r = mirror_apply(t->catalog, &f);

		if (r < 0) {
			mirror_done(t->catalog);
			free(t->catalog);
			return r;
		}
	}
	w->n_tail++;
	s->data = NULL;
	return 0;
}

static int seal_tail(struct sweep *w, struct log *l)
{
	struct sealer_config c = {.log = l, .boot_id = "", .sink = take_tail, .arg = w};
	struct sealer *sealer;
	uint64_t from_seq = seq_before(l, w->from_us - lag_us);
	int r;

	c.after_seq = from_seq > w->walk.after_seq ? from_seq : w->walk.after_seq;
	r = sealer_open(&sealer, &c);
	if (r < 0)
		return r;
	do
		r = w->cancel && *w->cancel ? -ECANCELED : sealer_step(sealer);
	while (r > 0);
	while (r == 0 && (r = sealer_flush(sealer)) > 0)
		;
	sealer_close(sealer);
	return r == -EDOM ? 0 : r;
}

/* ---- life ---- */

int sweep_begin(struct sweep *w, struct history *h, int64_t from_us, int64_t to_us,
		const _Atomic bool *cancel)
{
	struct log *l = history_log(h);
	int r;

	*w = (struct sweep){.h = h, .from_us = from_us, .to_us = to_us, .cancel = cancel};
	w->catalog = calloc(1, sizeof(*w->catalog));
	if (!w->catalog)
		return -ENOMEM;
	r = history_catalog(h, w->catalog);
	if (r == 0)
		r = history_walk_begin(h, from_us, to_us, &w->walk);
	if (r < 0)
		return r;
	if (w->walk.n > SWEEP_BLOCKS_MAX)
		return -E2BIG;
	if (l && log_newest(l) && to_us > 0 &&
	    (!w->walk.after_seq || w->walk.after_us - lag_us <= to_us))
		r = seal_tail(w, l);
	w->n_blocks = w->walk.n + w->n_tail;
	return r;
}

static int each_tail(struct sweep *w, struct sweep_tail *t,
		     int (*each)(void *arg, const struct history_block *), void *arg)
{
	struct history_block b = {.catalog = t->catalog, .log_number = w->walk.log_number};
	int r;

	b.from_us = (int64_t)t->sealed.head.from_us;
	b.to_us = (int64_t)t->sealed.head.to_us + 1;
	if (b.from_us >= w->to_us || b.to_us <= w->from_us)
		return 0;
	r = block_open(&b.block, t->sealed.data, t->sealed.len);
	if (r < 0)
		return r;
	r = each(arg, &b);
	block_close(b.block);
	return r;
}

int sweep_each(struct sweep *w, int (*each)(void *arg, const struct history_block *), void *arg)
{
	struct history_block b;
	int r = 0;

	w->walk.next = 0;
	while (r == 0 && w->walk.next < w->walk.n) {
		r = w->cancel && *w->cancel ? -ECANCELED : history_walk_next(w->h, &w->walk, &b);
		if (r == 1) {
			r = each(arg, &b);
			history_release(w->h, &b);
		}
		if (r == -EBADMSG || r == -EIO || r == -EPROTONOSUPPORT)
			r = 0;
	}
	for (size_t i = 0; r == 0 && i < w->n_tail; i++) {
		r = w->cancel && *w->cancel ? -ECANCELED : each_tail(w, &w->tail[i], each, arg);
		if (r == -EBADMSG)
			r = 0;
	}
	return r;
}

void sweep_end(struct sweep *w)
{
	for (size_t i = 0; i < w->n_tail; i++) {
		struct sweep_tail *t = &w->tail[i];

		if (i + 1 == w->n_tail || t[1].catalog != t->catalog) {
			mirror_done(t->catalog);
			free(t->catalog);
		}
		free(t->sealed.data);
	}
	free(w->tail);
	history_walk_end(w->h, &w->walk);
	if (w->catalog)
		mirror_done(w->catalog);
	free(w->catalog);
	*w = (struct sweep){0};
}

/* ---- who is who ---- */

static bool same_group(const struct mirror_group *a, const struct mirror_group *b)
{
	if (strcmp(a->name, b->name) != 0 || a->n_metrics != b->n_metrics)
		return false;
	for (uint32_t i = 0; i < a->n_metrics; i++) {
		const struct mirror_metric *x = &a->metrics[i], *y = &b->metrics[i];

		if (x->sem != y->sem || x->mul != y->mul || x->div != y->div ||
		    strcmp(x->name, y->name) != 0)
			return false;
	}
	return true;
}

const struct mirror_group *sweep_group(const struct sweep *w, const struct history_block *b,
				       uint32_t group, uint32_t *ret)
{
	const struct mirror *m = w->catalog;

	if (group >= b->catalog->n_groups)
		return NULL;
	if (group < m->n_groups && same_group(&b->catalog->groups[group], &m->groups[group])) {
		*ret = group;
		return &m->groups[group];
	}
	for (uint32_t g = 0; g < m->n_groups; g++)
		if (same_group(&b->catalog->groups[group], &m->groups[g])) {
			*ret = g;
			return &m->groups[g];
		}
	return NULL;
}

static uint32_t hash_of(uint32_t group, const char *name)
{
	uint32_t h = group + 1;

	for (; *name; name++)
		h = (h ^ (uint8_t)*name) * 16777619;
	return h ^ h >> 15;
}

static int grow_names(struct sweep_names *s)
{
	uint32_t n = s->n_found ? 2 * s->n_found : 256;
	uint32_t *found = calloc(n, sizeof(*found));
	struct sweep_name *v = realloc(s->v, n * sizeof(*v));

	if (v) {
		s->v = v;
		s->cap = n;
	}
	if (!v || !found) {
		free(found);
		return -ENOMEM;
	}
	for (uint32_t i = 0; i < s->n; i++) {
		uint32_t *at = &found[hash_of(v[i].group, v[i].name) & (n - 1)];

		v[i].chain = *at;
		*at = i + 1;
	}
	free(s->found);
	s->found = found;
	s->n_found = n;
	return 0;
}

int64_t sweep_find(struct sweep_names *s, uint32_t group, const struct history_block *b,
		   const struct block_instance *in)
{
	uint32_t hash = hash_of(group, in->name), newest = 0, *at;
	struct sweep_name *x;

	if (s->n >= s->n_found && grow_names(s) < 0)
		return -ENOMEM;
	at = &s->found[hash & (s->n_found - 1)];
	for (uint32_t i = *at; i; i = s->v[i - 1].chain) {
		x = &s->v[i - 1];
		if (x->group != group || strcmp(x->name, in->name) != 0)
			continue;
		newest = newest ? newest : i;
		if (x->log_number == b->log_number && x->slot == in->slot && x->gen == in->gen)
			return i - 1;
	}
	x = newest ? &s->v[newest - 1] : NULL;
	if (!x || x->log_number == b->log_number || x->id != in->id) {
		x = &s->v[s->n++];
		*x = (struct sweep_name){.group = group, .id = in->id, .chain = *at};
		strncpy(x->name, in->name, sizeof(x->name) - 1);
		*at = s->n;
	}
	x->slot = in->slot; /* else it is the same thing, in the log before */
	x->gen = in->gen;
	x->log_number = b->log_number;
	return x - s->v;
}

void sweep_names_done(struct sweep_names *s)
{
	free(s->v);
	free(s->found);
	*s = (struct sweep_names){0};
}
