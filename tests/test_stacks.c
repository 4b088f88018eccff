/* Sets of stacks: interning, names, cutting, merging. */
#include "stacks_lab.h"
#include "support.h"

START_TEST(what_is_equal_has_one_index_and_what_differs_has_two)
{
	struct stacks *s = stacks_new();
	uint32_t a = stacks_string(s, "alpha", 5), b = stacks_string(s, "alphabet", 5);
	uint32_t m = stacks_module(s, "/lib/a.so", "11"), f;
	struct stacks_frame frame = {.addr = 64, .module = m, .type = STACKS_USER};
	struct stacks_task task = {.pid = 1, .tid = 2, .comm = a};

	ck_assert_uint_eq(a, b);
	ck_assert_uint_ne(a, stacks_string(s, "alphabet", 8));
	ck_assert_uint_eq(stacks_string(s, "", 0), 0);
	ck_assert_uint_eq(stacks_module(s, "/lib/a.so", "11"), m);
	ck_assert_uint_ne(stacks_module(s, "/lib/a.so", "12"), m);
	ck_assert_uint_ne(stacks_module(s, "/lib/a.so", NULL), m);
	ck_assert_uint_eq(stacks_module(s, "", ""), 0);
	f = stacks_frame(s, &frame);
	ck_assert_uint_eq(stacks_frame(s, &frame), f);
	frame.type = STACKS_JIT;
	ck_assert_uint_ne(stacks_frame(s, &frame), f);
	ck_assert_uint_eq(stacks_frame(s, &(struct stacks_frame){0}), 0);
	ck_assert_uint_eq(stacks_node(s, stacks_node(s, 0, f), f), 2);
	ck_assert_uint_eq(stacks_node(s, 0, f), 1);
	ck_assert_uint_eq(stacks_node(s, 0, 0), 3); /* an unknown frame below the root */
	ck_assert_uint_eq(stacks_node(s, 0, 0), 3);
	ck_assert_uint_eq(stacks_task(s, &task), 1);
	ck_assert_uint_eq(stacks_task(s, &task), 1);
	task.cgroup = a;
	ck_assert_uint_eq(stacks_task(s, &task), 2);
	ck_assert_uint_eq(stacks_task(s, &(struct stacks_task){0}), 0);
	ck_assert(!stacks_failed(s));
	stacks_free(s);
}
END_TEST

START_TEST(a_frame_keeps_the_first_name_it_is_given)
{
	struct stacks *s = stacks_new();
	struct stacks_frame f = {.addr = 64, .type = STACKS_JIT, .missed = true};
	uint32_t one, two, other;

	one = stacks_frame(s, &f);
	f.name = stacks_string(s, "one", 3);
	ck_assert_uint_eq(stacks_frame(s, &f), one);
	ck_assert_str_eq(stacks_text(s, s->frames[one].name), "one");
	ck_assert(!s->frames[one].missed);
	f.name = 0;
	ck_assert_uint_eq(stacks_frame(s, &f), one);
	f.name = stacks_string(s, "two", 3); /* the JIT put another function there */
	two = stacks_frame(s, &f);
	ck_assert_uint_ne(two, one);
	ck_assert_uint_eq(stacks_frame(s, &f), two);
	f.addr = 0;
	other = stacks_frame(s, &f);
	ck_assert_uint_eq(stacks_frame(s, &f), other);
	f.name = stacks_string(s, "one", 3);
	ck_assert_uint_ne(stacks_frame(s, &f), other);
	stacks_free(s);
}
END_TEST

