/*
 * A processed profile of profiler.firefox.com (preprocessedProfileVersion 41, which the viewer brings up to date): one
 * thread each with tables of its own.
 */
#include "export/profile_internal.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

enum category { OTHER, USER, LIBRARY, KERNEL, JIT, INLINED, N_CATEGORIES };

static const uint8_t category_of[STACKS_TYPES] = {
	[STACKS_UNKNOWN] = OTHER, [STACKS_USER] = USER, [STACKS_LIBRARY] = LIBRARY,
	[STACKS_KERNEL] = KERNEL, [STACKS_JIT] = JIT,	[STACKS_INLINED] = INLINED};

struct writer {
	const struct profile_set *x;
	const struct stacks *s;
	struct emit *e;
	/* of the thread at hand: what it uses, and in which order */
	uint32_t *node_at, *frame_at, *module_at; /* place + 1; 0: not used */
	uint32_t *nodes, *frames, *modules;
	uint32_t n_nodes, n_frames, n_modules;
	char name[1024];
};

/* ---- tables of columns ---- */

static void column(struct writer *w, const char *key)
{
	emit_key(w->e, key);
	emit_open(w->e, '[');
}

/* A column that says the same n times; value NULL: null. */
static void constant(struct writer *w, const char *key, uint32_t n, const char *value)
{
	column(w, key);
	for (uint32_t i = 0; i < n; i++) {
		if (i)
			emit_bytes(w->e, ",", 1);
		emit_text(w->e, value ? value : "null");
	}
	emit_close(w->e, ']');
}

static void table(struct writer *w, const char *key, uint32_t n)
{
	emit_key(w->e, key);
	emit_open(w->e, '{');
	emit_key_int(w->e, "length", n);
}

/* ---- what a thread uses ---- */

static void use_frame(struct writer *w, uint32_t frame)
{
	uint32_t module = w->s->frames[frame].module;

	if (!w->frame_at[frame]) {
		w->frames[w->n_frames++] = frame;
		w->frame_at[frame] = w->n_frames;
	}
	if (module && !w->module_at[module]) {
		w->modules[w->n_modules++] = module;
		w->module_at[module] = w->n_modules;
	}
}

/* Parents first: they have smaller numbers, and so their places are made by one pass upwards. */
static void use_samples(struct writer *w, size_t a, size_t b)
{
	const struct stacks *s = w->s;
	const uint32_t *rows = w->x->by_thread.rows;

	memset(w->node_at, 0, s->n_nodes * sizeof(*w->node_at));
	memset(w->frame_at, 0, s->n_frames * sizeof(*w->frame_at));
	memset(w->module_at, 0, s->n_modules * sizeof(*w->module_at));
	w->n_nodes = w->n_frames = w->n_modules = 0;
	for (size_t i = a; i < b; i++)
		for (uint32_t k = s->samples[rows[i]].node; k && !w->node_at[k];
		     k = s->nodes[k].parent)
			w->node_at[k] = UINT32_MAX;
	for (uint32_t k = 1; k < s->n_nodes; k++)
		if (w->node_at[k]) {
			w->nodes[w->n_nodes++] = k;
			w->node_at[k] = w->n_nodes;
			use_frame(w, s->nodes[k].frame);
		}
}

/* ---- the tables ---- */

static const struct stacks_frame *frame(const struct writer *w, uint32_t i)
{
	return &w->s->frames[w->frames[i]];
}

static void put_frames(struct writer *w)
{
	uint32_t n = w->n_frames;

	table(w, "frameTable", n);
	column(w, "address");
	for (uint32_t i = 0; i < n; i++)
		emit_int(w->e, frame(w, i)->addr && frame(w, i)->addr < INT64_MAX / 1024
				       ? (int64_t)frame(w, i)->addr
				       : -1);
	emit_close(w->e, ']');
	constant(w, "inlineDepth", n, "0");
	column(w, "category");
	for (uint32_t i = 0; i < n; i++)
		emit_int(w->e, category_of[frame(w, i)->type % STACKS_TYPES]);
	emit_close(w->e, ']');
	constant(w, "subcategory", n, "0");
	column(w, "func");
	for (uint32_t i = 0; i < n; i++)
		emit_int(w->e, i);
	emit_close(w->e, ']');
	constant(w, "nativeSymbol", n, NULL);
	constant(w, "innerWindowID", n, "0");
	constant(w, "implementation", n, NULL);
	constant(w, "line", n, NULL);
	constant(w, "column", n, NULL);
	constant(w, "optimizations", n, NULL);
	emit_close(w->e, '}');
}

