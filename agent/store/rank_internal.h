/* What rank.c and rank_gather.c share. Nobody else includes this. */
#ifndef STROBE_STORE_RANK_INTERNAL_H
#define STROBE_STORE_RANK_INTERNAL_H

#include "store/rank.h"
#include "store/rank_score.h"
#include "store/sweep.h"

enum stretch { NOW, BEFORE, N_STRETCHES };

/* One series. */
struct series {
	struct rank_column column[N_STRETCHES];
	double sum[N_STRETCHES]; /* of the mean in the making, and how many it has */
	uint32_t n_sum[N_STRETCHES];
	uint32_t n[N_STRETCHES]; /* samples taken */
	int64_t min, max;	 /* NOW */
};
struct one { /* instance */
	uint32_t n[N_STRETCHES];
	bool left_out;
	uint32_t n_metrics;
	struct series *series; /* one a metric; NULL until it is looked at */
};
struct part { /* group */
	uint32_t n[N_STRETCHES];
	uint32_t mean_of; /* reads (or buckets) a sample is the mean of */
	uint32_t period_ms;
};

struct rank {
	const struct rank_request *rq;
	int64_t from_us[N_STRETCHES], to_us[N_STRETCHES];
	bool coarse; /* what is ranked are buckets of rollups, and summaries where there are none */
	struct sweep *w;
	const struct mirror *mapped; /* what `map` is of */
	uint32_t *map;		     /* group of a block to that of the newest catalog, + 1 */
	uint32_t n_map;
	struct part *parts;
	uint32_t n_parts;
	struct sweep_names names;
	struct one *ones;
	uint32_t cap_ones;
	int64_t *values;
	struct block_mini *buckets;
	struct block_changes changes;
	uint16_t n_steps[BLOCK_READS + 1]; /* of the group: how many reads before have a dt_us */
};

/* Each for sweep_each(), with a struct rank. First: who was there, and for how long. */
int rank_count(void *rank, const struct history_block *);
/* Then, once rank_decide() has said who is left out: their samples. */
int rank_take(void *rank, const struct history_block *);
/* How samples are made, and who is left out. */
void rank_decide(struct rank *);

#endif
