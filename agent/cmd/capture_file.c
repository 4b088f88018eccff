#include "cmd/capture_file.h"

#include "base/msg.h"
#include "base/walltime.h"
#include "base/write_all.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/* ---- writing ---- */

static int write_out(void *arg, const void *data, size_t len)
{
	const struct capture_out *o = arg;

	return write_all(o->fd, data, len);
}

int capture_out_open(struct capture_out *o, const char *path)
{
	int r;

	*o = (struct capture_out){.fd = -1};
	if (strlen(path) >= sizeof(o->path)) {
		msg(MSG_ERROR, "the name of the file is too long");
		return -ENAMETOOLONG;
	}
	strcpy(o->path, path);
	o->fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
	if (o->fd < 0) {
		r = -errno;
		msg(MSG_ERROR, "cannot write %s: %s", path, strerrordesc_np(-r));
		return r;
	}
	o->writer = (struct capture_writer){.write = write_out, .arg = o};
	return capture_out_check(o, capture_begin(&o->writer));
}

int capture_out_check(struct capture_out *o, int r)
{
	if (r >= 0 || o->error)
		return r;
	o->error = r;
	/* A part of a section is of no use. */
	if (ftruncate(o->fd, (off_t)o->writer.bytes) < 0 && errno != EINVAL)
		msg(MSG_DEBUG, "cannot cut %s", o->path);
	msg(MSG_ERROR, "writing %s has failed: %s; %s", o->path,
	    r == -ENOSPC ? "the disk is full" : strerrordesc_np(-r),
	    o->writer.sections > 1 ? "what was recorded until now is in it and can be opened"
				   : "nothing was recorded");
	return r;
}

int capture_out_section(struct capture_out *o, enum capture_type type, const void *data, size_t len)
{
	if (o->error)
		return o->error;
	return capture_out_check(o, capture_section(&o->writer, type, data, len));
}

int capture_out_meta(struct capture_out *o, const struct capture_meta *m)
{
	struct buf text = {0};
	int r;

	capture_meta_put(&text, m);
	r = text.failed ? -ENOMEM : capture_out_section(o, CAPTURE_META, text.p, text.len);
	buf_done(&text);
	return r;
}

int capture_out_close(struct capture_out *o)
{
	int r = o->error;

	if (o->fd < 0)
		return r;
	if (!r)
		r = capture_out_check(o, capture_end(&o->writer));
	if (close(o->fd) < 0 && !r)
		r = capture_out_check(o, -errno);
	o->fd = -1;
	return r;
}

/* ---- reading ---- */

static int open_reader(struct capture_reader **ret, const char *path)
{
	char err[300];
	int r = capture_open(ret, path, err, sizeof(err));

	if (r < 0)
		msg(MSG_ERROR, "%s: %s", path, err);
	return r;
}

static int take_catalog(struct capture_summary *s, const uint8_t *data, size_t len)
{
	uint8_t *copy = malloc(len ? len : 1);

	if (!copy)
		return -ENOMEM;
	memcpy(copy, data, len);
	free(s->catalog);
	s->catalog = copy;
	s->catalog_len = len;
	return 0;
}

static int take_block(struct capture_summary *s, const uint8_t *data, size_t len)
{
	struct block_head h;
	int r = block_head_read(data, len, &h);

	if (r < 0)
		return -EBADMSG;
	if (!s->n_blocks++)
		s->first = h;
	s->last = h;
	s->block_samples += h.n_samples;
	s->block_bytes += len;
	return 0;
}

static int take_section(struct capture_summary *s, enum capture_type type, const uint8_t *data,
			size_t len)
{
	struct capture_meta meta;
	int r = 0;

	if (type == CAPTURE_META && capture_meta_parse(data, len, &meta) == 0)
		s->meta = meta;
	if (type == CAPTURE_CATALOG)
		r = take_catalog(s, data, len);
	if (type == CAPTURE_BLOCK)
		r = take_block(s, data, len);
	if (type == CAPTURE_FRAMES)
		r = capture_fill_section(&s->fill, data, len);
	if (r == -EBADMSG)
		s->n_damaged++;
	return r == -EBADMSG ? 0 : r;
}

uint64_t capture_summary_end_us(const struct capture_summary *s)
{
	const struct mirror *m = &s->fill.walk.mirror;
	uint64_t us = s->fill.last_us;

	if (!s->fill.n_ticks)
		return s->last.to_us + 1;
	for (uint32_t i = 0; i < m->n_groups; i++)
		if (m->groups[i].acquired_us > us)
			us = m->groups[i].acquired_us;
	return us + 1;
}

