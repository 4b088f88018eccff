#include "cmd/flame_load.h"

#include "base/cleanup.h"
#include "base/msg.h"
#include "cmd/capture_file.h"
#include "stacks/epoch.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>

/* ---- sets ---- */

void flame_sets_done(struct flame_sets *f)
{
	for (size_t i = 0; i < f->n; i++)
		stacks_free(f->sets[i]);
	free(f->sets);
	*f = (struct flame_sets){0};
}

static void shift(struct stacks *s, int64_t us)
{
	s->from_us += us;
	s->to_us += us;
	s->real_off_us -= us;
	for (uint32_t i = 0; i < s->n_samples; i++)
		s->samples[i].at_us += us;
	for (uint32_t i = 0; i < s->n_notes; i++)
		s->notes[i].at_us += us;
}

void flame_sets_move(struct flame_sets *f, int64_t us)
{
	for (size_t i = 0; i < f->n; i++)
		shift(f->sets[i], us);
	f->from_us += us;
	f->to_us += us;
	f->real_off_us -= us;
}

void flame_sets_shift(struct flame_sets *f, int64_t us)
{
	flame_sets_move(f, us);
	for (size_t i = 0; i < f->n; i++)
		f->sets[i]->has_time = true;
}

void flame_sets_divide(struct flame_sets *f, unsigned power, const char *unit)
{
	uint64_t by = UINT64_C(1) << 10 * power;

	for (size_t i = 0; i < f->n; i++)
		for (uint32_t k = 0; k < f->sets[i]->n_samples; k++) {
			struct stacks_sample *s = &f->sets[i]->samples[k];

			s->weight_us = (uint32_t)((s->weight_us + by / 2) / by);
		}
	if (f->unit != unit)
		snprintf(f->unit, sizeof(f->unit), "%s", unit);
}

/* Takes s over. 0 or -ENOMEM. */
static int add_set(struct flame_sets *f, struct stacks *s)
{
	void *p = realloc(f->sets, (f->n + 1) * sizeof(struct stacks *));

	if (!p) {
		stacks_free(s);
		return -ENOMEM;
	}
	f->sets = p;
	f->sets[f->n++] = s;
	return 0;
}

static int by_from(const void *a, const void *b)
{
	const struct stacks *s = *(struct stacks *const *)a, *t = *(struct stacks *const *)b;

	return s->from_us < t->from_us ? -1 : s->from_us > t->from_us;
}

/* Brings all on the clock of the newest and says what they are together. */
static void settle(struct flame_sets *f)
{
	uint64_t n[STACKS_KINDS] = {0};
	struct stacks *newest = NULL;

	for (size_t i = 0; i < f->n; i++)
		if (!newest || f->sets[i]->to_us + f->sets[i]->real_off_us >=
				       newest->to_us + newest->real_off_us)
			newest = f->sets[i];
	f->real_off_us = newest->real_off_us;
	f->has_time = f->has_cpu = true;
	for (size_t i = 0; i < f->n; i++) {
		struct stacks *s = f->sets[i];

		if (strcmp(s->boot_id, newest->boot_id) != 0)
			shift(s, s->real_off_us - newest->real_off_us);
		f->from_us = i && f->from_us < s->from_us ? f->from_us : s->from_us;
		f->to_us = i && f->to_us > s->to_us ? f->to_us : s->to_us;
		f->has_time = f->has_time && s->has_time;
		f->has_cpu = f->has_cpu && s->has_cpu;
		f->has_tasks = f->has_tasks || s->n_tasks > 1;
		for (uint32_t k = 0; k < s->n_samples; k++)
			n[s->samples[k].kind % STACKS_KINDS]++;
	}
	f->kind = n[STACKS_OFF] && !n[STACKS_CPU] ? STACKS_OFF : STACKS_CPU;
	qsort(f->sets, f->n, sizeof(*f->sets), by_from);
}

static int say(const char *path, int r)
{
	msg(MSG_ERROR, "%s: %s", path,
	    r == -EBADMSG	    ? "its stacks are damaged"
	    : r == -EPROTONOSUPPORT ? "its stacks are of a later version of strobe"
				    : strerrordesc_np(-r));
	return r;
}

/* ---- a capture ---- */

struct capture_read {
	struct flame_sets *sets;
	unsigned n_damaged;
};

static int on_section(void *arg, enum capture_type type, const uint8_t *data, size_t len)
{
	struct capture_read *c = arg;
	struct capture_meta meta;
	struct stacks *s;
	int r;

	if (type == CAPTURE_META && capture_meta_parse(data, len, &meta) == 0)
		snprintf(c->sets->host, sizeof(c->sets->host), "%s", meta.host);
	if (type != CAPTURE_PROFILE)
		return 0;
	r = epoch_decode(data, len, &s);
	c->n_damaged += r == -EBADMSG || r == -EPROTONOSUPPORT;
	if (r == -EBADMSG || r == -EPROTONOSUPPORT)
		return 0;
	return r < 0 ? r : add_set(c->sets, s);
}

static int load_capture(struct flame_sets *f, const char *path)
{
	struct capture_read c = {.sets = f};
	int r = capture_file_sections(path, on_section, &c);

	if (r < 0)
		return r;
	if (c.n_damaged)
		msg(MSG_WARN, "%s: %u of its profiles are damaged and left out", path, c.n_damaged);
	if (f->n)
		return 0;
	msg(MSG_ERROR, "%s: there is no profile in it%s", path,
	    c.n_damaged ? " that can be read"
			: "; was the profiler of the host it was recorded on off?");
	return -ENODATA;
}

/* ---- an epoch ---- */

