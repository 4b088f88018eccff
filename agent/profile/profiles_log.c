/*
 * The crash log: what was added to the open epoch, in files on a tmpfs.
 *
 * A file is batches, each {u32 len, u32 crc of what follows, seeded with len, payload}, of varints: how many strings,
 * modules, frames, nodes, tasks, samples, notes are new and how many old frames have a new name; from_us, to_us,
 * real_off_us (signed), hz, n_cpus, bits; boot id (NUL-terminated); then the entries as they are in memory. What is
 * not whole at the end is left out.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/crc32c.h"
#include "profile/epoch_internal.h"
#include "profile/profiles_internal.h"
#include "profile/stacks_internal.h"

enum { BATCH_HEAD = 8, FILE_MAX = 256 << 20, ALONE_US = 1000000 };

enum batch_count {
	BATCH_STRINGS,
	BATCH_MODULES,
	BATCH_FRAMES,
	BATCH_NODES,
	BATCH_TASKS,
	BATCH_SAMPLES,
	BATCH_NOTES,
	BATCH_RENAMED,
	N_BATCH
};

static void file_name(unsigned file, char name[32])
{
	if (file)
		snprintf(name, 32, "profile.log.%u", file);
	else
		snprintf(name, 32, "profile.log");
}

void crash_log_open(struct crash_log *l, const char *dir)
{
	*l = (struct crash_log){.dir_fd = -1, .fd = -1};
	if (dir)
		l->dir_fd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
}

void crash_log_close(struct crash_log *l)
{
	if (l->fd >= 0)
		close(l->fd);
	if (l->dir_fd >= 0)
		close(l->dir_fd);
	out_done(&l->buf);
	free(l->names);
	*l = (struct crash_log){.dir_fd = -1, .fd = -1};
}

void crash_log_remove(struct crash_log *l, unsigned file)
{
	char name[32];

	file_name(file, name);
	if (l->dir_fd >= 0)
		unlinkat(l->dir_fd, name, 0);
}

void crash_log_set_aside(struct crash_log *l, unsigned file)
{
	char name[32], to[32];

	file_name(0, name);
	file_name(file, to);
	if (l->dir_fd >= 0)
		renameat(l->dir_fd, name, l->dir_fd, to);
}

void crash_log_begin(struct crash_log *l, const struct stacks *s)
{
	char name[32];

	if (l->fd >= 0)
		close(l->fd);
	l->fd = -1;
	l->len = 0;
	l->n_strings = l->n_modules = l->n_frames = l->n_nodes = l->n_tasks = 0;
	l->n_samples = l->n_notes = 0;
	l->at_us = 0;
	if (l->dir_fd < 0)
		return;
	file_name(0, name);
	unlinkat(l->dir_fd, name, 0);
	l->fd = openat(l->dir_fd, name, O_RDWR | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
	crash_log_add(l, s);
}

/* ---- writing ---- */

static void put_signed(struct out *o, int64_t v)
{
	out_varint(o, zigzag_encode(v));
}

static void put_strings(struct crash_log *l, const struct stacks *s)
{
	for (uint32_t i = l->n_strings; i < s->n_strings; i++)
		out_string(&l->buf, stacks_text(s, i));
	for (uint32_t i = l->n_modules; i < s->n_modules; i++) {
		out_varint(&l->buf, s->modules[i].name);
		out_varint(&l->buf, s->modules[i].build_id);
	}
	for (uint32_t i = l->n_frames; i < s->n_frames; i++) {
		const struct stacks_frame *f = &s->frames[i];

		out_varint(&l->buf, f->addr);
		out_varint(&l->buf, f->module);
		out_varint(&l->buf, f->name);
		out_varint(&l->buf, f->type | (f->missed ? EPOCH_MISSED : 0u));
	}
}

