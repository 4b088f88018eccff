/* Sealed epochs in a ring on disk. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "profile/profiles_internal.h"
#include "stacks/epoch_internal.h"

static int take_one(struct profiles *p, const struct ring_entry *e)
{
	uint8_t start[EPOCH_HEAD_SIZE];
	struct epoch_head h;
	int r;

	if (e->type != RING_PROFILE || e->len > EPOCH_BYTES_MAX)
		return 0;
	r = e->len < sizeof(start) ? -EBADMSG : ring_read_start(p->c.ring, e, start, sizeof(start));
	if (r >= 0)
		r = epoch_head_start(start, &h);
	if (r >= 0)
		return shelf_add(p, &h, NULL, e->len, e, NULL);
	if (r == -EBADMSG || r == -EPROTONOSUPPORT) {
		p->shelf.damaged++;
		r = 0;
	}
	return r == -ESTALE ? 0 : r;
}

int ring_take_all(struct profiles *p)
{
	struct ring_entry *list;
	size_t n;
	int r = 0;

	if (!p->c.ring)
		return 0;
	list = ring_list(p->c.ring, &n);
	if (!list)
		return -ENOMEM;
	pthread_mutex_lock(&p->lock);
	for (size_t i = 0; r >= 0 && i < n; i++)
		r = take_one(p, &list[i]);
	pthread_mutex_unlock(&p->lock);
	free(list);
	return r;
}

/* What the ring has now: the newest record is that one. */
static void note_written(struct profiles *p, struct held *h)
{
	size_t n;
	struct ring_entry *list = ring_list(p->c.ring, &n);

	if (!list)
		return; /* it is read from memory */
	pthread_mutex_lock(&p->lock);
	if (n && list[n - 1].type == RING_PROFILE && list[n - 1].len == h->len && !h->gone) {
		h->entry = list[n - 1];
		p->shelf.disk_bytes += h->len;
		shelf_evicted(p, list[0].seq);
	}
	pthread_mutex_unlock(&p->lock);
	free(list);
}

int ring_put(struct profiles *p, struct held *h)
{
	int r = ring_append(p->c.ring, RING_PROFILE, h->data, h->len);

	if (r < 0)
		return r;
	note_written(p, h);
	r = ring_sync(p->c.ring);
	return r == -ENOENT ? 0 : r;
}
