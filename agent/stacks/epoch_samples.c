/* Unpacks the samples of an epoch, and puts them in order of time. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "stacks/epoch_unpack.h"

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

int epoch_get_samples(struct unpack *u)
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
