#include "store/history.h"

#include <errno.h>

#include "store/history_internal.h"

int history_attach(struct history *h, struct ring *ring)
{
	int r;

	pthread_mutex_lock(&h->lock);
	h->ring = ring;
	h->ring_list = ring_list;
	h->ring_read = ring_read;
	h->ring_stats = ring_stats;
	h->stale = true;
	history_list(h);
	r = h->stale ? -ENOMEM : 0;
	pthread_mutex_unlock(&h->lock);
	return r;
}
