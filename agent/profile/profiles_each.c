/* Reading what is held, in order of time. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "profile/profiles_internal.h"

enum { LIVE_US = 5000000, WATCHED_US = 10000000 };

/* One reader's way from the oldest to the newest. */
struct reader {
	struct profiles *p;
	int64_t from_us, to_us;
	bool reach; /* epochs whose stretches off the CPU reach into the range, too */
	int (*each)(void *arg, const struct stacks *);
	void *arg;
	const struct profiles_memo *memo; /* NULL: none */
	uint64_t done;			  /* number of the newest live epoch that was read */
};

/* An epoch by what was made of it, now or earlier. 1: it has to be read as it is. */
static int use_memo(struct reader *r, struct held *h)
{
	struct profiles *p = r->p;
	struct memo *m;
	struct stacks *s;
	void *made;
	size_t bytes;
	int64_t shift_us;
	bool cached;
	int e;

	pthread_mutex_lock(&p->lock);
	shift_us = shelf_shift(p, h);
	m = memo_find(h, r->memo, shift_us);
	if (m)
		m->used = ++p->shelf.uses;
	pthread_mutex_unlock(&p->lock);
	if (!r->memo->fits(r->arg, h->head.from_us + shift_us, h->head.to_us + shift_us))
		return 1;
	if (m) /* it stays while there is a reference */
		return r->memo->use(r->arg, m->made);
	e = shelf_read(p, h, false, &s, &cached);
	if (e < 0)
		return e == -ENOMEM ? e : 0;
	e = r->memo->make(r->arg, s, &made, &bytes);
	if (!cached)
		stacks_free(s);
	if (e < 0)
		return e;
	e = r->memo->use(r->arg, made);
	pthread_mutex_lock(&p->lock);
	memo_keep(p, h, r->memo, made, bytes, shift_us);
	pthread_mutex_unlock(&p->lock);
	return e;
}

/* The shelf, from after `last` on. *last: the last one seen, with a reference. */
static int read_shelf(struct reader *r, struct held **last)
{
	struct profiles *p = r->p;

	for (;;) {
		struct stacks *s;
		struct held *h;
		bool cached;
		int e;

		pthread_mutex_lock(&p->lock);
		h = shelf_next(p, *last, r->from_us, r->to_us, r->reach, r->done);
		if (h && *last)
			shelf_release(p, *last);
		if (h)
			*last = h;
		pthread_mutex_unlock(&p->lock);
		if (!h)
			return 0;
		e = r->memo ? use_memo(r, h) : 1;
		if (e < 0)
			return e;
		if (e == 0)
			continue;
		e = shelf_read(p, h, true, &s, &cached);
		if (e == -ENOMEM)
			return e;
		if (e < 0)
			continue;
		e = r->each(r->arg, s);
		if (!cached)
			stacks_free(s);
		if (e)
			return e;
	}
}

static bool overlaps(const struct reader *r, const struct stacks *s)
{
	if (s->from_us == INT64_MIN || s->to_us < r->from_us)
		return false;
	if (s->from_us < r->to_us)
		return true;
	for (uint32_t i = 0; r->reach && i < s->n_samples; i++)
		if (s->samples[i].kind == STACKS_OFF &&
		    s->samples[i].at_us - s->samples[i].weight_us < r->to_us)
			return true;
	return false;
}

/* Those that wait to be sealed. *again: meanwhile one came on the shelf that was not read. *open:
 * the number of the open epoch at that moment. */
static int read_pending(struct reader *r, const struct held *last, bool *again, uint64_t *open)
{
	struct profiles *p = r->p;
	struct held *h;
	int e = 0;

	pthread_mutex_lock(&p->pending_lock); /* none is taken off meanwhile */
	pthread_mutex_lock(&p->lock);
	h = shelf_next(p, last, r->from_us, r->to_us, r->reach, r->done);
	if (h)
		shelf_release(p, h);
	pthread_mutex_unlock(&p->lock);
	*again = h != NULL;
	*open = p->open_number;
	for (unsigned i = 0; !h && !e && i < atomic_load(&p->n_pending); i++) {
		const struct pending *w = &p->pending[i];

		if (w->number <= r->done || strcmp(w->stacks->boot_id, p->boot_id) != 0)
			continue; /* of another boot: when it has its place */
		if (overlaps(r, w->stacks))
			e = r->each(r->arg, w->stacks);
		r->done = w->number;
	}
	pthread_mutex_unlock(&p->pending_lock);
	return e;
}

