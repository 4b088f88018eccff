#include "base/batch.h"

#include <assert.h>
#include <errno.h>
#include <string.h>
#include <sys/mman.h>

static uint64_t mix64(uint64_t h)
{
	h ^= h >> 33;
	h *= 0xff51afd7ed558ccdu;
	return h ^ h >> 33;
}

static uint64_t hash_name(const char *s, size_t len)
{
	uint64_t h = 0xcbf29ce484222325u;

	for (size_t i = 0; i < len; i++)
		h = (h ^ (uint8_t)s[i]) * 0x100000001b3u;
	return mix64(h);
}

static uint64_t hash_slot(const struct batch *b, uint32_t slot)
{
	const struct instance *in = &b->inst[slot];

	return b->group->managed ? mix64(in->id) : hash_name(in->name, strlen(in->name));
}

/* Open addressing with slot + 1 in the cells; deletion shifts the run back, so no tombstones. */
static void hash_insert(struct batch *b, uint32_t slot)
{
	uint32_t i = (uint32_t)hash_slot(b, slot) & b->hash_mask;

	while (b->hash[i])
		i = (i + 1) & b->hash_mask;
	b->hash[i] = slot + 1;
}

static void hash_remove(struct batch *b, uint32_t slot)
{
	uint32_t hole = (uint32_t)hash_slot(b, slot) & b->hash_mask;

	while (b->hash[hole] != slot + 1)
		hole = (hole + 1) & b->hash_mask;
	for (uint32_t i = (hole + 1) & b->hash_mask; b->hash[i]; i = (i + 1) & b->hash_mask) {
		uint32_t home = (uint32_t)hash_slot(b, b->hash[i] - 1) & b->hash_mask;

		if (((i - home) & b->hash_mask) >= ((i - hole) & b->hash_mask)) {
			b->hash[hole] = b->hash[i];
			hole = i;
		}
	}
	b->hash[hole] = 0;
}

static size_t attr_count(const struct group *g)
{
	size_t n = 0;

	while (g->attrs && g->attrs[n])
		n++;
	return n;
}

/* Hands out pieces of one mapping; with map NULL it only counts. */
static void *carve(struct batch *b, size_t *at, size_t bytes)
{
	void *p = b->map ? (char *)b->map + *at : NULL;

	*at += (bytes + 63) & ~(size_t)63;
	return p;
}

static size_t lay_out(struct batch *b)
{
	size_t at = 0, cap = b->cap, row = cap * b->n_metrics * sizeof(int64_t);
	size_t n_attrs = cap * b->n_attrs;

	b->rows = carve(b, &at, row);
	b->prev = carve(b, &at, row);
	b->inst = carve(b, &at, cap * sizeof(*b->inst));
	b->touched = carve(b, &at, cap * sizeof(uint32_t));
	b->touched_epoch = carve(b, &at, cap * sizeof(uint32_t));
	b->started = carve(b, &at, cap * sizeof(uint32_t));
	b->ended = carve(b, &at, cap * sizeof(uint32_t));
	b->order = carve(b, &at, cap * sizeof(uint32_t));
	b->free_slots = carve(b, &at, cap * sizeof(uint32_t));
	b->hash = carve(b, &at, ((size_t)b->hash_mask + 1) * sizeof(uint32_t));
	b->attrs = carve(b, &at, n_attrs * ATTR_VALUE_MAX);
	b->attr_dirty = carve(b, &at, n_attrs * sizeof(uint32_t));
	b->attr_epoch = carve(b, &at, n_attrs * sizeof(uint32_t));
	return at;
}

