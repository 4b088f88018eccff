/* Trees, charts and lists of tasks, against a slow way of making them. */
#include "stacks_lab.h"
#include "support.h"

#include "stacks/fold.h"

/* ---- the slow way: every prefix of every stack, as text ---- */

struct slow_node {
	char *path;
	uint64_t total[2], self[2];
};
struct slow {
	struct slow_node *v;
	size_t n;
	uint64_t n_samples[2], weight_us[2];
	struct {
		char name[32];
		uint32_t pid;
	} processes[1024];
	size_t n_processes;
};

static struct slow_node *slow_find(struct slow *s, const char *path)
{
	for (size_t i = 0; i < s->n; i++)
		if (strcmp(s->v[i].path, path) == 0)
			return &s->v[i];
	if (s->n % 64 == 0)
		s->v = realloc(s->v, (s->n + 64) * sizeof(*s->v));
	s->v[s->n] = (struct slow_node){.path = strdup(path)};
	return &s->v[s->n++];
}

static void slow_free(struct slow *s)
{
	for (size_t i = 0; i < s->n; i++)
		free(s->v[i].path);
	free(s->v);
}

static void slow_process(struct slow *s, const char *name, uint32_t pid)
{
	for (size_t i = 0; i < s->n_processes; i++)
		if (s->processes[i].pid == pid && strcmp(s->processes[i].name, name) == 0)
			return;
	ck_assert_uint_lt(s->n_processes, sizeof(s->processes) / sizeof(*s->processes));
	s->processes[s->n_processes].pid = pid;
	snprintf(s->processes[s->n_processes++].name, 32, "%s", name);
}

/* "program 12" or "program ×3" without what follows the name, which is checked. */
static void slow_is_process(const struct slow *s, char *label)
{
	char *end = strrchr(label, ' '), want[64];
	uint32_t n = 0, pid = 0;

	ck_assert_ptr_nonnull(end);
	*end = 0;
	for (size_t i = 0; i < s->n_processes; i++)
		if (strcmp(s->processes[i].name, label) == 0) {
			n++;
			pid = s->processes[i].pid;
		}
	snprintf(want, sizeof(want), n > 1 ? "\u00d7%u" : "%u", n > 1 ? n : pid);
	ck_assert_str_eq(end + 1, want);
}

static void slow_stack(struct slow *s, const struct stacks *from, const struct stacks_sample *x,
		       const struct fold_request *q, uint64_t weight, unsigned side)
{
	const struct stacks_task *t = &from->tasks[x->task];
	uint32_t nodes[500], n = 0;
	char path[20000] = "", buf[300];
	int len = 0;
	struct slow_node *to;

	for (uint32_t i = x->node; i; i = from->nodes[i].parent)
		nodes[n++] = i;
	slow_find(s, "")->total[side] += weight;
	if (q->by_process) {
		len += sprintf(path + len, "/%s||%d", stacks_text(from, t->process), STACKS_TYPES);
		slow_process(s, stacks_text(from, t->process), t->pid);
		slow_find(s, path)->total[side] += weight;
	}
	if (q->by_thread) {
		len += sprintf(path + len, "/%s %u||%d", stacks_text(from, t->comm), t->tid,
			       STACKS_TYPES);
		slow_find(s, path)->total[side] += weight;
	}
	while (n-- > 0) {
		uint32_t f = from->nodes[nodes[n]].frame;

		len += sprintf(path + len, "/%s|%s|%d",
			       stacks_frame_name(from, f, buf, sizeof(buf)),
			       stacks_frame_module(from, f), from->frames[f].type);
		slow_find(s, path)->total[side] += weight;
	}
	to = slow_find(s, path);
	to->self[side] += weight;
}

static bool slow_passes(const struct stacks *s, const struct stacks_sample *x,
			const struct stacks_filter *f)
{
	const struct stacks_task *t = &s->tasks[x->task];
	const char *cgroup = stacks_text(s, t->cgroup);

	return x->kind == f->kind && !(x->flags & STACKS_IDLE) &&
	       (f->cpu < 0 || x->cpu == f->cpu) && (!f->pid || t->pid == f->pid) &&
	       (!f->tid || t->tid == f->tid) &&
	       (!f->process || strcmp(stacks_text(s, t->process), f->process) == 0) &&
	       (!f->cgroup || strncmp(cgroup, f->cgroup, strlen(f->cgroup)) == 0) &&
	       (x->kind != STACKS_OFF ||
		(x->weight_us >= f->min_us && (!f->classes || f->classes >> (x->flags >> 4) & 1)));
}

