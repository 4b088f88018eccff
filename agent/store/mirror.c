#include "store/mirror.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "store/mirror_internal.h"

enum { CELLS_MAX = 1 << 24 }; /* values of all groups together: 128 MiB */

void mirror_init(struct mirror *m)
{
	*m = (struct mirror){0};
}

void mirror_done(struct mirror *m)
{
	mirror_free_groups(m->groups, m->n_groups);
	free(m->clocks);
	free(m->events);
	*m = (struct mirror){0};
}

/* ---- slots ---- */

static void fill_absent(struct mirror_group *g, uint32_t slot)
{
	int64_t *row = g->rows + (size_t)slot * g->n_metrics;

	for (uint32_t i = 0; i < g->n_metrics; i++)
		row[i] = VALUE_ABSENT;
}

static int grow_slots(struct mirror *m, struct mirror_group *g, uint32_t want)
{
	uint64_t cap = (uint64_t)g->cap_slots + g->cap_slots / 2 + 4;
	struct mirror_instance *inst;
	char **attrs = NULL;
	int64_t *rows;

	cap = cap < want ? want : cap;
	cap = cap > g->max_instances ? g->max_instances : cap;
	if (m->n_slots + cap - g->cap_slots > MIRROR_SLOTS_MAX ||
	    m->n_cells + (cap - g->cap_slots) * g->n_metrics > CELLS_MAX)
		return -EBADMSG;
	rows = realloc(g->rows, cap * g->n_metrics * sizeof(*rows));
	if (!rows)
		return -ENOMEM;
	g->rows = rows;
	if (g->n_attrs) {
		attrs = realloc(g->cap_slots ? g->inst[0].attrs : NULL,
				cap * g->n_attrs * sizeof(*attrs));
		if (!attrs)
			return -ENOMEM;
		for (uint32_t s = 0; s < g->cap_slots; s++)
			g->inst[s].attrs = attrs + (size_t)s * g->n_attrs;
	}
	inst = realloc(g->inst, cap * sizeof(*inst));
	if (!inst) {
		if (!g->cap_slots)
			free(attrs);
		return -ENOMEM;
	}
	g->inst = inst;
	m->n_slots += cap - g->cap_slots;
	m->n_cells += (cap - g->cap_slots) * g->n_metrics;
	for (uint32_t s = g->cap_slots; s < cap; s++) {
		inst[s] = (struct mirror_instance){0};
		if (attrs)
			inst[s].attrs = attrs + (size_t)s * g->n_attrs;
		for (uint32_t k = 0; k < g->n_attrs; k++)
			inst[s].attrs[k] = NULL;
	}
	g->cap_slots = (uint32_t)cap;
	return 0;
}

static int need_slot(struct mirror *m, struct mirror_group *g, uint32_t slot)
{
	int r;

	if (slot < g->n_slots)
		return 0;
	if (slot >= g->max_instances)
		return -EBADMSG;
	if (slot >= g->cap_slots) {
		r = grow_slots(m, g, slot + 1);
		if (r < 0)
			return r;
	}
	while (g->n_slots <= slot)
		fill_absent(g, g->n_slots++);
	return 0;
}

/* Makes `slot` generation gen: with another one, what was known of it goes. */
static void set_gen(struct mirror_group *g, uint32_t slot, uint32_t gen)
{
	struct mirror_instance *in = &g->inst[slot];

	if (in->gen == gen)
		return;
	for (uint32_t k = 0; k < g->n_attrs; k++) {
		free(in->attrs[k]);
		in->attrs[k] = NULL;
	}
	in->gen = gen;
	in->id = 0;
	in->since_us = 0;
	in->name[0] = 0;
}

static void set_live(struct mirror_group *g, const struct tick_start *s, uint64_t since_us)
{
	struct mirror_instance *in = &g->inst[s->slot];

	set_gen(g, s->slot, s->gen);
	g->n_live += !in->live;
	in->live = true;
	in->id = s->id;
	memcpy(in->name, s->name.s, s->name.len);
	in->name[s->name.len] = 0;
	if (!in->since_us)
		in->since_us = since_us;
}

static void set_dead(struct mirror_group *g, uint32_t slot)
{
	if (!g->inst[slot].live)
		return;
	g->inst[slot].live = false;
	g->n_live--;
	fill_absent(g, slot);
}

