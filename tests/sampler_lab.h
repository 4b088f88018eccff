/*
 * For the tests of the sampler: a log, a clock that the test turns, fake collectors, and a replay
 * of what was written. One lab a test (each runs in a process of its own).
 */
#ifndef STROBE_TESTS_SAMPLER_LAB_H
#define STROBE_TESTS_SAMPLER_LAB_H

#include "base/clock.h"
#include "base/stats.h"
#include "sample/sampler.h"
#include "store/mirror.h"
#include "support.h"

enum { TICK_NS = 100000000 };

static _Atomic uint64_t lab_ns = 1000 * 1000000000ull, lab_cpu_ns; /* threads read them */

static inline uint64_t lab_now(void)
{
	return lab_ns;
}

static inline uint64_t lab_cpu(void)
{
	return lab_cpu_ns;
}

struct lab {
	struct host host;
	struct log *log;
	enum log_state state;
	struct sampler *s;
	struct sampler_config config;
};

static inline void lab_log(struct lab *r, const char *dir, unsigned mib)
{
	struct log_config c = {.dir = dir, .size_bytes = (uint64_t)mib << 20, .boot_id = "boot"};
	char err[256];

	ck_assert_msg(log_open(&r->log, &c, &r->state, err, sizeof(err)) == 0, "%s", err);
}

/* A sampler of these collectors at 10 Hz on the test's clock; opens them. dir NULL: a memfd. */
static inline void lab_open(struct lab *r, const struct collector *const *c, size_t n,
			    const char *dir)
{
	ck_assert_int_eq(host_open(&r->host, NULL, NULL, NULL), 0);
	lab_log(r, dir, 4);
	r->config.host = &r->host;
	r->config.collectors = c;
	r->config.n_collectors = n;
	r->config.log = r->log;
	r->config.continued = r->state == LOG_CONTINUED;
	r->config.rate_hz = r->config.rate_hz ? r->config.rate_hz : 10;
	r->config.now_ns = lab_now;
	r->config.cpu_ns = lab_cpu;
	ck_assert_int_eq(sampler_open(&r->s, &r->config), 0);
	sampler_open_pending(r->s);
	sampler_begin(r->s);
}

static inline void lab_close(struct lab *r)
{
	sampler_close(r->s);
	log_close(r->log);
	host_close(&r->host);
}

/* n ticks, on time; openers do their work in between. */
static inline void lab_ticks(struct lab *r, unsigned n)
{
	while (n--) {
		lab_ns += TICK_NS;
		sampler_tick(r->s, lab_ns);
		sampler_open_pending(r->s);
	}
}

/* What a reader makes of the log, and what passed by. */
struct lab_view {
	struct mirror m;
	uint32_t n_frames[8], n_group_reads[16], n_group_silenced[16];
	uint64_t first_tick, last_tick, n_tick_jumps;
};

static inline void lab_view_done(struct lab_view *v)
{
	mirror_done(&v->m);
}
#define LAB_VIEW(v) struct lab_view v __attribute__((cleanup(lab_view_done))) = {0}

/* Reads the whole log; `v` was made by LAB_VIEW and may be used again. */
static inline void lab_view(struct lab_view *v, struct log *log)
{
	struct cursor c = {0};
	struct frame f;
	uint64_t from, to, seq = 0;
	int r;

	mirror_done(&v->m);
	*v = (struct lab_view){0};
	mirror_init(&v->m);
	ck_assert_int_eq(cursor_open_seq(&c, log, 0), 0);
	while ((r = cursor_next(&c, &f, &from, &to)) > 0) {
		struct tick_head h;
		struct frame_reader in;
		struct tick_group g;

		ck_assert_msg(!seq || f.seq == seq + 1, "seq %llu after %llu",
			      (unsigned long long)f.seq, (unsigned long long)seq);
		seq = f.seq;
		v->n_frames[frame_type(&f)]++;
		ck_assert_int_eq(mirror_apply(&v->m, &f), 0);
		if (frame_type(&f) != FRAME_TICK)
			continue;
		ck_assert_int_eq(frame_read_tick(&f, &h, &in), 0);
		v->n_tick_jumps += v->last_tick && h.tick != v->last_tick + 1;
		v->first_tick = v->first_tick ? v->first_tick : h.tick;
		v->last_tick = h.tick;
		while (frame_next_group(&in, &g) > 0)
			++*(tick_group_was_read(&g) ? &v->n_group_reads[g.group]
						    : &v->n_group_silenced[g.group]);
	}
	ck_assert_int_eq(r, 0);
	cursor_close(&c);
}

/* How many events of this kind whose text holds `part`. */
static inline unsigned lab_events(const struct lab_view *v, enum event_kind kind, const char *part)
{
	unsigned n = 0;

	for (uint32_t i = 0; i < v->m.n_events; i++)
		n += v->m.events[i].kind == kind && strstr(v->m.events[i].text, part);
	return n;
}

#endif
