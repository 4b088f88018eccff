/* Sockets in use and the memory they hold, from /proc/net/sockstat and /proc/net/sockstat6. */
#include "base/fields.h"
#include "base/parse.h"
#include "collectors/collector.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#define COUNT(a) (sizeof(a) / sizeof((a)[0]))
#define FILE4 "/proc/net/sockstat "
#define FILE6 "/proc/net/sockstat6 "
#define S4(n, key, text)                                                                           \
	{                                                                                          \
		"network.sockstat." n, "count", 1, 1, FILE4 key, text, SEM_INSTANT, 0, NULL        \
	}
#define S6(n, key, text)                                                                           \
	{                                                                                          \
		"network.sockstat." n, "count", 1, 1, FILE6 key, text, SEM_INSTANT, 0, NULL        \
	}

static const struct metric metrics4[] = {
	S4("total", "sockets: used", "Sockets of every kind in use."),
	S4("tcp.inuse", "TCP: inuse", "TCP sockets over IPv4 in use, listeners included."),
	S4("tcp.orphan", "TCP: orphan",
	   "TCP sockets that no process holds any more but that are not closed yet."),
	S4("tcp.tw", "TCP: tw", "TCP sockets in TIME_WAIT."),
	S4("tcp.alloc", "TCP: alloc", "TCP sockets allocated, in whatever state."),
	S4("tcp.mem", "TCP: mem", "Pages that TCP buffers hold; compare net.ipv4.tcp_mem."),
	S4("udp.inuse", "UDP: inuse", "UDP sockets over IPv4 in use."),
	S4("udp.mem", "UDP: mem", "Pages that UDP buffers hold; compare net.ipv4.udp_mem."),
	S4("udplite.inuse", "UDPLITE: inuse", "UDP-Lite sockets over IPv4 in use."),
	S4("raw.inuse", "RAW: inuse", "Raw sockets over IPv4 in use."),
	S4("frag.inuse", "FRAG: inuse", "IPv4 packets being reassembled."),
	S4("frag.memory", "FRAG: memory", "Bytes that IPv4 reassembly holds."),
};

static const struct metric metrics6[] = {
	S6("tcp6.inuse", "TCP6: inuse", "TCP sockets over IPv6 in use, listeners included."),
	S6("udp6.inuse", "UDP6: inuse", "UDP sockets over IPv6 in use."),
	S6("udplite6.inuse", "UDPLITE6: inuse", "UDP-Lite sockets over IPv6 in use."),
	S6("raw6.inuse", "RAW6: inuse", "Raw sockets over IPv6 in use."),
	S6("frag6.inuse", "FRAG6: inuse", "IPv6 packets being reassembled."),
	S6("frag6.memory", "FRAG6: memory", "Bytes that IPv6 reassembly holds."),
};

enum { V4, V6, N_FILES };

static const struct group groups[N_FILES] = {
	[V4] = {"sockets.v4", NULL, metrics4, COUNT(metrics4), 0, 1, false, NULL},
	[V6] = {"sockets.v6", NULL, metrics6, COUNT(metrics6), 0, 1, false, NULL},
};

static const struct {
	const char *path, *prefix;
} files[N_FILES] = {[V4] = {"net/sockstat", FILE4}, [V6] = {"net/sockstat6", FILE6}};

struct sockets {
	struct kept_file file[N_FILES];
	struct fields fields[N_FILES];
};

static int sockets_probe(const struct host *h, struct collector_report *rep)
{
	return host_probe(h, ROOT_PROC, files[V4].path, rep->reason, sizeof(rep->reason));
}

static int sockets_open(void *state, const struct host *h, struct collector_report *rep)
{
	struct sockets *s = state;

	for (int i = 0; i < N_FILES; i++) {
		int r = kept_open(&s->file[i], h, ROOT_PROC, files[i].path);

		if (r == -ENOENT && i == V6) /* IPv6 is off: its row stays absent */
			continue;
		if (!r)
			r = fields_init(&s->fields[i], s->file[i].data, s->file[i].cap);
		if (r)
			return host_explain(h, ROOT_PROC, files[i].path, r, rep->reason,
					    sizeof(rep->reason));
	}
	return 0;
}

static void sockets_close(void *state)
{
	struct sockets *s = state;

	for (int i = 0; i < N_FILES; i++) {
		kept_close(&s->file[i]);
		fields_done(&s->fields[i]);
	}
}

/* "TCP: inuse 1 orphan 0": the first word of the line and the one before the number. */
static int column_of(const void *ctx, const struct fields_at *at)
{
	const unsigned *i = ctx;
	size_t section = (size_t)(parse_word(at->line) - at->line);
	char key[64];

	if (!section || section + 1 + at->word_len > sizeof(key))
		return -1;
	memcpy(key, at->line, section);
	key[section] = ' ';
	memcpy(key + section + 1, at->word, at->word_len);
	return fields_find_source(groups[*i].metrics, groups[*i].n_metrics, files[*i].prefix, key,
				  section + 1 + at->word_len);
}

static int sockets_sample(void *state, unsigned i, struct batch *b, struct collector_report *rep)
{
	struct sockets *s = state;
	int64_t *row = batch_row(b);
	int r;

	if (!s->file[i].data) {
		for (uint32_t m = 0; m < b->n_metrics; m++)
			row[m] = VALUE_ABSENT;
		return 0;
	}
	r = kept_read(&s->file[i], b->tick);
	if (!r && !fields_read(&s->fields[i], s->file[i].data, s->file[i].len, column_of, &i, row,
			       b->n_metrics))
		r = -EBADMSG;
	if (r)
		snprintf(rep->reason, sizeof(rep->reason), "/proc/%s: %s", files[i].path,
			 strerror(-r));
	return r;
}

const struct collector collector_sockets = {
	.name = "sockets",
	.help = "sockets in use, orphans, TIME_WAIT, and the memory of their buffers",
	.groups = groups,
	.n_groups = N_FILES,
	.state_size = sizeof(struct sockets),
	.probe = sockets_probe,
	.open = sockets_open,
	.sample = sockets_sample,
	.close = sockets_close,
};
