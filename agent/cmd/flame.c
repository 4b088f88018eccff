/* strobe flame: a range of the agent, of a capture or of another tool's file, in another tool's format. */
#include "cmd/flame.h"

#include "base/msg.h"
#include "cmd/cmd.h"
#include "cmd/options.h"
#include "serve/api.h"

#include <errno.h>
#include <getopt.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

static const char help[] =
	"usage: strobe flame [FILE] [OPTION...]\n\n"
	"Where the CPU time of a range went, as a flame graph or for another tool. FILE is what "
	"'strobe record' or\n"
	"'strobe flame --strobe' saved, or of another tool: 'perf script' text, folded stacks "
	"(a;b;c 12), pprof, a Chrome\n"
	"or Node .cpuprofile, each also gzipped; - is standard input. Without FILE: the running "
	"agent.\n\n"
	"what\n"
	"  --from TIME           -30s, -5m, -1h before the end, +10s after the start, unix "
	"seconds (of perf script:\n"
	"                        those of the file) or 2026-01-31T12:00:00Z (default: all of a "
	"FILE, -60s of the agent)\n"
	"  --to TIME             the same, or now (the end, the default)\n"
	"  --pid N, --tid N, --cpu N, --process NAME, --cgroup PATH   those samples alone\n"
	"  --off-cpu             time spent waiting, not running\n"
	"  --by process|thread|none   frames for them below the root (default: process where there "
	"are any)\n"
	"  --baseline-from TIME  what to compare with: colours show what became more or less\n"
	"  --baseline-to TIME    (default: the start of the range)\n"
	"  --baseline FILE       compare with all of another file\n\n"
	"as what\n"
	"  --html                one page without any network access; search, zoom, keyboard\n"
	"  --folded              a;b;c 12 a line (the default on standard output)\n"
	"  --pprof               for 'go tool pprof'\n"
	"  --speedscope          for speedscope\n"
	"  --firefox             for profiler.firefox.com\n"
	"  --perfetto            for ui.perfetto.dev\n"
	"  --perf                the text of 'perf script': FlameGraph, FlameScope and others\n"
	"  --json                nested frames {n, v, l, c}, as d3-flame-graph reads them\n"
	"  --strobe              with all names, for 'strobe flame' elsewhere\n"
	"  -o, --output FILE     its suffix says what, unless an option does: .html .folded .pb.gz "
	"...\n\n"
	"  --input FORMAT        of FILE: perf, folded, pprof, cpuprofile, trace (default: seen "
	"from its "
	"bytes)\n"
	"  --event NAME          of FILE: which of its events (perf: cycles), or sample types "
	"(pprof: alloc_space; also\n"
	"                        --sample-type); what it has is said for a name that it has not\n"
	"  --url URL             http://127.0.0.1:PORT/#token=TOKEN; default STROBE_URL, else this "
	"user's agent\n\n"
	"examples\n"
	"  strobe flame --from -5m -o now.html\n"
	"  strobe flame --from -10s --baseline-from -70s -o worse.html\n"
	"  perf script | strobe flame - -o profile.html\n"
	"  strobe flame night.strobe --from 2026-01-31T02:10:00Z --to 2026-01-31T02:10:05Z "
	"--folded\n\n"
	"Exit status: 0; 1 when there is no agent, no sample or the file cannot be read; 2 for a "
	"wrong option.\n";

enum { TARGET_MAX = 4096, FORMAT_OPTION = 0x100 };

/* ---- arguments ---- */

static int wrong(const char *what, const char *value)
{
	fprintf(stderr, "strobe: flame: %s '%s'; 'strobe flame --help' lists the options\n", what,
		value);
	return 2;
}

static int number(const char *what, const char *text, uint32_t min, uint32_t *ret)
{
	char err[OPTIONS_ERROR_MAX];

	if (!text || option_number(what, text, min, INT32_MAX, ret, err, sizeof(err)) == 0)
		return 0;
	fprintf(stderr, "strobe: flame: %s\n", err);
	return 2;
}

static int set_input(struct flame *f, const char *name)
{
	for (enum import_format i = IMPORT_PERF_SCRIPT; i <= IMPORT_TRACE; i++)
		if (strcmp(import_format_name(i), name) == 0) {
			f->input = i;
			return -1;
		}
	return wrong("--input is perf, folded, pprof, cpuprofile or trace, not", name);
}

