/*
 * The ring's file: its making, its lock, other sizes and versions, a writer killed at any moment.
 * RING_LONG=1: 600 kills.
 */
#include "base/clock.h"
#include "ring_lab.h"
#include "support.h"

#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <sys/mount.h>
#include <sys/wait.h>
#include <time.h>

enum { MIB = 1 << 20 };

static char dir[64], err[400];

static int try_open(struct ring **ret, const char *where, uint64_t size, bool read_only)
{
	struct ring_config c = {.dir = where, .size_bytes = size, .read_only = read_only};

	return ring_open(ret, &c, err, sizeof(err));
}

static struct ring *open_ring(uint64_t size)
{
	struct ring *r = NULL;
	int e = try_open(&r, dir, size, false);

	ck_assert_msg(e == 0, "%d %s", e, err);
	return r;
}

static const char *path_of(const char *name)
{
	static char path[128];

	snprintf(path, sizeof(path), "%s/%s", dir, name);
	return path;
}

static off_t size_of(const char *name)
{
	struct stat st;

	return stat(path_of(name), &st) < 0 ? -1 : st.st_size;
}

static void steps(struct lab *l, unsigned n)
{
	enum lab_did did;

	while (n--)
		ck_assert_int_eq(lab_step(l, &did), 0);
}

/* ---- making and locking ---- */

START_TEST(ring_is_made_whole_and_closed_to_others)
{
	char deep[96];
	struct ring *r = NULL;
	struct stat st;

	support_dir(dir);
	snprintf(deep, sizeof(deep), "%s/a/b", dir);
	ck_assert_int_eq(try_open(&r, deep, RING_SIZE_MIN + 100, false), 0);
	ck_assert_str_eq(err, "");
	ring_close(r);
	ck_assert_int_eq(stat(deep, &st), 0);
	ck_assert_uint_eq(st.st_mode & 07777, 0700);
	ck_assert_int_eq(stat(path_of("a/b/history.strobe"), &st), 0);
	ck_assert_uint_eq(st.st_mode & 07777, 0600);
	ck_assert_int_eq(st.st_size, RING_SIZE_MIN);
	ck_assert_int_ge((uint64_t)st.st_blocks * 512, RING_SIZE_MIN); /* preallocated */
	ck_assert_int_eq(size_of("a/b/history.strobe.new"), -1);
	ck_assert_int_eq(try_open(&r, dir, RING_SIZE_MIN - 1, false), -EINVAL);
	ck_assert_ptr_nonnull(strstr(err, "16 MiB"));
	support_rm(dir);
}
END_TEST

START_TEST(second_agent_is_refused_and_told_who_has_it)
{
	struct lab l = {.log_no = 1, .catalog_no = 1, .len_max = 9000};
	struct ring *other = NULL;
	char pid[40];
	int status;

	support_dir(dir);
	l.r = open_ring(RING_SIZE_MIN);
	steps(&l, 50);
	ck_assert_int_eq(try_open(&other, dir, RING_SIZE_MIN, false), -EBUSY);
	ck_assert_ptr_null(other);
	snprintf(pid, sizeof(pid), "(pid %d)", (int)getpid());
	ck_assert_msg(strstr(err, pid) != NULL, "%s", err);
	if (fork() == 0) { /* nor is one of another size, in another process */
		_exit(try_open(&other, dir, 2 * RING_SIZE_MIN, false) == -EBUSY ? 7 : 0);
	}
	wait(&status);
	ck_assert_int_eq(WEXITSTATUS(status), 7);
	ck_assert_int_eq(try_open(&other, dir, 0, true), 0); /* reading is free */
	lab_read(other, 1, true);
	steps(&l, 500);
	lab_read(other, 1, false);
	ring_close(other);
	lab_read(l.r, 1, true);
	ring_close(l.r);
	ring_close(open_ring(RING_SIZE_MIN));
	support_rm(dir);
}
END_TEST

START_TEST(what_a_dead_maker_left_is_cleared_away)
{
	support_dir(dir);
	support_write(dir, "history.strobe.new", "half", 4);
	ck_assert_int_eq(chmod(path_of("history.strobe.new"), 0600), 0);
	ring_close(open_ring(RING_SIZE_MIN));
	ck_assert_int_eq(size_of("history.strobe.new"), -1);
	support_rm(dir);
}
END_TEST

