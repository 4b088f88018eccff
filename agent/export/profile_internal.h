/* What the formats share, one file each. */
#ifndef STROBE_EXPORT_PROFILE_INTERNAL_H
#define STROBE_EXPORT_PROFILE_INTERNAL_H

#include "base/idmap.h"
#include "export/emit.h"
#include "stacks/epoch.h"

/* Are weights no times, and if bytes how many 1 of them is ("MiB"); 0: none. */
bool profile_is_counted(const struct profile_about *, uint64_t *ret_bytes);

static inline const char *profile_title(const struct profile_about *about)
{
	return about->title && *about->title ? about->title : "strobe";
}

/* ---- trees ---- */

static inline const char *tree_text(const struct fold_tree *t, uint32_t string)
{
	return string < t->n_strings ? t->text + t->strings[string] : "";
}
/* A weight of the baseline, brought to what was seen of the ranges. */
uint64_t tree_scaled(const struct fold_tree *, uint64_t base_us);
/* By whose n and weight_us times become samples: one rate for both, else a burst would look like ten times the work. */
const struct fold_sum *tree_rate(const struct fold_tree *);
static inline bool tree_is_diff(const struct fold_tree *t)
{
	return t->base.span_us != 0;
}
/* "kernel", "user", ...; "" */
const char *tree_type_name(const struct fold_tree *, uint32_t node);
/* A thread or process frame, not one of code. */
static inline bool tree_is_task(const struct fold_node *n)
{
	return n->type == STACKS_TYPES;
}

/* The member "missing", where there is something to say. */
void put_missing(struct emit *, const struct profile_about *);

int profile_folded(const struct fold_tree *, const struct profile_about *, struct emit *);
int profile_pprof(const struct fold_tree *, const struct profile_about *, struct emit *);
int profile_html(const struct fold_tree *, const struct profile_about *, struct emit *);
int profile_svg(const struct fold_tree *, const struct profile_about *, struct emit *);
int profile_json(const struct fold_tree *, const struct profile_about *, struct emit *);

/* ---- samples ---- */

/* A sample's place in s->samples. */
struct profile_rows {
	uint32_t *rows; /* by (pid, tid), then time, or by time */
	size_t n;
};

struct profile_set {
	const struct stacks *s;
	const struct stacks_filter *filter;
	int64_t from_us, to_us;
	const struct profile_about *about;
	struct profile_rows by_time, by_thread;
};
/* Does a sample of that set, or of a copy of its, pass the filter? */
bool profile_passes(const struct profile_set *, const struct stacks *,
		    const struct stacks_sample *);
/* Frames of a node from the root down, into frames[max]; how many. Deeper ones lose their innermost frames. */
size_t profile_path(const struct stacks *, uint32_t node, uint32_t *frames, size_t max);
enum { PROFILE_DEPTH_MAX = 16384 };
bool profile_same_thread(const struct profile_set *, size_t a, size_t b); /* of by_thread */

int profile_speedscope(const struct profile_set *, struct emit *);
int profile_firefox(const struct profile_set *, struct emit *);
int profile_perfetto(const struct profile_set *, struct emit *);
int profile_perf_script(const struct profile_set *, struct emit *);
int profile_strobe(const struct profile_set *, struct emit *);

#endif
