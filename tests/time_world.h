/*
 * A host as the store sees it, for the property tests on time: boots, agents that come and go, ticks
 * that are late or missing, suspends, clocks that are set, counters that wrap. Beside it, everything
 * that was read as plain facts.
 */
#ifndef STROBE_TESTS_TIME_WORLD_H
#define STROBE_TESTS_TIME_WORLD_H

#define LAB_REAL_BLOCKS
#include "ring_test.h"

#include "store/keeper.h"
#include "store/query.h"

enum { SECOND = 1000000, N_SERIES = 13, BOOTS_MAX = 16, N_GROUPS = 3 };

static const struct metric one_metrics[] = {
	{"t.wrap32", "count", 1, 1, "a", "A.", SEM_COUNTER, 0, NULL},
	{"t.wrap64", "byte", 1, 1, "b", "B.", SEM_COUNTER, 0, NULL},
	{"t.level", "byte", 1, 1, "c", "C.", SEM_INSTANT, 0, NULL},
};
static const struct metric many_metrics[] = {
	{"t.many", "count", 1, 1, "d", "D.", SEM_COUNTER, 0, NULL},
	{"t.depth", "count", 1, 1, "e", "E.", SEM_INSTANT, 0, NULL},
};
static const struct metric slow_metrics[] = {
	{"t.slow", "count", 1, 1, "f", "F.", SEM_COUNTER, 0, NULL},
	{"t.heat", "count", 1, 1, "g", "G.", SEM_INSTANT, 0, NULL},
};
static const struct group groups[N_GROUPS] = {
	{"one", NULL, one_metrics, 3, 100, 1, false, NULL},
	{"many", "disk", many_metrics, 2, 100, 16, false, NULL},
	{"slow", NULL, slow_metrics, 2, 1000, 1, false, NULL},
};
/* Where the series of a group begin: 3 of one, 4 x 2 of many, 2 of slow. */
static const unsigned series_base[N_GROUPS] = {0, 3, 11};
static const char *const disks[] = {"sda", "sdb", "sdc", "sdd"};

struct fact {
	uint32_t boot;
	int64_t at_us;
	int64_t value, before; /* before: of the read before */
	uint64_t dt_us;	       /* the measured time between them; 0: there is no rate */
};
/* CLOCK_REALTIME - CLOCK_MONOTONIC from a moment of a boot on. */
struct record {
	uint32_t boot;
	int64_t mono_us, real_off_us;
};
struct facts {
	struct fact *v;
	size_t n, cap;
};

struct world {
	uint64_t rnd;
	struct lab_device disk;
	uint64_t memory_bytes;
	bool forward_only; /* the wall clock is never set back */
	bool on_disk;	   /* else what memory cannot keep is rolled up */
	/* of the host now */
	uint32_t boot;
	uint64_t mono_us;
	int64_t real_off_us, boot_off_us;
	/* of the agent now */
	char boot_id[40];
	struct log *log;
	struct feeder f;
	struct ring *ring;
	struct history *history;
	struct keeper *keeper;
	bool begun; /* its first segment is written */
	int64_t begun_us;
	/* of its reads */
	struct {
		uint64_t number, last_us, period_ms;
		uint64_t due_us;
	} group[N_GROUPS];
	struct {
		int64_t v, last;
		uint64_t read; /* of the group, when it was last read; 0: not in this log */
		bool there, absent;
	} series[N_SERIES];
	struct facts facts[N_SERIES];
	int64_t first_us[BOOTS_MAX]; /* the first read of each boot; 0: none yet */
	struct record *records;
	size_t n_records, cap_records;
};

static inline uint64_t chance(struct world *w, uint64_t n)
{
	return feeder_random(&w->rnd) % n;
}

/* ---- the agent ---- */

static inline void open_keeper(struct world *w)
{
	struct history_config hc = {
		.log = w->log, .boot_id = w->boot_id, .memory_bytes = w->memory_bytes};
	struct keeper_config kc = {.log = w->log, .boot_id = w->boot_id, .round_ms = 1};

	ck_assert_int_eq(history_open(&w->history, &hc), 0);
	if (w->on_disk) {
		w->ring = kc.ring = lab_open(&w->disk, false);
		ck_assert_int_eq(history_attach(w->history, w->ring), 0);
	}
	kc.history = w->history;
	ck_assert_int_eq(keeper_open(&w->keeper, &kc), 0);
}

