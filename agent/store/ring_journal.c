/* The ring's journal: log frames that are in no block yet. */
#include "store/ring_internal.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

static uint32_t frame_crc(const struct ring *r, const struct ring_frame *f, const void *payload)
{
	uint32_t crc = crc32c(r->seed, &f->len, sizeof(f->len));
	const size_t skip = offsetof(struct ring_frame, at);

	crc = crc32c(crc, (const uint8_t *)f + skip, sizeof(*f) - skip);
	return crc32c(crc, payload, f->len);
}

/* ---- what is held ---- */

static bool same_log(const uint8_t *a, const uint8_t *b)
{
	return memcmp(a, b, LOG_ID_LEN) == 0;
}

/* How many marks from the oldest on are needed no more, were that block held as well. The last one
 * stays, unless it was forgotten: without it the next frames could not be read. */
static uint32_t done_marks(const struct ring *r, const uint8_t *log_id, uint64_t last_seq)
{
	uint32_t i = 0;

	for (; i < r->n_marks; i++) {
		const struct ring_mark *m = &r->marks[i];
		uint64_t sealed = m->sealed_seq;

		if (log_id && same_log(m->log_id, log_id) && last_seq > sealed)
			sealed = last_seq;
		if (sealed < m->last_seq || (i + 1 == r->n_marks && sealed != UINT64_MAX))
			break;
	}
	return i;
}

uint64_t ring_journal_tail_after(const struct ring *r, const uint8_t *log_id, uint64_t last_seq)
{
	uint32_t i = done_marks(r, log_id, last_seq);

	return i < r->n_marks ? r->marks[i].at : r->journal_head;
}

static void publish(struct ring *r)
{
	pthread_mutex_lock(&r->lock);
	r->stats.journal_bytes = r->journal_head - r->journal_tail;
	pthread_mutex_unlock(&r->lock);
}

static void drop_done(struct ring *r)
{
	uint32_t n = done_marks(r, NULL, 0);

	r->journal_tail = n < r->n_marks ? r->marks[n].at : r->journal_head;
	r->n_marks -= n;
	if (n)
		memmove(r->marks, r->marks + n, r->n_marks * sizeof(*r->marks));
	publish(r);
}

void ring_journal_sealed(struct ring *r, const uint8_t *log_id, uint64_t last_seq)
{
	memcpy(r->sealed_log, log_id, sizeof(r->sealed_log));
	r->sealed_seq = last_seq;
	for (uint32_t i = 0; i < r->n_marks; i++)
		if (same_log(r->marks[i].log_id, log_id) && r->marks[i].sealed_seq < last_seq)
			r->marks[i].sealed_seq = last_seq;
	drop_done(r);
}

static bool begins_mark(const struct ring *r, const uint8_t *log_id, uint8_t type)
{
	return !r->n_marks || type == FRAME_CATALOG ||
	       !same_log(r->marks[r->n_marks - 1].log_id, log_id);
}

static int reserve_mark(struct ring *r)
{
	struct ring_mark *grown;

	if (r->n_marks < r->cap_marks)
		return 0;
	grown = realloc(r->marks, (r->cap_marks + 32) * sizeof(*grown));
	if (!grown)
		return -ENOMEM;
	r->marks = grown;
	r->cap_marks += 32;
	return 0;
}

/* Takes note of the frame at `at`; room for a mark was reserved. */
static void note_frame(struct ring *r, const struct ring_frame *f, uint8_t type)
{
	if (begins_mark(r, f->log_id, type)) {
		struct ring_mark *m = &r->marks[r->n_marks++];

		*m = (struct ring_mark){.at = f->at};
		memcpy(m->log_id, f->log_id, sizeof(m->log_id));
		if (same_log(r->sealed_log, f->log_id))
			m->sealed_seq = r->sealed_seq;
	}
	r->marks[r->n_marks - 1].last_seq = f->seq;
	r->journal_head = f->at + ring_frame_size(f->len);
}

/* ---- writing ---- */

static int reserve_frame(struct ring *r, size_t size)
{
	uint8_t *grown;

	if (size <= r->cap_frame)
		return 0;
	grown = realloc(r->frame_buf, size + 4096);
	if (!grown)
		return -ENOMEM;
	r->frame_buf = grown;
	r->cap_frame = size + 4096;
	return 0;
}

