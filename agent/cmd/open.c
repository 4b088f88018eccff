/* strobe open: serves a capture or a profile as if its host were watched, with its end for now. */
#include "base/crc32c.h"
#include "base/msg.h"
#include "base/walltime.h"
#include "cmd/capture_file.h"
#include "cmd/cmd.h"
#include "cmd/face.h"
#include "cmd/open_profile.h"
#include "cmd/options.h"
#include "profile/profiles.h"

#include <errno.h>
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const char help[] =
	"usage: strobe open FILE [OPTION...]\n\n"
	"Serves a file in the same dashboard, read-only; prints the URL to open. FILE is what\n"
	"'strobe record' or 'Save a capture' wrote, or a profile without metrics: 'perf script'\n"
	"text, folded stacks, pprof, a Chrome cpuprofile or trace (each also gzipped), or what\n"
	"'strobe flame --strobe' wrote; -: standard input. 'strobe get', 'strobe flame' and\n"
	"'strobe status' answer from it, too, with --url. Ctrl-C ends it.\n\n"
	"  --event NAME           of a file of another tool: which of its events (perf: cycles) "
	"or\n"
	"                         sample types (pprof: alloc_space)\n"
	"  --listen ADDR:PORT     loopback address, port 0 = any free one; or unix:/path\n"
	"                         (default 127.0.0.1:0)\n\n"
	"STROBE_TOKEN sets the access token (16 to 128 characters of A-Z a-z 0-9 _ -).\n\n"
	"Exit status: 0; 1 when the file cannot be read; 2 for a wrong option.\n";

struct opened {
	const char *path, *listen, *event;
	struct capture_summary summary;
	struct open_profile profile;
	struct log *log;
	struct history *history;
	struct profiles *profiles;
	struct host host;
	char token[FACE_TOKEN_MAX];
	struct server *server;
	struct threads threads;
};

static int parse(int argc, char **argv, struct opened *o)
{
	static const struct option options[] = {{"listen", required_argument, NULL, 'l'},
						{"event", required_argument, NULL, 'e'},
						{"help", no_argument, NULL, 'h'},
						{0}};
	int c;

	o->listen = "127.0.0.1:0";
	opterr = 0;
	while ((c = getopt_long(argc, argv, ":h", options, NULL)) != -1) {
		if (c == 'h') {
			fputs(help, stdout);
			return 0;
		}
		if (c == '?' || c == ':')
			return option_wrong("open", c, argv);
		*(c == 'e' ? &o->event : &o->listen) = optarg;
	}
	if (optind + 1 != argc) {
		fprintf(stderr,
			"strobe: open: one FILE is wanted, a capture or a profile; 'strobe open "
			"--help' lists what is read\n");
		return 2;
	}
	o->path = argv[optind];
	return -1;
}

/* ---- the file as a log ---- */

struct filling {
	struct capture_fill fill;
	struct history *history;
	struct profiles *profiles;
	uint8_t *catalog;
	size_t catalog_len;
};

static int take_catalog(struct filling *f, const uint8_t *data, size_t len)
{
	uint8_t *copy = malloc(len ? len : 1);

	if (!copy)
		return -ENOMEM;
	memcpy(copy, data, len);
	free(f->catalog);
	f->catalog = copy;
	f->catalog_len = len;
	return 0;
}

static int take_block(struct filling *f, const uint8_t *data, size_t len)
{
	struct sealed s = {.len = len, .catalog = f->catalog, .catalog_len = f->catalog_len};
	int r = block_head_read(data, len, &s.head);

	if (r < 0 || !f->catalog || crc32c(0, f->catalog, f->catalog_len) != s.head.catalog_crc)
		return -EBADMSG;
	s.data = malloc(len);
	if (!s.data)
		return -ENOMEM;
	memcpy(s.data, data, len);
	r = history_add(f->history, &s, false);
	if (r < 0)
		free(s.data);
	return r;
}

static int take_stacks(struct filling *f, const uint8_t *data, size_t len)
{
	uint8_t *copy = malloc(len ? len : 1);

	if (!copy)
		return -ENOMEM;
	memcpy(copy, data, len);
	int r = profiles_take(f->profiles, copy, len);

	if (r < 0)
		free(copy);
	return r;
}

static int fill_section(void *arg, enum capture_type type, const uint8_t *data, size_t len)
{
	struct filling *f = arg;
	int r = 0;

	if (type == CAPTURE_FRAMES)
		r = capture_fill_section(&f->fill, data, len);
	return r == -EBADMSG ? 0 : r; /* said by the summary */
}

