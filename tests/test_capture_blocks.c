/* Captures that reach further back than the log: blocks, then what of the log follows them. */
#include "capture_file.h"
#include "export/samples.h"
#include "store/capture_blocks.h"
#include "store/capture_log.h"
#include "store/query.h"

enum { SECOND = 1000000, TICKS = 4500, EVERY = 50 };

static const struct metric metrics[] = {
	{"t.count", "count", 1, 1, "a", "A.", SEM_COUNTER, 0, NULL},
	{"t.level", "byte", 1024, 1, "b", "B.", SEM_INSTANT, 4, NULL},
};
static const struct group groups[] = {
	{"one", NULL, metrics, 2, 0, 1, false, NULL},
	{"disk", "disk", metrics, 2, 0, 300, false, NULL},
};
/* Metrics of the second group have names of their own. */
static const struct metric disk_metrics[] = {
	{"d.count", "count", 1, 1, "a", "A.", SEM_COUNTER, 0, NULL},
	{"d.level", "byte", 1024, 1, "b", "B.", SEM_INSTANT, 4, NULL},
};
static struct group all_groups[2];

struct world {
	struct log *log;
	struct history *history;
	struct sealer *sealer;
	struct feeder f;
	uint64_t rnd;
	unsigned n;
};

static int keep(void *arg, struct sealed *s)
{
	struct world *w = arg;

	return history_add(w->history, s, false);
}

static struct log *new_log(unsigned segments)
{
	struct log_config c = {.size_bytes = (uint64_t)segments << 20, .boot_id = "boot"};
	enum log_state state;
	struct log *l;
	char err[200];

	ck_assert_msg(log_open(&l, &c, &state, err, sizeof(err)) == 0, "%s", err);
	return l;
}

static void tick(struct world *w)
{
	struct batch *b;
	int64_t *row;

	feeder_tick(&w->f, 100 * SECOND + ++w->n * 100000ull);
	row = batch_row(feeder_batch(&w->f, 0));
	row[0] += (int64_t)(feeder_random(&w->rnd) % 1000);
	row[1] = (int64_t)(feeder_random(&w->rnd) % 1000000);
	feeder_group(&w->f, 0, 5, -1);
	b = feeder_batch(&w->f, 1);
	for (unsigned k = 0; k < 200; k++) { /* much that changes: the log goes round */
		char name[16];
		int len = snprintf(name, sizeof(name), "d%u", k + (k == 7) * (w->n / 100));

		row = batch_row_named(b, name, (size_t)len);
		row[0] += (int64_t)(feeder_random(&w->rnd) % 100000);
		row[1] = (int64_t)feeder_random(&w->rnd) >> 30;
	}
	feeder_group(&w->f, 1, 9, -1);
	feeder_end(&w->f);
}

static void open_world(struct world *w)
{
	struct history_config hc = {.boot_id = "boot", .memory_bytes = 256 << 20};
	struct sealer_config sc = {.boot_id = "boot", .sink = keep, .arg = w};

	memcpy(all_groups, groups, sizeof(groups));
	all_groups[1].metrics = disk_metrics;
	*w = (struct world){.log = new_log(4), .rnd = 3};
	hc.log = sc.log = w->log;
	ck_assert_int_eq(history_open(&w->history, &hc), 0);
	ck_assert_int_eq(sealer_open(&w->sealer, &sc), 0);
	feeder_open(&w->f, w->log, all_groups, 2);
	w->f.mono_us = 100 * SECOND;
	feeder_segment(&w->f);
}

static void run_world(struct world *w, unsigned ticks)
{
	while (ticks--) {
		tick(w);
		if (w->n % EVERY == 0)
			while (sealer_step(w->sealer) == 1)
				;
	}
}

static void close_world(struct world *w)
{
	sealer_close(w->sealer);
	history_close(w->history);
	feeder_close(&w->f);
	log_close(w->log);
}

/* Calls `meanwhile` after each block, as if time went on while it is sent. */
static void capture(struct world *w, int64_t from_us, int64_t to_us, struct memory *m,
		    unsigned meanwhile)
{
	struct capture_cut_config c = {
		.log = w->log, .from_us = (uint64_t)from_us, .to_us = (uint64_t)to_us};
	struct capture_writer cw = writer_to(m);
	struct capture_blocks *blocks;
	struct capture_cut *cut;
	int r;

	ck_assert_int_eq(capture_blocks_open(&blocks, w->history, from_us, to_us), 0);
	while ((r = capture_blocks_step(blocks, &cw)) == 1)
		run_world(w, meanwhile);
	ck_assert_int_eq(r, 0);
	c.after_seq = capture_blocks_seq(blocks);
	capture_blocks_close(blocks);
	ck_assert_int_eq(capture_cut_open(&cut, &c), 0);
	while ((r = capture_cut_step(cut, &cw)) == 1)
		;
	ck_assert_int_eq(r, 0);
	capture_cut_close(cut);
	ck_assert_int_eq(capture_end(&cw), 0);
}

