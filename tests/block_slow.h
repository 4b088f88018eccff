/*
 * A decoder of sealed blocks of its own, written from the comment in block.h: byte by byte, bit by
 * bit, all of a block at once. For tests and fuzzers; aborts without memory.
 */
#ifndef STROBE_TESTS_BLOCK_SLOW_H
#define STROBE_TESTS_BLOCK_SLOW_H

#include "block_slow_cells.h"

#include <zstd.h>

struct slow_instance {
	uint64_t slot, gen, id, first, n;
	bool started, ended;
	char name[64];
	char *attrs[8];
	int64_t *base, **values;      /* of each metric; base SLOW_ABSENT: there is none */
	struct slow_summary *summary; /* of each metric */
};
struct slow_group {
	uint64_t group, n_metrics, n_attrs, period_ms, n_reads, n_instances, n_rows, len, attrs_len;
	uint64_t at[512], dt[512];
	struct slow_instance *inst;
};
struct slow_frame {
	uint64_t seq, len;
	const uint8_t *data;
};
struct slow_block {
	bool bad;
	uint64_t n_groups, first_seq, last_seq, from_us, to_us, real_off_us, n_samples, catalog_crc;
	uint64_t bucket_us, n_ticks, ticks_len, frames_len, n_meta, n_values;
	uint8_t log_id[16];
	char boot_id[40];
	struct slow_group *groups;
	struct slow_frame *frames;
	uint64_t n_frames;
	uint64_t ticks[512];
	uint8_t *meta, *directory, **pages; /* plain */
	uint64_t meta_len, *page_len, *page_cells;
};

/* ---- sections ---- */

static inline void slow_ticks(struct slow_block *b)
{
	struct slow_in in = {.p = b->meta, .n = b->ticks_len};
	int64_t v[512];
	uint64_t t0, step;

	if (!b->n_ticks)
		return;
	t0 = slow_v(&in);
	step = slow_v(&in);
	slow_column(&in, v, b->n_ticks);
	if (in.bad || in.at != in.n)
		b->bad = true;
	for (uint64_t i = 0; i < b->n_ticks && !b->bad; i++)
		b->ticks[i] = t0 + i * step + (uint64_t)v[i];
}

static inline void slow_string(struct slow_in *in, char *to, size_t cap)
{
	for (size_t i = 0;; i++) {
		char c = (char)slow_u8(in);

		if (i == cap || in->bad) {
			in->bad = true;
			return;
		}
		to[i] = c;
		if (!c)
			return;
	}
}

static inline void slow_times(struct slow_block *b, struct slow_in *in, struct slow_group *g)
{
	int64_t gap[512], off[512];
	uint64_t tick = 0, n, at = 0;

	g->dt[0] = slow_v(in);
	slow_column(in, gap, g->n_reads);
	slow_column(in, off, g->n_reads);
	for (uint64_t i = 0; i < g->n_reads && !in->bad; i++) {
		if (gap[i] < 0 || (uint64_t)gap[i] >= b->n_ticks - tick) {
			in->bad = true;
			return;
		}
		tick += (uint64_t)gap[i];
		g->at[i] = b->ticks[tick] + (b->bucket_us ? 0 : (uint64_t)off[i]);
		if (i && g->at[i] < g->at[i - 1])
			in->bad = true;
		if (i)
			g->dt[i] = g->at[i] - g->at[i - 1];
		if (b->bucket_us)
			g->dt[i] = (uint64_t)off[i];
	}
	if (!b->bucket_us && g->dt[0] > g->at[0])
		in->bad = true;
	n = slow_v(in);
	if (n > g->n_reads)
		in->bad = true;
	for (; n && !in->bad; n--) {
		uint64_t v = slow_v(in);

		if (v >= g->n_reads - at - 1) {
			in->bad = true;
			return;
		}
		at += v + 1;
		g->dt[at] = 0;
	}
}

static inline void slow_instances(struct slow_block *b, struct slow_in *in, struct slow_group *g)
{
	uint64_t slot = 0, rows = 0;

	g->inst = slow_alloc(g->n_instances, sizeof(*g->inst));
	for (uint64_t i = 0; i < g->n_instances && !in->bad; i++) {
		struct slow_instance *x = &g->inst[i];
		uint64_t head = slow_v(in);

		slot += head / 8;
		x->slot = slot;
		x->gen = slow_v(in);
		if (slot > UINT32_MAX || x->gen > UINT32_MAX)
			in->bad = true;
		if (i && slot == x[-1].slot && x->gen < x[-1].gen)
			in->bad = true;
		x->started = head % 2;
		x->ended = head / 2 % 2;
		x->id = head / 4 % 2 ? slow_v(in) : 0;
		x->first = x->started ? slow_v(in) : 0;
		if (x->first > g->n_reads) {
			in->bad = true;
			return;
		}
		x->n = x->ended ? slow_v(in) : g->n_reads - x->first;
		if (x->n > g->n_reads - x->first)
			in->bad = true;
		slow_string(in, x->name, sizeof(x->name));
		rows += x->n > 0;
	}
	if (rows != g->n_rows || in->at != in->n)
		in->bad = true;
	(void)b;
}

