/* /api/v1/profile and /api/v1/profile/burst. */
#include "serve/profile.h"
#include "serve/request.h"

#include "serve/json.h"

#include <errno.h>
#include <stdio.h>

static const char hint[] =
	"example: /api/v1/profile?from=-30s&to=now&format=folded (or: strobe flame)";

static int refuse_off(struct request *r)
{
	const char *why = r->server->config.no_profiler;

	return request_refuse(r, 404, "there are no profiles here", why && *why ? why : hint);
}

int request_profile(struct request *r)
{
	char *args[REQUEST_ARGS_MAX], err[256];
	const struct server_config *config = &r->server->config;
	int n = request_args(r, args);
	struct api_times times;

	if (!config->profiles)
		return refuse_off(r);
	struct profile_call *c =
		profile_call_new(config, (int64_t)server_now_us(r->server), PROFILE_OF_EXPORT);

	if (n < 0 || !c || api_times_open(&times, r->server) < 0) {
		free(c);
		return -1;
	}
	unsigned status = profile_args_parse(c, args, (size_t)n, &times, err, sizeof(err));

	api_times_done(&times);
	if (status) {
		free(c);
		return request_refuse(r, status, err, hint);
	}
	snprintf(c->host, sizeof(c->host), "%s", config->host->name);
	c->about.host = c->host;
	c->about.version = STROBE_VERSION;
	return request_wait(r, profile_job(c, r, 0), ENDPOINT_PROFILE) == 0
		       ? 0
		       : request_refuse(r, 429, "too many queries are waiting",
					"try again in a second");
}

static bool is_filtered(const struct stacks_filter *f)
{
	return f->pid || f->tid || f->cpu >= 0 || f->process || f->cgroup || f->classes ||
	       f->min_us;
}

int request_profile_finish(struct request *r, struct job *job)
{
	const struct profile_call *c = job->arg;

	if (job->r == -ENODATA && is_filtered(&c->filter))
		return request_refuse(
			r, 404, "there is no sample of what was asked for in that range",
			"without pid, tid, cpu, process, cgroup, classes there may be");
	if (job->r == -ENOENT)
		return request_refuse(r, 404, "no stacks are held of the baseline",
				      "/api/v1/held says what is held");
	if (job->r == -ENODATA)
		return request_refuse(r, 404, "no stacks are held of that range",
				      "/api/v1/held says what is held; is the profiler running?");
	if (job->r == -ENOMEM || job->r == -E2BIG || job->r == -EMSGSIZE)
		return request_refuse(r, 413, "the profile is too large",
				      "ask for a shorter range, or filter by pid, cpu or cgroup");
	if (job->r == -EBUSY)
		return request_refuse(r, 429, "the results of other queries are still being sent",
				      "try again in a second");
	if (job->r < 0)
		return request_refuse(r, 400, "the profile cannot be made",
				      strerrordesc_np(-job->r));
	buf_done(&r->body);
	r->body = job->text;
	job->text = (struct buf){0};
	r->body.max = 0;
	return request_respond_body(r, HTTP_STATUS_OK, profile_format_mime(c->format));
}

int request_burst(struct request *r)
{
	char *args[REQUEST_ARGS_MAX], err[256];
	uint32_t hz, seconds;
	int n = request_args(r, args);

	if (n < 0)
		return -1;
	if (!r->server->config.profiler)
		return refuse_off(r);
	if (profile_burst_parse(args, (size_t)n, &hz, &seconds, err, sizeof(err)))
		return request_refuse(r, 400, err,
				      "example: POST /api/v1/profile/burst?hz=999&seconds=10");
	int e = profiler_burst(r->server->config.profiler, hz, seconds);

	if (e == -EBUSY)
		return request_refuse(r, 409, "a burst is running already",
				      "wait until it has ended");
	if (e < 0)
		return request_refuse(r, 400, "this rate cannot be had",
				      "kernel.perf_event_max_sample_rate limits it");
	json_open(&r->body, '{');
	json_key_int(&r->body, "hz", hz);
	json_key_int(&r->body, "seconds", seconds);
	json_close(&r->body, '}');
	buf_text(&r->body, "\n");
	return request_respond_body(r, HTTP_STATUS_OK, "application/json");
}
