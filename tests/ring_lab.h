/*
 * For the tests of the ring: blocks and frames whose bytes follow from their numbers (the block format
 * has no part in it: block_head_read() is a stand-in here), and a device in memory that can lose power
 * or fail.
 */
#ifndef STROBE_TESTS_RING_LAB_H
#define STROBE_TESTS_RING_LAB_H

#include "base/crc32c.h"
#include "feeder.h"
#include "store/ring_internal.h"

#include <string.h>

/* ---- records and frames ---- */

#define LAB_BOOT "11111111-2222-3333-4444-555555555555"

struct lab_block {
	char magic[8];
	uint64_t tag;
	struct block_head head;
};

#ifndef LAB_REAL_BLOCKS
int block_head_read(const uint8_t *data, size_t len, struct block_head *ret)
{
	struct lab_block b;

	if (len < sizeof(b))
		return -EBADMSG;
	memcpy(&b, data, sizeof(b));
	if (memcmp(b.magic, "labblock", 8) != 0)
		return -EBADMSG;
	*ret = b.head;
	return 0;
}
#endif

static inline void lab_fill(uint8_t *to, size_t len, uint64_t state)
{
	for (size_t i = 0; i < len; i += 8) {
		uint64_t v = feeder_random(&state);

		memcpy(to + i, &v, len - i < 8 ? len - i : 8);
	}
}

/* The one right payload with that tag and head; malloc'ed. */
static inline uint8_t *lab_payload(uint64_t tag, const struct block_head *head, size_t len)
{
	struct lab_block b = {.tag = tag, .head = *head};
	uint8_t *p = malloc(len);

	FEEDER_CHECK(p && len >= sizeof(b));
	memcpy(b.magic, "labblock", 8);
	memcpy(p, &b, sizeof(b));
	lab_fill(p + sizeof(b), len - sizeof(b), tag ^ crc32c(1, &b, sizeof(b)));
	return p;
}

/* Its tag; aborts when a byte is wrong. */
static inline uint64_t lab_check_payload(const uint8_t *data, const struct ring_entry *e)
{
	struct lab_block b;
	uint8_t *want;

	FEEDER_CHECK(e->len >= sizeof(b));
	memcpy(&b, data, sizeof(b));
	FEEDER_CHECK(memcmp(&b.head, &e->block, sizeof(b.head)) == 0);
	want = lab_payload(b.tag, &b.head, e->len);
	FEEDER_CHECK(memcmp(data, want, e->len) == 0);
	free(want);
	return b.tag;
}

static inline void lab_log_id(uint64_t log_no, uint8_t id[LOG_ID_LEN])
{
	lab_fill(id, LOG_ID_LEN, log_no + 77);
}

enum { LAB_FRAME_MAX = 700, LAB_STRETCH = 24 }; /* frames from CATALOG to CATALOG */

static inline size_t lab_frame(uint64_t log_no, uint64_t seq, uint8_t *out)
{
	uint64_t state = log_no * 1000003 + seq;
	size_t len = 1 + feeder_random(&state) % (LAB_FRAME_MAX - 1);

	lab_fill(out, len, state);
	out[0] = seq % LAB_STRETCH == 1 ? FRAME_CATALOG : FRAME_TICK;
	return len;
}

static inline int lab_catalog(struct ring *r, uint64_t catalog_no)
{
	uint8_t buf[900];

	lab_fill(buf, sizeof(buf), catalog_no + 5);
	return ring_append(r, RING_CATALOG, buf, sizeof(buf) - catalog_no % 50);
}

static inline uint32_t lab_catalog_crc(uint64_t catalog_no)
{
	uint8_t buf[900];

	lab_fill(buf, sizeof(buf), catalog_no + 5);
	return crc32c(0, buf, sizeof(buf) - catalog_no % 50);
}

/* ---- the writer ---- */

struct lab {
	struct ring *r;
	uint64_t rnd, tag, log_no, frame, sealed, catalog_no;
	size_t len_max;		/* of a block */
	unsigned blocks, syncs; /* of 256 steps; 0: 64 and 32 */
	uint32_t crc;		/* of the newest block's payload */
};

