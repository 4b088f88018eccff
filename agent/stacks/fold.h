/*
 * What people look at: a range of stacks as a tree, as a heat map, as a row of samples in time.
 * Pure functions over one or more sets of stacks.
 */
#ifndef STROBE_STACKS_FOLD_H
#define STROBE_STACKS_FOLD_H

#include "stacks/stacks.h"

/* Which samples count. */
struct stacks_filter {
	enum stacks_kind kind;
	int32_t cpu;	     /* -1: all */
	uint32_t pid, tid;   /* 0: all */
	uint32_t classes;    /* of STACKS_OFF: 1 << enum stacks_class, or'ed; 0: all */
	const char *cgroup;  /* path, or a path above it; NULL: all */
	const char *process; /* comm of the process; NULL: all */
	uint32_t min_us;     /* of STACKS_OFF: no shorter ones; 0: all */
};

/* By pid, tid, cgroup and process alone. */
bool stacks_filter_has_task(const struct stacks_filter *, const struct stacks *, uint32_t task);

struct stacks_range {
	int64_t from_us, to_us;
};
enum { FOLD_RANGES_MAX = 16 };

/* ---- tree ---- */

struct fold_request {
	struct stacks_range ranges[FOLD_RANGES_MAX]; /* do not overlap */
	struct stacks_range base[FOLD_RANGES_MAX];   /* the baseline; none: no differential */
	size_t n_ranges, n_base;
	struct stacks_filter filter;
	bool by_process; /* below the root one frame for the processes of a name: "comm pid", "comm ×12" */
	bool by_thread; /* and below that one for each thread, "comm tid" */
	/* Only what the baseline has and the ranges have not, the lost stacks, and what is above them: base_total_us
	 * of that is what it lost below, base_self_us 0. */
	bool elided;
	/* The lightest ones are left out beyond it, those of a set of stacks before they are merged by name; what is above
	 * them has their weight in its total. 0: 200,000. */
	uint32_t max_nodes;
};

struct fold_node {
	uint32_t parent;   /* smaller; node 0 is the root */
	uint32_t name;	   /* string of the tree */
	uint32_t module;   /* string: last component of its path; 0: none */
	uint8_t type;	   /* enum stacks_type; of a process or thread frame STACKS_TYPES */
	uint16_t depth;	   /* of the root 0 */
	uint64_t addr;	   /* with the module tells where it is: for a FrameRequest; 0: unknown */
	uint32_t build_id; /* string */
	/* Of the first node of a function, of the others 0: addr + self_at - 1 is where it ran most, addr + call_at - 1
	 * where it called most, in all of the sets that were added; 0: unknown. See struct stacks_place. */
	uint32_t self_at, call_at;
	uint64_t total_us, self_us; /* weights */
	uint64_t base_total_us, base_self_us;
};

struct fold_sum {
	uint64_t n, weight_us; /* samples, their weights */
	uint64_t span_us;      /* of the ranges */
	uint64_t shallow, truncated, lost, throttled;
	uint32_t hz_min, hz_max; /* in force during it; 0: unknown */
	uint64_t covered_us;	 /* of span_us, during which a profiler ran */
};

struct fold_tree {
	struct fold_node *nodes; /* depth first, children in order of name */
	uint32_t n_nodes, left_out;
	const char *text;
	uint32_t *strings;
	uint32_t n_strings;
	struct fold_sum sum, base;
	void *private;
};

/* One or more epochs, in any order, then finish. Of stretches off the CPU also later epochs
 * (profiles_each_off): one that ends after a range may reach into it. A set without times (has_time) counts as
 * within the first range.
 * Frames of one function are one node whichever epoch or
 * address they come from: by (name, module, type). */
struct fold;
int fold_begin(struct fold **ret, const struct fold_request *); /* 0, -EINVAL, -ENOMEM */
int fold_add(struct fold *, const struct stacks *);		/* 0 or -ENOMEM */
int fold_finish(struct fold *, struct fold_tree **ret);		/* frees the fold, also on error */
void fold_abort(struct fold *);
/* Whether stacks_sum() of a set with those times does as well as the set. */
bool fold_takes_sum(const struct fold_request *, int64_t from_us, int64_t to_us);
void fold_tree_free(struct fold_tree *);

/* ---- heat map ---- */

