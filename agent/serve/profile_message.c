#include "serve/message.h"
#include "serve/profile.h"

#include "base/cleanup.h"

#include <errno.h>

/* No message is larger than 1 MiB. */
enum { MESSAGE_BYTES = 512 << 10, CELLS_A_MESSAGE = 64 << 10 };

/* ---- messages after each other ---- */

static size_t open_message(struct buf *b, uint32_t field, size_t *body)
{
	size_t at = b->len;

	buf_put(b, "\0\0\0\0", 4);
	*body = pb_open(b, field);
	return at;
}

static void close_message(struct buf *b, size_t at, size_t body)
{
	uint32_t len;

	pb_close(b, body);
	if (b->failed)
		return;
	len = (uint32_t)(b->len - at - 4);
	memcpy(b->p + at, &len, sizeof(len));
}

/* ---- heat map ---- */

/* Of columns [from, to): the cells that are not 0, then one array of theirs. */
static void put_cells(struct buf *b, uint32_t field, const uint32_t *cells, const uint32_t *of,
		      size_t n)
{
	size_t at = pb_open(b, field), last = 0;

	for (size_t i = 0; i < n; i++) {
		if (!cells[i])
			continue;
		buf_varint(b, of ? of[i] : i - last);
		last = i + 1;
	}
	pb_close(b, at);
}

static void put_rows(struct buf *b, const struct heat *h)
{
	for (uint32_t i = 0; h->rows && i < h->n_rows; i++) {
		size_t at = pb_open(b, 11);

		pb_string(b, 1, h->rows[i].label);
		pb_uint(b, 2, h->rows[i].pid);
		pb_uint(b, 3, h->rows[i].tid);
		pb_int(b, 4, h->rows[i].cpu);
		pb_uint(b, 5, h->rows[i].total_us);
		pb_close(b, at);
	}
}

static void put_columns(struct buf *b, uint32_t req, const struct heat_request *rq,
			const struct heat *h, uint32_t from, uint32_t to)
{
	size_t body, at = open_message(b, MESSAGE_HEAT, &body);
	size_t first = (size_t)from * h->n_rows, n = (size_t)(to - from) * h->n_rows, list;
	bool lost = false;

	pb_uint(b, 1, req);
	pb_int(b, 2, rq->from_us + (int64_t)(from * rq->column_us));
	pb_uint(b, 3, rq->column_us);
	pb_uint(b, 4, to - from);
	pb_uint(b, 5, h->n_rows);
	put_cells(b, 6, h->weight_us + first, NULL, n);
	put_cells(b, 7, h->weight_us + first, h->weight_us + first, n);
	if (h->matched_us)
		put_cells(b, 8, h->weight_us + first, h->matched_us + first, n);
	for (uint32_t i = from; i < to; i++)
		lost = lost || h->lost[i];
	if (lost) {
		list = pb_open(b, 9);
		for (uint32_t i = from; i < to; i++)
			buf_varint(b, h->lost[i]);
		pb_close(b, list);
	}
	pb_bytes(b, 10, h->covered + from, to - from);
	if (!from)
		put_rows(b, h);
	pb_uint(b, 12, h->n_samples);
	pb_uint(b, 13, h->n_matched);
	pb_uint(b, 14, to == h->n_columns);
	close_message(b, at, body);
}

void profile_put_heat(struct buf *b, uint32_t req, const struct heat_request *rq,
		      const struct heat *h)
{
	uint32_t rows = h->n_rows ? h->n_rows : 1, step = CELLS_A_MESSAGE / rows, from = 0;

	do {
		uint32_t to = h->n_columns - from > step ? from + step : h->n_columns;

		put_columns(b, req, rq, h, from, to);
		from = to;
	} while (from < h->n_columns);
}

/* ---- trees: nodes in pieces, each with the strings that are new in it ---- */

struct names {
	uint32_t *wire; /* of a string: its number on the wire + 1 */
	uint32_t n;
	const char *text;
	const uint32_t *strings;
};

static int names_init(struct names *n, const char *text, const uint32_t *strings, uint32_t count)
{
	*n = (struct names){calloc(count + 1, sizeof(*n->wire)), 0, text, strings};
	return n->wire ? 0 : -ENOMEM;
}

