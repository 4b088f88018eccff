/*
 * The sampler: reads the collectors at a fixed rate and appends one TICK a tick to the log. Nobody
 * else writes the log.
 *
 * Invariants
 *  - Ticks lie on multiples of the period of CLOCK_MONOTONIC. One that begins more than 10 % late
 *    is counted, one that was skipped too; more than two skipped in a row are an event.
 *  - After sampler_open() the sampler thread allocates nothing, takes no lock and waits for nobody
 *    but its timer. What may block has threads of its own: openers run probe(), open() and close();
 *    workers run a collector's work(), or all of its sample() when it is `blocking`. Such a pass is
 *    asked for at the beginning of a tick and taken at its end, after a quarter of the period at
 *    most; one that takes longer comes with a later tick under its own time.
 *  - Only the sampler thread itself has a real-time priority: the others share the CPUs fairly.
 *  - The catalog holds every group of the build, in registry order, whatever is on or off.
 *
 * Life cycle: sampler_open; then threads that call sampler_run (one), sampler_opener_step (two or
 * more), and sampler_worker_step (one per worker) until it returns < 0; sampler_stop; join;
 * sampler_close.
 */
#ifndef STROBE_SAMPLE_SAMPLER_H
#define STROBE_SAMPLE_SAMPLER_H

#include "collectors/collector.h"
#include "sample/recover.h"
#include "sample/timekeep.h"
#include "store/log.h"

enum { SAMPLER_RATE_MAX = 100 };

struct sampler;

struct sampler_config {
	const struct host *host; /* outlives the sampler, as do the collectors and the log */
	const struct collector *const *collectors;
	size_t n_collectors; /* at most STATS_COLLECTORS_MAX */
	struct log *log;
	bool continued;		   /* log_open() said LOG_CONTINUED: take it up, or reset it */
	uint32_t rate_hz;	   /* 1..SAMPLER_RATE_MAX */
	uint32_t budget_ppm;	   /* of one core for the sampler thread; 0: no limit */
	const bool *off;	   /* n_collectors; NULL: all on */
	const uint32_t *period_ms; /* n_collectors, of all its groups; 0 or NULL: as declared */
	uint64_t (*now_ns)(void);  /* CLOCK_MONOTONIC; NULL: the real one */
	uint64_t (*cpu_ns)(void);  /* CPU of the sampler thread; NULL: the real one */
	bool (*read_clocks)(struct clock_reading *); /* NULL: timekeep_read() */
};

/* Reserves everything and takes up the log. 0 or -errno (-EMSGSIZE: a catalog larger than a
 * segment). */
int sampler_open(struct sampler **ret, const struct sampler_config *);
void sampler_close(struct sampler *); /* after every thread has left; NULL is fine */

/* What was found in the log (frames 0: nothing). */
const struct recovered *sampler_recovered(const struct sampler *);

/* The sampler thread: raises its priority, waits up to 1 s for the collectors to open, ticks until
 * sampler_stop(), ends the log with EVENT_AGENT_STOP. 0 or -errno when there is no timer. */
int sampler_run(struct sampler *);

/* Waits until sampler_run() has begun, so that the log holds a catalog; at most `ms`. */
void sampler_wait_begun(struct sampler *, unsigned ms);

/* One step of an opener thread: opens or closes what waits for it, prints events on stderr, waits
 * when there is nothing to do. < 0: stopped. */
int sampler_opener_step(struct sampler *);

/* Threads wanted for work() and for passes, and one step of the i-th. < 0: stopped. */
unsigned sampler_n_workers(const struct sampler *);
int sampler_worker_step(struct sampler *, unsigned worker);

/* Any thread. All of the above return soon. */
void sampler_stop(struct sampler *);

/* One tick at `now_ns` (sampler_run calls it; tests do so with a clock of their own). A second call
 * for the same multiple of the period does nothing. */
void sampler_tick(struct sampler *, uint64_t now_ns);
/* What sampler_run does before the first and after the last tick. */
void sampler_begin(struct sampler *);
void sampler_finish(struct sampler *);
/* Does what openers have to do, at once and without waiting. True: there was something. */
bool sampler_open_pending(struct sampler *);

#endif
