#include "base/crc32c.h"
#include "base/parse.h"
#include "base/varint.h"
#include "support.h"

static const struct metric two_metrics[] = {
	{"t.a", "count", 1, 1, "test", "A.", SEM_COUNTER, 0, NULL},
	{"t.b", "count", 1, 1, "test", "B.", SEM_INSTANT, 0, NULL},
};
static const char *const attr_keys[] = {"comm", "unit", NULL};
static const struct group named = {"t.named", "thing", two_metrics, 2, 0, 8, false, NULL};
static const struct group managed = {"t.managed", "thing", two_metrics, 2, 0, 8, true, attr_keys};
static const struct group singular = {"t.one", NULL, two_metrics, 2, 0, 1, false, NULL};

static int64_t *row(struct batch *b, const char *name)
{
	return batch_row_named(b, name, strlen(name));
}

START_TEST(named_instances_come_and_go)
{
	struct batch b;

	ck_assert_int_eq(batch_init(&b, &named, 0), 0);
	batch_begin(&b, 1);
	row(&b, "sda")[0] = 1;
	row(&b, "sdb")[0] = 2;
	batch_finish(&b);
	ck_assert_uint_eq(b.n_started, 2);
	batch_commit(&b);
	batch_begin(&b, 2);
	ck_assert_int_eq(row(&b, "sdb")[0], 2);
	batch_finish(&b);
	ck_assert_uint_eq(b.n_ended, 1);
	ck_assert_uint_eq(b.ended[0], 0);
	batch_commit(&b);
	ck_assert_uint_eq(b.n_live, 1);
	batch_begin(&b, 3);
	row(&b, "sdb");
	ck_assert_int_eq(row(&b, "sda")[0],
			 0); /* the same slot again, zeroed, another generation */
	batch_finish(&b);
	ck_assert_uint_eq(b.started[0], 0);
	ck_assert_uint_eq(b.inst[0].gen, 2);
	batch_commit(&b);
	batch_done(&b);
}
END_TEST

START_TEST(names_of_any_bytes_become_text_and_stay_the_same_instance)
{
	struct batch b;
	char cut[100];

	memset(cut, 'n', sizeof(cut));
	memcpy(cut + INSTANCE_NAME_MAX - 2, "\xc3\xa4", 2); /* would be cut in its middle */
	ck_assert_int_eq(batch_init(&b, &named, 0), 0);
	for (uint64_t tick = 1; tick < 4; tick++) {
		batch_begin(&b, tick);
		batch_row_named(&b, "e\xff\x1bth", 5)[0]++;
		batch_row_named(&b, "\xc3\xa4", 2)[0]++;
		batch_row_named(&b, cut, sizeof(cut))[0]++;
		batch_finish(&b);
		ck_assert_uint_eq(b.n_started, tick == 1 ? 3 : 0);
		batch_commit(&b);
	}
	ck_assert_str_eq(b.inst[0].name, "e??th");
	ck_assert_str_eq(b.inst[1].name, "\xc3\xa4");
	ck_assert_uint_eq(strlen(b.inst[2].name), INSTANCE_NAME_MAX - 2);
	ck_assert_int_eq(b.rows[0], 3);
	ck_assert_int_eq(b.rows[4], 3);
	batch_done(&b);
}
END_TEST

START_TEST(full_group_refuses_and_counts)
{
	struct batch b;
	char name[16];

	batch_init(&b, &named, 0);
	batch_begin(&b, 1);
	for (int i = 0; i < 10; i++) {
		snprintf(name, sizeof(name), "n%d", i);
		ck_assert_int_eq(!!row(&b, name), i < 8);
	}
	batch_finish(&b);
	batch_commit(&b);
	ck_assert_uint_eq(b.n_refused, 2);
	ck_assert_uint_eq(b.n_live, 8);
	batch_done(&b);
}
END_TEST