struct opened {
	struct log *log;
	struct history *history;
	unsigned n_blocks;
};

/* As `strobe open` does it. */
static void open_capture(struct opened *o, const struct memory *m)
{
	struct history_config hc = {.boot_id = "boot", .memory_bytes = 256 << 20};
	struct capture_reader *c;
	struct capture_fill f;
	enum capture_type type;
	const uint8_t *data;
	struct memory in;
	uint8_t *catalog = NULL;
	size_t n, catalog_len = 0;

	*o = (struct opened){.log = new_log(8)};
	hc.log = o->log;
	capture_fill_init(&f, o->log);
	for (int pass = 0; pass < 2; pass++) {
		if (pass)
			ck_assert_int_eq(history_open(&o->history, &hc), 0);
		ck_assert_int_eq(open_mem(&c, m->p, m->len, &in), 0);
		while (capture_next(c, &type, &data, &n) == 1) {
			struct sealed s = {.len = n};

			if (!pass && type == CAPTURE_FRAMES)
				ck_assert_int_eq(capture_fill_section(&f, data, n), 0);
			if (pass && type == CAPTURE_CATALOG) {
				catalog = realloc(catalog, n);
				memcpy(catalog, data, n);
				catalog_len = n;
			}
			if (!pass || type != CAPTURE_BLOCK)
				continue;
			ck_assert_int_eq(block_head_read(data, n, &s.head), 0);
			s.data = malloc(n);
			memcpy(s.data, data, n);
			s.catalog = catalog;
			s.catalog_len = catalog_len;
			ck_assert_int_eq(history_add(o->history, &s, false), 0);
			o->n_blocks++;
		}
		ck_assert(capture_is_whole(c));
		capture_close(c);
	}
	free(catalog);
	capture_fill_done(&f);
}

static void close_capture(struct opened *o)
{
	history_close(o->history);
	log_close(o->log);
}

static struct query_result *ask(struct history *h, const char *metric, int64_t from, int64_t to,
				bool raw)
{
	struct query_selector s = {.metric = metric, .instance = *metric == 'd' ? "d3" : NULL};
	struct query_request rq = {.selectors = &s,
				   .n_selectors = 1,
				   .from_us = from,
				   .to_us = to,
				   .points = (uint32_t)((to - from) / 50000),
				   .raw = raw};
	struct query_result *res;

	ck_assert_int_eq(query_run(h, &rq, &res, NULL), 0);
	return res;
}

/* Point for point the same; the number of samples in them. */
static unsigned compare(struct history *a, struct history *b, int64_t from, int64_t to)
{
	static const char *const names[] = {"t.count", "t.level", "d.count", "d.level"};
	unsigned n = 0;

	for (unsigned i = 0; i < 4; i++)
		for (int raw = 0; raw < 2; raw++) {
			struct query_result *x = ask(a, names[i], from, to, raw);
			struct query_result *y = ask(b, names[i], from, to, raw);

			ck_assert_uint_eq(x->n_series, 1);
			ck_assert_uint_eq(y->n_series, 1);
			for (size_t p = 0; p < (size_t)(to - from) / 50000; p++) {
				const struct query_point *u = &x->series[0].points[p];
				const struct query_point *v = &y->series[0].points[p];

				ck_assert_msg(u->n == v->n && (!u->n || (u->last == v->last &&
									 u->last_us == v->last_us)),
					      "%s raw %d point %zu: %u and %u, %lld and %lld",
					      names[i], raw, p, u->n, v->n, (long long)u->last,
					      (long long)v->last);
				n += u->n;
			}
			query_free(x);
			query_free(y);
		}
	return n;
}

START_TEST(blocks_then_frames)
{
	struct world w;
	struct memory m;
	struct opened o;
	int64_t from = 101 * SECOND, to;

	open_world(&w);
	run_world(&w, TICKS);
	ck_assert_uint_gt(log_oldest_us(w.log), 150 * SECOND); /* it went round */
	to = 100 * SECOND + w.n * 100000ll;
	capture(&w, from, to, &m, 0);
	open_capture(&o, &m);
	ck_assert_uint_gt(o.n_blocks, 3);
	ck_assert_uint_gt(compare(w.history, o.history, from, to), 8 * (TICKS - 30));
	close_capture(&o);
	free(m.p);

	/* inside of what is sealed, and inside of the log */
	capture(&w, 120 * SECOND, 150 * SECOND, &m, 0);
	open_capture(&o, &m);
	ck_assert_uint_ge(o.n_blocks, 1);
	ck_assert_int_eq(log_newest(o.log), 0);
	compare(w.history, o.history, 120 * SECOND, 150 * SECOND);
	close_capture(&o);
	free(m.p);
	from = to - 20 * SECOND;
	capture(&w, from, to, &m, 0);
	open_capture(&o, &m);
	ck_assert_uint_eq(o.n_blocks, 0);
	compare(w.history, o.history, from, to);
	close_capture(&o);
	free(m.p);
	close_world(&w);
}
END_TEST

