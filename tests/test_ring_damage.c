/* The ring damaged: flipped bits, cut files, junk. RING_LONG=1: every bit. */
#include "ring_test.h"

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
	uint64_t step = lab_long_form() ? 1 : 509, n = 0, n_all = 0, rnd = 4;
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
		for (unsigned bit = at % 7; bit < 8 * 200; bit += lab_long_form() ? 1 : 19) {
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
	for (unsigned i = 0; i < (lab_long_form() ? 20000u : 400u); i++) {
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

int main(void)
{
	const TTest *const tests[] = {
		flipped_bit_gives_right_values_or_a_flagged_omission,
		flipped_bit_of_a_header_gives_right_values_or_a_flagged_omission,
		file_cut_anywhere_gives_right_values_and_says_so,
		junk_in_many_places_never_gives_a_wrong_value,
	};

	return lab_run("ring_damage", tests, sizeof(tests) / sizeof(*tests));
}
