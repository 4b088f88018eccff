/* The bytes of blocks: from memory or the disk, opened, and given back. */
#include "base/crc32c.h"

#include <errno.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

#include "store/history_internal.h"

enum {
	ROLLUP_SHARE = 4
}; /* of the memory rollups take a quarter at most, while there are others */

/* ---- catalogs ---- */

static struct held_catalog *find_catalog(const struct history *h, uint32_t crc)
{
	for (size_t i = h->n_catalogs; i > 0; i--)
		if (h->catalogs[i - 1]->crc == crc)
			return h->catalogs[i - 1];
	return NULL;
}

int history_keep_catalog(struct history *h, uint32_t crc, const uint8_t *payload, size_t len,
			 struct ring *ring, const struct ring_entry *e)
{
	struct held_catalog *c = find_catalog(h, crc), **list;

	if (c) {
		if (e && !c->payload && (c->ring == ring || !c->ring)) {
			c->ring = ring;
			c->entry = *e; /* written again, where it stays longer */
		}
		return 0;
	}
	c = calloc(1, sizeof(*c));
	list = realloc(h->catalogs, (h->n_catalogs + 1) * sizeof(struct held_catalog *));
	if (list)
		h->catalogs = list;
	if (c && payload)
		c->payload = malloc(len);
	if (!c || !list || (payload && !c->payload)) {
		free(c);
		return -ENOMEM;
	}
	if (payload)
		memcpy(c->payload, payload, len);
	if (e)
		c->entry = *e;
	c->ring = ring;
	c->crc = crc;
	c->len = len;
	h->catalogs[h->n_catalogs++] = c;
	return 0;
}

/* Parses a payload. 0; -EBADMSG, -ENOMEM. */
static int parse_catalog(struct mirror *m, uint32_t crc, const uint8_t *payload, size_t len)
{
	struct frame f = {.data = payload, .len = len};

	if (crc32c(0, payload, len) != crc || frame_type(&f) != FRAME_CATALOG)
		return -EBADMSG;
	return mirror_apply(m, &f);
}

/* The catalog of this checksum, which stays as long as the history. */
static int load_catalog(struct history *h, uint32_t crc, struct mirror **ret)
{
	struct held_catalog *c;
	struct ring_entry e = {0};
	uint8_t *payload = NULL, *copy = NULL;
	struct ring *ring = NULL;
	struct mirror *m = NULL;
	size_t len = 0;
	int r = -EBADMSG;

	pthread_mutex_lock(&h->lock);
	c = find_catalog(h, crc);
	if (c) {
		m = c->mirror;
		payload = c->payload;
		len = c->len;
		ring = c->ring;
		e = c->entry;
	}
	pthread_mutex_unlock(&h->lock);
	if (m || !c) {
		*ret = m;
		return m ? 0 : -EBADMSG;
	}
	m = calloc(1, sizeof(*m));
	if (!payload)
		copy = malloc(len ? len : 1);
	if (!m || (!payload && !copy))
		r = -ENOMEM;
	else if (copy)
		r = h->ring_read(ring, &e, copy);
	else
		r = 0;
	if (r == 0)
		r = parse_catalog(m, crc, copy ? copy : payload, len);
	free(copy);
	if (r < 0) {
		free(m);
		return r == -ENOMEM ? r : -EBADMSG;
	}
	pthread_mutex_lock(&h->lock);
	if (c->mirror) { /* another reader was faster */
		mirror_done(m);
		free(m);
	} else {
		c->mirror = m;
	}
	*ret = c->mirror;
	pthread_mutex_unlock(&h->lock);
	return 0;
}

static int take_state(struct mirror *to, const struct frame *f)
{
	enum frame_type type = frame_type(f);

	return type == FRAME_CATALOG || type == FRAME_CLOCK ? mirror_apply(to, f) : 0;
}

/* Reads the newest CATALOG, and CLOCK frames from the segment of frame `seq` on. */
static int log_catalog(struct log *l, uint64_t seq, struct mirror *to)
{
	uint8_t head[CURSOR_HEAD];
	uint64_t from, lost;
	struct frame f;
	struct cursor c;
	int r = cursor_open_seq(&c, l, seq);

	while (r == 0) {
		bool in_segment = cursor_peek(&c, head) == 1;

		if (in_segment && head[0] != FRAME_CATALOG && head[0] != FRAME_CLOCK) {
			cursor_skip(&c);
			continue;
		}
		r = cursor_next(&c, &f, &from, &lost);
		if (r == 0)
			break;
		r = r == -ESTALE ? 0 : r < 0 ? r : take_state(to, &f);
	}
	cursor_close(&c);
	return r < 0 ? r : to->version ? 0 : -ENOENT;
}

