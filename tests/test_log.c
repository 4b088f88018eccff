#include "feeder.h"
#include "store/log.h"
#include "support.h"

#include <check.h>
#include <poll.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdatomic.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/wait.h>

#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
enum { KILLS = 110, DAMAGES = 60, APPENDS = 30000 };
#else
enum { KILLS = 200, DAMAGES = 300, APPENDS = 120000 };
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
static size_t payload_of(uint64_t seq, uint8_t *out)
{
	uint64_t state = seq;
	size_t len = 9 + feeder_random(&state) % (seq % 8 ? 200 : FRAME_BYTES_MAX - 9);

	memcpy(out, &seq, 8);
	for (size_t i = 8; i < len; i += 8) {
		uint64_t v = feeder_random(&state);

		memcpy(out + i, &v, len - i < 8 ? len - i : 8);
	}
	return len;
}

static void assert_right(const struct frame *f)
{
	uint8_t want[FRAME_BYTES_MAX];

	if (f->len == 1 && *f->data == '?') /* appended before its number was known */
		return;
	MUST(f->len == payload_of(f->seq, want));
	MUST(memcmp(f->data, want, f->len) == 0);
}

static int64_t append(struct log *l, uint64_t seq)
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
static void append_to(struct log *l, uint64_t last)
{
	while (log_newest(l) < last) {
		uint64_t seq = log_newest(l) + 1;

		MUST(append(l, seq) == (int64_t)seq);
	}
}

static int try_open(struct log **l, const char *dir, unsigned segments, const char *boot,
		    enum log_state *state, char *err, size_t err_len)
{
	struct log_config c = {.dir = dir, .size_bytes = (uint64_t)segments * MIB, .boot_id = boot};

	return log_open(l, &c, state, err, err_len);
}

static struct log *open_in(const char *dir, unsigned segments, enum log_state want)
{
	enum log_state state;
	struct log *l = NULL;
	char err[300];
	int r = try_open(&l, dir, segments, BOOT, &state, err, sizeof(err));

	ck_assert_msg(r == 0 && state == want, "%d %s", r, err);
	return l;
}

/* Reads all there is from the oldest on; every frame right and in order. The number of frames. */
static uint64_t assert_all_right(struct log *l, uint64_t *ret_lost)
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
	ck_assert_int_eq(poll(&p, 1, 0), 0);
	log_watch(l, true);
	append_to(l, 3);
	ck_assert_int_eq(poll(&p, 1, 0), 1);
	ck_assert_int_eq(eventfd_read(p.fd, &n), 0);
	log_watch(l, false);
	append_to(l, 4);
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
	MUST(r[1].lost + r[2].lost > 0);
	log_close(l);
}
END_TEST

/* ---- files ---- */

START_TEST(second_agent_is_refused_in_words)
{
	enum log_state state;
	struct log *l, *other = NULL;
	struct stat st;
	char dir[64], path[80], err[300];

	support_dir(dir);
	l = open_in(dir, 4, LOG_NEW);
	ck_assert(log_is_persistent(l));
	ck_assert_int_eq(try_open(&other, dir, 4, BOOT, &state, err, sizeof(err)), -EBUSY);
	ck_assert_ptr_null(other);
	ck_assert_ptr_nonnull(strstr(err, "another strobe agent"));
	append_to(l, 5); /* the first goes on */
	snprintf(path, sizeof(path), "%s/log", dir);
	ck_assert_int_eq(stat(path, &st), 0);
	ck_assert_uint_eq(st.st_mode & 07777, 0600);
	log_close(l);
	log_close(open_in(dir, 4, LOG_CONTINUED));
	support_rm(dir);
}
END_TEST

START_TEST(reopened_log_goes_on_where_it_was)
{
	char dir[64];
	uint8_t id[LOG_ID_LEN];
	struct log *l;
	struct cursor c;
	struct frame f;
	uint64_t lost, a, b, bytes;

	support_dir(dir);
	l = open_in(dir, 4, LOG_NEW);
	memcpy(id, log_id(l), LOG_ID_LEN);
	append_to(l, 20000);
	bytes = log_bytes_held(l);
	log_close(l);
	l = open_in(dir, 4, LOG_CONTINUED);
	ck_assert_int_eq(memcmp(id, log_id(l), LOG_ID_LEN), 0);
	ck_assert_uint_eq(log_newest(l), 20000);
	ck_assert_uint_eq(log_bytes_held(l), bytes);
	ck_assert_uint_gt(assert_all_right(l, &lost), 5000);
	ck_assert_uint_eq(lost, 0);
	ck_assert_int_eq(cursor_open_exact(&c, l, 20001), 0); /* a client that had it all */
	ck_assert_int_eq(log_append(l, "x", 1), -EAGAIN);     /* a new segment comes first */
	append_to(l, 20002);
	ck_assert_int_eq(cursor_next(&c, &f, &a, &b), 1);
	ck_assert_uint_eq(f.seq, 20001);
	cursor_close(&c);
	append_to(l, 50000);
	assert_all_right(l, &lost);
	ck_assert_uint_eq(lost, 0);
	log_close(l);
	support_rm(dir);
}
END_TEST