enum heat_rows { HEAT_OFFSET, HEAT_CPU, HEAT_PROCESS, HEAT_THREAD, HEAT_CGROUP };

struct heat_request {
	int64_t from_us;    /* where the first column begins (a whole second of the wall clock) */
	uint64_t column_us; /* 1 s, 1 min, 5 min or another */
	uint32_t n_columns; /* at most 4,096 */
	enum heat_rows by;
	uint32_t
		n_rows; /* HEAT_OFFSET: rows a column; others: at most so many, the busiest; at most 512 */
	struct stacks_filter filter;
	const char *pattern; /* POSIX extended regular expression over frame names; NULL: none */
	bool ignore_case;
};

struct heat_row {
	uint32_t pid, tid; /* HEAT_PROCESS, HEAT_THREAD */
	int32_t cpu;	   /* HEAT_CPU; else -1 */
	char *label;
	uint64_t total_us;
};

struct heat {
	uint32_t n_columns, n_rows;
	/* [column * n_rows + row]. HEAT_OFFSET: row 0 is the start of the column. A stretch of STACKS_OFF is spread over
	 * the cells that it covers. */
	uint32_t *weight_us;
	uint32_t *
		matched_us; /* of samples with a frame that the pattern matches; NULL without one */
	uint32_t *lost;	    /* per column */
	uint8_t *covered;   /* per column: 0 no profiler ran, 255 all of it */
	struct heat_row *rows; /* NULL for HEAT_OFFSET */
	uint64_t n_samples, n_matched;
};

struct heater;
/* -EBADMSG: the pattern is no regular expression, err[err_len] says why. */
int heat_begin(struct heater **ret, const struct heat_request *, char *err, size_t err_len);
int heat_add(struct heater *, const struct stacks *);
int heat_finish(struct heater *, struct heat **ret); /* frees the heater, also on error */
void heat_abort(struct heater *);
/* What a set adds to a map of HEAT_OFFSET, kept for other maps with the same columns, rows, filter and pattern, which are
 * those with the same text: heat_part_key(), to free(); NULL: there are no such parts, or no memory. Of a set whose times lie in
 * the map, by STACKS_LATE_US. */
struct heat_part;
char *heat_part_key(const struct heat_request *);
bool heat_part_fits(const struct heater *, int64_t from_us, int64_t to_us);
int heat_part_make(struct heater *, const struct stacks *,
		   struct heat_part **ret); /* 0 or -errno */
size_t heat_part_bytes(const struct heat_part *);
void heat_part_add(struct heater *, const struct heat_part *);
void heat_part_free(struct heat_part *); /* NULL is fine */
void heat_free(struct heat *);

/* ---- in order of time: a flame chart ---- */

struct chart_request {
	int64_t from_us, to_us;
	struct stacks_filter filter; /* with a tid, or a pid */
	uint32_t max_samples;	     /* 0: 20,000 */
};
struct chart_sample {
	int64_t at_us;
	uint32_t weight_us, node, tid; /* node of the chart's own tree */
	uint32_t pid, comm;	       /* comm: string, of the thread then */
	uint16_t cpu;
	uint8_t kind, class;
};
struct chart {
	struct fold_node
		*nodes; /* parents first; only parent, name, module, type and depth are set */
	uint32_t n_nodes;
	const char *text;
	uint32_t *strings;
	uint32_t n_strings;
	struct chart_sample *samples; /* by tid, then time */
	uint32_t n_samples, left_out;
	void *private;
};
struct charter;
int chart_begin(struct charter **ret, const struct chart_request *);
int chart_add(struct charter *, const struct stacks *);
int chart_finish(struct charter *, struct chart **ret);
void chart_abort(struct charter *);
void chart_free(struct chart *);

/* ---- who ran ---- */

struct tasks_row {
	uint32_t pid, tid; /* tid 0: the process */
	char *comm, *cgroup;
	uint64_t weight_us, n, base_us;
};
/* Processes (or threads) by weight, the largest first, at most `limit`. *ret to tasks_free(). */
struct tasks;
int tasks_begin(struct tasks **ret, const struct fold_request *, bool threads);
int tasks_add(struct tasks *, const struct stacks *);
int tasks_finish(struct tasks *, size_t limit, struct tasks_row **ret, size_t *n);
void tasks_abort(struct tasks *);
void tasks_free(struct tasks_row *, size_t n);

#endif
