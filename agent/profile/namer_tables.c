#include "profile/namer_tables.h"

#include "symbols/package.h"
#include "symbols/root_file.h"
#include "symbols/symbols_file.h"

#include "base/cleanup.h"
#include "base/clock.h"
#include "base/parse.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { TABLES_MAX = 4096, HELD_MAX = 256, TEXT_MAX = 5 << 10, TRIES = 3, NS_PID_US = 5000000 };

enum module_kind module_kind_of(const char *path, uint32_t *pid)
{
	const char *p = path + 5;
	int64_t v;

	if (PARSE_STARTS(path, "perf-") && parse_i64(&p, &v) && strcmp(p, ".map") == 0 && v > 0) {
		*pid = (uint32_t)v;
		return MODULE_JIT;
	}
	if (path[0] == '/' && path[1] != '/')
		return MODULE_FILE;
	if (strcmp(path, "[vdso]") == 0)
		return MODULE_VDSO;
	return strcmp(path, "[kernel]") == 0 ? MODULE_KERNEL : MODULE_NONE;
}

/* ---- entries ---- */

static void drop(struct namer_tables *ts, struct namer_table *t)
{
	symtab_close(t->symtab);
	perf_map_close(t->map);
	t->symtab = NULL;
	t->map = NULL;
	ts->bytes -= t->bytes;
	t->bytes = 0;
}

static void entry_free(struct namer_tables *ts, struct namer_table *t)
{
	drop(ts, t);
	free(t->path);
	free(t->missing);
	free(t);
}

void tables_close(struct namer_tables *ts)
{
	for (size_t i = 0; i < ts->n; i++)
		entry_free(ts, ts->v[i]);
	free(ts->v);
	*ts = (struct namer_tables){0};
}

/* The place of the entry used longest ago among those that hold a table, or among all. */
static size_t oldest(const struct namer_tables *ts, const struct namer_table *but, bool held)
{
	size_t best = SIZE_MAX;

	for (size_t i = 0; i < ts->n; i++) {
		const struct namer_table *t = ts->v[i];

		if (t != but && (!held || t->bytes) &&
		    (best == SIZE_MAX || t->used < ts->v[best]->used))
			best = i;
	}
	return best;
}

static struct namer_table *entry_new(const char *path, const char *build_id)
{
	struct namer_table *t = calloc(1, sizeof(*t));

	if (!t)
		return NULL;
	t->path = strdup(path);
	if (!t->path) {
		free(t);
		return NULL;
	}
	snprintf(t->build_id, sizeof(t->build_id), "%s", build_id);
	return t;
}

struct namer_table *tables_get(struct namer_tables *ts, const char *path, const char *build_id)
{
	for (size_t i = 0; i < ts->n; i++)
		if (strcmp(ts->v[i]->path, path) == 0 &&
		    strncmp(ts->v[i]->build_id, build_id, BUILD_ID_HEX - 1) == 0) {
			ts->v[i]->used = ++ts->clock;
			return ts->v[i];
		}
	if (ts->n == ts->cap && ts->n < TABLES_MAX) {
		size_t cap = ts->cap ? 2 * ts->cap : 64;
		void *v = realloc(ts->v, cap * sizeof(struct namer_table *));

		if (!v)
			return NULL;
		ts->v = v;
		ts->cap = cap;
	}
	struct namer_table *t = entry_new(path, build_id);

	if (!t)
		return NULL;
	if (ts->n == TABLES_MAX) {
		size_t i = oldest(ts, NULL, false);

		entry_free(ts, ts->v[i]);
		ts->v[i] = ts->v[--ts->n];
	}
	t->used = ++ts->clock;
	ts->v[ts->n++] = t;
	return t;
}

/* What has just been opened stays, whatever it takes. */
static void account(struct namer_tables *ts, struct namer_table *t)
{
	size_t bytes =
		(t->symtab ? symtab_bytes(t->symtab) : 0) + (t->map ? perf_map_bytes(t->map) : 0);
	size_t n_held = 0, i;

	ts->bytes += bytes - t->bytes;
	t->bytes = bytes;
	for (i = 0; i < ts->n; i++)
		n_held += ts->v[i]->bytes != 0;
	while ((ts->bytes > ts->c.memory_bytes || n_held > HELD_MAX) &&
	       (i = oldest(ts, t, true)) != SIZE_MAX) {
		drop(ts, ts->v[i]);
		ts->evicted = true;
		n_held--;
	}
}

/* ---- files ---- */

static bool has_id(int fd, const char *build_id)
{
	struct symfile f;
	char id[SYMFILE_ID_SIZE];

	if (!build_id[0])
		return true;
	if (PARSE_STARTS(build_id, MODULE_FILE_ID)) {
		module_file_id(fd, id);
		return strcmp(id, build_id) == 0;
	}
	if (symfile_open(&f, fd) < 0)
		return false;
	symfile_build_id(&f, id);
	symfile_close(&f);
	return strcmp(id, build_id) == 0;
}

int tables_file(const struct namer_tables *ts, const char *path, const char *build_id)
{
	int fd = ts->c.modules ? modules_file(ts->c.modules, path, build_id) : -ENOENT;

	/* Not mapped by anything that is known: of an earlier agent, or of a capture. By its path alone it could be of
	 * another mount namespace. */
	if (fd < 0 && ts->c.modules && !build_id[0])
		return fd;
	if (fd < 0)
		fd = root_file("", path);
	if (fd >= 0 && has_id(fd, build_id)) /* a file that is mapped may be written to */
		return fd;
	int r = fd < 0 ? fd : -ESTALE;

	if (fd >= 0)
		close(fd);
	fd = debug_file_open_id(build_id, "");
	return fd < 0 ? r : fd;
}