/* Opens what is there and says why it starts anew. */
static void assert_fresh(const char *dir, unsigned segments, const char *boot, const char *word)
{
	enum log_state state;
	struct log *l = NULL;
	char err[300];
	int r = try_open(&l, dir, segments, boot, &state, err, sizeof(err));

	ck_assert_msg(r == 0, "%s", err);
	ck_assert_int_eq(state, LOG_NEW);
	ck_assert_msg(strstr(err, word) != NULL, "%s", err);
	ck_assert_uint_eq(log_newest(l), 0);
	append_to(l, 100);
	log_close(l);
}

START_TEST(what_cannot_be_continued_is_replaced_and_said)
{
	uint8_t junk[5000];
	uint64_t rnd = 3, old_id[2];
	struct log *l;
	char dir[64];

	support_dir(dir);
	l = open_in(dir, 4, LOG_NEW);
	append_to(l, 100);
	memcpy(old_id, log_id(l), LOG_ID_LEN);
	log_close(l);
	assert_fresh(dir, 4, "another boot", "earlier boot");
	assert_fresh(dir, 5, "another boot", "size");
	for (unsigned i = 0; i < sizeof(junk); i++)
		junk[i] = (uint8_t)feeder_random(&rnd);
	support_write(dir, "log", junk, sizeof(junk));
	assert_fresh(dir, 5, BOOT, "not a log");
	support_write(dir, "log", "x", 1);
	assert_fresh(dir, 5, BOOT, "not a log");
	l = open_in(dir, 5, LOG_CONTINUED);
	ck_assert_int_ne(memcmp(old_id, log_id(l), LOG_ID_LEN), 0);
	memcpy(old_id, log_id(l), LOG_ID_LEN);
	ck_assert_int_eq(log_reset(l), 0);
	ck_assert_int_ne(memcmp(old_id, log_id(l), LOG_ID_LEN), 0);
	ck_assert_uint_eq(log_newest(l), 0);
	ck_assert_uint_eq(log_oldest(l), 0);
	append_to(l, 3);
	log_close(l);
	l = open_in(dir, 5, LOG_CONTINUED);
	ck_assert_uint_eq(log_newest(l), 3);
	log_close(l);
	support_rm(dir);
}
END_TEST

START_TEST(full_tmpfs_is_an_error_in_words)
{
	char dir[64], err[300] = "";
	enum log_state state;
	struct log *l = NULL;
	struct stat st;
	char path[80];

	support_dir(dir);
	if (unshare(CLONE_NEWNS) < 0 || mount("none", "/", NULL, MS_REC | MS_PRIVATE, NULL) < 0 ||
	    mount("tmpfs", dir, "tmpfs", 0, "size=3m") < 0) {
		fprintf(stderr, "no right to mount a small tmpfs: a full one is not tested\n");
		support_rm(dir);
		return;
	}
	ck_assert_int_eq(try_open(&l, dir, 4, BOOT, &state, err, sizeof(err)), -ENOSPC);
	ck_assert_ptr_null(l);
	ck_assert_ptr_nonnull(strstr(err, "no room for a log of 4 MiB"));
	snprintf(path, sizeof(path), "%s/log", dir);
	ck_assert_int_eq(stat(path, &st), 0);
	ck_assert_int_eq(st.st_size, 0); /* nothing of it stays */
	ck_assert_int_eq(umount(dir), 0);
	support_rm(dir);
}
END_TEST

/* ---- death ---- */

/* The child: goes on with the log and tells after each append what is committed. */
static void write_until_killed(const char *dir, _Atomic uint64_t *told)
{
	struct log *l = NULL;
	enum log_state state;
	char err[300];

	if (try_open(&l, dir, 4, BOOT, &state, err, sizeof(err)) < 0)
		_exit(1);
	for (;;) {
		uint64_t seq = log_newest(l) + 1;

		if (append(l, seq) != (int64_t)seq)
			_exit(1);
		atomic_store(told, seq);
	}
}

