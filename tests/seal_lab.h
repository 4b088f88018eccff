/*
 * A log that is written at random, its sealer, and the truth beside it: processes that come and go,
 * disks, a group that rests, and one series of each kind that the codecs know.
 */
#ifndef STROBE_TESTS_SEAL_LAB_H
#define STROBE_TESTS_SEAL_LAB_H

#include "seal_truth.h"
#include "store/seal.h"
#include "support.h"

enum { LAB_METRICS = 12, LAB_INSTANCES = 5, LAB_MANY = 300 };

static const struct metric lab_metrics[LAB_METRICS] = {
	{"lab.tenths", "1", 1, 1, "x", "A rate that wavers.", SEM_COUNTER, 0, NULL},
	{"lab.pages", "1", 1, 1, "x", "Moves by multiples.", SEM_INSTANT, 0, NULL},
	{"lab.walk", "1", 1, 1, "x", "A walk.", SEM_INSTANT, 0, NULL},
	{"lab.noise", "1", 1, 1, "x", "32 bits of noise.", SEM_INSTANT, 0, NULL},
	{"lab.wild", "1", 1, 1, "x", "64 bits of noise.", SEM_COUNTER, 0, NULL},
	{"lab.absent", "1", 1, 1, "x", "There and not there.", SEM_COUNTER, 0, NULL},
	{"lab.seldom", "1", 1, 1, "x", "Steps seldom.", SEM_COUNTER, 0, NULL},
	{"lab.spikes", "1", 1, 1, "x", "Calm but for spikes.", SEM_INSTANT, 0, NULL},
	{"lab.reset", "1", 1, 1, "x", "Begins anew.", SEM_COUNTER, 0, NULL},
	{"lab.line", "1", 1, 1, "x", "A line.", SEM_COUNTER, 0, NULL},
	{"lab.curve", "1", 1, 1, "x", "A parabola.", SEM_COUNTER, 0, NULL},
	{"lab.still", "1", 1, 1, "x", "Never moves.", SEM_INSTANT, 0, NULL},
};
static const struct group lab_group = {"lab", "lab",	lab_metrics, LAB_METRICS,
				       0,     LAB_MANY, false,	     NULL};

struct lab {
	struct log *log;
	struct feeder f;
	struct truth *truth;
	struct sealer *sealer;
	uint64_t rnd, mono_us;
	int sink_error; /* what the sink answers */
	uint8_t *last;	/* the newest block taken */
	size_t last_len, n_bytes, n_sealed;
	struct block_head head;
	bool unchecked;					   /* blocks are only kept */
	unsigned n_instances;				   /* of the group of its own */
	unsigned births;				   /* of a hundred ticks */
	bool slow;					   /* a tick a second, nobody is born */
	void (*each)(struct lab *, const struct sealed *); /* or NULL */
	void *arg;
};

static inline uint64_t rnd(struct lab *x, uint64_t n)
{
	return feeder_random(&x->rnd) % n;
}

static inline int take(void *arg, struct sealed *s)
{
	struct lab *x = arg;
	uint8_t *small;
	size_t len;

	if (x->sink_error)
		return x->sink_error;
	if (!x->unchecked) {
		truth_check(x->truth, s->data, s->len, false);
		MUST(block_compress(s->data, s->len, &small, &len) == 0);
		MUST(len <= s->len);
		truth_check(x->truth, small, len, true);
		free(small);
	}
	if (x->each)
		x->each(x, s);
	free(x->last);
	x->last = s->data;
	x->last_len = s->len;
	x->head = s->head;
	x->n_bytes += s->len;
	x->n_sealed++;
	return 0;
}

static inline void open_sealer(struct lab *x, uint64_t after_seq)
{
	struct sealer_config c = {
		.log = x->log, .boot_id = "a-boot", .after_seq = after_seq, .sink = take, .arg = x};

	ck_assert_int_eq(sealer_open(&x->sealer, &c), 0);
}

static inline struct lab *lab_open(unsigned segments, uint64_t seed)
{
	struct log_config c = {.size_bytes = (uint64_t)segments << 20, .boot_id = "a-boot"};
	struct lab *x = calloc(1, sizeof(*x));
	static struct group all[4];
	enum log_state state;
	char err[200];

	MUST(x);
	memcpy(all, groups, sizeof(groups));
	all[3] = lab_group;
	ck_assert_int_eq(log_open(&x->log, &c, &state, err, sizeof(err)), 0);
	feeder_open(&x->f, x->log, all, 4);
	x->truth = truth_new(&x->f);
	x->truth->next_seq = 1;
	x->rnd = seed;
	x->mono_us = 50000000;
	x->births = 200;
	x->n_instances = LAB_INSTANCES;
	open_sealer(x, 0);
	return x;
}

static inline void lab_close(struct lab *x)
{
	sealer_close(x->sealer);
	truth_free(x->truth);
	feeder_close(&x->f);
	log_close(x->log);
	free(x->last);
	free(x);
}

static inline int64_t wild(struct lab *x)
{
	switch (rnd(x, 8)) {
	case 0:
		return VALUE_ABSENT;
	case 1:
		return INT64_MAX;
	case 2:
		return INT64_MIN + 1;
	case 3:
		return (int64_t)feeder_random(&x->rnd);
	default:
		return (int64_t)rnd(x, 1 << 24);
	}
}

