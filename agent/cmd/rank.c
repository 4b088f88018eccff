/* strobe rank: what changed in a range of the running agent. */
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
	"usage: strobe rank [OPTION...]\n\n"
	"What changed in a range against the time before it, the most first: each metric with its "
	"median before and\n"
	"in the range, by how far it moved in units of how much it moved before. Of many instances "
	"the worst is\n"
	"named; (briefly) says that only a part of the range moved: what is usual for such a part, "
	"and "
	"what it reached.\n\n"
	"  --from TIME           -30s, -5m, -1h, unix seconds or 2026-01-31T12:00:00Z (default "
	"-10s)\n"
	"  --to TIME             the same, or now (the default)\n"
	"  --baseline-from TIME  what to compare with (default: ten times as long, right before)\n"
	"  --baseline-to TIME\n"
	"  --limit N             rows at most, 1 to 200 (default 20)\n"
	"  --json                all of it, for programs\n" ASK_URL_HELP
	"Exit status: 0, also when nothing changed; 1 when there is no agent or nothing is held of "
	"the range; 2 for a\n"
	"wrong option.\n";

struct arguments {
	const char *from, *to, *baseline_from, *baseline_to, *limit, *url;
	bool json, help;
};

static const char *text(const json_t *o, const char *key)
{
	const char *s = json_string_value(json_object_get(o, key));

	return s ? s : "";
}

static const char *figure(const json_t *o, const char *key, char s[32])
{
	double v = json_number_value(json_object_get(o, key));

	if (!isfinite(v))
		snprintf(s, 32, "-");
	else if (fabs(v) >= 1e6 || v == trunc(v))
		snprintf(s, 32, "%.0f", v);
	else
		snprintf(s, 32, "%.5g", v);
	return s;
}

static void row_name(const json_t *row, char name[320])
{
	long long others = json_integer_value(json_object_get(row, "others"));
	const char *instance = text(row, "instance");
	int n = snprintf(name, 320, "%.130s%s%.80s%s", text(row, "metric"), *instance ? "[" : "",
			 instance, *instance ? "]" : "");

	if (others)
		n += snprintf(name + n, 320 - (size_t)n, " and %lld more", others);
	if (json_is_true(json_object_get(row, "brief")))
		snprintf(name + n, 320 - (size_t)n, " (briefly)");
}

static void print_rows(const json_t *rows)
{
	char name[320], before[32], now[32], max[32];
	int width = 6;
	size_t i;
	const json_t *row;

	json_array_foreach(rows, i, row)
	{
		row_name(row, name);
		width = (int)strlen(name) > width ? (int)strlen(name) : width;
	}
	printf("%-*s %10s %14s %14s %14s  %s\n", width, "metric", "score", "before", "now", "max",
	       "unit");
	json_array_foreach(rows, i, row)
	{
		row_name(row, name);
		printf("%-*s %10.4g %14s %14s %14s  %s\n", width, name,
		       json_number_value(json_object_get(row, "score")),
		       figure(row, "before", before), figure(row, "now", now),
		       figure(row, "max", max), text(row, "unit"));
	}
}

static int print_result(const struct arguments *a, const char *body)
{
	json_t *o, *rows;

	if (a->json) {
		fputs(body, stdout);
		return 0;
	}
	o = json_loads(body, 0, NULL);
	rows = json_object_get(o, "rows");
	if (!json_is_array(rows)) {
		json_decref(o);
		return ask_senseless();
	}
	if (json_array_size(rows))
		print_rows(rows);
	else
		printf("nothing changed: %lld series moved no more than in the %.0f s before\n",
		       (long long)json_integer_value(json_object_get(o, "scored")),
		       json_number_value(json_object_get(o, "baseline_to")) -
			       json_number_value(json_object_get(o, "baseline_from")));
	if (json_number_value(json_object_get(o, "resolution_seconds")) > 0)
		printf("(by means over %.0f s: every sample is held of more recent times only)\n",
		       json_number_value(json_object_get(o, "resolution_seconds")));
	json_decref(o);
	return 0;
}

static int make_target(char target[ASK_TARGET_MAX], const struct arguments *a)
{
	int r;

	strcpy(target, "/api/v1/rank?");
	r = ask_add(target, "from", a->from);
	if (r == 0)
		r = ask_add(target, "to", a->to);
	if (r == 0)
		r = ask_add(target, "baseline_from", a->baseline_from);
	if (r == 0)
		r = ask_add(target, "baseline_to", a->baseline_to);
	return r < 0 ? r : ask_add(target, "limit", a->limit);
}

int cmd_rank(int argc, char **argv)
{
	struct arguments a = {.from = "-10s"};
	const struct ask_option options[] = {
		{"from", &a.from, NULL},
		{"to", &a.to, NULL},
		{"baseline-from", &a.baseline_from, NULL},
		{"baseline-to", &a.baseline_to, NULL},
		{"limit", &a.limit, NULL},
		{"url", &a.url, NULL},
		{"json", NULL, &a.json},
	};
	char target[ASK_TARGET_MAX], *body;
	int r = ask_options("rank", options, sizeof(options) / sizeof(*options), argc, argv,
			    &a.help);

	if (r)
		return r;
	if (a.help) {
		fputs(help, stdout);
		return 0;
	}
	if (optind < argc) {
		fprintf(stderr,
			"strobe: rank: '%s' is no option; 'strobe rank --help' lists them\n",
			argv[optind]);
		return 2;
	}
	if (make_target(target, &a) < 0) {
		fputs("strobe: rank: these times are too long\n", stderr);
		return 2;
	}
	if (ask_agent(a.url, target, &body, NULL))
		return 1;
	r = print_result(&a, body);
	free(body);
	return r;
}