static inline struct block_head lab_head(const struct lab *l, uint64_t last)
{
	struct block_head h;

	memset(&h, 0, sizeof(h));
	lab_log_id(l->log_no, h.log_id);
	snprintf(h.boot_id, sizeof(h.boot_id), "%s", LAB_BOOT);
	h.first_seq = l->sealed + 1;
	h.last_seq = last;
	h.from_us = (l->sealed + 1) * 100000;
	h.to_us = last * 100000;
	h.real_off_us = 1700000000000000 - (int64_t)l->log_no;
	h.catalog_crc = lab_catalog_crc(l->catalog_no);
	h.n_groups = 7;
	h.bucket_us = (uint32_t)(l->tag * 1000);
	h.n_samples = l->tag + 1;
	return h;
}

/* A block of the frames up to `last`, its catalog first when that is not held. */
static inline int lab_seal(struct lab *l, uint64_t last)
{
	struct block_head h = lab_head(l, last);
	size_t len = sizeof(struct lab_block) + feeder_random(&l->rnd) % l->len_max;
	uint8_t *data = lab_payload(l->tag + 1, &h, len);
	int r = ring_append(l->r, RING_BLOCK, data, len);

	if (r == -ENOENT) {
		r = lab_catalog(l->r, l->catalog_no);
		if (r >= 0)
			r = ring_append(l->r, RING_BLOCK, data, len);
	}
	if (r >= 0) {
		l->tag++;
		l->sealed = last;
	}
	l->crc = crc32c(0, data, len);
	free(data);
	return r;
}

static inline int lab_journal(struct lab *l)
{
	uint8_t buf[LAB_FRAME_MAX], id[LOG_ID_LEN];
	struct frame f = {.seq = l->frame + 1, .data = buf};
	int r;

	f.len = lab_frame(l->log_no, f.seq, buf);
	lab_log_id(l->log_no, id);
	r = ring_journal(l->r, id, &f);
	if (r >= 0)
		l->frame++;
	return r;
}

enum lab_did { LAB_FRAME = 1, LAB_BLOCK, LAB_SYNC };

/* One thing that a flusher does. */
static inline int lab_step(struct lab *l, enum lab_did *did)
{
	uint64_t what = feeder_random(&l->rnd) % 256;
	uint64_t blocks = l->blocks ? l->blocks : 64, syncs = l->syncs ? l->syncs : 32, back = 0;
	int r;

	if (what >= blocks + syncs) {
		*did = LAB_FRAME;
		r = lab_journal(l);
		if (r != -ENOSPC)
			return r;
		what = 0;
	}
	if (what >= blocks) {
		*did = LAB_SYNC;
		return ring_sync(l->r);
	}
	*did = LAB_BLOCK;
	if (feeder_random(&l->rnd) % 40 == 0)
		l->catalog_no++;
	if (what % 2 && l->frame > l->sealed) /* not all of them yet */
		back = feeder_random(&l->rnd) % (l->frame - l->sealed);
	return lab_seal(l, l->frame - back);
}

/* ---- reading it all ---- */

struct lab_found {
	uint64_t n, first_tag, last_tag; /* blocks; 0: none */
	uint64_t n_damaged;
	uint64_t log_no;	     /* that is looked for: */
	uint64_t first_seq, sealed;  /* frames in its blocks, from - to */
	uint64_t from, to, n_frames; /* frames in the journal; from 0: none */
	uint64_t n_holes, n_other;   /* in it; frames of other logs */
	bool gap;		     /* a tag is missing between others */
};

static inline int lab_found_frame(void *arg, const uint8_t log_id[LOG_ID_LEN],
				  const struct frame *f)
{
	struct lab_found *l = arg;
	uint8_t want[LAB_FRAME_MAX], id[LOG_ID_LEN];

	for (uint64_t no = l->log_no;; no--) {
		lab_log_id(no, id);
		if (memcmp(id, log_id, LOG_ID_LEN) == 0) {
			FEEDER_CHECK(f->len == lab_frame(no, f->seq, want));
			FEEDER_CHECK(memcmp(want, f->data, f->len) == 0);
			l->n_other += no != l->log_no;
			if (no != l->log_no)
				return 0;
			break;
		}
		FEEDER_CHECK(no);
	}
	FEEDER_CHECK(f->seq > l->to);
	if (!l->from)
		l->from = f->seq;
	else
		l->n_holes += f->seq != l->to + 1;
	l->to = f->seq;
	l->n_frames++;
	return 0;
}

