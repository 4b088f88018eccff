#include "frame_slow.h"
#include "support.h"

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
	TCase *t = tcase_create("frame");

	tcase_set_timeout(t, 120);
	tcase_add_test(t, random_ticks_and_keys_equal_an_independent_decoder);
	tcase_add_test(t, unchanged_group_costs_two_bytes);
	tcase_add_test(t, every_truncation_is_refused);
	tcase_add_test(t, mutated_frames_stay_within_their_bytes);
	tcase_add_test(t, frame_that_does_not_fit_is_refused_at_every_size);
	tcase_add_test(t, small_frames_come_back_and_long_texts_are_cut_between_characters);
	return support_run_case("frame", t);
}