/* *again: it is not the one of that number any more. */
static int read_open(struct reader *r, bool *again, uint64_t number)
{
	struct profiles *p = r->p;
	int e = 0;

	pthread_mutex_lock(&p->open_lock);
	*again = p->open_number != number;
	if (!*again && p->open && overlaps(r, p->open))
		e = r->each(r->arg, p->open);
	pthread_mutex_unlock(&p->open_lock);
	return e;
}

/* An epoch moves from the open one to those that wait to the shelf while it is read: by their
 * numbers none is read twice, and none is missed. */
static int read_all(struct reader *r)
{
	struct profiles *p = r->p;
	struct held *last = NULL;
	bool again = true;
	uint64_t open;
	int e = 0;

	if (r->to_us > (int64_t)clock_mono_us() - LIVE_US)
		atomic_store(&p->watched_us, (int64_t)clock_mono_us());
	pthread_mutex_lock(&p->read_lock);
	pthread_mutex_lock(&p->lock);
	shelf_place_boots(p);
	p->shelf.pass = p->shelf.uses;
	pthread_mutex_unlock(&p->lock);
	while (!e && again) {
		e = read_shelf(r, &last);
		if (!e)
			e = read_pending(r, last, &again, &open);
		if (!e && !again)
			e = read_open(r, &again, open);
	}
	pthread_mutex_lock(&p->lock);
	if (last)
		shelf_release(p, last);
	p->shelf.pass = UINT64_MAX;
	shelf_shrink(p);
	pthread_mutex_unlock(&p->lock);
	pthread_mutex_unlock(&p->read_lock);
	return e;
}

int profiles_each(struct profiles *p, int64_t from_us, int64_t to_us,
		  int (*each)(void *arg, const struct stacks *), void *arg)
{
	struct reader r = {.p = p, .from_us = from_us, .to_us = to_us, .each = each, .arg = arg};

	return read_all(&r);
}

int profiles_each_memo(struct profiles *p, int64_t from_us, int64_t to_us,
		       const struct profiles_memo *memo,
		       int (*each)(void *arg, const struct stacks *), void *arg)
{
	struct reader r = {
		.p = p, .from_us = from_us, .to_us = to_us, .memo = memo, .each = each, .arg = arg};

	return read_all(&r);
}

int profiles_each_off(struct profiles *p, int64_t from_us, int64_t to_us,
		      int (*each)(void *arg, const struct stacks *), void *arg)
{
	struct reader r = {.p = p, .from_us = from_us, .to_us = to_us, .each = each, .arg = arg};

	r.reach = true;
	return read_all(&r);
}

/* ---- where the next one begins ---- */

static void come_first(int64_t begins_us, int64_t from_us, int64_t *next_us)
{
	begins_us = begins_us > from_us ? begins_us : from_us;
	*next_us = begins_us < *next_us ? begins_us : *next_us;
}

/* In the direction in which an epoch moves: none is missed. */
int64_t profiles_next_us(struct profiles *p, int64_t from_us, int64_t to_us)
{
	const struct reader r = {.from_us = from_us, .to_us = to_us};
	int64_t next_us = to_us;

	pthread_mutex_lock(&p->open_lock);
	if (p->open && overlaps(&r, p->open))
		come_first(p->open->from_us, from_us, &next_us);
	pthread_mutex_unlock(&p->open_lock);
	pthread_mutex_lock(&p->pending_lock);
	for (unsigned i = 0; i < atomic_load(&p->n_pending); i++) {
		const struct stacks *s = p->pending[i].stacks;

		if (strcmp(s->boot_id, p->boot_id) == 0 && overlaps(&r, s))
			come_first(s->from_us, from_us, &next_us);
	}
	pthread_mutex_unlock(&p->pending_lock);
	pthread_mutex_lock(&p->lock);
	shelf_place_boots(p);
	next_us = shelf_next_us(p, from_us, next_us);
	pthread_mutex_unlock(&p->lock);
	return next_us;
}

bool profiles_are_watched(struct profiles *p, int64_t now_us)
{
	int64_t us = atomic_load(&p->watched_us);

	return us && now_us - us < WATCHED_US;
}
