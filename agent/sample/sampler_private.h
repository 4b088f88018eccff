/* What sampler.c (life cycle, threads) and tick.c (one tick) share. */
#ifndef STROBE_SAMPLE_SAMPLER_PRIVATE_H
#define STROBE_SAMPLE_SAMPLER_PRIVATE_H

#include "sample/budget.h"
#include "sample/sampler.h"
#include "sample/source.h"
#include "sample/writer.h"

#include <pthread.h>
#include <semaphore.h>

struct source_worker {
	struct source *source;
	bool passes;	 /* it runs the passes of a blocking collector; else work() */
	bool favoured;	 /* its priority was asked for */
	unsigned number; /* among the workers of its source */
	uint32_t ended;	 /* see source_work() */
};

struct due {
	struct source_group *group;
	uint64_t acquired_us;
	uint32_t n_attrs; /* changed in this pass */
};

struct sampler {
	struct sampler_config config;
	uint64_t period_ns;
	struct source *sources; /* config.n_collectors */
	struct source_group *groups;
	size_t n_groups;
	struct source_worker *workers;
	unsigned n_workers;
	struct recovered recovered;

	struct writer writer;
	struct notices notices;
	struct due *due; /* groups read in this tick */
	size_t n_due;
	uint64_t index, number; /* of the newest tick: multiple of the period; in the log */
	uint64_t mark_ns;	/* end of what was measured last */
	uint64_t pass_cpu_ns;	/* of all passes of blocking collectors */
	uint32_t random;

	struct budget budget;
	struct budget_group *budget_groups;
	uint64_t window_ns, window_cpu_ns; /* start of the budget's window */
	int oom_group, oom_metric;	   /* of mem.vmstat.oom_kill; -1: no such metric */

	bool ahead; /* ticks come by the clock: passes are asked for before theirs */
	int timer;
	_Atomic bool stopping;
	sem_t wanted;	      /* an opener has something to do */
	sem_t answered;	      /* an opener has done something; before the first tick */
	sem_t begun;	      /* sampler_begin() is over */
	pthread_mutex_t lock; /* with `opened`: workers wait for something to work on */
	pthread_cond_t opened;
};

/* Puts a source in an opener's hands. */
void sampler_ask(struct sampler *, struct source *, enum source_phase want);

/* Time since the last mark, and a new one. */
static inline uint64_t mark(struct sampler *s)
{
	uint64_t since = s->mark_ns;

	s->mark_ns = s->config.now_ns();
	return s->mark_ns > since ? s->mark_ns - since : 0;
}

/* Over about 16 ticks; what is read seldom weighs more. */
static inline uint64_t average(uint64_t old, uint64_t sample, uint32_t period_ticks)
{
	unsigned n = period_ticks >= 8 ? 2 : 16 / period_ticks;

	return old ? old - old / n + sample / n : sample;
}

#endif
