/* The ring on a device in memory: laps, catalogs, the journal. */
#include "ring_test.h"

/* ---- laps ---- */

START_TEST(what_is_written_is_read_over_many_laps)
{
	struct lab l = {.rnd = 1, .log_no = 1, .catalog_no = 1, .len_max = 30000};
	struct ring_stats st;
	struct lab_device d;
	enum lab_did did;

	lab_device_open(&d, SMALL, false);
	l.r = lab_open(&d, false);
	for (unsigned i = 0; i < 6000; i++) {
		ck_assert_int_eq(lab_step(&l, &did), 0);
		if (i % 50)
			continue;
		if (i % 100 == 0) {
			struct lab_found f;

			ring_close(l.r);
			l.r = lab_open(&d, false);
			f = lab_read(l.r, l.log_no, true);
			ck_assert_uint_eq(f.to > f.sealed ? f.to : f.sealed, l.frame);
			ck_assert(!f.n_frames || f.from <= f.sealed + 1);
			ck_assert(!f.n_frames || f.from % LAB_STRETCH == 1);
			ck_assert_uint_eq(f.last_tag, l.tag);
			ck_assert_uint_eq(f.sealed, l.sealed);
		} else {
			ck_assert_uint_eq(lab_read(l.r, l.log_no, true).last_tag, l.tag);
		}
	}
	ring_stats(l.r, &st);
	ck_assert_uint_gt(st.laps, 50);
	ck_assert_uint_gt(st.n_blocks, 4);
	ck_assert_uint_gt(st.used_bytes, st.size_bytes / 2);
	ck_assert_uint_le(st.used_bytes, st.size_bytes);
	ck_assert_int_eq(st.error, 0);
	ring_close(l.r);
	lab_device_free(&d);
}
END_TEST

START_TEST(block_wants_its_catalog_first_and_keeps_it_for_life)
{
	struct lab l = {.rnd = 5, .log_no = 1, .catalog_no = 3, .len_max = 9000};
	struct block_head h;
	struct lab_device d;
	uint8_t *data;

	lab_device_open(&d, SMALL, false);
	l.r = lab_open(&d, false);
	h = lab_head(&l, 9);
	data = lab_payload(1, &h, 1000);
	ck_assert_int_eq(ring_append(l.r, RING_BLOCK, data, 1000), -ENOENT);
	ck_assert_int_eq(ring_append(l.r, RING_ROLLUP, data, 1000), -ENOENT);
	ck_assert_int_eq(lab_catalog(l.r, 3), 0);
	ck_assert_int_eq(ring_append(l.r, RING_ROLLUP, data, 1000), 0);
	/* laps without a word about catalogs: it is copied in time */
	for (unsigned i = 0; i < 2000; i++) {
		h = lab_head(&l, ++l.frame);
		free(data);
		data = lab_payload(++l.tag, &h, sizeof(struct lab_block) + i * 37 % 9000);
		ck_assert_int_eq(ring_append(l.r, RING_BLOCK, data,
					     sizeof(struct lab_block) + i * 37 % 9000),
				 0);
		l.sealed = l.frame;
		if (i % 100 == 0)
			lab_read(l.r, 1, true);
	}
	free(data);
	ring_close(l.r);
	lab_device_free(&d);
}
END_TEST

/* Opaque but for its two times; the rest follows from them. */
static size_t profile_payload(uint64_t tag, uint8_t *to)
{
	int64_t times[2] = {(int64_t)tag * 1000 - 5000, (int64_t)tag * 1000 - 4000};
	size_t len = 16 + tag * 577 % 20000;

	lab_fill(to, len, tag);
	memcpy(to, times, sizeof(times));
	return len;
}

static unsigned check_profiles(struct ring *r, uint64_t newest)
{
	uint8_t *want = malloc(SMALL), *have = malloc(SMALL);
	struct ring_entry *list;
	size_t n;

	list = ring_list(r, &n);
	ck_assert_uint_gt(n, 3);
	for (size_t i = 0; i < n; i++) {
		uint64_t tag = newest - (n - 1 - i);
		size_t len = profile_payload(tag, want);

		ck_assert_int_eq(list[i].type, RING_PROFILE);
		ck_assert_uint_eq(list[i].len, len);
		ck_assert_int_eq(list[i].profile.from_us, (int64_t)tag * 1000 - 5000);
		ck_assert_int_eq(list[i].profile.to_us, (int64_t)tag * 1000 - 4000);
		ck_assert_int_eq(ring_read(r, &list[i], have), 0);
		ck_assert_mem_eq(have, want, len);
		memset(have, 0, 100);
		ck_assert_int_eq(ring_read_start(r, &list[i], have, 16), 0);
		ck_assert_mem_eq(have, want, 16);
		ck_assert_int_eq(have[16], 0);
	}
	free(list);
	free(want);
	free(have);
	return (unsigned)n;
}

