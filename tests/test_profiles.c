/* What is held of all profiles: in memory, in the crash log, in a ring; for readers beside the
 * writer. */
#include "stacks_lab.h"
#include "support.h"

#include "profile/profiles_internal.h"
#include "profile/range.h"

#include <glob.h>
#include <malloc.h>
#include <sys/wait.h>

#define BOOT "11111111-2222-3333-4444-555555555555"

static char dir[64];

static struct profiles *open_profiles(uint64_t memory_bytes, const char *log_dir, struct ring *ring)
{
	struct profiles_config c = {.memory_bytes = memory_bytes,
				    .dir = log_dir,
				    .ring = ring,
				    .boot_id = BOOT,
				    .real_off_us = 1000000000,
				    .n_cpus = 2};
	struct profiles *p = NULL;

	ck_assert_int_eq(profiles_open(&p, &c), 0);
	return p;
}

/* Adds samples number `from`..`to`: each at its number in ms, with its number as its weight, in a
 * stack that follows from it. */
static void add(struct profiles *p, uint32_t from, uint32_t to)
{
	struct stacks *s = profiles_begin(p);

	for (uint32_t i = from; i < to; i++) {
		struct stacks_frame f = {.module = stacks_module(s, "/bin/program", "ab12")};
		struct stacks_task t = {
			.pid = 7 + i % 3, .tid = 7, .comm = stacks_string(s, "t", 1)};
		struct stacks_sample x = {.at_us = i * 1000ll, .weight_us = i, .cpu = i % 2};
		uint32_t node = 0;

		for (uint32_t k = 0; k < 12; k++) {
			f.addr = 16 + (i >> k) % 64;
			f.type = STACKS_USER;
			node = stacks_node(s, node, stacks_frame(s, &f));
		}
		x.node = node;
		x.task = stacks_task(s, &t);
		ck_assert_int_eq(stacks_add(s, &x), 0);
	}
	profiles_end(p, to * 1000ll, 1000000000);
}

/* What a reader saw. */
struct seen {
	uint32_t from, to; /* samples from `from` up to, not with, `to`, each once and in order */
	uint32_t epochs, unnamed;
	int64_t end_us;
	bool any, wrong;
};

static int see(void *arg, const struct stacks *s)
{
	struct seen *seen = arg;

	seen->epochs++;
	if (s->from_us < seen->end_us)
		seen->wrong = true;
	seen->end_us = s->to_us;
	for (uint32_t i = 0; i < s->n_samples; i++) {
		const struct stacks_sample *x = &s->samples[i];

		if (!seen->any)
			seen->from = seen->to = x->weight_us;
		seen->any = true;
		if (x->weight_us != seen->to++ || x->at_us != x->weight_us * 1000ll)
			seen->wrong = true;
		if (s->frames[s->nodes[x->node].frame].addr != 16 + (x->weight_us >> 11) % 64)
			seen->wrong = true;
	}
	for (uint32_t i = 1; i < s->n_frames; i++)
		seen->unnamed += !s->frames[i].name;
	return 0;
}

static struct seen see_all(struct profiles *p)
{
	struct seen seen = {.end_us = INT64_MIN};

	ck_assert_int_eq(profiles_each(p, INT64_MIN / 4, INT64_MAX / 4, see, &seen), 0);
	ck_assert(!seen.wrong);
	return seen;
}

START_TEST(all_that_is_added_is_read_once_and_in_order)
{
	struct profiles *p = open_profiles(4 << 20, NULL, NULL);
	struct profiles_stats st;
	struct seen seen;

	for (uint32_t i = 0; i < 60000; i += 50) {
		add(p, i, i + 50);
		if (i % 5000 == 0)
			ck_assert_int_eq(profiles_step(p), 0);
		if (i % 7000 == 0) {
			seen = see_all(p);
			ck_assert_uint_eq(seen.from, 0);
			ck_assert_uint_eq(seen.to, i + 50);
		}
	}
	ck_assert_uint_gt(see_all(p).epochs, 3);
	profiles_stats(p, &st);
	ck_assert_int_eq(st.oldest_us, 0);
	ck_assert_uint_eq(st.damaged, 0);
	ck_assert_uint_eq(st.dropped, 0);
	profiles_close(p);
}
END_TEST

static int stop_at_two(void *arg, const struct stacks *s)
{
	unsigned *n = arg;

	(void)s;
	return ++*n == 2 ? 42 : 0;
}

