#include "store/keeper.h"

#include "base/clock.h"
#include "base/stats.h"
#include "store/rollup.h"

#include <errno.h>
#include <poll.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

enum { ROUND_MS = 1000, REFUSALS_MAX = 30 /* of one block, a round each */ };

struct keeper {
	struct keeper_config c;
	struct sealer *sealer;
	struct rollup *rollup;
	struct mirror catalog; /* of the newest block, as its payload says */
	uint32_t catalog_crc;
	uint8_t *payload;
	size_t payload_len;
	struct cursor journal; /* of the frames for the ring's journal */
	bool journal_open;
	struct frame frame; /* read and not yet in the journal; the cursor's */
	bool has_frame;
	bool replaying, spared; /* spared: the ring refused some of it, and gets no more of it */
	unsigned refusals;	/* of the block at hand */
	int refused;		/* why the ring did not take the newest block; 0: it did */
	bool has_block;		/* of this log, in the ring */
	bool caught_up;		/* all blocks of before are rolled up */
	uint64_t journaled_us;	/* CLOCK_MONOTONIC of the newest tick that was synced */
	uint64_t pending_us;	/* of the newest tick handed to the journal */
	int stop_fd;
	int error; /* of the ring's last write */
	char trouble[160];
};

/* ---- blocks ---- */

/* With its catalog first, where the ring does not have that. */
static int append(struct ring *ring, enum ring_type type, const struct sealed *s)
{
	int r = ring_append(ring, type, s->data, s->len);

	if (r == -ENOENT) {
		r = ring_append(ring, RING_CATALOG, s->catalog, s->catalog_len);
		if (r == 0)
			r = ring_append(ring, type, s->data, s->len);
	}
	return r;
}

static void note_error(struct keeper *k, int r)
{
	if (r < 0)
		STAT_ADD(history_errors, 1);
	if (r == k->error)
		return;
	k->error = r;
	if (r < 0)
		snprintf(k->trouble, sizeof(k->trouble),
			 "history is kept in memory only: writing the ring failed: %s",
			 strerrordesc_np(-r));
	else
		k->trouble[0] = '\0';
}

/* A block that the ring refuses is offered again for a while: with a later one there the journal would
 * forget its frames. Of a replay the journal stays whole for the next start. */
static int keep_on_disk(struct keeper *k, const struct sealed *s)
{
	struct sealed copy = *s;
	int r = block_compress(s->data, s->len, &copy.data, &copy.len);

	if (r == 0) {
		r = append(k->c.ring, RING_BLOCK, &copy);
		free(copy.data);
	}
	k->refused = r;
	if (r == 0) {
		k->has_block = true;
		k->refusals = 0;
	} else if (k->replaying) {
		k->spared = true;
	} else if (k->refusals < REFUSALS_MAX) {
		k->refusals++;
		return -EAGAIN;
	}
	return r;
}

/* ---- rollups ---- */

static int take_rollup(void *arg, struct sealed *s)
{
	struct keeper *k = arg;
	int r = -ENODEV;

	s->catalog = k->payload;
	s->catalog_len = k->payload_len;
	if (k->c.rollups) {
		r = append(k->c.rollups, RING_ROLLUP, s);
		if (r < 0)
			STAT_ADD(history_errors, 1);
	}
	return history_add(k->c.history, s, r == 0);
}

/* The catalog of the blocks to come; a rollup of those before goes first. 0 or -errno. */
static int set_catalog(struct keeper *k, const struct sealed *s)
{
	const struct frame f = {.data = s->catalog, .len = s->catalog_len};
	uint8_t *copy;
	int r = k->payload ? rollup_flush(k->rollup) : 0;

	if (r < 0)
		return r;
	copy = malloc(s->catalog_len ? s->catalog_len : 1);
	if (!copy)
		return -ENOMEM;
	memcpy(copy, s->catalog, s->catalog_len);
	free(k->payload);
	k->payload = copy;
	k->payload_len = s->catalog_len;
	k->catalog_crc = s->head.catalog_crc;
	mirror_done(&k->catalog);
	mirror_init(&k->catalog);
	return mirror_apply(&k->catalog, &f);
}

/* What cannot be rolled up is only kept in full. */
static void roll_up(struct keeper *k, const struct sealed *s)
{
	struct block *b;

	if ((!k->payload || k->catalog_crc != s->head.catalog_crc) && set_catalog(k, s) < 0)
		return;
	if (block_open(&b, s->data, s->len) < 0)
		return;
	rollup_add(k->rollup, b, &k->catalog);
	block_close(b);
}

