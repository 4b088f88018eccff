/* Packs a set of stacks into the columns of an epoch. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "stacks/epoch_internal.h"

/* ---- what is used ---- */

static int plan_open(struct plan *p, const struct stacks *s)
{
	size_t n = (size_t)s->n_modules + 2 * (size_t)s->n_frames + s->n_nodes +
		   2 * (size_t)s->n_tasks + 2 * (size_t)s->n_strings + s->n_samples;
	uint32_t *m = malloc(n * sizeof(*m));

	*p = (struct plan){.s = s, .memory = m};
	if (!m)
		return -ENOMEM;
	p->modules = m;
	p->frames = p->modules + s->n_modules;
	p->frame_order = p->frames + s->n_frames;
	p->nodes = p->frame_order + s->n_frames;
	p->tasks = p->nodes + s->n_nodes;
	p->task_order = p->tasks + s->n_tasks;
	p->strings = p->task_order + s->n_tasks;
	p->string_order = p->strings + s->n_strings;
	p->sample_order = p->string_order + s->n_strings;
	memset(m, 0xff, n * sizeof(*m));
	memset(p->strings, 0, s->n_strings * sizeof(*m));
	return 0;
}

static void plan_close(struct plan *p)
{
	out_done(&p->tables);
	out_done(&p->trie);
	out_done(&p->tasks_out);
	out_done(&p->streams);
	out_done(&p->samples);
	free(p->memory);
}

static void mark_used(struct plan *p)
{
	const struct stacks *s = p->s;

	p->nodes[0] = 0;
	for (uint32_t i = 0; i < s->n_samples; i++)
		p->nodes[s->samples[i].node] = 0;
	for (uint32_t i = s->n_nodes - 1; i > 0; i--) {
		if (p->nodes[i] == UINT32_MAX)
			continue;
		p->nodes[s->nodes[i].parent] = 0;
		p->frames[s->nodes[i].frame] = 0;
		p->modules[s->frames[s->nodes[i].frame].module] = 0;
	}
	p->frames[0] = p->modules[0] = p->tasks[0] = 0;
}

/* ---- strings, modules, frames ---- */

static void put_string(struct plan *p, struct out *to, uint32_t string)
{
	if (!string || !*stacks_text(p->s, string)) {
		out_varint(to, 0);
	} else if (!p->strings[string]) {
		p->string_order[p->n_strings++] = string;
		p->strings[string] = p->n_strings;
		p->text_len += strlen(stacks_text(p->s, string)) + 1;
		out_varint(to, 1);
	} else {
		out_varint(to, p->n_strings - p->strings[string] + 2);
	}
}

static int by_address(const void *a, const void *b, void *arg)
{
	const struct plan *p = arg;
	const struct stacks_frame *x = &p->s->frames[*(const uint32_t *)a],
				  *y = &p->s->frames[*(const uint32_t *)b];

	if (x->module != y->module)
		return x->module < y->module ? -1 : 1;
	if (x->addr != y->addr)
		return x->addr < y->addr ? -1 : 1;
	if (x->type != y->type)
		return x->type < y->type ? -1 : 1;
	return x->name < y->name ? -1 : x->name > y->name;
}

static void put_modules(struct plan *p)
{
	for (uint32_t i = 0; i < p->s->n_modules; i++) {
		if (p->modules[i] == UINT32_MAX)
			continue;
		p->modules[i] = p->n_modules++;
		if (!i)
			continue;
		put_string(p, &p->tables, p->s->modules[i].name);
		put_string(p, &p->tables, p->s->modules[i].build_id);
	}
}

static void put_off(struct plan *p, const struct stacks_place *place)
{
	out_varint(&p->tables, place->votes ? (uint64_t)place->off + 1 : 0);
}

static unsigned strength(const struct stacks_place *place)
{
	unsigned log2 = place->votes ? 31 - (unsigned)__builtin_clz(place->votes) : 0;

	return !place->votes ? 0 : 1 + (log2 < 14 ? log2 : 14);
}

