#include "store/past.h"

#include <errno.h>

static const int64_t lead_us = 1000000; /* an event is written with the tick after it */
static const int64_t far_us = 1ll << 60;

struct past {
	int64_t from_us, to_us, shift_us;
	bool running; /* what is read is of the running log */
	int (*each)(void *arg, uint64_t seq, int64_t at_us, const struct event_frame *);
	void *arg;
};

static int take(void *arg, const struct frame *f)
{
	const struct past *p = arg;
	struct event_frame e;
	int64_t at_us;

	if (frame_type(f) != FRAME_EVENT || frame_read_event(f, &e) < 0)
		return 0;
	at_us = (int64_t)e.mono_us + p->shift_us;
	if (at_us < p->from_us || at_us >= p->to_us)
		return 0;
	return p->each(p->arg, p->running ? f->seq : 0, at_us, &e);
}

/* The events of the log after frame after_seq. */
static int take_log(struct past *p, struct log *l, uint64_t after_seq, const _Atomic bool *cancel)
{
	int64_t start_us = p->from_us - lead_us;
	uint64_t from, to;
	uint8_t head[CURSOR_HEAD];
	struct cursor c;
	struct frame f;
	int r = cursor_open_time(&c, l, start_us < 0 ? 0 : (uint64_t)start_us);

	if (r < 0)
		return r == -ENOENT ? 0 : r;
	while (r == 0) {
		int got;

		if (cancel && *cancel) {
			r = -ECANCELED;
			break;
		}
		if (cursor_peek(&c, head) == 1 && head[0] != FRAME_EVENT) {
			cursor_skip(&c);
			continue;
		}
		got = cursor_next(&c, &f, &from, &to);
		if (got == 1 && f.seq > after_seq)
			r = take(p, &f);
		else if (got == 0 || got == -ENOMEM)
			break;
	}
	cursor_close(&c);
	return r;
}

int past_events(struct history *h, int64_t from_us, int64_t to_us,
		int (*each)(void *arg, uint64_t seq, int64_t at_us, const struct event_frame *),
		void *arg, const _Atomic bool *cancel)
{
	struct past p = {.from_us = from_us, .to_us = to_us, .each = each, .arg = arg};
	struct history_walk w;
	struct history_block b;
	int r, got;

	p.from_us = from_us > -far_us ? from_us : -far_us;
	p.to_us = to_us < far_us ? to_us : far_us;
	r = history_walk_begin(h, p.from_us - lead_us, p.to_us + lead_us, &w);

	if (r < 0)
		return r;
	while (r == 0 && (got = history_walk_next(h, &w, &b)) != 0) {
		if (got < 0)
			continue;
		p.shift_us = b.shift_us;
		p.running = b.log_number == w.log_number;
		if (cancel && *cancel)
			r = -ECANCELED;
		else if (!b.rollup)
			r = block_frames(b.block, take, &p);
		if (r == -EBADMSG)
			r = 0;
		history_release(h, &b);
	}
	p.shift_us = 0;
	p.running = true;
	if (r == 0 && history_log(h) && to_us > 0)
		r = take_log(&p, history_log(h), w.after_seq, cancel);
	history_walk_end(h, &w);
	return r;
}
