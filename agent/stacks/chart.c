/* Samples of a few threads in order of time, each with its stack. */
#include "stacks/fold.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "stacks/fold_internal.h"

enum { SAMPLES_DEFAULT = 20000, SAMPLES_MOST = 1 << 20 };

struct charter {
	struct chart_request request;
	struct names names; /* names.own's nodes are the tree */
	struct chart_sample *v;
	uint32_t n, cap, left_out;
	uint32_t *map, *path, cap_path; /* of the set being read: node of the tree, + 1 */
	uint32_t *comms; /* of the set being read, by task: own string + 1; 0: not yet */
};

int chart_begin(struct charter **ret, const struct chart_request *q)
{
	struct charter *c;

	if (q->from_us > q->to_us || q->filter.kind >= STACKS_KINDS)
		return -EINVAL;
	c = calloc(1, sizeof(*c));
	if (!c)
		return -ENOMEM;
	c->request = *q;
	if (!q->max_samples)
		c->request.max_samples = SAMPLES_DEFAULT;
	else if (q->max_samples > SAMPLES_MOST)
		c->request.max_samples = SAMPLES_MOST;
	if (filter_copy(&c->request.filter, &q->filter) < 0 || names_open(&c->names) < 0) {
		chart_abort(c);
		return -ENOMEM;
	}
	*ret = c;
	return 0;
}

void chart_abort(struct charter *c)
{
	if (!c)
		return;
	filter_done(&c->request.filter);
	names_close(&c->names);
	free(c->v);
	free(c->map);
	free(c->path);
	free(c->comms);
	free(c);
}

static int by_time(const void *a, const void *b)
{
	const struct chart_sample *x = a, *y = b;

	if (x->at_us != y->at_us)
		return x->at_us < y->at_us ? -1 : 1;
	return x->tid < y->tid ? -1 : x->tid > y->tid;
}

static int by_thread(const void *a, const void *b)
{
	const struct chart_sample *x = a, *y = b;

	return x->tid != y->tid ? (x->tid < y->tid ? -1 : 1) : by_time(a, b);
}

/* The earliest ones are kept. */
static void leave_out(struct charter *c)
{
	uint32_t most = c->request.max_samples;

	if (c->n <= most)
		return;
	qsort(c->v, c->n, sizeof(*c->v), by_time);
	c->left_out += c->n - most;
	c->n = most;
}

static int put(struct charter *c, const struct chart_sample *s)
{
	if (c->n >= 2 * c->request.max_samples)
		leave_out(c);
	if (c->n == c->cap) {
		uint32_t cap = c->cap ? c->cap * 2 : 1024;
		struct chart_sample *v = realloc(c->v, cap * sizeof(*v));

		if (!v)
			return -ENOMEM;
		c->v = v;
		c->cap = cap;
	}
	c->v[c->n++] = *s;
	return 0;
}

static int put_node(struct charter *c, const struct stacks *s, uint32_t node, uint32_t *ret)
{
	struct stacks *own = c->names.own;
	uint32_t n = 0, to;

	for (; !c->map[node]; node = s->nodes[node].parent) {
		if (n == c->cap_path) {
			uint32_t cap = c->cap_path ? c->cap_path * 2 : 256;
			uint32_t *path = realloc(c->path, cap * sizeof(*path));

			if (!path)
				return -ENOMEM;
			c->path = path;
			c->cap_path = cap;
		}
		c->path[n++] = node;
	}
	for (to = c->map[node] - 1; n-- > 0; c->map[node] = to + 1) {
		node = c->path[n];
		to = stacks_node(own, to, names_frame(&c->names, s->nodes[node].frame));
		if (stacks_failed(own))
			return -ENOMEM;
	}
	*ret = to;
	return 0;
}

