/* What a client asks for: Subscribe, RangeRequest, Ping. */
#include "base/stats.h"
#include "serve/message.h"
#include "serve/session.h"

#include "strobe.pb-c.h"

#include <errno.h>

enum { SERIES_MAX = 256, JOBS_A_SESSION = 8 };

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

static void request_range(struct session *s, const Strobe__V1__RangeRequest *m)
{
	struct query_selector selectors[SERIES_MAX];

	if (!m->n_series || m->n_series > SERIES_MAX || !m->points ||
	    m->points > QUERY_POINTS_MAX || m->from_us >= m->to_us) {
		session_error(
			s, m->req, 400,
			"RangeRequest: 1 to 256 series, 1 to 10,000 points, from_us before to_us");
		return;
	}
	for (size_t i = 0; i < m->n_series; i++)
		selectors[i] = (struct query_selector){
			m->series[i]->metric,
			m->series[i]->instance[0] ? m->series[i]->instance : NULL};
	struct job *job = s->n_jobs < JOBS_A_SESSION ? job_new(JOB_RANGE, s) : NULL;

	if (job && job_set_selectors(job, selectors, m->n_series) == 0) {
		job->req = m->req;
		job->request.from_us = m->from_us;
		job->request.to_us = m->to_us;
		job->request.points = m->points;
		job->request.raw = m->raw;
		if (jobs_add(&s->server->jobs, job) == 0) {
			s->n_jobs++;
			return;
		}
	}
	job_free(job);
	session_error(s, m->req, 429,
		      "too many range requests are waiting: ask again when one is answered");
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
	case STROBE__V1__CLIENT_MESSAGE__OF_PING:
		message_pong(&b, m->ping->id);
		session_queue(s, &b);
		buf_done(&b);
		break;
	case STROBE__V1__CLIENT_MESSAGE__OF__NOT_SET:
	case _STROBE__V1__CLIENT_MESSAGE__OF__CASE_IS_INT_SIZE:
	default:
		break; /* a request of a later version */
	}
	strobe__v1__client_message__free_unpacked(m, NULL);
	return r;
}
