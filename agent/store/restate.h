/*
 * The frames that bring a reader who knows nothing to the state of a mirror: what a segment, and a
 * capture that begins in the middle of one, begin with.
 */
#ifndef STROBE_STORE_RESTATE_H
#define STROBE_STORE_RESTATE_H

#include "store/mirror.h"

/* Gives `each` the payloads of CATALOG (as given: the one the mirror was made from), the newest
 * CLOCK, the ATTRs and KEY, in this order. Stops at the first result that is not 0 and returns it.
 * Attributes of an instance that is still to start are among them. -ENOMEM; -EMSGSIZE: the state is
 * larger than a frame. */
int restate(const struct mirror *, const uint8_t *catalog, size_t catalog_len,
	    int (*each)(void *arg, const void *data, size_t len), void *arg);

#endif
