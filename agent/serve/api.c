#include "serve/api.h"

#include "base/clock.h"
#include "base/stats.h"
#include "serve/json.h"
#include "serve/profile.h"

#include <errno.h>
#include <math.h>

static const int64_t status_window_us = 10000000;

static const struct query_selector status_rates[] = {
	{.metric = "strobe.cpu.user"},
	{.metric = "strobe.cpu.sys"},
	{.metric = "strobe.sample.count"},
};
enum { RATE_CPU_USER, RATE_CPU_SYS, RATE_SAMPLES };

void api_error_json(struct buf *b, const char *error, const char *hint)
{
	json_open(b, '{');
	json_key_text(b, "error", error);
	json_key_text(b, "hint", hint);
	json_close(b, '}');
	buf_text(b, "\n");
}

/* ---- metrics ---- */

static void metric_json(struct buf *b, const struct mirror_metric *m)
{
	static const char *const semantics[] = {"counter", "instant", "discrete"};

	json_open(b, '{');
	json_key_text(b, "name", m->name);
	json_key_text(b, "unit", m->unit);
	json_key_text(b, "semantics", (unsigned)m->sem < 3 ? semantics[m->sem] : "");
	json_key_double(b, "scale", (double)m->mul / m->div);
	json_key_int(b, "mul", m->mul);
	json_key_int(b, "div", m->div);
	json_key_double(b, "quantum", (double)m->quantum * m->mul / m->div);
	json_key_text(b, "source", m->source);
	json_key_text(b, "help", m->help);
	if (m->n_names) {
		json_key(b, "names");
		json_open(b, '[');
		for (uint32_t i = 0; i < m->n_names; i++)
			json_text(b, m->names[i]);
		json_close(b, ']');
	}
	json_close(b, '}');
}

static void instance_json(struct buf *b, const struct mirror_group *g,
			  const struct mirror_instance *inst)
{
	json_open(b, '{');
	json_key_text(b, "name", inst->name);
	for (uint32_t i = 0; inst->attrs && i < g->n_attrs; i++)
		if (inst->attrs[i] && strcmp(g->attr_keys[i], "name") != 0)
			json_key_text(b, g->attr_keys[i], inst->attrs[i]);
	json_close(b, '}');
}

void api_metrics_json(struct buf *b, const struct mirror *m)
{
	json_open(b, '{');
	json_key_int(b, "version", m->version);
	json_key(b, "groups");
	json_open(b, '[');
	for (uint32_t i = 0; i < m->n_groups; i++) {
		const struct mirror_group *g = &m->groups[i];

		json_open(b, '{');
		json_key_text(b, "name", g->name);
		json_key(b, "indom");
		if (g->indom)
			json_text(b, g->indom);
		else
			buf_text(b, "null");
		json_key_int(b, "period_ms", g->period_ms);
		json_key(b, "metrics");
		json_open(b, '[');
		for (uint32_t k = 0; k < g->n_metrics; k++)
			metric_json(b, &g->metrics[k]);
		json_close(b, ']');
		json_key(b, "instances");
		json_open(b, '[');
		for (uint32_t slot = 0; g->indom && slot < g->n_slots; slot++)
			if (g->inst[slot].live)
				instance_json(b, g, &g->inst[slot]);
		json_close(b, ']');
		json_close(b, '}');
	}
	json_close(b, ']');
	json_close(b, '}');
	buf_text(b, "\n");
}

/* ---- status ---- */

struct job *api_status_job(const struct server *s, const void *owner)
{
	struct job *job = job_new(JOB_RANGE, owner);
	int64_t now_us = (int64_t)server_now_us(s);

	if (!job)
		return NULL;
	if (job_set_selectors(job, status_rates, sizeof(status_rates) / sizeof(*status_rates)) <
	    0) {
		job_free(job);
		return NULL;
	}
	job->request.from_us = now_us - status_window_us;
	job->request.to_us = now_us;
	job->request.points = 1;
	return job;
}

/* The newest value of a singular series in its unit; 0 where there is none. */
static double newest(struct mirror *m, const char *metric)
{
	uint32_t group, index;
	const struct mirror_group *g = mirror_find_metric(m, metric, &group, &index);

	if (!g || !g->n_slots || !g->inst[0].live || g->rows[index] == VALUE_ABSENT)
		return 0;
	return (double)g->rows[index] * g->metrics[index].mul / g->metrics[index].div;
}

/* The mean rate of a status_rates entry in its unit a second. */
static double rate_of(const struct query_result *result, const char *metric)
{
	for (size_t i = 0; result && i < result->n_series; i++) {
		const struct query_series *s = &result->series[i];
		const struct mirror_metric *m =
			&result->catalog->groups[s->group].metrics[s->metric];

		if (strcmp(m->name, metric) == 0 && s->points[0].n)
			return s->points[0].sum / s->points[0].n / 1000 * m->mul / m->div;
	}
	return 0;
}

