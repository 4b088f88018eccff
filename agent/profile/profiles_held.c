/* Sealed epochs in order of time: what is kept of them, and where they lie on the timeline. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "profile/profiles_internal.h"

/* ---- boots ---- */

/* As the history has placed them, if it has. */
void shelf_place_boots(struct profiles *p)
{
	struct shelf *s = &p->shelf;
	int64_t next_us = INT64_MAX;
	size_t i = s->n_boots;

	for (size_t k = 0; k < s->n_boots; k++)
		if (strcmp(s->boots[k].id, p->boot_id) == 0) {
			s->boots[k].shift_us = 0;
			i = k;
			next_us = s->boots[k].first_us;
		}
	for (; i > 0; i--) {
		struct boot *b = &s->boots[i - 1];

		b->shift_us = b->real_off_us - p->real_off_us;
		if (next_us != INT64_MAX && b->shift_us + b->last_us >= next_us)
			b->shift_us = next_us - b->last_us - 1;
		if (p->c.history)
			history_boot_shift(p->c.history, b->id, &b->shift_us);
		next_us = b->shift_us + b->first_us;
	}
}

static int find_boot(struct profiles *p, const struct epoch_head *h, uint32_t *ret)
{
	struct shelf *s = &p->shelf;
	size_t i = s->n_boots;

	while (i > 0 && strcmp(s->boots[i - 1].id, h->boot_id) != 0)
		i--;
	if (!i) {
		struct boot *grown = realloc(s->boots, (s->n_boots + 1) * sizeof(*grown));

		if (!grown)
			return -ENOMEM;
		s->boots = grown;
		i = ++s->n_boots;
		grown[i - 1] = (struct boot){.first_us = INT64_MAX, .last_us = INT64_MIN};
		memcpy(grown[i - 1].id, h->boot_id, BOOT_LEN);
	}
	if (h->from_us < s->boots[i - 1].first_us)
		s->boots[i - 1].first_us = h->from_us;
	if (h->to_us >= s->boots[i - 1].last_us) {
		s->boots[i - 1].last_us = h->to_us;
		s->boots[i - 1].real_off_us = h->real_off_us;
	}
	shelf_place_boots(p);
	*ret = (uint32_t)(i - 1);
	return 0;
}

int64_t shelf_shift(const struct profiles *p, const struct held *h)
{
	return p->shelf.boots[h->boot].shift_us;
}

/* ---- the list ---- */

static void drop_decoded(struct shelf *s, struct held *h)
{
	if (!h->decoded)
		return;
	s->decoded_bytes -= stacks_bytes(h->decoded);
	stacks_free(h->decoded);
	h->decoded = NULL;
}

static void drop_data(struct shelf *s, struct held *h)
{
	if (!h->data && !h->kept)
		return;
	s->bytes -= h->len;
	free(h->data);
	h->data = NULL;
	if (h->kept)
		keep_remove(s, h->kept);
	h->kept = 0;
}

static void free_held(struct shelf *s, struct held *h)
{
	memos_drop(s, h);
	drop_decoded(s, h);
	drop_data(s, h);
	free(h);
}

void shelf_done(struct shelf *s)
{
	for (size_t i = 0; i < s->n; i++) {
		s->v[i]->kept = 0; /* for the next agent */
		free_held(s, s->v[i]);
	}
	free(s->v);
	free(s->boots);
	*s = (struct shelf){.dir_fd = -1};
}

/* Boots in order of appearance; within one by time, then as they came. */
static bool before(const struct held *a, const struct held *b)
{
	if (a->boot != b->boot)
		return a->boot < b->boot;
	if (a->head.from_us != b->head.from_us)
		return a->head.from_us < b->head.from_us;
	return a->id < b->id;
}

