#include "base/clock.h"
#include "base/stats.h"
#include "serve/message.h"
#include "serve/session.h"

#include <errno.h>

enum { FRAMES_A_TURN = 512 };

static const uint64_t judge_every_us = 5000000, behind_us = 2000000, gain_us = 1000000;

struct replay {
	struct session *session;
	struct cursor cursor;
	struct encoder encoder;
	enum replay_from from;
	uint64_t start_us, start_seq;	      /* ticks at or after this time; after this frame */
	uint64_t frame_seq;		      /* of the frame being fed */
	bool running;			      /* the start is behind */
	bool starved;			      /* nothing to read until new frames come */
	uint8_t *take;			      /* per group: its level once its ticks are wanted */
	bool *reset;			      /* per group: a reset row comes first ... */
	uint64_t *since;		      /* ... as of this tick */
	struct buf attrs, events;	      /* found on the way, sent after the batch */
	uint64_t judged_us, judged_behind_us; /* when replay_judge last looked, and what it saw */
	uint64_t seq;
	bool any; /* the batch being made holds something */
};

/* ---- the rows a client begins with ---- */

static void update_take(struct replay *r)
{
	const struct session *s = r->session;

	for (uint32_t g = 0; g < s->n_groups; g++) {
		bool wait = r->reset[g] || (s->level[g] == 0 && !r->running);

		r->take[g] = wait ? WIRE_NO_LEVEL : s->level[g];
	}
}

/* Reset rows as of the mirror's tick (or the last boundary before what comes next). */
static void start_here(struct replay *r, uint64_t tick)
{
	const struct session *s = r->session;

	r->running = true;
	if (r->from == REPLAY_WINDOW) {
		for (uint32_t g = 0; g < s->n_groups; g++) {
			uint32_t ticks =
				s->level[g] == WIRE_NO_LEVEL ? 1 : wire_level_ticks[s->level[g]];

			r->since[g] = (tick + ticks - 1) / ticks * ticks;
		}
		r->seq = r->encoder.seq;
	}
	update_take(r);
}

/* The mirror stands after the tick before `next`: sends the reset rows that are due. */
static void send_resets(struct replay *r, uint64_t next)
{
	const struct session *s = r->session;
	const struct mirror *m = &r->encoder.mirror;
	struct buf *b = &s->server->out;
	size_t at = 0;

	for (uint32_t i = 0; i < s->n_order; i++) {
		uint32_t g = s->order[i];

		if (!r->reset[g] || next <= r->since[g] || g >= m->n_groups)
			continue;
		if (!at) {
			at = pb_open(b, 1);
			pb_uint(b, 1, m->mono_us);
			pb_uint(b, 2, m->tick);
		}
		wire_put_reset(b, g, &m->groups[g], m->mono_us);
		r->reset[g] = false;
		r->any = true;
	}
	if (at) {
		pb_close(b, at);
		update_take(r);
	}
}

/* ---- what the encoder finds ---- */

static void on_before(void *arg, const struct tick_head *head)
{
	struct replay *r = arg;

	if (!r->running &&
	    (r->from == REPLAY_WINDOW ? head->mono_us >= r->start_us : r->frame_seq > r->start_seq))
		start_here(r, r->encoder.mirror.tick);
	if (!r->encoder.stateless)
		send_resets(r, head->tick);
}

static void on_entry(void *arg, const struct wire_entry *e)
{
	struct replay *r = arg;
	struct session *s = r->session;
	bool taken = r->running && s->levels >> e->level & 1;

	for (uint32_t g = 0; g < s->n_groups && !taken; g++)
		taken = r->take[g] == e->level;
	if (!taken)
		return;
	wire_put_tick(&s->server->out, e, r->take, s->n_groups, e->level);
	r->any = true;
	if (e->level == session_finest(s) && r->running)
		r->seq = e->seq;
}

static void on_attr(void *arg, uint64_t seq, const struct attr_frame *a)
{
	struct replay *r = arg;

	(void)seq;
	if (r->running && a->group < r->session->n_groups &&
	    r->session->level[a->group] != WIRE_NO_LEVEL)
		put_attr_change(&r->attrs, 1, a);
}

static void on_event(void *arg, uint64_t seq, const struct event_frame *e)
{
	struct replay *r = arg;

	if (r->running)
		put_event(&r->events, 1, seq, (int64_t)e->mono_us, e);
}

static void on_clock(void *arg, uint64_t seq, const struct clock_frame *c)
{
	struct replay *r = arg;

	(void)seq;
	if (!r->running)
		return;
	put_clock(&r->session->server->out, 3, (int64_t)c->mono_us, c->real_off_us, c->boot_off_us,
		  c->reason);
	r->any = true;
}

static const struct encoder_sink replay_sink = {
	.before = on_before,
	.entry = on_entry,
	.attr = on_attr,
	.event = on_event,
	.clock = on_clock,
};

/* ---- where it begins ---- */

