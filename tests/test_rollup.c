#include "seal_lab.h"
#include "store/rollup.h"

/* Rolls up what the sealer of a lab makes and holds it against the truth. */
struct rolling {
	struct lab *x;
	struct rollup *rollup;
	struct mirror catalog;
	uint32_t from[TRUTH_GROUPS], to[TRUTH_GROUPS]; /* reads of the blocks added */
	uint64_t n_rollups, n_buckets, n_left_out, first_seq, last_seq, bytes;
	int sink_error;
};

static uint64_t bucket_of(const struct truth_group *tg, uint32_t read)
{
	return tg->at[read] / ROLLUP_BUCKET_US * ROLLUP_BUCKET_US;
}

/* Is the instance one that the rollup of reads [from, to) has? */
static bool is_held(const struct truth_group *tg, const struct truth_instance *in, uint32_t from,
		    uint32_t to, bool *brief)
{
	uint32_t end = in->first + in->n;

	*brief = in->first >= from && end < to &&
		 tg->at[end - 1] - tg->at[in->first] < ROLLUP_BRIEF_US;
	return in->first < to && end > from && !*brief;
}

static bool is_close(int64_t have, int64_t want)
{
	return want < 512 ? have == want : fabs((double)have - (double)want) <= (double)want / 512;
}

static void check_bucket(const struct truth_group *tg, const struct truth_instance *in, uint32_t m,
			 uint32_t from, uint32_t to, const struct block_mini *have)
{
	struct block_mini want = {0};
	double size = 0;

	for (uint32_t r = from; r < to; r++) {
		const int64_t *row;
		int64_t v;

		if (r < in->first || r >= in->first + in->n)
			continue;
		row = in->values + (size_t)(r - in->first) * tg->n_metrics;
		v = row[m];
		if (v == VALUE_ABSENT)
			continue;
		if (tg->of_rates[m]) {
			int64_t before = r > in->first ? (row - tg->n_metrics)[m] : VALUE_ABSENT;

			if (before == VALUE_ABSENT || v < before || !tg->dt[r])
				continue;
			v = rate_of((uint64_t)v - (uint64_t)before, tg->dt[r]);
		}
		if (!want.n++)
			want.first = want.min = want.max = v;
		want.min = v < want.min ? v : want.min;
		want.max = v > want.max ? v : want.max;
		want.last = v;
		want.sum += (double)v;
		size += fabs((double)v);
	}
	MUST(have->n == want.n);
	if (!want.n)
		return;
	if (tg->of_rates[m]) { /* to nine bits */
		MUST(is_close(have->first, want.first) && is_close(have->min, want.min));
		MUST(is_close(have->max, want.max) && is_close(have->last, want.last));
		MUST(fabs(have->sum - want.sum) <= want.sum / 200 + want.n || size > 9e18);
		return;
	}
	MUST(have->first == want.first && have->min == want.min && have->max == want.max &&
	     have->last == want.last);
	MUST(fabs(have->sum - want.sum) <= 1e-12 * size || size > 9e18); /* cut to 63 bits */
}

static void check_instance(struct rolling *ro, struct block *b, const struct block_group *g,
			   uint32_t i, uint32_t number)
{
	const struct truth_group *tg = &ro->x->truth->group[number];
	const struct block_instance *bi = &g->instances[i];
	struct block_mini buckets[BLOCK_READS];
	const struct truth_instance *in = NULL;
	uint32_t from = ro->from[number], to = ro->to[number];
	bool brief;

	for (uint32_t k = tg->n_inst; k-- > 0 && !in;)
		if (tg->inst[k].slot == bi->slot && tg->inst[k].gen == bi->gen)
			in = &tg->inst[k];
	MUST(in && is_held(tg, in, from, to, &brief));
	MUST(strcmp(bi->name, in->name) == 0 && bi->id == in->id);
	MUST(bi->ended == (in->first + in->n < to));
	for (uint32_t m = 0; m < tg->n_metrics; m++) {
		MUST(rollup_buckets(b, g, i, m, tg->of_rates[m], buckets) == 0);
		for (uint32_t k = 0; k < bi->n; k++) {
			uint64_t at = g->at_us[bi->first + k];
			uint32_t lo = from, hi;

			while (bucket_of(tg, lo) < at)
				lo++;
			for (hi = lo; hi < to && bucket_of(tg, hi) == at; hi++)
				;
			MUST(hi > lo && g->dt_us[bi->first + k] == hi - lo);
			MUST(in->first < hi && in->first + in->n > lo);
			check_bucket(tg, in, m, lo, hi, &buckets[k]);
			ro->n_buckets++;
		}
	}
	for (uint32_t k = 0; k < tg->n_attrs; k++) /* of its last read in the range */
		MUST(!bi->attrs || !bi->attrs[k] || in->n_attrs[k]);
}

