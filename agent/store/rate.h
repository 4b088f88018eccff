/*
 * How a counter becomes a rate: one rule for the log's queries, for sealed blocks and for their
 * summaries.
 *
 * A rate is told across two successive reads of a group unless one of the values is absent, the
 * counter fell, or the step is a hole: the group rested in between, or the reads lie further apart
 * than 2.5 of the group's periods.
 */
#ifndef STROBE_STORE_RATE_H
#define STROBE_STORE_RATE_H

#include <stdint.h>

/* Thousandths of a stored unit a second. dt_us is not 0. */
static inline int64_t rate_of(uint64_t delta, uint64_t dt_us)
{
	double r;

	if (delta <= INT64_MAX / 1000000000)
		return (int64_t)((delta * 1000000000 + dt_us / 2) / dt_us);
	r = (double)delta * 1e9 / (double)dt_us;
	return r < 9.2e18 ? (int64_t)r : INT64_MAX;
}

/* The time a step took, or 0 when it is a hole. before_us 0: there was no read before. The longer
 * of the periods in force before and after the step counts. */
static inline uint64_t rate_step_us(uint64_t before_us, uint64_t at_us, uint64_t period_ms)
{
	uint64_t dt_us = before_us && at_us > before_us ? at_us - before_us : 0;

	return period_ms && dt_us > period_ms * 2500 ? 0 : dt_us;
}

#endif