START_TEST(only_what_overlaps_is_read_and_a_reader_can_stop)
{
	struct profiles *p = open_profiles(4 << 20, NULL, NULL);
	struct seen seen = {.end_us = INT64_MIN};
	unsigned n = 0;

	for (uint32_t i = 0; i < 40000; i += 50) {
		add(p, i, i + 50);
		profiles_step(p);
	}
	ck_assert_int_eq(profiles_each(p, 20000000, 20001000, see, &seen), 0);
	ck_assert_uint_eq(seen.epochs, 1);
	ck_assert_uint_le(seen.from, 20000);
	ck_assert_uint_gt(seen.to, 20000);
	ck_assert_int_eq(profiles_each(p, 0, INT64_MAX / 4, stop_at_two, &n), 42);
	ck_assert_uint_eq(n, 2);
	seen = (struct seen){0};
	ck_assert_int_eq(profiles_each(p, 41000000, INT64_MAX / 4, see, &seen), 0);
	ck_assert_uint_eq(seen.epochs, 0);
	profiles_close(p);
}
END_TEST

static int count_epochs(void *arg, const struct stacks *s)
{
	(void)s;
	++*(unsigned *)arg;
	return 0;
}

/* By way of where the next one begins: all of [from_us, to_us), and no stretch that has nothing. */
static unsigned walk(struct profiles *p, int64_t from_us, int64_t to_us, int64_t step_us)
{
	unsigned n_empty = 0, n = 0;

	while ((from_us = profiles_next_us(p, from_us, to_us)) < to_us) {
		unsigned here = 0;
		int64_t end_us = to_us - from_us > step_us ? from_us + step_us : to_us;

		ck_assert_int_eq(profiles_each(p, from_us, end_us, count_epochs, &here), 0);
		n_empty += !here;
		from_us = end_us;
		ck_assert_uint_lt(++n, 1000);
	}
	ck_assert_uint_eq(n_empty, 0);
	return n;
}

START_TEST(where_the_next_epoch_begins_is_known_without_reading_one)
{
	struct profiles *p = open_profiles(4 << 20, NULL, NULL);
	const int64_t day_us = 86400000000;

	ck_assert_int_eq(profiles_next_us(p, INT64_MIN, day_us), day_us);
	for (uint32_t i = 5000; i < 40000; i += 50) { /* sealed, waiting and open ones */
		add(p, i, i + 50);
		if (i < 30000)
			profiles_step(p);
	}
	ck_assert_uint_gt(see_all(p).epochs, 3);
	ck_assert_int_eq(profiles_next_us(p, INT64_MIN, day_us), 5000000);
	ck_assert_int_eq(profiles_next_us(p, -day_us, 5000000), 5000000);
	ck_assert_int_eq(profiles_next_us(p, -day_us, 4000000), 4000000);
	ck_assert_int_eq(profiles_next_us(p, 39990000, day_us), 39990000);
	ck_assert_int_eq(profiles_next_us(p, 41000000, day_us), day_us);
	ck_assert_uint_eq(walk(p, -day_us, day_us, 300000000), 1);
	ck_assert_uint_ge(walk(p, -day_us, day_us, 1000000), 35);
	profiles_close(p);
}
END_TEST

START_TEST(a_stretch_that_reaches_back_is_found_in_its_later_epoch)
{
	struct profiles *p = open_profiles(4 << 20, NULL, NULL);
	struct stacks_sample x = {.at_us = 700000000, .weight_us = 650000000, .kind = STACKS_OFF};
	unsigned n = 0, n_off = 0;

	add(p, 1000, 1050);
	add(p, 610000, 610050); /* ten minutes on: an epoch ends */
	ck_assert_int_eq(profiles_step(p), 0);
	ck_assert_int_eq(stacks_add(profiles_begin(p), &x), 0);
	profiles_end(p, 700001000, 0);
	for (unsigned sealed = 0; sealed < 2; sealed++) {
		n = n_off = 0;
		ck_assert_int_eq(profiles_each(p, 60000000, 61000000, count_epochs, &n), 0);
		ck_assert_int_eq(profiles_each_off(p, 60000000, 61000000, count_epochs, &n_off), 0);
		ck_assert_uint_eq(n, 1);
		ck_assert_uint_eq(n_off, 2);
		profiles_finish(p);
	}
	profiles_close(p);
}
END_TEST

static size_t heap_bytes(void)
{
	struct mallinfo2 m = mallinfo2();

	return m.uordblks + m.hblkhd;
}

START_TEST(memory_stays_within_its_bound_and_the_oldest_goes)
{
	enum { MEMORY = 1 << 20 };
	size_t before = heap_bytes(), most = 0;
	struct profiles *p = open_profiles(MEMORY, NULL, NULL);
	struct profiles_stats st;
	struct seen seen;

	for (uint32_t i = 0; i < 300000; i += 50) {
		size_t now;

		add(p, i, i + 50);
		profiles_step(p);
		if (i % 40000 == 0)
			see_all(p);
		profiles_stats(p, &st);
		ck_assert_uint_le(st.memory_bytes, MEMORY);
		now = heap_bytes() - before;
		most = now > most ? now : most;
	}
	ck_assert_msg(most <= MEMORY, "%zu bytes", most);
	seen = see_all(p);
	ck_assert_uint_eq(seen.to, 300000);
	ck_assert_uint_gt(seen.from, 0);
	ck_assert_uint_lt(seen.from, 250000);
	ck_assert_int_le(st.oldest_us, seen.from * 1000ll);
	ck_assert_uint_eq(st.dropped, 0);
	profiles_close(p);
}
END_TEST

