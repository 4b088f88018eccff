#include "log_frames.h"

#include <poll.h>
#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <sys/eventfd.h>

START_TEST(frames_come_back_in_order_through_many_laps)
{
	struct log *l = open_in(NULL, 4, LOG_NEW);
	struct cursor c;
	struct frame f;
	uint64_t a, b;

	MUST(!log_is_persistent(l));
	MUST(log_capacity(l) == 4 * MIB);
	MUST(log_newest(l) == 0);
	MUST(log_oldest(l) == 0);
	MUST(cursor_open_seq(&c, l, 1) == -ENOENT);
	append_to(l, 1);
	MUST(cursor_open_seq(&c, l, 1) == 0);
	for (uint64_t seq = 1; seq <= 60000; seq++) {
		append_to(l, seq);
		MUST(cursor_next(&c, &f, &a, &b) == 1);
		MUST(f.seq == seq);
		assert_right(&f);
		if (seq % 5000 == 0)
			MUST(cursor_next(&c, &f, &a, &b) == 0);
	}
	MUST(log_oldest(l) > 40000);
	MUST(log_bytes_held(l) > 2 * MIB);
	MUST(log_bytes_held(l) <= 4 * MIB);
	MUST(log_bytes_total(l) > 12 * MIB);
	cursor_close(&c);
	log_close(l);
}
END_TEST

START_TEST(overrun_cursor_is_told_once_what_it_lost)
{
	struct log *l = open_in(NULL, 4, LOG_NEW);
	struct cursor c;
	struct frame f;
	uint64_t from = 0, to = 0, oldest;

	append_to(l, 10);
	ck_assert_int_eq(cursor_open_seq(&c, l, 1), 0);
	for (uint64_t seq = 1; seq <= 7; seq++)
		ck_assert_int_eq(cursor_next(&c, &f, &from, &to), 1);
	append_to(l, 30000);
	oldest = log_oldest(l);
	ck_assert_int_eq(cursor_next(&c, &f, &from, &to), -ESTALE);
	ck_assert_uint_eq(from, 8);
	ck_assert_uint_eq(to, oldest - 1);
	for (uint64_t seq = oldest; seq <= 30000; seq++) {
		ck_assert_int_eq(cursor_next(&c, &f, &from, &to), 1);
		ck_assert_uint_eq(f.seq, seq);
		assert_right(&f);
	}
	ck_assert_int_eq(cursor_next(&c, &f, &from, &to), 0);
	cursor_close(&c);
	log_close(l);
}
END_TEST

START_TEST(cursors_open_by_number_and_by_time)
{
	struct log *l = open_in(NULL, 5, LOG_NEW);
	struct cursor c;
	struct frame f;
	uint64_t a, b, oldest, newest, first;

	append_to(l, 40000);
	oldest = log_oldest(l);
	newest = log_newest(l);
	ck_assert_uint_eq(log_oldest_us(l), oldest * 1000);
	for (uint64_t seq = oldest; seq <= newest + 1; seq += (newest + 1 - oldest) / 50) {
		ck_assert_int_eq(cursor_open_exact(&c, l, seq), 0);
		ck_assert_int_eq(cursor_next(&c, &f, &a, &b), seq <= newest);
		if (seq <= newest)
			ck_assert_uint_eq(f.seq, seq);
		cursor_close(&c);
		ck_assert_int_eq(cursor_open_seq(&c, l, seq), 0);
		first = c.next_seq;
		ck_assert_uint_le(first, seq);
		cursor_close(&c);
		ck_assert_int_eq(cursor_open_time(&c, l, first * 1000), 0);
		ck_assert_uint_eq(c.next_seq, first);
		cursor_close(&c);
		ck_assert_int_eq(cursor_open_time(&c, l, first * 1000 - 1), 0);
		ck_assert_uint_eq(c.next_seq<first, first> oldest);
		cursor_close(&c);
	}
	ck_assert_int_eq(cursor_open_exact(&c, l, newest + 1), 0);
	ck_assert_int_eq(cursor_next(&c, &f, &a, &b), 0);
	append_to(l, newest + 1);
	ck_assert_int_eq(cursor_next(&c, &f, &a, &b), 1);
	ck_assert_uint_eq(f.seq, newest + 1);
	cursor_close(&c);
	ck_assert_int_eq(cursor_open_exact(&c, l, newest + 3), -EINVAL);
	ck_assert_int_eq(cursor_open_exact(&c, l, 0), -EINVAL);
	ck_assert_int_eq(cursor_open_exact(&c, l, oldest - 1), -ESTALE);
	ck_assert_int_eq(cursor_open_seq(&c, l, 1), 0);
	ck_assert_uint_eq(c.next_seq, oldest);
	cursor_close(&c);
	log_close(l);
}
END_TEST

