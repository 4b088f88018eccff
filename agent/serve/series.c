#include "serve/api.h"

#include "base/walltime.h"
#include "serve/csv.h"
#include "serve/json.h"

#include <errno.h>
#include <math.h>
#include <time.h>

/* ---- arguments ---- */

static bool relative_time(const char *s, int64_t now_us, int64_t *ret)
{
	static const struct {
		const char *name;
		double us;
	} units[] = {{"ms", 1e3},  {"s", 1e6},	 {"", 1e6},	{"m", 6e7},
		     {"min", 6e7}, {"h", 3.6e9}, {"d", 8.64e10}};
	char *end;
	double v = strtod(s, &end);

	if (end == s || *s != '-' || !(v <= 0))
		return false;
	for (size_t i = 0; i < sizeof(units) / sizeof(*units); i++) {
		if (strcmp(end, units[i].name) != 0)
			continue;
		double us = -v * units[i].us;

		*ret = now_us - (us < 1e17 ? (int64_t)us : (int64_t)1e17);
		return true;
	}
	return false;
}

static bool iso_time(const char *s, int64_t *ret_us)
{
	struct tm tm = {0};
	const char *p = strptime(s, "%Y-%m-%dT%H:%M:%S", &tm);
	double fraction = 0;
	int hours, minutes;
	char sign;

	if (!p)
		p = strptime(s, "%Y-%m-%d %H:%M:%S", &tm);
	if (!p)
		return false;
	if (*p == '.') {
		char *end;

		fraction = strtod(p, &end);
		if (!(fraction < 1)) /* ".1e9" is a number too */
			return false;
		p = end;
	}
	int64_t us = (int64_t)timegm(&tm) * 1000000 + (int64_t)(fraction * 1e6 + 0.5);

	if (sscanf(p, "%c%2d:%2d", &sign, &hours, &minutes) == 3 &&
	    (sign == '+' || sign == '-' || sign == ' '))
		us -= (sign == '-' ? -1 : 1) * (hours * 3600ll + minutes * 60) *
		      1000000; /* '+' decodes to ' ' */
	else if (*p && strcmp(p, "Z") != 0)
		return false;
	*ret_us = us;
	return true;
}

bool api_time_parse(const char *s, const struct api_times *t, int64_t *ret)
{
	char *end;
	int64_t us;

	if (strcmp(s, "now") == 0) {
		*ret = t->now_us;
		return true;
	}
	if (*s == '-')
		return relative_time(s, t->now_us, ret);
	if (!iso_time(s, &us)) {
		double v = strtod(s, &end);

		if (end == s || *end || !(v >= 0 && v < 1e12))
			return false;
		us = (int64_t)(v * 1e6 + 0.5);
	}
	*ret = history_at_us(t->clocks, t->n_clocks, t->mirror, t->now_us, us);
	return true;
}

static unsigned bad(char *err, size_t err_len, const char *what, const char *value)
{
	snprintf(err, err_len, "%s: %.80s", what, value);
	return 400;
}

struct time_args {
	const char *from, *to;
};

static unsigned parse_points(struct api_query *q, const char *v, char *err, size_t err_len)
{
	char *end;
	unsigned long n = strtoul(v, &end, 10);

	if (end == v || *end || *v == '-' || !n)
		return bad(err, err_len, "points is no number from 1 to 10000", v);
	if (n > QUERY_POINTS_MAX) {
		snprintf(err, err_len, "more than %d points: narrow the range or ask for fewer",
			 QUERY_POINTS_MAX);
		return 413;
	}
	q->points = (uint32_t)n;
	return 0;
}