static inline void lab_check_catalog(const struct ring_entry *list, size_t n, uint32_t crc)
{
	for (size_t i = 0; i < n; i++)
		if (list[i].type == RING_CATALOG && list[i].catalog_crc == crc)
			return;
	FEEDER_CHECK(!"a block's catalog is not held");
}

/* Reads every record and frame; aborts at a wrong byte. `whole`: at anything left out, too. */
static inline struct lab_found lab_read(struct ring *r, uint64_t log_no, bool whole)
{
	struct lab_found f = {.log_no = log_no};
	uint8_t id[LOG_ID_LEN];
	struct ring_stats st;
	uint64_t seq = 0;
	size_t n = 0;
	struct ring_entry *list = ring_list(r, &n);

	FEEDER_CHECK(list);
	lab_log_id(log_no, id);
	for (size_t i = 0; i < n; i++) {
		uint8_t *data = malloc(list[i].len);
		int e = ring_read(r, &list[i], data);

		FEEDER_CHECK(list[i].seq > seq);
		seq = list[i].seq;
		FEEDER_CHECK(e == 0 || (!whole && e == -EBADMSG));
		f.n_damaged += e < 0;
		if (e == 0 && list[i].type == RING_CATALOG)
			FEEDER_CHECK(crc32c(0, data, list[i].len) == list[i].catalog_crc);
		if (e == 0 && list[i].type == RING_BLOCK) {
			uint64_t tag = lab_check_payload(data, &list[i]);

			FEEDER_CHECK(tag > f.last_tag);
			f.gap |= f.last_tag && tag != f.last_tag + 1;
			if (!f.n++)
				f.first_tag = tag;
			f.last_tag = tag;
			if (memcmp(list[i].block.log_id, id, LOG_ID_LEN) == 0) {
				if (!f.first_seq)
					f.first_seq = list[i].block.first_seq;
				f.sealed = list[i].block.last_seq;
			}
			if (whole)
				lab_check_catalog(list, n, list[i].block.catalog_crc);
		}
		free(data);
	}
	free(list);
	FEEDER_CHECK(ring_journal_each(r, lab_found_frame, &f) == 0);
	ring_stats(r, &st);
	FEEDER_CHECK(!whole || (st.damaged == 0 && !f.gap && !f.n_holes));
	return f;
}

/* ---- a device in memory ---- */

struct lab_write {
	uint64_t at;
	size_t len, kept; /* where its bytes are in kept[] */
};
struct lab_device {
	uint8_t *now, *durable; /* as read; as it would be after loss of power */
	uint64_t size;
	struct lab_write *writes; /* since the last sync */
	size_t n_writes, cap_writes, kept_len, cap_kept;
	uint8_t *kept;
	uint64_t ops_left; /* until every write and sync fails; UINT64_MAX: never */
	uint64_t fails;	   /* how many do then; 0: all */
	int error;
	uint64_t partial; /* bytes of the first failing write that arrive */
	uint64_t n_syncs;
};

static inline int lab_device_read(const struct ring_io *io, void *to, size_t len, uint64_t at)
{
	const struct lab_device *d = io->arg;

	if (at > d->size || len > d->size - at)
		return -ENODATA;
	memcpy(to, d->now + at, len);
	return 0;
}

static inline bool lab_device_fails(struct lab_device *d)
{
	if (d->ops_left == UINT64_MAX || d->ops_left-- > 0)
		return false;
	d->ops_left = d->fails && !--d->fails ? UINT64_MAX : 0;
	return true;
}

static inline int lab_device_write(const struct ring_io *io, const void *from, size_t len,
				   uint64_t at)
{
	struct lab_device *d = io->arg;

	FEEDER_CHECK(at <= d->size && len <= d->size - at);
	if (lab_device_fails(d)) {
		/* a write is whole within a page */
		uint64_t cut = (at + d->partial) / RING_UNIT * RING_UNIT;

		if (d->partial < len)
			len = cut > at ? cut - at : 0;
		memcpy(d->now + at, from, len);
		d->partial = 0;
		return d->error;
	}
	memcpy(d->now + at, from, len);
	if (!d->durable)
		return 0;
	if (d->n_writes == d->cap_writes) {
		d->cap_writes = d->cap_writes * 2 + 64;
		d->writes = realloc(d->writes, d->cap_writes * sizeof(*d->writes));
	}
	if (d->kept_len + len > d->cap_kept) {
		d->cap_kept = d->cap_kept * 2 + len + 4096;
		d->kept = realloc(d->kept, d->cap_kept);
	}
	FEEDER_CHECK(d->writes && d->kept);
	memcpy(d->kept + d->kept_len, from, len);
	d->writes[d->n_writes++] = (struct lab_write){at, len, d->kept_len};
	d->kept_len += len;
	return 0;
}

