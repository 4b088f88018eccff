/* Unpacks the columns of an epoch; nothing in them is believed. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "profile/epoch_internal.h"
#include "profile/stacks_internal.h"

struct in {
	const uint8_t *p, *end;
	bool bad;
};

struct unpack {
	struct in in;
	struct stacks *s;
	uint64_t n[N_COUNTS];
	uint32_t named;		       /* strings that were, "" among them */
	uint32_t *streams;	       /* ends of their parts of the samples */
	struct stacks_sample *samples; /* stream after stream */
};

static uint64_t get(struct in *in)
{
	uint64_t v = 0;

	if (!varint_get(&in->p, in->end, &v))
		in->bad = true;
	return v;
}

static int64_t get_signed(struct in *in)
{
	return zigzag_decode(get(in));
}

static uint8_t get_byte(struct in *in)
{
	if (in->p == in->end) {
		in->bad = true;
		return 0;
	}
	return *in->p++;
}

/* `before` moved by a signed one; bad and 0 where that is not below n. */
static uint32_t get_moved(struct in *in, uint32_t before, uint64_t n)
{
	uint64_t v = (uint64_t)before + (uint64_t)get_signed(in);

	if (v >= n) {
		in->bad = true;
		return 0;
	}
	return (uint32_t)v;
}

static int64_t get_time(struct in *in, int64_t before_us)
{
	uint64_t v = (uint64_t)before_us + (uint64_t)get_signed(in);

	if (v + EPOCH_TIME_MAX > 2 * (uint64_t)EPOCH_TIME_MAX) {
		in->bad = true;
		return 0;
	}
	return (int64_t)v;
}

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

static void get_frames(struct unpack *u)
{
	struct stacks *s = u->s;
	uint32_t n = (uint32_t)u->n[COUNT_FRAMES], module = 0;
	uint64_t addr = 0;

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
	s->n_frames = n;
}

