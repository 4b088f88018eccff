/* Trees of stacks: which samples go in, and under which node. */
#include "stacks/fold.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "stacks/fold_internal.h"

enum { NODES_DEFAULT = 200000, NODES_BETWEEN = 1 << 20, DENSE = 16, AHEAD = 24, FEW = 64 };

/* One sample's weight on its way into the tree. */
struct entry {
	uint32_t node, task, weight_us, side;
};

/* ---- what there is about a range ---- */

static uint64_t overlap_us(const struct stacks_range *r, int64_t from_us, int64_t to_us)
{
	if (from_us < r->from_us)
		from_us = r->from_us;
	if (to_us > r->to_us)
		to_us = r->to_us;
	return from_us < to_us ? (uint64_t)(to_us - from_us) : 0;
}

static void add_hz(struct fold_sum *sum, uint64_t hz)
{
	if (!hz || hz > UINT32_MAX)
		return;
	if (!sum->hz_min || hz < sum->hz_min)
		sum->hz_min = (uint32_t)hz;
	if (hz > sum->hz_max)
		sum->hz_max = (uint32_t)hz;
}

static void add_notes(struct fold_sum *sum, const struct stacks *s, const struct stacks_range *r,
		      int32_t cpu)
{
	struct stacks_range both = {s->from_us > r->from_us ? s->from_us : r->from_us,
				    s->to_us < r->to_us ? s->to_us : r->to_us};
	int64_t newest_us = INT64_MIN;
	uint64_t hz = s->hz;

	if (both.from_us >= both.to_us)
		return;
	sum->covered_us += (uint64_t)(both.to_us - both.from_us);
	for (uint32_t i = 0; i < s->n_notes; i++) {
		const struct stacks_note *n = &s->notes[i];
		bool in = n->at_us >= both.from_us && n->at_us < both.to_us;

		if (n->kind == STACKS_HZ && n->at_us <= both.from_us && n->at_us >= newest_us) {
			newest_us = n->at_us;
			hz = n->n;
		} else if (n->kind == STACKS_HZ && in) {
			add_hz(sum, n->n);
		} else if (n->kind == STACKS_GAP && n->n < INT64_MAX / 4) {
			uint64_t gap = overlap_us(&both, n->at_us - (int64_t)n->n, n->at_us);

			sum->covered_us -= gap < sum->covered_us ? gap : sum->covered_us;
		}
		if (!in || (cpu >= 0 && n->cpu != cpu))
			continue;
		sum->lost += n->kind == STACKS_LOST ? n->n : 0;
		sum->throttled += n->kind == STACKS_THROTTLED ? n->n : 0;
	}
	add_hz(sum, hz);
}

/* ---- gathering ---- */

/* Where samples go: to their nodes' weights, or to a list. */
struct sink {
	uint64_t *weights[2]; /* by side and node; NULL: to the list */
	struct entry *v;
	uint32_t n, cap;
};

static int put_entry(struct sink *to, const struct entry *entry)
{
	if (to->n == to->cap) {
		uint32_t cap = to->cap ? to->cap * 2 : 4096;
		struct entry *grown = realloc(to->v, cap * sizeof(*grown));

		if (!grown)
			return -ENOMEM;
		to->v = grown;
		to->cap = cap;
	}
	to->v[to->n++] = *entry;
	return 0;
}

static void add_sample(struct fold_sum *sum, const struct stacks_sample *s, uint32_t weight_us,
		       uint32_t count)
{
	sum->n += count;
	sum->weight_us += weight_us;
	sum->shallow += s->flags & STACKS_SHALLOW ? count : 0;
	sum->truncated += s->flags & STACKS_TRUNCATED ? count : 0;
}

/* The samples that may count. Where nobody knows when they were, all of them are in the first
 * range. */
static const struct stacks_range *find_samples(const struct fold *f, const struct stacks *s,
					       const struct stacks_range *r, uint32_t *first,
					       uint32_t *end)
{
	static const struct stacks_range all = {INT64_MIN, INT64_MAX};

	if (s->has_time) {
		samples_find(s, f->request.filter.kind, r->from_us, r->to_us, first, end);
		return r;
	}
	*first = 0;
	*end = r == f->request.ranges ? s->n_samples : 0;
	return &all;
}

