#include "unwind/module_private.h"

#include "base/clock.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

/* ---- life cycle ---- */

static uint32_t fds_allowed(void)
{
	struct rlimit l;

	if (getrlimit(RLIMIT_NOFILE, &l) != 0 || l.rlim_cur / 4 > MODULE_FDS_MAX)
		return MODULE_FDS_MAX;
	return (uint32_t)(l.rlim_cur / 4);
}

static struct module *module_new(struct modules *all, const struct module_key *k)
{
	struct module *m = calloc(1, sizeof(*m));

	if (!m)
		return NULL;
	m->owner = all;
	m->id = ++all->last_id;
	m->key = *k;
	m->key.path = strndup(k->path, MODULE_PATH_MAX - 1);
	if (!m->key.path) {
		free(m);
		return NULL;
	}
	atomic_init(&m->fd, -1);
	atomic_init(&m->path_fd, -1);
	atomic_init(&m->trouble, "");
	atomic_init(&m->used_ms, clock_ns(CLOCK_MONOTONIC_COARSE) / 1000000);
	return m;
}

void module_free(struct module *m)
{
	if (!m)
		return;
	if (m->fd >= 0)
		close(m->fd);
	if (m->path_fd >= 0)
		close(m->path_fd);
	free((char *)(uintptr_t)m->key.path);
	free(m);
}

int modules_open(struct modules **ret, const struct modules_config *c)
{
	struct modules *m = calloc(1, sizeof(*m));

	if (!m)
		return -ENOMEM;
	m->host = c->host;
	m->memory_bytes = c->memory_bytes;
	m->keep_ms = TABLE_KEEP_MS;
	m->retry_wait_ms = TABLE_RETRY_MS;
	m->build_us_per_s = BUILD_US_PER_S;
	m->credit_ns = BUILD_BURST_MS * 1000000ll;
	m->credit_at_ns = clock_ns(CLOCK_MONOTONIC);
	m->todo_end = &m->todo;
	m->n_fds_max = fds_allowed();
	m->overflow = module_new(m, &(struct module_key){.path = "[too many files]"});
	if (!m->overflow) {
		free(m);
		return -ENOMEM;
	}
	m->overflow->asked = true;
	m->overflow->hopeless = true;
	m->overflow->trouble = "more different files were mapped than are kept";
	sem_init(&m->wake, 0, 0);
	pthread_mutex_init(&m->lock, NULL);
	atomic_store(&m->now_ms, clock_ns(CLOCK_MONOTONIC_COARSE) / 1000000);
	*ret = m;
	return 0;
}

static void free_entries(struct module_table *e)
{
	while (e) {
		struct module_table *next = e->next;

		free(e->table);
		free(e);
		e = next;
	}
}

void modules_close(struct modules *m)
{
	if (!m)
		return;
	for (size_t i = 0; i < 1 << HASH_BITS; i++)
		while (m->hash[i]) {
			struct module *next = m->hash[i]->hash_next;

			module_free(m->hash[i]);
			m->hash[i] = next;
		}
	for (struct module *x = m->dropped, *next; x; x = next) {
		next = x->asked_next;
		module_free(x);
	}
	module_free(m->overflow);
	free_entries(m->entries);
	free_entries(m->evicted);
	pthread_mutex_destroy(&m->lock);
	sem_destroy(&m->wake);
	free(m);
}

/* ---- finding ---- */

static size_t hash_key(const struct module_key *k)
{
	uint64_t h = 14695981039346656037u;

	if (k->ino)
		h = (k->ino ^ k->dev << 40) * 0x9e3779b97f4a7c15u;
	else
		for (const char *p = k->path; *p; p++)
			h = (h ^ (uint8_t)*p) * 1099511628211u;
	return (size_t)(h >> (64 - HASH_BITS));
}

