#include "sample/sampler.h"

#include "base/clock.h"
#include "sample/sampler_private.h"

#include <errno.h>
#include <sched.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/timerfd.h>
#include <unistd.h>

/* Who is woken when there is something to do waits long: each wake-up costs as much as reading a
 * file. */
enum { IDLE_MS = 500, LONG_MS = 60000, OPEN_WAIT_MS = 1000 };

enum { PASS_NICE = -5 };

static uint64_t real_now_ns(void)
{
	return clock_ns(CLOCK_MONOTONIC);
}

static uint64_t real_cpu_ns(void)
{
	return clock_ns(CLOCK_THREAD_CPUTIME_ID);
}

static struct timespec deadline(unsigned ms)
{
	return clock_after(ms * 1000000ull);
}

/* ---- opening ---- */

/* Groups of one source share a phase, so that a file read for one serves the others; sources are
 * spread over the second by the golden ratio. */
static void set_period(const struct sampler *s, struct source_group *g, size_t source,
		       uint32_t user_ms)
{
	uint32_t ms = user_ms ? user_ms : g->batch.group->period_ms;
	uint64_t ticks = ((uint64_t)ms * s->config.rate_hz + 500) / 1000;

	g->base_ticks = g->period_ticks = ticks ? (uint32_t)ticks : 1;
	g->phase_ticks =
		(uint32_t)((uint64_t)((uint32_t)source * 2654435769u) * g->base_ticks >> 32);
	g->pinned = user_ms != 0;
}

static bool indom_tells(const char *indom)
{
	return indom &&
	       (!strcmp(indom, "cpu") || !strcmp(indom, "disk") || !strcmp(indom, "interface"));
}

/* Of the groups that share such an instance domain the first one tells. */
static bool tells(const struct sampler *s, size_t n_before, const char *indom)
{
	for (size_t i = 0; i < n_before; i++)
		if (s->groups[i].tells && !strcmp(s->groups[i].batch.group->indom, indom))
			return false;
	return true;
}

static int open_group(struct sampler *s, struct source *src, const struct group *group, size_t at,
		      uint32_t user_ms)
{
	struct source_group *g = &s->groups[at];
	int r = batch_init(&g->batch, group, 0);

	if (!r && src->collector->blocking)
		r = batch_init(&g->own, group, 0);
	if (r < 0)
		return r;
	g->index = (uint32_t)at;
	set_period(s, g, (size_t)(src - s->sources), user_ms);
	g->tells = source_phase(src) != SOURCE_OFF && indom_tells(group->indom) &&
		   tells(s, at, group->indom);
	for (uint32_t m = 0; m < group->n_metrics; m++)
		if (!group->indom && !strcmp(group->metrics[m].name, "mem.vmstat.oom_kill")) {
			s->oom_group = (int)at;
			s->oom_metric = (int)m;
		}
	return 0;
}

static int open_sources(struct sampler *s)
{
	size_t at = 0;

	for (size_t i = 0; i < s->config.n_collectors; i++) {
		struct source *src = &s->sources[i];
		const struct collector *c = s->config.collectors[i];
		bool off = s->config.off && s->config.off[i];

		src->collector = c;
		src->groups = &s->groups[at];
		src->stretch = 1;
		src->stat = &stats.collectors[i];
		src->stat->name = c->name;
		src->stat->tier = NULL;
		src->stat->reason[0] = 0;
		src->state = calloc(1, c->state_size ? c->state_size : 1);
		if (!src->state)
			return -ENOMEM;
		source_ask(src, off ? SOURCE_OFF : SOURCE_WANT_OPEN);
		if (off)
			strcpy(src->stat->reason, "left out by --collectors");
		atomic_store(&src->stat->state, off ? COLLECTOR_OFF : COLLECTOR_ABSENT);
		for (size_t g = 0; g < c->n_groups; g++, at++) {
			uint32_t ms = s->config.period_ms ? s->config.period_ms[i] : 0;
			int r = open_group(s, src, &c->groups[g], at, ms);

			if (r < 0)
				return r;
		}
		for (unsigned w = 0; !off && w < c->n_workers; w++)
			s->workers[s->n_workers++] =
				(struct source_worker){.source = src, .number = w};
		if (!off && c->blocking)
			s->workers[s->n_workers++] =
				(struct source_worker){.source = src, .passes = true};
	}
	return 0;
}

