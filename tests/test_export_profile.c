/* Profiles in other tools' formats, each read back by a reader that is not its writer. */
#include "support.h"

#include "export/profile.h"
#include "import/import.h"
#include "stacks/epoch.h"

#include <jansson.h>
#include <zlib.h>

static char *made;
static size_t made_len;

static int keep(void *arg, const void *data, size_t len)
{
	(void)arg;
	made = realloc(made, made_len + len + 1);
	ck_assert_ptr_nonnull(made);
	memcpy(made + made_len, data, len);
	made_len += len;
	made[made_len] = 0;
	return 0;
}

static const struct profile_out out = {.write = keep};
static const struct profile_about about = {.title = "a \"title\" </script>",
					   .host = "box",
					   .version = "1",
					   .wall_from_us = 1700000000000000,
					   .wall_to_us = 1700000010000000};
static const struct stacks_filter all = {.cpu = -1};
static const char nasty[] = "</script><b>\"\\;\n\xff\xc3\xa9\xe2\x80\xa8";

/* ---- what is exported ---- */

static uint32_t frame(struct stacks *s, const char *name, const char *module, enum stacks_type type,
		      uint64_t addr)
{
	struct stacks_frame f = {.addr = addr, .type = (uint8_t)type};

	f.module = *module ? stacks_module(s, module, "abcd") : 0;
	f.name = *name ? stacks_string(s, name, strlen(name)) : 0;
	f.missed = !f.name;
	return stacks_frame(s, &f);
}

static uint32_t task(struct stacks *s, uint32_t pid, uint32_t tid, const char *comm,
		     const char *cgroup)
{
	struct stacks_task t = {.pid = pid, .tid = tid};

	t.comm = stacks_string(s, comm, strlen(comm));
	t.process = stacks_string(s, pid == 10 ? "app" : "db", pid == 10 ? 3 : 2);
	t.cgroup = stacks_string(s, cgroup, strlen(cgroup));
	return stacks_task(s, &t);
}

static void sample(struct stacks *s, int64_t at_us, uint32_t node, uint32_t t, uint32_t weight_us,
		   uint16_t cpu, enum stacks_kind kind)
{
	struct stacks_sample p = {.at_us = at_us,
				  .node = node,
				  .task = t,
				  .weight_us = weight_us,
				  .cpu = cpu,
				  .kind = (uint8_t)kind};

	ck_assert_int_eq(stacks_add(s, &p), 0);
}

/* Three threads of two processes over a second, 100 Hz. */
static struct stacks *make(void)
{
	struct stacks *s = stacks_new();
	uint32_t t1, t2, t3, a, b, c, k, n;

	snprintf(s->boot_id, sizeof(s->boot_id), "boot");
	s->real_off_us = 1700000000000000 - 5000000;
	s->from_us = 5000000;
	s->to_us = 6000000;
	s->hz = 100;
	s->n_cpus = 2;
	t1 = task(s, 10, 10, "app", "/web/a");
	t2 = task(s, 10, 11, "worker", "/web/a");
	t3 = task(s, 20, 20, "db", "/db");
	a = stacks_node(s, 0, frame(s, "main", "/usr/bin/app", STACKS_USER, 0x1000));
	b = stacks_node(s, a, frame(s, "hot", "/usr/bin/app", STACKS_USER, 0x1100));
	c = stacks_node(s, b, frame(s, "", "/lib/libx.so.1", STACKS_LIBRARY, 0x2000));
	k = stacks_node(
		s, b, frame(s, "vfs_read", "[kernel.kallsyms]", STACKS_KERNEL, 0xffffffff81000000));
	n = stacks_node(s, a, frame(s, nasty, "/usr/bin/app", STACKS_USER, 0x1200));
	for (unsigned i = 0; i < 50; i++)
		sample(s, 5000000 + 20000 * i, i % 5 ? b : c, t1, 10000, 0, STACKS_CPU);
	for (unsigned i = 0; i < 20; i++)
		sample(s, 5000000 + 50000 * i, i % 2 ? k : n, t2, 10000, 1, STACKS_CPU);
	for (unsigned i = 0; i < 10; i++)
		sample(s, 5000000 + 100000 * i, a, t3, 10000, 1, STACKS_CPU);
	sample(s, 5500000, k, t3, 300000, 0, STACKS_OFF);
	return s;
}

