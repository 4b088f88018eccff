#include "seal_truth.h"
#include "store/seal.h"
#include "support.h"

enum { LAB_METRICS = 12, LAB_INSTANCES = 5 };

static const struct metric lab_metrics[LAB_METRICS] = {
	{"lab.tenths", "1", 1, 1, "x", "A rate that wavers.", SEM_COUNTER, 0, NULL},
	{"lab.pages", "1", 1, 1, "x", "Moves by multiples.", SEM_INSTANT, 0, NULL},
	{"lab.walk", "1", 1, 1, "x", "A walk.", SEM_INSTANT, 0, NULL},
	{"lab.noise", "1", 1, 1, "x", "32 bits of noise.", SEM_INSTANT, 0, NULL},
	{"lab.wild", "1", 1, 1, "x", "64 bits of noise.", SEM_COUNTER, 0, NULL},
	{"lab.absent", "1", 1, 1, "x", "There and not there.", SEM_COUNTER, 0, NULL},
	{"lab.seldom", "1", 1, 1, "x", "Steps seldom.", SEM_COUNTER, 0, NULL},
	{"lab.spikes", "1", 1, 1, "x", "Calm but for spikes.", SEM_INSTANT, 0, NULL},
	{"lab.reset", "1", 1, 1, "x", "Begins anew.", SEM_COUNTER, 0, NULL},
	{"lab.line", "1", 1, 1, "x", "A line.", SEM_COUNTER, 0, NULL},
	{"lab.curve", "1", 1, 1, "x", "A parabola.", SEM_COUNTER, 0, NULL},
	{"lab.still", "1", 1, 1, "x", "Never moves.", SEM_INSTANT, 0, NULL},
};
static const struct group lab_group = {"lab", "lab", lab_metrics, LAB_METRICS, 0, 8, false, NULL};

struct lab {
	struct log *log;
	struct feeder f;
	struct truth *truth;
	struct sealer *sealer;
	uint64_t rnd, mono_us;
	int sink_error; /* what the sink answers */
	uint8_t *last;	/* the newest block taken */
	size_t last_len, n_bytes, n_sealed;
	struct block_head head;
	bool unchecked;	 /* blocks are only kept */
	unsigned births; /* of a hundred ticks */
};

static uint64_t rnd(struct lab *x, uint64_t n)
{
	return feeder_random(&x->rnd) % n;
}

static int take(void *arg, struct sealed *s)
{
	struct lab *x = arg;
	uint8_t *small;
	size_t len;

	if (x->sink_error)
		return x->sink_error;
	if (!x->unchecked) {
		truth_check(x->truth, s->data, s->len, false);
		MUST(block_compress(s->data, s->len, &small, &len) == 0);
		MUST(len <= s->len);
		truth_check(x->truth, small, len, true);
		free(small);
	}
	free(x->last);
	x->last = s->data;
	x->last_len = s->len;
	x->head = s->head;
	x->n_bytes += s->len;
	x->n_sealed++;
	return 0;
}

static void open_sealer(struct lab *x, uint64_t after_seq)
{
	struct sealer_config c = {
		.log = x->log, .boot_id = "a-boot", .after_seq = after_seq, .sink = take, .arg = x};

	ck_assert_int_eq(sealer_open(&x->sealer, &c), 0);
}

static struct lab *lab_open(unsigned segments, uint64_t seed)
{
	struct log_config c = {.size_bytes = (uint64_t)segments << 20, .boot_id = "a-boot"};
	struct lab *x = calloc(1, sizeof(*x));
	static struct group all[4];
	enum log_state state;
	char err[200];

	MUST(x);
	memcpy(all, groups, sizeof(groups));
	all[3] = lab_group;
	ck_assert_int_eq(log_open(&x->log, &c, &state, err, sizeof(err)), 0);
	feeder_open(&x->f, x->log, all, 4);
	x->truth = truth_new(&x->f);
	x->truth->next_seq = 1;
	x->rnd = seed;
	x->mono_us = 50000000;
	x->births = 200;
	open_sealer(x, 0);
	return x;
}

