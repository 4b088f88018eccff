#include "serve/profile.h"

#include <stdio.h>
#include <string.h>

enum { COLUMNS_MAX = 4096, ROWS_MAX = 512, CELLS_MAX = 1 << 20, NODES_MAX = 200000 };

static const int64_t span_max_us = 400ll * 86400 * 1000000;

int64_t profile_bound_us(int64_t us)
{
	const int64_t most_us = INT64_MAX / 8000; /* also in ns */

	return us < -most_us ? -most_us : us > most_us ? most_us : us;
}

static void take_text(char *to, size_t size, const char *from)
{
	snprintf(to, size, "%s", from ? from : "");
}

static const char *take_filter(struct profile_call *c, const Strobe__V1__ProfileFilter *m)
{
	struct stacks_filter *f = &c->filter;

	*f = (struct stacks_filter){.cpu = -1};
	if (!m)
		return NULL;
	if (strlen(m->cgroup) >= sizeof(c->cgroup) || strlen(m->process) >= sizeof(c->process))
		return "ProfileFilter: the name is too long";
	f->kind = m->off_cpu ? STACKS_OFF : STACKS_CPU;
	f->cpu = (int32_t)m->cpu - 1;
	f->pid = m->pid;
	f->tid = m->tid;
	f->classes = m->classes;
	f->min_us = m->min_us;
	take_text(c->cgroup, sizeof(c->cgroup), m->cgroup);
	take_text(c->process, sizeof(c->process), m->process);
	f->cgroup = c->cgroup[0] ? c->cgroup : NULL;
	f->process = c->process[0] ? c->process : NULL;
	return NULL;
}

const char *profile_ask_heat(struct profile_call *c, const Strobe__V1__HeatRequest *m)
{
	if (m->column_us < 1000 || m->column_us > 86400000000u || !m->n_columns ||
	    m->n_columns > COLUMNS_MAX || !m->n_rows || m->n_rows > ROWS_MAX ||
	    m->n_columns * m->n_rows > CELLS_MAX || m->by > STROBE__V1__HEAT_BY__CGROUP)
		return "HeatRequest: columns of 1 ms to a day, at most 4,096 of them, 1 to 512 "
		       "rows, at most 1,048,576 cells";
	if (strlen(m->pattern) >= sizeof(c->pattern))
		return "HeatRequest: the pattern has at most 255 bytes";
	take_text(c->pattern, sizeof(c->pattern), m->pattern);
	c->heat = (struct heat_request){.from_us = profile_bound_us(m->from_us),
					.column_us = m->column_us,
					.n_columns = m->n_columns,
					.by = (enum heat_rows)m->by,
					.n_rows = m->n_rows,
					.pattern = c->pattern[0] ? c->pattern : NULL,
					.ignore_case = m->ignore_case};
	return take_filter(c, m->filter);
}

/* They are in order and do not overlap, in *ret and *n. */
static const char *take_ranges(struct stacks_range *ret, size_t *n, size_t n_ranges,
			       Strobe__V1__TimeRange **ranges)
{
	if (n_ranges > FOLD_RANGES_MAX)
		return "FlameRequest: at most 16 ranges";
	for (size_t i = 0; i < n_ranges; i++) {
		struct stacks_range one = {profile_bound_us(ranges[i]->from_us),
					   profile_bound_us(ranges[i]->to_us)};

		if (one.from_us >= one.to_us || one.to_us - one.from_us > span_max_us)
			return "FlameRequest: from_us before to_us, at most 400 days";
		for (size_t k = 0; k < i; k++)
			if (one.from_us < ret[k].to_us && ret[k].from_us < one.to_us)
				return "FlameRequest: the ranges overlap";
		ret[i] = one;
	}
	*n = n_ranges;
	return NULL;
}

const char *profile_ask_flame(struct profile_call *c, const Strobe__V1__FlameRequest *m)
{
	struct fold_request *f = &c->fold;
	const char *bad;

	if (!m->n_ranges || m->max_nodes > NODES_MAX || m->tasks > PROFILE_TASKS_MAX)
		return "FlameRequest: 1 to 16 ranges, at most 200,000 nodes and 500 tasks";
	*f = (struct fold_request){.by_process = m->by_process,
				   .by_thread = m->by_thread,
				   .elided = m->elided,
				   .max_nodes = m->max_nodes ? m->max_nodes : NODES_MAX};
	bad = take_ranges(f->ranges, &f->n_ranges, m->n_ranges, m->ranges);
	if (!bad)
		bad = take_ranges(f->base, &f->n_base, m->n_baseline, m->baseline);
	c->n_tasks = m->tasks;
	c->threads = m->threads;
	return bad ? bad : take_filter(c, m->filter);
}

const char *profile_ask_chart(struct profile_call *c, const Strobe__V1__FlameChartRequest *m)
{
	c->chart = (struct chart_request){.from_us = profile_bound_us(m->from_us),
					  .to_us = profile_bound_us(m->to_us)};
	if (c->chart.from_us >= c->chart.to_us || c->chart.to_us - c->chart.from_us > 600000000)
		return "FlameChartRequest: from_us before to_us, at most 10 minutes";
	return take_filter(c, m->filter);
}

const char *profile_ask_lines(struct profile_call *c, const Strobe__V1__LinesRequest *m)
{
	if (strlen(m->module) >= sizeof(c->module) || strlen(m->build_id) >= sizeof(c->build_id))
		return "LinesRequest: the module or build-id is too long";
	take_text(c->module, sizeof(c->module), m->module);
	take_text(c->build_id, sizeof(c->build_id), m->build_id);
	c->addr = m->addr;
	c->self_at = m->self;
	c->call_at = m->call;
	return NULL;
}
