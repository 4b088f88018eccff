/*
 * /proc/diskstats: I/O of each whole disk. Partitions, ram disks and devices without a medium (a
 * loop device nobody set up) are no instances. What a name is, is found out once, when it appears;
 * its size comes from /proc/partitions once a second, and at once when an unused device begins to
 * move.
 */
#include "base/cleanup.h"
#include "base/parse.h"
#include "collectors/collector.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

enum { DISKS_MAX = 1024, DEVICES_MAX = 4096, NAME_SIZE = 32, STILL_SIZE = 48 };

#define DISK(name, unit, mul, div, field, text, sem, quantum)                                      \
	{                                                                                          \
		"disk.dev." name, unit, mul, div, "/proc/diskstats field " field, text, sem,       \
			quantum, NULL                                                              \
	}
#define COUNT_OF(name, field, text) DISK(name, "count", 1, 1, field, text, SEM_COUNTER, 0)
#define BYTES_OF(name, field, text) DISK(name, "Kbyte", 1, 2, field, text, SEM_COUNTER, 0)
#define TIME_OF(name, field, text, quantum)                                                        \
	DISK(name, "millisec", 1, 1, field, text, SEM_COUNTER, quantum)

/* In the order of the fields after the name. */
static const struct metric dev_metrics[] = {
	COUNT_OF("read", "4", "Reads completed."),
	COUNT_OF("read_merge", "5", "Reads merged into another before they were issued."),
	BYTES_OF("read_bytes", "6", "Data read."),
	TIME_OF("read_rawactive", "7", "Time of all reads, each from issue to completion.", 1),
	COUNT_OF("write", "8", "Writes completed."),
	COUNT_OF("write_merge", "9", "Writes merged into another before they were issued."),
	BYTES_OF("write_bytes", "10", "Data written."),
	TIME_OF("write_rawactive", "11", "Time of all writes, each from issue to completion.", 1),
	DISK("inflight", "1", 1, 1, "12", "Requests issued and not yet completed.", SEM_INSTANT, 0),
	/* The kernel adds it up in jiffies: 4 ms on most builds, 1 to 10 on others. */
	TIME_OF("avactive", "13", "Time in which at least one request was in flight.", 4),
	TIME_OF("aveq", "14", "Time of all requests in flight: its rate is the mean queue length.",
		1),
	COUNT_OF("discard", "15", "Discards completed."),
	COUNT_OF("discard_merge", "16", "Discards merged into another before they were issued."),
	BYTES_OF("discard_bytes", "17", "Data discarded."),
	TIME_OF("discard_rawactive", "18", "Time of all discards.", 1),
	COUNT_OF("flush", "19", "Cache flushes completed."),
	TIME_OF("flush_rawactive", "20", "Time of all cache flushes.", 1),
};
enum { N_DEV = sizeof(dev_metrics) / sizeof(dev_metrics[0]), N_DEV_MIN = 11 };

static const struct metric info_metrics[] = {
	{"disk.dev.capacity", "Kbyte", 1, 1, "/proc/partitions #blocks", "Size of the disk.",
	 SEM_DISCRETE, 0, NULL},
};

enum { A_MODEL, A_ALIAS, A_ROTATIONAL, N_ATTRS };
static const char *const info_attrs[] = {
	[A_MODEL] = "model", [A_ALIAS] = "alias", [A_ROTATIONAL] = "rotational", [N_ATTRS] = NULL};
static const char *const attr_file[N_ATTRS] = {
	[A_MODEL] = "device/model", [A_ALIAS] = "dm/name", [A_ROTATIONAL] = "queue/rotational"};

enum { G_DEV, G_INFO };

static const struct group groups[] = {
	[G_DEV] = {"disk.dev", "disk", dev_metrics, N_DEV, 0, DISKS_MAX, false, NULL},
	[G_INFO] = {"disk.info", "disk", info_metrics, 1, 1000, DISKS_MAX, false, info_attrs},
};

enum kind { DEVICE_NEVER /* partition or ram disk */, DEVICE_DISK };

struct device {
	char name[NAME_SIZE];
	uint8_t len;
	uint8_t kind;
	bool bare;	/* exists before it is set up: loop, zram, nbd */
	bool shown;	/* is an instance */
	bool described; /* its attributes were read */
	uint8_t still_len;
	char still[STILL_SIZE]; /* what its line said while it had no medium */
	int64_t kbytes;		/* size; 0: no medium; -1: not known */
};

struct disk_state {
	const struct host *host;
	struct kept_file stats, parts;
	bool has_parts;
	uint32_t n_devices;
	struct device device[DEVICES_MAX]; /* by line of the last pass */
};

static int disk_probe(const struct host *h, struct collector_report *rep)
{
	return host_probe(h, ROOT_PROC, "diskstats", rep->reason, sizeof(rep->reason));
}