static void queue_gap(struct session *s, uint64_t from_seq, uint64_t to_seq, enum gap_reason reason)
{
	struct log *log = s->server->config.log;
	bool oldest = to_seq <= log_oldest(log) || reason != GAP_EVICTED; /* else damage in it */
	struct buf b = {0};

	message_gap(&b, from_seq, to_seq, 0, oldest ? log_oldest_us(log) : 0, reason);
	session_queue(s, &b);
	buf_done(&b);
	STAT_ADD(gaps_sent, 1);
}

static void set_window(struct replay *r, uint64_t start_us)
{
	r->from = REPLAY_WINDOW;
	r->running = false;
	r->start_us = start_us;
	r->encoder.stateless = false;
	for (uint32_t g = 0; g < r->session->n_groups; g++) {
		r->reset[g] = r->session->level[g] != WIRE_NO_LEVEL;
		r->since[g] = UINT64_MAX;
	}
	update_take(r);
}

static int open_window(struct replay *r, uint64_t start_us)
{
	set_window(r, start_us);
	return cursor_open_time(&r->cursor, r->session->server->config.log, start_us);
}

/* The tick of frame seq. 0, -ESTALE: gone, or no tick. */
static int find_tick(struct log *log, uint64_t seq, struct tick_head *head)
{
	struct cursor cursor = {0};
	struct frame_reader reader;
	struct frame f;
	uint64_t from, to;
	int r = cursor_open_exact(&cursor, log, seq);

	if (r < 0)
		return r;
	r = cursor_next(&cursor, &f, &from, &to) == 1 && frame_type(&f) == FRAME_TICK &&
			    frame_read_tick(&f, head, &reader) == 0
		    ? 0
		    : -ESTALE;
	cursor_close(&cursor);
	return r;
}

static int open_resume(struct replay *r, uint64_t seq, const bool *fresh)
{
	const struct session *s = r->session;
	struct log *log = s->server->config.log;
	struct tick_head head;
	bool resets = false;
	int ret = find_tick(log, seq, &head);

	if (ret < 0)
		return ret;
	r->from = REPLAY_RESUME;
	r->start_seq = r->seq = seq;
	for (uint32_t g = 0; g < s->n_groups; g++) {
		if (s->level[g] == WIRE_NO_LEVEL)
			continue;
		uint32_t ticks = wire_level_ticks[s->level[g]];

		r->reset[g] = fresh[g] || s->level[g] > 0;
		r->since[g] = head.tick / ticks * ticks;
		resets = resets || r->reset[g];
	}
	update_take(r);
	if (!resets) {
		r->encoder.stateless = true;
		r->running = true;
		update_take(r);
		return cursor_open_exact(&r->cursor, log, seq + 1);
	}
	/* Further back, so that the last boundary of the coarsest level is passed on the way. */
	uint32_t rate_hz = s->server->config.rate_hz ? s->server->config.rate_hz : 1;
	uint64_t back_us = 1000000 + 2 * WIRE_LEVEL_MAX_TICKS * 1000000ull / rate_hz;

	return cursor_open_time(&r->cursor, log,
				head.mono_us > back_us ? head.mono_us - back_us : 0);
}

int replay_begin(struct session *s, enum replay_from from, uint64_t seq, uint64_t window_us,
		 const bool *fresh)
{
	uint64_t now_us = clock_mono_us();
	uint64_t end_us = server_now_us(s->server),
		 start_us = end_us > window_us ? end_us - window_us : 0;
	int ret;

	replay_free(s);
	s->live = false;
	struct replay *r = calloc(1, sizeof(*r));

	if (!r)
		return -ENOMEM;
	s->replay = r;
	r->session = s;
	r->judged_us = now_us;
	r->judged_behind_us = UINT64_MAX;
	r->take = malloc(s->n_groups + 1);
	r->reset = calloc(s->n_groups + 1, sizeof(*r->reset));
	r->since = calloc(s->n_groups + 1, sizeof(*r->since));
	encoder_init(&r->encoder, &replay_sink, r, s->levels);
	if (!r->take || !r->reset || !r->since)
		return -ENOMEM;
	memset(r->take, WIRE_NO_LEVEL, s->n_groups + 1);
	if (from == REPLAY_RESUME) {
		ret = open_resume(r, seq, fresh);
		if (ret == 0 || ret == -ENOMEM)
			return ret;
		bool known = seq <= log_newest(s->server->config.log);

		queue_gap(s, seq + 1, known ? log_oldest(s->server->config.log) : seq,
			  known ? GAP_EVICTED : GAP_OTHER_LOG);
		start_us = known ? 0 : start_us;
	}
	return open_window(r, start_us);
}

void replay_free(struct session *s)
{
	struct replay *r = s->replay;

	s->replay = NULL;
	if (!r)
		return;
	cursor_close(&r->cursor);
	encoder_done(&r->encoder);
	buf_done(&r->attrs);
	buf_done(&r->events);
	free(r->take);
	free(r->reset);
	free(r->since);
	free(r);
}

