/*
 * What the readers of import.h share. A reader takes text line by line, or all of a file at once, and fills
 * res->stacks.
 */
#ifndef STROBE_IMPORT_IMPORT_INTERNAL_H
#define STROBE_IMPORT_IMPORT_INTERNAL_H

#include "base/idmap.h"
#include "import/import.h"

#include <zlib.h>

enum {
	IMPORT_LINE_MAX = 1 << 20, /* of longer ones the rest is left out */
	IMPORT_HEAD = 64 << 10,
	IMPORT_DEPTH_MAX = 8192,
	IMPORT_MEMORY_MAX = 2047 << 20 /* of the stacks that are made */
};

/* ---- bytes, unpacked ---- */

struct import_in {
	int fd; /* -1: memory */
	const uint8_t *memory;
	size_t memory_len;
	uint8_t *packed; /* what was read of fd and is not unpacked */
	z_stream z;
	bool gzip, z_open, fd_end;
	char *buf; /* [at, end) is unpacked and not taken */
	size_t at, end, cap;
	bool over;
	uint64_t line; /* the number of the one that was taken last */
	int error;
};

/* More of it into buf. False: there is none; look at error. */
bool import_fill(struct import_in *);
/* The next line without its end, NUL-ended, writable, valid until the next. NULL: none. */
char *import_line(struct import_in *, size_t *len);
/* All that is left. 0, -EFBIG: more than max, -errno. */
int import_rest(struct import_in *, size_t max, char **ret, size_t *len);

/* ---- one import ---- */

struct import {
	struct import_in in;
	struct import_result *res;
	struct stacks *s;  /* res->stacks */
	const char *event; /* that is wanted; NULL: any */
	char *err;
	size_t err_len;
};

/* Writes the sentence; returns r. */
int import_fail(struct import *, int r, const char *format, ...)
	__attribute__((format(printf, 3, 4)));
int import_no_memory(struct import *);
/* 0, or -EFBIG or -ENOMEM with its sentence: to be called now and then. */
int import_check(struct import *);

int import_perf(struct import *);
int import_folded(struct import *);
int import_pprof(struct import *);
int import_cpuprofile(struct import *); /* or a trace, as import_trace() */
int import_trace(struct import *);
bool import_perf_looks(const char *head, size_t len);
bool import_folded_looks(const char *head, size_t len);
bool import_pprof_looks(const char *head, size_t len);
bool import_cpuprofile_looks(const char *head, size_t len);

/* -EINVAL, and the sentence: what is wanted is none of those. */
int import_no_event(struct import *, const char *what, const char *const *names, size_t n);

/* ---- frames ---- */

/* What a frame is, by its module's path and its address (0: unknown). */
enum stacks_type import_type(const char *module, size_t len, uint64_t addr);

/* ---- stacks without times: counts ---- */

/* Samples of a file that has only sums. Weights of up to 64 bits are brought into 32. */
struct import_sum {
	uint32_t node, task;
	uint64_t weight, n; /* n: samples it stands for; 0: unknown */
};
struct import_sums {
	struct import_sum *rows;
	size_t n, cap;
};
int import_sums_add(struct import_sums *, const struct import_sum *);
/* Adds them to the stacks; where there are few enough samples, one by one, so that their number is right. Of
 * what is no time the unit becomes a multiple of 1,024 where the largest does not fit. */
int import_sums_finish(struct import *, struct import_sums *, bool is_time);
void import_sums_done(struct import_sums *);

#endif
