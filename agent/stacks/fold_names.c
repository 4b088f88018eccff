/* Frames by what they are called, whichever set of stacks and address they come from. */
#include <endian.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "stacks/fold_internal.h"

enum { NAME_MAX_LEN = 4096 };

int names_open(struct names *n)
{
	*n = (struct names){.own = stacks_new()};
	return n->own ? 0 : -ENOMEM;
}

void names_close(struct names *n)
{
	stacks_free(n->own);
	free(n->addrs);
	free(n->build_ids);
	free(n->times);
	free(n->map);
	*n = (struct names){0};
}

int names_begin(struct names *n, const struct stacks *from)
{
	if (from->n_frames > n->cap_map) {
		free(n->map);
		n->cap_map = 0;
		n->map = malloc(from->n_frames * sizeof(*n->map));
		if (!n->map)
			return -ENOMEM;
		n->cap_map = from->n_frames;
	}
	memset(n->map, 0, from->n_frames * sizeof(*n->map));
	if (n->times)
		memset(n->times, 0, n->cap);
	n->from = from;
	return 0;
}

static int reserve(struct names *n, uint32_t count)
{
	uint64_t *addrs;
	uint8_t *times;
	uint32_t *ids, cap = n->cap ? n->cap * 2 : 1024;

	if (count <= n->cap)
		return 0;
	while (cap < count)
		cap *= 2;
	addrs = realloc(n->addrs, cap * sizeof(*addrs));
	if (!addrs)
		return -ENOMEM;
	n->addrs = addrs;
	ids = realloc(n->build_ids, cap * sizeof(*ids));
	if (!ids)
		return -ENOMEM;
	n->build_ids = ids;
	times = realloc(n->times, cap);
	if (!times)
		return -ENOMEM;
	n->times = times;
	memset(times + n->cap, 0, cap - n->cap);
	memset(addrs + n->cap, 0, (cap - n->cap) * sizeof(*addrs));
	memset(ids + n->cap, 0, (cap - n->cap) * sizeof(*ids));
	n->cap = cap;
	return 0;
}

static struct stacks_place moved(struct stacks_place p, uint64_t by)
{
	if (p.votes && by < UINT32_MAX - p.off - 1)
		p.off += (uint32_t)by;
	else
		p = (struct stacks_place){0};
	return p;
}

/* Places of a frame that is called as one of ours. */
static void join_places(struct names *n, uint32_t i, const struct stacks_frame *f)
{
	struct stacks_frame *own = &n->own->frames[i];
	struct stacks_place self, call;

	if (f->addr < n->addrs[i]) {
		own->self = moved(own->self, n->addrs[i] - f->addr);
		own->call = moved(own->call, n->addrs[i] - f->addr);
		n->addrs[i] = f->addr;
	}
	self = moved(f->self, f->addr - n->addrs[i]);
	call = moved(f->call, f->addr - n->addrs[i]);
	stacks_place_add_self(&own->self, &self);
	stacks_place_add_call(&own->call, &call);
}

static void join_file(struct names *n, uint32_t i, const struct stacks_frame *f, bool is_new)
{
	const char *id = stacks_text(n->from, n->from->modules[f->module].build_id);
	struct stacks_frame *own = &n->own->frames[i];

	if (is_new || !n->addrs[i] || (*id && !n->build_ids[i])) {
		own->self = own->call = (struct stacks_place){0};
		n->addrs[i] = f->addr;
		n->build_ids[i] = stacks_string(n->own, id, strlen(id));
		join_places(n, i, f);
	} else if (f->addr && strcmp(id, stacks_text(n->own, n->build_ids[i])) == 0) {
		join_places(n, i, f);
	}
}

