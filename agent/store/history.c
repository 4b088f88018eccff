#include "store/history.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "store/history_internal.h"

/* ---- the lists ---- */

static bool before(const struct held *a, const struct held *b)
{
	if (a->boot_number != b->boot_number)
		return a->boot_number < b->boot_number;
	if (a->log_number == b->log_number)
		return a->head.first_seq < b->head.first_seq;
	return a->head.from_us < b->head.from_us;
}

/* From block `at` on, and back as far as it changes something. */
static void reach_from(struct held_list *l, size_t at)
{
	for (size_t i = at; i < l->n; i++) {
		struct held *b = l->v[i];

		b->reach_us =
			i && l->v[i - 1]->reach_us > b->to_us ? l->v[i - 1]->reach_us : b->to_us;
	}
	for (size_t i = l->n; i > 0; i--) {
		struct held *b = l->v[i - 1];
		int64_t since_us =
			i < l->n && l->v[i]->since_us < b->from_us ? l->v[i]->since_us : b->from_us;

		if (i - 1 < at && since_us == b->since_us)
			break;
		b->since_us = since_us;
	}
}

void history_reach(struct held_list *l)
{
	reach_from(l, 0);
}

int history_insert(struct history *h, struct held *b)
{
	struct held_list *l = b->rollup ? &h->rollups : &h->full;
	size_t n_boots = h->n_boots, at = l->n;

	if (l->n == l->cap) {
		size_t cap = l->cap ? 2 * l->cap : 64;
		struct held **v = realloc(l->v, cap * sizeof(struct held *));

		if (!v)
			return -ENOMEM;
		l->v = v;
		l->cap = cap;
	}
	if (history_number_boot(h, &b->head, &b->boot_number) < 0 ||
	    history_number_log(h, b->head.log_id, &b->log_number) < 0)
		return -ENOMEM;
	while (at > 0 && before(b, l->v[at - 1]))
		at--;
	memmove(l->v + at + 1, l->v + at, (l->n - at) * sizeof(struct held *));
	l->v[at] = b;
	l->n++;
	b->refs++;
	if (h->n_boots != n_boots)
		history_place_boots(h);
	history_shift(h, b);
	reach_from(l, at);
	if (!b->rollup && h->config.log && b->head.last_seq > h->sealed_seq &&
	    memcmp(b->head.log_id, log_id(h->config.log), LOG_ID_LEN) == 0) {
		h->sealed_seq = b->head.last_seq;
		h->sealed_us = b->to_us;
	}
	return 0;
}

void history_unref(struct history *h, struct held *b)
{
	if (--b->refs)
		return;
	if (b->data)
		h->bytes -= b->len;
	free(b->data);
	free(b);
}

void history_remove(struct history *h, struct held *b)
{
	struct held_list *l = b->rollup ? &h->rollups : &h->full;

	for (size_t i = 0; i < l->n; i++)
		if (l->v[i] == b) {
			memmove(l->v + i, l->v + i + 1, (--l->n - i) * sizeof(struct held *));
			history_unref(h, b);
			return;
		}
}

/* ---- the ring ---- */

/* What was written over is on the disk no longer. */
static void forget_evicted(struct history *h, struct held_list *l, const struct ring *ring,
			   uint64_t oldest_seq)
{
	for (size_t i = 0; i < l->n;) {
		struct held *b = l->v[i];

		if (b->on_disk && b->ring == ring && b->entry.seq < oldest_seq) {
			b->on_disk = false;
			if (!b->data) {
				history_remove(h, b);
				continue;
			}
		}
		i++;
	}
}

/* The block of memory that the ring has now, too. */
static struct held *find_added(const struct held_list *l, const struct block_head *head)
{
	for (size_t i = l->n; i > 0; i--) {
		struct held *b = l->v[i - 1];

		if (!b->on_disk && b->head.first_seq == head->first_seq &&
		    memcmp(b->head.log_id, head->log_id, LOG_ID_LEN) == 0)
			return b;
	}
	return NULL;
}

