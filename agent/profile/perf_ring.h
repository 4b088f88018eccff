/*
 * The memory that the kernel writes perf records into, read record by record where they lie.
 *
 * A round is perf_ring_begin(), perf_ring_next() as often as wanted, perf_ring_end(). What next() gave stays valid
 * until end(), which hands its space back to the kernel.
 */
#ifndef STROBE_PROFILE_PERF_RING_H
#define STROBE_PROFILE_PERF_RING_H

#include <stddef.h>
#include <stdint.h>

struct perf_event_mmap_page;
enum { PERF_RING_RECORD_MAX = 16384 };

struct perf_ring {
	struct perf_event_mmap_page *page; /* NULL: not open */
	const uint8_t *data;
	size_t size; /* of data, a power of two */
	uint64_t pos, head;
	uint64_t broken; /* times that what lay there made no sense, and was passed over */
	uint8_t *wrap;	 /* the one record of a round that lies over the end */
};

/* Maps `fd` with at most max_bytes of data, a power of two of pages, down to min_bytes where less is allowed. 0;
 * -EPERM: not even that may be locked; -errno. */
int perf_ring_open(struct perf_ring *, int fd, size_t max_bytes, size_t min_bytes);
void perf_ring_close(struct perf_ring *); /* zeroed is fine */

void perf_ring_begin(struct perf_ring *);
/* The next record and its length, header included; NULL: that was all. */
const void *perf_ring_next(struct perf_ring *, size_t *ret_len);
void perf_ring_end(struct perf_ring *);
/* How full it was at perf_ring_begin(), 0 to 100. */
unsigned perf_ring_percent(const struct perf_ring *);

#endif
