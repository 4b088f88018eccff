#include "store/seal.h"

#include <errno.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/crc32c.h"
#include "store/gather.h"

enum { STEP_US = 20000, BLOCK_US = 60000000, CLOCK_EVERY = 16 };
/* Steps of the wall clock that end a block, and those that end one younger than BRIEF_US. */
enum { STEP_MIN_US = 1000, LARGE_STEP_US = 100000, BRIEF_US = 10000000 };

struct sealer {
	struct sealer_config config;
	struct cursor cursor;
	bool is_open, damaged;
	struct mirror m;
	struct gather gather;
	struct block_writer writer;
	struct out catalog; /* the frame in force */
	int64_t real_off_us;
	bool has_clock; /* it is known */

	struct frame frame; /* read and not yet taken; data is the cursor's */
	bool has_frame;
	uint64_t first_seq, last_seq; /* of the block being gathered; first_seq 0: it has none */
	uint64_t first_us;	      /* of the oldest frame with a time in it */
	uint32_t n_frames;	      /* EVENT and CLOCK in it */
	uint64_t fed_seq;	      /* of the last frame that was fed */

	struct sealed pending; /* data NULL: none is waiting for the sink */
	_Atomic uint64_t seq;
};

int sealer_open(struct sealer **ret, const struct sealer_config *c)
{
	struct sealer *s = calloc(1, sizeof(*s));

	if (!s)
		return -ENOMEM;
	s->config = *c;
	atomic_init(&s->seq, c->after_seq);
	mirror_init(&s->m);
	*ret = s;
	return 0;
}

void sealer_close(struct sealer *s)
{
	if (!s)
		return;
	if (s->is_open)
		cursor_close(&s->cursor);
	mirror_done(&s->m);
	gather_done(&s->gather);
	block_writer_done(&s->writer);
	out_done(&s->catalog);
	free(s->pending.data);
	free(s);
}

uint64_t sealer_seq(const struct sealer *s)
{
	return atomic_load_explicit(&s->seq, memory_order_acquire);
}

/* ---- blocks ---- */

static void begin_block(struct sealer *s)
{
	s->first_seq = s->last_seq = 0;
	s->first_us = 0;
	s->n_frames = 0;
	gather_reset(&s->gather);
	block_writer_begin(&s->writer, 0);
}

static bool is_empty(const struct sealer *s)
{
	return !s->gather.n_ticks && !s->n_frames;
}

/* Writes what was gathered; it waits for the sink from here on. */
static int seal(struct sealer *s)
{
	struct sealed *p = &s->pending;
	struct block_head *h = &p->head;
	int r;

	*h = (struct block_head){.first_seq = s->first_seq,
				 .last_seq = s->last_seq,
				 .from_us = s->gather.from_us,
				 .to_us = s->gather.to_us,
				 .real_off_us = s->real_off_us};
	if (!s->gather.n_ticks)
		h->from_us = h->to_us = s->first_us;
	memcpy(h->log_id, s->config.log ? log_id(s->config.log) : s->config.log_id,
	       sizeof(h->log_id));
	strncpy(h->boot_id, s->config.boot_id, sizeof(h->boot_id) - 1);
	h->catalog_crc = crc32c(0, s->catalog.p, s->catalog.len);
	r = gather_write(&s->gather, &s->writer);
	if (r == 0)
		r = block_writer_end(&s->writer, h, &p->data, &p->len);
	return r;
}

/* Hands the waiting block to the sink. */
static int deliver(struct sealer *s)
{
	struct sealed p = s->pending;
	uint64_t last_seq = p.head.last_seq;
	int r;

	p.catalog = s->catalog.p;
	p.catalog_len = s->catalog.len;
	r = s->config.sink(s->config.arg, &p);
	if (r < 0)
		return r;
	s->pending = (struct sealed){0};
	atomic_store_explicit(&s->seq, last_seq, memory_order_release);
	begin_block(s);
	return 0;
}

static int seal_and_deliver(struct sealer *s)
{
	int r = s->pending.data ? 0 : seal(s);

	return r < 0 ? r : deliver(s);
}

/* ---- frames ---- */