/* Where a frame of that size goes; makes the freed space durable before it is written again. */
static int find_room(struct ring *r, uint64_t size, uint64_t *ret)
{
	uint64_t all = r->super.journal_size, at = r->journal_head;
	int e;

	if (at % all + size > all)
		at += all - at % all;
	if (size > all || at + size - r->journal_tail > all)
		return -ENOSPC;
	if (at + size - r->durable_tail > all) {
		e = ring_flush(r);
		if (e < 0 && e != -ENOENT) {
			ring_failed(r, e);
			return e;
		}
	}
	*ret = at;
	return 0;
}

static int put_frame(struct ring *r, struct ring_frame *f, const uint8_t *payload)
{
	size_t size = ring_frame_size(f->len);
	int e = find_room(r, size, &f->at);

	if (e >= 0)
		e = reserve_mark(r);
	if (e >= 0)
		e = reserve_frame(r, size);
	if (e < 0)
		return e;
	f->crc = frame_crc(r, f, payload);
	memset(r->frame_buf + size - 8, 0, 8);
	memcpy(r->frame_buf, f, sizeof(*f));
	memcpy(r->frame_buf + sizeof(*f), payload, f->len);
	e = ring_write(r, r->frame_buf, size, r->super.journal_at + f->at % r->super.journal_size);
	ring_failed(r, e);
	if (e < 0)
		return e;
	note_frame(r, f, payload[0]);
	publish(r);
	return 0;
}

int ring_journal(struct ring *r, const uint8_t log_id[LOG_ID_LEN], const struct frame *frame)
{
	struct ring_frame f = {.len = (uint32_t)frame->len, .seq = frame->seq};

	if (r->read_only)
		return -EROFS;
	if (!frame->len || frame->len > LOG_FRAME_MAX)
		return -EINVAL;
	memcpy(f.log_id, log_id, sizeof(f.log_id));
	return put_frame(r, &f, frame->data);
}

int ring_journal_forget(struct ring *r, const uint8_t log_id[LOG_ID_LEN])
{
	int e = 0;

	if (r->read_only)
		return -EROFS;
	for (uint32_t i = 0; i < r->n_marks; i++)
		if (same_log(r->marks[i].log_id, log_id))
			r->marks[i].sealed_seq = UINT64_MAX;
	drop_done(r);
	for (unsigned i = 0; e >= 0 && i < 2; i++) { /* both: no record says it */
		e = ring_super_write(r);
		if (e >= 0)
			e = ring_flush(r);
	}
	ring_failed(r, e);
	return e == -ENOENT ? 0 : e;
}

/* ---- reading ---- */

/* The whole journal; what cannot be read is zeros. NULL: no memory. */
static uint8_t *load(const struct ring *r)
{
	uint64_t size = r->super.journal_size, at = r->super.journal_at;
	uint8_t *to = calloc(1, size);

	if (!to || r->io.ops->read(&r->io, to, size, at) == 0)
		return to;
	for (uint64_t i = 0; i < size; i += RING_SUPER_SIZE)
		if (r->io.ops->read(&r->io, to + i, RING_SUPER_SIZE, at + i) < 0)
			memset(to + i, 0, RING_SUPER_SIZE);
	return to;
}

/* The frame at offset `off` of the loaded journal; false: none, or a damaged one. */
static bool frame_at(const struct ring *r, const uint8_t *all, uint64_t off, struct ring_frame *ret)
{
	uint64_t size = r->super.journal_size;

	if (off + sizeof(*ret) > size)
		return false;
	memcpy(ret, all + off, sizeof(*ret));
	return ret->len && ret->len <= LOG_FRAME_MAX && ret->at <= RING_SEQ_MAX &&
	       ret->at % size == off && off + ring_frame_size(ret->len) <= size &&
	       ret->crc == frame_crc(r, ret, all + off + sizeof(*ret));
}

static int by_place(const void *a, const void *b)
{
	const struct ring_frame *x = a, *y = b;

	return x->at < y->at ? -1 : x->at > y->at;
}

