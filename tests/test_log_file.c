#include "log_frames.h"

#include <sched.h>
#include <signal.h>
#include <stdatomic.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/wait.h>
#include <time.h>

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
	ck_assert_int_eq(chmod(path, 0644), 0);
	log_close(open_in(dir, 4, LOG_CONTINUED));
	ck_assert_int_eq(stat(path, &st), 0);
	ck_assert_uint_eq(st.st_mode & 07777, 0600);
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

/* A new segment over old frames, and death before its first one. */
START_TEST(segment_begun_and_left_empty_costs_no_number)
{
	uint64_t lost;
	char dir[64];
	struct log *l;

	support_dir(dir);
	l = open_in(dir, 4, LOG_NEW);
	append_to(l, 20000);
	for (uint64_t seq = 20000; seq < 20010; seq++) {
		log_next_segment(l, 1);
		log_close(l);
		l = open_in(dir, 4, LOG_CONTINUED);
		ck_assert_uint_eq(log_newest(l), seq);
		assert_all_right(l, &lost);
		ck_assert_uint_eq(lost, 0);
		append_to(l, seq + 1);
	}
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
		while (atomic_load(told) == before)
			if (waitpid(pid, &status, WNOHANG) != 0)
				ck_abort_msg("the writer ended by itself");
		nanosleep(&(struct timespec){.tv_nsec = (long)(feeder_random(&rnd) % 2000000)},
			  NULL);
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
	uint64_t rnd = 99, lost, total_lost = 0, total = 0, newest;
	enum log_state state;
	char err[300];
	struct log *l;

	support_dir(dir);
	snprintf(path, sizeof(path), "%s/log", dir);
	l = open_in(dir, 4, LOG_NEW);
	append_to(l, 12000);
	newest = log_newest(l);
	log_close(l);
	for (unsigned i = 0; i < DAMAGES; i++) {
		int fd = open(path, O_RDWR);
		struct stat st;

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
		log_next_segment(l, 1);
		int64_t seq = log_append(l, "?", 1); /* a number that no lost frame had */

		ck_assert_int_gt(seq, state == LOG_CONTINUED ? (int64_t)newest : 0);
		append_to(l, (uint64_t)seq + 3000);
		newest = log_newest(l);
		log_close(l);
	}
	ck_assert_uint_gt(total, DAMAGES * 1000);
	ck_assert_uint_gt(total_lost, 0);
	support_rm(dir);
}
END_TEST

int main(void)
{
	TCase *t = tcase_create("log_file");

	if (access("/dev/shm", W_OK) == 0)
		setenv("TMPDIR", "/dev/shm", 1); /* where a log lives */
	tcase_set_timeout(t, 240);
	tcase_add_test(t, second_agent_is_refused_in_words);
	tcase_add_test(t, reopened_log_goes_on_where_it_was);
	tcase_add_test(t, segment_begun_and_left_empty_costs_no_number);
	tcase_add_test(t, what_cannot_be_continued_is_replaced_and_said);
	tcase_add_test(t, full_tmpfs_is_an_error_in_words);
	tcase_add_test(t, killed_writer_loses_no_committed_frame);
	tcase_add_test(t, damaged_pages_never_give_a_wrong_frame);
	return support_run_case("log_file", t);
}
