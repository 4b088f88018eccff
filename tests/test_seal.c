#include "seal_lab.h"
#include "store/block_internal.h"
#include "store/block_write.h"

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
		bool rests;

		lab_tick(x);
		rests = !x->f.source[0].period_ms && rnd(x, 8) == 0;
		if (rests)
			feeder_segment(&x->f);
		if (rnd(x, 20) == 0)
			step_all(x);
		if (rests) { /* then the next one learns of it from the KEY */
			step_all(x);
			ck_assert_int_eq(sealer_flush(x->sealer), 0);
		}
		if (rests || rnd(x, 300) == 0) {
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

/* Where very much changes, blocks are shorter and the sealer's memory stays what it is. */
START_TEST(changes_are_bounded)
{
	struct lab *x = lab_open(64, 41);
	const struct block_group *g;
	struct block *b;

	x->n_instances = LAB_MANY;
	for (unsigned i = 0; i < 450 && x->n_sealed < 1; i++) {
		lab_tick(x);
		step_all(x);
	}
	ck_assert_uint_eq(x->n_sealed, 1);
	ck_assert_int_eq(block_open(&b, x->last, x->last_len), 0);
	ck_assert_int_eq(block_group(b, 2, &g), 0);
	ck_assert_uint_gt(g->n_reads, 100);
	ck_assert_uint_lt(g->n_reads, 400);
	block_close(b);
	lab_close(x);
}
END_TEST

/* An ATTR of the slot's next instance may stand before the end of this one. */
START_TEST(attributes_are_of_their_instance)
{
	struct lab *x = lab_open(64, 43);
	const struct batch *b = &x->f.batch[2];
	uint32_t slot = 0;

	for (unsigned i = 0; i < 60; i++)
		lab_tick(x);
	while (!b->inst[slot].live || !b->attrs[slot * b->n_attrs][0])
		slot++;
	feeder_put(&x->f, x->f.buf,
		   frame_attr(x->f.buf, FEEDER_BUFFER, 2, slot, b->inst[slot].gen + 1, 0, "next"));
	feeder_tick(&x->f, x->mono_us += 100000);
	feeder_batch(&x->f, 2);
	batch_end(&x->f.batch[2], slot);
	feeder_group(&x->f, 2, 0, -1);
	feeder_end(&x->f);
	truth_tick(x->truth, &x->f);
	step_all(x);
	assert_complete(x);
	lab_close(x);
}
END_TEST

/* What lives for some ticks takes little: its whole small matrix is one item. */
START_TEST(brief_instances_are_small)
{
	enum { METRICS = 27, READS = 5 };
	static const struct block_write_instance in = {.n = READS, .name = "", .started = true};
	static const uint16_t tick[READS] = {0, 1, 2, 3, 4};
	static const uint64_t at_us[READS] = {1, 2, 3, 4, 5};
	const struct block_write_group g = {
		.n_metrics = METRICS, .n_reads = READS, .tick = tick, .at_us = at_us};
	int64_t values[READS], to[METRICS][READS], base, have[BLOCK_READS];
	uint16_t at[METRICS][READS];
	struct column cells[METRICS];
	struct block_writer w = {0};
	struct block_head head = {0};
	const struct block_group *bg;
	struct block *b;
	uint8_t *data;
	size_t len;

	for (int64_t m = 0; m < METRICS; m++) {
		for (int64_t i = 0; i < READS; i++)
			values[i] = m % 3 && i > 1 ? m % 5 + 1 : 0;
		cells[m] = column_of(values, READS, at[m], to[m]);
	}
	block_writer_begin(&w, 1);
	block_writer_ticks(&w, at_us, READS);
	block_writer_group(&w, &g);
	block_writer_instance(&w, &in);
	block_writer_cells(&w, cells);
	ck_assert_int_eq(block_writer_end(&w, &head, &data, &len), 0);
	ck_assert_int_eq(block_open(&b, data, len), 0);
	ck_assert_uint_eq(b->n_values, 1);
	ck_assert_uint_lt(b->pages[b->n_meta].len, 50);
	ck_assert_int_eq(block_group(b, 0, &bg), 0);
	for (uint32_t m = 0; m < METRICS; m++) {
		ck_assert_int_eq(block_values(b, bg, 0, m, &base, have), 0);
		ck_assert_int_eq(have[4], m % 3 ? m % 5 + 1 : 0);
	}
	block_close(b);
	block_writer_done(&w);
	free(data);
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
			   frame_clock(x->f.buf, FEEDER_BUFFER, x->mono_us, 1700000000000000 + i, 7,
				       CLOCK_PERIODIC));
		seqs[n++] = log_newest(x->log);
	}
	step_all(x);
	ck_assert_int_eq(sealer_flush(x->sealer), 0);
	ck_assert_int_eq(x->head.real_off_us, 1700000000000011);
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

static void set_clock(struct lab *x, int64_t real_off_us)
{
	feeder_put(&x->f, x->f.buf,
		   frame_clock(x->f.buf, FEEDER_BUFFER, x->mono_us, real_off_us, 7, CLOCK_STEP));
}

/* A block knows one offset of the wall clock: that of all its reads. */
START_TEST(a_clock_that_is_set_ends_a_block)
{
	static const int64_t off_us = 1700000000000000, hour_us = 3600000000;
	struct lab *x = lab_open(64, 23);

	feeder_segment(&x->f);
	for (unsigned i = 0; i < 5; i++)
		lab_tick(x);
	set_clock(x, off_us + 900); /* as good as none */
	lab_tick(x);
	step_all(x);
	ck_assert_uint_eq(x->n_sealed, 0);
	set_clock(x, off_us + hour_us);
	step_all(x);
	ck_assert_uint_eq(x->n_sealed, 1);
	ck_assert_int_eq(x->head.real_off_us, off_us + 900);
	lab_tick(x);
	set_clock(x, off_us + hour_us - 50000); /* little, and just after the other */
	lab_tick(x);
	step_all(x);
	ck_assert_uint_eq(x->n_sealed, 1);
	ck_assert_int_eq(sealer_flush(x->sealer), 0);
	ck_assert_uint_eq(x->n_sealed, 2);
	ck_assert_int_eq(x->head.real_off_us, off_us + hour_us - 50000);
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
	const TTest *const tests[] = {blocks_say_what_was_written,
				      lag_does_not_matter,
				      overrun_is_a_gap,
				      goes_on_after_a_restart,
				      sink_may_refuse,
				      ends_at_catalog_and_minute,
				      keeps_events_and_clocks,
				      a_clock_that_is_set_ends_a_block,
				      damaged_frames_are_gaps,
				      changes_are_bounded,
				      attributes_are_of_their_instance,
				      brief_instances_are_small,
				      every_flipped_bit_is_seen};

	return support_run("seal", tests, sizeof(tests) / sizeof(*tests));
}
