/* strobe record: saves a range of this host as a file. */
#include "base/clock.h"
#include "base/msg.h"
#include "cmd/cmd.h"
#include "cmd/options.h"
#include "cmd/record_source.h"

#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <inttypes.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

static const char help[] =
	"usage: strobe record [-o FILE] [OPTION...] [-- COMMAND [ARGUMENT...]]\n\n"
	"Saves what this host does as one file, to be opened anywhere with 'strobe open FILE'. "
	"Records from now on\n"
	"until Ctrl-C; what is in the file stays readable whatever ends it.\n\n"
	"  -o FILE           default: strobe-HOST-TIME.strobe in this folder\n"
	"  --for TIME        so long: 30s, 10m, 1h\n"
	"  --last TIME       instead: the past, as far as the running agent remembers it\n"
	"  -- COMMAND        while the command runs, with a second before and after; its exit "
	"status is record's\n"
	"  --rate HZ         ticks a second, 1 to 100 (default: the running agent's, else 10)\n"
	"  --collectors LIST cpu,disk: only these; -process: all but this\n"
	"  --profile-hz HZ   stacks a second on each CPU, 1 to 999 (default: the running agent's, "
	"else 99)\n"
	"  --no-profile      no stacks\n"
	"  --url URL         http://127.0.0.1:PORT/#token=TOKEN; default STROBE_URL, else this "
	"user's agent\n\n"
	"Without a running agent, or for other rates or collectors than it has, record "
	"samples by itself.\n\n"
	"Exit status: 0; 1 when it did not work or broke off; 2 for a wrong option; of COMMAND "
	"its own, 127 when it\n"
	"cannot be started.\n";

enum { SECOND_US = 1000000, PROFILE_HZ = 99 };

struct arguments {
	const char *path, *url;
	uint64_t for_us, last_us;
	uint32_t rate_hz, profile_hz;
	bool off[STATS_COLLECTORS_MAX], choice, help, no_profile;
	char **command; /* NULL: none */
};

struct recording {
	struct arguments a;
	struct record_source source;
	struct capture_out out;
	struct capture_meta meta; /* of the file */
	pid_t child;		  /* 0: none runs */
	int child_status;	  /* exit status; -1: there was no command */
	struct rlimit files;	  /* what we were started with */
	int broken;		  /* the source has ended by itself */
};

/* ---- arguments ---- */

static int wrong(const char *text)
{
	fprintf(stderr, "strobe: record: %s; 'strobe record --help' lists the options\n", text);
	return -EINVAL;
}

static int check(const struct arguments *a)
{
	if (a->last_us && (a->for_us || a->command))
		return wrong("--last saves the past: neither --for nor a command goes with it");
	if (a->last_us && (a->rate_hz || a->choice))
		return wrong("--last saves what the agent has: no --rate, --collectors or "
			     "--profile-hz goes "
			     "with it");
	if (a->for_us && a->command)
		return wrong("--for or a command, not both");
	if (a->choice && a->url)
		return wrong(
			"--collectors and --profile-hz sample here: --url does not go with them");
	return 0;
}

static int set_option(struct arguments *a, int c, const char *arg, char *err, size_t err_len)
{
	switch (c) {
	case 'o':
		a->path = arg;
		return 0;
	case 'f':
		return option_duration("--for", arg, &a->for_us, err, err_len);
	case 'l':
		return option_duration("--last", arg, &a->last_us, err, err_len);
	case 'r':
		return option_number("--rate", arg, 1, SAMPLER_RATE_MAX, &a->rate_hz, err, err_len);
	case 'c':
		a->choice = true;
		return option_collectors(arg, a->off, err, err_len);
	case 'p':
		a->choice = true;
		return option_number("--profile-hz", arg, 1, 999, &a->profile_hz, err, err_len);
	case 'P':
		a->no_profile = true;
		return 0;
	case 'u':
		a->url = arg;
		return 0;
	default:
		a->help = true;
		return 0;
	}
}

