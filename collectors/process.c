/*
 * Processes at every tick, from /proc alone and without privileges: who runs, waits, reads, writes
 * and grows. process/procfs.h says how they are read, process/procs.h how they are kept,
 * process/select.h which are shown, process/attrs.h how names that may block are read.
 */
#include "base/clock.h"
#include "collectors/collector.h"
#include "collectors/process/attrs.h"
#include "collectors/process/procfs.h"
#include "collectors/process/procs.h"
#include "collectors/process/select.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

enum { MAX_INSTANCES = 512 };

static const char *const state_names[] = {
	"running",	"sleeping", "disk sleep", "zombie", "stopped",
	"tracing stop", "idle",	    "dead",	  "parked", NULL};

#define STAT "/proc/PID/stat "
#define IO "/proc/PID/io "
#define C SEM_COUNTER
#define I SEM_INSTANT
#define D SEM_DISCRETE

/* In the order of enum proc_value. */
static const struct metric process_metrics[] = {
	{"proc.schedstat.cpu_time", "nanosec", 1, 1,
	 "CPU clock of the process, else schedstat field 1", "CPU time of all threads.", C, 0,
	 NULL},
	{"proc.schedstat.run_delay", "nanosec", 1, 1, "/proc/PID/task/*/schedstat field 2",
	 "Time all threads waited on a run queue.", C, 0, NULL},
	{"proc.schedstat.pcount", "count", 1, 1, "/proc/PID/task/*/schedstat field 3",
	 "Times a thread was put on a CPU.", C, 0, NULL},
	{"proc.psinfo.utime", "millisec", 10, 1, STAT "utime", "CPU time in user mode.", C, 1,
	 NULL},
	{"proc.psinfo.stime", "millisec", 10, 1, STAT "stime", "CPU time in the kernel.", C, 1,
	 NULL},
	{"proc.psinfo.minflt", "count", 1, 1, STAT "minflt", "Page faults without I/O.", C, 0,
	 NULL},
	{"proc.psinfo.maj_flt", "count", 1, 1, STAT "majflt", "Page faults that needed I/O.", C, 0,
	 NULL},
	{"proc.io.rchar", "byte", 1, 1, IO "rchar", "Bytes asked for by read calls.", C, 0, NULL},
	{"proc.io.wchar", "byte", 1, 1, IO "wchar", "Bytes given to write calls.", C, 0, NULL},
	{"proc.io.syscr", "count", 1, 1, IO "syscr", "Read calls.", C, 0, NULL},
	{"proc.io.syscw", "count", 1, 1, IO "syscw", "Write calls.", C, 0, NULL},
	{"proc.io.read_bytes", "byte", 1, 1, IO "read_bytes", "Bytes fetched from storage.", C, 0,
	 NULL},
	{"proc.io.write_bytes", "byte", 1, 1, IO "write_bytes", "Bytes to be sent to storage.", C,
	 0, NULL},
	{"proc.io.cancelled_write_bytes", "byte", 1, 1, IO "cancelled_write_bytes",
	 "Bytes of writes that truncation made needless.", C, 0, NULL},
	{"proc.psinfo.vctxsw", "count", 1, 1, "/proc/PID/status voluntary_ctxt_switches",
	 "Times the main thread gave up its CPU to wait.", C, 0, NULL},
	{"proc.psinfo.nvctxsw", "count", 1, 1, "/proc/PID/status nonvoluntary_ctxt_switches",
	 "Times the main thread was taken off its CPU.", C, 0, NULL},
	{"proc.psinfo.rss", "Kbyte", 1, 1, STAT "rss", "Resident memory.", I, 0, NULL},
	{"proc.psinfo.vsize", "Kbyte", 1, 1, STAT "vsize", "Mapped address space.", I, 0, NULL},
	{"proc.memory.vmswap", "Kbyte", 1, 1, "/proc/PID/status VmSwap", "Memory swapped out.", I,
	 0, NULL},
	{"proc.psinfo.threads", "1", 1, 1, STAT "num_threads", "Threads.", I, 0, NULL},
	{"proc.psinfo.sname", "1", 1, 1, STAT "state", "State of the main thread.", D, 0,
	 state_names},
	{"proc.psinfo.priority", "1", 1, 1, STAT "priority", "Kernel scheduling priority.", I, 0,
	 NULL},
	{"proc.psinfo.nice", "1", 1, 1, STAT "nice", "Nice value, -20 to 19.", I, 0, NULL},
	{"proc.psinfo.processor", "1", 1, 1, STAT "processor", "CPU it last ran on.", I, 0, NULL},
	{"proc.psinfo.ppid", "1", 1, 1, STAT "ppid", "Parent process.", D, 0, NULL},
	{"proc.psinfo.start_time", "millisec", 1, 1, STAT "starttime", "Start, since boot.", D, 10,
	 NULL},
};

#define OTHERS "sum over the processes that are not listed: "

