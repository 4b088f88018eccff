/* Epochs: what goes in comes out, and what was damaged does not. */
#include "stacks_lab.h"
#include "support.h"

#include "stacks/epoch.h"

/* Where it is, and about how many votes it has. */
static unsigned long long place(const struct stacks_place *p)
{
	return p->votes ? (unsigned long long)p->off << 8 | (32u - __builtin_clz(p->votes)) : 0;
}

/* A sample in words, so that sets with other indices can be compared. */
static int describe(const struct stacks *s, const struct stacks_sample *x, char *to, size_t size)
{
	const struct stacks_task *t = &s->tasks[x->task];
	char buf[300];
	int n = snprintf(to, size, "%lld %u %u %u %u|%u %u %s %s %s|", (long long)x->at_us,
			 x->weight_us, x->cpu, x->kind, x->flags, t->pid, t->tid,
			 stacks_text(s, t->comm), stacks_text(s, t->process),
			 stacks_text(s, t->cgroup));

	for (uint32_t i = x->node; i && n < (int)size; i = s->nodes[i].parent) {
		const struct stacks_frame *f = &s->frames[s->nodes[i].frame];
		const struct stacks_module *m = &s->modules[f->module];

		ck_assert_uint_lt(s->nodes[i].parent, i);
		n += snprintf(to + n, size - n, "%s %llx %llx %llx %u %d %s %s;",
			      stacks_frame_name(s, s->nodes[i].frame, buf, sizeof(buf)),
			      (unsigned long long)f->addr, place(&f->self), place(&f->call),
			      f->type, f->missed, stacks_text(s, m->name),
			      stacks_text(s, m->build_id));
	}
	return n;
}

static int by_text(const void *a, const void *b)
{
	return strcmp(*(char *const *)a, *(char *const *)b);
}

static char **describe_all(const struct stacks *s)
{
	char **all = calloc(s->n_samples + 1, sizeof(*all)), buf[20000];

	for (uint32_t i = 0; i < s->n_samples; i++) {
		ck_assert_int_lt(describe(s, &s->samples[i], buf, sizeof(buf)), (int)sizeof(buf));
		all[i] = strdup(buf);
	}
	qsort(all, s->n_samples, sizeof(*all), by_text);
	return all;
}

static void check_same(const struct stacks *a, const struct stacks *b)
{
	char **x = describe_all(a), **y = describe_all(b);

	ck_assert_uint_eq(a->n_samples, b->n_samples);
	for (uint32_t i = 0; i < a->n_samples; i++) {
		if (strcmp(x[i], y[i]) != 0)
			ck_abort_msg("sample %u:\n%s\n%s", i, x[i], y[i]);
		free(x[i]);
		free(y[i]);
	}
	free(x);
	free(y);
	ck_assert_str_eq(a->boot_id, b->boot_id);
	ck_assert_int_eq(a->real_off_us, b->real_off_us);
	ck_assert_int_eq(a->from_us, b->from_us);
	ck_assert_int_eq(a->to_us, b->to_us);
	ck_assert_uint_eq(a->hz, b->hz);
	ck_assert_uint_eq(a->n_cpus, b->n_cpus);
	ck_assert_uint_eq(a->has_cpu, b->has_cpu);
	ck_assert_uint_eq(a->has_time, b->has_time);
	ck_assert_uint_eq(a->n_notes, b->n_notes);
	for (uint32_t i = 0; i < a->n_notes; i++) {
		ck_assert_int_eq(a->notes[i].at_us, b->notes[i].at_us);
		ck_assert_uint_eq(a->notes[i].n, b->notes[i].n);
		ck_assert_uint_eq(a->notes[i].cpu, b->notes[i].cpu);
		ck_assert_uint_eq(a->notes[i].kind, b->notes[i].kind);
	}
}

static struct stacks *make(uint64_t seed, uint32_t n)
{
	struct stacks_lab l = {
		.rnd = seed * 77 + 1,
		.n_cpus = 1 + seed % 9,
		.hz = seed % 3 ? 99 : 997,
		.n_programs = 1 + seed % 6,
		.n_functions = 5 + seed * 13 % 200,
		.depth = 2 + seed % 20,
		.spread = seed * 37 % 500,
		.life = seed % 2 ? 20 : 0,
		.off = seed % 4 ? 100 : 0,
		.named = seed % 5 != 0,
	};
	struct stacks *s = stacks_new();

