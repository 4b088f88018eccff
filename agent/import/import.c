#include "import/import_internal.h"

#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static const struct reader {
	const char *name;
	bool (*looks)(const char *head, size_t len);
	int (*read)(struct import *);
} readers[] = {
	[IMPORT_PPROF] = {"pprof", import_pprof_looks, import_pprof},
	[IMPORT_CPUPROFILE] = {"cpuprofile", import_cpuprofile_looks, import_cpuprofile},
	/* JSON is told apart when it is read. */
	[IMPORT_TRACE] = {"trace", NULL, import_trace},
	[IMPORT_PERF_SCRIPT] = {"perf", import_perf_looks, import_perf},
	[IMPORT_FOLDED] = {"folded", import_folded_looks, import_folded},
};
enum { N_READERS = sizeof(readers) / sizeof(*readers) };

const char *import_format_name(enum import_format f)
{
	return (unsigned)f < N_READERS && readers[f].name ? readers[f].name : "any";
}

/* ---- what readers say ---- */

int import_fail(struct import *m, int r, const char *format, ...)
{
	va_list ap;

	va_start(ap, format);
	vsnprintf(m->err, m->err_len, format, ap);
	va_end(ap);
	return r;
}

int import_no_memory(struct import *m)
{
	return import_fail(m, -ENOMEM, "there is not enough memory for its stacks");
}

int import_check(struct import *m)
{
	if (stacks_failed(m->s))
		return import_no_memory(m);
	if (stacks_bytes(m->s) > IMPORT_MEMORY_MAX)
		return import_fail(m, -EFBIG,
				   "it has more than %d MiB of stacks; take a part of it (perf "
				   "script --time, or head)",
				   IMPORT_MEMORY_MAX >> 20);
	return 0;
}

int import_no_event(struct import *m, const char *what, const char *const *names, size_t n)
{
	char list[256] = "";
	size_t len = 0;

	for (size_t i = 0; i < n && len + 4 < sizeof(list); i++)
		len += (size_t)snprintf(list + len, sizeof(list) - len, "%s%s", i ? ", " : "",
					names[i]);
	return import_fail(m, -EINVAL, "it has no %s '%.64s', but: %s", what, m->event,
			   n ? list : "none at all");
}

static bool ends_with(const char *s, size_t len, const char *end)
{
	size_t n = strlen(end);

	return len >= n && memcmp(s + len - n, end, n) == 0;
}

static bool contains(const char *s, size_t len, const char *part)
{
	return memmem(s, len, part, strlen(part)) != NULL;
}

enum stacks_type import_type(const char *module, size_t len, uint64_t addr)
{
	static const char *const user[] = {"[vdso]", "[vsyscall]", "[stack]", "[heap]",
					   "[uprobes]"};

	if (addr >= 0xffff000000000000u)
		return STACKS_KERNEL;
	if (!len || (len == 9 && memcmp(module, "[unknown]", 9) == 0))
		return STACKS_UNKNOWN;
	if (contains(module, len, "perf-") && ends_with(module, len, ".map"))
		return STACKS_JIT;
	if (contains(module, len, "//anon") || contains(module, len, "[anon") ||
	    contains(module, len, "jitted-") || contains(module, len, "memfd:"))
		return STACKS_JIT;
	for (size_t i = 0; i < sizeof(user) / sizeof(*user); i++)
		if (len == strlen(user[i]) && memcmp(module, user[i], len) == 0)
			return STACKS_LIBRARY;
	if (module[0] == '[' || ends_with(module, len, ".ko") || contains(module, len, ".ko.") ||
	    contains(module, len, "vmlinux") || contains(module, len, "bpf_prog_"))
		return STACKS_KERNEL;
	return contains(module, len, ".so") ? STACKS_LIBRARY : STACKS_USER;
}

/* ---- sums ---- */

enum { ONE_BY_ONE_MAX = 1 << 20 };

int import_sums_add(struct import_sums *v, const struct import_sum *row)
{
	if (v->n == v->cap) {
		size_t cap = v->cap ? v->cap * 2 : 1024;
		struct import_sum *p = realloc(v->rows, cap * sizeof(*p));

		if (!p)
			return -ENOMEM;
		v->rows = p;
		v->cap = cap;
	}
	v->rows[v->n++] = *row;
	return 0;
}

