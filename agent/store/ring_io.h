/*
 * What the ring asks of the thing it is kept on, as a table: a file, or in tests a device that loses
 * power and breaks.
 */
#ifndef STROBE_STORE_RING_IO_H
#define STROBE_STORE_RING_IO_H

#include <stddef.h>
#include <stdint.h>

struct ring_io;
struct ring_io_ops {
	/* Whole or -errno; -ENODATA: past the end. Any thread. */
	int (*read)(const struct ring_io *, void *to, size_t len, uint64_t at);
	/* Whole or -errno (then any part of it may be there). */
	int (*write)(const struct ring_io *, const void *from, size_t len, uint64_t at);
	/* All that was written before is durable. -ENOENT: it is, but the file was deleted. */
	int (*sync)(const struct ring_io *);
	/* The first offset from `at` on that may hold anything but zeros; UINT64_MAX: none. */
	uint64_t (*next_data)(const struct ring_io *, uint64_t at);
	/* The page at `at` will be read soon. */
	void (*expect)(const struct ring_io *, uint64_t at);
	void (*close)(const struct ring_io *);
};
struct ring_io {
	const struct ring_io_ops *ops;
	int fd;	   /* of ring_io_file */
	void *arg; /* of others */
};

extern const struct ring_io_ops ring_io_file;

#endif
