/* What is kept of sealed epochs answers as they do themselves. */
#include "support.h"

#include "stacks_lab.h"

#include "profile/kept.h"
#include "stacks/epoch.h"

enum { EPOCHS = 4, SAMPLES = 15000 };

static unsigned made; /* how often anything was made to be kept */

static struct profiles_memo counted; /* whose make() is counted */

static int make_counted(void *arg, const struct stacks *s, void **ret, size_t *bytes)
{
	made++;
	return counted.make(arg, s, ret, bytes);
}

static struct profiles_memo counting(struct profiles_memo memo)
{
	counted = memo;
	memo.make = make_counted;
	return memo;
}

/* Sealed epochs of a busy host, one after the other. Their range. */
static struct profiles *make_profiles(uint64_t memory_bytes, int64_t *from_us, int64_t *to_us)
{
	struct profiles_config c = {.memory_bytes = memory_bytes, .boot_id = "", .n_cpus = 4};
	struct stacks_lab l = {.rnd = 7,
			       .n_cpus = 4,
			       .hz = 99,
			       .n_programs = 5,
			       .n_functions = 40,
			       .depth = 12,
			       .spread = 60,
			       .mixed = 100,
			       .life = 3000,
			       .off = 50,
			       .named = true};
	struct profiles *p;

	ck_assert_int_eq(profiles_open(&p, &c), 0);
	for (int i = 0; i < EPOCHS; i++) {
		struct stacks *s = stacks_new();
		struct stacks_note lost = {.kind = STACKS_LOST, .n = 3 + (uint64_t)i};
		uint8_t *data;
		size_t len;

		LAB_CHECK(s);
		lab_begin(&l, s);
		lab_fill(&l, s, SAMPLES);
		lost.at_us = s->from_us + 5000000;
		ck_assert_int_eq(stacks_note(s, &lost), 0);
		ck_assert_int_eq(epoch_encode(s, &data, &len), 0);
		if (!i)
			*from_us = s->from_us;
		*to_us = s->to_us;
		stacks_free(s);
		ck_assert_int_eq(profiles_take(p, data, len), 0);
		memset(l.running, 0, sizeof(l.running));
	}
	lab_end(&l);
	return p;
}

static struct fold_tree *fold_range(struct profiles *p, const struct fold_request *rq, bool keep,
				    struct tasks_row **rows, size_t *n_rows)
{
	struct kept_fold a = {.request = rq};
	const struct profiles_memo memo = counting(kept_sums);
	struct fold_tree *t;
	int64_t from_us = rq->n_base ? rq->base[0].from_us : rq->ranges[0].from_us;
	int64_t to_us = rq->ranges[rq->n_ranges - 1].to_us;

	ck_assert_int_eq(fold_begin(&a.fold, rq), 0);
	ck_assert_int_eq(tasks_begin(&a.tasks, rq, true), 0);
	ck_assert_int_eq(keep ? profiles_each_memo(p, from_us, to_us, &memo, kept_fold_add, &a)
			      : profiles_each(p, from_us, to_us, kept_fold_add, &a),
			 0);
	ck_assert_int_eq(fold_finish(a.fold, &t), 0);
	ck_assert_int_eq(tasks_finish(a.tasks, 1000, rows, n_rows), 0);
	return t;
}

