#include "serve/download.h"

#include "base/stats.h"
#include "serve/capture_meta.h"

#include <errno.h>

enum { HEAD_ROOM = 2048, CHUNK_HEAD = 16 /* "10000\r\n" */ };

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
	capture_blocks_close(d->blocks);
	capture_cut_close(d->cut);
	buf_done(&d->made);
	free(d);
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

	capture_file_name(name, sizeof(name), meta->host, meta->from_us + meta->real_off_us);
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

static void tell(struct capture_meta *m, const struct server *s, const struct download_wanted *w)
{
	const struct mirror *mirror = &s->tail.encoder.mirror;

	capture_meta_of(m, s->config.host, s->config.log, s->config.kernel);
	m->rate_hz = s->config.rate_hz;
	m->started_us = s->config.started_us;
	m->now_us = server_now_us(s);
	m->newest_us = mirror->mono_us;
	m->from_us = w->from_seq ? 0 : w->from_us;
	m->to_us = w->to_us < (int64_t)m->newest_us ? w->to_us : (int64_t)m->newest_us;
	m->real_off_us = mirror_wall_us(mirror, m->newest_us) - (int64_t)m->newest_us;
}

static int begin(struct request *r)
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
	tell(&meta, r->server, &d->wanted);
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
	struct download_wanted wanted;
	int ret;

	if (download_parse(r, &wanted, &ret) < 0)
		return ret;
	if (s->n_downloads == DOWNLOADS_MAX)
		return request_refuse(r, 429, "too many captures are being sent",
				      "try again in a moment");
	r->download = calloc(1, sizeof(*r->download));
	if (!r->download)
		return -1;
	r->download->wanted = wanted;
	r->download->stacks_us = wanted.stacks_us;
	if (!wanted.no_stacks && !wanted.from_seq)
		r->download->stacks = s->config.profiles;
	s->n_downloads++;
	ret = download_open(r);
	if (ret == 0)
		return begin(r);
	download_free(r);
	if (ret == -EINVAL)
		return request_refuse(r, 404, "the log has no such frame",
				      "the agent was restarted with a new log: begin again");
	return ret == -ENOENT ? request_refuse(r, 404, "nothing is held yet", download_hint) : -1;
}

/* ---- the body ---- */

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

	if (d->waiting) {
		int e = download_take(r);

		if (e <= 0)
			return e;
	} else if (d->sent == d->made.len && !d->all_made && download_make(r) < 0) {
		return -1; /* cut short: the missing end says so */
	}
	if (d->waiting)
		return 0;
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