/* One argument, "key=value". */
static unsigned parse_arg(struct api_query *q, struct time_args *times, char *arg, char *err,
			  size_t err_len)
{
	char *v = strchr(arg, '=');

	if (!v)
		return bad(err, err_len, "argument without a value", arg);
	*v++ = '\0';
	if (strcmp(arg, "metric") == 0) {
		if (q->n_metrics == API_METRICS_MAX)
			return bad(err, err_len, "too many metrics in one query", v);
		q->metrics[q->n_metrics++] = v;
	} else if (strcmp(arg, "instance") == 0) {
		q->instance = *v ? v : NULL;
	} else if (strcmp(arg, "from") == 0) {
		times->from = v;
	} else if (strcmp(arg, "to") == 0) {
		times->to = v;
	} else if (strcmp(arg, "points") == 0) {
		return parse_points(q, v, err, err_len);
	} else if (strcmp(arg, "rate") == 0 && (strcmp(v, "0") == 0 || strcmp(v, "1") == 0)) {
		q->rate = *v == '1';
	} else if (strcmp(arg, "approx") == 0 && (strcmp(v, "0") == 0 || strcmp(v, "1") == 0)) {
		q->approx = *v == '1';
	} else if (strcmp(arg, "format") == 0 &&
		   (strcmp(v, "json") == 0 || strcmp(v, "csv") == 0)) {
		q->csv = *v == 'c';
	} else {
		v[-1] = '=';
		return bad(err, err_len,
			   "unknown argument (metric, instance, from, to, points, rate=0|1, "
			   "approx=0|1, format=json|csv)",
			   arg);
	}
	return 0;
}

unsigned api_range_parse(const char *const v[2], const char *const names[2],
			 const struct api_times *times, int64_t ret[2], char *err, size_t err_len)
{
	char what[80];

	for (int i = 0; i < 2; i++) {
		snprintf(what, sizeof(what),
			 "%s is no time (now, -30s, -5m, unix seconds or ISO 8601)", names[i]);
		if (!api_time_parse(v[i], times, &ret[i]))
			return bad(err, err_len, what, v[i]);
	}
	snprintf(what, sizeof(what), "%s is not before %s", names[0], names[1]);
	return ret[0] >= ret[1] ? bad(err, err_len, what, v[0]) : 0;
}

unsigned api_query_parse(struct api_query *q, char **args, size_t n_args, const struct api_times *t,
			 char *err, size_t err_len)
{
	static const char *const names[2] = {"from", "to"};
	struct time_args times = {"-10s", "now"};
	int64_t range[2];
	unsigned status;

	*q = (struct api_query){.points = API_POINTS_DEFAULT, .rate = true};
	for (size_t i = 0; i < n_args; i++) {
		if (!strchr(args[i], '=') && args[i][0] == '/')
			continue; /* "?" and nothing after it: lws hands out the path */
		status = parse_arg(q, &times, args[i], err, err_len);
		if (status)
			return status;
	}
	if (!q->n_metrics)
		return bad(err, err_len, "no metric: add metric=NAME, names are in",
			   "/api/v1/metrics");
	status = api_range_parse((const char *const[]){times.from, times.to}, names, t, range, err,
				 err_len);
	if (status)
		return status;
	q->from_us = range[0];
	q->to_us = range[1];
	return 0;
}

/* ---- results ---- */

struct conversion {
	double scale;
	char unit[80];
	bool rate;
};

static struct conversion conversion_of(const struct api_query *q, const struct mirror_metric *m)
{
	struct conversion c = {.scale = (double)m->mul / m->div,
			       .rate = q->rate && m->sem == SEM_COUNTER};

	if (c.rate)
		c.scale /= 1000;
	snprintf(c.unit, sizeof(c.unit), "%s%s", m->unit, c.rate ? "/s" : "");
	return c;
}

void api_time_json(struct buf *b, const char *key, int64_t wall_us)
{
	char s[WALLTIME_LEN];

	walltime_seconds(s, wall_us);
	json_key(b, key);
	buf_text(b, s);
}

static int64_t point_wall_us(const struct query_request *req, const struct query_result *result,
			     uint32_t point)
{
	return query_wall_us(result, (int64_t)((uint64_t)req->from_us + point * result->step_us));
}

static void point_json(struct buf *b, const struct query_point *p, double scale, int64_t wall_us)
{
	char iso[WALLTIME_LEN];

	json_open(b, '{');
	api_time_json(b, "t", wall_us);
	walltime_iso(iso, wall_us);
	json_key_text(b, "time", iso);
	json_key_int(b, "n", p->n);
	json_key_double(b, "first", (double)p->first * scale);
	json_key_double(b, "min", (double)p->min * scale);
	json_key_double(b, "avg", p->sum / p->n * scale);
	json_key_double(b, "max", (double)p->max * scale);
	json_key_double(b, "last", (double)p->last * scale);
	json_close(b, '}');
}