static void check_same(struct profiles *p, const struct fold_request *rq)
{
	struct tasks_row *rows_a, *rows_b;
	size_t n_a, n_b;
	struct fold_tree *a = fold_range(p, rq, false, &rows_a, &n_a);
	struct fold_tree *b = fold_range(p, rq, true, &rows_b, &n_b);

	ck_assert_uint_gt(a->n_nodes, 100);
	ck_assert_uint_eq(a->n_nodes, b->n_nodes);
	ck_assert_int_eq(memcmp(&a->sum, &b->sum, sizeof(a->sum)), 0);
	ck_assert_int_eq(memcmp(&a->base, &b->base, sizeof(a->base)), 0);
	for (uint32_t i = 0; i < a->n_nodes; i++) {
		const struct fold_node *x = &a->nodes[i], *y = &b->nodes[i];

		ck_assert_uint_eq(x->parent, y->parent);
		ck_assert_str_eq(a->text + a->strings[x->name], b->text + b->strings[y->name]);
		ck_assert_uint_eq(x->total_us, y->total_us);
		ck_assert_uint_eq(x->self_us, y->self_us);
		ck_assert_uint_eq(x->base_total_us, y->base_total_us);
	}
	ck_assert_uint_eq(n_a, n_b);
	for (size_t i = 0; i < n_a; i++) {
		ck_assert_uint_eq(rows_a[i].tid, rows_b[i].tid);
		ck_assert_str_eq(rows_a[i].comm, rows_b[i].comm);
		ck_assert_str_eq(rows_a[i].cgroup, rows_b[i].cgroup);
		ck_assert_uint_eq(rows_a[i].n, rows_b[i].n);
		ck_assert_uint_eq(rows_a[i].weight_us, rows_b[i].weight_us);
		ck_assert_uint_eq(rows_a[i].base_us, rows_b[i].base_us);
	}
	tasks_free(rows_a, n_a);
	tasks_free(rows_b, n_b);
	fold_tree_free(a);
	fold_tree_free(b);
}

START_TEST(trees_of_what_is_kept_are_the_same)
{
	int64_t from_us, to_us, third_us;
	struct profiles *p = make_profiles(64 << 20, &from_us, &to_us);
	struct fold_request rq = {.n_ranges = 1, .filter.cpu = -1};

	third_us = (to_us - from_us) / 3;
	rq.ranges[0] = (struct stacks_range){from_us - 1000000, to_us + 1000000};
	made = 0;
	check_same(p, &rq);
	ck_assert_uint_eq(made, EPOCHS);
	check_same(p, &rq);
	rq.by_process = rq.by_thread = true;
	check_same(p, &rq);
	ck_assert_uint_eq(made, EPOCHS);
	/* Those that a range cuts are read as they are. */
	rq.ranges[0].from_us = from_us + third_us;
	check_same(p, &rq);
	rq.by_process = rq.by_thread = false;
	rq.n_base = 1;
	rq.base[0] = (struct stacks_range){from_us - 1000000, from_us + third_us};
	check_same(p, &rq);
	rq.n_base = 0;
	rq.n_ranges = 2;
	rq.ranges[0] = (struct stacks_range){from_us - 1000000, from_us + third_us};
	rq.ranges[1] = (struct stacks_range){from_us + 2 * third_us, to_us + 1000000};
	check_same(p, &rq);
	rq.n_ranges = 1;
	rq.ranges[0].to_us = to_us + 1000000;
	rq.filter.process = "program1";
	rq.filter.cpu = 1;
	ck_assert_uint_eq(made, EPOCHS);
	check_same(p, &(struct fold_request){.n_ranges = 1,
					     .filter.cpu = 1,
					     .ranges = {{from_us - 1000000, to_us + 1000000}}});
	ck_assert_uint_eq(made, EPOCHS);
	profiles_close(p);
}
END_TEST

static struct heat *heat_range(struct profiles *p, const struct heat_request *rq, bool keep)
{
	char err[100], *key = heat_part_key(rq);
	const struct profiles_memo memo = counting(kept_heat_parts(key ? key : ""));
	int64_t to_us = rq->from_us + (int64_t)(rq->n_columns * rq->column_us);
	struct heater *h;
	struct heat *map;

	ck_assert_ptr_nonnull(key);
	ck_assert_int_eq(heat_begin(&h, rq, err, sizeof(err)), 0);
	ck_assert_int_eq(keep ? profiles_each_memo(p, rq->from_us, to_us, &memo, kept_heat_add, h)
			      : profiles_each(p, rq->from_us, to_us, kept_heat_add, h),
			 0);
	ck_assert_int_eq(heat_finish(h, &map), 0);
	free(key);
	return map;
}

