/* From one set of stacks to another: a part of it, or all of it, interned anew. */
#include "stacks/stacks.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "stacks/stacks_internal.h"

/* Index there of an entry here; 0: not looked for yet (or the zeroth, which is the same in all). */
struct copy {
	const struct stacks *from;
	struct stacks *to;
	int64_t from_us, to_us;
	uint32_t *strings, *modules, *frames, *nodes, *tasks;
};

static uint32_t copy_string(struct copy *c, uint32_t i)
{
	if (!c->strings[i]) {
		const char *text = stacks_text(c->from, i);

		c->strings[i] = stacks_string(c->to, text, strlen(text));
	}
	return c->strings[i];
}

static uint32_t copy_module(struct copy *c, uint32_t i)
{
	const struct stacks_module *m = &c->from->modules[i];

	if (i && !c->modules[i])
		c->modules[i] = stacks_module(c->to, stacks_text(c->from, m->name),
					      stacks_text(c->from, m->build_id));
	return c->modules[i];
}

static uint32_t copy_frame(struct copy *c, uint32_t i)
{
	if (i && !c->frames[i]) {
		struct stacks_frame f = c->from->frames[i];

		f.module = copy_module(c, f.module);
		f.name = copy_string(c, f.name);
		c->frames[i] = stacks_frame(c->to, &f);
	}
	return c->frames[i];
}

static uint32_t copy_task(struct copy *c, uint32_t i)
{
	if (i && !c->tasks[i]) {
		struct stacks_task t = c->from->tasks[i];

		t.comm = copy_string(c, t.comm);
		t.process = copy_string(c, t.process);
		t.cgroup = copy_string(c, t.cgroup);
		c->tasks[i] = stacks_task(c->to, &t);
	}
	return c->tasks[i];
}

static bool in_range(const struct copy *c, const struct stacks_sample *s)
{
	int64_t began_us = s->at_us;

	if (s->kind == STACKS_OFF)
		began_us -= s->weight_us;
	return began_us < c->to_us && (s->at_us >= c->from_us || !c->from->has_time);
}

/* Nodes first: those that a sample names and all above them, parents before children. */
static void copy_nodes(struct copy *c)
{
	const struct stacks *from = c->from;

	for (uint32_t i = 0; i < from->n_samples; i++)
		if (in_range(c, &from->samples[i]))
			c->nodes[from->samples[i].node] = 1;
	for (uint32_t i = from->n_nodes - 1; i > 0; i--)
		if (c->nodes[i])
			c->nodes[from->nodes[i].parent] = 1;
	c->nodes[0] = 0;
	for (uint32_t i = 1; i < from->n_nodes; i++) {
		const struct stacks_node *n = &from->nodes[i];

		if (c->nodes[i])
			c->nodes[i] =
				stacks_node(c->to, c->nodes[n->parent], copy_frame(c, n->frame));
	}
}

static void copy_samples(struct copy *c)
{
	for (uint32_t i = 0; i < c->from->n_samples; i++) {
		struct stacks_sample s = c->from->samples[i];

		if (!in_range(c, &s))
			continue;
		s.node = c->nodes[s.node];
		s.task = copy_task(c, s.task);
		if (stacks_add(c->to, &s) < 0)
			return;
	}
	for (uint32_t i = 0; i < c->from->n_notes; i++) {
		const struct stacks_note *n = &c->from->notes[i];

		if (n->at_us >= c->from_us && n->at_us < c->to_us && stacks_note(c->to, n) < 0)
			return;
	}
}

static int copy_all(struct copy *c)
{
	const struct stacks *s = c->from;
	uint64_t n = (uint64_t)s->n_strings + s->n_modules + s->n_frames + s->n_nodes + s->n_tasks;
	uint32_t *maps = calloc(n, sizeof(*maps));

	if (!maps)
		return -ENOMEM;
	c->strings = maps;
	c->modules = c->strings + s->n_strings;
	c->frames = c->modules + s->n_modules;
	c->nodes = c->frames + s->n_frames;
	c->tasks = c->nodes + s->n_nodes;
	copy_nodes(c);
	copy_samples(c);
	free(maps);
	return stacks_failed(c->to) ? -ENOMEM : 0;
}

static void copy_about(struct stacks *to, const struct stacks *from)
{
	memcpy(to->boot_id, from->boot_id, sizeof(to->boot_id));
	to->real_off_us = from->real_off_us;
	to->hz = from->hz;
	to->n_cpus = from->n_cpus;
	to->has_cpu = from->has_cpu;
	to->has_time = from->has_time;
	to->from_us = from->from_us;
	to->to_us = from->to_us;
}

/* The rate in force at from_us, which the first one and the notes before it tell. */
static uint32_t hz_at(const struct stacks *s, int64_t at_us)
{
	int64_t newest_us = INT64_MIN;
	uint32_t hz = s->hz;

	for (uint32_t i = 0; i < s->n_notes; i++) {
		const struct stacks_note *n = &s->notes[i];

		if (n->kind != STACKS_HZ || n->at_us >= at_us || n->at_us < newest_us)
			continue;
		newest_us = n->at_us;
		hz = (uint32_t)n->n;
	}
	return hz;
}

struct stacks *stacks_cut(const struct stacks *from, int64_t from_us, int64_t to_us)
{
	struct stacks *to = stacks_new();
	struct copy c = {.from = from, .to = to, .from_us = from_us, .to_us = to_us};

	if (!to)
		return NULL;
	copy_about(to, from);
	to->hz = hz_at(from, from_us);
	if (from_us > to->from_us)
		to->from_us = from_us;
	if (to_us < to->to_us)
		to->to_us = to_us;
	if (to->to_us < to->from_us)
		to->to_us = to->from_us;
	if (copy_all(&c) < 0) {
		stacks_free(to);
		return NULL;
	}
	return to;
}

void stacks_leave_to_next(struct stacks *s, int64_t to_us)
{
	uint32_t n = 0;

	for (uint32_t i = 0; i < s->n_samples; i++)
		if (s->samples[i].kind != STACKS_OFF || s->samples[i].at_us < to_us)
			s->samples[n++] = s->samples[i];
	s->n_samples = n;
}

int stacks_merge(struct stacks *to, const struct stacks *from)
{
	struct copy c = {.from = from, .to = to, .from_us = INT64_MIN, .to_us = INT64_MAX};

	if (!to->n_samples && !to->n_notes && to->from_us == to->to_us) {
		copy_about(to, from);
	} else {
		to->has_cpu &= from->has_cpu;
		to->has_time &= from->has_time;
		if (from->from_us < to->from_us)
			to->from_us = from->from_us;
		if (from->to_us > to->to_us)
			to->to_us = from->to_us;
		if (from->n_cpus > to->n_cpus)
			to->n_cpus = from->n_cpus;
	}
	return copy_all(&c);
}
