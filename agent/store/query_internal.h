/* What query.c and query_watch.c share. Nobody else includes this. */
#ifndef STROBE_STORE_QUERY_INTERNAL_H
#define STROBE_STORE_QUERY_INTERNAL_H

#include "store/query.h"

enum { CELLS_MAX = 1 << 20 }; /* points of all series of one result together: 56 MiB */

/* One series while its instance lives, and after. */
struct watch {
	struct query_series series; /* points NULL until the first sample */
	size_t selector;
	uint32_t cell;	     /* index into the group's rows */
	uint32_t next;	     /* the next watch of the same slot, + 1 */
	uint32_t chain;	     /* the next older one of the same bucket of scan.found, + 1 */
	uint32_t log_number; /* whose slot and generation the series has */
	uint64_t id;
	bool rate;     /* of a counter */
	bool has_base; /* base is the value of the group's previous read */
	bool dropped;  /* ended before the range */
	int64_t base, value;
};

/* What is asked of one group. */
struct follow {
	bool wanted;
	bool resting;		 /* it was said not to be read: the next read begins anew */
	uint32_t *active, *cell; /* watches of live instances and their cells, which rise */
	uint32_t n_active, cap_active, cap_cell;
	uint32_t *by_slot, n_slots; /* the first watch of a slot's newest instance, + 1 */
};

struct scan {
	const struct query_request *rq;
	struct history *h;
	const _Atomic bool *cancel;
	struct query_result *res;
	struct mirror *m;
	struct follow *follow; /* of each group of the catalog */
	bool *wanted;	       /* the same as a plain array, for the mirror */
	uint32_t n_groups;
	struct watch *watch;
	uint32_t n_watch, cap_watch, n_kept;
	uint64_t n_cells;
	bool need_key;	    /* the next KEY is read, others only repeat what is known */
	bool resolved;	    /* some metric of the request exists */
	uint32_t *selected; /* per selector: group + 1, 0 unknown; then the metric */
	/* of blocks: */
	bool joins;	     /* series of blocks are to be continued */
	bool quiet;	     /* the frame is in a block: it only moves the state */
	uint64_t after_seq;  /* frames up to this one are */
	uint32_t log_number; /* of what is being read */
	uint32_t *found;     /* the newest watch of a hash of group, metric and name, + 1 */
	uint32_t n_found;    /* a power of 2 */
	uint64_t n_samples;
};

/* After a new catalog: which groups and metrics the selectors mean. 0 or -ENOMEM. */
int query_resolve(struct scan *);
void query_forget_groups(struct scan *);

/* After a KEY: makes the watches those of the instances that live now, with their values now.
 * Beyond the range no new ones are made. 0 or -ENOMEM. */
int query_sync(struct scan *);
/* An instance of a followed group started: watches what the selectors ask of it. 0 or -ENOMEM. */
int query_watch_slot(struct scan *, uint32_t group, uint32_t slot);
/* The slot's instance has ended at at_us: its series are kept if it was there in the range. */
void query_unwatch_slot(struct scan *, struct follow *, uint32_t slot, uint64_t at_us);
/* Moves the watched values on by what the group's body says. 0 or -EBADMSG. */
int query_apply(struct scan *, const struct tick_group *);
/* A group was read at at_us; dt_us since its previous read, 0: no rate can be told. */
void query_take(struct scan *, uint32_t group, uint64_t at_us, uint64_t dt_us);
/* The watch of a series of blocks, made if there is none. Its number, UINT32_MAX: no more than
 * QUERY_SERIES_MAX (the result is truncated), or -ENOMEM. */
int64_t query_find(struct scan *, size_t selector, const struct query_series *, uint64_t id);
/* Makes sure that a series has points. False: no memory, or over the limit (then it is
 * truncated). */
bool query_need_points(struct scan *, struct watch *);

/* ---- query_blocks.c ---- */

/* Takes what the blocks of the walk have. 0 or -errno of query_run(). */
int query_blocks(struct scan *, struct history_walk *);

static inline void query_add(struct query_point *p, int64_t v, int64_t at_us)
{
	if (!p->n) {
		p->first = p->min = p->max = v;
	} else {
		p->min = v < p->min ? v : p->min;
		p->max = v > p->max ? v : p->max;
	}
	p->last = v;
	p->sum += (double)v;
	p->last_us = at_us;
	p->n++;
}

#endif
