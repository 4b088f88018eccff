/* /api/v1/profile: a range of stacks in any format. */
#include "serve/api.h"
#include "serve/json.h"
#include "serve/profile.h"

#include <errno.h>
#include <stdio.h>

struct ends {
	const char *range[2], *base[2];
	int64_t us[2]; /* as CLOCK_MONOTONIC */
	bool has_us[2];
};

static unsigned bad(char *err, size_t err_len, const char *what, const char *value)
{
	snprintf(err, err_len, "%s: %.80s", what, value);
	return 400;
}

static bool parse_count(const char *v, uint32_t max, uint32_t *ret)
{
	char *end;
	unsigned long n = strtoul(v, &end, 10);

	if (end == v || *end || *v == '-' || n > max)
		return false;
	*ret = (uint32_t)n;
	return true;
}

static bool parse_us(const char *v, int64_t *ret)
{
	char *end;

	errno = 0;
	*ret = strtoll(v, &end, 10);
	return !errno && end != v && !*end;
}

static bool take_text(char *to, size_t size, const char *v, const char **ret)
{
	if (strlen(v) >= size)
		return false;
	strcpy(to, v);
	*ret = *to ? to : NULL;
	return true;
}

static bool take_word(const char *v, const char *const *words, int *ret)
{
	*ret = 0;
	for (int i = 0; words[i]; i++)
		if (strcmp(v, words[i]) == 0) {
			*ret = i;
			return true;
		}
	return false;
}

static bool take_filter(struct profile_call *c, const char *name, const char *v, bool *known)
{
	static const char *const kinds[] = {"cpu", "off", NULL};
	struct stacks_filter *f = &c->filter;
	uint32_t n;
	int k;

	*known = true;
	if (strcmp(name, "pid") == 0)
		return parse_count(v, INT32_MAX, &f->pid);
	if (strcmp(name, "tid") == 0)
		return parse_count(v, INT32_MAX, &f->tid);
	if (strcmp(name, "min_us") == 0)
		return parse_count(v, UINT32_MAX, &f->min_us);
	if (strcmp(name, "classes") == 0)
		return parse_count(v, (1 << STACKS_CLASSES) - 1, &f->classes);
	if (strcmp(name, "cgroup") == 0)
		return take_text(c->cgroup, sizeof(c->cgroup), v, &f->cgroup);
	if (strcmp(name, "process") == 0)
		return take_text(c->process, sizeof(c->process), v, &f->process);
	if (strcmp(name, "cpu") == 0) {
		bool right = parse_count(v, UINT16_MAX, &n);

		f->cpu = right ? (int32_t)n : -1;
		return right;
	}
	if (strcmp(name, "kind") == 0) {
		bool right = take_word(v, kinds, &k);

		f->kind = right && k ? STACKS_OFF : STACKS_CPU;
		return right;
	}
	*known = false;
	return false;
}

static bool take_view(struct profile_call *c, const char *name, const char *v, struct ends *ends,
		      bool *known)
{
	static const char *const switches[] = {"0", "1", NULL};
	static const char *const bys[] = {"none", "process", "thread", NULL};
	static const char *const names[] = {"from", "to", "baseline_from", "baseline_to"},
				 *const us_names[] = {"from_us", "to_us"};
	int k;

	*known = true;
	for (int i = 0; i < 4; i++)
		if (strcmp(name, names[i]) == 0) {
			*(i < 2 ? &ends->range[i] : &ends->base[i - 2]) = v;
			return true;
		}
	for (int i = 0; i < 2; i++)
		if (strcmp(name, us_names[i]) == 0)
			return ends->has_us[i] = parse_us(v, &ends->us[i]);
	if (strcmp(name, "goes_on") == 0) {
		bool right = take_word(v, switches, &k);

		c->goes_on = right && k;
		return right;
	}
	if (strcmp(name, "format") == 0) {
		int format = profile_format(v);

		c->format = format < 0 ? PROFILE_FOLDED : (enum profile_format)format;
		return format >= 0;
	}
	if (strcmp(name, "by") == 0) {
		if (!take_word(v, bys, &k))
			return false;
		c->fold.by_process = k >= 1;
		c->fold.by_thread = k == 2;
		return true;
	}
	*known = false;
	return false;
}

static unsigned take_all(struct profile_call *c, char **args, size_t n_args, struct ends *ends,
			 char *err, size_t err_len)
{
	bool known;

	for (size_t i = 0; i < n_args; i++) {
		char *v = strchr(args[i], '=');

		if (!v && args[i][0] == '/')
			continue; /* "?" and nothing after it: lws hands out the path */
		if (!v)
			return bad(err, err_len, "argument without a value", args[i]);
		*v++ = '\0';
		bool right = take_filter(c, args[i], v, &known);

		if (!known)
			right = take_view(c, args[i], v, ends, &known);
		if (!known)
			return bad(err, err_len,
				   "unknown argument (from, to, format, by, kind, pid, tid, cpu, "
				   "cgroup, "
				   "process, classes, min_us, baseline_from, baseline_to)",
				   args[i]);
		if (!right)
			return bad(err, err_len, args[i], v);
	}
	return 0;
}

static void place(const struct api_times *times, const int64_t range[2], int64_t *wall_from_us,
		  int64_t *wall_to_us, struct stacks_range *ret)
{
	*ret = (struct stacks_range){range[0], range[1]};
	*wall_from_us = history_wall_us(times->clocks, times->n_clocks, times->mirror, range[0]);
	*wall_to_us = history_wall_us(times->clocks, times->n_clocks, times->mirror, range[1]);
}

