/*
 * A sealed block: what the log said between two points, turned into columns. Self-contained but for
 * the catalog, which it names by checksum. Immutable: memory, a ring on disk and capture files hold
 * the same bytes.
 *
 * (The format is described here: header, group directory, pages, chunks. The decoder of the tests is
 * written from this comment.)
 *
 * Invariants
 *  - Lossless: every read of every group, its time to the microsecond, every value, absence, start
 *    and end of an instance. Of attributes the last value in the block is kept.
 *  - A reader touches only the pages of what it asks for; each page has a crc32c and may be
 *    compressed. Damage is -EBADMSG for what lies in that page, never a wrong value.
 *  - A block tells rates on its own: it holds the time and the values of the read before its first.
 */
#ifndef STROBE_STORE_BLOCK_H
#define STROBE_STORE_BLOCK_H

#include "store/log.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum {
	BLOCK_READS = 512,  /* reads of the most often read group in a block, at most */
	BLOCK_MINI = 128,   /* reads a summary stands for */
	BLOCK_MINIS_MAX = (BLOCK_READS + BLOCK_MINI - 1) / BLOCK_MINI
};

struct block_head {
	uint8_t log_id[LOG_ID_LEN];
	char boot_id[40];
	uint64_t first_seq, last_seq; /* frames of that log the block stands for */
	uint64_t from_us, to_us;      /* CLOCK_MONOTONIC of that boot: first and last read held */
	int64_t real_off_us;	      /* wall clock - CLOCK_MONOTONIC, in force at to_us */
	uint32_t catalog_crc;	      /* crc32c of the CATALOG frame's payload */
	uint32_t n_groups;
	uint64_t n_samples;
};

/* The head of `len` bytes that begin with a block. 0, -EBADMSG, -EPROTONOSUPPORT (a newer format). */
int block_head_read(const uint8_t *data, size_t len, struct block_head *ret);

struct block_instance {
	uint32_t slot, gen;
	uint64_t id;
	const char *name;
	const char *const *attrs; /* of the group's n_attrs, NULL where unset; NULL: it has none */
	uint32_t first, n;	  /* it was there in reads [first, first + n) of the group */
	bool started, ended;	  /* in this block */
};
struct block_group {
	uint32_t group, n_metrics, n_attrs, period_ms; /* the period at the end of the block */
	uint32_t n_reads;
	const uint64_t *at_us;	/* n_reads, rising: when each was acquired */
	const uint64_t *dt_us;	/* n_reads: since the read before, 0 where no rate may be told */
	uint32_t n_instances;
	const struct block_instance *instances; /* by slot, then by generation */
};

struct block; /* an opened block: one thread at a time */

/* `data` outlives it. Verifies the head and the directory. 0, -EBADMSG, -EPROTONOSUPPORT, -ENOMEM. */
int block_open(struct block **ret, const uint8_t *data, size_t len);
void block_close(struct block *); /* NULL is fine */
const struct block_head *block_head(const struct block *);

/* The times and instances of a group; *ret is NULL when nothing was read of it. Kept until
 * block_close(). 0, -EBADMSG, -ENOMEM. */
int block_group(struct block *, uint32_t group, const struct block_group **ret);

/* All values of one metric of instance `i` of the group: instances[i].n of them into `values`
 * (VALUE_ABSENT where it could not be read), and the value of the read before the first into *base
 * (VALUE_ABSENT: it was not there). 0, -EBADMSG, -ENOMEM. */
int block_values(struct block *, const struct block_group *, uint32_t i, uint32_t metric,
		 int64_t *base, int64_t *values);

/* Reads [k * BLOCK_MINI, (k + 1) * BLOCK_MINI) of the group, of one metric of one instance: of a
 * counter's rates (rate.h, thousandths a second; `of_rates`), else of its values. What
 * block_values() would give, without decoding it. */
struct block_mini {
	uint32_t n; /* values, or rates, in it; 0: the rest means nothing */
	int64_t first, min, max, last;
	double sum;
};
/* Fills minis[0 .. ceil(n_reads / BLOCK_MINI)). 0, -EBADMSG, -ENOMEM. */
int block_minis(struct block *, const struct block_group *, uint32_t i, uint32_t metric,
		bool of_rates, struct block_mini minis[BLOCK_MINIS_MAX]);

/* EVENT and CLOCK frames of the block, oldest first: `each` gets their payloads as the log had them.
 * Stops at the first result that is not 0 and returns it. -EBADMSG. */
int block_frames(struct block *, int (*each)(void *arg, const struct frame *), void *arg);

#endif
