/* The ring on a device in memory: laps, reopening, damage, loss of power. Long forms: RING_LONG=1. */
#include "ring_lab.h"
#include "support.h"

enum { SMALL = 192 << 10 };

static bool long_form(void)
{
	const char *v = getenv("RING_LONG");

	return v && *v == '1';
}

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

/* ---- damage ---- */

/* What a sound ring holds, by seq. */
struct truth {
	struct lab_device d;
	struct lab_found f;
	uint64_t n_records;
};

static void make_truth(struct truth *t, uint64_t size, unsigned steps)
{
	struct lab l = {.rnd = 9, .log_no = 1, .catalog_no = 1, .len_max = 30000};
	enum lab_did did;
	size_t n;

	lab_device_open(&t->d, size, false);
	l.r = lab_open(&t->d, false);
	for (unsigned i = 0; i < steps; i++)
		ck_assert_int_eq(lab_step(&l, &did), 0);
	ring_close(l.r);
	l.r = lab_open(&t->d, true);
	t->f = lab_read(l.r, 1, true);
	free(ring_list(l.r, &n));
	t->n_records = n;
	ring_close(l.r);
	ck_assert_uint_gt(t->f.n_frames, 3);
	ck_assert_uint_gt(t->f.n, 3);
}

/* Opens a damaged copy: what is there is right, and what is not is flagged. True: all is there. */
static bool check_damaged(const struct truth *t, struct lab_device *d, bool read_only)
{
	struct ring_io io = lab_io(d);
	struct ring *r = NULL;
	struct ring_stats st;
	struct lab_found f;
	char err[200];
	size_t n;
	int e = ring_open_io(&r, &io, read_only, err, sizeof(err));
	bool all;

	ck_assert(e == 0 || (e == -EBADMSG && err[0]));
	if (e < 0)
		return false;
	f = lab_read(r, 1, false);
	free(ring_list(r, &n));
	ring_stats(r, &st);
	all = n == t->n_records && f.n_frames == t->f.n_frames && f.to == t->f.to &&
	      f.from == t->f.from;
	/* frames sealed already may come back when the record that said so is lost */
	if (st.damaged == 0 && !all)
		ck_abort_msg("%zu of %zu records, %zu of %zu frames, and no word", n,
			     (size_t)t->n_records, (size_t)f.n_frames, (size_t)t->f.n_frames);
	if (!read_only) { /* and life goes on */
		struct lab l = {.r = r, .rnd = 3, .log_no = 2, .catalog_no = 1, .len_max = 9000};

		l.tag = t->f.last_tag;
		for (unsigned i = 0; i < 8; i++)
			ck_assert_int_eq(lab_journal(&l), 0);
		ck_assert_int_eq(lab_seal(&l, 5), 0);
		l.r->read_only = true;
		ring_close(r);
		l.r = lab_open(d, true);
		f = lab_read(l.r, 2, false);
		ck_assert_uint_eq(f.last_tag, t->f.last_tag + 1);
		ck_assert_uint_eq(f.n_frames, 8);
		r = l.r;
	}
	ring_close(r);
	return all;
}

START_TEST(flipped_bit_gives_right_values_or_a_flagged_omission)
{
	uint64_t step = long_form() ? 1 : 509, n = 0, n_all = 0, rnd = 4;
	struct lab_device d;
	struct truth t;

	make_truth(&t, SMALL, 260);
	d = t.d;
	d.now = malloc(d.size);
	ck_assert_ptr_nonnull(d.now);
	for (uint64_t bit = feeder_random(&rnd) % step; bit < d.size * 8; bit += step, n++) {
		memcpy(d.now, t.d.now, d.size);
		d.now[bit / 8] ^= (uint8_t)(1 << bit % 8);
		n_all += check_damaged(&t, &d, n % 4 != 0);
	}
	ck_assert_uint_lt(n_all, n);
	ck_assert_uint_gt(n_all, n / 20); /* what no record and no frame covers */
	fprintf(stderr, "flips: %zu, of them %zu cost nothing\n", (size_t)n, (size_t)n_all);
	free(d.now);
	lab_device_free(&t.d);
}
END_TEST

