/*
 * Chrome's and Node's .cpuprofile: nodes with children or parents and a sample list with times; of old ones a tree
 * under "head"; in chunks within a trace ("Profile" and "ProfileChunk" events, one profile a thread).
 */
#include "import/import_cpuprofile.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* ---- samples ---- */

static int close_sample(struct chrome *x, struct chrome_thread *t, int64_t end_us)
{
	const uint32_t *node = t->any ? idmap_get(&t->nodes, t->id_at) : NULL;
	int64_t us = end_us - t->at_us;
	struct stacks_sample s = {.at_us = t->at_us, .task = t->task};

	if (!node || us <= 0 || idmap_get(&t->idle, t->id_at))
		return 0;
	s.node = *node;
	s.weight_us = us > UINT32_MAX ? UINT32_MAX : (uint32_t)us;
	x->from_us = s.at_us < x->from_us ? s.at_us : x->from_us;
	x->to_us = end_us > x->to_us ? end_us : x->to_us;
	return stacks_add(x->s, &s);
}

static int add_sample(struct chrome *x, struct chrome_thread *t, uint64_t id, int64_t at_us)
{
	int r = close_sample(x, t, at_us);

	t->any = true;
	t->id_at = id;
	t->at_us = at_us;
	if (r == 0 && (x->s->n_samples & 0xfff) == 0xfff)
		r = import_check(x->m);
	return r;
}

/* Times of their own (old ones), or distances from one to the next, the first from the start. */
static int add_samples(struct chrome *x, struct chrome_thread *t, const json_t *samples,
		       const json_t *deltas, const json_t *times)
{
	int64_t at_us = t->any ? t->at_us : t->start_us;
	const json_t *id;
	size_t i;

	json_array_foreach(samples, i, id)
	{
		int r;

		if (times)
			at_us = json_us(json_number_value(json_array_get(times, i)));
		else
			at_us = json_us((double)at_us +
					json_number_value(json_array_get(deltas, i)));
		r = add_sample(x, t, (uint64_t)json_integer_value(id), at_us);
		if (r < 0)
			return r;
	}
	return 0;
}

/* Nodes that have counts and no times, of very old ones. */
static int add_hits(struct chrome *x, struct chrome_thread *t, const json_t *node,
		    struct import_sums *sums, unsigned depth)
{
	const uint32_t *at = idmap_get(&t->nodes, json_key_of(node, "id"));
	struct import_sum row = {.task = t->task};
	const json_t *child;
	size_t i;
	int r = 0;

	row.weight = row.n = json_key_of(node, "hitCount");
	if (at && row.weight && row.weight < INT64_MAX &&
	    !idmap_get(&t->idle, json_key_of(node, "id"))) {
		row.node = *at;
		r = import_sums_add(sums, &row);
	}
	if (depth == DEPTH_MAX)
		return r;
	json_array_foreach(json_object_get(node, "children"), i, child)
	{
		if (r == 0 && json_is_object(child))
			r = add_hits(x, t, child, sums, depth + 1);
	}
	return r;
}

static int read_hits(struct chrome *x, struct chrome_thread *t, const json_t *profile)
{
	const json_t *nodes = json_object_get(profile, "nodes"), *node;
	struct import_sums sums = {0};
	size_t i;
	int r = 0;

	if (json_object_get(profile, "head"))
		r = add_hits(x, t, json_object_get(profile, "head"), &sums, 0);
	json_array_foreach(nodes, i, node)
	{
		if (r == 0)
			r = add_hits(x, t, node, &sums, DEPTH_MAX);
	}
	strcpy(x->m->res->unit, "samples");
	if (r == 0)
		r = import_sums_finish(x->m, &sums, false);
	x->s->has_time = false;
	x->from_us = 0;
	x->to_us = 1;
	import_sums_done(&sums);
	return r;
}

/* ---- the forms ---- */

static struct chrome_thread *new_thread(struct chrome *x, uint32_t pid, uint32_t tid,
					const char *id)
{
	struct chrome_thread *t;
	void *p;

	if (x->n_threads == PROFILES_MAX)
		return NULL;
	p = realloc(x->threads, (x->n_threads + 1) * sizeof(*t));
	if (!p)
		return NULL;
	x->threads = p;
	t = &x->threads[x->n_threads++];
	*t = (struct chrome_thread){.pid = pid, .tid = tid};
	snprintf(t->id, sizeof(t->id), "%.30s", id);
	return t;
}

static void set_task(struct chrome *x, struct chrome_thread *t, const char *name)
{
	struct stacks_task task = {.pid = t->pid, .tid = t->tid};

	task.comm = stacks_string(x->s, name, strlen(name));
	t->task = stacks_task(x->s, &task);
}

static int read_profile(struct chrome *x, const json_t *profile)
{
	const json_t *head = json_object_get(profile, "head");
	const json_t *samples = json_object_get(profile, "samples");
	const json_t *times = json_object_get(profile, "timestamps");
	double unit = head ? 1e6 : 1; /* of start and end: old ones have seconds */
	struct chrome_thread *t = new_thread(x, 0, 0, "");
	int r;

	if (!t)
		return -ENOMEM;
	set_task(x, t, "main");
	t->start_us = json_us(json_number(profile, "startTime") * unit);
	r = head ? chrome_put_tree(x, t, head, 0, 0)
		 : chrome_put_nodes(x, t, json_object_get(profile, "nodes"));
	if (r == 0 && !json_array_size(samples))
		return read_hits(x, t, profile);
	if (r == 0)
		r = add_samples(x, t, samples, json_object_get(profile, "timeDeltas"), times);
	if (r == 0) { /* the last one lasts to the end, or as long as the one before */
		int64_t end_us = json_us(json_number(profile, "endTime") * unit);

		r = close_sample(x, t, end_us > t->at_us ? end_us : t->at_us + 1);
	}
	return r;
}

