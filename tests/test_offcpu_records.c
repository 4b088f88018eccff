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

/* ---- from a record to stretches ---- */

static struct profiler p;
static struct host host;

static void lab_setup(void)
{
	ck_assert_int_eq(host_open(&host, NULL, NULL, NULL), 0);
	p = (struct profiler){
		.config = {.host = &host, .off_cpu_min_us = 1000}, .epoch = 1, .round = 1};
	p.kernel_frames = calloc(PROFILER_FRAMES_CACHED, sizeof(*p.kernel_frames));
	p.stacks_cached = calloc(PROFILER_STACKS_CACHED, sizeof(*p.stacks_cached));
	p.stacks = stacks_new();
	ck_assert_int_eq(tasks_open(&p.tasks, &host, 16), 0);
}

static void lab_teardown(void)
{
	tasks_close(p.tasks);
	stacks_free(p.stacks);
	free(p.kernel_frames);
	free(p.stacks_cached);
	host_close(&host);
}

/* A thread was away for blocked_us, then queued_us in the queue, and came back at end_us. */
static void away(int64_t end_us, int64_t blocked_us, int64_t queued_us)
{
	const struct profiler_id id = {.kind = EVENT_WAIT};
	const struct offcpu_wait said = {.since_ns =
						 (uint64_t)(end_us - blocked_us - queued_us) * 1000,
					 .until_ns = (uint64_t)end_us * 1000,
					 .queued_ns = (uint64_t)queued_us * 1000};
	uint64_t body[16] = {1, 0xffffffff81000000};
	uint32_t len = sizeof(said) + 4;
	struct record r = {.type = PERF_RECORD_SAMPLE,
			   .time_ns = (uint64_t)end_us * 1000,
			   .pid = 0x3ffffff0, /* there is none */
			   .tid = 0x3ffffff0,
			   .body = (uint8_t *)body};
	uint8_t *at = (uint8_t *)(body + 2);

	memcpy(at, &len, sizeof(len));
	memcpy(at + sizeof(len), &said, sizeof(said));
	r.body_end = at + sizeof(len) + len;
	p.stacks->n_samples = 0;
	profiler_off_wait(&p, &r, &id);
	ck_assert_uint_ge(p.stacks->n_samples, 1);
}

static enum stacks_class class_at(uint32_t i)
{
	return (enum stacks_class)(p.stacks->samples[i].flags >> 4);
}

START_TEST(what_was_waited_for_ends_where_the_queue_begins)
{
	static const int64_t queues_us[] = {0,	    500,     1000,    150000,  200000,	200001,
					    300000, 1700000, 4999999, 5000000, 5000001, 9000000};
	static const int64_t blocked[] = {0, 700, 2000, 250000, 3000000, 60000000};
	const int64_t end_us = 500000000;

	for (size_t i = 0; i < sizeof(queues_us) / sizeof(*queues_us); i++)
		for (size_t k = 0; k < sizeof(blocked) / sizeof(*blocked); k++) {
			int64_t q = queues_us[i], b = blocked[k], to_us = end_us;
			const struct stacks *s = p.stacks;

			if (q + b < 1000)
				continue; /* the program keeps none */
			away(end_us, b, q);
			/* One after the other, and together all of it. */
			for (uint32_t n = s->n_samples; n-- > 0;) {
				ck_assert_int_eq(s->samples[n].at_us, to_us);
				ck_assert_int_ge(s->samples[n].at_us, end_us - STACKS_OFF_LATE_US);
				to_us -= s->samples[n].weight_us;
			}
			ck_assert_int_eq(to_us, end_us - b - q);
			ck_assert(class_at(s->n_samples - 1) == STACKS_RUNQ || s->n_samples == 1);
			if (q < 1000)
				ck_assert(class_at(0) != STACKS_RUNQ);
			else if (b < 1000)
				ck_assert(class_at(0) == STACKS_RUNQ);
			else if (q <= STACKS_OFF_LATE_US)
				ck_assert_int_eq(s->samples[1].weight_us, q);
		}
}
END_TEST

START_TEST(a_very_long_queue_goes_with_the_larger_part)
{
	away(500000000, 60000000, 9000000);
	ck_assert_uint_eq(p.stacks->n_samples, 2);
	ck_assert_uint_eq(p.stacks->samples[0].weight_us, 64000000);
	ck_assert(class_at(1) == STACKS_RUNQ);
	away(500000000, 3000000, 9000000);
	ck_assert_uint_eq(p.stacks->n_samples, 1);
	ck_assert_uint_eq(p.stacks->samples[0].weight_us, 12000000);
	ck_assert(class_at(0) == STACKS_RUNQ);
}
END_TEST

int main(void)
{
	TCase *t = tcase_create("made");

	tcase_set_timeout(t, 60);
	tcase_add_checked_fixture(t, lab_setup, lab_teardown);
	tcase_add_test(t, what_a_program_says_is_read);
	tcase_add_test(t, a_wait_is_no_longer_than_it_is);
	tcase_add_test(t, waits_must_be_longer_while_there_are_many);
	tcase_add_test(t, what_was_waited_for_ends_where_the_queue_begins);
	tcase_add_test(t, a_very_long_queue_goes_with_the_larger_part);
	return support_run_case("offcpu_records", t);
}
