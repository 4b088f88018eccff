#include "base/stats.h"
#include "serve/access.h"
#include "serve/assets.h"
#include "serve/request.h"

#include <errno.h>

enum { HEADERS_MAX = 4096, KEEP_BODY = 64 << 10 };

static void forget_body(struct request *r)
{
	buf_trim(&r->body, KEEP_BODY);
	job_free(r->answer);
	r->answer = NULL;
}

/* ---- responses ---- */

int request_respond(struct request *r, unsigned status, const char *mime,
		    const struct request_header *extra, size_t n_extra)
{
	uint8_t head[LWS_PRE + HEADERS_MAX], *begin = head + LWS_PRE, *p = begin,
					     *end = head + sizeof(head) - 1;

	if (lws_add_http_common_headers(r->wsi, status, mime, r->len, &p, end))
		return -1;
	for (size_t i = 0; i < n_extra; i++)
		if (lws_add_http_header_by_name(r->wsi, (const unsigned char *)extra[i].name,
						(const unsigned char *)extra[i].value,
						(int)strlen(extra[i].value), &p, end))
			return -1;
	if (lws_finalize_write_http_header(r->wsi, begin, &p, end))
		return -1;
	r->sent = r->head ? r->len : 0;
	if (r->sent == r->len)
		return r->close || lws_http_transaction_completed(r->wsi) ? -1 : 0;
	lws_set_timeout(r->wsi, PENDING_TIMEOUT_HTTP_CONTENT, REQUEST_SEND_TIMEOUT_S);
	lws_callback_on_writable(r->wsi);
	return 0;
}

/* The body that stands in r->body. */
int request_respond_body(struct request *r, unsigned status, const char *mime)
{
	static const struct request_header extra[] = {{"cache-control:", "no-store"}};

	if (r->body.failed)
		return -1;
	r->data = r->body.p;
	r->len = r->body.len;
	return request_respond(r, status, mime, extra, 1);
}

int request_refuse(struct request *r, unsigned status, const char *error, const char *hint)
{
	static const struct request_header unauthorized[] = {{"cache-control:", "no-store"},
							     {"www-authenticate:", "Bearer"}};
	static const struct request_header method[] = {{"cache-control:", "no-store"},
						       {"allow:", "GET, HEAD"}};

	STAT_ADD(refused_requests, 1);
	buf_clear(&r->body);
	api_error_json(&r->body, error, hint);
	if (r->body.failed)
		return -1;
	r->data = r->body.p;
	r->len = r->body.len;
	if (status == 401)
		return request_respond(r, status, "application/json", unauthorized, 2);
	return request_respond(r, status, "application/json", method, status == 405 ? 2 : 1);
}

static int send_some(struct request *r)
{
	struct buf *out = &r->server->out;
	size_t n = r->len - r->sent;
	bool last = n <= REQUEST_CHUNK;

	if (r->sent == r->len)
		return 0;
	n = last ? n : REQUEST_CHUNK;
	out_begin(r->server);
	buf_put(out, r->data + r->sent, n);
	if (out->failed)
		return -1;
	if (lws_write(r->wsi, out->p + OUT_HEAD, n, last ? LWS_WRITE_HTTP_FINAL : LWS_WRITE_HTTP) <
	    0)
		return -1;
	r->sent += n;
	if (!last) {
		lws_set_timeout(r->wsi, PENDING_TIMEOUT_HTTP_CONTENT, REQUEST_SEND_TIMEOUT_S);
		lws_callback_on_writable(r->wsi);
		return 0;
	}
	lws_set_timeout(r->wsi, NO_PENDING_TIMEOUT, 0);
	forget_body(r);
	return r->close || lws_http_transaction_completed(r->wsi) ? -1 : 0;
}

/* ---- the API ---- */

int request_wait(struct request *r, struct job *job, enum endpoint endpoint)
{
	if (!job || jobs_add(&r->server->jobs, job) < 0) {
		job_free(job);
		return -EAGAIN;
	}
	r->pending = endpoint;
	r->next = r->server->waiting;
	r->server->waiting = r;
	lws_set_timeout(r->wsi, PENDING_TIMEOUT_HTTP_CONTENT, 60);
	return 0;
}

