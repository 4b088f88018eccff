/*
 * /proc/interrupts and /proc/softirqs: a line that names CPUs, then rows of "label: count..." with
 * text behind. One column for each CPU named; a row may have fewer.
 *
 * The layout (labels, texts, which CPUs) is found once and compared from pass to pass. `changed`
 * tells that it is another one than in the pass before: rows have new numbers then, and sums over
 * rows or CPUs cannot be compared with the last ones.
 */
#ifndef STROBE_COLLECTORS_INTERRUPTS_TABLE_H
#define STROBE_COLLECTORS_INTERRUPTS_TABLE_H

#include "base/host.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum {
	IRQ_LABEL_MAX = 32
}; /* a row with a longer label, or one that is not plain ASCII, is left out */

struct irq_row {
	uint32_t label, label_len; /* in `layout`, without blanks and colon */
	uint32_t lead, lead_len;   /* all before the first count, from the end of the row before */
	uint32_t tail, tail_len;   /* all behind the last count, newline included */
	uint32_t n_cols;
	bool global; /* of the whole host (ERR, MIS), not of CPUs */
};

struct irq_table {
	struct kept_file file;
	char *layout; /* the text as it was when the layout was found */
	size_t layout_len;
	uint32_t head_len;
	struct irq_row *rows;
	uint32_t n_rows, cap_rows;
	uint32_t *cpus; /* the CPU of each column */
	uint32_t n_cpus, cap_cpus;
	int64_t *row_sums; /* n_rows */
	int64_t *cpu_sums; /* n_cpus: over the rows that are not global */
	uint32_t *cells;   /* n_rows x cap_cpus; NULL unless asked for */
	bool found, changed;
};

/* Opens root/path and reserves room for twice its rows and CPUs. 0 or -errno; close either way. */
int irq_table_open(struct irq_table *, const struct host *, const char *path, bool keep_cells);
void irq_table_close(struct irq_table *); /* zeroed is fine */

/* Reads rows and sums. 0; -EBADMSG: not such a file; -ENOSPC: more rows or CPUs than reserved (open
 * again); or -errno of the read. Never allocates. */
int irq_table_read(struct irq_table *, uint64_t tick);

/* Is the row's label this word? */
bool irq_row_is(const struct irq_table *, const struct irq_row *, const char *label);

#endif
