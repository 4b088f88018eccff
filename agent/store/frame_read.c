#include "store/frame.h"

#include <endian.h>
#include <errno.h>
#include <string.h>

bool frame_get_u64(const uint8_t **p, const uint8_t *end, uint64_t *ret)
{
	if ((size_t)(end - *p) < sizeof(*ret))
		return false;
	memcpy(ret, *p, sizeof(*ret));
	*ret = le64toh(*ret);
	*p += sizeof(*ret);
	return true;
}

struct text frame_text(const uint8_t **p, const uint8_t *end)
{
	const uint8_t *q = *p;
	struct text t = {0};
	uint64_t len;

	if (!varint_get(&q, end, &len) || len > (uint64_t)(end - q))
		return t;
	t.s = (const char *)q;
	t.len = (size_t)len;
	*p = q + len;
	return t;
}

bool frame_get_start(const uint8_t **p, const uint8_t *end, struct tick_start *ret)
{
	if (!varint_get_u32(p, end, &ret->slot) || !varint_get_u32(p, end, &ret->gen) ||
	    !ret->gen || !varint_get(p, end, &ret->id))
		return false;
	ret->name = frame_text(p, end);
	return ret->name.s && ret->name.len < INSTANCE_NAME_MAX;
}

void frame_walk_start(const uint8_t **p, struct tick_start *ret)
{
	ret->slot = (uint32_t)frame_walk(p);
	ret->gen = (uint32_t)frame_walk(p);
	ret->id = frame_walk(p);
	ret->name.len = (size_t)frame_walk(p);
	ret->name.s = (const char *)*p;
	*p += ret->name.len;
}

static bool is_type(const struct frame *f, enum frame_type type)
{
	return f->len && f->data[0] == (uint8_t)type;
}

int frame_read_tick(const struct frame *f, struct tick_head *ret, struct frame_reader *r)
{
	const uint8_t *p = f->data + 1, *end = f->data + f->len;

	if (!is_type(f, FRAME_TICK) || !frame_get_u64(&p, end, &ret->mono_us) ||
	    !varint_get(&p, end, &ret->tick) || !varint_get_u32(&p, end, &ret->n_groups) ||
	    (!ret->n_groups && p != end))
		return -EBADMSG;
	*r = (struct frame_reader){.p = p, .end = end, .left = ret->n_groups, .last_group = -1};
	return 0;
}

/* Head and bounds of the next body; 1, 0 or -EBADMSG. The reader stays where it is. */
static int next_body(const struct frame_reader *r, struct tick_group *g, const uint8_t **p)
{
	uint64_t head, len = 0;
	int64_t off_us, group;

	if (!r->left)
		return r->p == r->end ? 0 : -EBADMSG;
	*p = r->p;
	if (!varint_get(p, r->end, &head) || !varint_get_signed(p, r->end, &off_us))
		return -EBADMSG;
	g->flags = head & 31;
	if (g->flags && (!varint_get(p, r->end, &len) || len > (uint64_t)(r->end - *p)))
		return -EBADMSG;
	group = zigzag_decode(head >> 5) + r->last_group + 1;
	if (group < 0 || group > UINT32_MAX)
		return -EBADMSG;
	g->group = (uint32_t)group;
	g->off_us = (int64_t)((uint64_t)off_us + (uint64_t)r->last_off_us);
	g->end = *p + len;
	return 1;
}

static void pass_body(struct frame_reader *r, const struct tick_group *g)
{
	r->p = g->end;
	r->left--;
	r->last_group = g->group;
	r->last_off_us = g->off_us;
}

int frame_seek_group(struct frame_reader *r, const bool *wanted, uint32_t n_groups)
{
	for (;;) {
		struct tick_group g;
		const uint8_t *p;
		int e = next_body(r, &g, &p);

		if (e != 1)
			return e;
		if (g.group >= n_groups)
			return -EBADMSG;
		if (!wanted || wanted[g.group])
			return 1;
		pass_body(r, &g);
	}
}

static bool check_ends(const uint8_t **p, const uint8_t *end, uint32_t n)
{
	uint32_t slot;

	while (n--)
		if (!varint_get_u32(p, end, &slot))
			return false;
	return true;
}

static bool check_starts(const uint8_t **p, const uint8_t *end, uint32_t n)
{
	struct tick_start s;

	while (n--)
		if (!frame_get_start(p, end, &s))
			return false;
	return true;
}

static bool step(uint32_t *index, uint64_t gap)
{
	uint64_t next = (uint64_t)(*index + 1) + gap; /* FRAME_NO_INDEX + 1 is 0 */

	if (gap >= UINT32_MAX || next >= UINT32_MAX)
		return false;
	*index = (uint32_t)next;
	return true;
}

static bool check_absent(const uint8_t **p, const uint8_t *end, uint32_t n)
{
	uint32_t index = FRAME_NO_INDEX;
	uint64_t gap;

	while (n--)
		if (!varint_get(p, end, &gap) || !step(&index, gap))
			return false;
	return true;
}