static void lab_close(struct lab *x)
{
	sealer_close(x->sealer);
	truth_free(x->truth);
	feeder_close(&x->f);
	log_close(x->log);
	free(x->last);
	free(x);
}

static int64_t wild(struct lab *x)
{
	switch (rnd(x, 8)) {
	case 0:
		return VALUE_ABSENT;
	case 1:
		return INT64_MAX;
	case 2:
		return INT64_MIN + 1;
	case 3:
		return (int64_t)feeder_random(&x->rnd);
	default:
		return (int64_t)rnd(x, 1 << 24);
	}
}

static void lab_row(struct lab *x, int64_t *v)
{
	uint64_t t = x->f.tick;

	v[0] += 95 + (int64_t)rnd(x, 11);
	v[1] += ((int64_t)rnd(x, 9) - 4) * 4096;
	v[2] += (int64_t)rnd(x, 3) - 1;
	v[3] = (int64_t)(uint32_t)feeder_random(&x->rnd);
	v[4] = (int64_t)feeder_random(&x->rnd);
	v[5] = rnd(x, 5) ? (int64_t)(t * 3) : VALUE_ABSENT;
	v[6] += rnd(x, 60) == 0;
	v[7] = rnd(x, 40) ? 1000 + (int64_t)rnd(x, 2) : (int64_t)rnd(x, UINT64_C(1) << 50);
	v[8] = rnd(x, 150) ? v[8] + (int64_t)rnd(x, 100) : 0;
	v[9] = (int64_t)(t * 1000);
	v[10] = (int64_t)(t * t * 7);
	v[11] = 4711;
}

static void tick_processes(struct lab *x)
{
	struct batch *b = feeder_batch(&x->f, 2);
	char name[32];

	for (uint32_t s = 0; s < b->n_slots; s++) {
		if (!b->inst[s].live)
			continue;
		if (rnd(x, 25) == 0) {
			batch_end(b, s);
			continue;
		}
		int64_t *row = batch_row_slot(b, s);

		row[rnd(x, 3)] = rnd(x, 4) ? (int64_t)rnd(x, 100000) : wild(x);
		if (rnd(x, 30) == 0) {
			int len = snprintf(name, sizeof(name), "cg%lu", (unsigned long)x->f.tick);

			batch_attr(b, s, rnd(x, 2), name, (size_t)len);
		}
	}
	for (unsigned i = 0; i < x->births / 100 + (rnd(x, 100) < x->births % 100); i++) {
		uint64_t id = x->f.tick << 8 | i;
		int len = snprintf(name, sizeof(name), "%lu.%u", (unsigned long)x->f.tick, i);
		int32_t slot = batch_start(b, id, name, (size_t)len);

		if (slot < 0)
			continue;
		batch_row_slot(b, (uint32_t)slot)[1] = (int64_t)rnd(x, 1000) * 4096;
		if (rnd(x, 2))
			batch_attr(b, (uint32_t)slot, 0, name, (size_t)len);
		if (rnd(x, 20) == 0)
			batch_end(b, (uint32_t)slot); /* nobody sees it */
	}
	feeder_group(&x->f, 2, 500 + (int64_t)rnd(x, 300), -1);
}

static void tick_disks(struct lab *x)
{
	struct batch *b;
	char name[8];

	b = feeder_batch(&x->f, 1);
	for (unsigned i = 0; i < 6; i++)
		if (rnd(x, 12)) {
			int len = snprintf(name, sizeof(name), "sd%c", (int)('a' + i));
			int64_t *row = batch_row_named(b, name, (size_t)len);

			row[rnd(x, 2)] += (int64_t)rnd(x, 4000);
		}
	feeder_group(&x->f, 1, 77, x->f.tick % 100 == 1 ? 500 + (int32_t)rnd(x, 1000) : -1);
}