static void slow_add(struct slow *s, const struct stacks *from, const struct fold_request *q)
{
	for (uint32_t i = 0; i < from->n_samples; i++) {
		const struct stacks_sample *x = &from->samples[i];

		for (size_t k = 0; k < q->n_ranges + q->n_base; k++) {
			unsigned side = k >= q->n_ranges;
			const struct stacks_range *r =
				side ? &q->base[k - q->n_ranges] : &q->ranges[k];
			uint64_t weight = 0;

			if (!slow_passes(from, x, &q->filter))
				continue;
			for (int64_t us = x->at_us - x->weight_us;
			     x->kind == STACKS_OFF && us < x->at_us; us++)
				weight += us >= r->from_us && us < r->to_us;
			if (x->kind == STACKS_CPU && x->at_us >= r->from_us && x->at_us < r->to_us)
				weight = x->weight_us;
			if (!weight)
				continue;
			s->n_samples[side]++;
			s->weight_us[side] += weight;
			slow_stack(s, from, x, q, weight, side);
		}
	}
}

/* ---- comparing ---- */

static void path_of(const struct fold_tree *t, uint32_t i, char *to, const struct slow *s)
{
	const struct fold_node *n = &t->nodes[i];

	if (!i) {
		*to = 0;
		return;
	}
	path_of(t, n->parent, to, s);
	if (n->depth == 1 && s && s->n_processes) {
		char name[100];

		snprintf(name, sizeof(name), "%s", t->text + t->strings[n->name]);
		slow_is_process(s, name);
		sprintf(to + strlen(to), "/%s||%d", name, n->type);
		return;
	}
	sprintf(to + strlen(to), "/%s|%s|%d", t->text + t->strings[n->name],
		t->text + t->strings[n->module], n->type);
}

static void check_order(const struct fold_tree *t)
{
	for (uint32_t i = 1; i < t->n_nodes; i++) {
		const struct fold_node *n = &t->nodes[i], *before = &t->nodes[i - 1];

		ck_assert_uint_lt(n->parent, i);
		ck_assert_uint_eq(n->depth, t->nodes[n->parent].depth + 1);
		if (n->parent == i - 1)
			continue;
		while (before->parent !=
		       n->parent) /* depth first: its sibling is above the one before */
			before = &t->nodes[before->parent];
		ck_assert_int_le(
			strcmp(t->text + t->strings[before->name], t->text + t->strings[n->name]),
			0);
	}
}

static void check_tree(const struct fold_tree *t, struct slow *s, bool all)
{
	char path[20000];

	check_order(t);
	for (uint32_t i = 0; i < t->n_nodes; i++) {
		const struct fold_node *n = &t->nodes[i];
		struct slow_node *want;

		path_of(t, i, path, s);
		want = slow_find(s, path);
		ck_assert_msg(n->total_us == want->total[0] && n->base_total_us == want->total[1] &&
				      n->self_us == want->self[0] &&
				      n->base_self_us == want->self[1],
			      "%s: %lu %lu %lu %lu, not %lu %lu %lu %lu", path, n->total_us,
			      n->base_total_us, n->self_us, n->base_self_us, want->total[0],
			      want->total[1], want->self[0], want->self[1]);
	}
	if (all)
		ck_assert_uint_eq(t->n_nodes, s->n ? s->n : 1);
	ck_assert_uint_eq(t->sum.n, s->n_samples[0]);
	ck_assert_uint_eq(t->sum.weight_us, s->weight_us[0]);
	ck_assert_uint_eq(t->base.n, s->n_samples[1]);
	ck_assert_uint_eq(t->base.weight_us, s->weight_us[1]);
}

static bool all_differ; /* no two functions are called alike */

static struct stacks *make(uint64_t seed, uint32_t n, unsigned off)
{
	struct stacks_lab l = {.rnd = seed,
			       .n_cpus = 3,
			       .n_programs = 3,
			       .n_functions = 12,
			       .depth = 6,
			       .spread = 300,
			       .life = seed % 2 ? 60 : 0,
			       .off = off,
			       .named = true,
			       .at_us = 1000000 + (int64_t)(seed % 3) * 700000};
	struct stacks *s = stacks_new();

