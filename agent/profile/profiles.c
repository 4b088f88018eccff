/* All profiles that are held: the open epoch, those that wait to be sealed, those that are. */
#include "profile/profiles.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "profile/profiles_internal.h"

enum { OPEN_SAMPLES_MAX = EPOCH_SAMPLES_MAX / 2, OPEN_BYTES_MAX = 48 << 20 };

/* ---- opening ---- */

static struct stacks *new_epoch(const struct profiles *p, int64_t from_us)
{
	struct stacks *s = stacks_new();

	if (!s)
		return NULL;
	memcpy(s->boot_id, p->boot_id, sizeof(s->boot_id));
	s->real_off_us = p->real_off_us;
	s->from_us = s->to_us = from_us;
	s->n_cpus = p->c.n_cpus;
	s->hz = p->hz;
	return s;
}

/* The number of a file of the crash log that no epoch has. With the pending lock held. */
static unsigned free_file(const struct profiles *p)
{
	for (unsigned file = 1; file < LOG_FILES; file++) {
		bool taken = false;

		for (unsigned i = 0; i < PENDING_MAX; i++)
			taken |= p->pending[i].stacks && p->pending[i].file == file;
		if (!taken)
			return file;
	}
	return 0;
}

/* Adds to those that wait, in order of time. */
static void wait_recovered(struct profiles *p, unsigned n, struct stacks *s, unsigned file)
{
	unsigned i = n;

	for (; i > 0 && p->pending[i - 1].stacks->from_us > s->from_us; i--)
		p->pending[i] = p->pending[i - 1];
	p->pending[i] = (struct pending){.stacks = s, .file = file};
}

/* The same epoch may be in the crash log, which has more of it, or sealed. */
static unsigned recover_copy(struct profiles *p, unsigned n)
{
	struct stacks *s;
	bool damaged, known = n == PENDING_MAX;
	int r = log_copy_load(&p->copy, &s, &damaged);

	p->shelf.damaged += damaged;
	if (r < 0)
		return 0;
	for (unsigned i = 0; i < n; i++)
		known = known || (p->pending[i].stacks->from_us == s->from_us &&
				  strcmp(p->pending[i].stacks->boot_id, s->boot_id) == 0);
	if (known || (!s->n_samples && !s->n_notes) || shelf_has(p, s->boot_id, s->from_us)) {
		stacks_free(s);
		return 0;
	}
	wait_recovered(p, n, s, 0);
	return 1;
}

/* What an earlier agent left in its crash log waits to be sealed, but what it had sealed already. */
static void recover(struct profiles *p)
{
	unsigned n = 0;

	for (unsigned file = LOG_FILES; file-- > 0;) {
		struct stacks *s;
		unsigned to;
		bool damaged;
		int r = crash_log_load(&p->log, file, &s, &damaged);

		p->shelf.damaged += damaged;
		if (r < 0) {
			crash_log_remove(&p->log, file);
			continue;
		}
		to = file ? file : free_file(p);
		if (n == PENDING_MAX || !to || (!s->n_samples && !s->n_notes) ||
		    shelf_has(p, s->boot_id, s->from_us)) {
			stacks_free(s);
			crash_log_remove(&p->log, file);
			continue;
		}
		if (!file)
			crash_log_set_aside(&p->log, to);
		wait_recovered(p, n++, s, to);
	}
	n += recover_copy(p, n);
	for (unsigned i = 0; i < n; i++)
		p->pending[i].number = i + 1;
	atomic_store(&p->n_pending, n);
	p->open_number = n + 1;
}

static void init_locks(struct profiles *p)
{
	pthread_mutex_init(&p->open_lock, NULL);
	pthread_mutex_init(&p->pending_lock, NULL);
	pthread_mutex_init(&p->lock, NULL);
	pthread_mutex_init(&p->read_lock, NULL);
}

int profiles_open(struct profiles **ret, const struct profiles_config *c)
{
	struct profiles *p = calloc(1, sizeof(*p));
	int r;

	if (!p)
		return -ENOMEM;
	p->c = *c;
	p->c.boot_id = p->boot_id;
	p->c.dir = NULL;
	memcpy(p->boot_id, c->boot_id, strnlen(c->boot_id, BOOT_LEN - 1));
	p->real_off_us = c->real_off_us;
	init_locks(p);
	p->shelf.pass = UINT64_MAX;
	p->c.copy_dir = NULL;
	crash_log_open(&p->log, c->dir);
	p->shelf.dir_fd = p->log.dir_fd;
	log_copy_open(&p->copy, c->copy_dir);
	r = ring_take_all(p);
	if (r >= 0)
		r = keep_take_all(p);
	if (r < 0) {
		profiles_close(p);
		return r;
	}
	recover(p);
	*ret = p;
	return 0;
}

void profiles_close(struct profiles *p)
{
	if (!p)
		return;
	shelf_done(&p->shelf);
	crash_log_close(&p->log);
	log_copy_close(&p->copy);
	stacks_free(p->open);
	for (unsigned i = 0; i < PENDING_MAX; i++)
		stacks_free(p->pending[i].stacks);
	pthread_mutex_destroy(&p->open_lock);
	pthread_mutex_destroy(&p->pending_lock);
	pthread_mutex_destroy(&p->lock);
	pthread_mutex_destroy(&p->read_lock);
	free(p);
}

void profiles_set_name(struct profiles *p, void (*name)(void *arg, struct stacks *, bool all),
		       void *arg)
{
	p->c.name = name;
	p->c.name_arg = arg;
}

/* ---- the profiler's thread ---- */

struct stacks *profiles_begin(struct profiles *p)
{
	pthread_mutex_lock(&p->open_lock);
	if (!p->open)
		p->open = new_epoch(p, INT64_MIN);
	return p->open;
}

