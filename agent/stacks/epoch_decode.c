/* Unpacks the columns of an epoch; nothing in them is believed. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "stacks/epoch_unpack.h"
#include "stacks/stacks_internal.h"

static uint32_t get_string(struct unpack *u)
{
	uint64_t v = get(&u->in);

	if (!v)
		return 0;
	if (v == 1 && u->named < u->n[COUNT_STRINGS])
		return u->named++;
	if (v < 2 || v > u->named) {
		u->in.bad = true;
		return 0;
	}
	return u->named - (uint32_t)(v - 1);
}

/* ---- counts, text ---- */

static bool counts_right(const struct unpack *u)
{
	const uint64_t *n = u->n;
	/* the fewest bytes that each takes */
	static const uint8_t least[N_COUNTS] = {
		[COUNT_STRINGS] = 1, [COUNT_MODULES] = 2, [COUNT_FRAMES] = 4,  [COUNT_EDGES] = 1,
		[COUNT_NODES] = 2,   [COUNT_TASKS] = 5,	  [COUNT_STREAMS] = 3, [COUNT_SAMPLES] = 5,
		[COUNT_NOTES] = 4,   [COUNT_TEXT] = 0,
	};
	uint64_t left = (uint64_t)(u->in.end - u->in.p) + 16, sum = 0;

	for (unsigned i = 0; i < N_COUNTS; i++) {
		if (n[i] > UINT32_MAX / 8)
			return false;
		sum += n[i] * least[i];
	}
	return sum <= left && n[COUNT_STRINGS] && n[COUNT_MODULES] && n[COUNT_FRAMES] &&
	       n[COUNT_NODES] && n[COUNT_TASKS] && n[COUNT_CPUS] <= UINT16_MAX &&
	       n[COUNT_SAMPLES] <= EPOCH_SAMPLES_MAX && n[COUNT_BITS] < 4 &&
	       n[COUNT_TEXT] <= (uint64_t)(u->in.end - u->in.p);
}

static int get_counts(struct unpack *u)
{
	static const enum stacks_array arrays[N_COUNTS] = {
		[COUNT_MODULES] = ARRAY_MODULES, [COUNT_FRAMES] = ARRAY_FRAMES,
		[COUNT_NODES] = ARRAY_NODES,	 [COUNT_TASKS] = ARRAY_TASKS,
		[COUNT_SAMPLES] = ARRAY_SAMPLES, [COUNT_NOTES] = ARRAY_NOTES,
	};
	struct stacks *s = u->s;

	for (unsigned i = 0; i < N_COUNTS; i++)
		u->n[i] = get(&u->in);
	if (u->in.bad || !counts_right(u))
		return -EBADMSG;
	for (unsigned i = 0; i < N_COUNTS; i++)
		if ((arrays[i] != ARRAY_STRINGS || i == COUNT_STRINGS) &&
		    stacks_size(s, arrays[i], u->n[i]) < 0)
			return -ENOMEM;
	if (stacks_size(s, ARRAY_TEXT, u->n[COUNT_TEXT] + 1) < 0)
		return -ENOMEM;
	s->n_cpus = (uint16_t)u->n[COUNT_CPUS];
	s->has_cpu = (u->n[COUNT_BITS] & EPOCH_HAS_CPU) != 0;
	s->has_time = (u->n[COUNT_BITS] & EPOCH_HAS_TIME) != 0;
	return 0;
}

static int get_text(struct unpack *u)
{
	uint32_t n = (uint32_t)u->n[COUNT_STRINGS];
	size_t len = u->n[COUNT_TEXT], at = 0;
	struct stacks *s = u->s;
	char *text = (char *)(uintptr_t)s->text;

	text[0] = 0;
	if (len)
		memcpy(text + 1, u->in.p, len);
	u->in.p += len;
	s->strings[0] = 0;
	for (uint32_t i = 1; i < n; i++) {
		const char *end = at < len ? memchr(text + 1 + at, 0, len - at) : NULL;

		if (!end || end == text + 1 + at)
			return -EBADMSG;
		s->strings[i] = (uint32_t)at + 1;
		at = (size_t)(end - text);
	}
	if (at != len)
		return -EBADMSG;
	s->n_strings = n;
	u->named = 1;
	stacks_adopt(s, (uint32_t)len + 1);
	return 0;
}

