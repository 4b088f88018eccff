/* Stand-ins for what the profiler leans on, until it is there: maps from /proc, kallsyms, one epoch. */
#ifndef STROBE_TESTS_PROFILE_DOUBLES_H
#define STROBE_TESTS_PROFILE_DOUBLES_H
#include "profile/profiler.h"
#include "profile/unwind.h"
#include "profile/namer.h"
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <pthread.h>
struct modules { int n; };
struct module { char path[256]; };
struct space { uint32_t pid; struct mapping maps[512]; size_t n; };
struct spaces { struct space *all[4096]; size_t n; };
#pragma GCC diagnostic ignored "-Wmisleading-indentation"
#pragma GCC diagnostic ignored "-Wformat-truncation"
static struct module *d_mods[4096]; static size_t d_nmods;
int modules_open(struct modules **r, const struct modules_config *c) { (void)c; *r = calloc(1, 4); return 0; }
void modules_close(struct modules *m) { free(m); }
const char *module_path(const struct module *m) { return m->path; }
const char *module_build_id(const struct module *m) { (void)m; return ""; }
const char *module_trouble(const struct module *m) { (void)m; return ""; }
int module_fd(const struct module *m) { (void)m; return -1; }
uint64_t module_vaddr(const struct module *m, uint64_t o) { (void)m; return o; }
static uint64_t d_fn[4096]; static size_t d_nfn;
uint64_t module_function(struct module *m, uint64_t v) { uint64_t best = 0; if (!strstr(m->path, "tool_spin")) return v;
	if (!d_nfn) { char line[300]; FILE *f = popen("nm build/tests/tool_spin", "r"); while (f && fgets(line, 300, f)) { unsigned long long a; char t; if (sscanf(line, "%llx %c", &a, &t) == 2 && (t == 't' || t == 'T')) d_fn[d_nfn++] = a; } if (f) pclose(f); }
	for (size_t i = 0; i < d_nfn; i++) if (d_fn[i] <= v && d_fn[i] > best) best = d_fn[i];
	return best; }
int modules_step(struct modules *m, int w) { (void)m; usleep(w * 1000); return 0; }
void modules_stats(struct modules *m, struct modules_stats *r) { (void)m; *r = (struct modules_stats){0}; }
static struct module *d_mod(const char *path) {
	for (size_t i = 0; i < d_nmods; i++) if (!strcmp(d_mods[i]->path, path)) return d_mods[i];
	struct module *m = calloc(1, sizeof(*m)); snprintf(m->path, 256, "%s", path);
	return d_mods[d_nmods++] = m;
}
int spaces_open(struct spaces **r, const struct host *h, struct modules *m) { (void)h; (void)m; *r = calloc(1, sizeof(**r)); return 0; }
void spaces_close(struct spaces *s) { for (size_t i = 0; i < s->n; i++) free(s->all[i]); free(s); }
static struct space *d_find(struct spaces *s, uint32_t pid) { for (size_t i = 0; i < s->n; i++) if (s->all[i]->pid == pid) return s->all[i]; return NULL; }
static struct space *d_new(struct spaces *s, uint32_t pid) {
	if (s->n == 4096) { free(s->all[0]); memmove(s->all, s->all + 1, 4095 * sizeof(s->all[0])); s->n--; }
	struct space *x = calloc(1, sizeof(*x)); x->pid = pid; return s->all[s->n++] = x; }
static void d_add(struct space *x, uint64_t a, uint64_t b, uint64_t off, const char *path) {
	if (x->n == 512) return;
	x->maps[x->n++] = (struct mapping){a, b, off, path[0] == '/' && path[1] != '/' ? d_mod(path) : NULL, strstr(path, "tool_spin") != NULL};
}
struct space *spaces_get(struct spaces *s, uint32_t pid) {
	struct space *x = d_find(s, pid); char p[64], line[600];
	if (x) return x;
	snprintf(p, 64, "/proc/%u/maps", pid); FILE *f = fopen(p, "r"); if (!f) return NULL;
	x = d_new(s, pid);
	while (fgets(line, 600, f)) { unsigned long long a, b, o; char perm[8], path[400] = ""; 
		sscanf(line, "%llx-%llx %7s %llx %*s %*s %399s", &a, &b, perm, &o, path);
		if (perm[2] == 'x') d_add(x, a, b, o, path); }
	fclose(f); return x; }
