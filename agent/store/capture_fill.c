#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "store/capture_log.h"
#include "store/restate.h"

enum { FRAME_HEAD = 16 }; /* of a frame in the log, whose payloads are padded to 8 */

void capture_fill_init(struct capture_fill *f, struct log *log)
{
	*f = (struct capture_fill){.log = log};
	capture_walk_init(&f->walk);
}

void capture_fill_done(struct capture_fill *f)
{
	capture_walk_done(&f->walk);
}

/* ---- the log ---- */

static int put(void *arg, const void *data, size_t len)
{
	struct capture_fill *f = arg;
	size_t size = FRAME_HEAD + ((len + 7) & ~(size_t)7);

	if (len > f->room)
		return -EMSGSIZE;
	if (f->log && log_append(f->log, data, len) < 0)
		return -ENOSPC;
	f->room -= size < f->room ? size : f->room;
	return 0;
}

/* In a new segment the mirror's state comes first. */
static int begin_segment(struct capture_fill *f)
{
	const struct capture_walk *w = &f->walk;

	if (f->log && (uint64_t)f->n_segments * LOG_SEGMENT_SIZE >= log_capacity(f->log))
		return -ENOSPC; /* it would take the oldest */
	if (f->log && f->gap)
		log_skip(f->log);
	if (f->log)
		log_next_segment(f->log, w->mirror.mono_us);
	f->gap = false;
	f->n_segments++;
	f->room = LOG_FRAME_MAX;
	return restate(&w->mirror, w->catalog, w->catalog_len, put, f);
}

/* ---- what was recorded ---- */

static uint32_t count_present(const struct mirror_group *g)
{
	uint32_t n = 0;

	for (uint32_t s = 0; s < g->n_slots; s++)
		for (uint32_t i = 0; g->inst[s].live && i < g->n_metrics; i++)
			n += g->rows[(size_t)s * g->n_metrics + i] != VALUE_ABSENT;
	return n;
}

static void count_tick(struct capture_fill *f)
{
	const struct mirror *m = &f->walk.mirror;
	uint32_t n_series = 0;

	f->last_us = m->mono_us;
	if (!f->n_ticks++)
		f->first_us = m->mono_us;
	for (uint32_t i = 0; i < m->n_groups; i++) {
		uint32_t n = count_present(&m->groups[i]);

		n_series += n;
		if (m->groups[i].acquired_tick == m->tick)
			f->n_samples += n;
	}
	if (n_series > f->n_series)
		f->n_series = n_series;
}

/* ---- frames ---- */

static int take_frame(struct capture_fill *f, const struct frame *frame)
{
	enum frame_type type = frame_type(frame);
	bool full = frame->len > f->room;
	int r = full && f->walk.mirror.keyed ? begin_segment(f) : 0;

	if (r == 0)
		r = capture_walk_apply(&f->walk, frame);
	if (r == 0 && type == FRAME_TICK)
		count_tick(f);
	if (r < 0 || type == FRAME_CATALOG || (type == FRAME_KEY && full))
		return r;
	r = put(f, frame->data, frame->len);
	return r == -EMSGSIZE && type == FRAME_EVENT ? 0 : r; /* in a gap, and no room */
}

int capture_fill_frame(struct capture_fill *f, const struct frame *frame)
{
	int take = capture_walk_judge(&f->walk, frame), r = 0;

	switch (take) {
	case TAKE_FRAME:
		r = take_frame(f, frame);
		break;
	case TAKE_REPEAT:
		r = capture_walk_apply(&f->walk, frame);
		break;
	case TAKE_STATE:
		f->gap = f->walk.begun;
		r = capture_walk_apply(&f->walk, frame);
		if (r == 0)
			r = begin_segment(f);
		break;
	case TAKE_NOTHING:
		break;
	default:
		r = take;
	}
	if (r == -EMSGSIZE) { /* too much for a segment: what follows it cannot be right */
		f->walk.mirror.keyed = false;
		f->walk.n_gaps++;
		r = -EBADMSG;
	}
	return r;
}

int capture_fill_empty(struct capture_fill *f, const uint8_t *catalog, size_t len, uint64_t mono_us,
		       int64_t real_off_us)
{
	const struct frame c = {.data = catalog, .len = len};
	struct frame clock = {0};
	uint8_t buf[64];
	int r = frame_clock(buf, sizeof(buf), mono_us, real_off_us, 0, CLOCK_START);

	clock.data = buf;
	clock.len = r > 0 ? (size_t)r : 0;
	r = capture_walk_apply(&f->walk, &c);
	if (r == 0)
		r = capture_walk_apply(&f->walk, &clock);
	if (r < 0)
		return r;
	f->walk.mirror.mono_us = mono_us;
	f->walk.mirror.keyed = true;
	return begin_segment(f);
}

int capture_fill_section(struct capture_fill *f, const uint8_t *data, size_t len)
{
	struct capture_unpack u;
	struct frame frame;
	int bad = 0, r = capture_unpack_begin(&u, data, len);

	if (r < 0)
		return r;
	while ((r = capture_unpack_next(&u, &frame)) == 1) {
		r = capture_fill_frame(f, &frame);
		if (r < 0 && r != -EBADMSG)
			return r;
		bad = r < 0 ? r : bad;
	}
	return r < 0 ? r : bad;
}