static int parse(int argc, char **argv, struct arguments *a)
{
	static const struct option options[] = {{"output", required_argument, NULL, 'o'},
						{"for", required_argument, NULL, 'f'},
						{"last", required_argument, NULL, 'l'},
						{"rate", required_argument, NULL, 'r'},
						{"collectors", required_argument, NULL, 'c'},
						{"profile-hz", required_argument, NULL, 'p'},
						{"no-profile", no_argument, NULL, 'P'},
						{"url", required_argument, NULL, 'u'},
						{"help", no_argument, NULL, 'h'},
						{0}};
	char err[OPTIONS_ERROR_MAX];
	int c;

	*a = (struct arguments){0};
	opterr = 0;
	while ((c = getopt_long(argc, argv, "+:ho:", options, NULL)) != -1) {
		if (c == '?' || c == ':') {
			option_wrong("record", c, argv);
			return -EINVAL;
		}
		if (set_option(a, c, optarg, err, sizeof(err)) < 0) {
			fprintf(stderr, "strobe: %s\n", err);
			return -EINVAL;
		}
	}
	if (optind < argc && strcmp(argv[optind - 1], "--") != 0) {
		fprintf(stderr,
			"strobe: record: what is '%s'? A command stands behind --, as in: "
			"strobe record -o FILE -- make -j4\n",
			argv[optind]);
		return -EINVAL;
	}
	a->command = optind < argc ? argv + optind : NULL;
	return a->help ? 0 : check(a);
}

/* ---- the beginning ---- */

static int sample_here(struct recording *r)
{
	uint32_t rate_hz = r->a.rate_hz ? r->a.rate_hz : 10;
	const struct agent_config c = {
		.rate_hz = rate_hz, .budget_ppm = agent_budget_ppm(rate_hz), .off = r->a.off};

	return record_from_sampler(&r->source, &c,
				   r->a.no_profile   ? 0
				   : r->a.profile_hz ? r->a.profile_hz
						     : PROFILE_HZ);
}

static int open_source(struct recording *r)
{
	const struct arguments *a = &r->a;
	const char *env = getenv("STROBE_URL");
	bool asked = a->url || (env && *env) || a->last_us;
	struct client client;
	char err[512];
	int e;

	if (a->choice)
		return sample_here(r);
	e = client_find(a->url, &client, err, sizeof(err));
	if (e == 0)
		e = record_from_agent(&r->source, &client, err, sizeof(err));
	if (e < 0) {
		if (!asked && e != -EACCES)
			return sample_here(r);
		msg(MSG_ERROR, "%s", err);
		return e;
	}
	if (!a->rate_hz || a->rate_hz == r->source.meta.rate_hz)
		return 0;
	if (!asked)
		return sample_here(r);
	msg(MSG_ERROR,
	    "the agent samples at %u Hz; leave --url and STROBE_URL out to sample here "
	    "at %u Hz",
	    r->source.meta.rate_hz, a->rate_hz);
	return -EINVAL;
}

static void set_range(struct recording *r)
{
	struct record_source *s = &r->source;

	if (r->a.last_us) {
		s->to_us = (uint64_t)s->from_us;
		s->from_us -= (int64_t)r->a.last_us;
	} else if (r->a.for_us) {
		s->to_us = (uint64_t)s->from_us + r->a.for_us;
	} else if (r->a.command && s->remote) {
		s->from_us -= SECOND_US;
	}
}

static void describe_command(struct capture_meta *m, char **command)
{
	size_t n = 0;

	for (; *command && n < sizeof(m->command) - 1; command++)
		n += (size_t)snprintf(m->command + n, sizeof(m->command) - n, "%s%s", n ? " " : "",
				      *command);
	for (size_t i = 0; m->command[i]; i++) /* JSON is UTF-8 */
		if ((unsigned char)m->command[i] >= 0x80)
			m->command[i] = '?';
}

static int open_output(struct recording *r)
{
	const struct record_source *s = &r->source;
	char name[160];
	int e;

	r->meta = s->meta;
	r->meta.from_us = s->from_us;
	r->meta.to_us = 0;
	if (r->a.command)
		describe_command(&r->meta, r->a.command);
	capture_file_name(name, sizeof(name), r->meta.host, s->from_us + r->meta.real_off_us);
	e = capture_out_open(&r->out, r->a.path ? r->a.path : name);
	if (e == 0)
		e = capture_out_meta(&r->out, &r->meta);
	if (e == 0)
		fprintf(stderr, "strobe: recording %s at %u Hz to %s, from %s%s%s\n", r->meta.host,
			r->meta.rate_hz, r->out.path,
			s->remote ? "the agent at " : "a sampler of its own",
			s->remote ? s->client.shown : "",
			r->a.command || r->a.for_us || r->a.last_us ? "" : "; Ctrl-C ends it");
	return e;
}

