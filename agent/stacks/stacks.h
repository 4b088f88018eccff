/*
 * A set of sampled stacks with their times, complete in itself: what the profiler collects, what an
 * epoch holds on disk, what an importer reads and what everything that shows a profile works on.
 *
 * Shape: strings, modules, frames, nodes, tasks and samples are arrays; everything names everything
 * else by index. Index 0 of strings is "", of modules the unknown one, of frames "[unknown]", of
 * nodes the root (no frame); index 0 of tasks is the unknown task.
 *
 * Invariants
 *  - A node's parent has a smaller index, so that one pass from the end sums a tree.
 *  - Interning: equal strings, modules, frames, nodes and tasks have one index.
 *  - Not thread-safe: whoever shares one locks it (profiles.h does).
 *
 * Times are microseconds on CLOCK_MONOTONIC of `boot_id` (of an import: of whatever clock the file has),
 * moved by whoever decodes it to the timeline of store/history.h.
 */
#ifndef STROBE_STACKS_STACKS_H
#define STROBE_STACKS_STACKS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum stacks_type {
	STACKS_UNKNOWN,
	STACKS_USER,	/* of the process's own executable */
	STACKS_LIBRARY, /* of another file that it mapped */
	STACKS_KERNEL,
	STACKS_JIT,
	STACKS_INLINED, /* only in imports: what we record has no inlined frames */
	STACKS_TYPES
};

enum stacks_kind {
	STACKS_CPU, /* a tick of the sampling clock: weight_us is the CPU time it stands for */
	STACKS_OFF, /* a stretch off the CPU that ended at at_us: weight_us is how long it took */
	STACKS_KINDS
};

/* What a thread waited for, of STACKS_OFF. */
enum stacks_class {
	STACKS_OTHER,
	STACKS_DISK,
	STACKS_LOCK,
	STACKS_NETWORK,
	STACKS_SLEEP,
	STACKS_RUNQ,	  /* it could run and did not */
	STACKS_CONDITION, /* another thread: a condition variable, a semaphore, its end */
	STACKS_CLASSES
};

enum {
	STACKS_SHALLOW =
		1, /* flag: the user part has no more than two frames, and not because it is short */
	STACKS_TRUNCATED = 2, /* flag: deeper than is kept */
	STACKS_IDLE = 4	      /* flag: the idle task; left out of every figure */
};

struct stacks_module {
	uint32_t
		name; /* string: path as its process sees it, "[kernel]", "[vdso]", "perf-1234.map" */
	uint32_t build_id; /* string, as module_file_id(); 0: unknown */
};

/* One address of a function that was sampled, chosen by votes: each sample has one, for where it was or against another.
 * Whatever had more than half of them is found; where nothing had, it is one of those that were sampled. */
struct stacks_place {
	uint32_t off; /* from the frame's addr */
	uint16_t
		votes; /* for what is about there, those against it taken off; 0: no address is known */
	uint16_t here; /* of them for this very one */
};

struct stacks_frame {
	uint64_t
		addr; /* start of the function (or the address itself where that is not known): of a module its
			    * file address (ELF p_vaddr space; position in the file, of one without a build-id),
			    * else as it is in memory; 0 in imports */
	uint32_t module;
	uint32_t
		name; /* string, demangled; 0: not looked up yet. "module+0x1234" never stands here */
	uint8_t type; /* enum stacks_type */
	bool missed;  /* was looked up and has no name */
	/* Of what a file has: where it ran itself, called no other or only the kernel; and its calls, the last byte of an
	 * instruction that calls. None in imports, nor in epochs of version 1. */
	struct stacks_place self, call;
};

struct stacks_node {
	uint32_t parent, frame;
};

struct stacks_task {
	uint32_t pid, tid;
	uint32_t comm;	  /* string, of the thread */
	uint32_t process; /* string: comm of the process's main thread; 0: unknown */
	uint32_t cgroup;  /* string: path below the root; 0: unknown */
};

struct stacks_sample {
	int64_t at_us;
	uint32_t node, task;
	uint32_t weight_us;
	uint16_t cpu;
	uint8_t kind;  /* enum stacks_kind */
	uint8_t flags; /* STACKS_SHALLOW..., and enum stacks_class << 4 of STACKS_OFF */
};

/* What went wrong, and the rate, with their times. */
enum stacks_note_kind { STACKS_LOST = 1, STACKS_THROTTLED, STACKS_HZ, STACKS_GAP };
struct stacks_note {
	int64_t at_us;
	uint64_t
		n; /* samples lost; events throttled; Hz from now on; a gap's length in us, ended at at_us */
	uint16_t cpu;
	uint8_t kind;
};

