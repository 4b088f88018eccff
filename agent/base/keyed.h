/*
 * Files of "key value" lines (/proc/meminfo, /proc/vmstat): some keys become the values of one row.
 *
 * Invariants
 *  - The order of the lines is learned in one full pass. Later passes step over the lines that
 *    nobody wants, compare the key of each wanted line where it is expected, and learn again when
 *    one moved.
 *  - A key that is not in the file is VALUE_ABSENT, as is a number cut off by the end of the file.
 */
#ifndef STROBE_BASE_KEYED_H
#define STROBE_BASE_KEYED_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { KEYED_FIELDS_MAX = 128 };

struct keyed_field {
	const char *key; /* with what ends it: "MemFree:" or "pgfault " */
	uint32_t metric; /* index into the row; fields of the same metric are added up */
};

struct keyed {
	const struct keyed_field *fields;
	uint32_t n_fields, n_metrics;
	uint8_t key_len[KEYED_FIELDS_MAX];
	/* learned: the wanted lines in the order of the file */
	uint32_t n_wanted;
	struct keyed_wanted {
		uint16_t skip; /* lines to step over first */
		uint8_t field;
		bool add; /* an earlier line set the metric already */
	} wanted[KEYED_FIELDS_MAX];
};

/* fields: at most KEYED_FIELDS_MAX, each metric below n_metrics; kept by reference. */
void keyed_init(struct keyed *, const struct keyed_field *fields, uint32_t n_fields,
		uint32_t n_metrics);
/* Reads text[len] and its NUL into row[n_metrics], which must be the same row, unchanged, as in the
 * pass before. The number of wanted lines found; 0 means that this is not such a file. */
uint32_t keyed_parse(struct keyed *, const char *text, size_t len, int64_t *row);

#endif
