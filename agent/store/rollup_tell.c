/* What a rollup keeps of a bucket: only what differs from the bucket before. */
#include <errno.h>

#include "store/rollup_internal.h"

static int tell(struct rollup *r, struct rollup_group *rg, const struct rollup_row *row,
		uint32_t cell, int64_t v)
{
	struct gather_group *g = &rg->g;
	struct gather_event *e =
		gather_grow(g->events, &g->cap_events, g->n_events + 1, sizeof(*e));

	if (!e)
		return -ENOMEM;
	g->events = e;
	g->events[g->n_events++] = (struct gather_event){.to = v,
							 .instance = row->instance,
							 .metric = (uint16_t)cell,
							 .read = (uint16_t)row->open};
	g->instances[row->instance].n_events++;
	r->n_events++;
	return 0;
}

static void fields_of_values(const struct rollup_cell *c, int64_t *f)
{
	f[FIELD_FIRST] = c->first;
	f[FIELD_MIN] = (int64_t)((uint64_t)c->first - (uint64_t)c->min);
	f[FIELD_MAX] = (int64_t)((uint64_t)c->max - (uint64_t)c->first);
	f[FIELD_LAST] = (int64_t)((uint64_t)c->last - (uint64_t)c->first);
	f[FIELD_SUM] = (int64_t)((uint64_t)c->sum - c->n * (uint64_t)c->first);
}

static void fields_of_rates(const struct rollup_cell *c, int64_t *f)
{
	f[FIELD_FIRST] = (int64_t)rollup_code((uint64_t)c->first, RATE_BITS);
	f[FIELD_MIN] = (int64_t)rollup_code((uint64_t)c->min, RATE_BITS);
	f[FIELD_MAX] = (int64_t)rollup_code((uint64_t)c->max, RATE_BITS);
	f[FIELD_LAST] = (int64_t)rollup_code((uint64_t)c->last, RATE_BITS);
	f[FIELD_SUM] = (int64_t)(rollup_code((uint64_t)c->sum / c->n, MEAN_BITS) -
				 rollup_mean_of((uint64_t)f[FIELD_MAX], c->n));
	if (f[FIELD_SUM] >= -MEAN_NEAR && f[FIELD_SUM] <= MEAN_NEAR)
		f[FIELD_SUM] = 0; /* as in most buckets of what moves seldom */
}

static int tell_cell(struct rollup *r, struct rollup_group *rg, const struct rollup_row *row,
		     uint32_t metric)
{
	struct rollup_cell *c = &row->cells[metric];
	bool of_rates = rg->of_rates[metric];
	int64_t now[ROLLUP_FIELDS] = {
		[FIELD_MISSING] = (int64_t)(of_rates ? row->n_rates : row->n_values) - c->n};

	if (c->n && of_rates)
		fields_of_rates(c, now);
	else if (c->n)
		fields_of_values(c, now);
	for (uint32_t k = 0; k < (c->n ? ROLLUP_FIELDS : FIELD_FIRST); k++) {
		if (now[k] == c->told[k])
			continue;
		if (tell(r, rg, row, ROLLUP_LEAD + k * rg->n_metrics + metric, now[k]) < 0)
			return -ENOMEM;
		c->told[k] = now[k];
	}
	c->n = 0;
	return 0;
}

int rollup_tell(struct rollup *r, struct rollup_group *rg, struct rollup_row *row)
{
	const int64_t now[ROLLUP_LEAD] = {
		[ROLLUP_NO_VALUE] = (int64_t)rg->counts[row->open] - row->n_values,
		[ROLLUP_NO_RATE] = (int64_t)rg->counts[row->open] - row->n_rates};

	for (uint32_t k = 0; k < ROLLUP_LEAD; k++) {
		if (now[k] != row->told[k] && tell(r, rg, row, k, now[k]) < 0)
			return -ENOMEM;
		row->told[k] = now[k];
	}
	for (uint32_t m = 0; m < rg->n_metrics; m++)
		if (tell_cell(r, rg, row, m) < 0)
			return -ENOMEM;
	row->n_values = row->n_rates = 0;
	return 0;
}

void rollup_group_compact(struct rollup *r, struct rollup_group *rg)
{
	struct gather_group *g = &rg->g;
	uint32_t n = 0;

	for (uint32_t i = 0; i < g->n_events; i++)
		if (!g->instances[g->events[i].instance].left_out)
			g->events[n++] = g->events[i];
	r->n_events -= g->n_events - n;
	g->n_events = n;
}
