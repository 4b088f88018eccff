/* What the agent itself costs and achieves, and how each collector fares. Source: base/stats.h. */
#include "base/clock.h"
#include "base/stats.h"
#include "collectors/collector.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

enum agent_metric {
	CPU_USER,
	CPU_SYS,
	MEM_RSS,
	TICK_COUNT,
	TICK_LATENESS,
	TICK_LATE,
	TICK_MISSED,
	SAMPLES,
	SERIES,
	LOG_BYTES,
	LOG_FRAMES,
	LOG_HELD,
	LOG_CAPACITY,
	LOG_RETENTION,
	HISTORY_RETENTION,
	HISTORY_MEMORY,
	HISTORY_DISK,
	HISTORY_DISK_SIZE,
	HISTORY_BLOCKS,
	HISTORY_SAMPLES,
	HISTORY_SAMPLE_BYTES,
	HISTORY_LAG,
	HISTORY_ERRORS,
	PROFILER_HZ,
	PROFILER_SAMPLES,
	PROFILER_LOST,
	PROFILER_SHALLOW,
	PROFILER_CPU,
	PROFILER_MEMORY,
	PROFILER_DISK,
	PROFILER_RETENTION,
	CLIENTS,
	CLIENTS_SLOW,
	CLIENT_BYTES,
	CLIENT_BATCHES,
	CLIENT_GAPS,
	HTTP_REQUESTS,
	HTTP_REFUSED,
	QUERIES,
	QUERY_TIME,
	N_AGENT_METRICS
};

#define COUNTER(n, u, d, src, h)                                                                   \
	{                                                                                          \
		.name = "strobe." n, .unit = u, .mul = 1, .div = d, .source = src, .help = h,      \
		.sem = SEM_COUNTER                                                                 \
	}
#define INSTANT(n, u, d, src, h)                                                                   \
	{                                                                                          \
		.name = "strobe." n, .unit = u, .mul = 1, .div = d, .source = src, .help = h,      \
		.sem = SEM_INSTANT                                                                 \
	}

