#include "serve/request.h"

#include "base/cleanup.h"
#include "base/stats.h"
#include "base/walltime.h"
#include "profile/range.h"
#include "serve/capture_meta.h"
#include "store/capture_blocks.h"
#include "store/capture_log.h"

#include <errno.h>

enum { HEAD_ROOM = 2048, CHUNK_HEAD = 16 /* "10000\r\n" */, BLOCKS_A_JOB = 256 << 10 };

/* Stacks are made by stretches that repeat the names they need. */
static const int64_t stacks_stretch_us = 300000000;

static const char hint[] = "example: /api/v1/capture?from=-10m&to=now";

/* What is asked for: [from, to] of the timeline, or what follows a frame. */
struct wanted {
	int64_t from_us, to_us;
	uint64_t from_seq;
	bool no_stacks;
	int64_t stacks_us; /* from where on stacks are wanted */
};

struct download {
	struct wanted wanted;
	struct capture_blocks *blocks; /* while there are more; a job may have them */
	struct capture_cut *cut;       /* afterwards */
	uint64_t after_seq;	       /* blocks have the log up to this frame */
	struct capture_writer writer;
	struct buf made;	 /* and not sent yet */
	size_t sent;		 /* of it */
	bool waiting;		 /* for a job */
	struct profiles *stacks; /* to come after the rest; NULL: none, or no more */
	int64_t stacks_us;	 /* those before it are made */
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
	capture_blocks_close(d->blocks);
	capture_cut_close(d->cut);
	buf_done(&d->made);
	free(d);
}

/* ---- arguments ---- */

static bool parse_number(const char *v, int64_t *ret)
{
	char *end;

	errno = 0;
	*ret = strtoll(v, &end, 10);
	return !errno && end != v && !*end;
}

static bool parse_arg(const struct api_times *times, char *arg, struct wanted *w)
{
	char *v = strchr(arg, '=');
	int64_t seq;

	if (!v)
		return *arg == '/'; /* "?" and nothing after it: lws hands out the path */
	*v++ = '\0';
	if (strcmp(arg, "from") == 0)
		return api_time_parse(v, times, &w->from_us);
	if (strcmp(arg, "to") == 0)
		return api_time_parse(v, times, &w->to_us);
	if (strcmp(arg, "stacks") == 0) {
		w->no_stacks = strcmp(v, "0") == 0;
		return w->no_stacks || strcmp(v, "1") == 0;
	}
	if (strcmp(arg, "from_us") == 0)
		return parse_number(v, &w->from_us);
	if (strcmp(arg, "to_us") == 0)
		return parse_number(v, &w->to_us);
	if (strcmp(arg, "from_seq") != 0 || !parse_number(v, &seq) || seq <= 0)
		return false;
	w->from_seq = (uint64_t)seq;
	return true;
}

/* Of what is held with every sample; INT64_MAX: nothing is. */
static int64_t oldest_us(const struct server *s)
{
	struct history_stats held;

	history_stats(s->config.history, &held);
	return held.oldest_full_us;
}

static int refuse_range(struct request *r, const struct api_times *times, int64_t held_us)
{
	char text[160], at[WALLTIME_LEN];

	if (held_us == INT64_MAX)
		return request_refuse(r, 404, "nothing is held yet", hint);
	walltime_iso(at, history_wall_us(times->clocks, times->n_clocks, times->mirror, held_us));
	snprintf(text, sizeof(text), "nothing is held of this range in full: that begins at %s",
		 at);
	return request_refuse(r, 404, text, hint);
}