START_TEST(flipped_bit_of_a_header_gives_right_values_or_a_flagged_omission)
{
	struct lab_device d;
	struct truth t;

	make_truth(&t, SMALL, 260);
	d = t.d;
	d.now = malloc(d.size);
	for (uint64_t at = 0; at < d.size; at += RING_UNIT)
		for (unsigned bit = at % 7; bit < 8 * 200; bit += long_form() ? 1 : 19) {
			memcpy(d.now, t.d.now, d.size);
			d.now[at + bit / 8] ^= (uint8_t)(1 << bit % 8);
			check_damaged(&t, &d, bit % 2);
		}
	free(d.now);
	lab_device_free(&t.d);
}
END_TEST

START_TEST(file_cut_anywhere_gives_right_values_and_says_so)
{
	struct lab_device d;
	struct truth t;

	make_truth(&t, SMALL, 260);
	d = t.d;
	d.now = malloc(d.size);
	for (uint64_t at = 0; at < t.d.size; at += 512) {
		struct ring_io io = lab_io(&d);
		struct ring *r = NULL;
		struct ring_stats st;
		char err[200];
		int e;

		memcpy(d.now, t.d.now, at);
		d.size = at;
		e = ring_open_io(&r, &io, true, err, sizeof(err));
		ck_assert_int_eq(e, at < RING_SUPER_SIZE ? -EBADMSG : 0);
		if (e == 0) {
			lab_read(r, 1, false);
			ring_stats(r, &st);
			ck_assert_uint_gt(st.damaged, 0);
			ck_assert_ptr_nonnull(strstr(err, "damaged"));
			ring_close(r);
		}
	}
	free(d.now);
	lab_device_free(&t.d);
}
END_TEST

START_TEST(junk_in_many_places_never_gives_a_wrong_value)
{
	struct lab_device d;
	struct truth t;
	uint64_t rnd = 12;

	make_truth(&t, SMALL, 260);
	d = t.d;
	d.now = malloc(d.size);
	for (unsigned i = 0; i < (long_form() ? 20000u : 400u); i++) {
		memcpy(d.now, t.d.now, d.size);
		for (uint64_t k = 1 + feeder_random(&rnd) % 6; k; k--) {
			uint64_t at = feeder_random(&rnd) % (d.size / 512) * 512;
			uint64_t from = feeder_random(&rnd) % (d.size / 512) * 512;
			uint64_t len = feeder_random(&rnd) % 2 ? 512 : 4096;

			if (at < 2 * RING_UNIT || at + len > d.size || from + len > d.size)
				continue;
			if (feeder_random(&rnd) % 2) /* a write that went to the wrong place */
				memmove(d.now + at, t.d.now + from, len);
			else
				memset(d.now + at, 0, len);
		}
		check_damaged(&t, &d, i % 4 != 0);
	}
	free(d.now);
	lab_device_free(&t.d);
}
END_TEST

/* ---- a device that fails ---- */

/* After death: all that was acknowledged, and at most one block and frame more, tried last. */
static void assert_whole(struct lab *l, struct lab_device *d, unsigned tried)
{
	struct lab_found f;
	uint64_t reach;

	l->r->read_only = true; /* dies: closing writes nothing */
	ring_close(l->r);
	l->r = lab_open(d, false);
	f = lab_read(l->r, l->log_no, true);
	reach = f.to > f.sealed ? f.to : f.sealed;
	ck_assert_uint_ge(f.last_tag, l->tag);
	ck_assert_uint_le(f.last_tag, l->tag + (tried >> LAB_BLOCK & 1));
	ck_assert_uint_ge(f.sealed, l->sealed);
	ck_assert_uint_ge(reach, l->frame);
	ck_assert_uint_le(reach, l->frame + (tried >> LAB_FRAME & 1));
	l->tag = f.last_tag;
	l->sealed = f.sealed;
	l->frame = reach;
}

