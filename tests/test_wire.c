#include "feeder.h"
#include "serve/encoder.h"
#include "support.h"

#include "strobe.pb-c.h"

#include <check.h>
#include <string.h>

static const struct metric one_metrics[] = {
	{"one.level", "1", 1, 1, "x", "A level.", SEM_INSTANT, 0, NULL},
	{"one.count", "1", 1, 1, "x", "A counter.", SEM_COUNTER, 0, NULL},
	{"one.still", "1", 1, 1, "x", "Never moves.", SEM_INSTANT, 0, NULL},
};
static const struct metric many_metrics[] = {
	{"many.count", "1", 1, 1, "x", "A counter.", SEM_COUNTER, 0, NULL},
	{"many.level", "1", 1, 1, "x", "A level.", SEM_INSTANT, 0, NULL},
};
static const char *const many_attrs[] = {"comm", NULL};
static const struct group groups[] = {
	{"one", NULL, one_metrics, 3, 0, 1, false, NULL},
	{"many", "thing", many_metrics, 2, 0, 12, true, many_attrs},
	{"slow", NULL, one_metrics, 3, 300, 1, false, NULL},
};
enum { N_GROUPS = 3, SLOTS = 12, CELLS = 36, HISTORY = 128 };

/* The state of one group after one tick. */
struct state {
	uint32_t gen[SLOTS];  /* 0: nobody */
	int64_t value[CELLS]; /* VALUE_ABSENT: none */
	bool read;
	uint64_t at_us;
};
struct moment {
	uint64_t tick, mono_us;
	struct state group[N_GROUPS];
};

/* What a client of one level holds. */
struct client {
	bool begun;
	uint64_t tick;
	struct state group[N_GROUPS];
	unsigned n_entries, n_listed;
};

struct lab {
	struct log *log;
	struct feeder feeder;
	struct cursor cursor;
	struct encoder encoder;
	struct moment past[HISTORY];
	unsigned n_past;
	struct client client[WIRE_LEVELS];
	uint64_t rnd;
};

static struct moment *moment_at(struct lab *lab, uint64_t tick)
{
	for (unsigned i = lab->n_past; i-- > 0 && i + HISTORY >= lab->n_past;)
		if (lab->past[i % HISTORY].tick <= tick)
			return &lab->past[i % HISTORY];
	return NULL;
}

static void remember(struct lab *lab)
{
	struct moment *m = &lab->past[lab->n_past++ % HISTORY];
	struct feeder *f = &lab->feeder;

	m->tick = f->tick;
	m->mono_us = f->mono_us;
	for (unsigned g = 0; g < N_GROUPS; g++) {
		const struct batch *b = &f->batch[g];
		struct state *s = &m->group[g];

		memset(s, 0, sizeof(*s));
		s->read = f->read[g];
		s->at_us = f->source[g].acquired_us;
		for (uint32_t slot = 0; slot < SLOTS && slot < b->n_slots; slot++) {
			if (!b->inst[slot].live)
				continue;
			s->gen[slot] = b->inst[slot].gen;
			for (uint32_t k = 0; k < b->n_metrics; k++)
				s->value[slot * b->n_metrics + k] =
					b->prev[slot * b->n_metrics + k];
		}
	}
}

/* ---- the client's side, through protobuf-c ---- */

static void apply(struct state *s, const Strobe__V1__GroupTick *t, uint32_t n_metrics)
{
	uint64_t index = UINT64_MAX;

	if (t->reset)
		memset(s, 0, sizeof(*s));
	for (size_t i = 0; i < t->n_ends; i++) {
		ck_assert_uint_ne(s->gen[t->ends[i]], 0);
		s->gen[t->ends[i]] = 0;
		memset(&s->value[t->ends[i] * n_metrics], 0, n_metrics * sizeof(int64_t));
	}
	for (size_t i = 0; i < t->n_starts; i++) {
		ck_assert_uint_eq(s->gen[t->starts[i]->slot], 0);
		s->gen[t->starts[i]->slot] = t->starts[i]->gen;
		memset(&s->value[t->starts[i]->slot * n_metrics], 0, n_metrics * sizeof(int64_t));
	}
	for (size_t i = 0; i < t->n_absent; i++) {
		index += t->absent[i] + 1;
		ck_assert_uint_lt(index, CELLS);
		s->value[index] = VALUE_ABSENT;
	}
	ck_assert_uint_eq(t->n_gap, t->n_delta);
	index = UINT64_MAX;
	for (size_t i = 0; i < t->n_gap; i++) {
		index += t->gap[i] + 1;
		ck_assert_uint_lt(index, CELLS);
		ck_assert_uint_ne(s->gen[index / n_metrics], 0);
		uint64_t base = s->value[index] == VALUE_ABSENT ? 0 : (uint64_t)s->value[index];

		s->value[index] = (int64_t)(base + (uint64_t)t->delta[i]);
	}
}