static void samples_out(enum profile_format f, const struct stacks *s,
			const struct stacks_filter *filter)
{
	free(made);
	made = NULL;
	made_len = 0;
	ck_assert_int_eq(export_samples(f, s, filter, s->from_us, s->to_us, &about, &out), 0);
}

static struct fold_tree *fold(const struct stacks *s, const struct fold_request *q)
{
	struct fold_tree *t;
	struct fold *f;

	ck_assert_int_eq(fold_begin(&f, q), 0);
	ck_assert_int_eq(fold_add(f, s), 0);
	ck_assert_int_eq(fold_finish(f, &t), 0);
	return t;
}

static void tree_out(enum profile_format f, const struct stacks *s, bool by_process, bool diff)
{
	struct fold_request q = {.ranges = {{s->from_us, s->to_us}},
				 .n_ranges = 1,
				 .filter = all,
				 .by_process = by_process,
				 .by_thread = by_process};
	struct fold_tree *t;

	if (diff) {
		q.ranges[0].from_us = q.base[0].to_us = s->from_us + 500000;
		q.base[0].from_us = s->from_us;
		q.n_base = 1;
	}
	t = fold(s, &q);
	free(made);
	made = NULL;
	made_len = 0;
	ck_assert_int_eq(export_tree(f, t, &about, &out), 0);
	fold_tree_free(t);
}

static bool has_line(const char *line)
{
	size_t n = strlen(line);

	for (const char *p = made; p; p = strchr(p, '\n')) {
		p += *p == '\n';
		if (strncmp(p, line, n) == 0 && p[n] == '\n')
			return true;
	}
	return false;
}

/* ---- trees ---- */

START_TEST(folded)
{
	struct stacks *s = make();

	tree_out(PROFILE_FOLDED, s, false, false);
	ck_assert(has_line("main;hot 40"));
	ck_assert(has_line("main;hot;libx.so.1+0x2000 10"));
	ck_assert(has_line("main;hot;vfs_read 10"));
	ck_assert(has_line("main 10"));
	/* a name's own ';' and line end must not part it */
	ck_assert(has_line("main;</script><b>\"\\: \xff\xc3\xa9\xe2\x80\xa8 10"));
	tree_out(PROFILE_FOLDED, s, true, false);
	ck_assert(has_line("app 10;app 10;main;hot 40"));
	ck_assert(has_line("app 10;worker 11;main;hot;vfs_read 10"));
	ck_assert(has_line("db 20;db 20;main 10"));
	tree_out(PROFILE_FOLDED, s, false, true);
	ck_assert(has_line("main;hot 20 20"));
	stacks_free(s);
}
END_TEST

/* The sums of a tree in JSON are those of its children and what is its own. */
static json_int_t check_node(const json_t *n, bool root)
{
	json_int_t v = json_integer_value(json_object_get(n, "v")), below = 0;
	const json_t *c;
	size_t i;

	ck_assert(json_is_string(json_object_get(n, "n")));
	ck_assert(json_is_string(json_object_get(n, "l")));
	ck_assert(json_is_array(json_object_get(n, "c")));
	ck_assert_int_eq(json_object_get(n, "about") != NULL, root);
	json_array_foreach(json_object_get(n, "c"), i, c)
	{
		below += check_node(c, false);
	}
	ck_assert_int_le(below, v);
	return v;
}

static const json_t *child(const json_t *n, const char *name)
{
	const json_t *c;
	size_t i;

	json_array_foreach(json_object_get(n, "c"), i, c)
	{
		if (strcmp(json_string_value(json_object_get(c, "n")), name) == 0)
			return c;
	}
	ck_abort_msg("no child %s", name);
	return NULL;
}

