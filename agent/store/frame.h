/* clang-format off */
/*
 * The frames of the log: one tick, key rows, catalog, attributes, events, clock records. This
 * comment is the format; the encoder and the decoder are written from it.
 *
 * All integers are LEB128 varints ("v"), signed ones zigzag ("z"), strings v length + bytes; u64 is
 * 8 bytes little endian. Arithmetic on values is modulo 2^64. The first byte of a payload is the
 * frame type.
 *
 *  TICK     u64 mono_us (when the tick began, CLOCK_MONOTONIC), v tick number, v n_groups, then per
 *           group that was read:
 *             v head: zigzag(group - group before - 1) << 5 | flags; -1 stands before the first
 *             z off_us - off_us of the group before (0): acquired at mono_us + off_us
 *             and, unless flags is 0, v body length and the body:
 *             [PERIOD:  v period_ms in force from here on; 0: not read any more until said again]
 *             [ENDS:    v n, n x v slot]
 *             [STARTS:  v n, n x (v slot, v gen, v id, string name); the row becomes all 0]
 *             [ABSENT:  v n, n x v gap: these values become absent; their base becomes 0]
 *             [CHANGES: changes up to the end of the body; an absent value becomes present]
 *           An index is slot * n_metrics + metric; a gap is index - previous index - 1 (the first:
 *           the index itself). Order of effect: ends, starts, absent, changes. What is in the group
 *           and not listed was read and has not changed; only a body with PERIOD 0 was not read.
 *           A change is gap and zigzag delta, a byte and what it says follows:
 *             bits 0-3: the delta's low 4 bits
 *             bits 4-6: the gap, or 7: v gap - 7 follows
 *             bit 7:    v delta >> 4 follows (after the gap)
 *
 *  KEY      u64 mono_us, v tick, v n_groups, then per group (all of the catalog): v body length and
 *             v group, v period_ms,
 *             v age_us (mono_us - acquisition of the values; v 0 if never read),
 *             v n_slots,
 *             v n_live, n_live x (v gap of slots, v gen, v id, string name,
 *               ceil(n_metrics / 8) bytes of bits: values that are not 0;
 *               for each of them v zigzag value + 1, 0: absent),
 *             v n_dead, n_dead x (v gap of slots, v gen): slots in use by nobody, for their
 *               generations
 *           A reader may start here and forget everything it knew of instances.
 *
 *  CATALOG  v version, v plain bytes (0: the rest is plain, else zlib's deflate of so many),
 *           v n_groups, per group:
 *             string name, string indom, v max_instances, v flags (1 managed), v period_ms,
 *             v n_attrs, strings;
 *             v n_metrics, per metric: string name, unit, source, help; v sem, v mul, v div,
 *               z quantum, v n_names, strings
 *
 *  ATTR     v group, v slot, v gen, v key (index), string value
 *
 *  EVENT    u64 mono_us, v kind, v severity, string source, string text (<= 256 B each)
 *
 *  CLOCK    u64 mono_us, z realtime_us - mono_us, z boottime_us - mono_us,
 *           v reason (enum clock_reason)
 *
 * Decoders take any bytes: they return -EBADMSG for what the format does not allow and never read
 * outside the payload.
 */
/* clang-format on */
#ifndef STROBE_STORE_FRAME_H
#define STROBE_STORE_FRAME_H

#include "base/batch.h"
#include "base/metric.h"
#include "base/varint.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum frame_type { FRAME_TICK = 1, FRAME_KEY, FRAME_CATALOG, FRAME_ATTR, FRAME_EVENT, FRAME_CLOCK };

enum {
	FRAME_TEXT_MAX = 256,
	FRAME_KEY_TICKS = 256 /* a KEY at least every so many ticks */,
	FRAME_CATALOG_MAX = 4 << 20 /* bytes of a plain catalog */
};

enum group_flags {
	GROUP_PERIOD = 1,
	GROUP_ENDS = 2,
	GROUP_STARTS = 4,
	GROUP_ABSENT = 8,
	GROUP_CHANGES = 16
};

