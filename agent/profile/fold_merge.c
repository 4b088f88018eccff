/* The tree that epochs are added to, and what is left out of it when it grows too large. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "profile/fold_internal.h"

enum { LOOK_EVERY = 16, BUCKETS_PER_OCTAVE = 16, N_BUCKETS = 64 * BUCKETS_PER_OCTAVE };

#define DROPPED UINT64_MAX
#define DOUBTFUL (UINT64_C(1) << 32) /* what is below it may be there already */

/* ---- nodes ---- */

int fold_reserve(struct fold *f, uint32_t n)
{
	uint32_t cap = f->cap_weight ? f->cap_weight : 1024;

	if (n <= f->cap_weight)
		return 0;
	while (cap < n)
		cap *= 2;
	for (unsigned k = 0; k < f->n_sides; k++) {
		struct fold_weight *w = realloc(f->weight[k], cap * sizeof(*w));

		if (!w)
			return -ENOMEM;
		f->weight[k] = w;
		memset(w + f->cap_weight, 0, (cap - f->cap_weight) * sizeof(*w));
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
	uint64_t *totals = malloc(s->n_nodes * sizeof(*totals));

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

static uint64_t larger(uint64_t *const t[2], uint32_t i)
{
	return t[1] && t[1][i] > t[0][i] ? t[1][i] : t[0][i];
}

/* What is kept: nodes that weigh `surely`, and `spare` of those that weigh no less than `least`. */
struct limits {
	uint64_t surely, least;
	uint32_t spare;
};

/* So that about `most` nodes are kept, seen from a part of them. Where many are as light as the lightest
 * that would fit, none of these, unless hardly anything were left. */
static struct limits find_limits(uint64_t *const totals[2], uint32_t n, uint32_t most)
{
	uint32_t counts[N_BUCKETS] = {0}, have = 0;
	struct limits l = {.surely = 1, .least = 1};
	unsigned b = N_BUCKETS;

	if (n <= most)
		return l;
	for (uint32_t i = 0; i < n; i += LOOK_EVERY) {
		uint64_t v = larger(totals, i);

		if (v)
			counts[bucket_of(v)]++;
	}
	while (b > 0 && (have + counts[b - 1]) * (uint64_t)LOOK_EVERY <= most)
		have += counts[--b];
	if (!b)
		return l;
	l.surely = b < N_BUCKETS ? bucket_start(b) : UINT64_MAX;
	l.least = l.surely;
	if (have * (uint64_t)LOOK_EVERY < most / 16) {
		l.least = bucket_start(b - 1);
		l.spare = most - have * LOOK_EVERY;
	}
	return l;
}

/* One epoch on its way into the tree. */
struct dense {
	struct fold *f;
	const struct stacks *from;
	uint64_t *t[2]; /* totals; once a node was merged, t[0] says where to */
	struct limits limits;
	uint8_t *shared; /* by own frame: several frames of this epoch are called so */
	bool first;	 /* nothing is in the tree but this epoch */
};

/* Interns the frames of what will be kept, and finds those that are called alike. */
static int look_up_frames(struct dense *d)
{
	struct names *names = &d->f->names;
	uint32_t *seen =
		calloc(d->from->n_frames + 1 + (size_t)names->own->n_frames, sizeof(*seen));

	d->shared = calloc(d->from->n_frames + 1 + (size_t)names->own->n_frames, 1);
	for (uint32_t i = 1; seen && d->shared && i < d->from->n_nodes; i++) {
		uint32_t frame = d->from->nodes[i].frame, own;

		if (larger(d->t, i) < d->limits.least || names->map[frame])
			continue;
		own = names_frame(names, frame);
		if (stacks_failed(names->own))
			break;
		d->shared[own] |= seen[own] != 0;
		seen[own] = 1;
	}
	free(seen);
	return !seen || !d->shared || stacks_failed(names->own) ? -ENOMEM : 0;
}

static inline void move_weight(struct dense *d, uint32_t i, uint32_t parent, uint32_t to)
{
	for (unsigned k = 0; k < d->f->n_sides; k++) {
		struct fold_weight *w = d->f->weight[k];
		uint64_t v = d->t[k][i];

		w[parent].self -= v;
		if (to == UINT32_MAX)
			continue;
		w[parent].own -= v;
		w[to].own += v;
		w[to].self += v;
	}
}

static int merge_one(struct dense *d, uint32_t i)
{
	const struct stacks_node *n = &d->from->nodes[i];
	uint64_t above = d->t[0][n->parent], v = larger(d->t, i), doubt;
	uint32_t parent = (uint32_t)above, to, frame;

	if (v < d->limits.surely && v >= d->limits.least && above != DROPPED) {
		if (d->limits.spare)
			d->limits.spare--;
		else
			d->limits.least = d->limits.surely;
	}
	if (!v || above == DROPPED || v < d->limits.least) {
		if (v && above != DROPPED)
			move_weight(d, i, parent, UINT32_MAX);
		d->f->left_out += v != 0;
		d->t[0][i] = DROPPED;
		return 0;
	}
	frame = names_frame(&d->f->names, n->frame);
	doubt = d->shared[frame] ? DOUBTFUL : above & DOUBTFUL;
	to = d->first && !doubt ? fold_node_append(d->f, parent, frame)
				: fold_node_get(d->f, parent, frame);
	if (to == UINT32_MAX)
		return -ENOMEM;
	move_weight(d, i, parent, to);
	d->t[0][i] = to | doubt;
	return 0;
}

static int merge_all(struct dense *d)
{
	int r = 0;

	for (unsigned k = 0; k < d->f->n_sides; k++) {
		d->f->weight[k][0].own += d->t[k][0];
		d->f->weight[k][0].self += d->t[k][0];
	}
	d->t[0][0] = 0;
	for (uint32_t i = 1; r >= 0 && i < d->from->n_nodes; i++)
		r = merge_one(d, i);
	if (d->first)
		stacks_forget_nodes(d->f->names.own);
	return r;
}

int fold_merge_dense(struct fold *f, const struct stacks *from, uint64_t *const totals[2])
{
	struct dense d = {.f = f, .from = from, .t = {totals[0], totals[1]}};
	uint32_t most = f->request.max_nodes + f->request.max_nodes / 4;
	int r;

	for (unsigned k = 0; k < f->n_sides; k++)
		for (uint32_t i = from->n_nodes - 1; i > 0; i--)
			if (totals[k][i])
				totals[k][from->nodes[i].parent] += totals[k][i];
	d.first = f->names.own->n_nodes == 1;
	d.limits = find_limits(totals, f->request.elided ? 0 : from->n_nodes, most);
	r = look_up_frames(&d);
	if (r >= 0)
		r = merge_all(&d);
	free(d.shared);
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

/* Takes out the nodes that `keep` does not name; their weight stays with the node above. A node is kept
 * only where its parent is. */
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
