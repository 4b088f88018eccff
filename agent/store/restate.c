#include "store/restate.h"

#include <stdlib.h>

#include "base/cleanup.h"
#include "store/frame_put.h"
#include "store/log.h"

struct teller {
	const struct mirror *m;
	uint8_t *buf;
	int (*each)(void *arg, const void *data, size_t len);
	void *arg;
};

static int tell(struct teller *t, int len)
{
	return len < 0 ? len : t->each(t->arg, t->buf, (size_t)len);
}

static int tell_attrs(struct teller *t, uint32_t group)
{
	const struct mirror_group *g = &t->m->groups[group];
	int r = 0;

	for (uint32_t s = 0; g->n_attrs && s < g->n_slots; s++)
		for (uint32_t k = 0; r == 0 && k < g->n_attrs; k++)
			if (g->inst[s].attrs && g->inst[s].attrs[k])
				r = tell(t, frame_attr(t->buf, LOG_FRAME_MAX, group, s,
						       g->inst[s].gen, k, g->inst[s].attrs[k]));
	return r;
}

/* ---- KEY ---- */

static void put_row(struct frame_writer *w, const int64_t *row, uint32_t n)
{
	for (uint32_t at = 0; at < n; at += 8) {
		unsigned bits = 0;

		for (uint32_t i = at; i < n && i < at + 8; i++)
			bits |= (row[i] ? 1u : 0u) << (i - at);
		put_u8(w, (uint8_t)bits);
	}
	for (uint32_t i = 0; i < n; i++)
		if (row[i]) /* an absent value wraps round to 0 */
			put(w, zigzag_encode(row[i]) + 1);
}

/* The live slots, or the generations of the others. */
static void put_slots(struct frame_writer *w, const struct mirror_group *g, bool live)
{
	size_t at = hole_open(w);
	uint32_t n = 0, next = 0;

	for (uint32_t s = 0; s < g->n_slots; s++) {
		const struct mirror_instance *in = &g->inst[s];

		if (in->live != live || !in->gen)
			continue;
		put(w, s - next);
		put(w, in->gen);
		if (live) {
			put(w, in->id);
			put_string(w, in->name);
			put_row(w, g->rows + (size_t)s * g->n_metrics, g->n_metrics);
		}
		next = s + 1;
		n++;
	}
	hole_close(w, at, n);
}

static int key(uint8_t *buf, const struct mirror *m)
{
	struct frame_writer w = frame_writer_of(buf, LOG_FRAME_MAX, FRAME_KEY);
	uint64_t mono_us = m->mono_us;

	for (uint32_t i = 0; i < m->n_groups; i++) /* an age is at least 1 */
		if (m->groups[i].acquired_us >= mono_us)
			mono_us = m->groups[i].acquired_us + 1;
	put_u64(&w, mono_us);
	put(&w, m->tick);
	put(&w, m->n_groups);
	for (uint32_t i = 0; i < m->n_groups; i++) {
		const struct mirror_group *g = &m->groups[i];
		size_t at = hole_open(&w);

		put(&w, i);
		put(&w, g->period_ms);
		put(&w, g->acquired_us ? mono_us - g->acquired_us : 0);
		put(&w, g->n_slots);
		put_slots(&w, g, true);
		put_slots(&w, g, false);
		hole_close(&w, at, w.len - at - 1);
	}
	return finished(&w);
}

int restate(const struct mirror *m, const uint8_t *catalog, size_t catalog_len,
	    int (*each)(void *arg, const void *data, size_t len), void *arg)
{
	_cleanup_free_ uint8_t *buf = malloc(LOG_FRAME_MAX);
	struct teller t = {.m = m, .buf = buf, .each = each, .arg = arg};
	const struct mirror_clock *c = m->n_clocks ? &m->clocks[m->n_clocks - 1] : NULL;
	int r;

	if (!buf)
		return -ENOMEM;
	r = each(arg, catalog, catalog_len);
	if (r == 0 && c)
		r = tell(&t, frame_clock(buf, LOG_FRAME_MAX, c->mono_us, c->real_off_us,
					 c->boot_off_us, (enum clock_reason)c->reason));
	for (uint32_t g = 0; r == 0 && g < m->n_groups; g++)
		r = tell_attrs(&t, g);
	return r ? r : tell(&t, key(buf, m));
}