/* Blocks that an earlier agent left without a rollup: it was killed before one was full. */
static void catch_up(struct keeper *k)
{
	struct history *h = k->c.history;
	int64_t from_us = history_rolled_us(h);
	struct history_walk walk;
	struct history_block b;
	int r;

	k->caught_up = true;
	if (history_walk_begin(h, from_us, INT64_MAX, &walk) < 0)
		return;
	while ((r = history_walk_next(h, &walk, &b)) != 0) {
		struct sealed s = {0};
		uint8_t *catalog;

		if (r < 0)
			continue;
		s.head = *block_head(b.block);
		s.data = (uint8_t *)(uintptr_t)history_bytes(&b, &s.len);
		if (!b.rollup && (int64_t)s.head.from_us + b.shift_us > from_us &&
		    history_catalog_bytes(h, &b, &catalog, &s.catalog_len) == 0) {
			s.catalog = catalog;
			roll_up(k, &s);
			free(catalog);
		}
		history_release(h, &b);
	}
	history_walk_end(h, &walk);
}

static int take_block(void *arg, struct sealed *s)
{
	struct keeper *k = arg;
	uint64_t samples = s->head.n_samples, bytes = s->len;
	int r = -ENODEV;

	if (k->c.ring && !k->spared)
		r = keep_on_disk(k, s);
	if (r == -EAGAIN)
		return r;
	roll_up(k, s);
	r = history_add(k->c.history, s, r == 0);
	if (r < 0)
		return r;
	STAT_ADD(history_blocks, 1);
	STAT_ADD(history_samples, samples);
	STAT_ADD(history_sample_bytes, bytes);
	return 0;
}

/* ---- the journal ---- */

static int seal_all(struct keeper *k)
{
	int r;

	while ((r = sealer_step(k->sealer)) == 1)
		;
	return r;
}

static uint64_t tick_us(const struct frame *f)
{
	struct tick_head head;
	struct frame_reader reader;

	return frame_type(f) == FRAME_TICK && frame_read_tick(f, &head, &reader) == 0 ? head.mono_us
										      : 0;
}

/* One frame into the journal; a full journal is emptied by sealing what it holds. */
static int journal_frame(struct keeper *k, const struct frame *f)
{
	int r = ring_journal(k->c.ring, log_id(k->c.log), f);

	if (r != -ENOSPC)
		return r;
	r = seal_all(k);
	if (r == 0)
		r = sealer_flush(k->sealer);
	return r < 0 ? r : ring_journal(k->c.ring, log_id(k->c.log), f);
}

static int write_journal(struct keeper *k)
{
	uint64_t from, to, at_us;
	int r = 0;

	if (!k->journal_open) {
		uint64_t sealed = sealer_seq(k->sealer);

		/* The journal does not say of which boot its frames are: a block does. */
		r = k->has_block ? ring_sync(k->c.ring) : 0;
		if (r < 0 || !k->has_block)
			return r;
		r = cursor_open_seq(&k->journal, k->c.log, sealed ? sealed : 1);
		if (r < 0)
			return r == -ENOENT ? 0 : r;
		k->journal_open = true;
	}
	while (k->has_frame || (r = cursor_next(&k->journal, &k->frame, &from, &to)) != 0) {
		if (r == -ESTALE)
			continue; /* lapped: the cursor stands at a segment's start, CATALOG and KEY come */
		k->has_frame = k->has_frame || r > 0;
		if (k->has_frame)
			r = journal_frame(k, &k->frame);
		if (r < 0)
			return r; /* with that frame again, so that none is missing between others */
		k->has_frame = false;
		at_us = tick_us(&k->frame);
		k->pending_us = at_us ? at_us : k->pending_us;
	}
	r = ring_sync(k->c.ring);
	if (r == 0)
		k->journaled_us = k->pending_us;
	return r;
}

/* ---- rounds ---- */

static void publish(struct keeper *k)
{
	struct history_stats h;
	uint64_t now_us = clock_mono_us();

	history_stats(k->c.history, &h);
	/* What is no longer held in full is to be seen in a rollup, also where memory is so short that
	 * none is full by then. */
	if (h.oldest_full_us > 0 && (uint64_t)h.oldest_full_us > rollup_since_us(k->rollup) &&
	    rollup_flush(k->rollup) == 0)
		history_stats(k->c.history, &h);
	STAT_SET(history_memory_bytes, h.bytes_memory);
	STAT_SET(history_retention_us,
		 h.oldest_us < (int64_t)now_us ? (uint64_t)((int64_t)now_us - h.oldest_us) : 0);
	if (!k->c.ring)
		return;
	struct ring_stats r;

	ring_stats(k->c.ring, &r);
	STAT_SET(history_disk_bytes, r.used_bytes);
	STAT_SET(history_disk_size_bytes, r.size_bytes);
	STAT_SET(history_safe_us, k->journaled_us);
}

static void round_of(struct keeper *k)
{
	if (k->c.rollups && !k->caught_up)
		catch_up(k);
	seal_all(k);
	if (k->c.ring && !k->has_block) /* write_journal() waits for one */
		sealer_flush(k->sealer);
	if (k->c.ring) {
		int r = write_journal(k);

		note_error(k, r < 0 ? r : k->refused);
	}
	history_cool(k->c.history);
	publish(k);
}

