/*
 * Writes profiles in other tools' formats, and as one HTML page.
 */
#ifndef STROBE_EXPORT_PROFILE_H
#define STROBE_EXPORT_PROFILE_H

#include "stacks/fold.h"

enum profile_format {
	PROFILE_FOLDED, /* tree: "a;b;c 12" per stack, in samples (in us of STACKS_OFF); with a baseline
				"a;b;c BEFORE NOW", as difffolded.pl */
	PROFILE_PPROF,	     /* tree: gzipped profile.proto */
	PROFILE_HTML,	     /* tree: one file, no network */
	PROFILE_SVG,	     /* tree: one picture, no script */
	PROFILE_JSON,	     /* tree: nested, as d3-flame-graph reads it, see below */
	PROFILE_SPEEDSCOPE,  /* samples: one profile a thread */
	PROFILE_FIREFOX,     /* samples: processed profile of profiler.firefox.com */
	PROFILE_PERFETTO,    /* samples: protobuf trace of ui.perfetto.dev */
	PROFILE_PERF_SCRIPT, /* samples: text of `perf script` */
	PROFILE_STROBE	     /* samples: an epoch (stacks/epoch.h), of whichever kind they are */
};
/*
 * PROFILE_JSON is one object, which is the root frame: n name, v its weight with its children's, c children (the
 * same, in order of name); l "kernel", "user", "library", "jit", "inlined", "process", "thread" or "" (unknown), m the
 * module's name where there is one. With a baseline b: its weight there, brought to the length of the ranges, and d =
 * v - b. The root has "about" besides: {title, host, version, from, to (unix seconds, or 0), unit ("us", "samples",
 * "bytes" ...), kind ("cpu", "off"), samples, span_us, covered_us, hz_min, hz_max, lost, throttled, shallow, truncated,
 * left_out (frames), diff, base_samples, base_span_us, missing (an array of sentences: which modules have no names and
 * what would supply them; not where there are none)}. '<' never stands in it.
 */

/* By the name users give: "folded", "pprof", "html", "svg", "json", "speedscope", "firefox", "perfetto", "perf", "strobe". -1: none. */
int profile_format(const char *name);
const char *profile_format_name(enum profile_format);
bool profile_format_is_tree(enum profile_format);
bool profile_format_is_text(enum profile_format); /* fit for a terminal */
const char *profile_format_mime(enum profile_format);
const char *profile_format_suffix(enum profile_format); /* ".pb.gz" */

struct profile_out {
	int (*write)(void *arg, const void *data, size_t len); /* 0 or -errno */
	void *arg;
};
enum { PROFILE_MISSING = 8 };
struct profile_about { /* for titles; strings may be NULL */
	const char *title, *host, *version;
	int64_t wall_from_us, wall_to_us; /* of the (first) range; 0: unknown */
	int64_t wall_base_from_us,
		wall_base_to_us; /* of the (first) baseline; 0: unknown, or none */
	uint32_t n_cpus;	 /* 0: unknown */
	enum stacks_kind kind;
	const char *unit; /* what a weight of 1 is where weights are no times; NULL or "": us */
	/* Then what is counted, in its tool's word ("inuse_space"); NULL: unknown. */
	const char *what;
	bool annotate; /* folded: names end in _[k], _[j], _[i] for kernel, JIT, inlined */
	/* Modules without names and what would supply them, "libfoo.so: stripped ...". */
	const char *missing[PROFILE_MISSING];
	size_t n_missing;
};

/* 0; -EINVAL: not of a tree; -ENOMEM; what write() returned. */
int export_tree(enum profile_format, const struct fold_tree *, const struct profile_about *,
		const struct profile_out *);
/* Stacks with their times in [from_us, to_us) (of time off the CPU those that overlap it) that pass the filter. The same; -EMSGSIZE of PROFILE_STROBE. */
int export_samples(enum profile_format, const struct stacks *, const struct stacks_filter *,
		   int64_t from_us, int64_t to_us, const struct profile_about *,
		   const struct profile_out *);
/* Whether there are any of those. */
bool export_has_samples(const struct stacks *, const struct stacks_filter *, int64_t from_us,
			int64_t to_us);

#endif
