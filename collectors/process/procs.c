#include "collectors/process/procs.h"

#include "base/metric.h"

#include <errno.h>
#include <math.h>
#include <string.h>
#include <sys/mman.h>

enum { HASH_CELLS = 2 * PROCS_MAX, SCORE_HALVES_MS = 4000 };

static void *carve(struct procs *t, size_t *at, size_t bytes)
{
	void *p = t->map ? (char *)t->map + *at : NULL;

	*at += (bytes + 63) & ~(size_t)63;
	return p;
}

static size_t lay_out(struct procs *t)
{
	size_t at = 0;

	t->hot = carve(t, &at, PROCS_MAX * sizeof(*t->hot));
	t->proc = carve(t, &at, PROCS_MAX * sizeof(*t->proc));
	t->thread = carve(t, &at, THREADS_MAX * sizeof(*t->thread));
	t->hash = carve(t, &at, HASH_CELLS * sizeof(*t->hash));
	t->read = carve(t, &at, 2 * PROCS_MAX * sizeof(*t->read));
	t->ended = carve(t, &at, PROCS_MAX * sizeof(*t->ended));
	t->used = carve(t, &at, PROCS_MAX / 8);
	return at;
}

int procs_open(struct procs *t)
{
	*t = (struct procs){0};
	t->map_len = lay_out(t);
	t->map = mmap(NULL, t->map_len, PROT_READ | PROT_WRITE,
		      MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	if (t->map == MAP_FAILED) {
		*t = (struct procs){0};
		return -ENOMEM;
	}
	lay_out(t);
	return 0;
}

void procs_close(struct procs *t)
{
	if (t->map)
		munmap(t->map, t->map_len);
	*t = (struct procs){0};
}

void procs_begin(struct procs *t, uint64_t now_ms)
{
	t->tick++;
	t->now_ms = now_ms;
	t->n_read = t->n_ended = 0;
}

/* Open addressing on the pid itself (neighbours share a page); deletion shifts the run back. */
static uint32_t home(int32_t pid)
{
	return (uint32_t)pid & (HASH_CELLS - 1);
}

uint32_t procs_find(const struct procs *t, int32_t pid)
{
	for (uint32_t c = home(pid); t->hash[c]; c = (c + 1) & (HASH_CELLS - 1))
		if (t->hot[t->hash[c] - 1].pid == pid)
			return t->hash[c] - 1;
	return NO_ENTRY;
}

static void hash_insert(struct procs *t, uint32_t i)
{
	uint32_t c = home(t->hot[i].pid);

	while (t->hash[c])
		c = (c + 1) & (HASH_CELLS - 1);
	t->hash[c] = i + 1;
}

static void hash_remove(struct procs *t, uint32_t i)
{
	uint32_t hole = home(t->hot[i].pid);

	while (t->hash[hole] != i + 1)
		hole = (hole + 1) & (HASH_CELLS - 1);
	for (uint32_t c = (hole + 1) & (HASH_CELLS - 1); t->hash[c];
	     c = (c + 1) & (HASH_CELLS - 1)) {
		uint32_t h = home(t->hot[t->hash[c] - 1].pid);

		if (((c - h) & (HASH_CELLS - 1)) >= ((c - hole) & (HASH_CELLS - 1))) {
			t->hash[hole] = t->hash[c];
			hole = c;
		}
	}
	t->hash[hole] = 0;
}

/* The lowest free entry; `hint` is a word below which none is free. */
static uint32_t lowest_free(struct procs *t)
{
	for (uint32_t w = t->hint; w < PROCS_MAX / 64; w++)
		if (~t->used[w]) {
			t->hint = w;
			return w * 64 + (uint32_t)__builtin_ctzll(~t->used[w]);
		}
	t->hint = PROCS_MAX / 64;
	return NO_ENTRY;
}

uint32_t procs_add(struct procs *t, int32_t pid, uint64_t start, bool born)
{
	uint32_t i = lowest_free(t);

	if (i == NO_ENTRY) {
		t->n_untracked++;
		return NO_ENTRY;
	}
	t->used[i / 64] |= 1ull << (i % 64);
	t->hot[i] = (struct hot){.pid = pid, .clock_ns = -1, .again = true};
	struct proc *p = &t->proc[i];

	*p = (struct proc){.start = start, .gen = ++t->gen, .born = born, .slot = -1, .uid = -1};
	p->unheard = UNHEARD_UNKNOWN;
	for (int k = 0; k < N_VALUES; k++)
		p->v[k] = VALUE_ABSENT;
	for (int k = 0; k < N_FILES; k++)
		p->fd[k] = -1;
	p->score_ms = p->added_ms = t->now_ms;
	if (i >= t->high)
		t->high = i + 1;
	t->n++;
	t->births += born;
	t->others.count++;
	hash_insert(t, i);
	return i;
}

double procs_score(const struct procs *t, const struct proc *p)
{
	return p->score * exp2(-(double)(t->now_ms - p->score_ms) / SCORE_HALVES_MS);
}

/* A file may say anything: sums wrap as the stored values do. */
static int64_t add(int64_t a, int64_t b)
{
	return (int64_t)((uint64_t)a + (uint64_t)b);
}

static int64_t sub(int64_t a, int64_t b)
{
	return (int64_t)((uint64_t)a - (uint64_t)b);
}

/* What a counter rose by since it was last read; everything when the process began under watch. */
static int64_t rise(struct proc *p, int k, int64_t now)
{
	uint32_t bit = 1u << k;
	bool based = p->based & bit;
	int64_t was = p->v[k];

	if (now == VALUE_ABSENT)
		return 0;
	p->based |= bit;
	if (was == VALUE_ABSENT)
		return p->born && !based ? now : 0;
	return now > was ? sub(now, was) : 0;
}

void procs_update(struct procs *t, uint32_t i, const int64_t *v)
{
	struct proc *p = &t->proc[i];
	int64_t d[N_COUNTERS];

	for (int k = 0; k < N_COUNTERS; k++)
		d[k] = rise(p, k, v[k]);
	if (d[V_CPU] > 0)
		p->ran = true;
	p->score = procs_score(t, p) + (double)d[V_CPU] + (double)d[V_RUN_DELAY] / 4 +
		   ((double)d[V_READ_BYTES] + (double)d[V_WRITE_BYTES]) / 4;
	p->score_ms = t->now_ms;
	if (p->slot < 0) {
		int64_t was = p->v[V_RSS] == VALUE_ABSENT ? 0 : p->v[V_RSS];

		for (int k = 0; k < N_COUNTERS; k++)
			t->others.v[k] = add(t->others.v[k], d[k]);
		t->others.rss_kb =
			add(t->others.rss_kb, sub(v[V_RSS] == VALUE_ABSENT ? 0 : v[V_RSS], was));
	}
	memcpy(p->v, v, sizeof(p->v));
	if (p->read_tick != t->tick) {
		p->read_tick = t->tick;
		t->read[t->n_read++] = i;
	}
}

void procs_set_slot(struct procs *t, uint32_t i, int32_t slot)
{
	struct proc *p = &t->proc[i];
	int step = (slot < 0) - (p->slot < 0);

	t->others.count += step;
	if (p->v[V_RSS] != VALUE_ABSENT)
		t->others.rss_kb = step > 0 ? add(t->others.rss_kb, p->v[V_RSS])
					    : sub(t->others.rss_kb, step ? p->v[V_RSS] : 0);
	p->slot = slot;
	p->member_ms = t->now_ms;
}

void procs_remove(struct procs *t, uint32_t i)
{
	struct proc *p = &t->proc[i];

	if (p->slot >= 0) {
		t->ended[t->n_ended++] = (uint32_t)p->slot;
		procs_set_slot(t, i, -1);
	}
	if (p->v[V_RSS] != VALUE_ABSENT)
		t->others.rss_kb = sub(t->others.rss_kb, p->v[V_RSS]);
	t->others.count--;
	for (uint32_t at = p->threads, next; at; at = next) {
		next = t->thread[at - 1].next;
		procs_thread_free(t, at);
	}
	p->threads = p->n_threads = 0;
	hash_remove(t, i);
	t->hot[i].pid = 0;
	t->used[i / 64] &= ~(1ull << (i % 64));
	if (i / 64 < t->hint)
		t->hint = i / 64;
	while (t->high && !t->hot[t->high - 1].pid)
		t->high--;
	t->n--;
	t->exits++;
}

uint32_t procs_thread_new(struct procs *t, int32_t tid)
{
	for (uint32_t k = 0; k < THREADS_MAX; k++) {
		uint32_t at = (t->thread_hint + k) % THREADS_MAX;

		if (t->thread[at].tid)
			continue;
		t->thread[at] = (struct thread){.tid = tid, .fd = -1, .ran = (uint32_t)t->tick};
		t->thread_hint = at + 1;
		return at + 1;
	}
	return 0;
}

void procs_thread_free(struct procs *t, uint32_t at)
{
	t->thread[at - 1].tid = 0;
	if (at - 1 < t->thread_hint)
		t->thread_hint = at - 1;
}