/* How many buckets of the group an instance must have. */
static void check_group(struct rolling *ro, struct block *b, uint32_t number)
{
	const struct truth_group *tg = &ro->x->truth->group[number];
	uint32_t from = ro->from[number], to = ro->to[number], n = 0, n_held = 0;
	const struct block_group *g;

	MUST(block_group(b, number, &g) == 0);
	MUST(!g == (from == to));
	if (!g)
		return;
	MUST(block_attrs(b, g) == 0);
	for (uint32_t r = from; r < to; r++)
		if (r == from || bucket_of(tg, r) != bucket_of(tg, r - 1))
			MUST(n < g->n_reads && g->at_us[n++] == bucket_of(tg, r));
	MUST(n == g->n_reads && rollup_n_metrics(g) == tg->n_metrics);
	for (uint32_t i = 0; i < tg->n_inst; i++) {
		bool brief;

		n_held += is_held(tg, &tg->inst[i], from, to, &brief);
		ro->n_left_out += brief;
	}
	MUST(n_held == g->n_instances);
	for (uint32_t i = 0; i < g->n_instances; i++)
		check_instance(ro, b, g, i, number);
}

/* Both decoders read the same cells. */
static void check_slow(const struct sealed *s, struct block *b)
{
	struct slow_block *slow = slow_read(s->data, s->len);

	MUST(!slow->bad && slow->bucket_us == ROLLUP_BUCKET_US);
	for (uint64_t k = 0; k < slow->n_groups; k++) {
		const struct slow_group *sg = &slow->groups[k];
		const struct block_group *g;

		MUST(block_group(b, (uint32_t)sg->group, &g) == 0 && g->n_reads == sg->n_reads);
		MUST(memcmp(g->dt_us, sg->dt, g->n_reads * 8) == 0);
		for (uint32_t i = 0; i < g->n_instances; i++)
			for (uint32_t m = 0; m < g->n_metrics; m++) {
				int64_t base, v[BLOCK_READS];

				MUST(block_values(b, g, i, m, &base, v) == 0);
				MUST(memcmp(v, sg->inst[i].values[m], sg->inst[i].n * 8) == 0);
			}
	}
	slow_free(slow);
}

static int take_rollup(void *arg, struct sealed *s)
{
	struct rolling *ro = arg;
	struct block *b;

	if (ro->sink_error)
		return ro->sink_error;
	MUST(block_open(&b, s->data, s->len) == 0);
	MUST(memcmp(block_head(b), &s->head, sizeof(s->head)) == 0);
	MUST(s->head.first_seq == ro->first_seq && s->head.last_seq == ro->last_seq);
	for (uint32_t g = 0; g < ro->x->truth->n; g++)
		check_group(ro, b, g);
	check_slow(s, b);
	memcpy(ro->from, ro->to, sizeof(ro->to));
	ro->first_seq = 0;
	ro->n_rollups++;
	ro->bytes += s->len;
	block_close(b);
	free(s->data);
	return 0;
}