START_TEST(when_nobody_seals_the_profiler_goes_on_and_says_what_it_lost)
{
	struct profiles *p = open_profiles(2 << 20, NULL, NULL);
	struct profiles_stats st;
	struct stacks *s;
	uint64_t epoch;

	profiles_begin(p);
	epoch = profiles_epoch(p);
	profiles_end(p, 0, 0);
	for (uint32_t i = 0; i < 200000; i += 50) {
		add(p, i, i + 50);
		profiles_stats(p, &st);
		ck_assert_uint_le(st.memory_bytes, 2 << 20);
	}
	ck_assert_uint_gt(st.dropped, 10000);
	s = profiles_begin(p);
	ck_assert_uint_gt(profiles_epoch(p), epoch + 2);
	ck_assert_uint_ge(s->n_notes, 1);
	ck_assert_uint_eq(s->notes[0].kind, STACKS_GAP);
	ck_assert_uint_gt(s->notes[0].n, 0);
	profiles_end(p, 200000000, 0);
	profiles_close(p);
}
END_TEST

/* ---- names ---- */

static unsigned named_open, named_all;

static void give_names(void *arg, struct stacks *s, bool all)
{
	char buf[40];

	(void)arg;
	*(all ? &named_all : &named_open) += 1;
	for (uint32_t i = 1; i < s->n_frames; i++) {
		int len = snprintf(buf, sizeof(buf), "function_%llx",
				   (unsigned long long)s->frames[i].addr);

		if (!s->frames[i].name && (all || i % 2))
			s->frames[i].name = stacks_string(s, buf, (size_t)len);
	}
}

START_TEST(frames_are_named_before_they_are_stored)
{
	struct profiles *p = open_profiles(4 << 20, NULL, NULL);

	p->c.name = give_names;
	add(p, 0, 1000);
	ck_assert_int_eq(profiles_step(p), 0);
	ck_assert_uint_eq(named_open, 1);
	ck_assert_uint_gt(see_all(p).unnamed, 0);
	add(p, 1000, 2000);
	profiles_finish(p);
	ck_assert_uint_eq(named_all, 1);
	ck_assert_uint_eq(see_all(p).unnamed, 0);
	ck_assert_uint_eq(see_all(p).to, 2000);
	profiles_close(p);
}
END_TEST

/* ---- after a kill ---- */

/* Adds `n` and dies. */
static void die_with(uint32_t from, uint32_t n, bool named, bool step)
{
	int status;
	pid_t pid = fork();

	if (!pid) {
		struct profiles *p = open_profiles(4 << 20, dir, NULL);

		if (named)
			p->c.name = give_names;
		for (uint32_t i = from; i < from + n; i += 50) {
			add(p, i, i + 50);
			if (step && i % 1000 == 0)
				profiles_step(p);
		}
		_exit(0);
	}
	ck_assert_int_eq(waitpid(pid, &status, 0), pid);
	ck_assert_int_eq(status, 0);
}

START_TEST(the_next_agent_finds_what_a_killed_one_added)
{
	struct profiles *p;
	struct seen seen;

	support_dir(dir);
	die_with(0, 3000, true, true);
	p = open_profiles(4 << 20, dir, NULL);
	ck_assert_int_eq(profiles_step(p), 0);
	seen = see_all(p);
	ck_assert_uint_eq(seen.from, 0);
	ck_assert_uint_eq(seen.to, 3000);
	add(p, 3000, 3050); /* and goes on */
	seen = see_all(p);
	ck_assert_uint_eq(seen.to, 3050);
	profiles_close(p);
	support_rm(dir);
}
END_TEST

static void name_pending(void *arg, struct stacks *s, bool all)
{
	(void)arg;
	(void)all;
	for (uint32_t i = 1; i < s->n_frames; i++)
		if (!s->frames[i].name && !s->frames[i].missed)
			s->frames[i].name = stacks_string(s, "of_now", 6);
}

static int see_names(void *arg, const struct stacks *s)
{
	char buf[64];

	for (uint32_t i = 1; i < s->n_frames; i++)
		snprintf(((char(*)[64])arg)[s->frames[i].type], 64, "%s",
			 stacks_frame_name(s, i, buf, sizeof(buf)));
	return 0;
}

