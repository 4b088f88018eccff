#include "serve/jobs.h"

#include "base/clock.h"
#include "base/stats.h"
#include "serve/message.h"
#include "store/past.h"

#include <errno.h>
#include <time.h>
#include <unistd.h>

enum {
	EVENTS_MAX_BYTES = 192 << 10,
	CATALOG_BYTES = 256 << 10, /* that a result has with it */
	BESIDE_POINTS = CATALOG_BYTES + QUERY_SERIES_MAX * sizeof(struct query_series)
};

static const uint64_t events_window_us = 3600ull * 1000000;

struct job *job_new(enum job_kind kind, const void *owner)
{
	struct job *job = calloc(1, sizeof(*job));

	if (job) {
		job->kind = kind;
		job->owner = owner;
	}
	return job;
}

int job_set_selectors(struct job *job, const struct query_selector *s, size_t n)
{
	size_t bytes = 0;

	for (size_t i = 0; i < n; i++)
		bytes += strlen(s[i].metric) + 1 + (s[i].instance ? strlen(s[i].instance) + 1 : 0);
	job->selectors = calloc(n ? n : 1, sizeof(*job->selectors));
	job->strings = malloc(bytes + 1);
	if (!job->selectors || !job->strings)
		return -ENOMEM;
	char *p = job->strings;

	for (size_t i = 0; i < n; i++) {
		job->selectors[i].metric = strcpy(p, s[i].metric);
		p += strlen(p) + 1;
		if (s[i].instance) {
			job->selectors[i].instance = strcpy(p, s[i].instance);
			p += strlen(p) + 1;
		}
	}
	job->request.selectors = job->selectors;
	job->request.n_selectors = n;
	return 0;
}

int job_set_totals(struct job *job, const char *group, char *const *metrics, size_t n)
{
	struct query_selector all[TOTALS_METRICS_MAX + 1] = {{.metric = group}};

	if (n > TOTALS_METRICS_MAX)
		return -EINVAL;
	for (size_t i = 0; i < n; i++)
		all[i + 1].metric = metrics[i];
	job->names = calloc(n + 1, sizeof(*job->names));
	if (!job->names || job_set_selectors(job, all, n + 1) < 0)
		return -ENOMEM;
	for (size_t i = 0; i < n; i++)
		job->names[i] = job->selectors[i + 1].metric;
	job->totals_request.group = job->selectors[0].metric;
	job->totals_request.metrics = job->names;
	job->totals_request.n_metrics = n;
	return 0;
}

void job_free(struct job *job)
{
	if (!job)
		return;
	if (job->jobs)
		atomic_fetch_sub(&job->jobs->held, job->held_bytes);
	query_free(job->result);
	rank_free(job->rank);
	totals_free(job->totals);
	free(job->held.spans);
	free(job->held.clocks);
	free(job->names);
	if (job->arg)
		job->free_arg(job->arg);
	buf_done(&job->events);
	buf_done(&job->text);
	free(job->selectors);
	free(job->strings);
	free(job);
}

int jobs_init(struct jobs *j, struct history *history, int wake_fd)
{
	pthread_condattr_t attr;

	*j = (struct jobs){.history = history,
			   .log = history_log(history),
			   .wake_fd = wake_fd,
			   .left_out_us = INT64_MIN,
			   .budget = JOBS_BYTES};
	j->waiting_end = &j->waiting;
	pthread_mutex_init(&j->lock, NULL);
	pthread_condattr_init(&attr);
	pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
	pthread_cond_init(&j->more, &attr);
	pthread_condattr_destroy(&attr);
	return 0;
}

static void free_list(struct job *job)
{
	while (job) {
		struct job *next = job->link;

		job_free(job);
		job = next;
	}
}

void jobs_done(struct jobs *j)
{
	if (!j->waiting_end)
		return;
	free_list(j->waiting);
	free_list(j->done);
	if (j->events_open)
		cursor_close(&j->events_cursor);
	buf_done(&j->events);
	pthread_cond_destroy(&j->more);
	pthread_mutex_destroy(&j->lock);
}

/* Takes the first done job of this owner off the list, and abandoned ones on the way. */
static struct job *sweep(struct jobs *j, const void *owner)
{
	struct job *ret = NULL;

	for (struct job **p = &j->done; *p;) {
		struct job *job = *p;
		bool mine = owner && job->owner == owner && !ret;

		if (!mine && job->owner) {
			p = &job->link;
			continue;
		}
		*p = job->link;
		j->n--;
		if (mine)
			ret = job;
		else
			job_free(job);
	}
	return ret;
}

