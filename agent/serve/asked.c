/* What a client asks for: Subscribe, requests about the past, TextsRequest, Ping. */
#include "base/stats.h"
#include "serve/message.h"
#include "serve/profile.h"
#include "serve/session.h"

#include "strobe.pb-c.h"

#include <errno.h>

enum { SERIES_MAX = 256, JOBS_A_SESSION = 8, RANK_ROWS = 20, TOTALS_ROWS = 50 };

static const uint64_t window_max_us = 300000000;

static int size_subscription(struct session *s)
{
	uint32_t n = s->server->tail.encoder.mirror.n_groups;

	free(s->order);
	free(s->asked);
	free(s->level);
	s->n_groups = 0;
	s->order = calloc(n + 1, sizeof(*s->order));
	s->asked = malloc(n + 1);
	s->level = malloc(n + 1);
	if (!s->order || !s->asked || !s->level)
		return -ENOMEM;
	memset(s->asked, WIRE_NO_LEVEL, n + 1);
	memset(s->level, WIRE_NO_LEVEL, n + 1);
	s->n_groups = n;
	s->n_order = 0;
	return 0;
}

/* Takes the groups of a Subscribe. fresh[] gets what has to begin with a reset row. */
static int take_groups(struct session *s, const Strobe__V1__Subscribe *m, bool *fresh)
{
	for (size_t i = 0; i < m->n_groups; i++) {
		uint32_t g = m->groups[i]->group;
		uint8_t level = wire_level_of(m->groups[i]->level);

		if (g >= s->n_groups) {
			session_error(s, 0, 404,
				      "Subscribe names a group that the Catalog does not have");
			return -EINVAL;
		}
		if (level == WIRE_NO_LEVEL) {
			session_error(s, 0, 400, "Subscribe: a level is 1, 2, 5, 10 or 50 ticks");
			return -EINVAL;
		}
		if (s->asked[g] == WIRE_NO_LEVEL)
			s->order[s->n_order++] = g;
		s->asked[g] = level;
		fresh[g] = m->groups[i]->fresh;
	}
	return 0;
}

static void ask_events(struct session *s)
{
	struct job *job = job_new(JOB_EVENTS, s);

	if (!job || jobs_add(&s->server->jobs, job) < 0)
		job_free(job); /* live ones still come */
	else
		s->n_jobs++;
}

static int subscribe(struct session *s, const Strobe__V1__Subscribe *m)
{
	const uint8_t *id = log_id(s->server->config.log);
	uint32_t n_old = s->n_groups;
	uint8_t *old = s->level; /* what the client holds now, when it is the same connection */
	uint64_t window_us = m->window_us > window_max_us ? window_max_us : m->window_us;
	bool *fresh = calloc(s->server->tail.encoder.mirror.n_groups + 1, sizeof(*fresh));
	int r = fresh ? 0 : -ENOMEM;

	s->level = NULL;
	if (r == 0)
		r = size_subscription(s);
	if (r == 0)
		r = take_groups(s, m, fresh);
	for (uint32_t g = 0; r == 0 && g < s->n_groups && old && s->seq; g++)
		fresh[g] = fresh[g] || g >= n_old || old[g] != 0;
	free(old);
	if (r < 0) {
		replay_free(s);
		s->live = false;
		s->n_order = 0;
		free(fresh);
		return r == -ENOMEM ? -1 : 0;
	}
	bool resume = m->log_id.len && m->seq;

	session_set_slow(s, false);
	s->imposed_next = WIRE_NO_LEVEL;
	session_set_levels(s, 0);
	if (resume &&
	    (m->log_id.len != LOG_ID_LEN || memcmp(m->log_id.data, id, LOG_ID_LEN) != 0)) {
		struct buf b = {0};

		message_gap(&b, m->seq + 1, m->seq + 1, 0, 0, GAP_OTHER_LOG);
		session_queue(s, &b);
		buf_done(&b);
		STAT_ADD(gaps_sent, 1);
		resume = false;
	}
	r = replay_begin(s, resume ? REPLAY_RESUME : REPLAY_WINDOW, m->seq, window_us, fresh);
	free(fresh);
	if (!resume)
		ask_events(s);
	session_ask(s);
	return r < 0 ? -1 : 0;
}

