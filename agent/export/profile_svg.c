/* A flame graph as one picture, without a script: for documents, tickets and mail, where a page cannot stand. Each frame says
 * on hovering what it is. */
#include "export/profile_internal.h"

#include <errno.h>
#include <string.h>

enum { WIDTH = 1200, PAD = 10, ROW = 16, TOP = 46, BOTTOM = 10, LEVELS_MAX = 2000 };

static const double CHAR_PX = 7.0, LEAST_PX = 0.1;

struct svg {
	const struct fold_tree *t;
	const struct profile_about *about;
	struct emit *e;
	double scale;	/* px of a weight */
	double *x;	/* of a node, in px */
	double *filled; /* of a node's width, by its children */
	unsigned levels;
};

/* ---- colours ---- */

static uint32_t hash_name(const char *s)
{
	uint32_t h = 2166136261u;

	for (; *s; s++)
		h = (h ^ (unsigned char)*s) * 16777619u;
	return h ^ h >> 15;
}

/* Of its kind, the same for the same name everywhere. */
static uint32_t colour_of(const struct svg *s, const struct fold_node *n)
{
	static const uint8_t kinds[STACKS_TYPES + 1][3] = {
		[STACKS_UNKNOWN] = {190, 190, 190}, [STACKS_USER] = {225, 95, 60},
		[STACKS_LIBRARY] = {225, 185, 75},  [STACKS_KERNEL] = {230, 140, 50},
		[STACKS_JIT] = {110, 185, 95},	    [STACKS_INLINED] = {105, 180, 190},
		[STACKS_TYPES] = {165, 175, 200}};
	uint32_t h = hash_name(tree_text(s->t, n->name)), rgb = 0;

	for (unsigned i = 0; i < 3; i++)
		rgb = rgb << 8 |
		      (kinds[n->type > STACKS_TYPES ? 0 : n->type][i] + (h >> i * 8) % 26);
	return rgb;
}

/* Red: more of it than in the baseline; blue: less. Full at a tenth of all. */
static uint32_t change_colour(const struct svg *s, const struct fold_node *n)
{
	double all = (double)s->t->nodes[0].total_us;
	double d = ((double)n->total_us - (double)tree_scaled(s->t, n->base_total_us)) / all * 10;
	uint32_t pale = (uint32_t)(235 - 165 * (d > 1 || d < -1 ? 1 : d < 0 ? -d : d));

	return d > 0 ? 235u << 16 | pale << 8 | pale : pale << 16 | pale << 8 | 235u;
}

/* ---- texts ---- */

static void put_amount(const struct svg *s, uint64_t us)
{
	const struct fold_sum *sum = &s->t->sum;
	uint64_t bytes;

	if (profile_is_counted(s->about, &bytes))
		emit_format(s->e, "%llu %.20s", (unsigned long long)us, s->about->unit);
	else if (s->about->kind == STACKS_OFF || !sum->weight_us)
		emit_format(s->e, "%.3f ms", (double)us / 1e3);
	else
		emit_format(s->e, "%.0f samples",
			    (double)us * (double)sum->n / (double)sum->weight_us);
}

static void put_title(const struct svg *s, const struct fold_node *n, const char *name)
{
	double all = (double)s->t->nodes[0].total_us;

	emit_text(s->e, "<title>");
	emit_xml(s->e, name, SIZE_MAX);
	if (n->module && *tree_text(s->t, n->module)) {
		emit_text(s->e, " [");
		emit_xml(s->e, tree_text(s->t, n->module), SIZE_MAX);
		emit_text(s->e, "]");
	}
	emit_text(s->e, " (");
	put_amount(s, n->total_us);
	emit_format(s->e, ", %.2f%%", all > 0 ? 100 * (double)n->total_us / all : 0.0);
	if (tree_is_diff(s->t) && all > 0)
		emit_format(
			s->e, "; %+.2f%%",
			100 * ((double)n->total_us - (double)tree_scaled(s->t, n->base_total_us)) /
				all);
	emit_text(s->e, ")</title>");
}

