/* The open epoch's crash log on a disk as well: what is new of it, once in a while. */
#include <errno.h>
#include <fcntl.h>
#include <unistd.h>

#include "base/clock.h"
#include "profile/profiles_internal.h"

static const char name[] = "open.log";

void log_copy_open(struct log_copy *c, const char *dir)
{
	*c = (struct log_copy){.dir_fd = -1, .fd = -1};
	if (dir)
		c->dir_fd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
}

void log_copy_close(struct log_copy *c)
{
	if (c->fd >= 0)
		close(c->fd);
	if (c->dir_fd >= 0)
		close(c->dir_fd);
	*c = (struct log_copy){.dir_fd = -1, .fd = -1};
}

void log_copy_remove(struct log_copy *c)
{
	if (c->dir_fd >= 0)
		unlinkat(c->dir_fd, name, 0);
}

int log_copy_load(struct log_copy *c, struct stacks **ret, bool *damaged)
{
	int fd, r;

	*damaged = false;
	if (c->dir_fd < 0)
		return -ENOENT;
	fd = openat(c->dir_fd, name, O_RDONLY | O_NOFOLLOW | O_CLOEXEC);
	if (fd < 0)
		return -errno;
	r = crash_log_read(fd, ret, damaged);
	close(fd);
	return r;
}

/* Empty, for that epoch: the one that was in it is in the ring. */
static int begin(struct log_copy *c, uint64_t number)
{
	if (c->fd < 0)
		c->fd = openat(c->dir_fd, name, O_WRONLY | O_CREAT | O_NOFOLLOW | O_CLOEXEC, 0600);
	if (c->fd < 0 || ftruncate(c->fd, 0) < 0)
		return -errno;
	c->len = 0;
	c->number = number;
	return 0;
}

static int copy(struct log_copy *c, int from, uint64_t len)
{
	char buf[32768];

	while (c->len < len) {
		uint64_t left = len - c->len;
		ssize_t n =
			pread(from, buf, left < sizeof(buf) ? left : sizeof(buf), (off_t)c->len);

		if (n > 0)
			n = pwrite(c->fd, buf, (size_t)n, (off_t)c->len);
		if (n <= 0)
			return n < 0 ? -errno : -ENOSPC;
		c->len += (uint64_t)n;
	}
	return fdatasync(c->fd) < 0 ? -errno : 0;
}

int log_copy_step(struct profiles *p)
{
	struct log_copy *c = &p->copy;
	uint64_t len, number, now_us;
	int from = -1, r = 0;

	if (c->dir_fd < 0)
		return 0;
	now_us = clock_mono_us();
	if (now_us < c->next_us)
		return c->error;
	c->next_us = now_us + (p->c.copy_us ? p->c.copy_us : PROFILES_COPY_US);
	pthread_mutex_lock(&p->open_lock);
	if (p->log.fd >= 0)
		from = fcntl(p->log.fd, F_DUPFD_CLOEXEC, 0); /* a file that only grows */
	len = p->log.len;
	number = p->open_number;
	pthread_mutex_unlock(&p->open_lock);
	if (from < 0)
		return 0;
	if (c->number != number)
		r = begin(c, number);
	if (r >= 0)
		r = copy(c, from, len);
	close(from);
	c->error = r;
	return r;
}
