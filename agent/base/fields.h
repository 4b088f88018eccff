/*
 * Reads the numbers out of a /proc text whose words stay the same from pass to pass.
 *
 * The first pass (and any pass in which a word differs) walks the text, asks the caller which
 * column each number belongs to, and keeps the text between the numbers. Later passes compare that
 * text and convert the numbers in between: no search, and a field that moved is never taken for
 * another.
 *
 * A number is an optional '-' and digits between blanks or line ends; anything else is a word.
 *
 * Life cycle: fields_init, fields_read once a pass, fields_done. Not thread-safe.
 */
#ifndef STROBE_BASE_FIELDS_H
#define STROBE_BASE_FIELDS_H

#include "base/metric.h"

#include <stddef.h>
#include <stdint.h>

/* Where a number stands, for the caller's lookup. Lines end in '\n' or NUL. */
struct fields_at {
	const char *prev; /* start of the line before, or NULL in the first */
	const char *line; /* start of the line */
	const char *word; /* the last word before the number on its line; "" and 0 if none */
	size_t word_len;
	uint32_t nth; /* numbers before this one on the line */
};

/* The column of a number, or -1 for one that is not wanted. */
typedef int (*fields_column_fn)(const void *ctx, const struct fields_at *);

struct fields_mark {
	uint32_t off,
		len; /* of the words before the number, in text; blanks at their end left out */
	int16_t column;
	uint16_t gap; /* blanks between the words and the number when bound */
};

struct fields {
	char *text; /* as it was when bound */
	size_t text_cap, text_len;
	size_t tail_off, tail_len; /* the words after the last number */
	struct fields_mark *marks;
	uint32_t n_marks, cap_marks;
	uint32_t n_bound; /* times bound so far */
};

/* For texts of up to cap bytes and twice the numbers that `text` has now. 0 or -ENOMEM. */
int fields_init(struct fields *, const char *text, size_t cap);
void fields_done(struct fields *); /* zeroed is fine */

/* Sets row[0, n) from the NUL-ended text: VALUE_ABSENT where no number belongs to a column (the
 * first wins where several do). Numbers beyond what fields_init reserved are left out. The columns
 * set. */
uint32_t fields_read(struct fields *, const char *text, size_t len, fields_column_fn,
		     const void *ctx, int64_t *row, uint32_t n);

/* For tables whose `source` ends in a key: the metric whose source is prefix + key, or -1. */
int fields_find_source(const struct metric *, uint32_t n, const char *prefix, const char *key,
		       size_t len);

#endif
