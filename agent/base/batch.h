/*
 * The rows of one group: what a collector writes into, and what the sampler diffs and appends.
 *
 * Invariants
 *  - A slot is a row index; an instance is (slot, gen). gen rises each time the slot is given to
 *    another instance and is 1 for the first. A slot freed in one pass is given away in a later
 *    one.
 *  - Everything is reserved by batch_init(); no other function allocates, locks, blocks or logs.
 *  - `rows` holds the newest values, `prev` those of the last committed tick.
 *
 * Life cycle: batch_init; [batch_restore...]; then per pass: batch_begin, the collector's sample(),
 * batch_finish, the encoder reads started/ended/touched/attr_dirty, batch_commit. Then batch_done.
 * When sample() fails, finish and commit are left out: what that pass changed is in the lists of
 * the next one. Single-threaded: it belongs to the sampler (or to the worker that runs a blocking
 * collector).
 */
#ifndef STROBE_BASE_BATCH_H
#define STROBE_BASE_BATCH_H

#include "base/metric.h"

#include <stddef.h>

struct instance {
	uint64_t id;   /* the source's own identity (see batch_find_id); 0 for named instances */
	uint32_t gen;  /* 0: the slot was never used */
	uint32_t seen; /* the pass in which it was last read or kept */
	bool live;
	char name[INSTANCE_NAME_MAX]; /* NUL-ended UTF-8 without control bytes; "" for the singular
					 row */
};

struct batch {
	const struct group *group;
	uint32_t n_metrics, n_attrs;
	uint32_t cap;	  /* slots reserved */
	uint32_t n_slots; /* slots ever used: rows [0, n_slots) */
	uint32_t n_live;
	uint64_t tick; /* number of the tick being sampled: a file read for one group serves the
			  rest */
	uint32_t pass;
	uint64_t n_refused; /* instances that found no free slot, since init */

	int64_t *rows, *prev;  /* cap x n_metrics, row-major by slot */
	struct instance *inst; /* cap */
	/* since the last commit: */
	uint32_t *touched, n_touched; /* slots whose row was asked for, each once */
	uint32_t *started, n_started; /* slots given away and still live */
	uint32_t *ended, n_ended;     /* slots freed that a reader knows; disjoint from started */
	uint32_t *attr_dirty,
		n_attr_dirty;	       /* slot * n_attrs + key, changed since the last commit */
	char (*attrs)[ATTR_VALUE_MAX]; /* cap x n_attrs, NUL-ended UTF-8 */

	/* private */
	uint32_t *touched_epoch, *attr_epoch, *hash, *free_slots, *order;
	uint32_t epoch, hash_mask, n_free, pos, n_seen;
	void *map;
	size_t map_len;
};

/* Reserves everything for `cap` slots (group->max_instances when cap is 0); untouched rows cost no
 * memory. 0 or -ENOMEM, -EINVAL. */
int batch_init(struct batch *, const struct group *, uint32_t cap);
void batch_done(struct batch *); /* NULL and zeroed are fine */

/* Before a pass. `tick` is the sampler's tick number. */
void batch_begin(struct batch *, uint64_t tick);
/* After a successful sample(): in a group that is not managed, ends what this pass did not read. */
void batch_finish(struct batch *);
/* After the rows were written to the log: prev = rows of what was touched, lists and dirty
 * cleared. */
void batch_commit(struct batch *);

/* Where the collector fills a batch on another thread: makes `to`, a batch of the same group that
 * the sampler owns, show what `from` has since the last time, for the encoder to read and commit;
 * `from` is committed. Nothing else may change `to`. */
void batch_publish(struct batch *to, struct batch *from);
/* Before the first pass: makes the fresh batch `to` hold the instances, generations, values and
 * attributes of `from`. 0 or -EINVAL (another group). */
int batch_clone(struct batch *to, const struct batch *from);

/* ---- for collectors ---- */

/* The row of a singular group, n_metrics values to overwrite; live from the first call on. */
int64_t *batch_row(struct batch *);
/* The row of the instance called name, started if new (zero-filled). NULL: no slot is free (the
 * instance is counted in n_refused and left out). Cheap when called in the same order each pass.
 * The name is any bytes: it is cut to fit and what is no printable UTF-8 becomes '?'. */
int64_t *batch_row_named(struct batch *, const char *name, size_t len);

/* Managed groups: the slot of id, or -1. */
int32_t batch_find_id(const struct batch *, uint64_t id);
/* Starts an instance; its row is zero-filled. The slot, or -ENOSPC (counted in n_refused). */
int32_t batch_start(struct batch *, uint64_t id, const char *name, size_t len);
/* The row of a live slot, marked as read in this pass. */
int64_t *batch_row_slot(struct batch *, uint32_t slot);
/* Ends a live instance. It may have been started in the same pass: then nobody sees it. */
void batch_end(struct batch *, uint32_t slot);

/* Sets attribute `key` (index into group->attrs) of a live slot; no-op when equal. Cut to fit at a
 * UTF-8 boundary, invalid bytes become '?'. */
void batch_attr(struct batch *, uint32_t slot, uint32_t key, const char *value, size_t len);

/* ---- for recovery ---- */

/* Before the first pass: slot `slot` was (id, gen, name), live or not, with these values
 * (n_metrics, or NULL). -EINVAL when it does not fit this group. */
int batch_restore(struct batch *, uint32_t slot, uint32_t gen, uint64_t id, const char *name,
		  bool live, const int64_t *values);

#endif
