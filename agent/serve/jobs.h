/*
 * The query thread's queue: what would hold up the server's loop is run by server_query_step, one
 * at a time, and given back through the server's wake fd.
 *
 * Invariants
 *  - At most JOBS_MAX are queued or running; further ones are refused, so that clients get 429.
 *  - All results together, from their making until job_free(), take `budget` bytes at most, and one
 *    half of them. What does not fit into half is -E2BIG, for which clients get 413; what would fit
 *    but for results that are still being sent is -EBUSY, for which they get 429.
 *  - A job is owned by the queue until jobs_take returns it to its owner. An owner that goes away
 *    calls jobs_abandon: the scan is cut short and nobody hears of it again.
 */
#ifndef STROBE_SERVE_JOBS_H
#define STROBE_SERVE_JOBS_H

#include "serve/buf.h"
#include "store/query.h"
#include "store/rank.h"
#include "store/totals.h"

#include <pthread.h>
#include <stdatomic.h>

enum { JOBS_MAX = 32, JOBS_BYTES = 64 << 20 };

enum job_kind {
	JOB_RANGE,
	JOB_EVENTS, /* of the last hour */
	JOB_PAST_EVENTS,
	JOB_HELD,
	JOB_RANK,
	JOB_TOTALS,
	JOB_CALL
};

struct held_result {
	struct history_span *spans;
	struct history_clock *clocks;
	size_t n_spans, n_clocks;
	struct history_stats stats;
};

struct job {
	enum job_kind kind;
	const void *owner; /* NULL: abandoned */
	_Atomic bool cancel;
	uint32_t req; /* the client's number */
	struct query_request request;
	struct query_selector *selectors; /* with their strings in `strings` */
	char *strings;
	struct rank_request rank_request;
	struct totals_request totals_request; /* its metrics are in `selectors` */
	const char **names;		      /* of those metrics */
	int64_t from_us, to_us;		      /* JOB_PAST_EVENTS */
	struct history *history;	      /* set when it is run */
	void (*render)(struct job *);	      /* on the query thread after it worked; or NULL */
	int (*call)(struct job *);	      /* JOB_CALL: what is run, with `arg`, into text */
	void *arg;
	void (*free_arg)(void *arg); /* by job_free(), unless the owner took arg */
	/* results */
	int r; /* 0; -E2BIG, -EBUSY; or -errno of query_run */
	struct query_result *result;
	const char *unknown; /* -ENOENT: a metric that no catalog has */
	struct rank_result *rank;
	struct totals_result *totals;
	struct held_result held;
	struct buf text;   /* what render() made */
	struct buf events; /* JOB_EVENTS and JOB_PAST_EVENTS: the fields of an EventList, the newest
			    * of very many */
	bool left_out;	   /* older ones of them */
	size_t next;	   /* series or rows sent so far; the owner's */
	size_t held_bytes; /* of `jobs->held` that job_free() gives back */
	struct jobs *jobs; /* that holds its bytes */
	struct jobs *budget; /* where they are counted while it runs */
	struct job *link;
};

struct jobs {
	pthread_mutex_t lock;
	pthread_cond_t more;
	struct job *waiting, **waiting_end, *running, *done;
	unsigned n; /* waiting, running or done */
	bool stop;
	size_t budget; /* JOBS_BYTES; may be set before the first job */
	_Atomic size_t held;
	struct history *history;
	struct log *log;	     /* of the history */
	struct cursor events_cursor; /* the query thread's: how far events were looked for */
	bool events_open;
	struct buf events;   /* found so far */
	int64_t left_out_us; /* time of the newest that was dropped for want of room */
	int wake_fd;
	uint64_t now_us; /* of a capture; 0: CLOCK_MONOTONIC */
};

int jobs_init(struct jobs *, struct history *, int wake_fd); /* a history with a log */
void jobs_done(struct jobs *);
/* Takes the job over; -EAGAIN: the queue is full (the job stays the caller's). */
int jobs_add(struct jobs *, struct job *);
/* A finished job of this owner, or NULL. Frees abandoned ones on the way. */
struct job *jobs_take(struct jobs *, const void *owner);
void jobs_abandon(struct jobs *, const void *owner);
void jobs_stop(struct jobs *);
/* See server_query_step. */
int jobs_step(struct jobs *);

struct job *job_new(enum job_kind, const void *owner);
/* Copies the selectors and their strings. 0 or -ENOMEM. */
int job_set_selectors(struct job *, const struct query_selector *, size_t n);
/* Makes the job's totals those of these metrics of a group. 0 or -ENOMEM. */
int job_set_totals(struct job *, const char *group, char *const *metrics, size_t n);
void job_free(struct job *);

#endif
