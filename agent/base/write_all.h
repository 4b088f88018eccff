/* Writing to a pipe, a terminal or a file, which take what they like of it at a time. */
#ifndef STROBE_BASE_WRITE_ALL_H
#define STROBE_BASE_WRITE_ALL_H

#include <errno.h>
#include <stdint.h>
#include <unistd.h>

/* 0 or -errno: then some of it may be written. */
static inline int write_all(int fd, const void *data, size_t len)
{
	const uint8_t *p = data;

	while (len) {
		ssize_t n = write(fd, p, len);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return -errno;
		p += n;
		len -= (size_t)n;
	}
	return 0;
}

#endif
