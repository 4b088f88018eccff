/*
 * What the fuzz targets of the importers share: one import, and that what came of it is a sound set of
 * stacks of bounded size, or a sentence; and that it can be written in other formats.
 */
#ifndef STROBE_FUZZ_IMPORT_H
#define STROBE_FUZZ_IMPORT_H

#include "fuzz.h"

#include "export/profile.h"
#include "import/import.h"

#include <jansson.h>

static inline void import_check_frames(const struct stacks *s)
{
	for (uint32_t i = 0; i < s->n_frames; i++) {
		const struct stacks_frame *f = &s->frames[i];

		FUZZ_CHECK(f->module < s->n_modules && f->name < s->n_strings);
		FUZZ_CHECK(f->type < STACKS_TYPES);
	}
	for (uint32_t i = 1; i < s->n_nodes; i++)
		FUZZ_CHECK(s->nodes[i].parent < i && s->nodes[i].frame < s->n_frames);
}

static inline void import_check(const struct import_result *r)
{
	const struct stacks *s = r->stacks;

	FUZZ_CHECK(s->n_samples && s->to_us > s->from_us);
	FUZZ_CHECK(strlen(r->unit) < sizeof(r->unit) && strlen(r->event) < sizeof(r->event));
	import_check_frames(s);
	for (uint32_t i = 0; i < s->n_samples; i++) {
		const struct stacks_sample *p = &s->samples[i];

		FUZZ_CHECK(p->node < s->n_nodes && p->task < s->n_tasks);
		FUZZ_CHECK(p->kind < STACKS_KINDS);
		FUZZ_CHECK(!s->has_time || !i || p->at_us >= s->samples[i - 1].at_us);
		FUZZ_CHECK(p->at_us >= s->from_us && p->at_us < s->to_us);
	}
}

/* ---- out again ---- */

struct import_text {
	char *p;
	size_t len;
};

static inline int import_keep(void *arg, const void *data, size_t len)
{
	struct import_text *t = arg;

	t->p = realloc(t->p, t->len + len);
	FUZZ_CHECK(t->p);
	memcpy(t->p + t->len, data, len);
	t->len += len;
	return 0;
}

static inline void import_write(const struct stacks *s, const struct fold_tree *tree,
				enum profile_format f)
{
	const struct profile_about about = {.title = "t", .host = "h", .version = "v"};
	const struct stacks_filter all = {.cpu = -1};
	struct import_text text = {0};
	const struct profile_out out = {.write = import_keep, .arg = &text};
	int r = profile_format_is_tree(f)
			? export_tree(f, tree, &about, &out)
			: export_samples(f, s, &all, s->from_us, s->to_us, &about, &out);

	FUZZ_CHECK(r == 0);
	if (f == PROFILE_SPEEDSCOPE || f == PROFILE_FIREFOX) {
		json_t *o = json_loadb(text.p, text.len, 0, NULL);

		FUZZ_CHECK(o);
		json_decref(o);
	}
	free(text.p);
}

static inline void import_write_all(const struct stacks *s)
{
	const struct fold_request q = {.ranges = {{s->from_us, s->to_us}},
				       .n_ranges = 1,
				       .filter = {.cpu = -1},
				       .by_process = true};
	struct fold_tree *tree;
	struct fold *fold;

	FUZZ_CHECK(fold_begin(&fold, &q) == 0 && fold_add(fold, s) == 0);
	FUZZ_CHECK(fold_finish(fold, &tree) == 0);
	for (int f = 0; f < PROFILE_STROBE; f++) /* epochs have a target of their own */
		import_write(s, tree, (enum profile_format)f);
	fold_tree_free(tree);
}

/* The first byte decides whether the result is written, too, and whether the format is given or to be seen from the bytes. */
static inline int import_fuzz(const uint8_t *data, size_t size, enum import_format format)
{
	struct import_result res = {0};
	enum import_format seen;
	char err[256] = "";
	uint8_t *copy;
	int r;

	if (!size)
		return 0;
	copy = malloc(size);
	FUZZ_CHECK(copy);
	memcpy(copy, data + 1, size - 1);
	import_looks_like(copy, size - 1, &seen);
	r = import_bytes(&res, copy, size - 1, data[0] & 1 ? IMPORT_ANY : format, err, sizeof(err));
	FUZZ_CHECK(r == 0 || (r < 0 && err[0]));
	if (r == 0) {
		import_check(&res);
		if (data[0] & 2 && res.stacks->n_samples <= 200 && res.stacks->n_nodes <= 2000)
			import_write_all(res.stacks);
		stacks_free(res.stacks);
	}
	free(copy);
	return 0;
}

/* A file of tests/fixtures/profiles as a seed. */
static inline void import_seed(const char *name)
{
	static uint8_t data[256 << 10];
	char path[256];
	size_t n;
	FILE *f;

	snprintf(path, sizeof(path), "tests/fixtures/profiles/%s", name);
	f = fopen(path, "r");
	FUZZ_CHECK(f);
	data[0] = 2;
	n = fread(data + 1, 1, sizeof(data) - 1, f);
	fclose(f);
	fuzz_seed(name, data, n + 1);
}

#endif
