/* Of a frame that was clicked: where it is in the source. */
#include "serve/profile.h"

#include "base/cleanup.h"

#include <errno.h>
#include <limits.h>
#include <string.h>

enum { CACHE_BYTES = 16 << 20 };

/* ---- the whole path of a module, which trees know by its last part ---- */

struct wanted {
	const struct job *job;
	const char *module, *build_id;
	char path[PATH_MAX];
};

static int find_path(void *arg, const struct stacks *s)
{
	struct wanted *w = arg;

	for (uint32_t i = 1; i < s->n_modules; i++) {
		const char *path = stacks_text(s, s->modules[i].name);
		const char *slash = strrchr(path, '/');

		if (path[0] != '/' || strcmp(slash + 1, w->module) != 0 ||
		    strcmp(stacks_text(s, s->modules[i].build_id), w->build_id) != 0 ||
		    strlen(path) >= sizeof(w->path))
			continue;
		strcpy(w->path, path);
		return 1;
	}
	return atomic_load(&w->job->cancel) ? -ECANCELED : 0;
}

/* As the stacks have it: of an earlier agent's, or a capture's, nothing is mapped. */
static bool find(const struct job *job, struct wanted *w)
{
	const struct profile_call *c = job->arg;

	*w = (struct wanted){.job = job, .module = c->module, .build_id = c->build_id};
	return c->profiles && c->build_id[0] && c->module[0] && c->module[0] != '[' &&
	       profiles_each(c->profiles, INT64_MIN, INT64_MAX, find_path, w) == 1;
}

/* ---- its places ---- */

struct places {
	uint64_t addrs[SYMBOL_LINES_MAX];
	unsigned of[SYMBOL_LINES_MAX];
	size_t n;
};

static struct places places_of(const struct profile_call *c)
{
	struct places p = {0};

	if (c->self_at) {
		p.addrs[p.n] = c->addr + c->self_at - 1;
		p.of[p.n++] = STROBE__V1__LINE_OF__SELF;
	}
	if (c->call_at) {
		p.addrs[p.n] = c->addr + c->call_at - 1;
		p.of[p.n++] = STROBE__V1__LINE_OF__CALL;
	}
	if (!p.n) {
		p.addrs[p.n] = c->addr;
		p.of[p.n++] = STROBE__V1__LINE_OF__START;
	}
	return p;
}

static int read_lines(struct namer *namer, const struct job *job, const struct places *p,
		      struct symbol_line **ret, size_t *n, const char **ret_missing)
{
	const struct profile_call *c = job->arg;
	const char *module = c->module;
	struct wanted w;
	/* A client names modules of a file as the file does, and no other file of this host. */
	int r = c->profiler ? namer_lines(namer, module, c->build_id, p->addrs, p->n, ret, n)
			    : -ENXIO;

	if (r == -ENXIO && find(job, &w)) {
		module = w.path;
		r = namer_lines(namer, module, c->build_id, p->addrs, p->n, ret, n);
	}
	if (r == -ENXIO)
		*ret_missing = "its file is not known here";
	else if (r < 0)
		*ret_missing = namer_missing(namer, module, c->build_id);
	if (r < 0 && !**ret_missing)
		*ret_missing = "there is no line information (DWARF) for this module";
	return r;
}

int profile_run_lines(struct job *job)
{
	struct profile_call *c = job->arg;
	struct namer *own = NULL, *namer = c->profiler ? profiler_namer(c->profiler) : NULL;
	const struct namer_config nc = {.memory_bytes = CACHE_BYTES};
	struct places p = places_of(c);
	struct symbol_line *lines = NULL;
	const char *missing = "";
	size_t n = 0;
	/* Without a profiler it is a file, of whatever host: what has the same build-id here is the same. */
	int r = namer ? 0 : c->build_id[0] ? namer_open(&own, &nc) : -ENOENT;

	if (r == 0)
		r = read_lines(namer ? namer : own, job, &p, &lines, &n, &missing);
	else if (r == -ENOENT)
		missing = "the file of this module cannot be known again without a build-id";
	for (size_t i = 0; r == 0 && i < n; i++)
		lines[i].of = p.of[lines[i].of];
	profile_put_lines(&job->text, job->req, lines, r < 0 ? 0 : n, missing);
	if (r == 0)
		symbol_lines_free(lines, n);
	namer_close(own);
	return r == -ENOMEM ? r : 0;
}
