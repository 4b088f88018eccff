/* Perf maps for the profiler's thread: it asks, the background thread reads, and neither waits for the other. */
#include "profile/profiler_private.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

enum { JITS_MAX = 64, REFRESH_US = 250000, NS_PID_US = 5000000, KEEP_US = 60000000 };

struct jit {
	uint32_t pid;	      /* 0: free */
	struct perf_map *map; /* NULL: none yet */
	uint32_t ns_pid;      /* see perf_map_look() */
	int64_t ns_pid_us, next_us, used_us;
	bool used, exited;
};

struct profiler_jits {
	const struct host *host;
	uint64_t memory_bytes;
	struct modules *modules; /* whose wake-up wakes the background, too; NULL: none */
	pthread_mutex_t lock;
	struct jit jits[JITS_MAX];
};

int profiler_jits_open(struct profiler_jits **ret, const struct host *host, struct modules *modules,
		       uint64_t memory_bytes)
{
	struct profiler_jits *js = calloc(1, sizeof(*js));

	if (!js)
		return -ENOMEM;
	js->host = host;
	js->memory_bytes = memory_bytes;
	js->modules = modules;
	pthread_mutex_init(&js->lock, NULL);
	*ret = js;
	return 0;
}

void profiler_jits_close(struct profiler_jits *js)
{
	if (!js)
		return;
	for (size_t i = 0; i < JITS_MAX; i++)
		perf_map_close(js->jits[i].map);
	pthread_mutex_destroy(&js->lock);
	free(js);
}

static struct jit *find(struct profiler_jits *js, uint32_t pid)
{
	for (size_t i = 0; i < JITS_MAX; i++)
		if (js->jits[i].pid == pid)
			return &js->jits[i];
	return NULL;
}

bool profiler_jits_find(struct profiler_jits *js, uint32_t pid, uint64_t addr, char *name,
			size_t size, uint64_t *ret_start)
{
	const char *found = NULL;
	struct jit *j;

	if (pthread_mutex_trylock(&js->lock) != 0)
		return false;
	j = find(js, pid);
	if (!j && (j = find(js, 0))) {
		*j = (struct jit){.pid = pid};
		if (js->modules)
			modules_wake(js->modules);
	}
	if (j) {
		j->used = true;
		found = j->map ? perf_map_find(j->map, addr, ret_start) : NULL;
	}
	if (found) {
		size_t len = strnlen(found, size - 1);

		memcpy(name, found, len);
		name[len] = 0;
	}
	pthread_mutex_unlock(&js->lock);
	return found;
}

void profiler_jits_exit(struct profiler_jits *js, uint32_t pid)
{
	struct jit *j;

	if (pthread_mutex_trylock(&js->lock) != 0)
		return; /* its age will do */
	j = find(js, pid);
	if (j)
		j->exited = true;
	pthread_mutex_unlock(&js->lock);
}

/* Frees a map that nobody has needed for a while. With the lock. True: it is free. */
static bool retire(struct jit *j, int64_t now_us)
{
	if (j->used || !j->used_us)
		j->used_us = now_us;
	j->used = false;
	if (!j->exited && now_us - j->used_us < KEEP_US)
		return false;
	perf_map_close(j->map);
	*j = (struct jit){0};
	return true;
}

/* Reading a map for the first time takes long: without the lock. Most have none; to see that is quick. */
static void open_map(struct profiler_jits *js, struct jit *j, int64_t now_us)
{
	uint32_t pid = j->pid, ns_pid = now_us - j->ns_pid_us > NS_PID_US ? 0 : j->ns_pid;
	struct perf_map *map = NULL;

	if (!ns_pid)
		j->ns_pid_us = now_us;
	pthread_mutex_unlock(&js->lock);
	if (perf_map_look(js->host, pid, &ns_pid) == 0 && perf_map_open(&map, js->host, pid) == 0)
		perf_map_refresh(map);
	pthread_mutex_lock(&js->lock);
	j->map = map; /* only this thread frees entries */
	j->ns_pid = ns_pid;
}

/* The map that was needed longest ago goes first, and comes back no sooner than after a minute: the namer knows the
 * names, too, only later. With the lock. */
static void keep_bound(struct profiler_jits *js, int64_t now_us)
{
	for (;;) {
		struct jit *oldest = NULL;
		uint64_t bytes = 0;

		for (size_t i = 0; i < JITS_MAX; i++) {
			struct jit *j = &js->jits[i];

			if (!j->map)
				continue;
			bytes += perf_map_bytes(j->map);
			if (!oldest || j->used_us < oldest->used_us)
				oldest = j;
		}
		if (bytes <= js->memory_bytes)
			return;
		perf_map_close(oldest->map);
		oldest->map = NULL;
		oldest->next_us = now_us + KEEP_US;
	}
}

void profiler_jits_step(struct profiler_jits *js, int64_t now_us)
{
	pthread_mutex_lock(&js->lock);
	for (size_t i = 0; i < JITS_MAX; i++) {
		struct jit *j = &js->jits[i];
		bool due = j->pid && now_us >= j->next_us;

		bool used = j->used;

		if (!due || retire(j, now_us) || !used)
			continue;
		j->next_us = now_us + REFRESH_US;
		if (!j->map) {
			open_map(js, j, now_us);
		} else if (perf_map_refresh(j->map) == -ESRCH) {
			perf_map_close(j->map);
			j->map = NULL;
		}
	}
	keep_bound(js, now_us);
	pthread_mutex_unlock(&js->lock);
}
