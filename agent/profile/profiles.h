/*
 * All stacks that are held, as one timeline: the open epoch (the newest), sealed epochs in memory, epochs
 * in a ring on disk. Shared by the profiler's thread, which adds, its background thread, which names
 * and seals, and the query thread, which reads.
 *
 * Invariants
 *  - All of it in memory takes at most memory_bytes; the oldest sealed epoch goes first. (What sealing or reading
 *    one takes for the moment is in the half that is left for epochs which wait.)
 *  - An epoch ends after PROFILES_EPOCH_US or when it has grown to a quarter of memory_bytes, whichever is first.
 *  - What was added to the open epoch is in a file on a tmpfs (config.dir) a moment later, and found again by
 *    the next agent after a kill. Sealed epochs outlive it in the ring; without one they are files in that folder, for
 *    the memory that they would take anyway, and only where it has no room for one does that end with the agent.
 *  - With a ring that file is copied to copy_dir every PROFILES_COPY_US and synced: loss of power, or of the
 *    tmpfs, loses what was added since, and no epoch.
 *  - A profiler is never held up by encoding or by the disk: sealing is profiles_step()'s work.
 */
#ifndef STROBE_PROFILE_PROFILES_H
#define STROBE_PROFILE_PROFILES_H

#include "stacks/epoch.h"
#include "store/history.h"
#include "store/ring.h"

enum { PROFILES_EPOCH_US = 600000000, PROFILES_COPY_US = 30000000 };

struct profiles;
struct profiles_config {
	uint64_t memory_bytes;
	const char *
		dir; /* for "profile.log" and "profile.epoch.N", which outlive a crash; NULL: none */
	struct ring *ring;    /* of RING_PROFILE records only; outlives it; NULL: none */
	const char *copy_dir; /* for "open.log", on the ring's disk; NULL: none */
	uint64_t copy_us;     /* 0: PROFILES_COPY_US */
	const char *boot_id;  /* of this boot; "" for a capture that has none */
	int64_t real_off_us;  /* now */
	uint16_t n_cpus;
	/* Where a boot lies on the timeline of `history`: see history_boot_shift(). NULL: by the wall clock */
	struct history *history;
	/* Names what it can of frames that have neither a name nor `missed`, and sets one of them; `all`: this epoch is
	 * about to be stored. On the thread of profiles_step(), with the lock held: quick. May be NULL. */
	void (*name)(void *arg, struct stacks *, bool all);
	void *name_arg;
};
int profiles_open(struct profiles **ret, const struct profiles_config *); /* 0 or -errno */
/* config.name, for one that is made after this: before the first profiles_step(). */
void profiles_set_name(struct profiles *, void (*name)(void *arg, struct stacks *, bool all),
		       void *arg);
void profiles_close(struct profiles *); /* NULL is fine */

/* Profiler's thread: the open epoch, locked, to add to (NULL: no memory); then unlock and say what time it
 * is, in either case. */
struct stacks *profiles_begin(struct profiles *);
void profiles_end(struct profiles *, int64_t now_us, int64_t real_off_us);
/* Between the two: rises with each new open epoch, in which indices kept from the one before mean nothing. */
uint64_t profiles_epoch(const struct profiles *);

/* Background thread, a few times a second: names new frames, seals epochs that have ended, hands them
 * to the ring, copies the open one's log. 0 or -errno of the disk (which is tried again). */
int profiles_step(struct profiles *);
/* After the last profiles_end() and profiles_step(): seals the open epoch, names included, and hands it to the
 * ring; without a ring it is left in `dir`. */
void profiles_finish(struct profiles *);

/* Takes over (data, len), an epoch of a capture or of an earlier agent, when it returns 0. -EBADMSG, -ENOMEM. Three
 * eighths of memory_bytes hold what is taken. */
int profiles_take(struct profiles *, uint8_t *data, size_t len);

/* Calls each() with every epoch that overlaps [from_us, to_us), oldest first, its times moved to the
 * timeline, its boot_id the timeline's, at_us + real_off_us still the wall clock; valid until it returns. The open one is locked meanwhile: be quick. Stops at the first
 * result that is not 0. A damaged epoch is passed over and counted. Any one thread. */
int profiles_each(struct profiles *, int64_t from_us, int64_t to_us,
		  int (*each)(void *arg, const struct stacks *), void *arg);

/* The same, and with it later epochs that have a stretch off the CPU which reaches into the range. */
int profiles_each_off(struct profiles *, int64_t from_us, int64_t to_us,
		      int (*each)(void *arg, const struct stacks *), void *arg);

/* Where in [from_us, to_us) the first epoch begins that overlaps it, from_us at least; to_us: there is none. What lies
 * before has no samples. Any one thread, but one that must not wait. */
int64_t profiles_next_us(struct profiles *, int64_t from_us, int64_t to_us);
/* What a reader makes of a sealed epoch, kept beside it while there is room for it, for later readers with the same key:
 * to unpack an epoch takes longer than most questions about it. */
struct profiles_memo {
	const void *key;
	size_t key_len;
	/* Does it do, of an epoch with samples in that time? */
	bool (*fits)(void *arg, int64_t from_us, int64_t to_us);
	int (*make)(void *arg, const struct stacks *, void **ret, size_t *bytes); /* 0 or -errno */
	int (*use)(void *arg, void *memo); /* in place of each(): 0 or -errno */
	void (*release)(void *memo);
};
/* As profiles_each(). */
int profiles_each_memo(struct profiles *, int64_t from_us, int64_t to_us,
		       const struct profiles_memo *, int (*each)(void *arg, const struct stacks *),
		       void *arg);

/* Whether the newest stacks were asked for lately, so that they should come soon. Any thread. */
bool profiles_are_watched(struct profiles *, int64_t now_us);

struct profiles_stats {
	int64_t oldest_us;		   /* INT64_MAX: nothing is held */
	uint64_t memory_bytes, disk_bytes; /* held */
	uint64_t samples, sample_bytes;	   /* of sealed epochs: bytes a sample */
	uint64_t n_epochs, damaged;	   /* damaged: epochs and logs, left out or cut short */
	uint64_t dropped; /* samples that were lost here: nobody sealed, or memory was short */
	int error; /* -errno of the last profiles_step(): what it had is not on disk yet; 0: fine */
};
void profiles_stats(struct profiles *, struct profiles_stats *ret); /* any thread */

#endif
