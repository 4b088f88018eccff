/*
 * What `perf script` prints: per sample a line
 *
 *	comm pid/tid [cpu] seconds: period event:
 *
 * of which any may be missing (with `-F ip,sym` all of it), the frames below it, innermost first ("address
 * symbol+0x12 (module)", of inlined ones "symbol (inlined)"), and a blank line, which may be missing, too. Without call
 * chains the one frame stands on the line itself.
 */
#include "import/import_perf.h"

#include <errno.h>
#include <string.h>

/* ---- a sample's line ---- */

static bool is_blank(char c)
{
	return c == ' ' || c == '\t';
}

static bool is_digit(char c)
{
	return (unsigned char)(c - '0') < 10;
}

static const char *skip_blanks(const char *p)
{
	while (is_blank(*p))
		p++;
	return p;
}

static const char *word_end(const char *p)
{
	while (*p && !is_blank(*p))
		p++;
	return p;
}

static bool take_u32(const char **p, uint32_t *ret)
{
	const char *q = *p;
	uint64_t v = 0;

	if (!is_digit(*q))
		return false;
	for (; is_digit(*q); q++)
		v = v > UINT32_MAX ? v : v * 10 + (uint64_t)(*q - '0');
	if (v > UINT32_MAX)
		return false;
	*ret = (uint32_t)v;
	*p = q;
	return true;
}

/* "1234" (perf prints the thread alone), "1234/1235", "-1". */
static bool take_task(const char **p, struct perf_line *l)
{
	const char *q = *p;
	bool other = *q == '-'; /* of a task that has ended */

	q += other;
	if (!take_u32(&q, &l->tid))
		return false;
	l->pid = l->tid = other ? 0 : l->tid;
	if (*q == '/') {
		q++;
		other = *q == '-';
		q += other;
		if (!take_u32(&q, &l->tid))
			return false;
		l->tid = other ? 0 : l->tid;
	}
	if (*q && !is_blank(*q))
		return false;
	*p = q;
	return true;
}

/* "12345.678901:" or with nine decimals. */
static bool take_time(const char **p, int64_t *ret_us)
{
	const char *q = *p;
	int64_t v = 0;
	unsigned decimals = 0;

	if (!is_digit(*q))
		return false;
	for (; is_digit(*q); q++)
		if (v < INT64_MAX / 100000000)
			v = v * 10 + (*q - '0');
	if (*q != '.')
		return false;
	for (q++; is_digit(*q); q++, decimals++)
		if (decimals < 6)
			v = v * 10 + (*q - '0');
	if (!decimals || *q != ':')
		return false;
	for (; decimals < 6; decimals++)
		v *= 10;
	*ret_us = v;
	*p = q + 1;
	return true;
}

static bool take_cpu(const char **p, int32_t *ret)
{
	const char *q = *p;
	uint32_t v;

	if (*q != '[')
		return false;
	q++;
	if (!take_u32(&q, &v) || *q != ']' || v > UINT16_MAX)
		return false;
	*ret = (int32_t)v;
	*p = q + 1;
	return true;
}

/* "d..2." and its like, of perf's latency fields. */
static bool is_flags(const char *p, const char *end)
{
	if (end - p < 4 || end - p > 6)
		return false;
	for (; p < end; p++)
		if (!strchr(".dnNhHsSxXbBp0123456789", *p))
			return false;
	return true;
}

/* "250000 cpu-clock:u:" */
static const char *take_event(const char *p, struct perf_line *l)
{
	const char *q = skip_blanks(p), *end;
	uint64_t v = 0;

	if (is_digit(*q)) {
		const char *d = q;

		for (; is_digit(*d); d++)
			v = v > UINT64_MAX / 16 ? v : v * 10 + (uint64_t)(*d - '0');
		if (is_blank(*d) || !*d) {
			l->period = v;
			q = skip_blanks(d);
		}
	}
	end = word_end(q);
	if (end - q < 2 || end[-1] != ':') {
		l->period = end == q ? l->period : 0;
		return end == q ? q : NULL;
	}
	l->event = q;
	l->event_len = (size_t)(end - q) - 1;
	while (l->event_len && q[l->event_len - 1] == ':')
		l->event_len--;
	return end;
}

/* What follows the task. */
static bool take_rest(const char *p, struct perf_line *l)
{
	const char *q;
	bool known = false;

	p = skip_blanks(p);
	if (take_cpu(&p, &l->cpu)) {
		p = skip_blanks(p);
		known = true;
	}
	q = word_end(p);
	if (is_flags(p, q) && *skip_blanks(q))
		p = skip_blanks(q);
	if (take_time(&p, &l->at_us))
		l->has_time = known = true;
	q = take_event(p, l);
	if (!q && known) { /* a time alone is enough */
		l->rest = skip_blanks(p);
		return true;
	}
	l->rest = q ? skip_blanks(q) : p;
	return q && (known || l->event || !*l->rest);
}

/* From `p` on, behind the comm: a task and what follows; or that alone, which then has a time. */
static bool take_task_and_rest(const char *p, bool needs_time, struct perf_line *l)
{
	const struct perf_line before = *l;
	const char *q = p;

	if (*p != '[' && take_task(&q, l) && take_rest(q, l) && (!needs_time || l->has_time))
		return true;
	*l = before;
	return take_rest(p, l) && l->has_time;
}

