/* strobe run: the agent. The only place that creates threads. */
#include "base/clock.h"
#include "base/msg.h"
#include "base/runtime.h"
#include "cmd/cmd.h"
#include "cmd/run_options.h"
#include "sample/sampler.h"
#include "serve/server.h"

#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/random.h>
#include <sys/resource.h>

enum {
	MEMORY_DEFAULT_MIN = 64 << 20,
	MEMORY_DEFAULT_MAX = 512 << 20,
	N_OPENERS = 2,
	THREADS_MAX = 64,
	BEGIN_MS = 2000,
	JOIN_MS = 2000,
	FILES_WANTED = 65536,
	FILES_LEAST = 200
};

struct thread {
	pthread_t id;
	const char *name;
	void (*body)(struct thread *);
	struct agent *agent;
	unsigned number;
};

struct agent {
	struct run_options o;
	struct host host;
	struct log *log;
	struct history *history;
	enum log_state log_state;
	char place[RUNTIME_PATH_MAX]; /* of agent.json, and of the log unless it is in a memfd; "":
					 none */
	char token[129];
	struct sampler *sampler;
	struct server *server;
	struct thread threads[THREADS_MAX];
	size_t n_threads, n_ended;
	pthread_mutex_t lock; /* of n_ended, with `end` */
	pthread_cond_t end;
	bool stuck; /* a thread does not end: what it may touch is left to exit() */
};

/* ---- log ---- */