static int list_block(struct history *h, struct ring *ring, const struct ring_entry *e)
{
	bool rollup = e->type == RING_ROLLUP;
	struct held *b = find_added(rollup ? &h->rollups : &h->full, &e->block);
	int r = 0;

	if (!b) {
		b = calloc(1, sizeof(*b));
		if (!b)
			return -ENOMEM;
		b->head = e->block;
		b->rollup = rollup;
		r = history_insert(h, b);
		if (r < 0) {
			free(b);
			return r;
		}
	}
	b->on_disk = true;
	b->ring = ring;
	b->entry = *e;
	return 0;
}

static void list_ring(struct history *h, struct held_ring *ring)
{
	struct ring_entry *list;
	size_t n;

	list = h->ring_list(ring->ring, &n);
	if (!list)
		return; /* next time */
	forget_evicted(h, &h->full, ring->ring, n ? list[0].seq : UINT64_MAX);
	forget_evicted(h, &h->rollups, ring->ring, n ? list[0].seq : UINT64_MAX);
	ring->stale = false;
	for (size_t i = 0; i < n; i++) {
		const struct ring_entry *e = &list[i];
		int r;

		if (e->seq <= ring->listed_seq)
			continue;
		r = e->type == RING_CATALOG
			    ? history_keep_catalog(h, e->catalog_crc, NULL, e->len, ring->ring, e)
			    : list_block(h, ring->ring, e);
		if (r < 0) {
			ring->stale = true;
			break;
		}
		ring->listed_seq = e->seq;
	}
	free(list);
}

void history_list(struct history *h)
{
	for (size_t i = 0; i < h->n_rings; i++) {
		bool first = !h->rings[i].listed_seq;

		if (h->rings[i].stale)
			list_ring(h, &h->rings[i]);
		if (first && h->n_boots)
			history_place_boots(h); /* by the last offset of each */
	}
}

/* ---- life ---- */

int history_open(struct history **ret, const struct history_config *config)
{
	struct history *h = calloc(1, sizeof(*h));

	if (!h)
		return -ENOMEM;
	h->config = *config;
	strncpy(h->boot_id, config->boot_id ? config->boot_id : "", sizeof(h->boot_id) - 1);
	h->config.boot_id = h->boot_id;
	pthread_mutex_init(&h->lock, NULL);
	*ret = h;
	return 0;
}

static void free_list(struct history *h, struct held_list *l)
{
	while (l->n)
		history_unref(h, l->v[--l->n]);
	free(l->v);
}

void history_close(struct history *h)
{
	if (!h)
		return;
	free_list(h, &h->full);
	free_list(h, &h->rollups);
	for (size_t i = 0; i < h->n_catalogs; i++) {
		struct held_catalog *c = h->catalogs[i];

		if (c->mirror)
			mirror_done(c->mirror);
		free(c->mirror);
		free(c->payload);
		free(c);
	}
	while (h->n_spare) {
		block_tools_done(h->spare[--h->n_spare]);
		free(h->spare[h->n_spare]);
	}
	free(h->catalogs);
	free(h->boots);
	free(h->logs);
	pthread_mutex_destroy(&h->lock);
	free(h);
}

struct log *history_log(struct history *h)
{
	return h->config.log;
}

int history_add(struct history *h, struct sealed *s, bool on_disk)
{
	struct held *b = calloc(1, sizeof(*b));
	int r = -ENOMEM;

	if (!b)
		return r;
	b->head = s->head;
	b->rollup = s->head.bucket_us != 0;
	b->data = s->data;
	b->len = s->len;
	pthread_mutex_lock(&h->lock);
	if (s->catalog)
		r = history_keep_catalog(h, s->head.catalog_crc, s->catalog, s->catalog_len, NULL,
					 NULL);
	else
		r = 0; /* it is known, or the disk has it */
	if (r == 0)
		r = history_insert(h, b);
	if (r == 0) {
		b->used = ++h->uses;
		h->bytes += b->len;
		for (size_t i = 0; i < h->n_rings && on_disk; i++)
			h->rings[i].stale = true;
		history_list(h);
		history_trim(h);
	}
	pthread_mutex_unlock(&h->lock);
	if (r < 0) {
		free(b);
		return r;
	}
	s->data = NULL;
	return 0;
}

/* ---- reading ---- */

uint64_t history_sealed_seq(struct history *h)
{
	uint64_t seq;

	pthread_mutex_lock(&h->lock);
	history_list(h);
	seq = h->sealed_seq;
	pthread_mutex_unlock(&h->lock);
	return seq;
}
