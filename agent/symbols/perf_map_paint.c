#include "symbols/perf_map_paint.h"

#include <stdbool.h>
#include <stdlib.h>

/* What is under the brush: ordered so that the newest is on top. */
struct active {
	uint64_t start, end, order;
	uint32_t name;
};

struct painter {
	struct active *heap;
	size_t n, cap;
	bool failed;
	struct piece *out;
	size_t n_out;
};

static void push(struct painter *p, struct active a)
{
	if (p->n == p->cap) {
		size_t cap = p->cap ? 2 * p->cap : 64;
		void *heap = realloc(p->heap, cap * sizeof(*p->heap));

		if (!heap) {
			p->failed = true;
			return;
		}
		p->heap = heap;
		p->cap = cap;
	}
	size_t i = p->n++;

	for (; i && p->heap[(i - 1) / 2].order < a.order; i = (i - 1) / 2)
		p->heap[i] = p->heap[(i - 1) / 2];
	p->heap[i] = a;
}

static void pop(struct painter *p)
{
	struct active last = p->heap[--p->n];
	size_t i = 0;

	for (;;) {
		size_t child = 2 * i + 1;

		if (child >= p->n)
			break;
		if (child + 1 < p->n && p->heap[child + 1].order > p->heap[child].order)
			child++;
		if (p->heap[child].order <= last.order)
			break;
		p->heap[i] = p->heap[child];
		i = child;
	}
	p->heap[i] = last;
}

static void emit(struct painter *p, const struct active *a, uint64_t from, uint64_t to)
{
	struct piece *last = p->n_out ? &p->out[p->n_out - 1] : NULL;

	/* Something older began and ended beneath it. */
	if (last && last->start + last->len == from && last->start - last->before == a->start &&
	    last->name == a->name) {
		last->len += (uint32_t)(to - from);
		return;
	}
	p->out[p->n_out++] = (struct piece){
		.start = from,
		.len = (uint32_t)(to - from),
		.before = (uint32_t)(from - a->start),
		.name = a->name,
	};
}

/* Paints [from, to) with what is active there. */
static void advance(struct painter *p, uint64_t from, uint64_t to)
{
	while (p->n && from < to) {
		const struct active *top = &p->heap[0];

		if (top->end <= from) {
			pop(p);
			continue;
		}
		uint64_t until = top->end < to ? top->end : to;

		emit(p, top, from, until);
		from = until;
	}
}

struct ordered {
	struct stroke s;
	size_t order;
};

static int by_start(const void *a, const void *b)
{
	const struct ordered *x = a, *y = b;

	if (x->s.start != y->s.start)
		return x->s.start < y->s.start ? -1 : 1;
	return (x->order > y->order) - (x->order < y->order);
}

size_t paint_room(size_t n_pieces, size_t n_strokes)
{
	return n_pieces + 2 * n_strokes;
}

static void paint_all(struct painter *p, const struct piece *pieces, size_t n_pieces,
		      const struct ordered *strokes, size_t n_strokes)
{
	uint64_t at = 0;

	for (size_t i = 0, k = 0; i < n_pieces || k < n_strokes;) {
		struct active a;

		if (i < n_pieces && (k == n_strokes || pieces[i].start <= strokes[k].s.start)) {
			const struct piece *old = &pieces[i++];

			a = (struct active){
				.start = old->start - old->before,
				.end = old->start + old->len,
				.name = old->name,
			};
			advance(p, at, old->start);
			at = old->start;
		} else {
			const struct ordered *new = &strokes[k++];

			a = (struct active){
				.start = new->s.start,
				.end = new->s.start + new->s.len,
				.order = new->order + 1,
				.name = new->s.name,
			};
			advance(p, at, new->s.start);
			at = new->s.start;
		}
		push(p, a);
	}
	advance(p, at, UINT64_MAX);
}

size_t paint(const struct piece *pieces, size_t n_pieces, const struct stroke *strokes,
	     size_t n_strokes, struct piece *out)
{
	struct ordered *sorted = malloc((n_strokes + 1) * sizeof(*sorted));
	struct painter p = {.out = out, .failed = !sorted};

	for (size_t i = 0; sorted && i < n_strokes; i++)
		sorted[i] = (struct ordered){.s = strokes[i], .order = i};
	if (sorted) {
		qsort(sorted, n_strokes, sizeof(*sorted), by_start);
		paint_all(&p, pieces, n_pieces, sorted, n_strokes);
	}
	free(sorted);
	free(p.heap);
	return p.failed ? SIZE_MAX : p.n_out;
}