/* A node's names: how many bytes the new ones of them take. */
static size_t say_names(struct buf *b, struct names *n, const uint32_t *ids, size_t n_ids)
{
	size_t begin = b->len;

	for (size_t i = 0; i < n_ids; i++) {
		const char *s = n->text + n->strings[ids[i]];

		if (n->wire[ids[i]])
			continue;
		n->wire[ids[i]] = ++n->n;
		pb_tag(b, 2, PB_BYTES);
		buf_varint(b, strlen(s));
		buf_text(b, s);
	}
	return b->len - begin;
}

/* The first node after `from` that goes into another message; says the strings of those before it. */
static uint32_t say_strings(struct buf *b, struct names *names, const struct fold_node *nodes,
			    uint32_t from, uint32_t n_nodes)
{
	enum { NODE_BYTES = 50 };
	size_t bytes = 0;

	while (from < n_nodes && bytes < MESSAGE_BYTES) {
		const uint32_t ids[] = {nodes[from].name, nodes[from].module, nodes[from].build_id};

		bytes += NODE_BYTES + say_names(b, names, ids, 3);
		from++;
	}
	return from;
}

enum column {
	OF_DEPTH,
	OF_PARENT,
	OF_NAME,
	OF_MODULE,
	OF_TOTAL,
	OF_SELF,
	OF_BASE_TOTAL,
	OF_BASE_SELF,
	OF_ADDR,
	OF_BUILD_ID,
	OF_SELF_AT,
	OF_CALL_AT
};

static uint64_t cell(const struct fold_node *n, enum column c, const struct names *names)
{
	switch (c) {
	case OF_DEPTH:
		return n->depth;
	case OF_PARENT:
		return n->parent;
	case OF_NAME:
		return names->wire[n->name] - 1;
	case OF_MODULE:
		return names->wire[n->module] - 1;
	case OF_TOTAL:
		return n->total_us;
	case OF_SELF:
		return n->self_us;
	case OF_BASE_TOTAL:
		return n->base_total_us;
	case OF_BASE_SELF:
		return n->base_self_us;
	case OF_ADDR:
		return n->addr;
	case OF_BUILD_ID:
		return names->wire[n->build_id] - 1;
	case OF_SELF_AT:
		return n->self_at;
	case OF_CALL_AT:
		return n->call_at;
	}
	return 0;
}

static void put_column(struct buf *b, uint32_t field, const struct fold_node *nodes, size_t n,
		       enum column c, const struct names *names)
{
	size_t at = pb_open(b, field);

	for (size_t i = 0; i < n; i++)
		buf_varint(b, cell(&nodes[i], c, names));
	pb_close(b, at);
}

static void put_types(struct buf *b, uint32_t field, const struct fold_node *nodes, size_t n)
{
	uint8_t *p;

	pb_tag(b, field, PB_BYTES);
	buf_varint(b, n);
	p = buf_room(b, n);
	for (size_t i = 0; p && i < n; i++)
		p[i] = nodes[i].type;
	if (p)
		b->len += n;
}

static void put_sum(struct buf *b, uint32_t field, const struct fold_sum *s, uint32_t n_cpus)
{
	const uint64_t v[] = {s->n,	  s->weight_us, s->span_us, s->covered_us,
			      s->shallow, s->truncated, s->lost,    s->throttled,
			      s->hz_min,  s->hz_max,	n_cpus};
	size_t at = pb_open(b, field);

	for (uint32_t i = 0; i < sizeof(v) / sizeof(*v); i++)
		pb_uint(b, i + 1, v[i]);
	pb_close(b, at);
}

static void put_beside(struct buf *b, const struct fold_tree *t, bool with_base,
		       const struct profile_beside *beside)
{
	put_sum(b, 13, &t->sum, beside->n_cpus);
	if (with_base)
		put_sum(b, 14, &t->base, beside->n_cpus);
	for (size_t i = 0; i < beside->n_tasks; i++) {
		const struct tasks_row *row = &beside->tasks[i];
		size_t at = pb_open(b, 17);

		pb_uint(b, 1, row->pid);
		pb_uint(b, 2, row->tid);
		pb_string(b, 3, row->comm);
		pb_string(b, 4, row->cgroup);
		pb_uint(b, 5, row->weight_us);
		pb_uint(b, 6, row->n);
		pb_uint(b, 7, row->base_us);
		pb_close(b, at);
	}
	for (size_t i = 0; i < beside->n_missing; i++)
		pb_string(b, 18, beside->missing[i]);
}