START_TEST(failing_writes_are_reported_and_spoil_nothing)
{
	struct lab l = {.rnd = 10, .log_no = 1, .catalog_no = 1, .len_max = 20000};
	uint64_t rnd = 77, n_failed = 0;
	unsigned tried = 0; /* and not acknowledged, of each kind */
	struct ring_stats st;
	struct lab_device d;
	enum lab_did did;

	lab_device_open(&d, SMALL, false);
	l.r = lab_open(&d, false);
	for (unsigned i = 0; i < 8000; i++) {
		int r;

		d.error = i % 2 ? -EIO : -ENOSPC;
		d.partial = feeder_random(&rnd) % 2 ? UINT32_MAX : feeder_random(&rnd) % 20000;
		d.ops_left = feeder_random(&rnd) % 6 ? UINT64_MAX : feeder_random(&rnd) % 5;
		r = lab_step(&l, &did);
		d.ops_left = UINT64_MAX;
		ring_stats(l.r, &st);
		ck_assert_int_eq(st.error, r);
		n_failed += r < 0;
		tried = r < 0 ? tried | 1u << did | 1u << LAB_FRAME : tried & ~(1u << did);
		if (i % 40 == 0)
			lab_read(l.r, 1, false);
		if (i % 40 == 5) /* whatever came just before */
			assert_whole(&l, &d, tried);
	}
	ck_assert_uint_gt(n_failed, 200);
	ring_close(l.r);
	lab_device_free(&d);
}
END_TEST

START_TEST(death_at_any_write_leaves_nothing_damaged)
{
	struct lab l = {.rnd = 11, .log_no = 1, .catalog_no = 1, .len_max = 30000};
	struct lab_device d;
	enum lab_did did;
	uint64_t rnd = 5;

	lab_device_open(&d, SMALL, false);
	l.r = lab_open(&d, false);
	for (unsigned i = 0; i < 3000; i++) {
		d.ops_left = feeder_random(&rnd) % 60;
		d.partial = feeder_random(&rnd) % 30000;
		while (lab_step(&l, &did) >= 0)
			;
		d.ops_left = UINT64_MAX;
		assert_whole(&l, &d, 1u << did);
	}
	ck_assert_uint_gt(l.tag, 3000);
	ring_close(l.r);
	lab_device_free(&d);
}
END_TEST

/* ---- loss of power ---- */

struct power {
	struct lab_device d;
	struct lab l;
	uint64_t rnd;
	uint64_t synced_frame, synced_tag, oldest_tag; /* at the last sync; held when power went */
	uint64_t n_lost_nothing, n_lost_some;
};

static uint64_t oldest_tag(struct ring *r)
{
	size_t n;
	struct ring_entry *list = ring_list(r, &n);
	uint64_t tag = 0;

	for (size_t i = 0; i < n && !tag; i++)
		if (list[i].type == RING_BLOCK)
			tag = list[i].block.n_samples; /* the tag, here */
	free(list);
	return tag;
}

static void note_synced(struct power *p)
{
	p->synced_frame = p->l.frame;
	p->synced_tag = p->l.tag;
}

/* Works until power goes in the middle of something. */
static void work(struct power *p)
{
	enum lab_did did;
	uint64_t syncs;

	p->d.ops_left = feeder_random(&p->rnd) % 400;
	for (;;) {
		uint64_t frame = p->l.frame, tag = p->l.tag;
		int r;

		syncs = p->d.n_syncs;
		r = lab_step(&p->l, &did);
		if (r < 0)
			break;
		if (p->d.n_syncs == syncs)
			continue;
		p->synced_frame = did == LAB_SYNC ? p->l.frame : frame;
		p->synced_tag = did == LAB_SYNC ? p->l.tag : tag;
	}
}

static void check_after_crash(struct power *p, uint64_t oldest_held)
{
	struct lab_found f = lab_read(p->l.r, p->l.log_no, false);
	uint64_t reach = f.sealed;

	/* every block that was synced and not evicted */
	if (p->synced_tag && p->synced_tag >= oldest_held) {
		ck_assert_uint_ge(f.last_tag, p->synced_tag);
		ck_assert_uint_le(f.first_tag,
				  oldest_held > p->synced_tag ? p->synced_tag : oldest_held);
	}
	/* every frame that was synced: in a block, or in the journal without a hole before it */
	if (f.n_frames && f.from <= reach + 1)
		for (reach = f.from; !f.n_holes && reach < f.to; reach++)
			;
	if (f.n_holes)
		return; /* looked at by check_frames() */
	ck_assert_uint_ge(reach > f.sealed ? reach : f.sealed, p->synced_frame);
	p->n_lost_nothing += reach >= p->l.frame;
	p->n_lost_some += reach < p->l.frame;
}

