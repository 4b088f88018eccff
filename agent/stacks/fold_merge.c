/* The tree that epochs are added to, and what is left out of it when it grows too large. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "stacks/fold_internal.h"

enum {
	LOOK_EVERY = 16,
	LOOK_ALL = 20000,
	BUCKETS_PER_OCTAVE = 16,
	N_BUCKETS = 64 * BUCKETS_PER_OCTAVE
};

#define DROPPED UINT64_MAX

/* ---- nodes ---- */

int fold_reserve(struct fold *f, uint32_t n)
{
	uint32_t cap = f->cap_weight ? f->cap_weight : 1024;

	if (n <= f->cap_weight)
		return 0;
	while (cap < n)
		cap *= 2;
	for (unsigned k = 0; k < f->n_sides; k++) {
		struct fold_weight *w = fold_alloc(cap * sizeof(*w));

		if (!w)
			return -ENOMEM;
		if (f->cap_weight)
			memcpy(w, f->weight[k], f->cap_weight * sizeof(*w));
		memset(w + f->cap_weight, 0, (cap - f->cap_weight) * sizeof(*w));
		free(f->weight[k]);
		f->weight[k] = w;
	}
	f->cap_weight = cap;
	return 0;
}

uint32_t fold_node_get(struct fold *f, uint32_t parent, uint32_t frame)
{
	uint32_t i = stacks_node(f->names.own, parent, frame);

	return !i || fold_reserve(f, i + 1) < 0 ? UINT32_MAX : i;
}

uint32_t fold_node_append(struct fold *f, uint32_t parent, uint32_t frame)
{
	uint32_t i = stacks_node_append(f->names.own, parent, frame);

	return !i || fold_reserve(f, i + 1) < 0 ? UINT32_MAX : i;
}

uint64_t *fold_totals(const struct fold *f, unsigned side)
{
	const struct stacks *s = f->names.own;
	uint64_t *totals = fold_alloc(s->n_nodes * sizeof(*totals));

	if (!totals)
		return NULL;
	for (uint32_t i = 0; i < s->n_nodes; i++)
		totals[i] = f->weight[side][i].own;
	for (uint32_t i = s->n_nodes - 1; i > 0; i--)
		totals[s->nodes[i].parent] += totals[i];
	return totals;
}

/* ---- one epoch, all of its nodes at once ---- */

static unsigned bucket_of(uint64_t v)
{
	unsigned octave = 63 - (unsigned)__builtin_clzll(v | 1);
	uint64_t rest = octave >= 4 ? v >> (octave - 4) : v << (4 - octave);

	return octave * BUCKETS_PER_OCTAVE + (unsigned)(rest & (BUCKETS_PER_OCTAVE - 1));
}

static uint64_t bucket_start(unsigned b)
{
	unsigned octave = b / BUCKETS_PER_OCTAVE;
	uint64_t rest = BUCKETS_PER_OCTAVE + b % BUCKETS_PER_OCTAVE;

	return octave >= 4 ? rest << (octave - 4)
			   : (rest + (1u << (4 - octave)) - 1) >> (4 - octave);
}

static inline uint64_t larger(uint64_t *const t[2], uint32_t i)
{
	return t[1] && t[1][i] > t[0][i] ? t[1][i] : t[0][i];
}

/* What is kept: nodes that weigh `surely`, and `spare` of those that weigh no less than `least`. */
struct limits {
	uint64_t surely, least;
	uint32_t spare;
};

/* So that about `most` nodes are kept, seen from a part of them. Where many are as light as the
 * lightest that would fit, none of these, unless hardly anything were left. */
static struct limits find_limits(const struct fold_part *p)
{
	uint32_t counts[N_BUCKETS] = {0}, have = 0, every = p->n > LOOK_ALL ? LOOK_EVERY : 1;
	struct limits l = {.surely = 1, .least = 1};
	unsigned b = N_BUCKETS;

	if (p->n <= p->most)
		return l;
	for (uint32_t i = 0; i < p->n; i += every) {
		uint64_t v = larger(p->weights, p->list ? p->list[i] : i);

		if (v)
			counts[bucket_of(v)]++;
	}
	while (b > 0 && (have + counts[b - 1]) * (uint64_t)every <= p->most)
		have += counts[--b];
	if (!b)
		return l;
	l.surely = b < N_BUCKETS ? bucket_start(b) : UINT64_MAX;
	l.least = l.surely;
	if (have * (uint64_t)every < p->most / 16) {
		l.least = bucket_start(b - 1);
		l.spare = p->most - have * every;
	}
	return l;
}

/* A part of an epoch on its way into the tree. */
struct kept {
	uint32_t node, parent; /* of the epoch; the parent's place among the kept */
	uint32_t frame, to;    /* own frame and node of the tree */
	bool doubtful;	       /* what is below it may be there already */
};
struct dense {
	struct fold *f;
	const struct fold_part *p;
	uint64_t *t[2]; /* its weights, summed; of a node that was seen t[0] is its place here */
	struct limits limits;
	struct kept *kept;	       /* parents first; the root is the first */
	struct fold_weight *weight[2]; /* total, and self */
	uint32_t n, cap;
};