struct job *request_job(struct request *r)
{
	struct job *job = jobs_take(&r->server->jobs, r);

	if (!job)
		return NULL;
	for (struct request **p = &r->server->waiting; *p; p = &(*p)->next)
		if (*p == r) {
			*p = r->next;
			break;
		}
	lws_set_timeout(r->wsi, NO_PENDING_TIMEOUT, 0);
	r->pending = ENDPOINT_NONE;
	return job;
}

static int wait_for(struct request *r, struct job *job, enum endpoint endpoint)
{
	return request_wait(r, job, endpoint) == 0
		       ? 0
		       : request_refuse(r, 429, "too many queries are waiting",
					"try again in a second");
}

int request_args(struct request *r, char *args[REQUEST_ARGS_MAX])
{
	size_t total = 0;
	int n = 0, len;
	char *p;

	while (n < REQUEST_ARGS_MAX &&
	       (len = lws_hdr_fragment_length(r->wsi, WSI_TOKEN_HTTP_URI_ARGS, n)) > 0) {
		total += (size_t)len + 1;
		n++;
	}
	free(r->args);
	r->args = p = malloc(total + 1);
	if (!p)
		return -ENOMEM;
	for (int i = 0; i < n; i++) {
		int room = lws_hdr_fragment_length(r->wsi, WSI_TOKEN_HTTP_URI_ARGS, i) + 1;

		if (lws_hdr_copy_fragment(r->wsi, p, room, WSI_TOKEN_HTTP_URI_ARGS, i) < 0)
			*p = '\0';
		args[i] = p;
		p += strlen(p) + 1;
	}
	return n;
}

static int api_query(struct request *r)
{
	struct query_selector selectors[API_METRICS_MAX];
	char *args[REQUEST_ARGS_MAX], err[256];
	int n = request_args(r, args);

	if (n < 0)
		return -1;
	struct api_times times;

	if (api_times_open(&times, r->server) < 0)
		return -1;
	unsigned status = api_query_parse(&r->query, args, (size_t)n, &times, err, sizeof(err));

	api_times_done(&times);

	if (status)
		return request_refuse(r, status, err,
				      "see /api/v1/metrics for the names; example: "
				      "/api/v1/query?metric=kernel.all.load&from=-30s&points=30");
	for (size_t i = 0; i < r->query.n_metrics; i++)
		selectors[i] = (struct query_selector){r->query.metrics[i], r->query.instance};
	struct job *job = job_new(JOB_RANGE, r);

	if (job && job_set_selectors(job, selectors, r->query.n_metrics) < 0) {
		job_free(job);
		return -1;
	}
	if (job) {
		job->request.from_us = r->query.from_us;
		job->request.to_us = r->query.to_us;
		job->request.points = r->query.points;
		job->request.raw = !r->query.rate;
		job->request.chart = r->query.approx;
		job->render = r->query.csv ? api_render_csv : api_render_json;
	}
	return wait_for(r, job, ENDPOINT_QUERY);
}

/* What a job that only renders is for: rank and held. */
static int api_past(struct request *r, struct job *job, void (*render)(struct job *))
{
	if (job)
		job->render = render;
	return wait_for(r, job, ENDPOINT_PAST);
}

static int api_rank(struct request *r)
{
	char *args[REQUEST_ARGS_MAX], err[256];
	struct rank_request rq;
	struct api_times times;
	struct job *job;
	unsigned status;
	int n = request_args(r, args);

	if (n < 0 || api_times_open(&times, r->server) < 0)
		return -1;
	status = api_rank_parse(&rq, args, (size_t)n, &times, err, sizeof(err));
	api_times_done(&times);
	if (status)
		return request_refuse(r, status, err,
				      "example: /api/v1/rank?from=-5m&to=-4m (or: strobe rank)");
	job = job_new(JOB_RANK, r);
	if (job)
		job->rank_request = rq;
	return api_past(r, job, api_render_rank);
}

static int refuse_unknown(struct request *r, const struct job *job)
{
	const char *metric = job->unknown     ? job->unknown
			     : job->selectors ? job->selectors[0].metric
					      : "that";
	char err[200];

	snprintf(err, sizeof(err), "no metric is called %.128s", metric);
	return request_refuse(r, 404, err, "/api/v1/metrics (or: strobe metrics) lists the names");
}

