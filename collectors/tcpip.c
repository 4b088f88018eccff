/* IP, ICMP, TCP and UDP from /proc/net/snmp, /proc/net/netstat and /proc/net/snmp6. */
#include "collectors/collector.h"

#include "base/fields.h"
#include "base/parse.h"
#include "collectors/tcpip/metrics_netstat.h"
#include "collectors/tcpip/metrics_snmp.h"
#include "collectors/tcpip/metrics_snmp6.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#define COUNT(a) (sizeof(a) / sizeof((a)[0]))

enum { SNMP, NETSTAT, SNMP6, N_FILES };

struct table {
	const char *path, *prefix;
	const struct metric *metrics;
	uint32_t n_metrics;
	bool lines;    /* "Key 1" a line; else a line of names above each line of values */
	bool optional; /* a host may do without: IPv6 turned off */
};

static const struct table tables[N_FILES] = {
	[SNMP] = {"net/snmp", SNMP_FILE, snmp_metrics, COUNT(snmp_metrics), false, false},
	[NETSTAT] = {"net/netstat", NETSTAT_FILE, netstat_metrics, COUNT(netstat_metrics), false,
		     false},
	[SNMP6] = {"net/snmp6", SNMP6_FILE, snmp6_metrics, COUNT(snmp6_metrics), true, true},
};

static const struct group groups[N_FILES] = {
	[SNMP] = {.name = "tcpip.snmp",
		  .metrics = snmp_metrics,
		  .n_metrics = COUNT(snmp_metrics),
		  .max_instances = 1},
	[NETSTAT] = {.name = "tcpip.netstat",
		     .metrics = netstat_metrics,
		     .n_metrics = COUNT(netstat_metrics),
		     .max_instances = 1},
	[SNMP6] = {.name = "tcpip.snmp6",
		   .metrics = snmp6_metrics,
		   .n_metrics = COUNT(snmp6_metrics),
		   .max_instances = 1},
};

struct tcpip {
	struct kept_file file[N_FILES];
	struct fields fields[N_FILES];
};

static int probe(const struct host *h, struct collector_report *report)
{
	return host_probe(h, ROOT_PROC, tables[SNMP].path, report->reason, sizeof(report->reason));
}

static int open_tcpip(void *state, const struct host *h, struct collector_report *report)
{
	struct tcpip *t = state;

	for (int i = 0; i < N_FILES; i++) {
		int r = kept_open(&t->file[i], h, ROOT_PROC, tables[i].path);

		if (r == -ENOENT && i != SNMP)
			continue;
		if (!r)
			r = fields_init(&t->fields[i], t->file[i].data, t->file[i].cap);
		if (r)
			return host_explain(h, ROOT_PROC, tables[i].path, r, report->reason,
					    sizeof(report->reason));
	}
	return 0;
}

/* "Tcp: RtoMin ..." over "Tcp: 200 ...": the name of the nth value, with its section. */
static int column_of_pair(const struct table *t, const struct fields_at *at)
{
	char key[80];
	const char *p = at->prev, *section_end, *name;
	size_t section, len;

	if (!p || !(section_end = memchr(p, ':', (size_t)(parse_word(p) - p))))
		return -1;
	section = (size_t)(section_end - p);
	if (strncmp(p, at->line, section + 1) != 0)
		return -1;
	name = parse_blank(section_end + 1);
	for (uint32_t i = 0; i < at->nth; i++)
		name = parse_blank(parse_word(name));
	len = (size_t)(parse_word(name) - name);
	if (!len || section + len + 2 > sizeof(key))
		return -1;
	memcpy(key, p, section);
	key[section] = ' ';
	memcpy(key + section + 1, name, len);
	return fields_find_source(t->metrics, t->n_metrics, t->prefix, key, section + 1 + len);
}

static int column_of(const void *ctx, const struct fields_at *at)
{
	const struct table *t = ctx;

	if (!t->lines)
		return column_of_pair(t, at);
	return at->nth ? -1
		       : fields_find_source(t->metrics, t->n_metrics, t->prefix, at->word,
					    at->word_len);
}

static int sample(void *state, unsigned group, struct batch *b, struct collector_report *report)
{
	struct tcpip *t = state;
	const struct table *table = &tables[group];
	struct kept_file *f = &t->file[group];
	int64_t *row = batch_row(b);
	uint32_t n = 0;
	int r = 0;

	if (!row)
		return -ENOSPC;
	if (!f->data) {
		for (uint32_t i = 0; i < table->n_metrics; i++)
			row[i] = VALUE_ABSENT;
		r = -ENOENT;
	} else {
		r = kept_read(f, b->tick);
		if (r) {
			snprintf(report->reason, sizeof(report->reason), "/proc/%s: %s",
				 table->path, strerror(-r));
			return r;
		}
		n = fields_read(&t->fields[group], f->data, f->len, column_of, table, row,
				table->n_metrics);
	}
	if (n || (table->optional && r == -ENOENT))
		return 0;
	snprintf(report->reason, sizeof(report->reason), "/proc/%s: %s", table->path,
		 r ? strerror(-r) : "no field of it is known");
	return 1;
}

static void close_tcpip(void *state)
{
	struct tcpip *t = state;

	for (int i = 0; i < N_FILES; i++) {
		kept_close(&t->file[i]);
		fields_done(&t->fields[i]);
	}
}

const struct collector collector_tcpip = {
	.name = "tcpip",
	.help = "IP, ICMP, TCP and UDP: traffic, errors, retransmits, drops, resets",
	.groups = groups,
	.n_groups = N_FILES,
	.state_size = sizeof(struct tcpip),
	.probe = probe,
	.open = open_tcpip,
	.sample = sample,
	.close = close_tcpip,
};
