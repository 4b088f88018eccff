/*
 * Network interfaces: traffic from /proc/net/dev each tick; link state from /sys/class/net once a
 * second. Reading the latter may wait for the kernel's network lock, so a worker does it: sample()
 * takes what the worker published last and asks for the next.
 */
#include "base/cleanup.h"
#include "base/parse.h"
#include "collectors/collector.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

enum { INTERFACES_MAX = 1024, NAME_SIZE = 16 /* IFNAMSIZ */, WAIT_MS = 60000 };

#define TRAFFIC(name, unit, field, text)                                                           \
	{                                                                                          \
		"network.interface." name, unit, 1, 1, "/proc/net/dev " field, text, SEM_COUNTER,  \
			0, NULL                                                                    \
	}

/* In the order of the columns, both "compressed" left out. */
static const struct metric dev_metrics[] = {
	TRAFFIC("in.bytes", "byte", "receive bytes", "Data received."),
	TRAFFIC("in.packets", "count", "receive packets", "Packets received."),
	TRAFFIC("in.errors", "count", "receive errs", "Packets received damaged."),
	TRAFFIC("in.drops", "count", "receive drop",
		"Packets received and dropped for want of room or taker."),
	TRAFFIC("in.fifo", "count", "receive fifo",
		"Packets lost because the device's queue ran over."),
	TRAFFIC("in.frame", "count", "receive frame",
		"Packets with a bad length, checksum or alignment."),
	TRAFFIC("in.mcasts", "count", "receive multicast", "Multicast packets received."),
	TRAFFIC("out.bytes", "byte", "transmit bytes", "Data sent."),
	TRAFFIC("out.packets", "count", "transmit packets", "Packets sent."),
	TRAFFIC("out.errors", "count", "transmit errs", "Packets that could not be sent."),
	TRAFFIC("out.drops", "count", "transmit drop", "Packets dropped before they were sent."),
	TRAFFIC("out.fifo", "count", "transmit fifo",
		"Packets lost because the device's queue ran dry."),
	TRAFFIC("collisions", "count", "transmit colls", "Collisions seen while sending."),
	TRAFFIC("out.carrier", "count", "transmit carrier", "Packets lost for want of a carrier."),
};
enum { N_DEV = sizeof(dev_metrics) / sizeof(dev_metrics[0]), N_COLUMNS = 16 };

static const char *const no_yes[] = {"no", "yes", NULL};
/* As in RFC 2863, by the kernel's numbers. */
static const char *const operstates[] = {"unknown", "notpresent", "down", "lowerlayerdown",
					 "testing", "dormant",	  "up",	  NULL};

enum { M_UP, M_OPERSTATE, M_CARRIER, M_SPEED, M_MTU, N_LINK, N_FAST = M_SPEED };

static const struct metric link_metrics[N_LINK] = {
	[M_UP] = {"network.interface.up", "1", 1, 1, "/sys/class/net/NAME/flags bit 0",
		  "Was the interface switched on?", SEM_INSTANT, 0, no_yes},
	[M_OPERSTATE] = {"network.interface.operstate", "1", 1, 1, "/sys/class/net/NAME/operstate",
			 "State of the link.", SEM_DISCRETE, 0, operstates},
	[M_CARRIER] = {"network.interface.carrier", "1", 1, 1, "/sys/class/net/NAME/carrier",
		       "Is there a carrier?", SEM_DISCRETE, 0, no_yes},
	[M_SPEED] = {"network.interface.link_speed", "bit/s", 1000000, 1,
		     "/sys/class/net/NAME/speed", "Speed that the link has negotiated.",
		     SEM_DISCRETE, 0, NULL},
	[M_MTU] = {"network.interface.mtu", "byte", 1, 1, "/sys/class/net/NAME/mtu",
		   "Largest packet the interface sends.", SEM_INSTANT, 0, NULL},
};
static const char *const link_file[N_LINK] = {[M_UP] = "flags",
					      [M_OPERSTATE] = "operstate",
					      [M_CARRIER] = "carrier",
					      [M_SPEED] = "speed",
					      [M_MTU] = "mtu"};

enum { G_DEV, G_LINK };

static const struct group groups[] = {
	[G_DEV] = {"interface.dev", "interface", dev_metrics, N_DEV, 0, INTERFACES_MAX, false,
		   NULL},
	[G_LINK] = {"interface.link", "interface", link_metrics, N_LINK, 1000, INTERFACES_MAX,
		    false, NULL},
};

struct link {
	char name[NAME_SIZE];
	uint32_t pass; /* in which it was last listed */
	int64_t v[N_LINK];
};
struct link_table {
	uint32_t n;
	struct link link[INTERFACES_MAX];
};

