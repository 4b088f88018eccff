/*
 * The threads of a verb, and the signals that end it: they are blocked everywhere and waited for by
 * one thread.
 */
#ifndef STROBE_CMD_THREADS_H
#define STROBE_CMD_THREADS_H

#include <pthread.h>
#include <signal.h>
#include <stdbool.h>
#include <stddef.h>

enum { THREADS_MAX = 64 };

struct threads {
	struct thread {
		pthread_t id;
		const char *name;
		void (*body)(void *arg, unsigned number);
		void *arg;
		unsigned number;
		struct threads *all;
	} list[THREADS_MAX];
	size_t n, n_ended;
	pthread_mutex_t lock; /* of n_ended, with `end` */
	pthread_cond_t end;
};

void threads_init(struct threads *);
/* 0 or -errno, which was logged. */
int threads_start(struct threads *, const char *name, void (*body)(void *arg, unsigned number),
		  void *arg, unsigned number);
/* Waits until all have ended. False: some have not after two seconds, and what they may touch must
 * be left to exit(). */
bool threads_join(struct threads *);

/* Those that ask for an end; one that the parent has had ignored (nohup) stays ignored. */
void end_signals(sigset_t *ret);
/* Blocks them, for the threads to come too, and ignores SIGPIPE. */
void end_signals_block(void);

#endif
