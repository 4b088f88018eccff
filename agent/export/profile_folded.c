/* Folded stacks: what flamegraph.pl, speedscope and others read. */
#include "export/profile_internal.h"

#include <errno.h>
#include <string.h>

/* What separates frames and ends lines may not stand in a name. */
static void put_name(struct emit *e, const char *s)
{
	while (*s) {
		size_t n = strcspn(s, ";\n\r");

		emit_bytes(e, s, n);
		s += n;
		if (*s) {
			emit_bytes(e, *s == ';' ? ":" : " ", 1);
			s++;
		}
	}
}

/* Weights as samples; where they are no ticks of a clock as they are. */
static uint64_t figure(const struct fold_sum *sum, const struct profile_about *about, uint64_t us)
{
	double v;

	if ((about->unit && *about->unit) || about->kind == STACKS_OFF || !sum->weight_us)
		return us;
	v = (double)us * (double)sum->n / (double)sum->weight_us;
	return v > 0 && v < 1 ? 1 : (uint64_t)(v + 0.5);
}

/* As stackcollapse-perf.pl --all. */
static const char *suffix(const struct fold_node *n)
{
	return n->type == STACKS_KERNEL	   ? "_[k]"
	       : n->type == STACKS_JIT	   ? "_[j]"
	       : n->type == STACKS_INLINED ? "_[i]"
					   : "";
}

int profile_folded(const struct fold_tree *t, const struct profile_about *about, struct emit *e)
{
	uint32_t *path = malloc(((size_t)t->n_nodes + 1) * sizeof(*path));

	if (!path)
		return -ENOMEM;
	for (uint32_t i = 0; i < t->n_nodes; i++) {
		const struct fold_node *n = &t->nodes[i];
		uint32_t depth = 0;

		if (!n->self_us && !n->base_self_us)
			continue;
		for (uint32_t k = i; k; k = t->nodes[k].parent)
			path[depth++] = k;
		if (!depth)
			emit_text(e, "[no stack]");
		while (depth--) {
			put_name(e, tree_text(t, t->nodes[path[depth]].name));
			if (about->annotate)
				emit_text(e, suffix(&t->nodes[path[depth]]));
			if (depth)
				emit_bytes(e, ";", 1);
		}
		if (tree_is_diff(t))
			emit_format(e, " %llu",
				    (unsigned long long)figure(tree_rate(t), about,
							       tree_scaled(t, n->base_self_us)));
		emit_format(e, " %llu\n",
			    (unsigned long long)figure(tree_rate(t), about, n->self_us));
	}
	free(path);
	return 0;
}
