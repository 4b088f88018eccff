/*
 * A small writer of logs for the tests and benchmarks of the store: batches in, frames out,
 * segments begun as the sampler begins them. Aborts when something fails.
 */
#ifndef STROBE_TESTS_FEEDER_H
#define STROBE_TESTS_FEEDER_H

#include "base/batch.h"
#include "store/log.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

enum { FEEDER_GROUPS_MAX = 32, FEEDER_BUFFER = LOG_FRAME_MAX };

struct feeder {
	struct log *log;
	const struct group *groups[FEEDER_GROUPS_MAX];
	size_t n;
	struct batch batch[FEEDER_GROUPS_MAX];
	struct key_source source[FEEDER_GROUPS_MAX];
	bool read[FEEDER_GROUPS_MAX]; /* in the tick being written */
	int64_t off_us[FEEDER_GROUPS_MAX];
	uint64_t mono_us, tick;
	int64_t real_off_us; /* of the CLOCK records */
	unsigned since_key;
	uint32_t version; /* of the catalog */
	struct frame_writer w;
	uint8_t *buf, *aside;
	uint64_t n_ticks_bytes;
};

#define FEEDER_CHECK(x)                                                                            \
	do {                                                                                       \
		if (!(x)) {                                                                        \
			fprintf(stderr, "%s:%d: %s\n", __FILE__, __LINE__, #x);                    \
			abort();                                                                   \
		}                                                                                  \
	} while (0)

static inline void feeder_open(struct feeder *f, struct log *log, const struct group *groups,
			       size_t n)
{
	*f = (struct feeder){.log = log, .n = n, .real_off_us = 1700000000000000, .version = 1};
	FEEDER_CHECK(n <= FEEDER_GROUPS_MAX);
	f->buf = malloc(FEEDER_BUFFER);
	f->aside = malloc(FEEDER_BUFFER);
	FEEDER_CHECK(f->buf && f->aside);
	for (size_t g = 0; g < n; g++) {
		f->groups[g] = &groups[g];
		FEEDER_CHECK(batch_init(&f->batch[g], &groups[g], 0) == 0);
		f->source[g] = (struct key_source){
			.batch = &f->batch[g],
			.period_ms = groups[g].period_ms ? groups[g].period_ms : 100};
	}
}

static inline void feeder_close(struct feeder *f)
{
	for (size_t g = 0; g < f->n; g++)
		batch_done(&f->batch[g]);
	free(f->buf);
	free(f->aside);
}

static inline void feeder_append(struct feeder *f, const void *data, int len)
{
	FEEDER_CHECK(len > 0 && log_append(f->log, data, (size_t)len) > 0);
}

static inline void feeder_key(struct feeder *f)
{
	feeder_append(f, f->aside,
		      frame_key(f->aside, FEEDER_BUFFER, f->mono_us, f->tick, f->source, f->n));
	f->since_key = 0;
}

static inline void feeder_segment(struct feeder *f)
{
	log_next_segment(f->log, f->mono_us);
	feeder_append(f, f->aside,
		      frame_catalog(f->aside, FEEDER_BUFFER, f->version, f->groups, f->n));
	feeder_append(
		f, f->aside,
		frame_clock(f->aside, FEEDER_BUFFER, f->mono_us, f->real_off_us, 5, CLOCK_START));
	for (size_t g = 0; g < f->n; g++)
		for (uint32_t s = 0; s < f->batch[g].n_slots; s++)
			for (uint32_t k = 0; k < f->batch[g].n_attrs && f->batch[g].inst[s].live;
			     k++) {
				const char *v = f->batch[g].attrs[s * f->batch[g].n_attrs + k];

				if (*v)
					feeder_append(f, f->aside,
						      frame_attr(f->aside, FEEDER_BUFFER,
								 (uint32_t)g, s,
								 f->batch[g].inst[s].gen, k, v));
			}
	feeder_key(f);
}

/* Appends a frame, in a new segment when this one is full. */
static inline void feeder_put(struct feeder *f, const void *data, int len)
{
	FEEDER_CHECK(len > 0);
	int64_t r = log_append(f->log, data, (size_t)len);

	if (r == -EAGAIN) {
		feeder_segment(f);
		r = log_append(f->log, data, (size_t)len);
	}
	FEEDER_CHECK(r > 0);
}

static inline void feeder_tick(struct feeder *f, uint64_t mono_us)
{
	f->mono_us = mono_us;
	f->tick++;
	for (size_t g = 0; g < f->n; g++)
		f->read[g] = false;
	frame_tick_begin(&f->w, f->buf, FEEDER_BUFFER, mono_us, f->tick);
}

/* Before the rows of a group are written; afterwards feeder_group. */
static inline struct batch *feeder_batch(struct feeder *f, size_t g)
{
	batch_begin(&f->batch[g], f->tick);
	return &f->batch[g];
}

static inline void feeder_group(struct feeder *f, size_t g, int64_t off_us, int32_t period_ms)
{
	batch_finish(&f->batch[g]);
	frame_tick_group(&f->w, (uint32_t)g, &f->batch[g], off_us, period_ms);
	f->read[g] = true;
	f->off_us[g] = off_us;
	if (period_ms >= 0)
		f->source[g].period_ms = (uint32_t)period_ms;
}

static inline void feeder_attr(struct feeder *f, uint32_t g, uint32_t at)
{
	const struct batch *b = &f->batch[g];
	uint8_t buf[512];
	uint32_t s = at / b->n_attrs;

	feeder_put(
		f, buf,
		frame_attr(buf, sizeof(buf), g, s, b->inst[s].gen, at % b->n_attrs, b->attrs[at]));
}

static inline void feeder_end(struct feeder *f)
{
	int len = frame_tick_end(&f->w);

	for (size_t g = 0; g < f->n;
	     g++) /* first, so that no segment begins between TICK and commit */
		for (uint32_t i = 0; f->read[g] && i < f->batch[g].n_attr_dirty; i++)
			feeder_attr(f, (uint32_t)g, f->batch[g].attr_dirty[i]);
	feeder_put(f, f->buf, len);
	f->n_ticks_bytes += (uint64_t)len;
	for (size_t g = 0; g < f->n; g++)
		if (f->read[g]) {
			batch_commit(&f->batch[g]);
			f->source[g].acquired_us = f->mono_us + (uint64_t)f->off_us[g];
		}
	if (++f->since_key == FRAME_KEY_TICKS) {
		int key = frame_key(f->buf, FEEDER_BUFFER, f->mono_us, f->tick, f->source, f->n);

		feeder_put(f, f->buf, key);
		f->since_key = 0;
	}
}

/* Deterministic random numbers: a test that fails fails again. */
static inline uint64_t feeder_random(uint64_t *state)
{
	uint64_t z = *state += 0x9e3779b97f4a7c15u;

	z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9u;
	z = (z ^ z >> 27) * 0x94d049bb133111ebu;
	return z ^ z >> 31;
}

#endif
