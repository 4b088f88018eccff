/* The query thread's queue: its places, and what becomes of jobs nobody waits for any more. */
#include "serve/jobs.h"

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

int main(void)
{
	Suite *s = suite_create("jobs");
	TCase *t = tcase_create("jobs");

	tcase_add_test(t, places_of_abandoned_jobs_are_free_again);
	suite_add_tcase(s, t);

	SRunner *sr = srunner_create(s);

	srunner_run_all(sr, CK_NORMAL);
	int failed = srunner_ntests_failed(sr);

	srunner_free(sr);
	return failed != 0;
}