/* A reader's own copy. */
static int own_catalog(struct history *h, uint32_t crc, struct mirror *to)
{
	struct held_catalog *c;
	struct mirror *m;
	uint8_t *copy;
	int r = load_catalog(h, crc, &m); /* says whether it is sound */

	if (r < 0)
		return r;
	pthread_mutex_lock(&h->lock);
	c = find_catalog(h, crc);
	pthread_mutex_unlock(&h->lock);
	if (c->payload)
		return parse_catalog(to, crc, c->payload, c->len);
	copy = malloc(c->len ? c->len : 1);
	r = copy ? h->ring_read(c->ring, &c->entry, copy) : -ENOMEM;
	if (r == 0)
		r = parse_catalog(to, crc, copy, c->len);
	free(copy);
	return r;
}

int history_catalog(struct history *h, struct mirror *to)
{
	uint32_t crc = 0;
	bool found = false;
	int r = h->config.log ? log_catalog(h->config.log, history_sealed_seq(h), to) : -ENOENT;

	if (r != -ENOENT)
		return r;
	pthread_mutex_lock(&h->lock);
	history_list(h);
	if (h->full.n || h->rollups.n) {
		crc = (h->full.n ? h->full.v[h->full.n - 1] : h->rollups.v[h->rollups.n - 1])
			      ->head.catalog_crc;
		found = true;
	}
	pthread_mutex_unlock(&h->lock);
	if (!found)
		return -ENOENT;
	return own_catalog(h, crc, to);
}

int history_catalog_with(struct history *h, const char *metric, struct mirror *to)
{
	uint32_t group, index, crc = 0;
	struct mirror *m;
	size_t n;

	pthread_mutex_lock(&h->lock);
	history_list(h);
	n = h->n_catalogs;
	pthread_mutex_unlock(&h->lock);
	while (n-- > 0) {
		pthread_mutex_lock(&h->lock);
		crc = h->catalogs[n]->crc;
		pthread_mutex_unlock(&h->lock);
		if (load_catalog(h, crc, &m) == 0 && mirror_find_metric(m, metric, &group, &index))
			return own_catalog(h, crc, to);
	}
	return -ENOENT;
}

/* ---- blocks ---- */

/* What of memory can go: the copy of a block of the disk that was not looked at longest, or the
 * oldest block that is nowhere else. */
static struct held *find_victim(struct history *h)
{
	struct held *victim = NULL, *oldest[2] = {NULL};
	struct held_list *lists[] = {&h->rollups, &h->full};
	uint64_t rollups = 0;

	for (size_t k = 0; k < 2; k++)
		for (size_t i = 0; i < lists[k]->n; i++) {
			struct held *b = lists[k]->v[i];

			rollups += b->data && b->rollup ? b->len : 0;
			if (!b->data || b->pins)
				continue;
			if (!b->on_disk)
				oldest[k] = oldest[k] ? oldest[k] : b;
			else if (!victim || b->used < victim->used)
				victim = b;
		}
	if (victim)
		return victim;
	return oldest[0] && (!oldest[1] || rollups > h->config.memory_bytes / ROLLUP_SHARE)
		       ? oldest[0]
		       : oldest[1];
}

void history_trim(struct history *h)
{
	while (h->bytes > h->config.memory_bytes) {
		struct held *b = find_victim(h);

		if (!b)
			return;
		h->bytes -= b->len;
		free(b->data);
		b->data = NULL;
		if (!b->on_disk)
			history_remove(h, b);
	}
}

static struct held *find_warm(struct history *h)
{
	for (size_t i = h->full.n > HISTORY_WARM ? h->full.n - HISTORY_WARM : 0; i > 0; i--) {
		struct held *b = h->full.v[i - 1];

		if (b->cold)
			return NULL; /* and so are those before it */
		if (b->data && !b->on_disk)
			return b;
	}
	return NULL;
}

void history_cool(struct history *h)
{
	uint8_t *data = NULL, *old = NULL;
	struct held *b;
	size_t len = 0;
	int r = -ENOENT;

	pthread_mutex_lock(&h->lock);
	b = find_warm(h);
	if (b) {
		b->pins++;
		b->refs++;
	}
	pthread_mutex_unlock(&h->lock);
	if (!b)
		return;
	r = block_compress(b->data, b->len, &data, &len);
	pthread_mutex_lock(&h->lock);
	b->cold = true; /* or cannot be: not tried again */
	if (r == 0 && b->pins == 1 && len < b->len) {
		old = b->data;
		h->bytes -= b->len - len;
		b->data = data;
		b->len = len;
		atomic_store(&b->checked, 0);
		data = NULL;
	} else if (r == 0 && b->pins > 1) {
		b->cold = false; /* it is being read: another time */
	}
	b->pins--;
	history_unref(h, b);
	pthread_mutex_unlock(&h->lock);
	free(old);
	free(data);
}