/* ---- the way ---- */

bool replay_has_work(const struct session *s)
{
	const struct replay *r = s->replay;

	return r && (!r->starved || r->attrs.len || r->events.len);
}

int replay_judge(struct session *s, uint64_t now_us)
{
	struct replay *r = s->replay;
	uint64_t newest_us = s->server->tail.encoder.mono_us;
	struct buf b = {0};

	if (!r || now_us - r->judged_us < judge_every_us)
		return 0;
	uint64_t behind = newest_us > r->encoder.mono_us ? newest_us - r->encoder.mono_us : 0;
	bool gains = behind < behind_us || r->judged_behind_us == UINT64_MAX ||
		     behind + gain_us < r->judged_behind_us;

	r->judged_us = now_us;
	r->judged_behind_us = behind;
	if (gains || !r->running || s->imposed + 1 == WIRE_LEVELS)
		return 0;
	bool *fresh = calloc(s->n_groups + 1, sizeof(*fresh));

	if (!fresh)
		return -1;
	session_set_levels(s, (uint8_t)(s->imposed + 1));
	session_set_slow(s, true);
	s->stalled_us = now_us;
	message_level(&b, wire_level_ticks[s->imposed], LEVEL_SLOW);
	session_queue(s, &b);
	buf_done(&b);
	int ret = replay_begin(s, REPLAY_RESUME, r->seq, 0, fresh);

	free(fresh);
	return ret < 0 ? -1 : 0;
}

void replay_wake(struct session *s)
{
	if (s->replay)
		s->replay->starved = false;
}

static int send_found(struct session *s, struct buf *found, uint32_t field)
{
	out_begin(s->server);
	buf_put(&s->server->out, found->p, found->len);
	buf_trim(found, BATCH_BYTES);
	return out_send(s->server, s->wsi, field) < 0 ? -1 : 1;
}

/* At the newest frame: is the shared tail at the same place, with whole intervals? */
static bool may_go_live(struct replay *r)
{
	const struct session *s = r->session;
	const struct tail *t = &s->server->tail;

	if (!r->running || !t->open || t->cursor.next_seq != r->cursor.next_seq)
		return false;
	for (uint32_t g = 0; g < s->n_groups; g++)
		if (s->level[g] != WIRE_NO_LEVEL && r->reset[g])
			return false;
	for (unsigned i = 1; i < WIRE_LEVELS; i++)
		if (s->levels >> i & 1 && !t->encoder.levels[i].whole)
			return false;
	return true;
}

/* Reads frames until the batch is full, the turn is over or nothing is left. 0: nothing left; 1. */
static int read_frames(struct replay *r)
{
	const struct session *s = r->session;
	const struct buf *b = &s->server->out;
	uint64_t from = 0, to = 0;
	struct frame f;

	for (int n = 0; n < FRAMES_A_TURN && b->len < BATCH_BYTES && r->attrs.len < BATCH_BYTES;
	     n++) {
		int ret = cursor_next(&r->cursor, &f, &from, &to);

		if (ret == -ESTALE) {
			queue_gap(r->session, from, to, GAP_EVICTED);
			encoder_reset(&r->encoder);
			set_window(r, 0); /* the cursor stands where it goes on */
			continue;
		}
		if (ret <= 0)
			return ret;
		r->frame_seq = f.seq;
		if (encoder_feed(&r->encoder, &f) == -ENOMEM)
			return -ENOMEM;
	}
	return 1;
}

int replay_send(struct session *s)
{
	struct replay *r = s->replay;

	if (r->attrs.len)
		return send_found(s, &r->attrs, MESSAGE_ATTRS);
	if (r->events.len)
		return send_found(s, &r->events, MESSAGE_EVENTS);
	out_begin(s->server);
	r->any = false;
	int more = read_frames(r);

	if (more < 0)
		return -1;
	if (!more) {
		if (!r->running && r->encoder.mirror.keyed)
			start_here(r, r->encoder.mirror
					      .tick); /* the window begins after the newest tick */
		if (r->running && !r->encoder.stateless)
			send_resets(r, r->encoder.mirror.tick + 1);
	}
	int sent = 0;

	s->seq = r->seq;
	if (r->any) {
		pb_uint(&s->server->out, 2, r->seq);
		STAT_ADD(batches_sent, 1);
		sent = out_send(s->server, s->wsi, MESSAGE_BATCH) < 0 ? -1 : 1;
	}
	if (sent < 0 || more || r->attrs.len || r->events.len)
		return sent;
	stream_advance(s->server);
	r = s->replay;
	if (r && may_go_live(r)) {
		replay_free(s);
		live_begin(s);
	} else if (r && s->server->tail.open &&
		   s->server->tail.cursor.next_seq <= r->cursor.next_seq) {
		r->starved = true;
	}
	return sent;
}
