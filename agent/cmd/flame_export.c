#include "cmd/flame.h"

#include "base/msg.h"
#include "base/write_all.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum { PROFILE_PATH_MAX = 16384 };

/* ---- the output ---- */

int flame_write(void *arg, const void *data, size_t len)
{
	const struct flame *f = arg;

	return write_all(f->fd, data, len);
}

static bool to_file(const struct flame *f)
{
	return f->output && strcmp(f->output, "-") != 0;
}

int flame_open_output(struct flame *f)
{
	f->fd = to_file(f) ? open(f->output, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600)
			   : STDOUT_FILENO;
	if (f->fd >= 0)
		return 0;
	msg(MSG_ERROR, "cannot write %s: %s", f->output, strerrordesc_np(errno));
	return -errno;
}

int flame_close_output(struct flame *f, int r)
{
	struct stat st;
	bool remove;

	if (f->fd < 0)
		return r;
	remove = to_file(f) && fstat(f->fd, &st) == 0 && S_ISREG(st.st_mode); /* no device */
	if (to_file(f) && close(f->fd) < 0 && r == 0)
		r = -errno;
	if (r == -EPIPE && !to_file(f)) /* whoever reads has seen enough */
		return 0;
	if (r < 0)
		msg(MSG_ERROR, "writing %s has failed: %s", f->output ? f->output : "the output",
		    r == -EMSGSIZE ? "more than fits into one epoch; take a shorter range"
				   : strerrordesc_np(-r));
	if (r < 0 && remove)
		unlink(f->output);
	return r;
}

static void set_about(struct flame *f)
{
	const char *slash = f->path ? strrchr(f->path, '/') : NULL;
	const struct stacks_range *r = &f->request.ranges[0];

	f->about = (struct profile_about){.title = f->title		       ? f->title
						   : !f->path		       ? "strobe"
						   : strcmp(f->path, "-") == 0 ? "standard input"
						   : slash && slash[1]	       ? slash + 1
									       : f->path,
					  .host = f->sets.host,
					  .version = STROBE_VERSION,
					  .kind = f->filter.kind,
					  .unit = f->filter.kind == STACKS_OFF ? "" : f->sets.unit};
	f->about.what = f->sets.what;
	f->about.annotate = f->annotate;
	if (f->sets.uneven && f->format == PROFILE_FOLDED)
		f->about.unit = "us";
	f->about.n_cpus = f->sets.sets[f->sets.n - 1]->n_cpus;
	if (!f->sets.real_off_us || !f->sets.has_time)
		return;
	f->about.wall_from_us = r->from_us + f->sets.real_off_us;
	f->about.wall_to_us = r->to_us + f->sets.real_off_us;
	if (!f->request.n_base || f->base_file)
		return;
	f->about.wall_base_from_us = f->wall_base_us
					     ? f->wall_base_us
					     : f->request.base[0].from_us + f->sets.real_off_us;
	f->about.wall_base_to_us =
		f->about.wall_base_from_us + f->request.base[0].to_us - f->request.base[0].from_us;
}

static int make_tree(struct flame *f, struct fold_tree **ret)
{
	struct fold *fold;
	int r = fold_begin(&fold, &f->request);

	if (r < 0)
		return r;
	for (size_t i = 0; i < f->sets.n && r == 0; i++)
		r = fold_add(fold, f->sets.sets[i]);
	for (size_t i = 0; i < f->base.n && r == 0; i++)
		r = fold_add(fold, f->base.sets[i]);
	if (r == 0)
		return fold_finish(fold, ret);
	fold_abort(fold);
	return r;
}

static int nothing(const struct flame *f)
{
	msg(MSG_ERROR, "there is no sample in this range%s%s",
	    f->filter.pid || f->filter.tid || f->cpu || f->filter.cgroup || f->filter.process
		    ? " of what was asked for"
		    : "",
	    f->off_cpu ? "; was time off the CPU recorded?" : "");
	return -ENODATA;
}