static inline void lab_row(struct lab *x, int64_t *v)
{
	uint64_t t = x->f.tick;

	v[0] += 95 + (int64_t)rnd(x, 11);
	v[1] += ((int64_t)rnd(x, 9) - 4) * 4096;
	v[2] += (int64_t)rnd(x, 3) - 1;
	v[3] = (int64_t)(uint32_t)feeder_random(&x->rnd);
	v[4] = (int64_t)feeder_random(&x->rnd);
	v[5] = rnd(x, 5) ? (int64_t)(t * 3) : VALUE_ABSENT;
	v[6] += rnd(x, 60) == 0;
	v[7] = rnd(x, 40) ? 1000 + (int64_t)rnd(x, 2) : (int64_t)rnd(x, UINT64_C(1) << 50);
	v[8] = rnd(x, 150) ? v[8] + (int64_t)rnd(x, 100) : 0;
	v[9] = (int64_t)(t * 1000);
	v[10] = (int64_t)(t * t * 7);
	v[11] = 4711;
}

static inline void tick_processes(struct lab *x)
{
	struct batch *b = feeder_batch(&x->f, 2);
	char name[32];

	for (uint32_t s = 0; s < b->n_slots; s++) {
		if (!b->inst[s].live)
			continue;
		if (rnd(x, s % 4 ? 25 : 1500) == 0) {
			batch_end(b, s);
			continue;
		}
		int64_t *row = batch_row_slot(b, s);

		row[rnd(x, 3)] = rnd(x, 4) ? (int64_t)rnd(x, 100000) : wild(x);
		if (rnd(x, 30) == 0) {
			int len = snprintf(name, sizeof(name), "cg%lu", (unsigned long)x->f.tick);

			batch_attr(b, s, rnd(x, 2), name, (size_t)len);
		}
	}
	for (unsigned i = 0; i < x->births / 100 + (rnd(x, 100) < x->births % 100); i++) {
		uint64_t id = x->f.tick << 8 | i;
		int len = snprintf(name, sizeof(name), "%lu.%u", (unsigned long)x->f.tick, i);
		int32_t slot = batch_start(b, id, name, (size_t)len);

		if (slot < 0)
			continue;
		batch_row_slot(b, (uint32_t)slot)[1] = (int64_t)rnd(x, 1000) * 4096;
		if (rnd(x, 2))
			batch_attr(b, (uint32_t)slot, 0, name, (size_t)len);
		if (rnd(x, 20) == 0)
			batch_end(b, (uint32_t)slot); /* nobody sees it */
	}
	feeder_group(&x->f, 2, 500 + (int64_t)rnd(x, 300), -1);
}

static inline void tick_disks(struct lab *x)
{
	struct batch *b;
	char name[8];

	b = feeder_batch(&x->f, 1);
	for (unsigned i = 0; i < 6; i++)
		if (rnd(x, 12)) {
			int len = snprintf(name, sizeof(name), "sd%c", (int)('a' + i));
			int64_t *row = batch_row_named(b, name, (size_t)len);

			row[rnd(x, 2)] += (int64_t)rnd(x, 4000);
		}
	feeder_group(&x->f, 1, 77, rnd(x, 3) ? -1 : 50 + (int32_t)rnd(x, 2000));
}

/* Rests for two seconds, or for a moment, now and then. */
static inline void tick_memory(struct lab *x)
{
	uint64_t t = x->f.tick % 311, end = x->f.tick / 311 % 2 ? 60 : 42;
	struct batch *b;

	if (t == 41 && x->f.source[0].period_ms) {
		frame_tick_period(&x->f.w, 0, 0);
		x->f.source[0].period_ms = 0;
	}
	if (t > 40 && t < end)
		return;
	b = feeder_batch(&x->f, 0);
	for (unsigned m = 0; m < 3; m++)
		if (rnd(x, 4) == 0)
			batch_row(b)[m] = wild(x);
	feeder_group(&x->f, 0, (int64_t)rnd(x, 900) - 100, x->f.source[0].period_ms ? -1 : 100);
}

/* One tick: late now and then, once in a while after a long hole. */
static inline void lab_tick(struct lab *x)
{
	struct batch *b;
	char name[8];

	x->mono_us += 100000 + (rnd(x, 5) ? rnd(x, 40) : rnd(x, 60000));
	if (rnd(x, 400) == 0)
		x->mono_us += 700000 + rnd(x, 4000000);
	if (x->slow) {
		x->mono_us += 900000;
		x->births = 0;
	}
	feeder_tick(&x->f, x->mono_us);
	tick_memory(x);
	if (x->f.tick % 7 == 1)
		tick_disks(x);
	tick_processes(x);
	if (rnd(x, 50)) {
		b = feeder_batch(&x->f, 3);
		for (unsigned i = 0; i < x->n_instances; i++) {
			int len = snprintf(name, sizeof(name), "i%u", i);

			lab_row(x, batch_row_named(b, name, (size_t)len));
		}
		feeder_group(&x->f, 3, 1000 + (int64_t)rnd(x, 50), -1);
	}
	feeder_end(&x->f);
	truth_tick(x->truth, &x->f);
}

static inline void step_all(struct lab *x)
{
	int r;

	while ((r = sealer_step(x->sealer)) == 1)
		;
	ck_assert_int_eq(r, 0);
}

/* All that was written was found in blocks. */
static inline void assert_complete(struct lab *x)
{
	ck_assert_int_eq(sealer_flush(x->sealer), 0);
	for (size_t g = 0; g < x->truth->n; g++)
		ck_assert_uint_eq(x->truth->group[g].n_checked, x->truth->group[g].n_reads);
	ck_assert_uint_eq(sealer_seq(x->sealer), x->head.last_seq);
}

#endif
