#include "profile/perf_ring.h"

#include <errno.h>
#include <linux/perf_event.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

int perf_ring_open(struct perf_ring *ring, int fd, size_t max_bytes, size_t min_bytes)
{
	size_t page = (size_t)sysconf(_SC_PAGESIZE), size = page;
	uint8_t *wrap = malloc(PERF_RING_RECORD_MAX);
	void *p;

	if (!wrap)
		return -ENOMEM;
	while (size * 2 <= max_bytes)
		size *= 2;
	do {
		p = mmap(NULL, page + size, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	} while (p == MAP_FAILED && (errno == EPERM || errno == ENOMEM) &&
		 (size /= 2) >= min_bytes);
	if (p == MAP_FAILED) {
		int r = -errno;

		free(wrap);
		return r;
	}
	*ring = (struct perf_ring){
		.page = p, .data = (uint8_t *)p + page, .size = size, .wrap = wrap};
	return 0;
}

void perf_ring_close(struct perf_ring *ring)
{
	if (ring->page)
		munmap(ring->page, (size_t)sysconf(_SC_PAGESIZE) + ring->size);
	free(ring->wrap);
	*ring = (struct perf_ring){0};
}

void perf_ring_begin(struct perf_ring *ring)
{
	ring->head = __atomic_load_n(&ring->page->data_head, __ATOMIC_ACQUIRE);
}

/* Everything up to the head is given up: there is no way to find the next record. */
static const void *give_up(struct perf_ring *ring)
{
	ring->broken++;
	ring->pos = ring->head;
	return NULL;
}

const void *perf_ring_next(struct perf_ring *ring, size_t *ret_len)
{
	uint64_t left = ring->head - ring->pos;
	size_t at = (size_t)ring->pos & (ring->size - 1), first = ring->size - at;
	struct perf_event_header h;

	if (!left)
		return NULL;
	if (left < sizeof(h) || left > ring->size)
		return give_up(ring);
	memcpy(&h, ring->data + at, sizeof(h)); /* records are 8-aligned: a header never wraps */
	if (h.size < sizeof(h) || h.size > left || h.size % 8)
		return give_up(ring);
	ring->pos += h.size;
	*ret_len = h.size;
	if (h.size <= first)
		return ring->data + at;
	if (h.size > PERF_RING_RECORD_MAX) {
		ring->broken++;
		return perf_ring_next(ring, ret_len);
	}
	memcpy(ring->wrap, ring->data + at, first);
	memcpy(ring->wrap + first, ring->data, h.size - first);
	return ring->wrap;
}

void perf_ring_end(struct perf_ring *ring)
{
	__atomic_store_n(&ring->page->data_tail, ring->pos, __ATOMIC_RELEASE);
}

unsigned perf_ring_percent(const struct perf_ring *ring)
{
	return (unsigned)((ring->head - ring->page->data_tail) * 100 / ring->size);
}
