/*
 * The interrupt sources that are shown one by one, and "others", which counts on for the rest.
 *
 * Invariants
 *  - A source's total never falls and never jumps: CPUs that go offline keep their part of it, and
 *    32-bit counts of the kernel wrap unseen.
 *  - "others" rises by what hidden sources rise by, so that a source that changes sides steps
 *    neither.
 *  - At most SOURCES_SHOWN sources and "others" are shown. Where there are more, the busiest of the
 *    last SOURCES_RANK_PASSES passes take the places of the idlest.
 */
#ifndef STROBE_COLLECTORS_INTERRUPTS_SOURCES_H
#define STROBE_COLLECTORS_INTERRUPTS_SOURCES_H

#include "base/counter.h"
#include "base/metric.h"
#include "collectors/interrupts/table.h"

enum { SOURCES_SHOWN = 63, SOURCES_RANK_PASSES = 300 };

struct irq_source {
	char name[INSTANCE_NAME_MAX]; /* "36:virtio1-req.0", "LOC"; "" : a row that is no source */
	uint8_t name_len;
	bool shown;
	struct running count;
	int64_t ranked_at; /* total at the last ranking */
};

struct irq_sources {
	struct irq_source *now, *before; /* by row; cap_rows each */
	uint32_t n, n_before, n_hidden, passes;
	int64_t others;
	bool moved; /* in the newest pass some source came, went or changed sides */
	bool warm;
};

/* 0 or -ENOMEM. */
int irq_sources_init(struct irq_sources *, uint32_t cap_rows);
void irq_sources_done(struct irq_sources *); /* zeroed is fine */
/* After a read of the table. Never allocates. */
void irq_sources_update(struct irq_sources *, const struct irq_table *);

/* What a row is about, blanks collapsed: "IO-APIC 4-edge ttyS0". Bytes written, at most size. */
size_t irq_row_describe(const struct irq_table *, const struct irq_row *, char *out, size_t size);

#endif