static int keep(struct dense *d, uint32_t node, uint32_t parent)
{
	if (d->n == d->cap) {
		uint32_t cap = d->cap ? d->cap * 2 : 1024;
		struct kept *kept = realloc(d->kept, cap * sizeof(*kept));

		if (!kept)
			return -ENOMEM;
		d->kept = kept;
		for (unsigned k = 0; k < d->f->n_sides; k++) {
			struct fold_weight *w = realloc(d->weight[k], cap * sizeof(*w));

			if (!w)
				return -ENOMEM;
			d->weight[k] = w;
		}
		d->cap = cap;
	}
	d->kept[d->n] = (struct kept){.node = node, .parent = parent};
	for (unsigned k = 0; k < d->f->n_sides; k++) {
		d->weight[k][d->n] = (struct fold_weight){d->t[k][node], d->t[k][node]};
		if (node)
			d->weight[k][parent].self -= d->t[k][node];
	}
	d->t[0][node] = d->n++;
	return 0;
}

/* One that is not kept: only its parent's own weight shows it. */
static void leave(struct dense *d, uint32_t node, uint64_t above)
{
	for (unsigned k = 0; above != DROPPED && k < d->f->n_sides; k++)
		d->weight[k][above].self -= d->t[k][node];
	d->f->left_out++;
	d->t[0][node] = DROPPED;
}

/* Whether a node of that weight is kept, which is not surely so. */
static bool is_spared(struct limits *l, uint64_t v)
{
	if (v < l->least || !l->spare)
		return false;
	l->spare--;
	return true;
}

/* For as many as are likely. */
static int reserve_kept(struct dense *d)
{
	const struct fold_part *p = d->p;
	uint32_t cap = (p->n < p->most / 4 * 5 ? p->n : p->most / 4 * 5) + 1;

	d->kept = fold_alloc(cap * sizeof(*d->kept));
	for (unsigned k = 0; k < d->f->n_sides; k++) {
		d->weight[k] = fold_alloc(cap * sizeof(*d->weight[k]));
		if (!d->weight[k])
			return -ENOMEM;
	}
	d->cap = cap;
	return d->kept ? 0 : -ENOMEM;
}

static int keep_heavy(struct dense *d)
{
	const struct stacks_node *nodes = d->p->from->nodes;
	const uint32_t *list = d->p->list;
	int r = keep(d, 0, 0);

	for (uint32_t k = list ? 0 : 1; r >= 0 && k < d->p->n; k++) {
		uint32_t i = list ? list[k] : k;
		uint64_t v = larger(d->t, i), above;

		if (!v)
			continue; /* and nothing is below it */
		above = d->t[0][nodes[i].parent];
		if (above == DROPPED || (v < d->limits.surely && !is_spared(&d->limits, v)))
			leave(d, i, above);
		else
			r = keep(d, i, (uint32_t)above);
	}
	return r;
}

/* Of those that are called alike it is not known whether they are there already, nor of what is
 * below. */
static int look_up_frames(struct dense *d)
{
	struct names *names = &d->f->names;

	for (uint32_t i = 1; i < d->n; i++)
		d->kept[i].frame = names_frame(names, d->p->from->nodes[d->kept[i].node].frame);
	if (stacks_failed(names->own))
		return -ENOMEM;
	for (uint32_t i = 1; i < d->n; i++)
		d->kept[i].doubtful = names->times[d->kept[i].frame] > 1;
	return 0;
}

static int merge_kept(struct dense *d)
{
	struct fold *f = d->f;

	for (uint32_t i = 0; i < d->n; i++) {
		struct kept *n = &d->kept[i], *parent = &d->kept[n->parent];

		n->doubtful |= i && parent->doubtful;
		if (!i)
			n->to = d->p->to;
		else if (d->p->alone && !n->doubtful)
			n->to = fold_node_append(f, parent->to, n->frame);
		else
			n->to = fold_node_get(f, parent->to, n->frame);
		if (n->to == UINT32_MAX)
			return -ENOMEM;
		for (unsigned k = 0; k < f->n_sides; k++) {
			const struct fold_weight *w = &d->weight[k][i];

			f->weight[k][n->to].own += w->own;
			f->weight[k][n->to].self += w->self;
			if (i)
				f->weight[k][parent->to].own -= w->own;
		}
	}
	return 0;
}

static void sum_up(const struct fold_part *p, uint64_t *t)
{
	const struct stacks_node *nodes = p->from->nodes;

	if (p->list) {
		for (uint32_t k = p->n; k-- > 0;)
			t[nodes[p->list[k]].parent] += t[p->list[k]];
		return;
	}
	for (uint32_t i = p->n - 1; i > 0; i--)
		if (t[i])
			t[nodes[i].parent] += t[i];
}

