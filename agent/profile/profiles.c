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
	p->c.copy_dir = NULL;
	crash_log_open(&p->log, c->dir);
	log_copy_open(&p->copy, c->copy_dir);
	r = ring_take_all(p);
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
	crash_log_close(&p->log);
	log_copy_close(&p->copy);
	stacks_free(p->open);
	for (unsigned i = 0; i < PENDING_MAX; i++)
		stacks_free(p->pending[i].stacks);
	shelf_done(&p->shelf);
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

/* The open epoch waits to be sealed from here on, and another begins. With the open lock held. */
static void end_epoch(struct profiles *p)
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
		end_epoch(p);
	else if (s && (stacks_bytes(s) >= quarter(p) * 3 / 2 || stacks_failed(s)))
		throw_away(p);
	pthread_mutex_lock(&p->lock);
	p->open_bytes = p->open ? stacks_bytes(p->open) : 0;
	p->open_from_us = p->open ? p->open->from_us : INT64_MAX;
	pthread_mutex_unlock(&p->lock);
	pthread_mutex_unlock(&p->open_lock);
}

/* ---- the background thread ---- */

static void name_open(struct profiles *p)
{
	pthread_mutex_lock(&p->open_lock);
	if (p->open && p->c.name) {
		p->c.name(p->c.name_arg, p->open, false);
		p->log.renamed = true;
	}
	pthread_mutex_unlock(&p->open_lock);
}

/* Takes the first that waits off the queue; its seal is on the shelf. */
static void pop_pending(struct profiles *p)
{
	struct pending done = p->pending[0];
	unsigned n = atomic_load(&p->n_pending);

	for (unsigned i = 1; i < n; i++)
		p->pending[i - 1] = p->pending[i];
	p->pending[n - 1] = (struct pending){0};
	atomic_store(&p->n_pending, n - 1);
	stacks_free(done.stacks);
}

/* Puts an epoch on the shelf in place of the first that waits. */
static int shelve(struct profiles *p, uint8_t *data, size_t len, struct held **ret)
{
	struct epoch_head head;
	int r = epoch_head(data, len, &head);

	if (r < 0)
		return r;
	pthread_mutex_lock(&p->pending_lock);
	pthread_mutex_lock(&p->lock);
	r = shelf_add(p, &head, data, (uint32_t)len, NULL, ret);
	if (r >= 0) {
		(*ret)->unwritten = p->c.ring != NULL;
		(*ret)->number = p->pending[0].number;
		pop_pending(p);
	}
	pthread_mutex_unlock(&p->lock);
	pthread_mutex_unlock(&p->pending_lock);
	return r;
}

/* One that cannot be stored is lost. */
static void give_up(struct profiles *p)
{
	pthread_mutex_lock(&p->pending_lock);
	pthread_mutex_lock(&p->lock);
	p->dropped += p->pending[0].stacks->n_samples;
	pop_pending(p);
	pthread_mutex_unlock(&p->lock);
	pthread_mutex_unlock(&p->pending_lock);
}

/* One too large for the ring is kept in memory only. */
static int put_one(struct profiles *p, struct held *h)
{
	int r = ring_put(p, h);

	pthread_mutex_lock(&p->lock);
	h->unwritten = r < 0 && r != -ENOSPC;
	pthread_mutex_unlock(&p->lock);
	return r == -ENOSPC ? 0 : r;
}

/* Seals the first that waits. 0, or -errno. */
static int seal_one(struct profiles *p)
{
	struct stacks *s = p->pending[0].stacks;
	unsigned file = p->pending[0].file;
	struct held *h = NULL;
	uint8_t *data;
	size_t len;
	int r;

	pthread_mutex_lock(&p->pending_lock);
	if (strcmp(s->boot_id, p->boot_id) != 0)
		profiles_forbid_names(s);
	if (p->c.name)
		p->c.name(p->c.name_arg, s, true);
	pthread_mutex_unlock(&p->pending_lock);
	r = epoch_encode(s, &data, &len);
	if (r == -ENOMEM)
		return r; /* later */
	if (r >= 0) {
		r = shelve(p, data, len, &h);
		if (r < 0)
			free(data);
	}
	if (r < 0)
		give_up(p);
	if (h && p->c.ring)
		r = put_one(p, h);
	if (h) {
		pthread_mutex_lock(&p->lock);
		shelf_release(p, h);
		shelf_shrink(p);
		pthread_mutex_unlock(&p->lock);
	}
	if (file)
		crash_log_remove(&p->log, file);
	return r;
}

/* What the ring did not take the last time. */
static int put_missing(struct profiles *p)
{
	int r = 0;

	while (r >= 0 && p->c.ring) {
		struct held *h = NULL;

		pthread_mutex_lock(&p->lock);
		for (size_t i = 0; i < p->shelf.n && !h; i++)
			if (p->shelf.v[i]->unwritten && p->shelf.v[i]->data)
				h = p->shelf.v[i];
		if (h)
			h->refs++;
		pthread_mutex_unlock(&p->lock);
		if (!h)
			break;
		r = put_one(p, h);
		pthread_mutex_lock(&p->lock);
		shelf_release(p, h);
		pthread_mutex_unlock(&p->lock);
	}
	return r;
}

int profiles_step(struct profiles *p)
{
	int r = 0;

	name_open(p);
	if (atomic_load(&p->n_pending))
		r = seal_one(p);
	if (r >= 0)
		r = put_missing(p);
	if (r >= 0 && !atomic_load(&p->n_pending))
		r = log_copy_step(p);
	pthread_mutex_lock(&p->lock);
	p->error = r;
	pthread_mutex_unlock(&p->lock);
	return r;
}

void profiles_finish(struct profiles *p)
{
	bool has;

	while (atomic_load(&p->n_pending) && seal_one(p) != -ENOMEM)
		;
	pthread_mutex_lock(&p->open_lock);
	if (!p->c.ring && p->open && p->log.fd >= 0) { /* where the next agent finds it */
		if (p->c.name)
			p->c.name(p->c.name_arg, p->open, true);
		p->log.renamed = true;
		crash_log_add(&p->log, p->open);
		pthread_mutex_unlock(&p->open_lock);
		return;
	}
	has = p->open && p->open->from_us != INT64_MIN && (p->open->n_samples || p->open->n_notes);
	if (has && atomic_load(&p->n_pending) < PENDING_MAX)
		end_epoch(p);
	pthread_mutex_unlock(&p->open_lock);
	while (atomic_load(&p->n_pending) && seal_one(p) != -ENOMEM)
		;
	if (put_missing(p) == 0)
		log_copy_remove(&p->copy);
	crash_log_remove(&p->log, 0);
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
