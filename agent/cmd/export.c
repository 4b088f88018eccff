/* strobe export: every sample of a capture as text. */
#include "base/msg.h"
#include "base/walltime.h"
#include "cmd/capture_file.h"
#include "cmd/cmd.h"
#include "cmd/options.h"
#include "export/samples.h"
#include "serve/api.h"
#include "serve/csv.h"
#include "serve/json.h"

#include <errno.h>
#include <fnmatch.h>
#include <getopt.h>
#include <stdio.h>
#include <string.h>

static const char help[] =
	"usage: strobe export FILE [OPTION...]\n\n"
	"Prints every sample of what 'strobe record' saved, one a line, in the order of time: "
	"time, "
	"unix seconds, metric,\n"
	"instance, unit, value; counters as rates a second.\n\n"
	"  --format FORMAT   csv (the default) or jsonl\n"
	"  --metric PATTERN  a name, a part of names, or with * ? [] a pattern (repeatable); "
	"default: all\n"
	"  --from TIME       -30s, -5m, -1h before the end, unix seconds or 2026-01-31T12:00:00Z\n"
	"  --to TIME         the same, or now (the end, the default)\n"
	"  --rate 0          counters as they are, not as rates\n\n"
	"Exit status: 0; 1 when the file cannot be read, is damaged or has no such metric; 2 for a "
	"wrong option.\n";

enum { PATTERNS_MAX = 64, FLUSH_BYTES = 64 << 10 };

struct export
{
	const char *path, *from, *to;
	const char *patterns[PATTERNS_MAX];
	size_t n_patterns;
	bool exact[PATTERNS_MAX]; /* a metric has this very name */
	bool jsonl, raw, failed;
	unsigned bad_blocks, rollups;
	struct capture_summary summary;
	struct samples *samples;
	struct buf text;
	struct fields { /* of the sample at hand */
		int64_t wall_us;
		char time[WALLTIME_LEN], unix_s[WALLTIME_LEN], unit[96], value[32];
	} fields;
};

/* ---- arguments ---- */

static int wrong(const char *what, const char *value)
{
	fprintf(stderr, "strobe: export: %s '%s'; 'strobe export --help' lists the options\n", what,
		value);
	return 2;
}

/* As run_options_parse(): < 0: go on. */
static int set_option(struct export *x, int c, char **argv)
{
	switch (c) {
	case 'h':
		fputs(help, stdout);
		return 0;
	case 'o':
		x->jsonl = strcmp(optarg, "jsonl") == 0;
		return x->jsonl || strcmp(optarg, "csv") == 0 ? -1
							      : wrong("no such --format", optarg);
	case 'm':
		if (x->n_patterns == PATTERNS_MAX)
			return wrong("too many --metric, at", optarg);
		x->patterns[x->n_patterns++] = optarg;
		return -1;
	case 'f':
		x->from = optarg;
		return -1;
	case 't':
		x->to = optarg;
		return -1;
	case 'r':
		x->raw = strcmp(optarg, "0") == 0;
		return x->raw || strcmp(optarg, "1") == 0 ? -1
							  : wrong("--rate is 0 or 1, not", optarg);
	default:
		return option_wrong("export", c, argv);
	}
}

static int parse(int argc, char **argv, struct export *x)
{
	static const struct option options[] = {{"format", required_argument, NULL, 'o'},
						{"metric", required_argument, NULL, 'm'},
						{"from", required_argument, NULL, 'f'},
						{"to", required_argument, NULL, 't'},
						{"rate", required_argument, NULL, 'r'},
						{"help", no_argument, NULL, 'h'},
						{0}};
	int c, r;

	*x = (struct export){0};
	opterr = 0;
	while ((c = getopt_long(argc, argv, ":h", options, NULL)) != -1) {
		r = set_option(x, c, argv);
		if (r >= 0)
			return r;
	}
	if (optind + 1 == argc) {
		x->path = argv[optind];
		return -1;
	}
	return optind < argc ? wrong("one FILE is wanted; what is", argv[optind + 1])
			     : wrong("which FILE? As in: strobe export", "x.strobe");
}