START_TEST(largest_frame_fits_and_a_larger_is_refused)
{
	struct log *l = open_in(NULL, 4, LOG_NEW);
	static uint8_t big[LOG_FRAME_MAX + 1];
	struct cursor c;
	struct frame f;
	uint64_t a, b;

	memset(big, 0xa5, sizeof(big));
	ck_assert(log_segment_empty(l));
	ck_assert_uint_eq(log_segment_room(l), 0);
	ck_assert_int_eq(log_append(l, big, LOG_FRAME_MAX + 1), -EMSGSIZE);
	ck_assert_int_eq(log_append(l, big, 0), -EMSGSIZE);
	ck_assert_int_eq(log_append(l, big, LOG_FRAME_MAX), -EAGAIN);
	for (uint64_t seq = 1; seq < 12; seq++) {
		log_next_segment(l, seq);
		ck_assert(log_segment_empty(l));
		ck_assert_uint_eq(log_segment_room(l), LOG_FRAME_MAX);
		ck_assert_int_eq(log_append(l, big, LOG_FRAME_MAX), (int64_t)seq);
		ck_assert(!log_segment_empty(l));
		ck_assert_uint_eq(log_segment_room(l), 0);
		ck_assert_int_eq(log_append(l, big, 1), -EAGAIN);
	}
	ck_assert_int_eq(cursor_open_seq(&c, l, 1), 0);
	for (unsigned i = 0; i < 4; i++) {
		ck_assert_int_eq(cursor_next(&c, &f, &a, &b), 1);
		ck_assert_uint_eq(f.len, LOG_FRAME_MAX);
		ck_assert(memcmp(f.data, big, f.len) == 0);
	}
	ck_assert_int_eq(cursor_next(&c, &f, &a, &b), 0);
	cursor_close(&c);
	log_close(l);
}
END_TEST

START_TEST(watchers_are_woken_only_while_they_watch)
{
	struct log *l = open_in(NULL, 4, LOG_NEW);
	struct pollfd p = {.fd = log_eventfd(l), .events = POLLIN};
	eventfd_t n;

	append_to(l, 1);
	log_wake(l);
	ck_assert_int_eq(poll(&p, 1, 0), 0);
	log_watch(l, true);
	append_to(l, 3);
	ck_assert_int_eq(poll(&p, 1, 0), 0); /* there may be more to come in this tick */
	log_wake(l);
	ck_assert_int_eq(poll(&p, 1, 0), 1);
	ck_assert_int_eq(eventfd_read(p.fd, &n), 0);
	log_watch(l, false);
	append_to(l, 4);
	log_wake(l);
	ck_assert_int_eq(poll(&p, 1, 0), 0);
	log_close(l);
}
END_TEST

/* ---- readers beside the writer ---- */

struct reader {
	pthread_t thread;
	struct log *log;
	_Atomic bool *done;
	uint64_t n, lost, first;
	bool slow, wrong;
};

static void *read_along(void *arg)
{
	struct reader *r = arg;
	struct cursor c;
	struct frame f;
	uint64_t from, to, next = 0;
	uint8_t want[FRAME_BYTES_MAX];
	bool last_round = false;

	while (cursor_open_seq(&c, r->log, log_oldest(r->log)) == -ENOENT)
		sched_yield();
	r->first = next = c.next_seq;
	for (;;) {
		int e = cursor_next(&c, &f, &from, &to);

		if (e == 1) {
			if (f.seq != next || f.len != payload_of(f.seq, want) ||
			    memcmp(want, f.data, f.len) != 0)
				r->wrong = true;
			next++;
			r->n++;
			for (unsigned i = 0; r->slow && i < 3; i++)
				sched_yield();
		} else if (e == -ESTALE) {
			if (from != next || to < from)
				r->wrong = true;
			r->lost += to - from + 1;
			next = to + 1;
		} else if (last_round) {
			break;
		} else {
			last_round = atomic_load(r->done);
			sched_yield();
		}
	}
	cursor_close(&c);
	return NULL;
}