enum {
	SLOW_EVERY = 8 /* passes between readings of speed and mtu */,
	LINKS_A_PASS = 64,
	FRESH = 4
};

struct interface_state {
	const struct host *host;
	struct kept_file dev;
	int wake; /* eventfd + 1: sample() asks the worker for a pass */

	struct link_table now; /* the worker's */
	uint32_t pass, turn;

	/* Three buffers change hands: one the worker fills, one that sample() reads, one between
	 * them
	 * (`middle`: its index, FRESH when it was published and not yet taken). */
	struct link_table buffer[3];
	unsigned back, front;
	_Atomic unsigned middle;
};

static int interface_probe(const struct host *h, struct collector_report *rep)
{
	return host_probe(h, ROOT_PROC, "net/dev", rep->reason, sizeof(rep->reason));
}

/* The text of net/NAME/FILE below dir, NUL-ended. */
static bool read_link_file(int dir, const char *name, const char *file, char *buf, size_t size)
{
	char path[NAME_SIZE + 16];

	snprintf(path, sizeof(path), "%s/%s", name, file);
	_cleanup_close_ int fd = openat(dir, path, O_RDONLY | O_CLOEXEC);
	ssize_t n = fd < 0 ? -1 : read(fd, buf, size - 1);

	if (n <= 0)
		return false;
	buf[n] = 0;
	buf[strcspn(buf, "\n")] = 0;
	return true;
}

static int64_t read_link_value(int dir, const char *name, unsigned metric)
{
	char buf[64];
	const char *p = buf;
	uint64_t flags;
	int64_t v;

	if (!read_link_file(dir, name, link_file[metric], buf, sizeof(buf)))
		return VALUE_ABSENT;
	if (metric == M_UP)
		return PARSE_STARTS(buf, "0x") && (p += 2, parse_hex(&p, &flags))
			       ? (int64_t)(flags & 1)
			       : VALUE_ABSENT;
	if (metric == M_OPERSTATE) {
		for (v = 0; operstates[v]; v++)
			if (strcmp(operstates[v], buf) == 0)
				return v;
		return VALUE_ABSENT;
	}
	/* An unknown speed is -1, or 2^32 - 1 from some drivers. */
	if (!parse_i64(&p, &v) || v < 0 || (metric == M_SPEED && v >= UINT32_MAX))
		return VALUE_ABSENT;
	return v;
}

static struct link *find_link(struct link_table *t, const char *name)
{
	for (uint32_t i = 0; i < t->n; i++)
		if (strcmp(t->link[i].name, name) == 0)
			return &t->link[i];
	return NULL;
}

/* Lists the interfaces; those that are new get no values yet. */
static void list_links(struct interface_state *s, DIR *d)
{
	for (struct dirent *e; (e = readdir(d));) {
		size_t len = strlen(e->d_name);

		if (e->d_name[0] == '.' || len >= NAME_SIZE)
			continue;
		struct link *l = find_link(&s->now, e->d_name);

		if (!l && s->now.n < INTERFACES_MAX) {
			l = &s->now.link[s->now.n++];
			*l = (struct link){0};
			memcpy(l->name, e->d_name, len);
		}
		if (l && !l->pass)
			for (unsigned m = 0; m < N_LINK; m++)
				l->v[m] = VALUE_ABSENT;
		if (l)
			l->pass = s->pass;
	}
}

/* Reads the state of the links, on a host with thousands a part of them in turn, and publishes
 * it. */
static void read_links(struct interface_state *s, const struct host *h)
{
	int fd = host_file(h, ROOT_SYS, "class/net");
	DIR *d = fd < 0 ? NULL : fdopendir(fd);
	uint32_t kept = 0;

	if (!d) {
		if (fd >= 0)
			close(fd);
		s->now.n = 0;
	} else {
		s->pass++;
		list_links(s, d);
		for (uint32_t i = 0; i < s->now.n; i++)
			if (s->now.link[i].pass == s->pass)
				s->now.link[kept++] = s->now.link[i];
		s->now.n = kept;
		for (uint32_t i = 0; i < kept && i < LINKS_A_PASS; i++, s->turn++) {
			struct link *l = &s->now.link[s->turn % kept];
			bool all = l->v[M_MTU] == VALUE_ABSENT || s->pass % SLOW_EVERY == 0;

			for (unsigned m = 0; m < (all ? N_LINK : N_FAST); m++)
				l->v[m] = read_link_value(fd, l->name, m);
		}
		closedir(d);
	}
	struct link_table *to = &s->buffer[s->back];

	to->n = s->now.n;
	memcpy(to->link, s->now.link, s->now.n * sizeof(to->link[0]));
	s->back = atomic_exchange(&s->middle, s->back | FRESH) & ~(unsigned)FRESH;
}