int jobs_add(struct jobs *j, struct job *job)
{
	int r = -EAGAIN;

	pthread_mutex_lock(&j->lock);
	sweep(j, NULL); /* nobody comes to take what is abandoned */
	if (j->n < JOBS_MAX) {
		job->link = NULL;
		*j->waiting_end = job;
		j->waiting_end = &job->link;
		j->n++;
		pthread_cond_signal(&j->more);
		r = 0;
	}
	pthread_mutex_unlock(&j->lock);
	return r;
}

struct job *jobs_take(struct jobs *j, const void *owner)
{
	pthread_mutex_lock(&j->lock);
	struct job *ret = sweep(j, owner);

	pthread_mutex_unlock(&j->lock);
	return ret;
}

static void abandon(struct job *job, const void *owner)
{
	if (job->owner == owner) {
		job->owner = NULL;
		atomic_store(&job->cancel, true);
	}
}

void jobs_abandon(struct jobs *j, const void *owner)
{
	pthread_mutex_lock(&j->lock);
	for (struct job *job = j->waiting; job; job = job->link)
		abandon(job, owner);
	if (j->running)
		abandon(j->running, owner);
	for (struct job **p = &j->done; *p;) {
		struct job *job = *p;

		if (job->owner == owner) {
			*p = job->link;
			j->n--;
			job_free(job);
		} else {
			p = &job->link;
		}
	}
	pthread_mutex_unlock(&j->lock);
}

void jobs_stop(struct jobs *j)
{
	pthread_mutex_lock(&j->lock);
	j->stop = true;
	if (j->running)
		atomic_store(&j->running->cancel, true);
	pthread_cond_signal(&j->more);
	pthread_mutex_unlock(&j->lock);
}

/* The time of the event whose body is [p, end): its field 2, which at most the seq stands before. */
static int64_t event_us(const uint8_t *p, const uint8_t *end)
{
	uint64_t v = 0;

	while (p < end) {
		uint8_t tag = *p++;

		if (!varint_get(&p, end, &v) || tag >> 3 == 2)
			break;
	}
	return (int64_t)v;
}

/* Drops events from the front until they fit and are not older than oldest_us. The time of the last
 * that went for want of room; INT64_MIN: none. */
static int64_t events_trim(struct buf *b, int64_t oldest_us)
{
	int64_t left_out_us = INT64_MIN;
	size_t keep = 0;

	while (keep < b->len) { /* a field: tag, length, body */
		const uint8_t *p = b->p + keep + 1, *end = b->p + b->len;
		bool fits = b->len - keep <= EVENTS_MAX_BYTES;
		uint64_t len = 0;
		int64_t at_us;

		varint_get(&p, end, &len);
		at_us = event_us(p, p + len);
		if (fits && at_us >= oldest_us)
			break;
		if (!fits)
			left_out_us = at_us;
		keep = (size_t)(p + len - b->p);
	}
	memmove(b->p, b->p + keep, b->len - keep);
	b->len -= keep;
	return left_out_us;
}

static void find_events(struct jobs *j, struct job *job)
{
	uint64_t now_us = j->now_us ? j->now_us : clock_mono_us(), from, to;
	struct event_frame e;
	struct frame f;
	int r;

	if (!j->events_open) {
		uint64_t begin = now_us > events_window_us ? now_us - events_window_us : 0;

		job->r = cursor_open_time(&j->events_cursor, j->log, begin);
		if (job->r < 0)
			return;
		j->events_open = true;
	}
	while (!atomic_load(&job->cancel) &&
	       (r = cursor_next(&j->events_cursor, &f, &from, &to)) != 0) {
		if (r == -ESTALE)
			continue; /* older ones than the log holds: nobody can show them */
		if (r < 0)
			break;
		if (frame_type(&f) == FRAME_EVENT && frame_read_event(&f, &e) == 0)
			put_event(&j->events, 1, f.seq, (int64_t)e.mono_us, &e);
	}
	if (j->events.len) {
		int64_t oldest_us = (int64_t)now_us - (int64_t)events_window_us,
			left_out_us = events_trim(&j->events, oldest_us);

		if (left_out_us != INT64_MIN)
			j->left_out_us = left_out_us;
		job->left_out = j->left_out_us >= oldest_us;
	}
	buf_put(&job->events, j->events.p, j->events.len);
}

static int put_past_event(void *arg, uint64_t seq, int64_t at_us, const struct event_frame *e)
{
	struct job *job = arg;
	struct buf *b = &job->events;

	put_event(b, 1, seq, at_us, e);
	if (!b->failed && b->len > 2 * EVENTS_MAX_BYTES)
		job->left_out |= events_trim(b, INT64_MIN) != INT64_MIN;
	return b->failed ? -ENOMEM : 0;
}

