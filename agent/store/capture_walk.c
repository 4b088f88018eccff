#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "store/capture_log.h"

void capture_walk_init(struct capture_walk *w)
{
	*w = (struct capture_walk){0};
	mirror_init(&w->mirror);
}

void capture_walk_done(struct capture_walk *w)
{
	mirror_done(&w->mirror);
	free(w->catalog);
	*w = (struct capture_walk){0};
}

static void lose(struct capture_walk *w)
{
	w->n_gaps += w->mirror.keyed;
	w->mirror.keyed = false;
}

static int judge_catalog(struct capture_walk *w, const struct frame *f)
{
	if (!w->catalog)
		return TAKE_FRAME;
	w->other = f->len != w->catalog_len || memcmp(f->data, w->catalog, f->len) != 0;
	return w->other ? TAKE_NOTHING : TAKE_REPEAT;
}

static bool attr_is_known(const struct mirror *m, const struct frame *f)
{
	const struct mirror_group *g;
	struct attr_frame a;
	const char *value;

	if (frame_read_attr(f, &a) < 0 || a.group >= m->n_groups)
		return false;
	g = &m->groups[a.group];
	if (a.key >= g->n_attrs || a.slot >= g->n_slots || g->inst[a.slot].gen != a.gen)
		return false;
	value = g->inst[a.slot].attrs[a.key];
	return value && strlen(value) == a.value.len && !memcmp(value, a.value.s, a.value.len);
}

static bool clock_is_known(const struct mirror *m, const struct frame *f)
{
	const struct mirror_clock *newest = m->n_clocks ? &m->clocks[m->n_clocks - 1] : NULL;
	struct clock_frame c;

	return newest && frame_read_clock(f, &c) == 0 && c.mono_us == newest->mono_us &&
	       c.real_off_us == newest->real_off_us;
}

static void take_seq(struct capture_walk *w, uint64_t seq)
{
	bool state = seq & CAPTURE_STATE;

	if (!seq)
		return;
	if (state ? seq != w->state_seq : w->next_seq && seq != w->next_seq)
		lose(w);
	w->next_seq = state ? seq & ~CAPTURE_STATE : seq + 1;
	w->state_seq = state ? seq : 0;
}

int capture_walk_judge(struct capture_walk *w, const struct frame *f)
{
	const struct mirror *m = &w->mirror;

	if (w->other)
		return TAKE_NOTHING;
	take_seq(w, f->seq);
	switch (frame_type(f)) {
	case FRAME_CATALOG:
		return judge_catalog(w, f);
	case FRAME_KEY:
		return !m->version ? TAKE_NOTHING : m->keyed ? TAKE_FRAME : TAKE_STATE;
	case FRAME_TICK:
		return m->keyed ? TAKE_FRAME : TAKE_NOTHING;
	case FRAME_ATTR:
		if (!m->version)
			return TAKE_NOTHING;
		return m->keyed && !attr_is_known(m, f) ? TAKE_FRAME : TAKE_REPEAT;
	case FRAME_CLOCK:
		return m->keyed && !clock_is_known(m, f) ? TAKE_FRAME : TAKE_REPEAT;
	case FRAME_EVENT:
		return w->begun ? TAKE_FRAME : TAKE_NOTHING;
	default:
		return TAKE_NOTHING; /* of a later version */
	}
}

static int hold_catalog(struct capture_walk *w, const struct frame *f)
{
	uint8_t *copy = malloc(f->len);

	if (!copy)
		return -ENOMEM;
	memcpy(copy, f->data, f->len);
	w->catalog = copy;
	w->catalog_len = f->len;
	return 0;
}

int capture_walk_apply(struct capture_walk *w, const struct frame *f)
{
	enum frame_type type = frame_type(f);
	bool known = type == FRAME_CATALOG && w->catalog;
	int r = known ? 0 : mirror_apply(&w->mirror, f);

	if (r == 0 && type == FRAME_CATALOG && !known)
		r = hold_catalog(w, f);
	if (r == 0 && type == FRAME_KEY)
		w->begun = true;
	if (r == -EBADMSG)
		lose(w);
	return r;
}
