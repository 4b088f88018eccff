/*
 * What the history holds and where: blocks in memory and on a disk, boots in order whatever the wall
 * clock did, the memory it may take.
 */
#include "sealed_log.h"
#include "support.h"

#include "store/history_internal.h"
#include "store/past.h"

#include <pthread.h>
#include <stdatomic.h>

/* Walks the range; how many blocks, all in order. */
static size_t walk(struct history *h, int64_t from, int64_t to)
{
	struct history_walk w;
	struct history_block b;
	int64_t last = INT64_MIN;
	size_t n = 0;
	int r;

	ck_assert_int_eq(history_walk_begin(h, from, to, &w), 0);
	while ((r = history_walk_next(h, &w, &b)) == 1) {
		ck_assert_int_ge(b.from_us, last);
		last = b.to_us;
		ck_assert_int_eq(b.from_us, (int64_t)block_head(b.block)->from_us + b.shift_us);
		ck_assert(b.from_us < to && b.to_us > from);
		ck_assert_uint_eq(b.catalog->n_groups, N_GROUPS);
		history_release(h, &b);
		n++;
	}
	ck_assert_int_eq(r, 0);
	history_walk_end(h, &w);
	return n;
}

START_TEST(memory_is_bounded_and_the_oldest_goes)
{
	struct sealed_log *x = calloc(1, sizeof(*x));
	struct history_stats st;
	struct history *h;
	size_t three = 0;

	open_sealed(x, 50, "test", 50 * SECOND, 0);
	write_blocks(x, 12);
	for (size_t i = x->n - 3; i < x->n; i++)
		three += x->blocks[i].len;
	h = open_with(x->log, "test", three);
	for (size_t i = 0; i < x->n; i++) {
		struct sealed s = copy_of(&x->blocks[i]);

		ck_assert_int_eq(history_add(h, &s, false), 0);
		history_stats(h, &st);
		ck_assert_uint_le(st.bytes_memory, three);
	}
	ck_assert_uint_eq(st.blocks_memory, 3);
	ck_assert_uint_eq(st.samples, x->blocks[x->n - 1].head.n_samples +
					      x->blocks[x->n - 2].head.n_samples +
					      x->blocks[x->n - 3].head.n_samples);
	ck_assert_uint_eq(st.sample_bytes, three);
	ck_assert_uint_eq(history_sealed_seq(h), x->blocks[x->n - 1].head.last_seq);
	/* What the log still has is asked there, of a range that begins before the blocks. */
	ck_assert_uint_eq(walk(h, INT64_MIN, INT64_MAX), 0);
	ck_assert_uint_eq(walk(h, (int64_t)x->blocks[x->n - 3].head.from_us, INT64_MAX), 3);
	ck_assert_int_eq(history_oldest_us(h), (int64_t)log_oldest_us(x->log));
	history_close(h);
	h = open_with(NULL, "test", three);
	add_blocks(h, x, x->n);
	ck_assert_uint_eq(walk(h, INT64_MIN, INT64_MAX), 3);
	ck_assert_int_eq(history_oldest_us(h), (int64_t)x->blocks[x->n - 3].head.from_us);
	history_close(h);
	close_sealed(x);
	free(x);
}
END_TEST

START_TEST(a_block_in_use_stays)
{
	struct sealed_log *x = calloc(1, sizeof(*x));
	struct history_block b;
	const struct block_group *g;
	struct history_stats st;
	struct history *h;

	open_sealed(x, 50, "test", 50 * SECOND, 0);
	write_blocks(x, 4);
	h = open_with(NULL, "test", x->blocks[0].len + 16);
	add_blocks(h, x, 1);
	ck_assert_int_eq(history_get(h, INT64_MIN, INT64_MAX, 0, &b), 1);
	add_blocks(h, x, x->n); /* of which none fits beside it */
	ck_assert_int_eq(block_group(b.block, 0, &g), 0);
	ck_assert_uint_gt(g->n_reads, 50);
	history_release(h, &b);
	history_stats(h, &st);
	ck_assert_uint_le(st.bytes_memory, x->blocks[0].len + 16);
	ck_assert_int_eq(history_get(h, INT64_MIN, INT64_MAX, 5, &b), 0);
	history_close(h);
	close_sealed(x);
	free(x);
}
END_TEST

