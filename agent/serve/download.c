#include "serve/request.h"

#include "base/stats.h"
#include "base/walltime.h"
#include "serve/capture_meta.h"
#include "store/capture_log.h"

#include <errno.h>

enum { HEAD_ROOM = 2048, CHUNK_HEAD = 16 /* "10000\r\n" */ };

static const char hint[] = "example: /api/v1/capture?from=-10m&to=now";

struct download {
	struct capture_cut *cut;
	struct capture_writer writer;
	struct buf made; /* and not sent yet */
	size_t sent;	 /* of it */
	bool chunked, all_made, end_sent;
};

static int on_write(void *arg, const void *data, size_t len)
{
	struct buf *b = arg;

	buf_put(b, data, len);
	return b->failed ? -ENOMEM : 0;
}

void download_free(struct request *r)
{
	struct download *d = r->download;

	if (!d)
		return;
	r->download = NULL;
	r->server->n_downloads--;
	capture_cut_close(d->cut);
	buf_done(&d->made);
	free(d);
}

/* ---- arguments ---- */

static bool parse_number(const char *v, uint64_t *ret)
{
	char *end;

	errno = 0;
	*ret = strtoull(v, &end, 10);
	return !errno && end != v && !*end && *v != '-';
}

/* What lies before this boot begins with it. */
static bool parse_time(const char *v, const struct api_times *times, uint64_t *ret)
{
	int64_t us;

	if (!api_time_parse(v, times, &us))
		return false;
	*ret = us < 0 ? 0 : (uint64_t)us;
	return true;
}

static bool parse_arg(const struct api_times *times, char *arg, struct capture_cut_config *c)
{
	char *v = strchr(arg, '=');

	if (!v)
		return *arg == '/'; /* "?" and nothing after it: lws hands out the path */
	*v++ = '\0';
	if (strcmp(arg, "from") == 0)
		return parse_time(v, times, &c->from_us);
	if (strcmp(arg, "to") == 0)
		return parse_time(v, times, &c->to_us);
	if (strcmp(arg, "from_us") == 0)
		return parse_number(v, &c->from_us);
	if (strcmp(arg, "to_us") == 0)
		return parse_number(v, &c->to_us);
	if (strcmp(arg, "from_seq") == 0)
		return parse_number(v, &c->from_seq) && c->from_seq;
	return false;
}

/* 0, or it was refused with the result in *ret. */
static int parse(struct request *r, struct capture_cut_config *c, int *ret)
{
	char *args[REQUEST_ARGS_MAX], text[160], at[WALLTIME_LEN];
	const struct server *s = r->server;
	uint64_t oldest_us = log_oldest_us(c->log);
	int n = request_args(r, args);
	struct api_times times;
	bool right = true;

	*ret = -1;
	if (n < 0 || request_times(r, &times) < 0)
		return -1;
	for (int i = 0; i < n && right; i++)
		right = parse_arg(&times, args[i], c);
	request_times_end(&times);
	if (!right) {
		*ret = request_refuse(
			r, 400, "an argument is wrong (from, to, from_us, to_us, from_seq)", hint);
		return -1;
	}
	if (!c->from_seq && (c->from_us > c->to_us || c->from_us > server_now_us(s))) {
		*ret = request_refuse(r, 400, "from is not before to, or lies in the future", hint);
		return -1;
	}
	if (!oldest_us || c->to_us < oldest_us) {
		walltime_iso(at, mirror_wall_us(&s->tail.encoder.mirror, oldest_us));
		snprintf(text, sizeof(text), "nothing is held of this range: the log begins at %s",
			 at);
		*ret = request_refuse(r, 404, text, hint);
		return -1;
	}
	return 0;
}

/* ---- the answer ---- */

static int send_head(struct request *r, const struct capture_meta *meta)
{
	static const char mime[] = "application/vnd.strobe.capture";
	uint8_t head[LWS_PRE + HEAD_ROOM], *begin = head + LWS_PRE, *p = begin,
					   *end = head + sizeof(head) - 1;
	char name[160], disposition[200];
	const char *headers[][2] = {{"cache-control:", "no-store"},
				    {"content-disposition:", disposition},
				    {"transfer-encoding:", "chunked"}};

	capture_file_name(name, sizeof(name), meta->host,
			  (int64_t)meta->from_us + meta->real_off_us);
	snprintf(disposition, sizeof(disposition), "attachment; filename=\"%s\"", name);
	if (lws_add_http_header_status(r->wsi, HTTP_STATUS_OK, &p, end) ||
	    lws_add_http_header_by_token(r->wsi, WSI_TOKEN_HTTP_CONTENT_TYPE,
					 (const unsigned char *)mime, sizeof(mime) - 1, &p, end))
		return -1;
	for (size_t i = 0; i < 2 + (size_t)r->download->chunked; i++)
		if (lws_add_http_header_by_name(r->wsi, (const unsigned char *)headers[i][0],
						(const unsigned char *)headers[i][1],
						(int)strlen(headers[i][1]), &p, end))
			return -1;
	if (lws_finalize_write_http_header(r->wsi, begin, &p, end))
		return -1;
	if (r->head) {
		download_free(r);
		return lws_http_transaction_completed(r->wsi) ? -1 : 0;
	}
	lws_set_timeout(r->wsi, PENDING_TIMEOUT_HTTP_CONTENT, REQUEST_SEND_TIMEOUT_S);
	lws_callback_on_writable(r->wsi);
	return 0;
}

