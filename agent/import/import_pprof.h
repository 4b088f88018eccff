/*
 * Private to import_pprof*.c.
 */
#ifndef STROBE_IMPORT_IMPORT_PPROF_H
#define STROBE_IMPORT_IMPORT_PPROF_H

#include "import/import_internal.h"
#include "import/import_wire.h"

#include <string.h>

enum { TYPES_MAX = 64, VALUES_MAX = 64, LINES_MAX = 256 };

enum {
	F_SAMPLE_TYPE = 1,
	F_SAMPLE,
	F_MAPPING,
	F_LOCATION,
	F_FUNCTION,
	F_STRING,
	F_TIME_NS = 9,
	F_DURATION_NS,
	F_PERIOD_TYPE,
	F_PERIOD,
	F_DEFAULT_TYPE = 14
};

/* ---- what it holds ---- */

struct text {
	const char *p;
	size_t len;
};

struct function {
	uint32_t name; /* string of the stacks */
};
struct location {
	uint32_t frames, n; /* of pprof.frames, outermost first */
};

struct pprof {
	struct import *m;
	struct wire all;
	struct text *strings;
	size_t n_strings, cap_strings;
	struct idmap mappings, functions, locations; /* id -> module; -> string; -> locations[] */
	uint32_t main_module;
	struct location *location;
	size_t n_locations, cap_locations;
	uint32_t *frames;
	size_t n_frames, cap_frames;
	struct {
		uint64_t type, unit;
	} types[TYPES_MAX], period_type;
	uint32_t n_types;
	int32_t count; /* which value is a number of samples; -1: none */
	uint32_t chosen;
	uint64_t default_type, period, time_ns, duration_ns;
	double to_us; /* of a value; 0: it is no time */
	struct import_sums sums;
	uint32_t *path; /* IMPORT_DEPTH_MAX */
};

static inline struct text pprof_text(const struct pprof *x, uint64_t i)
{
	return i < x->n_strings ? x->strings[i] : (struct text){"", 0};
}

static inline bool pprof_is(struct text t, const char *s)
{
	return t.len == strlen(s) && memcmp(t.p, s, t.len) == 0;
}

static inline uint32_t pprof_intern(struct pprof *x, struct text t)
{
	return stacks_string(x->m->s, t.p, t.len);
}

/* Third pass. 0, -ENOMEM, -EFBIG. */
int pprof_take_samples(struct pprof *);

#endif