static void put_tasks(struct crash_log *l, const struct stacks *s)
{
	for (uint32_t i = l->n_nodes; i < s->n_nodes; i++) {
		out_varint(&l->buf, s->nodes[i].parent);
		out_varint(&l->buf, s->nodes[i].frame);
	}
	for (uint32_t i = l->n_tasks; i < s->n_tasks; i++) {
		const struct stacks_task *t = &s->tasks[i];

		out_varint(&l->buf, t->pid);
		out_varint(&l->buf, t->tid);
		out_varint(&l->buf, t->comm);
		out_varint(&l->buf, t->process);
		out_varint(&l->buf, t->cgroup);
	}
}

static void put_samples(struct crash_log *l, const struct stacks *s)
{
	for (uint32_t i = l->n_samples; i < s->n_samples; i++) {
		const struct stacks_sample *x = &s->samples[i];

		put_signed(&l->buf, x->at_us - l->at_us);
		out_varint(&l->buf, x->node);
		out_varint(&l->buf, x->task);
		out_varint(&l->buf, x->weight_us);
		out_varint(&l->buf, x->cpu);
		out_varint(&l->buf, (unsigned)x->flags << 1 | x->kind);
		l->at_us = x->at_us;
	}
	for (uint32_t i = l->n_notes; i < s->n_notes; i++) {
		const struct stacks_note *n = &s->notes[i];

		put_signed(&l->buf, n->at_us);
		out_varint(&l->buf, n->n);
		out_varint(&l->buf, n->cpu);
		out_varint(&l->buf, n->kind);
	}
}

static bool reserve_names(struct crash_log *l, uint32_t n)
{
	uint32_t cap = l->cap_names ? l->cap_names * 2 : 1024, *grown;

	if (n <= l->cap_names)
		return true;
	while (cap < n)
		cap *= 2;
	grown = realloc(l->names, cap * sizeof(*grown));
	if (!grown)
		return false;
	l->names = grown;
	l->cap_names = cap;
	return true;
}

/* Frames that were written, and have other names now. */
static uint32_t put_renamed(struct crash_log *l, const struct stacks *s)
{
	uint32_t n = 0;

	for (uint32_t i = 0; l->renamed && i < l->n_frames; i++) {
		uint32_t now = s->frames[i].name << 1 | s->frames[i].missed;

		if (now == l->names[i])
			continue;
		out_varint(&l->buf, i);
		out_varint(&l->buf, s->frames[i].name);
		out_varint(&l->buf, s->frames[i].missed);
		l->names[i] = now;
		n++;
	}
	l->renamed = false;
	return n;
}

static void put_about(struct out *to, const struct crash_log *l, const struct stacks *s,
		      uint32_t n_renamed)
{
	out_varint(to, s->n_strings - l->n_strings);
	out_varint(to, s->n_modules - l->n_modules);
	out_varint(to, s->n_frames - l->n_frames);
	out_varint(to, s->n_nodes - l->n_nodes);
	out_varint(to, s->n_tasks - l->n_tasks);
	out_varint(to, s->n_samples - l->n_samples);
	out_varint(to, s->n_notes - l->n_notes);
	out_varint(to, n_renamed);
	put_signed(to, s->from_us);
	put_signed(to, s->to_us);
	put_signed(to, s->real_off_us);
	out_varint(to, s->hz);
	out_varint(to, s->n_cpus);
	out_string(to, s->boot_id);
}

static int write_batch(struct crash_log *l, struct out *o)
{
	uint32_t head[2] = {htole32((uint32_t)(o->len - BATCH_HEAD))};
	ssize_t n;

	head[1] = htole32(crc32c(head[0], o->p + BATCH_HEAD, o->len - BATCH_HEAD));
	memcpy(o->p, head, sizeof(head));
	n = pwrite(l->fd, o->p, o->len, (off_t)l->len);
	if (n != (ssize_t)o->len)
		return n < 0 ? -errno : -ENOSPC;
	l->len += o->len;
	return 0;
}

