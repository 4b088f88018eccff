/*
 * Frames of the log: every decoder, the mirror they are applied to, and a query over a log of them.
 * The input is a row of frames, each with its length in two bytes before it.
 */
#include "fuzz.h"

#include "store.h"
#include "store/query.h"

/* All frames of a small log. */
static void fuzz_seeds(void)
{
	static uint8_t out[1 << 18];
	static struct feeder f;
	uint64_t from, to;
	struct cursor cur;
	struct frame fr;
	struct log *l;
	size_t len = 0;

	l = fuzz_log(&f);
	for (unsigned i = 0; i < 8; i++)
		fuzz_tick(&f, i);
	f.buf[0] = 0;
	feeder_put(&f, f.buf,
		   frame_event(f.buf, FEEDER_BUFFER, 5000000, EVENT_GAP, SEVERITY_WARN, "cpu",
			       "lost"));
	FUZZ_CHECK(cursor_open_seq(&cur, l, log_oldest(l)) == 0);
	while (cursor_next(&cur, &fr, &from, &to) == 1 && len + fr.len + 2 < sizeof(out)) {
		char name[16];

		FUZZ_CHECK(fr.len <= UINT16_MAX);
		out[len++] = (uint8_t)fr.len;
		out[len++] = (uint8_t)(fr.len >> 8);
		memcpy(out + len, fr.data, fr.len);
		snprintf(name, sizeof(name), "frame-%u", (unsigned)fr.seq);
		len += fr.len;
		fuzz_seed(name, out, len); /* the catalog first, one frame more each time */
	}
	cursor_close(&cur);
	feeder_close(&f);
	log_close(l);
}

static void check_text(const struct frame *f, struct text t)
{
	const uint8_t *s = (const uint8_t *)t.s;

	FUZZ_CHECK(!t.len || (s >= f->data && s + t.len <= f->data + f->len));
}

static void walk_group(const struct frame *f, const struct tick_group *g)
{
	const uint8_t *ends = g->ends, *starts = g->starts, *absent = g->absent,
		      *changes = g->changes;
	uint32_t index = FRAME_NO_INDEX;

	for (uint32_t i = 0; i < g->n_ends; i++)
		frame_walk_end(&ends);
	for (uint32_t i = 0; i < g->n_starts; i++) {
		struct tick_start s;

		frame_walk_start(&starts, &s);
		check_text(f, s.name);
		FUZZ_CHECK(s.name.len < INSTANCE_NAME_MAX);
	}
	for (uint32_t i = 0; i < g->n_absent; i++)
		frame_walk_absent(&absent, &index);
	index = FRAME_NO_INDEX;
	for (uint32_t i = 0; i < g->n_changes; i++)
		frame_walk_change(&changes, &index);
	FUZZ_CHECK(ends <= g->end && starts <= g->end && absent <= g->end && changes <= g->end);
}

static void decode(const struct frame *f)
{
	struct tick_head head;
	struct frame_reader reader;
	struct tick_group group;
	struct event_frame event;
	struct attr_frame attr;
	struct clock_frame clock;

	switch (frame_type(f)) {
	case FRAME_TICK:
		if (frame_read_tick(f, &head, &reader))
			break;
		while (frame_next_group(&reader, &group) == 1)
			walk_group(f, &group);
		break;
	case FRAME_EVENT:
		if (frame_read_event(f, &event) == 0) {
			check_text(f, event.source);
			check_text(f, event.text);
		}
		break;
	case FRAME_ATTR:
		if (frame_read_attr(f, &attr) == 0)
			check_text(f, attr.value);
		break;
	case FRAME_CLOCK:
		frame_read_clock(f, &clock);
		break;
	default:
		break;
	}
}

static void check_mirror(const struct mirror *m)
{
	for (uint32_t g = 0; g < m->n_groups; g++) {
		const struct mirror_group *mg = &m->groups[g];
		uint32_t live = 0;

		FUZZ_CHECK(mg->n_slots <= mg->cap_slots && mg->n_slots <= MIRROR_SLOTS_MAX);
		for (uint32_t s = 0; s < mg->n_slots; s++) {
			live += mg->inst[s].live;
			FUZZ_CHECK(memchr(mg->inst[s].name, 0, INSTANCE_NAME_MAX));
			for (uint32_t k = 0; k < mg->n_metrics && !mg->inst[s].live; k++)
				FUZZ_CHECK(mg->rows[(size_t)s * mg->n_metrics + k] == VALUE_ABSENT);
		}
		FUZZ_CHECK(live == mg->n_live);
	}
	FUZZ_CHECK(m->n_events <= MIRROR_EVENTS_MAX && m->n_clocks <= MIRROR_CLOCKS_MAX);
}

static struct log *empty_log(void)
{
	static struct log *l;
	struct log_config c = {.size_bytes = 4 << 20, .boot_id = "fuzz"};
	enum log_state state;
	char err[200];

	if (!l)
		FUZZ_CHECK(log_open(&l, &c, &state, err, sizeof(err)) == 0);
	FUZZ_CHECK(log_reset(l) == 0);
	log_next_segment(l, 1000000);
	return l;
}

static void ask(struct log *l)
{
	static const struct query_selector sel[] = {
		{"t.count", NULL}, {"t.level", "sda"}, {"t.state", NULL}, {"t.level", NULL}};
	struct query_request rq = {sel, 4, 1000000, 3000000, 20, false, false, 0};
	struct query_result *res;
	struct history *h;
	int r;

	FUZZ_CHECK(history_open(&h, &(struct history_config){.log = l}) == 0);
	r = query_run(h, &rq, &res, NULL);
	history_close(h);

	FUZZ_CHECK(r == 0 || r == -ENOENT);
	for (size_t i = 0; r == 0 && i < res->n_series; i++)
		for (uint32_t p = 0; p < rq.points; p++) {
			const struct query_point *q = &res->series[i].points[p];

			FUZZ_CHECK(!q->n || (q->min <= q->first && q->last <= q->max));
		}
	if (r == 0)
		query_free(res);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct log *l = empty_log();
	struct mirror m;
	uint64_t seq = 1;

	mirror_init(&m);
	while (size >= 2) {
		size_t len = (size_t)data[0] | (size_t)data[1] << 8;

		data += 2;
		size -= 2;
		len = len > size ? size : len;
		/* A block of exactly this size: a byte too far is an error. */
		uint8_t *copy = malloc(len ? len : 1);
		struct frame f = {seq++, copy, len};

		memcpy(copy, data, len);
		decode(&f);
		mirror_apply(&m, &f);
		if (len)
			log_append(l, copy, len);
		free(copy);
		data += len;
		size -= len;
	}
	check_mirror(&m);
	mirror_done(&m);
	ask(l);
	return 0;
}
