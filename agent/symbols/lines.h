/*
 * Private to lines*.c: symbol_lines() in the process that calls it.
 */
#ifndef STROBE_SYMBOLS_LINES_H
#define STROBE_SYMBOLS_LINES_H

#include "symbols/symbols.h"

/* As symbol_lines(), but what a damaged file does to libdw it does to the caller. */
int lines_read(int fd, const char *debug_root, const uint64_t *vaddrs, size_t n_vaddrs,
	       struct symbol_line **ret, size_t *n);

/* What the process that read them said, NUL-ended; it may be anything. -EBADMSG: it makes no sense. */
int lines_understand(const char *said, struct symbol_line **ret, size_t *n);

#endif
