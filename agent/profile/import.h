/*
 * Reads other tools' profiles: `perf script` text, folded stacks, pprof protobufs, Chrome cpuprofiles, each also
 * gzipped. What it is, is seen from its first bytes.
 */
#ifndef STROBE_PROFILE_IMPORT_H
#define STROBE_PROFILE_IMPORT_H

#include "profile/stacks.h"

enum import_format {
	IMPORT_ANY,
	IMPORT_PERF_SCRIPT,
	IMPORT_FOLDED,
	IMPORT_PPROF,
	IMPORT_CPUPROFILE
};

struct import_result {
	struct stacks *stacks;
	enum import_format format;
	uint64_t lines, skipped; /* of text: those that made no sense */
	char event[64]; /* perf script: of the samples that were taken; others were left out */
};
/* Reads to the end of the file ("-": standard input). 0; -EBADMSG: nothing known; -ENODATA: no samples; -errno;
 * err says which line and what was expected. Memory is bounded by the file's distinct stacks and its samples. */
int import_file(struct import_result *ret, const char *path, enum import_format, char *err,
		size_t err_len);
/* Is it worth trying? Of the first bytes (unpacked or gzipped). */
bool import_looks_like(const uint8_t *head, size_t len, enum import_format *ret);

#endif