void api_query_json(struct buf *b, const struct api_query *q, const struct query_request *req,
		    const struct query_result *result)
{
	const struct mirror *m = result->catalog;

	json_open(b, '{');
	api_time_json(b, "from", query_wall_us(result, req->from_us));
	api_time_json(b, "to", query_wall_us(result, req->to_us));
	api_time_json(b, "oldest", query_wall_us(result, result->oldest_us));
	json_key_double(b, "step_s", (double)result->step_us / 1e6);
	json_key_int(b, "points", req->points);
	json_key(b, "truncated");
	json_bool(b, result->truncated);
	json_key(b, "series");
	json_open(b, '[');
	for (size_t i = 0; i < result->n_series; i++) {
		const struct query_series *s = &result->series[i];
		const struct mirror_metric *metric = &m->groups[s->group].metrics[s->metric];
		struct conversion c = conversion_of(q, metric);

		json_open(b, '{');
		json_key_text(b, "metric", metric->name);
		json_key_text(b, "instance", s->instance);
		json_key_int(b, "gen", s->gen);
		json_key_text(b, "unit", c.unit);
		json_key(b, "rate");
		json_bool(b, c.rate);
		json_key(b, "points");
		json_open(b, '[');
		for (uint32_t k = 0; k < req->points; k++)
			if (s->points[k].n)
				point_json(b, &s->points[k], c.scale,
					   point_wall_us(req, result, k));
		json_close(b, ']');
		json_close(b, '}');
	}
	json_close(b, ']');
	json_close(b, '}');
	buf_text(b, "\n");
}

void api_query_csv(struct buf *b, const struct api_query *q, const struct query_request *req,
		   const struct query_result *result)
{
	const struct mirror *m = result->catalog;
	char line[320], iso[WALLTIME_LEN], seconds[WALLTIME_LEN];

	buf_text(b, "metric,instance,unit,time,t,n,first,min,avg,max,last\n");
	for (size_t i = 0; i < result->n_series; i++) {
		const struct query_series *s = &result->series[i];
		const struct mirror_metric *metric = &m->groups[s->group].metrics[s->metric];
		struct conversion c = conversion_of(q, metric);

		for (uint32_t k = 0; k < req->points; k++) {
			const struct query_point *p = &s->points[k];
			int64_t wall_us = point_wall_us(req, result, k);

			if (!p->n)
				continue;
			walltime_iso(iso, wall_us);
			walltime_seconds(seconds, wall_us);
			csv_text(b, metric->name);
			buf_text(b, ",");
			csv_text(b, s->instance);
			buf_text(b, ",");
			csv_text(b, c.unit);
			snprintf(line, sizeof(line), ",%s,%s,%u,%.15g,%.15g,%.15g,%.15g,%.15g\n",
				 iso, seconds, p->n, (double)p->first * c.scale,
				 (double)p->min * c.scale, p->sum / p->n * c.scale,
				 (double)p->max * c.scale, (double)p->last * c.scale);
			buf_text(b, line);
		}
	}
}

static bool render_begin(struct job *job)
{
	size_t n = 0;
	uint32_t group, metric;

	for (size_t i = 0; i < job->request.n_selectors; i++) {
		const char *name = job->selectors[i].metric;

		if (mirror_find_metric(job->result->catalog, name, &group, &metric))
			continue;
		job->unknown = name;
		job->r = -ENOENT;
		return false;
	}
	for (size_t i = 0; i < job->result->n_series; i++)
		for (uint32_t k = 0; k < job->request.points; k++)
			n += job->result->series[i].points[k].n != 0;
	if (n > API_RENDER_MAX)
		job->r = -E2BIG;
	return job->r == 0;
}

static void render_end(struct job *job)
{
	query_free(job->result);
	job->result = NULL;
	if (job->text.failed)
		job->r = -ENOMEM;
}

void api_render_json(struct job *job)
{
	const struct api_query q = {.rate = !job->request.raw};

	if (render_begin(job))
		api_query_json(&job->text, &q, &job->request, job->result);
	render_end(job);
}

void api_render_csv(struct job *job)
{
	const struct api_query q = {.rate = !job->request.raw};

	if (render_begin(job))
		api_query_csv(&job->text, &q, &job->request, job->result);
	render_end(job);
}
