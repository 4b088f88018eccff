/* Between the files of space.h and, for its inner loop, the profiler. Profiler's thread. */
#ifndef STROBE_UNWIND_SPACE_PRIVATE_H
#define STROBE_UNWIND_SPACE_PRIVATE_H

#include "unwind/cfi.h"
#include "unwind/space.h"

enum {
	SPACES_MAX = 8192,	    /* known at once */
	MAPPINGS_MAX = 2048,	    /* of one space: executable ones only */
	MAPPINGS_TOTAL = 256 << 10, /* of all spaces together: 10 MiB */
	SPACE_GONE_US = 5000000,
	/* A space whose mappings did not explain an address is read again, at most this often. */
	SPACE_AGAIN_MS = 500,
	SPACE_AGAIN_MAX_MS = 30000
};

/* Sorted, do not overlap. Shared by parent and child until one of them maps something. */
struct mappings {
	uint64_t version;
	uint32_t n_users, n, cap;
	bool jit; /* some of them are anonymous */
	struct mapping at[];
};

struct space {
	struct space *hash_next;
	struct space *older, *newer; /* by last use */
	struct spaces *owner;
	struct mappings *maps; /* NULL: none */
	uint32_t pid;
	bool fresh;	     /* after exec: its first file is its own executable */
	bool doubted;	     /* records were lost since */
	int64_t gone_us;     /* exited then; 0: it has not, -1: it has, at the next sweep */
	uint64_t again_ms;   /* not to be read again before then */
	uint32_t again_step; /* how long to wait then */
};

enum { SPACE_HASH_BITS = 12, SPACE_RULES_BITS = 13 };

/* What there is to know of a place in code, by its table's id and key: vaddr << 1 | whether a call returns there. One
 * line of the cache: between two rounds others have used it, and each line that is touched is waited for. */
struct space_rule {
	uint64_t key;
	uint32_t table;
	uint32_t
		row; /* unwind_table_look()'s, from 1 on; 0: none. The uppermost bit: there is a rule */
	/* For the profiler: the frame that it made of it, in that epoch, for that module. 0: none */
	uint32_t epoch, frame, module;
	struct cfi_rule rule;
};
_Static_assert(sizeof(struct space_rule) == 64, "one line of the cache");
#define SPACE_HAS_RULE (1u << 31)

struct spaces {
	const struct host *host;
	struct modules *modules;
	struct space *hash[1 << SPACE_HASH_BITS];
	struct space *oldest, *newest;
	size_t n, n_mappings;	  /* n_mappings: there is room for */
	uint64_t versions;	  /* given so far */
	struct space_rule *rules; /* 1 << SPACE_RULES_BITS of them */
	uint32_t n_gone;
	char *buf; /* to read maps with */
};

struct modules *space_modules(const struct space *);
struct unwind_table;
/* Of an ELF address; looked up unless it is known. Between modules_enter() and modules_leave(); valid until the next. */
struct space_rule *space_rule_at(const struct space *, const struct unwind_table *, uint64_t vaddr,
				 bool returns);
/* An address that no mapping explains: reads /proc/PID/maps once more unless that was done lately. True: it was read. */
bool space_again(struct space *);

/* Lets modules go that no space maps, where there are very many: before modules_get(). */
void spaces_prune_modules(struct spaces *);
/* 0; -ENOMEM: nothing changed. */
int space_add(struct space *, const struct mapping *);
void space_cut(struct space *, uint64_t start, uint64_t end);
void space_unmap_all(struct space *);
/* The first mapping that ends behind an address; NULL: none. */
const struct mapping *space_after(const struct space *, uint64_t addr);
/* From /proc/PID/maps, in place of what is known. 0; -ESRCH and its like: there is no such process. */
int space_read(struct space *);
/* Of code that was made at run time: neither a file nor the kernel's. */
bool space_path_is_jit(const char *path);

#endif