START_TEST(profiles_are_kept_for_their_times_without_catalogs)
{
	uint8_t *data = malloc(SMALL);
	struct lab_device d;
	struct ring_stats st;
	struct ring *r;

	lab_device_open(&d, SMALL, false);
	r = lab_open(&d, false);
	ck_assert_int_eq(ring_append(r, RING_PROFILE, data, 15), -EBADMSG);
	for (uint64_t tag = 1; tag <= 500; tag++) {
		size_t len = profile_payload(tag, data);

		ck_assert_int_eq(ring_append(r, RING_PROFILE, data, len), 0);
		if (tag % 50)
			continue;
		check_profiles(r, tag);
		ring_close(r);
		r = lab_open(&d, false);
		check_profiles(r, tag);
	}
	ring_stats(r, &st);
	ck_assert_uint_gt(st.laps, 10);
	ck_assert_uint_eq(st.damaged, 0);
	ck_assert_uint_eq(r->n_catalogs, 0);
	ck_assert_int_eq(ring_append(r, RING_PROFILE, data, st.size_bytes / 4 + 1), -ENOSPC);
	free(data);
	ring_close(r);
	lab_device_free(&d);
}
END_TEST

START_TEST(what_does_not_fit_is_refused_and_changes_nothing)
{
	struct lab l = {.rnd = 5, .log_no = 1, .catalog_no = 3, .len_max = 9000};
	struct ring_stats before, after;
	struct lab_device d;
	struct block_head h;
	enum lab_did did;
	uint8_t *data;

	lab_device_open(&d, SMALL, false);
	l.r = lab_open(&d, false);
	for (unsigned i = 0; i < 300; i++)
		ck_assert_int_eq(lab_step(&l, &did), 0);
	ring_stats(l.r, &before);
	h = lab_head(&l, l.frame);
	data = lab_payload(1, &h, before.size_bytes / 4 + 1);
	ck_assert_int_eq(ring_append(l.r, RING_BLOCK, data, before.size_bytes / 4 + 1), -ENOSPC);
	ck_assert_int_eq(ring_append(l.r, RING_BLOCK, data, 0), -EBADMSG);
	ck_assert_int_eq(ring_append(l.r, RING_BLOCK, data + 1, 1000), -EBADMSG);
	ring_stats(l.r, &after);
	ck_assert_uint_eq(before.used_bytes, after.used_bytes);
	ck_assert_uint_eq(lab_read(l.r, 1, true).last_tag, l.tag);
	free(data);
	ring_close(l.r);
	lab_device_free(&d);
}
END_TEST

START_TEST(record_overwritten_since_it_was_listed_is_stale)
{
	struct lab l = {.rnd = 6, .log_no = 1, .catalog_no = 3, .len_max = 9000};
	struct ring_entry *list;
	struct ring *reader;
	struct lab_device d;
	enum lab_did did;
	uint8_t *buf = malloc(SMALL);
	unsigned stale = 0;
	size_t n;

	lab_device_open(&d, SMALL, false);
	l.r = lab_open(&d, false);
	for (unsigned i = 0; i < 300; i++)
		ck_assert_int_eq(lab_step(&l, &did), 0);
	list = ring_list(l.r, &n);
	ck_assert_uint_gt(n, 5);
	reader = lab_open(&d, true); /* beside it, as another process would */
	lab_read(reader, 1, true);
	for (unsigned i = 0; i < 20; i++)
		ck_assert_int_eq(lab_step(&l, &did), 0);
	for (size_t i = 0; i < n; i++) {
		int e = ring_read(l.r, &list[i], buf);

		ck_assert(e == 0 || (e == -ESTALE && stale == i));
		stale += e < 0;
		if (e == 0 && list[i].type == RING_BLOCK)
			lab_check_payload(buf, &list[i]);
		e = ring_read(reader, &list[i], buf);
		ck_assert(e == 0 || e == -ESTALE || e == -EBADMSG);
		if (e == 0 && list[i].type == RING_BLOCK)
			lab_check_payload(buf, &list[i]);
	}
	ck_assert_uint_gt(stale, 0);
	ck_assert_int_eq(ring_sync(reader), -EROFS);
	ck_assert_int_eq(lab_catalog(reader, 1), -EROFS);
	ring_close(reader);
	free(list);
	free(buf);
	ring_close(l.r);
	lab_device_free(&d);
}
END_TEST

/* ---- the journal ---- */

START_TEST(full_journal_says_so_until_a_block_takes_its_frames)
{
	struct lab l = {.rnd = 7, .log_no = 1, .catalog_no = 1, .len_max = 3000};
	struct ring_stats st;
	struct lab_device d;
	int r = 0;

	lab_device_open(&d, SMALL, false);
	l.r = lab_open(&d, false);
	for (unsigned round = 0; round < 40; round++) {
		for (unsigned i = 0; i < 1000 && r == 0; i++)
			r = lab_journal(&l);
		ck_assert_int_eq(r, -ENOSPC);
		ring_stats(l.r, &st);
		ck_assert_int_eq(st.error, 0);
		ck_assert_uint_gt(st.journal_bytes, st.journal_size_bytes - 2 * LAB_FRAME_MAX);
		r = lab_seal(&l, l.frame);
		ck_assert_int_eq(r, 0);
		ring_stats(l.r, &st);
		ck_assert_uint_lt(st.journal_bytes, LAB_STRETCH * (LAB_FRAME_MAX + 48));
	}
	ring_close(l.r);
	lab_device_free(&d);
}
END_TEST

