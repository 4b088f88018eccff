/* Heat maps: which cell a sample is in, and how stretches are spread. */
#include "stacks_lab.h"
#include "support.h"

#include "stacks/fold.h"

#include <regex.h>

static struct stacks *make(uint64_t seed, uint32_t n, unsigned off)
{
	struct stacks_lab l = {.rnd = seed,
			       .n_cpus = 3,
			       .n_programs = 3,
			       .n_functions = 12,
			       .depth = 6,
			       .spread = 300,
			       .life = 40,
			       .off = off,
			       .named = true};
	struct stacks *s = stacks_new();

	lab_begin(&l, s);
	lab_fill(&l, s, n);
	lab_end(&l);
	return s;
}

static struct heat *heat_of(const struct heat_request *q, struct stacks *const *s, size_t n)
{
	struct heater *h;
	struct heat *heat;
	char err[100];

	ck_assert_int_eq(heat_begin(&h, q, err, sizeof(err)), 0);
	for (size_t i = 0; i < n; i++)
		ck_assert_int_eq(heat_add(h, s[i]), 0);
	ck_assert_int_eq(heat_finish(h, &heat), 0);
	return heat;
}

static bool stack_matches(const struct stacks *s, uint32_t node, const regex_t *re)
{
	char buf[300];

	for (; node; node = s->nodes[node].parent)
		if (regexec(re, stacks_frame_name(s, s->nodes[node].frame, buf, sizeof(buf)), 0,
			    NULL, 0) == 0)
			return true;
	return false;
}

/* ---- offsets ---- */

START_TEST(samples_are_in_the_cell_of_their_offset)
{
	static const unsigned rows[] = {50, 10, 1, 99, 7};

	for (uint64_t seed = 0; seed < 10; seed++) {
		struct stacks *s[2] = {make(seed, 700, 0), make(seed + 50, 400, 0)};
		struct heat_request q = {.from_us = 999500000,
					 .column_us = seed % 2 ? 1000000 : 700001,
					 .n_columns = 4,
					 .n_rows = rows[seed % 5],
					 .filter = {.cpu = seed % 3 ? -1 : 1},
					 .pattern = "part[0-3].*_[a-f0-9]*7"};
		uint64_t n = 0, matched = 0, sum = 0, sum_matched = 0;
		struct heat *h;
		regex_t re;

		ck_assert_int_eq(regcomp(&re, q.pattern, REG_EXTENDED), 0);
		h = heat_of(&q, s, 2);
		ck_assert_uint_eq(h->n_rows, q.n_rows);
		ck_assert_ptr_null(h->rows);
		for (unsigned k = 0; k < 2; k++)
			for (uint32_t i = 0; i < s[k]->n_samples; i++) {
				const struct stacks_sample *x = &s[k]->samples[i];
				int64_t at = x->at_us - q.from_us;
				uint64_t c = at / (int64_t)q.column_us;
				uint64_t row = at % (int64_t)q.column_us * q.n_rows / q.column_us;

				if (at < 0 || c >= q.n_columns ||
				    (q.filter.cpu >= 0 && x->cpu != q.filter.cpu))
					continue;
				n++;
				ck_assert_uint_ge(h->weight_us[c * q.n_rows + row], x->weight_us);
				h->weight_us[c * q.n_rows + row] -= x->weight_us;
				if (!stack_matches(s[k], x->node, &re))
					continue;
				matched++;
				ck_assert_uint_ge(h->matched_us[c * q.n_rows + row], x->weight_us);
				h->matched_us[c * q.n_rows + row] -= x->weight_us;
			}
		for (unsigned i = 0; i < q.n_columns * q.n_rows; i++) {
			sum += h->weight_us[i];
			sum_matched += h->matched_us[i];
		}
		ck_assert_uint_eq(sum, 0);
		ck_assert_uint_eq(sum_matched, 0);
		ck_assert_uint_eq(h->n_samples, n);
		ck_assert_uint_eq(h->n_matched, matched);
		ck_assert(n > 100 && matched > 0 && matched < n);
		regfree(&re);
		heat_free(h);
		stacks_free(s[0]);
		stacks_free(s[1]);
	}
}
END_TEST