START_TEST(json)
{
	struct stacks *s = make();
	const json_t *n;
	json_t *o;

	tree_out(PROFILE_JSON, s, true, false);
	ck_assert_ptr_null(memchr(made, '<', made_len));
	o = json_loads(made, 0, NULL);
	ck_assert_ptr_nonnull(o);
	ck_assert_int_eq(check_node(o, true), 800000);
	n = child(child(child(child(o, "app 10"), "worker 11"), "main"), "hot");
	n = child(n, "vfs_read");
	ck_assert_str_eq(json_string_value(json_object_get(n, "l")), "kernel");
	ck_assert_str_eq(json_string_value(json_object_get(n, "m")), "[kernel.kallsyms]");
	ck_assert_str_eq(json_string_value(json_object_get(child(o, "db 20"), "l")), "process");
	n = json_object_get(o, "about");
	ck_assert_str_eq(json_string_value(json_object_get(n, "title")), about.title);
	ck_assert_int_eq(json_integer_value(json_object_get(n, "samples")), 80);
	ck_assert_str_eq(json_string_value(json_object_get(n, "unit")), "us");
	json_decref(o);
	tree_out(PROFILE_JSON, s, false, true);
	o = json_loads(made, 0, NULL);
	ck_assert_ptr_nonnull(o);
	n = child(child(o, "main"), "hot");
	ck_assert_int_eq(json_integer_value(json_object_get(n, "v")) -
				 json_integer_value(json_object_get(n, "b")),
			 json_integer_value(json_object_get(n, "d")));
	json_decref(o);
	stacks_free(s);
}
END_TEST

/* A page's columns: of one length, each node's children within it. */
static void check_columns(const json_t *o)
{
	static const char *const names[] = {"depth", "name",	 "module",
					    "type",  "total_us", "self_us"};
	const json_t *depth = json_object_get(o, "depth");
	const json_t *total = json_object_get(o, "total_us");
	size_t n = json_array_size(depth);
	json_int_t below[64] = {0};

	ck_assert_uint_gt(n, 5);
	for (size_t i = 0; i < sizeof(names) / sizeof(*names); i++)
		ck_assert_uint_eq(json_array_size(json_object_get(o, names[i])), n);
	for (size_t i = n; i-- > 0;) {
		json_int_t d = json_integer_value(json_array_get(depth, i));
		json_int_t v = json_integer_value(json_array_get(total, i));
		json_int_t own =
			json_integer_value(json_array_get(json_object_get(o, "self_us"), i));

		ck_assert_int_eq(below[d + 1] + own, v);
		below[d + 1] = 0;
		below[d] += v;
	}
	ck_assert_int_eq(below[0], 800000);
}

START_TEST(html)
{
	static const char mark[] = "<script type=\"application/json\" id=\"profile\">";
	static const char *const requests[] = {"src=\"",  "src='", "href=\"",
					       "@import", "url(h", "<link"};
	struct stacks *s = make();
	char *at, *end;
	json_t *o;

	tree_out(PROFILE_HTML, s, true, false);
	at = strstr(made, mark);
	ck_assert_ptr_nonnull(at);
	at += sizeof(mark) - 1;
	end = strstr(at, "</script>");
	ck_assert_ptr_nonnull(end);
	*end = 0;
	o = json_loads(at, 0, NULL);
	ck_assert_ptr_nonnull(o);
	check_columns(o);
	ck_assert_int_eq(json_integer_value(json_object_get(json_object_get(o, "sum"), "n")), 80);
	ck_assert_str_eq(json_string_value(json_object_get(o, "title")), about.title);
	json_decref(o);
	*end = '<';
	/* no request leaves the page: neither by a tag nor by code */
	for (size_t i = 0; i < sizeof(requests) / sizeof(*requests); i++)
		ck_assert_msg(!strstr(made, requests[i]), "%s", requests[i]);
	ck_assert_ptr_nonnull(strstr(made, "default-src 'none'"));
	stacks_free(s);
}
END_TEST