/* The machine fell while the newest frames had no names yet. */
START_TEST(the_kernel_of_another_boot_is_not_named_by_this_one)
{
	struct profiles_config c = {.memory_bytes = 4 << 20, .dir = dir, .n_cpus = 2};
	char names[STACKS_TYPES][64] = {""};
	struct profiles *p;

	support_dir(dir);
	c.boot_id = "99999999-2222-3333-4444-555555555555";
	ck_assert_int_eq(profiles_open(&p, &c), 0);
	struct stacks *s = profiles_begin(p);
	struct stacks_frame f = {
		.addr = 0x1000, .module = stacks_module(s, "[kernel]", ""), .type = STACKS_KERNEL};
	uint32_t node = stacks_node(s, 0, stacks_frame(s, &f));

	f.module = stacks_module(s, "perf-77.map", "");
	f.type = STACKS_JIT;
	node = stacks_node(s, node, stacks_frame(s, &f));
	f.module = stacks_module(s, "/bin/a", "ab12");
	f.type = STACKS_USER;
	node = stacks_node(s, node, stacks_frame(s, &f));
	stacks_add(s, &(struct stacks_sample){.at_us = 1000, .node = node, .weight_us = 1});
	profiles_end(p, 2000, 0);
	profiles_close(p);
	c.boot_id = BOOT;
	c.name = name_pending;
	ck_assert_int_eq(profiles_open(&p, &c), 0);
	ck_assert_int_eq(profiles_step(p), 0);
	ck_assert_int_eq(profiles_each(p, INT64_MIN / 4, INT64_MAX / 4, see_names, names), 0);
	ck_assert_str_eq(names[STACKS_KERNEL], "[kernel]+0x1000");
	ck_assert_str_eq(names[STACKS_JIT], "[JIT] +0x1000");
	ck_assert_str_eq(names[STACKS_USER], "of_now");
	profiles_close(p);
	support_rm(dir);
}
END_TEST

/* A capture is made of stretches: a wait from one into the next was twice in it. */
START_TEST(a_wait_is_in_one_stretch_of_a_capture)
{
	struct profiles *p = open_profiles(4 << 20, NULL, NULL);
	struct stacks *s = profiles_begin(p), *part;
	uint32_t n = 0;

	for (int64_t at = 100000; at <= 10000000; at += 100000)
		stacks_add(s, &(struct stacks_sample){
				      .at_us = at, .kind = STACKS_OFF, .weight_us = 90000});
	for (int64_t at = 1040000; at < 10000000; at += 1000000)
		stacks_add(s, &(struct stacks_sample){
				      .at_us = at, .kind = STACKS_OFF, .weight_us = 1000000});
	uint32_t all = s->n_samples;

	profiles_end(p, 11000000, 0);
	for (int64_t from = 0; from < 10000000;) {
		int64_t to = from + 3000000 < 10000000 ? from + 3000000 : 10000000;
		uint8_t *data;
		size_t len;

		ck_assert_int_eq(range_epoch(p, from, &to, to < 10000000, &data, &len), 0);
		ck_assert_int_eq(epoch_decode(data, len, &part), 0);
		n += part->n_samples;
		stacks_free(part);
		free(data);
		from = to;
	}
	ck_assert_uint_eq(n, all);
	profiles_close(p);
}
END_TEST

START_TEST(names_outlive_a_kill)
{
	struct profiles *p;
	uint32_t unnamed;

	support_dir(dir);
	die_with(0, 3000, false, true);
	p = open_profiles(4 << 20, dir, NULL);
	unnamed = see_all(p).unnamed;
	profiles_close(p);
	support_rm(dir);
	support_dir(dir);
	die_with(0, 3000, true, true);
	p = open_profiles(4 << 20, dir, NULL);
	ck_assert_uint_gt(unnamed, 0);
	ck_assert_uint_lt(see_all(p).unnamed, unnamed * 2 / 3);
	profiles_close(p);
	support_rm(dir);
}
END_TEST

START_TEST(an_epoch_that_waited_is_found_after_a_kill_too)
{
	struct profiles *p;
	struct seen seen;
	uint32_t n = 20000;

	support_dir(dir);
	die_with(0, n, false, false); /* nobody sealed */
	p = open_profiles(4 << 20, dir, NULL);
	ck_assert_uint_eq(atomic_load(&p->n_pending), 3);
	ck_assert_uint_eq(see_all(p).to, n);
	while (atomic_load(&p->n_pending))
		ck_assert_int_eq(profiles_step(p), 0);
	seen = see_all(p);
	ck_assert_uint_eq(seen.from, 0);
	ck_assert_uint_eq(seen.to, n);
	profiles_close(p);
	p = open_profiles(4 << 20, dir, NULL); /* it was sealed: its log is not found again */
	ck_assert_uint_eq(atomic_load(&p->n_pending), 0);
	ck_assert_uint_eq(see_all(p).to, n);
	profiles_close(p);
	support_rm(dir);
}
END_TEST

