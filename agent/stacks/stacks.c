/* Sets of sampled stacks: arrays that grow by doubling, and the hash tables that intern into them.
 */
#include "stacks/stacks.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

#include "stacks/stacks_internal.h"

enum { SMALL = 1 << 15 };

/* ---- arrays ---- */

static size_t entry_size(enum stacks_array a)
{
	static const uint8_t sizes[N_ARRAYS] = {
		[ARRAY_STRINGS] = sizeof(uint32_t),
		[ARRAY_MODULES] = sizeof(struct stacks_module),
		[ARRAY_FRAMES] = sizeof(struct stacks_frame),
		[ARRAY_NODES] = sizeof(struct stacks_node),
		[ARRAY_TASKS] = sizeof(struct stacks_task),
		[ARRAY_SAMPLES] = sizeof(struct stacks_sample),
		[ARRAY_NOTES] = sizeof(struct stacks_note),
		[ARRAY_TEXT] = 1,
	};

	return sizes[a];
}

static void *get_array(const struct stacks *s, enum stacks_array a)
{
	switch (a) {
	case ARRAY_STRINGS:
		return s->strings;
	case ARRAY_MODULES:
		return s->modules;
	case ARRAY_FRAMES:
		return s->frames;
	case ARRAY_NODES:
		return s->nodes;
	case ARRAY_TASKS:
		return s->tasks;
	case ARRAY_SAMPLES:
		return s->samples;
	case ARRAY_NOTES:
		return s->notes;
	default:
		return (void *)(uintptr_t)s->text;
	}
}

static void set_array(struct stacks *s, enum stacks_array a, void *p)
{
	switch (a) {
	case ARRAY_STRINGS:
		s->strings = p;
		return;
	case ARRAY_MODULES:
		s->modules = p;
		return;
	case ARRAY_FRAMES:
		s->frames = p;
		return;
	case ARRAY_NODES:
		s->nodes = p;
		return;
	case ARRAY_TASKS:
		s->tasks = p;
		return;
	case ARRAY_SAMPLES:
		s->samples = p;
		return;
	case ARRAY_NOTES:
		s->notes = p;
		return;
	default:
		s->text = p;
	}
}

static int fail(struct stacks *s)
{
	stacks_private(s)->failed = true;
	return -ENOMEM;
}

int stacks_size(struct stacks *s, enum stacks_array a, uint64_t n)
{
	void *grown;

	if (n >= UINT32_MAX)
		return fail(s);
	grown = realloc(get_array(s, a), (n + !n) * entry_size(a));
	if (!grown)
		return fail(s);
	set_array(s, a, grown);
	stacks_private(s)->cap[a] = (uint32_t)(n + !n);
	return 0;
}

/* By doubling; large ones by a quarter, so that what is not used stays small. */
static int grow(struct stacks *s, enum stacks_array a, uint64_t n)
{
	uint64_t cap = stacks_private(s)->cap[a];

	if (!cap)
		cap = a == ARRAY_TEXT ? 1024 : 32;
	while (cap < n)
		cap += cap < SMALL ? cap : cap / 4;
	return stacks_size(s, a, cap);
}

int stacks_reserve(struct stacks *s, enum stacks_array a, uint64_t n)
{
	return n <= stacks_private(s)->cap[a] ? 0 : grow(s, a, n);
}

/* ---- hashes ---- */

static inline uint64_t mix(uint64_t h, uint64_t v)
{
	h = (h ^ v) * 0x9e3779b97f4a7c15u;
	return h ^ (h >> 32);
}

static uint64_t hash_text(uint64_t seed, const char *text, size_t len)
{
	uint64_t h = mix(seed, len), v;

	for (; len >= 8; len -= 8, text += 8) {
		memcpy(&v, text, 8);
		h = mix(h, v);
	}
	v = 0;
	memcpy(&v, text, len);
	return mix(h, v);
}

static inline uint64_t hash_node(uint64_t seed, uint32_t parent, uint32_t frame)
{
	return mix(seed, (uint64_t)parent << 32 | frame);
}

static inline uint64_t hash_frame(uint64_t seed, const struct stacks_frame *f)
{
	uint64_t h = mix(mix(seed, f->addr), (uint64_t)f->module << 8 | f->type);

	return f->addr ? h : mix(h, f->name);
}

static inline uint64_t hash_module(uint64_t seed, const struct stacks_module *m)
{
	return mix(seed, (uint64_t)m->name << 32 | m->build_id);
}