/* Strings: the frames' names, then the modules'. */
static void put_functions(struct writer *w)
{
	uint32_t n = w->n_frames;

	table(w, "funcTable", n);
	column(w, "name");
	for (uint32_t i = 0; i < n; i++)
		emit_int(w->e, i);
	emit_close(w->e, ']');
	constant(w, "isJS", n, "false");
	constant(w, "relevantForJS", n, "false");
	column(w, "resource");
	for (uint32_t i = 0; i < n; i++)
		emit_int(w->e, (int64_t)w->module_at[frame(w, i)->module] - 1);
	emit_close(w->e, ']');
	constant(w, "fileName", n, NULL);
	constant(w, "lineNumber", n, NULL);
	constant(w, "columnNumber", n, NULL);
	emit_close(w->e, '}');

	table(w, "resourceTable", w->n_modules);
	column(w, "lib");
	for (uint32_t i = 0; i < w->n_modules; i++)
		emit_int(w->e, (int64_t)w->modules[i] - 1);
	emit_close(w->e, ']');
	column(w, "name");
	for (uint32_t i = 0; i < w->n_modules; i++)
		emit_int(w->e, (int64_t)n + i);
	emit_close(w->e, ']');
	constant(w, "host", w->n_modules, NULL);
	constant(w, "type", w->n_modules, "1");
	emit_close(w->e, '}');
}

static void put_stacks(struct writer *w)
{
	const struct stacks *s = w->s;

	table(w, "stackTable", w->n_nodes);
	column(w, "prefix");
	for (uint32_t i = 0; i < w->n_nodes; i++) {
		uint32_t parent = s->nodes[w->nodes[i]].parent;

		if (parent)
			emit_int(w->e, (int64_t)w->node_at[parent] - 1);
		else
			emit_null(w->e);
	}
	emit_close(w->e, ']');
	column(w, "frame");
	for (uint32_t i = 0; i < w->n_nodes; i++)
		emit_int(w->e, (int64_t)w->frame_at[s->nodes[w->nodes[i]].frame] - 1);
	emit_close(w->e, ']');
	column(w, "category");
	for (uint32_t i = 0; i < w->n_nodes; i++)
		emit_int(w->e,
			 category_of[s->frames[s->nodes[w->nodes[i]].frame].type % STACKS_TYPES]);
	emit_close(w->e, ']');
	constant(w, "subcategory", w->n_nodes, "0");
	emit_close(w->e, '}');
}

/* Of time on the CPU beside each what its thread has used since the one before: the graph above the tracks. */
static void put_weights(struct writer *w, const uint32_t *rows, size_t n)
{
	const struct stacks_sample *samples = w->s->samples;
	uint64_t bytes;
	bool counted = profile_is_counted(w->x->about, &bytes);

	column(w, "weight");
	for (size_t i = 0; i < n; i++)
		if (counted)
			emit_int(w->e, (int64_t)(samples[rows[i]].weight_us * (bytes ? bytes : 1)));
		else
			emit_thousandths(w->e, samples[rows[i]].weight_us);
	emit_close(w->e, ']');
	emit_key_string(w->e, "weightType", !counted ? "tracing-ms" : bytes ? "bytes" : "samples");
	column(w, "threadCPUDelta");
	for (size_t i = 0; i < n; i++)
		if (counted || samples[rows[i]].kind == STACKS_OFF)
			emit_null(w->e);
		else
			emit_int(w->e, samples[rows[i]].weight_us);
	emit_close(w->e, ']');
}