/* The same file? An inode's number may be given to another file once nobody has it open. */
static bool is_same(const struct module *m, const struct module_key *k)
{
	bool held = m->path_fd >= 0 || m->fd >= 0;

	if (m->key.ino != k->ino || m->key.dev != k->dev)
		return false;
	if (!k->ino)
		return strcmp(m->key.path, k->path) == 0;
	if (m->key.generation && k->generation)
		return m->key.generation == k->generation;
	return held || strcmp(m->key.path, k->path) == 0;
}

/* The same inode, but it has been written to since (cp over a program that has ended): another file. */
static bool is_rewritten(const struct module *m, const struct module_key *k)
{
	const struct modules *all = m->owner;
	struct module_stamp now;
	int fd = m->fd >= 0 ? m->fd : m->path_fd, own = -1;

	if (!m->stamp.changed_ns)
		return false;
	if (fd < 0)
		fd = own = module_file_pin(all->host, k);
	bool known = fd >= 0 && module_file_stamp(fd, &now) == 0;

	if (own >= 0)
		close(own);
	return known && (now.size != m->stamp.size || now.changed_ns != m->stamp.changed_ns);
}

/* Opened at once, while the process is there, as far as that does not wait for anybody. */
static void pin(struct module *m)
{
	struct modules *all = m->owner;
	int fd, path_fd;

	if (all->n_fds >= all->n_fds_max)
		return;
	path_fd = module_file_pin(all->host, &m->key);
	if (path_fd < 0)
		return;
	m->path_fd = path_fd;
	all->n_fds++;
	module_file_stamp(path_fd, &m->stamp);
	if (!module_file_is_local(all, &m->key))
		return;
	fd = module_file_reopen(path_fd);
	if (fd < 0)
		return;
	m->fd = fd;
	m->path_fd = -1;
	close(path_fd);
	if (module_file_head(fd, &m->head) == 0)
		atomic_store_explicit(&m->known, true, memory_order_release);
}

struct module *modules_get(struct modules *all, const struct module_key *k)
{
	struct module **head = &all->hash[hash_key(k)], *m;

	for (m = *head; m; m = m->hash_next)
		if (is_same(m, k) && !is_rewritten(m, k)) {
			if (!m->key.generation)
				m->key.generation = k->generation;
			return m;
		}
	if (all->n_modules >= MODULES_MAX)
		return all->overflow;
	m = module_new(all, k);
	if (!m)
		return NULL;
	pin(m);
	m->hash_next = *head;
	*head = m;
	all->n_modules++;
	module_ask(m);
	return m;
}

/* ---- letting go ---- */

bool modules_are_full(struct modules *all, uint64_t now_ms)
{
	return all->n_modules >= MODULES_MAX && now_ms - all->pruned_ms >= MODULES_PRUNE_MS;
}

/* In the background's hands it is only as long as it is asked for; from here on it is in nobody else's. */
static bool may_go(const struct module *m, uint64_t now_ms)
{
	return !m->mapped && !atomic_load_explicit(&m->asked, memory_order_acquire) &&
	       m->used_ms + MODULE_FORGET_MS < now_ms;
}

static void push(_Atomic(struct module *) *stack, struct module *m)
{
	struct module *top = atomic_load(stack);

	do
		m->asked_next = top;
	while (!atomic_compare_exchange_weak(stack, &top, m));
}

void modules_prune(struct modules *all, uint64_t now_ms)
{
	all->pruned_ms = now_ms;
	for (size_t i = 0; i < 1 << HASH_BITS; i++)
		for (struct module **p = &all->hash[i]; *p;) {
			struct module *m = *p;

			if (!may_go(m, now_ms)) {
				m->mapped = false;
				p = &m->hash_next;
				continue;
			}
			*p = m->hash_next;
			all->n_modules--;
			push(&all->dropped, m);
		}
	modules_wake(all);
}

/* ---- asking, and what there is ---- */

void modules_wake(struct modules *all)
{
	sem_post(&all->wake);
}

void module_ask(struct module *m)
{
	if (atomic_load_explicit(&m->asked, memory_order_relaxed) ||
	    atomic_exchange(&m->asked, true))
		return;
	push(&m->owner->asked, m);
	modules_wake(m->owner);
}

