/*
 * A capture on its way to a client: download_args.c reads what is asked for, download_make.c makes it piece by
 * piece, download.c sends it. Nobody else includes this.
 *
 * Order of a capture: blocks, frames of the log after them, stacks. Blocks and stacks are made by the
 * query thread, which may wait for the disk; meanwhile `waiting` is set.
 */
#ifndef STROBE_SERVE_DOWNLOAD_H
#define STROBE_SERVE_DOWNLOAD_H

#include "serve/request.h"
#include "store/capture_blocks.h"
#include "store/capture_log.h"

/* What is asked for: [from, to] of the timeline, or what follows a frame. */
struct download_wanted {
	int64_t from_us, to_us;
	uint64_t from_seq;
	bool no_stacks;
	int64_t stacks_us; /* from where on stacks are wanted */
};

struct download {
	struct download_wanted wanted;
	struct capture_blocks *blocks; /* while there are more; a job may have them */
	struct capture_cut *cut;       /* afterwards */
	uint64_t after_seq;	       /* blocks have the log up to this frame */
	struct capture_writer writer;
	struct buf made;		  /* and not sent yet */
	size_t sent;			  /* of it */
	bool waiting;			  /* for a job */
	struct profiles *stacks;	  /* to come after the rest; NULL: none, or no more */
	int64_t stacks_us, stacks_end_us; /* those before it are made; 0: not known yet */
	bool chunked, all_made, end_sent;
};

extern const char download_hint[];

/* The arguments of the request. 0, or it was refused: *ret is what the lws callback returns. */
int download_parse(struct request *, struct download_wanted *, int *ret);

/* Opens what r->download takes from. 0; -ENOENT: nothing is held; -EINVAL: no such frame; -ENOMEM. */
int download_open(struct request *);
/* Puts something to send into d->made, sets all_made, or waits for a job. 0; -1: close. */
int download_make(struct request *);
/* Takes what a job has made. 1; 0: it is not done yet; -1: close. */
int download_take(struct request *);

#endif