static void find_past_events(struct history *h, struct job *job)
{
	job->r = past_events(h, job->from_us, job->to_us, put_past_event, job, &job->cancel);
	if (job->r == 0 && job->events.len)
		job->left_out |= events_trim(&job->events, INT64_MIN) != INT64_MIN;
}

static int find_held(struct history *h, struct held_result *held)
{
	history_stats(h, &held->stats);
	held->spans = history_spans(h, &held->n_spans);
	held->clocks = history_clocks(h, &held->n_clocks);
	return held->spans && held->clocks ? 0 : -ENOMEM;
}

static size_t cells_bytes(const struct job *job)
{
	const struct query_result *res = job->result;

	return res ? CATALOG_BYTES +
			       res->n_series * (sizeof(*res->series) +
						job->request.points * sizeof(*res->series->points))
		   : 0;
}

/* Was a series left out because its points had no room? */
static bool is_cut(const struct job *job)
{
	return job->result->truncated &&
	       (job->result->n_series + 1) * job->request.points > job->request.cells_max;
}

static void run_range(struct jobs *j, struct job *job)
{
	size_t held = atomic_load(&j->held), left = j->budget > held ? j->budget - held : 0;
	bool shared = left < j->budget / 2;
	size_t may = shared ? left : j->budget / 2;
	size_t cells = may > BESIDE_POINTS ? (may - BESIDE_POINTS) / sizeof(struct query_point) : 0;

	job->request.cells_max = cells < UINT32_MAX ? (uint32_t)cells : UINT32_MAX;
	job->r = cells < job->request.points
			 ? -E2BIG
			 : query_run(j->history, &job->request, &job->result, &job->cancel);
	if (job->r == 0 && is_cut(job)) {
		query_free(job->result);
		job->result = NULL;
		job->r = -E2BIG;
	} else if (job->r == 0 && job->render) {
		job->text.max = may - cells_bytes(job);
		job->render(job);
		if (job->text.failed)
			job->r = -E2BIG;
	}
	if (job->r == -E2BIG && shared)
		job->r = -EBUSY;
}

static void hold(struct jobs *j, struct job *job)
{
	job->jobs = j;
	job->held_bytes = cells_bytes(job) + job->text.cap + job->events.cap;
	atomic_fetch_add(&j->held, job->held_bytes);
}

static void run_job(struct jobs *j, struct job *job)
{
	struct history *h = job->history = j->history;

	job->budget = j;
	switch (job->kind) {
	case JOB_RANGE:
		run_range(j, job);
		break;
	case JOB_EVENTS:
		find_events(j, job);
		break;
	case JOB_PAST_EVENTS:
		find_past_events(h, job);
		break;
	case JOB_HELD:
		job->r = find_held(h, &job->held);
		break;
	case JOB_RANK:
		job->r = rank_run(h, &job->rank_request, &job->rank, &job->cancel);
		break;
	case JOB_CALL:
		job->r = job->call(job);
		break;
	case JOB_TOTALS:
		job->r = totals_run(h, &job->totals_request, &job->totals, &job->cancel);
		break;
	}
	if (job->kind != JOB_RANGE && job->r == 0 && job->render)
		job->render(job);
}

static struct job *wait_for_job(struct jobs *j)
{
	struct timespec until = clock_after(60000000000u); /* each wake-up costs */

	while (!j->waiting && !j->stop)
		if (pthread_cond_timedwait(&j->more, &j->lock, &until) == ETIMEDOUT)
			break;
	struct job *job = j->stop ? NULL : j->waiting;

	if (job) {
		j->waiting = job->link;
		if (!j->waiting)
			j->waiting_end = &j->waiting;
		j->running = job;
	}
	return job;
}

int jobs_step(struct jobs *j)
{
	pthread_mutex_lock(&j->lock);
	struct job *job = wait_for_job(j);
	bool stop = j->stop;

	pthread_mutex_unlock(&j->lock);
	if (!job)
		return stop ? -ECANCELED : 0;

	uint64_t begin_us = clock_mono_us();

	if (atomic_load(&job->cancel))
		job->r = -ECANCELED;
	else
		run_job(j, job);
	hold(j, job);
	STAT_ADD(queries, 1);
	STAT_ADD(query_us, clock_mono_us() - begin_us);

	uint64_t one = 1;

	pthread_mutex_lock(&j->lock);
	j->running = NULL;
	job->link = j->done;
	j->done = job;
	pthread_mutex_unlock(&j->lock);
	if (write(j->wake_fd, &one, sizeof(one)) < 0)
		return 0; /* the counter is full: it is readable anyhow */
	return 0;
}