struct module *modules_take_asked(struct modules *all)
{
	struct module *m = atomic_exchange(&all->asked, NULL), *first = NULL;

	while (m) { /* in the order in which they came */
		struct module *next = m->asked_next;

		m->asked_next = first;
		first = m;
		m = next;
	}
	return first;
}

uint64_t modules_enter(struct modules *all)
{
	uint64_t seq = atomic_load_explicit(&all->reader, memory_order_relaxed);

	atomic_store_explicit(&all->now_ms, clock_ns(CLOCK_MONOTONIC_COARSE) / 1000000,
			      memory_order_relaxed);
	/* Seen by the background thread before any table is loaded below. */
	atomic_store(&all->reader, seq + 1);
	return seq + 1;
}

void modules_leave(struct modules *all, uint64_t seq)
{
	atomic_store_explicit(&all->reader, seq + 1, memory_order_release);
}

const struct unwind_table *module_table(struct module *m)
{
	uint64_t now = atomic_load_explicit(&m->owner->now_ms, memory_order_relaxed);
	const struct unwind_table *t = atomic_load(&m->table);

	if (atomic_load_explicit(&m->used_ms, memory_order_relaxed) != now)
		atomic_store_explicit(&m->used_ms, now, memory_order_relaxed);
	if (!t)
		module_want(m);
	return t;
}

/* While little may be spent: not one of a program that ends before it has many samples. */
static bool is_worth_it(struct module *m, uint64_t now_ms)
{
	m->n_wanted += m->wanted_ms != now_ms && m->n_wanted < BUILD_ROUNDS;
	m->wanted_ms = now_ms;
	return m->n_wanted >= BUILD_ROUNDS ||
	       !atomic_load_explicit(&m->owner->in_debt, memory_order_relaxed);
}

void module_want(struct module *m)
{
	uint64_t now = atomic_load_explicit(&m->owner->now_ms, memory_order_relaxed);

	if (module_is_hopeless(m) ||
	    atomic_load_explicit(&m->retry_ms, memory_order_relaxed) > now ||
	    atomic_load_explicit(&m->table, memory_order_relaxed) || !is_worth_it(m, now))
		return;
	atomic_store_explicit(&m->wanted, true, memory_order_release);
	module_ask(m);
}

bool module_is_settled(const struct module *m)
{
	return module_is_hopeless(m) || atomic_load_explicit(&m->table, memory_order_relaxed);
}

const char *module_path(const struct module *m)
{
	return m->key.path;
}

const char *module_build_id(const struct module *m)
{
	return atomic_load_explicit(&m->known, memory_order_acquire) ? m->head.build_id : "";
}

const char *module_trouble(const struct module *m)
{
	return atomic_load_explicit(&m->trouble, memory_order_acquire);
}

int module_fd(const struct module *m)
{
	return atomic_load_explicit(&m->fd, memory_order_acquire);
}

uint64_t module_vaddr(const struct module *m, uint64_t file_off)
{
	uint64_t vaddr = 0;

	if (!atomic_load_explicit(&m->known, memory_order_acquire))
		return 0;
	for (uint32_t i = 0; i < m->head.n_segments; i++) {
		const struct module_segment *s = &m->head.segments[i];

		if (file_off < s->off || file_off - s->off >= s->size)
			continue;
		vaddr = file_off - s->off + s->vaddr;
		if (s->executable)
			return vaddr;
	}
	return vaddr;
}

uint64_t module_function(struct module *m, uint64_t vaddr)
{
	uint64_t seq = modules_enter(m->owner);
	const struct unwind_table *t = module_table(m);
	uint64_t start = t ? unwind_table_function(t, vaddr) : vaddr;

	modules_leave(m->owner, seq);
	return start;
}

void modules_stats(struct modules *m, struct modules_stats *ret)
{
	*ret = (struct modules_stats){.n_modules = m->n_modules,
				      .n_tables = m->n_tables,
				      .table_bytes = m->table_bytes,
				      .built = m->built,
				      .evicted = m->n_evicted};
}
