#include "serve/download.h"

#include "base/cleanup.h"
#include "profile/range.h"

#include <errno.h>

enum { BLOCKS_A_JOB = 256 << 10 };

/* Stacks are made by stretches that repeat the names they need. */
static const int64_t stacks_stretch_us = 300000000;

/* What of the log follows the blocks. 0; -ENOENT: nothing; -EINVAL: no such frame; -ENOMEM. */
static int open_cut(struct request *r)
{
	struct download *d = r->download;
	const struct download_wanted *w = &d->wanted;
	const struct capture_cut_config c = {.log = r->server->config.log,
					     .from_seq = w->from_seq,
					     .after_seq = d->after_seq,
					     .from_us = w->from_us < 0 ? 0 : (uint64_t)w->from_us,
					     .to_us = w->to_us < 0 ? 0 : (uint64_t)w->to_us};

	return w->to_us < 0 ? -ENOENT : capture_cut_open(&d->cut, &c);
}

/* Frames of the log, or blocks first. */
int download_open(struct request *r)
{
	struct download *d = r->download;
	const struct server *s = r->server;
	uint64_t log_us = log_oldest_us(s->config.log);

	if (d->wanted.from_seq || (log_us && d->wanted.from_us >= (int64_t)log_us))
		return open_cut(r);
	return capture_blocks_open(&d->blocks, s->config.history, d->wanted.from_us,
				   d->wanted.to_us);
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
	int64_t from_us, to_us; /* wanted; then made up to to_us */
	struct capture_writer writer;
};

static int run_stacks_job(struct job *job)
{
	struct stacks_job *s = job->arg;
	int64_t at_us = profiles_next_us(s->profiles, s->from_us, s->to_us);
	uint8_t *data;
	size_t len;

	if (at_us >= s->to_us)
		return 0;
	bool goes_on = (uint64_t)s->to_us - (uint64_t)at_us > (uint64_t)stacks_stretch_us;

	if (goes_on)
		s->to_us = at_us + stacks_stretch_us;
	int r = range_epoch(s->profiles, at_us, &s->to_us, goes_on, &data, &len);

	if (r == -ENODATA || r == -EMSGSIZE) /* a stretch without them */
		return 0;
	if (r < 0)
		return r;
	s->writer.arg = &job->text;
	r = capture_section(&s->writer, CAPTURE_PROFILE, data, len);
	free(data);
	return r;
}

/* As ask_blocks(). */
static int ask_stacks(struct request *r)
{
	struct download *d = r->download;
	struct job *job = job_new(JOB_CALL, r);
	struct stacks_job *s = calloc(1, sizeof(*s));

	if (!job || !s) {
		job_free(job);
		free(s);
		return -1;
	}
	*s = (struct stacks_job){d->stacks, d->stacks_us, d->stacks_end_us, d->writer};
	job->call = run_stacks_job;
	job->arg = s;
	job->free_arg = free;
	d->waiting = true;
	return request_wait(r, job, ENDPOINT_CAPTURE) < 0 ? -1 : 0;
}

/* Up to when they are wanted: fixed when everything else is made, for more come all the time. */
static bool has_more_stacks(const struct request *r)
{
	struct download *d = r->download;
	int64_t now_us = (int64_t)server_now_us(r->server);

	if (!d->stacks_end_us)
		d->stacks_end_us = d->wanted.to_us < now_us ? d->wanted.to_us : now_us;
	return d->stacks && d->stacks_us < d->stacks_end_us;
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

int download_take(struct request *r)
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

/* ---- the whole, in order ---- */

int download_make(struct request *r)
{
	struct download *d = r->download;
	int e;

	buf_trim(&d->made, 2 * REQUEST_CHUNK);
	d->sent = 0;
	if (d->blocks)
		return ask_blocks(r);
	e = d->cut ? capture_cut_step(d->cut, &d->writer) : 0;
	if (e == 0 && has_more_stacks(r)) {
		capture_cut_close(TAKE_PTR(d->cut));
		return d->made.len ? 0 : ask_stacks(r); /* what is made goes out first */
	}
	if (e == 0) {
		e = capture_end(&d->writer);
		d->all_made = true;
	}
	return e < 0 ? -1 : 0;
}