static void put_places(struct plan *p)
{
	const struct stacks_frame *frames = p->s->frames;

	for (uint32_t i = 1; i < p->n_frames; i++)
		put_off(p, &frames[p->frame_order[i]].self);
	for (uint32_t i = 1; i < p->n_frames; i++)
		put_off(p, &frames[p->frame_order[i]].call);
	for (uint32_t i = 1; i < p->n_frames; i++) {
		const struct stacks_frame *f = &frames[p->frame_order[i]];

		out_u8(&p->tables, (uint8_t)(strength(&f->self) | strength(&f->call) << 4));
	}
}

static void put_frames(struct plan *p)
{
	const struct stacks_frame *frames = p->s->frames;
	uint32_t module = 0, n = 0;
	uint64_t addr = 0;

	for (uint32_t i = 0; i < p->s->n_frames; i++)
		if (p->frames[i] != UINT32_MAX)
			p->frame_order[n++] = i;
	p->n_frames = n;
	if (n > 1) /* the zeroth stays where it is */
		qsort_r(p->frame_order + 1, n - 1, sizeof(*p->frame_order), by_address, p);
	for (uint32_t i = 0; i < n; i++)
		p->frames[p->frame_order[i]] = i;
	for (uint32_t i = 1; i < n; i++) {
		uint32_t m = p->modules[frames[p->frame_order[i]].module];

		out_varint(&p->tables, zigzag_encode((int64_t)m - module));
		module = m;
	}
	module = 0;
	for (uint32_t i = 1; i < n; i++) {
		const struct stacks_frame *f = &frames[p->frame_order[i]];

		if (f->module != module)
			addr = 0;
		out_varint(&p->tables, zigzag_encode((int64_t)(f->addr - addr)));
		module = f->module;
		addr = f->addr;
	}
	for (uint32_t i = 0; i < n; i++)
		put_string(p, &p->tables, frames[p->frame_order[i]].name);
	for (uint32_t i = 1; i < n; i++) {
		const struct stacks_frame *f = &frames[p->frame_order[i]];

		out_u8(&p->tables, (uint8_t)(f->type | (f->missed ? EPOCH_MISSED : 0)));
	}
	put_places(p);
}

/* ---- samples ---- */

struct stream {
	uint32_t kind, cpu, n, end; /* end: of its part of sample_order */
};

static unsigned stream_key(const struct stacks_sample *s)
{
	return s->kind << 16 | s->cpu;
}

/* Sorts the samples by kind and CPU (a counting sort). To free(); NULL: no memory. */
static struct stream *make_streams(struct plan *p)
{
	const struct stacks *s = p->s;
	uint32_t *ends = calloc(STACKS_KINDS << 16, sizeof(*ends)), sum = 0, n = 0;
	struct stream *list = NULL;

	for (uint32_t i = 0; ends && i < s->n_samples; i++)
		n += !ends[stream_key(&s->samples[i])]++;
	if (ends)
		list = malloc((n + 1) * sizeof(*list));
	for (uint32_t k = 0; list && k < STACKS_KINDS << 16; k++) {
		if (!ends[k])
			continue;
		list[p->n_streams++] =
			(struct stream){k >> 16, k & UINT16_MAX, ends[k], sum + ends[k]};
		ends[k] = sum += ends[k];
	}
	for (uint32_t i = s->n_samples; list && i-- > 0;)
		p->sample_order[--ends[stream_key(&s->samples[i])]] = i;
	free(ends);
	for (uint32_t k = 0; list && k < p->n_streams; k++) {
		out_varint(&p->streams, list[k].kind);
		out_varint(&p->streams, list[k].cpu);
		out_varint(&p->streams, list[k].n);
	}
	return list;
}