int shelf_add(struct profiles *p, const struct epoch_head *head, uint8_t *data, uint32_t len,
	      const struct ring_entry *entry, struct held **ret)
{
	struct shelf *s = &p->shelf;
	struct held *h = calloc(1, sizeof(*h));
	size_t i;

	if (!h)
		return -ENOMEM;
	if (s->n == s->cap) {
		size_t cap = s->cap ? s->cap * 2 : 32;
		struct held **v = realloc(s->v, cap * sizeof(*v));

		if (!v) {
			free(h);
			return -ENOMEM;
		}
		s->v = v;
		s->cap = cap;
	}
	*h = (struct held){.head = *head, .id = ++s->next_id, .data = data, .len = len};
	if (find_boot(p, head, &h->boot) < 0) {
		free(h);
		return -ENOMEM;
	}
	if (entry) {
		h->entry = *entry;
		s->disk_bytes += len;
	}
	s->bytes += data ? len : 0;
	s->samples += head->n_samples;
	s->sample_bytes += len;
	for (i = s->n++; i > 0 && before(h, s->v[i - 1]); i--)
		s->v[i] = s->v[i - 1];
	s->v[i] = h;
	h->refs = ret != NULL;
	shelf_shrink(p);
	if (ret)
		*ret = h;
	return 0;
}

/* Takes the i-th off the list; who reads it frees it. */
static void take_off(struct shelf *s, size_t i)
{
	struct held *h = s->v[i];

	s->n--;
	memmove(s->v + i, s->v + i + 1, (s->n - i) * sizeof(*s->v));
	s->samples -= h->head.n_samples;
	s->sample_bytes -= h->len;
	s->disk_bytes -= h->entry.seq ? h->len : 0;
	if (h->refs) {
		h->gone = true;
		return;
	}
	free_held(s, h);
}

/* ---- what memory allows ---- */

static bool drop_oldest_decoded(struct shelf *s)
{
	struct held *oldest = NULL;

	for (size_t i = 0; i < s->n; i++)
		if (s->v[i]->decoded && !s->v[i]->refs && s->v[i]->used <= s->pass &&
		    (!oldest || s->v[i]->used < oldest->used))
			oldest = s->v[i];
	if (oldest)
		drop_decoded(s, oldest);
	return oldest != NULL;
}

/* The oldest that memory has goes; if it is on disk, only from memory. */
static bool drop_oldest_data(struct shelf *s)
{
	for (size_t i = 0; i < s->n; i++) {
		struct held *h = s->v[i];

		if ((!h->data && !h->kept) || h->refs)
			continue;
		if (h->entry.seq)
			drop_data(s, h);
		else
			take_off(s, i);
		return true;
	}
	return false;
}

void shelf_shrink(struct profiles *p)
{
	struct shelf *s = &p->shelf;
	uint64_t sealed_max = quarter(p) * 3 / 2, most = 2 * quarter(p);

	while (s->bytes > sealed_max && drop_oldest_data(s))
		;
	while (s->bytes + s->decoded_bytes > most &&
	       (drop_oldest_decoded(s) || memos_drop_oldest(s)))
		;
}

bool shelf_make_room(struct profiles *p, size_t bytes)
{
	struct shelf *s = &p->shelf;
	uint64_t most = 2 * quarter(p);

	while (s->bytes + s->decoded_bytes + bytes > most &&
	       (drop_oldest_decoded(s) || memos_drop_oldest(s)))
		;
	return s->bytes + s->decoded_bytes + bytes <= most;
}

void shelf_evicted(struct profiles *p, uint64_t seq)
{
	struct shelf *s = &p->shelf;

	for (size_t i = s->n; i-- > 0;) {
		struct held *h = s->v[i];

		if (!h->entry.seq || h->entry.seq >= seq)
			continue;
		if (!h->data) {
			take_off(s, i);
		} else {
			h->entry.seq = 0;
			s->disk_bytes -= h->len;
		}
	}
}

/* ---- reading ---- */

struct held *shelf_next(struct profiles *p, const struct held *after, int64_t from_us,
			int64_t to_us, bool reach, uint64_t done)
{
	struct shelf *s = &p->shelf;

	for (size_t i = 0; i < s->n; i++) {
		struct held *h = s->v[i];
		int64_t shift_us = shelf_shift(p, h);
		int64_t begins_us = (reach ? h->head.reach_us : h->head.from_us) + shift_us;

		if (h->damaged || (h->number && h->number <= done) || (after && !before(after, h)))
			continue;
		if (begins_us >= to_us || h->head.to_us + shift_us < from_us)
			continue;
		h->refs++;
		return h;
	}
	return NULL;
}

