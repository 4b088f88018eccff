/*
 * A trace of ui.perfetto.dev: one packet with the clocks, one with processes and threads, one with all
 * names, frames and stacks that samples refer to by number, then a packet a sample. Times are of CLOCK_MONOTONIC.
 */
#include "export/profile_internal.h"

#include <errno.h>
#include <string.h>

enum { CPUS = UINT16_MAX + 1, SW_CPU_CLOCK = 1 };
enum { SEQUENCE = 1, CLEARED = 1, NEEDS_STATE = 2, REALTIME = 1, MONOTONIC = 3, BOOTTIME = 6 };

struct writer {
	const struct profile_set *x;
	struct emit *e;
	struct out packet, message, inner;
	bool *node_used;
	uint64_t *counts; /* by CPU: weights so far */
};

static uint64_t ns(int64_t us)
{
	return us < 0 ? 0 : (uint64_t)us * 1000;
}

/* Also when it is 0, which pb_uint() leaves out: the first CPU, the first moment. */
static void put_exactly(struct out *o, uint32_t field, uint64_t v)
{
	out_varint(o, (uint64_t)field << 3);
	out_varint(o, v);
}

static void put_packet(struct writer *w)
{
	struct out head = {0};

	if (w->packet.failed || w->message.failed || w->inner.failed)
		emit_fail(w->e, -ENOMEM);
	pb_bytes(&head, 1, NULL, 0);
	head.len--; /* the length comes instead of that 0 */
	out_varint(&head, w->packet.len);
	emit_bytes(w->e, head.p, head.len);
	emit_bytes(w->e, w->packet.p, w->packet.len);
	w->packet.len = 0;
	out_done(&head);
}

/* Moves what was gathered in `from` to a field of `to`. */
static void nest(struct out *to, uint32_t field, struct out *from)
{
	pb_bytes(to, field, from->p, from->len);
	from->len = 0;
}

static void put_clocks(struct writer *w)
{
	const struct stacks *s = w->x->s;
	const struct {
		uint32_t id;
		uint64_t at_ns;
	} clocks[] = {{REALTIME, ns(s->from_us + s->real_off_us)},
		      {MONOTONIC, ns(s->from_us)},
		      {BOOTTIME, ns(s->from_us)}};

	for (size_t i = 0; i < sizeof(clocks) / sizeof(*clocks); i++) {
		pb_uint(&w->inner, 1, clocks[i].id);
		pb_uint(&w->inner, 2, clocks[i].at_ns);
		nest(&w->message, 1, &w->inner);
	}
	pb_uint(&w->message, 2, MONOTONIC);
	pb_uint(&w->packet, 10, SEQUENCE);
	nest(&w->packet, 6, &w->message);
	put_packet(w);
}

static void put_tasks(struct writer *w)
{
	const struct stacks *s = w->x->s;
	struct idmap processes = {0};

	for (size_t i = 0; i < w->x->by_thread.n; i++) {
		const struct stacks_task *t = &s->tasks[s->samples[w->x->by_thread.rows[i]].task];
		uint32_t *seen;

		if (i && profile_same_thread(w->x, i - 1, i))
			continue;
		seen = idmap_put(&processes, t->pid, 0);
		if (seen && !*seen) {
			*seen = 1;
			pb_uint(&w->inner, 1, t->pid);
			pb_text(&w->inner, 3, stacks_text(s, t->process ? t->process : t->comm));
			nest(&w->message, 1, &w->inner);
		}
		pb_uint(&w->inner, 1, t->tid);
		pb_text(&w->inner, 2, stacks_text(s, t->comm));
		pb_uint(&w->inner, 3, t->pid);
		nest(&w->message, 2, &w->inner);
	}
	idmap_done(&processes);
	put_exactly(&w->packet, 8, ns(w->x->from_us));
	pb_uint(&w->packet, 58, MONOTONIC);
	pb_uint(&w->packet, 10, SEQUENCE);
	nest(&w->packet, 2, &w->message);
	put_packet(w);
}

/* ---- names, frames and stacks; a number is an index + 1 ---- */

static void put_string(struct writer *w, uint32_t field, uint64_t id, const char *text)
{
	pb_uint(&w->inner, 1, id);
	pb_text(&w->inner, 2, text);
	nest(&w->message, field, &w->inner);
}

static void put_modules(struct writer *w)
{
	const struct stacks *s = w->x->s;

	for (uint32_t i = 0; i < s->n_modules; i++) {
		put_string(w, 17, i + 1, stacks_text(s, s->modules[i].name));
		put_string(w, 16, i + 1, stacks_text(s, s->modules[i].build_id));
		pb_uint(&w->inner, 1, i + 1);
		pb_uint(&w->inner, 2, i + 1);
		pb_uint(&w->inner, 5, INT64_MAX);
		pb_uint(&w->inner, 7, i + 1);
		nest(&w->message, 19, &w->inner);
	}
}