static void put_times(struct plan *p, const struct stream *list)
{
	for (uint32_t k = 0, i = 0; k < p->n_streams; k++) {
		int64_t step_us = epoch_step_us(p->s, list[k].kind), at_us = p->s->from_us;

		for (; i < list[k].end; i++) {
			const struct stacks_sample *s = &p->s->samples[p->sample_order[i]];

			out_varint(&p->samples, zigzag_encode(s->at_us - at_us - step_us));
			at_us = s->at_us;
		}
	}
}

/* Numbers the tasks in the order in which the streams name them. */
static void put_task_numbers(struct plan *p, const struct stream *list)
{
	p->n_tasks = 1;
	p->task_order[0] = 0;
	for (uint32_t k = 0, i = 0; k < p->n_streams; k++) {
		uint32_t before = UINT32_MAX;

		for (; i < list[k].end; i++) {
			uint32_t task = p->s->samples[p->sample_order[i]].task;
			uint32_t *number = &p->tasks[task];

			if (task == before) {
				out_varint(&p->samples, 0);
			} else if (*number == UINT32_MAX) {
				p->task_order[p->n_tasks] = task;
				*number = p->n_tasks++;
				out_varint(&p->samples, 1);
			} else {
				out_varint(&p->samples, p->n_tasks - *number + 1);
			}
			before = task;
		}
	}
}

static int put_sample_nodes(struct plan *p)
{
	uint32_t *of_task = malloc((p->s->n_tasks + (size_t)p->s->n_strings) * sizeof(*of_task));
	uint32_t *of_comm = of_task + p->s->n_tasks;

	if (!of_task)
		return -ENOMEM;
	memset(of_task, 0xff, p->s->n_tasks * sizeof(*of_task));
	memset(of_comm, 0, p->s->n_strings * sizeof(*of_comm));
	for (uint32_t i = 0; i < p->s->n_samples; i++) {
		const struct stacks_sample *s = &p->s->samples[p->sample_order[i]];
		uint32_t comm = p->s->tasks[s->task].comm, node = p->nodes[s->node];
		uint32_t before = of_task[s->task];

		if (before == UINT32_MAX)
			before = of_comm[comm];
		out_varint(&p->samples, zigzag_encode((int64_t)node - before));
		of_task[s->task] = of_comm[comm] = node;
	}
	free(of_task);
	return 0;
}

static void put_weights(struct plan *p, const struct stream *list)
{
	for (uint32_t k = 0, i = 0; k < p->n_streams; k++) {
		int64_t before = 0;

		for (; i < list[k].end; i++) {
			uint32_t w = p->s->samples[p->sample_order[i]].weight_us;

			if (list[k].kind == STACKS_CPU)
				out_varint(&p->samples, zigzag_encode(w - before));
			else
				out_varint(&p->samples, w);
			before = w;
		}
	}
	for (uint32_t i = 0; i < p->s->n_samples; i++)
		out_u8(&p->samples, p->s->samples[p->sample_order[i]].flags);
}

static void put_notes(struct plan *p)
{
	int64_t at_us = p->s->from_us;

	for (uint32_t i = 0; i < p->s->n_notes; i++) {
		const struct stacks_note *n = &p->s->notes[i];

		out_varint(&p->samples, zigzag_encode(n->at_us - at_us));
		out_varint(&p->samples, n->n);
		out_varint(&p->samples, n->cpu);
		out_varint(&p->samples, n->kind);
		at_us = n->at_us;
	}
}

static int put_samples(struct plan *p)
{
	struct stream *list = make_streams(p);
	int r;

	if (!list)
		return -ENOMEM;
	put_times(p, list);
	put_task_numbers(p, list);
	r = put_sample_nodes(p);
	put_weights(p, list);
	put_notes(p);
	free(list);
	return r;
}