static void put_of_places(struct buf *b, uint32_t field, const struct fold_node *nodes, size_t n,
			  enum column c)
{
	size_t at = pb_open(b, field);

	for (size_t i = 0; i < n; i++)
		if (nodes[i].self_at || nodes[i].call_at)
			buf_varint(b, cell(&nodes[i], c, NULL));
	pb_close(b, at);
}

static void put_places(struct buf *b, const struct fold_node *nodes, size_t n)
{
	size_t at = pb_open(b, 19), before = 0;

	for (size_t i = 0; i < n; i++) {
		if (!nodes[i].self_at && !nodes[i].call_at)
			continue;
		buf_varint(b, i - before);
		before = i;
	}
	pb_close(b, at);
	put_of_places(b, 20, nodes, n, OF_SELF_AT);
	put_of_places(b, 21, nodes, n, OF_CALL_AT);
}

static uint32_t put_nodes(struct buf *b, struct names *names, const struct fold_tree *t,
			  bool with_base, uint32_t from)
{
	uint32_t to = say_strings(b, names, t->nodes, from, t->n_nodes);
	const struct fold_node *nodes = t->nodes + from;
	size_t n = to - from;

	put_column(b, 3, nodes, n, OF_DEPTH, names);
	put_column(b, 4, nodes, n, OF_NAME, names);
	put_column(b, 5, nodes, n, OF_MODULE, names);
	put_types(b, 6, nodes, n);
	put_column(b, 7, nodes, n, OF_TOTAL, names);
	put_column(b, 8, nodes, n, OF_SELF, names);
	if (with_base) {
		put_column(b, 9, nodes, n, OF_BASE_TOTAL, names);
		put_column(b, 10, nodes, n, OF_BASE_SELF, names);
	}
	put_column(b, 11, nodes, n, OF_ADDR, names);
	put_column(b, 12, nodes, n, OF_BUILD_ID, names);
	put_places(b, nodes, n);
	return to;
}

void profile_put_flame(struct buf *b, uint32_t req, const struct fold_tree *t, bool with_base,
		       const struct profile_beside *beside)
{
	struct names names;
	uint32_t from = 0;

	if (names_init(&names, t->text, t->strings, t->n_strings) < 0) {
		b->failed = true;
		return;
	}
	do {
		size_t body, at = open_message(b, MESSAGE_FLAME, &body);
		bool first = !from;

		pb_uint(b, 1, req);
		from = put_nodes(b, &names, t, with_base, from);
		if (first)
			put_beside(b, t, with_base, beside);
		pb_uint(b, 15, t->left_out);
		pb_uint(b, 16, from == t->n_nodes);
		close_message(b, at, body);
	} while (from < t->n_nodes && !b->failed);
	free(names.wire);
}

/* ---- flame chart ---- */

/* Samples of one thread, from `from` on. */
static uint32_t put_thread(struct buf *b, const struct chart *c, uint32_t from)
{
	uint32_t to = from;
	int64_t last_us = 0;
	size_t at = pb_open(b, 7), list;

	while (to < c->n_samples && c->samples[to].tid == c->samples[from].tid &&
	       c->samples[to].pid == c->samples[from].pid)
		to++;
	pb_uint(b, 1, c->samples[from].pid);
	pb_uint(b, 2, c->samples[from].tid);
	pb_string(b, 3, c->text + c->strings[c->samples[to - 1].comm]); /* the last it had */
	list = pb_open(b, 4);
	for (uint32_t i = from; i < to; i++) {
		buf_varint(b, zigzag_encode(c->samples[i].at_us - last_us));
		last_us = c->samples[i].at_us;
	}
	pb_close(b, list);
	list = pb_open(b, 5);
	for (uint32_t i = from; i < to; i++)
		buf_varint(b, c->samples[i].weight_us);
	pb_close(b, list);
	list = pb_open(b, 6);
	for (uint32_t i = from; i < to; i++)
		buf_varint(b, c->samples[i].node);
	pb_close(b, list);
	list = pb_open(b, 7);
	for (uint32_t i = from; i < to; i++)
		buf_varint(b, c->samples[i].cpu);
	pb_close(b, list);
	pb_close(b, at);
	return to;
}