static struct chrome_thread *find_thread(struct chrome *x, const json_t *event)
{
	uint32_t pid = (uint32_t)json_key_of(event, "pid");
	const char *id = json_text(event, "id");

	for (size_t i = 0; i < x->n_threads; i++)
		if (x->threads[i].pid == pid && strncmp(x->threads[i].id, id, 30) == 0)
			return &x->threads[i];
	return new_thread(x, pid, (uint32_t)json_key_of(event, "tid"), id);
}

static int take_chunk(struct chrome *x, const json_t *event)
{
	const json_t *data = json_object_get(json_object_get(event, "args"), "data");
	const json_t *profile = json_object_get(data, "cpuProfile");
	const json_t *deltas = json_object_get(data, "timeDeltas");
	struct chrome_thread *t = find_thread(x, event);
	int r;

	if (!t)
		return x->n_threads == PROFILES_MAX ? 0 : -ENOMEM;
	if (!t->task)
		set_task(x, t, "thread");
	if (json_object_get(data, "startTime"))
		t->start_us = json_us(json_number(data, "startTime"));
	r = chrome_put_nodes(x, t, json_object_get(profile, "nodes"));
	if (r == 0)
		r = add_samples(x, t, json_object_get(profile, "samples"),
				deltas ? deltas : json_object_get(profile, "timeDeltas"), NULL);
	if (r == 0 && json_object_get(data, "endTime")) {
		r = close_sample(x, t, json_us(json_number(data, "endTime")));
		t->any = false;
	}
	return r;
}

/* Threads are named by metadata events, anywhere. */
static void take_names(struct chrome *x, const json_t *events)
{
	const json_t *e;
	size_t i;

	json_array_foreach(events, i, e)
	{
		if (strcmp(json_text(e, "name"), "thread_name") != 0)
			continue;
		for (size_t k = 0; k < x->n_threads; k++)
			if (x->threads[k].pid == (uint32_t)json_key_of(e, "pid") &&
			    x->threads[k].tid == (uint32_t)json_key_of(e, "tid"))
				set_task(x, &x->threads[k],
					 json_text(json_object_get(e, "args"), "name"));
	}
}

static int read_trace(struct chrome *x, const json_t *events)
{
	const json_t *e;
	size_t i;
	int r = 0;

	/* "Profile" begins one: its thread is the one that is profiled, chunks come from another. */
	json_array_foreach(events, i, e)
	{
		if (strcmp(json_text(e, "name"), "Profile") == 0 && !find_thread(x, e))
			return -ENOMEM;
	}
	take_names(x, events);
	json_array_foreach(events, i, e)
	{
		const char *name = json_text(e, "name");

		if (r == 0 && (strcmp(name, "ProfileChunk") == 0 || strcmp(name, "Profile") == 0))
			r = take_chunk(x, e);
	}
	for (i = 0; i < x->n_threads && r == 0; i++)
		r = close_sample(x, &x->threads[i], x->threads[i].at_us + 1);
	return r;
}

static bool has_chunks(const json_t *events)
{
	const json_t *e;
	size_t i;

	json_array_foreach(events, i, e)
	{
		if (strcmp(json_text(e, "name"), "ProfileChunk") == 0)
			return true;
	}
	return false;
}

static int read_json(struct chrome *x, const json_t *root)
{
	const json_t *events = json_is_array(root) ? root : json_object_get(root, "traceEvents");

	if (json_is_array(events))
		return has_chunks(events) ? read_trace(x, events)
					  : import_trace_events(x->m, events);
	if (json_object_get(root, "nodes") || json_object_get(root, "head"))
		return read_profile(x, root);
	return import_fail(x->m, -EBADMSG,
			   "it is JSON, but neither a .cpuprofile (nodes, samples, timeDeltas) nor "
			   "a trace (traceEvents)");
}

static int parse(struct chrome *x)
{
	json_t *root;
	int r = import_json(x->m, &root);

	if (r < 0 || !root)
		return r;
	r = read_json(x, root);
	json_decref(root);
	return r;
}

int import_cpuprofile(struct import *m)
{
	struct chrome x = {.m = m, .s = m->s, .from_us = INT64_MAX, .to_us = INT64_MIN};
	int r = parse(&x);

	if (r == 0)
		r = import_check(m);
	if (r == -ENOMEM)
		import_no_memory(m);
	m->s->has_cpu = false;
	if (m->s->n_samples && x.n_threads) {
		import_sort_samples(m->s);
		m->s->from_us = x.from_us;
		m->s->to_us = x.to_us;
	}
	for (size_t i = 0; i < x.n_threads; i++) {
		idmap_done(&x.threads[i].nodes);
		idmap_done(&x.threads[i].idle);
	}
	free(x.threads);
	return r;
}

bool import_cpuprofile_looks(const char *head, size_t len)
{
	size_t i = 0;

	if (len >= 3 && memcmp(head, "\xef\xbb\xbf", 3) == 0)
		i = 3;
	while (i < len && (head[i] == ' ' || head[i] == '\t' || head[i] == '\n' || head[i] == '\r'))
		i++;
	if (i == len || memchr(head, 0, len))
		return false;
	return head[i] == '{' || (head[i] == '[' && memchr(head + i, '{', len - i));
}