static inline void slow_attrs(struct slow_in *in, struct slow_group *g)
{
	uint64_t i = 0;

	while (in->at < in->n && !in->bad) {
		uint64_t gap = slow_v(in), bits = slow_u8(in);

		if (in->bad || gap >= g->n_instances - i || bits >> g->n_attrs) {
			in->bad = true;
			return;
		}
		i += gap;
		for (uint64_t k = 0; k < g->n_attrs; k++)
			if (bits >> k & 1) {
				uint64_t room = in->n - in->at + 1;

				g->inst[i].attrs[k] = slow_alloc(room, 1);
				slow_string(in, g->inst[i].attrs[k], room);
			}
		i++;
	}
}

static inline void slow_frames(struct slow_block *b, struct slow_in *in)
{
	uint64_t seq = b->first_seq;

	b->frames = slow_alloc(in->n, sizeof(*b->frames));
	while (in->at < in->n && !in->bad) {
		struct slow_frame *f = &b->frames[b->n_frames++];

		seq += slow_v(in);
		f->seq = seq;
		f->len = slow_v(in);
		if (in->bad || f->len > in->n - in->at) {
			in->bad = true;
			return;
		}
		f->data = in->p + in->at;
		in->at += f->len;
	}
}

/* ---- cells ---- */

struct slow_cells {
	int64_t **cells;
	uint64_t *len, *n_metrics, *row, n;
	struct slow_summary **sum;
};

static inline bool slow_has_base(const struct slow_block *b, const struct slow_instance *x)
{
	return !x->started && !b->bucket_us;
}

/* Room for every cell, in the order they stand in. */
static inline void slow_list_cells(struct slow_block *b, struct slow_cells *c)
{
	uint64_t total = 0;

	for (uint64_t g = 0; g < b->n_groups; g++)
		total += b->groups[g].n_rows * b->groups[g].n_metrics;
	c->cells = slow_alloc(total, sizeof(*c->cells));
	c->len = slow_alloc(total, sizeof(*c->len));
	c->n_metrics = slow_alloc(total, sizeof(*c->n_metrics));
	c->row = slow_alloc(total, sizeof(*c->row));
	c->sum = slow_alloc(total, sizeof(*c->sum));
	for (uint64_t g = 0; g < b->n_groups; g++)
		for (uint64_t i = 0; i < b->groups[g].n_instances; i++) {
			struct slow_instance *x = &b->groups[g].inst[i];
			uint64_t n = b->groups[g].n_metrics;

			x->values = slow_alloc(n, sizeof(*x->values));
			x->base = slow_alloc(n, sizeof(*x->base));
			x->summary = slow_alloc(n, sizeof(*x->summary));
			for (uint64_t m = 0; m < n && x->n; m++) {
				c->len[c->n] = x->n + slow_has_base(b, x);
				c->n_metrics[c->n] = n;
				c->row[c->n] = m;
				c->sum[c->n] = &x->summary[m];
				x->values[m] = slow_alloc(c->len[c->n], sizeof(int64_t));
				c->cells[c->n++] = x->values[m];
			}
		}
}

static inline void slow_values(struct slow_block *b)
{
	struct slow_cells c = {0};
	uint64_t at = 0;

	slow_list_cells(b, &c);
	for (uint64_t p = b->n_meta; p < b->n_meta + b->n_values && !b->bad; p++) {
		struct slow_in in = {.p = b->pages[p], .n = b->page_len[p]};
		uint64_t last = at + b->page_cells[p];

		if (last > c.n)
			b->bad = true;
		while (at < last && !b->bad) {
			bool is_matrix = in.at < in.n && in.p[in.at] % 32 == 3 + 2 * 4;

			if (is_matrix && c.row[at]) {
				b->bad = true;
				break;
			}
			at += slow_item(&in, c.cells + at, c.len + at, last - at, c.n_metrics[at],
					c.sum + at);
			b->bad |= in.bad;
		}
		b->bad |= at != last || in.at != in.n;
	}
	b->bad |= at != c.n;
	for (uint64_t g = 0; g < b->n_groups; g++) /* the base stands before the values */
		for (uint64_t i = 0; i < b->groups[g].n_instances; i++) {
			struct slow_instance *x = &b->groups[g].inst[i];

			for (uint64_t m = 0; m < b->groups[g].n_metrics; m++) {
				x->base[m] = SLOW_ABSENT;
				if (!x->n || !slow_has_base(b, x))
					continue;
				x->base[m] = x->values[m][0];
				memmove(x->values[m], x->values[m] + 1, x->n * sizeof(int64_t));
			}
		}
	free(c.cells);
	free(c.len);
	free(c.n_metrics);
	free(c.row);
	free(c.sum);
}

