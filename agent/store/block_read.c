#include <endian.h>
#include <errno.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <zstd.h>

#include "base/crc32c.h"
#include "store/block_internal.h"

#define META_MAX ((size_t)256 << 20)

/* ---- head ---- */

static uint32_t get_u32(const uint8_t **p)
{
	uint32_t v;

	memcpy(&v, *p, sizeof(v));
	*p += sizeof(v);
	return le32toh(v);
}

static uint64_t get_u64(const uint8_t **p)
{
	uint64_t v;

	memcpy(&v, *p, sizeof(v));
	*p += sizeof(v);
	return le64toh(v);
}

struct sizes {
	uint32_t block, directory, plain, crc;
};

static int read_head(const uint8_t *data, size_t len, struct block_head *h, struct sizes *s)
{
	const uint8_t *p = data;
	uint32_t version;

	if (len < BLOCK_HEAD_SIZE || get_u32(&p) != BLOCK_MAGIC)
		return -EBADMSG;
	version = get_u32(&p); /* with the 0 after it */
	if ((version & UINT16_MAX) > BLOCK_VERSION)
		return -EPROTONOSUPPORT;
	s->block = get_u32(&p);
	s->directory = get_u32(&p);
	s->plain = get_u32(&p);
	s->crc = get_u32(&p);
	h->catalog_crc = get_u32(&p);
	h->n_groups = get_u32(&p);
	h->first_seq = get_u64(&p);
	h->last_seq = get_u64(&p);
	h->from_us = get_u64(&p);
	h->to_us = get_u64(&p);
	h->real_off_us = (int64_t)get_u64(&p);
	h->n_samples = get_u64(&p);
	memcpy(h->log_id, p, sizeof(h->log_id));
	p += sizeof(h->log_id);
	memcpy(h->boot_id, p, sizeof(h->boot_id));
	p += sizeof(h->boot_id);
	h->bucket_us = get_u32(&p);
	if (get_u32(&p) != crc32c(0, data, BLOCK_HEAD_SIZE - 4) || version != BLOCK_VERSION ||
	    h->boot_id[sizeof(h->boot_id) - 1])
		return -EBADMSG;
	return 0;
}

int block_head_read(const uint8_t *data, size_t len, struct block_head *ret)
{
	struct block_head h = {0};
	struct sizes s;
	int r = read_head(data, len, &h, &s);

	if (r == 0)
		*ret = h;
	return r;
}

/* ---- directory ---- */

/* A cursor over the directory; the first thing that goes wrong stays. */
struct input {
	const uint8_t *p, *end;
	bool bad;
};

static uint32_t get(struct input *in, uint32_t max)
{
	uint32_t v = 0;

	if (!in->bad && (!varint_get_u32(&in->p, in->end, &v) || v > max))
		in->bad = true;
	return in->bad ? 0 : v;
}

static void read_group(struct block *b, struct input *in, struct opened_group *g, uint32_t number)
{
	struct block_group *pub = &g->pub;
	uint64_t cells;

	pub->group = number + get(in, UINT32_MAX - 1 - number);
	pub->n_metrics = get(in, BLOCK_METRICS_MAX);
	pub->n_attrs = get(in, ATTRS_MAX);
	pub->period_ms = get(in, UINT32_MAX);
	pub->n_reads = get(in, BLOCK_READS);
	pub->n_instances = get(in, BLOCK_INSTANCES_MAX);
	g->n_rows = get(in, pub->n_instances);
	g->group_len = get(in, META_MAX);
	g->attrs_len = get(in, META_MAX);
	cells = (uint64_t)g->n_rows * pub->n_metrics;
	if (!pub->n_metrics || !pub->n_reads || pub->n_instances > g->group_len ||
	    cells > UINT32_MAX - b->n_cells)
		in->bad = true;
	if (in->bad)
		return;
	g->first_cell = b->n_cells;
	b->n_cells += (uint32_t)cells;
}