static void explain(struct namer_table *t, int r)
{
	char text[TEXT_MAX];

	if (r == -ENOEXEC)
		snprintf(text, sizeof(text), "%s is not an ELF file", t->path);
	else if (PARSE_STARTS(t->build_id, MODULE_FILE_ID) && (r == -ESTALE || r == -ENOENT))
		snprintf(text, sizeof(text),
			 "%s is gone or another one now, and it had no build-id by which to find "
			 "its debug file",
			 t->path);
	else if (r == -ESTALE)
		snprintf(text, sizeof(text),
			 "%s is another build now: put the debug file of build-id %s at "
			 "/usr/lib/debug/.build-id/%.2s/%s.debug",
			 t->path, t->build_id, t->build_id, t->build_id + 2);
	else if (r == -ENOENT && strlen(t->build_id) > 2)
		snprintf(text, sizeof(text),
			 "%s is gone: put it back, or the debug file of build-id %s at "
			 "/usr/lib/debug/.build-id/%.2s/%s.debug",
			 t->path, t->build_id, t->build_id, t->build_id + 2);
	else
		snprintf(text, sizeof(text), "%s cannot be read: %s", t->path, strerror(-r));
	free(t->missing);
	t->missing = strdup(text);
}

bool table_failed(const struct namer_table *t)
{
	static const uint64_t retry_us[TRIES] = {200000, 1000000, 5000000};

	return t->failed_us && clock_mono_us() - t->failed_us < retry_us[t->n_failed - 1];
}

bool table_is_hopeless(const struct namer_table *t)
{
	return t->n_failed == TRIES;
}

void tables_open_symtab(struct namer_tables *ts, struct namer_table *t)
{
	int r;

	t->wanted = false;
	if (t->symtab || table_failed(t))
		return;
	if (strcmp(t->path, "[vdso]") == 0) {
		r = symtab_open_vdso(&t->symtab);
	} else {
		_cleanup_close_ int fd = tables_file(ts, t->path, t->build_id);

		r = fd < 0 ? fd : symtab_open(&t->symtab, fd, "");
	}
	t->failed_us = r < 0 && r != -ENOMEM ? clock_mono_us() : 0;
	if (r == 0)
		t->n_failed = 0;
	else if (t->failed_us)
		t->n_failed = r == -ENOEXEC || t->n_failed == TRIES ? TRIES : t->n_failed + 1;
	if (t->symtab) {
		free(t->missing);
		t->missing = strdup(symtab_missing(t->symtab));
		t->packaged = false;
	} else if (r < 0) {
		explain(t, r);
	}
	if (t->failed_us && t->symtab) {
		symtab_close(t->symtab);
		t->symtab = NULL;
	}
	account(ts, t);
}

void tables_find_package(struct namer_table *t)
{
	const char *at = t->missing && !t->packaged ? strstr(t->missing, SYMTAB_PACKAGE) : NULL;
	char package[128], debug[144], *text;
	_cleanup_close_ int fd = -1;

	if (!at)
		return;
	t->packaged = true;
	/* In another mount namespace that path is another file. */
	fd = root_file("", t->path);
	if (fd < 0 || !has_id(fd, t->build_id))
		return;
	if (package_owner(PACKAGE_LISTS, t->path, package, sizeof(package)) < 0) {
		if (asprintf(&text, "%.*sa build of it with symbols (no package has it)%s",
			     (int)(at - t->missing), t->missing, at + strlen(SYMTAB_PACKAGE)) < 0)
			return;
	} else {
		package_debug(package, debug, sizeof(debug));
		if (asprintf(&text, "%.*s%s%s", (int)(at - t->missing), t->missing, debug,
			     at + strlen(SYMTAB_PACKAGE)) < 0)
			return;
	}
	free(t->missing);
	t->missing = text;
}

static const char map_missing[] =
	"no perf map: start the program so that it writes one (node --perf-basic-prof, python3 -X "
	"perf, "
	"java with -XX:+UnlockDiagnosticVMOptions -XX:+DumpPerfMapAtExit, dotnet with "
	"DOTNET_PerfMapEnabled=1)";

void tables_open_map(struct namer_tables *ts, struct namer_table *t, uint32_t pid)
{
	struct perf_map *map = NULL;
	uint64_t now_us = clock_mono_us();
	int fresh = t->map ? perf_map_refresh(t->map) : -ENOENT, r = fresh;

	t->wanted = false;
	/* Another process by that number, or the same one whose map has come. What was read of one that has ended stays. */
	if (r < 0 && now_us - t->ns_pid_us > NS_PID_US) {
		t->ns_pid = 0;
		t->ns_pid_us = now_us;
	}
	if (r < 0)
		r = perf_map_look(ts->c.host, pid, &t->ns_pid); /* browsers never have one */
	if (fresh < 0 && r == 0)
		r = perf_map_open(&map, ts->c.host, pid);
	if (map) {
		perf_map_close(t->map);
		t->map = map;
	}
	free(t->missing);
	if (t->map)
		t->missing = strdup("");
	else if (r == -EPERM)
		t->missing = strdup("its perf map does not belong to the user of the process");
	else
		t->missing = strdup(map_missing);
	account(ts, t);
}
