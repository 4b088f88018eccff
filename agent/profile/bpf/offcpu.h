/*
 * What the program in the kernel and the agent share: one struct a CPU, in a map that both have in memory. Counters
 * only rise, each written by its own CPU alone.
 */
#ifndef STROBE_PROFILE_BPF_OFFCPU_H
#define STROBE_PROFILE_BPF_OFFCPU_H

/* The raw data of a sample: a wait that is over. CLOCK_MONOTONIC ns. */
struct offcpu_wait {
	unsigned long long since_ns, until_ns;
	unsigned long long queued_ns; /* of that it could run and did not */
	unsigned long long preempted; /* it could all the time */
};

struct offcpu_cpu {
	unsigned long long
		min_ns; /* the agent's: shorter waits are only counted. 0: none reads this CPU */
	unsigned long long switches;
	unsigned long long n_short, short_ns;
	unsigned long long kept;
	unsigned long long
		missed; /* waits that ended unseen, or whose stack could not be taken in time */
	unsigned long long dropped; /* no room in the ring */
	unsigned long long unknown; /* more threads than there is room for */

	struct offcpu_wait wait;   /* whose stack is to be taken */
	unsigned int tid;	   /* 0: nobody's */
	unsigned int kick;	   /* the agent's: an interrupt must be raised for it */
	unsigned long long pad[3]; /* cache lines of its own */
} __attribute__((aligned(64)));

#endif
