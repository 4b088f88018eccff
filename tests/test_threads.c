/* The threads around the sampler: openers, workers, and a process that is stopped and killed. */
#include "sampler_lab.h"

#include <poll.h>
#include <pthread.h>
#include <semaphore.h>
#include <signal.h>
#include <sys/eventfd.h>
#include <sys/wait.h>

#define METRIC(n, s)                                                                               \
	{                                                                                          \
		.name = n, .unit = "count", .mul = 1, .div = 1, .source = "test", .help = "",      \
		.sem = s                                                                           \
	}
static const struct metric calm_metrics[] = {METRIC("calm.passes", SEM_COUNTER)};
static const struct group calm_groups[] = {
	{.name = "calm", .metrics = calm_metrics, .n_metrics = 1, .max_instances = 1}};
static _Atomic int64_t calm_passes;
static _Atomic int calm_policy, pass_policy, work_policy;

static int calm_open(void *state, const struct host *h, struct collector_report *r)
{
	(void)state, (void)h, (void)r;
	return 0;
}

static int calm_sample(void *state, unsigned g, struct batch *b, struct collector_report *r)
{
	(void)state, (void)g, (void)r;
	batch_row(b)[0] = ++calm_passes;
	calm_policy = sched_getscheduler(0);
	return 0;
}

static void calm_close(void *state)
{
	(void)state;
}

static const struct collector calm = {.name = "calm",
				      .groups = calm_groups,
				      .n_groups = 1,
				      .open = calm_open,
				      .sample = calm_sample,
				      .close = calm_close};

/* ---- a collector with a worker, that waits where it is told ---- */

static struct {
	_Atomic int sample; /* what it returns */
	_Atomic int n_closes, n_samples;
} told;

static sem_t let_go, in_work;
static _Atomic int n_steps, n_inside, closed_inside;
static _Atomic bool block_open, block_work, can_be_woken;

static int threaded_open(void *state, const struct host *h, struct collector_report *r)
{
	(void)state, (void)h, (void)r;
	if (block_open)
		sem_wait(&let_go);
	return 0;
}

static int threaded_work(void *state, unsigned worker, const struct host *h)
{
	(void)state, (void)worker, (void)h;
	atomic_fetch_add(&n_inside, 1);
	work_policy = sched_getscheduler(0);
	if (atomic_fetch_add(&n_steps, 1) == 0)
		sem_post(&in_work);
	if (block_work)
		sem_wait(&let_go);
	else
		usleep(1000);
	atomic_fetch_sub(&n_inside, 1);
	return 0;
}

static void threaded_wake(void *state)
{
	(void)state;
	if (can_be_woken)
		sem_post(&let_go);
}

static void threaded_close(void *state)
{
	(void)state;
	told.n_closes++;
	atomic_fetch_add(&closed_inside, atomic_load(&n_inside));
}

static const struct metric threaded_metrics[] = {METRIC("threaded.value", SEM_COUNTER)};
static const struct group blocking_groups[] = {
	{.name = "blocking", .metrics = threaded_metrics, .n_metrics = 1, .max_instances = 1}};

static int threaded_sample(void *state, unsigned g, struct batch *b, struct collector_report *r)
{
	(void)state, (void)g, (void)r;
	told.n_samples++;
	batch_row(b)[0] = 1;
	return told.sample;
}

static const struct collector threaded = {.name = "threaded",
					  .groups = blocking_groups,
					  .n_groups = 1,
					  .n_workers = 1,
					  .open = threaded_open,
					  .sample = threaded_sample,
					  .close = threaded_close,
					  .work = threaded_work,
					  .wake = threaded_wake};

/* ---- one whose passes have a thread of their own ---- */

static const struct metric passing_metrics[] = {METRIC("passing.passes", SEM_COUNTER)};
static const struct group passing_groups[] = {
	{.name = "passing", .metrics = passing_metrics, .n_metrics = 1, .max_instances = 1}};
static _Atomic uint64_t n_passes, n_ahead;
enum { PASSES_HZ = 20 };

static int passing_sample(void *state, unsigned g, struct batch *b, struct collector_report *r)
{
	(void)state, (void)g, (void)r;
	const uint64_t period_ns = 1000000000 / PASSES_HZ;

	pass_policy = sched_getscheduler(0);
	n_ahead += clock_ns(CLOCK_MONOTONIC) % period_ns > period_ns / 4 * 3;
	batch_row(b)[0] = (int64_t)++n_passes;
	return 0;
}

static const struct collector passing = {.name = "passing",
					 .groups = passing_groups,
					 .n_groups = 1,
					 .blocking = true,
					 .open = calm_open,
					 .sample = passing_sample,
					 .close = calm_close};

