/* The query thread's queue: its places, and what becomes of jobs nobody waits for any more. */
#include "feeder.h"
#include "serve/api.h"
#include "serve/jobs.h"
#include "strobe.pb-c.h"
#include "support.h"

#include <check.h>
#include <errno.h>
#include <sys/eventfd.h>
#include <unistd.h>

static struct log *make_log(void)
{
	const struct log_config c = {.size_bytes = 4 << 20, .boot_id = "b"};
	enum log_state state;
	struct log *log;
	char err[256];

	ck_assert_int_eq(log_open(&log, &c, &state, err, sizeof(err)), 0);
	return log;
}

static struct job *make_job(const void *owner)
{
	static const struct query_selector selector = {.metric = "kernel.all.load"};
	struct job *job = job_new(JOB_RANGE, owner);

	ck_assert_int_eq(job_set_selectors(job, &selector, 1), 0);
	job->request.to_us = job->request.points = 1;
	return job;
}

static void fill(struct jobs *j, const void *owner)
{
	struct job *more = make_job(owner);

	for (int i = 0; i < JOBS_MAX; i++)
		ck_assert_int_eq(jobs_add(j, make_job(owner)), 0);
	ck_assert_int_eq(jobs_add(j, more), -EAGAIN);
	job_free(more);
}

START_TEST(places_of_abandoned_jobs_are_free_again)
{
	struct log *log = make_log();
	int wake = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC), owner, other;
	struct history *history;
	struct jobs j;

	ck_assert_int_eq(history_open(&history, &(struct history_config){.log = log}), 0);
	jobs_init(&j, history, wake);
	for (int round = 0; round < 3; round++) {
		fill(&j, &owner);
		jobs_abandon(&j, &owner); /* the owner is gone and never takes anything */
		for (int i = 0; i < JOBS_MAX; i++)
			ck_assert_int_eq(jobs_step(&j), 0);
	}
	ck_assert_int_eq(jobs_add(&j, make_job(&other)), 0);
	ck_assert_int_eq(jobs_step(&j), 0);
	ck_assert_ptr_null(jobs_take(&j, &owner));

	struct job *job = jobs_take(&j, &other);

	ck_assert_ptr_nonnull(job);
	ck_assert_int_eq(job->r, -ENOENT); /* of an empty log */
	job_free(job);
	jobs_done(&j);
	history_close(history);
	log_close(log);
	close(wake);
}
END_TEST

/* ---- results, and what they may take together ---- */

enum { SERIES = 64, TICKS = 80, POINTS = 1000, BUDGET = 8 << 20 };
#define FIRST_US 100000000ull

static const struct metric cell_metrics[] = {
	{"c.level", "1", 1, 1, "x", "A level.", SEM_INSTANT, 0, NULL}};
static const struct group cell_group = {"c", "thing", cell_metrics, 1, 0, SERIES, false, NULL};

/* A log with SERIES instances that are there for TICKS ticks of 100 ms. */
static struct log *make_full_log(void)
{
	struct log *log = make_log();
	struct feeder f;

	feeder_open(&f, log, &cell_group, 1);
	for (unsigned t = 0; t < TICKS; t++) {
		feeder_tick(&f, FIRST_US + t * 100000);
		feeder_batch(&f, 0);
		for (unsigned i = 0; i < SERIES; i++) {
			char name[16];
			int len = snprintf(name, sizeof(name), "t%u", i);

			batch_row_named(&f.batch[0], name, (size_t)len)[0] = (int64_t)(t * i);
		}
		feeder_group(&f, 0, 0, -1);
		feeder_end(&f);
		if (t == 0)
			feeder_segment(&f);
	}
	feeder_close(&f);
	return log;
}

/* What becomes of a query for the first `n` series; the job stays alive, for it is being sent. */
static struct job *ask(struct jobs *j, const void *owner, unsigned n, uint32_t points,
		       void (*render)(struct job *))
{
	static char names[SERIES][16];
	struct query_selector s[SERIES];
	struct job *job = job_new(JOB_RANGE, owner);

	for (unsigned i = 0; i < n; i++) {
		snprintf(names[i], sizeof(names[i]), "t%u", i);
		s[i] = (struct query_selector){"c.level", names[i]};
	}
	ck_assert_int_eq(job_set_selectors(job, s, n), 0);
	job->request.from_us = FIRST_US;
	job->request.to_us = FIRST_US + TICKS * 100000;
	job->request.points = points;
	job->render = render;
	ck_assert_int_eq(jobs_add(j, job), 0);
	ck_assert_int_eq(jobs_step(j), 0);
	ck_assert_ptr_eq(jobs_take(j, owner), job);
	ck_assert_uint_le(j->held, j->budget);
	return job;
}

