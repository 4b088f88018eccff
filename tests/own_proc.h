/* For the tests of a collector: a folder of the test's own that stands for /proc. */
#ifndef STROBE_TESTS_OWN_PROC_H
#define STROBE_TESTS_OWN_PROC_H

#include "support.h"

static char dir[64]; /* between make_dir() and remove_dir(), a checked fixture */

static inline void put(const char *path, const char *text)
{
	support_write(dir, path, text, strlen(text));
}

static inline void make_dir(void)
{
	support_dir(dir);
}

static inline void remove_dir(void)
{
	support_rm(dir);
}

/* The folder as /proc; result of the collector's open(). */
static inline int rig_open_own(struct rig *r, const struct collector *c)
{
	*r = (struct rig){0};
	ck_assert_int_eq(host_open(&r->host, dir, NULL, NULL), 0);
	return rig_open(r, c);
}

#endif