/* ---- modules, frames, tasks ---- */

static void get_modules(struct unpack *u)
{
	struct stacks *s = u->s;

	s->n_modules = (uint32_t)u->n[COUNT_MODULES];
	s->modules[0] = (struct stacks_module){0};
	for (uint32_t i = 1; i < s->n_modules; i++) {
		s->modules[i].name = get_string(u);
		s->modules[i].build_id = get_string(u);
	}
}

static uint32_t get_off(struct unpack *u, bool *known)
{
	uint64_t v = get(&u->in);

	*known = v != 0;
	if (v > UINT32_MAX)
		u->in.bad = true;
	return v ? (uint32_t)(v - 1) : 0;
}

static void get_places(struct unpack *u)
{
	struct stacks *s = u->s;
	uint32_t n = (uint32_t)u->n[COUNT_FRAMES];
	bool known;

	for (uint32_t i = 1; i < n; i++) {
		s->frames[i].self.off = get_off(u, &known);
		s->frames[i].self.votes = known;
	}
	for (uint32_t i = 1; i < n; i++) {
		s->frames[i].call.off = get_off(u, &known);
		s->frames[i].call.votes = known;
	}
	for (uint32_t i = 1; i < n; i++) {
		struct stacks_frame *f = &s->frames[i];
		uint8_t both = get_byte(&u->in);
		unsigned self = both & 15, call = both >> 4;

		if (f->self.votes != (self != 0) || f->call.votes != (call != 0))
			u->in.bad = true;
		f->self.votes = f->self.here = (uint16_t)(self ? 1u << (self - 1) : 0);
		f->call.votes = f->call.here = (uint16_t)(call ? 1u << (call - 1) : 0);
	}
}

static void get_frames(struct unpack *u)
{
	struct stacks *s = u->s;
	uint32_t n = (uint32_t)u->n[COUNT_FRAMES], module = 0;
	uint64_t addr = 0;

	if (n > 1)
		memset(s->frames + 1, 0, (n - 1) * sizeof(*s->frames));
	for (uint32_t i = 1; i < n; i++)
		s->frames[i].module = module = get_moved(&u->in, module, s->n_modules);
	module = 0;
	for (uint32_t i = 1; i < n; i++) {
		if (s->frames[i].module != module)
			addr = 0;
		module = s->frames[i].module;
		addr += (uint64_t)get_signed(&u->in);
		s->frames[i].addr = addr;
	}
	s->frames[0] = (struct stacks_frame){0};
	for (uint32_t i = 0; i < n; i++)
		s->frames[i].name = get_string(u);
	for (uint32_t i = 1; i < n; i++) {
		uint8_t bits = get_byte(&u->in);

		s->frames[i].type = bits & (EPOCH_MISSED - 1);
		s->frames[i].missed = (bits & EPOCH_MISSED) != 0;
		if (bits >= 2 * EPOCH_MISSED || s->frames[i].type >= STACKS_TYPES)
			u->in.bad = true;
	}
	if (u->version >= EPOCH_VERSION_PLACES)
		get_places(u);
	s->n_frames = n;
}

static void get_tasks(struct unpack *u)
{
	struct stacks *s = u->s;
	uint32_t n = (uint32_t)u->n[COUNT_TASKS];

	s->tasks[0] = (struct stacks_task){0};
	for (uint32_t i = 1; i < n; i++)
		s->tasks[i].pid = get_u32(&u->in, s->tasks[i - 1].pid);
	for (uint32_t i = 1; i < n; i++)
		s->tasks[i].tid = get_u32(&u->in, s->tasks[i].pid);
	for (uint32_t i = 1; i < n; i++)
		s->tasks[i].comm = get_string(u);
	for (uint32_t i = 1; i < n; i++)
		s->tasks[i].process = get_string(u);
	for (uint32_t i = 1; i < n; i++)
		s->tasks[i].cgroup = get_string(u);
	s->n_tasks = n;
}

/* ---- the trie ---- */

