/* For the tests of the log: frames whose contents follow from their number, and ways to open
 * one. */
#ifndef STROBE_TESTS_LOG_FRAMES_H
#define STROBE_TESTS_LOG_FRAMES_H

#include "feeder.h"
#include "store/log.h"
#include "support.h"

#include <check.h>
#include <string.h>

#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
enum { KILLS = 110, DAMAGES = 60, APPENDS = 30000, LARGE_APPENDS = 2000 };
#else
enum { KILLS = 200, DAMAGES = 300, APPENDS = 120000, LARGE_APPENDS = 12000 };
#endif
#define BOOT "11111111-2222-3333-4444-555555555555"
enum { MIB = 1 << 20, FRAME_BYTES_MAX = 4000 };

/* For loops that run often: a check that costs nothing while it holds. */
#define MUST(x)                                                                                    \
	do {                                                                                       \
		if (!(x))                                                                          \
			ck_abort_msg("%s", #x);                                                    \
	} while (0)

/* The one right payload of frame seq: its number, then bytes that follow from it. */
static inline size_t payload_of(uint64_t seq, uint8_t *out)
{
	uint64_t state = seq;
	size_t len = 9 + feeder_random(&state) % (seq % 4 ? 200 : FRAME_BYTES_MAX - 9);

	memcpy(out, &seq, 8);
	for (size_t i = 8; i < len; i += 8) {
		uint64_t v = feeder_random(&state);

		memcpy(out + i, &v, len - i < 8 ? len - i : 8);
	}
	return len;
}

static inline void assert_right(const struct frame *f)
{
	uint8_t want[FRAME_BYTES_MAX];

	if (f->len == 1 && *f->data == '?') /* appended before its number was known */
		return;
	MUST(f->len == payload_of(f->seq, want));
	MUST(memcmp(f->data, want, f->len) == 0);
}

static inline int64_t append(struct log *l, uint64_t seq)
{
	uint8_t buf[FRAME_BYTES_MAX];
	size_t len = payload_of(seq, buf);
	int64_t r = log_append(l, buf, len);

	if (r == -EAGAIN) {
		log_next_segment(l, seq * 1000);
		r = log_append(l, buf, len);
	}
	return r;
}

/* Appends until the newest is `last`; each frame gets the payload of its number. */
static inline void append_to(struct log *l, uint64_t last)
{
	while (log_newest(l) < last) {
		uint64_t seq = log_newest(l) + 1;

		MUST(append(l, seq) == (int64_t)seq);
	}
}

static inline int try_open(struct log **l, const char *dir, unsigned segments, const char *boot,
			   enum log_state *state, char *err, size_t err_len)
{
	struct log_config c = {.dir = dir, .size_bytes = (uint64_t)segments * MIB, .boot_id = boot};

	return log_open(l, &c, state, err, err_len);
}

static inline struct log *open_in(const char *dir, unsigned segments, enum log_state want)
{
	enum log_state state;
	struct log *l = NULL;
	char err[300];
	int r = try_open(&l, dir, segments, BOOT, &state, err, sizeof(err));

	ck_assert_msg(r == 0 && state == want, "%d %s", r, err);
	return l;
}

/* Reads all there is from the oldest on; every frame right and in order. The number of frames. */
static inline uint64_t assert_all_right(struct log *l, uint64_t *ret_lost)
{
	struct cursor c;
	struct frame f;
	uint64_t from, to, n = 0, next = log_oldest(l);
	int r = cursor_open_seq(&c, l, next);

	*ret_lost = 0;
	if (r == -ENOENT)
		return 0;
	MUST(r == 0);
	while ((r = cursor_next(&c, &f, &from, &to)) != 0) {
		if (r == -ESTALE) {
			MUST(from == next);
			MUST(to >= from);
			*ret_lost += to - from + 1;
			next = to + 1;
			continue;
		}
		MUST(r == 1);
		MUST(f.seq == next);
		assert_right(&f);
		next++;
		n++;
	}
	MUST(next == log_newest(l) + 1);
	cursor_close(&c);
	return n;
}

#endif
