#include "mirror_groups.h"
#include "support.h"

static struct log *open_log(unsigned segments)
{
	struct log_config c = {.size_bytes = (uint64_t)segments << 20, .boot_id = "test"};
	enum log_state state;
	struct log *l;
	char err[200];

	ck_assert_int_eq(log_open(&l, &c, &state, err, sizeof(err)), 0);
	ck_assert_int_eq(state, LOG_NEW);
	return l;
}

static int64_t wild(uint64_t *rnd)
{
	uint64_t r = feeder_random(rnd);

	switch (r % 8) {
	case 0:
		return VALUE_ABSENT;
	case 1:
		return INT64_MAX;
	case 2:
		return INT64_MIN + 1;
	case 3:
		return (int64_t)feeder_random(rnd);
	default:
		return (int64_t)(r >> 40);
	}
}

static void change_row(int64_t *row, uint32_t n, uint64_t *rnd)
{
	for (uint32_t m = 0; m < n; m++)
		if (feeder_random(rnd) % 4 == 0)
			row[m] = wild(rnd);
}

/* One tick with instances that come and go, in changing order. */
static void random_tick(struct feeder *f, uint64_t mono_us, uint64_t *rnd)
{
	struct batch *b;
	char name[32];

	feeder_tick(f, mono_us);
	b = feeder_batch(f, 0);
	change_row(batch_row(b), 3, rnd);
	feeder_group(f, 0, (int64_t)(feeder_random(rnd) % 900) - 100, -1);
	if (f->tick % 10 == 1) {
		uint64_t start = feeder_random(rnd);

		b = feeder_batch(f, 1);
		for (unsigned i = 0; i < 8; i++)
			if (feeder_random(rnd) % 16) {
				int len = snprintf(name, sizeof(name), "sd%c",
						   (int)('a' + (start + i) % 8));
				change_row(batch_row_named(b, name, (size_t)len), 2, rnd);
			}
		feeder_group(f, 1, 77, f->tick % 100 == 1 ? 1000 + (int32_t)f->tick : -1);
	}
	b = feeder_batch(f, 2);
	for (unsigned i = 0; i < 20; i++) {
		uint64_t id = feeder_random(rnd) % 250 + 1;
		int32_t slot = batch_find_id(b, id);

		if (slot < 0) {
			int len = snprintf(name, sizeof(name), "%lu.%lu", (unsigned long)id,
					   (unsigned long)(f->tick));
			slot = batch_start(b, id, name, (size_t)len);
			ck_assert_int_ge(slot, 0);
			batch_attr(b, (uint32_t)slot, 0, name, (size_t)len);
		} else if (feeder_random(rnd) % 3 == 0) {
			batch_end(b, (uint32_t)slot);
			continue;
		} else if (feeder_random(rnd) % 5 == 0) {
			int len = snprintf(name, sizeof(name), "cg%lu", (unsigned long)f->tick);
			batch_attr(b, (uint32_t)slot, 1, name, (size_t)len);
		}
		change_row(batch_row_slot(b, (uint32_t)slot), 3, rnd);
	}
	feeder_group(f, 2, 500, -1);
	feeder_end(f);
}

/* The mirror shows exactly what the batches hold after their last commit. */
static void assert_same(const struct mirror *m, const struct feeder *f)
{
	MUST(m->n_groups == f->n);
	MUST(m->keyed);
	for (size_t g = 0; g < f->n; g++) {
		const struct batch *b = &f->batch[g];
		const struct mirror_group *mg = &m->groups[g];
		uint32_t n_live = 0;

		MUST(mg->acquired_us == f->source[g].acquired_us);
		MUST(mg->period_ms == f->source[g].period_ms);
		MUST(mg->n_slots == b->n_slots);
		MUST(mg->n_live == b->n_live);
		for (uint32_t s = 0; s < b->n_slots; s++) {
			size_t row = (size_t)s * b->n_metrics;

			MUST(mg->inst[s].live == b->inst[s].live);
			/* one that lived within a single pass is known to nobody */
			MUST(mg->inst[s].gen <= b->inst[s].gen);
			if (!b->inst[s].live) {
				for (uint32_t k = 0; k < b->n_metrics; k++)
					MUST(mg->rows[row + k] == VALUE_ABSENT);
				continue;
			}
			n_live++;
			MUST(mg->inst[s].gen == b->inst[s].gen);
			MUST(strcmp(mg->inst[s].name, b->inst[s].name) == 0);
			MUST(mg->inst[s].id == b->inst[s].id);
			MUST(memcmp(mg->rows + row, b->prev + row, b->n_metrics * 8) == 0);
			for (uint32_t k = 0; k < b->n_attrs; k++) {
				const char *want = b->attrs[s * b->n_attrs + k],
					   *have = mg->inst[s].attrs[k];

				MUST(strcmp(have ? have : "", want) == 0);
			}
		}
		MUST(mg->n_live == n_live);
	}
}

static void follow(struct mirror *m, struct cursor *c)
{
	struct frame fr;
	uint64_t a, b;
	int r;

	while ((r = cursor_next(c, &fr, &a, &b)) == 1)
		MUST(mirror_apply(m, &fr) == 0);
	MUST(r == 0);
}

/* A mirror that follows from the start, and new ones that begin at any later segment, agree with
 * the writer at all times. */
START_TEST(mirror_shows_what_the_sampler_holds)
{
	struct log *l = open_log(4);
	struct feeder f;
	struct mirror m, late;
	struct cursor c = {0}, c2;
	uint64_t rnd = 42, mono = 1000000;

	feeder_open(&f, l, groups, N_GROUPS);
	mirror_init(&m);
	for (unsigned i = 0; i < 25000; i++) {
		mono += 90000 + feeder_random(&rnd) % 20000;
		random_tick(&f, mono, &rnd);
		if (i == 0)
			MUST(cursor_open_seq(&c, l, 1) == 0);
		follow(&m, &c);
		if (i % 100 == 0)
			assert_same(&m, &f);
		if (i % 2000 == 1999) {
			uint64_t at = log_oldest(l) +
				      feeder_random(&rnd) % (log_newest(l) - log_oldest(l));

			mirror_init(&late);
			MUST(cursor_open_seq(&c2, l, at) == 0);
			follow(&late, &c2);
			assert_same(&late, &f);
			cursor_close(&c2);
			mirror_done(&late);
		}
	}
	MUST(log_oldest(l) > 1); /* it went round */
	cursor_close(&c);
	mirror_done(&m);
	feeder_close(&f);
	log_close(l);
}
END_TEST

int main(void)
{
	TCase *t = tcase_create("mirror");

	tcase_set_timeout(t, 120);
	tcase_add_test(t, mirror_shows_what_the_sampler_holds);
	return support_run_case("mirror", t);
}
