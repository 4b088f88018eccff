#include "unwind/space_private.h"

#include "base/clock.h"
#include "unwind/module_private.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

enum { READ_BUFFER = 64 << 10 };

/* ---- those that are known ---- */

static struct space **bucket(struct spaces *s, uint32_t pid)
{
	return &s->hash[pid * 2654435761u >> (32 - SPACE_HASH_BITS)];
}

static struct space *known(struct spaces *s, uint32_t pid)
{
	struct space *x = *bucket(s, pid);

	while (x && x->pid != pid)
		x = x->hash_next;
	return x;
}

static void unlink_age(struct space *x)
{
	struct spaces *s = x->owner;

	*(x->older ? &x->older->newer : &s->oldest) = x->newer;
	*(x->newer ? &x->newer->older : &s->newest) = x->older;
}

/* Only its main thread has ended: others go on, or one of them has called exec. */
static void revive(struct space *x)
{
	x->owner->n_gone -= x->gone_us != 0;
	x->gone_us = 0;
}

static void link_newest(struct space *x)
{
	struct spaces *s = x->owner;

	x->newer = NULL;
	x->older = s->newest;
	*(s->newest ? &s->newest->newer : &s->oldest) = x;
	s->newest = x;
}

static void forget(struct space *x)
{
	struct spaces *s = x->owner;
	struct space **p = bucket(s, x->pid);

	while (*p != x)
		p = &(*p)->hash_next;
	*p = x->hash_next;
	unlink_age(x);
	if (x->gone_us)
		s->n_gone--;
	s->n--;
	space_unmap_all(x);
	free(x);
}

/* A new one without mappings; whatever had that pid is forgotten. */
static struct space *make(struct spaces *s, uint32_t pid)
{
	struct space *x = known(s, pid);

	if (x)
		forget(x);
	while (s->n >= SPACES_MAX || (s->n && s->n_mappings > MAPPINGS_TOTAL / 8 * 7))
		forget(s->oldest);
	x = calloc(1, sizeof(*x));
	if (!x)
		return NULL;
	x->owner = s;
	x->pid = pid;
	x->hash_next = *bucket(s, pid);
	*bucket(s, pid) = x;
	link_newest(x);
	s->n++;
	return x;
}

static void touch(struct space *x)
{
	if (x->owner->newest == x)
		return;
	unlink_age(x);
	link_newest(x);
}

int spaces_open(struct spaces **ret, const struct host *host, struct modules *modules)
{
	struct spaces *s = calloc(1, sizeof(*s));

	if (!s)
		return -ENOMEM;
	s->host = host;
	s->modules = modules;
	s->buf = malloc(READ_BUFFER);
	s->rules = aligned_alloc(sizeof(*s->rules), sizeof(*s->rules) << SPACE_RULES_BITS);
	if (!s->buf || !s->rules) {
		spaces_close(s);
		return -ENOMEM;
	}
	memset(s->rules, 0, sizeof(*s->rules) << SPACE_RULES_BITS);
	*ret = s;
	return 0;
}

void spaces_close(struct spaces *s)
{
	if (!s)
		return;
	while (s->oldest)
		forget(s->oldest);
	free(s->buf);
	free(s->rules);
	free(s);
}

void spaces_prune_modules(struct spaces *s)
{
	uint64_t now = clock_ns(CLOCK_MONOTONIC_COARSE) / 1000000;

	if (!modules_are_full(s->modules, now))
		return;
	for (const struct space *x = s->oldest; x; x = x->newer)
		for (uint32_t i = 0; x->maps && i < x->maps->n; i++)
			if (x->maps->at[i].module)
				x->maps->at[i].module->mapped = true;
	modules_prune(s->modules, now);
}

static void want_tables(const struct space *x)
{
	for (uint32_t i = 0; x->maps && i < x->maps->n; i++)
		if (x->maps->at[i].module)
			module_want(x->maps->at[i].module);
}

struct space *spaces_get(struct spaces *s, uint32_t pid)
{
	struct space *x = known(s, pid);

	if (x) {
		touch(x);
		if (x->gone_us > 0) /* and not as it ended */
			revive(x);
		if (x->doubted) {
			x->doubted = false;
			if (space_read(x) == 0)
				want_tables(x);
		}
		return x;
	}
	x = make(s, pid);
	if (!x)
		return NULL;
	if (space_read(x) < 0) {
		forget(x);
		return NULL;
	}
	want_tables(x);
	return x;
}

size_t spaces_count(const struct spaces *s)
{
	return s->n;
}