START_TEST(killed_writer_loses_no_committed_frame)
{
	_Atomic uint64_t *told =
		mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	uint64_t rnd = (uint64_t)getpid(), lost;
	char dir[64];
	struct log *l;

	support_dir(dir);
	for (unsigned i = 0; i < KILLS; i++) {
		uint64_t before = atomic_load(told);
		pid_t pid = fork();
		int status;

		ck_assert_int_ge(pid, 0);
		if (!pid)
			write_until_killed(dir, told);
		while (atomic_load(told) < before + 1 + feeder_random(&rnd) % 3000)
			if (waitpid(pid, &status, WNOHANG) != 0)
				ck_abort_msg("the writer ended by itself");
		for (unsigned k = (unsigned)(feeder_random(&rnd) % 2000); k; k--)
			__asm__ volatile("");
		kill(pid, SIGKILL);
		ck_assert_int_eq(waitpid(pid, &status, 0), pid);
		ck_assert(WIFSIGNALED(status));
		l = open_in(dir, 4, LOG_CONTINUED);
		ck_assert_uint_ge(log_newest(l), atomic_load(told));
		ck_assert_uint_le(log_newest(l), atomic_load(told) + 1);
		assert_all_right(l, &lost);
		ck_assert_uint_eq(lost, 0);
		atomic_store(told, log_newest(l));
		log_close(l);
	}
	ck_assert_uint_gt(atomic_load(told), KILLS);
	munmap(told, 4096);
	support_rm(dir);
}
END_TEST

/* ---- damage ---- */

static void damage(uint8_t *map, size_t len, uint64_t *rnd)
{
	uint64_t what = feeder_random(rnd) % 5;
	size_t page = feeder_random(rnd) % (len / 4096) * 4096,
	       other = feeder_random(rnd) % (len / 4096) * 4096;
	size_t at = feeder_random(rnd) % len;

	if (what == 0)
		map[at] ^= (uint8_t)(1 << feeder_random(rnd) % 8);
	else if (what == 1)
		memset(map + page, 0, 4096);
	else if (what == 2)
		memcpy(map + page, map + other, 4096);
	else if (what == 3)
		memmove(map + page, map + page + 512, 3584);
	else /* aimed at a header, which is a small target otherwise */
		map[4096 + at / MIB * MIB % (len - 8192) + at % 96] ^= (uint8_t)(1 + at % 255);
}

START_TEST(damaged_pages_never_give_a_wrong_frame)
{
	char dir[64], path[80];
	uint64_t rnd = 99, lost, total_lost = 0, total = 0;
	enum log_state state;
	char err[300];
	struct log *l;

	support_dir(dir);
	snprintf(path, sizeof(path), "%s/log", dir);
	l = open_in(dir, 4, LOG_NEW);
	append_to(l, 12000);
	log_close(l);
	for (unsigned i = 0; i < DAMAGES; i++) {
		int fd = open(path, O_RDWR);
		struct stat st;
		uint64_t newest;

		ck_assert_int_eq(fstat(fd, &st), 0);
		uint8_t *map =
			mmap(NULL, (size_t)st.st_size, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);

		ck_assert(map != MAP_FAILED);
		for (uint64_t k = 1 + feeder_random(&rnd) % 4; k; k--)
			damage(map, (size_t)st.st_size, &rnd);
		munmap(map, (size_t)st.st_size);
		close(fd);
		ck_assert_int_eq(try_open(&l, dir, 4, BOOT, &state, err, sizeof(err)), 0);
		total += assert_all_right(l, &lost);
		total_lost += lost;
		newest = log_newest(l);
		log_next_segment(l, 1);
		ck_assert_int_gt(log_append(l, "?", 1),
				 (int64_t)newest); /* numbers may skip ahead */
		append_to(l, log_newest(l) + 3000);
		log_close(l);
	}
	ck_assert_uint_gt(total, DAMAGES * 1000);
	ck_assert_uint_gt(total_lost, 0);
	support_rm(dir);
}
END_TEST

int main(void)
{
	Suite *s = suite_create("log");
	TCase *t = tcase_create("log");
	SRunner *r;

	if (access("/dev/shm", W_OK) == 0)
		setenv("TMPDIR", "/dev/shm", 1); /* where a log lives */
	tcase_set_timeout(t, 240);
	tcase_add_test(t, frames_come_back_in_order_through_many_laps);
	tcase_add_test(t, overrun_cursor_is_told_once_what_it_lost);
	tcase_add_test(t, cursors_open_by_number_and_by_time);
	tcase_add_test(t, largest_frame_fits_and_a_larger_is_refused);
	tcase_add_test(t, watchers_are_woken_only_while_they_watch);
	tcase_add_test(t, readers_never_see_a_torn_frame_while_the_log_goes_round);
	tcase_add_test(t, second_agent_is_refused_in_words);
	tcase_add_test(t, reopened_log_goes_on_where_it_was);
	tcase_add_test(t, what_cannot_be_continued_is_replaced_and_said);
	tcase_add_test(t, full_tmpfs_is_an_error_in_words);
	tcase_add_test(t, killed_writer_loses_no_committed_frame);
	tcase_add_test(t, damaged_pages_never_give_a_wrong_frame);
	suite_add_tcase(s, t);
	r = srunner_create(s);
	srunner_run_all(r, CK_NORMAL);
	int failed = srunner_ntests_failed(r);

	srunner_free(r);
	return failed ? 1 : 0;
}
