#include "cmd/agent.h"

#include "base/msg.h"

#include <errno.h>
#include <string.h>
#include <sys/resource.h>

enum { N_OPENERS = 2, FILES_WANTED = 65536, FILES_LEAST = 200, BUDGET_PPM = 20000 };

uint32_t agent_budget_ppm(uint32_t rate_hz)
{
	return rate_hz > 10 ? BUDGET_PPM / 10 * rate_hz : BUDGET_PPM;
}

/* Kept files of many processes need room; the rest of the agent is content with little. */
static void raise_file_limit(void)
{
	struct rlimit l;

	if (getrlimit(RLIMIT_NOFILE, &l) < 0)
		return;
	l.rlim_cur = l.rlim_max < FILES_WANTED ? l.rlim_max : FILES_WANTED;
	setrlimit(RLIMIT_NOFILE, &l);
	if (l.rlim_cur < FILES_LEAST)
		msg(MSG_WARN,
		    "only %llu files may be open: collectors will fail and clients get no answer; "
		    "allow "
		    "more (ulimit -n 4096)",
		    (unsigned long long)l.rlim_cur);
}

int agent_open_host(struct agent *a, const struct agent_config *c)
{
	int r;

	*a = (struct agent){.host = {.fd = {-1, -1, -1}}};
	r = host_open(&a->host, c->proc, c->sys, c->cgroup);
	if (r < 0) {
		msg(MSG_ERROR, "cannot open the roots to watch (%s): %s",
		    c->proc ? c->proc : "/proc", strerrordesc_np(-r));
		return r;
	}
	raise_file_limit();
	return 0;
}

int agent_open_sampler(struct agent *a, const struct agent_config *c, bool continued)
{
	const struct sampler_config sc = {.host = &a->host,
					  .collectors = collectors,
					  .n_collectors = n_collectors,
					  .log = a->log,
					  .continued = continued,
					  .rate_hz = c->rate_hz,
					  .budget_ppm = c->budget_ppm,
					  .off = c->off,
					  .period_ms = c->period_ms};
	int r = sampler_open(&a->sampler, &sc);

	if (r < 0)
		msg(MSG_ERROR, "cannot set up the sampler: %s", strerrordesc_np(-r));
	return r;
}

static void sampler_thread(void *arg, unsigned number)
{
	struct agent *a = arg;
	int r = sampler_run(a->sampler);

	(void)number;
	if (r < 0) {
		msg(MSG_ERROR, "the sampler has stopped: %s", strerrordesc_np(-r));
		a->failed(a->failed_arg);
	}
}

static void opener_thread(void *arg, unsigned number)
{
	struct agent *a = arg;

	(void)number;
	while (sampler_opener_step(a->sampler) >= 0)
		;
}

static void worker_thread(void *arg, unsigned number)
{
	struct agent *a = arg;

	while (sampler_worker_step(a->sampler, number) >= 0)
		;
}

int agent_start(struct agent *a, struct threads *t)
{
	int r = 0;

	for (unsigned i = 0; !r && i < N_OPENERS; i++)
		r = threads_start(t, "strobe-opener", opener_thread, a, i);
	for (unsigned i = 0; !r && i < sampler_n_workers(a->sampler); i++)
		r = threads_start(t, "strobe-worker", worker_thread, a, i);
	if (!r)
		r = threads_start(t, "strobe-sampler", sampler_thread, a, 0);
	return r;
}

void agent_stop(struct agent *a)
{
	if (a->sampler)
		sampler_stop(a->sampler);
}

void agent_close(struct agent *a)
{
	sampler_close(a->sampler);
	log_close(a->log);
	host_close(&a->host);
}