static void tell(struct capture_meta *m, const struct server *s, const struct capture_cut_config *c)
{
	const struct mirror *mirror = &s->tail.encoder.mirror;
	uint64_t oldest_us = log_oldest_us(c->log);

	capture_meta_of(m, s->config.host, c->log, s->config.kernel);
	m->rate_hz = s->config.rate_hz;
	m->started_us = s->config.started_us;
	m->now_us = server_now_us(s);
	m->newest_us = mirror->mono_us;
	m->from_us = c->from_seq || c->from_us > oldest_us ? c->from_us : oldest_us;
	m->to_us = c->to_us < m->newest_us ? c->to_us : m->newest_us;
	m->real_off_us = mirror_wall_us(mirror, m->newest_us) - (int64_t)m->newest_us;
}

static int begin(struct request *r, const struct capture_cut_config *c)
{
	struct download *d = r->download;
	struct capture_meta meta;
	struct buf text = {0};
	char version[16] = "";

	/* "1.0" where the client knows no chunks: then the end of the connection is the end */
	d->chunked = lws_hdr_copy(r->wsi, version, sizeof(version), WSI_TOKEN_HTTP) < 0 ||
		     !strstr(version, "1.0");
	r->close = r->close || !d->chunked;
	d->writer = (struct capture_writer){.write = on_write, .arg = &d->made};
	tell(&meta, r->server, c);
	capture_meta_put(&text, &meta);
	int e = text.failed ? -ENOMEM : capture_begin(&d->writer);

	if (e == 0)
		e = capture_section(&d->writer, CAPTURE_META, text.p, text.len);
	buf_done(&text);
	return e < 0 ? -1 : send_head(r, &meta);
}

int download_begin(struct request *r)
{
	struct server *s = r->server;
	struct capture_cut_config c = {.log = s->config.log, .to_us = UINT64_MAX};
	int ret;

	if (parse(r, &c, &ret) < 0)
		return ret;
	if (s->n_downloads == DOWNLOADS_MAX)
		return request_refuse(r, 429, "too many captures are being sent",
				      "try again in a moment");
	r->download = calloc(1, sizeof(*r->download));
	if (!r->download)
		return -1;
	s->n_downloads++;
	ret = capture_cut_open(&r->download->cut, &c);
	if (ret == 0)
		return begin(r, &c);
	download_free(r);
	if (ret == -EINVAL)
		return request_refuse(r, 404, "the log has no such frame",
				      "the agent was restarted with a new log: begin again");
	return ret == -ENOENT ? request_refuse(r, 404, "nothing is held yet", hint) : -1;
}

/* ---- the body ---- */

/* Something to send in d->made, or nothing yet. */
static int make_some(struct download *d)
{
	int r = capture_cut_step(d->cut, &d->writer);

	if (r == 0) {
		r = capture_end(&d->writer);
		d->all_made = true;
	}
	return r < 0 ? -1 : 0;
}

/* One piece of d->made, and what ends the body after the last. */
static int send_piece(struct request *r)
{
	struct download *d = r->download;
	struct buf *out = &r->server->out;
	size_t n = d->made.len - d->sent;
	char head[CHUNK_HEAD];

	n = n < REQUEST_CHUNK ? n : REQUEST_CHUNK;
	out_begin(r->server);
	if (d->chunked && n) {
		snprintf(head, sizeof(head), "%zx\r\n", n);
		buf_text(out, head);
	}
	buf_put(out, d->made.p + d->sent, n);
	if (d->chunked && n)
		buf_text(out, "\r\n");
	d->sent += n;
	d->end_sent = d->all_made && d->sent == d->made.len;
	if (d->chunked && d->end_sent)
		buf_text(out, "0\r\n\r\n");
	if (out->failed)
		return -1;
	STAT_ADD(bytes_sent, n);
	return lws_write(r->wsi, out->p + OUT_HEAD, out->len - OUT_HEAD,
			 d->end_sent ? LWS_WRITE_HTTP_FINAL : LWS_WRITE_HTTP) < 0
		       ? -1
		       : 0;
}

int download_send(struct request *r)
{
	struct download *d = r->download;

	if (d->sent == d->made.len && !d->all_made) {
		buf_trim(&d->made, 2 * REQUEST_CHUNK);
		d->sent = 0;
		if (make_some(d) < 0)
			return -1; /* cut short: the missing end says so */
	}
	if ((d->sent < d->made.len || d->all_made) && send_piece(r) < 0)
		return -1;
	if (d->end_sent) {
		download_free(r);
		lws_set_timeout(r->wsi, NO_PENDING_TIMEOUT, 0);
		return r->close || lws_http_transaction_completed(r->wsi) ? -1 : 0;
	}
	lws_set_timeout(r->wsi, PENDING_TIMEOUT_HTTP_CONTENT, REQUEST_SEND_TIMEOUT_S);
	lws_callback_on_writable(r->wsi);
	return 0;
}