/* ---- TICK ---- */

static int apply_instances(struct mirror *m, struct mirror_group *g, const struct tick_group *t,
			   uint64_t at_us)
{
	const uint8_t *p = t->ends;

	for (uint32_t i = 0; i < t->n_ends; i++) {
		uint32_t slot = frame_walk_end(&p);

		if (slot >= g->n_slots)
			return -EBADMSG;
		set_dead(g, slot);
	}
	p = t->starts;
	for (uint32_t i = 0; i < t->n_starts; i++) {
		struct tick_start s;
		int r;

		frame_walk_start(&p, &s);
		r = need_slot(m, g, s.slot);
		if (r < 0)
			return r;
		set_live(g, &s, at_us);
		memset(g->rows + (size_t)s.slot * g->n_metrics, 0, g->n_metrics * sizeof(*g->rows));
	}
	return 0;
}

/* Values belong to live instances only: a change elsewhere would stay as a ghost of its slot. */
static bool may_change(const struct mirror_group *g, uint32_t index)
{
	uint32_t slot = index / g->n_metrics;

	return slot < g->n_slots && g->inst[slot].live;
}

static int apply_values(struct mirror_group *g, const struct tick_group *t)
{
	const uint8_t *p = t->absent;
	uint32_t index = FRAME_NO_INDEX;

	for (uint32_t i = 0; i < t->n_absent; i++) {
		frame_walk_absent(&p, &index);
		if (!may_change(g, index))
			return -EBADMSG;
		g->rows[index] = VALUE_ABSENT;
	}
	p = t->changes;
	index = FRAME_NO_INDEX;
	for (uint32_t i = 0; i < t->n_changes; i++) {
		uint64_t delta = (uint64_t)frame_walk_change(&p, &index), base;

		if (!may_change(g, index))
			return -EBADMSG;
		base = g->rows[index] == VALUE_ABSENT ? 0 : (uint64_t)g->rows[index];
		g->rows[index] = (int64_t)(base + delta);
	}
	return 0;
}

int mirror_apply_group(struct mirror *m, const struct tick_head *h, const struct tick_group *t)
{
	uint64_t at_us = h->mono_us + (uint64_t)t->off_us;
	struct mirror_group *g;
	int r;

	if (t->group >= m->n_groups)
		return -EBADMSG;
	g = &m->groups[t->group];
	if (t->flags & GROUP_PERIOD)
		g->period_ms = t->period_ms;
	if (tick_group_was_read(t)) {
		g->prev_acquired_us = g->acquired_us;
		g->acquired_us = at_us;
		g->acquired_tick = h->tick;
	}
	r = apply_instances(m, g, t, at_us);
	return r < 0 ? r : apply_values(g, t);
}

void mirror_apply_head(struct mirror *m, const struct frame *f, const struct tick_head *h)
{
	m->mono_us = h->mono_us;
	m->tick = h->tick;
	m->seq = f->seq;
}

static bool follows(const struct mirror *m, uint32_t group)
{
	return group < m->n_groups && (!m->only || m->only[group]);
}

static int apply_tick(struct mirror *m, const struct frame *f)
{
	struct frame_reader r;
	struct tick_head h;
	struct tick_group t;
	int e = frame_read_tick(f, &h, &r);

	if (e < 0 || !m->keyed)
		return e;
	mirror_apply_head(m, f, &h);
	while ((e = frame_seek_group(&r, m->only, m->n_groups)) == 1) {
		e = frame_next_group(&r, &t);
		if (e == 1)
			e = mirror_apply_group(m, &h, &t);
		if (e < 0)
			return e;
	}
	return e;
}

/* ---- KEY ---- */

static bool key_row(struct mirror_group *g, uint32_t slot, const uint8_t **p, const uint8_t *end)
{
	int64_t *row = g->rows + (size_t)slot * g->n_metrics;
	const uint8_t *bits = *p;
	size_t n_bytes = (g->n_metrics + 7) / 8;

	if ((size_t)(end - *p) < n_bytes)
		return false;
	*p += n_bytes;
	for (uint32_t i = 0; i < g->n_metrics; i++) {
		uint64_t v = 1;

		if (bits[i / 8] >> i % 8 & 1 && !varint_get(p, end, &v))
			return false;
		row[i] = zigzag_decode(v - 1);
	}
	return true;
}