static inline void open_log(struct world *w)
{
	struct log_config c = {.size_bytes = w->on_disk ? 16 << 20 : 4 << 20,
			       .boot_id = w->boot_id};
	enum log_state state;
	char err[200];

	ck_assert_int_eq(log_open(&w->log, &c, &state, err, sizeof(err)), 0);
	feeder_open(&w->f, w->log, groups, N_GROUPS);
	w->f.real_off_us = w->real_off_us;
	w->f.mono_us = w->mono_us;
	for (unsigned i = 0; i < N_SERIES; i++)
		w->series[i].read = 0;
	for (unsigned g = 0; g < N_GROUPS; g++) {
		w->group[g].number = w->group[g].last_us = w->group[g].due_us = 0;
		w->group[g].period_ms = groups[g].period_ms;
	}
}

static inline void close_keeper(struct world *w, bool killed)
{
	if (!killed)
		keeper_finish(w->keeper);
	keeper_close(w->keeper);
	history_close(w->history);
	if (w->ring && killed)
		w->ring->read_only = true;
	ring_close(w->ring);
	w->ring = NULL;
}

/* A new agent: after a kill or an end in good order, with its log or a new one. */
static inline void restart(struct world *w, bool new_log)
{
	ck_assert_int_eq(keeper_step(w->keeper), 0);
	ck_assert_int_eq(keeper_step(w->keeper), 0);
	close_keeper(w, chance(w, 2));
	if (new_log) {
		feeder_close(&w->f);
		log_close(w->log);
		open_log(w);
	}
	open_keeper(w);
	w->begun = false;
}

static inline void name_boot(struct world *w)
{
	snprintf(w->boot_id, sizeof(w->boot_id), "boot-%u", w->boot);
}

static inline void reboot(struct world *w)
{
	int64_t wall = (int64_t)w->mono_us + w->real_off_us,
		down = (int64_t)chance(w, 100) * SECOND;

	ck_assert_int_eq(keeper_step(w->keeper), 0);
	ck_assert_int_eq(keeper_step(w->keeper), 0);
	close_keeper(w, chance(w, 2));
	feeder_close(&w->f);
	log_close(w->log);
	w->boot++;
	ck_assert_uint_lt(w->boot, BOOTS_MAX);
	name_boot(w);
	w->mono_us = (5 + chance(w, 500)) * SECOND;
	if (!w->forward_only && chance(w, 5) == 0) /* a clock without a battery, or set meanwhile */
		down = (int64_t)(chance(w, 7200) - 3600) * SECOND;
	w->real_off_us = wall + down - (int64_t)w->mono_us;
	w->boot_off_us = 0;
	for (unsigned i = 0; i < N_SERIES; i++)
		w->series[i].v = 0;
	open_log(w);
	open_keeper(w);
	w->begun = false;
}

/* ---- what is read ---- */

static inline void note(struct world *w, unsigned g, unsigned series, int64_t v, uint64_t at_us,
			uint64_t period_ms)
{
	struct facts *l = &w->facts[series];
	struct fact f = {.boot = w->boot, .at_us = (int64_t)at_us, .value = v};
	uint64_t number = w->group[g].number, last_us = w->group[g].last_us;

	if (w->series[series].read && w->series[series].read == number - 1 &&
	    (double)(at_us - last_us) <= 2500. * (double)period_ms && v >= w->series[series].last) {
		f.dt_us = at_us - last_us;
		f.before = w->series[series].last;
	}
	w->series[series].last = v;
	w->series[series].read = number;
	if (l->n == l->cap) {
		l->cap = l->cap ? 2 * l->cap : 4096;
		l->v = realloc(l->v, l->cap * sizeof(*l->v));
		ck_assert_ptr_nonnull(l->v);
	}
	l->v[l->n++] = f;
}

static inline int64_t next_value(struct world *w, unsigned series, bool counter, unsigned bits)
{
	uint64_t r = feeder_random(&w->rnd), v = (uint64_t)w->series[series].v;

	if (!counter)
		return w->series[series].v = (int64_t)(r % 5 ? v : r >> 44);
	if (r % 400 == 0)
		v = 0; /* the device was reset */
	else if (r % 307 == 0)
		v = (bits == 32 ? 1ull << 32 : 0) - 1 - (r >> 54); /* soon it wraps */
	else if (r % 3)
		v += r >> (bits == 32 ? 44 : 30);
	if (bits == 32)
		v = (uint32_t)v;
	if ((int64_t)v == VALUE_ABSENT)
		v++;
	return w->series[series].v = (int64_t)v;
}

