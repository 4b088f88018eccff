/*
 * Private to import_cpuprofile*.c.
 */
#ifndef STROBE_IMPORT_IMPORT_CPUPROFILE_H
#define STROBE_IMPORT_IMPORT_CPUPROFILE_H

#include "import/import_json.h"

enum { PROFILES_MAX = 1024, DEPTH_MAX = 4096 };

/* One thread's profile. */
struct chrome_thread {
	uint32_t pid, tid;
	char id[32];
	const char *name;
	int64_t start_us;
	struct idmap nodes; /* its id -> node of the stacks */
	struct idmap idle;  /* ids of "(idle)" */
	/* the sample that lasts until the next one */
	bool any;
	int64_t at_us;
	uint64_t id_at;
	uint32_t task;
};

struct chrome {
	struct import *m;
	struct stacks *s;
	struct chrome_thread *threads;
	size_t n_threads;
	int64_t from_us, to_us;
};

/* Nodes within nodes; a list of them, by children or by parents. 0 or -ENOMEM. */
int chrome_put_tree(struct chrome *, struct chrome_thread *, const json_t *node, uint32_t parent,
		    unsigned depth);
int chrome_put_nodes(struct chrome *, struct chrome_thread *, const json_t *nodes);

#endif
