/* Summaries: as few samples as tell who spent how much where. */
#include <stdlib.h>
#include <string.h>

#include "stacks/stacks_internal.h"

struct sums {
	struct stacks *to;
	uint32_t *slots, mask; /* open addressing: index + 1 of a sample */
	uint32_t cap;
};

static bool grow_slots(struct sums *t)
{
	uint32_t mask = t->mask ? t->mask * 2 + 1 : (1 << 12) - 1;
	uint32_t *slots = calloc((size_t)mask + 1, sizeof(*slots));

	if (!slots)
		return false;
	for (uint32_t i = 0; i < t->to->n_samples; i++) {
		const struct stacks_sample *s = &t->to->samples[i];
		uint64_t h = ((uint64_t)s->node << 32 | s->task) * 0x9e3779b97f4a7c15u;
		uint32_t at = (uint32_t)(h >> 32) & mask;

		while (slots[at])
			at = (at + 1) & mask;
		slots[at] = i + 1;
	}
	free(t->slots);
	t->slots = slots;
	t->mask = mask;
	return true;
}

static bool append(struct sums *t, const struct stacks_sample *s)
{
	struct stacks *to = t->to;

	if (to->n_samples == t->cap) {
		uint32_t cap = t->cap ? t->cap + t->cap / 2 : 1024;
		uint32_t *counts = realloc(to->counts, cap * sizeof(*counts));

		if (!counts)
			return false;
		to->counts = counts;
		if (stacks_size(to, ARRAY_SAMPLES, cap) < 0)
			return false;
		t->cap = cap;
	}
	to->counts[to->n_samples] = 1;
	to->samples[to->n_samples++] = *s;
	return true;
}

static bool add(struct sums *t, const struct stacks_sample *s)
{
	uint64_t h = ((uint64_t)s->node << 32 | s->task) * 0x9e3779b97f4a7c15u;
	uint32_t at, i;

	if (t->to->n_samples >= t->mask / 2 && !grow_slots(t))
		return false;
	for (at = (uint32_t)(h >> 32) & t->mask; (i = t->slots[at]); at = (at + 1) & t->mask) {
		struct stacks_sample *sum = &t->to->samples[i - 1];

		if (sum->node != s->node || sum->task != s->task || sum->flags != s->flags ||
		    sum->weight_us > UINT32_MAX - s->weight_us)
			continue;
		sum->weight_us += s->weight_us;
		if (s->at_us > sum->at_us)
			sum->at_us = s->at_us;
		t->to->counts[i - 1]++;
		return true;
	}
	t->slots[at] = t->to->n_samples + 1;
	return append(t, s);
}

/* Everything but samples. */
static struct stacks *copy_rest(const struct stacks *from)
{
	const struct stacks_private *p = stacks_private(from);
	struct stacks *to = stacks_new();

	if (!to || stacks_size(to, ARRAY_STRINGS, from->n_strings) < 0 ||
	    stacks_size(to, ARRAY_MODULES, from->n_modules) < 0 ||
	    stacks_size(to, ARRAY_FRAMES, from->n_frames) < 0 ||
	    stacks_size(to, ARRAY_NODES, from->n_nodes) < 0 ||
	    stacks_size(to, ARRAY_TASKS, from->n_tasks) < 0 ||
	    stacks_size(to, ARRAY_NOTES, from->n_notes) < 0 ||
	    stacks_size(to, ARRAY_TEXT, p->n_text) < 0) {
		stacks_free(to);
		return NULL;
	}
	memcpy(to->boot_id, from->boot_id, sizeof(to->boot_id));
	to->real_off_us = from->real_off_us;
	to->from_us = from->from_us;
	to->to_us = from->to_us;
	to->hz = from->hz;
	to->n_cpus = from->n_cpus;
	to->has_time = from->has_time;
	to->has_cpu = false;
#define COPY(what) memcpy(to->what, from->what, (to->n_##what = from->n_##what) * sizeof(*to->what))
	COPY(strings);
	COPY(modules);
	COPY(frames);
	COPY(nodes);
	COPY(tasks);
	if (from->n_notes)
		COPY(notes);
#undef COPY
	memcpy((char *)(uintptr_t)to->text, from->text, p->n_text);
	stacks_adopt(to, p->n_text);
	return to;
}

struct stacks *stacks_sum(const struct stacks *from)
{
	struct sums t = {.to = copy_rest(from)};
	bool ok = t.to != NULL;

	for (uint32_t i = 0; ok && i < from->n_samples; i++)
		if (from->samples[i].kind == STACKS_CPU)
			ok = add(&t, &from->samples[i]);
	free(t.slots);
	if (ok) {
		if (!t.to->counts) /* so that it is known as one */
			t.to->counts = calloc(1, sizeof(*t.to->counts));
		ok = t.to->counts && stacks_size(t.to, ARRAY_SAMPLES, t.to->n_samples) == 0;
	}
	if (!ok) {
		stacks_free(t.to);
		return NULL;
	}
	return t.to;
}
