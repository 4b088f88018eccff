#include "feeder.h"
#include "store/mirror.h"

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

/* ---- a decoder of its own, written from the comment in frame.h, byte by byte ---- */

struct bytes {
	const uint8_t *p;
	size_t n, at;
};

static uint8_t byte(struct bytes *b)
{
	MUST(b->at < b->n);
	return b->p[b->at++];
}

static uint64_t leb(struct bytes *b)
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

static int64_t zz(uint64_t v)
{
	return v % 2 ? -(int64_t)(v / 2) - 1 : (int64_t)(v / 2);
}

static uint64_t fixed64(struct bytes *b)
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

static void slow_name(struct bytes *b, char *name)
{
	uint64_t n = leb(b);

	MUST(n < INSTANCE_NAME_MAX);
	for (uint64_t i = 0; i < n; i++)
		name[i] = (char)byte(b);
	name[n] = 0;
}

static int64_t *slow_cell(struct slow *s, uint64_t index)
{
	MUST(index < N_SLOTS * N_METRICS);
	return &s->slot[index / N_METRICS].row[index % N_METRICS];
}

static void slow_body(struct slow *s, struct bytes *b, uint64_t flags)
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
static void slow_tick(struct slow *s, const uint8_t *p, size_t n)
{
	struct bytes b = {p, n, 0};
	int64_t last = -1, off = 0;

	MUST(byte(&b) == FRAME_TICK);
	s->mono_us = fixed64(&b);
	s->tick = leb(&b);
	for (uint64_t left = leb(&b); left; left--) {
		uint64_t head = leb(&b), flags = head % 32, len;

		last += zz(head / 32) + 1;
		off += zz(leb(&b));
		len = flags ? leb(&b) : 0;
		struct bytes body = {b.p + b.at, len, 0};

		MUST(b.at + len <= b.n);
		b.at += len;
		if (last != 7)
			continue;
		s->acquired_us = s->mono_us + (uint64_t)off;
		if (flags)
			slow_body(s, &body, flags);
	}
	MUST(b.at == b.n);
}

static void slow_key(struct slow *s, const uint8_t *p, size_t n)
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

static void assert_same(const struct slow *s, const struct batch *b, const int64_t *rows)
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

static int64_t wild(uint64_t *rnd, int64_t old)
{
	static const int64_t edges[] = {
		0, 1, -1, INT64_MAX, INT64_MIN + 1, VALUE_ABSENT, VALUE_ABSENT, 1ll << 53};
	uint64_t r = feeder_random(rnd);

	if (r % 4 == 0)
		return edges[r / 4 % 8];
	if (r % 4 == 1)
		return (int64_t)feeder_random(rnd);
	return old == VALUE_ABSENT || old > INT64_MAX - 4096
		       ? 3
		       : old + (int64_t)(r / 4 % (r & 1024 ? 4096 : 16));
}

/* A pass in which instances come, go and change, in any order of slots. */
static void random_pass(struct batch *b, uint64_t tick, uint64_t *rnd)
{
	batch_begin(b, tick);
	for (unsigned i = (unsigned)(feeder_random(rnd) % 30); i; i--) {
		uint64_t id = feeder_random(rnd) % 35;
		int32_t slot = batch_find_id(b, id);
		char name[40];
		int len = snprintf(name, sizeof(name), "process %u", (unsigned)id);

		if (slot < 0)
			slot = batch_start(b, id, name, (size_t)len);
		else if (feeder_random(rnd) % 8 == 0) {
			batch_end(b, (uint32_t)slot);
			continue;
		}
		if (slot < 0)
			continue;
		int64_t *row = batch_row_slot(b, (uint32_t)slot);

		for (unsigned m = 0; m < N_METRICS; m++)
			if (feeder_random(rnd) % 3 == 0)
				row[m] = wild(rnd, row[m]);
	}
	batch_finish(b);
}