START_TEST(pprof)
{
	struct import_result res;
	struct stacks *s = make();
	uint64_t sum = 0;
	char err[200];

	tree_out(PROFILE_PPROF, s, true, false);
	ck_assert(made_len > 2 && (uint8_t)made[0] == 0x1f && (uint8_t)made[1] == 0x8b);
	ck_assert_int_eq(import_bytes(&res, made, made_len, IMPORT_ANY, err, sizeof(err)), 0);
	ck_assert_int_eq(res.format, IMPORT_PPROF);
	ck_assert_str_eq(res.event, "cpu");
	ck_assert_uint_eq(res.stacks->n_samples, 80);
	ck_assert_uint_eq(res.stacks->hz, 100);
	for (uint32_t i = 0; i < res.stacks->n_samples; i++)
		sum += res.stacks->samples[i].weight_us;
	ck_assert_uint_eq(sum, 800000);
	ck_assert_int_eq(res.stacks->real_off_us, about.wall_from_us);
	ck_assert_int_eq(res.stacks->to_us, 1000000);
	stacks_free(res.stacks);
	stacks_free(s);
}
END_TEST

/* The same work in a burst, against a baseline that reaches to before the profiler ran: nothing has changed. */
START_TEST(a_baseline_at_another_rate_that_was_seen_in_part)
{
	struct fold_request q = {.ranges = {{8000000, 9000000}},
				 .n_ranges = 1,
				 .base = {{0, 8000000}},
				 .n_base = 1,
				 .filter = all};
	struct stacks *s = stacks_new();
	uint32_t hot = stacks_node(s, 0, frame(s, "hot", "/bin/a", STACKS_USER, 0x1000));
	uint32_t t = task(s, 1, 1, "a", "/");

	s->from_us = 4000000;
	s->to_us = 9000000;
	for (int64_t at = 4000000; at < 8000000; at += 10000)
		sample(s, at, hot, t, 10000, 0, STACKS_CPU);
	for (int64_t at = 8000000; at < 9000000; at += 1000)
		sample(s, at, hot, t, 1000, 0, STACKS_CPU);
	struct fold_tree *tree = fold(s, &q);

	made_len = 0;
	ck_assert_int_eq(export_tree(PROFILE_FOLDED, tree, &about, &out), 0);
	ck_assert_str_eq(made, "hot 1000 1000\n");
	made_len = 0;
	ck_assert_int_eq(export_tree(PROFILE_JSON, tree, &about, &out), 0);
	json_t *o = json_loads(made, 0, NULL);
	const json_t *d = child(o, "hot");

	ck_assert_int_eq(json_integer_value(json_object_get(d, "v")), 1000000);
	ck_assert_int_eq(json_integer_value(json_object_get(d, "b")), 1000000);
	ck_assert_int_eq(json_integer_value(json_object_get(d, "d")), 0);
	json_decref(o);
	fold_tree_free(tree);
	stacks_free(s);
}
END_TEST

/* ---- samples ---- */

