/* The ring on a device that fails or loses power. RING_LONG=1: more of it. */
#include "ring_test.h"

/* ---- a device that fails ---- */

/* After death: all that was acknowledged, and at most one block and frame more, tried last. */
static void assert_whole(struct lab *l, struct lab_device *d, unsigned tried)
{
	struct lab_found f;
	uint64_t reach;

	l->r->read_only = true; /* dies: closing writes nothing */
	ring_close(l->r);
	l->r = lab_open(d, false);
	f = lab_read(l->r, l->log_no, true);
	reach = f.to > f.sealed ? f.to : f.sealed;
	ck_assert_uint_ge(f.last_tag, l->tag);
	ck_assert_uint_le(f.last_tag, l->tag + (tried >> LAB_BLOCK & 1));
	ck_assert_uint_ge(f.sealed, l->sealed);
	ck_assert_uint_ge(reach, l->frame);
	ck_assert_uint_le(reach, l->frame + (tried >> LAB_FRAME & 1));
	l->tag = f.last_tag;
	l->sealed = f.sealed;
	l->frame = reach;
}

START_TEST(failing_writes_are_reported_and_spoil_nothing)
{
	struct lab l = {.rnd = 10, .log_no = 1, .catalog_no = 1, .len_max = 20000};
	uint64_t rnd = 77, n_failed = 0;
	unsigned tried = 0; /* and not acknowledged, of each kind */
	struct ring_stats st;
	struct lab_device d;
	enum lab_did did;

	lab_device_open(&d, SMALL, false);
	l.r = lab_open(&d, false);
	for (unsigned i = 0; i < 8000; i++) {
		int r;

		d.error = i % 2 ? -EIO : -ENOSPC;
		d.partial = feeder_random(&rnd) % 2 ? UINT32_MAX : feeder_random(&rnd) % 20000;
		d.ops_left = feeder_random(&rnd) % 6 ? UINT64_MAX : feeder_random(&rnd) % 5;
		r = lab_step(&l, &did);
		d.ops_left = UINT64_MAX;
		ring_stats(l.r, &st);
		ck_assert_int_eq(st.error, r);
		n_failed += r < 0;
		tried = r < 0 ? tried | 1u << did | 1u << LAB_FRAME : tried & ~(1u << did);
		if (i % 40 == 0)
			lab_read(l.r, 1, false);
		if (i % 40 == 5) /* whatever came just before */
			assert_whole(&l, &d, tried);
	}
	ck_assert_uint_gt(n_failed, 200);
	ring_close(l.r);
	lab_device_free(&d);
}
END_TEST

START_TEST(death_at_any_write_leaves_nothing_damaged)
{
	struct lab l = {.rnd = 11, .log_no = 1, .catalog_no = 1, .len_max = 30000};
	struct lab_device d;
	enum lab_did did;
	uint64_t rnd = 5;

	lab_device_open(&d, SMALL, false);
	l.r = lab_open(&d, false);
	for (unsigned i = 0; i < 3000; i++) {
		d.ops_left = feeder_random(&rnd) % 60;
		d.partial = feeder_random(&rnd) % 30000;
		while (lab_step(&l, &did) >= 0)
			;
		d.ops_left = UINT64_MAX;
		assert_whole(&l, &d, 1u << did);
	}
	ck_assert_uint_gt(l.tag, 3000);
	ring_close(l.r);
	lab_device_free(&d);
}
END_TEST

/* ---- loss of power ---- */

struct power {
	struct lab_device d;
	struct lab l;
	uint64_t rnd;
	uint64_t synced_frame, synced_tag, oldest_tag; /* at the last sync; held when power went */
	uint64_t n_lost_nothing, n_lost_some;
};

static uint64_t oldest_tag(struct ring *r)
{
	size_t n;
	struct ring_entry *list = ring_list(r, &n);
	uint64_t tag = 0;

	for (size_t i = 0; i < n && !tag; i++)
		if (list[i].type == RING_BLOCK)
			tag = list[i].block.n_samples; /* the tag, here */
	free(list);
	return tag;
}

static void note_synced(struct power *p)
{
	p->synced_frame = p->l.frame;
	p->synced_tag = p->l.tag;
}

/* Works until power goes in the middle of something. */
static void work(struct power *p)
{
	enum lab_did did;
	uint64_t syncs;

	p->d.ops_left = feeder_random(&p->rnd) % 400;
	for (;;) {
		uint64_t frame = p->l.frame, tag = p->l.tag;
		int r;

		syncs = p->d.n_syncs;
		r = lab_step(&p->l, &did);
		if (r < 0)
			break;
		if (p->d.n_syncs == syncs)
			continue;
		p->synced_frame = did == LAB_SYNC ? p->l.frame : frame;
		p->synced_tag = did == LAB_SYNC ? p->l.tag : tag;
	}
}

