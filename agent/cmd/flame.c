/* strobe flame: a range of the agent, of a capture or of another tool's file, in another tool's format. */
#include "cmd/flame.h"

#include "base/msg.h"
#include "cmd/cmd.h"
#include "serve/api.h"

#include <errno.h>
#include <inttypes.h>
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

/* "MiB" is bytes, 1024^2 of them each. */
static const char *base_unit(const char *unit, unsigned *ret_power)
{
	static const char prefixes[] = "KMGT";
	const char *k = *unit && unit[1] == 'i' ? strchr(prefixes, *unit) : NULL;

	*ret_power = k ? (unsigned)(k - prefixes) + 1 : 0;
	unit += k ? 2 : 0;
	return k && strcmp(unit, "B") == 0 ? "bytes" : unit;
}

static bool is_run_time(const char *unit)
{
	return !*unit || strcmp(unit, "samples") == 0;
}

/* Weights of both in one unit, the larger. < 0: go on. */
static int match_units(struct flame *f)
{
	unsigned power, base_power;
	const char *now = base_unit(f->sets.unit, &power),
		   *before = base_unit(f->base.unit, &base_power);

	if (!f->base_file)
		return -1;
	if (strcmp(now, before) == 0 && power < base_power)
		flame_sets_divide(&f->sets, base_power - power, f->base.unit);
	else if (strcmp(now, before) == 0)
		flame_sets_divide(&f->base, power - base_power, f->sets.unit);
	else if (!is_run_time(now) || !is_run_time(before)) {
		fprintf(stderr, "strobe: flame: %s counts %s, %s %s: that cannot be compared\n",
			f->path ? f->path : "the agent", *now ? now : "time", f->base_file,
			*before ? before : "time");
		return 2;
	}
	return -1;
}

/* All of f->base is the baseline, and nothing else of it or of f->sets counts in the other's range: no stretch off the
 * CPU is so long. */
static void set_apart(struct flame *f)
{
	flame_sets_shift(&f->sets, 0);
	flame_sets_shift(&f->base, f->sets.from_us - UINT32_MAX - 1 - f->base.to_us);
	f->request.base[0] = (struct stacks_range){f->base.from_us, f->base.to_us};
	f->request.n_base = 1;
}

/* Of what a file does not know nothing can be chosen. < 0: go on. */
static int check_filter(const struct flame *f, const struct flame_sets *sets, const char *path)
{
	const struct stacks_filter *q = &f->filter;
	const char *what = f->cpu && !sets->has_cpu ? "a CPU: --cpu" : NULL;

	if (!sets->has_tasks)
		what = q->pid	    ? "processes: --pid"
		       : q->tid	    ? "threads: --tid"
		       : q->process ? "processes: --process"
		       : q->cgroup  ? "cgroups: --cgroup"
				    : what;
	if (!what)
		return -1;
	fprintf(stderr,
		"strobe: flame: samples in %s say nothing of %s has nothing to choose from\n", path,
		what);
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
	q->n_base = f->base_from || f->base_to;
	if (f->base_file)
		set_apart(f);
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
	r = check_filter(f, &f->sets, f->path);
	if (r < 0 && f->base_file)
		r = check_filter(f, &f->base, f->base_file);
	if (r < 0)
		r = match_units(f);
	if (r < 0)
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

struct ends {
	const char *from, *to; /* NULL: there is no such range */
};

static int make_target(const struct flame *f, struct ends range, struct ends base, char *target)
{
	char classes[16];
	const char *const args[][2] = {
		{"from", range.from},
		{"to", range.to},
		{"pid", f->pid},
		{"tid", f->tid},
		{"cpu", f->cpu},
		{"cgroup", f->filter.cgroup},
		{"process", f->filter.process},
		{"kind", f->off_cpu ? "off" : "cpu"},
		{"classes", f->classes ? classes : NULL},
		{"min_us", f->min_us},
		{"by", f->by},
		{"baseline_from", base.from},
		{"baseline_to", base.to},
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

/* What begins a minute before `to`, in the same words: "-6m" of "-5m". */
static const char *minute_before(const char *to, char *buf, size_t size)
{
	const struct history_clock clock = {INT64_MIN, 0};
	const struct api_times times = {.clocks = &clock, .n_clocks = 1};
	int64_t us;

	if (!api_time_parse(to, &times, &us))
		return to; /* the agent says what is wrong with it */
	us -= 60000000;
	snprintf(buf, size, us < 0 ? "%" PRId64 "ms" : "%" PRId64,
		 us < 0 ? us / 1000 : us / 1000000);
	return buf;
}

static int load_agent(struct flame *f, struct flame_sets *to, const struct client *c,
		      struct ends range)
{
	char target[TARGET_MAX];

	if (make_target(f, range, (struct ends){0}, target) < 0)
		return flame_wrong("the arguments are too long, with --from", range.from);
	return flame_load_agent(to, c, target, to == &f->base ? "the baseline: " : "") < 0 ? 1 : -1;
}

/* All samples, and those of the baseline. < 0: go on. */
static int load_both(struct flame *f, const struct client *c, struct ends range, struct ends base)
{
	struct fold_request *q = &f->request;
	int r = load_agent(f, &f->sets, c, range);

	if (r < 0 && base.from)
		r = load_agent(f, &f->base, c, base);
	if (r < 0 && f->base_file)
		r = flame_load_file(&f->base, f->base_file, f->input, f->event) < 0
			    ? 1
			    : check_filter(f, &f->base, f->base_file);
	if (r < 0)
		r = match_units(f);
	if (r >= 0)
		return r;
	f->wall_base_us = f->base.from_us + f->base.real_off_us;
	q->ranges[0] = (struct stacks_range){f->sets.from_us, f->sets.to_us};
	q->n_ranges = 1;
	if (base.from || f->base_file)
		set_apart(f);
	return -1;
}

static int run_agent(struct flame *f)
{
	char target[TARGET_MAX], err[512], minute[64];
	struct ends range = {f->from, f->to ? f->to : "now"}, base = {f->base_from, f->base_to};
	struct client client;
	int r;

	if (!range.from)
		range.from = minute_before(range.to, minute, sizeof(minute));
	if (base.from && !base.to)
		base.to = range.from;
	if (make_target(f, range, base, target) < 0)
		return flame_wrong("the arguments are too long, with --from", range.from);
	if (client_find(f->url, &client, err, sizeof(err)) < 0) {
		msg(MSG_ERROR, "%s", err);
		return 1;
	}
	if (!flame_is_local(f))
		return pass_on(f, &client, target) < 0;
	r = load_both(f, &client, range, base);
	return r >= 0 ? r : flame_export(f) < 0;
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