START_TEST(a_crash_log_cut_or_flipped_anywhere_gives_what_is_whole)
{
	char path[100];
	uint8_t *data = malloc(1 << 20);
	uint32_t rnd = 1, least = 1000;
	ssize_t len;
	int fd;

	support_dir(dir);
	die_with(0, 500, false, false);
	snprintf(path, sizeof(path), "%s/profile.log", dir);
	fd = open(path, O_RDONLY);
	len = read(fd, data, 1 << 20);
	close(fd);
	ck_assert_int_gt(len, 5000);
	for (unsigned i = 0; i < 200; i++) {
		size_t at = (rnd = rnd * 1664525 + 1013904223) % (size_t)len;
		struct profiles *p;
		struct seen seen;

		if (i % 2)
			data[at] ^= 0x20;
		support_write(dir, "profile.log", data, i % 2 ? (size_t)len : at);
		if (i % 2)
			data[at] ^= 0x20;
		p = open_profiles(4 << 20, dir, NULL);
		profiles_step(p);
		seen = see_all(p);
		ck_assert(!seen.any || seen.from == 0);
		ck_assert_uint_le(seen.to, 500);
		ck_assert_uint_eq(seen.to % 50, 0);
		least = seen.to < least ? seen.to : least;
		profiles_close(p);
		snprintf(path, sizeof(path), "%s/profile.epoch.1", dir); /* what was made of it */
		unlink(path);
	}
	ck_assert_uint_lt(least, 100);
	free(data);
	support_rm(dir);
}
END_TEST

START_TEST(without_a_ring_the_last_epoch_outlives_a_restart)
{
	struct profiles *p;

	support_dir(dir);
	p = open_profiles(4 << 20, dir, NULL);
	p->c.name = give_names;
	add(p, 0, 777);
	profiles_finish(p);
	profiles_close(p);
	p = open_profiles(4 << 20, dir, NULL);
	ck_assert_uint_eq(see_all(p).to, 777);
	ck_assert_uint_eq(see_all(p).unnamed, 0);
	profiles_close(p);
	support_rm(dir);
}
END_TEST

static unsigned kept_files(void)
{
	char pattern[96];
	glob_t g;

	snprintf(pattern, sizeof(pattern), "%s/profile.epoch.*", dir);
	unsigned n = glob(pattern, 0, NULL, &g) ? 0 : (unsigned)g.gl_pathc;

	if (n)
		globfree(&g);
	return n;
}

START_TEST(sealed_epochs_outlive_a_kill_without_a_ring)
{
	struct profiles_stats st;
	struct profiles *p;

	support_dir(dir);
	die_with(0, 60000, false, true);
	ck_assert_uint_gt(kept_files(), 3);
	for (unsigned i = 0; i < 3; i++) { /* and a restart, and another one */
		p = open_profiles(4 << 20, dir, NULL);
		ck_assert_uint_eq(see_all(p).from, 0);
		ck_assert_uint_eq(see_all(p).to, 60000);
		profiles_stats(p, &st);
		ck_assert_uint_eq(st.damaged, 0);
		ck_assert_uint_gt(st.memory_bytes, 0);
		while (atomic_load(&p->n_pending))
			profiles_step(p);
		profiles_close(p);
	}
	support_rm(dir);
}
END_TEST

/* They count as what is in memory does, and what goes takes its file along. */
START_TEST(what_is_kept_stays_within_its_bound)
{
	struct profiles_stats st;
	struct profiles *p;
	struct seen seen;

	support_dir(dir);
	p = open_profiles(1 << 20, dir, NULL);
	for (uint32_t i = 0; i < 400000; i += 50) {
		add(p, i, i + 50);
		profiles_step(p);
	}
	profiles_stats(p, &st);
	ck_assert_uint_le(st.memory_bytes, 1 << 20);
	ck_assert_uint_eq(kept_files(), st.n_epochs);
	seen = see_all(p);
	ck_assert_uint_gt(seen.from, 0);
	ck_assert_uint_eq(seen.to, 400000);
	profiles_close(p);
	p = open_profiles(1 << 19, dir, NULL); /* less is allowed now */
	while (atomic_load(&p->n_pending))
		profiles_step(p);
	profiles_stats(p, &st);
	ck_assert_uint_le(st.memory_bytes, 1 << 19);
	ck_assert_uint_eq(kept_files(), st.n_epochs);
	ck_assert_uint_eq(see_all(p).to, 400000);
	profiles_close(p);
	support_rm(dir);
}
END_TEST