/* < 0: go on. */
static int set_option(struct flame *f, int c, char **argv)
{
	const char **const texts[256] = {['f'] = &f->from,
					 ['t'] = &f->to,
					 ['F'] = &f->base_from,
					 ['T'] = &f->base_to,
					 ['B'] = &f->base_file,
					 ['o'] = &f->output,
					 ['u'] = &f->url,
					 ['y'] = &f->by,
					 ['p'] = &f->pid,
					 ['d'] = &f->tid,
					 ['c'] = &f->cpu,
					 ['g'] = &f->filter.cgroup,
					 ['n'] = &f->filter.process,
					 ['e'] = &f->event};

	if (c == 'h') {
		fputs(help, stdout);
		return 0;
	}
	if (c == 'O') {
		f->off_cpu = true;
		return -1;
	}
	if (c == 'i')
		return set_input(f, optarg);
	if (c >= FORMAT_OPTION) {
		if (f->has_format && f->format != (enum profile_format)(c - FORMAT_OPTION))
			return wrong("one format at a time, not also",
				     profile_format_name((enum profile_format)(c - FORMAT_OPTION)));
		f->format = (enum profile_format)(c - FORMAT_OPTION);
		f->has_format = true;
		return -1;
	}
	if (c < 0 || c > 255 || !texts[c])
		return option_wrong("flame", c, argv);
	*texts[c] = optarg;
	return -1;
}

static const struct option options[] = {
	{"from", required_argument, NULL, 'f'},
	{"to", required_argument, NULL, 't'},
	{"baseline-from", required_argument, NULL, 'F'},
	{"baseline-to", required_argument, NULL, 'T'},
	{"baseline", required_argument, NULL, 'B'},
	{"output", required_argument, NULL, 'o'},
	{"url", required_argument, NULL, 'u'},
	{"by", required_argument, NULL, 'y'},
	{"pid", required_argument, NULL, 'p'},
	{"tid", required_argument, NULL, 'd'},
	{"cpu", required_argument, NULL, 'c'},
	{"cgroup", required_argument, NULL, 'g'},
	{"process", required_argument, NULL, 'n'},
	{"off-cpu", no_argument, NULL, 'O'},
	{"input", required_argument, NULL, 'i'},
	{"event", required_argument, NULL, 'e'},
	{"sample-type", required_argument, NULL, 'e'},
	{"html", no_argument, NULL, FORMAT_OPTION + PROFILE_HTML},
	{"folded", no_argument, NULL, FORMAT_OPTION + PROFILE_FOLDED},
	{"pprof", no_argument, NULL, FORMAT_OPTION + PROFILE_PPROF},
	{"speedscope", no_argument, NULL, FORMAT_OPTION + PROFILE_SPEEDSCOPE},
	{"firefox", no_argument, NULL, FORMAT_OPTION + PROFILE_FIREFOX},
	{"perfetto", no_argument, NULL, FORMAT_OPTION + PROFILE_PERFETTO},
	{"perf", no_argument, NULL, FORMAT_OPTION + PROFILE_PERF_SCRIPT},
	{"json", no_argument, NULL, FORMAT_OPTION + PROFILE_JSON},
	{"strobe", no_argument, NULL, FORMAT_OPTION + PROFILE_STROBE},
	{"help", no_argument, NULL, 'h'},
	{0}};

static bool has_suffix(const char *path, const char *suffix)
{
	size_t n = strlen(path), k = strlen(suffix);

	return n > k && strcmp(path + n - k, suffix) == 0;
}

static void choose_format(struct flame *f)
{
	static const struct {
		const char *suffix;
		enum profile_format format;
	} more[] = {{".htm", PROFILE_HTML},	     {".txt", PROFILE_FOLDED},
		    {".pprof", PROFILE_PPROF},	     {".pb", PROFILE_PPROF},
		    {".strobe", PROFILE_STROBE},     {".perf", PROFILE_PERF_SCRIPT},
		    {".perfetto", PROFILE_PERFETTO}, {".pftrace", PROFILE_PERFETTO}};

	if (f->has_format)
		return;
	f->format = f->output ? PROFILE_HTML : PROFILE_FOLDED;
	if (!f->output)
		return;
	for (size_t i = 0; i < sizeof(more) / sizeof(*more); i++)
		if (has_suffix(f->output, more[i].suffix))
			f->format = more[i].format;
	/* ".firefox.json" ends with ".json", too: the longest counts */
	for (int i = PROFILE_STROBE; i >= 0; i--)
		if (i != PROFILE_JSON &&
		    has_suffix(f->output, profile_format_suffix((enum profile_format)i))) {
			f->format = (enum profile_format)i;
			return;
		}
	if (has_suffix(f->output, profile_format_suffix(PROFILE_JSON)))
		f->format = PROFILE_JSON;
}

