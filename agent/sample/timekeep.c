#include "sample/timekeep.h"

#include "base/clock.h"

#include <stdlib.h>

enum { APART_NS = 100000, TRIES = 3, STEP_US = 1000, PERIOD_US = 60000000 };

bool timekeep_read(struct clock_reading *ret)
{
	for (int i = 0; i < TRIES; i++) {
		uint64_t before = clock_ns(CLOCK_MONOTONIC);
		uint64_t real = clock_ns(CLOCK_REALTIME);
		uint64_t boot = clock_ns(CLOCK_BOOTTIME);
		uint64_t after = clock_ns(CLOCK_MONOTONIC);
		uint64_t mono = before + (after - before) / 2;

		if (after - before > APART_NS)
			continue;
		ret->mono_us = mono / 1000;
		ret->real_off_us = (int64_t)(real - mono) / 1000;
		ret->boot_off_us = (int64_t)(boot - mono) / 1000;
		return true;
	}
	return false;
}

bool timekeep_judge(struct timekeep *t, const struct clock_reading *r, struct clock_change *ret)
{
	int64_t slept = r->boot_off_us - t->recorded.boot_off_us;
	int64_t stepped = r->real_off_us - t->recorded.real_off_us - slept;

	*ret = (struct clock_change){.reason = CLOCK_PERIODIC};
	if (!t->recorded.mono_us) {
		ret->reason = CLOCK_START;
	} else if (llabs(slept) >= STEP_US) {
		ret->reason = CLOCK_SUSPEND;
		ret->suspend_us = slept;
	} else if (llabs(stepped) >= STEP_US) {
		ret->reason = CLOCK_STEP;
		ret->step_us = stepped;
	} else if (r->mono_us - t->recorded.mono_us < PERIOD_US) {
		return false;
	}
	t->recorded = *r;
	return true;
}
