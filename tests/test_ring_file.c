/* The ring's file: its making, its lock, rights, other sizes and versions. */
#include "ring_test.h"

#include <sched.h>
#include <sys/mount.h>
#include <sys/wait.h>

enum { MIB = 1 << 20 };

static const char *path_of(const char *name)
{
	static char path[128];

	snprintf(path, sizeof(path), "%s/%s", ring_dir, name);
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

	support_dir(ring_dir);
	snprintf(deep, sizeof(deep), "%s/a/b", ring_dir);
	ck_assert_int_eq(try_open(&r, deep, RING_SIZE_MIN + 100, false), 0);
	ck_assert_str_eq(ring_err, "");
	ring_close(r);
	ck_assert_int_eq(stat(deep, &st), 0);
	ck_assert_uint_eq(st.st_mode & 07777, 0700);
	ck_assert_int_eq(stat(path_of("a/b/history.strobe"), &st), 0);
	ck_assert_uint_eq(st.st_mode & 07777, 0600);
	ck_assert_int_eq(st.st_size, RING_SIZE_MIN);
	ck_assert_int_ge((uint64_t)st.st_blocks * 512, RING_SIZE_MIN); /* preallocated */
	ck_assert_int_eq(size_of("a/b/history.strobe.new"), -1);
	ck_assert_int_eq(try_open(&r, ring_dir, RING_SIZE_MIN - 1, false), -EINVAL);
	ck_assert_ptr_nonnull(strstr(ring_err, "16 MiB"));
	support_rm(ring_dir);
}
END_TEST

START_TEST(second_agent_is_refused_and_told_who_has_it)
{
	struct lab l = {.log_no = 1, .catalog_no = 1, .len_max = 9000};
	struct ring *other = NULL;
	char pid[40];
	int status;

	support_dir(ring_dir);
	l.r = open_ring(RING_SIZE_MIN);
	steps(&l, 50);
	ck_assert_int_eq(try_open(&other, ring_dir, RING_SIZE_MIN, false), -EBUSY);
	ck_assert_ptr_null(other);
	snprintf(pid, sizeof(pid), "(pid %d)", (int)getpid());
	ck_assert_msg(strstr(ring_err, pid) != NULL, "%s", ring_err);
	if (fork() == 0) { /* nor is one of another size, in another process */
		_exit(try_open(&other, ring_dir, 2 * RING_SIZE_MIN, false) == -EBUSY ? 7 : 0);
	}
	wait(&status);
	ck_assert_int_eq(WEXITSTATUS(status), 7);
	ck_assert_int_eq(try_open(&other, ring_dir, 0, true), 0); /* reading is free */
	lab_read(other, 1, true);
	steps(&l, 500);
	lab_read(other, 1, false);
	ring_close(other);
	lab_read(l.r, 1, true);
	ring_close(l.r);
	ring_close(open_ring(RING_SIZE_MIN));
	support_rm(ring_dir);
}
END_TEST

START_TEST(what_a_dead_maker_left_is_cleared_away)
{
	support_dir(ring_dir);
	support_write(ring_dir, "history.strobe.new", "half", 4);
	ck_assert_int_eq(chmod(path_of("history.strobe.new"), 0600), 0);
	ring_close(open_ring(RING_SIZE_MIN));
	ck_assert_int_eq(size_of("history.strobe.new"), -1);
	support_rm(ring_dir);
}
END_TEST

START_TEST(full_disk_is_an_error_with_figures_and_leaves_nothing)
{
	struct ring *r = NULL;
	struct lab l = {.log_no = 1, .catalog_no = 1, .len_max = 9000};

	support_dir(ring_dir);
	if (unshare(CLONE_NEWNS) < 0 || mount("none", "/", NULL, MS_REC | MS_PRIVATE, NULL) < 0 ||
	    mount("tmpfs", ring_dir, "tmpfs", 0, "size=40m") < 0) {
		fprintf(stderr, "no right to mount a small tmpfs: a full one is not tested\n");
		support_rm(ring_dir);
		return;
	}
	ck_assert_int_eq(try_open(&r, ring_dir, 64 * MIB, false), -ENOSPC);
	ck_assert_msg(strstr(ring_err, "64 MiB") && strstr(ring_err, "40 MiB are free"), "%s",
		      ring_err);
	ck_assert_int_eq(size_of("history.strobe"), -1);
	ck_assert_int_eq(size_of("history.strobe.new"), -1);
	l.r = open_ring(20 * MIB);
	steps(&l, 300);
	ring_close(l.r);
	/* one of another size does not fit beside it: the old one stays */
	ck_assert_int_eq(try_open(&r, ring_dir, 30 * MIB, false), -ENOSPC);
	ck_assert_ptr_nonnull(strstr(ring_err, "20 MiB are free"));
	ck_assert_int_eq(size_of("history.strobe.new"), -1);
	l.r = open_ring(20 * MIB);
	ck_assert_uint_eq(lab_read(l.r, 1, true).last_tag, l.tag);
	ring_close(l.r);
	ck_assert_int_eq(mount("none", ring_dir, NULL, MS_REMOUNT | MS_RDONLY, NULL), 0);
	ck_assert_int_eq(try_open(&r, ring_dir, 20 * MIB, false), -EROFS);
	ck_assert_ptr_nonnull(strstr(ring_err, "Read-only"));
	ck_assert_int_eq(try_open(&r, ring_dir, 0, true), 0);
	ck_assert_uint_eq(lab_read(r, 1, true).last_tag, l.tag);
	ring_close(r);
	ck_assert_int_eq(umount(ring_dir), 0);
	support_rm(ring_dir);
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
		e = try_open(&r, ring_dir, RING_SIZE_MIN, read_only);
		_exit(e < 0 && !ring_err[0] ? 201 : -e);
	}
	wait(&status);
	return WEXITSTATUS(status);
}

