/* The ring: superblocks, opening on a device, syncing, and what any thread may ask. */
#include "store/ring_internal.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <unistd.h>

#include "base/clock.h"

static const char SUPER_MAGIC[8] = "strobehr";

/* ---- superblocks ---- */

static uint32_t super_crc(const struct ring_super *s)
{
	struct ring_super copy = *s;

	copy.crc = 0;
	return crc32c(0, &copy, sizeof(copy));
}

static void set_geometry(struct ring_super *s, uint64_t size)
{
	uint64_t journal = size / 8 / RING_UNIT * RING_UNIT;

	s->size = size / RING_UNIT * RING_UNIT;
	s->journal_at = RING_JOURNAL_AT;
	s->journal_size = journal < RING_JOURNAL_MAX ? journal : RING_JOURNAL_MAX;
	s->records_at = s->journal_at + s->journal_size;
	s->records_size = s->size - s->records_at;
}

static bool geometry_right(const struct ring_super *s)
{
	struct ring_super want = {0};

	if (s->size < RING_SMALLEST || s->size % RING_UNIT || s->size > INT64_MAX)
		return false;
	set_geometry(&want, s->size);
	return want.journal_at == s->journal_at && want.journal_size == s->journal_size &&
	       want.records_at == s->records_at && want.records_size == s->records_size &&
	       s->next_seq <= RING_SEQ_MAX && s->journal_tail <= RING_SEQ_MAX &&
	       s->journal_head <= RING_SEQ_MAX && s->journal_tail % 8 == 0 &&
	       s->journal_head % 8 == 0 && s->records_size / RING_UNIT <= UINT32_MAX;
}

/* 0; -EBADMSG; -EPROTONOSUPPORT: whole, of another version; -EINVAL: of another version, damaged. */
static int super_check(const struct ring_super *s)
{
	if (memcmp(s->magic, SUPER_MAGIC, sizeof(s->magic)) != 0)
		return -EBADMSG;
	if (s->crc != super_crc(s))
		return s->version == RING_VERSION ? -EBADMSG : -EINVAL;
	if (s->version != RING_VERSION)
		return -EPROTONOSUPPORT;
	return geometry_right(s) ? 0 : -EBADMSG;
}

int ring_super_read(const struct ring_io *io, struct ring_super *ret)
{
	struct ring_super s, best = {0};
	bool other = false, odd = true;

	for (unsigned i = 0; i < 2; i++) {
		int r = io->ops->read(io, &s, sizeof(s), (uint64_t)i * RING_UNIT);

		if (r < 0 && r != -ENODATA)
			return r;
		r = r < 0 ? -EBADMSG : super_check(&s);
		other |= r == -EPROTONOSUPPORT;
		odd &= r == -EINVAL;
		if (r == 0 && s.generation >= best.generation)
			best = s;
	}
	if (other || odd)
		return -EPROTONOSUPPORT;
	if (!best.version)
		return -EBADMSG;
	*ret = best;
	return 0;
}

int ring_super_write(struct ring *r)
{
	struct ring_super s = r->super;
	int e;

	s.generation++;
	s.next_seq = r->next_seq;
	s.oldest_seq = r->n_slots ? ring_slot(r, 0)->seq : r->next_seq;
	s.journal_tail = r->journal_tail;
	s.journal_head = r->journal_head;
	s.laps = r->stats.laps;
	s.pid = (uint64_t)getpid();
	s.crc = super_crc(&s);
	e = ring_write(r, &s, sizeof(s), s.generation % 2 * RING_UNIT);
	if (e < 0)
		return e;
	r->super.generation = s.generation; /* others read the rest of it */
	r->super_us = clock_mono_us();
	r->super_due = false;
	return 0;
}

int ring_format(const struct ring_io *io, uint64_t size)
{
	struct ring_super s = {.version = RING_VERSION, .next_seq = 1, .oldest_seq = 1};

	memcpy(s.magic, SUPER_MAGIC, sizeof(s.magic));
	set_geometry(&s, size);
	if (!geometry_right(&s))
		return -EINVAL;
	if (getrandom(s.id, sizeof(s.id), 0) != (ssize_t)sizeof(s.id))
		return -EIO;
	for (unsigned i = 0; i < 2; i++) {
		int r;

		s.generation = 2 + i;
		s.crc = super_crc(&s);
		r = io->ops->write(io, &s, sizeof(s), (uint64_t)i * RING_UNIT);
		if (r < 0)
			return r;
	}
	return 0;
}

/* ---- writing ---- */

int ring_write(struct ring *r, const void *from, size_t len, uint64_t at)
{
	int e = r->io.ops->write(&r->io, from, len, at);

	r->dirty = true;
	pthread_mutex_lock(&r->lock);
	r->stats.bytes_written += len;
	pthread_mutex_unlock(&r->lock);
	return e;
}

void ring_failed(struct ring *r, int error)
{
	pthread_mutex_lock(&r->lock);
	r->stats.error = error < 0 ? error : r->deleted ? -ENOENT : 0;
	pthread_mutex_unlock(&r->lock);
}

/* What a failed sync may have dropped is written again: the kernel reports it once and then takes the
 * pages for clean. */
