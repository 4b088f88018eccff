/*
 * Epochs: any bytes give an error or a set of stacks in which every index is in range, which is the
 * same after being stored again, and which trees, heat maps, charts and lists can be made of. The
 * first byte of the input says whether it is an epoch as it is stored (even), or the columns that
 * stand packed in one (with 64: of version 1).
 */
#include "fuzz.h"

#include <zstd.h>

#include "stacks/epoch_internal.h"
#include "stacks/fold.h"
#include "stacks_lab.h"

enum { SAMPLES_MOST = 20000, COLUMNS_OLD = 64 };

/* What was stored before frames had places: the columns of that epoch. */
static void seed_old(void)
{
	static uint8_t data[1 << 16], plain[1 << 16];
	FILE *f = fopen("tests/fixtures/epochs/version1", "rb");
	size_t len = f ? fread(data, 1, sizeof(data) - 1, f) : 0, n;

	FUZZ_CHECK(f && len > EPOCH_HEAD_SIZE);
	fclose(f);
	n = ZSTD_decompress(plain + 1, sizeof(plain) - 1, data + EPOCH_HEAD_SIZE,
			    len - EPOCH_HEAD_SIZE);
	FUZZ_CHECK(!ZSTD_isError(n));
	plain[0] = 1 | COLUMNS_OLD;
	fuzz_seed("columns-old", plain, n + 1);
	memmove(data + 1, data, len);
	data[0] = 0;
	fuzz_seed("epoch-old", data, len + 1);
}

static void fuzz_seeds(void)
{
	for (unsigned i = 0; i < 12; i++) {
		struct stacks_lab l = {.rnd = i,
				       .n_cpus = 1 + i % 4,
				       .n_programs = 1 + i % 3,
				       .n_functions = 4 + i,
				       .depth = 3 + i,
				       .spread = 100,
				       .life = i % 2 ? 5 : 0,
				       .off = i * 30,
				       .named = i % 4 != 0};
		struct stacks *s = stacks_new();
		struct out plain = {0};
		uint8_t *data, *seed;
		char name[32];
		size_t len;

		lab_begin(&l, s);
		lab_fill(&l, s, i * 20);
		lab_end(&l);
		for (unsigned k = 0; k < i; k++)
			FUZZ_CHECK(stacks_note(s, &(struct stacks_note){.at_us = s->from_us + k,
									.n = k * 100,
									.kind = 1 + k % 4}) == 0);
		FUZZ_CHECK(epoch_encode(s, &data, &len) == 0 && epoch_pack(s, &plain) == 0);
		seed = malloc(len + plain.len + 1);
		seed[0] = 0;
		memcpy(seed + 1, data, len);
		snprintf(name, sizeof(name), "epoch-%u", i);
		fuzz_seed(name, seed, len + 1);
		seed[0] = 1;
		memcpy(seed + 1, plain.p, plain.len);
		snprintf(name, sizeof(name), "columns-%u", i);
		fuzz_seed(name, seed, plain.len + 1);
		free(seed);
		free(data);
		out_done(&plain);
		stacks_free(s);
	}
	seed_old();
}

static void check_indices(const struct stacks *s)
{
	char buf[300];

	FUZZ_CHECK(s->n_strings && s->n_modules && s->n_frames && s->n_nodes && s->n_tasks);
	FUZZ_CHECK(!*stacks_text(s, 0) && !s->nodes[0].parent && !s->nodes[0].frame);
	for (uint32_t i = 0; i < s->n_strings; i++)
		FUZZ_CHECK(strlen(stacks_text(s, i)) < INT32_MAX);
	for (uint32_t i = 0; i < s->n_modules; i++)
		FUZZ_CHECK(s->modules[i].name < s->n_strings &&
			   s->modules[i].build_id < s->n_strings);
	for (uint32_t i = 0; i < s->n_frames; i++) {
		FUZZ_CHECK(s->frames[i].name < s->n_strings && s->frames[i].module < s->n_modules &&
			   s->frames[i].type < STACKS_TYPES);
		FUZZ_CHECK(*stacks_frame_name(s, i, buf, sizeof(buf)));
	}
	for (uint32_t i = 1; i < s->n_nodes; i++)
		FUZZ_CHECK(s->nodes[i].parent < i && s->nodes[i].frame < s->n_frames);
	for (uint32_t i = 0; i < s->n_tasks; i++)
		FUZZ_CHECK(s->tasks[i].comm < s->n_strings && s->tasks[i].process < s->n_strings &&
			   s->tasks[i].cgroup < s->n_strings);
	for (uint32_t i = 0; i < s->n_samples; i++) {
		const struct stacks_sample *x = &s->samples[i];

		FUZZ_CHECK(x->node < s->n_nodes && x->task < s->n_tasks && x->kind < STACKS_KINDS &&
			   x->flags >> 4 < STACKS_CLASSES);
	}
	for (uint32_t i = 0; i < s->n_notes; i++)
		FUZZ_CHECK(s->notes[i].kind >= STACKS_LOST && s->notes[i].kind <= STACKS_GAP);
}

