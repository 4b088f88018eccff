/*
 * /proc/pressure/{cpu,memory,io,irq}: how long tasks stood still for want of a resource. `total` is
 * brought up to date by the read itself, to the microsecond; the averages step every 2 seconds.
 */
#include "base/parse.h"
#include "collectors/collector.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

enum { R_CPU, R_MEMORY, R_IO, R_IRQ, N_RESOURCES };
enum { L_SOME, L_FULL, N_LINES }; /* "some": at least one task waits, "full": nothing else runs */
enum { N_AVGS = 3, N_CELLS = N_RESOURCES * N_LINES - 1 /* irq has no "some" */ };

static const char *const path[N_RESOURCES] = {"pressure/cpu", "pressure/memory", "pressure/io",
					      "pressure/irq"};

#define TOTAL(res, line, text)                                                                     \
	{                                                                                          \
		"kernel.all.pressure." res "." line ".total", "microsec", 1, 1,                    \
			"/proc/pressure/" res " " line " total", "Time in which " text,            \
			SEM_COUNTER, 0, NULL                                                       \
	}
#define AVG(res, line, text)                                                                       \
	{                                                                                          \
		"kernel.all.pressure." res "." line ".avg", "%", 1, 100,                           \
			"/proc/pressure/" res " " line " avg10, avg60, avg300",                    \
			"Share of time in which " text, SEM_INSTANT, 1, NULL                       \
	}
/* In the order of CELL(). */
#define CELLS(X)                                                                                   \
	X("cpu", "some", "a task was ready to run and had no CPU."),                               \
		X("cpu", "full", "all tasks of a group with a CPU limit were held back."),         \
		X("memory", "some", "a task waited for memory."),                                  \
		X("memory", "full", "all tasks that had work waited for memory."),                 \
		X("io", "some", "a task waited for I/O."),                                         \
		X("io", "full", "all tasks that had work waited for I/O."),                        \
		X("irq", "full", "interrupts kept a task from its CPU.")

static const struct metric total_metrics[N_CELLS] = {CELLS(TOTAL)};
static const struct metric avg_metrics[N_CELLS] = {CELLS(AVG)};

enum { G_TOTAL, G_AVG };

static const struct group groups[] = {
	[G_TOTAL] = {"pressure.total", NULL, total_metrics, N_CELLS, 0, 1, false, NULL},
	[G_AVG] = {"pressure.avg", "pressure", avg_metrics, N_CELLS, 1000, N_AVGS, false, NULL},
};

static const struct {
	const char *key, *instance;
} avgs[N_AVGS] = {{" avg10=", "10 second"}, {" avg60=", "1 minute"}, {" avg300=", "5 minute"}};

struct pressure_state {
	const struct host *host;
	struct kept_file file[N_RESOURCES];
	uint64_t parsed_tick; /* + 1 */
	int64_t total[N_CELLS], avg[N_AVGS][N_CELLS];
	int n_read, n_failed; /* sources, in the pass of parsed_tick */
	int failed_r;	      /* of the last that failed, `failed` */
	unsigned failed;
};

static int pressure_probe(const struct host *h, struct collector_report *rep)
{
	int r = host_probe(h, ROOT_PROC, path[R_CPU], rep->reason, sizeof(rep->reason));

	if (r)
		snprintf(rep->reason, sizeof(rep->reason),
			 "%s/pressure: %s (kernel with CONFIG_PSI, booted with psi=1)",
			 h->path[ROOT_PROC], strerror(-r));
	return r;
}

static int pressure_open(void *state, const struct host *h, struct collector_report *rep)
{
	struct pressure_state *s = state;

	s->host = h;
	for (unsigned i = 0; i < N_RESOURCES; i++) {
		int r = kept_open(&s->file[i], h, ROOT_PROC, path[i]);

		/* irq came with Linux 6.1 and needs CONFIG_IRQ_TIME_ACCOUNTING; some kernels list a
		 * file that says EOPNOTSUPP. */
		if (r && i == R_CPU)
			return host_explain(h, ROOT_PROC, path[i], r, rep->reason,
					    sizeof(rep->reason));
	}
	return 0;
}

