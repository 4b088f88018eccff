/* strobe metrics: the metric reference, from the tables of the collectors. */
#include "cmd/cmd.h"
#include "cmd/options.h"
#include "collectors/collector.h"

#include <fnmatch.h>
#include <getopt.h>
#include <jansson.h>
#include <stdio.h>
#include <string.h>

static const char *const semantics[] = {"counter", "instant", "discrete"};

enum form { PLAIN, MARKDOWN, JSON };

struct reference {
	const struct collector *collector;
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
		json_pack("{s:s, s:s, s:s, s:I, s:I, s:I, s:s*, s:s, s:s, s:s, s:s}", "name",
			  m->name, "unit", m->unit, "semantics", semantics[m->sem], "mul",
			  (json_int_t)m->mul, "div", (json_int_t)m->div, "quantum",
			  (json_int_t)m->quantum, "indom", r->group->indom, "group", r->group->name,
			  "collector", r->collector->name, "source", m->source, "help", m->help);

	if (m->names) {
		json_t *names = json_array();

		for (unsigned i = 0; m->names[i]; i++)
			json_array_append_new(names, json_string(m->names[i]));
		json_object_set_new(o, "names", names);
	}
	return o;
}

static void print(const struct reference *r, enum form form, json_t *list)
{
	if (form == PLAIN)
		print_plain(r);
	else if (form == MARKDOWN)
		print_markdown(r);
	else
		json_array_append_new(list, to_json(r));
}

static size_t print_all(const char *pattern, enum form form, json_t *list)
{
	size_t n = 0;

	for (size_t c = 0; c < n_collectors; c++)
		for (size_t g = 0; g < collectors[c]->n_groups; g++)
			for (uint32_t m = 0; m < collectors[c]->groups[g].n_metrics; m++) {
				const struct group *group = &collectors[c]->groups[g];
				struct reference r = {collectors[c], group, &group->metrics[m]};

				if (!matches(r.metric->name, pattern))
					continue;
				if (!n++ && form == MARKDOWN)
					puts("| metric | unit | semantics | per | quantum | source "
					     "| |\n"
					     "|---|---|---|---|---|---|---|");
				print(&r, form, list);
			}
	return n;
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
	static const struct option options[] = {{"markdown", no_argument, NULL, 'm'},
						{"json", no_argument, NULL, 'j'},
						{"help", no_argument, NULL, 'h'},
						{0}};
	enum form form = PLAIN;
	const char *pattern;
	json_t *list;
	int c;

	opterr = 0;
	while ((c = getopt_long(argc, argv, ":h", options, NULL)) != -1) {
		if (c == '?' || c == ':')
			return option_wrong("metrics", c, argv);
		if (c == 'h') {
			fputs("usage: strobe metrics [--markdown|--json] [PATTERN]\n\n"
			      "The reference of every metric this build can read. PATTERN is part "
			      "of a name, or a\n"
			      "glob: 'mem.*', '*.percpu.*'.\n",
			      stdout);
			return 0;
		}
		form = c == 'm' ? MARKDOWN : JSON;
	}
	if (argc - optind > 1) {
		fputs("strobe: one PATTERN at a time; 'strobe metrics' lists all\n", stderr);
		return 2;
	}
	pattern = optind < argc ? argv[optind] : NULL;
	list = form == JSON ? json_array() : NULL;
	return finish(print_all(pattern, form, list), pattern, list);
}
