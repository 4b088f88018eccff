/* Sizes and marks of the format that block.h describes, for its encoder and decoder. */
#ifndef STROBE_STORE_BLOCK_FORMAT_H
#define STROBE_STORE_BLOCK_FORMAT_H

#include "store/block.h"

#define BLOCK_MAGIC 0x314b4253u /* "SBK1" */

enum {
	BLOCK_VERSION = 1,
	BLOCK_HEAD_SIZE = 144,
	BLOCK_PAGE = 16384,
	BLOCK_METRICS_MAX = 2 + 6 * GROUP_METRICS_MAX, /* of a group in a rollup */
	BLOCK_GROUPS_MAX = 4096,
	BLOCK_INSTANCES_MAX = 1 << 20,
	BLOCK_DIRECTORY_MAX = 1 << 20
};

enum item_kind { ITEM_ZERO, ITEM_CONST, ITEM_ABSENT, ITEM_CODED };
enum { ITEM_RUN_MAX = 64 };
enum item_flags { ITEM_OF_VALUES = 1, ITEM_OF_RATES = 2 };
enum { INSTANCE_STARTED = 1, INSTANCE_ENDED = 2, INSTANCE_ID = 4 };

/* A page as it stands in a block. */
struct block_page {
	const uint8_t *data;
	uint32_t stored, plain; /* plain 0: it is stored plain */
	uint32_t n_cells;	/* of a VALUE page */
};

/* What a block is put together of. */
struct block_parts {
	struct block_head head;
	const uint8_t *groups; /* what the directory says of groups and sections */
	size_t groups_len;
	const struct block_page *pages; /* META first */
	uint32_t n_meta, n_values;
	bool compress; /* the directory */
};
/* 0 with *ret malloc'ed, or -ENOMEM. */
int block_assemble(const struct block_parts *, uint8_t **ret, size_t *ret_len);

#endif