void import_sums_done(struct import_sums *v)
{
	free(v->rows);
	*v = (struct import_sums){0};
}

static int add_row(struct stacks *s, const struct import_sum *row, uint64_t weight, uint64_t n)
{
	struct stacks_sample one = {.node = row->node, .task = row->task};
	int r = 0;

	for (uint64_t i = 0; i < n && r == 0; i++) {
		uint64_t part = weight / (n - i);

		weight -= part;
		one.weight_us = (uint32_t)part;
		r = stacks_add(s, &one);
	}
	return r;
}

/* Into how many samples a row goes: as many as it stands for when that is wanted, and of hours of one stack as
 * many as it takes. */
static uint64_t row_parts(const struct import_sum *row, uint64_t weight, bool each, uint64_t *spare)
{
	uint64_t parts = each && row->n > 1 ? row->n : 1;
	uint64_t least = weight / UINT32_MAX + 1;

	if (least > parts && least - parts <= *spare) {
		*spare -= least - parts;
		parts = least;
	}
	return parts;
}

static void set_unit(struct import_result *res, uint64_t unit)
{
	static const char *const names[] = {"Ki", "Mi", "Gi", "Ti"};
	char was[IMPORT_UNIT_MAX];
	unsigned k = 0;

	if (unit == 1)
		return;
	for (; unit > 1024 && k < 3; unit /= 1024)
		k++;
	memcpy(was, res->unit, sizeof(was));
	snprintf(res->unit, sizeof(res->unit), "%s%.20s", names[k],
		 strcmp(was, "bytes") == 0 ? "B" : was);
}

int import_sums_finish(struct import *m, struct import_sums *v, bool is_time)
{
	uint64_t n = 0, max = 0, unit = 1, spare = ONE_BY_ONE_MAX;
	int r = 0;

	for (size_t i = 0; i < v->n; i++) {
		uint64_t k = v->rows[i].n ? v->rows[i].n : 1;

		n = n + k < n ? UINT64_MAX : n + k;
		max = v->rows[i].weight > max ? v->rows[i].weight : max;
	}
	while (!is_time && max / unit > UINT32_MAX)
		unit *= 1024;
	for (size_t i = 0; i < v->n && r == 0; i++) {
		uint64_t w = v->rows[i].weight / unit;
		uint64_t parts = row_parts(&v->rows[i], w, n <= ONE_BY_ONE_MAX, &spare);

		if (w / parts >= UINT32_MAX)
			w = UINT32_MAX * parts;
		r = add_row(m->s, &v->rows[i], w, parts);
		if (r == 0 && (i & 0xfff) == 0)
			r = import_check(m);
	}
	set_unit(m->res, unit);
	return r == -ENOMEM ? import_no_memory(m) : r;
}

/* ---- reading ---- */

static bool head_looks(const char *head, size_t len, enum import_format *ret)
{
	static const enum import_format order[] = {IMPORT_PPROF, IMPORT_CPUPROFILE,
						   IMPORT_PERF_SCRIPT, IMPORT_FOLDED};

	for (size_t i = 0; i < sizeof(order) / sizeof(*order); i++)
		if (readers[order[i]].looks(head, len)) {
			*ret = order[i];
			return true;
		}
	return false;
}

static int open_failed(struct import *m)
{
	int r = m->in.error;

	if (r == -EPIPE)
		return import_fail(m, -EBADMSG, "it is gzipped, and cut short");
	if (r == -EBADMSG)
		return import_fail(m, r, "it is gzipped, and damaged");
	return import_fail(m, r, "%s", strerrordesc_np(-r));
}

