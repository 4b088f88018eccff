/* Ranges of a log on their way into a capture and out again. */
#include "capture_file.h"
#include "store/capture_log.h"
#include "store/query.h"
#include "store/restate.h"

/* ---- a log with instances that come and go ---- */

enum { N_TICKS = 1500, SECOND = 1000000 };

static const struct metric metrics[] = {
	{"t.count", "count", 1, 1, "a", "A.", SEM_COUNTER, 0, NULL},
	{"t.level", "byte", 1024, 1, "b", "B.", SEM_INSTANT, 4, NULL},
	{"t.seldom", "byte", 1, 1, "b", "B.", SEM_INSTANT, 4, NULL},
};
static const struct metric more[] = {
	{"u.count", "count", 1, 1, "a", "A.", SEM_COUNTER, 0, NULL},
	{"u.level", "byte", 1024, 1, "b", "B.", SEM_INSTANT, 4, NULL},
};
static const char *const keys[] = {"comm", "cmdline", NULL};
static const struct group groups[] = {
	{"one", NULL, metrics, 3, 0, 1, false, NULL},
	{"proc", "proc", more, 2, 0, 64, false, keys},
};

static struct log *new_log(unsigned segments)
{
	struct log_config c = {.size_bytes = (uint64_t)segments << 20, .boot_id = "b"};
	enum log_state state;
	struct log *l;
	char err[200];

	ck_assert_msg(log_open(&l, &c, &state, err, sizeof(err)) == 0, "%s", err);
	return l;
}

static void write_tick(struct feeder *f, uint64_t *random, unsigned i)
{
	struct batch *b;
	int64_t *row;

	feeder_tick(f, 10 * SECOND + (uint64_t)i * 100000 + feeder_random(random) % 900);
	row = batch_row(feeder_batch(f, 0));
	row[0] += (int64_t)(feeder_random(random) % 1000);
	row[1] = (int64_t)(feeder_random(random) % 100000) - 50000;
	row[2] = i % 97 < 5 ? VALUE_ABSENT : (int64_t)i / 300;
	feeder_group(f, 0, (int64_t)(feeder_random(random) % 500), -1);
	if (i % 3 == 0) {
		b = feeder_batch(f, 1);
		for (unsigned k = 0; k < 20; k++) {
			char name[16], comm[24];
			int n = snprintf(name, sizeof(name), "%u", k + i / 50 * (k % 4 == 1));

			row = batch_row_named(b, name, (size_t)n);
			row[0] += k;
			row[1] = (int64_t)(feeder_random(random) % 9);
			n = snprintf(comm, sizeof(comm), "c%s-%u", name, i / 400);
			batch_attr(b, (uint32_t)((row - b->rows) / b->n_metrics), 0, comm,
				   (size_t)n);
		}
		feeder_group(f, 1, 700, i == 600 ? 300 : -1);
	}
	feeder_end(f);
}

/* Segments begin now and then, as if they were full. */
static void write_log(struct feeder *f, struct log *l)
{
	uint64_t random = 1;

	feeder_open(f, l, groups, 2);
	f->mono_us = 10 * SECOND;
	feeder_segment(f);
	for (unsigned i = 0; i < N_TICKS; i++) {
		write_tick(f, &random, i);
		if (i % 431 == 430)
			feeder_segment(f);
	}
}

static void cut_range(struct log *l, uint64_t from_us, uint64_t to_us, struct memory *m)
{
	struct capture_cut_config c = {.log = l, .from_us = from_us, .to_us = to_us};
	struct capture_writer w = writer_to(m);
	struct capture_cut *cut;
	int r;

	ck_assert_int_eq(capture_cut_open(&cut, &c), 0);
	while ((r = capture_cut_step(cut, &w)) == 1)
		;
	ck_assert_int_eq(r, 0);
	capture_cut_close(cut);
	ck_assert_int_eq(capture_end(&w), 0);
}

/* Fills l with what the capture holds. The number of damaged sections. */
static unsigned fill(struct capture_fill *f, struct log *l, const struct memory *m)
{
	struct capture_reader *c;
	enum capture_type type;
	const uint8_t *data;
	struct memory in;
	unsigned damaged = 0;
	size_t n;
	int r;

	capture_fill_init(f, l);
	ck_assert_int_eq(open_mem(&c, m->p, m->len, &in), 0);
	while ((r = capture_next(c, &type, &data, &n)) != 0) {
		if (r == 1 && type == CAPTURE_FRAMES)
			ck_assert_int_eq(capture_fill_section(f, data, n), 0);
		damaged += r < 0;
	}
	capture_close(c);
	return damaged;
}

