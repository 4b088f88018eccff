/*
 * Sampled stacks from wherever `strobe flame` has them: a capture's PROFILE sections, one epoch, another tool's
 * file, or an answer of the agent. Messages go to stderr.
 */
#ifndef STROBE_CMD_FLAME_LOAD_H
#define STROBE_CMD_FLAME_LOAD_H

#include "import/import.h"
#include "serve/client.h"

struct flame_sets {
	struct stacks **sets; /* oldest first, on one timeline */
	size_t n;
	int64_t from_us, to_us;	    /* what they stand for */
	int64_t real_off_us;	    /* wall clock = at_us + real_off_us; 0: unknown */
	bool has_time;		    /* samples know when */
	bool has_tasks, has_cpu;    /* and whose they are, and on which CPU they were */
	char unit[IMPORT_UNIT_MAX]; /* as of import_result */
	char what[64];		    /* its event or sample type ("cycles", "inuse_space"), "" */
	bool uneven;	/* samples stand for times of any length: their number says nothing */
	char host[256]; /* "": unknown */
	enum stacks_kind kind; /* what there is more of */
};

/* 0, or -errno, which was said. format: how to read it; IMPORT_ANY: see what it is. event: which of several, as of
 * import_file_event(); NULL: that with most samples. */
int flame_load_file(struct flame_sets *ret, const char *path, enum import_format,
		    const char *event);
/* target: "/api/v1/profile?...&format=strobe"; what: begins what is said, "" or "the baseline: ". */
int flame_load_agent(struct flame_sets *ret, const struct client *, const char *target,
		     const char *what);
void flame_sets_done(struct flame_sets *);

void flame_sets_move(struct flame_sets *, int64_t us); /* all their times */
/* The same; from then on they have some, so that ranges tell them from others. */
void flame_sets_shift(struct flame_sets *, int64_t us);

/* Their weights, divided by 1024 to the power, are in that unit. */
void flame_sets_divide(struct flame_sets *, unsigned power, const char *unit);

#endif