static inline uint64_t hash_task(uint64_t seed, const struct stacks_task *t)
{
	uint64_t h = mix(seed, (uint64_t)t->pid << 32 | t->tid);

	return mix(mix(h, (uint64_t)t->comm << 32 | t->process), t->cgroup);
}

static uint64_t hash_entry(const struct stacks *s, enum stacks_array a, uint32_t i)
{
	uint64_t seed = stacks_private(s)->seed;

	switch (a) {
	case ARRAY_STRINGS:
		return hash_text(seed, stacks_text(s, i), strlen(stacks_text(s, i)));
	case ARRAY_MODULES:
		return hash_module(seed, &s->modules[i]);
	case ARRAY_FRAMES:
		return hash_frame(seed, &s->frames[i]);
	case ARRAY_NODES:
		return hash_node(seed, s->nodes[i].parent, s->nodes[i].frame);
	default:
		return hash_task(seed, &s->tasks[i]);
	}
}

/* ---- tables ---- */

static inline void set_slot(const struct stacks_table *t, uint32_t at, uint64_t hash, uint32_t i)
{
	t->slots[at] = (i + 1) | ((uint32_t)(hash >> 32) & ~t->index);
}

/* The next entry from *at on that may have that hash, its index + 1; 0: none, *at is where it goes. */
static inline uint32_t find_slot(const struct stacks_table *t, uint32_t *at, uint64_t hash)
{
	uint32_t slot, tag = (uint32_t)(hash >> 32);

	for (; (slot = t->slots[*at]); *at = (*at + 1) & t->mask)
		if (!((slot ^ tag) & ~t->index))
			return slot & t->index;
	return 0;
}

static int table_build(struct stacks *s, enum stacks_array a, uint32_t n, uint64_t size)
{
	struct stacks_table *t = &stacks_private(s)->tables[a];
	uint32_t *slots = calloc(size, sizeof(*slots)), mask = (uint32_t)(size - 1);

	if (!slots)
		return fail(s);
	free(t->slots);
	*t = (struct stacks_table){slots, mask, size <= 1 << 24 ? (1 << 24) - 1 : UINT32_MAX};
	for (uint32_t i = 0; i < n; i++) {
		uint64_t hash = hash_entry(s, a, i);
		uint32_t at = (uint32_t)hash & mask;

		while (slots[at])
			at = (at + 1) & mask;
		set_slot(t, at, hash, i);
	}
	return 0;
}

/* Room in the table and the array for one more entry after n. */
static inline int table_ready(struct stacks *s, enum stacks_array a, uint32_t n)
{
	const struct stacks_table *t = &stacks_private(s)->tables[a];
	uint64_t size = 64;

	if (t->mask && n + 1 <= t->mask - t->mask / 4)
		return stacks_reserve(s, a, (uint64_t)n + 1);
	while (size - size / 4 <= (uint64_t)n + 1)
		size *= 2;
	if (size > UINT32_MAX || table_build(s, a, n, size) < 0)
		return fail(s);
	return stacks_reserve(s, a, (uint64_t)n + 1);
}

/* ---- life ---- */

static int put_zeroth(struct stacks *s)
{
	for (unsigned a = 0; a < ARRAY_SAMPLES; a++)
		if (table_ready(s, a, 0) < 0)
			return -ENOMEM;
	s->modules[0] = (struct stacks_module){0};
	s->nodes[0] = (struct stacks_node){0};
	s->tasks[0] = (struct stacks_task){0};
	stacks_string(s, "", 0);
	s->frames[0] = (struct stacks_frame){
		.name = stacks_string(s, STACKS_UNKNOWN_FRAME, sizeof(STACKS_UNKNOWN_FRAME) - 1)};
	s->n_modules = s->n_frames = s->n_nodes = s->n_tasks = 1;
	for (unsigned a = ARRAY_MODULES; a < ARRAY_SAMPLES; a++)
		if (table_build(s, a, 1, 64) < 0)
			return -ENOMEM;
	return s->n_strings == 2 ? 0 : -ENOMEM;
}

struct stacks *stacks_new(void)
{
	struct stacks *s = calloc(1, sizeof(*s));
	struct stacks_private *p = calloc(1, sizeof(*p));

	if (!s || !p) {
		free(s);
		free(p);
		return NULL;
	}
	if (getrandom(&p->seed, sizeof(p->seed), GRND_NONBLOCK) < 0)
		p->seed = (uintptr_t)s;
	s->private = p;
	s->has_cpu = s->has_time = true;
	if (put_zeroth(s) < 0) {
		stacks_free(s);
		return NULL;
	}
	return s;
}

