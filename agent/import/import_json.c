#include "import/import_json.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

static int by_time(const void *a, const void *b)
{
	const struct stacks_sample *p = a, *q = b;

	if (p->at_us != q->at_us)
		return p->at_us < q->at_us ? -1 : 1;
	return p->task < q->task ? -1 : p->task > q->task;
}

void import_sort_samples(struct stacks *s)
{
	qsort(s->samples, s->n_samples, sizeof(*s->samples), by_time);
}

static bool is_blank(char c)
{
	return c == ' ' || c == '\t' || c == '\n' || c == '\r';
}

/* A list of events that was written while they came may lack its end. False: this one does not. */
static bool close_list(char *p, size_t len)
{
	size_t at = 0, end = len;

	while (at < len && is_blank(p[at]))
		at++;
	while (end > at && (is_blank(p[end - 1]) || p[end - 1] == ','))
		end--;
	if (at == len || p[at] != '[' || end == len || p[end - 1] != '}')
		return false;
	memset(p + end, ' ', len - end);
	p[end] = ']';
	return true;
}

int import_json(struct import *m, json_t **ret)
{
	json_error_t e;
	size_t len;
	char *p;
	int r = import_rest(&m->in, IMPORT_JSON_MAX, &p, &len);

	*ret = NULL;
	if (r == -EFBIG)
		return import_fail(m, r, "it is larger than %d MiB", IMPORT_JSON_MAX >> 20);
	if (r < 0)
		return 0;
	*ret = json_loadb(p, len, 0, &e);
	if (!*ret && close_list(p, len))
		*ret = json_loadb(p, len, 0, &e);
	if (!*ret)
		return import_fail(m, -EBADMSG, "it is not valid JSON: line %d: %s", e.line,
				   e.text);
	return 0;
}
