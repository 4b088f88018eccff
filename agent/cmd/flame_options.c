/* What `strobe flame` is asked for. */
#include "cmd/flame.h"
#include "cmd/options.h"

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
	"FILE, 60 s of the agent)\n"
	"  --to TIME             the same, or now (the end, the default)\n"
	"  --pid N, --tid N, --cpu N, --process NAME, --cgroup PATH   those samples alone\n"
	"  --off-cpu             time spent waiting, not running\n"
	"  --class NAME,...      of it: disk, lock, condition, network, sleep, run-queue, other\n"
	"  --min-us N            of it: no shorter stretches\n"
	"  --by process|thread|none   frames for them below the root (default: process where there "
	"are any)\n"
	"  --baseline-from TIME  what to compare with: colours show what became more or less\n"
	"  --baseline-to TIME    (default: the start of the range)\n"
	"  --baseline FILE       compare with all of a file\n"
	"  --reverse             stacks from the innermost frame up: who calls what is hot\n\n"
	"as what\n"
	"  --html                one page without any network access; search, zoom, keyboard\n"
	"  --svg                 one picture, without a script, as flamegraph.pl makes\n"
	"  --folded              a;b;c 12 a line (the default on standard output)\n"
	"  --pprof               for 'go tool pprof'\n"
	"  --speedscope          for speedscope\n"
	"  --firefox             for profiler.firefox.com\n"
	"  --perfetto            for ui.perfetto.dev\n"
	"  --perf                the text of 'perf script': FlameGraph, FlameScope and others\n"
	"  --json                nested frames {n, v, l, c}, as d3-flame-graph reads them\n"
	"  --strobe              with all names, for 'strobe flame' elsewhere\n"
	"  --title TEXT          of pages and profiles;   --annotate: frames of --folded end in "
	"_[k] "
	"(kernel), _[j] (JIT), _[i]\n"
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

enum { FORMAT_OPTION = 0x100 };

/* ---- arguments ---- */

int flame_wrong(const char *what, const char *value)
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
	return flame_wrong("--input is perf, folded, pprof, cpuprofile or trace, not", name);
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
					 ['e'] = &f->event,
					 ['k'] = &f->classes,
					 ['m'] = &f->min_us,
					 ['l'] = &f->title};

	if (c == 'h') {
		fputs(help, stdout);
		return 0;
	}
	if (c == 'O' || c == 'R' || c == 'A') {
		*(c == 'O' ? &f->off_cpu : c == 'R' ? &f->reverse : &f->annotate) = true;
		return -1;
	}
	if (c == 'i')
		return set_input(f, optarg);
	if (c >= FORMAT_OPTION) {
		if (f->has_format && f->format != (enum profile_format)(c - FORMAT_OPTION))
			return flame_wrong(
				"one format at a time, not also",
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
	{"class", required_argument, NULL, 'k'},
	{"min-us", required_argument, NULL, 'm'},
	{"reverse", no_argument, NULL, 'R'},
	{"title", required_argument, NULL, 'l'},
	{"annotate", no_argument, NULL, 'A'},
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
	{"svg", no_argument, NULL, FORMAT_OPTION + PROFILE_SVG},
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

/* "disk,lock" as bits. */
static int take_classes(struct flame *f)
{
	static const char *const names[STACKS_CLASSES] = {
		"other", "disk", "lock", "network", "sleep", "run-queue", "condition"};
	const char *p = f->classes;

	while (p) {
		size_t len = strcspn(p, ","), i = 0;

		while (i < STACKS_CLASSES &&
		       (strlen(names[i]) != len || memcmp(names[i], p, len) != 0))
			i++;
		if (i == STACKS_CLASSES)
			return flame_wrong("--class is of disk, lock, condition, network, sleep, "
					   "run-queue and other, not",
					   f->classes);
		f->filter.classes |= 1u << i;
		p = p[len] ? p + len + 1 : NULL;
	}
	f->off_cpu = f->off_cpu || f->classes || f->min_us;
	return -1;
}

static int check_filter(struct flame *f)
{
	uint32_t cpu = 0;

	if (number("--pid", f->pid, 1, &f->filter.pid) ||
	    number("--tid", f->tid, 1, &f->filter.tid) || number("--cpu", f->cpu, 0, &cpu) ||
	    number("--min-us", f->min_us, 0, &f->filter.min_us))
		return 2;
	f->filter.cpu = f->cpu ? (int32_t)cpu : -1;
	return take_classes(f);
}

/* What there is to show, and to compare it with. < 0: go on. */
static int check_sources(const struct flame *f)
{
	if (f->base_file && (f->base_from || f->base_to))
		return flame_wrong("a baseline is a FILE or a range, not both:", f->base_file);
	if (f->base_file && f->path && strcmp(f->base_file, "-") == 0 && strcmp(f->path, "-") == 0)
		return flame_wrong("standard input can be read only once, with --baseline",
				   f->base_file);
	if (!f->path && f->base_to && !f->base_from)
		return flame_wrong("of the agent a baseline needs --baseline-from, too, with",
				   f->base_to);
	if (f->input && !f->path && !f->base_file)
		return flame_wrong("--input is of a FILE, not of the agent:",
				   import_format_name(f->input));
	if (f->event && !f->path && !f->base_file)
		return flame_wrong("an event is of a FILE; the agent has --off-cpu, not", f->event);
	return -1;
}

static int check(struct flame *f)
{
	int r = check_filter(f);

	if (r >= 0)
		return r;
	if (f->by && strcmp(f->by, "process") != 0 && strcmp(f->by, "thread") != 0 &&
	    strcmp(f->by, "none") != 0)
		return flame_wrong("--by is process, thread or none, not", f->by);
	r = check_sources(f);
	if (r >= 0)
		return r;
	choose_format(f);
	if (f->annotate && f->format != PROFILE_FOLDED)
		return flame_wrong("--annotate goes with --folded, not with",
				   profile_format_name(f->format));
	if (!profile_format_is_tree(f->format) && (f->base_from || f->base_to || f->base_file))
		return flame_wrong(
			"a baseline goes with --html, --svg, --folded, --pprof or --json, not with",
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

int flame_parse(int argc, char **argv, struct flame *f)
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
		return flame_wrong("one FILE is wanted; what is", argv[optind]);
	if (f->path && f->url)
		return flame_wrong("a FILE or the agent at --url, not both:", f->path);
	return check(f);
}
