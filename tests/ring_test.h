/* For the Check tests of the ring: the lab, and how they are run. */
#ifndef STROBE_TESTS_RING_TEST_H
#define STROBE_TESTS_RING_TEST_H

#include "ring_lab.h"
#include "support.h"

enum { SMALL = 192 << 10 }; /* bytes of a ring whose laps are short */

static inline bool lab_long_form(void)
{
	const char *v = getenv("RING_LONG");

	return v && *v == '1';
}

static inline int lab_run(const char *name, const TTest *const *tests, size_t n)
{
	TCase *t = tcase_create(name);

	tcase_set_timeout(t, lab_long_form() ? 3000 : 120);
	for (size_t i = 0; i < n; i++)
		tcase_add_test(t, tests[i]);
	return support_run_case(name, t);
}

/* ---- a ring in a folder ---- */

static char ring_dir[64], ring_err[400];

static inline int try_open(struct ring **ret, const char *where, uint64_t size, bool read_only)
{
	struct ring_config c = {.dir = where, .size_bytes = size, .read_only = read_only};

	return ring_open(ret, &c, ring_err, sizeof(ring_err));
}

static inline struct ring *open_ring(uint64_t size)
{
	struct ring *r = NULL;
	int e = try_open(&r, ring_dir, size, false);

	ck_assert_msg(e == 0, "%d %s", e, ring_err);
	return r;
}

#endif