static uint64_t memory_size(const struct agent *a)
{
	uint64_t size = a->host.mem_total_bytes / 200;

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

/* Tries one base directory. 0; -EBUSY: an agent on this address runs (said so); else try the next.
 */
static int open_log_in(struct agent *a, unsigned base, struct log_config *c, char *err,
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
		r = log_open(&a->log, c, &a->log_state, err, err_len);
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

/* With the log in memory agent.json may lie on any file system. a->place is "" when there is none.
 */
static void find_place(struct agent *a)
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

static int open_log_in_memory(struct agent *a, struct log_config *c)
{
	char err[512];
	int r;

	c->dir = NULL;
	r = log_open(&a->log, c, &a->log_state, err, sizeof(err));
	if (r < 0)
		msg(MSG_ERROR, "%s", err);
	else
		msg(MSG_WARN, "no crash recovery: there is no usable runtime directory on a tmpfs, "
			      "so the log is in "
			      "this process's memory and lost with it; set --runtime-dir");
	find_place(a);
	return r;
}

static int open_log(struct agent *a)
{
	struct log_config c = {.size_bytes = memory_size(a) / 2, .boot_id = a->host.boot_id};
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

static void say_recovered(const struct agent *a, uint64_t now_us)
{
	const struct recovered *f = sampler_recovered(a->sampler);

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

static int make_token(struct agent *a)
{
	const char *env = getenv("STROBE_TOKEN");
	uint8_t random[16];

	if (env && *env) {
		if (strlen(env) >= sizeof(a->token)) {
			msg(MSG_ERROR, "STROBE_TOKEN is too long: at most 128 characters");
			return -EINVAL;
		}
		strcpy(a->token, env);
		return 0;
	}
	if (getrandom(random, sizeof(random), 0) != (ssize_t)sizeof(random))
		return -EIO;
	for (size_t i = 0; i < sizeof(random); i++)
		snprintf(a->token + 2 * i, 3, "%02x", random[i]);
	return 0;
}

/* Kept files of many processes need room; the rest of the agent is content with little. */
static void raise_file_limit(void)
{
	struct rlimit l;

	if (getrlimit(RLIMIT_NOFILE, &l) < 0)
		return;
	l.rlim_cur = l.rlim_max < FILES_WANTED ? l.rlim_max : FILES_WANTED;
	setrlimit(RLIMIT_NOFILE, &l);
	if (l.rlim_cur < FILES_LEAST)
		msg(MSG_WARN,
		    "only %llu files may be open: collectors will fail and clients get no answer; "
		    "allow "
		    "more (ulimit -n 4096)",
		    (unsigned long long)l.rlim_cur);
}

static int open_server(struct agent *a, uint64_t started_us)
{
	struct server_config c = {.listen = a->o.listen,
				  .token = a->token,
				  .log = a->log,
				  .history = a->history,
				  .host = &a->host,
				  .rate_hz = a->o.rate_hz,
				  .started_us = started_us,
				  .recoverable = log_is_persistent(a->log)};
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

static int set_up(struct agent *a)
{
	uint64_t started_us = clock_mono_us();
	struct sampler_config c = {.host = &a->host,
				   .collectors = collectors,
				   .n_collectors = n_collectors,
				   .rate_hz = a->o.rate_hz,
				   .budget_ppm = a->o.budget_ppm,
				   .off = a->o.off,
				   .period_ms = a->o.period_ms};
	int r = host_open(&a->host, a->o.proc, a->o.sys, a->o.cgroup);

	if (r < 0) {
		msg(MSG_ERROR, "cannot open the roots to watch (%s): %s",
		    a->o.proc ? a->o.proc : "/proc", strerrordesc_np(-r));
		return r;
	}
	raise_file_limit();
	r = make_token(a);
	if (!r)
		r = open_log(a);
	if (r < 0)
		return r;
	r = history_open(&a->history,
			 &(struct history_config){.log = a->log, .boot_id = a->host.boot_id});
	if (r < 0)
		return r;
	c.log = a->log;
	c.continued = a->log_state == LOG_CONTINUED;
	r = sampler_open(&a->sampler, &c);
	if (r < 0) {
		msg(MSG_ERROR, "cannot set up the sampler: %s", strerrordesc_np(-r));
		return r;
	}
	say_recovered(a, started_us);
	return open_server(a, started_us);
}

/* ---- threads ---- */

static void sampler_thread(struct thread *t)
{
	int r;

	r = sampler_run(t->agent->sampler);
	if (r < 0) {
		msg(MSG_ERROR, "the sampler has stopped: %s", strerrordesc_np(-r));
		server_stop(t->agent->server);
	}
}

static void opener_thread(struct thread *t)
{
	while (sampler_opener_step(t->agent->sampler) >= 0)
		;
}

static void worker_thread(struct thread *t)
{
	while (sampler_worker_step(t->agent->sampler, t->number) >= 0)
		;
}

static void query_thread(struct thread *t)
{
	while (server_query_step(t->agent->server) >= 0)
		;
}

/* What ends the agent. What was ignored at the start (nohup) stays so: sigwait() would take it. */
static void end_signals(sigset_t *ret)
{
	static const int signals[] = {SIGINT, SIGHUP};
	struct sigaction was;

	sigemptyset(ret);
	sigaddset(ret, SIGTERM);
	for (size_t i = 0; i < sizeof(signals) / sizeof(*signals); i++)
		if (sigaction(signals[i], NULL, &was) < 0 || was.sa_handler != SIG_IGN)
			sigaddset(ret, signals[i]);
}

static void signal_thread(struct thread *t)
{
	sigset_t set;
	int sig;

	end_signals(&set);
	sigwait(&set, &sig);
	server_stop(t->agent->server);
}

static void *run_thread(void *arg)
{
	struct thread *t = arg;

	prctl(PR_SET_NAME, t->name);
	t->body(t);
	pthread_mutex_lock(&t->agent->lock);
	t->agent->n_ended++;
	pthread_cond_signal(&t->agent->end);
	pthread_mutex_unlock(&t->agent->lock);
	return NULL;
}

static int start(struct agent *a, const char *name, void (*body)(struct thread *), unsigned number)
{
	struct thread *t = &a->threads[a->n_threads];
	int r;

	if (a->n_threads == THREADS_MAX)
		return -EAGAIN;
	*t = (struct thread){.name = name, .body = body, .agent = a, .number = number};
	r = pthread_create(&t->id, NULL, run_thread, t);
	if (r)
		msg(MSG_ERROR, "cannot start the thread %s: %s", name, strerrordesc_np(r));
	else
		a->n_threads++;
	return -r;
}

static int start_all(struct agent *a)
{
	int r = start(a, "strobe-signals", signal_thread, 0); /* the first: stop_all() wakes it */

	if (!r)
		r = start(a, "strobe-query", query_thread, 0);
	for (unsigned i = 0; !r && i < N_OPENERS; i++)
		r = start(a, "strobe-opener", opener_thread, i);
	for (unsigned i = 0; !r && i < sampler_n_workers(a->sampler); i++)
		r = start(a, "strobe-worker", worker_thread, i);
	if (!r)
		r = start(a, "strobe-sampler", sampler_thread, 0);
	return r;
}

static void stop_all(struct agent *a)
{
	struct timespec until;
	int r = 0;

	server_stop(a->server);
	sampler_stop(a->sampler);
	if (a->n_threads)
		pthread_kill(a->threads[0].id, SIGTERM);
	clock_gettime(CLOCK_MONOTONIC, &until);
	until.tv_sec += JOIN_MS / 1000;
	pthread_mutex_lock(&a->lock);
	while (!r && a->n_ended < a->n_threads)
		r = pthread_cond_clockwait(&a->end, &a->lock, CLOCK_MONOTONIC, &until);
	pthread_mutex_unlock(&a->lock);
	for (size_t i = 0; i < a->n_threads; i++)
		if (!r)
			pthread_join(a->threads[i].id, NULL);
	a->stuck = r != 0;
}

/* ---- the verb ---- */

static void announce(const struct agent *a)
{
	struct runtime_agent self = {.pid = getpid()};
	const uint8_t *id = log_id(a->log);
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
	printf("strobe: listening on %s#token=%s\n", url, a->token);
	fflush(stdout);
}

/* A log that never held anything need not stay in memory. */
static void remove_unused(const struct agent *a)
{
	char path[RUNTIME_PATH_MAX + 8];

	snprintf(path, sizeof(path), "%s/log", a->place);
	if (a->log_state == LOG_NEW && log_is_persistent(a->log))
		unlink(path);
	rmdir(a->place);
}

static void tear_down(struct agent *a)
{
	if (a->server && a->place[0])
		runtime_remove_agent(a->place);
	else if (a->log && a->place[0])
		remove_unused(a);
	if (a->stuck)
		return;
	server_close(a->server);
	sampler_close(a->sampler);
	history_close(a->history);
	log_close(a->log);
	host_close(&a->host);
}

int cmd_run(int argc, char **argv)
{
	struct agent *a = calloc(1, sizeof(*a));
	sigset_t set;
	int r;

	if (!a)
		return 1;
	r = run_options_parse(&a->o, argc, argv);
	if (r >= 0) {
		free(a);
		return r;
	}
	signal(SIGPIPE, SIG_IGN);
	end_signals(&set);
	pthread_sigmask(SIG_BLOCK, &set, NULL);
	a->host = (struct host){.fd = {-1, -1, -1}};
	pthread_mutex_init(&a->lock, NULL);
	pthread_cond_init(&a->end, NULL);
	r = set_up(a);
	if (!r) {
		r = start_all(a);
		if (!r) {
			sampler_wait_begun(a->sampler, BEGIN_MS);
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