/* ---- head, directory, pages ---- */

static inline void slow_directory(struct slow_block *b, struct slow_in *in)
{
	uint64_t number = 0, cells = 0;

	if (b->n_groups > 4096) {
		b->bad = true;
		b->n_groups = 0;
		return;
	}
	b->groups = slow_alloc(b->n_groups, sizeof(*b->groups));
	for (uint64_t i = 0; i < b->n_groups && !in->bad; i++) {
		struct slow_group *g = &b->groups[i];

		number += slow_v(in);
		g->group = number++;
		g->n_metrics = slow_v(in);
		g->n_attrs = slow_v(in);
		g->period_ms = slow_v(in);
		g->n_reads = slow_v(in);
		g->n_instances = slow_v(in);
		g->n_rows = slow_v(in);
		g->len = slow_v(in);
		g->attrs_len = slow_v(in);
		if (g->n_metrics < 1 || g->n_metrics > 1538 || g->n_attrs > 8 || g->n_reads < 1 ||
		    g->n_reads > 512 || g->n_instances > 1 << 20 || g->n_instances > g->len ||
		    g->n_rows > g->n_instances || g->len > 256 << 20 || g->attrs_len > 256 << 20 ||
		    g->period_ms > UINT32_MAX || g->group >= UINT32_MAX)
			in->bad = true;
		if (in->bad)
			break;
		cells += g->n_rows * g->n_metrics;
		b->meta_len += g->len + g->attrs_len;
		if (cells > UINT32_MAX)
			in->bad = true;
	}
	b->n_ticks = slow_v(in);
	b->ticks_len = slow_v(in);
	b->frames_len = slow_v(in);
	b->n_meta = slow_v(in);
	b->n_values = slow_v(in);
	if (b->n_ticks > 512 || b->ticks_len > 256 << 20 || b->frames_len > 256 << 20 ||
	    b->n_meta > in->n || b->n_values > in->n)
		in->bad = true;
	b->meta_len += b->ticks_len + b->frames_len;
	b->bad = in->bad || b->meta_len > 256 << 20;
}

static inline uint8_t *slow_inflate(const uint8_t *p, uint64_t stored, uint64_t plain, bool *bad)
{
	uint8_t *to = slow_alloc(plain ? plain : stored, 1);

	if (!plain)
		memcpy(to, p, stored);
	else if (ZSTD_decompress(to, plain, p, stored) != plain)
		*bad = true;
	return to;
}

static inline void slow_pages(struct slow_block *b, struct slow_in *in, const uint8_t *data,
			      uint64_t len, uint64_t at)
{
	uint64_t n = b->n_meta + b->n_values, done = 0;

	b->pages = slow_alloc(n, sizeof(*b->pages));
	b->page_len = slow_alloc(n, sizeof(*b->page_len));
	b->page_cells = slow_alloc(n, sizeof(*b->page_cells));
	b->meta = slow_alloc(b->n_meta * 16384 + 1, 1);
	for (uint64_t i = 0; i < n && !b->bad; i++) {
		uint64_t stored = slow_v(in), plain = slow_v(in),
			 cells = i >= b->n_meta ? slow_v(in) : 0, crc = slow_uint(in, 4);

		b->page_len[i] = plain ? plain : stored;
		b->page_cells[i] = cells;
		if (in->bad || stored > len - at || b->page_len[i] > 16384 ||
		    (i >= b->n_meta && (!cells || !b->page_len[i])) ||
		    slow_crc(data + at, stored) != crc) {
			b->bad = true;
			return;
		}
		b->pages[i] = slow_inflate(data + at, stored, plain, &b->bad);
		at += stored;
		if (i >= b->n_meta)
			continue;
		if (b->page_len[i] != 16384 && i + 1 < b->n_meta)
			b->bad = true;
		memcpy(b->meta + done, b->pages[i], b->page_len[i]);
		done += b->page_len[i];
	}
	if (in->at != in->n || at != len || done != b->meta_len || (b->n_meta && !done))
		b->bad = true;
}