uint32_t names_look_up(struct names *n, uint32_t frame)
{
	const struct stacks_frame *f = &n->from->frames[frame];
	const char *module = stacks_frame_module(n->from, frame), *name;
	uint32_t before = n->own->n_frames, i;
	struct stacks_frame key = {.type = f->type};
	char buf[NAME_MAX_LEN];

	name = stacks_frame_name(n->from, frame, buf, sizeof(buf));
	key.name = stacks_string(n->own, name, strlen(name));
	key.module = stacks_module(n->own, module, "");
	i = stacks_frame(n->own, &key);
	if (stacks_failed(n->own) || reserve(n, n->own->n_frames) < 0)
		return 0;
	join_file(n, i, f, n->own->n_frames > before);
	if (n->times[i] < 2)
		n->times[i]++;
	n->map[frame] = i + 1;
	return i;
}

/* ---- order ---- */

struct name_key {
	uint64_t start; /* the first bytes of the name, as a number */
	uint32_t frame;
};

static uint64_t name_start(const char *name)
{
	uint64_t v = 0;

	memcpy(&v, name, strnlen(name, sizeof(v)));
	return be64toh(v);
}

static int order_names(const struct stacks *s, const struct name_key *a, const struct name_key *b)
{
	const struct stacks_frame *x = &s->frames[a->frame], *y = &s->frames[b->frame];
	int r;

	if (a->start != b->start)
		return a->start < b->start ? -1 : 1;
	r = x->name == y->name ? 0 : strcmp(stacks_text(s, x->name), stacks_text(s, y->name));
	if (r == 0 && x->module != y->module)
		r = strcmp(stacks_text(s, s->modules[x->module].name),
			   stacks_text(s, s->modules[y->module].name));
	return r ? r : x->type - y->type;
}

static int by_name(const void *a, const void *b, void *arg)
{
	return order_names(arg, a, b);
}

int names_sort(const struct names *n, const uint8_t *used, uint32_t **ret, uint32_t *ret_n)
{
	struct stacks *s = n->own;
	struct name_key *keys = malloc(s->n_frames * sizeof(*keys));
	uint32_t *order = malloc(s->n_frames * sizeof(*order)), k = 0;

	if (!keys || !order) {
		free(keys);
		free(order);
		return -ENOMEM;
	}
	for (uint32_t i = 0; i < s->n_frames; i++)
		if (used[i])
			keys[k++] = (struct name_key){
				.start = name_start(stacks_text(s, s->frames[i].name)), .frame = i};
	qsort_r(keys, k, sizeof(*keys), by_name, s);
	for (uint32_t i = 0; i < k; i++)
		order[i] = keys[i].frame;
	free(keys);
	*ret = order;
	*ret_n = k;
	return 0;
}

/* ---- strings ---- */

int strings_out_begin(struct strings_out *o, const struct stacks *from)
{
	*o = (struct strings_out){.from = from};
	o->map = calloc(from->n_strings, sizeof(*o->map));
	if (!o->map)
		return -ENOMEM;
	strings_out_add(o, 0);
	return o->failed ? -ENOMEM : 0;
}

void strings_out_done(struct strings_out *o)
{
	free(o->map);
	free(o->strings);
	free(o->text);
	*o = (struct strings_out){0};
}

static bool string_room(struct strings_out *o, size_t len)
{
	if (o->n == o->cap) {
		uint32_t cap = o->cap ? o->cap * 2 : 1024,
			 *p = realloc(o->strings, cap * sizeof(*p));

		if (!p)
			return false;
		o->strings = p;
		o->cap = cap;
	}
	if (o->cap_text - o->len < len) {
		uint64_t cap = ((uint64_t)o->cap_text + len) * 2;
		char *p = cap < UINT32_MAX ? realloc(o->text, cap) : NULL;

		if (!p)
			return false;
		o->text = p;
		o->cap_text = (uint32_t)cap;
	}
	return true;
}

uint32_t strings_out_add(struct strings_out *o, uint32_t string)
{
	const char *text = stacks_text(o->from, string);
	size_t len = strlen(text) + 1;

	if (o->map[string])
		return o->map[string] - 1;
	if (o->failed || !string_room(o, len)) {
		o->failed = true;
		return 0;
	}
	o->strings[o->n] = o->len;
	memcpy(o->text + o->len, text, len);
	o->len += (uint32_t)len;
	o->map[string] = ++o->n;
	return o->n - 1;
}