void profile_put_chart(struct buf *b, uint32_t req, const struct chart *c)
{
	struct names names;
	uint32_t node = 0, sample = 0;
	bool last;

	if (names_init(&names, c->text, c->strings, c->n_strings) < 0) {
		b->failed = true;
		return;
	}
	do {
		size_t body, at = open_message(b, MESSAGE_CHART, &body);

		pb_uint(b, 1, req);
		if (node < c->n_nodes) {
			uint32_t to = say_strings(b, &names, c->nodes, node, c->n_nodes);
			const struct fold_node *nodes = c->nodes + node;

			put_column(b, 3, nodes, to - node, OF_PARENT, &names);
			put_column(b, 4, nodes, to - node, OF_NAME, &names);
			put_column(b, 5, nodes, to - node, OF_MODULE, &names);
			put_types(b, 6, nodes, to - node);
			node = to;
		}
		while (node == c->n_nodes && sample < c->n_samples && b->len - at < MESSAGE_BYTES)
			sample = put_thread(b, c, sample);
		last = node == c->n_nodes && sample == c->n_samples;
		pb_uint(b, 8, c->left_out);
		pb_uint(b, 9, last);
		close_message(b, at, body);
	} while (!last && !b->failed);
	free(names.wire);
}

/* ---- small ones ---- */

void profile_put_lines(struct buf *b, uint32_t req, const struct symbol_line *lines, size_t n,
		       const char *missing)
{
	size_t body, at = open_message(b, MESSAGE_LINES, &body);

	pb_uint(b, 1, req);
	for (size_t i = 0; i < n; i++) {
		size_t line = pb_open(b, 2);

		pb_string(b, 1, lines[i].function);
		pb_string(b, 2, lines[i].file);
		pb_uint(b, 3, lines[i].line > 0 ? (uint64_t)lines[i].line : 0);
		pb_uint(b, 4, lines[i].inlined);
		pb_uint(b, 5, lines[i].of);
		pb_uint(b, 6, lines[i].begins > 0 ? (uint64_t)lines[i].begins : 0);
		pb_close(b, line);
	}
	pb_string(b, 3, missing);
	close_message(b, at, body);
}

static void put_running(struct buf *b, const struct profiler_state *s)
{
	pb_uint(b, 2, 1);
	pb_string(b, 3, s->reason);
	pb_string(b, 4, s->tier);
	pb_string(b, 5, s->event);
	pb_uint(b, 6, s->hz);
	pb_uint(b, 7, s->base_hz);
	pb_int(b, 8, s->burst_until_us);
	pb_uint(b, 9, s->off_cpu);
	pb_uint(b, 11, s->samples);
	pb_uint(b, 12, s->lost);
	pb_uint(b, 13, s->throttled);
	pb_uint(b, 14, s->shallow);
	pb_uint(b, 15, s->truncated);
	if (!s->off_cpu)
		return;
	pb_string(b, 22, s->off_tier);
	pb_uint(b, 23, s->off_min_us);
	pb_uint(b, 24, s->off_short);
	pb_uint(b, 25, s->off_short_us);
	pb_uint(b, 26, s->switches_lost);
}

void profile_put_state(struct buf *b, uint32_t req, const struct profile_call *c)
{
	size_t body, at = open_message(b, MESSAGE_PROFILER, &body);
	struct profiles_stats held = {.oldest_us = INT64_MAX};

	pb_uint(b, 1, req);
	if (c->profiler) {
		struct profiler_state state;

		profiler_state(c->profiler, &state);
		put_running(b, &state);
	} else {
		pb_string(b, 3, c->why_not);
	}
	if (c->profiles)
		profiles_stats(c->profiles, &held);
	pb_int(b, 10, held.oldest_us == INT64_MAX ? 0 : held.oldest_us);
	pb_uint(b, 16, held.memory_bytes + held.disk_bytes);
	if (held.samples)
		pb_double(b, 17, (double)held.sample_bytes / (double)held.samples);
	pb_int(b, 18, c->now_us);
	pb_uint(b, 19, c->n_cpus);
	pb_uint(b, 20, c->untimed);
	pb_string(b, 21, c->unit);
	close_message(b, at, body);
}