struct frames_seen {
	uint64_t log_no, next;
};

static int see_frame(void *arg, const uint8_t log_id[LOG_ID_LEN], const struct frame *f)
{
	struct frames_seen *s = arg;
	uint8_t id[LOG_ID_LEN];

	lab_log_id(s->log_no, id);
	if (memcmp(id, log_id, LOG_ID_LEN) == 0 && f->seq == s->next)
		s->next++;
	return 0;
}

/* The same for the journal that has holes behind what was synced. */
static void check_frames(struct power *p)
{
	struct lab_found f = lab_read(p->l.r, p->l.log_no, false);
	struct frames_seen s = {.log_no = p->l.log_no, .next = f.sealed + 1};

	ck_assert_int_eq(ring_journal_each(p->l.r, see_frame, &s), 0);
	ck_assert_uint_gt(s.next, p->synced_frame);
}

/* As the agent does it: what is left of the old log becomes a block or is given up; then a new one. */
static void take_up(struct power *p)
{
	struct lab_found f = lab_read(p->l.r, p->l.log_no, false);
	uint8_t id[LOG_ID_LEN];

	p->l.tag = f.last_tag; /* what was lost is not there to be counted on */
	p->l.sealed = f.sealed;
	if (f.to > f.sealed && feeder_random(&p->rnd) % 2) {
		ck_assert_int_eq(lab_seal(&p->l, f.to), 0);
	} else {
		lab_log_id(p->l.log_no, id);
		ck_assert_int_eq(ring_journal_forget(p->l.r, id), 0);
	}
	p->l.log_no++;
	p->l.frame = p->l.sealed = 0;
	ck_assert_int_eq(ring_sync(p->l.r), 0);
	note_synced(p);
}

START_TEST(loss_of_power_takes_nothing_that_was_synced)
{
	unsigned runs = long_form() ? 4000 : 250;
	struct power p = {.rnd = 42};

	for (unsigned run = 0; run < runs; run++) {
		p.l = (struct lab){.log_no = 1, .catalog_no = 1, .rnd = run};
		p.l.len_max = run % 3 ? 15000 : 2000;
		if (run % 4 > 1) { /* the journal goes round before a block comes */
			p.l.blocks = 6;
			p.l.syncs = run % 8 > 4 ? 2 : 40;
		}
		lab_device_open(&p.d, run % 2 ? 96 << 10 : SMALL, true);
		p.l.r = lab_open(&p.d, false);
		ck_assert_int_eq(ring_sync(p.l.r), 0);
		note_synced(&p);
		for (unsigned crash = 0; crash < 8; crash++) {
			uint64_t held;

			work(&p);
			held = oldest_tag(p.l.r);
			p.l.r->read_only = true;
			ring_close(p.l.r);
			lab_device_crash(&p.d, &p.rnd);
			if (crash % 3 == 2) { /* and again, while it is opened */
				struct ring_io io = lab_io(&p.d);
				char err[200];

				p.d.ops_left = feeder_random(&p.rnd) % 3;
				if (ring_open_io(&p.l.r, &io, false, err, sizeof(err)) == 0) {
					p.l.r->read_only = true;
					ring_close(p.l.r);
				}
				lab_device_crash(&p.d, &p.rnd);
			}
			p.l.r = lab_open(&p.d, false);
			check_after_crash(&p, held);
			check_frames(&p);
			take_up(&p);
		}
		ring_close(p.l.r);
		lab_device_free(&p.d);
	}
	fprintf(stderr, "power: %u crashes, %zu lost nothing, %zu what was not synced\n", runs * 8,
		(size_t)p.n_lost_nothing, (size_t)p.n_lost_some);
	ck_assert_uint_gt(p.n_lost_some, runs);
	ck_assert_uint_gt(p.n_lost_nothing, runs / 4);
}
END_TEST

/* ---- a record that came only half ---- */

static int append_tag(struct lab *l, size_t len)
{
	struct block_head h = lab_head(l, l->sealed + 1);
	uint8_t *data = lab_payload(l->tag + 1, &h, len);
	int r = ring_append(l->r, RING_BLOCK, data, len);

	free(data);
	if (r == 0) {
		l->tag++;
		l->sealed++;
	}
	return r;
}