static int load_epoch(struct flame_sets *f, const uint8_t *data, size_t len, const char *name)
{
	struct stacks *s;
	int r = epoch_decode(data, len, &s);

	if (r == 0)
		r = add_set(f, s);
	return r < 0 ? say(name, r) : 0;
}

/* ---- another tool's file ---- */

static int load_foreign(struct flame_sets *f, const char *path, enum import_format format,
			const char *event)
{
	struct import_result res;
	char err[512];
	int r = import_file_event(&res, path, format, event, err, sizeof(err));

	if (r < 0) {
		msg(MSG_ERROR, "%s: %s", strcmp(path, "-") == 0 ? "standard input" : path, err);
		return r;
	}
	if (res.skipped)
		msg(MSG_WARN, "%s: %llu of %llu lines make no sense as %s and are left out", path,
		    (unsigned long long)res.skipped, (unsigned long long)res.lines,
		    import_format_name(res.format));
	if (res.others && !event)
		msg(MSG_WARN,
		    "%s: %llu samples of other events than %s are left out; --event NAME takes "
		    "those",
		    path, (unsigned long long)res.others, res.event);
	memcpy(f->unit, res.unit, sizeof(f->unit));
	memcpy(f->what, res.event, sizeof(f->what));
	f->uneven = res.format == IMPORT_TRACE;
	return add_set(f, res.stacks);
}

/* ---- whichever it is ---- */

enum file_kind { FILE_FOREIGN, FILE_CAPTURE, FILE_EPOCH };

/* All of an epoch, as it is small; of others the head. *data to free(). */
static enum file_kind look(const char *path, uint8_t **data, size_t *len)
{
	_cleanup_close_ int fd = -1;
	struct epoch_head head;
	struct stat st;
	uint8_t *p;
	size_t n = 0, size;
	ssize_t got = 1;

	/* What is no regular file can be opened only once. */
	if (stat(path, &st) < 0 || !S_ISREG(st.st_mode) || st.st_size < 16)
		return FILE_FOREIGN;
	fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return FILE_FOREIGN;
	size = st.st_size > EPOCH_BYTES_MAX ? 16 : (size_t)st.st_size;
	p = malloc(size);
	while (p && n < size && (got = read(fd, p + n, size - n)) > 0)
		n += (size_t)got;
	*data = p;
	*len = n;
	if (n >= 8 && memcmp(p, "strobecp", 8) == 0)
		return FILE_CAPTURE;
	return n > 16 && epoch_head(p, n, &head) != -EBADMSG ? FILE_EPOCH : FILE_FOREIGN;
}

/* -EINVAL, said: a capture is no file of another tool. */
static int is_own(const char *path, const char *event)
{
	if (event)
		msg(MSG_ERROR,
		    "%s: it is strobe's own, without events to choose from; --off-cpu shows the "
		    "other kind",
		    path);
	else
		msg(MSG_ERROR, "%s: it is strobe's own: --input is for files of other tools", path);
	return -EINVAL;
}

int flame_load_file(struct flame_sets *ret, const char *path, enum import_format format,
		    const char *event)
{
	struct flame_sets f = {0};
	_cleanup_free_ uint8_t *data = NULL;
	enum file_kind kind = FILE_FOREIGN;
	size_t len = 0;
	int r;

	if (strcmp(path, "-") != 0)
		kind = look(path, &data, &len);
	if (kind != FILE_FOREIGN && (event || format != IMPORT_ANY))
		r = is_own(path, event);
	else if (kind == FILE_CAPTURE)
		r = load_capture(&f, path);
	else if (kind == FILE_EPOCH)
		r = load_epoch(&f, data, len, path);
	else
		r = load_foreign(&f, path, format, event);
	if (r < 0) {
		flame_sets_done(&f);
		return r;
	}
	settle(&f);
	*ret = f;
	return 0;
}

/* ---- the agent ---- */

static int read_body(const struct client *c, const char *target, uint8_t **ret, size_t *len,
		     char *err, size_t err_len)
{
	struct client_stream *stream;
	uint8_t *p = malloc(EPOCH_BYTES_MAX + 1);
	size_t n = 0;
	int r, got = 0;

	if (!p) {
		snprintf(err, err_len, "not enough memory");
		return -ENOMEM;
	}
	r = client_stream_open(&stream, c, target, err, err_len);
	if (r < 0) {
		free(p);
		return r;
	}
	while (n <= EPOCH_BYTES_MAX &&
	       (got = client_stream_read(stream, p + n, EPOCH_BYTES_MAX + 1 - n)) > 0)
		n += (size_t)got;
	client_stream_close(stream);
	if (got < 0 || n > EPOCH_BYTES_MAX) {
		snprintf(err, err_len, "%s: %s", c->shown,
			 got < 0 ? strerrordesc_np(-got)
				 : "more than fits into one answer; take a shorter range");
		free(p);
		return got < 0 ? got : -EMSGSIZE;
	}
	*ret = p;
	*len = n;
	return 0;
}

int flame_load_agent(struct flame_sets *ret, const struct client *c, const char *target,
		     const char *what)
{
	struct flame_sets f = {0};
	_cleanup_free_ uint8_t *data = NULL;
	char err[512];
	size_t len;
	int r = read_body(c, target, &data, &len, err, sizeof(err));

	if (r < 0) {
		msg(MSG_ERROR, "%s%s", what, err);
		return r;
	}
	r = load_epoch(&f, data, len, c->shown);
	if (r < 0) {
		flame_sets_done(&f);
		return r;
	}
	settle(&f);
	*ret = f;
	return 0;
}
