/* strobe open: serves a capture as if its host were watched, with its end for now. */
#include "base/msg.h"
#include "base/walltime.h"
#include "cmd/capture_file.h"
#include "cmd/cmd.h"
#include "cmd/face.h"
#include "cmd/options.h"

#include <errno.h>
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const char help[] =
	"usage: strobe open FILE [OPTION...]\n\n"
	"Serves what 'strobe record' saved in the same dashboard, read-only; prints the URL to "
	"open. 'strobe get' and\n"
	"'strobe status' answer from it, too, with --url. Ctrl-C ends it.\n\n"
	"  --listen ADDR:PORT     loopback address, port 0 = any free one; or unix:/path\n"
	"                         (default 127.0.0.1:0)\n\n"
	"STROBE_TOKEN sets the access token (16 to 128 characters of A-Z a-z 0-9 _ -).\n\n"
	"Exit status: 0; 1 when the file cannot be read; 2 for a wrong option.\n";

struct opened {
	const char *path, *listen;
	struct capture_summary summary;
	struct log *log;
	struct history *history;
	struct host host;
	char token[FACE_TOKEN_MAX];
	struct server *server;
	struct threads threads;
};

static int parse(int argc, char **argv, struct opened *o)
{
	static const struct option options[] = {
		{"listen", required_argument, NULL, 'l'}, {"help", no_argument, NULL, 'h'}, {0}};
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
		o->listen = optarg;
	}
	if (optind + 1 != argc) {
		fprintf(stderr,
			"strobe: open: one FILE is wanted, that 'strobe record' wrote; 'strobe "
			"open --help' lists the options\n");
		return 2;
	}
	o->path = argv[optind];
	return -1;
}

/* ---- the file as a log ---- */

static int fill_section(void *arg, const uint8_t *data, size_t len)
{
	int r = capture_fill_section(arg, data, len);

	return r == -EBADMSG ? 0 : r; /* said by the summary */
}

static int fill_log(struct opened *o)
{
	uint8_t id[LOG_ID_LEN];
	struct log_config c = {.size_bytes =
				       (uint64_t)o->summary.fill.n_segments * LOG_SEGMENT_SIZE,
			       .boot_id = o->summary.meta.boot_id,
			       .log_id = id};
	struct capture_fill fill;
	enum log_state state;
	char err[512];
	int r;

	/* The same at each opening, and not the source's, whose frames have other numbers. */
	for (int i = 0; i < LOG_ID_LEN; i++)
		id[i] = (uint8_t)~o->summary.meta.log_id[i];
	r = log_open(&o->log, &c, &state, err, sizeof(err));
	if (r < 0) {
		msg(MSG_ERROR, "%s: %s", o->path, err);
		return r;
	}
	capture_fill_init(&fill, o->log);
	r = capture_file_frames(o->path, fill_section, &fill);
	capture_fill_done(&fill);
	if (r < 0)
		msg(MSG_ERROR, "%s changed while it was read: %s", o->path, strerrordesc_np(-r));
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

/* Just after the last read. */
static uint64_t end_us(const struct capture_fill *f)
{
	uint64_t us = f->last_us;

	for (uint32_t i = 0; i < f->walk.mirror.n_groups; i++)
		if (f->walk.mirror.groups[i].acquired_us > us)
			us = f->walk.mirror.groups[i].acquired_us;
	return us + 1;
}

static const char *base_name(const char *path)
{
	const char *slash = strrchr(path, '/');

	return slash && slash[1] ? slash + 1 : path;
}

static int open_server(struct opened *o)
{
	const struct capture_meta *m = &o->summary.meta;
	const struct capture_fill *f = &o->summary.fill;
	const struct server_config c = {.listen = o->listen,
					.token = o->token,
					.log = o->log,
					.history = o->history,
					.host = &o->host,
					.rate_hz = m->rate_hz ? m->rate_hz : 10,
					.started_us = m->started_us && m->started_us < f->last_us
							      ? m->started_us
							      : f->first_us,
					.recoverable = true,
					.capture_name = base_name(o->path),
					.kernel = m->kernel,
					.now_us = end_us(f)};
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

static void say_what(const struct opened *o)
{
	const struct capture_meta *m = &o->summary.meta;
	const struct capture_fill *f = &o->summary.fill;
	char at[WALLTIME_LEN];

	walltime_iso(at, mirror_wall_us(&f->walk.mirror, f->first_us));
	fprintf(stderr, "strobe: %s: %s from %.19sZ on, %.1f s at %u Hz, %u series%s%s\n", o->path,
		m->host, at, (double)(f->last_us - f->first_us) / 1e6, m->rate_hz, f->n_series,
		m->command[0] ? ", of: " : "", m->command);
	if (o->summary.n_blocks)
		msg(MSG_WARN, "%s holds %u sealed blocks, which are left out", o->path,
		    o->summary.n_blocks);
}

static int serve(struct opened *o)
{
	int r;

	end_signals_block();
	threads_init(&o->threads);
	r = face_start(o->server, &o->threads);
	if (r == 0) {
		say_what(o);
		face_announce(o->server, o->token);
		r = server_run(o->server);
	}
	face_stop(o->server, &o->threads);
	if (!threads_join(&o->threads))
		exit(r < 0);
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
	r = capture_summary_read(&o->summary, o->path);
	if (r == 0) {
		r = fill_log(o);
		if (r == 0)
			r = history_open(&o->history, &(struct history_config){
							      .log = o->log,
							      .boot_id = o->summary.meta.boot_id});
		if (r == 0)
			r = open_server(o);
		if (r == 0)
			r = serve(o);
		server_close(o->server);
		history_close(o->history);
		log_close(o->log);
		capture_summary_done(&o->summary);
	}
	free(o);
	return r < 0;
}