int fold_merge(struct fold *f, struct fold_part *p)
{
	struct dense d = {.f = f, .p = p, .t = {p->weights[0], p->weights[1]}};
	int r;

	for (unsigned k = 0; k < f->n_sides; k++)
		sum_up(p, p->weights[k]);
	d.limits = find_limits(p);
	r = reserve_kept(&d);
	if (r >= 0)
		r = keep_heavy(&d);
	if (r >= 0)
		r = look_up_frames(&d);
	if (r >= 0)
		r = fold_reserve(f, f->names.own->n_nodes + d.n);
	if (r >= 0)
		r = merge_kept(&d);
	free(d.kept);
	free(d.weight[0]);
	free(d.weight[1]);
	return r;
}

/* ---- leaving out ---- */

/* The n-th largest of the keys, from 1 on; 0 < n <= count. Overwrites them. */
static uint64_t nth_largest(uint64_t *keys, uint32_t count, uint32_t n)
{
	for (int shift = 56;; shift -= 8) {
		uint32_t counts[256] = {0}, k = 0;
		unsigned b = 255;

		for (uint32_t i = 0; i < count; i++)
			counts[keys[i] >> shift & 255]++;
		for (; counts[b] < n; b--)
			n -= counts[b];
		for (uint32_t i = 0; i < count; i++)
			if ((keys[i] >> shift & 255) == b)
				keys[k++] = keys[i];
		count = k;
		if (shift == 0 || count == 1)
			return keys[0];
	}
}

/* Takes out the nodes that `keep` does not name; their weight stays with the node above. A node is
 * kept only where its parent is. */
static void compact(struct fold *f, const uint8_t *keep, uint64_t *map)
{
	struct stacks *s = f->names.own;
	uint32_t n = s->n_nodes, k = 1;

	for (uint32_t i = n - 1; i > 0; i--)
		for (unsigned side = 0; !keep[i] && side < f->n_sides; side++)
			f->weight[side][s->nodes[i].parent].own += f->weight[side][i].own;
	map[0] = 0;
	for (uint32_t i = 1; i < n; i++) {
		if (!keep[i])
			continue;
		map[i] = k;
		s->nodes[k] = s->nodes[i];
		s->nodes[k].parent = (uint32_t)map[s->nodes[i].parent];
		for (unsigned side = 0; side < f->n_sides; side++)
			f->weight[side][k] = f->weight[side][i];
		k++;
	}
	s->n_nodes = k;
	for (unsigned side = 0; side < f->n_sides; side++)
		memset(f->weight[side] + k, 0, (n - k) * sizeof(struct fold_weight));
	stacks_forget_nodes(s);
}

static int choose(struct fold *f, uint64_t *const t[2], uint32_t most, uint8_t *keep)
{
	uint32_t n = f->names.own->n_nodes, left = most - 1;
	uint64_t *keys = malloc(n * sizeof(*keys)), least;

	if (!keys)
		return -ENOMEM;
	for (uint32_t i = 1; i < n; i++)
		keys[i - 1] = larger(t, i);
	least = most > 1 ? nth_largest(keys, n - 1, most - 1) : UINT64_MAX;
	for (uint32_t i = 1; i < n; i++)
		left -= larger(t, i) > least;
	for (uint32_t i = 1; i < n; i++) { /* of those just as heavy, the first */
		keep[i] = larger(t, i) > least;
		if (larger(t, i) == least && left) {
			keep[i] = 1;
			left--;
		}
	}
	free(keys);
	return 0;
}

int fold_prune(struct fold *f, uint32_t most)
{
	uint32_t n = f->names.own->n_nodes;
	uint64_t *t[2] = {NULL, NULL};
	uint8_t *keep;
	int r = 0;

	if (n <= most)
		return 0;
	keep = calloc(n, 1);
	for (unsigned k = 0; k < f->n_sides; k++) {
		t[k] = fold_totals(f, k);
		r = t[k] ? r : -ENOMEM;
	}
	if (!keep || r < 0 || choose(f, t, most, keep) < 0) {
		r = -ENOMEM;
	} else {
		compact(f, keep, t[0]);
		f->left_out += n - f->names.own->n_nodes;
	}
	free(keep);
	free(t[0]);
	free(t[1]);
	return r;
}

int fold_elide(struct fold *f)
{
	const struct stacks *s = f->names.own;
	uint64_t *t[2] = {fold_totals(f, 0), fold_totals(f, 1)};
	uint8_t *keep = calloc(s->n_nodes, 1);
	int r = t[0] && t[1] && keep ? 0 : -ENOMEM;

	for (uint32_t i = s->n_nodes - 1; r >= 0 && i > 0; i--) {
		if (!t[0][i] && t[1][i])
			keep[i] = 1;
		if (keep[i])
			keep[s->nodes[i].parent] = 1;
		if (t[0][i])
			f->weight[1][i] = (struct fold_weight){0};
	}
	if (r >= 0) {
		if (t[0][0])
			f->weight[1][0] = (struct fold_weight){0};
		for (uint32_t i = 1; i < s->n_nodes; i++)
			if (!keep[i])
				f->weight[1][i] = (struct fold_weight){0};
		compact(f, keep, t[0]);
	}
	free(t[0]);
	free(t[1]);
	free(keep);
	return r;
}
