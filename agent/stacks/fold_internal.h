/*
 * What trees, heat maps, charts and lists of tasks share: which samples count and for how much,
 * and the interning of frames by what they are called. Nobody else includes this.
 */
#ifndef STROBE_STACKS_FOLD_INTERNAL_H
#define STROBE_STACKS_FOLD_INTERNAL_H

#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include "stacks/fold.h"
#include "stacks/stacks_internal.h"

/* As malloc(), for what is written all over at once: large ones with all of their pages, which cost less than one by one. */
static inline void *fold_alloc(size_t bytes)
{
	enum { PAGE = 4096, WORTH = 64 * PAGE };
	char *p = malloc(bytes);
	uintptr_t from = ((uintptr_t)p + PAGE - 1) & ~(uintptr_t)(PAGE - 1);
	uintptr_t to = ((uintptr_t)p + bytes) & ~(uintptr_t)(PAGE - 1);

	if (p && bytes >= WORTH)
		madvise((void *)from, to - from, MADV_POPULATE_WRITE); /* a hint */
	return p;
}

/* The same, zeroed. */
static inline void *fold_alloc_zeroed(size_t bytes)
{
	void *p = fold_alloc(bytes);

	if (p)
		memset(p, 0, bytes);
	return p;
}

/* ---- fold_filter.c ---- */

/* A filter with strings of its own. */
int filter_copy(struct stacks_filter *to, const struct stacks_filter *from); /* 0 or -ENOMEM */
void filter_done(struct stacks_filter *);

/* A filter over the tasks of one set. */
struct filter {
	const struct stacks_filter *f;
	uint8_t *tasks; /* by task: whether it counts */
};
int filter_open(struct filter *, const struct stacks_filter *, const struct stacks *);
void filter_close(struct filter *);

static inline bool filter_has(const struct filter *f, const struct stacks_sample *s)
{
	if (s->kind != f->f->kind || !f->tasks[s->task] || s->flags & STACKS_IDLE)
		return false;
	if (f->f->cpu >= 0 && s->cpu != f->f->cpu)
		return false;
	if (s->kind != STACKS_OFF)
		return true;
	return s->weight_us >= f->f->min_us &&
	       (!f->f->classes || f->f->classes >> (s->flags >> 4) & 1);
}

/* The samples that may lie in [from_us, to_us): [*first, *end). */
void samples_find(const struct stacks *, enum stacks_kind, int64_t from_us, int64_t to_us,
		  uint32_t *first, uint32_t *end);

/* How much of a sample lies in a range; *any: whether the sample counts there at all. */
static inline uint32_t sample_weight(const struct stacks_range *r, const struct stacks_sample *s,
				     bool *any)
{
	int64_t from_us, to_us;

	if (s->kind != STACKS_OFF) {
		*any = s->at_us >= r->from_us && s->at_us < r->to_us;
		return *any ? s->weight_us : 0;
	}
	from_us = s->at_us - s->weight_us > r->from_us ? s->at_us - s->weight_us : r->from_us;
	to_us = s->at_us < r->to_us ? s->at_us : r->to_us;
	*any = to_us > from_us;
	return *any ? (uint32_t)(to_us - from_us) : 0;
}

/* ---- fold_names.c ---- */

/* Frames of sets of stacks, interned in a set of its own by (name, module's last part, type). */
struct names {
	struct stacks *own;
	/* By own frame, the lowest of those with the build-id that was seen first: the function's start, if any is it. Its
	 * places are in own->frames, from there on. */
	uint64_t *addrs;
	uint32_t *build_ids;
	uint8_t *times; /* by own frame: how many of `from` are called so, 2 for more */
	uint32_t cap;
	const struct stacks *from; /* being read */
	uint32_t *map;		   /* own frame + 1 by frame of `from`; 0: not looked for */
	uint32_t cap_map;
};
int names_open(struct names *);
void names_close(struct names *);
int names_begin(struct names *, const struct stacks *from); /* 0 or -ENOMEM */
uint32_t names_look_up(struct names *, uint32_t frame);	    /* 0 and stacks_failed(own) */

static inline uint32_t names_frame(struct names *n, uint32_t frame)
{
	return n->map[frame] ? n->map[frame] - 1 : names_look_up(n, frame);
}

/* Sorts own frames by name, module and type: ranks[frame] rises with it. Only of frames that `used`
 * says. *order[0..*n): the frames. All to free(). 0 or -ENOMEM. */
int names_sort(const struct names *, const uint8_t *used, uint32_t **order, uint32_t *n);

/* Strings written out: those that are asked for, once each. */
struct strings_out {
	const struct stacks *from;
	uint32_t *map; /* index + 1 by string of `from` */
	uint32_t *strings;
	char *text;
	uint32_t n, cap, len, cap_text;
	bool failed;
};
int strings_out_begin(struct strings_out *, const struct stacks *from); /* string 0 is "" */
uint32_t strings_out_add(struct strings_out *, uint32_t string);
void strings_out_done(struct strings_out *); /* but strings and text, when they were taken */

/* ---- fold_merge.c: the tree that epochs are added to ---- */

struct fold_weight {
	uint64_t own;  /* of the node without those of its children that are in the tree */
	uint64_t self; /* of the node itself */
};

/* Which processes a node stands for: pairs, in a hash table. */
struct fold_pids {
	struct {
		uint32_t frame, pid; /* frame 0: free */
	} * v;
	uint32_t n, cap;
};

struct fold {
	struct fold_request request;
	struct names names; /* names.own's nodes are the tree */
	struct fold_weight
		*weight[2]; /* by node: of the ranges; of the baseline, NULL without one */
	uint32_t cap_weight, left_out;
	struct fold_sum sum[2];
	unsigned n_sides;
	struct fold_pids pids;
};

int fold_reserve(struct fold *, uint32_t n); /* weights of n nodes. 0 or -ENOMEM */
/* A node of the tree below `parent`, with zero weights when it is new. UINT32_MAX: no memory. */
uint32_t fold_node_get(struct fold *, uint32_t parent, uint32_t frame);
/* The same for one that is known not to be there. */
uint32_t fold_node_append(struct fold *, uint32_t parent, uint32_t frame);
/* Nodes of a set, and how much of each there is. */
struct fold_part {
	const struct stacks *from;
	uint64_t *weights
		[2]; /* by side and node: of the node itself. Overwritten where it is not 0. */
	const uint32_t
		*list; /* those with a weight or one below them, rising, but the root; NULL: all */
	uint32_t n, most; /* of the list; about how many nodes to keep at most */
	uint32_t to;	  /* node of the tree that its root is */
	bool alone;	  /* nothing is below that yet */
};
int fold_merge(struct fold *, struct fold_part *); /* 0 or -ENOMEM */
/* Keeps at most n nodes, those of most weight. 0 or -ENOMEM. */
int fold_prune(struct fold *, uint32_t n);
/* Keeps what only the baseline has, and what is above that. 0 or -ENOMEM. */
int fold_elide(struct fold *);
/* Totals of all nodes, of one side; to free(). NULL: no memory. */
uint64_t *fold_totals(const struct fold *, unsigned side);
/* ---- fold_tasks.c ---- */

/* The node for a task: the root, or that of its process or thread. UINT32_MAX: no memory. */
uint32_t fold_task_node(struct fold *, const struct stacks *, uint32_t task);
/* Before the tree is written: "comm 1234", or "comm ×3" for several processes. 0 or -ENOMEM. */
int fold_name_tasks(struct fold *);
void fold_pids_done(struct fold_pids *);

int fold_write(struct fold *, struct fold_tree **ret); /* fold_order.c */

#endif