static void pressure_close(void *state)
{
	struct pressure_state *s = state;

	for (unsigned i = 0; i < N_RESOURCES; i++)
		kept_close(&s->file[i]);
}

/* "some avg10=0.00 avg60=0.00 avg300=0.00 total=0": into column `cell`, if the line is whole. */
static bool parse_values(struct pressure_state *s, const char *p, unsigned cell)
{
	int64_t avg[N_AVGS], total;

	for (unsigned i = 0; i < N_AVGS; i++) {
		size_t len = strlen(avgs[i].key);

		if (strncmp(p, avgs[i].key, len) != 0)
			return false;
		p += len;
		if (!parse_fixed(&p, 2, &avg[i]))
			return false;
	}
	if (!PARSE_STARTS(p, " total="))
		return false;
	p += strlen(" total=");
	if (!parse_i64(&p, &total) || *p != '\n')
		return false;
	for (unsigned i = 0; i < N_AVGS; i++)
		s->avg[i][cell] = avg[i];
	s->total[cell] = total;
	return true;
}

/* Which cell a line of this resource fills; -1: none. */
static int cell_of(unsigned resource, const char *p)
{
	int full = PARSE_STARTS(p, "full ");

	if (!full && !PARSE_STARTS(p, "some "))
		return -1;
	if (resource == R_IRQ)
		return full ? N_CELLS - 1 : -1;
	return (int)resource * N_LINES + full;
}

static int parse_resource(struct pressure_state *s, unsigned resource)
{
	bool any = false;

	for (const char *p = s->file[resource].data; *p; p = parse_line(p)) {
		int cell = cell_of(resource, p);

		if (cell >= 0 && parse_values(s, p + 4, (unsigned)cell))
			any = true;
	}
	return any ? 0 : -EBADMSG;
}

/* Reads all resources into s->total and s->avg; those that fail are absent. */
static void read_all(struct pressure_state *s, uint64_t tick)
{
	s->n_read = s->n_failed = 0;
	for (unsigned c = 0; c < N_CELLS; c++) {
		s->total[c] = VALUE_ABSENT;
		for (unsigned i = 0; i < N_AVGS; i++)
			s->avg[i][c] = VALUE_ABSENT;
	}
	for (unsigned i = 0; i < N_RESOURCES; i++) {
		if (s->file[i].fd < 0)
			continue;
		int r = kept_read(&s->file[i], tick);

		if (!r)
			r = parse_resource(s, i);
		if (r) {
			s->n_failed++;
			s->failed_r = r;
			s->failed = i;
		} else {
			s->n_read++;
		}
	}
	s->parsed_tick = tick + 1;
}

static int pressure_sample(void *state, unsigned group, struct batch *b,
			   struct collector_report *rep)
{
	struct pressure_state *s = state;

	if (s->parsed_tick != b->tick + 1)
		read_all(s, b->tick);
	if (s->n_failed)
		host_explain(s->host, ROOT_PROC, path[s->failed], s->failed_r, rep->reason,
			     sizeof(rep->reason));
	if (!s->n_read)
		return s->failed_r;
	if (group == G_TOTAL) {
		memcpy(batch_row(b), s->total, sizeof(s->total));
		return s->n_failed;
	}
	for (unsigned i = 0; i < N_AVGS; i++) {
		int64_t *row = batch_row_named(b, avgs[i].instance, strlen(avgs[i].instance));

		if (row)
			memcpy(row, s->avg[i], sizeof(s->avg[i]));
	}
	return s->n_failed;
}

const struct collector collector_pressure = {
	.name = "pressure",
	.help = "pressure stall information: time lost waiting for CPU, memory and I/O",
	.groups = groups,
	.n_groups = sizeof(groups) / sizeof(groups[0]),
	.state_size = sizeof(struct pressure_state),
	.probe = pressure_probe,
	.open = pressure_open,
	.sample = pressure_sample,
	.close = pressure_close,
};