/* Boots lie one after the other, where the wall clock says, and before the next whatever it says. */
START_TEST(boots_are_placed_by_the_wall_clock)
{
	static const int64_t hour = 3600ll * SECOND;
	/* offsets against that of the newest: in order; set back; far ahead; a container's, whose clock goes on */
	static const int64_t offs[4][2] = {
		{-2 * hour, -hour}, {hour, 9 * hour}, {-hour, 5 * hour}, {0, 0}};
	struct sealed_log *x = calloc(3, sizeof(*x));
	struct history_span *spans;
	struct history_clock *clocks;
	struct history *h;
	size_t n, n_clocks;

	open_sealed(&x[0], 50, "one", 20 * SECOND, 1700000000000000 + offs[_i][0]);
	open_sealed(&x[1], 50, "two", (_i == 3 ? 300 : 30) * SECOND,
		    1700000000000000 + offs[_i][1]);
	open_sealed(&x[2], 50, "now", (_i == 3 ? 600 : 10) * SECOND, 1700000000000000);
	for (int i = 0; i < 3; i++)
		write_blocks(&x[i], 3);
	h = open_with(x[2].log, "now", 1 << 30);
	for (int i = 0; i < 3; i++)
		add_blocks(h, &x[i], i < 2 ? x[i].n : 1);
	spans = history_spans(h, &n);
	ck_assert_uint_eq(n, 3);
	ck_assert_str_eq(spans[0].boot_id, "one");
	ck_assert_str_eq(spans[1].boot_id, "two");
	ck_assert_str_eq(spans[2].boot_id, "now");
	ck_assert_int_eq(spans[2].from_us, (int64_t)x[2].blocks[0].head.from_us);
	ck_assert_int_ge(spans[2].to_us, (int64_t)x[2].f.mono_us); /* the log's part included */
	ck_assert_int_lt(spans[1].to_us, spans[2].from_us);
	ck_assert_int_lt(spans[0].to_us, spans[1].from_us);
	ck_assert_mem_eq(spans[1].log_id, log_id(x[1].log), LOG_ID_LEN);
	if (offs[_i][1] <= 0) {
		ck_assert_int_eq(spans[1].from_us,
				 (int64_t)x[1].blocks[0].head.from_us + offs[_i][1]);
		ck_assert_int_eq(spans[0].from_us,
				 (int64_t)x[0].blocks[0].head.from_us + offs[_i][0]);
	}
	/* Wherever they were put, wall time is that of the day. */
	clocks = history_clocks(h, &n_clocks);
	for (int i = 0; i < 2; i++) {
		int64_t at = spans[i].from_us;
		int64_t wall =
			1700000000000000 + offs[_i][i] + (int64_t)x[i].blocks[0].head.from_us;

		ck_assert_int_eq(history_wall_us(clocks, n_clocks, NULL, at), wall);
		if (offs[_i][1] <= 0)
			ck_assert_int_eq(history_at_us(clocks, n_clocks, NULL, INT64_MAX, wall),
					 at);
	}
	free(clocks);
	free(spans);
	ck_assert_uint_eq(walk(h, INT64_MIN, INT64_MAX), 7);
	ck_assert_uint_eq(walk(h, INT64_MIN, (int64_t)x[2].blocks[0].head.from_us - 1), 6);
	history_close(h);
	for (int i = 0; i < 3; i++)
		close_sealed(&x[i]);
	free(x);
}
END_TEST