static int finish_query(struct request *r, struct job *job, enum endpoint endpoint)
{
	if (job->r == -ENODATA)
		return request_refuse(r, 404, "nothing is held of that range, or of its baseline",
				      "/api/v1/held says what is");
	if (job->r == -ENOENT)
		return refuse_unknown(r, job);
	if (job->r == -ENOMEM || job->r == -E2BIG)
		return request_refuse(r, 413, "the result is too large",
				      "ask for fewer points, metrics or instances");
	if (job->r == -EBUSY)
		return request_refuse(r, 429, "the results of other queries are still being sent",
				      "try again in a second");
	if (job->r < 0)
		return request_refuse(r, 400, "the query cannot be run", strerror(-job->r));
	buf_done(&r->body);
	r->body = job->text;
	job->text = (struct buf){0};
	r->body.max = 0;
	return request_respond_body(r, HTTP_STATUS_OK,
				    endpoint == ENDPOINT_QUERY && r->query.csv
					    ? "text/csv; charset=utf-8"
					    : "application/json");
}

/* A job of this request may be done: answers it. */
static int finish_pending(struct request *r)
{
	enum endpoint endpoint = r->pending;
	struct job *job = request_job(r);

	if (!job)
		return 0;
	forget_body(r);
	r->answer = job;
	if (endpoint == ENDPOINT_PROFILE)
		return request_profile_finish(r, job);
	if (endpoint != ENDPOINT_STATUS)
		return finish_query(r, job, endpoint);
	api_status_json(&r->body, r->server, job->r < 0 ? NULL : job->result);
	return request_respond_body(r, HTTP_STATUS_OK, "application/json");
}

void http_wake(struct server *s)
{
	for (struct request *r = s->waiting; r; r = r->next)
		lws_callback_on_writable(r->wsi);
}

static int api(struct request *r, const char *path, bool post)
{
	char authorization[ACCESS_TOKEN_MAX + 16] = "";

	if (lws_hdr_copy(r->wsi, authorization, sizeof(authorization),
			 WSI_TOKEN_HTTP_AUTHORIZATION) < 0 ||
	    !access_bearer_ok(authorization, r->server->config.token))
		return request_refuse(
			r, 401, "the token is missing or wrong",
			"send the header Authorization: Bearer TOKEN, with the token of the "
			"URL that the agent "
			"printed");
	if (post)
		return request_burst(r); /* the only action there is */
	stream_advance(r->server);
	if (strcmp(path, "status") == 0)
		return wait_for(r, api_status_job(r->server, r), ENDPOINT_STATUS);
	if (strcmp(path, "query") == 0)
		return api_query(r);
	if (strcmp(path, "rank") == 0)
		return api_rank(r);
	if (strcmp(path, "held") == 0)
		return api_past(r, job_new(JOB_HELD, r), api_render_held);
	if (strcmp(path, "metrics") == 0) {
		api_metrics_json(&r->body, &r->server->tail.encoder.mirror);
		return request_respond_body(r, HTTP_STATUS_OK, "application/json");
	}
	if (strcmp(path, "capture") == 0)
		return download_begin(r);
	if (strcmp(path, "profile") == 0)
		return request_profile(r);
	return request_refuse(r, 404, "no such endpoint",
			      "there are /api/v1/status, /api/v1/metrics, /api/v1/query, "
			      "/api/v1/rank, /api/v1/held, /api/v1/capture and /api/v1/profile");
}