START_TEST(full_disk_is_an_error_with_figures_and_leaves_nothing)
{
	struct ring *r = NULL;
	struct lab l = {.log_no = 1, .catalog_no = 1, .len_max = 9000};

	support_dir(dir);
	if (unshare(CLONE_NEWNS) < 0 || mount("none", "/", NULL, MS_REC | MS_PRIVATE, NULL) < 0 ||
	    mount("tmpfs", dir, "tmpfs", 0, "size=40m") < 0) {
		fprintf(stderr, "no right to mount a small tmpfs: a full one is not tested\n");
		support_rm(dir);
		return;
	}
	ck_assert_int_eq(try_open(&r, dir, 64 * MIB, false), -ENOSPC);
	ck_assert_msg(strstr(err, "64 MiB") && strstr(err, "40 MiB are free"), "%s", err);
	ck_assert_int_eq(size_of("history.strobe"), -1);
	ck_assert_int_eq(size_of("history.strobe.new"), -1);
	l.r = open_ring(20 * MIB);
	steps(&l, 300);
	ring_close(l.r);
	/* one of another size does not fit beside it: the old one stays */
	ck_assert_int_eq(try_open(&r, dir, 30 * MIB, false), -ENOSPC);
	ck_assert_ptr_nonnull(strstr(err, "20 MiB are free"));
	ck_assert_int_eq(size_of("history.strobe.new"), -1);
	l.r = open_ring(20 * MIB);
	ck_assert_uint_eq(lab_read(l.r, 1, true).last_tag, l.tag);
	ring_close(l.r);
	ck_assert_int_eq(mount("none", dir, NULL, MS_REMOUNT | MS_RDONLY, NULL), 0);
	ck_assert_int_eq(try_open(&r, dir, 20 * MIB, false), -EROFS);
	ck_assert_ptr_nonnull(strstr(err, "Read-only"));
	ck_assert_int_eq(try_open(&r, dir, 0, true), 0);
	ck_assert_uint_eq(lab_read(r, 1, true).last_tag, l.tag);
	ring_close(r);
	ck_assert_int_eq(umount(dir), 0);
	support_rm(dir);
}
END_TEST

/* In a child, as nobody: the exit status is -(what ring_open returned). */
static int open_as_nobody(bool read_only)
{
	struct ring *r = NULL;
	int status, e;

	if (fork() == 0) {
		if (setgid(65534) < 0 || setuid(65534) < 0)
			_exit(200);
		e = try_open(&r, dir, RING_SIZE_MIN, read_only);
		_exit(e < 0 && !err[0] ? 201 : -e);
	}
	wait(&status);
	return WEXITSTATUS(status);
}

START_TEST(without_the_rights_it_says_so)
{
	if (geteuid() != 0)
		return;
	support_dir(dir);
	ck_assert_int_eq(chmod(dir, 0755), 0);
	ck_assert_int_eq(open_as_nobody(false), EACCES); /* cannot make one */
	ring_close(open_ring(RING_SIZE_MIN));
	ck_assert_int_eq(open_as_nobody(false), EACCES);
	ck_assert_int_eq(open_as_nobody(true), EACCES);
	ck_assert_int_eq(chmod(path_of("history.strobe"), 0666), 0);
	ck_assert_int_eq(open_as_nobody(false), EACCES); /* another user's */
	ck_assert_int_eq(chmod(dir, 0700), 0);
	ck_assert_int_eq(open_as_nobody(false), EACCES);
	ring_close(open_ring(RING_SIZE_MIN));
	support_rm(dir);
}
END_TEST

/* ---- other files ---- */

static uint32_t file_crc(const char *name)
{
	static uint8_t buf[MIB];
	uint32_t crc = 0;
	ssize_t n;
	int fd = open(path_of(name), O_RDONLY);

	while ((n = read(fd, buf, sizeof(buf))) > 0)
		crc = crc32c(crc, buf, (size_t)n);
	close(fd);
	return crc;
}

static void assert_left_alone(int want, const char *word)
{
	uint32_t crc = file_crc("history.strobe");
	struct ring *r = NULL;

	ck_assert_int_eq(try_open(&r, dir, RING_SIZE_MIN, false), want);
	ck_assert_msg(strstr(err, word) != NULL, "%s", err);
	ck_assert_int_eq(try_open(&r, dir, 2 * RING_SIZE_MIN, false), want);
	ck_assert_int_eq(try_open(&r, dir, 0, true), want);
	ck_assert_uint_eq(file_crc("history.strobe"), crc);
}

