/* Clocks in whole microseconds and nanoseconds. */
#ifndef STROBE_BASE_CLOCK_H
#define STROBE_BASE_CLOCK_H

#include <stdint.h>
#include <time.h>

static inline uint64_t clock_ns(clockid_t id)
{
	struct timespec t;

	clock_gettime(id, &t);
	return (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
}

/* CLOCK_MONOTONIC, microseconds: the time of every stored sample. */
static inline uint64_t clock_mono_us(void)
{
	return clock_ns(CLOCK_MONOTONIC) / 1000;
}

/* CLOCK_REALTIME - CLOCK_MONOTONIC, microseconds: of several readings the one that took least, for a
 * thread may lose its CPU between the two. */
static inline int64_t clock_real_off_us(void)
{
	uint64_t least = UINT64_MAX;
	int64_t ret = 0;

	for (int i = 0; i < 8 && least > 5000; i++) {
		uint64_t before = clock_ns(CLOCK_MONOTONIC), real = clock_ns(CLOCK_REALTIME);
		uint64_t took = clock_ns(CLOCK_MONOTONIC) - before;

		if (took < least) {
			least = took;
			ret = (int64_t)(real - before - took / 2) / 1000;
		}
	}
	return ret;
}

/* The time `ns` from now, for sem_clockwait() and its like with CLOCK_MONOTONIC. */
static inline struct timespec clock_after(uint64_t ns)
{
	uint64_t at = clock_ns(CLOCK_MONOTONIC) + ns;

	return (struct timespec){.tv_sec = (time_t)(at / 1000000000),
				 .tv_nsec = (long)(at % 1000000000)};
}

#endif