static void assert_state(const struct state *have, const struct state *want, uint32_t n_metrics)
{
	for (uint32_t slot = 0; slot < SLOTS; slot++) {
		ck_assert_uint_eq(have->gen[slot], want->gen[slot]);
		for (uint32_t k = 0; want->gen[slot] && k < n_metrics; k++)
			ck_assert_int_eq(have->value[slot * n_metrics + k],
					 want->value[slot * n_metrics + k]);
	}
}

struct expected {
	unsigned n; /* values or rates seen */
	int64_t lo, hi;
	uint64_t sum;
};

static void expect(struct expected *e, int64_t v)
{
	if (!e->n || v < e->lo)
		e->lo = v;
	if (!e->n || v > e->hi)
		e->hi = v;
	e->sum += (uint64_t)v;
	e->n++;
}

/* The plain way: every read of the interval, one after the other. */
static struct expected naive(struct lab *lab, unsigned g, uint64_t start, uint64_t end,
			     uint32_t index)
{
	const struct metric *metric = &groups[g].metrics[index % groups[g].n_metrics];
	uint32_t slot = index / groups[g].n_metrics, gen = moment_at(lab, end)->group[g].gen[slot];
	uint64_t period_us = 1000ull * (groups[g].period_ms ? groups[g].period_ms : 100);
	const struct state *before = &moment_at(lab, start)->group[g];
	struct expected e = {0};

	for (unsigned i = lab->n_past > HISTORY ? lab->n_past - HISTORY : 0; i < lab->n_past; i++) {
		const struct moment *m = &lab->past[i % HISTORY];
		const struct state *s = &m->group[g];

		if (m->tick <= start || m->tick > end || !s->read)
			continue;
		bool here = s->gen[slot] == gen && s->value[index] != VALUE_ABSENT;

		if (here && metric->sem != SEM_COUNTER)
			expect(&e, s->value[index]);
		bool there = before->gen[slot] == gen && before->value[index] != VALUE_ABSENT;
		uint64_t dt = s->at_us - before->at_us;
		int64_t delta =
			(int64_t)((uint64_t)s->value[index] - (uint64_t)before->value[index]);

		if (metric->sem == SEM_COUNTER && here && there && before->at_us &&
		    dt <= 2 * period_us && delta >= 0)
			expect(&e, (double)delta * 1e9 / (double)dt < 9.2e18
					   ? (int64_t)((double)delta * 1e9 / (double)dt + 0.5)
					   : INT64_MAX);
		before = s;
	}
	if (metric->sem == SEM_COUNTER)
		e.sum = 0;
	return e;
}

static unsigned count_reads(struct lab *lab, unsigned g, uint64_t start, uint64_t end)
{
	unsigned n = 0;

	for (unsigned i = 0; i < lab->n_past && i < HISTORY; i++) {
		const struct moment *m = &lab->past[i];

		n += m->tick > start && m->tick <= end && m->group[g].read;
	}
	return n;
}

static void assert_coarse(struct lab *lab, unsigned g, const struct wire_entry *e,
			  const Strobe__V1__GroupTick *t, struct client *c)
{
	const struct state *end = &moment_at(lab, e->tick)->group[g],
			   *base = &moment_at(lab, e->start_tick)->group[g];
	uint64_t index = UINT64_MAX;
	bool listed[CELLS] = {false};

	ck_assert_uint_eq(t->n, count_reads(lab, g, e->start_tick, e->tick));
	ck_assert_uint_eq(e->mono_us + (uint64_t)t->off_us, end->at_us);
	ck_assert_uint_eq(t->span_us, base->at_us ? end->at_us - base->at_us : 0);
	ck_assert(t->n_lo == t->n_gap && t->n_hi == t->n_gap && t->n_sum == t->n_gap);
	for (size_t i = 0; i < t->n_gap; i++) {
		index += t->gap[i] + 1;
		listed[index] = true;
		c->n_listed++;
		struct expected want = naive(lab, g, e->start_tick, e->tick, (uint32_t)index);

		if (!want.n) {
			ck_assert_int_lt(t->hi[i], t->lo[i]);
			continue;
		}
		ck_assert_int_eq(t->lo[i], want.lo);
		ck_assert_int_eq(t->hi[i], want.hi);
		ck_assert_int_eq(t->sum[i], (int64_t)want.sum);
	}
	for (uint32_t k = 0; k < SLOTS * groups[g].n_metrics && k < CELLS; k++) {
		uint32_t slot = k / groups[g].n_metrics;

		if (listed[k] || !end->gen[slot] || end->value[k] == VALUE_ABSENT)
			continue;
		struct expected want =
			naive(lab, g, e->start_tick, e->tick, k); /* it did not move */

		ck_assert_int_eq(want.lo, want.hi);
	}
}

