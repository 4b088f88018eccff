/*
 * 64-bit counts out of the kernel's 32-bit ones, for sources whose set of rows or CPUs changes:
 * what a collector sums up itself must neither wrap nor step when a part of it goes away and comes
 * back.
 */
#ifndef STROBE_BASE_COUNTER_H
#define STROBE_BASE_COUNTER_H

#include <stdint.h>

/* What a 32-bit counter rose by from `last` to `now`, across a wrap; 0 when it fell by more than a
 * wrap explains: it was reset. */
static inline uint32_t counter_step32(uint32_t last, uint32_t now)
{
	uint32_t d = now - last;

	return d >> 31 ? 0 : d;
}

#endif
