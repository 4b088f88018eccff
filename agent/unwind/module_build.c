/* The background thread's part of modules: opens files, builds tables, and keeps them within their bound. */
#include "base/clock.h"
#include "unwind/module_private.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { FDS_FREE = 16 };

/* ---- giving tables up ---- */

/* The table that was used longest ago, by any of its modules; NULL: there is none. */
static struct module_table *find_oldest(const struct modules *all)
{
	struct module_table *oldest = all->entries;

	for (struct module_table *e = all->entries; e; e = e->next)
		e->used_ms = 0;
	for (const struct module *m = all->all; m; m = m->all_next)
		if (m->entry && m->used_ms > m->entry->used_ms)
			m->entry->used_ms = m->used_ms;
	for (struct module_table *e = all->entries; e; e = e->next)
		if (e->used_ms < oldest->used_ms)
			oldest = e;
	return oldest;
}

/* What the profiler's thread cannot have in hand any more. */
static void free_evicted(struct modules *all)
{
	uint64_t now = atomic_load(&all->reader);
	struct module_table **p = &all->evicted;

	while (*p) {
		struct module_table *e = *p;

		if (e->evicted_at % 2 && e->evicted_at == now) {
			p = &e->next;
			continue;
		}
		*p = e->next;
		free(e->table);
		free(e);
	}
}

static void evict(struct modules *all, struct module_table *e)
{
	struct module_table **p = &all->entries;

	while (*p != e)
		p = &(*p)->next;
	*p = e->next;
	for (struct module *m = all->all; m; m = m->all_next)
		if (m->entry == e) {
			m->entry = NULL;
			atomic_store(&m->table, NULL);
		}
	/* Whoever enters from now on does not see it. */
	e->evicted_at = atomic_load(&all->reader);
	e->next = all->evicted;
	all->evicted = e;
	all->n_tables--;
	all->table_bytes -= e->table->bytes;
	all->n_evicted++;
}

/* Those that the profiler's thread has let go. */
static void free_dropped(struct modules *all)
{
	struct module *m = atomic_exchange(&all->dropped, NULL), *next;

	for (; m; m = next) {
		struct module_table *e = m->entry;
		struct module **p = &all->all;

		next = m->asked_next;
		pthread_mutex_lock(&all->lock);
		while (*p && *p != m)
			p = &(*p)->all_next;
		if (*p)
			*p = m->all_next;
		pthread_mutex_unlock(&all->lock);
		all->n_fds -= (m->fd >= 0) + (m->path_fd >= 0);
		if (e && --e->n_users == 0)
			evict(all, e);
		module_free(m);
	}
}

static bool make_room(struct modules *all, size_t bytes, uint64_t now_ms)
{
	while (all->table_bytes + bytes > all->memory_bytes) {
		struct module_table *oldest = find_oldest(all);

		if (!oldest || oldest->used_ms + all->keep_ms > now_ms)
			return false;
		evict(all, oldest);
	}
	return true;
}

/* ---- building ---- */

static void fail(struct module *m, const char *why)
{
	atomic_store_explicit(&m->trouble, why, memory_order_release);
	atomic_store_explicit(&m->hopeless, true, memory_order_release);
}

/* The file to read from: that of the module, else one for this time only. An fd or -errno. */
static int open_file(struct module *m, bool *ret_own)
{
	struct modules *all = m->owner;
	int fd = m->fd;

	*ret_own = false;
	if (fd >= 0)
		return fd;
	fd = module_file_open(all->host, &m->key, m->path_fd);
	if (fd < 0)
		return fd;
	if (m->path_fd < 0 && all->n_fds >= all->n_fds_max) {
		*ret_own = true;
		return fd;
	}
	pthread_mutex_lock(&all->lock);
	atomic_store_explicit(&m->fd, fd, memory_order_release);
	if (m->path_fd >= 0)
		close(atomic_exchange(&m->path_fd, -1));
	else
		all->n_fds++;
	pthread_mutex_unlock(&all->lock);
	return fd;
}