static void note_written(struct crash_log *l, const struct stacks *s)
{
	for (uint32_t i = l->n_frames; i < s->n_frames; i++)
		l->names[i] = s->frames[i].name << 1 | s->frames[i].missed;
	l->n_strings = s->n_strings;
	l->n_modules = s->n_modules;
	l->n_frames = s->n_frames;
	l->n_nodes = s->n_nodes;
	l->n_tasks = s->n_tasks;
	l->n_samples = s->n_samples;
	l->n_notes = s->n_notes;
	l->to_us = s->to_us;
}

static bool worth_it(const struct crash_log *l, const struct stacks *s)
{
	return !l->len || l->renamed || s->n_strings > l->n_strings ||
	       s->n_samples > l->n_samples || s->n_notes > l->n_notes ||
	       s->to_us - l->to_us >= ALONE_US;
}

void crash_log_add(struct crash_log *l, const struct stacks *s)
{
	static const uint8_t none[BATCH_HEAD];
	struct out renamed, about = {0};
	int r = 0;

	if (l->fd < 0 || !worth_it(l, s))
		return;
	l->buf.len = 0;
	l->buf.failed = !reserve_names(l, s->n_frames);
	put_about(&about, l, s, put_renamed(l, s));
	renamed = l->buf; /* put last */
	l->buf = (struct out){0};
	out_bytes(&l->buf, none, sizeof(none));
	out_bytes(&l->buf, about.p, about.len);
	put_strings(l, s);
	put_tasks(l, s);
	put_samples(l, s);
	out_bytes(&l->buf, renamed.p, renamed.len);
	if (about.failed || renamed.failed || l->buf.failed || l->buf.len > BATCH_MAX ||
	    l->len + l->buf.len > FILE_MAX)
		r = -ENOMEM;
	if (r >= 0)
		r = write_batch(l, &l->buf);
	if (r >= 0) {
		note_written(l, s);
	} else { /* no more of this epoch: what follows would make no sense without it */
		close(l->fd);
		l->fd = -1;
	}
	out_done(&about);
	out_done(&renamed);
	if (l->buf.failed || l->buf.cap > 1 << 20)
		out_done(&l->buf);
}

/* ---- reading ---- */

struct in {
	const uint8_t *p, *end;
	bool bad;
};

static uint64_t get(struct in *in, uint64_t below) /* 0: any */
{
	uint64_t v = 0;

	if (!varint_get(&in->p, in->end, &v) || (below && v >= below)) {
		in->bad = true;
		return 0;
	}
	return v;
}

static int64_t get_time(struct in *in)
{
	int64_t v = zigzag_decode(get(in, 0));

	if (v < -EPOCH_TIME_MAX || v > EPOCH_TIME_MAX)
		in->bad = true;
	return in->bad ? 0 : v;
}

static const char *get_text(struct in *in)
{
	const char *text = (const char *)in->p;
	const uint8_t *end = in->p < in->end ? memchr(in->p, 0, (size_t)(in->end - in->p)) : NULL;

	if (!end) {
		in->bad = true;
		return "";
	}
	in->p = end + 1;
	return text;
}

