/*
 * The CPU budget: when the sampler uses more than its share, the group that costs most a second is
 * read at twice its period, up to once a second; when there is room again for three windows, the
 * cheapest stretched one gets half its period back. One step a window.
 */
#ifndef STROBE_SAMPLE_BUDGET_H
#define STROBE_SAMPLE_BUDGET_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { BUDGET_WINDOW_MS = 5000, BUDGET_CALM_WINDOWS = 3 };

struct budget_group {
	uint64_t cost_ns;                  /* of one read, wall clock, averaged */
	uint32_t period_ticks, base_ticks; /* in force; without the budget. period >= base >= 1 */
	bool fixed;                        /* set by the user or not read now: never touched */
};

struct budget {
	uint32_t limit_ppm; /* of one core; 0: no limit */
	uint32_t calm;      /* windows in a row that had room */
};

enum budget_action { BUDGET_KEEP, BUDGET_STRETCH, BUDGET_RELAX };

/* Judges a window in which the sampler used used_ppm of one core. *ret_group: whose period to double
 * (at most rate_hz ticks) or to halve (at least its base). */
enum budget_action budget_judge(struct budget *, uint32_t used_ppm, const struct budget_group *groups,
				size_t n, uint32_t rate_hz, size_t *ret_group);

#endif
