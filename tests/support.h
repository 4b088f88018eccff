/*
 * For the C tests: fixture roots, scratch folders and a batch per group of a collector.
 */
#ifndef STROBE_TESTS_SUPPORT_H
#define STROBE_TESTS_SUPPORT_H

#include "base/batch.h"
#include "base/host.h"
#include "collectors/collector.h"

#include <check.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define FIXTURES "tests/fixtures"

/* A host on tests/fixtures/NAME/{proc,sys,cgroup}; missing sys or cgroup are left out. */
static inline void support_host(struct host *h, const char *name)
{
	static char proc[512], sys[512], cgroup[512];

	snprintf(proc, sizeof(proc), FIXTURES "/%s/proc", name);
	snprintf(sys, sizeof(sys), FIXTURES "/%s/sys", name);
	snprintf(cgroup, sizeof(cgroup), FIXTURES "/%s/cgroup", name);
	ck_assert_int_eq(host_open(h, proc, access(sys, F_OK) ? NULL : sys,
				   access(cgroup, F_OK) ? NULL : cgroup),
			 0);
}

/* A fresh folder under $TMPDIR or /tmp into dir[64]; remove it with support_rm(). */
static inline void support_dir(char dir[64])
{
	const char *tmp = getenv("TMPDIR");

	snprintf(dir, 64, "%s/strobe-test-XXXXXX", tmp && strlen(tmp) < 40 ? tmp : "/tmp");
	ck_assert_ptr_nonnull(mkdtemp(dir));
}

static inline void support_rm(const char *dir)
{
	char cmd[128];

	snprintf(cmd, sizeof(cmd), "rm -rf '%s'", dir);
	ck_assert_int_eq(system(cmd), 0);
}

/* Writes dir/path, making the folders in between. */
static inline void support_write(const char *dir, const char *path, const void *data, size_t len)
{
	char full[512];

	snprintf(full, sizeof(full), "%s/%s", dir, path);
	for (char *p = full + strlen(dir) + 1; (p = strchr(p, '/')); p++) {
		*p = 0;
		mkdir(full, 0755);
		*p = '/';
	}
	int fd = open(full, O_WRONLY | O_CREAT | O_TRUNC, 0644);

	ck_assert_int_ge(fd, 0);
	ck_assert_int_eq(write(fd, data, len), (ssize_t)len);
	close(fd);
}

/* A collector that is probed, opened and sampled as the agent does. */
struct rig {
	const struct collector *c;
	struct host host;
	void *state;
	struct batch *batches;
	struct collector_report report;
	uint64_t tick;
	bool opened;
};

/* 0 or what probe/open returned. */
static inline int rig_open(struct rig *r, const struct collector *c)
{
	int e;

	r->c = c;
	r->state = calloc(1, c->state_size + 1);
	r->batches = calloc(c->n_groups, sizeof(*r->batches));
	for (size_t g = 0; g < c->n_groups; g++)
		ck_assert_int_eq(batch_init(&r->batches[g], &c->groups[g], 0), 0);
	e = c->probe ? c->probe(&r->host, &r->report) : 0;
	if (e)
		return e;
	r->opened = true;
	return c->open(r->state, &r->host, &r->report);
}

/* One tick: every group once. The last non-zero return of sample(). */
static inline int rig_sample(struct rig *r)
{
	int last = 0;

	r->tick++;
	for (unsigned g = 0; g < r->c->n_groups; g++) {
		batch_begin(&r->batches[g], r->tick);
		int e = r->c->sample(r->state, g, &r->batches[g], &r->report);

		if (e)
			last = e;
		if (e >= 0) {
			batch_finish(&r->batches[g]);
			batch_commit(&r->batches[g]);
		}
	}
	return last;
}

static inline void rig_close(struct rig *r)
{
	if (r->opened)
		r->c->close(r->state);
	for (size_t g = 0; g < r->c->n_groups; g++)
		batch_done(&r->batches[g]);
	free(r->batches);
	free(r->state);
	host_close(&r->host);
}

/* The stored value of metric{instance} ("" for a singular group); fails the test when unknown. */
static inline int64_t rig_value(const struct rig *r, const char *metric, const char *instance)
{
	for (size_t g = 0; g < r->c->n_groups; g++) {
		const struct group *grp = &r->c->groups[g];
		const struct batch *b = &r->batches[g];

		for (uint32_t m = 0; m < grp->n_metrics; m++)
			if (strcmp(grp->metrics[m].name, metric) == 0)
				for (uint32_t s = 0; s < b->n_slots; s++)
					if (b->inst[s].live &&
					    strcmp(b->inst[s].name, instance) == 0)
						return b->rows[(size_t)s * b->n_metrics + m];
	}
	ck_abort_msg("no series %s{%s}", metric, instance);
	return 0;
}

/* Opens the collector on DIR/proc and DIR/sys, of a folder made by support_dir(). 0 or what probe
 * or open returned. */
static inline int rig_open_dir(struct rig *r, const struct collector *c, const char *dir)
{
	static char proc[128], sys[128];

	snprintf(proc, sizeof(proc), "%s/proc", dir);
	snprintf(sys, sizeof(sys), "%s/sys", dir);
	mkdir(proc, 0755);
	mkdir(sys, 0755);
	*r = (struct rig){0};
	ck_assert_int_eq(host_open(&r->host, proc, sys, NULL), 0);
	return rig_open(r, c);
}

static inline void support_put(const char *dir, const char *path, const char *text)
{
	support_write(dir, path, text, strlen(text));
}

/* Puts every truncation of text, and `rounds` copies with random bytes in it, into dir/path and
 * samples each: whatever comes out, nothing may crash and the error must be one of bad data. */
static inline void rig_torture(struct rig *r, const char *dir, const char *path, const char *text,
			       int rounds)
{
	size_t len = strlen(text);
	char *copy = malloc(len + 1);

	for (size_t n = 0; n <= len; n++) {
		support_write(dir, path, text, n);
		int e = rig_sample(r);

		ck_assert_msg(e >= 0 || e == -EBADMSG, "cut at %zu: %d", n, e);
	}
	srand(1);
	for (int i = 0; i < rounds; i++) {
		memcpy(copy, text, len + 1);
		for (int k = 0; k < 8; k++)
			copy[(size_t)rand() % len] =
				(char)(i % 2 ? rand() % 256 : "0123456789 \n:/"[rand() % 14]);
		support_write(dir, path, copy, len);
		int e = rig_sample(r);

		ck_assert_msg(e >= 0 || e == -EBADMSG, "garbage %d: %d", i, e);
	}
	free(copy);
	support_write(dir, path, text, len);
}

/* The one case of a suite, run; main()'s exit status. */
static inline int support_run_case(const char *name, TCase *tc)
{
	Suite *s = suite_create(name);
	SRunner *sr = srunner_create(s);
	int failed;

	suite_add_tcase(s, tc);
	srunner_run_all(sr, CK_NORMAL);
	failed = srunner_ntests_failed(sr);
	srunner_free(sr);
	return failed ? 1 : 0;
}

/* Tests of nothing special, of which each may take a minute. */
static inline int support_run(const char *name, const TTest *const *tests, size_t n)
{
	TCase *tc = tcase_create(name);

	tcase_set_timeout(tc, 60);
	for (size_t i = 0; i < n; i++)
		tcase_add_test(tc, tests[i]);
	return support_run_case(name, tc);
}

#endif