void shelf_release(struct profiles *p, struct held *h)
{
	h->used = ++p->shelf.uses;
	if (--h->refs == 0 && h->gone)
		free_held(&p->shelf, h);
}

bool shelf_has(const struct profiles *p, const char *boot_id, int64_t from_us)
{
	for (size_t i = 0; i < p->shelf.n; i++) {
		const struct epoch_head *h = &p->shelf.v[i]->head;

		if (h->from_us == from_us && strcmp(h->boot_id, boot_id) == 0)
			return true;
	}
	return false;
}

int64_t shelf_oldest_us(struct profiles *p)
{
	int64_t oldest_us = INT64_MAX;

	for (size_t i = 0; i < p->shelf.n; i++) {
		int64_t us = p->shelf.v[i]->head.from_us + shelf_shift(p, p->shelf.v[i]);

		oldest_us = us < oldest_us ? us : oldest_us;
	}
	return oldest_us;
}

int64_t shelf_next_us(const struct profiles *p, int64_t from_us, int64_t to_us)
{
	int64_t next_us = to_us;

	for (size_t i = 0; i < p->shelf.n; i++) {
		const struct held *h = p->shelf.v[i];
		int64_t begins_us = h->head.from_us + shelf_shift(p, h);

		if (h->damaged || h->head.to_us + shelf_shift(p, h) < from_us)
			continue;
		begins_us = begins_us > from_us ? begins_us : from_us;
		next_us = begins_us < next_us ? begins_us : next_us;
	}
	return next_us;
}

static void move_times(struct stacks *s, int64_t by_us, const char *boot_id)
{
	memcpy(s->boot_id, boot_id, sizeof(s->boot_id));
	if (!by_us)
		return;
	s->from_us += by_us;
	s->to_us += by_us;
	s->real_off_us -= by_us;
	for (uint32_t i = 0; i < s->n_samples; i++)
		s->samples[i].at_us += by_us;
	for (uint32_t i = 0; i < s->n_notes; i++)
		s->notes[i].at_us += by_us;
}

static int decode(struct profiles *p, const struct held *h, struct stacks **ret)
{
	uint8_t *data = h->data;
	int r = 0;

	if (!data) {
		data = malloc(h->len);
		if (!data)
			r = -ENOMEM;
		else if (h->kept)
			r = keep_read(&p->shelf, h->kept, data, h->len);
		else
			r = ring_read(p->c.ring, &h->entry, data);
	}
	if (r >= 0)
		r = epoch_decode(data, h->len, ret);
	if (data != h->data)
		free(data);
	return r;
}

int shelf_read(struct profiles *p, struct held *h, bool keep, struct stacks **ret, bool *cached)
{
	struct stacks *s = h->decoded;
	int64_t shift_us;
	int r = s ? 0 : decode(p, h, &s);

	pthread_mutex_lock(&p->lock);
	shift_us = shelf_shift(p, h);
	if (r < 0) {
		if (r == -EBADMSG || r == -EPROTONOSUPPORT) {
			p->shelf.damaged += !h->damaged;
			h->damaged = true;
		}
		pthread_mutex_unlock(&p->lock);
		return r;
	}
	if (!h->decoded)
		h->decoded_shift_us = 0;
	*cached = h->decoded != NULL;
	if (keep && !h->decoded && !h->gone) {
		size_t bytes = stacks_bytes(s);

		if (shelf_make_room(p, bytes)) {
			h->decoded = s;
			p->shelf.decoded_bytes += bytes;
			*cached = true;
		}
	}
	move_times(s, shift_us - h->decoded_shift_us, p->boot_id);
	h->decoded_shift_us = h->decoded ? shift_us : 0;
	pthread_mutex_unlock(&p->lock);
	*ret = s;
	return 0;
}
