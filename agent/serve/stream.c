#include "base/clock.h"
#include "base/stats.h"
#include "serve/message.h"
#include "serve/profile.h"
#include "serve/session.h"

#include <errno.h>

enum {
	MESSAGE_MAX = 64 << 10, /* from a client */
	ERRORS_MAX = 32,
	CLOSE_TOO_BIG = 1009,
	CLOSE_POLICY = 1008,
	CLOSE_TRY_AGAIN = 1013
};

/* ---- small parts ---- */

void session_ask(struct session *s)
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
	session_ask(s);
}

void session_error(struct session *s, uint32_t req, uint32_t code, const char *text)
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
	return s->control.len || replay_has_work(s) || live_has_work(s) || s->texts_due ||
	       s->range || s->broken;
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
		r = session_on_message(s, s->in.p, s->in.len);
	else
		session_error(s, 0, 400, "messages are binary: a ClientMessage of strobe.v1");
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

/* One of the messages that a JOB_CALL made, each after its length. */
static int send_made(struct session *s)
{
	struct job *job = s->range;
	uint32_t len;

	memcpy(&len, job->text.p + job->next, sizeof(len));
	int r = out_send_whole(s->server, s->wsi, job->text.p + job->next + sizeof(len), len);

	job->next += sizeof(len) + len;
	if (job->next >= job->text.len) {
		s->range = NULL;
		job_free(job);
	}
	return r < 0 ? -1 : 1;
}

/* A part of the answer to a RangeRequest or TotalsRequest. */
static int send_range(struct session *s)
{
	struct job *job = s->range;
	struct buf *b = &s->server->out;
	bool last;

	if (job->kind == JOB_CALL)
		return send_made(s);
	out_begin(s->server);
	if (job->kind == JOB_TOTALS) {
		message_totals(b, job->req, &job->totals_request, job->totals, &job->next);
		last = job->next == job->totals->n_rows;
	} else {
		message_range(b, job->req, &job->request, job->result, &job->next);
		last = job->next == job->result->n_series;
	}
	if (b->failed)
		return -1;
	int r = lws_write(s->wsi, b->p + OUT_HEAD, b->len - OUT_HEAD, LWS_WRITE_BINARY);

	STAT_ADD(bytes_sent, b->len - OUT_HEAD);
	if (last) {
		s->range = NULL;
		job_free(job);
	}
	buf_trim(b, 256 << 10);
	return r < 0 ? -1 : 1;
}

static const char *query_error(int r, uint32_t *code)
{
	*code = r == -ENOENT || r == -ENODATA ? 404
		: r == -EINVAL		      ? 400
		: r == -ENOMEM || r == -E2BIG ? 413
		: r == -EBUSY		      ? 429
					      : 500;
	if (r == -ENODATA)
		return "nothing is held of that range, or of its baseline";
	switch (*code) {
	case 404:
		return "the request names a metric or group that the Catalog does not have";
	case 400:
		return "the range or the number of points or rows cannot be served";
	case 413:
		return "the result is too large: ask for a shorter range, fewer points or series";
	case 429:
		return "the results of other queries are still being sent: ask again in a second";
	default:
		return "the query was not finished: ask again";
	}
}

/* Sends what fits into one message. 1 or -1: close. */
static int send_job(struct session *s, struct job *job)
{
	struct buf b = {0};
	int r;

	switch (job->kind) {
	case JOB_HELD:
		message_held(&b, job->req, &job->held);
		break;
	case JOB_RANK:
		message_rank(&b, job->req, job->rank);
		break;
	case JOB_PAST_EVENTS:
	case JOB_EVENTS: /* up to 192 KiB: more than the control queue may hold */
	case JOB_RANGE:
	case JOB_TOTALS:
	case JOB_CALL:
		message_past_events(&b, job->req, &job->events, job->left_out);
		break;
	}
	r = b.failed ? -1 : out_send_whole(s->server, s->wsi, b.p, b.len);
	buf_done(&b);
	return r < 0 ? -1 : 1;
}

/* Takes finished jobs of this session, one range at a time. As send_next. */
static int collect_jobs(struct session *s)
{
	struct job *job;
	uint32_t code;
	int r = 0;

	while (r == 0 && s->n_jobs && !s->range && (job = jobs_take(&s->server->jobs, s))) {
		s->n_jobs--;
		if (job->r == 0 &&
		    (job->kind == JOB_RANGE || job->kind == JOB_TOTALS || job->kind == JOB_CALL)) {
			s->range = job;
			break;
		}
		if (job->kind == JOB_EVENTS && !job->events.len) {
			job_free(job); /* there were none */
			continue;
		}
		if (job->r < 0 && job->kind != JOB_EVENTS) {
			const char *text = query_error(job->r, &code),
				   *own = profile_job_error(job);

			session_error(s, job->req, code, own ? own : text);
		} else {
			r = send_job(s, job);
		}
		job_free(job);
	}
	return r;
}