static int take_catalog(struct sealer *s, const struct frame *f)
{
	uint32_t version = s->m.version;
	int r = mirror_apply(&s->m, f);

	if (r < 0 || s->m.version == version)
		return r;
	s->catalog.len = 0;
	s->catalog.failed = false;
	out_bytes(&s->catalog, f->data, f->len);
	r = gather_groups(&s->gather, &s->m);
	return s->catalog.failed ? -ENOMEM : r;
}

/* Would this CATALOG replace the one in force? */
static bool is_new_catalog(const struct sealer *s, const struct frame *f)
{
	const uint8_t *p = f->data + 1;
	uint32_t version = 0;

	return frame_type(f) == FRAME_CATALOG && s->m.version &&
	       varint_get_u32(&p, f->data + f->len, &version) && version != s->m.version;
}

static int take_tick(struct sealer *s, const struct frame *f, bool keep)
{
	if (!s->m.keyed) { /* lost: the block begins after it */
		if (is_empty(s))
			s->first_seq = 0;
		return 0;
	}
	if (!keep)
		return gather_skip(&s->gather, f);
	if (!s->gather.begun) {
		int r = gather_begin(&s->gather);

		if (r < 0)
			return r;
	}
	return gather_tick(&s->gather, f);
}

static int take_key(struct sealer *s, const struct frame *f)
{
	int r;

	if (s->m.keyed) /* repeats what is known */
		return 0;
	r = mirror_apply(&s->m, f);
	if (r < 0)
		s->m.keyed = false;
	else
		gather_key(&s->gather);
	return r;
}

static int take_attr(struct sealer *s, const struct frame *f)
{
	struct attr_frame a;
	int r = frame_read_attr(f, &a);

	if (r == 0)
		r = gather_attr(&s->gather, &a);
	return r < 0 ? r : mirror_apply(&s->m, f);
}

static void keep_frame(struct sealer *s, const struct frame *f, uint64_t mono_us)
{
	if (!s->n_frames++)
		s->first_us = mono_us;
	block_writer_frame(&s->writer, f);
}

static int take_clock(struct sealer *s, const struct frame *f, bool keep)
{
	struct clock_frame c;
	int r = frame_read_clock(f, &c);

	if (r < 0)
		return r;
	s->real_off_us = c.real_off_us;
	s->has_clock = true;
	if (keep)
		keep_frame(s, f, c.mono_us);
	return 0;
}

static int take_event(struct sealer *s, const struct frame *f, bool keep)
{
	struct event_frame e;
	int r = frame_read_event(f, &e);

	if (r == 0 && keep)
		keep_frame(s, f, e.mono_us);
	return r;
}

static int take_frame(struct sealer *s, const struct frame *f)
{
	bool keep = f->seq > sealer_seq(s);

	if (keep && !s->first_seq) {
		s->first_seq = f->seq;
		s->writer.frame_seq = f->seq;
	}
	if (keep)
		s->last_seq = f->seq;
	switch (frame_type(f)) {
	case FRAME_TICK:
		return take_tick(s, f, keep);
	case FRAME_KEY:
		return take_key(s, f);
	case FRAME_CATALOG:
		return take_catalog(s, f);
	case FRAME_ATTR:
		return take_attr(s, f);
	case FRAME_EVENT:
		return take_event(s, f, keep);
	case FRAME_CLOCK:
		return take_clock(s, f, keep);
	}
	return -EBADMSG;
}

/* Was the wall clock set? A block knows one offset of it. Where it is set by little again and again, not
 * each time is worth a block. */
static bool is_clock_step(const struct sealer *s, const struct frame *f)
{
	struct clock_frame c;
	uint64_t begun_us = s->gather.n_ticks ? s->gather.tick_us[0] : s->first_us;
	int64_t step_us;

	if (!s->has_clock || frame_type(f) != FRAME_CLOCK || frame_read_clock(f, &c) < 0)
		return false;
	step_us = c.real_off_us - s->real_off_us;
	return llabs(step_us) >= (c.mono_us - begun_us < BRIEF_US ? LARGE_STEP_US : STEP_MIN_US);
}

