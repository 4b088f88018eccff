#include "sample/writer.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

int writer_open(struct writer *w, struct log *log, const struct batch *const *batches, size_t n)
{
	const struct group **groups = calloc(n + 1, sizeof(struct group *));
	int r = -ENOMEM;

	*w = (struct writer){
		.log = log, .n_groups = n, .size = LOG_SEGMENT_SIZE, .read_clocks = timekeep_read};
	w->keys = calloc(n + 1, sizeof(*w->keys));
	w->catalog = malloc(w->size);
	w->tick = malloc(w->size);
	w->scratch = malloc(w->size);
	if (!groups || !w->keys || !w->catalog || !w->tick || !w->scratch)
		goto out;
	for (size_t i = 0; i < n; i++) {
		w->keys[i].batch = batches[i];
		groups[i] = batches[i]->group;
	}
	r = frame_catalog(w->catalog, w->size, 1, groups, n);
	if (r > 0) {
		w->catalog_len = (size_t)r;
		r = 0;
	}
out:
	free(groups);
	if (r < 0)
		writer_close(w);
	return r;
}

void writer_close(struct writer *w)
{
	free(w->keys);
	free(w->catalog);
	free(w->tick);
	free(w->scratch);
	*w = (struct writer){0};
}

/* ---- frames that a segment begins with ---- */

static bool put(struct writer *w, const void *data, int len)
{
	if (len > 0 && log_append(w->log, data, (size_t)len) >= 0)
		return true;
	w->n_lost++;
	return false;
}

static void put_attrs(struct writer *w)
{
	for (uint32_t g = 0; g < w->n_groups; g++) {
		const struct batch *b = w->keys[g].batch;

		for (uint32_t s = 0; b->n_attrs && s < b->n_slots; s++)
			for (uint32_t k = 0; b->inst[s].live && k < b->n_attrs; k++) {
				const char *value = b->attrs[(size_t)s * b->n_attrs + k];

				if (value[0])
					put(w, w->scratch,
					    frame_attr(w->scratch, w->size, g, s, b->inst[s].gen, k,
						       value));
			}
	}
}

static void begin_segment(struct writer *w)
{
	log_next_segment(w->log, w->state_us);
	put(w, w->catalog, (int)w->catalog_len);
	put(w, w->scratch,
	    frame_clock(w->scratch, w->size, w->state_us, w->now.real_off_us, w->now.boot_off_us,
			w->clock.recorded.mono_us ? CLOCK_PERIODIC : CLOCK_START));
	w->clock.recorded = w->now;
	put_attrs(w);
	put(w, w->scratch,
	    frame_key(w->scratch, w->size, w->state_us, w->state_number, w->keys, w->n_groups));
	w->since_key = 0;
}

/* Appends a frame; where the segment is full, in the next one. */
static void append(struct writer *w, const void *data, int len)
{
	if (len > 0 && log_append(w->log, data, (size_t)len) == -EAGAIN) {
		/* `data` may be scratch, which begin_segment() overwrites; a small frame moves to
		 * the stack */
		uint8_t copy[1024];

		if ((size_t)len > sizeof(copy)) {
			w->n_lost++;
			return;
		}
		memcpy(copy, data, (size_t)len);
		begin_segment(w);
		put(w, copy, len);
	} else if (len <= 0) {
		w->n_lost++;
	}
}

/* ---- the tick ---- */

static void read_clocks(struct writer *w, uint64_t mono_us)
{
	struct clock_reading r;

	if (w->read_clocks(&r)) {
		w->now = r;
		w->now.mono_us = mono_us;
	}
}

void writer_begin(struct writer *w, uint64_t mono_us, uint64_t number)
{
	w->state_us = mono_us;
	w->state_number = number;
	read_clocks(w, mono_us);
	begin_segment(w);
}

void writer_tick_begin(struct writer *w, uint64_t mono_us, uint64_t number)
{
	w->mono_us = mono_us;
	w->number = number;
	frame_tick_begin(&w->frame, w->tick, w->size, mono_us, number);
}

void writer_tick_end(struct writer *w)
{
	int len = frame_tick_end(&w->frame);
	int64_t r = len > 0 ? log_append(w->log, w->tick, (size_t)len) : -EMSGSIZE;

	if (r == -EAGAIN) {
		begin_segment(w);
		r = log_append(w->log, w->tick, (size_t)len);
	}
	w->lost_tick = r < 0;
	w->since_key++;
}

void writer_committed(struct writer *w, uint64_t end_us)
{
	w->state_us = end_us;
	w->state_number = w->number;
	if (w->lost_tick) { /* the KEY of a new segment stands for it */
		w->n_lost++;
		begin_segment(w);
	}
}

void writer_attr(struct writer *w, uint32_t group, const struct batch *b, uint32_t slot,
		 uint32_t key)
{
	append(w, w->scratch,
	       frame_attr(w->scratch, w->size, group, slot, b->inst[slot].gen, key,
			  b->attrs[(size_t)slot * b->n_attrs + key]));
}

void writer_notices(struct writer *w, struct notices *n)
{
	for (uint32_t i = 0; i < n->n_pending; i++) {
		const struct notice *e = &n->pending[i];

		append(w, w->scratch,
		       frame_event(w->scratch, w->size, e->mono_us, e->kind, e->severity, e->source,
				   e->text));
	}
	n->n_pending = 0;
}

/* Lengths as people read them. */
static void tell_clock(struct notices *n, uint64_t mono_us, const struct clock_change *c)
{
	if (c->reason == CLOCK_SUSPEND)
		notice_add(n, mono_us, EVENT_SUSPEND, SEVERITY_INFO, "host",
			   "the host was suspended for %.3f s", (double)c->suspend_us / 1e6);
	else if (c->reason == CLOCK_STEP)
		notice_add(n, mono_us, EVENT_CLOCK_STEP, SEVERITY_WARN, "host",
			   "the wall clock was set %s by %.3f s",
			   c->step_us < 0 ? "back" : "forward", (double)llabs(c->step_us) / 1e6);
}

void writer_rest(struct writer *w, struct notices *n)
{
	struct clock_change change;

	read_clocks(w, w->mono_us);
	if (timekeep_judge(&w->clock, &w->now, &change)) {
		append(w, w->scratch,
		       frame_clock(w->scratch, w->size, w->mono_us, w->now.real_off_us,
				   w->now.boot_off_us, change.reason));
		tell_clock(n, w->mono_us, &change);
	}
	writer_notices(w, n);
	if (w->since_key >= FRAME_KEY_TICKS) {
		int len = frame_key(w->scratch, w->size, w->state_us, w->state_number, w->keys,
				    w->n_groups);

		if (len > 0 && log_append(w->log, w->scratch, (size_t)len) < 0)
			begin_segment(w);
		w->since_key = 0;
	}
}
