/* A decoder of ticks and keys of its own, written from the comment in frame.h, byte by byte. */
#ifndef STROBE_TESTS_FRAME_SLOW_H
#define STROBE_TESTS_FRAME_SLOW_H

#include "feeder.h"

#include <check.h>
#include <string.h>

enum { N_METRICS = 5, N_SLOTS = 40, BUF = 1 << 16 };

/* For loops that run often: a check that costs nothing while it holds. */
#define MUST(x)                                                                                    \
	do {                                                                                       \
		if (!(x))                                                                          \
			ck_abort_msg("%s", #x);                                                    \
	} while (0)

static const struct metric metrics[N_METRICS] = {
	{"a", "1", 1, 1, "s", "h", SEM_COUNTER, 0, NULL},
	{"b", "1", 1, 1, "s", "h", SEM_INSTANT, 0, NULL},
	{"c", "1", 1, 1, "s", "h", SEM_COUNTER, 0, NULL},
	{"d", "1", 1, 1, "s", "h", SEM_INSTANT, 0, NULL},
	{"e", "1", 1, 1, "s", "h", SEM_COUNTER, 0, NULL},
};
static const struct group group = {"g", "dom", metrics, N_METRICS, 0, N_SLOTS, true, NULL};

struct bytes {
	const uint8_t *p;
	size_t n, at;
};

static inline uint8_t byte(struct bytes *b)
{
	MUST(b->at < b->n);
	return b->p[b->at++];
}

static inline uint64_t leb(struct bytes *b)
{
	uint64_t v = 0, c;
	unsigned shift = 0;

	do {
		c = byte(b);
		v += (c % 128) << shift;
		shift += 7;
	} while (c >= 128);
	return v;
}

static inline int64_t zz(uint64_t v)
{
	return v % 2 ? -(int64_t)(v / 2) - 1 : (int64_t)(v / 2);
}

static inline uint64_t fixed64(struct bytes *b)
{
	uint64_t v = 0;

	for (unsigned i = 0; i < 8; i++)
		v += (uint64_t)byte(b) << 8 * i;
	return v;
}

struct slow_slot {
	bool live;
	uint64_t gen, id;
	char name[INSTANCE_NAME_MAX];
	int64_t row[N_METRICS];
};

struct slow {
	struct slow_slot slot[N_SLOTS];
	uint64_t mono_us, tick, acquired_us, period_ms;
};

static inline void slow_name(struct bytes *b, char *name)
{
	uint64_t n = leb(b);

	MUST(n < INSTANCE_NAME_MAX);
	for (uint64_t i = 0; i < n; i++)
		name[i] = (char)byte(b);
	name[n] = 0;
}

static inline int64_t *slow_cell(struct slow *s, uint64_t index)
{
	MUST(index < N_SLOTS * N_METRICS && s->slot[index / N_METRICS].live);
	return &s->slot[index / N_METRICS].row[index % N_METRICS];
}

static inline void slow_body(struct slow *s, struct bytes *b, uint64_t flags)
{
	uint64_t index;

	if (flags & 1)
		s->period_ms = leb(b);
	for (uint64_t n = flags & 2 ? leb(b) : 0; n; n--)
		s->slot[leb(b)].live = false;
	for (uint64_t n = flags & 4 ? leb(b) : 0; n; n--) {
		struct slow_slot *in = &s->slot[leb(b)];

		in->gen = leb(b);
		in->id = leb(b);
		slow_name(b, in->name);
		in->live = true;
		memset(in->row, 0, sizeof(in->row));
	}
	index = 0;
	for (uint64_t n = flags & 8 ? leb(b) : 0; n; n--) {
		index += leb(b);
		*slow_cell(s, index++) = VALUE_ABSENT;
	}
	index = 0;
	while (flags & 16 && b->at < b->n) {
		uint8_t first = byte(b);
		uint64_t gap = first / 16 % 8, z = first % 16;

		if (gap == 7)
			gap += leb(b);
		if (first >= 128)
			z += leb(b) * 16;
		index += gap;
		int64_t *cell = slow_cell(s, index++);

		*cell = (int64_t)((*cell == VALUE_ABSENT ? 0 : (uint64_t)*cell) + (uint64_t)zz(z));
	}
	MUST(b->at == b->n);
}

/* Only group 7 is looked at; what else stands in the frame must be well formed. */
static inline void slow_tick(struct slow *s, const uint8_t *p, size_t n)
{
	struct bytes b = {p, n, 0};
	int64_t last = -1;
	uint64_t off = 0;

	MUST(byte(&b) == FRAME_TICK);
	s->mono_us = fixed64(&b);
	s->tick = leb(&b);
	for (uint64_t left = leb(&b); left; left--) {
		uint64_t head = leb(&b), flags = head % 32, len;

		last += zz(head / 32) + 1;
		off += (uint64_t)zz(leb(&b));
		len = flags ? leb(&b) : 0;
		struct bytes body = {b.p + b.at, len, 0};

		MUST(b.at + len <= b.n);
		b.at += len;
		if (last != 7)
			continue;
		s->acquired_us = s->mono_us + off;
		if (flags)
			slow_body(s, &body, flags);
	}
	MUST(b.at == b.n);
}

static inline void slow_key(struct slow *s, const uint8_t *p, size_t n)
{
	struct bytes b = {p, n, 0};
	uint64_t age, slot = 0;

	memset(s, 0, sizeof(*s));
	MUST(byte(&b) == FRAME_KEY);
	s->mono_us = fixed64(&b);
	s->tick = leb(&b);
	MUST(leb(&b) == 1);
	MUST(leb(&b) == n - b.at);
	MUST(leb(&b) == 0);
	s->period_ms = leb(&b);
	age = leb(&b);
	s->acquired_us = age ? s->mono_us - age : 0;
	leb(&b);
	for (uint64_t left = leb(&b); left; left--) {
		slot += leb(&b);
		struct slow_slot *in = &s->slot[slot++];

		in->live = true;
		in->gen = leb(&b);
		in->id = leb(&b);
		slow_name(&b, in->name);
		uint8_t bits = byte(&b);

		for (unsigned m = 0; m < N_METRICS; m++) {
			uint64_t v = bits >> m & 1 ? leb(&b) : 1;

			in->row[m] = v ? zz(v - 1) : VALUE_ABSENT;
		}
	}
	slot = 0;
	for (uint64_t left = leb(&b); left; left--) {
		slot += leb(&b);
		MUST(!s->slot[slot].live);
		s->slot[slot++].gen = leb(&b);
	}
	MUST(b.at == b.n);
}

static inline void assert_same(const struct slow *s, const struct batch *b, const int64_t *rows)
{
	for (uint32_t i = 0; i < b->n_slots; i++) {
		const struct instance *in = &b->inst[i];

		MUST(s->slot[i].live == in->live);
		if (!in->live)
			continue;
		MUST(s->slot[i].gen == in->gen);
		MUST(s->slot[i].id == in->id);
		MUST(strcmp(s->slot[i].name, in->name) == 0);
		MUST(memcmp(s->slot[i].row, rows + i * N_METRICS, sizeof(s->slot[i].row)) == 0);
	}
}

#endif
