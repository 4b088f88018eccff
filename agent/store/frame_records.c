#include <stdlib.h>
#include <zlib.h>

#include "store/frame_put.h"

enum { PLAIN_BYTES = 4096 }; /* a catalog smaller than this is not deflated */

static void put_strings(struct frame_writer *w, const char *const *list)
{
	size_t n = 0;

	while (list && list[n])
		n++;
	put(w, n);
	for (size_t i = 0; i < n; i++)
		put_string(w, list[i]);
}

static void put_metric(struct frame_writer *w, const struct metric *m)
{
	put_string(w, m->name);
	put_string(w, m->unit);
	put_string(w, m->source);
	put_string(w, m->help);
	put(w, (uint64_t)m->sem);
	put(w, m->mul);
	put(w, m->div);
	put_signed(w, m->quantum);
	put_strings(w, m->names);
}

static void put_groups(struct frame_writer *w, const struct group *const *groups, size_t n)
{
	put(w, n);
	for (size_t i = 0; i < n; i++) {
		const struct group *g = groups[i];

		put_string(w, g->name);
		put_string(w, g->indom);
		put(w, g->indom ? g->max_instances : 1);
		put(w, g->managed);
		put(w, g->period_ms);
		put_strings(w, g->attrs);
		put(w, g->n_metrics);
		for (uint32_t m = 0; m < g->n_metrics; m++)
			put_metric(w, &g->metrics[m]);
	}
}

int frame_catalog(uint8_t *buf, size_t cap, uint32_t version, const struct group *const *groups,
		  size_t n)
{
	struct frame_writer w = frame_writer_of(buf, cap, FRAME_CATALOG);
	struct frame_writer plain = {.cap = FRAME_CATALOG_MAX};
	uLongf len;

	plain.buf = malloc(plain.cap);
	if (!plain.buf)
		return -ENOMEM;
	put_groups(&plain, groups, n);
	put(&w, version);
	w.overflow |= plain.overflow;
	if (plain.len < PLAIN_BYTES) {
		put(&w, 0);
		put_raw(&w, plain.buf, plain.len);
	} else if (!w.overflow) {
		put(&w, plain.len);
		len = cap - w.len;
		if (w.overflow || compress2(buf + w.len, &len, plain.buf, plain.len, 9) != Z_OK)
			w.overflow = true;
		else
			w.len += len;
	}
	free(plain.buf);
	return finished(&w);
}

int frame_attr(uint8_t *buf, size_t cap, uint32_t group, uint32_t slot, uint32_t gen, uint32_t key,
	       const char *value)
{
	struct frame_writer w = frame_writer_of(buf, cap, FRAME_ATTR);

	put(&w, group);
	put(&w, slot);
	put(&w, gen);
	put(&w, key);
	put_text(&w, value, ATTR_VALUE_MAX - 1);
	return finished(&w);
}

int frame_event(uint8_t *buf, size_t cap, uint64_t mono_us, enum event_kind kind,
		enum event_severity severity, const char *source, const char *text)
{
	struct frame_writer w = frame_writer_of(buf, cap, FRAME_EVENT);

	put_u64(&w, mono_us);
	put(&w, (uint64_t)kind);
	put(&w, (uint64_t)severity);
	put_text(&w, source, FRAME_TEXT_MAX);
	put_text(&w, text, FRAME_TEXT_MAX);
	return finished(&w);
}

int frame_clock(uint8_t *buf, size_t cap, uint64_t mono_us, int64_t real_off_us,
		int64_t boot_off_us, enum clock_reason reason)
{
	struct frame_writer w = frame_writer_of(buf, cap, FRAME_CLOCK);

	put_u64(&w, mono_us);
	put_signed(&w, real_off_us);
	put_signed(&w, boot_off_us);
	put(&w, (uint64_t)reason);
	return finished(&w);
}
