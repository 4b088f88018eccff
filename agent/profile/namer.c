#include "profile/namer.h"

#include "profile/namer_tables.h"

#include "base/cleanup.h"

#include <errno.h>
#include <limits.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { NAME_SIZE = 1024, MISSING_SIZE = 5 << 10 };

struct namer {
	pthread_mutex_t lock;
	struct namer_tables tables;
	bool await_kernel;
	bool steps; /* namer_step() is called: namer_name() need not open files itself */
	char missing[MISSING_SIZE];
};

int namer_open(struct namer **ret, const struct namer_config *c)
{
	struct namer *n = calloc(1, sizeof(*n));

	if (!n)
		return -ENOMEM;
	n->tables.c = *c;
	pthread_mutex_init(&n->lock, NULL);
	*ret = n;
	return 0;
}

void namer_close(struct namer *n)
{
	if (!n)
		return;
	tables_close(&n->tables);
	pthread_mutex_destroy(&n->lock);
	free(n);
}

void namer_set_kernel(struct namer *n, struct kernel_symbols *k)
{
	pthread_mutex_lock(&n->lock);
	n->tables.c.kernel = k;
	pthread_mutex_unlock(&n->lock);
}

void namer_await_kernel(struct namer *n, bool await)
{
	pthread_mutex_lock(&n->lock);
	n->await_kernel = await;
	pthread_mutex_unlock(&n->lock);
}

/* ---- names ---- */

static void set_name(struct stacks *s, uint32_t frame, const char *name)
{
	uint32_t string = stacks_string(s, name, strlen(name));

	s->frames[frame].name = string;
	s->frames[frame].missed = !string && !stacks_failed(s);
}

static void name_file(const struct namer *n, struct stacks *s, uint32_t frame,
		      const struct namer_table *t)
{
	uint64_t addr = s->frames[frame].addr;
	char buf[NAME_SIZE];

	/* The profiler could not read the file: it is a position in it (profiler_stack.c). */
	if (n->tables.c.modules && !t->build_id[0])
		addr = t->symtab ? symtab_vaddr(t->symtab, addr) : 0;
	if (addr && t->symtab && symtab_find(t->symtab, addr, buf, sizeof(buf), NULL) == 0)
		set_name(s, frame, buf);
	else
		s->frames[frame].missed = true;
}

static void name_kernel(const struct namer *n, struct stacks *s, uint32_t frame, bool all)
{
	const struct kernel_symbols *k = n->tables.c.kernel;
	const char *name = k ? kernel_name(k, s->frames[frame].addr, NULL) : NULL;

	if (name)
		set_name(s, frame, name);
	else
		s->frames[frame].missed = all || !n->await_kernel;
}

static void name_jit(struct stacks *s, uint32_t frame, const struct namer_table *t, bool all)
{
	const char *name = t->map ? perf_map_find(t->map, s->frames[frame].addr, NULL) : NULL;

	if (name)
		set_name(s, frame, name);
	else
		s->frames[frame].missed = all;
}

/* ---- frames by module: a table is opened at most once a call, however little memory there is ---- */

struct work {
	uint32_t *frames; /* without a name, by module */
	uint32_t *ends;	  /* of each module's */
};

static bool is_pending(const struct stacks_frame *f)
{
	return !f->name && !f->missed;
}

static int sort_work(struct work *w, const struct stacks *s)
{
	uint32_t n = 0;

	for (uint32_t i = 1; i < s->n_frames; i++)
		n += is_pending(&s->frames[i]);
	if (!n)
		return -ENODATA;
	w->frames = calloc(n, sizeof(*w->frames));
	w->ends = calloc(s->n_modules + 1, sizeof(*w->ends));
	if (!w->frames || !w->ends)
		return -ENOMEM;
	for (uint32_t i = 1; i < s->n_frames; i++)
		if (is_pending(&s->frames[i]))
			w->ends[s->frames[i].module + 1]++;
	for (uint32_t m = 1; m <= s->n_modules; m++)
		w->ends[m] += w->ends[m - 1];
	/* ends[m] is where m's begin; counted up, it is where they end. */
	for (uint32_t i = 1; i < s->n_frames; i++)
		if (is_pending(&s->frames[i]))
			w->frames[w->ends[s->frames[i].module]++] = i;
	return 0;
}

/* False: not now, the file has still to be opened, or may yet be found. */
static bool prepare(struct namer *n, struct namer_table *t, enum module_kind kind, uint32_t pid,
		    bool may_open, bool last_try)
{
	if (kind == MODULE_JIT && may_open)
		tables_open_map(&n->tables, t, pid);
	else if (kind == MODULE_JIT)
		t->wanted = true; /* a map may take a second to read */
	else if (!t->symtab && !table_failed(t)) {
		t->wanted = !may_open;
		if (!may_open)
			return false;
		tables_open_symtab(&n->tables, t);
	}
	return kind == MODULE_JIT || t->symtab || last_try || table_is_hopeless(t);
}