static int add_strings(struct stacks *s, struct in *in, const uint64_t n[N_BATCH])
{
	struct stacks_private *p = stacks_private(s);

	for (uint64_t i = 0; i < n[BATCH_STRINGS] && !in->bad; i++) {
		const char *text = get_text(in);
		size_t len = strlen(text) + 1;

		if (stacks_reserve(s, ARRAY_TEXT, p->n_text + len) < 0 ||
		    stacks_reserve(s, ARRAY_STRINGS, s->n_strings + 1ull) < 0)
			return -ENOMEM;
		memcpy((char *)(uintptr_t)s->text + p->n_text, text, len);
		s->strings[s->n_strings++] = p->n_text;
		p->n_text += (uint32_t)len;
	}
	for (uint64_t i = 0; i < n[BATCH_MODULES] && !in->bad; i++) {
		if (stacks_reserve(s, ARRAY_MODULES, s->n_modules + 1ull) < 0)
			return -ENOMEM;
		s->modules[s->n_modules].name = (uint32_t)get(in, s->n_strings);
		s->modules[s->n_modules++].build_id = (uint32_t)get(in, s->n_strings);
	}
	for (uint64_t i = 0; i < n[BATCH_FRAMES] && !in->bad; i++) {
		struct stacks_frame f = {.addr = get(in, 0)};
		uint8_t bits;

		if (stacks_reserve(s, ARRAY_FRAMES, s->n_frames + 1ull) < 0)
			return -ENOMEM;
		f.module = (uint32_t)get(in, s->n_modules);
		f.name = (uint32_t)get(in, s->n_strings);
		bits = (uint8_t)get(in, 2 * EPOCH_MISSED);
		f.missed = (bits & EPOCH_MISSED) != 0;
		f.type = bits & (EPOCH_MISSED - 1);
		in->bad |= f.type >= STACKS_TYPES;
		s->frames[s->n_frames++] = f;
	}
	return 0;
}

static int add_tasks(struct stacks *s, struct in *in, const uint64_t n[N_BATCH])
{
	for (uint64_t i = 0; i < n[BATCH_NODES] && !in->bad; i++) {
		struct stacks_node node;

		if (stacks_reserve(s, ARRAY_NODES, s->n_nodes + 1ull) < 0)
			return -ENOMEM;
		node.parent = (uint32_t)get(in, s->n_nodes + !s->n_nodes);
		node.frame = (uint32_t)get(in, s->n_frames);
		s->nodes[s->n_nodes++] = node;
	}
	for (uint64_t i = 0; i < n[BATCH_TASKS] && !in->bad; i++) {
		struct stacks_task t;

		if (stacks_reserve(s, ARRAY_TASKS, s->n_tasks + 1ull) < 0)
			return -ENOMEM;
		t.pid = (uint32_t)get(in, 1ull << 32);
		t.tid = (uint32_t)get(in, 1ull << 32);
		t.comm = (uint32_t)get(in, s->n_strings);
		t.process = (uint32_t)get(in, s->n_strings);
		t.cgroup = (uint32_t)get(in, s->n_strings);
		s->tasks[s->n_tasks++] = t;
	}
	return 0;
}

static int add_samples(struct stacks *s, struct in *in, const uint64_t n[N_BATCH], int64_t *at_us)
{
	for (uint64_t i = 0; i < n[BATCH_SAMPLES] && !in->bad; i++) {
		struct stacks_sample x = {.at_us = *at_us + get_time(in)};
		uint64_t bits;

		x.node = (uint32_t)get(in, s->n_nodes);
		x.task = (uint32_t)get(in, s->n_tasks);
		x.weight_us = (uint32_t)get(in, 1ull << 32);
		x.cpu = (uint16_t)get(in, 1 << 16);
		bits = get(in, 512);
		x.kind = bits & 1;
		x.flags = (uint8_t)(bits >> 1);
		if (x.at_us < -EPOCH_TIME_MAX || x.at_us > EPOCH_TIME_MAX)
			in->bad = true;
		if (in->bad)
			return -EBADMSG;
		*at_us = x.at_us;
		if (stacks_add(s, &x) == -ENOMEM)
			return -ENOMEM;
	}
	for (uint64_t i = 0; i < n[BATCH_NOTES] && !in->bad; i++) {
		struct stacks_note note = {.at_us = get_time(in)};

		note.n = get(in, 0);
		note.cpu = (uint16_t)get(in, 1 << 16);
		note.kind = (uint8_t)get(in, 256);
		if (stacks_note(s, &note) == -ENOMEM)
			return -ENOMEM;
	}
	for (uint64_t i = 0; i < n[BATCH_RENAMED] && !in->bad; i++) {
		uint32_t frame = (uint32_t)get(in, s->n_frames);

		s->frames[frame].name = (uint32_t)get(in, s->n_strings);
		s->frames[frame].missed = get(in, 2) != 0;
	}
	return 0;
}