static int interface_open(void *state, const struct host *h, struct collector_report *rep)
{
	struct interface_state *s = state;
	int r = kept_open(&s->dev, h, ROOT_PROC, "net/dev");

	s->host = h;
	s->back = 0;
	s->front = 1;
	atomic_store(&s->middle, 2);
	if (r)
		return host_explain(h, ROOT_PROC, "net/dev", r, rep->reason, sizeof(rep->reason));
	s->wake = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK) + 1;
	if (!s->wake) {
		r = -errno;
		snprintf(rep->reason, sizeof(rep->reason), "eventfd: %s", strerror(-r));
		return r;
	}
	read_links(s, h);
	return 0;
}

static void interface_close(void *state)
{
	struct interface_state *s = state;

	kept_close(&s->dev);
	if (s->wake)
		close(s->wake - 1);
	s->wake = 0;
}

static int interface_work(void *state, unsigned worker, const struct host *h)
{
	struct interface_state *s = state;
	struct pollfd p = {.fd = s->wake - 1, .events = POLLIN};
	uint64_t n;

	(void)worker;
	if (poll(&p, 1, WAIT_MS) == 1 && read(p.fd, &n, sizeof(n)) == sizeof(n))
		read_links(s, h);
	return 0;
}

static int sample_link(struct interface_state *s, struct batch *b, struct collector_report *rep)
{
	const uint64_t one = 1;

	if (s->host->fd[ROOT_SYS] < 0) {
		snprintf(rep->reason, sizeof(rep->reason),
			 "no %s: the state of links is not measured", s->host->path[ROOT_SYS]);
		return 1;
	}
	if (atomic_load(&s->middle) & FRESH)
		s->front = atomic_exchange(&s->middle, s->front) & ~(unsigned)FRESH;
	const struct link_table *t = &s->buffer[s->front];

	for (uint32_t i = 0; i < t->n; i++) {
		int64_t *row = batch_row_named(b, t->link[i].name, strlen(t->link[i].name));

		if (row)
			memcpy(row, t->link[i].v, sizeof(t->link[i].v));
	}
	/* A full counter means that the worker has been asked already. */
	return write(s->wake - 1, &one, sizeof(one)) < 0 && errno != EAGAIN ? -errno : 0;
}

static void interface_wake(void *state)
{
	const struct interface_state *s = state;
	uint64_t one = 1;

	/* A full counter means that the worker has been asked already. */
	if (write(s->wake - 1, &one, sizeof(one)) < 0)
		return;
}

static int sample_dev(struct interface_state *s, struct batch *b)
{
	const char *p = s->dev.data;

	for (unsigned header = 0; header < 2; header++, p = parse_line(p))
		if (!memchr(p, '|', (size_t)(s->dev.data + s->dev.len - p)))
			return -EBADMSG;
	for (; *p; p = parse_line(p)) {
		const char *name = parse_blank(p), *colon = strchr(name, ':');
		int64_t v[N_COLUMNS];
		unsigned n = 0;

		if (!colon)
			return -EBADMSG;
		for (p = colon + 1; n < N_COLUMNS && parse_i64(&p, &v[n]);)
			n++;
		if (n < N_COLUMNS || *p != '\n' || colon == name || colon - name >= NAME_SIZE)
			return -EBADMSG;
		int64_t *row = batch_row_named(b, name, (size_t)(colon - name));

		if (!row)
			continue;
		memcpy(row, v, 6 * sizeof(*v));
		memcpy(row + 6, v + 7, 8 * sizeof(*v));
	}
	return 0;
}

static int interface_sample(void *state, unsigned group, struct batch *b,
			    struct collector_report *rep)
{
	struct interface_state *s = state;

	if (group == G_LINK)
		return sample_link(s, b, rep);
	int r = kept_read(&s->dev, b->tick);

	if (!r)
		r = sample_dev(s, b);
	return r ? host_explain(s->host, ROOT_PROC, "net/dev", r, rep->reason, sizeof(rep->reason))
		 : 0;
}

const struct collector collector_interface = {
	.name = "interface",
	.help = "traffic, errors and link state of each network interface",
	.groups = groups,
	.n_groups = sizeof(groups) / sizeof(groups[0]),
	.state_size = sizeof(struct interface_state),
	.n_workers = 1,
	.probe = interface_probe,
	.open = interface_open,
	.sample = interface_sample,
	.close = interface_close,
	.work = interface_work,
	.wake = interface_wake,
};