static void check_after_crash(struct power *p, uint64_t oldest_held)
{
	struct lab_found f = lab_read(p->l.r, p->l.log_no, false);
	uint64_t reach = f.sealed;

	/* every block that was synced and not evicted */
	if (p->synced_tag && p->synced_tag >= oldest_held) {
		ck_assert_uint_ge(f.last_tag, p->synced_tag);
		ck_assert_uint_le(f.first_tag,
				  oldest_held > p->synced_tag ? p->synced_tag : oldest_held);
	}
	/* every frame that was synced: in a block, or in the journal without a hole before it */
	if (f.n_frames && f.from <= reach + 1)
		for (reach = f.from; !f.n_holes && reach < f.to; reach++)
			;
	if (f.n_holes)
		return; /* looked at by check_frames() */
	ck_assert_uint_ge(reach > f.sealed ? reach : f.sealed, p->synced_frame);
	p->n_lost_nothing += reach >= p->l.frame;
	p->n_lost_some += reach < p->l.frame;
}

struct frames_seen {
	uint64_t log_no, next;
};

static int see_frame(void *arg, const uint8_t log_id[LOG_ID_LEN], const struct frame *f)
{
	struct frames_seen *s = arg;
	uint8_t id[LOG_ID_LEN];

	lab_log_id(s->log_no, id);
	if (memcmp(id, log_id, LOG_ID_LEN) == 0 && f->seq == s->next)
		s->next++;
	return 0;
}

/* The same for the journal that has holes behind what was synced. */
static void check_frames(struct power *p)
{
	struct lab_found f = lab_read(p->l.r, p->l.log_no, false);
	struct frames_seen s = {.log_no = p->l.log_no, .next = f.sealed + 1};

	ck_assert_int_eq(ring_journal_each(p->l.r, see_frame, &s), 0);
	ck_assert_uint_gt(s.next, p->synced_frame);
}

/* As the agent does it: what is left of the old log becomes a block or is given up; then a new one. */
static void take_up(struct power *p)
{
	struct lab_found f = lab_read(p->l.r, p->l.log_no, false);
	uint8_t id[LOG_ID_LEN];

	p->l.tag = f.last_tag; /* what was lost is not there to be counted on */
	p->l.sealed = f.sealed;
	if (f.to > f.sealed && feeder_random(&p->rnd) % 2) {
		ck_assert_int_eq(lab_seal(&p->l, f.to), 0);
	} else {
		lab_log_id(p->l.log_no, id);
		ck_assert_int_eq(ring_journal_forget(p->l.r, id), 0);
	}
	p->l.log_no++;
	p->l.frame = p->l.sealed = 0;
	ck_assert_int_eq(ring_sync(p->l.r), 0);
	note_synced(p);
}

START_TEST(loss_of_power_takes_nothing_that_was_synced)
{
	unsigned runs = lab_long_form() ? 4000 : 250;
	struct power p = {.rnd = 42};

	for (unsigned run = 0; run < runs; run++) {
		p.l = (struct lab){.log_no = 1, .catalog_no = 1, .rnd = run};
		p.l.len_max = run % 3 ? 15000 : 2000;
		if (run % 4 > 1) { /* the journal goes round before a block comes */
			p.l.blocks = 6;
			p.l.syncs = run % 8 > 4 ? 2 : 40;
		}
		lab_device_open(&p.d, run % 2 ? 96 << 10 : SMALL, true);
		p.l.r = lab_open(&p.d, false);
		ck_assert_int_eq(ring_sync(p.l.r), 0);
		note_synced(&p);
		for (unsigned crash = 0; crash < 8; crash++) {
			uint64_t held;

			work(&p);
			held = oldest_tag(p.l.r);
			p.l.r->read_only = true;
			ring_close(p.l.r);
			lab_device_crash(&p.d, &p.rnd);
			if (crash % 3 == 2) { /* and again, while it is opened */
				struct ring_io io = lab_io(&p.d);
				char err[200];

				p.d.ops_left = feeder_random(&p.rnd) % 3;
				if (ring_open_io(&p.l.r, &io, false, err, sizeof(err)) == 0) {
					p.l.r->read_only = true;
					ring_close(p.l.r);
				}
				lab_device_crash(&p.d, &p.rnd);
			}
			p.l.r = lab_open(&p.d, false);
			check_after_crash(&p, held);
			check_frames(&p);
			take_up(&p);
		}
		ring_close(p.l.r);
		lab_device_free(&p.d);
	}
	fprintf(stderr, "power: %u crashes, %zu lost nothing, %zu what was not synced\n", runs * 8,
		(size_t)p.n_lost_nothing, (size_t)p.n_lost_some);
	ck_assert_uint_gt(p.n_lost_some, runs);
	ck_assert_uint_gt(p.n_lost_nothing, runs / 4);
}
END_TEST