static int read_groups(struct block *b, struct input *in)
{
	uint32_t number = 0;

	if (b->head.n_groups > BLOCK_GROUPS_MAX)
		return -EBADMSG;
	b->groups = calloc(b->head.n_groups + 1, sizeof(*b->groups));
	if (!b->groups)
		return -ENOMEM;
	for (uint32_t i = 0; i < b->head.n_groups && !in->bad; i++) {
		read_group(b, in, &b->groups[i], number);
		number = b->groups[i].pub.group + 1;
	}
	b->n_ticks = get(in, BLOCK_READS);
	b->ticks_len = get(in, META_MAX);
	b->frames_len = get(in, META_MAX);
	if (in->bad)
		return -EBADMSG;
	b->groups_len = (size_t)(in->p - b->directory);
	b->meta_len = b->ticks_len;
	for (uint32_t i = 0; i < b->head.n_groups; i++) {
		b->groups[i].group_at = b->meta_len;
		b->meta_len += b->groups[i].group_len;
	}
	for (uint32_t i = 0; i < b->head.n_groups; i++) {
		b->groups[i].attrs_at = b->meta_len;
		b->meta_len += b->groups[i].attrs_len;
	}
	b->frames_at = b->meta_len;
	b->meta_len += b->frames_len;
	return b->meta_len > META_MAX ? -EBADMSG : 0;
}

/* META pages are full but for the last. */
static bool is_length_right(const struct block *b, uint32_t i, const struct page *page)
{
	size_t from = (size_t)i * BLOCK_PAGE;

	if (i >= b->n_meta)
		return page->len && page->len <= BLOCK_PAGE && page->n_cells;
	return page->len == (b->meta_len - from < BLOCK_PAGE ? b->meta_len - from : BLOCK_PAGE);
}

static int read_pages(struct block *b, struct input *in, size_t at)
{
	uint32_t cell = 0, n;

	b->n_meta = get(in, (uint32_t)(b->directory_len / 6));
	b->n_values = get(in, (uint32_t)(b->directory_len / 6));
	n = b->n_meta + b->n_values;
	if (in->bad || b->n_meta != (b->meta_len + BLOCK_PAGE - 1) / BLOCK_PAGE)
		return -EBADMSG;
	b->pages = calloc(n + 1, sizeof(*b->pages));
	if (!b->pages)
		return -ENOMEM;
	for (uint32_t i = 0; i < n; i++) {
		struct page *page = &b->pages[i];
		uint32_t plain;

		page->at = at;
		page->stored = get(in, (uint32_t)(b->len - at));
		plain = get(in, BLOCK_PAGE);
		page->is_compressed = plain;
		page->len = plain ? plain : page->stored;
		page->first_cell = cell;
		if (i >= b->n_meta)
			page->n_cells = get(in, b->n_cells - cell);
		if (in->bad || in->end - in->p < 4 || !is_length_right(b, i, page))
			return -EBADMSG;
		page->crc = get_u32(&in->p);
		cell += page->n_cells;
		at += page->stored;
	}
	return in->p == in->end && at == b->len && cell == b->n_cells ? 0 : -EBADMSG;
}

static int open_directory(struct block *b, const struct sizes *s)
{
	const uint8_t *stored = b->data + BLOCK_HEAD_SIZE;
	struct input in = {0};
	int r;

	if (s->block != b->len || s->directory > b->len - BLOCK_HEAD_SIZE ||
	    s->plain > BLOCK_DIRECTORY_MAX || crc32c(0, stored, s->directory) != s->crc)
		return -EBADMSG;
	b->directory = stored;
	b->directory_len = s->directory;
	if (s->plain) {
		b->directory = b->own_directory = malloc(s->plain);
		b->directory_len = s->plain;
		if (!b->zstd)
			b->zstd = ZSTD_createDCtx();
		if (!b->own_directory || !b->zstd)
			return -ENOMEM;
		if (ZSTD_decompressDCtx(b->zstd, b->own_directory, s->plain, stored,
					s->directory) != s->plain)
			return -EBADMSG;
	}
	in.p = b->directory;
	in.end = b->directory + b->directory_len;
	r = read_groups(b, &in);
	return r < 0 ? r : read_pages(b, &in, BLOCK_HEAD_SIZE + (size_t)s->directory);
}

