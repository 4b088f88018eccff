/*
 * Gives frames their names: of modules by their symbol tables, of the kernel by kallsyms, of JITs by their perf
 * maps. Tables are held within a bound, the one used longest ago goes first. Background thread.
 */
#ifndef STROBE_PROFILE_NAMER_H
#define STROBE_PROFILE_NAMER_H

#include "stacks/stacks.h"
#include "symbols/symbols.h"
#include "unwind/module.h"

struct namer;
struct namer_config {
	const struct host *host;
	struct modules *modules;       /* to find a module's file by its path and build-id */
	struct kernel_symbols *kernel; /* NULL: not readable */
	uint64_t memory_bytes;
};
int namer_open(struct namer **ret, const struct namer_config *);
void namer_close(struct namer *);
/* A profiles_config.name: names what has neither a name nor `missed`, and sets one of the two for each (of a JIT only
 * when `all`, or when its map has it; of a file that cannot be opened when `all`, or when that has failed a few times). */
void namer_name(void *namer, struct stacks *, bool all);
/* Background thread, without any other lock: opens one of the tables that namer_name() did without. 1: there is
 * more and room for it. Where it is never called, namer_name() opens one a call, and waits for the disk. */
int namer_step(struct namer *);
/* Symbols of the kernel from now on, in place of those that are closed; any thread. */
void namer_set_kernel(struct namer *, struct kernel_symbols *);
/* While true, code of the kernel without a name is left for later, unless `all`: its symbols may be read anew. */
void namer_await_kernel(struct namer *, bool);
/* What is missing for a module, in words; "" if nothing. Valid until the next call. */
const char *namer_missing(struct namer *, const char *module_path, const char *build_id);
/* Of a frame that was clicked, see symbol_lines(); -ENXIO: nobody has mapped a file with that last part of its path.
 * Takes the namer's lock: query thread. */
int namer_lines(struct namer *, const char *module, const char *build_id, const uint64_t *vaddrs,
		size_t n_vaddrs, struct symbol_line **ret, size_t *n);

#endif
