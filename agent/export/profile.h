/*
 * Writes profiles in other tools' formats, and as one HTML page.
 */
#ifndef STROBE_EXPORT_PROFILE_H
#define STROBE_EXPORT_PROFILE_H

#include "profile/fold.h"

enum profile_format {
	PROFILE_FOLDED,	     /* tree: "a;b;c 12" per stack, in samples (in us of STACKS_OFF) */
	PROFILE_PPROF,	     /* tree: gzipped profile.proto */
	PROFILE_HTML,	     /* tree: one file, no network */
	PROFILE_JSON,	     /* tree: what the HTML page and d3-flame-graph read: {n, v, l, c} */
	PROFILE_SPEEDSCOPE,  /* samples: one profile a thread */
	PROFILE_FIREFOX,     /* samples: processed profile of profiler.firefox.com */
	PROFILE_PERFETTO,    /* samples: protobuf trace of ui.perfetto.dev */
	PROFILE_PERF_SCRIPT, /* samples: text of `perf script` */
	PROFILE_STROBE	     /* samples: an epoch (profile/epoch.h) */
};
/* By the name users give: "folded", "pprof", "html", "json", "speedscope", "firefox", "perfetto", "perf", "strobe". -1: none. */
int profile_format(const char *name);
bool profile_format_is_tree(enum profile_format);
const char *profile_format_mime(enum profile_format);
const char *profile_format_suffix(enum profile_format); /* ".pb.gz" */

struct profile_out {
	int (*write)(void *arg, const void *data, size_t len); /* 0 or -errno */
	void *arg;
};
struct profile_about { /* for titles; strings may be NULL */
	const char *title, *host, *version;
	int64_t wall_from_us, wall_to_us; /* of the (first) range; 0: unknown */
};

int export_tree(enum profile_format, const struct fold_tree *, const struct profile_about *,
		const struct profile_out *);
/* Stacks with their times in [from_us, to_us) that pass the filter. */
int export_samples(enum profile_format, const struct stacks *, const struct stacks_filter *,
		   int64_t from_us, int64_t to_us, const struct profile_about *,
		   const struct profile_out *);

#endif