struct stacks {
	char boot_id[40];
	int64_t real_off_us;	/* wall clock = at_us + real_off_us */
	int64_t from_us, to_us; /* what it stands for, samples or not */
	uint32_t hz;		/* when it began; 0: unknown */
	uint16_t n_cpus;	/* 0: unknown */
	bool has_cpu, has_time; /* of an import: samples know their CPU, their time */

	const char *text; /* string i is text + strings[i] */
	uint32_t *strings;
	struct stacks_module *modules;
	struct stacks_frame *frames;
	struct stacks_node *nodes;
	struct stacks_task *tasks;
	struct stacks_sample *samples; /* nearly in order of time, see STACKS_LATE_US */
	/* Of a summary (stacks_sum): how many samples the i-th stands for. NULL: each for itself. */
	uint32_t *counts;
	struct stacks_note *notes;
	uint32_t n_strings, n_modules, n_frames, n_nodes, n_tasks, n_samples, n_notes;
	void *private;
};
/* How long before the newest of those in front of it a sample may have been: a tick; the end of a stretch off the CPU,
 * which is known only when the queue for the CPU that came after it is over. */
enum { STACKS_LATE_US = 200000, STACKS_OFF_LATE_US = 5000000 };

/* Empty, with the zeroth entries. NULL: no memory. */
struct stacks *stacks_new(void);
void stacks_free(struct stacks *);	    /* NULL is fine */
size_t stacks_bytes(const struct stacks *); /* of memory, about */

/* Each returns an index; 0 when there is no memory, and sets stacks_failed(). */
uint32_t stacks_string(struct stacks *, const char *s, size_t len);
uint32_t stacks_module(struct stacks *, const char *name, const char *build_id);
/* By (module, addr, type), and by the name where addr is 0. A name given for a frame that has none is kept, the votes for
 * its places are added up. */
uint32_t stacks_frame(struct stacks *, const struct stacks_frame *);
uint32_t stacks_node(struct stacks *, uint32_t parent, uint32_t frame);
uint32_t stacks_task(struct stacks *, const struct stacks_task *);
/* A frame was sampled at an address: `weight` votes for it. Addresses where it runs agree when they are a loop's breadth
 * apart, those of calls when they are the same. */
void stacks_vote_self(struct stacks *, uint32_t frame, uint64_t addr, uint16_t weight);
void stacks_vote_call(struct stacks *, uint32_t frame, uint64_t addr, uint16_t weight);
/* 0, -ENOMEM; -EINVAL: an index is out of range. */
int stacks_add(struct stacks *, const struct stacks_sample *);
int stacks_note(struct stacks *, const struct stacks_note *);
bool stacks_failed(const struct stacks *);

/* How many samples the i-th stands for. */
static inline uint32_t stacks_count(const struct stacks *s, uint32_t i)
{
	return s->counts ? s->counts[i] : 1;
}

static inline const char *stacks_text(const struct stacks *s, uint32_t string)
{
	return s->text + s->strings[string];
}
/* Name of a frame for people: its name, else "libfoo.so+0x1234" into buf, or of code made at run time "[JIT] node
 * +0x1234". Never empty. */
const char *stacks_frame_name(const struct stacks *, uint32_t frame, char *buf, size_t size);
/* Last component of its module's path: "libc.so.6"; "" of the unknown one. */
const char *stacks_frame_module(const struct stacks *, uint32_t frame);

/* A copy with only what [from_us, to_us) has, indices made anew; a stretch off the CPU that reaches into it is whole.
 * NULL: no memory. */
struct stacks *stacks_cut(const struct stacks *, int64_t from_us, int64_t to_us);
/* Takes out the stretches off the CPU that end at to_us or later: of a cut that another one follows, which has them. */
void stacks_leave_to_next(struct stacks *, int64_t to_us);
/* Adds all of `from` to `to`, interned there, times as they are. 0 or -ENOMEM. */
int stacks_merge(struct stacks *to, const struct stacks *from);

/* A summary, for whoever wants all of it: samples of STACKS_CPU of one node, task and flags are one, with the sum of
 * their weights and the time of the latest; on which CPU they were is lost, and so is their order. Those of STACKS_OFF
 * are left out. NULL: no memory. */
struct stacks *stacks_sum(const struct stacks *);

#endif
