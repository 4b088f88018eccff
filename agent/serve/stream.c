#include "base/clock.h"
#include "base/stats.h"
#include "serve/message.h"
#include "serve/session.h"

#include "strobe.pb-c.h"

#include <errno.h>

enum {
	MESSAGE_MAX = 64 << 10, /* from a client */
	ERRORS_MAX = 32,
	SERIES_MAX = 256,
	JOBS_A_SESSION = 8,
	CLOSE_TOO_BIG = 1009,
	CLOSE_POLICY = 1008,
	CLOSE_TRY_AGAIN = 1013
};

static const uint64_t window_max_us = 300000000;

/* ---- small parts ---- */

static void ask(struct session *s)
{
	if (!s->waiting_us)
		s->waiting_us = clock_mono_us();
	lws_callback_on_writable(s->wsi);
}

void session_queue(struct session *s, struct buf *b)
{
	uint32_t len = (uint32_t)b->len;

	if (b->failed || s->control.len + len > CONTROL_MAX) {
		s->broken = true; /* it asks and does not read */
	} else {
		buf_put(&s->control, &len, sizeof(len));
		buf_put(&s->control, b->p, len);
	}
	buf_clear(b);
	ask(s);
}

static void queue_error(struct session *s, uint32_t req, uint32_t code, const char *text)
{
	struct buf b = {0};

	message_error(&b, req, code, text);
	session_queue(s, &b);
	buf_done(&b);
	if (code == 400 && ++s->n_errors > ERRORS_MAX)
		s->broken = true;
}

void session_set_slow(struct session *s, bool slow)
{
	if (slow != s->slow)
		STAT_ADD(slow_clients, slow ? 1 : UINT64_MAX);
	s->slow = slow;
}

void session_set_levels(struct session *s, uint8_t imposed)
{
	s->imposed = imposed;
	s->levels = 0;
	for (uint32_t g = 0; g < s->n_groups; g++) {
		if (s->asked[g] == WIRE_NO_LEVEL)
			continue;
		s->level[g] = wire_level_join(s->asked[g], imposed);
		s->levels |= 1u << s->level[g];
	}
	stream_want_levels(s->server);
}

void stream_want_levels(struct server *server)
{
	uint32_t levels = 1;

	for (const struct session *s = server->sessions; s; s = s->next) {
		levels |= s->levels;
		for (uint32_t g = 0; s->imposed_next != WIRE_NO_LEVEL && g < s->n_groups; g++)
			if (s->asked[g] != WIRE_NO_LEVEL)
				levels |= 1u << wire_level_join(s->asked[g], s->imposed_next);
	}
	encoder_want(&server->tail.encoder, levels);
}

uint8_t session_finest(const struct session *s)
{
	return s->levels ? (uint8_t)__builtin_ctz(s->levels) : 0;
}

static bool has_work(const struct session *s)
{
	if (!s->hello_sent || !s->catalog_sent)
		return s->server->tail.encoder.mirror.version != 0;
	return s->control.len || replay_has_work(s) || live_has_work(s) || s->range || s->broken;
}

/* ---- requests of the client ---- */

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
			queue_error(s, 0, 404,
				    "Subscribe names a group that the Catalog does not have");
			return -EINVAL;
		}
		if (level == WIRE_NO_LEVEL) {
			queue_error(s, 0, 400, "Subscribe: a level is 1, 2, 5, 10 or 50 ticks");
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
	ask(s);
	return r < 0 ? -1 : 0;
}