START_TEST(random_ticks_and_keys_equal_an_independent_decoder)
{
	static uint8_t buf[BUF];
	struct frame_writer w;
	struct slow s = {0}, key;
	struct batch b, other;
	uint64_t rnd = 11;

	MUST(batch_init(&b, &group, 0) == 0);
	MUST(batch_init(&other, &group, 0) == 0);
	for (uint64_t tick = 1; tick < 4000; tick++) {
		struct key_source source = {&b, 250, 5000 * tick - 3000};
		int64_t off = (int64_t)(feeder_random(&rnd) % 2000000) - 1000000;
		int32_t period = tick % 9 == 0 ? (int32_t)tick : -1;
		int len;

		random_pass(&b, tick, &rnd);
		random_pass(&other, tick, &rnd);
		frame_tick_begin(&w, buf, BUF, 1000 * tick, tick);
		if (tick % 2)
			frame_tick_group(&w, 300, &other, 17, 5);
		if (tick % 5 == 0)
			frame_tick_period(&w, 2, 0);
		frame_tick_group(&w, 7, &b, off, period);
		if (tick % 3)
			frame_tick_group(&w, 3, &other, INT64_MIN, -1);
		len = frame_tick_end(&w);
		MUST(len > 0);
		/* A KEY between finish and commit tells the state before this tick. */
		struct slow before = s;
		int key_len =
			frame_key(buf + len, (size_t)(BUF - len), 5000 * tick, tick, &source, 1);

		MUST(key_len > 0);
		slow_key(&key, buf + len, (size_t)key_len);
		for (unsigned i = 0; i < N_SLOTS; i++) {
			MUST(key.slot[i].live == before.slot[i].live);
			if (key.slot[i].live)
				MUST(memcmp(key.slot[i].row, before.slot[i].row,
					    sizeof(key.slot[i].row)) == 0);
		}
		MUST(key.acquired_us == 5000 * tick - 3000);
		MUST(key.period_ms == 250);
		slow_tick(&s, buf, (size_t)len);
		MUST(s.tick == tick);
		MUST(s.acquired_us == 1000 * tick + (uint64_t)off);
		if (period >= 0)
			MUST(s.period_ms == (uint64_t)period);
		assert_same(&s, &b, b.rows);
		batch_commit(&b);
		batch_commit(&other);
		key_len = frame_key(buf, BUF, 1, tick, &source,
				    1); /* its time is moved behind the reads */
		slow_key(&key, buf, (size_t)key_len);
		MUST(key.mono_us == source.acquired_us + 1);
		assert_same(&key, &b, b.rows);
	}
	batch_done(&b);
	batch_done(&other);
}
END_TEST

START_TEST(unchanged_group_costs_two_bytes)
{
	uint8_t buf[200];
	struct frame_writer w;
	struct batch b;
	int empty, one;

	ck_assert_int_eq(batch_init(&b, &group, 0), 0);
	batch_begin(&b, 1);
	batch_start(&b, 1, "x", 1);
	batch_finish(&b);
	batch_commit(&b);
	batch_begin(&b, 2);
	memset(batch_row_slot(&b, 0), 0, 8);
	frame_tick_begin(&w, buf, sizeof(buf), 1, 2);
	empty = frame_tick_end(&w);
	frame_tick_begin(&w, buf, sizeof(buf), 1, 2);
	frame_tick_group(&w, 0, &b, 20, -1);
	one = frame_tick_end(&w);
	ck_assert_int_eq(one, empty + 2);
	batch_done(&b);
}
END_TEST