START_TEST(results_share_a_budget)
{
	struct log *log = make_full_log();
	int wake = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC), owner;
	struct job *job, *kept[8];
	unsigned n = 0;
	struct jobs j;

	struct history *history;

	ck_assert_int_eq(history_open(&history, &(struct history_config){.log = log}), 0);
	jobs_init(&j, history, wake);
	ck_assert_uint_eq(j.budget, JOBS_BYTES);
	j.budget = BUDGET;

	/* 64 x 1000 points are 3.6 MB: beyond half of 8 MiB less the room for what is beside. */
	job = ask(&j, &owner, SERIES, POINTS, NULL);
	ck_assert_int_eq(job->r, -E2BIG);
	ck_assert_ptr_null(job->result);
	job_free(job);
	job = ask(&j, &owner, 1, QUERY_POINTS_MAX, NULL);
	ck_assert_int_eq(job->r, 0);
	job_free(job);
	ck_assert_uint_eq(j.held, 0);

	/* 2.2 MB each, kept: those that have no room are refused, not made. */
	while (n < 8 && (kept[n] = ask(&j, &owner, 40, POINTS, NULL))->r == 0)
		n++;
	ck_assert_uint_eq(n, 3);
	ck_assert_int_eq(kept[n]->r, -EBUSY);
	ck_assert_ptr_null(kept[n]->result);
	job_free(kept[n]);
	ck_assert_uint_eq(kept[0]->result->n_series, 40);
	job = ask(&j, &owner, 4, 100, NULL);
	ck_assert_int_eq(job->r, 0); /* a small one still has */
	job_free(job);
	job_free(kept[0]);
	job = ask(&j, &owner, 40, POINTS, NULL);
	ck_assert_int_eq(job->r, 0);
	job_free(job);
	while (n-- > 1)
		job_free(kept[n]);
	ck_assert_uint_eq(j.held, 0);
	jobs_done(&j);
	history_close(history);
	log_close(log);
	close(wake);
}
END_TEST

START_TEST(a_rendered_result_counts_until_it_is_sent)
{
	struct log *log = make_full_log();
	int wake = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC), owner;
	struct job *kept[JOBS_MAX], *job;
	unsigned n = 0;
	struct jobs j;

	struct history *history;

	ck_assert_int_eq(history_open(&history, &(struct history_config){.log = log}), 0);
	jobs_init(&j, history, wake);
	j.budget = BUDGET / 2;
	while (n < JOBS_MAX &&
	       (kept[n] = ask(&j, &owner, SERIES, TICKS, api_render_json))->r == 0) {
		ck_assert_ptr_null(kept[n]->result);
		ck_assert_uint_ge(kept[n]->text.len, SERIES * TICKS * 50);
		n++;
	}
	ck_assert_uint_ge(n, 3);
	ck_assert_uint_lt(n, JOBS_MAX);
	ck_assert_int_eq(kept[n]->r, -EBUSY);
	for (; n < JOBS_MAX; n--)
		job_free(kept[n]);
	ck_assert_uint_eq(j.held, 0);

	/* Room for the points, and not for their text. */
	j.budget = 2 * 920000;
	job = ask(&j, &owner, SERIES, TICKS, NULL);
	ck_assert_int_eq(job->r, 0);
	job_free(job);
	job = ask(&j, &owner, SERIES, TICKS, api_render_json);
	ck_assert_int_eq(job->r, -E2BIG);
	job_free(job);
	jobs_done(&j);
	history_close(history);
	log_close(log);
	close(wake);
}
END_TEST

/* The events of an EventList: how many, and the text of the first. */
static unsigned count_events(const struct buf *b, char first[300])
{
	Strobe__V1__EventList *l = strobe__v1__event_list__unpack(NULL, b->len, b->p);
	unsigned n;

	ck_assert_ptr_nonnull(l);
	n = (unsigned)l->n_events;
	snprintf(first, 300, "%s", n ? l->events[0]->text : "");
	for (unsigned i = 1; i < n; i++)
		ck_assert_int_ge(l->events[i]->mono_us, l->events[i - 1]->mono_us);
	strobe__v1__event_list__free_unpacked(l, NULL);
	return n;
}

START_TEST(of_very_many_events_the_newest_are_told)
{
	static char owner;
	int wake = eventfd(0, EFD_NONBLOCK);
	uint8_t buf[512];
	char text[300], first[300], want[300];
	struct history *history;
	struct log *log = make_log();
	struct feeder f;
	struct jobs j;
	uint64_t at = 10000000;

	feeder_open(&f, log, &cell_group, 1);
	for (unsigned i = 0; i < 3000; i++) {
		snprintf(text, sizeof(text), "%04u%0236d", i, 0);
		at += 10000;
		feeder_put(&f, buf,
			   frame_event(buf, sizeof(buf), at, EVENT_GAP, SEVERITY_INFO, "a", text));
		if (i % 100 == 0) {
			feeder_tick(&f, at);
			feeder_end(&f);
		}
	}
	ck_assert_int_eq(history_open(&history, &(struct history_config){.log = log}), 0);
	jobs_init(&j, history, wake);
	for (unsigned k = 0; k < 3; k++) { /* of all of them, of some that fit, of the last hour */
		struct job *job = job_new(k < 2 ? JOB_PAST_EVENTS : JOB_EVENTS, &owner);
		unsigned n;

		j.now_us = at;
		job->from_us = k ? (int64_t)at - 1000000 : 0;
		job->to_us = (int64_t)at + 1;
		ck_assert_int_eq(jobs_add(&j, job), 0);
		ck_assert_int_eq(jobs_step(&j), 0);
		job = jobs_take(&j, &owner);
		ck_assert(job && job->r == 0);
		n = count_events(&job->events, first);
		if (k == 1) {
			ck_assert(n == 101 && !job->left_out);
		} else {
			ck_assert(n > 500 && n < 3000 && job->left_out);
			ck_assert_uint_le(job->events.len, 192 << 10);
			snprintf(want, sizeof(want), "%04u", 3000 - n);
			ck_assert(strncmp(first, want, 4) == 0);
		}
		job_free(job);
	}
	jobs_done(&j);
	history_close(history);
	feeder_close(&f);
	log_close(log);
	close(wake);
}
END_TEST

int main(void)
{
	const TTest *const tests[] = {
		places_of_abandoned_jobs_are_free_again,
		results_share_a_budget,
		a_rendered_result_counts_until_it_is_sent,
		of_very_many_events_the_newest_are_told,
	};

	return support_run("jobs", tests, sizeof(tests) / sizeof(*tests));
}
