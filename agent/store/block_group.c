/* The times, instances and attributes of a group in a block. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "store/block_internal.h"

static struct opened_group *find_group(struct block *b, uint32_t group)
{
	for (uint32_t i = 0; i < b->head.n_groups; i++)
		if (b->groups[i].pub.group == group)
			return &b->groups[i];
	return NULL;
}

static int load_ticks(struct block *b)
{
	const uint8_t *p, *end;
	uint64_t first, step, *tick_us;
	int64_t values[BLOCK_READS];
	int r;

	if (b->tick_us)
		return 0;
	r = block_meta(b, 0, b->ticks_len, &p);
	if (r < 0)
		return r;
	end = p + b->ticks_len;
	if (!b->n_ticks || !varint_get(&p, end, &first) || !varint_get(&p, end, &step) ||
	    block_column(&p, end, b->n_ticks, values) < 0 || p != end)
		return -EBADMSG;
	tick_us = malloc(b->n_ticks * sizeof(*tick_us));
	if (!tick_us)
		return -ENOMEM;
	for (uint32_t i = 0; i < b->n_ticks; i++)
		tick_us[i] = first + i * step + (uint64_t)values[i];
	b->tick_us = tick_us;
	return 0;
}

/* Reads across which no rate can be told. */
static bool read_holes(const uint8_t **p, const uint8_t *end, uint32_t n_reads, uint64_t *dt_us)
{
	uint32_t n, gap, at = 0;

	if (!varint_get_u32(p, end, &n) || n > n_reads)
		return false;
	while (n--) {
		if (!varint_get_u32(p, end, &gap) || gap >= n_reads - at - 1)
			return false;
		at += gap + 1;
		dt_us[at] = 0;
	}
	return true;
}

static bool read_times(const struct block *b, const uint8_t **p, const uint8_t *end,
		       struct opened_group *g, uint64_t *at_us, uint64_t *dt_us)
{
	uint32_t n = g->pub.n_reads;
	int64_t tick[BLOCK_READS], off[BLOCK_READS];
	uint64_t k = 0;

	if (!varint_get(p, end, &dt_us[0]) || block_column(p, end, n, tick) < 0 ||
	    block_column(p, end, n, off) < 0)
		return false;
	for (uint32_t i = 0; i < n; i++) {
		if (tick[i] < 0 || (uint64_t)tick[i] >= b->n_ticks - k)
			return false;
		k += (uint64_t)tick[i];
		at_us[i] = b->tick_us[k] + (b->head.bucket_us ? 0 : (uint64_t)off[i]);
		if (i && at_us[i] < at_us[i - 1])
			return false;
		if (i)
			dt_us[i] = at_us[i] - at_us[i - 1];
		if (b->head.bucket_us)
			dt_us[i] = (uint64_t)off[i];
	}
	return (b->head.bucket_us || dt_us[0] <= at_us[0]) && read_holes(p, end, n, dt_us);
}

static bool read_instance(const uint8_t **p, const uint8_t *end, uint32_t n_reads,
			  const struct block_instance *before, struct block_instance *ret)
{
	uint32_t last = before ? before->slot : 0;
	uint64_t head;
	size_t len;

	if (!varint_get(p, end, &head) || head >> 3 > UINT32_MAX - last ||
	    !varint_get_u32(p, end, &ret->gen))
		return false;
	ret->slot = last + (uint32_t)(head >> 3);
	ret->started = head & INSTANCE_STARTED;
	ret->ended = head & INSTANCE_ENDED;
	if ((head & INSTANCE_ID && !varint_get(p, end, &ret->id)) ||
	    (ret->started && !varint_get_u32(p, end, &ret->first)) || ret->first > n_reads)
		return false;
	ret->n = n_reads - ret->first;
	if (ret->ended) {
		uint32_t n;

		if (!varint_get_u32(p, end, &n) || n > ret->n)
			return false;
		ret->n = n;
	}
	len = strnlen((const char *)*p, (size_t)(end - *p));
	if (len >= INSTANCE_NAME_MAX || len == (size_t)(end - *p) ||
	    (before && before->slot == ret->slot && before->gen > ret->gen))
		return false;
	ret->name = (const char *)*p;
	*p += len + 1;
	return true;
}

