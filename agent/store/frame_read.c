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
	if (!varint_get_u32(p, end, &ret->slot) || !varint_get_u32(p, end, &ret->gen) || !ret->gen ||
	    !varint_get(p, end, &ret->id))
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
	*r = (struct frame_reader){.p = p, .end = end, .left = ret->n_groups};
	return 0;
}

/* Bounds of the next body; 1, 0 or -EBADMSG. */
static int next_body(const struct frame_reader *r, const uint8_t **p, const uint8_t **end)
{
	uint64_t len;

	if (!r->left)
		return r->p == r->end ? 0 : -EBADMSG;
	*p = r->p;
	if (!varint_get(p, r->end, &len) || len > (uint64_t)(r->end - *p))
		return -EBADMSG;
	*end = *p + len;
	return 1;
}

int frame_peek_group(const struct frame_reader *r, uint32_t *ret_group)
{
	const uint8_t *p, *end;
	int e = next_body(r, &p, &end);

	if (e == 1 && !varint_get_u32(&p, end, ret_group))
		return -EBADMSG;
	return e;
}

int frame_skip_group(struct frame_reader *r)
{
	const uint8_t *p, *end;
	int e = next_body(r, &p, &end);

	if (e == 1) {
		r->p = end;
		r->left--;
	}
	return e;
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

/* n x gap, each with a delta or not; no index may pass 32 bits. */
static bool check_values(const uint8_t **p, const uint8_t *end, uint32_t n, bool deltas)
{
	uint64_t next = 0, delta;
	uint32_t gap;

	while (n--) {
		if (!varint_get_u32(p, end, &gap) || next + gap >= UINT32_MAX)
			return false;
		next += (uint64_t)gap + 1;
		if (deltas && !varint_get(p, end, &delta))
			return false;
	}
	return true;
}

static bool get_count(const uint8_t **p, const uint8_t *end, bool present, uint32_t *n, const uint8_t **list)
{
	*n = 0;
	if (present && !varint_get_u32(p, end, n))
		return false;
	*list = *p;
	return true;
}

static bool read_body(const uint8_t *p, const uint8_t *end, struct tick_group *g)
{
	const uint32_t known = GROUP_PERIOD | GROUP_ENDS | GROUP_STARTS | GROUP_ABSENT;

	g->period_ms = 0;
	g->end = end;
	return varint_get_u32(&p, end, &g->group) && varint_get_u32(&p, end, &g->flags) &&
	       !(g->flags & ~known) && varint_get_signed(&p, end, &g->off_us) &&
	       (!(g->flags & GROUP_PERIOD) || varint_get_u32(&p, end, &g->period_ms)) &&
	       get_count(&p, end, g->flags & GROUP_ENDS, &g->n_ends, &g->ends) &&
	       check_ends(&p, end, g->n_ends) &&
	       get_count(&p, end, g->flags & GROUP_STARTS, &g->n_starts, &g->starts) &&
	       check_starts(&p, end, g->n_starts) &&
	       get_count(&p, end, g->flags & GROUP_ABSENT, &g->n_absent, &g->absent) &&
	       check_values(&p, end, g->n_absent, false) &&
	       get_count(&p, end, true, &g->n_changes, &g->changes) &&
	       check_values(&p, end, g->n_changes, true) && p == end;
}

int frame_next_group(struct frame_reader *r, struct tick_group *ret)
{
	const uint8_t *p, *end;
	int e = next_body(r, &p, &end);

	if (e != 1)
		return e;
	if (!read_body(p, end, ret))
		return -EBADMSG;
	r->p = end;
	r->left--;
	return 1;
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
		  varint_get_u32(&p, end, &ret->slot) && varint_get_u32(&p, end, &ret->gen) && ret->gen &&
		  varint_get_u32(&p, end, &ret->key) &&
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
