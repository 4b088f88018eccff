/* strobe flame: a range of the agent, of a capture or of another tool's file, in another tool's format. */
#include "cmd/flame.h"

#include "base/msg.h"
#include "cmd/cmd.h"
#include "serve/api.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

enum { TARGET_MAX = 4096 };

/* ---- ranges of a file ---- */

static int time_of(const struct flame *f, const char *what, const char *text, int64_t *ret)
{
	const struct history_clock clock = {INT64_MIN, f->sets.real_off_us};
	struct api_times times = {.now_us = f->sets.to_us, .clocks = &clock, .n_clocks = 1};
	char back[64];
	int64_t us;

	if (!text)
		return -1;
	if (*text == '+') { /* after the start */
		times.now_us = 0;
		snprintf(back, sizeof(back), "-%.60s", text + 1);
		if (api_time_parse(back, &times, &us)) {
			*ret = f->sets.from_us - us;
			return -1;
		}
	} else if (api_time_parse(text, &times, ret)) {
		return -1;
	}
	fprintf(stderr,
		"strobe: flame: %s '%s' is no time (now, -30s, +10s, seconds or ISO 8601)\n", what,
		text);
	return 2;
}

static int needs_time(const struct flame *f)
{
	if (f->sets.has_time || !(f->from || f->to || f->base_from || f->base_to))
		return -1;
	fprintf(stderr, "strobe: flame: samples in %s have no times: it can only be shown whole\n",
		f->path);
	return 2;
}

/* < 0: go on. */
static int resolve_ranges(struct flame *f)
{
	struct fold_request *q = &f->request;
	struct stacks_range *range = &q->ranges[0], *base = &q->base[0];
	int r;

	*range = (struct stacks_range){f->sets.from_us, f->sets.to_us};
	q->n_ranges = 1;
	r = needs_time(f);
	if (r < 0)
		r = time_of(f, "--from", f->from, &range->from_us);
	if (r < 0)
		r = time_of(f, "--to", f->to, &range->to_us);
	*base = (struct stacks_range){f->sets.from_us, range->from_us};
	if (r < 0)
		r = time_of(f, "--baseline-from", f->base_from, &base->from_us);
	if (r < 0)
		r = time_of(f, "--baseline-to", f->base_to, &base->to_us);
	if (r >= 0)
		return r;
	if (f->base_file) {
		flame_sets_shift(&f->sets, 0);
		flame_sets_shift(&f->base, f->sets.from_us - 1000000 - f->base.to_us);
		*base = (struct stacks_range){f->base.from_us, f->base.to_us};
	}
	q->n_base = f->base_from || f->base_to || f->base_file ? 1 : 0;
	if (range->to_us <= range->from_us)
		return flame_wrong("the range ends before it begins, with --from",
				   f->from ? f->from : "");
	if (q->n_base && base->to_us <= base->from_us)
		return flame_wrong("the baseline ends before it begins, with --baseline-from",
				   f->base_from ? f->base_from : "");
	return -1;
}

/* ---- a file ---- */

static int run_file(struct flame *f)
{
	int r = flame_load_file(&f->sets, f->path, f->input, f->event);

	if (r == 0 && f->base_file)
		r = flame_load_file(&f->base, f->base_file, f->input, f->event);
	if (r < 0)
		return 1;
	r = resolve_ranges(f);
	return r >= 0 ? r : flame_export(f) < 0;
}

/* ---- the agent ---- */

static int add(char *target, const char *key, const char *value)
{
	size_t n = strlen(target);

	if (!value)
		return 0;
	if (n + strlen(key) + 3 > TARGET_MAX)
		return -ENOBUFS;
	strcat(target, n && target[n - 1] == '?' ? "" : "&");
	strcat(target, key);
	strcat(target, "=");
	return client_escape(target, TARGET_MAX, value);
}

static int make_target(const struct flame *f, char *target)
{
	char classes[16];
	const char *const args[][2] = {
		{"from", f->from ? f->from : "-60s"},
		{"to", f->to ? f->to : "now"},
		{"pid", f->pid},
		{"tid", f->tid},
		{"cpu", f->cpu},
		{"cgroup", f->filter.cgroup},
		{"process", f->filter.process},
		{"kind", f->off_cpu ? "off" : "cpu"},
		{"classes", f->classes ? classes : NULL},
		{"min_us", f->min_us},
		{"by", f->by},
		{"baseline_from", f->base_from},
		{"baseline_to",
		 f->base_from && !f->base_to ? f->from ? f->from : "-60s" : f->base_to},
		{"format", flame_is_local(f) ? "strobe" : profile_format_name(f->format)}};
	int r = 0;

	snprintf(classes, sizeof(classes), "%u", f->filter.classes);

	strcpy(target, "/api/v1/profile?");
	for (size_t i = 0; i < sizeof(args) / sizeof(*args) && r == 0; i++)
		r = add(target, args[i][0], args[i][1]);
	return r;
}

/* Trees are rendered by the agent, which need not send all it has of the range. */
static int pass_on(struct flame *f, const struct client *c, const char *target)
{
	struct client_stream *stream;
	char err[512], buf[16384];
	int r = client_stream_open(&stream, c, target, err, sizeof(err)), n = 0;

	if (r < 0) {
		msg(MSG_ERROR, "%s", err);
		return r;
	}
	r = flame_open_output(f);
	if (r == 0) {
		while (r == 0 && (n = client_stream_read(stream, buf, sizeof(buf))) > 0)
			r = flame_write(f, buf, (size_t)n);
		r = flame_close_output(f, r < 0 ? r : n);
	}
	client_stream_close(stream);
	return r;
}

static int run_agent(struct flame *f)
{
	char target[TARGET_MAX], err[512];
	struct client client;
	int r;

	if (make_target(f, target) < 0)
		return flame_wrong("the arguments are too long, with --from",
				   f->from ? f->from : "");
	if (client_find(f->url, &client, err, sizeof(err)) < 0) {
		msg(MSG_ERROR, "%s", err);
		return 1;
	}
	if (!flame_is_local(f))
		return pass_on(f, &client, target) < 0;
	r = flame_load_agent(&f->sets, &client, target);
	if (r < 0)
		return 1;
	f->request.ranges[0] = (struct stacks_range){f->sets.from_us, f->sets.to_us};
	f->request.n_ranges = 1;
	return flame_export(f) < 0;
}

int cmd_flame(int argc, char **argv)
{
	struct flame f;
	int r = flame_parse(argc, argv, &f);

	if (r >= 0)
		return r;
	r = f.path ? run_file(&f) : run_agent(&f);
	flame_sets_done(&f.sets);
	flame_sets_done(&f.base);
	return r;
}