static int route(struct request *r, const char *path)
{
	char *uri;
	int uri_len, method = lws_http_get_uri_and_method(r->wsi, &uri, &uri_len);
	unsigned status = server_check_request(r->wsi);
	const struct asset *asset;

	STAT_ADD(http_requests, 1);
	r->head = method == LWSHUMETH_HEAD;
	r->close = method != LWSHUMETH_GET && method != LWSHUMETH_HEAD; /* its body is not read */
	if (status)
		return request_refuse(
			r, status, "this host name or origin is not served",
			"open the agent as http://127.0.0.1:PORT/ or http://localhost:PORT/, "
			"directly or "
			"through an SSH tunnel");
	if (method == LWSHUMETH_POST && strcmp(path, "/api/v1/profile/burst") == 0)
		return api(r, path + 8, true);
	if (r->close)
		return request_refuse(r, 405, "only GET and HEAD are answered here",
				      "POST is for /api/v1/profile/burst");
	if (strcmp(path, "/healthz") == 0) {
		buf_text(&r->body, "ok");
		return request_respond_body(r, HTTP_STATUS_OK, "text/plain");
	}
	if (strncmp(path, "/api/v1/", 8) == 0)
		return api(r, path + 8, false);
	asset = asset_find(path);
	if (asset)
		return request_asset(r, asset);
	return request_refuse(r, 404, "nothing is here", "the dashboard is at /");
}

static void request_free(struct request *r)
{
	if (!r)
		return;
	if (r->pending) {
		jobs_abandon(&r->server->jobs, r);
		for (struct request **p = &r->server->waiting; *p; p = &(*p)->next)
			if (*p == r) {
				*p = r->next;
				break;
			}
	}
	download_free(r);
	buf_done(&r->body);
	job_free(r->answer);
	free(r->args);
	free(r);
}

static int begin(struct lws *wsi, struct request **slot, const char *path, size_t len)
{
	char copy[512];

	if (!*slot) {
		*slot = calloc(1, sizeof(**slot));
		if (!*slot)
			return -1;
	}
	struct request *r = *slot;

	if (r->pending || r->download)
		return -1; /* pipelined on one that is not answered yet */
	r->server = server_of(wsi);
	r->wsi = wsi;
	r->len = r->sent = 0;
	forget_body(r);
	if (len >= sizeof(copy))
		return request_refuse(r, 414, "the path is too long", "the dashboard is at /");
	memcpy(copy, path, len);
	copy[len] = '\0';
	return route(r, copy);
}

/* An upgrade: what is refused here never becomes a session. */
static int confirm_upgrade(struct lws *wsi, const char *to)
{
	char protocols[160] = "", *uri;
	int uri_len = 0;
	unsigned status = server_check_request(wsi);

	STAT_ADD(http_requests, 1);
	if (lws_http_get_uri_and_method(wsi, &uri, &uri_len) != LWSHUMETH_GET || uri_len != 7 ||
	    memcmp(uri, "/stream", 7) != 0 || strcmp(to, "websocket") != 0)
		status = status ? status : HTTP_STATUS_NOT_FOUND;
	if (!status && (lws_hdr_copy(wsi, protocols, sizeof(protocols), WSI_TOKEN_PROTOCOL) < 0 ||
			!access_protocols_ok(protocols, server_of(wsi)->config.token)))
		status = HTTP_STATUS_UNAUTHORIZED;
	if (!status)
		return 0;
	STAT_ADD(refused_requests, 1);
	return lws_return_http_status(wsi, status, NULL) ? -1 : 1;
}

int http_callback(struct lws *wsi, enum lws_callback_reasons reason, void *user, void *in,
		  size_t len)
{
	struct request **slot = user;

	switch (reason) {
	case LWS_CALLBACK_WSI_CREATE:
		server_of(wsi)->n_wsi++;
		return 0;
	case LWS_CALLBACK_WSI_DESTROY:
		server_of(wsi)->n_wsi--;
		return 0;
	case LWS_CALLBACK_HTTP:
		return begin(wsi, slot, in, len);
	case LWS_CALLBACK_HTTP_WRITEABLE:
		if (!slot || !*slot)
			return 0;
		if ((*slot)->download)
			return download_send(*slot);
		return (*slot)->pending ? finish_pending(*slot) : send_some(*slot);
	case LWS_CALLBACK_HTTP_CONFIRM_UPGRADE:
		return confirm_upgrade(wsi, in);
	case LWS_CALLBACK_HTTP_DROP_PROTOCOL:
	case LWS_CALLBACK_CLOSED_HTTP:
		if (slot) {
			request_free(*slot);
			*slot = NULL;
		}
		return 0;
	default:
		return 0;
	}
}