/* Batches must be empty again after a recovery that failed half way. */
static int reset_batches(struct sampler *s)
{
	for (size_t i = 0; i < s->n_groups; i++) {
		const struct group *g = s->groups[i].batch.group;
		int r;

		batch_done(&s->groups[i].batch);
		r = batch_init(&s->groups[i].batch, g, 0);
		if (!r && s->groups[i].own.map) {
			batch_done(&s->groups[i].own);
			r = batch_init(&s->groups[i].own, g, 0);
		}
		if (r < 0)
			return r;
		s->writer.keys[i].acquired_us = 0;
	}
	s->recovered = (struct recovered){0};
	return log_reset(s->config.log);
}

static int take_up(struct sampler *s)
{
	struct batch **batches = calloc(s->n_groups + 1, sizeof(struct batch *));
	uint64_t *acquired = calloc(s->n_groups + 1, sizeof(*acquired));
	bool *dead = calloc(s->n_groups + 1, sizeof(*dead));
	int r = -ENOMEM;

	if (batches && acquired && dead) {
		for (size_t i = 0, k = 0; i < s->config.n_collectors; i++)
			for (size_t g = 0; g < s->config.collectors[i]->n_groups; g++, k++) {
				batches[k] = &s->groups[k].batch;
				dead[k] = source_phase(&s->sources[i]) == SOURCE_OFF;
			}
		r = recover(s->config.log, s->writer.catalog, s->writer.catalog_len, batches, dead,
			    acquired, s->n_groups, &s->recovered);
		for (size_t i = 0; !r && i < s->n_groups; i++) {
			s->writer.keys[i].acquired_us = acquired[i];
			if (s->groups[i].own.map)
				r = batch_clone(&s->groups[i].own, &s->groups[i].batch);
		}
		if (r && r != -ENOMEM)
			r = reset_batches(s);
	}
	free(batches);
	free(acquired);
	free(dead);
	return r;
}

static int open_writer(struct sampler *s)
{
	const struct batch **batches = calloc(s->n_groups + 1, sizeof(struct batch *));
	int r = -ENOMEM;

	for (size_t i = 0; batches && i < s->n_groups; i++)
		batches[i] = &s->groups[i].batch;
	if (batches)
		r = writer_open(&s->writer, s->config.log, batches, s->n_groups);
	if (!r && s->config.read_clocks)
		s->writer.read_clocks = s->config.read_clocks;
	free(batches);
	return r;
}

static int reserve(struct sampler *s)
{
	size_t n_workers = 0;

	for (size_t i = 0; i < s->config.n_collectors; i++) {
		s->n_groups += s->config.collectors[i]->n_groups;
		n_workers += s->config.collectors[i]->n_workers + s->config.collectors[i]->blocking;
	}
	s->sources = calloc(s->config.n_collectors + 1, sizeof(*s->sources));
	s->groups = calloc(s->n_groups + 1, sizeof(*s->groups));
	s->workers = calloc(n_workers + 1, sizeof(*s->workers));
	s->due = calloc(s->n_groups + 1, sizeof(*s->due));
	s->budget_groups = calloc(s->config.n_collectors + 1, sizeof(*s->budget_groups));
	s->timer = timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC);
	if (s->timer < 0)
		return -errno;
	for (size_t i = 0; s->sources && i < s->config.n_collectors; i++) {
		sem_init(&s->sources[i].pass.wanted, 0, 0);
		sem_init(&s->sources[i].pass.done, 0, 0);
	}
	return s->sources && s->groups && s->workers && s->due && s->budget_groups ? 0 : -ENOMEM;
}

int sampler_open(struct sampler **ret, const struct sampler_config *config)
{
	struct sampler *s;
	int r;

	if (!config->rate_hz || config->rate_hz > SAMPLER_RATE_MAX ||
	    config->n_collectors > STATS_COLLECTORS_MAX)
		return -EINVAL;
	s = calloc(1, sizeof(*s));
	if (!s)
		return -ENOMEM;
	s->config = *config;
	s->config.now_ns = config->now_ns ? config->now_ns : real_now_ns;
	s->config.cpu_ns = config->cpu_ns ? config->cpu_ns : real_cpu_ns;
	s->period_ns = 1000000000u / config->rate_hz;
	s->budget.limit_ppm = config->budget_ppm;
	s->random = 2463534242u;
	s->oom_group = s->oom_metric = s->timer = -1;
	sem_init(&s->wanted, 0, 1);
	sem_init(&s->answered, 0, 0);
	sem_init(&s->begun, 0, 0);
	pthread_mutex_init(&s->lock, NULL);
	pthread_cond_init(&s->opened, NULL);
	r = reserve(s);
	if (!r)
		r = open_sources(s);
	if (!r)
		r = open_writer(s);
	if (!r && config->continued)
		r = take_up(s);
	if (r < 0) {
		sampler_close(s);
		return r;
	}
	*ret = s;
	return 0;
}