START_TEST(a_stretch_is_spread_over_the_cells_that_it_covers)
{
	struct stacks *s = stacks_new();
	struct heat_request q = {.from_us = 0,
				 .column_us = 1000,
				 .n_columns = 5,
				 .n_rows = 7,
				 .filter = {.kind = STACKS_OFF, .cpu = -1},
				 .pattern = "x"};
	uint32_t want[35] = {0};
	uint64_t rnd = 3;
	struct heat *h;

	for (unsigned i = 0; i < 200; i++) {
		struct stacks_sample x = {.at_us = lab_random(&rnd) % 6500,
					  .weight_us = i % 3 ? lab_random(&rnd) % 300
							     : lab_random(&rnd) % 4000,
					  .kind = STACKS_OFF};

		ck_assert_int_eq(stacks_add(s, &x), 0);
		for (int64_t us = x.at_us - x.weight_us; us < x.at_us; us++)
			if (us >= 0 && us < 5000)
				want[us / 1000 * 7 + us % 1000 * 7 / 1000]++;
	}
	h = heat_of(&q, &s, 1);
	for (unsigned i = 0; i < 35; i++) {
		ck_assert_msg(h->weight_us[i] == want[i], "cell %u: %u, not %u", i, h->weight_us[i],
			      want[i]);
		ck_assert_uint_eq(h->matched_us[i], 0);
	}
	heat_free(h);
	stacks_free(s);
}
END_TEST

/* ---- rows ---- */

static uint64_t key_of(const struct stacks *s, const struct stacks_sample *x, enum heat_rows by)
{
	const struct stacks_task *t = &s->tasks[x->task];

	return by == HEAT_CPU	    ? x->cpu
	       : by == HEAT_PROCESS ? t->pid
	       : by == HEAT_THREAD  ? (uint64_t)t->pid << 32 | t->tid
				    : t->cgroup;
}

static bool is_row(const struct heat_row *r, const struct stacks *s, const struct stacks_sample *x,
		   enum heat_rows by)
{
	const struct stacks_task *t = &s->tasks[x->task];

	return by == HEAT_CPU	    ? r->cpu == x->cpu
	       : by == HEAT_PROCESS ? r->pid == t->pid && r->cpu == -1
	       : by == HEAT_THREAD  ? r->pid == t->pid && r->tid == t->tid
				    : strcmp(r->label, stacks_text(s, t->cgroup)) == 0;
}

START_TEST(rows_are_the_busiest_first_and_have_their_samples)
{
	for (unsigned i = 0; i < 16; i++) {
		struct stacks *s = make(i + 3, 1500, 300);
		struct heat_request q = {
			.from_us = s->from_us + 100000,
			.column_us = 300000,
			.n_columns = 9,
			.by = HEAT_CPU + i % 4,
			.n_rows = i < 8 ? 512 : 2,
			.filter = {.kind = i / 4 % 2 ? STACKS_OFF : STACKS_CPU, .cpu = -1},
			.pattern = i % 3 ? "part1" : NULL,
			.ignore_case = i % 2};
		struct heat *h = heat_of(&q, &s, 1);
		uint64_t sum = 0, total = 0;

		ck_assert_uint_le(h->n_rows, q.n_rows);
		ck_assert_uint_ge(h->n_rows, 2);
		ck_assert_int_eq(h->matched_us != NULL, q.pattern != NULL);
		for (uint32_t r = 0; r < h->n_rows; r++) {
			uint64_t want = 0, have = 0;

			ck_assert(!r || (q.by == HEAT_CPU
						 ? h->rows[r].cpu > h->rows[r - 1].cpu
						 : h->rows[r].total_us <= h->rows[r - 1].total_us));
			for (uint32_t k = 0; k < s->n_samples; k++) {
				const struct stacks_sample *x = &s->samples[k];
				int64_t end_us = q.from_us + 9 * 300000, from_us, to_us;

				if (x->kind != q.filter.kind || !is_row(&h->rows[r], s, x, q.by))
					continue;
				from_us = x->at_us - x->weight_us;
				to_us = x->at_us < end_us ? x->at_us : end_us;
				if (from_us < q.from_us)
					from_us = q.from_us;
				if (x->kind == STACKS_OFF)
					want += to_us > from_us ? to_us - from_us : 0;
				else if (x->at_us >= q.from_us && x->at_us < end_us)
					want += x->weight_us;
			}
			for (uint32_t c = 0; c < h->n_columns; c++) {
				have += h->weight_us[c * h->n_rows + r];
				if (h->matched_us)
					ck_assert_uint_le(h->matched_us[c * h->n_rows + r],
							  h->weight_us[c * h->n_rows + r]);
			}
			ck_assert_uint_eq(have, want);
			ck_assert_uint_eq(h->rows[r].total_us, want);
			ck_assert(*h->rows[r].label);
			sum += have;
		}
		for (uint32_t k = 0; k < s->n_samples; k++)
			total += key_of(s, &s->samples[k], q.by) != UINT64_MAX;
		ck_assert_uint_gt(total, 0);
		ck_assert_uint_gt(sum, 0);
		heat_free(h);
		stacks_free(s);
	}
}
END_TEST