	lab_begin(&l, s);
	for (uint32_t i = 1; !all_differ && i < s->n_frames;
	     i += 5) /* functions that are called alike, or not at all */
		s->frames[i].name = i % 2 ? s->frames[i - 1].name : 0;
	lab_fill(&l, s, n);
	lab_end(&l);
	for (uint32_t i = 0; i < s->n_samples; i++)
		if (s->samples[i].kind == STACKS_OFF)
			s->samples[i].weight_us %= 5000;
	return s;
}

static struct fold_tree *fold_all(const struct fold_request *q, struct stacks *const *s, size_t n)
{
	struct fold_tree *t;
	struct fold *f;

	ck_assert_int_eq(fold_begin(&f, q), 0);
	for (size_t i = 0; i < n; i++)
		ck_assert_int_eq(fold_add(f, s[i]), 0);
	ck_assert_int_eq(fold_finish(f, &t), 0);
	return t;
}

static void set_ranges(struct fold_request *q, uint64_t seed, const struct stacks *s)
{
	int64_t span = s->to_us - s->from_us;

	q->n_ranges = 1 + seed % 3;
	for (size_t i = 0; i < q->n_ranges; i++)
		q->ranges[i] = (struct stacks_range){s->from_us + span * (int64_t)i / 5,
						     s->from_us + span * (int64_t)(i + 1) / 5 -
							     (int64_t)(seed % 2) * 20000};
	q->n_base = seed / 2 % 2;
	q->base[0] = (struct stacks_range){s->from_us + span * 3 / 5, s->to_us};
}

START_TEST(trees_are_what_the_slow_way_makes)
{
	for (uint64_t seed = 0; seed < 48; seed++) {
		struct stacks *s[2] = {make(seed + 1, 60 + seed * 9 % 400, 200),
				       make(seed + 2, 150, 100)};
		struct fold_request q = {.filter = {.kind = seed % 4 == 3 ? STACKS_OFF : STACKS_CPU,
						    .cpu = seed % 7 == 1 ? 1 : -1}};
		size_t n = 1 + seed / 4 % 2;
		struct slow slow = {0};
		struct fold_tree *t;

		set_ranges(&q, seed, s[0]);
		q.by_process = seed / 3 % 2;
		q.by_thread = seed / 5 % 2;
		t = fold_all(&q, s, n);
		for (size_t i = 0; i < n; i++)
			slow_add(&slow, s[i], &q);
		slow_find(&slow, "");
		check_tree(t, &slow, true);
		ck_assert_uint_eq(t->left_out, 0);
		fold_tree_free(t);
		slow_free(&slow);
		stacks_free(s[0]);
		stacks_free(s[1]);
	}
}
END_TEST

/* The end of a stretch off the CPU may become known long after it. */
START_TEST(late_stretches_are_in_their_ranges)
{
	for (uint64_t seed = 0; seed < 40; seed++) {
		struct stacks *s = make(seed + 3, 4000, 100 + seed % 5 * 100); /* 20 s */
		struct fold_request q = {
			.filter = {.kind = seed % 2 ? STACKS_OFF : STACKS_CPU, .cpu = -1}};
		struct slow slow = {0};
		struct fold_tree *t;
		uint64_t rnd = seed;

		for (uint32_t i = 0; i < s->n_samples; i++)
			if (s->samples[i].kind == STACKS_OFF)
				s->samples[i].at_us -= lab_random(&rnd) % STACKS_OFF_LATE_US;
		q.n_ranges = 1;
		q.ranges[0].from_us = s->from_us + (int64_t)(lab_random(&rnd) % 18000000);
		q.ranges[0].to_us = q.ranges[0].from_us + 300000;
		t = fold_all(&q, &s, 1);
		slow_add(&slow, s, &q);
		slow_find(&slow, "");
		check_tree(t, &slow, true);
		fold_tree_free(t);
		slow_free(&slow);
		stacks_free(s);
	}
}
END_TEST

