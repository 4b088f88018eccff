/*
 * Executable files of processes, each known once however many processes map it: how to unwind out of
 * its functions, and what they are called. Tables are made by a background thread from an
 * open file, so that a process that has exited, or lives in another mount namespace, is no obstacle.
 *
 * Invariants
 *  - The profiler's thread never waits: a module whose tables are not ready yet has none.
 *  - All tables together take at most memory_bytes; the one used longest ago goes first and is
 *    made again when it is needed.
 *  - A module that a space maps lives. When there are very many, those go that no space maps and nobody used for
 *    MODULE_FORGET_MS. A table that is in use stays until its user is done.
 */
#ifndef STROBE_UNWIND_MODULE_H
#define STROBE_UNWIND_MODULE_H

#include "base/host.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { MODULE_FORGET_MS = 20 * 60 * 1000 };
enum { BUILD_ID_MAX = 20, BUILD_ID_HEX = 2 * BUILD_ID_MAX + 1 };

struct modules;
struct module;

struct modules_config {
	const struct host *host;
	uint64_t memory_bytes;
};
int modules_open(struct modules **ret, const struct modules_config *);
void modules_close(struct modules *); /* NULL is fine */

struct module_key {
	/* As in MMAP2, dev made by makedev(); generation 0: not known. All 0: unknown, the path is the key. */
	uint64_t dev, ino, generation;
	const char *path; /* as the process sees it; "[vdso]" */
	uint32_t
		pid; /* through which it is opened: /proc/PID/map_files/START-END, /proc/PID/root/PATH, PATH */
	uint64_t start, end; /* of the mapping, for map_files */
};
/* Profiler's thread. The module of that file, made and opened if it is new (one or two system calls; its tables come
 * later). NULL: no memory. Never fails otherwise: a file that cannot be opened has no tables. */
struct module *modules_get(struct modules *, const struct module_key *);

const char *module_path(const struct module *);
/* As module_file_id(); "" until it is known, and of files that are no 64-bit ELF files. Any thread. */
const char *module_build_id(const struct module *);
/* The build-id of an open file, hexadecimal. Many have none (Go, --build-id=none): "file-" and what tells it from
 * others that had its name, on this host. "" as above. */
void module_file_id(int fd, char ret[BUILD_ID_HEX]);
#define MODULE_FILE_ID "file-"
/* Why there are no tables: "" when there are or will be. Any thread. */
const char *module_trouble(const struct module *);
/* An fd of the file to read from, owned by the module; -1: it could not be opened, or not yet. Background
 * thread: they are bounded, and modules_step() may close it. */
int module_fd(const struct module *);
/* A file that was mapped under that path with that build-id ("": any), also if it has been deleted since: an
 * fd of the caller's own, or -ENOENT, -errno. Any thread but the profiler's. */
int modules_file(struct modules *, const char *path, const char *build_id);
/* The path of the newest such file of that name, the path's last part; -ENOENT: none is known; -ENAMETOOLONG. Any thread
 * but the profiler's. */
int modules_path(struct modules *, const char *name, const char *build_id, char *ret, size_t size);
/* From a position in the file to its ELF address (p_vaddr). 0: no segment holds it, or not known yet. */
uint64_t module_vaddr(const struct module *, uint64_t file_off);
/* Its table is there, or there will be none: what module_function() says stands. Profiler's thread. */
bool module_is_settled(const struct module *);
/* Start of the function around an address (its FDE's start, or its symbol's), both ELF addresses; the address itself
 * where neither is known. Profiler's thread. */
uint64_t module_function(struct module *, uint64_t vaddr);

/* Background thread: builds what was asked for, one table a call. 1: there is more; 0: nothing to do; waits no
 * longer than wait_ms for work (modules_wake() ends that, too). */
int modules_step(struct modules *, int wait_ms);
void modules_wake(struct modules *); /* any thread, never waits */

struct modules_stats {
	uint64_t n_modules, n_tables, table_bytes, built, evicted;
};
void modules_stats(struct modules *, struct modules_stats *ret);

#endif
