/*
 * Takes up the log of an earlier agent on the same boot: slots, generations, names, attributes and
 * values go back into the batches, so that the new agent continues every series.
 */
#ifndef STROBE_SAMPLE_RECOVER_H
#define STROBE_SAMPLE_RECOVER_H

#include "base/batch.h"
#include "store/log.h"

struct recovered {
	uint64_t from_us, to_us; /* the oldest segment's first tick; the newest tick; 0: nothing */
	uint64_t tick;		 /* number of the newest tick */
	uint64_t frames;	 /* held */
	uint32_t instances;	 /* live ones taken over */
};

/* Reads the newest state of the log into batches[n] (fresh ones, in catalog order) and
 * acquired_us[n]. A batch whose `dead` is set gets its generations only. 0; -ENODATA: nothing to
 * continue; -ESTALE: it was written with another catalog; -EBADMSG; -ENOMEM. On failure the batches
 * may be half filled. */
int recover(struct log *, const uint8_t *catalog, size_t catalog_len, struct batch *const *batches,
	    const bool *dead, uint64_t *acquired_us, size_t n, struct recovered *ret);

#endif
