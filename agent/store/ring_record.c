/* Records of the ring: written, verified, read. */
#include "store/ring_internal.h"

#include <endian.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

uint32_t ring_record_crc(const struct ring *r, const struct ring_record *h, uint64_t at)
{
	struct ring_record copy = *h;

	copy.crc = 0;
	return crc32c(crc32c(r->seed, &at, sizeof(at)), &copy, sizeof(copy));
}

static uint32_t page_crc(const struct ring *r, uint64_t seq, uint64_t page, const void *data,
			 size_t len)
{
	const uint64_t lead[2] = {seq, page};

	return crc32c(crc32c(r->seed, lead, sizeof(lead)), data, len);
}

static size_t page_len(size_t len, uint64_t page)
{
	size_t left = len - (size_t)page * RING_PAGE;

	return left < RING_PAGE ? left : RING_PAGE;
}

int ring_record_read(const struct ring *r, uint64_t at, struct ring_record *ret)
{
	struct ring_record h;
	int e = r->io.ops->read(&r->io, &h, sizeof(h), r->super.records_at + at);

	if (e < 0)
		return e;
	if (h.magic != RING_RECORD_MAGIC || h.crc != ring_record_crc(r, &h, at))
		return 0;
	if (!h.seq || h.seq > RING_SEQ_MAX || h.journal_tail > RING_SEQ_MAX || h.journal_tail % 8 ||
	    !h.len || h.oldest_seq > h.seq || at + ring_record_size(h.len) > r->super.records_size)
		return 0;
	if (h.type != RING_PENDING && (h.type < RING_BLOCK || h.type > RING_PROFILE))
		return 0;
	h.boot_id[RING_BOOT_LEN - 1] = 0;
	*ret = h;
	return 1;
}

/* Verifies the first n pages; `to` has room for the payload up to their end. */
static int read_pages(const struct ring *r, uint64_t at, const struct ring_record *h, void *to,
		      uint64_t n)
{
	uint64_t lead = ring_record_lead(h->len), n_pages;
	uint64_t table_at = r->super.records_at + at + sizeof(*h), len;
	uint32_t *table;
	uint8_t *p = to;
	int e;

	n_pages = (lead - sizeof(*h)) / 4;
	len = n < n_pages ? n * RING_PAGE : h->len;
	table = malloc(n_pages * 4);
	if (!table)
		return -ENOMEM;
	e = r->io.ops->read(&r->io, table, n_pages * 4, table_at);
	if (e >= 0)
		e = r->io.ops->read(&r->io, p, len, r->super.records_at + at + lead);
	if (e == -ENODATA ||
	    (e >= 0 && page_crc(r, h->seq, n_pages, table, n_pages * 4) != h->table_crc))
		e = -EBADMSG;
	for (uint64_t i = 0; e >= 0 && i < n_pages && i < n; i++)
		if (page_crc(r, h->seq, i, p + i * RING_PAGE, page_len(h->len, i)) != table[i])
			e = -EBADMSG;
	free(table);
	return e < 0 ? e : 0;
}

int ring_record_payload(const struct ring *r, uint64_t at, const struct ring_record *h, void *to)
{
	return read_pages(r, at, h, to, UINT64_MAX);
}

int ring_record_spoil(struct ring *r, uint64_t at)
{
	struct ring_record h = {
		.magic = RING_RECORD_MAGIC,
		.seq = r->next_seq,
		.oldest_seq = r->n_slots ? ring_slot(r, 0)->seq : r->next_seq,
		.type = RING_PENDING,
		.len = 1,
	};

	h.crc = ring_record_crc(r, &h, at);
	return ring_write(r, &h, sizeof(h), r->super.records_at + at);
}

/* ---- appending ---- */

static bool in_the_way(const struct ring *r, uint64_t from, uint64_t to)
{
	uint64_t at;

	if (!r->n_slots)
		return false;
	at = (uint64_t)ring_slot(r, 0)->unit * RING_UNIT;
	return at >= from && at < to;
}

/* What lies where the record goes is gone from here on. */
static void evict(struct ring *r, uint64_t at, uint64_t size)
{
	pthread_mutex_lock(&r->lock);
	while (at < r->head && in_the_way(r, r->head, r->super.records_size))
		ring_dir_pop_oldest(r);
	while (in_the_way(r, at, at + size))
		ring_dir_pop_oldest(r);
	pthread_mutex_unlock(&r->lock);
}

