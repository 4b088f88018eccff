#include "store/ring_io.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

static int file_read(const struct ring_io *io, void *to, size_t len, uint64_t at)
{
	uint8_t *p = to;

	while (len) {
		ssize_t n = pread(io->fd, p, len, (off_t)at);

		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			return n < 0 ? -errno : -ENODATA;
		p += n;
		at += (uint64_t)n;
		len -= (size_t)n;
	}
	return 0;
}

static int file_write(const struct ring_io *io, const void *from, size_t len, uint64_t at)
{
	const uint8_t *p = from;

	while (len) {
		ssize_t n = pwrite(io->fd, p, len, (off_t)at);

		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			return n < 0 ? -errno : -EIO;
		p += n;
		at += (uint64_t)n;
		len -= (size_t)n;
	}
	return 0;
}

static int file_sync(const struct ring_io *io)
{
	struct stat st;
	int r;

	do
		r = fdatasync(io->fd) < 0 ? -errno : 0;
	while (r == -EINTR);
	if (r < 0)
		return r;
	return fstat(io->fd, &st) == 0 && st.st_nlink == 0 ? -ENOENT : 0;
}

static uint64_t file_next_data(const struct ring_io *io, uint64_t at)
{
	off_t r = lseek(io->fd, (off_t)at, SEEK_DATA);

	if (r < 0)
		return errno == ENXIO ? UINT64_MAX : at; /* not every file system can tell */
	return (uint64_t)r;
}

static void file_expect(const struct ring_io *io, uint64_t at)
{
	posix_fadvise(io->fd, (off_t)at, 4096, POSIX_FADV_WILLNEED);
}

static void file_close(const struct ring_io *io)
{
	close(io->fd);
}

const struct ring_io_ops ring_io_file = {
	.read = file_read,
	.write = file_write,
	.sync = file_sync,
	.next_data = file_next_data,
	.expect = file_expect,
	.close = file_close,
};