/* ---- what is asked for ---- */

static bool matches(const struct export *x, size_t i, const char *metric)
{
	const char *p = x->patterns[i];

	if (x->exact[i])
		return strcmp(p, metric) == 0;
	return strpbrk(p, "*?[") ? fnmatch(p, metric, 0) == 0 : strstr(metric, p) != NULL;
}

static bool wanted(void *arg, const char *metric)
{
	const struct export *x = arg;

	for (size_t i = 0; i < x->n_patterns; i++)
		if (matches(x, i, metric))
			return true;
	return !x->n_patterns;
}

static bool any_matches(const struct export *x, size_t i)
{
	const struct mirror *m = &x->summary.fill.walk.mirror;

	for (uint32_t g = 0; g < m->n_groups; g++)
		for (uint32_t k = 0; k < m->groups[g].n_metrics; k++)
			if (matches(x, i, m->groups[g].metrics[k].name))
				return true;
	return false;
}

static int resolve(struct export *x)
{
	struct mirror *m = &x->summary.fill.walk.mirror;
	uint32_t group, metric;

	for (size_t i = 0; i < x->n_patterns; i++) {
		x->exact[i] = mirror_find_metric(m, x->patterns[i], &group, &metric);
		if (any_matches(x, i))
			continue;
		msg(MSG_ERROR, "%s: no metric matches '%s'; 'strobe metrics' lists the names",
		    x->path, x->patterns[i]);
		return 1;
	}
	return 0;
}

static int resolve_time(const struct export *x, const char *what, const char *text, int64_t *ret)
{
	const struct capture_summary *s = &x->summary;
	const struct history_clock clock = {INT64_MIN, s->last.real_off_us};
	const struct api_times times = {.now_us = (int64_t)capture_summary_end_us(s),
					.mirror = &s->fill.walk.mirror,
					.clocks = &clock,
					.n_clocks = s->n_blocks != 0};

	if (!text || api_time_parse(text, &times, ret))
		return 0;
	fprintf(stderr,
		"strobe: export: %s '%s' is no time (now, -30s, unix seconds or ISO 8601)\n", what,
		text);
	return 2;
}

/* ---- lines ---- */

/* Whole numbers are told to the last digit. */
static void put_value(char *ret, size_t size, const struct sample *s)
{
	const struct mirror_metric *m = s->metric;
	double scaled = (double)s->value * m->mul / m->div / (s->rate ? 1000 : 1);
	int64_t product;

	if (!s->rate && !__builtin_mul_overflow(s->value, (int64_t)m->mul, &product) &&
	    product % m->div == 0)
		snprintf(ret, size, "%lld", (long long)(product / m->div));
	else
		snprintf(ret, size, "%.15g", scaled);
}

static void put_json_line(struct buf *b, const struct sample *s, const struct fields *f)
{
	buf_text(b, "{");
	json_key_text(b, "time", f->time);
	json_key(b, "t");
	buf_text(b, f->unix_s);
	json_key_text(b, "metric", s->metric->name);
	json_key_text(b, "instance", s->instance);
	json_key_text(b, "unit", f->unit);
	json_key(b, "value");
	buf_text(b, f->value);
	buf_text(b, "}\n");
}

static void put_csv_line(struct buf *b, const struct sample *s, const struct fields *f)
{
	const char *const rest[] = {s->metric->name, s->instance, f->unit, f->value};

	buf_text(b, f->time);
	buf_text(b, ",");
	buf_text(b, f->unix_s);
	for (size_t i = 0; i < sizeof(rest) / sizeof(*rest); i++) {
		buf_text(b, ",");
		csv_text(b, rest[i]);
	}
	buf_text(b, "\n");
}

static int write_text(struct export *x)
{
	bool ok = !x->text.failed && fwrite(x->text.p, 1, x->text.len, stdout) == x->text.len;

	buf_clear(&x->text);
	if (ok)
		return 0;
	x->failed = true;
	return -EIO;
}

