/* A tree as nested JSON. */
#include "export/profile_internal.h"

#include <errno.h>

static void put_about(const struct fold_tree *t, const struct profile_about *a, struct emit *e)
{
	bool units = a->unit && *a->unit;

	emit_key(e, "about");
	emit_open(e, '{');
	emit_key_string(e, "title", a->title);
	emit_key_string(e, "host", a->host);
	emit_key_string(e, "version", a->version);
	emit_key(e, "from");
	emit_millionths(e, a->wall_from_us);
	emit_key(e, "to");
	emit_millionths(e, a->wall_to_us);
	emit_key_string(e, "unit", units ? a->unit : "us");
	emit_key_string(e, "kind", a->kind == STACKS_OFF ? "off" : "cpu");
	emit_key_int(e, "samples", (int64_t)t->sum.n);
	emit_key_int(e, "span_us", (int64_t)t->sum.span_us);
	emit_key_int(e, "covered_us", (int64_t)t->sum.covered_us);
	emit_key_int(e, "hz_min", t->sum.hz_min);
	emit_key_int(e, "hz_max", t->sum.hz_max);
	emit_key_int(e, "lost", (int64_t)t->sum.lost);
	emit_key_int(e, "throttled", (int64_t)t->sum.throttled);
	emit_key_int(e, "shallow", (int64_t)t->sum.shallow);
	emit_key_int(e, "truncated", (int64_t)t->sum.truncated);
	emit_key_int(e, "left_out", t->left_out);
	emit_key(e, "diff");
	emit_bool(e, tree_is_diff(t));
	if (tree_is_diff(t)) {
		emit_key_int(e, "base_samples", (int64_t)t->base.n);
		emit_key_int(e, "base_span_us", (int64_t)t->base.span_us);
	}
	put_missing(e, a);
	emit_close(e, '}');
}

static void open_node(const struct fold_tree *t, uint32_t i, struct emit *e)
{
	const struct fold_node *n = &t->nodes[i];
	const char *module = tree_text(t, n->module);

	emit_open(e, '{');
	emit_key_string(e, "n", i ? tree_text(t, n->name) : "all");
	emit_key_int(e, "v", (int64_t)n->total_us);
	emit_key_string(e, "l", i ? tree_type_name(t, i) : "");
	if (n->module && *module)
		emit_key_string(e, "m", module);
	if (tree_is_diff(t)) {
		uint64_t base = tree_scaled(t, n->base_total_us);

		emit_key_int(e, "b", (int64_t)base);
		emit_key_int(e, "d", (int64_t)n->total_us - (int64_t)base);
	}
}

int profile_json(const struct fold_tree *t, const struct profile_about *about, struct emit *e)
{
	uint32_t open = 0; /* the innermost that is not closed */

	if (!t->n_nodes)
		return -EINVAL;
	open_node(t, 0, e);
	put_about(t, about, e);
	emit_key(e, "c");
	emit_open(e, '[');
	for (uint32_t i = 1; i < t->n_nodes; i++) {
		for (; open != t->nodes[i].parent && open; open = t->nodes[open].parent)
			emit_text(e, "]}");
		open_node(t, i, e);
		emit_key(e, "c");
		emit_open(e, '[');
		open = i;
	}
	for (; open; open = t->nodes[open].parent)
		emit_text(e, "]}");
	emit_text(e, "]}\n");
	return 0;
}
