/* The summaries of a cell in a block: written by block_write.c, read by block_values.c. */
#ifndef STROBE_STORE_BLOCK_SUMMARY_H
#define STROBE_STORE_BLOCK_SUMMARY_H

#include "store/block_format.h"
#include "store/column.h"

enum {
	SUMMARY_CHANGES = 128, /* cells with fewer changes have none: they are read as fast */
	SUMMARY_BYTES = BLOCK_MINIS_MAX * 7 * VARINT_MAX
};

/* Where the reads of an instance lie. */
struct summary_place {
	uint32_t first, n;	 /* reads of the group */
	bool has_base;		 /* the column begins with the value before them */
	const uint64_t *dt_us;	 /* of all reads of the group */
	const uint16_t *n_steps; /* how many of the reads before each have a dt_us; for
				  * summary_of_changes() */
};

/* Writes the summary of a column to `to`, SUMMARY_BYTES; its length, 0: it has none. */
size_t summary_put(const struct summary_place *, const struct column *, bool of_rates, uint8_t *to);
/* Reads the summary that stands in [p, end). False: damaged. */
bool summary_get(const struct summary_place *, const uint8_t *p, const uint8_t *end, bool of_rates,
		 int64_t first, struct block_mini minis[BLOCK_MINIS_MAX]);
/* What the values say, told by changes: in time that follows those. */
void summary_of_changes(const struct summary_place *, const struct column *, bool of_rates,
			struct block_mini minis[BLOCK_MINIS_MAX]);
/* What the values say. */
void summary_of(const struct summary_place *, int64_t base, const int64_t *values, bool of_rates,
		struct block_mini minis[BLOCK_MINIS_MAX]);

#endif
