/*
 * The contract between a collector and the agent. A collector is one .c file (or a folder of its
 * own with one .c beside it) that ends in
 *
 *	const struct collector collector_NAME = { .name = "NAME", ... };
 *
 * NAME is the file's stem. The registry is generated from the files of this folder; nothing else is
 * edited. A collector may include base/ and its own headers only: it knows neither store nor
 * wire.
 *
 * Call order: probe, then open, sample..., close, and again after a failure (close always follows
 * open, also a failed one). Within a tick the due groups of one collector are sampled in the order
 * of the table, all with the same batch->tick, so a file read for the first may serve the rest.
 */
#ifndef STROBE_COLLECTORS_COLLECTOR_H
#define STROBE_COLLECTORS_COLLECTOR_H

#include "base/batch.h"
#include "base/host.h"
#include "base/metric.h"

#include <stddef.h>

enum { COLLECTOR_REASON_MAX = 160 };

struct collector_report {
	const char *tier; /* static string: which way of reading was chosen; or NULL */
	char reason[COLLECTOR_REASON_MAX]; /* path, kernel option, what to do; "" if all is well */
};

struct collector {
	const char *name; /* file stem = config key = log prefix */
	const char *help; /* one line for `strobe collectors` */
	const struct group *groups;
	size_t n_groups;
	size_t state_size;  /* the agent allocates it, zeroed */
	unsigned n_workers; /* threads that run work(); 0: none */
	bool blocking; /* sample() may wait for a lock of others: it runs on a thread of its own */
	/* Is there such a source here? 0, or -errno with the reason filled in. Keeps nothing
	 * open. */
	int (*probe)(const struct host *, struct collector_report *);
	/* Opens what sample() reads; may allocate. 0 or -errno with the reason. */
	int (*open)(void *state, const struct host *, struct collector_report *);
	/* Reads one group into its batch. 0; -errno: nothing usable (the collector is disabled with
	 * back-off); > 0: that many sources failed, the rest is good (reason says which).
	 * Never allocates, takes a lock, blocks (unless `blocking`) or logs. */
	int (*sample)(void *state, unsigned group, struct batch *, struct collector_report *);
	void (*close)(void *state);
	/* One step of worker `worker`: waits for something to do (a minute at most, for each wake-up
	 * costs as much as reading some files), does it, returns 0; < 0 ends the thread. May block on
	 * a foreign process's locks: then only this worker waits. Runs between open and close,
	 * concurrently with sample(). NULL if n_workers is 0. */
	int (*work)(void *state, unsigned worker, const struct host *);
	/* Makes every worker that waits in work() return, and one that is about to wait. Any thread,
	 * between open and close. NULL if n_workers is 0. */
	void (*wake)(void *state);
};

/* Generated: every collector of this build, in registry order. */
extern const struct collector *const collectors[];
extern const size_t n_collectors;

#endif