START_TEST(a_hole_splits_a_span)
{
	struct sealed_log *x = calloc(1, sizeof(*x));
	struct history_span *spans;
	struct history *h;
	size_t n;

	open_sealed(x, 50, "test", 50 * SECOND, 0);
	h = open_with(x->log, "test", 1 << 30);
	spans = history_spans(h, &n);
	ck_assert(spans && n == 0);
	free(spans);
	ck_assert_int_eq(history_oldest_us(h), INT64_MAX);
	random_history(&x->f, &x->past, 100, &x->rnd, &x->at);
	x->at += 60ull * SECOND;
	random_history(&x->f, &x->past, 100, &x->rnd, &x->at); /* in the log */
	spans = history_spans(h, &n);
	ck_assert_uint_eq(n, 2);
	ck_assert_int_ge(spans[1].from_us - spans[0].to_us, 59ll * SECOND);
	free(spans);
	write_blocks(x, 2); /* and in blocks */
	add_blocks(h, x, x->n);
	spans = history_spans(h, &n);
	ck_assert_uint_ge(n, 1);
	ck_assert_uint_le(n, 2);
	ck_assert_int_ge(spans[n - 1].to_us, (int64_t)x->f.mono_us);
	free(spans);
	history_close(h);
	close_sealed(x);
	free(x);
}
END_TEST

/* ---- a disk, played by memory ---- */

static struct {
	struct ring_entry entries[SEALED_MAX];
	const uint8_t *data[SEALED_MAX];
	size_t from, n; /* records [from, n) are held */
	unsigned reads;
	size_t bad; /* this record cannot be read */
} disk;

static struct ring_entry *fake_list(struct ring *r, size_t *n)
{
	struct ring_entry *list = calloc(disk.n - disk.from + 1, sizeof(*list));

	(void)r;
	*n = disk.n - disk.from;
	memcpy(list, disk.entries + disk.from, *n * sizeof(*list));
	return list;
}

static int fake_read(struct ring *r, const struct ring_entry *e, void *to)
{
	size_t i = e->seq - 1;

	(void)r;
	disk.reads++;
	if (i < disk.from)
		return -ESTALE;
	if (i == disk.bad)
		return -EBADMSG;
	memcpy(to, disk.data[i], e->len);
	return 0;
}

static void put_record(enum ring_type type, const void *data, size_t len,
		       const struct block_head *head)
{
	struct ring_entry *e = &disk.entries[disk.n];

	*e = (struct ring_entry){.seq = disk.n + 1, .len = (uint32_t)len, .type = type};
	if (head)
		e->block = *head;
	disk.data[disk.n++] = data;
}

static void fake_stats(struct ring *r, struct ring_stats *ret)
{
	(void)r;
	*ret = (struct ring_stats){.size_bytes = 1 << 30, .used_bytes = disk.n};
}

static void attach(struct history *h)
{
	h->rings[0].ring = (struct ring *)(void *)&disk;
	h->n_rings = 1;
	h->ring_list = fake_list;
	h->ring_read = fake_read;
	h->ring_stats = fake_stats;
	h->rings[0].stale = true;
}

static void put_source(const struct sealed_log *x, size_t n)
{
	put_record(RING_CATALOG, x->catalog[0], x->blocks[0].catalog_len, NULL);
	disk.entries[disk.n - 1].catalog_crc = x->blocks[0].head.catalog_crc;
	for (size_t i = 0; i < n; i++)
		put_record(RING_BLOCK, x->blocks[i].data, x->blocks[i].len, &x->blocks[i].head);
}

