#include "store/frame.h"

#include "store/frame_put.h"

/* ---- TICK ---- */

void frame_tick_begin(struct frame_writer *w, uint8_t *buf, size_t cap, uint64_t mono_us,
		      uint64_t tick)
{
	*w = frame_writer_of(buf, cap, FRAME_TICK);
	put_u64(w, mono_us);
	put(w, tick);
	w->groups_at = hole_open(w);
	w->last_group = -1;
}

int frame_tick_end(struct frame_writer *w)
{
	hole_close(w, w->groups_at, w->n_groups);
	return finished(w);
}

/* First index in [i, end) at which a and b differ, else end. */
static size_t next_diff(const int64_t *a, const int64_t *b, size_t i, size_t end)
{
	for (; i + 8 <= end; i += 8) {
		int64_t d = 0;

		for (size_t k = 0; k < 8; k++)
			d |= a[i + k] ^ b[i + k];
		if (d)
			break;
	}
	while (i < end && a[i] == b[i])
		i++;
	return i;
}

static uint8_t *put_change(uint8_t *p, size_t gap, uint64_t delta)
{
	*p++ = (uint8_t)((delta > 15 ? 0x80 : 0) | (gap < 7 ? gap : 7) << 4 | (delta & 15));
	if (gap >= 7)
		p = varint_put(p, gap - 7);
	return delta > 15 ? varint_put(p, delta >> 4) : p;
}

/* The list of absent or of changed values while it is being written. */
struct diff {
	bool absent; /* which of the two is written */
	uint32_t n;
	uint32_t n_absent; /* seen, whether written or not */
	size_t next;	   /* the index with gap 0 */
};

static void diff_run(struct frame_writer *w, const struct batch *b, size_t from, size_t end,
		     bool check_live, struct diff *d)
{
	for (size_t i = next_diff(b->rows, b->prev, from, end); i < end;
	     i = next_diff(b->rows, b->prev, i + 1, end)) {
		int64_t now = b->rows[i], old = b->prev[i] == VALUE_ABSENT ? 0 : b->prev[i];

		if (check_live && !b->inst[i / b->n_metrics].live)
			continue;
		d->n_absent += now == VALUE_ABSENT;
		if ((now == VALUE_ABSENT) != d->absent)
			continue;
		if (w->overflow || w->cap - w->len < 1 + 2 * VARINT_MAX) {
			w->overflow = true;
			return;
		}
		uint8_t *p = w->buf + w->len;

		if (d->absent)
			p = varint_put(p, i - d->next);
		else
			p = put_change(p, i - d->next,
				       zigzag_encode((int64_t)((uint64_t)now - (uint64_t)old)));
		w->len = (size_t)(p - w->buf);
		d->next = i + 1;
		d->n++;
	}
}

/* Writes one list over all touched rows, neighbours compared in one go. Gaps only rise, so slots
 * that were touched out of order are found by going over all. */
static void diff_list(struct frame_writer *w, const struct batch *b, struct diff *d)
{
	size_t row = b->n_metrics;
	bool rising = true;

	for (uint32_t i = 1; i < b->n_touched; i++)
		rising &= b->touched[i] > b->touched[i - 1];
	if (!rising)
		diff_run(w, b, 0, b->n_slots * row, true, d);
	for (uint32_t i = 0, k; rising && i < b->n_touched; i = k) {
		for (k = i + 1; k < b->n_touched && b->touched[k] == b->touched[k - 1] + 1;)
			k++;
		diff_run(w, b, b->touched[i] * row, (b->touched[k - 1] + (size_t)1) * row, false,
			 d);
	}
}

static void put_instance(struct frame_writer *w, const struct batch *b, uint32_t slot)
{
	const struct instance *in = &b->inst[slot];

	put(w, in->gen);
	put(w, in->id);
	put_bytes(w, in->name, strnlen(in->name, INSTANCE_NAME_MAX - 1));
}

static void put_start(struct frame_writer *w, const struct batch *b, uint32_t slot)
{
	put(w, slot);
	put_instance(w, b, slot);
}

/* Room for what stands before a body; it is written when flags and length are known. */
enum { LEAD_MAX = 3 * VARINT_MAX };

static size_t body_open(struct frame_writer *w)
{
	if (w->overflow || w->cap - w->len < LEAD_MAX)
		w->overflow = true;
	else
		w->len += LEAD_MAX;
	return w->len;
}

static void body_close(struct frame_writer *w, size_t body, uint32_t group, uint32_t flags,
		       int64_t off_us)
{
	uint8_t *start = w->buf + body - LEAD_MAX, *p = start;
	size_t len = w->len - body;

	if (w->overflow)
		return;
	p = varint_put(p, zigzag_encode((int64_t)group - w->last_group - 1) << 5 | flags);
	p = varint_put_signed(p, (int64_t)((uint64_t)off_us - (uint64_t)w->last_off_us));
	if (flags)
		p = varint_put(p, len);
	memmove(p, w->buf + body, len);
	w->len = (size_t)(p - w->buf) + len;
	w->last_group = group;
	w->last_off_us = off_us;
	w->n_groups++;
}