struct crew {
	struct host host;
	struct log *log;
	struct sampler *s;
	pthread_t sampler, opener[2], worker;
};

static void *run_sampler(void *s)
{
	return sampler_run(s) ? s : NULL;
}

static void *run_opener(void *s)
{
	while (sampler_opener_step(s) >= 0)
		;
	return NULL;
}

static void *run_worker(void *s)
{
	while (sampler_worker_step(s, 0) >= 0)
		;
	return NULL;
}

static void crew_start(struct crew *w, const struct collector *const *c, size_t n, const char *dir,
		       uint32_t rate_hz)
{
	struct lab lab = {0};
	struct sampler_config config = {.collectors = c, .n_collectors = n, .rate_hz = rate_hz};

	ck_assert_int_eq(host_open(&w->host, NULL, NULL, NULL), 0);
	lab_log(&lab, dir, 4);
	w->log = lab.log;
	config.host = &w->host;
	config.log = lab.log;
	config.continued = lab.state == LOG_CONTINUED;
	ck_assert_int_eq(sampler_open(&w->s, &config), 0);
	log_watch(w->log, true);
	for (int i = 0; i < 2; i++)
		pthread_create(&w->opener[i], NULL, run_opener, w->s);
	pthread_create(&w->worker, NULL, sampler_n_workers(w->s) ? run_worker : run_opener, w->s);
	pthread_create(&w->sampler, NULL, run_sampler, w->s);
}

/* Waits for the log to grow until *counter has reached n; fails after 20 s. */
static void await(const struct crew *w, const _Atomic uint64_t *counter, uint64_t n)
{
	uint64_t until = clock_mono_us() + 20000000;
	struct pollfd p = {.fd = log_eventfd(w->log), .events = POLLIN};
	eventfd_t v;

	while (atomic_load(counter) < n) {
		ck_assert_uint_lt(clock_mono_us(), until);
		if (poll(&p, 1, 1000) == 1)
			eventfd_read(p.fd, &v);
	}
}

static void crew_stop(struct crew *w)
{
	void *failed;

	sampler_stop(w->s);
	pthread_join(w->sampler, &failed);
	ck_assert_ptr_null(failed);
	for (int i = 0; i < 2; i++)
		pthread_join(w->opener[i], NULL);
	pthread_join(w->worker, NULL);
}

static void crew_close(struct crew *w)
{
	sampler_close(w->s);
	log_close(w->log);
	host_close(&w->host);
}

START_TEST(an_open_that_blocks_costs_no_tick)
{
	static const struct collector *const c[] = {&threaded, &calm};
	struct crew w;

	block_open = true;
	sem_init(&let_go, 0, 0);
	crew_start(&w, c, 2, NULL, 100);
	await(&w, &stats.ticks, 50);
	ck_assert_int_ge(calm_passes, 49);
	ck_assert_int_eq(told.n_samples, 0);
	sem_post(&let_go);
	await(&w, &stats.ticks, STAT_GET(ticks) + 20);
	crew_stop(&w);
	ck_assert_int_ge(told.n_samples, 15);
	crew_close(&w);
}
END_TEST

START_TEST(close_waits_for_the_worker)
{
	static const struct collector *const c[] = {&threaded, &calm};
	struct crew w;

	block_work = true;
	sem_init(&let_go, 0, 0);
	sem_init(&in_work, 0, 0);
	crew_start(&w, c, 2, NULL, 100);
	sem_wait(&in_work);
	told.sample = -EIO; /* the sampler gives it up while the worker is inside */
	await(&w, &stats.collectors[0].n_errors, 1);
	await(&w, &stats.ticks, STAT_GET(ticks) + 20);
	ck_assert_int_eq(told.n_closes, 0);
	block_work = false;
	sem_post(&let_go);
	await(&w, &stats.collectors[0].n_errors,
	      2); /* closed, waited 1 s, opened again, failed again */
	crew_stop(&w);
	ck_assert_int_ge(told.n_closes, 1);
	ck_assert_int_eq(atomic_load(&closed_inside), 0);
	crew_close(&w);
}
END_TEST

/* Where the sampler may be real-time at all: a long pass at that priority would hold up the host. */
START_TEST(only_the_sampler_is_real_time)
{
	static const struct collector *const c[] = {&calm, &passing};
	static const struct collector *const d[] = {&calm, &threaded};
	struct crew w;

	crew_start(&w, c, 2, NULL, 100);
	await(&w, &n_passes, 5);
	crew_stop(&w);
	ck_assert_int_eq(calm_policy == (SCHED_FIFO | SCHED_RESET_ON_FORK),
			 !strcmp(stats.sampler_tier, "SCHED_FIFO 1"));
	ck_assert_int_eq(pass_policy, SCHED_OTHER);
	crew_close(&w);

	work_policy = -1;
	sem_init(&in_work, 0, 0);
	crew_start(&w, d, 2, NULL, 100);
	sem_wait(&in_work);
	crew_stop(&w);
	ck_assert_int_eq(work_policy, SCHED_OTHER);
	crew_close(&w);
}
END_TEST