/* The counters in the order of enum proc_value, then rss and count. */
static const struct metric others_metrics[] = {
	{"proc.others.cpu_time", "nanosec", 1, 1, OTHERS "cpu_time", "CPU time of the rest.", C, 0,
	 NULL},
	{"proc.others.run_delay", "nanosec", 1, 1, OTHERS "run_delay",
	 "Run-queue wait of the rest.", C, 0, NULL},
	{"proc.others.pcount", "count", 1, 1, OTHERS "pcount", "Runs of the rest.", C, 0, NULL},
	{"proc.others.utime", "millisec", 10, 1, OTHERS "utime", "User CPU of the rest.", C, 1,
	 NULL},
	{"proc.others.stime", "millisec", 10, 1, OTHERS "stime", "Kernel CPU of the rest.", C, 1,
	 NULL},
	{"proc.others.minflt", "count", 1, 1, OTHERS "minflt", "Minor faults of the rest.", C, 0,
	 NULL},
	{"proc.others.maj_flt", "count", 1, 1, OTHERS "majflt", "Major faults of the rest.", C, 0,
	 NULL},
	{"proc.others.rchar", "byte", 1, 1, OTHERS "rchar", "Bytes read by the rest.", C, 0, NULL},
	{"proc.others.wchar", "byte", 1, 1, OTHERS "wchar", "Bytes written by the rest.", C, 0,
	 NULL},
	{"proc.others.syscr", "count", 1, 1, OTHERS "syscr", "Read calls of the rest.", C, 0, NULL},
	{"proc.others.syscw", "count", 1, 1, OTHERS "syscw", "Write calls of the rest.", C, 0,
	 NULL},
	{"proc.others.read_bytes", "byte", 1, 1, OTHERS "read_bytes", "Storage reads of the rest.",
	 C, 0, NULL},
	{"proc.others.write_bytes", "byte", 1, 1, OTHERS "write_bytes",
	 "Storage writes of the rest.", C, 0, NULL},
	{"proc.others.cancelled_write_bytes", "byte", 1, 1, OTHERS "cancelled_write_bytes",
	 "Writes of the rest that truncation made needless.", C, 0, NULL},
	{"proc.others.vctxsw", "count", 1, 1, OTHERS "voluntary_ctxt_switches",
	 "Voluntary switches of the rest.", C, 0, NULL},
	{"proc.others.nvctxsw", "count", 1, 1, OTHERS "nonvoluntary_ctxt_switches",
	 "Involuntary switches of the rest.", C, 0, NULL},
	{"proc.others.rss", "Kbyte", 1, 1, OTHERS "rss", "Resident memory of the rest.", I, 0,
	 NULL},
	{"proc.others.nprocs", "count", 1, 1, OTHERS "1", "Processes that are not listed.", I, 0,
	 NULL},
};

static const struct metric total_metrics[] = {
	{"proc.nprocs", "1", 1, 1, "processes in /proc", "Processes there are.", I, 0, NULL},
	{"proc.births", "count", 1, 1, "processes that appear in /proc",
	 "Processes that began; those that end within a tick are in proc.task.births only.", C, 0,
	 NULL},
	{"proc.exits", "count", 1, 1, "processes that leave /proc",
	 "Processes that ended, as births.", C, 0, NULL},
	{"proc.task.births", "count", 1, 1, "/proc/loadavg last pid",
	 "Threads and processes that began, however short they lived.", C, 0, NULL},
	{"proc.task.exits", "count", 1, 1, "/proc/loadavg last pid and field 4",
	 "Threads and processes that ended, however short they lived.", C, 0, NULL},
};

#undef C
#undef I
#undef D

enum { G_PROCESS, G_OTHERS, G_TOTAL };

#define COUNT(a) (sizeof(a) / sizeof((a)[0]))
_Static_assert(COUNT(process_metrics) == N_VALUES, "a metric per value");
_Static_assert(COUNT(others_metrics) == N_COUNTERS + 2, "a metric per counter, rss and count");

static const char *const attr_keys[] = {"comm", "cmdline", "exe", "unit", "cgroup", "user", NULL};
_Static_assert(COUNT(attr_keys) == N_ATTRS + 1, "a name per key");

static const struct group groups[] = {
	{"process", "process", process_metrics, COUNT(process_metrics), 0, MAX_INSTANCES, true,
	 attr_keys},
	{"process.others", NULL, others_metrics, COUNT(others_metrics), 0, 1, false, NULL},
	{"process.total", NULL, total_metrics, COUNT(total_metrics), 0, 1, false, NULL},
};

struct process_state {
	struct procs table;
	struct procfs scan;
	struct select select;
	struct attrs attrs;
	uint32_t said_denied, said_of; /* in the reason */
};

