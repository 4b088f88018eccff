/*
 * Private to perf_map.c: which code lies where, when code was written over other code many times. Of each address the
 * newest piece counts, also where it covers an older one in part.
 */
#ifndef STROBE_SYMBOLS_PERF_MAP_PAINT_H
#define STROBE_SYMBOLS_PERF_MAP_PAINT_H

#include <stddef.h>
#include <stdint.h>

struct piece { /* what is to be seen of some code; a map's are sorted, none over another */
	uint64_t start;
	uint32_t len;
	uint32_t before; /* the code began that much before start */
	uint32_t name;
};

struct stroke { /* code that was reported; later ones in an array are newer */
	uint64_t start;
	uint32_t len, name;
};

/* Paints n_strokes over the pieces. `out` has room for paint_room(). How many pieces;
 * SIZE_MAX: no memory. */
size_t paint_room(size_t n_pieces, size_t n_strokes);
size_t paint(const struct piece *pieces, size_t n_pieces, const struct stroke *strokes,
	     size_t n_strokes, struct piece *out);

#endif
