/*
 * /proc/loadavg: load averages (the kernel computes them every 5 s), tasks that can run, all tasks,
 * the newest pid.
 */
#include "base/parse.h"
#include "collectors/collector.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

enum { N_LOADS = 3 };
enum { M_RUNNABLE, M_NPROCS, M_LASTPID, N_TASKS };

static const struct metric load_metrics[] = {
	{"kernel.all.load", "1", 1, 100, "/proc/loadavg fields 1-3",
	 "Tasks running, ready or in uninterruptible sleep, as a decaying average.", SEM_INSTANT, 1,
	 NULL},
};
static const struct metric task_metrics[N_TASKS] = {
	{"kernel.all.runnable", "1", 1, 1, "/proc/loadavg field 4, before the slash",
	 "Tasks running or ready to run.", SEM_INSTANT, 0, NULL},
	{"kernel.all.nprocs", "1", 1, 1, "/proc/loadavg field 4, after the slash",
	 "Tasks that exist, threads included.", SEM_INSTANT, 0, NULL},
	{"kernel.all.lastpid", "1", 1, 1, "/proc/loadavg field 5",
	 "The newest process or thread id.", SEM_INSTANT, 0, NULL},
};

enum { G_AVG, G_TASKS };

static const struct group groups[] = {
	[G_AVG] = {"load.avg", "load", load_metrics, 1, 1000, N_LOADS, false, NULL},
	[G_TASKS] = {"load.tasks", NULL, task_metrics, N_TASKS, 0, 1, false, NULL},
};
static const char *const load_names[N_LOADS] = {"1 minute", "5 minute", "15 minute"};

struct load_state {
	const struct host *host;
	struct kept_file file;
};

static int load_probe(const struct host *h, struct collector_report *rep)
{
	return host_probe(h, ROOT_PROC, "loadavg", rep->reason, sizeof(rep->reason));
}

static int load_open(void *state, const struct host *h, struct collector_report *rep)
{
	struct load_state *s = state;
	int r = kept_open(&s->file, h, ROOT_PROC, "loadavg");

	s->host = h;
	return r ? host_explain(h, ROOT_PROC, "loadavg", r, rep->reason, sizeof(rep->reason)) : 0;
}

static void load_close(void *state)
{
	struct load_state *s = state;

	kept_close(&s->file);
}

/* "0.24 0.07 0.04 2/104 7897\n" */
static int parse(const char *p, int64_t load[N_LOADS], int64_t tasks[N_TASKS])
{
	for (unsigned i = 0; i < N_LOADS; i++)
		if (!parse_fixed(&p, 2, &load[i]))
			return -EBADMSG;
	if (!parse_i64(&p, &tasks[M_RUNNABLE]) || *p++ != '/' || !parse_i64(&p, &tasks[M_NPROCS]) ||
	    !parse_i64(&p, &tasks[M_LASTPID]) || *p != '\n')
		return -EBADMSG;
	return 0;
}

static int load_sample(void *state, unsigned group, struct batch *b, struct collector_report *rep)
{
	struct load_state *s = state;
	int64_t load[N_LOADS], tasks[N_TASKS];
	int r = kept_read(&s->file, b->tick);

	if (!r)
		r = parse(s->file.data, load, tasks);
	if (r)
		return host_explain(s->host, ROOT_PROC, "loadavg", r, rep->reason,
				    sizeof(rep->reason));
	if (group == G_TASKS) {
		memcpy(batch_row(b), tasks, sizeof(tasks));
		return 0;
	}
	for (unsigned i = 0; i < N_LOADS; i++) {
		int64_t *row = batch_row_named(b, load_names[i], strlen(load_names[i]));

		if (row)
			*row = load[i];
	}
	return 0;
}

const struct collector collector_load = {
	.name = "load",
	.help = "load averages, number of tasks, newest pid",
	.groups = groups,
	.n_groups = sizeof(groups) / sizeof(groups[0]),
	.state_size = sizeof(struct load_state),
	.probe = load_probe,
	.open = load_open,
	.sample = load_sample,
	.close = load_close,
};
