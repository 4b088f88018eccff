/*
 * What levels.c gathers and level_take.c writes. Nobody else includes this.
 */
#ifndef STROBE_SERVE_LEVELS_PRIVATE_H
#define STROBE_SERVE_LEVELS_PRIVATE_H

#include "serve/levels.h"

enum value_flags {
	BASE_ABSENT = 1, /* the client holds no value */
	CUR_ABSENT = 2,	 /* no value now */
	SEEN = 4	 /* lo and hi hold something */
};

struct level_value {
	uint32_t index;
	uint32_t from; /* reads before this one are accounted for */
	uint8_t flags;
	int64_t base, cur, lo, hi;
	uint64_t sum;
};

struct level_slot { /* a slot whose instance came or went in the interval */
	uint32_t slot, gen;
	bool ended;    /* the instance of the base is gone */
	bool started;  /* another one is there */
	uint32_t from; /* the read that started it */
	uint8_t name_len;
	char name[INSTANCE_NAME_MAX];
};

struct level_group {
	uint32_t n_reads, n_metrics;
	uint64_t before_us, last_us; /* reads: before the interval, newest in it */
	uint64_t rate_us; /* of the current read: time since the one before; 0: no rate */
	bool period_set;
	uint32_t period_ms;
	uint8_t rates[WIRE_LEVEL_MAX_TICKS + 2]; /* reads with a known rate among the first n */
	struct level_value *values;
	uint32_t n_values, cap_values;
	uint32_t *where, cap_where; /* index -> place in values, if that agrees */
	struct level_slot *slots;
	uint32_t n_slots, cap_slots;
};

/* The entry of an index of the group's rows, or NULL: it was not touched in this interval. */
struct level_value *level_find_value(struct level_group *, uint32_t index);
/* Accounts for the reads [from, k) in which the value did not move. */
void level_settle(const struct level_group *, struct level_value *, bool counter, uint32_t k);
/* Begins the next interval. */
void level_clear_group(struct level_group *);

#endif
