/* Of a tree: which modules have functions without names, and what would name them. */
#include "serve/profile.h"

#include <stdio.h>
#include <string.h>

size_t profile_find_missing(const struct profile_call *c, const struct fold_tree *t,
			    char (*ret)[PROFILE_MISSING_TEXT])
{
	struct namer *namer = c->profiler ? profiler_namer(c->profiler) : NULL;
	struct {
		uint64_t us;
		uint32_t module, build_id;
		bool jit;
	} seen[64];
	size_t n = 0, n_seen = 0;

	for (uint32_t i = 1; namer && i < t->n_nodes; i++) {
		const struct fold_node *f = &t->nodes[i];
		size_t k = 0;

		if (!t->text[t->strings[f->module]] || f->type == STACKS_KERNEL ||
		    f->type >= STACKS_TYPES || !strstr(t->text + t->strings[f->name], "+0x"))
			continue;
		/* Of all code made at run time the same is to be said, once. */
		while (k < n_seen && seen[k].module != f->module &&
		       !(seen[k].jit && f->type == STACKS_JIT))
			k++;
		if (k == sizeof(seen) / sizeof(*seen))
			continue;
		if (k == n_seen) {
			seen[n_seen].module = f->module;
			seen[n_seen].build_id = f->build_id;
			seen[n_seen].jit = f->type == STACKS_JIT;
			seen[n_seen++].us = 0;
		}
		seen[k].us += f->total_us;
	}
	for (; n < PROFILE_MISSING && n_seen; n_seen--) {
		size_t most = 0;

		for (size_t k = 1; k < n_seen; k++)
			most = seen[k].us > seen[most].us ? k : most;
		const char *module = t->text + t->strings[seen[most].module];
		const char *why =
			namer_missing(namer, module, t->text + t->strings[seen[most].build_id]);

		if (*why)
			snprintf(ret[n++], PROFILE_MISSING_TEXT, "%.127s: %.500s", module, why);
		seen[most] = seen[n_seen - 1];
	}
	return n;
}
