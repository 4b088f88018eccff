#include "cmd/keep.h"

#include "base/msg.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

/* Of 64 parts of the agent's memory: the log; blocks in memory, and fewer where the ring has them. */
enum { PARTS = 64, LOG_PARTS = 16, BLOCK_PARTS = 32, CACHE_PARTS = 12 };

uint64_t keep_log_bytes(uint64_t memory_bytes)
{
	return memory_bytes / PARTS * LOG_PARTS;
}

/* One of the rings. 0, also where it cannot be had (*ret NULL, said so); or as keep_open(). */
static int open_ring(struct keep *k, const char *dir, uint64_t size_bytes, struct ring **ret)
{
	const struct ring_config rc = {.dir = dir, .size_bytes = size_bytes};
	char err[512] = "";
	int r = ring_open(ret, &rc, err, sizeof(err));

	if (!r) {
		if (*err)
			msg(MSG_WARN, "%s", err);
		return history_attach(k->history, *ret);
	}
	if (!*err)
		snprintf(err, sizeof(err), "%s: %s", dir, strerrordesc_np(-r));
	if (r == -EBUSY || r == -EPROTONOSUPPORT || r == -EBADMSG) {
		msg(MSG_ERROR, "%s", err);
		return r;
	}
	msg(MSG_WARN, "history is kept in memory only: %s", err);
	return 0;
}

/* An eighth of the size is for rollups: the past that the other seven cannot hold in full. */
static int open_rings(struct keep *k, const struct keep_config *c)
{
	uint64_t rollups = c->size_bytes / 8 < RING_SIZE_MIN ? RING_SIZE_MIN : c->size_bytes / 8;
	uint64_t blocks = c->size_bytes - c->size_bytes / 8;
	char dir[4096];
	int r = open_ring(k, c->dir, blocks < RING_SIZE_MIN ? RING_SIZE_MIN : blocks, &k->ring);

	if (r < 0 || !k->ring)
		return r;
	if (snprintf(dir, sizeof(dir), "%s/rollups", c->dir) >= (int)sizeof(dir))
		return -ENAMETOOLONG;
	return open_ring(k, dir, rollups, &k->rollups);
}

int keep_open(struct keep *k, const struct keep_config *c)
{
	uint64_t part = c->memory_bytes / PARTS;
	const struct history_config hc = {.log = c->log,
					  .boot_id = c->boot_id,
					  .memory_bytes =
						  part * (c->dir ? CACHE_PARTS : BLOCK_PARTS)};
	int r;

	*k = (struct keep){0};
	r = history_open(&k->history, &hc);
	if (!r && c->dir)
		r = open_rings(k, c);
	if (r < 0)
		return r;
	const struct keeper_config kc = {.log = c->log,
					 .boot_id = c->boot_id,
					 .history = k->history,
					 .ring = k->ring,
					 .rollups = k->rollups};

	r = keeper_open(&k->keeper, &kc);
	if (r < 0)
		msg(MSG_ERROR, "history cannot be kept: %s", strerrordesc_np(-r));
	return r;
}

static void say_trouble(const struct keep *k, char said[], size_t size)
{
	const char *now = keeper_trouble(k->keeper);

	if (!strcmp(now, said))
		return;
	if (*now)
		msg(MSG_WARN, "%s", now);
	else
		msg(MSG_NOTICE, "history is written to disk again");
	snprintf(said, size, "%s", now);
}

static void keeper_thread(void *arg, unsigned number)
{
	struct keep *k = arg;
	char said[192] = "";

	(void)number;
	while (keeper_step(k->keeper) != -ECANCELED)
		say_trouble(k, said, sizeof(said));
}

int keep_start(struct keep *k, struct threads *t)
{
	return threads_start(t, "strobe-keeper", keeper_thread, k, 0);
}

void keep_stop(struct keep *k)
{
	if (k->keeper)
		keeper_stop(k->keeper);
}

void keep_finish(struct keep *k)
{
	if (k->keeper)
		keeper_finish(k->keeper);
}

void keep_close(struct keep *k)
{
	keeper_close(k->keeper);
	history_close(k->history);
	ring_close(k->rollups);
	ring_close(k->ring);
}
