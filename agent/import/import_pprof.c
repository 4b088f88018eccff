/*
 * pprof's profile.proto, read by hand: three passes over its top level (strings and types; mappings, functions and
 * locations; samples), so that nothing of it is kept twice. Unknown fields are passed over.
 */
#include "import/import_pprof.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static void *grown(void *p, size_t *cap, size_t n, size_t size)
{
	size_t wider = *cap ? *cap : 256;

	if (n < *cap)
		return p;
	while (wider <= n)
		wider *= 2;
	p = realloc(p, wider * size);
	*cap = p ? wider : *cap;
	return p;
}

#define GROW(array, cap, n)                                                                        \
	__extension__({                                                                            \
		void *grown_ = grown((array), &(cap), (n), sizeof(*(array)));                      \
		if (grown_)                                                                        \
			(array) = grown_;                                                          \
		grown_ != NULL;                                                                    \
	})

/* ---- first pass: strings, types ---- */

static void take_type(struct field *f, uint64_t *type, uint64_t *unit)
{
	struct field g;

	while (next_field(&f->body, &g)) {
		if (g.number == 1)
			*type = g.v;
		if (g.number == 2)
			*unit = g.v;
	}
}

static int take_head(struct pprof *x)
{
	struct wire w = x->all;
	struct field f;

	while (next_field(&w, &f)) {
		if (f.type == 2 && f.number == F_STRING) {
			if (!GROW(x->strings, x->cap_strings, x->n_strings))
				return -ENOMEM;
			x->strings[x->n_strings++] = (struct text){(const char *)f.body.p,
								   (size_t)(f.body.end - f.body.p)};
		}
		if (f.type == 2 && f.number == F_SAMPLE_TYPE && x->n_types < TYPES_MAX) {
			take_type(&f, &x->types[x->n_types].type, &x->types[x->n_types].unit);
			x->n_types++;
		}
		if (f.type == 2 && f.number == F_PERIOD_TYPE)
			take_type(&f, &x->period_type.type, &x->period_type.unit);
		if (f.type == 0 && f.number == F_TIME_NS)
			x->time_ns = f.v;
		if (f.type == 0 && f.number == F_DURATION_NS)
			x->duration_ns = f.v;
		if (f.type == 0 && f.number == F_PERIOD)
			x->period = f.v;
		if (f.type == 0 && f.number == F_DEFAULT_TYPE)
			x->default_type = f.v;
	}
	return w.bad ? -EBADMSG : 0;
}

static double unit_us(struct text t)
{
	static const struct {
		const char *name;
		double us;
	} units[] = {{"nanoseconds", 1e-3}, {"microseconds", 1}, {"milliseconds", 1e3},
		     {"seconds", 1e6},	    {"ns", 1e-3},	 {"us", 1},
		     {"ms", 1e3},	    {"s", 1e6}};

	for (size_t i = 0; i < sizeof(units) / sizeof(*units); i++)
		if (pprof_is(t, units[i].name))
			return units[i].us;
	return 0;
}

static int no_type(struct pprof *x)
{
	char texts[TYPES_MAX][64];
	const char *names[TYPES_MAX];

	for (uint32_t i = 0; i < x->n_types; i++) {
		struct text t = pprof_text(x, x->types[i].type);

		snprintf(texts[i], sizeof(texts[i]), "%.*s", (int)(t.len < 60 ? t.len : 60), t.p);
		names[i] = texts[i];
	}
	return import_no_event(x->m, "sample type", names, x->n_types);
}

/* The one that is wanted, the default one, else the last, as pprof itself. */
static int find_type(struct pprof *x)
{
	const char *event = x->m->event;

	x->chosen = x->n_types ? x->n_types - 1 : 0;
	for (uint32_t i = 0; x->default_type && i < x->n_types; i++)
		if (x->types[i].type == x->default_type)
			x->chosen = i;
	for (uint32_t i = 0; event && i < x->n_types; i++)
		if (pprof_is(pprof_text(x, x->types[i].type), event)) {
			x->chosen = i;
			return 0;
		}
	return event ? no_type(x) : 0;
}