/* The log in a capture, sized as counting says. */
static struct log *log_of(const struct memory *m, unsigned *ret_damaged)
{
	struct capture_fill count, f;
	struct log *l;

	*ret_damaged = fill(&count, NULL, m);
	l = new_log(count.n_segments);
	ck_assert_uint_eq(fill(&f, l, m), *ret_damaged);
	ck_assert_uint_eq(f.n_segments, count.n_segments);
	ck_assert_uint_eq(f.n_samples, count.n_samples);
	ck_assert_uint_eq(f.n_ticks, count.n_ticks);
	capture_fill_done(&count);
	capture_fill_done(&f);
	return l;
}

static struct query_result *ask(struct log *l, const char *metric, uint64_t from, uint64_t to,
				bool raw)
{
	struct query_selector s = {.metric = metric};
	struct query_request rq = {.selectors = &s,
				   .n_selectors = 1,
				   .from_us = (int64_t)from,
				   .to_us = (int64_t)to,
				   .raw = raw};
	struct query_result *res;
	struct history *h;

	rq.points = (uint32_t)((to - from) / 50000);
	rq.points = !rq.points ? 1 : rq.points > QUERY_POINTS_MAX ? QUERY_POINTS_MAX : rq.points;
	ck_assert_int_eq(history_open(&h, &(struct history_config){.log = l, .boot_id = ""}), 0);
	ck_assert_int_eq(query_run(h, &rq, &res, NULL), 0);
	history_close(h);
	return res;
}

static const struct query_series *find(const struct query_result *r, const struct query_series *s)
{
	for (size_t i = 0; i < r->n_series; i++)
		if (r->series[i].slot == s->slot && r->series[i].gen == s->gen)
			return &r->series[i];
	return NULL;
}

/* Every point of b's series is that of a. Fewer samples may be there where `lossy`. */
static unsigned compare(struct log *a, struct log *b, uint64_t from, uint64_t to, bool lossy)
{
	static const char *const names[] = {"t.count", "t.level", "t.seldom", "u.count", "u.level"};
	unsigned n = 0;

	for (unsigned i = 0; i < 5; i++)
		for (int raw = 0; raw < 2; raw++) {
			struct query_result *x = ask(a, names[i], from, to, raw);
			struct query_result *y = ask(b, names[i], from, to, raw);
			size_t points = (to - from - 1) / x->step_us + 1;

			if (!lossy)
				ck_assert_uint_eq(x->n_series, y->n_series);
			for (size_t k = 0; k < y->n_series; k++) {
				const struct query_series *s = find(x, &y->series[k]);

				MUST(s);
				MUST(!strcmp(s->instance, y->series[k].instance));
				for (size_t p = 0; p < points; p++) {
					const struct query_point *q = &y->series[k].points[p];

					if (lossy && !q->n)
						continue;
					if (memcmp(&s->points[p], q, sizeof(*q)) != 0)
						ck_abort_msg("%s[%s] raw %d, point %zu: %u %u, "
							     "%lld %lld",
							     names[i], s->instance, raw, p,
							     s->points[p].n, q->n,
							     (long long)s->points[p].last,
							     (long long)q->last);
					n += q->n;
				}
			}
			query_free(x);
			query_free(y);
		}
	return n;
}

/* Any range of a log comes out of a capture as it was: rates from its first tick on, names, times. */
START_TEST(any_range)
{
	static const unsigned ranges[][2] = {{0, 1499},	  {3, 5},	{250, 1200}, {430, 435},
					     {431, 1000}, {1490, 1499}, {700, 700},  {40, 1499}};
	struct feeder f;
	struct log *l = new_log(8), *copy;
	struct memory m;
	unsigned damaged;

	write_log(&f, l);
	for (unsigned i = 0; i < sizeof(ranges) / sizeof(*ranges); i++) {
		uint64_t from = 10 * SECOND + ranges[i][0] * 100000ull,
			 to = 10 * SECOND + ranges[i][1] * 100000ull + 1000;

		cut_range(l, from, to, &m);
		copy = log_of(&m, &damaged);
		ck_assert_uint_eq(damaged, 0);
		ck_assert_uint_ge(compare(l, copy, from, to + 1000, false),
				  2 * 2 * (ranges[i][1] - ranges[i][0] + 1) - 1);
		log_close(copy);
		free(m.p);
	}
	feeder_close(&f);
	log_close(l);
}
END_TEST

/* Attributes, and what restate() says of a mirror is what the mirror says. */
static int apply_to(void *arg, const void *data, size_t len)
{
	return mirror_apply(arg, &(struct frame){.data = data, .len = len});
}