int batch_init(struct batch *b, const struct group *g, uint32_t cap)
{
	uint32_t cells = 4;

	*b = (struct batch){.group = g, .n_metrics = g->n_metrics, .epoch = 1};
	b->n_attrs = (uint32_t)attr_count(g);
	b->cap = !g->indom ? 1 : cap ? cap : g->max_instances;
	if (!b->cap || !g->n_metrics || g->n_metrics > GROUP_METRICS_MAX ||
	    b->n_attrs > ATTRS_MAX || b->cap > 1u << 22)
		return -EINVAL;
	while (cells < b->cap * 2)
		cells *= 2;
	b->hash_mask = cells - 1;
	b->map_len = lay_out(b);
	b->map = mmap(NULL, b->map_len, PROT_READ | PROT_WRITE,
		      MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	if (b->map == MAP_FAILED) {
		b->map = NULL;
		return -ENOMEM;
	}
	lay_out(b);
	return 0;
}

void batch_done(struct batch *b)
{
	if (b && b->map)
		munmap(b->map, b->map_len);
	if (b)
		*b = (struct batch){0};
}

void batch_begin(struct batch *b, uint64_t tick)
{
	b->tick = tick;
	b->pass++;
	b->pos = 0;
	b->n_seen = 0;
}

void batch_finish(struct batch *b)
{
	if (b->group->managed || b->n_seen == b->n_live)
		return;
	for (uint32_t s = 0; s < b->n_slots; s++)
		if (b->inst[s].live && b->inst[s].seen != b->pass)
			batch_end(b, s);
}

static void forget_changes(struct batch *b)
{
	for (uint32_t i = 0; i < b->n_ended; i++)
		b->free_slots[b->n_free++] = b->ended[i];
	b->n_touched = b->n_started = b->n_ended = b->n_attr_dirty = 0;
	b->epoch++;
}

void batch_commit(struct batch *b)
{
	size_t row = b->n_metrics;

	for (uint32_t i = 0; i < b->n_touched; i++) {
		size_t at = b->touched[i] * row;

		memcpy(b->prev + at, b->rows + at, row * sizeof(int64_t));
	}
	forget_changes(b);
}

static void publish_instances(struct batch *to, const struct batch *from)
{
	size_t row = from->n_metrics * sizeof(int64_t);

	for (uint32_t s = to->n_slots; s < from->n_slots; s++) /* came and went unseen */
		if (!from->inst[s].live)
			to->inst[s].gen = from->inst[s].gen;
	for (uint32_t i = 0; i < from->n_ended; i++)
		to->inst[from->ended[i]].live = false;
	for (uint32_t i = 0; i < from->n_started; i++) {
		uint32_t s = from->started[i];

		to->inst[s] = from->inst[s];
		memset(to->prev + (size_t)s * from->n_metrics, 0, row);
		for (uint32_t k = 0; k < from->n_attrs; k++)
			to->attrs[(size_t)s * from->n_attrs + k][0] = 0;
	}
	to->n_slots = from->n_slots;
	to->n_live = from->n_live;
	to->n_refused = from->n_refused;
	to->n_free = 0; /* it gives no slots away */
}

void batch_publish(struct batch *to, struct batch *from)
{
	size_t row = from->n_metrics;

	publish_instances(to, from);
	memcpy(to->ended, from->ended, from->n_ended * sizeof(uint32_t));
	memcpy(to->started, from->started, from->n_started * sizeof(uint32_t));
	memcpy(to->touched, from->touched, from->n_touched * sizeof(uint32_t));
	memcpy(to->attr_dirty, from->attr_dirty, from->n_attr_dirty * sizeof(uint32_t));
	to->n_ended = from->n_ended;
	to->n_started = from->n_started;
	to->n_touched = from->n_touched;
	to->n_attr_dirty = from->n_attr_dirty;
	for (uint32_t i = 0; i < from->n_touched; i++) {
		size_t at = from->touched[i] * row;

		memcpy(to->rows + at, from->rows + at, row * sizeof(int64_t));
	}
	for (uint32_t i = 0; i < from->n_attr_dirty; i++)
		memcpy(to->attrs[from->attr_dirty[i]], from->attrs[from->attr_dirty[i]],
		       ATTR_VALUE_MAX);
	forget_changes(from);
}

int batch_clone(struct batch *to, const struct batch *from)
{
	for (uint32_t s = 0; s < from->n_slots; s++) {
		const struct instance *in = &from->inst[s];
		int r = !in->gen ? 0
				 : batch_restore(to, s, in->gen, in->id, in->name, in->live,
						 from->prev + (size_t)s * from->n_metrics);

		if (r < 0)
			return r;
		for (uint32_t k = 0; in->live && k < from->n_attrs; k++) {
			const char *value = from->attrs[(size_t)s * from->n_attrs + k];

			batch_attr(to, s, k, value, strlen(value));
		}
	}
	batch_commit(to);
	return 0;
}

static int64_t *touch(struct batch *b, uint32_t slot)
{
	if (b->inst[slot].seen != b->pass) {
		b->inst[slot].seen = b->pass;
		b->n_seen++;
	}
	if (b->touched_epoch[slot] != b->epoch) {
		b->touched_epoch[slot] = b->epoch;
		b->touched[b->n_touched++] = slot;
	}
	return b->rows + (size_t)slot * b->n_metrics;
}

/* Length of the valid UTF-8 sequence at s (n bytes follow), or 0. Control characters count as
 * invalid, so that a name cannot move a terminal's cursor. */
static size_t utf8_len(const uint8_t *s, size_t n)
{
	size_t want = s[0] < 0x80 ? 1 : (s[0] & 0xe0) == 0xc0 ? 2 : (s[0] & 0xf0) == 0xe0 ? 3 : 4;

	if (want == 1)
		return s[0] >= 0x20 && s[0] != 0x7f;
	if (want > n || s[0] < 0xc2 || s[0] > 0xf4)
		return 0;
	for (size_t i = 1; i < want; i++)
		if ((s[i] & 0xc0) != 0x80)
			return 0;
	if ((s[0] == 0xe0 && s[1] < 0xa0) || (s[0] == 0xed && s[1] > 0x9f) ||
	    (s[0] == 0xf0 && s[1] < 0x90) || (s[0] == 0xf4 && s[1] > 0x8f))
		return 0;
	return want;
}

static size_t copy_text(char *out, size_t size, const char *in, size_t len)
{
	size_t o = 0;

	for (size_t i = 0; i < len;) {
		size_t n = utf8_len((const uint8_t *)in + i, len - i);

		if (o + (n ? n : 1) > size - 1)
			break;
		if (n)
			memcpy(out + o, in + i, n);
		else
			out[o] = '?';
		o += n ? n : 1;
		i += n ? n : 1;
	}
	out[o] = 0;
	return o;
}

static void set_name(struct instance *in, const char *name, size_t len)
{
	copy_text(in->name, INSTANCE_NAME_MAX, name, len);
}

int32_t batch_start(struct batch *b, uint64_t id, const char *name, size_t len)
{
	uint32_t slot;
	struct instance *in;

	if (b->n_free)
		slot = b->free_slots[--b->n_free];
	else if (b->n_slots < b->cap)
		slot = b->n_slots++;
	else {
		b->n_refused++;
		return -ENOSPC;
	}
	in = &b->inst[slot];
	in->id = id;
	in->gen++;
	in->live = true;
	set_name(in, name, len);
	memset(b->rows + (size_t)slot * b->n_metrics, 0, b->n_metrics * sizeof(int64_t));
	memset(b->prev + (size_t)slot * b->n_metrics, 0, b->n_metrics * sizeof(int64_t));
	for (uint32_t k = 0; k < b->n_attrs; k++)
		b->attrs[(size_t)slot * b->n_attrs + k][0] = 0;
	if (b->group->indom)
		hash_insert(b, slot);
	b->n_live++;
	b->started[b->n_started++] = slot;
	touch(b, slot);
	return (int32_t)slot;
}

static void list_drop(uint32_t *list, uint32_t *n, uint32_t value)
{
	for (uint32_t i = 0; i < *n; i++)
		if (list[i] == value) {
			list[i] = list[--*n];
			return;
		}
}

static bool was_started(const struct batch *b, uint32_t slot)
{
	for (uint32_t i = 0; i < b->n_started; i++)
		if (b->started[i] == slot)
			return true;
	return false;
}

void batch_end(struct batch *b, uint32_t slot)
{
	struct instance *in = &b->inst[slot];

	assert(slot < b->n_slots && in->live);
	if (b->group->indom)
		hash_remove(b, slot);
	in->live = false;
	b->n_live--;
	if (in->seen == b->pass)
		b->n_seen--;
	if (b->touched_epoch[slot] == b->epoch) {
		b->touched_epoch[slot] = 0;
		list_drop(b->touched, &b->n_touched, slot);
	}
	for (uint32_t i = b->n_attr_dirty; i-- > 0;)
		if (b->attr_dirty[i] / b->n_attrs == slot) {
			b->attr_epoch[b->attr_dirty[i]] = 0;
			b->attr_dirty[i] = b->attr_dirty[--b->n_attr_dirty];
		}
	if (was_started(b, slot)) {
		list_drop(b->started, &b->n_started, slot);
		b->free_slots[b->n_free++] = slot;
	} else {
		b->ended[b->n_ended++] = slot;
	}
}

int64_t *batch_row(struct batch *b)
{
	assert(!b->group->indom);
	if (!b->n_live && batch_start(b, 0, "", 0) < 0)
		return NULL;
	return touch(b, 0);
}

static bool has_name(const struct batch *b, uint32_t slot, const char *name, size_t len)
{
	const char *have = b->inst[slot].name;

	return b->inst[slot].live && memcmp(have, name, len) == 0 && !have[len];
}

int64_t *batch_row_named(struct batch *b, const char *name, size_t len)
{
	int32_t slot = -1;

	assert(b->group->indom && !b->group->managed);
	if (b->pos < b->n_slots && len < INSTANCE_NAME_MAX &&
	    has_name(b, b->order[b->pos], name, len)) {
		slot = (int32_t)b->order[b->pos];
	} else {
		char clean[INSTANCE_NAME_MAX];

		len = copy_text(clean, sizeof(clean), name, len);
		name = clean;
		uint32_t i = (uint32_t)hash_name(name, len) & b->hash_mask;

		for (; b->hash[i]; i = (i + 1) & b->hash_mask)
			if (has_name(b, b->hash[i] - 1, name, len)) {
				slot = (int32_t)(b->hash[i] - 1);
				break;
			}
		if (slot < 0)
			slot = batch_start(b, 0, name, len);
		if (slot < 0)
			return NULL;
		if (b->pos < b->cap)
			b->order[b->pos] = (uint32_t)slot;
	}
	b->pos++;
	return touch(b, (uint32_t)slot);
}

int32_t batch_find_id(const struct batch *b, uint64_t id)
{
	uint32_t i = (uint32_t)mix64(id) & b->hash_mask;

	for (; b->hash[i]; i = (i + 1) & b->hash_mask)
		if (b->inst[b->hash[i] - 1].id == id)
			return (int32_t)(b->hash[i] - 1);
	return -1;
}

int64_t *batch_row_slot(struct batch *b, uint32_t slot)
{
	assert(slot < b->n_slots && b->inst[slot].live);
	return touch(b, slot);
}

void batch_attr(struct batch *b, uint32_t slot, uint32_t key, const char *value, size_t len)
{
	uint32_t at = slot * b->n_attrs + key;
	char clean[ATTR_VALUE_MAX];

	assert(slot < b->n_slots && b->inst[slot].live && key < b->n_attrs);
	copy_text(clean, sizeof(clean), value, len);
	if (strcmp(clean, b->attrs[at]) == 0)
		return;
	strcpy(b->attrs[at], clean);
	if (b->attr_epoch[at] != b->epoch) {
		b->attr_epoch[at] = b->epoch;
		b->attr_dirty[b->n_attr_dirty++] = at;
	}
}

int batch_restore(struct batch *b, uint32_t slot, uint32_t gen, uint64_t id, const char *name,
		  bool live, const int64_t *values)
{
	struct instance *in;
	size_t at = (size_t)slot * b->n_metrics;

	if (slot >= b->cap || !gen || (slot < b->n_slots && b->inst[slot].gen))
		return -EINVAL;
	while (b->n_slots <= slot) /* slots in between that nobody restores stay free */
		b->free_slots[b->n_free++] = b->n_slots++;
	in = &b->inst[slot];
	in->gen = gen;
	if (!live)
		return 0;
	list_drop(b->free_slots, &b->n_free, slot);
	in->id = id;
	in->live = true;
	set_name(in, name, strlen(name));
	if (values) {
		memcpy(b->rows + at, values, b->n_metrics * sizeof(int64_t));
		memcpy(b->prev + at, values, b->n_metrics * sizeof(int64_t));
	}
	if (b->group->indom)
		hash_insert(b, slot);
	b->n_live++;
	return 0;
}
