/*
 * Between the files of module.h and, for its inner loop, the profiler. Which thread owns what:
 *  - the profiler's thread: the hash, and making modules;
 *  - the background thread: `all`, entries, and everything of a module that is written later;
 *  - what one writes for another is atomic, and published by a release-store.
 */
#ifndef STROBE_UNWIND_MODULE_PRIVATE_H
#define STROBE_UNWIND_MODULE_PRIVATE_H

#include "unwind/module.h"
#include "unwind/unwind_table.h"

#include <pthread.h>
#include <semaphore.h>
#include <stdatomic.h>

enum {
	MODULES_MAX = 16384,
	MODULE_FDS_MAX = 512,
	MODULE_PATH_MAX = 1024,
	SEGMENTS_MAX = 12,
	/* How long the code at a file's entry is that has no rule of its own and nobody called. */
	MODULE_ENTRY_BYTES = 96,
	/* A table that was used this lately is not given up for another one. */
	TABLE_KEEP_MS = 5000,
	/* And a module that found no room waits this long before it asks again. */
	TABLE_RETRY_MS = 10000,
	/* Building may take so much of a CPU in the long run, and so much at once before that counts. Behind that, a file is
	 * worth a table once it was wanted in so many rounds of reading. */
	BUILD_US_PER_S = 1000,
	BUILD_BURST_MS = 200,
	BUILD_DEBT_MS = 50,
	BUILD_ROUNDS = 4,
	/* With MODULES_MAX of them it is tried this often to forget some. */
	MODULES_PRUNE_MS = 10000,
	LOCAL_MAX = 64
};

struct module_segment {
	uint64_t off, size, vaddr; /* in the file; of it that is in the file */
	bool executable;
};

/* What a file says about itself in its first pages. */
struct module_head {
	char build_id[BUILD_ID_HEX]; /* as module_file_id() */
	struct module_segment segments[SEGMENTS_MAX];
	uint32_t n_segments;
	uint64_t entry; /* ELF address at which the kernel starts it; 0: none */
	bool foreign;	/* of another machine or word size */
};

/* A table, and how many modules use it: files with the same build-id share one. */
struct module_table {
	struct module_table *next;
	struct unwind_table *table;
	uint32_t n_users;
	uint64_t evicted_at; /* reader's sequence as it was taken out of use */
	uint64_t used_ms;    /* by any of them, as it was looked up last */
};

/* What changes when a file is written to, though it is the same inode. */
struct module_stamp {
	uint64_t size;
	int64_t changed_ns; /* its content; both 0: not known */
};

struct module {
	struct module *hash_next;
	struct module *asked_next;
	struct module *all_next;
	struct modules *owner;
	uint32_t id;		   /* no other module had it before */
	struct module_key key;	   /* its path is owned */
	struct module_stamp stamp; /* as it was found: profiler's thread */
	struct module_head head;
	_Atomic bool known;	       /* head is filled */
	_Atomic int fd;		       /* to read from */
	_Atomic int path_fd;	       /* O_PATH, to make fd from */
	_Atomic(const char *) trouble; /* "" or why there are no tables */
	_Atomic(struct unwind_table *) table;
	_Atomic uint64_t used_ms;
	_Atomic bool asked; /* for its table; cleared as it is built */
	_Atomic bool hopeless;
	bool listed;	    /* in `all` */
	uint64_t wanted_ms; /* last, and in how many rounds: profiler's thread */
	uint32_t n_wanted;
	bool mapped; /* profiler's thread, while it looks which ones can go */
	uint32_t index,
		epoch; /* the same: as what it stands in the profiler's stacks, of that epoch */
	struct module_table *entry;
	_Atomic bool wanted;	   /* its table, and not only what its first pages say */
	_Atomic uint64_t retry_ms; /* there was no room: not to be asked for before */
	size_t need_bytes;	   /* of its table as it was built last */
};

enum { HASH_BITS = 12 };

struct modules {
	const struct host *host;
	uint64_t memory_bytes;
	/* TABLE_KEEP_MS, TABLE_RETRY_MS, BUILD_US_PER_S, but in tests */
	uint64_t keep_ms, retry_wait_ms, build_us_per_s;
	struct module *hash[1 << HASH_BITS];
	struct module *overflow; /* stands for all beyond MODULES_MAX */
	sem_t wake;
	_Atomic(struct module *) asked;	  /* a stack, latest first */
	_Atomic(struct module *) dropped; /* the same, of those to be freed */
	uint64_t pruned_ms;		  /* last tried then */
	uint32_t last_id;
	/* File systems without a device of their own: is it one of this host? */
	struct {
		uint64_t dev;
		bool local;
	} local[LOCAL_MAX];
	uint32_t n_local;
	_Atomic uint32_t n_modules, n_fds, n_fds_max;
	_Atomic uint64_t now_ms;
	/* Odd while the profiler's thread may hold a table. */
	_Atomic uint64_t reader;

	/* Programs that begin all the time: what may be spent on tables, its time, and whether that is used up. */
	int64_t credit_ns;
	uint64_t credit_at_ns;
	_Atomic bool in_debt;

	pthread_mutex_t lock; /* of `all`: background and modules_file() */
	struct module *all;
	struct module *todo, **todo_end;
	struct module_table *entries, *evicted;
	_Atomic uint64_t n_tables, table_bytes, built, n_evicted;
};

/* ---- module_file.c ---- */

/* Without ever waiting for a file system: an O_PATH fd or -errno. */
int module_file_pin(const struct host *, const struct module_key *);
/* Background: one to read from. */
int module_file_open(const struct host *, const struct module_key *, int path_fd);
/* Is the file on a disk of this host, so that reading of it does not wait for others? */
bool module_file_is_local(struct modules *, const struct module_key *);
int module_file_reopen(int path_fd);
/* Does not wait for a server. 0 or -errno. */
int module_file_stamp(int fd, struct module_stamp *ret);
/* 0; -ENOEXEC; -errno. */
int module_file_head(int fd, struct module_head *ret);

/* ---- for space.c, profiler's thread ---- */

/* Are there as many as may be, and was nothing done about that lately? Then space.c sets `mapped` of those that it knows
 * and calls modules_prune(). */
bool modules_are_full(struct modules *, uint64_t now_ms);
void modules_prune(struct modules *, uint64_t now_ms);

/* ---- for unwind.c, profiler's thread ---- */

uint64_t modules_enter(struct modules *); /* from here to modules_leave() tables stay */
void modules_leave(struct modules *, uint64_t);
/* NULL: none now; then it has been asked for. */
const struct unwind_table *module_table(struct module *);
/* Is it the code with which the kernel, or the loader, begins a program? */
static inline bool module_is_entry(const struct module *m, uint64_t vaddr)
{
	return m->head.entry && vaddr >= m->head.entry &&
	       vaddr - m->head.entry < MODULE_ENTRY_BYTES;
}
/* Will there be none? */
static inline bool module_is_hopeless(const struct module *m)
{
	return atomic_load_explicit(&m->hopeless, memory_order_acquire);
}
void module_ask(struct module *);
void module_free(struct module *); /* NULL is fine */
/* Its table will be needed. */
void module_want(struct module *);
/* Background: takes what was asked for. */
struct module *modules_take_asked(struct modules *);

#endif