START_TEST(forgotten_log_stays_forgotten)
{
	struct lab l = {.rnd = 8, .log_no = 1, .catalog_no = 1, .len_max = 3000};
	uint8_t id[LOG_ID_LEN];
	struct lab_device d;
	struct lab_found f;

	lab_device_open(&d, SMALL, false);
	l.r = lab_open(&d, false);
	for (unsigned i = 0; i < 20; i++)
		ck_assert_int_eq(lab_journal(&l), 0);
	l.log_no = 2;
	l.frame = l.sealed = 0;
	for (unsigned i = 0; i < 10; i++)
		ck_assert_int_eq(lab_journal(&l), 0);
	ring_close(l.r);
	l.r = lab_open(&d, false);
	f = lab_read(l.r, 2, true);
	ck_assert_uint_eq(f.n_other, 20);
	ck_assert_uint_eq(f.n_frames, 10);
	lab_log_id(1, id);
	ck_assert_int_eq(ring_journal_forget(l.r, id), 0);
	f = lab_read(l.r, 2, true);
	ck_assert_uint_eq(f.n_other, 0);
	ck_assert_uint_eq(f.n_frames, 10);
	l.r->read_only = true; /* dies now: closing writes nothing */
	ring_close(l.r);
	for (unsigned bad = 0; bad < 2; bad++) { /* and either superblock is lost */
		uint8_t *keep = malloc(d.size);

		memcpy(keep, d.now, d.size);
		d.now[bad * RING_UNIT + 20] ^= 1;
		l.r = lab_open(&d, true);
		f = lab_read(l.r, 2, true);
		ck_assert_uint_eq(f.n_other, 0);
		ck_assert_uint_eq(f.n_frames, 10);
		ring_close(l.r);
		memcpy(d.now, keep, d.size);
		free(keep);
	}
	l.r = lab_open(&d, false);
	lab_log_id(2, id);
	ck_assert_int_eq(ring_journal_forget(l.r, id), 0);
	ck_assert_uint_eq(lab_read(l.r, 2, true).n_frames, 0);
	l.frame = 0;
	l.log_no = 3;
	ck_assert_int_eq(lab_journal(&l), 0);
	ring_close(l.r);
	l.r = lab_open(&d, true);
	ck_assert_uint_eq(lab_read(l.r, 3, true).n_frames, 1);
	ring_close(l.r);
	lab_device_free(&d);
}
END_TEST

START_TEST(frames_written_again_after_a_restart_are_told_once)
{
	struct lab l = {.rnd = 8, .log_no = 1, .catalog_no = 1, .len_max = 3000};
	uint64_t last = 0;
	struct lab_device d;
	struct lab_found f;

	lab_device_open(&d, 4 * SMALL, false);
	l.r = lab_open(&d, false);
	while (l.frame < 40)
		ck_assert_int_eq(lab_journal(&l), 0);
	ck_assert_int_eq(lab_seal(&l, 30), 0);
	for (unsigned i = 0; i < 6; i++) {
		ring_close(l.r);
		l.r = lab_open(&d, false);
		last = l.frame > last ? l.frame : last;
		f = lab_read(l.r, 1, true); /* which wants the numbers to rise by one */
		ck_assert_uint_eq(f.from, LAB_STRETCH + 1);
		ck_assert_uint_eq(f.to, last);
		l.frame = LAB_STRETCH; /* the log still has it all */
		while (l.frame < (i % 2 ? 28 : 39 + i))
			ck_assert_int_eq(lab_journal(&l), 0);
	}
	while (l.frame < 60)
		ck_assert_int_eq(lab_journal(&l), 0);
	ck_assert_int_eq(lab_seal(&l, 60), 0); /* and forgotten as ever */
	ring_close(l.r);
	l.r = lab_open(&d, true);
	f = lab_read(l.r, 1, true);
	ck_assert_uint_eq(f.from, 2 * LAB_STRETCH + 1);
	ck_assert_uint_eq(f.to, 60);
	ring_close(l.r);
	lab_device_free(&d);
}
END_TEST

int main(void)
{
	const TTest *const tests[] = {
		what_is_written_is_read_over_many_laps,
		block_wants_its_catalog_first_and_keeps_it_for_life,
		profiles_are_kept_for_their_times_without_catalogs,
		what_does_not_fit_is_refused_and_changes_nothing,
		record_overwritten_since_it_was_listed_is_stale,
		full_journal_says_so_until_a_block_takes_its_frames,
		forgotten_log_stays_forgotten,
		frames_written_again_after_a_restart_are_told_once,
	};

	return lab_run("ring", tests, sizeof(tests) / sizeof(*tests));
}