const struct mapping *space_find(const struct space *s, uint64_t a) { for (size_t i = s->n; i--;) if (a >= s->maps[i].start && a < s->maps[i].end) return &s->maps[i]; return NULL; }
uint32_t space_pid(const struct space *s) { return s->pid; }
bool space_has_jit(const struct space *s) { (void)s; return false; }
void spaces_mmap(struct spaces *s, uint32_t pid, const struct space_mmap *m) { struct space *x = d_find(s, pid); if (x && m->executable) d_add(x, m->start, m->start + m->len, m->file_off, m->path); }
void spaces_fork(struct spaces *s, uint32_t pid, uint32_t pp) { struct space *x = d_find(s, pid), *y = d_find(s, pp); if (!y) return; if (!x) x = d_new(s, pid); y = d_find(s, pp); if (y) { *x = *y; x->pid = pid; } }
void spaces_exec(struct spaces *s, uint32_t pid) { struct space *x = d_find(s, pid); if (!x) x = d_new(s, pid); x->n = 0; }
void spaces_exit(struct spaces *s, uint32_t pid) { (void)s; (void)pid; }
void spaces_sweep(struct spaces *s, int64_t n) { (void)s; (void)n; }
size_t spaces_count(const struct spaces *s) { return s->n; }
uint64_t unwind_regs_mask(void) { return 0xff0fff; }
size_t unwind_user(struct space *s, const struct unwind_state *u, uint64_t *ips, size_t max, enum unwind_end *e) { (void)s; (void)u; (void)ips; (void)max; *e = UNWIND_NO_TABLE; return 0; }
struct kernel_symbols { struct ks { uint64_t a; char n[48]; } *k; size_t n; };
static int d_cmp(const void *a, const void *b) { uint64_t x = ((const struct ks *)a)->a, y = ((const struct ks *)b)->a; return x < y ? -1 : x > y; }
int kernel_symbols_open(struct kernel_symbols **r, const struct host *h, char *e, size_t l) { (void)h; (void)e; (void)l;
	struct kernel_symbols *k = calloc(1, sizeof(*k)); FILE *f = fopen("/proc/kallsyms", "r"); char line[600];
	k->k = calloc(400000, sizeof(struct ks));
	while (f && k->n < 400000 && fgets(line, 600, f)) { unsigned long long a; char t; sscanf(line, "%llx %c %47s", &a, &t, k->k[k->n].n); k->k[k->n].a = a; if (t == 't' || t == 'T') k->n++; }
	if (f) fclose(f); qsort(k->k, k->n, sizeof(struct ks), d_cmp); *r = k; return 0; }
void kernel_symbols_close(struct kernel_symbols *k) { if (k) free(k->k); free(k); }
size_t kernel_symbols_bytes(const struct kernel_symbols *k) { (void)k; return 0; }
static const struct ks *d_k(const struct kernel_symbols *k, uint64_t a) { size_t lo = 0, hi = k->n; while (lo < hi) { size_t m = (lo + hi) / 2; if (k->k[m].a <= a) lo = m + 1; else hi = m; } return lo ? &k->k[lo - 1] : NULL; }
uint64_t kernel_function(const struct kernel_symbols *k, uint64_t a) { const struct ks *x = d_k(k, a); return x ? x->a : a; }
const char *kernel_name(const struct kernel_symbols *k, uint64_t a, const char **m) { const struct ks *x = d_k(k, a); *m = ""; return x ? x->n : NULL; }
int perf_map_open(struct perf_map **r, const struct host *h, uint32_t p) { (void)r; (void)h; (void)p; return -ENOENT; }
void perf_map_close(struct perf_map *m) { (void)m; }
int perf_map_refresh(struct perf_map *m) { (void)m; return 0; }
const char *perf_map_find(const struct perf_map *m, uint64_t a, uint64_t *s) { (void)m; (void)a; (void)s; return NULL; }
int namer_open(struct namer **r, const struct namer_config *c) { (void)c; *r = NULL; return 0; }
void namer_close(struct namer *n) { (void)n; }
void namer_name(void *n, struct stacks *s, bool all) { (void)n; (void)s; (void)all; }
struct profiles { pthread_mutex_t lock; struct stacks *s; };
int profiles_open(struct profiles **r, const struct profiles_config *c) { (void)c; *r = calloc(1, sizeof(**r)); (*r)->s = stacks_new(); pthread_mutex_init(&(*r)->lock, NULL); return 0; }
void profiles_close(struct profiles *p) { stacks_free(p->s); free(p); }
struct stacks *profiles_begin(struct profiles *p) { pthread_mutex_lock(&p->lock); return p->s; }
void profiles_end(struct profiles *p, int64_t n, int64_t r) { (void)n; (void)r; pthread_mutex_unlock(&p->lock); }
int profiles_step(struct profiles *p) { (void)p; return 0; }
int profiles_each(struct profiles *p, int64_t f, int64_t t, int (*each)(void *, const struct stacks *), void *arg) { (void)f; (void)t; pthread_mutex_lock(&p->lock); int r = each(arg, p->s); pthread_mutex_unlock(&p->lock); return r; }
#endif