static uint32_t put_instances(struct frame_writer *w, const struct batch *b)
{
	if (b->n_ended)
		put(w, b->n_ended);
	for (uint32_t i = 0; i < b->n_ended; i++)
		put(w, b->ended[i]);
	if (b->n_started)
		put(w, b->n_started);
	for (uint32_t i = 0; i < b->n_started; i++)
		put_start(w, b, b->started[i]);
	return (b->n_ended ? (uint32_t)GROUP_ENDS : 0) |
	       (b->n_started ? (uint32_t)GROUP_STARTS : 0);
}

void frame_tick_group(struct frame_writer *w, uint32_t group, const struct batch *b, int64_t off_us,
		      int32_t period_ms)
{
	struct diff changes = {0}, absent = {.absent = true};
	size_t body = body_open(w), at;
	uint32_t flags = 0;

	if (period_ms >= 0) {
		put(w, (uint64_t)period_ms);
		flags |= GROUP_PERIOD;
	}
	flags |= put_instances(w, b);
	at = w->len;
	diff_list(w, b, &changes);
	if (changes.n_absent &&
	    !w->overflow) { /* seldom: once more, with the list that comes first */
		w->len = at;
		at = hole_open(w);
		diff_list(w, b, &absent);
		hole_close(w, at, absent.n);
		changes = (struct diff){0};
		diff_list(w, b, &changes);
		flags |= GROUP_ABSENT;
	}
	if (changes.n)
		flags |= GROUP_CHANGES;
	body_close(w, body, group, flags, off_us);
}

void frame_tick_period(struct frame_writer *w, uint32_t group, int32_t period_ms)
{
	size_t body = body_open(w);

	put(w, (uint64_t)period_ms);
	body_close(w, body, group, GROUP_PERIOD, w->last_off_us);
}

/* ---- KEY: the state of the last commit, also when a pass is finished but not committed ---- */

static bool listed(const uint32_t *list, uint32_t n, uint32_t slot)
{
	for (uint32_t i = 0; i < n; i++)
		if (list[i] == slot)
			return true;
	return false;
}

static bool was_live(const struct batch *b, uint32_t slot)
{
	if (b->inst[slot].live)
		return !listed(b->started, b->n_started, slot);
	return listed(b->ended, b->n_ended, slot);
}

static void put_row(struct frame_writer *w, const int64_t *row, uint32_t n)
{
	uint8_t bits[GROUP_METRICS_MAX / 8] = {0};
	size_t n_bytes = (n + 7) / 8;

	for (uint32_t m = 0; m < n; m++)
		if (row[m])
			bits[m / 8] |= (uint8_t)(1 << m % 8);
	if (w->overflow || w->cap - w->len < n_bytes + (size_t)n * VARINT_MAX) {
		w->overflow = true;
		return;
	}
	uint8_t *p = w->buf + w->len;

	memcpy(p, bits, n_bytes);
	p += n_bytes;
	for (uint32_t m = 0; m < n; m++)
		if (row[m]) /* zigzag of VALUE_ABSENT is the largest number: + 1 makes it 0 */
			p = varint_put(p, zigzag_encode(row[m]) + 1);
	w->len = (size_t)(p - w->buf);
}

/* The generation a slot without a committed instance had last; 0: never used. */
static uint32_t dead_gen(const struct batch *b, uint32_t slot)
{
	return b->inst[slot].gen - (b->inst[slot].live ? 1 : 0);
}

static void key_group(struct frame_writer *w, const struct batch *b)
{
	size_t at;
	uint32_t n = 0, next = 0;

	put(w, b->n_slots);
	at = hole_open(w);
	for (uint32_t s = 0; s < b->n_slots; s++)
		if (was_live(b, s)) {
			put(w, s - next);
			put_instance(w, b, s);
			put_row(w, b->prev + (size_t)s * b->n_metrics, b->n_metrics);
			next = s + 1;
			n++;
		}
	hole_close(w, at, n);
	at = hole_open(w);
	n = next = 0;
	for (uint32_t s = 0; s < b->n_slots; s++)
		if (!was_live(b, s) && dead_gen(b, s)) {
			put(w, s - next);
			put(w, dead_gen(b, s));
			next = s + 1;
			n++;
		}
	hole_close(w, at, n);
}

int frame_key(uint8_t *buf, size_t cap, uint64_t mono_us, uint64_t tick,
	      const struct key_source *sources, size_t n_groups)
{
	struct frame_writer w = frame_writer_of(buf, cap, FRAME_KEY);

	for (size_t g = 0; g < n_groups; g++) /* an age is at least 1 */
		if (sources[g].acquired_us >= mono_us)
			mono_us = sources[g].acquired_us + 1;
	put_u64(&w, mono_us);
	put(&w, tick);
	put(&w, n_groups);
	for (size_t g = 0; g < n_groups; g++) {
		const struct key_source *s = &sources[g];
		size_t at = hole_open(&w);

		put(&w, g);
		put(&w, s->period_ms);
		put(&w, s->acquired_us ? mono_us - s->acquired_us : 0);
		key_group(&w, s->batch);
		hole_close(&w, at, w.len - at - 1);
	}
	return finished(&w);
}
