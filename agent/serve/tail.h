/*
 * The live end of the log, decoded and encoded once for all clients: a mirror of the newest state
 * and a ring of the last stream items, numbered without gaps.
 *
 * Belongs to the server's thread. Costs nothing while nobody calls tail_advance.
 */
#ifndef STROBE_SERVE_TAIL_H
#define STROBE_SERVE_TAIL_H

#include "serve/encoder.h"
#include "store/log.h"

enum item_kind { ITEM_TICK, ITEM_CLOCK, ITEM_ATTR, ITEM_EVENT, ITEM_KINDS };

struct item {
	enum item_kind kind;
	uint32_t group;		 /* ITEM_ATTR */
	struct wire_entry entry; /* ITEM_TICK; its pointers lead into this allocation */
	size_t len; /* of data: a field of AttrList, EventList or Batch, tag included */
	uint8_t data[];
};

enum { TAIL_ITEMS = 4096, TAIL_BYTES = 2 << 20 };

struct tail {
	struct log *log;
	struct cursor cursor;
	bool open, priming;
	struct encoder encoder;
	struct item *ring[TAIL_ITEMS]; /* item number n is at n % TAIL_ITEMS */
	uint64_t first, next;	       /* held: [first, next) */
	uint64_t newest[ITEM_KINDS];   /* number of the newest of each kind + 1; 0: none yet */
	size_t bytes;
	struct buf scratch;
};

void tail_init(struct tail *, struct log *);
void tail_done(struct tail *);
/* Brings it up to the newest frame: reads on, or starts at the newest segment when it was never
 * open or is far behind and `skip` allows to leave frames out of the ring. 0; -ENOENT: the log is
 * empty; -ESTALE: frames were lost and the ring is empty (call again); -ENOMEM. */
int tail_advance(struct tail *, bool skip);
static inline const struct item *tail_item(const struct tail *t, uint64_t number)
{
	return number >= t->first && number < t->next ? t->ring[number % TAIL_ITEMS] : NULL;
}

#endif