START_TEST(blocks_of_a_disk_are_read_and_given_back)
{
	struct sealed_log *x = calloc(1, sizeof(*x));
	struct history_stats st;
	struct history *h;
	uint64_t memory;
	size_t n;

	open_sealed(x, 50, "test", 50 * SECOND, 0);
	write_blocks(x, 12);
	n = x->n;
	memory = 2 * x->blocks[0].len + 64;
	disk.bad = SIZE_MAX;
	put_source(x, n - 2);
	h = open_with(NULL, "test", memory);
	attach(h);
	ck_assert_uint_eq(walk(h, INT64_MIN, INT64_MAX), n - 2);
	history_stats(h, &st);
	ck_assert_uint_eq(st.blocks_disk, n - 2);
	ck_assert_uint_le(st.bytes_memory, memory);
	ck_assert_uint_eq(disk.reads, n - 2 + 1); /* and the catalog */
	ck_assert_uint_eq(walk(h, (int64_t)x->blocks[n - 3].head.from_us, INT64_MAX), 1);
	ck_assert_uint_eq(disk.reads, n - 2 + 1); /* the newest was at hand */
	/* A new block is there once, from memory, though the disk has it. */
	struct sealed s = copy_of(&x->blocks[n - 2]);

	put_record(RING_BLOCK, x->blocks[n - 2].data, x->blocks[n - 2].len, &x->blocks[n - 2].head);
	ck_assert_int_eq(history_add(h, &s, true), 0);
	ck_assert_uint_eq(walk(h, (int64_t)x->blocks[n - 2].head.from_us, INT64_MAX), 1);
	ck_assert_uint_eq(walk(h, INT64_MIN, INT64_MAX), n - 1);
	/* What is written over is gone, what is damaged is a gap. */
	disk.from = 4;
	disk.bad = 6;
	s = copy_of(&x->blocks[n - 1]);
	put_record(RING_BLOCK, x->blocks[n - 1].data, x->blocks[n - 1].len, &x->blocks[n - 1].head);
	ck_assert_int_eq(history_add(h, &s, true), 0);

	struct history_block b;
	struct history_walk w;
	size_t good = 0, bad = 0;
	int r;

	ck_assert_int_eq(history_walk_begin(h, INT64_MIN, INT64_MAX, &w), 0);
	ck_assert_uint_eq(w.n, n - 3);
	while ((r = history_walk_next(h, &w, &b)) != 0) {
		bad += r == -EBADMSG;
		if (r == 1) {
			history_release(h, &b);
			good++;
		}
	}
	history_walk_end(h, &w);
	ck_assert_uint_eq(bad, 1);
	ck_assert_uint_eq(good, n - 4);
	history_close(h);
	disk.from = disk.n = disk.reads = 0;
	close_sealed(x);
	free(x);
}
END_TEST

START_TEST(boots_of_a_disk_come_before_the_log)
{
	struct sealed_log *x = calloc(2, sizeof(*x));
	struct query_selector sel = {"cpu.load", NULL};
	struct query_request rq = {&sel, 1, INT64_MIN, INT64_MAX, 1, false, false, 0};
	struct query_result *res;
	struct history *h;
	uint32_t n = 0;

	disk.bad = SIZE_MAX;
	open_sealed(&x[0], 50, "old", 50 * SECOND, 1700000000000000 - 1000ll * SECOND);
	open_sealed(&x[1], 50, "now", 50 * SECOND, 1700000000000000);
	write_blocks(&x[0], 5);
	write_blocks(&x[1], 4);
	put_source(&x[0], x[0].n);
	put_source(&x[1], 2);
	h = open_with(x[1].log, "now", 1 << 20);
	attach(h);
	ck_assert_uint_eq(history_sealed_seq(h), x[1].blocks[1].head.last_seq);
	ck_assert_int_eq(query_run(h, &rq, &res, NULL), 0);
	ck_assert_uint_eq(res->n_series, 1);
	for (int i = 0; i < 2; i++)
		for (size_t k = 0; k < x[i].past.n; k++)
			n += x[i].past.reads[k].group == 0 &&
			     x[i].past.reads[k].rows[1] != VALUE_ABSENT;
	ck_assert_uint_eq(res->series[0].points[0].n, n);
	query_free(res);
	history_close(h);
	disk.from = disk.n = disk.reads = 0;
	close_sealed(&x[0]);
	close_sealed(&x[1]);
	free(x);
}
END_TEST

/* ---- events ---- */

static int count_event(void *arg, uint64_t seq, int64_t at_us, const struct event_frame *e)
{
	int64_t *got = arg;

	got[0] += 1;
	got[1] += seq != 0;
	ck_assert_int_ge(at_us, got[2]);
	got[2] = at_us;
	ck_assert_uint_eq(e->kind, EVENT_GAP);
	return 0;
}