static void request_range(struct session *s, const Strobe__V1__RangeRequest *m)
{
	struct query_selector selectors[SERIES_MAX];

	if (!m->n_series || m->n_series > SERIES_MAX || !m->points ||
	    m->points > QUERY_POINTS_MAX || m->from_us >= m->to_us) {
		queue_error(
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
	queue_error(s, m->req, 429,
		    "too many range requests are waiting: ask again when one is answered");
}

static int on_message(struct session *s, const uint8_t *p, size_t len)
{
	Strobe__V1__ClientMessage *m = strobe__v1__client_message__unpack(NULL, len, p);
	struct buf b = {0};
	int r = 0;

	if (!m) {
		queue_error(s, 0, 400, "this is no ClientMessage of strobe.v1");
		return 0;
	}
	switch (m->of_case) {
	case STROBE__V1__CLIENT_MESSAGE__OF_SUBSCRIBE:
		if (s->catalog_sent)
			r = subscribe(s, m->subscribe);
		else
			queue_error(s, 0, 400, "Subscribe comes after the Catalog");
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

static int close_with(struct session *s, int code, const char *why)
{
	char text[124];

	snprintf(text, sizeof(text), "%s", why);
	lws_close_reason(s->wsi, (enum lws_close_status)code, (unsigned char *)text, strlen(text));
	return -1;
}

static int on_receive(struct session *s, const void *in, size_t len)
{
	if (s->in.len + len > MESSAGE_MAX)
		return close_with(s, CLOSE_TOO_BIG, "a message to the agent may have 64 KiB");
	buf_put(&s->in, in, len);
	if (s->in.failed)
		return -1;
	if (!lws_is_final_fragment(s->wsi) || lws_remaining_packet_payload(s->wsi))
		return 0;
	int r = 0;

	if (lws_frame_is_binary(s->wsi))
		r = on_message(s, s->in.p, s->in.len);
	else
		queue_error(s, 0, 400, "messages are binary: a ClientMessage of strobe.v1");
	buf_trim(&s->in, 4096);
	return r;
}

/* ---- sending ---- */

static int send_control(struct session *s)
{
	uint32_t len;

	memcpy(&len, s->control.p, sizeof(len));
	int r = out_send_whole(s->server, s->wsi, s->control.p + sizeof(len), len);

	s->control.len -= sizeof(len) + len;
	memmove(s->control.p, s->control.p + sizeof(len) + len, s->control.len);
	if (!s->control.len)
		buf_trim(&s->control, 4096);
	return r < 0 ? -1 : 1;
}

static int send_range(struct session *s)
{
	struct job *job = s->range;
	struct buf *b = &s->server->out;

	out_begin(s->server);
	message_range(b, job->req, &job->request, job->result, &job->next);
	if (b->failed)
		return -1;
	int r = lws_write(s->wsi, b->p + OUT_HEAD, b->len - OUT_HEAD, LWS_WRITE_BINARY);

	STAT_ADD(bytes_sent, b->len - OUT_HEAD);
	if (job->next == job->result->n_series) {
		s->range = NULL;
		job_free(job);
	}
	buf_trim(b, 256 << 10);
	return r < 0 ? -1 : 1;
}

static const char *query_error(int r, uint32_t *code)
{
	*code = r == -ENOENT ? 404 : r == -EINVAL ? 400 : r == -ENOMEM || r == -E2BIG ? 413 : 500;
	switch (*code) {
	case 404:
		return "RangeRequest names a metric that the Catalog does not have";
	case 400:
		return "RangeRequest: the range or the number of points cannot be served";
	case 413:
		return "the result is too large: ask for fewer points or series";
	default:
		return "the query was not finished: ask again";
	}
}

/* Takes finished jobs of this session, one range at a time. */
static void collect_jobs(struct session *s)
{
	struct buf b = {0};
	struct job *job;
	uint32_t code;

	while (s->n_jobs && !s->range && (job = jobs_take(&s->server->jobs, s))) {
		s->n_jobs--;
		if (job->kind == JOB_RANGE && job->r == 0) {
			s->range = job;
			break;
		}
		if (job->kind == JOB_RANGE) {
			const char *text = query_error(job->r, &code);

			queue_error(s, job->req, code, text);
		}
		if (job->kind == JOB_EVENTS && job->events.len) {
			/* Up to 192 KiB: past what the control queue may hold, so sent from here.
			 */
			size_t at = pb_open(&b, MESSAGE_EVENTS);

			buf_put(&b, job->events.p, job->events.len);
			pb_close(&b, at);
			if (out_send_whole(s->server, s->wsi, b.p, b.len) < 0)
				s->broken = true;
			buf_done(&b);
			job_free(job);
			return; /* one message a turn */
		}
		job_free(job);
	}
}

/* One message. 1, 0: nothing to send now, -1: close. */
static int send_next(struct session *s)
{
	struct server *server = s->server;
	int r = 0;

	if (s->broken)
		return close_with(s, CLOSE_POLICY, "too many bad or unread messages");
	if (!s->hello_sent || !s->catalog_sent) {
		if (!server->tail.encoder.mirror.version)
			return 0;
		struct buf b = {0};

		if (!s->hello_sent)
			message_hello(&b, &server->config, &server->tail.encoder.mirror);
		else
			message_catalog(&b, &server->tail.encoder.mirror);
		r = b.failed ? -1 : out_send_whole(server, s->wsi, b.p, b.len);
		buf_done(&b);
		s->catalog_sent = s->hello_sent;
		s->hello_sent = true;
		return r < 0 ? -1 : 1;
	}
	if (s->control.len)
		return send_control(s);
	if (s->replay)
		r = replay_send(s);
	else if (s->live)
		r = live_send(s);
	if (r != 0)
		return r;
	return s->range ? send_range(s) : 0;
}

static int on_writeable(struct session *s)
{
	s->waiting_us = 0;
	if (s->n_jobs && !s->range && s->hello_sent)
		collect_jobs(s);
	if (lws_send_pipe_choked(s->wsi)) {
		ask(s);
		return 0;
	}
	if (send_next(s) < 0)
		return -1;
	if (has_work(s))
		ask(s);
	return 0;
}

/* ---- life ---- */

static int open_session(struct lws *wsi, struct session **slot)
{
	struct server *server = server_of(wsi);
	struct session *s = calloc(1, sizeof(*s));

	if (!s)
		return -1;
	*slot = s;
	s->server = server;
	s->wsi = wsi;
	s->imposed_next = WIRE_NO_LEVEL;
	s->next = server->sessions;
	s->link = &server->sessions;
	if (s->next)
		s->next->link = &s->next;
	server->sessions = s;
	STAT_ADD(clients, 1);
	if (!server->n_sessions++)
		log_watch(server->config.log, true);
	if (tail_advance(&server->tail, server->n_sessions == 1) == -ESTALE)
		stream_lost(server);
	if (has_work(s))
		ask(s);
	return 0;
}

static void close_session(struct session *s)
{
	struct server *server = s->server;

	*s->link = s->next;
	if (s->next)
		s->next->link = s->link;
	STAT_ADD(clients, UINT64_MAX);
	session_set_slow(s, false);
	stream_want_levels(server);
	if (!--server->n_sessions)
		log_watch(server->config.log, false);
	jobs_abandon(&server->jobs, s);
	replay_free(s);
	job_free(s->range);
	buf_done(&s->in);
	buf_done(&s->control);
	free(s->order);
	free(s->asked);
	free(s->level);
	free(s);
}

void stream_wake(struct server *server)
{
	uint64_t now_us = clock_mono_us();

	for (struct session *s = server->sessions, *next; s; s = next) {
		next = s->next;
		replay_wake(s);
		if (live_judge(s, now_us) < 0) {
			close_with(s, CLOSE_TRY_AGAIN, "too slow: connect again and resume");
			lws_set_timeout(s->wsi, PENDING_TIMEOUT_CLOSE_SEND, LWS_TO_KILL_ASYNC);
			continue;
		}
		if (has_work(s) || s->n_jobs)
			ask(s);
	}
}

void stream_lost(struct server *server)
{
	tail_advance(&server->tail, false);
	for (struct session *s = server->sessions; s; s = s->next)
		if (s->live && replay_after_loss(s, s->seq + 1, log_oldest(server->config.log)) < 0)
			s->broken = true;
}

int stream_callback(struct lws *wsi, enum lws_callback_reasons reason, void *user, void *in,
		    size_t len)
{
	struct session **slot = user;

	switch (reason) {
	case LWS_CALLBACK_ESTABLISHED:
		return open_session(wsi, slot);
	case LWS_CALLBACK_RECEIVE:
		return on_receive(*slot, in, len);
	case LWS_CALLBACK_SERVER_WRITEABLE:
		return on_writeable(*slot);
	case LWS_CALLBACK_CLOSED:
		if (*slot)
			close_session(*slot);
		*slot = NULL;
		return 0;
	default:
		return 0;
	}
}
