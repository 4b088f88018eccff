#include "export/profile_internal.h"

#include <errno.h>
#include <string.h>

static const struct format {
	const char *name, *mime, *suffix;
	bool text;
	int (*tree)(const struct fold_tree *, const struct profile_about *, struct emit *);
	int (*samples)(const struct profile_set *, struct emit *);
} formats[] = {
	[PROFILE_FOLDED] = {"folded", "text/plain; charset=utf-8", ".folded", true, profile_folded,
			    NULL},
	[PROFILE_PPROF] = {"pprof", "application/octet-stream", ".pb.gz", false, profile_pprof,
			   NULL},
	[PROFILE_HTML] = {"html", "text/html; charset=utf-8", ".html", false, profile_html, NULL},
	[PROFILE_SVG] = {"svg", "image/svg+xml", ".svg", false, profile_svg, NULL},
	[PROFILE_JSON] = {"json", "application/json", ".json", true, profile_json, NULL},
	[PROFILE_SPEEDSCOPE] = {"speedscope", "application/json", ".speedscope.json", true, NULL,
				profile_speedscope},
	[PROFILE_FIREFOX] = {"firefox", "application/json", ".firefox.json", true, NULL,
			     profile_firefox},
	[PROFILE_PERFETTO] = {"perfetto", "application/octet-stream", ".perfetto-trace", false,
			      NULL, profile_perfetto},
	[PROFILE_PERF_SCRIPT] = {"perf", "text/plain; charset=utf-8", ".perf.txt", true, NULL,
				 profile_perf_script},
	[PROFILE_STROBE] = {"strobe", "application/octet-stream", ".epoch", false, NULL,
			    profile_strobe},
};
enum { N_FORMATS = sizeof(formats) / sizeof(*formats) };

int profile_format(const char *name)
{
	for (int i = 0; i < N_FORMATS; i++)
		if (strcmp(formats[i].name, name) == 0)
			return i;
	return -1;
}

const char *profile_format_name(enum profile_format f)
{
	return formats[f].name;
}

bool profile_format_is_tree(enum profile_format f)
{
	return formats[f].tree != NULL;
}

bool profile_format_is_text(enum profile_format f)
{
	return formats[f].text;
}

const char *profile_format_mime(enum profile_format f)
{
	return formats[f].mime;
}

const char *profile_format_suffix(enum profile_format f)
{
	return formats[f].suffix;
}

bool profile_is_counted(const struct profile_about *about, uint64_t *ret_bytes)
{
	static const char *const names[] = {"bytes", "KiB", "MiB", "GiB", "TiB"};

	*ret_bytes = 0;
	if (!about->unit || !*about->unit)
		return false;
	for (unsigned i = 0; i < sizeof(names) / sizeof(*names); i++)
		if (strcmp(about->unit, names[i]) == 0)
			*ret_bytes = (uint64_t)1 << (10 * i);
	return true;
}

/* ---- trees ---- */

/* How long was looked at: of a range that reaches to before the profiler ran less than it is long. */
static uint64_t looked_us(const struct fold_sum *s)
{
	return s->covered_us ? s->covered_us : s->span_us;
}

uint64_t tree_scaled(const struct fold_tree *t, uint64_t base_us)
{
	uint64_t from = looked_us(&t->base), to = looked_us(&t->sum);

	if (!from || from == to)
		return base_us;
	return (uint64_t)((double)base_us * (double)to / (double)from + 0.5);
}

const struct fold_sum *tree_rate(const struct fold_tree *t)
{
	return t->sum.weight_us ? &t->sum : &t->base;
}

const char *tree_type_name(const struct fold_tree *t, uint32_t node)
{
	static const char *const names[STACKS_TYPES] = {
		[STACKS_UNKNOWN] = "",	    [STACKS_USER] = "user", [STACKS_LIBRARY] = "library",
		[STACKS_KERNEL] = "kernel", [STACKS_JIT] = "jit",   [STACKS_INLINED] = "inlined"};
	const struct fold_node *n = &t->nodes[node];

	if (n->type < STACKS_TYPES)
		return names[n->type];
	return n->parent ? "thread" : "process";
}

int export_tree(enum profile_format f, const struct fold_tree *t, const struct profile_about *about,
		const struct profile_out *out)
{
	struct emit *e;
	int r;

	if ((unsigned)f >= N_FORMATS || !formats[f].tree)
		return -EINVAL;
	e = emit_begin(out);
	if (!e)
		return -ENOMEM;
	r = formats[f].tree(t, about, e);
	if (r < 0)
		emit_fail(e, r);
	return emit_end(e);
}

/* ---- samples ---- */