/* What people give instead, by its first bytes, and what to do with it. */
static const char *what_it_is(const char *head, size_t len)
{
	static const struct {
		const char *magic;
		size_t len;
		const char *say;
	} known[] = {
		{"PERFILE2", 8, "; of a perf.data file give what 'perf script -i' prints of it"},
		{"\xfd\x37zXZ", 5, "; it is packed with xz: xz -dc FILE | strobe flame -"},
		{"\x28\xb5\x2f\xfd", 4, "; it is packed with zstd: zstd -dc FILE | strobe flame -"},
		{"BZh", 3, "; it is packed with bzip2: bzip2 -dc FILE | strobe flame -"},
		{"PK\3\4", 4, "; it is a zip file: unzip -p FILE | strobe flame -"},
	};

	for (size_t i = 0; i < sizeof(known) / sizeof(*known); i++)
		if (len > known[i].len && memcmp(head, known[i].magic, known[i].len) == 0)
			return known[i].say;
	return "";
}

static int choose(struct import *m, enum import_format *f)
{
	while (m->in.end < IMPORT_HEAD && import_fill(&m->in))
		;
	if (!m->in.end)
		return m->in.error ? open_failed(m) : import_fail(m, -ENODATA, "it is empty");
	if (*f != IMPORT_ANY || head_looks(m->in.buf, m->in.end, f))
		return 0;
	return import_fail(m, -EBADMSG,
			   "it is nothing that is known: neither 'perf script' text, folded stacks "
			   "(a;b;c 12), pprof, a Chrome cpuprofile nor a trace%s",
			   what_it_is(m->in.buf, m->in.end));
}

static int finish(struct import *m)
{
	struct stacks *s = m->s;

	if (m->in.error)
		return open_failed(m);
	if (!s->n_samples)
		return import_fail(m, -ENODATA, "there is no sample in it (%llu lines, read as %s)",
				   (unsigned long long)m->in.line,
				   import_format_name(m->res->format));
	if (s->to_us <= s->from_us)
		s->to_us = s->from_us + 1;
	return 0;
}

static int run(struct import *m, enum import_format f)
{
	int r;

	*m->res = (struct import_result){.stacks = stacks_new()};
	m->s = m->res->stacks;
	r = m->s ? choose(m, &f) : import_no_memory(m);
	m->res->format = f;
	if (r == 0 && m->event && f != IMPORT_PERF_SCRIPT && f != IMPORT_PPROF)
		r = import_fail(m, -EINVAL,
				"it is of the format '%s', which has no events to choose from",
				import_format_name(f));
	if (r == 0)
		r = readers[f].read(m);
	m->res->lines = m->in.line;
	if (r == 0)
		r = finish(m);
	if (r < 0) {
		stacks_free(m->s);
		m->res->stacks = NULL;
	}
	if (m->in.z_open)
		inflateEnd(&m->in.z);
	free(m->in.packed);
	free(m->in.buf);
	return r;
}

int import_file(struct import_result *ret, const char *path, enum import_format f, char *err,
		size_t err_len)
{
	return import_file_event(ret, path, f, NULL, err, err_len);
}

int import_file_event(struct import_result *ret, const char *path, enum import_format f,
		      const char *event, char *err, size_t err_len)
{
	struct import m = {.res = ret, .event = event, .err = err, .err_len = err_len};
	struct import_result made;
	int r;

	m.res = &made;
	m.in.fd = strcmp(path, "-") == 0 ? fcntl(STDIN_FILENO, F_DUPFD_CLOEXEC, 3)
					 : open(path, O_RDONLY | O_CLOEXEC);
	if (m.in.fd < 0)
		return import_fail(&m, -errno, "%s", strerrordesc_np(errno));
	r = run(&m, f);
	close(m.in.fd);
	if (r == 0)
		*ret = made;
	return r;
}

int import_bytes(struct import_result *ret, const void *data, size_t len, enum import_format f,
		 char *err, size_t err_len)
{
	struct import_result made;
	struct import m = {.res = &made,
			   .err = err,
			   .err_len = err_len,
			   .in = {.fd = -1, .memory = data, .memory_len = len}};
	int r = run(&m, f);

	if (r == 0)
		*ret = made;
	return r;
}

bool import_looks_like(const uint8_t *head, size_t len, enum import_format *ret)
{
	struct import_in in = {.fd = -1, .memory = head, .memory_len = len};
	bool r;

	while (in.end < IMPORT_HEAD && import_fill(&in))
		;
	r = in.end && head_looks(in.buf, in.end, ret);
	if (in.z_open)
		inflateEnd(&in.z);
	free(in.packed);
	free(in.buf);
	return r;
}