static void roll(struct lab *x, const struct sealed *s)
{
	struct rolling *ro = x->arg;
	struct frame catalog = {.data = s->catalog, .len = s->catalog_len};
	struct block *b;

	if (!ro->catalog.version)
		MUST(mirror_apply(&ro->catalog, &catalog) == 0);
	MUST(block_open(&b, s->data, s->len) == 0);
	MUST(rollup_add(ro->rollup, b, &ro->catalog) == 0);
	if (!ro->first_seq)
		ro->first_seq = s->head.first_seq;
	ro->last_seq = s->head.last_seq;
	for (uint32_t g = 0; g < x->truth->n; g++) {
		const struct block_group *bg;

		MUST(block_group(b, g, &bg) == 0);
		if (bg)
			ro->to[g] += bg->n_reads;
	}
	block_close(b);
}

static void rolling_open(struct rolling *ro, struct lab *x)
{
	struct rollup_config c = {.sink = take_rollup, .arg = ro};

	*ro = (struct rolling){.x = x};
	mirror_init(&ro->catalog);
	ck_assert_int_eq(rollup_open(&ro->rollup, &c), 0);
	x->each = roll;
	x->arg = ro;
}

/* Buckets are what the values of their ten seconds say, for every instance that stayed. */
START_TEST(buckets_say_what_was_written)
{
	struct lab *x = lab_open(64, 101);
	struct rolling ro;

	rolling_open(&ro, x);
	for (unsigned i = 0; i < 6000; i++) {
		lab_tick(x);
		if (rnd(x, 3) == 0)
			step_all(x);
		if (rnd(x, 1500) == 0)
			ck_assert_int_eq(rollup_flush(ro.rollup), 0);
	}
	step_all(x);
	assert_complete(x);
	ck_assert_int_eq(rollup_flush(ro.rollup), 0);
	ck_assert_int_eq(rollup_flush(ro.rollup), 0); /* nothing more: no rollup */
	for (uint32_t g = 0; g < x->truth->n; g++)
		ck_assert_uint_eq(ro.from[g], x->truth->group[g].n_reads);
	ck_assert_uint_ge(ro.n_rollups, 2);
	ck_assert_uint_gt(ro.n_left_out, 100);
	ck_assert_uint_gt(ro.n_buckets, 5000);
	rollup_close(ro.rollup);
	mirror_done(&ro.catalog);
	lab_close(x);
}
END_TEST

/* An hour of a calm host is one rollup, and it ends by itself. */
START_TEST(ends_after_an_hour)
{
	struct lab *x = lab_open(64, 103);
	struct rolling ro;

	rolling_open(&ro, x);
	x->slow = true;
	for (unsigned i = 0; i < 5000; i++) {
		lab_tick(x);
		step_all(x);
	}
	ck_assert_uint_ge(ro.n_rollups, 1);
	ck_assert_uint_le(ro.n_rollups, 2);
	ck_assert_int_eq(rollup_flush(ro.rollup), 0);
	rollup_close(ro.rollup);
	mirror_done(&ro.catalog);
	lab_close(x);
}
END_TEST

/* What the sink refuses is offered again before anything else is taken. */
START_TEST(sink_may_refuse)
{
	struct lab *x = lab_open(64, 107);
	struct rolling ro;

	rolling_open(&ro, x);
	for (unsigned i = 0; i < 700; i++) {
		lab_tick(x);
		step_all(x);
	}
	ro.sink_error = -EIO;
	ck_assert_int_eq(rollup_flush(ro.rollup), -EIO);
	ck_assert_int_eq(rollup_flush(ro.rollup), -EIO);
	ck_assert_uint_eq(ro.n_rollups, 0);
	ro.sink_error = 0;
	ck_assert_int_eq(rollup_flush(ro.rollup), 0);
	ck_assert_uint_eq(ro.n_rollups, 1);
	rollup_close(ro.rollup);
	mirror_done(&ro.catalog);
	lab_close(x);
}
END_TEST

int main(void)
{
	const TTest *const tests[] = {buckets_say_what_was_written, ends_after_an_hour,
				      sink_may_refuse};

	return support_run("rollup", tests, sizeof(tests) / sizeof(*tests));
}