/* So that nobody waits for it in the tick. */
START_TEST(a_pass_is_done_when_its_tick_comes)
{
	static const struct collector *const c[] = {&calm, &passing};
	struct crew w;
	LAB_VIEW(v);

	crew_start(&w, c, 2, NULL, PASSES_HZ);
	await(&w, &n_passes, 3);
	uint64_t ahead = n_ahead, passes = n_passes;

	await(&w, &n_passes, passes + 40);
	ck_assert_uint_ge(n_ahead - ahead, 20); /* the host may be busy */
	crew_stop(&w);
	lab_view(&v, w.log);
	ck_assert_int_lt(v.m.groups[1].acquired_us, v.m.groups[0].acquired_us);
	ck_assert_uint_ge(v.n_group_reads[1], 40);
	crew_close(&w);
}
END_TEST

START_TEST(a_worker_that_waits_is_woken_to_stop)
{
	static const struct collector *const c[] = {&threaded, &calm};
	struct crew w;

	block_work = can_be_woken = true;
	sem_init(&let_go, 0, 0);
	sem_init(&in_work, 0, 0);
	crew_start(&w, c, 2, NULL, 100);
	sem_wait(&in_work);
	await(&w, &stats.ticks, 5);
	crew_stop(&w); /* for ever, without */
	ck_assert_int_eq(atomic_load(&n_inside), 0);
	crew_close(&w);
}
END_TEST

START_TEST(stops_at_once_and_says_so)
{
	static const struct collector *const c[] = {&calm};
	struct crew w;
	LAB_VIEW(v);
	uint64_t before;

	crew_start(&w, c, 1, NULL, 1);
	await(&w, &stats.ticks, 1);
	before = clock_mono_us();
	crew_stop(&w);
	ck_assert_uint_lt(clock_mono_us() - before, 900000); /* a tick takes a second */
	lab_view(&v, w.log);
	ck_assert_uint_eq(v.m.events[v.m.n_events - 1].kind, EVENT_AGENT_STOP);
	crew_close(&w);
}
END_TEST

/* A whole process is stopped for a while, then killed: its log tells both. */
START_TEST(stopped_and_killed)
{
	static const struct collector *const c[] = {&calm};
	struct crew w;
	struct lab lab = {0};
	LAB_VIEW(v);
	char dir[64];
	int ready[2];
	char byte;
	pid_t pid;

	support_dir(dir);
	ck_assert_int_eq(pipe(ready), 0);
	pid = fork();
	if (!pid) {
		crew_start(&w, c, 1, dir, 100);
		for (;;) {
			await(&w, &stats.ticks, STAT_GET(ticks) + 20);
			if (write(ready[1], "x", 1) != 1)
				_exit(1);
		}
	}
	ck_assert_int_eq(read(ready[0], &byte, 1), 1);
	ck_assert_int_eq(kill(pid, SIGSTOP), 0);
	ck_assert_int_eq(waitpid(pid, NULL, WUNTRACED), pid);
	usleep(300000); /* the length of the stop itself */
	ck_assert_int_eq(kill(pid, SIGCONT), 0);
	for (int i = 0; i < 3; i++)
		ck_assert_int_eq(read(ready[0], &byte, 1), 1);
	kill(pid, SIGKILL);
	waitpid(pid, NULL, 0);

	lab_log(&lab, dir, 4);
	ck_assert_int_eq(lab.state, LOG_CONTINUED);
	lab_view(&v, lab.log);
	ck_assert_uint_ge(v.last_tick - v.first_tick + 1, v.n_frames[FRAME_TICK] + 28);
	ck_assert_uint_ge(lab_events(&v, EVENT_GAP, "ticks missed"), 1);
	ck_assert_int_ge(v.m.groups[0].rows[0], 60);
	log_close(lab.log);
	support_rm(dir);
}
END_TEST

int main(void)
{
	const TTest *tests[] = {an_open_that_blocks_costs_no_tick,
				close_waits_for_the_worker,
				only_the_sampler_is_real_time,
				a_pass_is_done_when_its_tick_comes,
				a_worker_that_waits_is_woken_to_stop,
				stops_at_once_and_says_so,
				stopped_and_killed};

	return support_run("threads", tests, sizeof(tests) / sizeof(tests[0]));
}
