/*
 * Frames in, stream items out. One encoder follows one cursor: the live one of all clients
 * (tail.c), or that of a client that catches up (replay.c). Both make the same bytes from the same
 * frames.
 */
#ifndef STROBE_SERVE_ENCODER_H
#define STROBE_SERVE_ENCODER_H

#include "serve/levels.h"

/* What an encoder finds; any may be NULL. Arguments are valid during the call. */
struct encoder_sink {
	/* Before a tick is applied: the mirror holds the state after the one before. */
	void (*before)(void *arg, const struct tick_head *);
	void (*entry)(void *arg, const struct wire_entry *);
	/* An attribute that differs from what the mirror held. */
	void (*attr)(void *arg, uint64_t seq, const struct attr_frame *);
	void (*event)(void *arg, uint64_t seq, const struct event_frame *);
	void (*clock)(void *arg, uint64_t seq, const struct clock_frame *);
};

struct encoder {
	struct mirror mirror;
	struct level levels[WIRE_LEVELS]; /* [0] is not used */
	uint64_t seq, tick, mono_us;	  /* of the newest tick; 0: none yet */
	bool stateless;		/* level 1 only and no mirror: a resume that needs no state */
	uint32_t levels_wanted; /* bit per level that is encoded; see encoder_want */
	const struct encoder_sink *sink;
	void *arg;
	struct buf data;
	struct wire_blob *blobs;
	uint32_t n_groups; /* room in blobs */
};

void encoder_init(struct encoder *, const struct encoder_sink *, void *arg, uint32_t levels_wanted);
void encoder_done(struct encoder *); /* zeroed is fine */
/* Changes what is encoded. A level that is new begins with its next interval. */
void encoder_want(struct encoder *, uint32_t levels);
/* Forgets all state: the next frames come from a segment's start. */
void encoder_reset(struct encoder *);
/* Applies one frame and calls the sink. 0; -EBADMSG (skip it); -ENOMEM. */
int encoder_feed(struct encoder *, const struct frame *);

#endif