static int disk_open(void *state, const struct host *h, struct collector_report *rep)
{
	struct disk_state *s = state;
	int r = kept_open(&s->stats, h, ROOT_PROC, "diskstats");

	s->host = h;
	if (r)
		return host_explain(h, ROOT_PROC, "diskstats", r, rep->reason, sizeof(rep->reason));
	s->has_parts = kept_open(&s->parts, h, ROOT_PROC, "partitions") == 0;
	return 0;
}

static void disk_close(void *state)
{
	struct disk_state *s = state;

	kept_close(&s->stats);
	kept_close(&s->parts);
}

static bool numbered(const struct device *d, const char *stem)
{
	size_t len = strlen(stem);

	return d->len > len && memcmp(d->name, stem, len) == 0 && parse_is_digit(d->name[len]);
}

/* "block/NAME/FILE" in /sys, where a '/' of the name is a '!'. */
static void sys_path(char *buf, size_t size, const struct device *d, const char *file)
{
	size_t stem = strlen("block/");

	snprintf(buf, size, "block/%s%s", d->name, file);
	for (size_t i = stem; i < stem + d->len; i++)
		if (buf[i] == '/')
			buf[i] = '!';
}

/* Without /sys: is d "sda1" or "nvme0n1p1" to the disk in front of it? */
static bool extends(const struct device *d, const struct device *disk)
{
	if (d->len <= disk->len || memcmp(d->name, disk->name, disk->len) != 0)
		return false;
	const char *p = d->name + disk->len;

	if (*p == 'p' && parse_is_digit(p[-1]))
		p++;
	while (parse_is_digit(*p))
		p++;
	return !*p && parse_is_digit(p[-1]);
}

static enum kind classify(const struct disk_state *s, uint32_t at)
{
	const struct device *d = &s->device[at];
	int sys = s->host->fd[ROOT_SYS];
	char path[NAME_SIZE + 16];

	if (numbered(d, "ram"))
		return DEVICE_NEVER;
	if (sys >= 0 && faccessat(sys, "block", F_OK, 0) == 0) {
		sys_path(path, sizeof(path), d, "");
		return faccessat(sys, path, F_OK, 0) == 0 ? DEVICE_DISK : DEVICE_NEVER;
	}
	while (at-- > 0)
		if (s->device[at].kind == DEVICE_DISK)
			return extends(d, &s->device[at]) ? DEVICE_NEVER : DEVICE_DISK;
	return DEVICE_DISK;
}

static bool is_named(const struct device *d, const char *name, size_t len)
{
	return d->len == len && memcmp(d->name, name, len) == 0;
}

/* Makes device[at] the one called name: others have gone, or it is new. */
static void place(struct disk_state *s, uint32_t at, const char *name, size_t len)
{
	struct device *d = &s->device[at];
	uint32_t i = at;

	while (i < s->n_devices && !is_named(&s->device[i], name, len))
		i++;
	if (i < s->n_devices) {
		memmove(d, &s->device[i], (s->n_devices - i) * sizeof(*d));
		s->n_devices -= i - at;
		return;
	}
	if (s->n_devices == DEVICES_MAX)
		s->n_devices--;
	memmove(d + 1, d, (s->n_devices - at) * sizeof(*d));
	s->n_devices++;
	*d = (struct device){.len = (uint8_t)len, .kbytes = s->has_parts ? 0 : -1};
	memcpy(d->name, name, len);
	d->kind = (uint8_t)classify(s, at);
	d->bare = numbered(d, "loop") || numbered(d, "zram") || numbered(d, "nbd");
}

/* Takes the sizes from /proc/partitions, which lists what has one, in the order of diskstats. */
static int read_sizes(struct disk_state *s, uint64_t tick)
{
	uint32_t at = 0;
	int r = s->has_parts ? kept_read(&s->parts, tick) : 0;

	if (r || !s->has_parts)
		return r;
	for (uint32_t i = 0; i < s->n_devices; i++)
		s->device[i].kbytes = 0;
	for (const char *p = s->parts.data; *p; p = parse_line(p)) {
		int64_t major, minor, kbytes;

		if (!parse_i64(&p, &major) || !parse_i64(&p, &minor) || !parse_i64(&p, &kbytes))
			continue;
		p = parse_blank(p);
		const char *end = parse_word(p);

		for (uint32_t n = 0; n < s->n_devices; n++, at++) {
			at = at < s->n_devices ? at : 0;
			if (is_named(&s->device[at], p, (size_t)(end - p))) {
				s->device[at++].kbytes = kbytes;
				break;
			}
		}
	}
	return 0;
}

/* Has a device that had no medium begun to move? Remembers its line. */
static bool has_moved(struct device *d, const char *line, size_t len)
{
	size_t n = len < STILL_SIZE ? len : STILL_SIZE;
	bool moved =
		d->still_len && (d->still_len != (uint8_t)len || memcmp(d->still, line, n) != 0);

	d->still_len = (uint8_t)len;
	memcpy(d->still, line, n);
	return moved;
}