bool profile_passes(const struct profile_set *x, const struct stacks *s,
		    const struct stacks_sample *p)
{
	const struct stacks_filter *f = x->filter;
	int64_t began_us = p->kind == STACKS_OFF ? p->at_us - p->weight_us : p->at_us;

	if (p->flags & STACKS_IDLE || began_us >= x->to_us ||
	    (p->at_us < x->from_us && s->has_time))
		return false;
	if (p->kind != f->kind || (f->cpu >= 0 && p->cpu != f->cpu) ||
	    !stacks_filter_has_task(f, s, p->task))
		return false;
	if (p->kind == STACKS_OFF && f->classes && !(f->classes & 1u << (p->flags >> 4)))
		return false;
	return p->kind != STACKS_OFF || p->weight_us >= f->min_us;
}

bool export_has_samples(const struct stacks *s, const struct stacks_filter *filter, int64_t from_us,
			int64_t to_us)
{
	const struct profile_set x = {.filter = filter, .from_us = from_us, .to_us = to_us};

	for (uint32_t i = 0; i < s->n_samples; i++)
		if (profile_passes(&x, s, &s->samples[i]))
			return true;
	return false;
}

static int by_time(const void *a, const void *b, void *arg)
{
	const struct stacks *s = arg;
	uint32_t i = *(const uint32_t *)a, k = *(const uint32_t *)b;
	const struct stacks_sample *p = &s->samples[i], *q = &s->samples[k];

	if (p->at_us != q->at_us)
		return p->at_us < q->at_us ? -1 : 1;
	return i < k ? -1 : i > k;
}

static int by_thread(const void *a, const void *b, void *arg)
{
	const struct stacks *s = arg;
	const struct stacks_task *t = &s->tasks[s->samples[*(const uint32_t *)a].task];
	const struct stacks_task *u = &s->tasks[s->samples[*(const uint32_t *)b].task];

	if (t->pid != u->pid)
		return t->pid < u->pid ? -1 : 1;
	if (t->tid != u->tid)
		return t->tid < u->tid ? -1 : 1;
	return by_time(a, b, arg);
}

bool profile_same_thread(const struct profile_set *x, size_t a, size_t b)
{
	const struct stacks_task *t = &x->s->tasks[x->s->samples[x->by_thread.rows[a]].task];
	const struct stacks_task *u = &x->s->tasks[x->s->samples[x->by_thread.rows[b]].task];

	return t->pid == u->pid && t->tid == u->tid;
}

static int choose(struct profile_set *x)
{
	struct stacks *s = (struct stacks *)(uintptr_t)x->s; /* for the sort's argument only */
	size_t bytes = ((size_t)s->n_samples + 1) * sizeof(uint32_t);

	x->by_time.rows = malloc(bytes);
	x->by_thread.rows = malloc(bytes);
	if (!x->by_time.rows || !x->by_thread.rows)
		return -ENOMEM;
	for (uint32_t i = 0; i < s->n_samples; i++)
		if (profile_passes(x, s, &s->samples[i]))
			x->by_time.rows[x->by_time.n++] = i;
	x->by_thread.n = x->by_time.n;
	memcpy(x->by_thread.rows, x->by_time.rows, x->by_time.n * sizeof(uint32_t));
	qsort_r(x->by_time.rows, x->by_time.n, sizeof(uint32_t), by_time, s);
	qsort_r(x->by_thread.rows, x->by_thread.n, sizeof(uint32_t), by_thread, s);
	return 0;
}

size_t profile_path(const struct stacks *s, uint32_t node, uint32_t *frames, size_t max)
{
	size_t depth = 0, n;

	for (uint32_t i = node; i; i = s->nodes[i].parent)
		depth++;
	n = depth;
	for (uint32_t i = node; i; i = s->nodes[i].parent)
		if (--n < max)
			frames[n] = s->nodes[i].frame;
	return depth < max ? depth : max;
}

int export_samples(enum profile_format f, const struct stacks *s,
		   const struct stacks_filter *filter, int64_t from_us, int64_t to_us,
		   const struct profile_about *about, const struct profile_out *out)
{
	struct profile_set x = {
		.s = s, .filter = filter, .from_us = from_us, .to_us = to_us, .about = about};
	struct emit *e;
	int r;

	if ((unsigned)f >= N_FORMATS || !formats[f].samples)
		return -EINVAL;
	e = emit_begin(out);
	if (!e)
		return -ENOMEM;
	r = choose(&x);
	if (r == 0)
		r = formats[f].samples(&x, e);
	if (r < 0)
		emit_fail(e, r);
	free(x.by_time.rows);
	free(x.by_thread.rows);
	return emit_end(e);
}

void put_missing(struct emit *e, const struct profile_about *a)
{
	if (!a->n_missing)
		return;
	emit_key(e, "missing");
	emit_open(e, '[');
	for (size_t i = 0; i < a->n_missing; i++)
		emit_string(e, a->missing[i]);
	emit_close(e, ']');
}
