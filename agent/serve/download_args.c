#include "serve/download.h"

#include "base/walltime.h"

#include <errno.h>

const char download_hint[] = "example: /api/v1/capture?from=-10m&to=now";

static bool parse_number(const char *v, int64_t *ret)
{
	char *end;

	errno = 0;
	*ret = strtoll(v, &end, 10);
	return !errno && end != v && !*end;
}

static bool parse_arg(const struct api_times *times, char *arg, struct download_wanted *w)
{
	char *v = strchr(arg, '=');
	int64_t seq;

	if (!v)
		return *arg == '/'; /* "?" and nothing after it: lws hands out the path */
	*v++ = '\0';
	if (strcmp(arg, "from") == 0)
		return api_time_parse(v, times, &w->from_us);
	if (strcmp(arg, "to") == 0)
		return api_time_parse(v, times, &w->to_us);
	if (strcmp(arg, "stacks") == 0) {
		w->no_stacks = strcmp(v, "0") == 0;
		return w->no_stacks || strcmp(v, "1") == 0;
	}
	if (strcmp(arg, "from_us") == 0)
		return parse_number(v, &w->from_us);
	if (strcmp(arg, "to_us") == 0)
		return parse_number(v, &w->to_us);
	if (strcmp(arg, "from_seq") != 0 || !parse_number(v, &seq) || seq <= 0)
		return false;
	w->from_seq = (uint64_t)seq;
	return true;
}

/* Of what is held with every sample; INT64_MAX: nothing is. */
static int64_t oldest_us(const struct server *s)
{
	struct history_stats held;

	history_stats(s->config.history, &held);
	return held.oldest_full_us;
}

static int refuse_range(struct request *r, const struct api_times *times, int64_t held_us)
{
	char text[160], at[WALLTIME_LEN];

	if (held_us == INT64_MAX)
		return request_refuse(r, 404, "nothing is held yet", download_hint);
	walltime_iso(at, history_wall_us(times->clocks, times->n_clocks, times->mirror, held_us));
	snprintf(text, sizeof(text), "nothing is held of this range in full: that begins at %s",
		 at);
	return request_refuse(r, 404, text, download_hint);
}

int download_parse(struct request *r, struct download_wanted *w, int *ret)
{
	char *args[REQUEST_ARGS_MAX];
	const struct server *s = r->server;
	int64_t held_us = oldest_us(s);
	int n = request_args(r, args);
	struct api_times times;
	bool right = true;

	*w = (struct download_wanted){.from_us = INT64_MIN, .to_us = INT64_MAX};
	*ret = -1;
	if (n < 0 || api_times_open(&times, r->server) < 0)
		return -1;
	for (int i = 0; i < n && right; i++)
		right = parse_arg(&times, args[i], w);
	bool refused = true;

	if (!right)
		*ret = request_refuse(
			r, 400, "an argument is wrong (from, to, from_us, to_us, from_seq, stacks)",
			download_hint);
	else if (!w->from_seq && (w->from_us > w->to_us || w->from_us > (int64_t)server_now_us(s)))
		*ret = request_refuse(r, 400, "from is not before to, or lies in the future",
				      download_hint);
	else if (held_us == INT64_MAX || w->to_us < held_us)
		*ret = refuse_range(r, &times, held_us);
	else
		refused = false;
	w->stacks_us = w->from_us; /* they begin before the first tick */
	if (!refused && !w->from_seq && w->from_us < held_us)
		w->from_us = held_us;
	api_times_done(&times);
	return refused ? -1 : 0;
}
