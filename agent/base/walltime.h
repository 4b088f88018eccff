/* Wall-clock times of microseconds since 1970 as text. Any int64 is a time. */
#ifndef STROBE_BASE_WALLTIME_H
#define STROBE_BASE_WALLTIME_H

#include <stdint.h>
#include <stdio.h>
#include <time.h>

enum { WALLTIME_LEN = 48 };

/* "2026-11-26T13:02:10.123456Z" */
static inline void walltime_iso(char ret[WALLTIME_LEN], int64_t wall_us)
{
	int us = (int)(wall_us % 1000000);
	time_t t = (time_t)(wall_us / 1000000) - (us < 0);
	struct tm tm = {0};
	char s[32] = "";

	gmtime_r(&t, &tm);
	if (!strftime(s, sizeof(s), "%Y-%m-%dT%H:%M:%S", &tm))
		s[0] = '\0'; /* a year of very many digits */
	snprintf(ret, WALLTIME_LEN, "%s.%06dZ", s, us < 0 ? us + 1000000 : us);
}

/* Seconds with a fraction, a number to JSON: "1764162130.123456" */
static inline void walltime_seconds(char ret[WALLTIME_LEN], int64_t wall_us)
{
	uint64_t us = wall_us < 0 ? -(uint64_t)wall_us : (uint64_t)wall_us;

	snprintf(ret, WALLTIME_LEN, "%s%llu.%06u", wall_us < 0 ? "-" : "",
		 (unsigned long long)(us / 1000000), (unsigned)(us % 1000000));
}

#endif
