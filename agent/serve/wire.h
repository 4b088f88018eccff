/*
 * From frames to the bytes of proto/strobe.proto: the parts of the stream that are written by hand,
 * because every tick of every group passes here. Pure functions over their arguments.
 *
 * A "blob" is one serialised `groups` field of message Tick, tag and length included. Serialised
 * fields concatenate, so a client's Tick is a header and the shared blobs of its groups.
 */
#ifndef STROBE_SERVE_WIRE_H
#define STROBE_SERVE_WIRE_H

#include "serve/buf.h"
#include "store/mirror.h"

enum { WIRE_LEVELS = 5, WIRE_LEVEL_MAX_TICKS = 50, WIRE_NO_LEVEL = 0xff };

/* Ticks a message at each level: 1, 2, 5, 10, 50. */
extern const uint32_t wire_level_ticks[WIRE_LEVELS];

/* The level for exactly so many ticks (0 means 1), or WIRE_NO_LEVEL. */
uint8_t wire_level_of(uint32_t ticks);
/* The finest level whose intervals are made of whole intervals of both. */
uint8_t wire_level_join(uint8_t a, uint8_t b);

struct wire_blob {
	uint32_t group;
	uint32_t off, len; /* in the entry's data */
};

/* One tick, or one interval of a coarser level: all groups that were read in it. */
struct wire_entry {
	uint64_t seq;		/* of the (last) TICK frame in it */
	uint64_t mono_us, tick; /* of the (last) tick */
	uint64_t start_tick;	/* the interval is (start_tick, tick] */
	uint8_t level;
	uint32_t n_blobs;
	const struct wire_blob *blobs;
	const uint8_t *data;
	size_t len; /* of data */
};

/* Appends the blob of one group of a TICK frame at level 1. */
void wire_put_group(struct buf *, const struct tick_group *);
/* Appends a blob that resets a client to the group's state in the mirror. mono_us: the time its
 * Tick will say. */
void wire_put_reset(struct buf *, uint32_t group, const struct mirror_group *, uint64_t mono_us);
/* Appends message Instance as field `field`; attrs of the instance in the mirror, or none for
 * NULL. */
void wire_put_instance(struct buf *, uint32_t field, uint32_t slot, uint32_t gen, const char *name,
		       size_t name_len, char *const *attrs, uint32_t n_attrs);
/* Appends a `ticks` field of Batch: header and the blobs for which take[group] == take_level.
 * Returns how many blobs were taken. */
uint32_t wire_put_tick(struct buf *, const struct wire_entry *, const uint8_t *take,
		       uint32_t n_take, uint8_t take_level);

#endif
