#include "cmd/threads.h"

#include "base/msg.h"

#include <errno.h>
#include <string.h>
#include <sys/prctl.h>
#include <time.h>

enum { JOIN_S = 2 };

void threads_init(struct threads *t)
{
	*t = (struct threads){0};
	pthread_mutex_init(&t->lock, NULL);
	pthread_cond_init(&t->end, NULL);
}

static void *run_thread(void *arg)
{
	struct thread *t = arg;

	prctl(PR_SET_NAME, t->name);
	t->body(t->arg, t->number);
	pthread_mutex_lock(&t->all->lock);
	t->all->n_ended++;
	pthread_cond_signal(&t->all->end);
	pthread_mutex_unlock(&t->all->lock);
	return NULL;
}

int threads_start(struct threads *all, const char *name, void (*body)(void *arg, unsigned number),
		  void *arg, unsigned number)
{
	struct thread *t = &all->list[all->n];
	int r;

	if (all->n == THREADS_MAX)
		return -EAGAIN;
	*t = (struct thread){.name = name, .body = body, .arg = arg, .number = number, .all = all};
	r = pthread_create(&t->id, NULL, run_thread, t);
	if (r)
		msg(MSG_ERROR, "cannot start the thread %s: %s", name, strerrordesc_np(r));
	else
		all->n++;
	return -r;
}

bool threads_join(struct threads *t)
{
	struct timespec until;
	int r = 0;

	clock_gettime(CLOCK_MONOTONIC, &until);
	until.tv_sec += JOIN_S;
	pthread_mutex_lock(&t->lock);
	while (!r && t->n_ended < t->n)
		r = pthread_cond_clockwait(&t->end, &t->lock, CLOCK_MONOTONIC, &until);
	pthread_mutex_unlock(&t->lock);
	for (size_t i = 0; i < t->n; i++)
		if (!r)
			pthread_join(t->list[i].id, NULL);
	return r == 0;
}

/* What was ignored at the start stays so: sigwait() would take it. */
void end_signals(sigset_t *ret)
{
	static const int signals[] = {SIGINT, SIGHUP};
	struct sigaction was;

	sigemptyset(ret);
	sigaddset(ret, SIGTERM);
	for (size_t i = 0; i < sizeof(signals) / sizeof(*signals); i++)
		if (sigaction(signals[i], NULL, &was) < 0 || was.sa_handler != SIG_IGN)
			sigaddset(ret, signals[i]);
}

void end_signals_block(void)
{
	sigset_t set;

	signal(SIGPIPE, SIG_IGN);
	end_signals(&set);
	pthread_sigmask(SIG_BLOCK, &set, NULL);
}