/* Closes those of the modules used longest ago when there are nearly as many as may be. */
static void close_files(struct modules *all)
{
	while (all->n_fds + FDS_FREE > all->n_fds_max) {
		struct module *oldest = NULL;

		for (struct module *m = all->all; m; m = m->all_next)
			if ((m->fd >= 0 || m->path_fd >= 0) &&
			    (!oldest || m->used_ms < oldest->used_ms))
				oldest = m;
		if (!oldest)
			return;
		pthread_mutex_lock(&all->lock);
		close(atomic_exchange(oldest->fd >= 0 ? &oldest->fd : &oldest->path_fd, -1));
		all->n_fds--;
		pthread_mutex_unlock(&all->lock);
	}
}

static int read_head(struct module *m, int fd)
{
	int r;

	if (m->known)
		return 0;
	r = module_file_head(fd, &m->head);
	if (r == 0)
		atomic_store_explicit(&m->known, true, memory_order_release);
	return r;
}

/* One that was built from a file with the same build-id and the same layout. */
static struct module_table *find_twin(const struct modules *all, const struct module *m)
{
	if (!m->head.build_id[0])
		return NULL;
	for (const struct module *o = all->all; o; o = o->all_next)
		if (o != m && o->entry && memcmp(&o->head, &m->head, sizeof(m->head)) == 0)
			return o->entry;
	return NULL;
}

static void use_table(struct module *m, struct module_table *e)
{
	m->entry = e;
	e->n_users++;
	m->used_ms = m->owner->now_ms;
	atomic_store_explicit(&m->trouble, "", memory_order_release);
	atomic_store_explicit(&m->table, e->table, memory_order_release);
}

static const char *why_not(int r)
{
	switch (r) {
	case -ENODATA:
		return "it has neither unwind information (.eh_frame, .debug_frame) nor symbols";
	case -E2BIG:
		return "its unwind information is larger than is read";
	case -ENOMEM:
		return "no memory for its unwind table";
	default:
		return "its unwind information cannot be read";
	}
}

static void retry_later(struct module *m, uint64_t now_ms)
{
	m->retry_ms = now_ms + m->owner->retry_wait_ms;
	atomic_store_explicit(&m->trouble,
			      "no room for its unwind table: others are in use (--memory)",
			      memory_order_release);
}

static void build(struct module *m, int fd)
{
	struct modules *all = m->owner;
	struct module_table *e = find_twin(all, m);
	uint64_t now = clock_ns(CLOCK_MONOTONIC_COARSE) / 1000000;
	struct unwind_table *t;
	int r;

	if (e) {
		use_table(m, e);
		return;
	}
	if (m->need_bytes && !make_room(all, m->need_bytes, now)) {
		retry_later(m, now);
		return;
	}
	r = unwind_table_read(&t, fd);
	if (r < 0) {
		fail(m, why_not(r));
		return;
	}
	all->built++;
	m->need_bytes = t->bytes;
	if (t->bytes > all->memory_bytes) {
		free(t);
		fail(m, "its unwind table alone is larger than the memory for all of them");
		return;
	}
	e = calloc(1, sizeof(*e));
	if (!e || !make_room(all, t->bytes, now)) {
		free(e);
		free(t);
		retry_later(m, now);
		return;
	}
	e->table = t;
	e->next = all->entries;
	all->entries = e;
	all->n_tables++;
	all->table_bytes += t->bytes;
	use_table(m, e);
}

static void process(struct module *m)
{
	bool own;
	int fd;

	if (m->table || m->hopeless)
		return;
	fd = open_file(m, &own);
	if (fd < 0) {
		fail(m, fd == -EACCES || fd == -EPERM ? "its file may not be read by this user"
						      : "its file cannot be found any more");
		return;
	}
	if (read_head(m, fd) < 0)
		fail(m, "it is no 64-bit ELF file");
	else if (m->head.foreign)
		fail(m, "it is for another kind of machine");
	else if (m->wanted)
		build(m, fd);
	if (own)
		close(fd);
}