static void on_entry(void *arg, const struct wire_entry *e)
{
	struct lab *lab = arg;
	struct client *c = &lab->client[e->level];
	uint8_t take[N_GROUPS] = {e->level, e->level, e->level};
	struct buf b = {0};

	wire_put_tick(&b, e, take, N_GROUPS, e->level);
	Strobe__V1__Batch *batch = strobe__v1__batch__unpack(NULL, b.len, b.p);

	ck_assert_ptr_nonnull(batch);
	ck_assert_uint_eq(batch->n_ticks, 1);
	const Strobe__V1__Tick *tick = batch->ticks[0];
	uint32_t n = wire_level_ticks[e->level];

	ck_assert_uint_eq(tick->tick, e->tick);
	ck_assert_uint_eq(tick->mono_us, e->mono_us);
	ck_assert_uint_eq(e->start_tick, (e->tick - 1) / n * n);
	if (!c->begun) { /* as a reset row would */
		const struct moment *m = moment_at(lab, e->start_tick);

		for (unsigned g = 0; m && g < N_GROUPS; g++)
			c->group[g] = m->group[g];
		c->begun = m != NULL;
	} else {
		ck_assert_uint_ge(e->start_tick, c->tick); /* intervals follow each other */
	}
	for (size_t i = 0; c->begun && i < tick->n_groups; i++) {
		const Strobe__V1__GroupTick *t = tick->groups[i];

		apply(&c->group[t->group], t, groups[t->group].n_metrics);
		if (e->level)
			assert_coarse(lab, t->group, e, t, c);
	}
	for (unsigned g = 0; c->begun && g < N_GROUPS; g++)
		assert_state(&c->group[g], &moment_at(lab, e->tick)->group[g], groups[g].n_metrics);
	c->tick = e->tick;
	c->n_entries++;
	strobe__v1__batch__free_unpacked(batch, NULL);
	buf_done(&b);
}

/* ---- random ticks ---- */

static int64_t step(uint64_t *rnd, int64_t v)
{
	uint64_t r = feeder_random(rnd);

	switch (r % 16) {
	case 0:
		return VALUE_ABSENT;
	case 1:
		return (int64_t)(feeder_random(rnd) >> 1); /* far away */
	case 2:
		return v == VALUE_ABSENT ? 0 : v / 2; /* a counter that falls */
	default:
		return v == VALUE_ABSENT ? 5 : (int64_t)((uint64_t)v + (r >> 8) % 1000);
	}
}

static void one_group(struct lab *lab, unsigned g)
{
	int64_t *row = batch_row(feeder_batch(&lab->feeder, g));

	for (unsigned k = 0; k < 2; k++)
		if (feeder_random(&lab->rnd) % 3)
			row[k] = step(&lab->rnd, row[k]);
	feeder_group(&lab->feeder, g, (int64_t)(feeder_random(&lab->rnd) % 5000), -1);
}

static void many_group(struct lab *lab)
{
	struct batch *b = feeder_batch(&lab->feeder, 1);

	for (unsigned i = 0; i < 4; i++) {
		uint64_t id = feeder_random(&lab->rnd) % 16 + 1;
		int32_t slot = batch_find_id(b, id);

		if (slot < 0 && feeder_random(&lab->rnd) % 2) {
			slot = batch_start(b, id, "thing", 5);
		} else if (slot >= 0 && feeder_random(&lab->rnd) % 6 == 0) {
			batch_end(b, (uint32_t)slot);
			continue;
		}
		if (slot < 0)
			continue;
		int64_t *row = batch_row_slot(b, (uint32_t)slot);

		row[feeder_random(&lab->rnd) % 2] =
			step(&lab->rnd, row[feeder_random(&lab->rnd) % 2]);
	}
	feeder_group(&lab->feeder, 1, 700, -1);
}