static void check_tree(const struct stacks *s, enum stacks_kind kind, unsigned way)
{
	struct fold_request q = {.n_ranges = 1, .filter = {.kind = kind, .cpu = -1}};
	struct fold_tree *t;
	struct fold *f;

	q.ranges[0] = (struct stacks_range){s->from_us, s->to_us};
	q.by_process = way & 1;
	q.by_thread = way & 2;
	q.elided = way & 4;
	q.n_base = q.elided;
	q.base[0] = (struct stacks_range){s->from_us / 2, s->to_us / 2};
	q.max_nodes = way & 8 ? 5 : 0;
	FUZZ_CHECK(fold_begin(&f, &q) == 0 || q.base[0].from_us > q.base[0].to_us);
	FUZZ_CHECK(fold_add(f, s) == 0 && fold_finish(f, &t) == 0);
	for (uint32_t i = 1; i < t->n_nodes; i++)
		FUZZ_CHECK(t->nodes[i].parent < i && t->nodes[i].name < t->n_strings &&
			   t->nodes[i].total_us <= t->nodes[t->nodes[i].parent].total_us);
	fold_tree_free(t);
}

static void check_others(const struct stacks *s, enum stacks_kind kind, unsigned way)
{
	struct heat_request q = {.from_us = s->from_us,
				 .column_us = 1000000,
				 .n_columns = 5,
				 .by = way % 5,
				 .n_rows = 10,
				 .filter = {.kind = kind, .cpu = -1},
				 .pattern = way & 1 ? "do.*1" : NULL};
	struct chart_request c = {.from_us = s->from_us, .to_us = s->to_us, .filter = q.filter};
	struct fold_request l = {.n_ranges = 1, .filter = q.filter};
	struct tasks_row *rows;
	struct charter *charter;
	struct heater *heater;
	struct chart *chart;
	struct tasks *tasks;
	struct heat *heat;
	size_t n;

	FUZZ_CHECK(heat_begin(&heater, &q, NULL, 0) == 0);
	FUZZ_CHECK(heat_add(heater, s) == 0 && heat_finish(heater, &heat) == 0);
	heat_free(heat);
	FUZZ_CHECK(chart_begin(&charter, &c) == 0);
	FUZZ_CHECK(chart_add(charter, s) == 0 && chart_finish(charter, &chart) == 0);
	chart_free(chart);
	l.ranges[0] = (struct stacks_range){s->from_us, s->to_us};
	FUZZ_CHECK(tasks_begin(&tasks, &l, way & 1) == 0);
	FUZZ_CHECK(tasks_add(tasks, s) == 0 && tasks_finish(tasks, 10, &rows, &n) == 0);
	tasks_free(rows, n);
}

static void check_again(const struct stacks *s)
{
	struct stacks *back, *merged = stacks_new(), *part;
	uint8_t *data;
	size_t len;
	int r = epoch_encode(s, &data, &len);

	if (r == 0) {
		FUZZ_CHECK(epoch_decode(data, len, &back) == 0);
		check_indices(back);
		FUZZ_CHECK(back->n_samples == s->n_samples && back->n_notes == s->n_notes);
		stacks_free(back);
		free(data);
	} else {
		FUZZ_CHECK(r == -EMSGSIZE || r == -EINVAL);
	}
	FUZZ_CHECK(stacks_merge(merged, s) == 0);
	FUZZ_CHECK(merged->n_samples == s->n_samples);
	part = stacks_cut(s, s->from_us / 2, s->to_us / 2);
	check_indices(part);
	stacks_free(part);
	stacks_free(merged);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	uint8_t *copy = malloc(size ? size : 1); /* a byte too far is an error */
	struct stacks *s = NULL;
	int r;

	if (!size) {
		free(copy);
		return 0;
	}
	memcpy(copy, data + 1, size - 1);
	if (data[0] % 2) {
		s = stacks_new();
		s->from_us = 1000000000;
		s->to_us = 1005000000;
		s->hz = 99;
		r = epoch_unpack(copy, size - 1, data[0] & COLUMNS_OLD ? 1 : 2, s);
		FUZZ_CHECK(r == 0 || r == -EBADMSG);
	} else {
		r = epoch_decode(copy, size - 1, &s);
		FUZZ_CHECK(r == 0 || r == -EBADMSG || r == -EPROTONOSUPPORT);
	}
	if (r == 0) {
		check_indices(s);
		if (s->n_samples <= SAMPLES_MOST && s->n_nodes <= SAMPLES_MOST) {
			check_again(s);
			for (unsigned kind = 0; kind < STACKS_KINDS; kind++) {
				check_tree(s, kind, data[0] >> 1);
				check_others(s, kind, data[0] >> 1);
			}
		}
	}
	stacks_free(data[0] % 2 || r == 0 ? s : NULL);
	free(copy);
	return 0;
}
