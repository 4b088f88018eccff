/*
 * Chrome's Trace Event format: slices of threads, as pairs of B and E events or whole ones (X), become calls; what a
 * slice does not spend in those within it is its own time, cut into samples of at most PIECE_US. What is not timed on
 * a thread (async events, counters, flows) is passed over.
 */
#include "import/import_json.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { THREADS_MAX = 65536, PIECE_US = 10000, PIECES_MAX = 1 << 20 };

struct slice {
	int64_t ts_us, end_us;
	uint32_t thread, frame, order;
	char phase; /* 0: it is none any more */
};

struct trace_thread {
	uint32_t pid, tid, task;
	const char *name, *process;
	int64_t end_us; /* of the last that is known of it */
};

struct trace {
	struct import *m;
	struct stacks *s;
	struct slice *slices;
	size_t n, cap;
	struct idmap index; /* pid << 32 | tid -> threads */
	struct trace_thread *threads;
	size_t n_threads;
	int64_t from_us, to_us, piece_us;
	/* the slices that are open */
	uint32_t *open, *nodes;
	uint32_t depth;
};

/* ---- events ---- */

static struct trace_thread *thread_of(struct trace *x, const json_t *e)
{
	uint32_t pid = (uint32_t)json_key_of(e, "pid"), tid = (uint32_t)json_key_of(e, "tid");
	const uint32_t *at = idmap_get(&x->index, (uint64_t)pid << 32 | tid);
	struct trace_thread *p;

	if (at)
		return &x->threads[*at];
	if (x->n_threads == THREADS_MAX)
		return NULL;
	p = realloc(x->threads, (x->n_threads + 1) * sizeof(*p));
	if (!p)
		return NULL;
	x->threads = p;
	if (!idmap_put(&x->index, (uint64_t)pid << 32 | tid, (uint32_t)x->n_threads))
		return NULL;
	p += x->n_threads++;
	*p = (struct trace_thread){.pid = pid, .tid = tid, .end_us = INT64_MIN};
	return p;
}

static uint32_t frame_of(struct trace *x, const json_t *e)
{
	const char *name = json_text(e, "name"), *cat = json_text(e, "cat");
	struct stacks_frame f = {.type = STACKS_USER};

	if (!*name)
		name = "(unnamed)";
	if (*cat)
		f.module = stacks_module(x->s, cat, "");
	f.name = stacks_string(x->s, name, strlen(name));
	return stacks_frame(x->s, &f);
}

static int add_slice(struct trace *x, const struct slice *s)
{
	if (x->n == x->cap) {
		size_t cap = x->cap ? x->cap * 2 : 1024;
		struct slice *p = realloc(x->slices, cap * sizeof(*p));

		if (!p)
			return -ENOMEM;
		x->slices = p;
		x->cap = cap;
	}
	x->slices[x->n++] = *s;
	return 0;
}

static int take_event(struct trace *x, const json_t *e)
{
	const char *phase = json_text(e, "ph");
	struct slice s = {.phase = phase[0], .order = (uint32_t)x->n};
	struct trace_thread *t;
	double ts = json_number(e, "ts");

	if (!phase[0] || phase[1] || !strchr("BEX", phase[0]))
		return 0;
	t = thread_of(x, e);
	if (!t)
		return x->n_threads == THREADS_MAX ? 0 : -ENOMEM;
	/* Ends are cut to whole microseconds as beginnings are: sums stay right. */
	s.ts_us = json_us(ts);
	s.end_us = s.phase == 'X' ? json_us(ts + json_number(e, "dur")) : s.ts_us;
	if (s.ts_us < -INT64_MAX / 8 || s.end_us < s.ts_us || s.end_us > INT64_MAX / 8)
		return 0;
	s.thread = (uint32_t)(t - x->threads);
	t->end_us = s.end_us > t->end_us ? s.end_us : t->end_us;
	if (s.phase != 'E')
		s.frame = frame_of(x, e);
	if ((x->n & 0xfff) == 0xfff && import_check(x->m) < 0)
		return -EFBIG;
	return add_slice(x, &s);
}

