#include "store/mirror_internal.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <zlib.h>

#include "base/cleanup.h"

enum { NAMES_MAX = 1024, GROUP_BYTES_MIN = 8, METRIC_BYTES_MIN = 9 };

/* A cursor over the payload; the first thing that goes wrong stays in `error`. */
struct input {
	const uint8_t *p, *end;
	int error;
};

static uint64_t get(struct input *in, uint64_t max)
{
	uint64_t v = 0;

	if (!in->error && (!varint_get(&in->p, in->end, &v) || v > max))
		in->error = -EBADMSG;
	return in->error ? 0 : v;
}

/* A count of things that take at least `each` bytes. */
static uint32_t get_count(struct input *in, uint64_t max, size_t each)
{
	uint64_t n = get(in, max);

	if (n > (size_t)(in->end - in->p) / each)
		in->error = -EBADMSG;
	return in->error ? 0 : (uint32_t)n;
}

static char *get_string(struct input *in)
{
	struct text t = {0};
	char *s;

	if (!in->error) {
		t = frame_text(&in->p, in->end);
		if (!t.s || memchr(t.s, 0, t.len))
			in->error = -EBADMSG;
	}
	if (in->error)
		return NULL;
	s = strndup(t.s, t.len);
	if (!s)
		in->error = -ENOMEM;
	return s;
}

/* An array of n zeroed elements; NULL and no error when n is 0. */
static void *get_array(struct input *in, uint32_t n, size_t size)
{
	void *a = n && !in->error ? calloc(n, size) : NULL;

	if (n && !a && !in->error)
		in->error = -ENOMEM;
	return a;
}

static char **get_strings(struct input *in, uint64_t max, uint32_t *ret_n)
{
	uint32_t n = get_count(in, max, 1);
	char **list = get_array(in, n, sizeof(*list));

	*ret_n = list ? n : 0;
	for (uint32_t i = 0; i < *ret_n; i++)
		list[i] = get_string(in);
	return list;
}

static void get_metric(struct input *in, struct mirror_metric *m)
{
	uint64_t sem;

	m->name = get_string(in);
	m->unit = get_string(in);
	m->source = get_string(in);
	m->help = get_string(in);
	sem = get(in, SEM_DISCRETE);
	m->sem = (enum semantics)sem;
	m->mul = (uint32_t)get(in, UINT32_MAX);
	m->div = (uint32_t)get(in, UINT32_MAX);
	m->quantum = zigzag_decode(get(in, UINT64_MAX));
	m->names = get_strings(in, NAMES_MAX, &m->n_names);
	if (!in->error && (!m->mul || !m->div))
		in->error = -EBADMSG;
}

static void get_group(struct input *in, struct mirror_group *g)
{
	uint32_t n;

	g->name = get_string(in);
	g->indom = get_string(in);
	if (g->indom && !*g->indom) {
		free(g->indom);
		g->indom = NULL;
	}
	g->max_instances = (uint32_t)get(in, MIRROR_SLOTS_MAX);
	get(in, UINT64_MAX); /* flags: how the agent ends instances; readers are told of each */
	g->period_ms = (uint32_t)get(in, UINT32_MAX);
	g->attr_keys = get_strings(in, ATTRS_MAX, &g->n_attrs);
	n = get_count(in, GROUP_METRICS_MAX, METRIC_BYTES_MIN);
	g->metrics = get_array(in, n, sizeof(*g->metrics));
	g->n_metrics = g->metrics ? n : 0;
	for (uint32_t m = 0; m < g->n_metrics; m++)
		get_metric(in, &g->metrics[m]);
	if (!in->error && (!g->n_metrics || !g->max_instances))
		in->error = -EBADMSG;
}

static void free_strings(char **list, uint32_t n)
{
	for (uint32_t i = 0; i < n; i++)
		free(list[i]);
	free(list);
}

static void free_metric(struct mirror_metric *m)
{
	free(m->name);
	free(m->unit);
	free(m->source);
	free(m->help);
	free_strings(m->names, m->n_names);
}

void mirror_free_groups(struct mirror_group *groups, uint32_t n)
{
	for (uint32_t i = 0; i < n; i++) {
		struct mirror_group *g = &groups[i];

		free(g->name);
		free(g->indom);
		for (uint32_t m = 0; m < g->n_metrics; m++)
			free_metric(&g->metrics[m]);
		free(g->metrics);
		free_strings(g->attr_keys, g->n_attrs);
		if (g->n_attrs && g->cap_slots) /* one array, handed out to the instances */
			free_strings(g->inst[0].attrs, g->cap_slots * g->n_attrs);
		free(g->inst);
		free(g->rows);
	}
	free(groups);
}

/* Where the groups stand: in the frame, or inflated into *ret_buf, which the caller frees. */
static void inflate_groups(struct input *in, uint8_t **ret_buf)
{
	size_t n = (size_t)get(in, FRAME_CATALOG_MAX);
	uLongf len = n;

	if (!n || in->error)
		return;
	*ret_buf = malloc(n);
	if (!*ret_buf)
		in->error = -ENOMEM;
	else if (uncompress(*ret_buf, &len, in->p, (uLong)(in->end - in->p)) != Z_OK || len != n)
		in->error = -EBADMSG;
	if (in->error)
		return;
	in->p = *ret_buf;
	in->end = *ret_buf + len;
}

int mirror_apply_catalog(struct mirror *m, const struct frame *f)
{
	struct input in = {.p = f->data + 1, .end = f->data + f->len};
	uint32_t version = (uint32_t)get(&in, UINT32_MAX), n;
	_cleanup_free_ uint8_t *plain = NULL;
	struct mirror_group *groups;

	if (in.error || !version)
		return -EBADMSG;
	if (version == m->version)
		return 0;
	inflate_groups(&in, &plain);
	n = get_count(&in, UINT32_MAX, GROUP_BYTES_MIN);
	groups = get_array(&in, n, sizeof(*groups));
	for (uint32_t g = 0; groups && g < n; g++)
		get_group(&in, &groups[g]);
	if (!in.error && in.p != in.end)
		in.error = -EBADMSG;
	if (in.error) {
		mirror_free_groups(groups, groups ? n : 0);
		return in.error;
	}
	mirror_free_groups(m->groups, m->n_groups);
	m->groups = groups;
	m->n_groups = n;
	m->n_adopted = 0;
	m->version = version;
	m->keyed = false;
	m->only = NULL;
	m->n_slots = m->n_cells = 0;
	return 0;
}

int mirror_adopt(struct mirror *m, struct mirror *from, uint32_t group)
{
	struct mirror_group *groups = realloc(m->groups, (m->n_groups + 1) * sizeof(*groups)), *g;

	if (!groups)
		return -ENOMEM;
	m->groups = groups;
	g = &m->groups[m->n_groups++];
	m->n_adopted++;
	*g = from->groups[group];
	from->groups[group] = (struct mirror_group){0};
	return 0;
}
