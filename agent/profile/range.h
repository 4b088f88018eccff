/* A range of all stacks that are held, as one set of its own: for captures and exports. */
#ifndef STROBE_PROFILE_RANGE_H
#define STROBE_PROFILE_RANGE_H

#include "profile/profiles.h"

/* What [from_us, to_us) has, on the timeline. 0; -ENODATA: nothing; -ENOMEM. */
int range_stacks(struct profiles *, int64_t from_us, int64_t to_us, struct stacks **ret);
/* The same, encoded as an epoch; *ret to free(). *to_us becomes less where one epoch cannot hold more: go on from
 * there. goes_on: that will follow in any case; what reaches from one into the next is in the next alone. Also
 * -EMSGSIZE: not even a second of it fits. */
int range_epoch(struct profiles *, int64_t from_us, int64_t *to_us, bool goes_on, uint8_t **ret,
		size_t *len);

#endif