/* ---- the loop ---- */

static void list(struct module *m)
{
	struct modules *all = m->owner;

	if (m->listed)
		return;
	m->listed = true;
	pthread_mutex_lock(&all->lock);
	m->all_next = all->all;
	all->all = m;
	pthread_mutex_unlock(&all->lock);
}

/* Listed before their turn comes: their files can be had at once. */
static void take(struct modules *all)
{
	struct module *m = modules_take_asked(all);

	*all->todo_end = m;
	for (; m; m = m->asked_next) {
		list(m);
		all->todo_end = &m->asked_next;
	}
}

/* What has been earned since the last step, less what the one behind us took. */
static void settle(struct modules *all, uint64_t spent_ns)
{
	uint64_t now = clock_ns(CLOCK_MONOTONIC);

	all->credit_ns += (int64_t)((now - all->credit_at_ns) * all->build_us_per_s / 1000000) -
			  (int64_t)spent_ns;
	if (all->credit_ns > BUILD_BURST_MS * 1000000ll)
		all->credit_ns = BUILD_BURST_MS * 1000000ll;
	else if (all->credit_ns < -BUILD_DEBT_MS * 1000000ll) /* one large file */
		all->credit_ns = -BUILD_DEBT_MS * 1000000ll;
	all->credit_at_ns = now;
	atomic_store_explicit(&all->in_debt, all->credit_ns < 0, memory_order_relaxed);
}

int modules_step(struct modules *all, int wait_ms)
{
	struct timespec until = clock_after((uint64_t)(wait_ms > 0 ? wait_ms : 0) * 1000000);
	struct module *m;

	free_dropped(all);
	free_evicted(all);
	close_files(all);
	take(all);
	if (!all->todo && wait_ms > 0) {
		sem_clockwait(&all->wake, CLOCK_MONOTONIC, &until);
		take(all);
	}
	while (sem_trywait(&all->wake) == 0)
		;
	take(all); /* what was asked for between the two lines above */
	m = all->todo;
	if (!m) {
		settle(all, 0);
		return 0;
	}
	all->todo = m->asked_next;
	if (!all->todo)
		all->todo_end = &all->todo;
	uint64_t began = clock_ns(CLOCK_THREAD_CPUTIME_ID);

	process(m);
	settle(all, clock_ns(CLOCK_THREAD_CPUTIME_ID) - began);
	/* It may be asked for again from here on. */
	atomic_store(&m->asked, false);
	return all->todo ? 1 : 0;
}

int modules_file(struct modules *all, const char *path, const char *build_id)
{
	int r = -ENOENT;

	pthread_mutex_lock(&all->lock);
	for (struct module *m = all->all; m && r < 0; m = m->all_next) {
		int fd = m->fd;

		if (strcmp(m->key.path, path) != 0)
			continue;
		if (build_id[0] && strcmp(module_build_id(m), build_id) != 0)
			continue;
		r = fd >= 0 ? module_file_reopen(fd)
			    : module_file_open(all->host, &m->key, m->path_fd);
	}
	pthread_mutex_unlock(&all->lock);
	return r;
}

int modules_path(struct modules *all, const char *name, const char *build_id, char *ret,
		 size_t size)
{
	int r = -ENOENT;

	pthread_mutex_lock(&all->lock);
	for (struct module *m = all->all; m && r == -ENOENT; m = m->all_next) {
		const char *slash = strrchr(m->key.path, '/');

		if (!slash || strcmp(slash + 1, name) != 0)
			continue;
		if (build_id[0] && strcmp(module_build_id(m), build_id) != 0)
			continue;
		r = strlen(m->key.path) < size ? 0 : -ENAMETOOLONG;
		if (r == 0)
			strcpy(ret, m->key.path);
	}
	pthread_mutex_unlock(&all->lock);
	return r;
}