static void put_frame(const struct svg *s, uint32_t i, double width)
{
	const struct fold_node *n = &s->t->nodes[i];
	const char *name = i ? tree_text(s->t, n->name) : "all";
	double y = TOP + (double)(s->levels - 1 - n->depth) * ROW;
	size_t fits = width > 6 ? (size_t)((width - 6) / CHAR_PX) : 0;

	emit_text(s->e, "<g>");
	put_title(s, n, name);
	emit_format(s->e,
		    "<rect x=\"%.1f\" y=\"%.0f\" width=\"%.1f\" height=\"%d\" fill=\"#%06x\"/>",
		    s->x[i], y, width, ROW - 1,
		    tree_is_diff(s->t) ? change_colour(s, n) : colour_of(s, n));
	if (fits >= 3) {
		emit_format(s->e, "<text x=\"%.1f\" y=\"%.0f\">", s->x[i] + 3, y + 11.5);
		emit_xml(s->e, name, strlen(name) > fits ? fits - 2 : SIZE_MAX);
		emit_text(s->e, strlen(name) > fits ? "..</text>" : "</text>");
	}
	emit_text(s->e, "</g>\n");
}

/* ---- all of it ---- */

static void put_head(const struct svg *s)
{
	unsigned height = TOP + s->levels * ROW + BOTTOM;

	emit_format(s->e,
		    "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<svg "
		    "xmlns=\"http://www.w3.org/2000/svg\" width=\"%d\" height=\"%u\" viewBox=\"0 0 "
		    "%d %u\">\n",
		    WIDTH, height, WIDTH, height);
	emit_text(s->e, "<style>text{font:12px Verdana,DejaVu Sans,sans-serif;fill:#111}"
			".t{font-size:17px;text-anchor:middle}.s{text-anchor:middle;fill:#555}"
			"g:hover rect{stroke:#000;stroke-width:.5}</style>\n");
	emit_format(s->e, "<rect width=\"%d\" height=\"%u\" fill=\"#fafafa\"/>\n", WIDTH, height);
	emit_format(s->e, "<text class=\"t\" x=\"%d\" y=\"22\">", WIDTH / 2);
	emit_xml(s->e, profile_title(s->about), SIZE_MAX);
	emit_format(s->e, "</text>\n<text class=\"s\" x=\"%d\" y=\"38\">", WIDTH / 2);
	put_amount(s, s->t->nodes[0].total_us);
	if (s->about->kind == STACKS_OFF)
		emit_text(s->e, " off the CPU");
	if (s->t->sum.hz_max && s->about->kind != STACKS_OFF)
		emit_format(s->e, " at %u Hz", s->t->sum.hz_max);
	if (s->about->host && *s->about->host) {
		emit_text(s->e, " of ");
		emit_xml(s->e, s->about->host, SIZE_MAX);
	}
	emit_text(s->e, "</text>\n");
}

static void place(struct svg *s)
{
	const struct fold_tree *t = s->t;

	s->levels = 1;
	s->scale = t->nodes[0].total_us ? (WIDTH - 2 * PAD) / (double)t->nodes[0].total_us : 0;
	s->x[0] = PAD;
	for (uint32_t i = 1; i < t->n_nodes; i++) {
		uint32_t parent = t->nodes[i].parent;
		double width = (double)t->nodes[i].total_us * s->scale;

		s->x[i] = s->x[parent] + s->filled[parent];
		s->filled[parent] += width;
		if (width >= LEAST_PX && t->nodes[i].depth + 1u > s->levels)
			s->levels = t->nodes[i].depth + 1u;
	}
	if (s->levels > LEVELS_MAX)
		s->levels = LEVELS_MAX;
}

int profile_svg(const struct fold_tree *t, const struct profile_about *about, struct emit *e)
{
	struct svg s = {.t = t, .about = about, .e = e};
	int r;

	if (!t->n_nodes)
		return -EINVAL;
	s.x = calloc(t->n_nodes, sizeof(*s.x));
	s.filled = calloc(t->n_nodes, sizeof(*s.filled));
	if (s.x && s.filled) {
		place(&s);
		put_head(&s);
		for (uint32_t i = 0; i < t->n_nodes; i++) {
			double width = (double)t->nodes[i].total_us * s.scale;

			if (width >= LEAST_PX && t->nodes[i].depth < s.levels)
				put_frame(&s, i, width);
		}
		emit_text(e, "</svg>\n");
	}
	r = s.x && s.filled ? 0 : -ENOMEM;
	free(s.filled);
	free(s.x);
	return r;
}