static int load_group(struct block *b, struct opened_group *g)
{
	uint32_t n_reads = g->pub.n_reads, n = g->pub.n_instances, row = 0;
	const uint8_t *p, *end;
	uint64_t *times;
	int r = load_ticks(b);

	if (r == 0)
		r = block_meta(b, g->group_at, g->group_len, &p);
	if (r < 0)
		return r;
	end = p + g->group_len;
	times = calloc(1, 2 * n_reads * sizeof(*times) + n * sizeof(*g->instances) +
				  n * sizeof(*g->row) + (n_reads + 1) * sizeof(*g->n_steps));
	if (!times)
		return -ENOMEM;
	g->instances = (void *)(times + 2 * (size_t)n_reads);
	g->row = (void *)(g->instances + n);
	g->n_steps = (void *)(g->row + n);
	r = read_times(b, &p, end, g, times, times + n_reads) ? 0 : -EBADMSG;
	for (uint32_t i = 0; r == 0 && i < n; i++) {
		if (!read_instance(&p, end, n_reads, i ? &g->instances[i - 1] : NULL,
				   &g->instances[i]))
			r = -EBADMSG;
		g->row[i] = row;
		row += g->instances[i].n != 0;
	}
	if (r < 0 || p != end || row != g->n_rows) {
		free(times);
		return -EBADMSG;
	}
	for (uint32_t i = 0; i < n_reads; i++)
		g->n_steps[i + 1] = (uint16_t)(g->n_steps[i] + (times[n_reads + i] != 0));
	g->memory = times;
	g->pub.at_us = times;
	g->pub.dt_us = times + n_reads;
	g->pub.instances = g->instances;
	return 0;
}

int block_group(struct block *b, uint32_t group, const struct block_group **ret)
{
	struct opened_group *g = find_group(b, group);

	if (g && !g->memory) {
		int r = load_group(b, g);

		if (r < 0)
			return r;
	}
	*ret = g ? &g->pub : NULL;
	return 0;
}

/* The attributes of one instance, into n_attrs pointers. */
static bool read_attrs(const uint8_t **p, const uint8_t *end, uint32_t n_attrs, const char **to)
{
	unsigned bits;

	if (*p == end)
		return false;
	bits = *(*p)++;
	if (bits >> n_attrs)
		return false;
	for (uint32_t k = 0; k < n_attrs; k++) {
		size_t len;

		if (!(bits >> k & 1))
			continue;
		len = strnlen((const char *)*p, (size_t)(end - *p));
		if (len == (size_t)(end - *p))
			return false;
		to[k] = (const char *)*p;
		*p += len + 1;
	}
	return true;
}

int block_attrs(struct block *b, const struct block_group *group)
{
	struct opened_group *g = find_group(b, group->group);
	uint32_t n_attrs = group->n_attrs, gap, at = UINT32_MAX;
	const uint8_t *p, *end;
	const char **attrs;
	int r;

	if (g->attrs || !g->attrs_len)
		return 0;
	r = block_meta(b, g->attrs_at, g->attrs_len, &p);
	if (r < 0)
		return r;
	attrs = calloc((size_t)group->n_instances * n_attrs + 1, sizeof(*attrs));
	if (!attrs)
		return -ENOMEM;
	for (end = p + g->attrs_len; p < end;) {
		if (!varint_get_u32(&p, end, &gap) || gap >= group->n_instances - (at + 1) ||
		    !read_attrs(&p, end, n_attrs, attrs + (size_t)(at + 1 + gap) * n_attrs)) {
			free(attrs);
			for (uint32_t i = 0; i < group->n_instances; i++)
				g->instances[i].attrs = NULL;
			return -EBADMSG;
		}
		at += gap + 1;
		g->instances[at].attrs = attrs + (size_t)at * n_attrs;
	}
	g->attrs = attrs;
	return 0;
}

int block_frames(struct block *b, int (*each)(void *arg, const struct frame *), void *arg)
{
	uint64_t seq = b->head.first_seq, gap, len;
	const uint8_t *p, *end;
	int r = block_meta(b, b->frames_at, b->frames_len, &p);

	if (r < 0)
		return r;
	for (end = p + b->frames_len; p < end; p += len) {
		struct frame f;

		if (!varint_get(&p, end, &gap) || !varint_get(&p, end, &len) ||
		    len > (uint64_t)(end - p))
			return -EBADMSG;
		seq += gap;
		f = (struct frame){.seq = seq, .data = p, .len = (size_t)len};
		r = each(arg, &f);
		if (r != 0)
			return r;
	}
	return 0;
}