START_TEST(state_again)
{
	struct capture_walk w;
	struct mirror again;
	struct feeder f;
	struct log *l = new_log(8);
	struct cursor c;
	struct frame frame;
	uint64_t from, to;
	unsigned n = 0;

	write_log(&f, l);
	capture_walk_init(&w);
	ck_assert_int_eq(cursor_open_seq(&c, l, 1), 0);
	while (cursor_next(&c, &frame, &from, &to) == 1) {
		int take = capture_walk_judge(&w, &frame);

		ck_assert_int_ne(take, TAKE_NOTHING);
		ck_assert_int_eq(capture_walk_apply(&w, &frame), 0);
		if (!w.mirror.keyed || ++n % 37)
			continue;
		mirror_init(&again);
		ck_assert_int_eq(restate(&w.mirror, w.catalog, w.catalog_len, apply_to, &again), 0);
		MUST(again.tick == w.mirror.tick && again.n_groups == 2);
		for (uint32_t g = 0; g < 2; g++) {
			const struct mirror_group *a = &w.mirror.groups[g], *b = &again.groups[g];

			MUST(a->n_live == b->n_live && a->period_ms == b->period_ms);
			MUST(a->acquired_us == b->acquired_us);
			for (uint32_t s = 0; s < a->n_slots; s++) {
				const struct mirror_instance *x = &a->inst[s];
				const struct mirror_instance *y = &b->inst[s];

				if (!x->gen)
					continue;
				MUST(x->live == y->live && x->gen == y->gen);
				for (uint32_t k = 0; k < a->n_attrs; k++)
					MUST(!x->attrs[k] ? !y->attrs[k]
							  : !strcmp(x->attrs[k], y->attrs[k]));
				if (x->live)
					MUST(x->id == y->id && !strcmp(x->name, y->name));
				MUST(!memcmp(a->rows + s * a->n_metrics, b->rows + s * b->n_metrics,
					     a->n_metrics * sizeof(int64_t)));
			}
		}
		mirror_done(&again);
	}
	ck_assert_uint_gt(n, N_TICKS);
	capture_walk_done(&w);
	cursor_close(&c);
	feeder_close(&f);
	log_close(l);
}
END_TEST

/* Writes a log and meanwhile, a second at a time, a capture of it. */
static void follow_all(struct feeder *f, struct log *l, struct memory *m)
{
	struct capture_cut_config c = {
		.log = l, .from_us = 11 * SECOND, .to_us = 100 * SECOND, .follow = true};
	struct capture_cut *cut;
	struct capture_writer w;
	uint64_t random = 1;
	unsigned pieces = 0;

	feeder_open(f, l, groups, 2);
	f->mono_us = 10 * SECOND;
	feeder_segment(f);
	ck_assert_int_eq(capture_cut_open(&cut, &c), 0);
	w = writer_to(m);
	for (unsigned i = 0; i < N_TICKS; i++) {
		write_tick(f, &random, i);
		if (i % 431 == 430)
			feeder_segment(f);
		if (i % 10 == 9) {
			uint64_t before = w.sections;

			while (capture_cut_step(cut, &w) == 1)
				;
			pieces += w.sections > before;
			ck_assert(capture_cut_over(cut) == (i > 900));
		}
	}
	capture_cut_close(cut);
	ck_assert_uint_ge(pieces, 85);
}

/* A capture that follows, in pieces as they come, holds the same as one made at the end. */
START_TEST(following)
{
	struct capture_cut_config c;
	struct capture_cut *cut;
	struct capture_writer w;
	struct feeder f;
	struct log *l = new_log(8), *copy;
	struct memory m, part;
	unsigned damaged;

	follow_all(&f, l, &m);
	copy = log_of(&m, &damaged); /* no END, as if it had been killed */
	compare(l, copy, 11 * SECOND, 100 * SECOND, false);
	log_close(copy);
	free(m.p);

	/* by the frame: each part goes on where the one before ended */
	uint64_t seq = 0;

	w = writer_to(&m);
	for (unsigned i = 0; i < 5; i++) {
		struct capture_cut_config p = {.log = l,
					       .from_seq = seq,
					       .from_us = 20 * SECOND,
					       .to_us = (40 + i * 20) * SECOND};
		struct capture_reader *reader;
		struct memory in;
		enum capture_type type;
		const uint8_t *data;
		struct capture_unpack u;
		struct frame frame;
		size_t n;
		struct capture_writer pw = writer_to(&part);

		ck_assert_int_eq(capture_cut_open(&cut, &p), 0);
		while (capture_cut_step(cut, &pw) == 1)
			;
		capture_cut_close(cut);
		ck_assert_int_eq(open_mem(&reader, part.p, part.len, &in), 0);
		while (capture_next(reader, &type, &data, &n) == 1) {
			ck_assert_int_eq(capture_section(&w, type, data, n), 0);
			ck_assert_int_eq(capture_unpack_begin(&u, data, n), 0);
			while (capture_unpack_next(&u, &frame) == 1)
				seq = frame.seq & CAPTURE_STATE ? seq : frame.seq + 1;
		}
		capture_close(reader);
		free(part.p);
	}
	copy = log_of(&m, &damaged);
	compare(l, copy, 20 * SECOND, 120 * SECOND, false);
	c = (struct capture_cut_config){.log = l, .from_seq = log_newest(l) + 2};
	ck_assert_int_eq(capture_cut_open(&cut, &c), -EINVAL);
	log_close(copy);
	free(m.p);
	feeder_close(&f);
	log_close(l);
}
END_TEST

