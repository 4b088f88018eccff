#include "cmd/record_source.h"

#include "base/clock.h"
#include "base/msg.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

enum { LOG_BYTES = 16 << 20, MEMORY_BYTES = 128 << 20, BEGIN_MS = 2000 };

/* After the end, how long its last ticks may take; without an answer, how long we go on asking. */
static const uint64_t late_us = 2000000, patience_us = 10000000;

uint64_t record_now_us(const struct record_source *s)
{
	return (uint64_t)((int64_t)clock_mono_us() + s->ahead_us);
}

bool record_is_over(const struct record_source *s)
{
	return s->to_us != UINT64_MAX &&
	       (s->newest_us > s->to_us || record_now_us(s) > s->to_us + late_us);
}

/* ---- an agent that runs ---- */

/* The seq that follows the frames of a section. */
static void note_frames(struct record_source *s, const uint8_t *data, size_t len)
{
	struct capture_unpack u;
	struct frame f;

	if (capture_unpack_begin(&u, data, len) < 0)
		return;
	while (capture_unpack_next(&u, &f) == 1)
		if (f.seq && !(f.seq & CAPTURE_STATE))
			s->next_seq = f.seq + 1;
}

static int take_meta(struct record_source *s, const uint8_t *data, size_t len)
{
	struct capture_meta m;

	if (capture_meta_parse(data, len, &m) < 0)
		return -EBADMSG;
	if (!s->held_us)
		s->held_us = m.from_us;
	if (s->meta.version[0] && memcmp(m.log_id, s->meta.log_id, LOG_ID_LEN) != 0)
		return -ESTALE;
	s->meta = m;
	return 0;
}

/* One answer of the agent, a capture of its own. out NULL: only what it says of itself. */
static int take_answer(struct record_source *s, struct capture_reader *c, struct capture_out *out)
{
	enum capture_type type;
	const uint8_t *data;
	size_t len;
	int r;

	while ((r = capture_next(c, &type, &data, &len)) == 1) {
		if (type == CAPTURE_META)
			r = take_meta(s, data, len);
		else if (out)
			r = capture_out_section(out, type, data, len);
		if (r < 0)
			return r;
		if (type == CAPTURE_FRAMES && out)
			note_frames(s, data, len);
	}
	if (r == 0 && !capture_is_whole(c))
		r = -EPIPE;
	return r;
}

static int ask(struct record_source *s, const char *target, struct capture_out *out, char *err,
	       size_t err_len)
{
	struct client_stream *stream;
	struct capture_reader *c;
	int r = client_stream_open(&stream, &s->client, target, err, err_len);

	if (r < 0)
		return r;
	r = capture_open_read(&c, client_stream_read, stream, err, err_len);
	if (r == 0) {
		r = take_answer(s, c, out);
		capture_close(c);
		if (r < 0)
			snprintf(err, err_len, "%s: %s", s->client.shown, strerrordesc_np(-r));
	}
	client_stream_close(stream);
	return r;
}

int record_from_agent(struct record_source *s, const struct client *client, char *err,
		      size_t err_len)
{
	uint64_t asked_us = clock_mono_us();
	int r;

	*s = (struct record_source){.remote = true, .client = *client, .to_us = UINT64_MAX};
	r = ask(s, "/api/v1/capture?stacks=0&from=now", NULL, err, err_len);
	if (r < 0)
		return r;
	s->answered_us = clock_mono_us();
	s->ahead_us = (int64_t)s->meta.now_us - (int64_t)(asked_us + s->answered_us) / 2;
	s->from_us = (int64_t)s->meta.now_us;
	s->held_us = 0;
	return 0;
}

static int step_agent(struct record_source *s, struct capture_out *out)
{
	char target[128], err[512], to[32] = "";
	int r;

	if (s->to_us != UINT64_MAX)
		snprintf(to, sizeof(to), "&to_us=%" PRIu64, s->to_us);
	if (s->next_seq)
		snprintf(target, sizeof(target), "/api/v1/capture?stacks=0&from_seq=%" PRIu64 "%s",
			 s->next_seq, to);
	else
		snprintf(target, sizeof(target), "/api/v1/capture?stacks=0&from_us=%" PRId64 "%s",
			 s->from_us, to);
	r = ask(s, target, out, err, sizeof(err));
	if (r == 0) {
		s->newest_us = s->meta.newest_us;
		s->answered_us = clock_mono_us();
		return 0;
	}
	if (out->error)
		return out->error;
	if (r == -ESTALE || r == -EREMOTEIO) { /* another log, or what it refuses */
		msg(MSG_ERROR, "%s",
		    r == -ESTALE ? "the agent was restarted with a new log: the capture ends here"
				 : err);
		return r;
	}
	bool again = s->next_seq || out->writer.sections < 2; /* else the past would come twice */

	if (again && clock_mono_us() - s->answered_us < patience_us)
		return 0; /* it may be on its way back, with the same log */
	msg(MSG_ERROR, "%s: the capture ends here", err);
	return r;
}