static void random_tick(struct lab *lab)
{
	struct feeder *f = &lab->feeder;
	uint64_t skipped = feeder_random(&lab->rnd) % 16 ? 0 : feeder_random(&lab->rnd) % 30;

	f->tick += skipped; /* missed ones */
	feeder_tick(f, f->mono_us + 100000 * (skipped + 1) + feeder_random(&lab->rnd) % 3000);
	if (feeder_random(&lab->rnd) % 32)
		one_group(lab, 0);
	many_group(lab);
	if (f->tick % 3 == 0)
		one_group(lab, 2);
	feeder_end(f);
	remember(lab);
}

static void open_lab(struct lab *lab, uint64_t seed, const struct encoder_sink *sink)
{
	struct log_config config = {.size_bytes = 4 << 20, .boot_id = "test"};
	enum log_state state;
	char err[200];

	memset(lab, 0, sizeof(*lab));
	lab->rnd = seed;
	ck_assert_int_eq(log_open(&lab->log, &config, &state, err, sizeof(err)), 0);
	feeder_open(&lab->feeder, lab->log, groups, N_GROUPS);
	lab->feeder.mono_us = 5000000;
	feeder_segment(&lab->feeder);
	remember(lab);
	encoder_init(&lab->encoder, sink, lab, (1u << WIRE_LEVELS) - 1);
	ck_assert_int_eq(cursor_open_seq(&lab->cursor, lab->log, 1), 0);
}

static void close_lab(struct lab *lab)
{
	encoder_done(&lab->encoder);
	cursor_close(&lab->cursor);
	feeder_close(&lab->feeder);
	log_close(lab->log);
}

static void read_on(struct lab *lab)
{
	uint64_t from, to;
	struct frame f;

	while (cursor_next(&lab->cursor, &f, &from, &to) == 1)
		ck_assert_int_eq(encoder_feed(&lab->encoder, &f), 0);
}

START_TEST(every_level_follows_a_naive_model)
{
	static const struct encoder_sink sink = {.entry = on_entry};
	struct lab *lab = malloc(sizeof(*lab));

	open_lab(lab, 42 + (uint64_t)_i, &sink);
	for (unsigned i = 0; i < 3000; i++) {
		random_tick(lab);
		read_on(lab);
	}
	ck_assert_uint_eq(lab->client[0].n_entries, 3000);
	for (unsigned l = 1; l < WIRE_LEVELS; l++) {
		ck_assert_uint_ge(lab->client[l].n_entries, 3000 / wire_level_ticks[l] - 1);
		ck_assert_uint_gt(lab->client[l].n_listed, lab->client[l].n_entries);
	}
	close_lab(lab);
	free(lab);
}
END_TEST

/* A level that is asked for later begins with a whole interval. */
START_TEST(a_level_asked_for_later_begins_at_a_boundary)
{
	static const struct encoder_sink sink = {.entry = on_entry};
	struct lab *lab = malloc(sizeof(*lab));

	open_lab(lab, 7, &sink);
	encoder_want(&lab->encoder, 1);
	for (unsigned i = 0; i < 400; i++) {
		encoder_want(&lab->encoder, i / 37 % 2 ? 1 : 1 | 1u << 2 | 1u << 3);
		random_tick(lab);
		read_on(lab);
		lab->client[2].begun = lab->client[2].begun && i / 37 % 2 == 0;
		lab->client[3].begun = lab->client[3].begun && i / 37 % 2 == 0;
	}
	ck_assert_uint_gt(lab->client[2].n_entries, 20);
	ck_assert_uint_eq(lab->client[1].n_entries, 0);
	close_lab(lab);
	free(lab);
}
END_TEST

START_TEST(a_reset_row_is_the_mirror)
{
	static const struct encoder_sink sink = {0};
	struct lab *lab = malloc(sizeof(*lab));
	struct buf b = {0};

	open_lab(lab, 99, &sink);
	for (unsigned i = 0; i < 500; i++) {
		random_tick(lab);
		read_on(lab);
		const struct mirror *m = &lab->encoder.mirror;

		buf_clear(&b);
		for (uint32_t g = 0; g < N_GROUPS; g++)
			wire_put_reset(&b, g, &m->groups[g], m->mono_us);
		Strobe__V1__Tick *t = strobe__v1__tick__unpack(NULL, b.len, b.p);

		ck_assert_ptr_nonnull(t);
		for (uint32_t g = 0; g < N_GROUPS; g++) {
			struct state s;
			const struct state *want = &lab->past[(lab->n_past - 1) % HISTORY].group[g];

			memset(&s, 0xff, sizeof(s)); /* what a client held before does not matter */
			ck_assert(t->groups[g]->reset);
			ck_assert_int_eq(t->groups[g]->change_case,
					 STROBE__V1__GROUP_TICK__CHANGE_PERIOD_MS);
			apply(&s, t->groups[g], groups[g].n_metrics);
			assert_state(&s, want, groups[g].n_metrics);
			ck_assert_uint_eq(m->mono_us + (uint64_t)t->groups[g]->off_us, want->at_us);
		}
		strobe__v1__tick__free_unpacked(t, NULL);
	}
	buf_done(&b);
	close_lab(lab);
	free(lab);
}
END_TEST