START_TEST(failed_pass_is_carried_over)
{
	struct batch b;

	batch_init(&b, &named, 0);
	batch_begin(&b, 1);
	row(&b, "a")[0] = 1; /* sample() failed after this: no finish, no commit */
	batch_begin(&b, 2);
	row(&b, "b")[0] = 2;
	batch_finish(&b);
	ck_assert_uint_eq(b.n_live, 1);
	ck_assert_uint_eq(b.n_started, 1);
	ck_assert_str_eq(b.inst[b.started[0]].name, "b");
	ck_assert_uint_eq(b.n_ended, 0);
	batch_commit(&b);
	batch_done(&b);
}
END_TEST

/* Random births and deaths against a plain model of who lives. */
START_TEST(churn_leaks_no_slot)
{
	struct batch b;
	uint64_t alive[8], next = 1;
	unsigned n = 0, seed = 7;

	batch_init(&b, &managed, 0);
	for (int i = 0; i < 200000; i++) {
		batch_begin(&b, (uint64_t)i);
		for (int k = rand_r(&seed) % 4; k > 0; k--) {
			if (n && rand_r(&seed) % 2) {
				unsigned v = (unsigned)rand_r(&seed) % n;
				int32_t slot = batch_find_id(&b, alive[v]);

				ck_assert_int_ge(slot, 0);
				batch_end(&b, (uint32_t)slot);
				alive[v] = alive[--n];
			} else if (n < 8) {
				int32_t slot = batch_start(&b, next, "p", 1);

				if (slot < 0)
					continue; /* freed slots are given away in a later pass */
				batch_attr(&b, (uint32_t)slot, 1, "x", 1);
				alive[n++] = next++;
			}
		}
		for (unsigned v = 0; v < n; v++)
			ck_assert_int_ge(batch_find_id(&b, alive[v]), 0);
		batch_finish(&b);
		ck_assert_uint_eq(b.n_live, n);
		ck_assert_uint_le(b.n_started, n);
		batch_commit(&b);
		ck_assert_uint_eq(b.n_free + b.n_live, b.n_slots);
	}
	ck_assert_uint_le(b.n_slots, 8);
	batch_done(&b);
}
END_TEST

START_TEST(attributes_are_clean_utf8)
{
	struct batch b;
	char big[600];

	batch_init(&b, &managed, 0);
	batch_begin(&b, 1);
	uint32_t s = (uint32_t)batch_start(&b, 1, "1", 1);

	batch_attr(&b, s, 0, "a\xff\x1b[2J\xc3\xa9", 8);
	ck_assert_str_eq(b.attrs[s * 2], "a??[2J\xc3\xa9");
	memset(big, 'x', sizeof(big));
	memcpy(big + 254, "\xe2\x82\xac", 3); /* would be cut in the middle */
	batch_attr(&b, s, 0, big, sizeof(big));
	ck_assert_uint_eq(strlen(b.attrs[s * 2]), 254);
	ck_assert_uint_eq(b.n_attr_dirty, 1);
	batch_commit(&b);
	batch_attr(&b, s, 0, big, sizeof(big));
	ck_assert_uint_eq(b.n_attr_dirty, 0);
	batch_done(&b);
}
END_TEST

START_TEST(restore_keeps_slots_and_generations)
{
	struct batch b;
	int64_t v[2] = {5, 6};

	batch_init(&b, &named, 0);
	ck_assert_int_eq(batch_restore(&b, 2, 4, 0, "sdc", true, v), 0);
	ck_assert_int_eq(batch_restore(&b, 0, 7, 0, "", false, NULL), 0);
	ck_assert_int_eq(batch_restore(&b, 2, 4, 0, "sdc", true, v), -EINVAL);
	ck_assert_int_eq(batch_restore(&b, 9, 1, 0, "x", true, v), -EINVAL);
	batch_begin(&b, 1);
	ck_assert_int_eq(row(&b, "sdc")[1], 6);
	row(&b, "x");
	row(&b, "y");
	batch_finish(&b);
	ck_assert_uint_eq(b.n_started, 2);
	ck_assert_uint_eq(b.inst[0].gen, 8);
	ck_assert_uint_eq(b.inst[1].gen, 1);
	batch_commit(&b);
	batch_done(&b);
	batch_init(&b, &singular, 0);
	batch_begin(&b, 1);
	batch_row(&b)[1] = 3;
	batch_finish(&b);
	ck_assert_uint_eq(b.n_started, 1);
	batch_done(&b);
}
END_TEST

