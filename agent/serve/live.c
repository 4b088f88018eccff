#include "base/clock.h"
#include "base/stats.h"
#include "serve/message.h"
#include "serve/session.h"

#include <linux/sockios.h>
#include <sys/ioctl.h>

enum { BEHIND_TICKS = 5 };

static const uint64_t stall_us = 500000, clear_us = 5000000, stuck_us = 10000000, step_us = 1000000,
		      attrs_every_us = 450000, restart_us = 10000000;

void live_begin(struct session *s)
{
	s->live = true;
	for (unsigned k = 0; k < ITEM_KINDS; k++)
		s->pos[k] = s->server->tail.next;
}

/* Names of kernel threads change every few ticks: attributes travel together, twice a second. */
static bool attrs_due(const struct session *s)
{
	return s->server->tail.newest[ITEM_ATTR] > s->pos[ITEM_ATTR] &&
	       clock_mono_us() - s->attrs_us >= attrs_every_us;
}

bool live_has_work(const struct session *s)
{
	const struct tail *t = &s->server->tail;

	return s->live && (t->newest[ITEM_TICK] > s->pos[ITEM_TICK] ||
			   t->newest[ITEM_CLOCK] > s->pos[ITEM_CLOCK] ||
			   t->newest[ITEM_EVENT] > s->pos[ITEM_EVENT] || attrs_due(s));
}

/* The switch of levels takes effect with the first tick after switch_tick. */
static void maybe_switch(struct session *s, const struct wire_entry *e)
{
	struct buf b = {0};

	if (s->imposed_next == WIRE_NO_LEVEL || e->level != 0 || e->start_tick < s->switch_tick)
		return;
	session_set_levels(s, s->imposed_next);
	s->imposed_next = WIRE_NO_LEVEL;
	session_set_slow(s, s->imposed > 0);
	message_level(&b, wire_level_ticks[s->imposed], s->imposed ? LEVEL_SLOW : LEVEL_AS_ASKED);
	session_queue(s, &b);
	buf_done(&b);
}

/* The ring went on without it: it goes on from the log. */
static int fall_back(struct session *s)
{
	bool *fresh = calloc(s->n_groups + 1, sizeof(*fresh));
	enum replay_from from = s->seq ? REPLAY_RESUME : REPLAY_WINDOW; /* no tick was sent yet */
	int r = fresh ? replay_begin(s, from, s->seq, restart_us, fresh) : -1;

	free(fresh);
	return r < 0 ? -1 : 0;
}

static int send_batch(struct session *s)
{
	struct tail *t = &s->server->tail;
	struct buf *b = &s->server->out;
	uint64_t last_seq = 0, n = s->pos[ITEM_TICK];
	bool any = false;

	if (n < t->first)
		return fall_back(s);
	out_begin(s->server);
	for (; n < t->next; n++) {
		const struct item *item = tail_item(t, n);

		if (item->kind == ITEM_CLOCK) {
			buf_put(b, item->data, item->len);
			any = true;
		}
		if (item->kind != ITEM_TICK)
			continue;
		const struct wire_entry *e = &item->entry;

		if (b->len > BATCH_BYTES && e->seq != last_seq)
			break;
		last_seq = e->seq;
		maybe_switch(s, e);
		if (!(s->levels >> e->level & 1))
			continue;
		wire_put_tick(b, e, s->level, s->n_groups, e->level);
		any = true;
		if (e->level == session_finest(s))
			s->seq = e->seq;
	}
	s->pos[ITEM_TICK] = s->pos[ITEM_CLOCK] = n;
	if (!any)
		return 0;
	pb_uint(b, 2, s->seq);
	STAT_ADD(batches_sent, 1);
	return out_send(s->server, s->wsi, MESSAGE_BATCH) < 0 ? -1 : 1;
}

/* Attributes and events that stand before the newest tick that was sent: they never overtake the
 * start of their instance. */
static int send_items(struct session *s, enum item_kind kind, uint32_t field)
{
	struct tail *t = &s->server->tail;
	struct buf *b = &s->server->out;
	uint64_t n = s->pos[kind];

	out_begin(s->server);
	for (n = n < t->first ? t->first : n; n < t->next && b->len < BATCH_BYTES; n++) {
		const struct item *item = tail_item(t, n);

		if (item->kind == kind &&
		    (kind == ITEM_EVENT ||
		     (item->group < s->n_groups && s->level[item->group] != WIRE_NO_LEVEL)))
			buf_put(b, item->data, item->len);
	}
	s->pos[kind] = n;
	if (b->len == OUT_HEAD)
		return 0;
	return out_send(s->server, s->wsi, field) < 0 ? -1 : 1;
}

int live_send(struct session *s)
{
	struct tail *t = &s->server->tail;
	int r = 0;

	if (t->newest[ITEM_TICK] > s->pos[ITEM_TICK] || t->newest[ITEM_CLOCK] > s->pos[ITEM_CLOCK])
		r = send_batch(s);
	if (r == 0 && s->live && attrs_due(s)) {
		s->attrs_us = clock_mono_us();
		r = send_items(s, ITEM_ATTR, MESSAGE_ATTRS);
	}
	if (r == 0 && s->live && t->newest[ITEM_EVENT] > s->pos[ITEM_EVENT])
		r = send_items(s, ITEM_EVENT, MESSAGE_EVENTS);
	return r;
}

/* Plans a switch to `imposed` at the next tick that ends an interval of every level involved. */
static void plan_switch(struct session *s, uint8_t imposed)
{
	uint8_t join = wire_level_join(s->imposed, imposed);

	for (uint32_t g = 0; g < s->n_groups; g++)
		if (s->asked[g] != WIRE_NO_LEVEL)
			join = wire_level_join(
				join,
				wire_level_join(s->asked[g], wire_level_join(s->imposed, imposed)));
	uint32_t ticks = wire_level_ticks[join];

	s->imposed_next = imposed;
	session_set_slow(s, true);
	stream_want_levels(s->server); /* the interval after switch_tick is whole */
	s->switch_tick = (s->server->tail.encoder.tick + ticks - 1) / ticks * ticks;
}

/* Has it taken nothing for so long? What is in the socket's buffers may take a thin line longer. */
static bool is_stuck(struct session *s, uint64_t now_us)
{
	int unread = 0;

	if (s->moved_us < s->waiting_us)
		s->moved_us = s->waiting_us;
	if (now_us - s->waiting_us < step_us)
		return false;
	if (ioctl(lws_get_socket_fd(s->wsi), SIOCOUTQ, &unread) == 0 && unread != s->unread) {
		s->unread = unread;
		s->moved_us = now_us;
	}
	return now_us - s->moved_us > stuck_us;
}

int live_judge(struct session *s, uint64_t now_us)
{
	uint64_t waited = s->waiting_us ? now_us - s->waiting_us : 0;

	if (waited && is_stuck(s, now_us))
		return -1;
	if (!s->live || s->imposed_next != WIRE_NO_LEVEL)
		return 0;
	uint64_t tick_us = 1000000 / (s->server->config.rate_hz ? s->server->config.rate_hz : 1);

	if (waited > stall_us || (waited > BEHIND_TICKS * tick_us && waited > stall_us / 4)) {
		if (now_us - s->stalled_us > step_us && s->imposed + 1 < WIRE_LEVELS)
			plan_switch(s, (uint8_t)(s->imposed + 1));
		s->stalled_us = now_us;
	} else if (s->imposed && now_us - s->stalled_us > clear_us) {
		plan_switch(s, (uint8_t)(s->imposed - 1));
		s->stalled_us = now_us;
	}
	return 0;
}