START_TEST(many_short_processes_do_not_fill_memory)
{
	enum { EPOCHS = 30, EACH = 10000 };
	struct heat_request q = {.from_us = 0,
				 .column_us = 1000000,
				 .n_columns = 3600,
				 .by = HEAT_PROCESS,
				 .n_rows = 20,
				 .filter = {.cpu = -1}};
	struct heater *h;
	struct heat *heat;
	char err[100];

	ck_assert_int_eq(heat_begin(&h, &q, err, sizeof(err)), 0);
	for (unsigned e = 0; e < EPOCHS; e++) {
		struct stacks *s = stacks_new();

		for (uint32_t i = 0; i < EACH; i++) {
			struct stacks_task t = {.pid = 100 + e * EACH + i};
			struct stacks_sample x = {.at_us = (e * EACH + i) * 10000ll,
						  .weight_us = 10000};

			if (i % 20 == 0)
				t.pid = 7; /* one that lives */
			t.tid = t.pid;
			t.comm = stacks_string(s, t.pid == 7 ? "server" : "sh", 6);
			x.task = stacks_task(s, &t);
			ck_assert_int_eq(stacks_add(s, &x), 0);
		}
		ck_assert_int_eq(heat_add(h, s), 0);
		stacks_free(s);
	}
	ck_assert_int_eq(heat_finish(h, &heat), 0);
	ck_assert_uint_eq(heat->n_rows, 20);
	ck_assert_uint_eq(heat->rows[0].pid, 7);
	ck_assert_str_eq(heat->rows[0].label, "server");
	ck_assert_uint_eq(heat->rows[0].total_us, EPOCHS * EACH / 20 * 10000);
	ck_assert_uint_eq(heat->n_samples, EPOCHS * EACH);
	heat_free(heat);
}
END_TEST

/* ---- about the columns ---- */

START_TEST(columns_say_what_was_lost_and_when_nobody_looked)
{
	struct stacks *s = stacks_new();
	struct heat_request q = {.from_us = 0,
				 .column_us = 1000,
				 .n_columns = 6,
				 .n_rows = 10,
				 .filter = {.cpu = -1}};
	struct heat *h;

	s->from_us = 1500;
	s->to_us = 4900;
	stacks_note(s, &(struct stacks_note){.at_us = 2100, .kind = STACKS_LOST, .n = 7, .cpu = 1});
	stacks_note(s, &(struct stacks_note){.at_us = 2200, .kind = STACKS_LOST, .n = 5, .cpu = 2});
	stacks_note(s, &(struct stacks_note){.at_us = 4000, .kind = STACKS_GAP, .n = 1000});
	h = heat_of(&q, &s, 1);
	ck_assert_uint_eq(h->covered[0], 0);
	ck_assert(h->covered[1] > 100 && h->covered[1] < 150);
	ck_assert_uint_eq(h->covered[2], 255);
	ck_assert_uint_eq(h->covered[3], 0);
	ck_assert(h->covered[4] > 200 && h->covered[4] < 255);
	ck_assert_uint_eq(h->covered[5], 0);
	ck_assert_uint_eq(h->lost[2], 12);
	ck_assert_uint_eq(h->lost[1], 0);
	heat_free(h);
	q.filter.cpu = 2;
	h = heat_of(&q, &s, 1);
	ck_assert_uint_eq(h->lost[2], 5);
	heat_free(h);
	stacks_free(s);
}
END_TEST