static int check(struct flame *f)
{
	uint32_t cpu = 0;

	if (number("--pid", f->pid, 1, &f->filter.pid) ||
	    number("--tid", f->tid, 1, &f->filter.tid) || number("--cpu", f->cpu, 0, &cpu))
		return 2;
	f->filter.cpu = f->cpu ? (int32_t)cpu : -1;
	if (f->by && strcmp(f->by, "process") != 0 && strcmp(f->by, "thread") != 0 &&
	    strcmp(f->by, "none") != 0)
		return wrong("--by is process, thread or none, not", f->by);
	if (f->base_file && (f->base_from || f->base_to))
		return wrong("a baseline is a FILE or a range, not both:", f->base_file);
	if (f->base_file && !f->path)
		return wrong(
			"--baseline FILE goes with a FILE; of the agent give --baseline-from, not",
			f->base_file);
	if (f->event && !f->path)
		return wrong("an event is of a FILE; the agent has --off-cpu, not", f->event);
	choose_format(f);
	if (!profile_format_is_tree(f->format) && (f->base_from || f->base_to || f->base_file))
		return wrong("a baseline goes with --html, --folded, --pprof or --json, not with",
			     profile_format_name(f->format));
	if (!f->output && !profile_format_is_text(f->format) && isatty(STDOUT_FILENO)) {
		fprintf(stderr,
			"strobe: flame: --%s is nothing for a terminal; give it a file: strobe "
			"flame ... -o profile%s\n",
			profile_format_name(f->format), profile_format_suffix(f->format));
		return 2;
	}
	return -1;
}

static int parse(int argc, char **argv, struct flame *f)
{
	int c, r;

	*f = (struct flame){.fd = -1};
	opterr = 0;
	while ((c = getopt_long(argc, argv, ":ho:", options, NULL)) != -1) {
		r = set_option(f, c, argv);
		if (r >= 0)
			return r;
	}
	if (optind < argc)
		f->path = argv[optind++];
	if (optind < argc)
		return wrong("one FILE is wanted; what is", argv[optind]);
	if (f->path && f->url)
		return wrong("a FILE or the agent at --url, not both:", f->path);
	return check(f);
}

/* ---- ranges of a file ---- */

static int time_of(const struct flame *f, const char *what, const char *text, int64_t *ret)
{
	const struct history_clock clock = {INT64_MIN, f->sets.real_off_us};
	struct api_times times = {.now_us = f->sets.to_us, .clocks = &clock, .n_clocks = 1};
	char back[64];
	int64_t us;

	if (!text)
		return -1;
	if (*text == '+') { /* after the start */
		times.now_us = 0;
		snprintf(back, sizeof(back), "-%.60s", text + 1);
		if (api_time_parse(back, &times, &us)) {
			*ret = f->sets.from_us - us;
			return -1;
		}
	} else if (api_time_parse(text, &times, ret)) {
		return -1;
	}
	fprintf(stderr,
		"strobe: flame: %s '%s' is no time (now, -30s, +10s, seconds or ISO 8601)\n", what,
		text);
	return 2;
}

static int needs_time(const struct flame *f)
{
	if (f->sets.has_time || !(f->from || f->to || f->base_from || f->base_to))
		return -1;
	fprintf(stderr, "strobe: flame: samples in %s have no times: it can only be shown whole\n",
		f->path);
	return 2;
}