static unsigned take_baseline(struct profile_call *c, const struct ends *ends,
			      const struct api_times *times, char *err, size_t err_len)
{
	static const char *const names[] = {"baseline_from", "baseline_to"};
	int64_t range[2];

	if (!ends->base[0] != !ends->base[1])
		return bad(err, err_len, "a baseline has two ends, this one is missing",
			   names[ends->base[0] != NULL]);
	if (!ends->base[0])
		return 0;
	if (!profile_format_is_tree(c->format))
		return bad(err, err_len,
			   "a baseline goes with html, svg, folded, pprof or json, not with",
			   profile_format_name(c->format));
	unsigned status = api_range_parse(ends->base, names, times, range, err, err_len);

	if (status)
		return status;
	place(times, range, &c->about.wall_base_from_us, &c->about.wall_base_to_us,
	      &c->fold.base[0]);
	c->fold.n_base = 1;
	return 0;
}

unsigned profile_args_parse(struct profile_call *c, char **args, size_t n_args,
			    const struct api_times *times, char *err, size_t err_len)
{
	static const char *const names[] = {"from", "to"};
	struct ends ends = {.range = {"-10s", "now"}};
	int64_t range[2];

	c->fold = (struct fold_request){.by_process = true};
	c->format = PROFILE_FOLDED;
	unsigned status = take_all(c, args, n_args, &ends, err, err_len);

	if (!status)
		status = api_range_parse(ends.range, names, times, range, err, err_len);
	if (status)
		return status;
	for (int i = 0; i < 2; i++)
		range[i] = ends.has_us[i] ? profile_bound_us(ends.us[i]) : range[i];
	if (range[0] >= range[1])
		return bad(err, err_len, "from is not before to", ends.range[0]);
	place(times, range, &c->about.wall_from_us, &c->about.wall_to_us, &c->fold.ranges[0]);
	c->fold.n_ranges = 1;
	return take_baseline(c, &ends, times, err, err_len);
}

unsigned profile_burst_parse(char **args, size_t n_args, uint32_t *ret_hz, uint32_t *ret_seconds,
			     char *err, size_t err_len)
{
	enum { HZ_MAX = 4999, SECONDS_MAX = 600 };

	*ret_hz = 999;
	*ret_seconds = 10;
	for (size_t i = 0; i < n_args; i++) {
		char *v = strchr(args[i], '=');

		if (!v && args[i][0] == '/')
			continue;
		if (!v)
			return bad(err, err_len, "argument without a value", args[i]);
		*v++ = '\0';
		if (strcmp(args[i], "hz") == 0) {
			if (!parse_count(v, HZ_MAX, ret_hz) || !*ret_hz)
				return bad(err, err_len, "hz is no number from 1 to 4999", v);
		} else if (strcmp(args[i], "seconds") == 0) {
			if (!parse_count(v, SECONDS_MAX, ret_seconds) || !*ret_seconds)
				return bad(err, err_len, "seconds is no number from 1 to 600", v);
		} else {
			return bad(err, err_len, "unknown argument (hz, seconds)", args[i]);
		}
	}
	return 0;
}

static void put_off_cpu(struct buf *b, const struct profiler_state *s)
{
	if (!s->off_cpu)
		return;
	json_key_text(b, "off_cpu_by", s->off_tier);
	json_key_int(b, "off_cpu_min_us", s->off_min_us);
	json_key_int(b, "off_cpu_switches", (int64_t)s->switches);
	json_key_int(b, "off_cpu_lost", (int64_t)s->switches_lost);
	json_key_int(b, "off_cpu_short", (int64_t)s->off_short);
	json_key_double(b, "off_cpu_short_s", (double)s->off_short_us / 1e6);
}

void profile_status_json(struct buf *b, const struct server_config *c)
{
	struct profiles_stats held = {.oldest_us = INT64_MAX};

	if (c->profiles)
		profiles_stats(c->profiles, &held);
	json_key(b, "profiler");
	json_open(b, '{');
	json_key(b, "on");
	json_bool(b, c->profiler != NULL);
	if (c->profiler) {
		struct profiler_state s;

		profiler_state(c->profiler, &s);
		json_key_text(b, "tier", s.tier);
		json_key_text(b, "event", s.event);
		json_key_text(b, "reason", s.reason);
		json_key_int(b, "hz", s.hz);
		json_key_int(b, "base_hz", s.base_hz);
		json_key(b, "off_cpu");
		json_bool(b, s.off_cpu);
		put_off_cpu(b, &s);
		json_key_int(b, "samples", (int64_t)s.samples);
		json_key_int(b, "lost", (int64_t)s.lost);
		json_key_int(b, "throttled", (int64_t)s.throttled);
		json_key_int(b, "shallow", (int64_t)s.shallow);
		json_key_int(b, "truncated", (int64_t)s.truncated);
		json_key_double(b, "cpu_s", (double)s.cpu_ns / 1e9);
		json_key_int(b, "table_bytes", (int64_t)s.table_bytes);
		json_key_int(b, "modules", s.n_modules);
	} else if (c->no_profiler) {
		json_key_text(b, "reason", c->no_profiler);
	}
	json_key_double(b, "retention_s",
			held.oldest_us == INT64_MAX
				? 0
				: (double)((int64_t)clock_mono_us() - held.oldest_us) / 1e6);
	json_key_int(b, "memory_bytes", (int64_t)held.memory_bytes);
	json_key_int(b, "disk_bytes", (int64_t)held.disk_bytes);
	json_key_double(b, "bytes_per_sample",
			held.samples ? (double)held.sample_bytes / (double)held.samples : 0);
	json_close(b, '}');
}
