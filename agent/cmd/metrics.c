/* strobe metrics: the metric reference, from the tables of the collectors, or that of an agent. */
#include "cmd/ask.h"
#include "cmd/cmd.h"
#include "collectors/collector.h"

#include <fnmatch.h>
#include <getopt.h>
#include <jansson.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const char help[] =
	"usage: strobe metrics [--markdown|--json] [--url URL] [PATTERN]\n\n"
	"The reference of every metric this build can read, or with --url of those that an agent "
	"reads. PATTERN is\n"
	"part of a name, or a glob: 'mem.*', '*.percpu.*'.\n";

static const char *const semantics[] = {"counter", "instant", "discrete"};

enum form { PLAIN, MARKDOWN, JSON };

struct reference {
	const char *collector; /* NULL: an agent does not say */
	const struct group *group;
	const struct metric *metric;
};

static bool matches(const char *name, const char *pattern)
{
	if (!pattern)
		return true;
	if (strpbrk(pattern, "*?["))
		return fnmatch(pattern, name, 0) == 0;
	return strstr(name, pattern) != NULL;
}

/* The smallest step in the metric's unit; "" when it is exact. */
static const char *quantum(const struct metric *m, char *buf, size_t size)
{
	buf[0] = 0;
	if (m->quantum)
		snprintf(buf, size, "%.6g %s", (double)m->quantum * m->mul / m->div, m->unit);
	return buf;
}

static void print_plain(const struct reference *r)
{
	const struct metric *m = r->metric;
	char q[64];

	printf("%s\n    %s, %s%s%s\n    %s\n    from %s", m->name, semantics[m->sem], m->unit,
	       r->group->indom ? ", per " : "", r->group->indom ? r->group->indom : "", m->help,
	       m->source);
	if (*quantum(m, q, sizeof(q)))
		printf(", in steps of %s", q);
	for (unsigned i = 0; m->names && m->names[i]; i++)
		printf("%s%u = %s", i ? ", " : "\n    ", i, m->names[i]);
	printf("\n");
}

static void print_markdown(const struct reference *r)
{
	const struct metric *m = r->metric;
	char q[64];

	printf("| `%s` | %s | %s | %s | %s | %s | %s |\n", m->name, m->unit, semantics[m->sem],
	       r->group->indom ? r->group->indom : "", quantum(m, q, sizeof(q)), m->source,
	       m->help);
}

static json_t *to_json(const struct reference *r)
{
	const struct metric *m = r->metric;
	json_t *o =
		json_pack("{s:s, s:s, s:s, s:I, s:I, s:I, s:s*, s:s, s:s*, s:s, s:s}", "name",
			  m->name, "unit", m->unit, "semantics", semantics[m->sem], "mul",
			  (json_int_t)m->mul, "div", (json_int_t)m->div, "quantum",
			  (json_int_t)m->quantum, "indom", r->group->indom, "group", r->group->name,
			  "collector", r->collector, "source", m->source, "help", m->help);

	if (m->names) {
		json_t *names = json_array();

		for (unsigned i = 0; m->names[i]; i++)
			json_array_append_new(names, json_string(m->names[i]));
		json_object_set_new(o, "names", names);
	}
	return o;
}

/* 1 when it matches; n did before. */
static size_t print(const struct reference *r, const char *pattern, enum form form, json_t *list,
		    size_t n)
{
	if (!matches(r->metric->name, pattern))
		return 0;
	if (!n && form == MARKDOWN)
		puts("| metric | unit | semantics | per | quantum | source | |\n"
		     "|---|---|---|---|---|---|---|");
	if (form == PLAIN)
		print_plain(r);
	else if (form == MARKDOWN)
		print_markdown(r);
	else
		json_array_append_new(list, to_json(r));
	return 1;
}

static size_t print_all(const char *pattern, enum form form, json_t *list)
{
	size_t n = 0;

	for (size_t c = 0; c < n_collectors; c++)
		for (size_t g = 0; g < collectors[c]->n_groups; g++)
			for (uint32_t m = 0; m < collectors[c]->groups[g].n_metrics; m++) {
				const struct group *group = &collectors[c]->groups[g];
				struct reference r = {collectors[c]->name, group,
						      &group->metrics[m]};

				n += print(&r, pattern, form, list, n);
			}
	return n;
}