static void put_samples(struct writer *w, size_t a, size_t b)
{
	const struct stacks_sample *samples = w->s->samples;
	const uint32_t *rows = w->x->by_thread.rows;

	table(w, "samples", (uint32_t)(b - a));
	column(w, "stack");
	for (size_t i = a; i < b; i++)
		if (samples[rows[i]].node)
			emit_int(w->e, (int64_t)w->node_at[samples[rows[i]].node] - 1);
		else
			emit_null(w->e);
	emit_close(w->e, ']');
	column(w, "time");
	for (size_t i = a; i < b; i++)
		emit_thousandths(w->e, samples[rows[i]].at_us - w->x->from_us);
	emit_close(w->e, ']');
	put_weights(w, rows + a, b - a);
	emit_close(w->e, '}');
}

static void put_empty(struct writer *w)
{
	static const char *const markers[] = {"category", "data",  "endTime",
					      "name",	  "phase", "startTime"};
	static const char *const symbols[] = {"address", "functionSize", "libIndex", "name"};

	table(w, "markers", 0);
	for (size_t i = 0; i < sizeof(markers) / sizeof(*markers); i++)
		constant(w, markers[i], 0, NULL);
	emit_close(w->e, '}');
	table(w, "nativeSymbols", 0);
	for (size_t i = 0; i < sizeof(symbols) / sizeof(*symbols); i++)
		constant(w, symbols[i], 0, NULL);
	emit_close(w->e, '}');
	constant(w, "pausedRanges", 0, NULL);
}

static void put_thread(struct writer *w, size_t a, size_t b)
{
	const struct stacks *s = w->s;
	const struct stacks_task *t = &s->tasks[s->samples[w->x->by_thread.rows[a]].task];
	const char *comm = stacks_text(s, t->comm),
		   *process = stacks_text(s, t->process ? t->process : t->comm);

	use_samples(w, a, b);
	emit_open(w->e, '{');
	emit_key_string(w->e, "name", *comm ? comm : profile_title(w->x->about));
	emit_key(w->e, "isMainThread");
	emit_bool(w->e, t->pid == t->tid);
	emit_key_string(w->e, "processName", *process ? process : profile_title(w->x->about));
	emit_key_string(w->e, "processType", "default");
	emit_key_int(w->e, "pid", t->pid);
	emit_key_int(w->e, "tid", t->tid);
	emit_key_int(w->e, "processStartupTime", 0);
	emit_key(w->e, "processShutdownTime");
	emit_null(w->e);
	emit_key_int(w->e, "registerTime", 0);
	emit_key(w->e, "unregisterTime");
	emit_null(w->e);
	put_frames(w);
	put_functions(w);
	put_stacks(w);
	put_samples(w, a, b);
	put_empty(w);
	column(w, "stringArray");
	for (uint32_t i = 0; i < w->n_frames; i++)
		emit_string(w->e, stacks_frame_name(s, w->frames[i], w->name, sizeof(w->name)));
	for (uint32_t i = 0; i < w->n_modules; i++) {
		const char *path = stacks_text(s, s->modules[w->modules[i]].name);
		const char *slash = strrchr(path, '/');

		emit_string(w->e, slash && slash[1] ? slash + 1 : path);
	}
	emit_close(w->e, ']');
	emit_close(w->e, '}');
}

/* ---- the whole ---- */

