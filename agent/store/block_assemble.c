#include <errno.h>
#include <zstd.h>

#include "base/cleanup.h"
#include "base/crc32c.h"
#include "store/block_format.h"
#include "store/block_internal.h"
#include "store/out.h"

enum { LEVEL = 1 };

/* Appends `len` bytes compressed; false, nothing appended: that would not be shorter. */
static bool put_compressed(ZSTD_CCtx *z, struct out *o, const void *data, size_t len)
{
	size_t max = ZSTD_compressBound(len), n;
	uint8_t *p = out_room(o, max);

	if (!p)
		return false;
	n = ZSTD_compressCCtx(z, p, max, data, len, LEVEL);
	if (ZSTD_isError(n) || n >= len)
		return false;
	o->len += n;
	return true;
}

static void put_directory(const struct block_parts *parts, struct out *o)
{
	out_bytes(o, parts->groups, parts->groups_len);
	out_varint(o, parts->n_meta);
	out_varint(o, parts->n_values);
	for (uint32_t i = 0; i < parts->n_meta + parts->n_values; i++) {
		const struct block_page *page = &parts->pages[i];

		out_varint(o, page->stored);
		out_varint(o, page->plain);
		if (i >= parts->n_meta)
			out_varint(o, page->n_cells);
		out_u32(o, crc32c(0, page->data, page->stored));
	}
}

static void put_head(const struct block_head *h, struct out *o, size_t block_len,
		     const struct out *directory, size_t plain)
{
	size_t from = o->len;

	out_u32(o, BLOCK_MAGIC);
	out_u16(o, BLOCK_VERSION);
	out_u16(o, 0);
	out_u32(o, (uint32_t)block_len);
	out_u32(o, (uint32_t)directory->len);
	out_u32(o, (uint32_t)plain);
	out_u32(o, crc32c(0, directory->p, directory->len));
	out_u32(o, h->catalog_crc);
	out_u32(o, h->n_groups);
	out_u64(o, h->first_seq);
	out_u64(o, h->last_seq);
	out_u64(o, h->from_us);
	out_u64(o, h->to_us);
	out_u64(o, (uint64_t)h->real_off_us);
	out_u64(o, h->n_samples);
	out_bytes(o, h->log_id, sizeof(h->log_id));
	out_bytes(o, h->boot_id, sizeof(h->boot_id));
	out_u32(o, h->bucket_us);
	if (!o->failed)
		out_u32(o, crc32c(0, o->p + from, o->len - from));
}

/* The directory as it is stored; *ret_plain is its length when that is compressed. */
static int make_directory(const struct block_parts *parts, struct out *ret, size_t *ret_plain)
{
	struct out plain = {0};
	ZSTD_CCtx *z = NULL;

	put_directory(parts, &plain);
	*ret_plain = 0;
	if (parts->compress && !plain.failed) {
		z = ZSTD_createCCtx();
		if (z && put_compressed(z, ret, plain.p, plain.len))
			*ret_plain = plain.len;
		ZSTD_freeCCtx(z);
	}
	if (!*ret_plain)
		out_bytes(ret, plain.p, plain.len);
	if (plain.failed)
		ret->failed = true;
	out_done(&plain);
	return ret->failed ? -ENOMEM : 0;
}

int block_assemble(const struct block_parts *parts, uint8_t **ret, size_t *ret_len)
{
	struct out directory = {0}, o = {0};
	size_t len = BLOCK_HEAD_SIZE, plain;
	int r = make_directory(parts, &directory, &plain);

	len += directory.len;
	for (uint32_t i = 0; i < parts->n_meta + parts->n_values; i++)
		len += parts->pages[i].stored;
	if (r == 0 && len > UINT32_MAX)
		r = -ENOMEM;
	if (r == 0 && (o.p = malloc(len))) {
		o.cap = len;
		put_head(&parts->head, &o, len, &directory, plain);
		out_bytes(&o, directory.p, directory.len);
		for (uint32_t i = 0; i < parts->n_meta + parts->n_values; i++)
			out_bytes(&o, parts->pages[i].data, parts->pages[i].stored);
		*ret = o.p;
		*ret_len = o.len;
	} else if (r == 0) {
		r = -ENOMEM;
	}
	out_done(&directory);
	return r;
}

/* Pages of `b` into `o`, compressed where that helps; their data are offsets until all are there. */
static int compress_pages(struct block *b, struct out *o, struct block_page *pages)
{
	ZSTD_CCtx *z = ZSTD_createCCtx();
	int r = z ? 0 : -ENOMEM;

	for (uint32_t i = 0; r == 0 && i < b->n_meta + b->n_values; i++) {
		const struct page *page = &b->pages[i];
		const uint8_t *plain;
		size_t from = o->len;

		r = block_page(b, i, &plain);
		if (r < 0)
			break;
		pages[i] = (struct block_page){.n_cells = page->n_cells};
		if (put_compressed(z, o, plain, page->len))
			pages[i].plain = page->len;
		else
			out_bytes(o, plain, page->len);
		pages[i].stored = (uint32_t)(o->len - from);
		if (o->failed)
			r = -ENOMEM;
	}
	ZSTD_freeCCtx(z);
	return r;
}

int block_compress(const uint8_t *data, size_t len, uint8_t **ret, size_t *ret_len)
{
	struct block_parts parts = {.compress = true};
	_cleanup_free_ struct block_page *pages = NULL;
	struct out o = {0};
	struct block *b;
	size_t at = 0;
	int r = block_open(&b, data, len);

	if (r < 0)
		return r;
	parts.head = b->head;
	parts.groups = b->directory;
	parts.groups_len = b->groups_len;
	parts.n_meta = b->n_meta;
	parts.n_values = b->n_values;
	pages = calloc(b->n_meta + b->n_values + 1, sizeof(*pages));
	parts.pages = pages;
	r = pages ? compress_pages(b, &o, pages) : -ENOMEM;
	for (uint32_t i = 0; r == 0 && i < b->n_meta + b->n_values; i++) {
		pages[i].data = o.p + at;
		at += pages[i].stored;
	}
	if (r == 0)
		r = block_assemble(&parts, ret, ret_len);
	out_done(&o);
	block_close(b);
	return r;
}