static uint32_t get_u32(struct in *in, uint32_t before)
{
	return get_moved(in, before, (uint64_t)UINT32_MAX + 1);
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

/* ---- samples ---- */

static int get_streams(struct unpack *u)
{
	uint64_t sum = 0;

	for (uint32_t k = 0; k < u->n[COUNT_STREAMS]; k++) {
		uint64_t kind = get(&u->in), cpu = get(&u->in), n = get(&u->in);

		if (u->in.bad || kind >= STACKS_KINDS || cpu > UINT16_MAX || !n ||
		    n > u->n[COUNT_SAMPLES] - sum)
			return -EBADMSG;
		for (uint64_t i = sum; i < sum + n; i++)
			u->samples[i] =
				(struct stacks_sample){.kind = (uint8_t)kind, .cpu = (uint16_t)cpu};
		sum += n;
		u->streams[k] = (uint32_t)sum;
	}
	return sum == u->n[COUNT_SAMPLES] ? 0 : -EBADMSG;
}

static void get_times(struct unpack *u)
{
	for (uint32_t k = 0, i = 0; k < u->n[COUNT_STREAMS]; k++) {
		int64_t step_us = epoch_step_us(u->s, u->samples[i].kind), at_us = u->s->from_us;

		for (; i < u->streams[k]; i++)
			u->samples[i].at_us = at_us = get_time(&u->in, at_us + step_us);
	}
}

static void get_task_numbers(struct unpack *u)
{
	uint32_t named = 1;

	for (uint32_t k = 0, i = 0; k < u->n[COUNT_STREAMS]; k++)
		for (uint32_t first = i; i < u->streams[k]; i++) {
			uint64_t v = get(&u->in);
			uint32_t *to = &u->samples[i].task;

			if (!v && i > first)
				*to = u->samples[i - 1].task;
			else if (v == 1 && named < u->s->n_tasks)
				*to = named++;
			else if (v >= 2 && v - 1 <= named)
				*to = named - (uint32_t)(v - 1);
			else
				u->in.bad = true;
		}
}

static int get_sample_nodes(struct unpack *u)
{
	const struct stacks *s = u->s;
	uint32_t *of_task = malloc((s->n_tasks + (size_t)s->n_strings) * sizeof(*of_task));
	uint32_t *of_comm = of_task + s->n_tasks;

	if (!of_task)
		return -ENOMEM;
	memset(of_task, 0xff, s->n_tasks * sizeof(*of_task));
	memset(of_comm, 0, s->n_strings * sizeof(*of_comm));
	for (uint32_t i = 0; i < u->n[COUNT_SAMPLES]; i++) {
		struct stacks_sample *to = &u->samples[i];
		uint32_t comm = s->tasks[to->task].comm, before = of_task[to->task];

		to->node = get_moved(&u->in, before == UINT32_MAX ? of_comm[comm] : before,
				     s->n_nodes);
		of_task[to->task] = of_comm[comm] = to->node;
	}
	free(of_task);
	return 0;
}

static void get_weights(struct unpack *u)
{
	for (uint32_t k = 0, i = 0; k < u->n[COUNT_STREAMS]; k++) {
		uint32_t weight_us = 0;

		for (; i < u->streams[k]; i++) {
			bool moved = u->samples[i].kind == STACKS_CPU;
			uint64_t v = moved ? get_u32(&u->in, weight_us) : get(&u->in);

			u->in.bad |= v > UINT32_MAX;
			u->samples[i].weight_us = weight_us = (uint32_t)v;
		}
	}
	for (uint32_t i = 0; i < u->n[COUNT_SAMPLES]; i++) {
		uint8_t flags = get_byte(&u->in);

		u->in.bad |= flags >> 4 >= STACKS_CLASSES;
		u->samples[i].flags = flags;
	}
}

static void get_notes(struct unpack *u)
{
	int64_t at_us = u->s->from_us;

	for (uint64_t i = 0; i < u->n[COUNT_NOTES]; i++) {
		struct stacks_note n = {.at_us = at_us = get_time(&u->in, at_us)};
		uint64_t cpu, kind;

		n.n = get(&u->in);
		cpu = get(&u->in);
		kind = get(&u->in);
		n.cpu = (uint16_t)cpu;
		n.kind = (uint8_t)kind;
		if (u->in.bad || cpu > UINT16_MAX || kind < STACKS_LOST || kind > STACKS_GAP) {
			u->in.bad = true;
			return;
		}
		u->s->notes[u->s->n_notes++] = n;
	}
}

/* ---- in order of time ---- */

/* Streams by their next sample: a heap, the earliest on top, of equal ones the first stream. */
struct heap {
	struct {
		int64_t at_us;
		uint32_t stream, next;
	} * v;
	uint32_t n;
};

static void sift_down(struct heap *h, uint32_t i)
{
	for (;;) {
		uint32_t least = i;

		for (uint32_t c = 2 * i + 1; c <= 2 * i + 2 && c < h->n; c++)
			if (h->v[c].at_us < h->v[least].at_us ||
			    (h->v[c].at_us == h->v[least].at_us &&
			     h->v[c].stream < h->v[least].stream))
				least = c;
		if (least == i)
			return;
		__typeof__(*h->v) swap = h->v[i];

		h->v[i] = h->v[least];
		h->v[least] = swap;
		i = least;
	}
}

static int order_samples(struct unpack *u)
{
	struct heap h = {.n = (uint32_t)u->n[COUNT_STREAMS]};
	struct stacks *s = u->s;

	h.v = malloc((h.n + 1) * sizeof(*h.v));
	if (!h.v)
		return -ENOMEM;
	for (uint32_t k = 0, at = 0; k < h.n; at = u->streams[k++]) {
		h.v[k].at_us = u->samples[at].at_us;
		h.v[k].stream = k;
		h.v[k].next = at;
	}
	for (uint32_t i = h.n / 2; i-- > 0;)
		sift_down(&h, i);
	while (h.n) {
		s->samples[s->n_samples++] = u->samples[h.v[0].next++];
		if (h.v[0].next == u->streams[h.v[0].stream])
			h.v[0] = h.v[--h.n];
		else
			h.v[0].at_us = u->samples[h.v[0].next].at_us;
		sift_down(&h, 0);
	}
	free(h.v);
	return 0;
}

static int get_samples(struct unpack *u)
{
	int r = get_streams(u);

	if (r < 0)
		return r;
	get_times(u);
	get_task_numbers(u);
	r = u->in.bad ? -EBADMSG : get_sample_nodes(u);
	if (r < 0)
		return r;
	get_weights(u);
	get_notes(u);
	if (u->in.bad || u->in.p != u->in.end)
		return -EBADMSG;
	return order_samples(u);
}

int epoch_unpack(const uint8_t *plain, size_t len, struct stacks *to)
{
	struct unpack u = {.in = {.p = plain, .end = plain + len}, .s = to};
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
	r = u.streams && u.samples ? get_samples(&u) : -ENOMEM;
	if (r >= 0 && u.named != u.n[COUNT_STRINGS])
		r = -EBADMSG;
	free(u.streams);
	free(u.samples);
	return r;
}