	snprintf(s->boot_id, sizeof(s->boot_id), "boot-%llu", (unsigned long long)seed);
	s->real_off_us = 1700000000000000;
	lab_begin(&l, s);
	lab_fill(&l, s, n);
	lab_end(&l);
	for (uint32_t i = 0; i < seed % 7; i++)
		ck_assert_int_eq(
			stacks_note(s,
				    &(struct stacks_note){.at_us = s->from_us + i * 1000 - 500,
							  .n = 1ull << i * 9,
							  .cpu = (uint16_t)(i % 3),
							  .kind = (uint8_t)(STACKS_LOST + i % 4)}),
			0);
	for (uint32_t i = 0; i < s->n_frames; i++)
		s->frames[i].missed = !s->frames[i].name && i % 3 == 0;
	return s;
}

START_TEST(what_goes_in_comes_out)
{
	for (uint64_t seed = 0; seed < 40; seed++) {
		struct stacks *s = make(seed, seed * seed), *back;
		uint8_t *data, *again;
		struct epoch_head h;
		size_t len, len2;

		ck_assert_int_eq(epoch_encode(s, &data, &len), 0);
		ck_assert_int_eq(epoch_head(data, len, &h), 0);
		ck_assert_uint_eq(h.n_samples, s->n_samples);
		ck_assert_int_eq(h.from_us, s->from_us);
		ck_assert_int_eq(h.to_us, s->to_us);
		ck_assert_uint_eq(h.hz, s->hz);
		ck_assert_str_eq(h.boot_id, s->boot_id);
		ck_assert_int_eq(epoch_decode(data, len, &back), 0);
		check_same(s, back);
		for (uint32_t i = 1; i < back->n_samples; i++)
			ck_assert_int_ge(back->samples[i].at_us, back->samples[i - 1].at_us);
		ck_assert_int_eq(epoch_encode(back, &again, &len2), 0);
		ck_assert_uint_eq(len, len2);
		ck_assert_mem_eq(data, again, len);
		free(data);
		free(again);
		stacks_free(s);
		stacks_free(back);
	}
}
END_TEST

START_TEST(a_decoded_set_goes_on_interning)
{
	struct stacks *s = make(9, 500), *back;
	uint32_t n_strings, n_nodes, n_frames, n_tasks, n_modules;
	uint8_t *data;
	size_t len;

	ck_assert_int_eq(epoch_encode(s, &data, &len), 0);
	ck_assert_int_eq(epoch_decode(data, len, &back), 0);
	n_strings = back->n_strings;
	n_nodes = back->n_nodes;
	n_frames = back->n_frames;
	n_tasks = back->n_tasks;
	n_modules = back->n_modules;
	for (uint32_t i = 0; i < n_strings; i++)
		ck_assert_uint_eq(
			stacks_string(back, stacks_text(back, i), strlen(stacks_text(back, i))), i);
	for (uint32_t i = 0; i < n_modules; i++)
		ck_assert_uint_eq(stacks_module(back, stacks_text(back, back->modules[i].name),
						stacks_text(back, back->modules[i].build_id)),
				  i);
	for (uint32_t i = 0; i < n_frames; i++)
		ck_assert_uint_eq(stacks_frame(back, &back->frames[i]), i);
	for (uint32_t i = 1; i < n_nodes; i++)
		ck_assert_uint_eq(stacks_node(back, back->nodes[i].parent, back->nodes[i].frame),
				  i);
	for (uint32_t i = 0; i < n_tasks; i++)
		ck_assert_uint_eq(stacks_task(back, &back->tasks[i]), i);
	ck_assert_int_eq(stacks_merge(back, s), 0);
	ck_assert_uint_eq(back->n_nodes, n_nodes);
	ck_assert_uint_eq(back->n_samples, 2 * s->n_samples);
	free(data);
	stacks_free(s);
	stacks_free(back);
}
END_TEST

START_TEST(damage_is_refused)
{
	struct stacks *s = make(7, 100), *back = NULL;
	struct epoch_head h;
	uint8_t *data;
	size_t len;

	ck_assert_int_eq(epoch_encode(s, &data, &len), 0);
	for (size_t i = 0; i < len * 8; i += i < 1000 ? 1 : 61) {
		int r;

		data[i / 8] ^= (uint8_t)(1 << i % 8);
		r = epoch_decode(data, len, &back);
		ck_assert_msg(r == -EBADMSG, "bit %zu: %d", i, r);
		ck_assert_int_lt(epoch_head(data, len, &h), 0);
		data[i / 8] ^= (uint8_t)(1 << i % 8);
	}
	for (size_t n = 0; n < len; n++)
		ck_assert_int_eq(epoch_decode(data, n, &back), -EBADMSG);
	ck_assert_ptr_null(back);
	free(data);
	stacks_free(s);
}
END_TEST