static const struct metric agent_metrics[N_AGENT_METRICS] = {
	[CPU_USER] = COUNTER("cpu.user", "millisec", 1000, "getrusage(2) ru_utime",
			     "CPU time of the whole agent in user mode."),
	[CPU_SYS] = COUNTER("cpu.sys", "millisec", 1000, "getrusage(2) ru_stime",
			    "CPU time of the whole agent in the kernel, most of it reading /proc."),
	[MEM_RSS] = INSTANT("mem.rss", "byte", 1, "/proc/self/statm field 2",
			    "Resident memory of the agent, its log included."),
	[TICK_COUNT] = COUNTER("tick.count", "count", 1, "the sampler", "Ticks taken."),
	[TICK_LATENESS] = INSTANT("tick.lateness", "microsec", 1, "the sampler",
				  "How long after its time the tick before this one began."),
	[TICK_LATE] = COUNTER("tick.late", "count", 1, "the sampler",
			      "Ticks that began more than 10 % of the period after their time."),
	[TICK_MISSED] =
		COUNTER("tick.missed", "count", 1, "the sampler",
			"Ticks that were skipped because the one before them took too long or the "
			"sampler did not run."),
	[SAMPLES] = COUNTER("sample.count", "count", 1, "the sampler", "Values read."),
	[SERIES] = INSTANT("series", "count", 1, "the sampler", "Series of the newest tick."),
	[LOG_BYTES] = COUNTER("log.bytes", "byte", 1, "the log", "Bytes appended to the log."),
	[LOG_FRAMES] = COUNTER("log.frames", "count", 1, "the log", "Frames appended to the log."),
	[LOG_HELD] =
		INSTANT("log.held", "byte", 1, "the log", "Bytes of frames that the log holds."),
	[LOG_CAPACITY] = INSTANT("log.capacity", "byte", 1, "the log", "Size of the log."),
	[LOG_RETENTION] = INSTANT("log.retention", "millisec", 1000, "the log",
				  "Age of the oldest tick that the log holds."),
	[HISTORY_RETENTION] = INSTANT("history.retention", "millisec", 1000, "the history",
				      "Age of the oldest sample held, in memory or on disk."),
	[HISTORY_MEMORY] = INSTANT("history.memory_bytes", "byte", 1, "the history",
				   "Sealed blocks held in memory."),
	[HISTORY_DISK] = INSTANT("history.disk_bytes", "byte", 1, "the history",
				 "Bytes of the ring on disk that hold something."),
	[HISTORY_DISK_SIZE] = INSTANT("history.disk_size_bytes", "byte", 1, "the history",
				      "Size of the ring on disk; 0: there is none."),
	[HISTORY_BLOCKS] = COUNTER("history.sealed", "count", 1, "the history", "Blocks sealed."),
	[HISTORY_SAMPLES] = COUNTER("history.samples", "count", 1, "the history",
				    "Values that were sealed into blocks."),
	[HISTORY_SAMPLE_BYTES] = COUNTER("history.sealed_bytes", "byte", 1, "the history",
					 "Bytes of the blocks that were sealed."),
	[HISTORY_LAG] = INSTANT("history.flush_lag", "microsec", 1, "the history",
				"How old the newest tick is that a loss of power would spare; 0 "
				"without a ring on disk."),
	[HISTORY_ERRORS] = COUNTER("history.errors", "count", 1, "the history",
				   "Writes to the ring on disk that failed."),
	[PROFILER_HZ] = INSTANT("profiler.hz", "count / sec", 1, "the profiler",
				"Stacks sampled a second on each busy CPU; 0: no profiler runs."),
	[PROFILER_SAMPLES] =
		COUNTER("profiler.samples", "count", 1, "the profiler", "Stacks sampled."),
	[PROFILER_LOST] = COUNTER("profiler.lost", "count", 1, "PERF_RECORD_LOST",
				  "Stacks that the kernel had no room for."),
	[PROFILER_SHALLOW] =
		COUNTER("profiler.shallow", "count", 1, "the profiler",
			"Stacks whose user part could not be followed to the thread's entry."),
	[PROFILER_CPU] = COUNTER("profiler.cpu", "millisec", 1000000, "CLOCK_THREAD_CPUTIME_ID",
				 "CPU time of the profiler's two threads."),
	[PROFILER_MEMORY] = INSTANT("profiler.memory_bytes", "byte", 1, "the profiler",
				    "Stacks, unwind tables and symbols held in memory."),
	[PROFILER_DISK] = INSTANT("profiler.disk_bytes", "byte", 1, "the profiler",
				  "Stacks held in the ring on disk."),
	[PROFILER_RETENTION] = INSTANT("profiler.retention", "millisec", 1000, "the profiler",
				       "Age of the oldest stack held, in memory or on disk."),
	[CLIENTS] = INSTANT("client.count", "count", 1, "the server", "Live clients."),
	[CLIENTS_SLOW] =
		INSTANT("client.slow", "count", 1, "the server",
			"Clients served at a coarser level because their connection is slow."),
	[CLIENT_BYTES] =
		COUNTER("client.bytes", "byte", 1, "the server", "Bytes sent to live clients."),
	[CLIENT_BATCHES] = COUNTER("client.batches", "count", 1, "the server",
				   "Messages sent to live clients."),
	[CLIENT_GAPS] =
		COUNTER("client.gaps", "count", 1, "the server", "Gaps announced to live clients."),
	[HTTP_REQUESTS] =
		COUNTER("http.requests", "count", 1, "the server", "HTTP requests answered."),
	[HTTP_REFUSED] = COUNTER("http.refused", "count", 1, "the server",
				 "Requests refused: no token, a foreign Host or Origin."),
	[QUERIES] = COUNTER("query.count", "count", 1, "the server", "Range queries run."),
	[QUERY_TIME] = COUNTER("query.time", "millisec", 1000, "the server",
			       "Time spent in range queries."),
};

enum collector_metric {
	STATE,
	PERIOD,
	C_SERIES,
	COST,
	WALL,
	ERRORS,
	RETRY_AT,
	N_COLLECTOR_METRICS
};

static const char *const state_names[] = {"ok",	    "reduced", "partial", "failed",
					  "absent", "off",     NULL};

#define DISCRETE(n, u, src, h)                                                                     \
	{                                                                                          \
		.name = "strobe.collector." n, .unit = u, .mul = 1, .div = 1, .source = src,       \
		.help = h, .sem = SEM_DISCRETE                                                     \
	}

