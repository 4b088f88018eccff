/* For the tests of captures: a file in memory. */
#ifndef STROBE_TESTS_CAPTURE_FILE_H
#define STROBE_TESTS_CAPTURE_FILE_H

#include "feeder.h"
#include "store/capture.h"
#include "support.h"

#define MUST(x)                                                                                    \
	do {                                                                                       \
		if (!(x))                                                                          \
			ck_abort_msg("%s", #x);                                                    \
	} while (0)

/* ---- a file in memory ---- */

struct memory {
	uint8_t *p;
	size_t len, at, cap;
	size_t room; /* writing fails with -ENOSPC beyond it; 0: no limit */
	size_t step; /* bytes a read gives at most; 0: all */
};

static inline int mem_write(void *arg, const void *data, size_t len)
{
	struct memory *m = arg;

	if (m->room && m->len + len > m->room)
		return -ENOSPC;
	if (m->len + len > m->cap) {
		m->cap = (m->len + len) * 2;
		m->p = realloc(m->p, m->cap);
		MUST(m->p);
	}
	memcpy(m->p + m->len, data, len);
	m->len += len;
	return 0;
}

static inline int mem_read(void *arg, void *to, size_t len)
{
	struct memory *m = arg;
	size_t n = m->len - m->at;

	n = n < len ? n : len;
	n = m->step && m->step < n ? m->step : n;
	memcpy(to, m->p + m->at, n);
	m->at += n;
	return (int)n;
}

static inline struct capture_writer writer_to(struct memory *m)
{
	struct capture_writer w = {.write = mem_write, .arg = m};

	*m = (struct memory){0};
	ck_assert_int_eq(capture_begin(&w), 0);
	return w;
}

static inline int open_mem(struct capture_reader **c, const uint8_t *p, size_t len,
			   struct memory *m)
{
	char err[300] = "";

	*m = (struct memory){.p = (uint8_t *)(uintptr_t)p, .len = len};
	int r = capture_open_read(c, mem_read, m, err, sizeof(err));

	MUST(r == 0 || err[0]);
	return r;
}

#endif
