/* Writes a tree out: depth first, children in order of their names. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "stacks/fold_internal.h"

/* The tree's nodes as lists of children. */
struct lists {
	uint32_t *first, *next; /* by node; 0: none */
	uint32_t *place;	/* where it was written */
	uint64_t *totals[2];
	uint32_t *order, n_order; /* frames by name */
	uint8_t *unsaid;	  /* by frame: is in the tree, and no node of it is written */
};

static void lists_done(struct lists *l)
{
	free(l->first);
	free(l->totals[0]);
	free(l->totals[1]);
	free(l->order);
	free(l->unsaid);
}

/* Nodes by the rank of their frame (a counting sort), the last first, each put before its
 * siblings. */
static int link_children(struct lists *l, const struct stacks *s, const uint32_t *ranks)
{
	uint32_t *by_rank = malloc(s->n_nodes * sizeof(*by_rank));
	uint32_t *ends = calloc(l->n_order + 1, sizeof(*ends));
	uint32_t sum = 0;

	for (uint32_t i = 1; ends && i < s->n_nodes; i++)
		ends[ranks[s->nodes[i].frame]]++;
	for (uint32_t i = 0; ends && i < l->n_order; i++)
		ends[i] = sum += ends[i];
	if (by_rank && ends) {
		for (uint32_t i = s->n_nodes - 1; i > 0; i--)
			by_rank[--ends[ranks[s->nodes[i].frame]]] = i;
		for (uint32_t k = s->n_nodes - 1; k-- > 0;) {
			uint32_t i = by_rank[k], parent = s->nodes[i].parent;

			l->next[i] = l->first[parent];
			l->first[parent] = i;
		}
	}
	free(by_rank);
	free(ends);
	return by_rank && ends ? 0 : -ENOMEM;
}

static int order_children(struct lists *l, const struct fold *f)
{
	const struct stacks *s = f->names.own;
	uint8_t *used = l->unsaid = calloc(s->n_frames, 1);
	uint32_t *ranks = malloc(s->n_frames * sizeof(*ranks));
	int r = used && ranks ? 0 : -ENOMEM;

	for (uint32_t i = 1; r >= 0 && i < s->n_nodes; i++)
		used[s->nodes[i].frame] = 1;
	if (r >= 0)
		r = names_sort(&f->names, used, &l->order, &l->n_order);
	for (uint32_t i = 0; r >= 0 && i < l->n_order; i++)
		ranks[l->order[i]] = i;
	if (r >= 0)
		r = link_children(l, s, ranks);
	free(ranks);
	return r;
}

static uint32_t place_of(const struct stacks_place *p)
{
	return p->votes ? p->off + 1 : 0;
}

static void write_node(const struct fold *f, struct lists *l, uint32_t i, struct fold_tree *t,
		       struct strings_out *strings)
{
	const struct stacks *s = f->names.own;
	struct fold_node *to = &t->nodes[t->n_nodes];
	const struct stacks_frame *frame = &s->frames[s->nodes[i].frame];

	*to = (struct fold_node){
		.total_us = l->totals[0][i],
		.self_us = f->weight[0][i].self,
		.base_total_us = f->n_sides > 1 ? l->totals[1][i] : 0,
		.base_self_us = f->n_sides > 1 ? f->weight[1][i].self : 0,
	};
	l->place[i] = t->n_nodes++;
	if (!i)
		return;
	to->parent = l->place[s->nodes[i].parent];
	to->depth = t->nodes[to->parent].depth;
	if (to->depth < UINT16_MAX)
		to->depth++;
	to->name = strings_out_add(strings, frame->name);
	to->module = strings_out_add(strings, s->modules[frame->module].name);
	to->type = frame->type;
	if (frame->type < STACKS_TYPES) {
		to->addr = f->names.addrs[s->nodes[i].frame];
		to->build_id = strings_out_add(strings, f->names.build_ids[s->nodes[i].frame]);
		if (l->unsaid[s->nodes[i].frame]) {
			to->self_at = place_of(&frame->self);
			to->call_at = place_of(&frame->call);
		}
		l->unsaid[s->nodes[i].frame] = 0;
	}
}

static void write_nodes(const struct fold *f, struct lists *l, struct fold_tree *t,
			struct strings_out *strings)
{
	const struct stacks_node *nodes = f->names.own->nodes;
	uint32_t i = 0;

	for (;;) {
		write_node(f, l, i, t, strings);
		if (l->first[i]) {
			i = l->first[i];
			continue;
		}
		while (i && !l->next[i])
			i = nodes[i].parent;
		if (!i)
			return;
		i = l->next[i];
	}
}

static int lists_open(struct lists *l, const struct fold *f)
{
	uint32_t n = f->names.own->n_nodes;

	*l = (struct lists){.first = fold_alloc_zeroed(n * 3 * sizeof(uint32_t))};
	l->next = l->first + n;
	l->place = l->next + n;
	for (unsigned k = 0; k < f->n_sides; k++)
		l->totals[k] = fold_totals(f, k);
	if (!l->first || !l->totals[0] || (f->n_sides > 1 && !l->totals[1]))
		return -ENOMEM;
	return order_children(l, f);
}

int fold_write(struct fold *f, struct fold_tree **ret)
{
	struct fold_tree *t = calloc(1, sizeof(*t));
	struct strings_out strings = {0};
	struct lists l;
	int r = lists_open(&l, f);

	if (t && r >= 0) {
		t->nodes = fold_alloc(f->names.own->n_nodes * sizeof(*t->nodes));
		r = t->nodes ? strings_out_begin(&strings, f->names.own) : -ENOMEM;
	}
	if (t && r >= 0) {
		write_nodes(f, &l, t, &strings);
		t->left_out = f->left_out;
		t->sum = f->sum[0];
		t->base = f->sum[1];
	}
	lists_done(&l);
	if (!t || r < 0 || strings.failed) {
		strings_out_done(&strings);
		fold_tree_free(t);
		return -ENOMEM;
	}
	t->text = t->private = strings.text;
	t->strings = strings.strings;
	t->n_strings = strings.n;
	free(strings.map);
	*ret = t;
	return 0;
}

void fold_tree_free(struct fold_tree *t)
{
	if (!t)
		return;
	free(t->nodes);
	free(t->strings);
	free(t->private);
	free(t);
}