/* Walks everything a decoder hands out; the block has exactly the frame's size. */
static int decode_all(const uint8_t *data, size_t len)
{
	uint8_t *copy = malloc(len ? len : 1);
	struct frame f = {1, copy, len};
	struct tick_head h;
	struct frame_reader r;
	struct tick_group g;
	int e;

	MUST(copy);
	memcpy(copy, data, len);
	e = frame_read_tick(&f, &h, &r);
	while (e == 0 && (e = frame_next_group(&r, &g)) == 1) {
		const uint8_t *p = g.ends;
		uint32_t index = FRAME_NO_INDEX;
		struct tick_start start;

		for (uint32_t i = 0; i < g.n_ends; i++)
			frame_walk_end(&p);
		p = g.starts;
		for (uint32_t i = 0; i < g.n_starts; i++)
			frame_walk_start(&p, &start);
		p = g.absent;
		for (uint32_t i = 0; i < g.n_absent; i++)
			frame_walk_absent(&p, &index);
		MUST(p == g.changes);
		index = FRAME_NO_INDEX;
		for (uint32_t i = 0; i < g.n_changes; i++)
			frame_walk_change(&p, &index);
		MUST(p == g.end);
		e = 0;
		if (!r.left && r.p == r.end)
			break;
	}
	free(copy);
	return e;
}

/* A frame with all that can be in one. */
static size_t rich_tick(uint8_t *buf, struct batch *b, uint64_t *rnd)
{
	struct frame_writer w;
	int len;

	ck_assert_int_eq(batch_init(b, &group, 0), 0);
	for (uint64_t tick = 1; tick < 20 || !b->n_started || !b->n_ended; tick++) {
		batch_commit(b);
		random_pass(b, tick, rnd);
	}
	frame_tick_begin(&w, buf, BUF, 123456789, 42);
	frame_tick_group(&w, 1, b, -55555, 1000);
	frame_tick_group(&w, 2, b, 100, -1);
	len = frame_tick_end(&w);
	ck_assert_int_gt(len, 100);
	return (size_t)len;
}

START_TEST(every_truncation_is_refused)
{
	static uint8_t buf[BUF];
	uint64_t rnd = 5;
	struct batch b;
	size_t len = rich_tick(buf, &b, &rnd);

	MUST(decode_all(buf, len) == 0);
	for (size_t n = 0; n < len; n++)
		MUST(decode_all(buf, n) == -EBADMSG);
	buf[len] = 0;
	MUST(decode_all(buf, len + 1) == -EBADMSG); /* and what follows the last group */
	batch_done(&b);
}
END_TEST

START_TEST(mutated_frames_stay_within_their_bytes)
{
	static uint8_t buf[BUF], copy[BUF];
	uint64_t rnd = 6;
	struct batch b;
	size_t len = rich_tick(buf, &b, &rnd);
	unsigned refused = 0;

	for (unsigned i = 0; i < 200000; i++) {
		memcpy(copy, buf, len);
		for (unsigned k = 1 + (unsigned)(feeder_random(&rnd) % 3); k; k--)
			copy[9 + feeder_random(&rnd) % (len - 9)] = (uint8_t)feeder_random(&rnd);
		refused += decode_all(copy, len) < 0;
	}
	MUST(refused > 20000);
	batch_done(&b);
}
END_TEST

START_TEST(frame_that_does_not_fit_is_refused_at_every_size)
{
	static uint8_t buf[BUF];
	uint64_t rnd = 8;
	struct batch b;
	size_t len = rich_tick(buf, &b, &rnd);
	struct key_source source = {&b, 100, 1};
	int key_len = frame_key(buf, BUF, 9, 1, &source, 1);

	for (size_t cap = 0; cap < len + 64; cap++) {
		uint8_t *tight = malloc(cap ? cap : 1);
		struct frame_writer w;
		int r;

		MUST(tight);
		frame_tick_begin(&w, tight, cap, 123456789, 42);
		frame_tick_group(&w, 1, &b, -55555, 1000);
		frame_tick_group(&w, 2, &b, 100, -1);
		r = frame_tick_end(&w);
		MUST(r == (int)len || (r == -EMSGSIZE && cap < len + 40));
		r = frame_key(tight, cap, 9, 1, &source, 1);
		MUST(r == key_len || (r == -EMSGSIZE && cap < (size_t)key_len + 64));
		free(tight);
	}
	batch_done(&b);
}
END_TEST

