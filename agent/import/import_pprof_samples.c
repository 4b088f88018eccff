/* The samples of a pprof profile: stacks of locations, values, labels. */
#include "import/import_pprof.h"

#include <errno.h>
#include <stdlib.h>

struct labels {
	struct text thread, process;
	uint64_t tid, pid;
};

static void take_label(const struct pprof *x, struct field *f, struct labels *l)
{
	uint64_t key = 0, str = 0, num = 0;
	struct field g;
	struct text k;

	while (next_field(&f->body, &g)) {
		key = g.number == 1 ? g.v : key;
		str = g.number == 2 ? g.v : str;
		num = g.number == 3 ? g.v : num;
	}
	k = pprof_text(x, key);
	if (pprof_is(k, "tid") || pprof_is(k, "thread_id"))
		l->tid = num;
	else if (pprof_is(k, "pid") || pprof_is(k, "process_id"))
		l->pid = num;
	else if (pprof_is(k, "thread") || pprof_is(k, "thread_name") || pprof_is(k, "thread name"))
		l->thread = pprof_text(x, str);
	else if (pprof_is(k, "process") || pprof_is(k, "comm") || pprof_is(k, "process_name"))
		l->process = pprof_text(x, str);
}

static uint32_t task_of(struct pprof *x, const struct labels *l)
{
	struct stacks_task t = {.pid = (uint32_t)l->pid, .tid = (uint32_t)l->tid};

	if (!l->pid && !l->tid && !l->thread.len && !l->process.len)
		return 0;
	t.comm = l->thread.len ? pprof_intern(x, l->thread) : pprof_intern(x, l->process);
	t.process = l->process.len ? pprof_intern(x, l->process) : 0;
	return stacks_task(x->m->s, &t);
}

static uint32_t node_of(struct pprof *x, uint32_t depth)
{
	uint32_t node = 0, n = 0;

	for (uint32_t i = depth; i-- > 0;) {
		const struct location *l = &x->location[x->path[i]];

		for (uint32_t k = 0; k < l->n && n++ < IMPORT_DEPTH_MAX; k++)
			node = stacks_node(x->m->s, node, x->frames[l->frames + k]);
	}
	return node;
}

static int take_sample(struct pprof *x, struct field *f)
{
	uint64_t v, values[VALUES_MAX];
	uint32_t depth = 0, n = 0;
	struct labels labels = {0};
	struct import_sum row = {0};
	struct field g;
	double us;

	while (next_field(&f->body, &g)) {
		if (g.number == 3 && g.type == 2)
			take_label(x, &g, &labels);
		while (g.number == 1 && next_value(&g, &v)) {
			const uint32_t *i = idmap_get(&x->locations, v);

			if (i && depth < IMPORT_DEPTH_MAX)
				x->path[depth++] = *i;
		}
		while (g.number == 2 && next_value(&g, &v))
			if (n < VALUES_MAX)
				values[n++] = v;
	}
	if (x->chosen >= n || (int64_t)values[x->chosen] <= 0)
		return 0;
	row.weight = values[x->chosen];
	if (x->to_us > 0) {
		us = (double)row.weight * x->to_us + 0.5;
		row.weight = us > 9e18 ? (uint64_t)9e18 : us < 1 ? 1 : (uint64_t)us;
	}
	row.n = x->count >= 0 && (uint32_t)x->count < n ? values[x->count] : 0;
	if (x->to_us <= 0 && strcmp(x->m->res->unit, "samples") == 0)
		row.n = row.weight;
	row.node = node_of(x, depth);
	row.task = task_of(x, &labels);
	return import_sums_add(&x->sums, &row);
}

int pprof_take_samples(struct pprof *x)
{
	struct wire w = x->all;
	struct field f;
	int r = 0;

	while (r == 0 && next_field(&w, &f)) {
		if (f.type == 2 && f.number == F_SAMPLE)
			r = take_sample(x, &f);
		if (r == 0 && (x->sums.n & 0x3f) == 0x3f)
			r = import_check(x->m);
	}
	return r;
}
