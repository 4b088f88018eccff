/*
 * Fuzzing of a collector: the input becomes the files it reads, in a tree of their own; the
 * collector is probed, opened and sampled several times while the files change under it.
 *
 * The input is cut at bytes 0x1d. The pieces are the files' contents in the order of the target's
 * list: first all of them before the first pass, then again before the second, and so on. A file
 * without a piece of its own stays as it is.
 */
#ifndef STROBE_FUZZ_COLLECTOR_H
#define STROBE_FUZZ_COLLECTOR_H

#include "fuzz.h"

#include "base/batch.h"
#include "base/host.h"
#include "collectors/collector.h"

enum { FUZZ_PASSES = 3, FUZZ_GROUPS = 8, FUZZ_FILES = 32, FUZZ_CUT = 0x1d };

struct fuzz_file {
	enum host_root root;
	const char *path;
};

static const char *const fuzz_roots[N_ROOTS] = {"proc", "sys", "cgroup"};

static inline void fuzz_path(char *out, size_t size, const char *top, const struct fuzz_file *f)
{
	snprintf(out, size, "%s/%s/%s", top, fuzz_roots[f->root], f->path);
}

/* Makes the folders above the file. */
static inline void fuzz_mkdirs(char *path)
{
	for (char *p = path + strlen(fuzz_scratch()) + 1; (p = strchr(p, '/')); p++) {
		*p = 0;
		mkdir(path, 0755);
		*p = '/';
	}
}

/* The kept-open files of the tree. */
static inline int *fuzz_tree(const struct fuzz_file *files, size_t n)
{
	static int fds[FUZZ_FILES];
	static bool made;
	char path[512];

	for (size_t i = 0; i < n && !made; i++) {
		fuzz_path(path, sizeof(path), fuzz_scratch(), &files[i]);
		fuzz_mkdirs(path);
		fds[i] = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0644);
		FUZZ_CHECK(fds[i] >= 0);
	}
	for (int i = 0; i < N_ROOTS && !made; i++) {
		snprintf(path, sizeof(path), "%s/%s", fuzz_scratch(), fuzz_roots[i]);
		mkdir(path, 0755);
	}
	made = true;
	return fds;
}

/* Gives each file its next piece of the input. */
static inline void fuzz_put(const int *fds, size_t n, const uint8_t **data, const uint8_t *end)
{
	for (size_t i = 0; i < n && *data < end; i++) {
		const uint8_t *cut = memchr(*data, FUZZ_CUT, (size_t)(end - *data));
		size_t len = (size_t)((cut ? cut : end) - *data);

		FUZZ_CHECK(!ftruncate(fds[i], 0) && pwrite(fds[i], *data, len, 0) == (ssize_t)len);
		*data = cut ? cut + 1 : end;
	}
}

/* What a batch must hold after any input. */
static inline void fuzz_check_batch(const struct batch *b)
{
	uint32_t live = 0;

	FUZZ_CHECK(b->n_slots <= b->cap && b->n_live <= b->n_slots && b->n_touched <= b->n_slots);
	for (uint32_t s = 0; s < b->n_slots; s++) {
		live += b->inst[s].live;
		FUZZ_CHECK(memchr(b->inst[s].name, 0, INSTANCE_NAME_MAX));
	}
	FUZZ_CHECK(live == b->n_live);
}

static inline void fuzz_sample(const struct collector *c, void *state, struct batch *b,
			       uint64_t tick, struct collector_report *report)
{
	for (unsigned g = 0; g < c->n_groups; g++) {
		batch_begin(&b[g], tick);
		int r = c->sample(state, g, &b[g], report);

		FUZZ_CHECK(memchr(report->reason, 0, sizeof(report->reason)));
		FUZZ_CHECK(r >= 0 || report->reason[0]);
		if (r >= 0)
			batch_finish(&b[g]);
		fuzz_check_batch(&b[g]);
		if (r >= 0)
			batch_commit(&b[g]);
	}
}

static inline int fuzz_collector(const struct collector *c, const struct fuzz_file *files, size_t n,
				 const uint8_t *data, size_t size)
{
	static char roots[N_ROOTS][128];
	int *fds = fuzz_tree(files, n);
	const uint8_t *end = data + size;
	struct collector_report report = {0};
	struct batch b[FUZZ_GROUPS];
	struct host h;

	for (size_t i = 0; i < n; i++)
		FUZZ_CHECK(!ftruncate(fds[i], 0));
	for (int i = 0; i < N_ROOTS; i++)
		snprintf(roots[i], sizeof(roots[i]), "%s/%s", fuzz_scratch(), fuzz_roots[i]);
	fuzz_put(fds, n, &data, end);
	FUZZ_CHECK(c->n_groups <= FUZZ_GROUPS && !host_open(&h, roots[0], roots[1], roots[2]));
	for (size_t g = 0; g < c->n_groups; g++)
		FUZZ_CHECK(!batch_init(&b[g], &c->groups[g], 0));
	if (!c->probe || c->probe(&h, &report) == 0) {
		void *state = calloc(1, c->state_size);

		if (c->open(state, &h, &report) == 0)
			for (int pass = 0; pass < FUZZ_PASSES; pass++) {
				fuzz_sample(c, state, b, (uint64_t)pass + 1, &report);
				fuzz_put(fds, n, &data, end);
			}
		else
			FUZZ_CHECK(report.reason[0]);
		c->close(state);
		free(state);
	}
	for (size_t g = 0; g < c->n_groups; g++)
		batch_done(&b[g]);
	host_close(&h);
	return 0;
}

/* All files of the fixture trees, once and twice. */
static inline void fuzz_collector_seeds(const struct fuzz_file *files, size_t n)
{
	static const char *const trees[] = {"host-a", "host-b"};
	static char text[1 << 20];

	for (size_t t = 0; t < sizeof(trees) / sizeof(*trees); t++) {
		size_t len = 0, found = 0;

		for (size_t i = 0; i < n; i++) {
			char top[64], path[512];

			snprintf(top, sizeof(top), "tests/fixtures/%s", trees[t]);
			fuzz_path(path, sizeof(path), top, &files[i]);
			FILE *f = fopen(path, "r");

			if (f) {
				found++;
				len += fread(text + len, 1, sizeof(text) / 2 - 2 - len, f);
				fclose(f);
			}
			text[len++] = FUZZ_CUT;
		}
		if (!found)
			continue;
		fuzz_seed(trees[t], text, len);
		memcpy(text + len, text, len);
		fuzz_seed(t ? "host-b-twice" : "host-a-twice", text, 2 * len);
	}
	fuzz_seed("empty", "\x1d\n\x1d", 3);
}

/* The whole of a target: FUZZ_COLLECTOR(tcpip, {ROOT_PROC, "net/snmp"}, ...) */
#define FUZZ_COLLECTOR(name, ...)                                                                  \
	extern const struct collector collector_##name;                                            \
	static const struct fuzz_file files[] = {__VA_ARGS__};                                     \
	static void fuzz_seeds(void)                                                               \
	{                                                                                          \
		fuzz_collector_seeds(files, sizeof(files) / sizeof(*files));                       \
	}                                                                                          \
	int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)                               \
	{                                                                                          \
		return fuzz_collector(&collector_##name, files, sizeof(files) / sizeof(*files),    \
				      data, size);                                                 \
	}                                                                                          \
	_Static_assert(sizeof(files) > 0, "files")

#endif
