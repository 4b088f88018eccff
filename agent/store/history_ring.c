#include "store/history.h"

#include <errno.h>

#include "store/history_internal.h"

int history_attach(struct history *h, struct ring *ring)
{
	struct held_ring *held = &h->rings[h->n_rings];
	int r;

	if (h->n_rings == HISTORY_RINGS)
		return -EBUSY;
	pthread_mutex_lock(&h->lock);
	h->ring_list = ring_list;
	h->ring_read = ring_read;
	h->ring_stats = ring_stats;
	*held = (struct held_ring){.ring = ring, .stale = true};
	h->n_rings++;
	history_list(h);
	r = held->stale ? -ENOMEM : 0;
	pthread_mutex_unlock(&h->lock);
	return r;
}