/* What a client begins with: Hello, then the Catalog. As send_next. */
static int send_opening(struct session *s)
{
	struct server *server = s->server;
	const struct mirror *m = &server->tail.encoder.mirror;
	struct buf b = {0};

	if (!m->version)
		return 0;
	if (!s->hello_sent)
		message_hello(&b, &server->config, m);
	else
		message_catalog(&b, m);
	int r = b.failed ? -1 : out_send_whole(server, s->wsi, b.p, b.len);

	buf_done(&b);
	s->catalog_sent = s->hello_sent;
	s->hello_sent = true;
	return r < 0 ? -1 : 1;
}

static int send_texts(struct session *s)
{
	struct buf b = {0};

	message_texts(&b, &s->server->tail.encoder.mirror);
	int r = b.failed ? -1 : out_send_whole(s->server, s->wsi, b.p, b.len);

	buf_done(&b);
	s->texts_due = false;
	return r < 0 ? -1 : 1;
}

/* One message. 1, 0: nothing to send now, -1: close. */
static int send_next(struct session *s)
{
	int r = 0;

	if (s->broken)
		return close_with(s, CLOSE_POLICY, "too many bad or unread messages");
	if (!s->hello_sent || !s->catalog_sent)
		return send_opening(s);
	if (s->control.len)
		return send_control(s);
	if (s->replay)
		r = replay_send(s);
	else if (s->live)
		r = live_send(s);
	if (r == 0 && s->texts_due)
		r = send_texts(s);
	if (r == 0 && s->range)
		r = send_range(s);
	return r;
}

/* One message. 0, -1: close. */
static int take_turn(struct session *s)
{
	int r = 0;

	s->waiting_us = 0;
	if (s->n_jobs && !s->range && s->hello_sent)
		r = collect_jobs(s);
	if (r == 0)
		r = send_next(s); /* one message a turn */
	if (r < 0)
		return -1;
	/* The next answer may be ready: nobody wakes for it a second time. */
	if (has_work(s) || (r > 0 && s->n_jobs))
		session_ask(s);
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
	STAT_ADD(clients, 1);
	if (!server->n_sessions++)
		log_watch(server->config.log, true);
	stream_advance(server); /* not among the sessions yet: after a rest it may skip frames */
	s->next = server->sessions;
	s->link = &server->sessions;
	if (s->next)
		s->next->link = &s->next;
	server->sessions = s;
	if (has_work(s))
		session_ask(s);
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

static void kill_session(struct session *s)
{
	lws_set_timeout(s->wsi, PENDING_TIMEOUT_CLOSE_SEND, LWS_TO_KILL_ASYNC);
}

/* Most clients have read all they were sent: they get the news in this turn of the loop, without
 * another one to hear that they can be written to. */
static void serve_now(struct session *s)
{
	if (s->waiting_us || !s->hello_sent || lws_send_pipe_choked(s->wsi))
		session_ask(s);
	else if (take_turn(s) < 0)
		kill_session(s);
}

void stream_wake(struct server *server)
{
	uint64_t now_us = clock_mono_us();

	for (struct session *s = server->sessions, *next; s; s = next) {
		next = s->next;
		replay_wake(s);
		if (live_judge(s, now_us) < 0 || replay_judge(s, now_us) < 0) {
			close_with(s, CLOSE_TRY_AGAIN, "too slow: connect again and resume");
			kill_session(s);
			continue;
		}
		if (has_work(s) || s->n_jobs)
			serve_now(s);
	}
}

void stream_advance(struct server *server)
{
	if (tail_advance(&server->tail, !server->sessions) != -ESTALE)
		return;
	tail_advance(&server->tail, false);
	for (struct session *s = server->sessions; s; s = s->next) {
		bool *fresh = s->live ? calloc(s->n_groups + 1, sizeof(*fresh)) : NULL;

		if (s->live && (!fresh || replay_begin(s, REPLAY_RESUME, s->seq, 0, fresh) < 0))
			s->broken = true;
		free(fresh);
	}
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
		return take_turn(*slot);
	case LWS_CALLBACK_CLOSED:
		if (*slot)
			close_session(*slot);
		*slot = NULL;
		return 0;
	default:
		return 0;
	}
}
