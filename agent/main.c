/* The verb table, nothing else. */
#include "cmd/cmd.h"

#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

static const struct verb {
	const char *name;
	int (*fn)(int argc, char **argv);
	const char *help;
} verbs[] = {
	{"run", cmd_run, "sample this host and serve its dashboard (the default)"},
	{"status", cmd_status, "how the running agent fares"},
	{"get", cmd_get, "values of metrics of the running agent"},
	{"rank", cmd_rank, "what changed in a range, the most first"},
	{"collectors", cmd_collectors, "what can be read on this host, and why not"},
	{"metrics", cmd_metrics, "the metric reference: name, unit, semantics, source"},
	{"record", cmd_record, "save a range of this host as a file"},
	{"open", cmd_open, "serve a saved file in the dashboard"},
	{"export", cmd_export, "the samples of a saved file as text"},
	{"flame", cmd_flame, "a flame graph of the agent, of a saved file or of another tool's"},
};
enum { N_VERBS = sizeof(verbs) / sizeof(verbs[0]) };

static void usage(FILE *out)
{
	fprintf(out, "usage: strobe [VERB] [OPTION...]\n\n");
	for (int i = 0; i < N_VERBS; i++)
		fprintf(out, "  %-12s%s\n", verbs[i].name, verbs[i].help);
	fprintf(out, "\n  strobe VERB --help     the options of a verb\n"
		     "  strobe --version       what this build is\n");
}

/* How many single-character edits lie between two words. */
static int distance(const char *a, const char *b)
{
	int row[32], n = (int)strlen(b);

	if (n > 30)
		return 99;
	for (int j = 0; j <= n; j++)
		row[j] = j;
	for (int i = 1; *a; i++, a++) {
		int diagonal = row[0];

		row[0] = i;
		for (int j = 1; j <= n; j++) {
			int best = diagonal + (*a != b[j - 1]);

			diagonal = row[j];
			best = row[j] + 1 < best ? row[j] + 1 : best;
			row[j] = row[j - 1] + 1 < best ? row[j - 1] + 1 : best;
		}
	}
	return row[n];
}

static int unknown(const char *word)
{
	int best = 0;

	for (int i = 1; i < N_VERBS; i++)
		if (distance(word, verbs[i].name) < distance(word, verbs[best].name))
			best = i;
	fprintf(stderr, "strobe: there is no verb '%s'", word);
	if (distance(word, verbs[best].name) <= 3)
		fprintf(stderr, "; did you mean 'strobe %s'?", verbs[best].name);
	fprintf(stderr, "\n'strobe --help' lists them.\n");
	return 2;
}

/* Where a parent closed one of them, the next file opened would get its number, and the
 * messages. */
static void fill_standard_fds(void)
{
	int fd;

	do
		fd = open("/dev/null", O_RDWR | O_CLOEXEC);
	while (fd >= 0 && fd <= STDERR_FILENO);
	if (fd > STDERR_FILENO)
		close(fd);
}

int main(int argc, char **argv)
{
	const char *word = argc > 1 ? argv[1] : "";

	fill_standard_fds();
	if (!strcmp(word, "--help") || !strcmp(word, "-h") || !strcmp(word, "help")) {
		usage(stdout);
		return 0;
	}
	if (!strcmp(word, "--version") || !strcmp(word, "-V") || !strcmp(word, "version")) {
		printf("strobe %s\n", STROBE_VERSION);
		return 0;
	}
	if (!word[0] || word[0] == '-') /* nothing, or options of the default verb */
		return cmd_run(argc, argv);
	for (int i = 0; i < N_VERBS; i++)
		if (!strcmp(word, verbs[i].name))
			return verbs[i].fn(argc - 1, argv + 1);
	return unknown(word);
}
