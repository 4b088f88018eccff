/* What the program in the kernel says of waits, and how long they must be: without the kernel. */
#include "support.h"

#include "profile/profiler_private.h"

START_TEST(what_a_program_says_is_read)
{
	static const struct record_format with_raw = {
		.callchain = true, .raw = true, .regs_user = true, .n_regs = 1};
	const struct offcpu_wait said = {1000, 5000000, 7000, 0};
	uint64_t body[16] = {1, 0xffff, 0}, regs[2] = {PERF_SAMPLE_REGS_ABI_64, 77};
	uint32_t len = sizeof(said) + 4; /* padded, so that with its length it is of whole words */
	struct record rec = {.body = (uint8_t *)body};
	struct record_sample s;
	struct offcpu_wait w;
	uint8_t *at = (uint8_t *)(body + 2);

	memcpy(at, &len, sizeof(len));
	memcpy(at + sizeof(len), &said, sizeof(said));
	at += sizeof(len) + len;
	memcpy(at, regs, sizeof(regs));
	rec.body_end = at + sizeof(regs);
	ck_assert_int_eq(record_read_sample(&rec, &with_raw, &s), 0);
	ck_assert_uint_eq(s.n_ips, 1);
	ck_assert_uint_eq(s.raw_len, len);
	ck_assert_uint_eq(s.regs[0], 77);
	ck_assert_int_eq(offcpu_ebpf_read(s.raw, s.raw_len, &w), 0);
	ck_assert_uint_eq(w.since_ns, 1000);
	ck_assert_uint_eq(w.until_ns, 5000000);
	ck_assert_uint_eq(w.queued_ns, 7000);
	ck_assert_int_eq(offcpu_ebpf_read(s.raw, sizeof(w) - 1, &w), -EBADMSG);
	for (rec.body_end--; rec.body_end > rec.body; rec.body_end--)
		ck_assert_int_eq(record_read_sample(&rec, &with_raw, &s), -EBADMSG);
	len++; /* what follows would lie askew */
	memcpy(body + 2, &len, sizeof(len));
	rec.body_end = (uint8_t *)(body + 16);
	ck_assert_int_eq(record_read_sample(&rec, &with_raw, &s), -EBADMSG);
}
END_TEST

START_TEST(a_wait_is_no_longer_than_it_is)
{
	struct offcpu_wait w, back = {5000, 4000, 0, 0}, run = {1000, 9000, 0, 1},
			      odd = {1000, 9000, 8001, 0};

	ck_assert_int_eq(offcpu_ebpf_read(&back, sizeof(back), &w), -EBADMSG);
	ck_assert_int_eq(offcpu_ebpf_read(&run, sizeof(run), &w), 0);
	ck_assert_uint_eq(w.queued_ns, 8000); /* it could run all the time */
	ck_assert_int_eq(offcpu_ebpf_read(&odd, sizeof(odd), &w), 0);
	ck_assert_uint_eq(w.queued_ns, 0);
}
END_TEST

START_TEST(waits_must_be_longer_while_there_are_many)
{
	ck_assert_uint_eq(offcpu_min_us(1000, 1000, 3000, 2), 1000);
	ck_assert_uint_eq(offcpu_min_us(1000, 1000, 3001, 2), 2000);
	ck_assert_uint_eq(offcpu_min_us(1000, 1000, 12000, 8), 1000); /* 1500 a CPU */
	ck_assert_uint_eq(offcpu_min_us(1000, 1000, 20000, 1024), 2000);
	ck_assert_uint_eq(offcpu_min_us(0, 0, 5000, 2), 1); /* from nothing, too */
	ck_assert_uint_eq(offcpu_min_us(1000000, 1000, 1000000, 2), 1000000);
	ck_assert_uint_eq(offcpu_min_us(8000, 1000, 1500, 2), 8000); /* no to and fro */
	ck_assert_uint_eq(offcpu_min_us(8000, 1000, 1499, 2), 4000);
	ck_assert_uint_eq(offcpu_min_us(1024, 1000, 0, 2), 1000);
	ck_assert_uint_eq(offcpu_min_us(1000, 1000, 0, 2), 1000);
}
END_TEST

int main(void)
{
	Suite *s = suite_create("offcpu_records");
	TCase *t = tcase_create("made");
	SRunner *r = srunner_create(s);
	int failed;

	tcase_add_test(t, what_a_program_says_is_read);
	tcase_add_test(t, a_wait_is_no_longer_than_it_is);
	tcase_add_test(t, waits_must_be_longer_while_there_are_many);
	suite_add_tcase(s, t);
	srunner_run_all(r, CK_ENV);
	failed = srunner_ntests_failed(r);
	srunner_free(r);
	return failed ? 1 : 0;
}