/* One is cut, one is flipped, one is no epoch, one is a link, a draft is left: the others are read. */
START_TEST(a_kept_epoch_that_is_damaged_is_passed_over_and_counted)
{
	struct profiles_stats st;
	struct seen seen = {.end_us = INT64_MIN};
	struct profiles *p;
	char cmd[512];

	support_dir(dir);
	die_with(0, 60000, false, true);
	snprintf(cmd, sizeof(cmd),
		 "cd %s && truncate -s -1 profile.epoch.1 && printf x | dd of=profile.epoch.2 bs=1 "
		 "seek=500 "
		 "conv=notrunc 2>/dev/null && echo >profile.epoch.900 && ln -s profile.epoch.3 "
		 "profile.epoch.901 && "
		 "touch profile.epoch.new profile.epoch.x",
		 dir);
	ck_assert_int_eq(system(cmd), 0);
	p = open_profiles(4 << 20, dir, NULL);
	ck_assert_int_eq(profiles_each(p, INT64_MIN / 4, INT64_MAX / 4, see, &seen), 0);
	ck_assert(!seen.wrong);
	ck_assert_uint_gt(seen.from, 0);
	ck_assert_uint_eq(seen.to, 60000);
	profiles_stats(p, &st);
	ck_assert_uint_eq(st.damaged, 4);
	profiles_close(p);
	support_rm(dir);
}
END_TEST

/* ---- a ring ---- */

static struct ring *open_test_ring(void)
{
	struct ring_config c = {.dir = dir, .size_bytes = RING_SIZE_MIN};
	struct ring *r = NULL;
	char err[300];

	ck_assert_msg(ring_open(&r, &c, err, sizeof(err)) == 0, "%s", err);
	return r;
}

START_TEST(what_was_kept_goes_to_a_ring_that_comes_later)
{
	struct profiles *p;
	struct ring *ring;

	support_dir(dir);
	die_with(0, 40000, false, true);
	ring = open_test_ring();
	p = open_profiles(4 << 20, dir, ring);
	ck_assert_uint_eq(see_all(p).to, 40000);
	ck_assert_uint_eq(kept_files(), 0);
	while (atomic_load(&p->n_pending))
		ck_assert_int_eq(profiles_step(p), 0);
	ck_assert_int_eq(profiles_step(p), 0);
	profiles_close(p);
	ring_close(ring);
	ring = open_test_ring();
	p = open_profiles(4 << 20, NULL, ring);
	ck_assert_uint_eq(see_all(p).from, 0);
	ck_assert_uint_eq(see_all(p).to, 40000);
	profiles_close(p);
	ring_close(ring);
	support_rm(dir);
}
END_TEST

START_TEST(what_was_sealed_is_in_the_ring_after_a_restart)
{
	struct profiles_stats st;
	struct profiles *p;
	struct ring *ring;
	struct seen seen;

	support_dir(dir);
	for (uint32_t turn = 0; turn < 3; turn++) {
		ring = open_test_ring();
		p = open_profiles(2 << 20, dir, ring);
		seen = see_all(p);
		ck_assert_uint_eq(seen.to, turn * 50000);
		for (uint32_t i = turn * 50000; i < (turn + 1) * 50000; i += 50) {
			add(p, i, i + 50);
			ck_assert_int_eq(profiles_step(p), 0);
		}
		seen = see_all(p);
		ck_assert_uint_eq(seen.from, 0);
		ck_assert_uint_eq(seen.to, (turn + 1) * 50000);
		profiles_finish(p);
		profiles_stats(p, &st);
		ck_assert_uint_le(st.memory_bytes, 2 << 20);
		ck_assert_uint_gt(st.disk_bytes, 1000);
		profiles_close(p);
		ring_close(ring);
	}
	support_rm(dir);
}
END_TEST

static struct profiles *open_with_copy(struct ring *ring)
{
	char log_dir[80];
	struct profiles_config c = {.memory_bytes = 4 << 20,
				    .dir = log_dir,
				    .ring = ring,
				    .copy_dir = dir,
				    .copy_us = 1,
				    .boot_id = BOOT,
				    .real_off_us = 1000000000,
				    .n_cpus = 2};
	struct profiles *p = NULL;

	snprintf(log_dir, sizeof(log_dir), "%s/tmp", dir);
	mkdir(log_dir, 0700);
	ck_assert_int_eq(profiles_open(&p, &c), 0);
	return p;
}

