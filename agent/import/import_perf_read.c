/* The samples of perf script text: lines to stacks. */
#include "import/import_perf.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define UNKNOWN "[unknown]"

enum { CACHE_SLOTS = 1 << 14 };

/* ---- frames ---- */

static uint64_t hash_text(const char *p, size_t len)
{
	uint64_t h = 0x9e3779b97f4a7c15u ^ len, v = 0;

	for (; len >= 8; len -= 8, p += 8) {
		memcpy(&v, p, 8);
		h = idmap_mix(h ^ v);
	}
	v = 0;
	memcpy(&v, p, len);
	return idmap_mix(h ^ v);
}

static uint32_t make_frame(struct perf_read *x, const char *name, size_t len, uint32_t module,
			   enum stacks_type type)
{
	struct stacks_frame f = {.module = module, .type = (uint8_t)type};

	f.name = stacks_string(x->s, name, len);
	return stacks_frame(x->s, &f);
}

/* Code that a JIT has made of several functions names them "outer->inner". */
static const char *inlined_part(const struct perf_frame *f, enum stacks_type type)
{
	const char *arrow;

	if (type != STACKS_JIT || f->name_len < 4)
		return NULL;
	arrow = memmem(f->name + 1, f->name_len - 1, "->", 2);
	if (!arrow || (arrow - f->name >= 8 && memcmp(arrow - 8, "operator", 8) == 0))
		return NULL;
	return arrow + 2 < f->name + f->name_len ? arrow + 2 : NULL;
}

static bool is_text(const char *p, size_t len, const char *text)
{
	return len == strlen(text) && memcmp(p, text, len) == 0;
}

static void make_frames(struct perf_read *x, const struct perf_frame *f, struct cached *to)
{
	bool is_inlined = f->module && is_text(f->module, f->module_len, "inlined");
	bool has_module =
		f->module_len && !is_inlined && !is_text(f->module, f->module_len, UNKNOWN);
	bool has_name = f->name_len && !is_text(f->name, f->name_len, UNKNOWN);
	enum stacks_type type = import_type(f->module, has_module ? f->module_len : 0, f->addr);
	const char *name = has_name ? f->name : UNKNOWN, *inner;
	size_t len = has_name ? f->name_len : strlen(UNKNOWN);
	char path[512];
	uint32_t module = 0;

	if (is_inlined)
		type = STACKS_INLINED;
	else if (!f->module && has_name && type == STACKS_UNKNOWN)
		type = STACKS_USER;
	if (has_module) {
		snprintf(path, sizeof(path), "%.*s",
			 (int)(f->module_len < 500 ? f->module_len : 500), f->module);
		module = stacks_module(x->s, path, NULL);
	}
	inner = inlined_part(f, type);
	to->n = inner ? 2 : 1;
	if (inner) {
		to->frames[0] =
			make_frame(x, inner, (size_t)(name + len - inner), module, STACKS_INLINED);
		len = (size_t)(inner - 2 - name);
	}
	to->frames[to->n - 1] = make_frame(x, name, len, module, type);
}

/* Of " name+0x12 (module)" without the offset, which is of no concern. */
static uint64_t hash_frame(const char *p, const char *end)
{
	const char *group = end, *offset;

	while (group > p + 4 && !(group[-1] == '(' && group[-2] == ' '))
		group--;
	offset = group - 2;
	while (offset > p + 3 && ((offset[-1] >= '0' && offset[-1] <= '9') ||
				  (offset[-1] >= 'a' && offset[-1] <= 'f')))
		offset--;
	if (group <= p + 4 || offset <= p + 3 || memcmp(offset - 3, "+0x", 3) != 0)
		return hash_text(p, (size_t)(end - p));
	return idmap_mix(hash_text(p, (size_t)(offset - 3 - p)) ^
			 hash_text(group, (size_t)(end - group)));
}

