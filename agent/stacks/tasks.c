/* Who ran, and how much. */
#include "stacks/fold.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "stacks/fold_internal.h"

struct sums {
	uint64_t weight_us, n, base_us;
	uint32_t cgroup; /* string of `own`, the newest */
	int64_t newest_us;
};

struct tasks {
	struct fold_request request;
	bool threads;
	struct stacks *own; /* its tasks are the rows, without cgroups */
	struct sums *sums;  /* by own task */
	uint32_t cap;
};

int tasks_begin(struct tasks **ret, const struct fold_request *q, bool threads)
{
	struct tasks *t;

	if (q->n_ranges > FOLD_RANGES_MAX || q->n_base > FOLD_RANGES_MAX ||
	    q->filter.kind >= STACKS_KINDS)
		return -EINVAL;
	t = calloc(1, sizeof(*t));
	if (!t)
		return -ENOMEM;
	t->request = *q;
	t->threads = threads;
	t->own = stacks_new();
	if (filter_copy(&t->request.filter, &q->filter) < 0 || !t->own) {
		tasks_abort(t);
		return -ENOMEM;
	}
	*ret = t;
	return 0;
}

void tasks_abort(struct tasks *t)
{
	if (!t)
		return;
	filter_done(&t->request.filter);
	stacks_free(t->own);
	free(t->sums);
	free(t);
}

static void sum_range(const struct stacks *s, const struct filter *filter,
		      const struct stacks_range *r, bool base, struct sums *by_task)
{
	const struct stacks_range all = {INT64_MIN, INT64_MAX};
	uint32_t i, end;

	samples_find(s, filter->f->kind, r->from_us, r->to_us, &i, &end);
	if (!s->has_time)
		r = &all;
	for (; i < end; i++) {
		const struct stacks_sample *sample = &s->samples[i];
		struct sums *to = &by_task[sample->task];
		uint32_t weight_us;
		bool in;

		if (!filter_has(filter, sample))
			continue;
		weight_us = sample_weight(r, sample, &in);
		if (!in)
			continue;
		to->n += base ? 0 : stacks_count(s, i);
		*(base ? &to->base_us : &to->weight_us) += weight_us;
		if (sample->at_us > to->newest_us)
			to->newest_us = sample->at_us;
	}
}

static int merge_task(struct tasks *t, const struct stacks *s, uint32_t task,
		      const struct sums *from)
{
	const struct stacks_task *in = &s->tasks[task];
	const char *comm = stacks_text(s, t->threads || !in->process ? in->comm : in->process);
	const char *cgroup = stacks_text(s, in->cgroup);
	struct stacks_task row = {.pid = in->pid, .tid = t->threads ? in->tid : 0};
	struct sums *to;
	uint32_t i;

	row.comm = stacks_string(t->own, comm, strlen(comm));
	i = stacks_task(t->own, &row);
	if (i >= t->cap) {
		uint32_t cap = (i + 1) * 2;

		to = realloc(t->sums, cap * sizeof(*to));
		if (!to)
			return -ENOMEM;
		memset(to + t->cap, 0, (cap - t->cap) * sizeof(*to));
		t->sums = to;
		t->cap = cap;
	}
	to = &t->sums[i];
	if (!to->cgroup || from->newest_us >= to->newest_us) {
		to->cgroup = stacks_string(t->own, cgroup, strlen(cgroup));
		to->newest_us = from->newest_us;
	}
	to->n += from->n;
	to->weight_us += from->weight_us;
	to->base_us += from->base_us;
	return stacks_failed(t->own) ? -ENOMEM : 0;
}

int tasks_add(struct tasks *t, const struct stacks *s)
{
	struct sums *by_task = calloc(s->n_tasks, sizeof(*by_task));
	struct filter filter;
	int r;

	if (!by_task)
		return -ENOMEM;
	r = filter_open(&filter, &t->request.filter, s);
	if (r >= 0) {
		for (size_t i = 0; i < t->request.n_ranges && (s->has_time || !i); i++)
			sum_range(s, &filter, &t->request.ranges[i], false, by_task);
		for (size_t i = 0; i < t->request.n_base && s->has_time; i++)
			sum_range(s, &filter, &t->request.base[i], true, by_task);
		filter_close(&filter);
	}
	for (uint32_t i = 0; r >= 0 && i < s->n_tasks; i++)
		if (by_task[i].n || by_task[i].base_us)
			r = merge_task(t, s, i, &by_task[i]);
	free(by_task);
	return r;
}

static int by_weight(const void *a, const void *b)
{
	const struct tasks_row *x = a, *y = b;

	if (x->weight_us != y->weight_us)
		return x->weight_us > y->weight_us ? -1 : 1;
	if (x->base_us != y->base_us)
		return x->base_us > y->base_us ? -1 : 1;
	if (x->pid != y->pid)
		return x->pid < y->pid ? -1 : 1;
	if (x->tid != y->tid)
		return x->tid < y->tid ? -1 : 1;
	return strcmp(x->comm, y->comm);
}

/* The names in the rows point into t->own. */
static struct tasks_row *list_rows(const struct tasks *t, size_t *ret_n)
{
	const struct stacks *own = t->own;
	struct tasks_row *rows = calloc(own->n_tasks, sizeof(*rows));
	size_t n = 0;

	for (uint32_t i = 0; rows && i < own->n_tasks && i < t->cap; i++) {
		const struct sums *s = &t->sums[i];

		if (s->n || s->base_us)
			rows[n++] = (struct tasks_row){
				.pid = own->tasks[i].pid,
				.tid = own->tasks[i].tid,
				.comm = (char *)(uintptr_t)stacks_text(own, own->tasks[i].comm),
				.cgroup = (char *)(uintptr_t)stacks_text(own, s->cgroup),
				.weight_us = s->weight_us,
				.n = s->n,
				.base_us = s->base_us,
			};
	}
	if (n)
		qsort(rows, n, sizeof(*rows), by_weight);
	*ret_n = n;
	return rows;
}

int tasks_finish(struct tasks *t, size_t limit, struct tasks_row **ret, size_t *ret_n)
{
	size_t n = 0;
	struct tasks_row *rows = list_rows(t, &n);
	bool failed = !rows;

	if (n > limit)
		n = limit;
	for (size_t i = 0; i < n; i++) {
		rows[i].comm = strdup(rows[i].comm);
		rows[i].cgroup = strdup(rows[i].cgroup);
		failed |= !rows[i].comm || !rows[i].cgroup;
	}
	tasks_abort(t);
	if (failed) {
		tasks_free(rows, n);
		return -ENOMEM;
	}
	*ret = rows;
	*ret_n = n;
	return 0;
}

void tasks_free(struct tasks_row *rows, size_t n)
{
	for (size_t i = 0; rows && i < n; i++) {
		free(rows[i].comm);
		free(rows[i].cgroup);
	}
	free(rows);
}