static void put_frames(struct writer *w)
{
	const struct stacks *s = w->x->s;
	char name[1024];

	for (uint32_t i = 0; i < s->n_frames; i++) {
		put_string(w, 5, i + 1, stacks_frame_name(s, i, name, sizeof(name)));
		pb_uint(&w->inner, 1, i + 1);
		pb_uint(&w->inner, 2, i + 1);
		pb_uint(&w->inner, 3, (uint64_t)s->frames[i].module + 1);
		/* Must be there, and of different functions differ. */
		pb_uint(&w->inner, 4, s->frames[i].addr ? s->frames[i].addr : (uint64_t)i + 1);
		nest(&w->message, 6, &w->inner);
	}
}

static void put_stacks(struct writer *w, uint32_t *path)
{
	const struct stacks *s = w->x->s;

	for (uint32_t i = 0; i < s->n_nodes; i++) {
		size_t n;

		if (!w->node_used[i])
			continue;
		n = profile_path(s, i, path, PROFILE_DEPTH_MAX);
		pb_uint(&w->inner, 1, (uint64_t)i + 1);
		if (!n)
			pb_uint(&w->inner, 2, 1); /* "[unknown]" */
		for (size_t k = 0; k < n; k++)
			pb_uint(&w->inner, 2, (uint64_t)path[k] + 1);
		nest(&w->message, 7, &w->inner);
	}
}

/* What the samples are of: a counter that rises by each one's weight. */
static void put_defaults(struct writer *w)
{
	uint64_t bytes;
	bool counted = profile_is_counted(w->x->about, &bytes);
	const char *what = w->x->about->what;

	if (w->x->s->hz)
		pb_uint(&w->inner, 2, w->x->s->hz);
	if (w->x->filter->kind == STACKS_OFF)
		pb_text(&w->inner, 10, "off-cpu ns");
	else if (counted)
		pb_text(&w->inner, 10, what && *what ? what : w->x->about->unit);
	else
		pb_uint(&w->inner, 4, SW_CPU_CLOCK);
	nest(&w->message, 1, &w->inner);
	nest(&w->inner, 12, &w->message);
	pb_uint(&w->inner, 58, MONOTONIC);
	nest(&w->packet, 59, &w->inner);
}

static int put_interned(struct writer *w)
{
	const struct profile_set *x = w->x;
	uint32_t *path = malloc(PROFILE_DEPTH_MAX * sizeof(*path));

	w->node_used = calloc((size_t)x->s->n_nodes + 1, sizeof(*w->node_used));
	if (!path || !w->node_used) {
		free(path);
		return -ENOMEM;
	}
	for (size_t i = 0; i < x->by_time.n; i++)
		w->node_used[x->s->samples[x->by_time.rows[i]].node] = true;
	put_modules(w);
	put_frames(w);
	put_stacks(w, path);
	free(path);
	pb_uint(&w->packet, 10, SEQUENCE);
	pb_uint(&w->packet, 13, CLEARED);
	nest(&w->packet, 12, &w->message);
	put_defaults(w);
	put_packet(w);
	return 0;
}

static void put_sample(struct writer *w, const struct stacks_sample *p)
{
	const struct stacks *s = w->x->s;
	const struct stacks_task *t = &s->tasks[p->task];
	uint8_t type = s->frames[s->nodes[p->node].frame].type;
	uint64_t bytes, each = profile_is_counted(w->x->about, &bytes) ? bytes ? bytes : 1 : 1000;

	if (s->has_cpu)
		put_exactly(&w->message, 1, p->cpu);
	pb_uint(&w->message, 2, t->pid);
	pb_uint(&w->message, 3, t->tid);
	pb_uint(&w->message, 4, (uint64_t)p->node + 1);
	pb_uint(&w->message, 5, type == STACKS_KERNEL ? 1 : 2);
	w->counts[p->cpu] += p->weight_us * each;
	pb_uint(&w->message, 6, w->counts[p->cpu]);
	put_exactly(&w->packet, 8, ns(p->at_us));
	pb_uint(&w->packet, 58, MONOTONIC);
	pb_uint(&w->packet, 10, SEQUENCE);
	pb_uint(&w->packet, 13, NEEDS_STATE);
	nest(&w->packet, 66, &w->message);
	put_packet(w);
}

int profile_perfetto(const struct profile_set *x, struct emit *e)
{
	struct writer w = {.x = x, .e = e, .counts = calloc(CPUS, sizeof(*w.counts))};
	int r;

	if (!w.counts)
		return -ENOMEM;
	put_clocks(&w);
	put_tasks(&w);
	r = put_interned(&w);
	for (size_t i = 0; i < x->by_time.n && r == 0; i++)
		put_sample(&w, &x->s->samples[x->by_time.rows[i]]);
	out_done(&w.packet);
	out_done(&w.message);
	out_done(&w.inner);
	free(w.node_used);
	free(w.counts);
	return r;
}