/* Metadata stands anywhere. */
static void take_name(struct trace *x, const json_t *e)
{
	bool process = strcmp(json_text(e, "name"), "process_name") == 0;
	const char *name = json_text(json_object_get(e, "args"), "name");
	uint32_t pid = (uint32_t)json_key_of(e, "pid"), tid = (uint32_t)json_key_of(e, "tid");
	const uint32_t *at;

	if (!process && strcmp(json_text(e, "name"), "thread_name") != 0)
		return;
	at = process ? NULL : idmap_get(&x->index, (uint64_t)pid << 32 | tid);
	if (at)
		x->threads[*at].name = name;
	for (size_t i = 0; process && i < x->n_threads; i++)
		if (x->threads[i].pid == pid)
			x->threads[i].process = name;
}

static void set_tasks(struct trace *x)
{
	for (size_t i = 0; i < x->n_threads; i++) {
		struct trace_thread *t = &x->threads[i];
		const char *process = t->process ? t->process : "", *name = t->name && *t->name
										    ? t->name
									    : *process ? process
										       : "thread";
		struct stacks_task task = {.pid = t->pid, .tid = t->tid};

		task.comm = stacks_string(x->s, name, strlen(name));
		task.process = stacks_string(x->s, process, strlen(process));
		t->task = stacks_task(x->s, &task);
	}
}

/* ---- pairs ---- */

static int by_event(const void *a, const void *b)
{
	const struct slice *p = a, *q = b;

	if (p->thread != q->thread)
		return p->thread < q->thread ? -1 : 1;
	if (p->ts_us != q->ts_us)
		return p->ts_us < q->ts_us ? -1 : 1;
	return p->order < q->order ? -1 : p->order > q->order;
}

/* Outer ones first. */
static int by_nesting(const void *a, const void *b)
{
	const struct slice *p = a, *q = b;

	if (p->thread != q->thread)
		return p->thread < q->thread ? -1 : 1;
	if (p->ts_us != q->ts_us)
		return p->ts_us < q->ts_us ? -1 : 1;
	if (p->end_us != q->end_us)
		return p->end_us > q->end_us ? -1 : 1;
	return p->order < q->order ? -1 : p->order > q->order;
}

/* Each E ends the newest B of its thread; a B without one lasts as long as its thread is known. */
static void pair(struct trace *x)
{
	for (size_t i = 0; i < x->n; i++) {
		struct slice *s = &x->slices[i];

		if (i && s->thread != s[-1].thread)
			x->depth = 0;
		if (s->phase == 'B') {
			s->end_us = x->threads[s->thread].end_us;
			if (x->depth < IMPORT_DEPTH_MAX)
				x->open[x->depth++] = (uint32_t)i;
		} else if (s->phase == 'E') {
			if (x->depth)
				x->slices[x->open[--x->depth]].end_us = s->ts_us;
			s->phase = 0;
		}
	}
	x->depth = 0;
}

/* ---- own times ---- */

static int add_time(struct trace *x, uint32_t node, uint32_t task, int64_t at_us, int64_t end_us)
{
	int r = 0;

	if (end_us > at_us) {
		x->from_us = at_us < x->from_us ? at_us : x->from_us;
		x->to_us = end_us > x->to_us ? end_us : x->to_us;
	}
	while (at_us < end_us && r == 0) {
		int64_t us = end_us - at_us < x->piece_us ? end_us - at_us : x->piece_us;
		struct stacks_sample s = {.node = node,
					  .task = task,
					  .at_us = at_us,
					  .weight_us = us < UINT32_MAX ? (uint32_t)us : UINT32_MAX};

		r = stacks_add(x->s, &s);
		at_us += us;
		if (r == 0 && (x->s->n_samples & 0xfff) == 0)
			r = import_check(x->m);
	}
	return r;
}

/* Ends what has ended by then; *at_us is up to where all time is given to somebody. */
static int run_to(struct trace *x, uint32_t task, int64_t *at_us, int64_t to_us)
{
	int r = 0;

	while (x->depth && r == 0) {
		int64_t end_us = x->slices[x->open[x->depth - 1]].end_us;
		int64_t until_us = end_us < to_us ? end_us : to_us;

		r = add_time(x, x->nodes[x->depth - 1], task, *at_us, until_us);
		*at_us = until_us > *at_us ? until_us : *at_us;
		if (end_us > to_us)
			break;
		x->depth--;
	}
	*at_us = to_us > *at_us ? to_us : *at_us;
	return r;
}