static void check_map(struct profiles *p, const struct heat_request *rq)
{
	struct heat *a = heat_range(p, rq, false), *b = heat_range(p, rq, true);
	size_t n = (size_t)a->n_columns * a->n_rows;

	ck_assert_uint_gt(a->n_samples, 1000);
	ck_assert_uint_eq(a->n_samples, b->n_samples);
	ck_assert_uint_eq(a->n_matched, b->n_matched);
	ck_assert_int_eq(memcmp(a->weight_us, b->weight_us, n * sizeof(*a->weight_us)), 0);
	ck_assert_int_eq(!a->matched_us, !b->matched_us);
	if (a->matched_us)
		ck_assert_int_eq(memcmp(a->matched_us, b->matched_us, n * sizeof(uint32_t)), 0);
	ck_assert_int_eq(memcmp(a->lost, b->lost, a->n_columns * sizeof(*a->lost)), 0);
	ck_assert_int_eq(memcmp(a->covered, b->covered, a->n_columns), 0);
	heat_free(a);
	heat_free(b);
}

START_TEST(maps_of_what_is_kept_are_the_same)
{
	int64_t from_us, to_us;
	struct profiles *p = make_profiles(64 << 20, &from_us, &to_us);
	struct heat_request rq = {.column_us = 1000000, .n_rows = 50, .filter.cpu = -1};

	rq.from_us = from_us - 3200000;
	rq.n_columns = (uint32_t)((to_us - from_us) / 1000000) + 8;
	made = 0;
	check_map(p, &rq);
	ck_assert_uint_eq(made, EPOCHS);
	for (int i = 0; i < 5; i++) { /* the map moves on by whole columns */
		rq.from_us += 1000000;
		check_map(p, &rq);
	}
	ck_assert_uint_eq(made, EPOCHS);
	rq.from_us += 77000000; /* what it cuts is read */
	check_map(p, &rq);
	ck_assert_uint_eq(made, EPOCHS);
	rq.from_us = from_us - 3200000;
	rq.pattern = "f[0-9]*1$";
	check_map(p, &rq);
	check_map(p, &rq);
	rq.filter.cpu = 2;
	check_map(p, &rq);
	rq.pattern = NULL;
	check_map(p, &rq);
	ck_assert_uint_eq(made, 4 * EPOCHS);
	rq.from_us += 300; /* other columns */
	check_map(p, &rq);
	rq.column_us = 60000000;
	rq.from_us = from_us - 61000000;
	rq.n_columns = 20;
	check_map(p, &rq);
	check_map(p, &rq);
	ck_assert_uint_eq(made, 6 * EPOCHS);
	profiles_close(p);
}
END_TEST

/* However many questions of different kinds there are. */
START_TEST(what_is_kept_has_its_room_in_memory)
{
	enum { MEMORY = 4 << 20 };
	int64_t from_us, to_us;
	struct profiles *p = make_profiles(MEMORY, &from_us, &to_us);
	struct heat_request rq = {.column_us = 1000000, .n_rows = 50, .filter.cpu = -1};
	struct profiles_stats st;
	unsigned before;

	rq.from_us = from_us - 3200000;
	rq.n_columns = (uint32_t)((to_us - from_us) / 1000000) + 8;
	made = 0;
	for (uint32_t i = 0; i < 40; i++) {
		rq.n_rows = 20 + 10 * i;
		check_map(p, &rq); /* read as they are, epochs want the same room */
		profiles_stats(p, &st);
		ck_assert_uint_le(st.memory_bytes, MEMORY / 2);
	}
	ck_assert_uint_eq(made, 40 * EPOCHS);
	rq.n_rows = 200; /* of which all find room at once */
	for (int i = 0; i < 2; i++) {
		before = made;
		heat_free(heat_range(p, &rq, true));
	}
	ck_assert_uint_eq(made, before); /* the newest is there now */
	profiles_close(p);
}
END_TEST

int main(void)
{
	TCase *t = tcase_create("memo");

	tcase_set_timeout(t, 60);
	tcase_add_test(t, trees_of_what_is_kept_are_the_same);
	tcase_add_test(t, maps_of_what_is_kept_are_the_same);
	tcase_add_test(t, what_is_kept_has_its_room_in_memory);
	return support_run_case("memo", t);
}
