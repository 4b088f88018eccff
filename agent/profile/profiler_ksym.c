/*
 * Code in the kernel that comes and goes. Its symbols are read once; of eBPF programs they have no sizes, and one that
 * is loaded later lies right behind another: it would have that one's name.
 */
#include "profile/profiler_private.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

const struct profiler_ksym *profiler_ksyms_find(const struct profiler *p, uint64_t ip)
{
	for (size_t i = 0; i < p->n_ksyms; i++)
		if (ip >= p->ksyms[i].start && ip < p->ksyms[i].end)
			return &p->ksyms[i];
	return NULL;
}

/* What was looked up there before is nothing any more. */
static void forget(struct profiler *p)
{
	memset(p->kernel_frames, 0, PROFILER_FRAMES_CACHED * sizeof(*p->kernel_frames));
	memset(p->stacks_cached, 0, PROFILER_STACKS_CACHED * sizeof(*p->stacks_cached));
}

static struct profiler_ksym *place(struct profiler *p, uint64_t start, uint64_t end)
{
	for (size_t i = 0; i < p->n_ksyms; i++)
		if (p->ksyms[i].start < end && p->ksyms[i].end > start)
			p->ksyms[i] = (struct profiler_ksym){0};
	for (size_t i = 0; i < p->n_ksyms; i++)
		if (!p->ksyms[i].end)
			return &p->ksyms[i];
	if (p->n_ksyms < PROFILER_KSYMS_MAX)
		return &p->ksyms[p->n_ksyms++];
	return &p->ksyms[p->next_ksym++ % PROFILER_KSYMS_MAX]; /* the oldest, about */
}

void profiler_ksyms_add(struct profiler *p, const struct record *r)
{
	uint64_t start = r->ksymbol.addr, end;
	struct profiler_ksym *k;

	if (!r->ksymbol.len || __builtin_add_overflow(start, r->ksymbol.len, &end))
		return;
	if (!p->ksyms)
		p->ksyms = calloc(PROFILER_KSYMS_MAX, sizeof(*p->ksyms));
	if (!p->ksyms)
		return;
	k = place(p, start, end);
	*k = (struct profiler_ksym){.start = start, .end = end, .at_ns = r->time_ns};
	if (!r->ksymbol.gone)
		snprintf(k->name, sizeof(k->name), "%s", r->ksymbol.name);
	symbol_clean(k->name);
	forget(p);
}

void profiler_ksyms_settle(struct profiler *p, uint64_t at_ns)
{
	for (size_t i = 0; i < p->n_ksyms; i++)
		if (!p->ksyms[i].name[0] && p->ksyms[i].at_ns < at_ns)
			p->ksyms[i] = (struct profiler_ksym){0};
	forget(p);
}