/* Queues a job for this request, or says why not: `bad` (400), or that too many wait. */
static void queue_job(struct session *s, struct job *job, uint32_t req, int r, const char *bad)
{
	if (bad) {
		job_free(job);
		session_error(s, req, 400, bad);
		return;
	}
	if (job && r == 0 && s->n_jobs < JOBS_A_SESSION) {
		job->req = req;
		if (jobs_add(&s->server->jobs, job) == 0) {
			s->n_jobs++;
			return;
		}
	}
	job_free(job);
	session_error(s, req, 429, "too many requests are waiting: ask again when one is answered");
}

static void request_range(struct session *s, const Strobe__V1__RangeRequest *m)
{
	struct query_selector selectors[SERIES_MAX];
	struct job *job;
	int r;

	if (!m->n_series || m->n_series > SERIES_MAX || !m->points ||
	    m->points > QUERY_POINTS_MAX || m->from_us >= m->to_us) {
		queue_job(s, NULL, m->req, 0,
			  "RangeRequest: 1 to 256 series, 1 to 10,000 points, from_us before "
			  "to_us");
		return;
	}
	for (size_t i = 0; i < m->n_series; i++)
		selectors[i] = (struct query_selector){
			m->series[i]->metric,
			m->series[i]->instance[0] ? m->series[i]->instance : NULL};
	job = job_new(JOB_RANGE, s);
	r = job ? job_set_selectors(job, selectors, m->n_series) : -ENOMEM;
	if (r == 0) {
		job->request.from_us = m->from_us;
		job->request.to_us = m->to_us;
		job->request.points = m->points;
		job->request.raw = m->raw;
		job->request.chart = true;
	}
	queue_job(s, job, m->req, r, NULL);
}

static void request_held(struct session *s, const Strobe__V1__HeldRequest *m)
{
	queue_job(s, job_new(JOB_HELD, s), m->req, 0, NULL);
}

/* Is this a range, or, where it may be left out, both 0? */
static bool is_range(int64_t from_us, int64_t to_us, bool optional)
{
	return from_us < to_us || (optional && !from_us && !to_us);
}

static void request_rank(struct session *s, const Strobe__V1__RankRequest *m)
{
	struct job *job = job_new(JOB_RANK, s);
	const char *bad = NULL;

	if (!is_range(m->from_us, m->to_us, false) ||
	    !is_range(m->base_from_us, m->base_to_us, true) || m->limit > RANK_ROWS_MAX)
		bad = "RankRequest: from_us before to_us, so the baseline's, at most 200 rows";
	if (job)
		job->rank_request =
			(struct rank_request){m->from_us, m->to_us, m->base_from_us, m->base_to_us,
					      m->limit ? m->limit : RANK_ROWS};
	queue_job(s, job, m->req, 0, bad);
}

static void request_totals(struct session *s, const Strobe__V1__TotalsRequest *m)
{
	struct job *job = NULL;
	const char *bad = NULL;
	int r = 0;

	if (!m->n_metrics || m->n_metrics > TOTALS_METRICS_MAX ||
	    !is_range(m->from_us, m->to_us, false) ||
	    !is_range(m->base_from_us, m->base_to_us, true) || m->limit > TOTALS_ROWS_MAX)
		bad = "TotalsRequest: 1 to 16 metrics, from_us before to_us, so the baseline's, at "
		      "most 500 rows";
	else
		job = job_new(JOB_TOTALS, s);
	if (job) {
		r = job_set_totals(job, m->group, m->metrics, m->n_metrics);
		job->totals_request.from_us = m->from_us;
		job->totals_request.to_us = m->to_us;
		job->totals_request.base_from_us = m->base_from_us;
		job->totals_request.base_to_us = m->base_to_us;
		job->totals_request.limit = m->limit ? m->limit : TOTALS_ROWS;
	}
	queue_job(s, job, m->req, r, bad);
}