static int on_sample(void *arg, const struct sample *s)
{
	struct export *x = arg;
	struct fields *f = &x->fields;

	if (s->wall_us != f->wall_us || !*f->time) { /* thousands of samples share one read */
		walltime_iso(f->time, s->wall_us);
		walltime_seconds(f->unix_s, s->wall_us);
		f->wall_us = s->wall_us;
	}
	stpcpy(stpncpy(f->unit, s->metric->unit, sizeof(f->unit) - 8), s->rate ? "/s" : "");
	put_value(f->value, sizeof(f->value), s);
	(x->jsonl ? put_json_line : put_csv_line)(&x->text, s, f);
	return x->text.len < FLUSH_BYTES ? 0 : write_text(x);
}

static int take_frames(struct export *x, const uint8_t *data, size_t len)
{
	struct capture_unpack u;
	struct frame f;
	int r = capture_unpack_begin(&u, data, len);

	while (r == 0 && capture_unpack_next(&u, &f) == 1) {
		r = samples_frame(x->samples, &f);
		r = r == -EBADMSG ? 0 : r;
	}
	return r;
}

static int on_section(void *arg, enum capture_type type, const uint8_t *data, size_t len)
{
	struct export *x = arg;
	struct block_head head;
	int r = 0;

	if (type == CAPTURE_FRAMES)
		r = take_frames(x, data, len);
	else if (type == CAPTURE_CATALOG)
		r = samples_catalog(x->samples, data, len);
	else if (type == CAPTURE_BLOCK && block_head_read(data, len, &head) == 0 && head.bucket_us)
		x->rollups++; /* they have no samples to tell */
	else if (type == CAPTURE_BLOCK && block_head_read(data, len, &head) == 0)
		r = samples_block(x->samples, data, len,
				  capture_summary_shift_us(&x->summary, &head));
	if (type == CAPTURE_BLOCK && r == -EBADMSG)
		x->bad_blocks++;
	return r == -EBADMSG ? 0 : r; /* said by the summary */
}

static int run(struct export *x)
{
	struct samples_config c = {.rates = !x->raw,
				   .from_us = INT64_MIN,
				   .to_us = INT64_MAX,
				   .wanted = wanted,
				   .each = on_sample,
				   .arg = x};
	int r = resolve_time(x, "--from", x->from, &c.from_us);

	if (!r)
		r = resolve_time(x, "--to", x->to, &c.to_us);
	if (!r)
		r = resolve(x);
	if (r)
		return r;
	if (!x->jsonl)
		buf_text(&x->text, "time,t,metric,instance,unit,value\n");
	r = samples_open(&x->samples, &c);
	if (r == 0)
		r = capture_file_sections(x->path, on_section, x);
	if (r == 0)
		r = samples_flush(x->samples);
	if (r == 0)
		r = write_text(x);
	if (r == 0 && fflush(stdout) != 0)
		x->failed = true;
	if (x->failed)
		msg(MSG_ERROR, "the output cannot be written: %s", strerrordesc_np(errno));
	else if (r < 0)
		msg(MSG_ERROR, "%s: %s", x->path, strerrordesc_np(-r));
	else if (x->bad_blocks)
		msg(MSG_WARN, "%s is damaged: %u of its blocks are left out, whole or in part",
		    x->path, x->bad_blocks);
	if (r == 0 && x->rollups)
		msg(MSG_WARN,
		    "%s begins with means over 10 s, for nothing else was held of that time; "
		    "'strobe "
		    "open' shows them, an export has every sample or none",
		    x->path);
	return r < 0 || x->failed || x->summary.n_damaged || x->bad_blocks ? 1 : 0;
}

int cmd_export(int argc, char **argv)
{
	struct export x;
	int r = parse(argc, argv, &x);

	if (r >= 0)
		return r;
	if (capture_summary_read(&x.summary, x.path) < 0)
		return 1;
	r = run(&x);
	samples_close(x.samples);
	capture_summary_done(&x.summary);
	buf_done(&x.text);
	return r;
}
