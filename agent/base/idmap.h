/*
 * A map from 64-bit keys to 32-bit numbers: open addressing, no removal. Zeroed is empty and valid.
 */
#ifndef STROBE_BASE_IDMAP_H
#define STROBE_BASE_IDMAP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

struct idmap_entry {
	uint64_t key;
	uint32_t value;
	bool used;
};

struct idmap {
	struct idmap_entry *entries;
	size_t n, cap; /* cap: a power of two, or 0 */
};

static inline uint64_t idmap_mix(uint64_t x)
{
	x ^= x >> 32;
	x *= 0xd6e8feb86659fd93u;
	x ^= x >> 32;
	x *= 0xd6e8feb86659fd93u;
	return x ^ x >> 32;
}

static inline struct idmap_entry *idmap_slot(const struct idmap *m, uint64_t key)
{
	size_t i = (size_t)idmap_mix(key) & (m->cap - 1);

	while (m->entries[i].used && m->entries[i].key != key)
		i = (i + 1) & (m->cap - 1);
	return &m->entries[i];
}

/* NULL: there is none. */
static inline const uint32_t *idmap_get(const struct idmap *m, uint64_t key)
{
	const struct idmap_entry *e = m->cap ? idmap_slot(m, key) : NULL;

	return e && e->used ? &e->value : NULL;
}

static inline bool idmap_grow(struct idmap *m)
{
	struct idmap wider = {.n = m->n, .cap = m->cap ? m->cap * 2 : 64};

	wider.entries = calloc(wider.cap, sizeof(*wider.entries));
	if (!wider.entries)
		return false;
	for (size_t i = 0; i < m->cap; i++)
		if (m->entries[i].used)
			*idmap_slot(&wider, m->entries[i].key) = m->entries[i];
	free(m->entries);
	*m = wider;
	return true;
}

/* The key's number, `value` where it is new. NULL: no memory. */
static inline uint32_t *idmap_put(struct idmap *m, uint64_t key, uint32_t value)
{
	struct idmap_entry *e;

	if ((m->n + 1) * 4 > m->cap * 3 && !idmap_grow(m))
		return NULL;
	e = idmap_slot(m, key);
	if (!e->used) {
		*e = (struct idmap_entry){key, value, true};
		m->n++;
	}
	return &e->value;
}

static inline void idmap_done(struct idmap *m)
{
	free(m->entries);
	*m = (struct idmap){0};
}

#endif