static const struct metric collector_metrics[N_COLLECTOR_METRICS] = {
	[STATE] = {.name = "strobe.collector.state",
		   .unit = "1",
		   .mul = 1,
		   .div = 1,
		   .source = "the supervisor",
		   .help = "How the collector fares; its reason is in the attribute of that name.",
		   .sem = SEM_DISCRETE,
		   .names = state_names},
	[PERIOD] = DISCRETE("period", "millisec", "the supervisor",
			    "Period of its fastest group; 0 while it is not read."),
	[C_SERIES] =
		INSTANT("collector.series", "count", 1, "the supervisor", "Series it supplies."),
	[COST] = COUNTER("collector.cost", "microsec", 1000, "CLOCK_THREAD_CPUTIME_ID",
			 "CPU time spent reading it on the sampler, measured in one tick of 16."),
	[WALL] = INSTANT("collector.wall", "microsec", 1000, "CLOCK_MONOTONIC",
			 "Moving average of the time that reading it takes in a tick; where a "
			 "thread of its own "
			 "reads, the CPU time of that."),
	[ERRORS] = COUNTER("collector.errors", "count", 1, "the supervisor", "Times it failed."),
	[RETRY_AT] = DISCRETE("retry_at", "microsec", "the supervisor",
			      "CLOCK_MONOTONIC of the next try; 0: none is pending."),
};

enum { ATTR_TIER, ATTR_REASON };
static const char *const collector_attrs[] = {"tier", "reason", NULL};

static const struct group groups[] = {
	{.name = "strobe",
	 .metrics = agent_metrics,
	 .n_metrics = N_AGENT_METRICS,
	 .max_instances = 1},
	{.name = "strobe.collector",
	 .indom = "collector",
	 .metrics = collector_metrics,
	 .n_metrics = N_COLLECTOR_METRICS,
	 .period_ms = 1000,
	 .max_instances = STATS_COLLECTORS_MAX,
	 .attrs = collector_attrs},
};

struct state {
	int statm; /* this process's own, also where another /proc is watched */
};

static int strobe_open(void *state, const struct host *host, struct collector_report *report)
{
	struct state *s = state;

	(void)host;
	s->statm = open("/proc/self/statm", O_RDONLY | O_CLOEXEC);
	if (s->statm < 0)
		strcpy(report->reason, "/proc/self/statm cannot be read: strobe.mem.rss is absent");
	return 0;
}

static void strobe_close(void *state)
{
	struct state *s = state;

	if (s->statm >= 0)
		close(s->statm);
}

static int64_t read_rss(const struct state *s)
{
	char buf[128], *p;
	ssize_t n = s->statm < 0 ? -1 : pread(s->statm, buf, sizeof(buf) - 1, 0);

	if (n <= 0)
		return VALUE_ABSENT;
	buf[n] = 0;
	strtol(buf, &p, 10);
	return strtol(p, NULL, 10) * sysconf(_SC_PAGESIZE);
}

static int64_t to_us(struct timeval t)
{
	return (int64_t)t.tv_sec * 1000000 + t.tv_usec;
}

static int64_t lag_us(void)
{
	uint64_t safe_us = STAT_GET(history_safe_us), now_us = clock_mono_us();

	return safe_us && safe_us < now_us ? (int64_t)(now_us - safe_us) : 0;
}

static int64_t stacks_age_us(void)
{
	int64_t oldest_us = STAT_GET(profiler_oldest_us);

	return oldest_us ? (int64_t)clock_mono_us() - oldest_us : 0;
}

