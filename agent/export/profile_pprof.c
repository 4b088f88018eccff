/*
 * pprof's profile.proto, gzipped: two values a stack, samples and their time; a process and a thread as labels.
 * A baseline's stacks are negative and labelled as pprof itself labels those of -diff_base.
 */
#include "export/profile_internal.h"

#include <errno.h>
#include <string.h>
#include <zlib.h>

struct writer {
	const struct fold_tree *t;
	struct out out, message, inner;
	struct idmap strings; /* of the tree -> of the profile */
	uint32_t n_strings;
	struct idmap mappings, locations; /* module -> id; (name, module, type) -> id */
	uint32_t n_mappings, n_locations;
	uint32_t *location; /* of a node; 0: none */
};

/* ---- strings ---- */

static uint32_t put_text(struct writer *w, const char *s)
{
	pb_text(&w->out, 6, s);
	return w->n_strings++;
}

static uint32_t string_of(struct writer *w, uint32_t string)
{
	uint32_t *i;

	if (!*tree_text(w->t, string))
		return 0;
	i = idmap_put(&w->strings, string, w->n_strings);
	if (!i) {
		w->out.failed = true;
		return 0;
	}
	return *i == w->n_strings ? put_text(w, tree_text(w->t, string)) : *i;
}

/* ---- what samples refer to ---- */

static void put_message(struct writer *w, uint32_t field)
{
	w->out.failed |= w->message.failed;
	pb_bytes(&w->out, field, w->message.p, w->message.len);
	w->message.len = 0;
}

static uint32_t mapping_of(struct writer *w, const struct fold_node *n)
{
	uint32_t *id, name, build_id;

	if (!n->module || !*tree_text(w->t, n->module))
		return 0;
	id = idmap_put(&w->mappings, (uint64_t)n->module << 32 | n->build_id, w->n_mappings + 1);
	if (!id) {
		w->out.failed = true;
		return 0;
	}
	if (*id <= w->n_mappings)
		return *id;
	name = string_of(w, n->module);
	build_id = string_of(w, n->build_id);
	pb_uint(&w->message, 1, ++w->n_mappings);
	pb_uint(&w->message, 3, UINT64_MAX);
	pb_uint(&w->message, 5, name);
	pb_uint(&w->message, 6, build_id);
	pb_uint(&w->message, 7, 1); /* has_functions: pprof looks for no symbols */
	put_message(w, 3);
	return w->n_mappings;
}

/* Where it was sampled, so that its code can be shown there. */
static uint64_t address_of(const struct fold_node *n)
{
	uint32_t at = n->self_at ? n->self_at : n->call_at;

	return at ? n->addr + at - 1 : n->addr;
}

/* One location and one function of the same number for each function; of the first node, which knows its places. */
static uint32_t location_of(struct writer *w, const struct fold_node *n)
{
	uint64_t key = idmap_mix((uint64_t)n->name << 32 | n->module) ^ n->type;
	uint32_t *id = idmap_put(&w->locations, key, w->n_locations + 1);
	uint32_t name, mapping;

	if (!id) {
		w->out.failed = true;
		return 0;
	}
	if (*id <= w->n_locations)
		return *id;
	w->n_locations++;
	name = string_of(w, n->name);
	mapping = mapping_of(w, n);
	pb_uint(&w->message, 1, w->n_locations);
	pb_uint(&w->message, 2, name);
	pb_uint(&w->message, 3, name);
	put_message(w, 5);
	w->inner.len = 0;
	pb_uint(&w->inner, 1, w->n_locations);
	pb_uint(&w->message, 1, w->n_locations);
	pb_uint(&w->message, 2, mapping);
	pb_uint(&w->message, 3, address_of(n));
	pb_bytes(&w->message, 4, w->inner.p, w->inner.len);
	put_message(w, 4);
	return w->n_locations;
}

/* ---- samples ---- */

static void put_label(struct writer *w, uint32_t key, uint32_t value)
{
	w->inner.len = 0;
	pb_uint(&w->inner, 1, key);
	pb_uint(&w->inner, 2, value);
	pb_bytes(&w->message, 3, w->inner.p, w->inner.len);
}

struct keys {
	uint32_t process, thread, base, yes;
};

static void put_sample(struct writer *w, uint32_t i, int64_t n, int64_t value, bool base,
		       const struct keys *keys)
{
	const struct fold_tree *t = w->t;

	w->inner.len = 0;
	for (uint32_t k = i; k; k = t->nodes[k].parent)
		if (w->location[k])
			out_varint(&w->inner, w->location[k]);
	pb_bytes(&w->message, 1, w->inner.p, w->inner.len);
	w->inner.len = 0;
	out_varint(&w->inner, (uint64_t)n);
	out_varint(&w->inner, (uint64_t)value);
	pb_bytes(&w->message, 2, w->inner.p, w->inner.len);
	for (uint32_t k = i; k; k = t->nodes[k].parent)
		if (tree_is_task(&t->nodes[k]))
			put_label(w, t->nodes[k].parent ? keys->thread : keys->process,
				  string_of(w, t->nodes[k].name));
	if (base)
		put_label(w, keys->base, keys->yes);
	put_message(w, 2);
}

