#include "store/capture_blocks.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

struct capture_blocks {
	struct history *history;
	struct history_walk walk;
	int64_t from_us, to_us; /* from: after what is written */
	uint64_t seq;
	uint32_t catalog_crc;
	bool any;  /* a catalog was written */
	bool full; /* a block that is no rollup was written: rollups do not come again */
};

/* What lies before the log's oldest frame. */
static int begin_walk(struct capture_blocks *b)
{
	const struct log *l = history_log(b->history);
	int64_t oldest_us = (int64_t)log_oldest_us(l), end_us = b->to_us;

	if (oldest_us && oldest_us < end_us)
		end_us = oldest_us;
	if (end_us < INT64_MAX)
		end_us++;
	return history_walk_begin(b->history, b->from_us, end_us, &b->walk);
}

int capture_blocks_open(struct capture_blocks **ret, struct history *history, int64_t from_us,
			int64_t to_us)
{
	struct capture_blocks *b = calloc(1, sizeof(*b));
	int r;

	if (!b)
		return -ENOMEM;
	*b = (struct capture_blocks){.history = history, .from_us = from_us, .to_us = to_us};
	r = begin_walk(b);
	if (r < 0) {
		free(b);
		return r;
	}
	*ret = b;
	return 0;
}

void capture_blocks_close(struct capture_blocks *b)
{
	if (!b)
		return;
	history_walk_end(b->history, &b->walk);
	free(b);
}

uint64_t capture_blocks_seq(const struct capture_blocks *b)
{
	return b->seq;
}

static int write_catalog(struct capture_blocks *b, const struct history_block *hb, uint32_t crc,
			 struct capture_writer *w)
{
	uint8_t *payload;
	size_t len;
	int r;

	if (b->any && crc == b->catalog_crc)
		return 0;
	r = history_catalog_bytes(b->history, hb, &payload, &len);
	if (r < 0)
		return r;
	r = capture_section(w, CAPTURE_CATALOG, payload, len);
	free(payload);
	b->any = b->any || r == 0;
	b->catalog_crc = crc;
	return r;
}

static int write_block(struct capture_blocks *b, const struct history_block *hb,
		       struct capture_writer *w)
{
	const struct block_head *head = block_head(hb->block);
	const struct log *l = history_log(b->history);
	const uint8_t *data;
	size_t len;
	int r;

	if (hb->rollup && b->full)
		return 0;
	r = write_catalog(b, hb, head->catalog_crc, w);
	if (r < 0)
		return r == -EBADMSG ? 0 : r;
	data = history_bytes(hb, &len);
	r = capture_section(w, CAPTURE_BLOCK, data, len);
	if (r < 0)
		return r;
	b->full = b->full || !hb->rollup;
	b->from_us = hb->to_us;
	if (memcmp(head->log_id, log_id(l), LOG_ID_LEN) == 0)
		b->seq = head->last_seq;
	return 0;
}

/* Did the log lose frames that followed the last block, while it was sent? They are in blocks now. */
static bool fell_behind(const struct capture_blocks *b)
{
	return b->seq && log_oldest(history_log(b->history)) > b->seq + 1 && b->from_us < b->to_us;
}

int capture_blocks_step(struct capture_blocks *b, struct capture_writer *w)
{
	struct history_block hb;
	bool again = b->walk.n != 0;
	int r = history_walk_next(b->history, &b->walk, &hb);

	if (r == 1) {
		r = write_block(b, &hb, w);
		history_release(b->history, &hb);
		return r < 0 ? r : 1;
	}
	if (r == -EBADMSG)
		return 1;
	if (r < 0 || !again || !fell_behind(b))
		return r;
	history_walk_end(b->history, &b->walk);
	r = begin_walk(b);
	return r < 0 ? r : b->walk.n != 0;
}