/* Every damaged section is a gap: what is still told is right, and goes on after the next KEY. */
START_TEST(damage_is_a_gap)
{
	struct feeder f;
	struct log *l = new_log(8), *copy;
	struct memory m;
	uint64_t from = 10 * SECOND, to = 10 * SECOND + N_TICKS * 100000ull;
	unsigned damaged, whole, some = 0, fewer = 0, flips = 0;

	follow_all(&f, l, &m);
	copy = log_of(&m, &damaged);
	whole = compare(l, copy, from, to, true);
	log_close(copy);
	for (size_t at = CAPTURE_HEAD + 24; at < m.len; at += m.len / 30) {
		m.p[at] ^= 16;
		struct capture_fill fill_count;
		unsigned n = 0;

		fill(&fill_count, NULL, &m);
		if (fill_count.n_segments) {
			copy = log_of(&m, &damaged);
			ck_assert_uint_eq(damaged, 1);
			n = compare(l, copy, from, to, true);
			log_close(copy);
		}
		ck_assert_uint_le(n, whole);
		fewer += n < whole;
		some += n > whole / 4;
		flips++;
		capture_fill_done(&fill_count);
		m.p[at] ^= 16;
	}
	ck_assert_uint_gt(fewer, flips - 3); /* the last may hold nothing but names */
	ck_assert_msg(some > flips / 2, "%u of %u flips left something", some, flips);
	free(m.p);
	feeder_close(&f);
	log_close(l);
}
END_TEST

/* A capture that goes on with another catalog ends there; nonsense in frames is no state. */
START_TEST(contradictions)
{
	struct feeder f;
	struct log *l = new_log(8), *other = new_log(8), *copy;
	struct capture_fill count;
	struct memory m, n;
	unsigned damaged;
	uint64_t to = 20 * SECOND;

	write_log(&f, l);
	cut_range(l, 0, to, &m);
	feeder_close(&f);
	feeder_open(&f, other, groups + 1, 1);
	f.mono_us = SECOND;
	feeder_segment(&f);
	feeder_tick(&f, 30 * SECOND);
	batch_row_named(feeder_batch(&f, 0), "x", 1)[0] = 3;
	feeder_group(&f, 0, 0, -1);
	feeder_end(&f);
	cut_range(other, 0, 40 * SECOND, &n);

	/* the second file's sections behind the first's */
	struct memory both;
	struct capture_writer w = writer_to(&both);
	const struct memory *const files[] = {&m, &n};

	for (unsigned i = 0; i < 2; i++) {
		struct capture_reader *c;
		enum capture_type type;
		const uint8_t *data;
		struct memory in;
		size_t len;

		ck_assert_int_eq(open_mem(&c, files[i]->p, files[i]->len, &in), 0);
		while (capture_next(c, &type, &data, &len) == 1)
			capture_section(&w, type, data, len);
		capture_close(c);
	}
	fill(&count, NULL, &both);
	ck_assert(count.walk.other);
	ck_assert_uint_lt(count.last_us, to + SECOND);
	capture_fill_done(&count);
	copy = log_of(&both, &damaged);
	compare(l, copy, 10 * SECOND, to, false);
	log_close(copy);
	feeder_close(&f);
	log_close(l);
	log_close(other);
	free(m.p);
	free(n.p);
	free(both.p);
}
END_TEST

int main(void)
{
	const TTest *const tests[] = {any_range, state_again, following, damage_is_a_gap,
				      contradictions};

	return support_run("capture_log", tests, sizeof(tests) / sizeof(*tests));
}