START_TEST(perf_script)
{
	struct import_result res;
	struct stacks *s = make();
	char err[200], a[1100], b[1100];

	samples_out(PROFILE_PERF_SCRIPT, s, &all);
	ck_assert_int_eq(import_bytes(&res, made, made_len, IMPORT_ANY, err, sizeof(err)), 0);
	ck_assert_int_eq(res.format, IMPORT_PERF_SCRIPT);
	ck_assert_uint_eq(res.skipped, 0);
	ck_assert_uint_eq(res.stacks->n_samples, s->n_samples - 1);
	ck_assert_uint_eq(res.stacks->hz, 100);
	for (uint32_t i = 0, n = 0; i < res.stacks->n_samples; i++) {
		const struct stacks_sample *p = &res.stacks->samples[i];
		const struct stacks_task *t = &res.stacks->tasks[p->task];
		uint32_t k = p->node, m;

		for (n = 0; n < s->n_samples; n++) /* the one that it was */
			if (s->samples[n].at_us == p->at_us &&
			    s->tasks[s->samples[n].task].tid == t->tid &&
			    s->samples[n].kind == STACKS_CPU)
				break;
		ck_assert_uint_lt(n, s->n_samples);
		ck_assert_uint_eq(s->samples[n].cpu, p->cpu);
		ck_assert_uint_eq(s->samples[n].weight_us, p->weight_us);
		for (m = s->samples[n].node; m && k; m = s->nodes[m].parent) {
			const struct stacks_frame *f = &s->frames[s->nodes[m].frame];

			if (f->name && !strchr(stacks_text(s, f->name), '\n'))
				ck_assert_str_eq(
					stacks_frame_name(s, s->nodes[m].frame, a, sizeof(a)),
					stacks_frame_name(res.stacks, res.stacks->nodes[k].frame, b,
							  sizeof(b)));
			ck_assert_str_eq(
				stacks_frame_module(s, s->nodes[m].frame),
				stacks_frame_module(res.stacks, res.stacks->nodes[k].frame));
			k = res.stacks->nodes[k].parent;
		}
		ck_assert(!m && !k);
	}
	stacks_free(res.stacks);
	stacks_free(s);
}
END_TEST

START_TEST(off_cpu_and_filters)
{
	struct stacks_filter off = {.kind = STACKS_OFF, .cpu = -1}, one = all;
	struct stacks *s = make();
	struct import_result res;
	char err[200];

	samples_out(PROFILE_PERF_SCRIPT, s, &off);
	ck_assert_int_eq(import_bytes(&res, made, made_len, IMPORT_ANY, err, sizeof(err)), 0);
	ck_assert_uint_eq(res.stacks->n_samples, 1);
	ck_assert_uint_eq(res.stacks->samples[0].kind, STACKS_OFF);
	ck_assert_uint_eq(res.stacks->samples[0].weight_us, 300000);
	stacks_free(res.stacks);
	for (unsigned i = 0; i < 6; i++) {
		static const uint32_t want[] = {70, 20, 50, 70, 10, 70};

		one = all;
		if (i == 0)
			one.pid = 10;
		else if (i == 1)
			one.tid = 11;
		else if (i == 2)
			one.cpu = 0;
		else if (i == 3)
			one.cgroup = "/web";
		else if (i == 4)
			one.process = "db";
		else
			one.cgroup = "web/"; /* as of trees */
		ck_assert(export_has_samples(s, &one, s->from_us, s->to_us));
		samples_out(PROFILE_PERF_SCRIPT, s, &one);
		ck_assert_int_eq(import_bytes(&res, made, made_len, IMPORT_ANY, err, sizeof(err)),
				 0);
		ck_assert_uint_eq(res.stacks->n_samples, want[i]);
		stacks_free(res.stacks);
	}
	one = all;
	one.pid = 9999;
	ck_assert(!export_has_samples(s, &one, s->from_us, s->to_us));
	ck_assert(!export_has_samples(s, &all, s->to_us + 1, s->to_us + 2));
	stacks_free(s);
}
END_TEST

START_TEST(speedscope)
{
	struct stacks *s = make();
	const json_t *frames, *p, *stack;
	json_t *o;
	size_t i, k;

	samples_out(PROFILE_SPEEDSCOPE, s, &all);
	o = json_loads(made, 0, NULL);
	ck_assert_ptr_nonnull(o);
	frames = json_object_get(json_object_get(o, "shared"), "frames");
	ck_assert_uint_eq(json_array_size(json_object_get(o, "profiles")), 3);
	json_array_foreach(json_object_get(o, "profiles"), i, p)
	{
		static const size_t want[] = {50, 20, 10};
		const json_t *samples = json_object_get(p, "samples");

		ck_assert_uint_eq(json_array_size(samples), want[i]);
		ck_assert_uint_eq(json_array_size(json_object_get(p, "weights")), want[i]);
		ck_assert_int_eq(json_integer_value(json_object_get(p, "endValue")),
				 (json_int_t)want[i] * 10000);
		json_array_foreach(samples, k, stack)
		{
			ck_assert_uint_ge(json_array_size(stack), 1);
			ck_assert_uint_lt(json_integer_value(json_array_get(stack, 0)),
					  json_array_size(frames));
			ck_assert_str_eq(
				json_string_value(json_object_get(
					json_array_get(frames, (size_t)json_integer_value(
								       json_array_get(stack, 0))),
					"name")),
				"main");
		}
	}
	json_decref(o);
	stacks_free(s);
}
END_TEST