START_TEST(filters_leave_out_what_does_not_pass)
{
	struct stacks *s = make(5, 800, 300);
	struct stacks_filter filters[] = {
		{.cpu = 2},
		{.cpu = -1, .pid = s->tasks[s->samples[0].task].pid},
		{.cpu = -1, .tid = s->tasks[s->samples[0].task].tid},
		{.cpu = -1, .process = "program1"},
		{.cpu = -1, .cgroup = "system.slice/unit-1.service"},
		{.cpu = -1, .cgroup = "system.slice"},
		{.cpu = -1, .kind = STACKS_OFF, .min_us = 3000},
		{.cpu = -1, .kind = STACKS_OFF, .classes = 1 << STACKS_DISK | 1 << STACKS_RUNQ},
	};

	s->samples[3].flags |= STACKS_IDLE;
	for (size_t i = 0; i < sizeof(filters) / sizeof(*filters); i++) {
		struct fold_request q = {.n_ranges = 1, .filter = filters[i]};
		struct slow slow = {0};
		struct fold_tree *t;

		q.ranges[0] = (struct stacks_range){s->from_us, s->to_us};
		t = fold_all(&q, &s, 1);
		slow_add(&slow, s, &q);
		slow_find(&slow, "");
		check_tree(t, &slow, true);
		ck_assert_msg(t->sum.n > 0 && t->sum.n < s->n_samples, "filter %zu: %lu", i,
			      t->sum.n);
		fold_tree_free(t);
		slow_free(&slow);
	}
	stacks_free(s);
}
END_TEST

START_TEST(a_cgroup_is_no_prefix_of_another_name)
{
	struct stacks *s = make(5, 800, 0);
	struct fold_request q = {.n_ranges = 1, .filter = {.cpu = -1, .cgroup = "system.sl"}};
	struct fold_tree *t;

	q.ranges[0] = (struct stacks_range){s->from_us, s->to_us};
	t = fold_all(&q, &s, 1);
	ck_assert_uint_eq(t->sum.n, 0);
	ck_assert_uint_eq(t->n_nodes, 1);
	fold_tree_free(t);
	q.filter.cgroup = "/";
	q.ranges[0].to_us += 1000000;
	t = fold_all(&q, &s, 1);
	ck_assert_uint_eq(t->sum.n, 800);
	fold_tree_free(t);
	stacks_free(s);
}
END_TEST

START_TEST(what_is_left_out_is_the_lightest)
{
	all_differ = true;
	for (uint64_t seed = 0; seed < 12; seed++) {
		struct stacks *s = make(seed + 3, 900, 0);
		struct fold_request q = {.n_ranges = 1, .filter = {.cpu = -1}};
		struct slow slow = {0};
		uint64_t least = UINT64_MAX, heavier = 0;
		struct fold_tree *t;

		q.ranges[0] = (struct stacks_range){s->from_us, s->to_us};
		q.by_process = seed % 2;
		q.max_nodes = 40 + (uint32_t)seed * 11;
		t = fold_all(&q, &s, 1);
		slow_add(&slow, s, &q);
		check_tree(t, &slow, false);
		ck_assert_uint_le(t->n_nodes, q.max_nodes);
		ck_assert_uint_ge(t->n_nodes, q.max_nodes / 2);
		ck_assert_uint_eq(t->n_nodes + t->left_out, slow.n);
		for (uint32_t i = 0; i < t->n_nodes; i++)
			least = t->nodes[i].total_us < least ? t->nodes[i].total_us : least;
		for (size_t i = 0; i < slow.n; i++)
			heavier += slow.v[i].total[0] > least;
		ck_assert_uint_le(heavier, t->n_nodes);
		fold_tree_free(t);
		slow_free(&slow);
		stacks_free(s);
	}
}
END_TEST

