/*
 * What the fuzz targets of the importers share: one import, and that what came of it is a sound set of
 * stacks of bounded size, or a sentence.
 */
#ifndef STROBE_FUZZ_IMPORT_H
#define STROBE_FUZZ_IMPORT_H

#include "fuzz.h"

#include "profile/import.h"

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

/* The first byte decides whether the format is given or to be seen from the bytes. */
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
	data[0] = 0;
	n = fread(data + 1, 1, sizeof(data) - 1, f);
	fclose(f);
	fuzz_seed(name, data, n + 1);
}

#endif