/* ---- a sampler of our own ---- */

static void on_failure(void *arg)
{
	struct record_source *s = arg;

	s->failed = true;
}

static int open_profiling(struct record_source *s, uint32_t hz)
{
	const struct profiling_config c = {
		.host = &s->agent.host, .memory_bytes = MEMORY_BYTES, .hz = hz, .off_cpu = true};

	s->stacks.off = !hz;
	return hz ? profiling_open(&s->profiling, &c) : 0;
}

static int begin_cut(struct record_source *s)
{
	struct capture_cut_config c = {.log = s->agent.log, .follow = true, .to_us = UINT64_MAX};

	c.from_us = s->newest_us = clock_mono_us();
	s->from_us = (int64_t)c.from_us;
	return capture_cut_open(&s->cut, &c);
}

int record_from_sampler(struct record_source *s, const struct agent_config *c, uint32_t profile_hz)
{
	struct log_config lc = {.size_bytes = LOG_BYTES};
	enum log_state state;
	char err[300];
	int r;

	*s = (struct record_source){.to_us = UINT64_MAX};
	msg_set_level(MSG_WARN);
	end_signals_block();
	threads_init(&s->threads);
	r = agent_open_host(&s->agent, c);
	if (r < 0)
		return r;
	lc.boot_id = s->agent.host.boot_id;
	r = log_open(&s->agent.log, &lc, &state, err, sizeof(err));
	if (r < 0)
		msg(MSG_ERROR, "%s", err);
	if (!r)
		r = agent_open_sampler(&s->agent, c, false);
	if (r < 0)
		return r;
	s->agent.failed = on_failure;
	s->agent.failed_arg = s;
	r = open_profiling(s, profile_hz);
	if (r == 0)
		r = agent_start(&s->agent, &s->threads);
	if (r == 0)
		r = profiling_start(&s->profiling, &s->threads);
	if (r < 0)
		return r;
	sampler_wait_begun(s->agent.sampler, BEGIN_MS);
	r = begin_cut(s);
	if (r < 0) {
		msg(MSG_ERROR, "the sampler does not begin");
		return r;
	}
	capture_meta_of(&s->meta, &s->agent.host, s->agent.log, NULL);
	s->meta.rate_hz = c->rate_hz;
	s->meta.started_us = s->meta.now_us = (uint64_t)s->from_us;
	s->meta.real_off_us = clock_real_off_us();
	return 0;
}

static int step_sampler(struct record_source *s, struct capture_out *out)
{
	uint64_t now_us = clock_mono_us();
	int r;

	if (s->failed)
		return -EIO; /* it has said why */
	capture_cut_end(s->cut, s->to_us);
	do
		r = capture_cut_step(s->cut, &out->writer);
	while (r == 1);
	if (r < 0)
		return capture_out_check(out, r);
	s->newest_us = capture_cut_over(s->cut) ? s->to_us + 1 : now_us;
	if (!capture_cut_over(s->cut) && s->newest_us > s->to_us)
		s->newest_us = s->to_us;
	return 0;
}

/* ---- both ---- */

static int step_stacks(struct record_source *s, bool last, struct capture_out *out)
{
	uint64_t to_us = s->newest_us < s->to_us ? s->newest_us : s->to_us;

	s->stacks.client = s->remote ? &s->client : NULL;
	s->stacks.profiles = s->profiling.profiles;
	if (!s->stacks.next_us)
		s->stacks.next_us = s->from_us > s->held_us ? s->from_us : s->held_us;
	return record_stacks_step(&s->stacks, (int64_t)to_us, last, out);
}

int record_finish(struct record_source *s, struct capture_out *out)
{
	return out->error || !s->newest_us ? out->error : step_stacks(s, true, out);
}

int record_step(struct record_source *s, struct capture_out *out)
{
	int r = out->error;

	if (!r)
		r = s->remote ? step_agent(s, out) : step_sampler(s, out);
	if (!r && s->newest_us)
		r = step_stacks(s, false, out);
	return r;
}

void record_source_close(struct record_source *s)
{
	if (s->remote)
		return;
	agent_stop(&s->agent);
	profiling_stop(&s->profiling);
	capture_cut_close(s->cut);
	if (!threads_join(&s->threads))
		return; /* left to exit() */
	profiling_close(&s->profiling);
	agent_close(&s->agent);
}
