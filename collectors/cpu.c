/*
 * /proc/stat: CPU time of the whole host and of each CPU, and the scheduler's counters. The file is
 * read once a tick for all three groups.
 */
#include "base/parse.h"
#include "collectors/collector.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

enum { CPUS_MAX = 4096 };

/* USER_HZ is 100 on every architecture: a tick is 10 ms, and nothing finer is to be had here. */
#define CPU_TIME(prefix, line, field, metric, text)                                                \
	{                                                                                          \
		prefix metric, "millisec", 10, 1, "/proc/stat " line " field " field, text,        \
			SEM_COUNTER, 1, NULL                                                       \
	}

/* In the order of the fields. */
#define CPU_TIMES(prefix, line)                                                                    \
	CPU_TIME(prefix, line, "1", "user", "Time in user mode, guests included, without nice."),  \
		CPU_TIME(prefix, line, "2", "nice", "Time in user mode at a lowered priority."),   \
		CPU_TIME(prefix, line, "3", "sys", "Time in the kernel, interrupts left out."),    \
		CPU_TIME(prefix, line, "4", "idle",                                                \
			 "Time with nothing to run and no I/O outstanding."),                      \
		CPU_TIME(prefix, line, "5", "wait.total",                                          \
			 "Idle time with I/O of a local task outstanding."),                       \
		CPU_TIME(prefix, line, "6", "irq.hard", "Time serving hardware interrupts."),      \
		CPU_TIME(prefix, line, "7", "irq.soft", "Time serving softirqs."),                 \
		CPU_TIME(prefix, line, "8", "steal",                                               \
			 "Time the hypervisor gave to others while there was work."),              \
		CPU_TIME(prefix, line, "9", "guest",                                               \
			 "Time running a virtual CPU, also counted in user."),                     \
		CPU_TIME(prefix, line, "10", "guest_nice",                                         \
			 "Time running a niced virtual CPU, also counted in nice.")

enum { F_IDLE = 3, F_IOWAIT = 4, N_TIMES = 10 };

static const struct metric all_metrics[N_TIMES] = {CPU_TIMES("kernel.all.cpu.", "cpu")};
static const struct metric percpu_metrics[N_TIMES] = {CPU_TIMES("kernel.percpu.cpu.", "cpuN")};

enum { M_INTR, M_CTXT, M_FORKS, M_RUNNING, M_BLOCKED, M_NCPU, N_SCHED };

static const struct metric sched_metrics[N_SCHED] = {
	{"kernel.all.intr", "count", 1, 1, "/proc/stat intr field 1",
	 "Interrupts served, all sources.", SEM_COUNTER, 0, NULL},
	{"kernel.all.pswitch", "count", 1, 1, "/proc/stat ctxt", "Context switches on all CPUs.",
	 SEM_COUNTER, 0, NULL},
	{"kernel.all.sysfork", "count", 1, 1, "/proc/stat processes",
	 "Tasks created, threads included.", SEM_COUNTER, 0, NULL},
	{"kernel.all.running", "1", 1, 1, "/proc/stat procs_running",
	 "Tasks running or ready to run.", SEM_INSTANT, 0, NULL},
	{"kernel.all.blocked", "1", 1, 1, "/proc/stat procs_blocked", "Tasks blocked on I/O.",
	 SEM_INSTANT, 0, NULL},
	{"hinv.ncpu", "1", 1, 1, "/proc/stat number of cpuN lines", "CPUs online.", SEM_DISCRETE, 0,
	 NULL},
};

enum { G_ALL, G_PERCPU, G_SCHED };

static const struct group groups[] = {
	[G_ALL] = {"cpu.all", NULL, all_metrics, N_TIMES, 0, 1, false, NULL},
	[G_PERCPU] = {"cpu.percpu", "cpu", percpu_metrics, N_TIMES, 0, CPUS_MAX, false, NULL},
	[G_SCHED] = {"cpu.sched", NULL, sched_metrics, N_SCHED, 0, 1, false, NULL},
};

/* The keys of sched_metrics in the order of the file. */
static const struct {
	const char *key;
	size_t len;
} sched_keys[] = {
	[M_INTR] = {"intr ", 5},
	[M_CTXT] = {"ctxt ", 5},
	[M_FORKS] = {"processes ", 10},
	[M_RUNNING] = {"procs_running ", 14},
	[M_BLOCKED] = {"procs_blocked ", 14},
};

struct cpu_state {
	struct kept_file stat;
	size_t rest_at; /* where the lines after cpuN begin, as of the tick in `rest_tick` */
	uint64_t rest_tick;
	uint32_t n_cpus; /* of the same pass */
};

static int cpu_probe(const struct host *h, struct collector_report *rep)
{
	return host_probe(h, ROOT_PROC, "stat", rep->reason, sizeof(rep->reason));
}