/* All columns of a table are of its length. */
static size_t check_table(const json_t *table, const char *name)
{
	size_t n = (size_t)json_integer_value(json_object_get(table, "length"));
	const char *key;
	json_t *v;

	ck_assert_msg(json_is_integer(json_object_get(table, "length")), "%s", name);
	json_object_foreach((json_t *)(uintptr_t)table, key, v)
	{
		if (json_is_array(v))
			ck_assert_msg(json_array_size(v) == n, "%s.%s", name, key);
	}
	return n;
}

static void check_indices(const json_t *table, const char *column, size_t limit)
{
	const json_t *v;
	size_t i;

	json_array_foreach(json_object_get(table, column), i, v)
	{
		ck_assert_msg(json_is_null(v) || json_integer_value(v) == -1 ||
				      (size_t)json_integer_value(v) < limit,
			      "%s[%zu]", column, i);
	}
}

static void check_thread(const json_t *t, size_t n_libs)
{
	const json_t *stacks = json_object_get(t, "stackTable");
	const json_t *frames = json_object_get(t, "frameTable");
	const json_t *funcs = json_object_get(t, "funcTable");
	const json_t *resources = json_object_get(t, "resourceTable");
	const json_t *samples = json_object_get(t, "samples");
	size_t n_strings = json_array_size(json_object_get(t, "stringArray"));
	size_t n_funcs = check_table(funcs, "funcTable");
	size_t n_frames = check_table(frames, "frameTable");
	size_t n_stacks = check_table(stacks, "stackTable"), i;
	const json_t *v;

	check_indices(samples, "stack", n_stacks);
	check_indices(stacks, "frame", n_frames);
	check_indices(frames, "func", n_funcs);
	check_indices(funcs, "name", n_strings);
	check_indices(funcs, "resource", check_table(resources, "resourceTable"));
	check_indices(resources, "lib", n_libs);
	check_indices(resources, "name", n_strings);
	check_table(json_object_get(t, "markers"), "markers");
	check_table(json_object_get(t, "nativeSymbols"), "nativeSymbols");
	json_array_foreach(json_object_get(stacks, "prefix"), i, v)
	{
		ck_assert(json_is_null(v) || (size_t)json_integer_value(v) < i);
	}
}

START_TEST(firefox)
{
	struct stacks *s = make();
	const json_t *threads, *t, *samples;
	double last = 0;
	json_t *o;
	size_t i;

	samples_out(PROFILE_FIREFOX, s, &all);
	o = json_loads(made, 0, NULL);
	ck_assert_ptr_nonnull(o);
	threads = json_object_get(o, "threads");
	ck_assert_uint_eq(json_array_size(threads), 3);
	json_array_foreach(threads, i, t)
	{
		check_thread(t, json_array_size(json_object_get(o, "libs")));
	}
	t = json_array_get(threads, 1);
	ck_assert_str_eq(json_string_value(json_object_get(t, "name")), "worker");
	ck_assert_str_eq(json_string_value(json_object_get(t, "processName")), "app");
	samples = json_object_get(t, "samples");
	ck_assert_uint_eq(check_table(samples, "samples"), 20);
	json_array_foreach(json_object_get(samples, "time"), i, t)
	{
		ck_assert(json_number_value(t) >= last);
		last = json_number_value(t);
	}
	ck_assert_double_eq(last, 950);
	t = json_object_get(o, "meta");
	ck_assert_double_eq(json_number_value(json_object_get(t, "startTime")), 1700000000000.0);
	ck_assert_double_eq(json_number_value(json_object_get(t, "interval")), 10);
	json_decref(o);
	stacks_free(s);
}
END_TEST