START_TEST(every_frame_has_something_to_be_called)
{
	struct stacks *s = stacks_new();
	struct stacks_frame f = {.addr = 0x1234};
	char buf[64];

	ck_assert_str_eq(stacks_frame_name(s, 0, buf, sizeof(buf)), "[unknown]");
	ck_assert_str_eq(stacks_frame_name(s, stacks_frame(s, &f), buf, sizeof(buf)), "0x1234");
	f.module = stacks_module(s, "/usr/lib/libfoo.so", "aa");
	ck_assert_str_eq(stacks_frame_name(s, stacks_frame(s, &f), buf, sizeof(buf)),
			 "libfoo.so+0x1234");
	ck_assert_str_eq(stacks_frame_module(s, stacks_frame(s, &f)), "libfoo.so");
	ck_assert_str_eq(stacks_frame_module(s, 0), "");
	f.module = stacks_module(s, "[kernel]", NULL);
	f.name = stacks_string(s, "schedule", 8);
	ck_assert_str_eq(stacks_frame_name(s, stacks_frame(s, &f), buf, sizeof(buf)), "schedule");
	ck_assert_str_eq(stacks_frame_module(s, stacks_frame(s, &f)), "[kernel]");
	f = (struct stacks_frame){.addr = 0x5678,
				  .module = stacks_module(s, "perf-42.map", NULL),
				  .type = STACKS_JIT};
	ck_assert_str_eq(stacks_frame_name(s, stacks_frame(s, &f), buf, sizeof(buf)),
			 "[JIT] +0x5678");
	for (uint32_t pid = 41; pid < 44; pid++) {
		struct stacks_task t = {.pid = pid, .tid = pid, .process = 0};
		char comm[16];

		snprintf(comm, sizeof(comm), "node%u", pid);
		stacks_task(s, &t);
		t.process = t.comm = stacks_string(s, comm, strlen(comm));
		stacks_task(s, &t);
	}
	for (int i = 0; i < 2; i++) { /* the second time it is remembered */
		ck_assert_str_eq(stacks_frame_name(s, stacks_frame(s, &f), buf, sizeof(buf)),
				 "[JIT] node42 +0x5678");
		f.module = stacks_module(s, "perf-42.map.so", NULL);
		ck_assert_str_eq(stacks_frame_name(s, stacks_frame(s, &f), buf, sizeof(buf)),
				 "perf-42.map.so+0x5678");
		f.module = stacks_module(s, "perf-42.map", NULL);
	}
	stacks_free(s);
}
END_TEST

START_TEST(many_are_found_again)
{
	enum { N = 200000 };
	struct stacks *s = stacks_new();
	char buf[32];

	for (unsigned turn = 0; turn < 2; turn++)
		for (uint32_t i = 0; i < N; i++) {
			int len = snprintf(buf, sizeof(buf), "name-%x", i * 2654435761u);
			struct stacks_frame f = {.addr = i + 1};

			if (i < 30000) {
				ck_assert_uint_eq(stacks_string(s, buf, (size_t)len), i + 2);
				ck_assert_uint_eq(stacks_frame(s, &f), i + 1);
			}
			ck_assert_uint_eq(stacks_node(s, i / 3, (i % 30000) + 1), i + 1);
			ck_assert_uint_lt(s->nodes[i + 1].parent, i + 1);
		}
	ck_assert_uint_eq(s->n_nodes, N + 1);
	ck_assert_uint_ge(stacks_bytes(s), N * sizeof(struct stacks_node));
	stacks_free(s);
}
END_TEST

START_TEST(what_is_out_of_range_is_refused)
{
	struct stacks *s = stacks_new();

	ck_assert_int_eq(stacks_add(s, &(struct stacks_sample){.node = 1}), -EINVAL);
	ck_assert_int_eq(stacks_add(s, &(struct stacks_sample){.task = 1}), -EINVAL);
	ck_assert_int_eq(stacks_add(s, &(struct stacks_sample){.kind = STACKS_KINDS}), -EINVAL);
	ck_assert_int_eq(stacks_add(s, &(struct stacks_sample){.flags = STACKS_CLASSES << 4}),
			 -EINVAL);
	ck_assert_int_eq(stacks_add(s, &(struct stacks_sample){0}), 0);
	ck_assert_int_eq(stacks_note(s, &(struct stacks_note){.kind = 0}), -EINVAL);
	ck_assert_int_eq(stacks_note(s, &(struct stacks_note){.kind = STACKS_GAP}), 0);
	ck_assert_uint_eq(stacks_node(s, 0, 99), 0);
	ck_assert_uint_eq(s->n_samples, 1);
	stacks_free(s);
}
END_TEST

/* ---- cutting and merging ---- */

static uint64_t hash(uint64_t h, const char *text)
{
	for (; *text; text++)
		h = (h ^ (uint8_t)*text) * 1099511628211u;
	return h;
}

/* A sum over samples that does not depend on their order or on indices. */
static uint64_t digest(const struct stacks *s, int64_t from_us, int64_t to_us)
{
	uint64_t sum = 0;

	for (uint32_t i = 0; i < s->n_samples; i++) {
		const struct stacks_sample *x = &s->samples[i];
		uint64_t h = 14695981039346656037u + (uint64_t)x->at_us * 31 + x->weight_us +
			     x->cpu * 7u + x->kind * 3u + x->flags * 11u;

		if (x->at_us < from_us ||
		    x->at_us - (x->kind == STACKS_OFF ? x->weight_us : 0) >= to_us)
			continue;
		for (uint32_t n = x->node; n; n = s->nodes[n].parent) {
			const struct stacks_frame *f = &s->frames[s->nodes[n].frame];

			h = hash(h * 5 + f->addr + f->type, stacks_text(s, f->name));
			h = hash(h, stacks_text(s, s->modules[f->module].name));
			h = hash(h, stacks_text(s, s->modules[f->module].build_id));
		}
		h = hash(h * 3 + s->tasks[x->task].pid, stacks_text(s, s->tasks[x->task].comm));
		sum += h * h;
	}
	return sum;
}

