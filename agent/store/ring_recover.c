/* Finds the records of a ring: from header to header, in the order of their numbers. */
#include "store/ring_internal.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

enum { WALK_PARTS = 24 };

/* What the walk saw besides the records themselves. */
struct walk {
	uint64_t oldest_seq; /* the highest that any header says */
	uint64_t newest_seq; /* the highest of all records */
	uint64_t newest_at;
};

/* Where the next header may stand when there is none at `at`. */
static uint64_t step(const struct ring *r, uint64_t at)
{
	uint64_t to = r->io.ops->next_data(&r->io, r->super.records_at + at + RING_UNIT);

	if (to == UINT64_MAX || to >= r->super.size)
		return r->super.records_size;
	to = to / RING_UNIT * RING_UNIT;
	return to > r->super.records_at + at ? to - r->super.records_at : at + RING_UNIT;
}

static int walk_one(struct ring *r, struct walk *w, uint64_t *at)
{
	struct ring_record h;
	int e = ring_record_read(r, *at, &h);

	if (e == 1 && h.oldest_seq > w->oldest_seq)
		w->oldest_seq = h.oldest_seq;
	if (e != 1 || h.type == RING_PENDING) {
		*at = step(r, *at);
		return 0;
	}
	if (ring_dir_push(r, &h, *at) < 0)
		return -ENOMEM;
	if (h.seq > w->newest_seq) {
		w->newest_seq = h.seq;
		w->newest_at = *at;
	}
	*at += ring_record_size(h.len);
	return 0;
}

static int by_unit(const void *a, const void *b)
{
	const struct ring_slot *x = a, *y = b;

	return x->unit < y->unit ? -1 : x->unit > y->unit;
}

/* In several parts at once, each told ahead where it reads next, so that a disk can work on all of
 * them. A part begins anywhere and finds its first header by itself. */
static int walk(struct ring *r, struct walk *w)
{
	uint64_t area = r->super.records_size / RING_UNIT * RING_UNIT, at[WALK_PARTS];
	uint64_t part = (area / WALK_PARTS / RING_UNIT + 1) * RING_UNIT;
	unsigned left = WALK_PARTS;

	for (uint64_t i = 0; i < WALK_PARTS; i++)
		at[i] = i * part;
	while (left) {
		left = 0;
		for (unsigned i = 0; i < WALK_PARTS; i++) {
			uint64_t end = (i + 1) * part < area ? (i + 1) * part : area;

			if (at[i] >= end)
				continue;
			if (walk_one(r, w, &at[i]) < 0)
				return -ENOMEM;
			if (at[i] < end)
				r->io.ops->expect(&r->io, r->super.records_at + at[i]);
			left++;
		}
	}
	if (r->n_slots)
		qsort(r->slots, r->n_slots, sizeof(*r->slots), by_unit);
	return 0;
}

static bool newest_is_whole(const struct ring *r, uint64_t at)
{
	struct ring_record h;
	uint8_t *payload;
	int e = ring_record_read(r, at, &h);

	if (e != 1)
		return false;
	payload = malloc(h.len);
	e = payload ? ring_record_payload(r, at, &h, payload) : 0;
	free(payload);
	return e >= 0;
}

/* Puts the slots in the order of a ring whose newest is the i-th, and keeps those that fit: their
 * numbers fall and they lie one before the other, going back from the newest. */
static void arrange(struct ring *r, uint32_t newest, uint64_t oldest_seq)
{
	uint32_t n = r->n_slots, at = r->cap_slots; /* filled from the end */
	uint64_t seq = UINT64_MAX, before = UINT64_MAX, floor = 0;
	struct ring_slot *to = r->slots + r->cap_slots;
	struct ring_slot *from = malloc(n * sizeof(*from));

	if (!from) {
		r->n_slots = 0;
		return;
	}
	memcpy(from, r->slots,
	       n * sizeof(*from)); /* the walk leaves them there from 0 on, by place */
	r->n_slots = 0;
	for (uint32_t i = 0; i < n; i++) {
		const struct ring_slot *s = &from[(newest + n - i) % n];

		if (s->seq < oldest_seq || s->seq >= seq)
			continue;
		uint64_t units = ring_record_size(s->len) / RING_UNIT;

		if (s->unit >= before && !floor) { /* the lap before; not over what is newer */
			floor = from[newest].unit + ring_record_size(from[newest].len) / RING_UNIT;
			before = UINT64_MAX;
		}
		if (s->unit >= before || units > before - s->unit || s->unit < floor)
			break;
		*--to = *s;
		at--;
		seq = s->seq;
		before = s->unit;
		r->n_slots++;
	}
	r->first_slot = at & (r->cap_slots - 1);
	free(from);
}

static uint32_t find_newest(const struct ring *r)
{
	uint32_t best = 0;

	for (uint32_t i = 1; i < r->n_slots; i++)
		if (ring_slot(r, i)->seq > ring_slot(r, best)->seq)
			best = i;
	return best;
}

static void drop_slot(struct ring *r, uint32_t i)
{
	for (; i + 1 < r->n_slots; i++)
		*ring_slot(r, i) = *ring_slot(r, i + 1);
	r->n_slots--;
}

/* Numbers that should be there and are not. */
static uint64_t count_missing(const struct ring *r, const struct walk *w)
{
	uint64_t from = w->oldest_seq > r->super.oldest_seq ? w->oldest_seq : r->super.oldest_seq;
	uint64_t missing, n = r->n_slots;

	if (r->next_seq <= from)
		return 0;
	missing = r->next_seq - from;
	return missing > n ? missing - n : 0;
}

static int settle(struct ring *r, struct walk *w)
{
	bool torn = false;
	uint32_t newest;

	if (r->n_slots && !newest_is_whole(r, w->newest_at)) {
		torn = true; /* loss of power spoils no other; what it evicted is gone all the same */
		drop_slot(r, find_newest(r));
	}
	newest = find_newest(r);
	if (r->n_slots)
		arrange(r, newest, w->oldest_seq);
	r->next_seq = torn ? w->newest_seq : w->newest_seq + 1;
	if (r->super.next_seq > r->next_seq)
		r->next_seq = r->super.next_seq;
	if (r->next_seq < w->oldest_seq)
		r->next_seq = w->oldest_seq;
	r->stats.damaged += count_missing(r, w);
	if (r->n_slots) {
		const struct ring_slot *s = ring_slot(r, r->n_slots - 1);

		r->head = (uint64_t)s->unit * RING_UNIT + ring_record_size(s->len);
	}
	if (torn) {
		r->stats.damaged += w->newest_seq >= r->next_seq;
		if (!r->read_only) /* its number is given out again, maybe elsewhere */
			return ring_record_spoil(r, w->newest_at);
	}
	return 0;
}

/* Of the newest that is whole: a torn one must not take away the frames it was to hold. */
static uint64_t find_journal_tail(const struct ring *r)
{
	struct ring_record h;
	uint64_t at;

	if (!r->n_slots)
		return r->super.journal_tail;
	at = (uint64_t)ring_slot(r, r->n_slots - 1)->unit * RING_UNIT;
	return ring_record_read(r, at, &h) == 1 && h.journal_tail > r->super.journal_tail
		       ? h.journal_tail
		       : r->super.journal_tail;
}

int ring_recover(struct ring *r)
{
	struct walk w = {.oldest_seq = 0};
	int e = walk(r, &w);

	if (e >= 0)
		e = settle(r, &w);
	if (e < 0)
		return e;
	r->journal_tail = find_journal_tail(r);
	return ring_dir_count(r);
}