static void put_tasks(struct plan *p)
{
	const struct stacks_task *tasks = p->s->tasks;
	struct out *to = &p->tasks_out;
	uint32_t pid = 0;

	for (uint32_t i = 1; i < p->n_tasks; i++) {
		out_varint(to, zigzag_encode((int64_t)tasks[p->task_order[i]].pid - pid));
		pid = tasks[p->task_order[i]].pid;
	}
	for (uint32_t i = 1; i < p->n_tasks; i++) {
		const struct stacks_task *t = &tasks[p->task_order[i]];

		out_varint(to, zigzag_encode((int64_t)t->tid - t->pid));
	}
	for (uint32_t i = 1; i < p->n_tasks; i++)
		put_string(p, to, tasks[p->task_order[i]].comm);
	for (uint32_t i = 1; i < p->n_tasks; i++)
		put_string(p, to, tasks[p->task_order[i]].process);
	for (uint32_t i = 1; i < p->n_tasks; i++)
		put_string(p, to, tasks[p->task_order[i]].cgroup);
}

/* ---- the whole ---- */

static void put_counts(const struct plan *p, struct out *to)
{
	const struct stacks *s = p->s;
	const uint64_t counts[N_COUNTS] = {
		[COUNT_STRINGS] = p->n_strings + 1,
		[COUNT_MODULES] = p->n_modules,
		[COUNT_FRAMES] = p->n_frames,
		[COUNT_EDGES] = p->n_edges,
		[COUNT_NODES] = p->n_nodes,
		[COUNT_TASKS] = p->n_tasks,
		[COUNT_STREAMS] = p->n_streams,
		[COUNT_SAMPLES] = s->n_samples,
		[COUNT_NOTES] = s->n_notes,
		[COUNT_CPUS] = s->n_cpus,
		[COUNT_BITS] =
			(s->has_cpu ? EPOCH_HAS_CPU : 0) | (s->has_time ? EPOCH_HAS_TIME : 0),
		[COUNT_TEXT] = p->text_len,
	};

	for (unsigned i = 0; i < N_COUNTS; i++)
		out_varint(to, counts[i]);
}

static int put_all(struct plan *p, struct out *to)
{
	const struct out *columns[] = {&p->tables, &p->trie, &p->tasks_out, &p->streams,
				       &p->samples};
	size_t n = sizeof(columns) / sizeof(*columns);

	put_counts(p, to);
	for (uint32_t i = 0; i < p->n_strings; i++)
		out_string(to, stacks_text(p->s, p->string_order[i]));
	for (size_t i = 0; i < n; i++) {
		to->failed |= columns[i]->failed;
		out_bytes(to, columns[i]->p, columns[i]->len);
	}
	if (to->failed)
		return -ENOMEM;
	return to->len > EPOCH_PLAIN_MAX ? -EMSGSIZE : 0;
}

static bool times_right(const struct stacks *s)
{
	for (uint32_t i = 0; i < s->n_samples; i++)
		if (s->samples[i].at_us > EPOCH_TIME_MAX || s->samples[i].at_us < -EPOCH_TIME_MAX)
			return false;
	for (uint32_t i = 0; i < s->n_notes; i++)
		if (s->notes[i].at_us > EPOCH_TIME_MAX || s->notes[i].at_us < -EPOCH_TIME_MAX)
			return false;
	return true;
}

int epoch_pack(const struct stacks *s, struct out *ret)
{
	struct out to = {0};
	struct plan p;
	int r;

	if (s->n_samples > EPOCH_SAMPLES_MAX)
		return -EMSGSIZE;
	if (!times_right(s))
		return -EINVAL;
	r = plan_open(&p, s);
	if (r < 0)
		return r;
	mark_used(&p);
	put_modules(&p);
	put_frames(&p);
	r = epoch_plan_trie(&p);
	if (r >= 0)
		r = put_samples(&p);
	if (r >= 0) {
		put_tasks(&p);
		r = put_all(&p, &to);
	}
	plan_close(&p);
	if (r < 0)
		out_done(&to);
	else
		*ret = to;
	return r;
}