static int gather_range(struct fold *f, const struct stacks *s, const struct filter *filter,
			unsigned side, const struct stacks_range *r, struct sink *to)
{
	uint32_t i, end;
	bool any;

	for (r = find_samples(f, s, r, &i, &end); i < end; i++) {
		const struct stacks_sample *sample = &s->samples[i];
		struct entry e = {.node = sample->node, .task = sample->task, .side = side};

		if (to->weights[0] && end - i > AHEAD)
			__builtin_prefetch(&to->weights[side][sample[AHEAD].node], 1);
		if (!filter_has(filter, sample))
			continue;
		e.weight_us = sample_weight(r, sample, &any);
		if (!any)
			continue;
		add_sample(&f->sum[side], sample, e.weight_us, stacks_count(s, i));
		if (to->weights[0])
			to->weights[side][e.node] += e.weight_us;
		else if (put_entry(to, &e) < 0)
			return -ENOMEM;
	}
	return 0;
}

static int gather(struct fold *f, const struct stacks *s, struct sink *to)
{
	const struct fold_request *q = &f->request;
	struct filter filter;
	int r = filter_open(&filter, &q->filter, s);

	if (r < 0)
		return r;
	for (size_t i = 0; r >= 0 && i < q->n_ranges; i++) {
		add_notes(&f->sum[0], s, &q->ranges[i], q->filter.cpu);
		r = gather_range(f, s, &filter, 0, &q->ranges[i], to);
	}
	for (size_t i = 0; r >= 0 && i < q->n_base; i++) {
		add_notes(&f->sum[1], s, &q->base[i], q->filter.cpu);
		r = gather_range(f, s, &filter, 1, &q->base[i], to);
	}
	filter_close(&filter);
	return r;
}

/* At most so many samples of the set count. */
static uint64_t count_about(const struct fold *f, const struct stacks *s)
{
	const struct fold_request *q = &f->request;
	uint32_t first, end;
	uint64_t n = 0;

	for (size_t i = 0; i < q->n_ranges + q->n_base; i++) {
		find_samples(f, s, i < q->n_ranges ? &q->ranges[i] : &q->base[i - q->n_ranges],
			     &first, &end);
		n += end - first;
	}
	return n;
}

/* ---- all nodes at once ---- */

static int add_dense(struct fold *f, const struct stacks *s)
{
	struct fold_part part = {.from = s, .n = s->n_nodes, .most = f->request.max_nodes};
	struct sink to = {.n = 0};
	int r = 0;

	for (unsigned k = 0; k < f->n_sides; k++) {
		to.weights[k] = fold_alloc_zeroed(s->n_nodes * sizeof(**to.weights));
		r = to.weights[k] ? r : -ENOMEM;
		part.weights[k] = to.weights[k];
	}
	if (f->request.elided)
		part.most = UINT32_MAX;
	part.alone = f->names.own->n_nodes == 1;
	if (r >= 0)
		r = gather(f, s, &to);
	if (r >= 0)
		r = fold_merge(f, &part);
	if (part.alone)
		stacks_forget_nodes(f->names.own);
	free(to.weights[0]);
	free(to.weights[1]);
	return r;
}

/* ---- task by task, and few samples ---- */

/* Entries sorted by the node that their task has in the tree, of equal ones in the order they
 * came. */
static int sort_entries(struct fold *f, const struct stacks *s, struct sink *e)
{
	uint32_t *nodes = calloc(s->n_tasks, sizeof(*nodes)), *ends, sum = 0;
	struct entry *sorted = malloc((e->n + 1) * sizeof(*sorted));
	int r = nodes && sorted ? 0 : -ENOMEM;

	for (uint32_t i = 0; r >= 0 && i < e->n; i++) {
		uint32_t task = e->v[i].task;

		if (!nodes[task])
			nodes[task] = fold_task_node(f, s, task);
		e->v[i].task = nodes[task];
		r = nodes[task] == UINT32_MAX ? -ENOMEM : 0;
	}
	free(nodes);
	ends = r >= 0 ? calloc(f->names.own->n_nodes, sizeof(*ends)) : NULL;
	if (ends) {
		for (uint32_t i = 0; i < e->n; i++)
			ends[e->v[i].task]++;
		for (uint32_t i = 0; i < f->names.own->n_nodes; i++)
			ends[i] = sum += ends[i];
		for (uint32_t i = e->n; i-- > 0;)
			sorted[--ends[e->v[i].task]] = e->v[i];
		memcpy(e->v, sorted, e->n * sizeof(*sorted));
	}
	free(sorted);
	r = ends ? 0 : -ENOMEM;
	free(ends);
	return r;
}

