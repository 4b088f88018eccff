/* strobe run: the agent. */
#include "base/clock.h"
#include "base/msg.h"
#include "base/runtime.h"
#include "cmd/agent.h"
#include "cmd/cmd.h"
#include "cmd/face.h"
#include "cmd/keep.h"
#include "cmd/profiling.h"
#include "cmd/run_options.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum {
	RESULTS_MIN = 16 << 20,
	MEMORY_DEFAULT_MIN = 64 << 20,
	MEMORY_DEFAULT_MAX = 512 << 20,
	BEGIN_MS = 2000
};

struct run {
	struct run_options o;
	struct agent agent;
	struct keep keep;
	struct profiling profiling;
	enum log_state log_state;
	char place[RUNTIME_PATH_MAX]; /* of agent.json, and of the log unless it is in a memfd; "":
					 none */
	char token[FACE_TOKEN_MAX];
	struct server *server;
	struct threads threads;
	bool stuck; /* a thread does not end: what it may touch is left to exit() */
};

/* ---- log ---- */

static uint64_t memory_size(const struct run *a)
{
	uint64_t size = a->agent.host.mem_total_bytes / 200;

	if (a->o.memory)
		return a->o.memory;
	return size < MEMORY_DEFAULT_MIN   ? MEMORY_DEFAULT_MIN
	       : size > MEMORY_DEFAULT_MAX ? MEMORY_DEFAULT_MAX
					   : size;
}

static int say_running(const struct runtime_agent *other)
{
	msg(MSG_ERROR, "an agent is already running here: %s#token=%s (pid %lld)", other->url,
	    other->token, (long long)other->pid);
	return -EBUSY;
}

/* Tries one base directory. 0; -EBUSY: an agent on this address runs (said so); else try the
 * next. */
static int open_log_in(struct run *a, unsigned base, struct log_config *c, char *err,
		       size_t err_len)
{
	struct runtime_agent other;
	char place[64];
	int r = -EINVAL;

	for (unsigned n = 0; !runtime_place(a->o.listen, n, place, sizeof(place)); n++) {
		r = runtime_make(base, a->o.runtime_dir, false, place, a->place, err, err_len);
		if (r < 0)
			break;
		c->dir = a->place;
		r = log_open(&a->agent.log, c, &a->log_state, err, err_len);
		if (r != -EBUSY)
			break;
		if (runtime_place(a->o.listen, n + 1, place, sizeof(place)) == -ERANGE) {
			if (runtime_read_place(a->place, &other) == 0)
				return say_running(&other);
			msg(MSG_ERROR, "%s", err);
		}
	}
	return r;
}

/* With the log in memory agent.json may lie on any file system. a->place is "" when there is
 * none. */
static void find_place(struct run *a)
{
	struct runtime_agent other;
	char err[512], place[64];

	for (unsigned i = 0; i < RUNTIME_BASES; i++)
		for (unsigned n = 0; !runtime_place(a->o.listen, n, place, sizeof(place)); n++) {
			if (runtime_make(i, a->o.runtime_dir, true, place, a->place, err,
					 sizeof(err)) < 0)
				break;
			if (runtime_read_place(a->place, &other) < 0)
				return;
		}
	a->place[0] = 0;
}

static int open_log_in_memory(struct run *a, struct log_config *c)
{
	char err[512];
	int r;

	c->dir = NULL;
	r = log_open(&a->agent.log, c, &a->log_state, err, sizeof(err));
	if (r < 0)
		msg(MSG_ERROR, "%s", err);
	else
		msg(MSG_WARN, "no crash recovery: there is no usable runtime directory on a tmpfs, "
			      "so the log is in "
			      "this process's memory and lost with it; set --runtime-dir");
	find_place(a);
	return r;
}

static int open_log(struct run *a)
{
	struct log_config c = {.size_bytes = keep_log_bytes(memory_size(a)),
			       .boot_id = a->agent.host.boot_id};
	char err[512];
	int r;

	for (unsigned i = 0; (r = open_log_in(a, i, &c, err, sizeof(err))) != -ERANGE; i++) {
		if (!r && *err)
			msg(MSG_NOTICE, "%s", err);
		if (!r && !runtime_on_tmpfs(a->place))
			msg(MSG_WARN,
			    "%s is not on a tmpfs: writing the log may hold up ticks by "
			    "milliseconds and "
			    "wears the disk",
			    a->place);
		if (!r || r == -EBUSY)
			return r;
		if (r != -ENOENT || a->o.runtime_dir)
			msg(a->o.runtime_dir ? MSG_WARN : MSG_DEBUG, "no log there: %s", err);
	}
	return open_log_in_memory(a, &c);
}

static void say_recovered(const struct run *a, uint64_t now_us)
{
	const struct recovered *f = sampler_recovered(a->agent.sampler);

	double held_s = (double)(f->to_us - f->from_us) / 1e6;

	if (f->frames)
		msg(MSG_NOTICE,
		    "found %.*f %s of an earlier run again (%llu frames, %u live instances); "
		    "nothing was recorded "
		    "for %.1f s",
		    held_s >= 60, held_s >= 60 ? held_s / 60 : held_s, held_s >= 60 ? "min" : "s",
		    (unsigned long long)f->frames, f->instances, (double)(now_us - f->to_us) / 1e6);
	else if (a->log_state == LOG_CONTINUED)
		msg(MSG_NOTICE,
		    "the log of an earlier run was written by another build: a new one begins");
}

/* ---- set-up ---- */