static int rewrite(struct ring *r, uint64_t at, uint64_t len)
{
	uint8_t buf[RING_UNIT];
	int e = 0;

	for (uint64_t n; e >= 0 && len; at += n, len -= n) {
		n = len < sizeof(buf) ? len : sizeof(buf);
		e = r->io.ops->read(&r->io, buf, n, at);
		if (e >= 0)
			e = ring_write(r, buf, n, at);
	}
	return e;
}

static int rewrite_unsynced(struct ring *r)
{
	uint64_t size = r->super.journal_size, from = r->synced_head % size;
	uint64_t len = r->journal_head - r->synced_head;
	int e = rewrite(r, r->super.records_at + r->unsynced_at, r->unsynced_len);

	if (e >= 0 && from + len > size) {
		e = rewrite(r, r->super.journal_at, from + len - size);
		len = size - from;
	}
	if (e >= 0)
		e = rewrite(r, r->super.journal_at + from, len);
	for (unsigned i = 0; e >= 0 && i < 2; i++)
		e = rewrite(r, (uint64_t)i * RING_UNIT, RING_SUPER_SIZE);
	return e;
}

int ring_flush(struct ring *r)
{
	int e = r->sync_failed ? rewrite_unsynced(r) : 0;

	if (e >= 0)
		e = r->io.ops->sync(&r->io);
	r->deleted = e == -ENOENT;
	r->sync_failed = e < 0 && !r->deleted;
	if (!r->sync_failed) {
		r->dirty = false;
		r->unsynced_len = 0;
		r->durable_tail = r->journal_tail;
		r->synced_head = r->journal_head;
		pthread_mutex_lock(&r->lock);
		r->stats.synced_us = clock_mono_us();
		pthread_mutex_unlock(&r->lock);
	}
	return e;
}

/* The superblock is written after the sync, so that it never speaks of what is not durable. */
int ring_sync(struct ring *r)
{
	int e;

	if (r->read_only)
		return -EROFS;
	e = ring_flush(r);
	if (e >= 0 && (r->super_due || clock_mono_us() - r->super_us >= RING_SUPER_US))
		e = ring_super_write(r);
	ring_failed(r, e);
	return e;
}

void ring_close(struct ring *r)
{
	if (!r)
		return;
	if (!r->read_only && r->slots && ring_flush(r) >= 0 && ring_super_write(r) >= 0)
		ring_flush(r);
	if (r->io.ops)
		r->io.ops->close(&r->io);
	pthread_mutex_destroy(&r->lock);
	free(r->slots);
	free(r->idents);
	free(r->catalogs);
	free(r->marks);
	free(r->frame_buf);
	free(r);
}

/* ---- opening ---- */

static bool cut_short(const struct ring *r)
{
	uint8_t last;

	return r->io.ops->read(&r->io, &last, 1, r->super.size - 1) == -ENODATA;
}

static int start(struct ring *r, char *err, size_t err_len)
{
	int e = ring_super_read(&r->io, &r->super);

	if (e < 0) {
		snprintf(err, err_len, "%s",
			 e == -EPROTONOSUPPORT ? "it was written by another version of strobe"
			 : e == -EBADMSG       ? "it is no history of strobe"
					       : strerror(-e));
		return e;
	}
	r->seed = crc32c(0, r->super.id, sizeof(r->super.id));
	r->stats.size_bytes = r->super.records_size;
	r->stats.journal_size_bytes = r->super.journal_size;
	r->stats.laps = r->super.laps;
	r->stats.damaged += cut_short(r);
	e = ring_dir_reserve(r);
	if (e >= 0)
		e = ring_recover(r);
	if (e >= 0)
		e = ring_journal_recover(r);
	if (e >= 0 && !r->read_only) /* what the last process left in memory counts as durable */
		e = ring_flush(r);
	if ((e >= 0 || e == -ENOENT) && !r->read_only)
		e = ring_super_write(r);
	if (e < 0)
		snprintf(err, err_len, "%s", strerror(-e));
	else if (r->stats.damaged)
		snprintf(err, err_len, "%llu damaged records or frames were left out",
			 (unsigned long long)r->stats.damaged);
	return e;
}

int ring_open_io(struct ring **ret, const struct ring_io *io, bool read_only, char *err,
		 size_t err_len)
{
	struct ring *r = calloc(1, sizeof(*r));
	int e;

	snprintf(err, err_len, "%s", "");
	if (!r)
		return -ENOMEM;
	pthread_mutex_init(&r->lock, NULL);
	r->io = *io;
	r->read_only = read_only;
	e = start(r, err, err_len);
	if (e < 0) {
		r->io.ops = NULL;
		r->read_only = true;
		ring_close(r);
		return e;
	}
	*ret = r;
	return 0;
}

/* ---- for any thread ---- */

struct ring_entry *ring_list(struct ring *r, size_t *n)
{
	struct ring_entry *list;
	size_t k = 0;

	pthread_mutex_lock(&r->lock);
	list = malloc((r->n_slots + 1) * sizeof(*list));
	for (uint32_t i = 0; list && i < r->n_slots; i++)
		if (!ring_slot(r, i)->damaged)
			ring_dir_entry(r, ring_slot(r, i), &list[k++]);
	pthread_mutex_unlock(&r->lock);
	if (list)
		*n = k;
	return list;
}

void ring_stats(struct ring *r, struct ring_stats *ret)
{
	pthread_mutex_lock(&r->lock);
	*ret = r->stats;
	pthread_mutex_unlock(&r->lock);
}