/* Has the bytes of a block in memory and pinned. 0; -ESTALE: it is gone; -EBADMSG, -ENOMEM, -errno. */
static int pin(struct history *h, struct held *b)
{
	struct ring_entry e;
	uint8_t *data;
	int r = 0;

	pthread_mutex_lock(&h->lock);
	if (b->data) {
		b->pins++;
		b->used = ++h->uses;
	} else {
		r = b->on_disk ? 1 : -ESTALE;
		e = b->entry;
	}
	pthread_mutex_unlock(&h->lock);
	if (r <= 0)
		return r;
	data = malloc(e.len);
	r = data ? h->ring_read(b->ring, &e, data) : -ENOMEM;
	pthread_mutex_lock(&h->lock);
	if (r < 0) {
		free(data);
		for (size_t i = 0; i < h->n_rings && r == -ESTALE; i++)
			h->rings[i].stale = true;
	} else {
		if (b->data) {
			free(data);
		} else {
			b->data = data;
			atomic_store(&b->checked, 0);
			b->len = e.len;
			h->bytes += e.len;
		}
		b->pins++;
		b->used = ++h->uses;
		history_trim(h);
	}
	pthread_mutex_unlock(&h->lock);
	return r;
}

static void unpin(struct history *h, struct held *b)
{
	pthread_mutex_lock(&h->lock);
	b->pins--;
	history_unref(h, b);
	history_trim(h);
	pthread_mutex_unlock(&h->lock);
}

static struct block_tools *take_tools(struct history *h)
{
	struct block_tools *t = NULL;

	pthread_mutex_lock(&h->lock);
	if (h->n_spare)
		t = h->spare[--h->n_spare];
	pthread_mutex_unlock(&h->lock);
	return t ? t : calloc(1, sizeof(*t)); /* NULL: the block makes its own */
}

static void give_tools(struct history *h, struct block_tools *t)
{
	if (!t)
		return;
	t->checked = NULL;
	pthread_mutex_lock(&h->lock);
	if (h->n_spare < HISTORY_TOOLS) {
		h->spare[h->n_spare++] = t;
		t = NULL;
	}
	pthread_mutex_unlock(&h->lock);
	if (t) {
		block_tools_done(t);
		free(t);
	}
}

int history_load(struct history *h, struct held *b, bool whole, struct history_block *ret)
{
	struct history_block o = {.owner = b};
	int r = pin(h, b);

	if (r < 0)
		return r;
	pthread_mutex_lock(&h->lock);
	b->refs++;
	o.shift_us = b->shift_us;
	o.log_number = b->log_number;
	o.boot_number = b->boot_number;
	o.rollup = b->rollup;
	o.from_us = b->from_us - b->head.bucket_us; /* a bucket's time is when it began */
	o.to_us = b->to_us + 1;
	if (b->rollup && !whole && history_full_from(h) < o.to_us)
		o.to_us = history_full_from(h) - b->head.bucket_us + 1;
	pthread_mutex_unlock(&h->lock);
	r = load_catalog(h, b->head.catalog_crc, &o.catalog);
	o.tools = take_tools(h);
	if (o.tools)
		((struct block_tools *)o.tools)->checked = &b->checked;
	if (r == 0)
		r = block_open_with(&o.block, b->data, b->len, o.tools);
	if (r < 0) {
		give_tools(h, o.tools);
		unpin(h, b);
		return r;
	}
	*ret = o;
	return 1;
}

void history_release(struct history *h, struct history_block *b)
{
	block_close(b->block);
	give_tools(h, b->tools);
	unpin(h, b->owner);
	*b = (struct history_block){0};
}

const uint8_t *history_bytes(const struct history_block *b, size_t *len)
{
	const struct held *held = b->owner;

	*len = held->len;
	return held->data; /* pinned */
}

int history_catalog_bytes(struct history *h, const struct history_block *b, uint8_t **ret,
			  size_t *len)
{
	const struct held *held = b->owner;
	struct held_catalog *c;
	struct ring_entry e = {0};
	const uint8_t *payload = NULL;
	uint8_t *copy;
	size_t n = 0;
	int r = 0;

	pthread_mutex_lock(&h->lock);
	c = find_catalog(h, held->head.catalog_crc);
	if (c) {
		payload = c->payload; /* stays as long as the history */
		n = c->len;
		e = c->entry;
	}
	pthread_mutex_unlock(&h->lock);
	if (!c)
		return -EBADMSG;
	copy = malloc(n ? n : 1);
	if (!copy)
		return -ENOMEM;
	if (payload)
		memcpy(copy, payload, n);
	else
		r = h->ring_read(c->ring, &e, copy);
	if (r == 0 && crc32c(0, copy, n) != held->head.catalog_crc)
		r = -EBADMSG;
	if (r < 0) {
		free(copy);
		return r;
	}
	*ret = copy;
	*len = n;
	return 0;
}