/* Samples of one task after the other, with what is needed for the nodes that one has. */
struct walk {
	struct fold *f;
	struct fold_part part;
	uint64_t *bits; /* by node: it has a weight, or one below it has */
	uint32_t *list, cap_list;
};

static bool walk_open(struct walk *w)
{
	const struct stacks *s = w->part.from;

	w->bits = calloc(s->n_nodes / 64 + 1, sizeof(*w->bits));
	for (unsigned k = 0; k < w->f->n_sides; k++) {
		w->part.weights[k] = calloc(s->n_nodes, sizeof(uint64_t));
		if (!w->part.weights[k])
			return false;
	}
	return w->bits != NULL;
}

static void walk_close(struct walk *w)
{
	free(w->part.weights[0]);
	free(w->part.weights[1]);
	free(w->bits);
	free(w->list);
}

static void mark(struct walk *w, const struct entry *e)
{
	const struct stacks_node *nodes = w->part.from->nodes;

	w->part.weights[e->side][e->node] += e->weight_us;
	for (uint32_t i = e->node; i && !(w->bits[i / 64] >> i % 64 & 1); i = nodes[i].parent) {
		w->bits[i / 64] |= UINT64_C(1) << i % 64;
		w->part.n++;
	}
}

/* The marked nodes, rising; the marks are gone. */
static int list_marked(struct walk *w)
{
	uint32_t n = 0;

	if (w->part.n >= w->cap_list) {
		uint32_t cap = w->part.n + 1024, *grown = realloc(w->list, cap * sizeof(*grown));

		if (!grown)
			return -ENOMEM;
		w->list = grown;
		w->cap_list = cap;
	}
	for (uint32_t k = 0; n < w->part.n; k++)
		for (; w->bits[k]; w->bits[k] &= w->bits[k] - 1)
			w->list[n++] = k * 64 + (uint32_t)__builtin_ctzll(w->bits[k]);
	w->part.list = w->list;
	return 0;
}

/* Entries of one task. */
static int add_task(struct walk *w, const struct entry *e, uint32_t n, uint32_t of)
{
	uint64_t most = w->f->request.max_nodes;
	bool all;
	int r;

	w->part.n = 0;
	for (uint32_t i = 0; i < n; i++)
		mark(w, &e[i]);
	/* All of it, as long as all of the tree has room. */
	all = w->f->request.elided || w->f->names.own->n_nodes + (uint64_t)w->part.n <= most;
	w->part.most = all ? UINT32_MAX : (uint32_t)(most * n / of) + FEW;
	r = list_marked(w);
	if (r >= 0)
		r = fold_merge(w->f, &w->part);
	for (unsigned k = 0; k < w->f->n_sides; k++) {
		w->part.weights[k][0] = 0;
		for (uint32_t i = 0; i < w->part.n; i++)
			w->part.weights[k][w->list[i]] = 0;
	}
	return r;
}

static int add_tasks(struct fold *f, const struct stacks *s, struct sink *e)
{
	struct walk w = {.f = f, .part = {.from = s}};
	bool grouped = f->request.by_process || f->request.by_thread;
	uint32_t n_before = f->names.own->n_nodes, end;
	int r = grouped ? sort_entries(f, s, e) : 0;

	if (!walk_open(&w))
		r = -ENOMEM;
	for (uint32_t i = 0; r >= 0 && i < e->n; i = end) {
		w.part.to = grouped ? e->v[i].task : 0;
		w.part.alone = w.part.to >= n_before;
		for (end = i + 1; end < e->n && (!grouped || e->v[end].task == w.part.to);)
			end++;
		r = add_task(&w, e->v + i, end - i, e->n);
	}
	stacks_forget_nodes(f->names.own);
	walk_close(&w);
	return r;
}