/* A process of few samples beside a busy one has all of its stacks, where the tree has room for them. */
START_TEST(nothing_is_left_out_of_what_has_room)
{
	enum { BUSY = 30000, RARE = 40, DEPTH = 120 };
	struct stacks *s = stacks_new();
	struct fold_request q = {
		.n_ranges = 1, .filter = {.cpu = -1}, .by_process = true, .ranges = {{0, BUSY}}};
	struct stacks_sample one = {.weight_us = 1};
	struct stacks_frame frame = {0};
	uint32_t tasks[2], frames[DEPTH];
	struct fold_tree *t;
	uint64_t self_us = 0;
	char name[16];

	s->to_us = BUSY;
	for (uint32_t i = 0; i < DEPTH; i++) {
		snprintf(name, sizeof(name), "f%u", i);
		frame.name = stacks_string(s, name, strlen(name));
		frames[i] = stacks_frame(s, &frame);
	}
	for (uint32_t i = 0; i < 2; i++) {
		uint32_t comm = stacks_string(s, i ? "rare" : "busy", 4);

		tasks[i] = stacks_task(
			s, &(struct stacks_task){
				   .pid = i + 1, .tid = i + 1, .comm = comm, .process = comm});
	}
	for (uint32_t i = 0; i < BUSY; i++) {
		bool rare = i % (BUSY / RARE) == 0;

		one.at_us = i;
		one.task = tasks[rare];
		one.node = 0;
		for (uint32_t d = 0; d < (rare ? DEPTH : 1); d++)
			one.node =
				stacks_node(s, one.node, frames[(d + i / (BUSY / RARE)) % DEPTH]);
		ck_assert_int_eq(stacks_add(s, &one), 0);
	}
	t = fold_all(&q, &s, 1);
	ck_assert_uint_eq(t->left_out, 0);
	for (uint32_t i = 0; i < t->n_nodes; i++)
		self_us += t->nodes[i].self_us;
	ck_assert_uint_eq(self_us, BUSY);
	fold_tree_free(t);
	stacks_free(s);
}
END_TEST

/* ---- elided ---- */

START_TEST(elided_trees_have_the_lost_stacks_only)
{
	for (uint64_t seed = 0; seed < 12; seed++) {
		struct stacks *s = make(seed + 3, 500, 0);
		struct fold_request q = {.n_ranges = 1, .n_base = 1, .filter = {.cpu = -1}};
		int64_t mid_us = (s->from_us + s->to_us) / 2;
		struct slow slow = {0};
		struct fold_tree *t;
		size_t lost = 0, have = 0;
		char path[20000];

		q.ranges[0] = (struct stacks_range){s->from_us, mid_us};
		q.base[0] = (struct stacks_range){mid_us, s->to_us};
		q.elided = true;
		q.by_process = seed % 2;
		t = fold_all(&q, &s, 1);
		check_order(t);
		slow_add(&slow, s, &q);
		for (size_t i = 0; i < slow.n; i++)
			lost += !slow.v[i].total[0] && slow.v[i].total[1];
		for (uint32_t i = 1; i < t->n_nodes; i++) {
			const struct fold_node *n = &t->nodes[i];
			const struct slow_node *want;

			path_of(t, i, path, &slow);
			want = slow_find(&slow, path);
			ck_assert_uint_eq(n->total_us, want->total[0]);
			if (!want->total[0]) {
				have++;
				ck_assert_uint_eq(n->base_total_us, want->total[1]);
				ck_assert_uint_eq(n->base_self_us, want->self[1]);
			} else { /* what is above a lost stack */
				ck_assert_uint_gt(n->base_total_us, 0);
				ck_assert_uint_le(n->base_total_us, want->total[1]);
				ck_assert_uint_eq(n->base_self_us, 0);
			}
		}
		ck_assert_uint_gt(lost, 0);
		ck_assert_uint_eq(have, lost);
		fold_tree_free(t);
		slow_free(&slow);
		stacks_free(s);
	}
}
END_TEST

/* ---- what is said about a range ---- */