/* ---- the command ---- */

static void mark(struct recording *r, const char *what)
{
	struct capture_meta *m = &r->meta;
	struct capture_mark *k = &m->marks[m->n_marks];
	struct frame f = {0};
	uint8_t buf[1024];
	int len;
	struct capture_pack pack = {.w = &r->out.writer};

	k->at_us = record_now_us(&r->source);
	snprintf(k->text, sizeof(k->text), "%s: %.90s", what, m->command);
	m->n_marks++;
	len = frame_event(buf, sizeof(buf), k->at_us, EVENT_MARK, SEVERITY_INFO, "record", k->text);
	f.data = buf;
	f.len = len > 0 ? (size_t)len : 0;
	if (!r->out.error && f.len) {
		int e = capture_pack_add(&pack, &f);

		capture_out_check(&r->out, e < 0 ? e : capture_pack_flush(&pack));
	}
	capture_pack_done(&pack);
}

static int start_command(struct recording *r)
{
	extern char **environ;
	posix_spawnattr_t attr;
	sigset_t none, ignored;
	struct rlimit ours;
	int e;

	sigemptyset(&none);
	sigemptyset(&ignored);
	sigaddset(&ignored, SIGPIPE);
	sigaddset(&ignored, SIGXFSZ);
	posix_spawnattr_init(&attr);
	posix_spawnattr_setsigmask(&attr, &none);
	posix_spawnattr_setsigdefault(&attr, &ignored);
	posix_spawnattr_setflags(&attr, POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETSIGDEF);
	mark(r, "begins");
	getrlimit(RLIMIT_NOFILE, &ours);
	setrlimit(RLIMIT_NOFILE, &r->files); /* of the command as if it ran without us */
	e = posix_spawnp(&r->child, r->a.command[0], NULL, &attr, r->a.command, environ);
	setrlimit(RLIMIT_NOFILE, &ours);
	posix_spawnattr_destroy(&attr);
	if (!e)
		return 0;
	r->child = 0;
	r->child_status = e == ENOENT ? 127 : 126;
	msg(MSG_ERROR, "cannot start %s: %s", r->a.command[0], strerrordesc_np(e));
	return -e;
}

/* Has the command ended? */
static void reap(struct recording *r)
{
	int status;

	if (!r->child || waitpid(r->child, &status, WNOHANG) != r->child)
		return;
	r->child = 0;
	r->child_status = WIFSIGNALED(status) ? 128 + WTERMSIG(status) : WEXITSTATUS(status);
	mark(r, "ends");
	r->source.to_us = record_now_us(&r->source) + SECOND_US;
}

/* ---- the loop ---- */

/* Waits for a signal, a second at most, or until the end is near. */
static int wait_some(const struct recording *r, const sigset_t *set)
{
	uint64_t now_us = record_now_us(&r->source), us = SECOND_US;
	const uint64_t tick_us = SECOND_US / (r->source.meta.rate_hz ? r->source.meta.rate_hz : 10);

	if (r->source.to_us != UINT64_MAX && now_us + us > r->source.to_us)
		us = now_us < r->source.to_us ? r->source.to_us - now_us + tick_us / 2 : 20000;
	const struct timespec t = {.tv_sec = (time_t)(us / SECOND_US),
				   .tv_nsec = (long)(us % SECOND_US) * 1000};

	return sigtimedwait(set, NULL, &t);
}

static void on_signal(struct recording *r, int sig)
{
	if (sig == SIGCHLD)
		return;
	if (r->child) { /* Ctrl-C reaches the command, too */
		if (sig != SIGINT)
			kill(r->child, sig);
	} else if (r->source.to_us > record_now_us(&r->source)) {
		r->source.to_us = record_now_us(&r->source);
	}
}