static void put_super(unsigned i, uint32_t version, bool whole)
{
	struct ring_super s;
	int fd = open(path_of("history.strobe"), O_RDWR);

	ck_assert_int_eq(pread(fd, &s, sizeof(s), i * RING_UNIT), sizeof(s));
	s.version = version;
	s.crc = 0;
	s.crc = crc32c(0, &s, sizeof(s)) ^ !whole;
	ck_assert_int_eq(pwrite(fd, &s, sizeof(s), i * RING_UNIT), sizeof(s));
	close(fd);
}

START_TEST(other_versions_and_other_files_are_refused_and_left_alone)
{
	uint8_t junk[5000];
	struct ring *r;

	support_dir(dir);
	ring_close(open_ring(RING_SIZE_MIN));
	put_super(0, 2, true);
	put_super(1, 2, true);
	assert_left_alone(-EPROTONOSUPPORT, "another version");
	put_super(1, 1, true); /* the newer one was about to begin */
	assert_left_alone(-EPROTONOSUPPORT, "another version");
	put_super(0, 2, false);
	put_super(1, 3, false);
	assert_left_alone(-EPROTONOSUPPORT, "another version");
	put_super(0, 0, true);
	assert_left_alone(-EPROTONOSUPPORT, "another version");
	put_super(0, 1, false);
	put_super(1, 1, false);
	assert_left_alone(-EBADMSG, "no history of strobe");
	put_super(1, 1, true); /* one is enough */
	r = open_ring(RING_SIZE_MIN);
	ring_close(r);
	lab_fill(junk, sizeof(junk), 3);
	support_write(dir, "history.strobe", junk, sizeof(junk));
	assert_left_alone(-EBADMSG, "no history of strobe");
	support_write(dir, "history.strobe", "x", 1);
	assert_left_alone(-EBADMSG, "no history of strobe");
	support_write(dir, "history.strobe", "", 0); /* nothing is lost with it */
	ring_close(open_ring(RING_SIZE_MIN));
	ck_assert_int_eq(unlink(path_of("history.strobe")), 0);
	ck_assert_int_eq(symlink("/etc/passwd", path_of("history.strobe")), 0);
	ck_assert_int_eq(try_open(&r, dir, RING_SIZE_MIN, false), -ELOOP);
	support_rm(dir);
}
END_TEST

START_TEST(file_cut_short_gets_its_length_back_and_says_what_is_missing)
{
	struct lab l = {.log_no = 1, .catalog_no = 1, .len_max = 300000};
	struct lab_found f;

	support_dir(dir);
	l.r = open_ring(RING_SIZE_MIN);
	steps(&l, 300);
	ring_close(l.r);
	ck_assert_int_eq(truncate(path_of("history.strobe"), 9 * MIB + 77), 0);
	l.r = open_ring(RING_SIZE_MIN);
	ck_assert_msg(strstr(err, "cut short") != NULL, "%s", err);
	ck_assert_int_eq(size_of("history.strobe"), RING_SIZE_MIN);
	f = lab_read(l.r, 1, false);
	ck_assert_uint_gt(f.n, 3);
	ck_assert_uint_eq(l.r->next_seq > l.tag, 1); /* numbers are not given out again */
	l.len_max = 9000;
	steps(&l, 300);
	ring_close(l.r);
	l.r = open_ring(RING_SIZE_MIN);
	ck_assert_uint_eq(lab_read(l.r, 1, false).last_tag, l.tag);
	ring_close(l.r);
	support_rm(dir);
}
END_TEST

