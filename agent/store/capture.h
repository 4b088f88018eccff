/*
 * A capture file: a range of one host, saved to be opened anywhere. A versioned container of typed
 * sections, each with a length and a crc32c, written front to back: a file cut short at any byte is
 * readable up to its last whole section.
 *
 * (The format is described here.)
 *
 * Sections: META (JSON: host, kernel, cpus, boot_id, log_id, rate, version, wall clock of the range),
 * CATALOG (payload of a CATALOG frame), BLOCK (a sealed block), FRAMES (log frames in order, from a KEY
 * on), END (totals; missing: the file was cut short). Unknown types are passed over.
 */
#ifndef STROBE_STORE_CAPTURE_H
#define STROBE_STORE_CAPTURE_H

#include <stddef.h>
#include <stdint.h>

enum capture_type {
	CAPTURE_META = 1,
	CAPTURE_CATALOG,
	CAPTURE_BLOCK,
	CAPTURE_FRAMES,
	CAPTURE_END
};

struct capture_writer {
	int (*write)(void *arg, const void *data, size_t len); /* 0 or -errno */
	void *arg;
	uint64_t bytes, sections;
};
int capture_begin(struct capture_writer *);
int capture_section(struct capture_writer *, enum capture_type, const void *data, size_t len);
int capture_end(struct capture_writer *);

struct capture_reader;
/* 0; -EBADMSG (no capture), -EPROTONOSUPPORT (a newer format), -errno, with a sentence in err. */
int capture_open(struct capture_reader **ret, const char *path, char *err, size_t err_len);
/* 1: the next section, valid until the next call; 0: the end (*whole: END was there); -EBADMSG: damaged
 * here, nothing further can be trusted. */
int capture_next(struct capture_reader *, enum capture_type *type, const uint8_t **data, size_t *len);
int capture_is_whole(const struct capture_reader *); /* after capture_next() said 0 */
void capture_close(struct capture_reader *);

#endif