void sampler_close(struct sampler *s)
{
	if (!s)
		return;
	for (size_t i = 0; s->sources && i < s->config.n_collectors; i++) {
		struct source *src = &s->sources[i];

		if (atomic_load(&src->usable))
			src->collector->close(src->state);
		free(src->state);
		sem_destroy(&src->pass.wanted);
		sem_destroy(&src->pass.done);
	}
	for (size_t i = 0; s->groups && i < s->n_groups; i++) {
		batch_done(&s->groups[i].batch);
		batch_done(&s->groups[i].own);
	}
	writer_close(&s->writer);
	if (s->timer >= 0)
		close(s->timer);
	sem_destroy(&s->wanted);
	sem_destroy(&s->answered);
	sem_destroy(&s->begun);
	pthread_mutex_destroy(&s->lock);
	pthread_cond_destroy(&s->opened);
	free(s->sources);
	free(s->groups);
	free(s->workers);
	free(s->due);
	free(s->budget_groups);
	free(s);
}

const struct recovered *sampler_recovered(const struct sampler *s)
{
	return &s->recovered;
}

/* ---- openers and workers ---- */

void sampler_ask(struct sampler *s, struct source *src, enum source_phase want)
{
	source_ask(src, want);
	sem_post(&s->wanted);
}

bool sampler_open_pending(struct sampler *s)
{
	bool any = false;

	for (size_t i = 0; i < s->config.n_collectors; i++)
		if (source_serve(&s->sources[i], s->config.host)) {
			any = true;
			sem_post(&s->answered);
			pthread_mutex_lock(&s->lock);
			pthread_cond_broadcast(&s->opened);
			pthread_mutex_unlock(&s->lock);
		}
	notice_print(&s->notices);
	return any;
}

int sampler_opener_step(struct sampler *s)
{
	bool closing = false;

	if (sampler_open_pending(s))
		return atomic_load(&s->stopping) ? -ECANCELED : 0;
	for (size_t i = 0; i < s->config.n_collectors;
	     i++) /* a worker is inside: nobody will wake us */
		closing |= source_phase(&s->sources[i]) == SOURCE_WANT_CLOSE;
	struct timespec until = deadline(closing ? IDLE_MS : LONG_MS);

	if (!atomic_load(&s->stopping))
		sem_clockwait(&s->wanted, CLOCK_MONOTONIC, &until);
	return atomic_load(&s->stopping) ? -ECANCELED : 0;
}

unsigned sampler_n_workers(const struct sampler *s)
{
	return s->n_workers;
}

/* Of the sampler's thread, which never runs for long. What was reached. */
static const char *raise_priority(void)
{
	struct sched_param fifo = {.sched_priority = 1};

	prctl(PR_SET_TIMERSLACK, 1);
	if (sched_setscheduler(0, SCHED_FIFO | SCHED_RESET_ON_FORK, &fifo) == 0)
		return "SCHED_FIFO 1";
	if (setpriority(PRIO_PROCESS, 0, -11) == 0) /* of this thread, on Linux */
		return "nice -11";
	return NULL;
}

static void work_step(struct sampler *s, struct source_worker *w)
{
	struct timespec until;

	if (source_work(w->source, w->number, s->config.host, &w->ended))
		return;
	until = deadline(IDLE_MS);
	pthread_mutex_lock(&s->lock);
	if (!atomic_load(&s->stopping))
		pthread_cond_clockwait(&s->opened, &s->lock, CLOCK_MONOTONIC, &until);
	pthread_mutex_unlock(&s->lock);
}

static void pass_step(struct sampler *s, struct source_worker *w)
{
	/* A pass over thousands of processes takes long: where there is one CPU, or the others are
	 * busy, everybody else must get their turn in between. It is favoured a little at most. */
	if (!w->favoured)
		setpriority(PRIO_PROCESS, 0, PASS_NICE); /* of this thread, on Linux */
	w->favoured = true;
	source_pass_wait(w->source, s->config.now_ns);
	if (atomic_load(&s->stopping))
		return;
	source_pass(w->source, s->config.now_ns, s->config.cpu_ns);
}