/* Half of the address space is the kernel's, so that the same text is of one type only in one of the halves. */
static bool add_frame(struct perf_read *x, const char *line, size_t len)
{
	const char *p = line;
	struct perf_frame f;
	struct cached *c;
	bool high;
	uint64_t h;

	while (*p == ' ' || *p == '\t')
		p++;
	high = len > (size_t)(p - line) + 16 && memcmp(p, "ffff", 4) == 0 && p[16] == ' ';
	while (*p && *p != ' ')
		p++;
	h = hash_frame(p, line + len) + high;
	c = &x->cache[h & (CACHE_SLOTS - 1)];
	if (!*p || !c->n || c->hash != h) {
		struct cached made = {.hash = h};

		if (!import_perf_frame(line, len, &f))
			return false;
		make_frames(x, &f, &made);
		if (!f.has_addr) /* what was hashed is not all of it */
			made.hash = ~h;
		*c = made;
	}
	for (uint32_t i = 0; i < c->n; i++) {
		if (x->depth < IMPORT_DEPTH_MAX)
			x->path[x->depth++] = c->frames[i];
		else
			x->now.sample.flags |= STACKS_TRUNCATED;
	}
	return true;
}

/* ---- samples ---- */

static bool is_idle(const struct perf_read *x)
{
	static const char *const names[] = {"idle", "halt", "mwait", "hypercall_sched_op"};
	const char *name;

	if (!x->depth)
		return false;
	name = stacks_text(x->s, x->s->frames[x->path[0]].name);
	for (size_t i = 0; i < sizeof(names) / sizeof(*names); i++)
		if (strstr(name, names[i]))
			return true;
	return false;
}

static int put_sample(struct perf_read *x)
{
	struct pending *p = &x->now;
	const struct task *t = &x->tasks[p->sample.task];
	uint32_t node = 0;

	x->open = false;
	if (x->bare && !x->depth) {
		x->m->res->skipped++;
		return 0;
	}
	if (x->n_samples == x->cap_samples) {
		size_t cap = x->cap_samples ? x->cap_samples * 2 : 4096;
		struct pending *grown = realloc(x->samples, cap * sizeof(*grown));

		if (!grown)
			return -ENOMEM;
		x->samples = grown;
		x->cap_samples = cap;
	}
	for (uint32_t i = x->depth; i-- > 0;)
		node = stacks_node(x->s, node, x->path[i]);
	p->sample.node = node;
	if (!t->tid && !t->pid && strncmp(stacks_text(x->s, t->comm), "swapper", 7) == 0 &&
	    is_idle(x))
		p->sample.flags |= STACKS_IDLE;
	p->order = x->n_samples;
	x->samples[x->n_samples++] = *p;
	return (x->n_samples & 0x3f) ? 0 : import_check(x->m);
}

static int take_task(struct perf_read *x, const struct perf_line *l, uint32_t *ret)
{
	uint32_t comm = stacks_string(x->s, l->comm, l->comm_len);
	uint64_t key = idmap_mix((uint64_t)l->pid << 32 | l->tid) ^ comm;
	uint32_t *id = idmap_put(&x->task_ids, key, (uint32_t)x->n_tasks);
	uint32_t *main = idmap_put(&x->mains, l->pid, comm);

	if (!id || !main)
		return -ENOMEM;
	if (l->pid == l->tid)
		*main = comm;
	*ret = *id;
	if (*id < x->n_tasks)
		return 0;
	if (x->n_tasks == x->cap_tasks) {
		size_t cap = x->cap_tasks ? x->cap_tasks * 2 : 64;
		struct task *p = realloc(x->tasks, cap * sizeof(*p));

		if (!p)
			return -ENOMEM;
		x->tasks = p;
		x->cap_tasks = cap;
	}
	x->tasks[x->n_tasks++] = (struct task){l->pid, l->tid, comm};
	return 0;
}

static uint8_t take_event(struct perf_read *x, const struct perf_line *l)
{
	size_t len = l->event_len < sizeof(x->events[0].name) - 1 ? l->event_len
								  : sizeof(x->events[0].name) - 1;
	uint32_t i = 0;

	while (i < x->n_events && (strncmp(x->events[i].name, l->event ? l->event : "", len) != 0 ||
				   x->events[i].name[len]))
		i++;
	if (i == EVENTS_MAX)
		i = EVENTS_MAX - 1;
	else if (i == x->n_events) {
		memcpy(x->events[i].name, l->event ? l->event : "", l->event ? len : 0);
		x->n_events++;
	}
	x->events[i].n++;
	return (uint8_t)i;
}

