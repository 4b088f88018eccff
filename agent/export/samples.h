/*
 * Every sample of a row of frames, in the order of time: what exporters of single values begin with.
 *
 * Counters are given as rates over measured time by the rule of store/rate.h, which is that of
 * queries, or as they are. Reads that a worker published late are put where they belong: samples
 * come two seconds of recorded time later, and samples_flush() brings the last.
 */
#ifndef STROBE_EXPORT_SAMPLES_H
#define STROBE_EXPORT_SAMPLES_H

#include "store/block.h"
#include "store/capture_log.h"

struct sample {
	int64_t at_us; /* CLOCK_MONOTONIC of the host's last boot */
	int64_t wall_us;
	const struct mirror_metric *metric;
	const char *instance; /* "" where there is one row only */
	int64_t value;	      /* stored unit; of a rate, thousandths of it a second */
	bool rate;
};
struct samples_config {
	bool rates;		/* counters as rates */
	int64_t from_us, to_us; /* samples at or after the one, before the other */
	bool (*wanted)(void *arg, const char *metric);
	int (*each)(void *arg, const struct sample *); /* 0; what is not 0 ends it */
	void *arg;
};

struct samples;
int samples_open(struct samples **ret, const struct samples_config *); /* 0 or -ENOMEM */
void samples_close(struct samples *);				       /* NULL is fine */
/* Takes a frame. 0; what each() returned; -ENOMEM; -EBADMSG: it makes no sense. */
int samples_frame(struct samples *, const struct frame *);
int samples_flush(struct samples *);
/* Blocks come before frames, oldest first, the catalog each names before it. shift_us moves their
 * times to the axis of the last boot. As samples_frame(); after -EBADMSG some of it was given. */
int samples_catalog(struct samples *, const uint8_t *payload, size_t len);
int samples_block(struct samples *, const uint8_t *data, size_t len, int64_t shift_us);

#endif