bool import_perf_line(const char *line, struct perf_line *ret)
{
	const char *comm = skip_blanks(line), *p = comm, *end = comm;

	for (;;) {
		struct perf_line l = {.cpu = -1, .comm = comm, .comm_len = (size_t)(end - comm)};

		/* Without a comm only where a time says so: names may be figures. */
		if ((is_digit(*p) || *p == '-' || *p == '[') &&
		    take_task_and_rest(p, p == comm, &l)) {
			*ret = l;
			return true;
		}
		end = word_end(p);
		p = skip_blanks(end);
		if (!*p)
			return false;
	}
}

bool import_perf_is_record(const struct perf_line *l)
{
	return strncmp(l->event ? l->event : l->rest, "PERF_RECORD_", 12) == 0;
}

/* ---- a frame's line ---- */

static bool take_hex(const char **p, uint64_t *ret)
{
	const char *q = *p;
	uint64_t v = 0;
	unsigned n = 0;

	for (;; q++, n++) {
		char c = *q;

		if (is_digit(c))
			v = v << 4 | (uint64_t)(c - '0');
		else if (c >= 'a' && c <= 'f')
			v = v << 4 | (uint64_t)(c - 'a' + 10);
		else
			break;
	}
	if (!n || n > 16 || (*q && !is_blank(*q)))
		return false;
	*ret = v;
	*p = q;
	return true;
}

/* Where the last group in parentheses opens; NULL: the text ends with none. */
static const char *last_group(const char *p, const char *end)
{
	int depth = 0;

	if (end == p || end[-1] != ')')
		return NULL;
	for (const char *q = end; q-- > p;) {
		depth += *q == ')';
		depth -= *q == '(';
		if (!depth)
			return q;
	}
	return NULL;
}

static size_t without_offset(const char *p, size_t len)
{
	size_t at = len;

	while (at && (is_digit(p[at - 1]) || (p[at - 1] >= 'a' && p[at - 1] <= 'f')))
		at--;
	if (at == len || at < 4 || p[at - 1] != 'x' || p[at - 2] != '0' || p[at - 3] != '+')
		return len;
	return at - 3;
}

bool import_perf_frame(const char *line, size_t len, struct perf_frame *ret)
{
	const char *p = skip_blanks(line), *end = line + len, *group;
	bool source = line[0] == ' ' && line[1] == ' ' && !is_blank(line[2]);
	struct perf_frame f = {0};

	while (end > p && is_blank(end[-1]))
		end--;
	f.has_addr = take_hex(&p, &f.addr);
	group = last_group(p, end);
	f.name = skip_blanks(p);
	if (group && group > line && is_blank(group[-1])) {
		f.module = group + 1;
		f.module_len = (size_t)(end - group) - 2;
		end = group;
	}
	if (f.name > end)
		f.name = end;
	while (end > f.name && is_blank(end[-1]))
		end--;
	f.name_len = without_offset(f.name, (size_t)(end - f.name));
	if (!f.name_len && f.has_addr && f.module) { /* a name that looks like an address */
		f.has_addr = false;
		f.name = skip_blanks(line);
		f.name_len = (size_t)(word_end(f.name) - f.name);
	}
	*ret = f;
	/* Without an address, two spaces lead where the frame above it is in the source. */
	return f.has_addr || (f.name_len && (f.module || !source));
}

/* ---- events ---- */

static bool starts(const char *s, const char *with)
{
	return strncmp(s, with, strlen(with)) == 0;
}

bool import_perf_is_clock(const char *event)
{
	return starts(event, "cpu-clock") || starts(event, "task-clock");
}

bool import_perf_is_off_cpu(const char *event)
{
	return starts(event, "offcpu-time") || starts(event, "off-cpu");
}

bool import_perf_is_tracepoint(const char *event)
{
	const char *colon = strchr(event, ':');

	return colon && (strlen(colon) > 8 || strchr(colon, '_'));
}

uint32_t import_perf_known_hz(double hz)
{
	static const uint16_t known[] = {10,   19,   20,   49,	 50,   97,  99,	 100,
					 199,  200,  250,  400,	 499,  500, 997, 999,
					 1000, 1999, 2000, 3999, 4000, 4999};
	uint32_t best = 0;

	for (size_t i = 0; i < sizeof(known) / sizeof(*known); i++)
		if (!best || (hz - known[i]) * (hz - known[i]) < (hz - best) * (hz - best))
			best = known[i];
	return hz > best * 1.03 || hz < best * 0.97 ? (uint32_t)(hz + 0.5) : best;
}

/* ---- is it one ---- */

enum { LOOK_LINES = 400 };

/* One of its first lines is a sample's with a time or an event, or one without and a frame below it; or there are two
 * frames, one below the other. */
bool import_perf_looks(const char *head, size_t len)
{
	bool bare = false;
	char line[512];
	unsigned n = 0;

	for (size_t at = 0; at < len && n < LOOK_LINES; n++) {
		const char *nl = memchr(head + at, '\n', len - at);
		size_t k = nl ? (size_t)(nl - head) - at : len - at;
		struct perf_frame f;
		struct perf_line l;

		if (k >= sizeof(line)) {
			at += k + 1;
			continue;
		}
		memcpy(line, head + at, k);
		at += k + 1;
		if (k && line[k - 1] == '\r')
			k--;
		line[k] = 0;
		if (memchr(line, 0, k))
			return false;
		if (is_blank(line[0]) && import_perf_frame(line, k, &f) && f.has_addr &&
		    (bare || line[0] == '\t')) {
			if (bare)
				return true;
			bare = true;
			continue;
		}
		bare = line[0] != '#' && import_perf_line(line, &l);
		if (bare && (l.has_time || l.event))
			return true;
	}
	return false;
}