static int export_as_tree(struct flame *f)
{
	const struct profile_out out = {.write = flame_write, .arg = f};
	struct fold_tree *t;
	int r = make_tree(f, &t);

	if (r < 0) {
		msg(MSG_ERROR, "the flame graph cannot be made: %s", strerrordesc_np(-r));
		return r;
	}
	if (!t->sum.n && !t->base.n) {
		r = nothing(f);
	} else if ((f->base_from || f->base_to) && !t->base.covered_us) {
		msg(MSG_ERROR, "%s has nothing of the time of the baseline", f->path);
		r = -ENODATA;
	}
	if (r == 0)
		r = flame_open_output(f);
	if (r == 0)
		r = flame_close_output(f, export_tree(f->format, t, &f->about, &out));
	fold_tree_free(t);
	return r;
}

/* All that are asked for in one. Freed by the caller unless it is the only one there is. */
static struct stacks *join(struct flame *f)
{
	struct stacks *s, *newest = f->sets.sets[f->sets.n - 1];

	if (f->sets.n == 1)
		return newest;
	s = stacks_new();
	for (size_t i = 0; s && i < f->sets.n; i++)
		if (stacks_merge(s, f->sets.sets[i]) < 0) {
			stacks_free(s);
			return NULL;
		}
	if (!s)
		return NULL;
	memcpy(s->boot_id, newest->boot_id, sizeof(s->boot_id));
	s->real_off_us = newest->real_off_us;
	s->from_us = f->sets.from_us;
	s->to_us = f->sets.to_us;
	s->hz = f->sets.sets[0]->hz;
	s->n_cpus = newest->n_cpus;
	return s;
}

static int export_as_samples(struct flame *f)
{
	const struct profile_out out = {.write = flame_write, .arg = f};
	const struct stacks_range *range = &f->request.ranges[0];
	struct stacks *s = join(f);
	int r = s ? 0 : -ENOMEM;

	if (r < 0)
		msg(MSG_ERROR, "there is not enough memory for all of it; take a shorter range");
	else if (!export_has_samples(s, &f->filter, range->from_us, range->to_us))
		r = nothing(f);
	if (r == 0)
		r = flame_open_output(f);
	if (r == 0)
		r = flame_close_output(f, export_samples(f->format, s, &f->filter, range->from_us,
							 range->to_us, &f->about, &out));
	if (f->sets.n > 1)
		stacks_free(s);
	return r;
}

/* Every sample's stack the other way round. 0 or -ENOMEM. */
static int reverse(struct stacks *s)
{
	uint32_t *path = malloc(PROFILE_PATH_MAX * sizeof(*path)), n_old = s->n_nodes;
	uint32_t *to = calloc(n_old, sizeof(*to));

	for (uint32_t i = 0; path && to && i < s->n_samples; i++) {
		uint32_t node = s->samples[i].node, depth = 0, made = 0;

		if (!to[node]) {
			for (uint32_t k = node; k && depth < PROFILE_PATH_MAX;
			     k = s->nodes[k].parent)
				path[depth++] = s->nodes[k].frame;
			for (uint32_t k = 0; k < depth; k++)
				made = stacks_node(s, made, path[k]);
			to[node] = made;
		}
		s->samples[i].node = to[node];
	}
	free(path);
	free(to);
	return !path || !to || stacks_failed(s) ? -ENOMEM : 0;
}

static int reverse_all(struct flame *f)
{
	int r = 0;

	for (size_t i = 0; i < f->sets.n && r == 0; i++)
		r = reverse(f->sets.sets[i]);
	for (size_t i = 0; i < f->base.n && r == 0; i++)
		r = reverse(f->base.sets[i]);
	if (r < 0)
		msg(MSG_ERROR, "there is not enough memory for all of it; take a shorter range");
	return r;
}

int flame_export(struct flame *f)
{
	if (f->reverse && reverse_all(f) < 0)
		return -ENOMEM;
	f->filter.kind = f->off_cpu ? STACKS_OFF : f->sets.kind;
	f->request.filter = f->filter;
	f->request.by_thread = f->by && strcmp(f->by, "thread") == 0;
	f->request.by_process =
		f->request.by_thread || (f->by ? strcmp(f->by, "process") == 0 : f->sets.has_tasks);
	set_about(f);
	return profile_format_is_tree(f->format) ? export_as_tree(f) : export_as_samples(f);
}
