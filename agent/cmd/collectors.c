/* strobe collectors: probes, opens and reads everything once on this host; needs no agent. */
#include "cmd/cmd.h"
#include "cmd/options.h"
#include "collectors/collector.h"

#include <getopt.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct finding {
	const struct collector *collector;
	const char *state;
	struct collector_report report;
	uint32_t series, period_ms; /* of its fastest group; 0: every tick */
};

static void read_groups(struct finding *f, void *state)
{
	const struct collector *c = f->collector;

	f->state = "ok";
	f->period_ms = UINT32_MAX;
	for (unsigned g = 0; g < c->n_groups; g++) {
		struct batch b;
		int r = batch_init(&b, &c->groups[g], 0);

		if (!r) {
			batch_begin(&b, 1);
			r = c->sample(state, g, &b, &f->report);
			if (r >= 0)
				batch_finish(&b);
		}
		if (r < 0)
			f->state = "failed";
		else if (r > 0 && strcmp(f->state, "ok") == 0)
			f->state = "partial";
		f->series += r < 0 ? 0 : b.n_live * b.n_metrics;
		if (c->groups[g].period_ms < f->period_ms)
			f->period_ms = c->groups[g].period_ms;
		batch_done(&b);
		if (r < 0 && !f->report.reason[0])
			snprintf(f->report.reason, sizeof(f->report.reason), "%s",
				 strerrordesc_np(-r));
	}
}

static void find_out(struct finding *f, const struct host *host)
{
	const struct collector *c = f->collector;
	void *state = calloc(1, c->state_size ? c->state_size : 1);
	int r = c->probe ? c->probe(host, &f->report) : 0;

	f->state = "absent";
	if (r >= 0 && state) {
		f->report = (struct collector_report){0};
		r = c->open(state, host, &f->report);
		if (r < 0)
			f->state = "failed";
		else
			read_groups(f, state);
		c->close(state);
	}
	if (r < 0 && !f->report.reason[0])
		snprintf(f->report.reason, sizeof(f->report.reason), "%s", strerrordesc_np(-r));
	free(state);
}

static void print_line(const struct finding *f)
{
	char period[16] = "tick";
	const char *note = f->report.reason[0] ? f->report.reason : f->collector->help;

	if (f->period_ms && f->period_ms != UINT32_MAX)
		snprintf(period, sizeof(period), "%u ms", f->period_ms);
	printf("%-11s %-8s %6u  %-8s %-14s %s\n", f->collector->name, f->state, f->series,
	       f->series ? period : "-", f->report.tier ? f->report.tier : "-", note ? note : "");
}

static json_t *to_json(const struct finding *f)
{
	json_t *groups = json_array();

	for (size_t g = 0; g < f->collector->n_groups; g++)
		json_array_append_new(groups, json_string(f->collector->groups[g].name));
	return json_pack("{s:s, s:s, s:I, s:I, s:s*, s:s, s:s*, s:o}", "name", f->collector->name,
			 "state", f->state, "series", (json_int_t)f->series, "period_ms",
			 (json_int_t)(f->period_ms == UINT32_MAX ? 0 : f->period_ms), "tier",
			 f->report.tier, "reason", f->report.reason, "help", f->collector->help,
			 "groups", groups);
}

static void print_all(const struct host *host, bool json)
{
	json_t *list = json ? json_array() : NULL;

	if (!json)
		printf("%-11s %-8s %6s  %-8s %-14s %s\n", "COLLECTOR", "STATE", "SERIES", "PERIOD",
		       "TIER", "WHAT IT IS, OR WHY NOT");
	for (size_t i = 0; i < n_collectors; i++) {
		struct finding f = {.collector = collectors[i]};

		find_out(&f, host);
		if (json)
			json_array_append_new(list, to_json(&f));
		else
			print_line(&f);
	}
	if (json) {
		json_dumpf(list, stdout, JSON_INDENT(2));
		putchar('\n');
		json_decref(list);
	}
}

int cmd_collectors(int argc, char **argv)
{
	static const struct option options[] = {{"proc", required_argument, NULL, ROOT_PROC},
						{"sys", required_argument, NULL, ROOT_SYS},
						{"cgroup", required_argument, NULL, ROOT_CGROUP},
						{"json", no_argument, NULL, 'j'},
						{"help", no_argument, NULL, 'h'},
						{0}};
	const char *root[N_ROOTS] = {NULL};
	struct host host;
	bool json = false;
	int c, r;

	opterr = 0;
	while ((c = getopt_long(argc, argv, ":h", options, NULL)) != -1) {
		if (c == '?' || c == ':')
			return option_wrong("collectors", c, argv);
		if (c == 'h') {
			fputs("usage: strobe collectors [--json] [--proc DIR] [--sys DIR] "
			      "[--cgroup DIR]\n\n"
			      "What can be read on this host by this user, and why not. 'strobe "
			      "status' says it of a running agent.\n",
			      stdout);
			return 0;
		}
		if (c == 'j')
			json = true;
		else
			root[c] = optarg;
	}
	if (optind < argc) {
		fprintf(stderr,
			"strobe: collectors takes no argument '%s'; 'strobe metrics PATTERN' finds "
			"metrics\n",
			argv[optind]);
		return 2;
	}
	r = host_open(&host, root[ROOT_PROC], root[ROOT_SYS], root[ROOT_CGROUP]);
	if (r < 0) {
		fprintf(stderr, "strobe: cannot open the roots to watch (%s): %s\n",
			root[ROOT_PROC] ? root[ROOT_PROC] : "/proc", strerrordesc_np(-r));
		return 1;
	}
	print_all(&host, json);
	host_close(&host);
	return 0;
}
