/* The nodes of processes and threads in a tree. Processes of one name are one node: a build is "cc1 ×64", not
 * 64 slivers, and a daemon that was restarted is compared with itself. */
#include "stacks/fold_internal.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Remembers that a process has this node. 0 or -ENOMEM. */
static int remember(struct fold_pids *p, uint32_t frame, uint32_t pid)
{
	if (2 * (p->n + 1) > p->cap) {
		struct fold_pids old = *p;

		p->cap = old.cap ? 2 * old.cap : 256;
		p->v = calloc(p->cap, sizeof(*p->v));
		if (!p->v) {
			*p = old;
			return -ENOMEM;
		}
		p->n = 0;
		for (uint32_t i = 0; i < old.cap; i++)
			if (old.v[i].frame)
				remember(p, old.v[i].frame, old.v[i].pid);
		free(old.v);
	}
	uint32_t at = (frame * 2654435761u ^ pid * 2246822519u) & (p->cap - 1);

	while (p->v[at].frame && (p->v[at].frame != frame || p->v[at].pid != pid))
		at = (at + 1) & (p->cap - 1);
	p->n += !p->v[at].frame;
	p->v[at].frame = frame;
	p->v[at].pid = pid;
	return 0;
}

static uint32_t get(struct fold *f, uint32_t parent, const char *name, uint32_t *frame)
{
	struct stacks_frame sf = {.type = STACKS_TYPES,
				  .name = stacks_string(f->names.own, name, strlen(name))};

	*frame = stacks_frame(f->names.own, &sf);
	return fold_node_get(f, parent, *frame);
}

uint32_t fold_task_node(struct fold *f, const struct stacks *s, uint32_t task)
{
	const struct stacks_task *t = &s->tasks[task];
	const char *comm = stacks_text(s, t->comm),
		   *process = t->process ? stacks_text(s, t->process) : comm;
	uint32_t node = 0, frame;
	char buf[300];

	if (f->request.by_process) {
		node = get(f, 0, *process ? process : "[unknown]", &frame);
		if (node != UINT32_MAX && t->pid && remember(&f->pids, frame, t->pid) < 0)
			return UINT32_MAX;
	}
	if (f->request.by_thread && node != UINT32_MAX) {
		snprintf(buf, sizeof(buf), "%.255s %u", *comm ? comm : "[unknown]", t->tid);
		node = get(f, node, buf, &frame);
	}
	return node;
}

int fold_name_tasks(struct fold *f)
{
	struct stacks *own = f->names.own;
	uint32_t *count = calloc(own->n_frames, sizeof(*count));
	char buf[300];

	if (!count)
		return -ENOMEM;
	for (uint32_t i = 0; i < f->pids.cap; i++)
		count[f->pids.v[i].frame]++;
	for (uint32_t i = 0; i < f->pids.cap; i++) {
		uint32_t frame = f->pids.v[i].frame, n = count[frame];

		if (!frame || !n)
			continue;
		count[frame] = 0;
		snprintf(buf, sizeof(buf), n > 1 ? "%.255s \u00d7%u" : "%.255s %u",
			 stacks_text(own, own->frames[frame].name), n > 1 ? n : f->pids.v[i].pid);
		own->frames[frame].name = stacks_string(own, buf, strlen(buf));
	}
	free(count);
	return stacks_failed(own) ? -ENOMEM : 0;
}

void fold_pids_done(struct fold_pids *p)
{
	free(p->v);
	*p = (struct fold_pids){0};
}