/* ---- perfetto, by a protobuf reader of the test's own ---- */

struct pb {
	const uint8_t *p, *end;
};

static uint64_t varint(struct pb *b)
{
	uint64_t v = 0;

	for (unsigned shift = 0; b->p < b->end; shift += 7) {
		v |= (uint64_t)(*b->p & 0x7f) << shift;
		if (*b->p++ < 0x80)
			return v;
	}
	ck_abort_msg("cut short");
	return 0;
}

static bool field(struct pb *b, uint32_t *number, uint64_t *v, struct pb *body)
{
	uint64_t tag;

	if (b->p >= b->end)
		return false;
	tag = varint(b);
	*number = (uint32_t)(tag >> 3);
	*v = varint(b);
	if ((tag & 7) == 0)
		return true;
	ck_assert_uint_eq(tag & 7, 2);
	*body = (struct pb){b->p, b->p + *v};
	b->p += *v;
	ck_assert(b->p <= b->end);
	return true;
}

/* The n-th value of a field of a message; UINT64_MAX: it has none. */
static uint64_t value(struct pb b, uint32_t number, unsigned n, struct pb *body)
{
	struct pb x = {0};
	uint32_t f;
	uint64_t v;

	while (field(&b, &f, &v, &x))
		if (f == number && !n--) {
			if (body)
				*body = x;
			return v;
		}
	return UINT64_MAX;
}

/* Of a table of an InternedData, the entry of that number. */
static struct pb entry(struct pb interned, uint32_t table, uint64_t iid)
{
	struct pb b;

	for (unsigned i = 0; value(interned, table, i, &b) != UINT64_MAX; i++)
		if (value(b, 1, 0, NULL) == iid)
			return b;
	ck_abort_msg("nothing %lu in %u", (unsigned long)iid, table);
	return b;
}

static void check_perf_sample(struct pb sample, struct pb interned, char *path, size_t size)
{
	struct pb stack = entry(interned, 7, value(sample, 4, 0, NULL)), frame, text;
	uint64_t id;

	path[0] = 0;
	for (unsigned i = 0; (id = value(stack, 2, i, NULL)) != UINT64_MAX; i++) {
		frame = entry(interned, 6, id);
		ck_assert(value(frame, 4, 0, NULL) != UINT64_MAX);
		entry(interned, 19, value(frame, 3, 0, NULL));
		ck_assert(value(entry(interned, 5, value(frame, 2, 0, NULL)), 2, 0, &text) !=
			  UINT64_MAX);
		snprintf(path + strlen(path), size - strlen(path), "%s%.*s", i ? ";" : "",
			 (int)(text.end - text.p), (const char *)text.p);
	}
}

START_TEST(perfetto)
{
	struct stacks *s = make();
	struct pb trace, packet, body, interned = {0};
	unsigned n = 0, hot = 0, threads = 0;
	uint64_t last = 0, v;
	char path[2000];
	uint32_t f;

	samples_out(PROFILE_PERFETTO, s, &all);
	trace = (struct pb){(uint8_t *)made, (uint8_t *)made + made_len};
	while (field(&trace, &f, &v, &packet)) {
		ck_assert_uint_eq(f, 1);
		ck_assert_uint_eq(value(packet, 10, 0, NULL), 1);
		if (value(packet, 12, 0, &body) != UINT64_MAX)
			interned = body;
		if (value(packet, 2, 0, &body) != UINT64_MAX)
			while (value(body, 2, threads, NULL) != UINT64_MAX)
				threads++;
		if (value(packet, 66, 0, &body) == UINT64_MAX)
			continue;
		ck_assert_uint_ge(value(packet, 8, 0, NULL), last);
		last = value(packet, 8, 0, NULL);
		ck_assert_uint_eq(value(packet, 58, 0, NULL), 3);
		check_perf_sample(body, interned, path, sizeof(path));
		hot += strcmp(path, "main;hot") == 0 && value(body, 3, 0, NULL) == 10;
		n++;
	}
	ck_assert_uint_eq(n, 80);
	ck_assert_uint_eq(hot, 40);
	ck_assert_uint_eq(threads, 3);
	ck_assert_uint_eq(last, 5980000000);
	stacks_free(s);
}
END_TEST

