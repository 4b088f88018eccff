#include "serve/tail.h"

#include "serve/message.h"

#include <errno.h>

static void drop_oldest(struct tail *t)
{
	struct item **item = &t->ring[t->first++ % TAIL_ITEMS];

	t->bytes -= (*item)->len;
	free(*item);
	*item = NULL;
}

/* Takes a new item of len data bytes, the next in number; NULL while priming or without memory. */
static struct item *add_item(struct tail *t, enum item_kind kind, size_t len)
{
	if (t->priming)
		return NULL;
	while (t->first < t->next &&
	       (t->next - t->first == TAIL_ITEMS || t->bytes + len > TAIL_BYTES))
		drop_oldest(t);
	struct item *item = malloc(sizeof(*item) + len);

	if (!item)
		return NULL;
	*item = (struct item){.kind = kind, .len = len};
	t->bytes += len;
	t->ring[t->next % TAIL_ITEMS] = item;
	t->newest[kind] = ++t->next;
	return item;
}

static void on_entry(void *arg, const struct wire_entry *e)
{
	size_t blobs = e->n_blobs * sizeof(*e->blobs);
	struct item *item = add_item(arg, ITEM_TICK, blobs + e->len);

	if (!item)
		return;
	item->entry = *e;
	if (blobs)
		memcpy(item->data, e->blobs, blobs);
	if (e->len)
		memcpy(item->data + blobs, e->data, e->len);
	item->entry.blobs = (const struct wire_blob *)(const void *)item->data;
	item->entry.data = item->data + blobs;
}

static void add_scratch(struct tail *t, enum item_kind kind, uint32_t group)
{
	struct item *item = t->scratch.failed ? NULL : add_item(t, kind, t->scratch.len);

	if (item) {
		item->group = group;
		memcpy(item->data, t->scratch.p, t->scratch.len);
	}
}

static void on_attr(void *arg, uint64_t seq, const struct attr_frame *a)
{
	struct tail *t = arg;

	(void)seq;
	buf_clear(&t->scratch);
	put_attr_change(&t->scratch, 1, a);
	add_scratch(t, ITEM_ATTR, a->group);
}

static void on_event(void *arg, uint64_t seq, const struct event_frame *e)
{
	struct tail *t = arg;

	buf_clear(&t->scratch);
	put_event(&t->scratch, 1, seq, (int64_t)e->mono_us, e);
	add_scratch(t, ITEM_EVENT, 0);
}

static void on_clock(void *arg, uint64_t seq, const struct clock_frame *c)
{
	struct tail *t = arg;

	(void)seq;
	buf_clear(&t->scratch);
	put_clock(&t->scratch, 3, (int64_t)c->mono_us, c->real_off_us, c->boot_off_us, c->reason);
	add_scratch(t, ITEM_CLOCK, 0);
}

static const struct encoder_sink tail_sink = {
	.entry = on_entry,
	.attr = on_attr,
	.event = on_event,
	.clock = on_clock,
};

void tail_init(struct tail *t, struct log *log)
{
	*t = (struct tail){.log = log};
	encoder_init(&t->encoder, &tail_sink, t, 1); /* stream.c wants more as clients do */
}

static void forget(struct tail *t)
{
	while (t->first < t->next)
		drop_oldest(t);
	if (t->open)
		cursor_close(&t->cursor);
	t->open = false;
	encoder_reset(&t->encoder);
}

void tail_done(struct tail *t)
{
	forget(t);
	encoder_done(&t->encoder);
	buf_done(&t->scratch);
}

/* Reads what is there; 0, -ESTALE or -ENOMEM. */
static int read_on(struct tail *t)
{
	uint64_t from, to;
	struct frame f;
	int r;

	while ((r = cursor_next(&t->cursor, &f, &from, &to)) > 0) {
		r = encoder_feed(&t->encoder, &f);
		if (r == -ENOMEM)
			return r;
	}
	return r;
}

static int start(struct tail *t)
{
	int r = cursor_open_seq(&t->cursor, t->log, log_newest(t->log));

	if (r < 0)
		return r;
	t->open = true;
	t->priming = true; /* old frames make the state, not items */
	r = read_on(t);
	t->priming = false;
	if (r < 0)
		forget(t);
	return r;
}

int tail_advance(struct tail *t, bool skip)
{
	/* Further behind than a segment is cheaper to start afresh. */
	if (t->open && skip && log_newest(t->log) > t->cursor.next_seq + 4096)
		forget(t);
	if (!t->open)
		return start(t);
	int r = read_on(t);

	if (r < 0)
		forget(t);
	return r;
}