START_TEST(ring_of_another_size_keeps_the_newest)
{
	static const unsigned sizes[] = {24, 48, 16, 17, 16, 200, 16};
	struct lab l = {.log_no = 1, .catalog_no = 1, .len_max = 400000};
	uint64_t n_before = 0;

	support_dir(dir);
	for (unsigned i = 0; i < sizeof(sizes) / sizeof(*sizes); i++) {
		struct lab_found f;
		struct ring_stats st;

		l.r = open_ring((uint64_t)sizes[i] * MIB);
		ck_assert_int_eq(size_of("history.strobe"), (off_t)sizes[i] * MIB);
		ck_assert_int_eq(size_of("history.strobe.new"), -1);
		ck_assert_str_eq(err, "");
		f = lab_read(l.r, 1, true);
		ck_assert_uint_eq(f.last_tag, l.tag);
		ck_assert_uint_eq(f.sealed, l.sealed);
		ck_assert_uint_eq(f.to > f.sealed ? f.to : f.sealed, l.frame);
		ring_stats(l.r, &st);
		if (i && sizes[i] > sizes[i - 1])
			ck_assert_uint_eq(f.n, n_before);
		else if (i)
			ck_assert_uint_gt(st.used_bytes, st.size_bytes / 2);
		steps(&l, 700);
		n_before = lab_read(l.r, 1, true).n;
		ring_close(l.r);
	}
	support_rm(dir);
}
END_TEST

START_TEST(deleted_file_is_reported_and_goes_on)
{
	struct lab l = {.log_no = 1, .catalog_no = 1, .len_max = 9000};
	struct ring_stats st;

	support_dir(dir);
	l.r = open_ring(RING_SIZE_MIN);
	steps(&l, 50);
	support_rm(dir);
	ck_assert_int_eq(ring_sync(l.r), -ENOENT);
	ring_stats(l.r, &st);
	ck_assert_int_eq(st.error, -ENOENT);
	ck_assert_int_eq(lab_journal(&l), 0);
	ck_assert_int_eq(lab_seal(&l, l.frame), 0);
	ck_assert_uint_eq(lab_read(l.r, 1, true).last_tag, l.tag);
	ring_stats(l.r, &st);
	ck_assert_int_eq(st.error, -ENOENT);
	ring_close(l.r);
}
END_TEST

/* ---- death ---- */

struct ack {
	uint32_t kind, crc;
	uint64_t tag, frame, sealed;
};
enum { TAGS_MAX = 1 << 20 };

/* The child: goes on with the ring and tells what was acknowledged. */
static void write_until_killed(int out, uint64_t seed)
{
	struct lab l = {.log_no = 1, .rnd = seed, .len_max = seed % 3 ? 400000 : 9000};
	struct lab_found f;
	enum lab_did did;

	if (try_open(&l.r, dir, RING_SIZE_MIN, false) < 0)
		_exit(1);
	f = lab_read(l.r, 1, true);
	l.tag = f.last_tag;
	l.sealed = f.sealed;
	l.frame = f.to > f.sealed ? f.to : f.sealed;
	l.catalog_no = l.tag / 50;
	for (;;) {
		struct ack a;

		if (lab_step(&l, &did) < 0)
			_exit(1);
		a = (struct ack){did, l.crc, l.tag, l.frame, l.sealed};
		if (write(out, &a, sizeof(a)) != sizeof(a))
			_exit(1);
	}
}

struct witness { /* what was acknowledged so far */
	struct ack last;
	uint32_t *crc; /* by tag, 0: unknown */
	uint64_t n;
};

/* Takes acks until `deadline_ms` from the first one on, or the end of the pipe. */
static void take_acks(struct witness *w, int in, int for_ms)
{
	struct pollfd p = {.fd = in, .events = POLLIN};
	uint64_t end = 0;
	struct ack a;

	for (;;) {
		uint64_t now = clock_mono_us() / 1000;

		if (end && for_ms >= 0 && now >= end)
			return;
		poll(&p, 1, !end || for_ms < 0 ? 20000 : (int)(end - now));
		if (!(p.revents & (POLLIN | POLLHUP)))
			continue;
		if (read(in, &a, sizeof(a)) != sizeof(a))
			return;
		end = end ? end : now + (uint64_t)(for_ms < 0 ? 0 : for_ms);
		w->last = a;
		w->n++;
		FEEDER_CHECK(a.tag < TAGS_MAX);
		if (a.kind == LAB_BLOCK)
			w->crc[a.tag] = a.crc;
	}
}