static int64_t samples_of(const struct fold_sum *sum, uint64_t us)
{
	double v = sum->weight_us ? (double)us * (double)sum->n / (double)sum->weight_us : 0;

	return v > 0 && v < 1 ? 1 : (int64_t)(v + 0.5);
}

static void put_samples(struct writer *w, const struct profile_about *about,
			const struct keys *keys)
{
	const struct fold_tree *t = w->t;
	uint64_t bytes;
	bool counted = profile_is_counted(about, &bytes);
	int64_t unit = counted ? (int64_t)(bytes ? bytes : 1) : 1000; /* ns a us */

	for (uint32_t i = 1; i < t->n_nodes; i++)
		if (!tree_is_task(&t->nodes[i]))
			w->location[i] = location_of(w, &t->nodes[i]);
	for (uint32_t i = 0; i < t->n_nodes; i++) {
		const struct fold_node *n = &t->nodes[i];
		uint64_t base = tree_scaled(t, n->base_self_us);

		if (n->self_us)
			put_sample(w, i, samples_of(tree_rate(t), n->self_us),
				   (int64_t)n->self_us * unit, false, keys);
		if (base)
			put_sample(w, i, -samples_of(tree_rate(t), base), -(int64_t)base * unit,
				   true, keys);
	}
}

static void put_types(struct writer *w, const struct profile_about *about)
{
	uint64_t bytes;
	bool units = profile_is_counted(about, &bytes);
	const char *what = about->what && *about->what ? about->what : about->unit;
	uint32_t samples = put_text(w, "samples"), count = put_text(w, "count");
	uint32_t type = put_text(w, units ? what : about->kind == STACKS_OFF ? "off-cpu" : "cpu");
	uint32_t unit = put_text(w, !units ? "nanoseconds" : bytes ? "bytes" : "count");

	pb_uint(&w->message, 1, samples);
	pb_uint(&w->message, 2, count);
	put_message(w, 1);
	pb_uint(&w->message, 1, type);
	pb_uint(&w->message, 2, unit);
	put_message(w, 1);
	pb_int(&w->out, 9, about->wall_from_us * 1000);
	pb_uint(&w->out, 10, w->t->sum.span_us * 1000);
	if (!units && about->kind == STACKS_CPU && w->t->sum.hz_max) {
		pb_uint(&w->message, 1, type);
		pb_uint(&w->message, 2, unit);
		put_message(w, 11);
		pb_uint(&w->out, 12, 1000000000 / w->t->sum.hz_max);
	}
	if (about->title)
		pb_uint(&w->out, 13, put_text(w, about->title));
	pb_uint(&w->out, 14, type);
}

static int pack(struct emit *e, struct out *o)
{
	z_stream z = {0};
	uint8_t buf[16384];
	int r;

	if (deflateInit2(&z, 6, Z_DEFLATED, 15 + 16, 8, Z_DEFAULT_STRATEGY) != Z_OK)
		return -ENOMEM;
	z.next_in = o->p;
	z.avail_in = (uInt)o->len;
	do {
		z.next_out = buf;
		z.avail_out = sizeof(buf);
		r = deflate(&z, Z_FINISH);
		emit_bytes(e, buf, sizeof(buf) - z.avail_out);
	} while (r == Z_OK);
	deflateEnd(&z);
	return r == Z_STREAM_END ? 0 : -ENOMEM;
}

int profile_pprof(const struct fold_tree *t, const struct profile_about *about, struct emit *e)
{
	struct writer w = {.t = t};
	struct keys keys;
	int r;

	w.location = calloc((size_t)t->n_nodes + 1, sizeof(*w.location));
	if (!w.location)
		return -ENOMEM;
	put_text(&w, "");
	put_types(&w, about);
	keys.process = put_text(&w, "process");
	keys.thread = put_text(&w, "thread");
	keys.base = put_text(&w, "pprof::base");
	keys.yes = put_text(&w, "true");
	put_samples(&w, about, &keys);
	r = w.out.failed || w.inner.failed || w.out.len > UINT32_MAX ? -ENOMEM : pack(e, &w.out);
	out_done(&w.out);
	out_done(&w.message);
	out_done(&w.inner);
	idmap_done(&w.strings);
	idmap_done(&w.mappings);
	idmap_done(&w.locations);
	free(w.location);
	return r;
}