static int add_section(void *arg, enum capture_type type, const uint8_t *data, size_t len)
{
	struct filling *f = arg;
	int r = 0;

	if (type == CAPTURE_CATALOG)
		r = take_catalog(f, data, len);
	else if (type == CAPTURE_BLOCK)
		r = take_block(f, data, len);
	else if (type == CAPTURE_PROFILE)
		r = take_stacks(f, data, len);
	return r == -EBADMSG ? 0 : r;
}

static int open_profiles(struct opened *o, const char *boot_id)
{
	const struct profiles_config c = {.memory_bytes = UINT64_MAX,
					  .boot_id = boot_id,
					  .history = o->history,
					  .real_off_us = capture_summary_wall_us(&o->summary, 0),
					  .n_cpus = (uint16_t)o->summary.meta.n_cpus};

	return profiles_open(&o->profiles, &c);
}

static int open_log(struct opened *o)
{
	const struct capture_summary *s = &o->summary;
	uint8_t id[LOG_ID_LEN];
	struct log_config c = {.size_bytes = (uint64_t)s->fill.n_segments * LOG_SEGMENT_SIZE,
			       .log_id = id};
	struct history_config h = {.boot_id = s->meta.boot_id, .memory_bytes = UINT64_MAX};
	enum log_state state;
	char err[512];
	int r;

	/* The same at each opening, and not the source's, whose frames have other numbers. */
	for (int i = 0; i < LOG_ID_LEN; i++)
		id[i] = (uint8_t)~s->meta.log_id[i];
	if (!s->fill.n_ticks) /* blocks of an earlier boot, maybe */
		h.boot_id = s->last.boot_id;
	c.boot_id = h.boot_id;
	r = log_open(&o->log, &c, &state, err, sizeof(err));
	if (r < 0) {
		msg(MSG_ERROR, "%s: %s", o->path, err);
		return r;
	}
	h.log = o->log;
	r = history_open(&o->history, &h);
	return r < 0 ? r : open_profiles(o, h.boot_id);
}

/* Blocks go to the history when the log says what the wall clock was. */
static int fill_log(struct opened *o)
{
	const struct capture_summary *s = &o->summary;
	struct filling f = {0};
	int r = open_log(o);

	if (r < 0)
		return r;
	capture_fill_init(&f.fill, o->log);
	f.history = o->history;
	f.profiles = o->profiles;
	r = capture_file_sections(o->path, fill_section, &f);
	if (r == 0 && !s->fill.n_ticks)
		r = capture_fill_empty(&f.fill, s->catalog, s->catalog_len, s->last.to_us,
				       s->last.real_off_us);
	if (r == 0)
		r = capture_file_sections(o->path, add_section, &f);
	capture_fill_done(&f.fill);
	free(f.catalog);
	if (r < 0)
		msg(MSG_ERROR, "%s cannot be served: %s", o->path, strerrordesc_np(-r));
	return r;
}

/* ---- the host as it was ---- */

static void make_host(struct host *h, const struct capture_meta *m)
{
	*h = (struct host){.fd = {-1, -1, -1},
			   .user_hz = 100,
			   .page_size = 4096,
			   .n_cpus = m->n_cpus ? m->n_cpus : 1,
			   .mem_total_bytes = m->mem_total_bytes};
	snprintf(h->name, sizeof(h->name), "%s", m->host);
	snprintf(h->boot_id, sizeof(h->boot_id), "%s", m->boot_id);
	snprintf(h->machine_id, sizeof(h->machine_id), "%s", m->machine_id);
}

static const char *base_name(const char *path)
{
	const char *slash = strrchr(path, '/');

	return slash && slash[1] ? slash + 1 : path;
}

static int open_server(struct opened *o, const struct capture_meta *m, int64_t from_us,
		       uint64_t end_us)
{
	uint64_t started_us = m->started_us && m->started_us < end_us ? m->started_us
			      : from_us > 0			      ? (uint64_t)from_us
								      : 1;
	const struct server_config c = {
		.listen = o->listen,
		.token = o->token,
		.log = o->log,
		.history = o->history,
		.host = &o->host,
		.profiles = o->profiles,
		.no_profiler = "this is a file: what it holds can be looked at, nothing is sampled",
		.rate_hz = m->rate_hz ? m->rate_hz : 10,
		.started_us = started_us,
		.recoverable = true,
		.capture_name = base_name(o->path),
		.kernel = m->kernel,
		.now_us = end_us,
		.untimed_profiles = o->profile.sets.n && !o->profile.sets.has_time,
		.profile_unit = o->profile.sets.unit};
	char err[512] = "";
	int r = face_make_token(o->token);

	make_host(&o->host, m);
	if (r < 0)
		return r;
	r = server_open(&o->server, &c, err, sizeof(err));
	if (r < 0)
		msg(MSG_ERROR, "%s", *err ? err : strerrordesc_np(-r));
	return r;
}

