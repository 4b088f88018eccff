/*
 * From registers and a copy of the top of the stack to the addresses of the callers, by tables made from the
 * modules' .eh_frame (module.h). x86-64 and aarch64. Profiler's thread only; allocates nothing.
 */
#ifndef STROBE_UNWIND_UNWIND_H
#define STROBE_UNWIND_UNWIND_H

#include "unwind/space.h"

/* Which of perf's user registers a sample must carry (attr.sample_regs_user), in order of their number. */
uint64_t unwind_regs_mask(void);
enum { UNWIND_REGS_MAX = 33 };

struct unwind_state {
	const uint64_t *regs; /* as perf gives them for unwind_regs_mask() */
	size_t n_regs;
	const uint8_t *stack; /* from the stack pointer up */
	size_t stack_len;
};

enum unwind_end {
	UNWIND_WHOLE, /* reached the thread's entry: a caller marked as undefined, or 0 */
	UNWIND_SHORT, /* the copy of the stack ended */
	UNWIND_NO_TABLE, /* a module without a table (yet), or code made at run time without frame pointers */
	UNWIND_NO_RULE, /* a table without a rule for the address */
	UNWIND_FULL	/* ips[max] is full */
};
/* Fills ips with the addresses of the stack, innermost first: ips[0] the address itself, the others return addresses.
 * How many. Code without a table is walked by frame pointer as long as that leads upwards. */
size_t unwind_user(struct space *, const struct unwind_state *, uint64_t *ips, size_t max,
		   enum unwind_end *end);

#endif