static int run_thread(struct trace *x, size_t from, size_t to)
{
	uint32_t task = x->threads[x->slices[from].thread].task;
	int64_t at_us = INT64_MIN;
	int r = 0;

	for (size_t i = from; i < to && r == 0; i++) {
		struct slice *s = &x->slices[i];
		uint32_t parent;

		if (!s->phase)
			continue;
		r = run_to(x, task, &at_us, s->ts_us);
		if (x->depth == IMPORT_DEPTH_MAX)
			continue;
		parent = x->depth ? x->nodes[x->depth - 1] : 0;
		/* One that outlasts what it lies in ends with it. */
		if (x->depth && s->end_us > x->slices[x->open[x->depth - 1]].end_us)
			s->end_us = x->slices[x->open[x->depth - 1]].end_us;
		x->open[x->depth] = (uint32_t)i;
		x->nodes[x->depth++] = stacks_node(x->s, parent, s->frame);
	}
	return r < 0 ? r : run_to(x, task, &at_us, INT64_MAX / 4);
}

/* Pieces so long that there are not too many of them. */
static void set_piece(struct trace *x)
{
	double sum_us = 0;

	for (size_t i = 0, from = 0; i < x->n; i++)
		if (i + 1 == x->n || x->slices[i + 1].thread != x->slices[i].thread) {
			sum_us += (double)x->threads[x->slices[i].thread].end_us -
				  (double)x->slices[from].ts_us;
			from = i + 1;
		}
	sum_us /= PIECES_MAX;
	x->piece_us = sum_us < PIECE_US ? PIECE_US : (int64_t)sum_us + 1;
}

static int run(struct trace *x)
{
	int r = 0;

	qsort(x->slices, x->n, sizeof(*x->slices), by_event);
	pair(x);
	qsort(x->slices, x->n, sizeof(*x->slices), by_nesting);
	set_piece(x);
	for (size_t i = 0, from = 0; i < x->n && r == 0; i++)
		if (i + 1 == x->n || x->slices[i + 1].thread != x->slices[i].thread) {
			r = run_thread(x, from, i + 1);
			x->depth = 0;
			from = i + 1;
		}
	return r;
}

static int read_events(struct trace *x, const json_t *events)
{
	const json_t *e;
	size_t i;
	int r = 0;

	json_array_foreach(events, i, e)
	{
		if (r == 0)
			r = take_event(x, e);
	}
	json_array_foreach(events, i, e)
	{
		if (strcmp(json_text(e, "ph"), "M") == 0)
			take_name(x, e);
	}
	if (r == 0 && !x->n)
		return import_fail(x->m, -ENODATA,
				   "it is a trace without slices of threads (events of phase B and "
				   "E, or X), and without ProfileChunk events");
	if (r < 0)
		return r;
	set_tasks(x);
	return run(x);
}

int import_trace_events(struct import *m, const json_t *events)
{
	struct trace x = {.m = m, .s = m->s, .from_us = INT64_MAX, .to_us = INT64_MIN};
	int r = -ENOMEM;

	m->res->format = IMPORT_TRACE;
	x.open = malloc(IMPORT_DEPTH_MAX * sizeof(*x.open));
	x.nodes = malloc(IMPORT_DEPTH_MAX * sizeof(*x.nodes));
	if (x.open && x.nodes)
		r = read_events(&x, events);
	if (r == 0)
		r = import_check(m);
	if (r == -ENOMEM)
		import_no_memory(m);
	m->s->has_cpu = false;
	if (m->s->n_samples) {
		import_sort_samples(m->s);
		m->s->from_us = x.from_us;
		m->s->to_us = x.to_us;
	}
	idmap_done(&x.index);
	free(x.threads);
	free(x.slices);
	free(x.open);
	free(x.nodes);
	return r;
}

int import_trace(struct import *m)
{
	const json_t *events;
	json_t *root;
	int r = import_json(m, &root);

	if (r < 0 || !root)
		return r;
	events = json_is_array(root) ? root : json_object_get(root, "traceEvents");
	if (json_is_array(events))
		r = import_trace_events(m, events);
	else
		r = import_fail(m, -EBADMSG, "it is JSON, but no trace (traceEvents)");
	json_decref(root);
	return r;
}
