/* The ring's file: its folder, its lock, and its making, whole or not at all. */
#include "store/ring_internal.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include "base/cleanup.h"

static const char NAME[] = "history.strobe", NEW_NAME[] = "history.strobe.new";

/* Where it is and what it is to be. */
struct place {
	const char *dir;
	int dir_fd;
	uint64_t size;
	char *err;
	size_t err_len;
};

#define SAY(p, ...) snprintf((p)->err, (p)->err_len, __VA_ARGS__)

/* ---- the folder ---- */

static int make_dirs(const char *dir)
{
	char path[4096];

	if (snprintf(path, sizeof(path), "%s", dir) >= (int)sizeof(path))
		return -ENAMETOOLONG;
	for (char *p = path + 1; (p = strchr(p, '/')); p++) {
		*p = 0;
		if (mkdir(path, 0700) < 0 && errno != EEXIST && errno != EROFS && errno != EACCES)
			return -errno;
		*p = '/';
	}
	return mkdir(path, 0700) < 0 && errno != EEXIST ? -errno : 0;
}

static int open_dir(struct place *p, bool read_only)
{
	int r = 0;

	p->dir_fd = open(p->dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (p->dir_fd < 0 && errno == ENOENT && !read_only) {
		r = make_dirs(p->dir);
		if (r >= 0)
			p->dir_fd = open(p->dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	}
	if (p->dir_fd >= 0)
		return 0;
	r = r < 0 ? r : -errno;
	SAY(p, "cannot use %s for history: %s", p->dir, strerror(-r));
	return r;
}

/* ---- the lock ---- */

static int say_busy(struct place *p, int fd)
{
	const struct ring_io io = {.ops = &ring_io_file, .fd = fd};
	struct ring_super s;

	if (ring_super_read(&io, &s) == 0 && s.pid && s.pid <= INT32_MAX &&
	    kill((pid_t)s.pid, 0) == 0)
		SAY(p,
		    "another strobe agent (pid %d) keeps its history in %s: stop it, or give this "
		    "one a folder of its own",
		    (int)s.pid, p->dir);
	else
		SAY(p,
		    "another strobe agent keeps its history in %s: stop it, or give this one a "
		    "folder of its own",
		    p->dir);
	return -EBUSY;
}

static int lock_file(struct place *p, const char *name, int fd)
{
	struct stat st, named;
	int r;

	if (fstat(fd, &st) < 0)
		return -errno;
	if (!S_ISREG(st.st_mode) || st.st_uid != geteuid()) {
		SAY(p, "%s/%s is not a file of this user: move it away, or choose another folder",
		    p->dir, name);
		return -EACCES;
	}
	if (flock(fd, LOCK_EX | LOCK_NB) < 0) {
		r = errno == EWOULDBLOCK ? say_busy(p, fd) : -errno;
		if (r != -EBUSY)
			SAY(p, "cannot lock %s/%s: %s", p->dir, name, strerror(-r));
		return r;
	}
	/* Its name may have gone to another file in between. */
	if (fstatat(p->dir_fd, name, &named, AT_SYMLINK_NOFOLLOW) < 0 ||
	    named.st_ino != st.st_ino || named.st_dev != st.st_dev)
		return -EAGAIN;
	if ((st.st_mode & 07777) != 0600 && fchmod(fd, 0600) < 0)
		return -errno;
	return 0;
}

/* ---- making one ---- */

static int say_full(struct place *p, uint64_t free_bytes)
{
	SAY(p,
	    "no room for a history of %llu MiB in %s, where %llu MiB are free: free some or set a "
	    "smaller --history-size",
	    (unsigned long long)(p->size >> 20), p->dir, (unsigned long long)(free_bytes >> 20));
	return -ENOSPC;
}

static int allocate(struct place *p, int fd)
{
	struct statvfs v;
	struct stat st;
	uint64_t free_bytes = UINT64_MAX;
	int r;

	if (fstatvfs(fd, &v) == 0 &&
	    fstat(fd, &st) == 0) { /* rather than filling the disk to see */
		free_bytes = (uint64_t)v.f_bavail * v.f_frsize;
		if (v.f_blocks && free_bytes + (uint64_t)st.st_blocks * 512 < p->size)
			return say_full(p, free_bytes);
	}
	do
		r = -posix_fallocate(fd, 0, (off_t)p->size);
	while (r == -EINTR);
	if (r == -EOPNOTSUPP || r == -EINVAL) /* then a full disk shows when it is written */
		r = ftruncate(fd, (off_t)p->size) < 0 ? -errno : 0;
	if (r == -ENOSPC || r == -EFBIG || r == -EDQUOT)
		return say_full(p, free_bytes);
	if (r < 0)
		SAY(p, "cannot make a history in %s: %s", p->dir, strerror(-r));
	return r;
}

/* Opens NEW_NAME, empty and locked. One that a dead process left is removed. An fd or -errno. */
static int open_new(struct place *p)
{
	for (unsigned tries = 0; tries < 3; tries++) {
		_cleanup_close_ int fd =
			openat(p->dir_fd, NEW_NAME,
			       O_RDWR | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
		bool made = fd >= 0;
		int r;

		if (!made && errno == EEXIST)
			fd = openat(p->dir_fd, NEW_NAME, O_RDWR | O_NOFOLLOW | O_CLOEXEC);
		if (fd < 0 && errno == ENOENT)
			continue;
		if (fd < 0) {
			r = -errno;
			SAY(p, "cannot make a history in %s: %s", p->dir, strerror(-r));
			return r;
		}
		r = lock_file(p, NEW_NAME, fd);
		if (r == 0 && made)
			return TAKE_FD(fd);
		if (r < 0 && r != -EAGAIN)
			return r;
		if (r == 0)
			unlinkat(p->dir_fd, NEW_NAME, 0);
	}
	return say_busy(p, -1);
}

/* Makes a ring under NEW_NAME. An fd or -errno. */
static int make_new(struct place *p)
{
	_cleanup_close_ int fd = open_new(p);
	struct ring_io io;
	int r;

	if (fd < 0)
		return fd;
	io = (struct ring_io){.ops = &ring_io_file, .fd = fd};
	r = allocate(p, fd);
	if (r >= 0) {
		r = ring_format(&io, p->size);
		if (r >= 0 && fsync(fd) < 0)
			r = -errno;
		if (r < 0)
			SAY(p, "cannot write a history in %s: %s", p->dir, strerror(-r));
	}
	if (r < 0) {
		unlinkat(p->dir_fd, NEW_NAME, 0);
		return r;
	}
	return TAKE_FD(fd);
}

/* Gives it its name; -EAGAIN: another process was faster (when there should be none yet). */
static int settle(struct place *p, bool replace)
{
	int r = 0;

	if (!replace && linkat(p->dir_fd, NEW_NAME, p->dir_fd, NAME, 0) == 0)
		unlinkat(p->dir_fd, NEW_NAME, 0);
	else if (!replace && errno == EEXIST)
		r = -EAGAIN;
	else if (renameat(p->dir_fd, NEW_NAME, p->dir_fd, NAME) < 0)
		r = -errno;
	if (r >= 0 && fsync(p->dir_fd) < 0 && errno != EINVAL)
		r = -errno;
	if (r < 0) {
		if (r != -EAGAIN)
			SAY(p, "cannot name the history in %s: %s", p->dir, strerror(-r));
		unlinkat(p->dir_fd, NEW_NAME, 0);
	}
	return r;
}

static int open_fd(struct place *p, struct ring **ret, int fd, bool read_only)
{
	const struct ring_io io = {.ops = &ring_io_file, .fd = fd};
	char why[160] = "";
	int r = ring_open_io(ret, &io, read_only, why, sizeof(why));

	if (r == -EPROTONOSUPPORT || r == -EBADMSG)
		SAY(p, "%s/%s is left as it is: %s; move it away, or choose another folder", p->dir,
		    NAME, why);
	else if (*why)
		SAY(p, "%s/%s: %s", p->dir, NAME, why);
	return r;
}

static int create(struct place *p, struct ring **ret)
{
	_cleanup_close_ int fd = make_new(p);
	int r = fd < 0 ? fd : settle(p, false);

	if (r >= 0)
		r = open_fd(p, ret, fd, false);
	if (r >= 0)
		fd = -1;
	return r;
}

/* ---- another size ---- */

static int copy_catalog(struct ring *from, const struct ring_entry *list, size_t n, uint32_t crc,
			struct ring *to)
{
	for (size_t i = 0; i < n; i++) {
		uint8_t *data;
		int r;

		if (list[i].type != RING_CATALOG || list[i].catalog_crc != crc)
			continue;
		data = malloc(list[i].len);
		if (!data)
			return -ENOMEM;
		r = ring_read(from, &list[i], data);
		if (r >= 0)
			r = ring_append_head(to, RING_CATALOG,
					     &(struct block_head){.catalog_crc = crc}, data,
					     list[i].len);
		free(data);
		if (r != -EBADMSG)
			return r;
	}
	return -EBADMSG; /* without it its blocks cannot be read either */
}

static int copy_record(struct ring *from, const struct ring_entry *list, size_t n, size_t i,
		       struct ring *to)
{
	const struct ring_entry *e = &list[i];
	struct block_head head = {0};
	uint8_t *data;
	int r;

	if (e->type == RING_CATALOG)
		return 0;
	if (e->type == RING_PROFILE) {
		head.from_us = (uint64_t)e->profile.from_us;
		head.to_us = (uint64_t)e->profile.to_us;
	} else {
		head = e->block;
	}
	data = malloc(e->len);
	if (!data)
		return -ENOMEM;
	r = ring_read(from, e, data);
	if (r >= 0)
		r = ring_append_head(to, e->type, &head, data, e->len);
	if (r == -ENOENT) {
		r = copy_catalog(from, list, n, e->block.catalog_crc, to);
		if (r >= 0)
			r = ring_append_head(to, e->type, &head, data, e->len);
	}
	free(data);
	return r == -EBADMSG || r == -ENOSPC ? 0 : r; /* left out: damaged, or too large now */
}

static int copy_frame(void *arg, const uint8_t log_id[LOG_ID_LEN], const struct frame *f)
{
	return ring_journal(arg, log_id, f);
}

static int copy_all(struct ring *from, struct ring *to)
{
	uint64_t room = to->super.records_size;
	struct ring_entry *list;
	size_t n = 0, first;
	int r = 0;

	list = ring_list(from, &n);
	if (!list)
		return -ENOMEM;
	for (first = n; first > 0 && ring_record_size(list[first - 1].len) <= room; first--)
		room -= ring_record_size(list[first - 1].len);
	to->next_seq = first < n ? list[first].seq : from->next_seq;
	for (size_t i = first; r >= 0 && i < n; i++)
		r = copy_record(from, list, n, i, to);
	free(list);
	if (r >= 0)
		r = ring_journal_each(from, copy_frame, to);
	return r == -ENOSPC ? 0 : r; /* the journal of a smaller ring is smaller */
}

static int resize(struct place *p, struct ring **ring)
{
	_cleanup_close_ int fd = make_new(p);
	struct ring *to = NULL;
	int r = fd < 0 ? fd : open_fd(p, &to, fd, false);

	if (r >= 0) {
		fd = -1;
		to->unordered = true;
		r = copy_all(*ring, to);
		if (r >= 0)
			r = ring_flush(to);
		if (r >= 0)
			r = ring_super_write(to);
		if (r >= 0)
			r = ring_flush(to);
		if (r < 0)
			SAY(p, "cannot copy the history in %s to its new size: %s", p->dir,
			    strerror(-r));
		to->unordered = false;
		to->found_head = to->journal_head;
	}
	if (r >= 0)
		r = settle(p, true);
	else if (to)
		unlinkat(p->dir_fd, NEW_NAME, 0);
	if (r < 0) {
		ring_close(to);
		return r;
	}
	ring_close(*ring);
	*ring = to;
	return 0;
}

/* ---- opening ---- */

/* A file cut short gets its length back; what was cut off is missing. 1: it was; 0; -errno. */
static int restore_length(struct place *p, int fd)
{
	const struct ring_io io = {.ops = &ring_io_file, .fd = fd};
	struct ring_super s;
	struct stat st;
	int r;

	if (ring_super_read(&io, &s) < 0 || fstat(fd, &st) < 0 || (uint64_t)st.st_size >= s.size)
		return 0;
	p->size = s.size;
	r = allocate(p, fd);
	return r < 0 ? r : 1;
}

static int open_existing(struct place *p, struct ring **ret, bool read_only)
{
	_cleanup_close_ int fd =
		openat(p->dir_fd, NAME, (read_only ? O_RDONLY : O_RDWR) | O_NOFOLLOW | O_CLOEXEC);
	uint64_t size = p->size;
	struct stat st;
	int r, cut;

	if (fd < 0) {
		r = -errno;
		if (r != -ENOENT || read_only)
			SAY(p, "cannot open %s/%s: %s", p->dir, NAME, strerror(-r));
		return r;
	}
	r = read_only ? 0 : lock_file(p, NAME, fd);
	if (r < 0)
		return r;
	if (!read_only && fstat(fd, &st) == 0 && st.st_size == 0) {
		unlinkat(p->dir_fd, NAME, 0); /* nothing was in it */
		return -ENOENT;
	}
	r = cut = read_only ? 0 : restore_length(p, fd);
	p->size = size;
	if (r >= 0)
		r = open_fd(p, ret, fd, read_only);
	if (r < 0)
		return r;
	fd = -1;
	if (cut) {
		(*ret)->stats.damaged++;
		SAY(p, "%s/%s was cut short: what is missing was left out", p->dir, NAME);
	}
	if (!read_only && (*ret)->super.size != p->size) {
		r = resize(p, ret);
		if (r < 0)
			ring_close(*ret);
	}
	return r;
}

int ring_open(struct ring **ret, const struct ring_config *c, char *err, size_t err_len)
{
	struct place p = {.dir = c->dir, .err = err, .err_len = err_len, .dir_fd = -1};
	struct ring *ring = NULL;
	int r;

	SAY(&p, "%s", "");
	p.size = c->size_bytes / RING_UNIT * RING_UNIT;
	if (!c->read_only && p.size < RING_SIZE_MIN) {
		SAY(&p, "a history of %llu KiB is too small: at least %d MiB",
		    (unsigned long long)(p.size >> 10), RING_SIZE_MIN >> 20);
		return -EINVAL;
	}
	r = open_dir(&p, c->read_only);
	for (unsigned tries = 0; r >= 0 && tries < 5; tries++) {
		r = open_existing(&p, &ring, c->read_only);
		if (r == -ENOENT && !c->read_only)
			r = create(&p, &ring);
		if (r != -EAGAIN)
			break;
		r = 0;
	}
	if (r >= 0 && !ring)
		r = say_busy(&p, -1);
	if (r < 0 && !*err)
		SAY(&p, "cannot open the history in %s: %s", p.dir, strerror(-r));
	if (p.dir_fd >= 0)
		close(p.dir_fd);
	if (r < 0)
		return r;
	*ret = ring;
	return 0;
}