/* Most stacks go through the same calls. */
struct space_rule *space_rule_at(const struct space *x, const struct unwind_table *t,
				 uint64_t vaddr, bool returns)
{
	uint64_t key = vaddr << 1 | returns;
	uint64_t hash = (key ^ t->id << 40) * 0x9e3779b97f4a7c15u;
	struct space_rule *known = &x->owner->rules[hash >> (64 - SPACE_RULES_BITS)];
	const struct unwind_row *row;
	const struct cfi_rule *rule;

	if (known->table == (uint32_t)t->id && known->key == key)
		return known;
	rule = unwind_table_look(t, vaddr, returns, &row);
	*known = (struct space_rule){.key = key, .table = (uint32_t)t->id};
	if (row)
		known->row = (uint32_t)(row - t->rows) + 1;
	if (rule) {
		known->row |= SPACE_HAS_RULE;
		known->rule = *rule;
	}
	return known;
}

struct modules *space_modules(const struct space *x)
{
	return x->owner->modules;
}

uint32_t space_pid(const struct space *x)
{
	return x->pid;
}

bool space_has_jit(const struct space *x)
{
	return x->maps && x->maps->jit;
}

uint64_t space_version(const struct space *x)
{
	return x->maps ? x->maps->version : 0;
}

const struct mapping *space_after(const struct space *x, uint64_t addr)
{
	const struct mappings *m = x->maps;
	uint32_t low = 0, high = m ? m->n : 0;

	while (low < high) {
		uint32_t mid = low + (high - low) / 2;

		if (m->at[mid].end > addr)
			high = mid;
		else
			low = mid + 1;
	}
	return m && low < m->n ? &m->at[low] : NULL;
}

const struct mapping *space_find(const struct space *x, uint64_t addr)
{
	const struct mapping *m = space_after(x, addr);

	return m && m->start <= addr ? m : NULL;
}

bool space_again(struct space *x)
{
	uint64_t now = clock_ns(CLOCK_MONOTONIC_COARSE) / 1000000;

	if (x->gone_us || now < x->again_ms)
		return false;
	/* Each time in vain, or nearly so, makes the next one later. */
	x->again_step = x->again_step ? x->again_step * 2 : SPACE_AGAIN_MS;
	if (x->again_step > SPACE_AGAIN_MAX_MS)
		x->again_step = SPACE_AGAIN_MAX_MS;
	x->again_ms = now + x->again_step;
	if (space_read(x) < 0)
		return false;
	want_tables(x);
	return true;
}

/* ---- side-band ---- */

void spaces_mmap(struct spaces *s, uint32_t pid, const struct space_mmap *e)
{
	struct space *x = known(s, pid);
	struct mapping m = {.start = e->start, .file_off = e->file_off};

	if (!x || !e->len || __builtin_add_overflow(e->start, e->len, &m.end))
		return;
	if (!e->executable) {
		space_cut(x, m.start, m.end);
		return;
	}
	if (e->path[0] == '/' ? !space_path_is_jit(e->path) : strcmp(e->path, "[vdso]") == 0) {
		struct module_key k = {.dev = e->dev,
				       .ino = e->ino,
				       .generation = e->generation,
				       .path = e->path,
				       .pid = pid,
				       .start = m.start,
				       .end = m.end};

		spaces_prune_modules(s);
		m.module = modules_get(s->modules, &k);
		m.main = x->fresh && e->path[0] == '/';
		x->fresh &= !m.main;
	}
	space_add(x, &m);
}

void spaces_fork(struct spaces *s, uint32_t pid, uint32_t parent)
{
	struct space *from = known(s, parent), *x;

	if (pid == parent)
		return;
	if (!from) {
		x = known(s, pid); /* of an earlier process */
		if (x)
			forget(x);
		return;
	}
	touch(from);
	x = make(s, pid);
	if (!x || !from->maps)
		return;
	x->maps = from->maps;
	x->doubted = from->doubted;
	x->maps->n_users++;
}

void spaces_exec(struct spaces *s, uint32_t pid)
{
	struct space *x = known(s, pid);

	/* All that it maps from here on is told: nothing has to be read. */
	if (!x)
		x = make(s, pid);
	if (!x)
		return;
	touch(x);
	revive(x);
	space_unmap_all(x);
	x->fresh = true;
	x->doubted = false;
	x->again_ms = 0;
	x->again_step = 0;
}

void spaces_exit(struct spaces *s, uint32_t pid)
{
	struct space *x = known(s, pid);

	if (!x || x->gone_us)
		return;
	x->gone_us = -1;
	s->n_gone++;
}

void spaces_doubt(struct spaces *s)
{
	for (struct space *x = s->oldest; x; x = x->newer)
		x->doubted = true;
}

void spaces_sweep(struct spaces *s, int64_t now_us)
{
	for (struct space *x = s->oldest, *next; x && s->n_gone; x = next) {
		next = x->newer;
		if (x->gone_us < 0)
			x->gone_us = now_us > 0 ? now_us : 1;
		else if (x->gone_us && now_us - x->gone_us >= SPACE_GONE_US)
			forget(x);
	}
}