/* All of [from, to) that the first `n` writes since the last sync touched becomes durable. */
static inline void lab_device_settle(struct lab_device *d, uint64_t from, uint64_t to, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		const struct lab_write *w = &d->writes[i];
		uint64_t a = w->at > from ? w->at : from;
		uint64_t b = w->at + w->len < to ? w->at + w->len : to;

		if (a < b)
			memcpy(d->durable + a, d->kept + w->kept + (a - w->at), b - a);
	}
}

static inline int lab_device_sync(const struct ring_io *io)
{
	struct lab_device *d = io->arg;

	if (lab_device_fails(d))
		return d->error;
	if (d->durable)
		lab_device_settle(d, 0, d->size, d->n_writes);
	d->n_writes = d->kept_len = 0;
	d->n_syncs++;
	return 0;
}

static inline uint64_t lab_device_next_data(const struct ring_io *io, uint64_t at)
{
	(void)io;
	return at;
}

static inline void lab_device_expect(const struct ring_io *io, uint64_t at)
{
	(void)io;
	(void)at;
}

static inline void lab_device_close(const struct ring_io *io)
{
	(void)io;
}

static const struct ring_io_ops lab_device_ops = {
	lab_device_read,      lab_device_write,	 lab_device_sync,
	lab_device_next_data, lab_device_expect, lab_device_close,
};

static inline struct ring_io lab_io(struct lab_device *d)
{
	return (struct ring_io){.ops = &lab_device_ops, .fd = -1, .arg = d};
}

static inline void lab_device_open(struct lab_device *d, uint64_t size, bool loses_power)
{
	struct ring_io io = lab_io(d);

	*d = (struct lab_device){.size = size, .ops_left = UINT64_MAX, .error = -EIO};
	d->now = calloc(1, size);
	d->durable = loses_power ? calloc(1, size) : NULL;
	FEEDER_CHECK(d->now && (d->durable || !loses_power));
	FEEDER_CHECK(ring_format(&io, size) == 0);
	FEEDER_CHECK(lab_device_sync(&io) == 0);
}

static inline void lab_device_free(struct lab_device *d)
{
	free(d->now);
	free(d->durable);
	free(d->writes);
	free(d->kept);
}

/* Power is lost: each unit of 512 or 4096 bytes is left at any of the states it went through. */
static inline void lab_device_crash(struct lab_device *d, uint64_t *rnd)
{
	uint64_t unit = feeder_random(rnd) % 2 ? 512 : 4096;

	for (uint64_t at = 0; at < d->size; at += unit) {
		size_t touched = 0, keep;

		for (size_t i = 0; i < d->n_writes; i++)
			touched += d->writes[i].at < at + unit &&
				   d->writes[i].at + d->writes[i].len > at;
		if (!touched)
			continue;
		switch (feeder_random(rnd) % 3) {
		case 0:
			keep = 0;
			break;
		case 1:
			keep = d->n_writes;
			break;
		default:
			keep = feeder_random(rnd) % (d->n_writes + 1);
		}
		lab_device_settle(d, at, at + unit, keep);
	}
	memcpy(d->now, d->durable, d->size);
	d->n_writes = d->kept_len = 0;
	d->ops_left = UINT64_MAX;
}

static inline struct ring *lab_open(struct lab_device *d, bool read_only)
{
	struct ring_io io = lab_io(d);
	struct ring *r = NULL;
	char err[200];
	int e = ring_open_io(&r, &io, read_only, err, sizeof(err));

	if (e < 0)
		fprintf(stderr, "ring_open_io: %d %s\n", e, err);
	FEEDER_CHECK(e == 0);
	return r;
}

#endif
