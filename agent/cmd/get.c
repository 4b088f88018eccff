/* strobe get: values of metrics of the running agent. */
#include "cmd/ask.h"
#include "cmd/cmd.h"

#include <getopt.h>
#include <jansson.h>
#include <math.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const char help[] =
	"usage: strobe get METRIC... [OPTION...]\n\n"
	"The newest value of each series and its smallest, mean and largest one over the last 10 "
	"s; counters as\n"
	"rates a second. 'strobe metrics PATTERN' finds names.\n\n"
	"  --instance NAME   one instance (cpu0, sda, eth0, ...); default: all\n"
	"  --from TIME       -30s, -5m, -1h, unix seconds or 2026-01-31T12:00:00Z (default -10s)\n"
	"  --to TIME         the same, or now (the default)\n"
	"  --points N        so many points over the range, each with min, avg, max (1 to 10000)\n"
	"  --raw             counters as they are, not as rates\n"
	"  --csv, --json     all of it, for programs\n"
	"  --url URL         http://127.0.0.1:PORT/#token=TOKEN; default STROBE_URL, else this "
	"user's agent\n\n"
	"Exit status: 0; 1 when there is no agent, no such metric or no sample; 2 for a wrong "
	"option.\n";

struct arguments {
	const char *instance, *from, *to, *points, *url;
	bool csv, json, raw, help;
};

/* Words of a name are not cut; figures of any size stay readable. */
static const char *figure(double v, char *s, size_t size)
{
	if (!isfinite(v))
		snprintf(s, size, "-");
	else if (fabs(v) >= 1e6 || v == trunc(v))
		snprintf(s, size, "%.0f", v);
	else
		snprintf(s, size, "%.5g", v);
	return s;
}

static const char *field(const json_t *point, const char *key, char s[32])
{
	return figure(json_number_value(json_object_get(point, key)), s, 32);
}

static const char *text(const json_t *o, const char *key)
{
	const char *s = json_string_value(json_object_get(o, key));

	return s ? s : "";
}

/* One line a series: the newest value and what the range held. */
static size_t print_newest(const json_t *series)
{
	char last[32], min[32], avg[32], max[32];
	size_t i, n = 0;
	const json_t *s;
	int width = 6;

	json_array_foreach(series, i, s)
	{
		int len = (int)(strlen(text(s, "metric")) + strlen(text(s, "instance")) + 2);

		width = len > width ? len : width;
	}
	json_array_foreach(series, i, s)
	{
		const json_t *points = json_object_get(s, "points");
		const json_t *p = json_array_get(points, json_array_size(points) - 1);
		char name[320];

		if (!json_array_size(points))
			continue;
		if (!n++)
			printf("%-*s %14s %14s %14s %14s  %s\n", width, "metric", "newest", "min",
			       "avg", "max", "unit");
		snprintf(name, sizeof(name), "%s%s%s%s", text(s, "metric"),
			 *text(s, "instance") ? "[" : "", text(s, "instance"),
			 *text(s, "instance") ? "]" : "");
		printf("%-*s %14s %14s %14s %14s  %s\n", width, name, field(p, "last", last),
		       field(p, "min", min), field(p, "avg", avg), field(p, "max", max),
		       text(s, "unit"));
	}
	return n;
}

/* One line a point. */
static size_t print_points(const json_t *series)
{
	char min[32], avg[32], max[32], last[32];
	size_t i, k, n = 0;
	const json_t *s, *p;

	json_array_foreach(series, i, s)
	{
		const json_t *points = json_object_get(s, "points");

		if (!json_array_size(points))
			continue;
		printf("%s%s%s%s%s in %s\n%-27s %6s %14s %14s %14s %14s\n", n ? "\n" : "",
		       text(s, "metric"), *text(s, "instance") ? "[" : "", text(s, "instance"),
		       *text(s, "instance") ? "]" : "", text(s, "unit"), "time", "n", "min", "avg",
		       "max", "last");
		json_array_foreach(points, k, p)
			printf("%-27s %6lld %14s %14s %14s %14s\n", text(p, "time"),
			       (long long)json_integer_value(json_object_get(p, "n")),
			       field(p, "min", min), field(p, "avg", avg), field(p, "max", max),
			       field(p, "last", last));
		n++;
	}
	return n;
}

static int make_target(char target[ASK_TARGET_MAX], const struct arguments *a, char **metrics,
		       int n)
{
	int r = 0;

	strcpy(target, "/api/v1/query?");
	for (int i = 0; i < n && r == 0; i++)
		r = ask_add(target, "metric", metrics[i]);
	if (r == 0)
		r = ask_add(target, "instance", a->instance);
	if (r == 0)
		r = ask_add(target, "from", a->from);
	if (r == 0)
		r = ask_add(target, "to", a->to);
	if (r == 0)
		r = ask_add(target, "points", a->points ? a->points : "1");
	if (r == 0)
		r = ask_add(target, "rate", a->raw ? "0" : "1");
	return r < 0 ? r : ask_add(target, "format", a->csv ? "csv" : "json");
}

static int print_result(const struct arguments *a, const char *body)
{
	json_t *o;
	size_t n;

	if (a->csv || a->json) {
		fputs(body, stdout);
		return 0;
	}
	o = json_loads(body, 0, NULL);
	if (!o)
		return ask_senseless();
	n = a->points ? print_points(json_object_get(o, "series"))
		      : print_newest(json_object_get(o, "series"));
	json_decref(o);
	if (n)
		return 0;
	fprintf(stderr, "strobe: no sample in this range%s\n",
		a->instance ? "; does the instance exist? Leave --instance out to see all"
			    : "; 'strobe status' says how far back the log goes");
	return 1;
}

int cmd_get(int argc, char **argv)
{
	struct arguments a = {.from = "-10s"};
	const struct ask_option options[] = {
		{"instance", &a.instance, NULL}, {"from", &a.from, NULL}, {"to", &a.to, NULL},
		{"points", &a.points, NULL},	 {"url", &a.url, NULL},	  {"csv", NULL, &a.csv},
		{"json", NULL, &a.json},	 {"raw", NULL, &a.raw},
	};
	char target[ASK_TARGET_MAX], *body;
	int r = ask_options("get", options, sizeof(options) / sizeof(*options), argc, argv,
			    &a.help);

	if (r)
		return r;
	if (a.help) {
		fputs(help, stdout);
		return 0;
	}
	if (optind == argc || (a.csv && a.json)) {
		fputs(optind == argc ? "strobe: which metric? 'strobe metrics' lists them, for "
				       "example: strobe get "
				       "kernel.all.load\n"
				     : "strobe: --csv or --json, not both\n",
		      stderr);
		return 2;
	}
	if (make_target(target, &a, argv + optind, argc - optind) < 0) {
		fputs("strobe: too many metrics at once\n", stderr);
		return 2;
	}
	if (ask_agent(a.url, target, &body, NULL))
		return 1;
	r = print_result(&a, body);
	free(body);
	return r;
}