START_TEST(small_frames_come_back_and_long_texts_are_cut_between_characters)
{
	uint8_t buf[1024];
	char text[400];
	struct event_frame e;
	struct attr_frame a;
	struct clock_frame c;
	struct frame f = {1, buf, 0};

	memset(text, 'x', sizeof(text));
	memcpy(text + 254, "\xe2\x82\xac", 3); /* would end at 257 */
	text[399] = 0;
	f.len = (size_t)frame_event(buf, sizeof(buf), 77, EVENT_GAP, SEVERITY_CRITICAL, "cpu",
				    text);
	ck_assert_int_eq(frame_read_event(&f, &e), 0);
	ck_assert_uint_eq(e.mono_us, 77);
	ck_assert_uint_eq(e.kind, EVENT_GAP);
	ck_assert_uint_eq(e.severity, SEVERITY_CRITICAL);
	ck_assert_uint_eq(e.source.len, 3);
	ck_assert_uint_eq(e.text.len, 254);
	ck_assert(memcmp(e.text.s, text, 254) == 0);
	for (size_t n = f.len; n-- > 0;) {
		f.len = n;
		ck_assert_int_eq(frame_read_event(&f, &e), -EBADMSG);
	}
	f.len = (size_t)frame_event(buf, sizeof(buf), 77, EVENT_GAP, SEVERITY_INFO, NULL, NULL);
	ck_assert_int_eq(frame_read_event(&f, &e), 0);
	ck_assert_uint_eq(e.source.len + e.text.len, 0);

	memset(text, 'x', 300);
	f.len = (size_t)frame_attr(buf, sizeof(buf), 3, 1000000, 4, 2, text);
	ck_assert_int_eq(frame_read_attr(&f, &a), 0);
	ck_assert_uint_eq(a.group, 3);
	ck_assert_uint_eq(a.slot, 1000000);
	ck_assert_uint_eq(a.gen, 4);
	ck_assert_uint_eq(a.key, 2);
	ck_assert_uint_eq(a.value.len, ATTR_VALUE_MAX - 1);
	for (size_t n = f.len; n-- > 0;) {
		f.len = n;
		ck_assert_int_eq(frame_read_attr(&f, &a), -EBADMSG);
	}
	f.len = (size_t)frame_clock(buf, sizeof(buf), 5, INT64_MIN, INT64_MAX, CLOCK_STEP);
	ck_assert_int_eq(frame_read_clock(&f, &c), 0);
	ck_assert_uint_eq(c.mono_us, 5);
	ck_assert(c.real_off_us == INT64_MIN && c.boot_off_us == INT64_MAX);
	ck_assert_uint_eq(c.reason, CLOCK_STEP);
	for (size_t n = f.len; n-- > 0;) {
		f.len = n;
		ck_assert_int_eq(frame_read_clock(&f, &c), -EBADMSG);
	}
}
END_TEST

int main(void)
{
	Suite *s = suite_create("frame");
	TCase *t = tcase_create("frame");
	SRunner *r;

	tcase_set_timeout(t, 120);
	tcase_add_test(t, random_ticks_and_keys_equal_an_independent_decoder);
	tcase_add_test(t, unchanged_group_costs_two_bytes);
	tcase_add_test(t, every_truncation_is_refused);
	tcase_add_test(t, mutated_frames_stay_within_their_bytes);
	tcase_add_test(t, frame_that_does_not_fit_is_refused_at_every_size);
	tcase_add_test(t, small_frames_come_back_and_long_texts_are_cut_between_characters);
	suite_add_tcase(s, t);
	r = srunner_create(s);
	srunner_run_all(r, CK_NORMAL);
	int failed = srunner_ntests_failed(r);

	srunner_free(r);
	return failed ? 1 : 0;
}