static int open_server(struct run *a, uint64_t started_us)
{
	uint64_t memory = memory_size(a);
	struct server_config c = {.listen = a->o.listen,
				  .token = a->token,
				  .log = a->agent.log,
				  .history = a->keep.history,
				  .host = &a->agent.host,
				  .profiles = a->profiling.profiles,
				  .profiler = a->profiling.profiler,
				  .no_profiler = a->profiling.reason,
				  .rate_hz = a->o.rate_hz,
				  .started_us = started_us,
				  .recoverable = log_is_persistent(a->agent.log),
				  .result_bytes = memory < RESULTS_MIN ? RESULTS_MIN : memory};
	struct runtime_agent other;
	char err[512] = "";
	int r = server_open(&a->server, &c, err, sizeof(err));

	if (r == -EADDRINUSE && (runtime_read_agent(a->o.runtime_dir, a->o.listen, &other) == 0 ||
				 runtime_read_agent(NULL, a->o.listen, &other) == 0))
		return say_running(&other);
	if (r < 0)
		msg(MSG_ERROR, "%s", *err ? err : strerrordesc_np(-r));
	return r;
}

static void on_failure(void *server)
{
	server_stop(server);
}

static int open_profiling(struct run *a)
{
	const struct profiling_config c = {.host = &a->agent.host,
					   .history = a->keep.history,
					   .memory_bytes = memory_size(a),
					   .place = log_is_persistent(a->agent.log) ? a->place
										    : NULL,
					   .dir = a->keep.ring ? a->o.history : NULL,
					   .size_bytes = a->o.history_size,
					   .hz = a->o.profile_hz,
					   .off_cpu = a->o.off_cpu,
					   .off_cpu_min_us = a->o.off_cpu_min_us,
					   .off_cpu_by = a->o.off_cpu_by};

	return profiling_open(&a->profiling, &c);
}

static int set_up(struct run *a)
{
	uint64_t started_us = clock_mono_us();
	const struct agent_config c = {.proc = a->o.proc,
				       .sys = a->o.sys,
				       .cgroup = a->o.cgroup,
				       .rate_hz = a->o.rate_hz,
				       .budget_ppm = a->o.budget_ppm,
				       .off = a->o.off,
				       .period_ms = a->o.period_ms};
	int r = agent_open_host(&a->agent, &c);

	if (!r)
		r = face_make_token(a->token);
	if (!r)
		r = open_log(a);
	if (!r)
		r = agent_open_sampler(&a->agent, &c, a->log_state == LOG_CONTINUED);
	if (r < 0)
		return r;
	const struct keep_config k = {.log = a->agent.log,
				      .boot_id = a->agent.host.boot_id,
				      .memory_bytes = memory_size(a),
				      .dir = a->o.history,
				      .size_bytes = a->o.history_size};

	r = keep_open(&a->keep, &k);
	if (r < 0)
		return r;
	r = open_profiling(a);
	if (r < 0)
		return r;
	say_recovered(a, started_us);
	r = open_server(a, started_us);
	a->agent.failed = on_failure;
	a->agent.failed_arg = a->server;
	return r;
}

static int start_all(struct run *a)
{
	int r = face_start(a->server, &a->threads);

	if (!r)
		r = keep_start(&a->keep, &a->threads);
	if (!r)
		r = profiling_start(&a->profiling, &a->threads);
	return r < 0 ? r : agent_start(&a->agent, &a->threads);
}

static void stop_all(struct run *a)
{
	agent_stop(&a->agent);
	keep_stop(&a->keep);
	profiling_stop(&a->profiling);
	face_stop(a->server, &a->threads);
	a->stuck = !threads_join(&a->threads);
	if (!a->stuck) {
		keep_finish(&a->keep);
		profiling_finish(&a->profiling);
	}
}

/* ---- the verb ---- */

static void announce(const struct run *a)
{
	struct runtime_agent self = {.pid = getpid()};
	const uint8_t *id = log_id(a->agent.log);
	const char *url = server_url(a->server);
	int r = 0;

	snprintf(self.url, sizeof(self.url), "%s", url);
	strcpy(self.token, a->token);
	if (!strncmp(url, "unix:", 5))
		snprintf(self.socket, sizeof(self.socket), "%s", url + 5);
	for (int i = 0; i < LOG_ID_LEN; i++)
		snprintf(self.log_id + 2 * i, 3, "%02x", id[i]);
	if (a->place[0])
		r = runtime_write_agent(a->place, &self);
	if (r < 0)
		msg(MSG_WARN, "%s/agent.json cannot be written (%s): give clients --url", a->place,
		    strerrordesc_np(-r));
	face_announce(a->server, a->token);
}

/* A log that never held anything need not stay in memory. */
static void remove_unused(const struct run *a)
{
	char path[RUNTIME_PATH_MAX + 8];

	snprintf(path, sizeof(path), "%s/log", a->place);
	if (a->log_state == LOG_NEW && log_is_persistent(a->agent.log))
		unlink(path);
	rmdir(a->place);
}

static void tear_down(struct run *a)
{
	if (a->server && a->place[0])
		runtime_remove_agent(a->place);
	else if (a->agent.log && a->place[0])
		remove_unused(a);
	if (a->stuck)
		return;
	server_close(a->server);
	profiling_close(&a->profiling); /* by the history's timeline */
	keep_close(&a->keep);
	agent_close(&a->agent);
}

int cmd_run(int argc, char **argv)
{
	struct run *a = calloc(1, sizeof(*a));
	int r;

	if (!a)
		return 1;
	r = run_options_parse(&a->o, argc, argv);
	if (r >= 0) {
		free(a);
		return r;
	}
	end_signals_block();
	threads_init(&a->threads);
	r = set_up(a);
	if (!r) {
		r = start_all(a);
		if (!r) {
			sampler_wait_begun(a->agent.sampler, BEGIN_MS);
			announce(a);
			r = server_run(a->server);
		}
		stop_all(a);
	}
	tear_down(a);
	if (!a->stuck)
		free(a);
	return r < 0;
}