START_TEST(without_the_rights_it_says_so)
{
	if (geteuid() != 0)
		return;
	support_dir(ring_dir);
	ck_assert_int_eq(chmod(ring_dir, 0755), 0);
	ck_assert_int_eq(open_as_nobody(false), EACCES); /* cannot make one */
	ring_close(open_ring(RING_SIZE_MIN));
	ck_assert_int_eq(open_as_nobody(false), EACCES);
	ck_assert_int_eq(open_as_nobody(true), EACCES);
	ck_assert_int_eq(chmod(path_of("history.strobe"), 0666), 0);
	ck_assert_int_eq(open_as_nobody(false), EACCES); /* another user's */
	ck_assert_int_eq(chmod(ring_dir, 0700), 0);
	ck_assert_int_eq(open_as_nobody(false), EACCES);
	ring_close(open_ring(RING_SIZE_MIN));
	support_rm(ring_dir);
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

	ck_assert_int_eq(try_open(&r, ring_dir, RING_SIZE_MIN, false), want);
	ck_assert_msg(strstr(ring_err, word) != NULL, "%s", ring_err);
	ck_assert_int_eq(try_open(&r, ring_dir, 2 * RING_SIZE_MIN, false), want);
	ck_assert_int_eq(try_open(&r, ring_dir, 0, true), want);
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

	support_dir(ring_dir);
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
	support_write(ring_dir, "history.strobe", junk, sizeof(junk));
	assert_left_alone(-EBADMSG, "no history of strobe");
	support_write(ring_dir, "history.strobe", "x", 1);
	assert_left_alone(-EBADMSG, "no history of strobe");
	support_write(ring_dir, "history.strobe", "", 0); /* nothing is lost with it */
	ring_close(open_ring(RING_SIZE_MIN));
	ck_assert_int_eq(unlink(path_of("history.strobe")), 0);
	ck_assert_int_eq(symlink("/etc/passwd", path_of("history.strobe")), 0);
	ck_assert_int_eq(try_open(&r, ring_dir, RING_SIZE_MIN, false), -ELOOP);
	support_rm(ring_dir);
}
END_TEST

START_TEST(file_cut_short_gets_its_length_back_and_says_what_is_missing)
{
	struct lab l = {.log_no = 1, .catalog_no = 1, .len_max = 300000};
	struct lab_found f;

	support_dir(ring_dir);
	l.r = open_ring(RING_SIZE_MIN);
	steps(&l, 300);
	ring_close(l.r);
	ck_assert_int_eq(truncate(path_of("history.strobe"), 9 * MIB + 77), 0);
	l.r = open_ring(RING_SIZE_MIN);
	ck_assert_msg(strstr(ring_err, "cut short") != NULL, "%s", ring_err);
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
	support_rm(ring_dir);
}
END_TEST

START_TEST(ring_of_another_size_keeps_the_newest)
{
	static const unsigned sizes[] = {24, 48, 16, 17, 16, 200, 16};
	struct lab l = {.log_no = 1, .catalog_no = 1, .len_max = 400000};
	uint64_t n_before = 0;

	support_dir(ring_dir);
	for (unsigned i = 0; i < sizeof(sizes) / sizeof(*sizes); i++) {
		struct lab_found f;
		struct ring_stats st;

		l.r = open_ring((uint64_t)sizes[i] * MIB);
		ck_assert_int_eq(size_of("history.strobe"), (off_t)sizes[i] * MIB);
		ck_assert_int_eq(size_of("history.strobe.new"), -1);
		ck_assert_str_eq(ring_err, "");
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
	support_rm(ring_dir);
}
END_TEST

START_TEST(deleted_file_is_reported_and_goes_on)
{
	struct lab l = {.log_no = 1, .catalog_no = 1, .len_max = 9000};
	struct ring_stats st;

	support_dir(ring_dir);
	l.r = open_ring(RING_SIZE_MIN);
	steps(&l, 50);
	support_rm(ring_dir);
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

int main(void)
{
	const TTest *const tests[] = {
		ring_is_made_whole_and_closed_to_others,
		second_agent_is_refused_and_told_who_has_it,
		what_a_dead_maker_left_is_cleared_away,
		full_disk_is_an_error_with_figures_and_leaves_nothing,
		without_the_rights_it_says_so,
		other_versions_and_other_files_are_refused_and_left_alone,
		file_cut_short_gets_its_length_back_and_says_what_is_missing,
		ring_of_another_size_keeps_the_newest,
		deleted_file_is_reported_and_goes_on,
	};

	if (access("/dev/shm", W_OK) == 0)
		setenv("TMPDIR", "/dev/shm", 0);
	return lab_run("ring_file", tests, sizeof(tests) / sizeof(*tests));
}