/* A kernel reports a failed sync once and takes the pages for clean. */
START_TEST(what_a_failed_sync_dropped_is_written_again)
{
	uint64_t rnd = 8;

	for (unsigned run = 0; run < 150; run++) {
		struct lab l = {.rnd = run, .log_no = 1, .catalog_no = 1, .len_max = 20000};
		struct lab_device d;
		struct lab_found f;
		enum lab_did did;

		l.blocks = run % 2 ? 0 : 20;
		l.syncs = 2;
		lab_device_open(&d, SMALL, true);
		l.r = lab_open(&d, false);
		for (uint64_t i = feeder_random(&rnd) % 200; i; i--)
			ck_assert_int_eq(lab_step(&l, &did), 0);
		ck_assert_int_eq(lab_journal(&l), 0);
		d.ops_left = 0;
		ck_assert_int_eq(ring_sync(l.r), -EIO);
		d.ops_left = UINT64_MAX;
		d.n_writes = d.kept_len = 0;
		for (uint64_t i = feeder_random(&rnd) % 3; i; i--)
			ck_assert_int_eq(lab_step(&l, &did), 0);
		ck_assert_int_eq(ring_sync(l.r), 0);
		l.r->read_only = true;
		ring_close(l.r);
		lab_device_crash(&d, &rnd);
		l.r = lab_open(&d, false);
		f = lab_read(l.r, 1, true);
		ck_assert_uint_eq(f.last_tag, l.tag);
		ck_assert_uint_eq(f.to > f.sealed ? f.to : f.sealed, l.frame);
		ring_close(l.r);
		lab_device_free(&d);
	}
}
END_TEST

/* ---- a record that came only half ---- */

static int append_tag(struct lab *l, size_t len)
{
	struct block_head h = lab_head(l, l->sealed + 1);
	uint8_t *data = lab_payload(l->tag + 1, &h, len);
	int r = ring_append(l->r, RING_BLOCK, data, len);

	free(data);
	if (r == 0) {
		l->tag++;
		l->sealed++;
	}
	return r;
}

/* So that the next large record goes to the start, and a small one still fits before the end. */
static void fill_to_the_end(struct lab *l)
{
	enum { LARGE = 30000, ROOM = 5 * RING_UNIT };

	while (l->r->super.records_size - l->r->head > 2 * LARGE)
		ck_assert_int_eq(append_tag(l, LARGE), 0);
	while (l->r->super.records_size - l->r->head > ROOM)
		ck_assert_int_eq(append_tag(l, 1000), 0);
	ck_assert_int_eq(ring_sync(l->r), 0);
}

static void die(struct lab *l, struct lab_device *d)
{
	l->r->read_only = true;
	ring_close(l->r);
	l->r = lab_open(d, false);
}

START_TEST(failed_record_is_never_found_beside_its_successor)
{
	for (unsigned way = 0; way < 2; way++) {
		struct lab l = {.log_no = 1, .catalog_no = 1};
		struct lab_device d;
		struct lab_found f;

		lab_device_open(&d, SMALL, true);
		l.r = lab_open(&d, false);
		ck_assert_int_eq(lab_catalog(l.r, 1), 0);
		fill_to_the_end(&l);
		if (way == 0) { /* its last write arrives and is said to have failed */
			d.ops_left = 2;
			d.partial = UINT32_MAX;
			l.sealed += 7;
			ck_assert_int_eq(append_tag(&l, 30000), -EIO);
			l.sealed -= 7;
			d.ops_left = UINT64_MAX;
		} else { /* power goes when its header is on the disk and its pages are not */
			uint64_t at = l.r->super.records_at;

			ck_assert_int_eq(append_tag(&l, 30000), 0);
			l.tag--;
			l.sealed--;
			lab_device_settle(&d, at, at + 512, d.n_writes);
			memcpy(d.now, d.durable, d.size);
			d.n_writes = d.kept_len = 0;
			die(&l, &d);
			ck_assert_uint_eq(l.r->stats.damaged, 1);
		}
		for (unsigned i = 0; i < 3; i++) {
			ck_assert_int_eq(append_tag(&l, 1000), 0);
			die(&l, &d);
			f = lab_read(l.r, 1, true);
			ck_assert_uint_eq(f.last_tag, l.tag);
			ck_assert_uint_eq(f.sealed, l.sealed);
			ck_assert_uint_gt(f.n, 2);
		}
		ring_close(l.r);
		lab_device_free(&d);
	}
}
END_TEST

int main(void)
{
	const TTest *const tests[] = {
		failing_writes_are_reported_and_spoil_nothing,
		death_at_any_write_leaves_nothing_damaged,
		loss_of_power_takes_nothing_that_was_synced,
		what_a_failed_sync_dropped_is_written_again,
		failed_record_is_never_found_beside_its_successor,
	};

	return lab_run("ring_power", tests, sizeof(tests) / sizeof(*tests));
}
