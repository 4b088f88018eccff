/* Stand-ins for what the profiler leans on, until it is there: maps from /proc, kallsyms, one epoch. */
#ifndef STROBE_TESTS_PROFILE_DOUBLES_H
#define STROBE_TESTS_PROFILE_DOUBLES_H
#include "profile/profiler.h"
#include "profile/unwind.h"
#include "profile/namer.h"
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <pthread.h>
struct profiles { pthread_mutex_t lock; struct stacks *s; };
int profiles_open(struct profiles **r, const struct profiles_config *c) { (void)c; *r = calloc(1, sizeof(**r)); (*r)->s = stacks_new(); pthread_mutex_init(&(*r)->lock, NULL); return 0; }
void profiles_close(struct profiles *p) { stacks_free(p->s); free(p); }
struct stacks *profiles_begin(struct profiles *p) { pthread_mutex_lock(&p->lock); return p->s; }
void profiles_end(struct profiles *p, int64_t n, int64_t r) { (void)n; (void)r; pthread_mutex_unlock(&p->lock); }
int profiles_step(struct profiles *p) { (void)p; return 0; }
int profiles_each(struct profiles *p, int64_t f, int64_t t, int (*each)(void *, const struct stacks *), void *arg) { (void)f; (void)t; pthread_mutex_lock(&p->lock); int r = each(arg, p->s); pthread_mutex_unlock(&p->lock); return r; }
#endif
