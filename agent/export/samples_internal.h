/* What samples.c and sample_blocks.c share. Nobody else includes this. */
#ifndef STROBE_EXPORT_SAMPLES_INTERNAL_H
#define STROBE_EXPORT_SAMPLES_INTERNAL_H

#include "export/samples.h"

struct item {
	uint32_t metric, name; /* name: offset in the read's names */
	int64_t value;
	bool rate;
};

/* One read of a group, until its time has come. One allocation. */
struct read {
	struct read *next;
	int64_t at_us, real_off_us; /* the offset counts for those of blocks */
	bool of_block;
	const struct mirror_group *group;
	size_t n;
	char *names;
	struct item items[];
};

/* A group as it was before the tick at hand. */
struct before {
	bool any; /* some metric of it is wanted */
	bool *wanted;
	bool resting;
	uint64_t acquired_us;
	uint32_t period_ms, n_slots, cap_slots;
	uint32_t *gens; /* 0: not live */
	int64_t *rows;
};

/* The catalog of blocks. */
struct block_catalog {
	struct block_catalog *next;
	uint32_t crc;
	struct mirror mirror;
	struct before *before; /* of each group: what is wanted of it */
};

struct samples {
	struct samples_config c;
	struct capture_walk walk;
	struct before *before; /* n_groups of the walk's mirror, once it has a catalog */
	uint32_t n_groups;
	struct read *first, *last;
	struct read
		*inserted; /* the one put in last, NULL: it was given: the next mostly follows it */
	struct block_catalog *catalogs; /* the newest first */
	char boot_id[40];		/* of the last block */
};

/* Space for n items and names; NULL: no memory. */
struct read *samples_read_new(const struct mirror_group *, int64_t at_us, size_t n_max,
			      size_t names_max);
void samples_insert(struct samples *, struct read *);
/* Gives what lies up to there. */
int samples_give_until(struct samples *, int64_t us);
/* Which metrics are wanted. NULL: no memory. */
struct before *samples_want(const struct samples *, const struct mirror *);
void samples_forget_want(struct before *, uint32_t n_groups);
/* A counter's value as a rate, where it is to be one; false: none can be told. */
bool samples_rate(int64_t base, uint64_t dt_us, struct item *);
void samples_forget_blocks(struct samples *);

/* Times may be anything in a file that somebody made. */
static inline int64_t samples_plus(int64_t us, int64_t more_us)
{
	return (int64_t)((uint64_t)us + (uint64_t)more_us);
}
/* What is read before `us` has come by then: how late a worker may publish. */
static inline int64_t samples_settled_us(int64_t us)
{
	return us < INT64_MIN + 2000000 ? INT64_MIN : us - 2000000;
}

#endif