static void sample_agent(const struct state *s, struct batch *b)
{
	int64_t *row = batch_row(b);
	struct rusage use;

	getrusage(RUSAGE_SELF, &use);
	row[CPU_USER] = to_us(use.ru_utime);
	row[CPU_SYS] = to_us(use.ru_stime);
	row[MEM_RSS] = read_rss(s);
	row[TICK_COUNT] = (int64_t)STAT_GET(ticks);
	row[TICK_LATENESS] = (int64_t)STAT_GET(lateness_us);
	row[TICK_LATE] = (int64_t)STAT_GET(late_ticks);
	row[TICK_MISSED] = (int64_t)STAT_GET(missed_ticks);
	row[SAMPLES] = (int64_t)STAT_GET(samples);
	row[SERIES] = (int64_t)STAT_GET(series);
	row[LOG_BYTES] = (int64_t)STAT_GET(log_bytes);
	row[LOG_FRAMES] = (int64_t)STAT_GET(log_frames);
	row[LOG_HELD] = (int64_t)STAT_GET(log_bytes_held);
	row[LOG_CAPACITY] = (int64_t)STAT_GET(log_capacity_bytes);
	row[LOG_RETENTION] = (int64_t)STAT_GET(retention_us);
	row[HISTORY_RETENTION] = (int64_t)STAT_GET(history_retention_us);
	row[HISTORY_MEMORY] = (int64_t)STAT_GET(history_memory_bytes);
	row[HISTORY_DISK] = (int64_t)STAT_GET(history_disk_bytes);
	row[HISTORY_DISK_SIZE] = (int64_t)STAT_GET(history_disk_size_bytes);
	row[HISTORY_BLOCKS] = (int64_t)STAT_GET(history_blocks);
	row[HISTORY_SAMPLES] = (int64_t)STAT_GET(history_samples);
	row[HISTORY_SAMPLE_BYTES] = (int64_t)STAT_GET(history_sample_bytes);
	row[HISTORY_LAG] = lag_us();
	row[HISTORY_ERRORS] = (int64_t)STAT_GET(history_errors);
	row[PROFILER_HZ] = (int64_t)STAT_GET(profiler_hz);
	row[PROFILER_SAMPLES] = (int64_t)STAT_GET(profiler_samples);
	row[PROFILER_LOST] = (int64_t)STAT_GET(profiler_lost);
	row[PROFILER_SHALLOW] = (int64_t)STAT_GET(profiler_shallow);
	row[PROFILER_CPU] = (int64_t)STAT_GET(profiler_cpu_ns);
	row[PROFILER_MEMORY] = (int64_t)STAT_GET(profiler_memory_bytes);
	row[PROFILER_DISK] = (int64_t)STAT_GET(profiler_disk_bytes);
	row[PROFILER_RETENTION] = stacks_age_us();
	row[CLIENTS] = (int64_t)STAT_GET(clients);
	row[CLIENTS_SLOW] = (int64_t)STAT_GET(slow_clients);
	row[CLIENT_BYTES] = (int64_t)STAT_GET(bytes_sent);
	row[CLIENT_BATCHES] = (int64_t)STAT_GET(batches_sent);
	row[CLIENT_GAPS] = (int64_t)STAT_GET(gaps_sent);
	row[HTTP_REQUESTS] = (int64_t)STAT_GET(http_requests);
	row[HTTP_REFUSED] = (int64_t)STAT_GET(refused_requests);
	row[QUERIES] = (int64_t)STAT_GET(queries);
	row[QUERY_TIME] = (int64_t)STAT_GET(query_us);
}

#define COLLECTOR_GET(c, field) ((int64_t)atomic_load_explicit(&(c)->field, memory_order_relaxed))

static void sample_collector(const struct collector_stat *c, struct batch *b)
{
	int64_t *row = batch_row_named(b, c->name, strlen(c->name));
	const char *tier = c->tier ? c->tier : "";
	uint32_t slot;

	if (!row)
		return;
	slot = (uint32_t)((row - b->rows) / b->n_metrics);
	row[STATE] = COLLECTOR_GET(c, state);
	row[PERIOD] = COLLECTOR_GET(c, period_ms);
	row[C_SERIES] = COLLECTOR_GET(c, series);
	row[COST] = COLLECTOR_GET(c, cost_ns);
	row[WALL] = COLLECTOR_GET(c, last_ns);
	row[ERRORS] = COLLECTOR_GET(c, n_errors);
	row[RETRY_AT] = COLLECTOR_GET(c, retry_at_us);
	batch_attr(b, slot, ATTR_TIER, tier, strlen(tier));
	batch_attr(b, slot, ATTR_REASON, c->reason, strlen(c->reason));
}

static int strobe_sample(void *state, unsigned group, struct batch *b,
			 struct collector_report *report)
{
	report->tier = stats.sampler_tier;
	if (group == 0) {
		sample_agent(state, b);
		if (stats.sampler_reason)
			strncpy(report->reason, stats.sampler_reason, sizeof(report->reason) - 1);
		return 0;
	}
	for (int i = 0; i < STATS_COLLECTORS_MAX && stats.collectors[i].name; i++)
		sample_collector(&stats.collectors[i], b);
	return 0;
}

const struct collector collector_strobe = {
	.name = "strobe",
	.help = "the agent itself: CPU, memory, ticks, log, clients, and the state of every "
		"collector",
	.groups = groups,
	.n_groups = 2,
	.state_size = sizeof(struct state),
	.open = strobe_open,
	.sample = strobe_sample,
	.close = strobe_close,
};
