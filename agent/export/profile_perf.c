/* The text of `perf script`, which nearly every other tool reads. */
#include "export/profile_internal.h"

#include <errno.h>
#include <string.h>

/* A name must be one that ends where perf's would. */
static void put_line_text(struct emit *e, const char *s)
{
	while (*s) {
		size_t n = strcspn(s, "\n\r");

		emit_bytes(e, s, n);
		s += n;
		if (*s) {
			emit_bytes(e, " ", 1);
			s++;
		}
	}
}

static void put_sample(const struct profile_set *x, const struct stacks_sample *p, struct emit *e)
{
	const struct stacks_task *t = &x->s->tasks[p->task];
	const char *comm = stacks_text(x->s, t->comm);
	uint64_t us = p->at_us < 0 ? 0 : (uint64_t)p->at_us;

	put_line_text(e, *comm ? comm : "[unknown]");
	emit_format(e, " %u/%u [%03u] %llu.%06llu: %llu %s: \n", t->pid, t->tid, p->cpu,
		    (unsigned long long)(us / 1000000), (unsigned long long)(us % 1000000),
		    (unsigned long long)p->weight_us * 1000,
		    p->kind == STACKS_OFF ? "offcpu-time" : "cpu-clock");
}

static void put_frame(const struct stacks *s, uint32_t frame, struct emit *e)
{
	const struct stacks_frame *f = &s->frames[frame];
	const char *path = stacks_text(s, s->modules[f->module].name);

	emit_format(e, "\t%16llx ", (unsigned long long)f->addr);
	put_line_text(e, f->name ? stacks_text(s, f->name) : "[unknown]");
	emit_text(e, " (");
	put_line_text(e, f->type == STACKS_INLINED  ? "inlined"
			 : *path		    ? path
			 : f->type == STACKS_KERNEL ? "[kernel.kallsyms]"
						    : "[unknown]");
	emit_text(e, ")\n");
}

int profile_perf_script(const struct profile_set *x, struct emit *e)
{
	uint32_t *path = malloc(PROFILE_DEPTH_MAX * sizeof(*path));

	if (!path)
		return -ENOMEM;
	for (size_t i = 0; i < x->by_time.n; i++) {
		const struct stacks_sample *p = &x->s->samples[x->by_time.rows[i]];
		size_t n = profile_path(x->s, p->node, path, PROFILE_DEPTH_MAX);

		put_sample(x, p, e);
		while (n--)
			put_frame(x->s, path[n], e);
		emit_text(e, "\n");
	}
	free(path);
	return 0;
}
