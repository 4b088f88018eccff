/* Where functions were sampled: the votes, and what keeps them. */
#include "support.h"

#include "profile/profiles.h"
#include "stacks/epoch.h"
#include "stacks/fold.h"
#include "stacks_lab.h"

static struct stacks *s;
static uint32_t frame;

static uint32_t add_frame(uint64_t addr, const char *build_id, const char *name)
{
	struct stacks_frame f = {.addr = addr,
				 .module = stacks_module(s, "/usr/bin/prog", build_id),
				 .name = stacks_string(s, name, strlen(name)),
				 .type = STACKS_USER};

	return stacks_frame(s, &f);
}

static void setup(void)
{
	s = stacks_new();
	frame = add_frame(0x1000, "ab12", "work");
}

static void teardown(void)
{
	stacks_free(s);
}

static void add_sample(uint32_t of, int64_t at_us)
{
	struct stacks_sample x = {.at_us = at_us, .node = stacks_node(s, 0, of), .weight_us = 10};

	ck_assert_int_eq(stacks_add(s, &x), 0);
	s->from_us = 0;
	s->to_us = at_us + 1;
}

/* ---- votes ---- */

START_TEST(a_call_that_has_most_is_found_in_whatever_order)
{
	for (uint64_t rnd = 1; rnd < 200; rnd++) {
		uint64_t r = rnd;
		unsigned n = 1 + lab_random(&r) % 100, most = n / 2 + 1, others = n - most;

		s->frames[frame].call = (struct stacks_place){0};
		while (most + others) {
			bool is = lab_random(&r) % (most + others) < most;

			stacks_vote_call(s, frame, is ? 0x1040 : 0x1041 + lab_random(&r) % 3, 1);
			*(is ? &most : &others) -= 1;
		}
		ck_assert_uint_eq(s->frames[frame].call.off, 0x40);
	}
	ck_assert_uint_eq(s->frames[frame].self.votes, 0);
}
END_TEST

START_TEST(a_loop_that_has_most_is_found_though_none_of_its_addresses_has)
{
	unsigned within = 0;

	for (uint64_t rnd = 1; rnd < 200; rnd++) {
		uint64_t r = rnd;

		s->frames[frame].self = (struct stacks_place){0};
		stacks_vote_self(s, frame, 0x1002, 1); /* on the way there */
		for (unsigned i = 0; i < 300; i++)
			if (lab_random(&r) % 10 < 7)
				stacks_vote_self(s, frame, 0x1400 + lab_random(&r) % 30, 1);
			else
				stacks_vote_self(s, frame, 0x1000 + lab_random(&r) % 0x1000, 1);
		within += s->frames[frame].self.off >= 0x400 - 48 &&
			  s->frames[frame].self.off < 0x400 + 30 + 48;
	}
	ck_assert_uint_eq(within, 199);
}
END_TEST

START_TEST(the_address_most_of_a_loop_are_at_stands_for_it)
{
	for (unsigned i = 0; i < 100; i++) {
		stacks_vote_self(s, frame, 0x1400 + i % 30, 1);
		stacks_vote_self(s, frame, 0x1408, 1);
	}
	ck_assert_uint_eq(s->frames[frame].self.off, 0x408);
}
END_TEST

START_TEST(what_is_no_place_is_none)
{
	uint32_t nameless = add_frame(0, "", "of a text");

	stacks_vote_self(s, 0, 0x1000, 1);
	stacks_vote_self(s, nameless, 0x1000, 1);
	stacks_vote_self(s, frame, 0xfff, 1);
	stacks_vote_call(s, frame, 0x1000 + (UINT64_C(1) << 32), 1);
	for (uint32_t i = 0; i < s->n_frames; i++)
		ck_assert_uint_eq(s->frames[i].self.votes + s->frames[i].call.votes, 0);
	stacks_vote_self(s, frame, 0x1000, 1);
	ck_assert_uint_eq(s->frames[frame].self.votes, 1);
	for (unsigned i = 0; i < 3; i++)
		stacks_vote_self(s, frame, 0x1000, 60000);
	ck_assert_uint_eq(s->frames[frame].self.votes, UINT16_MAX);
}
END_TEST

/* ---- sets ---- */