START_TEST(what_is_no_pattern_is_refused_with_a_reason)
{
	struct heat_request q = {.column_us = 1000,
				 .n_columns = 6,
				 .n_rows = 10,
				 .filter = {.cpu = -1},
				 .pattern = "a(b"};
	struct heater *h;
	char err[100] = "";

	ck_assert_int_eq(heat_begin(&h, &q, err, sizeof(err)), -EBADMSG);
	ck_assert_uint_gt(strlen(err), 5);
	q.pattern = NULL;
	q.n_columns = 4097;
	ck_assert_int_eq(heat_begin(&h, &q, err, sizeof(err)), -EINVAL);
	q.n_columns = 0;
	ck_assert_int_eq(heat_begin(&h, &q, err, sizeof(err)), -EINVAL);
	q.n_columns = 1;
	q.n_rows = 513;
	ck_assert_int_eq(heat_begin(&h, &q, err, sizeof(err)), -EINVAL);
}
END_TEST

START_TEST(what_would_cost_too_much_is_refused)
{
	static const char *const bad[] = {"((a{1,60}){1,60}){1,60}", "a{30000}", "(x)\\1",
					  "((((((((((a+)+)+)+)+)+)+)+)+)+)+"},
				 *const good[] = {"(a*)*b", "[]+{900}]+", "a{2,9}", "\\(\\{9999",
						  "(a|b){,3}|c?"};
	char err[128] = "";
	struct heater *h;

	for (size_t i = 0; i < sizeof(bad) / sizeof(*bad); i++) {
		const struct heat_request q = {.column_us = 1000,
					       .n_columns = 1,
					       .n_rows = 10,
					       .filter.cpu = -1,
					       .pattern = bad[i]};

		ck_assert_msg(heat_begin(&h, &q, err, sizeof(err)) == -EBADMSG, "%s", bad[i]);
		ck_assert_ptr_nonnull(strstr(err, "too much"));
	}
	for (size_t i = 0; i < sizeof(good) / sizeof(*good); i++) {
		const struct heat_request q = {.column_us = 1000,
					       .n_columns = 1,
					       .n_rows = 10,
					       .filter.cpu = -1,
					       .pattern = good[i]};

		ck_assert_msg(heat_begin(&h, &q, err, sizeof(err)) == 0, "%s: %s", good[i], err);
		heat_abort(h);
	}
}
END_TEST

START_TEST(case_counts_unless_it_is_to_be_ignored)
{
	struct stacks *s = make(3, 300, 0);
	struct heat_request q = {.from_us = s->from_us,
				 .column_us = 1000000,
				 .n_columns = 3,
				 .n_rows = 10,
				 .filter = {.cpu = -1},
				 .pattern = "PROGRAM"};
	struct heat *h = heat_of(&q, &s, 1);

	ck_assert_uint_eq(h->n_matched, 0);
	heat_free(h);
	q.ignore_case = true;
	h = heat_of(&q, &s, 1);
	ck_assert_uint_eq(h->n_matched, 300);
	heat_free(h);
	stacks_free(s);
}
END_TEST

int main(void)
{
	const TTest *const tests[] = {
		samples_are_in_the_cell_of_their_offset,
		a_stretch_is_spread_over_the_cells_that_it_covers,
		rows_are_the_busiest_first_and_have_their_samples,
		many_short_processes_do_not_fill_memory,
		columns_say_what_was_lost_and_when_nobody_looked,
		what_is_no_pattern_is_refused_with_a_reason,
		what_would_cost_too_much_is_refused,
		case_counts_unless_it_is_to_be_ignored,
	};

	return support_run("heat", tests, sizeof(tests) / sizeof(*tests));
}
