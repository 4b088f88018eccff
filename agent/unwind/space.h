/*
 * The address space of a process as the profiler knows it: which file lies where. Built from /proc/PID/maps
 * when a process is first seen and kept up by the kernel's side-band records (mmap, fork, exec,
 * exit), so that a process that has exited still resolves. Profiler's thread only.
 */
#ifndef STROBE_UNWIND_SPACE_H
#define STROBE_UNWIND_SPACE_H

#include "unwind/module.h"

struct mapping {
	uint64_t start, end;   /* addresses */
	uint64_t file_off;     /* of start */
	struct module *module; /* NULL: anonymous: code there was made at run time */
	bool main;	       /* of the process's own executable */
};

struct space;
struct spaces;
int spaces_open(struct spaces **ret, const struct host *, struct modules *);
void spaces_close(struct spaces *);

/* Of a process that runs in user space; read from /proc when it is not known yet. NULL: it is gone, or there is no
 * memory. */
struct space *spaces_get(struct spaces *, uint32_t pid);
const struct mapping *space_find(const struct space *, uint64_t addr); /* or NULL */
uint32_t space_pid(const struct space *);
/* Names what is mapped where: another whenever that changes, the same for a parent and a child that has mapped
 * nothing of its own yet. 0: nothing is mapped. */
uint64_t space_version(const struct space *);
/* Has memory that was made executable at run time or a perf map: a JIT. */
bool space_has_jit(const struct space *);

/* Side-band. */
struct space_mmap {
	uint64_t start, len, file_off, dev, ino, generation;
	const char *path; /* "//anon", "[vdso]", ... */
	bool executable;
};
void spaces_mmap(struct spaces *, uint32_t pid, const struct space_mmap *);
void spaces_fork(struct spaces *, uint32_t pid,
		 uint32_t parent);		 /* the child has what its parent has */
void spaces_exec(struct spaces *, uint32_t pid); /* everything is unmapped */
void spaces_exit(
	struct spaces *,
	uint32_t pid); /* its main thread: forgotten a few seconds later, unless it is seen again */
/* Side-band records were lost: what is known is read from /proc again before it is used. */
void spaces_doubt(struct spaces *);
/* Once a second or so: forgets those that exited, and beyond a bound those not sampled for longest. */
void spaces_sweep(struct spaces *, int64_t now_us);
size_t spaces_count(const struct spaces *);

#endif
