/*
 * Interrupts by source and by CPU from /proc/interrupts, softirqs by type and CPU from
 * /proc/softirqs. Softirqs are listed for CPUs that could exist as well; only those that
 * /proc/interrupts shows are online and become instances.
 */
#include "base/counter.h"
#include "base/parse.h"
#include "collectors/collector.h"
#include "collectors/interrupts/sources.h"
#include "collectors/interrupts/table.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { CPUS_MAX = 4096, SOFTIRQS_MAX = 32, SOFTIRQ_CPUS_MAX = 16384 };

#define HARD_PATH "interrupts"
#define SOFT_PATH "softirqs"

static const struct metric source_metrics[] = {
	{"kernel.all.interrupts.total", "count", 1, 1, "/proc/interrupts sum of a row",
	 "Interrupts of this source on all CPUs.", SEM_COUNTER, 0, NULL},
};
enum { M_INTR, M_SIRQ, N_PERCPU };
static const struct metric percpu_metrics[N_PERCPU] = {
	{"kernel.percpu.intr", "count", 1, 1, "/proc/interrupts sum of a column",
	 "Interrupts this CPU served, all sources.", SEM_COUNTER, 0, NULL},
	{"kernel.percpu.sirq", "count", 1, 1, "/proc/softirqs sum of a column",
	 "Softirqs this CPU ran, all types.", SEM_COUNTER, 0, NULL},
};
enum { M_ERRORS, M_MISSED, N_ALL };
static const struct metric all_metrics[N_ALL] = {
	{"kernel.all.interrupts.errors", "count", 1, 1, "/proc/interrupts ERR",
	 "Errors of the interrupt controller: spurious or unexpected interrupts.", SEM_COUNTER, 0,
	 NULL},
	{"kernel.all.interrupts.missed", "count", 1, 1, "/proc/interrupts MIS",
	 "Level-triggered interrupts lost by an IO-APIC and repaired.", SEM_COUNTER, 0, NULL},
};
static const struct metric softirq_metrics[] = {
	{"kernel.all.softirqs.total", "count", 1, 1, "/proc/softirqs sum of a row",
	 "Softirqs of this type on all CPUs.", SEM_COUNTER, 0, NULL},
};
static const struct metric softirq_cpu_metrics[] = {
	{"kernel.percpu.softirqs", "count", 1, 1, "/proc/softirqs",
	 "Softirqs of this type on this CPU.", SEM_COUNTER, 0, NULL},
};

enum { G_SOURCE, G_PERCPU, G_ALL, G_SOFTIRQ, G_SOFTIRQ_CPU, N_GROUPS };

static const char *const source_attrs[] = {"description", NULL};

static const struct group groups[N_GROUPS] = {
	/* twice the places, for a slot that was freed is given away in a later pass only */
	[G_SOURCE] = {"interrupts.source", "interrupt", source_metrics, 1, 0,
		      2 * (SOURCES_SHOWN + 1), false, source_attrs},
	[G_PERCPU] = {"interrupts.percpu", "cpu", percpu_metrics, N_PERCPU, 0, CPUS_MAX, false,
		      NULL},
	[G_ALL] = {"interrupts.all", NULL, all_metrics, N_ALL, 0, 1, false, NULL},
	[G_SOFTIRQ] = {"interrupts.softirq", "softirq", softirq_metrics, 1, 0, SOFTIRQS_MAX, false,
		       NULL},
	[G_SOFTIRQ_CPU] = {"interrupts.softirq_cpu", "softirq_cpu", softirq_cpu_metrics, 1, 0,
			   SOFTIRQ_CPUS_MAX, false, NULL},
};

struct cpu_counts {
	struct running intr, sirq;
	uint16_t soft_column; /* + 1; 0: softirqs do not list it */
};