/* The agent dies at once after the copy; with `log` the tmpfs outlives it. */
static void check_copy(bool log)
{
	char path[80];
	struct ring *ring;
	struct profiles *p;
	struct seen seen;

	support_dir(dir);
	for (uint32_t turn = 0; turn < 3; turn++) {
		int status;
		pid_t pid = fork();

		if (pid == 0) {
			ring = open_test_ring();
			p = open_with_copy(ring);
			for (uint32_t i = turn * 3000; i < (turn + 1) * 3000; i += 50) {
				add(p, i, i + 50);
				if (profiles_step(p) < 0)
					_exit(1);
			}
			_exit(0);
		}
		ck_assert_int_eq(waitpid(pid, &status, 0), pid);
		ck_assert_int_eq(status, 0);
		snprintf(path, sizeof(path), "%s/tmp/profile.log", dir);
		if (!log)
			ck_assert_int_eq(unlink(path), 0);
		ring = open_test_ring();
		p = open_with_copy(ring);
		seen = see_all(p);
		ck_assert_uint_eq(seen.from, 0);
		ck_assert_uint_eq(seen.to, (turn + 1) * 3000);
		if (turn == 1)
			profiles_finish(p);
		profiles_close(p);
		ring_close(ring);
	}
	support_rm(dir);
}

START_TEST(the_copy_of_the_open_epoch_stands_in_for_a_log_that_is_gone)
{
	check_copy(false);
}
END_TEST

START_TEST(what_both_the_log_and_its_copy_have_is_read_once)
{
	check_copy(true);
}
END_TEST

START_TEST(a_damaged_record_is_passed_over_and_counted)
{
	struct profiles_stats st;
	struct profiles *p;
	struct ring *ring;
	struct ring_entry *list;
	unsigned n = 0;
	char path[100];
	size_t n_list;
	int fd;

	support_dir(dir);
	ring = open_test_ring();
	p = open_profiles(2 << 20, NULL, ring);
	for (uint32_t i = 0; i < 60000; i += 50) {
		add(p, i, i + 50);
		profiles_step(p);
	}
	profiles_finish(p);
	profiles_close(p);
	list = ring_list(ring, &n_list);
	ring_close(ring);
	ck_assert_uint_gt(n_list, 2);
	snprintf(path, sizeof(path), "%s/history.strobe", dir);
	fd = open(path, O_RDWR);
	ck_assert_int_eq(pwrite(fd, "x", 1, (off_t)list[1].at + list[1].len - 9), 1);
	close(fd);
	ring = open_test_ring();
	p = open_profiles(2 << 20, NULL, ring);
	ck_assert_int_eq(profiles_each(p, INT64_MIN / 4, INT64_MAX / 4, count_epochs, &n), 0);
	ck_assert_uint_eq(n, n_list - 1);
	profiles_stats(p, &st);
	ck_assert_uint_eq(st.damaged, 1);
	free(list);
	profiles_close(p);
	ring_close(ring);
	support_rm(dir);
}
END_TEST

/* ---- other boots ---- */

static uint8_t *an_epoch(const char *boot, int64_t from_us, int64_t real_off_us, size_t *len)
{
	struct stacks *s = stacks_new();
	struct stacks_sample x = {.at_us = from_us + 5, .weight_us = 1};
	uint8_t *data;

	snprintf(s->boot_id, sizeof(s->boot_id), "%s", boot);
	s->from_us = from_us;
	s->to_us = from_us + 1000;
	s->real_off_us = real_off_us;
	ck_assert_int_eq(stacks_add(s, &x), 0);
	ck_assert_int_eq(epoch_encode(s, &data, len), 0);
	stacks_free(s);
	return data;
}

struct places {
	int64_t from_us[8], at_us[8], wall_us[8];
	unsigned n;
};

static int place(void *arg, const struct stacks *s)
{
	struct places *p = arg;

	p->from_us[p->n] = s->from_us;
	p->at_us[p->n] = s->samples[0].at_us;
	p->wall_us[p->n++] = s->samples[0].at_us + s->real_off_us;
	return 0;
}

START_TEST(other_boots_lie_before_this_one_by_the_wall_clock)
{
	struct profiles *p = open_profiles(4 << 20, NULL, NULL);
	struct places places = {.n = 0};
	uint8_t *data;
	size_t len;

	data = an_epoch("older", 5000000, 400000000, &len);
	ck_assert_int_eq(profiles_take(p, data, len), 0);
	data = an_epoch("old", 3000000, 900000000, &len);
	ck_assert_int_eq(profiles_take(p, data, len), 0);
	data = an_epoch(BOOT, 70000, 1000000000, &len);
	ck_assert_int_eq(profiles_take(p, data, len), 0);
	for (unsigned again = 0; again < 2; again++) { /* from the cache as well */
		places.n = 0;
		ck_assert_int_eq(profiles_each(p, INT64_MIN / 4, INT64_MAX / 4, place, &places), 0);
		ck_assert_uint_eq(places.n, 3);
		ck_assert_int_eq(places.from_us[0], 5000000 - 600000000);
		ck_assert_int_eq(places.at_us[0], places.from_us[0] + 5);
		ck_assert_int_eq(places.from_us[1], 3000000 - 100000000);
		ck_assert_int_eq(places.from_us[2], 70000);
		ck_assert_int_eq(places.wall_us[0], 5000005 + 400000000);
	}
	profiles_close(p);
}
END_TEST