int sampler_worker_step(struct sampler *s, unsigned worker)
{
	struct source_worker *w = &s->workers[worker];

	if (atomic_load(&s->stopping))
		return -ECANCELED;
	if (w->passes)
		pass_step(s, w);
	else
		work_step(s, w);
	return atomic_load(&s->stopping) ? -ECANCELED : 0;
}

void sampler_stop(struct sampler *s)
{
	struct itimerspec now = {.it_value = {.tv_nsec = 1}};

	pthread_mutex_lock(&s->lock);
	atomic_store(&s->stopping, true);
	pthread_cond_broadcast(&s->opened);
	pthread_mutex_unlock(&s->lock);
	timerfd_settime(s->timer, 0, &now, NULL); /* ends the wait at once */
	for (int i = 0; i < 16; i++)
		sem_post(&s->wanted);
	for (size_t i = 0; i < s->config.n_collectors; i++) {
		sem_post(&s->sources[i].pass.wanted);
		source_wake(&s->sources[i]);
	}
	sem_post(&s->answered);
}

/* ---- the sampler thread ---- */

static void wait_for_sources(struct sampler *s)
{
	struct timespec until = deadline(OPEN_WAIT_MS);

	for (;;) {
		bool waiting = false;

		for (size_t i = 0; i < s->config.n_collectors; i++) {
			enum source_phase p = source_phase(&s->sources[i]);

			waiting |= p == SOURCE_WANT_OPEN || p == SOURCE_OPENING;
		}
		if (!waiting || atomic_load(&s->stopping) ||
		    sem_clockwait(&s->answered, CLOCK_MONOTONIC, &until) < 0)
			return;
	}
}

void sampler_begin(struct sampler *s)
{
	const struct recovered *was = &s->recovered;
	uint64_t now_ns = s->config.now_ns(), now_us = now_ns / 1000;

	s->mark_ns = s->window_ns = now_ns;
	s->window_cpu_ns = s->config.cpu_ns();
	if (was->frames)
		s->number = was->tick + (now_us - was->to_us) * 1000 / s->period_ns;
	writer_begin(&s->writer, now_us, s->number);
	notice_add(&s->notices, now_us, EVENT_AGENT_START, SEVERITY_INFO, "strobe",
		   "strobe %s started at %u Hz", STROBE_VERSION, s->config.rate_hz);
	if (was->frames)
		notice_add(&s->notices, now_us, EVENT_GAP, SEVERITY_INFO, "strobe",
			   "the agent was not running: nothing was recorded for %.3f s",
			   (double)(now_us - was->to_us) / 1e6);
	writer_notices(&s->writer, &s->notices);
	log_wake(s->config.log);
	sem_post(&s->begun);
}

void sampler_wait_begun(struct sampler *s, unsigned ms)
{
	struct timespec until = deadline(ms);

	while (sem_clockwait(&s->begun, CLOCK_MONOTONIC, &until) < 0 && errno == EINTR)
		;
}

void sampler_finish(struct sampler *s)
{
	notice_add(&s->notices, s->config.now_ns() / 1000, EVENT_AGENT_STOP, SEVERITY_INFO,
		   "strobe", "strobe stopped");
	writer_notices(&s->writer, &s->notices);
	log_wake(s->config.log);
}

int sampler_run(struct sampler *s)
{
	uint64_t first, expired;
	struct itimerspec at = {0};
	int r = 0;

	stats.sampler_tier = raise_priority();
	if (!stats.sampler_tier) {
		stats.sampler_tier = "normal priority";
		stats.sampler_reason = "ticks may be late under load; CAP_SYS_NICE would raise the "
				       "sampler's priority";
	}
	wait_for_sources(s);
	sampler_begin(s);
	first = (s->config.now_ns() / s->period_ns + 1) * s->period_ns;
	at.it_value.tv_sec = (time_t)(first / 1000000000);
	at.it_value.tv_nsec = (long)(first % 1000000000);
	at.it_interval.tv_sec = (time_t)(s->period_ns / 1000000000);
	at.it_interval.tv_nsec = (long)(s->period_ns % 1000000000);
	if (!atomic_load(&s->stopping) &&
	    timerfd_settime(s->timer, TFD_TIMER_ABSTIME, &at, NULL) < 0)
		r = -errno;
	s->ahead = true;
	while (!r && !atomic_load(&s->stopping)) {
		if (read(s->timer, &expired, sizeof(expired)) < 0) {
			r = errno == EINTR ? 0 : -errno;
			continue;
		}
		if (!atomic_load(&s->stopping))
			sampler_tick(s, s->config.now_ns());
	}
	sampler_finish(s);
	return r;
}