/* Every block held is what was acknowledged (or the one thing more that was not told yet). */
static void check_blocks(struct ring *r, struct witness *w)
{
	struct ring_entry *list;
	size_t n;

	list = ring_list(r, &n);
	for (size_t i = 0; i < n; i++) {
		uint8_t *data = malloc(list[i].len);
		uint64_t tag = list[i].block.n_samples; /* see lab_head() */
		uint32_t crc;

		ck_assert_int_eq(ring_read(r, &list[i], data), 0);
		crc = crc32c(0, data, list[i].len);
		free(data);
		if (list[i].type != RING_BLOCK)
			continue;
		if (!w->crc[tag]) {
			ck_assert_uint_eq(tag, w->last.tag + 1);
			w->crc[tag] = crc;
		}
		ck_assert_uint_eq(crc, w->crc[tag]);
	}
	free(list);
}

static void check_after_kill(struct witness *w)
{
	struct ring *r = open_ring(RING_SIZE_MIN);
	struct lab_found f;
	uint64_t reach;

	ck_assert_str_eq(err, ""); /* nothing is damaged */
	f = lab_read(r, 1, true);
	reach = f.to > f.sealed ? f.to : f.sealed;
	ck_assert_uint_ge(f.last_tag, w->last.tag);
	ck_assert_uint_le(f.last_tag, w->last.tag + 1);
	ck_assert_uint_ge(f.sealed, w->last.sealed);
	ck_assert_uint_ge(reach, w->last.frame);
	ck_assert_uint_le(reach, w->last.frame + 1);
	ck_assert(!f.n_frames || (f.from <= f.sealed + 1 && f.from % LAB_STRETCH == 1));
	check_blocks(r, w);
	ring_close(r);
}

START_TEST(killed_writer_loses_nothing_that_was_acknowledged)
{
	unsigned kills = getenv("RING_LONG") ? 600 : 40;
	struct witness w = {.crc = calloc(TAGS_MAX, sizeof(*w.crc))};
	uint64_t rnd = (uint64_t)getpid();

	support_dir(dir);
	ring_close(open_ring(RING_SIZE_MIN));
	for (unsigned i = 0; i < kills; i++) {
		int ends[2], status;
		pid_t pid;

		ck_assert_int_eq(pipe(ends), 0);
		pid = fork();
		if (!pid) {
			close(ends[0]);
			write_until_killed(ends[1], feeder_random(&rnd) + i);
		}
		close(ends[1]);
		take_acks(&w, ends[0], (int)(feeder_random(&rnd) % 30));
		nanosleep(&(struct timespec){.tv_nsec = (long)(feeder_random(&rnd) % 1000000)},
			  NULL);
		kill(pid, SIGKILL);
		ck_assert_int_eq(waitpid(pid, &status, 0), pid);
		ck_assert(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL);
		take_acks(&w, ends[0], -1);
		close(ends[0]);
		check_after_kill(&w);
	}
	fprintf(stderr, "%u kills: %zu acknowledged, %zu blocks\n", kills, (size_t)w.n,
		(size_t)w.last.tag);
	ck_assert_uint_gt(w.n, kills * 10);
	free(w.crc);
	support_rm(dir);
}
END_TEST

int main(void)
{
	Suite *s = suite_create("ring_file");
	TCase *t = tcase_create("ring_file");
	SRunner *r;
	int failed;

	if (access("/dev/shm", W_OK) == 0)
		setenv("TMPDIR", "/dev/shm", 0);
	tcase_set_timeout(t, getenv("RING_LONG") ? 1200 : 120);
	tcase_add_test(t, ring_is_made_whole_and_closed_to_others);
	tcase_add_test(t, second_agent_is_refused_and_told_who_has_it);
	tcase_add_test(t, what_a_dead_maker_left_is_cleared_away);
	tcase_add_test(t, full_disk_is_an_error_with_figures_and_leaves_nothing);
	tcase_add_test(t, without_the_rights_it_says_so);
	tcase_add_test(t, other_versions_and_other_files_are_refused_and_left_alone);
	tcase_add_test(t, file_cut_short_gets_its_length_back_and_says_what_is_missing);
	tcase_add_test(t, ring_of_another_size_keeps_the_newest);
	tcase_add_test(t, deleted_file_is_reported_and_goes_on);
	tcase_add_test(t, killed_writer_loses_nothing_that_was_acknowledged);
	suite_add_tcase(s, t);
	r = srunner_create(s);
	srunner_run_all(r, CK_NORMAL);
	failed = srunner_ntests_failed(r);
	srunner_free(r);
	return failed ? 1 : 0;
}
