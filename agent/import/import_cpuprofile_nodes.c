/* The nodes of cpuprofiles: functions and who called them. */
#include "import/import_cpuprofile.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* ---- frames ---- */

static const char *last_part(const char *url)
{
	const char *slash = strrchr(url, '/');

	return slash && slash[1] ? slash + 1 : url;
}

/* f: {functionName, url, lineNumber}, of a node or its callFrame. */
static uint32_t frame_of(struct chrome *x, const json_t *f)
{
	const char *function = json_text(f, "functionName"), *url = json_text(f, "url");
	json_int_t line = json_integer_value(json_object_get(f, "lineNumber"));
	struct stacks_frame made = {.type = *url ? STACKS_JIT : STACKS_USER};
	char name[1024];

	if (*url && strncmp(url, "node:", 5) != 0)
		snprintf(name, sizeof(name), "%.500s %.400s:%" JSON_INTEGER_FORMAT,
			 *function ? function : "(anonymous)", last_part(url), line + 1);
	else
		snprintf(name, sizeof(name), "%.900s", *function ? function : "(anonymous)");
	if (*url)
		made.module = stacks_module(x->s, url, NULL);
	made.name = stacks_string(x->s, name, strlen(name));
	return stacks_frame(x->s, &made);
}

static int put_node(struct chrome *x, struct chrome_thread *t, const json_t *node, uint32_t parent,
		    uint32_t *ret)
{
	const json_t *frame = json_object_get(node, "callFrame");
	const char *name = json_text(frame ? frame : node, "functionName");
	uint64_t id = json_key_of(node, "id");
	uint32_t made = parent;

	if (strcmp(name, "(root)") != 0)
		made = stacks_node(x->s, parent, frame_of(x, frame ? frame : node));
	if (strcmp(name, "(idle)") == 0 && !idmap_put(&t->idle, id, 1))
		return -ENOMEM;
	*ret = made;
	return idmap_put(&t->nodes, id, made) ? 0 : -ENOMEM;
}

/* A tree of nodes within nodes. */
int chrome_put_tree(struct chrome *x, struct chrome_thread *t, const json_t *node, uint32_t parent,
		    unsigned depth)
{
	const json_t *child;
	uint32_t made;
	size_t i;
	int r = put_node(x, t, node, parent, &made);

	if (r < 0 || depth == DEPTH_MAX)
		return r;
	json_array_foreach(json_object_get(node, "children"), i, child)
	{
		r = chrome_put_tree(x, t, child, made, depth + 1);
		if (r < 0)
			return r;
	}
	return 0;
}

/* A list whose nodes name their children's ids: from the top down by a list of what is to be done. */
static int put_list_down(struct chrome *x, struct chrome_thread *t, const json_t *nodes)
{
	size_t n = json_array_size(nodes), top = 0, i, k;
	struct idmap index = {0}, child = {0};
	struct todo {
		uint32_t node, parent;
	} *todo = malloc((n + 1) * sizeof(*todo));
	const json_t *node, *id;
	int r = todo ? 0 : -ENOMEM;

	json_array_foreach(nodes, i, node)
	{
		if (r == 0 && !idmap_put(&index, json_key_of(node, "id"), (uint32_t)i))
			r = -ENOMEM;
		json_array_foreach(json_object_get(node, "children"), k, id)
		{
			if (r == 0 &&
			    !idmap_put(&child, (uint64_t)json_integer_value(id), (uint32_t)i))
				r = -ENOMEM;
		}
	}
	for (i = n; i-- > 0 && r == 0;)
		if (!idmap_get(&child, json_key_of(json_array_get(nodes, i), "id")))
			todo[top++] = (struct todo){(uint32_t)i, 0};
	while (top && r == 0) {
		struct todo now = todo[--top];
		uint32_t made;

		node = json_array_get(nodes, now.node);
		r = put_node(x, t, node, now.parent, &made);
		json_array_foreach(json_object_get(node, "children"), k, id)
		{
			uint64_t key = (uint64_t)json_integer_value(id);
			const uint32_t *at = idmap_get(&index, key), *by = idmap_get(&child, key);

			/* each once: what is wrong must not go round */
			if (at && by && *by == now.node && top < n && !idmap_get(&t->nodes, key))
				todo[top++] = (struct todo){*at, made};
		}
	}
	idmap_done(&index);
	idmap_done(&child);
	free(todo);
	return r;
}

/* A list whose nodes name their parents, which stand before them, here or in an earlier chunk. */
static int put_list_up(struct chrome *x, struct chrome_thread *t, const json_t *nodes)
{
	const json_t *node;
	uint32_t made;
	size_t i;

	json_array_foreach(nodes, i, node)
	{
		const json_t *parent = json_object_get(node, "parent");
		const uint32_t *at =
			parent ? idmap_get(&t->nodes, json_key_of(node, "parent")) : NULL;
		int r = put_node(x, t, node, at ? *at : 0, &made);

		if (r < 0)
			return r;
	}
	return 0;
}

int chrome_put_nodes(struct chrome *x, struct chrome_thread *t, const json_t *nodes)
{
	const json_t *node;
	size_t i;

	json_array_foreach(nodes, i, node)
	{
		if (json_object_get(node, "parent"))
			return put_list_up(x, t, nodes);
		if (json_object_get(node, "children"))
			return put_list_down(x, t, nodes);
	}
	return put_list_up(x, t, nodes);
}
