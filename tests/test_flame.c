/* Where strobe flame has its stacks from: captures with profiles of one boot and of two, damaged ones. */
#include "support.h"

#include "cmd/flame_load.h"
#include "serve/capture_meta.h"
#include "stacks/epoch.h"
#include "store/capture.h"

static char dir[64], path[128];

static int write_fd(void *arg, const void *data, size_t len)
{
	return write(*(int *)arg, data, len) == (ssize_t)len ? 0 : -EIO;
}

static struct stacks *make(const char *boot, int64_t from_us, int64_t real_off_us, unsigned n)
{
	struct stacks *s = stacks_new();
	struct stacks_frame f = {.type = STACKS_USER};
	struct stacks_sample p = {.weight_us = 10000};

	snprintf(s->boot_id, sizeof(s->boot_id), "%s", boot);
	s->from_us = from_us;
	s->to_us = from_us + 1000000;
	s->real_off_us = real_off_us;
	s->hz = 100;
	f.name = stacks_string(s, "main", 4);
	p.node = stacks_node(s, 0, stacks_frame(s, &f));
	for (unsigned i = 0; i < n; i++) {
		p.at_us = from_us + 10000 * i;
		ck_assert_int_eq(stacks_add(s, &p), 0);
	}
	return s;
}

static void put(struct capture_writer *w, struct stacks *s)
{
	uint8_t *data;
	size_t len;

	ck_assert_int_eq(epoch_encode(s, &data, &len), 0);
	ck_assert_int_eq(capture_section(w, CAPTURE_PROFILE, data, len), 0);
	free(data);
	stacks_free(s);
}

/* META, then what fill() writes. */
static void make_capture(void (*fill)(struct capture_writer *))
{
	const struct capture_meta meta = {.host = "box", .rate_hz = 10};
	struct capture_writer w = {.write = write_fd};
	struct buf text = {0};
	int fd;

	snprintf(path, sizeof(path), "%s/x.strobe", dir);
	fd = open(path, O_WRONLY | O_CREAT | O_TRUNC, 0600);
	w.arg = &fd;
	ck_assert_int_eq(capture_begin(&w), 0);
	capture_meta_put(&text, &meta);
	ck_assert_int_eq(capture_section(&w, CAPTURE_META, text.p, text.len), 0);
	buf_done(&text);
	fill(&w);
	ck_assert_int_eq(capture_end(&w), 0);
	close(fd);
}

static void put_two(struct capture_writer *w)
{
	put(w, make("b", 2000000, 1000000000, 30)); /* in any order */
	put(w, make("b", 1000000, 1000000000, 20));
}

static void put_boots(struct capture_writer *w)
{
	put(w, make("first", 90000000, 1000000000, 20));
	put(w, make("second", 5000000, 1095000000, 30)); /* 10 s later */
}

static void put_damaged(struct capture_writer *w)
{
	put(w, make("b", 1000000, 1000000000, 20));
	ck_assert_int_eq(capture_section(w, CAPTURE_PROFILE, "this is no epoch at all.....", 28),
			 0);
}

static void put_none(struct capture_writer *w)
{
	(void)w;
}

START_TEST(a_capture)
{
	struct flame_sets f;

	make_capture(put_two);
	ck_assert_int_eq(flame_load_file(&f, path, IMPORT_ANY, NULL), 0);
	ck_assert_uint_eq(f.n, 2);
	ck_assert_int_eq(f.from_us, 1000000);
	ck_assert_int_eq(f.to_us, 3000000);
	ck_assert_int_eq(f.real_off_us, 1000000000);
	ck_assert_uint_eq(f.sets[0]->n_samples, 20);
	ck_assert_str_eq(f.host, "box");
	ck_assert(f.has_time && f.kind == STACKS_CPU);
	flame_sets_done(&f);
}
END_TEST

/* An earlier boot lies where the wall clock puts it. */
START_TEST(a_capture_of_two_boots)
{
	struct flame_sets f;

	make_capture(put_boots);
	ck_assert_int_eq(flame_load_file(&f, path, IMPORT_ANY, NULL), 0);
	ck_assert_int_eq(f.real_off_us, 1095000000);
	ck_assert_int_eq(f.sets[0]->from_us, 90000000 + 1000000000 - 1095000000);
	ck_assert_int_eq(f.sets[0]->samples[0].at_us, f.sets[0]->from_us);
	ck_assert_int_eq(f.to_us - f.from_us, 11000000);
	flame_sets_done(&f);
}
END_TEST

START_TEST(damage_is_left_out)
{
	struct flame_sets f;

	make_capture(put_damaged);
	ck_assert_int_eq(flame_load_file(&f, path, IMPORT_ANY, NULL), 0);
	ck_assert_uint_eq(f.n, 1);
	flame_sets_done(&f);
	make_capture(put_none);
	ck_assert_int_eq(flame_load_file(&f, path, IMPORT_ANY, NULL), -ENODATA);
}
END_TEST

START_TEST(an_epoch_alone)
{
	struct stacks *s = make("b", 1000000, 7, 20);
	struct flame_sets f;
	uint8_t *data;
	size_t len;

	ck_assert_int_eq(epoch_encode(s, &data, &len), 0);
	support_write(dir, "x.epoch", data, len);
	snprintf(path, sizeof(path), "%s/x.epoch", dir);
	ck_assert_int_eq(flame_load_file(&f, path, IMPORT_ANY, NULL), 0);
	ck_assert_uint_eq(f.sets[0]->n_samples, 20);
	flame_sets_shift(&f, 500);
	ck_assert_int_eq(f.sets[0]->samples[0].at_us, 1000500);
	ck_assert_int_eq(f.from_us + f.real_off_us, 1000007);
	flame_sets_done(&f);
	for (size_t n = 17; n < len; n += 5) { /* cut short: refused, in words */
		support_write(dir, "x.epoch", data, n);
		ck_assert_int_lt(flame_load_file(&f, path, IMPORT_ANY, NULL), 0);
	}
	free(data);
	stacks_free(s);
}
END_TEST

static void make_dir(void)
{
	support_dir(dir);
}

static void remove_dir(void)
{
	support_rm(dir);
}

int main(void)
{
	TCase *t = tcase_create("flame");

	tcase_set_timeout(t, 60);
	tcase_add_unchecked_fixture(t, make_dir, remove_dir);
	tcase_add_test(t, a_capture);
	tcase_add_test(t, a_capture_of_two_boots);
	tcase_add_test(t, damage_is_left_out);
	tcase_add_test(t, an_epoch_alone);
	return support_run_case("flame", t);
}
