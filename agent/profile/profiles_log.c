/*
 * The crash log: what was added to the open epoch, in files on a tmpfs.
 *
 * A file is batches, each {u32 len, u32 crc of what follows, seeded with len, payload}, of
 * varints: how many strings, modules, frames, nodes, tasks, samples, notes are new and how many
 * old frames have a new name; from_us, to_us, real_off_us (signed), hz, n_cpus, bits; boot id
 * (NUL-terminated); then the entries as they are in memory. Of a frame's places only where they are,
 * as it is written and again when it gets its name. What is not whole at the end is left out.
 */
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

void crash_log_name(unsigned file, char name[32])
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

	crash_log_name(file, name);
	if (l->dir_fd >= 0)
		unlinkat(l->dir_fd, name, 0);
}

void crash_log_set_aside(struct crash_log *l, unsigned file)
{
	char name[32], to[32];

	crash_log_name(0, name);
	crash_log_name(file, to);
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
	crash_log_name(0, name);
	unlinkat(l->dir_fd, name, 0);
	l->fd = openat(l->dir_fd, name, O_RDWR | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
	crash_log_add(l, s);
}

/* ---- writing ---- */

static void put_signed(struct out *o, int64_t v)
{
	out_varint(o, zigzag_encode(v));
}

/* Behind bits that say so. */
static void put_places(struct out *o, const struct stacks_frame *f)
{
	if (!stacks_has_place(f))
		return;
	out_varint(o, f->self.votes ? f->self.off + 1ull : 0);
	out_varint(o, f->call.votes ? f->call.off + 1ull : 0);
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
		out_varint(&l->buf, f->type | (f->missed ? EPOCH_MISSED : 0u) |
					    (stacks_has_place(f) ? LOG_PLACES : 0u));
		put_places(&l->buf, f);
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
		out_varint(&l->buf,
			   s->frames[i].missed |
				   (stacks_has_place(&s->frames[i]) ? LOG_NAME_PLACES : 0u));
		put_places(&l->buf, &s->frames[i]);
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
