#include "serve/encoder.h"

#include <errno.h>

enum { GROUPS_MAX = 4096 };

void encoder_init(struct encoder *e, const struct encoder_sink *sink, void *arg,
		  uint32_t levels_wanted)
{
	*e = (struct encoder){.sink = sink, .arg = arg, .levels_wanted = levels_wanted};
	mirror_init(&e->mirror);
	for (unsigned i = 1; i < WIRE_LEVELS; i++)
		level_init(&e->levels[i], wire_level_ticks[i]);
}

void encoder_done(struct encoder *e)
{
	mirror_done(&e->mirror);
	for (unsigned i = 1; i < WIRE_LEVELS; i++)
		level_done(&e->levels[i]);
	free(e->blobs);
	buf_done(&e->data);
	*e = (struct encoder){0};
}

void encoder_want(struct encoder *e, uint32_t levels)
{
	for (unsigned i = 1; i < WIRE_LEVELS; i++)
		if (levels & ~e->levels_wanted & 1u << i)
			level_reset(&e->levels[i]);
	e->levels_wanted = levels;
}

void encoder_reset(struct encoder *e)
{
	mirror_done(&e->mirror);
	mirror_init(&e->mirror);
	for (unsigned i = 1; i < WIRE_LEVELS; i++)
		level_reset(&e->levels[i]);
	e->seq = e->tick = e->mono_us = 0;
}

static int reserve_blobs(struct encoder *e, uint32_t n)
{
	if (n <= e->n_groups)
		return 0;
	struct wire_blob *p = realloc(e->blobs, n * sizeof(*p));

	if (!p)
		return -ENOMEM;
	e->blobs = p;
	e->n_groups = n;
	return 0;
}

static void take_level(struct encoder *e, struct level *l)
{
	struct wire_entry entry;
	bool whole = l->whole;

	buf_clear(&e->data);
	level_take(l, &e->mirror, &e->data, e->blobs, &entry);
	if (whole && !e->data.failed && e->sink->entry)
		e->sink->entry(e->arg, &entry);
}

/* Level 1: the frame's groups, in other clothes. */
static int encode_tick(struct encoder *e, const struct frame *f, const struct tick_head *head,
		       struct frame_reader reader)
{
	struct tick_group g;
	uint32_t n = 0;
	int r;

	buf_clear(&e->data);
	while ((r = frame_next_group(&reader, &g)) > 0) {
		size_t begin = e->data.len;

		if (n == e->n_groups) /* groups repeat in one tick: malformed */
			return -EBADMSG;
		wire_put_group(&e->data, &g);
		e->blobs[n++] = (struct wire_blob){g.group, (uint32_t)begin,
						   (uint32_t)(e->data.len - begin)};
	}
	if (r < 0)
		return r;
	if (e->data.failed)
		return -ENOMEM;
	if (e->sink->entry)
		e->sink->entry(e->arg,
			       &(struct wire_entry){.seq = f->seq,
						    .mono_us = head->mono_us,
						    .tick = head->tick,
						    .start_tick = head->tick ? head->tick - 1 : 0,
						    .n_blobs = n,
						    .blobs = e->blobs,
						    .data = e->data.p,
						    .len = e->data.len});
	return 0;
}

static bool level_wanted(const struct encoder *e, unsigned i)
{
	return e->levels_wanted >> i & 1;
}

static int feed_levels(struct encoder *e, const struct tick_head *head, struct frame_reader reader)
{
	struct tick_group g;
	int r;

	if (e->levels_wanted <= 1)
		return 0;
	while ((r = frame_next_group(&reader, &g)) > 0)
		for (unsigned i = 1; i < WIRE_LEVELS; i++)
			if (level_wanted(e, i)) {
				r = level_group(&e->levels[i], &e->mirror, head->mono_us, &g);
				if (r < 0)
					return r;
			}
	return r;
}

static int feed_tick(struct encoder *e, const struct frame *f)
{
	struct frame_reader reader;
	struct tick_head head;
	int r = frame_read_tick(f, &head, &reader);

	if (r < 0)
		return r;
	if (e->stateless)
		r = head.n_groups > GROUPS_MAX ? -EBADMSG : reserve_blobs(e, head.n_groups);
	else if (!e->mirror.keyed)
		return 0; /* before the first KEY nothing is known */
	else
		r = reserve_blobs(e, e->mirror.n_groups);
	if (r < 0)
		return r;
	if (!e->stateless)
		for (unsigned i = 1; i < WIRE_LEVELS; i++)
			if (level_wanted(e, i) &&
			    level_begin(&e->levels[i], e->mirror.tick, head.tick)) {
				take_level(e, &e->levels[i]);
				level_begin(&e->levels[i], e->mirror.tick, head.tick);
			}
	if (e->sink->before)
		e->sink->before(e->arg, &head);
	if (level_wanted(e, 0))
		r = encode_tick(e, f, &head, reader);
	if (r == 0 && !e->stateless) {
		r = feed_levels(e, &head, reader);
		if (r == 0)
			r = mirror_apply(&e->mirror, f);
	}
	e->seq = f->seq;
	e->tick = head.tick;
	e->mono_us = head.mono_us;
	if (!e->stateless)
		for (unsigned i = 1; i < WIRE_LEVELS; i++)
			if (level_wanted(e, i) &&
			    level_end(&e->levels[i], f->seq, head.mono_us, head.tick))
				take_level(e, &e->levels[i]);
	return r;
}

static bool attr_is_news(const struct encoder *e, const struct attr_frame *a)
{
	if (e->stateless || a->group >= e->mirror.n_groups)
		return true;
	const struct mirror_group *g = &e->mirror.groups[a->group];

	if (a->slot >= g->n_slots || g->inst[a->slot].gen != a->gen || a->key >= g->n_attrs ||
	    !g->inst[a->slot].attrs)
		return true;
	const char *known = g->inst[a->slot].attrs[a->key];

	return !known || strlen(known) != a->value.len || memcmp(known, a->value.s, a->value.len);
}

int encoder_feed(struct encoder *e, const struct frame *f)
{
	struct attr_frame attr;
	struct event_frame event;
	struct clock_frame clock;
	int r = 0;

	switch (frame_type(f)) {
	case FRAME_TICK:
		return feed_tick(e, f);
	case FRAME_ATTR:
		r = frame_read_attr(f, &attr);
		if (r == 0 && e->sink->attr && attr_is_news(e, &attr))
			e->sink->attr(e->arg, f->seq, &attr);
		break;
	case FRAME_EVENT:
		r = frame_read_event(f, &event);
		if (r == 0 && e->sink->event)
			e->sink->event(e->arg, f->seq, &event);
		break;
	case FRAME_CLOCK:
		r = frame_read_clock(f, &clock);
		if (r == 0 && e->sink->clock)
			e->sink->clock(e->arg, f->seq, &clock);
		break;
	case FRAME_KEY:
	case FRAME_CATALOG:
	default:
		break;
	}
	if (r < 0 || e->stateless)
		return r;
	return mirror_apply(&e->mirror, f);
}