/* Beside it, how many samples those are. */
static int choose_type(struct pprof *x)
{
	struct text unit;
	int r = find_type(x);

	if (r < 0)
		return r;
	unit = pprof_text(x, x->types[x->chosen].unit);
	x->to_us = unit_us(unit);
	x->count = -1;
	if (x->to_us > 0 && x->chosen && pprof_is(pprof_text(x, x->types[0].type), "samples"))
		x->count = 0;
	if (x->to_us <= 0) {
		if (pprof_is(unit, "count") || !unit.len)
			unit = pprof_text(x, x->types[x->chosen].type);
		snprintf(x->m->res->unit, sizeof(x->m->res->unit), "%.*s",
			 (int)(unit.len < IMPORT_UNIT_MAX ? unit.len : IMPORT_UNIT_MAX - 1),
			 unit.len ? unit.p : "samples");
	}
	snprintf(x->m->res->event, sizeof(x->m->res->event), "%.*s",
		 (int)(pprof_text(x, x->types[x->chosen].type).len < 60
			       ? pprof_text(x, x->types[x->chosen].type).len
			       : 60),
		 pprof_text(x, x->types[x->chosen].type).p);
	return 0;
}

/* ---- second pass: what samples refer to ---- */

static int take_mapping(struct pprof *x, struct field *f)
{
	uint64_t id = 0, file = 0, build_id = 0;
	char path[512], hex[128];
	struct field g;
	struct text t;
	uint32_t module = 0;

	while (next_field(&f->body, &g)) {
		id = g.number == 1 ? g.v : id;
		file = g.number == 5 ? g.v : file;
		build_id = g.number == 6 ? g.v : build_id;
	}
	t = pprof_text(x, file);
	snprintf(path, sizeof(path), "%.*s", (int)(t.len < 500 ? t.len : 500), t.p);
	t = pprof_text(x, build_id);
	snprintf(hex, sizeof(hex), "%.*s", (int)(t.len < 100 ? t.len : 100), t.p);
	if (path[0])
		module = stacks_module(x->m->s, path, hex);
	if (!x->mappings.n)
		x->main_module = module;
	return idmap_put(&x->mappings, id, module) ? 0 : -ENOMEM;
}

static int take_function(struct pprof *x, struct field *f)
{
	uint64_t id = 0, name = 0, system = 0;
	struct field g;

	while (next_field(&f->body, &g)) {
		id = g.number == 1 ? g.v : id;
		name = g.number == 2 ? g.v : name;
		system = g.number == 3 ? g.v : system;
	}
	return idmap_put(&x->functions, id, pprof_intern(x, pprof_text(x, name ? name : system)))
		       ? 0
		       : -ENOMEM;
}

static enum stacks_type type_of(const struct pprof *x, uint32_t module, uint64_t addr)
{
	const struct stacks *s = x->m->s;
	const char *path = stacks_text(s, s->modules[module].name);
	enum stacks_type type = import_type(path, strlen(path), addr);

	if (type == STACKS_UNKNOWN || (type == STACKS_LIBRARY && module == x->main_module))
		return STACKS_USER;
	return type;
}

static int add_frame(struct pprof *x, const struct stacks_frame *f)
{
	if (!GROW(x->frames, x->cap_frames, x->n_frames))
		return -ENOMEM;
	x->frames[x->n_frames++] = stacks_frame(x->m->s, f);
	return 0;
}

/* Its lines are inlined calls, innermost first; the last one is the function that is there. */
static int add_location(struct pprof *x, uint64_t id, uint32_t module, uint64_t addr,
			const uint64_t *functions, uint32_t n)
{
	struct location l = {.frames = (uint32_t)x->n_frames};
	struct stacks_frame f = {.module = module, .type = (uint8_t)type_of(x, module, addr)};
	int r = 0;

	for (uint32_t i = n; i-- > 0 && r == 0;) {
		const uint32_t *name = idmap_get(&x->functions, functions[i]);

		if (!name || !*name)
			continue;
		f.name = *name;
		r = add_frame(x, &f);
		f.type = STACKS_INLINED;
	}
	if (r == 0 && x->n_frames == l.frames) {
		f.addr = addr;
		f.missed = true;
		f.name = addr ? 0 : x->m->s->frames[0].name;
		r = add_frame(x, &f);
	}
	l.n = (uint32_t)x->n_frames - l.frames;
	if (r < 0 || !GROW(x->location, x->cap_locations, x->n_locations))
		return -ENOMEM;
	if (!idmap_put(&x->locations, id, (uint32_t)x->n_locations))
		return -ENOMEM;
	x->location[x->n_locations++] = l;
	return 0;
}

static int take_location(struct pprof *x, struct field *f)
{
	uint64_t id = 0, mapping = 0, addr = 0, functions[LINES_MAX];
	uint32_t n = 0;
	const uint32_t *module;
	struct field g, h;

	while (next_field(&f->body, &g)) {
		id = g.number == 1 ? g.v : id;
		mapping = g.number == 2 ? g.v : mapping;
		addr = g.number == 3 ? g.v : addr;
		if (g.number != 4 || g.type != 2 || n == LINES_MAX)
			continue;
		functions[n] = 0;
		while (next_field(&g.body, &h))
			if (h.number == 1)
				functions[n] = h.v;
		n++;
	}
	module = idmap_get(&x->mappings, mapping);
	return add_location(x, id, module ? *module : 0, addr, functions, n);
}