/* So that the next large record goes to the start, and a small one still fits before the end. */
static void fill_to_the_end(struct lab *l)
{
	enum { LARGE = 30000, ROOM = 5 * RING_UNIT };

	while (l->r->super.records_size - l->r->head > 2 * LARGE)
		ck_assert_int_eq(append_tag(l, LARGE), 0);
	while (l->r->super.records_size - l->r->head > ROOM)
		ck_assert_int_eq(append_tag(l, 1000), 0);
	ck_assert_int_eq(ring_sync(l->r), 0);
}

static void die(struct lab *l, struct lab_device *d)
{
	l->r->read_only = true;
	ring_close(l->r);
	l->r = lab_open(d, false);
}

START_TEST(failed_record_is_never_found_beside_its_successor)
{
	for (unsigned way = 0; way < 2; way++) {
		struct lab l = {.log_no = 1, .catalog_no = 1};
		struct lab_device d;
		struct lab_found f;

		lab_device_open(&d, SMALL, true);
		l.r = lab_open(&d, false);
		ck_assert_int_eq(lab_catalog(l.r, 1), 0);
		fill_to_the_end(&l);
		if (way == 0) { /* its last write arrives and is said to have failed */
			d.ops_left = 2;
			d.partial = UINT32_MAX;
			l.sealed += 7;
			ck_assert_int_eq(append_tag(&l, 30000), -EIO);
			l.sealed -= 7;
			d.ops_left = UINT64_MAX;
		} else { /* power goes when its header is on the disk and its pages are not */
			uint64_t at = l.r->super.records_at;

			ck_assert_int_eq(append_tag(&l, 30000), 0);
			l.tag--;
			l.sealed--;
			lab_device_settle(&d, at, at + 512, d.n_writes);
			memcpy(d.now, d.durable, d.size);
			d.n_writes = d.kept_len = 0;
			die(&l, &d);
			ck_assert_uint_eq(l.r->stats.damaged, 1);
		}
		for (unsigned i = 0; i < 3; i++) {
			ck_assert_int_eq(append_tag(&l, 1000), 0);
			die(&l, &d);
			f = lab_read(l.r, 1, true);
			ck_assert_uint_eq(f.last_tag, l.tag);
			ck_assert_uint_eq(f.sealed, l.sealed);
			ck_assert_uint_gt(f.n, 2);
		}
		ring_close(l.r);
		lab_device_free(&d);
	}
}
END_TEST

int main(void)
{
	Suite *s = suite_create("ring");
	TCase *t = tcase_create("ring");
	SRunner *r;
	int failed;

	tcase_set_timeout(t, long_form() ? 3000 : 120);
	tcase_add_test(t, what_is_written_is_read_over_many_laps);
	tcase_add_test(t, block_wants_its_catalog_first_and_keeps_it_for_life);
	tcase_add_test(t, what_does_not_fit_is_refused_and_changes_nothing);
	tcase_add_test(t, record_overwritten_since_it_was_listed_is_stale);
	tcase_add_test(t, full_journal_says_so_until_a_block_takes_its_frames);
	tcase_add_test(t, forgotten_log_stays_forgotten);
	tcase_add_test(t, flipped_bit_gives_right_values_or_a_flagged_omission);
	tcase_add_test(t, flipped_bit_of_a_header_gives_right_values_or_a_flagged_omission);
	tcase_add_test(t, file_cut_anywhere_gives_right_values_and_says_so);
	tcase_add_test(t, junk_in_many_places_never_gives_a_wrong_value);
	tcase_add_test(t, failing_writes_are_reported_and_spoil_nothing);
	tcase_add_test(t, failed_record_is_never_found_beside_its_successor);
	tcase_add_test(t, death_at_any_write_leaves_nothing_damaged);
	tcase_add_test(t, loss_of_power_takes_nothing_that_was_synced);
	suite_add_tcase(s, t);
	r = srunner_create(s);
	srunner_run_all(r, CK_NORMAL);
	failed = srunner_ntests_failed(r);
	srunner_free(r);
	return failed ? 1 : 0;
}
