/*
 * What the files of the sets of stacks share: how their arrays grow. Nobody else includes this but
 * the decoder of epochs and profile/profiles_log.c, which fill the arrays themselves.
 */
#ifndef STROBE_STACKS_STACKS_INTERNAL_H
#define STROBE_STACKS_STACKS_INTERNAL_H

#include "stacks/stacks.h"

#define STACKS_UNKNOWN_FRAME "[unknown]"

enum stacks_array {
	ARRAY_STRINGS,
	ARRAY_MODULES,
	ARRAY_FRAMES,
	ARRAY_NODES,
	ARRAY_TASKS,
	ARRAY_INTERNED, /* those before this one are interned */
	ARRAY_SAMPLES = ARRAY_INTERNED,
	ARRAY_NOTES,
	ARRAY_TEXT,
	N_ARRAYS
};

/* Open addressing, linear probing: index + 1 of an entry, 0 where there is none; the bits above those that an index of
 * this table can have are of the entry's hash, so that hardly any other entry is looked at. At most three quarters
 * full. Built when the first entry is looked for. */
struct stacks_table {
	uint32_t *slots;
	uint32_t mask;	/* 0: not built */
	uint32_t index; /* the bits of an index */
};

struct stacks_private {
	uint32_t cap[N_ARRAYS]; /* entries that there is room for; bytes of the text */
	uint32_t n_text;	/* bytes used */
	struct stacks_table tables[ARRAY_INTERNED];
	uint64_t seed;		   /* so that nobody can choose strings that collide */
	_Atomic uint32_t jit_task; /* of the process whose code was named last */
	bool failed;
};

static inline struct stacks_private *stacks_private(const struct stacks *s)
{
	return s->private;
}

/* Room for n entries in all. 0 or -ENOMEM, which is remembered. */
int stacks_reserve(struct stacks *, enum stacks_array, uint64_t n);

/* A node that is known not to be there; it is not found by stacks_node() until
 * stacks_forget_nodes(), which makes that look again at what there is. */
uint32_t stacks_node_append(struct stacks *, uint32_t parent, uint32_t frame);
void stacks_forget_nodes(struct stacks *);

/* ---- stacks_place.c ---- */

/* The votes of `from` join those of the other; its off is from the same address. */
void stacks_place_add_self(struct stacks_place *, const struct stacks_place *from);
void stacks_place_add_call(struct stacks_place *, const struct stacks_place *from);

static inline bool stacks_has_place(const struct stacks_frame *f)
{
	return f->self.votes || f->call.votes;
}

/* Room for n entries and no more, for one who knows how many there will be. 0 or -ENOMEM. */
int stacks_size(struct stacks *, enum stacks_array, uint64_t n);
/* After the arrays were filled in, with n bytes of text: looks at what there is from now on. */
void stacks_adopt(struct stacks *, uint32_t n);

#endif