static int key_slots(struct mirror *m, struct mirror_group *g, const uint8_t *p, const uint8_t *end)
{
	uint32_t n_slots, n, slot, gen, next = 0;
	struct tick_start s;
	int r;

	if (!varint_get_u32(&p, end, &n_slots) || n_slots > g->max_instances ||
	    !varint_get_u32(&p, end, &n) || n > n_slots)
		return -EBADMSG;
	r = n_slots ? need_slot(m, g, n_slots - 1) : 0;
	if (r < 0)
		return r;
	for (slot = 0; slot < g->n_slots; slot++)
		set_dead(g, slot);
	while (n--) {
		if (!frame_get_start(&p, end, &s) || s.slot >= n_slots - next)
			return -EBADMSG;
		s.slot += next; /* it came as a gap */
		next = s.slot + 1;
		set_live(g, &s, g->acquired_us);
		if (!key_row(g, s.slot, &p, end))
			return -EBADMSG;
	}
	if (!varint_get_u32(&p, end, &n) || n > n_slots)
		return -EBADMSG;
	for (next = 0; n--; next = slot + 1) {
		if (!varint_get_u32(&p, end, &slot) || !varint_get_u32(&p, end, &gen) ||
		    slot >= n_slots - next || g->inst[slot + next].live)
			return -EBADMSG;
		slot += next;
		if (gen > g->inst[slot].gen) /* else an ATTR of the next one came first */
			set_gen(g, slot, gen);
	}
	return p == end ? 0 : -EBADMSG;
}

static int key_group(struct mirror *m, uint64_t mono_us, const uint8_t *p, const uint8_t *end)
{
	uint32_t group, period_ms;
	uint64_t age_us, at_us;
	struct mirror_group *g;

	if (!varint_get_u32(&p, end, &group) || group >= m->n_groups)
		return -EBADMSG;
	if (!follows(m, group))
		return 0;
	if (!varint_get_u32(&p, end, &period_ms) || !varint_get(&p, end, &age_us))
		return -EBADMSG;
	g = &m->groups[group];
	g->period_ms = period_ms;
	at_us = age_us ? mono_us - age_us : 0;
	if (at_us != g->acquired_us) { /* reads before it are missing here */
		g->acquired_us = at_us;
		g->prev_acquired_us = 0;
	}
	return key_slots(m, g, p, end);
}

static int apply_key(struct mirror *m, const struct frame *f)
{
	const uint8_t *p = f->data + 1, *end = f->data + f->len;
	uint64_t mono_us, tick, len;
	uint32_t n;
	int r;

	if (!m->version || !frame_get_u64(&p, end, &mono_us) || !varint_get(&p, end, &tick) ||
	    !varint_get_u32(&p, end, &n) || n != m->n_groups - m->n_adopted)
		return -EBADMSG;
	m->keyed = true;
	m->mono_us = mono_us;
	m->tick = tick;
	m->seq = f->seq;
	while (n--) {
		if (!varint_get(&p, end, &len) || len > (uint64_t)(end - p))
			return -EBADMSG;
		r = key_group(m, mono_us, p, p + len);
		if (r < 0)
			return r;
		p += len;
	}
	return p == end ? 0 : -EBADMSG;
}

/* ---- the small ones ---- */

static int apply_attr(struct mirror *m, const struct frame *f)
{
	struct attr_frame a;
	struct mirror_group *g;
	char **at, *value;
	int r = frame_read_attr(f, &a);

	if (r < 0 || a.group >= m->n_groups || a.key >= m->groups[a.group].n_attrs)
		return -EBADMSG;
	if (!follows(m, a.group))
		return 0;
	g = &m->groups[a.group];
	r = need_slot(m, g, a.slot);
	if (r < 0 || a.gen < g->inst[a.slot].gen)
		return r; /* late news of an instance that is gone */
	if (a.gen > g->inst[a.slot].gen)
		set_dead(g, a.slot); /* its end and the start of the next are still to come */
	set_gen(g, a.slot, a.gen);
	value = strndup(a.value.s, a.value.len);
	if (!value)
		return -ENOMEM;
	at = &g->inst[a.slot].attrs[a.key];
	free(*at);
	*at = value;
	return 0;
}