START_TEST(rate_losses_and_cover_of_a_range_are_told)
{
	struct stacks *s = make(5, 900, 0);
	struct fold_request q = {.n_ranges = 2, .filter = {.cpu = -1}};
	const struct stacks_note notes[] = {
		{.at_us = s->from_us + 500000, .kind = STACKS_HZ, .n = 999},
		{.at_us = s->from_us + 600000, .kind = STACKS_LOST, .n = 5, .cpu = 1},
		{.at_us = s->from_us + 700000, .kind = STACKS_THROTTLED, .n = 2, .cpu = 2},
		{.at_us = s->from_us + 900000, .kind = STACKS_GAP, .n = 150000},
		{.at_us = s->from_us + 1500000, .kind = STACKS_HZ, .n = 99},
		{.at_us = s->from_us + 1900000, .kind = STACKS_LOST, .n = 70},
	};
	struct fold_tree *t;

	for (size_t i = 0; i < sizeof(notes) / sizeof(*notes); i++)
		ck_assert_int_eq(stacks_note(s, &notes[i]), 0);
	q.ranges[0] = (struct stacks_range){s->from_us - 300000, s->from_us + 100000};
	q.ranges[1] = (struct stacks_range){s->from_us + 550000, s->from_us + 1000000};
	t = fold_all(&q, &s, 1);
	ck_assert_uint_eq(t->sum.span_us, 850000);
	ck_assert_uint_eq(t->sum.covered_us, 100000 + 450000 - 150000);
	ck_assert_uint_eq(t->sum.lost, 5);
	ck_assert_uint_eq(t->sum.throttled, 2);
	ck_assert_uint_eq(t->sum.hz_min, 99);
	ck_assert_uint_eq(t->sum.hz_max, 999);
	fold_tree_free(t);
	q.n_ranges = 1;
	q.ranges[0] = q.ranges[1];
	q.filter.cpu = 2;
	t = fold_all(&q, &s, 1);
	ck_assert_uint_eq(t->sum.hz_min, 999);
	ck_assert_uint_eq(t->sum.lost, 0);
	ck_assert_uint_eq(t->sum.throttled, 2);
	fold_tree_free(t);
	stacks_free(s);
}
END_TEST

START_TEST(stacks_without_times_are_in_the_first_range)
{
	struct stacks *s = make(5, 300, 0);
	struct fold_request q = {.n_ranges = 2, .n_base = 1, .filter = {.cpu = -1}};
	struct fold_tree *t;

	s->has_time = false;
	q.ranges[0] = (struct stacks_range){5, 6};
	q.ranges[1] = (struct stacks_range){7, 9};
	q.base[0] = (struct stacks_range){1, 2};
	t = fold_all(&q, &s, 1);
	ck_assert_uint_eq(t->sum.n, 300);
	ck_assert_uint_eq(t->base.n, 0);
	fold_tree_free(t);
	stacks_free(s);
}
END_TEST

START_TEST(requests_that_make_no_sense_are_refused)
{
	struct fold_request q = {.n_ranges = 0};
	struct fold *f;

	ck_assert_int_eq(fold_begin(&f, &q), -EINVAL);
	q.n_ranges = FOLD_RANGES_MAX + 1;
	ck_assert_int_eq(fold_begin(&f, &q), -EINVAL);
	q.n_ranges = 1;
	q.ranges[0] = (struct stacks_range){2, 1};
	ck_assert_int_eq(fold_begin(&f, &q), -EINVAL);
	q.ranges[0] = (struct stacks_range){1, 2};
	q.elided = true;
	ck_assert_int_eq(fold_begin(&f, &q), -EINVAL);
}
END_TEST

/* ---- charts and tasks ---- */

START_TEST(a_chart_has_the_samples_of_its_threads_in_order)
{
	struct stacks *s = make(9, 600, 200);
	struct chart_request q = {.filter = {.cpu = -1}};
	uint32_t want = 0, first = 0;
	struct charter *charter;
	struct chart *c;

	q.from_us = s->from_us + 200000;
	q.to_us = s->from_us + 1000000;
	for (unsigned turn = 0; turn < 2; turn++) {
		q.max_samples = turn ? want / 2 : 0;
		ck_assert_int_eq(chart_begin(&charter, &q), 0);
		ck_assert_int_eq(chart_add(charter, s), 0);
		ck_assert_int_eq(chart_finish(charter, &c), 0);
		for (uint32_t i = 0; !turn && i < s->n_samples; i++)
			want += s->samples[i].kind == STACKS_CPU &&
				s->samples[i].at_us >= q.from_us && s->samples[i].at_us < q.to_us;
		ck_assert_uint_gt(want, 50);
		ck_assert_uint_eq(c->n_samples, turn ? want / 2 : want);
		ck_assert_uint_eq(c->n_samples + c->left_out, want);
		for (uint32_t i = 1; i < c->n_samples; i++)
			ck_assert(c->samples[i].tid > c->samples[i - 1].tid ||
				  c->samples[i].at_us >= c->samples[i - 1].at_us);
		for (uint32_t i = 0; i < c->n_samples; i++) {
			const struct chart_sample *x = &c->samples[i];
			uint32_t k = first = 0, node, to;

			while (s->samples[k].at_us != x->at_us || s->samples[k].cpu != x->cpu ||
			       s->samples[k].kind != STACKS_CPU)
				k++;
			node = s->samples[k].node;
			ck_assert_uint_eq(x->pid, s->tasks[s->samples[k].task].pid);
			ck_assert_str_eq(c->text + c->strings[x->comm],
					 stacks_text(s, s->tasks[s->samples[k].task].comm));
			for (to = x->node; to; to = c->nodes[to].parent) {
				char buf[300];

				ck_assert_str_eq(c->text + c->strings[c->nodes[to].name],
						 stacks_frame_name(s, s->nodes[node].frame, buf,
								   sizeof(buf)));
				node = s->nodes[node].parent;
			}
			ck_assert_uint_eq(node, 0);
		}
		chart_free(c);
	}
	stacks_free(s);
}
END_TEST