START_TEST(nothing_is_an_epoch_too)
{
	struct stacks *s = stacks_new(), *back;
	uint8_t *data;
	size_t len;

	s->from_us = -5;
	s->to_us = 7;
	ck_assert_int_eq(epoch_encode(s, &data, &len), 0);
	ck_assert_int_eq(epoch_decode(data, len, &back), 0);
	check_same(s, back);
	ck_assert_uint_eq(back->n_nodes, 1);
	ck_assert_uint_eq(back->n_tasks, 1);
	free(data);
	stacks_free(s);
	stacks_free(back);
}
END_TEST

START_TEST(where_a_stretch_began_is_in_the_head)
{
	struct stacks *s = stacks_new();
	struct stacks_sample x = {.at_us = 1500, .weight_us = 900, .kind = STACKS_OFF};
	struct epoch_head h;
	uint8_t *data;
	size_t len;

	s->from_us = 1000;
	s->to_us = 2000;
	ck_assert_int_eq(stacks_add(s, &x), 0);
	ck_assert_int_eq(epoch_encode(s, &data, &len), 0);
	ck_assert_int_eq(epoch_head(data, len, &h), 0);
	ck_assert_int_eq(h.reach_us, 600);
	free(data);
	stacks_free(s);
}
END_TEST

START_TEST(extremes_come_back)
{
	struct stacks *s = stacks_new(), *back;
	uint8_t *data;
	size_t len;

	s->from_us = -INT64_MAX / 4;
	s->to_us = INT64_MAX / 4;
	s->hz = UINT32_MAX;
	s->n_cpus = UINT16_MAX;
	s->has_cpu = false;
	for (uint32_t i = 0; i < 4; i++) {
		struct stacks_frame f = {.addr = i % 2 ? UINT64_MAX - i : i,
					 .module = stacks_module(s, "m", NULL),
					 .type = i % 4};
		struct stacks_task t = {.pid = UINT32_MAX - i, .tid = i};
		struct stacks_sample x = {.at_us = i % 2 ? s->from_us : s->to_us,
					  .weight_us = i % 2 ? UINT32_MAX : 0,
					  .cpu = i % 2 ? UINT16_MAX : 0,
					  .kind = i / 2,
					  .flags = 0x57};

		f.name = stacks_string(s, i % 2 ? "x" : "\xff\xfe", 2);
		x.node = stacks_node(s, 0, stacks_frame(s, &f));
		x.task = stacks_task(s, &t);
		ck_assert_int_eq(stacks_add(s, &x), 0);
	}
	ck_assert_int_eq(epoch_encode(s, &data, &len), 0);
	ck_assert_int_eq(epoch_decode(data, len, &back), 0);
	check_same(s, back);
	free(data);
	stacks_free(s);
	stacks_free(back);
}
END_TEST

/* Of all samples in words. */
static uint32_t digest(const struct stacks *s)
{
	char **all = describe_all(s);
	uint32_t h = 2166136261u;

	for (uint32_t i = 0; i < s->n_samples; i++) {
		for (const char *p = all[i]; *p; p++)
			h = (h ^ (uint8_t)*p) * 16777619u;
		free(all[i]);
	}
	free(all);
	return h;
}

/* tests/fixtures/epochs/version1 is a set as made here, of 300 samples, as it was stored before frames had places. */
START_TEST(an_epoch_of_version_1_is_still_read)
{
	struct stacks *old, *back;
	static uint8_t data[1 << 16];
	FILE *f = fopen(FIXTURES "/epochs/version1", "rb");
	size_t len = f ? fread(data, 1, sizeof(data), f) : 0;
	uint8_t *again;

	ck_assert_ptr_nonnull(f);
	fclose(f);
	ck_assert_uint_eq(data[20], 1);
	ck_assert_int_eq(epoch_decode(data, len, &old), 0);
	ck_assert_uint_eq(old->n_samples, 300);
	ck_assert_uint_eq(old->n_notes, 3);
	ck_assert_uint_eq(digest(old), 2168716005u);
	for (uint32_t i = 0; i < old->n_frames; i++)
		ck_assert_uint_eq(old->frames[i].self.votes + old->frames[i].call.votes, 0);
	ck_assert_int_eq(epoch_encode(old, &again, &len), 0);
	ck_assert_uint_eq(again[20], 2);
	ck_assert_int_eq(epoch_decode(again, len, &back), 0);
	check_same(old, back);
	free(again);
	stacks_free(old);
	stacks_free(back);
}
END_TEST

int main(void)
{
	const TTest *const tests[] = {
		what_goes_in_comes_out,
		a_decoded_set_goes_on_interning,
		damage_is_refused,
		nothing_is_an_epoch_too,
		extremes_come_back,
		where_a_stretch_began_is_in_the_head,
		an_epoch_of_version_1_is_still_read,
	};

	return support_run("epoch", tests, sizeof(tests) / sizeof(*tests));
}
