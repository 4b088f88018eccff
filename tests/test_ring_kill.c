/* The ring in use: a writer killed at any moment (RING_LONG=1: 600 kills), readers beside it. */
#include "ring_test.h"

#include "base/clock.h"

#include <poll.h>
#include <signal.h>
#include <sys/wait.h>

/* ---- death ---- */

struct ack {
	uint32_t kind, crc;
	uint64_t tag, frame, sealed;
};
enum { TAGS_MAX = 1 << 20 };

/* The child: goes on with the ring and tells what was acknowledged. */
static void write_until_killed(int out, uint64_t seed)
{
	struct lab l = {.log_no = 1, .rnd = seed, .len_max = seed % 3 ? 400000 : 9000};
	struct lab_found f;
	enum lab_did did;

	if (try_open(&l.r, ring_dir, RING_SIZE_MIN, false) < 0)
		_exit(1);
	f = lab_read(l.r, 1, true);
	l.tag = f.last_tag;
	l.sealed = f.sealed;
	l.frame = f.to > f.sealed ? f.to : f.sealed;
	l.catalog_no = l.tag / 50;
	for (;;) {
		struct ack a;

		if (lab_step(&l, &did) < 0)
			_exit(1);
		a = (struct ack){did, l.crc, l.tag, l.frame, l.sealed};
		if (write(out, &a, sizeof(a)) != sizeof(a))
			_exit(1);
	}
}

struct witness { /* what was acknowledged so far */
	struct ack last;
	uint32_t *crc; /* by tag, 0: unknown */
	uint64_t n;
};

/* Takes acks until `deadline_ms` from the first one on, or the end of the pipe. */
static void take_acks(struct witness *w, int in, int for_ms)
{
	struct pollfd p = {.fd = in, .events = POLLIN};
	uint64_t end = 0;
	struct ack a;

	for (;;) {
		uint64_t now = clock_mono_us() / 1000;

		if (end && for_ms >= 0 && now >= end)
			return;
		poll(&p, 1, !end || for_ms < 0 ? 20000 : (int)(end - now));
		if (!(p.revents & (POLLIN | POLLHUP)))
			continue;
		if (read(in, &a, sizeof(a)) != sizeof(a))
			return;
		end = end ? end : now + (uint64_t)(for_ms < 0 ? 0 : for_ms);
		w->last = a;
		w->n++;
		FEEDER_CHECK(a.tag < TAGS_MAX);
		if (a.kind == LAB_BLOCK)
			w->crc[a.tag] = a.crc;
	}
}

/* Every block held is what was acknowledged (or the one thing more that was not told yet). */
static void check_blocks(struct ring *r, struct witness *w)
{
	struct ring_entry *list;
	size_t n;

	list = ring_list(r, &n);
	for (size_t i = 0; i < n; i++) {
		uint8_t *data = malloc(list[i].len);
		uint64_t tag = list[i].block.n_samples; /* see lab_head() */
		uint32_t crc;

		ck_assert_int_eq(ring_read(r, &list[i], data), 0);
		crc = crc32c(0, data, list[i].len);
		free(data);
		if (list[i].type != RING_BLOCK)
			continue;
		if (!w->crc[tag]) {
			ck_assert_uint_eq(tag, w->last.tag + 1);
			w->crc[tag] = crc;
		}
		ck_assert_uint_eq(crc, w->crc[tag]);
	}
	free(list);
}

static void check_after_kill(struct witness *w)
{
	struct ring *r = open_ring(RING_SIZE_MIN);
	struct lab_found f;
	uint64_t reach;

	ck_assert_str_eq(ring_err, ""); /* nothing is damaged */
	f = lab_read(r, 1, true);
	reach = f.to > f.sealed ? f.to : f.sealed;
	ck_assert_uint_ge(f.last_tag, w->last.tag);
	ck_assert_uint_le(f.last_tag, w->last.tag + 1);
	ck_assert_uint_ge(f.sealed, w->last.sealed);
	ck_assert_uint_ge(reach, w->last.frame);
	ck_assert_uint_le(reach, w->last.frame + 1);
	ck_assert(!f.n_frames || (f.from <= f.sealed + 1 && f.from % LAB_STRETCH == 1));
	check_blocks(r, w);
	ring_close(r);
}