static void copy_text(char *out, struct text t)
{
	memcpy(out, t.s, t.len);
	out[t.len] = 0;
}

static int apply_event(struct mirror *m, const struct frame *f)
{
	struct event_frame e;
	struct mirror_event *ev;

	if (frame_read_event(f, &e) < 0)
		return -EBADMSG;
	if (!m->events)
		m->events = calloc(MIRROR_EVENTS_MAX, sizeof(*m->events));
	if (!m->events)
		return -ENOMEM;
	if (m->n_events == MIRROR_EVENTS_MAX)
		memmove(m->events, m->events + 1, --m->n_events * sizeof(*m->events));
	ev = &m->events[m->n_events++];
	*ev = (struct mirror_event){
		.seq = f->seq, .mono_us = e.mono_us, .kind = e.kind, .severity = e.severity};
	copy_text(ev->source, e.source);
	copy_text(ev->text, e.text);
	return 0;
}

static int apply_clock(struct mirror *m, const struct frame *f)
{
	struct clock_frame c;
	struct mirror_clock *clocks;

	if (frame_read_clock(f, &c) < 0)
		return -EBADMSG;
	if (m->n_clocks == m->cap_clocks && m->cap_clocks < MIRROR_CLOCKS_MAX) {
		uint32_t cap = m->cap_clocks ? m->cap_clocks * 2 : 16;

		clocks = realloc(m->clocks, cap * sizeof(*clocks));
		if (!clocks)
			return -ENOMEM;
		m->clocks = clocks;
		m->cap_clocks = cap;
	}
	if (m->n_clocks == MIRROR_CLOCKS_MAX)
		memmove(m->clocks, m->clocks + 1, --m->n_clocks * sizeof(*m->clocks));
	m->clocks[m->n_clocks++] = (struct mirror_clock){.mono_us = c.mono_us,
							 .real_off_us = c.real_off_us,
							 .boot_off_us = c.boot_off_us,
							 .reason = c.reason};
	return 0;
}

int mirror_apply(struct mirror *m, const struct frame *f)
{
	switch (frame_type(f)) {
	case FRAME_TICK:
		return apply_tick(m, f);
	case FRAME_KEY:
		return apply_key(m, f);
	case FRAME_CATALOG:
		return mirror_apply_catalog(m, f);
	case FRAME_ATTR:
		return apply_attr(m, f);
	case FRAME_EVENT:
		return apply_event(m, f);
	case FRAME_CLOCK:
		return apply_clock(m, f);
	}
	return -EBADMSG;
}

/* ---- looking up ---- */

struct mirror_group *mirror_find_metric(struct mirror *m, const char *metric, uint32_t *ret_group,
					uint32_t *ret_metric)
{
	for (uint32_t g = 0; g < m->n_groups; g++)
		for (uint32_t i = 0; i < m->groups[g].n_metrics; i++)
			if (strcmp(m->groups[g].metrics[i].name, metric) == 0) {
				*ret_group = g;
				*ret_metric = i;
				return &m->groups[g];
			}
	return NULL;
}

int64_t mirror_wall_us(const struct mirror *m, uint64_t mono_us)
{
	uint32_t i = m->n_clocks;

	if (!i)
		return (int64_t)mono_us;
	while (i > 1 && m->clocks[i - 1].mono_us > mono_us)
		i--;
	return (int64_t)(mono_us + (uint64_t)m->clocks[i - 1].real_off_us);
}

uint64_t mirror_mono_us(const struct mirror *m, int64_t wall_us)
{
	for (uint32_t i = m->n_clocks; i > 0; i--) {
		const struct mirror_clock *c = &m->clocks[i - 1];
		int64_t mono_us = (int64_t)((uint64_t)wall_us - (uint64_t)c->real_off_us);

		if (i == 1)
			return mono_us < 0 ? 0 : (uint64_t)mono_us;
		if (mono_us >= 0 && (uint64_t)mono_us >= c->mono_us)
			return (uint64_t)mono_us;
	}
	return wall_us < 0 ? 0 : (uint64_t)wall_us;
}
