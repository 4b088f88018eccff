/*
 * For the tests of history and of queries over it: a random log that is sealed while it is written, its
 * blocks, and histories that are made of copies of them.
 */
#ifndef STROBE_TESTS_SEALED_LOG_H
#define STROBE_TESTS_SEALED_LOG_H

#include "query_reference.h"
#include "store/history.h"

enum { SEALED_MAX = 256 };

struct sealed_log {
	struct log *log;
	struct feeder f;
	struct past past;
	struct sealer *sealer;
	struct sealed blocks[SEALED_MAX];
	uint8_t *catalog[SEALED_MAX]; /* of each block */
	size_t n;
	bool compress;
	uint64_t at, rnd;
};

static inline int sealed_keep(void *arg, struct sealed *s)
{
	struct sealed_log *x = arg;
	struct sealed *to = &x->blocks[x->n];

	ck_assert_uint_lt(x->n, SEALED_MAX);
	*to = *s;
	to->catalog = x->catalog[x->n] = malloc(s->catalog_len);
	memcpy(x->catalog[x->n++], s->catalog, s->catalog_len);
	if (x->compress) {
		uint8_t *small;
		size_t len;

		ck_assert_int_eq(block_compress(to->data, to->len, &small, &len), 0);
		free(to->data);
		to->data = small;
		to->len = len;
	}
	s->data = NULL;
	return 0;
}

static inline void seal(struct sealed_log *x, bool flush)
{
	int r;

	while ((r = sealer_step(x->sealer)) == 1)
		;
	ck_assert_int_eq(r, 0);
	while (flush && (r = sealer_flush(x->sealer)) == 1)
		;
	ck_assert_int_eq(r, 0);
}

/* A log of `boot` that is sealed while it is written, at times that mean nothing. */
static inline void open_sealed(struct sealed_log *x, uint64_t seed, const char *boot, uint64_t at,
			       int64_t real_off_us)
{
	struct sealer_config c = {.boot_id = boot, .sink = sealed_keep, .arg = x};

	*x = (struct sealed_log){.log = open_log(12), .at = at, .rnd = seed};
	c.log = x->log;
	ck_assert_int_eq(sealer_open(&x->sealer, &c), 0);
	feeder_open(&x->f, x->log, groups, N_GROUPS);
	x->f.real_off_us = real_off_us;
}

static inline void write_sealed(struct sealed_log *x, unsigned n_parts)
{
	for (unsigned i = 0; i < n_parts; i++) {
		random_history(&x->f, &x->past, 20 + (unsigned)(feeder_random(&x->rnd) % 180),
			       &x->rnd, &x->at);
		seal(x, feeder_random(&x->rnd) % 2);
	}
}

/* So many blocks of 100 ticks each. */
static inline void write_blocks(struct sealed_log *x, unsigned n)
{
	for (unsigned i = 0; i < n; i++) {
		random_history(&x->f, &x->past, 100, &x->rnd, &x->at);
		seal(x, true);
	}
}

static inline void close_sealed(struct sealed_log *x)
{
	for (size_t i = 0; i < x->n; i++) {
		free(x->blocks[i].data);
		free(x->catalog[i]);
	}
	sealer_close(x->sealer);
	free(x->past.reads);
	feeder_close(&x->f);
	log_close(x->log);
}

static inline struct sealed copy_of(const struct sealed *b)
{
	struct sealed s = *b;

	s.data = malloc(s.len);
	memcpy(s.data, b->data, s.len);
	return s;
}

/* Adds copies of the first n blocks. */
static inline void add_blocks(struct history *h, const struct sealed_log *x, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		struct sealed s = copy_of(&x->blocks[i]);

		ck_assert_int_eq(history_add(h, &s, false), 0);
		ck_assert_ptr_null(s.data);
	}
}

static inline struct history *open_with(struct log *l, const char *boot, uint64_t memory)
{
	struct history_config c = {.log = l, .boot_id = boot, .memory_bytes = memory};
	struct history *h;

	ck_assert_int_eq(history_open(&h, &c), 0);
	return h;
}

#endif
