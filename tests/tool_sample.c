/*
 * Reads the collectors named on the command line (all without) once, directly, and prints a line
 * "metric instance value" for each value that is there, in the metric's unit; "-" for no instance,
 * blanks of an instance's name as '_'. For the scripts that hold the figures against other tools.
 */
#include "collectors/collector.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static void print_value(const struct metric *m, const char *instance, int64_t v)
{
	char name[INSTANCE_NAME_MAX];

	if (v == VALUE_ABSENT)
		return;
	snprintf(name, sizeof(name), "%s", *instance ? instance : "-");
	for (char *p = name; *p; p++)
		if (*p == ' ')
			*p = '_';
	printf("%s %s ", m->name, name);
	if (v * (int64_t)m->mul % (int64_t)m->div == 0)
		printf("%" PRId64 "\n", v * (int64_t)m->mul / (int64_t)m->div);
	else
		printf("%.3f\n", (double)v * m->mul / m->div);
}

static void print_batch(const struct batch *b)
{
	for (uint32_t s = 0; s < b->n_slots; s++)
		for (uint32_t m = 0; m < b->n_metrics && b->inst[s].live; m++)
			print_value(&b->group->metrics[m], b->inst[s].name,
				    b->rows[(size_t)s * b->n_metrics + m]);
}

static int sample(const struct collector *c, const struct host *h)
{
	struct collector_report rep = {0};
	void *state = calloc(1, c->state_size + 1);
	int r = c->probe ? c->probe(h, &rep) : 0;

	if (!r) {
		r = c->open(state, h, &rep);
		for (unsigned g = 0; g < c->n_groups && !r; g++) {
			struct batch b;

			if (batch_init(&b, &c->groups[g], 0))
				abort();
			batch_begin(&b, 1);
			if (c->sample(state, g, &b, &rep) >= 0)
				batch_finish(&b);
			print_batch(&b);
			batch_done(&b);
		}
		c->close(state);
	}
	if (r)
		fprintf(stderr, "%s: %s\n", c->name, rep.reason);
	free(state);
	return r;
}

int main(int argc, char **argv)
{
	struct host h;
	int status = 0;

	if (host_open(&h, NULL, NULL, NULL))
		return 1;
	for (size_t i = 0; i < n_collectors; i++) {
		bool wanted = argc < 2;

		for (int a = 1; a < argc; a++)
			wanted |= strcmp(argv[a], collectors[i]->name) == 0;
		if (wanted && sample(collectors[i], &h) && argc > 1)
			status = 1;
	}
	host_close(&h);
	return status;
}