START_TEST(boots_keep_their_order_whatever_the_wall_clock_did)
{
	struct profiles *p = open_profiles(4 << 20, NULL, NULL);
	struct places places = {.n = 0};
	uint8_t *data;
	size_t len;

	data = an_epoch("old", 5000000, 7000000000, &len); /* its clock was ahead */
	ck_assert_int_eq(profiles_take(p, data, len), 0);
	data = an_epoch(BOOT, 70000, 1000000000, &len);
	ck_assert_int_eq(profiles_take(p, data, len), 0);
	ck_assert_int_eq(profiles_each(p, INT64_MIN / 4, INT64_MAX / 4, place, &places), 0);
	ck_assert_uint_eq(places.n, 2);
	ck_assert_int_lt(places.at_us[0], 70000);
	ck_assert_int_eq(places.at_us[1], 70005);
	profiles_close(p);
}
END_TEST

START_TEST(what_is_no_epoch_is_not_taken)
{
	struct profiles *p = open_profiles(4 << 20, NULL, NULL);
	size_t len;
	uint8_t *data = an_epoch("x", 1, 2, &len);

	data[len - 1] ^= 1;
	ck_assert_int_eq(profiles_take(p, data, len), -EBADMSG);
	ck_assert_int_eq(profiles_take(p, data, 10), -EBADMSG);
	free(data);
	profiles_close(p);
}
END_TEST

/* ---- threads ---- */

static _Atomic uint32_t added;
static _Atomic bool ended;

static void *write_all(void *arg)
{
	for (uint32_t i = 0; i < 80000; i += 50) {
		add(arg, i, i + 50);
		atomic_store(&added, i + 50);
	}
	atomic_store(&ended, true);
	return NULL;
}

static void *seal_all(void *arg)
{
	while (!atomic_load(&ended)) {
		struct profiles_stats st;

		ck_assert_int_eq(profiles_step(arg), 0);
		profiles_stats(arg, &st);
	}
	return NULL;
}

START_TEST(a_reader_beside_the_writer_misses_nothing_and_sees_nothing_twice)
{
	struct profiles *p = open_profiles(16 << 20, NULL, NULL);
	pthread_t writer, sealer;
	unsigned n = 0;

	p->c.name = give_names;
	ck_assert_int_eq(pthread_create(&writer, NULL, write_all, p), 0);
	ck_assert_int_eq(pthread_create(&sealer, NULL, seal_all, p), 0);
	while (!atomic_load(&ended)) {
		uint32_t least = atomic_load(&added);
		struct seen seen = see_all(p);

		ck_assert_uint_eq(seen.from, 0);
		ck_assert_uint_ge(seen.to, least);
		n++;
	}
	pthread_join(writer, NULL);
	pthread_join(sealer, NULL);
	ck_assert_uint_eq(see_all(p).to, 80000);
	ck_assert_uint_gt(n, 2);
	profiles_close(p);
}
END_TEST

int main(void)
{
	const TTest *const tests[] = {
		all_that_is_added_is_read_once_and_in_order,
		only_what_overlaps_is_read_and_a_reader_can_stop,
		where_the_next_epoch_begins_is_known_without_reading_one,
		a_stretch_that_reaches_back_is_found_in_its_later_epoch,
		memory_stays_within_its_bound_and_the_oldest_goes,
		when_nobody_seals_the_profiler_goes_on_and_says_what_it_lost,
		frames_are_named_before_they_are_stored,
		the_next_agent_finds_what_a_killed_one_added,
		the_kernel_of_another_boot_is_not_named_by_this_one,
		a_wait_is_in_one_stretch_of_a_capture,
		names_outlive_a_kill,
		an_epoch_that_waited_is_found_after_a_kill_too,
		a_crash_log_cut_or_flipped_anywhere_gives_what_is_whole,
		without_a_ring_the_last_epoch_outlives_a_restart,
		sealed_epochs_outlive_a_kill_without_a_ring,
		what_is_kept_stays_within_its_bound,
		a_kept_epoch_that_is_damaged_is_passed_over_and_counted,
		what_was_kept_goes_to_a_ring_that_comes_later,
		what_was_sealed_is_in_the_ring_after_a_restart,
		the_copy_of_the_open_epoch_stands_in_for_a_log_that_is_gone,
		what_both_the_log_and_its_copy_have_is_read_once,
		a_damaged_record_is_passed_over_and_counted,
		other_boots_lie_before_this_one_by_the_wall_clock,
		boots_keep_their_order_whatever_the_wall_clock_did,
		what_is_no_epoch_is_not_taken,
		a_reader_beside_the_writer_misses_nothing_and_sees_nothing_twice,
	};

	return support_run("profiles", tests, sizeof(tests) / sizeof(*tests));
}
