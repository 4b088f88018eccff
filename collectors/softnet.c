/*
 * /proc/net/softnet_stat: packets through each CPU's backlog. One row of hexadecimal columns for
 * each CPU that is online. Kernels since 5.10 name the CPU in a column; before that the rows are
 * matched with the list of online CPUs, because an offline one leaves no hole.
 *
 * The kernel's counters have 32 bits and stay while a CPU is offline. Here they are carried on in
 * 64 bits, and the host's sums keep the part of a CPU that went away.
 */
#include "base/counter.h"
#include "base/parse.h"
#include "collectors/collector.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

enum { CPUS_MAX = 4096 };

enum {
	M_PROCESSED,
	M_DROPPED,
	M_SQUEEZED,
	M_RPS,
	M_FLOW_LIMIT,
	N_COUNTERS,
	M_BACKLOG = N_COUNTERS,
	N_PERCPU
};

#define COUNTERS(prefix)                                                                           \
	{prefix "processed",                                                                       \
	 "count",                                                                                  \
	 1,                                                                                        \
	 1,                                                                                        \
	 "/proc/net/softnet_stat column 1",                                                        \
	 "Packets taken from the device or the backlog.",                                          \
	 SEM_COUNTER,                                                                              \
	 0,                                                                                        \
	 NULL},                                                                                    \
		{prefix "dropped",                                                                 \
		 "count",                                                                          \
		 1,                                                                                \
		 1,                                                                                \
		 "/proc/net/softnet_stat column 2",                                                \
		 "Packets dropped because the CPU's backlog was full.",                            \
		 SEM_COUNTER,                                                                      \
		 0,                                                                                \
		 NULL},                                                                            \
		{prefix "time_squeeze",                                                            \
		 "count",                                                                          \
		 1,                                                                                \
		 1,                                                                                \
		 "/proc/net/softnet_stat column 3",                                                \
		 "Times a round of receiving ended for want of time or budget with packets left.", \
		 SEM_COUNTER,                                                                      \
		 0,                                                                                \
		 NULL},                                                                            \
		{prefix "received_rps",                                                            \
		 "count",                                                                          \
		 1,                                                                                \
		 1,                                                                                \
		 "/proc/net/softnet_stat column 10",                                               \
		 "Wake-ups by another CPU to receive steered packets.",                            \
		 SEM_COUNTER,                                                                      \
		 0,                                                                                \
		 NULL},                                                                            \
	{                                                                                          \
		prefix "flow_limit_count", "count", 1, 1, "/proc/net/softnet_stat column 11",      \
			"Packets dropped because one flow took too much of the backlog.",          \
			SEM_COUNTER, 0, NULL                                                       \
	}

static const struct metric percpu_metrics[N_PERCPU] = {
	COUNTERS("network.softnet.percpu."),
	{"network.softnet.percpu.backlog_len", "count", 1, 1, "/proc/net/softnet_stat column 12",
	 "Packets that wait in the CPU's backlog now.", SEM_INSTANT, 0, NULL},
};
static const struct metric all_metrics[N_COUNTERS] = {COUNTERS("network.softnet.")};

enum { G_PERCPU, G_ALL };

static const struct group groups[] = {
	[G_PERCPU] = {"softnet.percpu", "cpu", percpu_metrics, N_PERCPU, 0, CPUS_MAX, false, NULL},
	[G_ALL] = {"softnet.all", NULL, all_metrics, N_COUNTERS, 0, 1, false, NULL},
};

/* Columns of the file, from 0. */
enum { C_RPS = 9, C_FLOW_LIMIT = 10, C_BACKLOG = 11, C_CPU = 12, N_COLUMNS = 13 };

struct cpu_counters {
	bool known;
	bool shown; /* in the newest pass */
	uint32_t last[N_COUNTERS];
	int64_t total[N_COUNTERS], backlog;
};

struct softnet {
	struct kept_file file, online; /* online: only where the rows do not name their CPU */
	uint64_t tick;		       /* parsed for this one, + 1 */
	int64_t sum[N_COUNTERS];
	bool warm;	 /* a CPU first seen now was offline before: its past is not news */
	uint32_t n_cpus; /* highest CPU seen + 1 */
	struct cpu_counters cpu[CPUS_MAX];
};

#define FILE_PATH "net/softnet_stat"
#define ONLINE_PATH "devices/system/cpu/online"

static int softnet_probe(const struct host *h, struct collector_report *rep)
{
	return host_probe(h, ROOT_PROC, FILE_PATH, rep->reason, sizeof(rep->reason));
}

/* The columns of the row at p; moves p to the next row. 0: no row there. */
static unsigned parse_row(const char **p, uint32_t v[N_COLUMNS])
{
	unsigned n = 0;
	uint64_t x;

	while (n < N_COLUMNS && parse_hex(p, &x))
		v[n++] = (uint32_t)x;
	*p = parse_line(*p);
	return n;
}