bool frame_get_change(const uint8_t **p, const uint8_t *end, uint32_t *index, int64_t *ret_delta)
{
	uint64_t gap, more = 0;
	uint8_t b;

	if (*p == end)
		return false;
	b = *(*p)++;
	gap = b >> 4 & 7;
	if (gap == 7) {
		if (!varint_get(p, end, &gap) || gap > UINT32_MAX)
			return false;
		gap += 7;
	}
	if (b & 0x80 && (!varint_get(p, end, &more) || more >> 60))
		return false;
	*ret_delta = zigzag_decode(more << 4 | (b & 15));
	return step(index, gap);
}

static bool check_changes(const uint8_t *p, const uint8_t *end, uint32_t *ret_n)
{
	uint32_t index = FRAME_NO_INDEX;
	int64_t delta;

	for (*ret_n = 0; p < end; ++*ret_n)
		if (!frame_get_change(&p, end, &index, &delta))
			return false;
	return *ret_n;
}

static bool get_count(const uint8_t **p, const uint8_t *end, bool present, uint32_t *n,
		      const uint8_t **list)
{
	*n = 0;
	if (present && !varint_get_u32(p, end, n))
		return false;
	*list = *p;
	return true;
}

static bool read_lists(const uint8_t *p, struct tick_group *g)
{
	const uint8_t *end = g->end;
	bool ok;

	g->period_ms = 0;
	ok = (!(g->flags & GROUP_PERIOD) || varint_get_u32(&p, end, &g->period_ms)) &&
	     get_count(&p, end, g->flags & GROUP_ENDS, &g->n_ends, &g->ends) &&
	     check_ends(&p, end, g->n_ends) &&
	     get_count(&p, end, g->flags & GROUP_STARTS, &g->n_starts, &g->starts) &&
	     check_starts(&p, end, g->n_starts) &&
	     get_count(&p, end, g->flags & GROUP_ABSENT, &g->n_absent, &g->absent) &&
	     check_absent(&p, end, g->n_absent);
	g->changes = p;
	g->n_changes = 0;
	return ok && (g->flags & GROUP_CHANGES || p == end);
}

int frame_next_group_unread(struct frame_reader *r, struct tick_group *ret)
{
	const uint8_t *p;
	int e = next_body(r, ret, &p);

	if (e != 1)
		return e;
	if (!read_lists(p, ret))
		return -EBADMSG;
	pass_body(r, ret);
	return 1;
}

int frame_next_group(struct frame_reader *r, struct tick_group *ret)
{
	int e = frame_next_group_unread(r, ret);

	if (e == 1 && ret->flags & GROUP_CHANGES &&
	    !check_changes(ret->changes, ret->end, &ret->n_changes))
		return -EBADMSG;
	return e;
}

/* ---- the small ones ---- */

static bool get_text(const uint8_t **p, const uint8_t *end, size_t max, struct text *ret)
{
	*ret = frame_text(p, end);
	return ret->s && ret->len <= max;
}

int frame_read_event(const struct frame *f, struct event_frame *ret)
{
	const uint8_t *p = f->data + 1, *end = f->data + f->len;
	bool ok = is_type(f, FRAME_EVENT) && frame_get_u64(&p, end, &ret->mono_us) &&
		  varint_get_u32(&p, end, &ret->kind) && varint_get_u32(&p, end, &ret->severity) &&
		  get_text(&p, end, FRAME_TEXT_MAX, &ret->source) &&
		  get_text(&p, end, FRAME_TEXT_MAX, &ret->text) && p == end;

	return ok ? 0 : -EBADMSG;
}

int frame_read_attr(const struct frame *f, struct attr_frame *ret)
{
	const uint8_t *p = f->data + 1, *end = f->data + f->len;
	bool ok = is_type(f, FRAME_ATTR) && varint_get_u32(&p, end, &ret->group) &&
		  varint_get_u32(&p, end, &ret->slot) && varint_get_u32(&p, end, &ret->gen) &&
		  ret->gen && varint_get_u32(&p, end, &ret->key) &&
		  get_text(&p, end, ATTR_VALUE_MAX - 1, &ret->value) && p == end;

	return ok ? 0 : -EBADMSG;
}

int frame_read_clock(const struct frame *f, struct clock_frame *ret)
{
	const uint8_t *p = f->data + 1, *end = f->data + f->len;
	bool ok = is_type(f, FRAME_CLOCK) && frame_get_u64(&p, end, &ret->mono_us) &&
		  varint_get_signed(&p, end, &ret->real_off_us) &&
		  varint_get_signed(&p, end, &ret->boot_off_us) &&
		  varint_get_u32(&p, end, &ret->reason) && p == end;

	return ok ? 0 : -EBADMSG;
}
