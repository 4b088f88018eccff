/*
 * All series of a stretch of the timeline, block by block: what is sealed as it is, the rest of the
 * log as blocks that are made for the occasion: some 20 ms for a minute of 5,000 series, too little to
 * keep them for the next request (bench rank_5000_unsealed_ms beside rank_5000_ms). For whoever looks
 * at everything; for a few series the query is cheaper.
 */
#ifndef STROBE_STORE_SWEEP_H
#define STROBE_STORE_SWEEP_H

#include "store/history.h"

enum { SWEEP_BLOCKS_MAX = 4096 };

struct sweep {
	struct history *h;
	int64_t from_us, to_us;
	struct mirror *catalog; /* the newest */
	const _Atomic bool *cancel;
	struct history_walk walk;
	struct sweep_tail *tail; /* private */
	size_t n_tail, n_blocks;
};

/* Seals what is not sealed. 0; -ENOENT: nothing is held; -E2BIG: more than SWEEP_BLOCKS_MAX blocks;
 * -ENOMEM, -ECANCELED, -EBADMSG. sweep_end() it in any case. */
int sweep_begin(struct sweep *, struct history *, int64_t from_us, int64_t to_us,
		const _Atomic bool *cancel);
/* Hands out the blocks, oldest first; those that are damaged are passed over. Stops at the first
 * result that is not 0 and returns it. Polls *cancel. */
int sweep_each(struct sweep *, int (*each)(void *arg, const struct history_block *), void *arg);
void sweep_end(struct sweep *);

/* The group of the newest catalog that a block's group is, with the same metrics in the same order and
 * units; NULL: none. */
const struct mirror_group *sweep_group(const struct sweep *, const struct history_block *,
				       uint32_t group, uint32_t *ret);

/* Identities of instances across blocks and logs: numbers from 0 on. */
struct sweep_names {
	struct sweep_name {
		uint32_t group, slot, gen, log_number, chain;
		uint64_t id;
		char name[INSTANCE_NAME_MAX];
	} * v;
	uint32_t n, cap, *found, n_found;
};
/* The number of an instance of a group of the newest catalog; one past the last known: it is new.
 * -ENOMEM. */
int64_t sweep_find(struct sweep_names *, uint32_t group, const struct history_block *,
		   const struct block_instance *);
void sweep_names_done(struct sweep_names *);

#endif