static int cpu_open(void *state, const struct host *h, struct collector_report *rep)
{
	struct cpu_state *s = state;
	int r = kept_open(&s->stat, h, ROOT_PROC, "stat");

	s->rest_tick = UINT64_MAX;
	return r ? host_explain(h, ROOT_PROC, "stat", r, rep->reason, sizeof(rep->reason)) : 0;
}

static void cpu_close(void *state)
{
	struct cpu_state *s = state;

	kept_close(&s->stat);
}

/* The kernel lets idle and iowait step back by a few ticks when a CPU's accounting changes hands;
 * such a step is held, so that it does not look like a reset. A real reset is a fall by more. */
static int64_t hold_small_fall(int64_t before, int64_t now)
{
	return now < before && before - now < 100 ? before : now;
}

/* Reads the times at p into the row; the start of the next line, or NULL when the line is cut
 * off. */
static const char *parse_times(const char *p, int64_t *row)
{
	int64_t v[N_TIMES];
	unsigned n = 0;

	while (n < N_TIMES && parse_i64(&p, &v[n]))
		n++;
	p = parse_line(p);
	if (n < 4 || p[-1] != '\n')
		return NULL;
	for (; n < N_TIMES; n++)
		v[n] = VALUE_ABSENT;
	if (row[F_IDLE] > 0)
		v[F_IDLE] = hold_small_fall(row[F_IDLE], v[F_IDLE]);
	if (row[F_IOWAIT] > 0 && v[F_IOWAIT] >= 0)
		v[F_IOWAIT] = hold_small_fall(row[F_IOWAIT], v[F_IOWAIT]);
	memcpy(row, v, sizeof(v));
	return p;
}

static int sample_all(struct cpu_state *s, struct batch *b)
{
	const char *p = s->stat.data;

	if (!PARSE_STARTS(p, "cpu "))
		return -EBADMSG;
	return parse_times(p + 4, batch_row(b)) ? 0 : -EBADMSG;
}

static int sample_percpu(struct cpu_state *s, struct batch *b)
{
	const char *p =
		PARSE_STARTS(s->stat.data, "cpu ") ? parse_line(s->stat.data) : s->stat.data;
	uint32_t n = 0;

	while (PARSE_STARTS(p, "cpu") && parse_is_digit(p[3])) {
		const char *name_end = parse_word(p);
		int64_t *row = batch_row_named(b, p, (size_t)(name_end - p)), spare[N_TIMES] = {0};

		p = parse_times(name_end, row ? row : spare);
		if (!p)
			return -EBADMSG;
		n++;
	}
	s->n_cpus = n;
	s->rest_at = (size_t)(p - s->stat.data);
	s->rest_tick = b->tick;
	return n ? 0 : -EBADMSG;
}

static int sample_sched(struct cpu_state *s, struct batch *b)
{
	const char *p = s->stat.data;
	int64_t *row = batch_row(b);
	unsigned found = 0;

	if (s->rest_tick == b->tick) {
		p += s->rest_at;
		row[M_NCPU] = s->n_cpus;
	} else {
		row[M_NCPU] = 0;
		for (; PARSE_STARTS(p, "cpu"); p = parse_line(p))
			row[M_NCPU] += parse_is_digit(p[3]);
	}
	for (unsigned k = 0; k < M_NCPU; k++)
		row[k] = VALUE_ABSENT;
	for (unsigned k = 0; *p && k < M_NCPU; p = parse_line(p)) {
		unsigned i = k;

		while (i < M_NCPU && strncmp(p, sched_keys[i].key, sched_keys[i].len) != 0)
			i++;
		if (i == M_NCPU)
			continue;
		const char *q = p + sched_keys[i].len;
		int64_t v;

		if (parse_i64(&q, &v) && *q) {
			row[i] = v;
			found++;
		}
		k = i + 1;
	}
	return found ? 0 : -EBADMSG;
}

static int cpu_sample(void *state, unsigned group, struct batch *b, struct collector_report *rep)
{
	static int (*const sample[])(struct cpu_state *, struct batch *) = {
		[G_ALL] = sample_all, [G_PERCPU] = sample_percpu, [G_SCHED] = sample_sched};
	struct cpu_state *s = state;
	int r = kept_read(&s->stat, b->tick);

	if (!r)
		r = sample[group](s, b);
	if (r)
		snprintf(rep->reason, sizeof(rep->reason), "/proc/stat: %s", strerror(-r));
	return r;
}

const struct collector collector_cpu = {
	.name = "cpu",
	.help = "CPU time of the host and of each CPU, context switches, forks, run queue",
	.groups = groups,
	.n_groups = sizeof(groups) / sizeof(groups[0]),
	.state_size = sizeof(struct cpu_state),
	.probe = cpu_probe,
	.open = cpu_open,
	.sample = cpu_sample,
	.close = cpu_close,
};