/* Callees of all frames; starts[f]..starts[f + 1] are those of f. No caller has one twice. */
static int get_edges(struct unpack *u, uint32_t *starts, uint32_t *callees, uint32_t *seen)
{
	uint32_t n_frames = u->s->n_frames;
	uint64_t sum = 0;

	for (uint32_t i = 0; i < n_frames; i++) {
		starts[i] = (uint32_t)sum;
		sum += get(&u->in);
		if (sum > u->n[COUNT_EDGES])
			return -EBADMSG;
	}
	starts[n_frames] = (uint32_t)sum;
	if (sum != u->n[COUNT_EDGES])
		return -EBADMSG;
	for (uint32_t i = 0; i < n_frames; i++)
		for (uint32_t k = starts[i]; k < starts[i + 1]; k++) {
			callees[k] = get_moved(&u->in, i, n_frames);
			if (seen[callees[k]] == i + 1)
				u->in.bad = true;
			seen[callees[k]] = i + 1;
		}
	return u->in.bad ? -EBADMSG : 0;
}

/* ranks[i] first holds how many levels up the parent is, then the node's rank among callees. */
static int get_nodes(struct unpack *u, const uint32_t *starts, const uint32_t *callees,
		     uint32_t *ranks)
{
	struct stacks_node *nodes = u->s->nodes;
	uint32_t n = (uint32_t)u->n[COUNT_NODES];

	nodes[0] = (struct stacks_node){0};
	ranks[0] = 0;
	for (uint32_t i = 1; i < n; i++) {
		uint64_t up = get(&u->in);

		if (u->in.bad || up >= n || (i == 1 && up))
			return -EBADMSG;
		ranks[i] = (uint32_t)up;
	}
	for (uint32_t i = 1; i < n; i++) {
		uint32_t parent = i - 1, sibling = 0, caller;
		uint64_t rank = get(&u->in);

		for (uint32_t up = ranks[i]; up > 0; up--) {
			if (!parent)
				return -EBADMSG;
			sibling = parent;
			parent = nodes[parent].parent;
		}
		if (sibling)
			rank += ranks[sibling] + 1ull;
		caller = nodes[parent].frame;
		if (u->in.bad || rank >= starts[caller + 1] - starts[caller])
			return -EBADMSG;
		ranks[i] = (uint32_t)rank;
		nodes[i].parent = parent;
		nodes[i].frame = callees[starts[caller] + rank];
	}
	u->s->n_nodes = n;
	return 0;
}

static int get_trie(struct unpack *u)
{
	size_t n = 2 * (size_t)u->s->n_frames + 1 + u->n[COUNT_EDGES] + u->n[COUNT_NODES];
	uint32_t *starts = calloc(n, sizeof(*starts)), *seen, *callees, *ranks;
	int r;

	if (!starts)
		return -ENOMEM;
	seen = starts + u->s->n_frames + 1;
	callees = seen + u->s->n_frames;
	ranks = callees + u->n[COUNT_EDGES];
	r = get_edges(u, starts, callees, seen);
	if (r >= 0)
		r = get_nodes(u, starts, callees, ranks);
	free(starts);
	return r;
}

int epoch_unpack(const uint8_t *plain, size_t len, uint32_t version, struct stacks *to)
{
	struct unpack u = {.in = {.p = plain, .end = plain + len}, .version = version, .s = to};
	int r = get_counts(&u);

	if (r >= 0)
		r = get_text(&u);
	if (r < 0)
		return r;
	get_modules(&u);
	get_frames(&u);
	r = u.in.bad ? -EBADMSG : get_trie(&u);
	if (r < 0)
		return r;
	get_tasks(&u);
	if (u.in.bad)
		return -EBADMSG;
	u.streams = malloc((u.n[COUNT_STREAMS] + 1) * sizeof(*u.streams));
	u.samples = malloc((u.n[COUNT_SAMPLES] + 1) * sizeof(*u.samples));
	r = u.streams && u.samples ? epoch_get_samples(&u) : -ENOMEM;
	if (r >= 0 && u.named != u.n[COUNT_STRINGS])
		r = -EBADMSG;
	free(u.streams);
	free(u.samples);
	return r;
}