int block_open_with(struct block **ret, const uint8_t *data, size_t len, struct block_tools *tools)
{
	struct block *b = calloc(1, sizeof(*b));
	struct sizes s;
	int r;

	if (!b)
		return -ENOMEM;
	if (tools) {
		b->tools = tools;
		b->zstd = tools->zstd;
		tools->zstd = NULL;
		b->checked = tools->checked;
	}
	b->data = data;
	b->len = len;
	b->place.page = UINT32_MAX;
	r = read_head(data, len, &b->head, &s);
	if (r == 0)
		r = open_directory(b, &s);
	if (r < 0) {
		block_close(b);
		return r;
	}
	*ret = b;
	return 0;
}

int block_open(struct block **ret, const uint8_t *data, size_t len)
{
	return block_open_with(ret, data, len, NULL);
}

void block_tools_done(struct block_tools *t)
{
	ZSTD_freeDCtx(t->zstd);
	t->zstd = NULL;
}

void block_close(struct block *b)
{
	if (!b)
		return;
	for (uint32_t i = 0; b->groups && i < b->head.n_groups; i++) {
		free(b->groups[i].memory);
		free(b->groups[i].attrs);
	}
	for (uint32_t i = 0; b->pages && i < b->n_meta + b->n_values; i++)
		free(b->pages[i].own);
	if (b->tools)
		b->tools->zstd = b->zstd;
	else
		ZSTD_freeDCtx(b->zstd);
	free(b->groups);
	free(b->pages);
	free(b->own_directory);
	free(b->own_meta);
	free(b->tick_us);
	free(b);
}

const struct block_head *block_head(const struct block *b)
{
	return &b->head;
}

/* ---- pages ---- */

/* Is the page as it was written? Of the first 64 it is remembered. */
static bool is_sound(struct block *b, uint32_t i)
{
	const struct page *page = &b->pages[i];
	uint64_t bit = i < 64 && b->checked ? UINT64_C(1) << i : 0;

	if (bit && atomic_load_explicit(b->checked, memory_order_relaxed) & bit)
		return true;
	if (crc32c(0, b->data + page->at, page->stored) != page->crc)
		return false;
	if (bit)
		atomic_fetch_or_explicit(b->checked, bit, memory_order_relaxed);
	return true;
}

int block_page(struct block *b, uint32_t i, const uint8_t **ret)
{
	struct page *page = &b->pages[i];
	const uint8_t *stored = b->data + page->at;
	uint8_t *to;

	if (page->plain) {
		*ret = page->plain;
		return 0;
	}
	if (!is_sound(b, i))
		return -EBADMSG;
	if (!page->is_compressed) {
		*ret = page->plain = stored;
		return 0;
	}
	to = page->own ? page->own : malloc(page->len);
	if (!to)
		return -ENOMEM;
	page->own = to;
	if (!b->zstd)
		b->zstd = ZSTD_createDCtx();
	if (!b->zstd)
		return -ENOMEM;
	if (ZSTD_decompressDCtx(b->zstd, to, page->len, stored, page->stored) != page->len)
		return -EBADMSG;
	*ret = page->plain = to;
	return 0;
}

int block_meta(struct block *b, size_t at, size_t len, const uint8_t **ret)
{
	bool plain = true;

	if (!len) {
		*ret = b->data;
		return 0;
	}
	for (size_t i = at / BLOCK_PAGE; i <= (at + len - 1) / BLOCK_PAGE; i++) {
		const uint8_t *p;
		int r = block_page(b, (uint32_t)i, &p);

		if (r < 0)
			return r;
		plain &= !b->pages[i].is_compressed;
		if (i == at / BLOCK_PAGE) /* all that is asked for, when it is in one page */
			*ret = p + at % BLOCK_PAGE;
	}
	if (plain || at / BLOCK_PAGE == (at + len - 1) / BLOCK_PAGE)
		return 0;
	if (!b->own_meta)
		b->own_meta = malloc(b->meta_len);
	if (!b->own_meta)
		return -ENOMEM;
	for (size_t i = at / BLOCK_PAGE; i <= (at + len - 1) / BLOCK_PAGE; i++)
		memcpy(b->own_meta + i * BLOCK_PAGE, b->pages[i].plain, b->pages[i].len);
	*ret = b->own_meta + at;
	return 0;
}