static int write_record(struct ring *r, struct ring_record *h, const uint8_t *data, uint64_t at)
{
	uint64_t lead = ring_record_lead(h->len), n_pages = (lead - sizeof(*h)) / 4;
	uint64_t base = r->super.records_at + at;
	uint8_t *head = malloc(lead);
	uint32_t *table;
	int e;

	if (!head)
		return -ENOMEM;
	table = malloc(n_pages * 4);
	if (!table) {
		free(head);
		return -ENOMEM;
	}
	for (uint64_t i = 0; i < n_pages; i++)
		table[i] = page_crc(r, h->seq, i, data + i * RING_PAGE, page_len(h->len, i));
	h->table_crc = page_crc(r, h->seq, n_pages, table, n_pages * 4);
	h->crc = ring_record_crc(r, h, at);
	memcpy(head, h, sizeof(*h));
	memcpy(head + sizeof(*h), table, n_pages * 4);
	free(table);
	e = ring_record_spoil(r, at);
	if (e >= 0)
		e = ring_write(r, data, h->len, base + lead);
	if (e >= 0)
		e = ring_write(r, head, lead, base);
	free(head);
	return e;
}

/* A record that failed half-way must not be found later, when another has its seq. */
static int unspoil(struct ring *r)
{
	int e = 0;

	if (r->spoiled)
		e = ring_record_spoil(r, r->spoiled - 1);
	if (e >= 0)
		r->spoiled = 0;
	return e;
}

static int put_record(struct ring *r, struct ring_record *h, const uint8_t *data)
{
	uint64_t size = ring_record_size(h->len), at = r->head;
	bool lap = at + size > r->super.records_size;
	int e = unspoil(r);

	if (e >= 0 && r->unsynced_len && !r->unordered)
		e = ring_flush(r);
	if (e < 0 && e != -ENOENT)
		return e;
	at = lap ? 0 : at;
	evict(r, at, size);
	h->oldest_seq = r->n_slots ? ring_slot(r, 0)->seq : h->seq;
	e = write_record(r, h, data, at);
	if (e < 0) {
		r->spoiled = at + 1;
		unspoil(r);
		return e;
	}
	r->unsynced_at = at;
	r->unsynced_len = size;
	pthread_mutex_lock(&r->lock);
	ring_dir_push(r, h, at); /* room for it was reserved */
	r->stats.laps += lap;
	pthread_mutex_unlock(&r->lock);
	r->head = at + size;
	r->next_seq = h->seq + 1;
	r->super_due |= lap;
	return 0;
}

static int append(struct ring *r, enum ring_type type, const struct block_head *b, const void *data,
		  uint32_t len)
{
	struct ring_record h = {
		.magic = RING_RECORD_MAGIC,
		.seq = r->next_seq,
		.type = type,
		.len = len,
		.catalog_crc = b->catalog_crc,
		.first_seq = b->first_seq,
		.last_seq = b->last_seq,
		.from_us = b->from_us,
		.to_us = b->to_us,
		.real_off_us = b->real_off_us,
		.n_samples = b->n_samples,
		.n_groups = b->n_groups,
		.bucket_us = b->bucket_us,
		.journal_tail = type == RING_BLOCK
					? ring_journal_tail_after(r, b->log_id, b->last_seq)
					: r->journal_tail,
	};
	int e;

	memcpy(h.log_id, b->log_id, sizeof(h.log_id));
	memcpy(h.boot_id, b->boot_id, strnlen(b->boot_id, sizeof(h.boot_id) - 1));
	pthread_mutex_lock(&r->lock);
	e = ring_dir_ident(r, h.log_id, h.boot_id);
	if (e >= 0)
		e = ring_dir_reserve(r);
	pthread_mutex_unlock(&r->lock);
	if (e >= 0)
		e = put_record(r, &h, data);
	ring_failed(r, e);
	if (e >= 0 && type == RING_BLOCK)
		ring_journal_sealed(r, b->log_id, b->last_seq);
	return e;
}

/* Copies the newest record of that catalog to the head when it is more than a third of a lap old: one
 * append takes less than half a lap, so it does not go while it is needed. */
static int carry(struct ring *r, const struct ring_catalog *c)
{
	const struct ring_slot *s = ring_dir_find(r, c->newest_seq);
	uint64_t area = r->super.records_size, at;
	struct ring_record h;
	uint8_t *data;
	int e;

	if (!s || s->len > area / 16)
		return 0;
	at = (uint64_t)s->unit * RING_UNIT;
	if ((r->head + area - at) % area <= area / 3 && r->head != at)
		return 0;
	data = malloc(s->len);
	if (!data)
		return -ENOMEM;
	e = ring_record_read(r, at, &h);
	if (e == 1 && (h.seq != s->seq || h.len != s->len))
		e = 0;
	if (e == 1 && ring_record_payload(r, at, &h, data) == 0)
		e = append(r, RING_CATALOG, &(struct block_head){.catalog_crc = c->crc}, data,
			   h.len);
	free(data);
	return e < 0 ? e : 0;
}