static void put_meta(struct writer *w)
{
	static const char *const categories[N_CATEGORIES][2] = {
		{"Other", "grey"},    {"User", "yellow"}, {"Library", "green"},
		{"Kernel", "orange"}, {"JIT", "blue"},	  {"Inlined", "lightblue"}};
	const struct profile_about *a = w->x->about;
	struct emit *e = w->e;

	emit_key(e, "meta");
	emit_open(e, '{');
	column(w, "categories");
	for (size_t i = 0; i < N_CATEGORIES; i++) {
		emit_open(e, '{');
		emit_key_string(e, "name", categories[i][0]);
		emit_key_string(e, "color", categories[i][1]);
		column(w, "subcategories");
		emit_string(e, "Other");
		emit_close(e, ']');
		emit_close(e, '}');
	}
	emit_close(e, ']');
	emit_key(e, "debug");
	emit_bool(e, false);
	table(w, "extensions", 0);
	emit_text(e, ",\"baseURL\":[],\"id\":[],\"name\":[]}");
	emit_key(e, "interval");
	emit_thousandths(e, w->s->hz ? 1000000 / w->s->hz : 1000);
	emit_key_int(e, "preprocessedProfileVersion", 41);
	emit_key_int(e, "version", 24);
	emit_key_int(e, "processType", 0);
	emit_key_string(e, "product", profile_title(a));
	if (a->host && *a->host)
		emit_key_string(e, "oscpu", a->host);
	emit_key(e, "sampleUnits");
	emit_text(e, "{\"time\":\"ms\",\"eventDelay\":\"ms\",\"threadCPUDelta\":\"\xc2\xb5s\"}");
	emit_key(e, "startTime");
	emit_thousandths(e, a->wall_from_us);
	emit_key(e, "symbolicated");
	emit_bool(e, true);
	constant(w, "pausedRanges", 0, NULL);
	constant(w, "markerSchema", 0, NULL);
	emit_close(e, '}');
}

static void put_libraries(struct writer *w)
{
	const struct stacks *s = w->s;

	column(w, "libs");
	for (uint32_t i = 1; i < s->n_modules; i++) {
		const char *path = stacks_text(s, s->modules[i].name);
		const char *slash = strrchr(path, '/'),
			   *name = slash && slash[1] ? slash + 1 : path;
		const char *id = stacks_text(s, s->modules[i].build_id);

		emit_open(w->e, '{');
		emit_key_string(w->e, "name", name);
		emit_key_string(w->e, "path", path);
		emit_key_string(w->e, "debugName", name);
		emit_key_string(w->e, "debugPath", path);
		emit_key_string(w->e, "breakpadId", "");
		emit_key(w->e, "codeId");
		if (*id)
			emit_string(w->e, id);
		else
			emit_null(w->e);
		emit_key(w->e, "arch");
		emit_null(w->e);
		emit_close(w->e, '}');
	}
	emit_close(w->e, ']');
}

static int make_room(struct writer *w)
{
	const struct stacks *s = w->s;

	w->node_at = calloc(s->n_nodes, sizeof(uint32_t));
	w->nodes = calloc(s->n_nodes, sizeof(uint32_t));
	w->frame_at = calloc(s->n_frames, sizeof(uint32_t));
	w->frames = calloc(s->n_frames, sizeof(uint32_t));
	w->module_at = calloc(s->n_modules, sizeof(uint32_t));
	w->modules = calloc(s->n_modules, sizeof(uint32_t));
	return w->node_at && w->nodes && w->frame_at && w->frames && w->module_at && w->modules
		       ? 0
		       : -ENOMEM;
}

static void put_all(struct writer *w)
{
	const struct profile_set *x = w->x;

	emit_open(w->e, '{');
	put_meta(w);
	put_libraries(w);
	column(w, "threads");
	for (size_t a = 0, b; a < x->by_thread.n; a = b) {
		for (b = a + 1; b < x->by_thread.n && profile_same_thread(x, a, b);)
			b++;
		put_thread(w, a, b);
	}
	emit_close(w->e, ']');
	constant(w, "pages", 0, NULL);
	constant(w, "profilerOverhead", 0, NULL);
	constant(w, "counters", 0, NULL);
	emit_close(w->e, '}');
}

int profile_firefox(const struct profile_set *x, struct emit *e)
{
	struct writer w = {.x = x, .s = x->s, .e = e};
	int r = make_room(&w);

	if (r == 0)
		put_all(&w);
	free(w.node_at);
	free(w.nodes);
	free(w.frame_at);
	free(w.frames);
	free(w.module_at);
	free(w.modules);
	return r;
}