/* All frames that validate, of whatever lap, oldest first. NULL: no memory. */
static struct ring_frame *find_frames(const struct ring *r, const uint8_t *all, size_t *ret_n)
{
	struct ring_frame *list = NULL, f;
	size_t n = 0, cap = 0;

	for (uint64_t off = 0; off < r->super.journal_size;) {
		if (!frame_at(r, all, off, &f)) {
			off += 8;
			continue;
		}
		if (n == cap) {
			struct ring_frame *grown;

			cap = cap ? cap * 2 : 1024;
			grown = realloc(list, cap * sizeof(*grown));
			if (!grown) {
				free(list);
				return NULL;
			}
			list = grown;
		}
		list[n++] = f;
		off += ring_frame_size(f.len);
	}
	if (n)
		qsort(list, n, sizeof(*list), by_place);
	*ret_n = n;
	return list ? list : malloc(1);
}

/* Whether something is missing before `f`: frames follow each other but at the journal's end, and so
 * do their numbers but before a CATALOG. */
static bool misses_some(const struct ring *r, const struct ring_frame *f, uint8_t type)
{
	uint64_t gap = f->at - r->journal_head;

	if (!gap)
		return false;
	if (f->at % r->super.journal_size || gap >= ring_frame_size(f->len) || !r->n_marks)
		return true;
	return !begins_mark(r, f->log_id, type) && f->seq != r->marks[r->n_marks - 1].last_seq + 1;
}

static int take_frames(struct ring *r, const uint8_t *all, const struct ring_frame *list, size_t n)
{
	uint64_t size = r->super.journal_size, end = 0;

	if (n)
		end = list[n - 1].at + ring_frame_size(list[n - 1].len);
	r->journal_head = r->journal_tail;
	for (size_t i = 0; i < n; i++) {
		const struct ring_frame *f = &list[i];
		uint8_t type = all[f->at % size + sizeof(*f)];

		if (f->at < r->journal_head || f->at + size < end)
			continue;
		if (reserve_mark(r) < 0)
			return -ENOMEM;
		r->stats.damaged += misses_some(r, f, type);
		note_frame(r, f, type);
	}
	if (r->journal_head < r->super.journal_head &&
	    r->super.journal_head - r->journal_head <= size) {
		r->stats.damaged++; /* the last ones are missing */
		r->journal_head = r->super.journal_head;
	}
	return 0;
}

static void note_sealed(struct ring *r)
{
	for (uint32_t i = 0; i < r->n_slots; i++) {
		const struct ring_slot *s = ring_slot(r, i);

		if (s->type == RING_BLOCK)
			ring_journal_sealed(r, r->idents[s->ident].log_id, s->last_seq);
	}
	drop_done(r);
}

int ring_journal_recover(struct ring *r)
{
	struct ring_frame *list = NULL;
	uint8_t *all = load(r);
	int e = -ENOMEM;
	size_t n = 0;

	r->durable_tail = r->journal_tail;
	if (all)
		list = find_frames(r, all, &n);
	if (list)
		e = take_frames(r, all, list, n);
	free(list);
	free(all);
	if (e < 0)
		return e;
	note_sealed(r);
	r->found_head = r->synced_head = r->journal_head;
	return 0;
}

int ring_journal_each(struct ring *r,
		      int (*each)(void *arg, const uint8_t log_id[LOG_ID_LEN],
				  const struct frame *),
		      void *arg)
{
	uint64_t size = r->super.journal_size, last_seq = 0;
	uint8_t *all, log_id[LOG_ID_LEN] = {0};
	int e = 0;

	if (r->journal_tail >= r->found_head)
		return 0;
	all = load(r);
	if (!all)
		return -ENOMEM;
	for (uint64_t at = r->journal_tail; e == 0 && at < r->found_head;) {
		struct ring_frame f;

		if (!frame_at(r, all, at % size, &f) || f.at != at) {
			at += 8;
			continue;
		}
		if (!same_log(f.log_id, log_id))
			last_seq = 0;
		memcpy(log_id, f.log_id, sizeof(log_id));
		if (f.seq > last_seq) {
			last_seq = f.seq;
			e = each(arg, log_id,
				 &(struct frame){.seq = f.seq,
						 .data = all + at % size + sizeof(f),
						 .len = f.len});
		}
		at += ring_frame_size(f.len);
	}
	free(all);
	return e;
}