/* ---- of an agent ---- */

static const char *text(const json_t *o, const char *key)
{
	const char *s = json_string_value(json_object_get(o, key));

	return s ? s : "";
}

static uint32_t positive(const json_t *o, const char *key)
{
	json_int_t v = json_integer_value(json_object_get(o, key));

	return v > 0 && v <= UINT32_MAX ? (uint32_t)v : 1;
}

/* One that the agent has, as it would stand in a table. */
static size_t print_told(const json_t *group, const json_t *o, const char *pattern, enum form form,
			 json_t *list, size_t n)
{
	const json_t *words = json_object_get(o, "names");
	const char *names[256] = {NULL};
	struct group g = {.name = text(group, "name"),
			  .indom = json_string_value(json_object_get(group, "indom"))};
	struct metric m = {.name = text(o, "name"),
			   .unit = text(o, "unit"),
			   .mul = positive(o, "mul"),
			   .div = positive(o, "div"),
			   .source = text(o, "source"),
			   .help = text(o, "help")};
	double steps = json_number_value(json_object_get(o, "quantum")) * m.div / m.mul;
	struct reference r = {NULL, &g, &m};

	while (m.sem < SEM_DISCRETE && strcmp(semantics[m.sem], text(o, "semantics")) != 0)
		m.sem++;
	m.quantum = steps > 0 && steps < 9e15 ? llround(steps) : 0;
	for (size_t i = 0; i < json_array_size(words) && i + 1 < 256; i++)
		names[i] = json_string_value(json_array_get(words, i));
	m.names = names[0] ? names : NULL;
	return print(&r, pattern, form, list, n);
}

/* -1: there is no answer, and it was said why. */
static long print_agents(const char *url, const char *pattern, enum form form, json_t *list)
{
	char *body;
	size_t i, k, n = 0;
	json_t *o;
	const json_t *groups, *group, *metric;

	if (ask_agent(url, "/api/v1/metrics", &body, NULL))
		return -1;
	o = json_loads(body, 0, NULL);
	free(body);
	groups = json_object_get(o, "groups");
	if (!json_is_array(groups)) {
		json_decref(o);
		ask_senseless();
		return -1;
	}
	json_array_foreach(groups, i, group)
		json_array_foreach(json_object_get(group, "metrics"), k, metric) n +=
		print_told(group, metric, pattern, form, list, n);
	json_decref(o);
	return (long)n;
}

static int finish(size_t n, const char *pattern, json_t *list)
{
	if (list) {
		json_dumpf(list, stdout, JSON_INDENT(2));
		putchar('\n');
		json_decref(list);
	}
	if (n)
		return 0;
	fprintf(stderr, "strobe: no metric matches '%s'; 'strobe metrics' lists all\n",
		pattern ? pattern : "");
	return 1;
}

int cmd_metrics(int argc, char **argv)
{
	bool markdown = false, json = false, wants_help;
	const char *url = NULL, *pattern;
	const struct ask_option options[] = {
		{"markdown", NULL, &markdown}, {"json", NULL, &json}, {"url", &url, NULL}};
	int r = ask_options("metrics", options, 3, argc, argv, &wants_help);
	enum form form = markdown ? MARKDOWN : json ? JSON : PLAIN;
	json_t *list;
	long n;

	if (r)
		return r;
	if (wants_help) {
		fputs(help, stdout);
		return 0;
	}
	if (argc - optind > 1) {
		fputs("strobe: one PATTERN at a time; 'strobe metrics' lists all\n", stderr);
		return 2;
	}
	pattern = optind < argc ? argv[optind] : NULL;
	list = form == JSON ? json_array() : NULL;
	n = url ? print_agents(url, pattern, form, list) : (long)print_all(pattern, form, list);
	if (n < 0) {
		json_decref(list);
		return 1;
	}
	return finish((size_t)n, pattern, list);
}