/* < 0: go on. */
static int resolve_ranges(struct flame *f)
{
	struct fold_request *q = &f->request;
	struct stacks_range *range = &q->ranges[0], *base = &q->base[0];
	int r;

	*range = (struct stacks_range){f->sets.from_us, f->sets.to_us};
	q->n_ranges = 1;
	r = needs_time(f);
	if (r < 0)
		r = time_of(f, "--from", f->from, &range->from_us);
	if (r < 0)
		r = time_of(f, "--to", f->to, &range->to_us);
	*base = (struct stacks_range){f->sets.from_us, range->from_us};
	if (r < 0)
		r = time_of(f, "--baseline-from", f->base_from, &base->from_us);
	if (r < 0)
		r = time_of(f, "--baseline-to", f->base_to, &base->to_us);
	if (r >= 0)
		return r;
	if (f->base_file) {
		flame_sets_shift(&f->sets, 0);
		flame_sets_shift(&f->base, f->sets.from_us - 1000000 - f->base.to_us);
		*base = (struct stacks_range){f->base.from_us, f->base.to_us};
	}
	q->n_base = f->base_from || f->base_to || f->base_file ? 1 : 0;
	if (range->to_us <= range->from_us)
		return wrong("the range ends before it begins, with --from",
			     f->from ? f->from : "");
	if (q->n_base && base->to_us <= base->from_us)
		return wrong("the baseline ends before it begins, with --baseline-from",
			     f->base_from ? f->base_from : "");
	return -1;
}

/* ---- a file ---- */

static int run_file(struct flame *f)
{
	int r = flame_load_file(&f->sets, f->path, f->input, f->event);

	if (r == 0 && f->base_file)
		r = flame_load_file(&f->base, f->base_file, f->input, f->event);
	if (r < 0)
		return 1;
	r = resolve_ranges(f);
	return r >= 0 ? r : flame_export(f) < 0;
}

/* ---- the agent ---- */

static int add(char *target, const char *key, const char *value)
{
	size_t n = strlen(target);

	if (!value)
		return 0;
	if (n + strlen(key) + 3 > TARGET_MAX)
		return -ENOBUFS;
	strcat(target, n && target[n - 1] == '?' ? "" : "&");
	strcat(target, key);
	strcat(target, "=");
	return client_escape(target, TARGET_MAX, value);
}

static int make_target(const struct flame *f, char *target)
{
	const char *const args[][2] = {
		{"from", f->from ? f->from : "-60s"},
		{"to", f->to ? f->to : "now"},
		{"pid", f->pid},
		{"tid", f->tid},
		{"cpu", f->cpu},
		{"cgroup", f->filter.cgroup},
		{"process", f->filter.process},
		{"kind", f->off_cpu ? "off" : "cpu"},
		{"by", f->by},
		{"baseline_from", f->base_from},
		{"baseline_to",
		 f->base_from && !f->base_to ? f->from ? f->from : "-60s" : f->base_to},
		{"format",
		 profile_format_is_tree(f->format) ? profile_format_name(f->format) : "strobe"}};
	int r = 0;

	strcpy(target, "/api/v1/profile?");
	for (size_t i = 0; i < sizeof(args) / sizeof(*args) && r == 0; i++)
		r = add(target, args[i][0], args[i][1]);
	return r;
}

/* Trees are rendered by the agent, which need not send all it has of the range. */
static int pass_on(struct flame *f, const struct client *c, const char *target)
{
	struct client_stream *stream;
	char err[512], buf[16384];
	int r = client_stream_open(&stream, c, target, err, sizeof(err)), n = 0;

	if (r < 0) {
		msg(MSG_ERROR, "%s", err);
		return r;
	}
	r = flame_open_output(f);
	if (r == 0) {
		while (r == 0 && (n = client_stream_read(stream, buf, sizeof(buf))) > 0)
			r = flame_write(f, buf, (size_t)n);
		r = flame_close_output(f, r < 0 ? r : n);
	}
	client_stream_close(stream);
	return r;
}

static int run_agent(struct flame *f)
{
	char target[TARGET_MAX], err[512];
	struct client client;
	int r;

	if (make_target(f, target) < 0)
		return wrong("the arguments are too long, with --from", f->from ? f->from : "");
	if (client_find(f->url, &client, err, sizeof(err)) < 0) {
		msg(MSG_ERROR, "%s", err);
		return 1;
	}
	if (profile_format_is_tree(f->format))
		return pass_on(f, &client, target) < 0;
	r = flame_load_agent(&f->sets, &client, target);
	if (r < 0)
		return 1;
	f->request.ranges[0] = (struct stacks_range){f->sets.from_us, f->sets.to_us};
	f->request.n_ranges = 1;
	return flame_export(f) < 0;
}

int cmd_flame(int argc, char **argv)
{
	struct flame f;
	int r = parse(argc, argv, &f);

	if (r >= 0)
		return r;
	r = f.path ? run_file(&f) : run_agent(&f);
	flame_sets_done(&f.sets);
	flame_sets_done(&f.base);
	return r;
}
