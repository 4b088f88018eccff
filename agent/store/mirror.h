/*
 * A reader's picture of the log at one moment: catalog, live instances with their names, attributes
 * and newest values, clock records, recent events. Built by applying frames in order from the start
 * of any segment. Belongs to one thread; allocates as it grows, within limits that no frame can
 * pass.
 *
 * Invariants
 *  - Values mean something only once `keyed`; ticks before the first KEY are passed over.
 *  - A row of an instance that is not live is all VALUE_ABSENT; its (gen, name, attrs) stay until
 *    the slot is given away again.
 */
#ifndef STROBE_STORE_MIRROR_H
#define STROBE_STORE_MIRROR_H

#include "store/frame.h"

struct mirror_metric {
	char *name, *unit, *source, *help;
	enum semantics sem;
	uint32_t mul, div;
	int64_t quantum;
	char **names;
	uint32_t n_names;
};
struct mirror_instance {
	uint64_t id;
	uint32_t gen;
	bool live;
	char name[INSTANCE_NAME_MAX];
	uint64_t since_us; /* acquisition of its first row in this log as far as known */
	char **attrs; /* n_attrs, NULL where unset; may stand here before the instance starts */
};
struct mirror_group {
	char *name, *indom; /* indom NULL: singular */
	struct mirror_metric *metrics;
	uint32_t n_metrics, n_attrs;
	char **attr_keys;
	uint32_t max_instances, period_ms, n_slots, n_live;
	uint64_t acquired_us, prev_acquired_us; /* newest read and the one before; 0: none */
	uint64_t acquired_tick;
	struct mirror_instance *inst; /* n_slots (allocated to cap_slots) */
	int64_t *rows;		      /* n_slots x n_metrics, VALUE_ABSENT where absent */
	uint32_t cap_slots;
};
struct mirror_clock {
	uint64_t mono_us;
	int64_t real_off_us, boot_off_us;
	uint32_t reason;
};
struct mirror_event {
	uint64_t seq, mono_us;
	uint32_t kind, severity;
	char source[FRAME_TEXT_MAX + 1], text[FRAME_TEXT_MAX + 1];
};
enum { MIRROR_EVENTS_MAX = 256, MIRROR_CLOCKS_MAX = 4096, MIRROR_SLOTS_MAX = 1 << 20 };

struct mirror {
	uint32_t version; /* of the catalog; 0: none yet */
	struct mirror_group *groups;
	uint32_t n_groups, n_adopted; /* the last n_adopted are of other catalogs */
	struct mirror_clock *clocks;  /* oldest first */
	uint32_t n_clocks;
	uint64_t mono_us, tick, seq; /* of the newest applied TICK or KEY */
	bool keyed;		     /* a KEY was applied: rows mean something */
	struct mirror_event *events; /* the newest MIRROR_EVENTS_MAX, oldest first */
	uint32_t n_events;
	const bool *only; /* the reader's, n_groups: groups whose instances and values it follows;
			     NULL: all */
	uint32_t cap_clocks; /* private from here */
	uint64_t n_slots, n_cells;
};

void mirror_init(struct mirror *);
void mirror_done(struct mirror *);
/* 0; -EBADMSG: the frame is malformed (state unchanged for that frame's unread rest); -ENOMEM. */
int mirror_apply(struct mirror *, const struct frame *);
/* One group of a TICK, for readers that walk it themselves: mirror_apply_head, then this for
 * each. */
void mirror_apply_head(struct mirror *, const struct frame *, const struct tick_head *);
int mirror_apply_group(struct mirror *, const struct tick_head *, const struct tick_group *);

/* Takes a group over from another mirror, without its instances, so that what only an older catalog
 * knew has a name and a unit: it becomes the last one, until the next other CATALOG. 0 or -ENOMEM. */
int mirror_adopt(struct mirror *, struct mirror *from, uint32_t group);

/* Lookup by name; NULL if unknown. ret_metric gets the index within the group. */
struct mirror_group *mirror_find_metric(struct mirror *, const char *metric, uint32_t *ret_group,
					uint32_t *ret_metric);
/* Wall-clock us of a monotonic time, by the newest clock record at or before it (else the first;
 * the time itself when there is none). */
int64_t mirror_wall_us(const struct mirror *, uint64_t mono_us);
/* The inverse, for query arguments. */
uint64_t mirror_mono_us(const struct mirror *, int64_t wall_us);

#endif