static void request_events(struct session *s, const Strobe__V1__EventsRequest *m)
{
	struct job *job = job_new(JOB_PAST_EVENTS, s);

	if (job) {
		job->from_us = m->from_us;
		job->to_us = m->to_us;
	}
	queue_job(s, job, m->req, 0,
		  m->from_us < m->to_us ? NULL : "EventsRequest: from_us before to_us");
}

static void request_profile(struct session *s, struct profile_call *c, uint32_t req,
			    const char *bad)
{
	if (c && bad) {
		free(c);
		c = NULL;
	}
	queue_job(s, profile_job(c, s, req), req, 0, bad);
}

static struct profile_call *new_call(const struct session *s, enum profile_what what)
{
	return profile_call_new(&s->server->config, (int64_t)server_now_us(s->server), what);
}

/* A request for stacks. False: it is none. */
static bool ask_profile(struct session *s, const Strobe__V1__ClientMessage *m)
{
	struct profile_call *c;

	switch (m->of_case) {
	case STROBE__V1__CLIENT_MESSAGE__OF_PROFILER:
		request_profile(s, new_call(s, PROFILE_OF_STATE), m->profiler->req, NULL);
		return true;
	case STROBE__V1__CLIENT_MESSAGE__OF_HEAT:
		c = new_call(s, PROFILE_OF_HEAT);
		request_profile(s, c, m->heat->req, c ? profile_ask_heat(c, m->heat) : NULL);
		return true;
	case STROBE__V1__CLIENT_MESSAGE__OF_FLAME:
		c = new_call(s, PROFILE_OF_FLAME);
		request_profile(s, c, m->flame->req, c ? profile_ask_flame(c, m->flame) : NULL);
		return true;
	case STROBE__V1__CLIENT_MESSAGE__OF_CHART:
		c = new_call(s, PROFILE_OF_CHART);
		request_profile(s, c, m->chart->req, c ? profile_ask_chart(c, m->chart) : NULL);
		return true;
	case STROBE__V1__CLIENT_MESSAGE__OF_LINES:
		c = new_call(s, PROFILE_OF_LINES);
		request_profile(s, c, m->lines->req, c ? profile_ask_lines(c, m->lines) : NULL);
		return true;
	default:
		return false;
	}
}

int session_on_message(struct session *s, const uint8_t *p, size_t len)
{
	Strobe__V1__ClientMessage *m = strobe__v1__client_message__unpack(NULL, len, p);
	struct buf b = {0};
	int r = 0;

	if (!m) {
		session_error(s, 0, 400, "this is no ClientMessage of strobe.v1");
		return 0;
	}
	switch (m->of_case) {
	case STROBE__V1__CLIENT_MESSAGE__OF_SUBSCRIBE:
		if (s->catalog_sent)
			r = subscribe(s, m->subscribe);
		else
			session_error(s, 0, 400, "Subscribe comes after the Catalog");
		break;
	case STROBE__V1__CLIENT_MESSAGE__OF_RANGE:
		request_range(s, m->range);
		break;
	case STROBE__V1__CLIENT_MESSAGE__OF_HELD:
		request_held(s, m->held);
		break;
	case STROBE__V1__CLIENT_MESSAGE__OF_RANK:
		request_rank(s, m->rank);
		break;
	case STROBE__V1__CLIENT_MESSAGE__OF_TOTALS:
		request_totals(s, m->totals);
		break;
	case STROBE__V1__CLIENT_MESSAGE__OF_EVENTS:
		request_events(s, m->events);
		break;
	case STROBE__V1__CLIENT_MESSAGE__OF_PING:
		message_pong(&b, m->ping->id, server_now_us(s->server));
		session_queue(s, &b);
		buf_done(&b);
		break;
	case STROBE__V1__CLIENT_MESSAGE__OF_TEXTS:
		s->texts_due = true;
		session_ask(s);
		break;
	default:
		ask_profile(s, m); /* else a request of a later version */
	}
	strobe__v1__client_message__free_unpacked(m, NULL);
	return r;
}