void stacks_free(struct stacks *s)
{
	struct stacks_private *p;

	if (!s)
		return;
	p = stacks_private(s);
	for (unsigned a = 0; a < N_ARRAYS; a++)
		free(get_array(s, a));
	free(s->counts);
	for (unsigned a = 0; a < ARRAY_INTERNED; a++)
		free(p->tables[a].slots);
	free(p);
	free(s);
}

size_t stacks_bytes(const struct stacks *s)
{
	const struct stacks_private *p = stacks_private(s);
	size_t n = sizeof(*s) + sizeof(*p);

	for (unsigned a = 0; a < N_ARRAYS; a++)
		n += p->cap[a] * entry_size(a);
	for (unsigned a = 0; a < ARRAY_INTERNED; a++)
		n += p->tables[a].mask ? ((size_t)p->tables[a].mask + 1) * sizeof(uint32_t) : 0;
	return n + (s->counts ? s->n_samples * sizeof(*s->counts) : 0);
}

bool stacks_failed(const struct stacks *s)
{
	return stacks_private(s)->failed;
}

void stacks_adopt(struct stacks *s, uint32_t n)
{
	struct stacks_private *p = stacks_private(s);

	for (unsigned a = 0; a < ARRAY_INTERNED; a++) {
		free(p->tables[a].slots);
		p->tables[a] = (struct stacks_table){0};
	}
	p->n_text = n;
}

/* ---- interning ---- */

uint32_t stacks_string(struct stacks *s, const char *text, size_t len)
{
	struct stacks_private *p = stacks_private(s);
	const struct stacks_table *t = &p->tables[ARRAY_STRINGS];
	uint32_t own = UINT32_MAX, at, i;
	uint64_t hash;

	len = strnlen(text, len);
	if (table_ready(s, ARRAY_STRINGS, s->n_strings) < 0)
		return 0;
	hash = hash_text(p->seed, text, len);
	for (at = (uint32_t)hash & t->mask; (i = find_slot(t, &at, hash));
	     at = (at + 1) & t->mask) {
		const char *held = stacks_text(s, i - 1);

		if (strncmp(held, text, len) == 0 && !held[len])
			return i - 1;
	}
	if (p->n_text && text >= s->text &&
	    text < s->text + p->n_text) /* a part of it, which moves */
		own = (uint32_t)(text - s->text);
	if (stacks_reserve(s, ARRAY_TEXT, (uint64_t)p->n_text + len + 1) < 0)
		return 0;
	if (own != UINT32_MAX)
		text = s->text + own;
	memcpy((char *)(uintptr_t)s->text + p->n_text, text, len);
	*((char *)(uintptr_t)s->text + p->n_text + len) = 0;
	s->strings[s->n_strings] = p->n_text;
	p->n_text += (uint32_t)len + 1;
	set_slot(t, at, hash, s->n_strings);
	return s->n_strings++;
}

uint32_t stacks_module(struct stacks *s, const char *name, const char *build_id)
{
	const struct stacks_table *t = &stacks_private(s)->tables[ARRAY_MODULES];
	struct stacks_module m;
	uint64_t hash;
	uint32_t at, i;

	m.name = stacks_string(s, name, strlen(name));
	m.build_id = build_id ? stacks_string(s, build_id, strlen(build_id)) : 0;
	if (stacks_failed(s) || table_ready(s, ARRAY_MODULES, s->n_modules) < 0)
		return 0;
	hash = hash_module(stacks_private(s)->seed, &m);
	for (at = (uint32_t)hash & t->mask; (i = find_slot(t, &at, hash)); at = (at + 1) & t->mask)
		if (s->modules[i - 1].name == m.name && s->modules[i - 1].build_id == m.build_id)
			return i - 1;
	set_slot(t, at, hash, s->n_modules);
	s->modules[s->n_modules] = m;
	return s->n_modules++;
}

/* A JIT may put another function where one was: two names at one address are two frames. */
static bool same_frame(const struct stacks_frame *held, const struct stacks_frame *f)
{
	if (held->addr != f->addr || held->module != f->module || held->type != f->type)
		return false;
	return held->name == f->name || (f->addr && (!f->name || !held->name));
}