static int add_batch(struct stacks *s, struct in *in, int64_t *at_us)
{
	uint64_t n[N_BATCH];
	int r;

	for (unsigned i = 0; i < N_BATCH; i++)
		n[i] = get(in, (uint64_t)(in->end - in->p) + 1);
	s->from_us = get_time(in);
	s->to_us = get_time(in);
	s->real_off_us = get_time(in);
	s->hz = (uint32_t)get(in, 1ull << 32);
	s->n_cpus = (uint16_t)get(in, 1 << 16);
	snprintf(s->boot_id, sizeof(s->boot_id), "%s", get_text(in));
	r = in->bad ? -EBADMSG : add_strings(s, in, n);
	if (r >= 0)
		r = add_tasks(s, in, n);
	if (r >= 0)
		r = add_samples(s, in, n, at_us);
	if (r >= 0 && (in->bad || in->p != in->end || s->from_us > s->to_us))
		r = -EBADMSG;
	return r;
}

/* Batches up to the first that is not whole. A batch that is whole and makes no sense spoils all. */
static int read_all(const uint8_t *p, size_t len, struct stacks *s, bool *damaged)
{
	int64_t at_us = 0;
	int r = 0;

	s->n_strings = s->n_modules = s->n_frames = s->n_nodes = s->n_tasks = 0;
	stacks_private(s)->n_text = 0;
	while (r >= 0 && len >= BATCH_HEAD) {
		uint32_t head[2];
		struct in in;

		memcpy(head, p, sizeof(head));
		if (le32toh(head[0]) > len - BATCH_HEAD)
			break;
		*damaged = crc32c(head[0], p + BATCH_HEAD, le32toh(head[0])) != le32toh(head[1]);
		if (*damaged)
			break;
		in = (struct in){.p = p + BATCH_HEAD, .end = p + BATCH_HEAD + le32toh(head[0])};
		r = add_batch(s, &in, &at_us);
		len -= (size_t)(in.end - p);
		p = in.end;
	}
	if (r >= 0 &&
	    (!s->n_strings || !s->n_modules || !s->n_frames || !s->n_nodes || !s->n_tasks))
		r = -EBADMSG;
	if (r >= 0)
		stacks_adopt(s, stacks_private(s)->n_text);
	return r;
}

static int read_file(int fd, struct stacks *s, bool *damaged)
{
	struct stat st;
	uint8_t *p;
	ssize_t n;
	int r;

	if (fstat(fd, &st) < 0)
		return -errno;
	if (!S_ISREG(st.st_mode) || st.st_size > FILE_MAX)
		return -EBADMSG;
	p = malloc((size_t)st.st_size + 1);
	if (!p)
		return -ENOMEM;
	n = pread(fd, p, (size_t)st.st_size, 0);
	r = n < 0 ? -errno : read_all(p, (size_t)n, s, damaged);
	free(p);
	return r;
}

int crash_log_read(int fd, struct stacks **ret, bool *damaged)
{
	struct stacks *s = stacks_new();
	int r;

	*damaged = false;
	r = s ? read_file(fd, s, damaged) : -ENOMEM;
	*damaged = *damaged || r == -EBADMSG;
	if (r < 0)
		stacks_free(s);
	else
		*ret = s;
	return r;
}

int crash_log_load(struct crash_log *l, unsigned file, struct stacks **ret, bool *damaged)
{
	char name[32];
	int fd, r;

	*damaged = false;
	file_name(file, name);
	if (l->dir_fd < 0)
		return -ENOENT;
	fd = openat(l->dir_fd, name, O_RDONLY | O_NOFOLLOW | O_CLOEXEC);
	if (fd < 0)
		return -errno;
	r = crash_log_read(fd, ret, damaged);
	close(fd);
	return r;
}
