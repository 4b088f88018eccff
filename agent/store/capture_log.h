/*
 * Log frames on their way into a capture and out again.
 *
 *	log ── cut ──► FRAMES sections ── walk ──► frames and their state ── fill ──► log
 *
 * What comes out of a capture is judged: frames after a loss wait for the next KEY, and a frame
 * that contradicts the state before it begins such a loss.
 */
#ifndef STROBE_STORE_CAPTURE_LOG_H
#define STROBE_STORE_CAPTURE_LOG_H

#include "store/capture.h"
#include "store/log.h"
#include "store/mirror.h"

/* ---- FRAMES sections ---- */

/* In the seq of frames that are not the log's, but make the state before the frame of that seq. */
#define CAPTURE_STATE (1ull << 63)

/* Gathers frames into sections of some 64 KiB. Zeroed but for `w` is ready. */
struct capture_pack {
	struct capture_writer *w;
	uint8_t *p;
	size_t len, cap;
	uint64_t next_seq; /* of the frame that may follow in the section */
};
/* 0, -ENOMEM or what writing returned: then it is not in. */
int capture_pack_add(struct capture_pack *, const struct frame *);
int capture_pack_flush(struct capture_pack *);
void capture_pack_done(struct capture_pack *);

struct capture_unpack {
	const uint8_t *p, *end;
	uint64_t seq;
};
/* 0 or -EBADMSG; then frames of the section as long as it says 1 (0: the end, -EBADMSG). */
int capture_unpack_begin(struct capture_unpack *, const uint8_t *data, size_t len);
int capture_unpack_next(struct capture_unpack *, struct frame *ret);

/* ---- a range of a log, as sections ---- */

struct capture_cut;
struct capture_cut_config {
	struct log *log;
	uint64_t after_seq;	 /* not before the frame after this one: blocks have the rest */
	uint64_t from_seq;	 /* go on with this frame, no state before it; 0: by time */
	uint64_t from_us, to_us; /* ticks that begin in [from, to]; the state before them first */
	bool follow;		 /* frames that come later are part of it, too */
};
/* 0; -ENOENT: the log is empty; -EINVAL: from_seq is not a frame of this log; -ENOMEM. */
int capture_cut_open(struct capture_cut **ret, const struct capture_cut_config *);
/* Writes the next part, a few milliseconds of work. 1: there is more; 0: that is all, or with
 * `follow` all there is by now; -errno, the writer's too. */
int capture_cut_step(struct capture_cut *, struct capture_writer *);
/* Moves the end. */
void capture_cut_end(struct capture_cut *, uint64_t to_us);
bool capture_cut_over(const struct capture_cut *); /* past to_us */
void capture_cut_close(struct capture_cut *);	   /* NULL is fine */

/* ---- what frames say, one after the other ---- */

struct capture_walk {
	struct mirror mirror; /* after the frames taken so far */
	uint8_t *catalog;     /* the payload it was made from */
	size_t catalog_len;
	uint64_t next_seq;  /* 0: any */
	uint64_t state_seq; /* private: of the state taken last */
	uint64_t n_gaps;    /* frames are missing there, or contradict what was before */
	bool begun;	    /* a KEY was taken */
	bool other;	    /* it went on with another catalog: from there on nothing is taken */
};
enum capture_take {
	TAKE_NOTHING, /* nothing is known here: pass it over */
	TAKE_FRAME,
	TAKE_REPEAT, /* says what is known anyhow */
	TAKE_STATE   /* a KEY that begins anew, at the start or after a gap */
};
void capture_walk_init(struct capture_walk *);
void capture_walk_done(struct capture_walk *);
/* What is to be done with a frame. Before capture_walk_apply(), so that the state before it is still
 * to be seen. -ENOMEM. */
int capture_walk_judge(struct capture_walk *, const struct frame *);
/* For a frame that was judged TAKE_FRAME or more. 0; -EBADMSG: it makes no sense, and what was
 * known is void; -ENOMEM. */
int capture_walk_apply(struct capture_walk *, const struct frame *);

/* ---- frames as a log ---- */

struct capture_fill {
	struct capture_walk walk;
	struct log *log;	    /* NULL: only counts */
	uint32_t n_segments;	    /* that it takes */
	size_t room;		    /* private: in the newest of them */
	uint64_t first_us, last_us; /* time of the first and last tick; 0: none */
	uint64_t n_ticks, n_samples;
	uint32_t n_series; /* the most at once */
	bool gap;	   /* private: since the last frame put */
};
/* log NULL: finds out how large a log must be. */
void capture_fill_init(struct capture_fill *, struct log *);
void capture_fill_done(struct capture_fill *);
/* Takes a FRAMES section. 0; -ENOSPC: the log is too small; -EBADMSG: not all of it made sense;
 * -ENOMEM; -EMSGSIZE. */
int capture_fill_section(struct capture_fill *, const uint8_t *data, size_t len);
/* For a log without frames of its own: a catalog and a clock, and no instance at mono_us. */
int capture_fill_empty(struct capture_fill *, const uint8_t *catalog, size_t len, uint64_t mono_us,
		       int64_t real_off_us);
/* One frame of it. */
int capture_fill_frame(struct capture_fill *, const struct frame *);

#endif