enum event_kind {
	EVENT_AGENT_START = 1,
	EVENT_AGENT_STOP,
	EVENT_GAP, /* nothing was recorded for the length in the text; also missed ticks */
	EVENT_SUSPEND,
	EVENT_CLOCK_STEP,
	EVENT_COLLECTOR_FAILED, /* source: the collector */
	EVENT_COLLECTOR_OK,
	EVENT_REDUCED, /* a period was stretched to stay in the budget */
	EVENT_OOM_KILL,
	EVENT_INSTANCE, /* a CPU, disk or interface came or went */
	EVENT_MARK	/* of whoever recorded a capture: its command begins, ends */
};
enum event_severity { SEVERITY_INFO = 0, SEVERITY_WARN, SEVERITY_CRITICAL };
enum clock_reason { CLOCK_START = 0, CLOCK_PERIODIC, CLOCK_STEP, CLOCK_SUSPEND };

/* A frame as a cursor hands it out; data is the payload, type byte included. */
struct frame {
	uint64_t seq;
	const uint8_t *data;
	size_t len;
};

/* ---- encoding: into a caller's buffer, no allocation ---- */

struct frame_writer {
	uint8_t *buf;
	size_t cap, len;
	size_t groups_at; /* private */
	uint32_t n_groups;
	int64_t last_group, last_off_us;
	bool overflow; /* the frame did not fit: frame_*_end returns -EMSGSIZE */
};

void frame_tick_begin(struct frame_writer *, uint8_t *buf, size_t cap, uint64_t mono_us,
		      uint64_t tick);
/* Diffs batch->rows against batch->prev for the touched slots. period_ms < 0: unchanged. Call
 * between batch_finish and batch_commit. A group that was not read is not added. */
void frame_tick_group(struct frame_writer *, uint32_t group, const struct batch *, int64_t off_us,
		      int32_t period_ms);
/* A group that is not read any more (period_ms 0): body without values. A period that changes while
 * the group is read travels with a read. */
void frame_tick_period(struct frame_writer *, uint32_t group, int32_t period_ms);
/* The payload's length or -EMSGSIZE. */
int frame_tick_end(struct frame_writer *);

struct key_source {
	const struct batch *batch;
	uint32_t period_ms;
	uint64_t acquired_us; /* CLOCK_MONOTONIC of the newest read; 0: never */
};
/* The payload's length or -EMSGSIZE. `sources` has one entry per catalog group, in order; values
 * are those of `prev` (the last committed tick). With a pass finished but not committed, what it
 * started is left out and what it ended is in: the TICK that follows says both again. A mono_us
 * before the newest acquisition is moved to just after it. */
int frame_key(uint8_t *buf, size_t cap, uint64_t mono_us, uint64_t tick,
	      const struct key_source *sources, size_t n_groups);
/* A batch must not be larger than its group's max_instances: readers refuse slots beyond it.
 * Allocates (-ENOMEM): made once, the frame is kept for the start of each segment. */
int frame_catalog(uint8_t *buf, size_t cap, uint32_t version, const struct group *const *groups,
		  size_t n);
int frame_attr(uint8_t *buf, size_t cap, uint32_t group, uint32_t slot, uint32_t gen, uint32_t key,
	       const char *value);
int frame_event(uint8_t *buf, size_t cap, uint64_t mono_us, enum event_kind, enum event_severity,
		const char *source, const char *text);
int frame_clock(uint8_t *buf, size_t cap, uint64_t mono_us, int64_t real_off_us,
		int64_t boot_off_us, enum clock_reason);

/* ---- decoding: views into the payload, nothing is copied ---- */

struct text {
	const char *s;
	size_t len;
};
struct tick_head {
	uint64_t mono_us, tick;
	uint32_t n_groups;
};
struct tick_group { /* one group of a TICK; the lists are walked with the functions below */
	uint32_t group, flags;
	int64_t off_us;
	uint32_t period_ms; /* with GROUP_PERIOD */
	uint32_t n_ends, n_starts, n_absent, n_changes;
	const uint8_t *ends, *starts, *absent, *changes, *end;
};
struct frame_reader {
	const uint8_t *p, *end;
	uint32_t left;
	int64_t last_group, last_off_us;
};

int frame_read_tick(const struct frame *, struct tick_head *, struct frame_reader *);
/* 1: *ret is the next group; 0: none left; -EBADMSG. Each body is validated whole before it is
 * handed out, so the walks below cannot run over. */
