/* A small log for the targets that need one: three groups, written tick by tick. */
#ifndef STROBE_FUZZ_STORE_H
#define STROBE_FUZZ_STORE_H

#include "fuzz.h"

#include "feeder.h"

enum { FUZZ_TICK_US = 100000, FUZZ_FIRST_US = 1000000 };

static const char *const fuzz_attrs[] = {"comm", "cgroup", NULL};
static const char *const fuzz_words[] = {"off", "on", NULL};
static const struct metric fuzz_metrics[] = {
	{"t.count", "count", 1, 1, "a", "A.", SEM_COUNTER, 0, NULL},
	{"t.level", "byte", 1024, 1, "b", "B.", SEM_INSTANT, 4, NULL},
	{"t.state", "1", 1, 1, "c", "C.", SEM_DISCRETE, 0, fuzz_words},
};
static const struct group fuzz_groups[] = {
	{"one", NULL, fuzz_metrics, 3, 0, 1, false, NULL},
	{"disk", "disk", fuzz_metrics, 2, 1000, 16, false, NULL},
	{"process", "process", fuzz_metrics, 3, 0, 64, true, fuzz_attrs},
};

static inline void fuzz_tick(struct feeder *f, unsigned i)
{
	static const char *const names[] = {"sda", "sdb", "nvme0n1", "loop7"};
	struct batch *b;
	uint64_t id = i / 2 % 32 + 1;
	int32_t slot;

	feeder_tick(f, FUZZ_FIRST_US + (uint64_t)i * FUZZ_TICK_US);
	b = feeder_batch(f, 0);
	batch_row(b)[0] += 1000;
	batch_row(b)[1] = i % 3 ? (int64_t)i << 40 : VALUE_ABSENT;
	feeder_group(f, 0, 12, -1);
	b = feeder_batch(f, 1);
	for (unsigned k = i % 2; k < 4; k++)
		batch_row_named(b, names[k], strlen(names[k]))[k % 2] -= 7;
	feeder_group(f, 1, -5, i == 3 ? 2000 : -1);
	b = feeder_batch(f, 2);
	slot = batch_find_id(b, id);
	if (slot < 0)
		slot = batch_start(b, id, "4711", 4);
	batch_row_slot(b, (uint32_t)slot)[0]++;
	batch_attr(b, (uint32_t)slot, 0, names[i % 4], strlen(names[i % 4]));
	if (i % 7 == 5)
		batch_end(b, (uint32_t)slot);
	feeder_group(f, 2, 500, -1);
	feeder_end(f);
}

/* An empty log of four segments in memory, and its writer. */
static inline struct log *fuzz_log(struct feeder *f)
{
	struct log_config c = {.size_bytes = 4 << 20, .boot_id = "fuzz"};
	enum log_state state;
	struct log *l;
	char err[200];

	FUZZ_CHECK(log_open(&l, &c, &state, err, sizeof(err)) == 0);
	feeder_open(f, l, fuzz_groups, sizeof(fuzz_groups) / sizeof(*fuzz_groups));
	return l;
}

#endif