START_TEST(who_ran_most_is_first)
{
	struct stacks *s[2] = {make(9, 900, 0), make(10, 300, 0)};
	struct fold_request q = {.n_ranges = 1, .n_base = 1, .filter = {.cpu = -1}};
	uint64_t n = 0, base = 0;
	struct tasks_row *rows;
	struct tasks *tasks;
	size_t n_rows;

	q.ranges[0] = (struct stacks_range){s[0]->from_us, s[0]->from_us + 1000000};
	q.base[0] = (struct stacks_range){s[0]->from_us + 1000000, s[0]->to_us};
	for (unsigned threads = 0; threads < 2; threads++) {
		ck_assert_int_eq(tasks_begin(&tasks, &q, threads), 0);
		ck_assert_int_eq(tasks_add(tasks, s[0]), 0);
		ck_assert_int_eq(tasks_add(tasks, s[1]), 0);
		ck_assert_int_eq(tasks_finish(tasks, 1000, &rows, &n_rows), 0);
		ck_assert_uint_gt(n_rows, 5);
		for (size_t i = n = base = 0; i < n_rows; i++) {
			ck_assert(!i || rows[i].weight_us <= rows[i - 1].weight_us);
			ck_assert_uint_eq(rows[i].weight_us, rows[i].n * 10101);
			ck_assert_uint_eq(rows[i].tid != 0, threads);
			ck_assert_int_eq(strncmp(rows[i].comm, "program", 7), 0);
			ck_assert_int_eq(strncmp(rows[i].cgroup, "system.slice/", 13), 0);
			n += rows[i].n;
			base += rows[i].base_us;
			for (size_t k = 0; k < i; k++)
				ck_assert(rows[k].pid != rows[i].pid ||
					  rows[k].tid != rows[i].tid ||
					  strcmp(rows[k].comm, rows[i].comm) != 0);
		}
		tasks_free(rows, n_rows);
	}
	for (unsigned k = 0; k < 2; k++)
		for (uint32_t i = 0; i < s[k]->n_samples; i++) {
			int64_t at_us = s[k]->samples[i].at_us;

			n -= at_us >= q.ranges[0].from_us && at_us < q.ranges[0].to_us;
			base -= at_us >= q.base[0].from_us && at_us < q.base[0].to_us ? 10101 : 0;
		}
	ck_assert_uint_eq(n, 0);
	ck_assert_uint_eq(base, 0);
	ck_assert_int_eq(tasks_begin(&tasks, &q, false), 0);
	ck_assert_int_eq(tasks_add(tasks, s[0]), 0);
	ck_assert_int_eq(tasks_finish(tasks, 3, &rows, &n_rows), 0);
	ck_assert_uint_eq(n_rows, 3);
	tasks_free(rows, n_rows);
	stacks_free(s[0]);
	stacks_free(s[1]);
}
END_TEST

int main(void)
{
	const TTest *const tests[] = {
		trees_are_what_the_slow_way_makes,
		late_stretches_are_in_their_ranges,
		filters_leave_out_what_does_not_pass,
		a_cgroup_is_no_prefix_of_another_name,
		what_is_left_out_is_the_lightest,
		nothing_is_left_out_of_what_has_room,
		elided_trees_have_the_lost_stacks_only,
		rate_losses_and_cover_of_a_range_are_told,
		stacks_without_times_are_in_the_first_range,
		requests_that_make_no_sense_are_refused,
		a_chart_has_the_samples_of_its_threads_in_order,
		who_ran_most_is_first,
	};

	return support_run("fold", tests, sizeof(tests) / sizeof(*tests));
}
