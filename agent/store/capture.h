/*
 * A capture file: a range of one host, saved to be opened anywhere. A versioned container of typed
 * sections, each with a length and a crc32c, written front to back: a file cut short at any byte is
 * readable up to its last whole section.
 *
 * All integers are little endian. A file is
 *
 *	8 bytes "strobecp", u32 version, u32 crc32c of the 12 bytes before
 *	sections, each: u32 type, u32 flags, u32 stored, u32 plain, u32 crc32c of the payload, u32
 *	crc32c of the 20 bytes before, then `stored` bytes of payload
 *
 * Both crcs of section n (0, 1, ...) are seeded with n + 1, so that one that was moved, doubled or
 * left out is found. Flag 1: the payload is a zstd frame of `plain` bytes; without it stored and
 * plain are the same. A section has at most CAPTURE_SECTION_MAX plain bytes. What a later version
 * adds are types and flags, which are passed over; a file whose known sections mean something else
 * has another version, which is refused. The first 16 bytes stay as they are.
 *
 * Sections
 *	META     JSON: host, machine_id, kernel, n_cpus, mem_total_bytes, boot_id, log_id, rate_hz,
 *	         started_us, from_us, to_us, version ... (serve/capture_meta.h); a later one replaces it
 *	CATALOG  payload of a CATALOG frame: blocks that name it by crc32c follow
 *	BLOCK    a sealed block (block.h); those of a file do not overlap and are older than its FRAMES.
 *	         Before them, rollups (rollup.h) for what was not held in full any more
 *	FRAMES   u64 seq of the first, then per frame: v length, payload as in the log (frame.h). Seqs
 *	         follow each other, also from section to section; where they jump, frames are lost and
 *	         nothing is known until the next KEY. With bit 63 in seq: CATALOG, CLOCK, ATTRs and KEY
 *	         that make the state before frame `seq`. seq 0: EVENTs of whoever recorded
 *	PROFILE  sampled stacks of a stretch (type 6; stacks/epoch.h); those of a file do not overlap
 *	END      u64 sections, u64 bytes before it. Nothing follows. Missing: the file was cut short
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
	CAPTURE_END,
	CAPTURE_PROFILE
};
enum { CAPTURE_VERSION = 1, CAPTURE_SECTION_MAX = 16 << 20, CAPTURE_HEAD = 16 };

struct capture_writer {
	int (*write)(void *arg, const void *data, size_t len); /* 0 or -errno */
	void *arg;
	uint64_t bytes, sections; /* of whole sections written: a file may be cut there */
};
int capture_begin(struct capture_writer *);
/* Compressed where that is shorter. 0; -EMSGSIZE; -ENOMEM; what write() returned. */
int capture_section(struct capture_writer *, enum capture_type, const void *data, size_t len);
int capture_end(struct capture_writer *);

struct capture_reader;
/* 0; -EBADMSG (no capture), -EPROTONOSUPPORT (a newer format), -errno, with a sentence in err. */
int capture_open(struct capture_reader **ret, const char *path, char *err, size_t err_len);
/* The same from anywhere: read() gives 1 to len bytes, 0 at the end, or -errno. */
int capture_open_read(struct capture_reader **ret, int (*read)(void *arg, void *to, size_t len),
		      void *arg, char *err, size_t err_len);
/* 1: the next section, valid until the next call; 0: the end; -EBADMSG: a section is damaged and
 * left out, call again for what follows (0 when the damage hides where that begins); -errno of
 * read(), then 0. */
int capture_next(struct capture_reader *, enum capture_type *type, const uint8_t **data,
		 size_t *len);
/* After capture_next() said 0: END was there and nothing was damaged. */
int capture_is_whole(const struct capture_reader *);
void capture_close(struct capture_reader *);

#endif