static const struct stacks_frame *find(const struct stacks *in, const char *name)
{
	for (uint32_t i = 1; i < in->n_frames; i++)
		if (strcmp(stacks_text(in, in->frames[i].name), name) == 0)
			return &in->frames[i];
	ck_abort_msg("no frame %s", name);
	return NULL;
}

START_TEST(copies_keep_places_and_what_is_merged_votes)
{
	struct stacks *a, *both = stacks_new(), *sum, *other;
	uint8_t *data;
	size_t len;

	for (unsigned i = 0; i < 5; i++)
		stacks_vote_call(s, frame, 0x1020, 1);
	stacks_vote_self(s, frame, 0x1200, 3);
	add_sample(frame, 5);
	a = stacks_cut(s, 0, 10);
	sum = stacks_sum(s);
	ck_assert_int_eq(epoch_encode(s, &data, &len), 0);
	ck_assert_int_eq(epoch_decode(data, len, &other), 0);
	const struct stacks *copies[] = {a, sum, other};

	for (size_t i = 0; i < 3; i++) {
		ck_assert_uint_eq(find(copies[i], "work")->call.off, 0x20);
		ck_assert_uint_eq(find(copies[i], "work")->self.off, 0x200);
		ck_assert_uint_ge(find(copies[i], "work")->call.votes, 4);
	}
	/* Six are against what five are for, and then five more. */
	s->frames[frame].call = (struct stacks_place){.off = 0x60, .votes = 6, .here = 6};
	ck_assert_int_eq(stacks_merge(both, a), 0);
	ck_assert_int_eq(stacks_merge(both, s), 0);
	ck_assert_uint_eq(find(both, "work")->call.off, 0x60);
	ck_assert_int_eq(stacks_merge(both, a), 0);
	ck_assert_uint_eq(find(both, "work")->call.off, 0x20);
	free(data);
	stacks_free(a);
	stacks_free(sum);
	stacks_free(other);
	stacks_free(both);
}
END_TEST

/* ---- trees ---- */

static struct fold_tree *fold_of(struct stacks *const *sets, size_t n)
{
	struct fold_request q = {.n_ranges = 1, .filter = {.cpu = -1}};
	struct fold_tree *t;
	struct fold *f;

	q.ranges[0] = (struct stacks_range){0, 1000};
	ck_assert_int_eq(fold_begin(&f, &q), 0);
	for (size_t i = 0; i < n; i++)
		ck_assert_int_eq(fold_add(f, sets[i]), 0);
	ck_assert_int_eq(fold_finish(f, &t), 0);
	return t;
}

static const struct fold_node *find_node(const struct fold_tree *t, const char *name)
{
	for (uint32_t i = 1; i < t->n_nodes; i++)
		if (strcmp(t->text + t->strings[t->nodes[i].name], name) == 0)
			return &t->nodes[i];
	ck_abort_msg("no node %s", name);
	return NULL;
}

/* Before the file was read its frames were addresses, and had no build-id. */
START_TEST(a_tree_knows_places_from_where_the_function_starts)
{
	uint32_t early = add_frame(0x530, "", "work"), first = add_frame(0x1240, "ab12", "work"),
		 other = add_frame(0x7000, "cd34", "work");
	struct fold_tree *t;

	stacks_vote_self(s, first, 0x1240, 1);
	stacks_vote_self(s, frame, 0x1300, 9);
	stacks_vote_call(s, frame, 0x1044, 2);
	stacks_vote_self(s, other, 0x7001, 1000);
	add_sample(early, 1);
	add_sample(first, 2);
	add_sample(frame, 3);
	add_sample(other, 4);
	t = fold_of(&s, 1);

	const struct fold_node *n = find_node(t, "work");

	ck_assert_uint_eq(n->total_us, 40);
	ck_assert_uint_eq(n->addr, 0x1000);
	ck_assert_str_eq(t->text + t->strings[n->build_id], "ab12");
	ck_assert_uint_eq(n->addr + n->self_at - 1, 0x1300);
	ck_assert_uint_eq(n->addr + n->call_at - 1, 0x1044);
	fold_tree_free(t);
}
END_TEST

