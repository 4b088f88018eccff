/*
 * Capture files on their way to and from the disk. Messages go to stderr.
 */
#ifndef STROBE_CMD_CAPTURE_FILE_H
#define STROBE_CMD_CAPTURE_FILE_H

#include "serve/capture_meta.h"
#include "store/block.h"
#include "store/capture_log.h"

/* ---- writing ---- */

struct capture_out {
	char path[4096];
	int fd; /* -1: not open */
	struct capture_writer writer;
	int error; /* what ended it, which was said; nothing is written any more */
};
/* Creates it, or writes over what is there. 0 or -errno, which was said. */
int capture_out_open(struct capture_out *ret, const char *path);
/* A section of it. What goes wrong is said once and cuts the file after its last whole section. */
int capture_out_section(struct capture_out *, enum capture_type, const void *data, size_t len);
int capture_out_meta(struct capture_out *, const struct capture_meta *);
/* Says what is wrong with the writer, where its owner used it directly and got r < 0. */
int capture_out_check(struct capture_out *, int r);
/* Ends the file (where nothing went wrong) and closes it. */
int capture_out_close(struct capture_out *);

/* ---- reading ---- */

/* All there is to know of a file without keeping its contents. */
struct capture_summary {
	struct capture_meta meta;
	struct capture_fill fill; /* counts, and the state and clocks at its end */
	uint64_t n_bytes;	  /* of the file */
	unsigned n_damaged;
	bool whole;
	/* sealed blocks: older than the frames */
	unsigned n_blocks;
	uint64_t block_samples, block_bytes;
	struct block_head first, last;
	uint8_t *catalog; /* of the last, where there are no frames */
	size_t catalog_len;
};
/* Time of the first sample and just after the last, CLOCK_MONOTONIC of the newest boot in it. */
int64_t capture_summary_from_us(const struct capture_summary *);
uint64_t capture_summary_end_us(const struct capture_summary *);
/* What a block's times are moved by to that axis: an earlier boot lies where the wall clock puts it. */
int64_t capture_summary_shift_us(const struct capture_summary *, const struct block_head *);
/* Wall clock at such a time. */
int64_t capture_summary_wall_us(const struct capture_summary *, int64_t at_us);
/* 0 when something can be read of it; what is wrong with it is said, as is why nothing can. */
int capture_summary_read(struct capture_summary *ret, const char *path);
void capture_summary_done(struct capture_summary *);
/* Hands each section that is sound to `each` until it returns not 0. 0, that, or -errno (said). */
int capture_file_sections(const char *path,
			  int (*each)(void *arg, enum capture_type type, const uint8_t *data,
				      size_t len),
			  void *arg);

#endif
