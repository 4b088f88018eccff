/* What frames are called for people. */
#include <inttypes.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>

#include "stacks/stacks_internal.h"

const char *stacks_frame_module(const struct stacks *s, uint32_t frame)
{
	const char *path = stacks_text(s, s->modules[s->frames[frame].module].name);
	const char *slash = strrchr(path, '/');

	return slash && slash[1] ? slash + 1 : path;
}

/* "perf-1234.map": the process whose code it is, "" where no task tells. NULL: not such a module. */
static const char *jit_process(const struct stacks *s, const char *module)
{
	struct stacks_private *p = stacks_private(s);
	uint32_t pid, i = atomic_load_explicit(&p->jit_task, memory_order_relaxed), n = s->n_tasks;
	int end = 0;

	if (sscanf(module, "perf-%" SCNu32 ".map%n", &pid, &end) != 1 || !end || module[end])
		return NULL;
	if (i < n && s->tasks[i].pid == pid) /* as for the frame before */
		return stacks_text(s, s->tasks[i].process);
	for (i = 1; i < n && (s->tasks[i].pid != pid || !s->tasks[i].process); i++)
		;
	atomic_store_explicit(&p->jit_task, i, memory_order_relaxed);
	return i < n ? stacks_text(s, s->tasks[i].process) : "";
}

const char *stacks_frame_name(const struct stacks *s, uint32_t frame, char *buf, size_t size)
{
	const struct stacks_frame *f = &s->frames[frame];
	const char *module = stacks_frame_module(s, frame), *process;

	if (f->name && *stacks_text(s, f->name))
		return stacks_text(s, f->name);
	if (!f->addr && !*module)
		return STACKS_UNKNOWN_FRAME;
	if (f->type == STACKS_JIT && (process = jit_process(s, module))) {
		snprintf(buf, size, "[JIT] %s%s+0x%" PRIx64, process, *process ? " " : "", f->addr);
		return buf;
	}
	snprintf(buf, size, "%s%s0x%" PRIx64, module, *module ? "+" : "", f->addr);
	return buf;
}
