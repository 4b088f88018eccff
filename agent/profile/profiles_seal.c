/* The background thread's part: names, and epochs that have ended from memory to the shelf and the ring. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "profile/profiles_internal.h"

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

/* Puts an epoch on the shelf in place of the first that waits; with a number, it is in that file. */
static int shelve(struct profiles *p, uint8_t *data, size_t len, uint64_t kept, struct held **ret)
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
		if (kept) {
			free((*ret)->data);
			(*ret)->data = NULL;
			(*ret)->kept = kept;
		}
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
	uint64_t kept = 0;
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
		/* Where there is no room for a file, memory has it. */
		if (!p->c.ring)
			keep_write(&p->shelf, data, len, &kept);
		r = shelve(p, data, len, kept, &h);
		if (r < 0)
			free(data);
		if (r < 0 && kept)
			keep_remove(&p->shelf, kept);
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
		open_epoch_end(p);
	pthread_mutex_unlock(&p->open_lock);
	while (atomic_load(&p->n_pending) && seal_one(p) != -ENOMEM)
		;
	if (put_missing(p) == 0)
		log_copy_remove(&p->copy);
	crash_log_remove(&p->log, 0);
}
