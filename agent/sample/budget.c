#include "sample/budget.h"

/* What a group costs, in millionths of one core. */
static uint64_t cost_ppm(const struct budget_group *g, uint32_t rate_hz)
{
	return g->cost_ns * rate_hz / g->period_ticks / 1000;
}

static enum budget_action stretch(const struct budget_group *groups, size_t n, uint32_t rate_hz,
				  size_t *ret_group)
{
	uint64_t most = 0;

	for (size_t i = 0; i < n; i++) {
		const struct budget_group *g = &groups[i];

		if (!g->fixed && g->period_ticks < rate_hz && cost_ppm(g, rate_hz) > most) {
			most = cost_ppm(g, rate_hz);
			*ret_group = i;
		}
	}
	return most ? BUDGET_STRETCH : BUDGET_KEEP;
}

static enum budget_action relax(struct budget *b, uint32_t used_ppm, const struct budget_group *groups,
				size_t n, uint32_t rate_hz, size_t *ret_group)
{
	uint64_t least = UINT64_MAX;

	for (size_t i = 0; i < n; i++) {
		const struct budget_group *g = &groups[i];

		if (!g->fixed && g->period_ticks > g->base_ticks && cost_ppm(g, rate_hz) < least) {
			least = cost_ppm(g, rate_hz); /* half the period costs as much again */
			*ret_group = i;
		}
	}
	if (least == UINT64_MAX || used_ppm + least > b->limit_ppm * 4ull / 5) {
		b->calm = 0;
		return BUDGET_KEEP;
	}
	if (++b->calm < BUDGET_CALM_WINDOWS)
		return BUDGET_KEEP;
	b->calm = 0;
	return BUDGET_RELAX;
}

enum budget_action budget_judge(struct budget *b, uint32_t used_ppm, const struct budget_group *groups,
				size_t n, uint32_t rate_hz, size_t *ret_group)
{
	if (!b->limit_ppm)
		return BUDGET_KEEP;
	if (used_ppm <= b->limit_ppm)
		return relax(b, used_ppm, groups, n, rate_hz, ret_group);
	b->calm = 0;
	return stretch(groups, n, rate_hz, ret_group);
}