int keeper_step(struct keeper *k)
{
	struct pollfd p = {.fd = k->stop_fd, .events = POLLIN};

	if (poll(&p, 1, k->c.round_ms ? k->c.round_ms : ROUND_MS) > 0)
		return -ECANCELED;
	round_of(k);
	return 0;
}

void keeper_finish(struct keeper *k)
{
	seal_all(k);
	sealer_flush(k->sealer);
	if (k->payload)
		rollup_flush(k->rollup);
	if (k->c.ring)
		ring_sync(k->c.ring);
	if (k->c.rollups)
		ring_sync(k->c.rollups);
}

void keeper_stop(struct keeper *k)
{
	uint64_t one = 1;

	if (k && write(k->stop_fd, &one, sizeof(one)) < 0)
		return; /* it is readable already */
}

const char *keeper_trouble(const struct keeper *k)
{
	return k->trouble;
}

/* ---- what an earlier agent left ---- */

struct replay {
	struct keeper *keeper;
	struct sealer *sealer;
	uint8_t log_id[LOG_ID_LEN];
	char boot_id[40];
};

/* The newest block of a log in the ring: its last frame; 0: none. */
static uint64_t newest_seq(struct ring *ring, const uint8_t id[LOG_ID_LEN], char boot_id[40])
{
	size_t n;
	struct ring_entry *list = ring_list(ring, &n);
	uint64_t seq = 0;

	for (size_t i = 0; list && i < n; i++)
		if (list[i].type == RING_BLOCK &&
		    memcmp(list[i].block.log_id, id, LOG_ID_LEN) == 0) {
			seq = list[i].block.last_seq;
			memcpy(boot_id, list[i].block.boot_id, 40);
		}
	free(list);
	return seq;
}

static int begin_replay(struct replay *r, const uint8_t id[LOG_ID_LEN])
{
	struct sealer_config c = {.sink = take_block, .arg = r->keeper};
	char boot_id[40] = "";

	memcpy(r->log_id, id, LOG_ID_LEN);
	c.log_id = r->log_id;
	c.after_seq = newest_seq(r->keeper->c.ring, id, boot_id);
	memcpy(r->boot_id, boot_id, sizeof(r->boot_id));
	c.boot_id = r->boot_id;
	return sealer_open(&r->sealer, &c);
}

static void end_replay(struct replay *r)
{
	if (!r->sealer)
		return;
	if (sealer_flush(r->sealer) == 0 && !r->keeper->spared)
		ring_journal_forget(r->keeper->c.ring, r->log_id);
	sealer_close(r->sealer);
	r->sealer = NULL;
}

static int replay_frame(void *arg, const uint8_t id[LOG_ID_LEN], const struct frame *f)
{
	struct replay *r = arg;
	int e = 0;

	if (memcmp(id, log_id(r->keeper->c.log), LOG_ID_LEN) == 0)
		return 0; /* the log itself still has it, or newer ones */
	if (!r->sealer || memcmp(id, r->log_id, LOG_ID_LEN) != 0) {
		end_replay(r);
		e = begin_replay(r, id);
	}
	return e < 0 ? e : sealer_feed(r->sealer, f);
}

int keeper_open(struct keeper **ret, const struct keeper_config *config)
{
	struct keeper *k = calloc(1, sizeof(*k));
	struct sealer_config c = {
		.log = config->log, .boot_id = config->boot_id, .sink = take_block};
	char boot_id[40];
	int r;

	if (!k)
		return -ENOMEM;
	k->c = *config;
	mirror_init(&k->catalog);
	k->stop_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	if (k->stop_fd < 0) {
		r = -errno;
		free(k);
		return r;
	}
	r = rollup_open(&k->rollup, &(struct rollup_config){.sink = take_rollup, .arg = k});
	if (r < 0) {
		keeper_close(k);
		return r;
	}
	if (k->c.ring) {
		struct replay replay = {.keeper = k};

		k->replaying = true;
		r = ring_journal_each(k->c.ring, replay_frame, &replay);
		end_replay(&replay);
		k->replaying = k->spared = false;
		note_error(k, r < 0 ? r : k->refused);
		k->refused = 0;
		c.after_seq = newest_seq(k->c.ring, log_id(k->c.log), boot_id);
		k->has_block = c.after_seq != 0;
	}
	c.arg = k;
	r = sealer_open(&k->sealer, &c);
	if (r < 0) {
		keeper_close(k);
		return r;
	}
	*ret = k;
	return 0;
}

void keeper_close(struct keeper *k)
{
	if (!k)
		return;
	sealer_close(k->sealer);
	rollup_close(k->rollup);
	mirror_done(&k->catalog);
	free(k->payload);
	if (k->journal_open)
		cursor_close(&k->journal);
	close(k->stop_fd);
	free(k);
}