struct interrupts {
	struct irq_table hard, soft;
	struct irq_sources sources;
	struct running softirqs[SOFTIRQS_MAX];
	int64_t errors, missed;
	struct cpu_counts *cpus; /* by number, CPUS_MAX */
	uint64_t tick;		 /* of the newest refresh, + 1 */
	bool described, resumed;
};

static int interrupts_probe(const struct host *h, struct collector_report *rep)
{
	return host_probe(h, ROOT_PROC, HARD_PATH, rep->reason, sizeof(rep->reason));
}

static int interrupts_open(void *state, const struct host *h, struct collector_report *rep)
{
	struct interrupts *s = state;
	const char *path = HARD_PATH;
	int r = irq_table_open(&s->hard, h, path, false);

	if (!r)
		r = irq_sources_init(&s->sources, s->hard.cap_rows);
	if (!r)
		r = irq_table_open(&s->soft, h, path = SOFT_PATH, true);
	s->cpus = calloc(CPUS_MAX, sizeof(*s->cpus));
	if (!r && !s->cpus)
		r = -ENOMEM;
	return r ? host_explain(h, ROOT_PROC, path, r, rep->reason, sizeof(rep->reason)) : 0;
}

static void interrupts_close(void *state)
{
	struct interrupts *s = state;

	irq_table_close(&s->hard);
	irq_table_close(&s->soft);
	irq_sources_done(&s->sources);
	free(s->cpus);
	s->cpus = NULL;
}

static void count_hard(struct interrupts *s)
{
	const struct irq_table *t = &s->hard;

	irq_sources_update(&s->sources, t);
	if (t->changed)
		s->described = false;
	for (uint32_t c = 0; c < t->n_cpus; c++)
		if (t->cpus[c] < CPUS_MAX)
			running_add(&s->cpus[t->cpus[c]].intr, t->cpu_sums[c], t->changed);
	s->errors = s->missed = VALUE_ABSENT;
	for (uint32_t i = t->n_rows; i-- > 0;) {
		if (!t->rows[i].global)
			continue;
		*(irq_row_is(t, &t->rows[i], "MIS") ? &s->missed : &s->errors) = t->row_sums[i];
	}
}

static void count_soft(struct interrupts *s)
{
	const struct irq_table *t = &s->soft;

	if (t->changed) {
		for (uint32_t i = 0; i < CPUS_MAX; i++)
			s->cpus[i].soft_column = 0;
		for (uint32_t c = 0; c < t->n_cpus; c++)
			if (t->cpus[c] < CPUS_MAX)
				s->cpus[t->cpus[c]].soft_column = (uint16_t)(c + 1);
	}
	for (uint32_t c = 0; c < t->n_cpus; c++)
		if (t->cpus[c] < CPUS_MAX)
			running_add(&s->cpus[t->cpus[c]].sirq, t->cpu_sums[c], t->changed);
	for (uint32_t i = 0; i < t->n_rows && i < SOFTIRQS_MAX; i++)
		running_add(&s->softirqs[i], t->row_sums[i], t->changed);
}

static int refresh(struct interrupts *s, uint64_t tick, struct collector_report *rep)
{
	const char *path = HARD_PATH;
	int r;

	if (s->tick == tick + 1)
		return 0;
	r = irq_table_read(&s->hard, tick);
	if (!r) {
		count_hard(s);
		r = irq_table_read(&s->soft, tick);
		path = SOFT_PATH;
	}
	if (r) {
		snprintf(rep->reason, sizeof(rep->reason), "/proc/%s: %s", path, strerror(-r));
		return r;
	}
	count_soft(s);
	s->tick = tick + 1;
	return 0;
}

static void describe(struct batch *b, const int64_t *row, const struct irq_table *t,
		     const struct irq_row *r)
{
	char text[ATTR_VALUE_MAX];

	batch_attr(b, (uint32_t)((row - b->rows) / b->n_metrics), 0, text,
		   irq_row_describe(t, r, text, sizeof(text) - 1));
}