/* One tick: late now and then, once in a while after a long hole. */
static void lab_tick(struct lab *x)
{
	struct batch *b;
	char name[8];

	x->mono_us += 100000 + (rnd(x, 5) ? rnd(x, 40) : rnd(x, 60000));
	if (rnd(x, 400) == 0)
		x->mono_us += 700000 + rnd(x, 4000000);
	feeder_tick(&x->f, x->mono_us);
	if (x->f.tick % 311 > 40 && x->f.tick % 311 < 60) { /* at rest */
		if (x->f.tick % 311 == 41) {
			frame_tick_period(&x->f.w, 0, 0);
			x->f.source[0].period_ms = 0;
		}
	} else {
		b = feeder_batch(&x->f, 0);
		for (unsigned m = 0; m < 3; m++)
			if (rnd(x, 4) == 0)
				batch_row(b)[m] = wild(x);
		feeder_group(&x->f, 0, (int64_t)rnd(x, 900) - 100,
			     x->f.tick % 311 == 60 ? 100 : -1);
	}
	if (x->f.tick % 7 == 1)
		tick_disks(x);
	tick_processes(x);
	if (rnd(x, 50)) {
		b = feeder_batch(&x->f, 3);
		for (unsigned i = 0; i < LAB_INSTANCES; i++) {
			int len = snprintf(name, sizeof(name), "i%u", i);

			lab_row(x, batch_row_named(b, name, (size_t)len));
		}
		feeder_group(&x->f, 3, 1000 + (int64_t)rnd(x, 50), -1);
	}
	feeder_end(&x->f);
	truth_tick(x->truth, &x->f);
}

static void step_all(struct lab *x)
{
	int r;

	while ((r = sealer_step(x->sealer)) == 1)
		;
	ck_assert_int_eq(r, 0);
}

/* All that was written was found in blocks. */
static void assert_complete(struct lab *x)
{
	ck_assert_int_eq(sealer_flush(x->sealer), 0);
	for (size_t g = 0; g < x->truth->n; g++)
		ck_assert_uint_eq(x->truth->group[g].n_checked, x->truth->group[g].n_reads);
	ck_assert_uint_eq(sealer_seq(x->sealer), x->head.last_seq);
}

/* Random batches in, blocks out, and every one is exactly what was written. */
START_TEST(blocks_say_what_was_written)
{
	for (uint64_t seed = 1; seed <= 3; seed++) {
		struct lab *x = lab_open(64, seed);

		for (unsigned i = 0; i < 2500; i++) {
			lab_tick(x);
			if (rnd(x, 3) == 0)
				step_all(x);
			if (rnd(x, 400) == 0)
				ck_assert_int_eq(sealer_flush(x->sealer), 0);
		}
		step_all(x);
		assert_complete(x);
		ck_assert_uint_ge(x->n_sealed, 5);
		lab_close(x);
	}
}
END_TEST

/* A sealer that lags by segments makes the same blocks as one that follows closely. */
START_TEST(lag_does_not_matter)
{
	struct lab *x = lab_open(64, 7), *y = lab_open(64, 7);

	for (unsigned i = 0; i < 1500; i++) {
		lab_tick(x);
		lab_tick(y);
		step_all(x);
	}
	step_all(y);
	ck_assert_uint_eq(x->n_sealed, y->n_sealed);
	ck_assert_uint_eq(x->last_len, y->last_len);
	/* they differ in the log they name */
	ck_assert_mem_eq(x->last + 144, y->last + 144, x->last_len - 144);
	assert_complete(x);
	lab_close(x);
	lab_close(y);
}
END_TEST