int frame_next_group(struct frame_reader *, struct tick_group *ret);

/* For readers of few groups: moves past those that are not `wanted` (of n_groups; NULL: all are),
 * their bodies unread. 1: a wanted one is next; 0: none is left; -EBADMSG, also for a group beyond
 * n_groups. */
int frame_seek_group(struct frame_reader *, const bool *wanted, uint32_t n_groups);
/* frame_next_group without a look at the changes (n_changes is 0): frame_get_change() is for them.
 */
int frame_next_group_unread(struct frame_reader *, struct tick_group *ret);
/* One change at *p, checked; false: not what the format allows. The second only moves past it. */
bool frame_get_change(const uint8_t **p, const uint8_t *end, uint32_t *index, int64_t *ret_delta);
static inline bool frame_pass_change(const uint8_t **p, const uint8_t *end, uint32_t *index)
{
	const uint8_t *q = *p;
	uint32_t gap;
	uint8_t b;

	if (q == end)
		return false;
	b = *q++;
	gap = b >> 4 & 7;
	if (gap == 7) {
		uint32_t more;

		if (!varint_get_u32(&q, end, &more))
			return false;
		gap += more;
	}
	while (b & 0x80) {
		if (q == end)
			return false;
		b = *q++;
	}
	*index += gap + 1;
	*p = q;
	return true;
}

/* Was the group read (and not only said to rest)? */
static inline bool tick_group_was_read(const struct tick_group *g)
{
	return !(g->flags & GROUP_PERIOD) || g->period_ms;
}

/* Walks over a validated group's lists: copy the pointer and call n_* times. An index starts as
 * FRAME_NO_INDEX. */
#define FRAME_NO_INDEX UINT32_MAX
static inline uint64_t frame_walk(const uint8_t **p)
{
	uint64_t v = *(*p)++;

	if (v < 0x80)
		return v;
	v &= 0x7f;
	for (unsigned shift = 7;; shift += 7) {
		uint8_t b = *(*p)++;

		v |= (uint64_t)(b & 0x7f) << shift;
		if (b < 0x80)
			return v;
	}
}
static inline uint32_t frame_walk_end(const uint8_t **p) /* the slot */
{
	return (uint32_t)frame_walk(p);
}
static inline void frame_walk_absent(const uint8_t **p, uint32_t *index)
{
	*index += (uint32_t)frame_walk(p) + 1;
}
static inline int64_t frame_walk_change(const uint8_t **p, uint32_t *index) /* the delta */
{
	uint8_t b = *(*p)++;
	uint32_t gap = b >> 4 & 7;
	uint64_t z = b & 15;

	if (gap == 7)
		gap += (uint32_t)frame_walk(p);
	if (b & 0x80)
		z |= frame_walk(p) << 4;
	*index += gap + 1;
	return zigzag_decode(z);
}
struct tick_start {
	uint32_t slot, gen;
	uint64_t id;
	struct text name; /* at most INSTANCE_NAME_MAX - 1 bytes */
};
void frame_walk_start(const uint8_t **p, struct tick_start *ret);

/* Reads a string at *p; s is NULL when it passes `end`. */
struct text frame_text(const uint8_t **p, const uint8_t *end);
/* The same and a walk's start, checked; false: not what the format allows. */
bool frame_get_start(const uint8_t **p, const uint8_t *end, struct tick_start *ret);
bool frame_get_u64(const uint8_t **p, const uint8_t *end, uint64_t *ret);
struct event_frame {
	uint64_t mono_us;
	uint32_t kind, severity;
	struct text source, text;
};
struct attr_frame {
	uint32_t group, slot, gen, key;
	struct text value;
};
struct clock_frame {
	uint64_t mono_us;
	int64_t real_off_us, boot_off_us;
	uint32_t reason;
};
int frame_read_event(const struct frame *, struct event_frame *);
int frame_read_attr(const struct frame *, struct attr_frame *);
int frame_read_clock(const struct frame *, struct clock_frame *);
/* KEY and CATALOG are read by mirror.c, which owns the state they fill. */

static inline enum frame_type frame_type(const struct frame *f)
{
	return f->len ? (enum frame_type)f->data[0] : (enum frame_type)0;
}

#endif