static int softnet_open(void *state, const struct host *h, struct collector_report *rep)
{
	struct softnet *s = state;
	uint32_t v[N_COLUMNS];
	int r = kept_open(&s->file, h, ROOT_PROC, FILE_PATH);

	if (r)
		return host_explain(h, ROOT_PROC, FILE_PATH, r, rep->reason, sizeof(rep->reason));
	const char *p = s->file.data;

	/* Without that list the rows are taken for CPUs 0, 1, ... */
	if (parse_row(&p, v) <= C_CPU)
		kept_open(&s->online, h, ROOT_SYS, ONLINE_PATH);
	return 0;
}

static void softnet_close(void *state)
{
	struct softnet *s = state;

	kept_close(&s->file);
	kept_close(&s->online);
}

/* The nth CPU of a list like "0-3,6"; nth itself where there is none. */
static uint32_t nth_online(const char *list, uint32_t nth)
{
	uint32_t left = nth;
	int64_t first, last;

	while (list && parse_i64(&list, &first) && first >= 0) {
		last = first;
		if (*list == '-') {
			list++;
			if (!parse_i64(&list, &last) || last < first)
				break;
		}
		if (last >= CPUS_MAX)
			break;
		if (last - first >= left)
			return (uint32_t)first + left;
		left -= (uint32_t)(last - first + 1);
		list += *list == ',';
	}
	return nth;
}

static void count_cpu(struct softnet *s, uint32_t cpu, const uint32_t *v, unsigned n_columns)
{
	static const uint8_t column[N_COUNTERS] = {
		[M_DROPPED] = 1, [M_SQUEEZED] = 2, [M_RPS] = C_RPS, [M_FLOW_LIMIT] = C_FLOW_LIMIT};
	struct cpu_counters *c = &s->cpu[cpu];

	for (unsigned i = 0; i < N_COUNTERS; i++) {
		uint32_t now = column[i] < n_columns ? v[column[i]] : 0;
		uint32_t d = c->known ? counter_step32(c->last[i], now) : now;

		c->last[i] = now;
		if (column[i] >= n_columns) {
			c->total[i] = s->sum[i] = VALUE_ABSENT;
			continue;
		}
		c->total[i] += d;
		s->sum[i] += c->known || !s->warm ? d : 0;
	}
	c->backlog = n_columns > C_BACKLOG ? (int64_t)v[C_BACKLOG] : VALUE_ABSENT;
	c->known = c->shown = true;
	if (cpu >= s->n_cpus)
		s->n_cpus = cpu + 1;
}

static int refresh(struct softnet *s, uint64_t tick)
{
	uint32_t v[N_COLUMNS], row = 0;
	unsigned n, n_columns = 0;
	int r;

	if (s->tick == tick + 1)
		return 0;
	r = kept_read(&s->file, tick);
	if (!r && s->online.data)
		r = kept_read(&s->online, tick);
	if (r)
		return r;
	for (uint32_t i = 0; i < s->n_cpus; i++)
		s->cpu[i].shown = false;
	for (const char *p = s->file.data; (n = parse_row(&p, v)) >= 3; row++) {
		uint32_t cpu = n > C_CPU ? v[C_CPU] : nth_online(s->online.data, row);

		if (!row)
			n_columns = n;
		if (n != n_columns) /* cut off */
			break;
		if (cpu < CPUS_MAX && !s->cpu[cpu].shown)
			count_cpu(s, cpu, v, n);
	}
	if (!row)
		return -EBADMSG;
	s->warm = true;
	s->tick = tick + 1;
	return 0;
}

static void show_percpu(const struct softnet *s, struct batch *b)
{
	for (uint32_t i = 0; i < s->n_cpus; i++) {
		const struct cpu_counters *c = &s->cpu[i];
		char name[16] = "cpu";
		int64_t *row;

		if (!c->shown)
			continue;
		row = batch_row_named(b, name, 3 + parse_put_u32(name + 3, i));
		if (!row)
			continue;
		memcpy(row, c->total, sizeof(c->total));
		row[M_BACKLOG] = c->backlog;
	}
}

static int softnet_sample(void *state, unsigned group, struct batch *b,
			  struct collector_report *rep)
{
	struct softnet *s = state;
	int r = refresh(s, b->tick);

	if (r)
		snprintf(rep->reason, sizeof(rep->reason), "/proc/" FILE_PATH ": %s", strerror(-r));
	else if (group == G_PERCPU)
		show_percpu(s, b);
	else
		memcpy(batch_row(b), s->sum, sizeof(s->sum));
	return r;
}

const struct collector collector_softnet = {
	.name = "softnet",
	.help = "packets received, dropped and put off by each CPU",
	.groups = groups,
	.n_groups = sizeof(groups) / sizeof(groups[0]),
	.state_size = sizeof(struct softnet),
	.probe = softnet_probe,
	.open = softnet_open,
	.sample = softnet_sample,
	.close = softnet_close,
};