/* Times may be anything in a file that somebody made. */
static int64_t plus(int64_t us, int64_t more_us)
{
	return (int64_t)((uint64_t)us + (uint64_t)more_us);
}

int64_t capture_summary_wall_us(const struct capture_summary *s, int64_t at_us)
{
	const struct mirror *m = &s->fill.walk.mirror;

	if (!m->n_clocks)
		return plus(at_us, s->last.real_off_us);
	return at_us < 0 ? plus(at_us, m->clocks[0].real_off_us)
			 : mirror_wall_us(m, (uint64_t)at_us);
}

int64_t capture_summary_shift_us(const struct capture_summary *s, const struct block_head *h)
{
	const struct mirror *m = &s->fill.walk.mirror;
	const char *boot = s->fill.n_ticks ? s->meta.boot_id : s->last.boot_id;

	if (strcmp(h->boot_id, boot) == 0)
		return 0;
	return (int64_t)((uint64_t)h->real_off_us -
			 (uint64_t)(m->n_clocks ? m->clocks[0].real_off_us : s->last.real_off_us));
}

int64_t capture_summary_from_us(const struct capture_summary *s)
{
	if (s->n_blocks)
		return plus((int64_t)s->first.from_us, capture_summary_shift_us(s, &s->first));
	return (int64_t)s->fill.first_us;
}

static void say_state(const struct capture_summary *s, const char *path)
{
	char at[WALLTIME_LEN];

	walltime_iso(at, capture_summary_wall_us(s, (int64_t)capture_summary_end_us(s) - 1));
	if (s->n_damaged)
		msg(MSG_WARN, "%s is damaged: %u of its sections are left out; gaps show where",
		    path, s->n_damaged);
	if (s->fill.walk.other)
		msg(MSG_WARN, "%s goes on with another catalog after %s: that is left out", path,
		    at);
	if (!s->whole && !s->n_damaged)
		msg(MSG_WARN, "%s was cut short: it is readable up to %s", path, at);
}

int capture_summary_read(struct capture_summary *s, const char *path)
{
	struct capture_reader *c;
	enum capture_type type;
	const uint8_t *data;
	struct stat st;
	size_t len;
	int r = open_reader(&c, path), got;

	if (r < 0)
		return r;
	*s = (struct capture_summary){0};
	s->n_bytes = stat(path, &st) < 0 ? 0 : (uint64_t)st.st_size;
	capture_fill_init(&s->fill, NULL);
	while (r == 0 && (got = capture_next(c, &type, &data, &len)) != 0) {
		s->n_damaged += got == -EBADMSG;
		r = got == 1 ? take_section(s, type, data, len) : got == -EBADMSG ? 0 : got;
	}
	s->whole = capture_is_whole(c);
	capture_close(c);
	if (r == 0 && !s->fill.n_ticks && s->n_blocks && s->catalog)
		mirror_apply(&s->fill.walk.mirror,
			     &(struct frame){.data = s->catalog, .len = s->catalog_len});
	if (r < 0)
		msg(MSG_ERROR, "%s: it cannot be read: %s", path, strerrordesc_np(-r));
	else if (!s->fill.n_ticks && !s->n_blocks)
		msg(MSG_ERROR, "%s: %s", path,
		    s->n_damaged ? "it is damaged, and nothing of it can be read"
				 : "nothing was recorded in it");
	else
		say_state(s, path);
	if (r == 0 && !s->fill.n_ticks && !s->n_blocks)
		r = -ENODATA;
	if (r < 0)
		capture_summary_done(s);
	return r;
}

void capture_summary_done(struct capture_summary *s)
{
	capture_fill_done(&s->fill);
	free(s->catalog);
	s->catalog = NULL;
}

int capture_file_sections(const char *path,
			  int (*each)(void *arg, enum capture_type type, const uint8_t *data,
				      size_t len),
			  void *arg)
{
	struct capture_reader *c;
	enum capture_type type;
	const uint8_t *data;
	size_t len;
	int r = open_reader(&c, path), got;

	if (r < 0)
		return r;
	while (r == 0 && (got = capture_next(c, &type, &data, &len)) != 0)
		if (got == 1)
			r = each(arg, type, data, len);
	capture_close(c);
	return r;
}