/* The fields after the name; false when the line is not one of a disk. */
static bool parse_fields(const char *p, int64_t v[N_DEV])
{
	unsigned n = 0;

	while (n < N_DEV && parse_i64(&p, &v[n]))
		n++;
	if (n < N_DEV_MIN || !*p)
		return false;
	while (n < N_DEV)
		v[n++] = VALUE_ABSENT;
	return true;
}

static bool all_zero(const int64_t v[N_DEV])
{
	for (unsigned i = 0; i < N_DEV; i++)
		if (v[i] != 0 && v[i] != VALUE_ABSENT)
			return false;
	return true;
}

/* One line, from behind the device's name to its end. */
static void sample_device(struct disk_state *s, struct device *d, const char *p, size_t len,
			  struct batch *b)
{
	int64_t v[N_DEV], *row;

	d->shown = false;
	if (d->kind != DEVICE_DISK)
		return;
	if (d->kbytes == 0 && d->bare) {
		if (has_moved(d, p, len))
			read_sizes(s, b->tick);
		if (d->kbytes == 0)
			return;
	}
	if (!parse_fields(p, v) || (d->kbytes <= 0 && all_zero(v)))
		return;
	row = batch_row_named(b, d->name, d->len);
	d->shown = row != NULL;
	if (row)
		memcpy(row, v, sizeof(v));
}

/* Goes through the lines; 1 when a device was new and its size is not known yet, 0, or -EBADMSG. */
static int walk(struct disk_state *s, struct batch *b)
{
	uint32_t at = 0;
	int fresh = 0;

	for (const char *p = s->stats.data, *end; *p && at < DEVICES_MAX; p = end) {
		int64_t major, minor;

		end = parse_line(p);
		if (!parse_i64(&p, &major) || !parse_i64(&p, &minor))
			continue;
		p = parse_blank(p);
		const char *name_end = parse_word(p);
		size_t len = (size_t)(name_end - p);

		if (!len || len >= NAME_SIZE || end[-1] != '\n')
			continue;
		if (at >= s->n_devices || !is_named(&s->device[at], p, len)) {
			place(s, at, p, len);
			fresh |= s->device[at].kind == DEVICE_DISK;
		}
		sample_device(s, &s->device[at++], name_end, (size_t)(end - name_end), b);
	}
	s->n_devices = at;
	return at || !s->stats.len ? fresh : -EBADMSG;
}

static int sample_dev(struct disk_state *s, struct batch *b)
{
	int r = kept_read(&s->stats, b->tick);

	if (!r)
		r = walk(s, b);
	if (r <= 0)
		return r;
	read_sizes(s, b->tick);
	r = walk(s, b);
	return r < 0 ? r : 0;
}

/* Attributes of a disk that has become an instance; those that /sys does not have stay unset. */
static void describe(const struct disk_state *s, const struct device *d, struct batch *b,
		     uint32_t slot)
{
	for (uint32_t k = 0; k < N_ATTRS; k++) {
		char path[NAME_SIZE + 32], text[ATTR_VALUE_MAX];

		sys_path(path, sizeof(path), d, "/");
		strcat(path, attr_file[k]);
		_cleanup_close_ int fd = host_file(s->host, ROOT_SYS, path);
		ssize_t n = fd < 0 ? 0 : read(fd, text, sizeof(text));

		while (n > 0 && (text[n - 1] == '\n' || text[n - 1] == ' '))
			n--;
		if (n > 0)
			batch_attr(b, slot, k, text, (size_t)n);
	}
}

static int sample_info(struct disk_state *s, struct batch *b)
{
	int r = read_sizes(s, b->tick);

	if (r)
		return r;
	for (uint32_t i = 0; i < s->n_devices; i++) {
		struct device *d = &s->device[i];
		int64_t *row = d->shown ? batch_row_named(b, d->name, d->len) : NULL;

		if (row) {
			row[0] = d->kbytes < 0 ? VALUE_ABSENT : d->kbytes;
			if (!d->described)
				describe(s, d, b, (uint32_t)((row - b->rows) / b->n_metrics));
		}
		d->described = row != NULL;
	}
	return 0;
}

static int disk_sample(void *state, unsigned group, struct batch *b, struct collector_report *rep)
{
	struct disk_state *s = state;
	int r = group == G_DEV ? sample_dev(s, b) : sample_info(s, b);

	if (r)
		host_explain(s->host, ROOT_PROC, group == G_DEV ? "diskstats" : "partitions", r,
			     rep->reason, sizeof(rep->reason));
	return r;
}

const struct collector collector_disk = {
	.name = "disk",
	.help = "reads, writes, discards and flushes of each disk, with their times and queue",
	.groups = groups,
	.n_groups = sizeof(groups) / sizeof(groups[0]),
	.state_size = sizeof(struct disk_state),
	.probe = disk_probe,
	.open = disk_open,
	.sample = disk_sample,
	.close = disk_close,
};