/* A command wants a second before it. */
static bool may_start(const struct recording *r)
{
	return r->source.remote ? r->source.next_seq
				: r->source.newest_us >= (uint64_t)r->source.from_us + SECOND_US;
}

static void record(struct recording *r, const sigset_t *set)
{
	bool started = !r->a.command;

	while (r->child || !record_is_over(&r->source)) {
		if (!r->broken)
			r->broken = record_step(&r->source, &r->out);
		if (r->broken && !r->child)
			return;
		if (!started && may_start(r)) {
			started = true;
			if (start_command(r) < 0)
				return;
		}
		int sig = wait_some(r, set);

		if (sig > 0)
			on_signal(r, sig);
		reap(r);
	}
}

static void take_signals(sigset_t *set)
{
	end_signals_block();
	end_signals(set);
	sigaddset(set, SIGCHLD);
	pthread_sigmask(SIG_BLOCK, set, NULL);
	signal(SIGXFSZ, SIG_IGN); /* a limit of the file's size is an error of write() */
}

/* ---- the end ---- */

static void print_summary(const struct capture_out *out)
{
	struct capture_summary s;
	char size[32], series[32] = "";
	uint64_t n;

	if (capture_summary_read(&s, out->path) < 0)
		return;
	n = s.fill.n_samples + s.block_samples;
	if (s.n_bytes >= 10 << 20)
		snprintf(size, sizeof(size), "%.1f MiB", (double)s.n_bytes / 1048576);
	else
		snprintf(size, sizeof(size), "%.1f KiB", (double)s.n_bytes / 1024);
	if (s.fill.n_series)
		snprintf(series, sizeof(series), " %u series,", s.fill.n_series);
	fprintf(stderr, "strobe: %s: %.1f s,%s %" PRIu64 " samples, %s, %.3f bytes a sample\n",
		out->path,
		(double)((int64_t)capture_summary_end_us(&s) - capture_summary_from_us(&s)) / 1e6,
		series, n, size, n ? (double)s.n_bytes / (double)n : 0.0);
	if (s.fill.walk.n_gaps)
		fprintf(stderr, "strobe: it has %" PRIu64 " gaps: recording did not keep up\n",
			s.fill.walk.n_gaps);
	capture_summary_done(&s);
}

static int finish(struct recording *r)
{
	bool nothing = r->a.command && r->child_status >= 126 && r->meta.n_marks < 2;
	int e;

	if (!r->broken)
		record_finish(&r->source, &r->out);
	if (!r->out.error) {
		r->meta.now_us = record_now_us(&r->source);
		r->meta.to_us =
			(int64_t)(r->source.to_us == UINT64_MAX ? r->meta.now_us : r->source.to_us);
		capture_out_meta(&r->out, &r->meta);
	}
	e = capture_out_close(&r->out);
	if (nothing)
		unlink(r->out.path); /* the command did not even start */
	else
		print_summary(&r->out);
	if (r->child_status > 0)
		return r->child_status;
	return e < 0 || r->broken ? 1 : 0;
}

static void say_short(const struct recording *r)
{
	const struct record_source *s = &r->source;

	if (r->a.last_us && s->held_us > s->from_us + SECOND_US && (int64_t)s->to_us > s->held_us)
		msg(MSG_NOTICE, "the agent remembers only the last %.0f s",
		    (double)((int64_t)s->to_us - s->held_us) / 1e6);
}

int cmd_record(int argc, char **argv)
{
	struct recording *r = calloc(1, sizeof(*r));
	sigset_t set;
	int status = 1;

	if (!r)
		return 1;
	r->child_status = -1;
	r->out.fd = -1;
	if (parse(argc, argv, &r->a) < 0) {
		status = 2;
	} else if (r->a.help) {
		fputs(help, stdout);
		status = 0;
	} else {
		take_signals(&set);
		getrlimit(RLIMIT_NOFILE, &r->files);
		if (open_source(r) == 0) {
			r->source.stacks.off |= r->a.no_profile;
			set_range(r);
			if (open_output(r) == 0) {
				record(r, &set);
				say_short(r);
				status = finish(r);
			}
		}
		record_source_close(&r->source);
	}
	free(r);
	return status;
}