/* Does the block end before this frame? */
static bool ends_before(const struct sealer *s, const struct frame *f)
{
	struct frame_reader r;
	struct tick_head h;

	if (is_empty(s))
		return false;
	if (is_new_catalog(s, f) || is_clock_step(s, f))
		return true;
	return frame_type(f) == FRAME_TICK && s->gather.n_ticks &&
	       frame_read_tick(f, &h, &r) == 0 && h.mono_us > s->gather.tick_us[0] &&
	       h.mono_us - s->gather.tick_us[0] >= BLOCK_US;
}

/* ---- following the log ---- */

/* To where the frames begin that are in no block, a whole segment earlier: that tells the state
 * they change. 0, -ENOENT: the log is empty, -ENOMEM. */
static int open_cursor(struct sealer *s)
{
	int r;

	if (s->is_open)
		cursor_close(&s->cursor);
	s->is_open = s->has_frame = s->damaged = false;
	mirror_done(&s->m);
	gather_done(&s->gather);
	begin_block(s);
	r = cursor_open_seq(&s->cursor, s->config.log, sealer_seq(s) + 1);
	s->is_open = r == 0;
	return r;
}

/* What follows is known again from the next KEY on; what was gathered is a block. */
static void lose_track(struct sealer *s)
{
	s->m.keyed = false;
	s->damaged = true;
}

/* 1: s->frame is the next one; 0: there is none yet; -errno. */
static int need_frame(struct sealer *s)
{
	uint64_t from, to;
	int r = 1;

	while (!s->has_frame && r == 1 && !s->damaged) {
		r = cursor_next(&s->cursor, &s->frame, &from, &to);
		if (r == -ESTALE) {
			lose_track(s);
			r = 1;
		} else if (r == 1) {
			s->has_frame = true;
		}
	}
	return r;
}

/* One frame, or one block that is ready; that only when it is the first work of a call, which it fills.
 * 1: go on; 2: go on in another call; 0: nothing more to read; -errno. */
static int step(struct sealer *s, bool first)
{
	int r;

	if (!s->is_open) {
		r = open_cursor(s);
		if (r < 0)
			return r == -ENOENT ? 0 : r;
	}
	r = need_frame(s);
	if (r != 1 && !s->damaged)
		return r;
	if (s->pending.data || (s->damaged && !is_empty(s)) || gather_is_full(&s->gather) ||
	    (s->has_frame && ends_before(s, &s->frame))) {
		r = first ? seal_and_deliver(s) : 0;
		return r < 0 ? r : 2;
	}
	if (s->damaged) {
		begin_block(s);
		s->damaged = false;
		return 1;
	}
	s->has_frame = false;
	r = take_frame(s, &s->frame);
	if (r == -EBADMSG) {
		lose_track(s);
		r = 0;
	}
	return r < 0 ? r : 1;
}

/* After a lack of memory all starts anew from the last block on. */
static int checked(struct sealer *s, int r)
{
	if (r != -ENOMEM || s->pending.data)
		return r;
	if (s->is_open)
		cursor_close(&s->cursor);
	s->is_open = false;
	return r;
}

int sealer_step(struct sealer *s)
{
	uint64_t end_us = clock_mono_us() + STEP_US;

	for (unsigned i = 1;; i++) {
		int r = step(s, i == 1);

		if (r == 2)
			return 1;
		if (r != 1)
			return checked(s, r);
		if (i % CLOCK_EVERY == 0 && clock_mono_us() >= end_us)
			return 1;
	}
}

int sealer_feed(struct sealer *s, const struct frame *f)
{
	int r = 0;

	if (!s->fed_seq)
		begin_block(s);
	if (s->fed_seq && f->seq != s->fed_seq + 1)
		lose_track(s);
	if (s->pending.data || (s->damaged && !is_empty(s)) || gather_is_full(&s->gather) ||
	    ends_before(s, f))
		r = seal_and_deliver(s);
	if (r < 0)
		return r;
	if (s->damaged)
		begin_block(s);
	s->damaged = false;
	s->fed_seq = f->seq;
	r = take_frame(s, f);
	if (r == -EBADMSG) {
		lose_track(s);
		r = 0;
	}
	return r;
}

int sealer_flush(struct sealer *s)
{
	int r;

	if (!s->pending.data && is_empty(s))
		return 0;
	r = seal_and_deliver(s);
	return checked(s, r);
}
