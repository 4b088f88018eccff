/*
 * Keeps the record of the other clocks: a CLOCK frame at the start, each minute, and when realtime
 * or boottime leaves its offset to CLOCK_MONOTONIC by 1 ms. All three are slewed alike, so what
 * changes an offset is a step or a suspend.
 */
#ifndef STROBE_SAMPLE_TIMEKEEP_H
#define STROBE_SAMPLE_TIMEKEEP_H

#include "store/frame.h"

struct clock_reading {
	uint64_t mono_us;
	int64_t real_off_us, boot_off_us; /* that clock minus CLOCK_MONOTONIC */
};

struct timekeep {
	struct clock_reading recorded; /* the newest record; mono_us 0: none yet */
};

struct clock_change {
	enum clock_reason reason;
	int64_t suspend_us; /* CLOCK_SUSPEND: how long the host slept */
	int64_t step_us;    /* CLOCK_STEP: by how much realtime was set */
};

/* Reads the three clocks within 100 us of each other. False: interrupted each time, try later. */
bool timekeep_read(struct clock_reading *ret);

/* True when this reading has to be recorded; it is then the newest record and *ret says why. */
bool timekeep_judge(struct timekeep *, const struct clock_reading *, struct clock_change *ret);

#endif