START_TEST(a_tree_says_a_place_once)
{
	struct stacks_sample x = {.at_us = 5, .weight_us = 10};
	struct fold_tree *t;
	uint32_t n = 0;

	stacks_vote_self(s, frame, 0x1000, 1);
	x.node = stacks_node(s, stacks_node(s, stacks_node(s, 0, frame), frame), frame);
	ck_assert_int_eq(stacks_add(s, &x), 0);
	s->to_us = 10;
	t = fold_of(&s, 1);
	ck_assert_uint_eq(t->n_nodes, 4);
	ck_assert_uint_eq(t->nodes[1].self_at, 1);
	for (uint32_t i = 0; i < t->n_nodes; i++) {
		n += t->nodes[i].self_at != 0;
		ck_assert_uint_eq(t->nodes[i].call_at, 0);
	}
	ck_assert_uint_eq(n, 1);
	fold_tree_free(t);
}
END_TEST

/* ---- the crash log ---- */

static int merge(void *arg, const struct stacks *from)
{
	return stacks_merge(arg, from);
}

static void name_all(void *arg, struct stacks *in, bool all)
{
	(void)arg;
	(void)all;
	for (uint32_t i = 1; i < in->n_frames; i++)
		if (!in->frames[i].name)
			in->frames[i].name = stacks_string(in, "late", 4);
}

START_TEST(places_outlive_a_kill)
{
	char dir[64];
	struct profiles_config c = {.memory_bytes = 4 << 20,
				    .dir = dir,
				    .boot_id = "99999999-2222-3333-4444-555555555555",
				    .n_cpus = 2,
				    .name = name_all};
	struct profiles *p;
	struct stacks *in, *seen = stacks_new();

	support_dir(dir);
	ck_assert_int_eq(profiles_open(&p, &c), 0);
	in = profiles_begin(p);
	struct stacks_frame f = {
		.addr = 0x1000, .module = stacks_module(in, "/bin/a", "ab12"), .type = STACKS_USER};
	uint32_t late = stacks_frame(in, &f);

	f.name = stacks_string(in, "known", 5);
	f.addr = 0x2000;
	uint32_t node = stacks_node(in, stacks_node(in, 0, stacks_frame(in, &f)), late);

	stacks_vote_self(in, late, 0x1010, 1);
	stacks_vote_call(in, late + 1, 0x2020, 1);
	stacks_add(in, &(struct stacks_sample){.at_us = 1000, .node = node, .weight_us = 1});
	profiles_end(p, 2000, 0);
	in = profiles_begin(p);
	stacks_vote_self(in, late, 0x1310, 7);
	stacks_add(in, &(struct stacks_sample){.at_us = 2100, .node = node, .weight_us = 1});
	profiles_end(p, 3000, 0);
	ck_assert_int_eq(profiles_step(p), 0); /* names it */
	in = profiles_begin(p);
	stacks_add(in, &(struct stacks_sample){.at_us = 3100, .node = node, .weight_us = 1});
	profiles_end(p, 4000, 0);
	profiles_close(p);
	ck_assert_int_eq(profiles_open(&p, &c), 0);
	ck_assert_int_eq(profiles_each(p, INT64_MIN / 4, INT64_MAX / 4, merge, seen), 0);
	ck_assert_uint_eq(find(seen, "known")->call.off, 0x20);
	ck_assert_uint_eq(find(seen, "late")->self.off, 0x310);
	profiles_close(p);
	stacks_free(seen);
	support_rm(dir);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("places");
	TCase *tc = tcase_create("places");

	tcase_add_checked_fixture(tc, setup, teardown);
	tcase_add_test(tc, a_call_that_has_most_is_found_in_whatever_order);
	tcase_add_test(tc, a_loop_that_has_most_is_found_though_none_of_its_addresses_has);
	tcase_add_test(tc, the_address_most_of_a_loop_are_at_stands_for_it);
	tcase_add_test(tc, what_is_no_place_is_none);
	tcase_add_test(tc, copies_keep_places_and_what_is_merged_votes);
	tcase_add_test(tc, a_tree_knows_places_from_where_the_function_starts);
	tcase_add_test(tc, a_tree_says_a_place_once);
	tcase_add_test(tc, places_outlive_a_kill);
	suite_add_tcase(suite, tc);
	SRunner *r = srunner_create(suite);

	srunner_run_all(r, CK_NORMAL);
	int failed = srunner_ntests_failed(r);

	srunner_free(r);
	return failed != 0;
}