/* What follows the event may be the fields of a tracepoint instead. */
static bool starts_with_address(const char *p)
{
	size_t n = strspn(p, "0123456789abcdef");

	return n && (p[n] == ' ' || p[n] == '\t') && p[n + 1];
}

static int open_sample(struct perf_read *x, const struct perf_line *l)
{
	int r;

	x->now = (struct pending){.sample = {.at_us = l->at_us}, .period = l->period};
	x->no_time |= !l->has_time;
	x->no_cpu |= l->cpu < 0;
	if (l->cpu > 0)
		x->now.sample.cpu = (uint16_t)l->cpu;
	r = take_task(x, l, &x->now.sample.task);
	if (r < 0)
		return r;
	x->now.event = take_event(x, l);
	x->depth = 0;
	x->open = true;
	x->ended = x->bare = false;
	if (*l->rest && starts_with_address(l->rest) && add_frame(x, l->rest, strlen(l->rest))) {
		x->ended = true;
		return put_sample(x);
	}
	return 0;
}

/* A sample whose line is but a name, or that has none. */
static int open_bare(struct perf_read *x, const char *comm, size_t len)
{
	const struct perf_line l = {.comm = comm, .comm_len = len, .rest = "", .cpu = -1};
	int r = open_sample(x, &l);

	x->bare = true;
	return r;
}

static bool starts_as_frame(const char *p)
{
	size_t n = strspn(p, "0123456789abcdef");

	return n && n <= 16 && (p[n] == ' ' || p[n] == '\t' || !p[n]);
}

/* A line that is neither a sample's with a task or a time, nor a frame of one. */
static int take_other(struct perf_read *x, const char *line, size_t len, bool indented)
{
	enum { COMM_MAX = 16 };
	int r = 0;

	if (x->open && indented) /* where the frame above it is in the source */
		return 0;
	while (len && (line[len - 1] == ' ' || line[len - 1] == '\t'))
		len--;
	if (indented || len > COMM_MAX) {
		x->m->res->skipped++;
		return 0;
	}
	if (x->open)
		r = put_sample(x);
	return r < 0 ? r : open_bare(x, line, len);
}

static int take_line(struct perf_read *x, const char *line, size_t len)
{
	struct perf_line l;
	bool indented = line[0] == ' ' || line[0] == '\t';
	const char *p = line;

	while (*p == ' ' || *p == '\t')
		p++;
	if (!*p)
		return x->open ? put_sample(x) : 0;
	if (*p == '#' && !x->open)
		return 0;
	if (x->open && indented && starts_as_frame(p) && add_frame(x, line, len))
		return 0;
	if (import_perf_line(line, &l) && (!x->open || !indented || l.has_time)) {
		int r = x->open ? put_sample(x) : 0;

		return r < 0 || import_perf_is_record(&l) ? r : open_sample(x, &l);
	}
	if (!x->open && indented && starts_as_frame(p)) {
		int r = open_bare(x, "", 0);

		if (r < 0)
			return r;
	}
	if (x->open && indented && add_frame(x, line, len))
		return 0;
	return take_other(x, line, len, indented);
}

int import_perf(struct import *m)
{
	struct perf_read *x = calloc(1, sizeof(*x));
	char *line;
	size_t len;
	int r = 0;

	if (x)
		*x = (struct perf_read){
			.m = m, .s = m->s, .cache = calloc(CACHE_SLOTS, sizeof(*x->cache))};
	if (!x || !x->cache)
		r = -ENOMEM;
	while (r == 0 && (line = import_line(&m->in, &len)))
		r = take_line(x, line, len);
	if (r == 0 && x->open)
		r = put_sample(x);
	if (r == 0)
		r = perf_read_finish(x);
	if (r == -ENOMEM)
		import_no_memory(m);
	if (x) {
		idmap_done(&x->task_ids);
		idmap_done(&x->mains);
		free(x->samples);
		free(x->tasks);
		free(x->cache);
		free(x);
	}
	return r;
}
