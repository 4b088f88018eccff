/*
 * Folded stacks: "a;b;c 12", one a line, root first, as stackcollapse-*.pl, bpftrace and async-profiler write
 * them. Two figures ("a;b 3 5", of difffolded.pl): the second. A name's suffix _[k], _[j], _[i] or _[l] is its type.
 */
#include "import/import_internal.h"

#include <errno.h>
#include <string.h>

/* Cuts the last word off when it is a figure; false: it is none. */
static bool take_number(const char *line, size_t *len, double *ret)
{
	size_t n = *len, at;
	double v = 0, unit = 1;
	bool point = false;

	while (n && (line[n - 1] == ' ' || line[n - 1] == '\t'))
		n--;
	at = n;
	while (at && line[at - 1] != ' ' && line[at - 1] != '\t')
		at--;
	if (at == n || !at)
		return false;
	for (size_t i = at; i < n; i++) {
		if (line[i] == '.' && !point && i > at) {
			point = true;
			continue;
		}
		if (line[i] < '0' || line[i] > '9')
			return false;
		v = v * 10 + (line[i] - '0');
		unit *= point ? 10 : 1;
	}
	*ret = v / unit;
	*len = at;
	return true;
}

static size_t without_blanks(const char *line, size_t len)
{
	while (len && (line[len - 1] == ' ' || line[len - 1] == '\t'))
		len--;
	return len;
}

static bool split(const char *line, size_t *len, double *ret)
{
	double before;
	size_t rest;

	if (!take_number(line, len, ret))
		return false;
	rest = *len = without_blanks(line, *len);
	/* "stack BEFORE NOW", unless all that is before would be a figure */
	if (take_number(line, &rest, &before) && without_blanks(line, rest))
		*len = without_blanks(line, rest);
	return *len != 0;
}

static enum stacks_type suffix_type(const char *name, size_t *len)
{
	static const struct {
		char letter;
		enum stacks_type type;
	} types[] = {{'k', STACKS_KERNEL},
		     {'j', STACKS_JIT},
		     {'i', STACKS_INLINED},
		     {'l', STACKS_LIBRARY}};

	if (*len > 4 && name[*len - 4] == '_' && name[*len - 3] == '[' && name[*len - 1] == ']')
		for (size_t i = 0; i < sizeof(types) / sizeof(*types); i++)
			if (types[i].letter == name[*len - 2]) {
				*len -= 4;
				return types[i].type;
			}
	return STACKS_USER;
}

static uint32_t frame_of(struct stacks *s, const char *name, size_t len)
{
	struct stacks_frame f = {.type = (uint8_t)suffix_type(name, &len)};

	f.name = stacks_string(s, name, len);
	return f.name ? stacks_frame(s, &f) : 0;
}

static uint32_t node_of(struct stacks *s, const char *line, size_t len, bool *truncated)
{
	uint32_t node = 0, depth = 0;

	for (size_t at = 0; at < len;) {
		const char *semi = memchr(line + at, ';', len - at);
		size_t n = semi ? (size_t)(semi - line) - at : len - at;

		if (++depth > IMPORT_DEPTH_MAX) {
			*truncated = true;
			return node;
		}
		if (n)
			node = stacks_node(s, node, frame_of(s, line + at, n));
		at += n + 1;
	}
	return node;
}

static int take_line(struct import *m, struct import_sums *sums, const char *line, size_t len)
{
	struct import_sum row = {0};
	bool truncated = false;
	double v;

	if (!len || line[0] == '#')
		return 0;
	if (!split(line, &len, &v)) {
		m->res->skipped++;
		return 0;
	}
	if (v > 9e18)
		v = 9e18;
	row.node = node_of(m->s, line, len, &truncated);
	row.weight = row.n = (uint64_t)(v + 0.5);
	return row.weight ? import_sums_add(sums, &row) : 0;
}

int import_folded(struct import *m)
{
	struct import_sums sums = {0};
	char *line;
	size_t len;
	int r = 0;

	while (r == 0 && (line = import_line(&m->in, &len))) {
		r = take_line(m, &sums, line, len);
		if (r < 0)
			import_no_memory(m);
		else if ((m->in.line & 0x3f) == 0)
			r = import_check(m);
	}
	if (r == 0)
		r = import_check(m);
	if (r == 0)
		strcpy(m->res->unit, "samples");
	if (r == 0)
		r = import_sums_finish(m, &sums, false);
	m->s->has_cpu = m->s->has_time = false;
	import_sums_done(&sums);
	return r;
}

/* Most of its first lines are such. */
bool import_folded_looks(const char *head, size_t len)
{
	unsigned n = 0, good = 0;

	for (size_t at = 0; at < len && n < 50;) {
		const char *nl = memchr(head + at, '\n', len - at);
		size_t k = nl ? (size_t)(nl - head) - at : len - at;
		const char *line = head + at;
		double v;

		at += k + 1;
		if (k && line[k - 1] == '\r')
			k--;
		if (!nl && !n && k == len) /* a stack too deep to see its end */
			return k >= IMPORT_HEAD && memchr(line, ';', k) && !memchr(line, 0, k);
		if (!k || line[0] == '#' || (!nl && n)) /* the last one may be cut */
			continue;
		n++;
		good += memchr(line, 0, k) == NULL && split(line, &k, &v);
	}
	return n && good * 4 >= n * 3;
}
