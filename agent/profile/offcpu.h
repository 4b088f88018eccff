/*
 * Time off the CPU: from the switch that took a thread off to the one that brought it back, with the stack it
 * had when it left.
 */
#ifndef STROBE_PROFILE_OFFCPU_H
#define STROBE_PROFILE_OFFCPU_H

#include "profile/task.h"
#include "symbols/symbols.h"

enum { OFFCPU_SWITCHES_MAX = 20000 }; /* a second, of the whole host: above that stacks pause */

/* The sample that is taken as a thread leaves; then the record of the switch itself. */
void offcpu_stack(struct task *, int64_t at_ns, const uint64_t *ips, size_t n_ips);
void offcpu_out(struct task *, int64_t at_ns, bool preempted);
/* It runs again: how long it was away, in nanoseconds; -1: not known. Its stack is in task->off until the next out. */
int64_t offcpu_in(struct task *, int64_t at_ns);

/* What a thread waits for that blocks in these functions of the kernel, innermost first (addresses; markers are
 * passed over, the walk ends at the user part). `kernel` may be NULL: STACKS_OTHER then. */
enum stacks_class offcpu_class(const struct kernel_symbols *, const uint64_t *ips, size_t n_ips);
/* Of a thread in futex(2), STACKS_CONDITION by its functions: does it wait for a lock that another one holds, rather
 * than to be woken by it? By the call's arguments: locks of glibc, musl, Rust and Go mark themselves by the value 2
 * or 3, or name their owner. */
bool offcpu_futex_is_lock(uint32_t op, uint32_t value);
/* As offcpu_class(), of one function: STACKS_CLASSES if its name says nothing. */
enum stacks_class offcpu_function_class(const char *name);

/* How many switches there were in this second: true once there were too many, until the second is over. */
struct offcpu_guard {
	int64_t second_ns;
	uint32_t n;
};
bool offcpu_guard_count(struct offcpu_guard *, int64_t at_ns);

/* How long a wait must be to be kept, after a second or less in which `kept` were: longer while there are very many, for each
 * takes some 3 us of the kernel and twice as much here; never less than least_us. */
uint32_t offcpu_min_us(uint32_t min_us, uint32_t least_us, uint64_t kept, uint32_t n_cpus);

#endif
