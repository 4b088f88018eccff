/*
 * The CPU budget. When the sampler uses more than its share, the collector that costs most a second
 * is read at twice its period, then the one that costs most now, and so on until the rest fits.
 * When there has been room for a while, the cheapest get their periods back as far as four fifths
 * of the budget reach. Each return that did not last makes the next one wait twice as long.
 */
#ifndef STROBE_SAMPLE_BUDGET_H
#define STROBE_SAMPLE_BUDGET_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum {
	BUDGET_WINDOW_MS = 5000,
	BUDGET_URGENT_MS = 1000,   /* judged this soon when a tick took longer than its period */
	BUDGET_LONGEST_MS = 10000, /* no period is stretched beyond it */
	BUDGET_CALM_WINDOWS = 3,   /* with room, before anything is given back */
	BUDGET_PATIENCE_MAX = 96   /* the same after many returns that did not last */
};

struct budget_group { /* of a collector: they share files and passes, so they slow down together */
	uint64_t cost_ns;		   /* of one read, wall clock, averaged */
	uint32_t period_ticks, base_ticks; /* in force; without the budget. period >= base >= 1 */
	bool fixed;			   /* set by the user: never touched */
	bool idle;			   /* not read now: costs nothing and is not touched */
};

struct budget {
	uint32_t limit_ppm;    /* of one core; 0: no limit */
	uint32_t calm;	       /* windows in a row that had room */
	uint32_t patience;     /* windows of calm wanted; 0: BUDGET_CALM_WINDOWS */
	uint32_t since_return; /* windows since the last return; 0: none yet */
};

/* Judges a window in which the sampler used used_ppm of one core, and changes the period_ticks of
 * groups[n] by powers of two. True: at least one was changed. */
bool budget_judge(struct budget *, uint32_t used_ppm, struct budget_group *groups, size_t n,
		  uint32_t rate_hz);

#endif