/* 0, or it was refused with the result in *ret. */
static int parse(struct request *r, struct wanted *w, int *ret)
{
	char *args[REQUEST_ARGS_MAX];
	const struct server *s = r->server;
	int64_t held_us = oldest_us(s);
	int n = request_args(r, args);
	struct api_times times;
	bool right = true;

	*w = (struct wanted){.from_us = INT64_MIN, .to_us = INT64_MAX};
	*ret = -1;
	if (n < 0 || api_times_open(&times, r->server) < 0)
		return -1;
	for (int i = 0; i < n && right; i++)
		right = parse_arg(&times, args[i], w);
	bool refused = true;

	if (!right)
		*ret = request_refuse(
			r, 400, "an argument is wrong (from, to, from_us, to_us, from_seq, stacks)",
			hint);
	else if (!w->from_seq && (w->from_us > w->to_us || w->from_us > (int64_t)server_now_us(s)))
		*ret = request_refuse(r, 400, "from is not before to, or lies in the future", hint);
	else if (held_us == INT64_MAX || w->to_us < held_us)
		*ret = refuse_range(r, &times, held_us);
	else
		refused = false;
	w->stacks_us = w->from_us; /* they begin before the first tick */
	if (!refused && !w->from_seq && w->from_us < held_us)
		w->from_us = held_us;
	api_times_done(&times);
	return refused ? -1 : 0;
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

static void tell(struct capture_meta *m, const struct server *s, const struct wanted *w)
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

/* What of the log follows the blocks. 0; -ENOENT: nothing; -EINVAL: no such frame; -ENOMEM. */
static int open_cut(struct request *r)
{
	struct download *d = r->download;
	const struct wanted *w = &d->wanted;
	const struct capture_cut_config c = {.log = r->server->config.log,
					     .from_seq = w->from_seq,
					     .after_seq = d->after_seq,
					     .from_us = w->from_us < 0 ? 0 : (uint64_t)w->from_us,
					     .to_us = w->to_us < 0 ? 0 : (uint64_t)w->to_us};

	return w->to_us < 0 ? -ENOENT : capture_cut_open(&d->cut, &c);
}

/* Frames of the log, or blocks first. As open_cut(). */
static int open_sources(struct request *r)
{
	struct download *d = r->download;
	const struct server *s = r->server;
	uint64_t log_us = log_oldest_us(s->config.log);

	if (d->wanted.from_seq || (log_us && d->wanted.from_us >= (int64_t)log_us))
		return open_cut(r);
	return capture_blocks_open(&d->blocks, s->config.history, d->wanted.from_us,
				   d->wanted.to_us);
}

static int64_t stacks_from_us(const struct server *s, int64_t from_us)
{
	struct profiles_stats held = {.oldest_us = from_us};

	if (s->config.profiles)
		profiles_stats(s->config.profiles, &held);
	return held.oldest_us > from_us && held.oldest_us != INT64_MAX ? held.oldest_us : from_us;
}

int download_begin(struct request *r)
{
	struct server *s = r->server;
	struct wanted wanted;
	int ret;

	if (parse(r, &wanted, &ret) < 0)
		return ret;
	if (s->n_downloads == DOWNLOADS_MAX)
		return request_refuse(r, 429, "too many captures are being sent",
				      "try again in a moment");
	r->download = calloc(1, sizeof(*r->download));
	if (!r->download)
		return -1;
	r->download->wanted = wanted;
	r->download->stacks_us = stacks_from_us(s, wanted.stacks_us);
	if (!wanted.no_stacks && !wanted.from_seq)
		r->download->stacks = s->config.profiles;
	s->n_downloads++;
	ret = open_sources(r);
	if (ret == 0)
		return begin(r);
	download_free(r);
	if (ret == -EINVAL)
		return request_refuse(r, 404, "the log has no such frame",
				      "the agent was restarted with a new log: begin again");
	return ret == -ENOENT ? request_refuse(r, 404, "nothing is held yet", hint) : -1;
}

/* ---- blocks: made by the query thread, which may wait for the disk ---- */

struct block_job {
	struct capture_blocks *blocks;
	struct capture_writer writer;
};

static void free_block_job(void *arg)
{
	struct block_job *b = arg;

	capture_blocks_close(b->blocks);
	free(b);
}

static int run_block_job(struct job *job)
{
	struct block_job *b = job->arg;
	int r = 1;

	b->writer.arg = &job->text;
	while (r == 1 && job->text.len < BLOCKS_A_JOB && !atomic_load(&job->cancel))
		r = capture_blocks_step(b->blocks, &b->writer);
	return r;
}

/* 0; -1: close. */
static int ask_blocks(struct request *r)
{
	struct download *d = r->download;
	struct job *job = job_new(JOB_CALL, r);
	struct block_job *b = calloc(1, sizeof(*b));

	if (!job || !b) {
		job_free(job);
		free(b);
		return -1;
	}
	*b = (struct block_job){.blocks = TAKE_PTR(d->blocks), .writer = d->writer};
	job->call = run_block_job;
	job->arg = b;
	job->free_arg = free_block_job;
	d->waiting = true;
	return request_wait(r, job, ENDPOINT_CAPTURE) < 0 ? -1 : 0;
}

/* ---- stacks: the same, by stretches ---- */

struct stacks_job {
	struct profiles *profiles;
	int64_t from_us, to_us;
	bool goes_on;
	struct capture_writer writer;
};

static int run_stacks_job(struct job *job)
{
	struct stacks_job *s = job->arg;
	uint8_t *data;
	size_t len;
	int r = range_epoch(s->profiles, s->from_us, &s->to_us, s->goes_on, &data, &len);

	if (r == -ENODATA || r == -EMSGSIZE) /* a stretch without them */
		return 0;
	if (r < 0)
		return r;
	s->writer.arg = &job->text;
	r = capture_section(&s->writer, CAPTURE_PROFILE, data, len);
	free(data);
	return r;
}

static int64_t stacks_end_us(const struct request *r)
{
	int64_t now_us = (int64_t)server_now_us(r->server), to_us = r->download->wanted.to_us;

	return to_us < now_us ? to_us : now_us;
}

/* As ask_blocks(). */
static int ask_stacks(struct request *r)
{
	struct download *d = r->download;
	struct job *job = job_new(JOB_CALL, r);
	struct stacks_job *s = calloc(1, sizeof(*s));
	int64_t end_us = stacks_end_us(r);

	if (!job || !s) {
		job_free(job);
		free(s);
		return -1;
	}
	if (end_us - d->stacks_us > stacks_stretch_us)
		end_us = d->stacks_us + stacks_stretch_us;
	*s = (struct stacks_job){d->stacks, d->stacks_us, end_us, end_us < d->wanted.to_us,
				 d->writer};
	job->call = run_stacks_job;
	job->arg = s;
	job->free_arg = free;
	d->waiting = true;
	return request_wait(r, job, ENDPOINT_CAPTURE) < 0 ? -1 : 0;
}

static void take_made(struct download *d, struct job *job, struct capture_writer writer)
{
	d->waiting = false;
	d->writer = writer;
	d->writer.arg = &d->made;
	buf_done(&d->made);
	d->made = job->text;
	d->sent = 0;
	job->text = (struct buf){0};
}

/* Takes what the query thread made. 1; 0: it is not done yet; -1: close. */
static int take_job(struct request *r)
{
	struct download *d = r->download;
	struct job *job = request_job(r);
	struct block_job *b;
	int ret;

	if (!job)
		return 0;
	if (job->call == run_stacks_job) {
		struct stacks_job *s = job->arg;

		d->stacks_us = s->to_us; /* or less than was asked for */
		take_made(d, job, s->writer);
		ret = job->r < 0 || d->made.failed ? -1 : 1;
		job_free(job);
		return ret;
	}
	b = job->arg;
	d->blocks = TAKE_PTR(b->blocks);
	take_made(d, job, b->writer);
	ret = job->r < 0 || d->made.failed ? -1 : 1;
	if (ret == 1 && job->r == 0) {
		d->after_seq = capture_blocks_seq(d->blocks);
		capture_blocks_close(TAKE_PTR(d->blocks));
		ret = open_cut(r);
		ret = ret == 0 || ret == -ENOENT ? 1 : -1;
	}
	job_free(job);
	return ret;
}

/* ---- the body ---- */

/* Something to send in d->made, or nothing yet. */
static int make_some(struct request *r)
{
	struct download *d = r->download;
	int e;

	buf_trim(&d->made, 2 * REQUEST_CHUNK);
	d->sent = 0;
	if (d->blocks)
		return ask_blocks(r);
	e = d->cut ? capture_cut_step(d->cut, &d->writer) : 0;
	if (e == 0 && d->stacks && d->stacks_us < stacks_end_us(r)) {
		capture_cut_close(TAKE_PTR(d->cut));
		return d->made.len ? 0 : ask_stacks(r); /* what is made goes out first */
	}
	if (e == 0) {
		e = capture_end(&d->writer);
		d->all_made = true;
	}
	return e < 0 ? -1 : 0;
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

	if (d->waiting) {
		int e = take_job(r);

		if (e <= 0)
			return e;
	} else if (d->sent == d->made.len && !d->all_made && make_some(r) < 0) {
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
