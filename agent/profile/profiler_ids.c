#include "profile/profiler_private.h"

#include <errno.h>
#include <stdlib.h>

static struct profiler_id *slot(struct profiler_id *slots, size_t size, uint64_t id)
{
	size_t i = (size_t)(id * 0x9e3779b97f4a7c15u >> 32) & (size - 1);

	while (slots[i].id && slots[i].id != id)
		i = (i + 1) & (size - 1);
	return &slots[i];
}

/* All that are still wanted into `size` new slots. */
static int rebuild(struct profiler_ids *ids, size_t size)
{
	struct profiler_id *slots = calloc(size, sizeof(*slots));
	size_t n = 0;

	if (!slots)
		return -ENOMEM;
	for (size_t i = 0; i < ids->size; i++) {
		if (!ids->slots[i].id || ids->slots[i].closed > 2)
			continue;
		*slot(slots, size, ids->slots[i].id) = ids->slots[i];
		n++;
	}
	free(ids->slots);
	*ids = (struct profiler_ids){.slots = slots, .size = size, .n = n};
	return 0;
}

int profiler_ids_add(struct profiler_ids *ids, const struct profiler_id *id)
{
	struct profiler_id *at;

	if (ids->n * 2 >= ids->size && rebuild(ids, ids->size ? ids->size * 2 : 64) < 0)
		return -ENOMEM;
	at = slot(ids->slots, ids->size, id->id);
	ids->n += !at->id;
	*at = *id;
	return 0;
}

const struct profiler_id *profiler_ids_find(const struct profiler_ids *ids, uint64_t id)
{
	const struct profiler_id *at = ids->size && id ? slot(ids->slots, ids->size, id) : NULL;

	return at && at->id ? at : NULL;
}

void profiler_ids_close(struct profiler_ids *ids, enum profiler_event_kind kind)
{
	for (size_t i = 0; i < ids->size; i++)
		if (ids->slots[i].id && ids->slots[i].kind == kind && !ids->slots[i].closed)
			ids->slots[i].closed = 1;
}

void profiler_ids_close_one(struct profiler_ids *ids, uint64_t id)
{
	struct profiler_id *at = ids->size && id ? slot(ids->slots, ids->size, id) : NULL;

	if (at && at->id)
		at->closed = 1;
}

void profiler_ids_age(struct profiler_ids *ids)
{
	bool gone = false;

	for (size_t i = 0; i < ids->size; i++) {
		if (!ids->slots[i].id || !ids->slots[i].closed)
			continue;
		ids->slots[i].closed++;
		gone = gone || ids->slots[i].closed > 2;
	}
	if (gone)
		rebuild(ids, ids->size);
}

void profiler_ids_done(struct profiler_ids *ids)
{
	free(ids->slots);
	*ids = (struct profiler_ids){0};
}
