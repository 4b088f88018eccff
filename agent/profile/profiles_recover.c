/* The crash log of an earlier agent, read: nothing in it is believed. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/crc32c.h"
#include "profile/profiles_internal.h"
#include "stacks/epoch_internal.h"
#include "stacks/stacks_internal.h"

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

static struct stacks_place get_place(struct in *in)
{
	uint64_t v = get(in, 1ull << 32);

	return v ? (struct stacks_place){.off = (uint32_t)(v - 1), .votes = 1, .here = 1}
		 : (struct stacks_place){0};
}

static struct stacks_frame get_frame(struct in *in, const struct stacks *s)
{
	struct stacks_frame f = {.addr = get(in, 0)};
	uint8_t bits;

	f.module = (uint32_t)get(in, s->n_modules);
	f.name = (uint32_t)get(in, s->n_strings);
	bits = (uint8_t)get(in, 2 * LOG_PLACES);
	f.missed = (bits & EPOCH_MISSED) != 0;
	f.type = bits & (EPOCH_MISSED - 1);
	in->bad |= f.type >= STACKS_TYPES;
	if (bits & LOG_PLACES) {
		f.self = get_place(in);
		f.call = get_place(in);
	}
	return f;
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
		if (stacks_reserve(s, ARRAY_FRAMES, s->n_frames + 1ull) < 0)
			return -ENOMEM;
		s->frames[s->n_frames] = get_frame(in, s);
		s->n_frames++;
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
		struct stacks_frame *f = &s->frames[frame];
		uint64_t bits;

		if (frame >= s->n_frames)
			return -EBADMSG;
		f->name = (uint32_t)get(in, s->n_strings);
		bits = get(in, 2 * LOG_NAME_PLACES);
		f->missed = bits & 1;
		if (bits & LOG_NAME_PLACES) {
			f->self = get_place(in);
			f->call = get_place(in);
		}
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
	crash_log_name(file, name);
	if (l->dir_fd < 0)
		return -ENOENT;
	fd = openat(l->dir_fd, name, O_RDONLY | O_NOFOLLOW | O_CLOEXEC);
	if (fd < 0)
		return -errno;
	r = crash_log_read(fd, ret, damaged);
	close(fd);
	return r;
}

/* Where the kernel's code lay in another boot, and whose a process's number was, nobody knows any more: only files can
 * be known again. */
void profiles_forbid_names(struct stacks *s)
{
	for (uint32_t i = 1; i < s->n_frames; i++) {
		struct stacks_frame *f = &s->frames[i];

		if (!f->name && !s->modules[f->module].build_id)
			f->missed = true;
	}
}