uint32_t stacks_frame(struct stacks *s, const struct stacks_frame *frame)
{
	const struct stacks_frame f = *frame; /* it may be one of these, which move */
	const struct stacks_table *t = &stacks_private(s)->tables[ARRAY_FRAMES];
	uint64_t hash;
	uint32_t at, i;

	if (!f.addr && !f.name && !f.module)
		return 0;
	if (f.module >= s->n_modules || f.name >= s->n_strings || f.type > STACKS_TYPES ||
	    table_ready(s, ARRAY_FRAMES, s->n_frames) < 0)
		return 0;
	hash = hash_frame(stacks_private(s)->seed, &f);
	for (at = (uint32_t)hash & t->mask; (i = find_slot(t, &at, hash));
	     at = (at + 1) & t->mask) {
		struct stacks_frame *held = &s->frames[i - 1];

		if (!same_frame(held, &f))
			continue;
		if (!held->name && f.name) {
			held->name = f.name;
			held->missed = false;
		}
		stacks_place_add_self(&held->self, &f.self);
		stacks_place_add_call(&held->call, &f.call);
		return i - 1;
	}
	set_slot(t, at, hash, s->n_frames);
	s->frames[s->n_frames] = f;
	return s->n_frames++;
}

uint32_t stacks_node(struct stacks *s, uint32_t parent, uint32_t frame)
{
	const struct stacks_table *t = &stacks_private(s)->tables[ARRAY_NODES];
	uint64_t hash;
	uint32_t at, i;

	if (parent >= s->n_nodes || frame >= s->n_frames ||
	    table_ready(s, ARRAY_NODES, s->n_nodes) < 0)
		return 0;
	hash = hash_node(stacks_private(s)->seed, parent, frame);
	for (at = (uint32_t)hash & t->mask; (i = find_slot(t, &at, hash));
	     at = (at + 1) & t->mask) {
		const struct stacks_node *held = &s->nodes[i - 1];

		if (held->parent == parent && held->frame == frame && i > 1)
			return i - 1;
	}
	set_slot(t, at, hash, s->n_nodes);
	s->nodes[s->n_nodes] = (struct stacks_node){.parent = parent, .frame = frame};
	return s->n_nodes++;
}

uint32_t stacks_node_append(struct stacks *s, uint32_t parent, uint32_t frame)
{
	if (stacks_reserve(s, ARRAY_NODES, (uint64_t)s->n_nodes + 1) < 0)
		return 0;
	s->nodes[s->n_nodes] = (struct stacks_node){.parent = parent, .frame = frame};
	return s->n_nodes++;
}

void stacks_forget_nodes(struct stacks *s)
{
	struct stacks_table *t = &stacks_private(s)->tables[ARRAY_NODES];

	free(t->slots);
	*t = (struct stacks_table){0};
}

uint32_t stacks_task(struct stacks *s, const struct stacks_task *from)
{
	const struct stacks_task task = *from;
	const struct stacks_table *t = &stacks_private(s)->tables[ARRAY_TASKS];
	uint64_t hash;
	uint32_t at, i;

	if (task.comm >= s->n_strings || task.process >= s->n_strings ||
	    task.cgroup >= s->n_strings || table_ready(s, ARRAY_TASKS, s->n_tasks) < 0)
		return 0;
	hash = hash_task(stacks_private(s)->seed, &task);
	for (at = (uint32_t)hash & t->mask; (i = find_slot(t, &at, hash)); at = (at + 1) & t->mask)
		if (memcmp(&s->tasks[i - 1], &task, sizeof(task)) == 0)
			return i - 1;
	set_slot(t, at, hash, s->n_tasks);
	s->tasks[s->n_tasks] = task;
	return s->n_tasks++;
}

int stacks_add(struct stacks *s, const struct stacks_sample *sample)
{
	if (sample->node >= s->n_nodes || sample->task >= s->n_tasks ||
	    sample->kind >= STACKS_KINDS || sample->flags >> 4 >= STACKS_CLASSES)
		return -EINVAL;
	if (stacks_reserve(s, ARRAY_SAMPLES, (uint64_t)s->n_samples + 1) < 0)
		return -ENOMEM;
	s->samples[s->n_samples++] = *sample;
	return 0;
}

int stacks_note(struct stacks *s, const struct stacks_note *note)
{
	if (note->kind < STACKS_LOST || note->kind > STACKS_GAP)
		return -EINVAL;
	if (stacks_reserve(s, ARRAY_NOTES, (uint64_t)s->n_notes + 1) < 0)
		return -ENOMEM;
	s->notes[s->n_notes++] = *note;
	return 0;
}
