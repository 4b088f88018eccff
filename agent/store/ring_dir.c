/* The ring's directory: what is held, in memory. */
#include "store/ring_internal.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

int ring_dir_reserve(struct ring *r)
{
	uint32_t cap = r->cap_slots ? r->cap_slots * 2 : 64;
	struct ring_catalog *catalogs;
	struct ring_slot *slots;

	if (r->n_catalogs + 2 > r->cap_catalogs) {
		catalogs = realloc(r->catalogs, (r->cap_catalogs + 16) * sizeof(*catalogs));
		if (!catalogs)
			return -ENOMEM;
		r->catalogs = catalogs;
		r->cap_catalogs += 16;
	}
	if (r->n_slots < r->cap_slots)
		return 0;
	slots = malloc(cap * sizeof(*slots));
	if (!slots)
		return -ENOMEM;
	for (uint32_t i = 0; i < r->n_slots; i++)
		slots[i] = *ring_slot(r, i);
	free(r->slots);
	r->slots = slots;
	r->cap_slots = cap;
	r->first_slot = 0;
	return 0;
}

int ring_dir_ident(struct ring *r, const uint8_t *log_id, const char *boot_id)
{
	struct ring_ident id, *grown;

	memcpy(id.log_id, log_id, LOG_ID_LEN);
	memset(id.boot_id, 0, sizeof(id.boot_id));
	memcpy(id.boot_id, boot_id, strnlen(boot_id, RING_BOOT_LEN - 1));
	for (uint32_t i = r->n_idents; i-- > 0;)
		if (memcmp(&r->idents[i], &id, sizeof(id)) == 0)
			return (int)i;
	if (r->n_idents > UINT16_MAX)
		return -ENOMEM;
	grown = realloc(r->idents, (r->n_idents + 1) * sizeof(*grown));
	if (!grown)
		return -ENOMEM;
	r->idents = grown;
	r->idents[r->n_idents] = id;
	return (int)r->n_idents++;
}

struct ring_catalog *ring_dir_catalog(struct ring *r, uint32_t crc)
{
	for (uint32_t i = 0; i < r->n_catalogs; i++)
		if (r->catalogs[i].crc == crc)
			return &r->catalogs[i];
	return NULL;
}

/* A record came (by 1) or goes (by -1). */
static int count(struct ring *r, const struct ring_slot *s, int by)
{
	struct ring_catalog *c = ring_dir_catalog(r, s->catalog_crc);

	r->stats.used_bytes += (uint64_t)by * ring_record_size(s->len);
	if (s->type == RING_BLOCK)
		r->stats.n_blocks += (uint64_t)by;
	if (s->type == RING_PROFILE)
		return 0;
	if (!c) {
		if (by < 0)
			return 0;
		if (r->n_catalogs == r->cap_catalogs && ring_dir_reserve(r) < 0)
			return -ENOMEM;
		c = &r->catalogs[r->n_catalogs++];
		*c = (struct ring_catalog){.crc = s->catalog_crc};
	}
	if (s->type == RING_CATALOG) {
		c->n_copies += (uint32_t)by;
		if (by > 0)
			c->newest_seq = s->seq;
	} else {
		c->n_named += (uint32_t)by;
	}
	if (!c->n_copies && !c->n_named)
		*c = r->catalogs[--r->n_catalogs];
	return 0;
}

int ring_dir_count(struct ring *r)
{
	r->n_catalogs = 0;
	r->stats.used_bytes = r->stats.n_blocks = 0;
	for (uint32_t i = 0; i < r->n_slots; i++)
		if (count(r, ring_slot(r, i), 1) < 0)
			return -ENOMEM;
	return 0;
}

int ring_dir_push(struct ring *r, const struct ring_record *h, uint64_t at)
{
	int ident = ring_dir_ident(r, h->log_id, h->boot_id);
	struct ring_slot *s;

	if (ident < 0 || ring_dir_reserve(r) < 0)
		return -ENOMEM;
	s = ring_slot(r, r->n_slots);
	*s = (struct ring_slot){
		.seq = h->seq,
		.unit = (uint32_t)(at / RING_UNIT),
		.len = h->len,
		.type = (uint8_t)h->type,
		.ident = (uint16_t)ident,
		.catalog_crc = h->catalog_crc,
		.n_groups = h->n_groups,
		.bucket_us = h->bucket_us,
		.first_seq = h->first_seq,
		.last_seq = h->last_seq,
		.from_us = h->from_us,
		.to_us = h->to_us,
		.n_samples = h->n_samples,
		.real_off_us = h->real_off_us,
	};
	r->n_slots++;
	return count(r, s, 1);
}

void ring_dir_pop_oldest(struct ring *r)
{
	count(r, ring_slot(r, 0), -1);
	r->first_slot = (r->first_slot + 1) & (r->cap_slots - 1);
	r->n_slots--;
}

const struct ring_slot *ring_dir_find(const struct ring *r, uint64_t seq)
{
	uint32_t from = 0, to = r->n_slots;

	while (from < to) {
		uint32_t mid = from + (to - from) / 2;

		if (ring_slot(r, mid)->seq < seq)
			from = mid + 1;
		else
			to = mid;
	}
	return from < r->n_slots && ring_slot(r, from)->seq == seq ? ring_slot(r, from) : NULL;
}

void ring_dir_entry(const struct ring *r, const struct ring_slot *s, struct ring_entry *ret)
{
	*ret = (struct ring_entry){
		.seq = s->seq,
		.at = r->super.records_at + (uint64_t)s->unit * RING_UNIT +
		      ring_record_lead(s->len),
		.len = s->len,
		.type = (enum ring_type)s->type,
	};
	if (s->type == RING_CATALOG) {
		ret->catalog_crc = s->catalog_crc;
		return;
	}
	if (s->type == RING_PROFILE) {
		ret->profile.from_us = (int64_t)s->from_us;
		ret->profile.to_us = (int64_t)s->to_us;
		return;
	}
	ret->block = (struct block_head){
		.first_seq = s->first_seq,
		.last_seq = s->last_seq,
		.from_us = s->from_us,
		.to_us = s->to_us,
		.real_off_us = s->real_off_us,
		.catalog_crc = s->catalog_crc,
		.n_groups = s->n_groups,
		.bucket_us = s->bucket_us,
		.n_samples = s->n_samples,
	};
	memcpy(ret->block.log_id, r->idents[s->ident].log_id, LOG_ID_LEN);
	memcpy(ret->block.boot_id, r->idents[s->ident].boot_id, RING_BOOT_LEN);
}