static const char *attr_of(const struct mirror_group *g, const struct mirror_instance *inst,
			   const char *key)
{
	for (uint32_t i = 0; inst->attrs && i < g->n_attrs; i++)
		if (strcmp(g->attr_keys[i], key) == 0)
			return inst->attrs[i] ? inst->attrs[i] : "";
	return "";
}

/* The value of a metric in one row of a group, by the end of its name; 0 where it is absent. */
static double field(const struct mirror_group *g, uint32_t slot, const char *suffix,
		    const char **ret_word)
{
	for (uint32_t k = 0; k < g->n_metrics; k++) {
		const struct mirror_metric *m = &g->metrics[k];
		const char *dot = strrchr(m->name, '.');
		int64_t v = g->rows[(size_t)slot * g->n_metrics + k];

		if (!dot || strcmp(dot + 1, suffix) != 0 || v == VALUE_ABSENT)
			continue;
		if (ret_word && v >= 0 && v < m->n_names)
			*ret_word = m->names[v];
		return (double)v * m->mul / m->div;
	}
	return 0;
}

static void collectors_json(struct buf *b, struct mirror *m)
{
	json_key(b, "collectors");
	json_open(b, '[');
	for (uint32_t i = 0; i < m->n_groups; i++) {
		const struct mirror_group *g = &m->groups[i];

		for (uint32_t slot = 0;
		     strcmp(g->name, "strobe.collector") == 0 && slot < g->n_slots; slot++) {
			const struct mirror_instance *inst = &g->inst[slot];
			const char *state = "unknown";

			if (!inst->live)
				continue;
			field(g, slot, "state", &state);
			json_open(b, '{');
			json_key_text(b, "name", inst->name);
			json_key_text(b, "state", state);
			json_key_text(b, "tier", attr_of(g, inst, "tier"));
			json_key_text(b, "reason", attr_of(g, inst, "reason"));
			json_key_double(b, "period_ms", field(g, slot, "period", NULL));
			json_key_double(b, "series", field(g, slot, "series", NULL));
			json_key_double(b, "cost_us", field(g, slot, "wall", NULL));
			json_close(b, '}');
		}
	}
	json_close(b, ']');
}

static void history_json(struct buf *b, struct history *h, double lag_us)
{
	struct history_stats s;

	history_stats(h, &s);
	json_key(b, "history");
	json_open(b, '{');
	json_key_int(b, "blocks", (int64_t)(s.blocks_memory + s.blocks_disk));
	json_key_int(b, "memory_bytes", (int64_t)s.bytes_memory);
	json_key_int(b, "disk_used_bytes", (int64_t)s.disk_used_bytes);
	json_key_int(b, "disk_size_bytes", (int64_t)s.disk_size_bytes);
	json_key_double(b, "bytes_per_sample",
			s.samples ? (double)s.sample_bytes / (double)s.samples : 0);
	json_key_double(b, "flush_lag_s", lag_us / 1e6);
	json_key_int(b, "errors", (int64_t)STAT_GET(history_errors));
	json_close(b, '}');
}

void api_status_json(struct buf *b, struct server *s, const struct query_result *result)
{
	struct mirror *m = &s->tail.encoder.mirror;
	uint64_t now_us = server_now_us(s);
	int64_t oldest_us = history_oldest_us(s->config.history);
	double cpu = rate_of(result, "strobe.cpu.user") + rate_of(result, "strobe.cpu.sys");

	json_open(b, '{');
	json_key_text(b, "version", STROBE_VERSION);
	json_key_text(b, "host", s->config.host->name);
	json_key_text(b, "boot_id", s->config.host->boot_id);
	json_key_double(b, "uptime_s", (double)(now_us - s->config.started_us) / 1e6);
	json_key_int(b, "rate_hz", s->config.rate_hz);
	json_key_double(b, "series", newest(m, "strobe.series"));
	json_key_double(b, "samples_per_s", round(rate_of(result, "strobe.sample.count")));
	json_key_int(b, "clients", (int64_t)STAT_GET(clients));
	json_key_double(b, "cpu_percent",
			round(cpu * 1000) / 10000); /* millisec a second, in % of one core */
	json_key_double(b, "rss_bytes", newest(m, "strobe.mem.rss"));
	json_key_double(b, "retention_s",
			m->mono_us && oldest_us != INT64_MAX
				? (double)((int64_t)m->mono_us - oldest_us) / 1e6
				: 0);
	json_key_double(b, "late_ticks", newest(m, "strobe.tick.late"));
	json_key_double(b, "missed_ticks", newest(m, "strobe.tick.missed"));
	json_key_int(b, "memory_log_bytes", (int64_t)log_capacity(s->config.log));
	json_key(b, "recoverable");
	json_bool(b, s->config.recoverable);
	json_key_double(b, "newest_us_ago",
			m->mono_us && now_us > m->mono_us ? (double)(now_us - m->mono_us) : 0);
	if (s->config.capture_name)
		json_key_text(b, "capture", s->config.capture_name);
	history_json(b, s->config.history, newest(m, "strobe.history.flush_lag"));
	profile_status_json(b, &s->config);
	collectors_json(b, m);
	json_close(b, '}');
	buf_text(b, "\n");
}