START_TEST(strobe)
{
	struct stacks_filter one = {.cpu = -1, .tid = 11};
	struct stacks *s = make(), *back;

	samples_out(PROFILE_STROBE, s, &one);
	ck_assert_int_eq(epoch_decode((uint8_t *)made, made_len, &back), 0);
	ck_assert_uint_eq(back->n_samples, 20);
	ck_assert_int_eq(back->from_us, 5000000);
	ck_assert_int_eq(back->to_us, 6000000);
	stacks_free(back);
	samples_out(PROFILE_STROBE, s, &all); /* time off the CPU, too */
	ck_assert_int_eq(epoch_decode((uint8_t *)made, made_len, &back), 0);
	ck_assert_uint_eq(back->n_samples, 81);
	stacks_free(back);
	stacks_free(s);
}
END_TEST

/* ---- the table ---- */

START_TEST(formats_by_name)
{
	static const char *const names[] = {"folded",  "pprof",	   "html", "json",   "speedscope",
					    "firefox", "perfetto", "perf", "strobe", "svg"};
	struct stacks *s = stacks_new();

	for (size_t i = 0; i < sizeof(names) / sizeof(*names); i++) {
		enum profile_format f = (enum profile_format)profile_format(names[i]);

		ck_assert_str_eq(profile_format_name(f), names[i]);
		ck_assert(*profile_format_mime(f) && *profile_format_suffix(f) == '.');
		if (!profile_format_is_tree(f))
			ck_assert_int_eq(export_tree(f, NULL, &about, &out), -EINVAL);
		else
			ck_assert_int_eq(export_samples(f, s, &all, 0, 1, &about, &out), -EINVAL);
	}
	ck_assert_int_eq(profile_format("gif"), -1);
	stacks_free(s);
}
END_TEST

static int fail_late(void *arg, const void *data, size_t len)
{
	(void)data;
	(void)len;
	return ++*(int *)arg > 1 ? -ENOSPC : 0;
}

START_TEST(a_failing_output_is_told)
{
	struct stacks *s = make();
	int calls = 0;
	struct profile_out bad = {.write = fail_late, .arg = &calls};

	for (int i = 0; i < 3000; i++)
		sample(s, 5000000 + i, 1, 1, 10, 0, STACKS_CPU);
	ck_assert_int_eq(
		export_samples(PROFILE_PERF_SCRIPT, s, &all, s->from_us, s->to_us, &about, &bad),
		-ENOSPC);
	ck_assert_int_eq(calls, 2);
	stacks_free(s);
}
END_TEST

int main(void)
{
	TCase *t = tcase_create("export_profile");

	tcase_set_timeout(t, 60);
	tcase_add_test(t, folded);
	tcase_add_test(t, json);
	tcase_add_test(t, html);
	tcase_add_test(t, pprof);
	tcase_add_test(t, a_baseline_at_another_rate_that_was_seen_in_part);
	tcase_add_test(t, perf_script);
	tcase_add_test(t, off_cpu_and_filters);
	tcase_add_test(t, speedscope);
	tcase_add_test(t, firefox);
	tcase_add_test(t, perfetto);
	tcase_add_test(t, strobe);
	tcase_add_test(t, formats_by_name);
	tcase_add_test(t, a_failing_output_is_told);
	return support_run_case("export_profile", t);
}