static void say_capture(const struct opened *o)
{
	const struct capture_summary *s = &o->summary;
	int64_t from_us = capture_summary_from_us(s);
	double length_s = (double)((int64_t)capture_summary_end_us(s) - from_us) / 1e6;
	char at[WALLTIME_LEN];

	walltime_iso(at, capture_summary_wall_us(s, from_us));
	fprintf(stderr, "strobe: %s: %s from %.19sZ on, %.1f s at %u Hz%s%s\n", o->path,
		s->meta.host, at, length_s, s->meta.rate_hz, s->meta.command[0] ? ", of: " : "",
		s->meta.command);
}

static int serve(struct opened *o)
{
	int r;

	end_signals_block();
	threads_init(&o->threads);
	r = face_start(o->server, &o->threads);
	if (r == 0) {
		face_announce(o->server, o->token);
		r = server_run(o->server);
	}
	face_stop(o->server, &o->threads);
	if (!threads_join(&o->threads))
		exit(r < 0);
	return r;
}

/* ---- a capture ---- */

static int serve_capture(struct opened *o)
{
	int r = capture_summary_read(&o->summary, o->path);

	if (r < 0)
		return r;
	r = fill_log(o);
	if (r == 0)
		r = open_server(o, &o->summary.meta, capture_summary_from_us(&o->summary),
				capture_summary_end_us(&o->summary));
	if (r == 0) {
		say_capture(o);
		r = serve(o);
	}
	return r;
}

/* ---- a profile ---- */

static int open_profile_log(struct opened *o)
{
	const struct open_profile *p = &o->profile;
	uint8_t id[LOG_ID_LEN];
	struct log_config c = {.size_bytes = LOG_SEGMENT_SIZE, .log_id = id, .boot_id = p->boot_id};
	struct history_config h = {.boot_id = p->boot_id, .memory_bytes = UINT64_MAX};
	struct profiles_config pc = {.memory_bytes = UINT64_MAX,
				     .boot_id = p->boot_id,
				     .real_off_us = p->sets.real_off_us,
				     .n_cpus = p->n_cpus};
	enum log_state state;
	char err[512];
	int r;

	memset(id, 1, sizeof(id));
	r = log_open(&o->log, &c, &state, err, sizeof(err));
	if (r < 0) {
		msg(MSG_ERROR, "%s: %s", o->path, err);
		return r;
	}
	h.log = o->log;
	r = history_open(&o->history, &h);
	if (r == 0)
		r = profiles_open(&o->profiles, &pc);
	return r < 0 ? r : open_profile_fill(p, o->path, o->log, o->profiles);
}

static void say_profile(const struct opened *o)
{
	const struct flame_sets *f = &o->profile.sets;
	unsigned long long n = 0;

	for (size_t i = 0; i < f->n; i++)
		n += f->sets[i]->n_samples;
	fprintf(stderr, "strobe: %s: a profile of %llu samples", o->path, n);
	if (f->has_time)
		fprintf(stderr, " in %.1f s", (double)(f->to_us - f->from_us) / 1e6);
	fprintf(stderr, "; there are no metrics in it\n");
}

static int serve_profile(struct opened *o)
{
	const struct flame_sets *f = &o->profile.sets;
	struct capture_meta m = {.n_cpus = o->profile.n_cpus};
	int r = open_profile_load(&o->profile, o->path, o->event);

	if (r < 0)
		return r;
	m.n_cpus = o->profile.n_cpus;
	snprintf(m.host, sizeof(m.host), "%.64s", f->host[0] ? f->host : "profile");
	snprintf(m.boot_id, sizeof(m.boot_id), "%s", o->profile.boot_id);
	r = open_profile_log(o);
	if (r == 0)
		r = open_server(o, &m, f->from_us, open_profile_end_us(&o->profile));
	if (r == 0) {
		say_profile(o);
		r = serve(o);
	}
	return r;
}

int cmd_open(int argc, char **argv)
{
	struct opened *o = calloc(1, sizeof(*o));
	int r;

	if (!o)
		return 1;
	r = parse(argc, argv, o);
	if (r >= 0) {
		free(o);
		return r;
	}
	if (o->event && !open_profile_looks(o->path)) {
		msg(MSG_ERROR, "%s: a capture has no events to choose from", o->path);
		r = -EINVAL;
	} else {
		r = open_profile_looks(o->path) ? serve_profile(o) : serve_capture(o);
	}
	server_close(o->server);
	history_close(o->history);
	profiles_close(o->profiles);
	log_close(o->log);
	capture_summary_done(&o->summary);
	open_profile_done(&o->profile);
	free(o);
	return r < 0;
}
