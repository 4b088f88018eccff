#include "sample/budget.h"

/* What a group costs a second. Only shares of the whole are used: costs are wall clock, `used` is
 * CPU. */
static double weight(const struct budget_group *g)
{
	return g->idle ? 0 : (double)g->cost_ns / g->period_ticks;
}

static bool can_stretch(const struct budget_group *g, uint32_t rate_hz)
{
	return !g->fixed && !g->idle &&
	       g->period_ticks * 2000ull <= BUDGET_LONGEST_MS * (uint64_t)rate_hz;
}

static bool can_return(const struct budget_group *g)
{
	return !g->fixed && !g->idle && g->period_ticks > g->base_ticks;
}

/* ppm: of one core for a unit of weight. */
static bool stretch(const struct budget *b, double used, double ppm, struct budget_group *groups,
		    size_t n, uint32_t rate_hz)
{
	double worth =
		b->limit_ppm / 64.0; /* what costs less is left alone: it would help nobody */
	bool any = false;

	while (used > b->limit_ppm) {
		struct budget_group *dearest = NULL;

		for (size_t i = 0; i < n; i++)
			if (can_stretch(&groups[i], rate_hz) && weight(&groups[i]) * ppm >= worth &&
			    (!dearest || weight(&groups[i]) > weight(dearest)))
				dearest = &groups[i];
		if (!dearest)
			break;
		used -= weight(dearest) * ppm / 2;
		dearest->period_ticks *= 2;
		any = true;
	}
	return any;
}

/* Whose period to halve with the least cost, if that fits; or NULL. */
static struct budget_group *cheapest(const struct budget *b, double used, double ppm,
				     struct budget_group *groups, size_t n)
{
	struct budget_group *best = NULL;

	for (size_t i = 0; i < n; i++)
		if (can_return(&groups[i]) && (!best || weight(&groups[i]) < weight(best)))
			best = &groups[i];
	if (best && used + weight(best) * ppm > b->limit_ppm * 0.8)
		return NULL;
	return best;
}

static bool give_back(const struct budget *b, double used, double ppm, struct budget_group *groups,
		      size_t n)
{
	struct budget_group *g;
	bool any = false;

	while ((g = cheapest(b, used, ppm, groups, n))) {
		used += weight(g) * ppm;
		g->period_ticks /= 2;
		if (g->period_ticks < g->base_ticks)
			g->period_ticks = g->base_ticks;
		any = true;
	}
	return any;
}

bool budget_judge(struct budget *b, uint32_t used_ppm, struct budget_group *groups, size_t n,
		  uint32_t rate_hz)
{
	double all = 0, ppm, used = used_ppm;

	for (size_t i = 0; i < n; i++)
		all += weight(&groups[i]);
	if (!b->limit_ppm || all <= 0)
		return false;
	ppm = used / all;
	if (!b->patience)
		b->patience = BUDGET_CALM_WINDOWS;
	if (b->since_return && ++b->since_return > 4 * b->patience) { /* it has lasted */
		b->since_return = 0;
		b->patience = BUDGET_CALM_WINDOWS;
	}
	if (used_ppm > b->limit_ppm) {
		b->calm = 0;
		if (b->since_return) {
			b->since_return = 0;
			b->patience = b->patience * 2 > BUDGET_PATIENCE_MAX ? BUDGET_PATIENCE_MAX
									    : b->patience * 2;
		}
		return stretch(b, used, ppm, groups, n, rate_hz);
	}
	if (!cheapest(b, used, ppm, groups, n)) {
		b->calm = 0;
		return false;
	}
	if (++b->calm < b->patience)
		return false;
	b->calm = 0;
	b->since_return = 1;
	return give_back(b, used, ppm, groups, n);
}
