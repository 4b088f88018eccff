/*
 * A fence between atomic accesses. The thread sanitizer knows none: without them it still sees every access (all are
 * atomic), and on the hosts it runs on loads and stores of one kind stay in order.
 */
#ifndef STROBE_BASE_FENCE_H
#define STROBE_BASE_FENCE_H

#include <stdatomic.h>

#if defined(__SANITIZE_THREAD__)
#define FENCE(order) __asm__ volatile("" ::: "memory")
#elif defined(__has_feature)
#if __has_feature(thread_sanitizer)
#define FENCE(order) __asm__ volatile("" ::: "memory")
#endif
#endif
#ifndef FENCE
#define FENCE(order) atomic_thread_fence(order)
#endif

#endif