static inline void read_group(struct world *w, unsigned g, uint64_t tick_us)
{
	uint64_t period_ms = w->group[g].period_ms;
	int64_t off_us = (int64_t)chance(w, 4000);
	int32_t change = -1;
	struct batch *b;
	unsigned n = g == 1 ? 4 : 1, n_metrics = groups[g].n_metrics;

	if (g == 2) /* of a worker: published late */
		off_us = -(int64_t)chance(w, 1700000);
	if (tick_us + (uint64_t)off_us <= w->group[g].last_us ||
	    (int64_t)tick_us + off_us < w->begun_us) /* no read lies before the agent began */
		off_us = 0;
	if (chance(w, 300) == 0)
		change = (int32_t)(groups[g].period_ms * (1 + chance(w, 3)));
	b = feeder_batch(&w->f, g);
	if (change > 0) {
		period_ms = period_ms > (uint64_t)change ? period_ms : (uint64_t)change;
		w->group[g].period_ms = (uint64_t)change;
	}
	w->group[g].number++;
	for (unsigned i = 0; i < n; i++) {
		unsigned s = series_base[g] + i * n_metrics;
		int64_t *row;

		if (g == 1 && chance(w, 60) == 0) {
			w->series[s].there = !w->series[s].there;
			w->series[s].v = 0;
		}
		if (g == 1 && !w->series[s].there)
			continue;
		row = g == 1 ? batch_row_named(b, disks[i], 3) : batch_row(b);
		for (unsigned m = 0; m < n_metrics; m++, s++) {
			bool counter = groups[g].metrics[m].sem == SEM_COUNTER;

			if (chance(w, 50) == 0)
				w->series[s].absent = !w->series[s].absent;
			row[m] = next_value(w, s, counter, g == 0 && m == 0 ? 32 : 64);
			if (w->series[s].absent && chance(w, 4))
				row[m] = VALUE_ABSENT;
			else
				note(w, g, s, row[m], tick_us + (uint64_t)off_us, period_ms);
		}
	}
	feeder_group(&w->f, g, off_us, change);
	w->group[g].last_us = tick_us + (uint64_t)off_us;
	if (!w->first_us[w->boot] || (int64_t)w->group[g].last_us < w->first_us[w->boot])
		w->first_us[w->boot] = (int64_t)w->group[g].last_us;
}

static inline void add_record(struct world *w)
{
	if (w->n_records == w->cap_records) {
		w->cap_records = w->cap_records ? 2 * w->cap_records : 256;
		w->records = realloc(w->records, w->cap_records * sizeof(*w->records));
		ck_assert_ptr_nonnull(w->records);
	}
	w->records[w->n_records++] = (struct record){w->boot, (int64_t)w->mono_us, w->real_off_us};
}

static inline void tick(struct world *w)
{
	bool late = chance(w, 40) == 0;

	w->mono_us += 100000 + chance(w, 2000) + (late ? chance(w, 250000) : 0);
	if (!w->begun) { /* as the sampler begins */
		w->f.mono_us = w->mono_us;
		w->f.real_off_us = w->real_off_us;
		feeder_segment(&w->f);
		add_record(w);
		w->begun_us = (int64_t)w->mono_us;
		w->begun = true;
	}
	feeder_tick(&w->f, w->mono_us);
	for (unsigned g = 0; g < N_GROUPS; g++) {
		if (w->mono_us < w->group[g].due_us || chance(w, 50) == 0)
			continue;
		read_group(w, g, w->mono_us);
		w->group[g].due_us = w->mono_us + w->group[g].period_ms * 1000 - 50000;
	}
	feeder_end(&w->f);
}

/* ---- what happens to clocks; the record stands after the tick that found it ---- */

static inline void tell_clock(struct world *w, enum clock_reason reason)
{
	uint8_t buf[100];

	if (!w->begun)
		return; /* the segment to come says it */
	w->f.real_off_us = w->real_off_us;
	feeder_put(
		&w->f, buf,
		frame_clock(buf, sizeof(buf), w->mono_us, w->real_off_us, w->boot_off_us, reason));
	add_record(w);
}

static inline void suspend(struct world *w)
{
	int64_t slept = (int64_t)(chance(w, 3600) + 1) * SECOND;

	w->real_off_us += slept;
	w->boot_off_us += slept;
	tell_clock(w, CLOCK_SUSPEND);
}

static inline void set_clock(struct world *w, uint64_t most_us)
{
	int64_t step = 100000 + (int64_t)chance(w, most_us);

	w->real_off_us += w->forward_only || chance(w, 2) ? step : -step;
	tell_clock(w, CLOCK_STEP);
}

