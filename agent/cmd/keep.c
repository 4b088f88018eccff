#include "cmd/keep.h"

#include "base/msg.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

/* Of 64 parts of the agent's memory: the log; blocks in memory, and fewer where the ring has them; stacks; tables for
 * unwinding and names. */
enum {
	PARTS = 64,
	LOG_PARTS = 12,
	BLOCK_PARTS = 20,
	CACHE_PARTS = 12,
	PROFILE_PARTS = 16,
	TABLE_PARTS = 12
};
/* Of 8 parts of the rings' size: rollups, stacks, and blocks have the rest. */
enum { RING_PARTS = 8, ROLLUP_RING_PARTS = 1, PROFILE_RING_PARTS = 2 };

uint64_t keep_log_bytes(uint64_t memory_bytes)
{
	return memory_bytes / PARTS * LOG_PARTS;
}

uint64_t keep_profile_bytes(uint64_t memory_bytes)
{
	return memory_bytes / PARTS * PROFILE_PARTS;
}

uint64_t keep_table_bytes(uint64_t memory_bytes)
{
	return memory_bytes / PARTS * TABLE_PARTS;
}

static uint64_t ring_bytes(uint64_t size_bytes, unsigned parts)
{
	uint64_t size = size_bytes / RING_PARTS * parts;

	return size < RING_SIZE_MIN ? RING_SIZE_MIN : size;
}

uint64_t keep_profile_ring_bytes(uint64_t size_bytes)
{
	return ring_bytes(size_bytes, PROFILE_RING_PARTS);
}

int keep_open_ring(const char *parent, const char *name, uint64_t size_bytes, struct ring **ret)
{
	char dir[4096], err[512] = "";
	const struct ring_config rc = {.dir = dir, .size_bytes = size_bytes};

	*ret = NULL;
	if (snprintf(dir, sizeof(dir), "%s%s%s", parent, *name ? "/" : "", name) >=
	    (int)sizeof(dir))
		return -ENAMETOOLONG;
	int r = ring_open(ret, &rc, err, sizeof(err));

	if (!r && *err)
		msg(MSG_WARN, "%s", err);
	if (!r)
		return 0;
	*ret = NULL;
	if (!*err)
		snprintf(err, sizeof(err), "%.400s: %s", dir, strerrordesc_np(-r));
	if (r == -EBUSY || r == -EPROTONOSUPPORT || r == -EBADMSG) {
		msg(MSG_ERROR, "%s", err);
		return r;
	}
	msg(MSG_WARN, "history is kept in memory only: %s", err);
	return 0;
}

/* Blocks, and rollups for the past that the blocks do not reach. */
static int open_rings(struct keep *k, const struct keep_config *c)
{
	const unsigned parts = RING_PARTS - ROLLUP_RING_PARTS - PROFILE_RING_PARTS;
	int r = keep_open_ring(c->dir, "", ring_bytes(c->size_bytes, parts), &k->ring);

	if (!r && k->ring)
		r = history_attach(k->history, k->ring);
	if (!r && k->ring)
		r = keep_open_ring(c->dir, "rollups", ring_bytes(c->size_bytes, ROLLUP_RING_PARTS),
				   &k->rollups);
	if (!r && k->rollups)
		r = history_attach(k->history, k->rollups);
	return r;
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