static void show_sources(struct interrupts *s, struct batch *b)
{
	const struct irq_sources *all = &s->sources;
	bool say = !s->described || all->moved;
	int64_t *row;

	for (uint32_t i = 0; i < all->n; i++) {
		const struct irq_source *src = &all->now[i];

		if (!src->shown || !(row = batch_row_named(b, src->name, src->name_len)))
			continue;
		row[0] = src->count.total;
		if (say)
			describe(b, row, &s->hard, &s->hard.rows[i]);
	}
	if (all->n_hidden && (row = batch_row_named(b, "others", 6))) {
		if (!s->resumed && row[0] > 0) /* the agent was restarted: count on */
			s->sources.others = row[0];
		s->resumed = true;
		row[0] = all->others;
	}
	s->described = true;
}

static void show_percpu(const struct interrupts *s, struct batch *b)
{
	char name[16] = "cpu";

	for (uint32_t c = 0; c < s->hard.n_cpus; c++) {
		uint32_t cpu = s->hard.cpus[c];
		int64_t *row;

		if (cpu >= CPUS_MAX ||
		    !(row = batch_row_named(b, name, 3 + parse_put_u32(name + 3, cpu))))
			continue;
		row[M_INTR] = s->cpus[cpu].intr.total;
		row[M_SIRQ] = s->cpus[cpu].soft_column ? s->cpus[cpu].sirq.total : VALUE_ABSENT;
	}
}

static void show_softirqs(const struct interrupts *s, struct batch *b)
{
	const struct irq_table *t = &s->soft;

	for (uint32_t i = 0; i < t->n_rows && i < SOFTIRQS_MAX; i++) {
		int64_t *row =
			batch_row_named(b, t->layout + t->rows[i].label, t->rows[i].label_len);

		if (row)
			row[0] = s->softirqs[i].total;
	}
}

static void show_softirq_cpus(const struct interrupts *s, struct batch *b)
{
	const struct irq_table *t = &s->soft;
	char name[IRQ_LABEL_MAX + 16];

	for (uint32_t i = 0; i < t->n_rows && i < SOFTIRQS_MAX; i++) {
		size_t n = t->rows[i].label_len;

		memcpy(name, t->layout + t->rows[i].label, n);
		memcpy(name + n, "::cpu", 5);
		for (uint32_t c = 0; c < s->hard.n_cpus; c++) {
			uint32_t cpu = s->hard.cpus[c];
			uint32_t column = cpu < CPUS_MAX ? s->cpus[cpu].soft_column : 0;
			int64_t *row;

			if (!column || column > t->rows[i].n_cols)
				continue;
			row = batch_row_named(b, name, n + 5 + parse_put_u32(name + n + 5, cpu));
			if (row)
				row[0] = t->cells[(size_t)i * t->cap_cpus + column - 1];
		}
	}
}

static int interrupts_sample(void *state, unsigned group, struct batch *b,
			     struct collector_report *rep)
{
	struct interrupts *s = state;
	int r = refresh(s, b->tick, rep);
	int64_t *row;

	if (r)
		return r;
	switch (group) {
	case G_SOURCE:
		show_sources(s, b);
		break;
	case G_PERCPU:
		show_percpu(s, b);
		break;
	case G_ALL:
		row = batch_row(b);
		row[M_ERRORS] = s->errors;
		row[M_MISSED] = s->missed;
		break;
	case G_SOFTIRQ:
		show_softirqs(s, b);
		break;
	default:
		show_softirq_cpus(s, b);
	}
	return 0;
}

const struct collector collector_interrupts = {
	.name = "interrupts",
	.help = "interrupts by source and CPU, softirqs by type and CPU",
	.groups = groups,
	.n_groups = N_GROUPS,
	.state_size = sizeof(struct interrupts),
	.probe = interrupts_probe,
	.open = interrupts_open,
	.sample = interrupts_sample,
	.close = interrupts_close,
};