/* The log laps the sealer: what is left is right, what is lost is in no block. */
START_TEST(overrun_is_a_gap)
{
	struct lab *x = lab_open(4, 11);
	uint32_t written;

	for (unsigned i = 0; i < 1000; i++) {
		lab_tick(x);
		step_all(x);
	}
	while (log_oldest(x->log) <= sealer_seq(x->sealer) + 2000)
		lab_tick(x);
	x->truth->may_skip = true;
	for (unsigned i = 0; i < 600; i++) {
		step_all(x);
		lab_tick(x);
	}
	step_all(x);
	ck_assert_int_eq(sealer_flush(x->sealer), 0);
	written = x->truth->group[2].n_reads;
	ck_assert_uint_lt(x->truth->group[2].n_checked, written);
	ck_assert_uint_gt(x->truth->group[2].n_checked, 1500);
	ck_assert_uint_eq(x->truth->group[2].next, written);
	lab_close(x);
}
END_TEST

/* A sealer that begins where another one ended goes on with the next frame. */
START_TEST(goes_on_after_a_restart)
{
	struct lab *x = lab_open(64, 13);

	for (unsigned i = 0; i < 3000; i++) {
		lab_tick(x);
		if (rnd(x, 20) == 0)
			step_all(x);
		if (rnd(x, 300) == 0) {
			uint64_t seq = sealer_seq(x->sealer);

			sealer_close(x->sealer);
			open_sealer(x, seq);
		}
	}
	step_all(x);
	assert_complete(x);
	lab_close(x);
}
END_TEST

/* What the sink refuses is offered again, and nothing is lost meanwhile. */
START_TEST(sink_may_refuse)
{
	struct lab *x = lab_open(64, 17);

	for (unsigned i = 0; i < 2000; i++) {
		lab_tick(x);
		x->sink_error = rnd(x, 3) ? -EIO : 0;
		int r = sealer_step(x->sealer);

		ck_assert(r == 0 || r == 1 || (r == -EIO && x->sink_error));
		if (rnd(x, 100) == 0) {
			r = sealer_flush(x->sealer);
			ck_assert(r == 0 || r == -EIO);
		}
	}
	x->sink_error = 0;
	step_all(x);
	assert_complete(x);
	lab_close(x);
}
END_TEST

/* A block is of one catalog, and of 60 s at most. */
START_TEST(ends_at_catalog_and_minute)
{
	struct lab *x = lab_open(64, 19);
	uint64_t seq;

	for (unsigned i = 0; i < 100; i++)
		lab_tick(x);
	step_all(x);
	ck_assert_uint_eq(x->n_sealed, 0);
	x->f.version = 2;
	feeder_segment(&x->f);
	step_all(x);
	ck_assert_uint_eq(x->n_sealed, 1);
	seq = x->head.catalog_crc;
	for (unsigned i = 0; i < 100; i++)
		lab_tick(x);
	feeder_segment(&x->f); /* the same once more */
	step_all(x);
	ck_assert_uint_eq(x->n_sealed, 1);
	x->mono_us += 60000000;
	lab_tick(x);
	step_all(x);
	ck_assert_uint_eq(x->n_sealed, 2);
	ck_assert_uint_ne(x->head.catalog_crc, seq);
	assert_complete(x);
	lab_close(x);
}
END_TEST

static int count_frames(void *arg, const struct frame *f)
{
	uint64_t **want = arg;

	MUST(f->seq == **want);
	++*want;
	return 0;
}