/* The frames [from, to) of one module. True: a file was opened for it. */
static bool name_module(struct namer *n, struct stacks *s, const struct work *w, uint32_t from,
			uint32_t to, bool all, bool may_open)
{
	const struct stacks_module *m = &s->modules[s->frames[w->frames[from]].module];
	uint32_t pid = 0;
	enum module_kind kind = module_kind_of(stacks_text(s, m->name), &pid);
	struct namer_table *t = NULL;
	bool had = false;

	if (kind != MODULE_NONE && kind != MODULE_KERNEL) {
		t = tables_get(&n->tables, stacks_text(s, m->name), stacks_text(s, m->build_id));
		had = t && (t->symtab || table_failed(t));
		if (!t || !prepare(n, t, kind, pid, may_open, all))
			return false;
	}
	for (uint32_t i = from; i < to; i++) {
		uint32_t frame = w->frames[i];

		if (s->frames[frame].type == STACKS_KERNEL)
			name_kernel(n, s, frame, all);
		else if (kind == MODULE_JIT)
			name_jit(s, frame, t, all);
		else if (t)
			name_file(n, s, frame, t);
		else
			s->frames[frame].missed = true;
	}
	return t && kind != MODULE_JIT && !had;
}

void namer_name(void *namer, struct stacks *s, bool all)
{
	struct namer *n = namer;
	struct work w = {0};
	bool opened = false;

	if (sort_work(&w, s) == 0) {
		pthread_mutex_lock(&n->lock);
		n->tables.evicted = false;
		for (uint32_t m = 0, from = 0; m < s->n_modules; from = w.ends[m++])
			if (w.ends[m] > from)
				opened |= name_module(n, s, &w, from, w.ends[m], all,
						      all || !(n->steps || opened));
		pthread_mutex_unlock(&n->lock);
	}
	free(w.frames);
	free(w.ends);
}

int namer_step(struct namer *n)
{
	struct namer_table *next = NULL;
	int more = 0;

	pthread_mutex_lock(&n->lock);
	n->steps = true;
	/* What gives way now was opened for names that are still to be given. */
	for (size_t i = 0; i < n->tables.n && !n->tables.evicted; i++) {
		struct namer_table *t = n->tables.v[i];

		if (!t->wanted)
			continue;
		more = next != NULL;
		if (next)
			break;
		next = t;
	}
	uint32_t pid;

	if (next && module_kind_of(next->path, &pid) == MODULE_JIT)
		tables_open_map(&n->tables, next, pid);
	else if (next)
		tables_open_symtab(&n->tables, next);
	more = more && !n->tables.evicted;
	pthread_mutex_unlock(&n->lock);
	return more;
}

/* ---- questions ---- */

/* Trees know modules by the last part of their path: the whole, where it is known. */
static const char *whole_path(const struct namer *n, const char *module, const char *build_id,
			      char *buf, size_t size)
{
	uint32_t pid;

	if (module_kind_of(module, &pid) == MODULE_NONE && n->tables.c.modules &&
	    modules_path(n->tables.c.modules, module, build_id, buf, size) == 0)
		return buf;
	return module;
}

const char *namer_missing(struct namer *n, const char *module, const char *build_id)
{
	char path[PATH_MAX];
	const char *module_path = whole_path(n, module, build_id, path, sizeof(path));
	uint32_t pid = 0;
	enum module_kind kind = module_kind_of(module_path, &pid);

	pthread_mutex_lock(&n->lock);
	n->missing[0] = 0;
	if (kind == MODULE_KERNEL && !n->tables.c.kernel)
		snprintf(n->missing, sizeof(n->missing),
			 "addresses in /proc/kallsyms are hidden, or it does not exist");
	struct namer_table *t = kind == MODULE_FILE || kind == MODULE_JIT || kind == MODULE_VDSO
					? tables_get(&n->tables, module_path, build_id)
					: NULL;

	if (t && kind == MODULE_JIT)
		tables_open_map(&n->tables, t, pid);
	else if (t && !t->missing)
		tables_open_symtab(&n->tables, t);
	if (t && kind == MODULE_FILE)
		tables_find_package(t);
	if (t && t->missing)
		snprintf(n->missing, sizeof(n->missing), "%s", t->missing);
	symbol_clean(n->missing);
	pthread_mutex_unlock(&n->lock);
	return n->missing;
}

int namer_lines(struct namer *n, const char *module, const char *build_id, const uint64_t *vaddrs,
		size_t n_vaddrs, struct symbol_line **ret, size_t *ret_n)
{
	char path[PATH_MAX];
	const char *whole = whole_path(n, module, build_id, path, sizeof(path));
	uint32_t pid;

	if (module_kind_of(whole, &pid) == MODULE_NONE)
		return -ENXIO;
	if (module_kind_of(whole, &pid) != MODULE_FILE || (n->tables.c.modules && !build_id[0]))
		return -ENODATA;
	pthread_mutex_lock(&n->lock);
	_cleanup_close_ int fd = tables_file(&n->tables, whole, build_id);

	pthread_mutex_unlock(&n->lock);
	return fd < 0 ? fd : symbol_lines(fd, "", vaddrs, n_vaddrs, ret, ret_n);
}