START_TEST(readers_never_see_a_torn_frame_while_the_log_goes_round)
{
	struct log *l = open_in(NULL, 4, LOG_NEW);
	_Atomic bool done = false;
	struct reader r[3] = {0};
	const uint64_t n = APPENDS;

	for (unsigned i = 0; i < 3; i++) {
		r[i] = (struct reader){.log = l, .done = &done, .slow = i > 0};
		MUST(pthread_create(&r[i].thread, NULL, read_along, &r[i]) == 0);
	}
	for (uint64_t seq = 1; seq <= n; seq++) {
		MUST(append(l, seq) == (int64_t)seq);
		if (seq % 500 == 0)
			sched_yield();
	}
	atomic_store(&done, true);
	for (unsigned i = 0; i < 3; i++) {
		pthread_join(r[i].thread, NULL);
		MUST(!r[i].wrong);
		MUST(r[i].first - 1 + r[i].n + r[i].lost == n);
		MUST(r[i].n > 0);
	}
	log_close(l);
}
END_TEST

/* Large frames make the copy long, and the oldest segment is the next to be written over. */
struct chaser {
	pthread_t thread;
	struct log *log;
	_Atomic bool *done;
	bool newest, wrong;
	_Atomic uint64_t n;
};

enum { LARGE = 250000 };

static void fill_large(uint64_t seq, uint64_t *words)
{
	for (unsigned i = 0; i < LARGE / 8; i++)
		words[i] = seq << 20 | i;
}

static void *chase(void *arg)
{
	struct chaser *r = arg;
	struct cursor c;
	struct frame f;
	uint64_t from, to, word;

	while (!atomic_load(r->done)) {
		if (cursor_open_seq(&c, r->log, r->newest ? UINT64_MAX : 0) < 0)
			continue;
		int e = cursor_next(&c, &f, &from, &to);

		for (size_t i = 0; e == 1 && i < f.len / 8; i++) {
			memcpy(&word, f.data + 8 * i, 8);
			r->wrong |= word != (f.seq << 20 | i);
		}
		r->n += e == 1;
		r->wrong |= e == 1 && f.len != LARGE;
		cursor_close(&c);
	}
	return NULL;
}

START_TEST(large_frame_is_whole_or_not_seen)
{
	static uint64_t words[LARGE / 8];
	struct log *l = open_in(NULL, 4, LOG_NEW);
	_Atomic bool done = false;
	struct chaser r[2] = {{.log = l, .done = &done}, {.log = l, .done = &done, .newest = true}};

	for (unsigned i = 0; i < 2; i++)
		ck_assert_int_eq(pthread_create(&r[i].thread, NULL, chase, &r[i]), 0);
	for (uint64_t seq = 1; seq < LARGE_APPENDS || !r[0].n || !r[1].n; seq++) {
		fill_large(seq, words);
		if (log_append(l, words, LARGE) == -EAGAIN) {
			log_next_segment(l, seq);
			MUST(log_append(l, words, LARGE) == (int64_t)seq);
		}
	}
	atomic_store(&done, true);
	for (unsigned i = 0; i < 2; i++) {
		pthread_join(r[i].thread, NULL);
		ck_assert(!r[i].wrong);
	}
	log_close(l);
}
END_TEST

int main(void)
{
	TCase *t = tcase_create("log");

	tcase_set_timeout(t, 240);
	tcase_add_test(t, frames_come_back_in_order_through_many_laps);
	tcase_add_test(t, overrun_cursor_is_told_once_what_it_lost);
	tcase_add_test(t, cursors_open_by_number_and_by_time);
	tcase_add_test(t, largest_frame_fits_and_a_larger_is_refused);
	tcase_add_test(t, watchers_are_woken_only_while_they_watch);
	tcase_add_test(t, readers_never_see_a_torn_frame_while_the_log_goes_round);
	tcase_add_test(t, large_frame_is_whole_or_not_seen);
	return support_run_case("log", t);
}
