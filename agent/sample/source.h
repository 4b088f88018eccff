/*
 * A collector under supervision: its state, its groups, and where it stands between "probe" and
 * "close".
 *
 * Invariants
 *  - `phase` says who owns the source: the sampler (IDLE, RUNNING, and the answers OPENED, REFUSED,
 *    CLOSED), or an opener thread (WANT_*, OPENING, CLOSING). The owner alone touches the rest, and
 *    hands over by a release store.
 *  - sample() runs on the sampler in RUNNING only; probe(), open() and close() on an opener only,
 *    so that a source that blocks while it opens costs no tick.
 *  - work() runs while `usable` is the same non-zero number; close() waits until `busy` is 0.
 */
#ifndef STROBE_SAMPLE_SOURCE_H
#define STROBE_SAMPLE_SOURCE_H

#include "base/stats.h"
#include "collectors/collector.h"

#include <semaphore.h>
#include <stdatomic.h>

struct source_group {
	struct batch batch;		   /* the sampler's */
	uint32_t index;			   /* in the catalog */
	uint32_t period_ticks, base_ticks; /* in force; without the budget */
	uint32_t phase_ticks; /* due where tick index % period_ticks == this (mod period) */
	uint64_t next_due;    /* tick index */
	uint64_t cost_ns;     /* of one read, moving average */
	uint64_t series;      /* values read in the newest pass */
	int failing;	      /* what the newest sample() returned, > 0: failed sources */
	bool pinned;	      /* the user set the period */
	bool fresh;	      /* not read since the source was opened */
	bool tells;	      /* its instances' coming and going are events */

	/* of a blocking collector: what a pass fills, and what came of it */
	struct batch own;
	bool asked;
	int outcome;		    /* of sample() */
	uint64_t began_ns, took_ns; /* CLOCK_MONOTONIC; CPU time */
	struct collector_report report;
};

/* A pass over the groups of a blocking collector, on a thread of its own. WANTED: the thread owns
 * the pass, the collector's state and the groups' fields for it; else the sampler does.
 *
 * A pass is asked for in its tick (start_ns 0), or ahead of it, to start so early that it is done
 * when the tick comes: then neither thread wakes or waits for the other. For that the thread says
 * in `awake_ns` when it will look by itself. */
enum pass_phase { PASS_IDLE, PASS_WANTED, PASS_DONE };
struct source_pass {
	_Atomic int phase;
	sem_t wanted, done; /* wake-ups only */
	uint64_t tick;
	uint64_t cpu_ns, wall_ns;  /* that it took */
	uint64_t start_ns;	   /* not before */
	uint64_t next_ns;	   /* 0, or when the pass after this one will start */
	_Atomic uint64_t awake_ns; /* 0: only when woken */
	uint64_t asked_us;
	uint64_t usual_ns, lead_ns; /* sampler: average of wall_ns; how much too early to start */
	bool overdue;		    /* the stats say so */
};

enum source_phase {
	SOURCE_OFF,	  /* left out by the user */
	SOURCE_IDLE,	  /* waits for retry_at_us */
	SOURCE_WANT_OPEN, /* for an opener to take */
	SOURCE_OPENING,
	SOURCE_OPENED,	/* the opener's answers */
	SOURCE_REFUSED, /* probe or open failed; it is closed */
	SOURCE_RUNNING,
	SOURCE_WANT_CLOSE,
	SOURCE_CLOSING,
	SOURCE_CLOSED
};

struct source {
	const struct collector *collector;
	struct collector_stat *stat;
	void *state;
	struct source_group *groups; /* collector->n_groups */
	uint32_t stretch; /* the budget's factor on all their periods, a power of two; sampler */
	_Atomic int phase;
	_Atomic uint32_t usable; /* 0: closed; else the how-manieth opening */
	_Atomic uint32_t busy;	 /* workers inside work() */

	/* written by an opener while it owns the source */
	struct collector_report opening;
	int outcome; /* 0 or -errno */
	bool absent; /* probe() refused */
	uint32_t n_openings;

	/* sampler */
	struct collector_report report;	  /* for sample() */
	char fault[COLLECTOR_REASON_MAX]; /* of the group that fails in part; "" */
	unsigned fault_group;
	uint64_t retry_at_us;
	uint32_t backoff_s;
	bool told_failed;   /* the log says that it failed and not yet that it is back */
	bool proven;	    /* read once since it was opened */
	uint64_t proven_us; /* when that was */
	uint64_t wall_ns;   /* in the tick at hand */
	struct source_pass pass;
};

enum { SOURCE_BACKOFF_MAX_S = 60, SOURCE_PROBE_AGAIN_S = 60 };

/* ---- opener threads ---- */

/* Does what is wanted of the source, if anything and no other opener does it. True: something was
 * done. */
bool source_serve(struct source *, const struct host *);

/* ---- worker threads ---- */

/* One step of work(). *ended holds the opening at which this worker ended itself (0 at first).
 * False: there is nothing to work on now, wait. */
bool source_work(struct source *, unsigned worker, const struct host *, uint32_t *ended);
/* Makes workers that wait inside work() return. Any thread. */
void source_wake(struct source *);

/* ---- the thread of a blocking collector ---- */

/* Waits until it may be time for a pass, or somebody posts `wanted`. */
void source_pass_wait(struct source *, uint64_t (*now_ns)(void));
/* Runs the pass that is wanted, if any and if it is time. Clocks as in struct sampler_config. */
void source_pass(struct source *, uint64_t (*now_ns)(void), uint64_t (*cpu_ns)(void));

/* ---- sampler ---- */

/* Has the collector fill a batch of its group g: begin, sample(), finish. What sample() said. */
int source_fill(const struct source *, unsigned g, struct batch *, uint64_t tick,
		struct collector_report *);

/* Hands the source to an opener. */
void source_ask(struct source *, enum source_phase want);
/* After OPENED: running from now on. */
void source_started(struct source *);
/* After a failed opening or sample(): the back-off begins or doubles; `why` goes to the stats. */
void source_failed(struct source *, uint64_t now_us, int r, const char *why, bool absent);
/* Takes what sample() of group g said into account; r >= 0. True: publish it. */
bool source_judge(struct source *, unsigned g, int r);
/* Puts `stretch` in force. Groups of a collector share files and passes, so they slow down
 * together. */
void source_stretch(struct source *, uint32_t stretch, uint32_t longest_ticks);
/* The period of its fastest group, in ticks. */
uint32_t source_period_ticks(const struct source *);
/* Writes state, tier, reason, period and series to the stats. budget_ppm is for the reason. */
void source_publish(struct source *, uint32_t rate_hz, uint32_t budget_ppm);

#define STAT_OF(s, field) atomic_load_explicit(&(s)->stat->field, memory_order_relaxed)

static inline enum source_phase source_phase(const struct source *s)
{
	return (enum source_phase)atomic_load_explicit(&s->phase, memory_order_acquire);
}

#endif
