/* /api/v1/rank and /api/v1/held. */
#include "serve/api.h"

#include "serve/json.h"

#include <errno.h>

enum { ROWS_DEFAULT = 20 };

int api_times_open(struct api_times *ret, const struct server *s)
{
	*ret = (struct api_times){.now_us = (int64_t)server_now_us(s),
				  .mirror = &s->tail.encoder.mirror};
	ret->clocks = history_clocks(s->config.history, &ret->n_clocks);
	return ret->clocks ? 0 : -ENOMEM;
}

void api_times_done(struct api_times *t)
{
	free((void *)(uintptr_t)t->clocks);
}

/* ---- rank ---- */

static unsigned bad(char *err, size_t err_len, const char *what, const char *value)
{
	snprintf(err, err_len, "%s: %.80s", what, value);
	return 400;
}

static unsigned parse_limit(struct rank_request *rq, const char *v, char *err, size_t err_len)
{
	char *end;
	unsigned long n = strtoul(v, &end, 10);

	if (end == v || *end || *v == '-' || !n || n > RANK_ROWS_MAX)
		return bad(err, err_len, "limit is no number from 1 to 200", v);
	rq->limit = (uint32_t)n;
	return 0;
}

unsigned api_rank_parse(struct rank_request *ret, char **args, size_t n_args,
			const struct api_times *times, char *err, size_t err_len)
{
	static const char *const names[] = {"from", "to", "baseline_from", "baseline_to"};
	const char *v[4] = {"-10s", "now", NULL, NULL};
	struct rank_request rq = {.limit = ROWS_DEFAULT};
	int64_t range[2], base[2] = {0};
	unsigned status;

	for (size_t i = 0; i < n_args; i++) {
		char *value = strchr(args[i], '=');
		int k = 0;

		if (!value && args[i][0] == '/')
			continue; /* "?" and nothing after it: lws hands out the path */
		if (!value)
			return bad(err, err_len, "argument without a value", args[i]);
		*value++ = '\0';
		while (k < 4 && strcmp(args[i], names[k]) != 0)
			k++;
		if (k < 4) {
			v[k] = value;
		} else if (strcmp(args[i], "limit") == 0) {
			status = parse_limit(&rq, value, err, err_len);
			if (status)
				return status;
		} else {
			return bad(err, err_len,
				   "unknown argument (from, to, baseline_from, baseline_to, limit)",
				   args[i]);
		}
	}
	status = api_range_parse(v, names, times, range, err, err_len);
	if (!status && !v[2] != !v[3])
		return bad(err, err_len, "a baseline has two ends, this one is missing",
			   v[2] ? names[3] : names[2]);
	if (!status && v[2])
		status = api_range_parse(v + 2, names + 2, times, base, err, err_len);
	if (status)
		return status;
	rq.from_us = range[0];
	rq.to_us = range[1];
	rq.base_from_us = base[0];
	rq.base_to_us = base[1];
	*ret = rq;
	return 0;
}

static void row_json(struct buf *b, const struct mirror *m, const struct rank_row *r)
{
	const struct mirror_metric *metric = &m->groups[r->group].metrics[r->metric_index];
	double scale = (double)metric->mul / metric->div / (r->rate ? 1000 : 1);
	char unit[80];

	snprintf(unit, sizeof(unit), "%.70s%s", metric->unit, r->rate ? "/s" : "");
	json_open(b, '{');
	json_key_text(b, "metric", r->metric);
	json_key_text(b, "instance", r->instance);
	json_key_text(b, "unit", unit);
	json_key(b, "rate");
	json_bool(b, r->rate);
	json_key(b, "brief");
	json_bool(b, r->brief);
	json_key_double(b, "score", r->score);
	json_key_double(b, "before", (double)r->before * scale);
	json_key_double(b, "now", (double)r->now * scale);
	json_key_double(b, "min", (double)r->min * scale);
	json_key_double(b, "max", (double)r->max * scale);
	json_key_int(b, "n", r->n);
	json_key_int(b, "n_before", r->n_before);
	json_key_int(b, "others", r->others);
	json_close(b, '}');
}

void api_render_rank(struct job *job)
{
	const struct rank_result *res = job->rank;
	const struct rank_request *rq = &job->rank_request;
	struct buf *b = &job->text;
	struct mirror m; /* with clocks */
	size_t n;
	struct history_clock *clocks = history_clocks(job->history, &n);

	mirror_init(&m);
	if (!clocks || history_catalog(job->history, &m) < 0) {
		job->r = -ENOMEM;
	} else {
		json_open(b, '{');
		api_time_json(b, "from", history_wall_us(clocks, n, &m, rq->from_us));
		api_time_json(b, "to", history_wall_us(clocks, n, &m, rq->to_us));
		api_time_json(b, "baseline_from",
			      history_wall_us(clocks, n, &m, res->base_from_us));
		api_time_json(b, "baseline_to", history_wall_us(clocks, n, &m, res->base_to_us));
		json_key_int(b, "series", res->n_series);
		json_key_int(b, "scored", res->n_scored);
		json_key_double(b, "resolution_seconds", res->resolution_us / 1e6);
		json_key(b, "rows");
		json_open(b, '[');
		for (size_t i = 0; i < res->n_rows; i++)
			row_json(b, res->catalog, &res->rows[i]);
		json_close(b, ']');
		json_close(b, '}');
		buf_text(b, "\n");
		job->r = b->failed ? -ENOMEM : 0;
	}
	mirror_done(&m);
	free(clocks);
}

/* ---- held ---- */

static void span_json(struct buf *b, const struct held_result *h, const struct history_span *s)
{
	char id[2 * LOG_ID_LEN + 1];

	for (int i = 0; i < LOG_ID_LEN; i++)
		snprintf(id + 2 * i, 3, "%02x", s->log_id[i]);
	json_open(b, '{');
	api_time_json(b, "from", history_wall_us(h->clocks, h->n_clocks, NULL, s->from_us));
	api_time_json(b, "to", history_wall_us(h->clocks, h->n_clocks, NULL, s->to_us));
	json_key_text(b, "boot_id", s->boot_id);
	json_key_text(b, "log_id", id);
	json_key(b, "rollup");
	json_bool(b, s->rollup);
	json_close(b, '}');
}

/* null: nothing is held. */
static void edge_json(struct buf *b, const struct held_result *h, const char *key, int64_t at_us)
{
	if (at_us != INT64_MAX) {
		api_time_json(b, key, history_wall_us(h->clocks, h->n_clocks, NULL, at_us));
		return;
	}
	json_key(b, key);
	buf_text(b, "null");
}

void api_render_held(struct job *job)
{
	const struct held_result *h = &job->held;
	const struct history_stats *s = &h->stats;
	struct buf *b = &job->text;

	json_open(b, '{');
	edge_json(b, h, "oldest", s->oldest_us);
	edge_json(b, h, "full_from", s->oldest_full_us);
	json_key_int(b, "bytes", (int64_t)(s->bytes_memory + s->bytes_disk));
	json_key_int(b, "disk_size_bytes", (int64_t)s->disk_size_bytes);
	json_key_int(b, "disk_used_bytes", (int64_t)s->disk_used_bytes);
	json_key_double(b, "bytes_per_sample",
			s->samples ? (double)s->sample_bytes / (double)s->samples : 0);
	json_key(b, "spans");
	json_open(b, '[');
	for (size_t i = 0; i < h->n_spans; i++)
		span_json(b, h, &h->spans[i]);
	json_close(b, ']');
	json_close(b, '}');
	buf_text(b, "\n");
	job->r = b->failed ? -ENOMEM : 0;
}