static int probe(const struct host *h, struct collector_report *report)
{
	int fd = host_file(h, ROOT_PROC, "loadavg");

	if (fd < 0) {
		snprintf(report->reason, sizeof(report->reason), "%s/loadavg: %s",
			 h->path[ROOT_PROC], strerror(-fd));
		return fd;
	}
	close(fd);
	return 0;
}

static int open_processes(void *state, const struct host *h, struct collector_report *report)
{
	struct process_state *s = state;
	int r;

	s->scan.dir_fd = -1;
	r = procs_open(&s->table);
	if (r == 0)
		r = select_open(&s->select);
	if (r == 0)
		r = attrs_open(&s->attrs);
	if (r == 0)
		r = procfs_open(&s->scan, &s->table, h, true);
	if (r < 0)
		snprintf(report->reason, sizeof(report->reason), "%s: %s", h->path[ROOT_PROC],
			 strerror(-r));
	report->tier = s->scan.clocked ? "cpu-clock" : "stat";
	return r;
}

/* The number of all changes in every pass: what is said keeps one that is near, so that the reason is
 * not a new one each time. */
static void explain_io(struct process_state *s, struct collector_report *report)
{
	uint32_t n = s->table.n, off = n > s->said_of ? n - s->said_of : s->said_of - n;

	if (s->said_denied != s->scan.n_io_denied || off > s->said_of / 8) {
		s->said_denied = s->scan.n_io_denied;
		s->said_of = n;
	}
	snprintf(report->reason, sizeof(report->reason),
		 "/proc/PID/io is denied for %u of %u processes (another user's needs "
		 "CAP_SYS_PTRACE)",
		 s->said_denied, s->said_of);
}

/* What is missing, in words; the number of things. */
static int explain(struct process_state *s, struct collector_report *report)
{
	const struct attrs *a = &s->attrs;

	if (a->n_stuck)
		snprintf(report->reason, sizeof(report->reason),
			 "/proc/%d/cmdline%s%.0d%s: no answer for a second, the memory map is "
			 "locked; "
			 "names may be missing",
			 a->stuck_pids[0], a->n_stuck > 1 ? ", /proc/" : "",
			 a->n_stuck > 1 ? a->stuck_pids[1] : 0, a->n_stuck > 1 ? "/cmdline" : "");
	else if (s->table.n == PROCS_MAX)
		snprintf(report->reason, sizeof(report->reason),
			 "more than %d processes: the rest is not followed", PROCS_MAX);
	else if (s->scan.n_io_denied)
		explain_io(s, report);
	else
		return 0;
	return 1;
}

static int sample_processes(struct process_state *s, struct batch *b,
			    struct collector_report *report)
{
	int r = procfs_pass(&s->scan, clock_ns(CLOCK_MONOTONIC) / 1000000);

	if (r < 0) {
		snprintf(report->reason, sizeof(report->reason), "%s: %s",
			 s->scan.host->path[ROOT_PROC], strerror(-r));
		return r;
	}
	select_pass(&s->select, &s->table, &s->attrs, b);
	attrs_pass(&s->attrs, &s->table, b);
	return explain(s, report);
}

static void sample_total(const struct process_state *s, int64_t *row)
{
	const struct procfs *sc = &s->scan;

	row[0] = s->table.n;
	row[1] = (int64_t)s->table.births;
	row[2] = (int64_t)s->table.exits;
	row[3] = sc->foreign ? VALUE_ABSENT : sc->task_births;
	row[4] = sc->foreign ? VALUE_ABSENT : sc->task_exits;
}

static int sample(void *state, unsigned group, struct batch *b, struct collector_report *report)
{
	struct process_state *s = state;
	int64_t *row;

	if (group == G_PROCESS)
		return sample_processes(s, b, report);
	row = batch_row(b);
	if (group == G_TOTAL) {
		sample_total(s, row);
		return 0;
	}
	memcpy(row, s->table.others.v, sizeof(s->table.others.v));
	row[N_COUNTERS] = s->table.others.rss_kb;
	row[N_COUNTERS + 1] = s->table.others.count;
	return 0;
}

static int work(void *state, unsigned worker, const struct host *h)
{
	struct process_state *s = state;

	return attrs_work(&s->attrs, worker, h);
}

static void wake(void *state)
{
	struct process_state *s = state;

	attrs_wake(&s->attrs);
}

static void close_processes(void *state)
{
	struct process_state *s = state;

	procfs_close(&s->scan);
	attrs_close(&s->attrs);
	select_close(&s->select);
	procs_close(&s->table);
}

const struct collector collector_process = {
	.name = "process",
	.help = "CPU, run-queue wait, memory, I/O and switches of every process",
	.groups = groups,
	.n_groups = COUNT(groups),
	.state_size = sizeof(struct process_state),
	.n_workers = ATTRS_WORKERS,
	.blocking =
		true, /* /proc/PID/stat and io wait for a process that is just replacing itself */
	.probe = probe,
	.open = open_processes,
	.sample = sample,
	.close = close_processes,
	.work = work,
	.wake = wake,
};