static inline void slow_sections(struct slow_block *b)
{
	struct slow_in in;
	uint64_t at = b->ticks_len;

	slow_ticks(b);
	for (uint64_t i = 0; i < b->n_groups && !b->bad; i++) {
		struct slow_group *g = &b->groups[i];

		in = (struct slow_in){.p = b->meta + at, .n = g->len};
		if (!b->n_ticks)
			in.bad = true;
		slow_times(b, &in, g);
		slow_instances(b, &in, g);
		b->bad |= in.bad;
		at += g->len;
	}
	for (uint64_t i = 0; i < b->n_groups && !b->bad; i++) {
		in = (struct slow_in){.p = b->meta + at, .n = b->groups[i].attrs_len};
		slow_attrs(&in, &b->groups[i]);
		b->bad |= in.bad;
		at += b->groups[i].attrs_len;
	}
	in = (struct slow_in){.p = b->meta + at, .n = b->frames_len};
	if (!b->bad)
		slow_frames(b, &in);
	b->bad |= in.bad;
}

static inline void slow_head(struct slow_block *b, struct slow_in *in)
{
	b->catalog_crc = slow_uint(in, 4);
	b->n_groups = slow_uint(in, 4);
	b->first_seq = slow_uint(in, 8);
	b->last_seq = slow_uint(in, 8);
	b->from_us = slow_uint(in, 8);
	b->to_us = slow_uint(in, 8);
	b->real_off_us = slow_uint(in, 8);
	b->n_samples = slow_uint(in, 8);
	for (unsigned i = 0; i < 16; i++)
		b->log_id[i] = (uint8_t)slow_u8(in);
	for (unsigned i = 0; i < 40; i++)
		b->boot_id[i] = (char)slow_u8(in);
	b->bucket_us = slow_uint(in, 4);
}

/* All of a block; ->bad: there is something wrong with it. Free with slow_free(). */
static inline struct slow_block *slow_read(const uint8_t *data, uint64_t len)
{
	struct slow_block *b = slow_alloc(1, sizeof(*b));
	struct slow_in in = {.p = data, .n = len < 144 ? len : 144}, dir = {0};
	uint64_t dir_len, dir_plain, dir_crc, n;
	uint32_t crc;

	if (slow_uint(&in, 4) != 0x314b4253 || slow_uint(&in, 4) != 1 || slow_uint(&in, 4) != len)
		in.bad = true;
	dir_len = slow_uint(&in, 4);
	dir_plain = slow_uint(&in, 4);
	dir_crc = slow_uint(&in, 4);
	slow_head(b, &in);
	crc = (uint32_t)slow_uint(&in, 4);
	b->bad = in.bad || crc != slow_crc(data, 140) || b->boot_id[39] || dir_len > len - 144 ||
		 dir_plain > 1 << 20 || slow_crc(data + 144, dir_len) != dir_crc;
	n = b->n_groups;
	b->n_groups = 0;
	if (b->bad)
		return b;
	b->directory = slow_inflate(data + 144, dir_len, dir_plain, &b->bad);
	dir = (struct slow_in){.p = b->directory, .n = dir_plain ? dir_plain : dir_len};
	b->n_groups = n;
	if (b->bad) {
		b->n_groups = 0;
		return b;
	}
	slow_directory(b, &dir);
	if (!b->bad)
		slow_pages(b, &dir, data, len, 144 + dir_len);
	if (!b->bad)
		slow_sections(b);
	if (!b->bad)
		slow_values(b);
	return b;
}

static inline void slow_free(struct slow_block *b)
{
	for (uint64_t g = 0; b->groups && g < b->n_groups; g++) {
		for (uint64_t i = 0; b->groups[g].inst && i < b->groups[g].n_instances; i++) {
			struct slow_instance *x = &b->groups[g].inst[i];

			for (uint64_t m = 0; x->values && m < b->groups[g].n_metrics; m++) {
				free(x->values[m]);
				free(x->summary[m].p);
			}
			for (unsigned k = 0; k < 8; k++)
				free(x->attrs[k]);
			free(x->values);
			free(x->base);
			free(x->summary);
		}
		free(b->groups[g].inst);
	}
	for (uint64_t i = 0; b->pages && i < b->n_meta + b->n_values; i++)
		free(b->pages[i]);
	free(b->groups);
	free(b->frames);
	free(b->meta);
	free(b->directory);
	free(b->pages);
	free(b->page_len);
	free(b->page_cells);
	free(b);
}

#endif