static uint32_t comm_of(struct charter *c, const struct stacks *s, uint32_t task)
{
	const char *comm = stacks_text(s, s->tasks[task].comm);

	if (!c->comms[task])
		c->comms[task] = stacks_string(c->names.own, comm, strlen(comm)) + 1;
	return c->comms[task] - 1;
}

static int add_samples(struct charter *c, const struct stacks *s, const struct filter *filter)
{
	const struct stacks_range range = {c->request.from_us, c->request.to_us};
	uint32_t i, end;
	int r = 0;

	samples_find(s, filter->f->kind, range.from_us, range.to_us, &i, &end);
	for (; r >= 0 && i < end; i++) {
		const struct stacks_sample *sample = &s->samples[i];
		struct chart_sample to = {
			.at_us = sample->at_us,
			.weight_us = sample->weight_us,
			.tid = s->tasks[sample->task].tid,
			.pid = s->tasks[sample->task].pid,
			.cpu = sample->cpu,
			.kind = sample->kind,
			.class = sample->flags >> 4,
		};
		bool in;

		if (!filter_has(filter, sample))
			continue;
		sample_weight(&range, sample, &in);
		if (!in)
			continue;
		to.comm = comm_of(c, s, sample->task);
		r = put_node(c, s, sample->node, &to.node);
		if (r >= 0)
			r = put(c, &to);
	}
	return r;
}

int chart_add(struct charter *c, const struct stacks *s)
{
	struct filter filter;
	int r = names_begin(&c->names, s);

	if (r < 0 || !s->has_time)
		return r;
	free(c->map);
	free(c->comms);
	c->map = calloc(s->n_nodes, sizeof(*c->map));
	c->comms = calloc(s->n_tasks, sizeof(*c->comms));
	if (!c->map || !c->comms)
		return -ENOMEM;
	c->map[0] = 1;
	r = filter_open(&filter, &c->request.filter, s);
	if (r >= 0) {
		r = add_samples(c, s, &filter);
		filter_close(&filter);
	}
	return r;
}

static int write_nodes(const struct charter *c, struct chart *to, struct strings_out *strings)
{
	const struct stacks *own = c->names.own;

	to->nodes = calloc(own->n_nodes, sizeof(*to->nodes));
	if (!to->nodes || strings_out_begin(strings, own) < 0)
		return -ENOMEM;
	to->n_nodes = own->n_nodes;
	for (uint32_t i = 1; i < own->n_nodes; i++) {
		const struct stacks_frame *f = &own->frames[own->nodes[i].frame];
		struct fold_node *n = &to->nodes[i];

		n->parent = own->nodes[i].parent;
		n->name = strings_out_add(strings, f->name);
		n->module = strings_out_add(strings, own->modules[f->module].name);
		n->type = f->type;
		n->depth = to->nodes[n->parent].depth;
		if (n->depth < UINT16_MAX)
			n->depth++;
	}
	for (uint32_t i = 0; i < c->n; i++)
		c->v[i].comm = strings_out_add(strings, c->v[i].comm);
	return strings->failed ? -ENOMEM : 0;
}

int chart_finish(struct charter *c, struct chart **ret)
{
	struct chart *to = calloc(1, sizeof(*to));
	struct strings_out strings = {0};
	int r;

	leave_out(c);
	r = to ? write_nodes(c, to, &strings) : -ENOMEM;
	if (r >= 0) {
		if (c->n)
			qsort(c->v, c->n, sizeof(*c->v), by_thread);
		to->samples = c->v;
		to->n_samples = c->n;
		to->left_out = c->left_out;
		to->text = to->private = strings.text;
		to->strings = strings.strings;
		to->n_strings = strings.n;
		c->v = NULL;
		free(strings.map);
		*ret = to;
	} else {
		strings_out_done(&strings);
		chart_free(to);
	}
	chart_abort(c);
	return r;
}

void chart_free(struct chart *c)
{
	if (!c)
		return;
	free(c->nodes);
	free(c->strings);
	free(c->samples);
	free(c->private);
	free(c);
}
