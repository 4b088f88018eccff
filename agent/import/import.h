/*
 * Reads other tools' profiles: `perf script` text, folded stacks, pprof protobufs, Chrome cpuprofiles and Trace Events, each also
 * gzipped. What it is, is seen from its first bytes.
 */
#ifndef STROBE_IMPORT_IMPORT_H
#define STROBE_IMPORT_IMPORT_H

#include "stacks/stacks.h"

enum import_format {
	IMPORT_ANY,
	IMPORT_PERF_SCRIPT,
	IMPORT_FOLDED,
	IMPORT_PPROF,
	IMPORT_CPUPROFILE,
	IMPORT_TRACE
};
enum { IMPORT_UNIT_MAX = 24 };

struct import_result {
	struct stacks *stacks;
	enum import_format format;
	uint64_t lines, skipped; /* of text: those that made no sense */
	char event
		[64]; /* perf script: of the samples that were taken; others were left out. pprof: sample type */
	uint64_t others; /* samples of other events, left out */
	/* What a weight of 1 is, where weights are no times ("samples", "bytes", "MiB"); "": us. */
	char unit[IMPORT_UNIT_MAX];
};
/* Reads to the end of the file ("-": standard input). 0; -EBADMSG: nothing known; -ENODATA: no samples; -EFBIG: more
 * than is read; -errno; err says which line and what was expected. Memory is bounded by the file's distinct stacks and
 * its samples, and for pprof and JSON by the size of the file, at most IMPORT_WHOLE_MAX and IMPORT_JSON_MAX (unpacked). */
enum { IMPORT_WHOLE_MAX = 256 << 20, IMPORT_JSON_MAX = 128 << 20 };
int import_file(struct import_result *ret, const char *path, enum import_format, char *err,
		size_t err_len);
/* The same, of this event (perf script) or sample type (pprof) where the file has several. -EINVAL: it has none of that
 * name, err says which it has; or other files than these. NULL: the one with most samples; the default one. */
int import_file_event(struct import_result *ret, const char *path, enum import_format,
		      const char *event, char *err, size_t err_len);
/* The same of bytes in memory. */
int import_bytes(struct import_result *ret, const void *data, size_t len, enum import_format,
		 char *err, size_t err_len);
/* Is it worth trying? Of the first bytes (unpacked or gzipped). */
bool import_looks_like(const uint8_t *head, size_t len, enum import_format *ret);
/* "perf", "folded", "pprof", "cpuprofile", "trace". */
const char *import_format_name(enum import_format);

#endif