static inline void happen(struct world *w)
{
	uint64_t r = chance(w, 1000);

	if (r < 12) /* nothing was recorded for a while */
		w->mono_us += 300000 + chance(w, r < 3 ? 40 * SECOND : 2 * SECOND);
	else if (r < 18)
		suspend(w);
	else if (r < 26)
		set_clock(w, r < 20 ? 3600ull * SECOND : SECOND);
	else if (r < 36)
		tell_clock(w, CLOCK_PERIODIC);
	else if (r < 40) { /* read before: what is overwritten is not to be lost */
		ck_assert_int_eq(keeper_step(w->keeper), 0);
		feeder_segment(&w->f);
	} else if (r < 42 && w->on_disk)
		restart(w, false);
	else if (r < 44 && w->on_disk)
		restart(w, true);
	else if (r < 45 && w->on_disk && w->boot + 1 < BOOTS_MAX)
		reboot(w);
	else if (r < (w->on_disk ? 70 : 48))
		ck_assert_int_eq(keeper_step(w->keeper), 0);
	if (!w->begun && chance(w, 3) == 0) /* while no agent was there */
		set_clock(w, 100ull * SECOND);
	if (!w->begun && chance(w, 3) == 0)
		w->mono_us += chance(w, 30 * SECOND);
}

static inline void world_open(struct world *w, uint64_t seed, bool on_disk, uint64_t memory_bytes)
{
	*w = (struct world){.rnd = seed, .on_disk = on_disk, .memory_bytes = memory_bytes};
	w->forward_only = seed % 3 == 0;
	w->mono_us = (10 + chance(w, 1000)) * SECOND;
	w->real_off_us = 1700000000000000;
	for (unsigned i = 0; i < N_SERIES; i++)
		w->series[i].there = true;
	if (on_disk)
		lab_device_open(&w->disk, 24 << 20, false);
	name_boot(w);
	open_log(w);
	open_keeper(w);
	w->begun = false;
}

static inline void world_run(struct world *w, unsigned n_ticks)
{
	while (n_ticks--) {
		tick(w);
		happen(w);
	}
	if (!w->begun)
		tick(w);
}

static inline void world_close(struct world *w)
{
	close_keeper(w, false);
	feeder_close(&w->f);
	log_close(w->log);
	if (w->on_disk)
		lab_device_free(&w->disk);
	for (unsigned i = 0; i < N_SERIES; i++)
		free(w->facts[i].v);
	free(w->records);
}

/* ---- where boots lie, and what the wall clock said ---- */

struct axis {
	int64_t shift_us[BOOTS_MAX]; /* timeline = time of the boot + shift_us */
};

/* By the spans of the history, which must be in order, one log after the other. */
static inline void find_axis(struct world *w, struct axis *x)
{
	struct history_span *spans;
	int64_t last_us = INT64_MIN;
	bool seen[BOOTS_MAX] = {false};
	size_t n;

	x->shift_us[w->boot] = 0;
	spans = history_spans(w->history, &n);
	ck_assert_ptr_nonnull(spans);
	for (size_t i = 0; i < n; i++) {
		unsigned boot = (unsigned)atoi(spans[i].boot_id + strlen("boot-"));

		ck_assert_int_le(spans[i].from_us, spans[i].to_us);
		ck_assert_int_ge(spans[i].from_us, last_us);
		last_us = spans[i].to_us;
		if (!seen[boot] && boot != w->boot)
			x->shift_us[boot] = spans[i].from_us - w->first_us[boot];
		seen[boot] = true;
	}
	for (unsigned boot = 0; boot <= w->boot; boot++)
		ck_assert_msg(seen[boot], "boot %u of %u is missing", boot, w->boot);
	free(spans);
}

static inline int64_t off_at(const struct world *w, uint32_t boot, int64_t at_us)
{
	int64_t off_us = INT64_MIN;

	for (size_t i = 0; i < w->n_records; i++) {
		const struct record *r = &w->records[i];

		if (r->boot == boot && (off_us == INT64_MIN || r->mono_us <= at_us))
			off_us = r->real_off_us;
	}
	return off_us;
}

static inline bool is_near(int64_t a, int64_t b)
{
	return a - b <= 1000 && b - a <= 1000;
}

/* The clock in force at the read, or where it was set within a tick or two of it the other one. */
static inline bool is_wall_of(const struct world *w, const struct fact *f, int64_t wall_us)
{
	int64_t off_us = wall_us - f->at_us;

	for (size_t i = 0; i < w->n_records; i++) {
		const struct record *r = &w->records[i];

		if (r->boot == f->boot && llabs(r->mono_us - f->at_us) < 400000 &&
		    is_near(off_us, r->real_off_us))
			return true;
	}
	return is_near(off_us, off_at(w, f->boot, f->at_us - 400000)) ||
	       is_near(off_us, off_at(w, f->boot, f->at_us));
}

#endif