static int carry_catalogs(struct ring *r, uint32_t crc)
{
	int e = 0;

	/* An append may reorder the table: what is passed over then is looked at next time. */
	for (uint32_t i = 0; e >= 0 && i < r->n_catalogs; i++) {
		struct ring_catalog c = r->catalogs[i];

		if (c.n_copies && (c.n_named || c.crc == crc))
			e = carry(r, &c);
	}
	return e;
}

int ring_append_head(struct ring *r, enum ring_type type, const struct block_head *head,
		     const void *data, size_t len)
{
	const struct ring_catalog *c;
	int e;

	if (r->read_only)
		return -EROFS;
	if (!len || type < RING_BLOCK || type > RING_PROFILE)
		return -EINVAL;
	if (len > UINT32_MAX || ring_record_size((uint32_t)len) > r->super.records_size / 4)
		return -ENOSPC;
	c = ring_dir_catalog(r, head->catalog_crc);
	if (ring_wants_catalog(type) && (!c || !c->n_copies))
		return -ENOENT;
	e = type == RING_PROFILE ? 0 : carry_catalogs(r, head->catalog_crc);
	return e < 0 ? e : append(r, type, head, data, (uint32_t)len);
}

static uint64_t get_u64(const uint8_t *p)
{
	uint64_t v;

	memcpy(&v, p, sizeof(v));
	return le64toh(v);
}

int ring_append(struct ring *r, enum ring_type type, const void *data, size_t len)
{
	struct block_head head = {0};

	if (type == RING_CATALOG) {
		head.catalog_crc = crc32c(0, data, len);
	} else if (type == RING_PROFILE) {
		if (len < 16)
			return -EBADMSG;
		head.from_us = get_u64(data);
		head.to_us = get_u64((const uint8_t *)data + 8);
	} else {
		int e = block_head_read(data, len, &head);

		if (e < 0)
			return e;
	}
	return ring_append_head(r, type, &head, data, len);
}

/* ---- reading ---- */

/* Where the record is: 1; 0: it is not held (any more). */
static int locate(struct ring *r, uint64_t seq, uint64_t *ret_at, bool *ret_damaged)
{
	const struct ring_slot *s;

	pthread_mutex_lock(&r->lock);
	s = ring_dir_find(r, seq);
	if (s) {
		*ret_at = (uint64_t)s->unit * RING_UNIT;
		*ret_damaged = s->damaged;
	}
	pthread_mutex_unlock(&r->lock);
	return s != NULL;
}

/* It is not what the directory said: overwritten while it was read, or damaged. */
static int blame(struct ring *r, uint64_t seq, uint64_t at)
{
	const struct ring_slot *s;
	struct ring_record h;
	bool held;

	if (r->read_only && ring_record_read(r, at, &h) == 1 && h.seq > seq)
		return -ESTALE; /* by the process that writes it */
	pthread_mutex_lock(&r->lock);
	s = ring_dir_find(r, seq);
	held = s != NULL;
	if (s && !s->damaged) {
		r->slots[s - r->slots].damaged = true;
		r->stats.damaged++;
	}
	pthread_mutex_unlock(&r->lock);
	return held ? -EBADMSG : -ESTALE;
}

static int read_some(struct ring *r, const struct ring_entry *entry, void *to, uint64_t n_pages)
{
	bool damaged = false;
	struct ring_record h;
	uint64_t at = 0;
	int e;

	if (!locate(r, entry->seq, &at, &damaged))
		return -ESTALE;
	if (damaged)
		return -EBADMSG;
	e = ring_record_read(r, at, &h);
	if (e < 0 && e != -ENODATA)
		return e;
	if (e != 1 || h.seq != entry->seq || h.len != entry->len || h.type != entry->type)
		return blame(r, entry->seq, at);
	e = read_pages(r, at, &h, to, n_pages);
	return e == -EBADMSG ? blame(r, entry->seq, at) : e;
}

int ring_read(struct ring *r, const struct ring_entry *entry, void *to)
{
	return read_some(r, entry, to, UINT64_MAX);
}

int ring_read_start(struct ring *r, const struct ring_entry *entry, void *to, size_t len)
{
	uint8_t *page;
	int e;

	if (len > RING_START_MAX || len > entry->len)
		return -EINVAL;
	page = malloc(RING_START_MAX);
	if (!page)
		return -ENOMEM;
	e = read_some(r, entry, page, 1);
	if (e >= 0)
		memcpy(to, page, len);
	free(page);
	return e;
}