START_TEST(numbers_and_checksums)
{
	const char *p = "  -42 18446744073709551615 0.5 12.345 3 zz";
	uint8_t buf[VARINT_MAX];
	int64_t v;
	uint64_t u;

	ck_assert(parse_i64(&p, &v) && v == -42);
	ck_assert(parse_i64(&p, &v) && (uint64_t)v == UINT64_MAX);
	ck_assert(parse_fixed(&p, 2, &v) && v == 50);
	ck_assert(parse_fixed(&p, 2, &v) && v == 1234);
	ck_assert(parse_fixed(&p, 2, &v) && v == 300);
	ck_assert(!parse_i64(&p, &v));
	for (int i = 0; i < 64; i++) {
		int64_t want = (int64_t)((uint64_t)1 << i) * (i % 2 ? -1 : 1);
		const uint8_t *q = buf, *end = varint_put_signed(buf, want);

		ck_assert(varint_get_signed(&q, end, &v) && v == want && q == end);
		q = buf;
		ck_assert(!varint_get(&q, end - 1, &u) && q == buf);
	}
	ck_assert_uint_eq(crc32c(0, "123456789", 9), 0xe3069283u);
	ck_assert_uint_eq(crc32c(crc32c(0, "1234", 4), "56789", 5), 0xe3069283u);
}
END_TEST

/* However it is cut up: short pieces go byte by byte, long ones in lanes. */
START_TEST(crc32c_of_any_length)
{
	static uint8_t data[20000];
	uint32_t bytewise = 7;

	for (size_t i = 0; i < sizeof(data); i++)
		data[i] = (uint8_t)(i * 2654435761u >> 13);
	for (size_t i = 0; i < sizeof(data); i++) {
		if (i % 97 == 0 || (i % 3072 < 9))
			ck_assert_uint_eq(crc32c(7, data, i), bytewise);
		bytewise = crc32c(bytewise, data + i, 1);
	}
	ck_assert_uint_eq(crc32c(crc32c(7, data, 6145), data + 6145, sizeof(data) - 6145),
			  bytewise);
}
END_TEST

START_TEST(kept_file_follows_a_file_that_grows)
{
	char dir[64], big[9000];
	struct host h;
	struct kept_file f;

	support_dir(dir);
	support_write(dir, "x", "one", 3);
	ck_assert_int_eq(host_open(&h, dir, NULL, NULL), 0);
	ck_assert_int_eq(kept_open(&f, &h, ROOT_PROC, "nothing"), -ENOENT);
	ck_assert_int_eq(kept_open(&f, &h, ROOT_PROC, "x"), 0);
	support_write(dir, "x", "three", 5);
	ck_assert_int_eq(kept_read(&f, 1), 0);
	ck_assert_str_eq(f.data, "three");
	support_write(dir, "x", "four", 4);
	ck_assert_int_eq(kept_read(&f, 1), 0);
	ck_assert_str_eq(f.data, "three"); /* the same tick: not read again */
	ck_assert_int_eq(kept_read(&f, 2), 0);
	ck_assert_str_eq(f.data, "four");
	memset(big, 'x', sizeof(big));
	support_write(dir, "x", big, sizeof(big));
	ck_assert_int_eq(kept_read(&f, 3), -EFBIG);
	kept_close(&f);
	host_close(&h);
	support_rm(dir);
}
END_TEST

int main(void)
{
	const TTest *const tests[] = {
		named_instances_come_and_go,
		names_of_any_bytes_become_text_and_stay_the_same_instance,
		full_group_refuses_and_counts,
		failed_pass_is_carried_over,
		churn_leaks_no_slot,
		attributes_are_clean_utf8,
		restore_keeps_slots_and_generations,
		numbers_and_checksums,
		crc32c_of_any_length,
		kept_file_follows_a_file_that_grows,
	};

	return support_run("base", tests, sizeof(tests) / sizeof(*tests));
}