/* EVENT and CLOCK frames are in their block as they were in the log, also without any tick. */
START_TEST(keeps_events_and_clocks)
{
	struct lab *x = lab_open(64, 23);
	uint64_t seqs[40], *at = seqs, n = 0;
	struct block *b;

	feeder_segment(&x->f);
	seqs[n++] = 2; /* the CLOCK the segment begins with */
	for (unsigned i = 0; i < 12; i++) {
		lab_tick(x);
		feeder_put(&x->f, x->f.buf,
			   frame_event(x->f.buf, FEEDER_BUFFER, x->mono_us, EVENT_GAP,
				       SEVERITY_WARN, "cpu", "late"));
		seqs[n++] = log_newest(x->log);
		feeder_put(&x->f, x->f.buf,
			   frame_clock(x->f.buf, FEEDER_BUFFER, x->mono_us, 1600000000000000 + i, 7,
				       CLOCK_PERIODIC));
		seqs[n++] = log_newest(x->log);
	}
	step_all(x);
	ck_assert_int_eq(sealer_flush(x->sealer), 0);
	ck_assert_int_eq(x->head.real_off_us, 1600000000000011);
	ck_assert_int_eq(block_open(&b, x->last, x->last_len), 0);
	ck_assert_int_eq(block_frames(b, count_frames, &at), 0);
	ck_assert_ptr_eq(at, seqs + n);
	block_close(b);

	feeder_put(&x->f, x->f.buf,
		   frame_event(x->f.buf, FEEDER_BUFFER, 99000000, EVENT_AGENT_STOP, SEVERITY_INFO,
			       "agent", ""));
	step_all(x);
	ck_assert_int_eq(sealer_flush(x->sealer), 0);
	ck_assert_uint_eq(x->head.from_us, 99000000);
	ck_assert_uint_eq(x->head.n_groups, 0);
	ck_assert_int_eq(sealer_flush(x->sealer), 0); /* nothing more: no block */
	ck_assert_uint_eq(x->n_sealed, 2);
	lab_close(x);
}
END_TEST

/* A frame that is not what it should be loses what follows up to the next KEY, and nothing else. */
START_TEST(damaged_frames_are_gaps)
{
	struct lab *x = lab_open(64, 29);
	uint8_t bad[] = {FRAME_TICK, 1, 2, 3};

	for (unsigned i = 0; i < 1500; i++) {
		lab_tick(x);
		if (rnd(x, 300) == 0) {
			feeder_put(&x->f, bad, sizeof(bad));
			step_all(x);
			x->truth->may_skip = true;
		}
		if (!x->truth->may_skip || rnd(x, 3) == 0)
			step_all(x);
	}
	step_all(x);
	ck_assert_int_eq(sealer_flush(x->sealer), 0);
	ck_assert_uint_gt(x->truth->group[2].n_checked, 500);
	ck_assert_uint_lt(x->truth->group[2].n_checked, 1500);
	lab_close(x);
}
END_TEST

/* Damage of a stored block is told, whatever bit it is: never a wrong value. */
START_TEST(every_flipped_bit_is_seen)
{
	struct lab *x = lab_open(64, 31);
	uint32_t n_bad = 0;

	x->births = 10;
	for (unsigned i = 0; i < 30; i++)
		lab_tick(x);
	step_all(x);
	ck_assert_int_eq(sealer_flush(x->sealer), 0);
	for (size_t bit = 0; bit < x->last_len * 8; bit++) {
		int64_t values[BLOCK_READS], base;
		const struct block_group *g;
		struct block *b = NULL;
		int r;

		x->last[bit / 8] ^= (uint8_t)(1 << bit % 8);
		r = block_open(&b, x->last, x->last_len);
		for (uint32_t k = 0; r == 0 && k < 4; k++) {
			r = block_group(b, k, &g);
			if (r == 0 && g)
				r = block_attrs(b, g);
			for (uint32_t i = 0; r == 0 && g && i < g->n_instances; i++)
				for (uint32_t m = 0; r == 0 && m < g->n_metrics; m++)
					r = block_values(b, g, i, m, &base, values);
		}
		MUST(r == -EBADMSG || r == -EPROTONOSUPPORT);
		n_bad++;
		block_close(b);
		x->last[bit / 8] ^= (uint8_t)(1 << bit % 8);
	}
	ck_assert_uint_eq(n_bad, x->last_len * 8);
	lab_close(x);
}
END_TEST

int main(void)
{
	const TTest *const tests[] = {
		blocks_say_what_was_written, lag_does_not_matter,     overrun_is_a_gap,
		goes_on_after_a_restart,     sink_may_refuse,	      ends_at_catalog_and_minute,
		keeps_events_and_clocks,     damaged_frames_are_gaps, every_flipped_bit_is_seen};

	return support_run("seal", tests, sizeof(tests) / sizeof(*tests));
}
