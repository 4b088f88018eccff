/*
 * 64-bit counts out of the kernel's 32-bit ones, for sources whose set of rows or CPUs changes:
 * what a collector sums up itself must neither wrap nor step when a part of it goes away and comes
 * back.
 */
#ifndef STROBE_BASE_COUNTER_H
#define STROBE_BASE_COUNTER_H

#include <stdbool.h>
#include <stdint.h>

/* What a 32-bit counter rose by from `last` to `now`, across a wrap; 0 when it fell by more than a
 * wrap explains: it was reset. */
static inline uint32_t counter_step32(uint32_t last, uint32_t now)
{
	uint32_t d = now - last;

	return d >> 31 ? 0 : d;
}

/* A count that goes on for ever, fed with sums of 32-bit counters. Zeroed: nothing known yet. */
struct running {
	int64_t total, last;
	bool known;
};

/* Takes the newest sum; returns what `total` rose by. The first sum is taken as it is (returns 0).
 * `rebase`: its parts are not those of the last sum, so the difference means nothing. */
static inline int64_t running_add(struct running *r, int64_t now, bool rebase)
{
	int64_t d = 0;

	if (!r->known) {
		r->total = now;
		r->known = true;
	} else if (!rebase) {
		d = now - r->last;
		if (d < 0) /* one of the parts wrapped, or all were reset */
			d = d + (INT64_C(1) << 32) < INT64_C(1) << 31 ? d + (INT64_C(1) << 32) : 0;
		d = d < 0 ? 0 : d;
		r->total += d;
	}
	r->last = now;
	return d;
}

#endif
