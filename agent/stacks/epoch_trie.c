/* The trie of an epoch on its way out: edges by caller, nodes depth first. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "stacks/epoch_internal.h"

struct edge {
	uint32_t caller, callee; /* new numbers of frames */
	uint32_t count, rank;
};

struct trie {
	struct plan *p;
	struct edge *edges;
	uint32_t n_edges, cap_edges;
	uint32_t *slots, mask;	/* open addressing: index + 1 */
	uint32_t *edge_of;	/* by node */
	uint32_t *first, *next; /* children in order of rank; 0: none */
};

static uint32_t hash_edge(uint32_t caller, uint32_t callee)
{
	uint64_t h = ((uint64_t)caller << 32 | callee) * 0x9e3779b97f4a7c15u;

	return (uint32_t)(h >> 32);
}

static int grow_edges(struct trie *t)
{
	uint32_t cap = t->cap_edges ? t->cap_edges * 2 : 4096, mask = cap * 2 - 1, *slots;
	struct edge *edges = realloc(t->edges, cap * sizeof(*edges));

	if (!edges)
		return -ENOMEM;
	t->edges = edges;
	slots = calloc((size_t)mask + 1, sizeof(*slots));
	if (!slots)
		return -ENOMEM;
	t->cap_edges = cap;
	free(t->slots);
	t->slots = slots;
	t->mask = mask;
	for (uint32_t i = 0; i < t->n_edges; i++) {
		uint32_t at = hash_edge(edges[i].caller, edges[i].callee) & mask;

		while (slots[at])
			at = (at + 1) & mask;
		slots[at] = i + 1;
	}
	return 0;
}

static int count_edge(struct trie *t, uint32_t caller, uint32_t callee, uint32_t *ret)
{
	uint32_t at, i;

	if (t->n_edges == t->cap_edges && grow_edges(t) < 0)
		return -ENOMEM;
	at = hash_edge(caller, callee) & t->mask;
	for (; (i = t->slots[at]); at = (at + 1) & t->mask)
		if (t->edges[i - 1].caller == caller && t->edges[i - 1].callee == callee)
			break;
	if (!i) {
		t->edges[t->n_edges] = (struct edge){.caller = caller, .callee = callee};
		i = t->slots[at] = ++t->n_edges;
	}
	t->edges[i - 1].count++;
	*ret = i - 1;
	return 0;
}

static int count_edges(struct trie *t)
{
	const struct plan *p = t->p;

	for (uint32_t i = 1; i < p->s->n_nodes; i++) {
		const struct stacks_node *n = &p->s->nodes[i];

		if (p->nodes[i] == UINT32_MAX)
			continue;
		if (count_edge(t, p->frames[p->s->nodes[n->parent].frame], p->frames[n->frame],
			       &t->edge_of[i]) < 0)
			return -ENOMEM;
	}
	return 0;
}

static int by_caller(const void *a, const void *b, void *arg)
{
	const struct edge *edges = arg, *x = &edges[*(const uint32_t *)a],
			  *y = &edges[*(const uint32_t *)b];

	if (x->caller != y->caller)
		return x->caller < y->caller ? -1 : 1;
	if (x->count != y->count)
		return x->count > y->count ? -1 : 1;
	return x->callee < y->callee ? -1 : 1;
}

/* Ranks them, and writes column 5. */
static int rank_edges(struct trie *t)
{
	uint32_t *order = malloc((t->n_edges + 1) * sizeof(*order)), k = 0, rank = 0;
	struct plan *p = t->p;

	if (!order)
		return -ENOMEM;
	for (uint32_t i = 0; i < t->n_edges; i++)
		order[i] = i;
	if (t->n_edges)
		qsort_r(order, t->n_edges, sizeof(*order), by_caller, t->edges);
	for (uint32_t caller = 0; caller < p->n_frames; caller++) {
		for (rank = 0; k < t->n_edges && t->edges[order[k]].caller == caller; k++)
			t->edges[order[k]].rank = rank++;
		out_varint(&p->trie, rank);
	}
	for (k = 0; k < t->n_edges; k++) {
		const struct edge *e = &t->edges[order[k]];

		out_varint(&p->trie, zigzag_encode((int64_t)e->callee - e->caller));
	}
	p->n_edges = t->n_edges;
	free(order);
	return 0;
}

/* Nodes by rank (a counting sort), the last first, each put before its siblings. */
static int link_children(struct trie *t)
{
	const struct plan *p = t->p;
	uint32_t n = p->s->n_nodes, most = 0, sum = 0;
	uint32_t *by_rank = malloc(n * sizeof(*by_rank)), *ends;

	for (uint32_t i = 0; i < t->n_edges; i++)
		most = t->edges[i].rank > most ? t->edges[i].rank : most;
	ends = calloc((size_t)most + 1, sizeof(*ends));
	for (uint32_t i = 1; by_rank && ends && i < n; i++)
		if (p->nodes[i] != UINT32_MAX)
			ends[t->edges[t->edge_of[i]].rank]++;
	for (uint32_t i = 0; ends && i <= most; i++)
		ends[i] = sum += ends[i];
	if (by_rank && ends) {
		for (uint32_t i = n - 1; i > 0; i--)
			if (p->nodes[i] != UINT32_MAX)
				by_rank[--ends[t->edges[t->edge_of[i]].rank]] = i;
		for (uint32_t k = sum; k-- > 0;) {
			uint32_t i = by_rank[k], parent = p->s->nodes[i].parent;

			t->next[i] = t->first[parent];
			t->first[parent] = i;
		}
	}
	free(by_rank);
	free(ends);
	return by_rank && ends ? 0 : -ENOMEM;
}

/* Numbers the nodes, and writes column 6: first how many levels up, then ranks. */
static int number_nodes(struct trie *t)
{
	const struct stacks_node *nodes = t->p->s->nodes;
	struct plan *p = t->p;
	struct out ranks = {0};
	uint32_t i = 0;
	int r = 0;

	p->nodes[0] = 0;
	for (p->n_nodes = 1; r >= 0;) {
		uint32_t up = 0, least = 0, rank;

		if (t->first[i]) {
			i = t->first[i];
		} else {
			for (; i && !t->next[i]; up++)
				i = nodes[i].parent;
			if (!i)
				break;
			least = t->edges[t->edge_of[i]].rank + 1;
			i = t->next[i];
			up++;
		}
		rank = t->edges[t->edge_of[i]].rank;
		r = rank < least ? -EINVAL : 0; /* a node that is there twice */
		p->nodes[i] = p->n_nodes++;
		out_varint(&p->trie, up);
		out_varint(&ranks, rank - least);
	}
	out_bytes(&p->trie, ranks.p, ranks.len);
	p->trie.failed |= ranks.failed;
	out_done(&ranks);
	return p->trie.failed ? -ENOMEM : r;
}

int epoch_plan_trie(struct plan *p)
{
	struct trie t = {.p = p};
	int r = -ENOMEM;

	t.edge_of = calloc(p->s->n_nodes, 3 * sizeof(uint32_t));
	if (t.edge_of) {
		t.first = t.edge_of + p->s->n_nodes;
		t.next = t.first + p->s->n_nodes;
		r = count_edges(&t);
	}
	if (r >= 0)
		r = rank_edges(&t);
	if (r >= 0)
		r = link_children(&t);
	if (r >= 0)
		r = number_nodes(&t);
	free(t.edges);
	free(t.slots);
	free(t.edge_of);
	return r;
}
