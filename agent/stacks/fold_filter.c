/* Which samples count. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "stacks/fold_internal.h"

int filter_copy(struct stacks_filter *to, const struct stacks_filter *from)
{
	*to = *from;
	to->cgroup = from->cgroup ? strdup(from->cgroup) : NULL;
	to->process = from->process ? strdup(from->process) : NULL;
	if ((!to->cgroup && from->cgroup) || (!to->process && from->process)) {
		filter_done(to);
		return -ENOMEM;
	}
	return 0;
}

void filter_done(struct stacks_filter *f)
{
	free((void *)(uintptr_t)f->cgroup);
	free((void *)(uintptr_t)f->process);
	f->cgroup = f->process = NULL;
}

static bool is_below(const char *cgroup, const char *above)
{
	size_t len;

	while (*above == '/')
		above++;
	while (*cgroup == '/')
		cgroup++;
	len = strlen(above);
	while (len && above[len - 1] == '/')
		len--;
	return !len || (strncmp(cgroup, above, len) == 0 && (!cgroup[len] || cgroup[len] == '/'));
}

bool stacks_filter_has_task(const struct stacks_filter *f, const struct stacks *s, uint32_t task)
{
	const struct stacks_task *t = &s->tasks[task];

	if ((f->pid && t->pid != f->pid) || (f->tid && t->tid != f->tid))
		return false;
	if (f->cgroup && !is_below(stacks_text(s, t->cgroup), f->cgroup))
		return false;
	if (!f->process)
		return true;
	return strcmp(stacks_text(s, t->process ? t->process : t->comm), f->process) == 0;
}

int filter_open(struct filter *ret, const struct stacks_filter *f, const struct stacks *s)
{
	ret->f = f;
	ret->tasks = malloc(s->n_tasks);
	if (!ret->tasks)
		return -ENOMEM;
	for (uint32_t i = 0; i < s->n_tasks; i++)
		ret->tasks[i] = stacks_filter_has_task(f, s, i);
	return 0;
}

void filter_close(struct filter *f)
{
	free(f->tasks);
	f->tasks = NULL;
}

/* An index before which all are earlier than at_us + STACKS_OFF_LATE_US, and from which on none is
 * earlier than at_us - STACKS_OFF_LATE_US. */
static uint32_t find_about(const struct stacks *s, int64_t at_us)
{
	uint32_t from = 0, to = s->n_samples;

	while (from < to) {
		uint32_t mid = from + (to - from) / 2;

		if (s->samples[mid].at_us < at_us)
			from = mid + 1;
		else
			to = mid;
	}
	return from;
}

void samples_find(const struct stacks *s, enum stacks_kind kind, int64_t from_us, int64_t to_us,
		  uint32_t *first, uint32_t *end)
{
	*first = 0;
	*end = s->n_samples;
	if (!s->has_time || s->counts)
		return;
	if (from_us > INT64_MIN + STACKS_OFF_LATE_US)
		*first = find_about(s, from_us - STACKS_OFF_LATE_US);
	if (kind != STACKS_OFF && to_us < INT64_MAX - STACKS_OFF_LATE_US)
		*end = find_about(s, to_us + STACKS_OFF_LATE_US);
	if (*end < *first)
		*end = *first;
}
