/*
 * The META section of a capture: what it is of and by whom, as JSON.
 */
#ifndef STROBE_SERVE_CAPTURE_META_H
#define STROBE_SERVE_CAPTURE_META_H

#include "base/host.h"
#include "serve/buf.h"
#include "store/log.h"

enum { CAPTURE_MARKS_MAX = 4 };

struct capture_meta {
	char version[32]; /* of the strobe that wrote it */
	char host[65], machine_id[33], boot_id[37], kernel[65];
	char command[512]; /* that was recorded; "" none */
	uint8_t log_id[LOG_ID_LEN];
	uint32_t rate_hz, n_cpus;
	uint64_t mem_total_bytes;
	/* CLOCK_MONOTONIC of that boot, in us; 0: not known (yet) */
	uint64_t started_us;	/* of the agent */
	int64_t from_us, to_us; /* negative: before that boot, by the wall clock */
	uint64_t now_us;	/* when this was written ... */
	uint64_t newest_us;	/* ... and the newest tick then */
	int64_t real_off_us;
	struct capture_mark {
		uint64_t at_us;
		char text[128];
	} marks[CAPTURE_MARKS_MAX];
	uint32_t n_marks;
};

/* What a host and its log say; the rest is zero. kernel NULL: of this host. */
void capture_meta_of(struct capture_meta *ret, const struct host *, const struct log *,
		     const char *kernel);
void capture_meta_put(struct buf *, const struct capture_meta *);
/* Takes any bytes; what is missing or of another type is left empty. 0 or -EBADMSG (no object). */
int capture_meta_parse(const void *data, size_t len, struct capture_meta *ret);

/* "strobe-HOST-20260131T120000Z.strobe", in letters that every file system takes. */
void capture_file_name(char *ret, size_t size, const char *host, int64_t wall_us);

#endif