/* ---- the whole ---- */

static uint64_t span_us(const struct stacks_range *r, size_t n)
{
	uint64_t sum = 0;

	for (size_t i = 0; i < n; i++)
		sum += (uint64_t)(r[i].to_us - r[i].from_us);
	return sum;
}

static bool ranges_right(const struct stacks_range *r, size_t n)
{
	for (size_t i = 0; i < n && i < FOLD_RANGES_MAX; i++)
		if (r[i].from_us > r[i].to_us || r[i].from_us < INT64_MIN / 4 ||
		    r[i].to_us > INT64_MAX / 4)
			return false;
	return n <= FOLD_RANGES_MAX;
}

int fold_begin(struct fold **ret, const struct fold_request *q)
{
	struct fold *f;

	if (!q->n_ranges || !ranges_right(q->ranges, q->n_ranges) ||
	    !ranges_right(q->base, q->n_base) || q->filter.kind >= STACKS_KINDS ||
	    (q->elided && !q->n_base))
		return -EINVAL;
	f = calloc(1, sizeof(*f));
	if (!f)
		return -ENOMEM;
	f->request = *q;
	f->n_sides = q->n_base ? 2 : 1;
	if (!q->max_nodes || q->max_nodes > INT32_MAX / 8)
		f->request.max_nodes = NODES_DEFAULT;
	f->sum[0].span_us = span_us(q->ranges, q->n_ranges);
	f->sum[1].span_us = span_us(q->base, q->n_base);
	if (filter_copy(&f->request.filter, &q->filter) < 0 || names_open(&f->names) < 0 ||
	    fold_reserve(f, 1) < 0) {
		fold_abort(f);
		return -ENOMEM;
	}
	*ret = f;
	return 0;
}

static bool within(const struct stacks_range *r, int64_t from_us, int64_t to_us, bool *some)
{
	bool in = from_us - STACKS_LATE_US >= r->from_us && to_us + STACKS_LATE_US <= r->to_us;

	*some |= in;
	return in || from_us - STACKS_LATE_US >= r->to_us || to_us + STACKS_LATE_US <= r->from_us;
}

bool fold_takes_sum(const struct fold_request *q, int64_t from_us, int64_t to_us)
{
	bool some = false;

	if (q->filter.kind != STACKS_CPU || q->filter.cpu >= 0)
		return false;
	for (size_t i = 0; i < q->n_ranges; i++)
		if (!within(&q->ranges[i], from_us, to_us, &some))
			return false;
	for (size_t i = 0; i < q->n_base; i++)
		if (!within(&q->base[i], from_us, to_us, &some))
			return false;
	return some;
}

static int add_sparse(struct fold *f, const struct stacks *s)
{
	struct sink to = {.n = 0};
	int r = gather(f, s, &to);

	if (r >= 0 && to.n)
		r = add_tasks(f, s, &to);
	free(to.v);
	return r;
}

int fold_add(struct fold *f, const struct stacks *s)
{
	bool grouped = f->request.by_process || f->request.by_thread;
	int r = names_begin(&f->names, s);

	if (r >= 0)
		r = grouped || count_about(f, s) < s->n_nodes / DENSE ? add_sparse(f, s)
								      : add_dense(f, s);
	if (r >= 0 && f->names.own->n_nodes > 2 * f->request.max_nodes + NODES_BETWEEN)
		r = fold_prune(f, 2 * f->request.max_nodes);
	return r;
}

int fold_finish(struct fold *f, struct fold_tree **ret)
{
	int r = f->request.elided ? fold_elide(f) : 0;

	if (r >= 0)
		r = fold_prune(f, f->request.max_nodes);
	if (r >= 0)
		r = fold_name_tasks(f);
	if (r >= 0)
		r = fold_write(f, ret);
	fold_abort(f);
	return r;
}

void fold_abort(struct fold *f)
{
	if (!f)
		return;
	filter_done(&f->request.filter);
	names_close(&f->names);
	fold_pids_done(&f->pids);
	free(f->weight[0]);
	free(f->weight[1]);
	free(f);
}