uint64_t profiles_epoch(const struct profiles *p)
{
	return p->open_number;
}

static bool is_full(const struct profiles *p, const struct stacks *s)
{
	size_t bytes = stacks_bytes(s);

	return s->to_us - s->from_us >= PROFILES_EPOCH_US || bytes >= quarter(p) * 4 / 5 ||
	       bytes >= OPEN_BYTES_MAX || s->n_samples >= OPEN_SAMPLES_MAX || stacks_failed(s);
}

static uint32_t newest_hz(const struct stacks *s)
{
	uint32_t hz = s->hz;

	for (uint32_t i = 0; i < s->n_notes; i++)
		if (s->notes[i].kind == STACKS_HZ)
			hz = (uint32_t)s->notes[i].n;
	return hz;
}

void open_epoch_end(struct profiles *p)
{
	struct stacks *old = p->open, *next;
	unsigned n;

	p->hz = newest_hz(old);
	next = new_epoch(p, old->to_us);
	if (!next)
		return; /* goes on with this one */
	pthread_mutex_lock(&p->pending_lock);
	n = atomic_load(&p->n_pending);
	p->pending[n].stacks = old;
	p->pending[n].file = free_file(p);
	p->pending[n].number = p->open_number++;
	crash_log_set_aside(&p->log, p->pending[n].file);
	atomic_store(&p->n_pending, n + 1);
	p->open = next;
	pthread_mutex_unlock(&p->pending_lock);
	crash_log_begin(&p->log, next);
}

/* Nobody seals, and there is no room for more: what was added is lost, and that is said. */
static void throw_away(struct profiles *p)
{
	struct stacks *old = p->open, *next;
	struct stacks_note gap = {.at_us = old->to_us, .kind = STACKS_GAP};

	p->hz = newest_hz(old);
	next = new_epoch(p, old->from_us);
	if (!next)
		return;
	next->to_us = old->to_us;
	gap.n = (uint64_t)(old->to_us - old->from_us);
	stacks_note(next, &gap);
	pthread_mutex_lock(&p->lock);
	p->dropped += old->n_samples;
	pthread_mutex_unlock(&p->lock);
	stacks_free(old);
	pthread_mutex_lock(&p->pending_lock);
	p->open = next;
	p->open_number++;
	pthread_mutex_unlock(&p->pending_lock);
	crash_log_begin(&p->log, next);
}

/* When the first is known, an epoch begins there. */
static void start_at(struct profiles *p, int64_t now_us)
{
	struct stacks *s = p->open;

	s->from_us = now_us;
	for (uint32_t i = 0; i < s->n_samples; i++)
		if (s->samples[i].at_us < s->from_us)
			s->from_us = s->samples[i].at_us;
	s->to_us = s->from_us;
	crash_log_begin(&p->log, s);
}

void profiles_end(struct profiles *p, int64_t now_us, int64_t real_off_us)
{
	struct stacks *s = p->open;
	bool first = s && s->from_us == INT64_MIN;

	if (s) {
		s->real_off_us = real_off_us;
		if (first)
			start_at(p, now_us);
		if (now_us > s->to_us)
			s->to_us = now_us;
		crash_log_add(&p->log, s);
	}
	pthread_mutex_lock(&p->lock);
	p->real_off_us = real_off_us;
	pthread_mutex_unlock(&p->lock);
	if (s && is_full(p, s) && atomic_load(&p->n_pending) < WAIT_MAX)
		open_epoch_end(p);
	else if (s && (stacks_bytes(s) >= quarter(p) * 3 / 2 || stacks_failed(s)))
		throw_away(p);
	pthread_mutex_lock(&p->lock);
	p->open_bytes = p->open ? stacks_bytes(p->open) : 0;
	p->open_from_us = p->open ? p->open->from_us : INT64_MAX;
	pthread_mutex_unlock(&p->lock);
	pthread_mutex_unlock(&p->open_lock);
}

/* ---- others ---- */

int profiles_take(struct profiles *p, uint8_t *data, size_t len)
{
	struct epoch_head head;
	int r = epoch_head(data, len, &head);

	if (r < 0)
		return -EBADMSG;
	pthread_mutex_lock(&p->lock);
	r = shelf_add(p, &head, data, (uint32_t)len, NULL, NULL);
	pthread_mutex_unlock(&p->lock);
	return r;
}

static uint64_t pending_bytes(struct profiles *p)
{
	uint64_t sum = 0;

	pthread_mutex_lock(&p->pending_lock);
	for (unsigned i = 0; i < atomic_load(&p->n_pending); i++)
		sum += stacks_bytes(p->pending[i].stacks);
	pthread_mutex_unlock(&p->pending_lock);
	return sum;
}

void profiles_stats(struct profiles *p, struct profiles_stats *ret)
{
	uint64_t waiting = pending_bytes(p);
	const struct shelf *s = &p->shelf;
	int64_t oldest_us;

	pthread_mutex_lock(&p->lock);
	oldest_us = shelf_oldest_us(p);
	if (p->open_bytes && p->open_from_us < oldest_us)
		oldest_us = p->open_from_us;
	*ret = (struct profiles_stats){
		.oldest_us = oldest_us,
		.memory_bytes = s->bytes + s->decoded_bytes + p->open_bytes + waiting,
		.disk_bytes = s->disk_bytes,
		.samples = s->samples,
		.sample_bytes = s->sample_bytes,
		.n_epochs = s->n,
		.damaged = s->damaged,
		.dropped = p->dropped,
		.error = p->error,
	};
	pthread_mutex_unlock(&p->lock);
}
