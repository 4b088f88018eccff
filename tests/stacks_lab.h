/*
 * Sets of stacks for the tests, the fuzzer and the benchmark of the profiler's store: made up, the
 * same for the same seed, shaped as real ones are. Aborts when something fails.
 */
#ifndef STROBE_TESTS_STACKS_LAB_H
#define STROBE_TESTS_STACKS_LAB_H

#include "stacks/stacks.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define LAB_CHECK(x)                                                                               \
	do {                                                                                       \
		if (!(x)) {                                                                        \
			fprintf(stderr, "%s:%d: %s\n", __FILE__, __LINE__, #x);                    \
			abort();                                                                   \
		}                                                                                  \
	} while (0)

/* What runs on a made-up host. */
struct stacks_lab {
	uint64_t rnd;
	unsigned n_cpus, hz;
	unsigned n_programs;  /* each with a module, and functions of its own */
	unsigned n_functions; /* of each */
	unsigned depth;	      /* of a stack, on average */
	unsigned spread;      /* of 1,000 calls so many leave the path most often taken */
	unsigned life;	      /* of a process, in samples; 0: for ever */
	unsigned off;	      /* of 1,000 samples so many are stretches off the CPU */
	unsigned mixed;	      /* of 1,000 samples so many are of another task than the CPU's own */
	bool named;

	int64_t at_us; /* the next tick */
	unsigned cpu;
	uint32_t *frames; /* by program and function */
	uint32_t module0;
	struct {
		uint32_t pid, program, left, task;
	} running[64];
	uint32_t next_pid;
};

static inline uint32_t lab_random(uint64_t *rnd)
{
	*rnd = *rnd * 6364136223846793005u + 1442695040888963407u;
	return (uint32_t)(*rnd >> 33);
}

/* Small numbers most often. */
static inline uint32_t lab_skewed(uint64_t *rnd, uint32_t n)
{
	uint32_t bits = 1;

	while (bits < 32 && 1u << bits < n)
		bits++;
	return lab_random(rnd) % (1u << lab_random(rnd) % (bits + 1)) % n;
}

static inline void lab_begin(struct stacks_lab *l, struct stacks *s)
{
	char buf[200];

	l->n_cpus = l->n_cpus ? l->n_cpus : 2;
	l->hz = l->hz ? l->hz : 99;
	l->next_pid = 1000;
	if (!l->at_us)
		l->at_us = 1000000000;
	free(l->frames);
	l->frames = malloc((size_t)l->n_programs * l->n_functions * sizeof(*l->frames));
	LAB_CHECK(l->frames);
	for (unsigned p = 0; p < l->n_programs; p++) {
		uint32_t module;
		char id[41];

		snprintf(buf, sizeof(buf),
			 p ? "/usr/lib/x86_64-linux-gnu/libprogram%u.so" : "[kernel]", p);
		snprintf(id, sizeof(id), "%08x%08x%08x%08x%08x", p * 0x9e3779b9u, p * 0x85ebca6bu,
			 p * 0xc2b2ae35u, p * 0x27d4eb2fu, p * 0x165667b1u);
		module = stacks_module(s, buf, p ? id : "");
		for (unsigned f = 0; f < l->n_functions; f++) {
			struct stacks_frame frame = {
				.addr = 0x1000 + (uint64_t)f * 97 + f % 7 * 16,
				.module = module,
				.type = p ? p % 2 ? STACKS_USER : STACKS_LIBRARY : STACKS_KERNEL,
			};
			int len = snprintf(buf, sizeof(buf), "program%u::part%u::do_step_%x(int)",
					   p, f % 30, f * 2654435761u >> 12);

			if (l->named)
				frame.name = stacks_string(s, buf, (size_t)len);
			l->frames[p * l->n_functions + f] = stacks_frame(s, &frame);
		}
	}
	if (!s->from_us)
		s->from_us = l->at_us;
	s->hz = l->hz;
	s->n_cpus = (uint16_t)l->n_cpus;
}

static inline void lab_end(struct stacks_lab *l)
{
	free(l->frames);
	l->frames = NULL;
}

/* A process for a CPU (or a sleeper): the one that was there, or after its life another. */
static inline uint32_t lab_task(struct stacks_lab *l, struct stacks *s, unsigned who)
{
	char buf[64];

	if (!l->running[who].pid || (l->life && !l->running[who].left--)) {
		struct stacks_task t = {.pid = l->next_pid};
		uint32_t program = lab_skewed(&l->rnd, l->n_programs);
		int len = snprintf(buf, sizeof(buf), "program%u", program);

		t.tid = t.pid + who % 3;
		t.comm = t.process = stacks_string(s, buf, (size_t)len);
		len = snprintf(buf, sizeof(buf), "system.slice/unit-%u.service", program % 9);
		t.cgroup = stacks_string(s, buf, (size_t)len);
		l->running[who].pid = l->next_pid++;
		l->running[who].program = program;
		l->running[who].left = l->life ? lab_random(&l->rnd) % (2 * l->life) : 0;
		l->running[who].task = stacks_task(s, &t);
	}
	return l->running[who].task;
}

/* Where in the function it is: a few places of each, of what is in a file. */
static inline void lab_vote(struct stacks *s, uint32_t node, uint64_t path, bool leaf)
{
	const struct stacks_frame *f = &s->frames[s->nodes[node].frame];
	uint64_t addr = f->addr + (f->addr * 0x9e3779b9u >> 7 & 1023) + (path >> 58) % 5 * 70;

	if (!node || f->type == STACKS_KERNEL)
		return;
	if (leaf)
		stacks_vote_self(s, s->nodes[node].frame, addr + (path >> 50 & 31), 1);
	else
		stacks_vote_call(s, s->nodes[node].frame, addr, 1);
}

/* A way through the program's calls: the upper ones are nearly always the same, the lower ones
 * differ. */
static inline uint32_t lab_node(struct stacks_lab *l, struct stacks *s, uint32_t program)
{
	uint32_t depth = 3 + lab_random(&l->rnd) % (2 * l->depth), node = 0;
	uint64_t path = program * 77u + 1;

	for (uint32_t d = 0; d < depth; d++) {
		uint32_t in = d > 3 && d + 4 > depth ? 0 : program, f;

		if (lab_random(&l->rnd) % 1000 <
		    l->spread * 3 * (d + 1) * (d + 1) / (depth * depth))
			path += 1 + lab_skewed(&l->rnd, 12);
		path = path * 2862933555777941757u + 3037000493u;
		f = (uint32_t)(path >> 40) % l->n_functions;
		path = f * 0x9e3779b97f4a7c15u;
		lab_vote(s, node, path, false);
		node = stacks_node(s, node, l->frames[in * l->n_functions + f]);
	}
	lab_vote(s, node, path, true);
	return node;
}

/* The next n samples: every CPU once a tick. */
static inline void lab_fill(struct stacks_lab *l, struct stacks *s, uint32_t n)
{
	for (uint32_t i = 0; i < n; i++) {
		bool off = lab_random(&l->rnd) % 1000 < l->off;
		bool other = off || (l->mixed && lab_random(&l->rnd) % 1000 < l->mixed);
		unsigned who = other ? 32 + lab_random(&l->rnd) % 32 : l->cpu % 32;
		struct stacks_sample sample = {.cpu = (uint16_t)l->cpu};

		sample.task = lab_task(l, s, who);
		sample.node = lab_node(l, s, l->running[who].program);
		sample.at_us = l->at_us + l->cpu * 37 + lab_skewed(&l->rnd, 200);
		sample.weight_us = 1000000 / l->hz;
		if (off) {
			sample.kind = STACKS_OFF;
			sample.weight_us = 1000 + lab_skewed(&l->rnd, 4000000);
			sample.flags = (uint8_t)(lab_random(&l->rnd) % STACKS_CLASSES << 4);
		}
		sample.flags |= lab_random(&l->rnd) % 100 == 0 ? STACKS_SHALLOW : 0;
		LAB_CHECK(stacks_add(s, &sample) == 0);
		if (++l->cpu == l->n_cpus) {
			l->cpu = 0;
			l->at_us += 1000000 / l->hz;
		}
	}
	s->to_us = l->at_us;
}

#endif