static struct stacks *make(uint64_t seed, uint32_t n)
{
	struct stacks_lab l = {.rnd = seed,
			       .n_cpus = 3,
			       .n_programs = 4,
			       .n_functions = 60,
			       .depth = 9,
			       .spread = 200,
			       .life = 30,
			       .off = 200,
			       .named = seed % 2};
	struct stacks *s = stacks_new();

	lab_begin(&l, s);
	lab_fill(&l, s, n);
	lab_end(&l);
	for (uint32_t i = 0; i < 10; i++)
		stacks_note(s, &(struct stacks_note){.at_us = s->from_us + i * 1000000,
						     .kind = i % 2 ? STACKS_HZ : STACKS_LOST,
						     .n = 100 + i});
	return s;
}

START_TEST(a_cut_has_what_was_in_the_range_and_nothing_else)
{
	for (uint64_t seed = 1; seed < 8; seed++) {
		struct stacks *s = make(seed, 3000), *part;
		int64_t from_us = s->from_us + 3000000, to_us = from_us + 2000000;

		part = stacks_cut(s, from_us, to_us);
		ck_assert_uint_gt(part->n_samples, 300);
		ck_assert_uint_lt(part->n_samples, 2000);
		ck_assert_uint_eq(digest(part, INT64_MIN, INT64_MAX), digest(s, from_us, to_us));
		ck_assert_int_eq(part->from_us, from_us);
		ck_assert_int_eq(part->to_us, to_us);
		ck_assert_uint_lt(part->n_nodes, s->n_nodes);
		ck_assert_uint_eq(part->n_notes, 2);
		ck_assert_uint_eq(part->hz, 101); /* as a note before the range said */
		stacks_free(part);
		part = stacks_cut(s, s->to_us + 10000000, s->to_us + 20000000);
		ck_assert_uint_eq(part->n_samples, 0);
		ck_assert_uint_eq(part->n_nodes, 1);
		stacks_free(part);
		stacks_free(s);
	}
}
END_TEST

START_TEST(merging_halves_gives_the_whole)
{
	for (uint64_t seed = 1; seed < 8; seed++) {
		struct stacks *s = make(seed, 2000), *both = stacks_new(), *a, *b;
		int64_t mid_us = s->from_us + 2500000;
		uint32_t n_nodes;

		a = stacks_cut(s, INT64_MIN, mid_us);
		b = stacks_cut(s, mid_us, INT64_MAX);
		ck_assert_uint_gt(a->n_samples + b->n_samples, s->n_samples);
		stacks_leave_to_next(a, mid_us); /* stretches over the middle are in both */
		ck_assert_int_eq(stacks_merge(both, a), 0);
		ck_assert_int_eq(stacks_merge(both, b), 0);
		ck_assert_uint_eq(digest(both, INT64_MIN, INT64_MAX),
				  digest(s, INT64_MIN, INT64_MAX));
		ck_assert_uint_eq(both->n_samples, s->n_samples);
		ck_assert_uint_eq(both->n_notes, s->n_notes);
		ck_assert_int_eq(both->from_us, s->from_us);
		ck_assert_int_eq(both->to_us, s->to_us);
		n_nodes = both->n_nodes;
		ck_assert_int_eq(stacks_merge(both, s), 0); /* nothing new is in it */
		ck_assert_uint_eq(both->n_nodes, n_nodes);
		stacks_free(a);
		stacks_free(b);
		stacks_free(both);
		stacks_free(s);
	}
}
END_TEST

int main(void)
{
	const TTest *const tests[] = {
		what_is_equal_has_one_index_and_what_differs_has_two,
		a_frame_keeps_the_first_name_it_is_given,
		every_frame_has_something_to_be_called,
		many_are_found_again,
		what_is_out_of_range_is_refused,
		a_cut_has_what_was_in_the_range_and_nothing_else,
		merging_halves_gives_the_whole,
	};

	return support_run("stacks", tests, sizeof(tests) / sizeof(*tests));
}
