/*
 * One WebSocket client: a place in the stream. stream.c has its life and its messages, live.c sends
 * from the tail all clients share, replay.c brings it there from any place in the log.
 *
 * Invariants
 *  - At most one message is handed to lws at a time; the next is made when the socket is writeable.
 *  - A session keeps no ticks: what it has not sent is in the tail's ring or in the log.
 */
#ifndef STROBE_SERVE_SESSION_H
#define STROBE_SERVE_SESSION_H

#include "serve/private.h"

enum { BATCH_BYTES = 64 << 10, CONTROL_MAX = 64 << 10 };

struct replay;

struct session {
	struct server *server;
	struct lws *wsi;
	struct session *next, **link;
	bool hello_sent, catalog_sent, live, broken;
	bool texts_due; /* asked for and not sent yet */
	/* The subscription, per group of the catalog. */
	uint32_t n_groups, n_order;
	uint32_t *order;      /* subscribed groups as asked */
	uint8_t *asked;	      /* level, or WIRE_NO_LEVEL */
	uint8_t *level;	      /* in force: asked, joined with `imposed` */
	uint32_t levels;      /* bit per level in force */
	bool slow;	      /* counted as such */
	uint8_t imposed;      /* the connection is slow: at least this level */
	uint8_t imposed_next; /* in force for ticks after switch_tick; WIRE_NO_LEVEL: no switch is
				 due */
	uint64_t switch_tick;
	uint64_t pos[ITEM_KINDS]; /* live: number of the next item of each kind to look at */
	uint64_t seq;		  /* of the last Batch */
	uint64_t attrs_us;	  /* when the last AttrList went out */
	struct replay *replay;	  /* on its way to live; NULL otherwise */
	uint64_t waiting_us;	  /* since when it has something to send and cannot; 0: it can */
	uint64_t stalled_us;	  /* when that last took too long */
	uint64_t moved_us;	  /* waiting: when `unread` was last seen to change */
	int unread;		  /* bytes in the socket that the client has not taken */
	uint32_t n_errors, n_jobs;
	struct job *range;  /* being sent: a JOB_RANGE or JOB_TOTALS */
	struct buf in;	    /* a message that comes in pieces */
	struct buf control; /* whole messages to send first, each after its length */
};

/* ---- stream.c ---- */

/* Has lws call back when the socket takes more. */
void session_ask(struct session *);
/* Queues an Error; a client that makes too many mistakes is let go. */
void session_error(struct session *, uint32_t req, uint32_t code, const char *text);
/* Queues a message made by message_*() in `b` (cleared afterwards). */
void session_queue(struct session *, struct buf *);
/* Recomputes `level` and `levels` from `asked` and `imposed`. */
void session_set_levels(struct session *, uint8_t imposed);
/* Has the tail gather the levels that some session is at, or about to be. */
void stream_want_levels(struct server *);
/* Counts it among the slow clients, or no longer. */
void session_set_slow(struct session *, bool slow);
/* The finest level in force. */
uint8_t session_finest(const struct session *);

/* ---- asked.c ---- */

/* Serves one ClientMessage. 0, or -1: close. */
int session_on_message(struct session *, const uint8_t *message, size_t len);

/* ---- live.c ---- */

/* Something of the tail is waiting for this session. */
bool live_has_work(const struct session *);
/* Sends one message: 1; nothing to send: 0; -1: close. */
int live_send(struct session *);
/* Once a tick: changes the level of a client that is too slow, or no longer. -1: give it up. */
int live_judge(struct session *, uint64_t now_us);
void live_begin(struct session *);

/* ---- replay.c ---- */

enum replay_from { REPLAY_WINDOW, REPLAY_RESUME };

/* Sets out: from `window_us` before now with reset rows, or after frame `seq`, with reset rows for
 * the groups marked fresh or at a coarser level. 0 or -errno; a Gap may be queued. */
int replay_begin(struct session *, enum replay_from, uint64_t seq, uint64_t window_us,
		 const bool *fresh);
bool replay_has_work(const struct session *);
/* New frames may have come. */
void replay_wake(struct session *);
/* Once a tick: a client that does not come closer to the present goes on at a coarser level. 0; -1:
 * close. */
int replay_judge(struct session *, uint64_t now_us);
/* As live_send; makes the session live when it has caught up. */
int replay_send(struct session *);
void replay_free(struct session *);

#endif
