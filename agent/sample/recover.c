#include "sample/recover.h"

#include "store/mirror.h"

#include <errno.h>
#include <string.h>

/* Applies everything from the segment that holds seq on. */
static int replay(struct mirror *m, struct log *log, uint64_t seq, const uint8_t *catalog,
		  size_t len)
{
	struct cursor c = {0};
	struct frame f;
	uint64_t from, to;
	int r = cursor_open_seq(&c, log, seq);

	if (r < 0)
		return r == -ENOENT ? -ENODATA : r;
	while ((r = cursor_next(&c, &f, &from, &to)) > 0) {
		if (frame_type(&f) == FRAME_CATALOG &&
		    (f.len != len || memcmp(f.data, catalog, len)))
			r = -ESTALE;
		else
			r = mirror_apply(m, &f);
		if (r < 0)
			break;
	}
	cursor_close(&c);
	if (!r && (!m->version || !m->keyed))
		r = -ENODATA;
	return r;
}

static int restore_attrs(struct batch *b, const struct mirror_group *g, uint32_t slot)
{
	for (uint32_t k = 0; k < b->n_attrs; k++) {
		const char *value = g->inst[slot].attrs ? g->inst[slot].attrs[k] : NULL;

		if (value)
			batch_attr(b, slot, k, value, strlen(value));
	}
	return 0;
}

static int restore_group(struct batch *b, const struct mirror_group *g, bool dead, uint32_t *n_live)
{
	for (uint32_t s = 0; s < g->n_slots; s++) {
		const struct mirror_instance *in = &g->inst[s];
		bool live = in->live && !dead;
		int r;

		if (!in->gen)
			continue;
		r = batch_restore(b, s, in->gen, in->id, in->name, live,
				  g->rows + (size_t)s * g->n_metrics);
		if (r < 0)
			return r;
		if (live) {
			restore_attrs(b, g, s);
			++*n_live;
		}
	}
	batch_commit(b);
	return 0;
}

int recover(struct log *log, const uint8_t *catalog, size_t catalog_len,
	    struct batch *const *batches, const bool *dead, uint64_t *acquired_us, size_t n,
	    struct recovered *ret)
{
	struct mirror m;
	int r;

	*ret = (struct recovered){0};
	mirror_init(&m);
	r = replay(&m, log, log_newest(log), catalog, catalog_len);
	if (r == -ENODATA) { /* it died at the start of a segment: the one before has all */
		mirror_done(&m);
		mirror_init(&m);
		r = replay(&m, log, log_oldest(log), catalog, catalog_len);
	}
	if (!r && m.n_groups != n)
		r = -ESTALE;
	for (size_t i = 0; !r && i < n; i++) {
		r = restore_group(batches[i], &m.groups[i], dead[i], &ret->instances);
		acquired_us[i] = m.groups[i].acquired_us;
	}
	if (!r) {
		ret->from_us = log_oldest_us(log);
		ret->to_us = m.mono_us;
		ret->tick = m.tick;
		ret->frames = log_newest(log) - log_oldest(log) + 1;
	}
	mirror_done(&m);
	return r;
}
