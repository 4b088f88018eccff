/* speedscope's file format: one sampled profile a thread, stacks as lists of frames from the root down. */
#include "export/profile_internal.h"

#include <errno.h>
#include <stdio.h>

static void put_frames(const struct stacks *s, struct emit *e)
{
	char name[1024];

	emit_key(e, "shared");
	emit_open(e, '{');
	emit_key(e, "frames");
	emit_open(e, '[');
	for (uint32_t i = 0; i < s->n_frames; i++) {
		const char *path = stacks_text(s, s->modules[s->frames[i].module].name);

		emit_open(e, '{');
		emit_key_string(e, "name", stacks_frame_name(s, i, name, sizeof(name)));
		if (*path)
			emit_key_string(e, "file", path);
		emit_close(e, '}');
	}
	emit_close(e, ']');
	emit_close(e, '}');
}

static void put_thread_name(const struct profile_set *x, const struct stacks_task *t,
			    struct emit *e)
{
	const struct stacks *s = x->s;
	char name[256];

	if (!t->pid && !t->tid && !*stacks_text(s, t->comm))
		snprintf(name, sizeof(name), "%.200s", profile_title(x->about));
	else if (t->tid == t->pid || !t->tid)
		snprintf(name, sizeof(name), "%.200s %u", stacks_text(s, t->comm), t->pid);
	else
		snprintf(name, sizeof(name), "%.100s %u/%u %.100s",
			 stacks_text(s, t->process ? t->process : t->comm), t->pid, t->tid,
			 stacks_text(s, t->comm));
	emit_key_string(e, "name", name);
}

static const char *unit_name(const struct profile_about *about, uint64_t *ret_each)
{
	bool counted = profile_is_counted(about, ret_each);
	bool bytes = *ret_each != 0;

	*ret_each += !bytes;
	return !counted ? "microseconds" : bytes ? "bytes" : "none";
}

/* Rows [a, b) are one thread's. */
static void put_profile(const struct profile_set *x, size_t a, size_t b, uint32_t *path,
			struct emit *e)
{
	const struct stacks *s = x->s;
	const uint32_t *rows = x->by_thread.rows;
	uint64_t sum = 0, each;

	emit_open(e, '{');
	emit_key_string(e, "type", "sampled");
	put_thread_name(x, &s->tasks[s->samples[rows[a]].task], e);
	emit_key_string(e, "unit", unit_name(x->about, &each));
	emit_key(e, "samples");
	emit_open(e, '[');
	for (size_t i = a; i < b; i++) {
		size_t n = profile_path(s, s->samples[rows[i]].node, path, PROFILE_DEPTH_MAX);

		sum += s->samples[rows[i]].weight_us * each;
		emit_open(e, '[');
		for (size_t k = 0; k < n; k++)
			emit_int(e, path[k]);
		emit_close(e, ']');
	}
	emit_close(e, ']');
	emit_key(e, "weights");
	emit_open(e, '[');
	for (size_t i = a; i < b; i++)
		emit_int(e, (int64_t)(s->samples[rows[i]].weight_us * each));
	emit_close(e, ']');
	emit_key_int(e, "startValue", 0);
	emit_key_int(e, "endValue", (int64_t)sum);
	emit_close(e, '}');
}

/* Which of the threads has most: the one to show first. */
static int64_t heaviest(const struct profile_set *x)
{
	const struct stacks *s = x->s;
	uint64_t sum = 0, most = 0;
	int64_t best = 0, n = 0;

	for (size_t i = 0; i < x->by_thread.n; i++) {
		if (i && !profile_same_thread(x, i - 1, i)) {
			sum = 0;
			n++;
		}
		sum += s->samples[x->by_thread.rows[i]].weight_us;
		if (sum > most) {
			most = sum;
			best = n;
		}
	}
	return best;
}

int profile_speedscope(const struct profile_set *x, struct emit *e)
{
	uint32_t *path = malloc(PROFILE_DEPTH_MAX * sizeof(*path));
	char exporter[64];

	if (!path)
		return -ENOMEM;
	snprintf(exporter, sizeof(exporter), "strobe@%.40s",
		 x->about->version ? x->about->version : "");
	emit_open(e, '{');
	emit_key_string(e, "$schema", "https://www.speedscope.app/file-format-schema.json");
	emit_key_string(e, "version", "0.0.1");
	emit_key_string(e, "exporter", exporter);
	emit_key_string(e, "name", profile_title(x->about));
	emit_key_int(e, "activeProfileIndex", heaviest(x));
	put_frames(x->s, e);
	emit_key(e, "profiles");
	emit_open(e, '[');
	for (size_t a = 0, b; a < x->by_thread.n; a = b) {
		for (b = a + 1; b < x->by_thread.n && profile_same_thread(x, a, b);)
			b++;
		put_profile(x, a, b, path, e);
	}
	emit_close(e, ']');
	emit_close(e, '}');
	free(path);
	return 0;
}