/* Functions and mappings may stand behind the locations that name them. */
static int take_tables(struct pprof *x)
{
	static const struct {
		uint32_t number;
		int (*take)(struct pprof *, struct field *);
	} passes[] = {{F_MAPPING, take_mapping},
		      {F_FUNCTION, take_function},
		      {F_LOCATION, take_location}};
	uint64_t n = 0;
	int r = 0;

	for (size_t i = 0; i < sizeof(passes) / sizeof(*passes) && r == 0; i++) {
		struct wire w = x->all;
		struct field f;

		while (r == 0 && next_field(&w, &f))
			if (f.type == 2 && f.number == passes[i].number) {
				r = passes[i].take(x, &f);
				if (r == 0 && (++n & 0xfff) == 0)
					r = import_check(x->m);
			}
	}
	return r;
}

/* ---- all ---- */

static void set_times(struct pprof *x)
{
	struct stacks *s = x->m->s;
	double us = unit_us(pprof_text(x, x->period_type.unit));

	s->has_cpu = s->has_time = false;
	s->real_off_us = (int64_t)(x->time_ns / 1000);
	s->from_us = 0;
	s->to_us = (int64_t)(x->duration_ns / 1000);
	if (s->to_us <= 0 || s->to_us > INT64_MAX / 4)
		s->to_us = 1;
	if (us > 0 && x->period && (double)x->period * us >= 100)
		s->hz = (uint32_t)(1e6 / ((double)x->period * us) + 0.5);
}

static void done(struct pprof *x)
{
	idmap_done(&x->mappings);
	idmap_done(&x->functions);
	idmap_done(&x->locations);
	import_sums_done(&x->sums);
	free(x->strings);
	free(x->location);
	free(x->frames);
	free(x->path);
	free(x);
}

static int read_all(struct pprof *x)
{
	char *p;
	size_t len;
	int r = import_rest(&x->m->in, IMPORT_WHOLE_MAX, &p, &len);

	if (r == -EFBIG)
		return import_fail(x->m, r, "it is larger than %d MiB", IMPORT_WHOLE_MAX >> 20);
	if (r < 0)
		return 0; /* import_file() says what */
	x->all = (struct wire){(const uint8_t *)p, (const uint8_t *)p + len, false};
	r = take_head(x);
	if (r == -EBADMSG)
		return import_fail(x->m, r, "it is no whole pprof profile (profile.proto)");
	if (r == 0)
		r = choose_type(x);
	if (r == 0)
		r = take_tables(x);
	if (r == 0)
		r = pprof_take_samples(x);
	if (r == 0)
		r = import_check(x->m);
	if (r == 0)
		r = import_sums_finish(x->m, &x->sums, x->to_us > 0);
	set_times(x);
	return r == -ENOMEM ? import_no_memory(x->m) : r;
}

int import_pprof(struct import *m)
{
	struct pprof *x = calloc(1, sizeof(*x));
	int r;

	if (!x || !(x->path = malloc(IMPORT_DEPTH_MAX * sizeof(*x->path)))) {
		free(x);
		return import_no_memory(m);
	}
	x->m = m;
	r = read_all(x);
	done(x);
	return r;
}

/* A field of a Profile, as far as its tag and the small messages tell. */
static bool is_field(const struct field *f)
{
	struct wire body = f->body;
	struct field g;

	if (f->number == F_SAMPLE_TYPE || f->number == F_PERIOD_TYPE) {
		while (next_field(&body, &g))
			if (g.number > 2 || g.type != 0)
				return false;
		return f->type == 2 && !body.bad;
	}
	if (f->number >= F_SAMPLE && f->number <= F_STRING)
		return f->type == 2;
	return f->number <= 15 && (f->type == 0 || (f->type == 2 && f->number == 13));
}

/* Text has none of the small numbers that tags and lengths are. */
bool import_pprof_looks(const char *head, size_t len)
{
	struct wire w = {(const uint8_t *)head, (const uint8_t *)head + len, false};
	struct field f;
	size_t n = len < 512 ? len : 512, small = 0;
	unsigned fields = 0;

	for (size_t i = 0; i < n; i++)
		small += (unsigned char)head[i] < 9;
	while (small && next_field(&w, &f) && is_field(&f))
		fields++;
	/* The last one may go on behind the head. */
	return small && fields >= 3 && (w.p == w.end || w.bad);
}
