/* strobe status: how the running agent fares, for people. */
#include "cmd/ask.h"
#include "cmd/cmd.h"

#include <getopt.h>
#include <jansson.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const char help[] = "usage: strobe status [--json] [--url URL]\n\n"
			   "How the running agent fares: its cost, what the log holds, the state "
			   "of each collector.\n\n"
			   "  --json       as the agent says it (GET /api/v1/status)\n"
			   "  --url URL    http://127.0.0.1:PORT/#token=TOKEN; default STROBE_URL, "
			   "else this user's agent\n\n"
			   "Exit status: 0; 1 when no agent answers; 2 for a wrong option.\n";

static double number(const json_t *o, const char *key)
{
	return json_number_value(json_object_get(o, key));
}

static const char *text(const json_t *o, const char *key)
{
	const char *s = json_string_value(json_object_get(o, key));

	return s ? s : "";
}

/* "3 d 4 h", "12 min 5 s" */
static void print_span(const char *label, double s)
{
	long t = (long)s;

	printf("%-14s", label);
	if (t >= 86400)
		printf("%ld d %ld h\n", t / 86400, t % 86400 / 3600);
	else if (t >= 3600)
		printf("%ld h %ld min\n", t / 3600, t % 3600 / 60);
	else if (t >= 60)
		printf("%ld min %ld s\n", t / 60, t % 60);
	else
		printf("%.1f s\n", s);
}

static void print_collectors(const json_t *list)
{
	size_t i;
	const json_t *c;

	printf("\n%-12s %-9s %9s %8s %10s  %s\n", "collector", "state", "period", "series", "cost",
	       "");
	json_array_foreach(list, i, c)
	{
		const char *tier = text(c, "tier"), *reason = text(c, "reason");
		char period[24] = "-";

		if (number(c, "period_ms") > 0)
			snprintf(period, sizeof(period), "%.0f ms", number(c, "period_ms"));
		printf("%-12s %-9s %9s %8.0f %7.0f us  %s%s%s\n", text(c, "name"), text(c, "state"),
		       period, number(c, "series"), number(c, "cost_us"), tier,
		       *tier && *reason ? ": " : "", reason);
	}
}

static void print_history(const json_t *h)
{
	double size = number(h, "disk_size_bytes"), errors = number(h, "errors");

	printf("%-14s%.0f blocks, %.1f MiB of them in memory", "history", number(h, "blocks"),
	       number(h, "memory_bytes") / 1048576);
	if (number(h, "bytes_per_sample") > 0)
		printf(", %.3f bytes a sample", number(h, "bytes_per_sample"));
	if (size > 0)
		printf("\n%-14s%.1f of %.0f MiB, the newest %.1f s not yet durable", "disk ring",
		       number(h, "disk_used_bytes") / 1048576, size / 1048576,
		       number(h, "flush_lag_s"));
	else
		printf("\n%-14snone: --history DIR keeps history over restarts", "disk ring");
	printf("\n");
	if (errors > 0)
		printf("%-14s%.0f writes to the ring failed\n", "", errors);
}

static void print_off_cpu(const json_t *p)
{
	double n_short = number(p, "off_cpu_short"), lost = number(p, "off_cpu_lost");

	printf("%-14soff-CPU by %s: waits of %.4g ms and more", "", text(p, "off_cpu_by"),
	       number(p, "off_cpu_min_us") / 1000);
	if (n_short > 0)
		printf("; %.0f shorter ones, %.1f s, not kept", n_short,
		       number(p, "off_cpu_short_s"));
	if (lost > 0)
		printf("; %.0f lost", lost);
	printf("\n");
}

static void print_profiler(const json_t *p)
{
	bool on = json_is_true(json_object_get(p, "on"));
	double samples = number(p, "samples");

	if (!on) {
		printf("%-14soff: %s\n", "profiler", text(p, "reason"));
		return;
	}
	printf("%-14s%.0f Hz, %s (%s)\n", "profiler", number(p, "hz"), text(p, "tier"),
	       text(p, "event"));
	if (json_is_true(json_object_get(p, "off_cpu")))
		print_off_cpu(p);
	printf("%-14s%.0f samples, %.0f lost, %.1f %% shallow, %.1f MiB held", "", samples,
	       number(p, "lost"), samples > 0 ? 100 * number(p, "shallow") / samples : 0,
	       (number(p, "memory_bytes") + number(p, "disk_bytes")) / 1048576);
	if (number(p, "bytes_per_sample") > 0)
		printf(" at %.1f bytes a sample", number(p, "bytes_per_sample"));
	printf("\n");
	if (*text(p, "reason"))
		printf("%-14s%s\n", "", text(p, "reason"));
	print_span("stacks of", number(p, "retention_s"));
}

static void print_status(const json_t *o, const char *url)
{
	printf("strobe %s on %s, %s\n\n", text(o, "version"), text(o, "host"), url);
	if (*text(o, "capture"))
		printf("%-14s%s: figures are those of its end\n", "capture", text(o, "capture"));
	print_span("running", number(o, "uptime_s"));
	printf("%-14s%.0f Hz, %.0f series, %.0f samples a second\n", "sampling",
	       number(o, "rate_hz"), number(o, "series"), number(o, "samples_per_s"));
	printf("%-14s%.2f %% of one core, %.1f MiB resident\n", "cost", number(o, "cpu_percent"),
	       number(o, "rss_bytes") / 1048576);
	print_span("holds", number(o, "retention_s"));
	print_history(json_object_get(o, "history"));
	print_profiler(json_object_get(o, "profiler"));
	printf("%-14s%.0f late, %.0f missed\n", "ticks", number(o, "late_ticks"),
	       number(o, "missed_ticks"));
	printf("%-14s%.0f\n", "clients", number(o, "clients"));
	if (json_is_false(json_object_get(o, "recoverable")))
		printf("%-14snot after a crash: the log is in anonymous memory\n", "recoverable");
	print_collectors(json_object_get(o, "collectors"));
}

int cmd_status(int argc, char **argv)
{
	const char *url = NULL;
	bool json = false, wants_help;
	const struct ask_option options[] = {{"json", NULL, &json}, {"url", &url, NULL}};
	char shown[256], *body;
	int r = ask_options("status", options, 2, argc, argv, &wants_help);

	if (r)
		return r;
	if (wants_help) {
		fputs(help, stdout);
		return 0;
	}
	if (optind < argc) {
		fprintf(stderr,
			"strobe: status takes no argument '%s'; 'strobe status --help' lists the "
			"options\n",
			argv[optind]);
		return 2;
	}
	if (ask_agent(url, "/api/v1/status", &body, shown))
		return 1;

	json_t *o = json ? NULL : json_loads(body, 0, NULL);

	if (json)
		fputs(body, stdout);
	else if (o)
		print_status(o, shown);
	else
		r = ask_senseless();
	free(body);
	json_decref(o);
	return r;
}
