/* What the files of the epochs' format share. Nobody else includes this but profile/profiles_*.c, which keep epochs. */
#ifndef STROBE_STACKS_EPOCH_INTERNAL_H
#define STROBE_STACKS_EPOCH_INTERNAL_H

#include "stacks/epoch.h"
#include "store/out.h"

enum {
	EPOCH_VERSION = 2,
	EPOCH_VERSION_PLACES = 2, /* the first with places of frames */
	EPOCH_HEAD_SIZE = 104,
	EPOCH_MAGIC_AT = 16,
	EPOCH_VERSION_AT = 20,
	EPOCH_CRC_AT = 24,
	EPOCH_HAS_CPU = 1,
	EPOCH_HAS_TIME = 2,
	EPOCH_MISSED = 8 /* of a frame's bits, above its type */
};
#define EPOCH_MAGIC 0x636f7065u /* "epoc" */
#define EPOCH_TIME_MAX (INT64_MAX / 4)

enum epoch_count {
	COUNT_STRINGS,
	COUNT_MODULES,
	COUNT_FRAMES,
	COUNT_EDGES,
	COUNT_NODES,
	COUNT_TASKS,
	COUNT_STREAMS,
	COUNT_SAMPLES,
	COUNT_NOTES,
	COUNT_CPUS,
	COUNT_BITS,
	COUNT_TEXT,
	N_COUNTS
};

/* A set of stacks on its way out: what is used of it, and the numbers that it gets. */
struct plan {
	const struct stacks *s;
	uint32_t *modules, *frames, *nodes, *tasks;	   /* new numbers; UINT32_MAX: not used */
	uint32_t *strings;				   /* new number + 1; 0: not named yet */
	uint32_t *frame_order, *task_order, *string_order; /* old numbers by new ones */
	uint32_t *sample_order;				   /* stream after stream */
	uint32_t n_modules, n_frames, n_nodes, n_tasks, n_strings, n_edges, n_streams;
	size_t text_len;
	struct out tables, trie, tasks_out, streams, samples; /* columns 3-4, 5-6, 7, 8, 9-10 */
	void *memory;
};

/* ---- epoch.c ---- */

/* epoch_head() of the first EPOCH_HEAD_SIZE bytes, for one who has verified them. */
int epoch_head_start(const uint8_t *data, struct epoch_head *ret);

/* ---- epoch_trie.c ---- */

/* Numbers the nodes that plan->nodes marks (not UINT32_MAX), fills plan->trie. 0 or -ENOMEM. */
int epoch_plan_trie(struct plan *);

/* ---- epoch_decode.c ---- */

/* Of a version that is known. 0, -EBADMSG, -ENOMEM. */
int epoch_unpack(const uint8_t *plain, size_t len, uint32_t version, struct stacks *to);

/* ---- epoch_encode.c ---- */

int epoch_pack(const struct stacks *, struct out *plain); /* 0, -EMSGSIZE, -ENOMEM */

/* Of streams of CPU samples. */
static inline int64_t epoch_step_us(const struct stacks *s, unsigned kind)
{
	return kind == STACKS_CPU && s->hz ? 1000000 / s->hz : 0;
}

#endif