/* Frames with flipped bits, cut off or too long: refused or taken, never a crash or a read
 * outside. */
START_TEST(damaged_frames_do_no_harm)
{
	static const struct encoder_sink sink = {0};
	struct lab *lab = malloc(sizeof(*lab));
	struct encoder victim;
	uint64_t from, to;
	struct frame f;
	unsigned n = 0;

	open_lab(lab, 1234, &sink);
	encoder_init(&victim, &sink, NULL, (1u << WIRE_LEVELS) - 1);
	for (unsigned i = 0; i < 1500; i++)
		random_tick(lab);
	while (cursor_next(&lab->cursor, &f, &from, &to) == 1) {
		uint8_t *copy = malloc(f.len); /* exact, so that a sanitizer sees an overrun */
		struct frame bad = {.seq = f.seq, .data = copy, .len = f.len};

		memcpy(copy, f.data, f.len);
		encoder_feed(&victim, &f);
		for (unsigned k = feeder_random(&lab->rnd) % 4; k > 0; k--)
			copy[feeder_random(&lab->rnd) % f.len] ^=
				(uint8_t)(1u << feeder_random(&lab->rnd) % 8);
		if (feeder_random(&lab->rnd) % 4 == 0)
			bad.len = feeder_random(&lab->rnd) % f.len + 1;
		if (frame_type(&bad) != FRAME_CATALOG)
			n += encoder_feed(&victim, &bad) < 0;
		free(copy);
	}
	ck_assert_uint_gt(n, 100);
	encoder_done(&victim);
	close_lab(lab);
	free(lab);
}
END_TEST

START_TEST(levels_join_at_common_multiples)
{
	for (uint8_t a = 0; a < WIRE_LEVELS; a++)
		for (uint8_t b = 0; b < WIRE_LEVELS; b++) {
			uint32_t t = wire_level_ticks[wire_level_join(a, b)];

			ck_assert_uint_eq(t % wire_level_ticks[a], 0);
			ck_assert_uint_eq(t % wire_level_ticks[b], 0);
			ck_assert_uint_eq(wire_level_join(a, b), wire_level_join(b, a));
		}
	ck_assert_uint_eq(wire_level_ticks[wire_level_join(1, 2)], 10);
	ck_assert_uint_eq(wire_level_of(0), 0);
	ck_assert_uint_eq(wire_level_of(50), 4);
	ck_assert_uint_eq(wire_level_of(3), WIRE_NO_LEVEL);
}
END_TEST

START_TEST(lengths_of_nested_fields)
{
	struct buf b = {0};

	for (size_t len = 0; len < 20000; len = len * 2 + 1) {
		buf_clear(&b);
		size_t at = pb_open(&b, 3);

		for (size_t i = 0; i < len; i++)
			buf_put(&b, "x", 1);
		pb_close(&b, at);
		ck_assert_uint_eq(b.len, 1 + varint_size(len) + len);
		ck_assert_uint_eq(b.p[0], 3 << 3 | PB_BYTES);
		ck_assert(!len || b.p[b.len - 1] == 'x');
	}
	for (unsigned shift = 0; shift < 64; shift++) {
		uint8_t p[VARINT_MAX];

		ck_assert_uint_eq(varint_size(1ull << shift),
				  (size_t)(varint_put(p, 1ull << shift) - p));
	}
	buf_done(&b);
}
END_TEST

int main(void)
{
	TCase *t = tcase_create("wire");

	tcase_set_timeout(t, 120);
	tcase_add_loop_test(t, every_level_follows_a_naive_model, 0, 4);
	tcase_add_test(t, a_level_asked_for_later_begins_at_a_boundary);
	tcase_add_test(t, a_reset_row_is_the_mirror);
	tcase_add_test(t, damaged_frames_do_no_harm);
	tcase_add_test(t, levels_join_at_common_multiples);
	tcase_add_test(t, lengths_of_nested_fields);
	return support_run_case("wire", t);
}
