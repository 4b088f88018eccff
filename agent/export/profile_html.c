/*
 * One page with all that it needs: the tree as columns of JSON within it (ui/src/flame/main.ts). Weights that are
 * no times have a plainer page of their own, which names their unit.
 */
#include "export/page.h"
#include "export/profile_internal.h"

#include <errno.h>
#include <string.h>

static void put_sum(struct emit *e, const char *key, const struct fold_sum *s, uint32_t n_cpus)
{
	const struct {
		const char *name;
		uint64_t v;
	} fields[] = {{"n", s->n},
		      {"weight_us", s->weight_us},
		      {"span_us", s->span_us},
		      {"covered_us", s->covered_us},
		      {"shallow", s->shallow},
		      {"truncated", s->truncated},
		      {"lost", s->lost},
		      {"throttled", s->throttled},
		      {"hz_min", s->hz_min},
		      {"hz_max", s->hz_max},
		      {"n_cpus", n_cpus}};

	emit_key(e, key);
	emit_open(e, '{');
	for (size_t i = 0; i < sizeof(fields) / sizeof(*fields); i++)
		emit_key_int(e, fields[i].name, (int64_t)fields[i].v);
	emit_close(e, '}');
}

static void put_about(const struct fold_tree *t, const struct profile_about *a, struct emit *e)
{
	emit_key_string(e, "title", a->title);
	emit_key_string(e, "host", a->host);
	emit_key_string(e, "version", a->version);
	emit_key_int(e, "from", a->wall_from_us);
	emit_key_int(e, "to", a->wall_to_us);
	emit_key_int(e, "base_from", a->wall_base_from_us);
	emit_key_int(e, "base_to", a->wall_base_to_us);
	emit_key(e, "off_cpu");
	emit_bool(e, a->kind == STACKS_OFF);
	emit_key_string(e, "unit", a->unit && *a->unit ? a->unit : "us");
	emit_key_int(e, "left_out", t->left_out);
	put_missing(e, a);
	put_sum(e, "sum", &t->sum, a->n_cpus);
	if (tree_is_diff(t))
		put_sum(e, "base", &t->base, a->n_cpus);
}

/* A column of the nodes, by what is at an offset of each. */
static void put_weights(const struct fold_tree *t, const char *key, size_t offset, struct emit *e)
{
	emit_key(e, key);
	emit_open(e, '[');
	for (uint32_t i = 0; i < t->n_nodes; i++) {
		uint64_t v;

		memcpy(&v, (const char *)&t->nodes[i] + offset, sizeof(v));
		emit_int(e, (int64_t)v);
	}
	emit_close(e, ']');
}

static int put_depths(const struct fold_tree *t, struct emit *e)
{
	uint32_t *depth = calloc((size_t)t->n_nodes + 1, sizeof(*depth));

	if (!depth)
		return -ENOMEM;
	emit_key(e, "depth");
	emit_open(e, '[');
	for (uint32_t i = 0; i < t->n_nodes; i++) {
		depth[i] = i ? depth[t->nodes[i].parent] + 1 : 0;
		emit_int(e, depth[i]);
	}
	emit_close(e, ']');
	free(depth);
	return 0;
}

static void put_names(const struct fold_tree *t, struct emit *e)
{
	emit_key(e, "strings");
	emit_open(e, '[');
	for (uint32_t i = 0; i < t->n_strings; i++)
		emit_string(e, tree_text(t, i));
	emit_close(e, ']');
	emit_key(e, "name");
	emit_open(e, '[');
	for (uint32_t i = 0; i < t->n_nodes; i++)
		emit_int(e, t->nodes[i].name);
	emit_close(e, ']');
	emit_key(e, "module");
	emit_open(e, '[');
	for (uint32_t i = 0; i < t->n_nodes; i++)
		emit_int(e, t->nodes[i].module);
	emit_close(e, ']');
	emit_key(e, "type");
	emit_open(e, '[');
	for (uint32_t i = 0; i < t->n_nodes; i++)
		emit_int(e, t->nodes[i].type);
	emit_close(e, ']');
}

static int put_tree(const struct fold_tree *t, const struct profile_about *about, struct emit *e)
{
	int r;

	emit_open(e, '{');
	put_about(t, about, e);
	put_names(t, e);
	r = put_depths(t, e);
	put_weights(t, "total_us", offsetof(struct fold_node, total_us), e);
	put_weights(t, "self_us", offsetof(struct fold_node, self_us), e);
	if (tree_is_diff(t)) {
		put_weights(t, "base_total_us", offsetof(struct fold_node, base_total_us), e);
		put_weights(t, "base_self_us", offsetof(struct fold_node, base_self_us), e);
	}
	emit_close(e, '}');
	return r;
}

int profile_html(const struct fold_tree *t, const struct profile_about *about, struct emit *e)
{
	static const char mark[] = "<script type=\"application/json\" id=\"profile\">";
	const char *page = about->unit && *about->unit ? count_page : flame_page;
	const char *at = strstr(page, mark);
	int r;

	if (!at)
		return -EINVAL;
	at += sizeof(mark) - 1;
	emit_bytes(e, page, (size_t)(at - page));
	e->last = '['; /* JSON begins anew */
	r = put_tree(t, about, e);
	emit_text(e, at);
	return r;
}