static void put_event(struct sealed_log *x)
{
	uint8_t buf[300];

	feeder_put(&x->f, buf,
		   frame_event(buf, sizeof(buf), x->at, EVENT_GAP, SEVERITY_INFO, "a", "b"));
}

START_TEST(events_of_all_times_are_found_once)
{
	struct sealed_log *x = calloc(2, sizeof(*x));
	int64_t got[3] = {0, 0, INT64_MIN};
	struct history *h;

	open_sealed(&x[0], 50, "old", 50 * SECOND, 1700000000000000 - 1000ll * SECOND);
	open_sealed(&x[1], 50, "now", 50 * SECOND, 1700000000000000);
	for (int i = 0; i < 2; i++)
		for (int k = 0; k < 6; k++) {
			random_history(&x[i].f, &x[i].past, 40, &x[i].rnd, &x[i].at);
			put_event(&x[i]);
			if (k % 2)
				write_blocks(&x[i], 1);
		}
	h = open_with(x[1].log, "now", 1 << 30);
	add_blocks(h, &x[0], x[0].n);
	add_blocks(h, &x[1], 2);
	ck_assert_int_eq(past_events(h, INT64_MIN, INT64_MAX, count_event, got, NULL), 0);
	ck_assert_int_eq(got[0], 12);
	ck_assert_int_eq(got[1], 6); /* of this log: they have a seq */
	got[0] = got[1] = 0;
	got[2] = INT64_MIN;
	ck_assert_int_eq(past_events(h, INT64_MIN, 0, count_event, got, NULL), 0);
	ck_assert_int_eq(got[0], 6);
	history_close(h);
	close_sealed(&x[0]);
	close_sealed(&x[1]);
	free(x);
}
END_TEST

/* ---- two threads ---- */

struct reader {
	struct history *h;
	_Atomic bool stop;
	unsigned walks;
};

static void *keep_walking(void *arg)
{
	struct reader *r = arg;

	while (!atomic_load(&r->stop)) {
		struct history_stats st;
		struct history_walk w;
		struct history_block b;
		int got;

		ck_assert_int_eq(history_walk_begin(r->h, INT64_MIN, INT64_MAX, &w), 0);
		while ((got = history_walk_next(r->h, &w, &b)) != 0) {
			ck_assert_int_eq(got, 1);
			history_release(r->h, &b);
		}
		history_walk_end(r->h, &w);
		history_stats(r->h, &st);
		r->walks++;
	}
	return NULL;
}

START_TEST(blocks_come_and_go_under_a_reader)
{
	struct sealed_log *x = calloc(1, sizeof(*x));
	struct reader r = {0};
	pthread_t thread;

	open_sealed(x, 50, "test", 50 * SECOND, 0);
	write_blocks(x, 30);
	r.h = open_with(NULL, "test", 5 * x->blocks[0].len);
	ck_assert_int_eq(pthread_create(&thread, NULL, keep_walking, &r), 0);
	for (unsigned round = 0; round < 20; round++)
		add_blocks(r.h, x, x->n);
	atomic_store(&r.stop, true);
	pthread_join(thread, NULL);
	history_close(r.h);
	close_sealed(x);
	free(x);
}
END_TEST

int main(void)
{
	TCase *t = tcase_create("history");

	tcase_set_timeout(t, 60);
	tcase_add_test(t, memory_is_bounded_and_the_oldest_goes);
	tcase_add_test(t, a_block_in_use_stays);
	tcase_add_loop_test(t, boots_are_placed_by_the_wall_clock, 0, 4);
	tcase_add_test(t, a_hole_splits_a_span);
	tcase_add_test(t, blocks_of_a_disk_are_read_and_given_back);
	tcase_add_test(t, boots_of_a_disk_come_before_the_log);
	tcase_add_test(t, events_of_all_times_are_found_once);
	tcase_add_test(t, blocks_come_and_go_under_a_reader);
	return support_run_case("history", t);
}