/* The log goes on, and round, while blocks are sent: nothing is missing in between. */
START_TEST(time_goes_on)
{
	struct world w;
	struct memory m;
	struct opened o;
	int64_t from = 101 * SECOND, to;

	open_world(&w);
	run_world(&w, TICKS);
	to = 100 * SECOND + w.n * 100000ll;
	capture(&w, from, to, &m, 700);
	ck_assert_uint_gt(log_oldest_us(w.log), (uint64_t)to - 300 * SECOND);
	open_capture(&o, &m);
	ck_assert_uint_gt(compare(w.history, o.history, from, to), 8 * (TICKS - 30));
	close_capture(&o);
	free(m.p);
	close_world(&w);
}
END_TEST

/* ---- samples ---- */

struct told {
	int64_t last_us;
	uint64_t n[4];
	double sum[4];
};

static bool wanted(void *arg, const char *metric)
{
	(void)arg;
	return metric[0] == 't' || metric[0] == 'd';
}

static int on_sample(void *arg, const struct sample *s)
{
	struct told *t = arg;
	unsigned i = (s->metric->name[0] == 'd' ? 2u : 0u) + (s->metric->sem == SEM_INSTANT);

	if (s->at_us < t->last_us)
		ck_abort_msg("%s at %lld after %lld", s->metric->name, (long long)s->at_us,
			     (long long)t->last_us);
	t->last_us = s->at_us;
	if (*s->instance && strcmp(s->instance, "d3") != 0)
		return 0;
	t->n[i]++;
	t->sum[i] += (double)s->value;
	return 0;
}

/* Of blocks and frames together: in order, each once, with the sums that a query has. */
START_TEST(told_in_order)
{
	struct world w;
	struct memory m, in;
	struct told told = {0};
	struct samples_config c = {.rates = true,
				   .from_us = 110 * SECOND,
				   .wanted = wanted,
				   .each = on_sample,
				   .arg = &told};
	static const char *const names[] = {"t.count", "t.level", "d.count", "d.level"};
	struct samples *s;
	struct capture_reader *r;
	enum capture_type type;
	const uint8_t *data;
	size_t n;

	open_world(&w);
	run_world(&w, TICKS);
	c.to_us = 100 * SECOND + w.n * 100000ll - SECOND;
	capture(&w, 101 * SECOND, c.to_us + SECOND, &m, 0);
	ck_assert_int_eq(samples_open(&s, &c), 0);
	ck_assert_int_eq(open_mem(&r, m.p, m.len, &in), 0);
	while (capture_next(r, &type, &data, &n) == 1) {
		struct capture_unpack u;
		struct frame f;

		if (type == CAPTURE_CATALOG)
			ck_assert_int_eq(samples_catalog(s, data, n), 0);
		if (type == CAPTURE_BLOCK)
			ck_assert_int_eq(samples_block(s, data, n, 0), 0);
		if (type != CAPTURE_FRAMES)
			continue;
		ck_assert_int_eq(capture_unpack_begin(&u, data, n), 0);
		while (capture_unpack_next(&u, &f) == 1)
			ck_assert_int_eq(samples_frame(s, &f), 0);
	}
	ck_assert_int_eq(samples_flush(s), 0);
	capture_close(r);
	samples_close(s);
	for (unsigned i = 0; i < 4; i++) {
		struct query_result *q = ask(w.history, names[i], c.from_us, c.to_us, false);
		uint64_t want_n = 0;
		double want = 0;

		for (size_t p = 0; p < (size_t)(c.to_us - c.from_us) / 50000; p++) {
			want_n += q->series[0].points[p].n;
			want += q->series[0].points[p].sum;
		}
		ck_assert_msg(told.n[i] == want_n && told.sum[i] == want,
			      "%s: %llu of %llu, %f of %f", names[i], (unsigned long long)told.n[i],
			      (unsigned long long)want_n, told.sum[i], want);
		ck_assert_uint_gt(want_n, TICKS - 200);
		query_free(q);
	}
	free(m.p);
	close_world(&w);
}
END_TEST

int main(void)
{
	const TTest *const tests[] = {blocks_then_frames, time_goes_on, told_in_order};

	return support_run("capture_blocks", tests, sizeof(tests) / sizeof(*tests));
}
