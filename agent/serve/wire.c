#include "serve/wire.h"

#include "base/varint.h"

#include <string.h>

const uint32_t wire_level_ticks[WIRE_LEVELS] = {1, 2, 5, 10, 50};

uint8_t wire_level_of(uint32_t ticks)
{
	for (uint8_t i = 0; i < WIRE_LEVELS; i++)
		if (wire_level_ticks[i] == (ticks ? ticks : 1))
			return i;
	return WIRE_NO_LEVEL;
}

uint8_t wire_level_join(uint8_t a, uint8_t b)
{
	uint8_t i = a > b ? a : b;

	while (wire_level_ticks[i] % wire_level_ticks[a] ||
	       wire_level_ticks[i] % wire_level_ticks[b])
		i++; /* ends at 50, a multiple of all */
	return i;
}

/* The end of n varints at p; they were validated by frame_next_group. */
static const uint8_t *skip_varints(const uint8_t *p, uint64_t n)
{
	while (n)
		n -= *p++ < 0x80;
	return p;
}

static void put_packed(struct buf *b, uint32_t field, const uint8_t *p, uint32_t n)
{
	if (n)
		pb_bytes(b, field, p, (size_t)(skip_varints(p, n) - p));
}

/* One list of pairs in the frame, two packed fields on the wire: both are written behind the room
 * that they can need at most, then moved into place. */
static void put_changes(struct buf *b, const uint8_t *p, uint32_t n)
{
	enum { GAP_MAX = 5 };
	size_t gap_room = (size_t)n * GAP_MAX, room = gap_room + (size_t)n * VARINT_MAX;
	uint32_t index = FRAME_NO_INDEX, before = index;

	if (!n || !buf_room(b, room + 4 * VARINT_MAX))
		return;
	uint8_t *gaps = b->p + b->len + 2 * VARINT_MAX, *deltas = gaps + gap_room + 2 * VARINT_MAX;
	uint8_t *gap = gaps, *delta = deltas;

	for (uint32_t i = 0; i < n; i++, before = index) {
		delta = varint_put_signed(delta, frame_walk_change(&p, &index));
		gap = varint_put(gap, index - before - 1);
	}
	pb_tag(b, 8, PB_BYTES);
	buf_varint(b, (size_t)(gap - gaps));
	memmove(b->p + b->len, gaps, (size_t)(gap - gaps));
	b->len += (size_t)(gap - gaps);
	pb_tag(b, 9, PB_BYTES);
	buf_varint(b, (size_t)(delta - deltas));
	memmove(b->p + b->len, deltas, (size_t)(delta - deltas));
	b->len += (size_t)(delta - deltas);
}

void wire_put_instance(struct buf *b, uint32_t field, uint32_t slot, uint32_t gen, const char *name,
		       size_t name_len, char *const *attrs, uint32_t n_attrs)
{
	size_t at = pb_open(b, field);

	pb_uint(b, 1, slot);
	pb_uint(b, 2, gen);
	pb_bytes(b, 3, name, name_len);
	for (uint32_t i = 0; attrs && i < n_attrs; i++) {
		if (!attrs[i])
			continue;
		size_t attr = pb_open(b, 4);

		pb_uint(b, 1, i);
		pb_string(b, 2, attrs[i]);
		pb_close(b, attr);
	}
	pb_close(b, at);
}

static void put_starts(struct buf *b, const struct tick_group *g)
{
	const uint8_t *p = g->starts;

	for (uint32_t i = 0; i < g->n_starts; i++) {
		uint64_t slot = 0, gen = 0, id = 0;

		if (!varint_get(&p, g->end, &slot) || !varint_get(&p, g->end, &gen) ||
		    !varint_get(&p, g->end, &id))
			return;
		struct text name = frame_text(&p, g->end);

		wire_put_instance(b, 6, (uint32_t)slot, (uint32_t)gen, name.s, name.len, NULL, 0);
	}
}

void wire_put_group(struct buf *b, const struct tick_group *g)
{
	size_t at = pb_open(b, 3);

	pb_uint(b, 1, g->group);
	pb_sint(b, 2, g->off_us);
	if (g->flags & GROUP_PERIOD) { /* in a oneof: zero is written, too */
		pb_tag(b, 4, PB_VARINT);
		buf_varint(b, g->period_ms);
	}
	put_packed(b, 5, g->ends, g->n_ends);
	put_starts(b, g);
	put_packed(b, 7, g->absent, g->n_absent);
	put_changes(b, g->changes, g->n_changes);
	pb_close(b, at);
}

enum reset_list { RESET_ABSENT, RESET_GAP, RESET_DELTA };

static void put_reset_list(struct buf *b, const struct mirror_group *g, uint32_t field,
			   enum reset_list what)
{
	uint64_t last = UINT64_MAX; /* index before; -1 */
	size_t at = pb_open(b, field), begin = b->len;

	for (uint32_t slot = 0; slot < g->n_slots; slot++) {
		if (!g->inst[slot].live)
			continue;
		for (uint32_t m = 0; m < g->n_metrics; m++) {
			uint64_t index = (uint64_t)slot * g->n_metrics + m;
			int64_t v = g->rows[index];

			if (what == RESET_ABSENT ? v != VALUE_ABSENT : v == VALUE_ABSENT || v == 0)
				continue;
			if (what == RESET_DELTA)
				buf_varint(b, zigzag_encode(v));
			else
				buf_varint(b, index - last - 1);
			last = index;
		}
	}
	if (b->len == begin && !b->failed)
		b->len = begin - 1; /* nothing: take the tag back, one byte for fields below 16 */
	else
		pb_close(b, at);
}

void wire_put_reset(struct buf *b, uint32_t group, const struct mirror_group *g, uint64_t mono_us)
{
	size_t at = pb_open(b, 3);

	pb_uint(b, 1, group);
	pb_sint(b, 2, (int64_t)(g->acquired_us - mono_us));
	pb_uint(b, 3, 1);
	pb_tag(b, 4, PB_VARINT);
	buf_varint(b, g->period_ms);
	for (uint32_t slot = 0; slot < g->n_slots; slot++) {
		const struct mirror_instance *inst = &g->inst[slot];

		if (inst->live)
			wire_put_instance(b, 6, slot, inst->gen, inst->name, strlen(inst->name),
					  inst->attrs, g->n_attrs);
	}
	put_reset_list(b, g, 7, RESET_ABSENT);
	put_reset_list(b, g, 8, RESET_GAP);
	put_reset_list(b, g, 9, RESET_DELTA);
	pb_close(b, at);
}

uint32_t wire_put_tick(struct buf *b, const struct wire_entry *e, const uint8_t *take,
		       uint32_t n_take, uint8_t take_level)
{
	size_t at = pb_open(b, 1);
	uint32_t n = 0;

	pb_uint(b, 1, e->mono_us);
	pb_uint(b, 2, e->tick);
	for (uint32_t i = 0; i < e->n_blobs; i++) {
		const struct wire_blob *blob = &e->blobs[i];

		if (blob->group >= n_take || take[blob->group] != take_level)
			continue;
		buf_put(b, e->data + blob->off, blob->len);
		n++;
	}
	pb_close(b, at);
	return n;
}