START_TEST(killed_writer_loses_nothing_that_was_acknowledged)
{
	unsigned kills = lab_long_form() ? 600 : 40;
	struct witness w = {.crc = calloc(TAGS_MAX, sizeof(*w.crc))};
	uint64_t rnd = (uint64_t)getpid();

	support_dir(ring_dir);
	ring_close(open_ring(RING_SIZE_MIN));
	for (unsigned i = 0; i < kills; i++) {
		int ends[2], status;
		pid_t pid;

		ck_assert_int_eq(pipe(ends), 0);
		pid = fork();
		if (!pid) {
			close(ends[0]);
			write_until_killed(ends[1], feeder_random(&rnd) + i);
		}
		close(ends[1]);
		take_acks(&w, ends[0], (int)(feeder_random(&rnd) % 30));
		nanosleep(&(struct timespec){.tv_nsec = (long)(feeder_random(&rnd) % 1000000)},
			  NULL);
		kill(pid, SIGKILL);
		ck_assert_int_eq(waitpid(pid, &status, 0), pid);
		ck_assert(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL);
		take_acks(&w, ends[0], -1);
		close(ends[0]);
		check_after_kill(&w);
	}
	fprintf(stderr, "%u kills: %zu acknowledged, %zu blocks\n", kills, (size_t)w.n,
		(size_t)w.last.tag);
	ck_assert_uint_gt(w.n, kills * 10);
	free(w.crc);
	support_rm(ring_dir);
}
END_TEST

/* ---- threads ---- */

struct shared {
	struct ring *r;
	_Atomic bool stop;
	_Atomic uint64_t n_read, n_stale;
};

static void *read_always(void *arg)
{
	struct shared *s = arg;
	uint8_t *to = malloc(500000);

	while (!s->stop) {
		struct ring_stats st;
		size_t n = 0;
		struct ring_entry *list = ring_list(s->r, &n);

		ring_stats(s->r, &st);
		for (size_t i = 0; i < n && !s->stop; i += 1 + n / 8) {
			int e = ring_read(s->r, &list[i], to);

			FEEDER_CHECK(e == 0 || e == -ESTALE);
			if (e == 0 && list[i].type == RING_BLOCK)
				lab_check_payload(to, &list[i]);
			s->n_read += e == 0;
			s->n_stale += e < 0;
		}
		free(list);
	}
	free(to);
	return NULL;
}

START_TEST(readers_beside_the_writer_get_it_right_or_stale)
{
	struct lab l = {.log_no = 1, .catalog_no = 1, .len_max = 400000};
	struct shared s = {.stop = false};
	pthread_t threads[2];
	struct ring_stats st;
	enum lab_did did;

	support_dir(ring_dir);
	s.r = l.r = open_ring(RING_SIZE_MIN);
	for (unsigned i = 0; i < 2; i++)
		ck_assert_int_eq(pthread_create(&threads[i], NULL, read_always, &s), 0);
	do {
		ck_assert_int_eq(lab_step(&l, &did), 0);
		ring_stats(l.r, &st);
	} while (st.laps < 6 || s.n_read < 500);
	s.stop = true;
	for (unsigned i = 0; i < 2; i++)
		pthread_join(threads[i], NULL);
	ring_stats(l.r, &st);
	ck_assert_uint_eq(st.damaged, 0);
	ring_close(l.r);
	support_rm(ring_dir);
}
END_TEST

int main(void)
{
	const TTest *const tests[] = {
		killed_writer_loses_nothing_that_was_acknowledged,
		readers_beside_the_writer_get_it_right_or_stale,
	};

	if (access("/dev/shm", W_OK) == 0)
		setenv("TMPDIR", "/dev/shm", 0);
	return lab_run("ring_kill", tests, sizeof(tests) / sizeof(*tests));
}
